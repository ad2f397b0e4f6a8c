"""All sentences that the printed numbers can test, in one list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from specseg.study.printed import about_cost, about_drops, about_fits, about_loss
from specseg.study.printed.sentences import Sentence
from specseg.study.printed.tables import Tables

SENTENCES: tuple[Sentence, ...] = (
    *about_loss.SENTENCES, *about_cost.SENTENCES, *about_drops.SENTENCES, *about_fits.SENTENCES,
)  # fmt: skip


def by_claim(claim: str) -> Sentence:
    """Return the sentence that tests a claim. Raises ValueError for a claim without one.

    >>> by_claim("tab3-drops").claim
    'tab3-drops'
    """
    for sentence in SENTENCES:
        if sentence.claim == claim:
            return sentence
    raise ValueError(f"no sentence tests claim {claim!r}; there are {', '.join(s.claim for s in SENTENCES)}")


def observations(tables: Tables, claims: Iterable[str]) -> list[dict[str, Any]]:
    """Return what `Findings.observe` takes for these claims: one entry per claim and form, with its mutant."""
    return [entry for claim in claims for entry in by_claim(claim).observations(tables)]
