"""Figures of chapter 70: drops by truncation and pruning beside the paper's, FPI, methods of truncation, boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, legend_below, plain_ticks, stacked, subplots
from specseg.figures.loss import DOMAIN_NAMES, KIND_MARKERS, beside, color, groups, lines, style, untrained, who

SHARES = (1.0, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
SIZES = (129, 97, 81, 65, 49, 33, 17)  # the paper's, at these shares
METHODS = {"bilinear": "bilinear (main)", "bilinear_half_pixel": "bilinear, half-pixel", "bilinear_antialias":
           "bilinear, antialiased", "fourier": "ideal low pass", "encoder": "encoder feature"}  # fmt: skip


def _shares(ax) -> None:
    plain_ticks(ax, [s for s in SHARES if s != 0.625])  # too near to its neighbour for words
    ax.tick_params(axis="x", labelsize=9.8)
    ax.set_xlim(1.12, 0.11)
    ax.set_xlabel("LRG size, share of the grid (1: the paper's 129)")


def _drops(axes, *values: pd.Series) -> None:
    """Give panels of drops that share their axis one signed logarithmic scale, wide enough for all values."""
    low, top = (float(f([f(v) for v in values])) for f in (min, max))
    axes[0].set_yscale("symlog", linthresh=0.01)
    axes[0].set_ylim(min(-0.001, 1.3 * low), 1.25 * top)
    ticks = [t for t in (-0.01, 0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if 1.3 * min(low, 0) <= t <= 1.1 * top]
    axes[0].set_yticks(ticks, [f"{t:.1%}".replace(".0", "") for t in ticks])
    axes[0].yaxis.set_minor_locator(NullLocator())
    for ax in axes:
        ax.axhline(0, color=COLORS["black"], lw=0.6)


def drops_beside(ours: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Draw relative mIoU-drops over the LRG size, the paper's above ours; ours with intervals.

    Both have domain, kind, model, share, value; ours low and high too. Unpruned networks.
    """
    panels = {"the paper": printed, "ours": ours}
    fig, axes = beside(panels, "share", "relative mIoU-drop", sharey=True)
    _drops(axes, *(rows["value"] for rows in panels.values()))
    _shares(axes[1])
    return fig


def cost_and_score(ours: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Draw Fig. 8 for each kind of scene: mIoU over cost, both as parts of the unpruned full network's.

    Both have kind, model, prune_rate, share, cost (relative), miou (relative). Black and dashed: the paper.
    """
    kinds = [k for k in KIND_COLORS if k in set(printed["kind"])]
    fig, axes = subplots(len(kinds), 2, size=(4.9, 2.4 * len(kinds) + 0.5), sharex=True, sharey=True)
    for line, kind in zip(axes, kinds, strict=True):
        for ax, model in zip(line, MODEL_NAMES, strict=True):
            for rows, ls, name in ((printed, "--", "paper"), (ours, "-", "ours")):
                own = rows[(rows["kind"] == kind) & (rows["model"] == model)]
                for k, (rate, part) in enumerate(own.groupby("prune_rate")):
                    part, shade = part.sort_values("cost"), color(part) if rows is ours else COLORS["black"]
                    ax.plot(part["cost"], part["miou"], color=shade, ls=ls, marker=KIND_MARKERS[kind], ms=3, lw=1.2,
                            label=None if k else name + " (too weak)" * untrained(part))  # fmt: skip
                    ax.annotate(f"{rate:.0%}", (part["cost"].iloc[-1], part["miou"].iloc[-1]), fontsize=9.8,
                                color=shade, xytext=(2, 3), textcoords="offset points")  # fmt: skip
            ax.set_title(f"{kind}, {MODEL_NAMES[model]}", fontsize=9.8)
        line[0].set_ylabel("mIoU / unpruned")
        line[0].legend(fontsize=9.8, loc="lower right")
    for ax in axes[-1]:
        ax.set_xlabel("FLOPs / full network's")
    return fig


def fpi(found: pd.DataFrame, panels: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw Fig. 4: FPI over the LRG size, relative to the full grid's, its minimum marked; one panel a pair of name and
    rows (domain, kind, model, share, fpi of one cost and one pruning rate). `found` sets the range of all panels.
    """
    fig, axes = stacked([name for name, _ in panels], 2.7, sharex=True)
    for ax, (_, rows) in zip(axes, panels, strict=True):
        full = rows[rows["share"] == 1].set_index(["domain", "model"])["fpi"]
        whole = full.loc[pd.MultiIndex.from_frame(rows[["domain", "model"]])].to_numpy()
        relative = rows.assign(value=rows["fpi"] / whole)
        lines(ax, relative, "share", ms=3, lw=1.2)
        for _, part in groups(relative):
            best = part.loc[part["value"].idxmin()]
            ax.plot(best["share"], best["value"], marker="*", ms=13, mec=COLORS["black"], mew=0.7, color=color(part))
        ax.axvspan(0.5, 0.25, color=COLORS["yellow"], alpha=0.25, lw=0)
        ax.set(ylabel="FPI / full grid's", ylim=(min(0.65, 0.98 * _lowest(found)), 1.15))
    _shares(axes[-1])
    legend_below(fig, axes)
    return fig


def _lowest(found: pd.DataFrame) -> float:
    keys = ["cost", "domain", "model", "prune_rate"]
    full = found[found["share"] == 1].set_index(keys)["fpi"]
    least = found.groupby(keys)["fpi"].min()
    return float((least / full).min())


def rate_and_drop(ours: Mapping[str, pd.DataFrame], printed: pd.DataFrame) -> Figure:
    """Draw relative mIoU-drop against R_ce at the same band limit, the paper's above ours, one mark an LRG size.

    `ours` by title. All have domain, kind, model, rce, value (the drop). No line is fitted here.
    """
    panels = {"the paper": printed, **ours}
    fig, axes = beside(panels, "rce", "relative mIoU-drop", sharey=True)
    _drops(axes, *(rows["value"] for rows in panels.values()))
    axes[-1].set_xscale("log")
    axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes[-1].xaxis.set_minor_formatter(NullFormatter())
    axes[-1].set_xlabel(r"$R_{ce}(\nu_{max})$ at the band limit of the LRG")
    return fig


def methods(rows: pd.DataFrame) -> Figure:
    """Draw the drop of each way of truncating, with intervals: one row a method, one mark a domain and model.

    `rows` has domain, kind, model, method, value, low, high.
    """
    known = [m for m in METHODS if m in set(rows["method"])]
    found = groups(rows[rows["method"].isin(known)])
    fig, ax = subplots(size=(4.9, 0.18 * len(known) * max(len(found), 3) + 1.6))
    for i, ((domain, _, model), part) in enumerate(found):
        at = np.array([known.index(m) for m in part["method"]]) + (i - (len(found) - 1) / 2) * 0.7 / len(found)
        ax.hlines(at, part["low"], part["high"], color=color(part), lw=1)
        ax.plot(part["value"], at, label=who(domain, model), **{**style(part), "ls": ""})
    ax.axvline(0, color=COLORS["black"], lw=0.6)
    ax.set(yticks=range(len(known)), ylim=(len(known) - 0.5, -0.5), xlabel="relative mIoU-drop at half of the grid")
    ax.set_yticklabels([METHODS[m] for m in known])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.1%}"))
    legend_below(fig, [ax])
    return fig


def boundaries(rows: pd.DataFrame) -> Figure:
    """Draw the relative drop of boundary mIoU (dotted) beside that of mIoU (solid) over the LRG size, a panel a domain.

    `rows` has domain, kind, model, share, metric ("mIoU" or "boundary mIoU"), value.
    """
    domains = rows.groupby("domain", sort=False)
    fig, axes = stacked([DOMAIN_NAMES.get(d, d) for d, _ in domains], 2.2, sharex=True)
    for ax, (_, own) in zip(axes, domains, strict=True):
        for (model, metric), part in own.groupby(["model", "metric"], sort=False):
            part = part.sort_values("share")
            edge = metric != "mIoU"
            look = {**style(part), **({"color": COLORS["black"], "ls": ":"} if edge else {})}
            ax.plot(part["share"], part["value"], label=f"{metric}, {MODEL_NAMES[model]}", **look)
        ax.set_ylabel("relative drop")
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    _shares(axes[-1])
    legend_below(fig, axes[:1])
    return fig
