"""Confusion matrix, IoU of classes, mIoU: what training and evaluation count.

Labels and predictions are whole-number class indices of any shape; `ignore_index` (255) is void and counts nowhere.
Sums run over all pixels given, as a data set's IoU is computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
