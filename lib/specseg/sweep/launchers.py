"""Cells one after another in this process, or several at a time in child processes.

Not submitit's executors, as on Slurm: its LocalExecutor starts three interpreters a cell that outlive their launcher,
and its DebugExecutor keeps no interrupt from being taken for a failure.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial

from typer import echo

from specseg.evidence import config
from specseg.sweep.folder import State
from specseg.sweep.work import Sweep, work

HELD = 75  # exit status of a worker whose cell another process holds (EX_TEMPFAIL of sysexits.h)
QUIET_S = 30.0  # a cell's words are printed at most this often


class Launcher:
    """Does the cells of `todo` one after another in this process until all have ended, and prints how they fare.

    A cell that another launcher works on is waited for: `ended` holds the state of every cell. Launchers below this
    one do the cells elsewhere: `look` is one round of starting what can be started and taking up what has ended.
    """

    def __init__(self, sweep: Sweep, todo: Iterable[str]) -> None:
        self.sweep, self.left = sweep, list(todo)
        self.total, self.ended = len(self.left), {}
        self._said: dict[str, tuple[str, float]] = {}

    def run(self, pause_s: float) -> dict[str, State]:
        """Return how the cells ended; `pause_s` seconds lie between two rounds."""
        try:
            while self.left:
                self.look()
                if self.left:
                    time.sleep(pause_s)
        finally:
            self.stop()
        return self.ended

    def look(self) -> None:
        """Do the cells that nobody works on."""
        for key in list(self.left):
            if not self.held(key):
                self.tell(key, "started")
                state = work(self.sweep, key, show=partial(self.tell, key))
                if state.name != "running":  # another launcher was quicker
                    self.end(key, state)

    def stop(self) -> None:
        """End what was started elsewhere and is not to outlive this process: here nothing."""

    def held(self, key: str) -> bool:
        """Say whether another process works on a cell, and for whom the sweep waits."""
        folder = self.sweep.of(key)
        if found := folder.held():
            self.tell("held by others", f"{key} is worked on by {folder.holder()}")
        return found

    def tell(self, key: str, text: str) -> None:
        """Print the last words of a cell at work, the first at once, others at most every QUIET_S seconds."""
        last, when = self._said.get(key, ("", -QUIET_S))
        if text and text != last and time.monotonic() - when >= QUIET_S:
            self._said[key] = text, time.monotonic()
            echo(f"{key}: {text}")

    def end(self, key: str, state: State) -> None:
        """Print how a cell ended; one that is not done with its log."""
        self.left.remove(key)
        self.ended[key] = state
        log = self.sweep.of(key).log
        how = f" in {duration(state.done['wall_s'])}" if state.name == "done" else f": {state.why}; log: {log}"
        echo(f"{len(self.ended)}/{self.total} {state.name} {key}{how}")


class Local(Launcher):
    """Does the cells in `jobs` child processes, one cell each, the cores shared out; children end with this process."""

    def __init__(self, sweep: Sweep, todo: Iterable[str], jobs: int, gpus_per_cell: int = 0) -> None:
        super().__init__(sweep, todo)
        self.threads = max(1, (os.cpu_count() or 1) // jobs)
        names = gpus(jobs * gpus_per_cell)
        self.free = [",".join(names[s * gpus_per_cell : (s + 1) * gpus_per_cell]) for s in range(jobs)]
        self.children: dict[str, tuple[subprocess.Popen, str]] = {}

    def look(self) -> None:
        for key in list(self.left):
            if key in self.children:
                self._collect(key)
            elif self.free and not self.held(key):
                self._start(key)

    def _start(self, key: str) -> None:
        """Start a child; the pipe to it closes when this process ends, however it ends, and the child follows."""
        folder, names = self.sweep.of(key), self.free[0]
        command = worker_command(self.sweep, key, self.threads, "--leash", gpus=names)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            with open(folder.log, "ab") as log:
                child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=config.root())
        except OSError as err:
            self.end(key, State("failed", f"cannot start: {err}"))
            return
        self.children[key] = (child, self.free.pop(0))
        self.tell(key, "started")

    def _collect(self, key: str) -> None:
        """Take up a child that has ended, or the last words of one at work."""
        child, names = self.children[key]
        if child.poll() is None:
            self.tell(key, self.sweep.of(key).read("clock.json").get("told", ""))
            return
        del self.children[key]
        self.free.append(names)
        child.stdin.close()
        if child.returncode != HELD:
            self.end(key, _after(self.sweep.state(key), child.returncode))

    def stop(self) -> None:
        """End all children, as they end when this process is killed: the pipe to each closes."""
        for child, _ in self.children.values():
            child.stdin.close()
        for child, _ in self.children.values():
            child.wait()


def _after(state: State, status: int) -> State:
    """Return how a cell ended, from its folder and the exit status of its process."""
    if state.name in ("done", "failed", "damaged"):
        return state
    if status < 0:
        return State("interrupted", f"its process was killed by {signal.Signals(-status).name}; run again to go on")
    return State("failed", f"its process ended with status {status} and could not say why (is the disk full?)")


def gpus(count: int) -> list[str]:
    """Return the GPUs that this process sees, by names that hold in every process; RuntimeError below `count`."""
    if not count:
        return []
    import torch

    config.device("cuda")
    uuids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
    names = [name if name.startswith(("GPU-", "MIG-")) else f"GPU-{name}" for name in uuids]
    if len(names) < count:
        raise RuntimeError(f"{count} GPUs are needed (--jobs times --gpus-per-cell), but torch sees {len(names)}")
    return names


def worker_command(sweep: Sweep, key: str, threads: int, *extra: str, gpus: str = "") -> list[str]:
    """Return the command that does one cell in a process of its own, with that many threads."""
    variables = [f"{name}={threads}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    variables += [f"CUDA_VISIBLE_DEVICES={gpus}"] if gpus else []
    options = ["--profile", sweep.profile, "--folder", str(sweep.home), "--device", sweep.device]
    options += ["--precision", sweep.precision, "--cell", key]
    options += [f"--{k.replace('_', '-')}" for k in ("allow_dirty", "retry_failed", "redo_stale") if getattr(sweep, k)]
    return ["env", *variables, sys.executable, "-u", str(sweep.file), "worker", *options, *extra]


def duration(seconds: float) -> str:
    """Return seconds in words.

    >>> duration(8.04), duration(75), duration(7200)
    ('8.0 s', '1 min 15 s', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"
