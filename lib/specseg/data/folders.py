"""Data sets on disk: names from lists, files through the manifest, labels through its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from specseg.data import _files
from specseg.data.manifests import Manifest, Split
from specseg.data.manifests.verify import find_file, listed_ids, present_ids, read_classes
from specseg.data.samples import DataSet

NEEDS = ("both", "label")
Part = tuple[Manifest, Split, Sequence[str]]


class FolderDataSet(DataSet):
    """A split of a set on disk. `homes` gives each name the manifest and the split that know its files.

    It can be pickled, so that workers can be started on every platform.
    """

    def __init__(
        self, manifest: Manifest, split: str, homes: dict[str, tuple[Manifest, Split]], listed: int, root: Path
    ) -> None:
        super().__init__(manifest.name, split, list(homes), listed, manifest.labels.names, manifest.labels.palette)
        self.root, self._homes = root, homes

    def paths(self, index: int) -> tuple[Path, Path]:
        """Where image and label number `index` lie (or would lie)."""
        name = self.ids[index]
        manifest, split = self._homes[name]
        inside = [template.format(id=name) for template in (split.image, split.label)]
        home = self.root / manifest.prefixes[0]
        image, label = (find_file(manifest, self.root, path) or home / path for path in inside)
        return image, label

    def _read(self, what: str, index: int) -> np.ndarray:
        image, label = self.paths(index)
        if what == "image":
            return _files.read_image(image)
        return read_classes(label, self._homes[self.ids[index]][0]).astype(np.int64)


def joined(manifest: Manifest, name: str, root: Path, parts: Sequence[Part], *, partial: bool = False,
           need: str = "both", order: Callable[[Iterable[str]], Iterable[str]] = list) -> FolderDataSet:  # fmt: skip
    """Return the names of several splits as one, restricted to those present when `partial`.

    Raises FileNotFoundError that names the first missing file and says how many names are present, and ValueError for
    an empty split or an unknown `need`.
    """
    if need not in NEEDS:
        raise ValueError(f"{manifest.name}: need={need!r}: expected one of {', '.join(NEEDS)}")
    every = list(order(i for *_, ids in parts for i in ids))
    if not every:
        where = parts[0][1].list or manifest.prefixes[0]
        raise FileNotFoundError(
            f"{manifest.name}: split '{name}': nothing at {where} below {root}; "
            f"run `specseg data verify {manifest.name}`"
        )
    there = {i: (known, split) for known, split, ids in parts for i in present_ids(known, root, split, need, ids)}
    homes = {i: there[i] for i in every if i in there}
    if len(homes) < len(every) and not partial:
        first = next(i for i in every if i not in homes)
        raise FileNotFoundError(
            f"{manifest.name}: split '{name}': {len(homes)} of {len(every)} names are present; image "
            f"or label of '{first}' is missing; partial=True uses those that are present"
        )
    return FolderDataSet(manifest, name, homes, len(every), root)


def listed(
    manifest: Manifest, split: str, root: Path, of: Sequence[str] = (), keep: Callable[[str], bool] = bool, **how
) -> FolderDataSet:
    """Return a split of the manifest as it stands, or under the name `split` what is to `keep` of some splits."""
    known = [manifest.split(name) for name in of or (split,)]
    parts = [(manifest, part, list(filter(keep, listed_ids(manifest, root, part)))) for part in known]
    return joined(manifest, split, root, parts, **how)
