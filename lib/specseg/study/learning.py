"""What a training does to the loss in each frequency band, how cross-entropy and IoU go together, R_ce within one.

Bands hold the rims max(|u|, |v|) = nu of their range, in cycles per frame; a band's loss is the sum of Re L_ce(nu) over
it, in nats per pixel, forward 1/N. Bands above zero are negative in a network that beats the histogram of classes.
Statistics and rivals of trainings that were watched are those of the protocol (book/method.md).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1, 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from specseg.evidence import statistics as scores
from specseg.evidence.fits import spearman
from specseg.measure.loss import rates_of
from specseg.nets.networks import Network
from specseg.spectral.spectrum import rim_products
from specseg.study.gate import Told, named, over_trainings, quality
from specseg.study.trained import Measured, Pool, pools, read, setup, who

BANDS = {"0 to 8": (0, 8), "9 to 16": (9, 16), "17 to 32": (17, 32), "33 to 64": (33, 64)}
COURSES = {  # claim -> quantity of `bands_learnt`, its words, what knows nothing gets ("shares": from those of classes)
    "fig1-low-band-learnt-most": ("low falls most", "{:+.2f} of the first loss", "shares"),
    "fig1-low-band-learnt-first": ("low is first", "{:+.1%} of the training", ""),
    "sec21-ce-falls-iou-rises": ("correlation", "rank correlation {:+.2f}", -1.0),
}
FIRST = 64  # the last of the first steps, of trainings that were watched
WITHIN = "fig5b-within-training"
LOW, HIGHER, LATE = "0 to 8", ("9 to 16", "17 to 32", "33 to 64"), ("17 to 32", "33 to 64")


def rims(measured: Measured, metric: str) -> np.ndarray:
    """Return a record's final profile by rim, (nyquist + 1,), periodic: "loss_rim", "labels_rim" or "logits_rim".

    Raises ValueError that names the network when it is not there.
    """
    rows = measured.rows[(measured.rows["metric"] == metric) & (measured.rows["variant"] == "periodic")]
    if rows.empty:
        raise ValueError(f"{measured.network.name}: no rows {metric}, periodic in its record of loss_in_frequency")
    return rows.sort_values("nu")["value"].to_numpy(float)


def pooled_rims(pool: Pool, metric: str) -> np.ndarray:
    """Return the profile of a setup: the mean over the pictures of all folds, and over seeds."""
    weights = [len(m.arrays["names"]) for m in pool.members]
    return np.average([rims(m, metric) for m in pool.members], axis=0, weights=weights)


def share_within(profile: np.ndarray, nu_max: int) -> float:
    """Return the part of a profile's sum over nu != 0 that lies in the box |u|, |v| <= nu_max.

    >>> share_within(np.array([9.0, 3.0, 1.0]), 1)
    0.75
    """
    return float(profile[1 : nu_max + 1].sum() / profile[1:].sum())


def noise_within(grid: int, size: int, nu_max: int) -> float:
    """Return the share of power (nu != 0) in the box of nu_max of white noise on a grid, up-sampled to `size` pixels.

    What up-sampling alone makes of features that know nothing: the rival of what is said of spectra. Bilinear, corners
    on corners; grid and size per side.
    """
    noise = torch.randn(8, 1, grid, grid, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    large = torch.nn.functional.interpolate(noise, (size, size), mode="bilinear", align_corners=True)
    return share_within(rim_products(large, large).real.mean((0, 1)).numpy(), nu_max)


def snapshots(measured: Measured) -> pd.DataFrame:
    """Return Re L_ce during a training, a row a step and a column a rim. Raises ValueError where none is on record."""
    rows = measured.rows
    if "step" not in rows or not rows["step"].notna().any():
        raise ValueError(f"{measured.network.name}: its record holds no snapshots; only baselines have them")
    during = rows[rows["step"].notna() & (rows["metric"] == "loss_rim")]
    return during.pivot(index="step", columns="nu", values="value").sort_index()


def course(measured: Measured) -> pd.DataFrame:
    """Return the snapshots of a training: step, share (of the training), loss (L_CE), zero, a column a band, miou."""
    wide, rows = snapshots(measured), measured.rows
    out = pd.DataFrame({"share": wide.index / wide.index.max(), "loss": wide.sum(axis=1), "zero": wide[0.0]})
    for name, (first, last) in BANDS.items():
        out[name] = wide.loc[:, first:last].sum(axis=1)
    out["miou"] = rows[rows["step"].notna() & (rows["metric"] == "miou")].set_index("step")["value"]
    return out.reset_index()


def _about(network: Network) -> dict:
    return {**who(network), "fold": network.fold, "seed": network.seed, "name": network.name}


def courses(found: Sequence[Measured]) -> pd.DataFrame:
    """Return the snapshots of all trainings below one another, with domain, kind, model, fold, seed beside them."""
    return pd.concat([course(m).assign(**_about(m.network)) for m in found], ignore_index=True)


def half_time(share: Sequence[float], values: Sequence[float]) -> float:
    """Return the part of the training after which a quantity has first made half of its final change.

    Linear between snapshots. Raises ValueError when there is no final change.

    >>> half_time([0, 0.5, 1], [4.0, 1.0, 0.0])                  # half of the way, 2, lies two thirds of the way to 1
    0.3333333333333333
    """
    share, values = np.asarray(share, float), np.asarray(values, float)
    if values[-1] == values[0]:
        raise ValueError("half_time: the last value is the first; no change to take half of")
    progress = (values - values[0]) / (values[-1] - values[0])
    k = int(np.argmax(progress >= 0.5))
    step = (0.5 - progress[k - 1]) / (progress[k] - progress[k - 1])
    return float(share[k - 1] + step * (share[k] - share[k - 1]))


def bands_learnt(one: pd.DataFrame) -> dict[str, float]:
    """Return what one training (`course`) did to each band, and the differences that the paper's sentences speak of.

    `fall <band>` in units of the first cross-entropy, `half <band>` the half-time; `low falls most` the low band's fall
    minus the largest other, `low is first` the earliest half-time above 16 minus the low band's; `told apart` whether
    any of these lies behind the first snapshot; `correlation` the rank correlation of L_CE and mIoU over the snapshots.
    """
    first, last = one.iloc[0], one.iloc[-1]
    fall = {b: float((first[b] - last[b]) / first["loss"]) for b in BANDS}
    half = {b: half_time(one["share"], one[b]) for b in BANDS}
    return {
        **{f"fall {b}": v for b, v in fall.items()}, **{f"half {b}": v for b, v in half.items()},
        "low falls most": fall[LOW] - max(fall[b] for b in HIGHER),
        "low is first": min(half[b] for b in LATE) - half[LOW],
        "told apart": bool(max(half[b] for b in (LOW, *LATE)) > one["share"].iloc[1]),
        "first loss": float(first["loss"]), "zero at first": float(first["zero"]), "zero at last": float(last["zero"]),
        "correlation": float(spearman(one["loss"], one["miou"])),
    }  # fmt: skip


def learnt(found: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per training: domain, kind, model, fold, seed and what `bands_learnt` gives."""
    return pd.DataFrame([_about(m.network) | bands_learnt(course(m)) for m in found])


def histogram_entropy(scored_by: Sequence[Measured]) -> float:
    """Return the entropy of the classes' shares of the labelled pixels, in nats: the loss of knowing them alone."""
    areas = sum(m.arrays["counts"][..., 1].sum(0) for m in scored_by).astype(float)
    shares = areas[areas > 0] / areas.sum()
    return float(-(shares * np.log(shares)).sum())


def observations(found: Sequence[Measured], scored_by: Sequence[Measured]) -> Told:
    """Return claim -> what is observed of the course of trainings, a setup each, over its folds and seeds.

    Their rivals know nothing of the picture: one learns the classes' shares alone, the others follow time alone.
    """
    told = Told()
    by_name, watched = {m.network.name: m for m in scored_by}, first_steps(found)
    for pool in pools(found):
        own = learnt(pool.members)
        early = learnt([m for m in watched if setup(m.network) == pool.setup])
        early = early[early["told apart"]] if len(early) else early
        scored = [by_name[n] for n in own["name"] if n in by_name]
        blind = 1 - histogram_entropy(scored) / own["first loss"].mean()
        for claim, (quantity, form, null) in COURSES.items():
            mine = early if quantity == "low is first" and len(early) else own
            fact = {**over_trainings(mine[quantity]), **pool.observed(quality(scored))}
            if quantity == "low is first" and not mine["told apart"].all():
                first = course(pool.members[0])["share"].iloc[1]
                fact.setdefault("left_out", f"half-times inside the first {first:.0%} of the training, before its "
                                            "first snapshot")  # fmt: skip
            fact |= {} if null == "" else {"null": blind if null == "shares" else null}
            words = form.format(mine[quantity].mean())
            told.tell(claim, f"{named(pool.setup)}: {words} (trainings: {len(mine)}).", fact)
    return told


def pictures(loss: Sequence[Measured], scored_by: Sequence[Measured]) -> pd.DataFrame:
    """Return one row per test picture of networks that have both records: L_CE, its IoU, domain, kind, model, fold.

    `loss` are records of loss_in_frequency, `scored_by` of networks. Raises ValueError when their pictures differ.
    """
    by_name, rows = {m.network.name: m for m in scored_by}, []
    for m, other in ((m, by_name[m.network.name]) for m in loss if m.network.name in by_name):
        if [*map(str, m.arrays["names"])] != [*map(str, other.arrays["names"])]:
            raise ValueError(f"{m.network.name}: its records of loss and of scores hold different pictures")
        ious = scores.miou(other.arrays["counts"], [int(c) for c in other.arrays["scored"]])
        part = pd.DataFrame({"picture": m.arrays["names"], "loss": m.arrays["total"][0], "iou": ious})
        rows.append(part.assign(**_about(m.network)))
    return pd.concat(rows, ignore_index=True)


def first_steps(found: Sequence[Measured]) -> list[Measured]:
    """Return the trainings whose first steps were watched, with these in the place of what the record has up to there.

    `found` are records of loss_in_frequency; their later snapshots and their end stay. A training that has none there
    and was watched to its end stands as it was watched.
    """
    watched, out = {m.network.name: _seen(m) for m in read("snapshots", stop=FIRST)}, []
    for m in (m for m in found if m.network.name in watched):
        old = m.rows[m.rows["step"].isna() | (m.rows["step"] > FIRST)]
        out.append(m._replace(rows=pd.concat([old, watched[m.network.name]], ignore_index=True)))
    known, setups = {m.network.name for m in found}, {setup(m.network) for m in found}
    more = (m for m in whole() if m.network.name not in known and setup(m.network) in setups)
    return [*out, *(m._replace(rows=_seen(m)) for m in more)]


def _seen(watched: Measured) -> pd.DataFrame:
    """Return the rows of a watched training that a course reads: the loss by rim and the mIoU of whole logits."""
    rows = watched.rows
    kept = (rows["metric"] == "loss_rim") | ((rows["metric"] == "miou") & rows["method"].isna())
    return rows.loc[kept, ["metric", "step", "nu", "value"]]


def within(one: Measured) -> dict[str, float]:
    """Return how R_ce and mIoU order the drops over the steps of one training: correlation, rival, lead, value, steps.

    Steps count from half of the last mIoU on; correlations are means over the sizes. Too few steps give no order (0).
    """
    total, tail = (one.arrays[a][:, 0].astype(float) for a in ("total", "tail"))
    mious = scores.miou(one.arrays["counts"].sum(2))  # (steps, whole and each size)
    keep = mious[:, 0] >= mious[-1, 0] / 2
    whole, rates = mious[keep, :1].T, np.array([rates_of(*parts) for parts in zip(total, tail, strict=True)])[keep].T
    drops = (whole - mious[keep, 1:].T) / whole
    by, rival = (float(spearman(x, drops).mean()) for x in (rates, np.broadcast_to(-whole, drops.shape)))
    lead = by - abs(rival)
    return {"correlation": by, "rival": rival, "lead": lead, "value": min(by, lead), "steps": int(keep.sum())}


def whole() -> list[Measured]:
    """Return the trainings that were watched to their end."""
    return read("snapshots", stop=0, early=False)


def observations_within(found: Sequence[Measured]) -> Told:
    """Return what whole trainings say of R_ce and drops within one, a setup each."""
    ratios, told = quality(read("networks")), Told()
    for pool in pools(found):
        mine = pd.DataFrame([within(m) for m in pool.members])
        by, rival = mine["correlation"].mean(), mine["rival"].mean()
        note = f"{named(pool.setup)}: correlation {by:+.2f}, of mIoU {rival:+.2f} (trainings: {len(mine)})."
        told.tell(WITHIN, note, over_trainings(mine["value"]), pool.observed(ratios))
    return told
