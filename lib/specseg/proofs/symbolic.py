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


def zero_frequency(classes: int = 2, pixels: int = 3, void: int = 1) -> Derivation:
    """L_ce(0) = m [H(pi/m) + KL(pi/m || p) + mean KL(p || S_t)] for free logits y[t, c] and free class shares pi_c.

    `void` of the pixels have no label: the shares sum to m = 1 - void/pixels, while the means of the logits, of Y_p
    and of KL run over all pixels. `mutant` is what is left where KL runs over the labelled pixels alone.
    """
    y = [sp.symbols(f"y{t}_0:{classes}", real=True) for t in range(pixels)]
    m = 1 - sp.Rational(void, pixels)
    pi = sp.symbols(f"pi0:{classes - 1}", positive=True)
    pi = (*pi, m - sum(pi))
    y_p = [sp.log(sum(sp.exp(a) for a in row)) for row in y]
    mean = [sum(row[c] for row in y) / pixels for c in range(classes)]
    left = sum(w * (sum(y_p) / pixels - a) for w, a in zip(pi, mean, strict=True))
    log_p = [a - sp.log(sum(sp.exp(b) for b in mean)) for a in mean]
    p = [sp.exp(a) / sum(sp.exp(b) for b in mean) for a in mean]
    entropy = -sum(w / m * sp.log(w / m) for w in pi)
    mismatch = sum(w / m * (sp.log(w / m) - a) for w, a in zip(pi, log_p, strict=True))
    kl = [sum(q * (a - (row[c] - z)) for c, (q, a) in enumerate(zip(p, log_p, strict=True)))
          for row, z in zip(y, y_p, strict=True)]  # fmt: skip
    right = m * (entropy + mismatch + sum(kl) / pixels)
    labelled = m * (entropy + mismatch + sum(kl[void:]) / (pixels - void))
    return {"zero": sp.simplify(sp.expand(left - right)), "mutant": sp.simplify(left - labelled)}


def ramp() -> Derivation:
    """The ramp t/N: x(nu) (1 - e^(-2 pi j nu/N)) = -1/N by summation by parts, so |x|^2 = 1/(4 N^2 sin^2(pi nu/N)).

    Checked for all nu of N = 3, 4 and 6 in exact arithmetic.
    """
    found: Derivation = {}
    for n in (3, 4, 6):
        for k in range(1, n):
            x = sum(sp.Rational(t, n) * sp.exp(-2 * sp.pi * sp.I * sp.Rational(k * t, n)) for t in range(n)) / n
            power = sp.simplify(sp.expand(x * sp.conjugate(x), complex=True))
            law = 1 / (4 * n**2 * sp.sin(sp.pi * sp.Rational(k, n)) ** 2)
            found[f"zero_{n}_{k}"] = sp.nsimplify(sp.simplify(power - law))
    return found


def truncation_cost() -> Derivation:
    """CE(Y - D) - CE(Y) to second order in D for three classes: <S - B, -D> + Var_S(D)/2.

    The gradient of log-sum-exp is S, its Hessian diag(S) - S S^T, whose form in D is the variance of D under S.
    """
    y, d = sp.symbols("y0:3", real=True), sp.symbols("d0:3", real=True)
    h = sp.Symbol("h", real=True)
    lse = sp.log(sum(sp.exp(a) for a in y))
    soft = [sp.exp(a) / sum(sp.exp(b) for b in y) for a in y]
    along = lse.subs({a: a - h * b for a, b in zip(y, d, strict=True)}, simultaneous=True)
    first, second = (sp.diff(along, h, k).subs(h, 0) for k in (1, 2))
    mean = sum(s * b for s, b in zip(soft, d, strict=True))
    variance = sum(s * b**2 for s, b in zip(soft, d, strict=True)) - mean**2
    return {"zero_first": sp.simplify(first + mean), "zero_second": sp.simplify(second - variance)}


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
