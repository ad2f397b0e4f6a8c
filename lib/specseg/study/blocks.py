"""Networks trained on block-wise labels against fully labelled ones (Table 3), and what the chapter tells the ledger.

Drops are relative to the network of the same domain, model, folds and seeds trained on full labels, on the same
pictures with true labels. Labour model for equal budgets: an annotator decides once per block (or pixel) along each
contour, so that blocks of h pixels a side cost 1/h of full labels, and N/h fully labelled pictures cost as much as N in
blocks. Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.3.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.evidence import statistics
from specseg.evidence.records import Record
from specseg.evidence.verdicts import FEWEST
from specseg.study import gate, trained
from specseg.study.predictor_cells import Found
from specseg.study.printed.tables import Tables
from specseg.study.printed.tables import blocks as weak_labels
from specseg.study.trained import PAPER_KIND, Measured, Pool

KIND_OF = {"voc2012": "objects", "dubai": "land cover", "camvid": "streets"}
CLOSE_KINDS = ("objects", "land cover")


class Pair(NamedTuple):
    """A setup trained on blocks of one band limit, and the fully labelled one on the same folds and seeds."""

    base: Pool
    weak: Pool

    @property
    def nu_max(self) -> int:
        """Band limit of the blocks in cycles per frame."""
        return self.weak.setup.nu_max


def pairs(found: Found, annotation: str = "block") -> list[Pair]:
    """Return every setup trained on blocks ("block" or "block_nearest") beside its fully labelled one, finest first."""
    whole = {p.setup: p for source in (found.truncation, found.networks) for p in trained.pools(source)}
    out = []
    for pool in trained.pools(found.blocks, annotation=annotation):
        base = whole.get(replace(pool.setup, annotation="full", nu_max=0))
        if base and base.keys & pool.keys:
            out.append(Pair(*trained.shared(base, pool)))
    return sorted(out, key=lambda p: -p.nu_max)


def table(found: Sequence[Pair]) -> pd.DataFrame:
    """Return Table 3 of our networks: domain, kind, model, annotation, nu_max (0: full labels), miou, drop with low and
    high, label_drop (what the training labels themselves lose), folds, seeds, n."""
    rows = []
    for pair in found:
        about = {k: v for k, v in pair.weak.describe().items()
                 if k in ("domain", "kind", "model", "annotation", "folds", "seeds", "n")}  # fmt: skip
        labels = [m.rows.query("metric == 'label_miou'")["value"] for m in pair.weak.members if len(m.rows)]
        full, weak = (statistics.estimate(*trained.miou_draws(p)) for p in pair)
        drop = statistics.estimate(*trained.drop_draws(pair.base, pair.weak))
        lost = float(1 - pd.concat(labels).mean()) if labels else float("nan")
        rows.append({**about, "nu_max": 0, "miou": full["value"], "drop": 0.0, "low": 0.0, "high": 0.0,
                     "label_drop": 0.0})  # fmt: skip
        rows.append({**about, "nu_max": pair.nu_max, "miou": weak["value"], "drop": drop["value"], "low": drop["low"],
                     "high": drop["high"], "label_drop": lost})  # fmt: skip
    columns = ["domain", "kind", "model", "annotation", "nu_max", "miou", "drop", "low", "high", "label_drop"]
    return pd.DataFrame(rows, columns=None if rows else columns).drop_duplicates(
        ["domain", "model", "annotation", "nu_max"]
    )


def printed() -> pd.DataFrame:
    """Return Tables 3a and 3b as dataset, kind, model, nu_max (0: full labels), miou, drop."""
    rows = weak_labels(Tables.read()).sort_values(["dataset", "model", "nu_max"], ignore_index=True)
    rows = rows.assign(kind=rows["dataset"].map(PAPER_KIND), nu_max=rows["nu_max"].replace(256, 0))
    return rows[["dataset", "kind", "model", "nu_max", "miou", "miou_drop"]].rename(columns={"miou_drop": "drop"})


def equal_budget(found: Found) -> pd.DataFrame:
    """Return blocks against fewer full labels at one budget: domain, model, nu_max, images, pairs, each, value, ends.

    `value` is the mIoU trained on blocks minus that of the network trained on `images` = N/h full labels (within 2 %),
    the mean of so many `pairs` of trainings; `each` has their gains as parts of the latter's mIoU.
    """
    few = {(p.setup.domain, p.setup.model, p.setup.images): p for p in trained.pools(found.blocks, annotation="full")}
    rows = []
    for pool in trained.pools(found.blocks, annotation="block", images=0):
        n = pool.setup
        side = (n.size - 1) / (2 * n.nu_max)
        total = _pictures(pool)
        for (domain, model, images), other in few.items():
            if (domain, model) == (n.domain, n.model) and total and abs(images * side / total - 1) < 0.02:
                one, two = trained.shared(pool, other)
                (a, drawn_a), (b, drawn_b) = trained.miou_draws(one), trained.miou_draws(two)
                rows.append({"domain": domain, "model": model, "nu_max": n.nu_max, "images": images,
                             "pairs": len(one.keys), "each": [-v for v in each(two, one)], "miou": a, "miou_few": b,
                             **statistics.estimate(a - b, drawn_a - drawn_b)})  # fmt: skip
    return pd.DataFrame(rows)


def _pictures(pool: Pool) -> int:
    """Training pictures of a fold, mean over folds, as the record's labels counted them; 0 where it does not say."""
    counted = [m.rows.query("metric == 'label_miou'")["n"] for m in pool.members if len(m.rows)]
    return round(float(pd.concat(counted).mean())) if counted else 0


class Noise(NamedTuple):
    """How far trainings that differ in their seed alone differ: relative standard deviation of the mIoU, seeds."""

    spread: float
    seeds: int

    def widen(self, value: float, drawn: np.ndarray, each: Sequence[float], pairs: float = 0) -> dict:
        """Return the fields of an observation of a difference between trainings, the mean of `each` pair's.

        The interval of the pictures and that of trainings added as squares. The latter is Student's t by this spread,
        as if the two of a pair were independent (a mean worth so many `pairs`, by default all of them), or by the
        pairs' own scatter where there are three and it is wider. Units are the pairs.
        """
        from scipy import stats

        own = statistics.estimate(value, drawn)
        more = stats.t.ppf(0.975, self.seeds - 1) * self.spread * np.sqrt(2 / (pairs or len(each)))
        if len(each) >= FEWEST:
            more = max(more, stats.t.ppf(0.975, len(each) - 1) * float(np.std(each, ddof=1)) / np.sqrt(len(each)))
        low, high = (value + s * float(np.hypot(abs(own[k] - value), more)) for s, k in ((-1, "low"), (1, "high")))
        return {"value": value, "low": low, "high": high, "over": "trainings", "units": len(each)}


def noise(found: Sequence[Measured]) -> Noise | None:
    """Return the spread over seeds of fully labelled networks, from the setup with most seeds; None with fewer than 3.

    `found` are records that hold the counts of whole networks.

    It stands for all: a single training cannot say how far another would differ.
    """
    pools = trained.pools(trained.plain(found))
    most = max(pools, key=lambda p: len(p.seeds), default=None)
    if most is None or len(most.seeds) < FEWEST:
        return None
    mious = [trained.miou_draws(Pool(part))[0] for part in most.by_seed]
    return Noise(float(np.std(mious, ddof=1) / np.mean(mious)), len(mious))


def observations(found: Found) -> tuple[list[dict], dict[str, str]]:
    """Return the observations of Table 3's claims, and claim -> reason of those that cannot be observed yet.

    Every difference of two trainings bears the spread of trainings.
    """
    blocks, spread, ratios = (
        pairs(found),
        noise([*found.networks, *found.truncation]),
        gate.quality(found.networks, found.blocks),
    )
    if not blocks or spread is None:
        why = "networks trained on blocks, and three seeds of a fully labelled one: not both on record"
        return [], dict.fromkeys(CLAIMS, why)
    facts = [*_steps(blocks, spread, ratios), *_close(blocks, spread, ratios), *_coarse(blocks, spread, ratios),
             *_gaps(blocks, spread, ratios), *_budget(found, spread, ratios)]  # fmt: skip
    seen = {f["claim_id"] for f in facts}
    return facts, {claim: why for claim, why in CLAIMS.items() if claim not in seen}


CLAIMS = {
    "tab3-monotone-r3": "no network trained on blocks has a record yet",
    "tab3-objects-close-r3": "no network trained on blocks of nu_max = 32 or 16 has a record yet",
    "tab3-coarse-blocks-r3": "no network trained on blocks of nu_max = 8 has a record yet",
    "tab3-streets-larger-r3": "streets and another domain, one model, trained on blocks: no records yet",
    "sec21-weak-labels-cost-effective": "networks on blocks and on fewer full labels: not both on record",
}


def _about(claim: str, pool: Pool, ratios: dict[str, float]) -> dict:
    return {"claim_id": claim, **pool.observed(ratios)}


def _steps(found: Sequence[Pair], spread: Noise, ratios: dict[str, float]) -> list[dict]:
    """The fall of the mIoU at each step to coarser blocks, full labels first, as part of the finer network's."""
    facts = []
    for _, own in itertools.groupby(sorted(found, key=_who), key=_who):
        line = sorted(own, key=lambda p: -p.nu_max)
        finer = [line[0].base, *(p.weak for p in line)]
        for pair, before in zip(line, finer, strict=False):
            fall = spread.widen(*trained.drop_draws(before, pair.weak), each(before, pair.weak))
            facts.append(
                {
                    **_about("tab3-monotone-r3", pair.weak, ratios),
                    **fall,
                    "mutant": -1.0,
                    "note": f"{_who(pair)} to {pair.nu_max}: {fall['value']:+.1%} [{fall['low']:+.1%}, "
                    f"{fall['high']:+.1%}].",
                }
            )
    return facts


def _close(found: Sequence[Pair], spread: Noise, ratios: dict[str, float]) -> list[dict]:
    """The drop at nu_max = 32, the paper's frequency, and at 16, its share of the grid's band limit."""
    facts = []
    for pair in found:
        if pair.nu_max in (32, 16) and pair.weak.describe()["kind"] in CLOSE_KINDS:
            drop = spread.widen(*trained.drop_draws(*pair), each(*pair))
            facts.append({**_about("tab3-objects-close-r3", pair.weak, ratios), **drop, "mutant": 1.0, "note": (
                f"{_who(pair)} at nu_max = {pair.nu_max}: drop {drop['value']:+.1%} [{drop['low']:+.1%}, "
                f"{drop['high']:+.1%}].")})  # fmt: skip
    return facts


def _coarse(found: Sequence[Pair], spread: Noise, ratios: dict[str, float]) -> list[dict]:
    """The drop at nu_max = 8, mean over the models of a domain, each a training of its own."""
    facts = []
    coarsest = [p for p in found if p.nu_max == 8 and p.weak.describe()["kind"] == "objects"]
    for name in dict.fromkeys(p.weak.setup.domain for p in coarsest):
        own = [p for p in coarsest if p.weak.setup.domain == name]
        values, drawn = zip(*(trained.drop_draws(*p) for p in own), strict=True)
        pairs = [each(*p) for p in own]
        worth = len(own) ** 2 / sum(1 / len(p) for p in pairs)
        drop = spread.widen(float(np.mean(values)), np.mean(drawn, 0), sum(pairs, []), worth)
        facts.append({**_about("tab3-coarse-blocks-r3", own[0].weak, ratios), **drop, "mutant": 0.0, "note": (
            f"At {own[0].nu_max} cycles, mean of {len(own)} models: drop {drop['value']:+.1%} [{drop['low']:+.1%}, "
            f"{drop['high']:+.1%}]; the paper's two lose 13 and 14 %.")})  # fmt: skip
    return facts


def _gaps(found: Sequence[Pair], spread: Noise, ratios: dict[str, float]) -> list[dict]:
    """How much more streets lose than another kind of scene at one band limit, with one model."""
    facts = []
    for (streets, other), nu in itertools.product(trained.against([p.weak for p in found], "streets"), (32, 16, 8)):
        if streets.setup.nu_max == other.setup.nu_max == nu:
            (a, drawn_a), (b, drawn_b) = (
                trained.drop_draws(*next(p for p in found if p.weak is w)) for w in (streets, other)
            )
            drives, rest = (each(*next(p for p in found if p.weak is w)) for w in (streets, other))
            gap = spread.widen(a - b, drawn_a - drawn_b, drives, 1 / (1 / len(drives) + 1 / len(rest)))
            facts.append({**trained.observed_pair(streets, other, ratios), **gap, "claim_id": "tab3-streets-larger-r3",
                          "note": f"{gate.named(streets.setup)} at {nu}: {gap['value']:+.1%}."})  # fmt: skip
    return facts


def _budget(found: Found, spread: Noise, ratios: dict[str, float]) -> list[dict]:
    facts = []
    for row in equal_budget(found).to_dict("records"):
        pool = next(
            p
            for p in trained.pools(found.blocks, annotation="block", images=0)
            if (p.setup.domain, p.setup.model, p.setup.nu_max) == (row["domain"], row["model"], row["nu_max"])
        )
        drawn = np.array([row["low"], row["high"]]) / row["miou_few"]
        gap = spread.widen(row["value"] / row["miou_few"], drawn, row["each"])
        facts.append({**_about("sec21-weak-labels-cost-effective", pool, ratios), **gap, "mutant": -1.0, "note": (
            f"One decision per block along contours as the unit of labour: {gap['value']:+.1%} mIoU, blocks of nu_max "
            f"= {row['nu_max']} against {row['images']} full labels.")})  # fmt: skip
    return facts


def each(one: Pool, two: Pool) -> list[float]:
    """Return the relative drop of every pair of trainings that two setups have in common, by fold and seed."""
    pairs = zip(*(p.members for p in trained.shared(one, two)), strict=True)
    mious = [[float(statistics.miou(statistics.pooled(trained.counts(m)), one.scored)) for m in p] for p in pairs]
    return [(a - b) / a for a, b in mious]


def _who(pair: Pair) -> str:
    return gate.named(pair.weak.setup)


def coarse(sets: dict[str, Record]) -> tuple[list[dict], dict[str, str]]:
    """Return the observations of the claims on coarse labels, one per label set, from records of labels."""
    claims = {
        "fig6-coarse-contour": ("miou", "block_majority", ("miou", "no contour"), "blocks agree with the true labels"),
        "sec1-coarse-contour-like-lrg": ("miou", "polygon_block", ("miou", "no contour"),
                                         "polygons with as many values agree with the blocks"),
        "sec1-inaccuracy-is-high-frequency": ("power_beyond", "error", ("power_beyond", "truth"),
                                              "share of the blocks' error above nu_max"),
    }  # fmt: skip
    if not sets:
        return [], dict.fromkeys(claims, "no label set has a record of experiments/labels.py yet")
    facts = []
    for claim, (metric, kind, mutant, words) in claims.items():
        for name, record in sets.items():
            rows = record.rows[record.rows["table"] == "coarse"].set_index(["metric", "kind"])
            own = rows.loc[(metric, kind)]
            value, low, high = (float(own[c]) for c in ("value", "low", "high"))
            facts.append({"claim_id": claim, "value": value, "low": low, "high": high,
                          "mutant": float(rows.loc[mutant, "value"]), "null": float(rows.loc[mutant, "value"]),
                          "domain": f"{KIND_OF.get(name, name)} ({name})", "over": "pictures", "units": int(own["n"]),
                          "record": record,
                          "note": f"{name}: {words}, {value:.3f} [{low:.3f}, {high:.3f}]."})  # fmt: skip
    return facts, {}
