"""Records of networks that others trained: scores, R_ce in every reading, what truncation costs, and who orders whom.

A data set is one unit, its networks are cases of it; intervals (95 %) resample its pictures, of streets stretches of
ten seconds, the same draws for all of its networks. The tests are those of the protocol (book/method.md).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.1, 3.2 and A.10, Tables 1 and 4, Fig. 5.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.evidence.fits import spearman
from specseg.evidence.records import Record
from specseg.measure.loss import VARIANTS, rates_of
from specseg.measure.truncation import FULL, LOGITS, LOW_PASS  # noqa: F401  (the chapter names both ways)
from specseg.nets import protocol as own
from specseg.nets.third_party import manifests, protocol
from specseg.study import gate
from specseg.study.loss import printed
from specseg.study.trained import Drawn, compared

SIZES, NETWORKS, RISK = (65, 33, 17), 4, 0.05  # of the test of order: LRG sizes, networks a data set needs, level
TITLES = {"voc2012": "objects (PASCAL VOC, animals)", "cityscapes": "streets (Cityscapes)",
          "camvid": "streets (CamVid)"}  # fmt: skip
PAPER = {"voc2012": "pascal", "cityscapes": "cityscapes"}
PLAIN, PAPER_GRID = "periodic", 129
READINGS = tuple(itertools.product(("ratio_of_means", "mean_of_ratios"), VARIANTS))  # average, variant


@dataclass(frozen=True, eq=False)
class Outside:
    """A network that others trained, in a frame, as its record has it."""

    record: Record
    _known: dict[Hashable, Drawn] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.record.meta["settings"]["name"]

    @property
    def dataset(self) -> str:
        return self.record.meta["settings"]["dataset"]

    @cached_property
    def title(self) -> str:
        """The network in words: "ESPNetv2, width 0.5"."""
        return manifests.load(self.name).title.replace("width multiplier", "width")

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        return self.record.probe()

    @cached_property
    def names(self) -> list[str]:
        return [str(n) for n in self.arrays["names"]]

    @cached_property
    def clusters(self) -> list[str]:
        cluster = protocol.HOMES[self.dataset].cluster
        return [cluster(n) for n in self.names]

    @cached_property
    def draws(self) -> np.ndarray:
        """How often each draw takes each picture: equal for all networks of a data set."""
        return scores.weights(self.clusters, seed=zlib.crc32(self.dataset.encode()))

    @property
    def units(self) -> dict:
        """What the intervals resample, and how many of them there are."""
        return {"over": "clusters", "units": len(set(self.clusters))}

    @cached_property
    def grid(self) -> int:
        """Side of the grid of its last features."""
        return int(self.arrays["lrg_sizes"][0])

    @cached_property
    def ratio(self) -> float:
        """mIoU over that of the better classifier by colour alone."""
        rows = self.record.rows
        found = rows[(rows["metric"] == "miou") & rows["predictor"].notna()]
        return float(self.miou()[0] / found["value"].max())

    @property
    def left_out(self) -> str:
        """Why it sets no verdict, or ""."""
        if self.name in protocol.SEEN:
            return "its test pictures were in its training"
        return "" if self.ratio >= own.GATE else f"too weak to judge: {self.ratio:.1f} times the mIoU of colour alone"

    @property
    def about(self) -> dict:
        """The fields of any observation of it: the data set, and why it sets no verdict."""
        return {"domain": TITLES[self.dataset], **({"left_out": self.left_out} if self.left_out else {})}

    def condition(self, method: str, size: int | None = None) -> int | None:
        """Return the index of a condition of truncation, None where it was not measured."""
        pairs = zip(self.arrays["methods"], self.arrays["lrg_sizes"], strict=True)
        hits = [k for k, (m, s) in enumerate(pairs) if str(m) == method and size in (None, int(s))]
        return hits[0] if hits else None

    def miou(self, method: str = FULL, size: int | None = None) -> Drawn:
        """Return the mIoU over scored classes under a condition, and its draws."""
        counts = self.arrays["counts"][k := self.condition(method, size)]
        return self._once(k, lambda w: scores.miou(scores.pooled(counts, w)))

    def drop(self, method: str, size: int) -> Drawn:
        """Return the relative mIoU-drop under a condition, and its draws."""
        (a, drawn_a), (b, drawn_b) = self.miou(), self.miou(method, size)
        return (a - b) / a, (drawn_a - drawn_b) / drawn_a

    def cuts(self, whole: int = PAPER_GRID) -> tuple[np.ndarray, np.ndarray]:
        """Return the sizes up to `whole` that its last features had, largest first, and the drops there."""
        pairs = [(int(s), self.drop(str(m), int(s))[0]) for m, s in
                 zip(self.arrays["methods"], self.arrays["lrg_sizes"], strict=True)
                 if str(m) in (FULL, "bilinear") and s <= whole]  # fmt: skip
        sizes, drops = zip(*sorted(pairs, reverse=True), strict=True)
        return np.array(sizes), np.array(drops)

    @property
    def limits(self) -> list[int]:
        """Band limits of R_ce in cycles per frame."""
        return [int(n) for n in self.arrays["limits"]]

    @cached_property
    def _place(self) -> list[int]:
        """Where each picture of `names` stands among the losses, whose halves were measured one after the other."""
        at = {str(name): k for k, name in enumerate(self.arrays["loss_names"])}
        return [at[name] for name in self.names]

    def rate(self, nu_max: int, variant: str = PLAIN, average: str = "ratio_of_means") -> Drawn:
        """Return R_ce at one limit, and its draws."""
        row, at = VARIANTS.index(variant), self.limits.index(nu_max)
        total, tail = (self.arrays[a][row][self._place].astype(float) for a in ("total", "tail"))
        value, drawn = self._once((variant, average), lambda w: rates_of(total, tail, average=average, weights=w))
        return float(value[at]), drawn[..., at]

    def _once(self, key: Hashable, value: Callable[[np.ndarray | None], np.ndarray]) -> Drawn:
        if key not in self._known:
            self._known[key] = value(None), value(self.draws)
        return self._known[key]


def read(frame: str = "paper", profile: str = "standard") -> list[Outside]:
    """Return the newest record of every network in a frame, in the order of their manifests."""
    newest = {r.meta["settings"]["name"]: r for r in records.find("third_party", profile=profile, frame=frame)}
    return [Outside(newest[name]) for name in manifests.names() if name in newest]


def able(found: Sequence[Outside], dataset: str | None = None) -> list[Outside]:
    """Return the networks that may set a verdict, of one data set if it is given."""
    return [n for n in found if not n.left_out and dataset in (None, n.dataset)]


def quality(found: Sequence[Outside]) -> pd.DataFrame:
    """Return one row a network: data set, network, grid, mIoU (value, low, high), published, times colour, judged."""
    rows = [{"data": TITLES[n.dataset], "network": n.title, "grid": n.grid, **scores.estimate(*n.miou()),
             "published": manifests.load(n.name).published, "times colour": n.ratio, "left out": n.left_out}
            for n in sorted(found, key=lambda n: list(TITLES).index(n.dataset))]  # fmt: skip
    return pd.DataFrame(rows)


def readings(found: Sequence[Outside], nu_max: int) -> pd.DataFrame:
    """Return dataset, network, reading, value, ratio (to the plain reading) of R_ce at a limit, of judged networks."""
    rows = []
    for net in able(found):
        plain = net.rate(nu_max)[0]
        for average, variant in READINGS:
            name = variant + (", mean of the pictures' ratios" if average == "mean_of_ratios" else "")
            value = net.rate(nu_max, variant, average)[0]
            rows.append({"dataset": net.dataset, "network": net.title, "reading": name, "value": value,
                         "ratio": value / plain})  # fmt: skip
    table = pd.DataFrame(rows)
    return table[np.isfinite(table["value"])]


def inside(found: Sequence[Outside]) -> pd.DataFrame:
    """Return a row for each data set of the paper and limit of Table 1: least, most over readings; printed; inside."""
    table, rows = printed(), []
    for dataset, limit in itertools.product(PAPER, own.LIMITS):
        values = [net.rate(limit, v, a)[0] for net in able(found, dataset) for a, v in READINGS]
        theirs = table[(table["domain"] == PAPER[dataset]) & (table["nu_max"] == limit)]["value"]
        least, most = np.nanmin(values), np.nanmax(values)
        rows.append({"dataset": dataset, "nu_max": limit, "least": least, "most": most, "printed": list(theirs),
                     "inside": bool(theirs.between(least, most).all())})  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Order:
    """How R_ce orders the drops of the networks within data sets: the protocol's statistic and what it is held against.

    `value` and `draws` (over pictures), of so many `networks`; `own` data set -> its correlation; `probable` one-sided,
    by all permutations; `critical` the least value that the level allows; `rivals` name -> (value, draws), the same.
    """

    value: float
    draws: np.ndarray
    networks: int
    own: dict[str, float]
    probable: float
    critical: float
    rivals: dict[str, Drawn]


def order(
    found: Sequence[Outside], method: str = LOGITS, variant: str = PLAIN,
    sizes: Mapping[str, Sequence[int]] | None = None, costs: Mapping[tuple[str, int], float] | None = None,
) -> Order:  # fmt: skip
    """Return the mean over sizes and data sets of the rank correlation of drops with R_ce at half the size.

    `sizes` are those of each data set, where not SIZES; `costs` (network, size) -> a number takes the place of R_ce.
    Data sets with fewer than NETWORKS networks that pass the gate are left out. Raises ValueError where none has them.
    """
    sets = [d for d in TITLES if len(able(found, d)) >= NETWORKS]
    if not sets:
        raise ValueError(f"order: no data set has {NETWORKS} networks that pass the gate")
    parts, chance = {}, []
    for dataset in sets:
        nets = able(found, dataset)
        at = (sizes or {}).get(dataset, SIZES)
        drops = [[n.drop(method, s) for n in nets] for s in at]
        rates = [[n.rate((s - 1) // 2, variant) if costs is None
                  else (c := costs[n.name, s], np.full_like(d, c)) for n, (_, d) in zip(nets, line, strict=True)]
                 for s, line in zip(at, drops, strict=True)]  # fmt: skip
        grids = np.array([float(n.grid) for n in nets])
        mious = [n.miou() for n in nets]
        y, x = (_stacked(v) for v in (drops, rates))  # each (draws + 1, sizes, networks), the data itself first
        worse = np.broadcast_to(-_stacked([mious]), y.shape)
        asked = {"R_ce": x, "side of the network's grid": grids, "mIoU": worse}
        parts[dataset] = {k: spearman(v, y).mean(-1) for k, v in asked.items()}
        orders = np.array(list(itertools.permutations(range(len(nets)))))
        chance.append(spearman(x[0][:, orders], y[0][:, None]).mean(0))
    means = {k: np.mean([parts[d][k] for d in sets], axis=0) for k in parts[sets[0]]}
    null = chance[0]
    for more in chance[1:]:
        null = np.add.outer(null, more).ravel()
    null, value = np.sort(null / len(sets)), float(means["R_ce"][0])
    return Order(
        value, means["R_ce"][1:], sum(len(able(found, d)) for d in sets),
        {d: float(parts[d]["R_ce"][0]) for d in sets}, float((null >= value - 1e-9).mean()), _critical(null),
        {k: (float(v[0]), v[1:]) for k, v in means.items() if k != "R_ce"} | {"labels alone": (0.0, np.zeros(1))},
    )  # fmt: skip


def _critical(null: np.ndarray) -> float:
    """Return the least value of a sorted null distribution that at most RISK of it reaches."""
    values = np.unique(np.round(null, 9))
    reach = 1 - np.searchsorted(null, values - 1e-9) / len(null)
    return float(values[reach <= RISK][0]) if (reach <= RISK).any() else float("inf")


def _stacked(parts: Sequence[Sequence[Drawn]]) -> np.ndarray:
    return np.array([[np.concatenate([[v], d]) for v, d in line] for line in parts]).transpose(2, 0, 1)


CLAIMS = (
    "fig5b-order-others", "tab1-range-others", "fig1-loss-beyond-grid-others", "tab1-factor-of-ten-others",
    "tab1-streets-larger-others", "tab4-drop-small-others", "tab4-streets-larger-others", "tab4-fourier-others",
)  # fmt: skip


def observations(found: Sequence[Outside]) -> dict[str, list[dict]]:
    """Return claim -> what the networks say of it on the paper's frame, one observation a network or a comparison."""
    told: dict[str, list[dict]] = {c: [] for c in CLAIMS}

    def tell(claim: str, net: Outside, fact: dict, form: str, words: str = "{}.", **about) -> None:
        note = f"{net.title}: {words.format(gate.ends(fact, form))}"
        told[claim].append({**fact, **net.units, **about, "note": note})

    for net in found:
        tell(
            "fig1-loss-beyond-grid-others", net, scores.estimate(*net.rate(64)), "{:.3f}", "R_ce(64) = {}.", **net.about
        )
        by = compared(net.rate(8), net.rate(32), np.divide)
        tell("tab1-factor-of-ten-others", net, by, "{:.1f}", **net.about, null=4.0)
        if net.grid > SIZES[0] and net.condition("bilinear", SIZES[0]) is not None:
            bilinear, fourier = (net.drop(method, SIZES[0]) for method in ("bilinear", "fourier"))
            tell("tab4-fourier-others", net, compared(bilinear, fourier), "{:+.2%}", **net.about)
            if net.dataset == "voc2012":
                tell("tab4-drop-small-others", net, scores.estimate(*bilinear), "{:.2%}", **net.about)
    for streets, objects in pairs(found):
        where = f"{TITLES['cityscapes']} against {TITLES['voc2012']}"
        ratios = {n: compared(streets.rate(n), objects.rate(n), np.divide) for n in own.LIMITS}
        gaps = {s: compared(streets.drop("bilinear", s), objects.drop("bilinear", s)) for s in SIZES[:2]}
        for claim, each, form, words in (
            ("tab1-streets-larger-others", ratios, "{:.2f}", "at least {{}} times, at {}."),
            ("tab4-streets-larger-others", gaps, "{:+.1%}", "{{}} at {}."),
        ):
            at, least = min(each.items(), key=lambda f: f[1]["value"])
            tell(claim, streets, least, form, words.format(at), domain=where)
    for row in inside(found).to_dict("records"):
        told["tab1-range-others"].append({
            "value": float(row["inside"]), "domain": f"{TITLES[row['dataset']]}, {row['nu_max']} cycles", "note": (
                f"{TITLES[row['dataset']]}, {row['nu_max']}: {row['least']:.2g} to {row['most']:.2g}, printed "
                f"{' and '.join(f'{v:g}' for v in row['printed'])}.")})  # fmt: skip
    told["fig5b-order-others"] = ordered(order(found))
    return told


def pairs(found: Sequence[Outside]) -> list[tuple[Outside, Outside]]:
    """Return the networks of Cityscapes beside those of PASCAL of the same architecture and width."""
    return [(a, b) for a in able(found, "cityscapes") for b in able(found, "voc2012") if a.title == b.title]


def ordered(by: Order) -> list[dict]:
    """Return the observations of the protocol's test of order, which together give its verdict.

    The order itself, its interval from all permutations: it holds where at most RISK is as large by chance, fails where
    at most RISK is as small. Where it holds, the lower end of its lead over each rival; where the data sets' own
    correlations are opposite and both above 0.5 in size, each of them.
    """
    parts = ", ".join(f"{TITLES[d]} {v:+.2f}" for d, v in by.own.items())
    told = [{
        "value": by.value, "low": by.value - by.critical, "high": by.value + by.critical, "over": "setups",
        "units": by.networks, "domain": " and ".join(TITLES[d] for d in by.own),
        "note": f"Mean rank correlation {by.value:+.2f} ({parts}), p = {by.probable:.2f}.",
    }]  # fmt: skip
    if by.value >= by.critical:
        for name, (value, drawn) in by.rivals.items():
            low = min(by.value - abs(value), scores.interval(by.draws - np.abs(drawn))[0])
            told.append({"value": low, "domain": f"against {name}", "note": f"Lead over {name}: at least {low:+.2f}."})
    if min(by.own.values()) < -0.5 and max(by.own.values()) > 0.5:
        told += [{"value": v, "domain": TITLES[d], "note": f"{TITLES[d]} alone: {v:+.2f}."} for d, v in by.own.items()]
    return told
