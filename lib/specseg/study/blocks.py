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
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.evidence import statistics
from specseg.evidence.records import Record
from specseg.measure import truncation as study
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network
from specseg.study import trained
from specseg.study.predictor_cells import Found
from specseg.study.printed.tables import Tables
from specseg.study.printed.tables import blocks as weak_labels
from specseg.study.trained import PAPER_KIND, Measured, Pool

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
    """Return blocks against fewer full labels at one budget: domain, model, nu_max, images, value (mIoU), low, high.

    `value` is the mIoU trained on blocks minus that of the network trained on `images` = N/h full labels (within 2 %).
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
                             "miou": a, "miou_few": b, **statistics.estimate(a - b, drawn_a - drawn_b)})  # fmt: skip
    return pd.DataFrame(rows)


def _pictures(pool: Pool) -> int:
    """Training pictures of a fold, mean over folds, as the record's labels counted them; 0 where it does not say."""
    counted = [m.rows.query("metric == 'label_miou'")["n"] for m in pool.members if len(m.rows)]
    return round(float(pd.concat(counted).mean())) if counted else 0


def observations(found: Found) -> tuple[list[dict], dict[str, str]]:
    """Return the observations of Table 3's claims, and claim -> reason of those that cannot be observed yet."""
    blocks = pairs(found)
    facts: list[dict] = []
    missing = {}
    steps = _steps(blocks)
    if steps:
        falls = sum(b < a for _, a, b in steps)
        facts.append(
            {
                "claim_id": "tab3-monotone-r3",
                "value": falls,
                "n": len(steps),
                "mutant": 0,
                "note": f"The mIoU falls in {falls} of {len(steps)} steps to coarser blocks ({_who(blocks)}).",
            }
        )
    else:
        missing["tab3-monotone-r3"] = "no network trained on blocks has a record yet"
    near = [p for p in blocks if p.nu_max == 32 and p.weak.describe()["kind"] in CLOSE_KINDS]
    for pair in near:
        drop = statistics.estimate(*trained.drop_draws(*pair))
        facts.append({"claim_id": "tab3-objects-close-r3", **drop, "mutant": 1.0,
                      "note": f"{_who([pair])}: {drop['value']:.1%} of the mIoU lost at nu_max = 32."})  # fmt: skip
    if not near:
        missing["tab3-objects-close-r3"] = "no network trained on blocks of nu_max = 32 has a record yet"
    if gaps := _gaps(blocks):
        least = min(gaps, key=lambda g: g["value"])
        facts.append({"claim_id": "tab3-streets-larger-r3", **{k: least[k] for k in ("value", "low", "high")},
                      "note": f"Smallest of {len(gaps)} differences: streets lose {least['value']:+.1%} more than "
                              f"{least['other']} at nu_max = {least['nu_max']} ({least['model']})."})  # fmt: skip
    else:
        missing["tab3-streets-larger-r3"] = "streets and another domain, one model, trained on blocks: no records yet"
    budget = equal_budget(found)
    if len(budget):
        least = budget.loc[budget["value"].idxmin()]
        facts.append({"claim_id": "sec21-weak-labels-cost-effective", "value": least["value"], "low": least["low"],
                      "high": least["high"], "mutant": -1.0,
                      "note": f"One decision per block along contours as the unit of labour. Smallest of {len(budget)} "
                              f"differences: {least['value']:+.3f} mIoU, blocks of nu_max = {least['nu_max']} against "
                              f"{least['images']} full labels."})  # fmt: skip
    else:
        missing["sec21-weak-labels-cost-effective"] = "networks on blocks and on fewer full labels: not both on record"
    return facts, missing


def _who(found: Sequence[Pair]) -> str:
    return ", ".join(dict.fromkeys(f"{p.weak.setup.domain} {p.weak.setup.model}" for p in found))


def _steps(found: Sequence[Pair]) -> list[tuple[int, float, float]]:
    """Return (nu_max, finer mIoU, coarser mIoU) of neighbouring band limits of each setup, full labels first."""
    steps = []
    for _, own in itertools.groupby(sorted(found, key=lambda p: _who([p])), key=lambda p: _who([p])):
        own = sorted(own, key=lambda p: -p.nu_max)
        mious = [trained.miou_draws(own[0].base)[0], *(trained.miou_draws(p.weak)[0] for p in own)]
        steps += [(p.nu_max, a, b) for p, (a, b) in zip(own, itertools.pairwise(mious), strict=True)]
    return steps


def _gaps(found: Sequence[Pair]) -> list[dict]:
    """Return how much more streets lose than another domain at one band limit, with one model: value, low, high."""
    gaps, drops = [], {p: trained.drop_draws(*p) for p in found}
    streets = [p for p in found if p.weak.describe()["kind"] == "streets"]
    for one, other in itertools.product(streets, found):
        same = (one.nu_max, one.weak.setup.model) == (other.nu_max, other.weak.setup.model)
        if same and other.weak.describe()["kind"] != "streets":
            (a, drawn_a), (b, drawn_b) = drops[one], drops[other]
            gaps.append({**statistics.estimate(a - b, drawn_a - drawn_b), "nu_max": one.nu_max,
                         "model": one.weak.setup.model, "other": other.weak.setup.domain})  # fmt: skip
    return gaps


def coarse(sets: dict[str, Record]) -> tuple[list[dict], dict[str, str]]:
    """Return the observations of the claims on coarse labels, one per label set, from records of coarse_labels."""
    claims = {
        "fig6-coarse-contour": ("miou", "block_majority", ("miou", "no contour"), "blocks agree with the true labels"),
        "sec1-coarse-contour-like-lrg": ("miou", "polygon_block", ("miou", "no contour"),
                                         "polygons with as many values agree with the blocks"),
        "sec1-inaccuracy-is-high-frequency": ("power_beyond", "error", ("power_beyond", "truth"),
                                              "share of the blocks' error above nu_max"),
    }  # fmt: skip
    if not sets:
        return [], dict.fromkeys(claims, "no label set has a record of experiments/coarse_labels.py yet")
    facts = []
    for claim, (metric, kind, mutant, words) in claims.items():
        for name, record in sets.items():
            rows = record.rows[record.rows["nu_max"] == 32].set_index(["metric", "kind"])
            own = rows.loc[(metric, kind)]
            value, low, high = (float(own[c]) for c in ("value", "low", "high"))
            facts.append({"claim_id": claim, "value": value, "low": low, "high": high,
                          "mutant": float(rows.loc[mutant, "value"]), "record": record,
                          "note": f"{name}: {words}, {value:.3f} [{low:.3f}, {high:.3f}]."})  # fmt: skip
    return facts, {}


def pipeline(root: Path, batches: int = 2, base: Network | None = None) -> Found:
    """Train a network (the smoke profile's land cover) on full labels and on blocks of nu_max = 8, and score both."""
    base = base or protocol.networks("smoke", group="landcover")[0]
    measured = []
    for network in (base, replace(base, annotation="block", nu_max=8)):
        networks.ensure(network, root=root)
        net, data = weights.load(network, sources=("run",), runs=root), network.data("test")
        full = [study.Condition(study.FULL, net.prediction_grid)]
        got = study.truncation_counts(net, networks.test_batches(network, count=batches), full, boundary=())
        arrays = {"counts": got.counts[0], "names": np.array(got.names),
                  "clusters": np.array([network.home.cluster(n) for n in got.names]),
                  "scored": np.array(network.home.scored_indices(data.classes))}  # fmt: skip
        measured.append(Measured(network, pd.DataFrame(), arrays))
    return Found([], [], [], measured[1:], measured[:1])
