"""FLOPs per IoU (FPI) and the LRG size that it chooses, from printed or measured costs and scores (section 3.2).

Costs of `costs` are relative to the full network of the same model: printed FLOPs (Table 2), our count at output stride
16, our own networks' FLOPs, and measured seconds. LRG sizes of our smaller grid stand for those of the paper's 129 at
the same share (lrg_size - 1)/(grid - 1). Cells are networks at one LRG size each; a setup is all cells of one network.
Ties go to the larger grid, which is the more accurate network.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.2, Fig. 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from specseg.evidence import paper
from specseg.study.rules import Values

if TYPE_CHECKING:  # what needs torch is loaded where networks are asked for: the printed tables do without
    from specseg.nets.flops import FlopCount
    from specseg.nets.networks import Network
    from specseg.study.trained import Pool

PRINTED, STRIDE16, OWN, SECONDS = "printed FLOPs", "FLOPs at stride 16", "our networks' FLOPs", "measured seconds"
KEYS = ["model", "prune_rate", "share"]


def fpi(miou: pd.DataFrame, cost: pd.DataFrame, on: Sequence[str] = KEYS) -> pd.DataFrame:
    """Return the cells of `miou` that have a cost, with fpi = cost / miou; `cost` holds it as `value`."""
    both = miou.merge(cost, on=on)
    return both.assign(fpi=both["value"] / both["miou"]).drop(columns="value")


def optima(cells: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the cell of least FPI of each setup (`keys`), and what is near it.

    `margin`: the second smallest FPI over the smallest, minus one (below one per cent the choice hangs on noise; NaN
    for a single size); `step`: the best size's place, largest first, among `sizes`.
    """
    rows = []
    for _, part in cells.groupby(list(keys), sort=False):
        part = part.sort_values("lrg_size", ascending=False)
        fpi = part["fpi"].to_numpy(float)
        step, ordered = int(fpi.argmin()), np.sort(fpi)
        margin = float(ordered[1] / ordered[0] - 1) if len(part) > 1 else np.nan
        rows.append({**part.iloc[step], "step": step, "sizes": len(part), "margin": margin})
    return pd.DataFrame(rows)


def choices(values: Values, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each setup the LRG size that GFLOPs / (1 - predicted drop) picks, the best, and the regret in FPI.

    Regret: FPI (GFLOPs / mIoU) of the size picked over that of the best size, minus one. NaN predictions are never
    picked. Each is (setups,), or (draws, setups) with draws.
    """
    names, out = list(dict.fromkeys(values["setup"])), {"chosen": [], "best": [], "regret": []}
    for name in names:
        rows = np.flatnonzero(values["setup"] == name)
        rows = rows[np.argsort(-values["lrg_size"][rows].astype(float), kind="stable")]
        size, cost = values["lrg_size"][rows].astype(int), values["gflops"][rows].astype(float)
        score = cost / np.maximum(1 - predicted[..., rows], 1e-6)
        own = cost / values["miou"][..., rows].astype(float)
        pick, best = np.where(np.isnan(score), np.inf, score).argmin(-1), own.argmin(-1)
        one, two = (np.take_along_axis(own, k[..., None], -1)[..., 0] for k in (pick, best))
        for key, value in (("chosen", size[pick]), ("best", size[best]), ("regret", one / two - 1)):
            out[key].append(value)
    return {"setup": np.array(names), **{k: np.stack(v, -1) for k, v in out.items()}}


def _relative(rows: pd.DataFrame, cost: str, full: int) -> pd.DataFrame:
    rows = rows.astype({"prune_rate": float, "lrg_size": int})
    whole = rows[(rows["prune_rate"] == 0) & (rows["lrg_size"] == full)].set_index("model")["value"]
    share, value = (rows["lrg_size"] - 1) / (full - 1), rows["value"] / rows["model"].map(whole)
    return rows.assign(cost=cost, share=share, value=value)[["cost", *KEYS, "value"]]


def costs(latency: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return relative costs: cost (its name), model, prune_rate, share, value (1 at the unpruned full grid).

    `latency` are the rows of a latency record (fp32, one picture): paired time ratios of the full network, and of
    pruned ones with their filters removed where those were timed. Without it there are no seconds.

    >>> c = costs().query("cost == 'printed FLOPs' and model == 'dan' and prune_rate == 0").set_index("share")["value"]
    >>> float(round(c[0.5], 3))                                                          # 98 of 107 GFLOP
    0.916
    """
    from specseg.nets.flops import table2

    parts = [_relative(paper.table("2"), PRINTED, 129), _relative(table2.cells(output_stride=16), STRIDE16, 129)]
    if latency is not None:
        rows = latency.query("metric == 'time_ratio' and precision == 'fp32' and batch == 1")
        rows = rows[rows["form"] == rows["prune_rate"].gt(0).map({True: "removed", False: "full"})]
        share = (rows["lrg_size"] - 1) / (latency["lrg_size"].max() - 1)
        parts.append(rows.astype({"prune_rate": float}).assign(cost=SECONDS, share=share)[["cost", *KEYS, "value"]])
    return pd.concat(parts, ignore_index=True)


def own_costs(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return the relative FLOPs of the measured networks themselves, in the columns of `costs` (multiply-accumulates).

    Pruned filters count as removed.
    """
    from specseg.nets import flops, protocol

    frame = pd.DataFrame([
        {"model": n.model, "prune_rate": n.prune_encoder, "lrg_size": s, "value": count(n, s, rule=flops.CONV).total}
        for n in {(n.model, n.prune_encoder): n for n in (p.setup for p in pools)}.values()
        for s in protocol.lrg_sizes((n.size - 1) // 4 + 1)
    ])  # fmt: skip
    return _relative(frame, OWN, frame["lrg_size"].max())


def count(network: Network, lrg_size: int, **settings) -> FlopCount:
    """Return `flops.count` of one of our networks at an LRG size, with its pruned filters removed."""
    from specseg.nets import flops

    return flops.count(network.model, lrg_size=lrg_size, input_size=network.size, backbone=network.backbone,
                       width=network.width, encoder_prune_rate=network.prune_encoder, **settings)  # fmt: skip


def values(pools: Sequence[Pool], cost: pd.DataFrame) -> pd.DataFrame:
    """Return FPI over LRG sizes: cost, domain, kind, model, prune_rate, share, fpi (relative cost over mIoU).

    Setups with the decoder alone pruned, or trained at an LRG, have no printed cost and are left out.
    """
    from specseg.study import trained, truncation

    rows = [{**trained.who(pool.setup), "prune_rate": pool.setup.prune_encoder, "lrg_size": size,
             "miou": pool.miou(method, size)[0], "share": (size - 1) / (pool.grid - 1)}
            for pool in pools if truncation.as_printed(pool.setup) for method, size in pool.steps]  # fmt: skip
    return fpi(pd.DataFrame(rows), cost)


def printed_values(cost: pd.DataFrame) -> pd.DataFrame:
    """Return the FPI of the paper's own mIoUs (Tables 4a and 4b) in the columns of `values`."""
    from specseg.study import truncation

    return fpi(truncation.printed().drop(columns="value"), cost)


def relative_scores(found: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    """Return printed cost and mIoU of `values`' rows as parts of the unpruned full network's.

    `cost` is that of `costs`. Columns domain, kind, model, prune_rate, share, cost, miou.
    """
    own, keyed = (t[t["cost"] == PRINTED].drop(columns="cost") for t in (found, cost))
    both = own.merge(keyed.rename(columns={"value": "cost"}), on=KEYS)
    whole = both.query("prune_rate == 0 and share == 1")[["domain", "model", "miou"]]
    both = both.merge(whole, on=["domain", "model"], suffixes=("", "_whole"))
    return both.assign(miou=both["miou"] / both["miou_whole"])[["domain", "kind", *KEYS, "cost", "miou"]]
