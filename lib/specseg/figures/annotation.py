"""Figures of the chapter beyond the paper: weak labels, their laws, what truncation costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from specseg.figures import SET_COLORS, network_look
from specseg.figures.plots import curves, groups, line, plot

NU_MAX = r"$\nu_{max}$ [cycles per frame]"
BLOCK_LAW = 0.2436


def _by_regime(rows: pd.DataFrame, forms: Mapping[str, tuple[str, str]], ylabel: str, **words):
    """Draw a line for every regime and kind against nu_max; `forms` are kind -> (fmt, words)."""

    def look(regime: str, kind: str) -> dict:
        return {"color": SET_COLORS[regime], "fmt": forms[kind][0], "label": f"{regime}, {forms[kind][1]}"}

    return plot(groups(rows[rows["value"] > 0], ["regime", "kind"], "nu_max", look=look), height=3.2, log="y", legend=1,
                xlabel=NU_MAX, ylabel=ylabel, ticks=sorted(set(rows["nu_max"])), **words)  # fmt: skip


def tail(rows: pd.DataFrame):
    """Draw the tail energy against nu_max: FFT (dots), the law (line), the strict bound (dashes).

    Columns regime, nu_max, kind ("fft", "law", "bound"), value.
    """
    forms = {"fft": ("o", "FFT"), "law": ("-", "law from diagonal neighbours"), "bound": ("--", "strict bound")}
    return _by_regime(rows, forms, r"$\sum_c E_c(\nu_{max})$")


def argmax_error(rows: pd.DataFrame):
    """Draw the share of wrong pixels of band-limited labels and its bounds (regime, nu_max, kind, value).

    kind: "actual", "2E" (bound from the energies), "count" (bound from transition counts alone).
    """
    forms = {"actual": ("o-", "actual"), "2E": ("--", "2 ΣE"), "count": (":", "from counts alone")}
    return _by_regime(rows, forms, "share of wrong pixels", at_y=[1])


def block_error(rows: pd.DataFrame):
    """Draw the error of block labels over block side times contour density, with the law e = 0.2436 h P.

    Columns regime, block, density (contour length per pixel), kind (nearest, majority, spectral), value.
    """
    marks = {"nearest": "o", "majority": "s", "spectral": "x"}
    rows = rows.assign(product=rows["block"] * rows["density"])
    shown = groups(rows, ["regime", "kind"], "product", look=lambda regime, kind: {
        "color": SET_COLORS[regime], "fmt": marks[kind], "mfc": "none", "label": f"{regime}, {kind}"})  # fmt: skip
    x = np.array([rows["product"].min(), rows["product"].max()])
    return plot([*shown, line(x, BLOCK_LAW * x, label=f"{BLOCK_LAW} h P", lw=1)], height=3.2, log="xy",
                xlabel="h P: block side times contour length per pixel", ylabel="share of changed pixels")  # fmt: skip


def ceilings(rows: pd.DataFrame):
    """Draw the mIoU of weak labels against the true ones, and what areas and contours predict.

    Columns regime, nu_max, kind (majority, nearest, band, predicted, all classes alike), value.
    """
    looks = {"band": ("band-limited", "green", "^-"), "majority": ("blocks, majority", "blue", "s-"),
             "nearest": ("blocks, nearest", "red", "o-"), "predicted": ("from A and P alone", "black", "--"),
             "all classes alike": ("one share for all classes", "grey", ":")}  # fmt: skip
    wide = rows.pivot_table("value", ["regime", "nu_max"], "kind", sort=False).reset_index()
    return _a_panel_each(wide, looks, ylabel="mIoU")


def truncation(rows: pd.DataFrame):
    """Draw a band limit's true cost, its orders and R_ce L_CE (regime, nu_max, cost, first, second, counted)."""
    looks = {"counted": (r"$R_{ce}\,L_{CE}$", "red", "s--"), "cost": ("true cost", "black", "o-"),
             "second": ("second order", "blue", ":"), "first": ("first order: lower bound", "green", "-.")}  # fmt: skip
    return _a_panel_each(rows, looks, ylabel="nats per pixel", at_y=[0])


def _a_panel_each(rows: pd.DataFrame, looks: Mapping[str, tuple[str, str, str]], **words):
    """Draw columns of each regime in a panel of its own against nu_max."""
    shown = {regime: curves(part, "nu_max", looks) for regime, part in rows.groupby("regime", sort=False)}
    return plot(shown, xlabel=NU_MAX, ticks=sorted(set(rows["nu_max"])), **words)


def drop_predictors(rows: pd.DataFrame):
    """Draw the drop over the band-limit cost and over R_ce (columns as `study.band_limit.units`)."""
    columns = ["drop", "low", "high"]
    rows = rows.assign(**rows[columns].clip(lower=1e-4))
    names = {"band_cost": "cost with free gains [nats per pixel]", "rce": r"$R_{ce}$"}
    shown = {f"over {name}": groups(rows, ["kind", "model"], column, "drop", network_look, ls="")
             for column, name in names.items()}  # fmt: skip
    return plot(shown, share="", height=3.0, log="xy", xlabel=list(names.values()), ylabel="relative drop of mIoU")


def floors(rows: pd.DataFrame):
    """Draw R_F and its floor against the LRG size, a panel per domain (columns as `study.band_limit.units`)."""
    shown = {}
    for kind, part in rows.groupby("kind", sort=False):
        shown[kind] = [*groups(part, ["kind", "model"], "lrg_size", "rate_fejer", network_look, interval=False),
                       *groups(part, "model", "lrg_size", "floor_fejer", "_{}", interval=False, ls=":")]  # fmt: skip
    return plot(shown, at_y=[0], xlabel="LRG size", ylabel=r"$R_F$, dotted: its floor")


def certificate(rows: pd.DataFrame):
    """Draw the certificate over the share of pixels that change (columns as `study.band_limit.units`)."""
    x = np.array([rows["changed_share"].min(), rows["changed_share"].max()])
    shown = groups(rows, ["kind", "model"], "changed_share", "certificate", network_look, interval=False, ls="")
    shown += [line(x, times * x, "grey", form, f"{times} x", lw=1) for times, form in ((1, "-"), (2, "--"), (4, ":"))]
    return plot(shown, height=3.2, log="xy", xlabel="share of pixels that change", ylabel="certificate")
