"""The adviser's answer for the label sets that anyone can download: ceilings, laws, recommended grids and blocks.

Command   python experiments/advise_labels.py --dataset voc2012 --profile standard
Data      voc2012 (1,449 val label maps), camvid, dubai, cityscapes_512x256 under SPECSEG_DATA; objects, landcover,
          streets are synthetic
Minutes   two workers on two cores: voc2012 about 3, camvid 1, the others and each synthetic regime less than 1
Expect    street scenes and house-by-house land cover ask for the whole grid at 2 %, objects for less; about 700 rows

Stopped and started again, it goes on from the last finished chunk of maps (_build/advise_labels/).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from specseg.advise import recommend
from specseg.advise.settings import Settings
from specseg.advise.survey import Survey, survey
from specseg.data import datasets, manifests
from specseg.evidence import config, records, renewal

EXPERIMENT = "advise_labels"
SPLITS = {"voc2012": ("val",), "camvid": ("train", "val"), "dubai": ("all",), "cityscapes_512x256": ("val",)}
REGIMES = ("objects", "landcover", "streets")
# What is not independent stays together in the bootstrap: a tile, a thousand frame numbers of one drive.
GROUPS = {"dubai": r"t(\d)$", "camvid": r"([^/]+)\d{3}$"}
SMALL = ("dubai", "cityscapes_512x256")  # under a minute
TOLERANCES = (0.01, 0.02, 0.05)
DRAWS, SEED = 1000, 0
TURNED = 3e-4  # a few pixels turn where planes tie in single precision, in which energies were once kept too


def labels_of(dataset: str, profile: config.Profile, scratch: Path) -> tuple[Path, list[str], manifests.Labels, list]:
    """Return (folder, names, how labels are stored, sources) of a set; synthetic label maps are written to `scratch`.

    Raises FileNotFoundError naming the command that gets the data.
    """
    if dataset in REGIMES:
        count = profile.images or 64
        source = datasets.open("synthetic", "val", regime=dataset, size=profile.size, count=count)
        scratch.mkdir(parents=True, exist_ok=True)
        for k, name in enumerate(source.ids):
            file = scratch / f"{name}.png"
            if not file.is_file():
                Image.fromarray(source.label(k).astype(np.uint8)).save(file)
        stored = manifests.Labels(source.classes, "index", (datasets.VOID,), {}, ())
        return scratch, list(source.ids), stored, [source]
    try:
        partial = dataset == "camvid"  # the others are small or labels only: all of them or an error
        opened = [datasets.open(dataset, split, partial=partial, need="label") for split in SPLITS[dataset]]
    except FileNotFoundError as err:
        fetch = f"get the data with `specseg data fetch {dataset}` or point SPECSEG_DATA at the folder that holds them"
        raise FileNotFoundError(f"{dataset}: {err}\n{fetch}; nothing was found in {config.data_root()}") from None
    paths = [source.paths(k)[1] for source in opened for k in range(len(source))]
    folders = {path.parent for path in paths}
    folder = folders.pop() if len(folders) == 1 else paths[0].parent.parent
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
    return folder, names, manifests.load(dataset).labels, opened


def rows(run: Survey) -> pd.DataFrame:
    """Return what was found as tidy rows: table, kind, name, sizes, max_drop, metric, value and interval."""
    tables = run.tables
    parts = [tables["ceilings"].assign(table="ceilings")]
    for name, keys in (("tails", ["nu_max", "lrg_size"]), ("blocks", ["nu_max", "lrg_size", "block_px"])):
        parts.append(tables[name].melt(id_vars=keys, var_name="metric").assign(table=name))
    classes = tables["classes"].drop(columns=["index", "iou"]).melt(id_vars="name", var_name="metric")
    iou = pd.DataFrame(
        [
            {"name": c.name, "metric": "class_iou", "kind": kind, "lrg_size": size, "value": value}
            for c in tables["classes"].itertuples(index=False)
            for kind, own in c.iou.items()
            for size, value in own.items()
        ]
    )
    melted = pd.concat([classes, iou]).assign(table="classes")
    mean = tables["spectra"][tables["spectra"]["name"] == ""]
    power = mean.rename(columns={"power": "value"}).assign(table="spectra", metric="power", name=None)
    parts += [melted.dropna(subset="value"), power, chosen(tables["ceilings"])]
    columns = ["table", "kind", "name", "nu", "nu_max", "lrg_size", "block_px", "max_drop", "metric", "value", "low",
               "high", "se", "n"]  # fmt: skip
    out = pd.concat([p.dropna(axis=1, how="all") for p in parts], ignore_index=True).reindex(columns=columns)
    return out.astype(dict.fromkeys(["nu", "nu_max", "lrg_size", "n"], "Int64"))


def chosen(ceilings: pd.DataFrame) -> pd.DataFrame:
    """Return the recommended sizes at each tolerance: metric `recommended` and `recommended_everywhere`, value the size
    (NaN: none)."""
    lines = []
    for tolerance in TOLERANCES:
        for kind in ("band", "majority"):
            for metric, drop in (("recommended", "drop"), ("recommended_everywhere", "drop_everywhere")):
                best = recommend.choose(ceilings, kind, tolerance, drop)
                value = best["lrg_size"] if best else np.nan
                lines.append({"table": "recommendation", "kind": kind, "max_drop": tolerance, "metric": metric,
                              "value": value})  # fmt: skip
    return pd.DataFrame(lines)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows of a small set, measured again (the larger sets have one for a sister)."""
    dataset, profile = record.meta["settings"]["dataset"], config.profile(record.profile)
    if dataset not in SMALL:
        raise renewal.Unable(f"{dataset}: measuring it again takes minutes")
    with tempfile.TemporaryDirectory() as scratch:
        folder, names, stored, opened = labels_of(dataset, profile, Path(scratch) / "labels")
        settings = Settings(profile.size, sample="all", seed=SEED, draws=DRAWS, group=GROUPS.get(dataset, ""))
        found = rows(survey(folder, settings, reading=stored, only=names, out=Path(scratch) / "out", workers=1))
    found = found.assign(dataset=dataset, split="+".join(s.split for s in opened))
    yield renewal.rows_again("all maps measured again", found, record.rows, TURNED)


def main(argv: list[str] | None = None) -> Path:
    """Run one set at one profile and write its record (smoke: under _build/, since it is a trial)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, choices=[*SPLITS, *REGIMES])
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(argv)
    profile = config.profile(args.profile)
    records.require_committed(args.allow_dirty or profile.name == "smoke")
    scratch = config.root() / "_build" / EXPERIMENT / f"{args.dataset}-{profile.name}"
    folder, names, stored, opened = labels_of(args.dataset, profile, scratch / "labels")
    if profile.name == "smoke":
        names = names[: profile.images]
    settings = Settings(profile.size, sample="all", seed=SEED, draws=DRAWS, group=GROUPS.get(args.dataset, ""))
    start = time.monotonic()
    run = survey(folder, settings, reading=stored, only=names, out=scratch, workers=args.workers)
    found = rows(run).assign(dataset=args.dataset, split="+".join(s.split for s in opened))
    kept = {"measured": run.sums.count, "groups": len(run.sums.groups)}
    kept |= {"contour": float(run.tables["classes"]["contour"].sum() / 2),
             "void": float(run.sums.plain["void"] / run.sums.count)}  # fmt: skip
    path = records.write(
        EXPERIMENT, found[["dataset", "split", *found.columns.drop(["dataset", "split"])]],
        command=f"python experiments/{EXPERIMENT}.py --dataset {args.dataset} --profile {profile.name}",
        profile=profile.name, seed=SEED, data=[f"{s.name}/{s.split}: {s.coverage}" for s in opened],
        settings={"dataset": args.dataset, "size": profile.size, "draws": DRAWS, "group": settings.group, **kept},
        notes="Rule and tolerances stated before a network's drop was known. " + recommend.RULE,
        wall_s=time.monotonic() - start, device=config.device_name("cpu"),
        allow_dirty=args.allow_dirty,
        root=config.root() / "_build" / "trials" if profile.name == "smoke" else None,
    )  # fmt: skip
    print(f"{len(found)} rows in {path}")
    return path


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, records.Uncommitted) as err:
        sys.exit(f"{EXPERIMENT}: {err}")
