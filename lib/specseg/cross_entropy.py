"""Cross-entropy in frequency: its components (Eqs 1, 2), its truncation (Eq. 9) and the relative loss rate (Eq. 10).

Y are logits, B one-hot labels, Y_p = log sum_c exp Y, lower case their spectra (`specseg.spectrum`: forward 1/N,
signed frequencies). L_CE is the mean over ALL pixels of the frame, void pixels counting zero: so means over images
add up. Void is exact: there sum_c B is the mask of labelled pixels instead of 1, and
L_ce(nu) = -sum_c b(-nu, c) F(log S)(nu, c) carries it, because y_p - y = -F(log softmax(Y)). All in float64.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1, 3.1, A.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from specseg import spectrum as sp

CHUNK = 8  # planes transformed at once: bounds the memory of one image to a few of them
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
    logits, labels = torch.as_tensor(logits), torch.as_tensor(labels)
    if logits.ndim != 4 or not logits.is_floating_point():
        raise ValueError(f"logits: expected floating (B, C, H, W), got {logits.dtype} {tuple(logits.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels: expected whole-number class indices, got {labels.dtype}")
    b, c, h, w = logits.shape
    if tuple(labels.shape) != (b, h, w):
        raise ValueError(f"labels: expected shape {(b, h, w)} for logits {(b, c, h, w)}, got {tuple(labels.shape)}")
    if not torch.isfinite(logits).all():
        bad = int((~torch.isfinite(logits)).sum())
        raise ValueError(f"logits: {bad} of {logits.numel()} values are not finite")
    labels = labels.long()
    known = labels[labels != ignore_index]
    if known.numel() and (int(known.min()) < 0 or int(known.max()) >= c):
        raise ValueError(
            f"labels: values {int(known.min())} .. {int(known.max())}, but logits have {c} classes: "
            f"expected 0 .. {c - 1} or ignore_index {ignore_index}"
        )
    return logits.double(), labels


def cross_entropy(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return L_CE of Eq. 1 for each image, (B,): -(1/N) sum_t sum_c B log softmax(Y), N all pixels of the frame.

    >>> cross_entropy(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 255]]])) * 2      # log 2 at the one labelled pixel
    tensor([0.6931], dtype=torch.float64)
    """
    logits, labels = check_inputs(logits, labels, ignore_index)
    logp = torch.log_softmax(logits, dim=1)
    valid = labels != ignore_index
    at_label = logp.gather(1, labels.where(valid, 0)[:, None])[:, 0]
    return -(at_label * valid).mean(dim=(-2, -1))


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
    logits, labels = check_inputs(logits, labels, ignore_index)
    scale = 2 if boundary == "mirrored" else 1
    b, _, h, w = logits.shape
    out = torch.zeros(b, scale * h, scale * w, dtype=torch.complex128, device=logits.device)
    for i, planes, logp in _planes(logits, labels, ignore_index):
        spectra = sp.spectrum(planes, boundary=boundary).conj() * sp.spectrum(logp, boundary=boundary)
        out[i] -= spectra.sum(dim=0)
    return out


def truncated_cross_entropy(
    logits: Tensor, labels: Tensor, nu_max: int | Sequence[int], *, boundary: str = "periodic", ignore_index: int = 255
) -> Truncated:
    """Return the truncated CE of Eq. 9 over the symmetric box |u|, |v| <= nu_max, image by image, with L_CE beside it.

    The tail is summed over the bins outside the box, not taken as a difference, and `kept` is L_CE minus it: so the
    largest box gives L_CE without rounding. Sums of these parts over batches give the data set's `relative_loss_rate`
    (see `loss_rate`). Raises ValueError as `check_inputs`, and where a nu_max is beyond Nyquist.

    >>> parts = truncated_cross_entropy(torch.zeros(1, 2, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long), [0, 1])
    >>> parts.kept.round(decimals=4)
    tensor([[0.6931, 0.6931]], dtype=torch.float64)
    """
    sp.check_boundary(boundary)
    logits, labels = check_inputs(logits, labels, ignore_index)
    shape = tuple(logits.shape[-2:])
    limits = [sp.check_nu_max(n, shape) for n in ([nu_max] if isinstance(nu_max, Integral) else list(nu_max))]
    rims = _rim_sums(logits, labels, boundary, ignore_index)
    outside = rims.flip(-1).cumsum(-1).flip(-1)
    outside = torch.cat([outside[:, 1:], torch.zeros_like(outside[:, :1])], dim=-1)
    total = cross_entropy(logits, labels, ignore_index=ignore_index)
    kept = total[:, None] - outside[:, limits]
    return Truncated(total, kept, (labels != ignore_index).sum(dim=(-2, -1)))


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
    if average not in AVERAGES:
        raise ValueError(f"average {average!r}: expected one of {', '.join(AVERAGES)}")
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


def _planes(logits: Tensor, labels: Tensor, ignore_index: int):
    """Yield (image, one-hot planes, log-softmax planes) in chunks, for the classes that the image has.

    A class without a pixel has b = 0 and adds nothing, so its planes need no transform.
    """
    for i in range(logits.shape[0]):
        classes = torch.unique(labels[i])
        classes = classes[classes != ignore_index]
        logp = torch.log_softmax(logits[i], dim=0)
        for part in classes.split(CHUNK) if len(classes) else ():
            yield i, (labels[i][None] == part[:, None, None]).double(), logp[part]


def _rim_sums(logits: Tensor, labels: Tensor, boundary: str, ignore_index: int) -> Tensor:
    """Return Re L_ce(nu) summed over the rims of the growing boxes, (B, nyquist + 1); only half a spectrum is made."""
    h, w = logits.shape[-2:]
    weights = sp.multiplicity((h, w), boundary=boundary).to(logits.device)
    if boundary == "periodic":
        index = sp.box_index((h, w), half=True)
    else:
        index = sp.box_index((h, w), boundary=boundary)[:h, :w]
    index = index.flatten().to(logits.device)
    out = torch.zeros(logits.shape[0], max(h, w) // 2 + 1, dtype=torch.float64, device=logits.device)
    for i, planes, logp in _planes(logits, labels, ignore_index):
        if boundary == "periodic":
            b, y = torch.fft.rfft2(planes, norm="forward"), torch.fft.rfft2(logp, norm="forward")
            product = b.real * y.real + b.imag * y.imag
        else:
            product = sp.cosine_spectrum(planes) * sp.cosine_spectrum(logp)
        out[i].index_add_(0, index, -(product.sum(dim=0) * weights).flatten())
    return out
