"""Weights that travel with the project: one baseline per model and domain, so that chapters run on them on any CPU.

`results/weights/<name>.safetensors`, kernels in half precision. Those trained on CamVid or PASCAL VOC pictures are for
research only, as these pictures are; README.md beside them says which.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from specseg.data import synthetic
from specseg.evidence import config
from specseg.nets import networks, train
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network

LIMIT = 10_000_000  # bytes of one file


def home(root: Path | None = None) -> Path:
    """Return the folder of published weights."""
    return (root or config.root()) / "results" / "weights"


def publish(network: Network, *, root: Path | None = None) -> Path:
    """Copy a trained network's weights to the published folder and return the file; a published file stays as it is.

    Raises FileNotFoundError when the network is not trained, ValueError when the file is above 10 MB.
    """
    source = networks.folder(network) / "weights.safetensors"
    target = home(root) / f"{network.name}.safetensors"
    if target.is_file():
        return target
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such weights; train {network.name} first")
    if source.stat().st_size > LIMIT:
        raise ValueError(f"{source}: {source.stat().st_size} bytes, expected at most {LIMIT}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)
    return target


def published(root: Path | None = None) -> list[str]:
    """Return the names of the networks whose weights travel with the project."""
    folder = home(root)
    return sorted(p.stem for p in folder.glob("*.safetensors")) if folder.is_dir() else []


def load(network: Network, *, num_classes: int | None = None, root: Path | None = None) -> SegmentationNet:
    """Return a trained network from runs/, else from the published weights, in evaluation mode.

    Raises FileNotFoundError that names both places when it is in neither.
    """
    own = networks.folder(network) / "weights.safetensors"
    path = own if own.is_file() else home(root) / f"{network.name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"{network.name}: neither {own} nor {path}; train it with experiments/networks.py")
    return train.load_weights(network.build(), path).eval()


@torch.no_grad()
def probe_logits(net: SegmentationNet, image: torch.Tensor | None = None, *, stride: int = 8) -> torch.Tensor:
    """Return every `stride`-th grid logit of one picture, float32 (C, k, k): what a record keeps to be recomputed.

    `image` is (3, s, s) in [0, 1]; without one it is scene 7 of the synthetic streets.
    """
    if image is None:
        scene = synthetic.scene("streets", 7, net.input_size)
        image = torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255
    return net.eval().grid_logits(image[None])[0, :, ::stride, ::stride]
