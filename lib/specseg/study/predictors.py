"""Is R_ce the better predictor of the drop? Rules with and without a network, each domain held out; ranks; regret.

All statistics take `predictor_cells.Cells` and judge the truncated cells; the whole grid, whose drop is 0 by
definition, is left out of fits. Intervals (95 %) resample setups (domain x model x pruning) or domains, and in each the
pictures and seeds. With few setups such intervals are too narrow themselves; none can show what other domains would do.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2 and 3.3, Fig. 5, Fig. 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specseg.evidence.fits import line, ols_intervals, spearman, wild_interval
from specseg.evidence.statistics import estimate, mean_anew
from specseg.study.cost import choices
from specseg.study.predictor_cells import Cells
from specseg.study.rules import CEILINGS, NAMES, OWN, PRINTED, RULES, Rule, Values, held_out, rule
from specseg.study.third_party import PAPER_GRID, Outside


@dataclass(frozen=True)
class Errors:
    """Mean absolute error of each rule on each held-out domain: `table` (rules x domains), `drawn` (draws, R, D)."""

    table: pd.DataFrame
    drawn: np.ndarray

    def mean(self) -> pd.Series:
        """Return the mean over domains, which all weigh the same."""
        return self.table.mean(axis=1, skipna=False)

    def best(self, rules: Sequence[Rule]) -> str:
        """Return the name of the rule of smallest mean error, chosen in hindsight. Raises ValueError without one."""
        means = self.mean()[[r.name for r in rules if r.name in self.table.index]].dropna()
        if not len(means):
            raise ValueError("errors: none of the rules predicts every domain")
        return str(means.idxmin())

    def ratio(self, own: str, rival: str, seed: int = 0) -> dict[str, float]:
        """Return own mean error over the rival's, with the interval over domains (resampled) and pictures."""
        a, b = (list(self.table.index).index(n) for n in (own, rival))
        one, two = (mean_anew(self.drawn[:, k], axis=1, seed=seed) for k in (a, b))  # the same domains for both
        return estimate(self.mean().iloc[a] / self.mean().iloc[b], one / two)


def errors(cells: Cells, rules: Sequence[Rule] = RULES, below: float | None = None) -> Errors:
    """Return the errors of rules with each domain held out, on the truncated cells (with R_ce < `below` if given).

    Rules that cannot be formed for every cell (a variant of R_ce that was not measured) are left out.
    Raises ValueError with fewer than two domains.
    """
    domains = list(dict.fromkeys(cells.table["domain"]))
    if len(domains) < 2:
        raise ValueError(f"errors: {len(domains)} domain(s): expected at least two, one to be held out")
    judged = ~cells.table["full"].to_numpy(bool)
    if below is not None:
        judged &= cells.table["rce"].to_numpy(float) < below
    parts = [judged & (cells.table["domain"] == d).to_numpy() for d in domains]

    def measure(values: Values, one: Rule) -> np.ndarray:
        off = np.abs(held_out(values, one) - values["drop"].astype(float))
        return np.stack([off[..., p].mean(-1) if p.any() else np.nan + off[..., 0] for p in parts], -1)

    point = {r: measure(cells.values(), r) for r in rules}
    kept = [r for r, row in point.items() if np.isfinite(row).all()]
    values = cells.values(drawn=True)
    drawn = [measure(values, r) for r in kept]
    table = pd.DataFrame([point[r] for r in kept], index=[r.name for r in kept], columns=domains)
    return Errors(table, np.stack(drawn, 1) if kept else np.zeros((0, 0, len(domains))))


ON_OTHERS = (OWN, *map(rule, ("R_ce, the printed line", "R_ce, mirrored, line", "LRG size, mean elsewhere", "no drop")))


def on_others(cells: Cells, others: Sequence[Outside], compared: Sequence[Rule] = ON_OTHERS) -> pd.DataFrame:
    """Return the mean absolute error of rules fitted to these cells on networks that others trained, one row each.

    Columns dataset, network, sizes (how many), then rule -> error of the drop by truncated features, at the sizes up to
    the paper's grid whose share of it the cells have; R_ce of the paper's frame at half of the size.
    """
    cut = cells.where(~cells.table["full"].astype(bool)).values()
    shares = np.unique(cut["share"].astype(float).round(9))
    rows = []
    for net in others:
        sizes, drops = net.cuts()
        at = (sizes - 1) / (PAPER_GRID - 1)
        keep = (sizes < net.grid) & np.isin(at.round(9), shares) & np.isin((sizes - 1) // 2, net.limits)
        limits = (sizes[keep] - 1) // 2
        test = {"drop": drops[keep], "share": at[keep], "rce": np.array([net.rate(int(n))[0] for n in limits]),
                "rce_mirrored": np.array([net.rate(int(n), "mirrored")[0] for n in limits])}  # fmt: skip
        off = {r.name: float(np.abs(r.predict(cut, test) - test["drop"]).mean()) for r in compared}
        rows.append({"dataset": net.dataset, "network": net.title, "sizes": int(keep.sum()), **off})
    return pd.DataFrame(rows)


def resample(cells: Cells, statistic, columns: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Return statistic(columns of the truncated cells) with its interval: setups drawn anew, and pictures in each."""
    cells = cells.where(~cells.table["full"])
    code, names = pd.factorize(cells.table["setup"])
    rows = [np.flatnonzero(code == k) for k in range(len(names))]
    values, drawn = cells.values(), cells.values(drawn=True)
    picks = np.random.default_rng(seed).integers(0, len(names), (len(cells.drawn["drop"]), len(names)))
    takes = [np.concatenate([rows[j] for j in pick]) for pick in picks]

    def again(k: np.ndarray, take: np.ndarray) -> np.ndarray:
        return statistic({c: drawn[c][k[:, None], take] if c in cells.drawn else values[c][take] for c in columns})

    if len({len(r) for r in rows}) == 1:  # all draws have as many cells: one call
        found = again(np.arange(len(takes)), np.stack(takes))
    else:
        found = np.concatenate([again(np.array([k]), take[None]) for k, take in enumerate(takes)])
    return estimate(statistic({c: values[c] for c in columns}), found)


def ranked(values: Values, column: str = "rce") -> np.ndarray:
    """Return the rank correlation of a column with the drop over the last axis."""
    return spearman(values[column], values["drop"])


def between(values: Values, column: str = "rce") -> np.ndarray:
    """Return the rank correlation of a column with the drop between setups at one LRG size, mean over the sizes.

    What any falling function of the LRG size would rank right is left out. NaN with fewer than three setups.
    """
    share = np.asarray(values["share"], float)
    if share.ndim == 2 and (share != share[:1]).any():  # draws of setups with other sizes: one by one
        return np.array([between({c: v[k] for c, v in values.items()}, column) for k in range(len(share))])
    share = share[0] if share.ndim == 2 else share
    parts = [p for s in np.unique(share) if (p := share == s).sum() > 2]
    own = [spearman(values[column][..., p], values["drop"][..., p]) for p in parts]
    return np.mean(own, axis=0) if own else np.full(np.shape(values["drop"])[:-1], np.nan)


def ranks(cells: Cells, columns: Sequence[str]) -> pd.DataFrame:
    """Return predictor, statistic ("all cells", "between setups"), value, low, high for columns measured everywhere."""
    rows = []
    wide = Cells(cells.table.assign(lrg=-cells.table["share"].astype(float)), cells.drawn)
    for column in columns:
        if wide.table[column].isna().any():
            continue
        for name, statistic in (("all cells", ranked), ("between setups", between)):
            found = resample(wide, lambda v, c=column, f=statistic: f(v, c), ("share", "drop", column))
            if np.isfinite(found["value"]):
                rows.append({"predictor": NAMES[column], "column": column, "statistic": name, **found})
    return pd.DataFrame(rows)


def slopes(cells: Cells, column: str = "rce", threshold: float = PRINTED["threshold"]) -> pd.DataFrame:
    """Return method, slope, intercept, low, high of the line drop = a + b R_ce below the threshold (Fig. 5b).

    Methods: setups and pictures resampled; cluster-robust by setup (t, setups - 1 degrees of freedom); wild cluster
    bootstrap for up to twelve setups; the hull of the intervals, which is what a verdict takes.
    Raises ValueError with fewer than three cells below the threshold or fewer than two setups.
    """
    cells = cells.where(~cells.table["full"] & (cells.table[column] < threshold))
    groups = cells.table["setup"].nunique()
    if len(cells.table) < 3 or groups < 2:
        raise ValueError(f"slopes: {len(cells.table)} cells of {groups} setup(s): expected three of two at least")
    x, y = (cells.table[c].to_numpy(float) for c in (column, "drop"))

    fit = line(x, y, np.isfinite(x))

    def again(values: Values) -> np.ndarray:
        a, b = (np.asarray(values[c], float) for c in (column, "drop"))
        return line(a, b, np.isfinite(a)).slope

    own = resample(cells, again, (column, "drop"))
    rows = [{"method": "setups and pictures resampled", **own}]
    code = pd.factorize(cells.table["setup"])[0]
    found = {f"cluster-robust, {groups} setups": ols_intervals(x, y, code)["slope"]}
    if 5 <= groups <= 12:
        found["wild cluster bootstrap"] = wild_interval(x, y, code)
    rows += [{"method": name, "value": fit.slope, "low": low, "high": high} for name, (low, high) in found.items()]
    hull = {"low": min(r["low"] for r in rows), "high": max(r["high"] for r in rows)}
    rows.append({"method": "hull", "value": fit.slope, **hull})
    return pd.DataFrame(rows).assign(intercept=fit.intercept, n=len(x))


def regrets(cells: Cells, rules: Sequence[Rule] = RULES, seed: int = 0) -> pd.DataFrame:
    """Return rule, hits, setups, worst, value (mean regret in FPI, domain held out) with its interval over setups."""
    rows = []
    for one in rules:
        predicted = held_out(cells.values(), one)
        if np.isnan(predicted).any():
            continue
        point = choices(cells.values(), predicted)
        drawn = choices(values := cells.values(drawn=True), held_out(values, one))["regret"]
        rows.append({"rule": one.name, "needs": one.needs, "hits": int((point["chosen"] == point["best"]).sum()),
                     "setups": len(point["setup"]), "worst": point["regret"].max(),
                     **estimate(point["regret"].mean(), mean_anew(drawn, axis=1, seed=seed))})  # fmt: skip
    return pd.DataFrame(rows)


def streets(cells: Cells) -> pd.DataFrame:
    """Return street setups against others of one model and pruning at one share: both drop and R_ce larger?

    Columns model, share, other (domain), drop_larger, rce_larger, both.
    """
    table = cells.table[~cells.table["full"]]
    one = table[table["kind"] == "streets"]
    pairs = one.merge(table[table["kind"] != "streets"], on=["model", "pruned", "share"], suffixes=("", "_o"))
    out = pd.DataFrame({"model": pairs["model"], "share": pairs["share"], "other": pairs["domain_o"]})
    out["drop_larger"], out["rce_larger"] = (pairs[c] > pairs[f"{c}_o"] for c in ("drop", "rce"))
    return out.assign(both=out["drop_larger"] & out["rce_larger"])


def class_ranks(rows: pd.DataFrame, columns: Sequence[str] = ("rce", *CEILINGS, "area")) -> pd.DataFrame:
    """Return the rank correlation of each column of `predictor_cells.classes` with the class's drop, within setups.

    Columns setup, column, value, n (classes); setups with fewer than four classes say nothing and are left out.
    """
    out = []
    for name, part in rows.groupby("setup", sort=False):
        values = {c: part[c].to_numpy() for c in ("drop", *columns)}
        if len(part) > 3:
            out += [{"setup": name, "column": c, "value": ranked(values, c), "n": len(part)} for c in columns]
    return pd.DataFrame(out)
