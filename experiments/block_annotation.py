"""Networks trained on weak annotation, tested on the true labels: blocks of three band limits, and fewer full labels.

Command   specseg sweep run block_annotation --profile standard
          (or: python experiments/block_annotation.py --profile standard)
Minutes   1 each on one core for 100 pictures at 257 pixels, after the network's own training (experiments/networks.py)
Expect    a few per cent of mIoU lost at nu_max = 32, ten or more at 8; more on streets
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.evidence import records, renewal
from specseg.evidence import statistics as scores
from specseg.measure import truncation as study
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network
from specseg.spectral import labels as annotation
from specseg.spectral.iou import class_counts


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
        true = annotation.check_labels(weak.inner.label(weak.rows[i]))[None]
        given = annotation.check_labels(weak.label(i))[None]
        counts.append(class_counts(given.where(given != 255, 0), true.where(given != 255, 255), weak.num_classes))
    return np.concatenate(counts)


def run(cell: Weak, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows: mIoU and boundary mIoU on true labels, IoU per class, and the labels' own agreement."""
    network = cell.network
    networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net = weights.load(network, sources=weights.TRAINED).to(sweep.device())
    data = network.data("test")
    scored = network.home.scored_indices(data.classes)
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(
        net, networks.test_batches(network, device=sweep.device()), full, scored=scored, tell=tell
    )
    clusters = [network.home.cluster(name) for name in got.names]
    edge = study.boundary_miou(got.boundary[0], scored)
    rows = study.score_rows(got.counts[0], clusters, scored, data.classes)
    rows += [{"n": len(data), "unit": "1", "metric": "boundary_miou", "class": "scored", "value": edge}]
    rows += [label_row(network, tuple(scored))]
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts[0].astype(np.int32), names=np.array(got.names),
        clusters=np.array(clusters), scored=np.array(scored),
    )  # fmt: skip
    return pd.DataFrame(rows)


@lru_cache(maxsize=16)  # networks that differ in their model alone are trained on the same labels
def label_row(network: Network, scored: tuple[int, ...]) -> dict:
    """Return the row of the training's own labels against the full ones."""
    counts = agreement(network)
    value = float(scores.miou(scores.pooled(counts), scored))
    return {"n": len(counts), "unit": "1", "metric": "label_miou", "class": "scored", "value": value}


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the scores from the counts that are kept; the training labels' agreement from the labels; the first
    pictures' counts from the weights. Where these are not at hand, the same measurement with a published network
    against its own record."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    data, scored, metric = network.data("test"), kept["scored"].tolist(), record.rows["metric"]
    rows = pd.DataFrame(study.score_rows(kept["counts"], kept["clusters"], scored, data.classes))
    yield renewal.rows_again("scores from the counts", rows, record.rows[metric.isin(["miou", "iou"])])
    label = pd.DataFrame([label_row(replace(network, model="deeplabv3plus"), tuple(scored))])
    yield renewal.rows_again("the training labels' agreement", label, record.rows[metric == "label_miou"])
    net, own = weights.at_hand(network)
    said = "the network"
    if own != network:
        network, other = own, records.load("networks", name=own.name)
        said, kept = f"{own.name}, as in networks/{other.run_id}", other.probe()
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(net, networks.test_batches(network, count=1), full, boundary=())
    renewal.same_pictures(got.names, kept["names"])
    worst = renewal.turned(got.counts[0], kept["counts"][: len(got.names)], network.size**2)
    yield renewal.Check(f"counts of the first {len(got.names)} pictures by {said}", worst, renewal.TURNED)


def record(cell: Weak, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the counts of every picture beside."""
    return records.write(
        "block_annotation", rows, **context.told(), seed=cell.network.seed,
        data=[cell.network.home.test[0]], script=Path(__file__),
        probe=folder / "probe.npz", settings=networks.recorded(cell.network),
    )  # fmt: skip


def minutes(cell: Weak, profile: str) -> float:
    """Minutes of one network: pictures."""
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.network.domain, 60)
    return 0.005 * pictures * (cell.network.size / 257) ** 2 + 0.5


EXPERIMENT = sweep.Experiment(name="block_annotation", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
