"""The command `specseg advise`: a folder of label maps in, tables, advice.json and a page out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID

from specseg.cli.data import progress


def advise(
    labels: Annotated[Path, typer.Argument(help="folder of label maps (PNG, TIFF, .npy ...), with its subfolders")],
    logits: Annotated[Path | None, typer.Option(help="folder: a .npy, .npz or .pt of logits (C, h, w) a label")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="softmax outputs were saved")] = False,
    manifest: Annotated[str, typer.Option(help="stored as this known data set")] = "",
    map_: Annotated[Path | None, typer.Option("--map", help="TOML (or CVAT's, Roboflow's): names, values")] = None,
    classes: Annotated[int | None, typer.Option(help="number of classes; default: as many as are found")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="stored value or class that counts nowhere, repeatable, or "
                                                     "none; default: 255, unless it must be a class")] = None,
    max_drop: Annotated[float, typer.Option(help="tolerated relative drop of mIoU, as a fraction")] = 0.02,
    out: Annotated[Path, typer.Option(help="folder for advice.json, advice.html and scratch")] = Path("advice"),
    sample: Annotated[str, typer.Option(help="number of maps, or all; default: all up to 1000, else 500")] = "",
    seed: Annotated[int, typer.Option(help="of the sample and the bootstrap")] = 0,
    group: Annotated[str, typer.Option(help="regular expression: names of equal match are bootstrapped together")] = "",
    pattern: Annotated[str | None, typer.Option(help="which files are label maps; default: found out")] = None,
    list_: Annotated[Path | None, typer.Option("--list", help="file with the names to use, one a line")] = None,
    size: Annotated[int, typer.Option(help="side of the frame in pixels, 64k + 1")] = 513,
    frame: Annotated[str, typer.Option(help="shrink: short side to the frame, centre; crop: centre at own scale; "
                                       "tiles: all of it at own scale; native: as crop, frame as large as the maps; "
                                       "auto: shrink, or tiles for maps over twice the frame")] = "auto",
    try_: Annotated[str, typer.Option("--try", help="MODEL.py:build, a function that returns your network: measure its "
                                      "drop")] = "",
    pictures: Annotated[Path | None, typer.Option(help="folder of pictures, named as the labels, for --try")] = None,
    layer: Annotated[str, typer.Option(help="module whose input --try makes coarser; default: classifier, decoder ...")]
    = "",
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="leave bad files out and list them")] = False,
) -> None:  # fmt: skip
    """Advise on the band limit, LRG size and block size for a data set, from its label maps and, if given, logits."""
    from specseg.advise import folder, maps
    from specseg.advise import labels as reading

    given = [name for name, value in (("--manifest", manifest), ("--map", map_), ("--classes", classes)) if value]
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)}: give one of them")
    if bool(try_) != bool(pictures):
        raise typer.BadParameter("--try and --pictures: give both, a network and the pictures of the labels")
    only = None if list_ is None else folder.read_list(list_)
    if logits is not None and not logits.is_dir():
        raise FileNotFoundError(f"{logits}: no such folder; expected one file of logits a label")
    stored = maps.from_map(map_) if map_ else None
    if manifest:
        stored, own = reading.from_manifest(manifest)
        pattern = pattern or folder.fitting(labels, own)
    folder.find(labels, pattern, only)  # a mistyped path is answered here, before torch and pandas are loaded
    from specseg.advise import page, report
    from specseg.advise.settings import Settings
    from specseg.advise.trial import loaded
    from specseg.figures import advise as draw

    wanted = int(sample) if sample.isdigit() else sample or None
    settings = Settings(size, max_drop, reading.parse_ignore(ignore or ()), wanted, seed, group=group,
                        keep_going=keep_going, frame=frame)  # fmt: skip
    with _progress(out) as advance:
        data = report.advise(labels, settings, reading=stored, classes=classes, logit_folder=logits,
                             probabilities=probabilities, network=loaded(try_) if try_ else None,
                             picture_folder=pictures or "", layer=layer, pattern=pattern, only=only, out=out,
                             workers=workers, advance=advance).data  # fmt: skip
    shown = [picture._repr_html_() for picture in draw.pictures(data)]
    texts = {"advice.json": json.dumps(data, indent=1, allow_nan=False) + "\n", "advice.html": page.render(data, shown)}
    for name, text in texts.items():
        (out / f".{name}.part").write_text(text, encoding="utf-8", errors="backslashreplace")
        (out / f".{name}.part").replace(out / name)  # a full disk leaves what was there
    console = Console(highlight=False, markup=False)
    for title, lines, table in page.sections(data):
        console.print(f"\n{title}", style="bold")
        for line in lines:
            console.print(f"  {line}", soft_wrap=line.startswith("BAD"))
        if table is not None:
            first = table.columns[0]  # begins every line again where a terminal is too narrow for all columns
            rows = table.set_index(first).rename_axis(index=None, columns=first)
            print(rows.to_string(line_width=console.width))
    print(f"\n{data['code']}\n", *(out / name for name in texts), sep="\n")


@contextmanager
def _progress(out: Path) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far each stage is and the time left; Ctrl-C says how to go on, in place of a traceback."""
    tasks: dict[str, TaskID] = {}
    try:
        with progress(MofNCompleteColumn(), Console(stderr=True)) as bar:

            def advance(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total)
                bar.advance(tasks[stage], done)

            yield advance
    except KeyboardInterrupt:
        print(f"specseg: stopped; what was measured is kept in {out / 'work'}, and the same command goes on from there",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(130) from None
