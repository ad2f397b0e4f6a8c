"""A tiny network measured on the spot: the same path as the records', in seconds, for pages without one.

What it gives has the form of a record's content, so that the same tables and figures can be made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from specseg.data import loading, transforms
from specseg.evidence import statistics as scores
from specseg.measure import gradients as ng
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import networks, protocol, tiny, weights
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network
from specseg.study.trained import Measured

Batches = Sequence[tuple[Tensor, Tensor, Sequence[str]]]


def measure(network: Network, *, pictures: int = 8, limits: Sequence[int] | None = None) -> dict[str, Measured]:
    """Return experiment -> measurement of a committed network on its first test pictures, in float64.

    The experiments are networks, truncation and loss_in_frequency; seconds for the tiny networks of the smoke profile.
    `limits` are R_ce's: Table 1's and half of the LRG sizes, where the frame has them. Raises FileNotFoundError for a
    network whose weights are not in `results/tiny/`.
    """
    net, batches = committed(network), test_batches(network, max(1, pictures // 4))
    net.lrg_size = None
    sizes = protocol.lrg_sizes(net.prediction_grid)
    if limits is None:
        limits = sorted({*protocol.LIMITS, *((s - 1) // 2 for s in sizes)}, reverse=True)
    frames = loading.evaluation_loader(network.data("train"), transforms.evaluation(network.size), 4)
    fitting = ((images.double() / 255, labels, names) for images, labels, names in islice(frames, 4))
    temperature = loss_study.calibrated_temperature(net, fitting)
    loss = loss_in_frequency(network, net, batches, [n for n in limits if n < network.size // 2], temperature)
    steps = ((step, committed(network, step)) for step in tiny.read(network.name)[0])
    course = pd.DataFrame(loss_study.course_rows(steps, batches[:1]))
    cut = truncation(network, net, batches, study.conditions(net, sizes))
    return {
        "networks": _scores(network, cut), "truncation": cut,
        "loss_in_frequency": loss._replace(rows=pd.concat([loss.rows, course], ignore_index=True)),
    }  # fmt: skip


def committed(network: Network, step: int | None = None) -> SegmentationNet:
    """Return a tiny network from its committed weights in float64, after `step` steps or fully trained."""
    return weights.load(network, step=step, sources=("committed",))


def test_batches(network: Network, count: int) -> list[tuple[Tensor, Tensor, Sequence[str]]]:
    """Return the first `count` batches of four test pictures in float64."""
    return list(networks.test_batches(network, count=count, dtype=torch.float64))


def gradients(network: Network, count: int) -> pd.DataFrame:
    """Return `measure.gradients.study` of a committed network on `count` test pictures: in float32, as records are."""
    rows = ng.measure(committed(network).float(), ng.cases(network, count))
    return rows.assign(**{name: getattr(network, name) for name in ng.IDENTITY})


def truncation(
    network: Network, net: SegmentationNet, batches: Batches, chosen: Sequence[study.Condition], **options
) -> Measured:
    """Return a network's counts under some conditions; `options` as `measure.truncation.truncation_counts` takes."""
    got = study.truncation_counts(net, batches, chosen, **options)
    arrays = {
        "counts": got.counts, "boundary": got.boundary, "methods": np.array([c.method for c in got.conditions]),
        "lrg_sizes": np.array([c.lrg_size for c in got.conditions]), **_shared(network, got.names),
    }  # fmt: skip
    classes = network.data("test").classes
    rows = {"metric": "iou", "method": "full", "class": [classes[c] for c in arrays["scored"]]}
    return Measured(network, pd.DataFrame(rows), arrays)


def loss_in_frequency(
    network: Network, net: SegmentationNet, batches: Batches, limits: Sequence[int], temperature: float = 1.0
) -> Measured:
    """Return a network's loss in frequency on some pictures, in every reading but the padded frame (NaN)."""
    parts = loss_study.loss_parts(net, batches, limits, temperature=temperature)
    rows = [{"metric": "temperature", "value": temperature}, *loss_study.rim_rows(parts)]
    arrays = {
        "total": parts.total, "tail": parts.tail, "soft": parts.soft, "class_rims": parts.class_rims,
        "variants": np.array(parts.variants), "limits": np.array(parts.limits), "temperature": np.array(temperature),
        **_shared(network, parts.names),
    }  # fmt: skip
    return Measured(network, pd.DataFrame(rows), arrays)


def _shared(network: Network, names: Sequence[str]) -> dict[str, np.ndarray]:
    scored = network.home.scored_indices(network.data("test").classes)
    return {"names": np.array(names), "clusters": np.array([network.home.cluster(n) for n in names]),
            "scored": np.array(scored)}  # fmt: skip


def _scores(network: Network, cut: Measured) -> Measured:
    """Return what the experiment `networks` says of the whole grid."""
    whole = cut.arrays["methods"].tolist().index(study.FULL)
    counts, boundary, scored = cut.arrays["counts"][whole], cut.arrays["boundary"][whole], cut.arrays["scored"].tolist()
    pooled, about = scores.pooled(counts), {"predictor": "network", "n": len(counts)}
    rows = [{**about, "metric": "iou", "class": c, "value": v}
            for c, v in zip(network.data("test").classes, scores.iou(pooled), strict=True)]  # fmt: skip
    rows += [
        {**about, "metric": "miou", "class": "scored", "value": float(scores.miou(pooled, scored))},
        {**about, "metric": "boundary_miou", "class": "scored", "value": study.boundary_miou(boundary, scored)},
    ]
    shared = {k: cut.arrays[k] for k in ("names", "clusters", "scored")}
    return Measured(network, pd.DataFrame(rows), {"counts": counts, **shared})
