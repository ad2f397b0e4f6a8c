"""A tiny network measured on the spot: the same path as the records', in seconds, for pages without one.

What it gives has the form of a record's content, so that the same tables and figures can be made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from specseg.measure import gradients as ng
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import networks, weights
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network
from specseg.study.trained import Measured

Batches = Sequence[tuple[Tensor, Tensor, Sequence[str]]]


def committed(network: Network) -> SegmentationNet:
    """Return a tiny network from its committed weights in float64."""
    return weights.load(network, sources=("committed",))


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


def loss_in_frequency(network: Network, net: SegmentationNet, batches: Batches, limits: Sequence[int]) -> Measured:
    """Return a network's loss in frequency on some pictures, in every reading but the padded frame (NaN)."""
    parts = loss_study.loss_parts(net, batches, limits)
    arrays = {
        "total": parts.total, "tail": parts.tail, "soft": parts.soft, "class_rims": parts.class_rims,
        "variants": np.array(parts.variants), "limits": np.array(parts.limits),
        **_shared(network, parts.names),
    }  # fmt: skip
    return Measured(network, pd.DataFrame(), arrays)


def _shared(network: Network, names: Sequence[str]) -> dict[str, np.ndarray]:
    scored = network.home.scored_indices(network.data("test").classes)
    return {"names": np.array(names), "clusters": np.array([network.home.cluster(n) for n in names]),
            "scored": np.array(scored)}  # fmt: skip
