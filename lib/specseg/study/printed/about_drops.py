"""Sentences on the printed accuracies, Tables 3 and 4 (sections 3.2, 3.3, 4, A.10, Fig. 7)."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from specseg.study.printed import drops
from specseg.study.printed.sentences import Fact, Sentences, share
from specseg.study.printed.tables import CELL, CURVE, FULL_GRID, HALF_MIOU, SETUP, Tables, blocks, cells

SENTENCES = Sentences()

PRUNING_MARGIN = 0.01  # one point of relative drop: chosen here, the paper gives no spread over trainings


def truncated(tables: Tables) -> pd.DataFrame:
    """Return Table 4's cells without LRG 129, whose drop is 0 by definition."""
    c = cells(tables)
    return c[c.lrg_size != FULL_GRID]


@SENTENCES.test("tab4-drops", lambda t: _alike(t, 0.031, model="dan", dataset="pascal", prune_rate=0.4, lrg_size=49))
def _drops4(t: Tables) -> Fact:
    c = drops.check_drops(truncated(t))
    off = int(((c.from_miou - c.miou_drop).abs() > HALF_MIOU + 1e-9).sum())
    return share(
        c.agrees,
        "{k} of {n} printed drops are possible for the printed mIoUs; "
        f"{off} differ in the last digit, so they were made from unrounded mIoUs.",
    )


@SENTENCES.test("tab3-drops", lambda t: t.with_value("block", 0.05, metric="miou_drop", dataset="pascal", nu_max=32))
def _drops3(t: Tables) -> Fact:
    b = drops.check_drops(blocks(t))
    return share(b[b.nu_max < 256].agrees, "{k} of {n} printed drops are possible for the printed mIoUs.")


@SENTENCES.test("tab4-complete", lambda t: replace(t, truncation=t.truncation.iloc[:-1]))
def _complete(t: Tables) -> Fact:
    both = t.truncation.pivot_table(index=CELL, columns="metric", values="value", aggfunc="count")
    ok, rows = int(((both.miou == 1) & (both.miou_drop == 1)).sum()), 2 * 3 * 4 * 7
    return Fact(ok, f"{ok} of {rows} networks have an mIoU and a drop.", n=rows)


@SENTENCES.test("a10-monotone", lambda t: _miou(t, 0.7, dataset="cityscapes", lrg_size=49))
def _monotone4(t: Tables) -> dict[str, Fact]:
    size = drops.rises(cells(t), "lrg_size", SETUP, up=False)
    rate = drops.rises(cells(t), "prune_rate", [*CURVE, "lrg_size"])
    up = rate[rate > 0]
    return {
        "printed": share(
            pd.concat([size, rate]) <= 0,
            f"{{k}} of {{n}} steps do not raise the mIoU; {len(up)} steps to more pruning do, by up to {up.max():.3f}."
            if len(up)
            else "all",
        ),
        "corrected": share(size <= 0, "Along the LRG size alone {k} of {n}."),
    }


@SENTENCES.test("tab3-monotone", lambda t: t.with_value("block", 0.8, metric="miou", dataset="pascal", nu_max=8))
def _monotone3(t: Tables) -> Fact:
    steps = drops.rises(blocks(t), "nu_max", CURVE, up=False)
    return share(steps < 0, "{k} of {n} steps to a lower band limit lower the mIoU.")


def _streets(frame: pd.DataFrame, keys: list[str]) -> Fact:
    pairs = drops.streets_exceed(frame, "miou_drop", keys)
    ratio = (pairs.larger / pairs.smaller.clip(lower=HALF_MIOU)).min()
    return share(
        pairs.difference > 2 * HALF_MIOU,
        f"{{k}} of {{n}} comparisons, rounding included; the smallest ratio is {ratio:.1f}.",
    )


@SENTENCES.test("a10-cityscapes-larger", lambda t: _alike(t, 0.001, dataset="cityscapes", lrg_size=97))
def _streets4(t: Tables) -> Fact:
    return _streets(truncated(t), ["model", "prune_rate", "lrg_size"])


@SENTENCES.test(
    "sec33-cityscapes-larger",
    lambda t: t.with_value("block", 0.01, metric="miou_drop", dataset="cityscapes", nu_max=32),
)
def _streets3(t: Tables) -> Fact:
    return _streets(blocks(t).query("nu_max < 256"), ["model", "nu_max"])


@SENTENCES.test("a10-example-at-65", lambda t: t.with_text(example=(("pascal", 0.02),)))
def _example(t: Tables) -> Fact:
    row = cells(t).query("model == 'deeplabv3plus' and prune_rate == 0 and lrg_size == 65")
    drop = row.set_index("dataset").miou_drop
    near = {d: abs(drop[d] - v) <= HALF_MIOU for d, v in t.text.example}
    wrong = [f"; {d}: text {v:.1%}, Table 4a {drop[d]:.1%}" for d, v in t.text.example if not near[d]]
    return share(near.values(), f"{{k}} of {{n}} numbers agree{''.join(wrong)}.")


@SENTENCES.test("tab34-baselines", lambda t: t.with_value("block", 0.7, metric="miou", nu_max=256))
def _baselines(t: Tables) -> Fact:
    b = drops.baselines(cells(t), blocks(t))
    bad = "; ".join(
        f"{r.model} on {r.dataset}: {r.miou_table3:.1%} in Table 3, {r.miou_table4:.1%} in Table 4"
        for r in b[b.difference != 0].itertuples()
    )
    return share(b.difference == 0, f"{{k}} of {{n}} unpruned networks have one mIoU in both tables; {bad}.")


@SENTENCES.test("sec32-no-degradation", lambda t: _miou(t, 0.1, lrg_size=33))
def _no_loss(t: Tables) -> Fact:
    c = truncated(t)
    return share(
        c.miou >= c.base,
        "{k} of {n} truncated networks keep the printed mIoU of LRG 129; the median "
        f"drop is {c.miou_drop.median():.1%}.",
    )


@SENTENCES.test("sec32-degradation-inevitable", lambda t: _miou(t, 0.9, dataset="pascal", prune_rate=0.2, lrg_size=97))
def _inevitable(t: Tables) -> Fact:
    c = truncated(t).query("prune_rate > 0")
    return share(c.miou < c.parent, "{k} of {n} pruned and truncated networks lose mIoU.")


@SENTENCES.test("sec32-pruning-leaves-drop", lambda t: _miou(t, 0.3, dataset="pascal", prune_rate=0.4, lrg_size=65))
def _pruning(t: Tables) -> dict[str, Fact]:
    p = drops.pruning_effect(cells(t))
    off = p.difference.abs()
    return {
        "printed": share(
            off <= PRUNING_MARGIN,
            "{k} of {n} pruned drops are within one point of the unpruned network's (largest "
            f"difference {off.max():.3f}); rounding explains {p.rounding_explains.sum()}.",
        ),
        "corrected": share(off[p.lrg_size >= 65] <= PRUNING_MARGIN, "At LRG 65 and above {k} of {n} are."),
    }


@SENTENCES.test("sec32-small-rce-small-drop", lambda t: _alike(t, 0.2, dataset="deepglobe", lrg_size=49))
def _small_rce(t: Tables) -> dict[str, Fact]:
    c = truncated(t).query("rce <= 0.05")
    return {
        "printed": share(
            c.miou_drop <= 0.05,
            f"{{k}} of {{n}} networks with R_ce <= 0.05 drop by at most 5 % (largest {c.miou_drop.max():.1%}).",
        ),
        "approximation": share(c.miou_drop <= 0.10, "{k} of {n} by at most 10 %."),
    }


@SENTENCES.test(
    "con-block-close", lambda t: t.with_value("block", 0.2, metric="miou_drop", dataset="pascal", nu_max=32)
)
def _block_close(t: Tables) -> dict[str, Fact]:
    some = blocks(t).query("nu_max in (16, 32)")
    two = some.query("nu_max == 32 and dataset != 'cityscapes'")
    streets = some[some.dataset == "cityscapes"].miou_drop
    return {
        "printed": share(
            some.miou_drop <= 0.05,
            "{k} of {n} networks trained on blocks of nu_max 16 and 32 stay within 5 %; "
            f"on Cityscapes they lose {streets.min():.1%} to {streets.max():.1%}.",
        ),
        "corrected": share(
            two.miou_drop <= 0.05,
            f"On PASCAL and DeepGlobe at nu_max = 32 {{k}} of {{n}} do (at most {two.miou_drop.max():.1%}).",
        ),
    }


def agreement(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return the ordering comparisons at equal LRG size and pruning rate: between models and between data sets."""
    c = cells(tables)
    pairs = [("cityscapes", "pascal"), ("cityscapes", "deepglobe"), ("pascal", "deepglobe")]
    by_set = pd.concat([drops.order(c, "dataset", *p) for p in pairs])
    return {"models": drops.order(c, "model", "dan", "deeplabv3plus"), "datasets": by_set}


@SENTENCES.test("con-results-agree", lambda t: t.with_value("rce", 0.001, dataset="cityscapes"))
def _agree(t: Tables) -> dict[str, Fact]:
    parts = agreement(t)
    same = {k: (f.rce_sign == f.drop_sign) & (f.rce_sign != 0) for k, f in parts.items()}
    said = parts["models"].rce_sign != 0
    return {
        "printed": share(
            pd.concat(same.values()),
            "R_ce orders {k} of {n} pairs of networks as their drops are ordered; between the two models it ties in "
            f"{int((~said).sum())} of {len(said)} and is right in {int(same['models'][said].sum())} of the other "
            f"{int(said.sum())}.",
        ),
        "corrected": share(same["datasets"], "Between data sets {k} of {n}."),
    }


def _alike(t: Tables, value: float, **where) -> Tables:
    return t.with_value("truncation", value, metric="miou_drop", **where)


def _miou(t: Tables, value: float, **where) -> Tables:
    return t.with_value("truncation", value, metric="miou", **where)
