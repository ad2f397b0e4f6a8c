"""Figures of the adviser, from the advice as `advice.json` holds it: readable on a phone, one panel each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from specseg.figures import COLORS, CYCLE, MODEL_NAMES, SET_COLORS, SET_NAMES, Shown, show
from specseg.figures.plots import Series, cells, curves, dress, groups, line, panels, plot

KINDS = {
    "band": ("band-limited (LRG)", COLORS["blue"], "o"),
    "majority": ("blocks, commonest class", COLORS["red"], "s"),
    "nearest": ("blocks, middle point", COLORS["orange"], "^"),
}
POINTS = "points of the grid along a side"


def _plain(name: str) -> str:
    """Return a class's name, cut, as it is: `$` would begin a formula."""
    return name[:18].replace("$", r"\$")


def _ticks(sizes: Iterable) -> list[int]:
    """Return the sizes, every other one where they are many."""
    sizes = sorted({int(s) for s in sizes})
    return sizes if len(sizes) < 7 else sorted({*sizes[::2], sizes[-1]})


def _kind(kind: str) -> dict:
    label, color, marker = KINDS[kind]
    return {"label": label, "color": color, "marker": marker}


def _scores(data: Mapping, metric: str, least: float = 0.0, **shared) -> list[Series]:
    """Return a metric of the weak labels over the grid, a series a kind, where it is more than `least`."""
    rows = pd.DataFrame([{"kind": r["kind"], "lrg_size": r["lrg_size"], **r[metric]} for r in data["ceilings"]])
    rows = rows.astype(dict.fromkeys(("value", "low", "high"), float)).sort_values("lrg_size", kind="stable")
    return groups(rows[rows["value"] > least], "kind", "lrg_size", look=_kind, **shared)


def _recommended(fig: Figure, data: Mapping, *keys: str) -> Figure:
    for key in keys:
        if chosen := data["recommendation"][key]:
            color = KINDS[{"lrg": "band", "blocks": "majority"}[key]][1]
            fig.axes[0].axvline(chosen["lrg_size"], color=color, lw=6, alpha=0.15)
    return fig


def ceilings(data: Mapping) -> Figure:
    """Draw the mIoU and the boundary IoU (dashed) that weak labels keep, against the grid, with 95 % intervals."""
    shown = [*_scores(data, "miou"), *_scores(data, "boundary_iou", ls="--", label="_")]
    fig = plot(shown, ticks=_ticks(r["lrg_size"] for r in data["ceilings"]), xlabel=POINTS, legend=1,
               ylabel="score against the true labels\n(dashed: boundary IoU)")  # fmt: skip
    return _recommended(fig, data, "lrg", "blocks")


def drops(data: Mapping) -> Figure:
    """Draw the relative loss of mIoU against the grid on a log axis, with the tolerated loss."""
    shown, tolerated = _scores(data, "drop", 1e-5), data["settings"]["max_drop"]
    low = min([tolerated, *(s.y.min() for s in shown)])
    sizes = _ticks(r["lrg_size"] for r in data["ceilings"])
    fig = plot([*shown, line([sizes[0], sizes[-1]], [tolerated] * 2, fmt=":", label="tolerated", lw=1)], log="y",
               ticks=sizes, ylim=(low / 2, 4), xlabel=POINTS, ylabel="share of mIoU lost", legend=1)  # fmt: skip
    return _recommended(fig, data, "lrg", "blocks")


def classes(data: Mapping, most: int = 24) -> Figure:
    """Draw the IoU that each class keeps when cut to each grid's band: classes that are lost first on top."""
    kept = pd.DataFrame({_plain(c["name"]): c["iou"]["band"] for c in data["classes"] if c["maps"]}, dtype=float).T
    kept = kept.loc[kept.mean(axis=1).sort_values(kind="stable").index[:most]]
    fig, (ax,) = panels([""], 0.5 + 0.24 * len(kept))
    cells(ax, kept, kept.map("{:.2f}".format))
    return dress(fig, [ax], xlabel=POINTS, legend=0)


def spectra(data: Mapping, most: int = 6) -> Figure:
    """Draw the power of the label planes against frequency: the mean, and the classes with the most of it."""
    found = {c["name"]: np.array(c["power"], float)[1:] for c in data["spectra"]}
    mean = found.pop("")
    nu, largest = np.arange(1, len(mean) + 1), sorted(found, key=lambda name: -found[name].sum())[:most]
    shown = [Series(nu, found[name], {"color": color, "lw": 1.1, "label": _plain(name)})
             for name, color in zip(largest, CYCLE, strict=False)]  # fmt: skip
    return plot([*shown, line(nu, mean, label="mean of all classes", lw=2.2)], log="xy",
                xlabel="frequency (cycles per frame)", ylabel="power of the class planes")  # fmt: skip


def tails(data: Mapping) -> Figure:
    """Draw the label energy beyond each band limit: measured, by the perimeter law, and its upper bound."""
    rows = pd.DataFrame(data["tails"])
    looks = {"bound": ("bound (counts transitions)", "grey", ":"), "law": ("perimeter law", "red", "--"),
             "measured": ("measured", "blue", "o-")}  # fmt: skip
    shown = curves(rows, "nu_max", looks)
    return plot(shown, log="y", ticks=rows["nu_max"][::2], xlabel="band limit (cycles per frame)",
                ylabel="label energy beyond it")  # fmt: skip


def loss_rates(data: Mapping) -> Figure:
    """Draw R_ce against the grid: two boundaries, two averages, raw (solid) and calibrated (dashed)."""
    rows = pd.DataFrame(data["logits"]["r_ce"]).sort_values("lrg_size", kind="stable")
    rows = rows.assign(value=rows["value"].clip(lower=1e-9), average=rows["average"].str.replace("_", " "))
    raw, calibrated = (rows[rows["scale"] == scale] for scale in ("raw", "calibrated"))
    keys = ["boundary", "average"]
    shown = [*groups(raw, keys, "lrg_size", look="{}, {}", interval=False, fmt="o-"),
             *groups(calibrated, keys, "lrg_size", look="_{}{}", interval=False, fmt="o--")]  # fmt: skip
    return plot(shown, log="y", ticks=_ticks(rows["lrg_size"]), at_y=[0.2], xlabel=POINTS, legend=1,
                ylabel="R_ce (dashed: calibrated)")  # fmt: skip


def savings(data: Mapping) -> Figure:
    """Draw what each grid saves: FLOPs (solid) and measured time (dashed) of both networks."""
    rows = pd.DataFrame(data["costs"]).sort_values("lrg_size", kind="stable")
    rows = rows.assign(model=rows["model"].map(MODEL_NAMES))
    shown = []
    for column, form, what in (("flops_saved", "o-", "FLOPs"), ("time_saved", "o--", "time")):
        own = rows[rows[column].notna()]
        shown += groups(own, "model", "lrg_size", column, "{}, " + what, fmt=form)
    fig = plot(shown, ticks=_ticks(rows["lrg_size"]), xlabel=POINTS, ylabel="share saved")
    return _recommended(fig, data, "lrg")


def compare(rows: pd.DataFrame) -> Figure:
    """Draw what labels cut to each grid lose, set by set, from the rows of the records, with the tolerated losses."""

    def look(dataset: str) -> dict:
        return {"color": SET_COLORS[dataset], "marker": "o", "label": SET_NAMES[dataset]}

    own = rows[(rows["table"] == "ceilings") & (rows["metric"] == "drop") & (rows["value"] > 1e-5)]
    own = own.astype({"lrg_size": float}).sort_values("lrg_size", kind="stable")
    shown = {title: groups(own[own["kind"] == kind], "dataset", "lrg_size", look=look)
             for kind, title in (("band", "labels cut to the grid's band"), ("majority", "block labels"))}  # fmt: skip
    return plot(shown, share="xy", log="y", ticks=_ticks(own["lrg_size"]), at_y=(0.01, 0.02, 0.05), xlabel=POINTS,
                ylabel="share of mIoU lost", legend=3)  # fmt: skip


def pictures(data: Mapping) -> list[Shown]:
    """Return every figure of the page with its caption and alternative text, in order."""
    lrg, block = data["recommendation"]["lrg"], data["recommendation"]["blocks"]
    at = f"{lrg['lrg_size']} points" if lrg else "no grid"
    on = f"{block['lrg_size']} points" if block else "no block grid"
    tolerated = f"{data['settings']['max_drop']:.1%}"
    worst = ", ".join(data["recommendation"]["lost_first"][:3])
    told = [
        (drops, "drops", "What weak labels lose; the tolerated loss. Pale bars: recommended.",
         f"Falling curves of the share of mIoU lost against the grid. {at} keep within {tolerated} when labels are cut "
         f"to the grid's band, {on} when they are drawn in blocks."),
        (ceilings, "ceilings", "What weak labels keep, with 95 % intervals over maps.",
         "Rising curves of mIoU and boundary IoU against the grid; boundary IoU lies lower throughout."),
        (classes, "classes", "IoU that each class keeps when cut to a grid's band.",
         f"A table of classes by grid. Lost first: {worst}."),
        (savings, "savings", "What each grid saves of a ResNet-101 network, output stride 16.",
         "Curves of FLOPs saved, and of measured time saved where a record has it: the smaller the grid the more, with "
         "little left to gain at the small end."),
        (spectra, "spectra", "Power of the label planes, mirrored at the frame.",
         "Falling curves on double logarithmic axes, one a class, and their mean."),
        (tails, "tails", "Energy beyond each band limit: truth, law and bound.",
         "Three falling curves: the bound above, the perimeter law near the measured energy."),
        (loss_rates, "rce", "R_ce of the logits; dotted: 0.2.",
         "Falling curves of R_ce against the grid, four variants, raw and calibrated."),
    ]  # fmt: skip
    out = []
    for drawn, label, caption, alt in told if data["logits"] else told[:-1]:
        fig = drawn(data)
        fig.set_dpi(160)
        out.append(show(fig, caption=caption, alt=alt, label=label))
    return out
