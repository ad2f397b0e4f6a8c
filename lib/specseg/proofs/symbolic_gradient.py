"""Derivations by computer algebra for A.7 and A.8: spectral gradients (Eqs 43-54).

Each function returns sympy expressions that ought to be equal, or a difference that ought to be zero. Small N stands
for any N: nothing in the derivations depends on N.
Source: Chen, Chiu and Wu, arXiv 2012.14123, A.7 and A.8.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp


def _sums(values: Sequence[sp.Expr], sign: int) -> list[sp.Expr]:
    """Return sum_t values[t] exp(sign 2 pi j i t/n) for each i, roots of unity in radicals, so that sums simplify."""
    n = len(values)
    root = [sp.expand(sp.exp(2 * sp.pi * sp.I * sp.Rational(k, n)), complex=True) for k in range(n)]
    return [sum(v * root[sign * i * t % n] for t, v in enumerate(values)) for i in range(n)]


def _softmax(spectra: Sequence[Sequence[sp.Expr]]) -> tuple[list[sp.Expr], list[list[sp.Expr]]]:
    """Return the spectra y_p and s[c] of logits with these spectra."""
    n = len(spectra[0])
    planes = [[sp.exp(v) for v in _sums(y, 1)] for y in spectra]
    total = [sum(at) for at in zip(*planes, strict=True)]
    shares = [[e / z / n for e, z in zip(plane, total, strict=True)] for plane in planes]
    return _sums([sp.log(z) / n for z in total], -1), [_sums(plane, -1) for plane in shares]


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
    z = [a * b for a, b in zip(k, x, strict=True)]
    y = [sp.log(2) * int(i == 0) + z[i] / 2 + sum(z[(i - r) % n] * z[r] for r in range(n)) / 8 for i in range(n)]
    right = sp.Matrix(n, n, lambda i, j: k[j] * (sp.Rational(int(i == j), 2) + z[(i - j) % n] / 4))
    return sp.Matrix(y).jacobian(x), right


def log_sum_gradient(n: int = 3, classes: int = 2) -> sp.Matrix:
    """Return dy_p(nu_i)/dy(nu_j, 0) - s(nu_i - nu_j, 0) for N = n and symbolic spectra y: Eq. 52, zero."""
    y = [sp.symbols(f"y{c}_:{n}") for c in range(classes)]
    y_p, s = _softmax(y)
    return sp.Matrix(n, n, lambda i, j: sp.expand(sp.diff(y_p[i], y[0][j]) - s[0][(i - j) % n]))


def loss_gradient(n: int = 2, classes: int = 2) -> sp.Matrix:
    """Return dL_ce(nu_i)/dx(nu_j) - sum_c k(nu_j, c) [m(-nu_i) s(nu_i - nu_j, c) - delta_ij b(-nu_i, c)]: zero.

    Eqs 51 and 54 for a linear last layer y(nu, c) = k(nu, c) x(nu), without the factor 1/2. B are free symbols: their
    sum over classes is the mask m of labelled pixels, 1 without void, whose spectrum then is delta_i0.
    """
    x = sp.symbols(f"x:{n}")
    k, planes = ([sp.symbols(f"{name}{c}_:{n}") for c in range(classes)] for name in "kB")
    minus = [[v / n for v in _sums(plane, 1)] for plane in planes]  # b(-nu, c)
    y = [[a * b for a, b in zip(own, x, strict=True)] for own in k]
    y_p, s = _softmax(y)
    loss = [sum(minus[c][i] * (y_p[i] - y[c][i]) for c in range(classes)) for i in range(n)]

    def entry(i: int, j: int) -> sp.Expr:
        mask = sum(b[i] for b in minus)
        closed = sum(k[c][j] * (mask * s[c][(i - j) % n] - int(i == j) * minus[c][i]) for c in range(classes))
        return sp.simplify(sp.expand(sp.diff(loss[i], x[j]) - closed))

    return sp.Matrix(n, n, entry)
