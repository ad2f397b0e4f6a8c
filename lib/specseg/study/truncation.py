"""Tables of feature truncation and pruning on trained networks: Table 4 beside ours, and what the paper says of it.

A drop is (mIoU at the full prediction grid - mIoU at the LRG) / mIoU at the full grid, of one network; differences of
drops use the same draws of pictures and seeds on both sides. `share` = (lrg_size - 1)/(grid - 1) puts grids of 129 and
of 65 on one axis.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2 and A.10.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from specseg.evidence import statistics
from specseg.measure.truncation import FULL, boundary_miou
from specseg.study import gate, trained
from specseg.study.printed.tables import Tables, cells
from specseg.study.trained import PAPER_KIND, Measured, Pool

KEYS = ["domain", "kind", "model"]


def grid(pool: Pool) -> int:
    """Return the side of a setup's prediction grid."""
    return dict(trained.conditions(pool))[FULL]


def at_share(pool: Pool, share: float) -> int:
    """Return the LRG size at a share of the prediction grid. Raises ValueError where no grid point lies there.

    The grid of 65 has 64 steps: half of it is 33, an eighth is 9.
    """
    steps = share * (grid(pool) - 1)
    if abs(steps - round(steps)) > 1e-9:
        raise ValueError(f"{pool.setup.name}: no LRG size at {share:g} of its grid of {grid(pool)}")
    return int(round(steps)) + 1


def sizes(pool: Pool) -> list[int]:
    """Return the LRG sizes at which a setup was truncated bilinearly, largest first, without the full grid."""
    return [s for m, s in trained.conditions(pool) if m == "bilinear"]


def steps(pool: Pool) -> list[tuple[str, int]]:
    """Return the conditions of the main reading: the full grid, then the bilinear LRG sizes, largest first."""
    return [(FULL, grid(pool)), *(("bilinear", s) for s in sizes(pool))]


def drop(pool: Pool, method: str, lrg_size: int | None = None) -> tuple[float, np.ndarray]:
    """Return a setup's relative mIoU-drop under a condition, and its draws."""
    return trained.drop_draws(pool, pool, None, trained.under(method, lrg_size))


def difference(pool: Pool, one: tuple[str, int], two: tuple[str, int]) -> dict[str, float]:
    """Return drop(one) - drop(two) of two conditions (method, lrg_size): value, low, high, on the same draws."""
    (a, drawn_a), (b, drawn_b) = drop(pool, *one), drop(pool, *two)
    return statistics.estimate(a - b, drawn_a - drawn_b)


def printed() -> pd.DataFrame:
    """Return Tables 4a and 4b as domain, kind, model, prune_rate, lrg_size, share, miou, value (drop)."""
    rows = cells(Tables.read()).sort_values(["dataset", "model", "prune_rate", "lrg_size"], ignore_index=True)
    return pd.DataFrame({
        "domain": rows["dataset"], "kind": rows["dataset"].map(PAPER_KIND), "model": rows["model"],
        "prune_rate": rows["prune_rate"], "lrg_size": rows["lrg_size"], "share": rows["nu_max"] / 64,
        "miou": rows["miou"], "value": rows["miou_drop"],
    })  # fmt: skip


def side_by_side(drops: pd.DataFrame, prune_rate: float = 0.0) -> pd.DataFrame:
    """Return drops of Table 4 and ours, one line each: index kind, model, domain; one column per share of the grid.

    `drops` is what `trained.drops` returns; ours are those with this rate in the encoder, bilinear.
    """
    ours = drops[drops["method"].isin(["full", "bilinear"]) & (drops["prune_encoder"] == prune_rate)]
    ours = ours[(ours["prune_decoder"] == (0.2 if prune_rate else 0.0)) & (ours["trained_lrg"] == 0)]
    theirs = printed()
    both = pd.concat([theirs[theirs["prune_rate"] == prune_rate].assign(who="paper"), ours.assign(who="ours")])
    ranks = {"kind": trained.KINDS, "model": ("deeplabv3plus", "dan"), "who": ("paper", "ours")}
    for column, names in ranks.items():
        both[f"{column} rank"] = both[column].map({name: k for k, name in enumerate(names)})
    wide = both.pivot_table("value", [*(f"{c} rank" for c in ranks), *KEYS], "share")
    wide = wide.droplevel([0, 1, 2]).reorder_levels(["kind", "model", "domain"])
    return wide[sorted(wide.columns, reverse=True)]


def against_rates(drops: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return drops beside R_ce at the LRG's band limit, (lrg_size - 1)/2: domain, kind, model, rce, value.

    `drops` and `rates` are rows of baselines, bilinear or full and in one reading; pairs without a partner are out.
    """
    left = drops.assign(nu_max=(drops["lrg_size"].astype(int) - 1) // 2)
    right = rates[[*KEYS, "nu_max", "value"]].rename(columns={"value": "rce"})
    both = left.merge(right, on=[*KEYS, "nu_max"])
    return both[[*KEYS, "nu_max", "rce", "value"]]


def falls(pool: Pool) -> tuple[int, int]:
    """Return (steps in which the mIoU does not rise, steps) to the next smaller LRG."""
    scores = [trained.miou_draws(pool, trained.under(*c))[0] for c in steps(pool)]
    return sum(bool(b <= a) for a, b in zip(scores, scores[1:], strict=False)), len(scores) - 1


def falls_by_rate(line: Sequence[Pool]) -> tuple[int, int]:
    """Return (steps in which the mIoU does not rise, steps) to the next pruning rate, at every LRG size.

    On the folds and seeds that both have; `line` is one of `rate_lines`.
    """
    held = [trained.drop_draws(less, more, trained.under(*c), trained.under(*c))[0] >= 0
            for less, more in zip(line, line[1:], strict=False) for c in steps(less)]  # fmt: skip
    return sum(map(bool, held)), len(held)


def rate_lines(pools: Sequence[Pool]) -> list[list[Pool]]:
    """Return, for every domain and model with pruned encoders, its setups by rising rate (decoder at 20 %, as printed).

    The unpruned setup stands first; one whose decoder alone is pruned belongs to no line.
    """
    lines: dict[tuple[str, str], list[Pool]] = {}
    for p in pools:
        n = p.setup
        if not n.lrg_size and n.prune_decoder == (0.2 if n.prune_encoder else 0.0):
            lines.setdefault((n.domain, n.model), []).append(p)
    ordered = [sorted(line, key=lambda p: p.setup.prune_encoder) for line in lines.values()]
    return [line for line in ordered if len(line) > 1 and not line[0].setup.prune_encoder]


def streets_difference(streets: Pool, other: Pool, largest: float = 0.5) -> dict[str, float]:
    """Return the smallest difference of the drop on streets to that on another kind of scene, from `largest` down.

    value, low, high, and the share where it is smallest.
    """
    found = []
    for size in sizes(streets):
        share = (size - 1) / (grid(streets) - 1)
        if share <= largest:
            (a, drawn_a), (b, drawn_b) = (drop(p, "bilinear", at_share(p, share)) for p in (streets, other))
            found.append((a - b, drawn_a - drawn_b, share))
    gap, drawn, share = min(found, key=lambda f: f[0])
    return {**statistics.estimate(gap, drawn), "share": share}


GIVES_BACK = "beyond-training-gives-back"
CLAIMS = (
    "tab4-drop-small-r3", "tab4-monotone-r3", "tab4-streets-larger-r3", "sec32-pruning-leaves-drop-r3",
    "tab4-fourier-like-bilinear", "sec32-arbitrary-features", "fig4-optima-r3", "fig4-optima-insensitive-r3",
)  # fmt: skip


def observations(pools: Sequence[Pool], ratios: dict[str, float], best: pd.DataFrame) -> dict[str, list[dict]]:
    """Return claim -> what truncation says of Table 4 and Fig. 4, one observation a setup.

    `ratios` as `gate.quality`; `best` are the optima of FPI by printed costs, as `cost.optima` gives them with
    `inside` (the paper's range).
    """
    told: dict[str, list[dict]] = {c: [] for c in CLAIMS}
    base = [p for p in pools if p.setup.is_baseline]
    for pool in base:
        about, half, name = {**pool.units, **pool.observed(ratios)}, at_share(pool, 0.5), gate.named(pool.setup)

        def tell(claim: str, found: dict, about=about, name=name, form: str = "{:.2%}") -> None:
            ends = [form.format(found[k]) for k in ("value", "low", "high")]
            told[claim].append({**found, **about, "note": f"{name}: {ends[0]} [{ends[1]}, {ends[2]}]."})

        if pool.describe()["kind"] != "streets":
            tell("tab4-drop-small-r3", statistics.estimate(*drop(pool, "bilinear", half)))
        tell("tab4-fourier-like-bilinear", difference(pool, ("bilinear", half), ("fourier", half)), form="{:+.2%}")
        if any(method == "encoder" for method, _ in trained.conditions(pool)):
            tell("sec32-arbitrary-features", statistics.estimate(*drop(pool, "encoder")), form="{:.1%}")
        k, n = falls(pool)
        told["tab4-monotone-r3"].append({"value": k, "n": n, **pool.observed(ratios), "note": (
            f"{name}: no rise in {k} of {n} steps to a smaller grid.")})  # fmt: skip
    told["tab4-streets-larger-r3"] = [_gap(*pair, ratios) for pair in trained.against(base, "streets")]
    for line in rate_lines(pools):
        k, n = falls_by_rate(line)
        about = Pool([m for p in line for m in p.members[:1]]).observed(ratios)
        told["tab4-monotone-r3"].append({"value": k, "n": n, **about, "domain": f"pruned {about['domain']}", "note": (
            f"{gate.named(line[0].setup)}: no rise in {k} of {n} steps to a higher rate.")})  # fmt: skip
    told["sec32-pruning-leaves-drop-r3"] = _pruned(pools, ratios)
    told["fig4-optima-r3"], told["fig4-optima-insensitive-r3"] = _optima(best, base, ratios)
    return told


def _gap(streets: Pool, other: Pool, ratios: dict[str, float]) -> dict:
    gap = streets_difference(streets, other)
    share = gap.pop("share")
    return {**gap, **trained.observed_pair(streets, other, ratios), "note": (
        f"{gate.named(streets.setup)} minus {gate.unit(other.setup)}: {gap['value']:+.1%} [{gap['low']:+.1%}, "
        f"{gap['high']:+.1%}] at {share:g} of the grid.")}  # fmt: skip


def _pruned(pools: Sequence[Pool], ratios: dict[str, float]) -> list[dict]:
    """Differences by pruned encoders; the paper prunes no decoder alone."""
    facts = []
    for row in pruning_effects(pools).to_dict("records"):
        pool = next(p for p in pools if all(getattr(p.setup, k) == row[k] for k in (
            "domain", "model", "prune_encoder", "prune_decoder")))  # fmt: skip
        if row["prune_encoder"]:
            facts.append({**{k: row[k] for k in ("value", "low", "high")}, **pool.units, **pool.observed(ratios),
                          "note": f"{gate.named(pool.setup)}: drop {row['value']:+.2%} [{row['low']:+.2%}, "
                                  f"{row['high']:+.2%}] against unpruned."})  # fmt: skip
    return facts


def _optima(best: pd.DataFrame, base: Sequence[Pool], ratios: dict[str, float]) -> tuple[list[dict], list[dict]]:
    about = {(p.setup.domain, p.setup.model): p.observed(ratios) for p in base}
    where, moves = [], []
    for key, own in best.groupby(["domain", "model"], sort=False):
        name, k = gate.MODELS[key[1]], int(own["inside"].sum())
        where.append(
            {
                "value": k,
                "n": len(own),
                **about[key],
                "note": (
                    f"{about[key]['domain']}, {name}: {k} of {len(own)} optima at a quarter to a half of the grid."
                ),
            }
        )
        if own["prune_rate"].nunique() > 1:
            spread = int(own["step"].max() - own["step"].min())
            moves.append(
                {
                    "value": int(spread <= 1),
                    "n": 1,
                    **about[key],
                    "note": (
                        f"{about[key]['domain']}, {name}: {spread} steps over {own['prune_rate'].nunique()} rates."
                    ),
                }
            )
    return where, moves


def pruning_effects(pools: Sequence[Pool], share: float = 0.5) -> pd.DataFrame:
    """Return one row per pruned setup: drop at a share of the grid minus that of its unpruned parent, same pictures.

    domain, kind, model, prune_encoder, prune_decoder, value, low, high, `parent` and `own` (the drops), and `cost`, the
    relative mIoU-drop by pruning alone at the full grid. Setups without a measured parent are left out.
    """
    parents = {(p.setup.domain, p.setup.model): p for p in pools if p.setup.is_baseline}
    rows = []
    for pool in pools:
        n = pool.setup
        if not (n.prune_encoder or n.prune_decoder) or (n.domain, n.model) not in parents:
            continue
        parent, own = trained.shared(parents[n.domain, n.model], pool)
        (a, drawn_a), (b, drawn_b) = (drop(p, "bilinear", at_share(p, share)) for p in (parent, own))
        rows.append({
            **trained.who(n), "prune_encoder": n.prune_encoder,
            "prune_decoder": n.prune_decoder, "parent": a, "own": b, "cost": trained.drop_draws(parent, own)[0],
            **statistics.estimate(b - a, drawn_b - drawn_a),
        })  # fmt: skip
    return pd.DataFrame(rows)


def boundary_drops(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return relative drops of boundary mIoU by LRG, beside those of mIoU: domain, kind, model, share, metric, value.

    Boundary regions are 2 % of the frame's diagonal wide (Eq. 33). Means over seeds.
    """
    rows = []
    for pool in pools:
        edges = {c: np.mean([boundary_miou(e, pool.scored) for e in pool.stack(
                     lambda m, c=c: m.arrays["boundary"][trained.condition(m, *c)])])
                 for c in steps(pool)}  # fmt: skip
        whole = edges[FULL, grid(pool)]
        who = trained.who(pool.setup)
        for (method, size), edge in edges.items():
            at = {**who, "share": (size - 1) / (grid(pool) - 1)}
            rows.append({**at, "metric": "boundary mIoU", "value": (whole - edge) / whole})
            rows.append({**at, "metric": "mIoU", "value": drop(pool, method, size)[0]})
    return pd.DataFrame(rows)


def quality(found: Sequence[Measured], scored_by: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per baseline setup: mIoU (value, low, high), the best colour histogram's, ratio, boundary.

    `found` are records of truncation, `scored_by` those of networks: the histogram's mIoU, boundary_miou and the ratio
    (of the network's mean to the histogram's) are over the folds and seeds there, NaN where they are lacking.
    """
    rows = []
    for pool in trained.pools(found):
        names = {m.network.name for m in pool.members}
        tables = [m.rows for m in scored_by if m.network.name in names]
        own = [t[(t["metric"] == "miou") & (t["predictor"] == "network")]["value"].max() for t in tables]
        colour = [t[(t["metric"] == "miou") & (t["predictor"] != "network")]["value"].max() for t in tables]
        edge = [t[t["metric"] == "boundary_miou"]["value"].max() for t in tables]
        miou = statistics.estimate(*trained.miou_draws(pool))
        colour_miou, own_miou, edge_miou = (float(np.mean(x)) if x else float("nan") for x in (colour, own, edge))
        rows.append({**pool.describe(), **miou, "colour": colour_miou, "ratio": own_miou / colour_miou,
                     "boundary": edge_miou})  # fmt: skip
    return pd.DataFrame(rows)


def retrained(found: Sequence[Measured]) -> pd.DataFrame:
    """Return what going on with the training at an LRG gives back, against a control that went on with the full grid.

    `found` are truncation's records of networks that start "frozen". One row a setup and LRG: domain, kind, model,
    lrg_size, share, `truncated` (the control's drop when it is only truncated), `trained` (the drop from the control of
    the network trained there), and value, low, high of their difference, on the same pictures. Empty where none is.
    """
    pools = trained.pools(found)
    control = {(p.setup.domain, p.setup.model): p for p in pools if not p.setup.lrg_size}
    rows = []
    for pool in pools:
        n = pool.setup
        if not n.lrg_size or (n.domain, n.model) not in control:
            continue
        base, own = trained.shared(control[n.domain, n.model], pool)
        there = trained.under("bilinear", n.lrg_size)
        (a, drawn_a), (b, drawn_b) = (trained.drop_draws(base, p, None, there) for p in (base, own))
        rows.append({**trained.who(n), "lrg_size": n.lrg_size, "share": (n.lrg_size - 1) / (grid(base) - 1),
                     "truncated": a, "trained": b, **statistics.estimate(a - b, drawn_a - drawn_b)})  # fmt: skip
    return pd.DataFrame(rows)


def given_back(found: Sequence[Measured], ratios: dict[str, float]) -> list[dict]:
    """Return the share of the drop at an eighth of the grid that further training there gives back, one a setup.

    `found` as for `retrained`. The interval is over pictures; trainings are the units, which fewer than three leave
    open: how far two of one start lie apart is not known.
    """
    pools = trained.pools(found)
    control = {(p.setup.domain, p.setup.model): p for p in pools if not p.setup.lrg_size}
    facts = []
    for pool in (p for p in pools if p.setup.lrg_size and (p.setup.domain, p.setup.model) in control):
        base, own = trained.shared(control[pool.setup.domain, pool.setup.model], pool)
        if pool.setup.lrg_size != at_share(base, 0.125):
            continue
        there = trained.under("bilinear", pool.setup.lrg_size)
        (a, drawn_a), (b, drawn_b) = (trained.drop_draws(base, p, None, there) for p in (base, own))
        share = statistics.estimate((a - b) / a, (drawn_a - drawn_b) / drawn_a)
        origins = Pool([m._replace(network=m.network.origin) for m in own.members])
        facts.append({**share, "null": 0.0, "over": "trainings", "units": len(own.keys), **origins.observed(ratios),
                      "note": f"{gate.named(origins.setup)}: truncated {a:.1%}, trained on there {b:.1%}: "
                      f"{share['value']:.0%} [{share['low']:.0%}, {share['high']:.0%}] given back."})  # fmt: skip
    return facts
