"""What the chapter on predictors tells the ledger: each claim's number with its interval, or what its records lack.

A sentence about a domain not seen needs two domains with records; real domains and synthetic doses are told apart, and
a verdict stands on both where both were measured. The rules were fixed before any drop was known: R_ce is periodic,
ratio of means, its line fitted to R_ce < 0.2 elsewhere; the rival is the best of those without a network, in hindsight.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.evidence.fits import line, spearman
from specseg.study import predictors as pr
from specseg.study import rules
from specseg.study.predictor_cells import Cells
from specseg.study.rules import OWN

SCOPES = ((True, "Real domains"), (False, "Synthetic doses"))
FEW = "fewer than three cells with R_ce < 0.2, of which the line is made"
Fact = dict


def best_rules(panels: dict[str, Cells]) -> pd.DataFrame:
    """Return, for each panel, with and without the paper's threshold, the best rule of each kind in hindsight.

    Columns domains, cells, needs, best, error, and the stated line's error over it: value, low, high.
    """
    rows = []
    for name, cells in panels.items():
        for words, below in (("all", None), ("R_ce < 0.2", rules.PRINTED["threshold"])):
            errors = pr.errors(cells, below=below)
            for kind in ("R_ce", "network", "labels", "LRG") if OWN.name in errors.table.index else ():
                best = errors.best([r for r in rules.RULES if r.needs == kind])
                rows.append({"domains": name, "cells": words, "needs": kind, "best": best, "error": errors.mean()[best],
                             **errors.ratio(OWN.name, best)})  # fmt: skip
    return pd.DataFrame(rows)


def scopes(cells: Cells) -> list[tuple[str, Cells]]:
    """Return (name, cells) of the real domains and of the synthetic ones, without an empty one."""
    parts = [(name, cells.where(cells.table["real"].astype(bool) == real)) for real, name in SCOPES]
    return [(name, part) for name, part in parts if len(part.table)]


def panels(cells: Cells, spot: Cells) -> dict[str, Cells]:
    """Return title -> cells of what can be held out: real domains, synthetic doses, both; else those made on the spot.

    A panel has two domains at least.
    """
    parts = dict(scopes(cells))
    if len(parts) == 2:
        parts["All together"] = cells
    return {n: c for n, c in parts.items() if c.table["domain"].nunique() > 1} or {"Pipeline check": spot}


def lacking(cells: Cells) -> str:
    """Return which real domains have records, for the reason why something was not judged."""
    names = list(dict.fromkeys(cells.table[cells.table["real"].astype(bool)]["domain"]))
    return f"records of {', '.join(names)} alone" if names else "no records of real domains yet"


def truncation(cells: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 5's claims, and claim -> reason of those that cannot be observed yet."""
    parts = [(name, part) for name, part in scopes(cells) if part.table["domain"].nunique() > 1]
    real = next((part for name, part in parts if name == SCOPES[0][1]), None)
    facts: list[Fact] = []
    if real is None:
        reason = f"{lacking(cells)}; at least two real domains are needed"
        claims = ("fig5b-positive-r3", "fig5b-slope-r3", "fig5b-estimates-r3", "sec32-streets-explained-r3",
                  "sec32-choose-lrg-r3")  # fmt: skip
        return [], dict.fromkeys(claims, reason)
    missing = {}
    for name, part in parts:
        facts.append(_correlates("fig5b-positive-r3", name, part))
        if np.isnan(rules.held_out(part.values(), OWN)).any():  # no cell elsewhere with R_ce < 0.2 to fit a line to
            missing |= dict.fromkeys(("fig5b-estimates-r3", "sec32-choose-lrg-r3"), f"{name}: {FEW}")
        else:
            facts += [_estimates(name, part), _chooses(name, part)]
    if fits_a_line(real):
        facts.append(_slope(real))
    else:
        missing["fig5b-slope-r3"] = FEW
    pairs = pr.streets(real)
    if len(pairs):
        facts.append(_streets(pairs))
    else:
        missing["sec32-streets-explained-r3"] = f"{lacking(cells)}; streets and another domain are needed"
    return facts, missing


def blocks(cells: Cells) -> tuple[list[Fact], dict[str, str]]:
    """Return the observations of Fig. 7's claims, and claim -> reason of those that cannot be observed yet."""
    real = cells.where(cells.table["real"].astype(bool))
    facts, missing = [], {}
    domains, setups = (real.table[c].nunique() for c in ("domain", "setup"))
    if setups > 1:
        facts.append(_correlates("fig7-strong-r3", f"{setups} setups of {domains} domain(s), trained on blocks", real))
    else:
        missing["fig7-strong-r3"] = f"networks trained on blocks: records of {setups} setup(s), two are needed"
    if domains > 1:
        ceiling = rules.rule(rules.NAMES["block_majority"])
        errors = pr.errors(real, (OWN, ceiling))
        facts.append({
            "claim_id": "sec33-rce-estimates-r3", **errors.ratio(OWN.name, ceiling.name),
            "mutant": _all_lost(real) / errors.mean()[ceiling.name],
            "note": f"Domain held out: the line in R_ce misses by {errors.mean()[OWN.name]:.3f}, one minus the "
                    f"labels' own mIoU by {errors.mean()[ceiling.name]:.3f}.",
        })  # fmt: skip
    else:
        missing["sec33-rce-estimates-r3"] = (
            f"networks trained on blocks: records of {domains} domain(s), two are needed"
        )
    return facts, missing


def fits_a_line(cells: Cells) -> bool:
    """Say whether there are cells enough for `predictors.slopes`: three below 0.2, of two setups."""
    few = _small(cells).table
    return len(few) > 2 and few["setup"].nunique() > 1


def _cut(cells: Cells) -> Cells:
    return cells.where(~cells.table["full"].astype(bool))


def _small(cells: Cells) -> Cells:
    return cells.where(~cells.table["full"].astype(bool) & (cells.table["rce"] < rules.PRINTED["threshold"]))


def _all_lost(cells: Cells) -> float:
    """Return the mutant's error, which predicts that everything is lost: mean over domains."""
    cut = _cut(cells).table
    return float((1 - cut["drop"]).groupby(cut["domain"]).mean().mean())


def _correlates(claim: str, name: str, cells: Cells) -> Fact:
    found = pr.resample(cells, pr.ranked, ("rce", "drop"))
    values = _cut(cells).values()
    own, n = {c: float(pr.between(values, c)) for c in ("rce", "block_majority")}, len(values["drop"])
    said = f"{name}: Spearman {found['value']:.2f} over {n} cells"
    if np.isfinite(own["rce"]):
        said += f"; between setups at one size {own['rce']:.2f} (block ceiling {own['block_majority']:.2f})"
    blind = spearman(np.zeros(n), np.arange(n))
    return {"claim_id": claim, **found, "mutant": float(blind), "note": f"{said}."}


def _slope(cells: Cells) -> Fact:
    rows = pr.slopes(cells).set_index("method")
    hull = rows.loc["hull"]
    parts = {d: p[["rce", "drop"]].to_numpy(float).T for d, p in _small(cells).table.groupby("domain", sort=False)}
    own = {d: line(x, y, np.isfinite(x)).slope for d, (x, y) in parts.items()}
    said = ", ".join(f"{v:.2f} ({d})" for d, v in own.items() if np.isfinite(v))
    return {"claim_id": "fig5b-slope-r3", "value": hull["value"], "low": hull["low"], "high": hull["high"],
            "mutant": 0.01 * hull["value"],
            "note": f"Slope {hull['value']:.2f}, intercept {hull['intercept']:.4f} over {hull['n']:.0f} cells with "
                    f"R_ce < 0.2; by domain {said}."}  # fmt: skip


def _estimates(name: str, cells: Cells) -> Fact:
    errors, small = pr.errors(cells), pr.errors(cells, below=rules.PRINTED["threshold"])
    rival = errors.best(rules.RIVALS)
    said = (f"{name}, {errors.table.shape[1]} held out in turn: {_said(errors)}. Where R_ce < 0.2: {_said(small)}."
            if len(small.table) else f"{name}: {_said(errors)}.")  # fmt: skip
    return {"claim_id": "fig5b-estimates-r3", **errors.ratio(OWN.name, rival),
            "mutant": _all_lost(cells) / errors.mean()[rival], "note": said}  # fmt: skip


def _said(errors: pr.Errors) -> str:
    """Say by how much the stated line, the best rival and the best of all rules with R_ce miss."""
    mean, rival = errors.mean(), errors.best(rules.RIVALS)
    variants = [r for r in rules.RULES if r.needs == "R_ce"]
    best = errors.best(variants)
    return (f"the line in R_ce misses by {mean[OWN.name]:.3f}, the best rival ({rival}) by {mean[rival]:.3f}, the "
            f"best of {len(variants)} rules with R_ce ({best}) by {mean[best]:.3f}")  # fmt: skip


def _chooses(name: str, cells: Cells) -> Fact:
    found = pr.regrets(cells, (OWN, *rules.RIVALS)).set_index("rule")
    own, best = found.loc[OWN.name], found.drop(index=OWN.name)["value"]
    fpi = (cells.table["gflops"] / cells.table["miou"]).groupby(cells.table["setup"])
    worst = float((fpi.max() / fpi.min() - 1).mean())  # the mutant takes each setup's worst size
    return {"claim_id": "sec32-choose-lrg-r3", **own[["value", "low", "high"]].astype(float), "mutant": worst,
            "note": f"{name}: mean regret {own['value']:.2%}, {own['hits']} of {own['setups']} sizes hit; the best "
                    f"rule without a network ({best.idxmin()}) {best.min():.2%}."}  # fmt: skip


def _streets(pairs: pd.DataFrame) -> Fact:
    both, n = int(pairs["both"].sum()), len(pairs)
    return {"claim_id": "sec32-streets-explained-r3", "value": both, "n": n, "mutant": 0,
            "note": f"In {n} comparisons of streets with another domain at one LRG size the drop is larger in "
                    f"{pairs['drop_larger'].sum()}, R_ce in {pairs['rce_larger'].sum()}, both in {both}."}  # fmt: skip
