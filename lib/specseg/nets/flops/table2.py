"""Table 2 computed: cell by cell, and the weight of every choice in the rule."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from specseg.nets.flops import PAPER, Rule, count, network_of, part_cost

LRG_SIZES = (129, 97, 81, 65, 49, 33, 17)
PRUNE_RATES = (0.0, 0.2, 0.4, 0.6)
MODELS = ("deeplabv3plus", "dan")
DAN_DECODER = {0.0: 11.1e9, 0.2: 9.6e9}
"""DAN's decoder at 129: A.1's printed number, and the one number fitted to Table 2 for its pruned rows."""


def cells(*, output_stride: int = 32, num_classes: int = 21, rule: Rule = PAPER, dan: str = "printed") -> pd.DataFrame:
    """Return the 56 cells of Table 2 as tidy rows: model, prune_rate, lrg_size, value (FLOPs), encoder, decoder.

    DAN's layers are not published. With dan="printed" its decoder's cost at a 129 grid is A.1's 11.1e9 (a fitted 9.6e9
    where pruned), scaled by (lrg_size / 129)^2; with dan="structure" it is that of the stand-in in `models.dan`.
    Raises ValueError for another word.
    """
    if dan not in ("printed", "structure"):
        raise ValueError(f"dan {dan!r}: expected printed or structure")
    network, rows = {"output_stride": output_stride, "num_classes": num_classes}, []
    for model, rate, size in product(MODELS, PRUNE_RATES, LRG_SIZES):
        c = count(model, lrg_size=size, encoder_prune_rate=rate, rule=rule, **network)
        decoder: float = c.decoder
        if model == "dan" and dan == "printed":
            decoder = DAN_DECODER[0.2 if rate else 0.0] * (size / 129) ** 2
        rows.append((model, rate, size, c.encoder + decoder, c.encoder, decoder))
    return pd.DataFrame(rows, columns=["model", "prune_rate", "lrg_size", "value", "encoder", "decoder"])


def compare(ours: pd.DataFrame, printed: pd.DataFrame) -> pd.DataFrame:
    """Return our cells beside the printed ones: columns of `ours`, `printed` (GFLOP) and `agrees` (same whole GFLOP).

    Raises ValueError when a printed cell has no partner.
    """
    keys = ["model", "prune_rate", "lrg_size"]
    right = printed[[*keys, "value"]].rename(columns={"value": "printed"})
    right = right.assign(prune_rate=right["prune_rate"].astype(float), lrg_size=right["lrg_size"].astype(int))
    both = ours.merge(right, on=keys, how="inner", validate="one_to_one")
    if len(both) != len(printed):
        raise ValueError(f"table 2: {len(both)} of {len(printed)} printed cells have a computed partner; expected all")
    return both.assign(agrees=np.abs(both["value"] / 1e9 - both["printed"]) <= 0.5)


def dan_pruned_interval(printed: pd.DataFrame, *, rule: Rule = PAPER) -> tuple[float, float]:
    """Return the range of DAN's pruned decoder cost at 129 (FLOPs) that all 21 pruned cells of Table 2 allow.

    An empty range has its ends in the wrong order.
    """
    rows = printed[(printed["model"] == "dan") & (printed["prune_rate"] > 0)]
    costs = [count("dan", output_stride=32, encoder_prune_rate=float(r), rule=rule) for r in rows["prune_rate"]]
    encoder, share = np.array([c.encoder for c in costs]), (rows["lrg_size"] / 129) ** 2
    low, high = (((rows["value"] + half) * 1e9 - encoder) / share for half in (-0.5, 0.5))
    return float(low.max()), float(high.min())


def truncation_saving(table: pd.DataFrame, model: str) -> float:
    """Return the largest share of an unpruned model's FLOPs that truncation saves (LRG 17 against 129).

    `table` is what `cells` or `compare` return.
    """
    costs = table[(table["model"] == model) & (table["prune_rate"] == 0)].set_index("lrg_size")["value"]
    return float(1 - costs[min(LRG_SIZES)] / costs[max(LRG_SIZES)])


CHOICES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "encoder's output stride": (("32", {}), ("16", {"output_stride": 16})),
    "operations beside convolutions": (
        ("normalisation, ReLU, pooling", {}),
        ("normalisation", {"act": 0, "pool": 0}),
        ("none", {"norm": 0, "act": 0, "pool": 0}),
    ),
    "filters removed": (("int(n r)", {}), ("round(n r)", {"rounding": "round"}), ("ceil(n r)", {"rounding": "ceil"})),
    "last convolution of a bottleneck": (("pruned", {}), ("kept", {"last_conv": False})),
    "shortcut convolutions": (("kept", {}), ("pruned", {"shortcuts": True})),
    "first convolution": (("kept", {}), ("pruned", {"stem": True})),
    "ASPP's branches": (("pruned", {}), ("kept", {"aspp": False})),
    "ASPP's projection": (("pruned", {}), ("kept", {"projection": False})),
    "readers of pruned channels": (
        ("shrink where one layer feeds them", {}),
        ("always shrink", {"inputs": "all"}),
        ("never shrink", {"inputs": "none"}),
    ),
    "classes": (("21", {}), ("19", {"num_classes": 19}), ("7", {"num_classes": 7})),
    "element-wise operations of the decoder": (("not counted", {}), ("counted", {"decoder_elementwise": True})),
    "low-level 1x1 under truncation": (("on the LRG", {}), ("on the prediction grid", {"low_level_full": True})),
}
"""The choices in the counting rule; the first option of each is the one that gives Table 2."""


def agreement(printed: pd.DataFrame, settings: dict[str, Any]) -> int:
    """Return how many printed cells of Table 2 are met with these settings of `cells` and fields of `Rule`."""
    outer = {k: v for k, v in settings.items() if k in ("output_stride", "num_classes")}
    rule = replace(PAPER, **{k: v for k, v in settings.items() if k not in outer})
    return int(compare(cells(rule=rule, **outer), printed)["agrees"].sum())


def sensitivity(printed: pd.DataFrame) -> pd.DataFrame:
    """Return, for each choice of the rule changed alone, how many of Table 2's cells are still met."""
    rows = [{"choice": "all as fitted", "option": "", "cells": agreement(printed, {})}]
    for choice, options in CHOICES.items():
        rows += [{"choice": choice, "option": o, "cells": agreement(printed, changed)} for o, changed in options[1:]]
    return pd.DataFrame(rows)


def variants(printed: pd.DataFrame, choices: dict[str, tuple] | None = None) -> pd.DataFrame:
    """Return the DeepLab v3+ cells (of 28) met by every combination of options: how special the fitted rule is.

    One row a combination: a column per choice, and `cells`. DAN's cells are left out: its decoder is not known.
    Encoder and decoder are counted once per distinct rule, then added.
    """
    choices = choices or CHOICES
    wide = printed[printed["model"] == "deeplabv3plus"].pivot(index="prune_rate", columns="lrg_size", values="value")
    rates, sizes = [float(r) for r in wide.index], [int(s) for s in wide.columns]
    table = wide.to_numpy(float)
    decoder_only = ("num_classes", "decoder_elementwise", "low_level_full")
    rows = []
    for options in product(*choices.values()):
        settings: dict[str, Any] = {}
        for _, change in options:
            settings |= change
        stride = settings.get("output_stride", 32)
        outer = {k: v for k, v in settings.items() if k not in ("output_stride", *decoder_only)}
        shared = ("norm", "act", "pool", "inputs", "rounding")
        inner = {k: v for k, v in settings.items() if k in (*shared, *decoder_only[1:])}
        encoder = _column(stride, tuple(rates), Rule(**outer))
        decoder = _grid(settings.get("num_classes", 21), tuple(rates), tuple(sizes), Rule(**inner))
        met = int((np.abs(encoder[:, None] + decoder - table) <= 0.5).sum())
        rows.append((*(text for text, _ in options), met))
    return pd.DataFrame(rows, columns=[*choices, "cells"])


@lru_cache(maxsize=8192)
def _column(stride: int, rates: tuple[float, ...], rule: Rule) -> np.ndarray:
    network = network_of("deeplabv3plus", output_stride=stride)
    return np.array([part_cost("encoder", network, None, (rate, 0.0), rule)[0] / 1e9 for rate in rates])


@lru_cache(maxsize=1024)
def _grid(classes: int, rates: tuple[float, ...], sizes: tuple[int, ...], rule: Rule) -> np.ndarray:
    network = network_of("deeplabv3plus", output_stride=32, num_classes=classes)
    pruned = [(rate, 0.2 if rate else 0.0) for rate in rates]  # the decoder's rate in every pruned row is 0.2
    return np.array([[part_cost("decoder", network, s, both, rule)[0] / 1e9 for s in sizes] for both in pruned])
