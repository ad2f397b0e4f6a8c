"""Synthetic scenes: deterministic, fast, dosed, alike at every size, and between the real sets' contour densities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import synthetic
from specseg.data._canvas import Canvas, Stream, value_noise
from specseg.data._objects import contour_band
from specseg.data.datasets import VOID, open


def changes(label: np.ndarray) -> float:
    """Contour density: changes of class between neighbours, per pixel."""
    return (np.sum(label[:, 1:] != label[:, :-1]) + np.sum(label[1:] != label[:-1])) / label.size


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(synthetic.REGIMES), st.integers(0, 10**7), st.sampled_from([65, 129]), st.floats(0.5, 4.0))
def test_a_scene_is_a_valid_sample_and_repeats(regime, seed, size, dose):
    first = synthetic.scene(regime, seed, size, dose=dose)
    again = synthetic.scene(regime, seed, size, dose=dose)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.label, again.label)
    values = set(np.unique(first.label).tolist())
    assert values <= set(range(len(synthetic.CLASSES[regime]))) | {VOID}
    assert first.image.std() > 5
    whole = synthetic.scene(regime, seed, size, dose=dose, void=False)
    assert VOID not in np.unique(whole.label)
    known = first.label != VOID
    assert np.array_equal(first.label[known], whole.label[known])
    assert np.array_equal(first.image, whole.image)


@pytest.mark.parametrize("regime", synthetic.REGIMES)
def test_seeds_differ(regime):
    labels = [synthetic.scene(regime, seed, 65).label.tobytes() for seed in range(20)]
    assert len(set(labels)) == 20


@pytest.mark.parametrize("regime", synthetic.REGIMES)
def test_one_seed_shows_the_same_scene_at_every_size(regime):
    agree = []
    for seed in range(8):
        small = synthetic.scene(regime, seed, 129, void=False).label
        large = synthetic.scene(regime, seed, 387, void=False).label[1::3, 1::3]  # the same pixel centres
        agree.append(np.mean(small == large))
    assert np.mean(agree) > 0.97  # only what is thinner than a pixel differs


@pytest.mark.parametrize("regime, ratio", [("objects", (2.5, 5.5)), ("landcover", (2.5, 5.5)), ("streets", (2.0, 4.0))])
def test_the_dose_multiplies_the_contours(regime, ratio):
    density = [
        np.mean([changes(synthetic.scene(regime, seed, 257, dose=dose, void=False).label) for seed in range(16)])
        for dose in (0.5, 1.0, 2.0)
    ]
    assert density[0] < density[1] < density[2]
    assert ratio[0] < density[2] / density[0] < ratio[1]  # 4 but for hiding and the frame; the street is not dosed


def test_contours_are_ordered_as_in_the_real_sets():
    density = {
        regime: 257 * np.mean([changes(synthetic.scene(regime, k, 257, void=False).label) for k in range(16)])
        for regime in synthetic.REGIMES
    }
    # frame sides of contour; PASCAL VOC has 4.4, CamVid 12 to 19 (with void left out and counted)
    assert 2.5 < density["objects"] < 6 and 4 < density["landcover"] < 9 and 12 < density["streets"] < 22


def test_doses_are_twelve_in_equal_ratios():
    steps = np.diff(np.log(synthetic.DOSES))
    assert len(synthetic.DOSES) == 12 and np.ptp(steps) < 0.01
    assert synthetic.DOSES[0] == 0.5 and synthetic.DOSES[-1] == 4.0


def test_streets_hold_many_classes_and_thin_poles():
    seen, widths = set(), []
    for seed in range(30):
        label = synthetic.scene("streets", seed, 257, void=False).label
        seen |= set(np.unique(label).tolist())
        pole = np.pad(label == 5, ((0, 0), (1, 1))).astype(np.int8)
        step = np.diff(pole, axis=1)
        widths += (np.nonzero(step == -1)[1] - np.nonzero(step == 1)[1]).tolist()
    assert len(seen) == 19
    assert np.median(widths) <= 0.015 * 257


def test_split_seeds_do_not_meet():
    train, val = open("synthetic", "train", size=65, count=5), open("synthetic", "val", size=65, count=5)
    assert not set(train.ids) & set(val.ids)
    assert train.coverage == "5 of 5" and train.num_classes == 21 and len(list(train)) == 5
    assert np.array_equal(train[2].label, train.label(2)) and np.array_equal(train[-3].image, train.image(2))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: synthetic.scene("desert", 1), "unknown regime 'desert': expected one of objects"),
        (lambda: synthetic.scene("objects", 1, 9), "size 9"),
        (lambda: synthetic.scene("objects", 1, dose=0.0), "dose 0.0"),
        (lambda: open("synthetic", "holdout"), "unknown split 'holdout': expected one of train"),
        (lambda: open("synthetic", "train", regime="x"), "unknown regime 'x'"),
        (lambda: open("synthetic", "train", count=0), "count 0"),
        (lambda: open("imagenet"), "no manifest for data set 'imagenet': expected one of camvid"),
    ],
)
def test_wrong_arguments_say_what_is_expected(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_an_index_outside_is_an_error():
    with pytest.raises(IndexError, match="index 5 outside 0 .. 4"):
        open("synthetic", "train", size=65, count=5)[5]


def test_value_noise_is_the_lattice_at_its_knots():
    size, cells = 8, 4.0
    stream, twin = Stream(9), Stream(9)
    noise = value_noise(stream, cells, size)
    lattice = 2 * twin.array(6, 6) - 1
    dx, dy = twin.uniform(), twin.uniform()

    def value(row, col):  # slow bilinear reference with the smooth weight 3w^2 - 2w^3
        y, x = (row + 0.5) / size * cells + dy, (col + 0.5) / size * cells + dx
        i, j = int(y), int(x)
        wy, wx = (w * w * (3 - 2 * w) for w in (y - i, x - j))
        top = lattice[i, j] * (1 - wx) + lattice[i, j + 1] * wx
        bottom = lattice[i + 1, j] * (1 - wx) + lattice[i + 1, j + 1] * wx
        return top * (1 - wy) + bottom * wy

    reference = np.array([[value(row, col) for col in range(size)] for row in range(size)])
    assert np.allclose(noise, reference, atol=1e-5)


def test_stream_is_uniform_and_pinned():
    draws = Stream(0).array(20000)
    assert abs(draws.mean() - 0.5) < 0.01 and abs(draws.var() - 1 / 12) < 0.002
    assert Stream(1, 2, 3).uniform() == pytest.approx(PINNED, abs=1e-15)
    x, y = Stream(5).direction()
    assert x * x + y * y == pytest.approx(1.0)


PINNED = 0.6704722626516632


@given(st.integers(1, 3), st.integers(0, 2**30))
@settings(max_examples=20, deadline=None)
def test_contour_band_against_a_slow_reference(reach, seed):
    label = np.random.default_rng(seed).integers(0, 2, (6, 7)).repeat(3, 0).repeat(3, 1)
    band = contour_band(label, reach)
    rows, cols = label.shape
    touching = np.zeros_like(band)
    for r in range(rows):
        for c in range(cols):
            near = [(r + dr, c + dc) for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))]
            touching[r, c] = any(0 <= i < rows and 0 <= j < cols and label[i, j] != label[r, c] for i, j in near)
    expected = np.zeros_like(band)
    for r, c in zip(*np.nonzero(touching), strict=True):
        expected[max(0, r - reach + 1) : r + reach, max(0, c - reach + 1) : c + reach] = True
    assert np.array_equal(band, expected)


def test_a_bar_is_never_thinner_than_a_pixel():
    canvas = Canvas(65, 0)
    canvas.bar(0.31, 0.1, 0.33, 0.9, 0.0001, 5, 0)
    rows = (canvas.label == 5).sum(1)[8:57]
    assert rows.min() >= 1 and rows.max() <= 2
