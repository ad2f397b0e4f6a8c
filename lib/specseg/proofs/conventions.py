"""Which Fourier convention makes which lemma true: the factor that each printed right-hand side needs (A.2 to A.8).

Five conventions, each with the integrals that go with it:

| name | forward transform | integral dt | integral dnu |
|---|---|---|---|
| ordinary | integral of Y exp(-2 pi j nu t) dt | integral | integral |
| angular | integral of Y exp(-j omega t) dt | integral | integral d omega |
| unnormalised | sum_t Y exp(-2 pi j nu t/N) | sum_t | sum_nu |
| orthonormal | the same / sqrt(N) | sum_t | sum_nu |
| forward | the same / N | mean over t | sum_nu |

`table` gives the factors as they are derived; `checks` evaluates every cell numerically, by the trapezoidal rule on
Gaussians (exact to rounding) and by `fft` on random numbers, and returns the residual of the factor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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


def table() -> pd.DataFrame:
    """Return one row per equation and part, one column per convention: the factor of the printed right-hand side.

    >>> table().query("equation == '11'")[list(NAMES)].iloc[0].tolist()
    ['1', '1/(2*pi)', '1/N', '1', '1']
    """
    return pd.DataFrame([
        {"equation": eq, "part": part, **{n: str(sp.sympify(f)) for n, f in zip(NAMES, factors, strict=True)}}
        for (eq, part), (factors, _) in CELLS.items()
    ])  # fmt: skip


class Transform:
    """One convention on numbers: samples at `t`, frequencies `nu`, the weights of both integrals, forward transform.

    The discrete ones have n samples, the continuous ones a grid so fine that sums are integrals.
    """

    def __init__(self, name: str, n: int = 24) -> None:
        self.continuous = name in NAMES[:2]
        if self.continuous:
            self.wave = 2 * np.pi if name == "ordinary" else 1.0  # exponent: exp(-1j wave nu t)
            self.t, self.nu = np.linspace(-8, 8, 321), np.linspace(-8, 8, 401) * np.pi / self.wave
            self.dt, self.dnu = self.t[1] - self.t[0], self.nu[1] - self.nu[0]
            self.scale = self.dt  # in front of the forward sum
        else:
            self.t = self.nu = np.arange(n, dtype=float)
            self.wave, self.dt, self.dnu = 2 * np.pi / n, 1 / n if name == "forward" else 1.0, 1.0
            self.scale = {"unnormalised": 1.0, "orthonormal": n**-0.5, "forward": 1 / n}[name]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return self.scale * np.exp(-1j * self.wave * np.outer(self.nu, self.t)) @ x

    def space(self, x: np.ndarray):
        """The convention's integral over t."""
        return self.dt * x.sum()

    def frequency(self, x: np.ndarray):
        """The convention's integral over nu."""
        return self.dnu * x.sum()

    def overlap(self, y: np.ndarray, b: np.ndarray):
        """The integral of y(nu) b(-nu) of two signals."""
        spec = self.forward(b)[::-1]
        return self.frequency(self.forward(y) * (spec if self.continuous else np.roll(spec, 1)))

    def at_zero(self, x: np.ndarray):
        return self.forward(x)[int(np.argmin(np.abs(self.nu)))]

    def convolve(self, a: np.ndarray, b: np.ndarray, at: np.ndarray, weight: float) -> np.ndarray:
        """(a * b)(nu) = integral of a(z) b(nu - z) dz over the points `at`; circular for the discrete conventions."""
        n, zero = len(at), int(np.argmin(np.abs(at)))
        if self.continuous:
            return weight * np.convolve(a, b)[zero : zero + n]
        return weight * np.array([(a * b[(k - np.arange(n)) % n]).sum() for k in range(n)])


def _signals(f: Transform, count: int, seed: int) -> list[np.ndarray]:
    """Random signals: sums of narrow Gaussians in the continuous conventions (exact integrals), else noise."""
    rng = np.random.default_rng(seed)
    if not f.continuous:
        return [rng.standard_normal(len(f.t)) for _ in range(count)]
    return [sum(rng.normal() * np.exp(-rng.uniform(1.5, 3) * (f.t - rng.uniform(-2, 2)) ** 2) for _ in range(3))
            for _ in range(count)]  # fmt: skip


def _overlap(f: Transform, seed: int):
    y, b = _signals(f, 2, seed)
    return f.space(y * b), f.overlap(y, b)


def _product(f: Transform, seed: int):
    y, b = _signals(f, 2, seed)
    left, right = f.forward(y * b), f.convolve(f.forward(y), f.forward(b), f.nu, f.dnu)
    middle = slice(len(f.nu) // 4, -len(f.nu) // 4) if f.continuous else slice(None)  # the grid's ends are cut
    return left[middle], right[middle]


def _value(f: Transform, seed: int):
    (y,) = _signals(f, 1, seed)
    return f.space(y), f.at_zero(y)


def _iou(f: Transform, seed: int):
    """Eq. 25's ratio overlap : areas, of which IoU is a function; the factor is that of the printed overlap."""
    y, b = (x**2 if f.continuous else np.abs(x) for x in _signals(f, 2, seed))
    return f.space(y * b) / f.space(y + b), f.overlap(y, b) / f.at_zero(y + b)


def _gaussian(f: Transform, seed: int):
    """Eq. 36 in the middle of the frame, nu read as the angular frequency of the convention."""
    centre, sigma = (0.7, 0.6) if f.continuous else (len(f.t) / 2 - 0.3, 1.7)
    omega = f.wave * f.nu
    if not f.continuous:
        omega = np.where(omega > np.pi, omega - 2 * np.pi, omega)  # signed frequencies
    printed, keep = np.exp(-1j * centre * omega - (omega * sigma) ** 2 / 2), np.abs(omega) * sigma < 3
    return f.forward(np.exp(-((f.t - centre) ** 2) / (2 * sigma**2)))[keep], printed[keep], sigma


def _kernel(f: Transform, seed: int):
    """z = K convolved with X (integral dt; for `forward` the layer's own plain sum over t, not a mean) against k x."""
    k, x = _signals(f, 2, seed)
    z = f.convolve(k, x, f.t, f.dt if f.continuous else 1.0)
    return f.forward(z), f.forward(k) * f.forward(x)


def _delta(f: Transform, seed: int):
    """F(1) tested as a delta: the integral of F(1)(nu) x(nu) dnu over its weight is x(0).

    In the continuous conventions 1 stands as a Gaussian of width 8, whose transform is narrow beside x = 1.
    """
    if not f.continuous:
        return f.forward(np.ones(len(f.t)))[0], 1.0
    t, nu = np.linspace(-72, 72, 1441), np.linspace(-0.4, 0.4, 401) * np.pi / f.wave
    spec = (t[1] - t[0]) * np.exp(-1j * f.wave * np.outer(nu, t)) @ np.exp(-(t**2) / (2 * 8**2))
    return ((nu[1] - nu[0]) * spec.sum()).real, 1.0


# One factor per convention: the printed right-hand side (or the part named) times the factor is the left-hand side;
# then the two sides by numbers.
_OVERLAP = (1, 1 / (2 * PI), 1 / N, 1, 1)
_PRODUCT = (1, 1 / (2 * PI), 1 / N, 1 / sp.sqrt(N), 1)
CELLS: dict[tuple[str, str], tuple[tuple, Callable]] = {
    ("2", "sum over all frequencies"): (_OVERLAP, _overlap),
    ("11", "Lemma 3: overlap"): (_OVERLAP, _overlap),
    ("12", "convolution y * b"): (_PRODUCT, _product),
    ("16", "Lemma 4: value at 0"): ((1, 1, 1, sp.sqrt(N), 1), _value),
    ("20", "integral over frequencies"): (_OVERLAP, _overlap),
    ("21", "sum over all frequencies"): (_OVERLAP, _overlap),
    ("22", "component, so that 21 holds"): (_OVERLAP, _overlap),
    ("24", "overlap"): (_OVERLAP, _overlap),
    ("24", "areas"): ((1, 1, 1, sp.sqrt(N), 1), _value),
    ("25", "overlap against areas"): ((1, 1 / (2 * PI), 1 / N, 1 / sp.sqrt(N), 1), _iou),
    ("36", "Gaussian of width sigma"): (
        tuple(SIGMA * sp.sqrt(2 * PI) * f for f in (1, 1, 1, 1 / sp.sqrt(N), 1 / N)),
        _gaussian,
    ),
    ("43", "kernel: z = k x"): ((1, 1, 1, sp.sqrt(N), N), _kernel),
    ("46", "constant: 2 pi log 2 at 0"): (
        (1 / (2 * PI), 1, N / (2 * PI), sp.sqrt(N) / (2 * PI), 1 / (2 * PI)),
        lambda f, seed: (_delta(f, seed)[0], 2 * np.pi),
    ),
    ("46", "convolution z * z / 8"): (_PRODUCT, _product),
    ("47", "z(nu_i - nu_j)/4"): (_PRODUCT, _product),
    ("48", "z(nu_i - nu_j)/4"): (_PRODUCT, _product),
    ("48", "kernel k(nu_j)"): ((1, 1, 1, sp.sqrt(N), N), _kernel),
    ("52", "s(nu_i - nu_j)"): (_PRODUCT, _product),
    ("53", "delta of the constant 1"): ((1, 2 * PI, N, sp.sqrt(N), 1), _delta),
}


def checks(*, n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Return one row per cell of `table`: the residual |left - factor right|/|left|, and that without the factor.

    `n` is the number of samples of the discrete conventions, odd or even, at least 24: the Gaussian of Eq. 36 must fit
    both the frame and the sampling.

    >>> bool((checks(n=25)["residual"] < 1e-10).all())
    True
    """
    rows = []
    for k, ((eq, part), (factors, sides)) in enumerate(CELLS.items()):
        for name, factor in zip(NAMES, factors, strict=True):
            left, right, *sigma = sides(Transform(name, n), seed + 7 * k)
            number = float(sp.sympify(factor).subs({N: n, SIGMA: sigma[0] if sigma else 1.0}))
            size = np.max(np.abs(left))
            rows.append({
                "equation": eq, "part": part, "convention": name, "factor": str(sp.sympify(factor)),
                "residual": float(np.max(np.abs(left - number * right)) / size),
                "without": float(np.max(np.abs(left - right)) / size),
            })  # fmt: skip
    return pd.DataFrame(rows)


def render() -> str:
    """Return the conventions page of the book: the factor that each printed right-hand side needs, by convention."""
    named = {"unnormalised": "DFT, unnormalised", "orthonormal": "DFT, orthonormal", "forward": "DFT, 1/N forward"}
    head = "| Eq. | Part | " + " | ".join(named.get(n, f"{n} frequency") for n in NAMES) + " | Note |"
    rows = [head, "|---" * (len(NAMES) + 3) + "|"]
    for (eq, part), (factors, _) in CELLS.items():
        cells = " | ".join(f"${sp.latex(sp.sympify(f))}$" for f in factors)
        rows.append(f"| {{ref}}`{eq} <eq-{eq}>` | {part} | {cells} | {NOTES.get(eq, '')} |")
    return (
        "# Conventions\n\nWhich Fourier convention makes which equation true: the printed right-hand side times the "
        "factor is the left-hand side. This book and its library use the last column, 1/N forward: no factor but in "
        "Eqs 36 and 46, and none for the kernel once its transform alone is left unnormalised. Every cell is derived "
        "symbolically and checked by numbers in {doc}`chapters/30_cross_entropy` and by the tests.\n\n"
        + "\n".join(rows)
        + "\n"
    )
