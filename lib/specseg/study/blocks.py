"""Networks trained on block-wise labels against fully labelled ones (Table 3), and what the chapter tells the ledger.

Drops are relative to the network of the same domain, model, folds and seeds trained on full labels, on the same
pictures with true labels. Labour model for equal budgets: an annotator decides once per block (or pixel) along each
contour, so that blocks of h pixels a side cost 1/h of full labels, and N/h fully labelled pictures cost as much as N in
blocks. Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence import statistics
from specseg.evidence.records import Record
from specseg.evidence.verdicts import FEWEST
from specseg.study import gate, predictor_cells, trained
from specseg.study.gate import Told
from specseg.study.predictor_cells import Found
from specseg.study.printed.tables import Tables
from specseg.study.trained import PAPER_KIND, Measured, Pool, estimate

CLOSE_KINDS = ("objects", "land cover")


class Pair(NamedTuple):
    """A setup trained on blocks of one band limit, and the fully labelled one on the same folds and seeds."""

    base: Pool
    weak: Pool

    @property
    def nu_max(self) -> int:
        """Band limit of the blocks in cycles per frame."""
        return self.weak.setup.nu_max

    @property
    def drop(self) -> np.ndarray:
        """The drawn drop from full labels to blocks."""
        return self.base.drop(of=self.weak)


def pairs(found: Found) -> list[Pair]:
    """Return every setup trained on blocks beside its fully labelled one, finest first."""
    return sorted((Pair(*p) for p in predictor_cells.pairs(found)), key=lambda p: -p.nu_max)


def _labels(pool: Pool) -> pd.DataFrame:
    """Return the rows on its training labels, one a training: their own mIoU (value), how many pictures (n)."""
    rows = pd.concat([m.rows.reindex(columns=["metric", "value", "n"]) for m in pool.members])
    return rows[rows["metric"] == "label_miou"]


def table(found: Sequence[Pair]) -> pd.DataFrame:
    """Return Table 3 of our networks: domain, kind, model, annotation, nu_max (0: full labels), miou, drop with low and
    high, label_drop (what the training labels themselves lose), folds, seeds, n."""
    keys = ["domain", "kind", "model", "annotation"]
    rows = []
    for pair in found:
        about = {k: v for k, v in pair.weak.describe().items() if k in (*keys, "folds", "seeds", "n")}
        full, weak = (p.miou()[0] for p in pair)
        drop = estimate(pair.drop)
        drop |= {"drop": drop.pop("value"), "label_drop": 1 - _labels(pair.weak)["value"].mean()}
        rows += [{**about, "nu_max": 0, "miou": full, **dict.fromkeys(drop, 0.0)},
                 {**about, "nu_max": pair.nu_max, "miou": weak, **drop}]  # fmt: skip
    return pd.DataFrame(rows).drop_duplicates([*keys, "nu_max"])


def printed() -> pd.DataFrame:
    """Return Tables 3a and 3b as dataset, kind, model, nu_max (0: full labels), miou, drop."""
    rows = Tables.read().blocks.sort_values(["dataset", "model", "nu_max"], ignore_index=True)
    rows = rows.assign(kind=rows["dataset"].map(PAPER_KIND), nu_max=rows["nu_max"].replace(256, 0))
    return rows[["dataset", "kind", "model", "nu_max", "miou", "miou_drop"]].rename(columns={"miou_drop": "drop"})


def equal_budget(found: Found) -> pd.DataFrame:
    """Return blocks against fewer full labels at one budget: domain, model, nu_max, images, pool, pairs, each, value.

    `value` is the mIoU trained on blocks minus that of the network trained on `images` = N/h full labels (within 2 %),
    the mean of so many `pairs` of trainings; `each` has their gains as parts of the latter's mIoU.
    """
    few = trained.pools(found.blocks, annotation="full")
    rows = []
    for pool, other in itertools.product(trained.pools(found.blocks, annotation="block", images=0), few):
        n, images, counted = pool.setup, other.setup.images, _labels(pool)["n"]
        total = round(counted.mean()) if len(counted) else 0  # training pictures of a fold
        side = (n.size - 1) / (2 * n.nu_max)
        if trained.who(n) == trained.who(other.setup) and total and abs(images * side / total - 1) < 0.02:
            one, two = trained.shared(pool, other)
            mious = [p.miou() for p in (one, two)]
            rows.append({"domain": n.domain, "model": n.model, "nu_max": n.nu_max, "images": images, "pool": pool,
                         "pairs": len(one.keys), "each": [-v for v in each(two, one)], "miou": mious[0][0],
                         "miou_few": mious[1][0], **estimate(mious[0] - mious[1])})  # fmt: skip
    return pd.DataFrame(rows)


class Noise(NamedTuple):
    """How far trainings that differ in their seed alone differ: relative standard deviation of the mIoU, seeds."""

    spread: float
    seeds: int

    def widen(self, drawn: np.ndarray, each: Sequence[float], pairs: float = 0) -> dict:
        """Return the fields of an observation of a difference between trainings, the mean of `each` pair's.

        The interval of the pictures and that of trainings added as squares. The latter is Student's t by this spread,
        as if the two of a pair were independent (a mean worth so many `pairs`, by default all of them), or by the
        pairs' own scatter where there are three and it is wider. Units are the pairs.
        """
        from scipy import stats

        own = estimate(drawn)
        value = own["value"]
        more = stats.t.ppf(0.975, self.seeds - 1) * self.spread * np.sqrt(2 / (pairs or len(each)))
        if len(each) >= FEWEST:
            more = max(more, stats.t.ppf(0.975, len(each) - 1) * float(np.std(each, ddof=1)) / np.sqrt(len(each)))
        low, high = (value + s * float(np.hypot(abs(own[k] - value), more)) for s, k in ((-1, "low"), (1, "high")))
        return {"value": value, "low": low, "high": high, "over": "trainings", "units": len(each)}


def noise(found: Sequence[Measured]) -> Noise:
    """Return the spread over seeds of fully labelled networks, from the setup with most seeds.

    `found` are records that hold the counts of whole networks.

    It stands for all: a single training cannot say how far another would differ.
    """
    most = max(trained.pools(trained.plain(found)), key=lambda p: len(p.seeds))
    mious = [drawn[0] for drawn in most.mious()]
    return Noise(float(np.std(mious, ddof=1) / np.mean(mious)), len(mious))


def observations(found: Found) -> Told:
    """Return the observations of Table 3's claims; every difference of two trainings bears the spread of trainings."""
    blocks, spread, told = pairs(found), noise([*found.networks, *found.truncation]), Told()
    ratios = gate.quality(found.networks, found.blocks)

    def tell(
        claim: str, pool: Pool, drawn: np.ndarray, each: Sequence[float], words: str, *about: dict, **more
    ) -> None:
        fact = spread.widen(drawn, each, more.pop("pairs", 0))
        note = words.format(f"{fact['value']:+.1%}", ends=gate.ends(fact, "{:+.1%}"))
        told.tell(claim, note, *(about or (pool.observed(ratios),)), fact, **more)

    for who, own in itertools.groupby(sorted(blocks, key=_who), key=_who):  # each step to coarser blocks
        line = sorted(own, key=lambda p: -p.nu_max)
        for pair, before in zip(line, [line[0].base, *(p.weak for p in line)], strict=False):
            tell("tab3-monotone-r3", pair.weak, before.drop(of=pair.weak), each(before, pair.weak),
                 f"{who} to {pair.nu_max}: {{ends}}.", mutant=-1.0)  # fmt: skip
    for pair in blocks:  # 32 is the paper's frequency, 16 its share of the grid's band limit
        if pair.nu_max in (32, 16) and pair.weak.setup.home.kind in CLOSE_KINDS:
            tell("tab3-objects-close-r3", pair.weak, pair.drop, each(*pair),
                 f"{_who(pair)} at nu_max = {pair.nu_max}: drop {{ends}}.", mutant=1.0)  # fmt: skip
    coarsest = [p for p in blocks if p.nu_max == 8 and p.weak.setup.home.kind == "objects"]
    for name in dict.fromkeys(p.weak.setup.domain for p in coarsest):  # a domain's models, each a training of its own
        own = [p for p in coarsest if p.weak.setup.domain == name]
        drops = [each(*p) for p in own]
        tell("tab3-coarse-blocks-r3", own[0].weak, np.mean([p.drop for p in own], 0), sum(drops, []),
             f"At 8 cycles, mean of {len(own)} models: drop {{ends}}; the paper's two lose 13 and 14 %.", mutant=0.0,
             pairs=len(own) ** 2 / sum(1 / len(d) for d in drops))  # fmt: skip
    by_weak = {p.weak: p for p in blocks}
    for streets, other in trained.streets_against([*by_weak]):  # how much more streets lose at one band limit
        one, two = by_weak[streets], by_weak[other]
        if one.nu_max == two.nu_max and one.nu_max in (32, 16, 8):
            drives, rest = each(*one), each(*two)
            tell("tab3-streets-larger-r3", streets, one.drop - two.drop, drives, f"{_who(one)} at {one.nu_max}: {{}}.",
                 trained.observed_pair(streets, other, ratios),
                 pairs=1 / (1 / len(drives) + 1 / len(rest)))  # fmt: skip
    for row in equal_budget(found).to_dict("records"):
        tell("sec21-weak-labels-cost-effective", row["pool"],
             np.array([row[k] for k in ("value", "low", "high")]) / row["miou_few"], row["each"],
             "One decision per block along contours as the unit of labour: {} mIoU, blocks of nu_max = "
             f"{row['nu_max']} against {row['images']} full labels.", mutant=-1.0)  # fmt: skip
    return told


def each(one: Pool, two: Pool) -> list[float]:
    """Return the relative drop of every pair of trainings that two setups have in common, by fold and seed."""
    pairs = zip(*(p.members for p in trained.shared(one, two)), strict=True)
    mious = [[float(statistics.miou(m.counts().sum(0), one.scored)) for m in p] for p in pairs]
    return [(a - b) / a for a, b in mious]


def _who(pair: Pair) -> str:
    return gate.named(pair.weak.setup)


def coarse(sets: dict[str, Record]) -> Told:
    """Return the observations of the claims on coarse labels, one per label set, from records of labels."""
    told = Told()
    for claim, of, blind, words in (
        ("fig6-coarse-contour", ("miou", "block_majority"), ("miou", "no contour"),
         "blocks agree with the true labels"),
        ("sec1-coarse-contour-like-lrg", ("miou", "polygon_block"), ("miou", "no contour"),
         "polygons with as many values agree with the blocks"),
        ("sec1-inaccuracy-is-high-frequency", ("power_beyond", "error"), ("power_beyond", "truth"),
         "share of the blocks' error above nu_max"),
    ):  # fmt: skip
        for name, record in sets.items():
            rows = record.rows[record.rows["table"] == "coarse"].set_index(["metric", "kind"])
            own, null = rows.loc[of, ["value", "low", "high"]].astype(float).to_dict(), float(rows.loc[blind, "value"])
            told.tell(claim, f"{name}: {words}, {gate.ends(own, '{:.3f}')}.", own, mutant=null, null=null,
                      record=record, units=int(rows.loc[of, "n"]), over="pictures",
                      domain=f"{domain(name.removesuffix('2012')).kind} ({name})")  # fmt: skip
    return told
