"""Tables of the loss of trained networks in frequency: Fig. 1's profiles, Table 1 beside ours, and ratios of R_ce.

The main reading of R_ce (Eq. 10) is the ratio of means over the test set, with the frame as the DFT sees it (periodic).
Forward 1/N, nu in cycles per frame.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from specseg.data import label_spectra
from specseg.nets import protocol
from specseg.study import gate, learning, trained
from specseg.study.gate import Told
from specseg.study.printed.tables import Tables
from specseg.study.trained import MEANS, PAPER_KIND, PLAIN, Pool, estimate


def grid_limit(pool: Pool) -> int:
    """Return the band limit of a network's prediction grid: (grid - 1)/2 with grid = (size - 1)/4 + 1."""
    return (pool.setup.size - 1) // 8


def profiles(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return Fig. 1's first four rows: domain, kind, model, row, nu, value.

    "labels" and "logits" hold power per bin of a rim, "loss" Re L_ce summed over a rim on all test pictures, "initial"
    and "final" the same at the first and the last snapshot, mean over a setup's trainings, on the pictures that were
    followed in training.
    """
    parts = []
    for pool in pools:
        bins, courses = label_spectra.rim_bins(pool.setup.size).numpy(), [learning.snapshots(m) for m in pool.members]
        found = {f: learning.pooled_rims(pool, f"{f}_rim") / bins for f in ("labels", "logits")}
        found["loss"] = learning.pooled_rims(pool, "loss_rim")
        found |= {row: np.mean([c.iloc[k] for c in courses], axis=0) for row, k in (("initial", 0), ("final", -1))}
        parts += [pd.DataFrame({**trained.who(pool.setup), "row": row, "nu": np.arange(len(v)), "value": v})
                  for row, v in found.items()]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def main_reading(rates: pd.DataFrame, variant: str = PLAIN) -> pd.DataFrame:
    """Return the rows of `trained.rates` in the main reading, or with another variant of the frame."""
    return rates[(rates["variant"] == variant) & (rates["average"] == MEANS)]


def printed() -> pd.DataFrame:
    """Return Table 1 as domain, kind, model, nu_max, value; the column 256, where R_ce is 0, is left out."""
    rows = Tables.read().curves.query("nu_max < 256").rename(columns={"dataset": "domain", "rce": "value"})
    return rows.assign(kind=rows["domain"].map(PAPER_KIND))[["domain", "kind", "model", "nu_max", "value"]]


def side_by_side(rates: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 and ours, one line each, paper's above ours: index kind, model, domain; a column per limit."""
    ours = main_reading(rates)
    return trained.beside(printed(), ours[ours["nu_max"].isin(protocol.LIMITS)], "nu_max")


def observations(pools: Sequence[Pool], ratios: dict[str, float]) -> Told:
    """Return claim -> what the spectra and R_ce of baselines say of Fig. 1 and Table 1, one observation a setup.

    `ratios` as `gate.quality`. R_ce in the main reading.
    """
    told = Told()
    for pool in pools:
        limit, rises = grid_limit(pool), falling_steps(pool)
        half = limit // 2
        within = [min(learning.share_within(learning.rims(m, f"{q}_rim"), half) for q in ("labels", "logits"))
                  for m in pool.members]  # fmt: skip
        beyond = [1 - learning.share_within(learning.rims(m, "logits_rim"), limit) for m in pool.members]
        noise = {n: learning.noise_within(2 * limit + 1, pool.setup.size, n) for n in (half, limit)}
        top = max((n for n in pool.limits if 16 <= n <= 32), key=lambda n: pool.rate(n)[0])
        at, most, by = (estimate(r) for r in (pool.rate(limit), pool.rate(top), factor(pool)))
        facts = {
            "fig1-power-is-low": ({**gate.over_trainings(within), "null": noise[half]},
                                  f"{min(within):.0%} or more of the power within {half}"),
            "fig1-logits-band-limited": ({**gate.over_trainings(beyond), "null": 1 - noise[limit]},
                                         f"{np.mean(beyond):.2%} beyond {limit}"),
            "fig1-loss-beyond-grid-small": ({**at, **pool.units}, f"R_ce({limit}) = {at['value']:.3f}"),
            "tab1-decreasing-r3": ({"value": sum(rises), "n": len(rises)}, f"{sum(rises)} of {len(rises)} steps"),
            "tab1-factor-of-ten-r3": ({**by, **pool.units, "null": 4.0}, f"{gate.ends(by, '{:.1f}')}, with the frame "
                                      f"mirrored {factor(pool, 'mirrored')[0]:.0f}"),
            "tab1-band-16-to-32-r3": ({**most, **pool.units}, f"at most {most['value']:.3f}, at {top}"),
        }  # fmt: skip
        for claim, (fact, words) in facts.items():
            told.tell(claim, f"{gate.named(pool.setup)}: {words}.", fact, pool.observed(ratios))
    for streets, other in trained.streets_against(pools):
        at, found = streets_ratio(streets, other)
        note = f"{gate.named(streets.setup)} over {gate.unit(other.setup)}: at least {found['value']:.2f} times"
        told.tell("tab1-streets-larger-r3", f"{note}, at {at}.", found, trained.observed_pair(streets, other, ratios))
    return told


def falling_steps(pool: Pool) -> list[bool]:
    """Say of each step over 64, 48, 40, 32, 24, 16, 8 whether R_ce rises as the limit is lowered.

    The step from the Nyquist limit, where R_ce is 0 by definition, cannot fail and is not counted.
    """
    return list(np.diff([pool.rate(n)[0] for n in protocol.LIMITS if n in pool.limits]) > 0)


def factor(pool: Pool, variant: str = PLAIN) -> np.ndarray:
    """Return drawn R_ce(8)/R_ce(32) of a setup."""
    return pool.rate(8, variant) / pool.rate(32, variant)


def streets_ratio(streets: Pool, other: Pool) -> tuple[int, dict[str, float]]:
    """Return the limit of Table 1 at which R_ce on streets over that on another kind of scene is least, and it."""
    found = {n: estimate(streets.rate(n) / other.rate(n)) for n in protocol.LIMITS}
    return min(found.items(), key=lambda f: f[1]["value"])
