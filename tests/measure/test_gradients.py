"""Spectral gradients of whole networks: against finite differences, dense Jacobians, slow sums and hand-made rows."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT, loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from specseg.data import loading
from specseg.evidence import config, records, statistics
from specseg.figures import network_gradients as draw
from specseg.measure import features as network_features
from specseg.measure import gradients as ng
from specseg.nets import networks, protocol, train
from specseg.nets.models import build
from specseg.nets.models.truncation import resize
from specseg.nets.networks import of_settings
from specseg.spectral import gradient as sg
from specseg.spectral import spectrum as sp
from specseg.spectral.cross_entropy import cross_entropy, frequency_components
from specseg.study import gradients as nt

pytestmark = pytest.mark.usefixtures("scenes_once")
TINY = protocol.networks("smoke", group="objects")[0]
TINY_DAN = protocol.networks("smoke", group="dan")[0]


def settled(network):
    """An untrained network whose normalisations have seen pictures: as good as a trained one for these tests."""
    net = network.build().train()
    images = torch.cat([case.image for case in ng.cases(network, 4)])
    for _ in range(8):
        net(images)
    for p in net.parameters():
        p.requires_grad_(False)
    return net.eval()


@pytest.fixture(scope="module")
def nets():
    return {n.model: settled(n) for n in (TINY, TINY_DAN)}


@pytest.fixture(scope="module")
def pictures():
    return ng.cases(TINY, 3)


@pytest.fixture(scope="module")
def measured(nets, pictures):
    parts = []
    for model, net in nets.items():
        parts.append(ng.measure(net, pictures).assign(model=model, domain="objects", fold=0, seed=0))
    return nt.together(parts)


# --- pictures and frequencies --------------------------------------------------------------------------------------


def test_pictures_are_the_first_of_one_drawn_order_for_every_model():
    names = [case.name for case in ng.cases(TINY, 5)]
    data = TINY.data("test")
    assert names == [data.ids[int(i)] for i in loading.order(len(data), 0, 0)[:5]]
    assert names == [case.name for case in ng.cases(TINY_DAN, 5)]
    every = ng.cases(TINY, 10_000)
    assert sorted(case.name for case in every) == sorted(data.ids)
    case = every[0]
    assert case.image.shape == (1, 3, 129, 129) and 0 <= float(case.image.min()) and float(case.image.max()) <= 1
    assert case.label.shape == (129, 129) and case.label.dtype == torch.int64


def test_wanted_are_the_protocols_baselines():
    assert [n.name for n in ng.wanted("smoke")][0] == TINY.name and TINY_DAN in ng.wanted("smoke")
    standard = ng.wanted("standard")
    assert standard[0].name == "voc-deeplabv3plus-f0-s0" and len(standard) == 28
    assert all(n.is_baseline and n.backbone != "tiny" for n in standard)
    assert {n.model for n in standard} == {"deeplabv3plus", "dan"}
    assert {n.domain for n in standard} == {"voc", "dubai", "camvid", "dubai_native"}


@settings(max_examples=30)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 3))
def test_shares_are_row_energies(h, w, u, v, within):
    row = torch.randn(2, h, w, dtype=torch.complex128, generator=torch.Generator().manual_seed(h * 10 + w))
    nu = (max(-(h // 2), min(u, h // 2)), max(-(w // 2), min(v, w // 2)))
    assert ng.shares(row.abs().pow(2), nu, (within,))[0] == pytest.approx(sg.row_energy(row, nu, within))
    away = sg.distance((h, w), nu)
    for i in range(h):
        for j in range(w):
            du, dv = ((a - b) % n for a, b, n in ((i, nu[0], h), (j, nu[1], w)))
            assert int(away[i, j]) == max(min(du, h - du), min(dv, w - dv))


# --- Fig. 2 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [TINY, TINY_DAN], ids=lambda n: n.model)
def test_rows_of_the_loss_against_finite_differences(nets, pictures, network):
    """Each entry is the derivative of L_ce(nu_i) along cos and sin waves of the ASPP features."""
    net = nets[network.model].double()
    try:
        case, nu_i, step = pictures[0], (2, 2), 1e-5
        features = net.encode(case.image.double())
        fn, x = ng.tail(net, features), features["aspp"]
        row = sg.loss_row(fn, x, case.label, nu_i)
        t = torch.arange(9, dtype=torch.float64) / 9

        def loss(v):
            return frequency_components(fn(v), case.label[None])[0][nu_i]

        for channel, (u, v) in ((0, (0, 0)), (5, (2, 2)), (11, (-1, 3))):
            phase = 2 * torch.pi * (u * t[:, None] + v * t[None, :])
            parts = []
            for wave in (phase.cos(), phase.sin()):
                bump = torch.zeros_like(x)
                bump[0, channel] = step * wave
                parts.append((loss(x + bump) - loss(x - bump)) / (2 * step))
            expected = parts[0] + 1j * parts[1]
            assert abs(complex(row[channel, u, v]) - complex(expected)) < 1e-6 * float(row.abs().max())
    finally:
        net.float()


def test_rows_of_the_loss_as_a_table(nets, pictures):
    net, case = nets["deeplabv3plus"], pictures[1]
    table = ng.loss_rows(net, pictures)
    own = table[(table["image"] == case.name) & (table["nu_i_u"] == 2) & (table["nu_i_v"] == 2)]
    features = net.encode(case.image)
    row = sg.loss_row(ng.tail(net, features), features["aspp"], case.label, (2, 2))
    for within in ng.WITHIN:
        value = own.loc[(own["metric"] == "row_energy") & (own["within"] == within), "value"].item()
        assert value == pytest.approx(sg.row_energy(row, (2, 2), within), rel=1e-4)
    place = divmod(int(row.abs().pow(2).sum(0).argmax()), 9)
    away = max(min(abs(p - 2), 9 - abs(p - 2)) for p in place)
    assert own.loc[own["metric"] == "largest_distance", "value"].item() == away
    power = table[table["metric"] == "row_power"]
    assert power.groupby("nu_i_u")["value"].sum().tolist() == pytest.approx([1, 1, 1], abs=1e-3)
    at = power[(power["nu_i_u"] == 2) & (power["nu_j_u"] == 2) & (power["nu_j_v"] == 2)]["value"].item()
    energies = table[(table["metric"] == "row_energy") & (table["nu_i_u"] == 2) & (table["nu_i_v"] == 2)]
    assert at == pytest.approx(energies.loc[energies["within"] == 0, "value"].mean(), rel=1e-3)


def test_tail_gives_the_networks_own_logits(nets, pictures):
    for net in nets.values():
        features = net.encode(pictures[0].image)
        assert torch.allclose(ng.tail(net, features)(features["aspp"]), net(pictures[0].image), atol=1e-5)
        low = ng.tail(net, features, "low")(torch.zeros_like(features["low"]))
        assert not torch.allclose(low, net(pictures[0].image), atol=1e-3)


# --- Fig. 3 --------------------------------------------------------------------------------------------------------


@settings(max_examples=10)
@given(st.integers(3, 8), st.integers(0, 99))
def test_a_relus_rows_come_from_one_transform(size, seed):
    z = torch.randn(3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    nu = (1, size // 2)
    rows = sum(sg.layer_row(torch.relu, one[None, None], nu)[0].abs().pow(2) for one in z)
    assert torch.allclose(torch.roll(ng.relu_power(z), nu, dims=(0, 1)), rows)


def dense_row(matrix, nu, small, large):
    """|dy(nu_i)/dx(nu_j)|^2 from an operation's matrix, by explicit Fourier matrices."""
    t = np.arange(large)
    wave = np.exp(-2j * np.pi * (nu[0] * t[:, None] + nu[1] * t[None, :]) / large).ravel() / large**2
    row = (wave @ matrix).reshape(small, small)
    s = np.exp(2j * np.pi * np.outer(np.arange(small), np.arange(small)) / small)
    return np.abs(s @ row @ s.T) ** 2


def test_up_sampling_and_zero_padding_against_their_matrices():
    eye = torch.eye(25).reshape(25, 1, 5, 5)
    up = resize(eye, 17).reshape(25, -1).T.numpy()
    assert np.allclose(ng.upsampling_power(5, 17, (2, 2))[0].numpy(), dense_row(up, (2, 2), 5, 17), atol=1e-7)
    conv = nn.Conv2d(1, 2, 3, padding=1, bias=False).requires_grad_(False)
    found = ng.convolution_power(conv, 5, (1, 1), channels=2)
    for d in range(2):
        matrix = F.conv2d(eye, conv.weight[d : d + 1], padding=1).reshape(25, -1).T.numpy()
        assert np.allclose(found[d].numpy(), dense_row(matrix, (1, 1), 5, 5), atol=1e-7)


def test_a_pointwise_convolution_is_a_delta_and_sampled_channels_are_spread():
    conv = nn.Conv2d(4, 10, 1).requires_grad_(False)
    powers = ng.convolution_power(conv, 7, (1, 2), channels=3)
    assert powers.shape == (3, 7, 7)
    for power, d in zip(powers, (0, 4, 9), strict=True):
        assert ng.shares(power, (1, 2), (0,))[0] == pytest.approx(1)
        assert float(power.sum()) == pytest.approx(float(conv.weight[d].pow(2).sum()), rel=1e-5)


def test_decoder_layers_are_those_of_the_models(nets, pictures):
    found = network_features.decoder_layers(nets["deeplabv3plus"], pictures[0].image)
    assert [(x.name, x.kind, x.grid, x.output_grid) for x in found] == [
        ("reduce.0", "convolution", 33, 33), ("reduce.2", "ReLU", 33, 33), ("fuse1.0", "convolution", 33, 33),
        ("fuse1.2", "ReLU", 33, 33), ("fuse2.0", "convolution", 33, 33), ("fuse2.2", "ReLU", 33, 33),
        ("classifier", "convolution", 33, 33), ("features up", "up-sampling", 9, 33),
        ("logits up", "up-sampling", 33, 129),
    ]  # fmt: skip
    dan = network_features.decoder_layers(nets["dan"], pictures[0].image)
    assert next(x.grid for x in dan if x.name == "from_aspp.0") == 9
    z = next(x.features for x in found if x.name == "fuse1.2")
    assert float(z.min()) < 0, "a pre-activation, not what the ReLU made of it in place"


def test_layer_rows(measured):
    table = measured[(measured["model"] == "deeplabv3plus") & (measured["metric"] == "row_energy")]
    relu = table[(table["part"] == "ReLU") & (table["layer"] == "fuse1.2")].set_index("within")["value"]
    active = measured[(measured["metric"] == "active") & (measured["model"] == "deeplabv3plus")]
    active = active.set_index("layer")["value"]["fuse1.2"]
    # Pooled over channels the diagonal holds <a^2>/<a> of the energy, a the channels' active fractions: at least <a>.
    assert active <= relu[0] <= 1 and relu.is_monotonic_increasing and relu[16] == pytest.approx(1)
    assert {"convolution", "ReLU", "up-sampling"} <= set(table["part"])
    drawn = measured[(measured["metric"] == "row_power") & (measured["part"] != "loss")]
    assert set(zip(drawn["model"], drawn["layer"], strict=True)) == {
        (m, layer) for m in ("deeplabv3plus", "dan") for layer in ("fuse1.0", "fuse1.2", "features up")
    }


# --- footnote 2, section 1 -----------------------------------------------------------------------------------------


def test_magnitudes_against_a_decoder_run_by_hand(nets, pictures):
    net, image = nets["deeplabv3plus"], pictures[0].image
    table = network_features.magnitude_rows(net, [("a", image)]).set_index(["layer", "metric"])
    features = net.truncated_features(net.encode(image))
    decoder = net.decoder
    x = torch.cat([decoder.reduce(features["low"]), features["aspp"]], dim=1)
    z = decoder.fuse1[1](decoder.fuse1[0](x))
    assert table.loc[("fuse1", "X_below_1"), "value"].item() == pytest.approx(float((x.abs() < 1).float().mean()), 1e-4)
    assert table.loc[("fuse1", "rms_Z"), "value"].item() == pytest.approx(float(z.pow(2).mean().sqrt()), 1e-4)
    found = table.loc[("fuse1", "Z")].set_index("quantile")["value"]
    assert found[1.0] == pytest.approx(float(z.abs().max()), 1e-4)
    assert found[0.5] == pytest.approx(float(z.abs().median()), 1e-3)
    kernel = table.loc[("fuse1", "K")].set_index("quantile")["value"]
    assert kernel[1.0] == pytest.approx(float(decoder.fuse1[0].weight.abs().max()), 1e-4)
    logits = table.loc[("classifier", "rms_Z"), "value"].item()
    assert logits == pytest.approx(float(net.grid_logits(image).pow(2).mean().sqrt()), 1e-4)


@settings(max_examples=20)
@given(st.sampled_from([5, 9, 12]), st.integers(0, 4), st.integers(0, 50))
def test_high_share_against_the_whole_spectrum(size, nu_max, seed):
    x = torch.randn(1, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    power = sp.spectrum(x)[0].abs().pow(2).sum(0)
    power[0, 0] = 0
    expected = float(power[sp.box_index((size, size)) > nu_max].sum() / power.sum())
    assert network_features.high_share(x, nu_max) == pytest.approx(expected, abs=1e-12)


def test_high_share_refuses_a_constant():
    with pytest.raises(ValueError, match="constant"):
        network_features.high_share(torch.ones(1, 2, 5, 5), 1)


@pytest.mark.parametrize(
    ("backbone", "first", "count"),
    [("efficientnet_lite0", "block 0", 7), ("resnet101", "layer1", 4), ("tiny", "stage1", 3)],
)
def test_encoder_stages(backbone, first, count):
    with torch.device("meta"):
        net = build("deeplabv3plus", backbone=backbone, num_classes=3, input_size=65, width=8)
    names = list(net.backbone.stages())
    assert names[0] == first and len(names) == count


def test_smoothness_of_a_layer_by_hand(nets, pictures):
    net = nets["dan"]
    images = [(case.name, case.image) for case in pictures[:2]]
    table = network_features.smoothness_rows(net, images)
    own = table[(table["metric"] == "high_share") & (table["image"] == pictures[1].name)].set_index("layer")
    aspp = net.encode(pictures[1].image)["aspp"]
    assert own.loc["aspp", "value"] == pytest.approx(network_features.high_share(aspp, 2), 1e-4)
    assert own.loc["aspp", "nu_max"] == 2 and own.loc["fuse1", "nu_max"] == 8 and own.loc["from_aspp", "nu_max"] == 2
    assert list(own[own["part"] == "encoder"].index) == ["stage1", "stage2", "stage3", "aspp"]
    logits = net.grid_logits(pictures[1].image)
    assert own.loc["classifier", "value"] == pytest.approx(network_features.high_share(logits, 8), 1e-4)


# --- removal -------------------------------------------------------------------------------------------------------


def test_low_passed_removes_what_it_says(nets, pictures):
    features = nets["dan"].encode(pictures[0].image)
    out = ng.low_passed(features, "all", 4)
    assert set(out) == {"low", "mid", "aspp"} and out["aspp"] is features["aspp"], "its limit is 4 already"
    for name in ("low", "mid"):
        before, after = sp.spectrum(features[name]), sp.spectrum(out[name])
        box = sp.box_mask(tuple(features[name].shape[-2:]), 4)
        assert (
            torch.allclose(after[..., box], before[..., box], atol=1e-6) and float(after[..., ~box].abs().max()) < 1e-6
        )
    alone = ng.low_passed(features, "aspp", 1)
    assert alone["low"] is features["low"] and not torch.allclose(alone["aspp"], features["aspp"])


def test_measure_refuses_what_it_cannot_measure(nets, pictures):
    with pytest.raises(ValueError, match="at least one test picture"):
        ng.measure(nets["dan"], [])
    try:
        with pytest.raises(ValueError, match="evaluation mode"):
            ng.measure(nets["dan"].train(), pictures)
    finally:
        nets["dan"].eval()


def test_removals_add_up(nets, pictures):
    net = nets["deeplabv3plus"]
    table = ng.removal_rows(net, pictures)
    loss = table[table["metric"] == "loss"].set_index("image")["value"]
    for case in pictures:
        assert loss[case.name] == pytest.approx(float(cross_entropy(net(case.image), case.label[None])), rel=1e-4)
    assert list(dict.fromkeys(zip(table["layer"].dropna(), table["nu_max"].dropna(), strict=True))) == list(
        ng.removals(net)
    )
    by = table.groupby(["layer", "nu_max", "metric"], sort=False)["value"]
    for which, nu_max in ng.removals(net):
        whole = by.mean()[which, nu_max, "loss_change"]
        assert by.sum()[which, nu_max, "band_change"] == pytest.approx(whole, abs=1e-5)
        own = table[(table["layer"] == which) & (table["nu_max"] == nu_max) & (table["metric"] == "band_change")]
        low = own.loc[own["within"] <= nu_max // 2, "value"].sum()
        assert low == pytest.approx(by.mean()[which, nu_max, "low_change"], abs=1e-5)
    case, (which, nu_max) = pictures[0], ng.removals(net)[1]
    features = net.encode(case.image)
    logits = [ng.tail(net, f)(f["aspp"]) for f in (features, ng.low_passed(features, which, nu_max))]
    before, after = (frequency_components(y, case.label[None])[0].real for y in logits)
    box = sp.box_mask((129, 129), nu_max // 2)
    one = table[(table["image"] == case.name) & (table["layer"] == which) & (table["nu_max"] == nu_max)]
    found = one.loc[one["metric"] == "low_change", "value"].item()
    assert found == pytest.approx(float((after - before)[box].sum()), abs=1e-6)


def test_a_study_reads_the_weights_that_were_kept(nets, pictures, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such weights"):
        ng.study(TINY, 1, tmp_path)
    file = networks.folder(TINY, tmp_path) / "weights.safetensors"
    kept = train.load_weights(TINY.build(), train.save_weights(nets["deeplabv3plus"].state_dict(), file)).eval()
    rows = ng.study(TINY, 1, tmp_path)
    assert tuple(rows.columns) == (*ng.IDENTITY, *network_features.COLUMNS)
    expected = ng.measure(kept, ng.cases(TINY, 1))
    assert rows["value"].tolist() == pytest.approx(expected["value"].tolist(), abs=1e-4)
    assert set(rows["domain"]) == {"objects"}


# --- tables --------------------------------------------------------------------------------------------------------


def test_intervals_by_clusters():
    values, clusters = [0.0, 0.2, 1.0, 1.2], ["a", "a", "b", "b"]
    found = statistics.mean_of_clusters(values, clusters)
    assert found["value"] == pytest.approx(0.6) and found["clusters"] == 2 and found["n"] == 4
    assert found["low"] == pytest.approx(0.1) and found["high"] == pytest.approx(1.1)
    ratio = statistics.mean_of_clusters([1.0, 3.0], ["a", "b"], [2.0, 2.0])
    assert (ratio["value"], ratio["low"], ratio["high"]) == (1.0, 0.5, 1.5)
    assert math.isnan(statistics.mean_of_clusters([1.0, 2.0], ["a", "a"])["low"])
    rng = np.random.default_rng(0)
    many = rng.normal(size=400)
    wide = statistics.mean_of_clusters(many, [str(i) for i in range(400)])
    assert wide["high"] - wide["low"] == pytest.approx(2 * 1.96 * many.std() / 20, rel=0.1)


def line(**values):
    return {"model": "dan", "domain": "voc", "fold": 0, "seed": 0, **values}


def test_tables_of_hand_made_rows():
    rows = [line(part="loss", metric="row_energy", image=i, nu_i_u=8, nu_i_v=8, within=1, value=v, seed=s)
            for s in (0, 1) for i, v in (("a", 0.5), ("b", 0.7))]  # fmt: skip
    rows += [line(part="loss", metric="largest_distance", image=i, nu_i_u=8, nu_i_v=8, value=v)
             for i, v in (("a", 0), ("b", 1))]  # fmt: skip
    rows += [line(part="removal", metric="loss", image=i, value=v) for i, v in (("a", 1.0), ("b", 3.0))]
    rows += [line(part="removal", layer="all", nu_max=16, metric="low_change", image=i, value=v)
             for i, v in (("a", 0.2), ("b", -0.6))]  # fmt: skip
    rows += [line(part="removal", layer="all", nu_max=16, metric="low_moved", seed=s, value=v)
             for s, v in ((0, 0.1), (1, 0.3))]  # fmt: skip
    rows += [line(part=p, layer=x, nu_max=n, metric="high_share", image="a", value=v) for p, x, n, v in
             (("encoder", "block 0", 16, 0.2), ("encoder", "aspp", 4, 0.4), ("decoder", "fuse1", 16, 0.1),
              ("decoder", "classifier", 16, 0.05))]  # fmt: skip
    table = nt.together([pd.DataFrame(rows)])
    energy = nt.row_energies(table).iloc[0]
    assert str(energy["nu_i_u"]) == "8", "not 8.0"
    assert (energy["value"], energy["clusters"], energy["n"]) == (pytest.approx(0.6), 2, 4), "one picture, one cluster"
    assert (nt.largest(table)["value"].item(), nt.largest(table)["n"].item()) == (1, 2)
    assert nt.removals(table)["value"].item() == pytest.approx(0.2)
    assert nt.removals(table, signed=True)["value"].item() == pytest.approx(-0.1)
    assert nt.moved(table)["value"].item() == pytest.approx(0.2)
    assert nt.smoother(table)["value"].item() == pytest.approx(0.3 - 0.075)
    assert nt.smoother(table, without=["classifier"])["value"].item() == pytest.approx(0.2)
    assert nt.smoother(table, same_grid=True)["value"].item() == pytest.approx(0.2 - 0.075)


def test_the_newest_record_of_each_network(tmp_path):
    script = ROOT / "experiments" / "network_gradients.py"
    (tmp_path / "profiles.toml").write_text((ROOT / "profiles.toml").read_text())
    written = []
    for network, profile, value in ((TINY, "standard", 1.0), (TINY_DAN, "standard", 2.0), (TINY, "standard", 3.0),
                                    (TINY, "smoke", 4.0)):  # fmt: skip
        rows = pd.DataFrame({"metric": ["x"], "value": [value]})
        told = {**network.describe(), "name": network.name, "test_images": 4}
        written.append(records.write("network_gradients", rows, command="x", profile=profile, settings=told,
                                     script=script, root=tmp_path))  # fmt: skip
    found = [records.read(path) for path in written]
    newest = nt.newest([r for r in found if r.profile == "standard"])
    assert [n.name for n in newest] == [TINY.name, TINY_DAN.name]
    assert [r.rows["value"].item() for r in newest.values()] == [3.0, 2.0]


def test_row_images_are_centred(measured):
    images = nt.row_images(measured)
    assert {k[3] for k in images} == {0, 2, 4} and all(v.shape == (9, 9) for v in images.values())
    power = measured[(measured["metric"] == "row_power") & (measured["part"] == "loss") & (measured["model"] == "dan")]
    at = power[(power["nu_i_u"] == 2) & (power["nu_j_u"] == -4) & (power["nu_j_v"] == 3)]["value"].item()
    assert images["dan", "objects", "aspp", 2][0, 7] == at


def test_figures_hold_what_the_tables_say(measured):
    images = nt.row_images(measured)
    fig = draw.fig2(images)
    pictures = [ax for ax in fig.axes if ax.get_images()]
    claim = pictures[2 * (1 + len({domain for _, domain, *_ in images}))].get_images()[0].get_array()  # the third row's
    assert np.unravel_index(claim.argmax(), claim.shape) == (8, 8), "the claimed delta stands at M/2"
    assert len(pictures) == 12
    energies = nt.both_axes(nt.row_energies(measured))
    marks = [x for line in draw.row_energies(energies).axes[1].lines for x in line.get_xdata()]
    value = energies[(energies["model"] == "dan") & (energies["nu_i_u"] == 2)].set_index("within")["value"]
    assert value[2] in marks and value[0] in marks
    assert len(draw.layer_energies(nt.layer_energies(measured)).axes[0].get_yticklabels()) == 9
    assert sum(len(ax.get_yticklabels()) for ax in draw.magnitudes(nt.magnitudes(measured)).axes[:2]) == 10
    layers = [t.get_text() for t in draw.smoothness(nt.smoothness(measured)).axes[0].get_yticklabels()]
    assert layers[3] == "encoder: ASPP (9)"
    whole = nt.removals(measured, "loss_change", signed=True)
    assert len(draw.removal(nt.removals(measured), whole).axes[0].get_yticklabels()) == 6
    assert len(draw.fig3({k: nt.row_images(measured, k) for k in draw.KINDS}).axes) == 7


# --- the experiment and its records --------------------------------------------------------------------------------


def test_the_experiments_cells():
    module = loaded(ROOT / "experiments" / "network_gradients.py")
    for profile in config.profiles():
        cells = module.EXPERIMENT.by_id(profile)
        assert [c.network for c in cells.values()] == ng.wanted(profile)
        assert all(module.minutes(c, profile) > 0 and c.images >= 4 for c in cells.values())


def test_records_hold_together():
    for record in records.find("network_gradients"):
        check(record)


def check(record):
    rows, network = record.rows, of_settings(record.meta["settings"])
    assert network.name == record.meta["settings"]["name"]
    assert (rows["model"] == network.model).all() and (rows["domain"] == network.domain).all()
    seen = rows.loc[rows["metric"] == "loss", "image"]
    assert seen.is_unique and len(seen) <= record.meta["settings"]["test_images"]
    shares = rows[rows["metric"].isin(["row_energy", "high_share", "active", "X_below_1", "largest_at_nu_i"])]["value"]
    assert shares.between(0, 1 + 1e-4).all()
    power = rows[(rows["metric"] == "row_power") & (rows["part"] == "loss")]
    assert power.groupby("nu_i_u")["value"].sum().tolist() == pytest.approx([1, 1, 1], abs=2e-3)
    assert (record.path / "rows.csv").stat().st_size < 200_000
