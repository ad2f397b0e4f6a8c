"""Is R_ce the better predictor of the drop? Rules with and without a network, each domain held out; ranks; regret.

All statistics take `predictor_cells.Cells` and judge the truncated cells; the whole grid, whose drop is 0 by
definition, is left out of fits. Intervals (95 %) resample setups (domain x model x pruning) or domains, and in each the
pictures and seeds. With few setups such intervals are too narrow themselves; none can show what other domains would do.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2 and 3.3, Fig. 5, Fig. 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specseg.evidence.fits import line, ols_intervals, spearman
from specseg.evidence.statistics import estimate, mean_anew
from specseg.study.cost import choices
from specseg.study.predictor_cells import Cells
from specseg.study.rules import CEILINGS, NAMES, OWN, PRINTED, RULES, Rule, Values, held_out, missed, rule
from specseg.study.third_party import PAPER_GRID, Outside


@dataclass(frozen=True)
class Errors:
    """Mean absolute error of each rule on each held-out domain: `drawn` rule -> (1 + draws, domains)."""

    domains: list[str]
    drawn: dict[str, np.ndarray]

    @property
    def table(self) -> pd.DataFrame:
        """The errors as measured, rules x domains."""
        return pd.DataFrame([x[0] for x in self.drawn.values()], index=list(self.drawn), columns=self.domains)

    def best(self, rules: Sequence[Rule]) -> str:
        """Return the name of the rule of smallest mean error over domains, which all weigh the same, in hindsight."""
        return str(self.table.mean(axis=1)[[r.name for r in rules if r.name in self.drawn]].idxmin())


def errors(cells: Cells, rules: Sequence[Rule] = RULES, below: float = np.inf) -> Errors:
    """Return the errors of rules with each domain held out, on the truncated cells (with R_ce < `below` if given).

    Rules that cannot be formed for every cell (a variant of R_ce that was not measured) are left out.
    Raises ValueError with fewer than two domains.
    """
    values, domains = cells.values(drawn=True), list(dict.fromkeys(cells.table["domain"]))
    if len(domains) < 2:
        raise ValueError(f"errors: {len(domains)} domain(s): expected at least two, one to be held out")
    judged = ~cells.table["full"].to_numpy(bool) & ((below == np.inf) | (cells.table["rce"].to_numpy(float) < below))
    parts = [judged & (values["domain"] == d) for d in domains]
    drawn = {}
    for one in rules:
        off = np.atleast_2d(missed(values, one))
        drawn[one.name] = np.stack([off[:, p].mean(-1) if p.any() else np.nan + off[:, 0] for p in parts], -1)
    return Errors(domains, {name: x for name, x in drawn.items() if np.isfinite(x[0]).all()})


ON_OTHERS = (OWN, *map(rule, ("R_ce, the printed line", "R_ce, mirrored, line", "LRG size, mean elsewhere", "no drop")))


def on_others(cells: Cells, others: Sequence[Outside]) -> pd.DataFrame:
    """Return the mean absolute error of rules fitted to these cells on networks that others trained, one row each.

    Columns dataset, network, then rule -> error of the drop by truncated features, at the sizes up to
    the paper's grid whose share of it the cells have; R_ce of the paper's frame at half of the size.
    """
    cut = cells.cut().values()
    shares = np.unique(cut["share"].astype(float).round(9))
    rows = []
    for net in others:
        sizes, drops = net.cuts()
        at = (sizes - 1) / (PAPER_GRID - 1)
        keep = (sizes < net.grid) & np.isin(at.round(9), shares) & np.isin((sizes - 1) // 2, net.limits)
        limits = [net.limits.index(n) for n in (sizes[keep] - 1) // 2]
        test = {"drop": drops[keep], "share": at[keep], "rce": net.rates()[0][limits],
                "rce_mirrored": net.rates("mirrored")[0][limits]}  # fmt: skip
        off = {r.name: float(np.abs(r.predict(cut, test) - test["drop"]).mean()) for r in ON_OTHERS}
        rows.append({"dataset": net.dataset, "network": net.title, **off})
    return pd.DataFrame(rows)


def resample(cells: Cells, statistic: Callable[[Values], np.ndarray], columns: Sequence[str]) -> dict[str, float]:
    """Return statistic(columns of the truncated cells) with its interval: setups drawn anew, and pictures in each."""
    cells = cells.cut()
    code, names = pd.factorize(cells.table["setup"])
    rows, values = [np.flatnonzero(code == k) for k in range(len(names))], cells.values(drawn=True)
    picks = np.random.default_rng(0).integers(0, len(names), (len(cells.drawn["drop"]) - 1, len(names)))
    takes = [np.concatenate([rows[j] for j in pick]) for pick in picks]
    lengths, found = np.array([len(t) for t in takes]), np.zeros(len(takes))
    for n in np.unique(lengths):  # draws with as many cells: one call
        at = np.flatnonzero(lengths == n)
        take = np.stack([takes[k] for k in at])
        found[at] = statistic({c: values[c][at[:, None] + 1, take] if c in cells.drawn else values[c][take]
                               for c in columns})  # fmt: skip
    return estimate(statistic({c: cells.table[c].to_numpy() for c in columns}), found)


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
    for column in (c for c in columns if not cells.table[c].isna().any()):
        for name, statistic in (("all cells", ranked), ("between setups", between)):
            found = resample(cells, lambda v, c=column, f=statistic: f(v, c), ("share", "drop", column))
            rows.append({"predictor": NAMES[column], "column": column, "statistic": name, **found})
    table = pd.DataFrame(rows)
    return table[np.isfinite(table["value"])].reset_index(drop=True)


def pooled_line(cells: Cells) -> dict[str, float]:
    """Return the line drop = intercept + value R_ce below the paper's threshold, with low and high of its slope.

    The hull of two intervals: setups and pictures resampled; cluster-robust by setup (t, setups - 1 degrees).
    """
    cells = cells.cut(PRINTED["threshold"])
    x, y = (cells.table[c].to_numpy(float) for c in ("rce", "drop"))
    own, fit = resample(cells, slope, ("rce", "drop")), line(x, y)
    low, high = ols_intervals(x, y, pd.factorize(cells.table["setup"])[0])["slope"]
    return {"value": fit.slope, "low": min(own["low"], low), "high": max(own["high"], high), "intercept": fit.intercept}


def slope(values: Values) -> np.ndarray:
    """Return the slope of the line of the drop in R_ce over the last axis; NaN with fewer than three points."""
    return line(values["rce"], values["drop"], keep=True).slope


def regrets(cells: Cells, rules: Sequence[Rule] = RULES) -> pd.DataFrame:
    """Return rule, hits, setups, value (mean regret in FPI, domain held out) with its interval over setups."""
    rows, values = [], cells.values(drawn=True)
    for one in rules:
        predicted = held_out(values, one)
        if np.isfinite(predicted[0]).all():
            found = choices(values, predicted)
            regret = found["regret"]
            rows.append({"rule": one.name, "needs": one.needs, "setups": len(found["setup"]),
                         "hits": int((found["chosen"][0] == found["best"][0]).sum()),
                         **estimate(regret[0].mean(), mean_anew(regret[1:], axis=1))})  # fmt: skip
    return pd.DataFrame(rows)


def class_ranks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rank correlation of each column of `predictor_cells.classes` with the class's drop, within setups.

    Columns setup, column, value, n (classes); setups with fewer than four classes say nothing and are left out.
    """
    out = [{"setup": name, "column": c, "value": spearman(part[c], part["drop"]), "n": len(part)}
           for name, part in rows.groupby("setup", sort=False) if len(part) > 3
           for c in ("rce", *CEILINGS, "area")]  # fmt: skip
    return pd.DataFrame(out)
