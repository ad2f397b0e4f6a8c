"""Sympy derivations: Lemmas 3 and 4, Eq. 14, the frame's ramp, truncation. Those for IoU: `symbolic_iou`.

Each function returns a small dict of expressions; what must vanish stands under a name that begins with `zero`, so that
`left_over` can test all of them at once. Ordinary frequency: y(nu) = integral of Y exp(-2 pi j nu t) dt.
"""

from __future__ import annotations

import sympy as sp

Derivation = dict[str, sp.Expr]


def gaussian_transform(a: sp.Expr, centre: sp.Expr, nu: sp.Symbol) -> sp.Expr:
    """Return the ordinary-frequency transform of exp(-a (t - centre)^2), by completing the square in `integrate`.

    >>> nu = sp.Symbol("nu", real=True)
    >>> gaussian_transform(sp.pi, sp.Integer(0), nu)
    exp(-pi*nu**2)
    """
    t = sp.Symbol("t", real=True)
    # The shift theorem carries the centre: sympy integrates the centred Gaussian alone at once.
    centred = sp.integrate(sp.exp(-a * t**2) * sp.cos(2 * sp.pi * nu * t), (t, -sp.oo, sp.oo), conds="none")
    return sp.simplify(centred) * sp.exp(-2 * sp.pi * sp.I * nu * centre)


def gaussians() -> Derivation:
    """Eq. 11 for two Gaussians of any width and place, and Eq. 16 for one: the differences of their sides are zero."""
    t, nu, u = sp.symbols("t nu u", real=True)
    a, b = sp.symbols("a b", positive=True)
    left = sp.integrate(sp.exp(-a * t**2 - b * (t - u) ** 2), (t, -sp.oo, sp.oo), conds="none")
    y = gaussian_transform(a, sp.Integer(0), nu)
    product = y * gaussian_transform(b, u, -nu)
    right = sp.integrate(sp.simplify(sp.re(sp.expand(product, complex=True))), (nu, -sp.oo, sp.oo), conds="none")
    whole = sp.integrate(sp.exp(-a * t**2), (t, -sp.oo, sp.oo), conds="none")
    return {"overlap": sp.simplify(left), "zero": sp.simplify(left - right),
            "zero_lemma_4": sp.simplify(whole - y.subs(nu, 0))}  # fmt: skip


def lemmas_discrete(n: int = 4) -> Derivation:
    """Eqs 11 and 16 for n symbols Y_t, B_t, the 1/N transform and the mean over t: the differences are zero."""
    y, b = sp.symbols(f"Y0:{n}"), sp.symbols(f"B0:{n}")
    root = [sp.expand(sp.exp(-2 * sp.pi * sp.I * sp.Rational(k, n)), complex=True) for k in range(n)]
    fy, fb = ([sum(x[t] * root[k * t % n] for t in range(n)) / n for k in range(n)] for x in (y, b))
    left = sum(p * q for p, q in zip(y, b, strict=True)) / n
    right, wrong = (sp.expand(sum(fy[k] * fb[sign * k % n] for k in range(n))) for sign in (-1, 1))
    return {"zero": sp.simplify(left - right), "zero_lemma_4": sp.simplify(sp.expand(sum(y) / n - fy[0])),
            "mutant": sp.simplify(left - wrong)}  # fmt: skip


def dirac() -> Derivation:
    """Eq. 14: the integral of exp(2 pi j nu t) over -T .. T is sin(2 pi nu T)/(pi nu), its `kernel`.

    Its integral over nu is 1 for every T; at a fixed nu != 0 it has no limit (only a weak one).
    """
    t, nu = sp.symbols("t nu", real=True)
    big = sp.Symbol("T", positive=True)
    kernel = sp.sin(2 * sp.pi * nu * big) / (sp.pi * nu)
    direct = sp.integrate(sp.cos(2 * sp.pi * nu * t), (t, -big, big))
    direct = sp.piecewise_fold(direct).args[0][0] if direct.has(sp.Piecewise) else direct
    area = 2 * sp.integrate(kernel, (nu, 0, sp.oo), conds="none")
    return {"kernel": kernel, "zero": sp.simplify(direct - kernel), "zero_area": sp.simplify(area - 1)}


def left_over(found: Derivation) -> list[str]:
    """Return the names of the expressions that should be zero and are not (empty when the derivation holds).

    >>> left_over({"zero": sp.Integer(0), "zero_b": sp.Symbol("x"), "slope": sp.Integer(2)})
    ['zero_b']
    """
    return [name for name, value in found.items() if name.startswith("zero") and value != 0]


def aligned(lines: dict[str, sp.Expr]) -> str:
    """Return equations as LaTeX, one a line: the left sides are given as LaTeX, the right sides as expressions.

    >>> print(aligned({"a": sp.Symbol("x") ** 2, "b": sp.Rational(1, 2)}))
    \\begin{aligned} a &= x^{2} \\\\ b &= \\frac{1}{2} \\end{aligned}
    """
    rows = (f"{left} &= {sp.latex(right)}" for left, right in lines.items())
    return r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"
