"""What the chapter on predictors tells the ledger: each claim's number with its interval.

Each domain is held out and judged by itself: networks, folds and models of one are no further units. The stated rule is
R_ce, periodic, ratio of means, its line fitted to R_ce < 0.2 elsewhere; its rival, fixed too, is the other domains'
mean drop at the same share of the grid.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.evidence.fits import spearman
from specseg.nets.networks import Network
from specseg.study import gate, rules
from specseg.study import predictors as pr
from specseg.study.cost import choices
from specseg.study.gate import Told
from specseg.study.predictor_cells import Cells
from specseg.study.rules import OWN
from specseg.study.trained import estimate

BELOW = rules.PRINTED["threshold"]
BLIND = rules.rule("LRG size, mean elsewhere")  # knows neither network nor labels; fixed, not chosen in hindsight


def truncation(cells: Cells, each: Cells) -> Told:
    """Return the observations of Fig. 5's claims.

    `cells` are setups, `each` the same networks one by one. Raises ValueError with fewer than two domains.
    """
    told = Told()
    for name, own in each.parts().items():
        told.tell("fig5b-positive-r3", *_correlates(own.cut().values(), unit(name)))
        for setup, few in own.cut(BELOW).parts("setup").items():
            if len(few.table) >= 3:
                fact = over_pictures(few, pr.slope(few.values(drawn=True)))
                told.tell("fig5b-slope-r3", f"{setup}: {gate.ends(fact, '{:.2f}')}.", fact, null=0.0)
    _unseen(told, cells)
    table = cells.cut().table
    streets, others = (table[(table["kind"] == "streets") == same] for same in (True, False))
    pairs = streets.merge(others, on=["model", "share"], suffixes=("", "_o"))
    for other, part in pairs.groupby("domain_o", sort=False):
        drop, rce = (part[c] > part[f"{c}_o"] for c in ("drop", "rce"))
        both = int((drop & rce).sum())
        note = (f"In {len(part)} comparisons with {unit(other)} at one share of the grid the drop on streets is larger "
                f"in {drop.sum()}, R_ce in {rce.sum()}, both in {both}.")  # fmt: skip
        told.tell("sec32-streets-explained-r3", note, gate.about(f"streets against {unit(other)}"), value=both,
                  n=len(part), mutant=0)  # fmt: skip
    return told


def _correlates(values: rules.Values, of: str) -> tuple[str, dict]:
    """Rank correlation over all cells of a domain, beside that of the grid's size alone, and at one size by network."""
    value, null, own = (float(f(values, c)) for f, c in ((pr.ranked, "rce"), (pr.ranked, "lrg"), (pr.between, "rce")))
    note = f"{of}: Spearman {value:.2f} over {len(values['drop'])} cells of {len(set(values['setup']))} networks"
    note += f", grid size alone {null:.2f}" + f"; between networks at one size {own:+.2f}" * bool(np.isfinite(own))
    return f"{note}.", {"value": value, "domain": of, "null": null}


def _unseen(told: Told, cells: Cells) -> None:
    """Each domain held out: the error of R_ce's line over that of the mean elsewhere; the regret of what each picks."""
    errors, small, values = pr.errors(cells), pr.errors(cells, below=BELOW), cells.values(drawn=True)
    best, variant = errors.best(rules.RIVALS), errors.best([r for r in rules.RULES if r.needs == "R_ce"])
    picks = [choices(values, rules.held_out(values, r)) for r in (OWN, BLIND)]
    for k, (name, part) in enumerate(cells.parts().items()):
        own, blind = (errors.drawn[r.name][:, k] for r in (OWN, BLIND))
        note = (f"{unit(name)} held out: the line in R_ce misses by {own[0]:.3f}, the mean elsewhere by "
                f"{blind[0]:.3f}; in hindsight the best rule without a network ({best}) by "
                f"{errors.drawn[best][0, k]:.3f}, the best with R_ce ({variant}) by "
                f"{errors.drawn[variant][0, k]:.3f}.")  # fmt: skip
        if OWN.name in small.drawn:
            line, mean = (small.drawn[r.name][0, k] for r in (OWN, BLIND))
            note += f" Where R_ce < 0.2: {line:.3f} against {mean:.3f}."
        told.tell("fig5b-estimates-r3", note, over_pictures(part, own / blind))
        at = np.isin(picks[0]["setup"], part.table["setup"])
        regret, null = (p["regret"][:, at].mean(1) for p in picks)
        hits = int((picks[0]["chosen"] == picks[0]["best"])[0, at].sum())
        told.tell("sec32-choose-lrg-r3", f"{unit(name)}: mean regret {regret[0]:.2%}, {hits} of {at.sum()} sizes hit; "
                  f"the mean elsewhere {null[0]:.2%}.", over_pictures(part, regret), null=float(null[0]))  # fmt: skip


def blocks(cells: Cells) -> Told:
    """Return the observations of Fig. 7's claims; of a domain not seen none, where one has too few cells for a line."""
    told, domains = Told(), cells.parts()
    for name, own in domains.items():
        found, values = pr.resample(own, pr.ranked, ("rce", "drop")), own.cut().values()
        note = f"{unit(name)}: Spearman {found['value']:.2f} over {len(values['drop'])} cells."
        told.tell("fig7-strong-r3", note, found, gate.about(unit(name)), over="setups",
                  units=own.table["setup"].nunique(), null=float(pr.ranked(values, "lrg")))  # fmt: skip
    pair = OWN, rules.rule(rules.NAMES["block_majority"])
    drawn = pr.errors(cells, pair).drawn
    for k, (name, own) in enumerate(domains.items() if len(drawn) == len(pair) else ()):
        a, b = (drawn[r.name][:, k] for r in pair)
        told.tell("sec33-rce-estimates-r3", f"{unit(name)} held out: the line in R_ce misses by {a[0]:.3f}, one minus "
                  f"the labels' own mIoU by {b[0]:.3f}.", over_pictures(own, a / b))  # fmt: skip
    return told


def unit(domain: str) -> str:
    """Return a domain as the unit that an observation speaks of."""
    return gate.unit(Network(domain))


def over_pictures(cells: Cells, drawn: np.ndarray) -> dict:
    """Return the fields of an observation of a drawn number of one domain: of what, its interval over pictures."""
    domain, clusters = cells.table["domain"].iloc[0], cells.table["clusters"].min()
    return {**estimate(drawn), "domain": unit(domain), "over": "clusters", "units": int(clusters)}


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
    ranks = many.groupby([*keys, "share"], sort=False)[["rce", "drop"]].apply(
        lambda own: float(spearman(own["rce"], own["drop"])))  # fmt: skip
    return ranks.unstack("share", sort=False).rename(columns="{:g}".format).reset_index()
