"""Tiny networks from their committed weights, in float64: what a page shows of them is the same on every processor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from torch import Tensor

from specseg.nets import networks, snapshots
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network

Batch = tuple[Tensor, Tensor, Sequence[str]]


def load(network: Network, *, step: int | None = None, root: Path | None = None) -> SegmentationNet:
    """Return a network of `results/tiny/` in evaluation mode and float64, after `step` steps or fully trained.

    Raises FileNotFoundError when it is not committed, KeyError when this step is not kept.
    """
    states, _ = snapshots.read(network.name, root)
    step = max(states) if step is None else step
    if step not in states:
        raise KeyError(f"{network.name}: step {step} is not kept, expected one of {', '.join(map(str, states))}")
    net = network.build()
    net.load_state_dict(states[step])
    return net.eval().double()


def steps(network: Network, root: Path | None = None) -> list[int]:
    """Return the steps after which the weights are kept, in order. Raises FileNotFoundError as `load`."""
    return list(snapshots.read(network.name, root)[0])


def batches(network: Network, count: int) -> list[Batch]:
    """Return the first `count` batches of four test pictures: images (4, 3, s, s) in [0, 1] float64, labels, names."""
    return [(images.double(), labels, names) for images, labels, names in islice(networks.test_batches(network), count)]
