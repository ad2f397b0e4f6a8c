"""Coarse labels of whole label sets: blocks, polygons with as many values, and where in frequency blocks are wrong.

Command   python experiments/coarse_labels.py --dataset voc2012 --profile standard
Data      voc2012 (1,449 val label maps), camvid, dubai under SPECSEG_DATA; no network, no pictures
Minutes   one core: voc2012 about 4, camvid 3, dubai 1
Expect    blocks of nu_max = 32 agree with the true labels by 0.7 to 0.97 of the union; most of the blocks' error lies
          above nu_max; 7 rows
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from specseg.data import coarse_labels as study
from specseg.data import datasets, transforms
from specseg.data.domains import domain
from specseg.evidence import config, records, renewal
from specseg.evidence import statistics as scores

EXPERIMENT = "coarse_labels"
SPLITS = {"voc2012": ("val",), "camvid": ("train", "val"), "dubai": ("all",)}
NU_MAX = (32,)  # the limit at which the paper calls the labels coarse contours


def cluster(dataset: str, name: str) -> str:
    """Return what the bootstrap keeps together: a tile (dubai), the ten seconds of a drive (camvid), else the map."""
    return name if dataset == "voc2012" else domain(dataset).cluster(name)


def measure(dataset: str, size: int, images: int) -> tuple[dict[str, np.ndarray], list[str], int, list]:
    """Return per-map numbers (limits, maps, ...), the maps' names, the class count and the sources.

    Raises FileNotFoundError naming the command that gets the data.
    """
    try:
        opened = [datasets.open(dataset, s, partial=dataset == "camvid", need="label") for s in SPLITS[dataset]]
    except FileNotFoundError as err:
        fetch = f"get the data with `specseg data fetch {dataset}` or point SPECSEG_DATA at the folder that holds them"
        raise FileNotFoundError(f"{dataset}: {err}\n{fetch}; nothing was found in {config.data_root()}") from None
    found, names = [], []
    for source, k in [(s, k) for s in opened for k in range(len(s))][: images or None]:
        label = transforms.frame_label(source.label(k), size)
        got = [study.measure(label, source.num_classes, nu) for nu in NU_MAX]
        if got[0] is not None:
            found.append(got)
            names.append(source.ids[k])
    keys = ("counts", "error", "truth")
    stacked = {key: np.stack([np.stack([m[key] for m in row]) for row in found], 1) for key in keys}
    return stacked, names, opened[0].num_classes, opened


def rows(parts: dict[str, np.ndarray], clusters: list[str]) -> pd.DataFrame:
    """Return tidy rows: mIoU of each kind and the error's share above nu_max, with 95 % intervals over clusters."""
    draws, out = scores.weights(clusters), []
    for j, nu in enumerate(NU_MAX):
        shared = {"nu_max": nu, "n": len(clusters), "unit": "1"}
        for k, kind in enumerate(study.KINDS):
            counts = parts["counts"][j, :, k]
            drawn = scores.miou(scores.pooled(counts, draws))
            out.append({**shared, "metric": "miou", "kind": kind, **_both(scores.miou(scores.pooled(counts)), drawn)})
        labelled = parts["counts"][j, :, 0, :, 1].sum(0)  # a map of the commonest class alone: no contour at all
        none = float(labelled.max() / labelled.sum() / (labelled > 0).sum())
        out.append({**shared, "metric": "miou", "kind": "no contour", "value": none})
        for kind in ("error", "truth"):
            total, beyond = parts[kind][j].T
            drawn = (draws @ beyond) / (draws @ total)
            out.append({**shared, "metric": "power_beyond", "kind": kind, **_both(beyond.sum() / total.sum(), drawn)})
    return pd.DataFrame(out)


def _both(value: float, drawn: np.ndarray) -> dict[str, float]:
    low, high = scores.interval(drawn)
    return {"value": float(value), "low": min(low, float(value)), "high": max(high, float(value))}


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows of the smallest set, measured again (float64; the larger sets have it for a sister)."""
    dataset, size = record.meta["settings"]["dataset"], record.meta["settings"]["size"]
    if dataset != "dubai":
        raise renewal.Unable(f"{dataset}: measuring it again takes minutes")
    parts, names, _, _ = measure(dataset, size, 0)
    again = rows(parts, [cluster(dataset, name) for name in names]).assign(dataset=dataset)
    yield renewal.rows_again("all maps measured again", again, record.rows)


def main(argv: list[str] | None = None) -> Path:
    """Measure one label set at one profile and write its record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, choices=list(SPLITS))
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(argv)
    profile, start = config.profile(args.profile), time.monotonic()
    records.require_committed(args.allow_dirty or profile.name == "smoke")
    most = profile.images if args.profile == "smoke" else 0
    parts, names, classes, opened = measure(args.dataset, profile.size, most)
    clusters = [cluster(args.dataset, name) for name in names]
    path = records.write(
        EXPERIMENT, rows(parts, clusters).assign(dataset=args.dataset),
        command=f"python experiments/{EXPERIMENT}.py --dataset {args.dataset} --profile {profile.name}",
        profile=profile.name, data=[f"{s.name}/{s.split}: {s.coverage}" for s in opened],
        settings={"dataset": args.dataset, "size": profile.size, "classes": classes, "maps": len(names)},
        wall_s=time.monotonic() - start, device=config.device_name("cpu"),
        allow_dirty=args.allow_dirty,
        root=config.root() / "_build" / "trials" if profile.name == "smoke" else None,
    )  # fmt: skip
    print(f"{len(names)} maps in {path}")
    return path


if __name__ == "__main__":
    try:
        main()
    except (FileNotFoundError, records.Uncommitted) as err:
        sys.exit(f"{EXPERIMENT}: {err}")
