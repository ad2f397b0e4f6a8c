"""Sentences on the printed accuracies, Tables 3 and 4 (sections 3.2, 3.3, 4, A.10, Fig. 7), and their tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from specseg.study.printed.sentences import Fact, Forms, Sentences, share
from specseg.study.printed.tables import CELL, CURVE, FULL_GRID, HALF_MIOU, SETUP, Tables, drop_interval

SENTENCES = Sentences()
sentence = SENTENCES.test

PRUNING_MARGIN = 0.01  # one point of relative drop: chosen here, the paper gives no spread over trainings
DROP, MIOU = {"metric": "miou_drop"}, {"metric": "miou"}


def rises(frame: pd.DataFrame, along: str, groups: list[str], value: str = "miou", up: bool = True) -> pd.Series:
    """Return the change between each pair of adjacent printed values along one column; positive is a rise.

    With `up` the column is walked upwards (e.g. prune_rate), else downwards (lrg_size).

    >>> f = pd.DataFrame({"g": 1, "lrg_size": [17, 33, 65], "miou": [0.5, 0.4, 0.7]})
    >>> rises(f, "lrg_size", ["g"], up=False).tolist()
    [-0.3, 0.1]
    """
    ordered = frame.sort_values(along, ascending=up)
    return ordered.groupby(groups)[value].diff().dropna().round(9)


def streets_exceed(frame: pd.DataFrame, value: str, keys: list[str]) -> pd.DataFrame:
    """Return for each cell of Cityscapes and each other data set both values (larger, smaller) and their difference."""
    wide = frame.pivot_table(index=keys, columns="dataset", values=value)
    out = pd.concat([pd.DataFrame({"larger": wide.cityscapes, "smaller": wide[d]}) for d in ("pascal", "deepglobe")])
    return out.assign(difference=(out.larger - out.smaller).round(9))


def baselines(tables: Tables) -> pd.DataFrame:
    """Return the same network's mIoU as Table 4 (no pruning, LRG 129) and as Table 3 (nu_max 256) print it."""
    keys = [*CURVE, "miou"]
    a, b = tables.cells.query(f"prune_rate == 0 and lrg_size == {FULL_GRID}"), tables.blocks.query("nu_max == 256")
    out = a[keys].merge(b[keys], on=CURVE, suffixes=("_table4", "_table3"))
    return out.assign(difference=(out.miou_table3 - out.miou_table4).round(9))


def applications(tables: Tables) -> pd.DataFrame:
    """Return both applications' drops at the same network and band limit, hence at the same R_ce of Table 1.

    Columns model, dataset, nu_max, rce, truncated (Table 4, unpruned), blocks (Table 3), apart (the drops differ by
    more than the rounding of both), factor (the larger over the smaller).
    """
    keys = [*CURVE, "nu_max", "rce"]
    cut = tables.cut.query("prune_rate == 0").rename(columns={"miou_drop": "truncated"})[[*keys, "truncated"]]
    own = tables.blocks.rename(columns={"miou_drop": "blocks"})[[*keys, "blocks"]]
    out = cut.merge(own, on=keys, validate="one_to_one")
    both, apart = out[["truncated", "blocks"]], (out.truncated - out.blocks).abs() > 2 * HALF_MIOU + 1e-9
    return out.assign(apart=apart, factor=both.max(axis=1) / both.min(axis=1))


def pruning_effect(tables: Tables) -> pd.DataFrame:
    """Return `difference`: each pruned network's drop minus the unpruned network's at the same LRG size.

    The drops are those that the printed mIoUs give; `rounding_explains` says whether rounding alone can explain it.
    """
    base = tables.cut.query("prune_rate == 0")[[*CURVE, "lrg_size", "miou", "base"]]
    rows = tables.cut.query("prune_rate > 0").merge(base, on=[*CURVE, "lrg_size"], suffixes=("", "_unpruned"))
    (lo, hi), (lo0, hi0) = (drop_interval(rows[f"miou{s}"], rows[f"base{s}"]) for s in ("", "_unpruned"))
    difference = (1 - rows.miou / rows.base) - (1 - rows.miou_unpruned / rows.base_unpruned)
    return rows[CELL].assign(difference=difference, rounding_explains=(lo <= hi0) & (lo0 <= hi))


def order(cells: pd.DataFrame, axis: str, first: str, second: str) -> pd.DataFrame:
    """Return, cell by cell, which of two models (`axis` "model") or data sets has the larger R_ce and the larger drop.

    Columns `rce_sign` and `drop_sign` are +1 where the first's is larger, -1 where smaller, 0 where the printed values
    tie.
    """
    wide = cells.pivot(index=[c for c in CELL if c != axis], columns=axis, values=["rce", "miou_drop"])
    signs = {name: np.sign((wide[c][first] - wide[c][second]).round(9)).astype(int)
             for name, c in (("rce_sign", "rce"), ("drop_sign", "miou_drop"))}  # fmt: skip
    return pd.DataFrame(signs)


def agreement(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return the ordering comparisons at equal LRG size and pruning rate: between models and between data sets."""
    pairs = [("cityscapes", "pascal"), ("cityscapes", "deepglobe"), ("pascal", "deepglobe")]
    by_set = pd.concat([order(tables.cut, "dataset", *p) for p in pairs])
    return {"models": order(tables.cut, "model", "dan", "deeplabv3plus"), "datasets": by_set}


@sentence("tab4-drops", "truncation", 0.031, **DROP, model="dan", dataset="pascal", prune_rate=0.4, lrg_size=49)
def _drops4(t: Tables) -> Fact:
    off = int(((t.cut.from_miou - t.cut.miou_drop).abs() > HALF_MIOU + 1e-9).sum())
    return share(t.cut.agrees, f"{{k}} of {{n}} printed drops are possible for the printed mIoUs; {off} differ in the "
                 "last digit, so they were made from unrounded mIoUs.")  # fmt: skip


@sentence("tab3-drops", "block", 0.05, **DROP, dataset="pascal", nu_max=32)
def _drops3(t: Tables) -> Fact:
    return share(t.coarse.agrees, "{k} of {n} printed drops are possible for the printed mIoUs.")


@sentence("tab4-complete", lambda t: replace(t, truncation=t.truncation.iloc[:-1]))
def _complete(t: Tables) -> Fact:
    both = t.truncation.pivot_table(index=CELL, columns="metric", values="value", aggfunc="count")
    ok, rows = int(((both.miou == 1) & (both.miou_drop == 1)).sum()), 2 * 3 * 4 * 7
    return Fact(ok, f"{ok} of {rows} networks have an mIoU and a drop.", n=rows)


@sentence("a10-monotone", "truncation", 0.7, **MIOU, dataset="cityscapes", lrg_size=49)
def _monotone4(t: Tables) -> Forms:
    size = rises(t.cells, "lrg_size", SETUP, up=False)
    rate = rises(t.cells, "prune_rate", [*CURVE, "lrg_size"])
    up = rate[rate > 0]
    yield "printed", share(pd.concat([size, rate]) <= 0, f"{{k}} of {{n}} steps do not raise the mIoU; {len(up)} steps "
                           f"to more pruning do, by up to {up.max():.3f}." if len(up) else "all")  # fmt: skip
    yield "corrected", share(size <= 0, "Along the LRG size alone {k} of {n}.")


@sentence("tab3-monotone", "block", 0.8, **MIOU, dataset="pascal", nu_max=8)
def _monotone3(t: Tables) -> Fact:
    steps = rises(t.blocks, "nu_max", CURVE, up=False)
    return share(steps < 0, "{k} of {n} steps to a lower band limit lower the mIoU.")


def _streets(frame: pd.DataFrame, keys: list[str]) -> Fact:
    pairs = streets_exceed(frame, "miou_drop", keys)
    ratio = (pairs.larger / pairs.smaller.clip(lower=HALF_MIOU)).min()
    note = f"{{k}} of {{n}} comparisons, rounding included; the smallest ratio is {ratio:.1f}."
    return share(pairs.difference > 2 * HALF_MIOU, note)


@sentence("a10-cityscapes-larger", "truncation", 0.001, **DROP, dataset="cityscapes", lrg_size=97)
def _streets4(t: Tables) -> Fact:
    return _streets(t.cut, ["model", "prune_rate", "lrg_size"])


@sentence("sec33-cityscapes-larger", "block", 0.01, **DROP, dataset="cityscapes", nu_max=32)
def _streets3(t: Tables) -> Fact:
    return _streets(t.coarse, ["model", "nu_max"])


@sentence("a10-example-at-65", "text", example=(("pascal", 0.02),))
def _example(t: Tables) -> Fact:
    row = t.cells.query("model == 'deeplabv3plus' and prune_rate == 0 and lrg_size == 65")
    drop = row.set_index("dataset").miou_drop
    near = {d: abs(drop[d] - v) <= HALF_MIOU for d, v in t.text.example}
    wrong = [f"; {d}: text {v:.1%}, Table 4a {drop[d]:.1%}" for d, v in t.text.example if not near[d]]
    return share(near.values(), f"{{k}} of {{n}} numbers agree{''.join(wrong)}.")


@sentence("tab34-baselines", "block", 0.7, **MIOU, nu_max=256)
def _baselines(t: Tables) -> Fact:
    b = baselines(t)
    bad = "; ".join(f"{r.model} on {r.dataset}: {r.miou_table3:.1%} in Table 3, {r.miou_table4:.1%} in Table 4"
                    for r in b[b.difference != 0].itertuples())  # fmt: skip
    return share(b.difference == 0, f"{{k}} of {{n}} unpruned networks have one mIoU in both tables; {bad}.")


@sentence("sec32-no-degradation", "truncation", 0.1, **MIOU, lrg_size=33)
def _no_loss(t: Tables) -> Fact:
    return share(t.cut.miou >= t.cut.base, "{k} of {n} truncated networks keep the printed mIoU of LRG 129; the median "
                 f"drop is {t.cut.miou_drop.median():.1%}.")  # fmt: skip


@sentence("sec32-degradation-inevitable", "truncation", 0.9, **MIOU, dataset="pascal", prune_rate=0.2, lrg_size=97)
def _inevitable(t: Tables) -> Fact:
    return share(t.cut.query("prune_rate > 0").eval("miou < parent"),
                 "{k} of {n} pruned and truncated networks lose mIoU.")  # fmt: skip


@sentence("sec32-pruning-leaves-drop", "truncation", 0.3, **MIOU, dataset="pascal", prune_rate=0.4, lrg_size=65)
def _pruning(t: Tables) -> Forms:
    p = pruning_effect(t)
    off = p.difference.abs()
    yield "printed", share(off <= PRUNING_MARGIN, "{k} of {n} pruned drops are within one point of the unpruned "
                           f"network's (largest difference {off.max():.3f}); rounding explains "
                           f"{p.rounding_explains.sum()}.")  # fmt: skip
    yield "corrected", share(off[p.lrg_size >= 65] <= PRUNING_MARGIN, "At LRG 65 and above {k} of {n} are.")


@sentence("sec32-small-rce-small-drop", "truncation", 0.2, **DROP, dataset="deepglobe", lrg_size=49)
def _small_rce(t: Tables) -> Forms:
    drop = t.cut.query("rce <= 0.05").miou_drop
    yield "printed", share(drop <= 0.05, "{k} of {n} networks with R_ce <= 0.05 drop by at most 5 % (largest "
                           f"{drop.max():.1%}).")  # fmt: skip
    yield "approximation", share(drop <= 0.10, "{k} of {n} by at most 10 %.")


@sentence("con-block-close", "block", 0.2, **DROP, dataset="pascal", nu_max=32)
def _block_close(t: Tables) -> Forms:
    some = t.blocks.query("nu_max in (16, 32)")
    two = some.query("nu_max == 32 and dataset != 'cityscapes'").miou_drop
    streets = some[some.dataset == "cityscapes"].miou_drop
    yield "printed", share(some.miou_drop <= 0.05, "{k} of {n} networks trained on blocks of nu_max 16 and 32 stay "
                           f"within 5 %; on Cityscapes they lose {streets.min():.1%} to "
                           f"{streets.max():.1%}.")  # fmt: skip
    yield "corrected", share(two <= 0.05, f"On PASCAL and DeepGlobe at nu_max = 32 {{k}} of {{n}} do (at most "
                             f"{two.max():.1%}).")  # fmt: skip


@sentence("con-results-agree", "rce", 0.001, dataset="cityscapes")
def _agree(t: Tables) -> Forms:
    parts = agreement(t)
    same = {k: (f.rce_sign == f.drop_sign) & (f.rce_sign != 0) for k, f in parts.items()}
    yield "printed", share(pd.concat(same.values()), "R_ce orders {k} of {n} pairs of networks as their drops are "
                           "ordered.")  # fmt: skip
    yield "corrected", share(same["datasets"], "Between data sets {k} of {n}.")
