"""Feature truncation of trained networks: counts per picture at the LRG sizes of Table 4, scaled to the frame's grid.

Command   specseg sweep run truncation --profile standard    (or: python experiments/truncation.py --profile standard)
Minutes   2 each on one core for 100 pictures at 257 pixels, after the network's own training (experiments/networks.py)
Expect    drops below 1 % at half of the grid on objects and land cover, several per cent on streets
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.evidence import records, renewal
from specseg.measure import truncation as study
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network


@dataclass(frozen=True)
class Truncation:
    """One trained network under all conditions."""

    network: Network


def cells(profile: str) -> list[Truncation]:
    """Every network of the protocol that was not trained on block labels or on fewer pictures."""
    return [Truncation(n) for n in protocol.networks(profile) if not n.nu_max and not n.images]


def run(cell: Truncation, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows: mIoU, boundary mIoU and relative drop per condition, IoU per class at the full grid."""
    network = cell.network
    networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net = weights.load(network, sources=weights.TRAINED).to(sweep.device())
    net.lrg_size = None
    data = network.data("test")
    scored = network.home.scored_indices(data.classes)
    chosen = study.conditions(net, protocol.lrg_sizes(net.prediction_grid))
    got = study.truncation_counts(
        net, networks.test_batches(network, device=sweep.device()), chosen, scored=scored, tell=tell
    )
    clusters = [network.home.cluster(name) for name in got.names]
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts.astype(np.int32), boundary=got.boundary.astype(np.int32),
        methods=np.array([c.method for c in chosen]), lrg_sizes=np.array([c.lrg_size for c in chosen]),
        names=np.array(got.names), clusters=np.array(clusters), scored=np.array(scored),
    )  # fmt: skip
    return study.table(got, clusters, scored, data.classes)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows from the counts that are kept; the first pictures' counts, all conditions, from the weights, or
    where these are not at hand from a published network's, against its own record."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    data, scored = network.data("test"), kept["scored"].tolist()
    chosen = [study.Condition(str(m), int(s)) for m, s in zip(kept["methods"], kept["lrg_sizes"], strict=True)]
    again = study.Counts(chosen, kept["names"].tolist(), kept["counts"], kept["boundary"])
    rows = study.table(again, kept["clusters"], scored, data.classes)
    yield renewal.rows_again("all rows from the counts of every picture", rows, record.rows)
    net, own = weights.at_hand(network)
    if own != network:
        network, kept = own, records.load("truncation", name=own.name).probe()
        scored = kept["scored"].tolist()
    net.lrg_size = None
    chosen = study.conditions(net, protocol.lrg_sizes(net.prediction_grid))
    got = study.truncation_counts(net, networks.test_batches(network, count=1), chosen, scored=scored)
    renewal.same_pictures(got.names, kept["names"])
    few = slice(len(got.names))
    worst = max(renewal.turned(new, old[:, few], network.size**2)
                for new, old in ((got.counts, kept["counts"]), (got.boundary, kept["boundary"])))  # fmt: skip
    yield renewal.Check(f"counts of the first {len(got.names)} pictures by {own.name}", worst, renewal.TURNED)


def record(cell: Truncation, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the counts of every picture beside."""
    return records.write(
        "truncation", rows, **context.told(), seed=cell.network.seed,
        data=[cell.network.home.test[0]], script=Path(__file__),
        probe=folder / "probe.npz", settings=networks.recorded(cell.network),
    )  # fmt: skip


def minutes(cell: Truncation, profile: str) -> float:
    """Minutes of one network: pictures x conditions."""
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.network.domain, 60)
    return 0.02 * pictures * (cell.network.size / 257) ** 2


EXPERIMENT = sweep.Experiment(name="truncation", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
