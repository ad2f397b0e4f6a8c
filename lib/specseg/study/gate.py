"""The gate that a network passes before it sets a verdict, and how an observation names what it speaks of.

A network counts as trained at `protocol.GATE` times the mIoU of the best classifier that sees each pixel's colour alone
(book/method.md). What fails is shown with the reason and sets no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from specseg.evidence import statistics as scores
from specseg.evidence.verdicts import FEWEST
from specseg.nets import protocol
from specseg.nets.networks import Network
from specseg.study.rules import MODELS

if TYPE_CHECKING:
    from specseg.study.trained import Measured, Pool


def quality(scored_by: Sequence[Measured], others: Sequence[Measured] = ()) -> dict[str, float]:
    """Return name -> mIoU over that of the best classifier by colour alone, of records of networks.

    `others` are records of block_annotation, which hold no such classifier: theirs is that of any network of the same
    domain, fold and size, since it saw the same pictures.
    """
    found, colour = {}, {}
    for m in scored_by:
        own, colour[_pictures(m.network)] = beside_colour(m)
        found[m.network.name] = own / colour[_pictures(m.network)]
    for m in others:
        if _pictures(m.network) in colour:
            miou = m.rows[m.rows["metric"] == "miou"]["value"].iloc[0]
            found.setdefault(m.network.name, float(miou) / colour[_pictures(m.network)])
    return found


def beside_colour(scored: Measured) -> tuple[float, float]:
    """Return the mIoU of a network and that of the best classifier by colour alone, of its record of networks."""
    miou = scored.rows[scored.rows["metric"] == "miou"].set_index("predictor")["value"]
    return float(miou["network"]), float(miou.drop("network").max())


def _pictures(network: Network) -> tuple:
    return network.domain, network.fold, network.size


def untrained(networks: Sequence[Network], ratios: dict[str, float]) -> str:
    """Return why these networks set no verdict, or "" where all of them pass the protocol's gate.

    `ratios` is what `quality` gives; a network without a score on record does not pass.

    >>> untrained([Network("dubai")], {"dubai-deeplabv3plus-f0-s0": 1.2})
    'too weak to judge: 1.2 times the mIoU of colour alone, 2 wanted'
    """
    known = [ratios.get(n.name, 0.0) for n in networks]
    if min(known) >= protocol.GATE:
        return ""
    if min(known) == 0.0:
        return "no score on record"
    span = f"{min(known):.1f}" + (f" to {max(known):.1f}" if f"{min(known):.1f}" != f"{max(known):.1f}" else "")
    return f"too weak to judge: {span} times the mIoU of colour alone, {protocol.GATE:g} wanted"


def able(found: Sequence[Measured], scored_by: Sequence[Measured]) -> list[Measured]:
    """Return the measurements of networks that pass the gate; those made on the spot, which no verdict takes, too."""
    ratios = quality(scored_by)
    return [m for m in found if m.record is None or not untrained([m.network], ratios)]


def marked(rows: pd.DataFrame, pools: Sequence[Pool], ratios: dict[str, float]) -> pd.DataFrame:
    """Return rows with a column `untrained`: is their setup one that does not pass the gate?

    A setup is a domain, a model and an encoder's pruning rate (column prune_rate or prune_encoder; 0 where rows have
    neither). `ratios` is what `quality` gives; figures draw such lines grey.
    """
    judged = [p for p in pools if p.setup.prune_encoder or not p.setup.prune_decoder]
    out = {(p.setup.domain, p.setup.model, p.setup.prune_encoder) for p in judged if "left_out" in p.observed(ratios)}
    rate = next((rows[c] for c in ("prune_rate", "prune_encoder") if c in rows), pd.Series(0.0, rows.index))
    return rows.assign(untrained=[key in out for key in zip(rows["domain"], rows["model"], rate, strict=True)])


class Told(dict[str, list[dict]]):
    """Claim -> what was observed of it, as keyword arguments of `Findings.observe`."""

    def __missing__(self, claim: str) -> list[dict]:
        return []

    def tell(self, claim: str, note: str, *parts: dict, **more) -> None:
        """Add an observation: the fields of its parts, the last first in case of doubt, and a note."""
        fact = {key: value for part in (*parts, more) for key, value in part.items()}
        self.setdefault(claim, []).append({**fact, "note": note})


def about(domain: str, left_out: str = "") -> dict[str, str]:
    """Return the fields of any observation: of what it speaks, and why it sets no verdict, if it does not."""
    return {"domain": domain, **({"left_out": left_out} if left_out else {})}


def unit(network: Network) -> str:
    """Return the unit that a number of this network speaks of: the kind of scene and the data.

    >>> unit(Network("voc"))
    'objects (PASCAL VOC, animals)'
    """
    return f"{network.home.kind} ({network.home.title})"


def named(network: Network) -> str:
    """Return a setup in words: data, model, and what was pruned.

    >>> named(Network("voc", prune_encoder=0.6, prune_decoder=0.2))
    'PASCAL VOC, animals, DeepLab v3+, encoder pruned 60%, decoder 20%'
    """
    pruned = f", encoder pruned {network.prune_encoder:.0%}, decoder {network.prune_decoder:.0%}"
    words = f"{network.home.title}, {MODELS.get(network.model, network.model)}"
    return words + (pruned if network.prune_encoder or network.prune_decoder else "")


def span(observations: Sequence[dict], form: str = "{:.0%}") -> str:
    """Return the smallest and the largest value of the observations that set a verdict, in words.

    >>> span([{"value": 0.1}, {"value": 0.3}, {"value": 0.9, "left_out": "too weak"}])
    '10% to 30%'
    """
    values = [form.format(o["value"]) for o in sorted(observations, key=lambda o: o["value"]) if not o.get("left_out")]
    return " to ".join(dict.fromkeys([*values[:1], *values[-1:]])) or "nothing on record"


def ends(found: Mapping[str, float], form: str = "{:.2%}") -> str:
    """Return a value and its interval in words.

    >>> ends({"value": 0.1, "low": 0.0, "high": 0.2}, "{:+.0%}")
    '+10% [+0%, +20%]'
    """
    value, low, high = (form.format(found[k]) for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def over_trainings(values: Sequence[float]) -> dict:
    """Return the fields of an observation of a mean over trainings: value, low, high, over, units.

    Fewer than three give no interval that decides anything: they are `left_out`, with their number.

    >>> over_trainings([1.0])
    {'value': 1.0, 'left_out': 'one training, no interval over trainings'}
    """
    if len(values) < FEWEST:
        few = "one training, no interval" if len(values) == 1 else f"{len(values)} trainings, too few for an interval"
        return {"value": float(np.mean(values)), "left_out": f"{few} over trainings"}
    return {**scores.mean_of_runs(values), "over": "trainings", "units": len(values)}
