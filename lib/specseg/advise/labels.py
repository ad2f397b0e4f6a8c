"""What the maps of a folder hold, at a first look, and how their stored values become classes: decided and told why."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import gcd

import numpy as np

from specseg.advise import files, maps, polygons
from specseg.advise.files import BadFile as BadFile
from specseg.advise.folder import Item
from specseg.advise.maps import MOST_CLASSES, VOID, Reader
from specseg.data import manifests
from specseg.data.manifests import encoding

KEPT = 400  # stored values of a map that are remembered, the commonest first
MANY, ALIKE = 64, 0.6  # a picture has more values than MANY, and fewer equal neighbours than ALIKE; labels have not
VOID_COLORS = (0xE0E0C0,)  # PASCAL VOC's border


class NoDecision(ValueError):
    """Stored values that can be read in several ways; `draft` is the text of a map file that settles it, or empty."""

    def __init__(self, message: str, draft: str = "") -> None:
        super().__init__(message)
        self.draft = draft


@dataclass(frozen=True)
class Look:
    """What one map holds: its shape, its stored values (of polygons, the classes' names) with their counts, how many
    there are in all, the share of equal neighbours, and the colour of each place of its palette that it uses."""

    shape: tuple[int, int]
    color: bool
    values: dict[int | str, int]
    distinct: int = 0
    alike: float = 1.0
    palette: dict[int, int] = field(default_factory=dict)

    @property
    def picture(self) -> bool:
        return self.distinct > MANY and self.alike < ALIKE

    @staticmethod
    def of(text: str) -> Look:
        return Look(**ast.literal_eval(text))


def look(_, item: Item) -> dict[str, np.ndarray]:
    """Return what `Look.of` reads of one map. Raises BadFile."""
    if item.path.suffix.lower() == ".json":
        shape, names, _ = polygons.read(item.path, item.part)
        found = Look(shape, False, dict.fromkeys(names, 1))
    else:
        stored = files.read(item.path)
        codes = maps.codes_of(stored, stored.color)
        if not codes.size:
            raise BadFile(f"{item.path}: no pixel in it")
        values, counts = (x.tolist() for x in np.unique(codes, return_counts=True))
        alike = float((codes[:, 1:] == codes[:, :-1]).mean()) if codes.shape[1] > 1 else 1.0
        table = [] if stored.palette is None else encoding.pack(stored.palette).tolist()
        found = Look(codes.shape, stored.color, dict(Counter(dict(zip(values, counts, strict=True))).most_common(KEPT)),
                     len(values), alike, {v: table[v] for v in values} if table else {})  # fmt: skip
    return {"look": np.array(repr(asdict(found)))}


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
    manifest = manifests.load(name)
    ends = {split.label.partition("{id}")[2] for split in manifest.splits if split.label}
    end = ends.pop() if len(ends) == 1 else ""
    return Reader.of(manifest.labels), f"**/*{end}" if end.count(".") == 1 else ""


def decide(looks: Sequence[Look], ignore: Sequence[int | str] | None, classes: int | None) -> tuple[Reader, list[str]]:
    """Return how class numbers are read, and sentences that say what was decided and why.

    `ignore`: the stored values that count nowhere; None: 255, unless it must be a class. `classes`: how many there
    are, if that is known. Raises NoDecision where the values can be read in several ways, or in none.
    """
    if names := {v for one in looks for v in one.values if isinstance(v, str)}:
        every = ("background", *sorted(names - {"background"}))
        reader = Reader(every, tuple((name, k) for k, name in enumerate(every)))
        told = f"Read: polygons of {len(names)} classes; what no polygon covers is the class background."
        return (reader.without(ignore) if ignore else reader), [told]
    _refuse(looks, classes)
    if words := [v for v in ignore or () if not isinstance(v, int)]:
        raise NoDecision(f"--ignore {words[0]}: expected stored numbers, 'none', or names with a map file")
    looks = [one for one in looks if not one.color]  # a few colours among numbers are bad files
    totals = sum((Counter(one.values) for one in looks), Counter())

    def each_a_class(values: Collection[int]) -> bool:
        return len(values) == classes and not any(0 < v < classes for v in values)

    void = (VOID,) if ignore is None else tuple(ignore)
    if ignore is None and (
        set(totals) == {0, VOID} and classes in (None, 2) or VOID in totals and each_a_class(totals)
    ):
        void = ()
    seen = [v for v in sorted(totals) if v not in void]
    told = f"Read: {_words(seen, void, totals)}"
    if len(seen) < 2:
        raise NoDecision(_too_few(seen, void, totals))
    if classes is not None and not each_a_class(seen):
        return numbered(classes, void), [f"Read: class numbers 0 .. {classes - 1}, as --classes says."]
    _outlier(seen, void, looks, ignore)
    sparse = gcd(*seen) >= 10 or (seen[-1] >= MANY and len(seen) < seen[-1] / 2)
    if sparse and not classes and ignore is None and VOID in totals and void:
        raise NoDecision(f"stored values {_listed([*seen, VOID])}: 255 may be a class or count nowhere. Give --ignore "
                         f"none if each value is a class, --ignore {VOID} if 255 is not")  # fmt: skip
    if not (sparse or classes or seen[-1] >= MOST_CLASSES):
        return numbered(seen[-1] + 1, void), [f"{told}."]
    if len(seen) > MOST_CLASSES:
        raise NoDecision(f"{len(seen)} stored values {seen[0]} .. {seen[-1]}: more than {MOST_CLASSES} classes, as "
                         "instances have; a --map can give several ids to a class")  # fmt: skip
    return ranked(seen, void), [f"{told}; each stored value is a class, since so few are used."]


def _outlier(seen: Sequence[int], void: Sequence[int], looks: Sequence[Look], ignore: Sequence | None) -> None:
    """Raise NoDecision for a stored value far from all others: it rather counts nowhere than that it is a class."""
    far = seen[0] if seen[0] < 0 else seen[-1] if seen[-1] >= MANY and seen[-1] > 4 * max(seen[-2], 1) else None
    if far is None or len(seen) < 3 or ignore == ():
        return
    own = [v for v in (*void, far) if any(v in one.values for one in looks)]
    raise NoDecision(
        f"stored values {_listed([v for v in seen if v != far])}, and {far} far from them in "
        f"{sum(far in one.values for one in looks)} of {len(looks)} maps. If it counts nowhere, give "
        f"{' '.join(f'--ignore {v}' for v in own)}; if it is a class, --map says so",
        maps.draft({v: f"class {v}" for v in seen}, void, False, 0),
    )


def _refuse(looks: Sequence[Look], classes: int | None) -> None:
    """Raise NoDecision for pictures, colours, palettes that differ, and grey edges between black and white."""
    if all(one.picture for one in looks) and not (classes or looks[0].color):
        top = max(max(one.values) for one in looks)
        raise NoDecision(f"labels: values up to {top} are stored, unlike their neighbours as in a picture. If they are "
                         f"class numbers, give --classes {top + 1}; if the folder holds pictures, give that of the "
                         "labels, or --pattern")  # fmt: skip
    colored = [one for one in looks if one.color]
    colors = sum((Counter({color: one.values.get(place, 0) for place, color in one.palette.items()}) for one in looks),
                 sum((Counter(one.values) for one in colored), Counter()))  # fmt: skip
    if len(colored) * 2 > len(looks):
        if all(one.picture for one in colored) and _representatives(colors) is None:
            raise NoDecision("labels: colours as many as in pictures; give the labels' own folder, or --pattern")
        shown = ", ".join(f"{code:06X} ({count / colors.total():.1%})" for code, count in colors.most_common(6))
        more = f" and {len(colors) - 6} more" if len(colors) > 6 else ""
        raise NoDecision(f"labels are colours, {shown}{more}: which class each is must be told by --map",
                         _draft(colors))  # fmt: skip
    if several := unlike(looks):
        bad = min(several)
        raise NoDecision(f"palettes differ between the files: {bad} is "
                         f"{' and '.join(f'{c:06X}' for c in sorted(several[bad])[:3])}. So the colours say what is "
                         "what; a --map with ids in place of colours reads the numbers all the same",
                         _draft(colors))  # fmt: skip
    totals = sum((Counter(one.values) for one in looks if not one.color), Counter())
    between = 1 - (totals[0] + totals[VOID]) / totals.total()
    grey = max(totals) == VOID and max((v for v in totals if v != VOID), default=0) > VOID / 2 and len(totals) >= 10
    if grey and classes is None and min(totals[0], totals[VOID]) > 0 and between < 0.2:
        raise NoDecision(f"values 0 and 255 with {len(totals) - 2} greys between them ({between:.1%} of the pixels), "
                         "as smoothed edges have: --map can take each for the nearer one",
                         maps.draft({0: "background", VOID: "object"}, [], False, 127))  # fmt: skip


def unlike(looks: Iterable[Look]) -> dict[int, set[int]]:
    """Return the places of palettes that have several colours in these files, and which."""
    places: dict[int, set[int]] = {}
    for one in looks:
        for place, color in one.palette.items():
            places.setdefault(place, set()).add(color)
    return {place: found for place, found in places.items() if len(found) > 1}


def _words(seen: Sequence[int], void: Sequence[int], totals: Counter) -> str:
    if list(seen) == [0, VOID]:
        return "0 and 255 are two classes, background and object, since nothing else is stored"
    share = [f"{v} ({totals[v] / totals.total():.1%}) counts nowhere" for v in void if totals[v]]
    nowhere = ", ".join(share) or "no pixel is void" + (f" ({_listed(void)})" if void else "")
    return f"class numbers {_listed(seen)}; {nowhere}"


def _too_few(seen: Sequence[int], void: Sequence[int], totals: Counter) -> str:
    used = _listed([v for v in void if totals[v]])
    if not seen:
        here = f"labels: every pixel has the ignored value {used}; nothing is labelled"
    else:
        here = f"labels: one class alone, stored as {seen[0]}; mIoU compares classes, so there is nothing to advise on"
    return f"{here}. If {used} is a class too, give --ignore none" if used and len(totals) > 1 else here


def _listed(values: Sequence[int]) -> str:
    """Return numbers in words, rows of neighbours as ranges.

    >>> _listed([0, 1, 2, 7, 9])
    '0 .. 2, 7, 9'
    """
    parts = np.split(np.asarray(values, int), np.flatnonzero(np.diff(values) != 1) + 1) if len(values) else []
    shown = [f"{r[0]} .. {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in parts]
    return ", ".join(shown if len(shown) <= 12 else [*shown[:6], "...", *shown[-3:]])


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


def _draft(colors: Counter[int]) -> str:
    found, far = (_representatives(colors) or ([], 0)) if len(colors) > MANY else (list(colors), 0)
    void = [code for code in found if code in VOID_COLORS]
    names = {code: f"colour {code:06X}" for code in sorted(found) if code not in void}
    return maps.draft(names, void, True, min(127, far and 16 + far)) if found else ""


def parse_ignore(words: Sequence[str]) -> tuple[int | str, ...] | None:
    """Return what the option --ignore says: stored values, names or colours of classes; () for none, None if not given.

    >>> parse_ignore(["0,255"]), parse_ignore(["none"]), parse_ignore([]), parse_ignore(["sky"])
    ((0, 255), (), None, ('sky',))
    """
    if not words:
        return None
    parts = [part.strip() for word in words for part in word.split(",")]
    return tuple(int(p) if re.fullmatch(r"-?\d{1,5}", p) else p for p in parts if p not in ("", "none"))
