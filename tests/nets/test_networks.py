"""Networks of the experiments: names, settings, weak annotation, trained once, resumed, shared between processes."""

import json
import subprocess
import sys
import time
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from specseg.data import domains, loading, samples, transforms
from specseg.evidence import config, provenance, records
from specseg.nets import flops, networks, protocol, pruning, train, weights
from specseg.nets.networks import Annotated, Network
from specseg.spectral import labels as annotation

pytestmark = pytest.mark.usefixtures("scenes_once")
TINY = Network(
    "landcover", backbone="tiny", width=8, size=65, batch=4, steps=6, precision="32-true", model="deeplabv3plus"
)


@pytest.mark.parametrize("profile", ["smoke", "standard", "paper"])
def test_names_tell_all_networks_apart(profile):
    every = protocol.networks(profile)
    assert len({n.name for n in every}) == len(every) == len(set(every)) > 5
    for n in every:
        changed = [f.name for f in fields(n)[4:] if getattr(n, f.name) != f.default]
        assert all(key in n.name for key in changed)


def test_the_first_groups_are_there_and_first():
    groups = protocol.groups("standard")
    count = {name: len(part) for name, part in list(groups.items())[:7]}
    assert count == {
        "voc": 1,
        "dubai": 4,
        "camvid": 3,
        "voc seeds": 2,
        "dan": 4,
        "blocks": 6,
        "pruning": 2,
    }
    assert {n.size for n in protocol.networks("standard")} == {257}
    assert {(n.model, n.nu_max) for n in groups["blocks"]} == {
        (m, k) for m in ("deeplabv3plus", "dan") for k in (32, 16, 8)
    }
    with pytest.raises(ValueError, match="unknown group 'cats'"):
        protocol.networks(group="cats")


def test_conditions_that_are_compared_share_everything_else():
    """One policy per domain: settings differ by seed alone, and by epochs where fewer pictures make one."""
    by_domain = {}
    for n in protocol.networks("standard"):
        settings = replace(n.settings(437), seed=0, snapshots=(), precision="")
        by_domain.setdefault((n.domain, n.images, n.start), set()).add(settings)
    assert all(len(found) == 1 for found in by_domain.values())


def test_what_goes_on_from_a_network_begins_with_its_weights(tmp_path):
    base, seen = train.load_file(networks.ensure(TINY, root=tmp_path) / "weights.safetensors"), {}
    pruned = replace(TINY, prune_encoder=0.4, prune_decoder=0.2, start="trained", steps=1)
    first = replace(TINY, start="trained", images=4)
    assert pruned.origin == replace(TINY, steps=1) and first.origin == TINY and not first.is_baseline
    networks.folder(pruned.origin, tmp_path).mkdir()
    for origin in (pruned.origin, replace(TINY, steps=0)):  # whose weights are there is not trained again
        train.save_weights(base, networks.folder(origin, tmp_path) / "weights.safetensors")
    frozen = replace(TINY, start="frozen", lrg_size=9, steps=3)
    for network in (pruned, frozen):
        folder = networks.ensure(network, root=tmp_path)
        seen[network.start] = train.load_file(folder / "weights.safetensors")
        assert not list(folder.glob("step*.safetensors"))
    near = {k: float((seen["trained"][k] - v).abs().max()) for k, v in base.items() if "norm" not in k and v.ndim == 1}
    assert max(near.values()) < 0.2  # one step of warm-up away, not an initialisation away
    same = {k for k, v in base.items() if torch.equal(seen["frozen"][k], v)}
    assert {k for k in base if k.startswith("backbone.")} <= same  # weights, and the statistics of its normalisation
    assert any(k.startswith("decoder.") and k.endswith("weight") for k in set(base) - same)


def test_a_decoded_split_gives_the_same_batches():
    data = Annotated(
        replace(TINY, annotation="block", nu_max=8).data("train"), replace(TINY, annotation="block", nu_max=8)
    )
    cut = transforms.training(65)
    one, two = (loading.draws(d, cut, 4)(3) for d in (data, samples.Decoded(data)))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert samples.Decoded(data).label(2).dtype == np.int64


def test_the_papers_policy_is_that_of_its_appendix():
    n = next(n for n in protocol.networks("paper") if n.domain == "pascal")
    settings = n.settings(10582)
    assert (settings.steps, settings.lr * settings.new_layers, n.backbone, n.size, n.width) == (
        100 * 1322, pytest.approx(0.0007), "resnet101", 513, 256,
    )  # fmt: skip
    with pytest.raises(ValueError, match="A.9 has settings for"):
        train.paper_settings("camvid", 367)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"domain": "moon"}, "unknown domain 'moon'"),
        ({"annotation": "scribble"}, "annotation 'scribble'"),
        ({"annotation": "block"}, "block annotation needs a band limit"),
        ({"nu_max": 8}, "full annotation has none"),
        ({"policy": "mine"}, "policy 'mine'"),
    ],
)
def test_bad_networks_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(TINY, **change)


def test_bad_parts_and_folds_are_named():
    with pytest.raises(ValueError, match="part 'val'"):
        domains.domain("dubai").open("val")
    with pytest.raises(ValueError, match="fold 7"):
        domains.domain("dubai").open("train", 7)


def test_weak_annotation_is_what_the_annotator_would_give():
    weak = networks.Annotated(TINY.data("train"), replace(TINY, annotation="block", nu_max=4))
    full = TINY.data("train")
    for i in (0, 5):
        want = annotation.block_labels(torch.from_numpy(full.label(i)), 4, keep_void=False)
        assert np.array_equal(weak.label(i), want.numpy()) and np.array_equal(weak.image(i), full.image(i))
    few = networks.Annotated(full, replace(TINY, images=10))
    more = networks.Annotated(full, replace(TINY, images=20))
    assert len(few) == 10 and few.ids == more.ids[:10] and len(set(more.ids)) == 20
    assert np.array_equal(few.label(3), full.label(few.rows[3]))


def test_blocks_of_a_whole_picture_are_square_and_match_the_frame():
    label = torch.randint(0, 3, (65, 129), generator=torch.Generator().manual_seed(0))
    given = annotation.block_annotation(label, 8)
    changes = (given[:, 1:] != given[:, :-1]).any(0).nonzero().flatten() + 1
    downs = (given[1:] != given[:-1]).any(1).nonzero().flatten() + 1
    step = 64 / 16  # pixels of a block: the short side has 2 x 8 of them, and half a block at its ends
    assert torch.allclose(
        changes.double() % step, torch.full((len(changes),), (step + 2) / 2 % step, dtype=torch.double)
    )
    assert len(changes) == 32 and len(downs) == 16
    square = label[:, :65]
    assert torch.equal(annotation.block_annotation(square, 8), annotation.block_labels(square, 8, keep_void=False))
    for mode in ("majority", "nearest"):
        with_void = square.clone()
        with_void[:9, :9] = 255
        assert int(annotation.block_annotation(with_void, 8, mode)[0, 0]) == 255
    with pytest.raises(ValueError, match="nu_max 0"):
        annotation.block_annotation(label, 0)
    with pytest.raises(ValueError, match="mode 'mean'"):
        annotation.block_annotation(label, 4, "mean")


def test_training_happens_once_and_goes_on_where_it_stopped(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    network = replace(TINY, prune_encoder=0.25, prune_decoder=0.2)

    class Stop(Exception):
        pass

    real = train.fit

    def stopping(*args, on_step, **kwargs):
        def stop(step, loss):
            on_step(step, loss)
            if step == 3:
                raise Stop

        return real(*args, on_step=stop, **kwargs)

    place = networks.ensure(network, root=whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "fit", stopping)
        patch.setattr(train.Settings, "__init__", _often(train.Settings.__init__))
        with pytest.raises(Stop):
            networks.ensure(network, root=broken)
    assert not (networks.folder(network, broken) / "network.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.Settings, "__init__", _often(train.Settings.__init__))
        again = networks.ensure(network, root=broken)
    a, b = (weights.load(network, runs=r).state_dict() for r in (whole, broken))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert networks.history(network, whole).equals(networks.history(network, broken))
    about = networks.about(network, broken)
    assert about["settings"]["steps"] == 6 and about["modules"] == networks.about(network, whole)["modules"]
    assert "specseg.nets.train" in about["modules"] and "changed during the run" not in about["modules"].values()
    assert {p.name for p in again.iterdir()} == {"history.csv", "lock", "network.json", "weights.safetensors"}
    before = (place / "weights.safetensors").stat().st_mtime_ns
    networks.ensure(network, root=whole)
    assert (place / "weights.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("backbone", ["tiny", "efficientnet_lite0"])
def test_a_saved_network_has_the_zero_filters_that_its_cost_assumes(tmp_path, backbone):
    """Images are such that the training (2 or 6 steps) ends inside an epoch; weights are read from the file again."""
    steps = 6 if backbone == "tiny" else 2
    network = replace(TINY, backbone=backbone, steps=steps, prune_encoder=0.4, prune_decoder=0.2)
    assert steps % network.settings(len(network.data("train"))).epoch_steps
    networks.ensure(network, root=tmp_path)
    net = weights.load(network, sources=["run"], runs=tmp_path)
    network.pruning.check(net)
    small, images = pruning.remove(net), torch.rand(1, 3, 65, 65)
    _, layers = flops.trace(small, lambda: small(images), part_of=small.part_of)
    count = flops.count("deeplabv3plus", backbone=backbone, width=8, input_size=65, num_classes=net.num_classes,
                        encoder_prune_rate=0.4, decoder_prune_rate=0.2, rule=flops.CONV)  # fmt: skip
    assert flops.conv_flops(layers) == count.total
    said = {"encoder_rate": 0.4, "decoder_rate": 0.2, "schedule": "asymptotic"}
    assert networks.about(network, tmp_path)["pruning"] == networks.recorded(network, tmp_path)["pruning"] == said
    assert networks.of_settings(networks.recorded(network, tmp_path)) == network


def test_weights_of_another_pruning_are_not_taken(tmp_path, monkeypatch):
    network = replace(TINY, prune_encoder=0.4, prune_decoder=0.2)
    file = networks.ensure(network, root=tmp_path) / "network.json"
    about = json.loads(file.read_text())
    del about["pruning"]  # as before the protocol said how it prunes
    file.write_text(json.dumps(about))
    with pytest.raises(ValueError, match="pruned by another protocol"):
        networks.ensure(network, root=tmp_path)
    monkeypatch.setattr(pruning.SoftFilterPruning, "step", lambda *_: None)
    with pytest.raises(ValueError, match="0 of 8 filters are zero, expected 3"):
        networks.ensure(network, root=tmp_path / "never pruned")
    assert not (networks.folder(network, tmp_path / "never pruned") / "network.json").exists()


def _often(init):
    def patched(self, *args, **kwargs):
        init(self, *args, **{**kwargs, "checkpoint_steps": 2})

    return patched


def test_code_that_changes_during_a_training_is_told(tmp_path):
    place = networks.folder(TINY, tmp_path)
    place.mkdir(parents=True)
    modules = {**networks._now(), "specseg.nets.train": "older"}
    (place / "begun.json").write_text(json.dumps({"precision": "32-true", "modules": modules, "seconds": []}))
    networks.ensure(TINY, root=tmp_path)
    modules = networks.about(TINY, tmp_path)["modules"]
    assert [k for k, v in modules.items() if v == "changed during the run"] == ["specseg.nets.train"]


def test_baselines_keep_snapshots_and_half_weights(tmp_path):
    place = networks.ensure(TINY, root=tmp_path)
    steps = TINY.settings(200).snapshots
    assert steps[0] == 0 and steps[-1] == 6
    assert sorted(p.name for p in place.glob("step*")) == [f"step{s:06d}.safetensors" for s in steps]
    last, first, final = (weights.load(TINY, step=s, runs=tmp_path) for s in (6, 0, None))
    pairs = zip(last.parameters(), final.parameters(), first.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, c in zip(last.parameters(), first.parameters(), strict=True))
    kernels = [p for p in final.parameters() if p.ndim > 1]
    assert all(torch.equal(p, p.half().float()) for p in kernels)


OPEN = replace(TINY, precision="auto")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("avx2", "avx512f", "avx512_bf16"), "bf16-mixed"), (("avx2", "avx512f", "amx_bf16"), "bf16-mixed"),
        (("avx2", "fma"), "32-true"), (("avx2", "avx512f"), "32-true"), (("asimd", "bf16"), "32-true"),
        ((), "32-true"),
    ],
)  # fmt: skip
def test_the_precision_is_what_the_processor_does_fast(flags, wanted, monkeypatch):
    monkeypatch.setattr(provenance, "instructions", lambda: flags)
    assert networks.fast_precision() == wanted and OPEN.settings(100).precision == wanted
    assert TINY.settings(100).precision == "32-true", "one that names its precision has it everywhere"


def test_a_name_is_the_same_on_every_machine_and_the_truth_is_kept(tmp_path, monkeypatch):
    found = {}
    for flags in (("avx512_bf16",), ("avx2",)):
        monkeypatch.setattr(provenance, "instructions", lambda flags=flags: flags)
        root = tmp_path / flags[0]
        networks.ensure(OPEN, root=root)
        assert (root / "networks" / OPEN.name).is_dir() and "precision" not in OPEN.name
        settings = found[flags[0]] = networks.recorded(OPEN, root)
        assert networks.of_settings(settings) == OPEN and settings["precision"] == "auto"
    assert [s["trained_precision"] for s in found.values()] == ["bf16-mixed", "32-true"]
    networks.ensure(OPEN, root=tmp_path / "told", precision="bf16-mixed")
    assert networks.about(OPEN, tmp_path / "told")["settings"]["precision"] == "bf16-mixed"
    networks.ensure(TINY, root=tmp_path / "told", precision="bf16-mixed")
    assert networks.about(TINY, tmp_path / "told")["settings"]["precision"] == "32-true"


def test_a_training_goes_on_in_the_precision_in_which_it_began(tmp_path, monkeypatch):
    place = networks.folder(OPEN, tmp_path)
    place.mkdir(parents=True)
    (place / "begun.json").write_text(json.dumps({"precision": "bf16-mixed", "modules": {}, "seconds": []}))
    monkeypatch.setattr(provenance, "instructions", lambda: ("avx2",))
    networks.ensure(OPEN, root=tmp_path, precision="32-true")
    assert networks.about(OPEN, tmp_path)["settings"]["precision"] == "bf16-mixed"
    assert not (place / "begun.json").exists()


def test_the_networks_of_old_records_keep_their_names():
    """They hold the precision of their training under the field that now leaves it open."""
    found = records.find("networks")
    assert len(found) >= 32
    of_protocol = {n.name: n for n in protocol.networks("standard")}
    for settings in (r.meta["settings"] for r in found):
        network = networks.of_settings(settings)
        assert network.name == settings["name"] and network == of_protocol[network.name]
    forced = replace(Network("voc"), precision="bf16-mixed")
    assert networks.of_settings({**forced.describe(), "name": forced.name}) == forced != Network("voc")


def test_two_processes_train_a_network_once(tmp_path):
    code = (
        "import sys, torch; torch.set_num_threads(1)\n"
        "from specseg.nets import networks; from specseg.nets.networks import Network; from pathlib import Path\n"
        f"n = Network(**{TINY.describe()!r})\n"
        f"print(networks.ensure(n, root=Path({str(tmp_path)!r}), tell=print))\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as other:
        folder = networks.folder(TINY, tmp_path)
        while other.poll() is None and not folder.exists():  # it has begun; this process comes while it trains
            time.sleep(0.01)
        networks.ensure(TINY, root=tmp_path)
        assert other.wait(120) == 0
    assert (networks.folder(TINY, tmp_path) / "network.json").is_file()
    history = networks.history(TINY, tmp_path)
    assert history["step"].tolist() == list(range(6))


def test_published_weights_are_found_where_nothing_was_trained(tmp_path, monkeypatch):
    for name in ("profiles.toml", "lib", "data_manifests"):
        (tmp_path / name).symlink_to(config.root() / name)
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"networks/{TINY.name}/weights.safet.*, nor .*results/weights/.* nor"):
        weights.load(TINY)
    with pytest.raises(FileNotFoundError, match=f"no such weights; train {TINY.name} first"):
        weights.publish(TINY)
    networks.ensure(TINY)
    before = weights.probe_logits(weights.load(TINY))
    path = weights.publish(TINY)
    assert weights.published() == [TINY.name] and path.stat().st_size < weights.LIMIT
    networks.folder(TINY).rename(tmp_path / "gone")
    assert torch.equal(weights.probe_logits(weights.load(TINY)), before) and before.shape[0] == 7
