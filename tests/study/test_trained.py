"""Records of trained networks as tables: the newest of each cell, folds side by side, seeds averaged, intervals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import trainedrecords as invented

from specseg.evidence import statistics as scores
from specseg.nets.networks import Network
from specseg.study import trained
from specseg.study.trained import Pool

VOC, DUBAI = Network("voc"), Network("dubai")


@pytest.fixture
def root(tmp_path, monkeypatch):
    return invented.project(tmp_path / "project", monkeypatch)


def test_records_of_another_profile_are_not_read(root):
    assert trained.read("truncation") == []
    invented.truncation(root, VOC)
    invented.truncation(root, replace(VOC, seed=1), profile="smoke")
    assert [m.network.name for m in trained.read("truncation")] == ["voc-deeplabv3plus-f0-s0"]


def test_the_newest_record_of_a_network_counts(root):
    for path, hour in ((invented.networks(root, VOC), 12), (invented.networks(root, VOC), 10)):
        meta = json.loads((path / "record.json").read_text())
        (path / "record.json").write_text(json.dumps({**meta, "created": f"2026-01-01T{hour}:00:00+00:00"}))
    (only,) = trained.read("networks")
    assert only.record.meta["created"].startswith("2026-01-01T12") and only.network == VOC


def test_folds_lie_side_by_side_and_seeds_are_averaged(root):
    for fold in range(2):
        for seed in range(2):
            invented.truncation(root, replace(DUBAI, fold=fold, seed=seed))
    found = trained.read("truncation")
    (pool,) = trained.pools(found)
    assert (pool.folds, pool.seeds) == ([0, 1], [0, 1]) and len(pool.names) == 24
    assert set(pool.clusters) == {f"f{f} c{k}" for f in range(2) for k in range(4)}
    half = trained.drops(found).query("method == 'bilinear' and lrg_size == 33").iloc[0]
    by_hand = []
    for seed in range(2):
        parts = [m.arrays["counts"] for m in found if m.network.seed == seed]
        full, cut = (sum(p[k].sum(0) for p in parts) for k in (0, 5))
        assert [str(found[0].arrays["methods"][5]), int(found[0].arrays["lrg_sizes"][5])] == ["bilinear", 33]
        ious = [np.mean([x[c, 0] / (x[c, 1] + x[c, 2] - x[c, 0]) for c in (0, 1, 3)]) for x in (full, cut)]
        by_hand.append(1 - ious[1] / ious[0])
    assert half["value"] == pytest.approx(np.mean(by_hand)) and half["low"] <= half["value"] <= half["high"]
    assert half["share"] == 0.5 and half["grid"] == 65 and (half["folds"], half["seeds"], half["n"]) == (2, 2, 24)
    library = scores.drop_draws(pool.stack(lambda m: m.counts()), pool.stack(lambda m: m.counts("bilinear", 33)),
                                pool.clusters, pool.scored)  # fmt: skip
    assert half["value"] == pytest.approx(library[0])


def test_a_seed_without_all_folds_is_left_out_and_named(root):
    for fold, seed in ((0, 0), (1, 0), (1, 1)):
        invented.truncation(root, replace(DUBAI, fold=fold, seed=seed))
    (pool,) = trained.pools(trained.read("truncation"))
    assert (pool.folds, pool.seeds) == ([0, 1], [0])


def test_tables_of_drops_tell_conditions_and_setups_apart(root):
    pruned = replace(VOC, prune_encoder=0.6, prune_decoder=0.2)
    for network in (VOC, pruned):
        invented.truncation(root, network)
    table = trained.drops(trained.read("truncation"))
    assert not table.duplicated(["domain", "model", "prune_encoder", "method", "lrg_size"]).any()
    assert table.groupby("prune_encoder").size().tolist() == [16, 16]
    full = table[table["method"] == "full"]
    assert (full[["value", "low", "high"]] == 0).all(axis=None) and (full["share"] == 1).all()
    falling = table[(table["method"] == "bilinear") & (table["prune_encoder"] == 0)]
    assert falling["value"].is_monotonic_increasing and falling["lrg_size"].is_monotonic_decreasing
    edge = table.set_index(["prune_encoder", "method", "lrg_size"])["boundary_miou"]
    assert np.isfinite(edge[0.0, "bilinear", 33]) and np.isnan(edge[0.0, "fourier", 33])


def test_a_drop_between_two_setups_uses_their_common_pictures(root):
    pruned = replace(DUBAI, prune_encoder=0.6, prune_decoder=0.2)
    for network in (DUBAI, replace(DUBAI, fold=1), replace(pruned, fold=1)):
        invented.truncation(root, network)
    before, after = trained.pools(trained.read("truncation"))
    drawn = before.drop(of=after)
    one, two = (invented.counts(replace(n, fold=1), 1.0) for n in (DUBAI, pruned))
    ious = [scores.miou(x.sum(0), [0, 1, 3]) for x in (one, two)]
    assert drawn[0] == pytest.approx(1 - ious[1] / ious[0]) and len(drawn) == 1 + scores.DRAWS
    other = Pool([m for m in before.members if m.network.fold == 0])
    with pytest.raises(ValueError, match="no fold and seed in common"):
        other.drop(of=after)


def test_rates_are_those_of_all_pictures(root):
    for fold in range(2):
        invented.loss(root, replace(DUBAI, fold=fold))
    found = trained.read("loss_in_frequency")
    table = trained.rates(found).set_index(["variant", "average", "nu_max"])
    total, tail = (np.concatenate([m.arrays[k][0] for m in found]) for k in ("total", "tail"))
    at8 = table.loc["periodic", "ratio_of_means", 8]
    assert at8["value"] == pytest.approx(abs(tail[:, 8].sum()) / total.sum(), rel=1e-6)
    assert table.loc["periodic", "mean_of_ratios", 8]["value"] == pytest.approx(np.mean(-tail[:, 8] / total), rel=1e-6)
    assert at8["low"] < at8["value"] < at8["high"] and at8["block_nu_max"] == 0
    ratio = table.loc["mirrored", "ratio_of_means", 8]["value"] / at8["value"]
    assert ratio == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ValueError, match="expected one of periodic, mirrored"):
        trained.pools(found)[0].rates("padded")


def test_what_was_not_measured_is_out(root):
    invented.loss(root, replace(VOC, prune_encoder=0.6, prune_decoder=0.2))
    variants = trained.rates(trained.read("loss_in_frequency"))["variant"].unique().tolist()
    assert "periodic" in variants and "periodic, padded frame" not in variants


def test_intervals_widen_with_the_spread_of_seeds(root):
    """Three seeds whose drops differ by far more than their pictures do: the interval must show it."""
    wide = [replace(VOC, seed=s) for s in range(3)]
    for network in wide:
        invented.truncation(root, network)
    found = trained.read("truncation")
    spread = np.array([0.5, 1.0, 1.5])
    for m, factor in zip(found, spread, strict=True):
        full, k = m.arrays["counts"][0], m.condition("bilinear", 33)
        m.arrays["counts"][k, ..., 0] = (full[..., 0] * (1 - 0.1 * factor)).astype(int)
    together = trained.drops(found).query("method == 'bilinear' and lrg_size == 33").iloc[0]
    alone = trained.drops(found[1:2]).query("method == 'bilinear' and lrg_size == 33").iloc[0]
    assert together["high"] - together["low"] > 5 * (alone["high"] - alone["low"])


def test_draws_of_different_domains_are_independent(root):
    for network in (VOC, DUBAI):
        invented.truncation(root, network)
    one, two = (p.draws for p in trained.pools(trained.read("truncation")))
    assert one.shape == two.shape and not (one == two).all()
    assert (one[0] == 1).all() and abs(np.corrcoef(one[:, 0], two[:, 0])[0, 1]) < 0.1


def test_errors_name_the_network(root):
    invented.truncation(root, VOC)
    (found,) = trained.read("truncation")
    with pytest.raises(ValueError, match="voc-deeplabv3plus-f0-s0: 0 conditions bilinear at LRG 99"):
        found.counts("bilinear", 99)
    other = found._replace(network=replace(VOC, seed=1), arrays={**found.arrays, "names": found.arrays["names"][::-1]})
    with pytest.raises(ValueError, match="hold different pictures"):
        _ = Pool([found, other]).names
