"""A network small enough for a chapter: four convolutions down to a quarter grid, logits, bilinear up.

Random synthetic scenes (`specseg.data.synthetic`), cross-entropy with void left out, Adam, one seed for all. It is
a microscope for the mathematics of section 2.1, not a model of the paper's networks. A training takes seconds, but
amplifies the rounding of the processor that it runs on: what a page states comes from `probed`.

Weights of small trainings at several of their steps lie in one committed file each, `results/tiny/<name>.safetensors`:
a tensor is called `<step>/<name in the network's state>`, kernels are float16, vectors as they were; the file's
metadata say how the network was trained. `experiments/tiny_networks.py` writes them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from specseg.data import synthetic
from specseg.evidence import config, schema

State = dict[str, Tensor]
OFFSET = {"train": 0, "val": 500_000}  # scene numbers of the two splits never meet


class TinyNet(nn.Module):
    """Map images (B, 3, S, S), S = 4 k + 1, to logits (B, C, S, S) predicted on the grid of (S - 1)/4 + 1 pixels."""

    def __init__(self, classes: int, width: int = 24) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=4, dilation=4), nn.ReLU(),
        )  # fmt: skip
        self.classify = nn.Conv2d(2 * width, classes, 1)

    def grid_logits(self, images: Tensor) -> Tensor:
        """Return the logits on the prediction grid."""
        return self.classify(self.down(images))

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.grid_logits(images), size=images.shape[-2:], mode="bilinear", align_corners=True)


@dataclass(frozen=True)
class Trained:
    """A trained net, the steps at which it was probed, and its logits (float64) on the probe images at each of them."""

    net: TinyNet
    steps: tuple[int, ...]
    logits: tuple[Tensor, ...]
    images: Tensor
    labels: Tensor


def scenes(regime: str, count: int, size: int, *, split: str = "train", void: bool = True) -> tuple[Tensor, Tensor]:
    """Return `count` synthetic scenes as images (N, 3, S, S) in -1 .. 1 and labels (N, S, S), 255 = void.

    Raises ValueError for an unknown split or regime.

    >>> images, labels = scenes("landcover", 2, 33)
    >>> tuple(images.shape), tuple(labels.shape), bool(images.abs().max() <= 1)
    ((2, 3, 33, 33), (2, 33, 33), True)
    """
    first = OFFSET[schema.one_of("split", split, OFFSET)]
    samples = [synthetic.scene(regime, first + i, size, void=void) for i in range(count)]
    images = torch.stack([torch.from_numpy(s.image).permute(2, 0, 1) for s in samples]).float() / 127.5 - 1
    return images, torch.stack([torch.from_numpy(s.label) for s in samples])


def name(regime: str, steps: int, seed: int, void: bool) -> str:
    """Return the name of a committed training.

    >>> name("landcover", 200, 0, True)
    'toy-landcover-200-s0-void'
    """
    return f"toy-{regime}-{steps}-s{seed}" + "-void" * void


def path(name: str, root: Path | None = None) -> Path:
    """Return the file of a training's snapshots, in `root` or the project's root.

    >>> path("a", Path("x")).as_posix()
    'x/results/tiny/a.safetensors'
    """
    return (root or config.root()) / "results" / "tiny" / f"{name}.safetensors"


def read(name: str, root: Path | None = None) -> tuple[dict[int, State], dict[str, Any]]:
    """Return step -> state, in order, kernels as float16, and how they were trained.

    Raises FileNotFoundError that says how to make the file, ValueError for a file of another form.
    """
    file = path(name, root)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such weights; add them to experiments/tiny_networks.py and run it")
    states: dict[int, State] = {}
    with safe_open(config.note_input(file), "pt") as tensors:
        about = (tensors.metadata() or {}).get("about")
        for key in tensors.keys():
            step, sign, rest = key.partition("/")
            if about is None or not sign or not step.isdigit():
                raise ValueError(f"{file}: {key}: expected <step>/<tensor> and metadata named about")
            states.setdefault(int(step), {})[rest] = tensors.get_tensor(key)
    return dict(sorted(states.items())), json.loads(about)


@torch.no_grad()
def probed(
    regime: str = "landcover", *, steps: int = 200, seed: int = 0, void: bool = False, root: Path | None = None
) -> Trained:
    """Return a training from its committed weights, probed in float64: the same numbers on every processor.

    Size, probes and probe steps are those of its training (`experiments/tiny_networks.py`). Raises FileNotFoundError
    for a training that is not committed.
    """
    states, about = read(name(regime, steps, seed, void), root)
    images, labels = scenes(regime, about["probes"], about["size"], split="val", void=void)
    with torch.random.fork_rng(devices=[]):  # reading in a chapter moves nobody else's random numbers
        net, images = TinyNet(len(synthetic.CLASSES[regime])).double(), images.double()
    logits = []
    for state in states.values():
        net.load_state_dict(state)
        logits.append(net(images))
    return Trained(net, tuple(states), tuple(logits), images, labels)
