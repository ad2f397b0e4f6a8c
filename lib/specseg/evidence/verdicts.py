"""Verdicts, computed: a claim's stated checks applied to what was observed.

The rules stand on the page Method. A measured verdict is about the domains that were measured, each of them one unit:
it agrees only where the check holds in all of them and what knows nothing fails it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from specseg.evidence import statistics
from specseg.evidence.claims import FORMS, NO_NULL, Check, Claim

CONFIRMED, CORRECTED = "confirmed", "confirmed with a correction"
REFUTED, INCONSISTENT = "refuted", "paper inconsistent"
AGREES, WEAKER, DIFFERS = "agrees in kind", "agrees in a weaker form", "differs in kind"
MIXED, UNRESOLVED, NOT_RUN = "mixed", "not resolved", "not run"
VERDICTS = (CONFIRMED, CORRECTED, REFUTED, INCONSISTENT, AGREES, WEAKER, DIFFERS, MIXED, UNRESOLVED, NOT_RUN)
GRADES = {
    "printed": "exact", "convention": "exact under a convention", "approximation": "approximate",
    "corrected": "wrong as printed",
}  # fmt: skip
MEASURED = ("R3", "R4")
HOLDS, FAILS, BOTH, OPEN = "holds", "fails", "mixed", "unresolved"
OVER = ("pictures", "clusters", "trainings", "setups", "domains", "seeds", "draws", "rounding")
FEWEST = 3  # units below which an interval decides nothing: two folds give a t-interval, but no evidence
RISK = 0.05  # a count must be rarer than this under no effect


@dataclass(frozen=True)
class Observation:
    """What a chapter observed of one claim: a value (of n cases, or with an interval) for one form of the statement.

    `domain` names the independent unit that it speaks of (a kind of scene, a data set); several models, seeds and folds
    of one domain are no further units. `over` and `units` say what the interval resampled, and how many of them there
    are. `null` is what a rule, network or picture that knows nothing scores. `left_out` is the reason why an
    observation is shown and sets no verdict: an untrained network, a case that cannot fail.
    """

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
    domain: str = ""
    over: str = ""
    units: int | None = None
    null: float | None = None
    left_out: str = ""

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
    """The verdict on one claim, the reason in a sentence, the observations used and left out, and a formula's grade."""

    claim: Claim
    verdict: str
    reason: str
    used: tuple[Observation, ...] = ()
    grade: str = ""
    aside: tuple[Observation, ...] = ()

    @property
    def found(self) -> str:
        """What we found, in one line: the chapter's own note with its numbers, else the observed values."""
        notes = list(dict.fromkeys(o.note for o in self.used if o.note))
        return " ".join(notes) if notes else "; ".join(f"{o.form}: {o.text()}" for o in self.used)

    @property
    def left_out(self) -> str:
        """What sets no verdict, each with its reason; empty where nothing was left out."""
        told = (f"{o.note or f'{o.domain}: {o.text()}.'} ({o.left_out})" for o in self.aside)
        return " ".join(dict.fromkeys(told))


def state(claim: Claim, obs: Observation) -> str:
    """Return "holds", "fails" or "unresolved": the claim's check of that form on one observation.

    An interval over fewer than FEWEST units decides nothing, and a check holds for nothing that ignorance passes too.
    """
    check = claim.checks[obs.form]
    if obs.units is not None and obs.units < FEWEST:
        return OPEN
    found = check.state(obs.value / obs.n) if obs.n is not None else check.state(obs.value, obs.low, obs.high)
    return OPEN if found == HOLDS and _blind(check, obs) else found


def _blind(check: Check, obs: Observation) -> bool:
    return obs.null is not None and _passes(check, obs, obs.null)


def validate(claim: Claim, obs: Observation) -> None:
    """Raise ValueError when an observation does not fit its claim; the message names the claim and the field."""
    where = f"observation of {claim.id}"
    if obs.form not in FORMS or obs.form not in claim.checks:
        raise ValueError(f"{where}: form {obs.form!r} has no stated check; claims.toml states {sorted(claim.checks)}")
    check = claim.checks[obs.form]
    for name in ("value", "low", "high", "mutant", "null"):
        number = getattr(obs, name)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{where}: {name} is {number}; expected a finite number")
    if check.kind == "count" and (obs.n is None or obs.n < 1 or not 0 <= obs.value <= obs.n):
        raise ValueError(f"{where}: a count check needs value k of n >= 1 cases; got {obs.value} of {obs.n}")
    if (obs.low is None) != (obs.high is None) or (obs.low is not None and not obs.low <= obs.value <= obs.high):
        got = f"{obs.low}, {obs.value}, {obs.high}"
        raise ValueError(f"{where}: expected low <= value <= high, low and high both or neither; got {got}")
    if obs.low is not None and obs.over not in OVER:
        ways = ", ".join(OVER)
        raise ValueError(f"{where}: over {obs.over!r}: an interval says what was resampled, one of {ways}; a range "
                         "over kinds of scenes is one observation each (cases)")  # fmt: skip
    if claim.tier in MEASURED:
        _validate_measured(claim, obs, where)
    if obs.mutant is not None and _passes(check, obs, obs.mutant):
        raise ValueError(f"{where}: the mutant ({obs.mutant:g}) passes '{check.describe()}'; it must fail")


def _validate_measured(claim: Claim, obs: Observation, where: str) -> None:
    if not obs.domain:
        raise ValueError(f"{where}: domain: missing; a measured number names the unit that it speaks of")
    if obs.low is not None and obs.units is None:
        raise ValueError(f"{where}: units: missing; expected how many {obs.over} the interval resampled")
    if obs.null is None and not obs.left_out and not claim.null.startswith(NO_NULL) and obs.n is None:
        raise ValueError(f"{where}: null: missing; expected what knows nothing scores: {claim.null}")


def _passes(check: Check, obs: Observation, value: float) -> bool:
    return check.state(value / obs.n if check.kind == "count" else value) == HOLDS


def counts(claim: Claim, obs: Observation) -> bool:
    """Say whether an observation may set this claim's verdict: measured tiers count only from records."""
    if claim.tier == "R3":
        return obs.record_profile in ("standard", "paper")
    return obs.record_profile == "paper" if claim.tier == "R4" else True


def by_domain(claim: Claim, observations: Sequence[Observation]) -> dict[str, str]:
    """Return domain -> "holds", "fails", "mixed" (its models differ) or "unresolved"; one domain is one unit."""
    found: dict[str, list[str]] = {}
    for o in observations:
        found.setdefault(o.domain, []).append(state(claim, o))
    return {domain: together(states) for domain, states in found.items()}


def together(states: Sequence[str]) -> str:
    """Return the state of several: "holds" and "fails" only of all; "mixed" where one clearly fails, another not.

    >>> together(["holds", "unresolved"]), together(["holds", "fails"]), together(["fails", "unresolved"])
    ('unresolved', 'mixed', 'mixed')
    """
    for one in (HOLDS, FAILS):
        if all(s == one for s in states):
            return one
    return BOTH if any(s in (FAILS, BOTH) for s in states) else OPEN


def judge(claim: Claim, observations: Sequence[Observation], not_run: str = "") -> Judgement:
    """Return the verdict on a claim from its observations. `not_run` is the reason given when there is none.

    Raises ValueError for observations that do not fit, or that leave the printed form untried.
    """
    for obs in observations:
        validate(claim, obs)
    counted = [o for o in observations if counts(claim, o)]
    used, aside = (tuple(o for o in counted if bool(o.left_out) == out) for out in (False, True))
    if not used:
        reason = claim.blocked or not_run or ("pipeline check only" if observations else "no chapter has observed it")
        if aside:
            reason = "nothing at hand may set the verdict: " + "; ".join(dict.fromkeys(o.left_out for o in aside))
        return Judgement(claim, NOT_RUN, reason, aside=aside)
    if not any(o.form == "printed" for o in used):
        only = ", ".join(sorted({o.form for o in used}))
        raise ValueError(f"claim {claim.id}: observed as {only} only; observe the printed form too: it may hold")
    judged = _measured(claim, used) if claim.tier in MEASURED else _derived(claim, used)
    return replace(judged, used=used, aside=aside)


def _derived(claim: Claim, used: Sequence[Observation]) -> Judgement:
    """Judge a claim about the paper's own text, mathematics or structure: every observation must hold."""
    for form in FORMS:
        states = [state(claim, o) for o in used if o.form == form]
        if states and all(s == HOLDS for s in states):
            grade = GRADES[form] if claim.kind == "identity" else ""
            if form == "printed":
                return Judgement(claim, CONFIRMED, "the stated check holds", grade=grade)
            if form == "corrected" and claim.replaces:
                why = "false as stated; another statement, given in the errata, holds instead"
                return Judgement(claim, claim.if_fails, why, grade=grade)
            return Judgement(claim, CORRECTED, WHY[form], grade=grade)
    printed = [o for o in used if o.form == "printed"]
    kinds = by_domain(claim, printed)
    if len(kinds) > 1 and together([*kinds.values()]) == BOTH:
        return Judgement(claim, MIXED, _named(kinds))
    if all(state(claim, o) == OPEN for o in printed):
        return Judgement(claim, UNRESOLVED, "the interval lies on both sides of the check")
    return Judgement(claim, claim.if_fails, "the stated check fails")


WHY = {
    "convention": "holds under a convention, not as printed", "approximation": "holds approximately, not as printed",
    "corrected": "the printed form fails its check; the corrected form holds",
}  # fmt: skip


def _measured(claim: Claim, used: Sequence[Observation]) -> Judgement:
    """Judge a measured claim: by domain, against what knows nothing; in the printed form first, then in weaker ones."""
    first: Judgement | None = None
    for form in FORMS:
        own = [o for o in used if o.form == form]
        if not own:
            continue
        kinds = by_domain(claim, own)
        found, reason = together([*kinds.values()]), f"{_named(kinds)}{_counted(claim, own)}"
        if nulls := sorted({o.null for o in own if _blind(claim.checks[form], o)}):
            shown = ", ".join(f"{n:.3g}" for n in nulls)
            reason += f"; what knows nothing passes as well ({claim.null}: {shown})"
        if found == HOLDS and (doubt := _doubt(claim, own)):
            found, reason = OPEN, f"{reason}; {doubt}"
        if found == HOLDS and form == "printed":
            return Judgement(claim, AGREES if claim.tier == "R3" else CONFIRMED, reason)
        if found == HOLDS and form == "corrected" and claim.replaces:
            return Judgement(claim, DIFFERS, f"false as stated; another statement holds instead; {reason}")
        if found == HOLDS:
            return Judgement(claim, WEAKER if claim.tier == "R3" else CORRECTED, f"{WHY[form]}; {reason}")
        verdict = {FAILS: DIFFERS if claim.tier == "R3" else claim.if_fails, BOTH: MIXED}.get(found, UNRESOLVED)
        first = first or Judgement(claim, verdict, reason)
    return first


def _doubt(claim: Claim, own: Sequence[Observation]) -> str:
    """Return why a check that holds is no evidence for the whole statement: a unit that it speaks of is missing, or no
    effect explains the count."""
    check = claim.checks[own[0].form]
    if missing := [name for name in claim.needs if not any(name in o.domain for o in own)]:
        return f"nothing at hand on: {', '.join(missing)}"
    if check.kind == "count" and (p := no_effect(own, check)) > RISK:
        return f"no effect explains the count as well (p = {p:.2g})"
    return ""


def no_effect(own: Sequence[Observation], check: Check) -> float:
    """Return the probability of as many hits or more if each case hit by chance (`check.chance`, 1/2 if not stated).

    Cases are taken as independent, which favours an effect: the true probability is no smaller.
    """
    from scipy.special import bdtrc

    k, n = sum(o.value for o in own), sum(o.n for o in own)
    return float(bdtrc(k - 1, n, check.chance if check.chance is not None else 0.5)) if k else 1.0


def _counted(claim: Claim, own: Sequence[Observation]) -> str:
    """Return a count's total with its interval over domains, each one case, and its probability under no effect."""
    check = claim.checks[own[0].form]
    if check.kind != "count":
        return ""
    per: dict[str, list[Observation]] = {}
    for o in own:
        per.setdefault(o.domain, []).append(o)
    parts = [sum(o.value for o in part) / sum(o.n for o in part) for part in per.values()]
    low, high = statistics.share_of_units(parts)
    total = f"{sum(o.value for o in own):g} of {sum(o.n for o in own)}"
    return (f"; {total}, 95 % [{low:.0%}, {high:.0%}] with each of {len(parts)} domain(s) as one case, "
            f"p = {no_effect(own, check):.2g} under no effect")  # fmt: skip


def _named(kinds: dict[str, str]) -> str:
    """Return the units by state: "holds: objects, streets; fails: land cover".

    >>> _named({"objects": "holds", "land cover": "fails", "streets": "holds"})
    'holds: objects, streets; fails: land cover'
    """
    words = {HOLDS: "holds", FAILS: "fails", BOTH: "its models differ", OPEN: "not resolved"}
    groups = {w: [d for d, s in kinds.items() if s == k] for k, w in words.items()}
    return "; ".join(f"{w}: {', '.join(own)}" for w, own in groups.items() if own)
