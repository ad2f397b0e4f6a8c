"""Figures of the chapter on spectral gradients, each from the rows of `specseg.proofs.layer_study`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
import torch

from specseg import figures
from specseg.figures import COLORS
from specseg.figures.labels import band_slider
from specseg.figures.plots import Series, curves, forest, groups, line, plot

SHADES = {2: COLORS["sky"], 1: COLORS["blue"], 0: COLORS["black"]}  # how many bins around the row's frequency
WITHIN = {2: "within 2 bins", 1: "within 1 bin", 0: "at the row's frequency"}
Power = tuple[np.ndarray, int]  # centred, and the frequency in its middle


def spectra(rows: Mapping[str, Mapping[str, Power]], floor: float = -60):
    """Draw power over nu_j in dB below its maximum: maps in rows and columns, each with its name; some may lack."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    size = (4.9, max(1.25, 3.6 / len(columns) + 0.3) * len(rows) + 1.0)
    fig, axes = figures.subplots(len(rows), len(columns), size=size, squeeze=False)
    for ax, title in zip(axes[0], columns, strict=True):
        ax.set_title(title)
    for places, (name, row) in zip(axes, rows.items(), strict=True):
        for ax, column in zip(places, columns, strict=True):
            if column not in row:
                ax.axis("off")
                continue
            power, middle = row[column]
            half = len(power) // 2
            shown = figures.picture(ax, figures.decibels(power, floor), ax.get_title(), vmin=floor, vmax=0,
                                    cmap="viridis", origin="lower",
                                    extent=(middle - half - 0.5, middle + half + 0.5) * 2)  # fmt: skip
            ax.set(xticks=[middle - half, middle, middle + half], yticks=[middle - half, middle, middle + half])
            ax.tick_params(length=2, labelleft=False, labelbottom=name == [*rows][-1])
        places[0].set_ylabel(name)
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=30, label="dB below the row's maximum")
    return fig


def fig3(rows: Mapping[tuple[str, int], torch.Tensor], names: Sequence[str]):
    """Draw |dy(nu_i)/dx(nu_j)| over nu_j of each operation (a row) and nu_i (a column), in dB below its maximum."""
    shown: dict[str, dict[str, Power]] = {}
    for name in names:
        words = name.replace(", ", "\n").replace("up-sampling x4", "up x4")
        powers = {nu: np.fft.fftshift(rows[name, nu].abs().square().numpy()) for nu in sorted({nu for _, nu in rows})}
        shown[words] = {rf"$\nu_i$ = ({nu}, {nu})": (power, 0) for nu, power in powers.items()}
    return spectra(shown)


def energies(shares: pd.DataFrame, names: Sequence[str]) -> list[Series]:
    """Return a row's energy within 2 bins of nu_i, within 1 and at it (columns 2, 1, 0) as marks beside the names."""
    return [Series(shares[k], names, {"color": SHADES[k], "label": WITHIN[k]}) for k in SHADES]


def energy_rows(shown: Mapping[str, list[Series]], **words):
    """Draw panels of `energies`; dotted: the nine tenths that are claimed."""
    return forest(shown, dodge=0, at_x=[0.9], xlim=(0, 1.03), xlabel="share of the row's energy", height=0.26, **words)


def row_energies(table: pd.DataFrame):
    """Draw the row energies on the diagonal, within 1 and within 2 bins (columns as `layer_study.fig3_table`)."""
    mean = table.groupby(["operation", "nu_i", "within"], sort=False)["value"].mean().unstack("within")
    names = list(dict.fromkeys(table["operation"]))
    words = [name.replace("up-sampling", "up") for name in names]
    return energy_rows({rf"$\nu_i$ = ({nu}, {nu})": energies(mean.xs(nu, level="nu_i").loc[names], words)
                        for nu in sorted(table["nu_i"].unique())})  # fmt: skip


def cost_of_half(table: pd.DataFrame, law: pd.DataFrame):
    """Draw Eq. 5's relative error against rms Z (measured dots, law lines) and with the next term kept.

    `table` as `layer_study.activation_table`; `law` has columns rms, first.
    """
    mean = table.groupby(["activation", "rms"]).mean(numeric_only=True).reset_index()
    soft, relu = (mean[mean["activation"] == a] for a in ("softplus", "ReLU"))
    shown = [*curves(soft, "rms", {"error": ("softplus, Eq. 5", "blue", "o-"),
                                   "second": ("softplus, with Z/4 of Eq. 47", "green", "s--")}),
             *curves(relu, "rms", {"error": ("ReLU, Eq. 5", "red", "^-")}),
             line(law["rms"], law["first"], "grey", label="first order: rms Z / 2", lw=1)]  # fmt: skip
    return plot(shown, log="xy", ylim=(1e-4, 2), xlabel="rms of the pre-activation Z",
                ylabel="relative error of the gradient")  # fmt: skip


def depth(table: pd.DataFrame):
    """Draw the row energies of stacks against their depth (columns as `layer_study.depth_table`)."""
    mean = table.groupby(["activation", "depth", "within"])["value"].mean().reset_index()
    shown = {name: groups(mean[mean["activation"] == name], "within", "depth", look=lambda within: {
        "color": SHADES[within], "label": WITHIN[within], "fmt": "o-"}) for name in ("softplus", "ReLU")}  # fmt: skip
    return plot(shown, at_y=[0.5], ylim=(0, 1), xticks=sorted(set(mean["depth"])), xlabel="layers",
                ylabel="share of the row's energy", legend=3)  # fmt: skip


def relu_spread(rows: pd.DataFrame):
    """Draw the row energy of a ReLU within a distance of nu_i, measured and by the arcsine law.

    Columns decay, within, value, kind ("measured" or "law").
    """
    law, dots = (rows[rows["kind"] == kind] for kind in ("law", "measured"))
    form = r"features $\propto |\nu|^{{-{:g}}}$"
    shown = [*groups(law, "decay", "within", look=form), *groups(dots, "decay", "within", look="_{}", fmt="o")]
    return plot({"lines: arcsine law, dots: measured": shown}, ylim=(0, 1.02), ylabel="share of the row's energy",
                xlabel=r"distance of $\nu_j$ from $\nu_i$, at most [bins]")  # fmt: skip


def cancellation(tables: Mapping[str, pd.DataFrame]):
    """Draw how a feature at nu_j moves L_ce(0), L_ce(nu_j) and L_CE (columns as `loss_response.observation4_table`)."""
    looks = {"L_ce(0)": (r"$L_{ce}(0)$: Eq. 8 says $\ll 1$", "red", "o-"),
             "L_ce(nu_j)": (r"$L_{ce}(\nu_j)$: Eq. 7", "blue", "s-"),
             "L_CE": (r"$L_{CE}$: their sum over all $\nu_i$", "black", "^-")}  # fmt: skip
    wide = {title: table.pivot(index="nu_j", columns="part", values="value") for title, table in tables.items()}
    shown = {title: curves(one, one.index, looks) for title, one in wide.items()}
    return plot(shown, log="y", xlabel=r"$\nu_j$ [cycles per frame]", ylabel="size of the gradient", legend=1)


def by_confidence(rows: pd.DataFrame):
    """Draw what removing features changes against confidence (columns as `loss_response.confidence_table`)."""
    bounds = {"zero": (r"$L_{ce}(0)$, over itself", 0.05), "low": ("low frequencies, over themselves", 0.05),
              "unit": (r"$L_{ce}(0)$, over the whole loss", 1.0)}  # fmt: skip
    mean = rows.groupby(["regime", "confidence"], sort=False)[[*bounds]].mean().reset_index()
    shown = {title: [*groups(mean, "regime", "confidence", column, fmt="o-", mfc="white"),
                     *groups(rows[rows["best"]], "regime", "confidence", column, "_{}", fmt="o", ms=6)]
             for column, (title, _) in bounds.items()}  # fmt: skip
    fig = plot(shown, log="y", ticks=(1, 2, 4, 8), xlabel="confidence", ylabel="change", legend=3)
    for ax, (_, bound) in zip(fig.axes, bounds.values(), strict=True):
        ax.axhline(bound, color=COLORS["grey"], lw=0.8, ls=":")
    return fig


def layer_slider(images: Mapping[float, np.ndarray], shares: Mapping[float, float], nu_i: tuple[int, int]):
    """Return an interactive row of a layer's spectral gradient, with a slider for the pre-activation's rms.

    `images`: rms -> magnitudes (M, M), centred, relative to the largest; `shares`: rms -> energy on the diagonal.
    """
    name, depth = "gradient of ν_i = {}, {}; 60 dB deep".format(*nu_i), 60
    levels = [figures.decibels(image**2, -depth) / depth + 1 for image in images.values()]
    maps = [np.round(255 * np.flipud(level)).repeat(6, 0).repeat(6, 1) for level in levels]
    viridis = 255 * matplotlib.colormaps["viridis"](range(256))[:, :3]
    notes = [f"{share:.0%} of the energy on the diagonal" for share in shares.values()]
    return band_slider({name: maps}, {name: viridis}, list(images), {name: notes}, prefix="rms of Z: ")
