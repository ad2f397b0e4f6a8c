"""What the maps of a folder hold, at a first look, and how their stored values become classes: decided and told why."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import gcd

import numpy as np

from specseg.advise import files, maps
from specseg.advise.files import BadFile as BadFile
from specseg.advise.folder import Item
from specseg.advise.maps import VOID, Reader
from specseg.data import manifests
from specseg.evidence import config

KEPT = 400  # stored values of a map that are remembered, the commonest first
MANY, ALIKE = 64, 0.6  # a picture has more values than MANY, and fewer equal neighbours than ALIKE; labels have not
MOST_CLASSES = 254
VOID_COLORS = (0xE0E0C0,)  # PASCAL VOC's border


class NoDecision(ValueError):
    """Stored values that can be read in several ways; `draft` is the text of a map file that settles it, or empty."""

    def __init__(self, message: str, draft: str = "") -> None:
        super().__init__(message)
        self.draft = draft


@dataclass(frozen=True)
class Look:
    """What one map holds: its shape, its storage, its stored values with their counts, how many there are in all, the
    share of equal neighbours, and the colour of each place of its palette that it uses."""

    shape: tuple[int, int]
    what: str
    color: bool
    values: dict[int, int]
    distinct: int
    alike: float
    palette: dict[int, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()  # of polygons

    @property
    def picture(self) -> bool:
        return self.distinct > MANY and self.alike < ALIKE

    def told(self) -> dict[str, np.ndarray]:
        return {"look": np.array(json.dumps(asdict(self)))}

    @staticmethod
    def of(text: str) -> Look:
        told = json.loads(text)
        for key in ("values", "palette"):
            told[key] = {int(k): v for k, v in told[key].items()}
        return Look(**{**told, "shape": tuple(told["shape"]), "names": tuple(told["names"])})


def look(context, item: Item) -> dict[str, np.ndarray]:
    """Return what `Look.of` reads of one map. Raises BadFile."""
    if item.path.suffix.lower() == ".json":
        from specseg.advise import polygons

        shape, names = polygons.read(item.path, item.part)[:2]
        return Look(shape, "polygons", False, {}, 0, 1.0, {}, tuple(names)).told()
    stored = files.read(item.path)
    codes = maps.codes_of(stored, stored.color)
    if not codes.size:
        raise BadFile(f"{item.path}: no pixel in it")
    values, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:KEPT]
    alike = float((codes[:, 1:] == codes[:, :-1]).mean()) if codes.shape[1] > 1 else 1.0
    palette = {}
    if stored.palette is not None:
        hexed = maps.codes_of(stored, True)
        palette = {int(v): int(hexed[codes == v][0]) for v in values}
    kept = {int(values[k]): int(counts[k]) for k in order}
    return Look(codes.shape, stored.what, stored.color, kept, len(values), alike, palette).told()


def numbered(count: int, ignore: Sequence[int] = (VOID,)) -> Reader:
    """Return labels stored as class numbers 0 .. count - 1, those that count nowhere left out.

    Raises ValueError for a count outside 1 .. 254.

    >>> numbered(3).names, numbered(3, [0]).names
    (('class 0', 'class 1', 'class 2'), ('class 1', 'class 2'))
    """
    if not 1 <= count - len({v for v in ignore if 0 <= v < count}) <= MOST_CLASSES:
        raise ValueError(f"classes {count}: expected 1 .. {MOST_CLASSES}")
    return ranked([v for v in range(count) if v not in ignore], ignore)


def ranked(values: Sequence[int], ignore: Sequence[int]) -> Reader:
    """Return labels of which each of these stored values is a class."""
    pairs = {v: k for k, v in enumerate(values)} | dict.fromkeys(ignore, VOID)
    return Reader(tuple(f"class {v}" for v in values), tuple(pairs.items()))


def from_manifest(name: str) -> tuple[Reader, str]:
    """Return how a known data set stores its labels, and the pattern of its label files.

    Raises ValueError that lists the known names.
    """
    home = (config.root() if config.in_checkout() else config.packaged()) / "data_manifests"
    known = sorted(path.stem for path in home.glob("*.toml"))
    if name not in known:
        raise ValueError(f"no manifest for data set {name!r}: expected one of {', '.join(known) or 'none here'}")
    manifest = manifests.read(home / f"{name}.toml")
    ends = {split.label.partition("{id}")[2] for split in manifest.splits if split.label}
    end = ends.pop() if len(ends) == 1 else ""
    return Reader.of(manifest.labels), f"**/*{end}" if end.count(".") == 1 else ""


def decide(looks: Sequence[Look], ignore: Sequence[int | str] | None, classes: int | None) -> tuple[Reader, list[str]]:
    """Return how class numbers are read, and sentences that say what was decided and why.

    `ignore`: the stored values that count nowhere; None: 255, unless it must be a class. `classes`: how many there
    are, if that is known. Raises NoDecision where the values can be read in several ways, or in none.
    """
    if names := sorted({name for look in looks for name in look.names}):
        told = f"Read: polygons of {len(names)} classes; what no polygon covers is the class background."
        every = ("background", *(n for n in names if n != "background"))
        reader = Reader(every, tuple((k, k) for k in range(len(every))), drawn=every)
        return (reader.without(ignore) if ignore else reader), [told]
    _refuse(looks, classes)
    if words := [v for v in ignore or () if not isinstance(v, int)]:
        raise NoDecision(f"--ignore {words[0]}: expected stored numbers, 'none', or names with a map file")
    looks = [one for one in looks if not one.color]  # a few colours among numbers are bad files
    totals = sum((Counter(one.values) for one in looks), Counter())
    void = (VOID,) if ignore is None else tuple(ignore)
    if ignore is None and (set(totals) == {0, VOID} and classes in (None, 2) or _all_classes(totals, classes)):
        void = ()
    seen = [v for v in sorted(totals) if v not in void]
    told = f"Read: {_words(seen, void, totals)}"
    if len(seen) < 2:
        raise NoDecision(_too_few(seen, void, totals))
    if classes is not None and not (len(seen) == classes and not any(0 < v < classes for v in seen)):
        return numbered(classes, void), [f"Read: class numbers 0 .. {classes - 1}, as --classes says."]
    _outlier(seen, void, looks, ignore)
    sparse = gcd(*seen) >= 10 or (seen[-1] >= MANY and len(seen) < seen[-1] / 2)
    if sparse and not classes and ignore is None and VOID in totals and void:
        raise NoDecision(
            f"stored values {_listed([*seen, VOID])}: 255 may be a class or count nowhere. Give --ignore none if each "
            f"value is a class, --ignore {VOID} if 255 is not"
        )
    if not (sparse or classes or seen[-1] >= MOST_CLASSES):
        return numbered(seen[-1] + 1, void), [f"{told}."]
    if len(seen) > MOST_CLASSES:
        raise NoDecision(
            f"{len(seen)} stored values {seen[0]} .. {seen[-1]}: more than {MOST_CLASSES} classes, as instances have; "
            "a --map can give several ids to a class"
        )
    return ranked(seen, void), [f"{told}; each stored value is a class, since so few are used."]


def _all_classes(totals: Counter, classes: int | None) -> bool:
    """Say whether the number of classes can only be reached with 255 among them."""
    return classes == len(totals) and not any(0 < v < classes for v in totals) and VOID in totals


def _outlier(seen: Sequence[int], void: Sequence[int], looks: Sequence[Look], ignore: Sequence | None) -> None:
    """Raise NoDecision for a stored value far from all others: it rather counts nowhere than that it is a class."""
    far = seen[0] if seen[0] < 0 else seen[-1] if seen[-1] >= MANY and seen[-1] > 4 * max(seen[-2], 1) else None
    if far is None or len(seen) < 3 or ignore == ():
        return
    where = sum(far in one.values for one in looks)
    others = [v for v in seen if v != far]
    own = " ".join(f"--ignore {v}" for v in (*(v for v in void if any(v in one.values for one in looks)), far))
    raise NoDecision(
        f"stored values {_listed(others)}, and {far} far from them in {where} of {len(looks)} maps. If it counts "
        f"nowhere, give {own}; if it is a class, --map says so",
        maps.draft({v: f"class {v}" for v in seen}, void, False, 0),
    )


def _refuse(looks: Sequence[Look], classes: int | None) -> None:
    """Raise NoDecision for pictures, colours, palettes that differ, and grey edges between black and white."""
    if all(one.picture for one in looks) and not (classes or looks[0].color):
        top = max(max(one.values) for one in looks)
        raise NoDecision(f"labels: values up to {top} are stored, unlike their neighbours as in a picture. If they are "
                         f"class numbers, give --classes {top + 1}; if the folder holds pictures, give that of the "
                         "labels, or --pattern")  # fmt: skip
    colors: Counter[int] = Counter()
    for one in looks:
        for place, color in one.palette.items():
            colors[color] += one.values.get(place, 0)
    if sum(one.color for one in looks) * 2 > len(looks):
        for one in looks:
            colors.update(one.values if one.color else {})
        if all(one.picture for one in looks if one.color) and _representatives(colors) is None:
            raise NoDecision("labels: colours as many as in pictures; give the labels' own folder, or --pattern")
        raise NoDecision(f"labels are colours, {_shares(colors)}: which class each is must be told by --map",
                         _draft(colors, True))  # fmt: skip
    if several := unlike(looks):
        bad = min(several)
        raise NoDecision(
            f"palettes differ between the files: {bad} is {' and '.join(f'{c:06X}' for c in several[bad][:3])}. "
            "So the colours say what is what; a --map with ids in place of colours reads the numbers all the same",
            _draft(colors, True))  # fmt: skip
    totals = sum((Counter(one.values) for one in looks if not one.color), Counter())
    ends = totals[0] + totals[VOID]
    between = len(totals) - 2
    grey = max((v for v in totals if v != VOID), default=0) > VOID / 2 and max(totals) == VOID and between >= 8
    if grey and classes is None and min(totals[0], totals[VOID]) > 0 and ends > 0.8 * totals.total():
        raise NoDecision(
            f"values 0 and 255 with {between} greys between them ({1 - ends / totals.total():.1%} of the pixels), as "
            "smoothed edges have: --map can take each for the nearer one",
            maps.draft({0: "background", VOID: "object"}, [], False, 127))  # fmt: skip


def unlike(looks: Iterable[Look]) -> dict[int, list[int]]:
    """Return the places of palettes that have several colours in these files, and which."""
    places: dict[int, set[int]] = {}
    for one in looks:
        for place, color in one.palette.items():
            places.setdefault(place, set()).add(color)
    return {place: sorted(found) for place, found in places.items() if len(found) > 1}


def _words(seen: Sequence[int], void: Sequence[int], totals: Counter) -> str:
    if list(seen) == [0, VOID]:
        return "0 and 255 are two classes, background and object, since nothing else is stored"
    share = [f"{v} ({totals[v] / totals.total():.1%}) counts nowhere" for v in void if totals[v]]
    nowhere = ", ".join(share) or ("no pixel is void" + (f" ({_listed(void)})" if void else ""))
    return f"class numbers {_listed(seen)}; {nowhere}"


def _too_few(seen: Sequence[int], void: Sequence[int], totals: Counter) -> str:
    here = f"labels: every pixel has the ignored value {_listed([v for v in void if totals[v]])}; nothing is labelled"
    if seen:
        here = f"labels: one class alone, stored as {seen[0]}; mIoU compares classes, so there is nothing to advise on"
    if any(totals[v] for v in void) and len(totals) > 1:
        return f"{here}. If {_listed([v for v in void if totals[v]])} is a class too, give --ignore none"
    return here


def _listed(values: Sequence[int]) -> str:
    """Return numbers in words, rows of neighbours as ranges.

    >>> _listed([0, 1, 2, 7, 9])
    '0 .. 2, 7, 9'
    """
    runs: list[list[int]] = []
    for v in values:
        if runs and v == runs[-1][-1] + 1:
            runs[-1].append(v)
        else:
            runs.append([v])
    shown = [" .. ".join(map(str, (r[0], r[-1]))) if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:6], "...", *shown[-3:]])


def _shares(colors: Counter[int]) -> str:
    total = colors.total()
    first = [f"{code:06X} ({count / total:.1%})" for code, count in colors.most_common(6)]
    return ", ".join(first) + (f" and {len(colors) - 6} more" if len(colors) > 6 else "")


def _representatives(colors: Counter[int]) -> tuple[list[int], int] | None:
    """Return the commonest colours that lie apart, and how far the others lie from them; None for more than MANY."""
    kept: list[int] = []
    worst = 0
    for code, _ in colors.most_common():
        apart = maps.distance(np.array([code]), np.array(kept), True).min() if kept else 256
        if apart > 48:
            kept.append(code)
        else:
            worst = max(worst, int(apart))
        if len(kept) > MANY:
            return None
    return kept, worst


def _draft(colors: Counter[int], color: bool) -> str:
    found = _representatives(colors) if len(colors) > MANY else (list(colors), 0)
    if found is None:
        return ""
    void = [code for code in found[0] if code in VOID_COLORS]
    near = min(127, found[1] and 16 + found[1])
    return maps.draft({code: f"colour {code:06X}" for code in sorted(found[0]) if code not in void}, void, color, near)


def parse_ignore(words: Sequence[str]) -> tuple[int | str, ...] | None:
    """Return what the option --ignore says: stored values, names or colours of classes; () for none, None if not given.

    >>> parse_ignore(["0,255"]), parse_ignore(["none"]), parse_ignore([]), parse_ignore(["sky"])
    ((0, 255), (), None, ('sky',))
    """
    if not words:
        return None
    parts = [part.strip() for word in words for part in word.split(",")]
    return tuple(int(p) if re.fullmatch(r"-?\d{1,5}", p) else p for p in parts if p not in ("", "none"))
