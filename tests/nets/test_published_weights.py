"""The weights that travel with the project give again what their records' machine computed."""

import numpy as np
import pytest
import torch

from specseg.evidence import config, records
from specseg.nets import networks, weights
from specseg.nets.networks import Network


@pytest.mark.parametrize("name", weights.published())
def test_published_weights_give_their_records_probe_again(name):
    """The committed half-precision weights, on this machine's CPU, against what the recording machine computed."""
    found = records.find("networks", name=name)
    assert found, f"{name}: weights without a record"
    meta, probe = found[-1].meta["settings"], found[-1].probe()
    network = networks.of_settings(meta)
    net = weights.load(network, sources=("published",))
    scale = np.abs(probe["probe_scene"]).max()
    assert np.abs(weights.probe_logits(net).numpy() - probe["probe_scene"]).max() < 1e-3 * scale
    if "probe_image" in probe:  # pictures that may travel do
        image = torch.from_numpy(probe["probe_image"]).float() / 255
    elif config.data_root().is_dir():
        image = next(iter(networks.test_batches(network, batch=1)))[0][0]
    else:
        pytest.skip(f"NOT RECOMPUTED on a real picture: no folder of data (SPECSEG_DATA) with {network.domain}")
    again = weights.probe_logits(net, image).numpy()
    assert np.abs(again - probe["probe_picture"]).max() < 1e-3 * np.abs(probe["probe_picture"]).max()


def test_a_name_that_is_not_published_is_said_with_those_that_are():
    with pytest.raises(FileNotFoundError, match="published are camvid-dan-f0-s0, camvid-deeplabv3plus-f0-s0, "):
        weights.load(Network("voc", seed=9), sources=("published",))


def test_a_published_baseline_stands_for_a_network_whose_weights_are_not_here():
    found = records.find("networks", name="voc-deeplabv3plus-f0-s0")[-1]
    lost = {
        "voc-deeplabv3plus-f0-s0": Network("voc", seed=9, annotation="block", nu_max=8),
        "camvid-dan-f0-s0": Network("camvid", model="dan", fold=2),
        "dubai-deeplabv3plus-f0-s0": Network("dubai_native", fold=3, start="frozen", lrg_size=9, steps=200),
    }
    for name, network in lost.items():
        assert weights.at_hand(network)[1].name == name
    net, own = weights.at_hand(Network("voc"))
    assert own == Network("voc") and np.allclose(
        weights.probe_logits(net).numpy(),
        found.probe()["probe_scene"],
        atol=1e-3 * np.abs(found.probe()["probe_scene"]).max(),
    )
    with pytest.raises(FileNotFoundError, match="no such weights"):
        weights.at_hand(Network("pascal", backbone="resnet101"))
