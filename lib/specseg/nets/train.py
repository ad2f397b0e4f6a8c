"""One training loop, through Lightning Fabric: SGD, poly schedule, exact resumption."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from specseg.data.datasets import VOID
from specseg.evidence import config
from specseg.nets.pruning import SoftFilterPruning

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Draw = Callable[[int], tuple[Tensor, Tensor]]
"""Step number -> images (B, 3, s, s) in [0, 1] and labels (B, s, s): the same for the same step, so that runs can
resume (`specseg.data.loading.draws` makes one)."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained: one policy per data set, the same for every condition compared.

    `lr` is the backbone's learning rate; layers without pretrained weights get `new_layers` times as much. After
    `warmup` steps it falls as (1 - step / steps)^power. `epoch_steps` steps make an epoch, after which filters are
    pruned; the last may be cut short. `precision` is Fabric's word: "32-true" or "bf16-mixed". `snapshots` are the
    steps after which `fit` hands out the network. `frozen` leaves the backbone as it is: its weights, and the
    statistics of its normalisation.
    """

    steps: int
    lr: float = 0.005
    new_layers: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    power: float = 0.9
    warmup: int = 50
    epoch_steps: int = 100
    precision: str = "32-true"
    seed: int = 0
    checkpoint_steps: int = 50
    snapshots: tuple[int, ...] = ()
    frozen: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "epoch_steps", "checkpoint_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"Settings.{name} {getattr(self, name)!r}: expected at least 1")
        if self.lr <= 0:
            raise ValueError(f"Settings.lr {self.lr!r}: expected a positive number")
        if not 0 <= self.warmup < self.steps:
            raise ValueError(f"Settings.warmup {self.warmup!r}: expected 0 to below steps = {self.steps}")


# The paper's policies (A.9): random 513 x 513 crops, batches of 8; nothing is said of momentum, decay, the schedule or
# new layers, so these are DeepLab v3+'s own: SGD 0.9, 4e-4 decay, poly 0.9, new layers at 10 times the rate.
PAPER = {"voc2012": (0.0007, 100), "deepglobe": (0.007, 600), "cityscapes": (0.001, 200)}


def paper_settings(dataset: str, images: int, *, batch: int = 8) -> Settings:
    """Return the paper's settings for a data set of so many training images: A.9's rate and epochs, in steps.

    The printed rate is taken as that of the new layers, a tenth of it as the backbone's. Raises ValueError for a data
    set that the paper did not train on and for fewer images than a batch.

    >>> s = paper_settings("cityscapes", 2975)
    >>> s.steps, s.epoch_steps, s.lr, s.new_layers
    (74200, 371, 0.0001, 10.0)
    """
    if dataset not in PAPER:
        raise ValueError(f"dataset {dataset!r}: A.9 has settings for {', '.join(PAPER)}")
    if images < batch:
        raise ValueError(f"images {images}: expected at least the batch of {batch}")
    (rate, epochs), epoch = PAPER[dataset], images // batch
    return Settings(steps=epochs * epoch, lr=rate / 10, weight_decay=4e-4, epoch_steps=epoch)


def lr_factor(step: int, settings: Settings) -> float:
    """Return the learning rate's factor at a step: linear warm-up times (1 - step / steps)^power.

    >>> s = Settings(steps=100, warmup=10)
    >>> [round(lr_factor(t, s), 3) for t in (0, 9, 50, 100)]
    [0.1, 0.919, 0.536, 0.0]
    """
    ramp = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    return ramp * (1 - step / settings.steps) ** settings.power


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy over the pixels that are not void (Eq. 1); 0 where every pixel is void.

    `logits` are (B, C, H, W), `labels` (B, H, W) of 0..C-1 and 255.

    >>> round(float(cross_entropy(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 255]]]))), 4)    # log 2
    0.6931
    """
    total = F.cross_entropy(logits.float(), labels, ignore_index=VOID, reduction="sum")
    return total / (labels != VOID).sum().clamp(min=1)


def runner(device: str = "cpu", *, precision: str = "32-true") -> Fabric:
    """Return the Fabric of one device, "cpu" or "cuda": what `fit` runs on.

    Raises ValueError for another device or precision (Fabric lists its words), RuntimeError for a GPU that is absent.
    """
    from lightning_fabric import Fabric  # it loads torch._dynamo and torchmetrics: seconds that only a training needs

    config.device(device)
    with warnings.catch_warnings():  # Fabric advises srun wherever Slurm is installed
        warnings.filterwarnings("ignore", message=".*srun.*")
        return Fabric(accelerator=device, devices=1, precision=precision)


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return SGD with `settings.new_layers` times the rate for the parameters that no pretrained backbone brings."""
    new = model.new_parameters()
    fresh = set(map(id, new))
    old = [p for p in model.parameters() if id(p) not in fresh]
    groups = [{"params": old, "lr": settings.lr}, {"params": new, "lr": settings.lr * settings.new_layers}]
    return torch.optim.SGD(groups[settings.frozen :], momentum=settings.momentum, weight_decay=settings.weight_decay)


def fit(
    model: nn.Module,
    draw: Draw,
    settings: Settings,
    *,
    fabric: Fabric | None = None,
    checkpoint: Path | None = None,
    prune: SoftFilterPruning | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
    on_snapshot: Callable[[int, nn.Module], None] = lambda steps, model: None,
    stop: int | None = None,
) -> pd.DataFrame:
    """Train `model` in place and return one row a step: step, loss, lr.

    `checkpoint` names a file from which an interrupted run goes on, on the CPU to the weights of an uninterrupted one;
    a file of other settings is refused with ValueError. `prune` acts before training, after every epoch and after the
    last step, so that what is saved is pruned.
    `on_step` is called with step and loss, `on_snapshot` with the number of steps made and the network, whenever one of
    `settings.snapshots` is due. After `stop` steps it ends before its time.
    """
    fabric = fabric or runner(precision=settings.precision)
    model = model.to(memory_format=torch.channels_last)
    model, sgd = fabric.setup(model, optimizer(model, settings))
    told = {**asdict(settings), "prune": prune and asdict(prune)}
    state: dict[str, Any] = {"model": model, "optimizer": sgd, "step": 0, "losses": [], "settings": told}
    if checkpoint is not None and checkpoint.is_file():
        _resume(fabric, checkpoint, state, told)
    base = (settings.lr, settings.lr * settings.new_layers)[settings.frozen :]
    if state["step"] == 0 and prune is not None:
        prune.step(model.module, 0.0)
    if state["step"] == 0 and 0 in settings.snapshots:
        on_snapshot(0, model.module)
    model.train()
    if settings.frozen:
        model.module.backbone.eval().requires_grad_(False)
    with _depthwise_in_float32(model.module, settings, fabric):
        for step in range(state["step"], settings.steps if stop is None else stop):
            torch.manual_seed(settings.seed * 1_000_003 + step)  # drop-out is a function of the step
            for group, lr in zip(sgd.param_groups, base, strict=True):
                group["lr"] = lr * lr_factor(step, settings)
            images, labels = map(fabric.to_device, draw(step))
            loss = cross_entropy(model(images.contiguous(memory_format=torch.channels_last)), labels)
            sgd.zero_grad(set_to_none=True)
            fabric.backward(loss)
            sgd.step()
            value = float(loss.detach())
            if not np.isfinite(value):
                raise FloatingPointError(f"loss {value} at step {step}: lower lr ({settings.lr}) or warm up longer")
            state["losses"].append(value)
            state["step"] = step + 1
            if prune is not None and ((step + 1) % settings.epoch_steps == 0 or step + 1 == settings.steps):
                prune.step(model.module, (step + 1) / settings.steps)
            on_step(step, value)
            if step + 1 in settings.snapshots:
                on_snapshot(step + 1, model.module)
            if checkpoint is not None and ((step + 1) % settings.checkpoint_steps == 0 or step + 1 == settings.steps):
                _save(fabric, checkpoint, state)
    rows = [{"step": t, "loss": v, "lr": settings.lr * lr_factor(t, settings)} for t, v in enumerate(state["losses"])]
    return pd.DataFrame(rows)


@contextmanager
def _depthwise_in_float32(model: nn.Module, settings: Settings, fabric: Fabric) -> Iterator[None]:
    """Keep depth-wise convolutions out of bf16 on a CPU: its kernels for their gradients are three times slower."""
    chosen = []
    if fabric.device.type == "cpu" and settings.precision.startswith("bf16"):
        chosen = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1]
    for conv in chosen:
        conv.forward = _in_float32(conv.forward)
    try:
        yield
    finally:
        for conv in chosen:
            del conv.forward


def _in_float32(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def convolve(x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(x.float())

    return convolve


def _save(fabric: Fabric, path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(path.suffix + ".part")
    fabric.save(part, state)
    part.replace(path)  # a run killed while it writes leaves the older checkpoint whole


def _resume(fabric: Fabric, path: Path, state: dict[str, Any], told: dict[str, Any]) -> None:
    fabric.load(path, state)
    saved = state["settings"]
    other = sorted(k for k, v in told.items() if k != "checkpoint_steps" and saved.get(k) != v)
    if other:
        raise ValueError(f"{path}: made with other settings ({', '.join(other)}); delete it or use the same settings")


def save_weights(state: Mapping[str, Tensor], path: Path, *, about: dict[str, str] | None = None) -> Path:
    """Write a network's state as safetensors, whole or not at all, with the file's metadata; return the path.

    Kernels are rounded to float16; vectors (biases, normalisation), which cost little, stay as they are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().cpu().contiguous() for k, v in state.items()}
    part = path.with_suffix(path.suffix + ".part")
    halved = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in state.items()}
    save_file(halved, part, metadata=about)
    part.replace(path)
    return path


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """Read a safetensors state, float16 or not, into a network and return it.

    Raises FileNotFoundError when the file is missing and ValueError, naming a tensor, when it does not fit.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such weights; train the network or give another path")
    return fitted(model, load_file(path), path)


def fitted(model: nn.Module, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    """Return the network with a file's state in it. Raises ValueError that names file and tensors when it does not
    fit."""
    try:
        model.load_state_dict(state)
    except RuntimeError as err:
        raise ValueError(f"{path}: {' '.join(str(err).split())}") from None
    return model
