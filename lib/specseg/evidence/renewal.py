"""Renewal: a record whose code has changed is current again when today's code gives its numbers again.

An experiment says in `recompute(record)` what of a record can be computed again without repeating it: it yields one
`Check` after the other, from the record's probe, from its rows, or from the data and published weights where they are
at hand, and raises `Unable` (or the data set's FileNotFoundError) for what is not here. What agrees is noted as one
line of `renewed.jsonl` beside record.json. A record that cannot be computed again itself is renewed by a sister: a
record of the same experiment that was, and whose code differed in no module that has changed since.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.evidence import config, provenance, records
from specseg.evidence.records import Record

# Share of a picture's pixels that may turn. A network's float32 sums differ by 1e-6 between processors, which turns
# only pixels where two classes tie; another grid, method or frame moves a hundred times as many.
TURNED = 1e-3
# Logits and losses of a network against the largest of their kind, for the same reason.
FLOAT32 = 1e-3
# What is computed in float64 from kept numbers and kept with ten digits: sums in another order.
ROUNDING = 1e-6
VALUES = ("value", "low", "high", "spread", "se")


class Unable(LookupError):
    """What a record needs to be computed again is not here; the message says what."""


class Check(NamedTuple):
    """One comparison: in words what was computed again, its worst deviation, and what was allowed."""

    what: str
    worst: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.worst <= self.tolerance


class Outcome(NamedTuple):
    """What became of a stale record: `state` is renewed, refused (its numbers come out otherwise) or stale; and why."""

    record: Record
    state: str
    why: str


def deviation(new, old) -> float:
    """Return the largest |new - old| over the largest |old|; infinite for other shapes and for NaN in other places.

    >>> deviation([1.0, 2.0], [1.0, 4.0]), deviation([1.0], [1.0, 2.0])
    (0.5, inf)
    """
    new, old = np.asarray(new, float), np.asarray(old, float)
    if new.shape != old.shape or not np.array_equal(np.isnan(new), np.isnan(old)):
        return float("inf")
    known = ~np.isnan(old)
    if not known.any() or np.array_equal(new[known], old[known]):
        return 0.0
    scale = np.abs(old[known]).max()
    return float(np.abs(new[known] - old[known]).max() / scale) if scale else float("inf")


def turned(new, old, pixels: int) -> float:
    """Return the largest difference of two arrays of counts as a share of a picture's `pixels`."""
    new, old = np.asarray(new), np.asarray(old)
    return float(np.abs(new.astype(float) - old).max() / pixels) if new.shape == old.shape else float("inf")


def rows_deviation(new: pd.DataFrame, old: pd.DataFrame, floor: float = 1e-9) -> float:
    """Return the worst |new - old| / max(|old|, floor) of rows that say the same place; infinite where rows lack.

    Rows are matched by their columns other than `VALUES`; `new` passes through the text that a record keeps, so that
    both hold ten digits. A NaN agrees with a NaN alone.

    >>> a = pd.DataFrame({"metric": ["iou", "loss"], "value": [0.5, 2.0]})
    >>> rows_deviation(a, a), rows_deviation(a.assign(value=[0.5, 2.2]), a), rows_deviation(a[:1], a)
    (0.0, 0.10000000000000009, inf)
    """
    new = pd.read_csv(StringIO(new.to_csv(index=False, float_format="%.10g")))
    columns = [c for c in old.columns if old[c].notna().any()]
    extra = [c for c in new.columns if c not in columns and new[c].notna().any()]
    if extra or any(c not in new.columns for c in columns):
        return float("inf")
    keys = [c for c in columns if c not in VALUES]
    words = [k for k in keys if not all(map(pd.api.types.is_numeric_dtype, (new[k], old[k])))]
    parts = [frame[columns].astype(dict.fromkeys(words, "string")) for frame in (new, old)]
    # rows of equal place are told apart by their order
    parts = [frame.assign(order=frame.groupby(keys, dropna=False).cumcount()) for frame in parts]
    both = parts[0].merge(parts[1], on=[*keys, "order"], how="outer", suffixes=("", "_old"), indicator="found")
    values = [c for c in columns if c in VALUES]
    mine, theirs = (both[[f"{c}{end}" for c in values]].to_numpy(float) for end in ("", "_old"))
    if (both["found"] != "both").any() or not np.array_equal(np.isnan(mine), np.isnan(theirs)):
        return float("inf")
    return float(np.nanmax(np.abs(mine - theirs) / np.maximum(np.abs(theirs), floor), initial=0.0))


def rows_again(what: str, new: pd.DataFrame, old: pd.DataFrame, tolerance: float = ROUNDING) -> Check:
    """Return the check of rows that were computed again against the same rows of a record."""
    return Check(f"{what} ({len(new)} rows)", rows_deviation(new, old), tolerance)


def same_pictures(new: Sequence[str], old: Sequence[str]) -> None:
    """Raise Unable unless the first pictures here are those of the record: data sets may be there in part."""
    if (found := list(map(str, new))) != (wanted := [str(name) for name in old[: len(new)]]):
        raise Unable(f"the data here begin with other pictures ({found[0]}, the record's {wanted[0]})")


def code_of(record: Record) -> dict[str, str]:
    """Return today's hashes of the code that a record rests on: its script, what that imports, what it had loaded.

    Raises Unable when the script is gone.
    """
    script = record.script()
    if not script.is_file():
        raise Unable(f"its script {record.meta.get('script', '')} is gone")
    loaded = {name: provenance.module_file(name) for name in record.meta["modules"] if name != "script"}
    kept = {name: provenance.code_hash(file) for name, file in loaded.items() if file}
    return {**kept, **provenance.module_hashes([script]), "script": provenance.code_hash(script)}


def renew(only: Sequence[str] = (), *, dry_run: bool = False, allow_dirty: bool = False) -> Iterator[Outcome]:
    """Renew the stale records of some experiments (none named: all), and yield what became of each.

    A renewed record gets its line at once, so that an interrupted run goes on. `dry_run` writes nothing. Raises
    ValueError for an unknown experiment and Uncommitted as `records.write` does.
    """
    known = records.experiments()
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"no records of {unknown[0]!r}: expected one of {', '.join(known) or '(there are none)'}")
    records.require_committed(allow_dirty or dry_run)
    for name in only or known:
        yield from _experiment(records.find(name), dry_run)


def _experiment(found: list[Record], dry_run: bool) -> Iterator[Outcome]:
    """Renew one experiment's stale records: first those that can be computed again, then the rest by these."""
    able = [r for r in found if r.freshness() == "fresh" and r.renewals and "by" not in r.renewals[-1]]
    left: list[tuple[Record, list[Check], str]] = []
    modules: dict[Path, ModuleType] = {}
    for record in (r for r in found if r.freshness() != "fresh"):
        checks: list[Check] = []
        try:
            code = code_of(record)
            recompute = _recompute(record, modules)
            for check in recompute(record):  # one by one: what was found before Unable counts
                checks.append(check)
                if not check.agrees:
                    break
        except (Unable, FileNotFoundError) as err:
            if not (wrong := _wrong(checks)):
                left.append((record, checks, str(err).splitlines()[0]))
                continue
        except Exception as err:  # code that no longer takes what it took does not give the same
            wrong = f"computing it again ended with {type(err).__name__}: {err}"
        else:
            wrong = _wrong(checks) or ("" if checks else "its experiment compared nothing")
        if wrong:
            yield Outcome(record, "refused", wrong)
            continue
        able.append(record)
        yield _note(record, code, checks, dry_run)
    for record, checks, why in left:
        if sister := _sister(record, able):
            yield _note(record, code_of(record), checks, dry_run, by=sister)
        else:
            yield Outcome(record, "stale", f"{why}, and no other record of the same code was computed again")


def _recompute(record: Record, modules: dict[Path, ModuleType]) -> Callable[[Record], Iterable[Check]]:
    """Return what its experiment, the file that `script` names, computes again; each file is loaded once."""
    script = record.script()
    if script not in modules:
        spec = importlib.util.spec_from_file_location(f"renewed_{script.stem}", script)
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # its dataclasses look there
        spec.loader.exec_module(module)
        modules[script] = module  # only now: each record of a script that does not load is told why
    if not hasattr(modules[script], "recompute"):
        raise Unable(f"{record.meta['script']} does not say how it is computed again")
    return modules[script].recompute


def _wrong(checks: Iterable[Check]) -> str:
    wrong = [c for c in checks if not c.agrees]
    return "; ".join(f"{c.what}: off by {c.worst:.2g}, allowed {c.tolerance:.2g}" for c in wrong)


def _sister(record: Record, able: Sequence[Record]) -> Record | None:
    """Return the record most alike that was computed again itself, of the same code in all that has changed since.

    "The same code": for every module of either that is not as recorded, both recorded the same hash. A network of
    another architecture is no sister.
    """
    own, settings = record.meta["modules"], record.meta["settings"]

    def fits(other: Record) -> bool:
        theirs = other.meta["modules"]
        changed = {n.removesuffix(" (gone)") for r in (record, other) for n in r.changed(r.meta["modules"])}
        same = all(name in own and own[name] == theirs.get(name) for name in changed)
        model = other.meta["settings"].get("model") == settings.get("model")
        return same and model and "changed during the run" not in own.values()

    def alike(other: Record) -> int:
        return sum(other.meta["settings"].get(key) == value for key, value in settings.items())

    return max((r for r in able if r.run_id != record.run_id and fits(r)), key=alike, default=None)


def _note(
    record: Record, code: dict[str, str], checks: list[Check], dry_run: bool, *, by: Record | None = None
) -> Outcome:
    """Append a record's line (unless `dry_run`) and return what it says."""
    how = [c.what for c in checks]
    if by is not None:
        named = by.meta["settings"].get("name") or by.meta["settings"].get("dataset") or ""
        how.append(f"for the rest by run {by.run_id}{f' ({named})' if named else ''}, which was made by the same code")
    line = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": provenance.commit()[0],
        "dirty": bool(provenance.uncommitted()), "modules": code, "machine": provenance.machine(),
        "worst": max((c.worst for c in checks), default=0.0), "how": "; ".join(how),
        "checks": [c._asdict() for c in checks], **({"by": by.run_id} if by else {}),
    }  # fmt: skip
    if not dry_run:
        with open(record.path / records.RENEWED, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, sort_keys=True) + "\n")
        config.note_input(record.path / records.RENEWED)
    told = "; ".join(f"{c.what}: off by {c.worst:.2g} of {c.tolerance:.2g}" for c in checks)
    return Outcome(record, "renewed", "; ".join([*([told] if told else []), *how[len(checks) :]]))
