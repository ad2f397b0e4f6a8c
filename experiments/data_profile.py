"""What the data sets are like: contours, classes, void and the spectra's tails, real sets beside synthetic regimes.

Command   python experiments/data_profile.py --profile standard
Data      voc2012 (1,449 val label maps), camvid (train and val frames that are present), dubai under SPECSEG_DATA;
          the synthetic regimes are made on the spot
Minutes   one core: about 6
Expect    mean contours in frame sides 3.4 (voc2012), 12 (camvid), 27 (dubai); objects 2.8, landcover 4.8, streets 16;
          results/data_profile/<run_id>/, 780 rows
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from specseg.data import datasets, synthetic, transforms
from specseg.data import profile as data_profile
from specseg.evidence import config, records, renewal

EXPERIMENT = "data_profile"
SPLITS = {"voc2012": ("val",), "camvid": ("train", "val"), "dubai": ("all",)}
SHOWN = ("image_part_005t1", "image_part_001t4", "image_part_005t6", "image_part_006t8")  # CC0 frames for the page
SHOWN_SIZE, DOSED = 193, 24
DIGITS = 1e-4  # the rows' intervals are kept with five
NOTES = (
    "Void filled with the nearest label. 95 % intervals: bootstrap over images (voc2012, synthetic), stretches of ten "
    "frames (camvid), tiles (dubai). VOC label files from mirrors of the official archive."
)


def groups(dataset: str, names: list[str]) -> list[str]:
    """Say which images the bootstrap keeps together: a tile (dubai), ten frames of a drive (camvid), else each one."""
    if dataset == "dubai":
        return [name.rpartition("t")[2] for name in names]
    if dataset == "camvid":
        return [f"{name.split('_')[0]}-{k // 10}" for k, name in enumerate(names)]
    return names


def real_rows(dataset: str, profile: config.Profile) -> tuple[pd.DataFrame, list[datasets.DataSet]]:
    """Return the rows of a real set and its splits. Raises FileNotFoundError that says how to get the set."""
    opened = [datasets.open(dataset, s, partial=dataset == "camvid", need="label") for s in SPLITS[dataset]]
    names = [name for source in opened for name in source.ids]
    if profile.name == "smoke":
        opened, names = opened[:1], names[: profile.images]
        opened[0].ids = opened[0].ids[: profile.images]
    with progress(len(names), dataset) as advance:
        table = data_profile.rows(data_profile.framed(opened, profile.size), opened[0].classes, profile.size,
                                  groups(dataset, names), advance=advance)  # fmt: skip
    return table.assign(dataset=dataset, split="+".join(s.split for s in opened)), opened


@contextlib.contextmanager
def progress(total: int, text: str):
    """Yield a function that counts finished images: a live bar, or nothing in CI and where no one watches."""
    if config.in_ci() or not sys.stderr.isatty():
        yield lambda n: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(text, total=total)
        yield lambda n: bar.advance(task, n)


def probe() -> dict[str, np.ndarray]:
    """Return framed CC0 images with their labels, for the page and for a check of the reader against the record."""
    source = datasets.open("dubai", "all")
    framed = [transforms.frame(source[source.ids.index(name)], SHOWN_SIZE) for name in SHOWN]
    found = [data_profile.measure(s.label, source.num_classes) for s in framed]
    images, labels = np.stack([s.image for s in framed]), np.stack([s.label for s in framed]).astype(np.uint8)
    return {"images": images, "labels": labels, "contours": np.array([f["contour"] for f in found])}


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the contours of the probe's frames; all rows of the smallest real set; scenes of each regime at one dose.
    All in float64."""
    kept, rows, size = record.probe(), record.rows, record.meta["settings"]["size"]
    classes = len(datasets.open("synthetic", "val", regime="landcover", size=65, count=1).classes)
    found = [data_profile.measure(label.astype(np.int64), classes)["contour"] for label in kept["labels"]]
    worst = renewal.deviation(found, kept["contours"])
    yield renewal.Check(f"contours of {len(found)} frames", worst, renewal.ROUNDING)
    for regime in synthetic.REGIMES:
        old = rows[(rows["dataset"] == regime) & (rows["dose"] == synthetic.DOSES[0])]
        count, doses = int(old["n"].iloc[0]), synthetic.DOSES[:1]
        again = data_profile.dose_rows(regime, count, min(257, size), doses=doses)
        yield renewal.rows_again(f"{count} scenes of {regime}", again, old, DIGITS)
    again, _ = real_rows("dubai", config.profile(record.profile))
    yield renewal.rows_again("all maps of dubai", again, rows[rows["dataset"] == "dubai"], DIGITS)


def main(argv: list[str] | None = None) -> Path:
    """Measure every set and write one record (smoke: under _build/, since it is a trial)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(argv)
    profile = config.profile(args.profile)
    records.require_committed(args.allow_dirty or profile.name == "smoke")
    torch.set_num_threads(1)
    start, parts, opened, shown = time.monotonic(), [], [], probe()
    for dataset in SPLITS:
        table, sources = real_rows(dataset, profile)
        parts.append(table)
        opened += sources
    for regime in synthetic.REGIMES:
        parts.append(data_profile.synthetic_rows(regime, profile.images, profile.size))
        parts.append(data_profile.dose_rows(regime, min(DOSED, profile.images), min(257, profile.size)))
    table = pd.concat(parts, ignore_index=True)
    first = ["dataset", "split", "metric", "name", "nu_max", "level", "dose", "value"]
    for column in ("low", "high"):
        table[column] = [float(f"{x:.5g}") for x in table[column]]
    command = f"python experiments/{EXPERIMENT}.py --profile {profile.name}"
    path = records.write(
        EXPERIMENT, table[[*first, "low", "high", "n"]], command=command, profile=profile.name, seed=0,
        data=[f"{s.name}/{s.split}: {s.coverage}" for s in opened],
        settings={"size": profile.size, "version": synthetic.VERSION}, probe=shown, notes=NOTES,
        wall_s=time.monotonic() - start, device=config.device_name("cpu"),
        allow_dirty=args.allow_dirty,
        root=config.root() / "_build" / "trials" if profile.name == "smoke" else None,
    )  # fmt: skip
    print(f"{len(table)} rows in {path}")
    return path


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, records.Uncommitted) as err:
        sys.exit(f"data_profile: {err}")
