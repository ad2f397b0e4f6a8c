"""One cell from claim to done: run it, write its rows, its record once, and last of all done.json."""

from __future__ import annotations

import json
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import Timeout

from specseg.evidence import config, provenance, records
from specseg.sweep.cells import Context, Experiment, Tell, canonical
from specseg.sweep.folder import PATIENCE_S, RESERVE, CellFolder, State, full_disk, here, now

_CHOICE = {"device": "auto", "precision": "auto"}


def choose(device: str, precision: str) -> None:
    """Set what `device` and `precision` return. Raises ValueError and RuntimeError as `config.device` does."""
    if device not in ("auto", "cpu"):
        config.device(device)
        import torch  # a GPU measures in whole float32 too: else it rounds what its convolutions read to ten bits

        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
    _CHOICE.update(device=device, precision=precision)


def device():
    """Return the torch device that the sweep's --device chose: what an experiment's `run` computes on."""
    return config.device(_CHOICE["device"])


def precision() -> str:
    """Return the sweep's --precision: "auto", or in what trainings that begin now are to be made."""
    return _CHOICE["precision"]


@dataclass(frozen=True)
class Sweep:
    """One run of an experiment: its cells by id, where they are kept, how they are run.

    `retry_failed` takes up cells that failed, `redo_stale` those that other code has done.
    """

    experiment: Experiment
    profile: str
    home: Path
    device: str = "auto"
    precision: str = "auto"
    allow_dirty: bool = False
    retry_failed: bool = False
    redo_stale: bool = False

    @cached_property
    def cells(self) -> dict[str, Any]:
        """The cells by id, in order of priority."""
        return self.experiment.by_id(self.profile)

    @property
    def file(self) -> Path:
        """The experiment's own file."""
        file = self.experiment.file or getattr(sys.modules["__main__"], "__file__", None)
        if file is None:
            raise ValueError(f"experiment {self.experiment.name}: which file makes it? file= must name it")
        return Path(file).resolve()

    @property
    def folder(self) -> Path:
        """The folder of all cells of this experiment and profile."""
        return self.home / self.experiment.name / self.profile

    def of(self, key: str) -> CellFolder:
        """Return the folder of a cell."""
        return CellFolder(self.folder / key)

    def command(self, key: str) -> str:
        """Return the command line that makes one cell again, from the project's root."""
        chosen = "" if self.device == "auto" else f" --device {self.device}"
        chosen += "" if self.precision == "auto" else f" --precision {self.precision}"
        return f"python {_in_project(self.file)} run --profile {self.profile}{chosen} --only {key}"

    @cached_property
    def modules(self) -> dict[str, str]:
        """Module -> hash of the code that makes a cell, the experiment's file and what it imports: as it was when this
        process first asked, for that is what it runs.
        """
        return {"script": provenance.code_hash(self.file), **provenance.module_hashes([self.file])}

    def minutes(self, keys: Mapping[str, Any]) -> list[float]:
        """Return the estimated minutes of each of these cells."""
        return [self.experiment.minutes(self.cells[key], self.profile) for key in keys]

    def state(self, key: str, mine: bool = False) -> State:
        """Return a cell's state; that of a done one says which code or record is no longer what it was.

        `mine` as for `CellFolder.state`.
        """
        found = self.of(key).state(mine)
        return State("done", self._aged(found.done), found.done) if found.name == "done" else found

    def left(self, state: State) -> bool:
        """Say whether a cell in this state is to be done: all but the done (the stale with `redo_stale`) and the failed
        (unless `retry_failed`)."""
        if state.name == "done":
            return self.redo_stale and state.why != ""
        return self.retry_failed or state.name != "failed"

    def _aged(self, done: dict[str, Any]) -> str:
        changed = sorted(k for k, old in done["modules"].items() if self.modules.get(k) != old)
        said = [f"code changed since: {', '.join(changed)}"] if changed else []
        if done["record"]:
            try:
                records.read(config.root() / done["record"])
            except ValueError as err:
                said.append(str(err))
        return "; ".join(said)


def work(sweep: Sweep, key: str, *, patience_s: float = PATIENCE_S, show: Tell | None = None) -> State:
    """Do one cell and return its state afterwards: done, failed, or running when another process holds it.

    A cell that is not `Sweep.left` is left alone. What cannot be trusted any more is put aside in the cell's folder,
    never deleted. Interrupts pass through, with the claim released.
    """
    folder = sweep.of(key)
    try:
        with folder.claim(patience_s):
            before = sweep.state(key, mine=True)
            if not sweep.left(before):
                return before
            _make_ready(sweep, folder, before)
            return _attempt(sweep, folder, show)
    except Timeout:
        return State("running", folder.holder())
    except OSError as err:  # the folder itself cannot be written
        return State("failed", full_disk(err, folder.path) or f"{type(err).__name__}: {err}")


def _make_ready(sweep: Sweep, folder: CellFolder, before: State) -> None:
    """Put aside what is damaged or made by other code, and say in cell.json what is begun."""
    if before.name == "damaged":
        home = folder.put_aside("done.json", "rows.csv")
        folder.tell(f"put aside in {home}: {before.why}")
    elif before.name == "done":
        home = folder.put_aside()
        folder.tell(f"begun again, the old work is in {home}: {before.why}")
    folder.error.unlink(missing_ok=True)  # its text is in log.txt too
    if folder.read("cell.json").get("cell_id") != folder.id:
        cell = sweep.cells[folder.id]
        about = {"cell_id": folder.id, "experiment": sweep.experiment.name, "profile": sweep.profile}
        about |= {"cell": canonical(cell), "shown": repr(cell), "modules": sweep.modules, "begun": now()}
        folder.write("cell.json", about)
    (folder.path / "reserve").write_bytes(bytes(RESERVE))  # given back when the disk is full


def _attempt(sweep: Sweep, folder: CellFolder, show: Tell | None) -> State:
    """Run a cell. clock.json counts its seconds over all attempts, of one that is killed up to its last words."""
    before = folder.read("clock.json")
    attempt, start = before.get("attempts", 0) + 1, time.monotonic() - before.get("wall_s", 0.0)

    def clock() -> dict[str, Any]:
        return {"attempts": attempt, "wall_s": round(time.monotonic() - start, 3)}

    def tell(text: str) -> None:
        folder.tell(text, **clock())
        if show:
            show(text)

    folder.tell(f"attempt {attempt} by {here()}", **clock())
    try:
        records.require_committed(sweep.allow_dirty)
        rows = sweep.experiment.run(sweep.cells[folder.id], folder.path, tell)
        return _finish(sweep, folder, rows, clock())
    except Exception as err:
        (folder.path / "reserve").unlink(missing_ok=True)  # room for what follows
        why = full_disk(err, folder.path) or f"{type(err).__name__}: {err}"
        text = "".join(traceback.format_exception(err)).rstrip("\n") + f"\n{why}\n"
        with suppress(OSError):  # where not even its end fits, the exit status alone tells
            folder.write("error.txt", text[-RESERVE // 4 :])
        folder.tell(f"failed: {why}\n{text}", **clock())
        return State("failed", why.splitlines()[0])
    except BaseException as err:
        folder.tell(f"interrupted ({type(err).__name__})", **clock())
        raise
    finally:
        (folder.path / "reserve").unlink(missing_ok=True)


def _finish(sweep: Sweep, folder: CellFolder, rows: Any, clock: dict[str, Any]) -> State:
    """Write the rows, the record and done.json, and return the done state.

    clock.json says of which rows a record was begun and when: where an attempt was killed right after it, or its files
    were damaged later, that record is taken, not another made.
    """
    import pandas as pd

    if not isinstance(rows, pd.DataFrame) or not len(rows):
        raise TypeError(f"run returned {type(rows).__name__} without rows; expected a pandas.DataFrame with some")
    text = rows.to_csv(index=False, lineterminator="\n", float_format="%.10g")
    folder.write("rows.csv", text)
    digest, told = config.sha256(folder.rows), folder.read("clock.json")
    # Loading torch only to ask it for the processor would take longer than some cells.
    name, command = config.device_name(device() if "torch" in sys.modules else "cpu"), sweep.command(folder.id)
    record = _written(command, told["recording"]) if told.get("rows_sha256") == digest else None
    if record is None:
        folder.tell("writes its record", **clock, rows_sha256=digest, recording=now())
        context = Context(sweep.profile, command, name, clock["wall_s"], sweep.allow_dirty)
        path = sweep.experiment.record(sweep.cells[folder.id], folder.path, rows, context)
        record = path and _in_project(Path(path))
    about = folder.read("cell.json")
    changed = {module for module, old in about["modules"].items() if sweep.modules.get(module) != old}
    done = {
        **about, "rows_sha256": digest, "n_rows": len(rows),
        "record": record, "command": command, **clock, "device": name, "host": socket.gethostname(), "finished": now(),
        # a cell that was begun by other code is nobody's measurement
        "modules": sweep.modules | dict.fromkeys(changed, "changed during the run"),
    }  # fmt: skip
    folder.write("done.json", done)
    folder.tell(f"done in {clock['wall_s']:.1f} s, {len(rows)} rows", **clock)
    return State("done", done=done)


def _written(command: str, since: str) -> str | None:
    """Return the record of this very command line that was made at or after a time."""
    for file in sorted(records.home().glob("*/*/record.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        with suppress(OSError, ValueError, KeyError, TypeError):
            meta = json.loads(file.read_text(encoding="utf-8"))
            if meta["command"] == command and datetime.fromisoformat(meta["created"]) >= datetime.fromisoformat(since):
                return _in_project(file.parent)
    return None


def _in_project(path: Path) -> str:
    try:
        return path.resolve().relative_to(config.root()).as_posix()
    except ValueError:
        return str(path)
