"""Download what may be downloaded: pooch checks the hash and moves the file into place; we resume and try mirrors."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from specseg.data.manifests.schema import File, Manifest
from specseg.data.manifests.verify import find_file, present_ids
from specseg.evidence import config

CHUNK = 1 << 18


class FetchError(RuntimeError):
    """A file that no address gave; the message names the file and what each address answered."""


class RegistrationNeeded(RuntimeError):
    """The set's owner asks for a registration; the message says what to do and where to put the files."""


class Fetched(NamedTuple):
    """How many files were downloaded, and how many were there already."""

    new: int
    kept: int


def fetch(
    manifest: Manifest, root: Path | None = None, *, progress: Callable[[str, int], object] = lambda path, size: None
) -> Fetched:
    """Download a set's absent or wrong files below `root` (default: the data root) and unpack its archives.

    Every file appears whole and with the right hash, or not at all; an interrupted download goes on where it stopped;
    the mirrors are tried in order. `progress(path, bytes)` is called as bytes arrive.

    Raises RegistrationNeeded with instructions for sets behind a registration, FetchError when no address works, and
    ValueError for generated sets.
    """
    root = config.data_root() if root is None else Path(root)
    if manifest.access == "generated":
        raise ValueError(f"{manifest.name} is generated on the spot: there is nothing to fetch")
    if manifest.access == "registration":
        raise RegistrationNeeded(
            f"{manifest.title}: {manifest.how.strip()}\nPut the files below {root / manifest.prefixes[0]}, "
            f"then run: specseg data verify {manifest.name}"
        )
    root.mkdir(parents=True, exist_ok=True)
    if manifest.archives:
        results = [_archive(manifest, root, file, progress) for file in manifest.archives]
    else:
        targets = [find_file(manifest, root, f.path) or root / manifest.prefixes[0] / f.path for f in manifest.files]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda file, target: _one(file, target, progress), manifest.files, targets))
    return Fetched(sum(results), len(results) - sum(results))


def _one(file: File, target: Path, progress) -> bool:
    """Download one file unless the right one is there; say whether it was needed."""
    import pooch

    if target.is_file() and target.stat().st_size == file.bytes and config.sha256(target) == file.sha256:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{file.sha256[:8]}.part")
    resume = partial(_resume, part, file, progress)
    answers = []
    for url in file.urls:
        try:
            pooch.retrieve(url, f"sha256:{file.sha256}", fname=target.name, path=target.parent, downloader=resume)
        except (OSError, ValueError) as err:  # requests' errors are OSErrors; a wrong hash is a ValueError
            answers.append(f"{url}: {str(err).splitlines()[0][:160]}")
            continue
        return True
    raise FetchError(f"{file.path}: no address gave it: " + "; ".join(answers or ["the manifest has none"]))


def _resume(part: Path, file: File, progress, url: str, output_file: str, _: object) -> None:
    """Download for pooch: keep what has arrived in `part` and ask the server for the rest only."""
    import requests

    have = part.stat().st_size if part.exists() else 0
    have = have if have <= file.bytes else 0  # more than there is: another file, which is written over
    if have < file.bytes:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=30) as answer:
            answer.raise_for_status()
            begins = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            goes_on = have > 0 and answer.status_code == 206 and begins
            with part.open("ab" if goes_on else "wb") as stream:
                for chunk in answer.iter_content(CHUNK):
                    stream.write(chunk)
                    progress(file.path, len(chunk))
    os.replace(part, output_file)


def _archive(manifest: Manifest, root: Path, file: File, progress) -> bool:
    """Download an archive below downloads/ and unpack it; nothing to do when its unpacked files are all there."""
    whole = (s for s in manifest.splits if not s.part_of)
    if all(len(present_ids(manifest, root, s)) == s.count for s in whole):
        return False
    target = root / "downloads" / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    _one(file, target, progress)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".unpack-{manifest.name}-") as inside:
        unpack(target, Path(inside), file.unpack)
        for path in [p for p in Path(inside).rglob("*") if p.is_file()]:  # one atomic rename a file
            place = root / path.relative_to(inside)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
    return True


def unpack(archive: Path, target: Path, kind: str) -> None:
    """Unpack a tar or zip of files and folders below `target`.

    Raises FetchError that names the archive and, before anything is unpacked, a link or a member that leads outside.
    """
    safe = {"filter": "data"} if kind == "tar" and hasattr(tarfile, "data_filter") else {}  # from Python 3.11.4 on
    try:
        with zipfile.ZipFile(archive) if kind == "zip" else tarfile.open(archive) as stream:
            if kind == "zip":
                members = [(m.filename, not stat.S_ISLNK(m.external_attr >> 16)) for m in stream.infolist()]
            else:
                members = [(m.name, m.isfile() or m.isdir()) for m in stream.getmembers()]
            for name, plain in members:
                if not (target / name).resolve().is_relative_to(target.resolve()):
                    raise FetchError(f"{archive.name}: member {name!r} leads outside the folder")
                if not plain:
                    raise FetchError(f"{archive.name}: member {name!r} is neither a file nor a folder")
            stream.extractall(target, **safe)
    except (tarfile.TarError, zipfile.BadZipFile) as err:
        raise FetchError(f"{archive.name}: cannot be unpacked: {err}") from None
