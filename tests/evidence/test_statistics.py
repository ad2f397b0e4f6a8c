"""Scores from counts per picture: the same as from a confusion matrix, and intervals that move whole clusters."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from specseg.evidence import statistics as scores
from specseg.spectral import iou


def maps(seed, pictures=4, classes=5, size=12):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes - 1, (pictures, size, size))  # the last class is never labelled
    pred = np.where(rng.random(label.shape) < 0.6, label, rng.integers(0, classes, label.shape))
    label[rng.random(label.shape) < 0.1] = 255
    return torch.from_numpy(pred), torch.from_numpy(label)


@given(st.integers(0, 10_000))
def test_counts_give_the_confusion_matrix_scores(seed):
    pred, label = maps(seed)
    counts = iou.class_counts(pred, label, 5).numpy()
    assert iou.class_counts(pred[:0], label[:0], 5).shape == (0, 5, 3)
    matrix = iou.confusion_matrix(pred, label, 5)
    assert counts[..., 0].sum(0).tolist() == matrix.diagonal().tolist()
    assert counts[..., 1].sum(0).tolist() == matrix.sum(1).tolist()
    assert counts[..., 2].sum(0).tolist() == matrix.sum(0).tolist()
    assert np.isclose(scores.miou(scores.pooled(counts)), iou.mean_iou(matrix))
    some = [0, 2]
    assert np.isclose(scores.miou(scores.pooled(counts), some), iou.class_iou(matrix)[some].mean())


def test_bad_maps_are_named():
    pred, label = maps(0)
    with pytest.raises(ValueError, match="pred: values 0 .. 4"):
        iou.class_counts(pred, label.clamp(max=3), 4)
    with pytest.raises(ValueError, match="equal shapes"):
        iou.class_counts(pred[:1], label, 5)


def test_a_draw_takes_whole_clusters_and_as_many_as_there_are():
    clusters = ["a"] * 3 + ["b"] + ["c"] * 2
    drawn = scores.weights(clusters, 200, seed=3)
    assert (drawn[:, 0] == drawn[:, 2]).all() and (drawn[:, 4] == drawn[:, 5]).all()
    assert (drawn[:, 0] + drawn[:, 3] + drawn[:, 4] == 3).all()
    assert len({tuple(row) for row in drawn}) == 10  # all multisets of three from three
    assert np.array_equal(drawn, scores.weights(clusters, 200, seed=3))


def test_pooled_draws_equal_counting_each_draw_by_hand():
    pred, label = maps(1)
    counts = iou.class_counts(pred, label, 5).numpy()
    drawn = scores.weights(["x", "y", "y", "z"], 20)
    for w, got in zip(drawn, scores.pooled(counts, drawn), strict=True):
        again = np.concatenate([np.repeat(counts[i : i + 1], int(w[i]), axis=0) for i in range(4)])
        assert np.array_equal(got, again.sum(0))


def test_a_drop_is_paired_and_averages_seeds():
    pred, label = maps(2, pictures=6)
    full, none = (iou.class_counts(x, label, 5).numpy() for x in (label.clamp(max=4), pred))
    value, drawn = scores.drop_draws([full], [full], list("abcdef"))
    assert value == 0 and (drawn == 0).all()
    one, drawn = scores.drop_draws([full], [none], list("abcdef"), draws=200)
    before, after = scores.miou(full.sum(0)), scores.miou(none.sum(0))
    assert np.isclose(one, (before - after) / before)
    low, high = scores.interval(drawn)
    assert low < one < high
    both, drawn = scores.drop_draws([full, full], [none, full], list("abcdef"), draws=200)
    assert np.isclose(both, one / 2)
    assert drawn.min() < 0.01 < one - 0.05 < drawn.max()  # a draw may take one seed twice
    with pytest.raises(ValueError, match="equal numbers"):
        scores.drop_draws([full], [none, none], list("abcdef"))


def test_the_interval_covers_what_it_should():
    """Pictures that score 0.5 +- noise: the 95 % interval of their mean holds 0.5 about 95 times in 100."""
    inside = 0
    for seed in range(100):
        hit = np.random.default_rng(seed).binomial(100, 0.5, 40)
        counts = np.stack([hit, np.full(40, 100), hit], -1)[:, None]  # IoU = hit / 100
        low, high = scores.interval(
            scores.miou(scores.pooled(counts, scores.weights([str(i) for i in range(40)], 300)))
        )
        inside += low <= 0.5 <= high
    assert 86 <= inside <= 100


def test_the_multinomial_stream_keeps_clusters_together():
    times = scores.resampled(list("aabbb"), 200, 1)
    assert (times[:, 0] == times[:, 1]).all() and (times[:, 2] == times[:, 4]).all() and (times[0] == 1).all()
    assert times[1:, 0].min() == 0 and set(times[1:, 0] + times[1:, 2]) == {2.0}
    assert np.array_equal(times, scores.resampled(list("aabbb"), 200, 1))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(-5, 5))
def test_an_estimate_is_widened_to_hold_its_value(drawn, value):
    found = scores.estimate(value, np.array([*drawn, np.nan]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert found["low"] == pytest.approx(min(low, value), abs=1e-12)
    assert found["high"] == pytest.approx(max(high, value), abs=1e-12) and found["value"] == value


@pytest.mark.parametrize("drawn", [[], [np.nan, np.nan]])
def test_an_estimate_without_draws_has_no_interval(drawn):
    found = scores.estimate(1.0, np.array(drawn))
    assert found["value"] == 1 and np.isnan([found["low"], found["high"]]).all()


def test_a_ratio_of_clusters_by_loops():
    """The same as drawing whole clusters by hand and dividing the sums."""
    top, bottom, clusters = np.array([1.0, 5, 2, 0, 4]), np.array([2.0, 6, 3, 1, 4]), list("aabcc")
    found = scores.mean_of_clusters(top, clusters, bottom)
    rng, parts = np.random.default_rng(7), {c: [i for i, x in enumerate(clusters) if x == c] for c in "abc"}
    again = []
    for _ in range(20_000):
        rows = [i for c in rng.choice(list("abc"), 3) for i in parts[c]]
        again.append(top[rows].sum() / bottom[rows].sum())
    assert found["value"] == pytest.approx(12 / 16) and (found["n"], found["clusters"]) == (5, 3)
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.03)
    assert np.isnan(scores.mean_of_clusters(top, ["a"] * 5)["low"])


def test_the_mean_of_runs_is_scipys_t_interval():
    x = [0.1, 0.4, 0.3]
    found, wanted = scores.mean_of_runs(x), stats.t.interval(0.95, 2, np.mean(x), stats.sem(x))
    assert [found["low"], found["high"]] == pytest.approx(wanted)
    assert scores.mean_of_runs([2.0, 2.0, 2.0]) == {"value": 2.0, "low": 2.0, "high": 2.0}


@pytest.mark.parametrize("shape", [(3, 50), (3, 50, 2)])
def test_units_drawn_anew_by_loops(shape):
    drawn = np.random.default_rng(0).standard_normal(shape)
    pick = np.random.default_rng(4).integers(0, 3, (3, 50))
    want = [np.mean([drawn[pick[k, d], d] for k in range(3)], axis=0) for d in range(50)]
    assert np.allclose(scores.mean_anew(drawn, seed=4), want)
    turned = scores.mean_anew(drawn.swapaxes(0, 1), axis=1, seed=4)
    assert turned.shape == (50, *shape[2:]) and abs(turned.mean() - drawn.mean()) < 0.2
