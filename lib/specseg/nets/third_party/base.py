"""What every network that others trained offers, and the blocks that their architectures share.

The interface is that of `models.SegmentationNet`: encode, decode, logits on the grid and in full size, feature
truncation. `encode` gives the last features that a non-linear layer reads; `decode` is that layer and the classifier,
which work on the low-resolution grid where one is set. A classifier alone would be linear: truncating its input and its
output would be the same.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from specseg.nets.models.backbones import scaling
from specseg.nets.models.truncation import Truncatable, resize, truncate

LAST = "last"


class ThirdPartyNet(Truncatable):
    """A published network in evaluation; images (B, 3, H, W) in [0, 1], RGB, to logits (B, num_classes, H, W).

    `outputs` are the classes of its file; `num_classes` those of its data set, which come first: the others are left
    out, so that the softmax is the one given that a pixel is of a class. `corners` says whether its last resizing puts
    corners on corners (else pixel centres); `stride` is that of its logits, `multiple` what a frame's sides are filled
    up to, by repeating their last pixels, before it: cut off again, the frame is read as in its training.
    It gives `features(x)`, the last features that a non-linear layer reads of a preprocessed frame, and
    `head(x, grid)`, the logits of last features, which may lie on a smaller grid than their own `grid`.
    """

    corners = False
    stride = 8
    multiple = 1
    renames: tuple[tuple[str, str], ...] = ()  # patterns of names in the published file -> what stands there here

    def __init__(
        self, outputs: int, *, mean: Sequence[float], std: Sequence[float] = (1.0, 1.0, 1.0), bgr: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(outputs, int) or outputs < 2:
            raise ValueError(f"outputs {outputs!r}: expected an integer of at least 2")
        self.outputs = self.num_classes = outputs
        self.bgr = bgr
        scaling(self, mean, std)

    def state(self, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a published file's tensors under the names that this network has for them."""
        names = list(published)
        for pattern, new in self.renames:
            names = [re.sub(pattern, new, name) for name in names]
        return dict(zip(names, published.values(), strict=True))

    def grid(self, size: int) -> int:
        """Return the side of the grid of its last features for a frame of `size` pixels."""
        return -(-self.filled(size) // self.feature_stride)

    @property
    def feature_stride(self) -> int:
        """Pixels of the frame per point of the last features: the logits' own unless the classifier up-samples."""
        return self.stride

    def filled(self, size: int) -> int:
        """Return the side of the frame that the network sees."""
        return -(-size // self.multiple) * self.multiple

    def preprocess(self, images: Tensor) -> Tensor:
        """Return what the first layer reads: 0 .. 255, in the network's order of colours, normalised, filled up."""
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 32:
            raise ValueError(f"images {tuple(images.shape)}: expected (batch, 3, H, W) of at least 32 pixels a side")
        x = images.flip(1) if self.bgr else images
        x = (x * 255 - self.mean) / self.std
        more = [self.filled(n) - n for n in x.shape[-2:]]
        return F.pad(x, (0, more[1], 0, more[0]), mode="replicate") if any(more) else x

    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Return the decoder's input. Raises ValueError for images of another shape than (B, 3, H, W)."""
        return {LAST: self.features(self.preprocess(images))}

    def decode(self, features: dict[str, Tensor]) -> Tensor:
        """Return the logits of the data set's classes, on the LRG where one is set. An LRG needs a square frame."""
        x = features[LAST]
        grid = (x.shape[-2], x.shape[-1])
        if self.lrg_size is not None:
            if grid[0] != grid[1]:
                raise ValueError(f"features of {grid[0]} x {grid[1]} points: truncation is for square frames")
            x = truncate(x, self.lrg_size, grid=grid[0], method=self.truncation)
        return self.head(x, grid)[:, : self.num_classes]

    def read(self, logits: Tensor, shape: Sequence[int]) -> Tensor:
        """Return grid logits in the size of their frame (H, W), as the network itself resizes them.

        Pixel centres mean something on the network's own grid alone: there, logits of an LRG go back to it first.
        """
        full = [self.filled(n) for n in shape]
        if self.corners:
            return resize(logits, full)
        own = [n // self.stride for n in full]
        logits = F.interpolate(resize(logits, own), size=full, mode="bilinear", align_corners=False)
        return logits[..., : shape[0], : shape[1]]

    def forward(self, images: Tensor) -> Tensor:
        return self.read(self.grid_logits(images), images.shape[-2:])


def named(**modules: nn.Module) -> nn.Sequential:
    """Return a sequence whose parts have these names."""
    return nn.Sequential(OrderedDict(modules))


def conv(inputs: int, outputs: int, kernel=3, stride: int = 1, dilation=1, groups: int = 1, bias: bool = False):
    """Return a convolution that keeps the grid (or halves it); kernel and dilation may differ by axis."""
    padding = tuple(d * (k // 2) for k, d in zip(_two(kernel), _two(dilation), strict=True))
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias)


def _two(x) -> tuple[int, int]:
    return x if isinstance(x, tuple) else (x, x)


def norm_act(channels: int, eps: float = 1e-3) -> nn.Sequential:
    """Return batch normalisation and PReLU."""
    return named(bn=nn.BatchNorm2d(channels, eps=eps), act=nn.PReLU(channels))


def conv_norm_act(inputs: int, outputs: int, kernel=3, *, eps: float = 1e-3, **more) -> nn.Sequential:
    """Return a convolution, batch normalisation and PReLU."""
    return named(conv=conv(inputs, outputs, kernel, **more), **dict(norm_act(outputs, eps).named_children()))


def halved(x: Tensor, times: int = 1) -> Tensor:
    """Return images averaged over 3 x 3 pixels at every second one, `times` over: what deeper layers see of them."""
    for _ in range(times):
        x = F.avg_pool2d(x, 3, stride=2, padding=1)
    return x
