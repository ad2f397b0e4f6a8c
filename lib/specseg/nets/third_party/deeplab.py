"""DeepLab v3 on MobileNetV2 of depth multiplier 0.5 (Sandler et al., arXiv 1801.04381, section 6.3), as published for
TFLite: normalisation folded into the convolutions, last blocks dilated to stride 8, one 1 x 1 branch beside the pooled
image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specseg.nets.third_party.base import ThirdPartyNet, named
from specseg.nets.third_party.base import conv as plain_conv

EXPANSION, WIDTH = 6, 256


class Block(NamedTuple):
    """An inverted residual: output channels, stride, dilation."""

    channels: int
    stride: int = 1
    dilation: int = 1


BLOCKS = (
    Block(8), Block(12, 2), Block(12), Block(16, 2), Block(16), Block(16), Block(32),
    *[Block(32, dilation=2)] * 3, *[Block(48, dilation=2)] * 3, Block(80, dilation=2),
    *[Block(80, dilation=4)] * 2, Block(160, dilation=4),
)  # fmt: skip


conv = partial(plain_conv, bias=True)
"""The padding is TensorFlow's "same" for frames of odd sides."""


class Residual(nn.Module):
    """Expand, filter channel by channel, project; added to the input where the shapes are the same."""

    def __init__(self, inputs: int, block: Block, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = named(conv=conv(inputs, wide, 1), act=nn.ReLU6()) if expansion > 1 else nn.Identity()
        self.filter = named(conv=conv(wide, wide, 3, block.stride, block.dilation, groups=wide), act=nn.ReLU6())
        self.project = conv(wide, block.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.filter(self.expand(x)))
        return x + y if x.shape == y.shape else y


class DeepLabV3(ThirdPartyNet):
    """The backbone, and a head of one branch and the pooled image: all of the head works on the LRG.

    `order` says in which order its file's two 1 x 1 convolutions of the head run: the pooled image first or second.
    """

    corners, stride = True, 8

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs, mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
        widths = [16, *(b.channels for b in BLOCKS)]
        self.stem = named(conv=conv(3, widths[0], 3, stride=2), act=nn.ReLU6())
        self.blocks = nn.Sequential(
            *(Residual(n, b, EXPANSION if k else 1) for k, (n, b) in enumerate(zip(widths, BLOCKS, strict=False)))
        )
        self.pooled = conv(widths[-1], WIDTH, 1)
        self.branch = conv(widths[-1], WIDTH, 1)
        self.projection = conv(2 * WIDTH, WIDTH, 1)
        self.classifier = conv(WIDTH, outputs, 1)

    def state(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a file's tensors under the names here, in torch's order of axes.

        Files name operations by their place in the network ("MobilenetV2/expanded_conv_3/project/weights") or by number
        in the order in which they run ("012.conv_2d.weight"); there, a product and a sum after a dilated convolution
        are the rest of its normalisation and go into it.
        """
        published = {name: tensor.float() for name, tensor in published.items()}  # products of halves would round
        pairs = _by_number(published) if "000.conv_2d.weight" in published else _by_place(published)
        names = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        out = {}
        for name, (weight, bias) in zip(names, pairs, strict=True):
            depthwise = ".filter." in name
            out[f"{name}.weight"] = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)
            out[f"{name}.bias"] = bias
        return out

    def features(self, x: Tensor) -> Tensor:
        if any(n % 8 != 1 for n in x.shape[-2:]):
            raise ValueError(f"images of {tuple(x.shape[-2:])} pixels: expected sides of 8k + 1, such as 257 or 513")
        return self.blocks(self.stem(x))

    def head(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        frame = F.relu(self.pooled(x.mean((2, 3), keepdim=True))).expand(-1, -1, *x.shape[-2:])
        return self.classifier(F.relu(self.projection(torch.cat([frame, F.relu(self.branch(x))], 1))))


def _by_place(published: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    places = [("MobilenetV2/Conv", "")]
    for k in range(len(BLOCKS)):
        block = f"MobilenetV2/expanded_conv{f'_{k}' if k else ''}"
        places += [(f"{block}/expand", "")] * bool(k) + [(f"{block}/depthwise", "depthwise_"), (f"{block}/project", "")]
    places += [(place, "") for place in ("image_pooling", "aspp0", "concat_projection", "logits/semantic")]
    return [
        (published[f"{at}/{kind}weights"], published[f"{at}/{kind}bias" if kind else f"{at}/Conv2D_bias"])
        for at, kind in places
    ]


def _by_number(published: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    pairs: list[tuple[Tensor, Tensor]] = []
    for name in sorted(published):
        number, kind, what = name.split(".")
        if what == "weight":
            pairs.append((published[name], published[f"{number}.{kind}.vector"]))
        elif kind in ("mul", "add"):
            weight, bias = pairs[-1]
            v = published[name]
            pairs[-1] = (weight * v, bias * v) if kind == "mul" else (weight, bias + v)
    return pairs
