"""Derivations by computer algebra behind layers and edges: ReLU's projection, the arcsine law, tails, block errors.

Each function returns sympy expressions to be shown, or differences that ought to be zero. Small N stands for any N.
"""

from __future__ import annotations

import sympy as sp

RHO = sp.Symbol("rho", real=True)
THETA = sp.Symbol("theta", real=True)
U, NU_MAX, N, ELL = sp.symbols("u nu_max N ell", positive=True)


def _root(n: int, power: int) -> sp.Expr:
    return sp.expand(sp.exp(2 * sp.pi * sp.I * sp.Rational(power % n, n)), complex=True)


def relu_projection(n: int = 3) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Expr]:
    """Return (P, P P - P, P - P^H, energy of row 0 minus its diagonal entry) of P = F diag(1[Z > 0]) F^-1, N = n.

    P(i, j) = g(i - j), g the transform (1/N) of the mask a_t, each 0 or 1 (so a_t^2 = a_t is put in). The last three
    are zero: P is an orthogonal projection. Its diagonal is g(0), the active fraction a. A row of energy
    sum_j |P_ij|^2 = (P P^H)_ii = P_ii = a has |P_ii|^2 = a^2 of it on the diagonal: the share a, whatever Z.

    >>> [sum(abs(x) for x in m) for m in relu_projection(2)[1:3]], relu_projection(2)[3]
    ([0, 0], 0)
    """
    a = sp.symbols(f"a:{n}", real=True)
    g = [sum(a[t] * _root(n, -m * t) for t in range(n)) / n for m in range(n)]
    p = sp.Matrix(n, n, lambda i, j: g[(i - j) % n])

    def binary(expr: sp.Expr) -> sp.Expr:
        """Put a_t for a_t^2."""
        return sp.simplify(sp.expand(sp.expand(expr).subs({x**2: x for x in a})))

    row = sum(p[0, j] * sp.conjugate(p[0, j]) for j in range(n))
    return p, (p * p - p).applyfunc(binary), (p - p.H).applyfunc(sp.simplify), binary(row - p[0, 0])


def arcsine_law() -> tuple[sp.Expr, sp.Expr]:
    """Return (Plackett's identity, zero; P(X > 0, Y > 0) of unit normals of correlation rho).

    The density phi has d phi/d rho = d^2 phi/dx dy (Plackett 1954). Integrated over x, y > 0 the right side is
    phi(0, 0) = 1/(2 pi sqrt(1 - rho^2)), so the probability is 1/4 (rho = 0) plus its integral (Sheppard 1899).

    >>> arcsine_law()
    (0, asin(rho)/(2*pi) + 1/4)
    """
    x, y, r = sp.symbols("x y r", real=True)
    phi = sp.exp(-(x**2 - 2 * RHO * x * y + y**2) / (2 * (1 - RHO**2))) / (2 * sp.pi * sp.sqrt(1 - RHO**2))
    plackett = sp.simplify((sp.diff(phi, RHO) - sp.diff(phi, x, y)) / phi)
    corner = phi.subs({x: 0, y: 0}).subs(RHO, r)
    return plackett, sp.Rational(1, 4) + sp.integrate(corner, (r, 0, RHO))


def edge_spectrum(n: int = 6) -> tuple[sp.Expr, sp.Expr]:
    """Return (|b(u)|^2 of two edges at distance n/2 on n points minus the sum formula, what one edge contributes).

    A 0/1 signal with edges at t_k has b(u) (1 - e^{-2 pi j u/N}) = (1/N) sum_k (+-1) e^{-2 pi j u t_k/N}: the transform
    of its differences. So each edge brings 1/(N |1 - e^{-2 pi j u/N}|)^2 = 1/(2 N sin(pi u/N))^2, and pairs of edges
    oscillate. Here u = 1: two edges in phase, four times one edge.

    >>> edge_spectrum(6)[0]
    0
    """
    b = sum(_root(n, -t) for t in range(n // 2)) / n
    one = 1 / (2 * N * sp.sin(sp.pi * U / N)) ** 2
    return sp.simplify(sp.expand(b * sp.conjugate(b)) - 4 * one.subs({U: 1, N: n})), one


def edge_tail() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Return (tail of one edge on N points, its limit for N to infinity, their ratio in x = pi nu_max/N).

    The sum over |u| > nu_max becomes twice the integral up to N/2. The limit is 1/(2 pi^2 nu_max), the ratio x cot x.

    >>> edge_tail()[1:]
    (1/(2*pi**2*nu_max), x*cot(x))
    """
    x = sp.Symbol("x", positive=True)
    primitive = -sp.cot(sp.pi * U / N) / (4 * sp.pi * N)  # d/du = 1/(2 N sin)^2: checked here, not trusted
    assert sp.simplify((sp.diff(primitive, U) - edge_spectrum()[1]).rewrite(sp.cos)) == 0
    tail = sp.simplify(2 * (primitive.subs(U, N / 2) - primitive.subs(U, NU_MAX)))
    limit = sp.limit(tail, N, sp.oo)
    return tail, limit, sp.simplify((tail / limit).subs(NU_MAX, x * N / sp.pi))


def box_factor() -> sp.Expr:
    """Return the mean of max(|cos|, |sin|) over directions: 2 sqrt 2/pi.

    >>> box_factor()
    2*sqrt(2)/pi
    """
    return sp.simplify(sp.integrate(sp.cos(THETA), (THETA, -sp.pi / 4, sp.pi / 4)) * 2 / sp.pi)


def block_constant() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Return (mean |d| for d uniform in the unit square round 0, mean |cos| over directions, their product 0.2436).

    In polar coordinates the square is eight triangles: 8 int_0^{pi/4} int_0^{1/(2 cos)} r^2 dr = (1/3) int sec^3, which
    is (1/3) int_0^1 sqrt(1 + t^2) dt with t = tan. An edge of length P with normal n is moved by d over the area
    |d . n| P; mean over directions of d against n: |d| 2/pi.

    >>> round(float(block_constant()[2]), 4)
    0.2436
    """
    r, t = sp.symbols("r t", positive=True)
    inner = sp.integrate(r**2, (r, 0, sp.sqrt(1 + t**2) / 2))  # 1/cos = sqrt(1 + t^2), d theta = dt/(1 + t^2)
    mean = 8 * sp.integrate(sp.simplify(inner / (1 + t**2)), (t, 0, 1))
    turn = sp.integrate(sp.cos(THETA), (THETA, -sp.pi / 2, sp.pi / 2)) / sp.pi
    return sp.simplify(mean), turn, sp.simplify(mean * turn)
