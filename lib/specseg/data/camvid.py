"""CamVid with SegNet's 11 classes: SegNet's split, and folds that leave one drive out."""

from __future__ import annotations

from pathlib import Path

from specseg.data import folders
from specseg.data.manifests import Manifest
from specseg.data.manifests.verify import find_file, listed_ids, present_ids

FOLDS = ("0001TP", "0006R0", "0016E5")


def drive(name: str) -> str:
    """Return the drive that a frame belongs to.

    >>> drive("0016E5_07959")
    '0016E5'
    """
    return name.split("_")[0]


class Fold(folders.FolderDataSet):
    """Frames of SegNet's train and val, dealt out by drive; a frame lies in the folder of its own SegNet split."""

    def paths(self, index: int) -> tuple[Path, Path]:
        name = self.ids[index]
        for folder in ("train", "val"):
            label = find_file(self.manifest, self.root, f"{folder}annot/{name}.png")
            if label:
                return self._path(f"{folder}/{name}.png"), label
        return self._path(f"train/{name}.png"), self._path(f"trainannot/{name}.png")


def open_split(
    manifest: Manifest, split: str, root: Path, fold: str | None = None, partial: bool = False, need: str = "both"
) -> folders.FolderDataSet:
    """Return SegNet's train, val or test; or, with `fold` (a drive), train = the other drives and val = that drive.

    Raises ValueError for an unknown split or fold, FileNotFoundError as the other sets do.
    """
    if fold is None:
        return folders.open_split(manifest, manifest.split(split), root, partial=partial, need=need)
    if fold not in FOLDS or split not in ("train", "val"):
        raise ValueError(f"camvid: fold {fold!r}, split {split!r}: expected one of {', '.join(FOLDS)} and train or val")
    every, there = [], []
    for part in (manifest.split("train"), manifest.split("val")):
        names = [i for i in listed_ids(manifest, root, part) if (drive(i) == fold) == (split == "val")]
        every += names
        there += present_ids(manifest, root, part, need, names)
    if not every:
        raise FileNotFoundError(f"camvid: no train.txt and val.txt below {root}; run `specseg data verify camvid`")
    if len(there) < len(every) and not partial:
        raise folders.missing(manifest, f"{split} (fold {fold})", every, set(there))
    return Fold(manifest, f"{split} (fold {fold})", there, len(every), root, ("train/{id}.png", "trainannot/{id}.png"))
