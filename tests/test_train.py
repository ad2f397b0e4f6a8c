"""The training loop: what it learns, that it resumes exactly, what void does, and how weights are kept."""

import numpy as np
import pytest
import torch

from specseg import metrics, train
from specseg.datasets import VOID
from specseg.models import build
from specseg.pruning import SoftFilterPruning
from specseg.train import Settings

SIZE = 65


def network(seed=0, **changes):
    torch.manual_seed(seed)
    settings = {"backbone": "tiny", "num_classes": 3, "input_size": SIZE, "width": 16} | changes
    return build("deeplabv3plus", **settings)


def make(index, rng):
    """A picture whose colour tells the class: three bands at places drawn by `rng`, with some void."""
    cuts = np.sort(rng.integers(8, SIZE - 8, 2))
    label = np.digitize(np.arange(SIZE), cuts)[None].repeat(SIZE, 0).astype(np.int64)
    image = np.stack([label == c for c in range(3)]).astype(np.float32)
    label[:3] = VOID
    return image, label


SETTINGS = Settings(steps=6, lr=0.02, new_layers=2.0, warmup=2, epoch_steps=3, checkpoint_steps=2)


def test_it_learns_what_a_picture_shows():
    net, settings = network(), Settings(steps=25, lr=0.05, new_layers=2.0, warmup=2)
    history = train.fit(net, train.draws(8, 4, make), settings)
    assert list(history.columns) == ["step", "loss", "lr"] and len(history) == 25
    assert history["loss"].tail(3).mean() < 0.5 * history["loss"].head(2).mean()
    samples = [make(i, np.random.default_rng([9, i])) for i in range(4)]
    assert metrics.mean_iou(train.evaluate(net, samples, 3)) > 0.6
    assert metrics.mean_iou(train.evaluate(network(), samples, 3)) < 0.4


@pytest.mark.parametrize("prune", [None, SoftFilterPruning(0.25, 0.2)])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, prune):
    whole, broken = network(), network()
    draw = train.draws(8, 4, make)
    history = train.fit(whole, draw, SETTINGS, prune=prune)

    def stop(step, loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(broken, draw, SETTINGS, prune=prune, checkpoint=tmp_path / "run.ckpt", on_step=stop)
    fresh = network(seed=5)   # whatever it starts from, the checkpoint decides
    again = train.fit(fresh, draw, SETTINGS, prune=prune, checkpoint=tmp_path / "run.ckpt")
    assert again.equals(history)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["run.ckpt"]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    draw = train.draws(8, 4, make)
    train.fit(network(), draw, SETTINGS, checkpoint=tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match="lr"):
        train.fit(network(), draw, Settings(steps=6, lr=0.1, warmup=2, epoch_steps=3), checkpoint=tmp_path / "run.ckpt")


def test_pruned_filters_are_zero_after_an_epoch():
    net = network()
    train.fit(net, train.draws(8, 4, make), SETTINGS, prune=SoftFilterPruning(0.5, 0.25))
    def zero(conv):
        return int((conv.weight.flatten(1).abs().amax(1) == 0).sum())
    assert zero(net.decoder.fuse1[0]) == 4 and zero(net.backbone.stage2[0]) == 12
    assert zero(net.decoder.classifier) == 0


def test_void_has_no_say():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    labels = torch.randint(3, (2, 4, 4))
    labels[:, :2] = VOID
    loss = train.cross_entropy(logits, labels)
    loss.backward()
    kept = torch.nn.functional.cross_entropy(logits[:, :, 2:], labels[:, 2:])
    torch.testing.assert_close(loss, kept)
    assert not logits.grad[:, :, :2].any() and logits.grad[:, :, 2:].all()
    assert train.cross_entropy(logits, torch.full((2, 4, 4), VOID)) == 0


def test_new_layers_learn_ten_times_faster():
    net = network()
    slow, fast = train.optimizer(net, Settings(steps=9, warmup=0, lr=0.01)).param_groups
    assert slow["lr"] == 0.01 and fast["lr"] == pytest.approx(0.1)
    assert {id(p) for p in slow["params"]} == {id(p) for p in net.backbone.parameters()}
    assert len(slow["params"]) + len(fast["params"]) == len(list(net.parameters()))


def test_poly_schedule_falls_to_zero():
    settings = Settings(steps=50, warmup=5)
    factors = [train.lr_factor(t, settings) for t in range(51)]
    assert factors[50] == 0 and all(a > b for a, b in zip(factors[5:], factors[6:], strict=False))
    assert factors[25] == pytest.approx(0.5**0.9)


def test_draws_repeat_cover_every_sample_and_split_between_processes():
    draw = train.draws(8, 4, lambda i, rng: (np.full((3, 1, 1), i, np.float32), np.full((1, 1), rng.integers(99))))
    seen = torch.cat([draw(t)[0][:, 0, 0, 0] for t in (0, 1)])
    assert sorted(seen.tolist()) == list(range(8))
    assert all(torch.equal(a, b) for a, b in zip(draw(5), draw(5), strict=True))
    assert not torch.equal(draw(0)[0], draw(2)[0])
    parts = [train.draws(8, 4, make, rank=r, world=2)(3) for r in (0, 1)]
    together = train.draws(8, 4, make)(3)
    assert torch.equal(torch.cat([p[0] for p in parts]), together[0])
    assert torch.equal(torch.cat([p[1] for p in parts]), together[1])


def test_bfloat16_runs_and_keeps_float32_weights():
    net = network()
    history = train.fit(net, train.draws(8, 4, make), Settings(steps=2, warmup=0, precision="bf16-mixed"))
    assert np.isfinite(history["loss"]).all()
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_evaluation_by_hand():
    class Fixed(torch.nn.Module):
        def forward(self, images):
            return images   # the picture itself holds the logits

    image = np.zeros((3, 1, 4), np.float32)
    image[[0, 1, 1, 2], 0, range(4)] = 1
    confusion = train.evaluate(Fixed(), [(image, np.array([[0, 1, 2, VOID]]))], 3)
    assert confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    rows = train.iou_rows(confusion, ["a", "b", "c"]).set_index("class")["value"]
    assert rows["a"] == 1 and rows["b"] == 0.5 and rows["c"] == 0 and rows["mean"] == pytest.approx(0.5)


def test_weights_come_back_from_safetensors(tmp_path):
    net, path = network(), tmp_path / "net.safetensors"
    assert train.save_weights(net, path) == path
    other = train.load_weights(network(seed=3), path)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))
    with pytest.raises(ValueError, match="decoder.classifier.weight"):
        train.load_weights(network(num_classes=5), path)
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        train.load_weights(net, tmp_path / "none.safetensors")


def test_a_loss_that_explodes_is_said_aloud():
    with pytest.raises(FloatingPointError, match="lr"):
        train.fit(network(), train.draws(8, 4, make), Settings(steps=8, warmup=0, lr=1e20))


@pytest.mark.parametrize(("changes", "said"), [
    ({"steps": 0}, "steps"), ({"lr": 0.0}, "lr"), ({"warmup": 10}, "warmup"), ({"epoch_steps": 0}, "epoch_steps"),
])
def test_wrong_settings_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Settings(**{"steps": 10, "warmup": 0} | changes)


def test_wrong_batches_are_refused():
    with pytest.raises(ValueError, match="batch_size 9"):
        train.draws(8, 9, make)
    with pytest.raises(ValueError, match="2 processes"):
        train.draws(8, 3, make, world=2)
