"""What trained networks say to the advice, as on record: R_ce and the drop, drops by size, what the rule is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specseg.evidence import records
from specseg.evidence.records import RecordError

EXPERIMENT = "relation"
PARAMETERS = ("slope", "intercept", "residual_sd", "x_low", "x_high", "n")
HELD_OUT = ("covered", "cases")  # on the networks that others trained
COLUMNS = ("predictor", "boundary", "average", "temperature", "parameter", "value")
NONE = "No fitted relation on record: no drop is predicted from R_ce."


@dataclass(frozen=True)
class Relation:
    """drop = slope x + intercept with a residual's standard deviation, fitted for x in x_low .. x_high on n points.

    Of `cases` drops of networks that others trained the predicted interval held `covered`.
    """

    predictor: str
    boundary: str
    average: str
    temperature: str
    slope: float
    intercept: float
    residual_sd: float
    x_low: float
    x_high: float
    n: float
    run_id: str
    covered: float = 0.0
    cases: float = 0.0

    def predict(self, x: float) -> dict[str, float | bool]:
        """Return the predicted relative drop with an interval of twice the residual's deviation, and whether x lies
        inside the fitted range.

        >>> r = Relation("r_ce", "periodic", "ratio_of_means", "raw", 0.6, 0.0, 0.01, 0.0, 0.2, 40, "x")
        >>> r.predict(0.1)["value"], r.predict(0.3)["inside"]
        (0.06, False)
        """
        value = self.slope * x + self.intercept
        spread = 2 * self.residual_sd
        inside = bool(self.x_low <= x <= self.x_high)
        return {"value": value, "low": value - spread, "high": value + spread, "inside": inside}


def fit(x: np.ndarray, drop: np.ndarray, domain: np.ndarray) -> dict[str, float]:
    """Return PARAMETERS of the least-squares line of drop over x; every domain weighs the same.

    `residual_sd` is the root mean square of what lines fitted without a domain miss on it: the spread that a new domain
    must expect, not that of the points at hand. Raises ValueError with fewer than two domains.

    >>> got = fit(np.array([0.0, 0.1, 0.0, 0.1]), np.array([0.0, 0.1, 0.0, 0.1]), np.array(["a", "a", "b", "b"]))
    >>> round(got["slope"], 6), round(got["residual_sd"], 6), got["n"]
    (1.0, 0.0, 4.0)
    """
    names = np.unique(domain)
    if len(names) < 2:
        raise ValueError(f"domain: {len(names)} of them; expected at least two, since one is held out in turn")

    def line(keep: np.ndarray) -> np.ndarray:
        weights = np.array([1 / np.sqrt((domain[keep] == d).sum()) for d in domain[keep]])
        return np.polyfit(x[keep], drop[keep], 1, w=weights)

    missed = [np.mean((drop[domain == d] - np.polyval(line(domain != d), x[domain == d])) ** 2) for d in names]
    slope, intercept = line(np.ones(len(x), bool))
    return {"slope": float(slope), "intercept": float(intercept), "residual_sd": float(np.sqrt(np.mean(missed))),
            "x_low": float(x.min()), "x_high": float(x.max()), "n": float(len(x))}  # fmt: skip


def fitted() -> list[Relation]:
    """Return the relations of the newest record of `relation`, [] where there is none.

    The record's rows: one parameter a line (PARAMETERS) of each variant of R_ce (predictor "r_ce", boundary, average,
    temperature "raw" or "calibrated"). Lines of other predictors are left alone.
    Raises RecordError that names the record and what it lacks: an unreadable relation is not used half.
    """
    found = records.find(EXPERIMENT)
    if not found:
        return []
    record = found[-1]
    if missing := [c for c in COLUMNS if c not in record.rows.columns]:
        raise RecordError(f"{record.path}: columns {', '.join(missing)} missing; a fitted relation has {COLUMNS}")
    out = []
    known = record.rows["parameter"].isin(PARAMETERS + HELD_OUT)
    rows = record.rows[(record.rows["predictor"] == "r_ce") & known]
    for key, part in rows.groupby(["predictor", "boundary", "average", "temperature"]):
        values = dict(zip(part["parameter"], part["value"].astype(float), strict=True))
        if lacking := [p for p in PARAMETERS if p not in values]:
            raise RecordError(f"{record.path}: relation {key} lacks {', '.join(lacking)}")
        out.append(Relation(*key, **values, run_id=record.run_id))
    return out


def evidence() -> dict[str, list[dict]]:
    """Return what networks of the newest record lost: `rule` (kind, value, low, high), `drops` (kind, share, ...).

    `rule`: the loss of the rule from labels minus that of always half of the grid, drop above the tolerance plus FLOPs
    above the smallest tolerable grid's, by data set with its interval. `drops`: least and largest relative mIoU-drop
    of `networks` networks at a share of a grid of stride 4. Both empty where no record says it.
    """
    found = records.find(EXPERIMENT)
    rows = found[-1].rows if found else None
    if rows is None or "kind" not in rows.columns:
        return {"rule": [], "drops": []}
    rows = rows.rename(columns={"n": "networks"})
    own = {name: rows[rows["predictor"] == name] for name in ("rule", "drop")}
    return {"rule": own["rule"][["kind", "value", "low", "high"]].to_dict("records"),
            "drops": own["drop"][["kind", "share", "low", "high", "networks"]].to_dict("records")}  # fmt: skip
