"""Seconds and memory beside FLOPs: what feature truncation and pruning save on a clock.

Command   python experiments/latency.py --profile standard
Minutes   about 25 on one core of a 2020s server, 3 on a GPU; --profile smoke: under 1. Interrupted, it goes on where
it was. Expect    a network with masked filters is as slow as the full one; with the filters removed, the time ratio
lies above the
          FLOPs ratio (less is saved than promised), and the more so the smaller the layers become.

Every variant is timed in turns with the full network of the same model (A, B, A, B, ...); the ratio of each pair is
what counts, since load from other programs falls on both. The record holds the median ratio, its quartiles and the
load.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from specseg.evidence import config, records, renewal
from specseg.nets import flops, pruning
from specseg.nets.models import build


@dataclass(frozen=True)
class Plan:
    """Sizes of a profile's run."""

    backbone: str
    input_size: int
    width: int
    lrg_sizes: tuple[int, ...]
    removed_sizes: tuple[int, ...]
    prune_rates: tuple[float, ...]
    repeats: int


PLANS = {
    "smoke": Plan("tiny", 129, 32, (33, 17, 9), (33,), (0.4,), 3),
    "standard": Plan("resnet101", 513, 256, (129, 97, 81, 65, 49, 33, 17), (129, 65, 33), (0.2, 0.4, 0.6), 5),
}
PLANS["paper"] = PLANS["standard"]
NUM_CLASSES = 21
SHARED = "; shared with other programs, so trust the paired ratios more than the seconds."


@dataclass(frozen=True)
class Cell:
    """One variant to time: form is "full", "masked" (filters zero) or "removed" (filters gone)."""

    model: str
    form: str
    prune_rate: float
    lrg_size: int
    precision: str
    batch: int


def cells(plan: Plan, device: torch.device) -> list[Cell]:
    """Return the variants of a plan; on a GPU each with two precisions and two batch sizes."""
    grid = (plan.input_size - 1) // 4 + 1
    variants = [("full", 0.0, s) for s in plan.lrg_sizes]
    variants += [("masked", r, grid) for r in plan.prune_rates]
    variants += [("removed", r, s) for r in plan.prune_rates for s in plan.removed_sizes]
    ways = product(("fp32", "bf16"), (1, 8)) if device.type == "cuda" else [("fp32", 1)]
    return [Cell(m, *v, *w) for w in ways for m in ("deeplabv3plus", "dan") for v in variants]


def network(plan: Plan, cell: Cell) -> nn.Module:
    """Return a cell's network with random weights, in evaluation mode."""
    torch.manual_seed(0)
    net = build(
        cell.model,
        backbone=plan.backbone,
        num_classes=NUM_CLASSES,
        input_size=plan.input_size,
        width=plan.width,
        lrg_size=cell.lrg_size,
    ).eval()
    if cell.form != "full":
        pruning.SoftFilterPruning(cell.prune_rate).step(net)
    return pruning.remove(net) if cell.form == "removed" else net


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return the wall time of one call, the device's queue emptied before and after."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak_mib(run: Callable[[], object], device: torch.device) -> float:
    """Return how far memory rises above its level before the call, in MiB; NaN where the system does not tell."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # give freed blocks back, or they hide what the next call needs
        Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to the present size
        before = _status("VmRSS")
        run()
        return (_status("VmHWM") - before) / 1024
    except OSError:
        return float("nan")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


def counted(net: nn.Module, run: Callable[[], object], batch: int) -> dict[str, float]:
    """Return what of a cell no clock decides: operations a picture, of the decoder too, and parameters."""
    _, executed = flops.trace(net, run, part_of=net.part_of)
    decoder = flops.conv_flops([c for c in executed if c.part == "decoder"])
    return {"flops": flops.conv_flops(executed) / batch, "decoder_flops": decoder / batch,
            "parameters": sum(p.numel() for p in net.parameters())}  # fmt: skip


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: operations and parameters of every cell, counted again; seconds are those of another day."""
    plan, rows = PLANS[record.profile], []
    for cell in cells(plan, torch.device(record.meta["settings"]["device"])):
        net = network(plan, cell).to("meta")
        images = torch.empty(cell.batch, 3, plan.input_size, plan.input_size, device="meta")
        found = counted(net, lambda n=net, x=images: n(x), cell.batch)
        rows += [{**asdict(cell), "metric": k, "value": v} for k, v in found.items()]
    new = pd.DataFrame(rows)
    old = record.rows[record.rows["metric"].isin(set(new["metric"]))][[*new.columns]]
    yield renewal.rows_again("operations and parameters counted again, no seconds", new, old)


def measure(plan: Plan, cell: Cell, device: torch.device) -> list[dict]:
    """Return the tidy rows of one cell: seconds, ratio to the full network, FLOPs, parameters, peak memory."""
    full = Cell(cell.model, "full", 0.0, plan.lrg_sizes[0], cell.precision, cell.batch)
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    images = torch.rand(cell.batch, 3, plan.input_size, plan.input_size).to(device, memory_format=layout)
    nets = {k: network(plan, c).to(device, memory_format=layout) for k, c in (("full", full), ("cell", cell))}

    def run(name: str, part: str = "forward") -> object:
        bf16 = cell.precision == "bf16"
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return nets[name](images) if part == "forward" else nets[name].decode(features[name])

    with torch.inference_mode():
        features = {k: net.encode(images) for k, net in nets.items()}
    load = os.getloadavg()[0]
    for name in nets:
        run(name)
    times = {(name, part): [] for name in nets for part in ("forward", "decode")}
    for _ in range(plan.repeats):
        for name in nets:
            for part in ("forward", "decode"):
                times[name, part].append(seconds(lambda n=name, p=part: run(n, p), device))
    rows = []

    def add(metric: str, values: list[float], unit: str) -> None:
        low, mid, high = np.quantile(values, [0.25, 0.5, 0.75])
        rows.append(
            {
                **asdict(cell),
                "device": device.type,
                "metric": metric,
                "value": mid,
                "low": low,
                "high": high,
                "unit": unit,
                "n": len(values),
                "load": load,
            }
        )

    for part, name in (("forward", "seconds"), ("decode", "decoder_seconds")):
        add(name, times["cell", part], "s")
        ratios = [b / a for a, b in zip(times["full", part], times["cell", part], strict=True)]
        add(name.replace("seconds", "time_ratio"), ratios, "1")
    for name, value in counted(nets["cell"], lambda: run("cell"), cell.batch).items():
        add(name, [value], "1" if name == "parameters" else "FLOP")
    add("peak", [peak_mib(lambda: run("cell"), device)], "MiB")
    return rows


def main(arguments: list[str] | None = None) -> Path:
    """Time all cells, keeping finished ones beside the build, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="smoke", choices=sorted(PLANS))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--fresh", action="store_true", help="forget the cells of an interrupted run")
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(arguments)
    records.require_committed(args.allow_dirty)
    plan, device = PLANS[args.profile], config.device(args.device)
    kept = config.root() / "_build" / "latency" / f"{args.profile}-{device.type}.jsonl"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if args.fresh:
        kept.unlink(missing_ok=True)
    done = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    have = {json.dumps(entry["cell"]) for entry in done}
    todo = [c for c in cells(plan, device) if json.dumps(asdict(c)) not in have]
    for number, cell in enumerate(todo, 1):
        start = time.perf_counter()
        entry = {"cell": asdict(cell), "rows": measure(plan, cell, device), "wall_s": 0.0}
        entry["wall_s"] = time.perf_counter() - start
        done.append(entry)
        with kept.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        left = (len(todo) - number) * entry["wall_s"] / 60
        print(f"{number}/{len(todo)} {cell} {entry['wall_s']:.0f} s, about {left:.0f} min left", flush=True)
    rows = pd.DataFrame([row for entry in done for row in entry["rows"]])
    shared = rows["load"].median()
    path = records.write(
        "latency",
        rows,
        command=f"python experiments/latency.py --profile {args.profile}",
        profile=args.profile,
        seed=0,
        device=config.device_name(device),
        wall_s=sum(e["wall_s"] for e in done),
        script=Path(__file__),
        allow_dirty=args.allow_dirty,
        settings={**asdict(plan), "device": device.type, "threads": torch.get_num_threads()},
        notes=f"Random weights. Load of the machine (1-minute average, median over cells): {shared:.1f} on "
        f"{os.cpu_count()} cores" + (SHARED if shared > 1.2 * torch.get_num_threads() else "."),
    )
    kept.unlink()
    print(path)
    return path


if __name__ == "__main__":
    main()
