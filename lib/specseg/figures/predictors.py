"""Figures about predictors of the drop: Figs 5b and 7 with our networks, errors, ranks, regret, the logits' scale."""

from __future__ import annotations

from textwrap import fill

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, CYCLE, KIND_COLORS, MODEL_MARKERS, MODEL_NAMES
from specseg.figures.loss import DOMAIN_NAMES

NEEDS = {
    "R_ce": (COLORS["blue"], "uses R_ce"), "network": (COLORS["purple"], "another number of the network"),
    "labels": (COLORS["green"], "labels alone"), "LRG": (COLORS["orange"], "LRG size alone"),
    "nothing": (COLORS["grey"], "nothing"),
}  # fmt: skip


def setup_name(setup: str) -> str:
    """Return a setup for people.

    >>> setup_name("camvid deeplabv3plus")
    'CamVid, DeepLab v3+'
    """
    return ", ".join({**DOMAIN_NAMES, **MODEL_NAMES}.get(word, word) for word in setup.split())


def drop_rce(cells: pd.DataFrame, printed: dict[str, float], ours: pd.DataFrame):
    """Draw Fig. 5b: drop against R_ce, all truncated cells, those below the threshold, and with the frame mirrored.

    Columns rce_mirrored, setup, kind, model, full, rce, drop. `ours`: rows of `predictors.slopes`, the line with its
    interval.
    """
    cells = cells[~cells["full"].astype(bool)]
    fig, axes = figures.subplots(3, 1, size=(4.9, 9.6))
    below = cells[cells["rce"] < printed["threshold"]]
    for ax, part, rate in zip(axes, (cells, below, cells), ("rce", "rce", "rce_mirrored"), strict=True):
        for (setup, kind, model), g in part.groupby(["setup", "kind", "model"]):
            ax.plot(g[rate], g["drop"], MODEL_MARKERS[model] + "-", lw=0.8, ms=4.5, color=KIND_COLORS[kind],
                    mfc="none" if model == "dan" else None, label=setup_name(setup))  # fmt: skip
        x = np.linspace(0, printed["threshold"] if ax is axes[1] else part[rate].max(), 50)
        ax.plot(x, printed["intercept"] + printed["slope"] * x, "--", color=COLORS["purple"], label="printed line")
        ax.set_xlabel(r"$R_{ce}(\nu_{max})$" + ", frame mirrored" * (ax is axes[2]))
    hull = ours.set_index("method").loc["hull"]
    x = np.linspace(0, printed["threshold"], 50)
    centre = below["rce"].mean()
    at = hull["intercept"] + hull["value"] * centre
    low, high = (at + s * (x - centre) for s in (hull["low"], hull["high"]))
    axes[1].fill_between(x, np.minimum(low, high), np.maximum(low, high), color=COLORS["grey"], alpha=0.2, lw=0)
    axes[1].plot(x, hull["intercept"] + hull["value"] * x, color=COLORS["black"], label="our line, 95 %")
    axes[1].set_ylim(min(-0.01, below["drop"].min()), max(0.16, 1.1 * below["drop"].max()))
    for ax, title in zip(axes, ("all cells", f"$R_{{ce}}$ < {printed['threshold']:g}", "mirrored"), strict=True):
        ax.set(title=title, ylabel="share of the mIoU lost")
        ax.locator_params(axis="x", nbins=6)
    handles = dict(zip(*(reversed(x) for x in axes[1].get_legend_handles_labels()), strict=True))
    shown = {label: handle for handle, label in handles.items()}
    fig.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=1)
    return fig


def errors(table: pd.DataFrame, needs: dict[str, str], most: int = 22):
    """Draw the mean absolute error of each rule (rules x held-out domains), domains as small marks.

    Rules in order of their mean, the best at the top; `most` of them, the best of each kind always.
    """
    first = table.mean(axis=1).sort_values()
    keep = set(first.index[:most]) | {
        next(n for n in first.index if needs[n] == k) for k in {needs[n] for n in first.index}
    }
    order = [n for n in first.index if n in keep][::-1]
    fig, ax = _rows(order)
    for y, name in enumerate(order):
        color = NEEDS[needs[name]][0]
        ax.plot(table.loc[name], np.full(table.shape[1], y), "|", color=color, ms=7, alpha=0.6)
        ax.plot(first[name], y, "o", color=color, ms=6)
    ax.set(xscale="log", xlabel="mean absolute error of the predicted drop")
    low, high = ax.get_xlim()
    ax.set_xticks([t for t in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if low <= t <= high], minor=False)
    ax.set_xticks([], minor=True)
    ax.xaxis.set_major_formatter("{x:g}")
    _needs_legend(fig, {needs[n] for n in order})
    return fig


def ranks(table: pd.DataFrame):
    """Draw the rank correlations of `predictors.ranks` with their intervals, two statistics each."""
    names = list(dict.fromkeys(table["predictor"]))[::-1]
    fig, ax = _rows(names)
    marks = {"all cells": ("o", COLORS["black"], 0.12), "between setups": ("D", COLORS["red"], -0.18)}
    for statistic, (mark, color, shift) in marks.items():
        part = table[table["statistic"] == statistic]
        y = np.array([names.index(n) for n in part["predictor"]]) + shift
        ax.hlines(y, part["low"], part["high"], color=color, lw=1.4)
        ax.plot(part["value"], y, mark, color=color, ms=4.5, label=statistic)
    ax.axvline(0, color=COLORS["grey"], lw=0.8)
    ax.set(xlim=(-1.05, 1.05), xlabel="Spearman with the drop")
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def regret(table: pd.DataFrame, bound: float):
    """Draw the mean regret in FPI of each rule (rows of `predictors.regrets`) with its interval; `bound` dotted."""
    table = table.sort_values("value", ascending=False)
    fig, ax = _rows(list(table["rule"]))
    for y, r in enumerate(table.itertuples()):
        color = NEEDS[r.needs][0]
        ax.plot([100 * r.low, 100 * r.high], [y, y], color=color, lw=1.6)
        ax.plot(100 * r.value, y, "o", color=color, ms=5)
        ax.annotate(f"{r.hits}/{r.setups}", (1.01, y), xycoords=("axes fraction", "data"), fontsize=9.8, va="center")
    ax.axvline(100 * bound, ls=":", color=COLORS["black"])
    ax.set_xscale("symlog", linthresh=1.0)
    top = 100 * table["high"].max()
    ax.set(xlim=(0, max(2.0, 1.2 * top)), xlabel="mean regret in FPI [%]")
    ax.set_xticks([t for t in (0, 1, 10, 100) if t <= top or t < 2], minor=False)
    ax.xaxis.set_major_formatter("{x:g}")
    _needs_legend(fig, set(table["needs"]))
    return fig


def scaled(rows: pd.DataFrame):
    """Draw drop and R_ce against the LRG size for classifier weights scaled by tau.

    Columns tau, lrg_size, drop, rce.
    """
    fig, (left, right) = figures.subplots(2, 1, size=(4.9, 5.6), sharex=True)
    for k, (tau, part) in enumerate(rows.groupby("tau")):
        left.plot(part["lrg_size"], part["drop"], "o-", ms=7 - 2 * k, color=CYCLE[k], label=f"tau = {tau:g}")
        right.plot(part["lrg_size"], part["rce"], "o-", ms=4, color=CYCLE[k], label=f"tau = {tau:g}")
    left.set(ylabel="share of the mIoU lost", title="the drop: one curve")
    right.set(xlabel="size of the grid", ylabel=r"$R_{ce}$", yscale="log", title=r"$R_{ce}$ follows the scale")
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def blocks(cells: pd.DataFrame, printed: dict[str, float]):
    """Draw Fig. 7 with our networks: drop after training on blocks against R_ce, and against the labels' own drop."""
    fig, axes = figures.subplots(2, 1, size=(4.9, 6.6), sharey=True)
    for ax, column in zip(axes, ("rce", "block_majority"), strict=True):
        for (setup, kind, model), g in cells.groupby(["setup", "kind", "model"]):
            ax.plot(g[column], g["drop"], MODEL_MARKERS[model] + "-", lw=0.8, ms=5, color=KIND_COLORS[kind],
                    mfc="none" if model == "dan" else None, label=setup_name(setup))  # fmt: skip
    x = np.linspace(0, cells["rce"].max(), 20)
    axes[0].plot(x, printed["intercept"] + printed["slope"] * x, "--", color=COLORS["purple"])
    x = np.linspace(0, cells["block_majority"].max(), 20)
    axes[1].plot(x, x, ":", color=COLORS["black"])
    axes[0].set(xlabel=r"$R_{ce}$ of the fully labelled network", ylabel="share of the mIoU lost")
    axes[1].set(xlabel="1 - mIoU of the block labels", ylabel="share of the mIoU lost")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


def classes(rows: pd.DataFrame, ranks: pd.DataFrame):
    """Draw, within each setup, the rank correlation over classes of each predictor with the class's drop.

    `rows` are the classes (setup, kind, drop, rce), `ranks` their correlations (setup, column, value).
    """
    fig, (left, right) = figures.subplots(2, 1, size=(4.9, 6.8))
    color = {r.setup: KIND_COLORS[r.kind] for r in rows.itertuples()}
    left.scatter(rows["rce"].clip(lower=1e-4), rows["drop"], s=12, alpha=0.6, c=rows["setup"].map(color))
    left.set(xlabel="the class's own $R_{ce}$", ylabel="the class's relative IoU-drop", xscale="log")
    columns = list(dict.fromkeys(ranks["column"]))[::-1]
    setups = list(dict.fromkeys(ranks["setup"]))
    y = [columns.index(r.column) + 0.6 * (setups.index(r.setup) / len(setups) - 0.5) for r in ranks.itertuples()]
    right.scatter(ranks["value"], y, s=14, c=ranks["setup"].map(color))
    for kind in dict.fromkeys(rows["kind"]):
        left.plot([], [], "o", color=KIND_COLORS[kind], label=kind)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    right.set_yticks(range(len(columns)), [fill(c.replace("_", " "), 24) for c in columns])
    right.axvline(0, color=COLORS["grey"], lw=0.8)
    right.set(xlabel="Spearman over classes", xlim=(-1.05, 1.05))
    return fig


ADVICE = {
    "adviser": ("D", COLORS["green"]), "R_ce, line fitted elsewhere": ("o", COLORS["blue"]),
    "R_ce, the printed line": ("s", COLORS["purple"]), "LRG size, mean elsewhere": ("^", COLORS["orange"]),
}  # fmt: skip


def advice(table: pd.DataFrame):
    """Draw the LRG size that each rule names, a panel per tolerance, a row per setup; bars: what the measured drop
    allows.

    Columns setup, tolerance, rule, lrg_size, best.
    """
    setups = list(dict.fromkeys(table["setup"]))[::-1]
    tolerances = sorted(set(table["tolerance"]))
    fig, axes = figures.subplots(len(tolerances), 1, size=(4.9, 1.2 * len(setups) + 2.2), sharex=True, squeeze=False)
    for ax, tolerance in zip(axes[:, 0], tolerances, strict=True):
        part = table[table["tolerance"] == tolerance]
        top = part["lrg_size"].max() + 3
        for setup, g in part.groupby("setup"):
            y = setups.index(setup)
            ax.barh(y, top - g["best"].iloc[0], left=g["best"].iloc[0], height=0.8, color=COLORS["grey"], alpha=0.25)
        for k, (rule, (mark, color)) in enumerate(ADVICE.items()):
            g = part[part["rule"] == rule]
            y = [setups.index(s) + 0.24 - 0.16 * k for s in g["setup"]]
            ax.plot(g["lrg_size"], y, mark, color=color, ms=4.5, label=rule)
        ax.set(title=f"at most {tolerance:.0%}", xlim=(0, top), ylim=(-0.6, len(setups) - 0.4))
        ax.set_xticks(sorted(set(part["best"]) | set(part["lrg_size"])))
        ax.set_yticks(range(len(setups)), [fill(setup_name(s), 20) for s in setups])
    axes[-1, 0].set_xlabel("size of the grid (LRG)")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


CHOICES = {
    "advice": "loss of the labels, cut to the grid's waves", "block_majority": "loss of the labels, as blocks",
    "perimeter": "length of the contours × block", "rce": "R_ce of the network", "rce_mirrored": "R_ce, frame mirrored",
    "overlap": "the paper's way by IoU, mended", "coarser": "share of a side's points left out",
}  # fmt: skip


def foreseen(cells: pd.DataFrame):
    """Return the measured drop against a number that may foretell it, with a menu of such columns of cells."""
    cells = cells[~cells["full"].astype(bool)]
    cells = cells.assign(coarser=1 - cells["share"])
    least, looks = 1e-4, {}
    marks = {text: {} for text in CHOICES.values()}
    for setup, g in cells.groupby("setup", sort=False):
        name, kind, hollow = setup_name(setup), g["kind"].iloc[0], "-open" * (g["model"].iloc[0] == "dan")
        color = KIND_COLORS[kind]
        looks[name] = {"marker": {"color": color, "size": 10, "symbol": f"circle{hollow}",
                                  "line": {"width": 2, "color": color}},
                       "text": [f"{s} points a side" for s in g["lrg_size"]],
                       "hovertemplate": "%{text}<br>number %{x:.2%}<br>mIoU lost %{y:.2%}"}  # fmt: skip
        for column, text in CHOICES.items():
            marks[text][name] = tuple(g[c].astype(float).clip(lower=least).round(5) for c in (column, "drop"))
    equal = "as much as the number says"
    looks[equal] = {"mode": "lines", "hoverinfo": "skip", "line": {"color": "black", "dash": "dash", "width": 1}}
    for part in marks.values():
        part[equal] = ((least, 1), (least, 1))
    ticks = {"tickvals": [1e-4, 1e-3, 0.01, 0.1, 1], "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]}
    return figures.choices(marks, looks, axes={
        "xaxis": {"range": [-4.1, 0.3], **ticks},
        "yaxis": {"title": "mIoU lost, measured", "range": [-4.1, 0.1], **ticks}})  # fmt: skip


def advice_costs(rows: pd.DataFrame):
    """Draw extra FLOPs (too careful) against extra drop (too bold) of each rule and tolerance (rows of `regrets`)."""
    wide = rows.pivot_table(index=["rule", "tolerance"], columns="metric", values=["value", "low", "high"], sort=False)
    tolerances = sorted(set(rows["tolerance"]))
    fig, axes = figures.subplots(
        len(tolerances), 1, size=(4.9, 2.6 * len(tolerances) + 1.4), sharex=True, squeeze=False
    )
    names = list(dict.fromkeys(rows["rule"]))
    for ax, tolerance in zip(axes[:, 0], tolerances, strict=True):
        for k, rule in enumerate(names):
            r = 100 * wide.loc[(rule, tolerance)]
            mark, color = ADVICE.get(rule, ("v<>P*X"[k % 6], COLORS["grey"]))
            x, y = r["value", "extra_flops"], r["value", "extra_drop"]
            ax.plot([r["low", "extra_flops"], r["high", "extra_flops"]], [y, y], color=color, lw=0.9)
            ax.plot([x, x], [r["low", "extra_drop"], r["high", "extra_drop"]], color=color, lw=0.9)
            ax.plot(x, y, mark, color=color, ms=6, label=rule)
        ax.set(title=f"at most {tolerance:.0%}")
        ax.set_yscale("symlog", linthresh=0.1)
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_ylabel("extra drop, too bold [%]")
    axes[-1, 0].set_xlabel("extra FLOPs, too careful [%]")
    fig.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=1)
    return fig


def _rows(names: list[str]):
    """Return a figure with a line for each name, and its axes."""
    fig, ax = figures.subplots(size=(4.9, 0.36 * len(names) + 1.4))
    ax.set_yticks(range(len(names)), [fill(name, 24) for name in names])
    ax.set_ylim(-0.7, len(names) - 0.3)
    return fig, ax


def _needs_legend(fig, shown: set[str]) -> None:
    from matplotlib.lines import Line2D

    kinds = [(color, label) for key, (color, label) in NEEDS.items() if key in shown]
    handles = [Line2D([], [], marker="o", ls="", color=color, label=label) for color, label in kinds]
    fig.legend(handles=handles, loc="outside lower center", ncols=2)
