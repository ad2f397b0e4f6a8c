"""Class planes in frequency: power by rim, its decay, band-limited planes, distance to contours (Fig. 1 row 1, Eq. 9).

A label map becomes one 0/1 plane B(t, c) a class. FFT convention: `spectral.spectrum` (forward 1/N, nu in cycles per
frame, box |u|, |v| <= nu_max). Energies are means over pixels, so that the energy of all planes together is the share
of labelled pixels.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import fft, ndimage
from torch import Tensor

from specseg.data._objects import contour_band
from specseg.spectral import spectrum as sp

LIMITS = (64, 48, 40, 32, 24, 16, 8)  # Table 1's, without 256, which changes nothing
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


@lru_cache(maxsize=32)
def rim_bins(size: int, *, boundary: str = "periodic") -> Tensor:
    """Return how many bins the rims of a size x size frame hold; mirrored bins, four times as dense, count a quarter.

    >>> rim_bins(5).tolist()
    [1.0, 8.0, 16.0]
    """
    scale = 2 if sp.check_boundary(boundary) == "mirrored" else 1
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
    planes = torch.as_tensor(planes).double()
    h, w = planes.shape[-2:]
    top = max(sp.check_nu_max(nu, (h, w)) for nu in limits)
    rows, cols = basis(h, top, boundary=boundary), basis(w, top, boundary=boundary)
    coefficients = rows.T @ planes @ cols
    for nu in limits:
        k = 2 * nu + 1
        yield rows[:, :k] @ coefficients[:, :k, :k] @ cols[:, :k].T


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
    edge = contour_band(wide, 1)
    if not edge.any():
        return torch.full(label.shape, torch.inf, dtype=torch.float64)
    distance = ndimage.distance_transform_edt(~edge) + 0.5
    inside = tuple(slice(p[0], p[0] + n) for p, n in zip(pad, label.shape, strict=True))
    return torch.from_numpy(distance[inside].copy())


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
