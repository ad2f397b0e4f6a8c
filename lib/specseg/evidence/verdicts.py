"""Verdicts, computed: a claim's stated checks applied to what was observed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from specseg.evidence.claims import FORMS, Claim

CONFIRMED, CORRECTED = "confirmed", "confirmed with a correction"
REFUTED, INCONSISTENT = "refuted", "paper inconsistent"
AGREES, DIFFERS, UNRESOLVED, NOT_RUN = "agrees in kind", "differs in kind", "not resolved", "not run"
VERDICTS = (CONFIRMED, CORRECTED, REFUTED, INCONSISTENT, AGREES, DIFFERS, UNRESOLVED, NOT_RUN)
GRADES = {
    "printed": "exact", "convention": "exact under a convention", "approximation": "approximate",
    "corrected": "wrong as printed",
}  # fmt: skip


@dataclass(frozen=True)
class Observation:
    """What a chapter observed of one claim: a value (of n cases, or with an interval) for one form of the statement."""

    claim_id: str
    value: float
    n: int | None = None
    low: float | None = None
    high: float | None = None
    form: str = "printed"
    unit: str = "1"
    note: str = ""
    mutant: float | None = None
    record: str = ""
    record_profile: str = ""
    record_freshness: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if v not in (None, "")}

    def text(self) -> str:
        """Return the observed value in words: "162 of 162", "0.741 [0.63, 0.85]", "3.1e-16"."""
        if self.n is not None:
            return f"{self.value:g} of {self.n}"
        interval = f" [{self.low:.3g}, {self.high:.3g}]" if self.low is not None else ""
        unit = "" if self.unit in ("1", "fraction") else f" {self.unit}"
        return f"{self.value:.3g}{interval}{unit}"


@dataclass(frozen=True)
class Judgement:
    """The verdict on one claim, the reason in a sentence, the observations used, and the grade of a formula."""

    claim: Claim
    verdict: str
    reason: str
    used: tuple[Observation, ...] = ()
    grade: str = ""

    @property
    def found(self) -> str:
        """What we found, in one line: the chapter's own note with its numbers, else the observed values."""
        notes = list(dict.fromkeys(o.note for o in self.used if o.note))
        return " ".join(notes) if notes else "; ".join(f"{o.form}: {o.text()}" for o in self.used)


def state(claim: Claim, obs: Observation) -> str:
    """Return "holds", "fails" or "unresolved": the claim's check of that form on one observation."""
    check = claim.checks[obs.form]
    if check.kind == "count":
        return check.state(obs.value / obs.n)
    return check.state(obs.value, obs.low, obs.high)


def validate(claim: Claim, obs: Observation) -> None:
    """Raise ValueError when an observation does not fit its claim; the message names the claim and the field."""
    where = f"observation of {claim.id}"
    if obs.form not in FORMS or obs.form not in claim.checks:
        raise ValueError(f"{where}: form {obs.form!r} has no stated check; claims.toml states {sorted(claim.checks)}")
    check = claim.checks[obs.form]
    for name in ("value", "low", "high", "mutant"):
        number = getattr(obs, name)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{where}: {name} is {number}; expected a finite number")
    if check.kind == "count" and (obs.n is None or obs.n < 1 or not 0 <= obs.value <= obs.n):
        raise ValueError(f"{where}: a count check needs value k of n >= 1 cases; got {obs.value} of {obs.n}")
    if (obs.low is None) != (obs.high is None) or (obs.low is not None and not obs.low <= obs.value <= obs.high):
        got = f"{obs.low}, {obs.value}, {obs.high}"
        raise ValueError(f"{where}: expected low <= value <= high, low and high both or neither; got {got}")
    if obs.mutant is not None:
        mutated = obs.mutant / obs.n if check.kind == "count" else obs.mutant
        if check.state(mutated) == "holds":
            raise ValueError(f"{where}: the mutant ({obs.mutant:g}) passes '{check.describe()}'; it must fail")


def counts(claim: Claim, obs: Observation) -> bool:
    """Say whether an observation may set this claim's verdict: measured tiers count only from records."""
    if claim.tier == "R3":
        return obs.record_profile in ("standard", "paper")
    return obs.record_profile == "paper" if claim.tier == "R4" else True


def judge(claim: Claim, observations: Sequence[Observation], not_run: str = "") -> Judgement:
    """Return the verdict on a claim from its observations. `not_run` is the reason given when there is none.

    Raises ValueError for observations that do not fit, or that leave the printed form untried.
    """
    for obs in observations:
        validate(claim, obs)
    used = tuple(o for o in observations if counts(claim, o))
    if not used:
        reason = claim.blocked or not_run or ("pipeline check only" if observations else "no chapter has observed it")
        return Judgement(claim, NOT_RUN, reason)
    if not any(o.form == "printed" for o in used):
        only = ", ".join(sorted({o.form for o in used}))
        raise ValueError(f"claim {claim.id}: observed as {only} only; observe the printed form too: it may hold")
    measured = claim.tier in ("R3", "R4")
    for form in FORMS:
        states = [state(claim, o) for o in used if o.form == form]
        if states and all(s == "holds" for s in states):
            grade = GRADES[form] if claim.kind == "identity" else ""
            if form == "printed":
                verdict = AGREES if claim.tier == "R3" else CONFIRMED
                return Judgement(claim, verdict, "the stated check holds", used, grade)
            if form == "corrected" and claim.replaces:
                why = "false as stated; another statement, given in the errata, holds instead"
                return Judgement(claim, DIFFERS if claim.tier == "R3" else claim.if_fails, why, used, grade)
            why = "the printed form fails its check; the corrected form holds"
            if form != "corrected":
                why = f"holds {'under a convention' if form == 'convention' else 'approximately'}, not as printed"
            return Judgement(claim, AGREES if claim.tier == "R3" else CORRECTED, why, used, grade)
    printed = [state(claim, o) for o in used if o.form == "printed"] or ["unresolved"]
    if measured and not all(s == "fails" for s in printed):
        return Judgement(claim, UNRESOLVED, "the evidence lies on both sides of the check", used)
    if all(s == "unresolved" for s in printed):
        return Judgement(claim, UNRESOLVED, "the interval lies on both sides of the check", used)
    if claim.tier == "R3":
        return Judgement(claim, DIFFERS, "the stated check fails on our data and networks", used)
    return Judgement(claim, claim.if_fails, "the stated check fails", used)
