"""The line of Fig. 5b: relative mIoU-drop against R_ce, with several selections and with honest intervals."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specseg.study.printed.tables import CURVE, FULL_GRID, HALF_MIOU, HALF_RCE

PRINTED = {"slope": 0.6725, "intercept": 0.0022, "r2": 0.91, "threshold": 0.2}


@dataclass(frozen=True)
class Line:
    """A least-squares line: drop = intercept + slope R_ce, over n points."""

    slope: float
    intercept: float
    r2: float
    n: int


def line(rce, drop, *, through_zero: bool = False) -> Line:
    """Fit drop = intercept + slope R_ce by least squares (Fig. 5b).

    R^2 is against the mean, also for a line through zero (1 where all drops are equal and met).
    Raises ValueError with fewer than three points or a single R_ce.

    >>> line([0, 1, 2], [1.0, 3.0, 5.0])
    Line(slope=2.0, intercept=1.0, r2=1.0, n=3)
    """
    x, y = np.asarray(rce, float), np.asarray(drop, float)
    if len(x) < 3:
        raise ValueError(f"a line needs at least three points; {len(x)} given")
    if np.ptp(x) == 0:
        raise ValueError(f"a line needs two different values of R_ce; all {len(x)} are {x[0]:g}")
    if through_zero:
        slope, intercept = float(x @ y / (x @ x)), 0.0
    else:
        dx = x - x.mean()
        slope = float(dx @ y / (dx @ dx))
        intercept = float(y.mean() - slope * x.mean())
    residual = y - intercept - slope * x
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float(residual @ residual) / spread if spread > 0 else 1.0
    return Line(slope, intercept, r2, len(x))


def select(cells: pd.DataFrame, threshold: float = PRINTED["threshold"], full_grid: bool = True) -> pd.DataFrame:
    """Return the cells with R_ce below the threshold, with or without LRG 129, whose drop is 0 by definition."""
    keep = cells.rce < threshold
    return cells[keep if full_grid else keep & (cells.lrg_size != FULL_GRID)]


def selections(cells: pd.DataFrame, blocks: pd.DataFrame, threshold: float = PRINTED["threshold"]) -> pd.DataFrame:
    """Fit the line to each plausible selection of the paper's points below the threshold."""
    s = select(cells, threshold)
    block = blocks[(blocks.nu_max < 256) & (blocks.rce < threshold)]
    half = s.nu_max <= 32
    choices = {
        "all points, LRG 129 included": s,
        "without LRG 129": select(cells, threshold, full_grid=False),
        "unpruned networks only": s[s.prune_rate == 0],
        "20 % pruned": s[s.prune_rate == 0.2],
        "40 % pruned": s[s.prune_rate == 0.4],
        "60 % pruned": s[s.prune_rate == 0.6],
        "DeepLab v3+ only": s[s.model == "deeplabv3plus"],
        "DAN only": s[s.model == "dan"],
        "without PASCAL": s[s.dataset != "pascal"],
        "without DeepGlobe": s[s.dataset != "deepglobe"],
        "without Cityscapes": s[s.dataset != "cityscapes"],
        "only nu_max 32 and below": s[half],
        "block-wise annotation (Table 3)": block,
        "both applications": pd.concat([s, block]),
        "unpruned, R_ce 0 at LRG 129, one left out": unstated(cells),
        "mean over pruning rates": s.groupby([*CURVE, "lrg_size"], as_index=False)[["rce", "miou_drop"]].mean(),
    }
    rows = [{"selection": name, **vars(line(f.rce, f.miou_drop))} for name, f in choices.items()]
    zero = line(s.rce, s.miou_drop, through_zero=True)
    return pd.DataFrame([*rows, {"selection": "all points, line through zero", **vars(zero)}])


def unstated(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the points that give the printed line of Fig. 5b: one selection of `every_selection`, found there.

    The unpruned networks with R_ce < 0.19, R_ce set to 0 at LRG 129 (the grid that a drop is relative to), and
    `miou_drop` made from the printed mIoUs. Below 0.2 that leaves out one network: DAN on PASCAL at LRG 17.
    """
    full = cells.lrg_size == FULL_GRID
    points = cells.assign(rce=cells.rce.mask(full, 0.0), miou_drop=1 - cells.miou / cells.base)
    return points[(points.prune_rate == 0) & (points.rce < 0.19)]


def every_selection(cells: pd.DataFrame, grid=(0.05, 0.1, 0.16, 0.18, 0.19, 0.2, 0.35, 0.6)) -> pd.DataFrame:
    """Fit the line to each choice of pruning rates, models, data sets, threshold, LRG 129 and source of the drop.

    LRG 129 enters with its printed R_ce ("printed"), with 0 ("zero") or not at all ("left out"); the drop is the
    printed one or that of the printed mIoUs. Columns prune_rate, model, dataset (what was taken), threshold, full_grid,
    drop, slope, intercept, r2, n, reproduces (the printed slope, intercept and R^2 to their digits, rounding of the
    tables allowed for). It answers whether any simple selection gives the line of Fig. 5b.
    """
    full = (cells.lrg_size == FULL_GRID).to_numpy()
    x, everything = cells.rce.to_numpy(), np.ones(len(cells), dtype=bool)
    grids = {"printed": (x, everything), "zero": (np.where(full, 0.0, x), everything), "left out": (x, ~full)}
    drops = {"printed": cells.miou_drop.to_numpy(), "from mIoU": (1 - cells.miou / cells.base).to_numpy()}
    axes = [
        [(c, cells[k].isin(c).to_numpy()) for n in range(1, cells[k].nunique() + 1)
         for c in itertools.combinations(sorted(cells[k].unique()), n)]
        for k in ("prune_rate", "model", "dataset")
    ]  # fmt: skip
    rows = []
    for (rates, by_rate), (models, by_model), (sets, by_set) in itertools.product(*axes):
        for (how, (rce, there)), threshold in itertools.product(grids.items(), grid):
            keep = by_rate & by_model & by_set & there & (rce < threshold)
            if keep.sum() < 6 or np.ptp(rce[keep]) == 0:
                continue
            chosen = {"prune_rate": rates, "model": models, "dataset": sets, "threshold": threshold, "full_grid": how}
            rows += [chosen | {"drop": d} | vars(line(rce[keep], y[keep])) for d, y in drops.items()]
    out = pd.DataFrame(rows)
    out["reproduces"] = (
        ((out.slope - PRINTED["slope"]).abs() < 0.003)
        & ((out.intercept - PRINTED["intercept"]).abs() < 0.0003)
        & ((out.r2 - PRINTED["r2"]).abs() < 0.007)
    )
    return out


def thresholds(cells: pd.DataFrame, grid) -> pd.DataFrame:
    """Fit the line for each threshold on R_ce, with and without LRG 129."""
    rows = [
        {"threshold": t, "full_grid": full, **vars(line(f.rce, f.miou_drop))}
        for t in grid
        for full in (True, False)
        if len(f := select(cells, t, full)) >= 3 and f.rce.nunique() > 1
    ]
    return pd.DataFrame(rows)


def per_curve(cells: pd.DataFrame, threshold: float = PRINTED["threshold"]) -> pd.DataFrame:
    """Fit one line per model and data set (the six curves that carry an R_ce of their own)."""
    rows = [
        {**dict(zip(CURVE, key, strict=True)), **vars(line(g.rce, g.miou_drop))}
        for key, g in select(cells, threshold).groupby(CURVE)
    ]
    return pd.DataFrame(rows)


def rounding_spread(
    cells: pd.DataFrame, draws: int = 500, seed: int = 0, points: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Fit the line to tables whose last digits are drawn anew within their rounding, `draws` times.

    R_ce is drawn once per model, data set and band limit (it is one printed cell), the drop once per network; a drop
    or an R_ce that is 0 by definition stays. `points`: another selection than the stated rule's. Columns slope,
    intercept, r2.
    """
    s = select(cells) if points is None else points
    rng = np.random.default_rng(seed)
    cell = s.groupby([*CURVE, "lrg_size"]).ngroup().to_numpy()
    free = (s.lrg_size != FULL_GRID).to_numpy(float)
    out = []
    for _ in range(draws):
        x = s.rce.to_numpy() + (s.rce > 0) * rng.uniform(-HALF_RCE, HALF_RCE, cell.max() + 1)[cell]
        y = s.miou_drop.to_numpy() + free * rng.uniform(-HALF_MIOU, HALF_MIOU, len(s))
        out.append(vars(line(x, y)))
    return pd.DataFrame(out)[["slope", "intercept", "r2"]]


def with_constant(x: np.ndarray) -> np.ndarray:
    """Return the columns 1, x of a straight line's regression."""
    return np.column_stack([np.ones(len(x)), x])


def clustered(cells: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Return the slope's interval by five methods, from points taken as independent to six curves taken as clusters.

    Ordinary least squares; cluster-robust (model x data set, t with 5 degrees of freedom); wild cluster bootstrap over
    all 64 sign patterns (inverted test); mean of the six curves' own slopes; mixed effects with a random slope per
    curve. Columns method, slope, low, high.
    """
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.weightstats import DescrStatsW

    s = select(cells)
    group = s.groupby(CURVE).ngroup().to_numpy()
    y = s.miou_drop.to_numpy()
    ols = OLS(y, with_constant(s.rce.to_numpy()))
    fits = {
        "points as independent": ols.fit(),
        "cluster-robust, 6 curves": ols.fit(cov_type="cluster", cov_kwds={"groups": group}, use_t=True),
    }
    rows = []
    for name, fit in fits.items():
        low, high = fit.conf_int(alpha=1 - level)[1]
        rows.append({"method": name, "slope": fit.params[1], "low": low, "high": high})
    low, high = wild_interval(s.rce.to_numpy(), y, group, level)
    rows.append({"method": "wild cluster bootstrap, 64 patterns", "slope": rows[0]["slope"], "low": low, "high": high})
    own = per_curve(cells)["slope"]
    t = DescrStatsW(own).tconfint_mean(alpha=1 - level)
    rows.append({"method": "mean of the 6 curves' slopes", "slope": own.mean(), "low": t[0], "high": t[1]})
    rows.append({"method": "mixed effects, random slope", **mixed_slope(s.rce.to_numpy(), y, group, level)})
    return pd.DataFrame(rows)


def mixed_slope(rce, drop, group, level: float = 0.95) -> dict[str, float]:
    """Fit drop = a + (b + u_curve) R_ce + e with a random slope per curve (REML); return b with its interval."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    x = with_constant(np.asarray(rce, float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the few clusters trip a warning about the variance's boundary
        fit = MixedLM(np.asarray(drop, float), x, groups=group, exog_re=x[:, 1:]).fit(reml=True, method="powell")
    low, high = np.asarray(fit.conf_int(alpha=1 - level))[1]
    return {"slope": float(np.asarray(fit.fe_params)[1]), "low": float(low), "high": float(high)}


def wild_interval(x, y, group, level: float = 0.95) -> tuple[float, float]:
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

    def statistic(values):
        slope = dx @ values / norm
        residual = values - values.mean(0) - np.outer(dx, slope)
        meat = ((member.T @ (dx[:, None] * residual)) ** 2).sum(0)
        return slope / np.sqrt(meat) * norm

    def inside(slope):
        null = y - slope * x
        u = null - null.mean()
        shaken = (member @ (flips.T)) * u[:, None]
        return np.mean(np.abs(statistic(shaken)) >= np.abs(statistic(null[:, None]))[0] - 1e-9) > 1 - level

    centre = float(dx @ y / norm)
    return _edge(inside, centre, -1.0), _edge(inside, centre, 1.0)


def _edge(inside, centre: float, direction: float, step: float = 0.05, digits: int = 12) -> float:
    far = centre
    for _ in range(200):
        far += direction * step
        if not inside(far):
            break
    near = far - direction * step
    for _ in range(digits):
        middle = (near + far) / 2
        near, far = (middle, far) if inside(middle) else (near, middle)
    return float((near + far) / 2)


def robust_intervals(cells: pd.DataFrame, level: float = 0.95) -> dict[str, tuple[float, float]]:
    """Return the cluster-robust intervals (six curves, t with 5 degrees of freedom) of intercept and slope."""
    from statsmodels.regression.linear_model import OLS

    s = select(cells)
    group = s.groupby(CURVE).ngroup().to_numpy()
    ols = OLS(s.miou_drop.to_numpy(), with_constant(s.rce.to_numpy()))
    rows = ols.fit(cov_type="cluster", cov_kwds={"groups": group}, use_t=True).conf_int(alpha=1 - level)
    return {name: (float(low), float(high)) for name, (low, high) in zip(("intercept", "slope"), rows, strict=True)}
