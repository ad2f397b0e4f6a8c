"""Figures about predictors of the drop: Figs 5b and 7 with our networks, errors, ranks, regret, the logits' scale."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg import figures
from specseg.data.domains import DOMAINS
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, network_look
from specseg.figures.loss import DOMAIN_NAMES
from specseg.figures.plots import Series, forest, groups, line, plot, signed

NEEDS = {
    "R_ce": (COLORS["blue"], "uses R_ce"), "network": (COLORS["purple"], "another number of the network"),
    "labels": (COLORS["green"], "labels alone"), "LRG": (COLORS["orange"], "LRG size alone"),
    "nothing": (COLORS["grey"], "nothing"),
}  # fmt: skip
MOST = 6  # rules of one kind in a figure
LOST = "share of the mIoU lost"


def setup_name(setup: str) -> str:
    """Return a setup for people.

    >>> setup_name("camvid deeplabv3plus")
    'CamVid, DeepLab v3+'
    """
    return ", ".join({**DOMAIN_NAMES, **MODEL_NAMES}.get(word, word) for word in setup.split())


def _setup(setup: str) -> dict:
    domain, model = setup.split()
    return network_look(DOMAINS[domain].kind, model, setup_name(setup)) | {"lw": 0.8}


def _need(need: str) -> dict:
    color, label = NEEDS[need]
    return {"color": color, "label": label}


def _printed(x: np.ndarray, printed: dict[str, float]) -> Series:
    return line(x, printed["intercept"] + printed["slope"] * x, "purple", "--", "printed line")


def drop_rce(cells: pd.DataFrame, printed: dict[str, float], ours: dict[str, float]):
    """Draw Fig. 5b: drop against R_ce, all truncated cells, those below the threshold, and with the frame mirrored.

    Columns rce_mirrored, setup, full, rce, drop. `ours`: `predictors.pooled_line`, with its interval.
    """
    cells = cells[~cells["full"].astype(bool)]
    threshold = printed["threshold"]
    below, title = cells[cells["rce"] < threshold], f"$R_{{ce}}$ < {threshold:g}"
    parts = {"all cells": (cells, "rce"), title: (below, "rce"), "frame mirrored": (cells, "rce_mirrored")}
    shown = {name: [*groups(part, "setup", rate, "drop", _setup, interval=False),
                    _printed(np.array([0, part[rate].max()]), printed)]
             for name, (part, rate) in parts.items()}  # fmt: skip
    centre, x = below["rce"].mean(), np.linspace(0, threshold, 50)
    at = ours["intercept"] + ours["value"] * centre
    ends = [at + slope * (x - centre) for slope in (ours["low"], ours["high"])]
    look = {"color": COLORS["black"], "label": "our line, 95 %"}
    shown[title].append(Series(x, ours["intercept"] + ours["value"] * x, look, np.minimum(*ends), np.maximum(*ends)))
    fig = plot(shown, share="", xlabel=r"$R_{ce}(\nu_{max})$", ylabel=LOST, legend=1)
    fig.axes[1].set_ylim(min(-0.01, below["drop"].min()), max(0.16, 1.1 * below["drop"].max()))
    return fig


def errors(table: pd.DataFrame, needs: dict[str, str]):
    """Draw the mean absolute error of each rule (rules x held-out domains), domains as strokes, the best at the top.

    Of each kind of rule the best MOST.
    """
    means = table.mean(axis=1).sort_values().rename_axis("rule").reset_index(name="value")
    means = means.assign(needs=means["rule"].map(needs)).groupby("needs").head(MOST)
    single = table.loc[means["rule"]].rename_axis("rule").reset_index().melt("rule")
    single = single.assign(needs=single["rule"].map(needs))
    strokes = groups(single, "needs", "value", "rule", lambda need: {"color": NEEDS[need][0]}, marker="|", alpha=0.6)
    return forest([*strokes, *groups(means, "needs", "value", "rule", _need)], order=list(means["rule"]), dodge=0,
                  ticks=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
                  xlabel="mean absolute error of the predicted drop")  # fmt: skip


def ranks(table: pd.DataFrame):
    """Draw the rank correlations of `predictors.ranks` with their intervals, two statistics each."""
    return forest(groups(table, "statistic", "value", "predictor"), at_x=[0], xlim=(-1.05, 1.05),
                  xlabel="Spearman with the drop")  # fmt: skip


def regret(table: pd.DataFrame, bound: float):
    """Draw the mean regret in FPI of each rule (rows of `predictors.regrets`) with its interval; `bound` dotted."""
    table = table.sort_values("value")
    table = table.assign(rule=[f"{r.rule} ({r.hits}/{r.setups})" for r in table.itertuples()])
    fig = forest(groups(table, "needs", "value", "rule", _need), order=list(table["rule"]), dodge=0, at_x=[bound],
                 xlabel="mean regret in FPI")  # fmt: skip
    signed(fig.axes[0], 0.01, (0, 0.01, 0.1, 1), "{:.0%}", "x")
    fig.axes[0].set_xlim(0, max(0.02, 1.2 * table["high"].max()))
    return fig


def scaled(rows: pd.DataFrame):
    """Draw drop and R_ce against the LRG size for classifier weights scaled by tau.

    Columns tau, lrg_size, drop, rce.
    """
    titles = {"drop": "the drop: one curve", "rce": r"$R_{ce}$ follows the scale"}
    shown = {title: groups(rows, "tau", "lrg_size", column, "tau = {:g}", fmt="o-")
             for column, title in titles.items()}  # fmt: skip
    fig = plot(shown, xlabel="size of the grid", ylabel=[LOST, r"$R_{ce}$"])
    fig.axes[1].set_yscale("log")
    return fig


def blocks(cells: pd.DataFrame, printed: dict[str, float]):
    """Draw Fig. 7 with our networks: drop after training on blocks against R_ce, and against the labels' own drop."""
    parts = {column: groups(cells, "setup", column, "drop", _setup, interval=False)
             for column in ("rce", "block_majority")}  # fmt: skip
    rate, labels = (np.array([0, cells[column].max()]) for column in parts)
    parts["rce"].append(_printed(rate, printed))
    parts["block_majority"].append(line(labels, labels, fmt=":", label="as much as the labels"))
    words = [r"$R_{ce}$ of the fully labelled network", "1 - mIoU of the block labels"]
    return plot(dict(zip(("against $R_{ce}$", "against the labels' own loss"), parts.values(), strict=True)), share="y",
                xlabel=words, ylabel=LOST, legend=1)  # fmt: skip


def classes(ranks: pd.DataFrame):
    """Draw, within each setup, the rank correlation over classes of each predictor with the class's drop.

    Columns setup, column, value.
    """
    named = ranks.assign(column=ranks["column"].str.replace("_", " "))
    return forest(groups(named, "setup", "value", "column", _setup), at_x=[0], xlim=(-1.05, 1.05), legend=1,
                  xlabel="Spearman over classes")  # fmt: skip


ADVICE = {
    "adviser": ("D", COLORS["green"]), "R_ce, line fitted elsewhere": ("o", COLORS["blue"]),
    "R_ce, the printed line": ("s", COLORS["purple"]), "LRG size, mean elsewhere": ("^", COLORS["orange"]),
}  # fmt: skip


def _rule(rule: str) -> dict:
    marker, color = ADVICE[rule]
    return {"marker": marker, "color": color, "label": rule}


def advice(table: pd.DataFrame):
    """Draw the LRG size that each rule names, a panel per tolerance, a row per setup; bars: what the measured drop
    allows.

    Columns setup, tolerance, rule, lrg_size, best.
    """
    table = table.assign(name=table["setup"].map(setup_name))
    top = table["lrg_size"].max() + 3
    shown = {}
    for tolerance, part in table.groupby("tolerance"):
        allowed = part.drop_duplicates("setup")
        grey = {"color": "#dddddd", "marker": "", "bar": 24}
        shown[f"at most {tolerance:.0%}"] = [
            *groups(part[part["rule"].isin(ADVICE)], "rule", "lrg_size", "name", _rule, interval=False),
            Series(allowed["best"], allowed["name"], grey, allowed["best"], [top] * len(allowed))]  # fmt: skip
    sizes = sorted(set(table["best"]) | set(table["lrg_size"]))
    return forest(shown, height=0.6, xlim=(0, top), xticks=sizes, xlabel="size of the grid (LRG)", legend=1)


CHOICES = {
    "advice": "loss of the labels, cut to the grid's waves", "block_majority": "loss of the labels, as blocks",
    "perimeter": "length of the contours × block", "rce": "R_ce of the network", "rce_mirrored": "R_ce, frame mirrored",
    "overlap": "the paper's way by IoU, mended", "coarser": "share of a side's points left out",
}  # fmt: skip


def foreseen(cells: pd.DataFrame):
    """Return the measured drop against a number that may foretell it, with a menu of such columns of cells."""
    cells = cells[~cells["full"].astype(bool)]
    cells = cells.assign(coarser=1 - cells["share"])
    least, looks = 1e-4, {}
    marks = {text: {} for text in CHOICES.values()}
    for setup, g in cells.groupby("setup", sort=False):
        name, kind, hollow = setup_name(setup), g["kind"].iloc[0], "-open" * (g["model"].iloc[0] == "dan")
        color = KIND_COLORS[kind]
        looks[name] = {"marker": {"color": color, "size": 10, "symbol": f"circle{hollow}",
                                  "line": {"width": 2, "color": color}},
                       "text": [f"{s} points a side" for s in g["lrg_size"]],
                       "hovertemplate": "%{text}<br>number %{x:.2%}<br>mIoU lost %{y:.2%}"}  # fmt: skip
        for column, text in CHOICES.items():
            marks[text][name] = tuple(g[c].astype(float).clip(lower=least).round(5) for c in (column, "drop"))
    equal = "as much as the number says"
    looks[equal] = {"mode": "lines", "hoverinfo": "skip", "line": {"color": "black", "dash": "dash", "width": 1}}
    for part in marks.values():
        part[equal] = ((least, 1), (least, 1))
    return figures.choices(marks, looks, axes={
        "xaxis": {"range": [-4.1, 0.3], **figures.PERCENT},
        "yaxis": {"title": "mIoU lost, measured", "range": [-4.1, 0.1], **figures.PERCENT}})  # fmt: skip


def advice_costs(rows: pd.DataFrame):
    """Draw extra FLOPs (too careful) and extra drop (too bold) of each rule and tolerance (rows of `regrets`)."""
    titles = {"extra_flops": "too careful: extra FLOPs", "extra_drop": "too bold: extra drop"}
    shown = {title: groups(rows[rows["metric"] == metric], "tolerance", "value", "rule", "at most {:.0%}")
             for metric, title in titles.items()}  # fmt: skip
    fig = forest(shown, height=0.42)
    for ax in fig.axes:
        signed(ax, 0.001, (0, 0.001, 0.01, 0.1, 1), "{:.4g}", "x")
    return fig
