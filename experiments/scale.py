"""Scale as dose: networks on their pictures at half, once and twice the scale, the frame with them; the labels alone.

Command   specseg sweep run scale --profile standard    (or: python experiments/scale.py; --only scale0.5 for one scale)
Data      voc2012, camvid and cityscapes_512x256 under SPECSEG_DATA, weights under SPECSEG_NETS (`specseg nets list`)
Minutes   of one core: 3 a network on PASCAL at half the scale, 5 on every sixth picture at twice; others less
Expect    two to three times the drop at half the scale, at the same share of the grid

Networks of others at once the scale are those of `third_party` on the paper's frame: their records hold these numbers.
The protocol is on the book's page on method.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data import loading, transforms
from specseg.data.domains import domain
from specseg.evidence import records, renewal
from specseg.measure import loss, truncation
from specseg.measure import scale as study
from specseg.nets import weights
from specseg.nets.third_party import manifests
from specseg.nets.third_party.protocol import HOMES, PAPER, SEEN

SCALES, OWN, LABELS = (0.5, 1.0, 2.0), 257, "labels"
SHARES = (2, 4, 8)  # logits are cut to one of so many steps of the frame's grid, which has a point every four pixels
NETWORKS = ("voc-deeplabv3plus-f0-s0", "voc-dan-f0-s0", "camvid-deeplabv3plus-f0-s0", "camvid-dan-f0-s0")
TURNED = 5e-3  # share of a frame's pixels that may turn on another processor: see third_party
KEPT = 1e-4  # tails of every picture are kept in single precision


@dataclass(frozen=True)
class Scale:
    """A network, or the labels alone, on a data set's pictures at a scale of the frame of so many pixels."""

    name: str
    dataset: str
    scale: float
    frame: int = PAPER
    pictures: int = 0

    @property
    def home(self):
        """The domain whose test pictures are seen."""
        return HOMES[self.dataset] if self.frame == PAPER else domain(self.dataset)

    @property
    def size(self) -> int:
        """Side of the frame in pixels."""
        return round((self.frame - 1) * self.scale) + 1

    @property
    def sizes(self) -> list[int]:
        """The sizes of logits: a half, a quarter and an eighth of the grid's steps."""
        return [(self.size - 1) // 4 // share + 1 for share in SHARES]

    @property
    def every(self) -> int:
        """At twice the scale every third picture is taken, of PASCAL on the larger frame every sixth."""
        return 1 if self.scale <= 1 else 6 if self.dataset == "voc2012" else 3

    def items(self, few: int = 0):
        """Return the pictures (or the first few) in the frame: image, label, name."""
        data = self.home.open("test")
        count = min(few or self.pictures or len(data), len(data))
        framed = loading.TorchDataset(data, transforms.evaluation(self.size))
        return (framed[i] for i in range(0, count, self.every))

    def measured(self, few: int = 0, tell=lambda _: None):
        """Return the counts, and of a network its loss, of labels their contours, by picture."""
        device = sweep.device()
        batches = loss.batched(self.items(few), 1 if self.size > PAPER else 2, device)
        if self.name == LABELS:
            return study.label_parts(batches, self.sizes, self.home.open("test").num_classes)
        if self.frame == PAPER:
            net = weights.load(self.name, sources=("third party",))
        else:
            net = study.at_size(weights.load(self.name, sources=("published",)), self.size)
        return study.network_parts(net.to(device), batches, self.sizes, tell=tell)


def cells(profile: str) -> list[Scale]:
    """Labels first, then networks of others, then ours; the larger scale last. At smoke four pictures of two cells."""
    if profile == "smoke":
        return [Scale(name, "camvid", 0.5, pictures=4) for name in (LABELS, "cgnet-camvid")]
    others = [(n, manifests.load(n).dataset) for n in manifests.names() if n not in SEEN]
    ours = [(n, n.split("-")[0]) for n in NETWORKS]
    out = [Scale(LABELS, d, s, f) for f, of in ((PAPER, others), (OWN, ours)) for d in dict(of).values()
           for s in SCALES]  # fmt: skip
    small = [Scale(n, d, 0.5) for n, d in others] + [Scale(n, d, s, OWN) for n, d in ours for s in SCALES]
    return [*dict.fromkeys(out), *small, *(Scale(n, d, 2.0) for n, d in others)]


def rows_of(cell: Scale, got: truncation.Counts, parts, classes) -> pd.DataFrame:
    """Return the rows that follow from the counts of scored classes and the loss or the contour of every picture."""
    clusters = [cell.home.cluster(name) for name in got.names]
    table = truncation.table(got, clusters, range(len(classes)), classes)
    if cell.name != LABELS:
        return pd.concat([table, pd.DataFrame(loss.rate_rows(parts, clusters))], ignore_index=True)
    more = {"metric": "contour", "value": float(np.mean(parts)), "n": len(parts), "unit": "frames"}
    return pd.concat([table, pd.DataFrame([more])], ignore_index=True)


def run(cell: Scale, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows of one cell; the counts and losses of every picture go into the probe."""
    got, parts = cell.measured(tell=tell)
    classes = cell.home.open("test").classes
    scored = cell.home.scored_indices(classes)
    got = got._replace(counts=got.counts[:, :, scored], boundary=got.boundary[:, :, scored])
    more = {"contour": parts}
    if cell.name != LABELS:
        parts = study.loss_of(parts.names, parts.total.astype(np.float32), parts.tail.astype(np.float32), parts.limits)
        more = {"total": parts.total, "tail": parts.tail}
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts.astype(np.int32), names=np.array(got.names), scored=np.array(scored),
        lrg_sizes=np.array(cell.sizes), **more,
    )  # fmt: skip
    return rows_of(cell, got, parts, [classes[c] for c in scored])


def _kept(kept: dict) -> tuple[truncation.Counts, object]:
    """Return what a probe holds as it was measured."""
    got = study.counted(kept["names"].tolist(), [kept["counts"]], kept["lrg_sizes"].tolist())
    limits = [int(s - 1) // 2 for s in kept["lrg_sizes"]]
    return got, kept["contour"] if "contour" in kept else study.loss_of(got.names, kept["total"], kept["tail"], limits)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows from what is kept of every picture; the first pictures' counts anew."""
    told, kept = record.meta["settings"], record.probe()
    cell = Scale(*(told[k] for k in ("name", "dataset", "scale", "frame", "pictures")))
    classes, scored = cell.home.open("test").classes, kept["scored"].tolist()
    again = rows_of(cell, *_kept(kept), [classes[c] for c in scored])
    yield renewal.rows_again("all rows from the parts of every picture", again, record.rows, KEPT)
    got, _ = cell.measured(few=cell.every + 1)
    renewal.same_pictures(got.names, kept["names"])
    worst = renewal.turned(got.counts[:, :, scored], kept["counts"][:, : len(got.names)], cell.size**2)
    yield renewal.Check(f"counts of the first {len(got.names)} pictures", worst, TURNED)


def record(cell: Scale, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside; no picture is in it."""
    settings = {"name": cell.name, "dataset": cell.dataset, "scale": cell.scale, "frame": cell.frame,
                "pictures": cell.pictures, "size": cell.size, "every": cell.every}  # fmt: skip
    return records.write("scale", rows, **context.told(), data=[cell.home.test[0]], script=Path(__file__),
                         probe=folder / "probe.npz", settings=settings)  # fmt: skip


def minutes(cell: Scale, profile: str) -> float:
    """Minutes of one cell: pictures x pixels, of labels a quarter."""
    pictures = cell.pictures or {"voc2012": 297, "voc": 297, "cityscapes": 89, "camvid": 59}[cell.dataset]
    return 0.1 + pictures / cell.every * 1.5 / 60 * (cell.size / 513) ** 2 * (0.25 if cell.name == LABELS else 1)


EXPERIMENT = sweep.Experiment(name="scale", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
