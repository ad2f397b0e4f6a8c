"""The cross-entropy of trained networks in frequency, at the end and during training (Fig. 1, Table 1).

Command   specseg sweep run loss_in_frequency --profile standard
          (or: python experiments/loss_in_frequency.py --profile standard)
Minutes   3 each on one core for 100 pictures at 257 pixels, after the network's own training (experiments/networks.py)
Expect    R_ce a few per cent at nu_max = 8, far below one per cent at 64; periodic boundaries give larger values than
          mirrored ones

Limits    Table 1's in cycles per frame, and half of the LRG sizes of the truncation experiment.
During    at the snapshots of every baseline: L_ce by rim, spectra and mIoU on the first 48 test pictures of a fixed
          draw; at the end on all test pictures, in every variant of `measure.loss.VARIANTS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data import loading, transforms
from specseg.evidence import records, renewal
from specseg.measure import loss as study
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network
from specseg.spectral import spectrum as sp

PROBES, CALIBRATION = 48, 32


@dataclass(frozen=True)
class Loss:
    """One trained network."""

    network: Network


def cells(profile: str) -> list[Loss]:
    """Every network of the protocol with the decoder on the full grid."""
    return [Loss(n) for n in protocol.networks(profile) if not n.lrg_size and not n.images and n.start != "frozen"]


def limits(size: int) -> list[int]:
    """Return Table 1's limits and half the LRG sizes, in cycles per frame, largest first."""
    lrg = [sp.nu_max(s) for s in protocol.lrg_sizes((size - 1) // 4 + 1)]
    return sorted({n for n in (*protocol.LIMITS, *lrg) if n < size // 2}, reverse=True)


def padded(network: Network, device="cpu"):
    """Yield the test pictures in frames whose long side fits, padded with void."""
    return study.batched(study.padded_frames(network.data("test"), network.size), device=device)


def some(network: Network, part: str, count: int, device="cpu"):
    """Yield the first pictures of a fixed draw of a split, in the evaluation's frame."""
    items = loading.TorchDataset(network.data(part), transforms.evaluation(network.size))
    for i in loading.order(len(items), 0, 0)[:count]:
        image, label, name = items[int(i)]
        yield (image[None].float() / 255).to(device), label[None].long().to(device), (name,)


def during(network: Network, device) -> list[dict]:
    """Return rows per snapshot: L_ce by rim, whose sum is L_CE, and mIoU, on the probe pictures."""
    steps = network.settings(len(network.data("train"))).snapshots
    nets = ((step, weights.load(network, step=step, sources=("run",)).to(device)) for step in steps)
    scored = network.home.scored_indices(network.data("test").classes)
    rows = study.course_rows(nets, list(some(network, "test", PROBES, device)), scored)
    return [{**row, "unit": "nat" if row["metric"] == "loss_rim" else "1"} for row in rows]


def run(cell: Loss, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows: R_ce by variant, average and limit with intervals; rims of loss and spectra; snapshots."""
    network, device = cell.network, sweep.device()
    networks.ensure(network, device=str(device), precision=sweep.precision(), tell=tell)
    net = weights.load(network, sources=weights.TRAINED).to(device)
    temperature = study.calibrated_temperature(net, some(network, "train", CALIBRATION, device))
    parts = study.loss_parts(net, networks.test_batches(network, device=device), limits(network.size),
                             temperature=temperature,
                             padded=padded(network, device) if network.is_baseline else None, tell=tell)  # fmt: skip
    clusters = [network.home.cluster(name) for name in parts.names]
    shared = {"n": len(parts.names), "unit": "1"}
    rows = [{**shared, "metric": "temperature", "value": temperature}, *study.rate_rows(parts, clusters)]
    rows += [{**shared, **row, "unit": "nat" if row["metric"] == "loss_rim" else "1"} for row in study.rim_rows(parts)]
    if network.is_baseline:
        rows += during(network, device)
    np.savez_compressed(
        folder / "probe.npz", total=parts.total.astype(np.float32), tail=parts.tail.astype(np.float32),
        soft=parts.soft.astype(np.float32), class_rims=parts.class_rims.astype(np.float32),
        variants=np.array(parts.variants), limits=np.array(parts.limits), names=np.array(parts.names),
        clusters=np.array(clusters), temperature=np.array(temperature),
    )  # fmt: skip
    return pd.DataFrame(rows)


KEPT = 1e-4  # the parts of every picture are kept in float32, R_ce of small tails among them


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows of R_ce from the parts that are kept; the temperature and the first pictures' parts from the
    weights, or where these are not at hand from a published network's, against its own record. Rims of the whole set
    and snapshots of the training are not computed again."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    variants, nus = tuple(map(str, kept["variants"])), [int(n) for n in kept["limits"]]
    total, tail, soft = (kept[k].astype(np.float64) for k in ("total", "tail", "soft"))
    again = study.LossParts(variants, tuple(nus), kept["names"].tolist(), total, tail, kept["class_rims"], {}, soft)
    old = record.rows[record.rows["metric"] == "r_ce"]
    rows = pd.DataFrame(study.rate_rows(again, kept["clusters"]))
    yield renewal.rows_again("the rows of R_ce from the parts of every picture", rows, old, KEPT)
    net, own = weights.at_hand(network)
    if own != network:
        network, kept = own, records.load("loss_in_frequency", name=own.name).probe()
        total, tail, soft = (kept[k].astype(np.float64) for k in ("total", "tail", "soft"))
        nus = [int(n) for n in kept["limits"]]
    temperature = study.calibrated_temperature(net, some(network, "train", CALIBRATION))
    worst = renewal.deviation(temperature, kept["temperature"])
    yield renewal.Check(f"the temperature on {CALIBRATION} training pictures by {own.name}", worst, renewal.FLOAT32)
    frames = islice(padded(network), 1) if network.is_baseline else None
    got = study.loss_parts(net, networks.test_batches(network, count=1), nus, temperature=float(kept["temperature"]),
                           padded=frames)  # fmt: skip
    renewal.same_pictures(got.names, kept["names"])
    few = slice(len(got.names))
    pairs = [(got.total, total[:, few]), (got.tail, tail[:, few]), (got.soft, soft[few])]
    worst = max(renewal.deviation(new, old) for new, old in pairs)
    told = f"loss and its tails on the first {len(got.names)} pictures by {own.name}"
    yield renewal.Check(told, worst, renewal.FLOAT32)


def record(cell: Loss, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside."""
    return records.write(
        "loss_in_frequency", rows, **context.told(), seed=cell.network.seed,
        data=[cell.network.home.test[0]], script=Path(__file__),
        probe=folder / "probe.npz", settings=networks.recorded(cell.network),
    )  # fmt: skip


def minutes(cell: Loss, profile: str) -> float:
    """Minutes of one network: pictures x transforms."""
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.network.domain, 60)
    return 0.02 * pictures * (cell.network.size / 257) ** 2 + 2


EXPERIMENT = sweep.Experiment(name="loss_in_frequency", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
