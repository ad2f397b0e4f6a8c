"""The computer algebra of A.7 and A.8, with mutants that must not simplify to zero."""

import math

import pytest
import sympy as sp

from specseg.proofs import symbolic as sg


def test_the_remainder_of_softplus_is_its_next_term_at_most():
    """Lagrange: derivatives of even order are largest at Z = 0; in p = 1/(1 + e^-Z), p' = p (1 - p)."""
    z, p = sp.symbols("Z p", real=True)
    series = sp.series(sp.log(1 + sp.exp(z)), z, 0, 10).removeO()
    assert [series.coeff(z, k) for k in (3, 4, 5, 6, 8)] == [
        0, -sp.Rational(1, 192), 0, sp.Rational(1, 2880), -sp.Rational(17, 645120)
    ]  # fmt: skip
    value = p
    for n in range(2, 9):
        value = sp.expand(sp.diff(value, p) * p * (1 - p))
        if n >= 4 and n % 2 == 0:
            sizes = [abs(float(value.subs(p, sp.Rational(k, 1000)))) for k in range(1001)]
            assert max(sizes) == pytest.approx(sizes[500]) == abs(float(series.coeff(z, n))) * math.factorial(n)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_layer_gradient(n):
    left, right = sg.layer_gradient(n)
    assert sp.simplify(left - right) == sp.zeros(n)
    assert sp.simplify(left - right.T) != sp.zeros(n)


@pytest.mark.parametrize("n, classes", [(2, 2), (3, 2), (4, 3)])
def test_loss_gradients(n, classes):
    assert sg.log_sum_gradient(n, classes) == sp.zeros(n)
    assert sg.loss_gradient(n, classes) == sp.zeros(n)
