"""Weak annotation from label maps alone: block-wise and band-limited labels, contour lengths (section 3.3).

Label maps are whole numbers (H, W) or (B, H, W), `ignore_index` (255) for void. The block annotation of band limit
nu_max has one label per point of the low-resolution grid of 2 nu_max + 1 points that spans the frame (on 64k + 1
pixels: every (N - 1)/(2 nu_max) pixels), and each pixel takes its nearest point's label. `laws` predicts its cost.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.3; Crofton's formula: Santalo, Integral Geometry, 1976.
"""

from __future__ import annotations

import math

import torch
from scipy import ndimage
from torch import Tensor

from specseg.spectral import spectrum as sp

MODES = ("majority", "nearest")


def check_labels(labels, num_classes: int | None = None, *, ignore_index: int = 255, of: str = "") -> Tensor:
    """Return labels as int64 (H, W) or (B, H, W), or raise ValueError that names what is wrong.

    `of` names in the message whose `num_classes` they are, such as "logits".

    >>> check_labels(torch.tensor([[0, 255]])).tolist()
    [[0, 255]]
    """
    labels = torch.as_tensor(labels)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels: expected whole-number class indices, got {labels.dtype}")
    if labels.ndim not in (2, 3) or 0 in labels.shape:
        raise ValueError(f"labels: expected shape (H, W) or (B, H, W), got {tuple(labels.shape)}")
    labels = labels.long()
    top = math.inf if num_classes is None else num_classes - 1
    first, last = (int(x) for x in torch.aminmax(labels))
    if first < 0 or last > top:  # void among them, or wrong: void pixels take a value that others have, or 0
        other = last if first == ignore_index else first
        known = labels.where(labels != ignore_index, 0 if other == ignore_index else other)
        first, last = (int(x) for x in torch.aminmax(known))
    if first < 0 or last > top:
        have = f", but {of} have {num_classes} classes" if of else ""
        raise ValueError(f"labels: values {first} .. {last}{have}: expected 0 .. {top} or {ignore_index} (void)")
    return labels


def one_hot(labels, num_classes: int, *, ignore_index: int = 255) -> Tensor:
    """Return B of Eq. 1 as bool planes (..., num_classes, H, W); void pixels are in no plane.

    Raises ValueError as `check_labels`.

    >>> one_hot(torch.tensor([[1, 255]]), 2).int().tolist()
    [[[0, 0]], [[1, 0]]]
    """
    labels = check_labels(labels, num_classes, ignore_index=ignore_index)
    planes = labels.unsqueeze(-3) == torch.arange(num_classes, device=labels.device)[:, None, None]
    return planes & (labels != ignore_index).unsqueeze(-3) if ignore_index < num_classes else planes


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
    if (nu_max is None) == (lrg_size is None):
        raise ValueError("block_labels: give nu_max or lrg_size, one of them")
    labels = check_labels(labels, ignore_index=ignore_index)
    size = sp.lrg_size(nu_max) if lrg_size is None else int(lrg_size)
    out = _blocks(labels, [min(size, n) if n == 1 else size for n in labels.shape[-2:]], mode, ignore_index)
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
    return _blocks(label, sizes, mode, ignore_index)


def _blocks(labels: Tensor, sizes: list[int], mode: str, ignore_index: int) -> Tensor:
    """Return labels (..., H, W) with one label per block of a grid of so many points an axis."""
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: expected one of {', '.join(MODES)}")
    (rows, row_of), (cols, col_of) = (cells(n, size) for n, size in zip(labels.shape[-2:], sizes, strict=True))
    coarse = labels[..., rows[:, None], cols[None, :]]
    if mode == "majority":
        index = row_of[:, None] * len(cols) + col_of[None, :]
        flat = labels.reshape(-1, *labels.shape[-2:])
        votes = [_majority(plane, index, len(rows) * len(cols), ignore_index) for plane in flat]
        coarse = torch.stack(votes).reshape(coarse.shape)
    return coarse[..., row_of[:, None], col_of[None, :]]


def _majority(labels: Tensor, index: Tensor, blocks: int, ignore_index: int) -> Tensor:
    valid = labels != ignore_index
    classes = torch.unique(labels[valid])
    if classes.numel() == 0:
        return torch.full((blocks,), ignore_index)
    votes = torch.stack([torch.bincount(index[labels == c], minlength=blocks) for c in classes])
    return torch.where(votes.sum(0) > 0, classes[votes.argmax(0)], ignore_index)


def band_limited_labels(labels, nu_max: int, boundary: str = "periodic", *, ignore_index: int = 255) -> Tensor:
    """Return the argmax over classes of the label planes band-limited to |u|, |v| <= nu_max, int64 (H, W) or (B, H, W).

    The sharpest segmentation that logits without higher frequencies could copy from the labels plane by plane. Void
    pixels count for no class and stay void. Raises ValueError for an unknown boundary or nu_max beyond Nyquist.

    >>> band_limited_labels(torch.tensor([[0, 0, 0, 1, 1]]), 0).tolist()         # only the shares are left: 3/5, 2/5
    [[0, 0, 0, 0, 0]]
    """
    labels = check_labels(labels, ignore_index=ignore_index)
    if labels.ndim == 3:
        planes = [band_limited_labels(x, nu_max, boundary, ignore_index=ignore_index) for x in labels]
        return torch.stack(planes)
    best = torch.full(labels.shape, -math.inf, dtype=torch.float64)
    out = torch.full_like(labels, ignore_index)
    for c in torch.unique(labels[labels != ignore_index]).tolist():
        score = sp.band_limit((labels == c).double(), nu_max, boundary=boundary)
        better = score > best
        best, out = torch.where(better, score, best), torch.where(better, c, out)
    return torch.where(labels == ignore_index, ignore_index, out)


def fill_void(labels, *, ignore_index: int = 255) -> Tensor:
    """Return the label map with each void pixel given its nearest labelled pixel's class.

    Raises ValueError where a map has no label at all.

    >>> fill_void(torch.tensor([[0, 255, 255, 255, 2]])).tolist()[0][1::2]
    [0, 2]
    """
    labels = check_labels(labels, ignore_index=ignore_index)
    if labels.ndim == 3:
        return torch.stack([fill_void(x, ignore_index=ignore_index) for x in labels])
    void = (labels == ignore_index).numpy()
    if void.all():
        raise ValueError("labels: every pixel is void, so there is nothing to fill from")
    if not void.any():
        return labels
    nearest = ndimage.distance_transform_edt(void, return_distances=False, return_indices=True)
    return labels[torch.from_numpy(nearest[0]).long(), torch.from_numpy(nearest[1]).long()]


def transitions(
    labels, num_classes: int, ignore_index: int = 255, *, wrap: bool = False, void_edges: bool = False
) -> Tensor:
    """Return, class by class, how many neighbouring pairs of pixels its contour separates: float64 (C, 4).

    Columns: pairs (t, t + (0, 1)), (t, t + (1, 0)), (t, t + (1, 1)), (t, t + (1, -1)). `wrap` counts pairs across the
    frame too (what a periodic spectrum sees); `void_edges` counts pairs of a class and void (what spectra of labels
    with void see), else pairs with a void pixel are left out. Summed over the images of a (B, H, W) batch.

    >>> transitions(torch.tensor([[0, 0, 1], [0, 0, 1]]), 2)[0].tolist()
    [2.0, 0.0, 1.0, 1.0]
    """
    labels = check_labels(labels, num_classes, ignore_index=ignore_index)
    out = torch.zeros(num_classes, 4, dtype=torch.float64)
    h, w = labels.shape[-2:]
    for k, (dy, dx) in enumerate(((0, 1), (1, 0), (1, 1), (1, -1))):
        other = torch.roll(labels, (-dy, -dx), dims=(-2, -1))
        if not wrap:
            here = labels[..., : h - dy, max(0, -dx) : w - max(0, dx)]
            other = other[..., : h - dy, max(0, -dx) : w - max(0, dx)]
        else:
            here = labels
        differ = here != other
        if not void_edges:
            differ &= (here != ignore_index) & (other != ignore_index)
        sides = torch.cat([here[differ], other[differ]])
        out[:, k] = torch.bincount(sides[sides != ignore_index], minlength=num_classes)[:num_classes]
    return out


def perimeter(labels, num_classes: int, ignore_index: int = 255, *, wrap: bool = False) -> Tensor:
    """Return the length of each class's contour in pixels, float64 (C,), by Crofton's formula in four directions.

    P = (pi/2) times the mean over directions of crossings times line spacing: (pi/8)(T_h + T_v + (T_d1 + T_d2)/sqrt 2).
    Contours against void and the frame's edge are no contours. Within 5 % of the length for a straight line of any
    direction; counting pixel edges alone would give 4/pi too much on average.

    >>> square = torch.zeros(60, 60, dtype=torch.long)
    >>> square[10:50, 10:50] = 1
    >>> round(float(perimeter(square, 2)[1]) / 160, 2)
    0.94
    """
    return crofton(transitions(labels, num_classes, ignore_index, wrap=wrap))


def crofton(crossings):
    """Return Crofton's contour lengths in pixels, (...), from counts of `transitions` (..., 4), arrays or tensors."""
    t = crossings
    return math.pi / 8 * (t[..., 0] + t[..., 1] + (t[..., 2] + t[..., 3]) / math.sqrt(2))


def contour_length(label, num_classes: int, *, ignore_index: int = 255) -> float:
    """Return the length of all contours of a label map (H, W) in sides of its frame, each contour once.

    Void is filled first: where it covers contours (PASCAL) it would hide them.

    >>> half = torch.zeros(64, 64, dtype=torch.long); half[:, 32:] = 1
    >>> round(contour_length(half, 2), 2)
    0.94
    """
    filled = fill_void(torch.as_tensor(label), ignore_index=ignore_index)
    return float(perimeter(filled, num_classes).sum()) / 2 / filled.shape[-1]
