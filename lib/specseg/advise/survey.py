"""One pass over a folder of label maps: what was found, as sums and tidy tables, and the folder to ask again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from specseg.advise import labels, measure, stream, summary
from specseg.advise import settings as st
from specseg.advise.labels import Item, Reader
from specseg.advise.measure import Context, Grid
from specseg.advise.settings import Settings
from specseg.data.manifests import Labels

Advance = Callable[[str, int, int], object]  # stage, done now, of how many
DEFAULT = Settings()


@dataclass
class Survey:
    """A folder under the settings of a run: its maps, how they are read, what was measured of them so far.

    `found` maps are in the folder, `chosen` of them were to be measured, `items` are those still of use; `bad` lists
    files left out; `seen` the names that were measured.
    """

    context: Context
    settings: Settings
    work: Path
    items: list[Item]
    found: int
    chosen: int
    workers: int = 1
    advance: Advance = lambda stage, done, total: None
    bad: list[dict[str, str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    sums: stream.Sums | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def pass_over(self, stage: str, task, code: Path, drawn: Sequence[str], **parts) -> tuple[stream.Sums, list[str]]:
        """Run a task over the maps; return its sums and the names measured. Bad files leave `items` for `bad`.

        `code` is the task's module and `parts` what else decides its numbers: both are in the key of the scratch.
        """
        key = {"stage": stage, "reader": self.context.reader, "grid": self.context.grid, **parts}
        sums, seen = stream.Sums(self.settings.draws, self.settings.seed, drawn), []
        folder, count = self.work / f"{stage}-{st.run_key(key, [code])}", len(self.items)
        chunks = stream.run(self.items, folder, task, self.context, workers=self.workers,
                            keep_going=self.settings.keep_going,
                            advance=lambda n: self.advance(stage, n, count))  # fmt: skip
        wrong: list[dict[str, str]] = []
        for numbers, names, bad in chunks:
            wrong += bad
            seen += names
            sums.add(numbers, [labels.group_of(name, self.settings.group) for name in names])
        self.bad += wrong
        left = {b["file"] for b in wrong}
        self.items = [item for item in self.items if item.name not in left]
        return sums, seen


def survey(
    folder: Path | str,
    settings: Settings = DEFAULT,
    *,
    reading: Labels | None = None,
    classes: int | None = None,
    pattern: str = "**/*.png",
    only: Sequence[str] | None = None,
    out: Path | str,
    workers: int = 1,
    advance: Advance = lambda stage, done, total: None,
) -> Survey:
    """Return the survey of a folder of label maps; scratch lies below `out`/work and a stopped run goes on from it.

    `reading` says how labels are stored (`labels.from_map`, `labels.from_manifest`); without it they are class numbers,
    `classes` of them or as many as are found. `pattern` and `only` (a list of names) say which files are label maps.
    Raises FileNotFoundError where there is nothing, BadFile at the first bad file unless `settings.keep_going`, and
    ValueError where no pixel is labelled or the classes cannot be.
    """
    folder = Path(folder)
    every = labels.find(folder, pattern, only)
    items = labels.choose(every, settings.sample, settings.seed, st.BIG, st.SAMPLE)
    if reading is None and classes is not None:
        reading = labels.numbered(classes, settings.ignore)
    context = Context(Reader(reading, settings.ignore), 0, Grid.of(settings.size))
    run = Survey(context, settings, Path(out) / "work", items, len(every), len(items), workers, advance)
    if reading is None:
        values, _ = run.pass_over("looking for classes", labels.value_counts, Path(labels.__file__), ())
        reading = labels.from_values(values.plain.get("values", np.zeros(256)), settings.ignore)
    names = reading.names
    run.context = replace(context, reader=Reader(reading, settings.ignore), num_classes=len(names))
    run.sums, run.seen = run.pass_over("labels", measure.label_numbers, Path(measure.__file__), summary.DRAWN)
    if not run.sums.count:
        raise ValueError(f"{folder}: no map holds a labelled pixel" + (f" ({len(run.bad)} bad)" if run.bad else ""))
    grid = run.context.grid
    run.tables = {"ceilings": summary.ceilings(run.sums, grid), "classes": summary.classes(run.sums, grid, names),
                  "spectra": summary.spectra(run.sums, grid, names), "tails": summary.tails(run.sums, grid),
                  "blocks": summary.blocks(run.sums, grid)}  # fmt: skip
    return run
