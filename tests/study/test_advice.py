"""The adviser against measured drops: what each rule names, what it costs, and what the ledger is told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_predictors import made

from specseg.advise import recommend
from specseg.data import synthetic
from specseg.evidence import ledger
from specseg.evidence.records import Record
from specseg.study import advice as av


@pytest.fixture(scope="module")
def cells():
    found = made()
    size = found.table["lrg_size"].to_numpy()
    found.table["advice"] = found.table["drop"] + np.where(size == 65, 0.0, 0.004)  # labels lose a little more
    found.drawn["advice"] = np.tile(found.table["advice"], (len(found.drawn["drop"]), 1))
    return found


def slow_best(part: pd.DataFrame, tolerance: float) -> int:
    best = 65
    for row in part.sort_index(ascending=False).itertuples():
        if row.drop > tolerance:
            break
        best = row.lrg_size
    return best


def test_the_best_size_and_the_costs_equal_a_slow_walk(cells):
    table = av.advice(cells)
    rules = {av.ADVISER, *av.RIVALS, av.WHOLE, av.HALF, av.SMALLEST}
    assert set(table["rule"]) == rules and len(table) == 6 * 3 * len(rules)
    for row in table.itertuples():
        part = cells.table[cells.table["setup"] == row.setup].set_index("lrg_size", drop=False)
        best = slow_best(part, row.tolerance)
        assert row.best == best and row.drop == part["drop"][row.lrg_size]
        assert row.kept == (row.drop <= row.tolerance)
        flops = part["gflops"]
        over = flops[row.lrg_size] / flops[best] - 1 if row.lrg_size > best else 0.0
        assert row.extra_flops == pytest.approx(over)
        assert row.extra_drop == pytest.approx(max(row.drop - row.tolerance, 0))
        assert row.loss == pytest.approx(row.extra_flops + row.extra_drop)


def test_the_adviser_is_its_own_rule_on_the_cells_labels(cells):
    table = av.advice(cells).query("rule == 'adviser'")
    for row in table.itertuples():
        found = recommend.choose(av.ceilings(cells, row.setup), "band", row.tolerance)
        assert row.lrg_size == found["lrg_size"]
    assert table["kept"].all()  # here labels lose more than networks, so that the advice is careful
    rows = av.ceilings(cells, "voc dan").set_index("lrg_size")
    assert rows.loc[33, "block_px"] == 8.0 and rows.loc[65, "value"] == 0.0


def test_the_extremes_bound_every_rule(cells):
    table = av.advice(cells).set_index(["setup", "tolerance", "rule"])
    for _, part in table.groupby(level=[0, 1]):
        part = part.droplevel([0, 1])
        assert part.loc[av.WHOLE, "kept"] and part.loc[av.SMALLEST, "extra_flops"] == 0


def test_a_rule_with_nothing_to_learn_from_is_left_out(cells):
    one = av.advice(cells.where(cells.table["domain"] == "voc"))
    assert av.ADVISER in set(one["rule"]) and "R_ce, line fitted elsewhere" not in set(one["rule"])


def test_regrets_hold_their_values(cells):
    table = av.advice(cells)
    rows = av.regrets(table)
    assert (rows["low"] <= rows["value"]).all() and (rows["value"] <= rows["high"]).all()
    part = rows.query("rule == 'adviser' and tolerance == 0.02 and metric == 'extra_flops'").iloc[0]
    assert part["value"] == pytest.approx(table.query("rule == 'adviser' and tolerance == 0.02")["extra_flops"].mean())


def test_the_open_questions_observation_fits_its_claim(cells):
    findings = ledger.open("90_your_own_data", profile="smoke")
    facts = av.open_question(cells)
    assert len(facts) == 3 and {findings.observe("con-open-question-spectrum", **f) for f in facts} <= {
        "holds", "unresolved", "fails"}  # fmt: skip
    table = av.advice(cells)
    for fact, (name, part) in zip(facts, table.groupby("domain", sort=False), strict=True):
        loss = part.groupby("rule")["loss"].mean()
        assert fact["value"] == pytest.approx(loss[av.ADVISER] - loss[av.HALF]) and name in fact["domain"].lower()


def test_the_records_count_as_the_adviser_does():
    maps = [torch.from_numpy(synthetic.scene("landcover", k, 129, void=False).label) for k in range(2)]
    rows = av.own_numbers(torch.stack(maps).long(), 7, (33, 17, 9, 5), range(7))
    assert np.allclose(rows["adviser"], rows["records"], atol=1e-6)  # no void: the same labels
    assert rows["adviser"].is_monotonic_increasing and rows["adviser"].iloc[0] == 0
    void = torch.stack([torch.from_numpy(synthetic.scene("streets", k, 129).label) for k in range(2)]).long()
    assert (void == 255).any()
    classes = len(synthetic.CLASSES["streets"])
    off = av.own_numbers(void, classes, (33, 9), range(classes))
    assert (off["adviser"] - off["records"]).abs().max() < 0.05


@pytest.mark.parametrize(("tolerance", "want"), [(0.0, 65), (0.01, 49), (0.05, 9), (-1, 65)])
def test_smallest_stops_at_the_first_size_that_fails(tolerance, want):
    sizes, drops = np.array([9, 65, 33, 49]), np.array([0.0, 0.0, 0.05, 0.01])
    assert av.smallest(sizes, drops, tolerance) == want


def test_whole_sets_stand_beside_the_measured_best(cells):
    named = pd.DataFrame({"table": "recommendation", "kind": "band", "max_drop": 0.02,
                          "metric": ["recommended", "recommended_everywhere"], "value": [33.0, np.nan]})  # fmt: skip
    grids = pd.DataFrame({"table": "ceilings", "kind": "band", "lrg_size": [129, 33]})
    record = Record(Path("nowhere"), {"settings": {"dataset": "voc2012"}}, pd.concat([named, grids]))
    table = av.advice(cells)
    row = av.whole_sets([record], table).iloc[0]
    best = table.query("domain == 'voc' and tolerance == 0.02")["best"].max()
    assert (row["named"], row["measured"]) == (0.25, (best - 1) / 64) and np.isnan(row["every pixel"])
    assert av.whole_sets([], table).empty
