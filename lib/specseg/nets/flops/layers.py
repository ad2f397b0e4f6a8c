"""The layers of a network as it runs, with their grids: what every count is made of. Works on the meta device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("conv", (nn.Conv2d,)),
    ("norm", (nn.modules.batchnorm._BatchNorm,)),
    ("act", (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Softplus)),
    ("pool", (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)),
)
KEEP_SHAPE = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6)


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


def trace(model: nn.Module, run: Callable[[], Any], *, part_of: Callable[[str], str]) -> tuple[Any, tuple[Layer, ...]]:
    """Return what `run()` returns and the layers of `model` that it executed, in order.

    `run` calls the model in evaluation mode, on tensors of the meta device where nothing need be computed.
    """
    layers: list[Layer] = []
    last = [""]

    def watch(name: str, kind: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output: torch.Tensor) -> None:
            where = {"name": name, "kind": kind, "part": part_of(name), "after": last[0]}
            channels = {"inputs": args[0].shape[1], "outputs": output.shape[1]}
            if kind != "conv":
                layers.append(Layer(**where, **channels, points=args[0].shape[2:].numel()))
                return
            taps, points = module.weight.shape[2:].numel(), output.shape[2:].numel()
            conv = {"taps": taps, "groups": module.groups, "bias": module.bias is not None}
            layers.append(Layer(**where, **channels, points=points, **conv))
            last[0] = name

        return hook

    with ExitStack() as ended, torch.no_grad():
        for name, module in model.named_modules():
            for kind, types in KINDS:
                if isinstance(module, types):
                    ended.enter_context(module.register_forward_hook(watch(name, kind)))
            # on the meta device only shapes count, and torch takes most of the time to derive that these keep theirs
            if next(model.parameters()).is_meta and isinstance(module, KEEP_SHAPE):
                module.forward = module.act.__call__ if hasattr(module, "act") else _same  # timm's norm calls its act
                ended.callback(delattr, module, "forward")
        return run(), tuple(layers)


def _same(x: torch.Tensor) -> torch.Tensor:
    return x


def conv_flops(layers: Iterable[Layer]) -> int:
    """Return 2 x the multiply-accumulates of the convolutions alone, which every public counter agrees on."""
    return 2 * sum(layer.macs() for layer in layers if layer.kind == "conv")
