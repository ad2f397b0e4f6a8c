"""One run of the adviser from a folder to the advice: a plain dictionary that the table, JSON and page are made of."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import __version__
from specseg.advise import costs, recommend, with_logits
from specseg.advise import settings as st
from specseg.advise.labels import logits_of
from specseg.advise.settings import Settings
from specseg.advise.survey import DEFAULT, Survey, survey

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
    title: str = "",
    **options,
) -> Advice:
    """Return the advice for a folder of label maps; `logit_folder` holds one file of logits a label.

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
    where = None if logit_folder is None else logits_of(Path(logit_folder))
    run = survey(folder, settings, **options)
    sizes = [2 * nu + 1 for nu in run.context.grid.band]
    tables = run.tables | {"costs": costs.table(sizes, settings.size, run.context.num_classes)}
    told = None if where is None else with_logits.measured(run, where)
    return Advice(_assemble(title or Path(folder).resolve().name, run, tables, told), tables)


def _assemble(title: str, run: Survey, tables: dict[str, pd.DataFrame], told: dict | None) -> dict:
    settings, sums, grid, bad = run.settings, run.sums, run.context.grid, run.bad
    ceilings, kept = tables["ceilings"], tables["classes"]
    lrg = recommend.choose(ceilings, "band", settings.max_drop)
    block = recommend.choose(ceilings, "majority", settings.max_drop)
    strict = {"lrg": recommend.choose(ceilings, "band", settings.max_drop, "drop_everywhere"),
              "blocks": recommend.choose(ceilings, "majority", settings.max_drop, "drop_everywhere")}  # fmt: skip
    known = {b["file"] for b in bad} | set(run.seen)
    only_void = [item.name for item in run.items if item.name not in known]
    void = float(sums.plain["void"] / sums.count)
    warned = recommend.cautions(
        maps=sums.count, groups=len(sums.groups), chosen=run.chosen, found=run.found, void=void,
        only_void=len(only_void), bad=len(bad), classes=kept, logits=told, grid=lrg)  # fmt: skip
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
        "recommendation": {"lrg": lrg, "blocks": block, "finest_blocks": recommend.finest(ceilings, "majority"),
                           "every_pixel": strict, "lost_first": lost_first(kept), "rule": recommend.RULE,
                           "reason": recommend.REASON, "ignores": list(recommend.IGNORES)},
        "warnings": warned, "logits": told,
        "ceilings": _nested(ceilings), "classes": _classes(kept),
        "spectra": _curves(tables["spectra"]),
        **{key: tables[key].to_dict("records") for key in ("tails", "blocks", "costs")},
    }  # fmt: skip
    return plain(data)


def lost_first(classes: pd.DataFrame, most: int = 5) -> list[str]:
    """Return the names of the classes whose band-limited labels lose most over all grids, worst first."""
    columns = [c for c in classes.columns if c.startswith("band_")]
    here = classes[classes["maps"] > 0]
    return here.assign(mean=here[columns].mean(axis=1)).sort_values("mean")["name"].head(most).tolist()


def _nested(ceilings: pd.DataFrame) -> list[dict]:
    out = []
    for key, part in ceilings.groupby(["kind", "nu_max", "lrg_size", "block_px"], sort=False):
        scores = {r.metric: {"value": r.value, "low": r.low, "high": r.high, "se": r.se} for r in part.itertuples()}
        out.append(dict(zip(("kind", "nu_max", "lrg_size", "block_px"), key, strict=True)) | scores)
    return out


def _classes(table: pd.DataFrame) -> list[dict]:
    fixed = [c for c in table.columns if not c.startswith(("band_", "majority_", "nearest_"))]
    out = []
    for row in table.to_dict("records"):
        iou: dict[str, dict] = {}
        for column in set(row) - set(fixed):
            kind, size = column.split("_")
            iou.setdefault(kind, {})[size] = row[column]
        ordered = {kind: dict(sorted(iou[kind].items(), key=lambda kv: int(kv[0]))) for kind in sorted(iou)}
        out.append({key: row[key] for key in fixed} | {"iou": ordered})
    return out


def _curves(spectra: pd.DataFrame) -> list[dict]:
    return [{"name": name, "power": part.sort_values("nu")["power"].tolist()}
            for name, part in spectra.groupby("name", sort=False)]  # fmt: skip


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
