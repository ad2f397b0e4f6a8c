"""Figures of the chapter on the data: contact sheets, contour densities, label spectra, doses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from specseg.data.datasets import Sample
from specseg.figures import COLORS, REGIMES, SET_COLORS, SET_NAMES, mosaic, painted
from specseg.figures.plots import Series, forest, groups, line, plain_ticks, plot

ORDER = ("objects", "voc2012", "landcover", "dubai", "streets", "camvid")


def _look(dataset: str) -> dict:
    return {"color": SET_COLORS[dataset], "label": SET_NAMES[dataset], "ls": "--" if dataset in REGIMES else "-"}


def sheet(rows: dict[str, Sequence[Sample]], palettes: dict[str, np.ndarray]) -> Figure:
    """Draw samples above their labels, one pair of rows a set."""
    shown = {}
    for name, samples in rows.items():
        shown[SET_NAMES[name].replace(" (", "\n(")] = {" " * k: sample.image for k, sample in enumerate(samples)}
        shown[f"labels of\n{name}"] = {" " * k: painted(s.label, palettes[name]) for k, s in enumerate(samples)}
    return mosaic(shown)


def contours(rows: pd.DataFrame) -> Figure:
    """Draw how long a frame's contours are, set by set: 10 to 90 % as a line, quartiles as a bar, the mean as a dot.

    A pale bar below a synthetic regime spans the means of its twelve doses.
    """
    level = rows[rows["metric"] == "contour_quantile"].pivot(index="dataset", columns="level", values="value")
    mean = rows[rows["metric"] == "contour"].set_index("dataset")["value"]
    doses = rows[rows["metric"] == "dose_contour"].groupby("dataset")["value"].agg(["min", "max"])
    sets = [name for name in ORDER if name in level.index]
    level, dosed = level.loc[sets], [name for name in sets if name in doses.index]
    names = [SET_NAMES[name] for name in sets]
    spans = {"color": COLORS["sky"], "bar": 9, "marker": ""}
    shown = [Series(mean[sets], names, {"color": COLORS["black"]}, level[0.1], level[0.9]),
             Series(mean[sets], names, spans, level[0.25], level[0.75]),
             Series(mean[dosed], [SET_NAMES[name] for name in dosed], {"color": "#dddddd", "bar": 5, "marker": ""},
                    doses.loc[dosed, "min"], doses.loc[dosed, "max"])]  # fmt: skip
    return forest(shown, height=0.45, legend=0, ticks=(1, 2, 4, 8, 16, 32, 64),
                  xlabel="length of all contours of a frame, in frame sides")  # fmt: skip


def tails(rows: pd.DataFrame) -> Figure:
    """Draw the share of the labels' energy above each band limit, with the slope -1 of a sharp contour."""
    tail = rows[(rows["metric"] == "tail") & (rows["nu_max"] < 256)].sort_values("nu_max", kind="stable")
    tail = tail.sort_values("dataset", key=lambda names: names.map(ORDER.index), kind="stable")
    fall = line([8, 64], [0.02, 0.0025], fmt=":", label=r"falls as $\nu_{max}^{-1}$", lw=0.9)
    shown = groups(tail, "dataset", "nu_max", look=_look, interval=False)
    return plot([*shown, fall], height=3.2, log="xy", xlabel=r"band limit $\nu_{max}$ (cycles per frame)",
                ylabel=r"label energy above $\nu_{max}$")  # fmt: skip


def doses(rows: pd.DataFrame, nu_max: int = 32) -> Figure:
    """Draw the contour that each dose gives, and the label energy above `nu_max` against the contour."""
    keys = ["dataset", "dose"]
    dosed = rows[rows["metric"] == "dose_contour"].sort_values("dose", kind="stable")
    tail = rows[(rows["metric"] == "dose_tail") & (rows["nu_max"] == nu_max)].set_index(keys)["value"]
    both = dosed.join(tail.rename("tail"), on=keys)
    shown = {"the contour of each dose": groups(dosed, "dataset", "dose", look=_look, fmt="o"),
             rf"label energy above $\nu_{{max}}$ = {nu_max}": groups(both, "dataset", "value", "tail", _look, fmt="o",
                                                                    interval=False)}  # fmt: skip
    fig = plot(shown, share="", log="xy", xlabel=["dose", "contours (frame sides)"],
               ylabel=["contours (frame sides)", "label energy above"])  # fmt: skip
    plain_ticks(fig.axes[0], (0.5, 1, 2, 4))
    plain_ticks(fig.axes[1], (2, 4, 8, 16, 32))
    return fig
