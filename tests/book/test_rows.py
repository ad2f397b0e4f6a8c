"""Rows that open: what stands in them, and what the filters can ask for."""

from __future__ import annotations

import ledgers
from bs4 import BeautifulSoup

from specseg.evidence.verdicts import Observation, judge
from steps import coverage
from steps.rows import listing, numbers

CHECK = {"checks": {"printed": {"kind": "at_most", "max": 0.1, "basis": "by hand"}}}


def soup(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def test_an_opened_row_shows_number_by_number_what_decides(tmp_path):
    claim = ledgers.load(tmp_path, {"tier": "R3", "null": "a coin", **CHECK}).by_id["eq01-sum"]
    own = dict(record_profile="standard", over="pictures", null=0.5)
    sure = own | dict(low=0.04, high=0.06, units=9)
    judged = judge(claim, [
        Observation(claim.id, 0.05, domain="streets", **sure),
        Observation(claim.id, 0.05, domain="tiles", **(sure | {"high": 0.2})),
        Observation(claim.id, 0.05, domain="objects", **(sure | {"units": 2})),
        Observation(claim.id, 0.05, domain="scenes", **(sure | {"null": 0.0})),
        Observation(claim.id, 0.5, domain="rooms", **own),
    ])  # fmt: skip
    assert judged.verdict == "mixed"
    drawn = soup(numbers(judged)).select("tbody tr")
    rows = [[cell.text for cell in row.select("td")] for row in drawn]
    assert [r[0] for r in rows] == ["streets", "tiles", "objects", "scenes", "rooms"]
    assert rows[1][1:4] == ["0.05", "0.04 to 0.29 pictures", "at most 0.1"]
    said = ["holds", "both sides of the threshold", "2 pictures, 3 are the fewest", "knows nothing passes", "fails"]
    assert all(words in row[4] for words, row in zip(said, rows, strict=True)), rows
    assert [bool(r.select("b")) for r in drawn] == [False, True, True, True, True]
    assert numbers(judge(claim, [], "no time")) == ""


def test_the_coverage_page_has_a_line_for_each_item_by_kind(tmp_path):
    claim = ledgers.load(tmp_path, {"covers": ["equation:1"]}).by_id["eq01-sum"]
    items = [
        {"id": "equation:1", "locator": "Eq. 1", "kind": "equation", "testable": True},
        {"id": "sentence:2/01", "locator": "Section 2, sentence 1", "kind": "sentence", "testable": False,
         "words": "It is <well> known", "why_not": "motivation"},
        {"id": "sentence:3/01", "locator": "Section 3", "kind": "sentence", "testable": True, "words": "So"},
    ]  # fmt: skip
    page = soup(coverage.page([judge(claim, [Observation(claim.id, 0.05)])], items))
    titles = [b.text for b in page.select(".specseg-group > summary > b")]
    assert titles == ["Equations", "Sentences: 2", "Sentences: 3"]
    lines = {d["id"]: d for d in page.select(".specseg-line")}
    assert [d["data-state"] for d in lines.values()] == ["with a claim", "not testable", "no claim yet"]
    assert lines["equation-1"]["data-verdict"] == "confirmed" and "confirmed" in lines["equation-1"].text
    assert "motivation" in lines["sentence-2-01"].text and "<well>" in lines["sentence-2-01"].q.text


def test_a_list_names_its_filters():
    assert listing(["a"], "verdict", "tier") == '<div class="specseg-list" data-filters="verdict tier">a</div>'
