"""Published weights as networks, without the pictures they were trained on: what a reader without data can run."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from specseg.nets import train, weights
from specseg.nets.models import SegmentationNet, build
from specseg.nets.networks import Network

CLASSIFIER = "decoder.classifier.weight"


def load(network: Network, root: Path | None = None) -> SegmentationNet:
    """Return a published network in evaluation mode; its number of classes is read from the file.

    Raises FileNotFoundError that lists the published names when this one is not among them.
    """
    path = weights.home(root) / f"{network.name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such weights; published are {', '.join(weights.published(root)) or 'none'}"
        )
    with safe_open(path, "pt") as tensors:
        classes = tensors.get_slice(CLASSIFIER).get_shape()[0]
    net = build(
        network.model, backbone=network.backbone, num_classes=classes, input_size=network.size, width=network.width,
        lrg_size=network.lrg_size or None,
    )  # fmt: skip
    return train.load_weights(net, path).eval()
