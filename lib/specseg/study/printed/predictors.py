"""Sentences on R_ce as a predictor of the drop: Figs 5 and 7, the line, the choice of the LRG size (3.2, 3.3).

Everything with a data set held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from specseg.evidence.fits import spearman
from specseg.study import cost, rules
from specseg.study.printed import fits
from specseg.study.printed.drops import applications, order
from specseg.study.printed.sentences import Fact, Forms, Measure, Sentences, share
from specseg.study.printed.tables import CURVE, FULL_GRID, SETUP, Tables
from specseg.study.rules import PRINTED, Rule

_MEASURED = ("R_ce, the printed line", "R_ce, line fitted elsewhere", "R_ce, power law", "R_ce itself",
             "LRG size, power law", "LRG size, mean elsewhere")  # fmt: skip
PREDICTORS = {r.name: r for r in (
    *map(rules.rule, _MEASURED), Rule("same model and LRG elsewhere", "share", "same model", "LRG"),
    Rule("mean drop elsewhere", "share", "mean", "nothing"), rules.rule("no drop"))}  # fmt: skip
FITTED = "R_ce, line fitted elsewhere"
RIVALS = [n for n, rule in PREDICTORS.items() if rule.needs in ("LRG", "nothing")]
BELOW = PRINTED["threshold"]
LIMITS = (0.05, 0.1, BELOW)  # thresholds on R_ce up to the paper's
SENTENCES = Sentences()
sentence = SENTENCES.test


def values(cells: pd.DataFrame) -> rules.Values:
    """Return the printed cells in the columns that rules and choices read; a setup is model, data set, pruning rate."""
    share, setup = (cells.lrg_size - 1) / (FULL_GRID - 1), cells.groupby(SETUP).ngroup()
    named = cells.rename(columns={"dataset": "domain", "miou_drop": "drop"}).assign(setup=setup, share=share)
    return {c: x.to_numpy() for c, x in named.assign(full=share == 1).items()}


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


def _reversed(t: Tables) -> Tables:
    """Turn each row of Table 1 round below 256: the largest R_ce on the largest grid."""
    inner = t.rce[t.rce.nu_max < 256].sort_values([*CURVE, "nu_max"])
    turned = inner.assign(value=inner.groupby(CURVE)["value"].transform(lambda v: v.to_numpy()[::-1]))
    return replace(t, rce=pd.concat([t.rce[t.rce.nu_max == 256], turned]))


def _mirrored(t: Tables) -> Tables:
    """Replace each R_ce by the largest one minus itself: every correlation changes its sign."""
    return replace(t, rce=t.rce.assign(value=t.rce["value"].max() - t.rce["value"]))


def _on_a_line(t: Tables) -> Tables:
    """Make every drop follow the printed line in R_ce, the full grid's too."""
    line = (PRINTED["intercept"] + PRINTED["slope"] * t.curves.set_index([*CURVE, "nu_max"]).rce).clip(upper=0.99)

    def rewrite(frame: pd.DataFrame, nu_max: pd.Series) -> pd.DataFrame:
        drop = line.reindex(pd.MultiIndex.from_arrays([frame.model, frame.dataset, nu_max])).to_numpy()
        return frame.assign(value=frame["value"].where(frame.metric != "miou_drop", drop))

    return replace(t, block=rewrite(t.block, t.block.nu_max),
                   truncation=rewrite(t.truncation, (t.truncation.lrg_size - 1) // 2))  # fmt: skip


def block_cells(tables: Tables) -> pd.DataFrame:
    """Return Table 3 with the columns that the predictors ask for (LRG 129 stands for nu_max = 256: no drop)."""
    return tables.blocks.assign(lrg_size=tables.blocks.lrg_size.clip(upper=FULL_GRID), prune_rate=0.0)


def _spearman(frame: pd.DataFrame) -> float:
    return float(spearman(frame.rce, frame.miou_drop))


def _pooled(frame: pd.DataFrame, what: str, more: str = "") -> Fact:
    value = _spearman(frame)
    less = [_spearman(frame.drop(own.index)) for _, own in frame.groupby(CURVE)]
    note = f"Spearman {value:.3f} over {what} ({min(less):.3f} to {max(less):.3f} with one curve left out).{more}"
    return Fact(value, note, low=min(*less, value), high=max(*less, value), over="setups")


@sentence("fig5a-positive", _mirrored)
def _each_curve(t: Tables) -> Fact:
    found = [_spearman(g) > 0 for _, g in t.cells.groupby(SETUP)]
    return share(found, "{k} of {n} lines rise; within a line any falling function of the LRG size ranks the same.")


@sentence("fig5b-positive", _mirrored)
def _joint(t: Tables) -> Fact:
    return _pooled(t.cut, "144 truncated networks")


@sentence("fig7-strong", _mirrored)
@sentence("fig7-positive", _mirrored)
def _blocks(t: Tables) -> Fact:
    alone = _spearman(t.coarse.assign(rce=-t.coarse.nu_max))
    return _pooled(t.coarse, "18 networks trained on blocks", f" The band limit alone has {alone:.2f}.")


@sentence("fig5b-linear", "rce", 0.004, nu_max=16)
def _linear(t: Tables) -> Fact:
    points = fits.select(t.cells)
    x, y = points.rce.to_numpy(), points.miou_drop.to_numpy()
    square = np.polyval(np.polyfit(x, y, 2), x)
    gain = 1 - ((y - square) ** 2).sum() / ((y - y.mean()) ** 2).sum() - fits.fit(points).r2
    own = fits.per_curve(t.cells).slope
    return Fact(gain, f"A square term adds {gain:.4f} to R^2; the six curves' own slopes run from {own.min():.2f} to "
                f"{own.max():.2f}.")  # fmt: skip


@sentence("fig5b-slope", _reversed)
def _slope(t: Tables) -> Forms:
    fit, found = fits.stated(t.cells), fits.fit(fits.unstated(t.cells))
    yield "printed", Fact(fit.slope, f"The stated rule gives {fit.slope:.3f} over {fit.n} points.")
    yield "corrected", Fact(found.slope, f"{found.n} points give {found.slope:.4f}: the unpruned networks, R_ce = 0 at "
                            "LRG 129, drops of the printed mIoUs, DAN on PASCAL at LRG 17 left out.")  # fmt: skip


def _of_the_line(name: str, form: str) -> Measure:
    def measure(t: Tables) -> Forms:
        fit, found = fits.stated(t.cells), fits.fit(fits.unstated(t.cells))
        given, again = getattr(fit, name), getattr(found, name)
        note = f"The {found.n} points of the slope's correction give {again:{form}}."
        yield "printed", Fact(given, f"The stated rule gives {given:{form}}.")
        yield "corrected", Fact(again, note)

    return measure


sentence("fig5b-intercept", _reversed)(_of_the_line("intercept", ".4f"))
sentence("fig5b-r2", _reversed)(_of_the_line("r2", ".3f"))


@sentence("bey-two-applications", _on_a_line)
def _two_applications(t: Tables) -> Fact:
    """Table 3 against Table 4 where R_ce is one and the same printed number."""
    return share(applications(t).apart, "At one R_ce the two drops differ by more than the rounding in {k} of {n} "
                 "cells.")  # fmt: skip


def _ratio(frame: pd.DataFrame, threshold: float = np.inf) -> tuple[float, str]:
    mae = mean_errors(frame, threshold, [FITTED, *RIVALS])
    own, rivals = mae[FITTED], mae[RIVALS]
    said = f"the fitted line misses by {own:.3f}, the best rival without R_ce ({rivals.idxmin()}) by {rivals.min():.3f}"
    return own / rivals.min(), said


@sentence("fig5b-estimates", _reversed)
def _estimates(t: Tables) -> Fact:
    (value, said), (every, said_every) = _ratio(t.cells, BELOW), _ratio(t.cells)
    return Fact(value, f"Data set held out, R_ce < 0.2: {said}. Without the threshold it "
                f"{'wins' if every < 1 else 'loses'}: {said_every}.")  # fmt: skip


@sentence("sec33-rce-estimates", _reversed)
def _block_estimates(t: Tables) -> Forms:
    (every, said), (value, said_small) = _ratio(block_cells(t)), _ratio(block_cells(t), BELOW)
    yield "printed", Fact(every, f"Data set held out, all 18 networks: {said}.")
    yield "corrected", Fact(value, f"Where R_ce < 0.2: {said_small}.")


@sentence("fig5b-general", _reversed)
def _general(t: Tables) -> Forms:
    own = fits.per_curve(t.cells).slope
    off = own / fits.stated(t.cells).slope - 1
    factor = np.exp(np.abs(np.log(own.clip(lower=1e-9) / PRINTED["slope"])))
    yield "printed", share(off.abs() <= 0.20, "{k} of {n} curves have a slope within 20 % of the common one "
                           f"({off.min():+.0%} to {off.max():+.0%}).")  # fmt: skip
    yield "approximation", share(factor <= 1.5, "{k} of {n} lie within a factor of 1.5 of the printed slope.")


@sentence("sec32-cityscapes-explained", "rce", 0.001, dataset="cityscapes")
def _streets(t: Tables) -> Forms:
    own = t.cells.assign(guess=held_out(t.cells, FITTED)).loc[t.cut.index].query("dataset == 'cityscapes'")

    def explained(rows: pd.DataFrame) -> float:
        y = rows.miou_drop
        return float(1 - ((rows.guess - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    every, small = explained(own), explained(own[own.rce < BELOW])
    both = (pd.concat([order(t.cut, "dataset", "cityscapes", d) for d in ("pascal", "deepglobe")]) == 1).all(axis=1)
    yield "printed", Fact(every, f"On Cityscapes the line of PASCAL and DeepGlobe has R2 = {every:.2f}"
                          f"{', worse than the mean' if every < 0 else ''} ({small:.2f} where "
                          "R_ce < 0.2).")  # fmt: skip
    yield "corrected", share(both, "R_ce and drop are both larger on Cityscapes in {k} of {n} comparisons.")


@sentence("sec32-choose-lrg", _reversed)
def _choice(t: Tables) -> Forms:
    r = regrets(t.cells).set_index("predictor")
    own, printed = r.loc[FITTED], r.loc["R_ce, the printed line"]
    rival = r.loc[[*RIVALS, *(i for i in r.index if i.startswith("always"))]].mean_regret
    yield "printed", Fact(own.hits, f"With the target data set held out {own.hits:.0f} of {own.n:.0f} optima are found "
                          f"({printed.hits:.0f} with the printed line).", n=int(own.n))  # fmt: skip
    yield "approximation", Fact(own.mean_regret, f"The mean regret in FPI is {own.mean_regret:.2%} (printed line "
                                f"{printed.mean_regret:.2%}; best rule without R_ce, {rival.idxmin()}: "
                                f"{rival.min():.2%}).")  # fmt: skip
