"""One run of the adviser from a folder to the advice: a plain dictionary that the table, JSON and page are made of."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import __version__
from specseg.advise import costs, labels, logits, measure, recommend, relation, stream, summary
from specseg.advise import settings as st
from specseg.advise.labels import BadFile, Item, Reader
from specseg.advise.measure import Context, Grid
from specseg.advise.settings import Settings
from specseg.manifests import Labels

SCHEMA = "advice.schema.json"  # in book/_static, published with the book
FORM = "specseg-advice-1"
DEFAULT = Settings()
Advance = Callable[[str, int, int], object]  # stage, done now, of how many


@dataclass
class Advice:
    """What a run found: `data` (as in advice.json) and the tidy tables that it was made of."""

    data: dict
    tables: dict[str, pd.DataFrame] = field(repr=False)


def advise(
    folder: Path | str,
    settings: Settings = DEFAULT,
    *,
    reading: Labels | None = None,
    classes: int | None = None,
    logit_folder: Path | str | None = None,
    pattern: str = "**/*.png",
    out: Path | str,
    workers: int = 1,
    title: str = "",
    advance: Advance = lambda stage, done, total: None,
) -> Advice:
    """Return the advice for a folder of label maps; scratch lies below `out`/work and a stopped run goes on from it.

    `reading` says how labels are stored (`labels.from_map`, `labels.from_manifest`); without it they are class numbers,
    `classes` of them or as many as are found. `logit_folder` holds one file of logits a label.
    Raises FileNotFoundError where there is nothing, BadFile at the first bad file unless `settings.keep_going`, and
    ValueError for settings that do not go together.
    """
    folder, work = Path(folder), Path(out) / "work"
    every = labels.find(folder, pattern)
    items = labels.choose(every, settings.sample, settings.seed, st.BIG, st.SAMPLE)
    grid, bad, counts = Grid.of(settings.size), [], (len(every), len(items))
    shared = {"workers": workers, "keep_going": settings.keep_going}
    if reading is None and classes is None:
        reading, bad = _found_classes(items, settings, work, shared, advance)
        dropped = {b["file"] for b in bad}
        items = [item for item in items if item.name not in dropped]
    reading = reading or labels.numbered(classes, settings.ignore)
    context = Context(Reader(reading, settings.ignore), len(reading.names), grid,
                      None if logit_folder is None else Path(logit_folder))  # fmt: skip
    if context.logits is not None and not context.logits.is_dir():
        raise FileNotFoundError(f"{context.logits}: no such folder; expected one file of logits a label")
    sums, seen = _stage(
        "labels", items, work, measure.label_numbers, context, settings, summary.DRAWN, shared, advance, bad
    )
    if not sums.count:
        raise ValueError(f"{folder}: no map holds a labelled pixel" + (f" ({len(bad)} bad files)" if bad else ""))
    names = reading.names
    tables = {"ceilings": summary.ceilings(sums, grid), "classes": summary.classes(sums, grid, names),
              "spectra": summary.spectra(sums, grid, names), "tails": summary.tails(sums, grid),
              "blocks": summary.blocks(sums, grid)}  # fmt: skip
    sizes = [2 * nu + 1 for nu in grid.band]
    tables["costs"] = costs.table(sizes, settings.size, len(names))
    told = None
    if context.logits is not None:
        told = _with_logits(items, work, context, settings, shared, advance, bad)
    listed = list({b["file"]: b for b in bad}.values())
    data = _assemble(title or folder.resolve().name, counts, items, sums, seen, listed, settings, grid, tables, told)
    return Advice(data, tables)


def _found_classes(items, settings: Settings, work: Path, shared: dict, advance: Advance) -> tuple[Labels, list]:
    key = st.run_key({"stage": "values"}, [Path(labels.__file__)])
    totals, bad = np.zeros(256, np.int64), []
    step = stream.run(items, work / f"values-{key}", labels.value_counts, Reader(None, settings.ignore), **shared,
                      advance=lambda n: advance("looking for classes", n, len(items)))  # fmt: skip
    for numbers, _, wrong in step:
        bad += wrong
        if numbers:
            totals += numbers["values"].sum(0)
    return labels.from_values(totals, settings.ignore), bad


def _stage(stage, items, work, task, context, settings, drawn, shared, advance, bad):
    """Run one pass over the maps; return its Sums and the names measured. Bad files are added to `bad`."""
    code = [Path(measure.__file__ if stage == "labels" else logits.__file__)]
    parts = {"stage": stage, "labels": context.reader.labels, "ignore": context.reader.ignore, "grid": context.grid}
    if stage != "labels":
        parts |= {"logits": str(context.logits.resolve()), "temperature": context.temperature}
    sums, seen = stream.Sums(settings.draws, settings.seed, drawn), []
    step = stream.run(items, work / f"{stage}-{st.run_key(parts, code)}", task, context, **shared,
                      advance=lambda n: advance(stage, n, len(items)))  # fmt: skip
    for numbers, names, wrong in step:
        bad += wrong
        seen += names
        sums.add(numbers, [labels.group_of(name, settings.group) for name in names])
    return sums, seen


def _with_logits(items: Sequence[Item], work, context: Context, settings, shared, advance, bad) -> dict:
    dropped = {b["file"] for b in bad}
    items = [_with_state(context.logits, item) for item in items if item.name not in dropped]
    fit, _ = _stage("temperature", items, work, logits.losses, context, settings, (), shared, advance, bad)
    if not fit.count:
        raise BadFile(f"{context.logits}: no label has logits")
    temperature = logits.best_temperature(fit.plain["loss"])
    dropped |= {b["file"] for b in bad}
    items = [item for item in items if item.name not in dropped]
    keys = ("total", "tail", "rate", "soft_hit", "soft_area", "hard", "cut")
    found, seen = _stage("logits", items, work, logits.measure, context.at(temperature), settings, keys, shared,
                         advance, bad)  # fmt: skip
    return summary_of_logits(found, context.grid, temperature, fit.plain["loss"])


def _with_state(folder: Path, item: Item) -> Item:
    """Let the state of the logits' file count too: changed logits are measured again."""
    try:
        stat = logits.locate(folder, item).stat()
    except BadFile:
        return item
    return Item(item.name, item.path, (*item.state, stat.st_size, stat.st_mtime_ns))


def summary_of_logits(sums: stream.Sums, grid: Grid, temperature: float, loss: np.ndarray) -> dict:
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
    out["predicted"] = _predicted(out["r_ce"])
    out["relation"] = relation.NONE if not out["predicted"] else "fitted on the committed truncation records"
    return out


def _predicted(rates: list[dict]) -> list[dict]:
    out = []
    for fit in relation.fitted():
        own = [r for r in rates if (r["scale"], r["boundary"], r["average"])
               == (fit.temperature, fit.boundary, fit.average)]  # fmt: skip
        for r in own:
            at = {key: r[key] for key in ("scale", "boundary", "average", "nu_max", "lrg_size")}
            out.append({**at, **fit.predict(r["value"]), "run_id": fit.run_id})
    return out


def _assemble(title, counts, items, sums, seen, bad, settings, grid, tables, told) -> dict:
    (total, chosen), ceilings, kept = counts, tables["ceilings"], tables["classes"]
    lrg = recommend.choose(ceilings, "band", settings.max_drop)
    block = recommend.choose(ceilings, "majority", settings.max_drop)
    strict = {"lrg": recommend.choose(ceilings, "band", settings.max_drop, "drop_everywhere"),
              "blocks": recommend.choose(ceilings, "majority", settings.max_drop, "drop_everywhere")}  # fmt: skip
    known = {b["file"] for b in bad} | set(seen)
    only_void = [item.name for item in items if item.name not in known]
    void = float(sums.plain["void"] / sums.count)
    warned = recommend.cautions(
        maps=sums.count, groups=len(sums.groups), chosen=chosen, found=total, void=void, only_void=len(only_void),
        bad=len(bad), classes=kept, logits=told, grid=lrg)  # fmt: skip
    correction = math.sqrt(max(0.0, 1 - chosen / total))
    miou = ceilings[(ceilings["metric"] == "miou") & (ceilings["kind"] == "band")]
    error = {str(r.lrg_size): r.se * correction for r in miou.itertuples()}
    data = {
        "form": FORM, "specseg": __version__, "title": title,
        "settings": {**st.as_json(settings), "boundary_px": grid.width},
        "data": {"found": total, "chosen": chosen, "measured": sums.count, "groups": len(sums.groups),
                 "only_void": only_void, "bad": bad, "void": void, "classes": int((kept["maps"] > 0).sum()),
                 "contour": float(kept["contour"].sum() / 2), "sampled": chosen < total,
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
