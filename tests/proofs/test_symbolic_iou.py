"""The derivations for IoU close, and what they state is what numbers say."""

from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from specseg.proofs import symbolic

DERIVATIONS = [symbolic.additivity, symbolic.log_series, symbolic.iou_series, symbolic.relative_drop,
               symbolic.drop_from_losses, symbolic.drop_limit, symbolic.iou_threshold]  # fmt: skip


@pytest.mark.parametrize("derive", DERIVATIONS)
def test_derivation_closes(derive):
    found = derive()
    assert any(key.startswith("zero") for key in found)
    assert symbolic.left_over(found) == []


@pytest.mark.parametrize("s", [0.05, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_remainder_of_the_logarithm_lies_between_its_bounds(s, n):
    found = symbolic.log_series()
    values = {sp.Symbol("x", positive=True): 1 - s, sp.Symbol("n", positive=True, integer=True): n}
    low, high = (float(found[k].subs(values)) for k in ("low", "high"))
    x, k = 1 - s, np.arange(n + 1, n + 4000)
    rest = float(np.sum(x**k / k))  # the terms left out; the logarithm itself would lose them to rounding near S = 1
    whole, _ = quad(lambda t: t**n / (1 - t), 0, x)
    assert rest == pytest.approx(whole, rel=1e-9)
    assert low <= rest <= high


expanded, series = cache(symbolic.log_series), cache(lambda: symbolic.iou_series(6))  # a second of every worker


@settings(max_examples=50, deadline=None)
@given(st.floats(0.001, 1.0), st.integers(1, 12))
def test_what_the_logarithm_leaves_lies_between_its_bounds(s, n):
    x, k = 1 - s, sp.Symbol("n", positive=True, integer=True)
    low, high = (float(expanded()[name].subs({k: n, sp.Symbol("x", positive=True): x})) for name in ("low", "high"))
    rest = -np.log(s) - sum(x**j / j for j in range(1, n + 1))
    assert low - 1e-12 <= rest <= high + 1e-12


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.floats(0, 3), st.integers(1, 6))
def test_the_terms_of_iou_leave_the_stated_remainder(missed, added, n):
    at = dict(zip(sp.symbols("xi eta", positive=True), (missed, added), strict=True))
    left = (1 - missed) / (1 + added) - 1 - sum(float(series()[f"term_{k}"].subs(at)) for k in range(1, n + 1))
    assert left == pytest.approx((-1) ** (n + 1) * (missed + added) * added**n / (1 + added), abs=1e-9)
    assert left == pytest.approx(float(series()[f"rest_{n}"].subs(at)), abs=1e-9)


def test_the_terms_of_iou_add_up_where_they_converge_and_not_beyond():
    xi, eta = sp.symbols("xi eta", positive=True)
    found = symbolic.iou_series(4)
    at = {xi: 0.2, eta: 0.3}
    partial = 1 + sum(float(found[f"term_{k}"].subs(at)) for k in range(1, 5))
    assert partial + float(found["rest_4"].subs(at)) == pytest.approx(0.8 / 1.3)
    assert float(found["lost"].subs(at)) == pytest.approx(1 - 0.8 / 1.3)
    terms = [abs(float(found[f"term_{k}"].subs({xi: 0.2, eta: 1.5}))) for k in range(1, 5)]
    assert np.all(np.diff(terms) > 0)


def test_the_drop_is_increasing_and_concave_and_starts_with_one_plus_q():
    found = symbolic.relative_drop()
    q, r = sp.symbols("q r", positive=True)
    assert found["slope"].is_positive and found["curvature"].is_negative
    assert found["slope"].subs(r, 0) == 1 + q


def test_eq_32_keeps_its_sign_and_exceeds_the_mended_form_without_bound():
    """A class of area 0.3 with S of the same area: the smaller its loss, the more Eq. 32 overstates."""
    found = symbolic.drop_from_losses()
    b, s, loss, kept = sp.symbols("b s L K", positive=True)
    at = {b: 0.3, s: 0.3, loss: 0.01, kept: 0.02}
    assert float(found["mended"].subs(at)) == pytest.approx(0.6 / 0.32 * 0.01 / 0.29)
    assert float(found["printed"].subs(at)) == pytest.approx(0.3 / 0.32)  # R_ce = 1 times s/(s + K)
    assert float(found["ratio"].subs(at)) == pytest.approx(14.5)
    assert sp.limit(found["ratio"] * loss, loss, 0) == b * s / (b + s)


def test_threshold_is_overlap_over_area():
    p, c = sp.symbols("p c", positive=True)
    assert sp.simplify(symbolic.iou_threshold()["threshold"] - p / c) == 0
