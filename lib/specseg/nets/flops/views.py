"""Tables made from counts and timings: a network's stages, and what of the promised saving arrives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from specseg.nets.flops import CONV, count, network_layers, network_of

STAGES = {
    "first convolution": "backbone.stem", **{f"layer {k}": f"backbone.layer{k}" for k in (1, 2, 3, 4)},
    "ASPP": "aspp.project", "low-level 1x1": "decoder.reduce", "3x3": "decoder.fuse1", "3x3 ": "decoder.fuse2",
    "classes": "decoder.classifier",
}  # fmt: skip


def stages(*, lrg_size: int) -> pd.DataFrame:
    """Return grids and channels along the paper's DeepLab v3+: stage, part, grid, channels, lrg (the grid when
    truncated).

    Traced from the real layers, one row for the last convolution of each stage, between image and full-size logits.
    """
    size, classes = 513, 21
    plain, cut = ({c.name: c for c in network_layers(network_of("deeplabv3plus"), lrg)[0]} for lrg in (None, lrg_size))
    rows = [("image", "image", size, 3, np.nan)]
    for stage, prefix in STAGES.items():
        name = [n for n, c in plain.items() if c.kind == "conv" and n.startswith(prefix) and ".downsample" not in n][-1]
        layer = plain[name]
        rows.append((stage, layer.part, int(layer.points**0.5), layer.outputs, cut[name].points ** 0.5))
    rows.append(("logits", "image", size, classes, np.nan))
    return pd.DataFrame(rows, columns=["stage", "part", "grid", "channels", "lrg"])


def arrived(rows: pd.DataFrame) -> pd.DataFrame:
    """Return promised FLOPs ratio and measured time ratio of each variant in a latency record's rows: fp32, batch 1.

    Columns model, form, prune_rate, lrg_size, flops_ratio, time_ratio, low, high (quartiles) and `arrived`, the
    measured saving (1 - time ratio) over the promised one (1 - FLOPs ratio), with its quartiles arrived_low and
    arrived_high; NaN where nothing is promised. A masked network is promised what the removed one runs.
    Raises ValueError when the full network is not among the rows.
    """
    rows = rows[(rows["precision"] == "fp32") & (rows["batch"] == 1)]
    keys = ["model", "form", "prune_rate", "lrg_size"]
    costs, full_size = rows[rows["metric"] == "flops"].set_index(keys)["value"], rows["lrg_size"].max()
    out = rows[rows["metric"] == "time_ratio"][[*keys, "value", "low", "high"]].rename(columns={"value": "time_ratio"})
    ratios = []
    for model, form, rate, size in out[keys].itertuples(index=False):
        if (full := (model, "full", 0.0, full_size)) not in costs.index:
            raise ValueError(f"latency rows of {model}: no full network at LRG {full_size}, the pairs' reference")
        ratios.append(costs[model, "removed" if form == "masked" else form, rate, size] / costs[full])
    out.insert(len(keys), "flops_ratio", ratios)
    promised = (1 - out["flops_ratio"]).where(out["flops_ratio"] < 1)
    for name, time in (("arrived", "time_ratio"), ("arrived_low", "high"), ("arrived_high", "low")):
        out[name] = (1 - out[time]) / promised
    return out.reset_index(drop=True)


def class_table(measured: Sequence[tuple[str, Sequence[str], pd.DataFrame]]) -> pd.DataFrame:
    """Return IoU of trained networks for a picture: dataset, predictor, class, value, low, high over folds.

    `measured` are a data set's name, the classes that count (none: all) and the rows of a `networks` record. `value` is
    the mean over folds; the mean over classes stands last, as "mean".
    """
    parts = [pd.DataFrame(columns=["dataset", "predictor", "class", "value"])]
    for dataset, scored, rows in measured:
        rows = rows[rows["metric"].isin(["iou", "miou"])].replace({"class": {"scored": "mean"}})
        kept = rows["class"].isin([*scored, "mean"]) if scored else rows["class"].notna()
        named = rows["predictor"].map(lambda name: name if name == "network" else f"colour, {name}")
        parts.append(rows[kept].assign(dataset=dataset, predictor=named))
    grouped = pd.concat(parts[bool(measured) :]).groupby(["dataset", "predictor", "class"], sort=False)["value"]
    table = grouped.agg(value="mean", low="min", high="max").reset_index()
    return table.sort_values("class", key=lambda names: names == "mean", kind="stable", ignore_index=True)


def sizes(models: tuple[str, ...], backbones: tuple[str, ...]) -> pd.DataFrame:
    """Return each network's million parameters per part, and the decoder's share of them, by model and backbone.

    >>> float(sizes(("dan",), ("tiny",))["decoder's share"].iloc[0].round(2))
    0.33
    """
    rows = []
    for model, backbone in product(models, backbones):
        c = count(model, backbone=backbone, rule=CONV)
        parts = (c.encoder_parameters / 1e6, c.decoder_parameters / 1e6, c.decoder_parameters / c.parameters)
        rows.append((model, backbone, *parts))
    columns = ["model", "backbone", "encoder, M", "decoder, M", "decoder's share"]
    return pd.DataFrame(rows, columns=columns).set_index(["model", "backbone"])


def a1_constants(printed: pd.DataFrame) -> pd.DataFrame:
    """Return A.1's constants beside ours: what, printed, described (the network as the paper describes it), reading
    (what else must be assumed), read (our number under that reading; NaN where there is none).

    `printed` is `paper.table("a1")`.
    """
    wide, deep = (count("deeplabv3plus", output_stride=stride) for stride in (16, 32))
    seven = count("deeplabv3plus", output_stride=32, num_classes=7)
    bare, dan = count("deeplabv3plus", rule=CONV), count("dan", output_stride=32)
    unused, nothing = "with the unused classifier", np.nan
    ours = [
        ("DeepLab v3+", "encoder", "FLOPs", wide.encoder / 1e9, "output stride 32", deep.encoder / 1e9),
        ("DeepLab v3+", "encoder", "parameters", bare.encoder_parameters / 1e6, unused, deep.encoder_parameters / 1e6),
        ("DeepLab v3+", "decoder", "FLOPs", deep.decoder / 1e9, "7 classes, not 21", seven.decoder / 1e9),
        ("DeepLab v3+", "decoder", "parameters", bare.decoder_parameters / 1e6, "", nothing),
        ("Dan", "decoder", "FLOPs", dan.decoder / 1e9, "stand-in", nothing),
        ("Dan", "decoder", "parameters", dan.decoder_parameters / 1e6, "stand-in", nothing),
    ]
    keys = ["model", "part", "quantity"]
    table = pd.DataFrame(ours, columns=[*keys, "described", "reading", "read"])
    table = table.merge(printed[[*keys, "value"]].rename(columns={"value": "printed"}), on=keys)
    return table.assign(what=table[keys].agg(", ".join, axis=1))[["what", "printed", "described", "reading", "read"]]
