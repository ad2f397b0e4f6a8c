"""Deep Aggregation Net (Kuo et al. 2018): a stand-in for its decoder, of which only two sums are public.

What is known: an aggregation decoder that combines features of several encoder layers (A.1; Kuo et al.'s abstract),
11.1 GFLOPs and 0.4 M parameters at a 129 grid, 9.5 to 9.66 GFLOPs when pruned by 20 % (Table 2). What is assumed
here: which layers, the width 96, one 3x3 and one 1x1 convolution after the concatenation. No public source code or
layer list was found.
"""

from __future__ import annotations

import torch
from torch import nn

from specseg.nets.models.backbones import conv_norm_relu
from specseg.nets.models.base import SegmentationNet
from specseg.nets.models.links import Follower, after


class Decoder(nn.Module):
    """Layer 1, layer 2 and ASPP features, each 1x1 to `width`; concatenated; 3x3, 1x1, and 1x1 to the classes."""

    reads_aspp = Follower("decoder.from_aspp.0")

    def __init__(self, channels: dict[str, int], aspp_channels: int, width: int, num_classes: int):
        super().__init__()
        self.from_low = conv_norm_relu(channels["low"], width, 1)
        self.from_mid = conv_norm_relu(channels["mid"], width, 1)
        self.from_aspp = conv_norm_relu(aspp_channels, width, 1)
        self.fuse1 = conv_norm_relu(3 * width, width, 3)
        self.fuse2 = conv_norm_relu(width, width, 1)
        self.classifier = nn.Conv2d(width, num_classes, 1)
        names = enumerate(("low", "mid", "aspp"))
        self.lateral = [after(f"decoder.from_{n}", Follower("decoder.fuse1.0", i * width)) for i, n in names]

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        parts = [self.from_low(features["low"]), self.from_mid(features["mid"]), features["aspp"]]
        return self.classifier(self.fuse2(self.fuse1(torch.cat(parts, dim=1))))


class DAN(SegmentationNet):
    """The stand-in DAN; its decoder is 3/8 of `width` wide (96 at the paper's 256)."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.decoder = Decoder(self.backbone.channels, self.width, max(1, 3 * self.width // 8), self.num_classes)

    def truncated_features(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """As for every network, but ASPP features pass their 1x1 layer on their own, smaller grid first."""
        return super().truncated_features({**features, "aspp": self.decoder.from_aspp(features["aspp"])})
