"""What networks say to the advice, as on record: R_ce and the drop, drops by size, the rule's worth, costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields

import pandas as pd

from specseg.advise.settings import prediction_grid
from specseg.evidence import records
from specseg.evidence.records import RecordError
from specseg.nets import flops

EXPERIMENT = "relation"
MODELS = ("deeplabv3plus", "dan")
BACKBONE, STRIDE = "resnet101", 16
VARIANT = ("boundary", "average", "temperature")
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
    "raw" or "calibrated"). Lines of other predictors and parameters are left alone.
    Raises RecordError that names the record and what it lacks: an unreadable relation is not used half.
    """
    if not (found := records.find(EXPERIMENT)):
        return []
    record, known = found[-1], {f.name: f.default is MISSING for f in fields(Relation)[len(VARIANT) + 1 :]}
    if missing := [c for c in ("predictor", *VARIANT, "parameter", "value") if c not in record.rows.columns]:
        raise RecordError(f"{record.path}: columns {', '.join(missing)} missing")
    rows, out = record.rows[record.rows["predictor"] == "r_ce"], []
    for key, part in rows[rows["parameter"].isin(known)].groupby(list(VARIANT)):
        values = dict(zip(part["parameter"], part["value"].astype(float), strict=True))
        if lacking := [name for name, needed in known.items() if needed and name not in values]:
            raise RecordError(f"{record.path}: relation {key} lacks {', '.join(lacking)}")
        out.append(Relation(*key, record.run_id, **values))
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


def costs(sizes: Sequence[int], size: int, num_classes: int) -> pd.DataFrame:
    """Return one line a model and LRG size: model, lrg_size, flops, flops_saved, time_saved, time_low, time_high.

    Convolutions of a ResNet-101 network at output stride 16, one image of `size` pixels a side. `flops_saved` and
    `time_saved` are fractions of the network that is not truncated; the time is a committed record's median of paired
    runs with its quartiles (21 classes, frame 513), NaN where no record has this frame and LRG size.
    """
    full, clock, lines = prediction_grid(size), measured(size), []
    for model in MODELS:
        whole = _flops(model, None, size, num_classes)
        for lrg_size in sizes:
            own, time = whole, [0.0] * 3
            if lrg_size < full:
                own = _flops(model, lrg_size, size, num_classes)
                at = clock[(clock["model"] == model) & (clock["lrg_size"] == lrg_size)]
                time = [1 - float(at[c].iloc[0]) for c in ("value", "high", "low")] if len(at) else [float("nan")] * 3
            lines.append({"model": model, "lrg_size": lrg_size, "flops": own, "flops_saved": 1 - own / whole,
                          **dict(zip(("time_saved", "time_low", "time_high"), time, strict=True))})  # fmt: skip
    return pd.DataFrame(lines)


def _flops(model: str, lrg_size: int | None, size: int, num_classes: int) -> int:
    options = {"input_size": size, "num_classes": num_classes, "backbone": BACKBONE, "output_stride": STRIDE}
    return flops.count(model, lrg_size=lrg_size, rule=flops.CONV, **options).total


def measured(size: int) -> pd.DataFrame:
    """Return the time ratios of the newest latency record of this frame (full filters, fp32, one image); may be empty.

    The ratio is each network's seconds over the untruncated network's, timed in turns.
    """
    found = records.find("latency", input_size=size, backbone=BACKBONE)
    if not found:
        return pd.DataFrame(columns=["model", "lrg_size", "value", "low", "high"])
    rows = found[-1].rows
    keep = (rows["form"] == "full") & (rows["metric"] == "time_ratio") & (rows["precision"] == "fp32")
    return rows[keep & (rows["batch"] == 1)]
