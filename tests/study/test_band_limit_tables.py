"""Records of band limits on logits beside the drop of feature truncation: joined by picture, each domain held out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from specseg.evidence import statistics as scores
from specseg.figures import annotation as draw
from specseg.nets.networks import Network
from specseg.study import band_limit as bt
from specseg.study import predictors
from specseg.study.predictor_cells import Cells
from specseg.study.trained import Measured

SIZES = (9, 17, 33, 49)


def pair(domain, model, seed, factor):
    """Return (a record of band_limit_cost on pictures b and c, one of truncation on a, b, c in another order)."""
    rng = np.random.default_rng(seed)
    network, clusters = Network(domain, model=model), ["x", "y"]
    full = rng.integers(50, 100, (3, 2, 3)) + np.array([0, 100, 100])
    counts = [full] + [full - np.array([round(2 * factor * 64 / s), 0, 0]) for s in SIZES]
    truncation = {"counts": np.stack(counts), "methods": np.array(["full"] + ["bilinear"] * len(SIZES)),
                  "lrg_sizes": np.array([65, *SIZES]), "names": np.array(["c", "a", "b"])}  # fmt: skip
    metrics = {"band_cost": 0.01 * factor * 64, "rce": 0.1 * 64, "changed_share": 0.64, "certificate": 1.9,
               "rate_fejer": 6.4, "floor_fejer": 0.64}  # fmt: skip
    rows = pd.DataFrame([{"lrg_size": s, "metric": m, "value": v / s} for s in SIZES for m, v in metrics.items()])
    own = {"names": np.array(["b", "c"]), "clusters": np.array(clusters), "scored": np.array([0, 1])}
    return Measured(network, rows, own, None), Measured(network, pd.DataFrame(), truncation, None)


@pytest.fixture(scope="module")
def both():
    made = [pair(d, m, k, (1, 2, 2.5)[k % 3]) for k, (d, m) in enumerate(
        (d, m) for m in ("deeplabv3plus", "dan") for d in ("voc", "camvid", "dubai"))]  # fmt: skip
    return [a for a, _ in made], [b for _, b in made]


def test_units_take_the_drop_of_the_same_pictures(both):
    table = bt.units(*both)
    assert len(table) == 6 * len(SIZES) and table["share"].max() == 0.75
    counts = both[1][0].arrays["counts"][:, [2, 0]].sum(1)  # b and c
    before, after = scores.miou(counts[0]), scores.miou(counts[2])
    line = table[(table["name"] == "voc-deeplabv3plus-f0-s0") & (table["lrg_size"] == 17)].iloc[0]
    assert line["drop"] == pytest.approx((before - after) / before) and line["low"] <= line["drop"] <= line["high"]
    assert line["rce"] == pytest.approx(6.4 / 17) and line["kind"] == "objects"


def test_units_name_what_is_missing(both):
    assert bt.units(both[0], []).empty
    short = both[1][0]._replace(arrays=both[1][0].arrays | {"names": np.array(["c", "a", "q"])})
    with pytest.raises(ValueError, match="1 pictures, b first"):
        bt.units(both[0][:1], [short])


def test_each_domain_is_predicted_from_the_others(both):
    """Here the cost is proportional to the drop by construction, R_ce and the size are not."""
    table = bt.units(*both)
    table["drop"] = 0.5 * table["band_cost"]
    errors = predictors.errors(Cells(table, {}), bt.RULES).table
    assert errors.loc["band-limit cost"].max() < 1e-12 < errors.loc["R_ce"].min()
    assert list(errors.columns) == ["voc", "camvid", "dubai"]
    train, test = table[table["domain"] != "voc"], table[table["domain"] == "voc"]
    means = train.groupby("lrg_size")["drop"].mean()
    slow = (test["lrg_size"].map(means) - test["drop"]).abs().mean()
    assert errors.loc["LRG size alone", "voc"] == pytest.approx(slow)
    with pytest.raises(ValueError, match="1 domain"):
        predictors.errors(Cells(test, {}), bt.RULES)


def test_figures_draw_every_network(both):
    table = bt.units(*both)
    for fig, axes in ((draw.drop_predictors(table), 2), (draw.floors(table), 3), (draw.certificate(table), 1)):
        assert len(fig.axes) == axes and all(ax.lines or ax.collections for ax in fig.axes)
        plt.close(fig)
