"""FPI = cost / mIoU of trained networks over LRG sizes, with several models of the cost (section 3.2, Fig. 4).

Costs are relative to the full network of the same model: printed FLOPs (Table 2), our count at output stride 16, our
own networks' FLOPs, and measured seconds. LRG sizes of our smaller grid stand for those of the paper's 129 at the same
share (lrg_size - 1)/(grid - 1).
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from specseg.evidence import paper
from specseg.nets import flops
from specseg.nets.flops import table2
from specseg.study import cost as cost_of
from specseg.study import trained
from specseg.study import truncation as tables
from specseg.study.trained import Pool

PRINTED, STRIDE16, OWN, SECONDS = "printed FLOPs", "FLOPs at stride 16", "our networks' FLOPs", "measured seconds"


def _relative(rows: pd.DataFrame, cost: str, full: int) -> pd.DataFrame:
    rows = rows.astype({"prune_rate": float, "lrg_size": int})
    whole = rows[(rows["prune_rate"] == 0) & (rows["lrg_size"] == full)].set_index("model")["value"]
    share, value = (rows["lrg_size"] - 1) / (full - 1), rows["value"] / rows["model"].map(whole)
    return rows.assign(cost=cost, share=share, value=value)[["cost", "model", "prune_rate", "share", "value"]]


def costs(latency: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return relative costs: cost (its name), model, prune_rate, share, value (1 at the unpruned full grid).

    `latency` are the rows of a latency record (fp32, one picture): paired time ratios of the full network, and of
    pruned ones with their filters removed where those were timed. Without it there are no seconds.

    >>> c = costs().query("cost == 'printed FLOPs' and model == 'dan' and prune_rate == 0").set_index("share")["value"]
    >>> float(round(c[0.5], 3))                                                          # 98 of 107 GFLOP
    0.916
    """
    parts = [_relative(paper.table("2"), PRINTED, 129), _relative(table2.cells(output_stride=16), STRIDE16, 129)]
    if latency is not None:
        rows = latency[(latency["metric"] == "time_ratio") & (latency["precision"] == "fp32") & (latency["batch"] == 1)]
        rows = rows[rows["form"] == rows["prune_rate"].gt(0).map({True: "removed", False: "full"})]
        size = latency["lrg_size"].max()
        parts.append(pd.DataFrame({
            "cost": SECONDS, "model": rows["model"], "prune_rate": rows["prune_rate"].astype(float),
            "share": (rows["lrg_size"] - 1) / (size - 1), "value": rows["value"],
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def own_costs(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return the relative FLOPs of the measured networks themselves, in the columns of `costs` (multiply-accumulates).

    Pruned filters count as removed.
    """
    rows = []
    for n in dict.fromkeys((p.setup.model, p.setup.backbone, p.setup.width, p.setup.size) for p in pools):
        model, backbone, width, size = n
        for rate in sorted({p.setup.prune_encoder for p in pools if p.setup.model == model}):
            for share in (1, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125):
                lrg = int(share * (size - 1) / 4) + 1
                count = flops.count(model, backbone=backbone, width=width, input_size=size, lrg_size=lrg,
                                    encoder_prune_rate=rate, rule=flops.CONV)  # fmt: skip
                rows.append({"model": model, "prune_rate": rate, "lrg_size": lrg, "value": count.total})
    frame = pd.DataFrame(rows)
    return _relative(frame, OWN, int(frame["lrg_size"].max()))


def values(pools: Sequence[Pool], cost: pd.DataFrame) -> pd.DataFrame:
    """Return FPI over LRG sizes: cost, domain, kind, model, prune_rate, share, fpi (relative cost over mIoU).

    Setups with the decoder alone pruned, or trained at an LRG, have no printed cost and are left out.
    """
    rows = []
    for pool in pools:
        if tables.as_printed(pool.setup):
            rows += [{**trained.who(pool.setup), "prune_rate": pool.setup.prune_encoder, "lrg_size": size,
                      "miou": pool.miou(method, size)[0], "share": (size - 1) / (pool.grid - 1)}
                     for method, size in pool.steps]  # fmt: skip
    return cost_of.fpi(pd.DataFrame(rows), cost)


def printed_values(cost: pd.DataFrame) -> pd.DataFrame:
    """Return the FPI of the paper's own mIoUs (Tables 4a and 4b) in the columns of `values`."""
    return cost_of.fpi(tables.printed().drop(columns="value"), cost)


def relative_scores(found: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """Return printed cost and mIoU of `values`' rows as parts of the unpruned full network's.

    `cost` is that of `costs`. Columns domain, kind, model, prune_rate, share, cost, miou.
    """
    own, keyed = (t[t["cost"] == PRINTED].drop(columns="cost") for t in (found, cost))
    both = own.merge(keyed.rename(columns={"value": "cost"}), on=["model", "prune_rate", "share"])
    whole = both[(both["prune_rate"] == 0) & (both["share"] == 1)][["domain", "model", "miou"]]
    both = both.merge(whole, on=["domain", "model"], suffixes=("", "_whole"))
    kept = ["domain", "kind", "model", "prune_rate", "share", "cost", "miou"]
    return both.assign(miou=both["miou"] / both["miou_whole"])[kept]
