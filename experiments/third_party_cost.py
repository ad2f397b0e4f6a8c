"""A band limit on the logits of networks that others trained: changed pixels, certificate, cost with free gains, mIoU.

Command   specseg sweep run third_party_cost --profile standard    (or: python experiments/third_party_cost.py)
Data      voc2012, camvid and cityscapes_512x256 under SPECSEG_DATA, weights under SPECSEG_NETS (`specseg nets list`)
Minutes   2 to 5 each on one core: 23 to 30 native crops (257 pixels, of Cityscapes 385), everything in float64
Expect    the certificate several times the share that changes; the cost far below R_ce L_CE

What `band_limit_cost` measures on our own networks, on every twelfth picture of PASCAL, every fourth of Cityscapes and
every second of CamVid, at the LRG sizes that all networks of a data set share, for those that may set a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from specseg import sweep
from specseg.evidence import records, renewal
from specseg.measure import band_limit as study
from specseg.measure import loss
from specseg.nets import weights
from specseg.nets.third_party.protocol import SEEN, Unit, units
from specseg.spectral import spectrum

EVERY = {"voc2012": 12, "cityscapes": 4, "camvid": 2}


@dataclass(frozen=True)
class Cost:
    """A network on native crops; `pictures` is how many of its data set's it sees before every n-th is taken."""

    name: str
    pictures: int = 0

    def parts(self, few: int = 0, tell=lambda _: None) -> tuple[study.Parts, list[int], list[str], list[int]]:
        """Return the parts of its pictures (or of the first few), LRG sizes, clusters and scored classes."""
        unit = Unit(self.name, "native", self.pictures)
        data, net = unit.data(), weights.load(self.name, sources=("third party",))
        items = unit.items(data)[:: EVERY.get(unit.manifest.dataset, 1)]
        items = items[:few] if few else items
        sizes = list(unit.shared_sizes())
        limits = [spectrum.nu_max(s) for s in sizes]
        parts = study.band_limit_parts(net, loss.batched(items, 1), limits, tell=tell)
        clusters = [unit.home.cluster(name) for name in parts.names]
        return parts, sizes, clusters, unit.home.scored_indices(data.classes)


def cells(profile: str) -> list[Cost]:
    """Return the networks on native crops, those of `third_party` without the one that has seen its test."""
    return [Cost(u.name, u.pictures) for u in units(profile) if u.frame == "native" and u.name not in SEEN]


def run(cell: Cost, folder: Path, tell) -> pd.DataFrame:
    """Return the rows of one network; the arrays of every picture go into the probe."""
    parts, sizes, clusters, scored = cell.parts(tell=tell)
    study.save(folder / "probe.npz", parts, lrg_sizes=sizes, clusters=clusters, scored=scored)
    return study.rows(parts, sizes, clusters, scored)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows that need no fit from the parts that are kept; the first pictures' parts from the weights."""
    told, kept = record.meta["settings"], record.probe()
    yield study.rows_again(record)
    got = Cost(told["name"], told["pictures"]).parts(few=2)[0]
    yield study.parts_again(got, kept)


def record(cell: Cost, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside; no picture is in it."""
    unit = Unit(cell.name, "native", cell.pictures)
    settings = {
        "name": cell.name, "frame": unit.frame, "size": unit.size, "pictures": cell.pictures,
        "every": EVERY.get(unit.manifest.dataset, 1), "dataset": unit.manifest.dataset, "sha256": unit.manifest.sha256,
    }  # fmt: skip
    return records.write("third_party_cost", rows, **context.told(), data=[unit.home.test[0]], script=Path(__file__),
                         probe=folder / "probe.npz", settings=settings)  # fmt: skip


def minutes(cell: Cost, profile: str) -> float:
    """Minutes of one network on one core."""
    return 4.0 if not cell.pictures else 0.3


EXPERIMENT = sweep.Experiment(name="third_party_cost", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
