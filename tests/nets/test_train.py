"""The training loop: what it learns, that it resumes exactly, what void does, and how weights are kept."""

import itertools

import numpy as np
import pytest
import torch

from specseg.data.datasets import VOID
from specseg.nets import train
from specseg.nets.models import build
from specseg.nets.pruning import SoftFilterPruning
from specseg.nets.train import Settings
from specseg.spectral import iou as metrics

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


def draws(count, batch):
    """Step -> batch of `make`'s pictures, the same for the same step."""

    def draw(step):
        order = np.random.default_rng(step).permutation(count)[:batch]
        pairs = [make(i, np.random.default_rng([step, i])) for i in order]
        return torch.from_numpy(np.stack([p[0] for p in pairs])), torch.from_numpy(np.stack([p[1] for p in pairs]))

    return draw


SETTINGS = Settings(steps=6, lr=0.02, new_layers=2.0, warmup=2, epoch_steps=3, checkpoint_steps=2)


@torch.no_grad()
def confusion(net, batches, classes):
    """The confusion matrix of a network over batches, void left out."""
    net.eval()
    return sum(metrics.confusion_matrix(net(images.float() / (255 if images.dtype == torch.uint8 else 1)).argmax(1),
                                        labels, classes) for images, labels, *_ in batches)  # fmt: skip


def test_it_learns_what_a_picture_shows():
    net, settings = network(), Settings(steps=25, lr=0.05, new_layers=2.0, warmup=2)
    history = train.fit(net, draws(8, 4), settings)
    assert list(history.columns) == ["step", "loss", "lr"] and len(history) == 25
    assert history["loss"].tail(3).mean() < 0.5 * history["loss"].head(2).mean()
    batches = [(*draws(8, 4)(999), ["name"] * 4)]
    assert metrics.mean_iou(confusion(net, batches, 3)) > 0.6
    assert metrics.mean_iou(confusion(network(), batches, 3)) < 0.4


@pytest.mark.parametrize("prune", [None, SoftFilterPruning(0.25, 0.2)])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, prune):
    whole, broken = network(), network()
    draw = draws(8, 4)
    history = train.fit(whole, draw, SETTINGS, prune=prune)

    def stop(step, loss):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.fit(broken, draw, SETTINGS, prune=prune, checkpoint=tmp_path / "run.ckpt", on_step=stop)
    fresh = network(seed=5)  # whatever it starts from, the checkpoint decides
    again = train.fit(fresh, draw, SETTINGS, prune=prune, checkpoint=tmp_path / "run.ckpt")
    assert again.equals(history)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), fresh.state_dict().values(), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["run.ckpt"]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    draw = draws(8, 4)
    train.fit(network(), draw, SETTINGS, checkpoint=tmp_path / "run.ckpt")
    with pytest.raises(ValueError, match="lr"):
        train.fit(network(), draw, Settings(steps=6, lr=0.1, warmup=2, epoch_steps=3), checkpoint=tmp_path / "run.ckpt")


def test_pruned_filters_are_zero_after_an_epoch():
    net = network()
    train.fit(net, draws(8, 4), SETTINGS, prune=SoftFilterPruning(0.5, 0.25))
    assert zero(net.decoder.fuse1[0]) == 4 and zero(net.backbone.stage2[0]) == 12
    assert zero(net.decoder.classifier) == 0


def zero(conv):
    return int((conv.weight.flatten(1).abs().amax(1) == 0).sum())


@pytest.mark.parametrize("epoch", [1, 4, 6, 7, 100])
def test_an_epoch_that_is_cut_short_ends_pruned(epoch):
    """What is saved has its zero filters, wherever the last step falls: in the middle of an epoch, or of the first."""
    net, prune, seen = network(), SoftFilterPruning(0.5, 0.25), []
    step = prune.step

    class Noting(SoftFilterPruning):
        def step(self, model, done=1.0):
            seen.append(done)
            return step(model, done)

    settings, last = Settings(steps=6, warmup=2, epoch_steps=epoch, snapshots=(6,)), []

    def note(step, model):
        last.append(zero(model.decoder.fuse1[0]))

    train.fit(net, draws(8, 4), settings, prune=Noting(0.5, 0.25), on_snapshot=note)
    assert seen == [0.0, *(k / 6 for k in range(epoch, 6, epoch)), 1.0] and last == [4]
    prune.check(net)


def test_a_checkpoint_of_another_pruning_is_refused(tmp_path):
    path = tmp_path / "run.ckpt"
    train.fit(network(), draws(8, 4), SETTINGS, prune=SoftFilterPruning(0.5, schedule="constant"), checkpoint=path)
    for other in (SoftFilterPruning(0.5), None):
        with pytest.raises(ValueError, match=r"other settings \(prune\)"):
            train.fit(network(), draws(8, 4), SETTINGS, prune=other, checkpoint=path)


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


def test_the_loader_of_a_data_set_trains_and_evaluates():
    """The draws and loaders of specseg.data.datasets are what `fit` and an evaluation ask for."""
    from specseg.data import datasets, loading, transforms

    data = datasets.open("synthetic", "train", regime="landcover", size=80)
    net = network(num_classes=data.num_classes)
    history = train.fit(net, loading.draws(data, transforms.training(SIZE), 2), Settings(steps=2, warmup=0))
    assert np.isfinite(history["loss"]).all()
    few = list(itertools.islice(loading.evaluation_batches(data, transforms.evaluation(SIZE), 1), 3))
    assert confusion(net, few, data.num_classes).sum() == sum(int((b[1] != VOID).sum()) for b in few)


def test_bfloat16_runs_and_keeps_float32_weights():
    net = network()
    history = train.fit(net, draws(8, 4), Settings(steps=2, warmup=0, precision="bf16-mixed"))
    assert np.isfinite(history["loss"]).all()
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_weights_come_back_from_safetensors(tmp_path):
    net, path = network().half().float(), tmp_path / "net.safetensors"
    assert train.save_weights(net.state_dict(), path) == path
    other = train.load_weights(network(seed=3), path)
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))
    with pytest.raises(ValueError, match="decoder.classifier.weight"):
        train.load_weights(network(num_classes=5), path)
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        train.load_weights(net, tmp_path / "none.safetensors")


def test_a_loss_that_explodes_is_said_aloud():
    with pytest.raises(FloatingPointError, match="lr"):
        train.fit(network(), draws(8, 4), Settings(steps=8, warmup=0, lr=1e20))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps"),
        ({"lr": 0.0}, "lr"),
        ({"warmup": 10}, "warmup"),
        ({"epoch_steps": 0}, "epoch_steps"),
    ],
)
def test_wrong_settings_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Settings(**{"steps": 10, "warmup": 0} | changes)
