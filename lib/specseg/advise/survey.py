"""One pass over a folder of label maps: what was found, as sums and tidy tables, and the folder to ask again."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from specseg.advise import files, frames, labels, maps, polygons, summary
from specseg.advise import folder as listing
from specseg.advise import settings as st
from specseg.data import survey as walk
from specseg.data.manifests import Labels

Advance = Callable[[str, int, int], object]  # stage, done now, of how many
DEFAULT = st.Settings()
FEW, APART = 48, 1.25  # frames measured at the other scale, where the two differ by more than this factor


@dataclass
class Survey:
    """A folder under the settings of a run: its maps, how they are read, what was measured of them so far.

    `found` maps are in the folder, `chosen` of them were to be measured, `items` are the frames still of use; `bad`
    gives the reasons of files left out; `seen` the names that were measured; `told` says how stored values were read
    and why; `frame` is what `_view` gives.
    """

    context: frames.Context
    settings: st.Settings
    work: Path
    items: list[listing.Item]
    found: int
    chosen: int
    workers: int
    advance: Advance
    told: list[str]
    bad: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    frame: dict = field(default_factory=dict)
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    sums: walk.Sums | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def _chunks(
        self, stage: str, task: Callable, context: frames.Context | None = None
    ) -> Iterator[tuple[dict, list[str]]]:
        """Yield what `walk.run` does; bad files leave `items` for `bad`. All that decides numbers is in the key."""
        key = walk.scratch_key({"stage": stage, "context": context}, [Path(inspect.getfile(task))])
        count, wrong = len(self.items), {}
        for numbers, names, bad in walk.run(
            self.items, self.work / f"{stage.replace(' ', '-')}-{key}", task, context, workers=self.workers,
            keep_going=self.settings.keep_going, advance=lambda n: self.advance(stage, n, count),
        ):  # fmt: skip
            wrong |= {b["file"]: b["reason"] for b in bad}
            yield numbers, names
        self.leave_out(wrong)

    def leave_out(self, wrong: Mapping[str, str]) -> None:
        """Move bad files out; several frames of one file are one bad file. Raises BadFile unless `keep_going`."""
        if wrong and not self.settings.keep_going:
            raise files.BadFile(next(iter(wrong.values())))
        for item in self.items:
            if item.name in wrong:
                self.bad.setdefault(item.map, wrong[item.name])
        self.items = [item for item in self.items if item.name not in wrong]

    def look(self) -> dict[str, labels.Look]:
        """Return what each map holds; pictures among label maps are bad files."""
        found: dict[str, labels.Look] = {}
        for numbers, names in self._chunks("first look", labels.look):
            found |= zip(names, map(labels.Look.of, map(str, numbers.get("look", ()))), strict=True)
        return found

    def pass_over(
        self, stage: str, task: Callable, context: frames.Context, drawn: Sequence[str]
    ) -> tuple[walk.Sums, list[str]]:
        """Run a task over the frames; return its sums and the names measured."""
        sums, seen = walk.Sums(self.settings.draws, self.settings.seed, drawn), []
        alone = len({item.map for item in self.items}) == 1
        group = {item.name: item.name if alone else item.map for item in self.items}
        for numbers, names in self._chunks(stage, task, context):
            seen += names
            sums.add(numbers, [listing.group_of(group[name], self.settings.group) for name in names])
        return sums, seen

    def cut(self, frame: str) -> None:
        """Cut the maps into frames, and say what is seen of them."""
        shapes = {item.name: self.shapes[item.name] for item in self.items}
        frame, size, why = frames.chosen(shapes.values(), self.settings.size, frame)
        cut, every = frames.cut(self.items, shapes, size, frame), "all" if self.settings.sample == "all" else None
        self.items = listing.choose(cut, every, self.settings.seed)
        self.settings = replace(self.settings, size=size)
        self.context = replace(self.context, grid=st.grid(size))
        self.frame = {"frame": frame, "why": why, **_view(self.items, shapes, size)}


def _view(items: Sequence[listing.Item], shapes: Mapping[str, tuple[int, int]], size: int) -> dict:
    """Return what is seen of the maps: frames, maps, seen (share of all the maps' pixels), scale (frame pixels per map
    pixel: value, low, high), shrunk (the scale of "shrink"), enlarged (how many maps are smaller than the frame), tiny
    (maps with a side below nine pixels)."""
    window, count = {item.map: item.window for item in items}, Counter(item.map for item in items)
    rows = {name: (*shapes[name], *window[name][:2], count[name]) for name in window}
    table = pd.DataFrame.from_dict(rows, "index", columns=["height", "width", "tall", "wide", "frames"])
    short, scale = table[["height", "width"]].min(axis=1), table["tall"] / table["height"]
    share = (table["frames"] * size**2 / (table["tall"] * table["wide"])).clip(upper=1)
    pixels = table["height"] * table["width"]
    return {"frames": len(items), "maps": len(table), "seen": float((pixels * share).sum() / pixels.sum()),
            "shrunk": float((size / short).median()), "enlarged": int((short < size).sum()),
            "scale": {"value": float(scale.median()), "low": float(scale.min()), "high": float(scale.max())},
            "tiny": sorted(short.index[short < 9])}  # fmt: skip


def survey(
    folder: Path | str,
    settings: st.Settings = DEFAULT,
    *,
    reading: maps.Reader | Labels | None = None,
    classes: int | None = None,
    pattern: str | None = None,
    only: Sequence[str] | None = None,
    out: Path | str,
    check: Callable[[list[listing.Item]], object] = lambda items: None,
    workers: int = 1,
    advance: Advance = lambda stage, done, total: None,
) -> Survey:
    """Return the survey of a folder of label maps; scratch lies below `out`/work and a stopped run goes on from it.

    `reading` says how labels are stored (`maps.from_map`, `labels.from_manifest`); without it that is found out: by
    the map file that the folder brings along, else class numbers, `classes` of them or as many as are found.
    `pattern` and `only` (a list of names) say which files are label maps; `check` looks at the chosen ones before the
    long pass.
    Raises FileNotFoundError where there is nothing, BadFile at the first bad file unless `settings.keep_going`, and
    ValueError where the values cannot be classes.
    """
    folder, out = Path(folder), Path(out)
    every, told = listing.find(folder, pattern, only)
    with suppress(OSError):
        (out / "work").mkdir(parents=True, exist_ok=True)
    if not os.access(out / "work", os.W_OK):
        raise ValueError(f"{out}: nothing can be written there; --out names another folder")
    if every[0].path.suffix.lower() == ".json":
        every = polygons.expanded(every)
    if reading is None and classes is None and (own := maps.beside(folder)):
        reading = maps.from_map(own)
        told.append(f"Read: as {own} says, classes {', '.join(reading.names[:6])}; --ignore NAME leaves one out.")
    items = listing.choose(every, settings.sample, settings.seed)
    reading = maps.Reader.of(reading) if isinstance(reading, Labels) else reading
    context = frames.Context(reading, st.grid(settings.size))
    run = Survey(context, settings, out / "work", items, len(every), len(items), workers, advance, told)
    check(items)
    reader = _reader(run, run.look(), classes, folder, out)
    run.context = replace(run.context, reader=reader)
    run.cut(settings.frame)
    run.sums, run.seen = run.pass_over("labels", frames.numbers, run.context, summary.DRAWN)
    if not run.sums.count:
        raise ValueError(f"{folder}: no map holds a labelled pixel" + (f" ({len(run.bad)} bad)" if run.bad else ""))
    run.tables = summary.tables(run.sums, run.context.grid, reader.names)
    return run


def _reader(run: Survey, looks: dict[str, labels.Look], classes: int | None, folder: Path, out: Path) -> maps.Reader:
    """Return how stored values become classes, as was told or as the maps' first look says."""
    if not looks:
        raise ValueError(f"{folder}: no map can be read ({len(run.bad)} bad)")
    run.shapes, ignore = {name: one.shape for name, one in looks.items()}, run.settings.ignore
    if reader := run.context.reader:
        if not reader.color and (bad := labels.unlike(looks.values())):
            run.told.append(f"Palettes differ between the files ({min(bad)} has several colours) and numbers are read: "
                            "are they what the classes are?")  # fmt: skip
        return reader.without(ignore) if ignore else reader
    pictures = {name for name, one in looks.items() if one.picture and not classes}
    if len(pictures) < len(looks):
        run.leave_out({item.name: f"{item.path}: {looks[item.name].distinct} values, unlike their neighbours: a "
                       "picture, not labels. Give the labels' own folder or --pattern, or leave it out with "
                       "--keep-going"
                       for item in run.items if item.name in pictures})  # fmt: skip
    try:
        reader, notes = labels.decide([looks[item.name] for item in run.items], ignore, classes)
    except labels.NoDecision as err:
        if not err.draft:
            raise ValueError(f"{folder}: {err}") from None
        (out / "draft_map.toml").write_text(err.draft + "\n", encoding="utf-8")
        raise ValueError(f"{folder}: {err}. A draft was written: --map {out / 'draft_map.toml'} reads them, once its "
                         "names and its `ignore` are as you want them") from None  # fmt: skip
    run.told += notes
    return reader


def at_other_scale(run: Survey) -> Survey | None:
    """Return a survey of FEW frames of the same maps at the other scale, shrunk or their own; None where they agree."""
    if run.frame["shrunk"] > 1 / APART:
        return None
    whole = {item.map: replace(item, name=item.map, window=(), tile=-1) for item in run.items}
    few = listing.choose(list(whole.values()), FEW, 0)
    other = replace(run, items=few, settings=replace(run.settings, keep_going=True), bad={}, told=[])
    other.cut("tiles" if run.frame["frame"] == "shrink" else "shrink")
    other.items = listing.choose(other.items, FEW, 0)
    other.sums, _ = other.pass_over("other scale", frames.numbers, other.context, summary.DRAWN)
    return other if other.sums.count else None
