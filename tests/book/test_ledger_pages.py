"""The ledger's generated pages: each claim once, whatever is wrong on the errata page, and the same for programs."""

from __future__ import annotations

import json
import re

import ledgers
import pytest
from bs4 import BeautifulSoup

from specseg.evidence.ledger import VERDICTS, ClaimError, Judgement, Observation, judge, load_claims
from steps import accepted, ledger

HOLDS, FAILS = 0.05, 0.5  # of the minimal claim's check: residual at most 0.1
FORMS = {"checks": {f: {"kind": "at_most", "max": 0.1, "basis": "by hand"} for f in ("printed", "corrected")}}


@pytest.fixture
def judged(tmp_path):
    claims = ledgers.load(
        tmp_path,
        {"quote": "one <b> two", "amended": [{"date": "2026-01-01", "reason": "a typing error"}]},
        {"id": "eq02-wrong", "section": "A.1", **FORMS,
         "correction": {"printed": "$a$", "corrected": "$b$", "why": "a sign", "conclusion": "no"}},
        {"id": "eq03-later", "chapter": "30_later"},
        {"id": "eq04-open", "section": "Abstract"},
    )  # fmt: skip
    seen = {
        "eq01-sum": [Observation("eq01-sum", HOLDS, note="Holds & stays.")],
        "eq02-wrong": [Observation("eq02-wrong", FAILS), Observation("eq02-wrong", HOLDS, form="corrected")],
        "eq04-open": [
            Observation(
                "eq04-open", HOLDS, low=0, high=FAILS, over="draws", record="20260101-0", record_freshness="stale"
            )
        ],
    }
    return [judge(c, seen.get(c.id, [])) for c in claims]


def soup(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def test_counts_add_up(judged):
    assert ledger.tally(judged) == {"confirmed": 1, "confirmed with a correction": 1, "not resolved": 1, "not run": 1}
    links = soup(ledger.counts_html(judged)).select("a.count")
    assert sum(int(a.b.text) for a in links) == len(judged)
    assert links[0]["href"] == "ledger.html#verdict-confirmed"


def test_the_ledger_page_has_each_claim_once_under_its_section(judged):
    page = soup(ledger.ledger_md(judged, ["10_first"]))
    rows = {r["id"]: r for r in page.select("details[id]")}
    assert sorted(rows) == sorted(f"claim-{j.claim.id}" for j in judged)
    assert rows["claim-eq01-sum"].select_one("a")["href"] == "chapters/10_first.html#claim-eq01-sum"
    assert not rows["claim-eq03-later"].select("a"), "a chapter that is not written is named, not linked"
    assert "one <b> two" in rows["claim-eq01-sum"].q.text and "a typing error" in rows["claim-eq01-sum"].text
    assert "stale" in rows["claim-eq04-open"].text and "runs.html#run-20260101-0" in str(rows["claim-eq04-open"])
    assert [b.text for b in page.select(".specseg-group > summary > b")] == ["Abstract", "Section 1", "Section A.1"]
    assert not page.select("details[open]"), "a long page is opened as a short one"
    anchors = [s["id"] for s in page.select("span[id^=verdict-]")]
    assert len(anchors) == len(set(anchors)) == len(ledger.tally(judged))


def test_the_front_page_has_a_block_for_each_claim_and_no_answer_of_another_book(judged):
    page = soup(ledger.verdicts_md(judged))
    assert len(page.select("a.block")) == len(judged)
    assert page.select_one("[role=img]")["aria-label"].startswith("4 claims of the paper by section")
    assert ledger.front_md(judged, "<b>picture</b>").count("Six answers") == 0


def test_the_errata_page_has_both_forms_and_how_it_was_checked(judged):
    text = ledger.errata_md(judged)
    for part in ("$a$", "$b$", "a sign", "corrected form at most 0.1 (by hand): 0.05", "erratum-eq02-wrong"):
        assert part in text
    assert "eq01-sum" not in text
    assert "No corrected form" in ledger.errata_md(judged[:1])


WRONG = ("refuted", "paper inconsistent", "confirmed with a correction")


@pytest.mark.parametrize("verdict", VERDICTS)
def test_whatever_is_wrong_as_printed_stands_on_the_errata_page(verdict):
    """Every claim of the paper, with a mended form or without, once it has such a verdict."""
    every = [Judgement(c, verdict, "because", (Observation(c.id, 2.0, n=3),)) for c in load_claims()]
    text, rows = ledger.errata_md(every), soup(ledger.ledger_md(every, []))
    on_page = set(re.findall(r'id="erratum-([a-z0-9-]+)"', text))
    due = {j.claim.id for j in every if verdict in WRONG}
    mended = {j.claim.id for j in every if j.claim.correction}
    assert on_page == due | (mended if verdict not in ("confirmed", "not run") else set())
    links = {a["href"].removeprefix("errata.html#erratum-"): a for a in rows.select('a[href^="errata.html#erratum-"]')}
    for claim in on_page:
        assert links[claim].find_parent(id=f"claim-{claim}"), claim


def test_what_was_found_last_has_its_errata():
    """The accepted verdicts: 'refuted' and its like are there, so the test above has something to hold."""
    known = accepted.read("smoke")
    judged = [Judgement(c, known[c.id]["verdict"], "because") for c in load_claims() if c.id in known]
    due = [j.claim.id for j in judged if j.verdict in WRONG]
    assert {"eq31-truncated-loss", "fig3-relu", "obs3-three-layers"} & set(due)
    text = ledger.errata_md(judged)
    assert [i for i in due if f'id="erratum-{i}"' not in text] == []


def test_an_erratum_without_a_mended_form_says_what_was_claimed_and_found(tmp_path):
    claim = ledgers.load(tmp_path, {"quote": "a *star* of size $x_1"}).by_id["eq01-sum"]
    text = ledger.errata_md([judge(claim, [Observation(claim.id, FAILS, note="Half is left.")])])
    for part in ("One and one make two.", r"a \*star\* of size \$x\_1", "Half is left.", "(by hand): 0.5", "refuted"):
        assert part in text
    assert "Holds" not in text


def test_an_erratum_names_the_check_of_the_form_that_holds(tmp_path, judged):
    other = judged[1].claim.correction | {"checked_by": "eq01-sum"}
    claims = ledgers.load(tmp_path, {}, {"id": "eq02-wrong", "correction": other, **FORMS})
    both = [
        judge(claims.by_id["eq01-sum"], [Observation("eq01-sum", 0.01)]),
        judge(claims.by_id["eq02-wrong"], judged[1].used),
    ]
    text = ledger.errata_md(both)
    assert 'href="ledger.html#claim-eq01-sum">eq01-sum</a>, printed form residual at most 0.1 (by hand): 0.01;' in text
    assert "eq01-sum</a>, not judged here;" in ledger.errata_md(both[1:])
    with pytest.raises(ClaimError, match="eq02-wrong: field 'correction.checked_by': .* id; found 'eq09-none'"):
        ledgers.load(tmp_path, {"id": "eq02-wrong", "correction": other | {"checked_by": "eq09-none"}})


def test_the_erratum_of_eq_5_is_checked_by_the_exact_layer():
    claim = load_claims().by_id["eq05-rms-one"]
    assert claim.correction["checked_by"] == "bey-exact-layer"


def test_the_ledger_as_json(judged):
    doc = json.loads(ledger.as_json(judged, "smoke", {"10_first": {"device": "cpu", "versions": {}}}))
    assert doc["profile"] == "smoke" and doc["counts"] == ledger.tally(judged)
    assert [c["id"] for c in doc["claims"]] == [j.claim.id for j in judged]
    assert doc["claims"][1]["observations"][1]["form"] == "corrected"
