"""Cells as Slurm jobs through submitit: job arrays in order of priority, requeued until their cells are done.

A job starts `python experiments/NAME.py worker`, as every launcher does; what is pickled is that command line alone.
A job that is killed, or whose node dies, goes on from its cell's last checkpoint. squeue tells which jobs live, not
submitit's own watcher, which asks sacct: that does not answer where a cluster keeps no accounts.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

import submitit
from typer import echo

from specseg.evidence import config
from specseg.sweep.folder import CellFolder, State
from specseg.sweep.launchers import Launcher, worker_command
from specseg.sweep.work import Sweep

ARRAY = 1000  # Slurm's own default for the longest array is 1001
POLL_S = 2.0
GONE_S = 10.0  # a job must be out of the queue for so long: its files may reach this machine later than that news
PATIENCE_S = 300.0  # a requeued job waits so long for what is left of its predecessor on a node that was cut off
TIMEOUTS = 100  # a job at its time limit is requeued so often


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


def launch(sweep: Sweep, todo: Mapping[str, State], given: argparse.Namespace) -> dict[str, State]:
    """Submit the cells that have no job yet, and wait until all are done, failed or lost too often.

    Raises RuntimeError with sbatch's own words when it takes no job.
    """
    queue = Queue(sweep, todo, given)
    queue.submit(list(todo))
    echo(f"jobs: {', '.join(sorted({j.partition('_')[0] for j in queue.jobs.values()}))}")
    if given.no_wait:
        echo("submitted; the command `status` shows how they fare")
        return {}
    try:
        return queue.run(POLL_S)
    except (KeyboardInterrupt, SystemExit):
        echo("not waiting any longer; the jobs go on (scancel ends them)")
        raise


def parameters(given: argparse.Namespace, sweep: Sweep, todo: Iterable[str]) -> dict[str, Any]:
    """Return what every job asks for, in submitit's words; the time limit is by default three times the longest
    cell's estimate, at least an hour.

    Raises ValueError for an --sbatch that is not KEY=VALUE.
    """
    extra: dict[str, Any] = {"requeue": True}
    for text in given.sbatch:
        key, sign, value = text.removeprefix("--").partition("=")
        if not (key and sign):
            raise ValueError(f"--sbatch {text!r}: expected KEY=VALUE, as in --sbatch account=vision")
        extra[key] = value
    return {
        "name": sweep.experiment.name,
        "timeout_min": given.time or max(60, math.ceil(3 * max(sweep.minutes(todo), default=0))),
        "cpus_per_task": given.cpus_per_cell,
        "slurm_gpus_per_node": given.gpus_per_cell or None,
        "slurm_partition": given.partition,
        "slurm_array_parallelism": given.max_parallel,
        "slurm_additional_parameters": extra,
        "slurm_srun_args": [f"--cpus-per-task={given.cpus_per_cell}"],  # srun does not take it over from sbatch
    }


def alive() -> dict[str, str] | None:
    """Return job id -> state, with the reason of waiting, of this user's jobs that are not over; None when Slurm does
    not answer.
    """
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T (%r)"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.removesuffix(" (None)").partition(" ") for line in run.stdout.splitlines())
    return {job: state.lower() for job, _, state in lines}


class Queue(Launcher):
    """The jobs of one launch."""

    def __init__(self, sweep: Sweep, todo: Mapping[str, State], given: argparse.Namespace) -> None:
        super().__init__(sweep, todo)
        self.parameters, self.requeues = parameters(given, sweep, todo), given.requeues
        self.base = CellFolder(sweep.folder / "slurm")
        self.jobs: dict[str, str] = {}
        self.requeued = dict.fromkeys(todo, 0)
        self.gone: dict[str, float] = {}
        self.before = {key: (self._end(key)[0], state) for key, state in todo.items()}  # an end since then counts

    # --- submitting

    def submit(self, cells: list[str]) -> None:
        """Submit cells that no living job of an earlier launch has already."""
        with self.base.claim(-1):  # other launchers do not submit meanwhile
            known, queue = self.base.read("jobs.json"), alive()
            if queue is None:
                raise RuntimeError("launcher 'slurm': squeue does not answer; is the controller up?")
            self.jobs |= {key: known[key] for key in cells if known.get(key) in queue}
            new = [key for key in cells if self.jobs.get(key) not in queue]
            for start in range(0, len(new), ARRAY):
                self.jobs |= self._submit(new[start : start + ARRAY])
                self.base.write("jobs.json", known | self.jobs)

    def _submit(self, cells: list[str]) -> dict[str, str]:
        executor = submitit.AutoExecutor(self.base.path / "jobs" / "%j", "slurm", slurm_max_num_timeout=TIMEOUTS)
        executor.update_parameters(**self.parameters)
        threads, patience = self.parameters["cpus_per_task"], ("--patience", str(PATIENCE_S))
        commands = [worker_command(self.sweep, key, threads, *patience) for key in cells]
        try:
            with executor.batch():
                jobs = [executor.submit(Work(command, str(config.root()))) for command in commands]
            return {key: job.job_id for key, job in zip(cells, jobs, strict=True)}
        except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError) as err:
            words = getattr(err, "stderr", None) or str(err)
            raise RuntimeError(f"sbatch took no job: {words.strip()}") from None

    # --- watching

    def look(self) -> None:
        """Take up what has ended; requeue what is gone without an end."""
        queue = alive()
        for key in list(self.left):
            folder, job = self.sweep.of(key), self.jobs[key]
            over = (now := self._end(key))[1].name in ("done", "failed", "damaged") and now != self.before[key]
            if over and not folder.held():  # one that is begun again looks damaged while the old is put aside
                self.end(key, now[1])
            elif queue is None or job in queue:
                self.gone.pop(key, None)
                words = folder.read("clock.json").get("told") if folder.held() else ""
                self.tell(key, words or f"job {job}: {(queue or {}).get(job, 'Slurm does not answer')}")
            elif time.monotonic() - self.gone.setdefault(key, time.monotonic()) >= GONE_S and not folder.held():
                self._again(key)

    def _end(self, key: str) -> tuple[int, State]:
        """Return what tells one end of a cell from another: its attempts, asked for before its state, and that."""
        return self.sweep.of(key).read("clock.json").get("attempts", 0), self.sweep.state(key)

    def _again(self, key: str) -> None:
        """Requeue a cell's job, or submit another where Slurm no longer knows it."""
        self.gone.pop(key, None)
        job = self.jobs[key]
        if self.requeued[key] >= self.requeues:
            where = self.base.path / "jobs" / job
            self.end(key, State("interrupted", f"job {job} died {self.requeued[key] + 1} times; its output: {where}"))
            return
        self.requeued[key] += 1
        self.sweep.of(key).tell(f"job {job} is gone without an end: requeued")
        if subprocess.run(["scontrol", "requeue", job], capture_output=True).returncode:
            self.submit([key])
