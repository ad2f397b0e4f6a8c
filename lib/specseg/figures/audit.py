"""Figures 4, 5a, 5b, 7 and 8 redrawn from the printed tables, and the audit's own pictures."""

from __future__ import annotations

import itertools
from textwrap import fill

import numpy as np
import pandas as pd

from specseg.figures import COLORS, DATASET_COLORS, DATASET_NAMES, MODEL_MARKERS, MODEL_NAMES, legend_below, subplots

MODELS = ("deeplabv3plus", "dan")
DATASETS = ("pascal", "deepglobe", "cityscapes")
PAIRS = tuple(itertools.product(MODELS, DATASETS))
RATE_COLORS = {0.0: COLORS["black"], 0.2: COLORS["blue"], 0.4: COLORS["green"], 0.6: COLORS["red"]}
LEFT_OUT = 129


def _rate(rate: float) -> str:
    return "no pruning" if rate == 0 else f"{rate:.0%} pruned"


def _name(model: str, dataset: str) -> str:
    return f"{MODEL_NAMES[model]}, {DATASET_NAMES[dataset]}"


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


def _outer(axes, xlabel: str, ylabel: str) -> None:
    for ax in axes[-1]:
        ax.set_xlabel(xlabel)
    for ax in axes[:, 0]:
        ax.set_ylabel(ylabel)


def line_5b(cells: pd.DataFrame, ours, slopes: tuple[float, float], printed: dict[str, float]):
    """Draw Fig. 5b: drop against R_ce for all networks and below 0.2, with the printed and the refitted line.

    `ours` has slope and intercept; `slopes` is the clustered interval of the slope, drawn as a fan through the mean.
    """
    fig, (left, right) = subplots(2, 1, size=(4.9, 7.4))
    _points(left, cells)
    left.axvspan(0, printed["threshold"], color=COLORS["grey"], alpha=0.15, lw=0)
    left.set(ylabel="relative mIoU-drop", title="all 168 networks", ylim=(-0.02, 0.75))
    below = cells[cells.rce < printed["threshold"]]
    _points(right, below)
    x = np.linspace(0, printed["threshold"], 50)
    centre = below.rce.mean(), below.miou_drop.mean()
    low, high = (centre[1] + s * (x - centre[0]) for s in slopes)
    right.fill_between(x, low, high, color=COLORS["grey"], alpha=0.2, lw=0, label="95 %, six curves as clusters")
    right.plot(x, ours.intercept + ours.slope * x, color=COLORS["black"], label="the stated rule, recomputed")
    right.plot(x, printed["intercept"] + printed["slope"] * x, "--", color=COLORS["purple"], label="printed line")
    right.set(xlabel=r"$R_{ce}(\nu_{max})$", ylabel="relative mIoU-drop", ylim=(-0.01, 0.22))
    right.set_title(f"$R_{{ce}}$ < {printed['threshold']:g}")
    left.plot([0, 2], ours.intercept + ours.slope * np.array([0, 2]), color=COLORS["black"])
    legend_below(fig, [right])
    return fig


def lines_5a(cells: pd.DataFrame):
    """Draw Fig. 5a: drop against R_ce, one panel per data set, one line per model and pruning rate."""
    fig, axes = subplots(3, 1, size=(4.9, 9.0))
    for ax, dataset in zip(axes, DATASETS, strict=True):
        for model in MODELS:
            style = {"marker": MODEL_MARKERS[model], "ms": 4, "lw": 1, "ls": "-" if model == "deeplabv3plus" else ":"}
            _by_rate(ax, _own(cells, model, dataset), "rce", "miou_drop", f"{MODEL_NAMES[model]}, ", **style)
        ax.set(title=DATASET_NAMES[dataset], ylabel="relative mIoU-drop", xlim=(0, None), ylim=(0, None))
    axes[-1].set_xlabel(r"$R_{ce}$")
    legend_below(fig, [axes[0]])
    return fig


def fpi_4(cells: pd.DataFrame, optima: pd.DataFrame):
    """Draw Fig. 4: FPI against LRG size; a filled circle is the smallest, rings are what rounding leaves possible."""
    fig, axes = subplots(3, 2, size=(4.9, 7.4), sharex=True)
    best = optima.set_index(["model", "dataset", "prune_rate"])
    for ax, pair in zip(axes.T.flat, PAIRS, strict=True):
        own = _own(cells, *pair)
        _by_rate(ax, own, "lrg_size", "fpi", lw=1.2)
        for rate, g in own.groupby("prune_rate"):
            color, fpi, choice = RATE_COLORS[rate], g.set_index("lrg_size").fpi, best.loc[(*pair, rate)]
            for size in choice.possible:
                ax.plot(size, fpi[size], "o", mfc="white", mec=color, ms=7)
            ax.plot(choice.lrg_size, choice.fpi, "o", color=color, ms=7)
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.15, lw=0)
        ax.set(title=_name(*pair), xticks=(17, 33, 65, 97, 129))
    _outer(axes, "LRG size", "GFLOPs / mIoU")
    legend_below(fig, [axes[0, 0]])
    return fig


def iou_flops_8(cells: pd.DataFrame):
    """Draw Fig. 8: mIoU against FLOPs, one line per pruning rate."""
    fig, axes = subplots(3, 2, size=(4.9, 7.4), sharex="col")
    for ax, pair in zip(axes.T.flat, PAIRS, strict=True):
        _by_rate(ax, _own(cells, *pair), "gflops", "miou", marker=MODEL_MARKERS[pair[0]], ms=4, lw=1.2)
        ax.set_title(_name(*pair), fontsize=9.8)
    _outer(axes, "GFLOPs", "mIoU")
    legend_below(fig, [axes[0, 0]])
    return fig


def blocks_7(blocks: pd.DataFrame, ours, threshold: float = 0.2):
    """Draw Fig. 7: drop after training on block-wise labels against R_ce; `ours` is the line of Fig. 5b, for scale."""
    fig, (left, right) = subplots(2, 1, size=(4.9, 6.6))
    for ax, part in ((left, blocks), (right, blocks[blocks.rce < threshold])):
        _points(ax, part, size=30)
        x = np.array([0, min(threshold if ax is right else 0.6, 2)])
        ax.plot(x, ours.intercept + ours.slope * x, color=COLORS["black"], lw=1, label="line fitted to truncation")
        ax.set_ylabel("relative mIoU-drop")
    left.set_title("all 24 networks")
    right.set_xlabel(r"$R_{ce}(\nu_{max})$")
    right.set_title(f"$R_{{ce}}$ < {threshold:g}")
    legend_below(fig, [right])
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
    rows = [(r.method, r.slope, r.low, r.high, COLORS["black"]) for r in ways.itertuples()]
    for r in own.itertuples():
        rows.append((_name(r.model, r.dataset), r.slope, r.slope, r.slope, DATASET_COLORS[r.dataset]))
    rows += [(r.selection, r.slope, r.slope, r.slope, COLORS["grey"]) for r in selections.iloc[1:].itertuples()]
    fig, ax = subplots(1, 1, size=(4.9, 0.33 * len(rows) + 0.8))
    for y, (_, slope, low, high, color) in enumerate(reversed(rows)):
        ax.plot([low, high], [y, y], color=color, lw=2)
        ax.plot(slope, y, "o", color=color, ms=6)
    ax.axvline(printed, ls="--", color=COLORS["purple"])
    ax.set_yticks(range(len(rows)), [fill(name, 23) for name, *_ in reversed(rows)], fontsize=9.8)
    ax.set(xlabel="slope of drop against $R_{ce}$ (dashed: printed)", ylim=(-0.7, len(rows) - 0.3))
    return fig


def by_threshold(rows: pd.DataFrame, printed: dict[str, float]):
    """Draw slope and R^2 of the line against the threshold on R_ce, with and without LRG 129."""
    fig, (left, right) = subplots(2, 1, size=(4.9, 5.6), sharex=True)
    for full, style, name in ((True, "-", "with LRG 129"), (False, ":", "without")):
        g = rows[rows.full_grid == full]
        left.step(g.threshold, g.slope, style, where="post", color=COLORS["blue"], label=name)
        right.step(g.threshold, g.r2, style, where="post", color=COLORS["green"], label=name)
    for ax, value, title in ((left, printed["slope"], "slope"), (right, printed["r2"], "$R^2$")):
        ax.axhline(value, ls="--", color=COLORS["purple"], label="printed")
        ax.axvline(printed["threshold"], color=COLORS["grey"], lw=1)
        ax.set(title=title, xscale="log")
        ticks = [t for t in (0.05, 0.1, 0.2, 0.4) if rows.threshold.min() <= t <= rows.threshold.max()]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.set_xticks([], minor=True)
    right.set_xlabel("threshold on $R_{ce}$")
    left.legend()
    return fig


def products(table: pd.DataFrame):
    """Draw R_ce x nu_max against nu_max (Table 1): level where R_ce falls like 1/nu."""
    fig, ax = subplots(1, 1, size=(4.9, 4.2))
    for (model, dataset), row in table.iterrows():
        ax.plot(
            row.index,
            row.to_numpy(),
            marker=MODEL_MARKERS[model],
            ls="-" if model == "deeplabv3plus" else ":",
            color=DATASET_COLORS[dataset],
            label=_name(model, dataset),
        )
    ax.set(xlabel=r"$\nu_{max}$", ylabel=r"$R_{ce}\,\nu_{max}$", yscale="log", xticks=list(table.columns))
    legend_below(fig, [ax])
    return fig


def frontier(saved: pd.DataFrame):
    """Draw lost mIoU against saved FLOPs (both against the unpruned network at LRG 129), one panel per model."""
    fig, axes = subplots(2, 1, size=(4.9, 6.6), sharex=True, sharey=True)
    for ax, model in zip(axes, MODELS, strict=True):
        for dataset in DATASETS:
            g = _own(saved, model, dataset)
            ax.scatter(g.saving, g.loss, s=12, color=DATASET_COLORS[dataset], alpha=0.35)
            steps = np.linspace(0, g.saving.max(), 200)
            least = [g.loss[g.saving >= s - 1e-9].min() for s in steps]
            ax.plot(steps, least, color=DATASET_COLORS[dataset], label=f"least loss, {DATASET_NAMES[dataset]}")
        ax.axvspan(0.65, 0.70, color=COLORS["grey"], alpha=0.2, lw=0)
        ax.axhline(0.05, color=COLORS["grey"], lw=1, ls="--")
        ax.set(title=MODEL_NAMES[model], ylabel="lost share of mIoU", ylim=(-0.01, 1.05 * saved.loss.max()))
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


def errors(small: pd.DataFrame, every: pd.DataFrame):
    """Draw the predictors' mean absolute error with the data set held out: R_ce < 0.2 and all networks."""
    fig, axes = subplots(2, 1, size=(4.9, 5.6), sharex=True)
    names = list(small.predictor)[::-1]
    for ax, frame, title in ((axes[0], small, "$R_{ce}$ < 0.2"), (axes[1], every, "all networks")):
        mae = frame.set_index("predictor").mae
        ax.barh([fill(n, 24) for n in names], [mae[n] for n in names], color=_with_rce(names))
        ax.set_title(title)
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


def last_digit(judged: pd.DataFrame):
    """Draw each printed drop minus the drop of the printed mIoUs, inside the range that rounding allows."""
    part = judged[judged.lrg_size != LEFT_OUT].sort_values(["dataset", "model", "prune_rate", "lrg_size"])
    fig, ax = subplots(1, 1, size=(4.9, 3.6))
    x = np.arange(len(part))
    ax.fill_between(
        x,
        part.low - part.from_miou - 0.0005,
        part.high - part.from_miou + 0.0005,
        step="mid",
        color=COLORS["grey"],
        alpha=0.25,
        lw=0,
        label="what rounding allows",
    )
    for dataset in DATASETS:
        own = (part.dataset == dataset).to_numpy()
        ax.plot(
            x[own],
            (part.miou_drop - part.from_miou)[own],
            ".",
            color=DATASET_COLORS[dataset],
            label=DATASET_NAMES[dataset],
        )
    ax.set(xlabel="the 144 truncated networks of Table 4", xticks=[])
    ax.set_ylabel("printed drop minus\ndrop of the printed mIoUs")
    legend_below(fig, [ax])
    return fig
