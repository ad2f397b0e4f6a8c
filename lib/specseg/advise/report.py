"""One run of the adviser from a folder to the advice: a plain dictionary that the table, JSON and page are made of."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from specseg import __version__
from specseg.advise import logits, recommend, relation, summary, trial
from specseg.advise.folder import Item
from specseg.advise.settings import Settings
from specseg.advise.survey import DEFAULT, Survey, at_other_scale, survey

FORM = "specseg-advice-1"
LOST_FIRST = 5  # classes that are named


@dataclass
class Advice:
    """What a run found: `data`, as in advice.json."""

    data: dict


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
    costs = relation.costs(sizes, run.settings.size, len(run.context.reader.names))
    told = None if where is None else logits.measured(run, where, probabilities)
    data = plain(_assembled(run, run.tables | {"costs": costs}, told) | {"title": title or Path(folder).resolve().name})
    data |= {"warnings": recommend.cautions(data), "code": trial.lines(data), "trial": None}
    if network is not None:
        data["trial"] = plain(trial.measured(run, network, Path(picture_folder), layer))
    return Advice(data)


def _assembled(run: Survey, tables: dict[str, pd.DataFrame], told: dict | None) -> dict:
    settings, sums, ceilings, kept = run.settings, run.sums, tables["ceilings"], tables["classes"]
    here, scored, seen = kept[kept["maps"] > 0], {"drop": {}, "drop_everywhere": {}}, set(run.seen)
    for metric, best in scored.items():
        for key, kind in (("lrg", "band"), ("blocks", "majority")):
            best[key] = recommend.choose(ceilings, kind, settings.max_drop, metric)
    miou = ceilings[(ceilings["metric"] == "miou") & (ceilings["kind"] == "band")]
    error = miou.set_index("lrg_size")["se"] * math.sqrt(max(0.0, 1 - run.chosen / run.found))
    ignore = (255,) if settings.ignore is None else settings.ignore
    return {
        "form": FORM, "specseg": __version__,
        "settings": {**asdict(settings), "ignore": ignore[0] if len(ignore) == 1 else list(ignore),
                     "boundary_px": run.context.grid.width},
        "data": {"found": run.found, "chosen": run.chosen, "measured": sums.count, "groups": len(sums.groups),
                 "only_void": [item.name for item in run.items if item.name not in seen],
                 "bad": [{"file": name, "reason": reason} for name, reason in run.bad.items()],
                 "void": float(sums.plain["void"] / sums.count), "classes": len(here),
                 "contour": float(kept["contour"].sum() / 2), "sampled": run.chosen < run.found,
                 "sample_error": error.to_dict()},
        "frame": run.frame, "read": run.told, "scales": _scales(run, scored["drop"]["lrg"]), "logits": told,
        "recommendation": {**scored["drop"], "every_pixel": scored["drop_everywhere"],
                           "finest_blocks": recommend.finest(ceilings, "majority"),
                           "lost_first": lost_first(here)[:LOST_FIRST],
                           "rule": recommend.RULE, "reason": recommend.REASON, "ignores": list(recommend.IGNORES)},
        "evidence": relation.evidence(), "ceilings": _nested(ceilings),
        "spectra": [{"name": name, "power": part.sort_values("nu")["power"].tolist()}
                    for name, part in tables["spectra"].groupby("name", sort=False)],
        **{key: tables[key].to_dict("records") for key in ("classes", "tails", "blocks", "costs")},
    }  # fmt: skip


def lost_first(classes: pd.DataFrame) -> list[str]:
    """Return the names of classes, those first whose band-limited labels lose most over all grids."""
    kept = classes["iou"].map(lambda iou: np.mean(list(iou["band"].values())))
    return classes["name"].loc[kept.sort_values().index].tolist()


def _scales(run: Survey, lrg: dict) -> list[dict]:
    """Return the same question at the other scale on a few maps, since advice changes with it; [] with one scale."""
    if not (other := at_other_scale(run)):
        return []
    ceilings = summary.ceilings(other.sums, other.context.grid)
    best = recommend.choose(ceilings, "band", run.settings.max_drop)
    drops = ceilings[(ceilings["kind"] == "band") & (ceilings["metric"] == "drop")].set_index("lrg_size")["value"]
    return [{"frame": other.frame["frame"], "frames": other.sums.count, "scale": other.frame["scale"]["value"],
             "lrg_size": best["lrg_size"], "drop": drops.to_dict(),
             "drop_here": drops.get(lrg["lrg_size"])}]  # fmt: skip


def _nested(ceilings: pd.DataFrame) -> list[dict]:
    about, score = ["kind", "nu_max", "lrg_size", "block_px"], ["value", "low", "high", "se"]
    return [dict(zip(about, key, strict=True)) | part.set_index("metric")[score].to_dict("index")
            for key, part in ceilings.groupby(about, sort=False)]  # fmt: skip


def plain(value):
    """Return a value as JSON can hold it: numbers to eight digits, what is not finite as None.

    >>> plain({"a": np.float64(1 / 3), "b": float("nan"), "c": (np.int64(2),)})
    {'a': 0.33333333, 'b': None, 'c': [2]}
    """
    text = json.dumps(value, default=np.generic.item)
    return json.loads(text, parse_float=lambda digits: float(f"{float(digits):.8g}"), parse_constant=lambda _: None)
