"""CGNet, M = 3 and N = 21 (Wu et al., arXiv 1811.08201): context guided blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from specseg.nets.third_party.base import ThirdPartyNet, conv, conv_norm_act, halved, named, norm_act

BLOCKS = (3, 21)  # of the second and the third stage, the strided one counted
MEANS = {"cgnet-camvid": (105.66, 103.33, 99.63), "cgnet-cityscapes": (72.3924, 82.90902, 73.158325)}  # by file


class Weighing(nn.Module):
    """Global features: each channel weighed by what two layers make of all channels' means over the frame."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        few = channels // reduction
        self.fc = nn.Sequential(nn.Linear(channels, few), nn.ReLU(inplace=True), nn.Linear(few, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[..., None, None]


class ContextGuided(nn.Module):
    """Local and surrounding (dilated) depth-wise features side by side, weighed by global ones; with a shortcut, or
    strided without."""

    def __init__(self, inputs: int, outputs: int, dilation: int, reduction: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs if stride == 2 else outputs // 2
        self.conv1x1 = conv_norm_act(inputs, width, 3 if stride == 2 else 1, stride=stride)
        self.F_loc = named(conv=conv(width, width, 3, groups=width))
        self.F_sur = named(conv=conv(width, width, 3, dilation=dilation, groups=width))
        self.bn_prelu = norm_act(2 * width)
        self.reduce = named(conv=conv(2 * width, outputs, 1)) if stride == 2 else nn.Identity()
        self.F_glo = Weighing(outputs, reduction)
        self.shortcut = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1x1(x)
        y = self.F_glo(self.reduce(self.bn_prelu(torch.cat([self.F_loc(y), self.F_sur(y)], 1))))
        return x + y if self.shortcut else y


class CGNet(ThirdPartyNet):
    """Three stages, strides 2, 4 and 8; the image joins the first two. `mean` is what its file was trained with.

    Normalisation and PReLU of both ends of the third stage, before the classifier, are what works on the LRG.
    """

    stride, multiple = 8, 8
    renames = ((r"(level[23]_0)\.(bn|act)\.", r"\1.bn_prelu.\2."),)

    def __init__(self, outputs: int, *, mean: tuple[float, float, float]) -> None:
        super().__init__(outputs, mean=mean)
        self.level1_0 = conv_norm_act(3, 32, stride=2)
        self.level1_1, self.level1_2 = conv_norm_act(32, 32), conv_norm_act(32, 32)
        self.b1 = norm_act(35)
        self.level2_0 = ContextGuided(35, 64, 2, 8, stride=2)
        self.level2 = nn.Sequential(*(ContextGuided(64, 64, 2, 8) for _ in range(BLOCKS[0] - 1)))
        self.bn_prelu_2 = norm_act(131)
        self.level3_0 = ContextGuided(131, 128, 4, 16, stride=2)
        self.level3 = nn.Sequential(*(ContextGuided(128, 128, 4, 16) for _ in range(BLOCKS[1] - 1)))
        self.bn_prelu_3 = norm_act(256)
        self.classifier = nn.Sequential(named(conv=conv(256, outputs, 1)))

    def features(self, x: Tensor) -> Tensor:
        one = self.level1_2(self.level1_1(self.level1_0(x)))
        first = self.level2_0(self.b1(torch.cat([one, halved(x)], 1)))
        first = self.level3_0(self.bn_prelu_2(torch.cat([self.level2(first), first, halved(x, 2)], 1)))
        return torch.cat([first, self.level3(first)], 1)

    def head(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.classifier(self.bn_prelu_3(x))
