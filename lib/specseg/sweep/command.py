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

import pandas as pd
from typer import echo

from specseg.evidence import config, records
from specseg.sweep import work
from specseg.sweep.cells import Experiment
from specseg.sweep.folder import PATIENCE_S, State, here
from specseg.sweep.launchers import HELD, Launcher, Local, duration, gpus
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
        echo(f"{experiment.name}: {err}", err=True)
        status = USAGE
    except KeyboardInterrupt:
        status = INTERRUPTED
    raise SystemExit(status)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


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
    sweep = _sweep(experiment, given, given.profile)
    states = {key: sweep.state(key) for key in _chosen(sweep, given.only)}
    todo = dict([(key, state) for key, state in states.items() if sweep.left(state)][: given.limit])
    for line in announcement(sweep, states, todo, given):
        echo(line)
    if given.dry_run:
        for line in [f"would do {key}" for key in todo] + [f"but not here: {missing}"] * bool(missing):
            echo(line)
        return DONE
    ended = {key: state for key, state in states.items() if state.name == "failed" and key not in todo}
    if todo:
        records.require_committed(given.allow_dirty)
        ended |= _launch(sweep, todo, given)
    return DONE if all(state.name == "done" for state in ended.values()) else FAILED


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


def _launch(sweep: Sweep, todo: Mapping[str, State], given: argparse.Namespace) -> dict[str, State]:
    if given.launcher == "slurm":
        from specseg.sweep import slurm

        return slurm.launch(sweep, todo, given)
    if given.launcher == "local":
        return Local(sweep, todo, given.jobs, given.gpus_per_cell).run(0.1)
    work.choose(sweep.device, sweep.precision)
    return Launcher(sweep, todo).run(1.0)


def announcement(
    sweep: Sweep, states: Mapping[str, State], todo: Mapping[str, State], given: argparse.Namespace
) -> list[str]:
    """Return what is said before anything starts: cells done and left, estimated hours, what is damaged or stale."""
    hours = sum(sweep.minutes(todo)) / 60
    jobs = {"in-process": 1, "local": given.jobs, "slurm": given.max_parallel}[given.launcher]
    at_once = max(1, min(jobs, len(todo)))
    each = given.cpus_per_cell if given.launcher == "slurm" else max(1, (os.cpu_count() or 1) // jobs)
    unit, each = ("GPU", max(1, given.gpus_per_cell)) if given.device == "cuda" else ("CPU", each)
    done, lines = sum(state.name == "done" for state in states.values()), []
    stale = {key: state.why for key, state in states.items() if state.name == "done" and state.why and key not in todo}
    if stale:
        lines.append(f"{len(stale)} done cells are not what the present code makes: --redo-stale does them again; the "
                     f"first is {next(iter(stale))}: {next(iter(stale.values()))}")  # fmt: skip
    for key, state in states.items():
        if state.name == "damaged":
            lines.append(f"damaged, will be put aside and done again: {state.why}")
        if state.name == "failed" and key not in todo:
            lines.append(
                f"failed before, --retry-failed takes it up again: {key}: {state.why}; log: {sweep.of(key).log}"
            )
    return [
        f"{sweep.experiment.name}, profile {sweep.profile}, launcher {given.launcher}: {len(states)} cells, "
        f"{done} done, {len(todo)} to do; estimated {hours * each:.2f} {unit} hours "
        f"(about {duration(3600 * hours / at_once)}, {at_once} at a time)", *lines,
    ]  # fmt: skip


# --- status and list


def show_status(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the table of cells, of one profile or of every profile that was begun."""
    home = (given.folder or config.root() / "runs").resolve() / experiment.name
    profiles = [given.profile] if given.profile else [p for p in config.profiles() if (home / p).is_dir()]
    if not profiles:
        echo(f"{experiment.name}: nothing was begun in {home}")
    for profile in profiles:
        sweep = _sweep(experiment, given, profile)
        echo(f"{experiment.name}, profile {profile}: {sweep.folder}")
        echo(status_table(sweep, _chosen(sweep, given.only)).to_string(index=False))
    return DONE


def status_table(sweep: Sweep, cells: Iterable[str]) -> pd.DataFrame:
    """Return the table of cells: state, last words, minutes so far, record."""
    rows = []
    for key in cells:
        state, clock = sweep.state(key), sweep.of(key).read("clock.json")
        at_work = state.name in ("running", "interrupted")
        rows.append({"cell": key, "state": state.name, "minutes": f"{clock.get('wall_s', 0) / 60:.1f}",
                     "last words": clock.get("told", "") if at_work else state.why,
                     "record": state.done.get("record") or ""})  # fmt: skip
    return pd.DataFrame(rows)


def show_list(experiment: Experiment, given: argparse.Namespace) -> int:
    """Print the cells in order of priority."""
    sweep = _sweep(experiment, given, given.profile)
    keys = _chosen(sweep, given.only)
    echo(f"{experiment.name}, profile {sweep.profile}")
    echo(pd.DataFrame({"cell": keys, "minutes": sweep.minutes(keys)}).round(1).to_string(index=False))
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
        echo(f"failed: {state.why}", err=True)
    return {"done": DONE, "running": HELD}.get(state.name, FAILED)


def _follow() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(PATIENT_S)
    os._exit(128 + signal.SIGTERM)  # the main thread is deep in a computation that does not return to Python
