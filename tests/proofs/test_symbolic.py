"""The sympy derivations close, and what they state is what the book says."""

import pytest
import sympy as sp

from specseg.proofs import symbolic


@pytest.mark.parametrize("name", symbolic.DERIVATIONS)
def test_derivation_closes(name):
    found = symbolic.DERIVATIONS[name]()
    assert any(key.startswith("zero") for key in found)
    assert symbolic.left_over(found) == []


@pytest.mark.parametrize("n", [3, 4, 6])
def test_lemma_3_for_small_n_and_its_mutant(n):
    found = symbolic.lemma_3_discrete(n)
    assert symbolic.left_over(found) == [] and found["mutant"] != 0


@pytest.mark.parametrize(("classes", "pixels", "void"), [(2, 2, 0), (2, 3, 1), (3, 2, 1)])
def test_the_zero_frequency_with_and_without_void_and_its_mutant(classes, pixels, void):
    found = symbolic.zero_frequency(classes, pixels, void)
    assert symbolic.left_over(found) == [] and (found["mutant"] == 0) == (void == 0)


def test_left_over_names_what_is_left():
    x = sp.Symbol("x")
    assert symbolic.left_over({"zero": x - x, "zero_2": x, "other": x}) == ["zero_2"]


def test_delta_has_no_pointwise_limit():
    found = symbolic.dirac()
    assert found["at_zero"] == 2 * sp.Symbol("T", positive=True)
    assert (
        isinstance(found["limit_at_quarter"], sp.Expr)
        and not found["limit_at_quarter"].is_number
        or found["limit_at_quarter"].has(sp.AccumBounds)
    )
