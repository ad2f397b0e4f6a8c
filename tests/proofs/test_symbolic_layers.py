"""The derivations shown on the pages on gradients and weak labels, each against numbers that know nothing of them."""

import math

import numpy as np
import pytest
import sympy as sp

from specseg.proofs import symbolic_layers as sl
from specseg.spectral import laws


@pytest.mark.parametrize("n", [2, 3, 4])
def test_relu_is_an_orthogonal_projection(n):
    p, square, hermitian, energy = sl.relu_projection(n)
    assert square == sp.zeros(n) == hermitian and energy == 0
    z = np.random.default_rng(n).standard_normal(n)
    slow = np.fft.fft(np.diag(z > 0) @ np.fft.ifft(np.eye(n), axis=0), axis=0)
    values = {sp.Symbol(f"a{t}", real=True): int(z[t] > 0) for t in range(n)}
    assert np.allclose(np.array(p.subs(values).evalf(), complex), slow)


def test_the_arcsine_law_against_draws():
    plackett, law = sl.arcsine_law()
    assert plackett == 0
    x = np.random.default_rng(0).standard_normal((2, 200_000))
    for rho in (-0.6, 0.0, 0.8):
        y = rho * x[0] + math.sqrt(1 - rho**2) * x[1]
        share = float(((x[0] > 0) & (y > 0)).mean())
        assert share == pytest.approx(float(law.subs(sl.RHO, rho)), abs=4 * math.sqrt(0.25 / 200_000))


@pytest.mark.parametrize("n", [4, 6, 8])
def test_an_edges_spectrum(n):
    assert sl.edge_spectrum(n)[0] == 0


def test_an_edges_tail_against_the_sum():
    tail, limit, ratio = sl.edge_tail()
    for n, nu in ((513, 32), (513, 100), (129, 20)):
        u = np.arange(nu + 1, n // 2 + 1)
        slow = 2 * float((1 / (2 * n * np.sin(np.pi * u / n)) ** 2).sum())
        here = float(tail.subs({sl.N: n, sl.NU_MAX: nu + 0.5}))  # the sum starts half a bin before its first term
        assert here == pytest.approx(slow, rel=2e-3)
        x = math.pi * (nu + 0.5) / n
        assert here / float(limit.subs(sl.NU_MAX, nu + 0.5)) == pytest.approx(x / math.tan(x), rel=1e-9)
    assert limit == 1 / (2 * sp.pi**2 * sl.NU_MAX) and ratio == sp.Symbol("x", positive=True) * sp.cot(
        sp.Symbol("x", positive=True)
    )


def test_constants_against_draws():
    rng = np.random.default_rng(1)
    turn = rng.uniform(0, 2 * np.pi, 200_000)
    mean = np.maximum(abs(np.cos(turn)), abs(np.sin(turn))).mean()
    assert mean == pytest.approx(float(sl.box_factor()), abs=2e-3)
    assert float(sl.box_factor()) == pytest.approx(laws.BOX_FACTOR, rel=1e-15)
    d = rng.uniform(-0.5, 0.5, (2, 200_000))
    moved = abs(d[0] * np.cos(turn) + d[1] * np.sin(turn)).mean()
    assert moved == pytest.approx(float(sl.block_constant()[2]), abs=2e-3)
    assert float(sl.block_constant()[2]) == pytest.approx(laws.BLOCK_CONSTANT, rel=1e-15)
