"""What networks say to the advice, as on record: R_ce and the drop, drops by size, the rule's worth, costs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from specseg.advise.settings import prediction_grid
from specseg.evidence import records
from specseg.evidence.records import RecordError
from specseg.nets import flops

EXPERIMENT = "relation"
MODELS = ("deeplabv3plus", "dan")
BACKBONE, STRIDE = "resnet101", 16
STORED = ["boundary", "average", "temperature"]
VARIANT = ["boundary", "average", "scale"]
NEEDED, TRIED = ["slope", "intercept", "residual_sd", "x_low", "x_high", "n"], ["covered", "cases"]
NONE = "No fitted relation on record: no drop is predicted from R_ce."


def fitted() -> pd.DataFrame:
    """Return the relations of the newest record of `relation`, a line each variant of R_ce; empty where there is none.

    drop = slope R_ce + intercept with a residual's deviation residual_sd, fitted for R_ce in x_low .. x_high on n
    points. Of `cases` drops of networks that others trained the predicted interval held `covered` (NaN: not tried).
    The record's rows: one parameter a line of each variant (predictor "r_ce", boundary, average, scale "raw" or
    "calibrated"). Lines of other predictors and parameters are left alone.
    Raises RecordError that names the record and what it lacks: an unreadable relation is not used half.
    """
    if not (found := records.find(EXPERIMENT)):
        return pd.DataFrame(columns=[*VARIANT, *NEEDED, *TRIED, "run_id"])
    record = found[-1]
    if missing := [c for c in ("predictor", *STORED, "parameter", "value") if c not in record.rows.columns]:
        raise RecordError(f"{record.path}: columns {', '.join(missing)} missing")
    rows = record.rows[record.rows["predictor"] == "r_ce"].astype({"value": float})
    table = rows.pivot(index=STORED, columns="parameter", values="value").reindex(columns=[*NEEDED, *TRIED])
    for key, line in table[NEEDED].isna().iterrows():
        if line.any():
            raise RecordError(f"{record.path}: relation {key} lacks {', '.join(line.index[line])}")
    return table.rename_axis(VARIANT).reset_index().assign(run_id=record.run_id)


def predicted(rates: Sequence[Mapping]) -> list[dict]:
    """Return what each relation on record says of its variant of R_ce: the drop, an interval of twice the residual's
    deviation, and whether R_ce lies inside the fitted range."""
    both = pd.DataFrame(rates, columns=[*VARIANT, "nu_max", "lrg_size", "value"]).merge(fitted(), on=VARIANT)
    x, spread = both["value"], 2 * both["residual_sd"]
    value = both["slope"] * x + both["intercept"]
    told = both.assign(value=value, low=value - spread, high=value + spread, inside=x.between(both.x_low, both.x_high))
    return told[[*VARIANT, "nu_max", "lrg_size", "value", "low", "high", "inside", "run_id"]].to_dict("records")


def held_out() -> str:
    """Return how often the predicted intervals held on networks that had no part in the fit."""
    first, fits = "Predicted drops: a line fitted to trained networks, two deviations either side", fitted()
    if not len(fits):
        return NONE
    tried = fits[fits["cases"] > 0].assign(share=lambda f: f["covered"] / f["cases"]).sort_values("share")
    own = [f"; of the drops of networks that others trained it held {f.covered:.0f} of {f.cases:.0f}"
           for f in tried.head(1).itertuples()]  # fmt: skip
    return "".join([first, *own, "."])


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
    options = {"input_size": size, "num_classes": num_classes, "backbone": BACKBONE, "output_stride": STRIDE}
    full, rows = prediction_grid(size), pd.DataFrame(itertools.product(MODELS, sizes), columns=["model", "lrg_size"])
    rows["flops"] = [flops.count(r.model, lrg_size=r.lrg_size if r.lrg_size < full else None, rule=flops.CONV,
                                 **options).total for r in rows.itertuples()]  # fmt: skip
    whole = {model: flops.count(model, lrg_size=None, rule=flops.CONV, **options).total for model in MODELS}
    rows["flops_saved"] = 1 - rows["flops"] / rows["model"].map(whole)
    clock = rows[["model", "lrg_size"]].merge(measured(size), how="left", on=["model", "lrg_size"])
    saved = 1 - clock[["value", "high", "low"]].astype(float).where(clock["lrg_size"] < full, 1.0)
    return rows.assign(time_saved=saved["value"], time_low=saved["high"], time_high=saved["low"])


def measured(size: int) -> pd.DataFrame:
    """Return the time ratios of the newest latency record of this frame (full filters, fp32, one image); may be empty.

    The ratio is each network's seconds over the untruncated network's, timed in turns.
    """
    found = records.find("latency", input_size=size, backbone=BACKBONE)
    if not found:
        return pd.DataFrame(columns=["model", "lrg_size", "value", "low", "high"])
    wanted = "form == 'full' and metric == 'time_ratio' and precision == 'fp32' and batch == 1"
    return found[-1].rows.query(wanted)
