"""The square frames in which maps are measured: shrunk as evaluations do, or cut at the maps' own scale."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.advise.folder import Item
from specseg.advise.maps import Reader
from specseg.data import label_numbers
from specseg.data.label_numbers import Plan

Window = tuple[int, int, int, int]  # height and width of the whole, then top and left of the cut
FRAMES = ("auto", "shrink", "crop", "tiles", "native")
FACTOR, SEEN = 2.0, 0.5
LARGEST = 1025
REASON = (
    "so they are cut into tiles and not shrunk: networks for such pictures are trained on crops, and shrinking would "
    "remove the very contours that are asked about (--frame shrink does it all the same)."
)


@dataclass(frozen=True)
class Context:
    """What decides a pass's numbers, for its workers: the folder's reader, the grids, and for logits their folder, T
    and whether they are probabilities."""

    reader: Reader | None
    grid: Plan
    logits: Path | None = None
    temperature: float = 1.0
    probabilities: bool = False
    stamp: str = ""  # of the logits' files: those that changed are measured again


def numbers(context: Context, item: Item) -> dict[str, np.ndarray] | None:
    """Return `label_numbers.measure` of one file's map in the frame: the work of a chunk."""
    return label_numbers.measure(label(context, item).numpy(), len(context.reader.names), context.grid)


def windows(shape: tuple[int, int], size: int, frame: str) -> list[Window]:
    """Return the frames of a map of a shape: (height, width) to which it is brought, then (top, left) of the cut.

    "shrink": short side to `size`, centre. "crop" and "native": centre at the map's scale. "tiles": as many at the
    map's scale as cover it, evenly set. A map with a side below `size` is enlarged, as "shrink" does.

    >>> windows((129, 200), 65, "shrink"), len(windows((129, 200), 65, "tiles"))
    ([(65, 101, 0, 18)], 8)
    """
    short = min(shape)
    if frame == "shrink" or short < size:
        height, width = (max(size, round(side * size / short)) for side in shape)
        return [(height, width, (height - size) // 2, (width - size) // 2)]
    if frame != "tiles":
        return [(*shape, *((side - size) // 2 for side in shape))]
    starts = [np.linspace(0, side - size, -(-side // size)).round().astype(int).tolist() for side in shape]
    return [(*shape, top, left) for top in starts[0] for left in starts[1]]


def chosen(shapes: Collection[tuple[int, int]], size: int, frame: str) -> tuple[str, int, str]:
    """Return the frame to use, its size, and why: "auto" looks at the median map. "native" takes the frame's size from
    the maps, the largest 64k + 1 below their median short side."""
    short = float(np.median([min(shape) for shape in shapes]))
    if frame == "native":
        own = int(min(LARGEST, max(65, (short - 1) // 64 * 64 + 1)))
        return frame, own, f"A frame of {own} pixels at the maps' own scale, centre of each."
    if frame != "auto":
        return frame, size, f"Frame as asked: --frame {frame}."
    share = float(np.median([min(shape) / max(shape) for shape in shapes]))
    if short / size > FACTOR:
        return "tiles", size, f"The maps are {short / size:.3g} times the frame (over {FACTOR:g}), {REASON}"
    if share < SEEN and short >= size:
        return "tiles", size, f"A centre would show {share:.0%} of the maps (below {SEEN:.0%}), {REASON}"
    return "shrink", size, ""


def cut(items: Sequence[Item], shapes: Mapping[str, tuple[int, int]], size: int, frame: str) -> list[Item]:
    """Return items with their windows, one a frame; tiles are named after their map, "name#3"."""
    found = [(item, k, w) for item in items for k, w in enumerate(windows(shapes[item.name], size, frame))]
    if frame == "tiles":
        return [replace(item, window=window, name=f"{item.name}#{k}", tile=k) for item, k, window in found]
    return [replace(item, window=window) for item, _, window in found]


def framed(planes: Tensor, window: Window, size: int, mode: str = "bilinear", **how: bool) -> Tensor:
    """Return the frame (C, size, size) of planes (C, H, W): brought to the window's size by torch's mode, then cut."""
    height, width, top, left = window
    if planes.shape[1:] != (height, width):
        planes = F.interpolate(planes[None], (height, width), mode=mode, **how)[0]
    return planes[:, top : top + size, left : left + size].contiguous()


def label(context: Context, item: Item) -> Tensor:
    """Return an item's label in its frame, uint8 (size, size): nearest neighbours."""
    stored = torch.from_numpy(np.array(context.reader.classes(item)))
    return framed(stored[None], item.window, context.grid.size, "nearest-exact")[0]
