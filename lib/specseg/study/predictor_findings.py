"""What the chapter on predictors tells the ledger: each claim's number with its interval, or what its records lack.

A sentence about a domain not seen needs two domains with trained networks. Each domain is judged by itself:
networks, folds and models of one are no further units. The stated rule is R_ce, periodic, ratio of means, its line
fitted to R_ce < 0.2 elsewhere; its rival, fixed too, is the other domains' mean drop at the same share of the grid.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.evidence.fits import line, spearman
from specseg.evidence.statistics import estimate
from specseg.nets.networks import Network
from specseg.study import gate, rules
from specseg.study import predictors as pr
from specseg.study.cost import choices
from specseg.study.predictor_cells import Cells
from specseg.study.rules import OWN

Fact = dict


def best_rules(cells: Cells) -> pd.DataFrame:
    """Return, with and without the paper's threshold, the best rule of each kind in hindsight.

    Columns cells, needs, best, error, and the stated line's error over it: value, low, high.
    """
    rows = []
    for words, below in (("all", None), ("R_ce < 0.2", rules.PRINTED["threshold"])):
        errors = pr.errors(cells, below=below)
        for kind in ("R_ce", "network", "labels", "LRG") if OWN.name in errors.table.index else ():
            best = errors.best([r for r in rules.RULES if r.needs == kind])
            rows.append({"cells": words, "needs": kind, "best": best, "error": errors.mean()[best],
                         **errors.ratio(OWN.name, best)})  # fmt: skip
    return pd.DataFrame(rows)


def truncation(cells: Cells, each: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 5's claims, and claim -> reason of those that cannot be observed yet.

    `cells` are setups, `each` the same networks one by one. Each domain is held out and judged by itself.
    """
    facts = [f for name, own in _domains(each)
             for f in (_correlates("fig5b-positive-r3", name, own), *_slopes(name, own))]  # fmt: skip
    if cells.table["domain"].nunique() > 1 and not np.isnan(rules.held_out(cells.values(), OWN)).any():
        errors = pr.errors(cells)
        small = pr.errors(cells, below=rules.PRINTED["threshold"])
        facts += [_estimates(name, cells, errors, small) for name in errors.table.columns]
        facts += _chooses(cells)
    facts += _streets(pr.streets(cells), cells)
    seen = {f["claim_id"] for f in facts}
    names = ", ".join(dict.fromkeys(cells.table["domain"])) or "no domain"
    reason = f"records of {names} alone; at least two domains with trained networks are needed"
    return facts, {c: reason for c in CLAIMS if c not in seen}


CLAIMS = (
    "fig5b-positive-r3",
    "fig5b-slope-r3",
    "fig5b-estimates-r3",
    "sec32-streets-explained-r3",
    "sec32-choose-lrg-r3",
)


def blocks(cells: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 7's claims, and claim -> reason of those that cannot be observed yet."""
    facts, missing = [], {}
    domains, setups = (cells.table[c].nunique() for c in ("domain", "setup"))
    for name, own in _domains(cells):
        wide = Cells(own.table.assign(lrg=-own.table["nu_max"].astype(float)), own.drawn)
        found, values = pr.resample(own, pr.ranked, ("rce", "drop")), _cut(wide).values()
        facts.append(
            {
                "claim_id": "fig7-strong-r3",
                **found,
                "domain": unit(name),
                "over": "setups",
                "units": own.table["setup"].nunique(),
                "null": float(pr.ranked(values, "lrg")),
                "note": f"{unit(name)}: Spearman {found['value']:.2f} over {len(values['drop'])} cells.",
            }
        )
    if not facts:
        missing["fig7-strong-r3"] = f"networks trained on blocks: records of {setups} setup(s), two are needed"
    ceiling = rules.rule(rules.NAMES["block_majority"])
    errors = pr.errors(cells, (OWN, ceiling)) if domains > 1 else None
    if errors is not None and len(errors.table) == 2:
        facts += [{"claim_id": "sec33-rce-estimates-r3", **_ratio(errors, name, OWN, ceiling, cells),
                   "note": f"{unit(name)} held out: the line in R_ce misses by {errors.table[name][OWN.name]:.3f}, one "
                           f"minus the labels' own mIoU by {errors.table[name][ceiling.name]:.3f}."}
                  for name in errors.table.columns]  # fmt: skip
    else:
        missing["sec33-rce-estimates-r3"] = (
            f"networks trained on blocks: records of {domains} domain(s), two are needed" if errors is None else
            "networks trained on blocks: too few band limits of a domain lie below the R_ce to which the line is fitted"
        )  # fmt: skip
    return facts, missing


def unit(domain: str) -> str:
    """Return a domain as the unit that an observation speaks of."""
    return gate.unit(Network(domain))


def _domains(cells: Cells) -> list[tuple[str, Cells]]:
    return [(n, cells.where(cells.table["domain"] == n)) for n in dict.fromkeys(cells.table["domain"])]


def by_network(each: Cells) -> pd.DataFrame:
    """Return one row a network: its mIoU, drop and R_ce at half of its grid, and its slope for R_ce < 0.2."""
    rows = []
    for name, part in each.table.groupby("setup", sort=False):
        half, few = part[part["share"] == 0.5].iloc[0], part[~part["full"].astype(bool) & (part["rce"] < 0.2)]
        x, y = few[["rce", "drop"]].to_numpy(float).T
        slope = line(x, y, np.isfinite(x)).slope if len(few) > 2 else np.nan
        fold_seed = " ".join(p for p in name.split("-") if p[0] in "fs" and p[1:].isdigit())
        rows.append(
            {
                "domain": half["domain"],
                "model": half["model"],
                "fold and seed": fold_seed,
                "mIoU": part[part["full"].astype(bool)]["miou"].iloc[0],
                "drop at half": half["drop"],
                "R_ce at half": half["rce"],
                "R_ce mirrored at half": half["rce_mirrored"],
                "slope": slope,
            }
        )
    return pd.DataFrame(rows)


def orders(each: Cells) -> pd.DataFrame:
    """Return domain, model and, for each share of the grid, the rank correlation of R_ce and drop over its networks.

    Folds or seeds of one model: three at least.
    """
    rows, cut = [], _cut(each).table
    for (name, model), part in cut.groupby(["domain", "model"], sort=False):
        if part["setup"].nunique() > 2:
            at = {f"{share:g}": float(spearman(*own[["rce", "drop"]].to_numpy(float).T))
                  for share, own in part.groupby("share", sort=False)}  # fmt: skip
            rows.append({"domain": name, "model": model, **at})
    return pd.DataFrame(rows, columns=None if rows else ["domain", "model"])


def _cut(cells: Cells) -> Cells:
    return cells.where(~cells.table["full"].astype(bool))


def _small(cells: Cells) -> Cells:
    return cells.where(~cells.table["full"].astype(bool) & (cells.table["rce"] < rules.PRINTED["threshold"]))


def _correlates(claim: str, name: str, each: Cells) -> Fact:
    """Rank correlation over all cells of a domain, beside that of the grid's size alone, and at one size by network."""
    cut = _cut(each)
    wide = Cells(cut.table.assign(lrg=-cut.table["share"].astype(float)), cut.drawn)
    values = wide.values()
    value, null = (float(pr.ranked(values, c)) for c in ("rce", "lrg"))
    own = float(pr.between(values, "rce"))
    said = f"{unit(name)}: Spearman {value:.2f} over {len(cut.table)} cells of {cut.table['setup'].nunique()} networks"
    said += f", grid size alone {null:.2f}"
    if np.isfinite(own):
        said += f"; between networks at one size {own:+.2f}"
    return {"claim_id": claim, "value": value, "domain": unit(name), "null": null, "note": f"{said}."}


def _slopes(name: str, each: Cells) -> list[Fact]:
    """Slope below R_ce = 0.2 of each of a domain's networks, with its interval over pictures."""
    facts, small = [], _small(each)
    for setup in dict.fromkeys(small.table["setup"]):
        own = small.where(small.table["setup"] == setup)
        if len(own.table) < 3:
            continue
        (x, y), (xs, ys) = ([v["rce"], v["drop"]] for v in (own.values(), own.values(drawn=True)))
        found = estimate(*(line(a.astype(float), b.astype(float), np.isfinite(a.astype(float))).slope
                           for a, b in ((x, y), (xs, ys))))  # fmt: skip
        facts.append({"claim_id": "fig5b-slope-r3", **found, "domain": unit(name), "over": "clusters",
                      "units": int(own.table["clusters"].min()), "null": 0.0,
                      "note": f"{setup}: {found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]."})  # fmt: skip
    return facts


BLIND = rules.rule("LRG size, mean elsewhere")  # knows neither network nor labels; fixed, not chosen in hindsight


def _ratio(errors: pr.Errors, name: str, own: rules.Rule, rival: rules.Rule, cells: Cells) -> dict:
    """Return the error of a rule over a rival's on one held-out domain, with the interval over its pictures."""
    k = list(errors.table.columns).index(name)
    a, b = (list(errors.table.index).index(r.name) for r in (own, rival))
    found = estimate(errors.table.iloc[a, k] / errors.table.iloc[b, k], errors.drawn[:, a, k] / errors.drawn[:, b, k])
    clusters = int(cells.table[cells.table["domain"] == name]["clusters"].min())
    return {**found, "domain": unit(name), "over": "clusters", "units": clusters}


def _estimates(name: str, cells: Cells, errors: pr.Errors, small: pr.Errors) -> Fact:
    best, variants = errors.best(rules.RIVALS), [r for r in rules.RULES if r.needs == "R_ce"]
    off, below = errors.table[name], small.table[name] if name in small.table else {}
    said = (f"{unit(name)} held out: the line in R_ce misses by {off[OWN.name]:.3f}, the mean elsewhere by "
            f"{off[BLIND.name]:.3f}; in hindsight the best rule without a network ({best}) by {off[best]:.3f}, the "
            f"best with R_ce ({errors.best(variants)}) by {off[errors.best(variants)]:.3f}.")  # fmt: skip
    if OWN.name in below and np.isfinite(below[OWN.name]):
        said += f" Where R_ce < 0.2: {below[OWN.name]:.3f} against {below[BLIND.name]:.3f}."
    return {"claim_id": "fig5b-estimates-r3", **_ratio(errors, name, OWN, BLIND, cells), "note": said}


def _chooses(cells: Cells) -> list[Fact]:
    """Regret of R_ce's choice by domain, beside that of the mean elsewhere; intervals over pictures."""
    values, drawn = cells.values(), cells.values(drawn=True)
    point, again = ({r: choices(v, rules.held_out(v, r)) for r in (OWN, BLIND)} for v in (values, drawn))
    domain_of, facts = dict(zip(values["setup"], values["domain"], strict=True)), []
    for name in dict.fromkeys(values["domain"]):
        at = np.array([domain_of[s] == name for s in point[OWN]["setup"]])
        regret, null = (float(point[r]["regret"][at].mean()) for r in (OWN, BLIND))
        hits = int((point[OWN]["chosen"] == point[OWN]["best"])[at].sum())
        found = estimate(regret, again[OWN]["regret"][:, at].mean(1))
        clusters = int(cells.table[cells.table["domain"] == name]["clusters"].min())
        facts.append({"claim_id": "sec32-choose-lrg-r3", **found, "domain": unit(name), "over": "clusters",
                      "units": clusters, "null": null, "note": (
                          f"{unit(name)}: mean regret {regret:.2%}, {hits} of {at.sum()} sizes hit; the mean elsewhere "
                          f"{null:.2%}.")})  # fmt: skip
    return facts


def _streets(pairs: pd.DataFrame, cells: Cells) -> list[Fact]:
    facts = []
    for other, part in pairs.groupby("other", sort=False):
        both, n = int(part["both"].sum()), len(part)
        facts.append(
            {
                "claim_id": "sec32-streets-explained-r3",
                "value": both,
                "n": n,
                "mutant": 0,
                "domain": f"streets against {unit(other)}",
                "note": (
                    f"In {n} comparisons with {unit(other)} at one share of the grid the drop on streets is larger "
                    f"in {part['drop_larger'].sum()}, R_ce in {part['rce_larger'].sum()}, both in {both}."
                ),
            }
        )
    return facts
