"""What each LRG size saves: counted FLOPs of both networks, and measured seconds where a record has them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from specseg.advise.settings import prediction_grid
from specseg.evidence import records
from specseg.nets import flops

MODELS = ("deeplabv3plus", "dan")
BACKBONE, STRIDE = "resnet101", 16


def table(sizes: Sequence[int], size: int, num_classes: int) -> pd.DataFrame:
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
            lines.append((model, lrg_size, own, 1 - own / whole, *time))
    columns = ["model", "lrg_size", "flops", "flops_saved", "time_saved", "time_low", "time_high"]
    return pd.DataFrame(lines, columns=columns)


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
