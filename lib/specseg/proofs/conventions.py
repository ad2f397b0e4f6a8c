"""Which Fourier convention makes which lemma true: the factor that each printed right-hand side needs (A.2 to A.8).

Five conventions, each with the integrals that go with it:

| name | forward transform | integral dt | integral dnu |
|---|---|---|---|
| ordinary | integral of Y exp(-2 pi j nu t) dt | integral | integral |
| angular | integral of Y exp(-j omega t) dt | integral | integral d omega |
| unnormalised | sum_t Y exp(-2 pi j nu t/N) | sum_t | sum_nu |
| orthonormal | the same / sqrt(N) | sum_t | sum_nu |
| forward | the same / N | mean over t | sum_nu |

The factors are as they are derived; `tests/proofs/test_conventions.py` evaluates every cell numerically, by the
trapezoidal rule on Gaussians (exact to rounding) and by the discrete transform on random numbers.
"""

from __future__ import annotations

import pandas as pd
import sympy as sp

NAMES = ("ordinary", "angular", "unnormalised", "orthonormal", "forward")
N, SIGMA = sp.symbols("N sigma", positive=True)
PI = sp.pi
_KRONECKER = "the delta beside it is Dirac's in the two continuous conventions and Kronecker's in the others"
NOTES = {
    "36": "the exponents hold for angular frequency: read nu as 2 pi nu (ordinary) or 2 pi nu/N (discrete)",
    "43": "with the unnormalised transform for the kernel alone, the forward convention needs no factor",
    "46": "no convention has 1 in both rows of Eq. 46",
    "47": _KRONECKER,
    "48": _KRONECKER,
    "53": "Dirac's delta in the two continuous conventions, Kronecker's in the others",
}
# One factor per convention: the printed right-hand side (or the part named) times the factor is the left-hand side.
_OVERLAP = (1, 1 / (2 * PI), 1 / N, 1, 1)
_PRODUCT = (1, 1 / (2 * PI), 1 / N, 1 / sp.sqrt(N), 1)
_VALUE, _KERNEL = (1, 1, 1, sp.sqrt(N), 1), (1, 1, 1, sp.sqrt(N), N)
FACTORS: dict[tuple[str, str], tuple] = {
    ("2", "sum over all frequencies"): _OVERLAP,
    ("11", "Lemma 3: overlap"): _OVERLAP,
    ("12", "convolution y * b"): _PRODUCT,
    ("16", "Lemma 4: value at 0"): _VALUE,
    ("20", "integral over frequencies"): _OVERLAP,
    ("21", "sum over all frequencies"): _OVERLAP,
    ("22", "component, so that 21 holds"): _OVERLAP,
    ("24", "overlap"): _OVERLAP,
    ("24", "areas"): _VALUE,
    ("25", "overlap against areas"): _PRODUCT,
    ("36", "Gaussian of width sigma"): tuple(SIGMA * sp.sqrt(2 * PI) * f for f in (1, 1, 1, 1 / sp.sqrt(N), 1 / N)),
    ("43", "kernel: z = k x"): _KERNEL,
    ("46", "constant: 2 pi log 2 at 0"): (1 / (2 * PI), 1, N / (2 * PI), sp.sqrt(N) / (2 * PI), 1 / (2 * PI)),
    ("46", "convolution z * z / 8"): _PRODUCT,
    ("47", "z(nu_i - nu_j)/4"): _PRODUCT,
    ("48", "z(nu_i - nu_j)/4"): _PRODUCT,
    ("48", "kernel k(nu_j)"): _KERNEL,
    ("52", "s(nu_i - nu_j)"): _PRODUCT,
    ("53", "delta of the constant 1"): (1, 2 * PI, N, sp.sqrt(N), 1),
}


def table() -> pd.DataFrame:
    """Return one row per equation and part, one column per convention: the factor of the printed right-hand side.

    >>> table().query("equation == '11'")[list(NAMES)].iloc[0].tolist()
    ['1', '1/(2*pi)', '1/N', '1', '1']
    """
    return pd.DataFrame([
        {"equation": eq, "part": part, **{n: str(sp.sympify(f)) for n, f in zip(NAMES, factors, strict=True)}}
        for (eq, part), factors in FACTORS.items()
    ])  # fmt: skip


def render() -> str:
    """Return the conventions page of the book: the factor that each printed right-hand side needs, by convention."""
    named = {"unnormalised": "DFT, unnormalised", "orthonormal": "DFT, orthonormal", "forward": "DFT, 1/N forward"}
    head = "| Eq. | Part | " + " | ".join(named.get(n, f"{n} frequency") for n in NAMES) + " | Note |"
    rows = [head, "|---" * (len(NAMES) + 3) + "|"]
    for (eq, part), factors in FACTORS.items():
        cells = " | ".join(f"${sp.latex(sp.sympify(f))}$" for f in factors)
        rows.append(f"| {{ref}}`{eq} <eq-{eq}>` | {part} | {cells} | {NOTES.get(eq, '')} |")
    text = (
        "Which Fourier convention makes which equation true: the printed right-hand side times the factor is the "
        "left-hand side. This book and its library use the last column, 1/N forward: no factor but in Eqs 36 and 46, "
        "and none for the kernel once its transform alone is left unnormalised. Every cell is derived symbolically "
        "and checked by numbers in the project's tests."
    )
    return "\n".join(["# Conventions", "", text, "", *rows, ""])
