"""An experiment and its cells: frozen dataclasses with ids that stay the same when a field with a default is added."""

from __future__ import annotations

import hashlib
import json
import math
import numbers
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Tell = Callable[[str], None]
SLUG = 60  # letters of an id before its hash: short enough for a table's column and for every file system


@dataclass(frozen=True)
class Context:
    """What a record says about how it was made: profile, command line, device, seconds (over interruptions), and
    whether it may be made by code that is not committed.
    """

    profile: str
    command: str
    device: str
    wall_s: float
    allow_dirty: bool = False

    def told(self) -> dict[str, Any]:
        """Return what `records.write` takes of it."""
        return asdict(self)


@dataclass(frozen=True)
class Experiment:
    """An experiment: its cells in order of priority, and what to do with one.

    `run(cell, folder, tell)` returns tidy rows and keeps its checkpoints in `folder`, so that a second call goes on
    from the last one. `record(cell, folder, rows, context)` writes the committed record and returns its folder (None
    where there is none). `minutes(cell, profile)` estimates one cell. `file` is the experiment's own file; by default
    the running program.

    Raises ValueError for a name that is no slug.
    """

    name: str
    cells: Callable[[str], Sequence[Any]]
    run: Callable[[Any, Path, Tell], pd.DataFrame]
    record: Callable[[Any, Path, pd.DataFrame, Context], Path | None]
    minutes: Callable[[Any, str], float]
    file: Path | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise ValueError(f"experiment {self.name!r}: expected lower-case letters, digits and underscores")

    def by_id(self, profile: str) -> dict[str, Any]:
        """Return id -> cell in order of priority. Raises ValueError when two cells have one id."""
        cells = self.cells(profile)
        found = {cell_id(cell): cell for cell in cells}
        if twice := [cell for cell in cells if found[cell_id(cell)] is not cell]:
            raise ValueError(f"experiment {self.name}: two cells are the same, {twice[0]!r}")
        return found


def cell_id(cell: Any) -> str:
    """Return a cell's id: its fields in words, then 8 hex digits of the sha256 of their canonical JSON.

    Fields at their declared default count for nothing, so that a field added later, with a default, keeps old ids.
    Equal numbers count the same, 1 and 1.0. The class's name counts: an experiment may mix kinds of cells.

    Raises TypeError that names the field for a cell that is no frozen dataclass or holds what JSON cannot.

    >>> @dataclass(frozen=True)
    ... class Cell:
    ...     dataset: str
    ...     seed: int = 0
    >>> cell_id(Cell("voc2012", 0)) == cell_id(Cell("voc2012"))
    True
    >>> cell_id(Cell("voc2012", 2)).rpartition("-")[0]
    'voc2012-seed2'
    """
    if not is_dataclass(cell) or isinstance(cell, type) or not cell.__dataclass_params__.frozen:
        raise TypeError(f"{cell!r}: a cell must be an instance of a frozen dataclass")
    fields_ = canonical(cell)
    digest = hashlib.sha256(json.dumps(fields_, sort_keys=True).encode()).hexdigest()[:8]
    words = "-".join(_words(fields_)) or fields_["class"].lower()
    return f"{words[:SLUG].strip('-_.')}-{digest}"


def canonical(value: Any, where: str = "") -> Any:
    """Return a value as JSON holds it: dataclasses as objects without their defaults, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        where = where or type(value).__name__
        out = {"class": type(value).__name__}
        for f in fields(value):
            mine = canonical(getattr(value, f.name), f"{where}.{f.name}")
            if not _is_default(f, mine):
                out[f.name] = mine
        return out
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Integral):  # numpy's too
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise TypeError(f"{where}: {value} has no place in a cell; expected a finite number")
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, list | tuple):
        return [canonical(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
        return {k: canonical(v, f"{where}[{k!r}]") for k, v in value.items()}
    raise TypeError(f"{where}: {value!r}; a cell holds numbers, words, lists of them and dataclasses")


def _is_default(f: Field, mine: Any) -> bool:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return default is not MISSING and json.dumps(canonical(default), sort_keys=True) == json.dumps(mine, sort_keys=True)


def _words(value: Any, name: str = "") -> list[str]:
    """Return the readable words of a canonical value: a word as it is, a number with its field's name."""
    if isinstance(value, dict):
        return [w for key, v in value.items() if key != "class" for w in _words(v, key)]
    if isinstance(value, list):
        joined = "_".join(w for v in value for w in _words(v))
        return [f"{_slug(name)}{joined}"] if joined else []
    if isinstance(value, bool):
        return [_slug(name if value else f"no_{name}")]
    if isinstance(value, str):
        return [_slug(value)] if _slug(value) else []
    return [] if value is None else [_slug(f"{name}{value}")]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", text.lower()).strip("_.")
