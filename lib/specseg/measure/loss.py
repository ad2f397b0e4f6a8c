"""A trained network's cross-entropy in frequency on a test set: rims of L_ce, spectra, R_ce in every reading (Fig. 1).

R_ce comes from the kernels of `spectral.cross_entropy`, on the prediction grid where the network has one. `class_rims`
splits Re L_ce(nu) by the class of the label and by the rim of the growing boxes: what Fig. 1 draws. Forward 1/N, nu in
cycles per frame, means over all pixels.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.data.samples import DataSet
from specseg.data.transforms import to_pair
from specseg.evidence.statistics import interval, miou, weights
from specseg.nets.models import SegmentationNet
from specseg.spectral import _low_band as low_band
from specseg.spectral import spectrum as sp
from specseg.spectral.cross_entropy import Truncated, truncated_cross_entropy, truncated_from_grid
from specseg.spectral.iou import class_counts
from specseg.spectral.labels import fill_void


class Reading(NamedTuple):
    """One way to read the loss of a frame: its boundary; logits over the temperature; void filled; the padded frame."""

    boundary: str = "periodic"
    calibrated: bool = False
    filled: bool = False
    padded: bool = False


READINGS = {
    "periodic": Reading(), "mirrored": Reading("mirrored"), "periodic, calibrated": Reading(calibrated=True),
    "mirrored, calibrated": Reading("mirrored", calibrated=True), "periodic, void filled": Reading(filled=True),
    "periodic, padded frame": Reading(padded=True),
}  # fmt: skip
VARIANTS = tuple(READINGS)
Pair = tuple[Tensor, Tensor]  # logits and labels of a batch


class LossParts(NamedTuple):
    """Per-picture parts of R_ce: `total` (variants, pictures) L_CE, `tail` (variants, pictures, K) beyond each limit.

    `class_rims` (2, C, nyquist + 1): Re L_ce(nu) by class and rim, mean over pictures, periodic and mirrored.
    `power`: quantity -> (nyquist + 1,), mean over pictures, of "labels", "logits". `soft` (pictures, C, K + 2): overlap
    p(nu_max) of softmax and labels at each limit, at all frequencies, and s(0) + b(0), periodic (Eqs 25, 27).
    """

    variants: tuple[str, ...]
    limits: tuple[int, ...]
    names: list[str]
    total: np.ndarray
    tail: np.ndarray
    class_rims: np.ndarray = np.zeros((2, 0, 0))
    power: Mapping[str, np.ndarray] = MappingProxyType({})
    soft: np.ndarray = np.zeros((2, 0, 0))


def class_rims(logits: Tensor, labels: Tensor, *, boundary: str = "periodic", ignore_index: int = 255) -> Tensor:
    """Return -sum over a rim of Re b(-nu, c) F(log softmax Y)(nu, c), float64 (C, nyquist + 1), for one picture.

    `logits` (C, H, W), `labels` (H, W). Summed over classes it is Re L_ce of Eq. 2 by rim, over everything L_CE.
    Raises ValueError for an unknown boundary or shapes that do not fit.

    >>> rims = class_rims(torch.zeros(2, 1, 3), torch.tensor([[0, 1, 1]]))
    >>> rims.sum(1).mul(3).round(decimals=3)                   # log 2 at one pixel of class 0 and two of class 1
    tensor([0.6930, 1.3860], dtype=torch.float64)
    """
    if logits.ndim != 3 or logits.shape[1:] != labels.shape:
        raise ValueError(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected (C, H, W) and (H, W)")
    classes, planes = low_band.label_spectra(labels, ignore_index, len(logits), boundary)
    return _class_rims(logits[classes].double() - logits.double().logsumexp(0), classes, planes, len(logits), boundary)


def _class_rims(logp: Tensor, classes: Tensor, planes: Tensor, num_classes: int, boundary: str) -> Tensor:
    """Return `class_rims` from log softmax (P, H, W) of the label's classes and the coefficients of their planes."""
    shape = tuple(logp.shape[1:])
    products = planes * low_band.coefficients(logp, shape, boundary)
    out = torch.zeros(num_classes, max(shape) // 2 + 1, dtype=torch.float64, device=logp.device)
    return out.index_copy_(0, classes, -low_band.rims(products, shape, boundary))


def _spectra(logits: Tensor, labels: Tensor, limits: Sequence[int]) -> tuple[Tensor, list[Tensor], np.ndarray]:
    """Return `class_rims` of both boundaries, the power of labels and logits by rim, and `soft`, of one picture.

    `logits` (C, h, w) float64 may be those of a grid with its corners on the frame's.
    """
    shape, count = tuple(labels.shape), len(logits)
    found = {b: low_band.label_spectra(labels, 255, count, b) for b in sp.BOUNDARIES}
    classes, b = found["periodic"]
    logp, area = _softmax(logits, labels, classes)
    rims = torch.stack([_class_rims(logp, *own, count, boundary) for boundary, own in found.items()])
    s = low_band.coefficients(logp.exp() * (labels != 255), shape, "periodic")
    area[classes] += b[:, 0, 0]
    power = sum(low_band.coefficients(y, shape, "periodic").square().sum(0) for y in logits.split(1))
    of_labels, of_logits, overlap = (low_band.rims(x, shape, "periodic") for x in (b.square().sum(0), power, b * s))
    overlap = torch.zeros_like(rims[0]).index_copy_(0, classes, overlap)
    whole = overlap.sum(1, keepdim=True)
    soft = torch.cat([whole - sp.beyond(overlap)[:, list(limits)], whole, area[:, None]], 1)
    return rims, [of_labels, of_logits], soft.cpu().numpy()


def _softmax(logits: Tensor, labels: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return log softmax (P, H, W) of some classes, and the mean over the frame (C,) of softmax at labelled pixels."""
    block = low_band.grid_rows(logits, labels.shape)
    step = low_band.block_size(len(logits) * labels.shape[1], logits.device, logits.itemsize)
    out, area = logits.new_empty(len(classes), *labels.shape), logits.new_zeros(len(logits))
    for first in range(0, len(labels), step):
        rows = slice(first, first + step)
        y = block(first, min(first + step, len(labels)))
        y = y - y.amax(0)
        chosen = y[classes]
        total = y.exp_().sum(0)
        out[:, rows] = chosen - total.log()
        area += y.flatten(1) @ ((labels[rows] != 255) / total).flatten()
    return out, area / labels.numel()


def rim_rows(parts: LossParts) -> list[dict]:
    """Return tidy rows metric, variant, nu, value of the loss by rim (both boundaries) and of the spectra's power."""
    values = {("loss_rim", b): rims.sum(0) for b, rims in zip(sp.BOUNDARIES, parts.class_rims, strict=True)}
    values |= {(f"{name}_rim", "periodic"): power for name, power in parts.power.items()}
    return [{"metric": metric, "variant": variant, "nu": nu, "value": v}
            for (metric, variant), rims in values.items() for nu, v in enumerate(rims)]  # fmt: skip


@torch.no_grad()
def course_rows(
    nets: Iterable[tuple[int, SegmentationNet]],
    batches: Sequence[tuple[Tensor, Tensor, Sequence[str]]],
    scored: Sequence[int] | None = None,
) -> list[dict]:
    """Return tidy rows step, n, metric, nu, value of (step, network) pairs: L_ce by rim, mIoU of the scored classes."""
    rows = []
    for step, net in nets:
        rims, counts = [], []
        for images, labels, _ in batches:
            logits = net(images)
            rims += [class_rims(y, t).sum(0) for y, t in zip(logits, labels, strict=True)]
            counts.append(class_counts(logits.argmax(1), labels, net.num_classes).cpu().numpy())
        shared = {"step": step, "n": len(rims)}
        rows += [{**shared, "metric": "loss_rim", "nu": nu, "value": v}
                 for nu, v in enumerate((sum(rims) / len(rims)).tolist())]  # fmt: skip
        rows.append({**shared, "metric": "miou", "value": float(miou(np.concatenate(counts).sum(0), scored))})
    return rows


@torch.no_grad()
def calibrated_temperature(net: SegmentationNet, batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]]) -> float:
    """Return the T that minimises the mean cross-entropy of logits / T over labelled pixels (temperature scaling).

    Take batches of the training split: a temperature fitted to the test would be a look at it. T is sought in
    0.2 .. 5 (bounded Brent); every 7th pixel is used.
    """
    from scipy import optimize

    logits, labels = [], []
    for images, target, _ in batches:
        known = target != 255
        logits.append(net(images).permute(0, 2, 3, 1)[known][::7])
        labels.append(target[known][::7])
    y, t = torch.cat(logits), torch.cat(labels)
    found = optimize.minimize_scalar(
        lambda log_t: float(F.cross_entropy(y / np.exp(log_t), t)), bounds=(np.log(0.2), np.log(5.0)), method="bounded"
    )
    return float(np.exp(found.x))


def letterbox(images: Tensor, labels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return a picture whose long side is `size`, padded at its end with mean colour and void: a frame with padding.

    `images` (3, H, W) in [0, 1] and `labels` (H, W) of any shape. The paper's padded frame in kind: what it does with
    pictures smaller than its 513 pixels is not said.
    """
    height, width = labels.shape
    scale = size / max(height, width)
    rows, cols = (min(size, max(1, round(n * scale))) for n in (height, width))
    image = F.interpolate(images[None], size=(rows, cols), mode="bilinear", align_corners=False, antialias=True)[0]
    target = F.interpolate(labels[None, None].float(), size=(rows, cols), mode="nearest-exact")[0, 0].long()
    frame = torch.tensor([124.0, 116.0, 104.0]).div(255)[:, None, None].expand(3, size, size).clone()
    void = torch.full((size, size), 255)
    frame[:, :rows, :cols], void[:rows, :cols] = image, target
    return frame, void


def padded_frames(data: DataSet, size: int, rows: Sequence[int] | None = None) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Yield pictures of a data set, with labels and names, in frames whose long side fits: see `letterbox`."""
    for i in range(len(data)) if rows is None else rows:
        image, mask = to_pair(data.image(i), data.label(i))
        yield (*letterbox(torch.as_tensor(image).float() / 255, torch.as_tensor(mask)[0], size), data.ids[i])


def batched(items: Iterable[tuple[Tensor, Tensor, str]], batch: int = 4, device: torch.device | str = "cpu"
            ) -> Iterator[tuple[Tensor, Tensor, tuple[str, ...]]]:  # fmt: skip
    """Yield batches of pictures, labels and names on a device; bytes become numbers in [0, 1]."""
    kept = iter(items)
    while group := tuple(itertools.islice(kept, batch)):
        images, labels = (torch.stack([one[k] for one in group]).to(device) for k in (0, 1))
        yield images.float() / 255 if images.dtype == torch.uint8 else images, labels.long(), tuple(g[2] for g in group)


@torch.no_grad()
def loss_parts(
    net: SegmentationNet,
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    limits: Sequence[int],
    *,
    temperature: float = 1.0,
    padded: Iterable[tuple[Tensor, Tensor, Sequence[str]]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> LossParts:
    """Return a network's loss in frequency over a test set, picture by picture, in every variant of `VARIANTS`.

    `temperature` divides the logits of the calibrated variants. `padded` yields the same pictures in padded frames;
    without it that variant is NaN. Raises ValueError without a batch.
    """
    net.eval()
    names, totals, tails, soft, rims, powers = [], [], [], [], [], []
    others = iter(padded) if padded is not None else None
    for images, labels, who in batches:
        logits, truncated = _logits(net, images)
        frames = next(others) if others is not None else None
        frames = None if frames is None else (_logits(net, frames[0])[0], frames[1])
        for y, t in zip(logits, labels, strict=True):
            for parts, found in zip((rims, powers, soft), _spectra(y, t, limits), strict=True):
                parts.append(found)
        plain = torch.stack(rims[-len(labels) :], 1).sum(2)  # of both boundaries, (2, B, nyquist + 1)
        read = [(by_rim.sum(1), sp.beyond(by_rim)[:, list(limits)]) for by_rim in plain]
        read += [one for _, alike in itertools.groupby(list(READINGS.values())[2:], lambda how: how[1:])
                 for one in _read(list(alike), (logits, labels), frames, truncated, limits, temperature)]  # fmt: skip
        totals.append(torch.stack([total for total, _ in read]))
        tails.append(torch.stack([tail for _, tail in read]))
        names += who
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    mean = [(sum(p) / len(names)).cpu().numpy() for p in zip(*powers, strict=True)]
    power = dict(zip(("labels", "logits"), mean, strict=True))
    total, tail, rims = (x.cpu().numpy() for x in (torch.cat(totals, 1), torch.cat(tails, 1), sum(rims) / len(names)))
    return LossParts(VARIANTS, tuple(limits), names, total, tail, rims, power, np.stack(soft))


def joined(parts: Sequence[LossParts]) -> LossParts:
    """Return the parts of several groups of pictures as those of all of them, in this order."""
    n = [len(p.names) for p in parts]
    first = parts[0]
    return LossParts(
        first.variants, first.limits, [name for p in parts for name in p.names],
        np.concatenate([p.total for p in parts], 1), np.concatenate([p.tail for p in parts], 1),
        np.average([p.class_rims for p in parts], 0, n),
        {k: np.average([p.power[k] for p in parts], 0, n) for k in first.power},
        np.concatenate([p.soft for p in parts]),
    )  # fmt: skip


def rate_rows(parts: LossParts, clusters: Sequence[str]) -> list[dict]:
    """Return tidy rows of R_ce: every variant, average and limit, with intervals over clusters of pictures."""
    draws, rows, shared = weights(clusters), [], {"n": len(parts.names), "unit": "1"}
    for variant, average in itertools.product(parts.variants, ("ratio_of_means", "mean_of_ratios")):
        values = rates(parts, variant, average=average)
        drawn = rates(parts, variant, average=average, weights=draws)
        for k, nu_max in enumerate(parts.limits):
            if np.isfinite(values[k]):
                low, high = interval(drawn[:, k])
                rows.append({**shared, "metric": "r_ce", "variant": variant, "average": average, "nu_max": nu_max,
                             "value": values[k], "low": low, "high": high})  # fmt: skip
    return rows


def _read(
    readings: Sequence[Reading], seen: Pair, frames: Pair | None, truncated: Callable[..., list[Truncated]],
    limits: Sequence[int], temperature: float,
) -> list[tuple[Tensor, Tensor]]:  # fmt: skip
    """Return L_CE (B,) and the tail beyond each limit (B, K) of a batch in readings that differ in boundary alone; NaN
    without its frames."""
    reading = readings[0]
    if reading.padded and frames is None:
        missing = seen[0].new_full((len(seen[1]), 1 + len(limits)), float("nan"))
        return [(missing[:, 0], missing[:, 1:])] * len(readings)
    logits, labels = frames if reading.padded else seen
    if reading.filled:
        filled = [fill_void(x) if bool((x != 255).any()) else x for x in labels.cpu()]
        labels = torch.stack(filled).to(labels.device)
    logits = logits / temperature if reading.calibrated else logits
    read = truncated(logits, labels, limits, boundary=[r.boundary for r in readings])
    return [(total, total[:, None] - kept) for total, kept, _ in read]


def _logits(net: SegmentationNet, images: Tensor) -> tuple[Tensor, Callable[..., list[Truncated]]]:
    """Return logits in float64 and what truncates their loss: on the grid where corners lie on corners."""
    if getattr(net, "corners", False):  # others have pixel centres
        return net.grid_logits(images).double(), truncated_from_grid
    return net(images).double(), truncated_cross_entropy


def rates(parts: LossParts, variant: str, *, average: str = "ratio_of_means", weights: np.ndarray | None = None):
    """Return R_ce at each limit, (K,), or (draws, K) for bootstrap `weights` (draws, pictures) (Eq. 10).

    Raises ValueError for an unknown variant or average.
    """
    if variant not in parts.variants:
        raise ValueError(f"variant {variant!r}: expected one of {', '.join(parts.variants)}")
    k = parts.variants.index(variant)
    return rates_of(parts.total[k], parts.tail[k], average=average, weights=weights)


def rates_of(total: np.ndarray, tail: np.ndarray, *, average: str = "ratio_of_means", weights=None) -> np.ndarray:
    """Return R_ce from per-picture `total` (n,) and `tail` (n, K): see `rates`.

    >>> rates_of(np.array([1.0, 3.0]), np.array([[-0.5], [0.0]])).tolist()
    [0.125]
    >>> rates_of(np.array([1.0, 3.0]), np.array([[-0.5], [0.0]]), average="mean_of_ratios").tolist()
    [0.25]
    """
    if average not in ("ratio_of_means", "mean_of_ratios"):
        raise ValueError(f"average {average!r}: expected ratio_of_means or mean_of_ratios")
    w = np.ones((1, len(total))) if weights is None else weights
    w = w * (total > 0)
    if average == "ratio_of_means":
        out = np.abs(w @ tail) / (w @ total)[:, None]
    else:
        ratios = np.abs(tail) / np.where(total > 0, total, 1.0)[:, None]
        out = (w @ ratios) / w.sum(1, keepdims=True)
    return out[0] if weights is None else out
