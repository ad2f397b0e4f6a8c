"""Is the copy on this disk the right one: every file against its manifest, in parallel, each bad file named."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from specseg.data.manifests import encoding
from specseg.data.manifests.schema import Check, File, Manifest, Split
from specseg.evidence import config

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Problem:
    """One bad file: its path below the data root and what is wrong with it."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


class Have(NamedTuple):
    """How much of a split is there: image and label pairs, labels, and how many it lists."""

    pairs: int
    labels: int
    listed: int


@dataclass(frozen=True)
class Report:
    """What `verify` found. `state` is "complete", "partial", "missing" or "bad"."""

    name: str
    state: str
    present: int
    expected: int
    bytes: int
    problems: tuple[Problem, ...]
    splits: dict[str, Have] = field(default_factory=dict)
    fast: bool = False


def verify(
    manifest: Manifest,
    root: Path | None = None,
    *,
    fast: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Compare the files below `root` (default: the data root) with the manifest.

    `fast` looks at sizes and counts only; else every file is hashed, and images without a known hash are opened. Absent
    files make the state "partial" or "missing"; wrong ones make it "bad". `progress(path, bytes)` is called per file.
    """
    root = config.data_root() if root is None else Path(root)
    if manifest.access == "generated":
        return _generated(manifest, fast)
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    with pool:
        found = list(pool.map(lambda file: _file(manifest, root, file, fast, progress), manifest.files))
        problems = [p for _, _, p in found if p]
        size = sum(n for _, n, _ in found)
        present = sum(there for there, _, _ in found)
        hashed = {file.path for file in manifest.files}
        rest = _unlisted(manifest, root, hashed) if hashed else {}
        present += sum(rest.values())
        expected = len(hashed) + len(rest)
        for check in manifest.checks:
            paths = [p for p in _matches(manifest, root, check.pattern) if p[0] not in hashed]
            listed = sum(1 for path in hashed if Path(path).match(check.pattern))
            results = list(pool.map(lambda p, c=check: _opened(manifest, root, p, c, fast, progress), paths))
            problems += [p for _, p in results if p]
            size += sum(n for n, _ in results)
            if not check.count:
                continue
            present += len(paths)
            expected += check.count - listed
            if len(paths) + listed > check.count:
                extra = f"{len(paths) + listed} files; expected {check.count}"
                problems.append(Problem(check.pattern, extra))
    splits = {s.name: have(manifest, root, s) for s in manifest.splits if not s.part_of}
    problems += [p for s in manifest.splits if (p := _wrong_list(manifest, root, s))]
    complete = present == expected and all(there.pairs == there.listed for there in splits.values())
    state = "bad" if problems else "complete" if complete else "partial" if present else "missing"
    return Report(manifest.name, state, present, expected, size, tuple(problems), splits, fast)


def have(manifest: Manifest, root: Path, split: Split) -> Have:
    """Return how much of a split lies below `root`."""
    pairs, labels = (len(present_ids(manifest, root, split, need)) for need in ("both", "label"))
    return Have(pairs, labels, split.count)


def list_hash(ids: Iterable[str]) -> str:
    """Return the hash of a list of names: sha256 of the names, one a line.

    >>> list_hash(["a", "b"])[:16]
    '911169ddaaf146af'
    """
    return hashlib.sha256("".join(f"{i}\n" for i in ids).encode()).hexdigest()


def read_ids(path: Path) -> list[str]:
    """Return the names in a list file: the stem of the first word of each line that is not empty."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0].rsplit("/", 1)[-1].split(".")[0] for line in lines if line.strip()]


def listed_ids(manifest: Manifest, root: Path, split: Split) -> list[str]:
    """Return all names of a split that its list, the manifest's files or (last) the folder know, in order."""
    if split.list:
        path = list_path(manifest, root, split)
        return read_ids(path) if path else []
    head, tail = split.label.split("{id}")
    paths = [f.path for f in manifest.files] or [p for p, _ in _matches(manifest, root, f"{head}**/*{tail}")]
    return sorted(p[len(head) : len(p) - len(tail)] for p in paths if p.startswith(head) and p.endswith(tail))


def present_ids(
    manifest: Manifest,
    root: Path,
    split: Split,
    need: str = "both",
    ids: Sequence[str] | None = None,
) -> list[str]:
    """Return the names (the split's, or `ids`) whose label (and image, if `need` is "both") is there, in order."""
    parts = [split.label] if need == "label" else [split.image, split.label]
    lookup = _Lookup(manifest, root)
    every = listed_ids(manifest, root, split) if ids is None else ids
    return [i for i in every if all(lookup.has(part.format(id=i)) for part in parts)]


class _Lookup:
    """Which files are there, asked once per folder instead of once per file."""

    def __init__(self, manifest: Manifest, root: Path) -> None:
        self._manifest, self._root, self._folders = manifest, root, {}

    def has(self, path: str) -> bool:
        return any(self._there(p) for p in (path, self._manifest.alias(path)) if p)

    def _there(self, path: str) -> bool:
        parent, _, name = path.rpartition("/")
        if parent not in self._folders:
            homes = [self._root / prefix / parent for prefix in self._manifest.prefixes]
            home = next((h for h in homes if h.is_dir()), None)
            self._folders[parent] = set(os.listdir(home)) if home else set()
        return name in self._folders[parent]


def list_path(manifest: Manifest, root: Path, split: Split) -> Path | None:
    """Return the file that lists a split's names: in the set's folder, or ("manifest:...") beside the manifest."""
    if split.list.startswith("manifest:"):
        return Path(manifest.source).parent / split.list.removeprefix("manifest:")
    return find_file(manifest, root, split.list)


def find_file(manifest: Manifest, root: Path, path: str) -> Path | None:
    """Return where a file of the set lies, in its first layout or in the other one; None when it is absent."""
    for candidate in (path, manifest.alias(path)):
        if candidate and (found := manifest.locate(root, candidate)):
            return found
    return None


def _shown(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _file(manifest: Manifest, root: Path, file: File, fast: bool, progress: Progress | None):
    """(is it there, bytes, problem) of one listed file."""
    path = find_file(manifest, root, file.path)
    if path is None:
        return False, 0, None
    size, what = path.stat().st_size, ""
    if size != file.bytes:
        what = f"{size} bytes; expected {file.bytes}"
    elif not fast and (digest := config.sha256(path)) != file.sha256:
        what = f"sha256 {digest[:12]}...; expected {file.sha256[:12]}..."
        if manifest.hashes == "mirrors":
            what += " (that hash is a mirror's, never compared with the official archive)"
    if progress:
        progress(file.path, size)
    return True, size, Problem(_shown(root, path), what) if what else None


def _matches(manifest: Manifest, root: Path, pattern: str) -> list[tuple[str, Path]]:
    """(path inside the set, path on disk) of every file that matches, from the first prefix that has any."""
    for prefix in manifest.prefixes:
        home = root / prefix
        if home.is_dir() and (paths := sorted(p for p in home.glob(pattern) if p.is_file())):
            return [(p.relative_to(home).as_posix(), p) for p in paths]
    return []


def _opened(manifest: Manifest, root: Path, item: tuple[str, Path], check: Check, fast: bool, progress):
    """(bytes, problem) of one file without a hash: an image must open and have its size; a label, known values too."""
    path, size = item[1], item[1].stat().st_size
    what = "empty file" if size == 0 else ""
    if not what and not fast and check.kind != "mat":
        what = _look(manifest, path, check)
    if progress:
        progress(item[0], size)
    return size, Problem(_shown(root, path), what) if what else None


def _look(manifest: Manifest, path: Path, check: Check) -> str:
    try:
        with Image.open(path) as image:
            if check.size and image.size != check.size:
                return f"{image.size[0]} x {image.size[1]} pixels; expected {check.size[0]} x {check.size[1]}"
            image.load()
            if check.kind == "label":
                return _values(manifest, image)
    except (UnidentifiedImageError, OSError, SyntaxError) as err:
        return f"not a readable image ({str(err).splitlines()[0][:80]})"
    return ""


def _values(manifest: Manifest, image: Image.Image) -> str:
    labels = manifest.labels
    if labels.encoding != "color" and image.mode not in ("L", "P"):
        return f"mode {image.mode}; expected an 8-bit map of class numbers"
    stored = np.asarray(image.convert("RGB") if labels.encoding == "color" else image)
    try:
        encoding.decode(stored, labels, manifest.table, "")
    except ValueError as err:
        return str(err).removeprefix(": ")
    return ""


def _unlisted(manifest: Manifest, root: Path, hashed: set[str]) -> dict[str, bool]:
    """The images and labels that the splits name and no hash is known of -> whether they are there."""
    lookup = _Lookup(manifest, root)
    splits = [s for s in manifest.splits if not s.part_of]
    paths = {part.format(id=i) for s in splits for i in listed_ids(manifest, root, s) for part in (s.image, s.label)}
    return {path: lookup.has(path) for path in paths - hashed}


def _wrong_list(manifest: Manifest, root: Path, split: Split) -> Problem | None:
    if not split.list or not split.list_sha256 or split.list_sha256 == "unverified":
        return None
    path = list_path(manifest, root, split)
    if path is None or list_hash(ids := read_ids(path)) == split.list_sha256:
        return None
    return Problem(split.list, f"a list of {len(ids)} names with another hash; expected the {split.count} published")


def _generated(manifest: Manifest, fast: bool) -> Report:
    """Make the first arrays again and compare their hashes (`fast`: only one of them)."""
    module = importlib.import_module(manifest.generator["module"])
    rows = manifest.generator["arrays"][: 1 if fast else None]
    problems = []
    if module.VERSION != manifest.generator["version"]:
        problems.append(
            Problem(manifest.name, f"generator version {module.VERSION}; manifest has {manifest.generator['version']}")
        )
    for row in rows:
        sample = module.scene(row["regime"], row["seed"], row["size"])
        for part, array in (("image", sample.image), ("label", sample.label.astype(np.uint8))):
            if hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() != row[f"{part}_sha256"]:
                problems.append(Problem(f"{sample.name} at {row['size']}", f"{part} differs from the manifest's"))
    splits = {s.name: Have(s.count, s.count, s.count) for s in manifest.splits}
    state = "bad" if problems else "complete"
    return Report(manifest.name, state, len(rows), len(rows), 0, tuple(problems), splits, fast)
