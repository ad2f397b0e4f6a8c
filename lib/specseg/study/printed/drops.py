"""Accuracy sentences against Tables 3 and 4: drops, monotone columns, who drops more, what pruning changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.study.printed.tables import CURVE, FULL_GRID, HALF_MIOU, SETUP


def drop_interval(miou, base) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of 1 - miou/base that the two printed numbers allow (section A.10's relative mIoU-drop).

    >>> lo, hi = drop_interval(0.781, 0.785)
    >>> float(round(lo, 4)), float(round(hi, 4))
    (0.0038, 0.0064)
    """
    miou, base = np.asarray(miou, dtype=float), np.asarray(base, dtype=float)
    return 1 - (miou + HALF_MIOU) / (base - HALF_MIOU), 1 - (miou - HALF_MIOU) / (base + HALF_MIOU)


def check_drops(cells: pd.DataFrame) -> pd.DataFrame:
    """Add to each cell the drop that its mIoU gives, its rounding interval, and whether the printed drop meets it.

    `cells` has miou, base, miou_drop. A baseline's own drop is 0 exactly.
    """
    ends = drop_interval(cells.miou, cells.base)
    own = (cells.lrg_size == FULL_GRID) if "lrg_size" in cells else (cells.nu_max == 256)
    low, high = (np.where(own, 0.0, end) for end in ends)
    agrees = (cells.miou_drop - HALF_MIOU <= high + 1e-12) & (cells.miou_drop + HALF_MIOU >= low - 1e-12)
    return cells.assign(from_miou=1 - cells.miou / cells.base, low=low, high=high, agrees=agrees)


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
    parts = [pd.DataFrame({"larger": wide["cityscapes"], "smaller": wide[d]}) for d in ("pascal", "deepglobe")]
    out = pd.concat(parts)
    return out.assign(difference=(out.larger - out.smaller).round(9))


def baselines(cells: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    """Return the same network's mIoU as Table 4 (no pruning, LRG 129) and as Table 3 (nu_max 256) print it."""
    a = cells[(cells.prune_rate == 0) & (cells.lrg_size == FULL_GRID)][[*CURVE, "miou"]]
    b = blocks[blocks.nu_max == 256][[*CURVE, "miou"]]
    out = a.merge(b, on=CURVE, suffixes=("_table4", "_table3"))
    return out.assign(difference=(out.miou_table3 - out.miou_table4).round(9))


def applications(cells: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    """Return both applications' drops at the same network and band limit, hence at the same R_ce of Table 1.

    Columns model, dataset, nu_max, rce, truncated (Table 4, unpruned), blocks (Table 3), apart (the drops differ by
    more than the rounding of both), factor (the larger over the smaller).
    """
    keys = [*CURVE, "nu_max", "rce"]
    cut, own = (f.rename(columns={"miou_drop": to}) for f, to in ((cells, "truncated"), (blocks, "blocks")))
    cut = cut[(cut.prune_rate == 0) & (cut.lrg_size != FULL_GRID)]
    out = cut[[*keys, "truncated"]].merge(own[[*keys, "blocks"]], on=keys, validate="one_to_one")
    both = out[["truncated", "blocks"]]
    apart = (out.truncated - out.blocks).abs() > 2 * HALF_MIOU + 1e-9
    return out.assign(apart=apart, factor=both.max(axis=1) / both.min(axis=1))


def pruning_effect(cells: pd.DataFrame) -> pd.DataFrame:
    """Return `difference`: each pruned network's drop minus the unpruned network's at the same LRG size.

    The drops are those that the printed mIoUs give; `rounding_explains` says whether rounding alone can explain it.
    """
    small = cells[cells.lrg_size != FULL_GRID]
    base = small[small.prune_rate == 0].set_index([*CURVE, "lrg_size"])[["miou", "base"]]
    rows = small[small.prune_rate > 0].join(base, on=[*CURVE, "lrg_size"], rsuffix="_unpruned")
    (lo, hi), (lo0, hi0) = (drop_interval(rows[f"miou{s}"], rows[f"base{s}"]) for s in ("", "_unpruned"))
    difference = (1 - rows.miou / rows.base) - (1 - rows.miou_unpruned / rows.base_unpruned)
    return rows[[*SETUP, "lrg_size"]].assign(difference=difference, rounding_explains=(lo <= hi0) & (lo0 <= hi))


def order(cells: pd.DataFrame, axis: str, first: str, second: str) -> pd.DataFrame:
    """Return, cell by cell, which of two models (`axis` "model") or data sets has the larger R_ce and the larger drop.

    Columns `rce_sign` and `drop_sign` are +1 where the first's is larger, -1 where smaller, 0 where the printed values
    tie.
    """
    keys = [c for c in (*SETUP, "lrg_size") if c != axis]
    wide = cells[cells.lrg_size != FULL_GRID].pivot(index=keys, columns=axis, values=["rce", "miou_drop"])
    signs = {name: np.sign((wide[c][first] - wide[c][second]).round(9)).astype(int)
             for name, c in (("rce_sign", "rce"), ("drop_sign", "miou_drop"))}  # fmt: skip
    return pd.DataFrame(signs)
