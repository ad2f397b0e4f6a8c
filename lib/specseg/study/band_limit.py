"""Records of `band_limit_cost` as tidy tables, beside the drop of mIoU that feature truncation causes (Table 4).

The drop is that of the records of `truncation`, on the same pictures, so that every predictor meets the paper's target.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.study import gate, third_party, trained
from specseg.study.rules import Rule

RULES = (
    Rule("band-limit cost", "band_cost", "power", "network"),
    Rule("R_ce", "rce", "power", "R_ce"),
    Rule("LRG size alone", "share", "same", "LRG"),
)


def units(found: Sequence[trained.Measured], cut: Sequence[trained.Measured]) -> pd.DataFrame:
    """Return one row per network and LRG size: domain, kind, model, lrg_size, share, drop, low, high, and the metrics.

    `found` are records of band_limit_cost, `cut` of truncation; networks without the latter are left out. share is
    (lrg_size - 1)/64. Raises ValueError when a picture of one is not in the other.
    """
    of_features, rows = {m.network.name: m for m in cut}, []
    for one in found:
        if (other := of_features.get(one.network.name)) is None:
            continue
        at = {str(n): k for k, n in enumerate(other.arrays["names"])}
        names = [str(n) for n in one.arrays["names"]]
        if missing := [n for n in names if n not in at]:
            raise ValueError(f"{one.network.name}: {len(missing)} pictures, {missing[0]} first, lack in its truncation")
        pick, clusters, scored = [at[n] for n in names], list(map(str, one.arrays["clusters"])), one.arrays["scored"]
        wide = one.rows[one.rows["lrg_size"] > 0].pivot(index="lrg_size", columns="metric", values="value")
        for size, values in wide.iterrows():
            full, reduced = (other.counts(*where)[pick] for where in ((), ("bilinear", int(size))))
            drop, drawn = scores.drop_draws([full], [reduced], clusters, list(scored))
            low, high = scores.interval(drawn)
            rows.append({
                "name": one.network.name, "domain": one.network.domain, "kind": one.network.home.kind,
                "model": one.network.model, "lrg_size": int(size), "share": (int(size) - 1) / 64, "full": False,
                "drop": drop, "low": low, "high": high, **values.to_dict(),
            })  # fmt: skip
    return pd.DataFrame(rows)


def about(found: Sequence[trained.Measured], scored_by: Sequence[trained.Measured]) -> dict[str, dict]:
    """Return domain -> the fields of an observation about its networks: its unit, and why they set no verdict."""
    ratios, own = gate.quality(scored_by), {}
    for m in found:
        own.setdefault(m.network.domain, []).append(m.network)
    return {name: gate.about(gate.unit(nets[0]), gate.untrained(nets, ratios)) for name, nets in own.items()}


def order_of_others(native: Sequence[third_party.Outside], metric: str) -> third_party.Order:
    """Return `third_party.order` on native crops by a number of third_party_cost instead of R_ce.

    At half, a quarter and an eighth of a grid of every fourth pixel.
    """
    rows = [r.rows[r.rows["metric"] == metric].assign(name=r.meta["settings"]["name"])
            for r in records.find("third_party_cost", profile="standard")]  # fmt: skip
    costs = pd.concat(rows).set_index(["name", "lrg_size"])["value"].to_dict()
    side = {n.dataset: (int(n.record.meta["settings"]["size"]) - 1) // 4 for n in native}
    return third_party.order(native, sizes={d: [g // k + 1 for k in (2, 4, 8)] for d, g in side.items()}, costs=costs)
