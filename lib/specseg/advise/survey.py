"""One pass over a folder of label maps: what was found, as sums and tidy tables, and the folder to ask again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from specseg.advise import files, frames, labels, maps, summary
from specseg.advise import folder as listing
from specseg.advise import settings as st
from specseg.advise.files import BadFile
from specseg.advise.folder import Item
from specseg.advise.frames import Context
from specseg.advise.labels import Look
from specseg.advise.maps import Reader
from specseg.advise.settings import Settings
from specseg.data import label_numbers
from specseg.data import survey as walk
from specseg.data.manifests import Labels

Advance = Callable[[str, int, int], object]  # stage, done now, of how many
DEFAULT = Settings()
FEW, APART = 48, 1.25  # frames measured at the other scale, where the two differ by more than this factor


@dataclass
class Survey:
    """A folder under the settings of a run: its maps, how they are read, what was measured of them so far.

    `found` maps are in the folder, `chosen` of them were to be measured, `items` are the frames still of use; `bad`
    lists files left out; `seen` the names that were measured; `told` says how stored values were read and why; `frame`
    is what `frames.told` gives.
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
    told: list[str] = field(default_factory=list)
    frame: dict = field(default_factory=dict)
    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    sums: walk.Sums | None = None
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def _chunks(self, stage: str, task, code: Path, **parts):
        """Yield what `walk.run` does; bad files leave `items` for `bad`. All that decides numbers is in the key."""
        key, count = {"stage": stage, **parts}, len(self.items)
        folder = self.work / f"{stage.replace(' ', '-')}-{walk.scratch_key(key, [code])}"
        wrong: list[dict[str, str]] = []
        for numbers, names, bad in walk.run(
            self.items, folder, task, self.context, workers=self.workers, keep_going=self.settings.keep_going,
            advance=lambda n: self.advance(stage, n, count),
        ):  # fmt: skip
            wrong += bad
            yield numbers, names
        self.leave_out(wrong)

    def leave_out(self, wrong: Sequence[dict[str, str]]) -> None:
        """Move bad files out; several frames of one file are one bad file. Raises BadFile unless `keep_going`."""
        if wrong and not self.settings.keep_going:
            raise BadFile(wrong[0]["reason"])
        left = {b["file"] for b in wrong}
        maps_of = {item.name: item.map for item in self.items}
        known = {b["file"] for b in self.bad}
        for b in wrong:
            if (name := maps_of.get(b["file"], b["file"])) not in known:
                self.bad.append({**b, "file": name})
                known.add(name)
        self.items = [item for item in self.items if item.name not in left]

    def look(self) -> dict[str, Look]:
        """Return what each map holds; pictures among label maps are bad files."""
        found: dict[str, Look] = {}
        for numbers, names in self._chunks("first look", labels.look, Path(files.__file__)):
            found |= zip(names, map(Look.of, map(str, numbers.get("look", ()))), strict=True)
        return found

    def pass_over(self, stage: str, task, code: Path, drawn: Sequence[str], **parts) -> tuple[walk.Sums, list[str]]:
        """Run a task over the frames; return its sums and the names measured.

        `code` is the task's module and `parts` what else decides its numbers: both are in the key of the scratch.
        """
        sums, seen = walk.Sums(self.settings.draws, self.settings.seed, drawn), []
        alone = len({item.map for item in self.items}) == 1
        group = {item.name: item.name if alone else item.map for item in self.items}
        parts |= {"reader": self.context.reader, "grid": self.context.grid}
        for numbers, names in self._chunks(stage, task, code, **parts):
            seen += names
            sums.add(numbers, [listing.group_of(group[name], self.settings.group) for name in names])
        return sums, seen


def survey(
    folder: Path | str,
    settings: Settings = DEFAULT,
    *,
    reading: Reader | Labels | None = None,
    classes: int | None = None,
    pattern: str | None = None,
    only: Sequence[str] | None = None,
    out: Path | str,
    check: Callable[[list[Item]], object] = lambda items: None,
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
    _writable(out)
    if folder.is_dir() and every[0].path.suffix.lower() == ".json":
        from specseg.advise import polygons

        every = polygons.expanded(every)
    if reading is None and classes is None and (own := maps.beside(folder)):
        reading = maps.from_map(own)
        told.append(f"Read: as {own} says, classes {', '.join(reading.names[:6])}; --ignore NAME leaves one out.")
    items = listing.choose(every, settings.sample, settings.seed, st.BIG, st.SAMPLE)
    reader = Reader.of(reading) if isinstance(reading, Labels) else reading
    context = Context(reader, 0, st.grid(settings.size))
    run = Survey(context, settings, out / "work", items, len(every), len(items), workers, advance, told=told)
    check(items)
    looks = run.look()
    if not looks:
        raise ValueError(f"{folder}: no map can be read ({len(run.bad)} bad)")
    if reader is None:
        pictures = [name for name, one in looks.items() if one.picture and not classes]
        if len(pictures) < len(looks):
            paths = {item.name: item.path for item in run.items}
            run.leave_out([{"file": name, "reason": f"{paths[name]}: {looks[name].distinct} values, unlike their "
                            "neighbours: a picture, not labels. Give the labels' own folder or --pattern, or leave it "
                            "out with --keep-going"} for name in pictures])  # fmt: skip
        reader = _decided(run, [looks[item.name] for item in run.items], classes, folder, out)
    elif settings.ignore:
        reader = reader.without(settings.ignore)
    if not reader.color and reading is not None and (bad := labels.unlike(looks.values())):
        run.told.append(f"Palettes differ between the files ({min(bad)} has several colours) and numbers are read: are "
                        "they what the classes are?")  # fmt: skip
    run.shapes = {name: one.shape for name, one in looks.items()}
    _frame(run)
    names = reader.names
    run.context = replace(run.context, reader=reader, num_classes=len(names))
    run.sums, run.seen = run.pass_over("labels", frames.numbers, Path(label_numbers.__file__), summary.DRAWN)
    if not run.sums.count:
        raise ValueError(f"{folder}: no map holds a labelled pixel" + (f" ({len(run.bad)} bad)" if run.bad else ""))
    grid = run.context.grid
    run.tables = {make.__name__: make(run.sums, grid) for make in (summary.ceilings, summary.tails, summary.blocks)}
    run.tables |= {make.__name__: make(run.sums, grid, names) for make in (summary.classes, summary.spectra)}
    return run


def _writable(out: Path) -> None:
    try:
        for folder in (out, out / "work"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".try").touch()
            (folder / ".try").unlink()
    except OSError as err:
        raise ValueError(f"{out}: nothing can be written there ({err.strerror}); --out names another folder") from None


def _decided(run: Survey, looks: list[Look], classes: int | None, folder: Path, out: Path) -> Reader:
    try:
        reader, notes = labels.decide(looks, run.settings.ignore, classes)
    except labels.NoDecision as err:
        if not err.draft:
            raise ValueError(f"{folder}: {err}") from None
        (out / "draft_map.toml").write_text(err.draft + "\n", encoding="utf-8")
        raise ValueError(f"{folder}: {err}. A draft was written: --map {out / 'draft_map.toml'} reads them, once its "
                         "names and its `ignore` are as you want them") from None  # fmt: skip
    run.told += notes
    return reader


def _frame(run: Survey) -> None:
    """Cut the maps of a run into frames, and say what is seen of them."""
    kept = [run.shapes[item.name] for item in run.items]
    frame, size, why = frames.chosen(kept, run.settings.size, run.settings.frame)
    cut = frames.cut(run.items, kept, size, frame)
    run.items = listing.choose(cut, run.settings.sample if run.settings.sample == "all" else None, run.settings.seed,
                               st.BIG, st.SAMPLE)  # fmt: skip
    run.settings = replace(run.settings, size=size)
    run.context = replace(run.context, grid=st.grid(size))
    run.frame = frames.told(run.items, run.shapes, size, frame, why)


def at_other_scale(run: Survey) -> Survey | None:
    """Return a survey of FEW frames of the same maps at the other scale, shrunk or their own; None where they agree."""
    if run.frame["shrunk"] > 1 / APART:
        return None
    whole = {item.map: replace(item, name=item.map, window=(), tile=-1) for item in run.items}
    few = listing.choose(list(whole.values()), None, 0, FEW, FEW)
    frame = "tiles" if run.frame["frame"] == "shrink" else "shrink"
    other = replace(run, items=few, settings=replace(run.settings, frame=frame, keep_going=True), bad=[], told=[])
    _frame(other)
    other.items = listing.choose(other.items, None, 0, FEW, FEW)
    other.sums, _ = other.pass_over("other scale", frames.numbers, Path(label_numbers.__file__), summary.DRAWN)
    return other if other.sums.count else None
