"""Block-wise annotation (section 3.3): one label per block of the low-resolution grid, for frames and whole pictures.

Label maps are whole numbers (H, W) or (B, H, W), `ignore_index` (255) for void. The grid of band limit nu_max has
2 nu_max + 1 points that span the frame (on 64k + 1 pixels: every (N - 1)/(2 nu_max) pixels), and each pixel takes its
nearest point's label.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from specseg.spectral import spectrum as sp

MODES = ("majority", "nearest")


def check_labels(labels, num_classes: int | None = None, *, ignore_index: int = 255) -> Tensor:
    """Return labels as int64 (H, W) or (B, H, W), or raise ValueError that names what is wrong.

    >>> check_labels(torch.tensor([[0, 255]])).tolist()
    [[0, 255]]
    """
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels: expected whole-number class indices, got {labels.dtype}")
    if labels.ndim not in (2, 3) or 0 in labels.shape:
        raise ValueError(f"labels: expected shape (H, W) or (B, H, W), got {tuple(labels.shape)}")
    labels = labels.long()
    known = labels[labels != ignore_index]
    top = math.inf if num_classes is None else num_classes - 1
    if known.numel() and (int(known.min()) < 0 or int(known.max()) > top):
        got = f"{int(known.min())} .. {int(known.max())}"
        raise ValueError(f"labels: expected 0 .. {top} or void {ignore_index}, got {got}")
    return labels


def cells(n: int, size: int) -> tuple[Tensor, Tensor]:
    """Return (pixel of each of `size` points that span n pixels, point of each pixel: the nearest, lower first).

    Raises ValueError unless 1 <= size <= n. One point stands in the middle.

    >>> [v.tolist() for v in cells(5, 3)]                             # points 0, 2, 4; pixel 1 lies between 0 and 2
    [[0, 2, 4], [0, 0, 1, 1, 2]]
    """
    if not 1 <= size <= n:
        raise ValueError(f"lrg_size {size}: expected 1 .. {n}, the frame's pixels")
    points = torch.tensor([(n - 1) // 2]) if size == 1 else torch.arange(size) * (n - 1) / (size - 1)
    pixels = torch.floor(points + 0.5).long()
    distance = (torch.arange(n)[:, None] - pixels[None, :]).abs()
    return pixels, distance.argmin(dim=1)


def block_labels(
    labels,
    nu_max: int | None = None,
    mode: str = "majority",
    *,
    lrg_size: int | None = None,
    ignore_index: int = 255,
    keep_void: bool = True,
) -> Tensor:
    """Return the block-wise annotation of section 3.3, int64 in the shape of `labels`.

    Give `nu_max` (grid of 2 nu_max + 1 points) or `lrg_size`. "nearest": each block takes the label at its grid point;
    "majority": the label that most of its labelled pixels have (smallest index among equals). `keep_void` leaves void
    pixels void; without it they take their block's label. A block without a label is void.
    Raises ValueError for an unknown mode, both or none of the sizes, a grid finer than the frame, or bad labels.

    >>> block_labels(torch.tensor([[0, 1, 1, 1, 1]]), lrg_size=1).tolist()      # lrg_size 1: one block
    [[1, 1, 1, 1, 1]]
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    if (nu_max is None) == (lrg_size is None):
        raise ValueError("block_labels: give nu_max or lrg_size, one of them")
    labels = check_labels(labels, ignore_index=ignore_index)
    size = sp.lrg_size(nu_max) if lrg_size is None else int(lrg_size)
    h, w = labels.shape[-2:]
    (rows, row_of), (cols, col_of) = (cells(n, min(size, n) if n == 1 else size) for n in (h, w))
    if mode == "nearest":
        coarse = labels[..., rows[:, None], cols[None, :]]
    else:
        flat = labels.reshape(-1, h, w)
        index = row_of[:, None] * len(cols) + col_of[None, :]
        coarse = torch.stack([_majority(plane, index, len(rows) * len(cols), ignore_index) for plane in flat])
        coarse = coarse.reshape(*labels.shape[:-2], len(rows), len(cols))
    out = coarse[..., row_of[:, None], col_of[None, :]]
    return torch.where(labels == ignore_index, ignore_index, out) if keep_void else out


def block_annotation(label, nu_max: int, mode: str = "majority", *, ignore_index: int = 255) -> Tensor:
    """Return the block-wise annotation of a whole picture of any shape, int64 (H, W): square blocks over all of it.

    The short side has the 2 nu_max + 1 points of section 3.3, the long side as many as keep the blocks square, so that
    the centre square, which the evaluation sees, has blocks of band limit nu_max. Nothing is kept from the full
    annotation: a void pixel takes its block's label, and a block is void where none of its pixels has a label.
    Raises ValueError as `block_labels`, and for nu_max < 1.

    >>> block_annotation(torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1]]), 1).tolist()[0]
    [0, 0, 0, 0, 1, 1]
    """
    if nu_max < 1:
        raise ValueError(f"nu_max {nu_max}: expected at least 1")
    label = check_labels(label, ignore_index=ignore_index)
    short = min(label.shape)
    sizes = [min(n, round(2 * nu_max * (n - 1) / max(short - 1, 1)) + 1) for n in label.shape]
    (rows, row_of), (cols, col_of) = (cells(n, size) for n, size in zip(label.shape, sizes, strict=True))
    if mode == "nearest":
        coarse = label[rows[:, None], cols[None, :]]
    elif mode == "majority":
        index = row_of[:, None] * len(cols) + col_of[None, :]
        coarse = _majority(label, index, len(rows) * len(cols), ignore_index).reshape(len(rows), len(cols))
    else:
        raise ValueError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    return coarse[row_of[:, None], col_of[None, :]]


def _majority(labels: Tensor, index: Tensor, blocks: int, ignore_index: int) -> Tensor:
    valid = labels != ignore_index
    classes = torch.unique(labels[valid])
    if classes.numel() == 0:
        return torch.full((blocks,), ignore_index)
    votes = torch.stack([torch.bincount(index[labels == c], minlength=blocks) for c in classes])
    return torch.where(votes.sum(0) > 0, classes[votes.argmax(0)], ignore_index)
