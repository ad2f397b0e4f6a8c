"""The commands `specseg data ...`: what is there, is it right, get it, show it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from specseg.evidence import config

app = typer.Typer(no_args_is_help=True, help="The data sets: list, verify, fetch and show them.")
Name = Annotated[str, typer.Argument(help="name of a data set, as in `specseg data list`")]
# Of the commands on data sets and on networks: tables keep their width in a file.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


@app.command("list")
def list_() -> None:
    """Every data set: what is here of it, its size and its licence."""
    from specseg.data import manifests

    table = Table("name", "state", "pairs", "bytes", "access", "licence", title=f"data sets below {config.data_root()}")
    for name in manifests.names():
        manifest = manifests.load(name)
        report = manifests.verify(manifest, fast=True)
        have = [sum(column) for column in zip(*report.splits.values(), strict=True)]
        pairs = f"{have[0]} of {have[2]}" if manifest.access != "generated" else "any number"
        table.add_row(name, report.state, pairs, decimal(report.bytes), manifest.access, manifest.licence)
    console.print(table)


@app.command()
def verify(
    name: Name,
    fast: Annotated[bool, typer.Option("--fast", help="sizes and counts only, no hashes")] = False,
) -> None:
    """Compare the files on this disk with the manifest; name every bad file. Exit code 1 when one is bad."""
    from specseg.data import manifests

    manifest = manifests.load(name)
    with progress(DownloadColumn()) as bar:
        task = bar.add_task(name, total=sum(f.bytes for f in manifest.files) or None)
        report = manifests.verify(manifest, fast=fast, progress=lambda _, n: bar.advance(task, n))
    how = "sizes and counts" if fast else "every byte" if manifest.files else "counts, sizes and values"
    console.print(
        f"{manifest.title}: {report.state} ({report.present} of {report.expected} files, "
        f"{decimal(report.bytes)}; {how} checked)"
    )
    for split, have in report.splits.items():
        labels = f", {have.labels} labels" if have.labels != have.pairs else ""
        console.print(f"  {split}: {have.pairs} of {have.listed} pairs{labels}")
    if manifest.hashes != "publisher" and manifest.access != "generated":
        console.print(f"  hashes: {HASH_WORDS[manifest.hashes]}")
    for problem in report.problems:
        console.print(f"  BAD {problem}", style="red")
    if report.problems:
        raise typer.Exit(1)
    if report.state == "missing":
        console.print(f"  {manifest.how}")


HASH_WORDS = {
    "mirrors": "computed from mirrors, never compared with the official archive",
    "reported": "the archive's is the one public loaders pin; the files inside have none",
    "unverified": "none is public; files are counted and opened",
}


@app.command()
def fetch(name: Name) -> None:
    """Download an open data set (resumes, tries mirrors, checks every file); say what to do for the others."""
    from specseg.data import manifests

    manifest = manifests.load(name)
    if manifest.access == "generated":
        console.print(f"{manifest.title}: {manifest.how}")
        return
    with progress(DownloadColumn()) as bar:
        task = bar.add_task(name, total=sum(f.bytes for f in manifest.archives or manifest.files) or None)
        got = manifests.fetch(manifest, progress=lambda _, n: bar.advance(task, n))
    console.print(f"{manifest.title}: {got.new} downloaded, {got.kept} were there; now run: specseg data verify {name}")


@app.command()
def show(
    name: Name,
    split: Annotated[str, typer.Option(help="split to look at")] = "",
    images: Annotated[int, typer.Option(help="labels to count, spread over the split; 0 = all")] = 100,
    sheet: Annotated[Path | None, typer.Option(help="where the contact sheet goes")] = None,
) -> None:
    """Class table with pixel shares, and a contact sheet as a PNG: images above their labels in the set's colours."""
    import numpy as np
    from PIL import Image

    from specseg import figures
    from specseg.data import datasets, manifests, transforms

    manifest = manifests.load(name)
    split = split or manifest.splits[0].name
    data = datasets.open(name, split, need="label", partial=True)
    chosen = spread(len(data), images)
    counts = sum(np.bincount(data.label(index).ravel(), minlength=256) for index in chosen)
    title = f"{manifest.title}, {split} ({len(chosen)} labels)"
    table = Table("class", "name", "colour", "share of pixels", title=title)
    for cls, title in enumerate(data.classes):
        color = "#{:02X}{:02X}{:02X}".format(*data.palette[cls])
        table.add_row(str(cls), title, color, f"{counts[cls] / counts.sum():.4f}")
    table.add_row("255", "void", "", f"{counts[255] / counts.sum():.4f}")
    console.print(table)
    console.print(f"{data.coverage} labels of this split are present")
    try:
        pairs = datasets.open(name, split, partial=True)
    except (FileNotFoundError, ValueError):
        console.print("no image of this split is present: no contact sheet")
        return
    path = sheet or config.root() / "_build" / "sheets" / f"{name}_{split}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = [transforms.frame(pairs[i], 257) for i in spread(len(pairs), 8)]
    rows = [[s.image for s in samples], [figures.painted(s.label, pairs.palette) for s in samples]]
    Image.fromarray(np.vstack([np.hstack(row) for row in rows])).save(path)
    console.print(f"contact sheet: {path}")


def spread(count: int, wanted: int) -> list[int]:
    """Return `wanted` indices spread evenly over 0 .. count - 1 (all of them when wanted is 0 or too many).

    >>> spread(10, 3)
    [0, 3, 6]
    """
    wanted = min(wanted, count) if wanted > 0 else count
    return [k * count // wanted for k in range(wanted)]


@app.command("hash")
def hash_(folder: Annotated[Path, typer.Argument(help="folder of a data set")], pattern: str = "**/*") -> None:
    """Print the file list of a folder (path, bytes, sha256): what a new manifest's file_list holds."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    print("path\tbytes\tsha256")
    for path in sorted(p for p in folder.glob(pattern) if p.is_file()):
        print(f"{path.relative_to(folder).as_posix()}\t{path.stat().st_size}\t{config.sha256(path)}")


def progress(count: ProgressColumn, where: Console = console) -> Progress:
    """Return a bar of tasks with how much of each is done and the time left: nothing in CI and in a file."""
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    return Progress(*columns, console=where, transient=True, disable=config.in_ci() or not where.is_terminal)
