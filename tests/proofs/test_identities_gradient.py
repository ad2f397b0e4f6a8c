"""Every numerical identity of A.6 to A.8 holds on random tensors, and every mutant fails by a margin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.evidence.ledger import load_claims
from specseg.proofs import boundary_contours as ib
from specseg.proofs import identities_gradient as ig

EXACT = {
    **{f.__name__: f for f in (ig.eq04, ig.eq07, ig.eq41, ig.eq43, ig.eq44, ig.eq46, ig.eq47, ig.eq48, ig.exact_layer,
                               ig.eq49, ig.eq51, ig.eq52, ig.eq53, ig.eq54, ig.linear_tail)},
    **{f.__name__: f for f in (ib.eq33, ib.eq34, ib.eq36, ib.eq37, ib.eq40)},
}  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(ig.SHAPES))
@pytest.mark.parametrize("name", sorted(EXACT))
def test_identity_holds(name, seed, shape):
    checked = EXACT[name](np.random.default_rng(seed), shape)
    assert checked.value < 1e-10, f"{name} on {shape}: residual {checked.value:.2e}"


@pytest.mark.parametrize("name", sorted(EXACT))
def test_mutant_fails(name):
    assert ig.worst(EXACT[name], draws=12).mutant > 1e-3


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(3, 4), (5, 5), (1, 7)]))
def test_void_is_carried(seed, shape):
    rng = np.random.default_rng(seed)
    assert ig.linear_tail(rng, shape, void=True).value < 1e-10
    assert ig.eq54(rng, shape, void=True).value < 1e-10
    assert ig.linear_tail(rng, shape, void=False).value < 1e-10


def test_eq38_against_quadrature():
    checked = ig.worst(ib.eq38, draws=12)
    assert checked.value < 1e-6 < 0.1 < checked.mutant


def test_eq46_fits_no_convention_as_printed_and_each_with_its_own_constant():
    found = ig.eq46_conventions(n=16)
    assert {k: round(v[0], 6) for k, v in found.items()} == {
        "1/N forward": 1, "unnormalised": 16, "orthonormal": 4, "angular": round(2 * np.pi, 6)
    }  # fmt: skip
    assert min(printed for _, printed, _ in found.values()) > 0.1
    assert max(mended for _, _, mended in found.values()) < 1e-12


@pytest.mark.parametrize("shape", ig.SHAPES)
def test_eq43_is_the_unnormalised_transforms(shape):
    found = ig.eq43_conventions(np.random.default_rng(2), shape)
    assert found["unnormalised"] < 1e-12 < 0.1 < found["1/N forward"]
    assert found["orthonormal"] == pytest.approx(1 - np.prod(shape) ** -0.5, rel=1e-9)
    assert found["1/N forward"] == pytest.approx(1 - 1 / np.prod(shape), rel=1e-9)
    assert found["unnormalised, a network's correlation"] > 1e-3


def test_printed_eq6_errs_as_its_pre_activations_grow():
    rng = np.random.default_rng(0)
    errors = [np.mean([ig.softplus_tail(rng, (4, 5), scale=s)[0] for _ in range(4)]) for s in (0.1, 0.3, 1.0)]
    assert errors[0] < 0.1 < errors[1] + 0.05 and errors == sorted(errors) and errors[2] > 0.25


def test_one_formula_has_one_check():
    """Eqs 6, 50 and 54 are the same line: the claims on them may not differ but in their place."""
    claims = load_claims().by_id
    three = [claims[i] for i in ("eq06-softplus-tail", "eq50-lemma6", "eq54-substitution")]
    assert len({(c.statement, c.kind, c.tier, str(c.checks), str(c.correction)) for c in three}) == 1
