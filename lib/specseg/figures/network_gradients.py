"""Figures of the chapter on networks' spectral gradients, each from the tables of `specseg.study.gradients`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from specseg.data.domains import DOMAINS, SYNTHETIC
from specseg.figures import COLORS, KIND_COLORS, MODEL_NAMES
from specseg.figures.gradients import energies, energy_rows, spectra
from specseg.figures.loss import DOMAIN_NAMES
from specseg.figures.plots import GUIDE, Series, forest, groups, signed

KINDS = ("convolution", "ReLU", "up-sampling")


def _models(values: Sequence[str]) -> list[str]:
    return sorted(set(values), key=list(MODEL_NAMES).index)


def _layer(name: str) -> str:
    return name.split(".")[0].replace("_", " ").replace("aspp", "ASPP").replace("fuse", "fuse ")


def _name(domain: str) -> str:
    return DOMAIN_NAMES.get(domain, domain)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order in which the book names models and domains."""
    place = {name: k for k, name in enumerate((*MODEL_NAMES, *DOMAIN_NAMES))}
    return table.sort_values(["model", "domain"], key=lambda names: names.map(place), kind="stable")


def _by_model(rows: pd.DataFrame, x: str, y: str, **shared) -> dict[str, list[Series]]:
    """Return a series a domain for each model's panel, grey where the domain is synthetic."""

    def look(domain: str) -> dict:
        grey = domain in SYNTHETIC or domain not in DOMAINS
        return {"color": COLORS["grey"] if grey else KIND_COLORS[DOMAINS[domain].kind], "label": _name(domain)}

    models = _ordered(rows).groupby("model", sort=False)
    return {MODEL_NAMES[model]: groups(own, "domain", x, y, look, **shared) for model, own in models}


def fig2(images: Mapping[tuple, np.ndarray]):
    """Draw |dL_ce(nu_i)/dx(nu_j)| over nu_j: the delta that is claimed at the left, beside it what was measured.

    `images`: (model, domain, layer, nu) -> power (M, M), centred. Rows: models and nu_i; columns: domains.
    """
    size = max(len(power) for power in images.values())
    keys = _ordered(pd.DataFrame(images.keys(), columns=["model", "domain", "layer", "nu"]))
    shown: dict = {}
    for model, own in keys.groupby("model", sort=False):
        for name, part in (("0", 0), ("M/4", 0.25), ("M/2", 0.5)):
            delta = np.full((size, size), 1e-9)
            delta[(size // 2 + int(part * size),) * 2] = 1.0
            row = shown[f"{MODEL_NAMES[model]}\n" + rf"$\nu_i = {name}$"] = {"the\nclaim": (delta, 0)}
            for key in own.itertuples(index=False):
                if key.layer == "aspp" and key.nu == int(part * len(power := images[tuple(key)])):
                    row[_name(key.domain).replace(", ", "\n").replace(" ", "\n", 1)] = (power, 0)
    return spectra(shown, -40)


def row_energies(table: pd.DataFrame):
    """Draw the row energies of Fig. 2 (columns of `study.gradients.row_energies`): a panel for each nu_i.

    The whisker is the 95 % interval of the share within one bin.
    """
    table = _ordered(table)
    table = table.assign(row=table.groupby(["model", "domain"])["nu_i_u"].rank("dense"))
    shown = {}
    for name, (_, own) in zip(("0", "M/4", "M/2"), table.groupby("row"), strict=True):
        wide = own.pivot_table(["value", "low", "high"], ["model", "domain"], "within", sort=False, dropna=False)
        names = [f"{MODEL_NAMES[m]}, {_name(d)}" for m, d in wide.index]
        two, one, none = energies(wide["value"], names)
        one = one._replace(low=wide["low", 1].astype(float), high=wide["high", 1].astype(float))
        shown[rf"$\nu_i = {name}$"] = [two, one, none]
    return energy_rows(shown, legend=1)


def fig3(images: Mapping[str, Mapping[tuple, np.ndarray]]):
    """Draw one row of a trained decoder's own layers, near nu_i = (M/4, M/4): kind -> images as for `fig2`.

    One line of pictures for each model, of the first domain that has it.
    """
    shown: dict = {}
    for model in _models([key[0] for part in images.values() for key in part]):
        for kind in KINDS:
            (*_, nu), power = next(item for item in images[kind].items() if item[0][0] == model)
            whole = 0 <= 4 * nu + 1 - len(power) <= 3
            shown.setdefault(MODEL_NAMES[model], {})[kind] = (power, 0 if whole else nu)
    return spectra(shown, -40)


def layer_energies(table: pd.DataFrame):
    """Draw Fig. 3's energies by layer (columns of `study.gradients.layer_energies`), each at its worst nu_i."""
    keys = ["model", "part", "layer", "within"]
    table = table.sort_values("part", key=lambda part: part.map(KINDS.index), kind="stable")
    worst = table.groupby([*keys, "nu_i_u"], sort=False)["value"].mean().groupby(keys, sort=False).min().unstack()
    shown = {}
    for model in _models(table["model"]):
        own = worst.loc[model]
        shown[MODEL_NAMES[model]] = energies(own, [f"{kind}: {_layer(name)}" for kind, name in own.index])
    return energy_rows(shown, legend=1)


def magnitudes(table: pd.DataFrame):
    """Draw the quantiles of |X|, |Z|, |K| by decoder layer: mark the median, bar to 99 %.

    Columns of `study.gradients.magnitudes`; one panel a model and metric, one row a layer, in it one mark a domain.
    """
    keys = ["metric", "model", "layer", "domain"]
    wide = table.pivot_table("value", keys, "quantile", sort=False).clip(lower=1e-3).reset_index()
    wide = wide.assign(low=wide[0.5], high=wide[0.99], layer=wide["layer"].map(_layer))
    titles = {"X": ("inputs |X|", [1.0]), "Z": ("pre-activations |Z|", [0.3]), "K": ("kernels |K|", [])}
    shown = {f"{model}: {title}": series for metric, (title, _) in titles.items()
             for model, series in _by_model(wide[wide["metric"] == metric], 0.5, "layer", ms=3).items()}  # fmt: skip
    order = dict.fromkeys(table["layer"].map(_layer))
    fig = forest(shown, order=[*order], log="x", xlim=(1e-3, 30), xlabel="size")
    for ax in fig.axes:
        for bound in next(bounds for title, bounds in titles.values() if ax.get_title().endswith(title)):
            ax.axvline(bound, **GUIDE)
    return fig


def smoothness(table: pd.DataFrame):
    """Draw the share of power above half of the own grid's limit, layer by layer (`study.gradients.smoothness`)."""
    names = [f"{r.part}: {_layer(r.layer)} ({int(r.grid)})" for r in table.itertuples()]
    table = table.assign(name=names).sort_values("part", key=lambda part: part != "encoder", kind="stable")
    return forest(_by_model(table, "value", "name"), dodge=0, height=0.28, xlim=(0, None),
                  xlabel="share of power above half of the grid's limit")  # fmt: skip


def removal(low: pd.DataFrame, whole: pd.DataFrame):
    """Draw the change of the low frequencies of the loss (dots, 95 % intervals) and of the loss (crosses), in L_CE.

    Columns of `study.gradients.removals`, `whole` with the signed change of L_CE.
    """
    shown: dict[str, list[Series]] = {}
    for table, look in ((low, {}), (whole, {"marker": "x", "label": "_"})):
        table = table.sort_values(["layer", "nu_max"], ascending=[True, False], kind="stable")
        inputs = table["layer"].replace({"all": "all inputs", "aspp": "ASPP"})
        named = table.assign(what=inputs + ", " + table["nu_max"].astype(int).astype(str))
        for model, series in _by_model(named, "value", "what", interval=not look, **look).items():
            shown.setdefault(model, []).extend(series)
    fig = forest(shown, height=0.7, dodge=0.8, at_x=[0.05], xlabel=r"change / $L_{CE}$")
    for ax in fig.axes:
        signed(ax, 0.01, (-0.01, 0, 0.01, 0.1, 1), axis="x")
    return fig
