"""CamVid with SegNet's 11 classes: SegNet's split, and folds that leave one drive out."""

from __future__ import annotations

from pathlib import Path

from specseg.data import folders
from specseg.data.manifests import Manifest

FOLDS = ("0001TP", "0006R0", "0016E5")


def drive(name: str) -> str:
    """Return the drive that a frame belongs to.

    >>> drive("0016E5_07959")
    '0016E5'
    """
    return name.split("_")[0]


def open_split(manifest: Manifest, split: str, root: Path, fold: str | None = None, **how) -> folders.FolderDataSet:
    """Return SegNet's train, val or test; or, with `fold` (a drive), train = the other drives and val = that drive.

    A frame lies in the folder of its own SegNet split. Raises ValueError for an unknown split or fold,
    FileNotFoundError as the other sets do.
    """
    if fold is None:
        return folders.listed(manifest, split, root, **how)
    if fold not in FOLDS or split not in ("train", "val"):
        raise ValueError(f"camvid: fold {fold!r}, split {split!r}: expected one of {', '.join(FOLDS)} and train or val")
    how |= {"of": ("train", "val"), "keep": lambda name: (drive(name) == fold) == (split == "val")}
    return folders.listed(manifest, f"{split} (fold {fold})", root, **how)
