"""Figures of the chapter on IoU in frequency, each from tidy rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures, metrics
from specseg.figures import COLORS
from specseg.figures.cross_entropy import legend_below, plain_ticks


def drop_law(rows: pd.DataFrame):
    """Draw the mended law (1 + q) r/(1 + q r) for several IoU q, and measured drops beside what the equations predict.

    `rows` as `iou_laws.drop_rows`.
    """
    fig, axes = figures.subplots(2, 1, size=(5.4, 7.4))
    r = np.linspace(0, 1, 101)
    for q, color in zip((0.2, 0.5, 0.8, 1.0), figures.CYCLE, strict=False):
        axes[0].plot(r, metrics.drop_from_overlap_loss(q, r), color=color, label=f"IoU before: {q:g}")
    axes[0].plot(r, r, ":", color=COLORS["grey"], label="drop = r")
    axes[0].set(xlabel="share r of the overlap lost", ylabel="relative IoU-drop", title="Eqs 29 to 32, mended")
    axes[0].legend()
    shown = rows[rows["rce"] > 0]
    for column, label, color, style in (
        ("printed", "Eq. 32 as printed", COLORS["red"], "v-"), ("rce", r"$R_{ce}$ itself", COLORS["blue"], "o-"),
        ("overlap", "Eq. 29, symmetric band", COLORS["green"], "s-"),
        ("soft", "measured, soft IoU", COLORS["grey"], "x--"), ("hard", "measured, mIoU", COLORS["black"], "D-"),
    ):  # fmt: skip
        axes[1].plot(shown["nu_max"], shown[column].clip(lower=1e-4), style, color=color, ms=3, label=label)
    axes[1].set(xscale="log", yscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel="relative drop",
                title="a trained network, logits truncated")  # fmt: skip
    plain_ticks(axes[1], sorted(shown["nu_max"].unique()))
    legend_below(axes[1], 2)
    return fig


def expansion(rows: pd.DataFrame, typical: float):
    """Draw log S beside S - 1, and the relative error of Eq. 26 with the trained network's typical S marked."""
    fig, axes = figures.subplots(2, 1, size=(5.4, 5.6), sharex=True)
    axes[0].plot(rows["s"], rows["log"], color=COLORS["blue"], label="log S")
    axes[0].plot(rows["s"], rows["linear"], "--", color=COLORS["red"], label="S - 1 (Eq. 26)")
    axes[0].set(ylabel="value")
    axes[1].plot(rows["s"], rows["relative"], color=COLORS["black"], label="share of -log S missed")
    axes[1].axvline(typical, color=COLORS["grey"], ls=":", label="trained network, loss-weighted mean of S")
    axes[1].set(xlabel="probability S of the true class", ylabel="relative error", ylim=(0, 1))
    for ax in axes:
        ax.legend()
    return fig


def bounds(rows: pd.DataFrame):
    """Draw soft and hard IoU of each class against their lower bounds (columns as `iou_laws.class_bounds`)."""
    fig, axes = figures.subplots(2, 1, size=(5.4, 6.4), sharex=True, sharey=True)
    line = np.linspace(-0.2, 1, 2)
    for ax, score, kinds in ((axes[0], "soft_iou", ("best", "first")), (axes[1], "hard_iou", ("hard",))):
        for kind, color in zip(kinds, (COLORS["blue"], COLORS["orange"]), strict=False):
            x = rows[kind].clip(lower=-0.2)
            ax.plot(x, rows[score], "o", ms=3, color=color, alpha=0.7, label=f"bound '{kind}'")
        ax.plot(line, line, color=COLORS["black"], lw=0.8)
        ax.set(ylabel=score.replace("_iou", " IoU"), ylim=(-0.05, 1.05))
        ax.legend(loc="lower right")
    axes[1].set_xlabel("lower bound from the losses")
    return fig


def block(rows: pd.DataFrame):
    """Draw IoU of the loss's minimiser, its argmax, and the best IoU against the mixed block's fraction."""
    fig, ax = figures.subplots(size=(5.6, 4.6))
    for column, label, color, style in (
        ("best_iou", "largest IoU the model can have", COLORS["black"], "-"),
        ("argmax_iou", "argmax of the loss's minimiser", COLORS["red"], "--"),
        ("loss_iou", "soft IoU of the loss's minimiser", COLORS["blue"], "-."),
    ):  # fmt: skip
        ax.plot(rows["fraction"], rows[column], style, color=color, label=label)
    ax.plot(rows["fraction"], rows["threshold"], ":", color=COLORS["grey"], label="threshold q/(1 + q)")
    ax.set(xlabel="share of the class in the mixed block", ylabel="IoU", ylim=(0, 1.02))
    legend_below(ax)
    return fig


def soft_and_hard(rows: pd.DataFrame):
    """Draw mean soft and hard IoU against the logits' scale tau (columns tau, soft, hard, loss)."""
    fig, ax = figures.subplots(size=(5.6, 3.4))
    ax.plot(rows["tau"], rows["hard"], "s-", color=COLORS["black"], ms=3, label="hard mIoU (argmax)")
    ax.plot(rows["tau"], rows["soft"], "o-", color=COLORS["blue"], ms=3, label="soft mIoU (Eq. 23)")
    ax.plot(rows["tau"], rows["loss"] / rows["loss"].max(), "--", color=COLORS["red"], label="loss / its largest")
    ax.set(xscale="log", xlabel=r"scale $\tau$ of the logits", ylabel="value", ylim=(0, 1.02))
    ax.legend()
    return fig


def shares(rows: pd.DataFrame, nu_max: int):
    """Draw for each class of each regime the share of the overlap in the box, against the class's area (columns as
    `iou_laws.overlap_share`, plus regime)."""
    fig, ax = figures.subplots(size=(5.6, 4.2))
    for (regime, part), color in zip(rows.groupby("regime", sort=False), figures.CYCLE, strict=False):
        ax.plot(part["share"], part["box"], "o", ms=4, color=color, label=regime)
        ax.plot(part["share"], part["zero"], "x", ms=4, color=color, alpha=0.5)
    ax.axhline(0.5, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set(xscale="log", xlabel="area of the class [share of the frame]", ylabel="share of the overlap", ylim=(0, 1.03))
    title = rf"o: $|\nu| \leq$ {nu_max}; x: $\nu = 0$ alone"
    legend_below(ax, 3, title=title)
    return fig
