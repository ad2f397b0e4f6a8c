"""paper/claims.toml: every breach of the schema is refused with the claim and the field that break it."""

from __future__ import annotations

import math

import ledgers
import pytest

from specseg.evidence.claims import CORRECTION
from specseg.evidence.ledger import ClaimError, load_claims


def printed(**check) -> dict:
    return {"checks": {"printed": {"basis": "by hand", **check}}}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("locator", "text that is not empty"), ("statement", "text that is not empty"),
        ("chapter", "text that is not empty"), ("section", "one of Abstract, 1, 2"),
        ("kind", "one of identity, number"), ("tier", "one of R0, R1"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, "", "  ", 3])
def test_required_text(tmp_path, field, expected, value):
    missing = "missing; " if value is None else ""
    with pytest.raises(ClaimError, match=f"claims.toml: claim eq01-sum: field '{field}': {missing}expected {expected}"):
        ledgers.load(tmp_path, {field: value})


def test_a_claim_without_an_id_is_named_by_its_number(tmp_path):
    with pytest.raises(ClaimError, match="claim number 2: field 'id': missing; expected kebab-case"):
        ledgers.load(tmp_path, {}, {"id": None})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "Eq1"}, "field 'id': expected kebab-case such as eq02-decomposition; found 'Eq1'"),
        ({"id": "eq1"}, "field 'id': expected kebab-case such as eq02-decomposition; found 'eq1'"),
        ({"kind": "fact"}, "field 'kind': expected one of identity, number, ordering, trend, fit; found 'fact'"),
        ({"tier": "R5"}, "field 'tier': expected one of R0, R1, R2, R3, R4; found 'R5'"),
        ({"section": "5"}, "field 'section': expected one of Abstract, 1, 2.*, Beyond the paper; found '5'"),
        ({"if_fails": "wrong"}, "field 'if_fails': expected one of refuted, paper inconsistent; found 'wrong'"),
        ({"colour": "red"}, "field 'colour': unknown field; expected one of id, locator, section"),
        ({"checks": {}}, "field 'checks.printed': missing; a claim states its check beforehand"),
        ({"checks": None}, "field 'checks.printed': missing; a claim states its check beforehand"),
        (
            {"checks": {"corrected": {"kind": "count", "basis": "x"}}},
            "field 'checks.printed': missing; a claim states its check beforehand",
        ),
        (
            printed(kind="near"),
            "field 'checks.printed.kind': expected one of residual, equals, count, at_least, .*; found 'near'",
        ),
        (printed(), "field 'checks.printed.kind': missing; expected one of residual"),
        (
            {"checks": {"printed": {"kind": "count"}}},
            "field 'checks.printed.basis': missing; expected words that say why",
        ),
        (
            {"checks": {"printed": {"kind": "count", "basis": " "}}},
            "field 'checks.printed.basis': expected words that say why",
        ),
        (printed(kind="residual"), r"field 'checks.printed': a residual check needs the number\(s\) max"),
        (printed(kind="residual", max="1"), "field 'checks.printed.max': expected a number; found '1'"),
        (printed(kind="residual", max=True), "field 'checks.printed.max': expected a number; found True"),
        (
            printed(kind="residual", max=1, min=0),
            r"field 'checks.printed': a residual check needs the number\(s\) max; it has \['max', 'min'\]",
        ),
        (printed(kind="residual", max=-1), "field 'checks.printed': accepts nothing"),
        (printed(kind="equals", expected=1), r"needs the number\(s\) expected, tolerance"),
        (printed(kind="equals", expected=1, tolerance=-1), "field 'checks.printed': accepts nothing"),
        (printed(kind="between", min=2, max=1), "field 'checks.printed': accepts nothing"),
        (printed(kind="count", max=1), r"a count check needs the number\(s\) none"),
        (printed(kind="count", min_fraction=1.5), "field 'checks.printed': accepts nothing"),
        (printed(kind="count", low=1), "field 'checks.printed.low': unknown field"),
        ({"covers": "eq:1"}, "field 'covers': expected a list; found 'eq:1'"),
        ({"drift": "much"}, "field 'drift': expected a number; found 'much'"),
        ({"replaces": True}, "field 'replaces': expected a corrected form beside it: checks.corrected"),
        (
            {"checks": {**ledgers.MINIMAL["checks"], "other": {"kind": "count", "basis": "x"}}},
            "field 'checks.other': expected one of printed, convention, approximation, corrected",
        ),
        ({"correction": {"printed": "a"}}, r"field 'correction': expected \['conclusion', .*; found \['printed'\]"),
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
        ("claims = []\n", "claims.toml: field 'claims': unknown field; expected one of planned_chapters, claim"),
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
        "drift": 0.1, "amended": [{"date": "2026-01-01", "reason": "typed wrongly"}],
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
