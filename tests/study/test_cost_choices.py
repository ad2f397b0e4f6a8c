"""FPI, the size that it chooses, and the regret of choosing by a predicted drop: by hand."""

import numpy as np
import pandas as pd
import pytest

from specseg.study import cost

SIZES = [65, 33, 17]


def cells(draws: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    miou = rng.uniform(0.3, 0.6, (draws, 6) if draws else 6)
    return {"setup": np.repeat(["a", "b"], 3), "lrg_size": np.array(SIZES * 2), "miou": miou,
            "gflops": np.array([9.0, 8, 7, 5, 4, 3.9])}  # fmt: skip


def test_fpi_joins_costs_and_scores():
    miou = pd.DataFrame({"model": "m", "prune_rate": 0.0, "lrg_size": [3, 5], "dataset": "d", "miou": [0.1, 0.5]})
    costs = pd.DataFrame({"model": "m", "prune_rate": 0.0, "lrg_size": [3, 5, 7], "value": [1.0, 4.0, 9.0]})
    best = cost.optima(cost.fpi(miou, costs, ["model", "prune_rate", "lrg_size"]), ["model", "dataset"])
    assert best[["lrg_size", "sizes"]].values.tolist() == [[5, 2]]
    assert best["fpi"][0] == 8 and best["margin"][0] == pytest.approx(10 / 8 - 1)


def test_the_step_of_an_optimum_is_its_place_and_ties_go_to_the_larger_grid():
    rows = pd.DataFrame({"model": np.repeat(["a", "b", "c"], 3), "rate": 0.0, "lrg_size": SIZES[::-1] * 3,
                         "share": [0.25, 0.5, 1.0] * 3, "fpi": [2, 1, 3, 1, 2, 3, 1, 1, 1.0]})  # fmt: skip
    best = cost.optima(rows, ["model", "rate"])
    assert best["step"].tolist() == [1, 2, 0] and best["lrg_size"].tolist() == [33, 17, 65]
    assert best["share"].tolist() == [0.5, 0.25, 1.0] and best["margin"].tolist() == [1, 1, 0]
    alone = cost.optima(rows.iloc[:1], ["model", "rate"])
    assert np.isnan(alone["margin"][0])


@pytest.mark.parametrize("draws", [0, 4])
def test_the_regret_of_a_choice_by_loops(draws):
    values = cells(draws)
    for guess in (1 - values["miou"], np.zeros(6), np.where(values["lrg_size"] == 33, -9.0, 0.0)):
        predicted = np.broadcast_to(guess, values["miou"].shape)
        got = cost.choices(values, predicted)
        assert got["setup"].tolist() == ["a", "b"]
        for row in np.ndindex(values["miou"].shape[:-1]):
            for k, name in enumerate("ab"):
                own = np.flatnonzero(values["setup"] == name)
                fpi = values["gflops"][own] / values["miou"][row][own]
                score = values["gflops"][own] / np.maximum(1 - predicted[row][own], 1e-6)
                assert got["chosen"][row][k] == SIZES[score.argmin()] and got["best"][row][k] == SIZES[fpi.argmin()]
                assert got["regret"][row][k] == pytest.approx(fpi[score.argmin()] / fpi.min() - 1)
    assert (cost.choices(values, 1 - values["miou"])["regret"] == 0).all(), "the true drop chooses the best size"
    assert (cost.choices(cells(), np.where(cells()["lrg_size"] == 65, np.nan, 0.0))["chosen"] < 65).all()
