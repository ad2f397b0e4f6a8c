"""Derivations by computer algebra for A.7 and A.8: softplus, spectral gradients (Eqs 43-54).

Each function returns sympy expressions that ought to be equal, or a difference that ought to be zero, so that a chapter
shows the formula and a test holds it. Small N stands for any N: nothing in the derivations depends on N.
Source: Chen, Chiu and Wu, arXiv 2012.14123, A.7 and A.8.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

Z = sp.Symbol("Z", real=True)


def softplus_series(order: int = 6) -> sp.Expr:
    """Return the Taylor polynomial of log(1 + e^Z) at 0 up to Z^order: Eq. 45, continued.

    >>> softplus_series(4)
    -Z**4/192 + Z**2/8 + Z/2 + log(2)
    """
    if order < 0:
        raise ValueError(f"order {order}: expected 0 or more")
    return sp.expand(sp.series(sp.log(1 + sp.exp(Z)), Z, 0, order + 1).removeO())


def softplus_derivative(n: int) -> sp.Expr:
    """Return the n-th derivative of log(1 + e^Z), n >= 1, as a polynomial in p = 1/(1 + e^-Z): p' = p (1 - p).

    >>> softplus_derivative(2)
    -p**2 + p
    """
    if n < 1:
        raise ValueError(f"n {n}: expected 1 or more")
    p = sp.Symbol("p")
    value: sp.Expr = p
    for _ in range(n - 1):
        value = sp.expand(sp.diff(value, p) * p * (1 - p))
    return value


@lru_cache
def softplus_remainder(order: int = 6) -> tuple[sp.Rational, int]:
    """Return (bound, power): |softplus - Taylor polynomial of `order`| <= bound |Z|^power for every real Z (Lagrange).

    log(1 + e^Z) - Z/2 = log(2 cosh(Z/2)) is even, so an even order leaves the power order + 2 and the bound
    max |derivative|/(order + 2)!, the maximum taken over p in [0, 1] at the roots of the next derivative.

    >>> softplus_remainder(2)
    (1/192, 4)
    """
    if order < 2 or order % 2:
        raise ValueError(f"order {order}: expected an even number from 2 (odd ones above 1 add nothing)")
    p = sp.Symbol("p")
    power = order + 2
    derivative = sp.Poly(softplus_derivative(power), p)
    # at p = 0 and 1 every derivative vanishes; inside, the extrema are the real roots of d/dp
    candidates = [r for r in sp.Poly(derivative.diff(p), p).nroots(n=30) if abs(sp.im(r)) < 1e-20 and 0 < sp.re(r) < 1]
    values = [abs(derivative.eval(sp.re(r))) for r in candidates] + [abs(derivative.eval(sp.Rational(1, 2)))]
    middle = abs(derivative.eval(sp.Rational(1, 2)))
    if max(values) > middle * (1 + sp.Float("1e-15")):
        raise ValueError(f"order {order}: the largest derivative is not at Z = 0, so the bound is not rational")
    return middle / sp.factorial(power), power


def _root(n: int, power: int) -> sp.Expr:
    """Return exp(2 pi j power/n) in radicals, so that sums of roots of unity simplify."""
    return sp.expand(sp.exp(2 * sp.pi * sp.I * sp.Rational(power % n, n)), complex=True)


def layer_gradient(n: int = 3) -> tuple[sp.Matrix, sp.Matrix]:
    """Return (derivative of the quadratic y(nu) in x, the matrix of Eq. 48) for N = n symbols: equal.

    y(i) = log 2 delta_i0 + z(i)/2 + (1/8) sum_r z(i - r) z(r), z = k x: Eqs 43, 46 (with 1/N forward), 47, 48.

    >>> left, right = layer_gradient(2)
    >>> sp.simplify(left - right)
    Matrix([
    [0, 0],
    [0, 0]])
    """
    x, k = sp.symbols(f"x:{n}"), sp.symbols(f"k:{n}")
    z = [k[i] * x[i] for i in range(n)]
    y = [
        sp.log(2) * int(i == 0) + z[i] / 2 + sum(z[(i - r) % n] * z[r] for r in range(n)) / 8 for i in range(n)
    ]  # fmt: skip
    left = sp.Matrix(n, n, lambda i, j: sp.diff(y[i], x[j]))
    right = sp.Matrix(n, n, lambda i, j: k[j] * (sp.Rational(int(i == j), 2) + z[(i - j) % n] / 4))
    return left, right


def log_sum_gradient(n: int = 3, classes: int = 2) -> sp.Matrix:
    """Return dy_p(nu_i)/dy(nu_j, 0) - s(nu_i - nu_j, 0) for N = n and symbolic spectra y: Eq. 52, zero.

    >>> log_sum_gradient(2)
    Matrix([
    [0, 0],
    [0, 0]])
    """
    y = [sp.symbols(f"y{c}_:{n}") for c in range(classes)]
    logits = [[sum(y[c][m] * _root(n, m * t) for m in range(n)) for t in range(n)] for c in range(classes)]
    total = [sum(sp.exp(logits[c][t]) for c in range(classes)) for t in range(n)]
    y_p = [sum(sp.log(total[t]) * _root(n, -i * t) for t in range(n)) / n for i in range(n)]
    s = [sum(sp.exp(logits[0][t]) / total[t] * _root(n, -i * t) for t in range(n)) / n for i in range(n)]
    return sp.Matrix(n, n, lambda i, j: sp.expand(sp.diff(y_p[i], y[0][j]) - s[(i - j) % n]))


def one_hot_spectrum(n: int = 3, classes: int = 3) -> list[sp.Expr]:
    """Return sum_c b(-nu_i, c) for symbolic labels that sum to one at each pixel: Eq. 53, a Kronecker delta.

    >>> one_hot_spectrum(3)
    [1, 0, 0]
    """
    weights = [sp.symbols(f"B{t}_:{classes - 1}") for t in range(n)]
    planes = [[*w, 1 - sum(w)] for w in weights]
    return [
        sp.simplify(sum(planes[t][c] * _root(n, i * t) for t in range(n) for c in range(classes)) / n) for i in range(n)
    ]  # fmt: skip


def loss_gradient(n: int = 2, classes: int = 2) -> sp.Matrix:
    """Return dL_ce(nu_i)/dx(nu_j) - sum_c k(nu_j, c) [m(-nu_i) s(nu_i - nu_j, c) - delta_ij b(-nu_i, c)]: zero.

    Eqs 51 and 54 for a linear last layer y(nu, c) = k(nu, c) x(nu), without the factor 1/2. B are free symbols: their
    sum over classes is the mask m of labelled pixels, 1 without void, whose spectrum then is delta_i0.

    >>> loss_gradient(2)
    Matrix([
    [0, 0],
    [0, 0]])
    """
    x = sp.symbols(f"x:{n}")
    k = [sp.symbols(f"k{c}_:{n}") for c in range(classes)]
    planes = [sp.symbols(f"B{t}_:{classes}") for t in range(n)]
    b = [[sum(planes[t][c] * _root(n, -i * t) for t in range(n)) / n for i in range(n)] for c in range(classes)]
    mask = [sum(b[c][i] for c in range(classes)) for i in range(n)]
    logits = [[sum(k[c][m] * x[m] * _root(n, m * t) for m in range(n)) for t in range(n)] for c in range(classes)]
    total = [sum(sp.exp(logits[c][t]) for c in range(classes)) for t in range(n)]
    y_p = [sum(sp.log(total[t]) * _root(n, -i * t) for t in range(n)) / n for i in range(n)]
    s = [
        [sum(sp.exp(logits[c][t]) / total[t] * _root(n, -i * t) for t in range(n)) / n for i in range(n)]
        for c in range(classes)
    ]
    loss = [sum(b[c][-i % n] * (y_p[i] - k[c][i] * x[i]) for c in range(classes)) for i in range(n)]

    def entry(i: int, j: int) -> sp.Expr:
        closed = sum(k[c][j] * (mask[-i % n] * s[c][(i - j) % n] - int(i == j) * b[c][-i % n]) for c in range(classes))
        return sp.simplify(sp.expand(sp.diff(loss[i], x[j]) - closed))

    return sp.Matrix(n, n, entry)
