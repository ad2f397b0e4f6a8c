"""The command `specseg advise`: a folder of label maps in, a table, advice.json and a page out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from specseg.evidence import config


def advise(
    labels: Annotated[Path, typer.Argument(help="folder of label maps (PNG), searched with its subfolders")],
    logits: Annotated[Path | None, typer.Option(help="folder: a .npy, .npz or .pt of logits (C, h, w) a label")] = None,
    manifest: Annotated[str, typer.Option(help="stored as this known data set")] = "",
    map_: Annotated[Path | None, typer.Option("--map", help="TOML: classes with name, color or id")] = None,
    classes: Annotated[int | None, typer.Option(help="number of classes; default: as many as are found")] = None,
    ignore: Annotated[int, typer.Option(help="stored value that counts nowhere")] = 255,
    max_drop: Annotated[float, typer.Option(help="tolerated relative drop of mIoU, as a fraction")] = 0.02,
    out: Annotated[Path, typer.Option(help="folder for advice.json, advice.html and scratch")] = Path("advice"),
    sample: Annotated[str, typer.Option(help="number of maps, or all; default: all up to 1000, else 500")] = "",
    seed: Annotated[int, typer.Option(help="of the sample and the bootstrap")] = 0,
    group: Annotated[str, typer.Option(help="regular expression: names of equal match are bootstrapped together")] = "",
    pattern: Annotated[str, typer.Option(help="which files of the folder are label maps")] = "**/*.png",
    list_: Annotated[Path | None, typer.Option("--list", help="file with the names to use, one a line")] = None,
    size: Annotated[int, typer.Option(help="side of the frame in pixels, 64k + 1")] = 513,
    workers: Annotated[int, typer.Option(help="processes")] = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="leave bad files out and list them")] = False,
) -> None:  # fmt: skip
    """Advise on the band limit, LRG size and block size for a data set, from its label maps and, if given, logits."""
    from specseg.advise import labels as reading

    given = [name for name, value in (("--manifest", manifest), ("--map", map_), ("--classes", classes)) if value]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)}: give one of them")
    if workers < 1:
        raise typer.BadParameter(f"--workers {workers}: expected 1 or more")
    if sample not in ("", "all") and not sample.isdigit():
        raise typer.BadParameter(f"--sample {sample!r}: expected a number of maps, or all")
    wanted = None if not sample else sample if sample == "all" else int(sample)
    stored = reading.from_manifest(manifest) if manifest else reading.from_map(map_) if map_ else None
    if list_ is not None and not list_.is_file():
        raise FileNotFoundError(f"{list_}: no such file; expected names of label maps, one a line")
    only = None if list_ is None else [n for n in map(str.strip, list_.read_text(encoding="utf-8").splitlines()) if n]
    reading.find(labels, pattern, only)  # a mistyped path is answered here, before torch and pandas are loaded
    if logits is not None:
        reading.logits_of(logits)
    from specseg.advise import page, report
    from specseg.advise.settings import Settings
    from specseg.figures import advise as draw

    settings = Settings(size, max_drop, ignore, wanted, seed, group=group, keep_going=keep_going)
    quiet = Console(stderr=True, highlight=False)
    with _progress(quiet) as bar:
        tasks: dict = {}

        def advance(stage: str, done: int, total: int) -> None:
            task = tasks.get(stage)
            if task is None:
                task = tasks[stage] = bar.add_task(stage, total=total)
            bar.advance(task, done)

        found = report.advise(labels, settings, reading=stored, classes=classes, logit_folder=logits,
                              pattern=pattern, only=only, out=out, workers=workers, advance=advance)  # fmt: skip
    file = report.write(found.data, out / "advice.json")
    pictures = [shown._repr_html_() for shown in draw.pictures(found.data)]
    (out / "advice.html").write_text(page.render(found.data, pictures), encoding="utf-8")
    _tell(found.data, page, Console(highlight=False))
    Console(highlight=False, soft_wrap=True).print(f"{file}\n{out / 'advice.html'}", markup=False)


def _tell(data: dict, page, console: Console) -> None:
    console.print(f"[bold]{escape(data['title'])}[/bold]: {escape(page.scope(data))}\n")
    for sentence in page.sentences(data):
        console.print(f"  {escape(sentence)}")
    tables = {"grids: labels cut to the grid's band; lost against the whole prediction grid": page.grid_table,
              "blocks: each takes its commonest class; lost against the true labels": page.block_table,
              "classes: IoU when cut to the grid of so many points": page.class_table}  # fmt: skip
    if data["logits"]:
        tables["logits: R_ce (per: periodic, mir: mirrored, /T: calibrated), truncated IoU, cut logits"] = (
            page.logit_table
        )
    for title, make in tables.items():
        console.print()
        console.print(_rich(title, *make(data, short=True)))
    if data["logits"]:
        told = data["logits"]
        console.print(f"\nmIoU of the logits {page.between(told['miou'])}, temperature {told['temperature']:.2f}. "
                      f"{told['relation']}", markup=False)  # fmt: skip
    if data["warnings"]:
        console.print("\n[bold]Take care[/bold]")
        for warning in data["warnings"]:
            console.print(f"  {escape(warning)}")
    for bad in data["data"]["bad"]:
        console.print(f"  BAD {bad['reason']}", style="red", markup=False, soft_wrap=True)
    console.print()


def _rich(title: str, heads: list[str], lines: list[list[str]], place: int) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for k, head in enumerate(heads):
        table.add_column(head, justify="left" if k == 0 else "right", no_wrap=True)
    for k, line in enumerate(lines):
        table.add_row(*map(escape, line), style="bold" if k == place else None)
    return table


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=config.in_ci() or not console.is_terminal)
