"""Networks that others trained: built here from their papers, equal to the originals wherever their weights are."""

import numpy as np
import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file, save_file

from specseg.evidence import config
from specseg.nets import third_party
from specseg.nets.third_party import base, deeplab, manifests
from specseg.nets.weights import load

NAMES = manifests.names()
PARAMETERS = {  # in millions, as the papers and the repositories print them
    "espnetv2-s2.0-voc": 0.79, "cgnet-cityscapes": 0.50, "dabnet-cityscapes": 0.76, "espnet-camvid": 0.36,
}  # fmt: skip
GRIDS = {"espnetv2": (257, 129), "cgnet": (65, 33), "dabnet": (65, 33), "espnet": (260, 132), "deeplabv3": (65, 33)}
ONE_EACH = ("espnetv2-s0.5-voc", "cgnet-camvid", "dabnet-cityscapes", "espnet-camvid", "deeplabv3-mnv2-voc")


@pytest.fixture
def weights(monkeypatch):
    """The folder of weights, from SPECSEG_NETS or beside the checkout."""
    beside = ROOT.parent / "shared" / "nets"
    if not any(config.nets_root().glob("*.safetensors")) and beside.is_dir():
        monkeypatch.setenv("SPECSEG_NETS", str(beside))
    if not any(config.nets_root().glob("*.probe.npz")):
        pytest.skip(f"NOT COMPARED with the originals: no weights and probes below {config.nets_root()} (SPECSEG_NETS)")
    return config.nets_root()


def test_there_are_fourteen_for_three_data_sets():
    found = [manifests.load(name) for name in NAMES]
    assert len(found) == 14 and {m.dataset for m in found} == {"voc2012", "cityscapes", "camvid"}
    assert all(m.unknown and m.licence and m.paper.startswith("arXiv") for m in found)
    assert {m.name: m.outputs - m.classes for m in found if m.outputs != m.classes} == {
        "espnet-camvid": 1, **{f"espnetv2-s{s}-cityscapes": 1 for s in ("0.5", "1.0", "1.5", "2.0")},
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_what_the_original_program_computed(name, weights):
    net = load(name)
    assert not net.training and net.num_classes == manifests.load(name).classes
    net.num_classes = net.outputs  # the probe holds all outputs
    with np.load(weights / f"{name}.probe.npz") as file:
        probe = {k: file[k] for k in file.files}
    images = torch.from_numpy(probe["image"]).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        grid, full = net.grid_logits(images)[0].numpy(), net(images)[0]
    if "input_every_8" in probe:
        assert np.allclose(net.preprocess(images)[0, :, ::8, ::8], probe["input_every_8"], atol=1e-5)
    pairs = [(full[:, ::8, ::8].numpy(), probe["logits_every_8"])] if "logits_every_8" in probe else []
    if "grid_logits" in probe:
        step = 1 if probe["grid_logits"].shape == grid.shape else 4
        pairs.append((grid[:, ::step, ::step], probe["grid_logits"]))
    for ours, theirs in pairs:
        assert np.abs(ours - theirs).max() < 1e-5 * np.ptp(theirs)
    best = full.topk(2, 0).values
    ties = (best[0] - best[1]).numpy() < 1e-5 * float(np.ptp(full.numpy()))
    assert ((full.argmax(0).numpy() == probe["argmax"]) | ties).all()


@pytest.mark.parametrize(("name", "millions"), PARAMETERS.items())
def test_parameters_are_those_of_the_papers(name, millions):
    count = sum(p.numel() for p in third_party.build(name).parameters())
    assert abs(count / 1e6 - millions) < 0.01


@pytest.mark.parametrize("name", ONE_EACH)
def test_frames_of_both_kinds_give_logits_in_their_size(name):
    torch.manual_seed(0)
    net = third_party.build(name)
    assert tuple(net.grid(size) for size in (513, 257)) == GRIDS[name.split("-")[0]]
    with torch.no_grad():
        for shape in ((65, 65), (97, 65)):
            images = torch.rand(1, 3, *shape)
            features = net.encode(images)["last"]
            assert features.shape[-2:] == tuple(map(net.grid, shape))
            logits = net(images)
            assert logits.shape == (1, net.num_classes, *shape) and bool(logits.isfinite().all())
            assert torch.equal(logits, net.read(net.decode({"last": features}), shape))


@pytest.mark.parametrize("name", ONE_EACH)
def test_truncation_changes_the_decoder_and_nothing_else(name):
    torch.manual_seed(0)
    net, images = third_party.build(name), torch.rand(1, 3, 129, 129)
    with torch.no_grad():
        full, features = net(images), net.encode(images)
        for method in ("bilinear", "fourier"):
            with net.truncated(9, method):
                small = net.decode(features)
                assert torch.equal(net.encode(images)["last"], features["last"])
                assert small.shape[-1] == (9 if name != "espnet-camvid" else 136)
                assert net.read(small, (129, 129)).shape == full.shape and not torch.equal(net(images), full)
        assert net.lrg_size is None and torch.equal(net(images), full)
    with pytest.raises(ValueError, match="lrg_size 10: expected an odd number"), net.truncated(10):
        pass
    with pytest.raises(ValueError, match="truncation 'sinc': expected one of bilinear"), net.truncated(9, "sinc"):
        pass
    with pytest.raises(ValueError, match="lrg_size 399: expected an odd number"), net.truncated(399):
        net.decode(features)


@pytest.mark.parametrize("name", ONE_EACH)
def test_every_parameter_has_a_gradient(name):
    torch.manual_seed(0)
    net = third_party.build(name)
    net(torch.rand(1, 3, 65, 65)).square().mean().backward()
    used = {n: p for n, p in net.named_parameters() if ".eesp.module_act." not in n and p.numel()}
    assert not [n for n, p in used.items() if p.grad is None]


def test_pixel_centres_are_read_at_the_places_of_training():
    """A frame that is filled up and cut again is the corner of the larger frame."""
    net = third_party.build("cgnet-camvid")
    grid = torch.arange(9.0).expand(1, 1, 9, 9)
    assert torch.equal(net.read(grid, (65, 65)), net.read(grid, (72, 72))[..., :65, :65])
    assert torch.allclose(net.read(grid, (65, 65))[0, 0, 0, 3:60:8], (torch.arange(8.0) - 0.0625).clamp(0))


def test_bad_input_is_named():
    net = third_party.build("espnetv2-s0.5-voc")
    with pytest.raises(ValueError, match=r"images \(3, 65, 65\): expected \(batch, 3, H, W\) of at least 32"):
        net(torch.rand(3, 65, 65))
    with pytest.raises(ValueError, match=r"images of \(70, 65\) pixels: expected multiples of 16, or one more"):
        net(torch.rand(1, 3, 70, 65))
    with pytest.raises(ValueError, match=r"images of \(64, 64\) pixels: expected sides of 8k \+ 1"):
        third_party.build("deeplabv3-mnv2-voc")(torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match="outputs 1: expected an integer of at least 2"):
        deeplab.DeepLabV3(1)
    with pytest.raises(ValueError, match="s 3: expected one of 0.5, 1.0, 1.5, 2.0"):
        third_party.espnetv2.ESPNetv2(21, 3)
    with pytest.raises(ValueError, match="features of 13 x 9 points: truncation is for square frames"):
        net = third_party.build("cgnet-camvid")
        net.lrg_size = 5
        net(torch.rand(1, 3, 97, 65))


def test_a_missing_network_names_the_command_and_the_origin(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSEG_NETS", str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        load("espnetv2-s1.0-voc")
    said = str(caught.value)
    assert f"{tmp_path}/espnetv2-s1.0-voc.safetensors: no such weights" in said
    assert "specseg nets fetch espnetv2-s1.0-voc" in said and "https://github.com/sacmehta/EdgeNets" in said


def test_a_wrong_hash_is_refused_with_both(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSEG_NETS", str(tmp_path))
    file = tmp_path / "cgnet-camvid.safetensors"
    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(manifests.WrongHash) as caught:
        load("cgnet-camvid")
    assert config.sha256(file) in str(caught.value) and manifests.load("cgnet-camvid").sha256 in str(caught.value)


def test_a_file_of_a_manifest_that_does_not_fit_names_the_tensor(tmp_path, monkeypatch):
    file = tmp_path / "cgnet-camvid.safetensors"
    save_file({"b1.bn.weight": torch.zeros(2)}, file)
    monkeypatch.setattr(manifests, "check", lambda manifest, path: path)
    with pytest.raises(ValueError, match=r"camvid.safetensors: .*(?s:.*)b1.act.weight"):
        third_party.load(file)


def test_a_manifest_says_file_and_field_when_it_is_wrong(tmp_path, monkeypatch):
    text = (manifests.folder() / "cgnet-camvid.toml").read_text()
    monkeypatch.setattr(manifests, "folder", lambda: tmp_path)
    for old, new, words in (
        ("classes = 11", "classes = 12", "field 'classes': expected at most its 11 outputs; found 12"),
        ('sha256 = "0d', 'sha256 = "0D', "field 'sha256': expected 64 hex digits"),
        ("licence =", "license =", "field 'license': unknown field"),
        ('name = "cgnet-camvid"', 'name = "cgnet"', "field 'name': expected 'cgnet-camvid'; found 'cgnet'"),
    ):
        (tmp_path / "cgnet-camvid.toml").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=f"cgnet-camvid.toml: {words}"):
            manifests.load("cgnet-camvid")
    with pytest.raises(ValueError, match="no manifest for network 'fcn': expected one of cgnet-camvid"):
        manifests.load("fcn")


def test_the_last_class_is_left_out_where_it_is_none(weights):
    net = load("espnetv2-s0.5-cityscapes")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        some = net(images)
        net.num_classes = net.outputs
        assert some.shape[1] == 19 and torch.equal(some, net(images)[:, :19])


def test_what_the_library_keeps_of_a_file_is_all_of_it(weights):
    for name in ONE_EACH:
        published = load_file(weights / f"{name}.safetensors")
        running = ("running_mean", "running_var")
        own = sum(p.numel() for p in load(name).parameters())
        assert own == sum(v.numel() for k, v in published.items() if not k.endswith(running))


def test_two_files_hold_one_deeplab(weights):
    """Why the protocol counts thirteen networks: all weights agree to the rounding of half precision."""
    one, two = (load(name).state_dict() for name in ("deeplabv3-mnv2-voc", "deeplabv3-mnv2-513-voc"))
    assert all((one[k] - two[k]).norm() <= 5e-4 * one[k].norm() for k in one)


def test_images_for_deep_layers_are_averages():
    x = torch.ones(1, 3, 16, 16)
    assert base.halved(x, 2).shape[-1] == 4 and float(base.halved(x)[0, 0, 4, 4]) == 1.0
