"""A training step of ours against torchvision's reference recipe for segmentation, same network, same batches.

Command   python bench/bench_train.py [--size 257] [--batch 8] [--rounds 7] [--threads N] [--device auto] [--json FILE]
Minutes   about 2 on two cores, less on a GPU
Expect    a ratio of at least 1 on a CPU (channels_last, bf16 where it helps), more on a GPU
Precision what `networks.fast_precision` chooses for the machine, or --precision. Why so, one step on one core (its own
          seconds of processor time, medians of twelve, the machine busy): AMD EPYC of family 25 with avx512_bf16, 1.79
          in bf16 and 2.78 in fp32; an AMD EPYC without AVX-512 took 32.8 in bf16 and 5.3 in fp32 (two cores, wall time)

Peer      the loop of torchvision's references/segmentation/train.py, in its settings: float32 (its default), contiguous
          tensors, cross-entropy with ignore_index=255 on full-size logits, SGD with momentum 0.9 and decay 1e-4, a
          polynomial schedule stepped every iteration, a DataLoader with its presets' transforms (random resize, crop,
          flip, normalise). Ours: `nets.train.fit` as the experiments call it, with its loader. Network: DeepLab v3+
          with EfficientNet-Lite0, width 128. Steps run in turn, so that a busy machine hits both; images a second with
          loading included, the median ratio of paired rounds and its 95 % interval. Exit code 1 when the interval lies
          below 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from bench_data import interval
from torch import nn
from torch.utils.data import DataLoader, Dataset

from specseg.data import datasets, loading, transforms
from specseg.data._torchvision import torchvision
from specseg.evidence import config, provenance
from specseg.nets import networks, train
from specseg.nets.models import build

from torchvision import tv_tensors  # isort: skip
from torchvision.transforms import v2  # isort: skip

CLASSES = 21


class Scenes(Dataset):
    """A data set with torchvision's training preset: what its reference script reads."""

    def __init__(self, data: datasets.DataSet, size: int) -> None:
        self.data = data
        fill = {tv_tensors.Image: 124, tv_tensors.Mask: 255}
        self.steps = v2.Compose([
            v2.RandomResize(size // 2, 2 * size), v2.RandomHorizontalFlip(0.5),
            v2.RandomCrop(size, pad_if_needed=True, fill=fill),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int):
        pair = transforms.to_pair(self.data.image(index), self.data.label(index))
        image, mask = self.steps(*pair)
        return image.as_subclass(torch.Tensor), mask.as_subclass(torch.Tensor)[0]


def network(size: int) -> nn.Module:
    """The network of the experiments, untrained: weights do not change its speed."""
    torch.manual_seed(0)
    return build("deeplabv3plus", backbone="efficientnet_lite0", num_classes=CLASSES, input_size=size, width=128)


def precision(args: argparse.Namespace, device: torch.device) -> str:
    """Return in which precision our side trains."""
    return networks.fast_precision(device.type) if args.precision == "auto" else args.precision


def theirs(data: datasets.DataSet, args: argparse.Namespace, device: torch.device) -> Iterator[float]:
    """Seconds of each step of torchvision's reference loop."""
    net = network(args.size).to(device).train()
    new = {id(p) for p in net.new_parameters()}
    groups = [{"params": [p for p in net.parameters() if (id(p) in new) == fresh], "lr": lr}
              for fresh, lr in ((False, 0.005), (True, 0.05))]  # fmt: skip
    sgd = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.PolynomialLR(sgd, total_iters=10_000, power=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    loader = DataLoader(Scenes(data, args.size), batch_size=args.batch, shuffle=True, drop_last=True)
    while True:
        batches = iter(loader)
        while True:
            start = time.perf_counter()
            try:
                images, target = next(batches)
            except StopIteration:
                break
            loss = criterion(net(images.to(device)), target.to(device))
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            schedule.step()
            loss.item()  # their logger reads it
            yield time.perf_counter() - start


def ours(data: datasets.DataSet, args: argparse.Namespace, device: torch.device) -> Iterator[float]:
    """Seconds of each step of `train.fit`, stopped and taken up between steps by a thread of its own."""
    import queue
    import threading

    gate, done = queue.Queue(), queue.Queue()
    chosen = precision(args, device)
    settings = train.Settings(steps=10_000, precision=chosen)
    draw = loading.draws(data, transforms.training(args.size), args.batch)

    def waiting(step: int):
        gate.get()
        done.put(None)  # the clock starts when the other side has really stopped
        return draw(step)

    def work() -> None:
        fabric = train.runner(device.type, precision=chosen)
        train.fit(network(args.size), waiting, settings, fabric=fabric, on_step=lambda *_: done.put(None))

    threading.Thread(target=work, daemon=True).start()
    while True:
        gate.put(None)
        done.get()
        start = time.perf_counter()
        done.get()
        yield time.perf_counter() - start


def main(argv: list[str] | None = None) -> int:
    """Time both sides in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=257)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    device = config.device(args.device)
    data = datasets.open("synthetic", "train", regime="objects", size=args.size, count=4 * args.batch)
    cached = [data[i] for i in range(len(data))]  # scenes are drawn once: the recipe is timed, not the generator
    data.image, data.label = lambda i: cached[i].image, lambda i: cached[i].label
    sides = {"ours": ours(data, args, device), "theirs": theirs(data, args, device)}
    for clock in sides.values():
        next(clock), next(clock)  # warm up: memory, kernels
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for k in range(args.rounds):
        for name in list(sides) if k % 2 else reversed(list(sides)):
            seconds[name].append(next(sides[name]))
    ratios = [b / a for a, b in zip(seconds["ours"], seconds["theirs"], strict=True)]
    low, high = interval(ratios)
    rate = {name: args.batch / statistics.median(values) for name, values in seconds.items()}
    row = {"what": "training step, loading included", "size": args.size, "batch": args.batch, "rounds": args.rounds,
           "threads": args.threads, "precision": precision(args, device), "ours_per_s": rate["ours"],
           "theirs_per_s": rate["theirs"], "ratio": statistics.median(ratios), "low": low, "high": high}  # fmt: skip
    print(
        f"training step of {args.batch} at {args.size} px, {args.threads} threads, {config.device_name(device)}: "
        f"{rate['ours']:.2f} against {rate['theirs']:.2f} images/s, ratio {row['ratio']:.2f} [{low:.2f}, {high:.2f}]"
    )
    if args.json:
        about = {"device": config.device_name(device), "versions": provenance.versions(), "rows": [row]}
        args.json.write_text(json.dumps(about, indent=1))
    return int(high < 1.0)


if __name__ == "__main__":
    assert torchvision  # loaded before its parts, for a CPU build of torch
    sys.exit(main())
