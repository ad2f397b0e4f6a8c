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
from specseg.evidence import statistics
from specseg.nets import protocol
from specseg.study import learning, trained
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


def ends(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Return Re L_ce by rim at the first and the last snapshot, mean over a setup's trainings."""
    first, last = [], []
    for m in pool.members:
        rows = m.rows[(m.rows["metric"] == "loss_rim") & m.rows["step"].notna()]
        wide = rows.pivot(index="step", columns="nu", values="value").sort_index()
        first.append(wide.iloc[0].to_numpy(float))
        last.append(wide.iloc[-1].to_numpy(float))
    return np.mean(first, axis=0), np.mean(last, axis=0)


def main_reading(rates: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `trained.rates` in the main reading."""
    return rates[(rates["variant"] == MAIN["variant"]) & (rates["average"] == MAIN["average"])]


def printed() -> pd.DataFrame:
    """Return Table 1 as domain, kind, model, nu_max, value; the column 256, where R_ce is 0, is left out."""
    rows = curves(Tables.read()).query("nu_max < 256")
    return pd.DataFrame({
        "domain": rows["dataset"], "kind": rows["dataset"].map(PAPER_KIND), "model": rows["model"],
        "nu_max": rows["nu_max"], "value": rows["rce"],
    })  # fmt: skip


def side_by_side(rates: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1 and ours, one line each, paper's above ours: index kind, model, domain; a column per limit."""
    both = pd.concat([printed().assign(who="paper"), main_reading(rates).assign(who="ours")])
    both = both[both["nu_max"].isin(protocol.LIMITS)]
    order = [{k: i for i, k in enumerate(v)} for v in (trained.KINDS, ("deeplabv3plus", "dan"), ("paper", "ours"))]
    for i, column in enumerate(("kind", "model", "who")):
        both[f"order {i}"] = both[column].map(order[i])
    wide = both.pivot_table("value", ["order 0", "order 1", "order 2", "kind", "model", "domain"], "nu_max")
    wide = wide.droplevel([0, 1, 2])
    return wide[sorted(wide.columns, reverse=True)]


def falling_steps(pool: Pool) -> tuple[int, int]:
    """Return (steps at which R_ce rises as the limit is lowered, steps) over Nyquist, 64, 48, 40, 32, 24, 16, 8.

    At the Nyquist limit R_ce is 0 by definition.
    """
    value, _ = trained.rate_draws(pool, **MAIN)
    at = dict(zip(trained.limits(pool), value, strict=True))
    line = [0.0, *(at[n] for n in protocol.LIMITS if n in at)]
    return int(sum(b > a for a, b in zip(line, line[1:], strict=False))), len(line) - 1


def factor(pools: Sequence[Pool], low: int = 8, high: int = 32) -> dict[str, float]:
    """Return R_ce(low)/R_ce(high), the geometric mean over setups, with its interval; setups are drawn independently.

    Draws with R_ce(high) = 0 would make it infinite; they are as good as impossible and raise no special case.
    """
    logs, drawn = [], []
    for pool in pools:
        k = [trained.limits(pool).index(n) for n in (low, high)]
        value, draws = trained.rate_draws(pool, **MAIN)
        logs.append(np.log(value[k[0]] / value[k[1]]))
        drawn.append(np.log(draws[:, k[0]] / draws[:, k[1]]))
    return statistics.estimate(float(np.exp(np.mean(logs))), np.exp(np.mean(drawn, axis=0)))


def streets_ratio(pools: Sequence[Pool]) -> dict[str, float]:
    """Return the smallest ratio, over Table 1's limits, of R_ce on streets to the larger of the other kinds'.

    `pools` are those of one model, one of each kind. value, low, high (at that limit) and nu_max.
    Raises ValueError when a kind is missing or comes twice.
    """
    by_kind = trained.one_of_each_kind(pools, "streets_ratio")
    found = {kind: trained.rate_draws(p, **MAIN) for kind, p in by_kind.items()}
    at = {kind: [trained.limits(p).index(n) for n in protocol.LIMITS] for kind, p in by_kind.items()}
    others = [k for k in trained.KINDS if k != "streets"]
    value = found["streets"][0][at["streets"]] / np.max([found[k][0][at[k]] for k in others], axis=0)
    drawn = found["streets"][1][:, at["streets"]] / np.max([found[k][1][:, at[k]] for k in others], axis=0)
    k = int(np.argmin(value))
    return {**statistics.estimate(value[k], drawn[:, k]), "nu_max": protocol.LIMITS[k]}
