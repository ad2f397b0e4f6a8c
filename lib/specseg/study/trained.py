"""Records of the trained networks as tidy tables, pooled over folds, with intervals.

Networks that differ in fold and seed alone are one setup. Its folds' pictures are put side by side, its seeds averaged;
intervals (95 %) resample clusters of pictures (tiles, stretches of a drive, pictures) and seeds. A *drawn* number is an
array whose row 0 is what was measured and whose other rows are its draws: whatever is computed of drawn numbers has its
draws too. Numbers of one test have the same draws of its pictures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.evidence.records import Record
from specseg.measure.loss import VARIANTS, rates_of
from specseg.measure.truncation import FULL, boundary_miou
from specseg.nets import protocol
from specseg.nets.networks import Network, of_settings
from specseg.nets.third_party.protocol import Unit
from specseg.study import gate

KINDS = ("objects", "land cover", "streets")  # of domains; as the paper's PASCAL, DeepGlobe, Cityscapes
PAPER_KIND = {"pascal": "objects", "deepglobe": "land cover", "cityscapes": "streets"}
PLAIN, MEANS = "periodic", "ratio_of_means"  # the main reading of R_ce
AVERAGES = (MEANS, "mean_of_ratios")


def estimate(drawn: np.ndarray) -> dict[str, float]:
    """Return value, low, high of a drawn number."""
    return scores.estimate(float(drawn[0]), drawn[1:])


class Measured(NamedTuple):
    """One network's measurement: its record's rows and arrays. `record` is None for one made on the spot."""

    network: Network | Unit
    rows: pd.DataFrame
    arrays: dict[str, np.ndarray]
    record: Record | None = None

    @property
    def conditions(self) -> list[tuple[str, int]]:
        """Method and LRG size of each condition of truncation."""
        return list(zip(map(str, self.arrays["methods"]), map(int, self.arrays["lrg_sizes"]), strict=True))

    def condition(self, method: str = FULL, lrg_size: int | None = None) -> int:
        """Return the index of a condition of truncation (without an LRG size: the only one of that method).

        Raises ValueError that names the network when it was not measured under that condition.
        """
        hits = [k for k, (m, s) in enumerate(self.conditions) if m == method and lrg_size in (None, s)]
        if len(hits) != 1:
            raise ValueError(f"{self.network.name}: {len(hits)} conditions {method} at LRG {lrg_size}: expected one")
        return hits[0]

    def counts(self, *where) -> np.ndarray:
        """Return counts (pictures, C, 3), of a record of truncation under a condition (the full grid by default)."""
        array = self.arrays["counts"]
        return array if array.ndim == 3 else array[self.condition(*where)]

    def losses(self, variant: str) -> np.ndarray:
        """Return each picture's loss, and its tail beyond each limit: (pictures, 1 + limits), in the order of `names`.

        Raises ValueError for a variant.
        """
        known = [str(v) for v in self.arrays.get("variants", VARIANTS)]
        if variant not in known:
            raise ValueError(f"variant {variant!r}: expected one of {', '.join(known)}")
        both = np.column_stack([self.arrays[a][known.index(variant)] for a in ("total", "tail")]).astype(float)
        place = {str(n): k for k, n in enumerate(self.arrays.get("loss_names", self.arrays["names"]))}
        return both[[place[str(n)] for n in self.arrays["names"]]]


def read(experiment: str, profile: str = "standard", **settings) -> list[Measured]:
    """Return the newest record of each network of an experiment with these settings, in the protocol's order.

    Networks that went on with a frozen backbone are given only if asked for (start="frozen"): the rest have no part in
    their question.
    """
    newest = {of_settings(r.meta["settings"]): r for r in records.find(experiment, profile=profile, **settings)
              if "domain" in r.meta["settings"]}  # fmt: skip
    order = {n.name: k for k, n in enumerate(protocol.networks(profile))}
    found = [Measured(n, r.rows, r.probe(), r) for n, r in newest.items()]
    found = [m for m in found if m.network.start == settings.get("start", "") or m.network.start == "trained"]
    return sorted(found, key=lambda m: order.get(m.network.name, len(order)))


def witness(measured: Sequence[Measured]) -> Record:
    """Return the record to name beside a number that rests on several: a stale one if there is any, else the newest."""
    known = [m.record for m in measured if m.record]
    stale = [r for r in known if r.freshness() != "fresh"]
    return (stale or known)[-1]


def setup(network: Network) -> Network:
    """Return a network with fold and seed 0: what all folds and seeds of one setup share."""
    return replace(network, fold=0, seed=0)


def who(network: Network) -> dict[str, str]:
    """Return the columns domain, kind and model of a network."""
    return {"domain": network.domain, "kind": domain(network.domain).kind, "model": network.model}


class Tested:
    """Measurements on the pictures of one test: `by_seed` holds, for every seed, one a fold, in the same order.

    `clusters` says what the draws take of each picture, `salt` from which stream; `name` is for messages.
    """

    by_seed: list[list[Measured]]
    clusters: list[str]
    salt: str
    name: str

    @cached_property
    def members(self) -> list[Measured]:
        """All measurements that are pooled."""
        return [m for part in self.by_seed for m in part]

    @cached_property
    def names(self) -> list[str]:
        """The pictures, folds side by side, equal for every seed. Raises ValueError where seeds saw others."""
        names = [[str(n) for m in part for n in m.arrays["names"]] for part in self.by_seed]
        if any(other != names[0] for other in names[1:]):
            raise ValueError(f"{self.name}: the records of its seeds hold different pictures")
        return names[0]

    @cached_property
    def draws(self) -> np.ndarray:
        """How often each draw takes each picture, under a row of ones; independent between streams."""
        drawn = scores.weights(self.clusters, seed=zlib.crc32(self.salt.encode()))
        return np.vstack([np.ones(len(self.clusters)), drawn])

    @cached_property
    def units(self) -> dict:
        """What the intervals resample, and how many of them there are."""
        return {"over": "clusters", "units": len(set(self.clusters))}

    @property
    def scored(self) -> list[int] | None:
        """Indices of the scored classes; None for all."""
        kept = self.members[0].arrays.get("scored")
        return None if kept is None else [int(c) for c in kept]

    @cached_property
    def conditions(self) -> list[tuple[str, int]]:
        """The truncation conditions that all members were measured under, in order."""
        return [c for c in self.members[0].conditions if all(c in m.conditions for m in self.members)]

    @property
    def grid(self) -> int:
        """Side of the grid that is truncated: of the predictions, or of the last features."""
        return dict(self.conditions)[FULL]

    @cached_property
    def sizes(self) -> list[int]:
        """The LRG sizes at which it was truncated bilinearly, largest first, without the full grid."""
        return [s for m, s in self.conditions if m == "bilinear"]

    @cached_property
    def steps(self) -> list[tuple[str, int]]:
        """The conditions of the main reading: the full grid, then the bilinear LRG sizes, largest first."""
        return [(FULL, self.grid), *(("bilinear", s) for s in self.sizes)]

    @property
    def limits(self) -> list[int]:
        """The band limits at which R_ce was measured, largest first, in cycles per frame."""
        return [int(n) for n in self.members[0].arrays["limits"]]

    def stack(self, take: Callable[[Measured], np.ndarray]) -> list[np.ndarray]:
        """Return per seed what `take` gives of each fold (pictures first), folds put side by side."""
        _ = self.names
        return [np.concatenate([take(m) for m in part]) for part in self.by_seed]

    def mean(self, each: Sequence[np.ndarray]) -> np.ndarray:
        """Return the mean over seeds of a drawn number of each; the draws take seeds anew too."""
        each = np.stack(each)
        seed = zlib.crc32(self.salt.split()[0].encode()) + 1
        return np.concatenate([each[:, 0].mean(0)[None], scores.mean_anew(each[:, 1:], seed=seed)])

    def once(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return what `make` gives, made once for each key."""
        known = self.__dict__.setdefault("_known", {})
        if key not in known:
            known[key] = make()
        return known[key]

    def mious(self, *where) -> list[np.ndarray]:
        """Return each seed's drawn mIoU over scored classes under a condition (default: the full grid)."""
        return self.once(where, lambda: [scores.miou(scores.pooled(c, self.draws), self.scored)
                                         for c in self.stack(lambda m: m.counts(*where))])  # fmt: skip

    def miou(self, *where) -> np.ndarray:
        """Return the drawn mIoU under a condition, mean over seeds."""
        return self.mean(self.mious(*where))

    def drop(self, *where, of: Tested | None = None, base: tuple = ()) -> np.ndarray:
        """Return the drawn relative mIoU-drop from a condition (`base`: the full grid) to another, mean over seeds.

        With `of` to the mIoU of that setup, on the folds and seeds that both have; ValueError where there is none.
        """
        before, after = (self, self) if of is None else shared(self, of)
        with np.errstate(invalid="ignore", divide="ignore"):  # a network that gets nothing right has no drop
            return before.mean([(a - b) / a for a, b in zip(before.mious(*base), after.mious(*where), strict=True)])

    def rates(self, variant: str = PLAIN, average: str = MEANS) -> np.ndarray:
        """Return drawn R_ce at each limit, (1 + draws, limits), mean over seeds. Raises ValueError for a variant."""
        return self.once((variant, average), lambda: self.mean([
            rates_of(x[:, 0], x[:, 1:], average=average, weights=self.draws)
            for x in self.stack(lambda m: m.losses(variant))]))  # fmt: skip

    def rate(self, nu_max: int, variant: str = PLAIN, average: str = MEANS) -> np.ndarray:
        """Return drawn R_ce at one limit."""
        return self.rates(variant, average)[:, self.limits.index(nu_max)]


class Pool(Tested):
    """The measurements of one setup. Seeds that lack a fold which another has are left out."""

    def __init__(self, measured: Sequence[Measured]) -> None:
        table = {(m.network.seed, m.network.fold): m for m in measured}
        folds = {s: sorted(f for t, f in table if t == s) for s in sorted({s for s, _ in table})}
        best = max(folds.values(), key=len)
        self.folds, self.seeds = best, [s for s in folds if folds[s] == best]
        self.by_seed = [[table[s, f] for f in best] for s in self.seeds]
        self.setup = setup(self.by_seed[0][0].network)
        self.name, self.salt = self.setup.name, f"{self.setup.domain} 1.0"

    @cached_property
    def keys(self) -> set[tuple[int, int]]:
        """The (fold, seed) of each member."""
        return {(m.network.fold, m.network.seed) for m in self.members}

    @cached_property
    def clusters(self) -> list[str]:
        """The cluster of each picture, with its fold before it."""
        return [f"f{m.network.fold} {c}" for m in self.by_seed[0] for c in m.arrays["clusters"]]

    def at_share(self, share: float) -> int:
        """Return the LRG size at a share of the prediction grid. Raises ValueError where no grid point lies there.

        The grid of 65 has 64 steps: half of it is 33, an eighth is 9.
        """
        steps = share * (self.grid - 1)
        if abs(steps - round(steps)) > 1e-9:
            raise ValueError(f"{self.name}: no LRG size at {share:g} of its grid of {self.grid}")
        return int(round(steps)) + 1

    def observed(self, ratios: dict[str, float]) -> dict:
        """Return the fields of any observation of this setup: its domain, and why it sets no verdict, if it does not.

        `ratios` is what `gate.quality` gives.
        """
        return gate.about(gate.unit(self.setup), gate.untrained([m.network for m in self.members], ratios))

    def describe(self) -> dict:
        """Return the columns by which rows of this setup are told apart, and how much stands behind them."""
        n = self.setup
        return {
            **who(n),
            "annotation": n.annotation, "block_nu_max": n.nu_max, "prune_encoder": n.prune_encoder,
            "prune_decoder": n.prune_decoder, "trained_lrg": n.lrg_size, "images": n.images,
            "folds": len(self.folds), "seeds": len(self.seeds), "n": len(self.names), "clusters": self.units["units"],
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
    seen = [p.observed(ratios) for p in (one, two)]
    out = [s["left_out"] for s in seen if "left_out" in s]
    units = min((p.units for p in (one, two)), key=lambda u: u["units"])
    return {**gate.about(" against ".join(s["domain"] for s in seen), *out[:1]), **units}


def plain(found: Sequence[Measured]) -> list[Measured]:
    """Return the baselines: fully annotated, unpruned, decoder on the full grid."""
    return [m for m in found if m.network.is_baseline]


def shared(one: Pool, two: Pool) -> tuple[Pool, Pool]:
    """Return two setups with the folds and seeds that both have. Raises ValueError when they share none."""
    if not (both := one.keys & two.keys):
        raise ValueError(f"{one.name} and {two.name}: no fold and seed in common")
    kept = [Pool([m for m in p.members if (m.network.fold, m.network.seed) in both]) for p in (one, two)]
    if kept[0].names != kept[1].names:
        raise ValueError(f"{one.name} and {two.name}: their records hold different pictures")
    return kept[0], kept[1]


def drops(found: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per setup x method x lrg_size: relative mIoU-drop `value`, low, high, against its own full grid.

    Beside them grid, share = (lrg_size - 1)/(grid - 1), miou, boundary_miou (NaN: not measured) and `Pool.describe`.
    """
    rows = []
    for pool in pools(found):
        for method, size in pool.conditions:
            edges = pool.stack(lambda m, c=(method, size): m.arrays["boundary"][m.condition(*c)])
            measured = min(e.max() for e in edges) >= 0
            edge = float(np.mean([boundary_miou(e, pool.scored) for e in edges])) if measured else float("nan")
            rows.append({**pool.describe(), "method": method, "lrg_size": size, "grid": pool.grid,
                         "share": (size - 1) / (pool.grid - 1), **estimate(pool.drop(method, size)),
                         "miou": pool.miou(method, size)[0], "boundary_miou": edge})  # fmt: skip
    return pd.DataFrame(rows)


def beside(theirs: pd.DataFrame, ours: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the paper's rows above ours, one line each: index kind, model, domain; a column a value of `column`."""
    both = pd.concat([theirs.assign(who=0), ours.assign(who=1)])
    both = both.astype({"kind": pd.CategoricalDtype(KINDS), "model": pd.CategoricalDtype([*gate.MODELS])})
    wide = both.pivot_table("value", ["kind", "model", "who", "domain"], column, observed=True)
    return wide.droplevel("who")[sorted(wide.columns, reverse=True)]


def rates(found: Sequence[Measured]) -> pd.DataFrame:
    """Return R_ce: one row per setup x variant x average x nu_max with value, low, high; what was not measured is out.

    `nu_max` is the band limit of Eq. 10; that of block annotation is `block_nu_max`.
    """
    rows = []
    for pool in pools(found):
        for variant in map(str, pool.members[0].arrays["variants"]):
            for average in AVERAGES:
                rows += [{**pool.describe(), "variant": variant, "average": average, "nu_max": nu, **estimate(rate)}
                         for nu, rate in zip(pool.limits, pool.rates(variant, average).T, strict=True)
                         if np.isfinite(rate[0])]  # fmt: skip
    return pd.DataFrame(rows)
