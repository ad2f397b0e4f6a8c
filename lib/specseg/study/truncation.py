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
from specseg.study import trained
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


def monotone(pools: Sequence[Pool]) -> tuple[int, int]:
    """Return (steps in which the mIoU does not rise, steps): to the next smaller LRG, and to the next pruning rate.

    Rates are compared at every LRG size, on the folds and seeds that both have.
    """
    held, total = 0, 0
    for pool in pools:
        scores = [trained.miou_draws(pool, trained.under(*c))[0] for c in steps(pool)]
        held += sum(b <= a for a, b in zip(scores, scores[1:], strict=False))
        total += len(scores) - 1
    for line in rate_lines(pools):
        for less, more in zip(line, line[1:], strict=False):
            for c in steps(less):
                fall, _ = trained.drop_draws(less, more, trained.under(*c), trained.under(*c))
                held, total = held + (fall >= 0), total + 1
    return int(held), total


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


def streets_difference(pools: Sequence[Pool], largest: float = 0.5) -> dict[str, float]:
    """Return the smallest difference of the drop on streets to the larger of the other kinds', from `largest` down.

    `pools` are those of one model, one of each kind: value, low, high, and the share where it is smallest.
    Raises ValueError when a kind is missing or comes twice.
    """
    by_kind = trained.one_of_each_kind(pools, "streets_difference")
    streets = by_kind["streets"]
    shares = [(s - 1) / (grid(streets) - 1) for s in sizes(streets)]
    found = []
    for share in (s for s in shares if s <= largest):
        (value, drawn), *others = [
            drop(by_kind[k], "bilinear", at_share(by_kind[k], share)) for k in ("streets", "objects", "land cover")
        ]
        gap = value - max(v for v, _ in others)
        found.append((gap, drawn - np.max([d for _, d in others], axis=0), share))
    gap, drawn, share = min(found, key=lambda f: f[0])
    return {**statistics.estimate(gap, drawn), "share": share}


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


def retrained(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return, for setups trained at an LRG, the drop from the full-grid baseline: trained there, and truncated there.

    domain, kind, model, lrg_size, share, `trained` with its low and high, `truncated`. Empty where none was trained.
    """
    parents = {(p.setup.domain, p.setup.model): p for p in pools if p.setup.is_baseline}
    rows = []
    for pool in pools:
        n = pool.setup
        if not n.lrg_size or (parent := parents.get((n.domain, n.model))) is None:
            continue
        own = statistics.estimate(*trained.drop_draws(parent, pool, None, trained.under("bilinear", n.lrg_size)))
        rows.append({
            **trained.who(n), "lrg_size": n.lrg_size,
            "share": (n.lrg_size - 1) / (grid(parent) - 1), "trained": own["value"], "low": own["low"],
            "high": own["high"], "truncated": drop(trained.shared(parent, pool)[0], "bilinear", n.lrg_size)[0],
        })  # fmt: skip
    return pd.DataFrame(rows)
