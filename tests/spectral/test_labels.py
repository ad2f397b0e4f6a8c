"""Weak labels and their laws: slow references, strict bounds as properties, laws on known shapes, failure paths."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.spectral import cross_entropy as ce
from specseg.spectral import iou as metrics
from specseg.spectral import labels as an
from specseg.spectral import laws
from specseg.spectral.cost import truncation_cost
from specseg.spectral.spectrum import band_limit

SEEDS = st.integers(0, 2**31)


def random_labels(seed, shape, classes=3, void=0.2, smooth=1):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, [-(-n // smooth) for n in shape])
    labels = np.kron(coarse, np.ones((smooth, smooth), int))[: shape[0], : shape[1]]
    labels[rng.random(shape) < void] = 255
    return torch.from_numpy(labels)


def disc(n, radius):
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return torch.from_numpy((y**2 + x**2 <= radius**2).astype(np.int64))


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 9), st.sampled_from(an.MODES), st.booleans())
def test_block_labels_against_a_slow_reference(seed, size, mode, keep_void):
    labels = random_labels(seed, (9, 11))
    points = [[int(math.floor(k * (n - 1) / (size - 1) + 0.5)) if size > 1 else (n - 1) // 2 for k in range(size)]
              for n in (9, 11)]  # fmt: skip
    nearest = [[min(range(size), key=lambda k: (abs(t - p[k]), k)) for t in range(n)]
               for n, p in zip((9, 11), points, strict=True)]  # fmt: skip
    out = an.block_labels(labels, lrg_size=size, mode=mode, keep_void=keep_void)
    for y in range(9):
        for x in range(11):
            i, j = nearest[0][y], nearest[1][x]
            if mode == "nearest":
                expected = int(labels[points[0][i], points[1][j]])
            else:
                votes = [int(labels[a, b]) for a in range(9) for b in range(11)
                         if nearest[0][a] == i and nearest[1][b] == j and labels[a, b] != 255]  # fmt: skip
                expected = min(set(votes), key=lambda c: (-votes.count(c), c)) if votes else 255
            if keep_void and int(labels[y, x]) == 255:
                expected = 255
            assert int(out[y, x]) == expected


def test_block_labels_at_the_paper_s_sizes():
    labels = random_labels(0, (65, 65), void=0.0)
    assert (an.block_labels(labels, 32) == labels).all()  # LRG size 65: the frame itself
    blocks = an.block_labels(labels, 8, "nearest")
    assert (blocks[::4, ::4] == labels[::4, ::4]).all()  # (N - 1)/(2 nu_max) = 4 pixels
    batch = torch.stack([labels, labels.flip(0)])
    assert (an.block_labels(batch, 8)[0] == an.block_labels(labels, 8)).all()


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 6), st.sampled_from(["periodic", "mirrored"]), st.integers(1, 5), st.booleans())
def test_bounds_are_strict(seed, nu_max, boundary, smooth, void):
    labels = random_labels(seed, (13, 13), void=0.15 if void else 0.0, smooth=smooth)
    energy = laws.tail_energy(labels, [nu_max], 3, boundary=boundary)
    bound = laws.tail_bound(labels, [nu_max], 3, boundary=boundary)
    assert (bound >= energy - 1e-12).all()
    wrong = float(((an.band_limited_labels(labels, nu_max, boundary) != labels) & (labels != 255)).double().mean())
    assert wrong <= float(laws.argmax_bound(energy)[0]) + 1e-12


def test_bound_is_nearly_the_least_possible():
    n, nu = 128, 15  # stripes of frequency 16 have tail 1/4
    stripes = torch.from_numpy((np.arange(n) // 4 % 2)[None, :].repeat(n, 0))
    energy, bound = (f(stripes, [nu], 2)[1, 0] for f in (laws.tail_energy, laws.tail_bound))
    assert float(energy) == pytest.approx(0.25)
    raw = laws.bound_constant(n, nu) * 32 / n  # before the cap A(1 - A)
    assert 0.25 <= raw < 0.25 * 1.05 and float(bound) == pytest.approx(0.25)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([1, 2, 3, 4, 6]))
def test_block_error_is_exact_over_all_phases(seed, block):
    n = 12
    labels = random_labels(seed, (n, n), void=0.0, smooth=2)
    changed = 0
    for dy in range(block):
        for dx in range(block):
            moved = torch.roll(labels, (dy, dx), dims=(0, 1))
            point = (torch.arange(n) // block) * block + (block - 1) // 2
            changed += int((moved[point[:, None], point[None, :]] != moved).sum())
    exact = changed / (block**2 * n * n)
    assert laws.block_error_spectral(labels, block, 3, boundary="periodic") == pytest.approx(exact, abs=1e-12)


def test_block_constants():
    rng = np.random.default_rng(0)
    d = rng.uniform(-0.5, 0.5, (400_000, 2))
    theta = rng.uniform(0, 2 * np.pi, 400_000)
    mean = np.abs(d[:, 0] * np.cos(theta) + d[:, 1] * np.sin(theta)).mean()
    assert laws.BLOCK_CONSTANT == pytest.approx(mean, rel=5e-3)
    assert laws.BLOCK_CONSTANT == pytest.approx(0.2436, abs=1e-4)
    assert laws.BOX_FACTOR == pytest.approx(np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta))).mean(), rel=2e-3)


def test_laws_on_a_disc():
    n, radius = 513, 150
    labels = disc(n, radius)
    assert float(an.perimeter(labels, 2)[1]) == pytest.approx(2 * math.pi * radius, rel=0.02)
    limits = [16, 32, 64]
    exact = laws.tail_energy(labels, limits, 2)[1]
    law = laws.tail_law(labels, limits, 2)[1]
    assert np.allclose(law / exact, 1, atol=0.08)
    crofton = laws.BOX_FACTOR * 2 * math.pi * radius / n / (2 * math.pi**2 * torch.tensor(limits))
    assert np.allclose(crofton / exact, 1, atol=0.15)
    for block in (4, 8, 16):
        truth = laws.block_error_spectral(labels, block, 2)
        assert float(laws.block_error_law(an.perimeter(labels, 2)[1], block, n * n)) == pytest.approx(truth, rel=0.06)
    predicted = laws.predicted_ceiling(labels, 2, 32)
    weak = an.block_labels(labels, 32, "nearest")
    actual = metrics.class_iou(metrics.confusion_matrix(weak, labels, 2))
    assert np.allclose(1 - predicted, 1 - actual, rtol=0.15)


def test_box_law_needs_diagonal_neighbours():
    """A diamond's box tail is its side's, cut at nu sqrt 2: the factor 0.90 of isotropic contours would be wrong."""
    n = 257
    y, x = np.mgrid[:n, :n] - n // 2
    diamond = torch.from_numpy((np.abs(y) + np.abs(x) <= 80).astype(np.int64))
    square = torch.from_numpy((np.maximum(np.abs(y), np.abs(x)) <= 57).astype(np.int64))
    for shape, factor in ((diamond, 1 / math.sqrt(2)), (square, 1.0)):
        t = an.transitions(shape, 2)[1]
        length = 4 * 80 * math.sqrt(2) if shape is diamond else 4 * 115
        assert float(t[2] + t[3]) / 2 == pytest.approx(factor * length, rel=0.03)
        ratio = laws.tail_law(shape, [24], 2)[1] / laws.tail_energy(shape, [24], 2)[1]
        assert float(ratio) == pytest.approx(1, abs=0.15)


def test_void_in_transitions_and_filling():
    labels = torch.tensor([[0, 255, 1]])
    assert an.transitions(labels, 2)[:, 0].tolist() == [0, 0]
    assert an.transitions(labels, 2, void_edges=True)[:, 0].tolist() == [1, 1]
    assert an.transitions(labels, 2, wrap=True)[:, 0].tolist() == [1, 1]
    filled = an.fill_void(labels)
    assert filled[0, 0] == 0 and filled[0, 2] == 1 and int(filled[0, 1]) in (0, 1)
    assert (an.fill_void(torch.stack([labels, labels])) != 255).all()


def test_ceilings():
    labels = [random_labels(k, (33, 33), smooth=5) for k in range(3)]
    table = pd.concat([laws.ceiling(labels, 3, [2, 4, 8, 16], kind=k) for k in ("majority", "nearest", "band")])
    for _, lines in table.groupby("kind"):
        assert lines.sort_values("nu_max")["value"].is_monotonic_increasing
        assert lines["value"].iloc[-1] == 1.0  # Nyquist: nothing is lost
    assert (table.query("kind == 'majority'")["error"].values <= table.query("kind == 'nearest'")["error"].values).all()


def test_a_block_at_a_void_point_counts_as_wrong():
    labels = torch.tensor([[255, 0, 0]])
    table = laws.ceiling([labels], 1, [0], kind="nearest")
    assert table["value"].tolist() == [1.0]  # the middle point has a label
    labels = torch.tensor([[0, 255, 0]])
    assert laws.ceiling([labels], 1, [0], kind="nearest")[["value", "error"]].values.tolist() == [[0.0, 1.0]]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(0, 5), st.floats(0.1, 8), st.booleans(), st.sampled_from(["periodic", "mirrored"]))
def test_truncation_cost_and_its_bounds(seed, nu_max, scale, void, boundary):
    labels = random_labels(seed, (11, 12), void=0.2 if void else 0.0)
    logits = scale * torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 11, 12)))
    cost = truncation_cost(logits, labels, nu_max, boundary=boundary)
    assert cost.first - 1e-12 <= cost.cost <= cost.upper + 1e-12
    if bool((labels != 255).any()):
        rate = ce.relative_loss_rate(logits[None], labels[None], nu_max, boundary=boundary)
        assert cost.counted == pytest.approx(float(rate) * cost.loss, rel=1e-9, abs=1e-12)


def test_second_order_is_third_order_accurate():
    errors = {0.2: 0.0, 0.1: 0.0}
    for seed in range(20):
        labels = random_labels(seed, (12, 12), void=0.0)
        logits = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 12, 12)))
        low = band_limit(logits, 2)
        for eps in errors:
            cost = truncation_cost(low + eps * (logits - low), labels, 2)
            errors[eps] += abs(cost.second - cost.cost)
    assert 6 < errors[0.2] / errors[0.1] < 20  # 8 for the cube, up to 16 where the fourth order is the larger


@pytest.mark.parametrize("call, words", [
    (lambda: an.block_labels(torch.zeros(5, 5).long(), 2, "mean"), "mode"),
    (lambda: an.block_labels(torch.zeros(5, 5).long()), "nu_max or lrg_size"),
    (lambda: an.block_labels(torch.zeros(5, 5).long(), 3), "lrg_size 7"),
    (lambda: an.block_labels(torch.zeros(5, 5), 2), "whole-number"),
    (lambda: an.band_limited_labels(torch.zeros(5, 5).long(), 3), "Nyquist"),
    (lambda: an.perimeter(torch.full((3, 3), 4), 3), "0 .. 2"),
    (lambda: an.check_labels(torch.zeros(3).long()), "shape"),
    (lambda: an.fill_void(torch.full((3, 3), 255)), "void"),
    (lambda: laws.ceiling([], 2, [1]), "no label map"),
    (lambda: laws.ceiling([torch.zeros(3, 3).long()], 2, [1], kind="best"), "kind"),
    (lambda: laws.tail_law(torch.zeros(3, 4).long(), [1], 1), "square"),
    (lambda: laws.block_error_spectral(torch.full((3, 3), 255), 2, 2), "void"),
    (lambda: laws.block_error_spectral(torch.zeros(9, 9).long(), 0, 2), "block 0: expected 1 .. 18 pixels"),
    (lambda: laws.displacement_spectrum(4, 5), "block 5"),
    (lambda: truncation_cost(torch.zeros(2, 3, 3), torch.zeros(3, 4).long(), 1), "expected"),
    (lambda: truncation_cost(torch.full((2, 3, 3), float("inf")), torch.zeros(3, 3).long(), 1), "finite"),
])  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
