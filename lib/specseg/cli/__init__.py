"""The command `specseg`: build the book, run a chapter, look after data sets, run experiments, ask the ledger."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from specseg import __version__
from specseg.cli import advise, data, nets, sweep
from specseg.evidence import config

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
ledger_app = typer.Typer(no_args_is_help=True, help="The claims, their verdicts, and what a change touches.")
records_app = typer.Typer(no_args_is_help=True, help="The records of measured results.")
for name, group in {"data": data.app, "nets": nets.app, "sweep": sweep.app, "records": records_app,
                    "ledger": ledger_app}.items():  # fmt: skip
    app.add_typer(group, name=name)
app.command("advise")(advise.advise)
console = Console(highlight=False)

PASS = sweep.PASS
Options = Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]...", show_default=False)]


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="print the version and stop")] = False) -> None:
    if version:
        console.print(f"specseg {__version__}")
        raise typer.Exit


def _driver(command: str, words: list[str] | None) -> None:
    """Go on as the book's driver, which knows its options, from the project's root: signals and status are its own."""
    driver = config.root() / "book" / "build.py"
    if not driver.is_file():
        raise FileNotFoundError(f"{driver}: missing; run specseg inside a checkout of the project")
    line = [sys.executable, str(driver), command, *map(_whole, words or [])]
    os.chdir(config.root())
    os.execv(sys.executable, line)


def _whole(word: str) -> str:
    """Return `folder=PLACE`, the option before it or not, with its whole path: a chapter runs in the project's root."""
    found = re.fullmatch(r"(--pa\w*=|-p=?|)folder=(.*)", word)
    return f"{found[1]}folder={Path(found[2]).resolve()}" if found and Path(found[2]).is_dir() else word


def _passed_on(group: typer.Typer, command: str, about: str) -> None:
    """Add a command whose words go to the book's driver as they are."""

    @group.command(command, context_settings=PASS, help=about)
    def run(words: Options = None) -> None:
        _driver(command, words)


_passed_on(app, "book", "Execute the chapters that changed, build the HTML, verify it, publish it to _build/html.")
_passed_on(app, "chapter", "Run one chapter and print the verdicts on its claims.")
_passed_on(ledger_app, "accept", "Run the chapters, show the difference to the accepted facts, and accept it.")
_passed_on(ledger_app, "portable", "Run chapters under other kernels, threads and instruction sets: the same facts?")


@ledger_app.command()
def show(
    verdict: Annotated[str, typer.Option(help="only claims with this verdict")] = "",
    chapter: Annotated[str, typer.Option(help="only claims of this chapter")] = "",
) -> None:
    """Print the ledger of the last built book."""
    import json

    path = config.root() / "_build" / "html" / "ledger.json"
    if not path.is_file():
        raise RuntimeError("no book has been built yet: run 'specseg book' (or 'make book') first")
    rows = json.loads(path.read_text(encoding="utf-8"))["claims"]
    table = Table("claim", "where", "verdict", "what we found")
    for row in rows:
        if verdict in ("", row["verdict"]) and row["chapter"].startswith(chapter):
            table.add_row(row["id"], row["locator"], row["verdict"], row["found"] or row["reason"])
    if not table.row_count:
        known = ", ".join(sorted({row["verdict"] for row in rows}))
        raise ValueError(f"no claim with verdict {verdict!r} of chapter {chapter!r}; verdicts in this book: {known}")
    console.print(table)


@ledger_app.command()
def touched(
    files: Annotated[list[Path] | None, typer.Argument(help="files; default: those that git says have changed")] = None,
    since: Annotated[str, typer.Option(help="a git revision to compare with")] = "HEAD",
) -> None:
    """Say which chapters, experiments, records and claims the changed files touch."""
    from specseg.evidence import impact

    if missing := [str(f) for f in files or () if not f.exists()]:
        raise FileNotFoundError(f"no such file: {', '.join(missing)}")
    result = impact.touched(files or impact.changed(since))
    for title, lines in result.items():
        console.print(f"[bold]{title}[/bold] ({len(lines)})")
        for line in lines:
            console.print(f"  {line}", markup=False)


@records_app.command()
def renew(
    experiments: Annotated[list[str] | None, typer.Argument(help="folders of results/; default: all")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute and tell, write nothing")] = False,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="by code not committed; the lines say so")] = False,
) -> None:
    """Compute again what can be of every stale record; what agrees is noted beside it, and the record is current.

    Exit status 1 when today's code gives other numbers than a record holds.
    """
    from specseg.evidence import renewal

    count = dict.fromkeys(("renewed", "refused", "stale"), 0)
    for record, state, why in renewal.renew(experiments or (), dry_run=dry_run, allow_dirty=allow_dirty):
        count[state] += 1
        console.print(f"{state} {record.meta['experiment']}/{record.run_id}: {why}", markup=False, soft_wrap=True)
    told = "would be renewed" if dry_run else "renewed"
    console.print(f"{count['renewed']} {told}, {count['refused']} give other numbers, {count['stale']} stay stale")
    if count["refused"]:
        raise typer.Exit(1)


@app.command()
def rooms() -> None:
    """Show the rooms of the library: modules, lines of code, what each uses; and the picture of CONTRIBUTING.md."""
    from specseg.evidence import rooms as house

    table = Table("room", "modules", "lines of code", "uses")
    uses, sizes = house.graph(), house.sizes()
    for room, (modules, lines) in sizes.items():
        table.add_row(room, str(modules), str(lines), ", ".join(r for r in house.ROOMS if r in uses[room]))
    table.add_row("all", *(str(sum(column)) for column in zip(*sizes.values(), strict=True)), "")
    console.print(table)
    console.print(house.picture(), markup=False)


def main() -> None:
    """Run the command line; expected mistakes are one line on stderr and exit status 1, not a traceback."""
    try:
        app()
    except (ValueError, FileNotFoundError, RuntimeError) as err:
        print(f"specseg: {err}", file=sys.stderr)
        raise SystemExit(1) from None
