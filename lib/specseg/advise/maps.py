"""Map files: which stored numbers or colours are which class, in TOML or in the file that an export brings along."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from specseg.advise import files, polygons
from specseg.advise.files import BadFile
from specseg.data.manifests import Labels, encoding
from specseg.evidence import schema
from specseg.evidence.schema import Model, Must

VOID, MOST_CLASSES = 255, 254
OWN = ("map.toml", "labelmap.txt", "_classes.csv")  # ours, CVAT's, Roboflow's


def _stored(value: Any) -> tuple[bool, int] | None:
    """Return (is it a colour, its number) of a stored value as TOML has it; None for what is neither."""
    if isinstance(value, str):
        return (True, int(value.removeprefix("#"), 16)) if re.fullmatch("#?[0-9A-Fa-f]{6}", value) else None
    if type(value) is int:
        return (False, value) if -files.MOST < value < files.MOST else None
    rgb = isinstance(value, list) and len(value) == 3 and all(type(n) is int and 0 <= n <= 255 for n in value)
    return (True, int(encoding.pack(np.array([[value]], np.uint8))[0, 0])) if rgb else None


Color = Annotated[Any, Must('"RRGGBB" or [r, g, b]', lambda value: (_stored(value) or (False,))[0])]
Number = Annotated[Any, Must("a whole number", lambda value: type(value) is int and _stored(value))]


@dataclass(frozen=True)
class Entry(Model):
    """One class of a map file: its name and its stored values, numbers or colours."""

    name: Annotated[str, Must("words", str.strip)]
    color: Color = None
    colors: tuple[Color, ...] = ()
    id: Number = None
    ids: tuple[Number, ...] = ()

    @property
    def stored(self) -> list[tuple[bool, int]]:
        """(is it a colour, its number) of each stored value."""
        return [_stored(v) for v in (self.color, *self.colors, self.id, *self.ids) if v is not None]


@dataclass(frozen=True)
class MapFile(Model):
    """A map file: the classes in their order, the stored values that count nowhere (None: 255 among numbers), and how
    far a stored value or a colour's channel may lie from a class's to be taken for it (the nearest class wins)."""

    classes: tuple[Entry, ...]
    ignore: tuple[Annotated[Any, Must("a number or a colour", _stored)], ...] | None = None
    near: Annotated[int, Must("a number 0 .. 255", lambda n: 0 <= n <= 255)] = 0


@dataclass(frozen=True)
class Reader:
    """How stored values become classes: the classes' names, (stored value, class) with 255 for what counts nowhere;
    of polygons, (name, class).

    `color`: the values are 24-bit colours. `near`: as in `MapFile`. `threshold`: channels are cut to 0 or 255 first.
    """

    names: tuple[str, ...]
    codes: tuple[tuple[int | str, int], ...]
    color: bool = False
    near: int = 0
    threshold: int = 0

    @staticmethod
    def of(labels: Labels) -> Reader:
        """Return how a manifest's labels are read."""
        color = labels.encoding == "color"
        return Reader(labels.names, tuple(encoding.codes(labels).items()), color, 0, labels.threshold)

    def without(self, ignore: Sequence[int | str]) -> Reader:
        """Return this reader with more stored values, or classes by their names, that count nowhere."""
        found = [_stored(k) for k in ignore if k not in self.names]
        if None in found:
            raise ValueError(f"--ignore {' '.join(map(str, ignore))}: expected stored values, or names of the classes "
                             f"{', '.join(self.names[:8])}")  # fmt: skip
        pairs = dict(self.codes) | {code: VOID for _, code in found}
        used = [k for k, name in enumerate(self.names) if name not in ignore and k in pairs.values()]
        again = {cls: k for k, cls in enumerate(used)}
        codes = tuple((code, again.get(cls, VOID)) for code, cls in pairs.items())
        return replace(self, names=tuple(self.names[k] for k in used), codes=codes)

    def classes(self, item) -> np.ndarray:
        """Return a map as uint8 (H, W), 0 .. C-1 and 255 for void. Raises BadFile that names the file."""
        return _classes(self, item.path, item.part, item.state)


@lru_cache(maxsize=1)  # the tiles of a map come one after another
def _classes(reader: Reader, path: Path, part: int, state: tuple) -> np.ndarray:
    import pandas as pd  # a map file that is wrong is told without it

    if path.suffix.lower() == ".json":
        return polygons.drawn(path, part, dict(reader.codes))
    stored = files.read(path)
    if reader.color != (stored.color or (reader.color and stored.palette is not None)):
        here, wanted, takes = ("colours", "numbers", "color") if stored.color else ("numbers", "colours", "id")
        raise BadFile(f"{path}: holds {here} ({stored.what}); expected {wanted}, as the map file or the other maps "
                      f"have it (a --map with `{takes}` reads {here}); --keep-going leaves it out")  # fmt: skip
    codes = codes_of(stored, reader.color, reader.threshold)
    place, values = pd.factorize(codes.ravel())
    known, classes = np.array(reader.codes, np.int64).T
    parts = np.array_split(values, 1 + len(values) // 4096)
    far = np.concatenate([distance(part, known, reader.color) for part in parts])
    if (apart := far.min(1)).max() > reader.near:
        raise BadFile(f"{path}: {_stray(reader, values, np.bincount(place), apart)}; --keep-going leaves the file out")
    return classes.astype(np.uint8)[far.argmin(1)][place].reshape(codes.shape)


def _stray(reader: Reader, values: np.ndarray, counts: np.ndarray, apart: np.ndarray) -> str:
    """Return what is wrong with stored values that lie too far `apart` from every class, and what can be done."""
    beyond = apart > reader.near
    worst, far = int(np.where(beyond, counts, 0).argmax()), int(apart.max())
    hint, shown = "", _shown((reader.color, values[worst]))
    if far <= 127 and (reader.color or beyond.sum() > 1):
        near = min(127, -(-far // 16) * 16)
        hint = f"; all lie within {far} of a class: `near = {near}` in the map file takes the nearest"
    if not reader.color:
        void = [code for code, cls in reader.codes if cls == VOID]
        hint += f"; {' '.join(f'--ignore {v}' for v in (*void[:3], values[worst]))} where it counts nowhere"
    return (f"{'colour' if reader.color else 'value'} {shown} is no class ({counts[worst]} pixels; {beyond.sum()} "
            f"unknown in all); expected {encoding.told(dict(reader.codes), reader.color)}{hint}")  # fmt: skip


def codes_of(stored: files.Stored, color: bool, threshold: int = 0) -> np.ndarray:
    """Return the stored numbers, or 24-bit colours (a palette's too) as int32."""
    if not color:
        return stored.values
    rgb = stored.values if stored.color else stored.palette
    packed = encoding.pack(rgb, threshold)
    return packed if stored.color else packed[stored.values]


def distance(codes: np.ndarray, known: np.ndarray, color: bool) -> np.ndarray:
    """Return how far stored values (N,) lie from the known ones (K,), int (N, K): by the worst channel of a colour."""

    def split(x: np.ndarray) -> np.ndarray:
        return np.stack([(x >> s) & 255 for s in (16, 8, 0)], -1) if color else np.asarray(x)[..., None]

    return np.abs(split(codes.astype(np.int64))[:, None] - split(known)[None]).max(-1)


def from_map(path: Path) -> Reader:
    """Return how a map file says that labels are stored: our TOML, CVAT's labelmap.txt or Roboflow's _classes.csv.

    TOML: `ignore = [...]`, `near = ...` and `[[classes]]` with name and color or id; colours are "RRGGBB" or [r, g, b];
    a class may have several stored values (`ids`, `colors`); all classes are of one kind. Raises ValueError that names
    the file, the entry and what was expected.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such map file")
    if path.suffix in (".txt", ".csv"):
        return _export(path)
    form = schema.read(MapFile, schema.toml(path), str(path))
    names, owner = [entry.name for entry in form.classes], {}
    if not 1 <= len(names) <= MOST_CLASSES:
        raise ValueError(f"{path}: field 'classes': expected 1 .. 254 classes; found {len(names)}")
    for k, entry in enumerate(form.classes):
        where = f"{path}: field 'classes[{k}]"
        if entry.name in names[:k]:
            raise ValueError(f"{where}.name': expected words of its own; found {entry.name!r} again")
        if not entry.stored:
            raise ValueError(f"{where}': {entry.name} has no stored value; expected color, colors, id or ids")
        if taken := owner.keys() & set(entry.stored):
            raise ValueError(f"{where}': {_shown(min(taken))} already belongs to {names[owner[min(taken)]]}")
        owner |= dict.fromkeys(entry.stored, k)
    color = form.classes[0].stored[0][0]
    ignore = [_stored(v) for v in (form.ignore if form.ignore is not None else [] if color else [VOID])]
    if form.ignore is None and owner.get((False, VOID)) is not None:
        ignore = []  # the file says that 255 is a class
    if any(kind != color for kind, _ in (*owner, *ignore)):
        raise ValueError(f"{path}: some stored values are colours and some ids; expected one of the two for all")
    if taken := owner.keys() & set(ignore):
        raise ValueError(f"{path}: field 'ignore': {_shown(min(taken))} is also a class ({names[owner[min(taken)]]})")
    codes = {code: k for (_, code), k in owner.items()} | {code: VOID for _, code in ignore}
    return Reader(tuple(names), tuple(codes.items()), color, form.near)


def _shown(stored: tuple[bool, int]) -> str:
    return f"{stored[1]:06X}" if stored[0] else str(stored[1])


def _export(path: Path) -> Reader:
    """Return the classes of CVAT's labelmap.txt (name:r,g,b:parts:actions) or Roboflow's _classes.csv (value, name)."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".txt":
        found = re.findall(r"^([^#\n][^:\n]*):(\d+),(\d+),(\d+):", text, re.MULTILINE)
        pairs = {name: (int(r) << 16) | (int(g) << 8) | int(b) for name, r, g, b in found}
        wanted = "lines of CVAT's labelmap.txt, name:r,g,b:parts:actions"
    else:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if len(row) > 1]
        pairs = {row[1]: int(row[0]) for row in rows if row[0].isdigit()}
        wanted = "lines of Roboflow's _classes.csv, value, name"
    if not pairs:
        raise ValueError(f"{path}: expected {wanted}, or TOML in a file *.toml")
    void = () if path.suffix == ".txt" or VOID in pairs.values() else ((VOID, VOID),)
    codes = tuple((code, k) for k, code in enumerate(pairs.values()))
    return Reader(tuple(pairs), codes + void, path.suffix == ".txt")


def beside(folder: Path) -> Path | None:
    """Return the map file that a folder brings along, in it, above or just below it; None without one."""
    places = [folder, folder.parent, *sorted(p for p in folder.iterdir() if p.is_dir())]
    return next((place / name for place in places for name in OWN if (place / name).is_file()), None)


def draft(codes: Mapping[int, str], ignore: Iterable[int], color: bool, near: int) -> str:
    """Return a map file to go on from: stored value -> name, one class each.

    >>> print(draft({0: "value 0"}, [255], False, 0))
    ignore = [255]
    near = 0
    [[classes]]
    name = "value 0"
    id = 0
    """

    def value(code: int) -> str:
        return f'"{code:06X}"' if color else str(code)

    lines = [f"ignore = [{', '.join(map(value, ignore))}]", f"near = {near}"]
    for code, name in codes.items():
        lines += ["[[classes]]", f'name = "{name}"', f"{'color' if color else 'id'} = {value(code)}"]
    return "\n".join(lines)
