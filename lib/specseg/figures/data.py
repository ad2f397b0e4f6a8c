"""Figures of the chapter on the data: contact sheets, contour densities, label spectra, doses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from specseg.data.datasets import Sample
from specseg.figures import COLORS, REGIME_NAMES, SET_COLORS, SET_NAMES, painted, picture, plain_ticks, subplots

ORDER = ("objects", "voc2012", "landcover", "dubai", "streets", "camvid")
MARKERS = {"objects": "o", "landcover": "s", "streets": "^"}


def sheet(rows: dict[str, Sequence[Sample]], palettes: dict[str, np.ndarray]) -> Figure:
    """Draw samples above their labels, one pair of rows a set; the second row's frame keeps white void visible."""
    count = max(len(samples) for samples in rows.values())
    fig, axes = subplots(2 * len(rows), count, size=(7.4, 7.6 / count * 2 * len(rows)), squeeze=False)
    for ax in axes.flat:
        ax.set_visible(False)
    for pair, (name, samples) in zip(axes.reshape(len(rows), 2, count), rows.items(), strict=True):
        for (above, below), sample in zip(pair.T, samples, strict=False):
            for ax, image in ((above, sample.image), (below, painted(sample.label, palettes[name]))):
                ax.set_visible(True)
                picture(ax, image)
        pair[0, 0].set_title(SET_NAMES[name], loc="left", fontsize=15)
    return fig


def contours(rows: pd.DataFrame) -> Figure:
    """Draw how long a frame's contours are, set by set: 10 to 90 % as a line, quartiles as a box, the mean as a dot.

    A pale bar below a synthetic regime spans the means of its twelve doses.
    """
    sets = [name for name in ORDER if name in set(rows["dataset"])]
    fig, ax = subplots(1, 1, size=(4.9, 0.45 * len(sets) + 1.2))
    for y, name in enumerate(reversed(sets)):
        part, colour = rows[rows["dataset"] == name], SET_COLORS[name]
        level = part[part["metric"] == "contour_quantile"].set_index("level")["value"]
        ax.plot([level[0.1], level[0.9]], [y, y], color=colour, lw=1.2)
        ax.barh(y, level[0.75] - level[0.25], left=level[0.25], height=0.45, color=colour, alpha=0.45)
        ax.plot(part.loc[part["metric"] == "contour", "value"], [y], "o", color=COLORS["black"], ms=4)
        dosed = part.loc[part["metric"] == "dose_contour", "value"]
        if len(dosed):
            ax.plot([dosed.min(), dosed.max()], [y - 0.36] * 2, color=colour, lw=3, alpha=0.35, solid_capstyle="butt")
    ax.set_yticks(range(len(sets)), [SET_NAMES[n] for n in reversed(sets)])
    plain_ticks(ax, [1, 2, 4, 8, 16, 32, 64])
    ax.set_xlabel("length of all contours of a frame, in frame sides")
    return fig


def tails(rows: pd.DataFrame) -> Figure:
    """Draw the share of the labels' energy above each band limit, with the slope -1 of a sharp contour."""
    fig, ax = subplots(1, 1, size=(4.9, 4.0))
    for name in [n for n in ORDER if n in set(rows["dataset"])]:
        part = rows[(rows["dataset"] == name) & (rows["metric"] == "tail") & (rows["nu_max"] < 256)]
        part = part.sort_values("nu_max")
        style = "--" if name in REGIME_NAMES else "-"
        ax.loglog(part["nu_max"], part["value"], style, color=SET_COLORS[name], label=SET_NAMES[name])
    ax.loglog([8, 64], [0.02, 0.0025], color=COLORS["black"], lw=0.9, ls=":")
    ax.text(22, 0.0046, r"$\nu_{max}^{-1}$", fontsize=9.8, ha="right")
    ax.set(xlabel=r"band limit $\nu_{max}$ (cycles per frame)", ylabel=r"label energy above $\nu_{max}$")
    ax.legend(loc="lower left")
    return fig


def doses(rows: pd.DataFrame, nu_max: int = 32) -> Figure:
    """Draw the contour that each dose gives, and the label energy above `nu_max` against the contour."""
    fig, (left, right) = subplots(2, 1, size=(4.9, 6.4))
    for name, part in rows[rows["dose"].notna()].groupby("dataset", sort=False):
        line = part[part["metric"] == "dose_contour"].set_index("dose").sort_index()
        above = part[(part["metric"] == "dose_tail") & (part["nu_max"] == nu_max)].set_index("dose")
        style = {"color": SET_COLORS[name], "marker": MARKERS[name], "ms": 4}
        left.loglog(line.index, line["value"], label=SET_NAMES[name], **style)
        left.fill_between(line.index, line["low"], line["high"], color=SET_COLORS[name], alpha=0.15, lw=0)
        right.loglog(line["value"], above.loc[line.index, "value"], ls="", **style)
    plain_ticks(left, (0.5, 1, 2, 4))
    left.set(xlabel="dose", ylabel="contours (frame sides)")
    for axis in (left.yaxis, right.xaxis):
        axis.set_ticks([2, 4, 8, 16, 32], ["2", "4", "8", "16", "32"])
        axis.set_minor_locator(NullLocator())
    left.legend()
    right.set(xlabel="contours (frame sides)", ylabel=rf"label energy above $\nu_{{max}} = {nu_max}$")
    return fig
