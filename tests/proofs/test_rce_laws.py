"""What R_ce depends on: the Jensen floor, scaling, the frame's jump, the true cost of truncation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.nets import tiny
from specseg.proofs import rce_laws
from specseg.spectral import cross_entropy as ce
from specseg.spectral import spectrum as sp


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


def slow_parts(y, x):
    """The three parts of L_ce(0) of one image by loops over pixels and classes, from their definitions."""
    c, h, w = y.shape
    n, known = h * w, [int(v) for v in x.flatten() if v != 255]
    pi = [known.count(k) / n for k in range(c)]
    m = sum(pi)
    mean = [float(y[k].mean()) for k in range(c)]
    p = [math.exp(a) / sum(math.exp(b) for b in mean) for a in mean]
    kl = 0.0
    for t in range(n):
        at = [float(y[k].flatten()[t]) for k in range(c)]
        s = [math.exp(a) / sum(math.exp(b) for b in at) for a in at]
        kl += sum(p[k] * math.log(p[k] / s[k]) for k in range(c)) / n
    shares = [(v / m, q) for v, q in zip(pi, p, strict=True) if v > 0]
    return m * -sum(v * math.log(v) for v, _ in shares), m * sum(v * math.log(v / q) for v, q in shares), m * kl


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.sampled_from([(1, 23), (6, 7)]), st.sampled_from([0.0, 0.4]), st.floats(0.1, 20))
def test_the_zero_frequency_is_entropy_and_two_divergences(seed, shape, void, scale):
    g = torch.Generator().manual_seed(seed)
    y = scale * torch.randn(2, 4, *shape, generator=g, dtype=torch.float64)
    x = torch.randint(0, 4, (2, *shape), generator=g).masked_fill(torch.rand(2, *shape, generator=g) < void, 255)
    parts = rce_laws.zero_frequency(y, x)
    component = ce.frequency_components(y, x)[:, 0, 0].real
    assert torch.allclose(sum(parts), component, rtol=1e-12)
    assert all((part > -1e-12).all() for part in parts)
    for i in range(2):
        assert [float(part[i]) for part in parts] == pytest.approx(slow_parts(y[i], x[i]), abs=1e-10)


def test_the_means_of_the_zero_frequency_run_over_void_pixels_too():
    logits, labels = draw(8, void=0.4)
    known = (labels != 255)[:, None]
    moved = logits + torch.where(known, 0.0, 3 * torch.randn(logits.shape, dtype=torch.float64))
    before, after = (rce_laws.zero_frequency(y, labels) for y in (logits, moved))
    assert torch.allclose(ce.cross_entropy(logits, labels), ce.cross_entropy(moved, labels)), "the loss sees no void"
    assert torch.equal(before.entropy, after.entropy)
    assert (before.spread - after.spread).abs().min() > 1e-3, "its zero frequency does"
    log_p = logits.mean((2, 3)).log_softmax(1)
    log_s = (logits.log_softmax(1) * known).sum((2, 3)) / known.sum((2, 3))
    labelled = known.double().mean((1, 2, 3)) * (log_p.exp() * (log_p - log_s)).sum(1)
    off = before.entropy + before.mismatch + labelled - ce.frequency_components(logits, labels)[:, 0, 0].real
    assert off.abs().min() > 1e-4, "KL over the labelled pixels alone is another number"


def test_the_parts_of_the_zero_frequency_vanish_where_they_should():
    _, labels = draw(3, void=0.3)
    parts = rce_laws.zero_frequency(torch.zeros(2, 4, 17, 17, dtype=torch.float64), labels)
    assert torch.equal(parts.spread, torch.zeros(2, dtype=torch.float64)), "the same prediction everywhere"
    share = torch.stack([(labels[:1] == c).double().mean() for c in range(4)])
    flat = (share / share.sum()).log()[None, :, None, None].expand(1, 4, 17, 17)
    assert float(rce_laws.zero_frequency(flat, labels[:1]).mismatch) == pytest.approx(0, abs=1e-12)
    shifted = flat + torch.randn(1, 1, 17, 17, dtype=torch.float64)
    assert float(rce_laws.zero_frequency(shifted, labels[:1]).spread) == pytest.approx(0, abs=1e-12)
    one = rce_laws.zero_frequency(flat, torch.full((1, 17, 17), 255))
    assert [float(part) for part in one] == [0, 0, 0], "no label, no loss"
    with pytest.raises(ValueError, match="labels: values"):
        rce_laws.zero_frequency(flat, torch.full((1, 17, 17), 9))


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


def by_hand(x, weight, nu_max):
    """Filter a frame by the double sum over pixels with the kernel sum_nu w(u) w(v) exp(2 pi j nu t)/N."""
    h, w = x.shape
    kernels = []
    for n in (h, w):
        nu = np.arange(-(n // 2), (n + 1) // 2)
        t = np.arange(n)
        kernels.append((weight(np.abs(nu), nu_max) * np.exp(2j * np.pi * np.outer(t, nu) / n)).sum(1).real / n)
    rows = [[kernels[0][(a - b) % h] for b in range(h)] for a in range(h)]
    columns = [[kernels[1][(a - b) % w] for b in range(w)] for a in range(w)]
    return np.array(rows) @ x.numpy() @ np.array(columns).T, [k.min() for k in kernels]


WEIGHTS = {"fejer": lambda nu, top: np.maximum(1 - nu / (top + 1), 0), "box": lambda nu, top: (nu <= top) * 1.0}


@pytest.mark.parametrize("window", ["fejer", "box"])
def test_filtered_losses_by_hand_and_the_sign_of_the_kernel(window):
    logits, labels = draw(4, size=7, void=0.3)
    found = rce_laws.filtered_loss(logits, labels, 2, window=window)
    for i in range(2):
        low, least = zip(*(by_hand(y, WEIGHTS[window], 2) for y in logits[i]), strict=True)
        loss = ce.cross_entropy(torch.tensor(np.stack(low))[None], labels[i : i + 1])
        assert float(found.filtered[i]) == pytest.approx(float(loss[0]))
        assert (np.min(least) > -1e-12) == (window == "fejer"), "an average, or a kernel with negative lobes"
    assert torch.allclose(found.loss, ce.cross_entropy(logits, labels))
    if window == "box":
        assert torch.allclose(found.truncated, ce.truncated_cross_entropy(logits, labels, 2).kept[:, 0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.sampled_from([0.0, 0.4]), st.integers(0, 8), st.integers(1, 4))
def test_positive_weights_bound_the_loss_of_filtered_logits(seed, void, nu_max, classes):
    logits, labels = draw(seed, classes=classes, void=void)
    found = rce_laws.filtered_loss(logits**3, labels, nu_max)
    assert (found.filtered <= found.truncated + 1e-9 * found.truncated.abs() + 1e-12).all()


def test_the_box_bounds_nothing_a_single_class_has_no_tail_and_any_cost():
    """Labels of one class: R_ce is zero at every limit, while a peak in the logits leaves negative lobes behind."""
    labels = torch.zeros(1, 1, 33, dtype=torch.long)
    margin = torch.full((1, 33), 3.0, dtype=torch.float64)
    margin[0, 16] = 400
    logits = torch.stack([margin, torch.zeros_like(margin)])[None]
    assert float(ce.relative_loss_rate(logits, labels, 4)) == pytest.approx(0, abs=1e-12)
    box, fejer = (rce_laws.filtered_loss(logits, labels, 4, window=w) for w in ("box", "fejer"))
    assert float(box.filtered / box.loss) > 50 and float(fejer.filtered) < float(fejer.loss)
    higher = rce_laws.filtered_loss(torch.where(logits > 100, 10 * logits, logits), labels, 4, window="box")
    assert float(higher.filtered) > 5 * float(box.filtered), "without limit"


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


def test_the_jumps_of_the_two_axes_come_apart():
    n = 33
    labels = torch.zeros(1, n, n, dtype=torch.long)
    labels[..., n // 2 :] = 1
    ramp = (torch.arange(n, dtype=torch.float64) / n).expand(n, n)
    across, down = rce_laws.wrap_tail(torch.stack([-ramp, ramp])[None], labels, 10)
    assert down == 0 and across < 0
    turned = rce_laws.wrap_tail(torch.stack([-ramp.T, ramp.T])[None], labels.transpose(1, 2), 10)
    assert turned == (down, pytest.approx(across))


def test_both_averages_are_those_of_the_library():
    logits, labels = draw(1)
    rows = rce_laws.boundary_and_average(logits, labels, [2, 5]).set_index(["boundary", "average", "nu_max"])["rce"]
    for boundary in sp.BOUNDARIES:
        for average in ce.AVERAGES:
            ours = ce.relative_loss_rate(logits, labels, [2, 5], boundary=boundary, average=average)
            assert [rows[boundary, average, k] for k in (2, 5)] == pytest.approx(ours.tolist())


def test_the_zero_frequency_of_the_committed_network_falls_and_then_rises():
    """The course that chapter 30 states: from the committed weights in float64, so the same on every processor."""
    net = tiny.probed("landcover", steps=300)
    zero = {s: rce_laws.cancellation(y, net.labels, nu_max=8)["zero"]
            for s, y in zip(net.steps, net.logits, strict=True)}  # fmt: skip
    assert min(zero, key=zero.get) == 10 and max(zero, key=zero.get) == 300
    assert [zero[s] for s in (0, 10, 300)] == pytest.approx([1.93, 1.65, 3.78], abs=0.005)
