"""A training that is watched: its network at listed steps, and pictures held out that say where to stop.

By the policy of the network, on its batches: up to a listed step it is the training that `networks.ensure` makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from specseg.data.samples import DataSet, Subset
from specseg.nets import networks, train
from specseg.nets.networks import Network

FIRST, LATER = (0, 1, 2, 4, 8, 16, 32, 64), (96, 128, 192, 256, 384, 512, 768, 1024)


def steps_to(end: int) -> list[int]:
    """Return the steps at which a training up to `end` is looked at.

    >>> steps_to(64), steps_to(100)[-3:]
    ([0, 1, 2, 4, 8, 16, 32, 64], [64, 96, 100])
    """
    return sorted({*(s for s in FIRST + LATER if s < end), end})


def held_out(data: DataSet, group: Callable[[str], str], share: float = 0.1) -> tuple[Subset, Subset]:
    """Return a split without the last stretch of each group (a drive), by name, and these stretches.

    A stretch is `share` of its group's pictures, at least one. Raises ValueError where a group has one picture alone.
    """
    groups: dict[str, list[int]] = {}
    for i in sorted(range(len(data)), key=lambda k: data.ids[k]):
        groups.setdefault(group(data.ids[i]), []).append(i)
    if alone := [name for name, rows in groups.items() if len(rows) < 2]:
        raise ValueError(f"{data.name}: {alone[0]} has one picture, expected two or more to hold one out")
    held = {i for rows in groups.values() for i in rows[-max(1, round(share * len(rows))) :]}
    kept = [i for i in range(len(data)) if i not in held]
    return Subset(data, kept, "without the last stretches"), Subset(data, sorted(held), "the last stretches")


def snapshots(
    network: Network, place: Path, at: Sequence[int], *, data: DataSet | None = None, device: str = "cpu",
    precision: str = "auto", tell: Callable[[str], None] = lambda _: None,
) -> dict[int, Path]:  # fmt: skip
    """Train a network as far as the last of the steps `at` and return step -> its weights there, kernels rounded.

    `data` takes the place of its training pictures. What lies in `place` is not made again: an interrupted training
    goes on from its checkpoint there. Raises ValueError for a step beyond the training.
    """
    files = {step: place / f"step{step:06d}.safetensors" for step in at}
    if all(file.is_file() for file in files.values()):
        return files
    data = network.data("train", framed=False) if data is None else data
    word = networks.precision_of(network, device, precision)
    settings, draw = networks.prepared(network, data, device, word)
    if max(at) > settings.steps:
        raise ValueError(f"step {max(at)}: expected at most {settings.steps}, the length of the training")
    settings = replace(settings, snapshots=tuple(at))

    def keep(step: int, model: torch.nn.Module) -> None:
        train.save_weights(model.state_dict(), files[step])
        tell(f"{network.name}, step {step} of {settings.steps}")

    train.fit(network.build(pretrained=True), draw, settings, checkpoint=place / "run.ckpt", on_snapshot=keep,
              stop=max(at), fabric=train.runner(device, precision=word))  # fmt: skip
    (place / "run.ckpt").unlink(missing_ok=True)
    return files
