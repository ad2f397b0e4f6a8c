"""Figures of the chapter on cross-entropy in frequency, each from tidy rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, curves, plain_ticks


def legend_under(ax, columns: int = 1, **kwargs) -> None:
    """Put the legend under the axes, where it hides no curve on a narrow screen."""
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, frameon=False, **kwargs)


def course(rows: pd.DataFrame):
    """Draw L_CE, L_ce(0), the rest and the floor of L_ce(0) against the training step (columns as `cancellation`)."""
    fig, ax = figures.subplots(size=(4.9, 4.2))
    curves(ax, range(len(rows)), rows, {
        "zero": ("zero frequency, $L_{ce}(0)$", "blue", "o-"), "loss": ("whole loss, $L_{CE}$", "black", "o-"),
        "rest": ("all other frequencies", "red", "o-"),
        "floor": ("floor of $L_{ce}(0)$ for every network", "grey", "--")})  # fmt: skip
    ax.axhline(0, color=COLORS["black"], lw=0.6)
    ax.set_xticks(range(len(rows)), [str(s) for s in rows["step"]])
    ax.set(xlabel="training step", ylabel="nats per pixel")
    legend_under(ax, 2)
    return fig


def zero_frequency(rows: pd.DataFrame):
    """Draw the parts of L_ce(0) stacked over the training steps, L_CE beside them.

    Columns step, entropy, mismatch, spread (as `rce_laws.zero_frequency`) and loss.
    """
    fig, ax = figures.subplots(size=(4.9, 4.4))
    x = np.arange(len(rows))
    parts = {"entropy": ("entropy of the histogram, $H$", "grey", ""),
             "mismatch": (r"mismatch, KL($\pi$ || p)", "orange", "//"),
             "spread": (r"spread, mean KL(p || $S_t$)", "blue", "")}  # fmt: skip
    tops = rows[[*parts]].cumsum(axis=1)
    for column, (label, color, hatch) in parts.items():
        ax.fill_between(x, tops[column] - rows[column], tops[column], facecolor=COLORS[color], alpha=0.45,
                        edgecolor=COLORS[color], hatch=hatch, lw=0.5, label=label)  # fmt: skip
    sums = rows.assign(sum=tops["spread"])
    curves(ax, x, sums, {"sum": ("their sum, $L_{ce}(0)$", "black", "o-"),
                         "loss": ("whole loss, $L_{CE}$", "black", "s--")})  # fmt: skip
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


def frame(rows: pd.DataFrame, grid_nyquist: int):
    """Draw R_ce against nu_max: periodic, mirrored, and what the jump across the frame alone gives.

    Pale: mean of ratios. Dotted: the band limit of the network's grid.
    """
    fig, ax = figures.subplots(size=(4.9, 4.8))
    looks = {"periodic": ("periodic (the paper's DFT)", "blue", "o-"), "mirrored": ("mirrored (DCT-II)", "green", "s-"),
             "frame alone": ("closed form: jump across the frame", "red", "--")}  # fmt: skip
    for (boundary, average), part in rows[rows["rce"] > 0].groupby(["boundary", "average"], sort=False):
        label, *look = looks[boundary]
        mean = average == "ratio_of_means"
        curves(ax, part["nu_max"], part, {"rce": (label + ("" if mean else ", mean of ratios"), *look)},
               alpha=1.0 if mean else 0.35)  # fmt: skip
    ax.axvline(grid_nyquist, color=COLORS["grey"], lw=0.8, ls=":")
    ax.text(grid_nyquist, 0.02, " prediction grid", fontsize=9.8, rotation=90, transform=ax.get_xaxis_transform())
    ax.set(yscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel=r"$R_{ce}(\nu_{max})$")
    plain_ticks(ax, sorted(rows["nu_max"].unique()))
    legend_under(ax)
    return fig


def temperature(rows: pd.DataFrame, calibrated: float):
    """Draw R_ce, the loss and the (unchanged) relative drop of mIoU against the logits' scale tau."""
    fig, axes = figures.subplots(2, 1, size=(4.9, 5.8), sharex=True)
    rows = rows.assign(tail=rows["tail"].abs())
    curves(axes[0], rows["tau"], rows, {"rce": (r"$R_{ce}$", "blue", "o-"),
                                        "drop": ("relative mIoU-drop", "red", "s--")})  # fmt: skip
    curves(axes[1], rows["tau"], rows, {"loss": ("$L_{CE}$", "black", "o-"),
                                        "tail": (r"|tail|, linear in $\tau$", "green", "--")})  # fmt: skip
    for ax, ylabel in zip(axes, ("rate", "nats per pixel"), strict=True):
        ax.axvline(calibrated, color=COLORS["grey"], lw=0.8, ls=":")
        ax.set(xscale="log", yscale="log", ylabel=ylabel)
        ax.legend()
    axes[1].set_xlabel(r"scale $\tau$ of the logits")
    return fig


def cost(rows: pd.DataFrame):
    """Draw what truncating the logits does to the loss beside R_ce: true, first and second order, upper bound."""
    fig, ax = figures.subplots(size=(4.9, 4.4))
    rows = rows[rows["rce"] > 0]
    curves(ax, rows["nu_max"], rows, {
        "rce": (r"$R_{ce}$ (Eq. 10)", "blue", "o-"), "true": ("true change of the loss", "black", "s-"),
        "second": ("second order", "green", "--"), "first": ("lower bound", "orange", ":"),
        "bound": ("upper bound", "grey", "-.")})  # fmt: skip
    ax.set_yscale("symlog", linthresh=1e-3)
    ax.axhline(0, color=COLORS["black"], lw=0.6)
    ax.set(xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel="share of $L_{CE}$")
    plain_ticks(ax, sorted(rows["nu_max"].unique()))
    legend_under(ax, 2)
    return fig
