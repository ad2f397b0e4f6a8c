"""Cells one after another in this process, or several at a time in child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from specseg.evidence import config
from specseg.sweep.board import Board
from specseg.sweep.folder import State
from specseg.sweep.work import Sweep, work

HELD = 75  # exit status of a worker whose cell another process holds (EX_TEMPFAIL of sysexits.h)
PAUSE_S = 0.1
GRACE_S = 15.0  # what a child gets to end after SIGTERM


@dataclass(frozen=True)
class Todo:
    """The cells to do, in order, and which of them may be taken up although they failed or are stale."""

    cells: dict[str, Any]
    retry: frozenset[str] = frozenset()
    redo: frozenset[str] = frozenset()


@dataclass
class Tally:
    """How the cells of a run ended."""

    ended: dict[str, State] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return [key for key, state in self.ended.items() if state.name != "done"]


def in_process(sweep: Sweep, todo: Todo, board: Board) -> Tally:
    """Do the cells one after another; those that another launcher holds are waited for at the end."""
    tally, left = Tally(), list(todo.cells)
    while left:
        held = []
        for key in left:
            board.start(key)
            state = work(
                sweep,
                key,
                todo.cells[key],
                retry=key in todo.retry,
                redo=key in todo.redo,
                show=lambda text, key=key: board.tell(key, text),
            )
            if state.name == "running":
                held.append(key)
                board.drop(key)
                board.note(f"{len(held)} held by others ({state.why})")
                continue
            tally.ended[key] = state
            board.end(key, state, sweep.of(key))
        if held == left:
            time.sleep(1.0)
        left = held
    return tally


def worker_command(sweep: Sweep, key: str, todo: Todo, threads: int, *extra: str, gpus: str = "") -> list[str]:
    """Return the command that does one cell in a process of its own, with that many threads."""
    variables = [f"{name}={threads}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    if gpus:
        variables.append(f"CUDA_VISIBLE_DEVICES={gpus}")
    options = ["--profile", sweep.profile, "--folder", str(sweep.home), "--device", sweep.device]
    options += ["--precision", sweep.precision, "--cell", key]
    flags = [*(["--retry-failed"] if key in todo.retry else []), *(["--redo-stale"] if key in todo.redo else [])]
    flags += ["--allow-dirty"] if sweep.allow_dirty else []
    return ["env", *variables, sys.executable, "-u", str(sweep.file), "worker", *options, *flags, *extra]


def gpu_names(count: int) -> list[str]:
    """Return the GPUs of this machine by names that hold in every process.

    Raises RuntimeError when there are fewer than `count`.
    """
    if not count:
        return []
    import torch

    config.device("cuda")
    have = torch.cuda.device_count()
    if have < count:
        raise RuntimeError(f"{count} GPUs are needed (--jobs times --gpus-per-cell), but torch sees {have}")
    names = [str(torch.cuda.get_device_properties(i).uuid) for i in range(have)]
    return [n if n.startswith(("GPU-", "MIG-")) else f"GPU-{n}" for n in names]


def local(sweep: Sweep, todo: Todo, board: Board, jobs: int, gpus_per_cell: int = 0) -> Tally:
    """Do the cells in `jobs` child processes, one cell each, the cores shared out; children end with this process."""
    pool = _Pool(sweep, todo, board, jobs, gpus_per_cell)
    try:
        while pool.left or pool.children:
            pool.collect()
            pool.fill()
            time.sleep(PAUSE_S)
    finally:
        pool.stop()
    return pool.tally


class _Pool:
    def __init__(self, sweep: Sweep, todo: Todo, board: Board, jobs: int, gpus_per_cell: int) -> None:
        self.sweep, self.todo, self.board, self.tally = sweep, todo, board, Tally()
        self.left = list(todo.cells)
        self.children: dict[str, tuple[subprocess.Popen, int]] = {}
        self.threads = max(1, (os.cpu_count() or 1) // jobs)
        names = gpu_names(jobs * gpus_per_cell)
        self.slots = {s: ",".join(names[s * gpus_per_cell : (s + 1) * gpus_per_cell]) for s in range(jobs)}
        self.not_before = dict.fromkeys(self.left, 0.0)

    def fill(self) -> None:
        """Give every free slot the first cell that nobody holds."""
        for key in list(self.left):
            free = sorted(set(self.slots) - {slot for _, slot in self.children.values()})
            if not free:
                return
            if self.not_before[key] > time.monotonic():
                continue
            if self.sweep.of(key).held():
                self._later(key)
                continue
            self.left.remove(key)
            self._start(key, free[0])

    def _start(self, key: str, slot: int) -> None:
        command = worker_command(self.sweep, key, self.todo, self.threads, "--leash", gpus=self.slots[slot])
        folder = self.sweep.of(key)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            with open(folder.log, "ab") as log:
                child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=config.root())
        except OSError as err:
            self._end(key, State("failed", f"cannot start: {err}"))
            return
        self.children[key] = (child, slot)
        self.board.start(key)

    def collect(self) -> None:
        """Take up the children that have ended, and the last words of the others."""
        for key, (child, _) in list(self.children.items()):
            folder = self.sweep.of(key)
            if child.poll() is None:
                if words := folder.last_told():
                    self.board.tell(key, words)
                continue
            del self.children[key]
            child.stdin.close()
            if child.returncode == HELD:
                self.left.insert(0, key)
                self.board.drop(key)
                self._later(key)
                continue
            self._end(key, _after(self.sweep.state(key), child.returncode))

    def _later(self, key: str) -> None:
        self.not_before[key] = time.monotonic() + 0.5
        if not self.children:
            self.board.note(f"waiting for {self.sweep.of(key).holder()}")

    def _end(self, key: str, state: State) -> None:
        self.tally.ended[key] = state
        self.board.end(key, state, self.sweep.of(key))

    def stop(self) -> None:
        """End all children: SIGTERM, and SIGKILL for what is left."""
        for child, _ in self.children.values():
            child.terminate()
        until = time.monotonic() + GRACE_S
        for child, _ in self.children.values():
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            child.stdin.close()


def _after(state: State, status: int) -> State:
    """Return how a cell ended, from its folder and the exit status of its process."""
    if state.name in ("done", "failed", "damaged"):
        return state
    if status < 0:
        return State("interrupted", f"its process was killed by {signal.Signals(-status).name}; run again to go on")
    return State("failed", f"its process ended with status {status} and could not say why (is the disk full?)")
