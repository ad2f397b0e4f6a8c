"""PASCAL VOC 2012 and its extra annotations (SBD): own reader, so that partial copies and further lists work.

torchvision's `VOCSegmentation` and `SBDataset` read the same full folders; the tests compare with them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specseg.data import _files, folders, manifests
from specseg.data.manifests import Manifest, Split, encoding
from specseg.data.manifests.verify import find_file, listed_ids, present_ids


def open_split(manifest: Manifest, split: str, root: Path, **how) -> folders.FolderDataSet:
    """Return a split of VOC 2012 (train, val, trainval, animals_train, animals_val, or any list in
    ImageSets/Segmentation) or of SBD (train, val, trainaug).
    """
    if manifest.name == "sbd" and split == "trainaug":
        return _trainaug(manifest, root, **how)
    return folders.open_split(manifest, _split(manifest, split, root), root, **how)


def _split(manifest: Manifest, split: str, root: Path) -> Split:
    """The manifest's split, else a list of that name in VOC's folder of lists."""
    try:
        return manifest.split(split)
    except ValueError:
        own = f"ImageSets/Segmentation/{split}.txt"
        if manifest.name != "voc2012" or not find_file(manifest, root, own):
            raise
        known = manifest.split("train")
        return Split(split, 1, list=own, image=known.image, label=known.label)


class TrainAug(folders.FolderDataSet):
    """VOC's train list with VOC's labels, and all further names of SBD outside VOC's val list with SBD's labels."""

    def __init__(self, sbd: Manifest, voc: Manifest, ids: list[str], listed: int, root: Path, own: set[str]) -> None:
        part = sbd.split("train")
        super().__init__(sbd, "trainaug", ids, listed, root, (part.image, part.label))
        self._voc, self._own = voc, own

    def paths(self, index: int) -> tuple[Path, Path]:
        if self.ids[index] not in self._own:
            return super().paths(index)
        home, part = self.root / self._voc.prefixes[0], self._voc.split("train")
        inside = [template.format(id=self.ids[index]) for template in (part.image, part.label)]
        image, label = (find_file(self._voc, self.root, path) or home / path for path in inside)
        return image, label

    def classes_map(self, index: int) -> np.ndarray:
        if self.ids[index] not in self._own:
            return super().classes_map(index)
        path = self.paths(index)[1]
        return encoding.decode(_files.read_numbers(path), self._voc.labels, self._voc.table, str(path))


def _trainaug(sbd: Manifest, root: Path, partial: bool = False, need: str = "both") -> TrainAug:
    voc = manifests.load("voc2012")
    own = listed_ids(voc, root, voc.split("train"))
    held_out = set(listed_ids(voc, root, voc.split("val")))
    extra = [i for s in ("train", "val") for i in listed_ids(sbd, root, sbd.split(s))]
    for what, found in (("VOC's train list", own), ("VOC's val list", held_out), ("SBD's lists", extra)):
        if not found:
            raise FileNotFoundError(f"sbd: split 'trainaug' needs {what}, which is absent below {root}")
    every = sorted(set(own) | (set(extra) - held_out))
    there = set(present_ids(voc, root, voc.split("train"), need, own))
    there |= set(present_ids(sbd, root, sbd.split("train"), need, [i for i in every if i not in set(own)]))
    if len(there) < len(every) and not partial:
        raise folders.missing(sbd, "trainaug", every, there)
    return TrainAug(sbd, voc, [i for i in every if i in there], len(every), root, set(own))
