"""Figures of the chapter on IoU in frequency, each from tidy rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, curves, plain_ticks
from specseg.figures.cross_entropy import legend_under
from specseg.spectral import iou as metrics


def drop_law(rows: pd.DataFrame):
    """Draw the law (1 + q) r/(1 + q r) for several IoU q, and measured drops beside what the equations predict.

    `rows` as `iou_laws.drop_rows`.
    """
    fig, axes = figures.subplots(2, 1, size=(4.8, 7.6))
    r = np.linspace(0, 1, 101)
    for q, color in zip((0.2, 0.5, 0.8, 1.0), figures.CYCLE, strict=False):
        axes[0].plot(r, metrics.drop_from_overlap_loss(q, r), color=color, label=f"IoU before: {q:g}")
    axes[0].plot(r, r, ":", color=COLORS["grey"], label="drop = r")
    axes[0].set(xlabel="share r of the overlap lost", ylabel="relative IoU-drop", title="Eq. 29, exact")
    axes[0].legend()
    shown = rows[rows["rce"] > 0]
    curves(axes[1], shown["nu_max"], shown.clip(lower=1e-4), {
        "printed": ("Eq. 32 as printed", "red", "v-"), "rce": (r"$R_{ce}$ itself", "blue", "o-"),
        "eq29": ("Eq. 29, overlap cut to the band", "green", "s-"),
        "soft": ("measured, soft IoU", "grey", "x--"), "hard": ("measured, mIoU", "black", "D-")})  # fmt: skip
    axes[1].set(yscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel="relative drop",
                title="a trained network, mean over classes")  # fmt: skip
    plain_ticks(axes[1], sorted(shown["nu_max"].unique()))
    legend_under(axes[1], 2)
    return fig


def expansion(loss: pd.DataFrame, typical: float, polynomial: Callable):
    """Draw the Taylor polynomials of log S and of IoU, and the share of the loss that the former leave out.

    `loss`: columns s, terms, log (log S), partial (its polynomial) and relative (the share of the loss left out), with
    S of the trained network's loss marked at `typical`; `polynomial` of IoU: a function of (missed, added, terms).
    """
    fig, axes = figures.subplots(3, 1, size=(4.8, 8.6))
    for (n, part), color in zip(loss.groupby("terms"), figures.CYCLE, strict=False):
        name = "1 term, S - 1 (Eq. 26)" if n == 1 else f"{n} terms"
        axes[0].plot(part["s"], part["partial"], "--", color=color, label=name)
        axes[1].plot(part["s"], part["relative"], color=color, label=f"{n} term{'s' * (n > 1)}")
    axes[0].plot(part["s"], part["log"], color=COLORS["black"], label="log S")
    axes[0].set(ylabel="log S", xlabel="probability S of the true class")
    axes[1].axvline(typical, color=COLORS["grey"], ls=":", label="where a trained network's loss is")
    axes[1].set(xlabel="probability S of the true class", ylabel="share of -log S left out", ylim=(0, 1))
    added = np.linspace(0, 1.5, 151)
    for n, color in zip(loss["terms"].unique().tolist(), figures.CYCLE, strict=False):
        partial = polynomial(added / 2, added, n)
        axes[2].plot(added, partial, "--", color=color, label=f"{n} term{'s' * (n > 1)}")
    axes[2].plot(added, (1 - added / 2) / (1 + added), color=COLORS["black"], label="IoU")
    axes[2].set(xlabel=r"$\eta$: class areas added ($\xi = \eta/2$ missed)", ylabel="IoU", ylim=(-0.5, 1.5))
    for ax in axes:
        ax.legend(fontsize=9.8, ncols=2)
    return fig


def independence(rows: pd.DataFrame):
    """Draw how the soft drop nears its limit whatever R_ce is (columns as `iou_laws.near_rows`)."""
    fig, axes = figures.subplots(2, 1, size=(4.8, 7.4))
    for k, (rate, part) in enumerate(rows.groupby("wanted")):  # rings of growing size, for the points coincide
        axes[0].plot(part["loss"], part["off"], "o", mfc="none", color=figures.CYCLE[k], ms=4 + 3 * k,
                     label=rf"$R_{{ce}}$ = {rate:g}")  # fmt: skip
    near = rows[np.isfinite(rows["bound"])].groupby("scale")[["loss", "bound"]].max()
    axes[0].plot(near["loss"], near["bound"], "--", color=COLORS["black"], label="proved bound")
    axes[0].set(xscale="log", yscale="log", xlabel=r"$L_{CE}$", ylabel="distance of the drop from its limit")
    legend_under(axes[0], 3)
    for (scale, part), color in zip(rows.groupby("scale"), figures.CYCLE, strict=False):
        axes[1].plot(part["rce"], part["soft"], "o-", color=color, ms=4, label=f"scale {scale:g}")
    axes[1].set(xscale="log", xlabel=r"$R_{ce}(\nu_{max})$", ylabel="soft drop (Eq. 29), class mean",
                ylim=(0, 1.3 * rows["soft"].max()))  # fmt: skip
    legend_under(axes[1], 3)
    return fig


def certificate(rows: pd.DataFrame):
    """Draw the certified and the true share of changed pixels, and R_ce at several scales, against the band limit.

    Columns nu_max, bound, share, hard (drop of mIoU), scale and rce; the first three do not depend on scale.
    """
    fig, axes = figures.subplots(2, 1, size=(4.8, 6.6), sharex=True)
    once = rows[rows["scale"] == rows["scale"].min()]
    curves(axes[0], once["nu_max"], once, {
        "bound": ("certificate: may change", "blue", "o-"), "share": ("does change", "black", "D-"),
        "hard": ("relative drop of mIoU", "green", "s--")}, ms=4)  # fmt: skip
    axes[0].set(ylabel="share of pixels, or drop", ylim=(0, None), title="the same at every scale")
    for (scale, part), color in zip(rows.groupby("scale"), figures.CYCLE, strict=False):
        axes[1].plot(part["nu_max"], part["rce"], "o-", color=color, ms=4, label=f"logits times {scale:g}")
    axes[1].set(yscale="log", xlabel=r"$\nu_{max}$ [cycles per frame]", ylabel=r"$R_{ce}$")
    for ax in axes:
        plain_ticks(ax, sorted(rows["nu_max"].unique()))
        ax.legend(fontsize=9.8)
    return fig


def bounds(rows: pd.DataFrame):
    """Draw soft and hard IoU of each class against their lower bounds (columns as `iou_laws.class_bounds`)."""
    fig, axes = figures.subplots(2, 1, size=(4.8, 6.4), sharex=True, sharey=True)
    kinds = {"first": (0, "soft_iou", "first", "orange"), "best": (0, "soft_iou", "second", "blue"),
             "hard": (1, "hard_iou", "third", "orange")}  # fmt: skip
    for kind, (panel, score, name, color) in kinds.items():
        x = rows[kind].clip(lower=-0.2)
        axes[panel].plot(x, rows[score], "o", ms=3, color=COLORS[color], alpha=0.7, label=f"{name} bound")
        axes[panel].set(ylabel=score.replace("_iou", " IoU"), ylim=(-0.05, 1.05))
    for ax in axes:
        ax.plot([-0.2, 1], [-0.2, 1], color=COLORS["black"], lw=0.8)
        ax.legend(loc="lower right")
    axes[1].set_xlabel("lower bound from the losses")
    return fig


def block(rows: pd.DataFrame):
    """Draw IoU of the loss's minimiser, its argmax, and the best IoU against the mixed block's fraction."""
    fig, ax = figures.subplots(size=(4.8, 4.6))
    curves(ax, rows["fraction"], rows, {
        "best_iou": ("largest IoU the model can have", "black", "-"),
        "argmax_iou": ("argmax of the loss's minimiser", "red", "--"),
        "loss_iou": ("soft IoU of the loss's minimiser", "blue", "-."),
        "threshold": ("threshold q/(1 + q)", "grey", ":")})  # fmt: skip
    ax.set(xlabel="share of the class in the mixed block", ylabel="IoU", ylim=(0, 1.02))
    legend_under(ax)
    return fig


def shares(rows: pd.DataFrame, nu_max: int):
    """Draw for each class of each regime the share of the overlap in the box, against the class's area (columns as
    `iou_laws.overlap_share`, plus regime)."""
    fig, ax = figures.subplots(size=(4.8, 4.2))
    for (regime, part), color in zip(rows.groupby("regime", sort=False), figures.CYCLE, strict=False):
        ax.plot(part["share"], part["box"], "o", ms=4, color=color, label=regime)
        ax.plot(part["share"], part["zero"], "x", ms=4, color=color, alpha=0.5)
    ax.axhline(0.5, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set(xscale="log", xlabel="area of the class [share of the frame]", ylabel="share of the overlap", ylim=(0, 1.03))
    title = rf"o: $|\nu| \leq$ {nu_max}; x: $\nu = 0$ alone"
    legend_under(ax, 3, title=title)
    return fig
