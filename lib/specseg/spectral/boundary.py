"""Boundary IoU in frequency: Gaussian bands, their spectra and overlaps, and the true one-sided band (Eqs 33-40).

Here alone nu is an ANGULAR frequency in radians per pixel, as Eq. 36 has it; t and sigma are in pixels. A formula is
given corrected (Fourier transform int X(t) exp(-j nu t) dt, so that an overlap is (1/2 pi) int s(nu) b(-nu) dnu), or
as it stands with `printed`. C = (t_b - t_s)/(2 sigma) for a pair of edges.
Sources: Chen, Chiu and Wu, arXiv 2012.14123, A.6; Cheng et al., Boundary IoU, CVPR 2021; Abramowitz and Stegun 7.1.29.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special


def _check(name: str, value: ArrayLike, ok: ArrayLike | None = None, expected: str = "positive numbers") -> None:
    """Raise ValueError, naming an argument, its value and what is `expected`, unless `ok` (default: value > 0)."""
    if not np.all(np.asarray(value) > 0 if ok is None else ok):
        raise ValueError(f"{name} {value!r}: expected {expected}")


def _check_band(edges: tuple[float, float], sigma: float) -> None:
    _check("sigma", sigma)
    _check("edges", edges, edges[0] < edges[1], "t0 < t1")


def gaussian_band(t: ArrayLike, edges: tuple[float, float], sigma: float) -> NDArray:
    """Return the model of a boundary region of Eq. 35: one Gaussian of height 1 on each edge.

    >>> gaussian_band([0.0], (0, 100), 1.0)
    array([1.])
    """
    _check_band(edges, sigma)
    t = np.asarray(t, dtype=float)
    return sum(np.exp(-((t - edge) ** 2) / (2 * sigma**2)) for edge in edges)


def gaussian_spectrum(nu: ArrayLike, edges: tuple[float, float], sigma: float, *, printed: bool = False) -> NDArray:
    """Return the Fourier transform of `gaussian_band`, Eq. 36; the printed one lacks the factor sigma sqrt(2 pi).

    >>> gaussian_spectrum([0.0], (0, 9), 1.0, printed=True).real
    array([2.])
    """
    _check_band(edges, sigma)
    nu = np.asarray(nu, dtype=float)
    factor = 1.0 if printed else sigma * math.sqrt(2 * math.pi)
    return factor * sum(np.exp(-1j * edge * nu) for edge in edges) * np.exp(-(nu**2) * sigma**2 / 2)


def pair_term(x: ArrayLike, c: ArrayLike) -> NDArray:
    """Return exp(-C^2) erf(x - jC) without overflow for large C, x = nu sigma: one pair's term of Eq. 38.

    Uses Faddeeva's w: exp(-C^2) erf(x - jC) = exp(-C^2) - exp(-x^2 + 2 j x C) w(C + j x) for x >= 0.

    >>> round(float(pair_term(1.0, 0.0).real), 6)                     # erf(1)
    0.842701
    """
    x, c = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(c, dtype=float))
    _check("x", x, x >= 0, "nu sigma >= 0")
    return np.exp(-(c**2)) - np.exp(-(x**2) + 2j * x * c) * special.wofz(c + 1j * x)


def overlap(
    nu_max: float, s_edges: tuple[float, float], b_edges: tuple[float, float], sigma: float, *, printed: bool = False
) -> complex:
    """Return the overlap of two Gaussian bands kept by a band limit, Eq. 38; angular nu_max in 1/pixel.

    corrected: (1/2 pi) times the integral over [-nu_max, nu_max] = sigma sqrt(pi) sum over the four pairs of
    exp(-C^2) Re erf(nu sigma - jC). printed: (sqrt(pi)/2 sigma) sum exp(-C^2) erf(nu sigma - jC), complex.

    >>> round(overlap(50.0, (0, 99), (0, 99), 2.0).real, 4), round(2 * 2 * math.sqrt(math.pi), 4)
    (7.0898, 7.0898)
    """
    for edges in (s_edges, b_edges):
        _check_band(edges, sigma)
    c = np.array([(tb - ts) / (2 * sigma) for ts in s_edges for tb in b_edges])
    pairs = pair_term(nu_max * sigma, c).sum()
    return complex(math.sqrt(math.pi) * (pairs / (2 * sigma) if printed else sigma * pairs.real))


def score(
    s_edges: tuple[float, float], b_edges: tuple[float, float], sigma: float, *, printed: bool = False
) -> complex:
    """Return the boundary IoU of Eq. 37 for two Gaussian-band maps: 1/((s(0) + b(0))/overlap - 1).

    Even corrected, a perfect prediction scores 1/(2 sqrt 2 - 1) = 0.547 and not 1: a Gaussian is not binary, so its
    product with itself is not itself. As printed the score depends on the unit of sigma.

    >>> round(score((0, 99), (0, 99), 2.0).real, 4)
    0.5469
    """
    zero = sum(complex(gaussian_spectrum(0.0, edges, sigma, printed=printed)) for edges in (s_edges, b_edges))
    whole = overlap(60.0 / sigma, s_edges, b_edges, sigma, printed=printed)  # erf(60) is 1 in float64
    return complex(1 / (zero / whole - 1))


def expansion(x: ArrayLike, c: ArrayLike, *, printed: bool = False, terms: int = 40) -> NDArray:
    """Return the expansion of erf(x - jC) of Eq. 40, x > 0: corrected as Abramowitz and Stegun 7.1.29 have it.

    corrected: erf x + e^{-x^2}/(2 pi x) [(1 - cos 2xC) - j sin 2xC] + (2/pi) e^{-x^2} sum_n e^{-n^2/4}/(n^2 + 4 x^2)
    [f_n - j g_n], f_n = 2x - 2x cosh nC cos 2xC + n sinh nC sin 2xC, g_n = 2x cosh nC sin 2xC + n sinh nC cos 2xC.
    The printed form has + j sin 2xC and drops the series.

    >>> complex(expansion(1.0, 0.5).round(6)) == complex(special.erf(1 - 0.5j).round(6))
    True
    """
    x, c = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(c, dtype=float))
    _check("x", x)
    sign = 1 if printed else -1
    head = np.exp(-(x**2)) / (2 * np.pi * x) * (1 - np.cos(2 * x * c) + sign * 1j * np.sin(2 * x * c))
    if printed:
        return special.erf(x) + head
    n = np.arange(1, terms + 1).reshape(-1, *([1] * x.ndim))
    f = 2 * x - 2 * x * np.cosh(n * c) * np.cos(2 * x * c) + n * np.sinh(n * c) * np.sin(2 * x * c)
    g = 2 * x * np.cosh(n * c) * np.sin(2 * x * c) + n * np.sinh(n * c) * np.cos(2 * x * c)
    series = (np.exp(-(n**2) / 4) / (n**2 + 4 * x**2) * (f - 1j * g)).sum(axis=0)
    return special.erf(x) + head + 2 / np.pi * np.exp(-(x**2)) * series


def approximation_error(x: ArrayLike, c: ArrayLike) -> NDArray:
    """Return the error of erf(nu sigma) for Re erf(nu sigma - jC), relative to the latter: the step to Eq. 39.

    >>> [round(float(approximation_error(1.0, c)), 3) for c in (0.1, 0.5, 1.0)]
    [0.005, 0.114, 0.36]
    """
    exact = pair_term(x, c).real
    return np.abs(np.exp(-(np.asarray(c, dtype=float) ** 2)) * special.erf(x) - exact) / np.abs(exact)


def shift_sensitivity(x: ArrayLike) -> NDArray:
    """Return the share, below x = nu sigma, of what makes the overlap of a matched pair fall when an edge moves.

    The overlap is int exp(-nu^2 sigma^2) cos(nu shift) dnu; its second derivative in the shift weighs each frequency
    with nu^2, so the share is erf(x) - (2x/sqrt(pi)) exp(-x^2), against erf(x) of the overlap itself.

    >>> shift_sensitivity([0.5, 1.0, 2.0]).round(3).tolist()
    [0.081, 0.428, 0.954]
    """
    x = np.asarray(x, dtype=float)
    return special.erf(x) - 2 * x / math.sqrt(math.pi) * np.exp(-(x**2))


def fitted_sigma() -> tuple[float, float]:
    """Return (sigma/d, relative L2 error) of the Gaussian on the edge that is nearest to the one-sided band of width d.

    error^2 = (sigma sqrt(pi) - 2 sigma sqrt(pi/2) erf(d/(sigma sqrt 2)) + d)/d, minimal over sigma; no d enters.
    """

    def squared(s: float) -> float:
        return s * math.sqrt(math.pi) - 2 * s * math.sqrt(math.pi / 2) * math.erf(1 / (s * math.sqrt(2))) + 1

    best = optimize.minimize_scalar(squared, bounds=(0.05, 5.0), method="bounded")
    return float(best.x), math.sqrt(float(best.fun))


def steps_share_below(edges: ArrayLike, jumps: ArrayLike, nu_max: ArrayLike) -> NDArray:
    """Return the share below the angular frequency nu_max of a step function's energy: jumps c_i at the edges t_i.

    The spectrum is (1/j nu) sum_i c_i exp(-j nu t_i), its energy density sum_ij c_i c_j cos(nu |t_i - t_j|)/nu^2. As
    sum_i c_i = 0, below V lies -(2/pi) sum_{i<j} c_i c_j G(|t_i - t_j|), out of -sum_{i<j} c_i c_j |t_i - t_j|, with
    G(a) = a Si(aV) - (1 - cos aV)/V. Any shape of nu_max (> 0, radians per unit of length) is kept.

    >>> round(float(steps_share_below([0, 1], [1, -1], 2 * math.pi)), 4)     # a box up to the first zero of its sinc
    0.9028
    """
    t, c, v = (np.asarray(a, dtype=float) for a in (edges, jumps, nu_max))
    _check("jumps", jumps, t.shape == c.shape and abs(c.sum()) <= 1e-12, "one for each edge, adding to zero")
    _check("nu_max", nu_max)
    below, total = np.zeros_like(v), 0.0
    for i, j in itertools.combinations(range(len(t)), 2):
        a = abs(t[i] - t[j])
        below -= c[i] * c[j] * (a * special.sici(a * v)[0] - (1 - np.cos(a * v)) / v)
        total -= c[i] * c[j] * a
    _check("edges", edges, total > 0, f"a function with energy for jumps {jumps!r}")
    return 2 / math.pi * below / total


def _across(nu_max: ArrayLike, normals: ArrayLike | None) -> NDArray:
    """Return the angular frequency at which the box cuts contours of these normals (radians; None: all), last axis."""
    theta = (np.arange(256) + 0.5) / 256 * np.pi / 4 if normals is None else np.asarray(normals, dtype=float)
    nu = np.asarray(nu_max, dtype=float)[..., None]
    _check("nu_max", nu_max)
    return 2 * np.pi * nu / np.maximum(np.abs(np.cos(theta)), np.abs(np.sin(theta)))


def straight_band_energy_above(
    width: float, nu_max: ArrayLike, *, normals: ArrayLike | None = None, thickness: float | None = None
) -> NDArray:
    """Return the share of energy above nu_max (cycles per frame) of a straight band, lengths in fractions of the frame.

    Across the band it is a box of width w: below U lies (2/pi) [Si(2 pi U w) - sin^2(pi U w)/(pi U w)]. The box
    |u|, |v| <= nu_max cuts an edge whose normal has angle theta at U = nu_max/max(|cos|, |sin|); the share is averaged
    over `normals`, by default over all directions. `thickness`: both bands of an object whose sides are that far apart,
    one box where they meet (Eqs 34 and 35 with the true bands).

    >>> [round(float(straight_band_energy_above(d / 513, 32)), 2) for d in (15, 5, 3, 1)]
    [0.1, 0.39, 0.6, 0.86]
    """
    _check("width", width)
    _check("thickness", thickness, thickness is None or thickness > 0)
    if thickness is None or thickness <= 2 * width:
        edges, jumps = [0, width if thickness is None else thickness], [1, -1]
    else:
        edges, jumps = [0, width, thickness - width, thickness], [1, -1, 1, -1]
    return 1 - steps_share_below(edges, jumps, _across(nu_max, normals)).mean(-1)


def answer_share_below(width: float, shift: float, nu_max: ArrayLike, *, normals: ArrayLike | None = None) -> NDArray:
    """Return the share below nu_max of what a straight true band of `width` answers to its edge moving by `shift`.

    1 - boundary IoU = sum |s - b|^2/(s(0) + b(0) - sum s b*): the answer is the energy of s - b, here a step function
    with the edges 0, shift, width, width + shift. For a small shift it is (shift/pi)(V - sin(V width)/width), V = 2 pi
    nu_max: the share tends to zero with the shift. Units and `normals` as in `straight_band_energy_above`.

    >>> round(float(answer_share_below(14.5 / 513, 1 / 513, 10.8656, normals=[0])), 4)      # V sigma = 1
    0.0218
    """
    _check("width", width)
    _check("shift", shift)
    edges, jumps = [0, shift, width, width + shift], [1, -1, -1, 1]
    return steps_share_below(edges, jumps, _across(nu_max, normals)).mean(-1)
