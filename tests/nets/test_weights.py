"""One way to a trained network by its name: each source, the order among them, and an error that lists all places."""

import pytest
import torch
from safetensors.torch import save_file

from specseg import nets
from specseg.evidence import config
from specseg.nets import networks, protocol, tiny, train
from specseg.nets.networks import Network

OBJECTS = protocol.networks("smoke", group="objects")[0]


def test_every_name_of_the_protocol_is_read_back():
    for profile in ("smoke", "standard", "paper"):
        for network in protocol.networks(profile):
            assert protocol.named(network.name) == network


def test_a_name_that_no_network_has_is_refused(tmp_path):
    train.save_weights(torch.nn.Linear(1, 1).state_dict(), networks.folder("cats", tmp_path) / "weights.safetensors")
    with pytest.raises(ValueError, match="'cats': no network of the protocol has this name; give a Network"):
        nets.load("cats", runs=tmp_path)


def test_a_committed_name_gives_the_network_in_float64_and_moves_no_random_numbers():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    net, toy = nets.load(OBJECTS.name, sources=("committed",)), nets.load("toy-streets-300-s0")
    assert torch.equal(torch.rand(3), expected)
    assert isinstance(toy, tiny.TinyNet) and not net.training and not toy.training
    assert {p.dtype for n in (net, toy) for p in n.parameters()} == {torch.float64}
    found = tiny.probed("streets", steps=300)
    with torch.no_grad():
        assert torch.equal(toy(found.images), found.logits[-1])


def test_a_published_network_needs_no_data(monkeypatch, tmp_path):
    monkeypatch.setenv("SPECSEG_DATA", str(tmp_path / "none"))
    net = nets.load("dubai-dan-f0-s0", runs=tmp_path)
    assert net.num_classes == 5 and net.input_size == 257 and not net.training


def test_a_run_of_this_machine_comes_first(tmp_path):
    own = Network("dubai", model="dan").build(num_classes=5).half().float()
    train.save_weights(own.state_dict(), networks.folder("dubai-dan-f0-s0", tmp_path) / "weights.safetensors")
    found = nets.load("dubai-dan-f0-s0", runs=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), own.parameters(), strict=True))


def test_a_file_of_another_network_is_named_with_its_first_tensor(tmp_path):
    file = networks.folder("voc-dan-f0-s0", tmp_path) / "weights.safetensors"
    train.save_weights({"other": torch.ones(2)}, file)
    with pytest.raises(ValueError, match=r"weights.safetensors: .*Missing key.*backbone"):
        nets.load("voc-dan-f0-s0", runs=tmp_path)


def test_a_file_that_no_manifest_tells_of_is_refused(tmp_path):
    (tmp_path / "third_party").mkdir()
    save_file({"weight": torch.ones(2, 3, 1, 1)}, tmp_path / "third_party" / "dots-one.safetensors")
    with pytest.raises(ValueError, match="no manifest for network 'dots-one': expected one of cgnet-camvid"):
        nets.load("dots-one", runs=tmp_path)


def test_one_error_lists_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        nets.load("voc-dan-f0-s7", runs=tmp_path)
    said, home = str(caught.value), config.root() / "results"
    for place in (tmp_path / "networks" / "voc-dan-f0-s7" / "weights", home / "weights" / "voc-dan-f0-s7",
                  home / "tiny" / "voc-dan-f0-s7", tmp_path / "third_party" / "voc-dan-f0-s7"):  # fmt: skip
        assert f"{place}.safetensors" in said
    with pytest.raises(FileNotFoundError, match="after step 9: no such weights: not in .*step000009.safetensors"):
        nets.load("voc-dan-f0-s7", step=9)
    with pytest.raises(ValueError, match=r"sources \['web'\]: expected some of run, published, committed, third party"):
        nets.load("voc-dan-f0-s7", sources=("run", "web"))
    with pytest.raises(AttributeError, match="save"):
        nets.save  # noqa: B018
