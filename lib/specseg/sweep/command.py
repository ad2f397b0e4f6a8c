"""The command line of an experiment's file: run (the default), status, list, worker."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console
from rich.table import Table

from specseg.evidence import config, records
from specseg.sweep import launchers, options, work
from specseg.sweep.board import Board, duration, status_table
from specseg.sweep.cells import Experiment
from specseg.sweep.folder import State
from specseg.sweep.launchers import HELD, Tally, Todo
from specseg.sweep.work import Sweep

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PATIENT_S = 10.0


def main(experiment: Experiment, arguments: list[str] | None = None) -> None:
    """Run an experiment's command line and end the process: status 0 when all is done, 1 when a cell failed,
    2 for a mistake in the command (one line on stderr, nothing started), 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words.pop(0) if words and words[0] in options.COMMANDS else "run"
    given = options.parser(command, f"{Path(sys.argv[0]).name} {command}").parse_intermixed_args(words)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if given.name not in (None, experiment.name):
            raise ValueError(f"unknown experiment {given.name!r}: this file holds {experiment.name!r}")
        status = {"run": run, "status": show_status, "list": show_list, "worker": worker}[command](experiment, given)
    except (ValueError, FileNotFoundError, RuntimeError) as err:
        Console(stderr=True, highlight=False).print(f"{experiment.name}: {err}", markup=False, soft_wrap=True)
        status = USAGE
    except KeyboardInterrupt:
        status = INTERRUPTED
    raise SystemExit(status)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _console() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def _sweep(experiment: Experiment, given: argparse.Namespace, profile: str) -> Sweep:
    config.profile(profile)
    home = (given.folder or config.root() / "runs").resolve()
    chosen = {k: getattr(given, k) for k in ("device", "allow_dirty", "precision") if hasattr(given, k)}
    return Sweep(experiment, profile, home, **chosen)


def _chosen(sweep: Sweep, only: list[str]) -> dict:
    cells = sweep.experiment.by_id(sweep.profile)
    kept = {key: cell for key, cell in cells.items() if not only or any(text in key for text in only)}
    if cells and not kept:
        raise ValueError(
            f"no cell's id holds {' or '.join(map(repr, only))}; one of the {len(cells)} is {next(iter(cells))!r}"
        )
    return kept


# --- run


def run(experiment: Experiment, given: argparse.Namespace) -> int:
    """Do the cells that are left and return the exit status."""
    missing = _lacking(given)
    if missing and not given.dry_run:
        raise missing
    sweep = _sweep(experiment, given, given.profile)
    cells = _chosen(sweep, given.only)
    states = {key: sweep.state(key) for key in cells}
    todo = choose(cells, states, given.retry_failed, given.redo_stale, given.limit)
    console = _console()
    for line in announcement(sweep, states, todo, given):
        console.print(line, markup=False, soft_wrap=True)
    old = [key for key, state in states.items() if state.name == "failed" and key not in todo.cells]
    for key in old:
        console.print(f"failed before {key}: {states[key].why}; log: {sweep.of(key).log}", markup=False, soft_wrap=True)
    if old:
        console.print(f"{len(old)} cells failed before: --retry-failed takes them up again")
    if given.dry_run:
        for key in todo.cells:
            console.print(f"would do {key}", markup=False)
        if missing:
            console.print(f"but not here: {missing}", markup=False, soft_wrap=True)
        return DONE
    if not todo.cells:
        return FAILED if old else DONE
    records.require_committed(given.allow_dirty)
    with Board(console, len(todo.cells)) as board:
        tally = _launch(sweep, todo, board, given)
    for key in tally.failed:
        state = tally.ended[key]
        console.print(f"{state.name} {key}: {state.why}; log: {sweep.of(key).log}", markup=False, soft_wrap=True)
    return FAILED if old or tally.failed else DONE


def _lacking(given: argparse.Namespace) -> RuntimeError | None:
    """Return what this machine lacks for the command; a command that asks for GPUs sets device cuda: a job without
    one must say so, not crawl on the CPU. Raises ValueError for options that contradict each other.
    """
    if given.gpus_per_cell and given.device == "cpu":
        raise ValueError("--gpus-per-cell with --device cpu: choose one")
    if given.gpus_per_cell and given.launcher == "in-process":
        raise ValueError("--gpus-per-cell is for the launchers local and slurm; in this process use --device cuda")
    if given.gpus_per_cell:
        given.device = "cuda"
    if given.launcher == "slurm":  # its GPUs are elsewhere
        words = "launcher 'slurm': no sbatch here; run on a cluster's login node, or use --launcher local"
        return None if shutil.which("sbatch") else RuntimeError(words)
    try:
        if given.device == "cuda":
            config.device("cuda")
        if given.launcher == "local":
            launchers.gpu_names(given.jobs * given.gpus_per_cell)
    except RuntimeError as err:
        return err
    return None


def _launch(sweep: Sweep, todo: Todo, board: Board, given: argparse.Namespace) -> Tally:
    if given.launcher == "slurm":
        from specseg.sweep import slurm

        return slurm.launch(sweep, todo, board, slurm.Request.of(given, sweep, todo))
    if given.launcher == "local":
        return launchers.local(sweep, todo, board, given.jobs, given.gpus_per_cell)
    work.choose_device(sweep.device)
    work.choose_precision(sweep.precision)
    return launchers.in_process(sweep, todo, board)


def choose(cells: dict, states: dict[str, State], retry: bool, redo: bool, limit: int | None = None) -> Todo:
    """Return the cells to do: all but the done (the stale with `redo`) and the failed (unless `retry`)."""
    stale = {key for key, state in states.items() if state.name == "done" and state.why and redo}
    failed = {key for key, state in states.items() if state.name == "failed"}
    skipped = {key for key, state in states.items() if state.name == "done"} - stale | (set() if retry else failed)
    left = [key for key in cells if key not in skipped][:limit]
    kept = {key: cells[key] for key in left}
    return Todo(kept, frozenset(failed & set(left)) if retry else frozenset(), frozenset(stale & set(left)))


def announcement(sweep: Sweep, states: dict[str, State], todo: Todo, given: argparse.Namespace) -> list[str]:
    """Return what is said before anything starts: cells done and left, estimated hours, what is damaged or stale."""
    done = [state for state in states.values() if state.name == "done"]
    hours = sum(sweep.experiment.minutes(cell, sweep.profile) for cell in todo.cells.values()) / 60
    if given.device == "cuda":
        cost = f"{few(hours * max(1, given.gpus_per_cell))} GPU hours"
    else:
        cores = os.cpu_count() or 1
        each = {"in-process": cores, "local": max(1, cores // given.jobs), "slurm": given.cpus_per_cell}[given.launcher]
        cost = f"{few(hours * each)} CPU hours"
    at_once = {"in-process": 1, "local": given.jobs, "slurm": given.max_parallel}[given.launcher]
    at_once = max(1, min(at_once, len(todo.cells)))
    lines = [
        f"{sweep.experiment.name}, profile {sweep.profile}, launcher {given.launcher}: {len(states)} cells, "
        f"{len(done)} done, {len(todo.cells)} to do; estimated {cost} "
        f"(about {duration(3600 * hours / at_once)}, {at_once} at a time)"
    ]
    lines += [f"damaged, will be put aside and done again: {s.why}" for s in states.values() if s.name == "damaged"]
    stale = [key for key, state in states.items() if state.name == "done" and state.why and key not in todo.redo]
    lines += [f"done, but {states[key].why} ({key})" for key in stale[:5]]
    if stale:
        lines.append(f"{len(stale)} done cells are not what the present code makes: --redo-stale does them again")
    return lines


def few(hours: float) -> str:
    """Return hours with the digits that an estimate deserves.

    >>> few(0.0123), few(3.21), few(1234.6)
    ('0.01', '3.2', '1235')
    """
    return f"{hours:.2f}" if hours < 1 else f"{hours:.1f}" if hours < 100 else f"{hours:.0f}"


# --- status and list


def show_status(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the table of cells, of one profile or of every profile that was begun."""
    console = _console()
    home = (given.folder or config.root() / "runs").resolve() / experiment.name
    profiles = [given.profile] if given.profile else [p for p in config.profiles() if (home / p).is_dir()]
    if not profiles:
        console.print(f"{experiment.name}: nothing was begun in {home}", markup=False, soft_wrap=True)
    for profile in profiles:
        sweep = _sweep(experiment, given, profile)
        console.print(status_table(sweep, _chosen(sweep, given.only)))
    return DONE


def show_list(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the cells in order of priority."""
    sweep = _sweep(experiment, given, given.profile)
    table = Table("cell", "minutes", title=f"{experiment.name}, profile {sweep.profile}")
    for key, cell in _chosen(sweep, given.only).items():
        table.add_row(key, f"{experiment.minutes(cell, sweep.profile):.1f}")
    _console().print(table)
    return DONE


# --- worker


def worker(experiment: Experiment, given: argparse.Namespace) -> int:
    """Do one cell in this process and return the exit status: 0 done, 1 failed, 75 held by another process."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a job near its time limit: submitit requeues it, SIGTERM follows
    if given.leash:
        threading.Thread(target=_follow, daemon=True).start()
    sweep = _sweep(experiment, given, given.profile)
    cells = experiment.by_id(sweep.profile)
    if given.cell not in cells:
        raise ValueError(f"no cell {given.cell!r} at profile {sweep.profile}")
    work.choose_device(given.device)
    work.choose_precision(given.precision)
    state = work.work(
        sweep,
        given.cell,
        cells[given.cell],
        retry=given.retry_failed,
        redo=given.redo_stale,
        patience_s=given.patience,
    )
    if state.name == "failed" and not sweep.of(given.cell).error.exists():
        Console(stderr=True).print(f"failed: {state.why}", markup=False, soft_wrap=True)
    return {"done": DONE, "running": HELD}.get(state.name, FAILED)


def _follow() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(PATIENT_S)
    os._exit(128 + signal.SIGTERM)  # the main thread is deep in a computation that does not return to Python
