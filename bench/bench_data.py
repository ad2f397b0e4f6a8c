"""Images a second of our VOC pipeline against torchvision's own, as a ratio of paired runs.

Command   python bench/bench_data.py [--images 96] [--rounds 9] [--json FILE]
Data      voc2012 below SPECSEG_DATA where it is, else a generated folder of the same form (500 x 375 JPEG, palette PNG)
Minutes   about 2
Expect    every ratio at least 1 within its interval: decoding alone, and with the training transform, 1 and 2 workers

Both sides run in turn, so that a busy machine hits both; the ratio is ours / theirs in images a second, its median over
the rounds with the 95 % interval of the median. Beside it the same ratio from processor time (workers included), which
other programs disturb less. Exit code 1 when an interval of the wall clock's ratio lies below 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from specseg.data import datasets, loading, synthetic, transforms
from specseg.data._torchvision import torchvision
from specseg.evidence import config

from torchvision import tv_tensors  # isort: skip
from torchvision.transforms import v2  # isort: skip

HOME = "VOCdevkit/VOC2012"


def generate(root: Path, count: int) -> None:
    """Write a folder in VOC's form with synthetic scenes of VOC's usual size."""
    ids = [f"2007_{k:06d}" for k in range(count)]
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / HOME / folder).mkdir(parents=True)
    for k, name in enumerate(ids):
        scene = synthetic.scene("objects", k)
        Image.fromarray(scene.image[:375, :500]).save(root / HOME / f"JPEGImages/{name}.jpg", quality=92)
        label = Image.fromarray(scene.label[:375, :500].astype(np.uint8))
        label.putpalette([v for row in synthetic.palette("objects").tolist() for v in row])
        label.save(root / HOME / f"SegmentationClass/{name}.png")
    (root / HOME / "ImageSets/Segmentation/train.txt").write_text("".join(f"{i}\n" for i in ids))


class Theirs(torchvision.datasets.VOCSegmentation):
    """torchvision's reader on the names that are present (its constructor takes full official lists only)."""

    def __init__(self, data: datasets.DataSet, transform: Callable | None) -> None:
        paths = [data.paths(k) for k in range(len(data))]
        self.images, self.targets = [str(a) for a, _ in paths], [str(b) for _, b in paths]
        self.transforms = transform


def their_transform(size: int | None) -> Callable:
    """torchvision's v2 recipe for segmentation: to tensors; with a size, random resize, crop with padding, flip."""
    to_mask = v2.ToDtype({tv_tensors.Mask: torch.int64, "others": None})  # as torchvision's references do

    def pair(image, mask):
        return tv_tensors.Image(v2.functional.pil_to_tensor(image)), tv_tensors.Mask(v2.functional.pil_to_tensor(mask))

    if size is None:
        steps = v2.Compose([to_mask])
    else:
        fill = {tv_tensors.Image: 124, tv_tensors.Mask: 255}
        steps = v2.Compose([v2.RandomResize(size // 2, 2 * size), v2.RandomCrop(size, pad_if_needed=True, fill=fill),
                            v2.RandomHorizontalFlip(), to_mask])  # fmt: skip
    return lambda image, mask: steps(*pair(image, mask))


def rate(data: Dataset, workers: int) -> tuple[float, float]:
    """Images a second of one pass (the workers' start left out), and images per second of processor time."""
    loader = DataLoader(data, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None)
    spent, items = cpu(), iter(loader)
    next(items)  # the start is not timed
    start = time.perf_counter()
    count = sum(1 for item in items if item[1].to(torch.int64).numel())  # both end as int64 labels in this process
    wall = time.perf_counter() - start
    del items, loader  # joins the workers, whose time is counted then
    return count / wall, (count + 1) / max(cpu() - spent, 0.01)  # one tick of the clock


def cpu() -> float:
    """Processor seconds of this process and its finished children."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def interval(ratios: list[float]) -> tuple[float, float]:
    """95 % interval of the median from order statistics (binomial)."""
    ordered, n = sorted(ratios), len(ratios)
    rank, tail = 0, 0.5**n
    while tail + _binomial(n, rank + 1) < 0.025:
        rank += 1
        tail += _binomial(n, rank)
    return ordered[rank], ordered[n - 1 - rank]


def _binomial(n: int, k: int) -> float:
    out = 0.5**n
    for i in range(k):
        out = out * (n - i) / (i + 1)
    return out


def main(argv: list[str] | None = None) -> int:
    """Run all comparisons and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    out = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            data, source = datasets.open("voc2012", "train", partial=True), "voc2012"
        except (FileNotFoundError, ValueError):
            generate(Path(scratch), args.images)
            data, source = datasets.open("voc2012", "train", root=Path(scratch)), "generated"
        data.ids = data.ids[: args.images]
        for what, size in (("decode", None), ("decode + training transform, 257", 257)):
            ours = loading.TorchDataset(data, None if size is None else transforms.training(size))
            theirs = Theirs(data, their_transform(size))
            for workers in (0, 1, 2):
                pairs = []
                for k in range(args.rounds):
                    sides = [ours, theirs] if k % 2 else [theirs, ours]
                    rates = {id(s): rate(s, workers) for s in sides}
                    pairs.append((*rates[id(ours)], *rates[id(theirs)]))
                ratios = [row[0] / row[2] for row in pairs]
                low, high = interval(ratios)
                processor = [row[1] / row[3] for row in pairs]
                row = {"what": what, "workers": workers, "source": source, "images": len(data), "rounds": args.rounds,
                       "ours_per_s": statistics.median(row[0] for row in pairs),
                       "theirs_per_s": statistics.median(row[2] for row in pairs),
                       "ratio": statistics.median(ratios), "low": low, "high": high,
                       "cpu_ratio": statistics.median(processor), "cpu_low": interval(processor)[0],
                       "cpu_high": interval(processor)[1]}  # fmt: skip
                out.append(row)
                print(
                    f"{what}, {workers} workers ({source}, {len(data)} images): {row['ours_per_s']:.0f} against "
                    f"{row['theirs_per_s']:.0f} images/s, ratio {row['ratio']:.2f} [{low:.2f}, {high:.2f}], "
                    f"processor {row['cpu_ratio']:.2f} [{row['cpu_low']:.2f}, {row['cpu_high']:.2f}]"
                )
    if args.json:
        args.json.write_text(json.dumps({"device": config.device_name("cpu"), "rows": out}, indent=1))
    return int(any(row["high"] < 1.0 for row in out))


if __name__ == "__main__":
    sys.exit(main())
