"""The printed tables joined into one row per measured network, and what rounding leaves open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from specseg.evidence import paper

CURVE = ["model", "dataset"]
SETUP = [*CURVE, "prune_rate"]
CELL = [*SETUP, "lrg_size"]
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

    def changed(self, name: str, value: float | None = None, **where) -> Tables:
        """Return a copy in which the cells of one table that match `where` (a value, or several) print `value`, to test
        a test; of "text", one that says the numbers `where`.

        Raises ValueError when nothing matches.
        """
        if name == "text":
            return replace(self, text=replace(self.text, **where))
        frame = getattr(self, name)
        hit = np.all([frame[column].isin(np.atleast_1d(wanted)) for column, wanted in where.items()], axis=0)
        if not hit.any():
            raise ValueError(f"table {name}: no cell with {where}")
        return replace(self, **{name: frame.assign(value=frame["value"].astype(float).mask(hit, value))})

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Table 1 as columns model, dataset, nu_max, lrg_size, rce."""
        out = wide(self.rce, [*CURVE, "nu_max"]).astype({"nu_max": int})
        return out.assign(lrg_size=2 * out["nu_max"] + 1)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Table 4's 168 networks with their FLOPs (Table 2) and R_ce (Table 1, of the unpruned network).

        Columns: model, dataset, prune_rate, lrg_size, nu_max, miou, miou_drop, gflops, rce, fpi (GFLOPs per mIoU), base
        (mIoU at LRG 129 of the same setup), parent (mIoU of the unpruned, untruncated network), saving and loss (shares
        of its FLOPs and mIoU), and what `checked` adds. Raises ValueError where Tables 1 and 2 lack a cell.
        """
        costs = wide(self.gflops, ["model", "prune_rate", "lrg_size"])
        out = wide(self.truncation, CELL).merge(costs, how="left", validate="many_to_one")
        out = out.merge(self.curves, on=[*CURVE, "lrg_size"], how="left", validate="many_to_one")
        if out[["gflops", "rce"]].isna().any().any():
            raise ValueError("Table 4 has a cell without FLOPs in Table 2 or R_ce in Table 1")
        full = out[out.lrg_size == FULL_GRID].rename(columns={"miou": "base"})
        parent = full[full.prune_rate == 0].rename(columns={"base": "parent", "gflops": "whole"})
        out = out.merge(full[[*SETUP, "base"]]).merge(parent[[*CURVE, "parent", "whole"]], on=CURVE)
        out = out.assign(fpi=out.gflops / out.miou, saving=1 - out.gflops / out.whole, loss=1 - out.miou / out.parent)
        out = out.sort_values(CELL, ascending=[True, True, True, False], ignore_index=True)
        return checked(out, out.lrg_size == FULL_GRID)

    @property
    def cut(self) -> pd.DataFrame:
        """The cells without LRG 129, whose drop is 0 by definition."""
        return self.cells[self.cells.lrg_size != FULL_GRID]

    @cached_property
    def blocks(self) -> pd.DataFrame:
        """Table 3's 24 networks trained on block-wise labels with the R_ce of Table 1.

        Columns: model, dataset, nu_max, miou, miou_drop, lrg_size, rce, base (mIoU at nu_max = 256), and what
        `checked` adds.
        """
        out = wide(self.block, [*CURVE, "nu_max"]).astype({"nu_max": int}).merge(self.curves, validate="one_to_one")
        base = out[out.nu_max == 256].rename(columns={"miou": "base"})
        out = out.merge(base[[*CURVE, "base"]]).sort_values([*CURVE, "nu_max"], ascending=[True, True, False])
        return checked(out.reset_index(drop=True), out.nu_max.to_numpy() == 256)

    @property
    def coarse(self) -> pd.DataFrame:
        """The blocks that are larger than a pixel."""
        return self.blocks[self.blocks.nu_max < 256]


def wide(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return one row per `keys`, one column per metric.

    Raises ValueError when a cell is there twice.

    >>> f = pd.DataFrame({"k": [1, 1], "metric": ["miou", "miou_drop"], "value": [0.5, 0.1]})
    >>> wide(f, ["k"]).to_dict("list")
    {'k': [1], 'miou': [0.5], 'miou_drop': [0.1]}
    """
    if frame.duplicated([*keys, "metric"]).any():
        raise ValueError(f"a cell of {keys} is there twice; expected one value per cell and metric")
    return frame.pivot(index=keys, columns="metric", values="value").reset_index().rename_axis(columns=None)


def drop_interval(miou, base) -> tuple[np.ndarray, np.ndarray]:
    """Return the range of 1 - miou/base that the two printed numbers allow (section A.10's relative mIoU-drop).

    >>> lo, hi = drop_interval(0.781, 0.785)
    >>> float(round(lo, 4)), float(round(hi, 4))
    (0.0038, 0.0064)
    """
    miou, base = np.asarray(miou, dtype=float), np.asarray(base, dtype=float)
    return 1 - (miou + HALF_MIOU) / (base - HALF_MIOU), 1 - (miou - HALF_MIOU) / (base + HALF_MIOU)


def checked(cells: pd.DataFrame, full: np.ndarray) -> pd.DataFrame:
    """Add to each cell the drop that its mIoU gives, its rounding interval, and whether the printed drop meets it.

    `full` says which are baselines: their own drop is 0 exactly.
    """
    low, high = (np.where(full, 0.0, end) for end in drop_interval(cells.miou, cells.base))
    agrees = (cells.miou_drop - HALF_MIOU <= high + 1e-12) & (cells.miou_drop + HALF_MIOU >= low - 1e-12)
    return cells.assign(from_miou=1 - cells.miou / cells.base, low=low, high=high, agrees=agrees)
