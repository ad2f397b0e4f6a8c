"""Records of trainings that were watched: their first steps, R_ce against drops within one, an early stop.

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
from specseg.study.trained import Measured

FIRST = 64  # the last of the first steps
WITHIN = "fig5b-within-training"


def first_steps(found: Sequence[Measured], profile: str = "standard") -> list[Measured]:
    """Return the trainings whose first steps were watched, with these in the place of what the record has up to there.

    `found` are records of loss_in_frequency; their later snapshots and their end stay.
    """
    watched = {m.network.name: m for m in trained.read("snapshots", profile, stop=FIRST)}
    out = []
    for m in found:
        if m.network.name not in watched:
            continue
        new = watched[m.network.name].rows
        new = new[(new["metric"] == "loss_rim") | ((new["metric"] == "miou") & new["method"].isna())]
        old = m.rows[m.rows["step"].isna() | (m.rows["step"] > FIRST)]
        out.append(m._replace(rows=pd.concat([old, new[["metric", "step", "nu", "value"]]], ignore_index=True)))
    return out


def within(one: Measured) -> dict[str, float]:
    """Return how R_ce and mIoU order the drops over the steps of one training: correlation, rival, lead, value, steps.

    Steps count from half of the last mIoU on; correlations are means over the sizes. Too few steps give no order (0).
    """
    a = one.arrays
    whole, *cut = (scores.miou(a["counts"][:, k].sum(1)) for k in range(a["counts"].shape[1]))
    rates = np.array(
        [rates_of(t[0].astype(float), x[0].astype(float)) for t, x in zip(a["total"], a["tail"], strict=True)]
    )
    keep = whole >= whole[-1] / 2
    drops = np.stack([(whole - c) / whole for c in cut], -1)[keep]
    by = float(spearman(rates[keep].T, drops.T).mean())
    rival = float(spearman(np.broadcast_to(-whole[keep], drops.T.shape), drops.T).mean())
    lead = by - abs(rival)
    return {"correlation": by, "rival": rival, "lead": lead, "value": min(by, lead), "steps": int(keep.sum())}


def whole(profile: str = "standard") -> list[Measured]:
    """Return the trainings that were watched to their end."""
    return trained.read("snapshots", profile, stop=0, early=False)


def observations(found: Sequence[Measured], profile: str = "standard") -> list[dict]:
    """Return what whole trainings say of R_ce and drops within one, a setup each."""
    ratios = gate.quality(trained.read("networks", profile))
    told = []
    for pool in trained.pools(found):
        mine = pd.DataFrame([within(m) for m in pool.members])
        told.append({**gate.over_trainings(mine["value"]), **pool.observed(ratios), "note": (
            f"{gate.named(pool.setup)}: correlation {mine['correlation'].mean():+.2f}, of mIoU "
            f"{mine['rival'].mean():+.2f} (trainings: {len(mine)}).")})  # fmt: skip
    return told


def early(profile: str = "standard") -> pd.DataFrame:
    """Return a row for each training with an early stop: network, the step, its mIoU, the last step and its mIoU."""
    rows = []
    for m in trained.read("snapshots", profile, early=True):
        held = m.rows[m.rows["metric"] == "held_loss"].set_index("step")["value"]
        miou = m.rows[(m.rows["metric"] == "miou") & m.rows["method"].isna()].set_index("step")["value"]
        best, last = int(held.idxmin()), int(held.index.max())
        rows.append({"network": gate.named(m.network), "step": best, "mIoU": miou[best], "last step": last,
                     "mIoU at the last": miou[last]})  # fmt: skip
    return pd.DataFrame(rows)
