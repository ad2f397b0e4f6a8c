"""A cell's folder: who works on it, what is done, what was interrupted; every file appears whole or not at all.

The claim is `filelock`'s exclusive `flock` on the file `lock`, held while the cell is worked on and released by the
kernel when its holder dies; what the holder has forked does not keep it. Over several machines the file system must
keep such locks for all of them (NFS 4 and Lustre mounted with `flock` do); one that knows none is refused.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from specseg.evidence import config, schema

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NEEDED = ("cell_id", "rows_sha256", "n_rows", "wall_s", "modules", "record")
PATIENCE_S = 0.05  # a glance at the state takes the lock too, for microseconds
RESERVE = 16384  # bytes kept free in every folder under work, so that a full disk can still be told of


@dataclass(frozen=True)
class State:
    """What is known of a cell: "waiting", "running", "interrupted", "failed", "damaged" or "done", and why."""

    name: str
    why: str = ""
    done: dict[str, Any] = field(default_factory=dict, repr=False)


class CellFolder:
    """The folder of one cell."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.txt"
        self.error = path / "error.txt"
        self.lock = path / "lock"
        self.rows = path / "rows.csv"

    @property
    def id(self) -> str:
        return self.path.name

    # --- the claim

    @contextmanager
    def claim(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Hold the cell; others are kept out until this block, or this process, ends.

        Waits up to `patience_s` seconds for its present holder, without end when that is negative; then filelock's
        Timeout is raised.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.lock, patience_s, poll_interval=0.01, fallback_to_soft=False):
            with suppress(OSError):  # who holds it is a courtesy; a full disk must not prevent the work
                self.lock.write_text(f"{here()} since {now()}\n", encoding="utf-8")
            for left in self.path.glob(".*.part"):
                left.unlink(missing_ok=True)
            yield

    def held(self) -> bool:
        """Say whether a living process works on the cell.

        A shared lock, which filelock does not offer: readers do not take each other for holders, nor need they write.
        """
        with suppress(FileNotFoundError), open(self.lock, encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def holder(self) -> str:
        """Return who holds the cell, as it says itself."""
        return self.lock.read_text(encoding="utf-8").strip() or "another process"

    # --- the state

    def state(self, mine: bool = False) -> State:
        """Return the cell's state; "damaged" names the file of a finished cell that is not what it was.

        `mine` says that this process holds the claim: the state is then that which it found.
        """
        if (self.path / "done.json").exists():
            try:
                return State("done", done=self._read_done())
            except (ValueError, OSError) as err:
                return State("damaged", str(err))
        if not mine and self.held():
            return State("running", self.holder())
        with suppress(FileNotFoundError):  # gone too when another process has just taken the cell up again
            return State("failed", (self.error.read_text(errors="replace").rstrip().splitlines() or [""])[-1])
        return State("interrupted" if (self.path / "cell.json").exists() else "waiting")

    def _read_done(self) -> dict[str, Any]:
        file = self.path / "done.json"
        done = schema.parse_json(file.read_text(encoding="utf-8", errors="replace"), str(file), NEEDED)
        if done["cell_id"] != self.id:
            raise ValueError(f"{file}: cell_id is {done['cell_id']!r}, expected the folder's name {self.id!r}")
        if config.sha256(self.rows) != done["rows_sha256"]:
            raise ValueError(f"{self.rows}: its sha256 is not rows_sha256 of done.json")
        return done

    # --- files

    def write(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Write a file of the folder, a mapping as JSON; it appears whole or not at all, also when the machine stops.

        Raises OSError, after taking its own half-written file away.
        """
        text = content if isinstance(content, str) else json.dumps(content, indent=1) + "\n"
        part = self.path / f".{name}.{os.getpid()}.part"
        try:
            with open(part, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path / name)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the folder; empty when there is none or it cannot be read."""
        try:
            found = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def tell(self, text: str, **clock: float | str) -> None:
        """Append a line to log.txt with the time, and keep last words and clock; a full disk shows elsewhere."""
        with suppress(OSError):
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(f"{now()} {text}\n")
            self.write("clock.json", {**self.read("clock.json"), **clock, "told": text.partition("\n")[0]})

    def put_aside(self, *names: str) -> Path:
        """Move files (all but the lock, when none is named) to a new folder aside/N and return it: nothing is lost."""
        numbers = (int(p.name) for p in (self.path / "aside").glob("*") if p.name.isdigit())
        home = self.path / "aside" / str(1 + max(numbers, default=0))
        home.mkdir(parents=True)
        for name in names or [p.name for p in self.path.iterdir() if p.name not in ("lock", "aside")]:
            with suppress(FileNotFoundError):
                shutil.move(self.path / name, home / name)
        return home


def full_disk(err: BaseException, folder: Path) -> str:
    """Return a sentence when an error means that nothing more can be written, else an empty string."""
    folder = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if isinstance(err, OSError) and err.errno in FULL:
        return f"the disk is full or a limit of file size is reached ({err}); {folder} has {free} bytes left"
    return f"the disk is full: {folder} has {free} bytes left ({err})" if free < RESERVE else ""


def here() -> str:
    """Return this process in words."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def now() -> str:
    """Return the time, UTC, to the second.

    >>> now()[-1], len(now())
    ('Z', 20)
    """
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
