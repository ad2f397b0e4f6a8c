"""Sympy derivations: Lemmas 3 and 4, Eq. 14; IoU's series, the law of its drop, Eq. 32 with its sign; gradients.

Each function returns a small dict of expressions; what must vanish stands under a name that begins with `zero`, so that
`left_over` can test all of them at once. Ordinary frequency: y(nu) = integral of Y exp(-2 pi j nu t) dt.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

Derivation = dict[str, sp.Expr]


def gaussians() -> Derivation:
    """Eq. 11 for two Gaussians of any width and place, and Eq. 16 for one: the differences of their sides are zero."""
    t, nu, u = sp.symbols("t nu u", real=True)
    a, b = sp.symbols("a b", positive=True)
    left = sp.integrate(sp.exp(-a * t**2 - b * (t - u) ** 2), (t, -sp.oo, sp.oo), conds="none")
    y, other = (sp.fourier_transform(sp.exp(-k * (t - c) ** 2), t, nu) for k, c in ((a, 0), (b, u)))
    product = y * other.subs(nu, -nu)
    right = sp.integrate(sp.simplify(sp.re(sp.expand(product, complex=True))), (nu, -sp.oo, sp.oo), conds="none")
    whole = sp.integrate(sp.exp(-a * t**2), (t, -sp.oo, sp.oo), conds="none")
    return {"overlap": sp.simplify(left), "zero": sp.simplify(left - right),
            "zero_lemma_4": sp.simplify(whole - y.subs(nu, 0))}  # fmt: skip


def lemmas_discrete(n: int = 4) -> Derivation:
    """Eqs 11 and 16 for n symbols Y_t, B_t, the 1/N transform and the mean over t: the differences are zero."""
    y, b = sp.symbols(f"Y0:{n}"), sp.symbols(f"B0:{n}")
    fy, fb = ([v / n for v in _sums(x, -1)] for x in (y, b))
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
    direct = sp.integrate(sp.cos(2 * sp.pi * nu * t), (t, -big, big), conds="none")
    area = 2 * sp.integrate(kernel, (nu, 0, sp.oo), conds="none")
    return {"kernel": kernel, "zero": sp.simplify(direct - kernel), "zero_area": sp.simplify(area - 1)}


# IoU (A.4, A.5). For one class: b = b(0) its area, s = s(0), p the overlap, x = int B (1 - S) what is missed, y =
# int (1 - B) S what is added falsely, L = -int B log S >= 0 its loss, K the same inside the band.


def additivity() -> Derivation:
    """Eqs 23, 25: both lines agree; the mixed second derivative in two shares of the overlap is 2c/(c - p)^3, not zero.

    A sum of separate terms, as CE is in Eq. 2, has mixed derivatives of zero: so IoU is no such sum. The Dice score
    2p/c of the same areas is one. Since p >= 0 and c <= 2, the derivative is 2/c^2 >= 1/2 at least.
    """
    p, q, c = sp.symbols("p_a p_b c", positive=True)
    iou = (p + q) / (c - p - q)
    mixed = sp.factor(sp.diff(iou, p, q))
    least = mixed.subs({p: 0, q: 0})
    return {"zero": sp.simplify(iou - 1 / (c / (p + q) - 1)), "mixed": mixed, "least": least,
            "zero_mixed": sp.simplify(mixed - 2 * c / (c - p - q) ** 3),
            "zero_dice": sp.diff(2 * (p + q) / c, p, q), "zero_least": sp.simplify(least - 2 / c**2)}  # fmt: skip


def log_series(terms: int = 4) -> Derivation:
    """Eq. 26 with all its terms: -log S = x + x^2/2 + ... + x^n/n + R_n, x = 1 - S, and R_n between two powers.

    The derivative of R_n is x^n/(1 - x) (a geometric sum) and R_n(0) = 0, so R_n is the integral of t^n/(1 - t) over
    0 .. x; there 1 <= 1/(1 - t) <= 1/(1 - x) = 1/S, hence x^(n+1)/(n+1) <= R_n <= x^(n+1)/((n+1) S).
    """
    x, t = sp.symbols("x t", positive=True)
    found: Derivation = {}
    for n in range(1, terms + 1):
        rest = -sp.log(1 - x) - sum(x**k / k for k in range(1, n + 1))
        found[f"term_{n}"] = x**n / n
        found[f"zero_slope_{n}"] = sp.simplify(sp.diff(rest, x) - x**n / (1 - x))
        found[f"zero_start_{n}"] = rest.subs(x, 0)
        found[f"zero_taylor_{n}"] = sp.diff(-sp.log(1 - x), x, n).subs(x, 0) / sp.factorial(n) - sp.Rational(1, n)
    n = sp.Symbol("n", positive=True, integer=True)
    low = sp.integrate(t**n, (t, 0, x))
    return found | {"rest": sp.Integral(t**n / (1 - t), (t, 0, x)), "low": low, "high": low / (1 - x)}


def iou_series(terms: int = 4) -> Derivation:
    """IoU around S = B: with xi = x/b and eta = y/b it is (1 - xi)/(1 + eta); its terms and its exact remainder.

    Term k is (-1)^k (xi + eta) eta^(k-1); after n of them (-1)^(n+1) (xi + eta) eta^n/(1 + eta) is left. All terms
    together give 1 - IoU = (xi + eta)/(1 + eta); the series converges for eta < 1 alone.
    """
    b, xi, eta, h = sp.symbols("b xi eta h", positive=True)
    p, s = b * (1 - xi), b * (1 - xi) + b * eta  # the overlap, and the area of S
    iou = (1 - xi) / (1 + eta)
    found: Derivation = {"zero_eq_25": sp.simplify(1 / ((s + b) / p - 1) - iou)}
    scaled = iou.subs({xi: h * xi, eta: h * eta}, simultaneous=True)
    partial = sp.Integer(1)
    for k in range(1, terms + 1):
        term = sp.factor(sp.diff(scaled, h, k).subs(h, 0) / sp.factorial(k))
        partial += term
        rest = sp.factor(sp.simplify(iou - partial))
        found |= {f"term_{k}": term, f"rest_{k}": rest,
                  f"zero_term_{k}": sp.simplify(term - (-1) ** k * (xi + eta) * eta ** (k - 1)),
                  f"zero_rest_{k}": sp.simplify(rest - (-1) ** (k + 1) * (xi + eta) * eta**k / (1 + eta))}  # fmt: skip
    lost = sp.factor(sp.simplify(1 - iou))
    return found | {"lost": lost, "zero_lost": sp.simplify(lost - (xi + eta) / (1 + eta))}


def relative_drop() -> Derivation:
    """Eq. 29 and its closed form (1 + q) r/(1 + q r) with its slopes."""
    c, p1, p2, q, r = sp.symbols("c p1 p2 q r", positive=True)
    iou = p1 / (c - p1)
    whole = p1 / (c - p1) - p2 / (c - p2)
    area = sp.solve(sp.Eq(q, iou), c)[0]
    drop = sp.factor(sp.simplify((c / (c - p2) * (p1 - p2) / p1).subs(c, area).subs(p2, p1 * (1 - r))))
    closed = (1 + q) * r / (1 + q * r)
    return {
        "drop": drop, "zero": sp.simplify(whole / iou - c / (c - p2) * (p1 - p2) / p1),
        "zero_closed": sp.simplify(drop - closed), "slope": sp.factor(sp.diff(closed, r)),
        "curvature": sp.factor(sp.diff(closed, r, 2)),
        "zero_dice": sp.simplify(1 - (2 * p2 / c) / (2 * p1 / c) - (1 - p2 / p1)),  # a Dice score would lose r itself
    }  # fmt: skip


def drop_from_losses() -> Derivation:
    """Eq. 32 from Eq. 29, with the sign of Eqs 30, 31 kept: p1 = b - L, p2 = b - K, c = b + s.

    `mended` keeps the area b: (b + s)/(s + K) (K - L)/(b - L), where (K - L)/L is R_ce up to its sign. `printed` is its
    modulus with b = 0, which is Eq. 32 with the printed (negative) truncated loss -K; `ratio` = printed over mended.
    """
    b, s, loss, kept, rate = sp.symbols("b s L K R", positive=True)
    c, p1, p2 = sp.symbols("c p1 p2", positive=True)
    eq29 = c / (c - p2) * (p1 - p2) / p1
    mended = sp.factor(sp.simplify(eq29.subs({p1: b - loss, p2: b - kept, c: b + s}, simultaneous=True)))
    printed = sp.simplify(-mended.subs(b, 0))  # the modulus: for K > L the value at b = 0 is negative
    eq32 = 1 / (1 - (-kept) / s) * rate
    ratio = sp.factor(sp.simplify(printed / mended))
    return {
        "mended": mended, "printed": printed, "ratio": ratio,
        "zero_printed": sp.simplify(printed.subs(kept, loss * (1 + rate)) - eq32.subs(kept, loss * (1 + rate))),
        "zero_mended": sp.simplify(mended - (b + s) / (s + kept) * (kept - loss) / (b - loss)),
        "zero_ratio": sp.simplify(ratio - s * (b - loss) / (loss * (b + s))),
    }  # fmt: skip


def drop_limit() -> Derivation:
    """The drop of Eq. 29 as S tends to B: q = 1 and r = r0, the labels' energy beyond the band; and the bound's slope.

    `bound` holds for d = (x + y)/b with (1 + M) d < 1, M the largest modulus of the band-limited labels: see
    `iou_laws.limit_bound`.
    """
    q, r, d, m = sp.symbols("q r d M", positive=True)
    limit = ((1 + q) * r / (1 + q * r)).subs(q, 1)
    bound = ((2 * m + 1) * d / (1 - (1 + m) * d) + d) / (1 - d)
    return {"limit": limit, "zero": sp.simplify(limit - 2 * r / (1 + r)), "bound": bound,
            "zero_slope": sp.simplify(sp.diff(bound, d).subs(d, 0) - 2 * (m + 1))}  # fmt: skip


def iou_threshold() -> Derivation:
    """IoU of a block model: its derivative in one block's S has the sign of f c - p, so the threshold is q/(1 + q)."""
    f, w, s, p, c, q = sp.symbols("f w S p c q", positive=True)
    iou = (p + w * f * s) / (c + w * s - p - w * f * s)
    slope = sp.factor(sp.diff(iou, s).subs(s, 0))
    at_rest = sp.solve(sp.numer(sp.together(slope)), f)[0]
    return {"slope": slope, "threshold": sp.simplify(at_rest),
            "zero": sp.simplify(at_rest.subs(c, p * (1 + q) / q) - q / (1 + q))}  # fmt: skip


# Spectral gradients (A.7 and A.8, Eqs 43-54). Small N stands for any N: nothing in the derivations depends on N.


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
