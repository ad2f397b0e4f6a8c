"""From a sample of any size to a square frame: torchvision's v2 operators on (image, mask) pairs.

Training: random scale, random crop to s = 64k+1, flip. Evaluation: short side to s and centre crop, so that no void
padding enters a spectrum; beside it the padded frame.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.data.samples import VOID, Sample
from specseg.evidence.schema import one_of

MEAN = (124, 116, 104)  # ImageNet's mean colour: what padding shows
SCALE = (0.5, 2.0)  # of the random factor in training
Pair = tuple[Tensor, Tensor]
Transform = Callable[[Pair], Pair]


def check_size(size: int) -> None:
    """Raise ValueError unless size = 64k + 1: only then do all grids of the networks fit each other (A.9's 513).

    >>> check_size(513)
    """
    if size < 65 or size % 64 != 1:
        raise ValueError(f"size {size}: expected 64k + 1 (65, 129, 257, 513 ...)")


def _operators() -> tuple[ModuleType, ModuleType]:
    """Return torchvision's tv_tensors and v2: loaded where a picture is transformed, which many importers never do."""
    from specseg.data._torchvision import torchvision  # noqa: F401  (must come before its parts)

    from torchvision import tv_tensors  # isort: skip
    from torchvision.transforms import v2  # isort: skip

    return tv_tensors, v2


def to_pair(image: np.ndarray, label: np.ndarray) -> Pair:
    """Return (Image uint8 (3, H, W), Mask uint8 (1, H, W)) of a sample's arrays, as torchvision's v2 wants them."""
    tv_tensors, _ = _operators()
    pixels = torch.from_numpy(image if image.flags.writeable else image.copy()).permute(2, 0, 1)
    mask = torch.from_numpy(np.array(label, np.uint8, copy=None if label.flags.writeable else True))
    return tv_tensors.Image(pixels), tv_tensors.Mask(mask[None])


def _scaled_crop(pair: Pair, size: int, base: str) -> Pair:
    """Scale by a random factor in SCALE, crop a random s x s window, pad with mean colour and void where it is short.

    The factor is relative to the evaluation's (short side = s) when `base` is "frame", to the stored pixels when it is
    "native". The window is cut before it is scaled: the same distribution as scaling the whole image, and far faster.
    """
    height, width = pair[0].shape[-2:]
    factor = SCALE[0] + (SCALE[1] - SCALE[0]) * torch.rand(()).item()
    if base == "frame":
        factor *= size / min(height, width)
    (top, rows, tall, above), (left, cols, wide, before) = (_window(n, size, factor) for n in (height, width))
    edges = [before, above, size - wide - before, size - tall - above]
    return _both(
        pair, lambda part, mask: _pad(_resize(_crop(part, top, left, rows, cols), (tall, wide), mask), edges, mask)
    )


def _window(length: int, size: int, factor: float) -> tuple[int, int, int, int]:
    """Return where a random window starts and its length in stored pixels; its length scaled, and what is padded
    before it."""
    window = min(length, max(1, round(size / factor)))
    start = int(torch.randint(0, length - window + 1, ()).item())
    after = min(size, max(1, round(window * factor)))
    before = int(torch.randint(0, size - after + 1, ()).item())
    return start, window, after, before


def training(size: int, *, base: str = "frame") -> Transform:
    """Return the training transform: random scale, random crop to `size` = 64k + 1, horizontal flip (A.9)."""
    check_size(size)
    one_of("base", base, ("frame", "native"))
    v2 = _operators()[1]
    return v2.Compose([partial(_scaled_crop, size=size, base=base), v2.RandomHorizontalFlip(0.5)])


def evaluation(size: int, mode: str = "crop") -> Transform:
    """Return the evaluation transform of a mode.

    "crop" (main): short side to `size`, centre crop. "padded": stored pixels; a side that is longer than `size` is
    centre-cropped, a shorter one padded at its end with mean colour and void.
    Raises ValueError for another mode or a size that is not 64k + 1.
    """
    check_size(size)
    modes = {"crop": _short_side_crop, "padded": _padded}
    return partial(modes[one_of("evaluation mode", mode, modes)], size=size)


def enlarged(factor: int, then: Transform) -> Transform:
    """Return a transform that takes pictures at `factor` times their stored size."""
    return partial(_enlarged, factor=factor, then=then) if factor != 1 else then


def _enlarged(pair: Pair, factor: int, then: Transform) -> Pair:
    size = tuple(factor * n for n in pair[1].shape[-2:])
    return then(_both(pair, lambda part, mask: _resize(part, size, mask)))


def frame(sample: Sample, size: int, mode: str = "crop") -> Sample:
    """Return a sample in the evaluation's frame: `evaluation` on arrays."""
    image, mask = evaluation(size, mode)(to_pair(sample.image, sample.label))
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return Sample(pixels, mask[0].numpy().astype(np.int64), sample.name)


def frame_label(label: np.ndarray, size: int, mode: str = "crop") -> np.ndarray:
    """Return a label map alone in the evaluation's frame, int64 (size, size).

    >>> frame_label(np.zeros((70, 200), np.int64), 65).shape
    (65, 65)
    """
    tv_tensors, _ = _operators()
    mask = tv_tensors.Mask(torch.from_numpy(np.asarray(label, np.uint8).copy())[None])
    return evaluation(size, mode)((None, mask))[1][0].numpy().astype(np.int64)


def _short_side_crop(pair: Pair, size: int) -> Pair:
    height, width = pair[1].shape[-2:]
    short = min(height, width)
    target = (max(size, round(height * size / short)), max(size, round(width * size / short)))
    top, left = (target[0] - size) // 2, (target[1] - size) // 2
    return _both(pair, lambda part, mask: _crop(_resize(part, target, mask), top, left, size, size))


def _padded(pair: Pair, size: int) -> Pair:
    height, width = pair[1].shape[-2:]
    rows, cols = min(size, height), min(size, width)
    top, left = (height - rows) // 2, (width - cols) // 2
    edges = [0, 0, size - cols, size - rows]
    return _both(pair, lambda part, mask: _pad(_crop(part, top, left, rows, cols), edges, mask))


def _both(pair: Pair, change: Callable[[Tensor, bool], Tensor]) -> Pair:
    image, mask = pair
    return (None if image is None else change(image, False)), change(mask, True)


def _crop(part: Tensor, top: int, left: int, rows: int, cols: int) -> Tensor:
    return _operators()[1].functional.crop(part, top, left, rows, cols)


def _resize(part: Tensor, size: tuple[int, int], mask: bool) -> Tensor:
    if tuple(part.shape[-2:]) == tuple(size):
        return part
    tv_tensors, v2 = _operators()
    if mask:
        return v2.functional.resize(part, list(size), interpolation=v2.InterpolationMode.NEAREST_EXACT)
    # torch itself: torchvision leaves bytes to it where the processor has AVX2 and rounds floats elsewhere, which turns
    # every sixth value by one; torch's whole-number arithmetic gives the same bytes on all
    out = F.interpolate(part[None], size=tuple(size), mode="bilinear", align_corners=False, antialias=True)[0]
    return tv_tensors.wrap(out, like=part)


def _pad(part: Tensor, edges: list[int], mask: bool) -> Tensor:
    """Pad left, top, right, bottom: void for a mask, the mean colour for an image."""
    return _operators()[1].functional.pad(part, edges, fill=VOID if mask else MEAN) if any(edges) else part
