"""Theorem 1 and Eqs 9, 10 against slow sums, projections, torch's own loss and closed forms; void; bad input."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.spectral import cross_entropy as ce
from specseg.spectral import spectrum as sp

CASES = {
    "h": st.integers(1, 9),
    "w": st.integers(1, 9),
    "classes": st.integers(1, 5),
    "void": st.sampled_from([0.0, 0.3]),
    "seed": st.integers(0, 99),
    "boundary": st.sampled_from(sp.BOUNDARIES),
}


def draw(h, w, classes, void, seed, batch=2):
    g = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, classes, h, w, generator=g, dtype=torch.float64)
    labels = torch.randint(0, classes, (batch, h, w), generator=g)
    hidden = torch.rand(batch, h, w, generator=g) < void
    hidden[:, 0, 0] = False
    return logits, labels.masked_fill(hidden, 255)


@settings(max_examples=60, deadline=None)
@given(**CASES)
def test_components_sum_to_the_loss_and_are_hermitian(h, w, classes, void, seed, boundary):
    logits, labels = draw(h, w, classes, void, seed)
    parts = ce.frequency_components(logits, labels, boundary=boundary)
    torchs = F.cross_entropy(logits, labels, ignore_index=255, reduction="none").mean((-2, -1))
    assert torch.allclose(ce.cross_entropy(logits, labels), torchs, atol=1e-12)
    assert torch.allclose(parts.sum((-2, -1)).real, torchs, atol=1e-12)
    mirror = parts.flip(-2, -1).roll((1, 1), (-2, -1))
    assert torch.allclose(parts, mirror.conj(), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_components_are_the_printed_sum(h, w, classes, void, seed, boundary):
    """Eq. 2 written out with y_p and y apart, and b(-nu) by reversing the frame."""
    logits, labels = draw(h, w, classes, void, seed)
    onehot = torch.stack([labels == c for c in range(classes)], 1).double()
    back = sp.spectrum(onehot, boundary=boundary).flip(-2, -1).roll((1, 1), (-2, -1))
    y_p = sp.spectrum(logits.logsumexp(1), boundary=boundary)
    y = sp.spectrum(logits, boundary=boundary)
    assert torch.allclose(
        ce.frequency_components(logits, labels, boundary=boundary), (back * (y_p[:, None] - y)).sum(1), atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_truncation_is_the_sum_over_the_box_and_the_projection_of_the_labels(h, w, classes, void, seed, boundary):
    logits, labels = draw(h, w, classes, void, seed)
    limits = list(range(max(h, w) // 2 + 1))
    total, kept, pixels = ce.truncated_cross_entropy(logits, labels, limits, boundary=boundary)
    parts = ce.frequency_components(logits, labels, boundary=boundary).real
    onehot = torch.stack([labels == c for c in range(classes)], 1).double()
    logp = torch.log_softmax(logits, 1)
    for k, nu in enumerate(limits):
        box = (parts * sp.box_mask((h, w), nu, boundary=boundary)).sum((-2, -1))
        projected = -(sp.band_limit(onehot, nu, boundary=boundary) * logp).sum(1).mean((-2, -1))
        assert torch.allclose(kept[:, k], box, atol=1e-12)
        assert torch.allclose(kept[:, k], projected, atol=1e-12)
    assert torch.equal(kept[:, -1], total)
    assert pixels.tolist() == (labels != 255).sum((-2, -1)).tolist()


def test_more_classes_than_one_chunk():
    logits, labels = draw(16, 17, 21, 0.1, 3)
    parts = ce.frequency_components(logits, labels)
    assert torch.allclose(parts.sum((-2, -1)).real, ce.cross_entropy(logits, labels), atol=1e-12)


def test_without_void_a_common_shift_of_all_logits_changes_no_component_but_with_void_the_mask_enters():
    logits, labels = draw(9, 9, 3, 0.0, 1)
    shift = torch.randn(2, 1, 9, 9, dtype=torch.float64)
    assert torch.allclose(ce.frequency_components(logits + shift, labels), ce.frequency_components(logits, labels))
    y_high = -(sp.spectrum(F.one_hot(labels, 3).movedim(-1, 1)).conj() * sp.spectrum(logits)).sum(1)
    ours = ce.frequency_components(logits, labels)
    assert torch.allclose(ours.flatten(1)[:, 1:], y_high.flatten(1)[:, 1:])  # y_p drops out for nu != 0
    void = labels.clone()
    void[:, :3] = 255
    b = torch.stack([void == c for c in range(3)], 1).double()
    wrong = -(sp.spectrum(b).conj() * sp.spectrum(logits)).sum(1)
    assert not torch.allclose(ce.frequency_components(logits, void).flatten(1)[:, 1:], wrong.flatten(1)[:, 1:])


def test_relative_loss_rate_averages_by_hand():
    logits, labels = draw(9, 9, 3, 0.2, 5, batch=3)
    total, kept, _ = ce.truncated_cross_entropy(logits, labels, [0, 2, 4])
    means = ce.relative_loss_rate(logits, labels, [0, 2, 4])
    ratios = ce.relative_loss_rate(logits, labels, [0, 2, 4], average="mean_of_ratios")
    assert torch.allclose(means, (1 - kept.mean(0) / total.mean()).abs())
    assert torch.allclose(ratios, (1 - kept / total[:, None]).abs().mean(0))
    assert means[-1] == 0 and ratios[-1] == 0
    assert torch.allclose(ce.relative_loss_rate(logits, labels, 2), means[1:2])
    halves = [ce.truncated_cross_entropy(logits[s], labels[s], [0, 2, 4]) for s in (slice(0, 1), slice(1, 3))]
    joined = ce.Truncated(*(torch.cat(p) for p in zip(*halves, strict=True)))
    assert torch.allclose(ce.loss_rate(joined), means)


def test_an_image_of_void_only_is_left_out():
    logits, labels = draw(8, 8, 3, 0.0, 2)
    labels[1] = 255
    for average in ce.AVERAGES:
        assert torch.allclose(
            ce.relative_loss_rate(logits, labels, [1, 2], average=average),
            ce.relative_loss_rate(logits[:1], labels[:1], [1, 2]),
        )
    labels[0] = 255
    with pytest.raises(ValueError, match="no image has a labelled pixel"):
        ce.relative_loss_rate(logits, labels, [1])


def test_float32_and_uint8_go_in_and_float64_comes_out():
    logits, labels = draw(9, 8, 3, 0.2, 4)
    rate = ce.relative_loss_rate(logits.float(), labels.to(torch.uint8), [1, 2])
    assert rate.dtype == torch.float64
    assert torch.allclose(rate, ce.relative_loss_rate(logits, labels, [1, 2]), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, b: (y.index_fill(3, torch.tensor(0), float("nan")), b), "54 of 162 values are not finite"),
        (lambda y, b: (y[:, :1], b), "logits have 1 classes"),
        (lambda y, b: (y, b - 5), "labels: values -"),
        (lambda y, b: (y, b[:, :5]), "labels: expected shape"),
        (lambda y, b: (y, b.double()), "whole-number class indices"),
        (lambda y, b: (y[0], b), "logits: expected floating"),
        (lambda y, b: (y.long(), b), "logits: expected floating"),
    ],
)
def test_bad_tensors_are_named(change, words):
    logits, labels = change(*draw(9, 3, 3, 0.0, 0))
    for call in (ce.frequency_components, ce.cross_entropy, lambda y, b: ce.relative_loss_rate(y, b, 2)):
        with pytest.raises(ValueError, match=words):
            call(logits, labels)


def test_bad_settings_are_named():
    logits, labels = draw(9, 9, 3, 0.0, 0)
    with pytest.raises(ValueError, match="nu_max 5: expected 0 .. 4, the Nyquist limit of a 9 x 9 frame"):
        ce.relative_loss_rate(logits, labels, [1, 5])
    with pytest.raises(ValueError, match="average 'median'"):
        ce.relative_loss_rate(logits, labels, [1], average="median")
    with pytest.raises(ValueError, match="boundary 'zero'"):
        ce.relative_loss_rate(logits, labels, [1], boundary="zero")
    with pytest.raises(ValueError, match="exactly zero"):
        ce.relative_loss_rate(torch.zeros(1, 1, 3, 3), torch.zeros(1, 3, 3, dtype=torch.long), [1])
