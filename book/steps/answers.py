"""The front page's six answers: a question, one sentence with a number of the ledger, and the verdicts it rests on."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from specseg.evidence.findings import badge
from specseg.evidence.verdicts import FAILS, HOLDS, OPEN, Judgement, Observation, by_domain

MOST_WORDS = 30
OBJECTS, STREETS = "objects (PASCAL VOC, animals)", "streets (CamVid)"


class AnswerError(ValueError):
    """A sentence of the front page that its claims do not bear any more."""


@dataclass(frozen=True)
class Answer:
    """One answer. `sentence` is a format string of `value`, `low` and `high` of the first claim's first observation of
    `domain`, of `minus`, the same with the other sign, and of `digits`, to how many digits a residual agrees.

    `rests_on` names the claims, each with the verdict that the sentence was written for, and `kinds` says of each unit
    of the first claim whether its check "holds", "fails" or is "unresolved" there.
    """

    question: str
    sentence: str
    rests_on: tuple[tuple[str, str], ...]
    kinds: tuple[tuple[str, str], ...]
    domain: str = ""


ANSWERS = (
    Answer(
        "Is the paper's theorem right?",
        "Yes. The training loss is exactly the sum of its parts by frequency; computed both ways it agrees to {digits} "
        "digits in every case that was tried.",
        (("th1-decomposition", "confirmed"),),
        (("", HOLDS),),
    ),
    Answer(
        "Is the loss made of low frequencies?",
        "Little of it lies above what the prediction's grid can show: {value:.1%} [{low:.1%}, {high:.1%}] on objects. "
        "But low frequencies are no share of it: parts cancel each other.",
        (("fig1-loss-beyond-grid-small", "agrees in kind"), ("obs1-cancellation", "refuted")),
        ((OBJECTS, HOLDS), (STREETS, HOLDS)),
        OBJECTS,
    ),
    Answer(
        "Can the decoder work on a smaller grid?",
        "On objects it can: half of the points a side costs {value:.1%} [{low:.1%}, {high:.1%}] of the mIoU. On land "
        "cover no network of ours can tell, so it stays open.",
        (("tab4-drop-small-r3", "not resolved"),),
        ((OBJECTS, HOLDS),),
        OBJECTS,
    ),
    Answer(
        "Does the loss beyond a grid tell how small the grid may be?",
        "On objects it helps: it foretells the mIoU lost with {value:.2f} [{low:.2f}, {high:.2f}] times the error that "
        "the grid's size alone makes. On streets that is open.",
        (("fig5b-estimates-r3", "not resolved"),),
        ((OBJECTS, HOLDS), (STREETS, OPEN)),
        OBJECTS,
    ),
    Answer(
        "Are labels drawn in blocks enough?",
        "On objects they are: networks trained on blocks of four pixels lost {value:.1%} [{low:.1%}, {high:.1%}] of "
        "the mIoU. At equal labour, blocks beat fewer full labels.",
        (("tab3-objects-close-r3", "agrees in kind"), ("sec21-weak-labels-cost-effective", "agrees in kind")),
        ((OBJECTS, HOLDS),),
        OBJECTS,
    ),
    Answer(
        "Can the labels alone tell how small?",
        "On objects our advice from labels wastes {minus:.1%} [{minus_low:.1%}, {minus_high:.1%}] less, operations and "
        "mIoU added, than always halving the grid. On streets it wastes more.",
        (("con-open-question-spectrum", "mixed"),),
        ((OBJECTS, HOLDS), (STREETS, FAILS)),
        OBJECTS,
    ),
)


def numbers(seen: Observation) -> dict[str, float]:
    """Return what a sentence may name of an observation; without an interval its ends are its value."""
    low, high = (seen.value if x is None else x for x in (seen.low, seen.high))
    digits = int(-math.log10(max(abs(seen.value), 1e-16)))
    return {"value": seen.value, "low": low, "high": high, "minus": -seen.value, "minus_low": -high,
            "minus_high": -low, "digits": digits}  # fmt: skip


def told(answer: Answer, judged: dict[str, Judgement]) -> str:
    """Return an answer's sentence with its numbers.

    Raises AnswerError where a claim, or a unit of the first, is judged otherwise than the sentence was written for, and
    where the sentence is longer than MOST_WORDS.
    """
    for claim, verdict in answer.rests_on:
        if (now := judged[claim].verdict) != verdict:
            raise AnswerError(
                f"front page, {answer.question!r}: written for {claim} being {verdict!r}, it is {now!r}: "
                "say in book/steps/answers.py what holds now"
            )
    lead = judged[answer.rests_on[0][0]]
    if (kinds := by_domain(lead.claim, lead.used)) != dict(answer.kinds):
        raise AnswerError(
            f"front page, {answer.question!r}: written for {lead.claim.id} being {dict(answer.kinds)}, found {kinds}: "
            "say in book/steps/answers.py what holds now"
        )
    seen = next(o for o in lead.used if answer.domain in ("", o.domain))
    sentence = answer.sentence.format(**numbers(seen))
    if (words := len(sentence.split())) > MOST_WORDS:
        raise AnswerError(f"front page, {answer.question!r}: {words} words, expected at most {MOST_WORDS}")
    return sentence


def answers_html(judged: Sequence[Judgement], answers: Sequence[Answer] = ANSWERS) -> str:
    """Return the answers whose claims this book judges, each with its verdict and links to chapter and ledger row.

    Nothing where it judges none of them (a toy book).
    """
    by_id = {j.claim.id: j for j in judged}
    cards = []
    for answer in answers:
        if not all(claim in by_id for claim, _ in answer.rests_on):
            continue
        lead = by_id[answer.rests_on[0][0]]
        cards.append(
            f'<div class="specseg-answer"><h3>{html.escape(answer.question)}</h3>'
            f"<p>{html.escape(told(answer, by_id))}</p>"
            f'<p class="answer-links">{badge(lead.verdict)} <a href="chapters/{lead.claim.chapter}.html">chapter</a> '
            f'<a href="ledger.html#claim-{lead.claim.id}">ledger row</a></p></div>'
        )
    return f'<div class="specseg-answers">{"".join(cards)}</div>' if cards else ""
