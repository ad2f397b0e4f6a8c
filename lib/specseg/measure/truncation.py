"""What feature truncation does to a trained network: counts per picture at every LRG size (section 3.2, Table 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from specseg.evidence import statistics as scores
from specseg.nets.models import SegmentationNet
from specseg.nets.models.truncation import METHODS, resize
from specseg.spectral import iou as metrics
from specseg.spectral._low_band import waves
from specseg.spectral.spectrum import nu_max

FULL = "full"
ENCODER = "encoder"
LOGITS, LOW_PASS = "logits bilinear", "logits low pass"
SENSITIVITY = ("bilinear_half_pixel", "bilinear_antialias")


class Condition(NamedTuple):
    """How features are truncated: "full" (not at all), a method of `models.truncation` at an LRG size, or "encoder".

    "encoder" takes the backbone's last feature at stride 8 to `lrg_size` and back, with the decoder untouched.
    "logits bilinear" takes the full-size logits to the LRG and back, "logits low pass" cuts off what is above its
    limit.
    """

    method: str
    lrg_size: int


class Counts(NamedTuple):
    """Result of a test set: `counts` (conditions, pictures, C, 3); `boundary` (conditions, pictures, C, 2).

    `counts` are pixels hit, labelled, predicted; `boundary` the intersection and the union of the boundary regions of
    Eq. 33, -1 where they were not measured. `names` are the pictures'.
    """

    conditions: list[Condition]
    names: list[str]
    counts: np.ndarray
    boundary: np.ndarray


def conditions(net: SegmentationNet, sizes: Sequence[int]) -> list[Condition]:
    """Return all conditions for the LRG sizes, full grid first: bilinear and Fourier at each, others at half the grid.

    >>> from specseg.nets.models import build
    >>> net = build("deeplabv3plus", backbone="tiny", num_classes=3, input_size=65, width=8)
    >>> [tuple(c) for c in conditions(net, (17, 9))][:3]
    [('full', 17), ('bilinear', 9), ('fourier', 9)]
    """
    grid = net.prediction_grid
    half = (grid - 1) // 2 + 1
    smaller = [s for s in sizes if s < grid]
    out = [Condition(FULL, grid)]
    out += [Condition(method, size) for size in smaller for method in ("bilinear", "fourier")]
    out += [Condition(method, half) for method in SENSITIVITY]
    return [*out, Condition(ENCODER, (net.input_size - 1) // 16 + 1)]


@contextmanager
def encoder_truncated(net: SegmentationNet, size: int):
    """Within the block the backbone's last feature at stride 8 goes to `size` points a side, bilinearly, and back."""

    def squeeze(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return resize(resize(output, size), output.shape[-1])

    with net.backbone.get_submodule(net.backbone.mid).register_forward_hook(squeeze):
        yield net


def boundary_width(size: int) -> int:
    """Return the width of the boundary region: 2 % of the frame's diagonal, as Cheng et al. 2021 use.

    >>> boundary_width(257), boundary_width(513)
    (7, 15)
    """
    return max(1, round(0.02 * size * 2**0.5))


@torch.no_grad()
def truncation_counts(
    net: SegmentationNet,
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    chosen: Sequence[Condition],
    *,
    scored: Sequence[int] | None = None,
    boundary: Sequence[str] = (FULL, "bilinear"),
    tell: Callable[[str], None] = lambda _: None,
) -> Counts:
    """Return what a trained network scores under every condition, picture by picture, against the true labels.

    The encoder runs once a batch (and once more for "encoder"), the decoder once a condition. `scored` are the classes
    whose boundaries are measured, for the methods in `boundary`. Raises ValueError without a batch.
    """
    net.eval()
    answers = Answers(net)
    names, counts, edges = [], [], []
    for images, labels, who in batches:
        features, shape, part, near = net.encode(images), labels.shape[-2:], [], []
        with net.truncated(None):
            whole = net.decode(features)
        for method, size in chosen:
            grid = whole
            if method == ENCODER:
                with encoder_truncated(net, size), net.truncated(None):
                    grid = net.decode(net.encode(images))
            elif method in METHODS:
                with net.truncated(size, method):
                    grid = net.decode(features)
            pred = answers(grid, shape, Condition(method, size))
            part.append(metrics.class_counts(pred, labels, net.num_classes).cpu().numpy())
            blank = np.full((len(labels), net.num_classes, 2), -1, np.int64)
            near.append(_edges(pred, labels, scored, net.num_classes) if method in boundary else blank)
        names += list(who)
        counts.append(np.stack(part))
        edges.append(np.stack(near))
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    return Counts(list(chosen), names, np.concatenate(counts, 1), np.concatenate(edges, 1))


class Answers:
    """The classes that a network's grid logits mean in a frame, under any condition on the full-size logits.

    Reading a grid, cutting full-size logits to an LRG and their low pass are linear and work along each axis by itself:
    so matrices of the grid's points do it, and no full-size logits are made.
    """

    def __init__(self, net: SegmentationNet) -> None:
        self.net = net
        self.known: dict = {}

    def __call__(self, grid: Tensor, shape: Sequence[int], condition: Condition) -> Tensor:
        """Return the classes (B, H, W) of grid logits (B, C, h, w) that the network reads at (H, W) pixels."""
        ways = [self.along(*axis, condition, grid) for axis in zip(grid.shape[-2:], shape, strict=True)]
        (first, rows), (second, cols) = ways
        planes = grid if first is None else first @ grid @ second.T
        return torch.stack([metrics.strongest(y, rows, cols) for y in planes])

    def along(self, points: int, pixels: int, condition: Condition, like: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return what an axis of `points` passes through on its way to `pixels`: a matrix or none, then a second."""
        cut = condition if condition.method in (LOGITS, LOW_PASS) else Condition(FULL, 0)
        key = points, pixels, cut, like.dtype, like.device
        if key not in self.known:
            unit = torch.eye(max(points, cut.lrg_size), dtype=like.dtype, device=like.device)[None, :, :, None]
            read, first = self.net.read(unit[:, :points, :points], (pixels, 1)), None
            if cut.method == LOGITS:
                first = resize(read, (cut.lrg_size, 1))[0, :, :, 0].T
                read = resize(unit[:, : cut.lrg_size, : cut.lrg_size], (pixels, 1))
            second = read[0, :, :, 0].T
            if cut.method == LOW_PASS:
                low = waves(pixels, nu_max(cut.lrg_size), "periodic", like.dtype, like.device).sums.diff(dim=0)
                first, second = low.T @ second / pixels, low
                if points <= low.shape[1]:
                    first, second = None, low @ first
            self.known[key] = first, second
        return self.known[key]


def _edges(pred: Tensor, labels: Tensor, scored: Sequence[int] | None, num_classes: int) -> np.ndarray:
    """Return `iou.boundary_counts` of each picture, (B, C, 2); 0 for classes that are not scored."""
    width, out = boundary_width(labels.shape[-1]), np.zeros((len(labels), num_classes, 2), np.int64)
    chosen = list(range(num_classes) if scored is None else scored)
    for k, (p, t) in enumerate(zip(pred, labels, strict=True)):
        out[k, chosen] = metrics.boundary_counts(p, t, width, num_classes)[chosen].cpu().numpy()
    return out


def boundary_miou(boundary: np.ndarray, scored: Sequence[int]) -> float:
    """Return the mean over scored classes of summed intersection over summed union of boundary regions (..., C, 2)."""
    both, either = boundary.astype(float).reshape(-1, *boundary.shape[-2:]).sum(0).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nanmean((both / either)[list(scored)]))


def table(got: Counts, clusters: Sequence[str], scored: Sequence[int], classes: Sequence[str]) -> pd.DataFrame:
    """Return tidy rows of a test set's counts: drop, mIoU, IoU of each scored class, boundary IoU, by condition."""
    rows = []
    for k, (method, size) in enumerate(got.conditions):
        shared = {"method": method, "lrg_size": size, "n": len(got.names), "unit": "1"}
        drop, drawn = scores.drop_draws([got.counts[0]], [got.counts[k]], clusters, scored)
        low, high = scores.interval(drawn)
        pooled = scores.pooled(got.counts[k])
        rows.append({**shared, "metric": "relative_drop", "class": "scored", "value": drop, "low": low, "high": high})
        rows.append({**shared, "metric": "miou", "class": "scored", "value": float(scores.miou(pooled, scored))})
        rows += [{**shared, "metric": "iou", "class": classes[c], "value": v}
                 for c, v in enumerate(scores.iou(pooled)) if c in scored]  # fmt: skip
        if got.boundary[k].max() >= 0:
            edge = boundary_miou(got.boundary[k], scored)
            rows.append({**shared, "metric": "boundary_miou", "class": "scored", "value": edge})
    return pd.DataFrame(rows)


def score_rows(counts: np.ndarray, clusters, scored, classes, **shared) -> list[dict]:
    """Return the rows of a predictor's counts (pictures, C, 3): mIoU with its interval, IoU of each class."""
    pooled, shared = scores.pooled(counts), {**shared, "n": len(counts), "unit": "1"}
    low, high = scores.interval(scores.miou(scores.pooled(counts, scores.weights(clusters)), scored))
    rows = [{**shared, "metric": "miou", "class": "scored", "low": low, "high": high,
             "value": float(scores.miou(pooled, scored))}]  # fmt: skip
    each = zip(classes, scores.iou(pooled), strict=True)
    return rows + [{**shared, "metric": "iou", "class": c, "value": v} for c, v in each]
