"""Train the networks of the protocol, score them on whole pictures, beside a rival that sees colours alone.

Command   specseg sweep run networks --profile standard      (or: python experiments/networks.py --profile standard)
Minutes   15 each on one core at 257 pixels, 2 on a GPU; the tiny ones 3. Interrupted, each goes on from its last 50
          steps. --profile paper: ResNet-101 at 513 pixels, hundreds of GPU hours, on Slurm.
Expect    mIoU 0.5 to 0.65 on PASCAL's animals, 0.45 to 0.6 on streets, 0.4 to 0.6 on land cover with large differences
          between tiles; two to five times the colour histogram's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from specseg import sweep
from specseg.data import loading, transforms
from specseg.evidence import records, renewal
from specseg.measure import truncation as study
from specseg.nets import colour, networks, weights
from specseg.nets.networks import Network
from specseg.nets.protocol import networks as protocol
from specseg.spectral.iou import class_counts

FREE = ("synthetic", "dubai")  # pictures whose licence lets them travel with a record


def cells(profile: str) -> list[Network]:
    """Every network of the protocol that is no short continuation of another, which has its score."""
    return [n for n in protocol(profile) if n.start != "frozen"]


def rival(network: Network) -> dict[str, np.ndarray]:
    """Return the counts of the colour histogram, trained and tested on the network's frames."""
    train = networks.Annotated(network.data("train"), network)
    model = colour.ColourHistogram(train.num_classes)
    for images, labels, _ in loading.evaluation_batches(train, transforms.evaluation(network.size), 4):
        model.add(images.float() / 255, labels)
    found: dict[str, list[np.ndarray]] = {}
    for images, labels, _ in networks.test_batches(network):
        for name, pred in model.predict(images).items():
            found.setdefault(name, []).append(class_counts(pred, labels, train.num_classes).cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def run(network: Network, folder: Path, tell) -> pd.DataFrame:
    """Train (or go on), then return tidy rows of the training and of the test; counts go to counts.npz."""
    networks.ensure(network, device=str(sweep.device()), precision=sweep.precision(), tell=tell)
    net, about = weights.load(network, sources=weights.TRAINED).to(sweep.device()), networks.about(network)
    data = network.data("test")
    scored = network.home.scored_indices(data.classes)
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(
        net, networks.test_batches(network, device=sweep.device()), full, scored=scored, tell=tell
    )
    clusters = [network.home.cluster(name) for name in got.names]
    rows = []
    for predictor, counts in {"network": got.counts[0], **rival(network)}.items():
        rows += study.score_rows(counts, clusters, scored, data.classes, predictor=predictor)
    edge = study.boundary_miou(got.boundary[0], scored)
    rows.append({"predictor": "network", "metric": "boundary_miou", "class": "scored", "value": edge, "n": len(data)})
    rows += [{"predictor": "network", "metric": "loss", "class": f"step {r.step}", "value": r.loss, "n": network.batch}
             for r in networks.history(network).itertuples() if r.step % 10 == 9]  # fmt: skip
    rows += [{"predictor": "network", "metric": key, "class": "training", "value": about[key], "n": about["images"]}
             for key in ("seconds", "seconds_per_step", "threads") if about[key] is not None]  # fmt: skip
    net, image = net.cpu(), next(iter(networks.test_batches(network, batch=1)))
    np.savez_compressed(
        folder / "probe.npz", counts=got.counts[0].astype(np.int32), clusters=np.array(clusters),
        names=np.array(got.names), scored=np.array(scored), probe_scene=weights.probe_logits(net).numpy(),
        probe_picture=weights.probe_logits(net, image[0][0]).numpy(),
        **({"probe_image": (image[0][0] * 255).round().byte().numpy()} if network.home.train[0] in FREE else {}),
    )  # fmt: skip
    table = pd.DataFrame(rows)
    units = {"loss": "nat", "seconds": "s", "seconds_per_step": "s"}
    return table.assign(unit=table["metric"].map(units).fillna("1"))


SMALL = 20  # test pictures up to which the colour histogram is trained and tested again: seconds


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the network's scores from the counts that are kept; on a small test set the rival's scores; the logits of
    the probe's scene and picture and the first pictures' counts from the weights, where these are not at hand those of
    a published network against its own record. The training is not done again: what made the weights is named by
    `trained_by`."""
    network, kept = networks.of_settings(record.meta["settings"]), record.probe()
    data, scored = network.data("test"), kept["scored"].tolist()
    rows, shared = record.rows[record.rows["metric"].isin(["miou", "iou"])], (kept["clusters"], scored, data.classes)
    again = pd.DataFrame(study.score_rows(kept["counts"], *shared, predictor="network"))
    yield renewal.rows_again("scores from the counts", again, rows[rows["predictor"] == "network"])
    if len(data) <= SMALL:
        found = [r for k, counts in rival(network).items() for r in study.score_rows(counts, *shared, predictor=k)]
        told = "the colour histogram's scores"
        yield renewal.rows_again(told, pd.DataFrame(found), rows[rows["predictor"] != "network"])
    net, own = weights.at_hand(network)
    if own != network:
        network, kept = own, records.load("networks", name=own.name).probe()
    images, labels, names = next(iter(networks.test_batches(network)))
    renewal.same_pictures(names, kept["names"])
    picture = torch.from_numpy(kept["probe_image"]).float() / 255 if "probe_image" in kept else images[0]
    worst = max(renewal.deviation(weights.probe_logits(net).numpy(), kept["probe_scene"]),
                renewal.deviation(weights.probe_logits(net, picture).numpy(), kept["probe_picture"]))  # fmt: skip
    yield renewal.Check(f"logits of a scene and of a picture by {own.name}", worst, renewal.FLOAT32)
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(net, [(images, labels, names)], full, boundary=())
    worst = renewal.turned(got.counts[0], kept["counts"][: len(names)], network.size**2)
    yield renewal.Check(f"counts of the first {len(names)} pictures by {own.name}", worst, renewal.TURNED)


def record(network: Network, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record; the code of the training itself is what network.json says, not what is there today."""
    about = networks.about(network)
    if network.is_baseline and network.seed == network.fold == 0 and network.backbone != "tiny":
        weights.publish(network)
    return records.write(
        "networks", rows, **context.told(), seed=network.seed,
        data=[network.home.train[0]], script=Path(__file__), probe=folder / "probe.npz",
        settings={**networks.recorded(network), "pictures": about["images"],
                  "coverage": about["coverage"], "training": about["settings"], "trained_at": about["commit"],
                  "trained_by": about["modules"]},
    )  # fmt: skip


def minutes(network: Network, profile: str) -> float:
    """Minutes of one network: on one core; on one GPU at the paper's size."""
    if profile == "paper":
        return 0.4 / 60 * network.settings({"pascal": 10582, "deepglobe": 701}.get(network.domain, 2975)).steps
    pace = 0.5 if network.backbone == "tiny" else 1.8
    return (network.steps or network.home.steps) * pace / 60 * (network.size / 257) ** 2 + 1


EXPERIMENT = sweep.Experiment(name="networks", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
