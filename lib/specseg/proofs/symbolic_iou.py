"""Sympy derivations for IoU (A.4, A.5): Taylor series with remainders, the law of the drop, Eq. 32 with its sign.

As `proofs.symbolic`: small dicts of expressions, and what must vanish stands under a name that begins with `zero`.
For one class: b = b(0) its area, s = s(0), p the overlap, x = int B (1 - S) what is missed, y = int (1 - B) S what is
added falsely, L = -int B log S >= 0 its loss, K the same inside the band.
"""

from __future__ import annotations

import sympy as sp

from specseg.proofs.symbolic import Derivation


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
    """Eq. 29: the printed chain line by line, and its closed form (1 + q) r/(1 + q r) with its slopes."""
    c, p1, p2, q, r = sp.symbols("c p1 p2 q r", positive=True)
    iou = p1 / (c - p1)
    lines = [1 / (c / p1 - 1) - 1 / (c / p2 - 1), p1 / (c - p1) - p2 / (c - p2), c / ((c - p1) * (c - p2)) * (p1 - p2),
             1 / (c / p1 - 1) * c / (c - p2) * (p1 - p2) / p1, iou * c / (c - p2) * (p1 - p2) / p1]  # fmt: skip
    found = {f"zero_line_{k}": sp.simplify(lines[0] - x) for k, x in enumerate(lines[1:], 2)}
    area = sp.solve(sp.Eq(q, iou), c)[0]
    drop = sp.factor(sp.simplify((c / (c - p2) * (p1 - p2) / p1).subs(c, area).subs(p2, p1 * (1 - r))))
    closed = (1 + q) * r / (1 + q * r)
    return found | {
        "drop": drop, "zero_closed": sp.simplify(drop - closed), "slope": sp.factor(sp.diff(closed, r)),
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
    `drop_laws.limit_bound`.
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
