"""Figures of chapter 20: spectra of label maps, the frame, band-limited labels, and what a band limit costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from specseg import figures
from specseg.figures import COLORS, REGIMES, SET_COLORS, SET_NAMES, painted, subplots
from specseg.figures.plots import Series, forest, groups, line, plain_ticks, plot

VOID_GREY = (224, 224, 224)
_RANGE = (16, 32)  # the band limits that the paper recommends


def _style(dataset: str) -> dict:
    synthetic = dataset in REGIMES
    return {"color": SET_COLORS[dataset], "ls": "--" if synthetic else "-", "lw": 1.2 if synthetic else 1.8,
            "label": SET_NAMES[dataset]}  # fmt: skip


def main_rows(rows: pd.DataFrame, metric: str, boundary: str = "mirrored", **where) -> pd.DataFrame:
    """Return the rows of a metric in the main variant (centre crop, void masked) unless `where` says otherwise."""
    where = {"frame": "crop", "void": "masked", "boundary": boundary, **where}
    keep = rows["metric"] == metric
    for column, value in where.items():
        if column in rows:
            keep &= (rows[column] == value) | (rows[column].isna() & (column == "boundary"))  # a ratio of both has none
    return rows[keep]


def pick(rows: pd.DataFrame, dataset: str, metric: str, boundary: str = "mirrored", **where) -> pd.Series:
    """Return the one row of a data set's metric (`nu_max`, `name`, `frame`, `void` as keywords; main variant else).

    Raises ValueError that names what was asked for where there is none or more than one.
    """
    found = main_rows(rows[rows["dataset"] == dataset], metric, boundary, **where)
    if len(found) != 1:
        raise ValueError(f"rows of {dataset}, {metric}, {boundary}, {where}: expected one, found {len(found)}")
    return found.iloc[0]


def _power(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the averaged power of each data set without its mean, in order of frequency."""
    power = main_rows(rows, "power").sort_values("nu", kind="stable")
    return power[power["nu"] > 0].astype({"nu": float})


def overview(rows: pd.DataFrame) -> Figure:
    """Draw the averaged power of each data set above the mIoU that its band-limited labels keep, with its interval.

    Each power is divided by its largest value as in footnote 3, beside a nu^-3 guide.
    """
    largest = main_rows(rows, "power").groupby("dataset")["value"].max()
    power = _power(rows)
    power = power.assign(value=power["value"] / power["dataset"].map(largest))
    kept = main_rows(rows, "miou").sort_values("nu_max", kind="stable").astype({"nu_max": float})
    fall = line([8, 64], [6e-4, 6e-4 / 512], fmt=":", label=r"falls as $\nu^{-3}$", lw=0.9)
    shown = {"power of the labels": [*groups(power, "dataset", "nu", look=_style, interval=False), fall],
             "labels without higher waves; yellow: the paper's 16 to 32": groups(
                 kept, "dataset", "nu_max", look=_style, marker="o")}  # fmt: skip
    fig = plot(shown, share="", xlabel=["frequency (waves a frame)", r"band limit $\nu_{max}$"],
               ylabel=["power / its largest", "mIoU with the true ones"])  # fmt: skip
    fig.axes[0].set(xscale="log", yscale="log")
    plain_ticks(fig.axes[1], (8, 16, 24, 32, 48, 64))
    for ax in fig.axes:
        ax.axvspan(*_RANGE, color=COLORS["yellow"], alpha=0.25, lw=0)
    return fig


def against_record(found: pd.DataFrame, kept: pd.DataFrame) -> Figure:
    """Draw spectra computed on this page over those of the committed records of the same regimes."""
    looks = {"record": {"color": COLORS["black"], "ls": ":", "lw": 1.2}, "this page": {"color": COLORS["blue"]}}
    both = pd.concat([_power(kept).assign(what="record"), _power(found).assign(what="this page")])
    shown = {SET_NAMES[name]: groups(both[both["dataset"] == name], "what", "nu", interval=False, look=lambda what: {
        "label": what, **looks[what]}) for name in dict.fromkeys(found["dataset"])}  # fmt: skip
    return plot(shown, share="xy", log="xy", xlabel=r"$\nu$ (cycles per frame)", ylabel=r"power $|b(\nu)|^2$")


def frames(rows: pd.DataFrame) -> Figure:
    """Draw the energy beyond each band limit: periodic against mirrored, void masked or filled, padded frame."""
    variants = {
        "glued (periodic)": ("periodic", "crop", "masked", {"color": COLORS["black"], "marker": "o"}),
        "mirrored": ("mirrored", "crop", "masked", {"color": COLORS["blue"], "marker": "s"}),
        "mirrored, void filled": ("mirrored", "crop", "filled", {"color": COLORS["sky"], "marker": "^"}),
        "glued, padded frame": ("periodic", "padded", "masked", {"color": COLORS["red"], "marker": "x"}),
    }
    shown: dict[str, list[Series]] = {}
    for name, own in rows.groupby("dataset", sort=False):
        for label, (boundary, frame, void, look) in variants.items():
            part = main_rows(own, "energy_share", boundary, frame=frame, void=void).sort_values("nu_max")
            one = Series(part["nu_max"].astype(float), 1 - part["value"], {"label": label, "lw": 1.2, **look})
            shown.setdefault(SET_NAMES[name], []).append(one)
    return plot(shown, share="xy", log="y", ticks=(8, 16, 32, 64), xlabel=r"band limit $\nu_{max}$",
                ylabel=r"energy beyond $\nu_{max}$")  # fmt: skip


def residual(label: np.ndarray, low: np.ndarray, distance: np.ndarray, palette: np.ndarray, cell: float) -> Figure:
    """Draw a label map, what lies beyond the band in it (root of the sum of squares over classes), and the contours'
    neighbourhood of one LRG cell (white line)."""
    beyond = matplotlib.colormaps["magma"](low / low.max())
    fig = figures.sheet({"label map B": painted(label, palette, VOID_GREY), r"what lies beyond $\nu_{max}$": beyond,
                         "within one grid cell": beyond}, 2)  # fmt: skip
    fig.axes[2].contour(distance, levels=[cell], colors="white", linewidths=0.7)
    return fig


def class_costs(rows: pd.DataFrame, nu_max: int) -> Figure:
    """Draw the IoU that each class keeps at one band limit, one panel a data set, worst class first."""
    part = main_rows(rows, "class_iou")
    part = part[part["nu_max"] == nu_max].sort_values("value")
    shown = {SET_NAMES[name]: groups(part[part["dataset"] == name], "dataset", "value", "name", _style, interval=False)
             for name in dict.fromkeys(rows["dataset"])}  # fmt: skip
    return forest(shown, height=0.25, legend=0, at_x=[0.95], xlim=(0, 1.02), xlabel="IoU kept")


def explained(plane: np.ndarray, power: np.ndarray, rims: np.ndarray, bins: np.ndarray, nu: int) -> Figure:
    """Draw a class plane, its centred power with the rim of `nu`, and the rims' power a bin against frequency.

    `rims` is the power of each rim, `bins` how many bins it has, as `label_spectra.rim_power` and `rim_bins` give them.
    """
    fig, every = subplots(2, 2, size=(5.0, 5.4))
    (left, right), lower = every[0], fig.add_subplot(every[1, 0].get_gridspec()[1, :])
    every[1, 0].remove(), every[1, 1].remove()
    figures.picture(left, plane, "a class plane", cmap="Greys")
    middle = len(power) // 2
    figures.picture(right, figures.decibels(power, -90), f"power, and the rim of {nu}", cmap="cividis",
            extent=(-middle - 0.5, middle + 0.5) * 2)  # fmt: skip
    right.plot(nu * np.array([-1, 1, 1, -1, -1]), nu * np.array([-1, -1, 1, 1, -1]), color=COLORS["red"])
    right.set(xlabel="waves across", xlim=(-48, 48), ylim=(-48, 48), xticks=(-nu, 0, nu), yticks=(-nu, 0, nu))
    lower.loglog(np.arange(1, len(rims)), (rims / bins)[1:], color=COLORS["blue"])
    lower.plot(nu, rims[nu] / bins[nu], "o", color=COLORS["red"])
    lower.set(title="power a bin, rim by rim", xlabel="frequency (waves a frame)", ylabel="power a bin")
    return fig


def band_slider(maps: Mapping[str, Sequence[np.ndarray]], palettes: Mapping[str, np.ndarray], limits: Sequence[int],
                notes: Mapping[str, Sequence[str]], first: int = 0, prefix: str = "waves up to "):  # fmt: skip
    """Return a plotly figure: one label map a name, and a slider over the band limit (or size) that they were made for.

    It opens at the `first` one; `prefix` stands before the number. `maps[name][k]` is the map at `limits[k]`, and
    `notes[name][k]` stands below its name: two short lines fit a phone. Each picture is a small palette PNG, so the
    whole figure stays far below a megabyte.
    """
    import plotly.graph_objects as go

    def step(k: int) -> dict:
        place = {"xref": "paper", "yref": "paper", "xanchor": "center"}
        pictures, captions = [], []
        for i, name in enumerate(maps):
            at = {**place, "x": (i + 0.5) / len(maps)}
            image = Image.fromarray(np.asarray(maps[name][k], np.uint8))
            image.putpalette(painted(np.arange(256), palettes[name], VOID_GREY).tobytes())
            pictures.append({**at, "source": figures.uri(image), "y": 0.5, "sizex": 0.96 / len(maps), "sizey": 1,
                             "yanchor": "middle", "layer": "below"})  # fmt: skip
            text = f"{SET_NAMES.get(name, name).split(' (')[0]}<br>{notes[name][k]}"
            captions.append({**at, "text": text, "y": 1.02, "yanchor": "bottom", "showarrow": False,
                             "font": {"size": 12}})  # fmt: skip
        return {"images": pictures, "annotations": captions}

    shown = [step(k) for k in range(len(limits))]
    steps = [{"label": str(nu), "method": "relayout", "args": [one]} for nu, one in zip(limits, shown, strict=True)]
    fig = go.Figure()
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)
    slider = {"active": first, "steps": steps, "pad": {"t": 10}, "currentvalue": {"prefix": prefix}}
    fig.update_layout(**shown[first], sliders=[slider], height=370, margin={"l": 10, "r": 10, "t": 50, "b": 10})
    return fig
