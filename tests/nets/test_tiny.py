"""The tiny network learns, is the same for one seed, and leaves others' random numbers alone."""

import pytest
import torch

from specseg.nets import tiny
from specseg.spectral import cross_entropy as ce


def small(seed=0, **more):
    return tiny.train(size=33, steps=60, scenes_seen=32, probes=8, probe_steps=(0, 10), seed=seed, **more)


def test_training_learns_and_probes_where_asked():
    trained = small()
    assert trained.steps == (0, 10, 60) and len(trained.logits) == 3
    losses = [float(ce.cross_entropy(y, trained.labels).mean()) for y in trained.logits]
    assert losses[-1] < 0.9 * losses[0]
    with torch.no_grad():
        assert torch.allclose(trained.net(trained.images).double(), trained.logits[-1])
        assert trained.net.grid_logits(trained.images).shape[-2:] == (9, 9)


def test_one_seed_one_net_and_no_side_effect():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    a = small()
    assert torch.equal(torch.rand(3), expected)
    b, c = small(), small(seed=1)
    assert torch.equal(a.logits[-1], b.logits[-1]) and not torch.equal(a.logits[-1], c.logits[-1])


def test_void_is_left_out():
    trained = small(void=True)
    assert torch.isfinite(trained.logits[-1]).all()
    images, labels = tiny.scenes("objects", 3, 33)
    assert (labels == 255).any() and not (tiny.scenes("objects", 3, 33, void=False)[1] == 255).any()


def test_splits_never_meet():
    train, val = (tiny.scenes("streets", 2, 33, split=s)[0] for s in ("train", "val"))
    assert not torch.equal(train, val)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="size 64: expected 4 k"):
        tiny.train(size=64)
    with pytest.raises(ValueError, match="split 'test'"):
        tiny.scenes("objects", 1, 33, split="test")
