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
from specseg.advise.folder import Item, partner
from specseg.advise.survey import Survey
from specseg.data import label_spectra
from specseg.data.datasets import VOID
from specseg.data.survey import Sums, scratch_key
from specseg.spectral import cross_entropy
from specseg.spectral import spectrum as sp
from specseg.spectral.iou import class_counts

ENDINGS = (".npy", ".npz", ".pt")
TEMPERATURES = tuple(2 ** (k / 4) for k in range(-8, 13))  # 1/4 .. 8
DRAWN = ("total", "tail", "rate", "soft_hit", "soft_area", "hard", "cut")
STEP = 4  # the temperature is fitted on every fourth pixel of every fourth row: neighbours say the same
SCALES = ("raw", "calibrated")


def locate(folder: Path, item: Item) -> Path:
    """Return the logits' file of a label. Raises BadFile that says what was looked for."""
    if not (found := partner(folder, item, ENDINGS)):
        raise BadFile(f"{item.path}: no logits; expected {folder}/{item.map}{{{','.join(ENDINGS)}}}")
    return found


def read(path: Path, num_classes: int, probabilities: bool = False) -> Tensor:
    """Return the logits of a file, float32 (C, h, w). Raises BadFile that names it and what was expected.

    .npz: its array `logits`, or the only one. .pt: a tensor, or a dict with `logits` or torchvision's `out`. A leading
    axis of one is dropped. `probabilities`: they are softmax outputs, whose log is taken.
    """
    try:
        if path.suffix == ".pt":
            found = torch.load(path, map_location="cpu", weights_only=True)
            found = found[next(k for k in ("logits", "out") if k in found)] if isinstance(found, dict) else found
        else:
            found = np.load(path, allow_pickle=False)
            if path.suffix == ".npz":
                found = found["logits" if "logits" in found.files or len(found.files) != 1 else found.files[0]]
        found = torch.as_tensor(found).detach()
    except Exception as err:  # numpy, zipfile and torch each raise their own for a damaged file
        raise BadFile(f"{path}: no logits can be read ({type(err).__name__}: {str(err)[:80]})") from None
    found = found[0] if found.ndim == 4 and found.shape[0] == 1 else found
    if found.ndim != 3 or not found.is_floating_point():
        raise BadFile(f"{path}: {found.dtype} {tuple(found.shape)}; expected floating numbers (C, h, w)")
    if found.shape[0] != num_classes:
        raise BadFile(f"{path}: {found.shape[0]} classes {tuple(found.shape)}; expected {num_classes}, as the labels")
    found = found.float()
    if bad := int((~torch.isfinite(found)).sum()):
        raise BadFile(f"{path}: {bad} values are not finite")
    normed = float(found.min()) >= 0 and bool(((found.sum(0) - 1).abs() < 0.01).all())
    if probabilities != normed:
        why = ("that sum to one over the classes: probabilities, not logits. --probabilities takes their log, which "
               "R_ce needs; better save what enters the softmax" if normed else
               "are no probabilities (0 .. 1, of sum one); leave --probabilities out")  # fmt: skip
        raise BadFile(f"{path}: values {float(found.min()):.3g} .. {float(found.max()):.3g} {why}")
    return found.clamp(min=1e-12).log() if probabilities else found


def whole(logits: Tensor, shape: tuple[int, int], path: Path) -> Tensor:
    """Return logits (C, h, w) of a label of `shape`, at its size: a smaller grid is up-sampled bilinearly
    (align_corners=True). Raises BadFile where (h, w) is no coarser grid of the same picture."""
    (h, w), (height, width) = logits.shape[1:], shape
    if (h, w) == shape:
        return logits
    wanted = (h - 1) * (width - 1) / max(height - 1, 1) + 1
    if h > height or w > width or min(h, w) < 2 or abs(w - wanted) > 1:
        raise BadFile(f"{path}: logits of {h} x {w}; expected the label's {height} x {width} or a smaller grid of it")
    return F.interpolate(logits[None], shape, mode="bilinear", align_corners=True)[0]


def pair(context: frames.Context, item: Item) -> tuple[Tensor, Tensor] | None:
    """Return (logits (C, s, s), label int64 (s, s)) of an item in the frame; None where every pixel is void."""
    path, label = locate(context.logits, item), frames.label(context, item).long()
    if bool((label == VOID).all()):
        return None
    logits = read(path, len(context.reader.names), context.probabilities)
    logits = whole(logits, context.reader.classes(item).shape, path)
    return frames.framed(logits, item.window, context.grid.size, align_corners=False), label


def losses(context: frames.Context, item: Item) -> dict[str, np.ndarray] | None:
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


def measure(context: frames.Context, item: Item) -> dict[str, np.ndarray] | None:
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
    limits, known, rows = context.grid.band, label != VOID, []
    for t in (1.0, context.temperature):
        scaled = logits / t
        parts = [cross_entropy.truncated_cross_entropy(scaled[None], label[None], list(limits), boundary=boundary)
                 for boundary in sp.BOUNDARIES]  # fmt: skip
        total = float(parts[-1].total[0])
        tail = np.stack([(p.total[:, None] - p.kept)[0].double().numpy() for p in parts])
        probabilities = torch.softmax(scaled, 0) * known
        hit, area = _overlap(probabilities, label, limits)
        rows.append({"total": total, "tail": tail, "rate": np.abs(tail) / total if total > 0 else np.zeros(tail.shape),
                     "soft_hit": hit, "soft_area": area,
                     "sure": float(probabilities.amax(0).sum(dtype=torch.float64))})  # fmt: skip
    numbers = {key: np.stack([np.asarray(row[key], np.float64) for row in rows]) for key in rows[0]}
    low = label_spectra.band_limited(logits, limits, boundary="mirrored")
    guesses = torch.stack([logits.argmax(0), *(x.argmax(0) for x in low)])
    counts = class_counts(guesses, label.expand_as(guesses), len(logits)).double().numpy()  # hit, true, made
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
    own = sorted({str(p) for item in run.items if (p := partner(folder, item, ENDINGS))})
    files = [(name, state.st_size, state.st_mtime_ns) for name in own for state in [Path(name).stat()]]
    context = replace(run.context, logits=folder.resolve(), probabilities=probabilities,
                      stamp=scratch_key({"files": files}, []))  # fmt: skip
    fit, _ = run.pass_over("temperature", losses, context, ())
    if not fit.count:
        raise BadFile(f"{folder}: no label has logits")
    context = replace(context, temperature=best_temperature(fit.plain["loss"]))
    sums, _ = run.pass_over("logits", measure, context, DRAWN)
    return scores(sums, context, fit.plain["loss"])


def scores(sums: Sums, context: frames.Context, loss: np.ndarray) -> dict:
    """Return what the logits say: temperature, loss, mIoU, r_ce, spectral_iou, cut (band-limited logits), predicted."""
    drawn, maps, interval = sums.drawn, np.maximum(sums.maps, 1e-9), summary.interval
    true, hit, made = drawn["hard"][:, 2], drawn["hard"][:, 1], drawn["hard"][:, 0]
    miou, rates, soft, cuts = summary.miou(hit, made, true), [], [], []
    limits = [{"nu_max": nu, "lrg_size": sp.lrg_size(nu)} for nu in context.grid.band]
    for (s, scale), (b, boundary), (k, size) in itertools.product(*map(enumerate, (SCALES, sp.BOUNDARIES, limits))):
        at = {"scale": scale, "boundary": boundary, **size}
        means = np.abs(summary.ratio(drawn["tail"][:, s, b, k], drawn["total"][:, s]))
        averages = {"ratio_of_means": means, "mean_of_ratios": drawn["rate"][:, s, b, k] / maps}
        rates += [{**at, "average": name, **interval(values)} for name, values in averages.items()]
        soft.append({**at, **interval(summary.miou(drawn["soft_hit"][:, s, b, k], drawn["soft_area"][:, s]))})
    for k, size in enumerate(limits):
        own = summary.miou(drawn["cut"][:, k, 1], drawn["cut"][:, k, 0], true)
        cuts.append({**size, "miou": interval(own), "drop": interval(1 - summary.ratio(own, miou))})
    return {
        "maps": sums.count, "temperature": context.temperature,
        "temperature_at_end": bool(np.argmin(loss) in (0, len(loss) - 1)),
        "miou": interval(miou), "confidence": (sums.plain["sure"] / sums.plain["pixels"]).tolist(),
        "accuracy": float(sums.plain["right"] / sums.plain["pixels"]),
        "cross_entropy": [interval(drawn["total"][:, s] / maps) for s in range(2)],
        "r_ce": rates, "spectral_iou": soft, "cut": cuts,
        "predicted": relation.predicted(rates), "relation": relation.held_out(),
    }  # fmt: skip
