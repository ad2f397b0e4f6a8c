"""Figures 4, 5a, 5b, 7 and 8 redrawn from the printed tables, and the audit's own pictures."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from specseg.figures import COLORS, MODEL_NAMES, SET_COLORS, SET_NAMES, network_look
from specseg.figures.plots import Series, forest, groups, line, plot

MODELS = ("deeplabv3plus", "dan")
KINDS = {"pascal": "objects", "deepglobe": "land cover", "cityscapes": "streets"}
PAIR, CELL = ["model", "dataset"], ("model", "dataset", "prune_rate", "lrg_size")
RATE_COLORS = {0.0: COLORS["black"], 0.2: COLORS["blue"], 0.4: COLORS["green"], 0.6: COLORS["red"]}
R_CE, DROP = r"$R_{ce}(\nu_{max})$", "relative mIoU-drop"


def _name(model: str, dataset: str) -> str:
    return f"{MODEL_NAMES[model]}, {SET_NAMES[dataset]}"


def _pair(model: str, dataset: str) -> dict:
    return network_look(KINDS[dataset], model, _name(model, dataset))


def _rate(rate: float) -> dict:
    return {"color": RATE_COLORS[rate], "label": "no pruning" if rate == 0 else f"{rate:.0%} pruned"}


def _all_and_small(points: pd.DataFrame, threshold: float) -> dict[str, list[Series]]:
    """Return the drop against R_ce of all networks, and of those below the threshold."""
    parts = {f"all {len(points)} networks": points, f"$R_{{ce}}$ < {threshold:g}": points[points.rce < threshold]}
    return {title: groups(part, PAIR, "rce", "miou_drop", _pair, ls="") for title, part in parts.items()}


def line_5b(cells: pd.DataFrame, ours, slopes: tuple[float, float], printed: dict[str, float]):
    """Draw Fig. 5b: drop against R_ce for all networks and below 0.2, with the printed and the refitted line.

    `ours` has slope and intercept; `slopes` is the clustered interval of the slope, drawn as a fan through the mean.
    """
    threshold = printed["threshold"]
    shown = _all_and_small(cells, threshold)
    every, small = shown.values()
    below, x = cells[cells.rce < threshold], np.array([0, 0.5, 1, 2]) * threshold
    low, high = (below.miou_drop.mean() + s * (x - below.rce.mean()) for s in slopes)
    stated = {"color": COLORS["black"], "label": "the stated rule, six curves as clusters"}
    every.append(line([0, 2], ours.intercept + ours.slope * np.array([0, 2])))
    small += [Series(x, ours.intercept + ours.slope * x, stated, low, high),
              line(x, printed["intercept"] + printed["slope"] * x, "purple", "--", "printed line")]  # fmt: skip
    fig = plot(shown, share="", height=3.2, xlabel=R_CE, ylabel=DROP)
    upper, lower = fig.axes
    upper.axvspan(0, threshold, color=COLORS["grey"], alpha=0.15, lw=0)
    upper.set_ylim(-0.02, 0.75)
    lower.set(xlim=(-0.01, 1.05 * threshold), ylim=(-0.01, 0.22))
    return fig


def lines_5a(cells: pd.DataFrame):
    """Draw Fig. 5a: drop against R_ce, one panel per data set, one line per model and pruning rate."""

    def look(model: str, rate: float) -> dict:
        own = _rate(rate)
        label = f"{MODEL_NAMES[model]}, {own['label']}"
        return {**network_look("objects", model, label), "color": own["color"], "mfc": own["color"], "lw": 1}

    shown = {SET_NAMES[d]: groups(cells[cells.dataset == d], ["model", "prune_rate"], "rce", "miou_drop", look)
             for d in KINDS}  # fmt: skip
    return plot(shown, share="", xlabel=R_CE, ylabel=DROP, xlim=(0, None), ylim=(0, None))


def _a_panel_a_pair(cells: pd.DataFrame, x: str, y: str, **words):
    """Draw columns of the cells against each other, a panel a data set and model, a line a pruning rate."""
    pairs = [(model, dataset) for dataset, model in itertools.product(KINDS, MODELS)]
    own = cells.set_index(PAIR)
    shown = {_name(*pair): groups(own.loc[pair], "prune_rate", x, y, _rate, marker=".") for pair in pairs}
    return plot(shown, columns=2, height=2.2, **words)


def fpi_4(cells: pd.DataFrame, optima: pd.DataFrame):
    """Draw Fig. 4: FPI against LRG size; a filled circle is the smallest, rings are what rounding leaves possible."""
    fig = _a_panel_a_pair(cells, "lrg_size", "fpi", xlabel="LRG size", ylabel="GFLOPs / mIoU",
                          xticks=(17, 33, 65, 97, 129))  # fmt: skip
    panels, fpi = {ax.get_title(): ax for ax in fig.axes}, cells.set_index([*CELL]).fpi
    for r in optima.itertuples():
        ax, color = panels[_name(r.model, r.dataset)], RATE_COLORS[r.prune_rate]
        key = r.model, r.dataset, r.prune_rate
        ax.plot(r.possible, fpi[key][[*r.possible]], "o", mfc="white", mec=color, ms=7)
        ax.plot(r.lrg_size, fpi[(*key, r.lrg_size)], "o", color=color, ms=7)
    for ax in fig.axes:
        ax.axvspan(33, 65, color=COLORS["grey"], alpha=0.15, lw=0)
    return fig


def iou_flops_8(cells: pd.DataFrame):
    """Draw Fig. 8: mIoU against FLOPs, one line per pruning rate."""
    return _a_panel_a_pair(cells, "gflops", "miou", xlabel="GFLOPs", ylabel="mIoU")


def blocks_7(blocks: pd.DataFrame, ours, threshold: float):
    """Draw Fig. 7: drop after training on block-wise labels against R_ce; `ours` is the line of Fig. 5b, for scale."""
    shown = _all_and_small(blocks, threshold)
    for series, end in zip(shown.values(), (0.6, threshold), strict=True):
        x = np.array([0, end])
        series.append(line(x, ours.intercept + ours.slope * x, label="line fitted to truncation", lw=1))
    return plot(shown, share="", height=3.2, xlabel=R_CE, ylabel=DROP)


def applications(pairs: pd.DataFrame):
    """Draw the drop with blocks against the drop with truncation at equal R_ce (rows of `drops.applications`)."""
    drops = pairs[["truncated", "blocks"]].to_numpy()
    ends = [0.8 * drops.min(), 1.25 * drops.max()]
    shown = [*groups(pairs, PAIR, "truncated", "blocks", _pair, ls="", ms=6), line(ends, ends, "grey", "--")]
    return plot(shown, log="xy", xlim=ends, ylim=ends, xlabel="relative mIoU-drop, truncation (Table 4)",
                ylabel="relative mIoU-drop, blocks (Table 3)")  # fmt: skip


def slopes(ways: pd.DataFrame, own: pd.DataFrame, selections: pd.DataFrame, printed: float):
    """Draw every slope of the line: by method with its interval, by curve, by selection; the printed one dashed."""
    own, others = own.assign(name=[_name(*pair) for pair in own[PAIR].to_numpy()]), selections.iloc[1:]
    shown = [Series(ways.slope, ways.method, {"color": COLORS["black"]}, ways.low, ways.high),
             *groups(own, PAIR, "slope", "name", lambda *pair: {"color": SET_COLORS[pair[1]]}),
             Series(others.slope, others.selection, {"color": COLORS["grey"]})]  # fmt: skip
    fig = forest(shown, dodge=0, legend=0, xlabel="slope of drop against $R_{ce}$ (dashed: printed)")
    fig.axes[0].axvline(printed, ls="--", color=COLORS["purple"])
    return fig


def by_threshold(rows: pd.DataFrame, printed: dict[str, float]):
    """Draw slope and R^2 of the line against the threshold on R_ce, with and without LRG 129."""

    def look(full: bool) -> dict:
        return {"ls": "-" if full else ":", "color": COLORS["blue"], "label": "with LRG 129" if full else "without"}

    shown = {title: groups(rows, "full_grid", "threshold", column, look, drawstyle="steps-post")
             for column, title in (("slope", "slope"), ("r2", "$R^2$"))}  # fmt: skip
    fig = plot(shown, xlabel="threshold on $R_{ce}$", ticks=(0.05, 0.1, 0.2, 0.4), at_x=[printed["threshold"]])
    for ax, column in zip(fig.axes, ("slope", "r2"), strict=True):
        ax.axhline(printed[column], ls="--", color=COLORS["purple"])
    return fig


def products(table: pd.DataFrame):
    """Draw R_ce x nu_max against nu_max (Table 1): level where R_ce falls like 1/nu."""
    shown = [Series(row.index, row, _pair(*pair)) for pair, row in table.iterrows()]
    return plot(shown, xlabel=r"$\nu_{max}$", ylabel=r"$R_{ce}\,\nu_{max}$", log="y", xticks=list(table.columns))


def frontier(saved: pd.DataFrame):
    """Draw lost mIoU against saved FLOPs (both against the unpruned network at LRG 129), one panel per model."""

    def look(dataset: str) -> dict:
        return {"color": SET_COLORS[dataset], "label": f"least loss, {SET_NAMES[dataset]}"}

    saved = saved.sort_values("saving", ascending=False)
    saved = saved.assign(least=saved.groupby(PAIR)["loss"].cummin())[::-1]
    shown = {}
    for model in MODELS:
        own = saved[saved.model == model]
        dots = groups(own, "dataset", "saving", "loss", look, marker="o", ls="", alpha=0.35, label="_")
        shown[MODEL_NAMES[model]] = dots + groups(own, "dataset", "saving", "least", look, drawstyle="steps-pre")
    fig = plot(shown, share="xy", xlabel="saved share of FLOPs", ylabel="lost share of mIoU", at_y=[0.05])
    for ax in fig.axes:
        ax.axvspan(0.65, 0.70, color=COLORS["grey"], alpha=0.2, lw=0)
    return fig


def pruning(effect: pd.DataFrame, margin: float):
    """Draw the drop of each pruned network minus the unpruned network's at the same LRG size."""
    effect = effect.sort_values("lrg_size", ascending=False, kind="stable")
    fig = forest(groups(effect, PAIR, "difference", "lrg_size", _pair, ls=""), xlabel="pruned minus unpruned drop",
                 ylabel="LRG size", height=0.5)  # fmt: skip
    fig.axes[0].axvspan(-margin, margin, color=COLORS["grey"], alpha=0.2, lw=0)
    return fig


def _rules(rows: pd.DataFrame, x: str) -> list[Series]:
    """Return a number of each predictor, those that use R_ce in blue."""
    uses = rows["predictor"].str.startswith("R_ce")
    return groups(rows.assign(uses=uses), "uses", x, "predictor", lambda r: {"color": COLORS["blue" if r else "grey"]})


def errors(small: pd.Series, every: pd.Series):
    """Draw the predictors' mean absolute error with the data set held out: R_ce < 0.2 and all networks."""
    shown = {title: _rules(mae.rename_axis("predictor").reset_index(name="mae"), "mae")
             for title, mae in (("$R_{ce}$ < 0.2", small), ("all networks", every))}  # fmt: skip
    return forest(shown, order=list(small.index), dodge=0, legend=0, xlabel="mean absolute error of the drop",
                  xlim=(0, None))  # fmt: skip


def regret(rows: pd.DataFrame):
    """Draw the mean regret in FPI of each way to choose the LRG size, with the number of exact hits."""
    rows = rows.sort_values("mean_regret")
    named = rows.assign(predictor=[f"{r.predictor} ({r.hits}/{r.n})" for r in rows.itertuples()])
    return forest(_rules(named, "mean_regret"), order=list(named.predictor), dodge=0, legend=0, log="x",
                  xlabel="mean regret in FPI (beside each: optima found)")  # fmt: skip
