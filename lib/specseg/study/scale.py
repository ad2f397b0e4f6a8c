"""Scale as dose: what one network loses at half, once and twice the scale, and what foretells it.

Units, statistics and rivals are those of the protocol (book/method.md). Every array of draws has the data in row 0.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.2, Fig. 5.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.evidence.records import Record
from specseg.measure.loss import VARIANTS, rates_of
from specseg.measure.truncation import LOGITS
from specseg.nets import protocol as own
from specseg.nets.third_party.protocol import HOMES, PAPER
from specseg.study import gate, trained
from specseg.study import third_party as others
from specseg.study.gate import Told

SCALES, SHARES = (0.5, 1.0, 2.0), ("a half", "a quarter", "an eighth")
READINGS = {"R_ce": 0, "R_ce, mirrored": 1}
RIVALS = ("contour per cell", "what the labels lose", "mIoU", "no change")
CLAIMS = DOSE, FORETELLS = "scale-dose-within-networks", "fig5b-scale-within-networks"


class View(NamedTuple):
    """Pictures at one scale: counts (4, n, C, 3), logits whole and cut; a network's loss (2, n), tails (2, n, 3)."""

    names: list[str]
    counts: np.ndarray
    total: np.ndarray | None = None
    tail: np.ndarray | None = None

    def of(self, names: Sequence[str]) -> View:
        """Return these pictures alone."""
        rows = [self.names.index(n) for n in names]
        return View(list(names), *(None if x is None else x[:, rows] for x in self[1:]))

    def scores(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mIoU, (draws, 1), and the relative drops of the three cuts, (draws, 3)."""
        whole, *cut = (scores.miou(scores.pooled(c, w))[:, None] for c in self.counts)
        return whole, (whole - np.hstack(cut)) / whole

    def rates(self, w: np.ndarray, reading: int) -> np.ndarray:
        """Return R_ce at half of each cut's size, (draws, 3)."""
        return rates_of(self.total[reading].astype(float), self.tail[reading].astype(float), weights=w)


def _view(record: Record) -> View:
    kept = record.probe()
    return View([str(n) for n in kept["names"]], kept["counts"], kept.get("total"), kept.get("tail"))


def _once(net: others.Outside) -> View:
    """Return what the record of a network of others holds on the paper's frame, which is once the scale."""
    (one,) = net.members
    counts = np.stack([one.counts(), *(one.counts(LOGITS, s) for s in others.SIZES)])
    losses = np.stack([one.losses(v) for v in VARIANTS[:2]])
    at = [1 + net.limits.index((s - 1) // 2) for s in others.SIZES]
    return View(net.names, counts, losses[..., 0], losses[..., at])


class Pair(NamedTuple):
    """Drawn numbers at once the scale and at another, on the pictures that both have: mIoU, drops; `factors`: rule ->
    by how much it says that the drop changes."""

    miou: tuple[np.ndarray, np.ndarray]
    drop: tuple[np.ndarray, np.ndarray]
    factors: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Scaled:
    """A network at the three scales, and the labels there; `ratio` is its mIoU over colour's at once the scale."""

    name: str
    title: str
    domain: str
    ratio: float
    cluster: Callable[[str], str]
    views: dict[float, View]
    labels: dict[float, View]
    contour: float
    record: Record

    @cached_property
    def clusters(self) -> list[str]:
        """The cluster of each picture at once the scale."""
        return [self.cluster(n) for n in self.views[1.0].names]

    @cached_property
    def pairs(self) -> dict[float, Pair]:
        """The other scale -> it beside once the scale; the draws are equal for all networks of a data set."""
        drawn, out = scores.weights(self.clusters, seed=zlib.crc32(self.domain.encode())), {}
        for other in (0.5, 2.0):
            columns = [k for k, n in enumerate(self.views[1.0].names) if n in self.views[other].names]
            w = np.vstack([np.ones(len(columns)), drawn[:, columns]])
            names = [self.views[1.0].names[k] for k in columns]
            (here, there), labels = ([kind[s].of(names) for s in (1.0, other)] for kind in (self.views, self.labels))
            miou, drop = zip(here.scores(w), there.scores(w), strict=True)
            lost = [x.scores(w)[1] for x in labels]
            factors = {word: there.rates(w, k) / here.rates(w, k) for word, k in READINGS.items()}
            rivals = 1 / other, lost[1] / lost[0], (1 - miou[1]) / (1 - miou[0]), 1.0
            out[other] = Pair(miou, drop, factors | dict(zip(RIVALS, rivals, strict=True)))
        return out

    @cached_property
    def left_out(self) -> str:
        """Why it sets no verdict, or ""."""
        least = self.ratio * min(1.0, *(float(there[0, 0] / here[0, 0]) for (here, there), *_ in self.pairs.values()))
        return "" if least >= own.GATE else f"too weak to judge at a scale: {least:.1f} times the mIoU of colour alone"

    @cached_property
    def steps(self) -> list[np.ndarray]:
        """The drop at the smaller scale less that at the larger, mean over the shares: half to once, once to twice."""
        (once, half), (here, twice) = (self.pairs[s].drop for s in (0.5, 2.0))
        return [(half - once).mean(-1), (here - twice).mean(-1)]

    @cached_property
    def errors(self) -> dict[str, np.ndarray]:
        """Rule -> mean absolute error of the drops foretold from once the scale, over shares and both directions."""
        out: dict[str, np.ndarray] = {}
        for _, (drop, wanted), factors in self.pairs.values():
            for rule, factor in factors.items():
                out[rule] = out.get(rule, 0.0) + np.abs(drop * factor - wanted).mean(-1) / 2
        return out

    @property
    def leads(self) -> dict[str, np.ndarray]:
        """Rival -> how much smaller the error of R_ce is."""
        return {rival: self.errors[rival] - self.errors["R_ce"] for rival in RIVALS}

    @property
    def about(self) -> dict:
        """The fields of any observation of it."""
        return {**gate.about(self.domain, self.left_out), "over": "clusters", "units": len(set(self.clusters))}


def read(profile: str = "standard") -> list[Scaled]:
    """Return every network that has all three scales on record: those of others first, as their manifests stand."""
    found = records.find("scale", profile=profile)
    by = {tuple(r.meta["settings"][k] for k in ("name", "dataset", "frame", "scale")): r for r in found}
    once = {n.name: n for n in others.read("paper", profile)}
    ratios = gate.quality(trained.read("networks", profile))
    out = []
    for name, dataset, frame in dict.fromkeys(k[:3] for k in by if k[0] != "labels"):
        outside = frame == PAPER
        views, labels = ({s: _view(by[key]) for s in SCALES if (key := (who, dataset, frame, s)) in by}
                         for who in (name, "labels"))  # fmt: skip
        if outside and name in once:
            views[1.0] = _once(once[name])
        if set(views) != set(SCALES) or set(labels) != set(SCALES):
            continue
        contour = by["labels", dataset, frame, 1.0].probe()["contour"].mean()
        if outside:
            about = once[name].title, others.TITLES[dataset], once[name].ratio, HOMES[dataset].cluster
        else:
            network = own.named(name)
            about = (f"{gate.MODELS[network.model]}, ours", gate.unit(network), ratios.get(name, 0.0),
                     network.home.cluster)  # fmt: skip
        out.append(Scaled(name, *about, views, labels, float(contour), by[name, dataset, frame, 2.0]))
    place = [*others.TITLES.values()]
    return sorted(out, key=lambda n: (place.index(n.domain), n.name not in once, n.name))


def observations(found: Sequence[Scaled]) -> Told:
    """Return claim -> one observation a network: the smaller step of its drops; the smallest lead of R_ce."""
    told = Told()
    for net in found:
        for claim, parts in ((DOSE, net.steps), (FORETELLS, net.leads.values())):
            each = [trained.estimate(x) for x in parts]
            least = {k: min(e[k] for e in each) for k in ("value", "low", "high")}
            told.tell(claim, f"{net.title} on {net.domain}: {gate.ends(least, '{:+.2%}')}.", least, net.about)
    return told


def table(found: Sequence[Scaled]) -> pd.DataFrame:
    """Return the errors by rule, a row a network: index domain, network."""
    index = pd.MultiIndex.from_tuples([(n.domain, n.title) for n in found], names=["domain", "network"])
    return pd.DataFrame([{rule: float(e[0]) for rule, e in n.errors.items()} for n in found], index=index)


def points(found: Sequence[Scaled]) -> pd.DataFrame:
    """Return domain, network, scale, share, dose (contour in sides of a cell, per cell), drop, labels (their drop).

    All scales on the pictures that are at twice the scale.
    """
    rows = []
    for net in found:
        names = net.views[2.0].names
        one = np.ones((1, len(names)))
        for scale in SCALES:
            drops, lost = (kind[scale].of(names).scores(one)[1][0] for kind in (net.views, net.labels))
            grid = (net.record.meta["settings"]["frame"] - 1) * scale / 4
            rows += [{"domain": net.domain, "network": net.title, "scale": scale, "share": share, "drop": drops[k],
                      "dose": net.contour * 2 ** (k + 1) / grid, "labels": lost[k]}
                     for k, share in enumerate(SHARES)]  # fmt: skip
    return pd.DataFrame(rows)
