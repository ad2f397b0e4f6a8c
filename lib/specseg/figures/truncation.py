"""Figures of chapter 70: drops by truncation and pruning beside the paper's, FPI, methods of truncation, boundaries."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES
from specseg.figures.loss import DOMAIN_NAMES, beside, lines, style, who
from specseg.figures.plots import Series, forest, plot, signed

SHARES = (1.0, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
AXIS = {"ticks": [s for s in SHARES if s != 0.625],  # too near to its neighbour for words
        "xlabel": "LRG size, share of the grid (1: the paper's 129)", "xlim": (1.12, 0.11)}  # fmt: skip
METHODS = {"bilinear": "bilinear (main)", "bilinear_half_pixel": "bilinear, half-pixel", "bilinear_antialias":
           "bilinear, antialiased", "fourier": "ideal low pass", "encoder": "encoder feature"}  # fmt: skip
DROP = "relative mIoU-drop"


def _signed_drops(fig: Figure, *tables: pd.DataFrame) -> Figure:
    """Give panels of drops that share their axis one signed logarithmic scale, wide enough for all values."""
    values = pd.concat([rows["value"] for rows in tables])
    low, top = values.min(), values.max()
    ticks = [t for t in (-0.01, 0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1) if 1.3 * min(low, 0) <= t <= 1.1 * top]
    signed(fig.axes[0], 0.01, ticks, "{:.1%}")
    fig.axes[0].set_ylim(min(-0.001, 1.3 * low), 1.25 * top)
    for ax in fig.axes:
        ax.axhline(0, color=COLORS["black"], lw=0.6)
    return fig


def drops_beside(ours: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Draw relative mIoU-drops over the LRG size, the paper's above ours; ours with intervals.

    Both have domain, kind, model, share, value; ours low and high too. Unpruned networks.
    """
    return _signed_drops(beside({"the paper": printed, "ours": ours}, "share", ylabel=DROP, **AXIS), ours, printed)


def cost_and_score(ours: pd.DataFrame, printed: pd.DataFrame) -> Figure:
    """Draw Fig. 8 for each kind of scene: mIoU over cost, both as parts of the unpruned full network's.

    Both have kind, model, prune_rate, share, cost (relative), miou (relative). Black and dashed: the paper.
    """
    shown: dict[str, list[Series]] = {}
    for kind in (k for k in KIND_COLORS if k in set(printed["kind"])):
        for model, name in MODEL_NAMES.items():
            series = shown.setdefault(f"{kind}, {name}", [])
            for rows, own in ((printed, {"color": COLORS["black"], "ls": "--", "mfc": "none", "label": "the paper"}),
                              (ours, {"ls": "-"})):  # fmt: skip
                part = rows[(rows["kind"] == kind) & (rows["model"] == model)].sort_values("cost")
                series += [Series(curve["cost"], curve["miou"], {**style(curve), "lw": 1.2, **own})
                           for _, curve in part.groupby("prune_rate")]  # fmt: skip
    return plot(shown, columns=2, height=2.4, share="xy", xlabel="FLOPs / full network's", ylabel="mIoU / unpruned")


def fpi(found: pd.DataFrame, panels: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """Draw Fig. 4: FPI over the LRG size, relative to the full grid's, its minimum marked; one panel a pair of name and
    rows (domain, kind, model, share, fpi of one cost and one pruning rate). `found` sets the range of all panels.
    """

    def relative(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
        whole = rows["fpi"].where(rows["share"] == 1).groupby([rows[key] for key in keys]).transform("max")
        return rows.assign(value=rows["fpi"] / whole)

    least = relative(found, ["cost", "domain", "model", "prune_rate"])["value"].min()
    shown = {}
    for name, rows in panels:
        curves = lines(relative(rows, ["domain", "model"]), "share", lw=1.2)
        stars = [s._replace(x=s.x[best], y=s.y[best], look={**s.look, "marker": "*", "ms": 13, "mec": "black",
                                                            "mew": 0.7, "mfc": s.look["color"], "label": "_"})
                 for s in curves for best in ([s.y.idxmin()],)]  # fmt: skip
        shown[name] = curves + stars
    fig = plot(shown, ylabel="FPI / full grid's", ylim=(min(0.65, 0.98 * least), 1.15), **AXIS)
    for ax in fig.axes:
        ax.axvspan(0.5, 0.25, color=COLORS["yellow"], alpha=0.25, lw=0)
    return fig


def methods(rows: pd.DataFrame) -> Figure:
    """Draw the drop of each way of truncating, with intervals: one row a method, one mark a domain and model.

    `rows` has domain, kind, model, method, value, low, high.
    """
    rows = rows[rows["method"].isin(METHODS)]
    named = rows.assign(method=rows["method"].map(METHODS))
    shown = [s._replace(x=s.y, y=s.x) for s in lines(named, "method", name=who)]
    return forest(shown, order=list(METHODS.values()), height=0.6, dodge=0.8, at_x=[0], percent="x", legend=1,
                  xlabel="relative mIoU-drop at half of the grid")  # fmt: skip


def boundaries(rows: pd.DataFrame) -> Figure:
    """Draw the relative drop of boundary mIoU (dotted) beside that of mIoU (solid) over the LRG size, a panel a domain.

    `rows` has domain, kind, model, share, metric ("mIoU" or "boundary mIoU"), value.
    """
    shown = {}
    for domain, own in rows.groupby("domain", sort=False):
        edge = own["metric"] != "mIoU"
        shown[DOMAIN_NAMES.get(domain, domain)] = [
            *lines(own[~edge], "share", name=lambda _, m: f"mIoU, {MODEL_NAMES[m]}", interval=False),
            *lines(own[edge], "share", name=lambda _, m: f"boundary mIoU, {MODEL_NAMES[m]}", interval=False,
                   color=COLORS["black"], ls=":")]  # fmt: skip
    return plot(shown, height=2.2, percent="y", ylabel="relative drop", **AXIS)
