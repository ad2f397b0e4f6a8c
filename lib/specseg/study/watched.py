"""Records of trainings that were watched: their first steps, and R_ce against drops within one.

Statistics and rivals are those of the protocol (book/method.md).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from specseg.evidence import statistics as scores
from specseg.evidence.fits import spearman
from specseg.measure.loss import rates_of
from specseg.study import gate, trained
from specseg.study.gate import Told
from specseg.study.trained import Measured

FIRST = 64  # the last of the first steps
WITHIN = "fig5b-within-training"


def first_steps(found: Sequence[Measured], profile: str = "standard") -> list[Measured]:
    """Return the trainings whose first steps were watched, with these in the place of what the record has up to there.

    `found` are records of loss_in_frequency; their later snapshots and their end stay.
    """
    watched = {m.network.name: m.rows for m in trained.read("snapshots", profile, stop=FIRST)}
    out = []
    for m in (m for m in found if m.network.name in watched):
        new = watched[m.network.name]
        new = new[(new["metric"] == "loss_rim") | ((new["metric"] == "miou") & new["method"].isna())]
        old = m.rows[m.rows["step"].isna() | (m.rows["step"] > FIRST)]
        out.append(m._replace(rows=pd.concat([old, new[["metric", "step", "nu", "value"]]], ignore_index=True)))
    return out


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


def whole(profile: str = "standard") -> list[Measured]:
    """Return the trainings that were watched to their end."""
    return trained.read("snapshots", profile, stop=0, early=False)


def observations(found: Sequence[Measured], profile: str = "standard") -> Told:
    """Return what whole trainings say of R_ce and drops within one, a setup each."""
    ratios = gate.quality(trained.read("networks", profile))
    told = Told()
    for pool in trained.pools(found):
        mine = pd.DataFrame([within(m) for m in pool.members])
        by, rival = mine["correlation"].mean(), mine["rival"].mean()
        note = f"{gate.named(pool.setup)}: correlation {by:+.2f}, of mIoU {rival:+.2f} (trainings: {len(mine)})."
        told.tell(WITHIN, note, gate.over_trainings(mine["value"]), pool.observed(ratios))
    return told
