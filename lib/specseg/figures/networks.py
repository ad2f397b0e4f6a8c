"""Figures of chapter 55: the networks, Table 2, what time follows FLOPs, filters, and per-class scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from specseg.figures import COLORS, MODEL_NAMES, SET_NAMES, subplots
from specseg.figures.plots import Series, cells, curves, dress, forest, groups, line, panels, plot


def pipeline(stages: pd.DataFrame) -> Figure:
    """Draw grids and channels along a network: one bar a stage, as tall as its grid (log scale), its channels written
    on it.

    `stages` has stage, part ("encoder", "decoder", "image"), grid, channels, and lrg (grid under truncation, NaN
    where it does not change).
    """
    fig, ax = subplots(size=(5.0, 3.8))
    colours = {"image": COLORS["grey"], "encoder": COLORS["blue"], "decoder": COLORS["red"]}
    for x, row in enumerate(stages.itertuples()):
        height = np.log2(row.grid) - 2.0
        ax.add_patch(Rectangle((x - 0.36, 0), 0.72, height, color=colours[row.part], alpha=0.85, lw=0))
        if not np.isnan(row.lrg) and row.lrg != row.grid:
            low = np.log2(row.lrg) - 2.0
            ax.add_patch(Rectangle((x - 0.36, 0), 0.72, low, fill=False, ec="black", lw=1.2, ls="--"))
            ax.text(x, low + 0.05, f"{row.lrg:.0f}", ha="center", va="bottom", fontsize=9.8, color="white")
        ax.text(x, height + 0.08, f"{row.grid:.0f}", ha="center", va="bottom", fontsize=9.8)
        ax.text(x, 0.12, f"{row.channels:.0f}", ha="center", va="bottom", fontsize=9.8, color="white", weight="bold")
    ax.set(xlim=(-0.7, len(stages) - 0.3), ylim=(0, 7.9), yticks=[], xticks=range(len(stages)))
    ax.set_xticklabels(stages["stage"], rotation=50, ha="right", fontsize=9.8)
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    words = {"transform": ax.transAxes, "ha": "right", "va": "top", "weight": "bold"}
    for x, (part, colour) in zip((0.4, 0.6, 0.8), colours.items(), strict=True):
        ax.text(x, 0.97, part, color=colour, **words)
    return fig


def table2(stride32: pd.DataFrame, stride16: pd.DataFrame) -> Figure:
    """Show Table 2 cell by cell: our count (one decimal), the printed one below, green where they agree.

    Both frames come from `flops.table2.compare`; one panel a model and output stride, below one another.
    """
    tables = {}
    for model, name in MODEL_NAMES.items():
        for stride, frame in ((32, stride32), (16, stride16)):
            own = frame[frame["model"] == model]
            words = [f"{r.value / 1e9:.1f}\n{r.printed:.0f}" for r in own.itertuples()]
            own = own.assign(words=words, rate=own["prune_rate"].map("{:.0%}".format))
            tables[f"{name}, stride {stride}: {own['agrees'].sum()} of {len(own)}"] = own
    fig, axes = panels(tables, 2.4)
    for ax, own in zip(axes, tables.values(), strict=True):
        met, words = (own.pivot(index="rate", columns="lrg_size", values=v).iloc[:, ::-1] for v in ("agrees", "words"))
        cells(ax, met, words, cmap=ListedColormap([COLORS["orange"], COLORS["green"]]))
    return dress(fig, axes, xlabel="LRG size", ylabel="encoder pruned", legend=0)


def sensitivity(table: pd.DataFrame) -> Figure:
    """Show how many cells of Table 2 remain when one choice of the counting rule is changed: a mark a choice."""
    rows, total = table[table["option"] != ""].sort_values("cells", kind="stable"), 56
    names = [f"{r.choice}: {r.option} ({r.cells})" for r in rows.itertuples()]
    fig = forest([Series(rows["cells"], names, {"color": COLORS["blue"]})], height=0.55, legend=0,
                 xlim=(-2, total + 2), xlabel=f"cells of Table 2 met, of {total}")  # fmt: skip
    fig.axes[0].axvline(total, color=COLORS["green"], lw=1.5)
    return fig


def optima(frame: pd.DataFrame) -> Figure:
    """Show the LRG size of least FPI by printed FLOPs, by stride 32 and by stride 16 (columns printed, stride32,
    stride16)."""
    marks = {"printed": ("o", "black"), "stride32": ("x", "blue"), "stride16": ("s", "red")}
    shown = {}
    for model, part in frame.groupby("model", sort=False):
        rows = [f"{SET_NAMES[r.dataset]}, {r.prune_rate:.0%}" for r in part.itertuples()]
        shown[MODEL_NAMES[model]] = [
            Series(part[name], rows, {"marker": mark, "color": COLORS[color], "mfc": "none", "ms": 7, "mew": 1.5,
                                      "label": name.replace("stride", "stride ")})
            for name, (mark, color) in marks.items()]  # fmt: skip
    fig = forest(shown, dodge=0, height=0.2, legend=3, xticks=[17, 33, 49, 65, 81, 97], xlabel="LRG size of least FPI")
    for ax in fig.axes:
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.12, lw=0)
    return fig


def promised_and_measured(frame: pd.DataFrame) -> Figure:
    """Plot time ratios against FLOPs ratios to the full network: truncated, masked and removed, one panel a model.

    `frame` has model, form, lrg_size, prune_rate, flops_ratio (promised), time_ratio, low, high.
    """
    looks = {"full": ("o", "blue", "truncated"), "masked": ("x", "red", "filters zero"),
             "removed": ("s", "green", "filters gone")}  # fmt: skip

    def look(form: str) -> dict:
        fmt, color, label = looks[form]
        return {"fmt": fmt, "color": COLORS[color], "label": label, "ms": 5}

    equal = line([0, 1], [0, 1], "grey", "--")
    shown = {MODEL_NAMES[m]: [*groups(part, "form", "flops_ratio", "time_ratio", look), equal]
             for m, part in frame.groupby("model", sort=False)}  # fmt: skip
    return plot(shown, height=3.0, xlim=(0, 1.05), ylim=(0, max(1.1, 1.03 * frame["high"].max())), legend=3,
                xlabel="FLOPs promised, of the full network", ylabel="time measured, of the full")  # fmt: skip


def filter_norms(norms: Sequence[float], rates: Sequence[float], schedule: pd.DataFrame) -> Figure:
    """Show one layer's filter norms, sorted, with what each rate zeroes; below it the rate over epochs for both
    schedules.

    `schedule` has epoch, constant, asymptotic.
    """
    ordered = np.sort(np.asarray(norms))
    rate = curves(schedule, "epoch", {"constant": ("constant", "blue", "-"), "asymptotic": ("asymptotic", "red", "-")})
    fig = plot({"filters of one layer": [line(range(len(ordered)), ordered, "grey", "o")], "two schedules": rate},
               share="", ylim=(0, None), xlabel=["weakest first", "epoch"],
               ylabel=["L2 norm", "filters zeroed"])  # fmt: skip
    for share in rates:
        cut = int(len(ordered) * share) - 0.5
        fig.axes[0].axvline(cut, color=COLORS["blue"], lw=1.2)
        fig.axes[0].text(cut - 0.3, 0, f"{share:.0%} ", ha="right", va="bottom", fontsize=9.8)
    fig.axes[1].yaxis.set_major_formatter("{x:.0%}")
    return fig


def class_scores(frame: pd.DataFrame) -> Figure:
    """Show IoU per class for several predictors, one panel a data set; the last row is the mean.

    `frame` has dataset, predictor, class, value, low, high (over folds or seeds; equal to value where there is one).
    """
    shown = {SET_NAMES.get(d, d): groups(part, "predictor", "value", "class")
             for d, part in frame.groupby("dataset", sort=False)}  # fmt: skip
    return forest(shown, height=0.36, xlim=(0, 1), xlabel="IoU")
