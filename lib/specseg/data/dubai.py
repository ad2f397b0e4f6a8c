"""Dubai land cover: colour labels, two published layouts, four folds that leave two tiles out."""

from __future__ import annotations

from pathlib import Path

from specseg.data import folders
from specseg.data.manifests import Manifest

FOLDS = ((1, 8), (2, 7), (3, 6), (4, 5))


def tile(name: str) -> int:
    """Return the tile of a part.

    >>> tile("image_part_009t4")
    4
    """
    return int(name.rsplit("t", 1)[1])


def open_split(manifest: Manifest, split: str, root: Path, fold: int = 0, **how) -> folders.FolderDataSet:
    """Return split all (72 pairs), or train (54) and val (18) of a fold 0 .. 3, whose val is two whole tiles.

    Raises ValueError for an unknown split or fold.
    """
    if split not in ("all", "train", "val") or fold not in range(len(FOLDS)):
        raise ValueError(f"dubai: split {split!r}, fold {fold!r}: expected all, train or val and a fold 0 .. 3")
    if split == "all":
        return folders.listed(manifest, split, root, **how)
    how |= {"of": ("all",), "keep": lambda name: (tile(name) in FOLDS[fold]) == (split == "val")}
    return folders.listed(manifest, f"{split} (fold {fold})", root, **how)
