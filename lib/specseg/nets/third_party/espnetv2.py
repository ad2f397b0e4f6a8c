"""ESPNetv2 (Mehta et al., arXiv 1811.11431): EESP units, and the decoder of efficient pyramid pools of its authors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specseg.evidence.schema import one_of
from specseg.nets.models.truncation import resize
from specseg.nets.third_party.base import ThirdPartyNet, conv, conv_norm_act, halved, named, norm_act

EPS = 1e-5
BRANCHES = 4
RECEPTIVE = {"level2_0": 13, "level3_0": 11, "level3": 9, "level4_0": 9, "level4": 7}  # the largest kernel in effect
WIDTHS = {0.5: (16, 32, 64, 128), 1.0: (32, 64, 128, 256), 1.5: (32, 96, 192, 384), 2.0: (32, 128, 256, 512)}
DECODER, PYRAMID = (64, 48, 32), 10  # channels of the decoder's stages, and within each pool
SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)


def plain(inputs: int, outputs: int, kernel: int, **more) -> nn.Sequential:
    """Return a convolution and batch normalisation, without an activation."""
    return named(conv=conv(inputs, outputs, kernel, **more), bn=nn.BatchNorm2d(outputs, eps=EPS))


class EESP(nn.Module):
    """Extremely efficient spatial pyramid: reduce, four dilated depth-wise convolutions summed up one after another,
    expand; halves the grid with `stride` 2."""

    def __init__(self, inputs: int, outputs: int, largest: int, stride: int = 1) -> None:
        super().__init__()
        width = outputs // BRANCHES
        kernels = sorted(k if k <= largest else 3 for k in range(3, 3 + 2 * BRANCHES, 2))
        self.stride = stride
        self.proj_1x1 = conv_norm_act(inputs, width, 1, groups=BRANCHES, eps=EPS)
        self.spp_dw = nn.ModuleList(
            named(conv=conv(width, width, 3, stride, dilation=(k - 1) // 2, groups=width)) for k in kernels
        )
        self.br_after_cat = norm_act(outputs, EPS)
        self.conv_1x1_exp = plain(outputs, outputs, 1, groups=BRANCHES)
        self.module_act = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        reduced, parts = self.proj_1x1(x), []
        for branch in self.spp_dw:
            parts.append(branch(reduced) + (parts[-1] if parts else 0))
        out = self.conv_1x1_exp(self.br_after_cat(torch.cat(parts, 1)))
        return out if self.stride == 2 else self.module_act(out + x if out.shape == x.shape else out)


class Down(nn.Module):
    """The strided EESP beside an average, both joined with what a small network sees of the image at this size."""

    def __init__(self, inputs: int, outputs: int, largest: int) -> None:
        super().__init__()
        self.eesp = EESP(inputs, outputs - inputs, largest, stride=2)
        self.inp_reinf = nn.Sequential(conv_norm_act(3, 3, 3, eps=EPS), plain(3, outputs, 1))
        self.act = nn.PReLU(outputs)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        return self.act(torch.cat([halved(x), self.eesp(x)], 1) + self.inp_reinf(image))


class Encoder(nn.Module):
    """The backbone: four levels, strides 2, 4, 8 and 16."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, second, third, fourth = widths
        self.level1 = conv_norm_act(3, first, 3, stride=2, eps=EPS)
        self.level2_0 = Down(first, second, RECEPTIVE["level2_0"])
        self.level3_0 = Down(second, third, RECEPTIVE["level3_0"])
        self.level3 = nn.Sequential(*(EESP(third, third, RECEPTIVE["level3"]) for _ in range(3)))
        self.level4_0 = Down(third, fourth, RECEPTIVE["level4_0"])
        self.level4 = nn.Sequential(*(EESP(fourth, fourth, RECEPTIVE["level4"]) for _ in range(7)))

    def forward(self, image: Tensor) -> list[Tensor]:
        one = self.level1(image)
        two = self.level2_0(one, halved(image, 2))
        three = self.level3(self.level3_0(two, halved(image, 3)))
        return [one, two, three, self.level4(self.level4_0(three, halved(image, 4)))]


class Lateral(nn.Module):
    """Encoder features for the decoder: a grouped convolution, each channel weighed by the whole frame."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.expansion_layer = conv_norm_act(inputs, outputs, 3, groups=math.gcd(inputs, outputs), eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.expansion_layer(x) * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


class PyramidPool(nn.Module):
    """Efficient pyramid pool: one depth-wise convolution at each of five scales of the grid, mixed channel by channel;
    `last` ends in the classes, without a normalisation."""

    def __init__(self, inputs: int, outputs: int, last: bool = False) -> None:
        super().__init__()
        self.projection_layer = conv_norm_act(inputs, PYRAMID, 1, eps=EPS)
        self.stages = nn.ModuleList(conv(PYRAMID, PYRAMID, 3, groups=PYRAMID) for _ in SCALES)
        self.merge_norm = norm_act(PYRAMID * len(SCALES), EPS)
        self.merge = conv_norm_act(PYRAMID * len(SCALES), PYRAMID, 3, groups=PYRAMID, eps=EPS)
        self.project = nn.Conv2d(PYRAMID, outputs, 1, bias=last)
        self.out = nn.Identity() if last else norm_act(outputs, EPS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.projection_layer(x)
        grid, parts = x.shape[-2:], []
        for scale, stage in zip(SCALES, self.stages, strict=True):
            size = [max(5, math.ceil(n * scale)) for n in grid]
            if scale > 1:
                parts.append(F.adaptive_avg_pool2d(stage(resize(x, size)), grid))
            else:
                parts.append(resize(stage(F.adaptive_avg_pool2d(x, size)) if scale < 1 else stage(x), grid))
        mixed = self.merge_norm(torch.cat(parts, 1)).unflatten(1, (len(SCALES), PYRAMID))
        return self.out(self.project(self.merge(mixed.transpose(1, 2).flatten(1, 2))))


class ESPNetv2(ThirdPartyNet):
    """The encoder of width multiplier `s` and a decoder that goes up to stride 2, level by level.

    `bu_dec_l4`, the last pyramid pool, is what works on the LRG. Sides must be multiples of 16, or of 16 and one more:
    then the grids of all levels share their corners.
    """

    corners, stride = True, 2
    renames = (
        (r"merge_layer\.0\.br\.0\.", "merge_norm.bn."), (r"merge_layer\.0\.br\.1\.", "merge_norm.act."),
        (r"merge_layer\.2\.", "merge."), (r"merge_layer\.3\.", "project."), (r"\.wt_layer\.1\.", ".gate."),
        (r"\.cbr\.0\.", ".conv."), (r"\.cbr\.1\.", ".bn."), (r"\.cbr\.2\.", ".act."),
        (r"\.br\.br\.0\.", ".out.bn."), (r"\.br\.br\.1\.", ".out.act."),
        (r"(bu_br_l\d)\.0\.", r"\1.bn."), (r"(bu_br_l\d)\.1\.", r"\1.act."),
    )  # fmt: skip

    def __init__(self, outputs: int, s: float = 1.0) -> None:
        super().__init__(outputs, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
        widths = WIDTHS[one_of("s", s, WIDTHS)]
        self.base_net = Encoder(widths)
        inputs = (widths[3], *DECODER)
        for level, (before, after) in enumerate(zip(inputs, (*DECODER, outputs), strict=True), 1):
            setattr(self, f"bu_dec_l{level}", PyramidPool(before, after, last=level == 4))
        for level, (lateral, channels) in enumerate(zip(widths[2::-1], DECODER, strict=True), 2):
            setattr(self, f"merge_enc_dec_l{level}", Lateral(lateral, channels))
            setattr(self, f"bu_br_l{level}", norm_act(channels, EPS))

    def features(self, x: Tensor) -> Tensor:
        if any(n % 16 > 1 for n in x.shape[-2:]):
            raise ValueError(f"images of {tuple(x.shape[-2:])} pixels: expected multiples of 16, or one more")
        *lateral, x = self.base_net(x)
        for level in (2, 3, 4):
            x = getattr(self, f"bu_dec_l{level - 1}")(x)
            side = getattr(self, f"merge_enc_dec_l{level}")(lateral.pop())
            x = getattr(self, f"bu_br_l{level}")(side + resize(x, side.shape[-2:]))
        return x

    def head(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        return self.bu_dec_l4(x)
