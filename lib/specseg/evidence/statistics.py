"""Scores from counts per picture, pooled over folds, and their intervals by resampling clusters of pictures.

A network's result on a test set is an array of counts (pictures, classes, 3): pixels hit, labelled, predicted, void
left out. mIoU pools the counts over pictures, as a data set's IoU is computed. Intervals are percentile bootstraps that
draw whole clusters (tiles, stretches of a drive, pictures); a difference or a drop uses the same draws on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

DRAWS, LEVEL = 1000, 0.95


def class_counts(pred: Tensor, label: Tensor, num_classes: int, *, ignore_index: int = 255) -> np.ndarray:
    """Return pixels hit, labelled and predicted per picture and class, int64 (B, C, 3); void labels are left out.

    `pred` and `label` are (B, H, W). Raises ValueError for unequal shapes and values outside 0 .. C-1.

    >>> class_counts(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 255]]]), 2).tolist()
    [[[1, 2, 1], [0, 0, 1]]]
    """
    if pred.shape != label.shape or label.ndim != 3:
        raise ValueError(f"pred {tuple(pred.shape)}, label {tuple(label.shape)}: expected equal shapes (B, H, W)")
    out = np.zeros((len(label), num_classes, 3), np.int64)
    for i, (p, t) in enumerate(zip(pred, label, strict=True)):
        known = t != ignore_index
        p, t = p[known], t[known]
        for name, x in (("pred", p), ("label", t)):
            if x.numel() and (int(x.min()) < 0 or int(x.max()) >= num_classes):
                raise ValueError(f"{name}: values {int(x.min())} .. {int(x.max())}, expected 0 .. {num_classes - 1}")
        for k, x in enumerate((t[p == t], t, p)):
            out[i, :, k] = torch.bincount(x, minlength=num_classes).numpy()
    return out


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


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentile interval of draws; NaN draws (a class that no draw holds) are left out.

    >>> tuple(round(v, 3) for v in interval(np.arange(101.0), 0.9))
    (5.0, 95.0)
    """
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


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
    pick = np.random.default_rng(seed + 1).integers(0, len(pairs), drawn.shape)
    return value, np.take_along_axis(drawn, pick, axis=0).mean(0)
