"""Cost sentences against Table 2 and A.1: ratios, FLOPs per IoU (FPI), and which LRG size it chooses."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from specseg.study import cost
from specseg.study.printed.tables import CURVE, FULL_GRID, HALF_GFLOPS, HALF_MIOU, SETUP, Tables

MODEL_OF = {"DeepLab v3+": "deeplabv3plus", "Dan": "dan"}


def parts(constants: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return A.1's FLOPs (in 1e9) or parameters (in 1e6) of each model's encoder and decoder, with their ratio."""
    table = constants[constants.quantity == quantity].replace({"model": MODEL_OF})
    table = table.pivot(index="model", columns="part", values="value").loc[list(MODEL_OF.values())]
    return table.assign(ratio=table.decoder / table.encoder)


def area_law(constants: pd.DataFrame, model, lrg_size) -> np.ndarray:
    """Return encoder + decoder x (LRG/129)^2 from A.1's constants: Table 2's unpruned rows, in 1e9 FLOPs.

    The decoder's work is proportional to the number of its grid points.
    """
    flops = parts(constants, "FLOPs").loc[model]
    return flops.encoder.to_numpy() + flops.decoder.to_numpy() * (np.asarray(lrg_size) / FULL_GRID) ** 2


def excess(gflops: pd.DataFrame, lrg_size: int) -> pd.DataFrame:
    """Return how many more FLOPs DeepLab v3+ takes than DAN at one LRG size, per pruning rate, with rounding bounds."""
    table = gflops[gflops.lrg_size == lrg_size].pivot_table(index="prune_rate", columns="model", values="value")
    a, b, h = table["deeplabv3plus"], table["dan"], HALF_GFLOPS
    return pd.DataFrame({"excess": a / b - 1, "low": (a - h) / (b + h) - 1, "high": (a + h) / (b - h) - 1})


def least(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return for each model and data set the row with the smallest value in a column."""
    return rows.loc[rows.groupby(CURVE)[column].idxmin()]


def optima(tables: Tables, finest: bool = False) -> pd.DataFrame:
    """Return `cost.optima` of the 24 setups, and `possible`: all sizes that rounding allows.

    `finest` takes the finest FLOPs that the paper prints: those of the unpruned networks follow from A.1's tenths by
    `area_law`, to 0.1 GFLOP; the others are Table 2's integers.
    """
    possible = []
    for (_, _, rate), own in tables.cells.groupby(SETUP, sort=False):
        fine = finest and rate == 0
        gflops = area_law(tables.constants, own.model, own.lrg_size) if fine else own.gflops
        possible.append(possible_optima(own.lrg_size, gflops, own.miou, 0.1 if fine else HALF_GFLOPS))
    return cost.optima(tables.cells, SETUP).assign(possible=possible)


def possible_optima(size, gflops, miou, half_gflops: float = HALF_GFLOPS) -> tuple[int, ...]:
    """Return the sizes that can have the smallest FPI for some true values behind the printed ones.

    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.48])
    (65,)
    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.49])
    (65, 33)
    """
    gflops, miou = np.asarray(gflops, float), np.asarray(miou, float)
    best = (gflops - half_gflops) / (miou + HALF_MIOU)
    worst = (gflops + half_gflops) / (miou - HALF_MIOU)
    return tuple(int(s) for i, s in enumerate(size) if best[i] <= np.delete(worst, i).min(initial=np.inf))


def moves(optima: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Return how many steps in `sizes` the optimum moves over the pruning rates, for each model and data set.

    Columns printed (by lrg_size), least and most (over every choice from `possible`).

    >>> sets = [(65, 33), (33,), (49, 17)]
    >>> o = pd.DataFrame({"model": "a", "dataset": "b", "lrg_size": [65, 33, 17], "possible": sets})
    >>> moves(o, [65, 49, 33, 17]).values.tolist()
    [[3, 1, 3]]
    """
    rows = {}
    for key, own in optima.groupby(CURVE):
        places = [[sizes.index(s) for s in found] for found in own.possible]
        spans = [max(p) - min(p) for p in itertools.product(*places)]
        rows[key] = {"printed": np.ptp(own.lrg_size.map(sizes.index)), "least": min(spans), "most": max(spans)}
    return pd.DataFrame.from_dict(rows, orient="index")


def undominated(cells: pd.DataFrame) -> list[bool]:
    """Say of each network, setup by setup, whether no other of its setup costs less and scores more."""
    found: list[bool] = []
    for _, g in cells.groupby(SETUP):
        cheaper, better = (np.subtract.outer(v, v) for v in (-g.gflops.to_numpy(), g.miou.to_numpy()))
        beats = (cheaper >= 0) & (better >= 0) & ((cheaper > 0) | (better > 0))
        found += list(~beats.any(axis=0))
    return found
