"""Figures of the chapter on boundary IoU, each from tidy rows or plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, curves, plain_ticks

OCTAVES = (4, 8, 16, 32, 64, 128, 256)


def energy_above(rows: pd.DataFrame):
    """Draw the share of a region's energy above nu_max for each width (columns width, nu_max, above, difference).

    Lines are the law, above + difference; every fourth nu_max has the FFT's dot.
    """
    fig, ax = figures.subplots(size=(4.8, 3.8))
    for (width, part), color in zip(rows.groupby("width"), figures.CYCLE, strict=False):
        ax.plot(part["nu_max"], part["above"] + part["difference"], color=color, label=f"d = {width:g} px")
        ax.plot(part["nu_max"][::4], part["above"][::4], "o", color=color, ms=4)
    plain_ticks(ax, OCTAVES)
    ax.axvline(32, color=COLORS["grey"], lw=0.8, ls=":")
    ax.axhline(0.5, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set(ylim=(0, 1), xlabel=r"$\nu_{max}$ [cycles per frame of 513 px]",
           ylabel="share of the region's energy above")  # fmt: skip
    fig.legend(title="lines: closed form, dots: FFT", loc="outside lower center", ncols=2)
    return fig


def expansion(rows: pd.DataFrame):
    """Draw one pair's term e^{-C^2} erf(nu sigma - jC): real part above, imaginary part below, a column for each x.

    `rows`: columns x, c, form and value (erf, or `spectral.boundary.expansion` in a form); "true" is the broad line.
    """
    looks = {"true": (COLORS["grey"], "-", 5), "printed": (COLORS["red"], "--", 1.6),
             "sign mended": (COLORS["orange"], ":", 2.2)}  # fmt: skip
    xs = rows.assign(term=np.exp(-(rows["c"] ** 2)) * rows["value"]).groupby("x")
    fig, axes = figures.subplots(2, len(xs), size=(4.8, 4.8), sharex=True, sharey="row", squeeze=False)
    for (real, imaginary), (x, own) in zip(axes.T, xs, strict=True):
        for form, part in own.groupby("form", sort=False):
            color, style, width = looks.get(form, (COLORS["blue"], "-", 1.2))
            look = {"color": color, "ls": style, "lw": width, "alpha": 0.5 if form == "true" else 1, "label": form}
            real.plot(part["c"], part["term"].to_numpy().real, **look)
            imaginary.plot(part["c"], part["term"].to_numpy().imag, **look)
        only = own[own["form"] == "true"]
        real.plot(only["c"], np.exp(-(only["c"] ** 2)) * only["value"].iloc[0].real, "-.", color=COLORS["black"], lw=1,
                  label="Eq. 39")  # fmt: skip
        for ax in (real, imaginary):
            ax.axhline(0, color=COLORS["black"], lw=0.6)
        real.set_title(rf"$\nu\sigma = {x:g}$")
        imaginary.set_xlabel("C")
    axes[0, 0].set_ylabel("real part")
    axes[1, 0].set_ylabel("imaginary part")
    figures.legend_below(fig, axes[0, :1])
    return fig


def reduction(worst: pd.DataFrame):
    """Draw how far one straight band is from an object's region against the law d/(pi (L - d)), one dot for each unit.

    Columns unit, width, law, difference (absolute, > 0) and kind, which sets colour and legend.
    """
    fig, ax = figures.subplots(size=(4.8, 3.8))
    marks = zip(worst.groupby("kind", sort=False), figures.CYCLE, "osD^", strict=False)
    for (kind, part), color, marker in marks:
        ax.plot(part["law"], part["difference"], marker, color=color, ms=6, label=kind)
    ends = np.array([worst["law"].min() / 1.3, worst["law"].max() * 1.3])
    ax.plot(ends, ends, color=COLORS["black"], lw=1, label=r"$d\,/\,\pi(L-d)$")
    ax.axhline(0.05, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set(xscale="log", yscale="log", xlabel=r"$d\,/\,\pi(L-d)$: d band width, L thickness of the object",
           ylabel="largest difference of two shares")  # fmt: skip
    ax.legend(loc="upper left")
    return fig


def answer(grown: pd.DataFrame, shares: pd.DataFrame, law: pd.DataFrame):
    """Draw the answer of boundary IoU to a moved edge: its share below nu_max, and at nu sigma = 1 against the shift.

    `grown`: one contour (columns shift, nu_max, below, law), lines the law and dots the FFT. `shares`: all contours at
    nu sigma = 1 (columns shift, below); `law` the law for true band and model (columns shift, true, model).
    """
    fig, axes = figures.subplots(2, 1, size=(4.8, 6.6))
    for (shift, part), color in zip(grown.groupby("shift"), figures.CYCLE, strict=False):
        axes[0].plot(part["nu_max"], part["law"], color=color, label=f"moved by {shift:g} px")
        axes[0].plot(part["nu_max"][::4], part["below"][::4], "o", color=color, ms=4)
    plain_ticks(axes[0], OCTAVES)
    axes[0].set(ylim=(0, 1), xlabel=r"$\nu_{max}$ [cycles per frame of 513 px]", ylabel="share of the answer below")
    axes[0].legend(title="lines: law, dots: FFT", fontsize=9.8, title_fontsize=9.8)
    curves(
        axes[1], law["shift"], law, {"model": ("Gaussian model", "black", "--"), "true": ("true band", "black", "-")}
    )
    curves(axes[1], shares["shift"], shares, {"below": ("FFT, all contours", "purple", "o")}, ms=4, alpha=0.6)
    axes[1].axhline(0.1, color=COLORS["grey"], lw=0.8, ls=":")
    axes[1].set(ylim=(0, 0.75), xlabel="shift of the edge [px]", ylabel=r"share below $\nu\sigma = 1$")
    axes[1].legend(fontsize=9.8, loc="upper left")
    return fig


def bands(t: np.ndarray, true: np.ndarray, model: np.ndarray, width: float):
    """Draw the true inner band of one edge and the Gaussian of Eq. 35 that is nearest to it, t in units of d."""
    fig, ax = figures.subplots(size=(4.8, 3.2))
    ax.fill_between(t, true, step="mid", color=COLORS["sky"], alpha=0.6, label="true strip $B_d \\cap B$ (Eq. 33)")
    ax.plot(t, model, color=COLORS["red"], label=f"nearest Gaussian of Eq. 35, $\\sigma$ = {width:.2f} d")
    ax.axvline(0, color=COLORS["black"], lw=0.8)
    ax.annotate("outside  ", (0, 1.05), ha="right", fontsize=9.8)
    ax.annotate("  inside the object", (0, 1.05), ha="left", fontsize=9.8)
    ax.set(xlabel="distance from the contour, in strip widths d", ylim=(0, 1.2), ylabel="weight")
    fig.legend(loc="outside lower center")
    return fig


def built_up(rows: pd.DataFrame):
    """Draw one pair's overlap against nu sigma, exact and Eq. 39 (columns c, x, exact, approximate)."""
    fig, axes = figures.subplots(2, 1, size=(4.8, 6.2))
    for (c, part), color in zip(rows.groupby("c"), figures.CYCLE, strict=False):
        axes[0].plot(part["x"], part["exact"], color=color, label=f"C = {c:g}")
        axes[0].plot(part["x"], part["approximate"], "--", color=color)
    axes[0].axhline(0, color=COLORS["black"], lw=0.6)
    axes[0].set(xlabel=r"$\nu_{max}\,\sigma$", ylabel="overlap kept (1: matched pair)")
    axes[0].legend(title="lines: Eq. 38 mended\ndashes: Eq. 39", fontsize=9.8, title_fontsize=9.8, loc="center right",
                   bbox_to_anchor=(1.0, 0.66))  # fmt: skip
    x = rows.drop_duplicates("x").sort_values("x")
    curves(axes[1], x["x"], x, {"matched": ("overlap itself", "blue", "-"),
                                "sensitivity": ("its answer to a shift", "red", "-")})  # fmt: skip
    axes[1].set(xlabel=r"$\nu_{max}\,\sigma$", ylabel="share below")
    axes[1].legend(fontsize=9.8)
    return fig


def error_map(x: np.ndarray, c: np.ndarray, error: np.ndarray, region: np.ndarray):
    """Return the interactive map of Eq. 39's relative error over (C, nu sigma); error (len(c), len(x)).

    `region` (len(x),): the C up to which a law allows 10 %, drawn as dashes up to the map's edge.
    """
    import plotly.graph_objects as go

    shown = np.log10(np.clip(error, 1e-4, 10))
    words = {"title": "relative error", "tickvals": [-4, -3, -2, -1, 0, 1],
             "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %", "≥ 1000 %"]}  # fmt: skip
    inside, quiet = region <= c.max(), {"hoverinfo": "skip"}
    fig = go.Figure([
        go.Heatmap(x=np.round(x, 3), y=np.round(c, 3), z=np.round(shown, 3), customdata=np.round(100 * error, 2),
                   colorscale="Viridis", zmin=-4, zmax=1, colorbar=words,
                   hovertemplate="ν σ = %{x}<br>C = %{y}<br>error %{customdata} %<extra></extra>"),
        go.Contour(x=x, y=c, z=shown, contours={"start": -1, "end": -1, "size": 1, "coloring": "none"},
                   line={"color": "white", "width": 2}, showscale=False, **quiet),
        go.Scatter(x=x[inside], y=region[inside], mode="lines", showlegend=False,
                   line={"color": "white", "width": 2, "dash": "dash"}, **quiet),
    ])  # fmt: skip
    fig.update_layout(height=420, xaxis_title="ν σ", yaxis_title="C = distance of the two edges / 2σ",
                      margin={"l": 60, "r": 20, "t": 20, "b": 50})  # fmt: skip
    return fig
