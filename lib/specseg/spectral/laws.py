"""What weak labels cost, from the annotation alone: tail energies, bounds without a transform, block errors, ceilings.

Beyond the paper, which asks for it (section 4: "it remains unclear that how to determine the efficient band limit").
Frames are square, N pixels a side; E_c(nu_max) is the energy of class c's label plane outside the box |u|, |v| <=
nu_max (spectra 1/N forward), so that sum_c E_c is the mean squared error of band-limited labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from specseg.spectral import iou as metrics
from specseg.spectral import labels as an
from specseg.spectral import spectrum as sp

# E |d . n| for d uniform in the unit square, averaged over directions n: (sqrt 2 + asinh 1)/6 times 2/pi.
BLOCK_CONSTANT = (math.sqrt(2) + math.asinh(1)) / 6 * 2 / math.pi
# Mean of max(|cos|, |sin|) over directions: what the box keeps more than the disc.
BOX_FACTOR = 2 * math.sqrt(2) / math.pi


def tail_energy(labels, nu_max: Sequence[int], num_classes: int, *, boundary: str = "periodic") -> Tensor:
    """Return E_c(nu_max) by FFT, float64 (C, len(nu_max)): the energy of each label plane outside the box.

    >>> tail_energy(torch.tensor([[0, 0], [1, 1]]), [0, 1], 2)[0].tolist()       # plane 0/1: mean 1/2, the rest 1/4
    [0.25, 0.0]
    """
    labels = an.check_labels(labels, num_classes)
    out = torch.zeros(num_classes, len(nu_max), dtype=torch.float64)
    for c in torch.unique(labels[labels != 255]).tolist():
        plane = (labels == c).double()
        inside = sp.rim_products(plane, plane, boundary=boundary).cumsum(0)
        out[c] = torch.stack([inside[-1] - inside[sp.check_nu_max(n, tuple(plane.shape))] for n in nu_max])
    return out.clamp(min=0)


def tail_law(labels, nu_max: Sequence[int], num_classes: int, *, boundary: str = "periodic") -> Tensor:
    """Return the law E_c = D_c/(2 pi^2 nu_max), float64 (C, len(nu_max)), from counts of label transitions alone.

    D_c (in frame sides) = contour integral of max(|n_x|, |n_y|) ds, n the normal, = half the number of diagonal
    neighbours that the contour separates, over N: max(|a|, |b|) = (|a + b| + |a - b|)/2. For isotropic contours
    D = 0.90 P. The frame's wrap counts as contour when periodic, void as another class. The pixel grid adds the factor
    x cot x, x = pi (nu_max + 1/2)/N, since a sampled edge has |b|^2 = 1/(2N sin(pi nu/N))^2. Limits: sums of
    oscillating cross terms of nearby contours are left out; nu_max must exceed the inverse of the things' own size.

    >>> half = torch.tensor([[0] * 20 + [1] * 45] * 65)                # a straight edge and the frame's wrap
    >>> exact, law = (f(half, [8], 2)[0].item() for f in (tail_energy, tail_law))
    >>> round(law / exact, 2)                                          # the two edges' cross term makes the 5 %
    1.05
    """
    labels = an.check_labels(labels, num_classes)
    if labels.ndim != 2 or labels.shape[0] != labels.shape[1]:
        raise ValueError(f"labels: expected one square map (N, N), got {tuple(labels.shape)}")
    n, periodic = len(labels), sp.check_boundary(boundary) == "periodic"
    counts = an.transitions(labels, num_classes, wrap=periodic, void_edges=True)
    length = (counts[:, 2] + counts[:, 3]) / 2 / n
    # the first bin left out stands at nu_max + 1, mirrored at nu_max + 1/2: the sum starts half a bin before it
    x = math.pi / n * (torch.tensor(list(nu_max), dtype=torch.float64) + (0.5 if periodic else 0.25))
    return (length[:, None] / torch.tan(x) / (2 * math.pi * n)).clamp(min=0)


def bound_constant(n: int, nu_max: int, *, period: float | None = None) -> float:
    """Return f with: sum over |u| > nu_max of |b(u)|^2 <= f T/n for every 0/1 signal of n pixels with T transitions.

    Proof: 4 sin^2(pi u h/n) |b|^2 is the spectrum of B(t) - B(t - h), and shifting by h changes at most h T pixels. The
    mean over h = 1 .. H gives sum_u phi_H(u) |b(u)|^2 <= (H + 1) T/(2n); divide by the smallest phi_H above nu_max and
    take the best H. No f below n/(8 (nu_max + 1)) is possible: stripes of frequency nu_max + 1 have tail 1/4 and
    T = 2 (nu_max + 1). This f comes within 3 % of it. `period` fixes H to that share of the period n/(nu_max + 1)
    instead of the best H: 1/2 is where the stripes' own term is largest.

    >>> round(bound_constant(513, 32) * 33 / 513, 3)                   # the least possible is 1/8
    0.128
    """
    u = np.arange(nu_max + 1, n // 2 + 1)
    if u.size == 0:
        return 0.0
    widths = np.arange(1, max(2, int(n / (nu_max + 1))) + 1)
    phi = np.cumsum(4 * np.sin(np.pi * np.outer(widths, u) / n) ** 2, axis=0) / widths[:, None]
    bounds = (widths + 1) / 2 / np.maximum(phi.min(axis=1), 1e-12)
    if period is None:
        return float(bounds.min())
    return float(bounds[min(len(bounds), max(1, round(period * n / (nu_max + 1)))) - 1])


def tail_bound(labels, nu_max: Sequence[int], num_classes: int, *, boundary: str = "periodic") -> Tensor:
    """Return a strict upper bound of E_c(nu_max), float64 (C, len(nu_max)), that only counts label transitions.

    The box leaves out |u| > nu_max or |v| > nu_max: E_c <= f (T_h + T_v)/pixels with `bound_constant`, about
    0.128 (T_h + T_v)/(N (nu_max + 1)) in frame sides, and never more than the share of the class, A (1 - A). About
    2.5 times the law for contours along the axes, more for slanted ones.
    """
    labels = an.check_labels(labels, num_classes)
    h, w = labels.shape
    periodic = sp.check_boundary(boundary) == "periodic"
    counts = an.transitions(labels, num_classes, wrap=periodic, void_edges=True)
    scale = 1 if periodic else 2
    area = torch.stack([(labels == c).double().mean() for c in range(num_classes)])
    out = torch.zeros(num_classes, len(nu_max), dtype=torch.float64)
    for k, limit in enumerate(nu_max):
        fx, fy = (bound_constant(scale * n, scale * sp.check_nu_max(limit, (h, w))) for n in (w, h))
        # mirrored, each side's transitions and pixels double together: T/pixels stays, n and nu_max double
        out[:, k] = torch.minimum((fx * counts[:, 0] + fy * counts[:, 1]) / labels.numel(), area * (1 - area))
    return out


def argmax_bound(energies: Tensor) -> Tensor:
    """Return 2 sum_c E_c, float64 (len(nu_max),): no larger share of pixels changes class in `band_limited_labels`.

    Proof: where the argmax errs, e_k - e_l >= 1 for the error e = PB - B, k taken, l true; so e_k^2 + e_l^2 >= 1/2.
    Sum over pixels and use Parseval. With bounds in place of energies it is still a bound. Sharp pixel by pixel, far
    too large for smooth contours: a straight edge, band-limited, still crosses 1/2 where it was.

    >>> argmax_bound(torch.tensor([[0.125], [0.0625]])).item()
    0.375
    """
    return 2 * energies.sum(0)


def displacement_spectrum(n: int, block: int) -> Tensor:
    """Return w(u) = mean of exp(-2 pi j u d/n) over the displacements d of a block's pixels from its point, (n,).

    A block of `block` pixels holds its point at position (block - 1)//2, as `labels.cells` rounds.

    >>> displacement_spectrum(4, 1).real.tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    if not 1 <= block <= n:
        raise ValueError(f"block {block}: expected 1 .. {n} pixels")
    d = torch.arange(block, dtype=torch.float64) - (block - 1) // 2
    phase = -2 * torch.pi / n * sp.signed_frequencies(n).double()[:, None] * d[None, :]
    return torch.polar(torch.ones_like(phase), phase).mean(dim=1)


def block_error_spectral(labels, block: int, num_classes: int, *, boundary: str = "mirrored") -> float:
    """Return the share of pixels that a block annotation changes, exactly: sum_c sum_nu |b_c|^2 (1 - Re w(u) w(v)).

    For "nearest" blocks of `block` pixels a side, averaged over the grid's position (all block^2 phases), on the
    periodic frame or, without the wrap, on the mirrored one. Proof: two labels differ where (1/2) sum_c (B_c(t) -
    B_c(t - d))^2 = 1; Parseval turns its mean into sum |b_c|^2 (1 - cos), then take the mean over d.
    Raises ValueError for labels with void: fill them first (`labels.fill_void`).

    >>> labels = torch.tensor([[0, 0, 1, 1]] * 4)
    >>> round(block_error_spectral(labels, 2, 2, boundary="periodic"), 9)        # both phases: 0 and 4 of 8 columns
    0.25
    """
    labels = an.check_labels(labels, num_classes)
    if bool((labels == 255).any()):
        raise ValueError("labels: void pixels; fill them first, a spectrum cannot leave them out")
    scale = 2 if sp.check_boundary(boundary) == "mirrored" else 1
    rows, cols = (displacement_spectrum(scale * n, min(block, n)) for n in labels.shape)
    weight = 1 - (rows[:, None] * cols[None, :]).real
    planes = ((labels == c).double() for c in torch.unique(labels).tolist())
    return sum(float((sp.spectrum(b, boundary=boundary).abs().pow(2) * weight).sum()) for b in planes)


def block_error_law(contour: Tensor, block: float, pixels: int) -> Tensor:
    """Return the law e = 0.2436 h P for blocks of h pixels: the share of pixels inside/outside a contour of length P.

    `contour` in pixels (`labels.perimeter`, class by class), `pixels` of the frame. A displacement d moves the
    area |d . n| across each piece of contour; its mean over the block is 0.2436 h for all directions together, 0.2500 h
    along the axes and 0.2357 h on the diagonal. For a straight contour "majority" equals "nearest": a half-plane
    holds a block's middle exactly when it holds half of it. Limit: h must be small against what is mapped.

    >>> round(float(block_error_law(torch.tensor(100.0), 8, 10000)), 4)
    0.0195
    """
    return BLOCK_CONSTANT * block * contour / pixels


def iou_law(area: Tensor, error: Tensor) -> Tensor:
    """Return IoU = (A - e/2)/(A + e/2) of a class of area share A when the share e changes, half in, half out.

    So 1 - IoU = e/(A + e/2). Clamped at 0; NaN for a class without pixels.

    >>> round(iou_law(torch.tensor(0.2), torch.tensor(0.04)).item(), 4)
    0.8182
    """
    return ((area - error / 2) / (area + error / 2)).clamp(min=0)


def predicted_ceiling(labels, num_classes: int, nu_max: int) -> Tensor:
    """Return the IoU of each class that block labels of nu_max will have, from areas and contour lengths alone, (C,).

    `labels` square (N, N) or (B, N, N): areas and contours are added up. h = (N - 1)/(2 nu_max) pixels. Void is filled
    with the nearest class first: a void ribbon along a contour would hide it, as it hides the errors there.
    NaN for a class without pixels.
    """
    labels = an.check_labels(an.fill_void(labels), num_classes)
    n = int(labels.shape[-1])
    sp.check_nu_max(nu_max, (n, n))
    area = torch.bincount(labels.flatten(), minlength=num_classes).double() / labels.numel()
    error = block_error_law(an.perimeter(labels, num_classes), (n - 1) / (2 * nu_max), labels.numel())
    # blocks of one pixel change nothing; the law is that of a continuous displacement
    return iou_law(area, error if n > 2 * nu_max + 1 else torch.zeros_like(error))


def ceiling(
    labels: Iterable,
    num_classes: int,
    nu_max: Sequence[int],
    *,
    kind: str = "majority",
    boundary: str = "periodic",
    ignore_index: int = 255,
) -> pd.DataFrame:
    """Return the mIoU of weak labels against the true ones: what no training is needed for, one line per nu_max.

    `kind`: "majority", "nearest" (block-wise) or "band" (band-limited, argmax). mIoU from the confusion matrix of all
    maps together. Columns: kind, nu_max, lrg_size, metric (miou), value, error (share of labelled pixels), n (maps).
    Raises ValueError for an unknown kind and for no maps.

    >>> ceiling([torch.tensor([[0, 0, 0, 1, 1]])], 2, [0]).value.tolist()        # all 0: IoU 3/5 and 0
    [0.3]
    """
    if kind not in (*an.MODES, "band"):
        raise ValueError(f"kind {kind!r}: expected majority, nearest or band")
    confusion = {n: torch.zeros(num_classes + 1, num_classes + 1, dtype=torch.long) for n in nu_max}
    count = 0
    for plane in labels:
        plane, count = an.check_labels(plane, num_classes, ignore_index=ignore_index), count + 1
        for n in nu_max:
            if kind == "band":
                weak = an.band_limited_labels(plane, n, boundary, ignore_index=ignore_index)
            else:
                weak = an.block_labels(plane, n, kind, ignore_index=ignore_index)
            # a block whose grid point is void has no label: its pixels count as wrong, in a column of their own
            weak = torch.where((weak == ignore_index) & (plane != ignore_index), num_classes, weak)
            confusion[n] += metrics.confusion_matrix(weak, plane, num_classes + 1, ignore_index=ignore_index)
    if count == 0:
        raise ValueError("labels: no label map given")
    return pd.DataFrame([
        {"kind": kind, "nu_max": n, "lrg_size": sp.lrg_size(n), "metric": "miou",
         "value": float(metrics.class_iou(m)[:-1].nanmean()), "error": 1 - float(m.diagonal().sum() / m.sum()),
         "n": count} for n, m in confusion.items()
    ])  # fmt: skip
