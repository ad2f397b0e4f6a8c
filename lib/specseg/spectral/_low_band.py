"""Few frequencies of class planes without an FFT: real bases, labels by their runs, logits by matrix products.

A box |u|, |v| <= K (Eq. 9) of real frames is spanned by products of 2K + 1 real waves along each axis. With waves that
are orthonormal under the mean over pixels, sum over the box of b(-nu) y(nu) is the plain sum of products of the two
frames' real coefficients. Mirrored frames (`specseg.spectral.spectrum`) have half-cycle cosines for waves (DCT-II).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

RUNS = 4096  # runs of labels taken up at once: bounds the memory of noisy labels
CELL, LOWEST = range(9, 65), -80.0  # pixels of a grid's cell, and least logits, where `grid_losses` takes products
BLOCK = {"cpu": 3 << 19}  # bytes worked on at once: what a core's cache holds; elsewhere what launching is worth


class Waves(NamedTuple):
    """Orthonormal real waves on n points: those even under the reflection of the axis first, then the odd ones.

    sums: (n + 1, m), sums of the waves over the points before each. even: (n - n // 2, me), odd: (n // 2, mo), the
    waves at the first of each pair of points that the reflection exchanges; a middle point is its own partner, and odd
    waves vanish there. rim: (m,), the smallest nu_max whose box holds each wave. The constant wave is 1 exactly, also
    in float32: so nothing is divided by n here.
    """

    sums: Tensor
    even: Tensor
    odd: Tensor
    rim: Tensor


@lru_cache(maxsize=64)
def waves(
    n: int, nu_max: int, boundary: str, dtype: torch.dtype, device: torch.device, grid: int | None = None
) -> Waves:
    """Return the waves of at most `nu_max` cycles per frame on `n` points; all of them from n/2 on.

    Phases count from the middle, so that periodic and mirrored waves have one symmetry. With `grid` even and odd are
    what analyses values on so many points as their interpolation at n points (more than one: `bilinear_matrix`).
    Built in float64 from whole-number phases, then rounded to `dtype`. Do not write into the result: it is kept.

    >>> w = waves(3, 1, "periodic", torch.float64, torch.device("cpu"))          # 1, cos, sin
    >>> w.sums.diff(dim=0).abs().round(decimals=4).tolist()
    [[1.0, 0.7071, 1.2247], [1.0, 1.4142, 0.0], [1.0, 0.7071, 1.2247]]
    """
    if boundary == "mirrored":
        cycles = torch.arange(min(2 * nu_max, n - 1) + 1)  # half cycles per frame
        even, odd = cycles[::2], cycles[1::2]
    else:
        cycles = 2 * torch.arange(min(nu_max, n // 2) + 1)
        even, odd = cycles[cycles < n], cycles[1:]
    place = 2 * torch.arange(n)[:, None] + 1 - n
    even_phase, odd_phase = (torch.pi / (2 * n) * (place * k % (4 * n)).double() for k in (even, odd))
    full = torch.cat([even_phase.cos(), odd_phase.sin()], dim=1)
    full = full / full.pow(2).mean(0).sqrt()
    sums = torch.cat([full.new_zeros(1, full.shape[1]), full.cumsum(0)])
    if grid is not None:
        full = bilinear_matrix(n, grid, full.dtype, full.device).T @ full
    pairs, split = len(full) // 2, len(even)
    parts = (x.to(device, dtype).contiguous() for x in (sums, full[: len(full) - pairs, :split], full[:pairs, split:]))
    return Waves(*parts, ((torch.cat([even, odd]) + 1) // 2).to(device))


def analyse(x: Tensor, w: Waves, *, swap: bool = False) -> Tensor:
    """Return sum_t wave(t) x(t), n times the coefficients, along the last axis but one: (..., n, k) -> (..., m, k).

    The frame is folded at its middle first, which halves the products. `swap` gives (..., k, m).
    """
    middle = len(w.even)
    return _folded(x[..., :middle, :], x[..., middle:, :].flip(-2), w, swap)


def _folded(near: Tensor, far: Tensor, w: Waves, swap: bool) -> Tensor:
    """Return what `analyse` does of a frame's first half (..., n - n // 2, k) and its last half, read backwards."""
    pairs = len(w.odd)
    first, alone = near[..., :pairs, :], near[..., pairs:, :]
    even, odd = first + far, first - far
    if swap:
        of_even = even.mT @ w.even[:pairs] + alone.mT @ w.even[pairs:]
        return torch.cat([of_even, odd.mT @ w.odd], dim=-1)
    return torch.cat([w.even[:pairs].T @ even + w.even[pairs:].T @ alone, w.odd.T @ odd], dim=-2)


def label_runs(labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the runs of equal values along the rows of a (H, W) map: value, row, first column, column after the last.

    >>> [x.tolist() for x in label_runs(torch.tensor([[1, 1], [2, 3]]))]
    [[1, 2, 3], [0, 1, 1], [0, 0, 1], [2, 1, 2]]
    """
    starts = torch.ones_like(labels, dtype=torch.bool)
    torch.ne(labels[:, 1:], labels[:, :-1], out=starts[:, 1:])
    first = starts.flatten().nonzero()[:, 0]
    width = labels.shape[1]
    row = first.div(width, rounding_mode="floor")
    after = torch.cat([first[1:], first.new_full((1,), labels.numel())])
    return labels.flatten()[first], row, first - row * width, after - row * width


def label_coefficients(
    labels: Tensor, void: int | None, num_classes: int, rows: Waves, cols: Waves
) -> tuple[Tensor, Tensor]:
    """Return (classes, N times the coefficients) of the one-hot planes of one (H, W) map, for the classes that it has.

    Shape (len(classes), mw, mh), the waves along a row first; N = H W. No plane is made: a run of one class along a row
    gives the difference of two rows of `Waves.sums`, so the cost goes with the length of the boundaries. Runs of a
    class that outnumber the rows are added up row by row first.
    """
    height, m, middle = labels.shape[0], cols.sums.shape[1], len(rows.even)
    value, row, first, after = label_runs(labels)
    if void is not None:
        value, row, first, after = (x[value != void] for x in (value, row, first, after))
    counts, order = torch.bincount(value, minlength=num_classes), value.argsort()
    classes, down = counts.nonzero()[:, 0], rows.sums.diff(dim=0)
    out = cols.sums.new_empty(len(classes), m, down.shape[1])
    own = zip(*(x[order].split(counts[classes].tolist()) for x in (row, first, after)), strict=True)
    for k, (at, a, z) in zip(range(len(classes)), own, strict=False):  # a split into no parts has one
        if len(at) <= height:
            out[k] = _run_sums(cols, a, z).T @ down[at]
            continue
        at = torch.where(at < middle, at, middle + height - 1 - at)  # folded: see `_folded`
        half = out.new_zeros(height, m)
        for place, *ends in zip(*(x.split(RUNS) for x in (at, a, z)), strict=True):
            half.index_add_(0, place, _run_sums(cols, *ends))
        out[k] = _folded(half[:middle], half[middle:], rows, swap=True)
    return classes, out


def _run_sums(cols: Waves, first: Tensor, after: Tensor) -> Tensor:
    return cols.sums.index_select(0, after).sub_(cols.sums.index_select(0, first))


def plane_coefficients(planes: Tensor, rows: Waves, cols: Waves) -> tuple[Tensor, Tensor]:
    """Return N times the coefficients (P, mw, mh) of real frames (P, H, W), the waves along a row first, and (P,) the
    first of them, N times the mean, in float64: what a small loss is left over from as a difference."""
    along = analyse(planes, rows, swap=True)
    constant = Waves(cols.sums, cols.even[:, :1].double(), cols.odd[:, :0].double(), cols.rim)
    return analyse(along, cols), analyse(along[..., :1].double(), constant)[:, 0, 0]


def _products(b: Tensor, coefficients: Tensor, first: Tensor) -> Tensor:
    """Return the sum over planes of b times what `plane_coefficients` gives, float64 (mw, mh)."""
    out = (b * coefficients).sum(0).double()
    out[0, 0] = b[:, 0, 0].double() @ first
    return out


def coefficients(planes: Tensor, shape: Sequence[int], boundary: str) -> Tensor:
    """Return all real coefficients (P, mw, mh) of frames (H, W) in float64, from planes of theirs or of their grid."""
    sides = zip(shape, planes.shape[-2:], strict=True)
    of = (waves(n, n // 2, boundary, torch.float64, planes.device, None if g == n else g) for n, g in sides)
    return plane_coefficients(planes.double(), *of)[0] / math.prod(shape)


def label_spectra(labels: Tensor, void: int, num_classes: int, boundary: str) -> tuple[Tensor, Tensor]:
    """Return the classes of a (H, W) map and all real coefficients (P, mw, mh) of their planes in float64."""
    of = (waves(n, n // 2, boundary, torch.float64, labels.device) for n in labels.shape)
    classes, b = label_coefficients(labels, void, num_classes, *of)
    return classes, b / labels.numel()


def rims(products: Tensor, shape: Sequence[int], boundary: str) -> Tensor:
    """Return sums of products (..., mw, mh) of `coefficients` over the rims of the growing boxes, (..., nyquist + 1).

    >>> x = torch.tensor([[[1.0, 1.0, 0.0]]])
    >>> rims(coefficients(x, (1, 3), "periodic").square(), (1, 3), "periodic").round(decimals=4)
    tensor([[0.4444, 0.2222]], dtype=torch.float64)
    """
    rows, cols = (waves(n, n // 2, boundary, torch.float64, products.device).rim for n in shape)
    out = products.new_zeros(*products.shape[:-2], max(shape) // 2 + 1)
    return out.index_add_(-1, torch.maximum(cols[:, None], rows).flatten(), products.flatten(-2))


def losses(block: Callable[[int, int], Tensor], labels: Tensor, step: int, void: int | None) -> tuple[Tensor, Tensor]:
    """Return (lse - y_label, 0 at void; lse) of one image, both (H, W), from `step` rows of logits at once.

    `block(first, last)` gives the logits (C, rows, W); `labels` (H, W) are int64, `void` the value that is no class, or
    None where the image has none.
    """
    loss, lse = [], []
    for first in range(0, labels.shape[0], step):
        part = labels[first : first + step]
        logits = block(first, first + part.shape[0])
        logp = logits.log_softmax(0)
        lse.append(logits[0] - logp[0])
        if void is None:
            loss.append(-logp.gather(0, part[None])[0])
        else:
            known = part != void
            loss.append(-logp.gather(0, part.where(known, 0)[None])[0] * known)
    return torch.cat(loss), torch.cat(lse)


def grid_losses(grid: Tensor, labels: Tensor, void: int | None) -> tuple[Tensor, Tensor]:
    """Return `losses` of grid logits (C, h, w) that are read at (H, W), corners on corners; each point's largest is 0.

    Where each cell of the grid has the same few pixels their exponentials follow from those of the grid by products:
    exp(y + k dy) = exp(y) exp(dy)^k. Else, for logits too far apart for that, and for a gradient, all rows are read.
    """
    shape, (h, w) = labels.shape, grid.shape[1:]
    down, right = (n if g == 1 else (n - 1) // (g - 1) for n, g in zip(shape, (h, w), strict=True))  # pixels a cell
    known = None if void is None else labels != void
    fits = (down * (h - 1) + 1 == shape[0] or h == 1) and (right * (w - 1) + 1 == shape[1] or w == 1)
    if not (fits and down * right in CELL) or grid.requires_grad or float(grid.min()) < LOWEST:
        step = block_size(grid.shape[0] * shape[1], grid.device, grid.dtype.itemsize)
        return losses(grid_rows(grid, shape), labels, step, void)
    target = labels if known is None else labels.where(known, 0)
    target = (
        F.pad(target, (0, right * w - shape[1], 0, down * h - shape[0]))
        .view(h, down, w, right)
        .permute(1, 3, 0, 2)
        .contiguous()
    )
    to_right = F.pad(grid.diff(dim=2), (0, 1)) / right
    steps = [grid, to_right, *(F.pad(x.diff(dim=1), (0, 0, 0, 1)) / down for x in (grid, to_right))]
    out = grid.new_empty(2, down, right, h, w)  # sum of exponentials, exponential of the label's logit
    size = block_size(grid.shape[0] * w, grid.device, grid.dtype.itemsize)
    for first in range(0, h, size):
        rows = slice(first, first + size)
        at, across, below, twist = (x[:, rows].exp() for x in steps)
        room = torch.empty_like(at)
        for j in range(down):
            if j:
                at.mul_(below)
                across.mul_(twist)
            here = at
            for k in range(right):
                here = torch.mul(here, across, out=room) if k else here
                torch.sum(here, 0, out=out[0, j, k, rows])
                torch.gather(here, 0, target[j, k, None, rows], out=out[1, j, k, None, rows])
    out = out.log_().permute(0, 3, 1, 4, 2).reshape(2, h * down, w * right)
    lse, label = out[:, : shape[0], : shape[1]]
    return lse - label if known is None else (lse - label) * known, lse


def block_size(row: int, device: torch.device, itemsize: int) -> int:
    """Return how many rows of `row` values fit into the block that this kind of device works on at once, at least 1."""
    return max(1, BLOCK.get(device.type, 1 << 23) // max(1, row * itemsize))


def bilinear_matrix(n: int, grid: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the (n, grid) matrix of linear interpolation with corners on corners.

    >>> bilinear_matrix(3, 2, torch.float64, torch.device("cpu"))
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000],
            [0.0000, 1.0000]], dtype=torch.float64)
    """
    place = torch.arange(n, dtype=torch.float64) * ((grid - 1) / (n - 1) if n > 1 else 0.0)
    distance = (place[:, None] - torch.arange(grid)).abs()
    return (1 - distance).clamp(min=0).to(device, dtype)


def grid_rows(grid: Tensor, size: tuple[int, int]) -> Callable[[int, int], Tensor]:
    """Return `block(first, last)` for `losses`: rows of grid logits (C, h, w) read at (H, W), corners on corners.

    Only the rows asked for are ever made.
    """
    wide = F.interpolate(grid[None], size=(grid.shape[-2], size[1]), mode="bilinear", align_corners=True)[0]
    matrix = bilinear_matrix(size[0], grid.shape[-2], grid.dtype, grid.device)
    scale = (grid.shape[-2] - 1) / (size[0] - 1) if size[0] > 1 else 0.0

    def block(first: int, last: int) -> Tensor:
        low, high = int(first * scale), min(int((last - 1) * scale) + 2, grid.shape[-2])
        return matrix[first:last, low:high] @ wide[:, low:high]

    return block


def box_sums(
    planes: Callable[[Tensor], Tensor],
    labels: Tensor,
    lse: Tensor,
    limits: list[int],
    num_classes: int,
    *,
    void: int | None,
    grid: tuple[int, int] | None = None,
    boundary: str,
) -> Tensor:
    """Return Re L_ce(nu) of Eq. 2 summed over the box of each limit, for one image, float64 (len(limits),).

    `planes(classes)` gives logits (P, H, W) of some of the `num_classes` classes, or on their `grid` (P, h, w); `lse`
    (H, W); `void` as in `losses`. Where all pixels are labelled the classes' planes sum to 1, so that lse enters at
    nu = 0 alone; void makes it one more plane, against the mask's.
    """
    limit = max(limits, default=0)
    rows, cols = (waves(n, limit, boundary, lse.dtype, lse.device) for n in labels.shape)
    seen, size = (rows, cols), block_size(labels.numel(), lse.device, lse.dtype.itemsize)
    if grid is not None:
        sides, size = zip(labels.shape, grid, strict=True), num_classes
        seen = tuple(waves(n, limit, boundary, lse.dtype, lse.device, g) for n, g in sides)
    product = torch.zeros(len(cols.rim), len(rows.rim), dtype=torch.float64, device=lse.device)
    classes, b = label_coefficients(labels, void, num_classes, rows, cols)
    for group, of_labels in zip(classes.split(size), b.split(size), strict=True) if len(classes) else ():
        product = product - _products(of_labels, *plane_coefficients(planes(group), *seen))
    if void is None:
        product[0, 0] += lse.sum(dtype=torch.float64) * labels.numel()
    else:
        product = product + _products(b.sum(0, keepdim=True), *plane_coefficients(lse[None], rows, cols))
    box = torch.tensor(limits, dtype=torch.long, device=lse.device)[:, None]
    within_cols, within_rows = ((w.rim <= box).double() for w in (cols, rows))
    return (within_cols @ product * within_rows).sum(1) / labels.numel() ** 2
