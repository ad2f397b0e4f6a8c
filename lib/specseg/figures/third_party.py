"""Figures of chapter 62: networks that others trained: R_ce and its readings, drops against R_ce and against scale."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from specseg.figures import COLORS, CYCLE, SET_NAMES
from specseg.figures.plots import Series, forest, groups, line, plot

MARKERS = "osv^DPX"


def _looks(networks: pd.Series) -> dict[str, dict]:
    colors = [c for c in CYCLE if c != COLORS["black"]] * 2  # black is the paper
    looks = zip(dict.fromkeys(networks), colors, MARKERS * 2, strict=False)
    return {name: {"color": color, "marker": marker, "label": name} for name, color, marker in looks}


def rates(curves: pd.DataFrame, span: pd.DataFrame) -> Figure:
    """Draw R_ce over the band limit, a panel a data set: networks, range over readings (grey), the paper's (black).

    `curves` has dataset, network, nu_max, value (plain reading); `span` is what `study.third_party.inside` returns.
    """
    shown, looks = {}, _looks(curves["network"])
    for dataset in dict.fromkeys([*span["dataset"], *curves["dataset"]]):
        here, own = span[span["dataset"] == dataset], curves[curves["dataset"] == dataset]
        series = groups(own, "network", "nu_max", look=looks.get, interval=False, lw=1.1)
        if len(here):
            grey = {"color": COLORS["grey"], "lw": 0, "label": "_"}
            series.append(Series(here["nu_max"], here["most"], grey, here["least"], here["most"]))
            for values, form, model in zip(zip(*here["printed"], strict=True), ("-", "--"), ("DeepLab v3+", "DAN"),
                                           strict=True):  # fmt: skip
                series.append(line(here["nu_max"], values, fmt=form, label=f"the paper, {model}", lw=2))
        shown[SET_NAMES[dataset]] = series
    return plot(shown, log="y", ylim=(1e-4, 4), ticks=(8, 16, 24, 32, 40, 48, 64), ylabel=r"$R_{ce}(\nu_{max})$",
                xlabel=r"band limit $\nu_{max}$ (cycles per frame)")  # fmt: skip


def drop_and_rate(points: pd.DataFrame) -> Figure:
    """Draw the drop of truncated logits against R_ce at half the size, a panel a size: one mark a network.

    `points` has dataset, network, lrg_size, rce, drop.
    """
    looks, faces = _looks(points["network"]), {"camvid": COLORS["sky"], "cityscapes": "white"}

    def look(dataset: str, network: str) -> dict:
        label = f"{network}, {SET_NAMES[dataset].split()[0]}"
        return {**looks[network], "mfc": faces.get(dataset, looks[network]["color"]), "label": label}

    sizes = sorted(points["lrg_size"].unique(), reverse=True)
    shown = {f"logits of {size} x {size}": groups(points[points["lrg_size"] == size], ["dataset", "network"], "rce",
                                                  "drop", look, ls="", ms=7, mew=1.4) for size in sizes}  # fmt: skip
    beyond = ", ".join(str((s - 1) // 2) for s in sizes)
    return plot(shown, ticks=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1), percent="y", ylabel="mIoU lost",
                xlabel=rf"$R_{{ce}}$ beyond half of the size ({beyond} cycles)")  # fmt: skip


def dose(points: pd.DataFrame) -> Figure:
    """Draw what truncated logits cost against contour per cell of their grid, a panel a data set, a colour a scale.

    `points` is what `study.scale.points` returns: a line a network and scale, black what the labels alone lose.
    """
    words = {0.5: "half the scale", 1.0: "once", 2.0: "twice"}

    def look(scale: float, _: str) -> dict:
        k = list(words).index(scale)
        return {"color": CYCLE[k], "marker": MARKERS[k], "lw": 1, "alpha": 0.7, "label": words[scale]}

    alone = points.groupby(["domain", "network", "dose"], sort=False)["labels"].mean().reset_index()
    shown = {}
    for domain, here in points.sort_values("scale", kind="stable").groupby("domain", sort=False):
        black = {"color": COLORS["black"], "ls": "--", "label": "the labels alone"}
        labels = alone[alone["domain"] == domain].sort_values("dose", kind="stable")
        shown[domain] = [*groups(here, ["scale", "network"], "dose", "drop", look, interval=False),
                         *groups(labels, "network", "dose", "labels", lambda _, black=black: black)]  # fmt: skip
    fig = plot(shown, ticks=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2), percent="y", ylabel="mIoU lost",
               xlabel="contour per cell of the cut grid (in sides of a cell)")  # fmt: skip
    for ax in fig.axes:
        ax.set_yscale("symlog", linthresh=0.01)
        ax.yaxis.set_major_formatter("{x:.0%}")
    return fig


def readings(table: pd.DataFrame) -> Figure:
    """Draw what each reading does to R_ce with the network held fixed: ratio to the plain one, a row a reading.

    `table` is what `study.third_party.readings` returns: marks are networks.
    """
    table = table[table["reading"] != "periodic"]
    table = table.assign(reading=table["reading"].str.replace(", mean of the pictures' ratios", ", mean of ratios"))
    looks = {name: {"color": CYCLE[k], "marker": MARKERS[k], "alpha": 0.6, "label": SET_NAMES[name]}
             for k, name in enumerate(dict.fromkeys(table["dataset"]))}  # fmt: skip
    return forest(groups(table, "dataset", "ratio", "reading", looks.get, interval=False), height=0.42, log="x",
                  at_x=[1], legend=3, xlabel="R_ce(32) over that of the plain reading")  # fmt: skip
