"""The form of a manifest: one TOML file per data set, read into frozen records with errors that name file and field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from specseg.data.manifests import encoding
from specseg.evidence import config

ACCESS = ("open", "registration", "generated")
HASHES = ("publisher", "reported", "mirrors", "unverified", "generated")
UNVERIFIED = "unverified"
_HASH = re.compile(r"[0-9a-f]{64}")


class ManifestError(ValueError):
    """A manifest that does not have the expected form; the message names the file and the field."""


@dataclass(frozen=True)
class File:
    """One file: where it lies, its bytes, its sha256 ("unverified" only behind a registration) and its addresses."""

    path: str
    bytes: int
    sha256: str
    urls: tuple[str, ...] = ()
    unpack: str = ""


@dataclass(frozen=True)
class Split:
    """One split: its name, how many it lists, the list's file and hash, the paper's count (None: not in the paper).

    `image` and `label` are paths with {id} for the name of a sample; `rule` says in words how a split without a
    published list is made; `part_of` names the split whose samples it deals out again.
    """

    name: str
    count: int
    list: str = ""
    list_sha256: str = ""
    paper_count: int | None = None
    image: str = ""
    label: str = ""
    rule: str = ""
    part_of: str = ""


@dataclass(frozen=True)
class Labels:
    """How labels are stored: class names, encoding, the map from stored values to 0 .. C-1 or 255, and a palette.

    `encoding` is "index" (stored value = class), "id" (map from stored id) or "color" (map from "RRGGBB").
    """

    names: tuple[str, ...]
    encoding: str
    ignore: tuple[int | str, ...]
    map: dict[str, int]
    palette: tuple[tuple[int, int, int], ...]
    paper_classes: int | None = None
    threshold: int = 0  # colours: each channel is cut to 0 or 255 here before the lookup (0: not cut)


@dataclass(frozen=True)
class Check:
    """What can be checked without a hash: how many files match (0: any number), their kind, size and values."""

    pattern: str
    count: int
    kind: str  # "image", "label" or "mat"
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Manifest:
    """One data set. `prefixes` are the folders below the data root in which its files are recognised."""

    name: str
    title: str
    licence: str
    licence_url: str
    access: str
    redistributable: bool
    homepage: str
    citation: str
    hashes: str
    how: str
    preprocessing: str
    prefixes: tuple[str, ...]
    labels: Labels
    splits: tuple[Split, ...]
    archives: tuple[File, ...] = ()
    files: tuple[File, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    generator: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def split(self, name: str) -> Split:
        """The split of that name. Raises ValueError that lists the known ones."""
        for split in self.splits:
            if split.name == name:
                return split
        known = ", ".join(split.name for split in self.splits)
        raise ValueError(f"{self.name}: unknown split {name!r}: expected one of {known}")

    @cached_property
    def table(self) -> np.ndarray:
        """The lookup table from stored label values to classes."""
        return encoding.table(self.labels)

    def locate(self, root: Path, path: str) -> Path | None:
        """Where `path` of this set lies below `root`: the first prefix whose folder has it, else None."""
        for prefix in self.prefixes:
            candidate = root / prefix / path
            if candidate.exists():
                return candidate
        return None

    def alias(self, path: str) -> str:
        """The path of the same file in the set's other published layout ("" where there is none)."""
        for pattern, other in self._patterns:
            if match := pattern.fullmatch(path):
                return match.expand(other)
        return ""

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern, str]]:
        return [(re.compile(pattern), other) for pattern, other in self.aliases]


def folder() -> Path:
    """Return the folder of the manifests: data_manifests/ in the project's root."""
    return config.root() / "data_manifests"


def names() -> list[str]:
    """Return the names of all data sets that have a manifest, sorted."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(name: str) -> Manifest:
    """Return the manifest of a data set by its name. Raises ValueError that lists the known names."""
    if name not in names():
        raise ValueError(f"no manifest for data set {name!r}: expected one of {', '.join(names())}")
    return read(folder() / f"{name}.toml")


def read(path: Path) -> Manifest:
    """Read one manifest. Raises ManifestError that names the file, the field and the value expected."""
    try:
        table = tomllib.loads(Path(config.note_input(path)).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as err:
        raise ManifestError(f"{path.name}: not TOML: {err}") from None
    return _manifest(_Fields(path.name, "", table), path)


class _Fields:
    """A table whose fields are taken out one by one; what is left at the end is an unknown field."""

    def __init__(self, file: str, where: str, table: Any) -> None:
        self.file, self.where = file, where
        if not isinstance(table, dict):
            raise ManifestError(f"{file}: {where or 'top'}: expected a table, found {type(table).__name__}")
        self._table = dict(table)

    def fail(self, key: str, words: str) -> ManifestError:
        return ManifestError(f"{self.file}: field '{self.where}{key}': {words}")

    def take(self, key: str, kind: type, default: Any = ..., check: Callable[[Any], str] | None = None) -> Any:
        if key not in self._table:
            if default is ...:
                raise self.fail(key, f"missing; expected {kind.__name__}")
            return default
        value = self._table.pop(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.fail(key, f"expected {kind.__name__}, found {type(value).__name__} {value!r}")
        if check and (words := check(value)):
            raise self.fail(key, f"{words}; found {value!r}")
        return value

    def texts(self, key: str, default: Any = ...) -> tuple[str, ...]:
        values = self.take(key, list, default)
        if not all(isinstance(v, str) for v in values):
            raise self.fail(key, f"expected a list of strings, found {values!r}")
        return tuple(values)

    def tables(self, key: str) -> list[_Fields]:
        rows = self.take(key, list, [])
        return [_Fields(self.file, f"{self.where}{key}[{k}].", row) for k, row in enumerate(rows)]

    def done(self) -> None:
        if self._table:
            raise self.fail(sorted(self._table)[0], "unknown field")


def _one_of(*allowed: str) -> Callable[[str], str]:
    return lambda value: "" if value in allowed else f"expected one of {', '.join(allowed)}"


def _positive(value: int) -> str:
    return "" if value > 0 else "expected a number above 0"


def _hash_or(*words: str) -> Callable[[str], str]:
    return lambda v: (
        "" if v in words or _HASH.fullmatch(v) else "expected 64 hex digits" + "".join(f' or "{w}"' for w in words if w)
    )


def _relative(path: str) -> str:
    parts = path.split("/")
    return "expected a relative path without .." if path.startswith("/") or ".." in parts or "\\" in path else ""


def _manifest(fields: _Fields, path: Path) -> Manifest:
    access = fields.take("access", str, check=_one_of(*ACCESS))
    hidden = (UNVERIFIED,) if access == "registration" else ()
    hashes = fields.take("hashes", str, check=_one_of(*HASHES))
    if (hashes == UNVERIFIED and not hidden) or (hashes == "generated") != (access == "generated"):
        raise fields.fail("hashes", f'{hashes!r} does not go with access = "{access}"')
    manifest = Manifest(
        name=fields.take("name", str, check=lambda v: "" if v == path.stem else f"expected {path.stem!r}"),
        title=fields.take("title", str), licence=fields.take("licence", str),
        licence_url=fields.take("licence_url", str), access=access,
        redistributable=fields.take("redistributable", bool), homepage=fields.take("homepage", str),
        citation=fields.take("citation", str), hashes=hashes, how=fields.take("how", str),
        preprocessing=fields.take("preprocessing", str), prefixes=fields.texts("prefixes"),
        labels=_labels(_Fields(path.name, "labels.", fields.take("labels", dict))),
        splits=tuple(_split(row) for row in fields.tables("splits")),
        archives=tuple(_file(row, hidden) for row in fields.tables("archives")),
        files=_listed(fields, path, hidden), aliases=_aliases(fields),
        checks=tuple(_check(row) for row in fields.tables("checks")), notes=fields.texts("notes", []),
        generator=fields.take("generator", dict, {}), source=str(path),
    )  # fmt: skip
    fields.done()
    if not manifest.splits:
        raise fields.fail("splits", "expected at least one split")
    if not (manifest.files or manifest.checks or manifest.generator):
        raise fields.fail("files", "expected files with hashes, checks, or a generator")
    return manifest


def _file(row: _Fields, hidden: tuple[str, ...]) -> File:
    file = File(
        row.take("path", str, check=_relative), row.take("bytes", int, check=None if hidden else _positive),
        row.take("sha256", str, check=_hash_or(*hidden)), (row.take("url", str), *row.texts("mirrors", [])),
        row.take("unpack", str, "", _one_of("", "tar", "zip")),
    )  # fmt: skip
    row.done()
    return file


def _listed(fields: _Fields, path: Path, hidden: tuple[str, ...]) -> tuple[File, ...]:
    """Files typed in the manifest, or the lines of a list beside it: path, bytes, sha256, below each base address."""
    files = [_file(row, hidden) for row in fields.tables("files")]
    if not (name := fields.take("file_list", str, "")):
        return tuple(files)
    bases, listing = fields.texts("file_urls", []), path.parent / name
    if not listing.is_file():
        raise fields.fail("file_list", f"no such file {name}")
    lines = Path(config.note_input(listing)).read_text(encoding="utf-8").splitlines()
    if not lines or lines[0].split("\t") != ["path", "bytes", "sha256"]:
        raise ManifestError(f"{name}: line 1: expected the columns path, bytes, sha256 set apart by tabs")
    for number, line in enumerate(lines[1:], 2):
        row = line.split("\t")
        if len(row) != 3 or not row[1].isdigit() or not _HASH.fullmatch(row[2]) or _relative(row[0]):
            raise ManifestError(f"{name}: line {number}: expected path, bytes and 64 hex digits, found {line!r}")
        urls = tuple(base + row[0].replace(" ", "%20") for base in bases)
        files.append(File(row[0], int(row[1]), row[2], urls))
    return tuple(files)


def _aliases(fields: _Fields) -> tuple[tuple[str, str], ...]:
    rows = []
    for row in fields.tables("aliases"):
        rows.append((row.take("pattern", str), row.take("path", str)))
        row.done()
    return tuple(rows)


def _split(row: _Fields) -> Split:
    split = Split(
        row.take("name", str), row.take("count", int, check=_positive), row.take("list", str, "", _relative),
        row.take("list_sha256", str, "", _hash_or("", UNVERIFIED)), row.take("paper_count", int, None, _positive),
        row.take("image", str, ""), row.take("label", str, ""), row.take("rule", str, ""),
        row.take("part_of", str, ""),
    )  # fmt: skip
    row.done()
    if not (split.list or split.rule):
        raise row.fail("list", "expected a list file, or a rule in words")
    return split


def _labels(fields: _Fields) -> Labels:
    names = fields.texts("names")
    encoding = fields.take("encoding", str, check=_one_of("index", "id", "color"))
    ignore = tuple(fields.take("ignore", list))
    table = fields.take("map", dict, {})
    allowed = set(range(len(names))) | {255}
    for key, value in table.items():
        if value not in allowed:
            raise fields.fail(f"map.{key}", f"expected a class 0 .. {len(names) - 1} or 255, found {value!r}")
        if encoding == "color" and not re.fullmatch(r"[0-9A-F]{6}", key):
            raise fields.fail(f"map.{key}", "expected a colour as six upper-case hex digits")
        if encoding == "id" and not key.isdigit():
            raise fields.fail(f"map.{key}", "expected a stored id")
    if encoding != "index" and not set(range(len(names))) <= set(table.values()):
        raise fields.fail("map", f"expected an entry for every class 0 .. {len(names) - 1}")
    palette = fields.take("palette", list)
    if len(palette) != len(names) or any(
        len(c) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in c) for c in palette
    ):
        raise fields.fail("palette", f"expected {len(names)} triples of 0 .. 255")
    labels = Labels(
        names,
        encoding,
        ignore,
        dict(table),
        tuple(tuple(c) for c in palette),
        fields.take("paper_classes", int, None, _positive),
        fields.take("threshold", int, 0, _positive),
    )
    fields.done()
    return labels


def _check(row: _Fields) -> Check:
    size = row.take("size", list, None, lambda v: "" if len(v) == 2 else "expected [width, height]")
    check = Check(
        row.take("pattern", str, check=_relative),
        row.take("count", int, check=lambda v: "" if v >= 0 else "expected 0 or more"),
        row.take("kind", str, check=_one_of("image", "label", "mat")),
        tuple(size) if size else None,
    )
    row.done()
    return check
