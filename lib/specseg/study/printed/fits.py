"""The line of Fig. 5b: relative mIoU-drop against R_ce, with several selections and with honest intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence.fits import Line, line, ols_intervals, wild_interval
from specseg.study.printed.tables import CURVE, FULL_GRID, HALF_MIOU, HALF_RCE
from specseg.study.rules import MODELS, PRINTED


def select(cells: pd.DataFrame, threshold: float = PRINTED["threshold"], full_grid: bool = True) -> pd.DataFrame:
    """Return the cells with R_ce below the threshold, with or without LRG 129, whose drop is 0 by definition."""
    keep = cells.rce < threshold
    return cells[keep if full_grid else keep & (cells.lrg_size != FULL_GRID)]


def fit(points: pd.DataFrame) -> Line:
    """Return the line of the printed drop against R_ce."""
    return line(points.rce, points.miou_drop)


def stated(cells: pd.DataFrame, threshold: float = PRINTED["threshold"]) -> Line:
    """Return the line of the paper's rule: all networks with R_ce below the threshold, LRG 129 included."""
    return fit(select(cells, threshold))


def _lines(choices: Mapping, names: str | list[str]) -> pd.DataFrame:
    """Return a row for each choice of points: its key in columns, and slope, intercept, r2, n of its line."""
    table = pd.DataFrame.from_dict({key: fit(points)._asdict() for key, points in choices.items()}, orient="index")
    return table.rename_axis(names).reset_index()


def selections(cells: pd.DataFrame) -> pd.DataFrame:
    """Fit the line to parts of the points below the threshold: one pruning rate, one model, without one data set."""
    s = select(cells)
    choices = {"all points, LRG 129 included": s, "without LRG 129": select(cells, full_grid=False)}
    choices |= {f"{rate:.0%} pruned": part for rate, part in s.groupby("prune_rate")}
    choices |= {f"{MODELS[model]} only": part for model, part in s.groupby("model")}
    choices |= {f"without {domain(name).title}": s[s.dataset != name] for name in s.dataset.unique()}
    return _lines(choices | {"unpruned, R_ce 0 at LRG 129, one left out": unstated(cells)}, "selection")


def unstated(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the points that give the printed line of Fig. 5b: one selection of `every_selection`, found there.

    The unpruned networks with R_ce < 0.19, R_ce set to 0 at LRG 129 (the grid that a drop is relative to), and
    `miou_drop` made from the printed mIoUs. Below 0.2 that leaves out one network: DAN on PASCAL at LRG 17.
    """
    points = cells.assign(rce=cells.rce.mask(cells.lrg_size == FULL_GRID, 0.0), miou_drop=cells.from_miou)
    return points[(points.prune_rate == 0) & (points.rce < 0.19)]


def every_selection(cells: pd.DataFrame) -> pd.DataFrame:
    """Fit the line to each choice of pruning rates, models, data sets, threshold, LRG 129 and source of the drop.

    LRG 129 enters with its printed R_ce ("printed"), with 0 ("zero") or not at all ("left out"); the drop is the
    printed one or that of the printed mIoUs. Columns prune_rate, model, dataset (what was taken), threshold, full_grid,
    drop, slope, intercept, r2, n, reproduces (the printed slope, intercept and R^2 to their digits, rounding of the
    tables allowed for). It answers whether any simple selection gives the line of Fig. 5b.
    """
    full, r = (cells.lrg_size == FULL_GRID).to_numpy(), cells.rce.to_numpy()
    grids = {"printed": (r, True), "zero": (np.where(full, 0.0, r), True), "left out": (r, ~full)}
    axes = [
        [(c, cells[k].isin(c).to_numpy()) for n in range(1, cells[k].nunique() + 1)
         for c in itertools.combinations(sorted(cells[k].unique()), n)]
        for k in ("prune_rate", "model", "dataset")
    ]  # fmt: skip
    chosen, x, kept = [], [], []
    for *picked, (how, (rce, there)), threshold in itertools.product(
        *axes, grids.items(), (0.05, 0.1, 0.16, 0.18, 0.19, 0.2, 0.35, 0.6)
    ):
        keep = np.all([mask for _, mask in picked], axis=0) & there & (rce < threshold)
        if keep.sum() >= 6 and np.ptp(rce[keep]) > 0:
            chosen.append((*(c for c, _ in picked), threshold, how))
            x.append(rce)
            kept.append(keep)
    about = pd.DataFrame(chosen, columns=["prune_rate", "model", "dataset", "threshold", "full_grid"])
    drops = {"printed": cells.miou_drop.to_numpy(), "from mIoU": cells.from_miou.to_numpy()}
    out = pd.concat([about.assign(drop=d, **line(np.stack(x), y, np.stack(kept))._asdict()) for d, y in drops.items()])
    near = {"slope": 0.003, "intercept": 0.0003, "r2": 0.007}
    hits = np.all([(out[k] - PRINTED[k]).abs() < allowed for k, allowed in near.items()], axis=0)
    return out.assign(reproduces=hits).sort_index(kind="stable").reset_index(drop=True)


def thresholds(cells: pd.DataFrame, grid) -> pd.DataFrame:
    """Fit the line for each threshold on R_ce, with and without LRG 129."""
    choices = {(t, full): select(cells, t, full) for t in grid for full in (True, False)}
    return _lines(choices, ["threshold", "full_grid"])


def per_curve(cells: pd.DataFrame) -> pd.DataFrame:
    """Fit one line per model and data set (the six curves that carry an R_ce of their own)."""
    return _lines(dict(list(select(cells).groupby(CURVE))), CURVE)


def rounding_spread(cells: pd.DataFrame, draws: int = 200) -> pd.DataFrame:
    """Fit the stated rule's line to tables whose last digits are drawn anew within their rounding, `draws` times.

    R_ce is drawn once per model, data set and band limit (it is one printed cell), the drop once per network; a drop
    or an R_ce that is 0 by definition stays. Columns slope, intercept, r2.
    """
    s = select(cells)
    cell = s.groupby([*CURVE, "lrg_size"]).ngroup().to_numpy()
    rce, drop, count = s.rce.to_numpy(), s.miou_drop.to_numpy(), cell.max() + 1
    u = np.random.default_rng(0).uniform(-1, 1, (draws, count + len(s)))
    x = rce + (rce > 0) * HALF_RCE * u[:, cell]
    y = drop + (s.lrg_size != FULL_GRID).to_numpy() * HALF_MIOU * u[:, count:]
    return pd.DataFrame(line(x, y)._asdict())[["slope", "intercept", "r2"]]


def clustered(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the slope's interval by three methods: points as independent, and six curves as clusters by two of them.

    Ordinary least squares; cluster-robust (model x data set, t with 5 degrees of freedom); wild cluster bootstrap over
    all 64 sign patterns (inverted test). Columns method, slope, low, high.
    """
    s = select(cells)
    x, y, group = s.rce.to_numpy(), s.miou_drop.to_numpy(), s.groupby(CURVE).ngroup().to_numpy()
    found = {"points as independent": ols_intervals(x, y)["slope"],
             "cluster-robust, 6 curves": ols_intervals(x, y, group)["slope"],
             "wild cluster bootstrap, 64 patterns": wild_interval(x, y, group)}  # fmt: skip
    return pd.DataFrame([(name, fit(s).slope, *ends) for name, ends in found.items()],
                        columns=["method", "slope", "low", "high"])  # fmt: skip
