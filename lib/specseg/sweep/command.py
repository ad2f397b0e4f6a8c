"""The command line of an experiment's file: run (the default), status, list, worker; `specseg sweep` takes the same."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from specseg.evidence import config, records
from specseg.sweep import work
from specseg.sweep.cells import Experiment
from specseg.sweep.folder import PATIENCE_S, State, here
from specseg.sweep.launchers import COLOURS, HELD, Board, InProcess, Local, duration, gpus
from specseg.sweep.work import Sweep

COMMANDS = {
    "run": "Do the cells that are not done; print what is left and the estimated hours first.",
    "status": "Show every cell: state, last words, minutes, record.",
    "list": "List the cells in order of priority, with the estimated minutes.",
    "worker": "Do one cell in this process (the launchers start this).",
}
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
PATIENT_S = 10.0


def parser(command: str, prog: str) -> argparse.ArgumentParser:
    """Return the parser of one command.

    >>> parser("run", "specseg sweep run").parse_intermixed_args(["--only", "voc", "--only", "s0"]).only
    ['voc', 's0']
    """
    out = argparse.ArgumentParser(prog=prog, description=COMMANDS[command], allow_abbrev=False)
    add = out.add_argument
    add("name", nargs="?", help="the experiment, as in `specseg sweep list`")
    all_ = command == "status"
    words = "smoke, standard or paper (profiles.toml)" + "; default: all" * all_
    add("--profile", default=None if all_ else "smoke", help=words)
    add("--folder", type=Path, help="where the cells are kept (default: runs/ in the project's root)")
    if command != "worker":
        add("--only", action="append", default=[], metavar="SUBSTRING", help="only cells whose id holds it; repeatable")
    if command in ("run", "worker"):
        add("--device", default="auto", choices=("auto", "cpu", "cuda"))
        words = "of trainings that begin now, where the network leaves it open (auto: what the machine does fast)"
        add("--precision", default="auto", choices=("auto", "32-true", "bf16-mixed"), help=words)
        add("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
        add("--retry-failed", action="store_true", help="take up failed cells again")
        add("--redo-stale", action="store_true", help="do again what was done by other code; the old is put aside")
    if command == "worker":
        add("--cell", required=True, help="id of the cell")
        add("--patience", type=float, default=PATIENCE_S, help="seconds to wait for a cell that another process holds")
        add("--leash", action="store_true", help=argparse.SUPPRESS)  # end when standard input closes
    if command == "run":
        add("--launcher", default="in-process", choices=("in-process", "local", "slurm"))
        add("--limit", type=_at_least(1), help="at most this many of the cells that are left")
        add("--dry-run", action="store_true", help="print what would be done and the estimated hours, then stop")
        add("--jobs", type=_at_least(1), default=2, help="local: cells at a time (2)")
        add("--gpus-per-cell", type=_at_least(0), default=0, help="local, slurm: GPUs of each cell")
        add = out.add_argument_group("slurm").add_argument
        add("--cpus-per-cell", type=_at_least(1), default=4, help="cores of each job (4)")
        add("--partition", help="partition of the cluster")
        add("--time", type=_at_least(1), metavar="MINUTES", help="limit of a job; then it is requeued")
        add("--max-parallel", type=_at_least(1), default=64, help="jobs at a time (64)")
        add("--sbatch", action="append", default=[], metavar="KEY=VALUE", help="any option of sbatch")
        add("--requeues", type=_at_least(0), default=3, help="how often a job that died goes on (3)")
        add("--no-wait", action="store_true", help="submit and return")
    return out


def _at_least(least: int):
    def number(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, at least {least}")
        return int(text)

    return number


def main(experiment: Experiment, arguments: list[str] | None = None) -> None:
    """Run an experiment's command line and end the process: status 0 when all is done, 1 when a cell failed,
    2 for a mistake in the command (one line on stderr, nothing started), 130 when interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words.pop(0) if words and words[0] in COMMANDS else "run"
    given = parser(command, f"{Path(sys.argv[0]).name} {command}").parse_intermixed_args(words)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        if given.name not in (None, experiment.name):
            raise ValueError(f"unknown experiment {given.name!r}: this file holds {experiment.name!r}")
        status = {"run": run, "status": show_status, "list": show_list, "worker": worker}[command](experiment, given)
    except (ValueError, FileNotFoundError, RuntimeError) as err:
        _console(stderr=True).print(f"{experiment.name}: {err}")
        status = USAGE
    except KeyboardInterrupt:
        status = INTERRUPTED
    raise SystemExit(status)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _console(stderr: bool = False) -> Console:
    """Return a console that prints lines as they are; a width counts for tables alone."""
    width = None if sys.stdout.isatty() else 200
    return Console(stderr=stderr, highlight=False, markup=False, soft_wrap=True, width=width)


def _sweep(experiment: Experiment, given: argparse.Namespace, profile: str) -> Sweep:
    config.profile(profile)
    options = ("device", "precision", "allow_dirty", "retry_failed", "redo_stale")
    home = (given.folder or config.root() / "runs").resolve()
    return Sweep(experiment, profile, home, **{k: getattr(given, k) for k in options if hasattr(given, k)})


def _chosen(sweep: Sweep, only: list[str]) -> list[str]:
    kept = [key for key in sweep.cells if not only or any(text in key for text in only)]
    if sweep.cells and not kept:
        words = f"no cell's id holds {' or '.join(map(repr, only))}"
        raise ValueError(f"{words}; one of the {len(sweep.cells)} is {next(iter(sweep.cells))!r}")
    return kept


# --- run


def run(experiment: Experiment, given: argparse.Namespace) -> int:
    """Do the cells that are left and return the exit status."""
    missing = _lacking(given)
    if missing and not given.dry_run:
        raise missing
    sweep, console = _sweep(experiment, given, given.profile), _console()
    states = {key: sweep.state(key) for key in _chosen(sweep, given.only)}
    todo = choose(states, given.retry_failed, given.redo_stale, given.limit)
    for line in announcement(sweep, states, todo, given):
        console.print(line)
    old = [key for key, state in states.items() if state.name == "failed" and key not in todo]
    for key in old:
        console.print(f"failed before {key}: {states[key].why}; log: {sweep.of(key).log}")
    if old:
        console.print(f"{len(old)} cells failed before: --retry-failed takes them up again")
    if given.dry_run:
        for key in todo:
            console.print(f"would do {key}")
        if missing:
            console.print(f"but not here: {missing}")
        return DONE
    if not todo:
        return FAILED if old else DONE
    records.require_committed(given.allow_dirty)
    ended = _launch(sweep, todo, Board(console, len(todo)), given)
    failed = {key: state for key, state in ended.items() if state.name != "done"}
    for key, state in failed.items():
        console.print(f"{state.name} {key}: {state.why}; log: {sweep.of(key).log}")
    return FAILED if old or failed else DONE


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
        gpus(given.jobs * given.gpus_per_cell)
    except RuntimeError as err:
        return err
    return None


def _launch(sweep: Sweep, todo: Mapping[str, State], board: Board, given: argparse.Namespace) -> dict[str, State]:
    if given.launcher == "slurm":
        from specseg.sweep import slurm

        return slurm.launch(sweep, todo, board, given)
    if given.launcher == "local":
        return Local(sweep, todo, board, given.jobs, given.gpus_per_cell).run(0.1)
    work.choose(sweep.device, sweep.precision)
    return InProcess(sweep, todo, board).run(1.0)


def choose(states: Mapping[str, State], retry: bool, redo: bool, limit: int | None = None) -> dict[str, State]:
    """Return the cells to do, as found: all but the done (the stale with `redo`) and the failed (unless `retry`)."""

    def left(state: State) -> bool:
        return redo and state.why != "" if state.name == "done" else retry or state.name != "failed"

    return dict([(key, state) for key, state in states.items() if left(state)][:limit])


def announcement(
    sweep: Sweep, states: Mapping[str, State], todo: Mapping[str, State], given: argparse.Namespace
) -> list[str]:
    """Return what is said before anything starts: cells done and left, estimated hours, what is damaged or stale."""
    done = {key: state for key, state in states.items() if state.name == "done"}
    hours = sum(sweep.minutes(todo)) / 60
    jobs = {"in-process": 1, "local": given.jobs, "slurm": given.max_parallel}[given.launcher]
    at_once = max(1, min(jobs, len(todo)))
    if given.device == "cuda":
        cost = f"{hours * max(1, given.gpus_per_cell):.2f} GPU hours"
    else:
        each = given.cpus_per_cell if given.launcher == "slurm" else max(1, (os.cpu_count() or 1) // jobs)
        cost = f"{hours * each:.2f} CPU hours"
    lines = [
        f"{sweep.experiment.name}, profile {sweep.profile}, launcher {given.launcher}: {len(states)} cells, "
        f"{len(done)} done, {len(todo)} to do; estimated {cost} "
        f"(about {duration(3600 * hours / at_once)}, {at_once} at a time)"
    ]
    lines += [f"damaged, will be put aside and done again: {s.why}" for s in states.values() if s.name == "damaged"]
    stale = [f"done, but {state.why} ({key})" for key, state in done.items() if state.why and key not in todo]
    lines += stale[:5]
    if stale:
        lines.append(f"{len(stale)} done cells are not what the present code makes: --redo-stale does them again")
    return lines


# --- status and list


def show_status(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the table of cells, of one profile or of every profile that was begun."""
    console = _console()
    home = (given.folder or config.root() / "runs").resolve() / experiment.name
    profiles = [given.profile] if given.profile else [p for p in config.profiles() if (home / p).is_dir()]
    if not profiles:
        console.print(f"{experiment.name}: nothing was begun in {home}")
    for profile in profiles:
        sweep = _sweep(experiment, given, profile)
        console.print(status_table(sweep, _chosen(sweep, given.only)), soft_wrap=False)
    return DONE


def status_table(sweep: Sweep, cells: Iterable[str]) -> Table:
    """Return the table of cells: state, last words, minutes so far, record."""
    table = Table(title=f"{sweep.experiment.name}, profile {sweep.profile}: {sweep.folder}")
    for name in ("cell", "state", "last words", "minutes", "record"):
        table.add_column(name, overflow="fold", justify="right" if name == "minutes" else "left")
    for key in cells:
        state, folder = sweep.state(key), sweep.of(key)
        seconds = state.done.get("wall_s", folder.read("clock.json").get("wall_s"))
        shown, last = state.name, state.why
        if state.name == "done":
            shown, last = f"done, {state.why}" if state.why else "done", ""
        elif state.name in ("running", "interrupted"):
            last = folder.read("clock.json").get("told", "")
        minutes, record = "" if seconds is None else f"{seconds / 60:.1f}", state.done.get("record") or ""
        table.add_row(Text(key), Text(shown, COLOURS.get(state.name, "")), Text(last), minutes, Text(record))
    return table


def show_list(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the cells in order of priority."""
    sweep = _sweep(experiment, given, given.profile)
    table = Table("cell", "minutes", title=f"{experiment.name}, profile {sweep.profile}")
    keys = _chosen(sweep, given.only)
    for key, minutes in zip(keys, sweep.minutes(keys), strict=True):
        table.add_row(key, f"{minutes:.1f}")
    _console().print(table, soft_wrap=False)
    return DONE


# --- worker


def worker(experiment: Experiment, given: argparse.Namespace) -> int:
    """Do one cell in this process and return the exit status: 0 done, 1 failed, 75 held by another process."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a job near its time limit: submitit requeues it, SIGTERM follows
    if given.leash:
        threading.Thread(target=_follow, daemon=True).start()
    sweep = _sweep(experiment, given, given.profile)
    if given.cell not in sweep.cells:
        raise ValueError(f"no cell {given.cell!r} at profile {sweep.profile}")
    work.choose(given.device, given.precision)
    folder = sweep.of(given.cell)
    if given.patience > PATIENCE_S and folder.held():
        folder.tell(f"{here()} waits for {folder.holder()}")
    state = work.work(sweep, given.cell, patience_s=given.patience)
    if state.name == "failed" and not folder.error.exists():
        _console(stderr=True).print(f"failed: {state.why}")
    return {"done": DONE, "running": HELD}.get(state.name, FAILED)


def _follow() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(PATIENT_S)
    os._exit(128 + signal.SIGTERM)  # the main thread is deep in a computation that does not return to Python
