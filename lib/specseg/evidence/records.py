"""Records of measured results: written once with what made them, verified when read, marked when code moved on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specseg.evidence import config, provenance, schema

if TYPE_CHECKING:  # loaded with the first rows: what only asks which code made a record, or starts a cell, needs none
    import numpy as np
    import pandas as pd

_STARTED = time.time()  # code written later than this is not the code that runs here
REQUIRED = (
    "experiment", "run_id", "command", "profile", "created", "commit", "device", "versions", "data", "settings",
    "modules", "rows_sha256", "n_rows",
)  # fmt: skip
ALLOW_DIRTY = "measure with code that is not committed; the record says so"  # help of the experiments' option
RENEWED = "renewed.jsonl"  # beside record.json: one line for each time that later code was found to give the same
RENEWAL = ("date", "commit", "modules", "machine", "worst", "how")
_SHOWN: dict[Path, Record] = {}  # what this process has loaded: a page that shows a record says so, with its freshness


class RecordError(ValueError):
    """A record that is missing, unreadable or not what its own hash says; the message names the file and the field."""


class Uncommitted(RuntimeError):
    """A record that no commit could make again; the message names the files and what to do."""


def require_committed(allow_dirty: bool = False) -> None:
    """Raise Uncommitted, which names the files, when code that decides numbers differs from the commit.

    An experiment calls it before its long computation (`specseg sweep` does); `write` calls it again.
    """
    if not allow_dirty and (files := provenance.uncommitted()):
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        raise Uncommitted(
            f"uncommitted: {', '.join(files[:3])}{more}. A record names the commit that makes it again; commit first, "
            "or give --allow-dirty for a record that says it was made from uncommitted code"
        )


@dataclass(frozen=True)
class Record:
    """One measured result: tidy `rows`, `meta` (what made them), `probe` arrays and where it lies."""

    path: Path
    meta: dict[str, Any] = field(repr=False)
    rows: pd.DataFrame = field(repr=False)
    renewals: list[dict[str, Any]] = field(default_factory=list, repr=False)

    @property
    def run_id(self) -> str:
        return self.meta["run_id"]

    @property
    def profile(self) -> str:
        return self.meta["profile"]

    def probe(self) -> dict[str, np.ndarray]:
        """Return the arrays of probe.npz: a tiny input and what the recording machine computed from it."""
        path = self.path / "probe.npz"
        if not path.is_file():
            return {}
        import numpy as np

        with np.load(config.note_input(path), allow_pickle=False) as arrays:
            return {k: arrays[k] for k in arrays.files}

    def freshness(self) -> str:
        """Return "fresh", or "stale: ..." naming the library modules whose code differs from the recording's.

        A record that was renewed is fresh while the code is that of its last renewal, too.
        """
        if not self.meta["modules"]:
            return "stale: it does not say which code made it"
        made = [entry["modules"] for entry in self.renewals[-1:]] + [self.meta["modules"]]
        changed = self.changed(made[0])
        if changed and self.renewals:
            changed = self.changed(made[1]) and changed
        return f"stale: {', '.join(changed)} changed since" if changed else "fresh"

    def changed(self, modules: Mapping[str, str]) -> list[str]:
        """Return which of these hashes (module or "script" -> hash) are not those of today's code.

        A module that was moved or renamed as it stands is not changed, nor is one that can change no number.
        """
        now = provenance.current(name for name in modules if not provenance.plumbing(name))
        if "script" in now and (script := self.script()).is_file():
            now["script"] = provenance.code_hash(script)
        changed = {k: k if code else f"{k} (gone)" for k, code in now.items() if code != modules[k]}
        known = provenance.hashes() if changed else ()
        return [said for name, said in changed.items() if name == "script" or modules[name] not in known]

    def script(self) -> Path:
        """Return the file that made it (which may be gone)."""
        return config.root() / self.meta.get("script", "")


def home(root: Path | None = None) -> Path:
    """Return the folder of all records: results/ in the project's root, or what an installed library carries."""
    return (root or config.kept()) / "results"


def write(
    experiment: str,
    rows: pd.DataFrame,
    *,
    command: str,
    profile: str,
    seed: int | None = None,
    data: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
    probe: Mapping[str, np.ndarray] | Path | None = None,
    notes: str = "",
    wall_s: float | None = None,
    device: str | None = None,
    script: Path | str | None = None,
    root: Path | None = None,
    allow_dirty: bool = False,
) -> Path:
    """Write a record and return its folder, results/<experiment>/<run_id>/ with record.json, rows.csv and probe.npz.

    `rows` is tidy: one measurement a line. `command` is the command line that makes it again. `settings` are the values
    by which `load` finds it. `script` (default: the running program, when it lies in the project) names the file whose
    imports decide freshness. `probe` are arrays, or a file of them, kept as probe.npz. The folder appears whole or not
    at all; nothing is ever overwritten.

    Raises ValueError for an experiment name that is no slug, for empty rows, for an unknown profile, for settings that
    JSON cannot hold, and when no script of the project is running or named. Raises Uncommitted when code that decides
    numbers is not committed, unless `allow_dirty`; a trial that is written elsewhere (`root`) only says so.
    """
    if not re.fullmatch(r"[a-z0-9_]+", experiment):
        raise ValueError(f"experiment {experiment!r}: expected lower-case letters, digits and underscores")
    if not len(rows):
        raise ValueError(f"experiment {experiment}: no rows; a record without measurements is not written")
    config.profile(profile)
    if (script := _script(script)) is None:
        raise ValueError(f"experiment {experiment}: which code made it? script= must name a .py file of the project")
    if root is None:
        require_committed(allow_dirty)
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    digest = hashlib.sha256(text.encode()).hexdigest()
    try:
        settings = json.loads(json.dumps(dict(settings or {}), allow_nan=False))
    except (TypeError, ValueError) as err:
        raise ValueError(f"experiment {experiment}: settings must be plain numbers, words and lists: {err}") from None
    now = datetime.now(UTC)
    key = hashlib.sha256((digest + json.dumps(settings, sort_keys=True) + now.isoformat()).encode()).hexdigest()[:8]
    head, dirty = provenance.commit()[0], bool(provenance.uncommitted())
    modules = {"script": provenance.code_hash(script), **provenance.module_hashes([script])}
    if script == _script(None):  # what the running program imported under a name that its source does not show
        modules = {**{k: v for k, v in provenance.loaded().items() if not provenance.plumbing(k)}, **modules}
        for name in modules:  # a hash must stand for the code that ran, not for an edit made meanwhile
            file = script if name == "script" else provenance.module_file(name)
            if file and file.stat().st_mtime > _STARTED:
                modules[name] = "changed during the run"
    meta = {
        "experiment": experiment, "run_id": f"{now:%Y%m%d}-{key}", "command": command, "profile": profile,
        "seed": seed, "created": now.isoformat(timespec="milliseconds"), "commit": head, "dirty": dirty,
        "device": device or config.device_name("cpu"), "machine": provenance.machine(),
        "python": platform.python_version(), "versions": provenance.versions(), "data": sorted(data),
        "settings": settings, "notes": notes,
        "wall_s": None if wall_s is None else round(float(wall_s), 3),
        "script": script.relative_to(config.root()).as_posix(), "modules": modules,
        "rows_sha256": digest, "n_rows": len(rows), "columns": list(map(str, rows.columns)),
    }  # fmt: skip
    folder = home(root) / experiment
    folder.mkdir(parents=True, exist_ok=True)
    tmp = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder))
    try:
        (tmp / "rows.csv").write_text(text, encoding="utf-8")
        if isinstance(probe, Path):
            shutil.copyfile(probe, tmp / "probe.npz")
        elif probe:
            import numpy as np

            np.savez_compressed(tmp / "probe.npz", **probe)
        (tmp / "record.json").write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        tmp.chmod(0o755)
        os.replace(tmp, folder / meta["run_id"])
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return folder / meta["run_id"]


def _script(script: Path | str | None) -> Path | None:
    path = Path(script or getattr(sys.modules.get("__main__"), "__file__", None) or "").resolve()
    if not (path.is_file() and config.root() in path.parents and path.suffix == ".py"):
        return None
    hidden = any(part.startswith(".") for part in path.relative_to(config.root()).parts)  # pytest's own file in .venv
    return None if hidden else path


def read(path: Path) -> Record:
    """Read and verify one record's folder. Raises RecordError that names the file and what is wrong."""
    meta_file, rows_file = path / "record.json", path / "rows.csv"
    for file in (meta_file, rows_file):
        if not file.is_file():
            raise RecordError(f"{file}: missing; a record needs record.json and rows.csv")
    meta = schema.parse_json(meta_file.read_text(encoding="utf-8"), str(meta_file), REQUIRED, error=RecordError)
    if meta["run_id"] != path.name:
        raise RecordError(f"{meta_file}: run_id is {meta['run_id']!r}, expected the folder's name {path.name!r}")
    if config.sha256(rows_file) != meta["rows_sha256"]:
        raise RecordError(f"{rows_file}: its sha256 is not rows_sha256 of record.json; measured rows are never edited")
    config.note_input(meta_file)
    config.note_input(rows_file)
    return Record(path, meta, rows(rows_file, meta["rows_sha256"]).copy(), _renewals(path / RENEWED))


@lru_cache(maxsize=1024)  # a page reads the same records several times
def rows(file: Path, digest: str) -> pd.DataFrame:
    """Return a record's rows as they lie in a file of this sha256."""
    import pandas as pd

    return pd.read_csv(file)


def _renewals(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a record's renewals, oldest first; none where there is no such file."""
    config.note_input(file)
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file.is_file() else (), 1):
        entry = schema.parse_json(line, f"{file}, line {number}", RENEWAL, error=RecordError)
        if not isinstance(entry["modules"], dict) or not entry["modules"]:
            raise RecordError(f"{file}, line {number}: field 'modules': expected module names and their hashes")
        found.append(entry)
    return found


def find(experiment: str, root: Path | None = None, **settings: Any) -> list[Record]:
    """Return all records of an experiment whose settings (or top-level fields) have these values, oldest first."""
    return [_give(record) for record in _matching(experiment, root, settings)]


def _matching(experiment: str, root: Path | None, settings: Mapping[str, Any]) -> list[Record]:
    folder = home(root) / experiment
    config.note_input(folder)
    if not folder.is_dir():
        return []
    found = [read(p) for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    found = [r for r in found if all(r.meta["settings"].get(k, r.meta.get(k)) == v for k, v in settings.items())]
    return sorted(found, key=lambda r: (r.meta["created"], r.run_id))


def experiments() -> list[str]:
    """Return the names of all experiments that have records, sorted."""
    return sorted({file.parents[1].name for file in home().glob("*/*/record.json")})


def shown() -> list[Record]:
    """Return every record that `load` or `find` has given out in this process."""
    return list(_SHOWN.values())


def _give(record: Record) -> Record:
    _SHOWN[record.path] = record
    return record


def load(experiment: str, run_id: str | None = None, root: Path | None = None, **settings: Any) -> Record:
    """Return the newest record of an experiment (or the one of that run_id) with these settings.

    Raises RecordError that says which experiment to run when there is none.
    """
    if run_id:
        return _give(read(home(root) / experiment / run_id))
    records = _matching(experiment, root, settings)
    if not records:
        wanted = ", ".join(f"{k}={v!r}" for k, v in settings.items())
        raise RecordError(f"no record of {experiment!r}{f' with {wanted}' if wanted else ''} in {home(root)}")
    return _give(records[-1])
