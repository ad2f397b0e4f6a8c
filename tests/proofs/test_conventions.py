"""Every cell of the conventions table, by numbers; and no cell is there by mistake."""

import numpy as np
import pandas as pd
import pytest
import sympy as sp

from specseg.proofs import conventions


class Transform:
    """One convention on numbers: samples at `t`, frequencies `nu`, the weights of both integrals, forward transform.

    The discrete ones have n samples, the continuous ones a grid so fine that sums are integrals.
    """

    def __init__(self, name: str, n: int = 24) -> None:
        self.continuous = name in conventions.NAMES[:2]
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


SIDES = {
    "2": _overlap, "11": _overlap, "12": _product, "16": _value, "20": _overlap, "21": _overlap, "22": _overlap,
    ("24", "overlap"): _overlap, ("24", "areas"): _value, "25": _iou, "36": _gaussian, "43": _kernel,
    ("46", "constant: 2 pi log 2 at 0"): lambda f, seed: (_delta(f, seed)[0], 2 * np.pi), "46": _product,
    "47": _product, ("48", "kernel k(nu_j)"): _kernel, "48": _product, "52": _product, "53": _delta,
}  # fmt: skip


def checks(n: int, seed: int) -> pd.DataFrame:
    """Return one row per cell of the table: the residual |left - factor right|/|left|, and that without the factor.

    `n` is the number of samples of the discrete conventions, odd or even, at least 24: the Gaussian of Eq. 36 must fit
    both the frame and the sampling.
    """
    rows = []
    for k, ((eq, part), factors) in enumerate(conventions.FACTORS.items()):
        sides = SIDES.get((eq, part)) or SIDES[eq]
        for name, factor in zip(conventions.NAMES, factors, strict=True):
            left, right, *sigma = sides(Transform(name, n), seed + 7 * k)
            number = float(sp.sympify(factor).subs({conventions.N: n, conventions.SIGMA: sigma[0] if sigma else 1.0}))
            size = np.max(np.abs(left))
            rows.append({
                "equation": eq, "part": part, "convention": name, "factor": str(sp.sympify(factor)),
                "residual": float(np.max(np.abs(left - number * right)) / size),
                "without": float(np.max(np.abs(left - right)) / size),
            })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def cells():
    return {n: checks(n, n) for n in (24, 25)}


@pytest.mark.parametrize("n", [24, 25])
def test_every_factor_is_right(cells, n):
    assert len(cells[n]) == len(conventions.FACTORS) * len(conventions.NAMES)
    assert (cells[n]["residual"] < 1e-9).all(), cells[n].nlargest(3, "residual")


@pytest.mark.parametrize("n", [24, 25])
def test_leaving_a_factor_out_is_seen(cells, n):
    needed = cells[n][cells[n]["factor"] != "1"]
    assert (needed["without"] > 1e-2).all()
    assert len(needed) > 30


def test_table_covers_the_equations_and_has_one_home_convention():
    table = conventions.table()
    assert set(table["equation"]) >= {"2", "11", "16", "20", "21", "22", "24", "25", "36", "46", "47", "48", "52", "53"}
    ours = table[~table["equation"].isin(["36", "43"]) & (table["part"] != "kernel k(nu_j)")]
    ours = ours[ours["part"] != "constant: 2 pi log 2 at 0"]
    assert (ours["forward"] == "1").all()  # with the kernel's own transform unnormalised, and Eqs 36 and 46 apart
    rows = table[table["equation"] == "46"][list(conventions.NAMES)]
    assert not (rows == "1").all(axis=0).any()
    assert all(sp.sympify(f).is_positive for factors in conventions.FACTORS.values() for f in factors)
