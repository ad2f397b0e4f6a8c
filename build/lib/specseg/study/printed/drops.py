"""Accuracy sentences against Tables 3 and 4: drops, monotone columns, who drops more, what pruning changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.study.printed.tables import CURVE, FULL_GRID, HALF_MIOU, SETUP


def drop_interval(miou, base, half: float = HALF_MIOU) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of 1 - miou/base that the two printed numbers allow (section A.10's relative mIoU-drop).

    >>> lo, hi = drop_interval(0.781, 0.785)
    >>> float(round(lo, 4)), float(round(hi, 4))
    (0.0038, 0.0064)
    """
    miou, base = np.asarray(miou, dtype=float), np.asarray(base, dtype=float)
    return 1 - (miou + half) / (base - half), 1 - (miou - half) / (base + half)


def check_drops(cells: pd.DataFrame, half: float = HALF_MIOU) -> pd.DataFrame:
    """Add to each cell the drop that its mIoU gives, its rounding interval, and whether the printed drop meets it.

    `cells` has miou, base, miou_drop. A baseline's own drop is 0 exactly.
    """
    out = cells.copy()
    out["from_miou"] = 1 - out["miou"] / out["base"]
    lo, hi = drop_interval(out["miou"], out["base"], half)
    own = (out["lrg_size"] == FULL_GRID) if "lrg_size" in out else (out["nu_max"] == 256)
    out["low"], out["high"] = np.where(own, 0.0, lo), np.where(own, 0.0, hi)
    out["agrees"] = (out["miou_drop"] - half <= out["high"] + 1e-12) & (out["miou_drop"] + half >= out["low"] - 1e-12)
    return out


def rises(frame: pd.DataFrame, along: str, groups: list[str], value: str = "miou", up: bool = True) -> pd.DataFrame:
    """Return each adjacent pair of printed values along one column, with its change as `step`.

    With `up` the column is walked upwards (e.g. prune_rate), else downwards (lrg_size). A positive step is a rise.

    >>> f = pd.DataFrame({"g": 1, "lrg_size": [17, 33, 65], "miou": [0.5, 0.4, 0.7]})
    >>> rises(f, "lrg_size", ["g"], up=False)["step"].round(3).tolist()
    [-0.3, 0.1]
    """
    rows = []
    for key, g in frame.groupby(groups, sort=False):
        g = g.sort_values(along, ascending=up)
        v, x = g[value].to_numpy(float), g[along].to_numpy()
        for i in range(len(v) - 1):
            rows.append(
                {**dict(zip(groups, key, strict=True)), "start": x[i], "stop": x[i + 1], "step": v[i + 1] - v[i]}
            )
    out = pd.DataFrame(rows)
    out["step"] = out["step"].round(9)
    return out


def exceeds(frame: pd.DataFrame, value: str, high: str, low: list[str], keys: list[str]) -> pd.DataFrame:
    """Return, for each cell of the data set `high` and each data set of `low`, both values and their difference."""
    wide = frame.pivot_table(index=keys, columns="dataset", values=value).reset_index()
    parts = [wide[keys].assign(against=d, larger=wide[high], smaller=wide[d]) for d in low]
    out = pd.concat(parts, ignore_index=True)
    return out.assign(difference=(out.larger - out.smaller).round(9))


def baselines(cells: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    """Return the same network's mIoU as Table 4 (no pruning, LRG 129) and as Table 3 (nu_max 256) print it."""
    a = cells[(cells.prune_rate == 0) & (cells.lrg_size == FULL_GRID)][[*CURVE, "miou"]]
    b = blocks[blocks.nu_max == 256][[*CURVE, "miou"]]
    out = a.merge(b, on=CURVE, suffixes=("_table4", "_table3"))
    return out.assign(difference=(out.miou_table3 - out.miou_table4).round(9))


def applications(cells: pd.DataFrame, blocks: pd.DataFrame, half: float = HALF_MIOU) -> pd.DataFrame:
    """Return both applications' drops at the same network and band limit, hence at the same R_ce of Table 1.

    Columns model, dataset, nu_max, rce, truncated (Table 4, unpruned), blocks (Table 3), apart (the drops differ by
    more than the rounding of both), factor (the larger over the smaller).
    """
    keys = [*CURVE, "nu_max", "rce"]
    cut = cells[(cells.prune_rate == 0) & (cells.lrg_size != FULL_GRID)][[*keys, "miou_drop"]]
    out = cut.merge(blocks[[*keys, "miou_drop"]], on=keys, suffixes=("_cut", "_blocks"), validate="one_to_one")
    out = out.rename(columns={"miou_drop_cut": "truncated", "miou_drop_blocks": "blocks"})
    both = out[["truncated", "blocks"]]
    return out.assign(
        apart=(out.truncated - out.blocks).abs() > 2 * half + 1e-9, factor=both.max(axis=1) / both.min(axis=1)
    )


def pruning_effect(cells: pd.DataFrame, half: float = HALF_MIOU) -> pd.DataFrame:
    """Compare each pruned network's drop with the unpruned network's at the same LRG size.

    Columns: the drops that the printed mIoUs give, their difference, and whether rounding alone can explain it.
    """
    small = cells[cells.lrg_size != FULL_GRID]
    base = small[small.prune_rate == 0].set_index([*CURVE, "lrg_size"])[["miou", "base"]]
    rows = small[small.prune_rate > 0].join(base, on=[*CURVE, "lrg_size"], rsuffix="_unpruned")
    out = rows[[*SETUP, "lrg_size"]].copy()
    out["drop"] = 1 - rows.miou / rows.base
    out["unpruned"] = 1 - rows.miou_unpruned / rows.base_unpruned
    out["difference"] = out["drop"] - out["unpruned"]
    lo, hi = drop_interval(rows.miou, rows.base, half)
    lo0, hi0 = drop_interval(rows.miou_unpruned, rows.base_unpruned, half)
    out["rounding_explains"] = (lo <= hi0) & (lo0 <= hi)
    return out.reset_index(drop=True)


def model_order(cells: pd.DataFrame) -> pd.DataFrame:
    """Return, per cell, which of the two models has the larger R_ce and which the larger drop (from the mIoUs).

    Columns `rce_sign` and `drop_sign` are +1 where DAN's is larger, -1 where smaller, 0 where the printed values tie.
    """
    return _order(cells, "model", "dan", "deeplabv3plus", ["dataset", "prune_rate", "lrg_size"])


def dataset_order(cells: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Return the same for two data sets under one model: +1 where `first` has the larger value."""
    return _order(
        cells[cells.dataset.isin([first, second])], "dataset", first, second, ["model", "prune_rate", "lrg_size"]
    )


def _order(cells: pd.DataFrame, axis: str, first: str, second: str, keys: list[str]) -> pd.DataFrame:
    small = cells[cells.lrg_size != FULL_GRID]
    table = small.pivot_table(index=keys, columns=axis, values=["rce", "miou_drop"])
    out = pd.DataFrame(index=table.index)
    out["rce_sign"] = np.sign((table["rce"][first] - table["rce"][second]).round(9)).astype(int)
    out["drop_sign"] = np.sign((table["miou_drop"][first] - table["miou_drop"][second]).round(9)).astype(int)
    return out.reset_index()
