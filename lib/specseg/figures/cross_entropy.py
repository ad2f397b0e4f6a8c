"""Figures of the chapter on cross-entropy in frequency, each from tidy rows."""

from __future__ import annotations

import pandas as pd

from specseg.figures import COLORS
from specseg.figures.plots import curves, draw, dress, groups, panels, plot

NU_MAX = r"$\nu_{max}$ [cycles per frame]"


def course(rows: pd.DataFrame):
    """Draw L_CE, L_ce(0), the rest and the floor of L_ce(0) against the training step (columns as `cancellation`)."""
    shown = curves(rows.assign(step=rows["step"].astype(str)), "step", {
        "zero": ("zero frequency, $L_{ce}(0)$", "blue", "o-"), "loss": ("whole loss, $L_{CE}$", "black", "o-"),
        "rest": ("all other frequencies", "red", "o-"),
        "floor": ("floor of $L_{ce}(0)$ for every network", "grey", "--")})  # fmt: skip
    return plot(shown, height=3.2, at_y=[0], xlabel="training step", ylabel="nats per pixel")


def zero_frequency(rows: pd.DataFrame):
    """Draw the parts of L_ce(0) stacked over the training steps, L_CE beside them.

    Columns step, entropy, mismatch, spread (as `rce_laws.zero_frequency`) and loss.
    """
    parts = {"entropy": ("entropy of the histogram, $H$", "grey"), "mismatch": (r"mismatch, KL($\pi$ || p)", "orange"),
             "spread": (r"spread, mean KL(p || $S_t$)", "blue")}  # fmt: skip
    looks = {"sum": ("their sum, $L_{ce}(0)$", "black", "o-"), "loss": ("whole loss, $L_{CE}$", "black", "s--")}
    fig, (ax,) = panels([""], 3.4)
    steps, (labels, colors) = rows["step"].astype(str), zip(*parts.values(), strict=True)
    ax.stackplot(steps, rows[[*parts]].T, labels=labels, colors=[COLORS[c] for c in colors], alpha=0.45)
    draw(ax, curves(rows.assign(sum=rows[[*parts]].sum(axis=1)), steps, looks))
    return dress(fig, [ax], xlabel="training step", ylabel="nats per pixel", ylim=(0, None))


def built_up(rows: pd.DataFrame):
    """Draw the truncated loss of Eq. 9 against nu_max at several training steps (columns step, nu_max, kept, loss)."""
    kept = groups(rows, "step", "nu_max", "kept", "step {}")
    whole = groups(rows, "step", "nu_max", "loss", "_{}", ls=":", lw=0.8)
    return plot({"dotted: whole loss": kept + whole}, xlabel=NU_MAX, ylabel=r"$\hat{L}_{ce}(\nu_{max})$ [nats]")


def frame(rows: pd.DataFrame, grid_nyquist: int):
    """Draw R_ce against nu_max: periodic, mirrored, and what the jump across the frame alone gives.

    Pale: mean of ratios. Dotted: the band limit of the network's grid.
    """
    looks = {"periodic": ("periodic (the paper's DFT)", "blue", "o-"), "mirrored": ("mirrored (DCT-II)", "green", "s-"),
             "frame alone": ("closed form: jump across the frame", "red", "--")}  # fmt: skip

    def look(boundary: str, average: str) -> dict:
        label, color, form = looks[boundary]
        pale = average != "ratio_of_means"
        return {"label": label + ", mean of ratios" * pale, "color": COLORS[color], "fmt": form,
                "alpha": 0.35 if pale else 1.0}  # fmt: skip

    shown = groups(rows[rows["rce"] > 0], ["boundary", "average"], "nu_max", "rce", look)
    return plot(shown, height=3.2, log="y", ticks=sorted(rows["nu_max"].unique()), at_x=[grid_nyquist], legend=1,
                xlabel=NU_MAX + ", dotted: grid's limit", ylabel=r"$R_{ce}(\nu_{max})$")  # fmt: skip


def temperature(rows: pd.DataFrame, calibrated: float):
    """Draw R_ce, the loss and the (unchanged) relative drop of mIoU against the logits' scale tau."""
    rows = rows.assign(tail=rows["tail"].abs())
    rates = curves(rows, "tau", {"rce": (r"$R_{ce}$", "blue", "o-"), "drop": ("relative mIoU-drop", "red", "s--")})
    losses = curves(rows, "tau", {"loss": ("$L_{CE}$", "black", "o-"),
                                  "tail": (r"|tail|, linear in $\tau$", "green", "--")})  # fmt: skip
    return plot({"rates": rates, "the loss": losses}, log="xy", at_x=[calibrated], ylabel=["rate", "nats per pixel"],
                xlabel=r"scale $\tau$ of the logits")  # fmt: skip


def cost(rows: pd.DataFrame):
    """Draw what truncating the logits does to the loss beside R_ce: true, first and second order, upper bound."""
    rows = rows[rows["rce"] > 0]
    shown = curves(rows, "nu_max", {
        "rce": (r"$R_{ce}$ (Eq. 10)", "blue", "o-"), "true": ("true change of the loss", "black", "s-"),
        "second": ("second order", "green", "--"), "first": ("lower bound", "orange", ":"),
        "bound": ("upper bound", "grey", "-.")})  # fmt: skip
    fig = plot(shown, height=3.2, ticks=sorted(rows["nu_max"].unique()), at_y=[0], xlabel=NU_MAX,
               ylabel="share of $L_{CE}$")  # fmt: skip
    fig.axes[0].set_yscale("symlog", linthresh=1e-3)
    return fig
