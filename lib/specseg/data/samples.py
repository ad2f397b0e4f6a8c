"""What every data set gives: `Sample(image, label, name)` with the same label convention, one by one.

Labels are int64, 0 .. C-1, and 255 where the annotation says nothing (void). Images are uint8, (H, W, 3), RGB, upright.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

VOID = 255


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with its annotation: `image` uint8 (H, W, 3), `label` int64 (H, W) of 0 .. C-1 or 255, and its name.

    Raises ValueError that names the sample when a shape or a type differs.

    >>> Sample(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.int64), "a").label.shape
    (2, 3)
    """

    image: np.ndarray
    label: np.ndarray
    name: str

    def __post_init__(self) -> None:
        image, label = self.image, self.label
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{self.name}: image is {image.dtype} {image.shape}; expected uint8 (H, W, 3)")
        if label.dtype != np.int64 or label.ndim != 2:
            raise ValueError(f"{self.name}: label is {label.dtype} {label.shape}; expected int64 (H, W)")
        if image.shape[:2] != label.shape:
            raise ValueError(f"{self.name}: image is {image.shape[:2]} but label is {label.shape}; they must be equal")


class DataSet:
    """A split of a data set: a sequence of samples that knows its classes and how much of its list is present.

    `ids` are the names that are present, in the list's order; `listed` is the length of the whole list. A set
    gives `_read("image", index)`, uint8 (H, W, 3), and `_read("label", index)`, int64 (H, W).
    """

    def __init__(self, name: str, split: str, ids: list[str] | tuple[str, ...], listed: int, classes, palette) -> None:
        self.name, self.split, self.ids, self.listed = name, split, tuple(ids), listed
        self.classes: tuple[str, ...] = tuple(classes)
        self.palette = np.asarray(palette, dtype=np.uint8)
        if not self.ids:
            raise ValueError(f"{name}: split '{split}' is empty: none of its {listed} listed names is present")

    @property
    def num_classes(self) -> int:
        """Number of classes C, void not counted."""
        return len(self.classes)

    @property
    def coverage(self) -> str:
        """How many of the list are present, in words, e.g. "437 of 1464"."""
        return f"{len(self.ids)} of {self.listed}"

    def image(self, index: int) -> np.ndarray:
        """Image number `index`: uint8 (H, W, 3)."""
        return self._read("image", index)

    def label(self, index: int) -> np.ndarray:
        """Label map number `index`: int64 (H, W), 0 .. C-1, 255 void."""
        return self._read("label", index)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}/{self.split}: index {index} outside 0 .. {len(self) - 1}")
        return self._sample(index % len(self))

    def _sample(self, index: int) -> Sample:
        return Sample(self.image(index), self.label(index), self.ids[index])

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


class Subset(DataSet):
    """Some pictures of a split, by their numbers there; `words` follow the split's name."""

    def __init__(self, inner: DataSet, rows: Iterable[int], words: str = "") -> None:
        self.inner, self.rows = inner, [int(i) for i in rows]
        split = ", ".join(filter(None, (inner.split, words)))
        ids = [inner.ids[i] for i in self.rows]
        super().__init__(inner.name, split, ids, inner.listed, inner.classes, inner.palette)

    def _read(self, what: str, index: int) -> np.ndarray:
        return getattr(self.inner, what)(self.rows[index])


class Windows(DataSet):
    """The whole square windows of a split at its stored scale, side by side from the upper left corner.

    What lies beyond the last whole window of a row or column is left out. Names are the picture's with the window's row
    and column: "part_1t3 r0c2". Raises ValueError where no picture holds a window.
    """

    def __init__(self, inner: DataSet, size: int) -> None:
        self.inner, self.size, self._last = inner, size, {}
        shapes = [inner.label(i).shape for i in range(len(inner))]
        self.places = [(i, r, c) for i, (h, w) in enumerate(shapes) for r in range(h // size) for c in range(w // size)]
        ids = [f"{inner.ids[i]} r{r}c{c}" for i, r, c in self.places]
        super().__init__(inner.name, f"{inner.split}, windows of {size}", ids, len(ids), inner.classes, inner.palette)

    def _read(self, what: str, index: int) -> np.ndarray:
        i, r, c = self.places[index]
        if self._last.get(what, (None,))[0] != i:  # windows of one picture follow each other: decode it once
            self._last[what] = (i, getattr(self.inner, what)(i))
        y, x = r * self.size, c * self.size
        return np.ascontiguousarray(self._last[what][1][y : y + self.size, x : x + self.size])


class Decoded(Subset):
    """A split whose pictures and label maps are decoded once and kept, labels as bytes: for many epochs."""

    def __init__(self, inner: DataSet) -> None:
        super().__init__(inner, range(len(inner)))
        self._kept = [(inner.image(i), inner.label(i).astype(np.uint8)) for i in range(len(inner))]

    def _read(self, what: str, index: int) -> np.ndarray:
        image, label = self._kept[index]
        return image if what == "image" else label.astype(np.int64)
