"""Figures of chapter 62: networks that others trained: R_ce and its readings, drops against R_ce and against scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from specseg.figures import COLORS, CYCLE, DATASET_NAMES, legend_below, plain_ticks, stacked, subplots

MARKERS = "osv^DPX"


def _styles(networks: Sequence[str]) -> dict[str, dict]:
    colors = [c for c in CYCLE if c != COLORS["black"]] * 2  # black is the paper
    looks = zip(dict.fromkeys(networks), colors, MARKERS * 2, strict=False)
    return {name: {"color": c, "marker": m, "ms": 4} for name, c, m in looks}


def rates(curves: pd.DataFrame, span: pd.DataFrame) -> Figure:
    """Draw R_ce over the band limit, a panel a data set: networks, range over readings (grey), the paper's (black).

    `curves` has dataset, network, nu_max, value (plain reading); `span` is what `study.third_party.inside` returns.
    """
    sets = list(dict.fromkeys([*span["dataset"], *curves["dataset"]]))
    fig, axes = stacked(map(DATASET_NAMES.get, sets), 3.0, sharex=True)
    looks = _styles(curves["network"])
    for ax, dataset in zip(axes, sets, strict=True):
        for name, part in curves[curves["dataset"] == dataset].groupby("network", sort=False):
            ax.plot(part["nu_max"], part["value"], label=name, lw=1.1, **looks[name])
        here = span[span["dataset"] == dataset]
        if len(here):
            ax.fill_between(here["nu_max"], here["least"], here["most"], color=COLORS["grey"], alpha=0.2, lw=0,
                            label="all readings")  # fmt: skip
            for values, form, model in zip(zip(*here["printed"], strict=True), ("-", "--"), ("DeepLab v3+", "DAN"),
                                           strict=True):  # fmt: skip
                ax.plot(here["nu_max"], values, form, color=COLORS["black"], lw=2, label=f"the paper, {model}")
        ax.set(yscale="log", ylim=(1e-4, 4), ylabel=r"$R_{ce}(\nu_{max})$")
    plain_ticks(axes[-1], (8, 16, 24, 32, 40, 48, 64))
    axes[-1].set_xlabel(r"band limit $\nu_{max}$ (cycles per frame)")
    legend_below(fig, axes)
    return fig


def drop_and_rate(points: pd.DataFrame) -> Figure:
    """Draw the drop of truncated logits against R_ce at half the size, a panel a size: one mark a network.

    `points` has dataset, network, lrg_size, rce, drop.
    """
    sizes = sorted(points["lrg_size"].unique(), reverse=True)
    fig, axes = stacked([f"logits of {size} x {size}" for size in sizes], 2.6)
    looks = _styles(points["network"])
    for ax, size in zip(axes, sizes, strict=True):
        for (dataset, name), row in points[points["lrg_size"] == size].groupby(["dataset", "network"], sort=False):
            face = {"voc2012": looks[name]["color"], "camvid": COLORS["sky"]}.get(dataset, "white")
            ax.plot(row["rce"], row["drop"], ls="", mew=1.4, markerfacecolor=face,
                    label=f"{name}, {DATASET_NAMES[dataset].split()[0]}", **{**looks[name], "ms": 7})  # fmt: skip
        ax.set(xscale="log", ylabel="mIoU lost")
        low, high = ax.get_xlim()
        plain_ticks(ax, [t for t in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if low <= t <= high])
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    beyond = ", ".join(str((s - 1) // 2) for s in sizes)
    axes[-1].set_xlabel(rf"$R_{{ce}}$ beyond half of the size ({beyond} cycles)")
    legend_below(fig, axes[:1])
    return fig


def dose(points: pd.DataFrame) -> Figure:
    """Draw what truncated logits cost against contour per cell of their grid, a panel a data set, a colour a scale.

    `points` is what `study.scale.points` returns: a line a network and scale, black what the labels alone lose.
    """
    sets = points.groupby("domain", sort=False)
    fig, axes = stacked([title for title, _ in sets], 2.6, sharex=True)
    words = {0.5: "half the scale", 1.0: "once", 2.0: "twice"}
    for ax, (_, here) in zip(axes, sets, strict=True):
        for (scale, _), part in here.groupby(["scale", "network"]):
            k = list(words).index(scale)
            ax.plot(part["dose"], part["drop"], color=CYCLE[k], marker=MARKERS[k], ms=4, lw=1, alpha=0.7,
                    label=words[scale])  # fmt: skip
        for _, part in here.groupby("network"):
            alone = part.groupby("dose")["labels"].mean()
            ax.plot(alone, color=COLORS["black"], lw=1.6, ls="--", label="the labels alone")
        ax.set_ylabel("mIoU lost")
        ax.set_yscale("symlog", linthresh=0.01)
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    low, high = axes[0].get_xlim()
    plain_ticks(axes[-1], [t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2) if low <= t <= high])
    axes[-1].set_xlabel("contour per cell of the cut grid (in sides of a cell)")
    legend_below(fig, axes[:1])
    return fig


def readings(table: pd.DataFrame) -> Figure:
    """Draw what each reading does to R_ce with the network held fixed: ratio to the plain one, a row a reading.

    `table` is what `study.third_party.readings` returns: marks are networks, the bar their median.
    """
    names = [n for n in dict.fromkeys(table["reading"]) if n != "periodic"]
    sets = list(dict.fromkeys(table["dataset"]))
    fig, ax = subplots(size=(4.9, 0.42 * len(names) + 1.4))
    for j, dataset in enumerate(sets):
        at = (j - (len(sets) - 1) / 2) * 0.26
        own = table[(table["dataset"] == dataset) & table["reading"].isin(names)]
        ax.plot(own["ratio"], own["reading"].map(names.index) + at, ls="", marker=MARKERS[j], ms=4, color=CYCLE[j],
                alpha=0.6, label=DATASET_NAMES[dataset])  # fmt: skip
        middle = own.groupby("reading")["ratio"].median()
        y = np.array([names.index(n) for n in middle.index]) + at
        ax.vlines(middle, y - 0.12, y + 0.12, color=CYCLE[j], lw=2.2)
    ax.set(xscale="log", ylim=(len(names) - 0.5, -0.5), xlabel="R_ce(32) over that of the plain reading")
    ax.set_yticks(range(len(names)), [n.replace(", mean of the pictures' ratios", ",\nmean of ratios") for n in names])
    ax.tick_params(axis="y", labelsize=9.8)
    ax.axvline(1, color=COLORS["black"], lw=0.8)
    legend_below(fig, [ax], columns=3)
    return fig
