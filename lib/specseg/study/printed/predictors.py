"""Is R_ce the better predictor of the drop, and does it choose the LRG size? Everything with a data set held out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from specseg.study.printed.costs import choose
from specseg.study.printed.fits import PRINTED, line
from specseg.study.printed.tables import FULL_GRID

Predictor = Callable[[pd.DataFrame, pd.DataFrame], np.ndarray]


def paper_line(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with the printed line, 0.6725 R_ce + 0.0022: no training."""
    return PRINTED["intercept"] + PRINTED["slope"] * test.rce.to_numpy()


def rce_itself(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict the drop by R_ce itself: no training."""
    return test.rce.to_numpy()


def rce_line(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with the line fitted to the training cells with R_ce < 0.2 (the paper's rule)."""
    fit = line(*train[train.rce < PRINTED["threshold"]][["rce", "miou_drop"]].to_numpy().T)
    return fit.intercept + fit.slope * test.rce.to_numpy()


def rce_power(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with a power law of R_ce, fitted in logarithms to the training cells with a positive drop."""
    return _power(train, test, "rce")


def lrg_power(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with a power law of the band limit alone: what one knows without any network."""
    return _power(train, test, "nu_max")


def lrg_mean(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with the training data sets' mean drop at the same LRG size."""
    return test.lrg_size.map(train.groupby("lrg_size")["miou_drop"].mean()).to_numpy()


def no_drop(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict no drop at all."""
    return np.zeros(len(test))


def mean_drop(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict the training cells' mean drop everywhere."""
    return np.full(len(test), train.miou_drop.mean())


def same_model_elsewhere(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Predict with the mean drop of the same model at the same LRG size on the training data sets."""
    known = train.groupby(["model", "lrg_size"])["miou_drop"].mean()
    return known.reindex(pd.MultiIndex.from_frame(test[["model", "lrg_size"]])).to_numpy()


PREDICTORS: dict[str, Predictor] = {
    "R_ce, the printed line": paper_line,
    "R_ce, line fitted elsewhere": rce_line,
    "R_ce, power law": rce_power,
    "R_ce itself": rce_itself,
    "LRG size, power law": lrg_power,
    "LRG size, mean elsewhere": lrg_mean,
    "same model and LRG elsewhere": same_model_elsewhere,
    "mean drop elsewhere": mean_drop,
    "no drop": no_drop,
}
UNTRAINED = ("R_ce, the printed line", "R_ce itself", "no drop")


def _power(train: pd.DataFrame, test: pd.DataFrame, column: str) -> np.ndarray:
    some = train[(train.miou_drop > 0) & (train[column] > 0)]
    slope, intercept = np.polyfit(np.log(some[column]), np.log(some.miou_drop), 1)
    x = test[column].to_numpy(float)
    return np.where(x > 0, np.exp(intercept + slope * np.log(np.where(x > 0, x, 1.0))), 0.0)


def held_out(cells: pd.DataFrame, predict: Predictor, axis: str = "dataset") -> pd.Series:
    """Return each cell's predicted drop from a predictor that never saw its data set (or model, with axis="model")."""
    out = pd.Series(np.nan, index=cells.index)
    for name in cells[axis].unique():
        inside = cells[axis] == name
        train = cells[~inside & (cells.lrg_size != FULL_GRID)]
        out[inside] = predict(train, cells[inside])
    return out


def scores(cells: pd.DataFrame, threshold: float | None = None, axis: str = "dataset") -> pd.DataFrame:
    """Compare the predictors on the truncated cells (LRG 129 left out), optionally only where R_ce < threshold.

    Columns: predictor, mae, rmse, worst (largest absolute error), r2 (1 - squared error / squared deviation from the
    mean), rank (Spearman over all cells), rank_within (mean Spearman inside each model, data set and pruning rate), n.
    A predictor that knows nothing of the held-out side is left out. Training sets are not cut by the threshold, except
    for the line, which has the paper's rule.
    """
    judged = cells.lrg_size != FULL_GRID
    if threshold is not None:
        judged &= cells.rce < threshold
    rows = []
    for name, predict in PREDICTORS.items():
        guess = held_out(cells, predict, axis)[judged]
        if guess.notna().all():
            rows.append({"predictor": name, **_score(cells[judged], guess)})
    return pd.DataFrame(rows)


def mean_errors(cells: pd.DataFrame, names, threshold: float | None = None) -> pd.Series:
    """Return the mean absolute error of the named predictors, each data set held out, as `scores` has it."""
    judged = cells.lrg_size != FULL_GRID
    if threshold is not None:
        judged &= cells.rce < threshold
    return pd.Series({n: (held_out(cells, PREDICTORS[n]) - cells.miou_drop)[judged].abs().mean() for n in names})


def _score(cells: pd.DataFrame, guess: pd.Series) -> dict[str, float]:
    y = cells.miou_drop
    error = guess - y
    within = [
        _spearman(guess[g.index], g.miou_drop)
        for _, g in cells.groupby(["model", "dataset", "prune_rate"])
        if len(g) > 2
    ]
    return {
        "mae": float(error.abs().mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "worst": float(error.abs().max()),
        "r2": float(1 - (error**2).sum() / ((y - y.mean()) ** 2).sum()),
        "rank": _spearman(guess, y),
        "rank_within": float(np.mean(within)),
        "n": len(y),
    }


def _spearman(a: pd.Series, b: pd.Series) -> float:
    ra, rb = a.rank(), b.rank()
    return 0.0 if ra.nunique() < 2 or rb.nunique() < 2 else float(np.corrcoef(ra, rb)[0, 1])


def by_dataset(cells: pd.DataFrame, threshold: float | None = None) -> pd.DataFrame:
    """Return the mean absolute error of each predictor on each held-out data set (rows: predictors)."""
    judged = cells.lrg_size != FULL_GRID
    if threshold is not None:
        judged &= cells.rce < threshold
    out = {}
    for name, predict in PREDICTORS.items():
        error = (held_out(cells, predict) - cells.miou_drop).abs()[judged]
        out[name] = error.groupby(cells.dataset).mean()
    return pd.DataFrame(out).T.rename_axis("predictor").reset_index()


def regrets(cells: pd.DataFrame) -> pd.DataFrame:
    """Return how well FLOPs with each predictor choose the LRG size: hits of 24, mean and worst regret in FPI.

    Beside the predictors: always the same size, the cheapest rivals.
    """
    rows = []
    for name, predict in PREDICTORS.items():
        rows.append({"predictor": name, **_regret(choose(cells, held_out(cells, predict)))})
    for size in sorted(cells.lrg_size.unique(), reverse=True):
        forced = pd.Series(np.where(cells.lrg_size == size, 0.0, 1.0), index=cells.index)
        rows.append({"predictor": f"always {size}", **_regret(choose(cells, forced))})
    return pd.DataFrame(rows)


def advantage(cells: pd.DataFrame, name: str, rivals) -> pd.Series:
    """Return each data set's share of the regret that a predictor saves against the best of its rivals.

    Shares add up to 1 where the predictor is better; a data set on which it is worse has a negative one.
    """
    regret = {n: choose(cells, held_out(cells, PREDICTORS[n])) for n in (name, *rivals)}
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
