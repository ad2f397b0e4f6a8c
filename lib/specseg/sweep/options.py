"""The options of an experiment's command line; `specseg sweep` takes the same."""

from __future__ import annotations

import argparse
from pathlib import Path

from specseg.sweep.folder import PATIENCE_S

COMMANDS = ("run", "status", "list", "worker")
LAUNCHERS = ("in-process", "local", "slurm")


def parser(command: str, prog: str) -> argparse.ArgumentParser:
    """Return the parser of one command.

    >>> parser("run", "specseg sweep run").parse_intermixed_args(["--only", "voc", "--only", "s0"]).only
    ['voc', 's0']
    """
    about = {
        "run": "Do the cells that are not done; print what is left and the estimated hours first.",
        "status": "Show every cell: state, last words, minutes, record.",
        "list": "List the cells in order of priority, with the estimated minutes.",
        "worker": "Do one cell in this process (the launchers start this).",
    }
    out = argparse.ArgumentParser(prog=prog, description=about[command], allow_abbrev=False)
    add = out.add_argument
    add("name", nargs="?", help="the experiment, as in `specseg sweep list`")
    default = None if command == "status" else "smoke"
    add(
        "--profile",
        default=default,
        help="smoke, standard or paper (profiles.toml)" + ("; default: all" * (not default)),
    )
    add("--folder", type=Path, help="where the cells are kept (default: runs/ in the project's root)")
    if command != "worker":
        add("--only", action="append", default=[], metavar="SUBSTRING", help="only cells whose id holds it; repeatable")
    if command in ("run", "worker"):
        add("--device", default="auto", choices=("auto", "cpu", "cuda"))
        add(
            "--precision",
            default="auto",
            choices=("auto", "32-true", "bf16-mixed"),
            help="of trainings that begin now, where the network leaves it open (auto: what the machine does fast)",
        )
        add("--allow-dirty", action="store_true", help="measure with code that is not committed; the records say so")
        add("--retry-failed", action="store_true", help="take up failed cells again")
        add("--redo-stale", action="store_true", help="do again what was done by other code; the old is put aside")
    if command == "worker":
        add("--cell", required=True, help="id of the cell")
        add("--patience", type=float, default=PATIENCE_S, help="seconds to wait for a cell that another process holds")
        add("--leash", action="store_true", help=argparse.SUPPRESS)  # end when standard input closes
    if command == "run":
        add("--launcher", default="in-process", choices=LAUNCHERS)
        add("--limit", type=_at_least(1), help="at most this many of the cells that are left")
        add("--dry-run", action="store_true", help="print what would be done and the estimated hours, then stop")
        add("--jobs", type=_at_least(1), default=2, help="local: cells at a time (2)")
        add("--gpus-per-cell", type=_at_least(0), default=0, help="local, slurm: GPUs of each cell")
        slurm = out.add_argument_group("slurm")
        slurm.add_argument("--cpus-per-cell", type=_at_least(1), default=4, help="cores of each job (4)")
        slurm.add_argument("--partition", help="partition of the cluster")
        slurm.add_argument("--time", type=_at_least(1), metavar="MINUTES", help="limit of a job; then it is requeued")
        slurm.add_argument("--max-parallel", type=_at_least(1), default=64, help="jobs at a time (64)")
        slurm.add_argument("--sbatch", action="append", default=[], metavar="KEY=VALUE", help="any option of sbatch")
        slurm.add_argument("--requeues", type=_at_least(0), default=3, help="how often a job that died goes on (3)")
        slurm.add_argument("--no-wait", action="store_true", help="submit and return")
    return out


def _at_least(least: int):
    def number(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, at least {least}")
        return int(text)

    return number
