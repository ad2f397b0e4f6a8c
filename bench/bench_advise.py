"""Seconds and memory of `specseg advise` on a big folder, and its work on one map against the library's plain forms.

Command   python bench/bench_advise.py [--maps 1000] [--few 125] [--workers 2] [--rounds 5] [--json FILE]
Data      synthetic label maps of 513 x 513 pixels, half of them streets (14 classes a map), half objects (3 classes)
Minutes   about 6 on two free cores
Expect    1,000 maps in less than 180 s; memory within a tenth of what a folder of an eighth takes; one map at least
          ten times faster than the plain forms, with the same numbers (tests/advise/test_advise.py)

Both sides of the ratio run in turn, so that a busy machine hits both; medians of processor seconds over the rounds.
Exit code 1 when an expectation fails.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from specseg.advise.settings import grid as grid_of
from specseg.data import synthetic
from specseg.data.label_numbers import Plan, measure
from specseg.evidence import config, provenance
from specseg.spectral import iou as metrics
from specseg.spectral import labels as annotation

SIZE, SCENES = 513, 16
REGIMES = ("streets", "objects")


def maps() -> list[np.ndarray]:
    """Return SCENES label maps of each regime, in turn, as uint8."""
    return [
        synthetic.scene(regime, 1_000_000 + k, SIZE).label.astype(np.uint8) for k in range(SCENES) for regime in REGIMES
    ]


def write(folder: Path, scenes: list[np.ndarray], count: int) -> Path:
    """Write `count` label maps: the scenes again and again, each time moved by other pixels."""
    folder.mkdir(parents=True)
    for k in range(count):
        label = np.roll(scenes[k % len(scenes)], (7 * k, 13 * k), (0, 1))
        Image.fromarray(np.ascontiguousarray(label)).save(folder / f"{k:05d}.png", compress_level=1)
    return folder


def run(folder: Path, out: Path, classes: int, workers: int) -> dict[str, float]:
    """Run the command in a process of its own; return wall and processor seconds and its largest memory in MiB."""
    arguments = [folder, "--classes", classes, "--sample", "all", "--workers", workers, "--out", out]
    code = "from specseg.cli import main; main()"
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code, "advise", *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"specseg advise {folder}: exit status {child.returncode}")
    wall, mebibyte = time.perf_counter() - start, 1024 if sys.platform != "darwin" else 2**20
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / mebibyte}


def plain(label: np.ndarray, classes: int, grid: Plan) -> None:
    """The same weak labels and scores by the library's plain functions."""
    truth = torch.from_numpy(label.astype(np.int64))
    filled = annotation.fill_void(truth)
    annotation.perimeter(filled, classes)
    for kind, nu in grid.variants:
        weak = (annotation.band_limited_labels(filled, nu, "mirrored") if kind == "band"
                else annotation.block_labels(filled, nu, kind))  # fmt: skip
        metrics.confusion_matrix(weak, truth, classes)
        metrics.confusion_matrix(weak, filled, classes)
        metrics.boundary_iou(weak, truth, grid.width, num_classes=classes)


def seconds(work, *arguments) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


def main(argv: list[str] | None = None) -> int:
    """Run all comparisons and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=1000)
    parser.add_argument("--few", type=int, default=125)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    scenes, classes = maps(), max(len(synthetic.CLASSES[r]) for r in REGIMES)
    grid, ratios, own = grid_of(SIZE), [], []
    for k in range(args.rounds):
        label = scenes[k % len(scenes)]
        fast = seconds(measure, label, classes, grid)
        ratios.append(seconds(plain, label, classes, grid) / fast)
        own.append(fast)
    rows = {"ms_a_map": 1000 * statistics.median(own), "plain_ratio": statistics.median(ratios)}
    print(
        f"one map: {rows['ms_a_map']:.0f} ms of one core, {rows['plain_ratio']:.1f} times faster than the plain forms"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for name, count in (("few", args.few), ("many", args.maps)):
            folder = write(Path(scratch) / name, scenes, count)
            rows[name] = {"maps": count, **run(folder, Path(scratch) / f"out {name}", classes, args.workers)}
            print("{maps} maps: {wall_s:.0f} s, {cpu_s:.0f} s of processors, {peak_mib:.0f} MiB".format(**rows[name]))
    rows["memory_ratio"] = rows["many"]["peak_mib"] / rows["few"]["peak_mib"]
    load = os.getloadavg()[0]
    print(f"memory of {args.maps} over that of {args.few} maps: {rows['memory_ratio']:.2f}; machine's load {load:.1f}")
    if args.json:
        told = {"device": config.device_name("cpu"), "load": load, "versions": provenance.versions(), "rows": rows}
        args.json.write_text(json.dumps(told, indent=1))
    late = rows["many"]["wall_s"] * 1000 / args.maps > 180
    return int(late or rows["memory_ratio"] > 1.1 or rows["plain_ratio"] < 10)


if __name__ == "__main__":
    sys.exit(main())
