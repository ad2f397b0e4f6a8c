"""The front page: answers that their verdicts bear, and a picture of a trained network that works offline."""

from __future__ import annotations

import dataclasses
import re
from urllib.parse import urlparse

import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT
from visits import DESK, PHONE, Visit

from specseg.evidence.claims import load_claims
from specseg.evidence.verdicts import Judgement, Observation
from specseg.figures import front as drawn
from specseg.nets import protocol
from specseg.study import front, gate, trained
from steps import answers

SYMBOLS = re.compile(r"R_?ce|\bLRG\b|\bFPI\b|nu_?max|L_?ce|\bKL\b|\$|ν")
SEEN = {  # claim -> (domain, value, low, high), as the records had them when the sentences were written
    "th1-decomposition": [("", 5e-16, None, None)],
    "fig1-loss-beyond-grid-small": [(answers.OBJECTS, 0.005, 0.004, 0.006), (answers.STREETS, 0.038, 0.028, 0.0497)],
    "tab4-drop-small-r3": [(answers.OBJECTS, 0.0155, 0.0122, 0.0193)],
    "fig5b-estimates-r3": [(answers.OBJECTS, 0.54, 0.24, 0.98), (answers.STREETS, 2.34, 0.61, 5.55)],
    "tab3-objects-close-r3": [(answers.OBJECTS, 0.0063, -0.0314, 0.0430)],
    "con-open-question-spectrum": [(answers.OBJECTS, -0.032, -0.037, -0.010), (answers.STREETS, 0.060, 0.021, 0.134)],
}


@pytest.fixture(scope="module")
def judged() -> dict[str, Judgement]:
    claims, found = load_claims(), {}
    for answer in answers.ANSWERS:
        for claim, verdict in answer.rests_on:
            used = tuple(
                Observation(claim, value=value, low=low, high=high, domain=domain,
                            **({} if low is None else {"over": "clusters", "units": 9}))
                for domain, value, low, high in SEEN.get(claim, ())
            )  # fmt: skip
            found[claim] = Judgement(claims.by_id[claim], verdict, "", used)
    return found


@pytest.fixture(scope="module")
def page(judged) -> BeautifulSoup:
    return BeautifulSoup(answers.answers_html(list(judged.values())), "html.parser")


def test_there_are_six_answers_in_short_plain_sentences(page):
    cards = page.select(".specseg-answer")
    assert len(cards) == len(answers.ANSWERS) == 6
    for card in cards:
        sentence = card.p.text
        assert card.h3.text.endswith("?") and 8 <= len(sentence.split()) <= answers.MOST_WORDS
        assert re.search(r"\d", sentence) and SYMBOLS.search(card.text) is None
        assert len(card.select(".verdict")) == 1
        to_chapter, to_row = [a["href"] for a in card.select("a")]
        assert (ROOT / to_chapter.replace(".html", ".py")).is_file() and to_row.startswith("ledger.html#claim-")


@pytest.mark.parametrize("answer", answers.ANSWERS, ids=lambda a: a.rests_on[0][0])
def test_a_number_with_an_interval_shows_it(answer, judged):
    sentence = answers.told(answer, judged)
    assert ("[" in sentence) == (SEEN[answer.rests_on[0][0]][0][2] is not None)


@pytest.mark.parametrize(
    ("answer", "claim"),
    [(a, c) for a in answers.ANSWERS for c, _ in a.rests_on],
    ids=lambda x: getattr(x, "question", x),
)
def test_a_changed_verdict_fails(answer, claim, judged):
    turned = "differs in kind"
    other = dataclasses.replace(judged[claim], verdict=turned)
    with pytest.raises(answers.AnswerError, match=f"{claim} being .* it is '{turned}'"):
        answers.told(answer, {**judged, claim: other})


@pytest.mark.parametrize("answer", [a for a in answers.ANSWERS if a.domain], ids=lambda a: a.question)
def test_a_kind_of_scene_that_turns_fails_though_the_verdict_stays(answer, judged):
    lead = judged[answer.rests_on[0][0]]
    far = -9.0 if lead.claim.checks["printed"].kind == "at_least" else 9.0
    far = [dataclasses.replace(o, value=far, low=far - 1, high=far + 1) for o in lead.used]
    with pytest.raises(answers.AnswerError, match="found"):
        answers.told(answer, {**judged, lead.claim.id: dataclasses.replace(lead, used=tuple(far))})


def test_a_sentence_that_grows_fails(judged):
    long = dataclasses.replace(answers.ANSWERS[0], sentence="word " * 31)
    with pytest.raises(answers.AnswerError, match="31 words"):
        answers.told(long, judged)


def test_the_hand_written_page_has_no_symbol_of_the_paper():
    text = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert SYMBOLS.findall(text) == []
    for part in ("_generated/front.md", "## For whom", "_generated/verdicts.md"):
        assert part in text
    assert text.index("front.md") < text.index("## For whom") < text.index("verdicts.md")


def test_the_network_that_is_shown_counts_as_trained():
    assert gate.untrained([protocol.named(front.NETWORK)], gate.quality(trained.read("networks"))) == ""
    assert front.SIZES[0] == 65 and list(front.SIZES) == sorted(front.SIZES, reverse=True)


def test_the_photograph_and_the_answers_on_it():
    network = protocol.named(front.NETWORK)
    photo = front.photograph(network.size)
    whole, *_, coarse = front.answers(network, photo)
    middle = network.size // 2
    assert photo.shape == (257, 257, 3) and whole[middle, middle] and not whole[5, 5]
    assert 0.02 < (whole != coarse).mean() < 0.4


def test_the_picture_is_small_offline_and_whole_without_a_script():
    mask = np.zeros((9, 9), bool)
    mask[2:7, 2:7] = True
    rows = front.pd.DataFrame({"lrg_size": [5, 3], "flops": [1, 0.25], "value": [0, 0.02], "low": [0, 0.01],
                               "high": [0, 0.03], "changed": [0, 0.5]})  # fmt: skip
    html = drawn.html(np.zeros((9, 9, 3), np.uint8), np.stack([mask, ~mask]), rows, 7)
    page = BeautifulSoup(html, "html.parser")
    assert "http" not in html and len(html) < 400_000
    assert page.img["alt"] and page.svg["aria-label"] and page.select_one("input[type=range]")["max"] == "1"
    assert [td.text for td in page.select("tbody tr")[1].select("td")] == ["3 × 3", "25%", "2.0 % [1.0, 3.0]", "50%"]
    assert [g["data-k"] for g in page.select("svg g.front-on")] == ["0"], "the whole grid shows before any script runs"


@pytest.mark.browser
def test_the_first_screen_is_the_picture_and_its_slider_moves_it(site, browser):
    with Visit(browser, f"{site}/index.html") as visit:
        top = visit.ask("() => document.querySelector('.front-demo').getBoundingClientRect().top")
        assert 0 <= top < DESK["height"] / 2
        shown = "() => [...document.querySelectorAll('.front-demo .front-on')].map(n => n.dataset.k)"
        assert visit.ask(shown) == ["0", "0"]
        visit.ask("() => { const s = document.querySelector('.front-demo input'); s.value = 2; "
                  "s.dispatchEvent(new Event('input')); }")  # fmt: skip
        assert visit.ask(shown) == ["2", "2"]
        assert visit.complaints == [] and visit.outside == []


@pytest.mark.browser
def test_the_answers_of_the_built_page_lead_to_their_chapter_and_row(site, browser):
    with Visit(browser, f"{site}/index.html") as visit:
        links = visit.ask("() => [...document.querySelectorAll('.specseg-answer a')].map(a => a.href)")
        assert len(links) == 12
        for link in sorted(links):
            visit.page.goto(link, wait_until="domcontentloaded")
            anchor = urlparse(link).fragment
            assert not anchor or visit.ask("(id) => document.getElementById(id).innerText.length > 10", anchor), link


@pytest.mark.browser
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "phone"])
def test_verdicts_are_explained_at_every_width(site, browser, size):
    with Visit(browser, f"{site}/index.html", size=size) as visit:
        seen = visit.ask(
            "() => [...document.querySelectorAll('.count small')].map(n => n.getBoundingClientRect().height)"
        )
        assert len(seen) >= 8 and min(seen) > 5
