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


@pytest.mark.parametrize("classes, pixels, void", [(2, 2, 0), (2, 3, 1), (3, 2, 1)])
def test_the_loss_at_zero_with_and_without_void_and_its_mutant(classes, pixels, void):
    """L_ce(0) = m [H(pi/m) + KL(pi/m || p) + mean KL(p || S_t)]; broken if KL runs over labelled pixels alone."""
    y = [sp.symbols(f"y{t}_0:{classes}", real=True) for t in range(pixels)]
    m, pi = 1 - sp.Rational(void, pixels), sp.symbols(f"pi0:{classes - 1}", positive=True)
    pi = [*pi, m - sum(pi)]  # class shares of the frame: with void they sum to m
    y_p = [sp.log(sum(map(sp.exp, row))) for row in y]
    mean = [sum(column) / pixels for column in zip(*y, strict=True)]
    log_p = [a - sp.log(sum(map(sp.exp, mean))) for a in mean]
    entropy = -sum(w / m * sp.log(w / m) for w in pi)
    mismatch = sum(w / m * (sp.log(w / m) - a) for w, a in zip(pi, log_p, strict=True))
    log_s = [[b - z for b in row] for row, z in zip(y, y_p, strict=True)]
    kl = [sum(sp.exp(a) * (a - b) for a, b in zip(log_p, row, strict=True)) for row in log_s]
    left = sum(w * (sum(y_p) / pixels - a) for w, a in zip(pi, mean, strict=True))
    right, mutant = (m * (entropy + mismatch + sum(part) / len(part)) for part in (kl, kl[void:]))
    assert sp.simplify(sp.expand(left - right)) == 0
    assert (sp.simplify(sp.expand(left - mutant)) == 0) == (void == 0)


def test_left_over_names_what_is_left():
    x = sp.Symbol("x")
    assert symbolic.left_over({"zero": x - x, "zero_2": x, "other": x}) == ["zero_2"]


def test_delta_has_no_pointwise_limit():
    kernel = symbolic.dirac()["kernel"]
    nu, big = sp.Symbol("nu", real=True), sp.Symbol("T", positive=True)
    assert sp.limit(kernel, nu, 0) == 2 * big
    assert sp.limit(kernel.subs(nu, sp.Rational(1, 4)), big, sp.oo).has(sp.AccumBounds)
