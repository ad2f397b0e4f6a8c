"""Figures of the chapter on cross-entropy in frequency, each from tidy rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, plain_ticks


def legend_under(ax, columns: int = 1, **kwargs) -> None:
    """Put the legend under the axes, where it hides no curve on a narrow screen."""
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, frameon=False, **kwargs)


def course(rows: pd.DataFrame):
    """Draw L_CE, L_ce(0), the rest and the floor of L_ce(0) against the training step (columns as `cancellation`)."""
    fig, ax = figures.subplots(size=(4.9, 4.2))
    x = np.arange(len(rows))
    for column, label, color in (
        ("zero", "zero frequency, $L_{ce}(0)$", COLORS["blue"]), ("loss", "whole loss, $L_{CE}$", COLORS["black"]),
        ("rest", "all other frequencies", COLORS["red"]),
    ):  # fmt: skip
        ax.plot(x, rows[column], "o-", color=color, ms=3, label=label)
    ax.plot(x, rows["floor"], "--", color=COLORS["grey"], label="floor of $L_{ce}(0)$ for every network")
    ax.axhline(0, color=COLORS["black"], lw=0.6)
    ax.set_xticks(x, [str(s) for s in rows["step"]])
    ax.set(xlabel="training step", ylabel="nats per pixel")
    legend_under(ax, 2)
    return fig


def zero_frequency(rows: pd.DataFrame):
    """Draw the parts of L_ce(0) stacked over the training steps, L_CE beside them.

    Columns step, entropy, mismatch, spread (as `rce_laws.zero_frequency`) and loss.
    """
    fig, ax = figures.subplots(size=(4.9, 4.4))
    x = np.arange(len(rows))
    parts = {"entropy": ("entropy of the histogram, $H$", COLORS["grey"], ""),
             "mismatch": (r"mismatch, KL($\pi$ || p)", COLORS["orange"], "//"),
             "spread": (r"spread, mean KL(p || $S_t$)", COLORS["blue"], "")}  # fmt: skip
    base = np.zeros(len(rows))
    for column, (label, color, hatch) in parts.items():
        top = base + rows[column].to_numpy()
        ax.fill_between(x, base, top, facecolor=color, alpha=0.45, edgecolor=color, hatch=hatch, lw=0.5, label=label)
        base = top
    ax.plot(x, base, "o-", color=COLORS["black"], ms=3, label="their sum, $L_{ce}(0)$")
    ax.plot(x, rows["loss"], "s--", color=COLORS["black"], ms=3, label="whole loss, $L_{CE}$")
    ax.set_xticks(x, [str(s) for s in rows["step"]])
    ax.set(xlabel="training step", ylabel="nats per pixel", xlim=(0, len(rows) - 1), ylim=(0, None))
    legend_under(ax, 2)
    return fig


def built_up(rows: pd.DataFrame):
    """Draw the truncated loss of Eq. 9 against nu_max at several training steps (columns step, nu_max, kept, loss)."""
    fig, ax = figures.subplots(size=(4.9, 3.6))
    for (step, part), color in zip(rows.groupby("step"), figures.CYCLE, strict=False):
        ax.plot(part["nu_max"], part["kept"], color=color, label=f"step {step}")
        ax.axhline(part["loss"].iloc[0], color=color, lw=0.8, ls=":")
    ax.set(xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel=r"$\hat{L}_{ce}(\nu_{max})$ [nats]")
    ax.legend(title="dotted: whole loss")
    return fig


def frame(rows: pd.DataFrame, grid_nyquist: int | None = None):
    """Draw R_ce against nu_max: periodic, mirrored, and what the jump across the frame alone gives."""
    fig, ax = figures.subplots(size=(4.9, 4.8))
    blue, green, red = COLORS["blue"], COLORS["green"], COLORS["red"]
    styles = {"periodic": (blue, "o-"), "mirrored": (green, "s-"), "frame alone": (red, "--")}
    names = {"periodic": "periodic (the paper's DFT)", "mirrored": "mirrored (DCT-II)",
             "frame alone": "closed form: jump across the frame"}  # fmt: skip
    for boundary, (color, style) in styles.items():
        for average, alpha in (("ratio_of_means", 1.0), ("mean_of_ratios", 0.35)):
            part = rows[(rows["boundary"] == boundary) & (rows["average"] == average) & (rows["rce"] > 0)]
            if len(part):
                label = names[boundary] + ("" if average == "ratio_of_means" else ", mean of ratios")
                ax.plot(part["nu_max"], part["rce"], style, color=color, alpha=alpha, ms=3, label=label)
    if grid_nyquist:
        ax.axvline(grid_nyquist, color=COLORS["grey"], lw=0.8, ls=":")
        ax.text(grid_nyquist, 0.02, " prediction grid", fontsize=9.8, rotation=90, transform=ax.get_xaxis_transform())
    ax.set(xscale="log", yscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel=r"$R_{ce}(\nu_{max})$")
    plain_ticks(ax, sorted(rows["nu_max"].unique()))
    legend_under(ax)
    return fig


def temperature(rows: pd.DataFrame, calibrated: float):
    """Draw R_ce, the loss and the (unchanged) relative drop of mIoU against the logits' scale tau."""
    fig, axes = figures.subplots(2, 1, size=(4.9, 5.8), sharex=True)
    axes[0].plot(rows["tau"], rows["rce"], "o-", color=COLORS["blue"], ms=3, label=r"$R_{ce}$")
    axes[0].plot(rows["tau"], rows["drop"], "s--", color=COLORS["red"], ms=3, label="relative mIoU-drop")
    axes[0].set(xscale="log", yscale="log", ylabel="rate")
    axes[1].plot(rows["tau"], rows["loss"], "o-", color=COLORS["black"], ms=3, label="$L_{CE}$")
    axes[1].plot(rows["tau"], rows["tail"].abs(), "--", color=COLORS["green"], label=r"|tail|, linear in $\tau$")
    axes[1].set(xscale="log", yscale="log", xlabel=r"scale $\tau$ of the logits", ylabel="nats per pixel")
    for ax in axes:
        ax.axvline(calibrated, color=COLORS["grey"], lw=0.8, ls=":")
        ax.legend()
    return fig


def cost(rows: pd.DataFrame):
    """Draw what truncating the logits does to the loss beside R_ce: true, first and second order, upper bound."""
    fig, ax = figures.subplots(size=(4.9, 4.4))
    rows = rows[rows["rce"] > 0]
    for column, label, color, style in (
        ("rce", r"$R_{ce}$ (Eq. 10)", COLORS["blue"], "o-"), ("true", "true change of the loss", COLORS["black"], "s-"),
        ("second", "second order", COLORS["green"], "--"), ("first", "lower bound", COLORS["orange"], ":"),
        ("bound", "upper bound", COLORS["grey"], "-."),
    ):  # fmt: skip
        ax.plot(rows["nu_max"], rows[column], style, color=color, ms=3, label=label)
    ax.set_yscale("symlog", linthresh=1e-3)
    ax.axhline(0, color=COLORS["black"], lw=0.6)
    ax.set(xscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel="share of $L_{CE}$")
    plain_ticks(ax, sorted(rows["nu_max"].unique()))
    legend_under(ax, 2)
    return fig


def truncation_slider(maps: dict[int, np.ndarray], label: np.ndarray, titles: dict[int, str]):
    """Return a plotly figure: the label map beside the argmax of band-limited logits, with a slider for nu_max.

    `maps` gives the class map for each nu_max (largest first is not needed), `titles` the line above each.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    limits = sorted(maps)
    top = int(max(label.max(), *(m.max() for m in maps.values())))
    shared = {"zmin": 0, "zmax": top, "colorscale": "Cividis", "showscale": False, "hoverinfo": "skip"}
    fig = make_subplots(1, 2, subplot_titles=("annotation", "argmax of the truncated logits"), horizontal_spacing=0.04)
    fig.add_trace(go.Heatmap(z=label.tolist(), **shared), 1, 1)
    for k, nu in enumerate(limits):
        fig.add_trace(go.Heatmap(z=maps[nu].tolist(), visible=k == len(limits) - 1, **shared), 1, 2)
    steps = []
    for k, nu in enumerate(limits):
        shown = [True] + [j == k for j in range(len(limits))]
        steps.append({"method": "update", "label": str(nu), "args": [{"visible": shown}, {"title.text": titles[nu]}]})
    fig.update_layout(
        title={"text": titles[limits[-1]], "font": {"size": 13}}, height=400, margin={"t": 80, "l": 10, "r": 10},
        sliders=[{"active": len(limits) - 1, "currentvalue": {"prefix": "nu_max = "}, "steps": steps}],
    )  # fmt: skip
    fig.update_xaxes(visible=False, constrain="domain")
    fig.update_yaxes(visible=False, autorange="reversed", scaleanchor="x")
    return fig


def truncations(maps: dict[int, np.ndarray], label: np.ndarray):
    """Draw the same class maps, three a row, for print and where the slider cannot run."""
    limits = sorted(maps, reverse=True)
    lines = -(-(len(limits) + 1) // 3)
    fig, axes = figures.subplots(lines, 3, size=(4.9, 2.1 * lines))
    for ax in axes.flat:
        ax.set_axis_off()
    top = int(max(label.max(), *(m.max() for m in maps.values())))
    names = ["annotation", *[rf"$\nu_{{max}}$ = {n}" for n in limits]]
    for ax, image, name in zip(axes.flat, [label, *(maps[n] for n in limits)], names, strict=False):
        ax.imshow(image, cmap="cividis", vmin=0, vmax=top, interpolation="nearest")
        ax.set_title(name)
    return fig
