"""What R_ce depends on: the Jensen floor, scaling, the frame's jump, the true cost of truncation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg import cross_entropy as ce
from specseg import rce_laws
from specseg import spectrum as sp


def draw(seed, size=17, classes=4, void=0.0, scale=2.0):
    g = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, classes, size, size, generator=g, dtype=torch.float64)
    labels = torch.randint(0, classes, (2, size, size), generator=g)
    return logits, labels.masked_fill(torch.rand(2, size, size, generator=g) < void, 255)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.0, 0.4]), st.floats(0.01, 20))
def test_zero_frequency_is_never_below_the_histograms_entropy(seed, void, scale):
    logits, labels = draw(seed, void=void, scale=scale)
    found = rce_laws.cancellation(logits, labels, nu_max=3)
    assert found["held"] == found["images"] == 2
    assert found["zero"] + found["rest"] == pytest.approx(found["loss"])
    assert found["zero"] == pytest.approx(float(ce.frequency_components(logits, labels)[:, 0, 0].real.mean()))


def test_the_floor_is_reached_by_the_constant_histogram_prediction():
    _, labels = draw(3, void=0.3)
    share = torch.stack([(labels[:1] == c).double().mean() for c in range(4)])
    logits = (share / share.sum()).log()[None, :, None, None].expand(1, 4, 17, 17)
    found = rce_laws.cancellation(logits, labels[:1], nu_max=0)
    assert found["zero"] == pytest.approx(found["floor"])


def test_scaling_moves_the_rate_and_nothing_hard():
    logits, labels = draw(5)
    rows = rce_laws.temperature_sweep(logits, labels, [0.2, 1.0, 5.0], nu_max=3)
    assert rows["miou"].nunique() == rows["drop"].nunique() == 1
    assert np.allclose(rows["tail"] / rows["tau"], rows["tail"].iloc[1])
    assert rows["rce"].iloc[2] > 1.5 * rows["rce"].iloc[0]


def test_a_network_that_is_always_right_has_any_rate():
    _, labels = draw(6)
    logits = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).double()
    rows = rce_laws.temperature_sweep(logits, labels, [0.01, 1, 10, 20], nu_max=3)
    assert rows["rce"].iloc[0] < 0.01 and rows["rce"].iloc[-1] > 1e4 and (rows["miou"] == 1).all()
    with pytest.raises(ValueError, match="no minimum of L_CE"):
        rce_laws.calibrated_temperature(logits, labels)


def test_calibrated_temperature_finds_the_scale_that_was_put_in():
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 40, 40, generator=g, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(1).movedim(1, -1).reshape(-1, 3), 1, generator=g).reshape(4, 40, 40)
    tau = rce_laws.calibrated_temperature(2.5 * logits, labels)
    assert tau * 2.5 == pytest.approx(1.0, abs=0.1)
    around = [float(ce.cross_entropy(t * 2.5 * logits, labels).mean()) for t in (0.98 * tau, tau, 1.02 * tau)]
    assert around[1] < min(around[0], around[2])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.0, 0.3]), st.sampled_from(sp.BOUNDARIES))
def test_truncation_cost_lies_between_its_bounds(seed, void, boundary):
    logits, labels = draw(seed, void=void)
    rows = rce_laws.truncation_cost(logits, labels, [1, 4, 8], boundary=boundary)
    assert (rows["first"] <= rows["true"] + 1e-12).all() and (rows["true"] <= rows["bound"] + 1e-12).all()
    low = sp.band_limit(logits, 4, boundary=boundary)
    direct = ce.cross_entropy(low, labels).mean() / ce.cross_entropy(logits, labels).mean() - 1
    assert rows["true"].iloc[1] == pytest.approx(float(direct))


def test_second_order_is_second_order():
    logits, labels = draw(9)
    errors = []
    for eps in (1e-1, 1e-2):
        mixed = sp.band_limit(logits, 3) + eps * (logits - sp.band_limit(logits, 3))
        row = rce_laws.truncation_cost(mixed, labels, [3]).iloc[0]
        errors.append(abs(row["true"] - row["second"]))
    assert errors[0] / errors[1] > 500  # third order leaves a factor of 1000


@pytest.mark.parametrize("n", [16, 17, 65])
def test_ramp_tail_is_the_ramps_spectrum(n):
    power = sp.spectrum((torch.arange(n, dtype=torch.float64) / n)[None]).abs() ** 2
    rims = sp.box_profile(power)
    for nu in range(n // 2 + 1):
        assert rce_laws.ramp_tail(n, nu) == pytest.approx(float(rims[nu + 1 :].sum()), abs=1e-15)


def test_ramp_tail_falls_as_one_over_nu():
    assert rce_laws.ramp_tail(100_001, 100) == pytest.approx(1 / (2 * math.pi**2 * 100.5), rel=1e-2)


def test_wrap_tail_is_exact_for_logits_that_are_ramps():
    """Logits and labels that are one ramp along each row: the whole tail is the frame's jump."""
    n = 65
    labels = torch.zeros(1, n, n, dtype=torch.long)
    labels[..., n // 2 :] = 1
    ramp = (torch.arange(n, dtype=torch.float64) / n).expand(n, n)
    logits = torch.stack([-ramp, ramp])[None]
    rows = rce_laws.boundary_and_average(logits, labels, [20]).query("average == 'ratio_of_means'")
    tails = rows.set_index("boundary")["tail"]
    # The labels' inner edge adds an oscillating cross term; its mean over limits is nil.
    limits = list(range(12, 28))
    rows = rce_laws.boundary_and_average(logits, labels, limits).query("average == 'ratio_of_means'")
    mean = rows.groupby("boundary")["tail"].mean()
    assert mean["periodic"] == pytest.approx(mean["frame alone"], rel=0.15)
    assert abs(tails["mirrored"]) < 0.2 * abs(tails["periodic"])


def test_both_averages_are_those_of_the_library():
    logits, labels = draw(1)
    rows = rce_laws.boundary_and_average(logits, labels, [2, 5]).set_index(["boundary", "average", "nu_max"])["rce"]
    for boundary in sp.BOUNDARIES:
        for average in ce.AVERAGES:
            ours = ce.relative_loss_rate(logits, labels, [2, 5], boundary=boundary, average=average)
            assert [rows[boundary, average, k] for k in (2, 5)] == pytest.approx(ours.tolist())
