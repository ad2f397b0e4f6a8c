"""Lines, their intervals where points come in clusters, and rank correlation, for printed and measured numbers alike.

The last axis holds the points, all others are draws, of which each has points of its own (`keep`): many small fits at
once. The wild bootstrap is our own because statsmodels has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVEL = 0.95


class Line(NamedTuple):
    """Least-squares lines y = intercept + slope x, with R^2 against the mean and the number of points n.

    Each is a number, or an array (...,) over draws.
    """

    slope: float | np.ndarray
    intercept: float | np.ndarray
    r2: float | np.ndarray
    n: int | np.ndarray

    def at(self, x) -> np.ndarray:
        """Return the lines' values at x (..., points)."""
        return np.asarray(self.intercept)[..., None] + np.asarray(self.slope)[..., None] * np.asarray(x, float)


def line(x, y, keep=None) -> Line:
    """Fit y = intercept + slope x by least squares over the last axis, of the points to `keep`.

    R^2 is against the mean (1 where all y are equal). A line needs three points with two different x: with `keep` those
    that lack them are NaN; without, ValueError is raised.

    >>> line([0, 1, 2], [1.0, 3.0, 5.0])
    Line(slope=2.0, intercept=1.0, r2=1.0, n=3)
    >>> line([0, 1, 2, 9], [1.0, 3.0, 5.0, 0.0], keep=[True, True, True, False]).slope
    2.0
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    there = np.broadcast_to(True if keep is None else np.asarray(keep, bool), x.shape)
    x, y = np.where(there, x, 0.0), np.where(there, y, 0.0)
    n = there.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = x.sum(-1) / n, y.sum(-1) / n
        dx, dy = (np.where(there, v - m[..., None], 0.0) for v, m in ((x, mean_x), (y, mean_y)))
        known = (n >= 3) & ((dx * dx).sum(-1) > 1e-24)
        if keep is None and not known.all():
            _refuse(x, n)
        slope = np.where(known, (dx * dy).sum(-1) / (dx * dx).sum(-1), np.nan)
        intercept = mean_y - slope * mean_x
        residual = np.where(there, y - intercept[..., None] - slope[..., None] * x, 0.0)
        spread = (dy * dy).sum(-1)
        r2 = np.where(spread > 0, 1 - (residual * residual).sum(-1) / spread, np.where(known, 1.0, np.nan))
    return Line(slope, intercept, r2, n) if n.ndim else Line(float(slope), float(intercept), float(r2), int(n))


def _refuse(x: np.ndarray, n: np.ndarray) -> None:
    if (n < 3).any():
        raise ValueError(f"a line needs at least three points; {int(n.min())} given")
    raise ValueError(f"a line needs two different values of x; all {x.shape[-1]} are {x.flat[0]:g}")


def ols_intervals(x, y, group=None, level: float = LEVEL) -> dict[str, tuple[float, float]]:
    """Return the intervals (low, high) of a line's `intercept` and `slope`: points independent, or in clusters.

    With `group` (one entry a point) the sandwich estimate of statsmodels, t with clusters - 1 degrees of freedom.
    """
    from statsmodels.regression.linear_model import OLS

    robust = {} if group is None else {"cov_type": "cluster", "cov_kwds": {"groups": group}, "use_t": True}
    design = np.column_stack([np.ones(len(x)), np.asarray(x, float)])
    rows = OLS(np.asarray(y, float), design).fit(**robust).conf_int(alpha=1 - level)
    return {name: (float(low), float(high)) for name, (low, high) in zip(("intercept", "slope"), rows, strict=True)}


def wild_interval(x, y, group, level: float = LEVEL) -> tuple[float, float]:
    """Return the slope's interval by the wild cluster bootstrap with all sign patterns (Cameron, Gelbach, Miller 2008).

    A slope is inside when the t statistic of y - slope x, with null imposed, is not in the outer (1 - level) of its
    2^clusters sign flips. With six clusters the smallest two-sided p is 2/64.
    """
    x, y, group = np.asarray(x, float), np.asarray(y, float), np.asarray(group)
    names = np.unique(group)
    member = (group[:, None] == names[None]).astype(float)
    flips = np.array(list(itertools.product((-1.0, 1.0), repeat=len(names))))
    dx = x - x.mean()
    norm = dx @ dx

    def statistic(values: np.ndarray) -> np.ndarray:
        slope = dx @ values / norm
        residual = values - values.mean(0) - np.outer(dx, slope)
        meat = ((member.T @ (dx[:, None] * residual)) ** 2).sum(0)
        return slope / np.sqrt(meat) * norm

    def inside(slope: float) -> bool:
        null = y - slope * x
        u = null - null.mean()
        shaken = (member @ (flips.T)) * u[:, None]
        return bool(np.mean(np.abs(statistic(shaken)) >= np.abs(statistic(null[:, None]))[0] - 1e-9) > 1 - level)

    centre = float(dx @ y / norm)
    return _edge(inside, centre, -1.0), _edge(inside, centre, 1.0)


def _edge(inside: Callable[[float], bool], centre: float, direction: float, step: float = 0.05) -> float:
    """Return where `inside` ends in one direction: the first step outside, then twelve bisections."""
    far = centre
    for _ in range(200):
        far += direction * step
        if not inside(far):
            break
    near = far - direction * step
    for _ in range(12):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return float((near + far) / 2)


def spearman(x, y) -> np.ndarray:
    """Return Spearman's rank correlation over the last axis, (...,); 0 where x or y is constant.

    >>> round(float(spearman([1, 2, 3], [0.1, 0.3, 0.2])), 6)
    0.5
    """
    from scipy import stats

    x, y = (stats.rankdata(np.asarray(v, float), axis=-1) for v in (x, y))
    x, y = (v - v.mean(-1, keepdims=True) for v in np.broadcast_arrays(x, y))
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(scale > 0, (x * y).sum(-1) / np.where(scale > 0, scale, 1.0), 0.0)
