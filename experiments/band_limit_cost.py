"""A band limit on trained networks' logits: changed pixels, certificate, cost with free gains, R_ce, floor, mIoU.

Command   specseg sweep run band_limit_cost --profile standard    (or: python experiments/band_limit_cost.py)
Minutes   2 each on one core: 62 to 99 pictures at 257 pixels, everything in float64
Expect    the certificate several times the share that changes; the cost far below R_ce L_CE; R_F close to its floor

The six networks of results/weights. Of VOC's pictures every third is taken, in the order of its list (0, 3, 6, ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data.domains import SYNTHETIC
from specseg.evidence import records, renewal
from specseg.evidence import statistics as scores
from specseg.measure import band_limit as study
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network
from specseg.spectral import spectrum

EVERY = {"voc": 3}
ARRAYS = (
    "counts", "known", "share", "bound", "loose", "loss", "tail", "smoothed", "entropy", "gini", "limited", "free",
    "sampled",
)  # fmt: skip


@dataclass(frozen=True)
class BandLimit:
    """One trained network under the band limits of its smaller LRG sizes."""

    network: Network


def cells(profile: str) -> list[BandLimit]:
    """The plain networks of seed 0 and the first fold: at the standard profile those of results/weights."""
    plain = [n for n in protocol.networks(profile) if n.is_baseline and not (n.fold or n.seed)]
    return [BandLimit(n) for n in [n for n in plain if n.domain not in SYNTHETIC] or plain]


def rows_of(parts: study.Parts, sizes: list[int], clusters: list[str], scored: list[int]) -> pd.DataFrame:
    """Return tidy rows, each with its interval over clusters of pictures."""
    w = np.concatenate([np.ones((1, len(clusters))), scores.weights(clusters)])
    known, loss, sampled = w @ parts.known, w @ parts.loss, w @ parts.sampled
    miou = [scores.miou(scores.pooled(c, w), scored) for c in parts.counts]
    rows = []
    for k, size in enumerate(sizes):
        free = w @ parts.free[k] / sampled
        drawn = {
            "changed_share": w @ (parts.share[k] * parts.known) / known,
            "certificate": w @ (parts.bound[k] * parts.known) / known,
            "certificate_loose": w @ (parts.loose[k] * parts.known) / known,
            "rce": np.abs(w @ parts.tail[k]) / loss,
            "rate_fejer": w @ parts.smoothed[k] / loss - 1,
            "floor_fejer": w @ parts.entropy[k] / loss - 1,
            "floor_gini": w @ parts.gini[k] / loss - 1,
            "band_cost": w @ parts.limited[k] / sampled - free,
            "band_cost_rate": w @ parts.limited[k] / sampled / free - 1,
            "logit_drop": (miou[0] - miou[k + 1]) / miou[0],
        }
        shared = {"lrg_size": size, "nu_max": spectrum.nu_max(size), "n": len(clusters)}
        for metric, values in drawn.items():
            low, high = scores.interval(values[1:])
            unit = "nat" if metric == "band_cost" else "1"
            rows.append({**shared, "metric": metric, "value": values[0], "low": low, "high": high, "unit": unit})
        if not parts.cost:  # made again from a probe, which does not keep the fits
            continue
        fit = parts.cost[k]
        single = {"band_cost_bound": fit.bound, "gain_low": fit.free.low, "gain_high": fit.free.high,
                  "gain_limited": fit.limited.low, "slope_left": max(fit.free.slope, fit.limited.slope)}  # fmt: skip
        rows += [{**shared, "metric": m, "value": v, "unit": "nat" if "bound" in m else "1"} for m, v in single.items()]
    whole = {"lrg_size": 0, "nu_max": 0, "n": len(clusters)}
    rows.append({**whole, "metric": "loss", "value": loss[0] / len(clusters), "unit": "nat"})
    return pd.DataFrame([*rows, {**whole, "metric": "miou", "value": miou[0][0], "unit": "1"}])


def run(cell: BandLimit, folder: Path, tell) -> pd.DataFrame:
    """Return the rows of one network; the arrays of every picture go into the probe."""
    network = cell.network
    if network.name not in weights.published():
        networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net, data = weights.load(network, sources=weights.TRAINED), network.data("test")
    net.lrg_size = None
    sizes = [s for s in protocol.lrg_sizes(net.prediction_grid) if s < net.prediction_grid]
    chosen = set(map(str, data.ids[:: EVERY.get(network.domain, 1)]))
    limits = [spectrum.nu_max(s) for s in sizes]
    parts = study.band_limit_parts(net, networks.test_batches(network), limits, keep=chosen.__contains__, tell=tell)
    clusters = [network.home.cluster(name) for name in parts.names]
    scored = network.home.scored_indices(data.classes)
    arrays = {k: getattr(parts, k) for k in ARRAYS}
    np.savez_compressed(
        folder / "probe.npz", **{k: v.astype(np.int32) if v.dtype.kind == "i" else v for k, v in arrays.items()},
        lrg_sizes=np.array(sizes), names=np.array(parts.names), clusters=np.array(clusters), scored=np.array(scored),
    )  # fmt: skip
    return rows_of(parts, sizes, clusters, scored)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows that need no fit from the parts that are kept; the first pictures' parts from the weights."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    parts = study.Parts(kept["names"].tolist(), **{k: kept[k] for k in ARRAYS}, cost=[])
    sizes, scored = kept["lrg_sizes"].tolist(), kept["scored"].tolist()
    rows = rows_of(parts, sizes, kept["clusters"].tolist(), scored)
    old = record.rows[record.rows["metric"].isin(set(rows["metric"]))].reset_index(drop=True)
    yield renewal.rows_again("all rows without a fit from the parts of every picture", rows, old)
    net = weights.load(network, sources=weights.TRAINED)
    net.lrg_size = None
    limits = [spectrum.nu_max(s) for s in sizes]
    chosen = set(parts.names[:2])
    got = study.band_limit_parts(net, networks.test_batches(network, count=2), limits, keep=chosen.__contains__)
    renewal.same_pictures(got.names, kept["names"])
    few = slice(len(got.names))
    worst = max(renewal.deviation(getattr(got, k), kept[k][..., few] if kept[k].ndim < 4 else kept[k][:, few])
                for k in ARRAYS if k not in ("limited", "free"))  # fmt: skip
    yield renewal.Check(f"parts of the first {len(got.names)} pictures by the network", worst, renewal.FLOAT32)


def record(cell: BandLimit, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside."""
    with np.load(folder / "probe.npz") as arrays:
        probe = {k: arrays[k] for k in arrays.files}
    settings = {**cell.network.describe(), "name": cell.network.name, "stride": study.STRIDE,
                "every": EVERY.get(cell.network.domain, 1)}  # fmt: skip
    return records.write(
        "band_limit_cost", rows, command=context.command, profile=context.profile, seed=cell.network.seed,
        data=[cell.network.home.test[0]], device=context.device, wall_s=context.wall_s, script=Path(__file__),
        probe=probe, settings=settings,
    )  # fmt: skip


def minutes(cell: BandLimit, profile: str) -> float:
    """Minutes of one network: pictures x limits."""
    return 0.02 * {"voc": 99, "camvid": 62, "dubai": 18}.get(cell.network.domain, 60)


EXPERIMENT = sweep.Experiment(name="band_limit_cost", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
