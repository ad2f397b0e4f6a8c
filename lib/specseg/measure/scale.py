"""A network on its pictures at several scales: what truncated logits score, its loss beyond band limits, labels alone.

The frame scales with the picture: the same contours meet a grid of half or twice the points a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from specseg.measure.loss import LossParts
from specseg.measure.truncation import FULL, LOGITS, Answers, Condition, Counts
from specseg.nets.models import SegmentationNet
from specseg.nets.models.base import grids
from specseg.nets.models.truncation import resize
from specseg.spectral.cross_entropy import truncated_cross_entropy, truncated_from_grid
from specseg.spectral.iou import class_counts
from specseg.spectral.labels import contour_length, fill_void
from specseg.spectral.spectrum import BOUNDARIES, nu_max

Batches = Iterable[tuple[Tensor, Tensor, Sequence[str]]]


def at_size(net: SegmentationNet, size: int) -> SegmentationNet:
    """Let a network of ours read frames of another size, and return it: weights and dilations as they were trained.

    >>> from specseg.nets.models import build
    >>> net = at_size(build("deeplabv3plus", backbone="tiny", num_classes=3, input_size=129, width=8), 65)
    >>> net.prediction_grid, tuple(net(torch.zeros(2, 3, 65, 65)).shape)
    (17, (2, 3, 65, 65))
    """
    net.input_size, net.lrg_size = size, None
    net.feature_grid, net.prediction_grid = grids(size, net.output_stride)
    return net


@torch.no_grad()
def network_parts(
    net, batches: Batches, sizes: Sequence[int], *, tell: Callable[[str], None] = lambda _: None
) -> tuple[Counts, LossParts]:
    """Return the counts of every picture with logits whole and cut to `sizes` points, and its loss beyond half of them.

    The loss is read periodic and mirrored, from logits in single precision. Raises ValueError without a batch.
    """
    net.eval()
    answers = Answers(net)
    limits = [nu_max(s) for s in sizes]
    names, counts, totals, tails = [], [], [], []
    for images, labels, who in batches:
        grid = net.decode(net.encode(images))
        shape, chosen = labels.shape[-2:], [Condition(FULL, 0), *(Condition(LOGITS, s) for s in sizes)]
        kept = [answers(grid, shape, one) for one in chosen]
        counts.append(np.stack([class_counts(y, labels, net.num_classes).cpu().numpy() for y in kept]))
        if net.corners:
            truncated, seen = truncated_from_grid, grid
        else:
            truncated, seen = truncated_cross_entropy, net.read(grid, shape)
        read = truncated(seen.float(), labels, limits, boundary=BOUNDARIES)
        totals.append(torch.stack([r.total for r in read]).cpu())
        tails.append(torch.stack([r.total[:, None] - r.kept for r in read]).cpu())
        names += who
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    total, tail = (torch.cat(x, 1).numpy() for x in (totals, tails))
    return counted(names, counts, sizes), loss_of(names, total, tail, limits)


def loss_of(names: Sequence[str], total: np.ndarray, tail: np.ndarray, limits: Sequence[int]) -> LossParts:
    """Return `LossParts` of the plain readings alone, periodic and mirrored: total (2, n), tail (2, n, K)."""
    return LossParts(BOUNDARIES, tuple(limits), list(names), total, tail)


def label_parts(batches: Batches, sizes: Sequence[int], classes: int) -> tuple[Counts, np.ndarray]:
    """Return what the true labels score after the same cut, and their contour, in sides of the frame, by picture.

    Void gets its nearest label before the cut and for the contour, and is left out of the score.

    >>> labels = torch.zeros(1, 65, 65, dtype=torch.long)
    >>> labels[0, 16:48, 16:48] = 1
    >>> found, contour = label_parts([(None, labels, ["a"])], [33, 9], 2)
    >>> [int(c[0, 1, 0]) for c in found.counts], round(float(contour[0]), 1)
    ([1024, 961, 781], 1.8)
    """
    names, counts, contours = [], [], []
    for _, labels, who in batches:
        for label, name in zip(labels.cpu(), who, strict=True):
            filled = fill_void(label)
            present = filled.unique()
            planes = (filled == present[:, None, None])[None].float()
            kept = (filled[None], *(present[resize(resize(planes, s), len(filled)).argmax(1)] for s in sizes))
            counts.append(np.stack([class_counts(y, label[None], classes).numpy() for y in kept]))
            contours.append(contour_length(label, classes))
            names.append(name)
    return counted(names, counts, sizes), np.array(contours)


def counted(names: Sequence[str], counts: Sequence[np.ndarray], sizes: Sequence[int]) -> Counts:
    """Return counts (conditions, pictures, C, 3) in parts of pictures, whole logits first, without boundaries."""
    chosen = [Condition(FULL, 0), *(Condition(LOGITS, s) for s in sizes)]
    whole = np.concatenate(counts, 1)
    return Counts(chosen, list(names), whole, np.full((*whole.shape[:-1], 2), -1))
