"""Counts: single layers by hand, public counters, all of Table 2, and what the fitted rule hangs on."""

from dataclasses import replace
from itertools import product

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from specseg.evidence import paper
from specseg.nets import flops
from specseg.nets.flops import table2, views
from specseg.nets.models import build

PRINTED = paper.table("2")


@pytest.mark.parametrize(
    ("layer", "size", "macs"),
    [
        (nn.Conv2d(3, 64, 7, 2, 3), 513, 257 * 257 * 49 * 3 * 64),
        (nn.Conv2d(304, 256, 3, padding=1), 129, 129 * 129 * 9 * 304 * 256),
        (nn.Conv2d(2048, 256, 3, padding=12, dilation=12), 33, 33 * 33 * 9 * 2048 * 256),
        (nn.Conv2d(32, 32, 3, padding=1, groups=32), 65, 65 * 65 * 9 * 32),
        (nn.Conv2d(256, 48, 1), 17, 17 * 17 * 256 * 48),
    ],
)
def test_single_layers_by_hand(layer, size, macs):
    layer, images = layer.to("meta"), torch.empty(1, layer.in_channels, size, size, device="meta")
    _, layers = flops.trace(layer, lambda: layer(images), part_of=lambda _: "encoder")
    assert flops.conv_flops(layers) == 2 * macs


def test_a_network_is_traced_however_it_resizes():
    """Interpolation is not computed on the meta device, where it costs more than the rest; its shape must be right."""

    class Resizing(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(2), nn.Conv2d(2, 3, 1)

        def forward(self, x):
            x = F.interpolate(self.norm(x), scale_factor=2, mode="bilinear", align_corners=True)
            x = F.interpolate(F.interpolate(x, 7), size=(9, 5), mode="bilinear", align_corners=True)
            return self.conv(x)

    images = torch.empty(1, 2, 4, 4)
    made = [flops.trace(net, lambda n=net, x=x: n(x), part_of=lambda _: "encoder")
            for net, x in ((Resizing().eval(), images), (Resizing().eval().to("meta"), images.to("meta")))]  # fmt: skip
    (real, layers), (meta, same) = made
    assert real.shape == meta.shape == (1, 3, 9, 5) and layers == same


def test_element_wise_layers_by_hand():
    net = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1)).to("meta").eval()
    images = torch.empty(1, 2, 9, 9, device="meta")
    _, layers = flops.trace(net, lambda: net(images), part_of=lambda _: "encoder")
    counted, parameters = flops.measure("encoder", layers, (), frozenset(), {"encoder": 0.0}, flops.PAPER)
    assert flops.weighted(counted, "encoder", flops.PAPER) == 2 * 81 * (2 * 4 + 2 * 4 + 4 + 4)
    assert flops.weighted(counted, "encoder", flops.CONV) == 2 * 81 * 2 * 4
    assert parameters == 2 * 4 + 4 + 8


@pytest.mark.parametrize(
    ("model", "backbone"),
    [
        ("deeplabv3plus", "resnet101"),
        ("dan", "resnet101"),
        ("deeplabv3plus", "efficientnet_lite0"),
        ("dan", "tiny"),
    ],
)
@pytest.mark.parametrize("lrg_size", [None, 9])
def test_torchs_counter_agrees(model, backbone, lrg_size):
    with torch.device("meta"):
        net = build(model, backbone=backbone, num_classes=7, input_size=65, width=32, lrg_size=lrg_size).eval()
        images = torch.empty(1, 3, 65, 65)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(images)
    ours = flops.count(
        model, backbone=backbone, num_classes=7, input_size=65, width=32, lrg_size=lrg_size, rule=flops.CONV
    )
    assert ours.total == counter.get_total_flops()
    assert ours.parameters == sum(p.numel() for p in net.parameters())


def test_fvcore_agrees():
    """fvcore calls a multiply-accumulate one operation; its convolutions are half of ours."""
    from fvcore.nn import FlopCountAnalysis

    net = build("deeplabv3plus", backbone="tiny", num_classes=7, input_size=65, width=32).eval()
    counter = FlopCountAnalysis(net, torch.rand(1, 3, 65, 65))
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    ours = flops.count("deeplabv3plus", backbone="tiny", num_classes=7, input_size=65, width=32, rule=flops.CONV)
    assert 2 * counter.by_operator()["conv"] == ours.total


def test_table_2_all_cells_and_stride_16_from_four_networks(monkeypatch):
    """The 112 cells cost little: an encoder is traced once for all grids, and pruning is arithmetic on the traces."""
    made = {"build": 0, "trace": 0}

    def counted(name, function):
        def call(*args, **options):
            made[name] += 1
            return function(*args, **options)

        return call

    for cached in (flops._sums, flops.network_layers, flops._encoded):
        cached.cache_clear()
    for name in made:
        monkeypatch.setattr(flops, name, counted(name, getattr(flops, name)))
    both = table2.compare(table2.cells(), PRINTED)
    wide = table2.cells(output_stride=16)
    networks = 2 * len(table2.MODELS)
    traces = 2 + len(table2.LRG_SIZES)  # the encoder, and the decoder without truncation too
    assert made == {"build": networks, "trace": networks * traces}
    assert len(both) == 56 and both["agrees"].all()
    assert not table2.compare(wide, PRINTED)["agrees"].any()


def test_table_2_by_structure_alone():
    """The stand-in DAN, with nothing fitted: 53 cells, and none further off than one unit of the last printed digit."""
    both = table2.compare(table2.cells(dan="structure"), PRINTED)
    assert both["agrees"].sum() == 53
    assert ((both["value"] / 1e9).round() - both["printed"]).abs().max() == 1
    assert both[both["model"] == "deeplabv3plus"]["agrees"].all()


def test_encoder_and_decoder_as_section_a1_says():
    a1 = paper.table("a1").set_index(["model", "part", "quantity"])["value"]
    c = flops.count("deeplabv3plus", output_stride=32)
    assert round(c.encoder / 1e9, 1) == a1["DeepLab v3+", "encoder", "FLOPs"]
    assert round(c.encoder_parameters / 1e6, 1) == a1["DeepLab v3+", "encoder", "parameters"]
    assert round(c.decoder_parameters / 1e6, 1) == a1["DeepLab v3+", "decoder", "parameters"]
    seven = flops.count("deeplabv3plus", output_stride=32, num_classes=7)
    assert round(seven.decoder / 1e9, 1) == a1["DeepLab v3+", "decoder", "FLOPs"] != round(c.decoder / 1e9, 1)
    dan = flops.count("dan", output_stride=32)
    assert round(dan.decoder / 1e9, 1) == a1["Dan", "decoder", "FLOPs"]
    assert round(dan.decoder_parameters / 1e6, 1) == a1["Dan", "decoder", "parameters"]


def test_dan_pruned_decoder_is_pinned_by_the_table():
    low, high = table2.dan_pruned_interval(PRINTED)
    assert 9.49e9 < low < table2.DAN_DECODER[0.2] < high < 9.67e9
    assert not low <= flops.count("dan", output_stride=32, encoder_prune_rate=0.2).decoder <= high


def test_truncation_scales_the_whole_decoder():
    full = flops.count("deeplabv3plus", rule=flops.CONV)
    for size in table2.LRG_SIZES:
        part = flops.count("deeplabv3plus", lrg_size=size, rule=flops.CONV)
        assert part.encoder == full.encoder
        assert part.decoder * 129**2 == full.decoder * size**2


def test_sensitivity_names_every_choice():
    table = table2.sensitivity(PRINTED).set_index(["choice", "option"])["cells"]
    assert table["all as fitted", ""] == 56
    assert table["encoder's output stride", "16"] == 0
    assert set(table.index.get_level_values(0)) == {"all as fitted", *table2.CHOICES}
    assert table.drop(("all as fitted", "")).min() == 0 and (table <= 56).all()


def test_variants_agree_with_the_direct_count():
    """Where readers always shrink, the decoder's cost follows the encoder's rate too: once all rows had that of 0.2."""
    few = {k: table2.CHOICES[k] for k in ("filters removed", "readers of pruned channels", "classes")}
    rows = table2.variants(PRINTED, few)
    assert len(rows) == 27 and rows["cells"].max() == 28
    deeplab = PRINTED[PRINTED["model"] == "deeplabv3plus"]
    for options, met in zip(product(*few.values()), rows["cells"], strict=True):
        changed = {k: v for _, change in options for k, v in change.items()}
        outer = {k: changed.pop(k) for k in ("num_classes",) if k in changed}
        direct = table2.compare(table2.cells(rule=replace(flops.PAPER, **changed), **outer), deeplab)
        assert met == direct["agrees"].sum(), options


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: flops.count("unet"), "deeplabv3plus"),
        (lambda: flops.count("dan", lrg_size=131), "lrg_size"),
        (lambda: flops.count("dan", output_stride=4), "16, 32"),
        (lambda: flops.count("dan", input_size=500), "64k"),
        (lambda: flops.count("dan", encoder_prune_rate=1.0), "prune_rate"),
        (lambda: flops.Rule(rounding="up"), "rounding"),
        (lambda: flops.count("dan", num_classes=0), "num_classes"),
        (lambda: flops.Rule(inputs="some"), "inputs"),
        (lambda: table2.cells(dan="guess"), "structure"),
        (lambda: table2.compare(table2.cells().head(3), PRINTED), "3 of 56"),
    ],
)
def test_wrong_settings_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_stages_carry_the_papers_grids():
    stages = views.stages(lrg_size=65).set_index("stage")
    assert stages["grid"].tolist() == [513, 257, 129, 65, 33, 33, 33, 129, 129, 129, 129, 513]
    assert stages["channels"].tolist() == [3, 64, 256, 512, 1024, 2048, 256, 48, 256, 256, 21, 21]
    assert stages.loc[["low-level 1x1", "classes"], "lrg"].tolist() == [65, 65] and stages.loc["ASPP", "lrg"] == 33


def test_what_arrives_of_a_promise_by_hand():
    """Half the FLOPs gone and a quarter of the time: half of the promise; zero filters: nothing of it."""

    def rows(form, rate, size, cost, time):
        shared = {"model": "m", "form": form, "prune_rate": rate, "lrg_size": size, "precision": "fp32", "batch": 1}
        return [
            shared | {"metric": "flops", "value": cost, "low": cost, "high": cost},
            shared | {"metric": "time_ratio", "value": time, "low": time - 0.05, "high": time + 0.05},
        ]

    frame = pd.DataFrame(
        [
            *rows("full", 0.0, 129, 100, 1.0),
            *rows("full", 0.0, 33, 50, 0.75),
            *rows("removed", 0.4, 129, 40, 0.4),
            *rows("masked", 0.4, 129, 100, 1.0),
        ]
    )
    got = views.arrived(frame).set_index(["form", "lrg_size"])
    assert got.loc[("full", 33), "arrived"] == pytest.approx(0.5)
    assert got.loc[("full", 33), ["arrived_low", "arrived_high"]].tolist() == pytest.approx([0.4, 0.6])
    assert got.loc[("removed", 129), "arrived"] == pytest.approx(1.0)
    assert got.loc[("masked", 129), "flops_ratio"] == 0.4 and got.loc[("masked", 129), "arrived"] == pytest.approx(0)
    assert got["arrived"].isna().sum() == 1
    with pytest.raises(ValueError, match="no full network"):
        views.arrived(frame[frame["form"] == "removed"])


def test_a1_constants_beside_ours():
    table = views.a1_constants(paper.table("a1"))
    assert (table["described"].round(1) == table["printed"]).tolist() == [False, False, False, True, True, True]
    assert (table["read"].round(1) == table["printed"]).tolist()[:3] == [True, True, True]


def test_class_table_means_over_folds_and_puts_the_mean_last():
    def fold(shift):
        return pd.DataFrame(
            [
                {"predictor": "network", "metric": "miou", "class": "scored", "value": 0.5 + shift},
                {"predictor": "network", "metric": "iou", "class": "road", "value": 0.25 + shift},
                {"predictor": "network", "metric": "iou", "class": "moon", "value": 0.9},
                {"predictor": "network", "metric": "loss", "class": "step 9", "value": 3.0},
                {"predictor": "as counted", "metric": "iou", "class": "road", "value": 0.1},
            ]
        )

    table = views.class_table([("dubai", ("road",), fold(0.0)), ("dubai", ("road",), fold(0.25))])
    assert table["class"].tolist() == ["road", "road", "mean"]
    assert table["predictor"].tolist() == ["network", "colour, as counted", "network"]
    road = table[(table["class"] == "road") & (table["predictor"] == "network")].iloc[0]
    assert (road["value"], road["low"], road["high"]) == (0.375, 0.25, 0.5)
    assert "moon" in set(views.class_table([("dubai", (), fold(0.0))])["class"])
    assert views.class_table([]).empty


def test_truncation_saving_by_hand():
    costs = table2.cells(output_stride=16)
    c = flops.count("deeplabv3plus")
    want = c.decoder * (1 - (17 / 129) ** 2) / c.total
    assert table2.truncation_saving(costs, "deeplabv3plus") == pytest.approx(want)
