"""Scores against torchmetrics, scipy's morphology, slow sums and closed forms; void; bad input."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data._torchvision import torchvision  # noqa: F401  (torchmetrics loads torchvision)
from specseg.spectral import iou as m
from specseg.spectral import spectrum as sp


def draw(h, w, classes, void, seed, batch=2):
    g = torch.Generator().manual_seed(seed)
    probs = torch.randn(batch, classes, h, w, generator=g, dtype=torch.float64).mul(2).softmax(1)
    labels = torch.randint(0, classes, (batch, h, w), generator=g)
    hidden = torch.rand(batch, h, w, generator=g) < void
    hidden[:, 0, 0] = False
    return probs, labels.masked_fill(hidden, 255)


CASES = {
    "h": st.integers(1, 9),
    "w": st.integers(1, 9),
    "classes": st.integers(2, 5),
    "void": st.sampled_from([0.0, 0.3]),
    "seed": st.integers(0, 99),
}


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_confusion_and_iou_are_torchmetrics(h, w, classes, void, seed):
    from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_jaccard_index

    probs, labels = draw(h, w, classes, void, seed)
    pred = probs.argmax(1)
    ours = m.confusion_matrix(pred, labels, classes)
    assert torch.equal(ours, multiclass_confusion_matrix(pred, labels, classes, ignore_index=255))
    theirs = multiclass_jaccard_index(pred, labels, classes, average="none", ignore_index=255).double()
    there = ~m.class_iou(ours).isnan()
    assert torch.allclose(m.class_iou(ours)[there], theirs[there], atol=1e-6)
    assert m.mean_iou(ours) == pytest.approx(float(theirs[there].mean()), abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(0, 30),
    st.sampled_from([255, -1, -100, 2, 0, 5000, 2**62]),
    st.sampled_from([torch.int64, torch.int32, torch.int16]),
    st.booleans(),
    st.integers(0, 99),
)
def test_confusion_counts_one_pixel_at_a_time(classes, pixels, void, dtype, wild, seed):
    """Every way through the histogram: void inside, near, far and below the classes; predictions wild under void."""
    void = void if dtype == torch.int64 else max(min(void, 5000), -100)
    rng = np.random.default_rng(seed)
    label, pred = rng.integers(0, classes, (2, pixels))
    hidden = rng.random(pixels) < 0.3
    label[hidden] = void
    if wild:
        pred[hidden] = rng.choice([-7, 99])
    expected = np.zeros((classes, classes), dtype=np.int64)
    for b, s in zip(label, pred, strict=True):
        if b != void:
            expected[b, s] += 1
    label, pred = (torch.from_numpy(x).to(dtype) for x in (label, pred))
    ours = m.confusion_matrix(
        pred.view(1, -1).expand(2, -1), label.view(1, -1).expand(2, -1), classes, ignore_index=void
    )
    assert ours.dtype == torch.int64 and ours.numpy().tolist() == (2 * expected).tolist()


@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_soft_iou_by_slow_sums_and_equal_to_eq_25(h, w, classes, void, seed):
    probs, labels = draw(h, w, classes, void, seed)
    for c in range(classes):
        hit = area = 0.0
        for i, t, u in np.ndindex(*labels.shape):
            if labels[i, t, u] != 255:
                b, s = float(labels[i, t, u] == c), float(probs[i, c, t, u])
                hit, area = hit + b * s, area + b + s
        assert float(m.soft_iou(probs, labels)[c]) == pytest.approx(hit / (area - hit))
    for boundary in sp.BOUNDARIES:
        assert torch.allclose(m.spectral_iou(probs, labels, boundary=boundary), m.soft_iou(probs, labels))
    assert torch.allclose(m.spectral_iou(probs, labels, per_image=True), m.soft_iou(probs, labels, per_image=True))


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_band_limited_overlap_is_a_projection(h, w, classes, void, seed):
    probs, labels = draw(h, w, classes, void, seed, batch=1)
    masked = probs * (labels != 255)[:, None]
    onehot = torch.stack([labels == c for c in range(classes)], 1).double()
    for nu in range(max(h, w) // 2 + 1):
        p = (sp.band_limit(masked, nu) * onehot).mean((2, 3))[0]
        c = (masked + onehot).mean((2, 3))[0]
        assert torch.allclose(m.spectral_iou(probs, labels, nu_max=nu), p / (c - p))


def test_hard_predictions_give_the_hard_iou():
    probs, labels = draw(9, 8, 4, 0.2, 1)
    pred = probs.argmax(1)
    hard = torch.nn.functional.one_hot(pred, 4).movedim(-1, 1).double()
    assert torch.allclose(m.soft_iou(hard, labels), m.class_iou(m.confusion_matrix(pred, labels, 4)))


def scipy_boundary(mask, width):
    padded = np.pad(mask, width + 1)
    inside = scipy.ndimage.binary_erosion(padded, np.ones((3, 3)), iterations=width)
    return mask & ~inside[width + 1 : -width - 1, width + 1 : -width - 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(0, 99))
def test_boundary_iou_is_scipys_erosion(h, w, width, seed):
    rng = np.random.default_rng(seed)
    s, b = (scipy.ndimage.binary_dilation(rng.random((h, w)) < 0.1, iterations=2) for _ in range(2))
    sd, bd = scipy_boundary(s, width), scipy_boundary(b, width)
    assert (m.inner_boundary(torch.from_numpy(s), width).numpy() == sd).all()
    ours = float(m.boundary_iou(torch.from_numpy(s), torch.from_numpy(b), width))
    if (sd | bd).any():
        assert ours == pytest.approx((sd & bd).sum() / (sd | bd).sum())
    else:
        assert np.isnan(ours)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.sampled_from([255, -1, 0]), st.integers(1, 4),
    st.integers(0, 99),
)  # fmt: skip
def test_boundary_iou_of_class_maps_is_scipys_class_by_class(h, w, width, void, block, seed):
    rng = np.random.default_rng(seed)
    label, pred = (rng.integers(0, 3, (2, h, w)).repeat(block, 1).repeat(block, 2) for _ in range(2))
    label[rng.random(label.shape) < 0.05] = void
    pred[rng.random(pred.shape) < 0.02] = 77  # no class: a neighbour of the others, counted nowhere
    ours = m.boundary_iou(torch.from_numpy(pred), torch.from_numpy(label), width, num_classes=3, ignore_index=void)
    for c in range(3):
        both = [[scipy_boundary((x == c) & (y != void), width) for x, y in zip(maps, label, strict=True)]
                for maps in (pred, label)]  # fmt: skip
        s, b = (np.stack(x) for x in both)
        expected = (s & b).sum() / (s | b).sum() if (s | b).any() else np.nan
        assert float(ours[c]) == pytest.approx(expected, nan_ok=True)


def test_boundary_iou_of_class_maps_and_void():
    label = torch.zeros(2, 12, 12, dtype=torch.long)
    label[:, 3:9, 3:9] = 1
    pred = label.roll(1, 2)
    scores = m.boundary_iou(pred, label, 2, num_classes=3)
    by_mask = m.boundary_iou(pred == 1, label == 1, 2)
    assert scores[1] == by_mask and 0 < by_mask < 1 and scores[2].isnan()
    assert m.boundary_iou(pred, label, 12, num_classes=2)[1] == m.class_iou(m.confusion_matrix(pred, label, 2))[1]
    void = label.masked_fill(pred != label, 255)
    assert m.boundary_iou(pred, void, 2, num_classes=2).tolist() == [1.0, 1.0]


def test_drop_formula_is_eq_29_exactly_and_concave():
    for s0, b0, p1, p2 in ((0.4, 0.5, 0.3, 0.25), (0.2, 0.2, 0.19, 0.05), (0.3, 0.6, 0.1, 0.12)):
        c, q = s0 + b0, p1 / (s0 + b0 - p1)
        exact = m.relative_drop(q, p2 / (c - p2))
        assert m.drop_from_overlap_loss(q, (p1 - p2) / p1) == pytest.approx(exact)
        assert exact == pytest.approx(c / (c - p2) * (p1 - p2) / p1)
    r = np.linspace(0, 1, 101)
    for q in (0.1, 0.5, 1.0):
        y = m.drop_from_overlap_loss(q, r)
        assert y[0] == 0 and y[-1] == pytest.approx(1)
        assert (np.diff(y) > 0).all() and (np.diff(y, 2) < 0).all()


def test_printed_drops_and_fpi():
    assert m.relative_drop(0.678, 0.386) == pytest.approx(0.43, abs=0.001)  # Table 4a, Cityscapes, LRG 17
    assert m.fpi(98, 0.756) < m.fpi(139, 0.785)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p, b: m.confusion_matrix(b, b[:1], 3), "equal shapes"),
        (lambda p, b: m.confusion_matrix(b + 5, b, 3), "pred: values 5"),
        (lambda p, b: m.confusion_matrix(b, b + 5, 3), "label: values 5"),
        (lambda p, b: m.confusion_matrix(b, b - 9, 3), "label: values -9"),
        (lambda p, b: m.confusion_matrix(b, b * 0 + 2000, 3), "label: values 2000"),
        (lambda p, b: m.confusion_matrix(b * 0, b * 0 + 7, 3, ignore_index=-1), "label: values 7 .. 7"),
        (lambda p, b: m.mean_iou(torch.zeros(3, 3)), "no labelled pixel"),
        (lambda p, b: m.soft_iou(p.log(), b), "expected 0 .. 1"),
        (lambda p, b: m.soft_iou(p * float("nan"), b), "not all finite"),
        (lambda p, b: m.soft_iou(p[:, :1], b), "expected 0 .. 0 or 255"),
        (lambda p, b: m.soft_iou(p, b[:1]), r"expected \(B, C, H, W\)"),
        (lambda p, b: m.spectral_iou(p, b, nu_max=7), "Nyquist"),
        (lambda p, b: m.boundary_iou(b, b, 1), "num_classes"),
        (lambda p, b: m.boundary_iou(b, b[:1], 1), "equal shapes"),
        (lambda p, b: m.boundary_iou(b > 0, b > 0, 0), "width 0"),
        (lambda p, b: m.inner_boundary(b, 1), "expected bool"),
    ],
)
def test_bad_input_is_named(call, words):
    probs, labels = draw(9, 9, 3, 0.0, 0)
    with pytest.raises(ValueError, match=words):
        call(probs, labels)


@settings(max_examples=60, deadline=None)
@given(h=st.integers(1, 6), w=st.integers(1, 6), planes=st.integers(1, 5), size=st.integers(1, 90),
       band=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_the_strongest_plane_is_the_argmax_of_the_planes_as_they_are_read(h, w, planes, size, band, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(-3, 4, (planes, h, w), generator=g).double()  # with equals
    rows, cols = (torch.randint(0, 3, (size, n), generator=g).double() for n in (h, w))
    if band:  # interpolation: most of a row is zero
        rows, cols = (torch.eye(n, dtype=torch.float64)[torch.arange(size) * n // size] for n in (h, w))
    assert torch.equal(m.strongest(y, rows, cols), (rows @ y @ cols.T).max(0).indices)
