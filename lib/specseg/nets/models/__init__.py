"""Segmentation networks: DeepLab v3+ and DAN with three backbones, feature truncation, and wrapped torchvision ones."""

# ruff: noqa: F401 (names that others take from here)

from __future__ import annotations

from typing import Any

from specseg.evidence.schema import one_of
from specseg.nets.models.base import SegmentationNet, atrous_rates, grids
from specseg.nets.models.dan import DAN
from specseg.nets.models.deeplabv3plus import DeepLabV3Plus
from specseg.nets.models.wrap import WrappedNet, wrap

MODELS: dict[str, type[SegmentationNet]] = {"deeplabv3plus": DeepLabV3Plus, "dan": DAN}


def build(model: str, **settings: Any) -> SegmentationNet:
    """Return a segmentation network (sections 3 and A.9): images (B, 3, s, s) in [0, 1] to logits (B, classes, s, s).

    `model` is "deeplabv3plus" or "dan". Settings: `backbone` "resnet101" (the paper's), "efficientnet_lite0" or "tiny";
    `num_classes`; `output_stride` 16 (if not said) or 32; `input_size` s (513); `width`, the channels of ASPP and
    decoder (256 as in the paper); `lrg_size`, the grid of feature truncation (None: no truncation), and `truncation`,
    how features get there ("bilinear"); `pretrained` asks for the backbone's ImageNet weights.
    Under `torch.device("meta")` nothing is allocated.

    Raises ValueError that names the setting and what is expected.

    >>> net = build("deeplabv3plus", backbone="tiny", num_classes=4, input_size=65, width=16)
    >>> net.feature_grid, net.prediction_grid
    (5, 17)
    """
    return MODELS[one_of("model", model, MODELS)](**settings)
