"""Sentences on Table 2, A.1 and FLOPs per IoU, FPI (sections 1, 3.2, 4, A.1, Figs 4, 8), and their tables."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from specseg.study import cost
from specseg.study.printed.drops import rises
from specseg.study.printed.sentences import Fact, Forms, Sentences, share
from specseg.study.printed.tables import CELL, CURVE, FULL_GRID, HALF_GFLOPS, HALF_MIOU, SETUP, Tables

MODEL_OF = {"DeepLab v3+": "deeplabv3plus", "Dan": "dan"}
SENTENCES = Sentences()
sentence = SENTENCES.test

SIZES = [129, 97, 81, 65, 49, 33, 17]


def parts(constants: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return A.1's FLOPs (in 1e9) or parameters (in 1e6) of each model's encoder and decoder, with their ratio."""
    table = constants[constants.quantity == quantity].replace({"model": MODEL_OF})
    table = table.pivot(index="model", columns="part", values="value").loc[list(MODEL_OF.values())]
    return table.assign(ratio=table.decoder / table.encoder)


def area_law(constants: pd.DataFrame, model, lrg_size) -> np.ndarray:
    """Return encoder + decoder x (LRG/129)^2 from A.1's constants: Table 2's unpruned rows, in 1e9 FLOPs.

    The decoder's work is proportional to the number of its grid points.
    """
    flops = parts(constants, "FLOPs").loc[model]
    return flops.encoder.to_numpy() + flops.decoder.to_numpy() * (np.asarray(lrg_size) / FULL_GRID) ** 2


def excess(gflops: pd.DataFrame, lrg_size: int) -> pd.DataFrame:
    """Return how many more FLOPs DeepLab v3+ takes than DAN at one LRG size, per pruning rate, with rounding bounds."""
    table = gflops[gflops.lrg_size == lrg_size].pivot_table(index="prune_rate", columns="model", values="value")
    a, b, h = table["deeplabv3plus"], table["dan"], HALF_GFLOPS
    return pd.DataFrame({"excess": a / b - 1, "low": (a - h) / (b + h) - 1, "high": (a + h) / (b - h) - 1})


def least(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return for each model and data set the row with the smallest value in a column."""
    return rows.loc[rows.groupby(CURVE)[column].idxmin()]


def optima(tables: Tables, finest: bool = False) -> pd.DataFrame:
    """Return `cost.optima` of the 24 setups, and `possible`: all sizes that rounding allows.

    `finest` takes the finest FLOPs that the paper prints: those of the unpruned networks follow from A.1's tenths by
    `area_law`, to 0.1 GFLOP; the others are Table 2's integers.
    """
    possible = []
    for (_, _, rate), own in tables.cells.groupby(SETUP, sort=False):
        fine = finest and rate == 0
        gflops = area_law(tables.constants, own.model, own.lrg_size) if fine else own.gflops
        possible.append(possible_optima(own.lrg_size, gflops, own.miou, 0.1 if fine else HALF_GFLOPS))
    return cost.optima(tables.cells, SETUP).assign(possible=possible)


def possible_optima(size, gflops, miou, half_gflops: float = HALF_GFLOPS) -> tuple[int, ...]:
    """Return the sizes that can have the smallest FPI for some true values behind the printed ones.

    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.48])
    (65,)
    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.49])
    (65, 33)
    """
    gflops, miou = np.asarray(gflops, float), np.asarray(miou, float)
    best = (gflops - half_gflops) / (miou + HALF_MIOU)
    worst = (gflops + half_gflops) / (miou - HALF_MIOU)
    return tuple(int(s) for i, s in enumerate(size) if best[i] <= np.delete(worst, i).min(initial=np.inf))


def moves(optima: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Return how many steps in `sizes` the optimum moves over the pruning rates, for each model and data set.

    Columns printed (by lrg_size), least and most (over every choice from `possible`).

    >>> sets = [(65, 33), (33,), (49, 17)]
    >>> o = pd.DataFrame({"model": "a", "dataset": "b", "lrg_size": [65, 33, 17], "possible": sets})
    >>> moves(o, [65, 49, 33, 17]).values.tolist()
    [[3, 1, 3]]
    """
    rows = {}
    for key, own in optima.groupby(CURVE):
        places = [[sizes.index(s) for s in found] for found in own.possible]
        spans = [max(p) - min(p) for p in itertools.product(*places)]
        rows[key] = {"printed": np.ptp(own.lrg_size.map(sizes.index)), "least": min(spans), "most": max(spans)}
    return pd.DataFrame.from_dict(rows, orient="index")


def undominated(cells: pd.DataFrame) -> list[bool]:
    """Say of each network, setup by setup, whether no other of its setup costs less and scores more."""
    found: list[bool] = []
    for _, g in cells.groupby(SETUP):
        cheaper, better = (np.subtract.outer(v, v) for v in (-g.gflops.to_numpy(), g.miou.to_numpy()))
        beats = (cheaper >= 0) & (better >= 0) & ((cheaper > 0) | (better > 0))
        found += list(~beats.any(axis=0))
    return found


def _ends(values: pd.Series) -> str:
    return f"{values.min():.1%} to {values.max():.1%}"


@sentence("a1-constants-add-up", "gflops", 141, model="deeplabv3plus", lrg_size=129)
def _constants(t: Tables) -> Fact:
    whole = t.gflops[t.gflops.prune_rate == 0]
    off = (area_law(t.constants, whole.model, whole.lrg_size) - whole.value).abs()
    return share(off <= HALF_GFLOPS + 0.05,  # A.1 prints one decimal
                 "{k} of {n} unpruned cells of Table 2 are encoder + decoder x (LRG/129)^2.")  # fmt: skip


@sentence("a1-decoder-cost-comparable", "constants", 2.0, part="decoder", quantity="FLOPs")
def _comparable(t: Tables) -> Forms:
    ratio = parts(t.constants, "FLOPs").ratio
    said = f"decoder/encoder FLOPs: {ratio['deeplabv3plus']:.2f} (DeepLab v3+), {ratio['dan']:.2f} (DAN)."
    yield "printed", share(ratio >= 0.5, f"{{k}} of {{n}} decoders take half or more; {said}")
    yield "approximation", share(ratio >= 0.1, "{k} of {n} take a tenth or more.")


@sentence("sec32-encoder-holds-parameters", "constants", 13.0, model="DeepLab v3+", part="decoder",
          quantity="parameters")  # fmt: skip
def _parameters(t: Tables) -> Fact:
    worst = parts(t.constants, "parameters").ratio.max()
    return Fact(worst, f"The decoder has at most {worst:.1%} of the encoder's parameters.")


@sentence("sec32-more-parameters", "constants", 1.3, part="decoder", quantity="parameters")
def _more(t: Tables) -> Forms:
    part = parts(t.constants, "parameters")
    total, decoder = (x["deeplabv3plus"] / x["dan"] for x in (part.encoder + part.decoder, part.decoder))
    yield "printed", Fact(total, f"The networks differ by {total - 1:.1%} in all.")
    yield "corrected", Fact(decoder, f"The decoders differ by a factor of {decoder:.2f}.")


@sentence("sec32-one-decoder-cost", "gflops", 82, model="deeplabv3plus", prune_rate=0.4, lrg_size=129)
def _one_decoder(t: Tables) -> Fact:
    table = t.gflops.pivot(index=["model", "prune_rate"], columns="lrg_size", values="value").query("prune_rate > 0")
    spread = float((table[FULL_GRID] - table[17]).groupby("model").agg(np.ptp).max())
    return Fact(spread, f"F(129) - F(17) over the pruned rows differs by {spread:g} GFLOP: one decoder cost at every "
                "encoder rate.")  # fmt: skip


@sentence("sec32-flops-fall", "gflops", 97, model="dan", prune_rate=0, lrg_size=17)
def _fall(t: Tables) -> Fact:
    size = rises(t.gflops, "lrg_size", ["model", "prune_rate"], "value", up=False)
    steps = pd.concat([size, rises(t.gflops, "prune_rate", ["model", "lrg_size"], "value")])
    note = f"{{k}} of {{n}} steps do not rise; {(steps == 0).sum()} are equal at the printed integer."
    return share(steps <= 0, note)


@sentence("fig8-flops-order", "gflops", 97, model="dan", prune_rate=0, lrg_size=17)
def _figure8(t: Tables) -> Fact:
    steps = rises(t.gflops, "lrg_size", ["model", "prune_rate"], "value")
    return share(steps >= 0, "{k} of {n} steps to a larger grid do not lower the printed FLOPs.")


@sentence("sec32-29-to-60", "gflops", 90, model="dan", lrg_size=129)
def _excess(t: Tables) -> Forms:
    e = excess(t.gflops, FULL_GRID)
    ends = e.loc[[e.excess.idxmin(), e.excess.idxmax()]].assign(said=t.text.excess)
    error = (ends.excess - ends.said).abs().max()
    outside = max(0.0, (ends.low - ends.said).max(), (ends.said - ends.high).max())
    rows = ", ".join(f"{x:.1%}" for x in e.excess)
    yield "printed", Fact(error, f"Rows 0, 20, 40, 60 % give {rows}: the smallest is not the baseline's.")
    yield "approximation", Fact(outside, "Rounding of Table 2 allows both printed ends.")


@sentence("sec32-same-at-33", "gflops", 105, model="deeplabv3plus", lrg_size=33)
def _at_33(t: Tables) -> Fact:
    worst = float(excess(t.gflops, 33).excess.max())
    return Fact(worst, f"At LRG 33 DeepLab v3+ takes at most {worst:.1%} more.")


@sentence("sec32-both-parts-cheaper", "gflops", 55, model="dan", prune_rate=0.4, lrg_size=97)
def _both(t: Tables) -> Fact:
    g = t.gflops.pivot(index=["model", "lrg_size"], columns="prune_rate", values="value")
    both = g.drop(columns=0).drop(index=FULL_GRID, level="lrg_size")
    whole = g.xs(FULL_GRID, level="lrg_size").loc[both.index.get_level_values("model"), both.columns].to_numpy()
    found = np.concatenate([both.lt(g.loc[both.index, 0], axis=0), both < whole]).ravel()
    cut, rate = (t.cells.query(only).groupby("model").saving.max() for only in ("prune_rate == 0", "lrg_size == 129"))
    return share(found, "{k} of {n} comparisons: both cost less than either alone. Truncation alone saves at most "
                 f"{cut['deeplabv3plus']:.1%} (DeepLab v3+) and {cut['dan']:.1%} (DAN), pruning alone "
                 f"{rate['deeplabv3plus']:.1%} and {rate['dan']:.1%}.")  # fmt: skip


@sentence("sec1-seventy-percent", "gflops", 60, model="dan", prune_rate=0.6)
def _seventy(t: Tables) -> Forms:
    best, chosen = float(t.cells.saving.max()), least(t.cells, "fpi")
    top = t.cells[t.cells.saving == best].loss
    near = optima(t)[CELL].merge(t.cells).query("0.65 <= saving <= 0.70").loss
    said = f"{len(near)} of Fig. 4's 24 optima save 65 to 70 %, at {_ends(near)} less mIoU."
    said = said if len(near) else "None of Fig. 4's 24 optima saves 65 to 70 %."
    yield "printed", Fact(best, f"Table 2's largest saving is {best:.1%}, at {_ends(top)} less mIoU.")
    yield "corrected", Fact(float(chosen.saving.min()), f"The settings of smallest FPI save {_ends(chosen.saving)}, at "
                            f"{_ends(chosen.loss)} less mIoU. {said}")  # fmt: skip


@sentence("con-saving-small-loss", "truncation", 0.3, metric="miou", dataset="pascal", prune_rate=(0.2, 0.4, 0.6))
def _small_loss(t: Tables) -> Forms:
    both = t.cut.query("prune_rate > 0")
    half, quarter = (both[both.saving >= part].groupby(CURVE).loss.min() for part in (0.5, 0.25))
    note = f"Half of the FLOPs cost {_ends(half)} of mIoU; {{k}} of {{n}} pairs stay within 5 %."
    yield "printed", share(half <= 0.05, note)
    yield "approximation", share(quarter <= 0.05, f"A quarter costs at most {quarter.max():.1%}: {{k}} of {{n}}.")


@sentence("sec32-optima-33-to-65", "text", common=(66, 97))
def _optima(t: Tables) -> Fact:
    o, (low, high) = optima(t), t.text.common
    sure = sum(low <= min(p) and max(p) <= high for p in o.possible)
    return share(o.lrg_size.between(low, high), f"{{k}} of {{n}} optima lie there, {sure} whatever the rounding.")


@sentence("sec32-exceptions", "text", exceptions=(("dan", "pascal", (17,)),))
def _exceptions(t: Tables) -> Fact:
    o, (low, high) = optima(t, finest=True), t.text.common
    named = {(m, d): sizes for m, d, sizes in t.text.exceptions}
    wanted = [named.get((r.model, r.dataset), range(low, high + 1)) for r in o.itertuples()]
    ok = np.array([not set(w).isdisjoint(p) for w, p in zip(wanted, o.possible, strict=True)])
    bare = sum(size in w for w, size in zip(wanted, o.lrg_size, strict=True))
    against = [f"{r.model} on {r.dataset}, {r.prune_rate:.0%} pruned: {r.lrg_size}" for r in o[~ok].itertuples()]
    return share(ok, f"{{k}} of {{n}} setups can be as described within the rounding, {bare} are so by the printed "
                 f"digits{'; no rounding helps ' * bool(against)}{'; '.join(against)}.")  # fmt: skip


@sentence("sec32-optima-insensitive", "gflops", 10, model="dan", prune_rate=0.6, lrg_size=129)
def _insensitive(t: Tables) -> Fact:
    steps = moves(optima(t, finest=True), SIZES)
    most = steps.max()
    note = (f"By the printed digits the optimum moves by up to {most.printed} LRG steps over the pruning rates, one at "
            f"most in {(steps.printed <= 1).sum()} of {len(steps)} pairs; rounding allows {most.least} to "
            f"{most.most}.")  # fmt: skip
    return Fact(most.printed, note, low=most.least, high=most.most, over="rounding")


@sentence("sec32-truncation-lowers-fpi", "gflops", 50, model="dan", prune_rate=0.4)
def _lower_fpi(t: Tables) -> Fact:
    rate = least(t.cells, "fpi")
    return share(optima(t).lrg_size != FULL_GRID, "{k} of {n} optima are truncated networks. Over all pruning "
                 f"rates FPI picks {rate.prune_rate.min():.0%} each time, at {_ends(rate.loss)} less "
                 "mIoU.")  # fmt: skip


@sentence("sec32-fpi-both-at-once", "truncation", 0.1, metric="miou", lrg_size=(33, 49, 65))
def _trade(t: Tables) -> Forms:
    chosen, setups = optima(t)[CELL].merge(t.cells).set_index(SETUP), t.cells.groupby(SETUP)
    both = (chosen.miou == setups.miou.max()) & (chosen.gflops == setups.gflops.min())
    said = "FPI trades 1 % of FLOPs for 1 % of mIoU: {k} of {n} networks are undominated in their setup."
    yield "printed", share(both, "{k} of {n} optima have both the least drop and the least cost.")
    yield "corrected", share(undominated(t.cells), said)
