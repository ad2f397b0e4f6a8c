"""The layers of a network as it runs, with their grids: what every count is made of. Works on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("conv", (nn.Conv2d,)),
    ("norm", (nn.modules.batchnorm._BatchNorm,)),
    ("act", (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Softplus)),
    ("pool", (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)),
)


@dataclass(frozen=True)
class Layer:
    """One executed layer: channels in and out, kernel taps, groups, and the points of the grid that it works on.

    For convolutions `points` is the output grid's, for pooling the input grid's; `after` names the convolution executed
    before it (an element-wise layer shares the pruned channels of the convolution that feeds it).
    """

    name: str
    kind: str
    part: str
    inputs: int
    outputs: int
    points: int
    taps: int = 1
    groups: int = 1
    bias: bool = False
    after: str = ""

    def macs(self, inputs: int | None = None, outputs: int | None = None) -> int:
        """Return a convolution's multiply-accumulates, k^2 (C_in / groups) C_out h w, for given channel counts.

        >>> Layer("c", "conv", "decoder", 304, 256, 129 ** 2, taps=9).macs()      # 9 * 304 * 256 * 16641
        11655622656
        """
        inputs, outputs = inputs or self.inputs, outputs or self.outputs
        if self.groups > 1:  # depth-wise: pruned channels take their group with them
            return self.points * self.taps * (self.inputs // self.groups) * outputs
        return self.points * self.taps * inputs * outputs


class _Shapes(TorchFunctionMode):
    """What torch works out in Python for milliseconds on the meta device, though only shapes are asked for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        known = {F.batch_norm: lambda x: x.shape[2:], F.interpolate: lambda x: kwargs.get("size")}
        if func in known and args[0].is_meta and isinstance(size := known[func](args[0]), tuple):
            return args[0].new_empty(*args[0].shape[:2], *size)
        return func(*args, **kwargs)


def trace(model: nn.Module, run: Callable[[], Any], *, part_of: Callable[[str], str]) -> tuple[Any, tuple[Layer, ...]]:
    """Return what `run()` returns and the layers of `model` that it executed, in order.

    `run` calls the model in evaluation mode, on tensors of the meta device where nothing need be computed.
    """
    layers: list[Layer] = []
    last = [""]

    def watch(name: str, kind: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output: torch.Tensor) -> None:
            own, grid = {}, args[0].shape[2:]
            if kind == "conv":
                own, grid = {"taps": module.weight.shape[2:].numel(), "groups": module.groups}, output.shape[2:]
                own["bias"] = module.bias is not None
            channels = args[0].shape[1], output.shape[1]
            layers.append(Layer(name, kind, part_of(name), *channels, grid.numel(), **own, after=last[0]))
            last[0] = name if own else last[0]

        return hook

    with ExitStack() as ended, torch.no_grad(), _Shapes():
        for name, module in model.named_modules():
            for kind, types in KINDS:
                if isinstance(module, types):
                    ended.enter_context(module.register_forward_hook(watch(name, kind)))
        return run(), tuple(layers)


def conv_flops(layers: Iterable[Layer]) -> int:
    """Return 2 x the multiply-accumulates of the convolutions alone, which every public counter agrees on."""
    return 2 * sum(layer.macs() for layer in layers if layer.kind == "conv")
