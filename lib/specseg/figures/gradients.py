"""Figures of the chapter on spectral gradients, each from the rows of `specseg.proofs.layer_study`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from specseg import figures
from specseg.figures import COLORS

SHADES = {2: COLORS["sky"], 1: COLORS["blue"], 0: COLORS["black"]}  # how many bins around the row's frequency


def fig3(rows: Mapping[tuple[str, int], torch.Tensor], names: Sequence[str]):
    """Draw |dy(nu_i)/dx(nu_j)| over nu_j of each operation (a row) and nu_i (a column), in dB below its maximum."""
    nus = sorted({nu for _, nu in rows})
    fig, axes = figures.subplots(len(names), len(nus), size=(4.8, 1.5 * len(names) + 0.8), sharex=True, sharey=True)
    for line, name in zip(axes, names, strict=True):
        for ax, nu in zip(line, nus, strict=True):
            power = np.fft.fftshift(rows[name, nu].abs().square().numpy())
            half = power.shape[0] // 2
            shown = figures.picture(ax, figures.decibels(power), vmin=-60, vmax=0, cmap="viridis", origin="lower",
                                    extent=(-half - 0.5, half + 0.5) * 2)  # fmt: skip
            ax.set(xticks=[-half, 0, half], yticks=[-half, 0, half])
        line[0].set_ylabel(name.replace(", ", "\n").replace("up-sampling x4", "up x4"), fontsize=9.8)
    for ax, nu in zip(axes[0], nus, strict=True):
        ax.set_title(rf"$\nu_i$ = ({nu}, {nu})")
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.6, label="dB below the row's maximum")
    return fig


def row_energies(table: pd.DataFrame):
    """Draw the row energies on the diagonal, within 1 and within 2 bins (columns as `layer_study.fig3_table`)."""
    mean = table.groupby(["operation", "nu_i", "within"], sort=False)["value"].mean().unstack("within")
    names = list(dict.fromkeys(table["operation"]))
    nus = sorted(table["nu_i"].unique())
    fig, axes = figures.subplots(len(nus), 1, size=(4.8, 0.28 * len(names) * len(nus) + 1.6), sharex=True)
    for ax, nu in zip(axes, nus, strict=True):
        energy_bars(ax, mean.xs(nu, level="nu_i").loc[names], [n.replace("up-sampling", "up") for n in names])
        ax.set_title(rf"$\nu_i$ = ({nu}, {nu})")
    axes[-1].set_xlabel("share of the row's energy")
    figures.legend_below(fig, axes[:1], 3)
    return fig


def energy_bars(ax, shares: pd.DataFrame, names: Sequence[str], claimed: float = 0.9) -> None:
    """Draw a row's energy at nu_i, within 1 and within 2 bins (columns 0, 1, 2) as bars, the first row on top."""
    for within, label in ((2, "within 2 bins"), (1, "within 1 bin"), (0, "at the row's frequency")):
        ax.barh(range(len(shares)), shares[within], color=SHADES[within], label=label, height=0.7)
    ax.axvline(claimed, color=COLORS["red"], lw=0.8, ls=":")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlim(0, 1)
    ax.invert_yaxis()


def cost_of_half(table: pd.DataFrame, law: pd.DataFrame):
    """Draw Eq. 5's relative error against rms Z (measured dots, law lines) and with the next term kept.

    `table` as `layer_study.activation_table`; `law` has columns rms, first, second.
    """
    fig, ax = figures.subplots(size=(4.8, 4.0))
    mean = table.groupby(["activation", "rms"]).mean(numeric_only=True).reset_index()
    soft, relu = (mean[mean["activation"] == a] for a in ("softplus", "ReLU"))
    ax.plot(law["rms"], law["first"], color=COLORS["grey"], lw=1, label="first order: rms Z / 2")
    figures.curves(
        ax,
        soft["rms"],
        soft,
        {"error": ("softplus, Eq. 5", "blue", "o-"), "second": ("softplus, with Z/4 of Eq. 47", "green", "s--")},
        ms=6,
    )
    ax.plot(relu["rms"], relu["error"], "^-", color=COLORS["red"], label="ReLU, Eq. 5")  # fmt: skip
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 2), xlabel="rms of the pre-activation Z",
           ylabel="relative error of the spectral gradient")  # fmt: skip
    ax.legend(fontsize=9.8)
    return fig


def depth(table: pd.DataFrame):
    """Draw the row energies of stacks against their depth (columns as `layer_study.depth_table`)."""
    names = ("softplus", "ReLU")
    fig, axes = figures.stacked(names, 2.4, sharex=True)
    mean = table.groupby(["activation", "depth", "within"])["value"].mean().unstack("within")
    for ax, name in zip(axes, names, strict=True):
        own = mean.loc[name]
        for within, color in reversed(SHADES.items()):
            ax.plot(own[within], "o-", color=color, label=f"within {within}" if within else "diagonal")
        ax.axhline(0.5, color=COLORS["red"], lw=0.8, ls=":")
        ax.set(ylabel="share of the row's energy", ylim=(0, 1), xticks=own.index)
    axes[1].set_xlabel("layers")
    axes[1].legend(fontsize=9.8)
    return fig


def relu_spread(rows: pd.DataFrame):
    """Draw the row energy of a ReLU within a distance of nu_i, measured and by the arcsine law.

    Columns decay, within, value, kind ("measured" or "law").
    """
    fig, ax = figures.subplots(size=(4.8, 3.6))
    for (decay, part), color in zip(rows.groupby("decay"), figures.CYCLE, strict=False):
        law, dots = part[part["kind"] == "law"], part[part["kind"] == "measured"]
        ax.plot(law["within"], law["value"], color=color, label=rf"features $\propto |\nu|^{{-{decay:g}}}$")
        ax.plot(dots["within"], dots["value"], "o", color=color, ms=4)
    ax.set_xlabel(r"distance of $\nu_j$ from $\nu_i$, at most [bins]")
    ax.set(ylabel="share of the row's energy", ylim=(0, 1.02))
    ax.legend(title="lines: arcsine law, dots: measured", fontsize=9.8)
    return fig


def cancellation(tables: Mapping[str, pd.DataFrame]):
    """Draw how a feature at nu_j moves L_ce(0), L_ce(nu_j) and L_CE (columns as `loss_response.observation4_table`)."""
    fig, axes = figures.stacked(tables, 2.4, sharex=True)
    looks = {"L_ce(0)": (r"$L_{ce}(0)$: Eq. 8 says $\ll 1$", "red", "o-"),
             "L_ce(nu_j)": (r"$L_{ce}(\nu_j)$: Eq. 7", "blue", "s-"),
             "L_CE": (r"$L_{CE}$: their sum over all $\nu_i$", "black", "^-")}  # fmt: skip
    for ax, table in zip(axes, tables.values(), strict=True):
        wide = table.pivot(index="nu_j", columns="part", values="value")
        figures.curves(ax, wide.index, wide, looks)
        ax.set(yscale="log", ylabel="size of the gradient")
    axes[-1].set_xlabel(r"$\nu_j$ [cycles per frame]")
    figures.legend_below(fig, axes[:1], 1)
    return fig


def by_confidence(rows: pd.DataFrame):
    """Draw what removing features changes against confidence (columns as `loss_response.confidence_table`)."""
    panels = {"zero": (r"$L_{ce}(0)$, over itself", 0.05), "low": ("low frequencies, over themselves", 0.05),
              "unit": (r"$L_{ce}(0)$, over the whole loss", 1.0)}  # fmt: skip
    fig, axes = figures.stacked([title for title, _ in panels.values()], 2.4)
    for ax, (column, (_, bound)) in zip(axes, panels.items(), strict=True):
        for (regime, part), color in zip(rows.groupby("regime"), figures.CYCLE, strict=False):
            mean = part.groupby("confidence")[column].mean()
            ax.plot(mean.index, mean, "o-", color=color, ms=4, fillstyle="none", label=regime)
            best = part[part["best"]]
            ax.plot(best["confidence"], best[column], "o", color=color, ms=6)
        ax.axhline(bound, color=COLORS["grey"], lw=0.8, ls=":")
        ax.set(yscale="log", ylabel="change")
        figures.plain_ticks(ax, (1, 2, 4, 8))
    ax.set_xlabel("confidence")
    figures.legend_below(fig, axes[:1], 3)
    return fig


def layer_slider(images: Mapping[float, np.ndarray], shares: Mapping[float, float], nu_i: tuple[int, int]):
    """Return an interactive row of a layer's spectral gradient, with a slider for the pre-activation's rms.

    `images`: rms -> magnitudes (M, M), centred, relative to the largest; `shares`: rms -> energy on the diagonal.
    """
    import plotly.graph_objects as go

    axis = np.arange(next(iter(images.values())).shape[0])
    axis = axis - len(axis) // 2
    shared = {"x": axis, "y": axis, "zmin": -60, "zmax": 0, "colorscale": "Viridis", "colorbar": {"title": "dB"},
              "hovertemplate": "ν_j = (%{y}, %{x})<br>%{z} dB<extra></extra>"}  # fmt: skip
    fig = go.Figure([go.Heatmap(z=np.round(figures.decibels(image**2), 1), visible=k == 0, **shared)
                     for k, image in enumerate(images.values())])  # fmt: skip
    titles = {rms: f"ν_i = {nu_i}: {shares[rms]:.0%} of the energy on the diagonal" for rms in images}
    steps = [{"label": f"{rms:g}", "method": "update",
              "args": [{"visible": [other == rms for other in images]}, {"title.text": titles[rms]}]}
             for rms in images]  # fmt: skip
    fig.update_layout(
        height=480, title={"text": titles[next(iter(images))]},
        sliders=[{"active": 0, "currentvalue": {"prefix": "rms of Z: "}, "steps": steps, "pad": {"t": 40}}],
        xaxis_title="ν_j, horizontal", yaxis={"title": "ν_j, vertical", "scaleanchor": "x"},
        margin={"l": 60, "r": 20, "t": 50, "b": 40},
    )  # fmt: skip
    return fig
