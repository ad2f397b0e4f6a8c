"""A committed tiny network measured on the spot: the same path as the records', in seconds, for pages without one.

What it gives has the form of a record's content, so that the same tables and figures can be made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pandas as pd
import torch

from specseg.data import loading, transforms
from specseg.evidence import statistics as scores
from specseg.measure import gradients as ng
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import committed, protocol
from specseg.nets.committed import Batch
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network
from specseg.study.trained import Measured


def measure(network: Network, *, pictures: int = 8, limits: Sequence[int] | None = None) -> dict[str, Measured]:
    """Return experiment -> measurement of a committed network on its first test pictures, in float64.

    The experiments are networks, truncation and loss_in_frequency; seconds for the tiny networks of the smoke profile.
    `limits` are R_ce's: Table 1's and half of the LRG sizes, where the frame has them. Raises FileNotFoundError for a
    network whose weights are not in `results/tiny/`.
    """
    net, batches = committed.load(network), committed.batches(network, max(1, pictures // 4))
    net.lrg_size = None
    if limits is None:
        grid = {(s - 1) // 2 for s in protocol.lrg_sizes(net.prediction_grid)}
        limits = sorted({*protocol.LIMITS, *grid}, reverse=True)
    return {
        "networks": _scores(network, net, batches),
        "truncation": _truncation(network, net, batches),
        "loss_in_frequency": _loss(network, net, batches, limits),
    }


def gradients(network: Network, count: int) -> pd.DataFrame:
    """Return `network_gradients.study` of a committed network on `count` test pictures: in float32, as records are."""
    rows = ng.measure(committed.load(network).float(), ng.cases(network, count))
    return rows.assign(**{name: getattr(network, name) for name in ng.IDENTITY})


def _shared(network: Network, names: Sequence[str]) -> dict[str, np.ndarray]:
    scored = network.home.scored_indices(network.data("test").classes)
    return {"names": np.array(names), "clusters": np.array([network.home.cluster(n) for n in names]),
            "scored": np.array(scored)}  # fmt: skip


def _truncation(network: Network, net: SegmentationNet, batches: list[Batch]) -> Measured:
    chosen = study.conditions(net, protocol.lrg_sizes(net.prediction_grid))
    got = study.truncation_counts(net, batches, chosen)
    arrays = {
        "counts": got.counts, "boundary": got.boundary, "methods": np.array([c.method for c in got.conditions]),
        "lrg_sizes": np.array([c.lrg_size for c in got.conditions]), **_shared(network, got.names),
    }  # fmt: skip
    return Measured(network, pd.DataFrame(), arrays)


def _scores(network: Network, net: SegmentationNet, batches: list[Batch]) -> Measured:
    full = [study.Condition(study.FULL, net.prediction_grid)]
    got = study.truncation_counts(net, batches, full)
    pooled, shared = scores.pooled(got.counts[0]), _shared(network, got.names)
    about = {"predictor": "network", "n": len(got.names)}
    rows = [{**about, "metric": "iou", "class": c, "value": v}
            for c, v in zip(network.data("test").classes, scores.iou(pooled), strict=True)]  # fmt: skip
    scored = [int(c) for c in shared["scored"]]
    rows += [{**about, "metric": "miou", "class": "scored", "value": float(scores.miou(pooled, scored))},
             {**about, "metric": "boundary_miou", "class": "scored",
              "value": study.boundary_miou(got.boundary[0], scored)}]  # fmt: skip
    return Measured(network, pd.DataFrame(rows), {"counts": got.counts[0], **shared})


def _loss(network: Network, net: SegmentationNet, batches: list[Batch], limits: Sequence[int]) -> Measured:
    frames = loading.evaluation_loader(network.data("train"), transforms.evaluation(network.size), 4)
    fitting = ((images.double() / 255, labels, names) for images, labels, names in islice(frames, 4))
    kept = [n for n in limits if n < network.size // 2]
    temperature = loss_study.calibrated_temperature(net, fitting)
    parts = loss_study.loss_parts(net, batches, kept, temperature=temperature)
    rows = [{"metric": "temperature", "value": temperature}]
    for b, boundary in enumerate(("periodic", "mirrored")):
        rows += [{"metric": "loss_rim", "variant": boundary, "nu": nu, "value": v}
                 for nu, v in enumerate(parts.class_rims[b].sum(0))]  # fmt: skip
    rows += [{"metric": f"{name}_rim", "variant": "periodic", "nu": nu, "value": v}
             for name, power in parts.power.items() for nu, v in enumerate(power)]  # fmt: skip
    rows += _during(network, batches[:1])
    arrays = {
        "total": parts.total, "tail": parts.tail, "variants": np.array(parts.variants),
        "limits": np.array(parts.limits), "temperature": np.array(temperature), **_shared(network, parts.names),
    }  # fmt: skip
    return Measured(network, pd.DataFrame(rows), arrays)


@torch.no_grad()
def _during(network: Network, batches: list[Batch]) -> list[dict]:
    rows = []
    for step in committed.steps(network):
        net = committed.load(network, step=step)
        rims, counts, n = 0.0, [], 0
        for images, labels, _ in batches:
            logits = net(images)
            rims = rims + sum(loss_study.class_rims(y, t).sum(0) for y, t in zip(logits, labels, strict=True))
            counts.append(scores.class_counts(logits.argmax(1), labels, net.num_classes))
            n += len(labels)
        rows += [{"metric": "loss_rim", "step": step, "nu": nu, "value": v} for nu, v in enumerate((rims / n).tolist())]
        rows.append({"metric": "miou", "step": step, "value": float(scores.miou(np.concatenate(counts).sum(0)))})
    return rows
