"""Every predictor of the mIoU-drop beside the measured drop, setup by setup and LRG size by LRG size, with joint draws.

A cell is one setup (domain x model x pruning or annotation; folds pooled, seeds averaged) at one band limit. Drop,
R_ce, soft overlaps and label ceilings of a cell stand on the same pictures, and draw k of each takes the same pictures.
Fractions; nu in cycles per frame. Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2, 3.3, A.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.data.label_tables import RULES
from specseg.evidence import statistics as scores
from specseg.nets import flops
from specseg.nets.networks import Network
from specseg.spectral import spectrum as sp
from specseg.study import cost, gate, trained
from specseg.study.trained import Measured, Pool

RATES = {
    "rce": ("periodic", "ratio_of_means"), "rce_images": ("periodic", "mean_of_ratios"),
    "rce_mirrored": ("mirrored", "ratio_of_means"), "rce_mirrored_images": ("mirrored", "mean_of_ratios"),
    "rce_calibrated": ("periodic, calibrated", "ratio_of_means"),
    "rce_mirrored_calibrated": ("mirrored, calibrated", "ratio_of_means"),
    "rce_filled": ("periodic, void filled", "ratio_of_means"),
    "rce_padded": ("periodic, padded frame", "ratio_of_means"),
}  # fmt: skip
LABELS = (*RULES, "advice", "perimeter", "energy")
SOFT = ("overlap", "eq32", "eq29_sign")
COLUMNS = ("drop", "miou", *RATES, *LABELS, *SOFT)


class Found(NamedTuple):
    """Measurements by experiment; of `labels`, one per test set (the fields of a network that it does not have are
    at their defaults)."""

    truncation: list[Measured]
    loss: list[Measured]
    labels: list[Measured]
    blocks: list[Measured]
    networks: list[Measured]


class Cells(NamedTuple):
    """One row a cell in `table`; `drawn` holds each of COLUMNS with its draws, (1 + draws, rows), as measured in row 0.

    Columns of the table: setup, domain, kind, model, lrg_size, nu_max, share of the grid
    (lrg_size - 1)/(grid - 1), lrg (the share turned round, to rank by), full (the whole grid: nothing is truncated),
    gflops, clusters; COLUMNS.
    """

    table: pd.DataFrame
    drawn: dict[str, np.ndarray]

    def where(self, mask) -> Cells:
        """Return the cells of a boolean mask."""
        keep = np.asarray(mask, bool)
        return Cells(self.table[keep].reset_index(drop=True), {k: v[:, keep] for k, v in self.drawn.items()})

    def cut(self, below: float = np.inf) -> Cells:
        """Return the cells where something is truncated, with R_ce below a threshold if it is given."""
        return self.where(~self.table["full"].astype(bool) & (self.table["rce"] < below))

    def parts(self, by: str = "domain") -> dict[str, Cells]:
        """Return the cells of each value of a column, in order of appearance."""
        return {name: self.where(self.table[by] == name) for name in dict.fromkeys(self.table[by])}

    def values(self, drawn: bool = False) -> dict[str, np.ndarray]:
        """Return column -> measured values (rows,); with `drawn`, COLUMNS with their draws (1 + draws, rows)."""
        out = {c: self.table[c].to_numpy() for c in self.table.columns}
        return {**out, **self.drawn} if drawn else out


def read(profile: str = "standard") -> Found:
    """Return the newest measurements of all five experiments."""
    experiments = "truncation", "loss_in_frequency", "labels", "block_annotation", "networks"
    return Found(*(trained.read(e, profile) for e in experiments))


def truncation(found: Found, *, each: bool = False) -> Cells:
    """Return the cells of feature truncation (Fig. 5, bilinear): all setups that have truncation, loss and labels.

    With `each`, every network by itself, a fold and a seed; `setup` is then its name.

    Networks trained with a truncated decoder are left out, and those that fail the protocol's gate. Setups come in
    the order of the protocol.
    """
    parts = []
    for pool in [Pool([m]) for m in _able(found)] if each else trained.pools(_able(found)):
        if joined := _joined(pool, found):
            cut = joined[0]
            drawn = {"drop": np.stack([cut.drop(*c) for c in cut.steps], -1),
                     "miou": np.stack([cut.miou(*c) for c in cut.steps], -1)}  # fmt: skip
            parts.append(_cells(joined, [s for _, s in cut.steps], drawn))
            if each:
                parts[-1].table["setup"] = pool.members[0].network.name
    return _together(parts)


def blocks(found: Found) -> Cells:
    """Return the cells of block-wise annotation (Fig. 7): drop from the fully labelled network, whose R_ce is `rce`.

    Majority blocks alone, where the fully labelled network has test counts (of truncation or networks), and loss and
    label records of the same pictures exist.
    """
    parts = []
    for base, pool in pairs(found):
        if joined := _joined(base, found):
            full, weak = trained.shared(joined[0], pool)
            drawn = {"drop": full.drop(of=weak)[:, None], "miou": weak.miou()[:, None]}
            parts.append(_cells(_joined(full, found), [sp.lrg_size(pool.setup.nu_max)], drawn, cut=False))
    return _together(parts)


def pairs(found: Found) -> list[tuple[Pool, Pool]]:
    """Return every setup trained on blocks after its fully labelled one, on the folds and seeds that both have."""
    whole = {p.setup: p for source in (found.truncation, found.networks) for p in trained.pools(source)}
    both = ((whole.get(replace(p.setup, annotation="full", nu_max=0)), p)
            for p in trained.pools(found.blocks, annotation="block"))  # fmt: skip
    return [trained.shared(base, pool) for base, pool in both if base and base.keys & pool.keys]


def classes(found: Found) -> pd.DataFrame:
    """Return one row per setup and scored class at half of the grid: what the class loses and what predicts it.

    Columns setup, domain, kind, class, drop (of its IoU), rce (its own tail over its own loss, periodic), the
    ceilings' drops, area (share of the frame). Classes that the network never finds are left out.
    """
    rows = []
    for pool in trained.pools(_able(found)):
        if (joined := _joined(pool, found)) is None:
            continue
        cut, loss, labels = joined
        size = cut.at_share(0.5)
        nu, known = sp.nu_max(size), [int(s) for s in labels.members[0].arrays["lrg_sizes"]]
        full, after = (np.mean([scores.iou(x.sum(0)) for x in cut.stack(lambda m, c=c: m.counts(*c))], 0)
                       for c in ((), ("bilinear", size)))  # fmt: skip
        rims = np.mean([m.arrays["class_rims"][0].astype(float) for m in loss.members], 0)
        weak = {k: scores.iou(sum(m.arrays["counts"][j, known.index(size)].sum(0) for m in labels.members))
                for j, k in enumerate(map(str, labels.members[0].arrays["kinds"]))}  # fmt: skip
        (truth,) = labels.stack(lambda m: m.arrays["counts"][0, 0][..., 1])
        names = cut.members[0].rows.query("metric == 'iou' and method == 'full'")["class"]
        for c, name in zip(cut.scored, names, strict=True):
            if full[c] > 0 and rims[c].sum() > 0:
                rows.append({"setup": _setup(cut.setup), "domain": cut.setup.domain, "class": name,
                             "kind": cut.describe()["kind"],
                             "drop": 1 - after[c] / full[c], "rce": abs(rims[c, nu + 1 :].sum()) / rims[c].sum(),
                             **{k: 1 - v[c] for k, v in weak.items()},
                             "area": truth[:, c].sum() / len(truth) / cut.setup.size**2})  # fmt: skip
    return pd.DataFrame(rows)


def _able(found: Found) -> list[Measured]:
    """All that pass the protocol's gate, with their whole decoder; one that goes on from another is no further case."""
    return [m for m in gate.able(found.truncation, found.networks) if not (m.network.lrg_size or m.network.start)]


def _setup(n: Network) -> str:
    return f"{n.domain} {n.model}"


def _joined(pool: Pool, found: Found) -> tuple[Pool, Pool, Pool] | None:
    """Return test counts, loss and labels of a setup on the same pictures, or None where one of them is missing."""
    own = [m for m in found.loss if trained.setup(m.network) == pool.setup and Pool([m]).keys <= pool.keys]
    if not own:
        return None
    pool, loss = trained.shared(pool, Pool(own))
    n = pool.setup
    tests = {m.network.fold: m for m in found.labels if (m.network.domain, m.network.size) == (n.domain, n.size)}
    if not set(pool.folds) <= set(tests):
        return None
    labels = Pool([tests[f] for f in pool.folds])
    if labels.names != pool.names:
        raise ValueError(f"{n.name}: its label record holds other pictures than its networks were tested on")
    return pool, loss, labels


def _ceilings(labels: Pool, sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return what the labels of the test predict at each LRG size: drops by ceilings, the perimeter law, energy.

    `advice` is the adviser's: mirrored band-limited labels against those of the whole prediction grid.
    """
    first, out = labels.members[0].arrays, {}
    known, kinds = [int(s) for s in first["lrg_sizes"]], [str(k) for k in first["kinds"]]
    at, grid = [known.index(s) for s in sizes], known.index((labels.setup.size - 1) // 4 + 1)
    for kind in RULES:
        (counts,) = labels.stack(lambda m, k=kind: np.moveaxis(m.arrays["counts"][kinds.index(k)], 1, 0))
        kept = [scores.miou(scores.pooled(counts[:, j], labels.draws), labels.scored) for j in (*at, grid)]
        out[kind] = 1 - np.stack(kept[:-1], -1)
    out["advice"] = 1 - (1 - out[kind]) / kept[-1][:, None]  # the last kind is band_mirrored
    (density,), (beyond,) = (labels.stack(lambda m, k=k: m.arrays[k].T.astype(float)) for k in ("density", "beyond"))
    mean = labels.draws / labels.draws.sum(1, keepdims=True)
    out["perimeter"] = (mean @ density)[:, None] / (np.array(sizes, float) - 1)  # over the blocks a side
    return out | {"energy": (mean @ beyond)[:, at]}


def _soft(pool: Pool, loss: Pool, sizes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the drops of Eqs 27 to 32 at each LRG size, means over scored classes that occur.

    overlap: the mean soft IoU with the overlap cut to the symmetric box (Eqs 27, 29 mended). eq32: as printed, with
    each class's loss; eq29_sign: Eq. 29 with p1 = b(0) - L, p2 = b(0) - truncated L (Eqs 30, 31 with their sign). The
    class losses are means over pictures, so these two do not vary between draws.
    """
    at = [loss.limits.index(sp.nu_max(s)) for s in sizes]
    soft, counts = loss.stack(lambda m: m.arrays["soft"].astype(float)), pool.stack(Measured.counts)
    sides, n = pool.setup.size**2, len(pool.names)
    rims = [sum(m.arrays["class_rims"][0].astype(float) * len(m.arrays["names"]) for m in part) / n
            for part in loss.by_seed]  # fmt: skip

    def overlap(k: int) -> np.ndarray:
        p = np.tensordot(pool.draws, soft[k], 1)[..., pool.scored, :]
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = np.nanmean(p[..., :-1] / (p[..., -1:] - p[..., :-1]), axis=-2)
        return 1 - iou[..., at] / iou[..., -1:]

    def chain(k: int) -> np.ndarray:
        area = soft[k][:, pool.scored, -1].mean(0)
        share = counts[k][:, pool.scored, 1].sum(0) / sides / n
        total = rims[k][pool.scored].sum(1)
        there = (share > 0) & (total > 0)
        b, loss_c, s0 = (x[there, None] for x in (share, total, area - share))
        kept = np.stack([rims[k][pool.scored][:, : sp.nu_max(s) + 1].sum(1) for s in sizes], 1)[there]
        printed = 1 / (1 + kept / s0) * np.abs(1 - kept / loss_c)  # the truncated loss of Eqs 31, 32 is -kept
        p1, p2, c = b - loss_c, b - kept, b + s0
        return np.stack([printed.mean(0), (c / (c - p2) * (p1 - p2) / p1).mean(0)])

    trainings = range(len(loss.seeds))
    found = {"overlap": pool.mean([overlap(k) for k in trainings])}
    chains = np.mean([chain(k) for k in trainings], axis=0)
    return found | {c: np.tile(x, (len(pool.draws), 1)) for c, x in zip(("eq32", "eq29_sign"), chains, strict=True)}


def _cells(
    joined: tuple[Pool, Pool, Pool], sizes: Sequence[int], drawn: dict[str, np.ndarray], cut: bool = True
) -> Cells:
    """Return a setup's cells: `cut` on LRG sizes, else trained on blocks."""
    (pool, loss, labels), n = joined, joined[0].setup
    at = [loss.limits.index(sp.nu_max(s)) for s in sizes]
    rates = {name: loss.rates(*reading)[:, at] for name, reading in RATES.items()}
    drawn = drawn | _ceilings(labels, sizes) | _soft(pool, loss, sizes) | rates
    grid, classes = (n.size - 1) // 4 + 1, labels.members[0].arrays["counts"].shape[-2]
    work = [cost.count(n, s if cut else grid, num_classes=classes, rule=flops.CONV) for s in sizes]
    share, about = (np.array(sizes) - 1) / (grid - 1), pool.describe()
    table = pd.DataFrame({
        "setup": _setup(n), **{k: about[k] for k in ("domain", "kind", "model", "clusters")},
        "lrg_size": sizes, "nu_max": [sp.nu_max(s) for s in sizes], "share": share, "lrg": -share,
        "full": (share == 1) & cut, **{c: x[0] for c, x in drawn.items()},
        "gflops": [w.total / 1e9 for w in work],
    })  # fmt: skip
    return Cells(table, drawn)


def _together(parts: Sequence[Cells]) -> Cells:
    table = pd.concat([p.table for p in parts], ignore_index=True)
    return Cells(table, {c: np.concatenate([p.drawn[c] for p in parts], 1) for c in COLUMNS})
