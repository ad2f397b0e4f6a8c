"""Any torchvision segmentation network behind the same interface, so that the analysis runs on it too."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from specseg.nets.models.backbones import IMAGENET, scaling
from specseg.nets.models.truncation import Truncatable, resize


class WrappedNet(Truncatable):
    """A torchvision DeepLabV3, FCN or LR-ASPP as encoder (backbone) and decoder (its head).

    Images are (B, 3, h, w) in [0, 1]; `mean` and `std` are those of torchvision's ImageNet weights. `lrg_size`
    truncates the head's inputs that lie on a finer grid than it.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        for part in ("backbone", "classifier"):
            if not isinstance(getattr(network, part, None), nn.Module):
                raise ValueError(f"{type(network).__name__} has no `{part}`: expected a segmentation network")
        self.network = network
        self.several = type(network).__name__ == "LRASPP"  # its head reads two feature maps
        scaling(self, *IMAGENET)

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the backbone's feature maps that the head reads."""
        features = self.network.backbone((images - self.mean) / self.std)
        return dict(features) if self.several else {"out": features["out"]}

    def decode(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the head's logits on its own grid, its inputs truncated to `lrg_size` where they are finer."""
        if self.lrg_size is not None:
            if self.truncation != "bilinear":
                raise ValueError(f"truncation {self.truncation!r}: a wrapped network has bilinear alone")
            size = self.lrg_size
            features = {k: resize(x, size) if min(x.shape[-2:]) > size else x for k, x in features.items()}
        return self.network.classifier(OrderedDict(features) if self.several else features["out"])

    def part_of(self, name: str) -> str:
        """Return "encoder" for the backbone's names and "decoder" for the others."""
        return "encoder" if name.startswith("network.backbone") else "decoder"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # torchvision's own up-sampling uses pixel centres; keeping it makes the wrapped outputs equal to the network's
        return F.interpolate(self.grid_logits(images), size=images.shape[-2:], mode="bilinear", align_corners=False)


def wrap(network: nn.Module) -> WrappedNet:
    """Return a torchvision segmentation network behind `encode`, `decode`, `grid_logits` and `forward`.

    Images are (B, 3, H, W) in [0, 1]; `lrg_size` sets feature truncation and may be changed at any time.
    Raises ValueError when it has no `backbone` and `classifier`.

    >>> from specseg.data._torchvision import torchvision
    >>> plain = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=3)
    >>> net = wrap(plain.eval())
    >>> net.lrg_size = 5                                               # the head works on 5 x 5 points
    >>> images = torch.zeros(1, 3, 129, 129)
    >>> tuple(net.grid_logits(images).shape), tuple(net(images).shape)
    ((1, 3, 5, 5), (1, 3, 129, 129))
    """
    return WrappedNet(network)
