"""The commands `specseg sweep ...`: they start the experiments' own files with the same options."""

from __future__ import annotations

import ast
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


def _find(name: str) -> Path:
    known = experiments()
    if name not in known:
        raise ValueError(f"unknown experiment {name!r}: expected one of {', '.join(known) or '(there is none)'}")
    return known[name]


def _start(file: Path, command: str, words: list[str]) -> int:
    """Start an experiment's file as a child process and return its exit status."""
    with subprocess.Popen([sys.executable, str(file), command, *words], cwd=config.root()) as child:
        while child.returncode is None:
            try:
                child.wait()
            except KeyboardInterrupt:
                continue  # the child gets the same Ctrl-C: it ends its cells and says what is left
    return child.returncode


def _one(command: str, words: list[str]) -> None:
    from specseg.sweep import options  # the sweep loads pandas: not for a page of help

    given = options.parser(command, f"specseg sweep {command}").parse_intermixed_args(words)
    if given.name is None:
        raise ValueError(f"specseg sweep {command}: which experiment? One of {', '.join(experiments())}")
    if getattr(given, "folder", None):
        words = [*words, "--folder", str(given.folder.resolve())]  # the child starts in the project's root
    raise typer.Exit(_start(_find(given.name), command, words))


@app.command(context_settings=PASS)
def run(words: Words = None) -> None:
    """Do the cells of an experiment that are not done (`specseg sweep run NAME --help` lists the options)."""
    _one("run", words or [])


@app.command(context_settings=PASS)
def status(words: Words = None) -> None:
    """Show the cells of one experiment, or of all: state, last words, minutes, record."""
    from specseg.sweep import options

    given = options.parser("status", "specseg sweep status").parse_intermixed_args(words or [])
    if given.name:
        _one("status", words or [])
    states = [_start(file, "status", words or []) for file in experiments().values()]
    raise typer.Exit(max(states, default=0))


@app.command("list", context_settings=PASS)
def list_(words: Words = None) -> None:
    """List the experiments; with a name, its cells and their estimated minutes."""
    if words:
        _one("list", words)
    table = Table("experiment", "what it measures")
    for name, file in experiments().items():
        about = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        table.add_row(name, about.partition("\n")[0])
    Console(highlight=False).print(table)
