"""PASCAL VOC 2012 and its extra annotations (SBD): own reader, so that partial copies and further lists work.

torchvision's `VOCSegmentation` and `SBDataset` read the same full folders; the tests compare with them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from specseg.data import folders, manifests
from specseg.data.manifests import Manifest
from specseg.data.manifests.verify import find_file, listed_ids


def open_split(manifest: Manifest, split: str, root: Path, **how) -> folders.FolderDataSet:
    """Return a split of VOC 2012 (train, val, trainval, animals_train, animals_val, or any list in
    ImageSets/Segmentation) or of SBD (train, val, trainaug).
    """
    if manifest.name == "sbd" and split == "trainaug":
        return _trainaug(manifest, root, **how)
    own = f"ImageSets/Segmentation/{split}.txt"
    known = {part.name for part in manifest.splits}
    if split not in known and manifest.name == "voc2012" and find_file(manifest, root, own):
        further = replace(manifest.split("train"), name=split, list=own, list_sha256="")
        manifest = replace(manifest, splits=(*manifest.splits, further))
    return folders.listed(manifest, split, root, **how)


def _trainaug(sbd: Manifest, root: Path, **how) -> folders.FolderDataSet:
    """VOC's train list with VOC's labels, and all further names of SBD outside VOC's val list with SBD's labels."""
    voc = manifests.load("voc2012")
    own, held_out = (listed_ids(voc, root, voc.split(s)) for s in ("train", "val"))
    extra = [i for s in ("train", "val") for i in listed_ids(sbd, root, sbd.split(s))]
    for what, found in (("VOC's train list", own), ("VOC's val list", held_out), ("SBD's lists", extra)):
        if not found:
            raise FileNotFoundError(f"sbd: split 'trainaug' needs {what}, which is absent below {root}")
    further = list(set(extra) - set(held_out) - set(own))
    parts = [(voc, voc.split("train"), own), (sbd, sbd.split("train"), further)]
    return folders.joined(sbd, "trainaug", root, parts, order=sorted, **how)
