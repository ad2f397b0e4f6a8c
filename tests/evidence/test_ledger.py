"""Verdicts follow from stated checks; chapters cannot observe what was not claimed; pages show what was judged."""

from __future__ import annotations

import json
import math

import ledgers
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from specseg.evidence import records
from specseg.evidence.findings import LOOKS, MIME, badge, record_link
from specseg.evidence.ledger import VERDICTS, Check, ClaimError, Findings, Observation, judge
from specseg.evidence.verdicts import validate

HOLDS, FAILS = 0.05, 0.5  # of the minimal claim's check: residual at most 0.1


def obs(value: float = HOLDS, **other) -> Observation:
    over = {"over": "pictures", "units": 9} if "low" in other or "high" in other else {}
    return Observation("eq01-sum", value, **(over | other))


def verdict(folder, *observed: Observation, **change) -> str:
    return judge(claim(folder, **change), observed).verdict


def claim(folder, **change):
    return ledgers.load(folder, {"null": "a coin" if change.get("tier") == "R3" else None} | change).by_id["eq01-sum"]


def forms(**bounds: float) -> dict:
    return {"checks": {f: {"kind": "at_most", "max": m, "basis": "by hand"} for f, m in bounds.items()}}


# --- verdicts ------------------------------------------------------------------------------------------------------


def test_identities_and_numbers(tmp_path):
    assert verdict(tmp_path, obs(HOLDS)) == "confirmed"
    assert verdict(tmp_path, obs(FAILS)) == "refuted"
    assert verdict(tmp_path, obs(FAILS), if_fails="paper inconsistent", tier="R0") == "paper inconsistent"
    assert verdict(tmp_path, obs(HOLDS), obs(FAILS)) == "refuted", "one counterexample is enough"
    assert verdict(tmp_path) == "not run"


@pytest.mark.parametrize("form", ["convention", "approximation", "corrected"])
def test_corrections(tmp_path, form):
    both = forms(printed=0.1, **{form: 0.1})
    assert verdict(tmp_path, obs(FAILS), obs(HOLDS, form=form), **both) == "confirmed with a correction"
    assert verdict(tmp_path, obs(FAILS), obs(FAILS, form=form), **both) == "refuted"
    assert verdict(tmp_path, obs(HOLDS), obs(FAILS, form=form), **both) == "confirmed", "the printed form goes first"


def test_a_corrected_form_that_is_another_statement_mends_no_verdict(tmp_path):
    correction = {"printed": "a", "corrected": "b", "why": "c", "conclusion": "no"}
    both = forms(printed=0.1, corrected=0.1) | {"replaces": True, "correction": correction}
    found = [obs(FAILS), obs(HOLDS, form="corrected")]
    assert verdict(tmp_path, *found, **both) == "refuted"
    assert verdict(tmp_path, *found, **(both | {"replaces": False})) == "confirmed with a correction"
    with pytest.raises(ClaimError, match="eq01-sum: field 'replaces': expected a corrected form beside it"):
        verdict(tmp_path, obs(HOLDS), replaces=True)


def test_a_correction_without_a_try_of_the_printed_form_is_refused(tmp_path):
    both = forms(printed=0.1, corrected=0.1)
    with pytest.raises(ValueError, match="claim eq01-sum: observed as corrected only; observe the printed form too"):
        verdict(tmp_path, obs(HOLDS, form="corrected"), **both)


def test_the_grade_of_a_formula(tmp_path):
    both = forms(printed=0.1, corrected=0.1)
    claims = ledgers.load(tmp_path, both).by_id["eq01-sum"]
    assert judge(claims, [obs(HOLDS)]).grade == "exact"
    assert judge(claims, [obs(FAILS), obs(HOLDS, form="corrected")]).grade == "wrong as printed"
    number = ledgers.load(tmp_path, {**both, "kind": "number"}).by_id["eq01-sum"]
    assert judge(number, [obs(HOLDS)]).grade == ""


def test_intervals(tmp_path):
    assert verdict(tmp_path, obs(0.05, low=0.01, high=0.09)) == "confirmed"
    assert verdict(tmp_path, obs(0.05, low=0.01, high=0.2)) == "not resolved"
    assert verdict(tmp_path, obs(0.2, low=0.05, high=0.3)) == "not resolved"
    assert verdict(tmp_path, obs(0.5, low=0.4, high=0.6)) == "refuted"
    assert verdict(tmp_path, obs(0.1, low=0.0, high=0.1)) == "confirmed", "the check's interval is closed"


def test_counts(tmp_path):
    every = {"checks": {"printed": {"kind": "count", "basis": "b"}}}
    assert verdict(tmp_path, obs(162, n=162), **every) == "confirmed"
    assert verdict(tmp_path, obs(161, n=162), **every) == "refuted"
    most = {"checks": {"printed": {"kind": "count", "min_fraction": 0.9, "basis": "b"}}}
    assert verdict(tmp_path, obs(9, n=10), **most) == "confirmed"
    assert verdict(tmp_path, obs(8, n=10), **most) == "refuted"


def measured(value: float, profile: str = "standard", **other) -> Observation:
    known = {"record": "20260101-00000000", "record_profile": profile, "record_freshness": "fresh"}
    return obs(value, **(known | {"domain": "streets", "null": FAILS} | other))


def test_measured_claims_are_judged_by_records_alone(tmp_path):
    assert verdict(tmp_path, measured(HOLDS, ""), tier="R3") == "not run", "a smoke run sets no verdict"
    assert verdict(tmp_path, measured(HOLDS, "smoke"), tier="R3") == "not run"
    assert verdict(tmp_path, measured(HOLDS), tier="R3") == "agrees in kind"
    assert verdict(tmp_path, measured(FAILS), tier="R3") == "differs in kind"
    assert verdict(tmp_path, measured(0.09, low=0.05, high=0.2), tier="R3") == "not resolved"
    assert verdict(tmp_path, measured(HOLDS), tier="R4") == "not run"
    assert verdict(tmp_path, measured(HOLDS, "paper"), tier="R4") == "confirmed"
    assert verdict(tmp_path, measured(FAILS, "paper"), tier="R4") == "refuted"
    own = claim(tmp_path, tier="R3")
    spot = obs(HOLDS, domain="streets", null=FAILS)
    assert judge(own, [spot]).reason == "pipeline check only"
    assert judge(own, [measured(FAILS), spot]).verdict == "differs in kind", "the smoke run is left aside"


def test_reasons_for_not_running(tmp_path):
    claim = ledgers.load(tmp_path, {"blocked": "needs Cityscapes"}).by_id["eq01-sum"]
    assert judge(claim, []).reason == "needs Cityscapes"
    free = ledgers.load(tmp_path, {}).by_id["eq01-sum"]
    assert judge(free, [], "no time").reason == "no time" and judge(free, []).reason == "no chapter has observed it"


numbers = st.floats(-10, 10)


@given(low=numbers, width=st.floats(0, 5), value=numbers, below=st.floats(0, 5), above=st.floats(0, 5))
def test_states_are_told_apart_by_the_interval_alone(low, width, value, below, above):
    check = Check("between", "by hand", min=low, max=low + width)
    a, b = value - below, value + above
    expected = "holds" if low <= a and b <= low + width else "fails" if b < low or a > low + width else "unresolved"
    assert check.state(value, a, b) == expected
    assert check.state(value) in ("holds", "fails")
    if expected != "unresolved":  # a narrower interval inside cannot change a settled state
        assert check.state(value) == expected


@pytest.mark.parametrize(
    ("observation", "change", "complaint"),
    [
        (obs(math.nan), {}, "value is nan; expected a finite number"),
        (obs(math.inf), {}, "value is inf; expected a finite number"),
        (obs(0.1, low=-math.inf, high=1), {}, "low is -inf"),
        (obs(0.1, form="corrected"), {}, r"form 'corrected' has no stated check; claims.toml states \['printed'\]"),
        (obs(0.1, form="best"), {}, "form 'best' has no stated check"),
        (obs(0.1, low=0.0), {}, "expected low <= value <= high, low and high both or neither"),
        (obs(0.1, high=0.2), {}, "expected low <= value <= high"),
        (obs(0.1, low=0.2, high=0.3), {}, "expected low <= value <= high"),
        (obs(0.1, mutant=0.05), {}, r"the mutant \(0.05\) passes"),
        (obs(0.1, mutant=math.nan), {}, "mutant is nan"),
        (obs(1), {"checks": {"printed": {"kind": "count", "basis": "b"}}}, "a count check needs value k of n"),
        (obs(3, n=2), {"checks": {"printed": {"kind": "count", "basis": "b"}}}, "a count check needs value k of n"),
        (obs(0, n=0), {"checks": {"printed": {"kind": "count", "basis": "b"}}}, "a count check needs value k of n"),
        (obs(1, n=2, mutant=2), {"checks": {"printed": {"kind": "count", "basis": "b"}}}, "the mutant .* passes"),
    ],
)
def test_observations_that_do_not_fit_are_refused(tmp_path, observation, change, complaint):
    with pytest.raises(ValueError, match=f"observation of eq01-sum: .*{complaint}"):
        validate(ledgers.load(tmp_path, change).by_id["eq01-sum"], observation)


# --- a chapter's findings ------------------------------------------------------------------------------------------


@pytest.fixture
def findings(tmp_path, monkeypatch) -> Findings:
    monkeypatch.delenv("SPECSEG_ROOT", raising=False)
    monkeypatch.setattr(records, "_SHOWN", {})
    claims = ledgers.load(tmp_path, {}, {"id": "eq02-other"}, {"id": "eq03-blocked", "blocked": "no data"})
    return Findings("10_first", "smoke", dict(claims.by_id))


def test_observe_says_what_the_check_says(findings):
    assert findings.observe("eq01-sum", value=HOLDS, mutant=FAILS) == "holds"
    assert findings.observe("eq01-sum", value=FAILS) == "fails"
    assert findings.observe("eq01-sum", value=HOLDS, low=0, high=FAILS, over="pictures") == "unresolved"
    assert findings.observe("eq01-sum", cases={"streets": HOLDS, "objects": FAILS}, note="told once") == "mixed"
    last = findings.observations[-2:]
    assert [(o.domain, o.value, o.note) for o in last] == [("streets", HOLDS, "told once"), ("objects", FAILS, "")]


@pytest.mark.parametrize("claim_id", ["eq09-nothing", ""])
def test_unknown_claims_are_refused(findings, claim_id):
    with pytest.raises(ValueError, match=f"10_first: no claim '{claim_id}' of this chapter"):
        findings.observe(claim_id, value=1)
    with pytest.raises(ValueError, match="not_run needs a claim of this chapter and a reason"):
        findings.not_run(claim_id, "reason")
    assert findings.observations == [] and findings.skipped == {}


def test_not_run_needs_a_reason(findings):
    with pytest.raises(ValueError, match="and a reason"):
        findings.not_run("eq01-sum", "  ")


def test_close_names_the_forgotten_claims(findings):
    findings.observe("eq01-sum", value=HOLDS)
    with pytest.raises(ValueError, match="10_first: claims neither observed nor not_run: eq02-other$"):
        findings.close()


def test_close_carries_everything(findings):
    findings.observe("eq01-sum", value=HOLDS, note="It is <small>.")
    findings.not_run("eq02-other", "no time & no data")
    bundle = findings.close()._repr_mimebundle_()
    data = bundle[MIME]
    assert json.loads(json.dumps(data)) == data, "it must survive the notebook's JSON"
    assert data["observations"] == [{"claim_id": "eq01-sum", "value": HOLDS, "form": "printed", "unit": "1",
                                     "note": "It is <small>."}]  # fmt: skip
    assert data["skipped"] == {"eq02-other": "no time & no data"} and data["profile"] == "smoke"
    assert "specseg.evidence.findings" in data["modules"] and data["records"] == {}
    page = BeautifulSoup(bundle["text/html"], "html.parser")
    rows = {r["id"]: r for r in page.select("tr[id]")}
    assert list(rows) == ["claim-eq01-sum", "claim-eq02-other", "claim-eq03-blocked"]
    assert "It is <small>." in rows["claim-eq01-sum"].text and "confirmed" in rows["claim-eq01-sum"].text
    assert "no time & no data" in rows["claim-eq02-other"].text
    assert "no data" in rows["claim-eq03-blocked"].text
    assert bundle["text/plain"].splitlines()[0].split() == ["confirmed", "eq01-sum"]


def test_a_chapter_without_claims_says_so_and_shows_no_table(monkeypatch):
    monkeypatch.setattr(records, "_SHOWN", {})
    bundle = Findings("10_first", "smoke", {}).close()._repr_mimebundle_()
    page = BeautifulSoup(bundle["text/html"], "html.parser")
    assert page.select_one("#what-we-found").text == bundle["text/plain"] == "This chapter judges no claim."
    assert not page.select("table") and bundle[MIME]["observations"] == []


def record(freshness_modules: dict) -> records.Record:
    meta = {
        "experiment": "run", "run_id": "20260101-00000000", "profile": "standard", "device": "cpu <2>",
        "created": "2026-01-01T00:00:00", "modules": freshness_modules,
    }  # fmt: skip
    return records.Record(None, meta, None)


def test_a_stale_record_is_marked(findings):
    gone = record({"specseg.gone": "0"})
    assert "cpu &lt;2&gt;" in record_link(gone)
    findings.observe("eq01-sum", value=HOLDS, record=gone)
    findings.not_run("eq02-other", "no time")
    bundle = findings.close()._repr_mimebundle_()
    assert bundle[MIME]["observations"][0]["record_freshness"].startswith("stale: specseg.gone")
    assert bundle[MIME]["records"] == {"20260101-00000000": {
        "experiment": "run", "freshness": "stale: specseg.gone (gone) changed since"}}  # fmt: skip
    assert "verdict-open" in BeautifulSoup(bundle["text/html"], "html.parser").select_one(".specseg-made").decode()


def test_a_record_that_was_only_loaded_is_shown_too(findings, monkeypatch):
    gone = record({"specseg.gone": "0"})
    monkeypatch.setattr(records, "_SHOWN", {"path": gone})
    for claim in ("eq01-sum", "eq02-other"):
        findings.not_run(claim, "no time")
    bundle = findings.close()._repr_mimebundle_()
    assert list(bundle[MIME]["records"]) == [gone.run_id] and "stale: specseg.gone" in bundle["text/html"]


def test_the_end_says_in_one_line_how_the_page_was_made(findings):
    for claim in ("eq01-sum", "eq02-other"):
        findings.not_run(claim, "no time")
    made = BeautifulSoup(findings.close().page, "html.parser").select_one("details.specseg-made")
    assert not made.has_attr("open") and made.summary.text == "How this page was made: computed here"
    for part in ("3 claims", "profile smoke", "cores"):
        assert part in made.text
    findings.use(record({"specseg.gone": "0"}))
    made = BeautifulSoup(findings.close().page, "html.parser").select_one("details.specseg-made")
    assert made.summary.text.endswith("read from 1 record of earlier measurements; the code of 1 has changed since")
    assert "stands as it was measured" in made.text


def test_every_verdict_has_a_colour_a_meaning_and_its_word():
    assert set(LOOKS) == set(VERDICTS)
    for v in VERDICTS:
        assert BeautifulSoup(badge(v), "html.parser").text == f"{LOOKS[v].sign}\u00a0{v}"
    assert len({look.sign for look in LOOKS.values()}) == len(VERDICTS), "no two verdicts share a sign"
