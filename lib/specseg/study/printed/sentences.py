"""Each sentence of the paper that its own numbers can test, as a function from the tables to a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from specseg.study.printed.tables import Tables


@dataclass(frozen=True)
class Fact:
    """What the tables say about a sentence: a value (of n cases, or with an interval) and the finding in words."""

    value: float
    note: str
    n: int | None = None
    low: float | None = None
    high: float | None = None
    over: str = ""  # what the interval takes anew: "rounding" of the printed digits, "setups"


Forms = Iterator[tuple[str, Fact]]
Measure = Callable[[Tables], Fact | Forms]  # a fact alone is about the printed form
Change = Callable[[Tables], Tables]


@dataclass(frozen=True)
class Sentence:
    """A claim's test: form -> fact; `broken` makes tables on which every form must fail its check (the mutant)."""

    claim: str
    own: Measure
    broken: Change | None

    def measure(self, tables: Tables) -> dict[str, Fact]:
        """Return form -> fact."""
        found = self.own(tables)
        return {"printed": found} if isinstance(found, Fact) else dict(found)


class Sentences(list[Sentence]):
    """The sentences of a module, in order; `sentences.test(claim, ...)` adds the measure below it."""

    def test(self, claim: str, broken: Change | str | None, *value: float, **where) -> Callable[[Measure], Measure]:
        """Take the mutant as a change of the tables, or as what `Tables.changed` takes."""
        change = (lambda t: t.changed(broken, *value, **where)) if isinstance(broken, str) else broken

        def add(measure: Measure) -> Measure:
            self.append(Sentence(claim, measure, change))
            return measure

        return add


def observations(tables: Tables, sentences: Iterable[Sentence]) -> list[dict[str, Any]]:
    """Return the keyword arguments of `Findings.observe`, one entry per sentence and form, each with its mutant."""
    found = []
    for s in sentences:
        mutants = s.measure(s.broken(tables)) if s.broken else {}
        found += [{"claim_id": s.claim, "form": form, **vars(fact), "mutant": mutants[form].value if mutants else None}
                  for form, fact in s.measure(tables).items()]  # fmt: skip
    return found


def share(found, note: str) -> Fact:
    """Return a count fact from booleans; `{k}` and `{n}` in the note are filled in.

    >>> share([True, False, True], "{k} of {n} hold").note
    '2 of 3 hold'
    """
    hits = [bool(x) for x in found]
    return Fact(sum(hits), note.replace("{k}", str(sum(hits))).replace("{n}", str(len(hits))), n=len(hits))
