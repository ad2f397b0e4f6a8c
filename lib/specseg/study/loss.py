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
from specseg.study.printed.tables import Tables, curves
from specseg.study.trained import PAPER_KIND, Pool

MAIN = {"variant": "periodic", "average": "ratio_of_means"}


def grid_limit(pool: Pool) -> int:
    """Return the band limit of a network's prediction grid: (grid - 1)/2 with grid = (size - 1)/4 + 1."""
    return (pool.setup.size - 1) // 8


def profiles(pools: Sequence[Pool]) -> pd.DataFrame:
    """Return Fig. 1's first four rows: domain, kind, model, row, nu, value.

    "labels" and "logits" hold power per bin of a rim, "loss" Re L_ce summed over a rim on all test pictures, "initial"
    and "final" the same at the first and the last snapshot, on the pictures that were followed in training.
    """
    parts = []
    for pool in pools:
        bins = label_spectra.rim_bins(pool.setup.size).numpy()
        found = {f: learning.pooled_rims(pool, f"{f}_rim") / bins for f in ("labels", "logits")}
        found["loss"] = learning.pooled_rims(pool, "loss_rim")
        found["initial"], found["final"] = ends(pool)
        parts += [pd.DataFrame({**trained.who(pool.setup), "row": row, "nu": np.arange(len(v)), "value": v})
                  for row, v in found.items()]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def ends(pool: Pool) -> list[np.ndarray]:
    """Return Re L_ce by rim at the first and the last snapshot, mean over a setup's trainings."""
    courses = [learning.snapshots(m) for m in pool.members]
    return [np.mean([one.iloc[k] for one in courses], axis=0) for k in (0, -1)]


def main_reading(rates: pd.DataFrame, variant: str = MAIN["variant"]) -> pd.DataFrame:
    """Return the rows of `trained.rates` in the main reading, or with another variant of the frame."""
    return rates[(rates["variant"] == variant) & (rates["average"] == MAIN["average"])]


def printed() -> pd.DataFrame:
    """Return Table 1 as domain, kind, model, nu_max, value; the column 256, where R_ce is 0, is left out."""
    rows = curves(Tables.read()).query("nu_max < 256")
    return pd.DataFrame({
        "domain": rows["dataset"], "kind": rows["dataset"].map(PAPER_KIND), "model": rows["model"],
        "nu_max": rows["nu_max"], "value": rows["rce"],
    })  # fmt: skip


def side_by_side(rates: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 and ours, one line each, paper's above ours: index kind, model, domain; a column per limit."""
    ours = main_reading(rates)
    return trained.beside(printed(), ours[ours["nu_max"].isin(protocol.LIMITS)], "nu_max")


def observations(pools: Sequence[Pool], rates: pd.DataFrame, ratios: dict[str, float]) -> dict[str, list[dict]]:
    """Return claim -> what the spectra and R_ce of baselines say of Fig. 1 and Table 1, one observation a setup.

    `rates` as `trained.rates` gives them, `ratios` as `gate.quality`. R_ce in the main reading.
    """
    main, told = main_reading(rates), {c: [] for c in CLAIMS}
    for pool in pools:
        who, own, limit = gate.named(pool.setup), pool.observed(ratios), grid_limit(pool)
        half = limit // 2
        within = [min(learning.share_within(learning.rims(m, f"{q}_rim"), half) for q in ("labels", "logits"))
                  for m in pool.members]  # fmt: skip
        beyond = [1 - learning.share_within(learning.rims(m, "logits_rim"), limit) for m in pool.members]
        noise = {n: learning.noise_within(2 * limit + 1, pool.setup.size, n) for n in (half, limit)}
        mine = main[(main["domain"] == pool.setup.domain) & (main["model"] == pool.setup.model)].set_index("nu_max")
        mine = mine[["value", "low", "high"]]
        at, top = mine.loc[limit], mine[(mine.index >= 16) & (mine.index <= 32)].sort_values("value").iloc[-1]
        (up, of), by, mirrored = falling_steps(pool), factor(pool), factor(pool, variant="mirrored")["value"]
        facts = {
            "fig1-power-is-low": ({**gate.over_trainings(within), "null": noise[half]},
                                  f"{min(within):.0%} or more of the power within {half}"),
            "fig1-logits-band-limited": ({**gate.over_trainings(beyond), "null": 1 - noise[limit]},
                                         f"{np.mean(beyond):.2%} beyond {limit}"),
            "fig1-loss-beyond-grid-small": ({**at, **pool.units}, f"R_ce({limit}) = {at['value']:.3f}"),
            "tab1-decreasing-r3": ({"value": up, "n": of}, f"{up} of {of} steps"),
            "tab1-factor-of-ten-r3": ({**by, **pool.units, "null": 4.0},
                                      f"{gate.ends(by, '{:.1f}')}, with the frame mirrored {mirrored:.0f}"),
            "tab1-band-16-to-32-r3": ({**top, **pool.units}, f"at most {top['value']:.3f}, at {top.name}"),
        }  # fmt: skip
        for claim, (fact, words) in facts.items():
            told[claim].append({**fact, **own, "note": f"{who}: {words}."})
    for streets, other in trained.streets_against(pools):
        found = streets_ratio(streets, other)
        at = found.pop("nu_max")
        told["tab1-streets-larger-r3"].append({**found, **trained.observed_pair(streets, other, ratios), "note": (
            f"{gate.named(streets.setup)} over {gate.unit(other.setup)}: at least {found['value']:.2f} times, at "
            f"{at}.")})  # fmt: skip
    return told


CLAIMS = (
    "fig1-power-is-low", "fig1-logits-band-limited", "fig1-loss-beyond-grid-small", "tab1-decreasing-r3",
    "tab1-factor-of-ten-r3", "tab1-band-16-to-32-r3", "tab1-streets-larger-r3",
)  # fmt: skip


def falling_steps(pool: Pool) -> tuple[int, int]:
    """Return (steps at which R_ce rises as the limit is lowered, steps) over 64, 48, 40, 32, 24, 16, 8.

    The step from the Nyquist limit, where R_ce is 0 by definition, cannot fail and is not counted.
    """
    value, _ = trained.rate_draws(pool, **MAIN)
    at = dict(zip(trained.limits(pool), value, strict=True))
    line = [at[n] for n in protocol.LIMITS if n in at]
    return int(sum(b > a for a, b in zip(line, line[1:], strict=False))), len(line) - 1


def factor(pool: Pool, variant: str = MAIN["variant"]) -> dict[str, float]:
    """Return R_ce(8)/R_ce(32) of a setup with its interval over clusters."""
    value, draws = trained.rate_draws(pool, variant, MAIN["average"])
    one, two = ((value[k], draws[:, k]) for k in map(trained.limits(pool).index, (8, 32)))
    return trained.compared(one, two, np.divide)


def streets_ratio(streets: Pool, other: Pool) -> dict[str, float]:
    """Return the smallest ratio, over Table 1's limits, of R_ce on streets to that on another kind of scene.

    value, low, high (at that limit) and nu_max.
    """
    (a, drawn_a), (b, drawn_b) = (trained.rate_draws(p, **MAIN) for p in (streets, other))
    pairs = [(n, *(trained.limits(p).index(n) for p in (streets, other))) for n in protocol.LIMITS]
    found = [{**trained.compared((a[i], drawn_a[:, i]), (b[j], drawn_b[:, j]), np.divide), "nu_max": n}
             for n, i, j in pairs]  # fmt: skip
    return min(found, key=lambda f: f["value"])
