"""Figures on block-wise annotation: Fig. 6 with our scenes, Table 3 as curves, coarse contours, error in frequency."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from specseg.figures import COLORS, SET_COLORS, SET_NAMES, mosaic, painted
from specseg.figures.loss import beside, lines
from specseg.figures.plots import curves, draw, forest, groups, plot

VOID = (210, 210, 210)  # light grey: white is a class of land cover


def fig6(rows: Mapping[str, Mapping[str, np.ndarray]], palettes: Mapping[str, np.ndarray]):
    """Draw label maps, a column per kind of scene and a row per title; `palettes` uint8 (C, 3) per kind, void grey."""
    titles = next(iter(rows.values()))
    return mosaic({title: {SET_NAMES.get(kind, kind).split(" (")[0]: painted(maps[title], palettes[kind], VOID)
                           for kind, maps in rows.items()} for title in titles})  # fmt: skip


def drops(ours: pd.DataFrame, printed: pd.DataFrame):
    """Draw Table 3b: relative mIoU-drop against the blocks' band limit, the paper's above ours, on one scale.

    Columns kind, model, nu_max (0: full labels), drop; the paper's dataset; ours domain, low, high, label_drop.
    """
    named = {"the paper, Table 3": printed.rename(columns={"dataset": "domain"}), "ours": ours}
    panels = {title: rows[rows["nu_max"] > 0].rename(columns={"drop": "value"}) for title, rows in named.items()}
    fig = beside(panels, "nu_max", ticks=(8, 16, 32, 64), percent="y", at_y=[0], ylabel="share of the mIoU lost",
                 xlabel=r"$\nu_{max}$ of the training labels, finest at the left")  # fmt: skip
    draw(fig.axes[1], lines(panels["ours"], "nu_max", "label_drop", name=lambda *_: "_", interval=False, ls=":",
                            marker="", color=COLORS["black"]))  # fmt: skip
    fig.axes[1].invert_xaxis()
    return fig


def ceilings(rows: pd.DataFrame):
    """Draw the mIoU of weak labels against true ones by band limit: columns dataset, kind, nu_max, value."""
    looks = {"band": ("band-limited", "green", "^-"), "majority": ("blocks, majority", "blue", "s-"),
             "nearest": ("blocks, nearest", "red", "o-")}  # fmt: skip
    shown = {}
    for name, own in rows.groupby("dataset", sort=False):
        wide = own.pivot(index="nu_max", columns="kind", values="value")
        shown[SET_NAMES.get(name, name)] = curves(wide, wide.index, looks)
    return plot(shown, height=2.2, share="xy", ticks=(4, 8, 16, 32, 64, 128), at_y=[0.8], legend=3,
                xlabel=r"$\nu_{max}$", ylabel="mIoU with true labels")  # fmt: skip


def agreement(rows: pd.DataFrame):
    """Draw how coarse labels agree, per label set with intervals: columns dataset, kind, value, low, high."""
    kinds = {"block_majority": "blocks with true labels", "polygon_true": "polygons with true labels",
             "polygon_block": "polygons with blocks"}  # fmt: skip
    own = rows[rows["kind"].isin(kinds)]
    own = own.assign(kind=own["kind"].map(kinds), name=own["dataset"].map(SET_NAMES))
    return forest(groups(own, "kind", "value", "name"), height=0.5, at_x=[0.8], legend=1, xlabel="mIoU (dotted: 0.8)")


def error_spectrum(rows: pd.DataFrame, nu_max: int):
    """Draw the share of power above each frequency: of labels and of what blocks of nu_max get wrong.

    Columns regime, what ("labels", "error of the blocks"), nu, value.
    """

    def look(regime: str, what: str) -> dict:
        return {"color": SET_COLORS[regime], "ls": "-" if what.startswith("error") else ":",
                "label": f"{SET_NAMES[regime].split(' (')[0]}: {what}"}  # fmt: skip

    shown = groups(rows.assign(nu=rows["nu"].clip(lower=0.5)), ["regime", "what"], "nu", look=look)
    return plot(shown, height=3.2, log="x", at_x=[nu_max], at_y=[0.5], ylim=(0, 1.02), legend=1,
                xlabel=r"frequency $\nu$ [cycles per frame]", ylabel="share of power above")  # fmt: skip
