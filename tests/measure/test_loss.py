"""A network's loss in frequency: the rims are those of the library's own components, R_ce the library's own rate."""

import numpy as np
import pytest
import torch
from torch import nn

from specseg.measure import loss as study
from specseg.spectral import cross_entropy as ce
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp

SIZE, CLASSES, LIMITS = 33, 4, [16, 12, 8, 3]


class Given(nn.Module):
    """A network that answers each picture with logits made from its own pixels."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def forward(self, images):
        r, g, b = images.unbind(1)
        return self.scale * torch.stack([r, g, b, r * g - b], 1) * 6


def batches(seed=0):
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(3, 3, 9, 9, generator=g)
    images = torch.nn.functional.interpolate(coarse, size=(SIZE, SIZE), mode="bilinear", align_corners=True)
    labels = images.argmax(1)
    labels[:, 5:9, 4:20] = 3
    labels[0, 20:25] = 255
    return [(images[:2], labels[:2], ("a", "b")), (images[2:], labels[2:], ("c",))]


@pytest.mark.parametrize("boundary", ["periodic", "mirrored"])
def test_rims_sum_to_the_components_of_the_loss(boundary):
    (images, labels, _), net = batches()[0], Given()
    logits = net(images)
    want = sp.box_profile(ce.frequency_components(logits, labels, boundary=boundary).real, boundary=boundary)
    for i in range(2):
        rims = study.class_rims(logits[i], labels[i], boundary=boundary)
        assert torch.allclose(rims.sum(0), want[i], atol=1e-12)
    masked = torch.where(labels[1] == 2, 2, 255)  # one class alone: its own rims
    alone = study.class_rims(logits[1], masked, boundary=boundary)
    assert torch.allclose(alone[2], study.class_rims(logits[1], labels[1], boundary=boundary)[2], atol=1e-12)


def test_rates_equal_the_librarys_in_every_reading():
    net = Given()
    parts = study.loss_parts(net, batches(), LIMITS, temperature=1.7)
    images, labels = (torch.cat([b[k] for b in batches()]) for k in (0, 1))
    logits = net(images)
    for boundary in ("periodic", "mirrored"):
        for average in ce.AVERAGES:
            for name, y in ((boundary, logits), (f"{boundary}, calibrated", logits / 1.7)):
                want = ce.relative_loss_rate(y.double(), labels, LIMITS, boundary=boundary, average=average)
                assert np.allclose(study.rates(parts, name, average=average), want, atol=1e-10), name
    filled = torch.stack([study.fill_void(x) for x in labels])
    want = ce.relative_loss_rate(logits.double(), filled, LIMITS)
    assert np.allclose(study.rates(parts, "periodic, void filled"), want, atol=1e-10)
    assert np.isnan(study.rates(parts, "periodic, padded frame")).all()
    with pytest.raises(ValueError, match="variant 'other'"):
        study.rates(parts, "other")


def test_soft_parts_are_the_spectral_iou():
    parts = study.loss_parts(Given(), batches(), LIMITS)
    images, labels = (torch.cat([b[k] for b in batches()]) for k in (0, 1))
    probabilities = Given()(images).softmax(1)
    pooled = parts.soft.sum(0)
    for k, nu_max in enumerate([*LIMITS, None]):
        want = metrics.spectral_iou(probabilities, labels, nu_max=nu_max)
        assert np.allclose(pooled[:, k] / (pooled[:, -1] - pooled[:, k]), want, atol=1e-6)


def test_bootstrap_weights_of_ones_change_nothing():
    parts = study.loss_parts(Given(), batches(), LIMITS)
    ones = np.ones((2, len(parts.names)))
    for average in ce.AVERAGES:
        plain = study.rates(parts, "periodic", average=average)
        assert np.allclose(study.rates(parts, "periodic", average=average, weights=ones), plain)
    with pytest.raises(ValueError, match="median"):
        study.rates(parts, "periodic", average="median")


def test_the_temperature_of_scaled_logits_is_found():
    """Labels drawn from softmax(Y): the network that says 2 Y is too sure by a factor of 2."""
    g = torch.Generator().manual_seed(3)
    images = torch.rand(6, 3, 40, 40, generator=g)
    truth = Given()(images).softmax(1).permute(0, 2, 3, 1).reshape(-1, CLASSES)
    labels = torch.multinomial(truth, 1, generator=g).view(6, 40, 40)
    found = study.calibrated_temperature(Given(scale=2.0), [(images, labels, ("x",) * 6)])
    assert 1.8 < found < 2.2


@pytest.mark.parametrize("shape", [(40, 80), (80, 40), (20, 33), (33, 33)])
def test_the_padded_frame_keeps_the_whole_picture(shape):
    images, labels = torch.rand(3, *shape), torch.ones(shape, dtype=torch.long)
    frame, target = study.letterbox(images, labels, SIZE)
    assert frame.shape == (3, SIZE, SIZE) and target.shape == (SIZE, SIZE)
    seen = target != 255
    assert abs(float(seen.float().mean()) - min(shape) / max(shape)) < 0.04
    assert bool((target[seen] == 1).all()) and bool(seen[0, 0])


def test_no_picture_is_an_error():
    with pytest.raises(ValueError, match="at least one picture"):
        study.loss_parts(Given(), [], LIMITS)
    with pytest.raises(ValueError, match="expected"):
        study.class_rims(torch.zeros(2, 3, 3), torch.zeros(3, 4, dtype=torch.long))
