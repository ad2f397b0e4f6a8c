"""What truncation costs a network that someone has: its features made coarser at one layer, on pictures with labels."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from specseg.advise import folder as listing
from specseg.advise import frames, page
from specseg.advise.survey import Survey
from specseg.evidence import statistics
from specseg.spectral.iou import class_counts

LAYERS = ("classifier", "decode_head", "decoder", "head", "segmentation_head")
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
PICTURES += tuple(ending.upper() for ending in PICTURES)
MOST = 40  # frames: minutes on one core, for a network that takes a second a frame


def layer_of(model: nn.Module, name: str = "") -> str:
    """Return the module whose input is truncated: `name`, or the first of LAYERS. Raises ValueError listing some."""
    known = dict(model.named_modules())
    for layer in [name] if name else LAYERS:
        if layer in known:
            return layer
    inner = [n for n in known if n and n.count(".") < 2][:12]
    raise ValueError(f"--layer {name or '(none of ' + ', '.join(LAYERS) + ')'}: no such module in "
                     f"{type(model).__name__}; it has {', '.join(inner)}")  # fmt: skip


@contextmanager
def truncated(
    model: nn.Module, layer: str, lrg_size: int, frame: int, *, keep_grid: bool = False
) -> Iterator[list[tuple[int, int]]]:
    """Make the maps that enter a layer coarser within a `with` block: `lrg_size` points in a picture of `frame` pixels.

    Other pictures get as many points a pixel; maps that are no finer stay as they are. Bilinear, corners on corners.
    `keep_grid` brings them back to their grid, for layers that need it: the same detail is lost, nothing is saved.
    Yields the list of the grids that entered, for a look afterwards. Raises ValueError where there is no such layer.

    >>> net = nn.Sequential(nn.AvgPool2d(4, 4), nn.Conv2d(3, 2, 1))
    >>> with truncated(net, "1", 17, frame=129) as grids:
    ...     tuple(net(torch.zeros(1, 3, 132, 132)).shape), grids
    ((1, 2, 17, 17), [(33, 33)])
    """
    pixels, grids = (frame, frame), []

    def seen(module: nn.Module, inputs: tuple) -> None:
        nonlocal pixels
        pixels = inputs[0].shape[-2:]

    def coarser(x: Tensor) -> Tensor:
        if x.ndim != 4:
            return x
        grids.append(here := tuple(x.shape[-2:]))
        wanted = (max(2, round((side - 1) * (lrg_size - 1) / (frame - 1)) + 1) for side in pixels)
        size = tuple(map(min, here, wanted))
        for target in [size, *([here] if keep_grid else [])] if size != here else []:
            x = F.interpolate(x, target, mode="bilinear", align_corners=True)
        return x

    def enters(module: nn.Module, args: tuple, kwargs: dict) -> tuple:
        return pytree.tree_map_only(Tensor, coarser, (args, kwargs))

    inner = model.get_submodule(layer_of(model, layer))
    with model.register_forward_pre_hook(seen), inner.register_forward_pre_hook(enters, with_kwargs=True):
        yield grids


def loaded(where: str) -> nn.Module:
    """Return the network of "FILE.py:function". Raises ValueError that names the file and what is wrong with it."""
    file, _, name = where.rpartition(":")
    path = Path(file)
    if not name or not path.is_file():
        raise ValueError(f"--try {where}: expected FILE.py:build, a file and a function in it that returns the network")
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec = importlib.util.spec_from_file_location("specseg_tried", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        model = getattr(module, name)()
    except AttributeError as err:
        raise ValueError(f"--try {where}: {err}") from None
    finally:
        sys.path.pop(0)
    if not isinstance(model, nn.Module):
        raise ValueError(f"--try {where}: returns {type(model).__name__}; expected an nn.Module")
    return model.eval()


def pictures(folder: Path, items: Sequence[listing.Item]) -> dict[str, Path]:
    """Return the picture of each map (`folder.partner`). Raises FileNotFoundError where some have none."""
    if not folder.is_dir():
        raise FileNotFoundError(f"--pictures {folder}: no such folder; expected one picture a label map")
    found = {item.map: listing.partner(folder, item, PICTURES) for item in items}
    if missing := [name for name, path in found.items() if path is None]:
        raise FileNotFoundError(f"--pictures {folder}: no picture for {missing[0]}; expected {missing[0]}.jpg or .png")
    return found


def framed(path: Path, item: listing.Item, size: int) -> Tensor:
    """Return the frame of a picture, float32 (1, 3, size, size) in [0, 1]; shrunk with an antialiasing filter."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255
    return frames.framed(pixels, item.window, size, antialias=True)[None]


def logits_of(out: Any, size: int, num_classes: int) -> Tensor:
    """Return the logits (1, C, size, size) of what a network gives: a tensor, or a dict with `out` or `logits`."""
    out = out["out" if "out" in out else "logits"] if isinstance(out, dict) else out
    out = out[0] if isinstance(out, list | tuple) else out
    if out.ndim != 4 or out.shape[1] != num_classes:
        raise ValueError(f"--try: the network gives {tuple(out.shape)}; expected (1, {num_classes}, h, w), as many "
                         "classes as the labels have (--classes, --map and --ignore say which)")  # fmt: skip
    return F.interpolate(out.float(), (size, size), mode="bilinear", align_corners=False)


@torch.no_grad()
def measured(run: Survey, model: nn.Module, folder: Path, layer: str = "") -> dict:
    """Return what truncating a network at a layer costs on frames of a survey: network, layer, grid, frames, maps,
    keep_grid, miou, drops.

    Each drop of mIoU has lrg_size, value, low, high: a bootstrap over maps, the same draws with and without truncation;
    `changed` says whether the layer's maps were finer than the grid at all.
    """
    layer, plan, classes = layer_of(model, layer), run.context.grid, len(run.context.reader.names)
    items, sizes = listing.choose(run.items, MOST, run.settings.seed), [2 * nu + 1 for nu in plan.band]
    files, keep_grid, counts = pictures(folder, items), False, {n: [] for n in (plan.size, *sizes)}

    def through(image: Tensor, n: int) -> Any:
        nonlocal keep_grid
        try:
            with truncated(model, layer, n, plan.size, keep_grid=keep_grid) as grids:
                return model(image), grids
        except RuntimeError:  # a layer that needs its grid
            if keep_grid or n == plan.size:
                raise
            keep_grid = True
            return through(image, n)

    for item in items:
        image = framed(files[item.map], item, plan.size)
        label = frames.label(run.context, item).long()
        for n, own in counts.items():
            out, grids = through(image, n)
            guess = logits_of(out, plan.size, classes).argmax(1)
            own.append(class_counts(guess, label[None], classes)[0].numpy())
        run.advance("your network", 1, len(items))
    stacks, names = {n: np.stack(own) for n, own in counts.items()}, [item.map for item in items]
    full, finest, drops = stacks[plan.size], max(map(max, grids)), []
    for n in sizes:
        value, drawn = statistics.drop_draws([full], [stacks[n]], names, seed=run.settings.seed)
        drops.append({"lrg_size": n, **statistics.estimate(value, drawn), "changed": n < finest})
    return {"network": type(model).__name__, "layer": layer, "grid": finest, "frames": len(items),
            "maps": len(set(names)), "keep_grid": keep_grid, "drops": drops,
            "miou": float(statistics.miou(statistics.pooled(full)))}  # fmt: skip


def lines(data: dict) -> str:
    """Return the lines of code that apply an advice, for torchvision's networks and for any other."""
    lrg, size = data["recommendation"]["lrg"], data["settings"]["size"]
    grid = (lrg["next_smaller"] if page.whole(data) else lrg)["lrg_size"]  # else the code would do nothing
    return (
        "import specseg\n"
        f"net = specseg.wrap(model)   # torchvision's DeepLabV3, FCN or LR-ASPP; pictures of {size} pixels in [0, 1]\n"
        f"net.lrg_size = {grid}\n"
        "\n"
        "from specseg.advise.trial import layer_of, truncated\n"
        "layer = layer_of(model)     # any network: or the name of the module whose input is made coarser\n"
        f"with truncated(model, layer, {grid}, frame={size}):\n"
        "    logits = model(pictures)"
    )
