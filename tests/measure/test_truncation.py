"""Truncation of a network, picture by picture: the counts are those of the network's own predictions."""

import numpy as np
import pytest
import torch

from specseg.measure import truncation as study
from specseg.nets.models import build
from specseg.spectral import iou as metrics

CLASSES = 4


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = build("deeplabv3plus", backbone="tiny", num_classes=CLASSES, input_size=65, width=8).eval()
    with torch.no_grad():  # predictions of an untrained network are one class everywhere
        for p in net.decoder.parameters():
            p.mul_(3).add_(torch.randn_like(p) * 0.3)
    return net


@pytest.fixture(scope="module")
def batches():
    g = torch.Generator().manual_seed(1)
    images = torch.rand(4, 3, 65, 65, generator=g)
    labels = torch.randint(0, CLASSES, (4, 5, 5), generator=g).repeat_interleave(13, 1).repeat_interleave(13, 2)
    labels[:, :2] = 255
    return [(images[:2], labels[:2], ("a", "b")), (images[2:], labels[2:], ("c", "d"))]


def test_every_condition_is_what_the_network_predicts(net, batches):
    chosen = study.conditions(net, (17, 9, 5))
    got = study.truncation_counts(net, batches, chosen)
    assert got.names == ["a", "b", "c", "d"] and got.counts.shape == (len(chosen), 4, CLASSES, 3)
    images, labels = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
    for k, (method, size) in enumerate(chosen):
        if method == study.ENCODER:
            continue
        with (
            torch.no_grad(),
            net.truncated(None if method == "full" else size, "bilinear" if method == "full" else method),
        ):
            pred = net(images).argmax(1)
        assert np.array_equal(got.counts[k], metrics.class_counts(pred, labels, CLASSES)), (method, size)
    assert net.lrg_size is None  # set back
    assert len({got.counts[k].tobytes() for k in range(len(chosen))}) > 4, "the conditions differ"


def test_the_encoder_feature_is_squeezed_and_let_go(net, batches):
    images = batches[0][0]
    with torch.no_grad():
        before = net.encode(images)["aspp"]
        with study.encoder_truncated(net, 9):
            same = net.encode(images)["aspp"]
        with study.encoder_truncated(net, 5):
            other = net.encode(images)["aspp"]
        after = net.encode(images)["aspp"]
    assert torch.equal(before, after) and torch.equal(before, same) and not torch.allclose(before, other)


@pytest.mark.parametrize("backbone", ["tiny", "efficientnet_lite0", "resnet101"])
def test_the_encoder_feature_lies_at_stride_eight(backbone):
    with torch.device("meta"):
        other = build("dan", backbone=backbone, num_classes=3, input_size=65, width=8).eval()
        seen = []
        other.backbone.get_submodule(other.backbone.mid).register_forward_hook(lambda m, i, o: seen.append(o.shape[-1]))
        other.encode(torch.zeros(1, 3, 65, 65))
    assert seen == [9]


def test_boundaries_are_those_of_the_metric(net, batches):
    chosen = study.conditions(net, (17, 5))[:2]
    got = study.truncation_counts(net, batches, chosen, scored=[0, 2])
    images, labels = torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches])
    with torch.no_grad(), net.truncated(5):
        pred = net(images).argmax(1)
    want = metrics.boundary_iou(pred, labels, study.boundary_width(65), num_classes=CLASSES)
    both, either = got.boundary[1].sum(0).T
    for c in (0, 2):
        assert either[c] > 0 and np.isclose(both[c] / either[c], float(want[c]))
    assert np.isclose(study.boundary_miou(got.boundary[1], [0, 2]), float(want[[0, 2]].nanmean()))


def test_nothing_to_measure_is_said(net):
    with pytest.raises(ValueError, match="at least one picture"):
        study.truncation_counts(net, [], study.conditions(net, (17,)))
