"""Networks trained on weak annotation, tested on the true labels: blocks of three band limits, and fewer full labels.

Command   specseg sweep run block_annotation --profile standard
          (or: python experiments/block_annotation.py --profile standard)
Minutes   1 each on one core for 100 pictures at 257 pixels, after the network's own training (experiments/networks.py)
Expect    a few per cent of mIoU lost at nu_max = 32, ten or more at 8; more on streets
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import blocks, networks, protocol, records, scores, sweep, weights
from specseg import truncation_study as study
from specseg.networks import Network


@dataclass(frozen=True)
class Weak:
    """One network trained on blocks, or on a part of the pictures with full labels."""

    network: Network


def cells(profile: str) -> list[Weak]:
    """Every network of the protocol whose annotation is weaker than the full one."""
    return [Weak(n) for n in protocol.networks(profile) if n.nu_max or n.images]


def agreement(network: Network) -> np.ndarray:
    """Return the counts of the training's own labels against the full ones: what the annotation itself gets wrong."""
    weak = networks.Annotated(network.data("train"), network)
    counts = []
    for i in range(len(weak)):
        true = blocks.check_labels(weak.inner.label(weak.rows[i]))[None]
        given = blocks.check_labels(weak.label(i))[None]
        counts.append(
            scores.class_counts(given.where(given != 255, 0), true.where(given != 255, 255), weak.num_classes)
        )
    return np.concatenate(counts)


def run(cell: Weak, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows: mIoU and boundary mIoU on true labels, IoU per class, and the labels' own agreement."""
    network = cell.network
    networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net = weights.load(network)
    data = network.data("test")
    scored = network.home.scored_indices(data.classes)
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(net, networks.test_batches(network), full, scored=scored, tell=tell)
    clusters = [network.home.cluster(name) for name in got.names]
    pooled, labels = scores.pooled(got.counts[0]), agreement(network)
    low, high = scores.interval(scores.miou(scores.pooled(got.counts[0], scores.weights(clusters)), scored))
    shared = {"n": len(data), "unit": "1"}
    rows = [
        {**shared, "metric": "miou", "class": "scored", "value": float(scores.miou(pooled, scored)), "low": low,
         "high": high},
        {**shared, "metric": "boundary_miou", "class": "scored",
         "value": study.boundary_miou(got.boundary[0], scored)},
        {**shared, "metric": "label_miou", "class": "scored", "n": len(labels),
         "value": float(scores.miou(scores.pooled(labels), scored))},
    ]  # fmt: skip
    rows += [{**shared, "metric": "iou", "class": c, "value": v}
             for c, v in zip(data.classes, scores.iou(pooled), strict=True)]  # fmt: skip
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts[0].astype(np.int32), names=np.array(got.names),
        clusters=np.array(clusters), scored=np.array(scored),
    )  # fmt: skip
    return pd.DataFrame(rows)


def record(cell: Weak, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the counts of every picture beside."""
    with np.load(folder / "probe.npz") as arrays:
        probe = {k: arrays[k] for k in arrays.files}
    return records.write(
        "block_annotation", rows, **context.told(), seed=cell.network.seed,
        data=[cell.network.home.test[0]], script=Path(__file__),
        probe=probe, settings=networks.recorded(cell.network),
    )  # fmt: skip


def minutes(cell: Weak, profile: str) -> float:
    """Minutes of one network: pictures."""
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.network.domain, 60)
    return 0.005 * pictures * (cell.network.size / 257) ** 2 + 0.5


EXPERIMENT = sweep.Experiment(name="block_annotation", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
