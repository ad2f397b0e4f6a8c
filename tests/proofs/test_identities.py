"""The equations of sections 2.1, 3.1 and A.2 to A.5 on random tensors; every check must be able to fail."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from specseg.proofs import identities, identities_iou
from specseg.spectral import spectrum as sp

CHECKS = identities.CROSS_ENTROPY | identities_iou.IOU
NAMES = sorted(CHECKS)
WRONG_AS_PRINTED = {
    "eq03-iou", "eq09-truncated-loss", "eq14-delta", "eq27-truncated-iou", "eq28-iou-loss", "eq30-no-area",
    "eq30-one-class-loss", "eq31-truncated-loss", "eq32-drop-from-loss-rate",
}  # fmt: skip
BOUNDED = {"eq02-small-factor": 1 + 1e-9}  # an inequality: its value is a ratio, not a residual


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 10_000))
@example("eq02-small-factor", 1)  # its labels have nothing at some frequency: 0/0 in the bound
def test_equations_hold_where_they_should_and_mutants_fail(name, index):
    found = CHECKS[name](identities.draw(index))
    allowed = BOUNDED.get(name, 1e-9)
    for form, value in found.items():
        if form == "mutant":
            assert value > allowed
        elif form != "printed" or name not in WRONG_AS_PRINTED:
            assert value <= allowed


@pytest.mark.parametrize("name", sorted(WRONG_AS_PRINTED))
def test_wrong_as_printed_is_seen(name):
    assert identities.run({name: CHECKS[name]}, draws=8)[0].forms["printed"] > 1e-3


def test_draws_cover_what_they_promise():
    cases = [identities.draw(k) for k in range(40)]
    shapes = [c.shape for c in cases]
    assert any(h == 1 for h, _ in shapes) and any(h > 1 for h, _ in shapes)
    assert {w % 2 for _, w in shapes} == {0, 1} == {h % 2 for h, _ in shapes}
    void = [bool((c.labels == 255).any()) for c in cases]
    assert any(void) and not all(void)
    assert len({len(c.onehot) for c in cases}) == 4
    assert all(torch.allclose(c.onehot.sum(0), (c.labels != 255).double()) for c in cases)


def test_convolution_is_fast_and_slow_the_same():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 6, dtype=torch.float64, generator=g)
    fast = sp.spectrum(sp.inverse(a.to(torch.complex128)) * sp.inverse(b.to(torch.complex128)))
    assert torch.allclose(identities.convolve(a, b).to(torch.complex128), fast, atol=1e-12)


def test_run_takes_the_worst_and_the_best_mutant():
    checks = {"x": lambda case: {"printed": float(case.labels.numel()), "mutant": float(case.labels.numel())}}
    found = identities.run(checks, draws=9)[0]
    assert found.forms["printed"] > found.mutant and found.judged == "printed"
    frame = identities.frame(identities.run(identities.CROSS_ENTROPY, draws=4))
    assert list(frame["check"]) == list(identities.CROSS_ENTROPY) and (frame["draws"] == 4).all()


def test_two_frequencies_act_on_each_other_in_iou_and_not_in_dice():
    for index in range(12):
        iou, dice = identities_iou.mixed_difference(identities.draw(index))
        assert iou >= 0.5 and dice < 1e-8


def test_the_overlap_of_a_class_is_its_loss_and_area_near_the_labels_alone():
    """Eq. 30 by a loop over pixels: the error is of the overlap's size for a random map, and of second order near B."""
    case, found = identities.draw(1), []
    for size in (0, 5, 7):
        logits = (case.logits if size == 0 else 0) + size * case.onehot
        near = identities.Case(logits, case.labels, case.onehot, logits.softmax(0))
        off, p1 = [0.0] * len(logits), [0.0] * len(logits)
        for i, row in enumerate(case.labels.tolist()):
            for j, c in enumerate(row):
                s = float(near.soft[c, i, j])
                off[c] += s - 1 - float(np.log(s))
                p1[c] += s
        found.append(identities_iou.one_class_loss(near)["printed"])
        assert found[-1] == pytest.approx(max(off) / max(p1))
    assert found[0] > 0.1 and found[1] / found[2] == pytest.approx(np.exp(4), rel=0.05)
