"""Our kernels against the straightforward ways and against peers, as ratios of paired runs.

Command   python bench/bench_kernels.py [--rounds 15] [--json FILE]
Data      made here: 21 classes, 513 x 513, logits up-sampled from a grid of 129; a label map with all 21 classes (the
          dearest case: work goes with the classes that a map has) and synthetic scenes with two to four and void
Minutes   about 2
Expect    each row's goal; where it is missed the row says by how much, and the profile below the table shows on what

Each row's two sides run in turn on one core, so that a busy machine hits both. The first ratio is of processor time,
which other programs disturb least, the second of the wall clock; medians over the rounds with the 95 % interval of the
median. A goal counts as missed by the first (on a GPU by the wall clock). Memory is what torch allocates beyond the
inputs, at its peak. Exit code 1 only where two ways disagree in their results: a missed goal is a finding.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F
from bench_data import interval
from torch.profiler import profile

from specseg.data import synthetic
from specseg.data._torchvision import torchvision  # noqa: F401  (torchmetrics loads torchvision)
from specseg.evidence import config, provenance
from specseg.spectral import _low_band as low_band
from specseg.spectral import cross_entropy as ce
from specseg.spectral import gradient as sg
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp

from torchmetrics.functional.classification import (  # isort: skip
    multiclass_confusion_matrix,
    multiclass_jaccard_index,
)

LIMITS = [256, 64, 48, 40, 32, 24, 16, 8]  # Table 1
CLASSES, SIZE, GRID, VOID = 21, 513, 129, 255


class Pair(NamedTuple):
    """Two ways of the same result, and the goal for their ratio: `ours` / `theirs` at most, or `theirs` / `ours` at
    least (`faster`)."""

    what: str
    ours: Callable[[], object]
    theirs: Callable[[], object]
    goal: float
    faster: bool


class Case(NamedTuple):
    """One image's grid logits (1, C, h, w), the same up-sampled (1, C, H, W), and labels (1, H, W)."""

    grid: torch.Tensor
    logits: torch.Tensor
    labels: torch.Tensor


def up(grid: torch.Tensor) -> torch.Tensor:
    """The network's own last step: bilinear, corners on corners."""
    return F.interpolate(grid, size=(SIZE, SIZE), mode="bilinear", align_corners=True)


def case(labels: torch.Tensor, seed: int = 0) -> Case:
    """Logits that favour the labels, as a trained network's do, with noise on the grid."""
    noise = torch.randn(1, CLASSES, GRID, GRID, generator=torch.Generator().manual_seed(seed))
    planes = torch.stack([labels == c for c in range(CLASSES)], 1).float()
    grid = 8 * F.interpolate(F.avg_pool2d(planes, 5, 1, 2), size=(GRID, GRID), mode="bilinear", align_corners=True)
    return Case(grid + noise, up(grid + noise), labels)


def all_classes() -> torch.Tensor:
    """A map of 84 cells (nearest of random points) that shows each of the 21 classes."""
    points = np.random.default_rng(0).random((84, 2)) * SIZE
    rows, cols = np.mgrid[:SIZE, :SIZE]
    nearest = np.argmin([(rows - y) ** 2 + (cols - x) ** 2 for y, x in points], axis=0)
    return torch.from_numpy(nearest % CLASSES)[None]


def straightforward(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 10 as it stands: complex fft2 of each class plane of labels, logits and log-sum-exp, products, masks."""
    logits = logits.double()
    b = sp.spectrum(torch.stack([labels == c for c in range(CLASSES)], 1).double())
    y, y_p = sp.spectrum(logits), sp.spectrum(logits.logsumexp(1))
    parts = (b.conj() * (y_p[:, None] - y)).sum(1).real
    kept = torch.stack([(parts * sp.box_mask((SIZE, SIZE), n)).sum() for n in LIMITS])
    return (1 - kept / parts.sum()).abs()


def scipy_boundary(mask: np.ndarray, width: int) -> np.ndarray:
    """Pixels of the object within `width` of its contour, as the reference implementation of Boundary IoU has them."""
    inside = scipy.ndimage.binary_erosion(np.pad(mask, 1), np.ones((3, 3)), iterations=width)
    return mask & ~inside[1:-1, 1:-1]


def scipy_boundary_iou(pred: np.ndarray, label: np.ndarray, width: int) -> list[float]:
    """Boundary IoU class by class."""
    scores = []
    for c in range(CLASSES):
        s, b = scipy_boundary(pred == c, width), scipy_boundary(label == c, width)
        scores.append((s & b).sum() / max((s | b).sum(), 1))
    return scores


def batched_jvp(fn: sg.Map, x: torch.Tensor) -> torch.Tensor:
    """Eq. 5 column by column: the Jacobian applied to all real waves at once by torch.func, then one FFT."""
    n = x.shape[-1]
    u, t = torch.fft.fftfreq(n, 1 / n), torch.arange(n) / n
    phase = 2 * torch.pi * (u[:, None, None, None] * t[:, None] + u[None, :, None, None] * t[None, :])
    waves = torch.stack([phase.cos(), phase.sin()]).reshape(-1, 1, 1, n, n)
    out = torch.func.vmap(lambda v: torch.func.jvp(fn, (x,), (v,))[1])(waves).reshape(2, n * n, n, n)
    return torch.fft.fft2(torch.complex(out[0], out[1]), norm="forward").reshape(n * n, n * n).T


def two_backward_passes(tail: sg.Map, features: torch.Tensor, labels: torch.Tensor) -> None:
    """The plain loss and its gradient with respect to the features, twice."""
    x = features.detach().requires_grad_()
    loss = F.cross_entropy(tail(x), labels[None])
    torch.autograd.grad(loss, x, retain_graph=True)
    torch.autograd.grad(loss, x)


def pairs() -> list[Pair]:
    """All comparisons; results are compared once, before anything is timed."""
    rows = []
    kinds = [("21 classes", case(all_classes())),
             ("scene", case(torch.from_numpy(synthetic.scene("objects", 0).label).long()[None]))]  # fmt: skip
    for name, (grid, logits, labels) in kinds:
        ours = ce.relative_loss_rate(logits, labels, LIMITS)
        assert torch.allclose(ours, straightforward(logits, labels), atol=1e-4, rtol=0)
        assert torch.allclose(ours, ce.loss_rate(ce.truncated_from_grid(grid, labels, LIMITS)), atol=1e-4, rtol=0)

        def full(logits=logits, labels=labels):
            return ce.relative_loss_rate(logits, labels, LIMITS)

        def from_grid(grid=grid, labels=labels):
            return ce.loss_rate(ce.truncated_from_grid(grid, labels, LIMITS))

        rows += [
            Pair(f"R_ce, {name}: FFT of all planes / ours", full,
                 lambda a=logits, b=labels: straightforward(a, b), 10, True),
            Pair(f"R_ce, {name}: ours / cross-entropy", full,
                 lambda a=logits, b=labels: F.cross_entropy(a, b, ignore_index=VOID), 4, False),
            Pair(f"R_ce from the grid, {name}: FFT of all planes / ours", from_grid,
                 lambda a=logits, b=labels: straightforward(a, b), 20, True),
            Pair(f"R_ce from the grid, {name}: ours / cross-entropy of the full-size logits", from_grid,
                 lambda a=logits, b=labels: F.cross_entropy(a, b, ignore_index=VOID), 2, False),
            Pair(f"R_ce from the grid, {name}: ours / up-sampling and cross-entropy", from_grid,
                 lambda a=grid, b=labels: F.cross_entropy(up(a), b, ignore_index=VOID), 1.5, False),
        ]  # fmt: skip
    labels = kinds[1][1].labels
    pred = labels.roll(3, 1).where(labels.roll(3, 1) != VOID, 0)
    assert torch.equal(metrics.confusion_matrix(pred, labels, CLASSES),
                       multiclass_confusion_matrix(pred, labels, CLASSES, ignore_index=VOID))  # fmt: skip
    rows.append(Pair("confusion matrix and mIoU: torchmetrics / ours",
                     lambda: metrics.mean_iou(metrics.confusion_matrix(pred, labels, CLASSES)),
                     lambda: multiclass_jaccard_index(pred, labels, CLASSES, ignore_index=VOID), 2, True))  # fmt: skip
    shown = all_classes()[0]
    moved, width = shown.roll(3, 0), round(0.02 * 2**0.5 * SIZE)
    assert np.allclose(metrics.boundary_iou(moved, shown, width, num_classes=CLASSES),
                       scipy_boundary_iou(moved.numpy(), shown.numpy(), width))  # fmt: skip
    rows.append(Pair("Boundary IoU, 21 classes: scipy / ours",
                     lambda: metrics.boundary_iou(moved, shown, width, num_classes=CLASSES),
                     lambda: scipy_boundary_iou(moved.numpy(), shown.numpy(), width), 3, True))  # fmt: skip
    return rows + gradient_pairs()


def gradient_pairs() -> list[Pair]:
    """The spectral gradient: a layer of 33 x 33 pixels, and a row of the loss through a decoder's head."""
    g = torch.Generator().manual_seed(0)
    kernel, x = torch.randn(3, 3, generator=g), torch.randn(1, 1, 33, 33, generator=g)

    def convolve(v: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.pad(v, (1, 1, 1, 1), mode="circular"), kernel[None, None])

    def layer(v: torch.Tensor) -> torch.Tensor:
        return F.softplus(convolve(v))

    assert torch.allclose(sg.conv_layer(kernel, convolve(x)[0, 0], F.softplus), batched_jvp(layer, x), atol=1e-4)
    head = torch.nn.Sequential(torch.nn.Conv2d(256, 256, 3, padding=1), torch.nn.ReLU(),
                               torch.nn.Conv2d(256, CLASSES, 1)).requires_grad_(False)  # fmt: skip
    features = torch.randn(1, 256, 65, 65, generator=g)
    labels = torch.randint(0, CLASSES, (257, 257), generator=g)

    def tail(v: torch.Tensor) -> torch.Tensor:
        return F.interpolate(head(v), size=(257, 257), mode="bilinear", align_corners=True)

    return [
        Pair("spectral gradient, layer of 33 x 33: batched jvp / ours",
             lambda: sg.conv_layer(kernel, convolve(x)[0, 0], F.softplus), lambda: batched_jvp(layer, x), 4, True),
        Pair("spectral gradient, row of the loss: ours / loss and two backward passes",
             lambda: sg.loss_row(tail, features, labels, (3, -2)),
             lambda: two_backward_passes(tail, features, labels), 1.1, False),
    ]  # fmt: skip


def gpu_pairs() -> list[Pair]:
    """Where torch sees a GPU: R_ce of a batch of 8 against the time to read its logits once."""
    if not torch.cuda.is_available():
        return []
    one = case(all_classes())
    logits, labels = (x.repeat(8, *(1 for _ in x.shape[1:])).cuda() for x in (one.logits, one.labels))
    return [Pair("R_ce on the GPU, batch of 8: ours / one reading of the logits",
                 lambda: ce.relative_loss_rate(logits, labels, LIMITS), logits.sum, 2, False)]  # fmt: skip


def seconds(run: Callable[[], object], gpu: bool = False) -> tuple[float, float]:
    """Wall clock and processor time of one run."""
    if gpu:
        torch.cuda.synchronize()
    wall, spent = time.perf_counter(), time.process_time()
    run()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - spent


def measure(pair: Pair, rounds: int, gpu: bool = False) -> dict:
    """One row of the table."""
    pair.ours(), pair.theirs()
    walls, processor, ours = [], [], []
    for k in range(rounds):
        sides = [pair.ours, pair.theirs] if k % 2 else [pair.theirs, pair.ours]
        times = {id(side): seconds(side, gpu) for side in sides}
        (wall, cpu), (their_wall, their_cpu) = times[id(pair.ours)], times[id(pair.theirs)]
        walls.append(their_wall / wall if pair.faster else wall / their_wall)
        processor.append(their_cpu / cpu if pair.faster else cpu / their_cpu)
        ours.append(wall)
    judged = walls if gpu else processor
    middle, (low, high) = statistics.median(judged), interval(judged)
    excess = pair.goal / middle - 1 if pair.faster else middle / pair.goal - 1
    return {"what": pair.what, "ours_ms": 1e3 * statistics.median(ours), "ratio": middle, "low": low, "high": high,
            "wall_ratio": statistics.median(walls), "wall_low": interval(walls)[0], "wall_high": interval(walls)[1],
            "goal": pair.goal, "at": "least" if pair.faster else "most", "rounds": rounds,
            "missed_by": max(excess, 0.0)}  # fmt: skip


def line(row: dict) -> str:
    """One row of the table as text."""
    if "value" in row:
        text = f"{row['what']}: {row['value']:.2g}, goal at most {row['goal']:g}"
    else:
        text = (f"{row['what']}: {row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}], wall clock "
                f"{row['wall_ratio']:.2f} [{row['wall_low']:.2f}, {row['wall_high']:.2f}], "
                f"goal at {row['at']} {row['goal']:g}; ours {row['ours_ms']:.1f} ms")  # fmt: skip
    return text + (f"  MISSED by {row['missed_by']:.0%}" if row["missed_by"] > 0 else "")


def single_figures() -> list[dict]:
    """Figures without a clock: extra memory, and float32 against float64."""
    both = [("21 classes", case(all_classes())),
            ("scene", case(torch.from_numpy(synthetic.scene("objects", 0).label).long()[None]))]  # fmt: skip
    out = []
    for name, (grid, logits, labels) in both:
        memory = [peak(lambda a=logits, b=labels: ce.relative_loss_rate(a, b, LIMITS)),
                  peak(lambda a=grid, b=labels: ce.loss_rate(ce.truncated_from_grid(a, b, LIMITS)))]  # fmt: skip
        own = logits.numel() * logits.element_size()
        exact = ce.relative_loss_rate(logits.double(), labels, LIMITS)
        error = float((ce.relative_loss_rate(logits, labels, LIMITS) - exact).abs().max())
        rows = [(f"R_ce, {name}: extra memory / logits", memory[0] / own, 1.0),
                (f"R_ce from the grid, {name}: extra memory / full-size logits", memory[1] / own, 1.0),
                (f"R_ce, {name}: float32 against float64, largest difference", error, 1e-4)]  # fmt: skip
        out += [{"what": w, "value": v, "goal": g, "at": "most", "missed_by": max(v / g - 1, 0.0)} for w, v, g in rows]
    return out


def peak(run: Callable[[], object]) -> int:
    """Bytes that torch holds at most during a second run, beyond what it held before."""
    run()
    with profile(profile_memory=True) as prof:
        run()
    held = most = 0
    for event in prof.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


def parts(rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of the parts of R_ce on a map with all classes."""
    _, logits, labels = case(all_classes())
    w = low_band.waves(SIZE, 64, "periodic", torch.float32, logits.device)
    steps = {
        "validation": lambda: (torch.aminmax(logits), torch.aminmax(labels)),
        "log-sum-exp and loss of all pixels": lambda: ce.cross_entropy(logits, labels),
        "labels by their runs": lambda: low_band.label_coefficients(labels[0], None, CLASSES, w, w),
        "logits by matrix products": lambda: [low_band.plane_coefficients(y[None], w, w) for y in logits[0]],
        "all of R_ce": lambda: ce.relative_loss_rate(logits, labels, LIMITS),
        "cross-entropy (torch)": lambda: F.cross_entropy(logits, labels),
    }
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(1e3 * seconds(step)[1])
    out = {name: statistics.median(t) for name, t in times.items()}
    square = torch.randn(512, 512)
    rate = 2 * 512**3 / min(seconds(lambda: square @ square)[1] for _ in range(9))
    products = 2 * CLASSES * (w.even.numel() + w.odd.numel()) * (SIZE + len(w.rim))  # along the rows, then the columns
    return out | {"the logits' products alone at this core's best rate": 1e3 * products / rate}


def main(argv: list[str] | None = None) -> int:
    """Run all comparisons and print one line each, the profile and what is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    for gpu, found in ((False, pairs()), (True, gpu_pairs())):
        for pair in found:
            rows.append(measure(pair, args.rounds, gpu))
            print(line(rows[-1]), flush=True)
    figures = single_figures()
    for row in figures:
        print(line(row))
    profiled = parts(args.rounds)
    print("Where R_ce spends its time on a map with all 21 classes, ms of processor time:")
    for name, value in profiled.items():
        print(f"  {name}: {value:.1f}")
    print(
        "A map with all classes needs the loss of all pixels and the products of all logits with the waves up to 64\n"
        "cycles along both axes: these are the floor. Folding the planes, narrow matrices and\n"
        "the labels' runs come on top. Classes that a map lacks cost nothing."
    )
    device = {"cpu": config.device_name("cpu"), "threads": torch.get_num_threads()}
    device |= {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {"gpu": None}
    versions = provenance.versions() | {"torchmetrics": metadata.version("torchmetrics")}
    print(f"{device} {versions}")
    if args.json:
        out = {"device": device, "versions": versions, "rows": rows, "figures": figures, "parts": profiled}
        args.json.write_text(json.dumps(out, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
