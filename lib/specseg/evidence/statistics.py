"""Scores from counts per picture, and the intervals of the library: by clusters of pictures, over runs, over units.

A network's result on a test set is an array of counts (pictures, classes, 3), those of `spectral.iou.class_counts`.
mIoU pools the counts over pictures, as a data set's IoU is computed. Intervals are percentile bootstraps that draw
whole clusters (tiles, stretches of a drive, pictures); a difference or a drop uses the same draws on both sides.
Lines and ranks are in `fits`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS, LEVEL = 1000, 0.95


def iou(counts: np.ndarray) -> np.ndarray:
    """Return hit / (labelled + predicted - hit) of counts (..., C, 3), float64 (..., C); NaN where a class is nowhere.

    >>> iou(np.array([[1, 2, 1], [0, 0, 1]])).tolist()
    [0.5, 0.0]
    """
    hit, labelled, predicted = np.moveaxis(np.asarray(counts, float), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hit / (labelled + predicted - hit)


def miou(counts: np.ndarray, scored: Sequence[int] | None = None) -> np.ndarray:
    """Return the mean IoU over the scored classes that occur, of counts (..., C, 3).

    >>> float(miou(np.array([[1, 2, 1], [0, 0, 1]])))
    0.25
    """
    values = iou(counts)
    values = values if scored is None else values[..., list(scored)]
    return np.nanmean(values, axis=-1)


def weights(clusters: Sequence[str], draws: int = DRAWS, *, seed: int = 0) -> np.ndarray:
    """Return how often each draw takes each picture, (draws, pictures): whole clusters, as many as there are.

    With one cluster nothing varies: the interval is then a point, and must not be read as certainty.

    >>> w = weights(["a", "a", "b"], draws=50); bool((w[:, 0] == w[:, 1]).all()), bool((w[:, 0] + w[:, 2] == 2).all())
    (True, True)
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(names), (draws, len(names)))
    times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
    return times[:, index].astype(float)


def pooled(counts: np.ndarray, draws: np.ndarray | None = None) -> np.ndarray:
    """Return counts summed over pictures, (C, 3), or weighted by each draw, (draws, C, 3)."""
    if draws is None:
        return counts.sum(0)
    return np.tensordot(draws, counts.astype(float), axes=(1, 0))


def resampled(clusters: Sequence, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Return what `weights` gives under a first row of ones, the data itself: (draws + 1, pictures).

    The same law from another stream, one multinomial per draw: numbers on record were drawn with it.

    >>> resampled(["a", "a", "b"], 2)[0].tolist()
    [1.0, 1.0, 1.0]
    """
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    counts = np.random.default_rng(seed).multinomial(len(names), [1 / len(names)] * len(names), size=draws)
    return np.vstack([np.ones(len(member)), counts[:, member]]).astype(float)


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of draws; NaN draws (a class that no draw holds) are left out.

    `scipy.stats.bootstrap` would draw anew, and numbers on record rest on our draws of whole clusters.

    >>> tuple(round(v, 3) for v in interval(np.arange(101.0), 0.9))
    (5.0, 95.0)
    """
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def estimate(value: float, drawn: np.ndarray, level: float = LEVEL) -> dict[str, float]:
    """Return value, low, high: the percentile interval of draws, widened to hold the value (bootstraps have a bias).

    A resample that misses a rare class, for one, has a mean IoU of other classes. NaN where no draw is finite.

    >>> estimate(2.0, np.array([0.0, 1.0, 1.0]))["high"]
    2.0
    """
    low, high = interval(drawn, level) if np.isfinite(drawn).any() else (np.nan, np.nan)
    if np.isnan(low):
        return {"value": float(value), "low": low, "high": high}
    return {"value": float(value), "low": float(np.fmin(low, value)), "high": float(np.fmax(high, value))}


def mean_of_clusters(values: Sequence[float], clusters: Sequence, over: Sequence[float] | None = None) -> dict:
    """Return value, low, high, n, clusters of a mean, or of the sum of `values` over that of `over`; by clusters.

    One cluster alone has no interval: low and high are then NaN.

    >>> mean_of_clusters([1.0, 3.0], ["a", "a"])["value"], mean_of_clusters([1.0, 3.0], ["a", "b"])["low"]
    (2.0, 1.0)
    """
    top = np.asarray(values, float)
    bottom = np.ones_like(top) if over is None else np.asarray(over, float)
    times, count = resampled(clusters), len(set(clusters))
    draws = (times @ top) / (times @ bottom)
    return {**estimate(draws[0], draws[1:] if count > 1 else np.array([])), "n": len(top), "clusters": count}


def share_of_units(parts: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of a share, each unit one case that counts by its own share.

    It is wide, as it must be: three of three units leave three tenths possible.

    >>> tuple(round(v, 3) for v in share_of_units([1.0, 1.0, 1.0]))
    (0.292, 1.0)
    """
    from scipy.special import betaincinv

    k, n, tail = float(sum(parts)), len(parts), (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def mean_of_runs(values: Sequence[float], level: float = LEVEL) -> dict[str, float]:
    """Return value, low, high: mean over independent runs and its t-interval; of one run, low and high are NaN.

    >>> {k: round(v, 2) for k, v in mean_of_runs([1.0, 3.0]).items()}      # t(0.975, 1) = 12.71, standard error 1
    {'value': 2.0, 'low': -10.71, 'high': 14.71}
    """
    from scipy import stats  # half a second to load

    x = np.asarray(values, float)
    mean, half = float(x.mean()), float("nan")
    if len(x) > 1:  # not `stats.t.interval`, which is NaN where all runs agree
        half = float(stats.t.ppf((1 + level) / 2, len(x) - 1) * stats.sem(x))
    return {"value": mean, "low": mean - half, "high": mean + half}


def mean_anew(drawn: np.ndarray, axis: int = 0, seed: int = 0) -> np.ndarray:
    """Return the mean over units (seeds, setups, domains) that each draw takes anew, with replacement.

    `drawn` is (units, draws, ...), or (draws, units, ...) with axis=1; the result (draws, ...).

    >>> mean_anew(np.full((3, 4), 2.0)).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    pick = np.random.default_rng(seed).integers(0, drawn.shape[axis], drawn.shape[:2])
    pick = pick.reshape(pick.shape + (1,) * (drawn.ndim - 2))
    return np.take_along_axis(drawn, pick, axis).mean(axis)


def drop_draws(
    full: Sequence[np.ndarray],
    reduced: Sequence[np.ndarray],
    clusters: Sequence[str],
    scored: Sequence[int] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, np.ndarray]:
    """Return the relative mIoU-drop (full - reduced) / full, and its draws over clusters and over seeds.

    `full` and `reduced` hold one array of counts (pictures, C, 3) per seed, the same pictures in the same order. Drops
    are averaged over seeds; each draw takes clusters, and seeds, with replacement. Raises ValueError when the numbers
    of seeds differ.

    >>> a = np.array([[[2, 2, 2]], [[2, 2, 2]]]); b = np.array([[[1, 2, 1]], [[1, 2, 1]]])
    >>> drop, drawn = drop_draws([a], [b], ["x", "y"], draws=10); round(drop, 4), len(drawn)
    (0.5, 10)
    """
    if len(full) != len(reduced) or not len(full):
        raise ValueError(f"drop_draws: {len(full)} full and {len(reduced)} reduced results: expected equal numbers")
    chosen = weights(clusters, draws, seed=seed)
    pairs = list(zip(full, reduced, strict=True))

    def drop(w: np.ndarray | None, pair) -> np.ndarray:
        before, after = (miou(pooled(counts, w), scored) for counts in pair)
        return (before - after) / before

    value = float(np.mean([drop(None, pair) for pair in pairs]))
    drawn = np.stack([drop(chosen, pair) for pair in pairs])  # (seeds, draws)
    return value, mean_anew(drawn, seed=seed + 1)
