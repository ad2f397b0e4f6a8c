"""The commands `specseg records ...`: renew what today's code still gives."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="The records of measured results.")
console = Console(highlight=False, soft_wrap=True)


@app.callback()
def _group() -> None:
    """Keep `renew` a command of its own name."""


@app.command()
def renew(
    experiments: Annotated[list[str] | None, typer.Argument(help="folders of results/; default: all")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="compute and tell, write nothing")] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="renew by code that is not committed; the lines say so")
    ] = False,
) -> None:
    """Compute again what can be of every stale record; what agrees is noted beside it, and the record is current.

    Exit status 1 when today's code gives other numbers than a record holds.
    """
    from specseg.evidence import renewal

    count = dict.fromkeys(("renewed", "refused", "stale"), 0)
    for record, state, why in renewal.renew(experiments or (), dry_run=dry_run, allow_dirty=allow_dirty):
        count[state] += 1
        console.print(f"{state} {record.meta['experiment']}/{record.run_id}: {why}", markup=False)
    told = "would be renewed" if dry_run else "renewed"
    console.print(f"{count['renewed']} {told}, {count['refused']} give other numbers, {count['stale']} stay stale")
    raise typer.Exit(1 if count["refused"] else 0)
