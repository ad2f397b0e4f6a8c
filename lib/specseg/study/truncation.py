"""Tables of feature truncation and pruning on trained networks: Table 4 beside ours, and what the paper says of it.

A drop is (mIoU at the full prediction grid - mIoU at the LRG) / mIoU at the full grid, of one network; differences of
drops use the same draws of pictures and seeds on both sides. `share` = (lrg_size - 1)/(grid - 1) puts grids of 129 and
of 65 on one axis.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.2 and A.10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from specseg.measure.truncation import FULL
from specseg.nets.networks import Network
from specseg.study import gate, trained
from specseg.study.gate import Told
from specseg.study.printed.tables import Tables
from specseg.study.trained import PAPER_KIND, Measured, Pool, estimate

KEYS = ["domain", "kind", "model"]


def printed() -> pd.DataFrame:
    """Return Tables 4a and 4b as domain, kind, model, prune_rate, lrg_size, share, miou, value (drop)."""
    rows = Tables.read().cells.sort_values(["dataset", "model", "prune_rate", "lrg_size"], ignore_index=True)
    rows = rows.rename(columns={"dataset": "domain", "miou_drop": "value"})
    rows = rows.assign(kind=rows["domain"].map(PAPER_KIND), share=rows["nu_max"] / 64)
    return rows[[*KEYS, "prune_rate", "lrg_size", "share", "miou", "value"]]


def side_by_side(drops: pd.DataFrame) -> pd.DataFrame:
    """Return drops of Table 4 and ours (rows of `trained.drops`), unpruned networks, a column a share of the grid."""
    ours = drops[drops["method"].isin(["full", "bilinear"])]
    ours = ours[(ours[["prune_encoder", "prune_decoder", "trained_lrg"]] == 0).all(axis=1)]
    return trained.beside(printed().query("prune_rate == 0"), ours, "share")


def falls(pool: Pool) -> list[bool]:
    """Say of each step to the next smaller LRG whether the mIoU does not rise."""
    return list(np.diff([pool.miou(*c)[0] for c in pool.steps]) <= 0)


def falls_by_rate(line: Sequence[Pool]) -> list[bool]:
    """Say of each step to the next pruning rate, at every LRG size, whether the mIoU does not rise.

    On the folds and seeds that both have; `line` is one of `rate_lines`.
    """
    return [less.drop(*c, of=more, base=c)[0] >= 0
            for less, more in zip(line, line[1:], strict=False) for c in less.steps]  # fmt: skip


def rate_lines(pools: Sequence[Pool]) -> list[list[Pool]]:
    """Return, for every domain and model with pruned encoders, its setups by rising rate (decoder at 20 %, as printed).

    The unpruned setup stands first; one whose decoder alone is pruned belongs to no line.
    """
    lines: dict[tuple[str, str], list[Pool]] = {}
    for p in sorted((p for p in pools if as_printed(p.setup)), key=lambda p: p.setup.prune_encoder):
        lines.setdefault((p.setup.domain, p.setup.model), []).append(p)
    return [line for line in lines.values() if len(line) > 1 and not line[0].setup.prune_encoder]


def as_printed(setup: Network) -> bool:
    """Say whether a setup is pruned as the paper's are, 20 % of the decoder with any encoder, on the whole grid."""
    return not setup.lrg_size and setup.prune_decoder == (0.2 if setup.prune_encoder else 0.0)


def streets_difference(streets: Pool, other: Pool) -> dict[str, float]:
    """Return the smallest difference of the drop on streets to that on another kind of scene, from half the grid down.

    value, low, high, and the share where it is smallest.
    """
    shares = [(size - 1) / (streets.grid - 1) for size in streets.sizes]
    drops = {s: [p.drop("bilinear", p.at_share(s)) for p in (streets, other)] for s in shares if s <= 0.5}
    return min(({**estimate(a - b), "share": s} for s, (a, b) in drops.items()), key=lambda f: f["value"])


GIVES_BACK = "beyond-training-gives-back"


def observations(pools: Sequence[Pool], ratios: dict[str, float], best: pd.DataFrame) -> Told:
    """Return claim -> what truncation says of Table 4 and Fig. 4, one observation a setup.

    `ratios` as `gate.quality`; `best` are the optima of FPI by printed costs, as `cost.optima` gives them with
    `inside` (the paper's range) and `untrained` (`gate.marked`).
    """
    told = Told()

    def count(claim: str, held: Sequence[bool], note: str, about: dict) -> None:
        told.tell(claim, note.format(k=sum(held), n=len(held)), about, value=int(sum(held)), n=len(held))

    base = [p for p in pools if p.setup.is_baseline]
    for pool in base:
        half, name, seen = pool.at_share(0.5), gate.named(pool.setup), pool.observed(ratios)
        bilinear, fourier = (pool.drop(method, half) for method in ("bilinear", "fourier"))
        found = {"tab4-fourier-like-bilinear": (bilinear - fourier, "{:+.2%}")}
        if pool.setup.home.kind != "streets":
            found["tab4-drop-small-r3"] = bilinear, "{:.2%}"
        if any(method == "encoder" for method, _ in pool.conditions):
            found["sec32-arbitrary-features"] = pool.drop("encoder"), "{:.1%}"
        for claim, (drawn, form) in found.items():
            told.tell(claim, f"{name}: {gate.ends(estimate(drawn), form)}.", estimate(drawn), pool.units, seen)
        count("tab4-monotone-r3", falls(pool), f"{name}: no rise in {{k}} of {{n}} steps to a smaller grid.", seen)
    for streets, other in trained.streets_against(base):
        gap = streets_difference(streets, other)
        at = f"{gate.ends(gap, '{:+.1%}')} at {gap.pop('share'):g} of the grid"
        note = f"{gate.named(streets.setup)} minus {gate.unit(other.setup)}: {at}."
        told.tell("tab4-streets-larger-r3", note, gap, trained.observed_pair(streets, other, ratios))
    for line in rate_lines(pools):
        about = Pool([m for p in line for m in p.members[:1]]).observed(ratios)
        about["domain"] = f"pruned {about['domain']}"
        count("tab4-monotone-r3", falls_by_rate(line),
              f"{gate.named(line[0].setup)}: no rise in {{k}} of {{n}} steps to a higher rate.", about)  # fmt: skip
    for control, own, (without, pruned) in _pruned(pools):
        effect = estimate(pruned - without)
        note = f"{gate.named(own.setup)}: drop {gate.ends(effect, '{:+.2%}')} against training on without."
        told.tell("sec32-pruning-leaves-drop-r3", note, effect, control.observed(ratios), own.observed(ratios),
                  over="trainings", units=len(own.keys))  # fmt: skip
    about = {(p.setup.domain, p.setup.model): p.observed(ratios) for p in base}
    for key, own in best[best["prune_rate"].eq(0) | ~best["untrained"]].groupby(["domain", "model"], sort=False):
        name, rates = f"{about[key]['domain']}, {gate.MODELS[key[1]]}", own["prune_rate"].nunique()
        count("fig4-optima-r3", own["inside"], f"{name}: {{k}} of {{n}} optima at a quarter to a half of the grid.",
              about[key])  # fmt: skip
        if rates > 1:
            spread = int(np.ptp(own["step"]))
            note = f"{name}: {spread} steps over {rates} rates."
            count("fig4-optima-insensitive-r3", [spread <= 1], note, about[key])
    return told


def _children(pools: Sequence[Pool], of: Callable[[Network], object]) -> Iterator[tuple[Pool, Pool]]:
    """Yield, for each setup `of` a kind, the one of its domain and model that is not, and it, on what both share."""
    parents = {(p.setup.domain, p.setup.model): p for p in pools if not of(p.setup)}
    for pool in pools:
        if of(pool.setup) and (parent := parents.get((pool.setup.domain, pool.setup.model))):
            yield trained.shared(parent, pool)


def _pruned(pools: Sequence[Pool]) -> Iterator[tuple[Pool, Pool, list[np.ndarray]]]:
    """Yield each setup with a pruned encoder after its control, and the drops of both at half of the grid.

    The control went on as long from the same network with its decoder alone pruned.
    """
    for pair in _children([p for p in pools if p.setup.prune_decoder], lambda n: n.prune_encoder):
        yield *pair, [p.drop("bilinear", p.at_share(0.5)) for p in pair]


def pruning_effects(pools: Sequence[Pool], ratios: dict[str, float]) -> pd.DataFrame:
    """Return one row per setup with a pruned encoder: drop at half of the grid minus that of its control.

    domain, model, prune_encoder, `ratio` (the least of `ratios`, as `gate.quality`), value, low, high, `start`,
    `control` and `own` (the drops of the network that both began from, of the control and of the setup), and `cost`,
    the relative mIoU-drop from the control at the full grid; the same pictures. Setups without a control are left out.
    """
    begun, rows = {(p.setup.domain, p.setup.model): p for p in pools if p.setup.is_baseline}, []
    for control, own, (a, b) in _pruned(pools):
        start, _ = trained.shared(begun[own.setup.domain, own.setup.model], own)
        rows.append({**trained.who(own.setup), "prune_encoder": own.setup.prune_encoder, "control": a[0], "own": b[0],
                     "start": start.drop("bilinear", start.at_share(0.5))[0], "cost": control.drop(of=own)[0],
                     "ratio": min(ratios[m.network.name] for m in own.members), **estimate(b - a)})  # fmt: skip
    return pd.DataFrame(rows)


def boundary_drops(drops: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `trained.drops` with a column metric, "mIoU", and again with the drop of "boundary mIoU" as value.

    Boundary regions are 2 % of the frame's diagonal wide (Eq. 33).
    """
    whole = drops[drops["method"] == FULL].set_index(KEYS)["boundary_miou"]
    full = whole.loc[pd.MultiIndex.from_frame(drops[KEYS])].to_numpy()
    edge = drops.assign(metric="boundary mIoU", value=(full - drops["boundary_miou"]) / full)
    return pd.concat([edge, drops.assign(metric="mIoU")], ignore_index=True)


def quality(found: Sequence[Measured], scored_by: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per baseline setup: mIoU (value, low, high), the best colour histogram's, ratio, boundary.

    `found` are records of truncation, `scored_by` those of networks: the histogram's mIoU, boundary_miou and the ratio
    (of the network's mean to the histogram's).
    """
    each = {m.network.name: (*gate.beside_colour(m), m.rows[m.rows["metric"] == "boundary_miou"]["value"].max())
            for m in scored_by}  # fmt: skip
    rows = []
    for pool in trained.pools(found):
        own, colour, edge = np.mean([each[m.network.name] for m in pool.members], axis=0)
        rows.append({**pool.describe(), **estimate(pool.miou()), "colour": colour, "ratio": own / colour,
                     "boundary": edge})  # fmt: skip
    return pd.DataFrame(rows)


def _trained_on(found: Sequence[Measured]) -> Iterator[tuple[Pool, Pool, np.ndarray, np.ndarray]]:
    """Yield each control, the setup trained at an LRG, the control's drop when it is only cut there, and its drop."""
    for base, own in _children(trained.pools(found), lambda n: n.lrg_size):
        there = "bilinear", own.setup.lrg_size
        yield base, own, base.drop(*there), base.drop(*there, of=own)


def retrained(found: Sequence[Measured]) -> pd.DataFrame:
    """Return what going on with the training at an LRG gives back, against a control that went on with the full grid.

    `found` are truncation's records of networks that start "frozen". One row a setup and LRG: domain, kind, model,
    lrg_size, share, `truncated` (the control's drop when it is only truncated), `trained` (the drop from the control of
    the network trained there), and value, low, high of their difference, on the same pictures. Empty where none is.
    """
    rows = [{**trained.who(own.setup), "lrg_size": (size := own.setup.lrg_size), "share": (size - 1) / (base.grid - 1),
             "truncated": cut[0], "trained": there[0], **estimate(cut - there)}
            for base, own, cut, there in _trained_on(found)]  # fmt: skip
    return pd.DataFrame(rows)


def given_back(found: Sequence[Measured], ratios: dict[str, float]) -> Told:
    """Return the share of the drop at an eighth of the grid that further training there gives back, one a setup.

    `found` as for `retrained`. The interval is over pictures; trainings are the units, which fewer than three leave
    open: how far two of one start lie apart is not known.
    """
    told = Told()
    for base, own, cut, there in _trained_on(found):
        if own.setup.lrg_size == base.at_share(0.125):
            share = estimate((cut - there) / cut)
            origins = Pool([m._replace(network=m.network.origin) for m in own.members])
            told.tell(GIVES_BACK, f"{gate.named(origins.setup)}: truncated {cut[0]:.1%}, trained on there "
                      f"{there[0]:.1%}: {gate.ends(share, '{:.0%}')} given back.", share, origins.observed(ratios),
                      null=0.0, over="trainings", units=len(own.keys))  # fmt: skip
    return told
