"""FLOPs per IoU (FPI) and the LRG size that it chooses, from printed or measured costs and scores (section 3.2).

Cells are networks at one LRG size each; a setup is all cells of one network. Ties go to the larger grid, which is the
more accurate network. Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.2, Fig. 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from specseg.study.rules import Values


def fpi(miou: pd.DataFrame, cost: pd.DataFrame, on: Sequence[str] = ("model", "prune_rate", "share")) -> pd.DataFrame:
    """Return the cells of `miou` that have a cost, with fpi = cost / miou; `cost` holds it as `value`."""
    both = miou.merge(cost, on=list(on))
    return both.assign(fpi=both["value"] / both["miou"]).drop(columns="value")


def optima(cells: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the cell of least FPI of each setup (`keys`): lrg_size (and share where there), fpi, and what is near it.

    `margin`: the second smallest FPI over the smallest, minus one (below one per cent the choice hangs on noise; NaN
    for a single size); `step`: the best size's place, largest first, among `sizes`.
    """
    rows = []
    for key, part in cells.groupby(list(keys), sort=False):
        part = part.sort_values("lrg_size", ascending=False)
        fpi = part["fpi"].to_numpy(float)
        step, ordered = int(fpi.argmin()), np.sort(fpi)
        best = part.iloc[step]
        rows.append({
            **dict(zip(keys, key, strict=True)), **{c: float(best[c]) for c in ("share",) if c in part},
            "lrg_size": int(best["lrg_size"]), "fpi": float(best["fpi"]), "step": step, "sizes": len(part),
            "margin": float(ordered[1] / ordered[0] - 1) if len(part) > 1 else np.nan,
        })  # fmt: skip
    return pd.DataFrame(rows)


def choices(values: Values, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each setup the LRG size that GFLOPs / (1 - predicted drop) picks, the best, and the regret in FPI.

    Regret: FPI (GFLOPs / mIoU) of the size picked over that of the best size, minus one. NaN predictions are never
    picked. Each is (setups,), or (draws, setups) with draws.
    """
    names, out = list(dict.fromkeys(values["setup"])), {"chosen": [], "best": [], "regret": []}
    for name in names:
        rows = np.flatnonzero(values["setup"] == name)
        rows = rows[np.argsort(-values["lrg_size"][rows].astype(float), kind="stable")]
        size, cost = values["lrg_size"][rows].astype(int), values["gflops"][rows].astype(float)
        score = cost / np.maximum(1 - predicted[..., rows], 1e-6)
        own = cost / values["miou"][..., rows].astype(float)
        pick, best = np.where(np.isnan(score), np.inf, score).argmin(-1), own.argmin(-1)
        one, two = (np.take_along_axis(own, k[..., None], -1)[..., 0] for k in (pick, best))
        for key, value in (("chosen", size[pick]), ("best", size[best]), ("regret", one / two - 1)):
            out[key].append(value)
    return {"setup": np.array(names), **{k: np.stack(v, -1) for k, v in out.items()}}
