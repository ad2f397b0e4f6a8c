"""Trainings watched from their first step: loss by frequency, R_ce, truncated logits; longer ones; an early stop.

Command   specseg sweep run snapshots --profile standard    (or: python experiments/snapshots.py; --only stop64, early)
Minutes   5 each on one core for 64 steps, 20 for a whole training, an hour for 1,500 steps. Interrupted, each goes on
          from its last 50 steps
Expect    the low band's loss at half of its change after some tens of steps

The protocol is on the book's page on method. Pictures are the first 48 of loss_in_frequency's draw of the test, so that
its snapshots go on from these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data import camvid, loading, transforms
from specseg.evidence import records, renewal
from specseg.measure import loss, truncation
from specseg.measure import scale as study
from specseg.nets import course, networks, protocol, train
from specseg.nets.networks import Network

PROBES, SHARES, LOOKS, LONG = 48, (2, 4, 8), 25, 1500  # LOOKS: steps between two looks at what is held out
GROUPS = {"camvid": camvid.drive}  # whose last stretches are held out; else the first letters of a name
KEPT = 1e-4


@dataclass(frozen=True)
class Snapshots:
    """A training up to the step `stop` (0: its end); `early`: without held-out pictures, whose loss says which step."""

    network: Network
    stop: int = 0
    early: bool = False

    def steps(self) -> list[int]:
        """Return the steps at which the network is kept."""
        end = self.stop or self.network.steps or self.network.home.steps
        return sorted({*range(0, end, LOOKS), end}) if self.early else course.steps_to(end)

    def sizes(self) -> list[int]:
        """The sizes of logits: a half, a quarter and an eighth of the grid's steps."""
        return [(self.network.size - 1) // 4 // share + 1 for share in SHARES]


def cells(profile: str) -> list[Snapshots]:
    """Fourteen first stretches and whole trainings, longer ones, and CamVid's first drive with an early stop."""
    if profile == "smoke":
        tiny = replace(protocol.networks("smoke")[0], steps=8)
        return [Snapshots(tiny, 4), Snapshots(tiny)]
    voc, streets = ([Network("voc", seed=s) for s in range(5)], [Network("camvid", fold=f) for f in range(3)])
    dan = [replace(n, model="dan") for pair in zip(voc, streets, strict=False) for n in pair]
    pairs = [n for pair in zip(voc, streets, strict=False) for n in pair]
    longer = [replace(n, steps=LONG) for n in (voc[0], streets[1], Network("dubai_native"))]
    first = [Snapshots(n, 64) for n in (*pairs, *dan, *voc[3:])]
    more = [Snapshots(n) for n in (*voc[3:], *dan)]
    return [*first, *map(Snapshots, pairs), *map(Snapshots, longer), Snapshots(streets[0], early=True), *more]


def frames(network: Network, data, rows, device):
    """Return batches of these pictures of a split, in the evaluation's frame."""
    items = loading.TorchDataset(data, transforms.evaluation(network.size))
    return list(loss.batched((items[int(i)] for i in rows), 4, device))


def at_step(step: int, got: truncation.Counts, parts: loss.LossParts, clusters, classes) -> pd.DataFrame:
    """Return the rows of drops, mIoU and R_ce at a step, from the counts of scored classes and the losses."""
    table = truncation.table(got, clusters, range(len(classes)), classes)
    return pd.concat([table, pd.DataFrame(loss.rate_rows(parts, clusters))], ignore_index=True).assign(step=step)


def run(cell: Snapshots, folder: Path, tell) -> pd.DataFrame:
    """Train and measure; return tidy rows by step. Counts and losses of every picture go into the probe."""
    network, device = cell.network, sweep.device()
    data = held = None
    if cell.early:
        group = GROUPS.get(network.domain, lambda name: name[:1])
        data, held = course.held_out(network.data("train", framed=False), group)
    files = course.snapshots(network, folder / "training", cell.steps(), data=data, device=str(device),
                             precision=sweep.precision(), tell=tell)  # fmt: skip
    nets = {s: train.load_weights(network.build(), f).eval().to(device) for s, f in files.items()}
    rows, kept = [], list(nets)
    if held is not None:
        look = frames(network, held, range(len(held)), device)
        losses = {s: study.network_parts(net, look, [])[1].total[0].mean() for s, net in nets.items()}
        rows += [{"metric": "held_loss", "step": s, "value": v, "n": len(held), "unit": "nat"}
                 for s, v in losses.items()]  # fmt: skip
        kept = sorted({min(losses, key=losses.get), max(losses)})
    test = network.data("test")
    scored = network.home.scored_indices(test.classes)
    batches = frames(network, test, loading.order(len(test), 0, 0)[:PROBES], device)
    rows += [{**r, "unit": "nat" if r["metric"] == "loss_rim" else "1"}
             for r in loss.course_rows([(s, nets[s]) for s in kept], batches, scored)]  # fmt: skip
    tables, counts, totals, tails = [pd.DataFrame(rows)], [], [], []
    for step in kept:
        got, parts = study.network_parts(nets[step], batches, cell.sizes(), tell=tell)
        counts.append(got.counts[:, :, scored].astype(np.int32))
        totals.append(parts.total.astype(np.float32))
        tails.append(parts.tail.astype(np.float32))
    np.savez_compressed(
        folder / "probe.npz", counts=np.stack(counts), total=np.stack(totals), tail=np.stack(tails),
        steps=np.array(kept), names=np.array(got.names), scored=np.array(scored), lrg_sizes=np.array(cell.sizes()),
        clusters=np.array([network.home.cluster(n) for n in got.names]),
    )  # fmt: skip
    with np.load(folder / "probe.npz") as probe:
        return pd.concat([*tables, *again(dict(probe), [test.classes[c] for c in scored])], ignore_index=True)


def again(kept: dict, classes) -> Iterator[pd.DataFrame]:
    """Yield the rows of every step from what is kept of every picture."""
    names, sizes, clusters = kept["names"].tolist(), kept["lrg_sizes"].tolist(), kept["clusters"].tolist()
    for step, counts, total, tail in zip(kept["steps"], kept["counts"], kept["total"], kept["tail"], strict=True):
        parts = study.loss_of(names, total, tail, [(s - 1) // 2 for s in sizes])
        yield at_step(int(step), study.counted(names, [counts], sizes), parts, clusters, classes)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: drops, scores and R_ce from what is kept of every picture. The training is not made again."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    classes = network.data("test").classes
    rows = pd.concat(again(kept, [classes[c] for c in kept["scored"]]), ignore_index=True)
    old = record.rows[record.rows["method"].notna() | (record.rows["metric"] == "r_ce")]
    old = old.dropna(axis=1, how="all").reset_index(drop=True)
    yield renewal.rows_again("drops, scores and R_ce from every picture", rows[list(old.columns)], old, KEPT)


def record(cell: Snapshots, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the parts of every picture beside; no weights."""
    word = sweep.precision() if cell.network.precision == "auto" else cell.network.precision
    word = networks.fast_precision(str(sweep.device())) if word == "auto" else word
    settings = {**cell.network.describe(), "name": cell.network.name, "stop": cell.stop, "early": cell.early,
                "trained_precision": word}  # fmt: skip
    return records.write("snapshots", rows, **context.told(), seed=cell.network.seed, data=[cell.network.home.test[0]],
                         script=Path(__file__), probe=folder / "probe.npz", settings=settings)  # fmt: skip


def minutes(cell: Snapshots, profile: str) -> float:
    """Minutes of one training: its steps, and half a minute each time it is measured."""
    scale = (cell.network.size / 257) ** 2
    return (cell.steps()[-1] * 2 / 60 + len(cell.steps()) * (0.1 if cell.early else 0.5)) * scale


EXPERIMENT = sweep.Experiment(name="snapshots", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
