"""Segmentation networks: DeepLab v3+ and DAN with three backbones, feature truncation, and wrapped torchvision ones."""

# ruff: noqa: F401 (names that others take from here)

from __future__ import annotations

from specseg.nets.models.backbones import BACKBONES
from specseg.nets.models.base import SegmentationNet, atrous_rates, grids
from specseg.nets.models.dan import DAN
from specseg.nets.models.deeplabv3plus import DeepLabV3Plus
from specseg.nets.models.links import Follower, Link
from specseg.nets.models.wrap import WrappedNet, wrap

MODELS: dict[str, type[SegmentationNet]] = {"deeplabv3plus": DeepLabV3Plus, "dan": DAN}


def build(
    model: str,
    *,
    backbone: str,
    num_classes: int,
    output_stride: int = 16,
    input_size: int = 513,
    width: int = 256,
    lrg_size: int | None = None,
    truncation: str = "bilinear",
    pretrained: bool = False,
) -> SegmentationNet:
    """Return a segmentation network (sections 3 and A.9): images (B, 3, s, s) in [0, 1] to logits (B, classes, s, s).

    `model` is "deeplabv3plus" or "dan"; `backbone` "resnet101" (the paper's), "efficientnet_lite0" or "tiny"; `width`
    the channels of ASPP and decoder (256 in the paper); `lrg_size` the grid of feature truncation, None for no
    truncation; `pretrained` asks for the backbone's ImageNet weights.
    Under `torch.device("meta")` nothing is allocated.

    Raises ValueError that names the setting and what is expected.

    >>> net = build("deeplabv3plus", backbone="tiny", num_classes=4, input_size=65, width=16)
    >>> net.feature_grid, net.prediction_grid
    (5, 17)
    """
    if model not in MODELS:
        raise ValueError(f"model {model!r}: expected one of {', '.join(MODELS)}")
    return MODELS[model](
        backbone=backbone,
        num_classes=num_classes,
        output_stride=output_stride,
        input_size=input_size,
        width=width,
        lrg_size=lrg_size,
        truncation=truncation,
        pretrained=pretrained,
    )
