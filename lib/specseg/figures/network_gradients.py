"""Figures of the chapter on networks' spectral gradients, each from the tables of `specseg.study.gradients`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from specseg import figures
from specseg.data.domains import DOMAINS, SYNTHETIC
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES, legend_below, stacked
from specseg.figures.gradients import energy_bars
from specseg.figures.loss import DOMAIN_NAMES

KINDS = ("convolution", "ReLU", "up-sampling")


def _order(values: Sequence[str], known: Sequence[str]) -> list[str]:
    return sorted(dict.fromkeys(values), key=lambda v: list(known).index(v) if v in known else len(known))


def _models(values: Sequence[str]) -> list[str]:
    return _order(values, list(MODEL_NAMES))


def _domains(values: Sequence[str]) -> list[str]:
    return _order(values, list(DOMAIN_NAMES))


def _color(name: str) -> str:
    return COLORS["grey"] if name in SYNTHETIC or name not in DOMAINS else KIND_COLORS[DOMAINS[name].kind]


def _layer(name: str) -> str:
    return name.split(".")[0].replace("_", " ").replace("aspp", "ASPP").replace("fuse", "fuse ")


def _name(domain: str) -> str:
    return DOMAIN_NAMES.get(domain, domain)


def _picture(ax, power: np.ndarray, centre: int = 0):
    half = power.shape[0] // 2
    ends = centre - half - 0.5, centre + half + 0.5
    shown = figures.picture(ax, figures.decibels(power, -60), vmin=-40, vmax=0, cmap="viridis", origin="lower",
                            extent=ends * 2)  # fmt: skip
    ax.set(xticks=[centre - half, centre, centre + half], yticks=[centre - half, centre, centre + half])
    ax.tick_params(length=2, labelleft=False)
    return shown


def fig2(images: Mapping[tuple, np.ndarray]):
    """Draw |dL_ce(nu_i)/dx(nu_j)| over nu_j: the delta that is claimed at the left, beside it what was measured.

    `images`: (model, domain, layer, nu) -> power (M, M), centred. Rows: models and nu_i; columns: domains.
    """
    models, domains = _models([k[0] for k in images]), _domains([k[1] for k in images])
    lines = [(m, i) for m in models for i in range(3)]
    first = {d: next(v for k, v in images.items() if k[1] == d) for d in domains}
    fig, axes = figures.subplots(len(lines), len(domains) + 1, size=(4.9, 1.25 * len(lines) + 1.1), squeeze=False)
    size = max(v.shape[0] for v in first.values())
    for line, (model, i) in zip(axes, lines, strict=True):
        nu = (0, size // 4, size // 2)[i]
        delta = np.full((size, size), 1e-9)
        delta[size // 2 + nu, size // 2 + nu] = 1.0
        shown = _picture(line[0], delta)
        line[0].set_ylabel(f"{MODEL_NAMES[model]}\n" + rf"$\nu_i = {('0', 'M/4', 'M/2')[i]}$")
        for ax, domain in zip(line[1:], domains, strict=True):
            own = first[domain].shape[0]
            power = images.get((model, domain, "aspp", (0, own // 4, own // 2)[i]))
            if power is None:
                ax.axis("off")
            else:
                shown = _picture(ax, power)
    for ax in axes[:-1].flat:
        ax.tick_params(labelbottom=False)
    for ax, text in zip(axes[0], ["the claim", *map(_name, domains)], strict=True):
        ax.set_title(text.replace(", ", "\n").replace(" ", "\n", 1))
    _scale(fig, shown, axes)
    return fig


def _scale(fig, shown, axes) -> None:
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=30, label="dB below the row's maximum")


def row_energies(table: pd.DataFrame):
    """Draw the row energies of Fig. 2 (columns of `study.gradients.row_energies`): a panel for each nu_i.

    The whisker is the 95 % interval of the share within one bin.
    """
    keys = ["row", "model", "domain"]
    table = table.assign(row=table.groupby(["model", "domain"])["nu_i_u"].rank("dense"))
    shares = table.pivot(index=keys, columns="within", values="value")
    ends = table[table["within"] == 1].set_index(keys)[["low", "high"]]
    cells = [(m, d) for m in _models(table["model"]) for d in _domains(table["domain"]) if (1, m, d) in shares.index]
    fig, axes = figures.subplots(3, 1, size=(4.9, 0.95 * len(cells) + 2.0), sharex=True)
    for row, (ax, name) in enumerate(zip(axes, ("0", "M/4", "M/2"), strict=True), start=1):
        energy_bars(ax, shares.loc[row].loc[cells], [f"{MODEL_NAMES[m]}, {_name(d)}" for m, d in cells])
        ax.hlines(range(len(cells)), *ends.loc[row].loc[cells].to_numpy(float).T, color=COLORS["orange"], lw=2)
        ax.set_title(rf"$\nu_i = {name}$")
    axes[-1].set_xlabel("share of the row's energy")
    legend_below(fig, axes[:1], 1)
    return fig


def fig3(images: Mapping[str, Mapping[tuple, np.ndarray]]):
    """Draw one row of a trained decoder's own layers, near nu_i = (M/4, M/4): kind -> images as for `fig2`.

    One line of pictures for each model, of the first domain that has it.
    """
    models = _models([k[0] for part in images.values() for k in part])
    fig, axes = figures.subplots(len(models), 3, size=(4.9, 2.1 * len(models) + 0.9), squeeze=False)
    for line, model in zip(axes, models, strict=True):
        for ax, kind in zip(line, KINDS, strict=True):
            key = next(k for k in images[kind] if k[0] == model)
            power, nu = images[kind][key], key[3]
            whole = 4 * nu + 1 >= power.shape[0] and 4 * nu + 1 <= power.shape[0] + 3
            shown = _picture(ax, power, 0 if whole else nu)
            ax.set_title(kind)
        line[0].set_ylabel(MODEL_NAMES[model])
    _scale(fig, shown, axes)
    return fig


def layer_energies(table: pd.DataFrame):
    """Draw Fig. 3's energies by layer (columns of `study.gradients.layer_energies`), each at its worst nu_i."""
    keys = ["model", "part", "layer"]
    mean = table.groupby([*keys, "nu_i_u", "within"], sort=False)["value"].mean()
    worst = mean.groupby([*keys, "within"], sort=False).min().unstack("within")
    models = _models(table["model"])
    count = max(len(worst.loc[m]) for m in models)
    fig, axes = stacked(map(MODEL_NAMES.get, models), 0.24 * count + 0.4, sharex=True)
    for ax, model in zip(axes, models, strict=True):
        known = table.loc[table["model"] == model, ["part", "layer"]].drop_duplicates().to_numpy()
        layers = [(kind, name) for wanted in KINDS for kind, name in known if kind == wanted]
        energy_bars(ax, worst.loc[model].loc[layers], [f"{kind}: {_layer(name)}" for kind, name in layers])
        ax.set_xlabel("share of the row's energy")
    legend_below(fig, axes[:1], 1)
    return fig


def magnitudes(table: pd.DataFrame):
    """Draw the quantiles of |X|, |Z|, |K| by decoder layer: dot the median, thick to 90 %, thin to 99 %.

    Columns of `study.gradients.magnitudes`; one line a model and layer, in it one a domain, by colour.
    """
    lines = [(m, x) for m in _models(table["model"]) for x in table.loc[table["model"] == m, "layer"].drop_duplicates()]
    domains = _domains(table["domain"])
    fig, axes = figures.subplots(3, 1, size=(4.9, 1.2 * len(lines) + 2.0), sharex=True)
    titles = {"X": "inputs |X|", "Z": "pre-activations |Z|", "K": "kernels |K|"}
    for ax, (metric, title) in zip(axes, titles.items(), strict=True):
        for (model, domain, name), own in table[table["metric"] == metric].groupby(["model", "domain", "layer"]):
            at, color = own.set_index("quantile")["value"].clip(lower=1e-3), _color(domain)
            y = lines.index((model, name)) + 0.7 * ((domains.index(domain) + 0.5) / len(domains) - 0.5)
            for end, width in ((0.99, 1), (0.9, 3)):
                ax.plot([at[0.5], at[end]], [y, y], color=color, lw=width)
            ax.plot(at[0.5], y, "o", color=color, ms=3, label=_name(domain))
        if metric != "K":
            ax.axvline({"X": 1.0, "Z": 0.3}[metric], color=COLORS["black"], lw=0.8, ls=":")
        ax.set(xscale="log", xlim=(1e-3, 30), title=title)
        ax.set_yticks(range(len(lines)), [f"{MODEL_NAMES[m]}: {_layer(x)}" for m, x in lines])
        ax.invert_yaxis()
    legend_below(fig, axes[:1])
    return fig


def smoothness(table: pd.DataFrame):
    """Draw the share of power above half of the own grid's limit, layer by layer (`study.gradients.smoothness`)."""
    models, keys = _models(table["model"]), ["part", "layer"]
    fig, axes = stacked(map(MODEL_NAMES.get, models), 3.8, sharey=True)
    for ax, model in zip(axes, models, strict=True):
        own = table[table["model"] == model].sort_values("part", key=lambda part: part != "encoder", kind="stable")
        layers = own.drop_duplicates(keys)
        places = pd.MultiIndex.from_frame(layers[keys])
        for domain in _domains(own["domain"]):
            part = own[own["domain"] == domain]
            at = places.get_indexer(pd.MultiIndex.from_frame(part[keys]))
            ax.plot(at, part["value"], "o", color=_color(domain), ms=5, label=_name(domain), alpha=0.8)
        border = (layers["part"] == "encoder").sum() - 0.5
        ax.axvline(border, color=COLORS["black"], lw=0.8)
        for word, x, side in (("encoder", border - 0.1, "right"), ("decoder", border + 0.1, "left")):
            ax.text(x, 0.98, word, ha=side, va="top", transform=ax.get_xaxis_transform())
        names = [f"{_layer(r.layer)} ({int(r.grid)})" for r in layers.itertuples()]
        ax.set_xticks(range(len(names)), names, rotation=60, ha="right")
        ax.set(ylim=(0, 1.2 * table["value"].max()), ylabel="share of power above half\nof the grid's band limit")
    legend_below(fig, axes[:1])
    return fig


def removal(low: pd.DataFrame, whole: pd.DataFrame):
    """Draw the change of the low frequencies of the loss (dots, 95 % intervals) and of the loss (crosses), in L_CE.

    Columns of `study.gradients.removals`, `whole` with the signed change of L_CE.
    """
    models = _models(low["model"])
    fig, axes = stacked(map(MODEL_NAMES.get, models), 3.8, sharey=True)
    for ax, model in zip(axes, models, strict=True):
        own, total = (t[t["model"] == model] for t in (low, whole))
        what = sorted(set(zip(own["layer"], own["nu_max"], strict=True)), key=lambda k: (k[0] != "all", -k[1]))
        domains = _domains(own["domain"])
        for i, domain in enumerate(domains):
            color, shift = _color(domain), 0.6 * ((i + 0.5) / len(domains) - 0.5)
            change, after = (t[t["domain"] == domain] for t in (own, total))
            x, x_after = ([what.index(k) + shift for k in zip(t["layer"], t["nu_max"], strict=True)]
                          for t in (change, after))  # fmt: skip
            ax.vlines(x, change["low"], change["high"], color=color, lw=1.5)
            ax.plot(x, change["value"], "o", color=color, ms=4, label=_name(domain))
            ax.plot(x_after, after["value"], "x", color=color, ms=5)
        ax.axhline(0.05, color=COLORS["black"], lw=0.8, ls=":")
        names = [f"{'all inputs' if k == 'all' else 'ASPP'}, {int(nu)}" for k, nu in what]
        ax.set_xticks(range(len(what)), names, rotation=45, ha="right")
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set_ylabel(r"change / $L_{CE}$")
    legend_below(fig, axes[:1])
    return fig
