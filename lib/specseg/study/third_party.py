"""Records of networks that others trained: scores, R_ce in every reading, what truncation costs, and who orders whom.

A data set is one unit, its networks are cases of it; intervals (95 %) resample its pictures, of streets stretches of
ten seconds, the same draws for all of its networks. The tests are those of the protocol (book/method.md).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.1, 3.2 and A.10, Tables 1 and 4, Fig. 5.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.evidence.fits import spearman
from specseg.evidence.records import Record
from specseg.measure.loss import VARIANTS
from specseg.measure.truncation import LOGITS, LOW_PASS  # noqa: F401  (the chapter names both ways)
from specseg.nets import protocol as own
from specseg.nets.third_party import manifests, protocol
from specseg.study import gate
from specseg.study.gate import Told
from specseg.study.loss import printed
from specseg.study.trained import AVERAGES, PLAIN, Measured, Tested, estimate

SIZES, NETWORKS, RISK = (65, 33, 17), 4, 0.05  # of the test of order: LRG sizes, networks a data set needs, level
TITLES = {"voc2012": "objects (PASCAL VOC, animals)", "cityscapes": "streets (Cityscapes)",
          "camvid": "streets (CamVid)"}  # fmt: skip
PAPER = {"voc2012": "pascal", "cityscapes": "cityscapes"}
PAPER_GRID = 129
READINGS = tuple(itertools.product(VARIANTS, AVERAGES))


class Outside(Tested):
    """A network that others trained, in a frame, as its record has it."""

    scored = None  # its record holds the counts of scored classes alone

    def __init__(self, record: Record) -> None:
        self.record, settings = record, record.meta["settings"]
        self.name, self.dataset = settings["name"], settings["dataset"]
        self.salt = self.dataset  # equal draws for all networks of a data set
        unit = protocol.Unit(self.name, settings["frame"])
        self.by_seed = [[Measured(unit, record.rows, record.probe(), record)]]

    @cached_property
    def title(self) -> str:
        """The network in words: "ESPNetv2, width 0.5"."""
        return manifests.load(self.name).title.replace("width multiplier", "width")

    @cached_property
    def clusters(self) -> list[str]:
        return [protocol.HOMES[self.dataset].cluster(n) for n in self.names]

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
        return gate.about(TITLES[self.dataset], self.left_out)

    def cuts(self, whole: int = PAPER_GRID) -> tuple[np.ndarray, np.ndarray]:
        """Return the sizes up to `whole` that its last features had, largest first, and the drops there."""
        known = [(s, self.drop(m, s)[0]) for m, s in self.steps if s <= whole]
        return tuple(np.array(x) for x in zip(*sorted(known, reverse=True), strict=True))


def read(frame: str = "paper", profile: str = "standard") -> list[Outside]:
    """Return the newest record of every network in a frame, in the order of their manifests."""
    newest = {r.meta["settings"]["name"]: r for r in records.find("third_party", profile=profile, frame=frame)}
    return [Outside(newest[name]) for name in manifests.names() if name in newest]


def able(found: Sequence[Outside], dataset: str | None = None) -> list[Outside]:
    """Return the networks that may set a verdict, of one data set if it is given."""
    return [n for n in found if not n.left_out and dataset in (None, n.dataset)]


def quality(found: Sequence[Outside]) -> pd.DataFrame:
    """Return one row a network: data set, network, grid, mIoU (value, low, high), published, times colour, judged."""
    rows = [{"data": TITLES[n.dataset], "network": n.title, "grid": n.grid, **estimate(n.miou()),
             "published": manifests.load(n.name).published, "times colour": n.ratio, "left out": n.left_out}
            for n in sorted(found, key=lambda n: list(TITLES).index(n.dataset))]  # fmt: skip
    return pd.DataFrame(rows)


def readings(found: Sequence[Outside], nu_max: int) -> pd.DataFrame:
    """Return dataset, network, reading, value, ratio (to the plain reading) of R_ce at a limit, of judged networks."""
    rows = [{"dataset": n.dataset, "network": n.title, "value": n.rate(nu_max, variant, average)[0],
             "reading": variant + ", mean of the pictures' ratios" * (average != AVERAGES[0])}
            for n in able(found) for average in AVERAGES for variant in VARIANTS]  # fmt: skip
    table = pd.DataFrame(rows)
    table["ratio"] = table["value"] / table.groupby(["dataset", "network"])["value"].transform("first")
    return table[np.isfinite(table["value"])]


def inside(found: Sequence[Outside]) -> pd.DataFrame:
    """Return a row for each data set of the paper and limit of Table 1: least, most over readings; printed; inside."""
    table, rows = printed().set_index(["domain", "nu_max"])["value"], []
    for dataset, limit in itertools.product(PAPER, own.LIMITS):
        values = [net.rate(limit, *reading)[0] for net in able(found, dataset) for reading in READINGS]
        theirs, (least, most) = table.loc[[(PAPER[dataset], limit)]], (np.nanmin(values), np.nanmax(values))
        rows.append({"dataset": dataset, "nu_max": limit, "least": least, "most": most, "printed": list(theirs),
                     "inside": bool(theirs.between(least, most).all())})  # fmt: skip
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Order:
    """How R_ce orders the drops of the networks within data sets: the protocol's statistic and what it is held against.

    `value` is drawn (over pictures), of so many `networks`; `own` data set -> its correlation; `probable` one-sided,
    by all permutations; `critical` the least value that the level allows; `rivals` name -> the same, drawn.
    """

    value: np.ndarray
    networks: int
    own: dict[str, float]
    probable: float
    critical: float
    rivals: dict[str, np.ndarray]


def order(
    found: Sequence[Outside], method: str = LOGITS, variant: str = PLAIN,
    sizes: Mapping[str, Sequence[int]] | None = None, costs: Mapping[tuple[str, int], float] | None = None,
) -> Order:  # fmt: skip
    """Return the mean over sizes and data sets of the rank correlation of drops with R_ce at half the size.

    `sizes` are those of each data set, where not SIZES; `costs` (network, size) -> a number takes the place of R_ce.
    Data sets with fewer than NETWORKS networks that pass the gate are left out. Raises ValueError where none has them.
    """
    sets = {d: nets for d in TITLES if len(nets := able(found, d)) >= NETWORKS}
    if not sets:
        raise ValueError(f"order: no data set has {NETWORKS} networks that pass the gate")
    parts, null = {}, np.zeros(1)
    for dataset, nets in sets.items():
        at = (sizes or {}).get(dataset, SIZES)
        y = _stacked([[n.drop(method, s) for n in nets] for s in at])
        rates = [[n.rate((s - 1) // 2, variant) if costs is None else np.full(len(y), costs[n.name, s]) for n in nets]
                 for s in at]  # fmt: skip
        asked = {"R_ce": _stacked(rates), "side of the network's grid": np.array([float(n.grid) for n in nets]),
                 "mIoU": np.broadcast_to(-_stacked([[n.miou() for n in nets]]), y.shape)}  # fmt: skip
        parts[dataset] = {k: spearman(v, y).mean(-1) for k, v in asked.items()}
        orders = np.array(list(itertools.permutations(range(len(nets)))))
        null = np.add.outer(null, spearman(asked["R_ce"][0][:, orders], y[0][:, None]).mean(0)).ravel()
    means = {k: np.mean([own[k] for own in parts.values()], axis=0) for k in asked}
    null, value = np.sort(null / len(sets)), means.pop("R_ce")
    return Order(
        value, sum(map(len, sets.values())), {d: float(own["R_ce"][0]) for d, own in parts.items()},
        float((null >= value[0] - 1e-9).mean()), _critical(null), means | {"labels alone": np.zeros(2)},
    )  # fmt: skip


def _critical(null: np.ndarray) -> float:
    """Return the least value of a sorted null distribution that at most RISK of it reaches."""
    values = np.unique(np.round(null, 9))
    reach = 1 - np.searchsorted(null, values - 1e-9) / len(null)
    return float(values[reach <= RISK][0]) if (reach <= RISK).any() else float("inf")


def _stacked(drawn: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return (draws + 1, sizes, networks) of drawn numbers by size and network."""
    return np.array(drawn).transpose(2, 0, 1)


def observations(found: Sequence[Outside]) -> Told:
    """Return claim -> what the networks say of it on the paper's frame, one observation a network or a comparison."""
    told = Told()

    def tell(claim: str, net: Outside, drawn: np.ndarray, form: str, words: str = "{}.", **about) -> None:
        fact = estimate(drawn)
        note = f"{net.title}: {words.format(gate.ends(fact, form))}"
        told.tell(claim, note, fact, net.units, about or net.about)

    for net in found:
        tell("fig1-loss-beyond-grid-others", net, net.rate(64), "{:.3f}", "R_ce(64) = {}.")
        tell("tab1-factor-of-ten-others", net, net.rate(8) / net.rate(32), "{:.1f}", null=4.0, **net.about)
        if net.grid > SIZES[0] and ("bilinear", SIZES[0]) in net.conditions:
            bilinear, fourier = (net.drop(method, SIZES[0]) for method in ("bilinear", "fourier"))
            tell("tab4-fourier-others", net, bilinear - fourier, "{:+.2%}")
            if net.dataset == "voc2012":
                tell("tab4-drop-small-others", net, bilinear, "{:.2%}")
    for streets, objects in pairs(found):
        ratios = {n: streets.rate(n) / objects.rate(n) for n in own.LIMITS}
        gaps = {s: streets.drop("bilinear", s) - objects.drop("bilinear", s) for s in SIZES[:2]}
        for claim, each, form, words in (
            ("tab1-streets-larger-others", ratios, "{:.2f}", "at least {{}} times, at {}."),
            ("tab4-streets-larger-others", gaps, "{:+.1%}", "{{}} at {}."),
        ):
            at = min(each, key=lambda k: each[k][0])
            where = f"{TITLES['cityscapes']} against {TITLES['voc2012']}"
            tell(claim, streets, each[at], form, words.format(at), domain=where)
    for row in inside(found).to_dict("records"):
        where, listed = f"{TITLES[row['dataset']]}, {row['nu_max']}", " and ".join(f"{v:g}" for v in row["printed"])
        note = f"{where}: {row['least']:.2g} to {row['most']:.2g}, printed {listed}."
        told.tell("tab1-range-others", note, value=float(row["inside"]), domain=f"{where} cycles")
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
    value, parts = float(by.value[0]), ", ".join(f"{TITLES[d]} {v:+.2f}" for d, v in by.own.items())
    told = [{
        "value": value, "low": value - by.critical, "high": value + by.critical, "over": "setups",
        "units": by.networks, "domain": " and ".join(TITLES[d] for d in by.own),
        "note": f"Mean rank correlation {value:+.2f} ({parts}), p = {by.probable:.2f}.",
    }]  # fmt: skip
    if value >= by.critical:
        for name, rival in by.rivals.items():
            low = min(value - abs(rival[0]), scores.interval(by.value[1:] - np.abs(rival[1:]))[0])
            told.append({"value": low, "domain": f"against {name}", "note": f"Lead over {name}: at least {low:+.2f}."})
    if min(by.own.values()) < -0.5 and max(by.own.values()) > 0.5:
        told += [{"value": v, "domain": TITLES[d], "note": f"{TITLES[d]} alone: {v:+.2f}."} for d, v in by.own.items()]
    return told
