"""Scores of segmentation: confusion, mIoU, soft and spectral IoU (Eqs 23, 25, 27), boundary IoU (33), drop and FPI.

Labels and predictions are whole-number class indices (B, H, W) or any shape; `ignore_index` (255) is void and counts
nowhere. Sums run over all pixels given, as a data set's IoU is computed. FFT convention: `specseg.spectral.spectrum`.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2, A.4 to A.6.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.spectral import spectrum as sp
from specseg.spectral._low_band import block_size
from specseg.spectral.labels import one_hot

_PLANES = 8  # class planes transformed at once
_BAND = 64  # pixels along a row that are read at once
_ROWS = 1024  # label values, void between them, that one histogram of label and prediction may span


def confusion_matrix(pred: Tensor, label: Tensor, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Return pixel counts (C, C), int64: rows are labels, columns predictions; void labels are left out.

    Raises ValueError for unequal shapes and for values outside 0 .. C-1.

    >>> confusion_matrix(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]), 2)
    tensor([[1, 1],
            [0, 0]])
    """
    pred, label = torch.as_tensor(pred).long(), torch.as_tensor(label).long()
    if pred.shape != label.shape:
        raise ValueError(f"pred {tuple(pred.shape)} and label {tuple(label.shape)}: expected equal shapes")
    counts = _joint_counts(pred, label, num_classes, ignore_index)
    if counts is not None:
        return counts
    known = label != ignore_index
    pred, label = pred[known], label[known]
    for name, x in (("pred", pred), ("label", label)):
        if x.numel() and (int(x.min()) < 0 or int(x.max()) >= num_classes):
            raise ValueError(f"{name}: values {int(x.min())} .. {int(x.max())}, expected 0 .. {num_classes - 1}")
    return torch.bincount(label * num_classes + pred, minlength=num_classes**2).reshape(num_classes, num_classes)


def class_counts(pred: Tensor, label: Tensor, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Return pixels hit, labelled and predicted per picture and class, int64 (B, C, 3); void labels are left out.

    `pred` and `label` are (B, H, W). Raises ValueError for unequal shapes and values outside 0 .. C-1.

    >>> class_counts(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, 255]]]), 2).tolist()
    [[[1, 2, 1], [0, 0, 1]]]
    """
    if pred.shape != label.shape or label.ndim != 3:
        raise ValueError(f"pred {tuple(pred.shape)}, label {tuple(label.shape)}: expected equal shapes (B, H, W)")
    pairs = zip(pred, label, strict=True)
    joints = [confusion_matrix(*pair, num_classes, ignore_index=ignore_index) for pair in pairs]
    counts = [torch.stack([joint.diagonal(), joint.sum(1), joint.sum(0)], -1) for joint in joints]
    return torch.stack(counts) if counts else torch.zeros(0, num_classes, 3, dtype=torch.int64)


def _joint_counts(pred: Tensor, label: Tensor, num_classes: int, ignore_index: int) -> Tensor | None:
    """Return the counts (C, C) from one histogram with a row for void too, or None where it does not apply.

    Leaving void pixels out beforehand costs more than the counting. None: nothing to count, a prediction out of range
    (allowed under void), or a label that is neither a class nor void or that would need a long histogram.
    """
    if not label.numel():
        return None
    (first, last), (low, high) = ([int(v) for v in torch.aminmax(x)] for x in (label, pred))
    first = min(first, 0)
    if low < 0 or high >= num_classes or last - first >= max(2 * num_classes, _ROWS):
        return None
    index = torch.add(pred, label, alpha=num_classes).sub_(first * num_classes)
    rows = max(last - first + 1, num_classes - first)
    counts = torch.bincount(index.flatten(), minlength=rows * num_classes).reshape(rows, num_classes)
    if 0 <= ignore_index - first < rows:
        counts[ignore_index - first] = 0
    classes = slice(-first, num_classes - first)
    return counts[classes].clone() if counts.sum() == counts[classes].sum() else None


def strongest(planes: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Return the argmax over planes (P, h, w) that are read as `rows` (H, h) @ plane @ `cols` (W, w)^T, int64 (H, W).

    Linear readings of a grid's logits, interpolated or band-limited, need no more than this, and a few rows of the
    frame at once. The first of equals.

    >>> strongest(torch.tensor([[[0.0, 2.0]], [[0.5, 0.5]]]), torch.ones(1, 1), torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([[1, 0]])
    """
    count, height, width = planes.shape
    flat = planes.transpose(0, 1).reshape(height, -1)
    rank = torch.arange(count, 0, -1, dtype=planes.dtype, device=planes.device)[:, None]
    across, out = _bands(cols, _BAND), []
    for part, seen in _bands(rows, block_size(count * len(cols), planes.device, planes.itemsize)):
        read = (part @ flat[seen]).view(-1, width)
        read = torch.cat([read[:, used] @ some.T for some, used in across], 1).view(len(part), count, -1)
        out.append(count - read.eq_(read.amax(1, keepdim=True)).mul_(rank).amax(1))
    return torch.cat(out).long()


def _bands(matrix: Tensor, size: int) -> list[tuple[Tensor, slice]]:
    """Return `size` rows of a matrix at a time, without the columns at both ends that are zero in all of them."""
    parts = matrix.split(size)
    used = [part.any(0).nonzero()[:, 0].tolist() or [0] for part in parts]
    seen = [slice(columns[0], columns[-1] + 1) for columns in used]
    return [(part[:, some], some) for part, some in zip(parts, seen, strict=True)]


def class_iou(confusion: Tensor) -> Tensor:
    """Return |B and S| / |B or S| for each class from a confusion matrix, float64 (C,); NaN where a class is nowhere.

    >>> class_iou(torch.tensor([[1, 1], [0, 0]]))
    tensor([0.5000, 0.0000], dtype=torch.float64)
    """
    confusion = torch.as_tensor(confusion).double()
    hit = confusion.diagonal()
    return hit / (confusion.sum(0) + confusion.sum(1) - hit)


def mean_iou(confusion: Tensor) -> float:
    """Return the mean IoU over the classes that occur in the labels or the predictions.

    Raises ValueError where there is none.

    >>> mean_iou(torch.tensor([[1, 1], [0, 0]]))
    0.25
    """
    iou = class_iou(confusion)
    if bool(iou.isnan().all()):
        raise ValueError("confusion: no labelled pixel, so there is no IoU")
    return float(iou.nanmean())


def _soft_planes(probabilities: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return (S, B) as float64 (N, C, H, W) with void pixels zero in both, or raise ValueError."""
    probabilities, labels = torch.as_tensor(probabilities), torch.as_tensor(labels)
    if probabilities.ndim != 4 or tuple(labels.shape) != (probabilities.shape[0], *probabilities.shape[2:]):
        shapes = f"{tuple(probabilities.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"probabilities and labels: expected (B, C, H, W) and (B, H, W), got {shapes}")
    if not torch.isfinite(probabilities).all():
        raise ValueError("probabilities: not all finite")
    if float(probabilities.min()) < 0 or float(probabilities.max()) > 1 + 1e-6:
        low, high = float(probabilities.min()), float(probabilities.max())
        raise ValueError(f"probabilities: {low:.3g} .. {high:.3g}, expected 0 .. 1 (softmax of the logits)")
    onehot = one_hot(labels, probabilities.shape[1], ignore_index=ignore_index).double()
    return probabilities.double() * (labels != ignore_index)[:, None], onehot


def soft_iou(probabilities: Tensor, labels: Tensor, *, ignore_index: int = 255, per_image: bool = False) -> Tensor:
    """Return Eq. 23 for each class: sum B S / (sum B + sum S - sum B S) over all pixels, float64 (C,).

    `probabilities` (B, C, H, W) in 0 .. 1, `labels` (B, H, W). `per_image` gives (B, C). For one-hot predictions
    this is the usual (hard) IoU. NaN where a class has neither label nor probability. Raises ValueError for bad shapes
    or values.

    >>> soft_iou(torch.tensor([[[[0.5, 1.0]], [[0.5, 0.0]]]]), torch.tensor([[[0, 0]]]))    # 1.5/(2 + 1.5 - 1.5)
    tensor([0.7500, 0.0000], dtype=torch.float64)
    """
    s, b = _soft_planes(probabilities, labels, ignore_index)
    dims = (2, 3) if per_image else (0, 2, 3)
    hit = (s * b).sum(dims)
    return hit / (s.sum(dims) + b.sum(dims) - hit)


def spectral_iou(
    probabilities: Tensor,
    labels: Tensor,
    *,
    nu_max: int | None = None,
    boundary: str = "periodic",
    ignore_index: int = 255,
    per_image: bool = False,
) -> Tensor:
    """Return Eq. 25 for each class, p/(s(0) + b(0) - p) with p = sum_nu s(nu) b(-nu), float64 (C,).

    `nu_max` restricts p to the SYMMETRIC box |u|, |v| <= nu_max (Eq. 27 mended: the printed integral starts at 0 and
    leaves the negative frequencies out); None keeps all. Other arguments and errors as `soft_iou`, and ValueError for
    nu_max beyond Nyquist. Equals `soft_iou` where nu_max is None or the Nyquist limit.

    >>> labels = torch.tensor([[[0, 0, 1], [0, 0, 1], [0, 0, 1]]])
    >>> sure = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1).double()
    >>> spectral_iou(sure, labels).round(decimals=4).tolist()           # right everywhere
    [1.0, 1.0]
    >>> spectral_iou(sure, labels, nu_max=0).round(decimals=4).tolist()  # of class 0: p = (2/3)^2
    [0.5, 0.2]
    """
    s, b = _soft_planes(probabilities, labels, ignore_index)
    shape = tuple(s.shape[-2:])
    limit = max(shape) // 2 if nu_max is None else sp.check_nu_max(nu_max, shape)
    groups = zip(s.split(_PLANES, 1), b.split(_PLANES, 1), strict=True)
    hit = torch.cat([sp.rim_products(x, y, boundary=boundary)[..., : limit + 1].sum(-1) for x, y in groups], 1)
    area = s.mean((2, 3)) + b.mean((2, 3))  # s(0) + b(0), by Lemma 4
    if not per_image:
        hit, area = hit.sum(0), area.sum(0)
    return hit / (area - hit)


def inner_boundary(mask: Tensor, width: int) -> Tensor:
    """Return the pixels of each bool mask (..., H, W) within `width` pixels of its contour: G_d and G of Eq. 33.

    Distance is the chessboard's (a 3x3 erosion repeated `width` times, as the reference implementation of Cheng et al.
    2021 does), and the frame's edge counts as contour.

    >>> inner_boundary(torch.ones(3, 3, dtype=torch.bool), 1).int()
    tensor([[1, 1, 1],
            [1, 0, 1],
            [1, 1, 1]], dtype=torch.int32)
    """
    mask = torch.as_tensor(mask)
    if mask.dtype != torch.bool:
        raise ValueError(f"mask: expected bool, got {mask.dtype}")
    return mask & near_contour(mask, width, False)


def near_contour(values: Tensor, width: int, outside: int | bool) -> Tensor:
    """Return whether a pixel's window of 2 width + 1 pixels holds two values; `outside` is the value around the frame.

    A window holds two values where two neighbours in it differ. So one map of each axis's jumps serves all classes.
    """
    if isinstance(width, bool) or int(width) != width or width < 1:
        raise ValueError(f"width {width!r}: expected a whole number of pixels >= 1")
    framed = F.pad(values, (1, 1, 1, 1), value=outside)
    across, down = framed[..., 1:] != framed[..., :-1], framed[..., 1:, :] != framed[..., :-1, :]
    across = _window_any(_window_any(across, width, width - 1, -1), width, width, -2)
    down = _window_any(_window_any(down, width, width - 1, -2), width, width, -1)
    return across[..., 1:-1, 1:] | down[..., 1:, 1:-1]


def _window_any(x: Tensor, before: int, after: int, dim: int) -> Tensor:
    """Return any of x[t - before .. t + after] along an axis, windows clipped to it, in log2(window) steps."""
    n = x.shape[dim]
    before, after = min(int(before), n), min(int(after), n)
    x = F.pad(x, (before, after) if dim == -1 else (0, 0, before, after))
    span, have = before + after + 1, 1
    while have < span:
        step = min(have, span - have)
        length = x.shape[dim] - step
        x = x.narrow(dim, 0, length) | x.narrow(dim, step, length)
        have += step
    return x


def boundary_iou(
    pred: Tensor, label: Tensor, width: int, *, num_classes: int | None = None, ignore_index: int = 255
) -> Tensor:
    """Return Eq. 33, |(B_d and B) and (S_d and S)| / |(B_d and B) or (S_d and S)|, over all pixels given.

    Bool masks (..., H, W) give one number; class maps with `num_classes` give (C,). Void pixels of `label` are taken
    out of both maps before the contours are drawn. NaN where both boundary regions are empty. Raises ValueError for
    unequal shapes, class maps without `num_classes`, or a width below 1. Source: Cheng et al. 2021 (width there: 2 % of
    the diagonal).

    >>> a = torch.zeros(4, 4, dtype=torch.bool); a[:2] = True
    >>> boundary_iou(a, a, 1), boundary_iou(a, ~a, 1)
    (tensor(1., dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    pred, label = torch.as_tensor(pred), torch.as_tensor(label)
    if pred.shape != label.shape:
        raise ValueError(f"pred {tuple(pred.shape)} and label {tuple(label.shape)}: expected equal shapes")
    if pred.dtype == torch.bool and label.dtype == torch.bool:
        s, b = inner_boundary(pred, width), inner_boundary(label, width)
        return (s & b).sum().double() / (s | b).sum()
    if num_classes is None:
        raise ValueError("boundary_iou: class maps need num_classes; bool masks do not")
    both, either = boundary_counts(pred, label, width, num_classes, ignore_index=ignore_index).unbind(1)
    return both.double() / either


def boundary_counts(pred: Tensor, label: Tensor, width: int, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Return the pixels of intersection and union of `boundary_iou` for each class of two maps, int64 (C, 2)."""
    known, small = label != ignore_index, torch.uint8 if num_classes < 256 else torch.int64
    maps = [torch.where(known & (x >= 0) & (x < num_classes), x, num_classes).to(small) for x in (label, pred)]
    near = [torch.where(near_contour(x, width, num_classes), x, num_classes) for x in maps]
    both = torch.where(near[0] == near[1], near[0], num_classes)
    b, s, hit = (torch.bincount(x.flatten(), minlength=num_classes + 1)[:num_classes] for x in (*near, both))
    return torch.stack([hit, b + s - hit], 1)


def relative_drop(full, reduced):
    """Return (full - reduced)/full: the relative mIoU-drop of Tables 3b and 4, and Delta IoU / IoU of Eq. 29.

    Numbers or arrays. A `full` of 0 has no relative drop: NaN, or for a plain number ZeroDivisionError.

    >>> round(relative_drop(0.785, 0.686), 4)
    0.1261
    """
    return (full - reduced) / full


def drop_from_overlap_loss(iou, rate):
    """Return the relative IoU-drop that a relative loss of overlap causes: (1 + q) r / (1 + q r) (Eqs 29 to 32 mended).

    `iou` q is IoU before, `rate` r = (p1 - p2)/p1 the share of overlap lost while s(0) + b(0) stays. Eq. 29 with
    c = s(0) + b(0) = p1 (1 + q)/q; concave and increasing in r. Works elementwise on floats, arrays and tensors.

    >>> round(drop_from_overlap_loss(1.0, 0.5), 4)                   # c = 2, p: 1 -> 0.5, IoU: 1 -> 1/3
    0.6667
    """
    return (1 + iou) * rate / (1 + iou * rate)


def fpi(flops, miou):
    """Return FLOPs per IoU score, FLOPs/mIoU (section 3.2): lower is better.

    >>> round(fpi(139, 0.785), 1)
    177.1
    """
    return flops / miou
