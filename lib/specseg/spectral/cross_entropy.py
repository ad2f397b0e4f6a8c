"""Cross-entropy in frequency: its components (Eqs 1, 2), its truncation (Eq. 9) and the relative loss rate (Eq. 10).

Y are logits, B one-hot labels, Y_p = log sum_c exp Y, lower case their spectra (`spectral.spectrum`: forward 1/N,
signed frequencies). L_CE is the mean over ALL pixels of the frame, void pixels counting zero: so means over images
add up. Void is exact: there sum_c B is the mask of labelled pixels instead of 1, and
L_ce(nu) = -sum_c b(-nu, c) F(log S)(nu, c) carries it, because y_p - y = -F(log softmax(Y)). Results are float64;
sums over a few frequencies keep the logits' own precision (`_low_band`), all frequencies are made in float64.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1, 3.1, A.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.spectral import _low_band as low_band
from specseg.spectral import spectrum as sp
from specseg.spectral.labels import check_labels

CHUNK = 8  # planes transformed at once: bounds the memory of one image to a few of them
CROSSOVER = 192  # cycles per frame above which an FFT of everything is faster (measured at 513 pixels, 21 classes)
AVERAGES = ("ratio_of_means", "mean_of_ratios")


class Truncated(NamedTuple):
    """Per-image parts of Eqs 9 and 10; `total - kept` is the tail that the band limit cuts off.

    total: (B,) L_CE of each image, a mean over the frame's pixels. kept: (B, K) truncated CE for each nu_max.
    pixels: (B,) labelled pixels of each image.
    """

    total: Tensor
    kept: Tensor
    pixels: Tensor


def check_inputs(logits: Tensor, labels: Tensor, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Return (logits as float64, labels as int64), or raise ValueError that names what is wrong with which of them.

    Checked: shapes (B, C, H, W) and (B, H, W), finite logits, whole-number labels in 0 .. C-1 or `ignore_index`.
    """
    logits, labels = _checked(logits, labels, ignore_index)
    return logits.double(), labels


def _checked(logits: Tensor, labels: Tensor, ignore_index: int, *, grid: bool = False) -> tuple[Tensor, Tensor]:
    """Return (logits as they are, labels as int64) after the same checks."""
    logits, labels = torch.as_tensor(logits), torch.as_tensor(labels)
    name = "grid_logits" if grid else "logits"
    if logits.ndim != 4 or not logits.is_floating_point():
        raise ValueError(f"{name}: expected floating (B, C, H, W), got {logits.dtype} {tuple(logits.shape)}")
    b, c, h, w = logits.shape
    if grid and (labels.ndim != 3 or labels.shape[0] != b):
        raise ValueError(f"labels: expected shape ({b}, H, W) for {b} images, got {tuple(labels.shape)}")
    if not grid and tuple(labels.shape) != (b, h, w):
        raise ValueError(f"labels: expected shape {(b, h, w)} for logits {(b, c, h, w)}, got {tuple(labels.shape)}")
    if not logits.numel():
        raise ValueError(f"{name}: empty, {tuple(logits.shape)}")
    low, high = (float(x) for x in torch.aminmax(logits.detach()))
    if not math.isfinite(high - low):
        bad = int((~torch.isfinite(logits)).sum())
        raise ValueError(f"{name}: {bad} of {logits.numel()} values are not finite")
    return logits, check_labels(labels, c, ignore_index=ignore_index, of=name)


def _precision(logits: Tensor) -> torch.dtype:
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def cross_entropy(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return L_CE of Eq. 1 for each image, float64 (B,): -(1/N) sum_t sum_c B log softmax(Y), N the frame's pixels.
    Raises ValueError that names what is wrong with which input (`check_inputs`).

    >>> cross_entropy(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 255]]])) * 2      # log 2 at the one labelled pixel
    tensor([0.6931], dtype=torch.float64)
    """
    logits, labels = _checked(logits, labels, ignore_index)
    pixels = (labels != ignore_index).sum((-2, -1))
    images = zip(logits, labels, _voids(labels, pixels, ignore_index), strict=True)
    return torch.stack([_losses(y, x, void)[0].mean(dtype=torch.float64) for y, x, void in images])


def _voids(labels: Tensor, pixels: Tensor, ignore_index: int) -> list[int | None]:
    """Return for each map with its labelled `pixels` the value that is no class, or None where all are labelled."""
    return [None if n == labels[0].numel() else ignore_index for n in pixels.tolist()]


def _losses(logits: Tensor, labels: Tensor, void: int | None) -> tuple[Tensor, Tensor]:
    """Return (loss, lse) pixel by pixel of one image (C, H, W), in blocks of rows."""
    dtype = _precision(logits)
    step = low_band.block_size(logits[:, 0].numel(), logits.device, dtype.itemsize)
    return low_band.losses(lambda a, z: logits[:, a:z].to(dtype), labels, step, void)


def frequency_components(
    logits: Tensor, labels: Tensor, *, boundary: str = "periodic", ignore_index: int = 255
) -> Tensor:
    """Return L_ce(nu) = sum_c b(-nu, c) (y_p(nu) - y(nu, c)) of Eq. 2 for each image, in the order of `fft2`.

    `logits` (B, C, H, W), `labels` (B, H, W) with `ignore_index` for void. Returns complex128 (B, H, W), mirrored
    (B, 2H, 2W); L_ce(-nu) is the conjugate, so that the sum over ALL signed frequencies is real and equals L_CE.
    Raises ValueError as `check_inputs`, and for an unknown boundary.

    >>> L = frequency_components(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]]))
    >>> L.real.round(decimals=4)                       # equal logits: all of log 2 stands at nu = 0
    tensor([[[0.6931, 0.0000]]], dtype=torch.float64)
    """
    sp.check_boundary(boundary)
    logits, labels = _checked(logits, labels, ignore_index)
    out = []
    for y, x in zip(logits, labels, strict=True):
        half = _half_components(y, x, y.double().logsumexp(0), ignore_index, boundary)
        out.append(_unfold(half, tuple(x.shape), boundary))
    return torch.stack(out)


def truncated_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    nu_max: int | Sequence[int],
    *,
    boundary: str | Sequence[str] = "periodic",
    ignore_index: int = 255,
) -> Truncated | list[Truncated]:
    """Return the truncated CE of Eq. 9 over the symmetric box |u|, |v| <= nu_max, image by image, with L_CE beside it.

    The largest box is the whole spectrum and gives L_CE without rounding. Of other boxes only their own frequencies
    are made, in the logits' precision (float32 or float64) and in less memory than the logits take; beyond `CROSSOVER`
    all of them by FFT, in float64. Sums of these parts over batches give the data set's `relative_loss_rate` (see
    `loss_rate`). A list of boundaries gives one result each, from one log-sum-exp. Raises ValueError as `check_inputs`,
    and where a nu_max is beyond Nyquist.

    >>> parts = truncated_cross_entropy(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long), [0, 1])
    >>> parts.kept.round(decimals=4)
    tensor([[0.6931, 0.6931]], dtype=torch.float64)
    """
    logits, labels = _checked(logits, labels, ignore_index)
    dtype = _precision(logits)

    def sums(y: Tensor, x: Tensor, total: Tensor, lse: Tensor, void: int | None, limits: list[int], b: str) -> Tensor:
        if max(limits, default=0) > CROSSOVER:
            return total - _outside(y, x, lse, void, b)[limits]

        def planes(classes: Tensor) -> Tensor:
            one = int(classes[0])
            return (y[one : one + 1] if len(classes) == 1 else y[classes]).to(dtype)

        return low_band.box_sums(planes, x, lse, limits, len(y), void=void, boundary=b)

    return _truncated(logits, labels, nu_max, boundary, ignore_index, _losses, sums)


def truncated_from_grid(
    grid_logits: Tensor,
    labels: Tensor,
    nu_max: int | Sequence[int],
    *,
    boundary: str | Sequence[str] = "periodic",
    ignore_index: int = 255,
) -> Truncated | list[Truncated]:
    """Return `truncated_cross_entropy` of logits (B, C, h, w) that are read at (H, W) by bilinear interpolation.

    Interpolation with corners on corners is linear, so the box's frequencies follow from the small grid exactly; only
    the log-sum-exp needs all pixels, a few rows at a time. Raises ValueError as `truncated_cross_entropy`.

    >>> grid = torch.tensor([[[[0.0, 2.0]], [[0.0, 0.0]]]])
    >>> parts = truncated_from_grid(grid, torch.tensor([[[0, 0, 1]]]), [0])
    >>> torch.allclose(parts.kept, truncated_cross_entropy(
    ...     torch.tensor([[[[0.0, 1.0, 2.0]], [[0.0, 0.0, 0.0]]]]), torch.tensor([[[0, 0, 1]]]), [0]).kept)
    True
    """
    grid, labels = _checked(grid_logits, labels, ignore_index, grid=True)
    h, w = (g if n > 1 else 1 for n, g in zip(labels.shape[1:], grid.shape[2:], strict=True))  # one pixel: the first
    grid = grid[..., :h, :w].to(_precision(grid))
    grid = grid - grid.detach().amax(1, keepdim=True)  # changes no loss, and lse has no large part in common

    def sums(y: Tensor, x: Tensor, _: Tensor, lse: Tensor, void: int | None, limits: list[int], b: str) -> Tensor:
        return low_band.box_sums(y.__getitem__, x, lse, limits, len(y), void=void, grid=(h, w), boundary=b)

    return _truncated(grid, labels, nu_max, boundary, ignore_index, low_band.grid_losses, sums)


def _list(nu_max: int | Sequence[int]) -> list[int]:
    return [nu_max] if isinstance(nu_max, Integral) else list(nu_max)


def _truncated(
    logits: Tensor, labels: Tensor, nu_max: int | Sequence[int], boundary: str | Sequence[str], ignore_index: int,
    losses: Callable[..., tuple[Tensor, Tensor]], sums: Callable[..., Tensor],
) -> Truncated | list[Truncated]:  # fmt: skip
    """Return the parts of images from (loss, lse) pixel by pixel and the sums over boxes, of one boundary or several.

    Nyquist's box is everything and needs no sum: it is asked for as 0.
    """
    boundaries = [sp.check_boundary(b) for b in ([boundary] if isinstance(boundary, str) else boundary)]
    shape = tuple(labels.shape[-2:])
    limits = torch.tensor([sp.check_nu_max(n, shape) for n in _list(nu_max)], dtype=torch.long, device=logits.device)
    everything = limits == max(shape) // 2
    boxes = limits.masked_fill(everything, 0).tolist()
    pixels = (labels != ignore_index).sum((-2, -1))
    totals, parts = [], []
    for y, x, void in zip(logits, labels, _voids(labels, pixels, ignore_index), strict=True):
        loss, lse = losses(y, x, void)
        totals.append(loss.mean(dtype=torch.float64))
        parts.append(torch.stack([sums(y, x, totals[-1], lse, void, boxes, b) for b in boundaries]))
    total = torch.stack(totals)
    out = [Truncated(total, total[:, None].where(everything, x), pixels) for x in torch.stack(parts, 1)]
    return out[0] if isinstance(boundary, str) else out


def relative_loss_rate(
    logits: Tensor,
    labels: Tensor,
    nu_max: int | Sequence[int],
    *,
    boundary: str = "periodic",
    average: str = "ratio_of_means",
    ignore_index: int = 255,
) -> Tensor:
    """Return R_ce(nu_max) = |1 - truncated CE / L_CE| of Eq. 10 over a batch, float64 (len(nu_max),).

    `average`: "ratio_of_means" divides the batch's tails by the batch's losses (additive over images and pixels);
    "mean_of_ratios" averages the images' own rates (each image counts alike). The paper does not say which it prints.
    Raises ValueError as `truncated_cross_entropy` and `loss_rate`.

    >>> logits = torch.tensor([[[[2., 0., 0.]], [[0., 1., 1.]]]])
    >>> labels = torch.tensor([[[0, 1, 1]]])
    >>> relative_loss_rate(logits, labels, [0, 1]).round(decimals=4)
    tensor([2.6545, 0.0000], dtype=torch.float64)
    """
    return loss_rate(
        truncated_cross_entropy(logits, labels, nu_max, boundary=boundary, ignore_index=ignore_index), average=average
    )


def loss_rate(parts: Truncated, *, average: str = "ratio_of_means") -> Tensor:
    """Return R_ce of Eq. 10 from per-image parts, (K,): for data sets that do not fit in one batch.

    Images without a labelled pixel carry no loss and are left out. Raises ValueError for an unknown average, where no
    image has a labelled pixel, and where the loss is exactly zero (R is a ratio to it).

    >>> parts = Truncated(torch.tensor([1., 3.]), torch.tensor([[1.5], [3.]]), torch.tensor([9, 9]))
    >>> loss_rate(parts), loss_rate(parts, average="mean_of_ratios")
    (tensor([0.1250]), tensor([0.2500]))
    """
    if average not in AVERAGES:
        raise ValueError(f"average {average!r}: expected one of {', '.join(AVERAGES)}")
    labelled = parts.pixels > 0
    if not bool(labelled.any()):
        raise ValueError("labels: no image has a labelled pixel, so R_ce has no loss to relate to")
    total, kept = parts.total[labelled], parts.kept[labelled]
    tail = total[:, None] - kept
    if average == "ratio_of_means":
        total, tail = total.mean(0, keepdim=True), tail.mean(0, keepdim=True)
    if bool((total == 0).any()):
        raise ValueError("logits: L_CE is exactly zero, so R_ce = tail / L_CE is undefined")
    return (tail.abs() / total[:, None]).mean(0)


def _half_components(logits: Tensor, labels: Tensor, lse: Tensor, void: int | None, boundary: str) -> Tensor:
    """Return L_ce(nu) of one image for the bins of `spectrum.half_spectrum`, in float64.

    A class without a pixel has b = 0 and adds nothing, so its planes need no transform.
    """
    classes = torch.unique(labels)
    classes = classes if void is None else classes[classes != void]
    transform = partial(sp.half_spectrum, boundary=boundary)
    out = transform(torch.zeros_like(labels, dtype=torch.float64))
    for part in classes.split(CHUNK) if len(classes) else ():
        b = transform((labels[None] == part[:, None, None]).double())
        out = out - (b.conj() * transform(logits[part].double() - lse)).sum(0)
    return out


def _unfold(half: Tensor, shape: tuple[int, int], boundary: str) -> Tensor:
    """Return the full spectrum in the order of `fft2`, complex128, from the bins that `_half_components` gives."""
    if boundary == "periodic":
        rest = half[:, 1 : (shape[1] + 1) // 2].conj().flip(-2, -1).roll(1, -2)
        return torch.cat([half, rest], dim=-1)
    u, v = (sp.signed_frequencies(2 * n).abs().to(half.device) for n in shape)
    return F.pad(half, (0, 1, 0, 1))[u[:, None], v[None, :]].to(torch.complex128)


def _outside(logits: Tensor, labels: Tensor, lse: Tensor, void: int | None, boundary: str) -> Tensor:
    """Return Re L_ce(nu) of one image summed OUTSIDE the boxes 0 .. Nyquist, by FFT: no difference of large sums."""
    parts = _half_components(logits, labels, lse, void, boundary).real
    return sp.beyond(sp.rim_sums(parts, tuple(labels.shape), boundary=boundary))
