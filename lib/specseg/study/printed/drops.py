"""Accuracy sentences against Tables 3 and 4: monotone columns, who drops more, what pruning changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.study.printed.tables import CELL, CURVE, FULL_GRID, HALF_MIOU, Tables, drop_interval


def rises(frame: pd.DataFrame, along: str, groups: list[str], value: str = "miou", up: bool = True) -> pd.Series:
    """Return the change between each pair of adjacent printed values along one column; positive is a rise.

    With `up` the column is walked upwards (e.g. prune_rate), else downwards (lrg_size).

    >>> f = pd.DataFrame({"g": 1, "lrg_size": [17, 33, 65], "miou": [0.5, 0.4, 0.7]})
    >>> rises(f, "lrg_size", ["g"], up=False).tolist()
    [-0.3, 0.1]
    """
    ordered = frame.sort_values(along, ascending=up)
    return ordered.groupby(groups)[value].diff().dropna().round(9)


def streets_exceed(frame: pd.DataFrame, value: str, keys: list[str]) -> pd.DataFrame:
    """Return for each cell of Cityscapes and each other data set both values (larger, smaller) and their difference."""
    wide = frame.pivot_table(index=keys, columns="dataset", values=value)
    out = pd.concat([pd.DataFrame({"larger": wide.cityscapes, "smaller": wide[d]}) for d in ("pascal", "deepglobe")])
    return out.assign(difference=(out.larger - out.smaller).round(9))


def baselines(tables: Tables) -> pd.DataFrame:
    """Return the same network's mIoU as Table 4 (no pruning, LRG 129) and as Table 3 (nu_max 256) print it."""
    keys = [*CURVE, "miou"]
    a, b = tables.cells.query(f"prune_rate == 0 and lrg_size == {FULL_GRID}"), tables.blocks.query("nu_max == 256")
    out = a[keys].merge(b[keys], on=CURVE, suffixes=("_table4", "_table3"))
    return out.assign(difference=(out.miou_table3 - out.miou_table4).round(9))


def applications(tables: Tables) -> pd.DataFrame:
    """Return both applications' drops at the same network and band limit, hence at the same R_ce of Table 1.

    Columns model, dataset, nu_max, rce, truncated (Table 4, unpruned), blocks (Table 3), apart (the drops differ by
    more than the rounding of both), factor (the larger over the smaller).
    """
    keys = [*CURVE, "nu_max", "rce"]
    cut = tables.cut.query("prune_rate == 0").rename(columns={"miou_drop": "truncated"})[[*keys, "truncated"]]
    own = tables.blocks.rename(columns={"miou_drop": "blocks"})[[*keys, "blocks"]]
    out = cut.merge(own, on=keys, validate="one_to_one")
    both, apart = out[["truncated", "blocks"]], (out.truncated - out.blocks).abs() > 2 * HALF_MIOU + 1e-9
    return out.assign(apart=apart, factor=both.max(axis=1) / both.min(axis=1))


def pruning_effect(tables: Tables) -> pd.DataFrame:
    """Return `difference`: each pruned network's drop minus the unpruned network's at the same LRG size.

    The drops are those that the printed mIoUs give; `rounding_explains` says whether rounding alone can explain it.
    """
    base = tables.cut.query("prune_rate == 0")[[*CURVE, "lrg_size", "miou", "base"]]
    rows = tables.cut.query("prune_rate > 0").merge(base, on=[*CURVE, "lrg_size"], suffixes=("", "_unpruned"))
    (lo, hi), (lo0, hi0) = (drop_interval(rows[f"miou{s}"], rows[f"base{s}"]) for s in ("", "_unpruned"))
    difference = (1 - rows.miou / rows.base) - (1 - rows.miou_unpruned / rows.base_unpruned)
    return rows[CELL].assign(difference=difference, rounding_explains=(lo <= hi0) & (lo0 <= hi))


def order(cells: pd.DataFrame, axis: str, first: str, second: str) -> pd.DataFrame:
    """Return, cell by cell, which of two models (`axis` "model") or data sets has the larger R_ce and the larger drop.

    Columns `rce_sign` and `drop_sign` are +1 where the first's is larger, -1 where smaller, 0 where the printed values
    tie.
    """
    wide = cells.pivot(index=[c for c in CELL if c != axis], columns=axis, values=["rce", "miou_drop"])
    signs = {name: np.sign((wide[c][first] - wide[c][second]).round(9)).astype(int)
             for name, c in (("rce_sign", "rce"), ("drop_sign", "miou_drop"))}  # fmt: skip
    return pd.DataFrame(signs)


def agreement(tables: Tables) -> dict[str, pd.DataFrame]:
    """Return the ordering comparisons at equal LRG size and pruning rate: between models and between data sets."""
    pairs = [("cityscapes", "pascal"), ("cityscapes", "deepglobe"), ("pascal", "deepglobe")]
    by_set = pd.concat([order(tables.cut, "dataset", *p) for p in pairs])
    return {"models": order(tables.cut, "model", "dan", "deeplabv3plus"), "datasets": by_set}
