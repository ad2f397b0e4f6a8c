"""What trained networks say to the advice, as on record: R_ce and the drop, drops by size, what the rule is worth."""

from __future__ import annotations

from dataclasses import dataclass

from specseg.evidence import records

EXPERIMENT = "relation"
NONE = "No fitted relation on record: no drop is predicted from R_ce."


@dataclass(frozen=True)
class Relation:
    """drop = slope x + intercept with a residual's standard deviation, fitted for x in x_low .. x_high on n points.

    x is R_ce in one variant. Of `cases` drops of networks that others trained the predicted interval held `covered`.
    """

    boundary: str
    average: str
    temperature: str
    run_id: str
    slope: float
    intercept: float
    residual_sd: float
    x_low: float
    x_high: float
    n: float
    covered: float = 0.0
    cases: float = 0.0

    def predict(self, x: float) -> dict[str, float | bool]:
        """Return the predicted relative drop with an interval of twice the residual's deviation, and whether x lies
        inside the fitted range.

        >>> r = Relation("periodic", "ratio_of_means", "raw", "x", 0.6, 0.0, 0.01, 0.0, 0.2, 40)
        >>> r.predict(0.1)["value"], r.predict(0.3)["inside"]
        (0.06, False)
        """
        value, spread = self.slope * x + self.intercept, 2 * self.residual_sd
        inside = bool(self.x_low <= x <= self.x_high)
        return {"value": value, "low": value - spread, "high": value + spread, "inside": inside}


def fitted() -> list[Relation]:
    """Return the relations of the newest record of `relation`, [] where there is none.

    The record's rows: one parameter a line of each variant of R_ce (predictor "r_ce", boundary, average, temperature
    "raw" or "calibrated"). Lines of other predictors are left alone.
    """
    found = records.find(EXPERIMENT)
    rows = found[-1].rows.query("predictor == 'r_ce'") if found else None
    return [] if rows is None else [
        Relation(*key, found[-1].run_id, **dict(zip(part["parameter"], part["value"].astype(float), strict=True)))
        for key, part in rows.groupby(["boundary", "average", "temperature"])
    ]  # fmt: skip


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
