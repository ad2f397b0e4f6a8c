"""Figures of the chapter on boundary IoU, each from tidy rows or plain arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.figures import COLORS
from specseg.figures.plots import curves, groups, line, plot

OCTAVES = (4, 8, 16, 32, 64, 128, 256)
NU_MAX = r"$\nu_{max}$ [cycles per frame of 513 px]"


def _law_and_dots(rows: pd.DataFrame, by: str, law: str, found: str, form: str):
    """Return the law of each group as a line and every fourth number that was found as a dot, over nu_max."""
    dots = rows[rows.groupby(by).cumcount() % 4 == 0]
    return [*groups(rows, by, "nu_max", law, form), *groups(dots, by, "nu_max", found, "_{}", fmt="o")]


def energy_above(rows: pd.DataFrame):
    """Draw the share of a region's energy above nu_max for each width (columns width, nu_max, above, difference).

    Lines are the law, above + difference; every fourth nu_max has the FFT's dot.
    """
    rows = rows.assign(law=rows["above"] + rows["difference"])
    shown = {"lines: closed form, dots: FFT": _law_and_dots(rows, "width", "law", "above", "d = {:g} px")}
    return plot(shown, ticks=OCTAVES, at_x=[32], at_y=[0.5], ylim=(0, 1), xlabel=NU_MAX,
                ylabel="share of the region's energy above")  # fmt: skip


def expansion(rows: pd.DataFrame):
    """Draw one pair's term e^{-C^2} erf(nu sigma - jC): real part above, imaginary part below, a column for each x.

    `rows`: columns x, c, form and value (erf, or `spectral.boundary.expansion` in a form); "true" is the broad line.
    """
    looks = {"true": {"color": COLORS["grey"], "lw": 5, "alpha": 0.5}, "printed": {"color": COLORS["red"], "ls": "--"},
             "sign mended": {"color": COLORS["orange"], "ls": ":", "lw": 2.2},
             "Eq. 39": {"color": COLORS["black"], "ls": "-.", "lw": 1}}  # fmt: skip
    true = rows[rows["form"] == "true"]
    at_zero = {x: part["value"].iloc[0].real for x, part in true.groupby("x")}
    rows = pd.concat([rows, true.assign(form="Eq. 39", value=true["x"].map(at_zero))])
    rows["term"] = np.exp(-(rows["c"] ** 2)) * rows["value"]
    shown = {}
    for name, part in (("Re", np.real), ("Im", np.imag)):
        for x, own in rows.assign(term=part(rows["term"].to_numpy())).groupby("x"):
            shown[rf"{name}, $\nu\sigma = {x:g}$"] = groups(own, "form", "c", "term", lambda form: {
                "label": form, **looks.get(form, {"color": COLORS["blue"], "lw": 1.2})})  # fmt: skip
    return plot(shown, columns=len(set(rows["x"])), height=2.1, xlabel="C", ylabel="value of the term", at_y=[0])


def reduction(worst: pd.DataFrame):
    """Draw how far one straight band is from an object's region against the law d/(pi (L - d)), one dot for each unit.

    Columns unit, width, law, difference (absolute, > 0) and kind, which sets colour and legend.
    """
    ends = np.array([worst["law"].min() / 1.3, worst["law"].max() * 1.3])
    shown = [*groups(worst, "kind", "law", "difference", fmt="o", ms=6),
             line(ends, ends, label=r"$d\,/\,\pi(L-d)$", lw=1)]  # fmt: skip
    return plot(shown, log="xy", at_y=[0.05], ylabel="largest difference of two shares",
                xlabel=r"$d\,/\,\pi(L-d)$: d band width, L thickness of the object")  # fmt: skip


def answer(grown: pd.DataFrame, shares: pd.DataFrame, law: pd.DataFrame):
    """Draw the answer of boundary IoU to a moved edge: its share below nu_max, and at nu sigma = 1 against the shift.

    `grown`: one contour (columns shift, nu_max, below, law), lines the law and dots the FFT. `shares`: all contours at
    nu sigma = 1 (columns shift, below); `law` the law for true band and model (columns shift, true, model).
    """
    below = _law_and_dots(grown, "shift", "law", "below", "moved by {:g} px")
    at_one = [*curves(law, "shift", {"model": ("Gaussian model", "black", "--"), "true": ("true band", "black", "-")}),
              *curves(shares, "shift", {"below": ("FFT, all contours", "purple", "o")}, alpha=0.6)]  # fmt: skip
    fig = plot({"lines: law, dots: FFT": below, r"at $\nu\sigma = 1$": at_one}, share="", ylim=(0, 1),
               xlabel=[NU_MAX, "shift of the edge [px]"], ylabel="share of the answer below")  # fmt: skip
    fig.axes[0].set_xscale("log", base=2)
    fig.axes[0].set_xticks(OCTAVES, [str(n) for n in OCTAVES])
    fig.axes[1].axhline(0.1, color=COLORS["grey"], lw=0.8, ls=":")
    return fig


def bands(t: np.ndarray, true: np.ndarray, model: np.ndarray, width: float):
    """Draw the true inner band of one edge and the Gaussian of Eq. 35 that is nearest to it, t in units of d."""
    shown = [line(t, true, "sky", label="true strip $B_d \\cap B$ (Eq. 33)", drawstyle="steps-mid", lw=2.5),
             line(t, model, "red", label=f"nearest Gaussian of Eq. 35, $\\sigma$ = {width:.2f} d")]  # fmt: skip
    return plot({"outside  |  inside the object": shown}, at_x=[0], ylim=(0, 1.2), ylabel="weight", legend=1,
                xlabel="distance from the contour, in strip widths d")  # fmt: skip


def built_up(rows: pd.DataFrame):
    """Draw one pair's overlap against nu sigma, exact and Eq. 39 (columns c, x, exact, approximate)."""
    pair = [*groups(rows, "c", "x", "exact", "C = {:g}"), *groups(rows, "c", "x", "approximate", "_{}", ls="--")]
    looks = {"matched": ("overlap itself", "black", "-"), "sensitivity": ("its answer to a shift", "grey", "-")}
    matched = curves(rows.drop_duplicates("x").sort_values("x"), "x", looks)
    return plot({"lines: Eq. 38 mended, dashes: Eq. 39": pair, "a matched pair": matched}, at_y=[0],
                xlabel=r"$\nu_{max}\,\sigma$", ylabel=["overlap kept (1: matched pair)", "share below"])  # fmt: skip


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
