"""Tables made from counts and timings: a network's stages, and what of the promised saving arrives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from specseg.nets.flops import CONV, count, network_layers

_ENCODER = (
    ("first convolution", "backbone.stem"),
    *((f"layer {k}", f"backbone.layer{k}") for k in (1, 2, 3, 4)),
    ("ASPP", "aspp.project"),
)
STAGES = {
    "deeplabv3plus": (
        *_ENCODER,
        ("low-level 1x1", "decoder.reduce"),
        ("3x3", "decoder.fuse1"),
        ("3x3 ", "decoder.fuse2"),
        ("classes", "decoder.classifier"),
    ),
    "dan": (
        *_ENCODER,
        ("layer 1, 1x1", "decoder.from_low"),
        ("layer 2, 1x1", "decoder.from_mid"),
        ("ASPP, 1x1", "decoder.from_aspp"),
        ("3x3", "decoder.fuse1"),
        ("1x1", "decoder.fuse2"),
        ("classes", "decoder.classifier"),
    ),
}


def stages(
    model: str, *, lrg_size: int, input_size: int = 513, output_stride: int = 16, num_classes: int = 21
) -> pd.DataFrame:
    """Return grids and channels along a ResNet-101 network: stage, part, grid, channels, lrg (the grid when truncated).

    Traced from the real layers, one row for the last convolution of each stage, between image and full-size logits.
    """
    settings = (model, "resnet101", num_classes, output_stride, input_size, 256)
    plain, cut = (
        {c.name: c for c in network_layers(*settings, size)[0] if c.kind == "conv"} for size in (None, lrg_size)
    )
    rows = [{"stage": "image", "part": "image", "grid": input_size, "channels": 3, "lrg": np.nan}]
    for stage, prefix in STAGES[model]:
        name = [n for n in plain if n.startswith(prefix) and ".downsample" not in n][-1]
        layer = plain[name]
        rows.append(
            {
                "stage": stage,
                "part": layer.part,
                "grid": int(layer.points**0.5),
                "channels": layer.outputs,
                "lrg": float(cut[name].points ** 0.5),
            }
        )
    rows.append({"stage": "logits", "part": "image", "grid": input_size, "channels": num_classes, "lrg": np.nan})
    return pd.DataFrame(rows)


def arrived(rows: pd.DataFrame, *, precision: str = "fp32", batch: int = 1) -> pd.DataFrame:
    """Return promised FLOPs ratio and measured time ratio of each variant in a latency record's rows.

    Columns model, form, prune_rate, lrg_size, flops_ratio, time_ratio, low, high (quartiles) and `arrived`, the
    measured saving (1 - time ratio) over the promised one (1 - FLOPs ratio), with its quartiles arrived_low and
    arrived_high; NaN where nothing is promised. A masked network is promised what the removed one runs.
    Raises ValueError when the full network is not among the rows.
    """
    here = rows[(rows["precision"] == precision) & (rows["batch"] == batch)]
    keys = ["form", "prune_rate", "lrg_size"]
    out = []
    for model, part in here.groupby("model", sort=False):
        wide = part[part["metric"] == "flops"].set_index(keys)["value"]
        full_size = part["lrg_size"].max()
        if ("full", 0.0, full_size) not in wide.index:
            raise ValueError(f"latency rows of {model}: no full network at LRG {full_size}, the pairs' reference")
        full = wide["full", 0.0, full_size]
        for row in part[part["metric"] == "time_ratio"].itertuples():
            form = "removed" if row.form == "masked" else row.form
            ratio = float(wide[form, row.prune_rate, row.lrg_size] / full)
            share = [(1 - t) / (1 - ratio) if ratio < 1 else np.nan for t in (row.value, row.high, row.low)]
            variant = {"model": model, "form": row.form, "prune_rate": row.prune_rate, "lrg_size": row.lrg_size}
            out.append(
                {
                    **variant,
                    "flops_ratio": ratio,
                    "time_ratio": row.value,
                    "low": row.low,
                    "high": row.high,
                    **dict(zip(("arrived", "arrived_low", "arrived_high"), share, strict=True)),
                }
            )
    return pd.DataFrame(out)


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
    last = (table["class"] == "mean").astype(int)
    return table.assign(last=last).sort_values("last", kind="stable").drop(columns="last").reset_index(drop=True)


def sizes(models: tuple[str, ...], backbones: tuple[str, ...]) -> pd.DataFrame:
    """Return each network's convolution GFLOPs and million parameters per part at output stride 16, and the decoder's
    share of the parameters, indexed by model and backbone.

    >>> float(sizes(("dan",), ("tiny",))["decoder's share of parameters"].iloc[0].round(2))
    0.33
    """
    rows = []
    for model in models:
        for backbone in backbones:
            c = count(model, backbone=backbone, rule=CONV)
            rows.append(
                {
                    "model": model,
                    "backbone": backbone,
                    "encoder, GFLOP": c.encoder / 1e9,
                    "decoder, GFLOP": c.decoder / 1e9,
                    "encoder, M parameters": c.encoder_parameters / 1e6,
                    "decoder, M parameters": c.decoder_parameters / 1e6,
                    "decoder's share of parameters": c.decoder_parameters / c.parameters,
                }
            )
    return pd.DataFrame(rows).set_index(["model", "backbone"])


def a1_constants(printed: pd.DataFrame) -> pd.DataFrame:
    """Return A.1's constants beside ours: what, printed, described (the network as the paper describes it), reading
    (what else must be assumed), read (our number under that reading; NaN where there is none).

    `printed` is `paper.table("a1")`. Raises ValueError when one of its six numbers is missing.
    """
    wide, deep = (count("deeplabv3plus", output_stride=stride) for stride in (16, 32))
    seven = count("deeplabv3plus", output_stride=32, num_classes=7)
    bare, dan = count("deeplabv3plus", rule=CONV), count("dan", output_stride=32)
    ours = {
        ("DeepLab v3+", "encoder", "FLOPs"): (wide.encoder / 1e9, "output stride 32", deep.encoder / 1e9),
        ("DeepLab v3+", "encoder", "parameters"): (
            bare.encoder_parameters / 1e6,
            "with the unused classifier",
            deep.encoder_parameters / 1e6,
        ),
        ("DeepLab v3+", "decoder", "FLOPs"): (deep.decoder / 1e9, "7 classes, not 21", seven.decoder / 1e9),
        ("DeepLab v3+", "decoder", "parameters"): (bare.decoder_parameters / 1e6, "", np.nan),
        ("Dan", "decoder", "FLOPs"): (dan.decoder / 1e9, "stand-in", np.nan),
        ("Dan", "decoder", "parameters"): (dan.decoder_parameters / 1e6, "stand-in", np.nan),
    }
    values = printed.set_index(["model", "part", "quantity"])["value"]
    if missing := [key for key in ours if key not in values.index]:
        raise ValueError(f"table a1: no row for {missing[0]}; expected model, part and quantity as in section A.1")
    rows = [
        {
            "what": f"{model}, {part}, {quantity}",
            "printed": values[model, part, quantity],
            "described": described,
            "reading": reading,
            "read": read,
        }
        for (model, part, quantity), (described, reading, read) in ours.items()
    ]
    return pd.DataFrame(rows)
