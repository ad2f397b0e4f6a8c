"""IoU from cross-entropy: the bounds that hold, the statements that do not, the law of the drop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.proofs import identities, iou_laws
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp
from specseg.spectral.cost import changed_share_bound


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.floats(0.1, 30))
def test_bounds_hold_for_every_network(index, scale):
    case = identities.draw(index)
    logits = case.logits + scale * case.onehot  # from ignorant to nearly perfect
    found = iou_laws.bounds_held(logits[None], case.labels[None])
    assert found["held"] == found["n"] > 0
    rows = iou_laws.class_bounds(logits[None], case.labels[None])
    assert (1 - rows["soft_iou"] <= rows["class_loss"].sum() / rows["share"] + 1e-12).all()


def test_best_bound_is_reached():
    """S constant on each class, all error given to class 0: the bound is an equality there."""
    labels = torch.tensor([[[0, 0, 0, 1, 1, 1, 1, 2]]])
    keep = torch.tensor([0.7, 0.6, 0.9], dtype=torch.float64)[labels[0, 0]]
    s = torch.zeros(1, 3, 1, 8, dtype=torch.float64)
    for t, c in enumerate(labels[0, 0].tolist()):
        s[0, c, 0, t] = keep[t]
        s[0, 0 if c else 1, 0, t] += 1 - keep[t]
    rows = iou_laws.class_bounds(s.clamp(min=1e-300).log(), labels)
    assert rows["soft_iou"].iloc[0] == pytest.approx(rows["best"].iloc[0], abs=1e-12)
    assert rows["best"].iloc[0] > rows["first"].iloc[0]


def test_hard_bound_is_reached_in_the_limit():
    """A wrong argmax at S just below 1/2, all else certain: e = L/log 2 exactly."""
    labels = torch.tensor([[[0] * 8 + [1] * 8]])
    logits = torch.full((1, 2, 1, 16), -50.0, dtype=torch.float64)
    logits[0, 0, 0, :8] = logits[0, 1, 0, 8:] = 50.0
    logits[0, :, 0, 0] = torch.tensor([0.0, 1e-9])
    row = iou_laws.class_bounds(logits, labels).iloc[0]
    assert row["hard_iou"] == pytest.approx(7 / 8) and row["hard"] == pytest.approx(7 / 8, abs=1e-6)


def test_a_broken_bound_is_seen():
    cases = [identities.draw(k) for k in range(20)]
    found = [iou_laws.bounds_held(c.logits[None], c.labels[None]) for c in cases]
    assert sum(f["mutant"] for f in found) < sum(f["n"] for f in found)


def test_the_terms_of_the_loss_are_convolutions_of_what_is_missed():
    """int B (1 - S)^k is the k-fold convolution of b - b * s with itself at nu = 0; the terms add up to the loss."""
    case = identities.draw(2)
    b, s = case.onehot[0], (case.logits + 8 * case.onehot).softmax(0)[0]
    gap = sp.spectrum(b) - identities.convolve(sp.spectrum(b), sp.spectrum(s))
    power, loss = gap, 0.0
    for k in range(1, 8):
        assert float(power[0, 0].real) == pytest.approx(float((b * (1 - s) ** k).mean()), rel=1e-9)
        if k == 2:
            assert float(power[0, 0].real) == pytest.approx(float(gap.abs().square().sum()))
        loss += float(power[0, 0].real) / k
        power = identities.convolve(power, gap)
    assert loss == pytest.approx(float(-(b * s.log()).mean()), rel=1e-3)


def test_orders_tell_first_order_from_none():
    case = identities.draw(5)
    found = iou_laws.orders(case.onehot, case.logits.softmax(0), 2)
    assert found["eq26"] == pytest.approx(2, abs=0.02) and found["lost_sign"] == pytest.approx(1, abs=0.02)
    assert found["eq31"] < 0


def test_ordering_is_a_correlation_and_no_law():
    found = iou_laws.ordering(100, seed=1)
    assert 0 < found["agree"] < found["draws"]
    assert 0 < found["low"] <= found["spearman"] <= found["high"] and -0.3 < found["shuffled"] < 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3), st.integers(0, 99))
def test_no_block_prediction_beats_the_best(fractions, seed):
    if max(fractions) < 0.01:
        fractions[0] = 0.5
    w = np.array([0.2, 0.3, 0.5])
    found = iou_laws.block_optimum(w, fractions)
    rng = np.random.default_rng(seed)
    f = np.array(fractions)
    for s in rng.random((50, 3)):
        p = (w * f * s).sum()
        assert p / ((w * (f + s)).sum() - p) <= found["best_iou"] + 1e-12
    kept = (f > found["threshold"]).astype(float)
    p = (w * f * kept).sum()
    assert p / ((w * (f + kept)).sum() - p) == pytest.approx(found["best_iou"])
    assert found["threshold"] <= 0.5


@pytest.mark.parametrize("call, words", [
    (lambda: iou_laws.block_optimum([0.5, 0.2], [1, 0]), "shares that sum to 1"),
    (lambda: iou_laws.block_optimum([1.0], [1, 0]), "equal lengths"),
    (lambda: iou_laws.with_rate(torch.full((1, 8, 8), 255), 2, 2, scale=1, rce=1), "without void"),
    (lambda: iou_laws.with_rate(torch.zeros(1, 8, 8).long(), 2, 2, scale=1, rce=-1), "rce >= 0; got 1, -1"),
    (lambda: iou_laws.with_rate(torch.zeros(1, 8, 8).long(), 2, 2, scale=0, rce=1), "scale > 0"),
])  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_overlap_share_of_a_wave_and_of_everything():
    labels = (torch.arange(64) // 4 % 2).expand(1, 64, 64)  # bars of eight pixels' period: 8 cycles per frame
    low, high = iou_laws.overlap_share(labels, 7), iou_laws.overlap_share(labels, 8)
    assert low["box"].tolist() == pytest.approx([0.5, 0.5]) and (high["box"] > 0.85).all()
    assert iou_laws.overlap_share(labels, 32)["box"].tolist() == pytest.approx([1, 1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.floats(0.01, 3), st.integers(0, 3))
def test_no_more_pixels_change_than_the_certificate_allows(seed, size, decimals):
    """Against a loop over pixels and pairs of classes; rounded logits have ties, where the margin is 0."""
    g = torch.Generator().manual_seed(seed)
    y, d = (torch.randn(2, 4, 5, 6, dtype=torch.float64, generator=g).round(decimals=decimals) for _ in range(2))
    low = y - size * d
    bound, share = changed_share_bound(y, low)
    for k in range(2):
        may = does = 0
        for i in range(5):
            for j in range(6):
                a, b = y[k, :, i, j].tolist(), low[k, :, i, j].tolist()
                cut = [p - q for p, q in zip(a, b, strict=True)]
                best, second = sorted(a, reverse=True)[:2]
                may += max(cut) - min(cut) >= best - second - 1e-12
                does += a.index(max(a)) != b.index(max(b))
        assert share[k] <= bound[k]
        assert float(bound[k]) == pytest.approx(may / 30) and float(share[k]) == pytest.approx(does / 30)


def test_the_certificate_is_reached_and_is_nothing_where_nothing_is_cut_off():
    case = identities.draw(1)
    y = case.logits[None]
    assert [float(x) for x in changed_share_bound(y, y - 3)] == [0, 0]  # a constant has no range
    first, second = y.topk(2, 1).values.unbind(1)
    tilt = torch.zeros_like(y).scatter_(1, y.argmax(1, keepdim=True), 1.0)
    every = changed_share_bound(y, y - tilt * (first - second)[:, None] * (1 + 1e-9))
    none = changed_share_bound(y, y - tilt * (first - second)[:, None] * (1 - 1e-9))
    assert [float(x) for x in every] == [1, 1] and [float(x) for x in none] == [0, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.floats(1e-3, 1e3))
def test_the_certificate_does_not_depend_on_the_scale_of_the_logits(index, tau):
    case = identities.draw(index)
    y, low = case.logits[None], sp.band_limit(case.logits, 2)[None]
    pairs = changed_share_bound(y, low), changed_share_bound(tau * y, tau * low)
    for a, b in zip(*pairs, strict=True):
        assert float(a) == pytest.approx(float(b), abs=1e-12)


def test_the_certificate_counts_known_pixels_only_and_refuses_what_does_not_fit():
    y, low = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]], [[1.0, 0.0]]]])
    assert float(changed_share_bound(y, low, known=torch.tensor([[[True, False]]]))[1]) == 1
    assert bool(changed_share_bound(y, low, known=torch.zeros(1, 1, 2))[0].isnan())
    with pytest.raises(ValueError, match="C >= 2"):
        changed_share_bound(y[:, :1], low[:, :1])
    with pytest.raises(ValueError, match="finite"):
        changed_share_bound(y * float("nan"), low)
    with pytest.raises(ValueError, match="known: expected"):
        changed_share_bound(y, low, known=torch.ones(2, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.floats(0.01, 5))
def test_changed_pixels_bound_the_loss_of_hard_iou(index, size):
    """A class's IoU falls by at most (share of pixels that enter or leave it)/(its area)."""
    case = identities.draw(index)
    known, classes = case.labels != 255, len(case.onehot)
    y, low = case.logits, case.logits + size * case.logits.flip(2)
    before, after = y.argmax(0), low.argmax(0)
    iou = [metrics.class_iou(metrics.confusion_matrix(p[None], case.labels[None], classes)) for p in (before, after)]
    bound, share = changed_share_bound(y[None], low[None], known=known[None])
    lost = 0.0
    for c in range(classes):
        area = float(((case.labels == c) & known).sum() / known.sum())
        moved = float((((before == c) != (after == c)) & known).sum() / known.sum())
        if area > 0:
            assert float(iou[0][c] - iou[1][c]) <= moved / area + 1e-12
            lost += area * float(iou[0][c] - iou[1][c])
    assert lost <= 2 * float(share[0]) + 1e-12 <= 2 * float(bound[0]) + 2e-12
