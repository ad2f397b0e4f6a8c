"""What a folder of logits says beside the labels: two passes, the first for the temperature; scores with intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from specseg.advise import logits, relation, summary
from specseg.advise.files import BadFile
from specseg.advise.folder import Item
from specseg.advise.survey import Survey
from specseg.data.label_numbers import Plan
from specseg.data.survey import Sums

DRAWN = ("total", "tail", "rate", "soft_hit", "soft_area", "hard", "cut")


def measured(run: Survey, folder: Path, probabilities: bool = False) -> dict:
    """Return `scores` of a folder of logits for the maps of a survey; its bad files are added to the survey's.

    `probabilities`: softmax outputs were saved; their log is taken.

    Raises FileNotFoundError where the folder is missing, BadFile as the survey's settings say.
    """
    code, where = Path(logits.__file__), str(folder.resolve())
    kept, run.items = run.items, [_with_state(folder, item) for item in run.items]
    run.context = replace(run.context, logits=folder, probabilities=probabilities)
    fit, _ = run.pass_over("temperature", logits.losses, code, (), logits=where, probabilities=probabilities)
    if not fit.count:
        raise BadFile(f"{folder}: no label has logits")
    temperature = logits.best_temperature(fit.plain["loss"])
    run.context = replace(run.context, temperature=temperature)
    sums, _ = run.pass_over("logits", logits.measure, code, DRAWN, logits=where, temperature=temperature,
                            probabilities=probabilities)  # fmt: skip
    run.items = kept
    return scores(sums, run.context.grid, temperature, fit.plain["loss"])


def _with_state(folder: Path, item: Item) -> Item:
    """Let the state of the logits' file count too: changed logits are measured again."""
    try:
        stat = logits.locate(folder, item).stat()
    except BadFile:
        return item
    return replace(item, state=(*item.state, stat.st_size, stat.st_mtime_ns))


def scores(sums: Sums, grid: Plan, temperature: float, loss: np.ndarray) -> dict:
    """Return what the logits say: temperature, loss, mIoU, r_ce, spectral_iou, cut (band-limited logits), predicted."""
    drawn, maps = sums.drawn, np.maximum(sums.maps, 1e-9)
    out: dict = {"maps": sums.count, "temperature": temperature,
                 "temperature_at_end": bool(np.argmin(loss) in (0, len(loss) - 1))}  # fmt: skip
    hard = drawn["hard"]
    miou = summary.mean_iou(summary.ratio(hard[:, 1], hard[:, 0] + hard[:, 2] - hard[:, 1]))
    out["miou"] = summary.interval(miou)
    out["confidence"] = [float(v) for v in sums.plain["sure"] / sums.plain["pixels"]]
    out["accuracy"] = float(sums.plain["right"] / sums.plain["pixels"])
    out["cross_entropy"] = [summary.interval(drawn["total"][:, s] / maps) for s in range(2)]
    out["r_ce"], out["spectral_iou"], out["cut"] = [], [], []
    for s, scale in enumerate(logits.SCALES):
        for b, boundary in enumerate(("periodic", "mirrored")):
            for k, nu in enumerate(grid.band):
                at = {"scale": scale, "boundary": boundary, "nu_max": nu, "lrg_size": 2 * nu + 1}
                rates = {"ratio_of_means": np.abs(summary.ratio(drawn["tail"][:, s, b, k], drawn["total"][:, s])),
                         "mean_of_ratios": drawn["rate"][:, s, b, k] / maps}  # fmt: skip
                out["r_ce"] += [{**at, "average": a, **summary.interval(v)} for a, v in rates.items()]
                hit = drawn["soft_hit"][:, s, b, k]
                soft = summary.mean_iou(summary.ratio(hit, drawn["soft_area"][:, s] - hit))
                out["spectral_iou"].append({**at, **summary.interval(soft)})
    for k, nu in enumerate(grid.band):
        cut = drawn["cut"][:, k]
        own = summary.mean_iou(summary.ratio(cut[:, 1], cut[:, 0] + hard[:, 2] - cut[:, 1]))
        drop = summary.interval(1 - summary.ratio(own, miou))
        out["cut"].append({"nu_max": nu, "lrg_size": 2 * nu + 1, "miou": summary.interval(own), "drop": drop})
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
    out = []
    for fit in relation.fitted():
        own = [r for r in rates if (r["scale"], r["boundary"], r["average"])
               == (fit.temperature, fit.boundary, fit.average)]  # fmt: skip
        for r in own:
            at = {key: r[key] for key in ("scale", "boundary", "average", "nu_max", "lrg_size")}
            out.append({**at, **fit.predict(r["value"]), "run_id": fit.run_id})
    return out
