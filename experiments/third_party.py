"""Networks that others trained: scores, R_ce in every reading, truncation of logits and last features, gradient rows.

Command   specseg sweep run third_party --profile standard    (or: python experiments/third_party.py --profile standard)
          on a GPU machine: --launcher local --jobs 6 --device cuda
Data      voc2012, camvid and cityscapes_512x256 under SPECSEG_DATA, weights under SPECSEG_NETS (`specseg nets list`)
Minutes   of one core for the paper's frame: 30 a network on PASCAL, 9 on Cityscapes, 6 on CamVid, a third of it on
          native crops; seconds a network on a GPU. smoke: four pictures each of three networks, seconds
Expect    mIoU near the published numbers; R_ce a few per cent at 8 cycles per frame, larger on streets

A cell is a network in a frame. The protocol is on the book's page on method, its list in nets/third_party/protocol.py.
Temperatures and the colour rival are made from one half of the pictures and used on the other, both ways round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from specseg import sweep
from specseg.data import loading
from specseg.evidence import records, renewal
from specseg.measure import gradients, loss, truncation
from specseg.nets import colour, weights
from specseg.nets.third_party import protocol
from specseg.nets.third_party.base import LAST, ThirdPartyNet
from specseg.nets.third_party.protocol import Unit
from specseg.spectral.iou import class_counts

CALIBRATION, GRADIENTS = 16, 8  # pictures of a half that a temperature is fitted on; of the frame, with gradient rows
BATCH = {"cuda": 8, "cpu": 2}
# Share of a frame's pixels that may turn when counts are made again: natively cropped pictures agree across processors,
# while resizing to the paper's frame rounds a grey level up here and down there (found: 0 and 0.2 %).
TURNED = {"native": renewal.TURNED, "paper": 5e-3}


def conditions(unit: Unit, net: ThirdPartyNet) -> list[truncation.Condition]:
    """Return the full grid; logits at the sizes all networks share; last features at shares of the own grid."""
    out = [truncation.Condition(truncation.FULL, net.grid(unit.size))]
    for method in (truncation.LOGITS, truncation.LOW_PASS):
        out += [truncation.Condition(method, size) for size in unit.shared_sizes()]
    for method in ("bilinear", "fourier"):
        out += [truncation.Condition(method, size) for size in unit.own_sizes(net)[1:]]
    return out


def rival_rows(items: Sequence[loading.Item], clusters: Sequence[str], scored: list[int], classes) -> list[dict]:
    """Return the rows of the colour histogram, made from one half and scored on the other, both ways round."""
    found: dict[str, list] = {}
    for k in (0, 1):
        model = colour.ColourHistogram(len(classes))
        for images, labels, _ in loss.batched(items[1 - k :: 2]):
            model.add(images, labels)
        for images, labels, _ in loss.batched(items[k::2]):
            for name, pred in model.predict(images).items():
                found.setdefault(name, []).append(class_counts(pred, labels, len(classes)).cpu().numpy())
    where = [*clusters[0::2], *clusters[1::2]]
    parts = {name: np.concatenate(counts) for name, counts in found.items()}
    return [row for name, counts in parts.items()
            for row in truncation.score_rows(counts, where, scored, classes, predictor=name)]  # fmt: skip


def loss_of(unit: Unit, net: ThirdPartyNet, items: Sequence[loading.Item], device, tell) -> tuple[loss.LossParts, list]:
    """Return the loss in frequency of all pictures, the first of every two first, and each half's temperature."""
    data, batch = unit.data(), BATCH[torch.device(device).type]
    rows, limits = unit.rows(data), unit.limits(net)
    fits = [loss.batched(items[k::2][:CALIBRATION], batch, device) for k in (1, 0)]
    temperatures = [loss.calibrated_temperature(net, fit) for fit in fits]
    parts = []
    for k, temperature in enumerate(temperatures):
        padded = loss.padded_frames(data, unit.size, rows[k::2]) if unit.frame == "paper" else None
        parts.append(
            loss.loss_parts(
                net, loss.batched(items[k::2], batch, device), limits, temperature=temperature,
                padded=loss.batched(padded, batch, device) if padded else None, tell=tell,
            )
        )  # fmt: skip
    return loss.joined(parts), temperatures


def measured(unit: Unit, items: Sequence[loading.Item], tell=lambda _: None):
    """Return the network, what truncation does to it, its loss in frequency, and the temperatures."""
    device = sweep.device()
    net = weights.load(unit.name, sources=("third party",)).to(device)
    batch = BATCH[torch.device(device).type]
    parts, temperatures = loss_of(unit, net, items, device, tell)
    scored = unit.home.scored_indices(unit.data().classes)
    got = truncation.truncation_counts(
        net, loss.batched(items, batch, device), conditions(unit, net), scored=scored, tell=tell
    )
    cases = list(gradients.labelled(items[:GRADIENTS], device))
    rows = gradients.loss_rows(net, cases, LAST, crop=gradients.CROP)
    parts = parts._replace(total=parts.total.astype(np.float32), tail=parts.tail.astype(np.float32))  # what is kept
    kept = got._replace(counts=got.counts[:, :, scored], boundary=got.boundary[:, :, scored])
    return kept, parts, temperatures, rows.dropna(axis=1, how="all")


def rows_of(unit: Unit, got: truncation.Counts, parts: loss.LossParts, classes: Sequence[str]) -> pd.DataFrame:
    """Return the rows that follow from the counts of scored classes and from the losses of every picture."""
    clusters = {name: unit.home.cluster(name) for name in got.names}
    table = truncation.table(got, list(clusters.values()), range(len(classes)), classes)
    rates = loss.rate_rows(parts, [clusters[name] for name in parts.names])
    return pd.concat([table, pd.DataFrame(rates)], ignore_index=True)


def run(unit: Unit, folder: Path, tell) -> pd.DataFrame:
    """Return tidy rows of everything that is measured; the counts of every picture go into the probe."""
    data = unit.data()
    scored, items = unit.home.scored_indices(data.classes), unit.items(data)
    tell(f"{unit.name}, {unit.frame} frame: {len(items)} pictures")
    got, parts, temperatures, gradient = measured(unit, items, tell)
    clusters = [unit.home.cluster(name) for name in got.names]
    shared = {"n": len(items), "unit": "1"}
    more = [{**shared, "metric": "temperature", "variant": f"half {k}", "value": t} for k, t in enumerate(temperatures)]
    more += [{**shared, **r, "unit": "nat" if r["metric"] == "loss_rim" else "1"} for r in loss.rim_rows(parts)]
    more += rival_rows(items, clusters, scored, data.classes)
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts.astype(np.int32), boundary=got.boundary.astype(np.int32),
        methods=np.array([c.method for c in got.conditions]), lrg_sizes=np.array([c.lrg_size for c in got.conditions]),
        names=np.array(got.names), scored=np.array(scored), total=parts.total, tail=parts.tail,
        loss_names=np.array(parts.names), limits=np.array(parts.limits), temperatures=np.array(temperatures),
    )  # fmt: skip
    rows = rows_of(unit, got, parts, [data.classes[c] for c in scored])
    return pd.concat([rows, pd.DataFrame(more), gradient], ignore_index=True)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows of scores, drops and R_ce from what is kept of every picture; the first pictures' counts anew."""
    told, kept = record.meta["settings"], record.probe()
    unit = Unit(told["name"], told["frame"], told["pictures"])
    classes = unit.home.open("test").classes
    chosen = [truncation.Condition(str(m), int(s)) for m, s in zip(kept["methods"], kept["lrg_sizes"], strict=True)]
    got = truncation.Counts(chosen, kept["names"].tolist(), kept["counts"], kept["boundary"])
    limits, names = tuple(map(int, kept["limits"])), kept["loss_names"].tolist()
    parts = loss.LossParts(loss.VARIANTS, limits, names, kept["total"], kept["tail"])
    again = rows_of(unit, got, parts, [classes[c] for c in kept["scored"]])
    ours = record.rows["metric"].isin(set(again["metric"])) & record.rows["predictor"].isna()
    old = record.rows[ours].dropna(axis=1, how="all").reset_index(drop=True)
    again = again[list(old.columns)]
    yield renewal.rows_again("scores, drops and R_ce from the parts of every picture", again, old)
    data = unit.data()
    few = [one for one in unit.items(data) if one[2] in set(got.names[:2])]
    net = weights.load(unit.name, sources=("third party",))
    found = truncation.truncation_counts(net, loss.batched(few), chosen, scored=kept["scored"].tolist(), boundary=())
    renewal.same_pictures(found.names, got.names)
    worst = renewal.turned(found.counts[:, :, kept["scored"]], got.counts[:, : len(few)], unit.size**2)
    yield renewal.Check(f"counts of the first {len(few)} pictures by the network", worst, TURNED[unit.frame])


def record(unit: Unit, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record with the counts of every picture beside; no picture is in it."""
    manifest = unit.manifest
    settings = {
        "name": unit.name, "frame": unit.frame, "pictures": unit.pictures, "size": unit.size,
        "dataset": manifest.dataset, "architecture": manifest.title, "trained_on": manifest.trained_on,
        "published": manifest.published, "sha256": manifest.sha256, "seen": unit.name in protocol.SEEN,
    }  # fmt: skip
    return records.write(
        "third_party", rows, **context.told(), data=[unit.home.test[0]], script=Path(__file__),
        probe=folder / "probe.npz", settings=settings,
        notes=f"Weights: {manifest.origin} at {manifest.commit}, {manifest.licence}.",
    )  # fmt: skip


def minutes(unit: Unit, profile: str) -> float:
    """Minutes of one unit on one core: pictures x pixels."""
    pictures = unit.pictures or {"voc2012": 297, "cityscapes": 89, "camvid": 59}[unit.manifest.dataset]
    return 0.1 + pictures * 6 / 60 * (unit.size / 513) ** 2


EXPERIMENT = sweep.Experiment(name="third_party", cells=protocol.units, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
