"""Figures of the adviser, from the advice as `advice.json` holds it: readable on a phone, one panel each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from specseg import figures
from specseg.figures import COLORS, CYCLE, DATASET_COLORS, DATASET_NAMES, MODEL_NAMES, Shown, show, subplots

KINDS = {
    "band": ("band-limited (LRG)", COLORS["blue"], "o"),
    "majority": ("blocks, commonest class", COLORS["red"], "s"),
    "nearest": ("blocks, middle point", COLORS["orange"], "^"),
}


def _plain(name: str) -> str:
    """Return a class's name, cut, as it is: `$` would begin a formula."""
    return name[:18].replace("$", r"\$")


def _axes(size: tuple[float, float] = (4.4, 3.3)):
    fig, ax = subplots(1, 1, size=size)
    fig.set_dpi(160)
    return fig, ax


def _sizes(ax, sizes) -> None:
    sizes = sorted(set(sizes))
    shown = [s for k, s in enumerate(sizes) if len(sizes) < 7 or k in (0, len(sizes) - 1) or k % 2 == 0]
    figures.plain_ticks(ax, shown)
    ax.set_xlabel("points of the grid along a side")


def _line(ax, rows, metric: str, kind: str, **style) -> None:
    label, colour, marker = KINDS[kind]
    own = pd.DataFrame([{"lrg_size": r["lrg_size"], **r[metric]} for r in rows if r["kind"] == kind])
    _curve(ax, own, color=colour, marker=marker, **{"label": label, **style})


def _curve(ax, rows: pd.DataFrame, **style) -> None:
    """Draw value with its interval, low to high, over lrg_size."""
    rows = rows.astype({c: float for c in ("lrg_size", "value", "low", "high")}).sort_values("lrg_size")
    ax.plot(rows["lrg_size"], rows["value"], **{"ms": 4, **style})
    ax.fill_between(rows["lrg_size"], rows["low"], rows["high"], color=style["color"], alpha=0.18, lw=0)


def ceilings(data: Mapping) -> Figure:
    """Draw the mIoU and the boundary IoU (dashed) that weak labels keep, against the grid, with 95 % intervals."""
    fig, ax = _axes()
    for kind in ("band", "majority"):
        _line(ax, data["ceilings"], "miou", kind)
        _line(ax, data["ceilings"], "boundary_iou", kind, ls="--", label=None)
    _mark(ax, data, "lrg", "blocks")
    _sizes(ax, [r["lrg_size"] for r in data["ceilings"]])
    ax.set_ylabel("score against the true labels\n(dashed: boundary IoU)")
    ax.legend(fontsize=9, loc="lower right")
    return fig


def drops(data: Mapping) -> Figure:
    """Draw the relative loss of mIoU against the grid on a log axis, with the tolerated loss."""
    fig, ax = _axes()
    positive = [r for r in data["ceilings"] if (r["drop"]["value"] or 0) > 1e-5]
    for kind in dict.fromkeys(r["kind"] for r in positive):
        _line(ax, positive, "drop", kind)
    tolerated = data["settings"]["max_drop"]
    ax.axhline(tolerated, color=COLORS["black"], lw=1, ls=":")
    ax.text(0.99, tolerated, "tolerated", transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=9)
    _mark(ax, data, "lrg", "blocks")
    ax.set_yscale("log")
    low = min([r["drop"]["value"] for r in positive] + [tolerated])
    ax.set_ylim(low / 2, 4)
    _sizes(ax, [r["lrg_size"] for r in data["ceilings"]])
    ax.set_ylabel("share of mIoU lost")
    ax.legend(fontsize=9, loc="upper right")
    return fig


def _mark(ax, data: Mapping, *keys: str) -> None:
    for key in keys:
        kind = {"lrg": "band", "blocks": "majority"}[key]
        if chosen := data["recommendation"][key]:
            ax.axvline(chosen["lrg_size"], color=KINDS[kind][1], lw=6, alpha=0.15)


def classes(data: Mapping, most: int = 24) -> Figure:
    """Draw the IoU that each class keeps when cut to each grid's band: classes that are lost first on top."""
    here = [c for c in data["classes"] if c["maps"]]
    sizes = [int(s) for s in here[0]["iou"]["band"]]
    table = np.array([[c["iou"]["band"][str(s)] for s in sizes] for c in here], float)
    order = np.argsort(np.nanmean(table, axis=1))[:most]
    fig, ax = _axes((4.4, 0.9 + 0.24 * len(order)))
    ax.imshow(table[order], cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (y, x), value in np.ndenumerate(table[order]):
        ax.text(x, y, f"{value:.2f}", ha="center", va="center", fontsize=9, color="white" if value < 0.55 else "black")
    ax.set_yticks(range(len(order)), [_plain(here[k]["name"]) for k in order], fontsize=9)
    ax.set_xticks(range(len(sizes)), [str(s) for s in sizes])
    ax.set_xlabel("points of the grid along a side")
    ax.grid(False)
    return fig


def spectra(data: Mapping, most: int = 6) -> Figure:
    """Draw the power of the label planes against frequency: the mean, and the classes with the most of it."""
    fig, ax = _axes()
    found = {c["name"]: np.array(c["power"], float) for c in data["spectra"]}
    mean = found.pop("")
    nu = np.arange(len(mean))
    largest = sorted(found, key=lambda name: -found[name][1:].sum())[:most]
    for name, colour in zip(largest, CYCLE, strict=False):
        ax.loglog(nu[1:], found[name][1:], color=colour, lw=1.1, label=_plain(name))
    ax.loglog(nu[1:], mean[1:], color=COLORS["black"], lw=2.2, label="mean of all classes")
    ax.set(xlabel="frequency (cycles per frame)", ylabel="power of the class planes")
    ax.legend(fontsize=9, loc="lower left")
    return fig


def tails(data: Mapping) -> Figure:
    """Draw the label energy beyond each band limit: measured, by the perimeter law, and its upper bound."""
    fig, ax = _axes()
    rows = pd.DataFrame(data["tails"])
    figures.curves(ax, rows["nu_max"], rows, {"bound": ("bound (counts transitions)", "grey", ":"),
                                      "law": ("perimeter law", "red", "--"),
                                      "measured": ("measured", "blue", "o-")}, ms=4)  # fmt: skip
    ax.set_yscale("log")
    figures.plain_ticks(ax, rows["nu_max"][::2])
    ax.set(xlabel="band limit (cycles per frame)", ylabel="label energy beyond it")
    ax.legend(fontsize=9)
    return fig


def loss_rates(data: Mapping) -> Figure:
    """Draw R_ce against the grid: two boundaries, two averages, raw (solid) and calibrated (dashed)."""
    fig, ax = _axes()
    rows = pd.DataFrame(data["logits"]["r_ce"])
    variants = rows.groupby(["boundary", "average"], sort=False)
    for ((boundary, average), part), colour in zip(variants, CYCLE, strict=False):
        for scale, form in (("raw", "o-"), ("calibrated", "o--")):
            own = part[part["scale"] == scale].sort_values("lrg_size")
            label = f"{boundary}, {average.replace('_', ' ')}" if scale == "raw" else None
            ax.plot(own["lrg_size"], own["value"].clip(lower=1e-9), form, color=colour, ms=3, label=label)
    ax.axhline(0.2, color=COLORS["black"], lw=1, ls=":")
    ax.set_yscale("log")
    _sizes(ax, rows["lrg_size"])
    ax.set_ylabel("R_ce (dashed: calibrated)")
    ax.legend(fontsize=9)
    return fig


def savings(data: Mapping) -> Figure:
    """Draw what each grid saves: FLOPs (solid) and measured time (dashed) of both networks."""
    fig, ax = _axes()
    rows = pd.DataFrame(data["costs"]).sort_values("lrg_size")
    for (model, name), colour in zip(MODEL_NAMES.items(), CYCLE, strict=False):
        for column, form, what in (("flops_saved", "o-", "FLOPs"), ("time_saved", "o--", "time")):
            own = rows[(rows["model"] == model) & rows[column].notna()]
            if len(own) > 1:
                ax.plot(own["lrg_size"], own[column], form, color=colour, ms=4, label=f"{name}, {what}")
    _mark(ax, data, "lrg")
    _sizes(ax, rows["lrg_size"])
    ax.set_ylabel("share saved")
    ax.legend(fontsize=9)
    return fig


def compare(rows: pd.DataFrame) -> Figure:
    """Draw what labels cut to each grid lose, set by set, from the rows of the records, with the tolerated losses."""
    fig, (left, right) = subplots(2, 1, size=(4.9, 6.4), sharex=True, sharey=True)
    titles = {"band": "labels cut to the grid's band", "majority": "block labels"}
    for ax, kind in ((left, "band"), (right, "majority")):
        own = rows[(rows["table"] == "ceilings") & (rows["metric"] == "drop") & (rows["kind"] == kind)]
        for dataset, part in own[own["value"] > 1e-5].groupby("dataset", sort=False):
            _curve(ax, part, color=DATASET_COLORS[dataset], marker="o", label=DATASET_NAMES[dataset])
        for tolerance in (0.01, 0.02, 0.05):
            ax.axhline(tolerance, color=COLORS["black"], lw=0.9, ls=":")
            ax.text(0.995, tolerance, f"{tolerance:.0%}", transform=ax.get_yaxis_transform(), ha="right", va="bottom",
                    fontsize=9.8)  # fmt: skip
        ax.set_yscale("log")
        _sizes(ax, own["lrg_size"].astype(int).tolist())
        ax.set(title=titles[kind], ylabel="share of mIoU lost")
    left.legend(loc="lower left")
    return fig


def pictures(data: Mapping) -> list[Shown]:
    """Return every figure of the page with its caption and alternative text, in order."""
    lrg, block = data["recommendation"]["lrg"], data["recommendation"]["blocks"]
    at = f"{lrg['lrg_size']} points" if lrg else "no grid"
    on = f"{block['lrg_size']} points" if block else "no block grid"
    tolerated = f"{data['settings']['max_drop']:.1%}"
    worst = ", ".join(data["recommendation"]["lost_first"][:3])
    out = [
        show(drops(data), label="drops", caption="What weak labels lose; the tolerated loss. Pale bars: recommended.",
             alt=f"Falling curves of the share of mIoU lost against the grid. {at} keep within {tolerated} when labels "
                 f"are cut to the grid's band, {on} when they are drawn in blocks."),
        show(ceilings(data), label="ceilings", caption="What weak labels keep, with 95 % intervals over maps.",
             alt="Rising curves of mIoU and boundary IoU against the grid; boundary IoU lies lower throughout."),
        show(classes(data), label="classes", caption="IoU that each class keeps when cut to a grid's band.",
             alt=f"A table of classes by grid. Lost first: {worst}."),
        show(savings(data), label="savings", caption="What each grid saves of a ResNet-101 network, output stride 16.",
             alt="Curves of FLOPs saved, and of measured time saved where a record has it: the smaller the grid the "
                 "more, with little left to gain at the small end."),
        show(spectra(data), label="spectra", caption="Power of the label planes, mirrored at the frame.",
             alt="Falling curves on double logarithmic axes, one a class, and their mean."),
        show(tails(data), label="tails", caption="Energy beyond each band limit: truth, law and bound.",
             alt="Three falling curves: the bound above, the perimeter law near the measured energy."),
    ]  # fmt: skip
    if data["logits"]:
        out.append(show(loss_rates(data), label="rce", caption="R_ce of the logits; dotted: 0.2.",
                        alt="Falling curves of R_ce against the grid, four variants, raw and calibrated."))  # fmt: skip
    return out
