"""DeepLab v3+ (Chen et al. 2018) with plain convolutions in its decoder, as the counts of section A.1 imply."""

from __future__ import annotations

import torch
from torch import nn

from specseg.nets.models.backbones import conv_norm_relu
from specseg.nets.models.base import SegmentationNet
from specseg.nets.models.links import Follower, after

LOW_LEVEL = 48


class Decoder(nn.Module):
    """Low-level features 1x1 to 48 channels, beside the ASPP's; two 3x3 convolutions; 1x1 to the classes.

    At the paper's width 256: 304 -> 256 -> 256 -> classes, 43.5 GFLOPs at 129 x 129 and 21 classes.
    """

    reads_aspp = Follower("decoder.fuse1.0", LOW_LEVEL)
    lateral = (after("decoder.reduce", Follower("decoder.fuse1.0")),)

    def __init__(self, low_channels: int, width: int, num_classes: int):
        super().__init__()
        self.reduce = conv_norm_relu(low_channels, LOW_LEVEL, 1)
        self.fuse1 = conv_norm_relu(LOW_LEVEL + width, width, 3)
        self.fuse2 = conv_norm_relu(width, width, 3)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        x = torch.cat([self.reduce(features["low"]), features["aspp"]], dim=1)
        return self.classifier(self.fuse2(self.fuse1(x)))


class DeepLabV3Plus(SegmentationNet):
    """DeepLab v3+: the encoder's ASPP features and its stride-4 features, fused on the prediction grid."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.decoder = Decoder(self.backbone.channels["low"], self.width, self.num_classes)

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = super().encode(images)
        return {"low": features["low"], "aspp": features["aspp"]}
