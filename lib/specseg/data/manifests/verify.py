"""Is the copy on this disk the right one: every file against its manifest, in parallel, each bad file named."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from specseg.data import _files
from specseg.data.manifests import encoding
from specseg.data.manifests.schema import UNVERIFIED, Check, File, Manifest, Split
from specseg.evidence import config


class Problem(NamedTuple):
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

    state: str
    present: int
    expected: int
    bytes: int
    problems: tuple[Problem, ...]
    splits: dict[str, Have] = field(default_factory=dict)


def verify(manifest: Manifest, root: Path | None = None, *, fast: bool = False,
           progress: Callable[[str, int], None] = lambda path, size: None) -> Report:  # fmt: skip
    """Compare the files below `root` (default: the data root) with the manifest.

    `fast` looks at sizes and counts only; else every file is hashed, and images without a known hash are opened. Absent
    files make the state "partial" or "missing"; wrong ones make it "bad". `progress(path, bytes)` is called per file.
    """
    root = config.data_root() if root is None else Path(root)
    if manifest.access == "generated":
        return _generated(manifest, fast)
    hashed = {file.path: find_file(manifest, root, file.path) for file in manifest.files}
    jobs = [(f.path, hashed[f.path], partial(_differs, manifest, f, fast)) for f in manifest.files if hashed[f.path]]
    unlisted = _unlisted(manifest, hashed, root) if hashed else set()
    present = len(jobs) + sum(find_file(manifest, root, path) is not None for path in unlisted)
    expected = len(hashed) + len(unlisted)
    problems = [p for s in manifest.splits if (p := _wrong_list(manifest, root, s))]
    for check in manifest.checks:
        paths = [p for p in _matches(manifest, root, check.pattern) if p[0] not in hashed]
        jobs += [(*p, partial(_unfit, manifest, check, fast)) for p in paths]
        if check.count:
            listed = sum(Path(path).match(check.pattern) for path in hashed)
            present, expected = present + len(paths), expected + check.count - listed
            if len(paths) + listed > check.count:
                extra = f"{len(paths) + listed} files; expected {check.count}"
                problems.append(Problem(check.pattern, extra))

    def looked_at(job: tuple[str, Path, Callable[[Path, int], str]]) -> tuple[int, Problem]:
        name, path, wrong = job
        size = path.stat().st_size
        problem = Problem(path.relative_to(root).as_posix(), wrong(path, size))
        progress(name, size)
        return size, problem

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(looked_at, jobs))
    problems = [*(problem for _, problem in found if problem.what), *problems]
    splits = {
        s.name: Have(*(len(present_ids(manifest, root, s, need)) for need in ("both", "label")), s.count)
        for s in manifest.splits
        if not s.part_of
    }
    complete = present == expected and all(have.pairs == have.listed for have in splits.values())
    state = "bad" if problems else "complete" if complete else "partial" if present else "missing"
    return Report(state, present, expected, sum(size for size, _ in found), tuple(problems), splits)


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
        path = _list_path(manifest, root, split)
        return read_ids(path) if path else []
    head, tail = split.label.split("{id}")
    paths = [f.path for f in manifest.files] or [p for p, _ in _matches(manifest, root, f"{head}**/*{tail}")]
    return sorted(p[len(head) : len(p) - len(tail)] for p in paths if p.startswith(head) and p.endswith(tail))


def present_ids(
    manifest: Manifest, root: Path, split: Split, need: str = "both", ids: Sequence[str] | None = None
) -> list[str]:
    """Return the names (the split's, or `ids`) whose label (and image, if `need` is "both") is there, in order."""
    parts = [split.label] if need == "label" else [split.image, split.label]
    every = listed_ids(manifest, root, split) if ids is None else ids
    return [i for i in every if all(find_file(manifest, root, part.format(id=i)) for part in parts)]


def _list_path(manifest: Manifest, root: Path, split: Split) -> Path | None:
    """Return the file that lists a split's names: in the set's folder, or ("manifest:...") beside the manifest."""
    if split.list.startswith("manifest:"):
        return Path(manifest.source).parent / split.list.removeprefix("manifest:")
    return find_file(manifest, root, split.list)


def find_file(manifest: Manifest, root: Path, path: str) -> Path | None:
    """Return where a file of the set lies, in its first layout or in the other one; None when it is absent."""
    places = (root / prefix / p for p in (path, manifest.alias(path)) if p for prefix in manifest.prefixes)
    return next((place for place in places if place.exists()), None)


def _differs(manifest: Manifest, file: File, fast: bool, path: Path, size: int) -> str:
    """Return what is wrong with a file whose hash is known."""
    if size != file.bytes:
        return f"{size} bytes; expected {file.bytes}"
    if fast or (digest := config.sha256(path)) == file.sha256:
        return ""
    mirrors = " (that hash is a mirror's, never compared with the official archive)" * (manifest.hashes == "mirrors")
    return f"sha256 {digest[:12]}...; expected {file.sha256[:12]}...{mirrors}"


def _matches(manifest: Manifest, root: Path, pattern: str) -> list[tuple[str, Path]]:
    """(path inside the set, path on disk) of every file that matches, from the first prefix that has any."""
    for prefix in manifest.prefixes:
        home = root / prefix
        if home.is_dir() and (paths := sorted(p for p in home.glob(pattern) if p.is_file())):
            return [(p.relative_to(home).as_posix(), p) for p in paths]
    return []


def _unfit(manifest: Manifest, check: Check, fast: bool, path: Path, size: int) -> str:
    """Return what is wrong with a file without a hash: an image must open and have its size; a label, known values."""
    if fast or not size or check.kind == "mat":
        return "" if size else "empty file"
    try:
        stored = read_classes(path, manifest) if check.kind == "label" else _files.read_image(path)
    except ValueError as err:
        return str(err).removeprefix(f"{path}: ")
    found = stored.shape[1::-1]
    if check.size and found != check.size:
        return f"{found[0]} x {found[1]} pixels; expected {check.size[0]} x {check.size[1]}"
    return ""


def read_classes(path: Path, manifest: Manifest) -> np.ndarray:
    """Return the classes of a stored label map, uint8 (H, W). Raises ValueError that names the file."""
    stored = _files.read_label(path, colors=manifest.labels.encoding == "color")
    return encoding.decode(stored, manifest.labels, manifest.table, str(path))


def _unlisted(manifest: Manifest, hashed: Iterable[str], root: Path) -> set[str]:
    """Return the images and labels that the splits name and no hash is known of."""
    splits = [s for s in manifest.splits if not s.part_of]
    paths = {part.format(id=i) for s in splits for i in listed_ids(manifest, root, s) for part in (s.image, s.label)}
    return paths - set(hashed)


def _wrong_list(manifest: Manifest, root: Path, split: Split) -> Problem | None:
    path = _list_path(manifest, root, split) if split.list and split.list_sha256 not in ("", UNVERIFIED) else None
    if path is None or list_hash(ids := read_ids(path)) == split.list_sha256:
        return None
    return Problem(split.list, f"a list of {len(ids)} names with another hash; expected the {split.count} published")


def _generated(manifest: Manifest, fast: bool) -> Report:
    """Make the first arrays again and compare their hashes (`fast`: only one of them)."""
    module = importlib.import_module(manifest.generator["module"])
    rows = manifest.generator["arrays"][: 1 if fast else None]
    problems = []
    if module.VERSION != manifest.generator["version"]:
        told = f"generator version {module.VERSION}; manifest has {manifest.generator['version']}"
        problems.append(Problem(manifest.name, told))
    for row in rows:
        sample = module.scene(row["regime"], row["seed"], row["size"])
        for part, array in (("image", sample.image), ("label", sample.label.astype(np.uint8))):
            if hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() != row[f"{part}_sha256"]:
                problems.append(Problem(f"{sample.name} at {row['size']}", f"{part} differs from the manifest's"))
    splits = {s.name: Have(s.count, s.count, s.count) for s in manifest.splits}
    state = "bad" if problems else "complete"
    return Report(state, len(rows), len(rows), 0, tuple(problems), splits)
