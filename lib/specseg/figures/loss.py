"""Figures of chapter 60: the loss of trained networks in frequency, R_ce, what training does to bands, loss and IoU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from specseg.data.domains import DOMAINS
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, choices, legend_below, plain_ticks, stacked, subplots

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


def lines(ax, rows: pd.DataFrame, x: str, log: bool = False, **look) -> None:
    """Draw value over x, a line a domain and model, with its interval where the rows have low and high."""
    for _, part in groups(rows[rows["value"] > 0] if log else rows):
        part = part.sort_values(x)
        ax.plot(part[x], part["value"], label=kind_and_model(part), **{**style(part), **look})
        if "low" in part:
            low = np.maximum(part["low"], part["value"] / 20) if log else part["low"]  # a log axis has no zero
            ax.fill_between(part[x], low, part["high"], color=color(part), alpha=0.15, lw=0)


def beside(panels: Mapping[str, pd.DataFrame], x: str, ylabel: str, log: bool = False, **shared):
    """Return a figure with `lines` of each table below one another, named by its title and domains, and its panels."""
    titles = [fill(f"{title}: {domains_of(rows)}", 46) for title, rows in panels.items()]
    fig, axes = stacked(titles, 3.6, sharex=True, **shared)
    for ax, rows in zip(axes, panels.values(), strict=True):
        lines(ax, rows, x, log)
        ax.set_ylabel(ylabel)
    legend_below(fig, axes)
    return fig, axes


def rate_curves(ours: pd.DataFrame, mirrored: pd.DataFrame, printed: pd.DataFrame, grid_limit: int) -> Figure:
    """Draw Table 1 above our R_ce: value over nu_max, one line a domain and model, our intervals shaded.

    `ours` and `mirrored` (dotted) have domain, kind, model, nu_max, value, low, high; `printed` the same without low
    and high. `grid_limit` is the band limit of our prediction grid.
    """
    panels = {"the paper, Table 1": printed, "ours": ours}
    fig, axes = beside(panels, "nu_max", r"$R_{ce}(\nu_{max})$", log=True)
    for _, part in groups(mirrored[mirrored["value"] > 0]):
        part = part.sort_values("nu_max")
        axes[1].plot(part["nu_max"], part["value"], ls=":", lw=0.9, color=color(part))
    for ax in axes:
        ax.axvspan(16, 32, color=COLORS["yellow"], alpha=0.25, lw=0)
        ax.set_yscale("log")
    axes[1].axvline(grid_limit, color=COLORS["grey"], lw=0.9, ls=":")
    plain_ticks(axes[1], (8, 16, 24, 32, 40, 48, 64))
    axes[1].set_xlabel(r"band limit $\nu_{max}$ (cycles per frame; yellow: 16 to 32)")
    return fig


def five_rows(profiles: pd.DataFrame, rates: pd.DataFrame, grid_limit: int) -> Figure:
    """Draw Fig. 1's five rows below one another, one line a domain and model.

    `profiles` has domain, kind, model, row ("labels", "logits", "loss", "initial", "final"), nu, value: power per bin,
    sums of Re L_ce over a rim for the others. `rates` has domain, kind, model, nu_max, value.
    """
    fig, axes = stacked([
        r"1. labels: $|b(\nu)|^2$ / its largest value", r"2. logits: $|\hat y(\nu)|^2$ / its largest value",
        r"3. $L_{ce}(\nu)$ after training (nats, a rim)", r"4. $L_{ce}(\nu)$ before (dotted) and after (nats, a rim)",
        r"5. $R_{ce}(\nu_{max})$"], 2.3)  # fmt: skip
    for (domain, _, model), part in groups(profiles):
        line, name = {**style(part), "marker": ""}, who(domain, model)
        rows = {row: one[["nu", "value"]].to_numpy().T for row, one in part.groupby("row")}
        for ax, row in zip(axes, ("labels", "logits"), strict=False):
            nu, value = rows[row][:, 1:]
            ax.loglog(nu, value / value.max(), label=name, **line)
        axes[2].plot(*rows["loss"], label=name, **line)
        axes[3].plot(*rows["initial"], **{**line, "ls": ":", "lw": 0.9})
        axes[3].plot(*rows["final"], **line)
    for ax in axes[2:4]:
        ax.set_xscale("symlog", linthresh=1)
        ax.set_yscale("symlog", linthresh=1e-3)
        ax.axhline(0, color=COLORS["black"], lw=0.6)
        ax.set_xticks([0, 1, 8, 32, 128], ["0", "1", "8", "32", "128"])
        ax.set_yticks([-1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10], ["-1", "-0.1", "-0.01", "0", "0.01", "0.1", "1", "10"])
    for ax in axes[:4]:
        ax.axvline(grid_limit, color=COLORS["grey"], lw=0.9, ls=":")
    lines(axes[4], rates[[*rates.columns.drop(["low", "high"], errors="ignore")]], "nu_max")
    axes[4].set_yscale("log")
    plain_ticks(axes[4], (8, 16, 32, 64))
    axes[4].set_xlabel(r"frequency $\nu$, band limit $\nu_{max}$ (cycles per frame)")
    legend_below(fig, axes[:1])
    return fig


def readings(rates: pd.DataFrame, limits: Sequence[int]) -> Figure:
    """Draw R_ce in every reading at some band limits: one row a reading, one mark a domain (and model).

    `rates` is what `trained.rates` returns. Full marks: ratio of means; hollow: mean of ratios.
    """
    variants = list(dict.fromkeys(rates["variant"]))
    fig, axes = stacked([rf"$\nu_{{max}}$ = {n}" for n in limits], 0.33 * len(variants) + 0.75, 0.6, sharex=True)
    for ax, limit in zip(axes, limits, strict=True):
        found = groups(rates[rates["nu_max"] == limit])
        for i, ((domain, kind, model), part) in enumerate(found):
            shift = (i - (len(found) - 1) / 2) * 0.8 / max(len(found), 1)
            for average, face in (("ratio_of_means", color(part)), ("mean_of_ratios", "none")):
                one = part[part["average"] == average]
                at = [variants.index(v) + shift for v in one["variant"]]
                ax.scatter(one["value"], at, marker=KIND_MARKERS[kind], s=26, edgecolors=color(part), facecolors=face,
                           label=who(domain, model) if face != "none" else None)  # fmt: skip
        ax.set(ylim=(len(variants) - 0.5, -0.5), xscale="log")
        ax.set_yticks(range(len(variants)), variants)
    axes[-1].set_xlabel(r"$R_{ce}$")
    legend_below(fig, axes[:1])
    return fig


def learning(courses: pd.DataFrame, bands: Sequence[str]) -> Figure:
    """Draw each band's loss and its progress during training, a row a domain and model; thin lines: single trainings.

    `courses` is what `specseg.study.learning.courses` returns.
    """
    found = groups(courses)
    fig, axes = subplots(len(found), 2, size=(4.9, 2.5 * len(found) + 0.6), sharex=True, squeeze=False)
    for (left, right), ((domain, _, model), part) in zip(axes, found, strict=True):
        for band in bands:
            alone = [one.set_index("share")[band].sort_index() for _, one in part.groupby(["fold", "seed"])]
            mean = part.groupby("share")[band].mean()
            for one, look in (*((x, {"lw": 0.7, "alpha": 0.5}) for x in alone), (mean, {"lw": 2})):
                left.plot(one, color=BAND_COLORS[band], **look)
                right.plot((one - one.iloc[0]) / (one.iloc[-1] - one.iloc[0]), color=BAND_COLORS[band], **look)
            left.lines[-1].set_label(rf"$\nu$ {band}")
        left.plot(part.groupby("share")["loss"].mean(), color=COLORS["grey"], ls="--", label=r"$L_{CE}$")
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
    fig, axes = stacked(["snapshots", *["test pictures"] * bool(len(pictures))], 3.4)
    for (domain, _, model), part in groups(courses):
        look = {**style(part), "lw": 0.9, "label": who(domain, model)}
        for _, one in part.sort_values("step").groupby(["fold", "seed"]):
            axes[0].plot(one["loss"], one["miou"], **look)
            axes[0].plot(one["loss"].iloc[0], one["miou"].iloc[0], marker="x", color=color(part), ms=6, mew=1.6)
    axes[0].set(xlabel="$L_{CE}$ (nats; crosses: before training)", ylabel="mIoU")
    for (_, kind, model), part in groups(pictures) if len(pictures) else []:
        axes[1].scatter(part["loss"].clip(lower=1e-3), part["iou"], s=9, alpha=0.5, marker=KIND_MARKERS[kind],
                        facecolors=color(part) if model == "deeplabv3plus" else "none",
                        edgecolors=color(part))  # fmt: skip
        axes[1].set(xlabel="$L_{CE}$ of a picture (nats)", ylabel="IoU of a picture")
    for ax in axes:
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        plain_ticks(ax, [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high])
    legend_below(fig, axes[:1])
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
