"""Figures of the chapter beyond the paper: weak labels, their laws, what truncation costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from specseg import figures
from specseg.figures import COLORS, REGIME_COLORS, curves, legend_below, plain_ticks, stacked

NU_MAX = r"$\nu_{max}$ [cycles per frame]"


def tail(rows: pd.DataFrame):
    """Draw the tail energy against nu_max: FFT (dots), the law (line), the strict bound (dashes).

    Columns regime, nu_max, kind ("fft", "law", "bound"), value.
    """
    styles = {"fft": ("o", "FFT"), "law": ("-", "law from diagonal neighbours"), "bound": ("--", "strict bound")}
    return _by_regime(rows, styles, r"$\sum_c E_c(\nu_{max})$")[0]


def _by_regime(rows: pd.DataFrame, styles: Mapping[str, tuple[str, str]], ylabel: str):
    """Draw a line for every regime and kind against nu_max; `styles` are kind -> (style, words)."""
    fig, ax = figures.subplots(size=(4.8, 4.4))
    for regime, part in rows[rows["value"] > 0].groupby("regime"):
        for kind, (style, label) in styles.items():
            line = part[part["kind"] == kind]
            ax.plot(line["nu_max"], line["value"], style, color=REGIME_COLORS[regime], ms=4, label=f"{regime}, {label}")
    ax.set(yscale="log", xlabel=NU_MAX, ylabel=ylabel)
    plain_ticks(ax, sorted(set(rows["nu_max"])))
    fig.legend(fontsize=9.8, ncol=1, loc="outside lower center")
    return fig, ax


def argmax_error(rows: pd.DataFrame):
    """Draw the share of wrong pixels of band-limited labels and its bounds (regime, nu_max, kind, value).

    kind: "actual", "2E" (bound from the energies), "count" (bound from transition counts alone).
    """
    styles = {"actual": ("o-", "actual"), "2E": ("--", "2 ΣE"), "count": (":", "from counts alone")}
    fig, ax = _by_regime(rows, styles, "share of wrong pixels")
    ax.axhline(1, color=COLORS["grey"], lw=0.8)
    return fig


def block_error(rows: pd.DataFrame):
    """Draw the error of block labels over block side times contour density, with the law e = 0.2436 h P.

    Columns regime, block, density (contour length per pixel), kind (nearest, majority, spectral), value.
    """
    fig, ax = figures.subplots(size=(4.8, 4.4))
    marks = {"nearest": "o", "majority": "s", "spectral": "x"}
    for (regime, kind), part in rows.groupby(["regime", "kind"]):
        ax.plot(part["block"] * part["density"], part["value"], marks[kind], color=REGIME_COLORS[regime], ms=5,
                fillstyle="none", label=f"{regime}, {kind}")  # fmt: skip
    top = float((rows["block"] * rows["density"]).max())
    x = np.geomspace(float((rows["block"] * rows["density"]).min()), top, 50)
    ax.plot(x, 0.2436 * x, color=COLORS["black"], lw=1, label="0.2436 h P")
    ax.set(xscale="log", yscale="log", xlabel="h P: block side times contour length per pixel",
           ylabel="share of changed pixels")  # fmt: skip
    fig.legend(fontsize=9.8, ncol=2, loc="outside lower center")
    return fig


def ceilings(rows: pd.DataFrame):
    """Draw the mIoU of weak labels against the true ones, and what areas and contours predict.

    Columns regime, nu_max, kind (majority, nearest, band, predicted, all classes alike), value.
    """
    looks = {"band": ("band-limited", "green", "^-"), "majority": ("blocks, majority", "blue", "s-"),
             "nearest": ("blocks, nearest", "red", "o-"), "predicted": ("from A and P alone", "black", "--"),
             "all classes alike": ("one share for all classes", "grey", ":")}  # fmt: skip
    wide = rows.pivot_table("value", ["regime", "nu_max"], "kind", sort=False).reset_index()
    return _a_panel_each(wide, looks, "mIoU against the true labels")[0]


def truncation(rows: pd.DataFrame):
    """Draw a band limit's true cost, its orders and R_ce L_CE (regime, nu_max, cost, first, second, counted)."""
    looks = {"counted": (r"$R_{ce}\,L_{CE}$", "red", "s--"), "cost": ("true cost", "black", "o-"),
             "second": ("second order", "blue", ":"), "first": ("first order: lower bound", "green", "-.")}  # fmt: skip
    fig, axes = _a_panel_each(rows, looks, "nats per pixel")
    for ax in axes:
        ax.axhline(0, color=COLORS["grey"], lw=0.6)
    return fig


def _a_panel_each(rows: pd.DataFrame, looks: Mapping[str, tuple[str, str, str]], ylabel: str):
    """Draw columns of each regime in a panel of its own against nu_max."""
    regimes = rows.groupby("regime", sort=False)
    fig, axes = stacked([name for name, _ in regimes], 2.3, sharex=True)
    for ax, (_, part) in zip(axes, regimes, strict=True):
        curves(ax, part["nu_max"], part, looks, ms=4)
        plain_ticks(ax, sorted(set(rows["nu_max"])))
    axes[-1].set_xlabel(NU_MAX)
    axes[1].set_ylabel(ylabel)
    legend_below(fig, axes[:1])
    return fig, axes


def _domains(rows: pd.DataFrame):
    for (domain, kind), part in rows.groupby(["domain", "kind"], sort=False):
        color = figures.DATASET_COLORS["voc2012" if domain == "voc" else domain]
        for model, own in part.groupby("model", sort=False):
            yield f"{kind}, {figures.MODEL_NAMES[model]}", color, figures.MODEL_MARKERS[model], own


def drop_predictors(rows: pd.DataFrame):
    """Draw the drop over the band-limit cost and over R_ce (columns as `study.band_limit.units`)."""
    fig, axes = figures.subplots(2, 1, size=(4.8, 7.0))
    names = {"band_cost": "cost with free gains [nats per pixel]", "rce": r"$R_{ce}$"}
    for ax, (column, name) in zip(axes, names.items(), strict=True):
        for label, color, mark, part in _domains(rows):
            drop = part["drop"].clip(lower=1e-4)
            spread = np.stack([drop - part["low"].clip(lower=1e-4), part["high"] - drop]).clip(min=0)
            ax.errorbar(part[column], drop, yerr=spread, fmt=mark, color=color, ms=4, lw=0.8, fillstyle="none",
                        label=label)  # fmt: skip
        ax.set(xscale="log", yscale="log", xlabel=name, ylabel="relative drop of mIoU")
    legend_below(fig, axes[:1], 1)
    return fig


def floors(rows: pd.DataFrame):
    """Draw R_F and its floor against the LRG size, a panel per domain (columns as `study.band_limit.units`)."""
    kinds = list(dict.fromkeys(rows["kind"]))
    fig, axes = stacked(kinds, 2.3, sharex=True)
    for label, color, mark, part in _domains(rows):
        ax = axes[kinds.index(part["kind"].iloc[0])]
        ax.plot(part["lrg_size"], part["rate_fejer"], mark + "-", color=color, ms=4, label=label.split(", ")[1])
        ax.plot(part["lrg_size"], part["floor_fejer"], mark + "--", color=color, ms=4, fillstyle="none")
        ax.axhline(0, color=COLORS["grey"], lw=0.8)
        ax.legend(fontsize=9.8)
    axes[1].set_ylabel(r"$R_F$ and its floor")
    axes[-1].set_xlabel("LRG size")
    return fig


def certificate(rows: pd.DataFrame):
    """Draw the certificate over the share of pixels that change (columns as `study.band_limit.units`)."""
    fig, ax = figures.subplots(size=(4.8, 4.2))
    for label, color, mark, part in _domains(rows):
        ax.plot(part["changed_share"], part["certificate"], mark, color=color, ms=5, fillstyle="none", label=label)
    x = np.array([rows["changed_share"].min(), rows["changed_share"].max()])
    for times, style in ((1, "-"), (2, "--"), (4, ":")):
        ax.plot(x, times * x, style, color=COLORS["grey"], lw=1, label=f"{times} x")
    ax.set(xscale="log", yscale="log", xlabel="share of pixels that change", ylabel="certificate")
    ax.legend(fontsize=9.8, ncol=2)
    return fig
