"""Is R_ce the better predictor of the drop? Rules with and without a network, each domain held out; ranks; regret.

All statistics take `predictor_cells.Cells` and judge the truncated cells; the whole grid, whose drop is 0 by
definition, is left out of fits. Intervals (95 %) resample setups (domain x model x pruning) or domains, and in each the
pictures and seeds. With few setups such intervals are too narrow themselves; none can show what other domains would do.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2 and 3.3, Fig. 5, Fig. 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from specseg.study.predictor_cells import RATES, Cells
from specseg.study.printed.fits import PRINTED, wild_interval, with_constant
from specseg.study.trained import interval

Values = Mapping[str, np.ndarray]
NAMES = {
    "rce": "R_ce", "rce_images": "R_ce, mean over pictures", "rce_mirrored": "R_ce, mirrored",
    "rce_mirrored_images": "R_ce, mirrored, mean over pictures", "rce_calibrated": "R_ce, calibrated",
    "rce_mirrored_calibrated": "R_ce, mirrored, calibrated", "rce_filled": "R_ce, void filled",
    "rce_padded": "R_ce, padded frame", "rce_parent": "R_ce of the unpruned network",
    "rce_trained": "R_ce of the network trained on blocks", "lrg": "LRG size alone",
    "block_majority": "block ceiling, majority", "block_nearest": "block ceiling, nearest",
    "band_periodic": "band ceiling, periodic", "band_mirrored": "band ceiling, mirrored",
    "advice": "band ceiling over that of the whole grid", "perimeter": "perimeter law", "energy": "label energy beyond",
    "overlap": "overlap cut to the box (Eqs 27, 29 mended)", "eq32": "Eq. 32 as printed",
    "eq29_sign": "Eqs 29 to 31, sign mended",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A way to predict the drop from a column of the cells. `needs`: "R_ce", "labels", "LRG", "network" or "nothing".

    Forms: "itself"; "printed", the line of Fig. 5b; "line" and "power", fitted to the training cells by least squares
    (in logarithms for power; a line in R_ce to R_ce < 0.2, the paper's rule); "same", the training cells' mean drop at
    the same share of the grid; "zero".
    """

    name: str
    column: str
    form: str
    needs: str

    def predict(self, train: Values, test: Values) -> np.ndarray:
        """Return the predicted drop of the test cells; NaN where the training cells do not fix the rule.

        Columns are (cells,) or (draws, cells); a rule is fitted in each draw.
        """
        y = np.asarray(train["drop"], float)
        if self.form == "zero":
            return np.zeros(np.shape(test["drop"]))
        if self.form == "same":
            at = np.abs(np.subtract.outer(test["share"].astype(float), train["share"].astype(float))) < 1e-9
            hits = at.sum(1)
            return np.where(hits > 0, y @ at.T / np.maximum(hits, 1), np.nan)
        x = np.asarray(test[self.column], float)
        if self.form == "itself":
            return np.broadcast_to(x, np.shape(test["drop"]))
        if self.form == "printed":
            return PRINTED["intercept"] + PRINTED["slope"] * x
        known, y = np.broadcast_arrays(np.asarray(train[self.column], float), y)
        if self.form == "line":
            below = known < PRINTED["threshold"] if self.needs == "R_ce" else True
            slope, intercept = line(known, y, np.isfinite(known) & below)
            return intercept + slope * x
        keep = (known > 0) & (y > 0)
        slope, intercept = line(np.log(np.where(keep, known, 1.0)), np.log(np.where(keep, y, 1.0)), keep)
        return np.where(x > 0, np.exp(intercept + slope * np.log(np.where(x > 0, x, 1.0))), 0.0)


def line(x: np.ndarray, y: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return slope and intercept by least squares over the last axis, (..., 1) each, of the points to keep.

    NaN with fewer than three points or one x.

    >>> slope, intercept = line(np.array([0., 1., 2., 9.]), np.array([1., 3., 5., 0.]), np.array([1, 1, 1, 0]) > 0)
    >>> slope.tolist(), intercept.tolist()
    ([2.0], [1.0])
    """
    x, y = np.where(keep, x, 0.0), np.where(keep, y, 0.0)
    n = keep.sum(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        mx, my = x.sum(-1, keepdims=True) / n, y.sum(-1, keepdims=True) / n
        dx, dy = np.where(keep, x - mx, 0.0), np.where(keep, y - my, 0.0)
        spread = (dx * dx).sum(-1, keepdims=True)
        slope = np.where((n >= 3) & (spread > 1e-24), (dx * dy).sum(-1, keepdims=True) / spread, np.nan)
    return slope, my - slope * mx


OWN = Rule("R_ce, line fitted elsewhere", "rce", "line", "R_ce")
CEILINGS = ("block_majority", "block_nearest", "band_periodic", "band_mirrored")
RULES = (
    OWN,
    Rule("R_ce, the printed line", "rce", "printed", "R_ce"),
    Rule("R_ce itself", "rce", "itself", "R_ce"),
    Rule("R_ce, power law", "rce", "power", "R_ce"),
    *(Rule(f"{NAMES[c]}, line", c, "line", "R_ce") for c in (*RATES, "rce_parent") if c != "rce"),
    Rule("overlap cut to the box", "overlap", "itself", "network"),
    Rule("overlap cut to the box, line", "overlap", "line", "network"),
    Rule("Eq. 32 as printed", "eq32", "itself", "network"),
    Rule("Eqs 29 to 31, sign mended", "eq29_sign", "itself", "network"),
    Rule("LRG size, power law", "share", "power", "LRG"),
    Rule("LRG size, mean elsewhere", "share", "same", "LRG"),
    *(Rule(NAMES[c], c, "itself", "labels") for c in (*CEILINGS, "advice")),
    *(Rule(f"{NAMES[c]}, line", c, "line", "labels") for c in (*CEILINGS, "advice", "perimeter", "energy")),
    Rule("no drop", "share", "zero", "nothing"),
)
RIVALS = tuple(r for r in RULES if r.needs in ("LRG", "labels"))
PERIMETER = next(r for r in RULES if r.column == "perimeter")


def rule(name: str) -> Rule:
    """Return a rule by name. Raises ValueError that lists the known ones."""
    known = {r.name: r for r in RULES}
    if name not in known:
        raise ValueError(f"rule {name!r}: expected one of {', '.join(known)}")
    return known[name]


def held_out(values: Values, one: Rule, axis: str = "domain") -> np.ndarray:
    """Return each cell's drop predicted by a rule that never saw its domain; 0 on the whole grid, by definition.

    Cells with a missing column train nothing; a rule that has no other domain to learn from gives NaN.
    """
    out = np.full(np.shape(values["drop"]), np.nan)
    cut = ~values["full"].astype(bool)
    used = {c: values[c] for c in {one.column, "drop", "share"}}
    for name in dict.fromkeys(values[axis]):
        own = values[axis] == name
        train, test = ({c: v[..., part] for c, v in used.items()} for part in (~own & cut, own))
        out[..., own] = one.predict(train, test)
    return np.where(cut, out, 0.0)


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
        count = self.table.shape[1]
        pick = np.random.default_rng(seed).integers(0, count, (len(self.drawn), count))
        one, two = (np.take_along_axis(self.drawn[:, k], pick, 1).mean(1) for k in (a, b))
        return interval(self.mean().iloc[a] / self.mean().iloc[b], one / two)


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
    return interval(statistic({c: values[c] for c in columns}), found)


def spearman(values: Values, column: str = "rce") -> np.ndarray:
    """Return the rank correlation of a column with the drop over the last axis; 0 where one of them is constant.

    >>> round(float(spearman({"rce": np.array([1, 2, 3]), "drop": np.array([0.1, 0.3, 0.2])})), 6)
    0.5
    """
    from scipy import stats

    x, y = (stats.rankdata(np.asarray(values[c], float), axis=-1) for c in (column, "drop"))
    x, y = (v - v.mean(-1, keepdims=True) for v in np.broadcast_arrays(x, y))
    scale = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    return np.where(scale > 0, (x * y).sum(-1) / np.where(scale > 0, scale, 1.0), 0.0)


def between(values: Values, column: str = "rce") -> np.ndarray:
    """Return the rank correlation of a column with the drop between setups at one LRG size, mean over the sizes.

    What any falling function of the LRG size would rank right is left out. NaN with fewer than three setups.
    """
    share = np.asarray(values["share"], float)
    if share.ndim == 2 and (share != share[:1]).any():  # draws of setups with other sizes: one by one
        return np.array([between({c: v[k] for c, v in values.items()}, column) for k in range(len(share))])
    share = share[0] if share.ndim == 2 else share
    parts = [p for s in np.unique(share) if (p := share == s).sum() > 2]
    own = [spearman({c: values[c][..., p] for c in (column, "drop")}, column) for p in parts]
    return np.mean(own, axis=0) if own else np.full(np.shape(values["drop"])[:-1], np.nan)


def ranks(cells: Cells, columns: Sequence[str]) -> pd.DataFrame:
    """Return predictor, statistic ("all cells", "between setups"), value, low, high for columns measured everywhere."""
    rows = []
    wide = Cells(cells.table.assign(lrg=-cells.table["share"].astype(float)), cells.drawn)
    for column in columns:
        if wide.table[column].isna().any():
            continue
        for name, statistic in (("all cells", spearman), ("between setups", between)):
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
    from statsmodels.regression.linear_model import OLS

    cells = cells.where(~cells.table["full"] & (cells.table[column] < threshold))
    groups = cells.table["setup"].nunique()
    if len(cells.table) < 3 or groups < 2:
        raise ValueError(f"slopes: {len(cells.table)} cells of {groups} setup(s): expected three of two at least")
    x, y = (cells.table[c].to_numpy(float) for c in (column, "drop"))

    slope, intercept = (float(v[0]) for v in line(x, y, np.isfinite(x)))

    def again(values: Values) -> np.ndarray:
        a, b = (np.asarray(values[c], float) for c in (column, "drop"))
        return line(a, b, np.isfinite(a))[0][..., 0]

    own = resample(cells, again, (column, "drop"))
    rows = [{"method": "setups and pictures resampled", **own}]
    code = pd.factorize(cells.table["setup"])[0]
    robust = OLS(y, with_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": code}, use_t=True)
    low, high = robust.conf_int()[1]
    rows.append({"method": f"cluster-robust, {groups} setups", "value": slope, "low": low, "high": high})
    if 5 <= groups <= 12:
        low, high = wild_interval(x, y, code)
        rows.append({"method": "wild cluster bootstrap", "value": slope, "low": low, "high": high})
    hull = {"low": min(r["low"] for r in rows), "high": max(r["high"] for r in rows)}
    rows.append({"method": "hull", "value": slope, **hull})
    return pd.DataFrame(rows).assign(intercept=intercept, n=len(x))


def choices(values: Values, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each setup the LRG size that GFLOPs / (1 - predicted drop) picks, the best, and the regret in FPI.

    FPI = GFLOPs / mIoU as measured. Ties go to the larger grid. NaN predictions are never picked. Each is (setups,), or
    (draws, setups) with draws.
    """
    names, out = list(dict.fromkeys(values["setup"])), {"chosen": [], "best": [], "regret": []}
    for name in names:
        rows = np.flatnonzero(values["setup"] == name)
        rows = rows[np.argsort(-values["lrg_size"][rows].astype(float), kind="stable")]
        size, cost = values["lrg_size"][rows].astype(int), values["gflops"][rows].astype(float)
        score = cost / np.maximum(1 - predicted[..., rows], 1e-6)
        fpi = cost / values["miou"][..., rows].astype(float)
        pick, best = np.where(np.isnan(score), np.inf, score).argmin(-1), fpi.argmin(-1)
        one, two = (np.take_along_axis(fpi, k[..., None], -1)[..., 0] for k in (pick, best))
        for key, value in (("chosen", size[pick]), ("best", size[best]), ("regret", one / two - 1)):
            out[key].append(value)
    return {"setup": np.array(names), **{k: np.stack(v, -1) for k, v in out.items()}}


def regrets(cells: Cells, rules: Sequence[Rule] = RULES, seed: int = 0) -> pd.DataFrame:
    """Return rule, hits, setups, worst, value (mean regret in FPI, domain held out) with its interval over setups."""
    rows = []
    for one in rules:
        predicted = held_out(cells.values(), one)
        if np.isnan(predicted).any():
            continue
        point = choices(cells.values(), predicted)
        drawn = choices(values := cells.values(drawn=True), held_out(values, one))["regret"]
        pick = np.random.default_rng(seed).integers(0, drawn.shape[1], drawn.shape)
        again = np.take_along_axis(drawn, pick, 1).mean(1)
        rows.append({"rule": one.name, "needs": one.needs, "hits": int((point["chosen"] == point["best"]).sum()),
                     "setups": len(point["setup"]), "worst": point["regret"].max(),
                     **interval(point["regret"].mean(), again)})  # fmt: skip
    return pd.DataFrame(rows)


def streets(cells: Cells) -> pd.DataFrame:
    """Return street setups against others of one model and pruning at one share: both drop and R_ce larger?

    Columns model, share, other (domain), drop_larger, rce_larger, both.
    """
    table = cells.table[~cells.table["full"]]
    one = table[table["kind"] == "streets"]
    pairs = one.merge(table[table["kind"] != "streets"], on=["model", "pruned", "share", "real"], suffixes=("", "_o"))
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
            out += [{"setup": name, "column": c, "value": spearman(values, c), "n": len(part)} for c in columns]
    return pd.DataFrame(out)
