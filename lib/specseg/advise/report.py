"""One run of the adviser from a folder to the advice: a plain dictionary that the table, JSON and page are made of."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from specseg import __version__
from specseg.advise import logits, recommend, relation, summary, trial
from specseg.advise import settings as st
from specseg.advise.folder import Item
from specseg.advise.settings import Settings
from specseg.advise.survey import DEFAULT, Survey, at_other_scale, survey

FORM = "specseg-advice-1"


@dataclass
class Advice:
    """What a run found: `data` (as in advice.json) and the tidy tables that it was made of."""

    data: dict
    tables: dict[str, pd.DataFrame] = field(repr=False)


def advise(
    folder: Path | str,
    settings: Settings = DEFAULT,
    *,
    logit_folder: Path | str | None = None,
    probabilities: bool = False,
    network: nn.Module | None = None,
    picture_folder: Path | str = "",
    layer: str = "",
    title: str = "",
    **options,
) -> Advice:
    """Return the advice for a folder of label maps.

    `logit_folder` holds one file of logits a label; with `probabilities` of softmax outputs, whose log is taken.
    `network` is tried on the pictures of `picture_folder`, truncated at `layer` (`trial.measured`).
    `options` are those of `survey.survey`: `out` (a folder for scratch, always needed), `reading`, `classes`,
    `pattern`, `only`, `workers`. Raises FileNotFoundError where there are no labels, BadFile at the first bad one
    unless `settings.keep_going`, and ValueError where no pixel is labelled.

    >>> from tempfile import TemporaryDirectory
    >>> from specseg.advise import example
    >>> with TemporaryDirectory() as folder:                     # four scenes of streets, in place of your own labels
    ...     labels = example.write(f"{folder}/labels", "streets", count=4)
    ...     found = advise(labels, Settings(size=129, max_drop=0.1), out=f"{folder}/advice")
    >>> found.data["recommendation"]["lrg"]["lrg_size"]
    33
    """
    where = None if logit_folder is None else Path(logit_folder)
    if where and not where.is_dir():
        raise FileNotFoundError(f"{where}: no such folder; expected one file of logits a label")
    if network is not None:
        layer = trial.layer_of(network, layer)

    def check(items: list[Item]) -> None:  # said now, not after the long pass
        if network is not None:
            trial.pictures(Path(picture_folder), items)
        for item in () if where is None or settings.keep_going else items:
            logits.locate(where, item)

    run = survey(folder, settings, check=check, **options)
    if int((run.tables["classes"]["maps"] > 0).sum()) < 2:
        raise ValueError(f"{folder}: one class alone is labelled; mIoU compares classes: there is nothing to advise on")
    sizes = [2 * nu + 1 for nu in run.context.grid.band]
    tables = run.tables | {"costs": relation.costs(sizes, run.settings.size, run.context.num_classes)}
    told = None if where is None else logits.measured(run, where, probabilities)
    data = _assemble(title or Path(folder).resolve().name, run, tables, told)
    data["code"] = trial.lines(data)
    if network is not None:
        data["trial"] = plain(trial.measured(run, network, Path(picture_folder), layer, run.advance))
    return Advice(data, tables)


def _assemble(title: str, run: Survey, tables: dict[str, pd.DataFrame], told: dict | None) -> dict:
    settings, sums, grid, bad = run.settings, run.sums, run.context.grid, run.bad
    ceilings, kept = tables["ceilings"], tables["classes"]
    (lrg, block), strict = (
        [recommend.choose(ceilings, kind, settings.max_drop, metric) for kind in ("band", "majority")]
        for metric in ("drop", "drop_everywhere")
    )
    known = {b["file"] for b in bad} | set(run.seen)
    only_void = [item.name for item in run.items if item.name not in known]
    void = float(sums.plain["void"] / sums.count)
    warned = recommend.cautions(
        maps=sums.count, groups=len(sums.groups), chosen=run.chosen, found=run.found, void=void,
        only_void=len(only_void), bad=len(bad), classes=kept, logits=told, grid=lrg)  # fmt: skip
    warned += seen_badly(run.frame)
    correction = math.sqrt(max(0.0, 1 - run.chosen / run.found))
    miou = ceilings[(ceilings["metric"] == "miou") & (ceilings["kind"] == "band")]
    error = {str(r.lrg_size): r.se * correction for r in miou.itertuples()}
    data = {
        "form": FORM, "specseg": __version__, "title": title,
        "settings": {**st.as_json(settings), "boundary_px": grid.width},
        "data": {"found": run.found, "chosen": run.chosen, "measured": sums.count, "groups": len(sums.groups),
                 "only_void": only_void, "bad": bad, "void": void, "classes": int((kept["maps"] > 0).sum()),
                 "contour": float(kept["contour"].sum() / 2), "sampled": run.chosen < run.found,
                 "sample_error": error},
        "frame": run.frame, "read": run.told, "scales": _scales(run, settings.max_drop, lrg),
        "recommendation": {"lrg": lrg, "blocks": block, "finest_blocks": recommend.finest(ceilings, "majority"),
                           "every_pixel": {"lrg": strict[0], "blocks": strict[1]},
                           "lost_first": lost_first(kept), "rule": recommend.RULE,
                           "reason": recommend.REASON, "ignores": list(recommend.IGNORES)},
        "evidence": relation.evidence(), "warnings": warned, "logits": told, "trial": None,
        "ceilings": _nested(ceilings), "classes": kept.to_dict("records"),
        "spectra": [{"name": name, "power": part.sort_values("nu")["power"].tolist()}
                    for name, part in tables["spectra"].groupby("name", sort=False)],
        **{key: tables[key].to_dict("records") for key in ("tails", "blocks", "costs")},
    }  # fmt: skip
    return plain(data)


def _scales(run: Survey, max_drop: float, lrg: dict | None) -> list[dict]:
    """Return the same question at the other scale on a few maps, since advice changes with it; [] with one scale."""
    other = at_other_scale(run)
    if other is None:
        return []
    ceilings = summary.ceilings(other.sums, other.context.grid)
    best = recommend.choose(ceilings, "band", max_drop)
    drops = ceilings[(ceilings["kind"] == "band") & (ceilings["metric"] == "drop")].set_index("lrg_size")["value"]
    return [{"frame": other.frame["frame"], "frames": other.sums.count, "scale": other.frame["scale"]["value"],
             "lrg_size": best and best["lrg_size"], "drop": {str(k): v for k, v in drops.items()},
             "drop_here": float(drops.get(lrg["lrg_size"], math.nan)) if lrg else math.nan}]  # fmt: skip


def seen_badly(frame: dict) -> list[str]:
    """Return what makes the frames a poor view of the maps, in sentences."""
    tiny, scale = frame["tiny"], frame["scale"]
    said = {
        f"{frame['seen']:.0%} of the maps' pixels are seen; what stands at the sides may be missing (--frame tiles "
        "sees all).": frame["seen"] < 0.7,
        f"{frame['enlarged']} map(s) are smaller than the frame and were enlarged.":
            frame["enlarged"] and scale["low"] < scale["high"],
        f"{len(tiny)} map(s) of a few pixels ({tiny[0] if tiny else ''}) weigh as much as whole ones; take them out of "
        "the folder.": tiny,
    }  # fmt: skip
    return [sentence for sentence, so in said.items() if so]


def lost_first(classes: pd.DataFrame, most: int = 5) -> list[str]:
    """Return the names of the classes whose band-limited labels lose most over all grids, worst first."""
    here = classes[classes["maps"] > 0]
    kept = here["iou"].map(lambda iou: np.mean(list(iou["band"].values())))
    return here.assign(mean=kept).sort_values("mean")["name"].head(most).tolist()


def _nested(ceilings: pd.DataFrame) -> list[dict]:
    out = []
    for key, part in ceilings.groupby(["kind", "nu_max", "lrg_size", "block_px"], sort=False):
        scores = {r.metric: {"value": r.value, "low": r.low, "high": r.high, "se": r.se} for r in part.itertuples()}
        out.append(dict(zip(("kind", "nu_max", "lrg_size", "block_px"), key, strict=True)) | scores)
    return out


def plain(value):
    """Return a value as JSON can hold it: numbers to eight digits, what is not finite as None.

    >>> plain({"a": np.float64(1 / 3), "b": float("nan"), "c": (np.int64(2),)})
    {'a': 0.33333333, 'b': None, 'c': [2]}
    """
    if isinstance(value, dict):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    return value


def write(data: dict, path: Path) -> Path:
    """Write the advice as JSON, whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)
    return path
