"""The cost of a band limit with free gains, the floor from the annotation, and their study, against slow references."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from specseg.measure import band_limit as study
from specseg.nets.models import build
from specseg.spectral import cost as tc
from specseg.spectral import floor as lf
from specseg.spectral.cross_entropy import cross_entropy, relative_loss_rate
from specseg.spectral.spectrum import band_limit, spectrum

SEEDS = st.integers(0, 2**31)


def made(seed, n=60, classes=3, scale=1.0):
    rng = np.random.default_rng(seed)
    low, high = (torch.from_numpy(scale * rng.standard_normal((n, classes))) for _ in range(2))
    target = torch.from_numpy(rng.integers(0, classes, n))
    return low, high / 2, target


def slow_loss(gains, low, high, target):
    """Return the mean CE pixel by pixel, written out."""
    y = gains[0] * low.numpy() + gains[1] * high.numpy()
    return float(np.mean([math.log(sum(math.exp(v) for v in row)) - row[t] for row, t in zip(y, target, strict=True)]))


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_gains_are_those_of_a_general_optimiser(seed):
    low, high, target = made(seed)
    for both in (True, False):
        mine = tc.best_gains(low, high, target, both=both)
        other = optimize.minimize(
            lambda g, b=both: slow_loss((g[0], g[1] if b else 0.0), low, high, target), [1.0, 1.0][: 2 if both else 1],
            method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000},
        )  # fmt: skip
        assert mine.loss == pytest.approx(other.fun, abs=1e-10) and mine.loss <= other.fun + 1e-12
        assert [mine.low, mine.high][: len(other.x)] == pytest.approx(other.x, abs=1e-4)
        assert mine.slope < 1e-5


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.05, 20))
def test_the_cost_lies_in_its_bounds_and_does_not_know_the_scale(seed, tau):
    low, high, target = made(seed)
    one, two = tc.band_cost(low, high, target), tc.band_cost(tau * low, tau * high, target)
    assert -1e-12 <= one.cost <= one.bound + 1e-12
    assert two.cost == pytest.approx(one.cost, abs=1e-9) and two.bound == pytest.approx(one.bound, rel=1e-4, abs=1e-9)
    summed = [tc.gain_losses(low, high, target, g).mean() for g in (one.limited, one.free)]
    assert float(summed[0] - summed[1]) == pytest.approx(one.cost, abs=1e-12)


def test_the_bound_needs_the_best_gains():
    """Away from the minimum the loss may fall by more, or rise by more, than the eighth allows."""
    low, high, target = made(1)
    sign = torch.nn.functional.one_hot(target, 3).double() - 1 / 3
    high = 0.1 * sign  # a part that knows the label: dropping it at gain 1 costs more than its range^2/8
    ratio = slow_loss((1, 0), low, high, target) - slow_loss((1, 1), low, high, target)
    assert ratio > float((high.amax(1) - high.amin(1)).pow(2).mean()) / 8


def test_a_part_without_effect_keeps_its_gain():
    low, _, target = made(3)
    fit = tc.best_gains(low, torch.zeros_like(low), target)
    assert fit.loss == pytest.approx(tc.best_gains(low, low, target, both=False).loss, abs=1e-12)


@pytest.mark.parametrize("call, words", [
    (lambda: tc.best_gains(torch.zeros(3, 2), torch.zeros(3, 3), torch.zeros(3).long()), "expected"),
    (lambda: tc.best_gains(torch.zeros(0, 2), torch.zeros(0, 2), torch.zeros(0).long()), "n >= 1"),
    (lambda: tc.best_gains(torch.eye(2), 0 * torch.eye(2), torch.arange(2), steps=10), "all pixels right"),
    (lambda: lf.annotation_floor(torch.zeros(2, 3, 3), torch.zeros(3, 4).long(), [1]), "expected"),
    (lambda: lf.annotation_floor(torch.zeros(2, 3, 3), torch.zeros(3, 3).long(), [2]), "Nyquist"),
    (lambda: lf.annotation_floor(torch.zeros(2, 3, 3), torch.full((3, 3), 2), [1]), "expected 0 .. 1"),
])  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.sampled_from([(5, 5), (6, 7), (8, 4)]), st.integers(0, 2))
def test_fejer_is_a_convolution_with_a_kernel_that_is_nowhere_negative(seed, shape, nu_max):
    x = torch.from_numpy(np.random.default_rng(seed).random(shape))

    def kernel(n):
        """(1/(n (K+1))) (sin(pi (K+1) t/n)/sin(pi t/n))^2: Fejer's kernel in closed form."""
        t = np.arange(n)
        top = np.sin(np.pi * (nu_max + 1) * t / n)
        sines = np.where(t == 0, nu_max + 1, top / np.where(t == 0, 1, np.sin(np.pi * t / n)))
        once = (-1.0) ** t if 2 * nu_max == n else 0  # the Nyquist bin is one bin, not two
        return (sines**2 - once) / (n * (nu_max + 1))

    rows, cols = kernel(shape[0]), kernel(shape[1])
    assert rows.sum() == pytest.approx(1) and (rows >= -1e-15).all() and (cols >= -1e-15).all()
    slow = np.zeros(shape)
    for t in np.ndindex(shape):
        for s in np.ndindex(shape):
            slow[t] += rows[(t[0] - s[0]) % shape[0]] * cols[(t[1] - s[1]) % shape[1]] * float(x[s])
    assert np.allclose(lf.fejer(x, nu_max).numpy(), slow, atol=1e-12)


def random_case(seed, void, scale):
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(rng.integers(0, 3, (9, 8)))
    labels[torch.from_numpy(rng.random((9, 8)) < void)] = 255
    labels[0, 0] = 0
    return scale * torch.from_numpy(rng.standard_normal((3, 9, 8))), labels


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3]), st.floats(0.1, 10))
def test_no_network_is_below_the_floor(seed, void, scale):
    logits, labels = random_case(seed, void, scale)
    for one in lf.annotation_floor(logits, labels, [0, 1, 3]):
        assert one.loss == pytest.approx(float(cross_entropy(logits[None], labels[None])), rel=1e-9)
        assert one.rate >= one.floor - 1e-12 and one.entropy >= one.gini - 1e-12
    if not void:  # Parseval: the labels' energy, weighed twice
        b = spectrum(torch.stack([(labels == c).double() for c in range(3)])).abs().pow(2).sum(0)
        w = lf.fejer_weights(9, 3)[:, None] * lf.fejer_weights(8, 3)[None]
        assert one.gini == pytest.approx(1 - float((w**2 * b).sum()), abs=1e-12)


def test_the_floor_is_reached_by_the_smoothed_labels_themselves():
    _, labels = random_case(5, 0.0, 1.0)
    planes = torch.stack([(labels == c).double() for c in range(3)])
    for nu_max in (0, 1, 3):
        one = lf.annotation_floor(lf.fejer(planes, nu_max).log(), labels, [nu_max])[0]
        assert one.smoothed == pytest.approx(one.entropy, rel=1e-9) and one.entropy > 0
    perfect = [lf.annotation_floor(a * planes, labels, [1])[0] for a in (5.0, 10.0, 20.0)]
    assert perfect[0].floor < perfect[1].floor < perfect[2].floor and perfect[2].floor > 1e7  # grows without end
    assert lf.Floor(0.0, 1.0, 0.5, 0.4).floor == math.inf == lf.Floor(0.0, 1.0, 0.5, 0.4).rate


def test_the_study_of_a_network_adds_up():
    torch.manual_seed(0)
    net = build("deeplabv3plus", backbone="tiny", num_classes=3, input_size=65, width=8)
    rng = np.random.default_rng(0)
    images, labels = torch.rand(3, 3, 65, 65), torch.from_numpy(rng.integers(0, 3, (3, 65, 65)))
    labels[:, :9] = 255
    parts = study.band_limit_parts(net, [(images[:2], labels[:2], ("a", "c"))], [2, 4])
    found = parts.arrays
    assert parts.names == ["a", "c"] and found["counts"].shape == (3, 2, 3, 3) and found["tail"].shape == (2, 2)
    assert (found["share"] <= found["bound"]).all() and (found["bound"] <= found["loose"]).all()
    assert (found["loose"] <= 1).all() and found["known"].tolist() == [56 * 65] * 2
    assert (found["smoothed"] >= found["entropy"] - 1e-12).all()
    assert (found["entropy"] >= found["gini"] - 1e-12).all()
    with torch.no_grad():
        y = net(images[:1].double())
    rate = abs(found["tail"][:, 0]) / found["loss"][0]
    assert rate == pytest.approx(np.array(relative_loss_rate(y, labels[:1], [2, 4])).ravel(), rel=1e-9)
    changed = (y.argmax(1) != band_limit(y, 2).argmax(1))[labels[:1] != 255].double().mean()
    assert found["share"][0, 0] == pytest.approx(float(changed), abs=1e-12)
    costs = (found["limited"] - found["free"]).sum(1) / found["sampled"].sum()
    assert costs == pytest.approx([c.cost for c in parts.cost], abs=1e-12)
    assert found["sampled"].tolist() == [63, 63]
    with pytest.raises(ValueError, match="picture"):
        study.band_limit_parts(net, [], [2])
