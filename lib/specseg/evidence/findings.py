"""What a chapter does with the ledger: open it, observe its claims, close with what was found."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from specseg.evidence import config, provenance, records
from specseg.evidence.claims import Claim, load_claims
from specseg.evidence.records import Record
from specseg.evidence.verdicts import MEASURED, NOT_RUN, Judgement, Observation, judge, state, together, validate

MIME = "application/vnd.specseg.findings+json"
NOTHING = "This chapter judges no claim."
RECORD = """A record is a result that was measured once and is kept with the commit, machine and settings that made it.
A build of the book reads it and measures nothing anew."""
STALE = """A record is called stale when code has changed since it was measured and its numbers have not been computed
again. It stands as it was measured."""


class Look(NamedTuple):
    """How a verdict is shown: its colour's class, a sign for eyes that do not tell the colours apart, what it means.

    Signs are marks for what is derived, discs for what is measured (full, half, empty).
    """

    css: str
    sign: str
    meaning: str


LOOKS = {
    "confirmed": Look("good", "\u2713", "the stated check holds as the paper prints it"),
    "confirmed with a correction": Look("mended", "\u270e", "holds once a sign, factor or condition is mended"),
    "refuted": Look("bad", "\u2717", "the stated check fails; the errata say what holds instead"),
    "paper inconsistent": Look("bad", "\u2260", "the paper's own numbers or sentences contradict each other"),
    "agrees in kind": Look("good", "\u25cf", "our smaller experiments agree (other data or networks than the paper's)"),
    "agrees in a weaker form": Look("mended", "\u25d0", "our smaller experiments agree with less than is printed"),
    "differs in kind": Look("bad", "\u25cb", "our smaller experiments disagree, in every domain measured"),
    "mixed": Look("open", "\xb1", "clearly fails in some domains and not in others; each is named"),
    "not resolved": Look("open", "?", "what was measured can be on either side of the check"),
    "not run": Look("none", "\u2013", "no result yet, with the reason"),
}


def badge(verdict: str) -> str:
    """Return a verdict as an HTML badge: its sign and its words, which colour only helps."""
    words = f'<i aria-hidden="true">{LOOKS[verdict].sign}</i>&nbsp;{html.escape(verdict)}'
    return f'<span class="verdict verdict-{LOOKS[verdict].css}" data-verdict="{verdict}">{words}</span>'


def sign(verdict: str, told: str = "") -> str:
    """Return a verdict's sign alone in its colour, then a word; who points at it reads the name."""
    look = LOOKS[verdict]
    return f'<span class="verdict-{look.css}" data-verdict="{verdict}" title="{verdict}">{look.sign}{told}</span>'


@dataclass(frozen=True)
class Display:
    """HTML for a page, with the data that travels in the notebook beside it."""

    page: str
    plain: str
    data: dict[str, Any]

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, Any]:
        return {"text/html": self.page, "text/plain": self.plain, MIME: self.data}


@dataclass
class Findings:
    """The observations of one chapter at one profile."""

    chapter: str
    profile: str
    claims: dict[str, Claim]
    observations: list[Observation] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    _fresh: dict[str, str] = field(default_factory=dict)

    def freshness(self, record: Record) -> str:
        """Return a record's freshness, looked up once a page."""
        if record.run_id not in self._fresh:
            self._fresh[record.run_id] = record.freshness()
        return self._fresh[record.run_id]

    def use(self, record: Record) -> Record:
        """Note that this chapter shows numbers of a record (the page's end marks it where it is stale); return it."""
        self.records[record.run_id] = record
        return record

    def observe(
        self,
        claim_id: str,
        *,
        value: float | None = None,
        cases: Mapping[str, float] | None = None,
        record: Record | None = None,
        note: str = "",
        mutant: float | None = None,
        **other: Any,
    ) -> str:
        """Note one observation of a claim and return whether its stated check holds, fails or is unresolved.

        `value` of `n` cases for a count, else a number with an optional interval [low, high] over so many `units` of
        what `over` says; or `cases`, one value for each kind of scene, each judged by itself. `form` says which
        statement was checked, `domain` of which unit it speaks (a measured number always says it), `null` what knows
        nothing scores, `left_out` why it is shown and sets no verdict; `mutant` is what a deliberately broken version
        gives, which must fail the check; `note` is the finding in a sentence with its numbers; `record` the Record it
        was read from. The fields are those of `Observation`.
        Raises ValueError for an unknown claim, one of another chapter, a form without a check, a value that is not
        finite, a mutant that passes, an interval that does not say what was resampled, a measured number without its
        domain or without what knows nothing.
        """  # fmt: skip
        if claim_id not in self.claims:
            raise ValueError(f"{self.chapter}: no claim {claim_id!r} of this chapter in paper/claims.toml")
        if record is not None:
            other |= {"record": self.use(record).run_id, "record_profile": record.profile}
            other["record_freshness"] = self.freshness(record)
        claim, states = self.claims[claim_id], []
        for k, (domain, number) in enumerate((cases or {other.pop("domain", ""): value}).items()):
            only_once = {"note": note.strip(), "mutant": mutant} if k == 0 else {}
            plain = {key: v if v is None or isinstance(v, str) else v.item() if hasattr(v, "item") else v
                     for key, v in ({"value": number} | other | only_once).items()}  # fmt: skip
            obs = Observation(claim_id, **(plain | {"domain": str(domain), "value": float(plain["value"])}))
            validate(claim, obs)
            self.observations.append(obs)
            states.append(state(claim, obs))
        return together(states)

    def not_run(self, claim_id: str, reason: str) -> None:
        """Say why a claim of this chapter was not observed. Raises ValueError for an unknown claim or no reason."""
        if claim_id not in self.claims or not reason.strip():
            raise ValueError(f"{self.chapter}: not_run needs a claim of this chapter and a reason; got {claim_id!r}")
        self.skipped[claim_id] = reason.strip()

    def judgements(self) -> list[Judgement]:
        """Return the verdicts of this chapter's claims, in the order of the claims file."""
        return [
            judge(c, [o for o in self.observations if o.claim_id == c.id], self.skipped.get(c.id, ""))
            for c in self.claims.values()
        ]

    def _made(self, used: Collection[Record]) -> str:
        """Return how the page was made, as one line that opens: what was computed on it, which records it shows."""
        old = sum(self.freshness(r) != "fresh" for r in used)
        told = f", and read from {len(used)} record{'s' * (len(used) > 1)} of earlier measurements" if used else ""
        told += f"; the code of {old} has changed since" if old else ""
        here = f"{len(self.claims)} claims judged on {config.device_name('cpu')}, at the sizes of the profile"
        lines = [f"Computed here: {here} {self.profile}.", *[RECORD] * bool(used), *[STALE] * bool(old)]
        groups: dict[tuple[str, str], list[str]] = {}
        for r in used:
            groups.setdefault((r.meta["experiment"], self.freshness(r)), []).append(record_link(r))
        for (name, fresh), own in groups.items():
            mark = "" if fresh == "fresh" else f' <span class="verdict verdict-open">{html.escape(fresh)}</span>'
            lines.append(f"{name}{mark}: {', '.join(own)}")
        items = "".join(f"<li>{line}</li>" for line in lines)
        summary = f"<summary>How this page was made: computed here{told}</summary>"
        return f'<details class="specseg-made">{summary}<ul>{items}</ul></details>'

    def close(self) -> Display:
        """Return "What we found" and let the observations travel in the notebook; the last code cell of a chapter.

        Raises ValueError that names the claims that were neither observed nor said to be not run.
        """
        seen = {o.claim_id for o in self.observations} | set(self.skipped)
        forgotten = [c.id for c in self.claims.values() if c.id not in seen and not c.blocked]
        if forgotten:
            raise ValueError(f"{self.chapter}: claims neither observed nor not_run: {', '.join(forgotten)}")
        judged = self.judgements()
        used = {r.run_id: r for r in records.shown()} | self.records
        rows = "".join(row(j) for j in judged)
        head = "<th>Claim</th><th>As we test it, and the paper's words</th><th>What we found</th><th>Verdict</th>"
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if judged else f"<p>{NOTHING}</p>"
        page = f'<div class="specseg-found" id="what-we-found">{table}</div>{self._made(used.values())}'
        data = {
            "chapter": self.chapter, "profile": self.profile, "device": config.device_name("cpu"),
            "versions": provenance.versions(), "inputs": config.inputs(), "modules": provenance.loaded(),
            "skipped": self.skipped,
            "observations": [o.as_dict() for o in self.observations],
            "records": {
                i: {"experiment": r.meta["experiment"], "freshness": self.freshness(r)} for i, r in used.items()
            },
        }  # fmt: skip
        plain = "\n".join(f"{j.verdict:28} {j.claim.id}" for j in judged) or NOTHING
        return Display(page, plain, data)


def record_link(record: Record) -> str:
    """Return a link to a record's line on the page of runs, which tells device and day to who points at it."""
    told = html.escape(f"{record.meta['device']}, {record.meta['created'][:10]}")
    return f'<a href="../runs.html#run-{record.run_id}" title="{told}">{record.run_id}</a>'


def row(judged: Judgement) -> str:
    """Return one claim as a table row: id, what the paper says, what we found, verdict."""
    c = judged.claim
    quote = f"<br><q>{html.escape(c.quote)}</q>" if c.quote else ""
    found = folded((judged.found if judged.verdict != NOT_RUN else "") or judged.reason) + aside(judged)
    grade = f"<br><small>{judged.grade}</small>" if judged.grade else ""
    if judged.claim.tier in MEASURED and judged.used:
        found += f' <a href="../ledger.html#claim-{c.id}">Number by number</a>'
    return (
        f'<tr id="claim-{c.id}"><td><code>{c.id}</code><br><small>{html.escape(c.locator)}</small></td>'
        f"<td>{html.escape(c.statement)}{quote}</td><td>{found}</td><td>{badge(judged.verdict)}{grade}</td></tr>"
    )


def folded(text: str) -> str:
    """Return a text as HTML, its sentences after the first 350 characters behind a line that opens.

    >>> folded("a < b. " + 350 * "c" + ". Rest of it, which is long." + 100 * "d")[:6], folded("Short. One.")
    ('a &lt;', 'Short. One.')
    """
    at = text.find(". ", 350) + 1
    if not at or len(text) < at + 100:
        return html.escape(text)
    return f"{html.escape(text[:at])}<details><summary>and further</summary>{html.escape(text[at:])}</details>"


def aside(judged: Judgement) -> str:
    """Return what was measured and sets no verdict, with the reason, behind a line; empty where there is nothing."""
    if not judged.aside:
        return ""
    told = f"{len(judged.aside)} that set no verdict"
    return f'<details class="specseg-aside"><summary>{told}</summary>{html.escape(judged.left_out)}</details>'


def open(chapter: str, *, profile: str) -> Findings:
    """Return the findings of a chapter, to be filled. Raises ValueError for an unknown profile.

    A chapter that judges nothing (a guide) is opened all the same, with no claims.
    """
    config.profile(profile)
    claims = {c.id: c for c in load_claims().of_chapter(chapter)}
    return Findings(chapter, profile, claims)
