"""What every segmentation network here offers: encode, decode on the prediction grid, full-size logits, truncation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from specseg.evidence.schema import one_of
from specseg.nets.models.backbones import BACKBONES
from specseg.nets.models.links import Follower, Link, after
from specseg.nets.models.truncation import METHODS, Truncatable, resize, truncate


def grids(input_size: int, output_stride: int = 16) -> tuple[int, int]:
    """Return the feature grid (s - 1) / stride + 1 and the prediction grid (s - 1) / 4 + 1 of a frame of s = 64k + 1.

    Raises ValueError for another size.

    >>> grids(513), grids(513, 32), grids(257)
    ((33, 129), (17, 129), (17, 65))
    """
    if not isinstance(input_size, int) or input_size < 65 or input_size % 64 != 1:
        raise ValueError(f"input_size {input_size!r}: expected 64k + 1, such as 65, 129, 257 or 513")
    return (input_size - 1) // output_stride + 1, (input_size - 1) // 4 + 1


def atrous_rates(input_size: int, output_stride: int = 16) -> tuple[int, int, int]:
    """Return ASPP's rates: 6, 12, 18 at 513 px and stride 16, scaled with the feature grid, at least 1.

    On a smaller grid the unscaled rates would have taps that never see data.

    >>> atrous_rates(513), atrous_rates(257), atrous_rates(65)
    ((6, 12, 18), (3, 6, 9), (1, 1, 2))
    """
    return tuple(max(1, rate * (input_size - 1) * 16 // (512 * output_stride)) for rate in (6, 12, 18))


class SegmentationNet(Truncatable):
    """An encoder (backbone and ASPP) and a decoder; images (B, 3, s, s) in [0, 1] to logits (B, classes, s, s).

    `lrg_size` sets feature truncation: the decoder's inputs go to that grid before its first convolution and the logits
    are up-sampled from there. It may be changed on a trained network.
    """

    decoder: nn.Module  # it says who reads ASPP's channels, and the `lateral` links into `fuse1`
    corners = True  # full-size logits are read from the grid with corners on corners

    def __init__(
        self,
        *,
        backbone: str,
        num_classes: int,
        output_stride: int = 16,
        input_size: int = 513,
        width: int = 256,
        lrg_size: int | None = None,
        truncation: str = "bilinear",
        pretrained: bool = False,
    ):
        super().__init__()
        from specseg.data._torchvision import torchvision

        one_of("backbone", backbone, BACKBONES)
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(f"num_classes {num_classes!r}: expected an integer of at least 2")
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width {width!r}: expected a positive integer")
        one_of("output_stride", output_stride, (16, 32))
        self.backbone = BACKBONES[backbone](output_stride, pretrained=pretrained)
        self.input_size, self.output_stride = input_size, output_stride
        self.num_classes, self.width = num_classes, width
        self.feature_grid, self.prediction_grid = grids(input_size, output_stride)
        self.aspp = torchvision.models.segmentation.deeplabv3.ASPP(
            self.backbone.channels["high"], list(atrous_rates(input_size, output_stride)), width
        )
        self.aspp.project[3].p = 0.1  # torchvision's 0.5 is for far longer trainings
        self.truncation = one_of("truncation", truncation, METHODS)
        self.lrg_size = lrg_size

    def encode(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the decoder's inputs: the backbone's "low" and "mid" features and "aspp" (the paper's x in section
        3.1).

        Raises ValueError when the images are not (B, 3, s, s) with the network's own s.
        """
        size = self.input_size
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, size, size):
            raise ValueError(f"images {tuple(images.shape)}: expected (batch, 3, {size}, {size})")
        features = self.backbone(images)
        return {"low": features["low"], "mid": features["mid"], "aspp": self.aspp(features["high"])}

    def truncated_features(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the decoder's inputs on its working grid: the LRG, or the prediction grid when none is set."""
        size = self.lrg_size or self.prediction_grid
        return {k: truncate(x, size, grid=self.prediction_grid, method=self.truncation) for k, x in features.items()}

    def decode(self, features: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits (B, classes, g, g) of given decoder inputs, g the LRG size or the prediction grid."""
        return self.decoder(self.truncated_features(features))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return resize(self.grid_logits(images), self.input_size)

    def read(self, logits: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """Return grid logits in the size of their frame (H, W)."""
        return resize(logits, shape)

    def new_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that no pretrained backbone brings: ASPP and decoder."""
        return [*self.aspp.parameters(), *self.decoder.parameters()]

    def part_of(self, name: str) -> str:
        """Return "encoder" (backbone and ASPP, as in A.1) or "decoder" for a module's or parameter's name."""
        return "decoder" if name.startswith("decoder") else "encoder"

    def exempt(self) -> tuple[str, ...]:
        """Return the convolutions that pruning leaves alone: shortcuts of the backbone and the last one (the
        classes)."""
        return (*self.backbone.exempt(), "decoder.classifier")

    def links(self) -> list[Link]:
        """Return who reads whose channels, over the whole network."""
        last = len(self.aspp.convs) - 1  # this branch begins with a pooling layer
        branches = (
            after(f"aspp.convs.{i}", Follower("aspp.project.0", i * self.width), first=int(i == last))
            for i in range(last + 1)
        )
        end = (
            after("decoder.fuse1", Follower("decoder.fuse2.0")), after("decoder.fuse2", Follower("decoder.classifier")),
        )  # fmt: skip
        project = after("aspp.project", self.decoder.reads_aspp)
        return [*self.backbone.links(), *branches, project, *self.decoder.lateral, *end]
