"""Is R_ce the better predictor of the drop, and does it choose the LRG size? Everything with a data set held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from specseg.evidence.fits import spearman
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


def held_out(cells: pd.DataFrame, name: str, axis: str = "dataset") -> pd.Series:
    """Return each cell's predicted drop from a predictor that never saw its data set (or model, with axis="model")."""
    side = "domain" if axis == "dataset" else axis
    return pd.Series(rules.held_out(values(cells), PREDICTORS[name], side, whole=True), index=cells.index)


def _judged(cells: pd.DataFrame, threshold: float | None) -> pd.Series:
    return (cells.lrg_size != FULL_GRID) & (True if threshold is None else cells.rce < threshold)


def scores(cells: pd.DataFrame, threshold: float | None = None, axis: str = "dataset") -> pd.DataFrame:
    """Compare the predictors on the truncated cells (LRG 129 left out), optionally only where R_ce < threshold.

    Columns: predictor, mae, rmse, worst (largest absolute error), r2 (1 - squared error / squared deviation from the
    mean), rank (Spearman over all cells), rank_within (mean Spearman inside each model, data set and pruning rate), n.
    A predictor that knows nothing of the held-out side is left out. Training sets are not cut by the threshold, except
    for the line, which has the paper's rule.
    """
    judged, rows = _judged(cells, threshold), []
    for name in PREDICTORS:
        guess = held_out(cells, name, axis)[judged]
        if guess.notna().all():
            rows.append({"predictor": name, **_score(cells[judged], guess)})
    return pd.DataFrame(rows)


def mean_errors(cells: pd.DataFrame, names: Iterable[str], threshold: float | None = None) -> pd.Series:
    """Return the mean absolute error of the named predictors, each data set held out, as `statistics` has it."""
    judged = _judged(cells, threshold)
    return pd.Series({n: (held_out(cells, n) - cells.miou_drop)[judged].abs().mean() for n in names})


def _score(cells: pd.DataFrame, guess: pd.Series) -> dict[str, float]:
    y = cells.miou_drop
    error = guess - y
    within = [spearman(guess[g.index], g.miou_drop) for _, g in cells.groupby(SETUP) if len(g) > 2]
    return {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "worst": float(error.abs().max()),
        "r2": float(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()),
        "rank": float(spearman(guess, y)),
        "rank_within": float(np.mean(within)),
        "n": len(y),
    }


def choose(cells: pd.DataFrame, predicted_drop: pd.Series) -> pd.DataFrame:
    """Return `cost.choices` of the printed cells with each setup's dataset and `hit` (the best size was chosen)."""
    own = values(cells)
    out = pd.DataFrame(cost.choices(own, predicted_drop.to_numpy(float)))
    out["dataset"] = out["setup"].map(dict(zip(own["setup"], own["domain"], strict=True)))
    return out.assign(hit=out["chosen"] == out["best"])


def regrets(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how well FLOPs with each predictor choose the LRG size: hits of 24, mean and worst regret in FPI.

    Beside the predictors: always the same size, the cheapest rivals.
    """
    rows = []
    for name in PREDICTORS:
        rows.append({"predictor": name, **_regret(choose(cells, held_out(cells, name)))})
    for size in sorted(cells.lrg_size.unique(), reverse=True):
        forced = pd.Series(np.where(cells.lrg_size == size, 0.0, 1.0), index=cells.index)
        rows.append({"predictor": f"always {size}", **_regret(choose(cells, forced))})
    return pd.DataFrame(rows)


def advantage(cells: pd.DataFrame, name: str, rivals: Sequence[str]) -> pd.Series:
    """Return each data set's share of the regret that a predictor saves against the best of its rivals.

    Shares add up to 1 where the predictor is better; a data set on which it is worse has a negative one.
    """
    regret = {n: choose(cells, held_out(cells, n)) for n in (name, *rivals)}
    best = min(rivals, key=lambda n: regret[n].regret.mean())
    saved = regret[best].groupby("dataset").regret.sum() - regret[name].groupby("dataset").regret.sum()
    return saved / saved.sum()


def _regret(chosen: pd.DataFrame) -> dict[str, float]:
    return {
        "hits": int(chosen.hit.sum()),
        "n": len(chosen),
        "mean_regret": float(chosen.regret.mean()),
        "worst_regret": float(chosen.regret.max()),
    }
