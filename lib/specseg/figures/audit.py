"""Figures 4, 5a, 5b, 7 and 8 redrawn from the printed tables, and the audit's own pictures."""

from __future__ import annotations

import itertools
from textwrap import fill

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, DATASET_COLORS, DATASET_NAMES, MODEL_MARKERS, MODEL_NAMES, legend_below, subplots

MODELS = ("deeplabv3plus", "dan")
DATASETS = ("pascal", "deepglobe", "cityscapes")
PAIRS, CELL = tuple(itertools.product(MODELS, DATASETS)), ("model", "dataset", "prune_rate", "lrg_size")
RATE_COLORS = {0.0: COLORS["black"], 0.2: COLORS["blue"], 0.4: COLORS["green"], 0.6: COLORS["red"]}


def _rate(rate: float) -> str:
    return "no pruning" if rate == 0 else f"{rate:.0%} pruned"


def _name(model: str, dataset: str) -> str:
    return f"{MODEL_NAMES[model]}, {DATASET_NAMES[dataset]}"


def _line(model: str) -> dict:
    return {"marker": MODEL_MARKERS[model], "ls": "-" if model == "deeplabv3plus" else ":"}


def _own(frame: pd.DataFrame, model: str, dataset: str) -> pd.DataFrame:
    return frame[(frame.model == model) & (frame.dataset == dataset)]


def _dots(model: str, dataset: str, **style) -> dict:
    """Return how `scatter` marks a pair: model by marker, filled or not, data set by colour."""
    return {"marker": MODEL_MARKERS[model], "facecolors": "none" if model == "dan" else None,
            "color": DATASET_COLORS[dataset], "label": _name(model, dataset), **style}  # fmt: skip


def _points(ax, frame: pd.DataFrame, y: str = "miou_drop", size: float = 22) -> None:
    for pair in PAIRS:
        g = _own(frame, *pair)
        ax.scatter(g.rce, g[y], **_dots(*pair, s=size, linewidths=1.1, alpha=0.85))


def _by_rate(ax, cells: pd.DataFrame, x: str, y: str, named: str = "", **style) -> None:
    """Draw a line for each pruning rate."""
    for rate, g in cells.groupby("prune_rate"):
        ax.plot(g[x], g[y], color=RATE_COLORS[rate], label=named + _rate(rate), **style)


def _all_and_small(points: pd.DataFrame, threshold: float, **style):
    """Draw the drop against R_ce: all networks above, those below the threshold under them; (figure, upper, lower)."""
    fig, (upper, lower) = subplots(2, 1, size=(4.9, 7.4))
    for ax, part in ((upper, points), (lower, points[points.rce < threshold])):
        _points(ax, part, **style)
        ax.set_ylabel("relative mIoU-drop")
    upper.set_title(f"all {len(points)} networks")
    lower.set(xlabel=r"$R_{ce}(\nu_{max})$", title=f"$R_{{ce}}$ < {threshold:g}")
    return fig, upper, lower


def line_5b(cells: pd.DataFrame, ours, slopes: tuple[float, float], printed: dict[str, float]):
    """Draw Fig. 5b: drop against R_ce for all networks and below 0.2, with the printed and the refitted line.

    `ours` has slope and intercept; `slopes` is the clustered interval of the slope, drawn as a fan through the mean.
    """
    threshold = printed["threshold"]
    fig, upper, lower = _all_and_small(cells, threshold)
    upper.axvspan(0, threshold, color=COLORS["grey"], alpha=0.15, lw=0)
    upper.plot([0, 2], ours.intercept + ours.slope * np.array([0, 2]), color=COLORS["black"])
    upper.set_ylim(-0.02, 0.75)
    below, x = cells[cells.rce < threshold], np.linspace(0, threshold, 50)
    low, high = (below.miou_drop.mean() + s * (x - below.rce.mean()) for s in slopes)
    lower.fill_between(x, low, high, color=COLORS["grey"], alpha=0.2, lw=0, label="95 %, six curves as clusters")
    lower.plot(x, ours.intercept + ours.slope * x, color=COLORS["black"], label="the stated rule, recomputed")
    lower.plot(x, printed["intercept"] + printed["slope"] * x, "--", color=COLORS["purple"], label="printed line")
    lower.set_ylim(-0.01, 0.22)
    legend_below(fig, [lower])
    return fig


def lines_5a(cells: pd.DataFrame):
    """Draw Fig. 5a: drop against R_ce, one panel per data set, one line per model and pruning rate."""
    fig, axes = figures.stacked(map(DATASET_NAMES.get, DATASETS), 2.6)
    for ax, dataset in zip(axes, DATASETS, strict=True):
        for model in MODELS:
            own = _own(cells, model, dataset)
            _by_rate(ax, own, "rce", "miou_drop", f"{MODEL_NAMES[model]}, ", ms=4, lw=1, **_line(model))
        ax.set(ylabel="relative mIoU-drop", xlim=(0, None), ylim=(0, None))
    axes[-1].set_xlabel(r"$R_{ce}$")
    legend_below(fig, [axes[0]])
    return fig


def _a_panel_a_pair(cells: pd.DataFrame, x: str, y: str, xlabel: str, ylabel: str, **axes):
    """Draw columns of the cells against each other, a panel a model and data set; (figure, pair -> panel)."""
    fig, grid = subplots(3, 2, size=(4.9, 7.4), **axes)
    panels = dict(zip(PAIRS, grid.T.flat, strict=True))
    for pair, ax in panels.items():
        _by_rate(ax, _own(cells, *pair), x, y, lw=1.2, marker=".", ms=5)
        ax.set_title(_name(*pair), fontsize=9.8)
    for ax in grid[-1]:
        ax.set_xlabel(xlabel)
    for ax in grid[:, 0]:
        ax.set_ylabel(ylabel)
    legend_below(fig, [grid[0, 0]])
    return fig, panels


def fpi_4(cells: pd.DataFrame, optima: pd.DataFrame):
    """Draw Fig. 4: FPI against LRG size; a filled circle is the smallest, rings are what rounding leaves possible."""
    fig, panels = _a_panel_a_pair(cells, "lrg_size", "fpi", "LRG size", "GFLOPs / mIoU", sharex=True)
    fpi = cells.set_index([*CELL]).fpi
    for r in optima.itertuples():
        ax, color, key = panels[r.model, r.dataset], RATE_COLORS[r.prune_rate], (r.model, r.dataset, r.prune_rate)
        ax.plot(r.possible, fpi[key][[*r.possible]], "o", mfc="white", mec=color, ms=7)
        ax.plot(r.lrg_size, fpi[(*key, r.lrg_size)], "o", color=color, ms=7)
    for ax in panels.values():
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.15, lw=0)
        ax.set_xticks((17, 33, 65, 97, 129))
    return fig


def iou_flops_8(cells: pd.DataFrame):
    """Draw Fig. 8: mIoU against FLOPs, one line per pruning rate."""
    return _a_panel_a_pair(cells, "gflops", "miou", "GFLOPs", "mIoU", sharex="col")[0]


def blocks_7(blocks: pd.DataFrame, ours, threshold: float):
    """Draw Fig. 7: drop after training on block-wise labels against R_ce; `ours` is the line of Fig. 5b, for scale."""
    fig, upper, lower = _all_and_small(blocks, threshold, size=30)
    for ax, end in ((upper, 0.6), (lower, threshold)):
        x = np.array([0, end])
        ax.plot(x, ours.intercept + ours.slope * x, color=COLORS["black"], lw=1, label="line fitted to truncation")
    legend_below(fig, [lower])
    return fig


def applications(pairs: pd.DataFrame):
    """Draw the drop with blocks against the drop with truncation at equal R_ce (rows of `drops.applications`)."""
    fig, ax = subplots(size=(4.6, 4.4))
    _points(ax, pairs.assign(rce=pairs.truncated), y="blocks", size=30)
    ends = [0.8 * min(pairs.truncated.min(), pairs.blocks.min()), 1.25 * max(pairs.truncated.max(), pairs.blocks.max())]
    ax.plot(ends, ends, "--", color=COLORS["grey"])
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ax.set(xlabel="relative mIoU-drop, truncation (Table 4)", ylabel="relative mIoU-drop, blocks (Table 3)")
    legend_below(fig, [ax], 2)
    return fig


def slopes(ways: pd.DataFrame, own: pd.DataFrame, selections: pd.DataFrame, printed: float):
    """Draw every slope of the line: by method with its interval, by curve, by selection; the printed one dashed."""
    rows = [(r.method, r.slope, COLORS["black"]) for r in ways.itertuples()]
    rows += [(_name(r.model, r.dataset), r.slope, DATASET_COLORS[r.dataset]) for r in own.itertuples()]
    rows += [(r.selection, r.slope, COLORS["grey"]) for r in selections.iloc[1:].itertuples()]
    fig, ax = subplots(1, 1, size=(4.9, 0.33 * len(rows) + 0.8))
    names, slope, colors = zip(*rows, strict=True)
    ax.scatter(slope, range(len(rows)), c=colors, s=36, zorder=2)
    ax.hlines(range(len(ways)), ways.low, ways.high, color=COLORS["black"], lw=2)
    ax.axvline(printed, ls="--", color=COLORS["purple"])
    ax.set_yticks(range(len(rows)), [fill(name, 23) for name in names], fontsize=9.8)
    ax.set(xlabel="slope of drop against $R_{ce}$ (dashed: printed)", ylim=(len(rows) - 0.3, -0.7))
    return fig


def by_threshold(rows: pd.DataFrame, printed: dict[str, float]):
    """Draw slope and R^2 of the line against the threshold on R_ce, with and without LRG 129."""
    looks = {"slope": ("slope", "blue"), "r2": ("$R^2$", "green")}
    fig, axes = figures.stacked([title for title, _ in looks.values()], 2.6, 0.4, sharex=True)
    for ax, (column, (_, color)) in zip(axes, looks.items(), strict=True):
        for full, style, name in ((True, "-", "with LRG 129"), (False, ":", "without")):
            g = rows[rows.full_grid == full]
            ax.step(g.threshold, g[column], style, where="post", color=COLORS[color], label=name)
        ax.axhline(printed[column], ls="--", color=COLORS["purple"], label="printed")
        ax.axvline(printed["threshold"], color=COLORS["grey"], lw=1)
        figures.plain_ticks(ax, (0.05, 0.1, 0.2, 0.4))
    axes[1].set_xlabel("threshold on $R_{ce}$")
    axes[0].legend()
    return fig


def products(table: pd.DataFrame):
    """Draw R_ce x nu_max against nu_max (Table 1): level where R_ce falls like 1/nu."""
    fig, ax = subplots(1, 1, size=(4.9, 4.2))
    for pair, row in table.iterrows():
        ax.plot(row.index, row, color=DATASET_COLORS[pair[1]], label=_name(*pair), **_line(pair[0]))
    ax.set(xlabel=r"$\nu_{max}$", ylabel=r"$R_{ce}\,\nu_{max}$", yscale="log", xticks=list(table.columns))
    legend_below(fig, [ax])
    return fig


def frontier(saved: pd.DataFrame):
    """Draw lost mIoU against saved FLOPs (both against the unpruned network at LRG 129), one panel per model."""
    fig, axes = figures.stacked(map(MODEL_NAMES.get, MODELS), 2.9, sharex=True, sharey=True)
    for ax, model in zip(axes, MODELS, strict=True):
        for dataset in DATASETS:
            g = _own(saved, model, dataset)
            ax.scatter(g.saving, g.loss, s=12, color=DATASET_COLORS[dataset], alpha=0.35)
            steps = np.linspace(0, g.saving.max(), 200)
            least = [g.loss[g.saving >= s - 1e-9].min() for s in steps]
            ax.plot(steps, least, color=DATASET_COLORS[dataset], label=f"least loss, {DATASET_NAMES[dataset]}")
        ax.axvspan(0.65, 0.70, color=COLORS["grey"], alpha=0.2, lw=0)
        ax.axhline(0.05, color=COLORS["grey"], lw=1, ls="--")
        ax.set(ylabel="lost share of mIoU", ylim=(-0.01, 1.05 * saved.loss.max()))
    axes[-1].set_xlabel("saved share of FLOPs")
    legend_below(fig, [axes[0]])
    return fig


def pruning(effect: pd.DataFrame, margin: float):
    """Draw the drop of each pruned network minus the unpruned network's at the same LRG size."""
    fig, ax = subplots(1, 1, size=(4.9, 4.2))
    sizes = sorted(effect.lrg_size.unique(), reverse=True)
    for i, pair in enumerate(PAIRS):
        g = _own(effect, *pair)
        ax.scatter(g.lrg_size.map(sizes.index) + (i - 2.5) * 0.11, g.difference, **_dots(*pair, s=20))
    ax.axhspan(-margin, margin, color=COLORS["grey"], alpha=0.2, lw=0)
    ax.set_xticks(range(len(sizes)), [str(s) for s in sizes])
    ax.set(xlabel="LRG size", ylabel="pruned minus unpruned drop")
    legend_below(fig, [ax])
    return fig


def _with_rce(names) -> list[str]:
    return [COLORS["blue"] if n.startswith("R_ce") else COLORS["grey"] for n in names]


def errors(small: pd.Series, every: pd.Series):
    """Draw the predictors' mean absolute error with the data set held out: R_ce < 0.2 and all networks."""
    fig, axes = figures.stacked(("$R_{ce}$ < 0.2", "all networks"), 2.6, 0.4, sharex=True)
    for ax, mae in zip(axes, (small[::-1], every[::-1]), strict=True):
        ax.barh([fill(n, 24) for n in mae.index], mae, color=_with_rce(mae.index))
        ax.grid(axis="y", visible=False)
    axes[-1].set_xlabel("mean absolute error of the drop")
    return fig


def regret(rows: pd.DataFrame):
    """Draw the mean regret in FPI of each way to choose the LRG size, with the number of exact hits."""
    part = rows.sort_values("mean_regret", ascending=False)
    fig, ax = subplots(1, 1, size=(4.9, 0.33 * len(part) + 0.7))
    ax.barh([fill(n, 20) for n in part.predictor], part.mean_regret, color=_with_rce(part.predictor))
    for y, r in enumerate(part.itertuples()):
        ax.text(r.mean_regret * 1.08, y, f"{r.hits} of {r.n}", va="center", fontsize=9.8)
    ax.set(xscale="log", xlabel="mean regret in FPI (label: optima found)", xlim=(None, part.mean_regret.max() * 8))
    ax.grid(axis="y", visible=False)
    return fig
