"""What a set of label maps is like: contour, classes, void, and how much of it lies above each band limit.

All in the evaluation's frame (short side to s, centre crop). A contour is measured after void took its nearest label:
PASCAL's void band covers every contour, and would hide it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch

from specseg.data import label_spectra, manifests, synthetic, transforms
from specseg.data.datasets import VOID, DataSet
from specseg.evidence import statistics
from specseg.spectral import labels as annotation

LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
LIMITS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)


def measure(label: np.ndarray, num_classes: int) -> dict[str, np.ndarray | float] | None:
    """Return what one square label map (s, s) is like; None when every pixel is void.

    `contour`: length of all contours in frame sides (Crofton, void filled, each contour once). `classes`: how many
    occur. `void`: share of void pixels. `shares` (C,): each class's share of all pixels. `tail`: share of the label
    planes' energy above each nu_max of LIMITS that the frame holds (mirrored; the planes' whole energy is 1).

    >>> half = np.zeros((64, 64), np.int64); half[:, 32:] = 1
    >>> out = measure(half, 2); round(out["contour"], 2), out["classes"], float(out["void"])
    (0.94, 2, 0.0)
    """
    counts = np.bincount(label.ravel(), minlength=256)
    if counts[VOID] == label.size:
        return None
    filled = annotation.fill_void(torch.from_numpy(label))
    size = label.shape[0]
    contour = float(annotation.perimeter(filled, num_classes).sum()) / 2 / size
    present = torch.unique(filled).tolist()
    planes = torch.stack([(filled == c).double() for c in present])
    rims = label_spectra.rim_power(planes, boundary="mirrored").numpy()
    limits = [nu for nu in LIMITS if nu <= size // 2]
    tail = np.maximum(rims.sum() - np.cumsum(rims)[limits], 0.0) / rims.sum()
    return {
        "contour": contour,
        "classes": len(present),
        "void": counts[VOID] / label.size,
        "shares": counts[:num_classes] / label.size,
        "tail": tail,
    }


def rows(
    labels: Iterable[np.ndarray],
    classes: Sequence[str],
    size: int,
    groups: Sequence,
    *,
    draws: int = 1000,
    seed: int = 0,
    advance: Callable[[int], object] = lambda n: None,
) -> pd.DataFrame:
    """Return the tidy rows of a set: means with 95 % intervals (bootstrap over `groups`), and quantiles of the contour.

    `labels` are framed maps (size, size); `groups` says which belong together (a drive, a tile), one entry a label.
    Raises ValueError when no label has a pixel that is not void.
    """
    found, kept = [], []
    for label, group in zip(labels, groups, strict=True):
        one = measure(label, len(classes))
        if one is not None:
            found.append(one)
            kept.append(group)
        advance(1)
    if not found:
        raise ValueError("no label map has a pixel that is not void")
    weights = statistics.resampled(kept, draws, seed)
    table = []

    def add(metric: str, values: np.ndarray, **where) -> None:
        found = statistics.estimate(values.mean(), weights @ values / weights.sum(1))
        table.append({"metric": metric, **where, **found, "n": len(values)})

    contour = np.array([f["contour"] for f in found])
    add("contour", contour)
    for metric in ("classes", "void"):
        add(metric, np.array([float(f[metric]) for f in found]))
    for level in LEVELS:
        value = np.quantile(contour, level)
        table.append({"metric": "contour_quantile", "level": level, "value": value, "n": len(contour)})
    for k, name in enumerate(classes):
        add("share", np.array([f["shares"][k] for f in found]), name=name)
    for k, nu in enumerate([nu for nu in LIMITS if nu <= size // 2]):
        add("tail", np.array([f["tail"][k] for f in found]), nu_max=nu)
    columns = ["metric", "name", "nu_max", "level", "value", "low", "high", "n"]
    return pd.DataFrame(table).reindex(columns=columns)


def framed(sources: Sequence[DataSet], size: int) -> Iterable[np.ndarray]:
    """Yield every label of some splits in the evaluation's frame."""
    for source in sources:
        for index in range(len(source)):
            yield transforms.frame_label(source.label(index), size)


def scenes(regime: str, seeds: Iterable[int], size: int, dose: float = 1.0) -> Iterable[np.ndarray]:
    """Yield the labels of synthetic scenes."""
    for seed in seeds:
        yield synthetic.scene(regime, seed, size, dose=dose).label


def synthetic_rows(regime: str, count: int, size: int, **options) -> pd.DataFrame:
    """Return the rows of the first `count` val scenes of a regime."""
    seeds = range(synthetic.SPLIT_SEEDS["val"], synthetic.SPLIT_SEEDS["val"] + count)
    classes = synthetic.CLASSES[regime]
    table = rows(scenes(regime, seeds, size), classes, size, list(seeds), **options)
    return table.assign(dataset=regime, split="val")


def dose_rows(regime: str, count: int, size: int, doses: Sequence[float] = synthetic.DOSES) -> pd.DataFrame:
    """Return mean contour and tails of a regime's scenes at each dose: the same seeds at every dose."""
    parts = []
    for dose in doses:
        table = rows(scenes(regime, range(count), size, dose), synthetic.CLASSES[regime], size, range(count))
        parts.append(table[table["metric"].isin(["contour", "tail"])].assign(dose=dose))
    out = pd.concat(parts, ignore_index=True).assign(dataset=regime, split="dosed")
    return out.replace({"metric": {"contour": "dose_contour", "tail": "dose_tail"}})


def counts() -> pd.DataFrame:
    """Return A.9's counts beside ours, one a row: dataset, what, paper, here (from the manifests alone).

    >>> counts().query("dataset == 'deepglobe'")["here"].tolist()
    [7, 803, 701, 102]
    """
    table = []
    for manifest in map(manifests.load, manifests.names()):
        numbered = [s for s in manifest.splits if s.paper_count]
        if numbered:
            table.append((manifest.name, "categories", manifest.labels.paper_classes, len(manifest.labels.names)))
        table += [(manifest.name, f"{s.name} images", s.paper_count, s.count) for s in numbered]
    return pd.DataFrame(table, columns=["dataset", "what", "paper", "here"])


def bracket(
    table: pd.DataFrame, real: Sequence[str] = ("voc2012", "camvid", "dubai"), limits: tuple[int, int] = (8, 64)
) -> pd.DataFrame:
    """Return for each real set and band limit its tail and the smallest and largest tail of the dosed scenes.

    `table` is what `rows` and `dose_rows` give. Columns: dataset, nu_max, value, smallest, largest, inside.
    """
    dosed = table[table["metric"] == "dose_tail"].groupby("nu_max")["value"].agg(["min", "max"])
    own = table[(table["metric"] == "tail") & table["dataset"].isin(real) & table["nu_max"].between(*limits)]
    out = own[["dataset", "nu_max", "value"]].merge(dosed, left_on="nu_max", right_index=True)
    out = out.rename(columns={"min": "smallest", "max": "largest"})
    return out.assign(inside=out["value"].between(out["smallest"], out["largest"]))
