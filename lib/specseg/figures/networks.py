"""Figures of chapter 55: the networks, Table 2, what time follows FLOPs, filters, and per-class scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import PercentFormatter

from specseg.figures import COLORS, DATASET_NAMES, MODEL_NAMES, legend_below, stacked, subplots


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
    for x in range(1, len(stages)):
        look = {"arrowstyle": "-|>", "mutation_scale": 7, "color": "black", "lw": 0.7}
        ax.add_patch(FancyArrowPatch((x - 0.63, 0.6), (x - 0.37, 0.6), **look))
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
    panels = [(m, s, f[f["model"] == m]) for m in MODEL_NAMES for s, f in ((32, stride32), (16, stride16))]
    titles = [f"{MODEL_NAMES[m]}, stride {s}: {cells['agrees'].sum()} of {len(cells)}" for m, s, cells in panels]
    fig, axes = stacked(titles, 2.6, 0.0)
    for ax, (_, _, cells) in zip(axes, panels, strict=True):
        sizes, rates = sorted(cells["lrg_size"].unique(), reverse=True), sorted(cells["prune_rate"].unique())
        for row in cells.itertuples():
            x, y = sizes.index(row.lrg_size), rates.index(row.prune_rate)
            colour = COLORS["green"] if row.agrees else COLORS["orange"]
            ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, alpha=0.30, lw=0))
            ax.text(x, y - 0.2, f"{row.value / 1e9:.1f}", ha="center", va="center", fontsize=9.5)
            ax.text(x, y + 0.22, f"{row.printed:.0f}", ha="center", va="center", fontsize=9.5, color="#555555")
        ax.set_xticks(range(len(sizes)), sizes)
        ax.set_yticks(range(len(rates)), [f"{r:.0%}" for r in rates])
        ax.set(xlim=(-0.55, len(sizes) - 0.45), ylim=(len(rates) - 0.5, -0.5), ylabel="encoder pruned")
        ax.grid(False)
        ax.tick_params(length=0)
    axes[-1].set_xlabel("LRG size")
    return fig


def sensitivity(table: pd.DataFrame) -> Figure:
    """Show how many cells of Table 2 remain when one choice of the counting rule is changed: a bar a choice."""
    rows, total = table[table["option"] != ""].sort_values("cells", kind="stable"), 56
    fig, ax = subplots(size=(4.8, 0.44 * len(rows) + 0.8))
    ax.barh(range(len(rows)), rows["cells"], color=COLORS["blue"], height=0.36)
    ax.axvline(total, color=COLORS["green"], lw=1.5)
    for y, row in enumerate(rows.itertuples()):
        ax.text(0, y - 0.24, f"{row.choice}: {row.option}", fontsize=9.8)
        ax.text(row.cells + 0.6, y, f"{row.cells}", va="center", fontsize=9.8)
    ax.set(yticks=[], xlim=(0, total + 5), ylim=(-0.7, len(rows) - 0.5), xlabel=f"cells of Table 2 met, of {total}")
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    return fig


def optima(frame: pd.DataFrame) -> Figure:
    """Show the LRG size of least FPI by printed FLOPs, by stride 32 and by stride 16 (columns printed, stride32,
    stride16)."""
    models = frame.groupby("model", sort=False)
    fig, axes = stacked([MODEL_NAMES[m] for m, _ in models], 2.8, 1.0, sharex=True)
    marks = {"printed": ("o", "black"), "stride32": ("x", "blue"), "stride16": ("s", "red")}
    for ax, (_, part) in zip(axes, models, strict=True):
        for name, (mark, colour) in marks.items():
            ax.plot(part[name], range(len(part)), mark, mfc="none", color=COLORS[colour], ms=7, mew=1.5,
                    label=name.replace("stride", "stride "))  # fmt: skip
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.12, lw=0)
        ax.set_xticks([17, 33, 49, 65, 81, 97])
        ax.set_yticks(range(len(part)), [f"{DATASET_NAMES[r.dataset]}, {r.prune_rate:.0%}" for r in part.itertuples()])
        ax.invert_yaxis()
    axes[-1].set_xlabel("LRG size of least FPI")
    legend_below(fig, axes[:1], 3)
    return fig


def promised_and_measured(frame: pd.DataFrame) -> Figure:
    """Plot time ratios against FLOPs ratios to the full network: truncated, masked and removed, one panel a model.

    `frame` has model, form, lrg_size, prune_rate, flops_ratio (promised), time_ratio, low, high.
    """
    models = frame.groupby("model", sort=False)
    fig, axes = stacked([MODEL_NAMES[m] for m, _ in models], 3.0, 0.4, sharex=True)
    styles = {"full": ("o", "blue", "truncated"), "masked": ("x", "red", "filters zero"),
              "removed": ("s", "green", "filters gone")}  # fmt: skip
    for ax, (_, part) in zip(axes, models, strict=True):
        for form, rows in part.groupby("form"):
            marker, colour, label = styles[form]
            ax.vlines(rows["flops_ratio"], rows["low"], rows["high"], color=COLORS[colour], lw=0.8)
            ax.plot(rows["flops_ratio"], rows["time_ratio"], marker, color=COLORS[colour], label=label, ms=5)
        ax.plot([0, 1], [0, 1], color=COLORS["grey"], lw=1, ls="--")
        top = max(1.1, float(part["high"].max()) * 1.03)
        ax.set(ylabel="time measured, of the full", xlim=(0, 1.05), ylim=(0, top))
    axes[-1].set_xlabel("FLOPs promised, of the full network")
    axes[0].legend(loc="upper left")
    return fig


def filter_norms(norms: Sequence[float], rates: Sequence[float], schedule: pd.DataFrame) -> Figure:
    """Show one layer's filter norms, sorted, with what each rate zeroes; below it the rate over epochs for both
    schedules.

    `schedule` has epoch, constant, asymptotic.
    """
    fig, (left, right) = subplots(2, 1, size=(4.8, 5.0))
    ordered = np.sort(np.asarray(norms))
    left.bar(range(len(ordered)), ordered, width=1.0, color=COLORS["grey"], lw=0)
    for rate, colour in zip(rates, (COLORS["sky"], COLORS["blue"], COLORS["black"]), strict=False):
        cut = int(len(ordered) * rate)
        left.axvline(cut - 0.5, color=colour, lw=1.4)
        words = {"ha": "right", "va": "top", "rotation": 90, "fontsize": 9.8}
        left.text(cut - 0.8, ordered.max(), f"{rate:.0%}", color=colour, **words)
    left.set(xlabel="filters of one layer, weakest first", ylabel="L2 norm", xlim=(-0.5, len(ordered) - 0.5))
    right.step(schedule["epoch"], schedule["constant"], where="post", color=COLORS["blue"], label="constant")
    right.plot(schedule["epoch"], schedule["asymptotic"], color=COLORS["red"], label="asymptotic")
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set(xlabel="epoch", ylabel="filters zeroed", ylim=(0, None))
    right.legend(loc="lower right")
    return fig


def class_scores(frame: pd.DataFrame) -> Figure:
    """Show IoU per class for several predictors, one panel a data set; the last bars are the mean.

    `frame` has dataset, predictor, class, value, low, high (over folds or seeds; equal to value where there is one).
    """
    datasets = frame.groupby("dataset", sort=False)
    fig, axes = stacked([DATASET_NAMES.get(d, d) for d, _ in datasets], 2.8, 0.4)
    palette = (COLORS["blue"], COLORS["grey"], COLORS["sky"], COLORS["red"])
    for ax, (_, part) in zip(axes, datasets, strict=True):
        classes, predictors = list(dict.fromkeys(part["class"])), list(dict.fromkeys(part["predictor"]))
        width = 0.8 / len(predictors)
        for i, (predictor, colour) in enumerate(zip(predictors, palette, strict=False)):
            rows = part[part["predictor"] == predictor].set_index("class").loc[classes]
            at = np.arange(len(classes)) + (i - (len(predictors) - 1) / 2) * width
            ax.bar(at, rows["value"], width, color=colour, label=predictor)
            ax.vlines(at, rows["low"], rows["high"], color=COLORS["black"], lw=0.8)
        ax.set(ylabel="IoU", ylim=(0, 1))
        ax.set_xticks(range(len(classes)), classes, rotation=40, ha="right", fontsize=9.8)
    legend_below(fig, axes[:1])
    return fig
