"""The rules of judgement (book/method.md) on made-up evidence: what each of them refuses, and what it lets pass."""

from __future__ import annotations

import ledgers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specseg.evidence.claims import ClaimError
from specseg.evidence.statistics import share_of_units
from specseg.evidence.verdicts import Observation, by_domain, judge, no_effect, state, together, validate

BOUND = 0.1  # of the check: at most
COUNT = {"checks": {"printed": {"kind": "count", "min_fraction": 0.9, "basis": "by hand"}}}


def claim(folder, **change):
    check = {"printed": {"kind": "at_most", "max": BOUND, "basis": "by hand"}}
    change = {"tier": "R3", "null": "a network that knows nothing", "kind": "number", "checks": check} | change
    return ledgers.load(folder, change).by_id["eq01-sum"]


def seen(value, domain="streets", **other) -> Observation:
    known = {"record": "20260101-00000000", "record_profile": "standard", "domain": domain, "null": 1.0}
    return Observation("eq01-sum", value, **(known | other))


# --- the gate ------------------------------------------------------------------------------------------------------


def test_an_untrained_network_sets_no_verdict_and_is_shown_with_the_reason(tmp_path):
    own, why = claim(tmp_path), "untrained: 1.2 times the mIoU of colour alone, 2 wanted"
    alone = judge(own, [seen(0.05, left_out=why)])
    assert alone.verdict == "not run" and why in alone.reason and alone.used == ()
    beside = judge(own, [seen(0.5, "land cover", left_out=why), seen(0.05)])
    assert beside.verdict == "agrees in kind", "what was left out would have made it mixed"
    assert why in beside.left_out and "land cover" in beside.left_out


def test_what_cannot_fail_is_no_evidence(tmp_path):
    left = judge(claim(tmp_path), [seen(0.0, left_out="cannot fail: the drop of the whole grid is 0")])
    assert left.verdict == "not run" and "cannot fail" in left.reason


# --- mixed, and not resolved -----------------------------------------------------------------------------------------


def test_mixed_evidence_names_each_domain(tmp_path):
    judged = judge(claim(tmp_path), [seen(0.05, "objects"), seen(0.5, "streets"), seen(0.04, "land cover")])
    assert judged.verdict == "mixed" and judged.reason == "holds: objects, land cover; fails: streets"


def test_not_resolved_means_that_nothing_clearly_fails(tmp_path):
    wide = {"low": 0.0, "high": 0.3, "over": "pictures", "units": 50}
    assert judge(claim(tmp_path), [seen(0.05), seen(0.1, "objects", **wide)]).verdict == "not resolved"
    assert judge(claim(tmp_path), [seen(0.5), seen(0.1, "objects", **wide)]).verdict == "mixed"
    assert judge(claim(tmp_path), [seen(0.5), seen(0.6, "objects")]).verdict == "differs in kind"


def test_models_seeds_and_folds_of_one_domain_are_one_unit(tmp_path):
    observed = [seen(0.05), seen(0.04), seen(0.5)]
    assert by_domain(claim(tmp_path), observed) == {"streets": "mixed"}
    judged = judge(claim(tmp_path), observed)
    assert judged.verdict == "mixed" and judged.reason == "its models differ: streets"


@given(st.lists(st.sampled_from(["holds", "fails", "unresolved", "mixed"]), min_size=1, max_size=5))
def test_the_state_of_several_depends_on_no_order_and_says_no_more_than_the_weakest(states):
    whole = together(states)
    assert whole == together(states[::-1])
    assert (whole == "holds") == (set(states) == {"holds"})
    assert (whole == "fails") == (set(states) == {"fails"})
    assert whole != "unresolved" or not {"fails", "mixed"} & set(states)


def test_a_statement_about_what_was_not_measured_is_not_resolved(tmp_path):
    own = claim(tmp_path, needs=["streets", "land cover"])
    judged = judge(own, [seen(0.05, "streets (CamVid)")])
    assert judged.verdict == "not resolved" and "nothing at hand on: land cover" in judged.reason
    assert judge(own, [seen(0.05, "streets (CamVid)"), seen(0.02, "land cover (Dubai)")]).verdict == "agrees in kind"
    assert judge(own, [seen(0.5, "streets (CamVid)")]).verdict == "differs in kind", "one part that fails is enough"


# --- null rivals -----------------------------------------------------------------------------------------------------


def test_a_pass_by_what_knows_nothing_is_no_agreement(tmp_path):
    judged = judge(claim(tmp_path), [seen(0.05, null=0.09)])
    assert judged.verdict == "not resolved"
    assert "what knows nothing passes as well (a network that knows nothing: 0.09)" in judged.reason
    assert judge(claim(tmp_path), [seen(0.5, null=0.09)]).verdict == "differs in kind", "failing is failing"


def test_a_measured_number_without_its_rival_or_domain_is_refused(tmp_path):
    with pytest.raises(ValueError, match="null: missing; expected what knows nothing scores: a network that knows"):
        validate(claim(tmp_path), seen(0.05, null=None))
    with pytest.raises(ValueError, match="domain: missing"):
        validate(claim(tmp_path), seen(0.05, domain=""))
    validate(claim(tmp_path, null="none: a share of the networks' own loss"), seen(0.05, null=None))
    with pytest.raises(ClaimError, match="field 'null': missing; a measured claim names what knows nothing"):
        claim(tmp_path, null="")


# --- counts ----------------------------------------------------------------------------------------------------------


def test_a_count_without_units_is_refused(tmp_path):
    with pytest.raises(ValueError, match="domain: missing; a measured number names the unit"):
        validate(claim(tmp_path, **COUNT), seen(9, domain="", n=10, null=None))


def test_a_count_says_its_interval_over_units_and_how_probable_it_is_under_no_effect(tmp_path):
    own = claim(tmp_path, **COUNT)
    judged = judge(own, [seen(6, "objects", n=6, null=None), seen(6, "streets", n=6, null=None)])
    assert judged.verdict == "agrees in kind"
    assert (
        "12 of 12, 95 % [16%, 100%] with each of 2 domain(s) as one case, p = 0.00024 under no effect" in judged.reason
    )
    few = judge(own, [seen(2, "objects", n=2, null=None), seen(2, "streets", n=2, null=None)])
    assert few.verdict == "not resolved" and "no effect explains the count as well (p = 0.062)" in few.reason
    likely = claim(tmp_path, checks={"printed": {"kind": "count", "chance": 0.9, "basis": "b"}})
    assert judge(likely, [seen(6, n=6, null=None)]).verdict == "not resolved"


def test_many_cases_of_one_domain_do_not_outvote_another(tmp_path):
    judged = judge(claim(tmp_path, **COUNT), [seen(99, "objects", n=99, null=None), seen(0, n=1, null=None)])
    assert judged.verdict == "mixed", "99 of 100 would pass"


def test_no_effect_is_the_tail_of_a_coin(tmp_path):
    check = claim(tmp_path, **COUNT).checks["printed"]
    assert no_effect([seen(2, n=3)], check) == pytest.approx((3 + 1) / 8)
    assert no_effect([seen(0, n=3)], check) == 1.0
    assert no_effect([seen(2, n=2), seen(1, n=1)], check) == pytest.approx(1 / 8)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_interval_over_units_holds_the_share_and_narrows_with_units(parts):
    low, high = share_of_units(parts)
    mean = sum(parts) / len(parts)
    assert 0 <= low <= mean + 1e-9 and mean - 1e-9 <= high <= 1
    again = share_of_units(parts * 3)
    assert again[1] - again[0] < high - low


# --- intervals -----------------------------------------------------------------------------------------------------


def test_a_range_given_as_an_interval_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"over '': an interval says what was resampled.*a range over kinds of scenes"):
        validate(claim(tmp_path), seen(0.05, low=0.01, high=0.3))
    with pytest.raises(ValueError, match="units: missing; expected how many pictures the interval resampled"):
        validate(claim(tmp_path), seen(0.05, low=0.01, high=0.3, over="pictures"))


def test_an_interval_over_two_trainings_decides_nothing(tmp_path):
    two = seen(0.05, low=0.04, high=0.06, over="trainings", units=2)
    assert state(claim(tmp_path), two) == "unresolved"
    three = seen(0.05, low=0.04, high=0.06, over="trainings", units=3)
    assert state(claim(tmp_path), three) == "holds"


def test_kinds_of_scenes_are_judged_one_by_one_in_derived_claims_too(tmp_path):
    own = claim(tmp_path, tier="R1", null=None)
    kinds = [Observation("eq01-sum", v, domain=d) for d, v in (("objects", 0.02), ("streets", 0.4))]
    assert judge(own, kinds).verdict == "mixed"
    assert judge(own, kinds[1:]).verdict == "refuted"
    nameless = [Observation("eq01-sum", v) for v in (0.02, 0.4)]
    assert judge(own, nameless).verdict == "refuted", "without kinds one counterexample is enough"


# --- weaker forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["convention", "approximation", "corrected"])
def test_a_weaker_form_never_agrees_plainly(tmp_path, form):
    check = {"kind": "at_most", "max": BOUND, "basis": "b"}
    own = claim(tmp_path, checks={"printed": check, form: check})
    assert judge(own, [seen(0.5), seen(0.05, form=form)]).verdict == "agrees in a weaker form"
    assert judge(own, [seen(0.5), seen(0.05, form=form, null=0.05)]).verdict == "differs in kind", "anything passes it"
    assert judge(own, [seen(0.05), seen(0.05, form=form)]).verdict == "agrees in kind"
