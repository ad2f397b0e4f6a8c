"""What the chapter on predictors tells the ledger: each claim's number with its interval, or what its records lack.

A sentence about a domain not seen needs two domains with trained networks. Each domain is judged by itself:
networks, folds and models of one are no further units. The stated rule is R_ce, periodic, ratio of means, its line
fitted to R_ce < 0.2 elsewhere; its rival, fixed too, is the other domains' mean drop at the same share of the grid.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.evidence.fits import spearman
from specseg.nets.networks import Network
from specseg.study import gate, rules
from specseg.study import predictors as pr
from specseg.study.cost import choices
from specseg.study.predictor_cells import Cells
from specseg.study.rules import OWN
from specseg.study.trained import estimate

Fact = dict
BELOW = rules.PRINTED["threshold"]
BLIND = rules.rule("LRG size, mean elsewhere")  # knows neither network nor labels; fixed, not chosen in hindsight
CLAIMS = (
    "fig5b-positive-r3", "fig5b-slope-r3", "fig5b-estimates-r3", "sec32-streets-explained-r3", "sec32-choose-lrg-r3",
)  # fmt: skip


def best_rules(cells: Cells) -> pd.DataFrame:
    """Return, with and without the paper's threshold, the best rule of each kind in hindsight.

    Columns cells, needs, best, error, and the stated line's error over it: value, low, high.
    """
    rows = []
    for words, below in (("all", np.inf), ("R_ce < 0.2", BELOW)):
        errors = pr.errors(cells, below=below)
        for kind in ("R_ce", "network", "labels", "LRG") if OWN.name in errors.drawn else ():
            best = errors.best([r for r in rules.RULES if r.needs == kind])
            rows.append({"cells": words, "needs": kind, "best": best, "error": errors.mean()[best],
                         **errors.ratio(OWN.name, best)})  # fmt: skip
    return pd.DataFrame(rows)


def truncation(cells: Cells, each: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 5's claims, and claim -> reason of those that cannot be observed yet.

    `cells` are setups, `each` the same networks one by one. Each domain is held out and judged by itself.
    """
    facts = [f for name, own in each.parts().items() for f in (_correlates(name, own), *_slopes(name, own))]
    domains = cells.parts()
    if len(domains) > 1 and np.isfinite(rules.held_out(cells.values(), OWN)).all():
        errors, small = pr.errors(cells), pr.errors(cells, below=BELOW)
        facts += [_estimates(name, own, errors, small) for name, own in domains.items()]
        facts += _chooses(cells)
    for other, part in pr.streets(cells).groupby("other", sort=False):
        drop, rce, both = (int(part[c].sum()) for c in ("drop_larger", "rce_larger", "both"))
        facts.append({
            "claim_id": "sec32-streets-explained-r3", "value": both, "n": len(part), "mutant": 0,
            "domain": f"streets against {unit(other)}",
            "note": f"In {len(part)} comparisons with {unit(other)} at one share of the grid the drop on streets is "
                    f"larger in {drop}, R_ce in {rce}, both in {both}.",
        })  # fmt: skip
    seen, names = {f["claim_id"] for f in facts}, ", ".join(domains) or "no domain"
    reason = f"records of {names} alone; at least two domains with trained networks are needed"
    return facts, {c: reason for c in CLAIMS if c not in seen}


def blocks(cells: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 7's claims, and claim -> reason of those that cannot be observed yet."""
    facts, missing, domains = [], {}, cells.parts()
    for name, own in domains.items():
        found, cut = pr.resample(own, pr.ranked, ("rce", "drop")), own.cut()
        facts.append({
            "claim_id": "fig7-strong-r3", **found, "domain": unit(name), "over": "setups",
            "units": own.table["setup"].nunique(), "null": float(pr.ranked(cut.values(), "lrg")),
            "note": f"{unit(name)}: Spearman {found['value']:.2f} over {len(cut.table)} cells.",
        })  # fmt: skip
    if not facts:
        missing["fig7-strong-r3"] = f"networks trained on blocks: records of {len(domains)} setup(s), two are needed"
    ceiling = rules.rule(rules.NAMES["block_majority"])
    errors = pr.errors(cells, (OWN, ceiling)) if len(domains) > 1 else None
    if errors and len(errors.drawn) == 2:
        for k, (name, own) in enumerate(domains.items()):
            a, b = (errors.drawn[r.name][:, k] for r in (OWN, ceiling))
            facts.append(_held_out("sec33-rce-estimates-r3", name, own, a / b, (
                f"the line in R_ce misses by {a[0]:.3f}, one minus the labels' own mIoU by {b[0]:.3f}.")))  # fmt: skip
    else:
        missing["sec33-rce-estimates-r3"] = "networks trained on blocks: " + (
            f"records of {len(domains)} domain(s), two are needed" if errors is None else
            "too few band limits of a domain lie below the R_ce to which the line is fitted")  # fmt: skip
    return facts, missing


def unit(domain: str) -> str:
    """Return a domain as the unit that an observation speaks of."""
    return gate.unit(Network(domain))


def _over(name: str, cells: Cells, drawn: np.ndarray) -> dict:
    """Return the fields of an observation of a drawn number of one domain: of what, its interval over pictures."""
    return {**estimate(drawn), "domain": unit(name), "over": "clusters", "units": int(cells.table["clusters"].min())}


def _held_out(claim: str, name: str, cells: Cells, drawn: np.ndarray, words: str) -> Fact:
    return {"claim_id": claim, **_over(name, cells, drawn), "note": f"{unit(name)} held out: {words}"}


def by_network(each: Cells) -> pd.DataFrame:
    """Return one row a network: its mIoU, drop and R_ce at half of its grid, and its slope for R_ce < 0.2."""
    table = each.table.set_index("setup")
    half = table[table["share"] == 0.5]
    slopes = {name: float(pr.slope(own.values())) for name, own in each.cut(BELOW).parts("setup").items()}
    return half[["domain", "model"]].assign(**{
        "fold and seed": [" ".join(p for p in n.split("-") if p[0] in "fs" and p[1:].isdigit()) for n in half.index],
        "mIoU": table[table["share"] == 1]["miou"], "drop at half": half["drop"], "R_ce at half": half["rce"],
        "R_ce mirrored at half": half["rce_mirrored"], "slope": pd.Series(slopes, dtype=float),
    }).reset_index(drop=True)  # fmt: skip


def orders(each: Cells) -> pd.DataFrame:
    """Return domain, model and, for each share of the grid, the rank correlation of R_ce and drop over its networks.

    Folds or seeds of one model: three at least.
    """
    keys, cut = ["domain", "model"], each.cut().table
    many = cut[cut.groupby(keys)["setup"].transform("nunique") > 2]
    found = [{"domain": name, "model": model, "share": f"{share:g}", "value": float(spearman(own["rce"], own["drop"]))}
             for (name, model, share), own in many.groupby([*keys, "share"], sort=False)]  # fmt: skip
    table = pd.DataFrame(found, columns=[*keys, "share", "value"])
    return table.pivot_table("value", keys, "share", sort=False).reset_index().rename_axis(columns=None)


def _correlates(name: str, each: Cells) -> Fact:
    """Rank correlation over all cells of a domain, beside that of the grid's size alone, and at one size by network."""
    values = each.cut().values()
    value, null, own = (float(f(values, c)) for f, c in ((pr.ranked, "rce"), (pr.ranked, "lrg"), (pr.between, "rce")))
    said = f"{unit(name)}: Spearman {value:.2f} over {len(values['drop'])} cells of "
    said += f"{len(set(values['setup']))} networks, grid size alone {null:.2f}"
    said += f"; between networks at one size {own:+.2f}" if np.isfinite(own) else ""
    return {"claim_id": "fig5b-positive-r3", "value": value, "domain": unit(name), "null": null, "note": f"{said}."}


def _slopes(name: str, each: Cells) -> list[Fact]:
    """Slope below R_ce = 0.2 of each of a domain's networks, with its interval over pictures."""
    facts = []
    for setup, own in each.cut(BELOW).parts("setup").items():
        if len(own.table) >= 3:
            fact = _over(name, own, pr.slope(own.values(drawn=True)))
            facts.append({"claim_id": "fig5b-slope-r3", **fact, "null": 0.0,
                          "note": f"{setup}: {gate.ends(fact, '{:.2f}')}."})  # fmt: skip
    return facts


def _estimates(name: str, cells: Cells, errors: pr.Errors, small: pr.Errors) -> Fact:
    off, k = errors.table[name], errors.domains.index(name)
    best, variant = errors.best(rules.RIVALS), errors.best([r for r in rules.RULES if r.needs == "R_ce"])
    said = (f"the line in R_ce misses by {off[OWN.name]:.3f}, the mean elsewhere by {off[BLIND.name]:.3f}; in "
            f"hindsight the best rule without a network ({best}) by {off[best]:.3f}, the best with R_ce ({variant}) by "
            f"{off[variant]:.3f}.")  # fmt: skip
    if OWN.name in small.drawn:
        said += f" Where R_ce < 0.2: {small.table[name][OWN.name]:.3f} against {small.table[name][BLIND.name]:.3f}."
    own, rival = (errors.drawn[r.name][:, k] for r in (OWN, BLIND))
    return _held_out("fig5b-estimates-r3", name, cells, own / rival, said)


def _chooses(cells: Cells) -> list[Fact]:
    """Regret of R_ce's choice by domain, beside that of the mean elsewhere; intervals over pictures."""
    values, facts = cells.values(drawn=True), []
    own, blind = (choices(values, rules.held_out(values, r)) for r in (OWN, BLIND))
    for name, part in cells.parts().items():
        at = np.isin(own["setup"], part.table["setup"])
        regret, null = own["regret"][:, at].mean(1), float(blind["regret"][0, at].mean())
        hits = int((own["chosen"] == own["best"])[0, at].sum())
        facts.append({"claim_id": "sec32-choose-lrg-r3", **_over(name, part, regret), "null": null, "note": (
            f"{unit(name)}: mean regret {regret[0]:.2%}, {hits} of {at.sum()} sizes hit; the mean elsewhere "
            f"{null:.2%}.")})  # fmt: skip
    return facts
