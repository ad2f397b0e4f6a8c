"""Accepted facts: every drift is found, none is made up, and a claim's tolerance is honoured."""

from __future__ import annotations

import json
from dataclasses import replace

import ledgers
import pytest

from specseg.evidence import provenance
from specseg.evidence.ledger import Observation, judge
from steps import accepted

NUMBER = {"kind": "number", "checks": {"printed": {"kind": "between", "min": 0, "max": 10, "basis": "by hand"}}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "profiles.toml").write_text("[smoke]\n")
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    return tmp_path


def judged(folder, value: float = 2.0, *, change=(), **other):
    claim = ledgers.load(folder, {**NUMBER, **dict(change)}).by_id["eq01-sum"]
    return [judge(claim, [Observation("eq01-sum", value, **other)])]


def drift(project, *now) -> list[str]:
    return accepted.compare(accepted.read("smoke"), *now)


def test_what_was_accepted_does_not_drift(project):
    assert accepted.read("smoke") is None
    first = judged(project)
    path = accepted.accept("smoke", first)
    assert path == project / "results" / "accepted" / "smoke.json"
    assert drift(project, first) == []
    assert accepted.read("standard") is None, "facts are kept per profile"


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (dict(value=2.1), "eq01-sum: printed value 2.0 -> 2.1 (relative difference 4.8e-02, allowed 1e-06)"),
        (dict(value=-2.0), "eq01-sum: verdict 'confirmed' -> 'refuted'"),
        (dict(low=1.0, high=3.0, over="draws"), "eq01-sum: printed low None -> 1.0"),
        (dict(n=4), "eq01-sum: printed n None -> 4"),
    ],
)
def test_drift_is_found(project, now, line):
    accepted.accept("smoke", judged(project))
    assert line in drift(project, judged(project, **now))


def test_a_changed_verdict_is_not_accepted_in_silence(project):
    accepted.accept("smoke", judged(project))
    now = judged(project, -2.0)
    with pytest.raises(ValueError, match=r"needs its reason, and `was`: eq01-sum \('confirmed' -> 'refuted'\)"):
        accepted.accept("smoke", now)
    told = {"date": "2026-11-26", "reason": "the sign was read wrongly", "was": "confirmed"}
    accepted.accept("smoke", judged(project, -2.0, change={"amended": [told]}))
    assert accepted.read("smoke")["eq01-sum"]["verdict"] == "refuted"


def test_claims_that_come_and_go(project):
    accepted.accept("smoke", judged(project))
    assert drift(project, []) == ["eq01-sum: accepted 'confirmed', the claim is gone"]
    other = [replace(j, claim=replace(j.claim, id="eq02-new")) for j in judged(project)]
    assert drift(project, judged(project) + other) == ["eq02-new: new, 'confirmed'"]


def test_an_observation_more_or_less(project):
    accepted.accept("smoke", judged(project))
    claim = judged(project)[0].claim
    twice = [judge(claim, [Observation("eq01-sum", 2.0)] * 2)]
    assert drift(project, twice) == ["eq01-sum: 1 observation(s) -> 2"]


@pytest.mark.parametrize(("tolerance", "value", "drifts"), [
    (None, 2.0 * (1 + 5e-7), False), (None, 2.0 * (1 + 2e-6), True),
    (0.1, 2.15, False), (0.1, 2.5, True), (0.0, 2.0 + 1e-6, True),
])  # fmt: skip
def test_the_tolerance_of_a_claim_is_honoured(project, tolerance, value, drifts):
    change = {} if tolerance is None else {"drift": tolerance}
    accepted.accept("smoke", judged(project, change=change))
    assert bool(drift(project, judged(project, value, change=change))) is drifts


def test_numbers_near_zero_compare_absolutely(project):
    accepted.accept("smoke", judged(project, 0.0))
    assert drift(project, judged(project, 1e-16)) == []
    assert drift(project, judged(project, 1e-9)) != []


def test_residuals_are_rounding_noise_and_left_out_but_their_verdict_is_not(project):
    residual = {"kind": "identity", "checks": {"printed": {"kind": "residual", "max": 0.1, "basis": "by hand"}}}
    accepted.accept("smoke", judged(project, 1e-16, change=residual))
    assert drift(project, judged(project, 3e-16, change=residual)) == []
    assert drift(project, judged(project, 0.2, change=residual)) == ["eq01-sum: verdict 'confirmed' -> 'refuted'"]


def test_the_file_is_stable_and_a_broken_one_is_named(project):
    path = accepted.accept("smoke", judged(project))
    before = path.read_bytes()
    accepted.accept("smoke", judged(project))
    assert path.read_bytes() == before and json.loads(before)["facts"]["eq01-sum"]["verdict"] == "confirmed"
    path.write_text('{"a":\n')
    with pytest.raises(ValueError, match="smoke.json: not JSON .line 2.*'make accept' writes it anew"):
        accepted.read("smoke")
    path.write_text('{"facts": 3, "machine": {}}')
    with pytest.raises(ValueError, match="smoke.json: field 'facts': expected an object of claims; 'make accept'"):
        accepted.read("smoke")
    path.write_text('{"eq01-sum": {}}')
    with pytest.raises(
        ValueError, match="smoke.json: .*facts, machine missing; expected an object with facts, machine; 'make accept'"
    ):
        accepted.read("smoke")


def test_the_processor_of_the_accepted_facts_is_told(project):
    assert accepted.made_on("smoke") == "an unknown processor (-)"
    accepted.accept("smoke", judged(project))
    assert accepted.made_on("smoke").startswith(provenance.processor())


def test_the_largest_relative_difference_a_claim():
    def fact(*values):
        return {"claim": {"verdict": "confirmed", "observations": [
            {"form": "printed", "n": None, "value": v, "low": None, "high": None} for v in values]}}  # fmt: skip

    assert accepted.largest(fact(2.0, 8.0), fact(2.0, 10.0)) == {"claim": pytest.approx(0.2)}
    assert accepted.largest(fact(2.0), fact(2.0, 10.0)) == {}, "another number of observations is a difference itself"
