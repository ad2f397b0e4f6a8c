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

from specseg.evidence import statistics
from specseg.measure.truncation import FULL
from specseg.nets.networks import Network
from specseg.study import gate, trained
from specseg.study.printed.tables import Tables, cells
from specseg.study.trained import PAPER_KIND, Drawn, Measured, Pool

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


def drop(pool: Pool, method: str, lrg_size: int | None = None) -> Drawn:
    """Return a setup's relative mIoU-drop under a condition, and its draws."""
    return trained.drop_draws(pool, pool, None, trained.under(method, lrg_size))


def printed() -> pd.DataFrame:
    """Return Tables 4a and 4b as domain, kind, model, prune_rate, lrg_size, share, miou, value (drop)."""
    rows = cells(Tables.read()).sort_values(["dataset", "model", "prune_rate", "lrg_size"], ignore_index=True)
    return pd.DataFrame({
        "domain": rows["dataset"], "kind": rows["dataset"].map(PAPER_KIND), "model": rows["model"],
        "prune_rate": rows["prune_rate"], "lrg_size": rows["lrg_size"], "share": rows["nu_max"] / 64,
        "miou": rows["miou"], "value": rows["miou_drop"],
    })  # fmt: skip


def side_by_side(drops: pd.DataFrame) -> pd.DataFrame:
    """Return drops of Table 4 and ours (rows of `trained.drops`), unpruned networks, a column a share of the grid."""
    ours = drops[drops["method"].isin(["full", "bilinear"])]
    ours = ours[(ours[["prune_encoder", "prune_decoder", "trained_lrg"]] == 0).all(axis=1)]
    theirs = printed()
    return trained.beside(theirs[theirs["prune_rate"] == 0], ours, "share")


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
    shares = [(size - 1) / (grid(streets) - 1) for size in sizes(streets)]
    found = [{**trained.compared(*(drop(p, "bilinear", at_share(p, share)) for p in (streets, other))), "share": share}
             for share in shares if share <= 0.5]  # fmt: skip
    return min(found, key=lambda f: f["value"])


GIVES_BACK = "beyond-training-gives-back"
CLAIMS = (
    "tab4-drop-small-r3", "tab4-monotone-r3", "tab4-streets-larger-r3", "sec32-pruning-leaves-drop-r3",
    "tab4-fourier-like-bilinear", "sec32-arbitrary-features", "fig4-optima-r3", "fig4-optima-insensitive-r3",
)  # fmt: skip


def observations(pools: Sequence[Pool], ratios: dict[str, float], best: pd.DataFrame) -> dict[str, list[dict]]:
    """Return claim -> what truncation says of Table 4 and Fig. 4, one observation a setup.

    `ratios` as `gate.quality`; `best` are the optima of FPI by printed costs, as `cost.optima` gives them with
    `inside` (the paper's range) and `untrained` (`gate.marked`).
    """
    told: dict[str, list[dict]] = {c: [] for c in CLAIMS}
    base = [p for p in pools if p.setup.is_baseline]
    for pool in base:
        half, name, seen = at_share(pool, 0.5), gate.named(pool.setup), pool.observed(ratios)
        bilinear, fourier = (drop(pool, method, half) for method in ("bilinear", "fourier"))
        found = {"tab4-fourier-like-bilinear": (trained.compared(bilinear, fourier), "{:+.2%}")}
        if pool.setup.home.kind != "streets":
            found["tab4-drop-small-r3"] = statistics.estimate(*bilinear), "{:.2%}"
        if any(method == "encoder" for method, _ in trained.conditions(pool)):
            found["sec32-arbitrary-features"] = statistics.estimate(*drop(pool, "encoder")), "{:.1%}"
        for claim, (own, form) in found.items():
            told[claim].append({**own, **pool.units, **seen, "note": f"{name}: {gate.ends(own, form)}."})
        k, n = falls(pool)
        told["tab4-monotone-r3"].append({"value": k, "n": n, **seen, "note": (
            f"{name}: no rise in {k} of {n} steps to a smaller grid.")})  # fmt: skip
    for streets, other in trained.streets_against(base):
        gap = streets_difference(streets, other)
        at = gap.pop("share")
        told["tab4-streets-larger-r3"].append({**gap, **trained.observed_pair(streets, other, ratios), "note": (
            f"{gate.named(streets.setup)} minus {gate.unit(other.setup)}: {gate.ends(gap, '{:+.1%}')} at {at:g} of the "
            "grid.")})  # fmt: skip
    for line in rate_lines(pools):
        k, n = falls_by_rate(line)
        about = Pool([m for p in line for m in p.members[:1]]).observed(ratios)
        told["tab4-monotone-r3"].append({"value": k, "n": n, **about, "domain": f"pruned {about['domain']}", "note": (
            f"{gate.named(line[0].setup)}: no rise in {k} of {n} steps to a higher rate.")})  # fmt: skip
    for control, own, effect in _pruned(pools):
        seen = {**control.observed(ratios), **own.observed(ratios), "over": "trainings", "units": len(own.keys)}
        told["sec32-pruning-leaves-drop-r3"].append({**effect, **seen, "note": (
            f"{gate.named(own.setup)}: drop {gate.ends(effect, '{:+.2%}')} against training on without.")})  # fmt: skip
    about = {(p.setup.domain, p.setup.model): p.observed(ratios) for p in base}
    for key, own in best.groupby(["domain", "model"], sort=False):
        own = own[own["prune_rate"].eq(0) | ~own["untrained"]]
        name, k, rates = f"{about[key]['domain']}, {gate.MODELS[key[1]]}", int(own["inside"].sum()), own["prune_rate"]
        told["fig4-optima-r3"].append({"value": k, "n": len(own), **about[key], "note": (
            f"{name}: {k} of {len(own)} optima at a quarter to a half of the grid.")})  # fmt: skip
        if rates.nunique() > 1:
            spread = int(np.ptp(own["step"]))
            told["fig4-optima-insensitive-r3"].append({"value": int(spread <= 1), "n": 1, **about[key], "note": (
                f"{name}: {spread} steps over {rates.nunique()} rates.")})  # fmt: skip
    return told


def _children(pools: Sequence[Pool], of: Callable[[Network], object]) -> Iterator[tuple[Pool, Pool]]:
    """Yield, for each setup `of` a kind, the one of its domain and model that is not, and it, on what both share."""
    parents = {(p.setup.domain, p.setup.model): p for p in pools if not of(p.setup)}
    for pool in pools:
        if of(pool.setup) and (parent := parents.get((pool.setup.domain, pool.setup.model))):
            yield trained.shared(parent, pool)


def _pruned(pools: Sequence[Pool]) -> Iterator[tuple[Pool, Pool, dict[str, float]]]:
    """Yield each setup with a pruned encoder after its control, and its drop at half of the grid minus the control's.

    The control went on as long from the same network with its decoder alone pruned.
    """
    for control, own in _children([p for p in pools if p.setup.prune_decoder], lambda n: n.prune_encoder):
        a, b = (drop(p, "bilinear", at_share(p, 0.5)) for p in (control, own))
        yield control, own, trained.compared(b, a)


def pruning_effects(pools: Sequence[Pool], ratios: dict[str, float]) -> pd.DataFrame:
    """Return one row per setup with a pruned encoder: drop at half of the grid minus that of its control.

    domain, model, prune_encoder, `ratio` (the least of `ratios`, as `gate.quality`), value, low, high, `start`,
    `control` and `own` (the drops of the network that both began from, of the control and of the setup), and `cost`,
    the relative mIoU-drop from the control at the full grid; the same pictures. Setups without a control are left out.
    """
    begun = {(p.setup.domain, p.setup.model): p for p in pools if p.setup.is_baseline}
    rows = []
    for control, own, effect in _pruned(pools):
        start, _ = trained.shared(begun[own.setup.domain, own.setup.model], own)
        drops = {k: drop(p, "bilinear", at_share(p, 0.5))[0]
                 for k, p in (("start", start), ("control", control), ("own", own))}  # fmt: skip
        ratio, cost = min(ratios[m.network.name] for m in own.members), trained.drop_draws(control, own)[0]
        rows.append({**trained.who(own.setup), "prune_encoder": own.setup.prune_encoder, **drops, "ratio": ratio,
                     "cost": cost, **effect})  # fmt: skip
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
    (of the network's mean to the histogram's) are over the folds and seeds there, NaN where they are lacking.
    """
    each = {}
    for m in scored_by:
        miou = m.rows[m.rows["metric"] == "miou"].set_index("predictor")["value"]
        each[m.network.name] = {"own": miou["network"], "colour": miou.drop("network").max(),
                                "boundary": m.rows[m.rows["metric"] == "boundary_miou"]["value"].max()}  # fmt: skip
    table, rows = pd.DataFrame.from_dict(each, orient="index", columns=["own", "colour", "boundary"]), []
    for pool in trained.pools(found):
        own, colour, edge = table[table.index.isin([m.network.name for m in pool.members])].mean()
        rows.append({**pool.describe(), **statistics.estimate(*trained.miou_draws(pool)), "colour": colour,
                     "ratio": own / colour, "boundary": edge})  # fmt: skip
    return pd.DataFrame(rows)


def retrained(found: Sequence[Measured]) -> pd.DataFrame:
    """Return what going on with the training at an LRG gives back, against a control that went on with the full grid.

    `found` are truncation's records of networks that start "frozen". One row a setup and LRG: domain, kind, model,
    lrg_size, share, `truncated` (the control's drop when it is only truncated), `trained` (the drop from the control of
    the network trained there), and value, low, high of their difference, on the same pictures. Empty where none is.
    """
    rows = []
    for base, own in _children(trained.pools(found), lambda n: n.lrg_size):
        size, cut, there = own.setup.lrg_size, *_after(base, own)
        rows.append({**trained.who(own.setup), "lrg_size": size, "share": (size - 1) / (grid(base) - 1),
                     "truncated": cut[0], "trained": there[0], **trained.compared(cut, there)})  # fmt: skip
    return pd.DataFrame(rows)


def _after(base: Pool, own: Pool) -> tuple[Drawn, Drawn]:
    """Return the drop of a control that is only cut to the grid of a network trained there, and that network's."""
    there = trained.under("bilinear", own.setup.lrg_size)
    return trained.drop_draws(base, base, None, there), trained.drop_draws(base, own, None, there)


def given_back(found: Sequence[Measured], ratios: dict[str, float]) -> list[dict]:
    """Return the share of the drop at an eighth of the grid that further training there gives back, one a setup.

    `found` as for `retrained`. The interval is over pictures; trainings are the units, which fewer than three leave
    open: how far two of one start lie apart is not known.
    """
    facts = []
    for base, own in _children(trained.pools(found), lambda n: n.lrg_size):
        if own.setup.lrg_size != at_share(base, 0.125):
            continue
        cut, there = _after(base, own)
        share = trained.compared(cut, there, by=lambda a, b: (a - b) / a)
        origins = Pool([m._replace(network=m.network.origin) for m in own.members])
        facts.append({**share, "null": 0.0, "over": "trainings", "units": len(own.keys), **origins.observed(ratios),
                      "note": f"{gate.named(origins.setup)}: truncated {cut[0]:.1%}, trained on there {there[0]:.1%}: "
                      f"{gate.ends(share, '{:.0%}')} given back."})  # fmt: skip
    return facts
