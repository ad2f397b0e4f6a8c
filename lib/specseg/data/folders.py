"""Data sets on disk: names from lists, files through the manifest, labels through its table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from specseg.data import _files
from specseg.data.manifests import Manifest, Split, encoding
from specseg.data.manifests.verify import find_file, listed_ids, present_ids
from specseg.data.samples import DataSet

NEEDS = ("both", "label")


class FolderDataSet(DataSet):
    """A split of a set on disk. `templates` are the image's and the label's path inside the set, with {id}.

    It can be pickled, so that workers can be started on every platform.
    """

    def __init__(
        self,
        manifest: Manifest,
        split: str,
        ids: Sequence[str],
        listed: int,
        root: Path,
        templates: tuple[str, str],
    ) -> None:
        super().__init__(manifest.name, split, list(ids), listed, manifest.labels.names, manifest.labels.palette)
        self.manifest, self.root, self._templates = manifest, root, templates

    def paths(self, index: int) -> tuple[Path, Path]:
        """Where image and label number `index` lie (or would lie)."""
        image, label = (template.format(id=self.ids[index]) for template in self._templates)
        return self._path(image), self._path(label)

    def image(self, index: int) -> np.ndarray:
        return _files.read_image(self.paths(index)[0])

    def label(self, index: int) -> np.ndarray:
        return self.classes_map(index).astype(np.int64)

    def classes_map(self, index: int) -> np.ndarray:
        """Label map number `index` as uint8 (H, W): the same numbers as `label` in an eighth of the memory."""
        path = self.paths(index)[1]
        return encoding.decode(self._stored(path), self.manifest.labels, self.manifest.table, str(path))

    def _stored(self, path: Path) -> np.ndarray:
        if path.suffix == ".mat":
            return _files.read_mat(path)
        return (_files.read_colors if self.manifest.labels.encoding == "color" else _files.read_numbers)(path)

    def _path(self, inside: str) -> Path:
        found = find_file(self.manifest, self.root, inside)
        return found or self.root / self.manifest.prefixes[0] / inside


def open_split(
    manifest: Manifest,
    split: Split,
    root: Path,
    *,
    partial: bool = False,
    need: str = "both",
    ids: Sequence[str] | None = None,
    name: str | None = None,
) -> FolderDataSet:
    """Return a split: the names of its list, or `ids`, restricted to those present when `partial`.

    Raises FileNotFoundError that names the first missing file and says how many names are present, and ValueError for
    an empty split or an unknown `need`.
    """
    if need not in NEEDS:
        raise ValueError(f"{manifest.name}: need={need!r}: expected one of {', '.join(NEEDS)}")
    every = list(ids) if ids is not None else listed_ids(manifest, root, split)
    if not every:
        where = split.list or manifest.prefixes[0]
        raise FileNotFoundError(
            f"{manifest.name}: split '{split.name}': nothing at {where} below {root}; "
            f"run `specseg data verify {manifest.name}`"
        )
    there = set(present_ids(manifest, root, split, need, every))
    if len(there) < len(every) and not partial:
        raise missing(manifest, name or split.name, every, there)
    chosen = [i for i in every if i in there]
    return FolderDataSet(manifest, name or split.name, chosen, len(every), root, (split.image, split.label))


def listed(manifest: Manifest, split: str, root: Path, **how) -> FolderDataSet:
    """Return a split of the manifest as it stands."""
    return open_split(manifest, manifest.split(split), root, **how)


def missing(manifest: Manifest, split: str, every: Sequence[str], there: set[str]) -> FileNotFoundError:
    """Return the error for a split of which only some names are present: it names the first one that is not."""
    first = next(i for i in every if i not in there)
    return FileNotFoundError(
        f"{manifest.name}: split '{split}': {len(there)} of {len(every)} names are present; image "
        f"or label of '{first}' is missing; partial=True uses those that are present"
    )
