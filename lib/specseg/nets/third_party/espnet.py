"""ESPNet, p = 2 and q = 8 (Mehta et al., arXiv 1803.06815): efficient spatial pyramids, up again by transposed
convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from specseg.nets.models.truncation import resize
from specseg.nets.third_party.base import ThirdPartyNet, conv, conv_norm_act, halved, named, norm_act

DILATIONS = (1, 2, 4, 8, 16)
UNITS = (2, 8)  # p and q
STD = 255.0  # of numbers that were divided by their deviation before


class Pyramid(nn.Module):
    """Reduce, five dilated convolutions of which all but the first are summed up one after another, join; with a
    shortcut where the shapes allow it, or strided without."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs // len(DILATIONS)
        first = outputs - (len(DILATIONS) - 1) * width
        self.c1 = named(conv=conv(inputs, width, 3 if stride == 2 else 1, stride=stride))
        for d in DILATIONS:
            setattr(self, f"d{d}", named(conv=conv(width, first if d == 1 else width, dilation=d)))
        self.bn = norm_act(outputs)

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.c1(x)
        parts = [getattr(self, f"d{d}")(reduced) for d in DILATIONS]
        for k in range(2, len(parts)):
            parts[k] = parts[k] + parts[k - 1]
        y = torch.cat(parts, 1)
        return self.bn(x + y if y.shape == x.shape else y)


class Encoder(nn.Module):
    """Three levels, strides 2, 4 and 8; the image joins the first two."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.level1 = conv_norm_act(3, 16, stride=2)
        self.b1 = norm_act(19)
        self.level2_0 = Pyramid(19, 64, stride=2)
        self.level2 = nn.Sequential(*(Pyramid(64, 64) for _ in range(UNITS[0])))
        self.b2 = norm_act(131)
        self.level3_0 = Pyramid(131, 128, stride=2)
        self.level3 = nn.Sequential(*(Pyramid(128, 128) for _ in range(UNITS[1])))
        self.b3 = norm_act(256)
        self.classifier = named(conv=conv(256, outputs, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one = self.b1(torch.cat([self.level1(image), halved(image)], 1))
        first = self.level2_0(one)
        two = self.b2(torch.cat([self.level2(first), first, halved(image, 2)], 1))
        first = self.level3_0(two)
        return one, two, self.classifier(self.b3(torch.cat([first, self.level3(first)], 1)))


class ESPNet(ThirdPartyNet):
    """The encoder and a decoder that doubles the classes' maps three times.

    The last convolution, on the grid of stride 2, is what works on the LRG; the last doubling is learnt for its own
    grid, so an LRG's result goes back there first.
    """

    stride, multiple = 1, 8
    feature_stride = 2
    renames = ((r"(level\d_0)\.(bn|act)\.", r"\1.bn.\2."),)

    def __init__(self, outputs: int) -> None:
        super().__init__(
            outputs, mean=(110.33, 108.41, 105.03), std=tuple(STD * s for s in (72.13, 72.69, 69.90)), bgr=True
        )

        def up() -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(outputs, outputs, 2, stride=2, bias=False)

        self.encoder = Encoder(outputs)
        self.br = nn.BatchNorm2d(outputs, eps=1e-3)
        self.up_l3 = nn.Sequential(up())
        self.level3_C = named(conv=conv(131, outputs, 1))
        self.combine_l2_l3 = nn.Sequential(norm_act(2 * outputs), Pyramid(2 * outputs, outputs))
        self.up_l2 = nn.Sequential(up(), norm_act(outputs))
        self.conv = conv_norm_act(19 + outputs, outputs)
        self.classifier = up()

    def features(self, x: Tensor) -> Tensor:
        one, two, three = self.encoder(x)
        both = torch.cat([self.level3_C(two), self.up_l3(self.br(three))], 1)
        return torch.cat([self.up_l2(self.combine_l2_l3(both)), one], 1)

    def head(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.classifier(resize(self.conv(x), grid))
