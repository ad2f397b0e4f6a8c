"""The form of a manifest: one TOML file per data set, read into frozen records with errors that name file and field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from specseg.data.manifests import encoding
from specseg.evidence import config, schema
from specseg.evidence.schema import FieldError, Model, Must

UNVERIFIED = "unverified"
_HASH = re.compile(r"[0-9a-f]{64}")


class ManifestError(ValueError):
    """A manifest that does not have the expected form; the message names the file and the field."""


def _relative(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/") and "\\" not in path


def _stored(value: int | str) -> bool:
    return 0 <= value <= 255 if isinstance(value, int) else bool(re.fullmatch("[0-9A-F]{6}", value))


Positive = Annotated[int, Must("a number above 0", lambda n: n > 0)]
Byte = Annotated[int, Must("a number 0 .. 255", lambda n: 0 <= n <= 255)]
RelativePath = Annotated[str, Must("a relative path without ..", _relative)]
Sha256 = Annotated[str, Must("64 hex digits", lambda text: text in ("", UNVERIFIED) or _HASH.fullmatch(text))]
Stored = Annotated[int | str, Must("a number 0 .. 255 or six upper-case hex digits", _stored)]


@dataclass(frozen=True)
class File(Model):
    """One file: where it lies, its bytes, its sha256 ("unverified" only behind a registration) and its addresses."""

    path: RelativePath
    bytes: int
    sha256: Sha256
    urls: Annotated[tuple[str, ...], Must("a list of one address or more", len)]
    unpack: Literal["", "tar", "zip"] = ""


@dataclass(frozen=True)
class Split(Model):
    """One split: its name, how many it lists, the list's file and hash, the paper's count (None: not in the paper).

    `image` and `label` are paths with {id} for the name of a sample; `rule` says in words how a split without a
    published list is made; `part_of` names the split whose samples it deals out again.
    """

    name: str
    count: Positive
    list: RelativePath = ""
    list_sha256: Sha256 = ""
    paper_count: Positive | None = None
    image: str = ""
    label: str = ""
    rule: str = ""
    part_of: str = ""

    def __post_init__(self) -> None:
        if not (self.list or self.rule):
            raise FieldError("list", "expected a list file, or a rule in words")


@dataclass(frozen=True)
class Labels(Model):
    """How labels are stored: class names, encoding, the map from stored values to 0 .. C-1 or 255, and a palette.

    `encoding` is "index" (stored value = class), "id" (map from stored id) or "color" (map from "RRGGBB").
    """

    names: tuple[str, ...]
    encoding: Literal["index", "id", "color"]
    ignore: tuple[Stored, ...]
    map: dict[str, int] = field(default_factory=dict)
    palette: tuple[tuple[Byte, Byte, Byte], ...] = ()
    paper_classes: Positive | None = None
    threshold: Byte = 0  # colours: each channel is cut to 0 or 255 here before the lookup (0: not cut)

    def __post_init__(self) -> None:
        last = len(self.names) - 1
        for key, value in self.map.items():
            if not 0 <= value <= last and value != encoding.VOID:
                raise FieldError(f"map.{key}", f"expected a class 0 .. {last} or 255; found {value!r}")
            if self.encoding == "color" and not re.fullmatch("[0-9A-F]{6}", key):
                raise FieldError(f"map.{key}", "expected a colour as six upper-case hex digits")
            if self.encoding == "id" and not key.isdigit():
                raise FieldError(f"map.{key}", "expected a stored id")
        if self.encoding != "index" and not set(range(last + 1)) <= set(self.map.values()):
            raise FieldError("map", f"expected an entry for every class 0 .. {last}")


@dataclass(frozen=True)
class Check(Model):
    """What can be checked without a hash: how many files match (0: any number), their kind, size and values."""

    pattern: RelativePath
    count: Annotated[int, Must("0 or more", lambda n: n >= 0)]
    kind: Literal["image", "label", "mat"]
    size: Annotated[tuple[int, int] | None, Must("[width, height]")] = None


@dataclass(frozen=True)
class Alias(Model):
    """The same files in the set's other published layout: a regular expression of paths, and what it becomes there."""

    pattern: str
    path: str


@dataclass(frozen=True)
class Manifest(Model):
    """One data set. `prefixes` are the folders below the data root in which its files are recognised.

    `file_list` names a list beside the manifest: path, bytes and sha256 a line, below each address of `file_urls`.
    """

    name: str
    title: str
    licence: str
    licence_url: str
    access: Literal["open", "registration", "generated"]
    redistributable: bool
    homepage: str
    citation: str
    hashes: Literal["publisher", "reported", "mirrors", "unverified", "generated"]
    how: str
    preprocessing: str
    prefixes: tuple[str, ...]
    labels: Labels
    splits: tuple[Split, ...]
    archives: tuple[File, ...] = ()
    files: tuple[File, ...] = ()
    file_list: str = ""
    file_urls: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    generator: dict[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        hidden = self.access == "registration"
        if (self.hashes == UNVERIFIED and not hidden) or (self.hashes == "generated") != (self.access == "generated"):
            raise FieldError("hashes", f'{self.hashes!r} does not go with access = "{self.access}"')
        for key in () if hidden else ("archives", "files"):
            for k, file in enumerate(getattr(self, key)):
                if not _HASH.fullmatch(file.sha256):
                    raise FieldError(f"{key}[{k}].sha256", f"expected 64 hex digits; found {file.sha256!r}")
                if file.bytes <= 0:
                    raise FieldError(f"{key}[{k}].bytes", f"expected a number above 0; found {file.bytes}")
        if len(self.labels.palette) != (classes := len(self.labels.names)):
            raise FieldError("labels.palette", f"expected {classes} triples of 0 .. 255")
        if not self.splits:
            raise FieldError("splits", "expected at least one split")
        if not (self.files or self.file_list or self.checks or self.generator):
            raise FieldError("files", "expected files with hashes, checks, or a generator")

    def split(self, name: str) -> Split:
        """The split of that name. Raises ValueError that lists the known ones."""
        known = {split.name: split for split in self.splits}
        return known[schema.one_of(f"{self.name}: unknown split", name, known)]

    @cached_property
    def table(self) -> np.ndarray:
        """The lookup table from stored label values to classes."""
        return encoding.table(self.labels)

    def alias(self, path: str) -> str:
        """The path of the same file in the set's other published layout ("" where there is none)."""
        for other in self.aliases:
            if match := re.fullmatch(other.pattern, path):
                return match.expand(other.path)
        return ""


def folder() -> Path:
    """Return the folder of the manifests: data_manifests/ in the project's root, or what an installed library has."""
    return config.kept() / "data_manifests"


def names() -> list[str]:
    """Return the names of all data sets that have a manifest, sorted."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def load(name: str) -> Manifest:
    """Return the manifest of a data set by its name. Raises ValueError that lists the known names."""
    schema.one_of("no manifest for data set", name, names())
    return read(folder() / f"{name}.toml")


def read(path: Path) -> Manifest:
    """Read one manifest. Raises ManifestError that names the file, the field and the value expected."""
    table = schema.toml(config.note_input(path), ManifestError)
    manifest = schema.read(Manifest, {**table, "source": str(path)}, path.name, ManifestError)
    if manifest.name != path.stem:
        raise ManifestError(f"{path.name}: field 'name': expected {path.stem!r}; found {manifest.name!r}")
    return replace(manifest, files=(*manifest.files, *_listed(manifest, path))) if manifest.file_list else manifest


def _listed(manifest: Manifest, path: Path) -> list[File]:
    name = manifest.file_list
    if not (listing := path.parent / name).is_file():
        raise ManifestError(f"{path.name}: field 'file_list': no such file {name}")
    head, *lines = config.note_input(listing).read_text(encoding="utf-8").splitlines() or [""]
    if head != "path\tbytes\tsha256":
        raise ManifestError(f"{name}: line 1: expected the columns path, bytes, sha256 set apart by tabs")
    files = []
    for number, line in enumerate(lines, 2):
        row = re.fullmatch(r"([^\t]+)\t([1-9]\d*)\t([0-9a-f]{64})", line)
        if not row or not _relative(row[1]):
            raise ManifestError(f"{name}: line {number}: expected path, bytes and 64 hex digits, found {line!r}")
        urls = tuple(base + row[1].replace(" ", "%20") for base in manifest.file_urls)
        files.append(File(row[1], int(row[2]), row[3], urls))
    return files
