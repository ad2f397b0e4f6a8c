"""Label maps in frequency: averaged power, decay, share inside a band, band-limited labels (Fig. 1 row 1, Eq. 9).

A label map becomes one 0/1 plane B(t, c) a class; void pixels are 0 in every plane ("masked") or take the nearest label
("filled"). FFT convention: `spectral.spectrum` (forward 1/N, nu in cycles per frame, box |u|, |v| <= nu_max). Energies
are means over pixels, so that the energy of all planes together is the share of labelled pixels.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from scipy import fft, ndimage
from torch import Tensor

from specseg.evidence import statistics
from specseg.spectral import iou as metrics
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

VOID = 255
LIMITS = (64, 48, 40, 32, 24, 16, 8)  # Table 1's, without 256, which changes nothing
VOIDS = ("masked", "filled")
FIT = (8, 64)  # the range of Table 1's limits


def rim_power(planes, *, boundary: str = "periodic") -> Tensor:
    """Return sum_c |b(nu, c)|^2 over the rims of the growing boxes, float64 (nyquist + 1,): what Fig. 1 averages.

    `planes` (C, H, W) real. The sum of all rims is the mean over pixels of sum_c B^2 (Parseval). Bins of equal box rim
    share one entry (`rim_bins` counts them). Raises ValueError for an unknown boundary.

    >>> rim_power(torch.tensor([[[1., 1., 0.]]]).double()).round(decimals=4)      # mean 2/3, twice |b(1)|^2 = 1/9
    tensor([0.4444, 0.2222], dtype=torch.float64)
    """
    planes = torch.as_tensor(planes).double()
    h, w = planes.shape[-2:]
    if sp.check_boundary(boundary) == "periodic":
        return sp.rim_products(planes, planes).sum(0)
    cosines = fft.dctn(planes.numpy(), type=2, axes=(-2, -1)) / (4 * h * w)  # sp.cosine_spectrum, faster
    return sp.rim_sums(torch.from_numpy(cosines).square().sum(0), (h, w), boundary=boundary)


def rim_bins(size: int, *, boundary: str = "periodic") -> Tensor:
    """Return how many bins the rims of a size x size frame hold; mirrored bins, four times as dense, count a quarter.

    >>> rim_bins(5).tolist()
    [1.0, 8.0, 16.0]
    """
    return _rim_bins(size, sp.check_boundary(boundary)).clone()


@lru_cache(maxsize=32)
def _rim_bins(size: int, boundary: str) -> Tensor:
    scale = 2 if boundary == "mirrored" else 1
    ones = torch.ones(scale * size, scale * size, dtype=torch.float64)
    return sp.box_profile(ones, boundary=boundary) / scale**2


def basis(n: int, nu_max: int, *, boundary: str = "periodic") -> Tensor:
    """Return orthonormal columns (n, K) that span |u| <= nu_max: cosines and sines, mirrored half-cycle cosines.

    The columns are in order of frequency, K = min(2 nu_max + 1, n) = the LRG size, so that a smaller band is a smaller
    number of columns. U U^T is the projection of Eq. 9 along one axis; `band_limited` uses it because many limits of
    one map then cost one small product each instead of one FFT each.

    >>> u = basis(9, 2); u.shape, bool(torch.allclose(u.T @ u, torch.eye(5, dtype=u.dtype)))
    (torch.Size([9, 5]), True)
    """
    sp.check_boundary(boundary)
    count = min(2 * nu_max + 1, n)
    k = torch.arange(count)
    if boundary == "mirrored":
        angle = torch.pi * (torch.arange(n, dtype=torch.float64) + 0.5)[:, None] * k / n
    else:  # columns 1, cos 1, sin 1, cos 2, ...: a sine is a shifted cosine
        angle = 2 * torch.pi * torch.arange(n, dtype=torch.float64)[:, None] * ((k + 1) // 2) / n
        angle = angle - torch.pi / 2 * ((k > 0) & (k % 2 == 0)).double()
    columns = torch.cos(angle)
    return columns / columns.norm(dim=0)


def band_limited(planes, limits: Sequence[int] = LIMITS, *, boundary: str = "periodic") -> Iterator[Tensor]:
    """Yield the planes (C, H, W) without the frequencies outside each box of `limits` (Eq. 9), as `sp.band_limit` does.

    Raises ValueError for a limit beyond Nyquist.
    """
    rows, cols, coefficients = _coefficients(torch.as_tensor(planes).double(), limits, boundary)
    for nu in limits:
        k = 2 * nu + 1
        yield rows[:, :k] @ coefficients[:, :k, :k] @ cols[:, :k].T


def _coefficients(planes: Tensor, limits: Sequence[int], boundary: str) -> tuple[Tensor, Tensor, Tensor]:
    h, w = planes.shape[-2:]
    top = max(sp.check_nu_max(nu, (h, w)) for nu in limits)
    rows, cols = basis(h, top, boundary=boundary), basis(w, top, boundary=boundary)
    return rows, cols, rows.T @ planes @ cols


def classes_in(label: Tensor, num_classes: int) -> list[int]:
    """Return the classes of a label map, void left out. Raises ValueError for a value outside 0 .. C-1 and not 255."""
    found = [int(c) for c in torch.unique(label) if int(c) != VOID]
    if not found:
        raise ValueError("label: every pixel is void (255); it has no spectrum")
    if found[0] < 0 or found[-1] >= num_classes:
        raise ValueError(f"label: classes {found[0]} .. {found[-1]}, expected 0 .. {num_classes - 1} or {VOID}")
    return found


def contour_distance(label, *, boundary: str = "periodic", reach: int = 64) -> Tensor:
    """Return the distance in pixels of every pixel's centre to the nearest contour of a label map, float64 (H, W).

    A contour runs between two of the 4-neighbours with different values; void is a value, since planes jump there.
    `periodic`: the glued frame's edges count too, and distances up to `reach` are taken around it. Infinite without
    contours.

    >>> contour_distance([[0, 0, 0, 1]], boundary="mirrored").tolist()
    [[2.5, 1.5, 0.5, 0.5]]
    """
    sp.check_boundary(boundary)
    label = np.asarray(label)
    pad = [(min(reach, n),) * 2 for n in label.shape] if boundary == "periodic" else [(0, 0)] * 2
    wide = np.pad(label, pad, mode="wrap")
    edge = np.zeros(wide.shape, bool)
    for axis in (0, 1):
        jump = np.diff(wide, axis=axis) != 0
        edge |= np.pad(jump, [(0, 1) if a == axis else (0, 0) for a in (0, 1)])
        edge |= np.pad(jump, [(1, 0) if a == axis else (0, 0) for a in (0, 1)])
    if not edge.any():
        return torch.full(label.shape, torch.inf, dtype=torch.float64)
    distance = ndimage.distance_transform_edt(~edge) + 0.5
    inside = tuple(slice(p[0], p[0] + n) for p, n in zip(pad, label.shape, strict=True))
    return torch.from_numpy(distance[inside].copy())


def analyse(
    label, num_classes: int, *, void: str = "masked", limits: Sequence[int] = LIMITS, whole: bool = True
) -> dict[str, np.ndarray]:
    """Measure one framed label map (H, W) under both boundaries; the first axis is (periodic, mirrored).

    Returns `rims` (2, nyquist + 1): `rim_power`; `beyond` and `near` (2, L): the energy outside each limit, and the
    part of it within one LRG cell, H/(2 nu_max + 1) pixels, of a contour; `confusion` (2, L, C, C): true against
    band-limited labels over the labelled pixels; with "filled" also `everywhere`: over all pixels. Without `whole`,
    faster, `rims` ends after the largest limit with one entry for all that is beyond it, and there is no `near`.
    Raises ValueError for an unknown word, a class out of range or a map without a label.
    """
    if void not in VOIDS:
        raise ValueError(f"void {void!r}: expected one of {', '.join(VOIDS)}")
    label = torch.as_tensor(np.asarray(label)).long()
    seen = annotation.fill_void(label) if void == "filled" else label
    cells = [label.shape[0] / sp.lrg_size(nu) for nu in limits]
    scored = {"confusion": label, "everywhere": seen} if void == "filled" else {"confusion": label}
    pixels = {key: torch.nonzero(truth.flatten() != VOID)[:, 0] for key, truth in scored.items()}
    truths = {key: truth.flatten()[pixels[key]] for key, truth in scored.items()}
    classes = classes_in(seen, num_classes)
    planes = torch.stack([seen == c for c in classes]).double()
    out: dict[str, list] = {key: [] for key in ("rims", "beyond", *(["near"] if whole else []), *scored)}
    for boundary in sp.BOUNDARIES:
        modes = _coefficients(planes, limits, boundary)
        rims = rim_power(planes, boundary=boundary) if whole else _short_rims(planes, modes[2])
        distance = contour_distance(seen, boundary=boundary, reach=int(max(cells)) + 2) if whole else None
        out["rims"].append(rims.numpy())
        out["beyond"].append([float(rims[nu + 1 :].sum()) for nu in limits])
        for key in list(out)[2:]:
            out[key].append([])
        for cell, (winner, rest) in zip(cells, _contests(planes, classes, limits, modes, whole), strict=True):
            if whole:
                out["near"][-1].append(float((rest * (distance <= cell)).mean(dtype=torch.float64)))
            for key, truth in truths.items():
                guess = winner.flatten()[pixels[key]]
                out[key][-1].append(metrics.confusion_matrix(guess, truth, num_classes).numpy())
    return {key: np.asarray(value, np.int32 if key in scored else np.float64) for key, value in out.items()}


def _short_rims(planes: Tensor, coefficients: Tensor) -> Tensor:
    """Return `rim_power` up to the largest limit from the orthonormal coefficients, then all the rest as one entry."""
    k = torch.arange(coefficients.shape[-1])
    index = (torch.maximum(k[:, None], k[None, :]) + 1) // 2
    out = torch.zeros(int(index.max()) + 2, dtype=torch.float64)
    out.index_add_(0, index.flatten(), coefficients.square().sum(0).flatten() / planes[0].numel())
    out[-1] = planes.mean((1, 2)).sum() - out.sum()
    return out


def _contests(planes: Tensor, classes: Sequence[int], limits: Sequence[int], modes: tuple[Tensor, ...], rests: bool):
    """Yield for each limit the class whose band-limited plane is largest, and sum_c (B - band-limited B)^2, (H, W).

    Single precision decides the contest (its 1e-7 moves no contour by a pixel); buffers are used again, since on whole
    frames fresh memory costs more than the sums. Without `rests` the second is not computed.
    """
    planes = planes.float()
    rows, cols, coefficients = (m.float() for m in modes)
    low, best, rest = (torch.empty_like(planes[0]) for _ in range(3))
    better, winner = torch.empty(low.shape, dtype=torch.bool), torch.empty(low.shape, dtype=torch.uint8)
    for nu in limits:
        k = 2 * nu + 1
        best.fill_(-torch.inf)
        rest.zero_()
        for c, plane, weights in zip(classes, planes, coefficients, strict=True):
            torch.mm(rows[:, :k] @ weights[:k, :k], cols[:, :k].T, out=low)
            winner.masked_fill_(torch.gt(low, best, out=better), c)
            torch.maximum(low, best, out=best)
            if rests:
                rest.add_(torch.sub(plane, low, out=low).square_())
        yield winner, rest


def decay_exponent(rims, size: int, *, boundary: str = "periodic", fit: tuple[int, int] = FIT) -> float:
    """Return p of the power law |b(nu)|^2 ~ nu^-p a bin, nu = max(|u|, |v|), by least squares of logarithms over `fit`.

    `rims` as `rim_power`, of a size x size frame. Each octave weighs the same (weights 1/nu). A mirrored rim holds
    nu - 1/2 and nu, so it stands at nu - 1/4.
    Raises ValueError where the range is empty or holds no power.

    >>> nu = torch.arange(65.); round(decay_exponent(8 * nu * nu.clamp(min=1) ** -3, 129), 6)
    3.0
    """
    low, high = fit
    nu = np.arange(low, min(high, size // 2) + 1)
    power = np.asarray(rims, float)[nu] / np.asarray(rim_bins(size, boundary=boundary))[nu]
    if len(nu) < 2 or not (power > 0).all():
        raise ValueError(f"decay over nu = {low} .. {high}: expected power > 0 at two frequencies or more")
    centre = nu - 0.25 if boundary == "mirrored" else nu
    return -float(np.polyfit(np.log(centre), np.log(power), 1, w=nu**-0.5)[0])


def summary(stack: Mapping[str, np.ndarray], groups: Sequence, size: int, *, limits: Sequence[int] = LIMITS,
            draws: int = 1000, seed: int = 0, whole: bool = True) -> pd.DataFrame:  # fmt: skip
    """Return tidy rows of what `analyse` gave for n images (stacked on a new first axis) with 95 % bootstrap intervals.

    Metrics: `power` (per bin, class and image, against nu), `decay_exponent` (and over 4 .. 128), `energy_share` and
    `energy_share_ac` (inside the box, with and without the mean), `near_share`, `pixel_error`, `miou` (`_everywhere`
    after filling), `wrap_ratio` (energy beyond the box, periodic to mirrored). Sums over images first, ratios after.
    Without `whole` (see `analyse`) there are no power, no exponents and no near_share.
    """
    times = statistics.resampled(groups, draws, seed)
    total = {key: np.tensordot(times, value, 1) for key, value in stack.items()}
    n, classes = len(groups), stack["confusion"].shape[-1]
    rows: list[dict] = []

    def add(metric, values, each=None, **where):
        values = np.asarray(values, float)
        spread = np.nanstd(each) if each is not None else np.nan
        found = statistics.estimate(values[0], values[1:])
        rows.append({"metric": metric, **found, "spread": spread, "n": n, **where})

    for b, boundary in enumerate(sp.BOUNDARIES):
        rims, bins = total["rims"][:, b], np.asarray(rim_bins(size, boundary=boundary))
        for name, fit in (("decay_exponent", FIT), ("decay_exponent_4_128", (4, 128))) if whole else ():
            add(name, [decay_exponent(r, size, boundary=boundary, fit=fit) for r in rims], boundary=boundary)
        for nu in range(rims.shape[1]) if whole else ():
            add("power", rims[:, nu] / (bins[nu] * classes * times.sum(1)), boundary=boundary, nu=nu)
        inside, own = rims.cumsum(1), stack["rims"][:, b].cumsum(1)
        for k, nu in enumerate(limits):
            at = {"boundary": boundary, "nu_max": nu, "lrg_size": sp.lrg_size(nu)}
            add("energy_share", inside[:, nu] / inside[:, -1], own[:, nu] / own[:, -1], **at)
            mean, varies = own[:, 0], own[:, -1] - own[:, 0] > 1e-12  # one-class maps have nothing but their mean
            each = (own[varies, nu] - mean[varies]) / (own[varies, -1] - mean[varies])
            add("energy_share_ac", (inside[:, nu] - rims[:, 0]) / (inside[:, -1] - rims[:, 0]), each, **at)
            if whole and nu < size // 2:  # nothing is beyond the Nyquist limit
                add("near_share", total["near"][:, b, k] / total["beyond"][:, b, k], **at)
            for key, end in (("confusion", ""), ("everywhere", "_everywhere")):
                if key in total:
                    confusion, single = total[key][:, b, k], stack[key][:, b, k]
                    add(f"miou{end}", [metrics.mean_iou(torch.from_numpy(c)) for c in confusion], **at)
                    add(f"pixel_error{end}", pixel_error(confusion), pixel_error(single), **at)
    for k, nu in enumerate(limits):
        if nu < size // 2:
            ratio = total["beyond"][:, 0, k] / total["beyond"][:, 1, k]
            add("wrap_ratio", ratio, nu_max=nu, lrg_size=sp.lrg_size(nu))
    whole_numbers = [c for c in ("nu", "nu_max", "lrg_size") if any(c in row for row in rows)]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole_numbers, "Int64"))


def pixel_error(confusion) -> np.ndarray:
    """Return the share of pixels off the diagonal of confusion matrices (..., C, C).

    >>> float(pixel_error(np.array([[3, 1], [0, 4]])))
    0.125
    """
    confusion = np.asarray(confusion, float)
    return 1 - np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))
