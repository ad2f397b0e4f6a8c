"""Each sentence's test must judge: tables that break or mend the sentence must change its verdict."""

from __future__ import annotations

import pytest

from specseg.evidence import ledger
from specseg.study import printed as audit

CHAPTER = "15_paper_against_itself"
BY_ID = {s.claim: s for s in audit.SENTENCES}


@pytest.fixture(scope="module")
def tables():
    return audit.Tables.read()


@pytest.fixture(scope="module")
def claims():
    return ledger.load_claims().by_id


def verdict(claims, claim: str, facts: dict) -> str:
    made = [ledger.Observation(claim, f.value, f.n, f.low, f.high, form, over=f.over) for form, f in facts.items()]
    return ledger.judge(claims[claim], made).verdict


def test_every_claim_of_the_chapter_has_a_sentence_and_back(claims):
    assert sorted(BY_ID) == sorted(c.id for c in claims.values() if c.chapter == CHAPTER)
    assert len(BY_ID) == len(audit.SENTENCES)


def test_every_claim_of_the_chapter_is_tier_r0(claims):
    assert {claims[i].tier for i in BY_ID} == {"R0"}


@pytest.mark.parametrize("claim", sorted(BY_ID))
def test_each_form_has_a_stated_check_and_a_note(claim, tables, claims):
    facts = BY_ID[claim].measure(tables)
    assert set(facts) == set(claims[claim].checks)
    assert all(len(f.note) > 15 and f.note.rstrip().endswith(".") for f in facts.values())


@pytest.mark.parametrize("claim", sorted(BY_ID))
def test_a_changed_table_changes_the_verdict(claim, tables, claims):
    sentence = BY_ID[claim]
    now = verdict(claims, claim, sentence.measure(tables))
    assert sentence.broken or sentence.repaired
    if sentence.broken:
        worst = verdict(claims, claim, sentence.measure(sentence.broken(tables)))
        assert worst == claims[claim].if_fails
        if now == worst:
            assert sentence.repaired, "a sentence that fails needs tables on which it would hold"
    if sentence.repaired:
        assert now != "confirmed"
        assert verdict(claims, claim, sentence.measure(sentence.repaired(tables))) == "confirmed"
    elif now == "confirmed with a correction":
        assert sentence.broken


def test_observations_carry_their_mutants_and_pass_the_ledger(tables):
    findings = ledger.open(CHAPTER, profile="smoke")
    for entry in audit.observations(tables, BY_ID):
        findings.observe(**entry)
    judged = {j.claim.id: j.verdict for j in findings.judgements()}
    assert len(judged) == len(BY_ID) and "not run" not in judged.values()
    assert judged["tab4-drops"] == "confirmed" and judged["fn4-values"] == "confirmed with a correction"
    assert judged["tab34-baselines"] == judged["a10-example-at-65"] == "paper inconsistent"
    assert {judged[f"fig5b-{k}"] for k in ("slope", "intercept", "r2")} == {"confirmed with a correction"}
    assert judged["sec32-fpi-both-at-once"] == "confirmed with a correction"


def test_an_unknown_claim_is_named():
    with pytest.raises(ValueError, match="no sentence tests claim 'tab9-none'"):
        audit.by_claim("tab9-none")
