"""Figures of the chapter on networks' spectral gradients, each from the tables of `specseg.study.gradients`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from specseg import figures
from specseg.data.domains import DOMAINS, SYNTHETIC
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES
from specseg.figures.loss import DOMAIN_NAMES

SHADES = {2: COLORS["sky"], 1: COLORS["blue"], 0: COLORS["black"]}
WITHIN = {0: "at the row's frequency", 1: "within 1 bin", 2: "within 2 bins"}
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


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power / power.max(), 1e-6))


def _picture(ax, power: np.ndarray, half: int | None = None, centre: int = 0):
    half = power.shape[0] // 2 if half is None else half
    low, high = centre - half - 0.5, centre + half + 0.5
    shown = ax.imshow(_decibels(power), vmin=-40, vmax=0, cmap="viridis", origin="lower", extent=(low, high, low, high))
    ax.grid(False)
    ax.set(xticks=[centre - half, centre, centre + half], yticks=[centre - half, centre, centre + half])
    ax.tick_params(length=2)
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
    for ax, text in zip(axes[0], ["the claim", *(DOMAIN_NAMES.get(d, d) for d in domains)], strict=True):
        ax.set_title(text.replace(", ", "\n").replace(" ", "\n", 1))
    for ax in axes.flat:
        ax.tick_params(labelleft=False, labelbottom=ax in axes[-1])
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=30, label="dB below the row's maximum")
    return fig


def row_energies(table: pd.DataFrame, *, claimed: float = 0.9):
    """Draw the row energies of Fig. 2 (columns of `study.gradients.row_energies`): a panel for each nu_i.

    The whisker is the 95 % interval of the share within one bin; the dotted line the `claimed` share.
    """
    cells = [(m, d) for m in _models(table["model"]) for d in _domains(table["domain"])]
    cells = [c for c in cells if ((table["model"] == c[0]) & (table["domain"] == c[1])).any()]
    fig, axes = figures.subplots(3, 1, size=(4.9, 0.95 * len(cells) + 2.0), sharex=True)
    for i, (ax, name) in enumerate(zip(axes, ("0", "M/4", "M/2"), strict=True)):
        for y, (model, domain) in enumerate(cells):
            own = table[(table["model"] == model) & (table["domain"] == domain)]
            part = own[own["nu_i_u"] == sorted(own["nu_i_u"].unique())[i]].set_index("within")
            for within, color in SHADES.items():
                ax.barh(y, part["value"][within], color=color, height=0.7, label=WITHIN[within] if y == 0 else None)
            one = part.loc[1]
            if np.isfinite(one["low"]):
                ax.plot([one["low"], one["high"]], [y, y], color=COLORS["orange"], lw=2)
        ax.axvline(claimed, color=COLORS["red"], lw=0.8, ls=":")
        ax.set(xlim=(0, 1))
        ax.set_title(rf"$\nu_i = {name}$")
        ax.set_yticks(range(len(cells)), [f"{MODEL_NAMES[m]}, {DOMAIN_NAMES.get(d, d)}" for m, d in cells])
        ax.invert_yaxis()
    axes[-1].set_xlabel("share of the row's energy")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=1)
    return fig


def fig3(images: Mapping[str, Mapping[tuple, np.ndarray]]):
    """Draw one row of a trained decoder's own layers, near nu_i = (M/4, M/4): kind -> images as for `fig2`.

    One line of pictures for each model, of the first domain that has it.
    """
    models = _models([k[0] for part in images.values() for k in part])
    fig, axes = figures.subplots(len(models), 3, size=(4.9, 2.1 * len(models) + 0.9), squeeze=False)
    for i, model in enumerate(models):
        for ax, kind in zip(axes[i], KINDS, strict=True):
            key = next(k for k in images[kind] if k[0] == model)
            power, nu = images[kind][key], key[3]
            whole = 4 * nu + 1 >= power.shape[0] and 4 * nu + 1 <= power.shape[0] + 3
            shown = _picture(ax, power, power.shape[0] // 2, 0 if whole else nu)
            ax.tick_params(labelleft=False)
            ax.set_title(kind)
        axes[i, 0].set_ylabel(MODEL_NAMES[model])
    fig.colorbar(shown, ax=axes, location="bottom", shrink=0.6, aspect=30, label="dB below the row's maximum")
    return fig


def layer_energies(table: pd.DataFrame, *, claimed: float = 0.9):
    """Draw Fig. 3's energies by layer (columns of `study.gradients.layer_energies`), each at its worst nu_i."""
    models = _models(table["model"])
    worst = table.groupby(["model", "part", "layer", "nu_i_u", "within"], sort=False)["value"].mean().reset_index()
    worst = worst.groupby(["model", "part", "layer", "within"], sort=False)["value"].min().reset_index()
    count = max(len(worst[worst["model"] == m].drop_duplicates("layer")) for m in models)
    fig, axes = figures.subplots(
        len(models), 1, size=(4.9, len(models) * (0.24 * count + 0.4) + 1.2), squeeze=False, sharex=True
    )
    for ax, model in zip(axes[:, 0], models, strict=True):
        own = worst[worst["model"] == model]
        layers = [(k, n) for k in KINDS for n in own.loc[own["part"] == k, "layer"].drop_duplicates()]
        for y, (kind, name) in enumerate(layers):
            values = own[(own["part"] == kind) & (own["layer"] == name)].set_index("within")["value"]
            for within, color in SHADES.items():
                ax.barh(y, values[within], color=color, height=0.7, label=WITHIN[within] if y == 0 else None)
        ax.axvline(claimed, color=COLORS["red"], lw=0.8, ls=":")
        ax.set_yticks(range(len(layers)), [f"{k}: {_layer(n)}" for k, n in layers])
        ax.invert_yaxis()
        ax.set(xlim=(0, 1), xlabel="share of the row's energy", title=MODEL_NAMES[model])
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=1)
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
            at, color = own.set_index("quantile")["value"], _color(domain)
            y = lines.index((model, name)) + 0.7 * ((domains.index(domain) + 0.5) / len(domains) - 0.5)
            for end, width in ((0.99, 1), (0.9, 3)):
                ax.plot([max(at[0.5], 1e-3), at[end]], [y, y], color=color, lw=width)
            first = domain not in ax.get_legend_handles_labels()[1]
            ax.plot(max(at[0.5], 1e-3), y, "o", color=color, ms=3, label=domain if first else None)
        if metric != "K":
            ax.axvline({"X": 1.0, "Z": 0.3}[metric], color=COLORS["black"], lw=0.8, ls=":")
        ax.set(xscale="log", xlim=(1e-3, 30), title=title)
        ax.set_yticks(range(len(lines)), [f"{MODEL_NAMES[m]}: {_layer(x)}" for m, x in lines])
        ax.invert_yaxis()
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, [DOMAIN_NAMES.get(d, d) for d in names], loc="outside lower center", ncol=2)
    return fig


def smoothness(table: pd.DataFrame):
    """Draw the share of power above half of the own grid's limit, layer by layer (`study.gradients.smoothness`)."""
    models = _models(table["model"])
    fig, axes = figures.subplots(len(models), 1, size=(4.9, 3.8 * len(models) + 0.8), sharey=True, squeeze=False)
    for ax, model in zip(axes[:, 0], models, strict=True):
        own = table[table["model"] == model]
        layers = list(dict.fromkeys(zip(own["part"], own["layer"], own["grid"], strict=True)))
        layers = [x for part in ("encoder", "decoder") for x in layers if x[0] == part]
        place = {x[:2]: i for i, x in reversed(list(enumerate(layers)))}
        names = {place[x[:2]]: f"{_layer(x[1])} ({int(x[2])})" for x in reversed(layers)}
        for domain in _domains(own["domain"]):
            part = own[own["domain"] == domain]
            at = [place[key] for key in zip(part["part"], part["layer"], strict=True)]
            color = _color(domain)
            ax.plot(at, part["value"], "o", color=color, ms=5, label=DOMAIN_NAMES.get(domain, domain), alpha=0.8)
        border = min((place[x[:2]] for x in layers if x[0] == "decoder"), default=0)
        ax.axvline(border - 0.5, color=COLORS["black"], lw=0.8)
        ax.text(border - 0.6, 0.98, "encoder", ha="right", va="top", transform=ax.get_xaxis_transform())
        ax.text(border - 0.4, 0.98, "decoder", ha="left", va="top", transform=ax.get_xaxis_transform())
        ax.set_xticks(sorted(names), [names[k] for k in sorted(names)], rotation=60, ha="right")
        ax.set(ylim=(0, 1.2 * table["value"].max()), title=MODEL_NAMES[model])
    for ax in axes[:, 0]:
        ax.set_ylabel("share of power above half\nof the grid's band limit")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=2)
    return fig


def removal(low: pd.DataFrame, whole: pd.DataFrame, *, claimed: float = 0.05):
    """Draw the change of the low frequencies of the loss (dots, 95 % intervals) and of the loss (crosses), in L_CE.

    Columns of `study.gradients.removals`, `whole` with the signed change of L_CE.
    """
    models = _models(low["model"])
    fig, axes = figures.subplots(len(models), 1, size=(4.9, 3.8 * len(models) + 0.8), sharey=True, squeeze=False)
    for ax, model in zip(axes[:, 0], models, strict=True):
        own, total = low[low["model"] == model], whole[whole["model"] == model]
        what = sorted(set(zip(own["layer"], own["nu_max"], strict=True)), key=lambda k: (k[0] != "all", -k[1]))
        domains = _domains(own["domain"])
        for i, domain in enumerate(domains):
            color = _color(domain)
            shift = 0.6 * ((i + 0.5) / len(domains) - 0.5)
            part = own[own["domain"] == domain].set_index(["layer", "nu_max"])
            after = total[total["domain"] == domain].set_index(["layer", "nu_max"])["value"]
            for x, key in enumerate(what):
                if key not in part.index:
                    continue
                one = part.loc[key]
                ax.plot([x + shift] * 2, [one["low"], one["high"]], color=color, lw=1.5)
                label = DOMAIN_NAMES.get(domain, domain) if x == min(what.index(k) for k in part.index) else None
                ax.plot(x + shift, one["value"], "o", color=color, ms=4, label=label)
                ax.plot(x + shift, after[key], "x", color=color, ms=5)
        ax.axhline(claimed, color=COLORS["black"], lw=0.8, ls=":")
        names = [f"{'all inputs' if k == 'all' else 'ASPP'}, {int(nu)}" for k, nu in what]
        ax.set_xticks(range(len(what)), names, rotation=45, ha="right")
        ax.set_yscale("symlog", linthresh=0.01)
        ax.set_title(MODEL_NAMES[model])
    for ax in axes[:, 0]:
        ax.set_ylabel(r"change / $L_{CE}$")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=2)
    return fig
