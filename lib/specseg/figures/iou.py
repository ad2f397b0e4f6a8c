"""Figures of the chapter on IoU in frequency, each from tidy rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from specseg.figures import COLORS
from specseg.figures.plots import curves, groups, line, plain_ticks, plot
from specseg.spectral import iou as metrics

NU_MAX = r"$\nu_{max}$ [cycles per frame]"


def drop_law(rows: pd.DataFrame):
    """Draw the law (1 + q) r/(1 + q r) for several IoU q, and measured drops beside what the equations predict.

    `rows` as `iou_laws.drop_rows`.
    """
    r = np.linspace(0, 1, 101)
    law = [line(r, metrics.drop_from_overlap_loss(q, r), color, label=f"IoU before: {q:g}")
           for q, color in zip((0.2, 0.5, 0.8, 1.0), ("sky", "purple", "orange", "yellow"), strict=True)]  # fmt: skip
    measured = rows[rows["rce"] > 0]
    found = curves(measured.clip(lower=1e-4), measured["nu_max"], {
        "printed": ("Eq. 32 as printed", "red", "v-"), "rce": (r"$R_{ce}$ itself", "blue", "o-"),
        "eq29": ("Eq. 29, overlap cut to the band", "green", "s-"),
        "soft": ("measured, soft IoU", "grey", "x--"), "hard": ("measured, mIoU", "black", "D-")})  # fmt: skip
    law.append(line(r, r, "grey", ":", "drop = r"))
    fig = plot({"Eq. 29, exact": law, "a trained network, mean over classes": found}, share="", height=3.0, legend=1,
               xlabel=["share r of the overlap lost", NU_MAX], ylabel="relative IoU-drop")  # fmt: skip
    fig.axes[1].set_yscale("log")
    plain_ticks(fig.axes[1], sorted(measured["nu_max"].unique()))
    return fig


def expansion(loss: pd.DataFrame, typical: float, polynomial: Callable):
    """Draw the Taylor polynomials of log S and of IoU, and the share of the loss that the former leave out.

    `loss`: columns s, terms, log (log S), partial (its polynomial) and relative (the share of the loss left out), with
    S of the trained network's loss marked at `typical`; `polynomial` of IoU: a function of (missed, added, terms).
    """
    added = np.linspace(0, 1.5, 151)
    shares = pd.concat([pd.DataFrame({"added": added, "terms": n, "value": polynomial(added / 2, added, n)})
                        for n in loss["terms"].unique()])  # fmt: skip
    once, iou = loss.drop_duplicates("s"), (1 - added / 2) / (1 + added)
    shown = {
        "log S, black; dashed: its polynomials": [*groups(loss, "terms", "s", "partial", "terms: {}", ls="--"),
                                                  line(once["s"], once["log"])],
        "share of -log S left out": groups(loss, "terms", "s", "relative", "terms: {}"),
        "IoU, black; dashed: its polynomials": [*groups(shares, "terms", "added", "value", "terms: {}", ls="--"),
                                                line(added, iou)]}  # fmt: skip
    s = "probability S of the true class"
    fig = plot(shown, share="", legend=4, xlabel=[s, s, r"$\eta$: class areas added ($\xi = \eta/2$ missed)"],
               ylabel=["log S", "share", "IoU"])  # fmt: skip
    fig.axes[1].axvline(typical, color=COLORS["grey"], ls=":")
    fig.axes[1].set_ylim(0, 1)
    fig.axes[2].set_ylim(-0.5, 1.5)
    return fig


def independence(rows: pd.DataFrame):
    """Draw how the soft drop nears its limit whatever R_ce is (columns as `iou_laws.near_rows`)."""
    near = groups(rows, "wanted", "loss", "off", r"$R_{{ce}}$ = {:g}", fmt="o", mfc="none")
    near = [s._replace(look={**s.look, "ms": 4 + 3 * k}) for k, s in enumerate(near)]  # rings, for the points coincide
    bound = rows[np.isfinite(rows["bound"])].groupby("scale")[["loss", "bound"]].max()
    near.append(line(bound["loss"], bound["bound"], fmt="--", label="proved bound"))
    apart = groups(rows, "scale", "rce", "soft", "scale {:g}", fmt="o-")
    fig = plot({"the limit": near, "the drop": apart}, share="", height=3.0, log="x", legend=3,
               xlabel=[r"$L_{CE}$", r"$R_{ce}(\nu_{max})$"],
               ylabel=["distance of the drop from its limit", "soft drop (Eq. 29), class mean"])  # fmt: skip
    fig.axes[0].set_yscale("log")
    fig.axes[1].set_ylim(0, 1.3 * rows["soft"].max())
    return fig


def certificate(rows: pd.DataFrame):
    """Draw the certified and the true share of changed pixels, and R_ce at several scales, against the band limit.

    Columns nu_max, bound, share, hard (drop of mIoU), scale and rce; the first three do not depend on scale.
    """
    promised = curves(rows[rows["scale"] == rows["scale"].min()], "nu_max", {
        "bound": ("certificate: may change", "grey", "o-"), "share": ("does change", "black", "D-"),
        "hard": ("relative drop of mIoU", "orange", "s--")})  # fmt: skip
    rates = groups(rows, "scale", "nu_max", "rce", "logits times {:g}", fmt="o-")
    fig = plot({"the same at every scale": promised, r"$R_{ce}$": rates}, ticks=sorted(rows["nu_max"].unique()),
               xlabel=NU_MAX, ylabel=["share of pixels, or drop", r"$R_{ce}$"])  # fmt: skip
    fig.axes[1].set_yscale("log")
    return fig


def bounds(rows: pd.DataFrame):
    """Draw soft and hard IoU of each class against their lower bounds (columns as `iou_laws.class_bounds`)."""
    rows = rows.assign(**rows[["first", "best", "hard"]].clip(lower=-0.2))
    looks = {"first": ("soft_iou", "first bound", "orange"), "best": ("soft_iou", "second bound", "blue"),
             "hard": ("hard_iou", "third bound", "green")}  # fmt: skip
    shown: dict = {"soft_iou": [line([-0.2, 1], [-0.2, 1], lw=0.8)], "hard_iou": [line([-0.2, 1], [-0.2, 1], lw=0.8)]}
    for kind, (score, label, color) in looks.items():
        shown[score] += curves(rows, kind, {score: (label, color, "o")}, ms=3, alpha=0.7)
    return plot({score.replace("_iou", " IoU"): series for score, series in shown.items()}, share="xy", legend=3,
                ylim=(-0.05, 1.05), ylabel="IoU", xlabel="lower bound from the losses")  # fmt: skip


def block(rows: pd.DataFrame):
    """Draw IoU of the loss's minimiser, its argmax, and the best IoU against the mixed block's fraction."""
    shown = curves(rows, "fraction", {
        "best_iou": ("largest IoU the model can have", "black", "-"),
        "argmax_iou": ("argmax of the loss's minimiser", "red", "--"),
        "loss_iou": ("soft IoU of the loss's minimiser", "blue", "-."),
        "threshold": ("threshold q/(1 + q)", "grey", ":")})  # fmt: skip
    return plot(shown, ylim=(0, 1.02), xlabel="share of the class in the mixed block", ylabel="IoU")


def shares(rows: pd.DataFrame, nu_max: int):
    """Draw for each class of each regime the share of the overlap in the box, against the class's area (columns as
    `iou_laws.overlap_share`, plus regime)."""
    title = rf"o: $|\nu| \leq$ {nu_max}; x: $\nu = 0$ alone"
    dots = groups(rows, "regime", "share", "box", fmt="o")
    crosses = groups(rows, "regime", "share", "zero", "_{}", fmt="x", alpha=0.5)
    return plot({title: dots + crosses}, height=3.2, log="x", at_y=[0.5], ylim=(0, 1.03), legend=3,
                xlabel="area of the class [share of the frame]", ylabel="share of the overlap")  # fmt: skip
