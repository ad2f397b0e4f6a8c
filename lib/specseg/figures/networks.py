"""Figures of chapter 55: the networks, Table 2, what time follows FLOPs, filters, and per-class scores."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from specseg.figures import COLORS, DATASET_NAMES, MODEL_NAMES, subplots


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
    for a, b in zip(range(len(stages) - 1), range(1, len(stages)), strict=True):
        arrow = FancyArrowPatch(
            (a + 0.37, 0.6), (b - 0.37, 0.6), arrowstyle="-|>", mutation_scale=7, color="black", lw=0.7
        )
        ax.add_patch(arrow)
    ax.set(xlim=(-0.7, len(stages) - 0.3), ylim=(0, 7.9), yticks=[], xticks=range(len(stages)))
    ax.set_xticklabels(stages["stage"], rotation=50, ha="right", fontsize=9.8)
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    for i, (part, colour) in enumerate(colours.items()):
        ax.text(
            0.60 + 0.2 * (i - 1), 0.97, part, transform=ax.transAxes, color=colour, ha="right", va="top", weight="bold"
        )
    return fig


def table2(stride32: pd.DataFrame, stride16: pd.DataFrame) -> Figure:
    """Show Table 2 cell by cell: our count (one decimal), the printed one below, green where they agree.

    Both frames come from `flops.table2.compare`; one panel a model and output stride, below one another.
    """
    fig, axes = subplots(4, 1, size=(4.8, 10.4))
    panels = [(m, s, f) for m in MODEL_NAMES for s, f in ((32, stride32), (16, stride16))]
    for ax, (model, stride, frame) in zip(axes, panels, strict=True):
        cells = frame[frame["model"] == model]
        sizes = sorted(cells["lrg_size"].unique(), reverse=True)
        rates = sorted(cells["prune_rate"].unique())
        for row in cells.itertuples():
            x, y = sizes.index(row.lrg_size), rates.index(row.prune_rate)
            colour = COLORS["green"] if row.agrees else COLORS["orange"]
            ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=colour, alpha=0.30, lw=0))
            ax.text(x, y - 0.2, f"{row.value / 1e9:.1f}", ha="center", va="center", fontsize=9.5)
            ax.text(x, y + 0.22, f"{row.printed:.0f}", ha="center", va="center", fontsize=9.5, color="#555555")
        ax.set(
            xlim=(-0.55, len(sizes) - 0.45), ylim=(len(rates) - 0.5, -0.5), ylabel="encoder pruned",
            xticks=range(len(sizes)), yticks=range(len(rates)),
            xticklabels=sizes, yticklabels=[f"{r:.0%}" for r in rates],
        )  # fmt: skip
        ax.set_title(f"{MODEL_NAMES[model]}, stride {stride}: {cells['agrees'].sum()} of {len(cells)}")
        ax.grid(False)
        ax.tick_params(length=0)
    axes[-1].set_xlabel("LRG size")
    return fig


def sensitivity(table: pd.DataFrame, total: int = 56) -> Figure:
    """Show how many cells of Table 2 remain when one choice of the counting rule is changed: a bar a choice."""
    rows = table[table["option"] != ""].sort_values("cells", kind="stable")
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
    labels = [f"{DATASET_NAMES[r.dataset]}, {r.prune_rate:.0%}" for r in frame.itertuples()]
    models = list(dict.fromkeys(frame["model"]))
    fig, axes = subplots(len(models), 1, size=(4.8, 6.6), sharex=True)
    markers = (("printed", "o", COLORS["black"]), ("stride32", "x", COLORS["blue"]), ("stride16", "s", COLORS["red"]))
    for ax, model in zip(np.atleast_1d(axes), models, strict=True):
        part = frame[frame["model"] == model]
        for name, marker, colour in markers:
            hollow = {"facecolors": "none", "edgecolors": colour} if marker != "x" else {"color": colour}
            label = name.replace("stride", "stride ")
            ax.scatter(part[name], range(len(part)), marker=marker, s=44, label=label, **hollow)
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.12, lw=0)
        ax.set(
            title=MODEL_NAMES[model],
            yticks=range(len(part)),
            xticks=[17, 33, 49, 65, 81, 97],
        )
        ax.set_yticklabels(labels[: len(part)])
        ax.invert_yaxis()
    ax.set_xlabel("LRG size of least FPI")
    handles, names = np.atleast_1d(axes)[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=3)
    return fig


def promised_and_measured(frame: pd.DataFrame) -> Figure:
    """Plot time ratios against FLOPs ratios to the full network: truncated, masked and removed, one panel a model.

    `frame` has model, form, lrg_size, prune_rate, flops_ratio (promised), time_ratio, low, high.
    """
    models = list(dict.fromkeys(frame["model"]))
    fig, axes = subplots(len(models), 1, size=(4.8, 6.4), sharex=True)
    styles = {
        "full": ("o", COLORS["blue"], "truncated"),
        "masked": ("x", COLORS["red"], "filters zero"),
        "removed": ("s", COLORS["green"], "filters gone"),
    }
    for ax, model in zip(np.atleast_1d(axes), models, strict=True):
        part = frame[frame["model"] == model]
        for form, (marker, colour, label) in styles.items():
            rows = part[part["form"] == form]
            if rows.empty:
                continue
            errors = np.abs(rows[["low", "high"]].to_numpy().T - rows["time_ratio"].to_numpy())
            ax.errorbar(
                rows["flops_ratio"],
                rows["time_ratio"],
                yerr=errors,
                fmt=marker,
                color=colour,
                label=label,
                ms=5,
                elinewidth=0.8,
            )
        top = max(1.1, float(part["high"].max()) * 1.03)
        ax.plot([0, 1], [0, 1], color=COLORS["grey"], lw=1, ls="--")
        ax.set(
            title=MODEL_NAMES.get(model, model),
            ylabel="time measured, of the full",
            xlim=(0, 1.05),
            ylim=(0, top),
        )
    ax.set_xlabel("FLOPs promised, of the full network")
    np.atleast_1d(axes)[0].legend(loc="upper left")
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
        left.text(
            cut - 0.8, ordered.max(), f"{rate:.0%}", ha="right", va="top", color=colour, rotation=90, fontsize=9.8
        )
    left.set(xlabel="filters of one layer, weakest first", ylabel="L2 norm", xlim=(-0.5, len(ordered) - 0.5))
    right.step(schedule["epoch"], schedule["constant"], where="post", color=COLORS["blue"], label="constant")
    right.plot(schedule["epoch"], schedule["asymptotic"], color=COLORS["red"], label="asymptotic")
    right.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, decimals=0))
    right.set(xlabel="epoch", ylabel="filters zeroed", ylim=(0, None))
    right.legend(loc="lower right")
    return fig


def class_scores(frame: pd.DataFrame) -> Figure:
    """Show IoU per class for several predictors, one panel a data set; the last bars are the mean.

    `frame` has dataset, predictor, class, value, low, high (over folds or seeds; equal to value where there is one).
    """
    datasets = list(dict.fromkeys(frame["dataset"]))
    fig, axes = subplots(len(datasets), 1, size=(4.8, 2.8 * len(datasets) + 0.4))
    palette = (COLORS["blue"], COLORS["grey"], COLORS["sky"], COLORS["red"])
    for ax, dataset in zip(np.atleast_1d(axes), datasets, strict=True):
        part = frame[frame["dataset"] == dataset]
        classes, predictors = list(dict.fromkeys(part["class"])), list(dict.fromkeys(part["predictor"]))
        width = 0.8 / len(predictors)
        for i, (predictor, colour) in enumerate(zip(predictors, palette, strict=False)):
            rows = part[part["predictor"] == predictor].set_index("class").loc[classes]
            at = np.arange(len(classes)) + (i - (len(predictors) - 1) / 2) * width
            spread = np.abs(rows[["low", "high"]].to_numpy().T - rows["value"].to_numpy())
            ax.bar(at, rows["value"], width, color=colour, label=predictor, yerr=spread, error_kw={"elinewidth": 0.8})
        ax.set(title=DATASET_NAMES.get(dataset, dataset), ylabel="IoU", ylim=(0, 1), xticks=range(len(classes)))
        ax.set_xticklabels(classes, rotation=40, ha="right", fontsize=9.8)
    handles, names = np.atleast_1d(axes)[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=2)
    return fig
