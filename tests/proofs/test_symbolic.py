"""The sympy derivations close, and what they state is what the book says."""

import pytest
import sympy as sp

from specseg.proofs import symbolic


@pytest.mark.parametrize("derive", [symbolic.gaussians, symbolic.dirac])
def test_derivation_closes(derive):
    found = derive()
    assert any(key.startswith("zero") for key in found)
    assert symbolic.left_over(found) == []


@pytest.mark.parametrize("n", [3, 4, 6])
def test_lemma_3_for_small_n_and_its_mutant(n):
    found = symbolic.lemmas_discrete(n)
    assert symbolic.left_over(found) == [] and found["mutant"] != 0


def test_left_over_names_what_is_left():
    x = sp.Symbol("x")
    assert symbolic.left_over({"zero": x - x, "zero_2": x, "other": x}) == ["zero_2"]


def test_delta_has_no_pointwise_limit():
    kernel = symbolic.dirac()["kernel"]
    nu, big = sp.Symbol("nu", real=True), sp.Symbol("T", positive=True)
    assert sp.limit(kernel, nu, 0) == 2 * big
    assert sp.limit(kernel.subs(nu, sp.Rational(1, 4)), big, sp.oo).has(sp.AccumBounds)
