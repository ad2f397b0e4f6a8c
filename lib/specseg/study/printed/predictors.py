"""Is R_ce the better predictor of the drop, and does it choose the LRG size? Everything with a data set held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from specseg.study import cost, rules
from specseg.study.printed.tables import FULL_GRID, SETUP
from specseg.study.rules import Rule

PREDICTORS = {
    r.name: r
    for r in (
        rules.rule("R_ce, the printed line"), rules.OWN, rules.rule("R_ce, power law"), rules.rule("R_ce itself"),
        rules.rule("LRG size, power law"), rules.rule("LRG size, mean elsewhere"),
        Rule("same model and LRG elsewhere", "share", "same model", "LRG"),
        Rule("mean drop elsewhere", "share", "mean", "nothing"), rules.rule("no drop"),
    )
}  # fmt: skip


def values(cells: pd.DataFrame) -> rules.Values:
    """Return the printed cells in the columns that rules and choices read; a setup is model, data set, pruning rate."""
    named = cells.rename(columns={"dataset": "domain", "miou_drop": "drop"})
    named = named.assign(
        setup=cells.groupby(SETUP).ngroup(),
        share=(cells.lrg_size - 1) / (FULL_GRID - 1),
        full=cells.lrg_size == FULL_GRID,
    )
    return {c: named[c].to_numpy() for c in named}


def held_out(cells: pd.DataFrame, name: str) -> pd.Series:
    """Return each cell's predicted drop from a predictor that never saw its data set."""
    return pd.Series(rules.held_out(values(cells), PREDICTORS[name], whole=True), index=cells.index)


def mean_errors(cells: pd.DataFrame, threshold: float = np.inf, names: Iterable[str] = tuple(PREDICTORS)) -> pd.Series:
    """Return the mean absolute error of predictors on the truncated cells (with R_ce < threshold), data set held out.

    Training sets are not cut by the threshold, except for the line, which has the paper's rule.
    """
    judged = (cells.lrg_size != FULL_GRID) & (cells.rce < threshold)
    return pd.Series({n: rules.missed(values(cells), PREDICTORS[n])[judged].mean() for n in names})


def choose(cells: pd.DataFrame, predicted_drop) -> pd.DataFrame:
    """Return `cost.choices` of the printed cells with each setup's dataset and `hit` (the best size was chosen)."""
    out = pd.DataFrame(cost.choices(values(cells), np.asarray(predicted_drop, float)))
    return out.assign(dataset=cells.groupby(SETUP).dataset.first().to_numpy(), hit=out["chosen"] == out["best"])


def regrets(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how well FLOPs with each predictor choose the LRG size: predictor, hits of n setups, mean regret in FPI.

    Beside the predictors: always the same size, the cheapest rivals.
    """
    chosen = {name: choose(cells, held_out(cells, name)) for name in PREDICTORS}
    for size in sorted(cells.lrg_size.unique(), reverse=True):
        chosen[f"always {size}"] = choose(cells, cells.lrg_size != size)
    rows = [{"predictor": name, "hits": c.hit.sum(), "n": len(c), "mean_regret": c.regret.mean()}
            for name, c in chosen.items()]  # fmt: skip
    return pd.DataFrame(rows)


def advantage(cells: pd.DataFrame, name: str, rivals: Sequence[str]) -> pd.Series:
    """Return each data set's share of the regret that a predictor saves against the best of its rivals.

    Shares add up to 1 where the predictor is better; a data set on which it is worse has a negative one.
    """
    regret = {n: choose(cells, held_out(cells, n)).groupby("dataset").regret.sum() for n in (name, *rivals)}
    saved = min((regret[n] for n in rivals), key=sum) - regret[name]
    return saved / saved.sum()
