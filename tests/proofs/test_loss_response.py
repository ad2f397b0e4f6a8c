"""How the loss answers to features: fast tables against the whole spectral gradient, and what void does."""

import numpy as np
import pytest
import torch

from specseg.proofs import loss_response as lr
from specseg.proofs.identities_gradient import all_frequencies
from specseg.spectral import cross_entropy as ce
from specseg.spectral import gradient as sg
from specseg.spectral.spectrum import signed_frequencies


def labels_of(seed, size, classes=3, void=0.0):
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(0, classes, (size, size)))
    labels[torch.from_numpy(rng.random((size, size)) < void)] = 255
    return labels


@pytest.mark.parametrize("void", [0.0, 0.2])
@pytest.mark.parametrize("confidence", [1.0, 4.0])
def test_observation4_is_the_spectral_gradient(void, confidence):
    labels = labels_of(0, 9, void=void)
    features, tail = lr.lrg_prediction(labels, 3, 5, confidence=confidence)
    rows = {nu: sg.loss_row(tail, features, labels, nu) for nu in all_frequencies((9, 9))}
    parts = {
        "L_ce(0)": lambda nu: rows[0, 0],
        "L_ce(nu_j)": lambda nu: rows[0, nu],
        "L_CE": lambda nu: sum(rows.values()),
    }
    table = lr.observation4_table(labels, 3, 5, confidence=confidence)
    assert len(table) == 2 * 3
    for _, line in table.iterrows():
        entry = parts[line["part"]](line["nu_j"])[:, 0, int(line["nu_j"])]
        assert line["value"] == pytest.approx(float(entry.abs().pow(2).sum().sqrt()), rel=1e-9)


@pytest.mark.parametrize("void", [0.0, 0.2])
def test_removal_moves_each_part_by_what_its_frequencies_move(void):
    labels = labels_of(1, 17, void=void)
    table = lr.removal_table(labels, 3, 9, 2, confidences=[3.0]).set_index("part")
    features, tail = lr.lrg_prediction(labels, 3, 9, confidence=3.0)
    u = signed_frequencies(9)
    keep = (u[:, None].abs() <= 2) & (u[None, :].abs() <= 2)
    cut = torch.fft.ifft2(torch.fft.fft2(features) * keep).real
    parts = [ce.frequency_components(tail(x), labels[None])[0].real for x in (features, cut)]
    near = [(0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1), (1, -1), (-1, 1)]
    old, new = ([float(p[i]) for i in near] for p in parts)
    moved = sum(abs(a - b) for a, b in zip(old, new, strict=True)) / sum(abs(a) for a in old)
    assert table["moved"]["low"] == pytest.approx(moved)
    assert table["before"]["low"] == pytest.approx(sum(old)) and table["after"]["low"] == pytest.approx(sum(new))
    assert table["before"]["L_CE"] == pytest.approx(float(parts[0].sum()))
    assert table["after"]["L_ce(0)"] == pytest.approx(float(parts[1][0, 0]))
    wide = lr.removal_table(labels, 3, 9, 2, confidences=[3.0], low=3).set_index("part")["moved"]["low"]
    box = [(i, j) for i in range(-3, 4) for j in range(-3, 4) if (i, j) != (0, 0)]  # beyond what is kept too
    old, new = ([float(p[i]) for i in box] for p in parts)
    assert wide == pytest.approx(sum(abs(a - b) for a, b in zip(old, new, strict=True)) / sum(map(abs, old)))
    assert table["before"]["low with 0"] == pytest.approx(table["before"]["low"] + table["before"]["L_ce(0)"])
    assert lr.removal_table(labels, 3, 9, 4, confidences=[3.0])["moved"].max() < 1e-9  # nothing is removed


def test_tables_over_confidence_name_the_least_loss():
    maps = {"a": [labels_of(2, 17), labels_of(3, 17)]}
    table = lr.confidence_table(maps, {"a": 3}, 9, 2, (0.1, 1.0, 30.0))
    assert len(table) == 6 and table.groupby("map")["best"].sum().tolist() == [1, 1]
    assert (table["loss"] > 0).all() and not table[table["confidence"] == 30.0]["best"].any()
    one = lr.removal_table(maps["a"][1], 3, 9, 2, confidences=[1.0]).set_index("part")
    line = table[(table["map"] == 1) & (table["confidence"] == 1.0)].iloc[0]
    change = abs(one["after"]["L_ce(0)"] - one["before"]["L_ce(0)"])
    assert line["unit"] == pytest.approx(change / one["before"]["L_CE"])
    zero = lr.zero_table({"a": maps["a"][0]}, {"a": 3}, 9, (1.0, 2.0))
    assert zero["confidence"].tolist() == [1.0, 2.0] and (zero[["fall", "own", "whole"]] > 0).all().all()
