"""Records of the trained networks as tidy tables, pooled over folds, with intervals.

Networks that differ in fold and seed alone are one setup. Its folds' pictures are put side by side, its seeds averaged;
intervals (95 %) resample clusters of pictures (tiles, stretches of a drive, pictures) and seeds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.evidence.records import Record
from specseg.measure import loss as loss_study
from specseg.measure.truncation import FULL, boundary_miou
from specseg.nets import protocol
from specseg.nets.networks import Network, of_settings
from specseg.study import gate

KINDS = ("objects", "land cover", "streets")  # of domains; as the paper's PASCAL, DeepGlobe, Cityscapes
PAPER_KIND = {"pascal": "objects", "deepglobe": "land cover", "cityscapes": "streets"}


class Measured(NamedTuple):
    """One network's measurement: its record's rows and arrays. `record` is None for one made on the spot."""

    network: Network
    rows: pd.DataFrame
    arrays: dict[str, np.ndarray]
    record: Record | None = None


def read(experiment: str, profile: str = "standard", **settings) -> list[Measured]:
    """Return the newest record of each network of an experiment with these settings, in the protocol's order.

    Networks that went on with a frozen backbone are given only if asked for (start="frozen"): the rest have no part in
    their question.
    """
    newest = {r.meta["settings"].get("name"): r for r in records.find(experiment, profile=profile, **settings)}
    order = {n.name: k for k, n in enumerate(protocol.networks(profile))}
    found = [Measured(of_settings(r.meta["settings"]), r.rows, r.probe(), r) for r in newest.values()]
    found = [m for m in found if m.network.start == settings.get("start", "") or m.network.start == "trained"]
    return sorted(found, key=lambda m: order.get(m.network.name, len(order)))


def witness(measured: Sequence[Measured]) -> Record | None:
    """Return the record to name beside a number that rests on several: a stale one if there is any, else the newest."""
    known = [m.record for m in measured if m.record]
    stale = [r for r in known if r.freshness() != "fresh"]
    return (stale or known or [None])[-1]


def setup(network: Network) -> Network:
    """Return a network with fold and seed 0: what all folds and seeds of one setup share."""
    return replace(network, fold=0, seed=0)


def who(network: Network) -> dict[str, str]:
    """Return the columns domain, kind and model of a network."""
    return {"domain": network.domain, "kind": domain(network.domain).kind, "model": network.model}


Take = Callable[[Measured], np.ndarray] | None
Drawn = tuple[float | np.ndarray, np.ndarray]  # a value, and its draws


class Pool:
    """The measurements of one setup: `by_seed` holds, for every seed, one measurement per fold, in the same order.

    Seeds that lack a fold which another has are left out.
    """

    def __init__(self, measured: Sequence[Measured]) -> None:
        table = {(m.network.seed, m.network.fold): m for m in measured}
        folds = {s: sorted(f for t, f in table if t == s) for s in sorted({s for s, _ in table})}
        best = max(folds.values(), key=len)
        self.folds, self.seeds = best, [s for s in folds if folds[s] == best]
        self.by_seed = [[table[s, f] for f in best] for s in self.seeds]
        self.setup = setup(self.by_seed[0][0].network)

    @cached_property
    def members(self) -> list[Measured]:
        """All measurements that are pooled."""
        return [m for part in self.by_seed for m in part]

    @cached_property
    def keys(self) -> set[tuple[int, int]]:
        """The (fold, seed) of each member."""
        return {(m.network.fold, m.network.seed) for m in self.members}

    @cached_property
    def names(self) -> list[str]:
        """The pictures, folds side by side, equal for every seed. Raises ValueError where seeds saw others."""
        names = [[str(n) for m in part for n in m.arrays["names"]] for part in self.by_seed]
        if any(other != names[0] for other in names[1:]):
            raise ValueError(f"{self.setup.name}: the records of seeds {self.seeds} hold different pictures")
        return names[0]

    @cached_property
    def clusters(self) -> list[str]:
        """The cluster of each picture, with its fold before it."""
        part = self.by_seed[0]
        return [f"f{m.network.fold} {c}" for m in part for c in m.arrays["clusters"]]

    @cached_property
    def draws(self) -> np.ndarray:
        """How often each draw takes each picture; the same for every setup of a domain, independent between domains."""
        seed = zlib.crc32(f"{self.setup.domain} 1.0".encode())
        return scores.weights(self.clusters, seed=seed)

    @cached_property
    def scored(self) -> list[int]:
        """Indices of the scored classes."""
        return [int(c) for c in self.by_seed[0][0].arrays["scored"]]

    def observed(self, ratios: dict[str, float]) -> dict:
        """Return the fields of any observation of this setup: its domain, and why it sets no verdict, if it does not.

        `ratios` is what `quality` gives.
        """
        out = gate.untrained([m.network for m in self.members], ratios)
        return {"domain": gate.unit(self.setup), **({"left_out": out} if out else {})}

    @cached_property
    def units(self) -> dict:
        """What this setup's intervals resample, and how many of them there are."""
        return {"over": "clusters", "units": len(set(self.clusters))}

    def stack(self, take: Take) -> list[np.ndarray]:
        """Return per seed what `take` gives of each fold (pictures first), folds put side by side."""
        _ = self.names
        return [np.concatenate([take(m) for m in part]) for part in self.by_seed]

    def over_seeds(self, value: Callable[[np.ndarray | None, int], np.ndarray]) -> Drawn:
        """Return the mean over seeds of value(None, k), and its draws: value(draws, k) with seeds drawn too."""
        each = np.stack([value(None, k) for k in range(len(self.seeds))])
        drawn = np.stack([value(self.draws, k) for k in range(len(self.seeds))])  # (seeds, draws, ...)
        return each.mean(0), scores.mean_anew(drawn, seed=zlib.crc32(self.setup.domain.encode()) + 1)

    def describe(self) -> dict:
        """Return the columns by which rows of this setup are told apart, and how much stands behind them."""
        n = self.setup
        return {
            **who(n),
            "annotation": n.annotation, "block_nu_max": n.nu_max, "prune_encoder": n.prune_encoder,
            "prune_decoder": n.prune_decoder, "trained_lrg": n.lrg_size, "images": n.images,
            "folds": len(self.folds), "seeds": len(self.seeds), "n": len(self.names),
            "clusters": len(set(self.clusters)),
        }  # fmt: skip


def pools(found: Sequence[Measured], **where) -> list[Pool]:
    """Return one Pool per setup, in order of appearance; `where` keeps networks whose fields have these values."""
    kept = [m for m in found if all(getattr(m.network, k) == v for k, v in where.items())]
    order = dict.fromkeys(setup(m.network) for m in kept)
    return [Pool([m for m in kept if setup(m.network) == key]) for key in order]


def streets_against(pools: Sequence[Pool]) -> list[tuple[Pool, Pool]]:
    """Return every setup on streets beside each setup of another kind of scene with the same model."""
    own, others = ([p for p in pools if (p.setup.home.kind == "streets") == same] for same in (True, False))
    return [(a, b) for a in own for b in others if a.setup.model == b.setup.model]


def observed_pair(one: Pool, two: Pool, ratios: dict[str, float]) -> dict:
    """Return the fields of an observation that compares two setups: domain, left_out, and the units of the smaller."""
    kinds = (gate.unit(p.setup) for p in (one, two))
    out = [t for p in (one, two) if (t := p.observed(ratios).get("left_out"))]
    units = min((p.units for p in (one, two)), key=lambda u: u["units"])
    return {"domain": " against ".join(kinds), **units, **({"left_out": out[0]} if out else {})}


def plain(found: Sequence[Measured]) -> list[Measured]:
    """Return the baselines: fully annotated, unpruned, decoder on the full grid."""
    return [m for m in found if m.network.is_baseline]


def counts(measured: Measured, method: str = FULL, lrg_size: int | None = None) -> np.ndarray:
    """Return counts (pictures, C, 3) of a record of networks, block_annotation, or of truncation under a condition.

    Raises ValueError that names the network when it was not measured under that condition.
    """
    array = measured.arrays["counts"]
    return array if array.ndim == 3 else array[condition(measured, method, lrg_size)]


def under(method: str = FULL, lrg_size: int | None = None) -> Callable[[Measured], np.ndarray]:
    """Return what takes the `counts` of a record under a condition."""
    return partial(counts, method=method, lrg_size=lrg_size)


def condition(measured: Measured, method: str = FULL, lrg_size: int | None = None) -> int:
    """Return the index of a truncation condition (without an LRG size: the only one of that method)."""
    pairs = zip(measured.arrays["methods"], measured.arrays["lrg_sizes"], strict=True)
    hits = [k for k, (m, s) in enumerate(pairs) if str(m) == method and lrg_size in (None, int(s))]
    if len(hits) != 1:
        raise ValueError(f"{measured.network.name}: {len(hits)} conditions {method} at LRG {lrg_size}: expected one")
    return hits[0]


def conditions(pool: Pool) -> list[tuple[str, int]]:
    """Return the truncation conditions that all members were measured under, in order."""
    each = [list(zip(map(str, m.arrays["methods"]), map(int, m.arrays["lrg_sizes"]), strict=True))
            for m in pool.members]  # fmt: skip
    return [c for c in each[0] if all(c in other for other in each[1:])]


def miou_draws(pool: Pool, take: Take = None) -> Drawn:
    """Return a setup's mIoU over scored classes, mean over seeds, and its draws; `take` gives a record's counts."""
    arrays = pool.stack(take or counts)
    value, drawn = pool.over_seeds(lambda w, k: scores.miou(scores.pooled(arrays[k], w), pool.scored))
    return float(value), drawn


def drop_draws(before: Pool, after: Pool, take_before: Take = None, take_after: Take = None) -> Drawn:
    """Return the relative mIoU-drop from one setup (or condition) to another, and its draws, on the same pictures.

    `take_before` and `take_after` give a record's counts (default: `counts`, the full grid).
    Folds and seeds that only one of them has are left out. Raises ValueError when none is common.
    """
    before, after = shared(before, after)
    a, b = before.stack(take_before or counts), after.stack(take_after or counts)

    def drop(w: np.ndarray | None, k: int) -> np.ndarray:
        one, two = (scores.miou(scores.pooled(x[k], w), before.scored) for x in (a, b))
        with np.errstate(invalid="ignore", divide="ignore"):  # a network that gets nothing right has no drop
            return (one - two) / one

    value, drawn = before.over_seeds(drop)
    return float(value), drawn


def compared(one: Drawn, two: Drawn, by: np.ufunc = np.subtract) -> dict[str, float]:
    """Return value, low, high of the difference (or ratio) of two numbers on the same draws."""
    return scores.estimate(float(by(one[0], two[0])), by(one[1], two[1]))


def shared(one: Pool, two: Pool) -> tuple[Pool, Pool]:
    """Return two setups with the folds and seeds that both have. Raises ValueError when they share none."""
    if not (both := one.keys & two.keys):
        raise ValueError(f"{one.setup.name} and {two.setup.name}: no fold and seed in common")
    kept = [Pool([m for m in p.members if (m.network.fold, m.network.seed) in both]) for p in (one, two)]
    if kept[0].names != kept[1].names:
        raise ValueError(f"{one.setup.name} and {two.setup.name}: their records hold different pictures")
    return kept[0], kept[1]


def drops(found: Sequence[Measured] | None = None, profile: str = "standard", **where) -> pd.DataFrame:
    """Return one row per setup x method x lrg_size: relative mIoU-drop `value`, low, high, against its own full grid.

    Beside them `grid` (prediction grid), `share` = (lrg_size - 1)/(grid - 1), miou and
    boundary_miou (NaN where not measured), and the columns of `Pool.describe`.
    """
    rows = []
    for pool in pools(read("truncation", profile) if found is None else found, **where):
        known = conditions(pool)
        grid = dict(known)[FULL]
        for method, size in known:
            drawn = drop_draws(pool, pool, counts, under(method, size))
            miou, _ = miou_draws(pool, under(method, size))
            edges = pool.stack(lambda m, c=(method, size): m.arrays["boundary"][condition(m, *c)])
            measured = min(e.max() for e in edges) >= 0
            edge = float(np.mean([boundary_miou(e, pool.scored) for e in edges])) if measured else float("nan")
            rows.append({**pool.describe(), "method": method, "lrg_size": size, "grid": grid,
                         "share": (size - 1) / (grid - 1), **scores.estimate(*drawn), "miou": miou,
                         "boundary_miou": edge})  # fmt: skip
    return pd.DataFrame(rows)


def beside(theirs: pd.DataFrame, ours: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the paper's rows above ours, one line each: index kind, model, domain; a column a value of `column`."""
    both = pd.concat([theirs.assign(who=0), ours.assign(who=1)])
    for key, order in (("kind", KINDS), ("model", list(gate.MODELS))):
        both[f"{key} rank"] = both[key].map(order.index)
    wide = both.pivot_table("value", ["kind rank", "model rank", "who", "kind", "model", "domain"], column)
    return wide.droplevel([0, 1, 2])[sorted(wide.columns, reverse=True)]


def rate_draws(pool: Pool, variant: str, average: str = "ratio_of_means") -> Drawn:
    """Return R_ce at each limit, (K,), mean over seeds, and its draws (draws, K). Raises ValueError for a variant."""
    if variant not in (known := [str(v) for v in pool.members[0].arrays["variants"]]):
        raise ValueError(f"variant {variant!r}: expected one of {', '.join(known)}")
    at = known.index(variant)
    total = pool.stack(lambda m: m.arrays["total"][at].astype(float))
    tail = pool.stack(lambda m: m.arrays["tail"][at].astype(float))
    return pool.over_seeds(lambda w, k: loss_study.rates_of(total[k], tail[k], average=average, weights=w))


def limits(pool: Pool) -> list[int]:
    """Return the band limits at which R_ce was measured, largest first."""
    return [int(n) for n in pool.members[0].arrays["limits"]]


def rates(found: Sequence[Measured] | None = None, profile: str = "standard", **where) -> pd.DataFrame:
    """Return R_ce: one row per setup x variant x average x nu_max with value, low, high; what was not measured is out.

    `nu_max` is the band limit of Eq. 10; that of block annotation is `block_nu_max`.
    """
    rows = []
    for pool in pools(read("loss_in_frequency", profile) if found is None else found, **where):
        for variant in map(str, pool.members[0].arrays["variants"]):
            for average in ("ratio_of_means", "mean_of_ratios"):
                value, drawn = rate_draws(pool, variant, average)
                rows += [{**pool.describe(), "variant": variant, "average": average, "nu_max": nu,
                          **scores.estimate(value[k], drawn[:, k])}
                         for k, nu in enumerate(limits(pool)) if np.isfinite(value[k])]  # fmt: skip
    return pd.DataFrame(rows)
