"""Logits beside the labels: read and framed, the calibrated temperature, R_ce in all its variants, truncated IoU.

Two passes over a folder of them, the first for the temperature; scores with intervals.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.advise import frames, relation, summary
from specseg.advise.files import BadFile
from specseg.advise.folder import Item
from specseg.advise.frames import Context
from specseg.advise.survey import Survey
from specseg.data import label_spectra
from specseg.data.datasets import VOID
from specseg.data.label_numbers import Plan
from specseg.data.survey import Sums
from specseg.evidence.statistics import class_counts
from specseg.spectral import cross_entropy
from specseg.spectral import spectrum as sp

ENDINGS = (".npy", ".npz", ".pt")
TEMPERATURES = tuple(2 ** (k / 4) for k in range(-8, 13))  # 1/4 .. 8
DRAWN = ("total", "tail", "rate", "soft_hit", "soft_area", "hard", "cut")
STEP = 4  # the temperature is fitted on every fourth pixel of every fourth row: neighbours say the same
SCALES = ("raw", "calibrated")


def locate(folder: Path, item: Item) -> Path:
    """Return the logits' file of a label: the same path below `folder`, or the same name at its top; .npy, .npz, .pt.

    Raises BadFile that lists what was looked for.
    """
    names = dict.fromkeys((item.map, Path(item.map).name))
    for name in names:
        for ending in ENDINGS:
            if (path := folder / f"{name}{ending}").is_file():
                return path
    wanted = " or ".join(f"{name}{{{','.join(ENDINGS)}}}" for name in names)
    raise BadFile(f"{item.path}: no logits; expected {folder}/{wanted}")


def read(path: Path, num_classes: int, probabilities: bool = False) -> Tensor:
    """Return the logits of a file, float32 (C, h, w). Raises BadFile that names it and what was expected.

    .npz: its array `logits`, or the only one. .pt: a tensor, or a dict with `logits` or torchvision's `out`. A leading
    axis of one is dropped. `probabilities`: they are softmax outputs, whose log is taken.
    """
    try:
        if path.suffix == ".pt":
            found = torch.load(path, map_location="cpu", weights_only=True)
            found = found[next(k for k in ("logits", "out") if k in found)] if isinstance(found, dict) else found
            found = found.detach()
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                key = "logits" if "logits" in arrays.files or len(arrays.files) != 1 else arrays.files[0]
                found = arrays[key]
        else:
            found = np.load(path, allow_pickle=False)
        found = torch.as_tensor(found)
    except Exception as err:  # numpy, zipfile and torch each raise their own for a damaged file
        raise BadFile(f"{path}: no logits can be read ({type(err).__name__}: {str(err)[:80]})") from None
    if found.ndim == 4 and found.shape[0] == 1:
        found = found[0]
    if found.ndim != 3 or not found.is_floating_point():
        raise BadFile(f"{path}: {found.dtype} {tuple(found.shape)}; expected floating numbers (C, h, w)")
    if found.shape[0] != num_classes:
        raise BadFile(f"{path}: {found.shape[0]} classes {tuple(found.shape)}; expected {num_classes}, as the labels")
    found = found.float()
    if not bool(torch.isfinite(found).all()):
        raise BadFile(f"{path}: {int((~torch.isfinite(found)).sum())} values are not finite")
    normed = float(found.min()) >= 0 and bool(((found.sum(0) - 1).abs() < 0.01).all())
    if probabilities != normed:
        raise BadFile(f"{path}: values {float(found.min()):.3g} .. {float(found.max()):.3g} " + (
            "that sum to one over the classes: probabilities, not logits. --probabilities takes their log, which R_ce "
            "needs; better save what enters the softmax" if normed else
            "are no probabilities (0 .. 1, of sum one); leave --probabilities out"))  # fmt: skip
    return found.clamp(min=1e-12).log() if probabilities else found


def framed(logits: Tensor, shape: tuple[int, int], size: int, path: Path, window: tuple[int, ...] = ()) -> Tensor:
    """Return logits (C, h, w) of a label of `shape` in its frame, (C, size, size), as `frames.label` does it.

    A grid smaller than the label is up-sampled bilinearly (align_corners=True); then brought to the window's size and
    cut. Raises BadFile where (h, w) is no coarser grid of the same picture.
    """
    (h, w), (height, width) = logits.shape[1:], shape
    if (h, w) != (height, width):
        fits = h <= height and w <= width and min(h, w) > 1
        step = (height - 1) / max(h - 1, 1), (width - 1) / max(w - 1, 1)
        if not fits or abs((w - 1) - (width - 1) / step[0]) > 1:
            raise BadFile(
                f"{path}: logits of {h} x {w}; expected the label's {height} x {width} or a smaller grid of it"
            )
        logits = F.interpolate(logits[None], (height, width), mode="bilinear", align_corners=True)[0]
    tall, wide, top, left = window or frames.windows(shape, size, "shrink")[0]
    if (tall, wide) != (height, width):
        logits = F.interpolate(logits[None], (tall, wide), mode="bilinear", align_corners=False)[0]
    return logits[:, top : top + size, left : left + size].contiguous()


def pair(context: Context, item: Item) -> tuple[Tensor, Tensor] | None:
    """Return (logits (C, s, s), label int64 (s, s)) of an item in the frame; None where every pixel is void."""
    path = locate(context.logits, item)
    stored = context.reader.classes(item)
    label = torch.from_numpy(frames.label(stored, item.window, context.grid.size).astype(np.int64))
    if bool((label == VOID).all()):
        return None
    logits = read(path, context.num_classes, context.probabilities)
    return framed(logits, stored.shape, context.grid.size, path, item.window), label


def losses(context: Context, item: Item) -> dict[str, np.ndarray] | None:
    """Return the summed cross-entropy of every STEP-th pixel at each of TEMPERATURES, and how many are labelled."""
    both = pair(context, item)
    if both is None:
        return None
    logits, label = both[0][:, ::STEP, ::STEP].double(), both[1][::STEP, ::STEP]
    known = label != VOID
    logits, label = logits[:, known], label[known]
    loss = [float(F.cross_entropy(logits.T / t, label, reduction="sum")) if len(label) else 0.0 for t in TEMPERATURES]
    return {"loss": np.array(loss), "pixels": np.array(len(label))}


def best_temperature(loss: np.ndarray) -> float:
    """Return the temperature of least loss: the parabola through the three best neighbours of TEMPERATURES, in log T.

    >>> round(best_temperature((np.log(np.array(TEMPERATURES)) - np.log(1.5)) ** 2), 6)
    1.5
    """
    k = int(np.argmin(loss))
    if k in (0, len(loss) - 1):
        return float(TEMPERATURES[k])
    a, b, c = loss[k - 1 : k + 2]
    return float(TEMPERATURES[k] * 2 ** (0.25 * 0.5 * (a - c) / (a - 2 * b + c)))


def measure(context: Context, item: Item) -> dict[str, np.ndarray] | None:
    """Return one map's numbers, raw and at the temperature (first axis, SCALES).

    `total` (2,) and `tail` (2, 2, L): L_CE and what lies beyond each band limit, periodic and mirrored; `rate`:
    |tail| / total. `soft_hit` (2, 2, L, C), `soft_area` (2, C): overlap inside the box and s(0) + b(0), Eq. 27 mended.
    `hard` (3, C): pixels predicted, hit, true. `cut` (L, 2, C): predicted and hit once the logits are band-limited
    (mirrored). `sure` (2,): sum over labelled pixels of the largest probability; `right`: hits.
    """
    both = pair(context, item)
    if both is None:
        return None
    logits, label = both
    limits, known = context.grid.band, both[1] != VOID
    out: dict[str, list] = {key: [] for key in ("total", "tail", "rate", "soft_hit", "soft_area", "sure")}
    for t in (1.0, context.temperature):
        scaled = logits / t
        tails = []
        for boundary in sp.BOUNDARIES:
            parts = cross_entropy.truncated_cross_entropy(scaled[None], label[None], list(limits), boundary=boundary)
            total = float(parts.total[0])
            tails.append((parts.total[:, None] - parts.kept)[0].double().numpy())
        probabilities = torch.softmax(scaled, 0) * known
        hit, area = _overlap(probabilities, label, limits)
        out["total"].append(total)
        out["tail"].append(np.stack(tails))
        out["rate"].append(np.abs(np.stack(tails)) / total if total > 0 else np.zeros((2, len(limits))))
        out["soft_hit"].append(hit)
        out["soft_area"].append(area)
        out["sure"].append(float(probabilities.amax(0).sum(dtype=torch.float64)))
    numbers = {key: np.asarray(value, np.float64) for key, value in out.items()}
    low = label_spectra.band_limited(logits, limits, boundary="mirrored")
    guesses = torch.stack([logits.argmax(0), *(x.argmax(0) for x in low)])
    counts = class_counts(guesses, label.expand_as(guesses), context.num_classes).astype(np.float64)  # hit, true, made
    hard, cut = counts[0].T[[2, 0, 1]], counts[1:].transpose(0, 2, 1)[:, [2, 0]]
    return {**numbers, "hard": hard, "cut": cut, "right": hard[1].sum(), "pixels": hard[2].sum()}


def _overlap(probabilities: Tensor, label: Tensor, limits: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return sum over the box of s b* of every class, (2, L, C), and s(0) + b(0), (C,): `iou.spectral_iou`'s."""
    planes = torch.stack([label == c for c in range(len(probabilities))]).double()
    s, size = probabilities.double(), label.shape[-1]
    hits = []
    for boundary in sp.BOUNDARIES:
        basis = label_spectra.basis(size, max(limits), boundary=boundary)
        product = (basis.T @ s @ basis) * (basis.T @ planes @ basis) / size**2
        hits.append([product[:, : 2 * nu + 1, : 2 * nu + 1].sum((1, 2)).numpy() for nu in limits])
    return np.asarray(hits), (s.mean((1, 2)) + planes.mean((1, 2))).numpy()


def measured(run: Survey, folder: Path, probabilities: bool = False) -> dict:
    """Return `scores` of a folder of logits for the maps of a survey; its bad files are added to the survey's.

    `probabilities`: softmax outputs were saved; their log is taken.

    Raises FileNotFoundError where the folder is missing, BadFile as the survey's settings say.
    """
    code, where = Path(__file__), str(folder.resolve())
    kept, run.items = run.items, [_with_state(folder, item) for item in run.items]
    run.context = replace(run.context, logits=folder, probabilities=probabilities)
    fit, _ = run.pass_over("temperature", losses, code, (), logits=where, probabilities=probabilities)
    if not fit.count:
        raise BadFile(f"{folder}: no label has logits")
    temperature = best_temperature(fit.plain["loss"])
    run.context = replace(run.context, temperature=temperature)
    sums, _ = run.pass_over("logits", measure, code, DRAWN, logits=where, temperature=temperature,
                            probabilities=probabilities)  # fmt: skip
    run.items = kept
    return scores(sums, run.context.grid, temperature, fit.plain["loss"])


def _with_state(folder: Path, item: Item) -> Item:
    """Let the state of the logits' file count too: changed logits are measured again."""
    try:
        stat = locate(folder, item).stat()
    except BadFile:
        return item
    return replace(item, state=(*item.state, stat.st_size, stat.st_mtime_ns))


def scores(sums: Sums, grid: Plan, temperature: float, loss: np.ndarray) -> dict:
    """Return what the logits say: temperature, loss, mIoU, r_ce, spectral_iou, cut (band-limited logits), predicted."""
    drawn, maps, interval = sums.drawn, np.maximum(sums.maps, 1e-9), summary.interval
    hard = drawn["hard"]
    miou = summary.miou(hard[:, 1], hard[:, 0], hard[:, 2])
    out: dict = {
        "maps": sums.count, "temperature": temperature,
        "temperature_at_end": bool(np.argmin(loss) in (0, len(loss) - 1)),
        "miou": interval(miou), "confidence": [float(v) for v in sums.plain["sure"] / sums.plain["pixels"]],
        "accuracy": float(sums.plain["right"] / sums.plain["pixels"]),
        "cross_entropy": [interval(drawn["total"][:, s] / maps) for s in range(2)],
        "r_ce": [], "spectral_iou": [], "cut": [],
    }  # fmt: skip
    limits = [{"nu_max": nu, "lrg_size": sp.lrg_size(nu)} for nu in grid.band]
    for (s, scale), (b, boundary), (k, size) in itertools.product(*map(enumerate, (SCALES, sp.BOUNDARIES, limits))):
        at = {"scale": scale, "boundary": boundary, **size}
        rates = {"ratio_of_means": np.abs(summary.ratio(drawn["tail"][:, s, b, k], drawn["total"][:, s])),
                 "mean_of_ratios": drawn["rate"][:, s, b, k] / maps}  # fmt: skip
        out["r_ce"] += [{**at, "average": a, **interval(v)} for a, v in rates.items()]
        hit, area = drawn["soft_hit"][:, s, b, k], drawn["soft_area"][:, s]
        out["spectral_iou"].append({**at, **interval(summary.miou(hit, area))})
    for k, size in enumerate(limits):
        own = summary.miou(drawn["cut"][:, k, 1], drawn["cut"][:, k, 0], hard[:, 2])
        out["cut"].append({**size, "miou": interval(own), "drop": interval(1 - summary.ratio(own, miou))})
    out["predicted"] = predicted(out["r_ce"])
    out["relation"] = relation.NONE if not out["predicted"] else _held_out()
    return out


def _held_out() -> str:
    """Return how often the predicted intervals held on networks that had no part in the fit."""
    first = "Predicted drops: a line fitted to trained networks, two deviations either side"
    tried = [f for f in relation.fitted() if f.cases]
    if not tried:
        return f"{first}."
    worst = min(tried, key=lambda f: f.covered / f.cases)
    return f"{first}; of the drops of networks that others trained it held {worst.covered:.0f} of {worst.cases:.0f}."


def predicted(rates: list[dict]) -> list[dict]:
    """Return what each relation on record says of its variant of R_ce."""
    keys = ("scale", "boundary", "average", "nu_max", "lrg_size")
    return [{**{key: r[key] for key in keys}, **fit.predict(r["value"]), "run_id": fit.run_id}
            for fit in relation.fitted() for r in rates
            if (r["scale"], r["boundary"], r["average"]) == (fit.temperature, fit.boundary, fit.average)]  # fmt: skip
