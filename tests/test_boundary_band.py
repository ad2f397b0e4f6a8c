"""Boundary bands: closed forms against quadrature, the map of errors, the true band, failure paths."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special

from specseg import boundary_band as bb
from specseg import metrics

X = st.floats(0.01, 4.0)
C = st.floats(0.0, 3.0)


@settings(max_examples=60, deadline=None)
@given(X, C)
def test_pair_term_equals_scipy_where_it_does_not_overflow(x, c):
    expected = math.exp(-(c**2)) * special.erf(x - 1j * c)
    assert abs(complex(bb.pair_term(x, c)) - expected) < 1e-12


def test_pair_term_survives_large_c():
    assert abs(complex(bb.pair_term(2.0, 40.0))) < 1
    assert float(bb.pair_term(9.0, 3.0).real) == pytest.approx(math.exp(-9))


@settings(max_examples=20, deadline=None)
@given(st.floats(1.0, 5.0), st.floats(-4, 4), st.floats(-4, 4), st.floats(0.2, 3.0))
def test_corrected_overlap_is_the_integral(sigma, a, b, x):
    s, t = (0.0, 40.0), (a, 40.0 + b)

    def integrand(nu):
        product = bb.gaussian_spectrum(nu, s, sigma) * bb.gaussian_spectrum(-nu, t, sigma)
        return float(product.real) / (2 * math.pi)

    expected = integrate.quad(integrand, -x / sigma, x / sigma, limit=400)[0]
    assert bb.overlap(x / sigma, s, t, sigma).real == pytest.approx(expected, rel=1e-7, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 3.0), st.floats(0.0, 2.5))
def test_expansion_of_abramowitz_and_stegun(x, c):
    exact = complex(special.erf(x - 1j * c))
    assert abs(complex(bb.expansion(x, c)) - exact) < 1e-9 * max(1.0, abs(exact))


def test_printed_expansion_has_the_wrong_sign():
    exact = complex(special.erf(1 - 0.3j))
    printed = complex(bb.expansion(1.0, 0.3, form="printed"))
    assert printed.imag > 0 > exact.imag


def test_error_map_has_the_known_values():
    errors = bb.approximation_error(1.0, np.array([0.1, 0.5, 1.0, 4.0]))
    assert np.allclose(errors, [0.0049, 0.1136, 0.3597, 1.0], atol=1e-3)
    small = 0.02
    leading = 2 * math.exp(-1) / (math.sqrt(math.pi) * math.erf(1)) * small**2
    assert float(bb.approximation_error(1.0, small)) == pytest.approx(leading, rel=1e-2)
    # at low frequency a pair far apart adds as much as a matched one: Eq. 39 says exp(-C^2) of it
    assert float(bb.approximation_error(1e-3, 3.0, relative_to="matched")) == pytest.approx(1 - math.exp(-9), rel=1e-3)


def test_scores():
    perfect = 1 / (2 * math.sqrt(2) - 1)
    for sigma in (1.0, 3.0):
        assert bb.score((0, 99), (0, 99), sigma).real == pytest.approx(perfect)
    printed = [bb.score((0, 99), (0, 99), sigma, form="printed").real for sigma in (1.0, 3.0)]
    assert printed[0] != pytest.approx(printed[1], rel=0.5)  # it depends on the unit of length
    assert printed[0] == pytest.approx(1 / (4 / math.sqrt(math.pi) - 1))
    assert bb.true_score((0, 99), (0, 99), 7) == 1.0
    assert bb.true_score((0, 99), (50, 60), 7) == 0.0
    assert bb.true_score((0, 10), (0, 10), 7) == 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 12), st.integers(1, 8))
def test_true_score_agrees_with_the_pixel_metric(length, shift, width):
    n = 100  # 20 + 12 + 2 * 30 pixels and some outside
    pred, label = (torch.zeros(1, n, dtype=torch.bool) for _ in range(2))
    label[0, 20 : 20 + 2 * length] = True
    pred[0, 20 + shift : 20 + shift + 2 * length] = True
    pad = 2 * width + 1  # rows above and below, so that only the ends are contour
    pred, label = pred.repeat(2 * pad + 1, 1), label.repeat(2 * pad + 1, 1)
    inner = [metrics.inner_boundary(m, width)[pad] for m in (pred, label)]
    expected = float((inner[0] & inner[1]).sum() / (inner[0] | inner[1]).sum())
    ours = bb.true_score((20 + shift, 20 + shift + 2 * length), (20, 20 + 2 * length), width)
    assert ours == pytest.approx(expected)


def test_shift_sensitivity_is_the_nu_squared_share():
    for x in (0.3, 1.0, 2.5):
        part = integrate.quad(lambda v: v**2 * math.exp(-(v**2)), 0, x)[0]
        assert float(bb.shift_sensitivity(x)) == pytest.approx(part / (math.sqrt(math.pi) / 4))


def test_fitted_sigma_is_a_minimum():
    sigma, error = bb.fitted_sigma()
    t = np.linspace(-12, 12, 48001)
    band = ((t >= 0) & (t <= 1)).astype(float)

    def distance(s):
        return math.sqrt(((np.exp(-(t**2) / (2 * s**2)) - band) ** 2).sum() / band.sum())

    assert distance(sigma) == pytest.approx(error, rel=1e-3)
    assert min(distance(sigma * f) for f in (0.8, 1.25)) > error


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_inner_band_is_the_metric_s(seed, width):
    mask = np.random.default_rng(seed).random((17, 14)) < 0.9
    expected = metrics.inner_boundary(torch.from_numpy(mask), width).numpy()
    assert (bb.inner_band(mask, width) == expected).all()


def test_straight_band_law_against_the_transform():
    n = 513
    for width in (1, 3, 5, 15):
        band = np.zeros((1, n))
        band[0, 100 : 100 + width] = 1
        exact = bb.energy_above(band, 32)
        # the closed form integrates over nu where the frame sums over whole bins from 33 on: half a bin later
        law = bb.straight_band_energy_above(width / n, 32.5, isotropic=False)
        assert law == pytest.approx(exact, abs=0.02)
    assert bb.straight_band_energy_above(0.01, 32) < bb.straight_band_energy_above(0.01, 32, isotropic=False)


@pytest.mark.parametrize("call, words", [
    (lambda: bb.gaussian_spectrum(0.0, (0, 1), 0.0), "sigma"),
    (lambda: bb.gaussian_spectrum(0.0, (0, 1), 1.0, form="exact"), "form"),
    (lambda: bb.interval([0], (2, 1)), "t0 < t1"),
    (lambda: bb.pair_term(-1.0, 0.0), "nu sigma"),
    (lambda: bb.expansion(0.0, 1.0), "positive"),
    (lambda: bb.approximation_error(1.0, 1.0, relative_to="all"), "relative_to"),
    (lambda: bb.inner_band(np.ones((3, 3), bool), 0), "at least 1"),
    (lambda: bb.energy_above(np.zeros((3, 3)), 1), "empty"),
    (lambda: bb.energy_above(np.ones((3, 3)), 2), "Nyquist"),
    (lambda: bb.straight_band_energy_above(0.0, 3), "positive"),
])  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
