"""What label maps are like: contours, spectra, weak labels of every kind against the truth, polygons; no network.

Command   specseg sweep run labels --profile standard
          (or: python experiments/labels.py --profile standard; one set: --only voc2012)
Data      voc2012 (1,449 val label maps), camvid (train and val frames that are present), dubai under SPECSEG_DATA; the
          synthetic scenes are made on the spot
Minutes   one core: voc2012 about 25, camvid 8, dubai 2, each synthetic regime 2, each test set of networks less than 1
Expect    power falls about as nu^-3; most lies inside nu_max = 8; mean contours in frame sides 3.4 (voc2012), 12
          (camvid), 27 (dubai); blocks of nu_max = 32 agree with the true labels by 0.7 to 0.97 of the union

A record's rows are tables: `spectra` (chapter 20), `profile` (25), `coarse` (75); `ceilings` of a test set (80, 85).
Stopped and started again, it goes on from the last finished chunk of maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from specseg import sweep
from specseg.data import datasets, label_numbers, label_spectra, survey, synthetic, transforms
from specseg.data import label_tables as tables
from specseg.data.domains import domain
from specseg.data.label_numbers import Plan
from specseg.evidence import config, records, renewal
from specseg.nets import protocol
from specseg.nets.networks import Network
from specseg.spectral import spectrum as sp

SPLITS = {"voc2012": ("val",), "camvid": ("train", "val"), "dubai": ("all",)}
COARSE = (32,)  # the limit at which the paper calls the labels coarse contours
SHOWN = ("image_part_005t1", "image_part_001t4", "image_part_005t6", "image_part_006t8")  # CC0 frames for the pages
SHOWN_SIZE, DOSED = 193, 24
KEPT = 1e-5  # density and energies of every map are kept in float32
NOTES = {
    "voc2012": "Bootstrap over images. Label files from mirrors of the official archive.",
    "camvid": "Bootstrap over ten-second stretches of a drive. Train and val pairs that are present.",
    "dubai": "Bootstrap over the eight tiles.",
}


@dataclass(frozen=True)
class Maps:
    """All label maps of a data set, or synthetic val scenes, in the evaluation's frame; `count` 0: all of them."""

    dataset: str
    size: int = 513
    count: int = 0

    def sources(self) -> list[datasets.DataSet]:
        """Open the splits. Raises FileNotFoundError naming the command that gets the data."""
        if self.dataset in synthetic.REGIMES:
            count = self.count or 64
            return [datasets.open("synthetic", "val", regime=self.dataset, size=self.size, count=count)]
        try:
            partial = self.dataset == "camvid"  # the others are small or labels only: all of them or an error
            return [datasets.open(self.dataset, s, partial=partial, need="label") for s in SPLITS[self.dataset]]
        except FileNotFoundError as err:
            fetch = f"get the data with `specseg data fetch {self.dataset}` or point SPECSEG_DATA at their folder"
            raise FileNotFoundError(f"{self.dataset}: {err}\n{fetch}; looked in {config.data_root()}") from None

    def cluster(self, name: str) -> str:
        """What the bootstrap keeps together: a tile (dubai), ten seconds of a drive (camvid), else the map."""
        return domain(self.dataset).cluster(name) if self.dataset in ("camvid", "dubai") else name

    def plans(self) -> dict[tuple[str, str], Plan]:
        """Return (frame, void) -> what is measured; "filled" has all, the others what chapter 20 compares."""
        limits = tuple(nu for nu in label_spectra.LIMITS if nu <= self.size // 2)
        coarse = tuple(nu for nu in COARSE if sp.lrg_size(nu) < self.size)  # else a block is a pixel
        both = {"size": self.size, "band": limits, "boundaries": sp.BOUNDARIES}
        plans = {("crop", "filled"): Plan(**both, blocks=coarse, coarse=coarse, whole=True),
                 ("crop", "masked"): Plan(**both, void="masked", whole=True)}  # fmt: skip
        if self.dataset not in synthetic.REGIMES:  # a scene fills its frame already
            plans["padded", "masked"] = Plan(**both, void="masked")
        return plans


@dataclass(frozen=True)
class Labels:
    """The test labels of one fold of a domain, in the frame of its networks."""

    domain: str
    fold: int = 0
    size: int = 257

    @property
    def network(self) -> Network:
        """A network with this test set."""
        return Network(self.domain, fold=self.fold, size=self.size)

    def sources(self) -> list[datasets.DataSet]:
        """Open the test set."""
        return [self.network.data("test")]

    def cluster(self, name: str) -> str:
        """What the bootstrap keeps together, as for the networks."""
        return self.network.home.cluster(name)

    def plans(self) -> dict[tuple[str, str], Plan]:
        """Return the one plan: the label rules at the sizes of truncation and of block annotation."""
        blocks = [2 * n + 1 for n in protocol.LIMITS]
        chosen = {*protocol.lrg_sizes((self.size - 1) // 4 + 1), *(b for b in blocks if b <= self.size // 2)}
        return {("crop", "masked"): tables.rules_plan(self.size, sorted(chosen, reverse=True))}


Cell = Maps | Labels


def cells(profile: str) -> list[Cell]:
    """Every label set, then every test set of the protocol, each once."""
    known = config.profile(profile)
    count = known.images if profile == "smoke" else 0
    sets = [Maps(name, known.size, count) for name in (*SPLITS, *synthetic.REGIMES)]
    if profile == "smoke":
        sets = [one for one in sets if one.dataset in synthetic.REGIMES]
    return [*sets, *dict.fromkeys(Labels(n.domain, n.fold, n.size) for n in protocol.networks(profile))]


@dataclass(frozen=True)
class Item:
    """One map of a walk."""

    name: str
    source: datasets.DataSet
    index: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Which map of which split."""
        return self.source.name, self.source.split, self.index


def numbers(plans: dict[tuple[str, str], Plan], item: Item) -> dict[str, np.ndarray] | None:
    """Return the numbers of one map under every plan, keys "frame/void/number"; None for void alone."""
    out, label = {}, item.source.label(item.index)
    for (frame, void), plan in plans.items():
        framed = label if label.shape == (plan.size,) * 2 else transforms.frame_label(label, plan.size, frame)
        one = label_numbers.measure(framed, item.source.num_classes, plan)
        if one is None:
            return None
        out |= {f"{frame}/{void}/{key}": value for key, value in one.items()}
    return out


def walked(cell: Cell, folder: Path, tell=lambda text: None, most: int = 0) -> tuple[dict, list[str], list]:
    """Return (plan -> stacked numbers, names of the maps, sources) of a cell, from scratch below `folder`."""
    opened, plans = cell.sources(), cell.plans()
    items = [Item(name, source, k) for source in opened for k, name in enumerate(source.ids)][: most or None]
    key = survey.scratch_key({"plans": str(plans)}, [Path(__file__), Path(label_numbers.__file__)])
    parts, names = [], []
    for found, who, _ in survey.run(items, folder / f"maps-{key}", numbers, plans):
        parts += [found] if who else []
        names += who
        tell(f"{len(names)} of {len(items)} label maps")
    if not names:
        raise ValueError(f"{cell}: no label map has a pixel that is not void")
    stacks = {}
    for frame, void in plans:
        head = f"{frame}/{void}/"
        stacks[frame, void] = {k.removeprefix(head): np.concatenate([p[k] for p in parts]) for k in parts[0]
                               if k.startswith(head)}  # fmt: skip
    return stacks, names, opened


def set_rows(cell: Maps, stacks: dict, names: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Return the tables of a label set."""
    groups, rows, plans = [cell.cluster(name) for name in names], [], cell.plans()
    for (frame, void), plan in plans.items():
        found = [tables.spectra(stacks[frame, void], groups, plan)]
        if (frame, void) == ("crop", "masked"):
            found += [tables.single(stacks[frame, void], names, plan),
                      tables.class_iou(stacks[frame, void], classes, plan)]  # fmt: skip
        else:
            found[0] = found[0][~found[0]["metric"].isin(["power", "near_share", "decay_exponent",
                                                          "decay_exponent_4_128"])]  # fmt: skip
        rows += [f.assign(table="spectra", frame=frame, void=void) for f in found]
    key = ("crop", "filled")
    rows += [tables.profile(stacks[key], groups, classes, plans[key]).assign(table="profile"),
             tables.coarse(stacks[key], groups, plans[key]).assign(table="coarse")]  # fmt: skip
    if cell.dataset in synthetic.REGIMES:
        rows.append(dose_rows(cell))
    return tidy(cell, rows)


def tidy(cell: Maps, rows: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of a label set as one, in the columns of a record."""
    first = ["table", "name", "frame", "void", "boundary", "kind", "nu", "nu_max", "lrg_size", "level", "dose",
             "metric", "value", "low", "high", "spread", "n"]  # fmt: skip
    out = pd.concat(rows, ignore_index=True).reindex(columns=first)
    return out.astype(dict.fromkeys(["nu", "nu_max", "lrg_size", "n"], "Int64")).assign(dataset=cell.dataset)


def dose_rows(cell: Maps, doses: Sequence[float] = synthetic.DOSES) -> pd.DataFrame:
    """Return the rows of a regime's scenes at every dose."""
    count = min(DOSED, cell.count or DOSED)
    return tables.dosed(cell.dataset, count, min(257, cell.size), doses).assign(table="profile")


def rule_numbers(cell: Labels, stacks: dict, names: Sequence[str], opened: list) -> dict[str, np.ndarray]:
    """Return `tables.rules` of a test set with the maps' names, clusters and the scored classes."""
    ((key, plan),) = cell.plans().items()
    found = tables.rules(stacks[key], plan)
    found |= {key: found[key].astype(np.float32) for key in ("density", "beyond")}
    return found | {"names": np.array(names), "clusters": np.array([cell.cluster(name) for name in names]),
                    "scored": np.array(cell.network.home.scored_indices(opened[0].classes))}  # fmt: skip


def shown() -> dict[str, np.ndarray]:
    """Return framed CC0 images of dubai with their labels and contours, for the pages and for a check of the record."""
    source = datasets.open("dubai", "all")
    framed = [transforms.frame(source[source.ids.index(name)], SHOWN_SIZE) for name in SHOWN]
    images, labels = np.stack([s.image for s in framed]), np.stack([s.label for s in framed]).astype(np.uint8)
    return {"images": images, "labels": labels, "contours": shown_contours(labels)}


def shown_contours(labels: np.ndarray) -> np.ndarray:
    """Return the contour lengths of some label maps in frame sides."""
    plan = tables.profile_plan(labels.shape[-1])
    stack = label_numbers.stacked([label_numbers.measure(label, len(synthetic.CLASSES["landcover"]), plan)
                                   for label in labels])  # fmt: skip
    return tables.contours(stack, plan)


def run(cell: Cell, folder: Path, tell) -> pd.DataFrame:
    """Return the tidy rows of a cell."""
    stacks, names, opened = walked(cell, folder, tell)
    if isinstance(cell, Maps):
        kept = {"names": np.array(names), "clusters": np.array([cell.cluster(name) for name in names])}
        kept |= shown() if cell.dataset == "dubai" else {}
        rows = set_rows(cell, stacks, names, opened[0].classes)
    else:
        kept = rule_numbers(cell, stacks, names, opened)
        rows = tables.ceilings(kept, kept["clusters"].tolist(), kept["scored"].tolist()).assign(table="ceilings")
    np.savez_compressed(folder / "probe.npz", **kept)
    return rows


def cell_of(record: records.Record) -> Cell:
    """Return the cell that a record is of."""
    settings = record.meta["settings"]
    kind = Maps if "dataset" in settings else Labels
    return kind(**{k: settings[k] for k in kind.__dataclass_fields__ if k in settings})


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: of a label set the three single maps' rows and the CC0 frames' contours, of the smallest set all rows, of
    a regime one dose; of a test set all rows from the kept numbers, and the first maps' numbers. All in float64."""
    import tempfile

    cell, kept, old = cell_of(record), record.probe(), record.rows
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if isinstance(cell, Labels):
            rows = tables.ceilings(kept, kept["clusters"], kept["scored"].tolist()).assign(table="ceilings")
            yield renewal.rows_again("all rows from the numbers of every map", rows, old, KEPT)
            stacks, names, opened = walked(cell, folder, most=2)
            again, few = rule_numbers(cell, stacks, names, opened), len(names)
            renewal.same_pictures(names, kept["names"])
            worst = renewal.turned(again["counts"], kept["counts"][:, :, :few], cell.size**2)
            yield renewal.Check(f"counts of the first {few} label maps", worst, renewal.TURNED)
            worst = max(renewal.deviation(again[k], kept[k][..., :few]) for k in ("density", "beyond"))
            yield renewal.Check(f"contours and energies of the first {few} label maps", worst, KEPT)
        elif cell.dataset == "dubai":
            worst = renewal.deviation(shown_contours(kept["labels"]), kept["contours"])
            yield renewal.Check("contours of the shown frames", worst, renewal.ROUNDING)
            stacks, names, opened = walked(cell, folder)
            yield renewal.rows_again("all maps measured again", set_rows(cell, stacks, names, opened[0].classes), old)
        else:
            yield _single_again(cell, old)
            if cell.dataset in synthetic.REGIMES:
                some = tidy(cell, [dose_rows(cell, synthetic.DOSES[:1])])
                yield renewal.rows_again("scenes of one dose", some, old[old["dose"] == synthetic.DOSES[0]])


def _single_again(cell: Maps, old: pd.DataFrame) -> renewal.Check:
    rows, plan = old[old["metric"].str.startswith("image_", na=False)], cell.plans()["crop", "masked"]
    names = list(dict.fromkeys(rows["name"]))
    where = {name: (source, k) for source in cell.sources() for k, name in enumerate(source.ids)}
    if missing := [name for name in names if name not in where]:
        raise renewal.Unable(f"{cell.dataset}: the label map {missing[0]} is not here")
    found = []
    for name in names:
        source, k = where[name]
        label = transforms.frame_label(source.label(k), cell.size)
        one = label_numbers.measure(label, source.num_classes, plan)
        found.append(tables.single(label_numbers.stacked([one]), [name], plan))
    again = tidy(cell, [one.assign(table="spectra", frame="crop", void="masked") for one in found])
    return renewal.rows_again(f"label maps {', '.join(names)}", again, rows)


def record(cell: Cell, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record; a test set's with the counts of every map beside."""
    if isinstance(cell, Maps):
        data = [f"{s.name}/{s.split}: {s.coverage}" for s in cell.sources()]
        note = NOTES.get(cell.dataset, "Synthetic val scenes.")
    else:
        data, note = [cell.network.home.test[0]], ""
    return records.write(
        "labels", rows, **context.told(), data=data, script=Path(__file__), probe=folder / "probe.npz",
        settings={k: getattr(cell, k) for k in cell.__dataclass_fields__}, notes=note,
    )  # fmt: skip


def minutes(cell: Cell, profile: str) -> float:
    """Minutes of one cell."""
    if isinstance(cell, Maps):
        return {"voc2012": 25.0, "camvid": 8.0}.get(cell.dataset, 2.0) * (cell.size / 513) ** 2
    pictures = {"voc": 297, "camvid": 100, "dubai": 18}.get(cell.domain, 60)
    return 0.01 * pictures * (cell.size / 257) ** 2


EXPERIMENT = sweep.Experiment(name="labels", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
