"""The printed tables joined into one row per measured network, and what rounding leaves open."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from specseg.evidence import paper

CELL = ["model", "dataset", "prune_rate", "lrg_size"]
CURVE = ["model", "dataset"]
SETUP = ["model", "dataset", "prune_rate"]
FULL_GRID = 129
HALF_MIOU = 0.0005  # Tables 3 and 4 print tenths of a percent
HALF_RCE = 0.0005  # Table 1 prints three decimals
HALF_GFLOPS = 0.5  # Table 2 prints integers


@dataclass(frozen=True)
class Text:
    """Numbers that stand in the paper's sentences, footnotes and captions (not in its tables)."""

    # sections 3.1, 3.2: LRG or image size -> band limit
    band_limits: tuple[tuple[int, int], ...] = ((513, 256), (65, 32), (33, 16))
    # section 3.1: image, prediction grid (3.2), feature grid M
    grids: tuple[int, int, int] = (513, 129, 33)
    # section 3.1 and the captions of Figs 2 and 3: nu_i
    shown: tuple[str, ...] = ("0", "M/4", "M/2")
    captions: tuple[tuple[str, ...], ...] = (("0", "M/2", "M/2"), ("0", "M/2", "M/2"))
    # section 3.2: how many more FLOPs DeepLab v3+ takes, from baseline to 60 % pruned
    excess: tuple[float, float] = (0.29, 0.60)
    # section 3.2: the range of most optimal LRG sizes, and the two named exceptions
    common: tuple[int, int] = (33, 65)
    exceptions: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("deeplabv3plus", "deepglobe", (17,)),
        ("dan", "cityscapes", (81, 97)),
    )
    # footnote 4: model, data set, LRG size, R_ce
    footnote4: tuple[tuple[str, str, int, float], ...] = (
        ("deeplabv3plus", "deepglobe", 17, 0.053),
        ("dan", "cityscapes", 81, 0.040),
        ("dan", "cityscapes", 97, 0.075),
    )
    # section A.10: relative mIoU-drop of the unpruned DeepLab v3+ at LRG 65
    example: tuple[tuple[str, float], ...] = (("pascal", 0.005), ("deepglobe", 0.007), ("cityscapes", 0.074))


@dataclass(frozen=True)
class Tables:
    """Tables 1 to 4 and A.1's constants as tidy frames (columns as in paper/tables), and the text's own numbers."""

    rce: pd.DataFrame
    gflops: pd.DataFrame
    block: pd.DataFrame
    truncation: pd.DataFrame
    constants: pd.DataFrame
    text: Text = Text()

    @classmethod
    def read(cls) -> Tables:
        """Read the transcription of the printed tables."""
        each = [[paper.table(name) for name in names] for names in (["1"], ["2"], ["3a", "3b"], ["4a", "4b"], ["a1"])]
        return cls(*(pd.concat(parts, ignore_index=True) for parts in each))

    def with_value(self, name: str, value: float, **where) -> Tables:
        """Return a copy in which the cells of one table that match `where` (a value, or several) print `value`, to test
        a test.

        Raises ValueError when nothing matches.
        """
        frame = getattr(self, name).copy()
        hit = np.ones(len(frame), dtype=bool)
        for column, wanted in where.items():
            hit &= frame[column].isin(np.atleast_1d(wanted)).to_numpy()
        if not hit.any():
            raise ValueError(f"table {name}: no cell with {where}")
        frame["value"] = frame["value"].astype(float)
        frame.loc[hit, "value"] = value
        return replace(self, **{name: frame})

    def with_text(self, **numbers) -> Tables:
        """Return a copy whose text says other numbers (to test a test)."""
        return replace(self, text=replace(self.text, **numbers))


def wide(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return one row per `keys`, one column per metric.

    Raises ValueError when a cell is there twice.

    >>> f = pd.DataFrame({"k": [1, 1], "metric": ["miou", "miou_drop"], "value": [0.5, 0.1]})
    >>> wide(f, ["k"]).to_dict("list")
    {'k': [1], 'miou': [0.5], 'miou_drop': [0.1]}
    """
    if frame.duplicated([*keys, "metric"]).any():
        raise ValueError(f"a cell of {keys} is there twice; expected one value per cell and metric")
    out = frame.pivot(index=keys, columns="metric", values="value").reset_index()
    out.columns.name = None
    return out


def curves(tables: Tables) -> pd.DataFrame:
    """Return Table 1 as columns model, dataset, nu_max, lrg_size, rce."""
    out = wide(tables.rce, ["model", "dataset", "nu_max"])
    out["nu_max"] = out["nu_max"].astype(int)
    out["lrg_size"] = 2 * out["nu_max"] + 1
    return out


def cells(tables: Tables) -> pd.DataFrame:
    """Return Table 4's 168 networks with their FLOPs (Table 2) and R_ce (Table 1, of the unpruned network).

    Columns: model, dataset, prune_rate, lrg_size, nu_max, miou, miou_drop, gflops, rce, fpi (GFLOPs per mIoU), base
    (mIoU at LRG 129 of the same setup) and parent (mIoU of the unpruned, untruncated network).
    """
    known = tables.__dict__.get("_cells")  # a frozen value: the same frames give the same cells
    if known is None:
        known = tables.__dict__["_cells"] = _cells(tables)
    return known.copy()


def _cells(tables: Tables) -> pd.DataFrame:
    out = wide(tables.truncation, CELL)
    costs = wide(tables.gflops, ["model", "prune_rate", "lrg_size"])
    out = out.merge(costs, on=["model", "prune_rate", "lrg_size"], how="left", validate="many_to_one")
    out = out.merge(curves(tables), on=[*CURVE, "lrg_size"], how="left", validate="many_to_one")
    if out[["gflops", "rce"]].isna().any().any():
        raise ValueError("Table 4 has a cell without FLOPs in Table 2 or R_ce in Table 1")
    full = out[out.lrg_size == FULL_GRID]
    base = full[[*SETUP, "miou"]].rename(columns={"miou": "base"})
    parent = full[full.prune_rate == 0][[*CURVE, "miou"]].rename(columns={"miou": "parent"})
    out = out.merge(base, on=SETUP).merge(parent, on=CURVE)
    out["fpi"] = out["gflops"] / out["miou"]
    return out.sort_values([*SETUP, "lrg_size"], ascending=[True, True, True, False]).reset_index(drop=True)


def blocks(tables: Tables) -> pd.DataFrame:
    """Return Table 3's 24 networks trained on block-wise labels with the R_ce of Table 1.

    Columns: model, dataset, nu_max, miou, miou_drop, rce, base (mIoU at nu_max = 256).
    """
    out = wide(tables.block, ["model", "dataset", "nu_max"])
    out["nu_max"] = out["nu_max"].astype(int)
    out = out.merge(curves(tables)[[*CURVE, "nu_max", "rce"]], on=[*CURVE, "nu_max"], validate="one_to_one")
    base = out[out.nu_max == 256][[*CURVE, "miou"]].rename(columns={"miou": "base"})
    return out.merge(base, on=CURVE).sort_values([*CURVE, "nu_max"], ascending=[True, True, False], ignore_index=True)
