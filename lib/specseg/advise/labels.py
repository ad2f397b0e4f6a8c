"""A folder of label maps: which files, how their stored values become classes, what is wrong with a bad one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from specseg.data import _files, manifests
from specseg.data.datasets import VOID
from specseg.data.manifests import Labels, encoding
from specseg.evidence import schema
from specseg.evidence.schema import Model, Must

MOST_UNASKED = 64  # more class numbers than this are asked about: a folder of pictures would look like 256 classes


class BadFile(ValueError):
    """A file that cannot be used; the message names it and says what was expected."""


@dataclass(frozen=True)
class Item:
    """One label map: its name (path below the folder, without the ending), its file and the file's state."""

    name: str
    path: Path
    state: tuple[int, int]  # bytes and time of change: a file that changed is measured again


def find(folder: Path, pattern: str = "**/*.png", only: Sequence[str] | None = None) -> list[Item]:
    """Return the label maps of a folder, in the order of their names; of `only` these names, where it is given.

    Raises FileNotFoundError where there are none, and where a name of `only` is missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected a folder of label maps (PNG)")
    found = sorted(p for p in folder.glob(pattern) if p.is_file() and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"{folder}: no file matches {pattern!r}; expected label maps (PNG)")
    items = []
    for path in found:
        stat = path.stat()
        name = path.relative_to(folder).with_suffix("").as_posix()
        items.append(Item(name, path, (stat.st_size, stat.st_mtime_ns)))
    return items if only is None else _listed(items, only, folder)


def logits_of(folder: Path) -> Path:
    """Return a folder of logits, or raise FileNotFoundError: before the labels are measured, not after."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected one file of logits a label")
    return folder


def _listed(items: Sequence[Item], only: Sequence[str], folder: Path) -> list[Item]:
    known = {Path(item.name).name: item for item in items} | {item.name: item for item in items}
    missing = [name for name in only if name not in known]
    if missing or not only:
        what = (
            f"{len(missing)} of {len(only)} listed names are missing, the first '{missing[0]}'" if only else "no name"
        )
        raise FileNotFoundError(f"{folder}: {what}")
    chosen = {known[name].name for name in only}
    return [item for item in items if item.name in chosen]


def choose(items: Sequence[Item], sample: int | str | None, seed: int, big: int, default: int) -> list[Item]:
    """Return the maps to measure: all, or a sample without replacement drawn by `seed`, in the folder's order.

    >>> choose(list("abc"), 2, 0, 10, 5) == choose(list("abc"), 2, 0, 10, 5), choose(list("abc"), None, 0, 10, 5)
    (True, ['a', 'b', 'c'])
    """
    count = len(items)
    wanted = count if sample == "all" else (count if count <= big else default) if sample is None else int(sample)
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
    if not found:
        return name
    return found.group(1) if found.re.groups else found.group(0)


@dataclass(frozen=True)
class Reader:
    """How stored values become classes. `labels` is None while the number of classes is still to be found."""

    labels: Labels | None
    ignore: int = VOID

    def classes(self, path: Path) -> np.ndarray:
        """Return a map as uint8 (H, W), 0 .. C-1 and 255 for void. Raises BadFile that names the file."""
        if self.labels is None:
            raise ValueError("the classes are not known yet")
        color = self.labels.encoding == "color"
        with _named(color):
            stored = _files.read_colors(path) if color else _files.read_numbers(path)
            return encoding.decode(stored, self.labels, _table(self.labels), str(path))

    def values(self, path: Path) -> np.ndarray:
        """Return how often each stored number 0 .. 255 occurs, int64 (256,). Raises BadFile that names the file."""
        with _named(color=False):
            return np.bincount(_files.read_numbers(path).ravel(), minlength=256)


@contextmanager
def _named(color: bool) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as err:
        hint = "; colour maps need --map or --manifest" if not color and "of mode" in str(err) else ""
        raise BadFile(f"{err}{hint}") from None


def value_counts(context, item: Item) -> dict[str, np.ndarray]:
    """Return how often each stored value occurs in a map; `context` holds the `reader`."""
    return {"values": context.reader.values(item.path)}


_TABLES: dict[int, tuple[Labels, np.ndarray]] = {}


def _table(labels: Labels) -> np.ndarray:
    kept = _TABLES.get(id(labels))
    if kept is None or kept[0] is not labels:
        _TABLES.clear()
        kept = _TABLES[id(labels)] = (labels, encoding.table(labels))
    return kept[1]


def numbered(count: int, ignore: int = VOID) -> Labels:
    """Return labels stored as class numbers 0 .. count - 1 beside one ignored value.

    Raises ValueError for a count outside 1 .. 254 and for an ignored value that is itself a class.

    >>> numbered(3).names
    ('class 0', 'class 1', 'class 2')
    """
    if not 1 <= count <= 254:
        raise ValueError(f"classes {count}: expected 1 .. 254")
    if ignore < count:
        raise ValueError(
            f"ignore {ignore}: lies among the classes 0 .. {count - 1}; give a map file that leaves it out"
        )
    return Labels(tuple(f"class {k}" for k in range(count)), "index", (ignore,))


def from_values(totals: np.ndarray, ignore: int) -> Labels:
    """Return the labels that a count of stored values suggests: 0 .. the largest value that is not ignored.

    An ignored value below the largest class is left out, and the classes above it keep their names.
    Raises ValueError where nothing is labelled and where there are more than MOST_UNASKED numbers.

    >>> from_values(np.bincount([0, 2, 255], minlength=256), 255).names
    ('class 0', 'class 1', 'class 2')
    """
    seen = [int(v) for v in np.flatnonzero(totals) if v != ignore]
    if not seen:
        raise ValueError(f"labels: every pixel has the ignored value {ignore}; nothing is labelled")
    if max(seen) >= MOST_UNASKED:
        raise ValueError(
            f"labels: values up to {max(seen)} are stored. If they are class numbers, give --classes {max(seen) + 1}"
            f" (and --ignore for a value that counts nowhere, {ignore} now); pictures and colours are no class numbers"
        )
    kept = [v for v in range(max(seen) + 1) if v != ignore]
    mapped = {} if ignore > max(seen) else {str(v): k for k, v in enumerate(kept)}
    return Labels(tuple(f"class {v}" for v in kept), "index", (ignore,), mapped)


def from_manifest(name: str) -> Labels:
    """Return how a known data set stores its labels. Raises ValueError that lists the known names."""
    return manifests.load(name).labels


def _code(value: Any) -> str:
    """Return a stored value as `Labels.map` has it, a number or "RRGGBB"; "" for what is neither."""
    if isinstance(value, str):
        return value.removeprefix("#").upper() if re.fullmatch("#?[0-9A-Fa-f]{6}", value) else ""
    if type(value) is int:
        return str(value) if 0 <= value <= 255 else ""
    rgb = isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 <= n <= 255 for n in value)
    return "{:02X}{:02X}{:02X}".format(*value) if rgb else ""


Color = Annotated[Any, Must('"RRGGBB" or [r, g, b]', lambda value: len(_code(value)) == 6)]
Number = Annotated[Any, Must("a whole number 0 .. 255", lambda value: type(value) is int and _code(value))]


@dataclass(frozen=True)
class Entry(Model):
    """One class of a map file: its name and its stored values, numbers or colours."""

    name: Annotated[str, Must("words", str.strip)]
    color: Color = None
    colors: tuple[Color, ...] = ()
    id: Number = None
    ids: tuple[Number, ...] = ()

    @property
    def codes(self) -> list[str]:
        return [_code(v) for v in (self.color, self.id, *self.colors, *self.ids) if v is not None]


@dataclass(frozen=True)
class MapFile(Model):
    """A map file: the classes in their order, and the stored values that count nowhere (None: 255 among numbers)."""

    classes: tuple[Entry, ...]
    ignore: tuple[Annotated[Any, Must("a number 0 .. 255 or a colour", _code)], ...] | None = None


def from_map(path: Path) -> Labels:
    """Return the labels of a small map file (TOML): `ignore = [...]` and `[[classes]]` with name and color or id.

    Colours are "RRGGBB" or [r, g, b]; a class may have several stored values (`ids`, `colors`); all classes are of one
    kind. Raises ValueError that names the file, the entry and what was expected.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such map file")
    form = schema.read(MapFile, schema.toml(path), str(path))
    names, owner = [entry.name for entry in form.classes], {}
    if not 1 <= len(names) <= 254:
        raise ValueError(f"{path}: field 'classes': expected 1 .. 254 classes; found {len(names)}")
    for k, entry in enumerate(form.classes):
        where = f"{path}: field 'classes[{k}]"
        if entry.name in names[:k]:
            raise ValueError(f"{where}.name': expected words of its own; found {entry.name!r} again")
        if not entry.codes:
            raise ValueError(f"{where}': {entry.name} has no stored value; expected color, colors, id or ids")
        if taken := owner.keys() & set(entry.codes):
            raise ValueError(f"{where}': {min(taken)} already belongs to {names[owner[min(taken)]]}")
        owner |= dict.fromkeys(entry.codes, k)
    color = len(form.classes[0].codes[0]) == 6
    ignore = [_code(v) for v in (form.ignore if form.ignore is not None else [] if color else [VOID])]
    if any((len(code) == 6) != color for code in (*owner, *ignore)):
        raise ValueError(f"{path}: some stored values are colours and some ids; expected one of the two for all")
    if both := [code for code in ignore if code in owner]:
        raise ValueError(f"{path}: field 'ignore': {both[0]} is also a class ({names[owner[both[0]]]})")
    return Labels(tuple(names), "color" if color else "id", tuple(ignore if color else map(int, ignore)), owner)
