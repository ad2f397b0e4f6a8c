"""A band limit on trained networks' logits: changed pixels, certificate, cost with free gains, R_ce, floor, mIoU.

Command   specseg sweep run band_limit_cost --profile standard    (or: python experiments/band_limit_cost.py)
Minutes   2 each on one core: 62 to 99 pictures at 257 pixels, everything in float64
Expect    the certificate several times the share that changes; the cost far below R_ce L_CE; R_F close to its floor

The six networks of results/weights. Of VOC's pictures every third is taken, in the order of its list (0, 3, 6, ...).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from specseg import sweep
from specseg.data import loading, transforms
from specseg.data.domains import SYNTHETIC
from specseg.evidence import records, renewal
from specseg.measure import band_limit as study
from specseg.measure import loss
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network
from specseg.spectral import spectrum

EVERY = {"voc": 3}


@dataclass(frozen=True)
class BandLimit:
    """One trained network under the band limits of its smaller LRG sizes."""

    network: Network


def cells(profile: str) -> list[BandLimit]:
    """The plain networks of seed 0 and the first fold: at the standard profile those of results/weights."""
    plain = [n for n in protocol.networks(profile) if n.is_baseline and not (n.fold or n.seed)]
    return [BandLimit(n) for n in [n for n in plain if n.domain not in SYNTHETIC] or plain]


def pictures(network: Network):
    """Yield every picture that is measured, one by one."""
    items = loading.TorchDataset(network.data("test"), transforms.evaluation(network.size))
    return loss.batched((items[i] for i in range(0, len(items), EVERY.get(network.domain, 1))), 1)


def run(cell: BandLimit, folder: Path, tell) -> pd.DataFrame:
    """Return the rows of one network; the arrays of every picture go into the probe."""
    network = cell.network
    if network.name not in weights.published():
        networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net, data = weights.load(network, sources=weights.TRAINED), network.data("test")
    net.lrg_size = None
    sizes = [s for s in protocol.lrg_sizes(net.prediction_grid) if s < net.prediction_grid]
    limits = [spectrum.nu_max(s) for s in sizes]
    parts = study.band_limit_parts(net, pictures(network), limits, tell=tell)
    clusters = [network.home.cluster(name) for name in parts.names]
    scored = network.home.scored_indices(data.classes)
    study.save(folder / "probe.npz", parts, lrg_sizes=sizes, clusters=clusters, scored=scored)
    return study.rows(parts, sizes, clusters, scored)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows that need no fit from the parts that are kept; the first pictures' parts from the weights."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    yield study.rows_again(record)
    net = weights.load(network, sources=weights.TRAINED)
    net.lrg_size = None
    limits = [spectrum.nu_max(s) for s in kept["lrg_sizes"].tolist()]
    yield study.parts_again(study.band_limit_parts(net, islice(pictures(network), 2), limits), kept)


def record(cell: BandLimit, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside."""
    settings = {**cell.network.describe(), "name": cell.network.name, "stride": study.STRIDE,
                "every": EVERY.get(cell.network.domain, 1)}  # fmt: skip
    return records.write(
        "band_limit_cost", rows, **context.told(), seed=cell.network.seed, data=[cell.network.home.test[0]],
        script=Path(__file__), probe=folder / "probe.npz", settings=settings,
    )  # fmt: skip


def minutes(cell: BandLimit, profile: str) -> float:
    """Minutes of one network: pictures x limits."""
    return 0.02 * {"voc": 99, "camvid": 62, "dubai": 18}.get(cell.network.domain, 60)


EXPERIMENT = sweep.Experiment(name="band_limit_cost", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
