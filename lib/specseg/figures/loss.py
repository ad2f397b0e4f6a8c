"""Figures of chapter 60: the loss of trained networks in frequency, R_ce, what training does to bands, loss and IoU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

from specseg.data.domains import DOMAINS
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, PERCENT, choices, network_look
from specseg.figures.plots import GUIDE, Series, forest, line, plain_ticks, plot, signed

DOMAIN_NAMES = {name: d.title for name, d in DOMAINS.items()}
BAND_COLORS = {"0 to 8": "black", "9 to 16": "blue", "17 to 32": "orange", "33 to 64": "red"}
NU_MAX = r"band limit $\nu_{max}$ (cycles per frame)"


def who(domain: str, model: str) -> str:
    """Return a line's name: domain and model."""
    return f"{DOMAIN_NAMES.get(domain, domain)}, {MODEL_NAMES.get(model, model)}"


def by_network(rows: pd.DataFrame) -> list[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Return ((domain, kind, model), rows) for each line, DeepLab v3+ first, then kinds in the paper's order."""
    order = {name: k for k, name in enumerate((*MODEL_NAMES, *KIND_COLORS))}
    found = rows.groupby(["domain", "kind", "model"], sort=False)
    return sorted(found, key=lambda item: (order[item[0][2]], order[item[0][1]]))


def domains_of(rows: pd.DataFrame) -> str:
    """Return the domains of a panel for its title, in the order of their kinds.

    >>> domains_of(pd.DataFrame({"domain": ["camvid", "voc"], "kind": ["streets", "objects"], "model": ["dan", "dan"]}))
    'PASCAL VOC, animals; CamVid'
    """
    return "; ".join(dict.fromkeys(DOMAIN_NAMES.get(d, d) for (d, _, _), _ in by_network(rows)))


def style(part: pd.DataFrame, label: str = "") -> dict:
    """Return the look of a network's line; grey where the network is too weak to judge and sets no verdict.

    `part` has kind and model, and `untrained` where `study.gate.marked` has been asked.
    """
    look = network_look(part["kind"].iloc[0], part["model"].iloc[0], label)
    if "untrained" in part and part["untrained"].fillna(False).astype(bool).any():
        grey = COLORS["grey"]
        look |= {"color": grey, "mfc": "white" if look["mfc"] == "white" else grey}
        look["label"] += "" if label else " (too weak to judge)"
    return look


def lines(rows: pd.DataFrame, x: str, y: str = "value", *, name: Callable[[str, str], str] = lambda *_: "",
          interval: bool = True, **shared) -> list[Series]:  # fmt: skip
    """Return y over x, a line a domain and model, named by `name` or by kind and model, with its interval."""
    found = []
    for (domain, _, model), part in by_network(rows):
        part = part.sort_values(x)
        ends = (part["low"], part["high"]) if interval and "low" in part else ()
        found.append(Series(part[x], part[y], {**style(part, name(domain, model)), **shared}, *ends))
    return found


def positive(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with a value above 0, their intervals cut where a logarithmic axis would have no end."""
    rows = rows[rows["value"] > 0]
    return rows.assign(low=rows["low"].clip(lower=rows["value"] / 20)) if "low" in rows else rows


def beside(panels: Mapping[str, pd.DataFrame], x: str, share: str = "xy", **words) -> Figure:
    """Draw `lines` of each table below one another, each panel named by its title and domains."""
    shown = {fill(f"{title}: {domains_of(rows)}", 46): lines(rows, x) for title, rows in panels.items()}
    return plot(shown, height=3.3, share=share, **words)


def rate_curves(ours: pd.DataFrame, mirrored: pd.DataFrame, printed: pd.DataFrame, grid_limit: int) -> Figure:
    """Draw Table 1 above our R_ce: value over nu_max, one line a domain and model, our intervals shaded.

    `ours` and `mirrored` (dotted) have domain, kind, model, nu_max, value, low, high; `printed` the same without low
    and high. `grid_limit` is the band limit of our prediction grid.
    """
    fig = beside({"the paper, Table 1": printed, "ours": positive(ours)}, "nu_max", "x", log="y",
                 ticks=(8, 16, 24, 32, 40, 48, 64), xlabel=NU_MAX + "; yellow: 16 to 32",
                 ylabel=r"$R_{ce}(\nu_{max})$")  # fmt: skip
    for s in lines(positive(mirrored), "nu_max", interval=False):
        fig.axes[1].plot(s.x, s.y, ls=":", lw=0.9, color=s.look["color"])
    for ax in fig.axes:
        ax.axvspan(16, 32, color=COLORS["yellow"], alpha=0.25, lw=0)
    fig.axes[1].axvline(grid_limit, **GUIDE)
    return fig


def five_rows(profiles: pd.DataFrame, rates: pd.DataFrame, grid_limit: int) -> Figure:
    """Draw Fig. 1's five rows below one another, one line a domain and model.

    `profiles` has domain, kind, model, row ("labels", "logits", "loss", "initial", "final"), nu, value: power per bin,
    sums of Re L_ce over a rim for the others. `rates` has domain, kind, model, nu_max, value.
    """
    keys = ["domain", "model", "row"]
    relative = profiles[profiles["nu"] > 0]
    relative = relative.assign(value=relative["value"] / relative.groupby(keys)["value"].transform("max"))
    own = {name: lines(part[part["row"] == name], "nu", name=who, marker="")
           for part, names in ((relative, ("labels", "logits")), (profiles, ("loss", "initial", "final")))
           for name in names}  # fmt: skip
    before = [s._replace(look={**s.look, "ls": ":", "lw": 0.9}) for s in own["initial"]]
    fig = plot({r"1. labels: $|b(\nu)|^2$ / its largest value": own["labels"],
                r"2. logits: $|\hat y(\nu)|^2$ / its largest value": own["logits"],
                r"3. $L_{ce}(\nu)$ after training (nats, a rim)": own["loss"],
                r"4. $L_{ce}(\nu)$ before (dotted) and after (nats, a rim)": own["final"] + before,
                r"5. $R_{ce}(\nu_{max})$": lines(rates, "nu_max", name=who, interval=False)}, height=2.3, share="",
               xlabel=["", "", "", "", r"frequency $\nu$, band limit $\nu_{max}$ (cycles per frame)"])  # fmt: skip
    *four, last = fig.axes
    for ax in (four[0], four[1], last):
        ax.set_yscale("log")
        plain_ticks(ax, (1, 8, 16, 32, 64, 128))
    for ax in four[2:]:
        signed(ax, 1, (0, 1, 8, 32, 128), axis="x")
        signed(ax, 1e-3, (-1, -0.1, -0.01, 0, 0.01, 0.1, 1, 10))
        ax.axhline(0, color=COLORS["black"], lw=0.6)
    for ax in four:
        ax.axvline(grid_limit, **GUIDE)
    return fig


def readings(rates: pd.DataFrame, limits: Sequence[int]) -> Figure:
    """Draw R_ce in every reading at some band limits: one row a reading, one mark a domain (and model).

    `rates` is what `trained.rates` returns. Full marks: ratio of means; hollow: mean of ratios.
    """
    shown = {}
    for limit in limits:
        own = rates[rates["nu_max"] == limit]
        full, hollow = (own[own["average"] == average] for average in ("ratio_of_means", "mean_of_ratios"))
        shown[rf"$\nu_{{max}}$ = {limit}"] = [
            s._replace(x=s.y, y=s.x) for s in (*lines(full, "variant", name=who, interval=False),
            *lines(hollow, "variant", name=lambda *_: "_", interval=False, mfc="none"))]  # fmt: skip
    return forest(shown, order=list(dict.fromkeys(rates["variant"])), log="x", xlabel=r"$R_{ce}$")


def learning(courses: pd.DataFrame, bands: Sequence[str]) -> Figure:
    """Draw each band's loss and its progress during training, a row a domain and model; thin lines: single trainings.

    `courses` is what `specseg.study.learning.courses` returns.
    """
    shown = {}
    for (domain, _, model), part in by_network(courses):
        nats, change = [], []
        for band in bands:
            alone = [one.set_index("share")[band].sort_index() for _, one in part.groupby(["fold", "seed"])]
            mean = part.groupby("share")[band].mean()
            thin = {"lw": 0.7, "alpha": 0.5}
            for one, look in (*((x, thin) for x in alone), (mean, {"lw": 2, "label": rf"$\nu$ {band}"})):
                nats.append(line(one.index, one, BAND_COLORS[band], **look))
                done = (one - one.iloc[0]) / (one.iloc[-1] - one.iloc[0])
                change.append(line(one.index, done, BAND_COLORS[band], **look))
        whole = part.groupby("share")["loss"].mean()
        nats.append(line(whole.index, whole, "grey", "--", r"$L_{CE}$"))
        title = f"{DOMAIN_NAMES[domain]}{' (too weak)' * ('weak' in style(part)['label'])}\n{MODEL_NAMES[model]}"
        shown |= {title: nats, f"{title}: change": change}
    fig = plot(shown, columns=2, legend=3, percent="x", xlabel="part of the training", ylabel="nats per pixel")
    for left, right in zip(fig.axes[::2], fig.axes[1::2], strict=True):
        left.set_yscale("symlog", linthresh=0.1)
        right.axhline(0.5, **GUIDE)
    return fig


def loss_and_iou(courses: pd.DataFrame, pictures: pd.DataFrame) -> Figure:
    """Draw mIoU against cross-entropy: over the snapshots of each training (above), over test pictures (below).

    `courses` and `pictures` are what `specseg.study.learning` returns under these names; `pictures` may be empty.
    """
    shown: dict[str, list[Series]] = {"snapshots; crosses: before training": []}
    (snapshots,) = shown.values()
    for (domain, _, model), part in by_network(courses):
        look = {**style(part, who(domain, model)), "lw": 0.9}
        for _, one in part.sort_values("step").groupby(["fold", "seed"]):
            first = {**look, "marker": "x", "ms": 6, "mew": 1.6, "label": "_"}
            snapshots += [Series(one["loss"], one["miou"], look), Series(one["loss"][:1], one["miou"][:1], first)]
    if len(pictures):
        clipped = pictures.assign(loss=pictures["loss"].clip(lower=1e-3))
        shown["test pictures"] = lines(clipped, "loss", "iou", name=who, ls="", alpha=0.5, ms=3)
    return plot(shown, height=3.1, share="", ticks=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
                xlabel=r"$L_{CE}$ (nats)", ylabel=["mIoU", "IoU of a picture"])  # fmt: skip


def frame_by_frame(pictures: dict[str, dict[str, pd.DataFrame]]):
    """Return the loss of every test picture against its own R_ce, with a slider over the band limit.

    `pictures[limit][kind of scene]` has rce, loss and picture (its name).
    """
    looks = {kind: {"marker": {"color": KIND_COLORS[kind], "size": 6, "opacity": 0.6}, "text": list(part["picture"]),
                    "hovertemplate": "%{text}<br>R_ce %{x:.2%}<br>loss %{y:.2f} nats<extra></extra>"}
             for kind, part in next(iter(pictures.values())).items()}  # fmt: skip
    marks = {limit: {kind: (part["rce"].clip(lower=2e-5).round(6), part["loss"].round(4))
                     for kind, part in parts.items()} for limit, parts in pictures.items()}  # fmt: skip
    return choices(marks, looks, prefix="band limit: ", axes={
        "xaxis": {"title": "R_ce of the picture", "range": [-4.8, 0.8], **PERCENT},
        "yaxis": {"title": "loss of the picture [nats per pixel]"}})  # fmt: skip
