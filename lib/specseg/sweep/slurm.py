"""Cells as Slurm jobs through submitit: job arrays in order of priority, requeued until their cells are done.

A job starts `python experiments/NAME.py worker`, as every launcher does; what is pickled is that command line alone.
A job that is killed, or whose node dies, goes on from its cell's last checkpoint.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import submitit

from specseg.evidence import config
from specseg.sweep.board import Board
from specseg.sweep.folder import CellFolder, State
from specseg.sweep.launchers import Tally, Todo, worker_command
from specseg.sweep.work import Sweep

ARRAY = 1000  # Slurm's own default for the longest array is 1001
POLL_S = 2.0
GONE_S = 10.0  # a job must be out of the queue for so long: its files may reach this machine later than that news
PATIENCE_S = 300.0  # a requeued job waits so long for what is left of its predecessor on a node that was cut off
TIMEOUTS = 100  # a job at its time limit is requeued so often


@dataclass(frozen=True)
class Request:
    """What every job asks for; `minutes` is its time limit."""

    cpus: int = 4
    gpus: int = 0
    minutes: int = 60
    partition: str | None = None
    max_parallel: int = 64
    sbatch: Mapping[str, str] = field(default_factory=dict)
    requeues: int = 3
    wait: bool = True

    @classmethod
    def of(cls, given: argparse.Namespace, sweep: Sweep, todo: Todo) -> Request:
        """Return the request of a command line; without --time three times the longest cell's estimate, at least 1 h.

        Raises ValueError for an --sbatch that is not KEY=VALUE.
        """
        extra = {}
        for text in given.sbatch:
            key, sign, value = text.removeprefix("--").partition("=")
            if not (key and sign):
                raise ValueError(f"--sbatch {text!r}: expected KEY=VALUE, as in --sbatch account=vision")
            extra[key] = value
        longest = max((sweep.experiment.minutes(c, sweep.profile) for c in todo.cells.values()), default=0)
        minutes = given.time or max(60, math.ceil(3 * longest))
        wait = not given.no_wait
        return cls(
            given.cpus_per_cell, given.gpus_per_cell, minutes, given.partition, given.max_parallel, extra,
            given.requeues, wait,
        )  # fmt: skip


class Work(submitit.helpers.Checkpointable):
    """A job's content: one command. At a time limit or a preemption the same command is requeued."""

    def __init__(self, command: list[str], cwd: str) -> None:
        self.command, self.cwd = command, cwd

    def __call__(self) -> int:
        """Run the command. Raises RuntimeError when it ends with another status than 0, so that the job fails too."""
        child = subprocess.Popen(self.command, cwd=self.cwd)
        try:
            status = child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        if status:
            raise RuntimeError(f"status {status} of {' '.join(self.command)}")
        return status


def launch(sweep: Sweep, todo: Todo, board: Board, request: Request) -> Tally:
    """Submit the cells that have no job yet, and wait until all are done, failed or lost too often.

    Raises RuntimeError with sbatch's own words when it takes no job.
    """
    queue = _Queue(sweep, todo, board, request)
    queue.submit(list(todo.cells))
    board.console.print(f"jobs: {', '.join(sorted({j.partition('_')[0] for j in queue.jobs.values()}))}")
    if not request.wait:
        board.console.print("submitted; the command `status` shows how they fare")
        return Tally()
    try:
        while queue.left:
            queue.look()
            if queue.left:
                time.sleep(POLL_S)
    except (KeyboardInterrupt, SystemExit):
        board.console.print("not waiting any longer; the jobs go on (scancel ends them)")
        raise
    return queue.tally


def alive() -> dict[str, str] | None:
    """Return job id -> state of this user's jobs that are not over; None when Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i|%T|%r"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_queue(run.stdout)


def parse_queue(text: str) -> dict[str, str]:
    """Return job id -> state (with the reason of waiting) from the lines of squeue's `%i|%T|%r`.

    >>> parse_queue("7_0|RUNNING|None\\n7_1|PENDING|Resources\\n")
    {'7_0': 'running', '7_1': 'pending (Resources)'}
    """
    found = {}
    for line in text.splitlines():
        job, state, reason = (line.strip().split("|") + ["", ""])[:3]
        if job:
            found[job] = state.lower() + (f" ({reason})" if reason not in ("", "None") else "")
    return found


def _stamp(folder: CellFolder) -> int | None:
    """Return what tells one end of a cell from another: the time of done.json or error.txt, None without any."""
    for file in (folder.path / "done.json", folder.error):
        with suppress(FileNotFoundError):
            return file.stat().st_mtime_ns
    return None


class _Queue:
    def __init__(self, sweep: Sweep, todo: Todo, board: Board, request: Request) -> None:
        self.sweep, self.todo, self.board, self.request, self.tally = sweep, todo, board, request, Tally()
        self.base = CellFolder(sweep.folder / "slurm")
        self.base.path.mkdir(parents=True, exist_ok=True)
        self.left = list(todo.cells)
        self.jobs: dict[str, str] = {}
        self.requeued = dict.fromkeys(self.left, 0)
        self.gone: dict[str, float] = {}
        self.before = {key: _stamp(self.sweep.of(key)) for key in todo.retry | todo.redo}

    # --- submitting

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other launchers from submitting at the same time."""
        with open(self.base.path / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def submit(self, cells: list[str]) -> None:
        """Submit cells that no living job of an earlier launch has already."""
        with self._alone():
            known, queue = self.base.read("jobs.json"), alive()
            if queue is None:
                raise RuntimeError("launcher 'slurm': squeue does not answer; is the controller up?")
            for key in cells:
                if known.get(key) in queue:
                    self.jobs[key] = known[key]
            new = [key for key in cells if key not in self.jobs or self.jobs[key] not in queue]
            for start in range(0, len(new), ARRAY):
                part = new[start : start + ARRAY]
                for key, job in zip(part, self._submit(part), strict=True):
                    self.jobs[key] = known[key] = job
                self.base.write("jobs.json", known)

    def _submit(self, cells: list[str]) -> list[str]:
        executor = submitit.AutoExecutor(self.base.path / "jobs" / "%j", "slurm", slurm_max_num_timeout=TIMEOUTS)
        ask: dict[str, Any] = {
            "name": self.sweep.experiment.name, "timeout_min": self.request.minutes,
            "cpus_per_task": self.request.cpus, "slurm_array_parallelism": self.request.max_parallel,
            "slurm_additional_parameters": {"requeue": True, **self.request.sbatch},
            "slurm_srun_args": [f"--cpus-per-task={self.request.cpus}"],  # srun does not take it over from sbatch
        }  # fmt: skip
        if self.request.gpus:
            ask["slurm_gpus_per_node"] = self.request.gpus
        if self.request.partition:
            ask["slurm_partition"] = self.request.partition
        executor.update_parameters(**ask)
        try:
            with executor.batch():
                jobs = [executor.submit(self._work(key)) for key in cells]
            return [job.job_id for job in jobs]
        except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError) as err:
            words = getattr(err, "stderr", None) or str(err)
            raise RuntimeError(f"sbatch took no job: {words.strip()}") from None

    def _work(self, key: str) -> Work:
        patience = ("--patience", str(PATIENCE_S))
        return Work(worker_command(self.sweep, key, self.todo, self.request.cpus, *patience), str(config.root()))

    # --- watching

    def look(self) -> None:
        """Take up what has ended; requeue what is gone without an end."""
        queue = alive()
        for key in list(self.left):
            folder, job = self.sweep.of(key), self.jobs[key]
            state = self._over(key)
            if state:
                self._end(key, state)
            elif queue is None or job in queue:
                self.gone.pop(key, None)
                words = folder.last_told() if folder.held() else ""
                self.board.tell(key, words or f"job {job}: {(queue or {}).get(job, 'Slurm does not answer')}")
            elif time.monotonic() - self.gone.setdefault(key, time.monotonic()) >= GONE_S and not folder.held():
                self._again(key)

    def _over(self, key: str) -> State | None:
        """Return the state of a cell that ended since this launch began."""
        if _stamp(self.sweep.of(key)) in (None, self.before.get(key)):
            return None
        state = self.sweep.state(key)
        return state if state.name in ("done", "failed", "damaged") else None

    def _again(self, key: str) -> None:
        self.gone.pop(key, None)
        job = self.jobs[key]
        if self.requeued[key] >= self.request.requeues:
            where = self.base.path / "jobs" / job
            self._end(key, State("interrupted", f"job {job} died {self.requeued[key] + 1} times; its output: {where}"))
            return
        self.requeued[key] += 1
        self.sweep.of(key).tell(f"job {job} is gone without an end: requeued")
        if subprocess.run(["scontrol", "requeue", job], capture_output=True).returncode:
            self.submit([key])

    def _end(self, key: str, state: State) -> None:
        self.left.remove(key)
        self.tally.ended[key] = state
        self.board.end(key, state, self.sweep.of(key))
