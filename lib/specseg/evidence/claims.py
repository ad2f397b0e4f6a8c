"""The claims of the paper as typed data (paper/claims.toml), with the checks that judge them stated beforehand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from specseg.evidence import config, schema
from specseg.evidence.schema import FieldError, Model, Must

FORMS = ("printed", "convention", "approximation", "corrected")
CORRECTION = ("printed", "corrected", "why", "conclusion")
NO_NULL = "none: "  # how a measured claim says why nothing ignorant can be compared; the reason follows
CHECKED_BY = "checked_by"  # optional in a correction: the claim whose check judged the corrected form, if not this one
SECTIONS = (
    "Abstract", "1", "2", "2.1", "2.2", "3", "3.1", "3.2", "3.3", "4",
    "A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7", "A.8", "A.9", "A.10", "Beyond the paper",
)  # fmt: skip


class ClaimError(ValueError):
    """A claim that breaks the schema; the message names the file, the claim and the field."""


Text = Annotated[str, Must("text that is not empty", str.strip)]


class Kind(NamedTuple):
    """One kind of check: the numbers that it states, its words, and the interval of values that it accepts."""

    needs: tuple[str, ...]
    words: str
    interval: Callable[[Check], tuple[float, float]]


CHECKS = {
    "residual": Kind(("max",), "residual at most {max:g}", lambda c: (0.0, c.max)),
    "equals": Kind(("expected", "tolerance"), "equals {expected:g} within {tolerance:g}",
                   lambda c: (c.expected - c.tolerance, c.expected + c.tolerance)),
    "count": Kind((), "holds in every case", lambda c: (1.0 if c.min_fraction is None else c.min_fraction, 1.0)),
    "at_least": Kind(("min",), "at least {min:g}", lambda c: (c.min, math.inf)),
    "at_most": Kind(("max",), "at most {max:g}", lambda c: (-math.inf, c.max)),
    "between": Kind(("min", "max"), "between {min:g} and {max:g}", lambda c: (c.min, c.max)),
}  # fmt: skip


@dataclass(frozen=True)
class Check(Model):
    """One stated check: it accepts the observed values of a closed interval, `low` to `high`."""

    kind: Literal[*CHECKS]
    basis: Annotated[str, Must("words that say why this tolerance", str.strip)]
    min: float | None = None
    max: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    min_fraction: float | None = None  # of a count: less than every case
    chance: float | None = None  # of a count: how probable a hit is under no effect, where it is not one half

    def __post_init__(self) -> None:
        given = {k for k, v in vars(self).items() if v is not None} - {"kind", "basis"}
        needs = CHECKS[self.kind].needs
        if given - ({"min_fraction", "chance"} if self.kind == "count" else set()) != set(needs):
            names = ", ".join(needs) or "none"
            raise ValueError(f"a {self.kind} check needs the number(s) {names}; it has {sorted(given)}")
        if self.low > self.high:
            raise ValueError(f"accepts nothing ({self.low} > {self.high})")

    @property
    def low(self) -> float:
        return CHECKS[self.kind].interval(self)[0]

    @property
    def high(self) -> float:
        return CHECKS[self.kind].interval(self)[1]

    def state(self, value: float, low: float | None = None, high: float | None = None) -> str:
        """Return "holds", "fails" or, when the interval [low, high] lies on both sides, "unresolved".

        >>> Check("at_least", "by hand", min=0.5).state(0.7, 0.4, 0.9)
        'unresolved'
        """
        a, b = (value if low is None else low), (value if high is None else high)
        if self.low <= a and b <= self.high:
            return "holds"
        return "fails" if b < self.low or a > self.high else "unresolved"

    def describe(self) -> str:
        """Return the check in words, e.g. "value at most 1e-10"."""
        if self.low < 1 and self.kind == "count":
            return f"holds in {self.low:.0%} of the cases or more"
        return CHECKS[self.kind].words.format(**vars(self))


@dataclass(frozen=True)
class Amendment(Model):
    """A later change of a claim: when, why, and the verdict that it had before, where that is another now."""

    date: Annotated[str, Must("a day such as 2026-11-26", re.compile(r"\d{4}-\d\d-\d\d").fullmatch)]
    reason: Text
    was: str = ""


@dataclass(frozen=True)
class Claim(Model):
    """One statement of the paper that can be judged, with its place, tier, chapter and checks."""

    id: Annotated[str, Must("kebab-case such as eq02-decomposition", re.compile(r"[a-z0-9]+(-[a-z0-9]+)+").fullmatch)]
    locator: Text
    section: Literal[*SECTIONS]
    kind: Literal["identity", "number", "ordering", "trend", "fit"]
    statement: Text
    tier: Literal["R0", "R1", "R2", "R3", "R4"]
    chapter: Text
    checks: dict[Literal[*FORMS], Check] = field(default_factory=dict)
    covers: tuple[str, ...] = ()
    quote: str = ""
    tables: tuple[str, ...] = ()
    unit: str = "1"
    if_fails: Literal["refuted", "paper inconsistent"] = "refuted"
    blocked: str = ""
    correction: dict[str, str] | None = None
    drift: float = 1e-6
    replaces: bool = False  # the corrected form is another statement: it mends no verdict
    amended: tuple[Amendment, ...] = ()
    needs: tuple[str, ...] = ()  # of a measured claim: what its units' names must hold, each at least once
    null: str = ""  # of a measured claim: the rule, network or picture that knows nothing, in words

    def __post_init__(self) -> None:
        if not self.blocked and "printed" not in self.checks:
            raise FieldError("checks.printed", "missing; a claim states its check beforehand")
        if self.tier == "R3" and not self.blocked and not self.null.strip():
            raise FieldError("null", f"missing; a measured claim names what knows nothing, or says {NO_NULL!r} and why")
        if self.correction is not None and set(self.correction) - {CHECKED_BY} != set(CORRECTION):
            raise FieldError("correction", f"expected {sorted(CORRECTION)}; found {sorted(self.correction)}")
        if self.replaces and not ("corrected" in self.checks and self.correction):
            raise FieldError("replaces", "expected a corrected form beside it: checks.corrected and a correction")


@dataclass(frozen=True)
class Form(Model):
    """The file: its claims as they stand there, and the chapters that are planned."""

    planned_chapters: tuple[str, ...] = ()
    claim: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Claims:
    """All claims in the file's order; `planned` names chapters that claims may point to before they exist."""

    by_id: dict[str, Claim]
    planned: tuple[str, ...]

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.by_id.values())

    def __len__(self) -> int:
        return len(self.by_id)

    def of_chapter(self, chapter: str) -> list[Claim]:
        """Return the claims that this chapter judges."""
        return [c for c in self if c.chapter == chapter]


def load_claims(path: Path | None = None) -> Claims:
    """Read and check all claims, those of paper/claims.toml by default.

    Raises ClaimError that names the file, the claim's id and the field.
    """
    path = path or config.root() / "paper" / "claims.toml"
    if not path.is_file():
        raise ClaimError(f"{path}: missing; the paper's claims are expected there")
    return _load(path, config.sha256(path))


@lru_cache(maxsize=8)  # every chapter asks, and the driver for every chapter
def _load(path: Path, digest: str) -> Claims:
    form = schema.read(Form, schema.toml(path, ClaimError), str(path), ClaimError)
    by_id: dict[str, Claim] = {}
    for n, raw in enumerate(form.claim, 1):
        where = f"{path.name}: claim {raw.get('id') or f'number {n}'}"
        claim = schema.read(Claim, raw, where, ClaimError)
        if claim.id in by_id:
            raise ClaimError(f"{where}: id given twice")
        by_id[claim.id] = claim
    if not by_id:
        raise ClaimError(f"{path}: no [[claim]] in it")
    for claim in by_id.values():
        other = (claim.correction or {}).get(CHECKED_BY, claim.id)
        if other not in by_id:
            where = f"{path.name}: claim {claim.id}: field 'correction.{CHECKED_BY}'"
            raise ClaimError(f"{where}: expected another claim's id; found {other!r}")
    return Claims(by_id, form.planned_chapters)
