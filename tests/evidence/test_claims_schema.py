"""paper/claims.toml: every breach of the schema is refused with the claim and the field that break it."""

from __future__ import annotations

import math

import ledgers
import pytest

from specseg.evidence.claims import CORRECTION
from specseg.evidence.ledger import ClaimError, load_claims


def printed(**check) -> dict:
    return {"checks": {"printed": {"basis": "by hand", **check}}}


@pytest.mark.parametrize("field", ["locator", "section", "kind", "statement", "tier", "chapter"])
@pytest.mark.parametrize("value", [None, "", "  ", 3])
def test_required_text(tmp_path, field, value):
    with pytest.raises(ClaimError, match=f"claims.toml: claim eq01-sum: field '{field}' must be text and not empty"):
        ledgers.load(tmp_path, {field: value})


def test_a_claim_without_an_id_is_named_by_its_number(tmp_path):
    with pytest.raises(ClaimError, match="claim number 2: field 'id' must be text"):
        ledgers.load(tmp_path, {}, {"id": None})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "Eq1"}, "field 'id' must be kebab-case"),
        ({"id": "eq1"}, "field 'id' must be kebab-case"),
        ({"kind": "fact"}, "field 'kind' is 'fact', expected one of identity, number"),
        ({"tier": "R5"}, "field 'tier' is 'R5', expected one of R0"),
        ({"section": "5"}, "field 'section' is '5', expected one of Abstract"),
        ({"if_fails": "wrong"}, "field 'if_fails' is 'wrong', expected one of refuted, paper inconsistent"),
        ({"colour": "red"}, r"unknown field\(s\) \['colour'\]"),
        ({"checks": {}}, "field 'checks.printed' is missing"),
        ({"checks": None}, "field 'checks.printed' is missing"),
        ({"checks": {"corrected": {"kind": "count", "basis": "x"}}}, "field 'checks.printed' is missing"),
        (printed(kind="near"), "field 'checks.printed.kind' is 'near', expected one of residual"),
        (printed(), "field 'checks.printed.kind' is None"),
        ({"checks": {"printed": {"kind": "count"}}}, "field 'checks.printed.basis' is missing"),
        ({"checks": {"printed": {"kind": "count", "basis": " "}}}, "field 'checks.printed.basis' is missing"),
        (printed(kind="residual"), r"field 'checks.printed': a residual check needs the number\(s\) max"),
        (printed(kind="residual", max="1"), "field 'checks.printed': a residual check needs"),
        (printed(kind="residual", max=True), "field 'checks.printed': a residual check needs"),
        (printed(kind="residual", max=1, min=0), "field 'checks.printed': a residual check needs"),
        (printed(kind="residual", max=-1), "field 'checks.printed': accepts nothing"),
        (printed(kind="equals", expected=1), r"needs the number\(s\) expected, tolerance"),
        (printed(kind="equals", expected=1, tolerance=-1), "field 'checks.printed': accepts nothing"),
        (printed(kind="between", min=2, max=1), "field 'checks.printed': accepts nothing"),
        (printed(kind="count", max=1), r"a count check needs the number\(s\) none"),
        (printed(kind="count", min_fraction=1.5), "field 'checks.printed': accepts nothing"),
        ({"checks": {**ledgers.MINIMAL["checks"], "other": {"kind": "count", "basis": "x"}}}, "field 'checks.other'"),
        ({"correction": {"printed": "a"}}, r"field 'correction' has \['printed'\], expected"),
    ],
)
def test_breaches_name_claim_and_field(tmp_path, change, field):
    with pytest.raises(ClaimError, match=field) as caught:
        ledgers.load(tmp_path, change)
    if "id" not in change:
        assert "claim eq01-sum" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = [", "not TOML"),
        ("", r"no \[\[claim\]\] in it"),
        ("planned_chapters = []\n", r"no \[\[claim\]\] in it"),
        ("claims = []\n", r"unknown top-level key\(s\) \['claims'\]"),
    ],
)
def test_files_that_are_no_claims(tmp_path, text, complaint):
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(ClaimError, match=complaint):
        load_claims(path)


def test_a_missing_file_and_an_id_given_twice(tmp_path):
    with pytest.raises(ClaimError, match="nowhere.toml: missing"):
        load_claims(tmp_path / "nowhere.toml")
    with pytest.raises(ClaimError, match="claim eq01-sum: id given twice"):
        ledgers.load(tmp_path, {}, {})


def test_a_blocked_claim_needs_no_check(tmp_path):
    claim = next(iter(ledgers.load(tmp_path, {"checks": None, "blocked": "needs Cityscapes"})))
    assert claim.blocked and claim.checks == {}


def test_everything_that_may_be_said(tmp_path):
    change = {
        "covers": ["eq:1"], "quote": "as we see", "tables": ["4a"], "unit": "%", "if_fails": "paper inconsistent",
        "importance": 3, "drift": 0.1, "amended": [{"date": "2026-01-01", "reason": "typed wrongly"}],
        "correction": dict.fromkeys(CORRECTION, "words"),
        "checks": {
            "printed": {"kind": "between", "min": 1, "max": 2, "basis": "b"},
            "corrected": {"kind": "count", "min_fraction": 0.9, "basis": "b"},
        },
    }  # fmt: skip
    claims = ledgers.load(tmp_path, change, {"id": "eq02-other", "chapter": "20_second"},
                          head='planned_chapters = ["30_later"]')  # fmt: skip
    first = claims.by_id["eq01-sum"]
    assert (first.covers, first.tables, first.unit, first.drift) == (("eq:1",), ("4a",), "%", 0.1)
    assert (first.checks["printed"].low, first.checks["printed"].high) == (1.0, 2.0)
    assert claims.planned == ("30_later",) and len(claims) == 2
    assert [c.id for c in claims.of_chapter("20_second")] == ["eq02-other"]


@pytest.mark.parametrize(
    ("check", "interval"),
    [
        (dict(kind="residual", max=0.1), (0.0, 0.1)),
        (dict(kind="equals", expected=2, tolerance=0.5), (1.5, 2.5)),
        (dict(kind="count"), (1.0, 1.0)),
        (dict(kind="count", min_fraction=0.5), (0.5, 1.0)),
        (dict(kind="at_least", min=3), (3.0, math.inf)),
        (dict(kind="at_most", max=3), (-math.inf, 3.0)),
        (dict(kind="between", min=-1, max=1), (-1.0, 1.0)),
    ],
)
def test_every_check_is_an_interval(tmp_path, check, interval):
    made = ledgers.load(tmp_path, printed(**check)).by_id["eq01-sum"].checks["printed"]
    assert (made.low, made.high) == interval
    assert made.describe()


def test_the_real_claims_keep_the_schema(monkeypatch):
    monkeypatch.delenv("SPECSEG_ROOT", raising=False)
    claims = load_claims()
    assert len(claims) > 0
    for claim in claims:
        assert len(claim.quote.split()) <= 25, f"{claim.id}: quote at most about 25 words"
        mended = {"corrected", "convention", "approximation"} & set(claim.checks)
        assert claim.correction is None or claim.kind != "identity" or mended, (
            f"{claim.id}: a correction without a check of the corrected form"
        )
