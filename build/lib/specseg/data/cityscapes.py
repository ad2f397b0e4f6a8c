"""Cityscapes, fine annotations: labelIds mapped to the 19 classes that are scored."""

from __future__ import annotations

from pathlib import Path

from specseg.data import folders, manifests


def open_split(
    name: str,
    split: str,
    *,
    root: Path | None = None,
    partial: bool = False,
    need: str = "both",
) -> folders.FolderDataSet:
    """Return split train or val; names are city/city_sequence_frame, sorted."""
    manifest = manifests.load(name)
    return folders.open_split(manifest, manifest.split(split), root, partial=partial, need=need)
