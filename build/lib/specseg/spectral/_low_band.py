"""Few frequencies of class planes without an FFT: real bases, labels by their runs, logits by matrix products.

A box |u|, |v| <= K (Eq. 9) of real frames is spanned by products of 2K + 1 real waves along each axis. With waves that
are orthonormal under the mean over pixels, sum over the box of b(-nu) y(nu) is the plain sum of products of the two
frames' real coefficients. Mirrored frames (`specseg.spectral.spectrum`) have half-cycle cosines for waves (DCT-II).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS, RUNS = (
    64,
    4096,
)  # rows of labels looked at, and runs of theirs taken up, at once: bounds the memory of noisy labels
BLOCK = {"cpu": 3 << 19}  # bytes worked on at once: what a core's cache holds; elsewhere what launching is worth


class Waves(NamedTuple):
    """Orthonormal real waves on n points: those even under the axis's reflection first, then the odd ones.

    sums: (n + 1, m), sums of the waves over the points before each. A reflection pairs `start + i` with n - 1 - i for i
    below p; even: (p, me), odd: (p, mo), the waves at the first of each pair; alone: (a, me), at `points`, which are
    their own partners and where odd waves vanish. rim: (m,), the smallest nu_max whose box holds each wave. The
    constant wave is 1 exactly, also in float32: so nothing is divided by n here.
    """

    sums: Tensor
    even: Tensor
    odd: Tensor
    alone: Tensor
    points: Tensor
    start: int
    rim: Tensor


@lru_cache(maxsize=64)
def waves(n: int, nu_max: int, boundary: str, dtype: torch.dtype, device: torch.device) -> Waves:
    """Return the waves of at most `nu_max` cycles per frame on `n` points; all of them from n/2 on.

    Built in float64 from whole-number phases, then rounded to `dtype`. Do not write into the result: it is kept.

    >>> w = waves(3, 1, "periodic", torch.float64, torch.device("cpu"))          # 1, cos, sin
    >>> w.sums.diff(dim=0).abs().round(decimals=4).tolist()
    [[1.0, 1.4142, 0.0], [1.0, 0.7071, 1.2247], [1.0, 0.7071, 1.2247]]
    """
    t = torch.arange(n)
    if boundary == "mirrored":
        k = torch.arange(min(2 * nu_max, n - 1) + 1)
        table = torch.cos(torch.pi / (2 * n) * ((2 * t[:, None] + 1) * k % (4 * n)).double())
        even, odd, rim = table[:, ::2], table[:, 1::2], (k + 1) // 2
        rim = torch.cat([rim[::2], rim[1::2]])
        start, pairs = 0, n // 2
    else:
        k = torch.arange(min(nu_max, n // 2) + 1)
        phase = 2 * torch.pi / n * (t[:, None] * k % n).double()
        inner = k[(k > 0) & (2 * k < n)]
        even, odd, rim = phase.cos(), phase[:, inner].sin(), torch.cat([k, inner])
        start, pairs = 1, (n - 1) // 2
    full = torch.cat([even, odd], dim=1)
    full = full / full.pow(2).mean(0).sqrt()
    sums = torch.cat([full.new_zeros(1, full.shape[1]), full.cumsum(0)])
    points = torch.cat([t[:start], t[start + pairs : n - pairs]])
    first, split = full[start : start + pairs], even.shape[1]
    parts = (x.to(device, dtype).contiguous() for x in (sums, first[:, :split], first[:, split:], full[points, :split]))
    return Waves(*parts, points.to(device), start, rim.to(device))


def analyse(x: Tensor, w: Waves, *, swap: bool = False) -> Tensor:
    """Return sum_t wave(t) x(t), n times the coefficients, along the last axis but one: (..., n, k) -> (..., m, k).

    The frame is folded at the axis's reflection first, which halves the products. `swap` gives (..., k, m).
    """
    pairs = w.even.shape[0]
    near, far = x[..., w.start : w.start + pairs, :], x[..., x.shape[-2] - pairs :, :].flip(-2)
    even = near + far
    odd = near - far
    alone = x.index_select(-2, w.points)
    if swap:
        of_even = even.transpose(-1, -2) @ w.even + alone.transpose(-1, -2) @ w.alone
        return torch.cat([of_even, odd.transpose(-1, -2) @ w.odd], dim=-1)
    return torch.cat([w.even.T @ even + w.alone.T @ alone, w.odd.T @ odd], dim=-2)


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
    gives the difference of two rows of `Waves.sums`, so the cost goes with the length of the boundaries.
    """
    height, m = labels.shape[0], cols.sums.shape[1]
    half = cols.sums.new_zeros(num_classes * height, m)
    there = torch.zeros(num_classes, dtype=torch.bool, device=labels.device)
    for top in range(0, height, ROWS):
        value, row, first, after = label_runs(labels[top : top + ROWS])
        if void is not None:
            known = value != void
            value, row, first, after = (x[known] for x in (value, row, first, after))
        there[value] = True
        for slot, a, z in zip(*(x.split(RUNS) for x in (value * height + row + top, first, after)), strict=True):
            half.index_add_(0, slot, cols.sums.index_select(0, z).sub_(cols.sums.index_select(0, a)))
    classes, half = there.nonzero()[:, 0], half.view(num_classes, height, m)
    size = block_size(height * m, labels.device, half.dtype.itemsize)
    parts = []
    for part in classes.split(size):
        first, last = (int(x) for x in part[[0, -1]]) if len(part) else (0, -1)
        whole = last - first + 1 == len(part)  # a slice needs no copy
        parts.append(analyse(half[first : last + 1] if whole else half[part], rows, swap=True))
    return classes, torch.cat(parts)


def plane_coefficients(planes: Tensor, rows: Waves, cols: Waves) -> Tensor:
    """Return N times the coefficients (P, mw, mh) of real frames (P, H, W), the waves along a row first."""
    return analyse(analyse(planes, rows, swap=True), cols)


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
    rows, cols = (waves(n, max(limits, default=0), boundary, lse.dtype, lse.device) for n in labels.shape)
    classes, b = label_coefficients(labels, void, num_classes, rows, cols)
    size = len(classes) if grid is not None else block_size(labels.numel(), lse.device, lse.dtype.itemsize)
    if grid is not None:
        from_rows, from_cols = (
            analyse(bilinear_matrix(n, g, lse.dtype, lse.device), w)
            for n, g, w in zip(labels.shape, grid, (rows, cols), strict=True)
        )
    product = torch.zeros(len(cols.rim), len(rows.rim), dtype=torch.float64, device=lse.device)
    groups = zip(classes.split(size), b.split(size), strict=True) if len(classes) else ()
    for group, of_labels in groups:
        y = planes(group)
        y = plane_coefficients(y, rows, cols) if grid is None else from_cols @ (from_rows @ y).transpose(1, 2)
        product = product - (of_labels.double() * y.double()).sum(0)
    if void is None:
        product[0, 0] += lse.sum(dtype=torch.float64) * labels.numel()
    else:
        product = product + b.double().sum(0) * plane_coefficients(lse[None], rows, cols)[0].double()
    box = torch.tensor(limits, dtype=torch.long, device=lse.device)[:, None]
    within_cols, within_rows = ((w.rim <= box).double() for w in (cols, rows))
    return (within_cols @ product * within_rows).sum(1) / labels.numel() ** 2
