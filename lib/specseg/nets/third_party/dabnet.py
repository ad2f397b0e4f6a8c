"""DABNet (Li et al., arXiv 1907.11357): depth-wise asymmetric bottlenecks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specseg.nets.third_party.base import ThirdPartyNet, conv, conv_norm_act, halved, named, norm_act

DILATIONS = ((2, 2, 2), (4, 4, 8, 8, 16, 16))  # of the modules of both blocks


class Bottleneck(nn.Module):
    """A 3 x 3 convolution to half the channels, two pairs of depth-wise 3 x 1 and 1 x 3 convolutions (one pair
    dilated) summed up, a 1 x 1 convolution back, and a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        half = channels // 2
        self.bn_relu_1 = norm_act(channels)
        self.conv3x3 = conv_norm_act(channels, half)
        self.dconv3x1 = conv_norm_act(half, half, (3, 1), groups=half)
        self.dconv1x3 = conv_norm_act(half, half, (1, 3), groups=half)
        self.ddconv3x1 = conv_norm_act(half, half, (3, 1), dilation=(dilation, 1), groups=half)
        self.ddconv1x3 = conv_norm_act(half, half, (1, 3), dilation=(1, dilation), groups=half)
        self.bn_relu_2 = norm_act(half)
        self.conv1x1 = named(conv=conv(half, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3x3(self.bn_relu_1(x))
        y = self.dconv1x3(self.dconv3x1(y)) + self.ddconv1x3(self.ddconv3x1(y))
        return x + self.conv1x1(self.bn_relu_2(y))


class Down(nn.Module):
    """A strided 3 x 3 convolution, where channels grow beside the maximum over 2 x 2 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.beside = inputs < outputs
        self.conv3x3 = named(conv=conv(inputs, outputs - inputs if self.beside else outputs, stride=2))
        self.bn_prelu = norm_act(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3x3(x)
        return self.bn_prelu(torch.cat([y, F.max_pool2d(x, 2)], 1) if self.beside else y)


class DABNet(ThirdPartyNet):
    """Three stages, strides 2, 4 and 8, each joined with the image at its size.

    Normalisation and PReLU of all that the third stage holds, before the classifier, are what works on the LRG.
    """

    stride, multiple = 8, 8
    renames = (
        (r"\.acti\.", ".act."), (r"(conv(3x3|1x3|3x1)|init_conv\.\d)\.bn_prelu\.", r"\1."),
        (r"DAB_Block_\d\.DAB_Module_(\d)_(\d)", r"block_\1.\2"),
    )  # fmt: skip

    def __init__(self, outputs: int) -> None:
        super().__init__(outputs, mean=(73.158325, 82.90902, 72.3924))
        self.init_conv = nn.Sequential(conv_norm_act(3, 32, stride=2), conv_norm_act(32, 32), conv_norm_act(32, 32))
        self.bn_prelu_1 = norm_act(35)
        self.downsample_1 = Down(35, 64)
        self.block_1 = nn.Sequential(*(Bottleneck(64, d) for d in DILATIONS[0]))
        self.bn_prelu_2 = norm_act(131)
        self.downsample_2 = Down(131, 128)
        self.block_2 = nn.Sequential(*(Bottleneck(128, d) for d in DILATIONS[1]))
        self.bn_prelu_3 = norm_act(259)
        self.classifier = nn.Sequential(named(conv=conv(259, outputs, 1)))

    def features(self, x: Tensor) -> Tensor:
        image = x
        x = self.bn_prelu_1(torch.cat([self.init_conv(x), halved(image)], 1))
        first = self.downsample_1(x)
        second = self.downsample_2(self.bn_prelu_2(torch.cat([self.block_1(first), first, halved(image, 2)], 1)))
        return torch.cat([self.block_2(second), second, halved(image, 3)], 1)

    def head(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.classifier(self.bn_prelu_3(x))
