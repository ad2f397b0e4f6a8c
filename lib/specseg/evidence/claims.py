"""The claims of the paper as typed data (paper/claims.toml), with the checks that judge them stated beforehand."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from specseg.evidence import config

KINDS = ("identity", "number", "ordering", "trend", "fit")
TIERS = ("R0", "R1", "R2", "R3", "R4")
FORMS = ("printed", "convention", "approximation", "corrected")
IF_FAILS = ("refuted", "paper inconsistent")
CHECKS = {
    "residual": ("max",), "equals": ("expected", "tolerance"), "count": (), "at_least": ("min",), "at_most": ("max",),
    "between": ("min", "max"),
}  # fmt: skip
CORRECTION = ("printed", "corrected", "why", "conclusion")
CHECKED_BY = "checked_by"  # optional in a correction: the claim whose check judged the corrected form, if not this one
FIELDS = {
    "id", "locator", "section", "covers", "kind", "statement", "quote", "tables", "unit", "tier", "chapter", "if_fails",
    "blocked", "checks", "correction", "importance", "amended", "drift", "replaces",
}  # fmt: skip
SECTIONS = (
    "Abstract", "1", "2", "2.1", "2.2", "3", "3.1", "3.2", "3.3", "4",
    "A.1", "A.2", "A.3", "A.4", "A.5", "A.6", "A.7", "A.8", "A.9", "A.10", "Beyond the paper",
)  # fmt: skip


class ClaimError(ValueError):
    """A claim that breaks the schema; the message names the file, the claim and the field."""


@dataclass(frozen=True)
class Check:
    """One stated check: it accepts the observed values of a closed interval."""

    kind: str
    low: float
    high: float
    basis: str
    settings: dict[str, float] = field(default_factory=dict)

    def state(self, value: float, low: float | None = None, high: float | None = None) -> str:
        """Return "holds", "fails" or, when the interval [low, high] lies on both sides, "unresolved".

        >>> Check("at_least", 0.5, math.inf, "by hand").state(0.7, 0.4, 0.9)
        'unresolved'
        """
        a, b = (value if low is None else low), (value if high is None else high)
        if self.low <= a and b <= self.high:
            return "holds"
        return "fails" if b < self.low or a > self.high else "unresolved"

    def describe(self) -> str:
        """Return the check in words, e.g. "value at most 1e-10"."""
        s = {k: f"{v:g}" for k, v in self.settings.items()}
        return {
            "residual": lambda: f"residual at most {s['max']}",
            "equals": lambda: f"equals {s['expected']} within {s['tolerance']}",
            "count": lambda: (
                "holds in every case" if self.low >= 1 else f"holds in {self.low:.0%} of the cases or more"
            ),
            "at_least": lambda: f"at least {s['min']}",
            "at_most": lambda: f"at most {s['max']}",
            "between": lambda: f"between {s['min']} and {s['max']}",
        }[self.kind]()


@dataclass(frozen=True)
class Claim:
    """One statement of the paper that can be judged, with its place, tier, chapter and checks."""

    id: str
    locator: str
    section: str
    kind: str
    statement: str
    tier: str
    chapter: str
    checks: dict[str, Check]
    covers: tuple[str, ...] = ()
    quote: str = ""
    tables: tuple[str, ...] = ()
    unit: str = "1"
    if_fails: str = "refuted"
    blocked: str = ""
    correction: dict[str, str] | None = None
    importance: int = 0
    drift: float = 1e-6
    replaces: bool = False  # the corrected form is another statement: it mends no verdict
    amended: tuple[dict[str, str], ...] = ()


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


def claims_file() -> Path:
    """Return the path of paper/claims.toml."""
    return config.root() / "paper" / "claims.toml"


def load_claims(path: Path | None = None) -> Claims:
    """Read and check all claims. Raises ClaimError that names the file, the claim's id and the field."""
    path = path or claims_file()
    try:
        doc = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClaimError(f"{path}: missing; the paper's claims are expected there") from None
    except tomllib.TOMLDecodeError as err:
        raise ClaimError(f"{path}: not TOML: {err}") from None
    if unknown := set(doc) - {"planned_chapters", "claim"}:
        raise ClaimError(f"{path}: unknown top-level key(s) {sorted(unknown)}; expected planned_chapters and [[claim]]")
    by_id: dict[str, Claim] = {}
    for n, raw in enumerate(doc.get("claim", []), 1):
        claim = _claim(raw, f"{path.name}: claim {raw.get('id') or f'number {n}'}")
        if claim.id in by_id:
            raise ClaimError(f"{path.name}: claim {claim.id}: id given twice")
        by_id[claim.id] = claim
    if not by_id:
        raise ClaimError(f"{path}: no [[claim]] in it")
    for claim in by_id.values():
        other = (claim.correction or {}).get(CHECKED_BY, claim.id)
        if other not in by_id:
            where = f"{path.name}: claim {claim.id}: field 'correction.{CHECKED_BY}'"
            raise ClaimError(f"{where} is {other!r}; expected another claim's id")
    return Claims(by_id, tuple(doc.get("planned_chapters", ())))


def _claim(raw: dict[str, Any], where: str) -> Claim:
    if unknown := set(raw) - FIELDS:
        raise ClaimError(f"{where}: unknown field(s) {sorted(unknown)}")
    for key in ("id", "locator", "section", "kind", "statement", "tier", "chapter"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            raise ClaimError(f"{where}: field '{key}' must be text and not empty")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", raw["id"]):
        raise ClaimError(f"{where}: field 'id' must be kebab-case such as eq02-decomposition")
    for key, allowed in (("kind", KINDS), ("tier", TIERS), ("section", SECTIONS)):
        if raw[key] not in allowed:
            raise ClaimError(f"{where}: field '{key}' is {raw[key]!r}, expected one of {', '.join(allowed)}")
    if raw.get("if_fails", "refuted") not in IF_FAILS:
        raise ClaimError(f"{where}: field 'if_fails' is {raw['if_fails']!r}, expected one of {', '.join(IF_FAILS)}")
    checks = raw.get("checks") or {}
    if not raw.get("blocked") and "printed" not in checks:
        raise ClaimError(f"{where}: field 'checks.printed' is missing; a claim states its check beforehand")
    correction = raw.get("correction")
    if correction is not None and set(correction) - {CHECKED_BY} != set(CORRECTION):
        raise ClaimError(f"{where}: field 'correction' has {sorted(correction)}, expected {sorted(CORRECTION)}")
    if raw.get("replaces") and not ("corrected" in checks and correction):
        raise ClaimError(f"{where}: field 'replaces' needs a corrected form: checks.corrected and a correction")
    kept = {k: v for k, v in raw.items() if k not in ("checks", "covers", "tables", "amended")}
    return Claim(
        **kept,
        checks={form: _check(form, c, where) for form, c in checks.items()},
        covers=tuple(raw.get("covers", ())), tables=tuple(raw.get("tables", ())), amended=tuple(raw.get("amended", ())),
    )  # fmt: skip


def _check(form: str, raw: Any, where: str) -> Check:
    if form not in FORMS:
        raise ClaimError(f"{where}: field 'checks.{form}': expected one of {', '.join(FORMS)}")
    where = f"{where}: field 'checks.{form}"
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if kind not in CHECKS:
        raise ClaimError(f"{where}.kind' is {kind!r}, expected one of {', '.join(CHECKS)}")
    if not str(raw.get("basis", "")).strip():
        raise ClaimError(f"{where}.basis' is missing: say why this tolerance")
    needed = CHECKS[kind]
    extra = set(raw) - {"kind", "basis", *needed} - ({"min_fraction"} if kind == "count" else set())
    if extra or any(not isinstance(raw.get(k), int | float) or isinstance(raw.get(k), bool) for k in needed):
        names = ", ".join(needed) or "none"
        raise ClaimError(f"{where}': a {kind} check needs the number(s) {names}; it has {sorted(raw)}")
    low, high = -math.inf, math.inf
    if kind == "residual":
        low, high = 0.0, raw["max"]
    elif kind == "equals":
        low, high = raw["expected"] - raw["tolerance"], raw["expected"] + raw["tolerance"]
    elif kind == "count":
        low, high = raw.get("min_fraction", 1.0), 1.0
    else:
        low, high = raw.get("min", low), raw.get("max", high)
    if low > high:
        raise ClaimError(f"{where}': accepts nothing ({low} > {high})")
    return Check(kind, float(low), float(high), raw["basis"], {k: float(raw[k]) for k in needed})
