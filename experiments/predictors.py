"""What the test labels alone predict: ceilings of block-wise and band-limited labels, contour density, energy tails.

Command   specseg sweep run predictors --profile standard
          (or: python experiments/predictors.py --profile standard)
Minutes   1 each on one core for 100 label maps at 257 pixels; no network is needed
Expect    mIoU of block labels above 0.9 at half of the prediction grid, lower on streets
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data import label_predictors as study
from specseg.evidence import records, renewal
from specseg.evidence import statistics as scores
from specseg.nets import networks, protocol
from specseg.nets.networks import Network


@dataclass(frozen=True)
class Labels:
    """The test labels of one fold of a domain, in the frame of its networks."""

    domain: str
    fold: int = 0
    dose: float = 1.0
    size: int = 257

    @property
    def network(self) -> Network:
        """A network with this test set."""
        return Network(self.domain, fold=self.fold, dose=self.dose, size=self.size)


def cells(profile: str) -> list[Labels]:
    """Every test set of the protocol, once."""
    return list(dict.fromkeys(Labels(n.domain, n.fold, n.dose, n.size) for n in protocol.networks(profile)))


def sizes(size: int) -> list[int]:
    """Return the LRG sizes of truncation and of block annotation."""
    blocks = [2 * n + 1 for n in protocol.LIMITS]
    return sorted({*protocol.lrg_sizes((size - 1) // 4 + 1), *(b for b in blocks if b <= size // 2)}, reverse=True)


def run(cell: Labels, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows: ceiling mIoU and drop per kind and LRG size with intervals, contour density, energy tails."""
    network = cell.network
    data = network.data("test")
    scored, lrg = network.home.scored_indices(data.classes), sizes(cell.size)
    got = study.label_counts(networks.test_batches(network), data.num_classes, lrg)
    clusters = [network.home.cluster(name) for name in got.names]
    tell(f"{len(got.names)} label maps")
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts.astype(np.int32), kinds=np.array(study.KINDS), lrg_sizes=np.array(lrg),
        names=np.array(got.names), clusters=np.array(clusters), scored=np.array(scored),
        density=got.density.astype(np.float32), beyond=got.beyond.astype(np.float32),
    )  # fmt: skip
    return table(got, clusters, scored)


def table(got: study.LabelCounts, clusters: Sequence[str], scored: Sequence[int]) -> pd.DataFrame:
    """Return the rows of a test set's counts."""
    draws, rows, shared = scores.weights(clusters), [], {"n": len(got.names), "unit": "1"}
    for k, kind in enumerate(study.KINDS):
        for j, size in enumerate(got.lrg_sizes):
            counts = got.counts[k, j]
            low, high = scores.interval(scores.miou(scores.pooled(counts, draws), scored))
            value = float(scores.miou(scores.pooled(counts), scored))
            rows.append({**shared, "metric": "ceiling_miou", "kind": kind, "lrg_size": size, "value": value,
                         "low": low, "high": high})  # fmt: skip
    rows += [{**shared, "metric": "energy_beyond", "lrg_size": s, "value": float(v.mean())}
             for s, v in zip(got.lrg_sizes, got.beyond, strict=True)]  # fmt: skip
    rows.append({**shared, "metric": "contour_density", "value": float(got.density.mean())})
    return pd.DataFrame(rows)


KEPT = 1e-5  # density and energies of every map are kept in float32


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows from the numbers of every label map that are kept; the first maps' numbers from the maps."""
    kept, settings = record.probe(), record.meta["settings"]
    network = Labels(**{k: settings[k] for k in ("domain", "fold", "dose", "size")}).network
    lrg = tuple(map(int, kept["lrg_sizes"]))
    again = study.LabelCounts(lrg, kept["names"].tolist(), kept["counts"], *(kept[k].astype(np.float64)
                              for k in ("density", "beyond")))  # fmt: skip
    rows = table(again, kept["clusters"], kept["scored"].tolist())
    yield renewal.rows_again("all rows from the numbers of every map", rows, record.rows, KEPT)
    data = network.data("test")
    got = study.label_counts(networks.test_batches(network, batch=2, count=1), data.num_classes, lrg)
    renewal.same_pictures(got.names, kept["names"])
    few = len(got.names)
    worst = renewal.turned(got.counts, kept["counts"][:, :, :few], network.size**2)
    yield renewal.Check(f"counts of the first {few} label maps", worst, renewal.TURNED)
    worst = max(renewal.deviation(got.density, kept["density"][:few]),
                renewal.deviation(got.beyond, kept["beyond"][:, :few]))  # fmt: skip
    yield renewal.Check(f"contours and energies of the first {few} label maps", worst, KEPT)


def record(cell: Labels, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the counts of every picture beside."""
    with np.load(folder / "probe.npz") as arrays:
        probe = {k: arrays[k] for k in arrays.files}
    return records.write(
        "predictors", rows, **context.told(), data=[cell.network.home.test[0]],
        script=Path(__file__), probe=probe,
        settings={"domain": cell.domain, "fold": cell.fold, "dose": cell.dose, "size": cell.size},
    )  # fmt: skip


def minutes(cell: Labels, profile: str) -> float:
    """Minutes of one test set."""
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.domain, 60)
    return 0.01 * pictures * (cell.size / 257) ** 2


EXPERIMENT = sweep.Experiment(name="predictors", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
