"""The computer algebra of A.7 and A.8, with mutants that must not simplify to zero."""

import pytest
import sympy as sp

from specseg.proofs import symbolic_gradient as sg


def test_softplus_series_and_its_remainder():
    z = sg.Z
    expected = sp.log(2) + z / 2 + z**2 / 8 - z**4 / 192 + z**6 / 2880
    assert sp.simplify(sg.softplus_series(6) - expected) == 0
    assert sg.softplus_series(6).coeff(z, 3) == 0 and sg.softplus_series(6).coeff(z, 5) == 0
    assert [sg.softplus_remainder(n) for n in (2, 4, 6)] == [
        (sp.Rational(1, 192), 4), (sp.Rational(1, 2880), 6), (sp.Rational(17, 645120), 8),
    ]  # fmt: skip
    series, (bound, power) = sg.softplus_series(6), sg.softplus_remainder(6)
    for value in (-9, -3, -1, sp.Rational(1, 2), 2, 7):
        error = abs(sp.N(sp.log(1 + sp.exp(value)) - series.subs(z, value), 40))
        assert error <= bound * abs(value) ** power
        assert error > bound * abs(value) ** power / 10**4 or abs(value) > 2  # not a bound that could not fail


def test_softplus_derivatives_agree_with_sympy():
    p = sp.Symbol("p")
    for n in (1, 2, 5):
        direct = sp.diff(sp.log(1 + sp.exp(sg.Z)), sg.Z, n)
        ours = sg.softplus_derivative(n).subs(p, 1 / (1 + sp.exp(-sg.Z)))
        assert abs(sp.N((direct - ours).subs(sg.Z, sp.Rational(7, 10)), 30)) < 1e-20


@pytest.mark.parametrize("n", [2, 3, 4])
def test_layer_gradient(n):
    left, right = sg.layer_gradient(n)
    assert sp.simplify(left - right) == sp.zeros(n)
    assert sp.simplify(left - right.T) != sp.zeros(n)


@pytest.mark.parametrize("n, classes", [(2, 2), (3, 2), (4, 3)])
def test_loss_gradients(n, classes):
    assert sg.log_sum_gradient(n, classes) == sp.zeros(n)
    assert sg.one_hot_spectrum(n, classes) == [1] + [0] * (n - 1)
    assert sg.loss_gradient(n, classes) == sp.zeros(n)


@pytest.mark.parametrize("call", [
    lambda: sg.softplus_series(-1), lambda: sg.softplus_derivative(0), lambda: sg.softplus_remainder(3),
])  # fmt: skip
def test_bad_orders(call):
    with pytest.raises(ValueError, match="expected"):
        call()
