"""Figures of chapter 70: drops by truncation and pruning beside the paper's, FPI, methods of truncation, boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, legend_below, plain_ticks, subplots
from specseg.figures.loss import (
    DOMAIN_NAMES,
    KIND_MARKERS,
    MODEL_LINES,
    color,
    domains_of,
    groups,
    kind_and_model,
    style,
    untrained,
    who,
)  # fmt: skip

SHARES = (1.0, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
SIZES = (129, 97, 81, 65, 49, 33, 17)  # the paper's, at these shares
METHODS = {"bilinear": "bilinear (main)", "bilinear_half_pixel": "bilinear, half-pixel", "bilinear_antialias":
           "bilinear, antialiased", "fourier": "ideal low pass", "encoder": "encoder feature"}  # fmt: skip


def _shares(ax, label: bool = True) -> None:
    plain_ticks(ax, [s for s in SHARES if s != 0.625])  # too near to its neighbour for words
    ax.tick_params(axis="x", labelsize=9.8)
    ax.set_xlim(1.12, 0.11)
    if label:
        ax.set_xlabel("LRG size, share of the grid (1: the paper's 129)")


def _drops(ax, *values: pd.Series) -> None:
    low, top = (float(f([f(v) for v in values])) for f in (min, max))
    ax.set_yscale("symlog", linthresh=0.01)
    ax.set_ylim(min(-0.001, 1.3 * low), 1.25 * top)
    ticks = [t for t in (-0.01, 0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if 1.3 * min(low, 0) <= t <= 1.1 * top]
    ax.set_yticks(ticks, [f"{t:.1%}".replace(".0", "") for t in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.axhline(0, color=COLORS["black"], lw=0.6)


def drops_beside(ours: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Draw relative mIoU-drops over the LRG size, the paper's above ours; ours with intervals.

    Both have domain, kind, model, share, value; ours low and high too. Unpruned networks.
    """
    fig, axes = subplots(2, 1, size=(4.9, 8.0), sharex=True, sharey=True)
    for ax, rows, title in zip(axes, (printed, ours), ("the paper", "ours"), strict=True):
        for _, part in groups(rows):
            part = part.sort_values("share")
            ax.plot(part["share"], part["value"], label=kind_and_model(part), **style(part))
            if "low" in part:
                ax.fill_between(part["share"], part["low"], part["high"], color=color(part), alpha=0.15, lw=0)
        ax.set(title=f"{title}: {domains_of(rows)}", ylabel="relative mIoU-drop")
    _drops(axes[0], printed["value"], ours["value"])
    for ax in axes:
        ax.axhline(0, color=COLORS["black"], lw=0.6)
    _shares(axes[0], label=False)
    _shares(axes[1])
    legend_below(fig, axes)
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
    fig, axes = subplots(len(panels), 1, size=(4.9, 2.7 * len(panels) + 0.9), sharex=True)
    top = 1.15
    for ax, (name, rows) in zip(np.atleast_1d(axes), panels, strict=True):
        for _, part in groups(rows):
            part = part.sort_values("share", ascending=False)
            relative = part["fpi"] / part["fpi"].iloc[0]
            line = {**style(part), "ms": 3, "lw": 1.2}
            ax.plot(part["share"], relative, label=kind_and_model(part), **line)
            best = int(np.argmin(relative.to_numpy()))
            ax.plot(part["share"].iloc[best], relative.iloc[best], marker="*", ms=13, mec=COLORS["black"], mew=0.7,
                    color=color(part))  # fmt: skip
        ax.axvspan(0.5, 0.25, color=COLORS["yellow"], alpha=0.25, lw=0)
        ax.set(title=name, ylabel="FPI / full grid's", ylim=(min(0.65, 0.98 * _lowest(found)), top))
        _shares(ax, label=False)
    _shares(np.atleast_1d(axes)[-1])
    legend_below(fig, np.atleast_1d(axes))
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
    fig, axes = subplots(len(panels), 1, size=(4.9, 3.8 * len(panels)), sharex=True, sharey=True)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for _, part in groups(rows):
            part = part.sort_values("rce")
            ax.plot(part["rce"], part["value"], label=kind_and_model(part), **{**style(part), "lw": 0.9})
        ax.set(title=fill(f"{title}: {domains_of(rows)}", 46), ylabel="relative mIoU-drop", xscale="log")
    _drops(axes[0], printed["value"], *(rows["value"] for rows in ours.values()))
    for ax in axes:
        ax.axhline(0, color=COLORS["black"], lw=0.6)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    axes[-1].set_xlabel(r"$R_{ce}(\nu_{max})$ at the band limit of the LRG")
    legend_below(fig, axes)
    return fig


def methods(rows: pd.DataFrame) -> Figure:
    """Draw the drop of each way of truncating, with intervals: one row a method, one mark a domain and model.

    `rows` has domain, kind, model, method, value, low, high.
    """
    known = [m for m in METHODS if m in set(rows["method"])]
    lines = groups(rows)
    fig, ax = subplots(size=(4.9, 0.18 * len(known) * max(len(lines), 3) + 1.6))
    for i, ((domain, _, model), part) in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * 0.7 / len(lines)
        part = part[part["method"].isin(known)]
        at = np.array([known.index(m) for m in part["method"]]) + shift
        spread = np.stack([part["value"] - part["low"], part["high"] - part["value"]])
        look = {**style(part), "ls": ""}
        ax.errorbar(part["value"], at, xerr=spread, elinewidth=1, label=who(domain, model), **look)
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
    domains = list(dict.fromkeys(rows["domain"]))
    fig, axes = subplots(len(domains), 1, size=(4.9, 2.2 * len(domains) + 0.9), sharex=True, squeeze=False)
    for ax, domain in zip(axes[:, 0], domains, strict=True):
        for (model, metric), part in rows[rows["domain"] == domain].groupby(["model", "metric"], sort=False):
            part = part.sort_values("share")
            edge = metric != "mIoU"
            ax.plot(part["share"], part["value"], color=COLORS["black"] if edge else color(part), lw=1.5,
                    ls=":" if edge else MODEL_LINES[model], marker="o" if model == "deeplabv3plus" else "s", ms=3,
                    label=f"{metric}, {MODEL_NAMES[model]}")  # fmt: skip
        ax.set_title(DOMAIN_NAMES.get(domain, domain))
        ax.set_ylabel("relative drop")
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        _shares(ax, label=False)
    _shares(axes[-1, 0])
    legend_below(fig, axes[:1, 0])
    return fig
