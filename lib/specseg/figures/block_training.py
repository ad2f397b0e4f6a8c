"""Figures on block-wise annotation: Fig. 6 with our scenes, Table 3 as curves, coarse contours, error in frequency."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from specseg import figures
from specseg.figures import COLORS, KIND_COLORS, MODEL_MARKERS, MODEL_NAMES, REGIME_COLORS, SET_NAMES, painted
from specseg.figures.loss import DOMAIN_NAMES

VOID = (210, 210, 210)  # light grey: white is a class of land cover
PALE = {"objects": COLORS["sky"], "land cover": "#7FCDB4", "streets": COLORS["orange"]}  # DAN beside KIND_COLORS


def fig6(rows: Mapping[str, Mapping[str, np.ndarray]], palettes: Mapping[str, np.ndarray]):
    """Draw label maps, a column per kind of scene and a row per title; `palettes` uint8 (C, 3) per kind, void grey."""
    count = len(next(iter(rows.values())))
    fig, axes = figures.subplots(count, len(rows), size=(4.9, 4.8 / len(rows) * count + 0.2), squeeze=False)
    for column, (kind, panels) in zip(axes.T, rows.items(), strict=True):
        for ax, (title, labels) in zip(column, panels.items(), strict=True):
            figures.picture(ax, painted(labels, palettes[kind], VOID))
            if ax in axes[:, 0]:
                ax.set_ylabel(title)
        column[0].set_title(SET_NAMES.get(kind, kind).split(" (")[0])
    return fig


def drops(ours: pd.DataFrame, printed: pd.DataFrame):
    """Draw Table 3b: relative mIoU-drop against the blocks' band limit, the paper's above ours, on one scale.

    Columns kind, model, nu_max (0: full labels), drop; ours also domain, low, high, label_drop (dotted).
    """
    fig, axes = figures.subplots(2, 1, size=(4.9, 6.4), sharex=True, sharey=True)
    ticks = sorted((set(printed["nu_max"]) | set(ours["nu_max"])) - {0}, reverse=True)
    for ax, table, name in ((axes[0], printed, "dataset"), (axes[1], ours, "domain")):
        for (who, kind, model), g in table[table["nu_max"] > 0].groupby([name, "kind", "model"]):
            color, x = PALE[kind] if model == "dan" else KIND_COLORS[kind], np.log2(g["nu_max"])
            look = {"color": color, "marker": MODEL_MARKERS[model], "ms": 5}
            ax.plot(x, g["drop"], label=f"{DOMAIN_NAMES.get(who, who)}, {MODEL_NAMES[model]}", **look)
            if "low" in g:
                ax.vlines(x, g["low"], g["high"], color=color, lw=1)
                ax.plot(x, g["label_drop"], ":", color=COLORS["black"], lw=1.2)
        ax.axhline(0, color=COLORS["grey"], lw=0.8)
        ax.set(title="the paper, Table 3" if ax is axes[0] else "ours", ylabel="share of the mIoU lost")
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    axes[1].set_xticks([np.log2(t) for t in ticks], [str(t) for t in ticks])
    axes[1].set_xlabel(r"$\nu_{max}$ of the training labels, finest at the left")
    axes[1].invert_xaxis()
    figures.legend_below(fig, axes)
    return fig


def ceilings(rows: pd.DataFrame):
    """Draw the mIoU of weak labels against true ones by band limit: columns dataset, kind, nu_max, value."""
    looks = {"band": ("band-limited", "green", "^-"), "majority": ("blocks, majority", "blue", "s-"),
             "nearest": ("blocks, nearest", "red", "o-")}  # fmt: skip
    sets = rows.groupby("dataset", sort=False)
    lines = -(-len(sets) // 2)
    fig, axes = figures.subplots(lines, 2, size=(4.9, 2.3 * lines + 0.6), sharex=True, sharey=True, squeeze=False)
    for ax, (name, own) in zip(axes.flat, sets, strict=False):
        wide = own.pivot(index="nu_max", columns="kind", values="value")
        figures.curves(ax, wide.index, wide, looks, ms=4)
        figures.plain_ticks(ax, sorted(n for n in set(rows["nu_max"]) if np.log2(n) % 1 == 0))
        ax.axhline(0.8, ls=":", color=COLORS["black"], lw=1)
        ax.set(title=SET_NAMES.get(name, name), xlabel=r"$\nu_{max}$", ylabel="mIoU with true labels")
        ax.label_outer()
    for ax in axes.flat[len(sets) :]:
        ax.set_axis_off()
    figures.legend_below(fig, axes[0, :1])
    return fig


def agreement(rows: pd.DataFrame):
    """Draw how coarse labels agree, per label set with intervals: columns dataset, kind, value, low, high."""
    looks = {"block_majority": ("blocks with true labels", "blue", "o"),
             "polygon_true": ("polygons with true labels", "green", "s"),
             "polygon_block": ("polygons with blocks", "black", "D")}  # fmt: skip
    sets = list(dict.fromkeys(rows["dataset"]))
    fig, ax = figures.subplots(size=(4.9, 0.5 * len(sets) + 1.8))
    for k, (kind, (label, color, mark)) in enumerate(looks.items()):
        g = rows[rows["kind"] == kind]
        y = np.array([sets.index(d) for d in g["dataset"]]) + 0.2 * (k - 1)
        ax.hlines(y, g["low"], g["high"], color=COLORS[color], lw=1.6)
        ax.plot(g["value"], y, mark, color=COLORS[color], ms=5, label=label)
    ax.axvline(0.8, ls=":", color=COLORS["black"], lw=1)
    ax.set_yticks(range(len(sets)), [SET_NAMES.get(name, name) for name in sets])
    ax.set(xlabel="mIoU (dotted: 0.8)", ylim=(len(sets) - 0.5, -0.5))
    figures.legend_below(fig, [ax], 1)
    return fig


def error_spectrum(rows: pd.DataFrame, nu_max: int):
    """Draw the share of power above each frequency: of labels and of what blocks of nu_max get wrong.

    Columns regime, what ("labels", "error of the blocks"), nu, value.
    """
    fig, ax = figures.subplots(size=(4.9, 4.2))
    for (regime, what), g in rows.groupby(["regime", "what"], sort=False):
        line, kind = "-" if what.startswith("error") else ":", SET_NAMES[regime].split(" (")[0]
        ax.plot(g["nu"].clip(lower=0.5), g["value"], line, color=REGIME_COLORS[regime], label=f"{kind}: {what}")
    ax.axvline(nu_max, color=COLORS["grey"], lw=1)
    ax.axhline(0.5, color=COLORS["grey"], lw=0.6)
    ax.set(xscale="log", xlabel=r"frequency $\nu$ [cycles per frame]", ylabel="share of power above", ylim=(0, 1.02))
    figures.legend_below(fig, [ax], 1)
    return fig
