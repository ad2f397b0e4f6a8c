"""Label maps in frequency: averaged power, decay, share inside each band limit, band-limited labels against themselves.

Command   python experiments/label_spectra.py --dataset voc2012 --profile standard
Data      voc2012 (1,449 val label maps), camvid, dubai under SPECSEG_DATA; objects, landcover, streets are synthetic
Minutes   one core: voc2012 about 15, camvid 10, dubai 2, each synthetic regime 1 to 2
Expect    power falls about as nu^-3; most lies inside nu_max = 8; results/label_spectra/<run_id>/, about 1,000 rows

Stopped and started again, it goes on from the last finished chunk of images (_build/label_spectra/).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from specseg.data import datasets, transforms
from specseg.data import label_spectra as ls
from specseg.evidence import config, provenance, records, renewal
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp

EXPERIMENT = "label_spectra"
SPLITS = {"voc2012": ("val",), "camvid": ("train", "val"), "dubai": ("all",)}
REGIMES = ("objects", "landcover", "streets")
VARIANTS = (("crop", "masked"), ("crop", "filled"), ("padded", "masked"))  # the first is the main one
CHUNK = 24
DRAWS, SEED = 1000, 0
NOTES = {
    "voc2012": "Bootstrap over images. Label files from mirrors of the official archive.",
    "camvid": "Bootstrap over stretches of ten neighbouring frames of one drive. Train and val pairs that are present.",
    "dubai": "Bootstrap over the eight tiles.",
}


def sources(dataset: str, profile: config.Profile) -> list[datasets.DataSet]:
    """Open the splits of a data set or a synthetic regime. Raises FileNotFoundError naming the command to get it."""
    if dataset in REGIMES:
        return [datasets.open("synthetic", "val", regime=dataset, size=profile.size, count=profile.images)]
    try:
        partial = dataset == "camvid"  # the others are small or labels only: all of them or an error
        return [datasets.open(dataset, split, partial=partial, need="label") for split in SPLITS[dataset]]
    except FileNotFoundError as err:
        fetch = f"get the data with `specseg data fetch {dataset}` or point SPECSEG_DATA at the folder that holds them"
        raise FileNotFoundError(f"{dataset}: {err}\n{fetch}; nothing was found in {config.data_root()}") from None


def groups(dataset: str, names: list[str]) -> list[str]:
    """Say which images the bootstrap keeps together: a tile (dubai), ten frames of a drive (camvid), else each one."""
    if dataset == "dubai":
        return [name.rpartition("t")[2] for name in names]
    if dataset != "camvid":
        return list(names)
    place = {name: k for k, name in enumerate(sorted(names))}
    return [f"{name.split('_')[0]}-{place[name] // 10}" for name in names]


def band_limits(size: int) -> list[int]:
    """Return Table 1's limits that a frame can hold."""
    return [nu for nu in ls.LIMITS if nu <= size // 2]


def key(size: int) -> str:
    """Return a hash of the code and the sizes that decide the numbers: scratch of other code is never used again."""
    script = Path(__file__)
    parts = [provenance.module_hashes([script]), provenance.code_hash(script), size, ls.LIMITS]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def chunk(file: Path, items: list[tuple], size: int, frame: str, void: str, advance) -> dict[str, np.ndarray]:
    """Return the measurements of some images, from scratch when they are there, else computed and kept."""
    limits, whole = band_limits(size), (frame, void) == VARIANTS[0]
    names = np.array([name for name, _, _ in items])
    if file.is_file():
        with np.load(file) as kept:
            if list(kept["names"]) == list(names):
                advance(len(items))
                return {k: kept[k] for k in kept.files}
    start, found, done = time.monotonic(), [], []
    for name, source, index in items:
        label = transforms.frame_label(source.label(index), size, frame)
        if (label != datasets.VOID).any():
            found.append(ls.analyse(label, source.num_classes, void=void, limits=limits, whole=whole))
            done.append(name)
        advance(1)
    out = {k: np.stack([f[k] for f in found]) for k in found[0]} if found else {}
    out |= {"names": names, "done": np.array(done, dtype=names.dtype), "seconds": np.array(time.monotonic() - start)}
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npz")  # a stopped run leaves no half-written chunk
    np.savez_compressed(partial, **out)
    os.replace(partial, file)
    return out


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


def measure(dataset: str, profile: config.Profile) -> tuple[pd.DataFrame, dict, float, list[datasets.DataSet]]:
    """Return the rows of a data set, a probe, the seconds that the work took in all, and the sources."""
    opened = sources(dataset, profile)
    items = [(name, source, k) for source in opened for k, name in enumerate(source.ids)]
    if profile.name == "smoke":
        items = items[: profile.images]
    size, seconds, rows = profile.size, 0.0, []
    limits = band_limits(size)
    folder = config.root() / "_build" / EXPERIMENT / f"{dataset}-{profile.name}-{key(size)}"
    with progress(len(VARIANTS) * len(items), dataset) as advance:
        for frame, void in VARIANTS:
            if dataset in REGIMES and frame == "padded":  # a scene fills its frame already
                continue
            parts = [chunk(folder / f"{frame}-{void}-{k:05d}.npz", items[k : k + CHUNK], size, frame, void, advance)
                     for k in range(0, len(items), CHUNK)]  # fmt: skip
            seconds += sum(float(p["seconds"]) for p in parts)
            parts = [p for p in parts if len(p["done"])]
            names = [str(name) for p in parts for name in p["done"]]
            stack = {k: np.concatenate([p[k] for p in parts])
                     for k in parts[0] if k not in ("names", "done", "seconds")}  # fmt: skip
            main = (frame, void) == VARIANTS[0]
            found = ls.summary(stack, groups(dataset, names), size, limits=limits, draws=DRAWS, seed=SEED, whole=main)
            if main:
                single = (image_rows(stack, names, limits), class_rows(stack, opened[0].classes, limits))
                found = pd.concat([found, *single], ignore_index=True)
            rows.append(found.assign(frame=frame, void=void))
    table = pd.concat(rows, ignore_index=True).assign(dataset=dataset, split="+".join(s.split for s in opened))
    first = ["dataset", "split", "name", "frame", "void", "boundary", "nu", "nu_max", "lrg_size", "metric", "value"]
    table = table[[*first, "low", "high", "spread", "n"]]
    return table, probe(dataset, items), seconds, opened


def image_rows(stack: dict[str, np.ndarray], names: list[str], limits: list[int]) -> pd.DataFrame:
    """Return the rows of three single images (first, middle, last), by which a reader with the data checks a record."""
    rows = []
    for k in sorted({0, len(names) // 2, len(names) - 1}):
        for b, boundary in enumerate(sp.BOUNDARIES):
            rims = stack["rims"][k, b]
            for i, nu in enumerate(limits):
                at = {"name": names[k], "boundary": boundary, "nu_max": nu, "lrg_size": sp.lrg_size(nu), "n": 1}
                rows.append({**at, "metric": "image_energy_share", "value": rims[: nu + 1].sum() / rims.sum()})
                error = float(ls.pixel_error(stack["confusion"][k, b, i]))
                rows.append({**at, "metric": "image_pixel_error", "value": error})
    return pd.DataFrame(rows)


def class_rows(stack: dict[str, np.ndarray], classes: tuple[str, ...], limits: list[int]) -> pd.DataFrame:
    """Return the IoU of each class's band-limited labels with the true ones: which classes a band limit costs."""
    rows = []
    for b, boundary in enumerate(sp.BOUNDARIES):
        for i, nu in enumerate(limits):
            iou = metrics.class_iou(torch.from_numpy(stack["confusion"][:, b, i].sum(0)))
            at = {"boundary": boundary, "nu_max": nu, "lrg_size": sp.lrg_size(nu), "metric": "class_iou"}
            rows += [{**at, "name": c, "value": float(x), "n": len(stack["rims"])} for c, x in
                     zip(classes, iou, strict=True) if x == x]  # fmt: skip
    return pd.DataFrame(rows)


def probe(dataset: str, items: list[tuple]) -> dict[str, np.ndarray]:
    """Return a small piece of a label map that may be passed on (CC0) with what was computed from it, else nothing."""
    if dataset != "dubai":
        return {}
    _, source, index = items[0]
    label = transforms.frame_label(source.label(index), 513)[192:257, 192:257]
    found = ls.analyse(label, source.num_classes, limits=(32, 24, 16, 8))
    return {"label": label.astype(np.uint8), "limits": np.array([32, 24, 16, 8]),
            "classes": np.array(source.num_classes), **found}  # fmt: skip


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the probe; the rows of the three single images; of the smallest real set all rows. All in float64."""
    settings, rows, kept = record.meta["settings"], record.rows, record.probe()
    dataset, size = settings["dataset"], settings["size"]
    if kept:
        limits = [int(nu) for nu in kept["limits"]]
        found = ls.analyse(kept["label"], int(kept["classes"]), limits=limits)
        worst = max(renewal.deviation(value, kept[key]) for key, value in found.items())
        yield renewal.Check("the probe's piece of a label map", worst, renewal.ROUNDING)
    profile = config.profile(record.profile)
    opened = sources(dataset, profile)
    if dataset == "dubai" and profile.size == size:
        yield renewal.rows_again("all maps measured again", measure(dataset, profile)[0], rows)
        return
    old, limits, found = rows[rows["metric"].str.startswith("image_")], band_limits(size), []
    for name in old["name"].unique():
        source = next((s for s in opened if name in s.ids), None)
        if source is None:
            raise renewal.Unable(f"{dataset}: the label map {name} is not here")
        label = transforms.frame_label(source.label(source.ids.index(name)), size)
        one = {key: value[None] for key, value in ls.analyse(label, source.num_classes, limits=limits).items()}
        found.append(image_rows(one, [name], limits))
    shared = old[["dataset", "split", "frame", "void"]].iloc[0].to_dict()
    again = pd.concat(found).assign(**shared)
    yield renewal.rows_again(f"label maps {', '.join(old['name'].unique())}", again, old)


def main(argv: list[str] | None = None) -> Path:
    """Run one data set at one profile and write its record (smoke: under _build/, since it is a trial)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, choices=[*SPLITS, *REGIMES])
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(argv)
    profile = config.profile(args.profile)
    records.require_committed(args.allow_dirty or profile.name == "smoke")
    torch.set_num_threads(1)
    rows, arrays, seconds, opened = measure(args.dataset, profile)
    scenes = "Synthetic val scenes." if args.dataset in REGIMES else NOTES[args.dataset]
    command = f"python experiments/{EXPERIMENT}.py --dataset {args.dataset} --profile {profile.name}"
    path = records.write(
        EXPERIMENT, rows, command=command, profile=profile.name, seed=SEED,
        data=[f"{s.name}/{s.split}: {s.coverage}" for s in opened],
        settings={"dataset": args.dataset, "size": profile.size, "limits": list(ls.LIMITS), "draws": DRAWS},
        probe=arrays, notes=f"{scenes} 95 % intervals.", wall_s=seconds, device=config.device_name("cpu"),
        allow_dirty=args.allow_dirty,
        root=config.root() / "_build" / "trials" if profile.name == "smoke" else None,
    )  # fmt: skip
    print(f"{len(rows)} rows in {path}")
    return path


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, records.Uncommitted) as err:
        sys.exit(f"label_spectra: {err}")
