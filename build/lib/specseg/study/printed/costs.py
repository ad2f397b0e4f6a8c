"""Cost sentences against Table 2 and A.1: savings, ratios, FLOPs per IoU (FPI), and which LRG size it chooses."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from specseg.study import cost
from specseg.study.printed.tables import FULL_GRID, HALF_GFLOPS, HALF_MIOU, SETUP

MODEL_OF = {"DeepLab v3+": "deeplabv3plus", "Dan": "dan"}


def constant(constants: pd.DataFrame, model: str, part: str, quantity: str) -> float:
    """Return one constant of section A.1 (FLOPs in 1e9, parameters in 1e6); `model` as in the tables.

    Raises ValueError when the paper gives none.
    """
    names = {v: k for k, v in MODEL_OF.items()}
    hit = constants[
        (constants.model == names.get(model, model)) & (constants.part == part) & (constants.quantity == quantity)
    ]
    if len(hit) != 1:
        raise ValueError(f"A.1 gives {len(hit)} values of {quantity} for the {part} of {model}; expected one")
    return float(hit["value"].iloc[0])


def area_law(constants: pd.DataFrame, gflops: pd.DataFrame) -> pd.DataFrame:
    """Predict Table 2's unpruned rows as encoder + decoder x (LRG/129)^2 from A.1's constants; `agrees` at the integer.

    The decoder's work is proportional to the number of its grid points.
    """
    out = gflops[gflops.prune_rate == 0][["model", "lrg_size", "value"]].reset_index(drop=True)
    encoder = np.array([constant(constants, m, "encoder", "FLOPs") for m in out.model])
    decoder = np.array([constant(constants, m, "decoder", "FLOPs") for m in out.model])
    out["predicted"] = encoder + decoder * (out.lrg_size / FULL_GRID) ** 2
    out["agrees"] = (out.predicted - out.value).abs() <= HALF_GFLOPS + 0.05  # A.1 prints one decimal
    return out


def decoder_share(gflops: pd.DataFrame) -> pd.DataFrame:
    """Return the decoder's FLOPs that each row of Table 2 implies: (F(129) - F(17)) / (1 - (17/129)^2)."""
    table = gflops.pivot_table(index=["model", "prune_rate"], columns="lrg_size", values="value")
    removed = table[FULL_GRID] - table[17]
    scale = 1 - (17 / FULL_GRID) ** 2
    return pd.DataFrame({"removed": removed, "decoder": removed / scale}).reset_index()


def excess(gflops: pd.DataFrame, lrg_size: int) -> pd.DataFrame:
    """Return how many more FLOPs DeepLab v3+ takes than DAN at one LRG size, per pruning rate, with rounding bounds."""
    table = gflops[gflops.lrg_size == lrg_size].pivot_table(index="prune_rate", columns="model", values="value")
    a, b, h = table["deeplabv3plus"], table["dan"], HALF_GFLOPS
    out = pd.DataFrame({"excess": a / b - 1, "low": (a - h) / (b + h) - 1, "high": (a + h) / (b - h) - 1})
    return out.reset_index()


def savings(cells: pd.DataFrame) -> pd.DataFrame:
    """Add the saved share of FLOPs and the lost share of mIoU, both against the unpruned network at LRG 129."""
    full = cells[(cells.prune_rate == 0) & (cells.lrg_size == FULL_GRID)].groupby("model")["gflops"].first()
    return cells.assign(saving=1 - cells.gflops / cells.model.map(full), loss=1 - cells.miou / cells.parent)


def least_loss(cells: pd.DataFrame, low: float, high: float = 1.0) -> pd.DataFrame:
    """Return for each model and data set the setting that saves between `low` and `high` at the smallest loss."""
    some = savings(cells).query("saving >= @low - 1e-12 and saving <= @high + 1e-12")
    return some.loc[some.groupby(["model", "dataset"])["loss"].idxmin()].reset_index(drop=True)


def optima(cells: pd.DataFrame) -> pd.DataFrame:
    """Return `cost.optima` of the 24 setups, and `possible`: all sizes that rounding allows."""
    groups = cells.groupby(SETUP, sort=False)
    possible = [possible_optima(g.lrg_size, g.gflops, g.miou) for _, g in groups]
    return cost.optima(cells, SETUP).assign(possible=possible)


def possible_optima(
    size, gflops, miou, half_gflops: float = HALF_GFLOPS, half_miou: float = HALF_MIOU
) -> tuple[int, ...]:
    """Return the sizes that can have the smallest FPI for some true values behind the printed ones.

    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.48])
    (65,)
    >>> possible_optima([65, 33], [100.0, 98.0], [0.50, 0.49])
    (65, 33)
    """
    gflops, miou = np.asarray(gflops, float), np.asarray(miou, float)
    best = (gflops - half_gflops) / (miou + half_miou)
    worst = (gflops + half_gflops) / (miou - half_miou)
    size = list(size)
    keep = [i for i in range(len(best)) if all(best[i] <= worst[j] for j in range(len(best)) if j != i)]
    return tuple(int(size[i]) for i in keep)


def open_optima(cells: pd.DataFrame, constants: pd.DataFrame) -> pd.DataFrame:
    """Return `optima` with `possible` from the finest FLOPs that the paper prints.

    Those of the unpruned networks follow from A.1's tenths by `area_law`, to 0.1 GFLOP; the others are Table 2's
    integers.
    """
    out = optima(cells)
    for i, key in enumerate(out[SETUP].itertuples(index=False, name=None)):
        if key[2] == 0:
            own = cells[(cells[SETUP] == list(key)).all(axis=1)]
            both = [constant(constants, key[0], part, "FLOPs") for part in ("encoder", "decoder")]
            gflops = both[0] + both[1] * (own.lrg_size / FULL_GRID) ** 2
            out.at[i, "possible"] = possible_optima(own.lrg_size.tolist(), gflops, own.miou, half_gflops=0.1)
    return out


def moves(optima: pd.DataFrame, sizes: list[int]) -> pd.DataFrame:
    """Return how many steps in `sizes` the optimum moves over the pruning rates, for each model and data set.

    Columns printed (by lrg_size), least and most (over every choice from `possible`).

    >>> sets = [(65, 33), (33,), (49, 17)]
    >>> o = pd.DataFrame({"model": "a", "dataset": "b", "lrg_size": [65, 33, 17], "possible": sets})
    >>> moves(o, [65, 49, 33, 17]).values.tolist()
    [[3, 1, 3]]
    """
    rows = {}
    for key, own in optima.groupby(["model", "dataset"]):
        places = [[sizes.index(s) for s in found] for found in own.possible]
        spans = [max(p) - min(p) for p in itertools.product(*places)]
        printed = [sizes.index(s) for s in own.lrg_size]
        rows[key] = {"printed": max(printed) - min(printed), "least": min(spans), "most": max(spans)}
    return pd.DataFrame.from_dict(rows, orient="index")


def on_front(cells: pd.DataFrame, chosen: pd.DataFrame) -> pd.Series:
    """Say of each chosen LRG size whether it is undominated: no other of its setup costs less and scores more."""
    groups = {key: (g.lrg_size.to_numpy(), g.gflops.to_numpy(), g.miou.to_numpy()) for key, g in cells.groupby(SETUP)}
    out = []
    for *key, size in chosen[[*SETUP, "lrg_size"]].itertuples(index=False):
        sizes, gflops, miou = groups[tuple(key)]
        mine = np.flatnonzero(sizes == size)[0]
        no_worse = (gflops <= gflops[mine]) & (miou >= miou[mine])
        better = (gflops < gflops[mine]) | (miou > miou[mine])
        out.append(not (no_worse & better).any())
    return pd.Series(out, index=chosen.index)


def best_over_pruning(cells: pd.DataFrame) -> pd.DataFrame:
    """Return for each model and data set the setting of smallest FPI over all pruning rates and LRG sizes."""
    rows = savings(cells)
    return rows.loc[rows.groupby(["model", "dataset"])["fpi"].idxmin()].reset_index(drop=True)
