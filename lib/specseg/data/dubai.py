"""Dubai land cover: colour labels, two published layouts, four folds that leave two tiles out."""

from __future__ import annotations

from pathlib import Path

from specseg.data import folders
from specseg.data.manifests import Manifest
from specseg.data.manifests.verify import listed_ids

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
    part = manifest.split("all")
    every = listed_ids(manifest, root, part)
    chosen = [i for i in every if split == "all" or (tile(i) in FOLDS[fold]) == (split == "val")]
    title = split if split == "all" else f"{split} (fold {fold})"
    return folders.joined(manifest, title, root, [(manifest, part, chosen)], **how)
