"""Numerical checks of Eqs 33, 34, 36, 37, 38 and 40 on random bands, each with a mutant (see `identities_gradient`).

Source of the equations: Chen, Chiu and Wu, arXiv 2012.14123, A.6.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import special

from specseg.proofs.identities_gradient import Checked, relative
from specseg.spectral import boundary as bb
from specseg.spectral.iou import inner_boundary
from specseg.spectral.spectrum import spectrum


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
