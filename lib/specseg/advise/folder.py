"""Which files of a folder are label maps: found, guessed where it is obvious, listed, sampled, grouped."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

BIG, SAMPLE = 1000, 500  # a folder of more maps than BIG is sampled: SAMPLE of them
ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".npy")
LABEL_NAMES = ("labelTrainIds", "labelIds", "masks", "mask", "labels", "label", "gt", "seg")
LABEL_FOLDERS = {"masks", "mask", "labels", "label", "annotations", "annotation", "gt", "segmentationclass", "seg"}
OTHER_FOLDERS = {
    "images", "image", "imgs", "img", "pictures", "photos", "rgb", "jpegimages", "leftimg8bit", "segmentationobject",
    "instances",
}  # fmt: skip
REASONS = {
    ".zip": "unpack the archive first and give the folder that it makes",
    ".jpg": "JPEG is lossy and cannot hold labels: export them as PNG (or --pattern '*.jpg' for how to convert them)",
    ".parquet": "parquet needs a reader of 40 MB that is no dependency; write the maps as files first: for k, row in "
    "enumerate(datasets.load_dataset(...)): row['label'].save(f'{k}.png')",
}
REASONS[".jpeg"] = REASONS[".jpg"].replace(".jpg", ".jpeg")


@dataclass(frozen=True)
class Item:
    """One label map: its name (path below the folder, without the ending), its file, the file's state, and which part.

    `part`: place of the picture in a file of several. `window`: (height, width, top, left), the map's size in which
    its frame is cut and where; () for the evaluation's frame. `tile`: which of several frames of a map; -1 for one.
    """

    name: str
    path: Path
    state: tuple[int, ...]  # bytes and time of change: a file that changed is measured again
    part: int = -1
    window: tuple[int, ...] = ()
    tile: int = -1

    @property
    def key(self) -> tuple[int, ...]:
        """What decides the frame's numbers: the file's state and the window."""
        return (*self.state, *self.window)

    @property
    def map(self) -> str:
        """The name of the map that a tile is cut from."""
        return self.name if self.tile < 0 else self.name.rpartition("#")[0]


def find(folder: Path, pattern: str | None = None, only: Sequence[str] | None = None) -> tuple[list[Item], list[str]]:
    """Return the label maps of a folder in the order of their names, and what was decided, in sentences.

    `pattern` as in a shell, "**/" for any folders; without it all lossless pictures, or those that the names single
    out. `only`: these names. Linked folders are followed. Raises FileNotFoundError that says what is there instead.
    """
    if folder.is_file() and folder.suffix.lower() in REASONS:
        raise FileNotFoundError(f"{folder}: {REASONS[folder.suffix.lower()]}")
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a folder of label maps (PNG)")
    every, notes = dict(files_below(folder)), []
    if pattern is not None:
        names = list(filter(_shape(pattern).fullmatch, every))
    else:
        names = [name for name in every if PurePosixPath(name).suffix.lower() in ENDINGS]
        names, notes = _guessed(names) if only is None else (names, [])
        names = names or [name for name in every if name.lower().endswith(".json")]
    if not names:
        raise FileNotFoundError(f"{folder}: {_nothing(every, pattern)}")
    items = []
    for name in sorted(names):
        state, shown = every[name].stat(), os.fsencode(name).decode("utf-8", "backslashreplace")
        short = PurePosixPath(shown).with_suffix("").as_posix()
        items.append(Item(short, every[name], (state.st_size, state.st_mtime_ns)))
    count = Counter(item.name for item in items)
    items = [replace(i, name=i.name + i.path.suffix) if count[i.name] > 1 else i for i in items]
    return items if only is None else _listed(items, only, folder), notes


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield all files below a folder by their path inside it; a linked folder once, links in a circle not again."""
    seen = set()
    for where, inner, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(where)) in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _shape(pattern: str) -> re.Pattern:
    """Return a shell pattern as an expression. Raises ValueError for one that leaves the folder.

    >>> [bool(_shape(p).fullmatch("a/b.png")) for p in ("**/*.png", "*.png", "a/?.png")]
    [True, False, True]
    """
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ValueError(f"--pattern {pattern!r}: expected a pattern inside the folder, for example '**/*_mask.png'")
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    as_expression = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(as_expression.get(part, re.escape(part)) for part in parts))


def fitting(folder: Path, pattern: str) -> str | None:
    """Return the pattern if files of the folder match it, else None."""
    return pattern if any(map(_shape(pattern).fullmatch, dict(files_below(folder)))) else None


def _guessed(names: list[str]) -> tuple[list[str], list[str]]:
    """Return the files that names single out as labels beside others, and the sentence that says so."""
    above = {name: {part.lower() for part in PurePosixPath(name).parts[:-1]} for name in names}
    others, notes = [name for name in names if above[name] & OTHER_FOLDERS], []
    if others and len(others) < len(names) and any(folders & LABEL_FOLDERS for folders in above.values()):
        names = [name for name in names if not above[name] & OTHER_FOLDERS]
        notes.append(f"{len(others)} files in folders of pictures or instances ({others[0]} ...) are taken for no "
                     f"labels; --pattern says otherwise.")  # fmt: skip
    for word in LABEL_NAMES:
        end = re.compile(rf"(^|.*[_\-.]){word}", re.IGNORECASE)
        own = [name for name in names if end.fullmatch(PurePosixPath(name).stem)]
        if own and len(own) < len(names):
            first = PurePosixPath(own[0])
            notes.append(f"{len(own)} of {len(names)} files are taken, *{first.stem[-len(word) - 1 :]}{first.suffix}: "
                         f"their names say that they are the labels; --pattern says otherwise.")  # fmt: skip
            return own, notes
    return names, notes


def partner(folder: Path, item: Item, endings: Sequence[str]) -> Path | None:
    """Return the file that goes with a map: the same path below `folder` or the same name at its top, with one of these
    endings, else without the map's "_mask", "_gt" ...; None where there is none."""
    names = [item.map, PurePosixPath(item.map).name]
    names += [name[: -len(end) - 1] for name in names for end in LABEL_NAMES if name.lower().endswith(end.lower())]
    paths = (folder / f"{name}{ending}" for name in names for ending in endings)
    return next((path for path in paths if path != item.path and path.is_file()), None)


def _nothing(every: dict[str, Path], pattern: str | None) -> str:
    kinds = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in every)
    there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4)) or "the folder is empty"
    why = next((f". {REASONS[kind]}" for kind, _ in kinds.most_common() if kind in REASONS and not pattern), "")
    wanted = f"no file matches {pattern!r}" if pattern else f"no label maps ({', '.join(ENDINGS)})"
    return f"{wanted}; there is: {there}{why or '; expected label maps (PNG)'}"


def read_list(path: Path) -> list[str]:
    """Return the names in a list, one a line; without a byte order mark or the " 1" of a class's list.

    Raises FileNotFoundError where there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected names of label maps, one a line")
    text = path.read_bytes()
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = text.decode("latin-1").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    marked = [re.fullmatch(r"(.*?)\s+(-?1|0)", line) for line in lines]
    return [found[1] for found in marked if found[2] == "1"] if all(marked) else lines


def _listed(items: Sequence[Item], only: Sequence[str], folder: Path) -> list[Item]:
    known: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for name in (item.name, PurePosixPath(item.name).name, f"{item.name}{item.path.suffix}", item.path.name):
            known[name].add(item.name)
    if not only:
        raise FileNotFoundError(f"{folder}: no name is listed")
    if missing := [name for name in only if name not in known]:
        there = f"the folder has {items[0].name!r} and {len(items) - 1} more"
        first = f"{len(missing)} of {len(only)} listed names are missing, the first {missing[0]!r}"
        raise FileNotFoundError(f"{folder}: {first}; {there}")
    chosen = set()
    for name in only:
        here = known[name] if len(known[name]) == 1 else known[name] & {name}
        if not here:
            several = " and ".join(sorted(known[name])[:3])
            raise ValueError(f"{folder}: the listed name {name!r} stands for {several}; list them with their folders")
        chosen |= here
    return [item for item in items if item.name in chosen]


def choose(items: Sequence, sample: int | str | None, seed: int) -> list:
    """Return the maps to measure: all, or a sample without replacement drawn by `seed`, in the folder's order.

    `sample`: "all", at most how many, or None: all up to BIG, else SAMPLE.

    >>> choose(list("abc"), 2, 0) == choose(list("abc"), 2, 0), choose(list("abc"), None, 0)
    (True, ['a', 'b', 'c'])
    """
    import numpy as np

    count = len(items)
    wanted = {"all": count, None: count if count <= BIG else SAMPLE}.get(sample, sample)
    if wanted >= count:
        return list(items)
    picked = np.random.default_rng(seed).choice(count, wanted, replace=False)
    return [items[k] for k in sorted(picked)]


def group_of(name: str, pattern: str) -> str:
    """Return which maps stay together in the bootstrap: the text that `pattern` finds in the name (its first group).

    >>> group_of("image_part_001t4", r"t(\\d)$"), group_of("a", "")
    ('4', 'a')
    """
    found = re.search(pattern, name) if pattern else None
    return found[min(found.re.groups, 1)] if found else name
