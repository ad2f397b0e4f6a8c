"""Boundary regions on the pixel grid: their energy and answer to a moved edge by FFT; Eqs 33 to 40 on random bands.

A region is the inner one of Eq. 33: the pixels of an object within `width` pixels (Euclidean) of its outside, beyond
the frame included. Frequencies are in cycles per frame, boxes |u|, |v| <= nu_max (Eq. 9).
Sources: Chen, Chiu and Wu, arXiv 2012.14123, A.6; Cheng et al., Boundary IoU, CVPR 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import integrate, ndimage, special

from specseg.proofs.identities_gradient import Checked, relative
from specseg.spectral import boundary as bb
from specseg.spectral.iou import inner_boundary
from specseg.spectral.spectrum import half_spectrum, rim_sums, spectrum

FRAME = 513  # pixels; the sizes of `contours` are in pixels of this frame
READINGS = ("one band, all directions", "own directions", "own directions and thickness")


@dataclass(frozen=True)
class Contour:
    """Objects of one kind as binary maps (FRAME, FRAME); what one dimension needs to know of them, where it is known.

    `normals`: directions of the contour's normals in radians, None for all; `thickness`: distance of opposite sides in
    pixels, None where it varies.
    """

    masks: tuple[NDArray, ...]
    normals: tuple[float, ...] | None = None
    thickness: float | None = None


def disc(n: int, radius: float) -> NDArray:
    """Return a disc in the middle of an (n, n) frame, bool.

    >>> int(disc(5, 1.0).sum())
    5
    """
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return y**2 + x**2 <= radius**2


def polygon(n: int, corners: int, radius: float, *, angle: float = 0.0) -> NDArray:
    """Return a regular polygon in the middle of an (n, n) frame, bool; `angle` turns it, in radians.

    `radius` reaches to the corners; at angle 0 a side's normal points along an axis.

    >>> int(polygon(9, 4, 2 * 2**0.5).sum())                            # a square of 5 x 5 pixels
    25
    """
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    turns = angle + 2 * math.pi * np.arange(corners) / corners
    within = [x * math.cos(t) + y * math.sin(t) <= radius * math.cos(math.pi / corners) + 1e-9 for t in turns]
    return np.all(within, axis=0)


def closed_shapes(n: int, count: int, *, seed: int = 0) -> list[torch.Tensor]:
    """Return `count` shapes as label maps: a disc, a square, the square on its corner, then discs and polygons drawn.

    Those drawn by `seed` have 3 to 8 corners, any angle, and radii of 0.15 to 0.45 frames.

    >>> len(closed_shapes(33, 4))
    4
    """
    out = [disc(n, 0.3 * n), polygon(n, 4, 0.35 * n), polygon(n, 4, 0.35 * n, angle=math.pi / 4)]
    rng = np.random.default_rng(seed)
    for k in range(count):
        radius, corners, angle = rng.uniform(0.15, 0.45) * n, int(rng.integers(3, 9)), rng.uniform(0, 2 * math.pi)
        out.append(disc(n, radius) if k % 4 == 0 else polygon(n, corners, radius, angle=angle))
    return [torch.from_numpy(shape.astype(np.int64)) for shape in out[:count]]


def contours(scenes: Mapping[str, ArrayLike] | None = None) -> dict[str, Contour]:
    """Return the stated set: discs, a square, the same on its corner, a triangle, a hexagon, poles, then label maps.

    `scenes`: label maps (FRAME, FRAME) by name; each class is one binary map, 255 (void) is none.
    """
    found = {f"disc, radius {r}": Contour((disc(FRAME, r),), None, 2 * r) for r in (154, 77, 40, 20)}
    for name, corners, turn in (("square", 4, 0), ("square on its corner", 4, 45), ("hexagon turned by 15°", 6, 15),
                                ("triangle", 3, 0)):  # fmt: skip
        angle, radius = math.radians(turn), 180.0
        normals = tuple(angle + 2 * math.pi * k / corners for k in range(corners))
        thickness = 2 * radius * math.cos(math.pi / corners) if corners % 2 == 0 else None
        found[name] = Contour((polygon(FRAME, corners, radius, angle=angle),), normals, thickness)
    for thickness in (96, 48, 24, 12, 6):
        pole = np.zeros((FRAME, FRAME), dtype=bool)
        pole[56:456, 200 : 200 + thickness] = True
        found[f"pole, {thickness} px"] = Contour((pole,), (0.0,), thickness)
    for name, label in (scenes or {}).items():
        found[name] = Contour(tuple(label == c for c in np.unique(label) if c != 255))
    return found


def inner_region(mask: NDArray, width: float) -> NDArray:
    """Return the pixels of a binary map within `width` pixels (Euclidean) of a pixel outside; outside is the frame too.

    Along an axis these are `iou.inner_boundary`'s (3 x 3 erosions); across a diagonal those reach farther, by
    sqrt 2.

    >>> inner_region(np.ones((3, 5), bool), 1).astype(int)[1]
    array([1, 0, 0, 0, 1])
    """
    depth = _depth(mask)
    return (depth > 0) & (depth <= width)


def _depth(mask: NDArray) -> NDArray:
    return ndimage.distance_transform_edt(np.pad(np.asarray(mask, dtype=bool), 1))[1:-1, 1:-1]


def moved_out(mask: NDArray, shift: float) -> NDArray:
    """Return a binary map whose contour has moved outwards by `shift` pixels along its normals.

    >>> moved_out(np.array([[0, 0, 1, 0, 0]], bool), 1).astype(int)
    array([[0, 1, 1, 1, 0]])
    """
    return _outside(mask) <= shift


def _outside(mask: NDArray) -> NDArray:
    return ndimage.distance_transform_edt(~np.asarray(mask, dtype=bool))


def share_below(planes: Iterable[NDArray]) -> NDArray:
    """Return the share of the energy of real frames of one shape, taken together, in each box: nu_max = 0 .. Nyquist.

    >>> share_below([np.eye(3)]).round(4).tolist()                     # |b|^2: 1/9 at zero, 3 * 1/9 in all
    [0.3333, 1.0]
    """
    frames = [np.asarray(plane, dtype=float) for plane in planes]
    power = sum(half_spectrum(torch.from_numpy(frame)).abs().square_() for frame in frames)
    rims = rim_sums(power, frames[0].shape).numpy()
    return np.cumsum(rims) / rims.sum()


def annulus_share_below(radius: float, width: float, nu_max: ArrayLike) -> NDArray:
    """Return the share below the angular frequency nu_max of a disc's region, without a grid: rings |nu| <= nu_max.

    The region is the annulus radius - width < r < radius, its spectrum (2 pi/k) [R J_1(kR) - (R - d) J_1(k (R - d))];
    its energy is summed by the trapezoid rule. Lengths in any unit, nu_max in radians per that unit.

    >>> round(float(annulus_share_below(1.0, 1.0, [3.8317])[0]), 3)               # a disc up to Airy's first dark ring
    0.838
    """
    v, inner = np.asarray(nu_max, dtype=float), radius - width
    k = np.linspace(0, v.max(), 40001)[1:]
    density = 2 * np.pi / k * (radius * special.j1(k * radius) - inner * special.j1(k * inner)) ** 2
    below = integrate.cumulative_trapezoid(density, k, initial=0) / (np.pi * (radius**2 - inner**2))
    return np.interp(v, k, below)


def one_dimension_table(found: Mapping[str, Contour], widths: ArrayLike, limits: ArrayLike) -> pd.DataFrame:
    """Return how far one dimension is from the FFT: unit, width, reading, nu_max, above, difference (law - FFT).

    `above` is the FFT's share of the region's energy above nu_max. READINGS: the straight band averaged over all
    directions; over the unit's own; with both of its edges (Eq. 34), where its directions or thickness are known. The
    laws are taken half a bin on: the bins up to nu_max reach so far.
    """
    limits, rows = np.asarray(limits, dtype=int), []
    for unit, contour in found.items():
        depths = [_depth(m) for m in contour.masks]
        for d in np.asarray(widths, dtype=float):
            above = 1 - share_below((x > 0) & (x <= d) for x in depths)[limits]
            own, both = {"normals": contour.normals}, (contour.thickness or 0) / FRAME
            known = [{}, own, {**own, "thickness": both}][: 3 if both else 2 if contour.normals else 1]
            for reading, kwargs in zip(READINGS, known, strict=False):
                law = bb.straight_band_energy_above(d / FRAME, limits + 0.5, **kwargs)
                rows += [(unit, d, reading, n, a, x - a) for n, a, x in zip(limits, above, law, strict=True)]
    return pd.DataFrame(rows, columns=["unit", "width", "reading", "nu_max", "above", "difference"])


def answer_table(found: Mapping[str, Contour], width: float, shifts: ArrayLike, limits: ArrayLike) -> pd.DataFrame:
    """Return what a region answers to its contour moving out by each shift: unit, shift, nu_max, below, law.

    The answer is the energy of the difference of the two regions, the numerator of 1 - boundary IoU; `below` is its
    share in the box by FFT, `law` `boundary.answer_share_below` for the unit's directions. A shift of 0 stands for
    the region itself: the share of the overlap of a perfect prediction.
    """
    limits, rows = np.asarray(limits, dtype=int), []
    for unit, contour in found.items():
        region = [inner_region(m, width).astype(float) for m in contour.masks]
        outside = [_outside(m) for m in contour.masks]
        for shift in np.asarray(shifts, dtype=float):
            if shift == 0:
                planes = region
                law = 1 - bb.straight_band_energy_above(width / FRAME, limits + 0.5, normals=contour.normals)
            else:
                moved = (inner_region(x <= shift, width) for x in outside)
                planes = (m - r for m, r in zip(moved, region, strict=True))
                law = bb.answer_share_below(width / FRAME, shift / FRAME, limits + 0.5, normals=contour.normals)
            below = share_below(planes)[limits]
            rows += [(unit, shift, n, b, x) for n, b, x in zip(limits, below, law, strict=True)]
    return pd.DataFrame(rows, columns=["unit", "shift", "nu_max", "below", "law"])


# Eqs 33 to 40 on random bands, each with a mutant (see `identities_gradient`).


def eq33(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 33: the set form equals 1/((s(0) + b(0))/sum_nu s(nu) b(-nu) - 1) of the bands; the mutant is Dice's."""
    size = (max(8, 3 * shape[0]), max(8, 3 * shape[1]))
    maps = [rng.random(size) < 0.8 for _ in range(2)]
    s, b = (inner_boundary(torch.from_numpy(m), 1).numpy() for m in maps)
    sets = (s & b).sum() / (s | b).sum()
    s_nu, b_nu = (spectrum(torch.from_numpy(m.astype(float))) for m in (s, b))
    both = float((s_nu * b_nu.conj()).sum().real)
    ratio = float((s_nu[0, 0] + b_nu[0, 0]).real) / both
    return Checked(abs(1 / (ratio - 1) - sets) / sets, abs(2 / ratio - sets) / sets)


def eq34(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 34: the DFT of H(t - t0) - H(t - t1) is (1/N) e^{-j pi nu (t0 + t1 - 1)/N} sin(pi nu L/N)/sin(pi nu/N).

    L = t1 - t0. The mutant centres it at (t0 + t1)/2, as in the continuum.
    """
    n = 5 * max(shape)
    t0, t1 = sorted(rng.choice(n, 2, replace=False).tolist())
    nu = np.arange(1, n)
    left = np.fft.fft((np.arange(n) >= t0) & (np.arange(n) < t1), norm="forward")[1:]
    size = np.sin(np.pi * nu * (t1 - t0) / n) / np.sin(np.pi * nu / n) / n
    right = (torch.from_numpy(np.exp(-1j * np.pi * nu * (t0 + t1 - m) / n) * size) for m in (1, 0))
    return Checked(*(relative(x, torch.from_numpy(left)) for x in right))


def _bands(rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float], float]:
    sigma = float(rng.uniform(2.0, 4.0))
    t0 = float(rng.uniform(-5, 5))
    return (t0, t0 + 40.0), (t0 + float(rng.uniform(-6, 6)), t0 + 40 + float(rng.uniform(-6, 6))), sigma


def eq36(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 36 corrected against a trapezoid sum of the Fourier integral; the mutant is the printed form."""
    edges, _, sigma = _bands(rng)
    t = np.linspace(-120, 160, 4001)
    nu = rng.uniform(-1.5 / sigma, 1.5 / sigma, 6)
    left = torch.from_numpy(np.exp(-1j * nu[:, None] * t) @ bb.gaussian_band(t, edges, sigma) * (t[1] - t[0]))
    forms = (torch.from_numpy(bb.gaussian_spectrum(nu, edges, sigma, printed=p)) for p in (False, True))
    return Checked(*(relative(form, left) for form in forms))


def eq37(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 37 with corrected spectra equals the score of the same Gaussian maps in space; the mutant is as printed."""
    s_edges, b_edges, sigma = _bands(rng)
    t = np.linspace(-120, 160, 4001)
    s, b = (bb.gaussian_band(t, e, sigma) for e in (s_edges, b_edges))
    space = 1 / ((s + b).sum() / (s * b).sum() - 1)
    forms = (bb.score(s_edges, b_edges, sigma, printed=p) for p in (False, True))
    return Checked(*(abs(f - space) / space for f in forms))


def eq38(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 38 corrected against a trapezoid sum of (1/2 pi) int s(nu) b(-nu) over the band; the mutant is as printed."""
    s_edges, b_edges, sigma = _bands(rng)
    nu_max = float(rng.uniform(0.3, 2.0)) / sigma
    nu = np.linspace(-nu_max, nu_max, 20001)
    product = bb.gaussian_spectrum(nu, s_edges, sigma) * bb.gaussian_spectrum(-nu, b_edges, sigma)
    quadrature = np.trapezoid(product, nu) / (2 * math.pi)
    forms = (bb.overlap(nu_max, s_edges, b_edges, sigma, printed=p) for p in (False, True))
    return Checked(*(abs(f - quadrature) / abs(quadrature) for f in forms))


def eq40(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 40 corrected (Abramowitz and Stegun 7.1.29, forty terms) against erf; the mutant is the printed form."""
    x, c = rng.uniform(0.2, 2.5, 50), rng.uniform(0.2, 2.5, 50)
    exact = torch.from_numpy(special.erf(x - 1j * c))
    forms = (torch.from_numpy(bb.expansion(x, c, printed=p)) for p in (False, True))
    return Checked(*(float(((f - exact).abs() / exact.abs()).max()) for f in forms))
