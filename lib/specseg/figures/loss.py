"""Figures of chapter 60: the loss of trained networks in frequency, R_ce, what training does to bands, loss and IoU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from specseg.data.domains import DOMAINS
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, choices, legend_below, plain_ticks, subplots

KIND_MARKERS = {"objects": "o", "land cover": "^", "streets": "s"}
DOMAIN_NAMES = {name: d.title for name, d in DOMAINS.items()}
MODEL_LINES = {"deeplabv3plus": "-", "dan": (0, (4, 1.5))}
BAND_COLORS = {"0 to 8": COLORS["black"], "9 to 16": COLORS["blue"], "17 to 32": COLORS["orange"],
               "33 to 64": COLORS["red"]}  # fmt: skip


def who(domain: str, model: str) -> str:
    """Return a line's name: domain and model."""
    return f"{DOMAIN_NAMES.get(domain, domain)}, {MODEL_NAMES.get(model, model)}"


def groups(rows: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Return ((domain, kind, model), rows) for each line, DeepLab v3+ first, then kinds in the paper's order."""
    order = {name: k for k, name in enumerate((*MODEL_NAMES, *KIND_COLORS))}
    found = rows.groupby(["domain", "kind", "model"], sort=False)
    return sorted(found, key=lambda item: (order[item[0][2]], order[item[0][1]]))


def kind_and_model(part: pd.DataFrame) -> str:
    """Return the name of a line that the paper's and our domain of one kind share; untrained ones have their own."""
    kind, model = part["kind"].iloc[0], part["model"].iloc[0]
    return f"{kind}, {MODEL_NAMES.get(model, model)}{' (too weak to judge)' * untrained(part)}"


def domains_of(rows: pd.DataFrame) -> str:
    """Return the domains of a panel for its title, in the order of their kinds.

    >>> domains_of(pd.DataFrame({"domain": ["camvid", "voc"], "kind": ["streets", "objects"], "model": ["dan", "dan"]}))
    'PASCAL VOC, animals; CamVid'
    """
    return "; ".join(dict.fromkeys(DOMAIN_NAMES.get(d, d) for (d, _, _), _ in groups(rows)))


def color(part: pd.DataFrame) -> str:
    """Return the colour of a line's kind of scene; grey where its network is untrained and sets no verdict.

    `part` has kind, and `untrained` where `study.gate.marked` has been asked.
    """
    return COLORS["grey"] if untrained(part) else KIND_COLORS[part["kind"].iloc[0]]


def untrained(part: pd.DataFrame) -> bool:
    """Say whether a line is that of a network which does not pass the gate."""
    return "untrained" in part and bool(part["untrained"].fillna(False).astype(bool).any())


def style(part: pd.DataFrame) -> dict:
    """Return colour and marker of a kind of scene, the line of a model: told apart without colour too."""
    kind, model = part["kind"].iloc[0], part["model"].iloc[0]
    return {"color": color(part), "marker": KIND_MARKERS[kind], "ls": MODEL_LINES[model], "ms": 4,
            "markerfacecolor": color(part) if model == "deeplabv3plus" else "white"}  # fmt: skip


def rate_curves(
    ours: pd.DataFrame, mirrored: pd.DataFrame, printed: pd.DataFrame, grid_limit: int | None = None
) -> Figure:
    """Draw Table 1 above our R_ce: value over nu_max, one line a domain and model, our intervals shaded.

    `ours` and `mirrored` (dotted) have domain, kind, model, nu_max, value, low, high; `printed` the same without low
    and high. `grid_limit` is the band limit of our prediction grid.
    """
    fig, axes = subplots(2, 1, size=(4.9, 8.0), sharex=True)
    for ax, rows, title in zip(axes, (printed, ours), ("the paper, Table 1", "ours"), strict=True):
        for _, part in groups(rows[rows["value"] > 0]):
            part = part.sort_values("nu_max")
            ax.plot(part["nu_max"], part["value"], label=kind_and_model(part), **style(part))
            if "low" in part:
                floor = np.maximum(part["low"], part["value"] / 20)  # a log axis has no zero
                ax.fill_between(part["nu_max"], floor, part["high"], color=color(part), alpha=0.15, lw=0)
        ax.set(yscale="log", ylabel=r"$R_{ce}(\nu_{max})$", title=f"{title}: {domains_of(rows)}")
        for _, part in groups(mirrored[mirrored["value"] > 0]) if rows is ours else ():
            part = part.sort_values("nu_max")
            ax.plot(part["nu_max"], part["value"], ls=":", lw=0.9, color=color(part))
        ax.axvspan(16, 32, color=COLORS["yellow"], alpha=0.25, lw=0)
    if grid_limit:
        axes[1].axvline(grid_limit, color=COLORS["grey"], lw=0.9, ls=":")
    plain_ticks(axes[1], (8, 16, 24, 32, 40, 48, 64))
    axes[1].set_xlabel(r"band limit $\nu_{max}$ (cycles per frame; yellow: 16 to 32)")
    legend_below(fig, axes)
    return fig


def five_rows(profiles: pd.DataFrame, rates: pd.DataFrame, grid_limit: int) -> Figure:
    """Draw Fig. 1's five rows below one another, one line a domain and model.

    `profiles` has domain, kind, model, row ("labels", "logits", "loss", "initial", "final"), nu, value: power per bin,
    sums of Re L_ce over a rim for the others. `rates` has domain, kind, model, nu_max, value.
    """
    fig, axes = subplots(5, 1, size=(4.9, 12.5))
    titles = {"labels": r"1. labels: $|b(\nu)|^2$ / its largest value", "logits": r"2. logits: $|\hat y(\nu)|^2$ / its"
              " largest value", "loss": r"3. $L_{ce}(\nu)$ after training (nats, a rim)"}  # fmt: skip
    for ax, (row, title) in zip(axes, titles.items(), strict=False):
        for (domain, _, model), part in groups(profiles[profiles["row"] == row]):
            keep = part[part["nu"] > 0] if row != "loss" else part
            values = keep["value"] / keep["value"].max() if row != "loss" else keep["value"]
            line = {**style(part), "marker": ""}
            ax.plot(keep["nu"], values, label=who(domain, model), **line)
        ax.set_title(title)
    for ax in axes[:2]:
        ax.set(xscale="log", yscale="log")
        ax.axvline(grid_limit, color=COLORS["grey"], lw=0.9, ls=":")
    for (domain, _, model), part in groups(profiles):
        for row, width in (("initial", 0.9), ("final", 1.8)):
            one = part[part["row"] == row]
            name = who(domain, model) + (", first step" if row == "initial" else "")
            line = {"color": color(part), "ls": ":" if row == "initial" else MODEL_LINES[model], "lw": width}
            axes[3].plot(one["nu"], one["value"], label=name, **line)
    axes[3].set_title(r"4. $L_{ce}(\nu)$ before (dotted) and after (nats, a rim)")
    for ax in axes[2:4]:
        ax.set_xscale("symlog", linthresh=1)
        ax.set_yscale("symlog", linthresh=1e-3)
        ax.axhline(0, color=COLORS["black"], lw=0.6)
        ax.axvline(grid_limit, color=COLORS["grey"], lw=0.9, ls=":")
        ax.set_xticks([0, 1, 8, 32, 128], ["0", "1", "8", "32", "128"])
        ax.set_yticks([-1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10], ["-1", "-0.1", "-0.01", "0", "0.01", "0.1", "1", "10"])
    for _, part in groups(rates):
        axes[4].plot(part["nu_max"], part["value"], **style(part))
    axes[4].set(yscale="log", title=r"5. $R_{ce}(\nu_{max})$")
    plain_ticks(axes[4], (8, 16, 32, 64))
    axes[4].set_xlabel(r"frequency $\nu$, band limit $\nu_{max}$ (cycles per frame)")
    legend_below(fig, axes[:1])
    return fig


def readings(rates: pd.DataFrame, limits: Sequence[int]) -> Figure:
    """Draw R_ce in every reading at some band limits: one row a reading, one mark a domain (and model).

    `rates` is what `trained.rates` returns. Full marks: ratio of means; hollow: mean of ratios.
    """
    variants = list(dict.fromkeys(rates["variant"]))
    fig, axes = subplots(len(limits), 1, size=(4.9, (0.33 * len(variants) + 0.75) * len(limits) + 0.6), sharex=True)
    for ax, limit in zip(np.atleast_1d(axes), limits, strict=True):
        here = rates[rates["nu_max"] == limit]
        lines = groups(here)
        for i, ((domain, kind, model), part) in enumerate(lines):
            shift = (i - (len(lines) - 1) / 2) * 0.8 / max(len(lines), 1)
            for average in ("ratio_of_means", "mean_of_ratios"):
                one = part[part["average"] == average]
                at = [variants.index(v) + shift for v in one["variant"]]
                full = average == "ratio_of_means"
                ax.scatter(one["value"], at, marker=KIND_MARKERS[kind], s=26, edgecolors=color(part),
                           facecolors=color(part) if full else "none",
                           label=who(domain, model) if full else None)  # fmt: skip
        ax.set(yticks=range(len(variants)), ylim=(len(variants) - 0.5, -0.5), xscale="log")
        ax.set_yticklabels(variants)
        ax.set_title(rf"$\nu_{{max}}$ = {limit}")
    np.atleast_1d(axes)[-1].set_xlabel(r"$R_{ce}$")
    legend_below(fig, np.atleast_1d(axes)[:1])
    return fig


def learning(courses: pd.DataFrame, bands: Sequence[str]) -> Figure:
    """Draw each band's loss and its progress during training, a row a domain and model; thin lines: single trainings.

    `courses` is what `specseg.study.learning.courses` returns.
    """
    lines = groups(courses)
    fig, axes = subplots(len(lines), 2, size=(4.9, 2.5 * len(lines) + 0.6), sharex=True, squeeze=False)
    for (left, right), ((domain, _, model), part) in zip(axes, lines, strict=True):
        for band in bands:
            alone = [one.sort_values("share") for _, one in part.groupby(["fold", "seed"])]
            for one in alone:
                moved = (one[band] - one[band].iloc[0]) / (one[band].iloc[-1] - one[band].iloc[0])
                left.plot(one["share"], one[band], color=BAND_COLORS[band], lw=0.7, alpha=0.5)
                right.plot(one["share"], moved, color=BAND_COLORS[band], lw=0.7, alpha=0.5)
            mean = pd.concat(alone).groupby("share")[band].mean()
            moved = (mean - mean.iloc[0]) / (mean.iloc[-1] - mean.iloc[0])
            left.plot(mean.index, mean, color=BAND_COLORS[band], lw=2, label=rf"$\nu$ {band}")
            right.plot(mean.index, moved, color=BAND_COLORS[band], lw=2)
        left.plot([], [], color=COLORS["grey"], ls="--", label=r"$L_{CE}$")
        whole = part.groupby("share")["loss"].mean()
        left.plot(whole.index, whole, color=COLORS["grey"], ls="--")
        left.set_title(f"{DOMAIN_NAMES[domain]}\n{MODEL_NAMES[model]}" + " (too weak)" * untrained(part), fontsize=9.8)
        right.set_title("part of the final change", fontsize=9.8)
        right.axhline(0.5, color=COLORS["grey"], lw=0.8, ls=":")
        left.set_yscale("symlog", linthresh=0.1)
        left.set_ylabel("nats per pixel")
    for ax in axes[-1]:
        ax.set_xlabel("part of the training")
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend_below(fig, axes[:1, 0], columns=3)
    return fig


def loss_and_iou(courses: pd.DataFrame, pictures: pd.DataFrame) -> Figure:
    """Draw mIoU against cross-entropy: over the snapshots of each training (above), over test pictures (below).

    `courses` and `pictures` are what `specseg.study.learning` returns under these names; `pictures` may be empty.
    """
    fig, axes = subplots(2 if len(pictures) else 1, 1, size=(4.9, 7.0 if len(pictures) else 3.8), squeeze=False)
    top = axes[0, 0]
    for (domain, _, model), part in groups(courses):
        for k, (_, one) in enumerate(part.groupby(["fold", "seed"])):
            one, label = one.sort_values("step"), who(domain, model) if k == 0 else None
            top.plot(one["loss"], one["miou"], label=label, **{**style(part), "lw": 0.9})
            top.plot(one["loss"].iloc[0], one["miou"].iloc[0], marker="x", color=color(part), ms=6, mew=1.6)
    top.set(xscale="log", xlabel="$L_{CE}$ (nats; crosses: before training)", ylabel="mIoU", title="snapshots")
    if len(pictures):
        below = axes[1, 0]
        for (domain, kind, model), part in groups(pictures):
            below.scatter(part["loss"].clip(lower=1e-3), part["iou"], s=9, alpha=0.5, marker=KIND_MARKERS[kind],
                          facecolors=color(part) if model == "deeplabv3plus" else "none",
                          edgecolors=color(part), label=who(domain, model))  # fmt: skip
        below.set(xscale="log", xlabel="$L_{CE}$ of a picture (nats)", ylabel="IoU of a picture", title="test pictures")
    for ax in axes[:, 0]:
        low, high = ax.get_xlim()
        plain_ticks(ax, [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high])
    legend_below(fig, axes[:1, 0])
    return fig


def frame_by_frame(pictures: dict[str, dict[str, pd.DataFrame]]):
    """Return the loss of every test picture against its own R_ce, with a slider over the band limit.

    `pictures[limit][kind of scene]` has rce, loss and picture (its name).
    """
    looks = {kind: {"marker": {"color": KIND_COLORS[kind], "size": 6, "opacity": 0.6}, "text": list(part["picture"]),
                    "hovertemplate": "%{text}<br>R_ce %{x:.2%}<br>loss %{y:.2f} nats<extra></extra>"}
             for kind, part in next(iter(pictures.values())).items()}  # fmt: skip
    marks = {limit: {kind: (part["rce"].clip(lower=2e-5).round(6), part["loss"].round(4))
                     for kind, part in parts.items()} for limit, parts in pictures.items()}  # fmt: skip
    ticks = {"tickvals": [1e-4, 1e-3, 0.01, 0.1, 1], "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]}
    return choices(marks, looks, prefix="band limit: ", axes={
        "xaxis": {"title": "R_ce of the picture", "range": [-4.8, 0.8], **ticks},
        "yaxis": {"title": "loss of the picture [nats per pixel]"}})  # fmt: skip
