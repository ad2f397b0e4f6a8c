"""Figures of the chapter on boundary IoU, each from tidy rows or plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS


def energy_above(rows: pd.DataFrame, nu_mark: int = 32):
    """Draw the share of a band's energy above nu_max for several widths (columns width, nu_max, value, kind).

    kind "law" is a line, "measured" dots.
    """
    fig, ax = figures.subplots(size=(7, 3.4))
    for (width, part), color in zip(rows.groupby("width"), figures.CYCLE, strict=False):
        law, dots = part[part["kind"] == "law"], part[part["kind"] == "measured"]
        ax.plot(law["nu_max"], law["value"], color=color, label=f"d = {width:g} px")
        ax.plot(dots["nu_max"], dots["value"], "o", color=color, ms=4)
    ax.set_xscale("log")
    ax.set_xticks([4, 8, 16, 32, 64, 128, 256], ["4", "8", "16", "32", "64", "128", "256"])
    ax.set_xticks([], minor=True)
    ax.axvline(nu_mark, color=COLORS["grey"], lw=0.8, ls=":")
    ax.axhline(0.5, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set(ylim=(0, 1), xlabel=r"$\nu_{max}$ [cycles per frame of 513 px]",
           ylabel="share of the band's energy above")  # fmt: skip
    ax.legend(title="lines: closed form, dots: FFT", loc="lower left")
    return fig


def bands(t: np.ndarray, true: np.ndarray, model: np.ndarray, width: float):
    """Draw the true inner band of one edge and the Gaussian of Eq. 35 that is nearest to it, t in units of d."""
    fig, ax = figures.subplots(size=(7, 2.6))
    ax.fill_between(t, true, step="mid", color=COLORS["sky"], alpha=0.6, label="true band $B_d \\cap B$ (Eq. 33)")
    ax.plot(t, model, color=COLORS["red"], label=f"nearest Gaussian of Eq. 35, $\\sigma$ = {width:.2f} d")
    ax.axvline(0, color=COLORS["black"], lw=0.8)
    ax.annotate("outside  ", (0, 1.05), ha="right", fontsize=8)
    ax.annotate("  inside the object", (0, 1.05), ha="left", fontsize=8)
    ax.set(xlabel="distance from the contour, in band widths d", ylim=(0, 1.5), ylabel="weight")
    ax.legend(loc="upper right")
    return fig


def built_up(rows: pd.DataFrame):
    """Draw one pair's overlap against nu sigma, exact and Eq. 39 (columns c, x, exact, approximate)."""
    fig, axes = figures.subplots(1, 2, size=(7, 3.0), width_ratios=(3, 2))
    for (c, part), color in zip(rows.groupby("c"), figures.CYCLE, strict=False):
        axes[0].plot(part["x"], part["exact"], color=color, label=f"C = {c:g}")
        axes[0].plot(part["x"], part["approximate"], "--", color=color)
    axes[0].axhline(0, color=COLORS["black"], lw=0.6)
    axes[0].set(xlabel=r"$\nu_{max}\,\sigma$", ylabel="overlap kept (1: matched pair)")
    axes[0].legend(
        title="lines: Eq. 38 mended\ndashes: Eq. 39",
        fontsize=8,
        title_fontsize=8,
        loc="center right",
        bbox_to_anchor=(1.0, 0.68),
    )
    x = rows.drop_duplicates("x").sort_values("x")
    axes[1].plot(x["x"], x["matched"], color=COLORS["blue"], label="overlap itself")
    axes[1].plot(x["x"], x["sensitivity"], color=COLORS["red"], label="its answer to a shift")
    axes[1].set(xlabel=r"$\nu_{max}\,\sigma$", ylabel="share below")
    axes[1].legend(fontsize=8)
    return fig


def error_map(x: np.ndarray, c: np.ndarray, error: np.ndarray):
    """Return the interactive map of Eq. 39's relative error over (C, nu sigma); error (len(c), len(x))."""
    import plotly.graph_objects as go

    shown = np.log10(np.clip(error, 1e-4, 10))
    ticks = [-4, -3, -2, -1, 0, 1]
    fig = go.Figure(
        go.Heatmap(
            x=np.round(x, 3), y=np.round(c, 3), z=np.round(shown, 3), customdata=np.round(100 * error, 2),
            colorscale="Viridis", zmin=-4, zmax=1,
            hovertemplate="ν σ = %{x}<br>C = %{y}<br>error %{customdata} %<extra></extra>",
            colorbar={"title": "relative error", "tickvals": ticks,
                      "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %", "≥ 1000 %"]},
        )
    )  # fmt: skip
    fig.add_trace(go.Contour(x=x, y=c, z=shown, contours={"start": -1, "end": -1, "size": 1, "coloring": "none"},
                             line={"color": "white", "width": 2}, showscale=False, hoverinfo="skip"))  # fmt: skip
    fig.update_layout(height=420, xaxis_title="ν σ", yaxis_title="C = distance of the two edges / 2σ",
                      margin={"l": 60, "r": 20, "t": 20, "b": 50})  # fmt: skip
    return fig
