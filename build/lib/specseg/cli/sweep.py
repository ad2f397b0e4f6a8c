"""The commands `specseg sweep ...`: they start the experiments' own files with the same options."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from specseg.evidence import config

app = typer.Typer(no_args_is_help=True, help="The experiments: run their cells, see what is done and what is left.")
PASS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
Words = Annotated[list[str] | None, typer.Argument(metavar="NAME [OPTIONS]...", show_default=False)]


def experiments() -> dict[str, Path]:
    """Return name -> file of every experiment that is a sweep, from experiments/ in the project's root."""
    folder = config.root() / "experiments"
    return {p.stem: p for p in sorted(folder.glob("*.py")) if "sweep.main(" in p.read_text(encoding="utf-8")}


def _become(command: str, words: list[str]) -> None:
    """Go on as the experiment's own program, from the project's root: signals and the exit status are its own.

    Returns when the words name no experiment. Raises ValueError for one that there is not.
    """
    from specseg.sweep.command import parser  # the sweep loads pandas: not for a page of help

    given, known = parser(command, f"specseg sweep {command}").parse_intermixed_args(words), experiments()
    if given.name is None:
        return
    if given.name not in known:
        known_ = ", ".join(known) or "(there is none)"
        raise ValueError(f"unknown experiment {given.name!r}: expected one of {known_}")
    folder = ["--folder", str(given.folder.resolve())] if given.folder else []
    os.chdir(config.root())
    os.execv(sys.executable, [sys.executable, str(known[given.name]), command, *words, *folder])


@app.command(context_settings=PASS)
def run(words: Words = None) -> None:
    """Do the cells of an experiment that are not done (`specseg sweep run NAME --help` lists the options)."""
    _become("run", words or [])
    raise ValueError(f"specseg sweep run: which experiment? One of {', '.join(experiments())}")


@app.command(context_settings=PASS)
def status(words: Words = None) -> None:
    """Show the cells of one experiment, or of all: state, last words, minutes, record."""
    _become("status", words or [])
    commands = [[sys.executable, str(file), "status", *(words or [])] for file in experiments().values()]
    raise typer.Exit(max((subprocess.run(command).returncode for command in commands), default=0))


@app.command("list", context_settings=PASS)
def list_(words: Words = None) -> None:
    """List the experiments; with a name, its cells and their estimated minutes."""
    _become("list", words or [])
    table = Table("experiment", "what it measures")
    for name, file in experiments().items():
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        table.add_row(name, about.partition("\n")[0])
    Console(highlight=False).print(table)
