"""The commands `specseg nets ...`: which networks others trained, are they here, are they the right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from specseg.cli.data import console
from specseg.evidence import config

app = typer.Typer(no_args_is_help=True, help="The networks that others trained: list, verify and fetch their weights.")
HEADS = ("name", "here", "architecture", "trained on", "origin", "licence")
Names = Annotated[list[str] | None, typer.Argument(help="as in `specseg nets list`; default: all")]


@app.command("list")
def list_() -> None:
    """Every network: is it here, what it was trained on, whose it is, its licence."""
    from specseg.nets.third_party import manifests

    columns = (Column(name, overflow="fold") for name in HEADS)
    table = Table(*columns, title=f"networks that others trained, below {config.nets_root()}")
    for name in manifests.names():
        one = manifests.load(name)
        here = "yes" if one.path.is_file() else "no"
        table.add_row(name, here, one.title, one.trained_on, f"{one.origin} {one.commit}", one.licence)
    console.print(table)


@app.command()
def verify(names: Names = None) -> None:
    """Compare the weights on this disk with their manifests, and say what is not known of each; status 1 when one is
    wrong or missing."""
    from specseg.nets.third_party import manifests

    bad = 0
    for one in [manifests.load(name) for name in names or manifests.names()]:  # a mistyped name is told before any work
        try:
            manifests.check(one)
        except (FileNotFoundError, manifests.WrongHash) as err:
            bad += 1
            console.print(f"BAD {err}", style="red")
            continue
        console.print(f"{one.name}: right; {one.licence}; trained on {one.trained_on}")
        for words in one.unknown:
            console.print(f"  not known or to be kept in mind: {words}")
    if bad:
        raise typer.Exit(1)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="as in `specseg nets list`")],
    source: Annotated[Path | None, typer.Option("--from", help="the file, or a folder that has it")] = None,
) -> None:
    """Put a network's weights in their place, checked; without --from say where they come from."""
    from specseg.nets.third_party import manifests

    one = manifests.load(name)
    if source is None:
        console.print(one.how())
        raise typer.Exit(0 if one.path.is_file() else 2)
    console.print(f"{manifests.fetch(one, source)}: right; {one.licence}")
