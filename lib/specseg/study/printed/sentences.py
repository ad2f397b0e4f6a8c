"""Each sentence of the paper that its own numbers can test, as a function from the tables to a finding."""

from __future__ import annotations

from collections.abc import Callable
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


Measure = Callable[[Tables], Fact | dict[str, Fact]]  # a fact alone is about the printed form
Change = Callable[[Tables], Tables]


@dataclass(frozen=True)
class Sentence:
    """A claim's test: form -> fact; `broken` makes tables on which every form must fail its check (the mutant).

    `repaired` makes tables on which the sentence would hold as printed, given where it does not.
    """

    claim: str
    own: Measure
    broken: Change | None
    repaired: Change | None = None

    def measure(self, tables: Tables) -> dict[str, Fact]:
        """Return form -> fact."""
        found = self.own(tables)
        return found if isinstance(found, dict) else {"printed": found}

    def observations(self, tables: Tables) -> list[dict[str, Any]]:
        """Return the keyword arguments of `Findings.observe`, one per form, each with its mutant."""
        found = self.measure(tables)
        mutants = self.measure(self.broken(tables)) if self.broken else {}
        return [
            {"claim_id": self.claim, "form": form, "value": fact.value, "n": fact.n, "low": fact.low, "high": fact.high,
             "over": fact.over, "note": fact.note, "mutant": mutants[form].value if mutants else None}
            for form, fact in found.items()
        ]  # fmt: skip


class Sentences(list[Sentence]):
    """The sentences of a module, in order; `sentences.test(claim, broken, repaired)` adds the measure below it."""

    def test(self, claim: str, broken: Change | None, repaired: Change | None = None) -> Callable[[Measure], Measure]:
        def add(measure: Measure) -> Measure:
            self.append(Sentence(claim, measure, broken, repaired))
            return measure

        return add


def share(found, note: str) -> Fact:
    """Return a count fact from booleans; `{k}` and `{n}` in the note are filled in.

    >>> share([True, False, True], "{k} of {n} hold").note
    '2 of 3 hold'
    """
    hits = [bool(x) for x in found]
    return Fact(sum(hits), note.replace("{k}", str(sum(hits))).replace("{n}", str(len(hits))), n=len(hits))
