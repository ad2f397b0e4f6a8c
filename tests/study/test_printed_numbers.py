"""The audit's numbers against second, independent computations and closed forms on small examples."""

from __future__ import annotations

import csv
import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.evidence import config
from specseg.study import printed as audit
from specseg.study import rules
from specseg.study.printed import costs, curves, drops, fits, predictors
from specseg.study.printed.tables import wide
from specseg.study.rules import Rule


@pytest.fixture(scope="module")
def tables():
    return audit.Tables.read()


@pytest.fixture(scope="module")
def cells(tables):
    return tables.cells


def plain(name: str) -> list[dict[str, str]]:
    """Read a printed table without pandas and without the library's joins."""
    with open(config.root() / "paper" / "tables" / f"{name}.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def printed() -> dict[tuple, float]:
    return {
        (r["metric"], r["model"], r["dataset"], float(r["prune_rate"]), int(r["lrg_size"])): float(r["value"])
        for r in plain("table4")
    }


def test_the_join_holds_every_printed_cell(cells):
    table = printed()
    assert len(cells) == 168 == len(table) / 2
    for row in cells.itertuples():
        assert table["miou", row.model, row.dataset, row.prune_rate, row.lrg_size] == row.miou
        assert table["miou_drop", row.model, row.dataset, row.prune_rate, row.lrg_size] == row.miou_drop
        assert row.base == table["miou", row.model, row.dataset, row.prune_rate, 129]
        assert row.nu_max == (row.lrg_size - 1) / 2


def test_drops_agree_by_brute_force_over_the_rounding(cells):
    judged = cells
    corners = (-0.0005, 0.0, 0.0005)
    for row in judged[judged.lrg_size < 129].itertuples():
        low = min(1 - (row.miou + a) / (row.base + b) for a, b in itertools.product(corners, repeat=2))
        high = max(1 - (row.miou + a) / (row.base + b) for a, b in itertools.product(corners, repeat=2))
        assert (low, high) == pytest.approx((row.low, row.high))
        assert row.agrees == (high >= row.miou_drop - 0.0005 - 1e-12 and low <= row.miou_drop + 0.0005 + 1e-12)


def test_a_wrong_drop_is_found(tables):
    bad = tables.changed(
        "truncation", 0.02, metric="miou_drop", model="dan", dataset="pascal", prune_rate=0.4, lrg_size=65
    )
    judged = bad.cells
    assert judged[~judged.agrees][["dataset", "lrg_size"]].values.tolist() == [["pascal", 65]]


def test_fpi_optima_by_hand(tables):
    table, flops = (
        printed(),
        {(r["model"], float(r["prune_rate"]), int(r["lrg_size"])): float(r["value"]) for r in plain("table2")},
    )
    for row in costs.optima(tables).itertuples():
        fpi = {
            s: flops[row.model, row.prune_rate, s] / table["miou", row.model, row.dataset, row.prune_rate, s]
            for s in (129, 97, 81, 65, 49, 33, 17)
        }
        assert row.lrg_size == min(fpi, key=fpi.get) and row.lrg_size in row.possible
        assert row.margin == pytest.approx(sorted(fpi.values())[1] / min(fpi.values()) - 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 140), st.integers(300, 800)), min_size=2, max_size=6), st.integers(0, 2**16))
def test_possible_optima_holds_every_sampled_optimum(rows, seed):
    gflops, miou = np.array([a for a, _ in rows], float), np.array([b / 1000 for _, b in rows])
    size = list(range(len(rows)))
    possible = costs.possible_optima(size, gflops, miou)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        f = gflops + rng.uniform(-0.5, 0.5, len(rows))
        m = miou + rng.uniform(-0.0005, 0.0005, len(rows))
        assert int(np.argmin(f / m)) in possible


def test_optima_within_the_rounding_by_sampling(tables, cells):
    """Digits drawn anew within what is printed never give an optimum outside of the possible ones, nor a wider move."""
    found = costs.optima(tables, finest=True).set_index(["model", "dataset", "prune_rate"])
    rng, sizes = np.random.default_rng(0), [129, 97, 81, 65, 49, 33, 17]
    seen = {}
    for key, own in cells.groupby(["model", "dataset", "prune_rate"]):
        law = costs.parts(tables.constants, "FLOPs").loc[key[0], ["encoder", "decoder"]].to_list()
        for _ in range(300):
            area = (own.lrg_size / 129) ** 2
            error = rng.uniform(-0.05, 0.05, 2) if key[2] == 0 else rng.uniform(-0.5, 0.5, len(own))
            flops = law[0] + error[0] + (law[1] + error[1]) * area if key[2] == 0 else own.gflops + error
            best = int(own.lrg_size.iloc[int(np.argmin(flops / (own.miou + rng.uniform(-0.0005, 0.0005, len(own)))))])
            assert best in found.possible[key], key
            seen.setdefault(key, set()).add(best)
    assert seen["deeplabv3plus", "deepglobe", 0.0] == {33}, "no rounding makes it 17"
    steps = costs.moves(found.reset_index(), sizes)
    assert (steps.least <= steps.printed).all() and (steps.printed <= steps.most).all()
    own = [[sizes.index(s) for s in found.possible["dan", "cityscapes", r]] for r in (0.0, 0.2, 0.4, 0.6)]
    spans = [max(p) - min(p) for p in itertools.product(*own)]
    assert (steps.least["dan", "cityscapes"], steps.most["dan", "cityscapes"]) == (min(spans), max(spans))


def test_area_law_against_section_a1():
    constants = pd.DataFrame(plain("a1_constants")).astype({"value": float})
    assert costs.area_law(constants, ["dan"], [65]) == pytest.approx(95.6 + 11.1 * 65**2 / 129**2)


def test_the_stated_rule_from_plain_csv(cells):
    rce = {(r["model"], r["dataset"], int(r["nu_max"])): float(r["value"]) for r in plain("table1")}
    points = [(rce[m, d, (s - 1) // 2], v) for (metric, m, d, _, s), v in printed().items() if metric == "miou_drop"]
    x, y = np.array([p for p in points if p[0] < 0.2]).T
    slope, intercept = np.polyfit(x, y, 1)
    ours = fits.stated(cells)
    assert (ours.n, ours.slope, ours.intercept) == (148, pytest.approx(slope), pytest.approx(intercept))
    assert ours.r2 == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert abs(ours.slope - 0.6725) > 0.05


def test_the_printed_line_from_plain_csv():
    """Unpruned networks, R_ce = 0 at LRG 129, drops from the mIoUs, without DAN on PASCAL at LRG 17."""
    rce = {(r["model"], r["dataset"], int(r["nu_max"])): float(r["value"]) for r in plain("table1")}
    miou = {key[1:]: v for key, v in printed().items() if key[0] == "miou"}
    points = []
    for (m, d, rate, s), v in miou.items():
        r = 0.0 if s == 129 else rce[m, d, (s - 1) // 2]
        if rate == 0 and r < 0.2 and (m, d, s) != ("dan", "pascal", 17):
            points.append((r, 1 - v / miou[m, d, rate, 129]))
    x, y = np.array(points).T
    slope, intercept = np.polyfit(x, y, 1)
    assert len(points) == 36
    assert (slope, intercept) == (pytest.approx(0.6730, abs=5e-5), pytest.approx(0.0022, abs=5e-5))
    assert np.corrcoef(x, y)[0, 1] ** 2 == pytest.approx(0.9128, abs=5e-5)


def test_the_search_finds_these_points_and_no_others_with_all_models_and_data_sets(cells):
    tried = fits.every_selection(cells)
    assert len(tried) == len(
        tried.drop_duplicates(["prune_rate", "model", "dataset", "threshold", "full_grid", "drop"])
    )
    whole = tried[(tried.model.map(len) == 2) & (tried.dataset.map(len) == 3) & tried.reproduces]
    assert set(whole.prune_rate) == {(0.0,)} and set(whole.full_grid) == {"zero"} and set(whole.threshold) == {0.19}
    best = whole[whole["drop"] == "from mIoU"].iloc[0]
    ours = fits.fit(fits.unstated(cells))
    assert best[["slope", "intercept", "r2", "n"]].tolist() == pytest.approx(list(ours), rel=1e-12)
    stated = tried[(tried.prune_rate.map(len) == 4) & (tried.full_grid == "printed") & (tried["drop"] == "printed")]
    stated = stated[(stated.model.map(len) == 2) & (stated.dataset.map(len) == 3) & (stated.threshold == 0.2)]
    assert stated.slope.iloc[0] == pytest.approx(fits.stated(cells).slope)


def test_both_applications_at_one_rce_from_plain_csv(tables, cells):
    pairs = drops.applications(tables)
    rce = {(r["model"], r["dataset"], int(r["nu_max"])): float(r["value"]) for r in plain("table1")}
    block = {(r["model"], r["dataset"], int(r["nu_max"])): float(r["value"]) for r in plain("table3")
             if r["metric"] == "miou_drop"}  # fmt: skip
    assert len(pairs) == 18 and pairs.apart.all()
    for row in pairs.itertuples():
        key = row.model, row.dataset, row.nu_max
        cut = printed()["miou_drop", row.model, row.dataset, 0.0, 2 * row.nu_max + 1]
        assert (row.rce, row.blocks, row.truncated) == (rce[key], block[key], cut)
        assert row.factor == pytest.approx(max(cut, block[key]) / min(cut, block[key]))
    one = pairs.set_index(["model", "dataset", "nu_max"]).loc["deeplabv3plus", "cityscapes", 32]
    assert (one.rce, one.blocks, one.truncated) == (0.065, 0.131, 0.074)
    fit = fits.stated(cells)
    assert round(fit.intercept + fit.slope * one.rce, 3) == 0.047


def test_cluster_robust_interval_is_the_sandwich(cells):
    s = fits.select(cells)
    x, y = sm.add_constant(s.rce.to_numpy()), s.miou_drop.to_numpy()
    group = s.groupby(["model", "dataset"]).ngroup().to_numpy()
    bread = np.linalg.inv(x.T @ x)
    u = y - x @ (bread @ x.T @ y)
    meat = sum(np.outer(g, g) for g in ((x[group == k] * u[group == k, None]).sum(0) for k in range(6)))
    scale = 6 / 5 * (len(y) - 1) / (len(y) - 2)
    half = 2.570582 * math.sqrt(scale * (bread @ meat @ bread)[1, 1])  # t(5) at 97.5 %
    row = fits.clustered(cells).set_index("method").loc["cluster-robust, 6 curves"]
    assert ((row.high - row.low) / 2) == pytest.approx(half, rel=1e-5)


def test_held_out_never_sees_its_data_set(cells):
    seen = []

    class Spy(Rule):
        def predict(self, train, test):
            seen.append((set(train["domain"]), set(test["domain"]), set(train["share"])))
            return np.zeros(len(test["drop"]))

    for whole in (False, True):
        rules.held_out(predictors.values(cells), Spy("spy", "domain", "itself", "nothing"), whole=whole)
    assert len(seen) == 6
    assert all(not train & test and 1.0 not in shares for train, test, shares in seen)


def test_held_out_line_by_loops(cells):
    guess = predictors.held_out(cells, "R_ce, line fitted elsewhere")
    train = cells[(cells.dataset != "pascal") & (cells.lrg_size != 129) & (cells.rce < 0.2)]
    slope, intercept = np.polyfit(train.rce, train.miou_drop, 1)
    own = cells.dataset == "pascal"
    assert guess[own].to_numpy() == pytest.approx(intercept + slope * cells.rce[own].to_numpy())


def test_the_true_drop_chooses_without_regret(cells):
    true = 1 - cells.miou / cells.base
    chosen = predictors.choose(cells, true)
    assert chosen.hit.all() and chosen.regret.max() == pytest.approx(0)


def test_the_error_of_no_drop_is_the_mean_drop(cells):
    drop = cells[cells.lrg_size != 129].miou_drop
    assert predictors.mean_errors(cells)["no drop"] == pytest.approx(drop.mean())


def test_ranking_within_a_curve_says_nothing(cells):
    """Any falling function of the LRG size ranks the drops of a curve as R_ce does."""
    cut = cells[cells.lrg_size != 129]
    for pair in (("R_ce, the printed line", "LRG size, power law"), ("R_ce itself", "LRG size, mean elsewhere")):
        one, two = (predictors.held_out(cells, name)[cut.index] for name in pair)
        for _, own in cut.groupby(["model", "dataset", "prune_rate"]):
            assert list(one[own.index].rank()) == list(two[own.index].rank())


def test_table_1_products_and_twins(tables):
    assert curves.rce_table(tables).loc[("deeplabv3plus", "pascal"), 8] == 0.184
    assert curves.times_nu(tables).loc[("dan", "pascal"), 64] == pytest.approx(0.512)
    twins = curves.same_in_both_models(tables).same
    assert twins["pascal"] == 5 and twins["cityscapes"] == 0


def test_block_cells_have_no_drop_at_the_full_grid(tables):
    b = predictors.block_cells(tables)
    assert len(b) == 24 and (b[b.lrg_size == 129].miou_drop == 0).all()


def test_wrong_input_is_named(tables):
    with pytest.raises(ValueError, match="no cell with"):
        tables.changed("rce", 0.1, dataset="ade20k")
    with pytest.raises(ValueError, match="there twice"):
        wide(pd.concat([tables.gflops, tables.gflops]), ["model", "prune_rate", "lrg_size"])
    with pytest.raises(ValueError, match="without FLOPs"):
        _ = replace(tables, gflops=tables.gflops.iloc[1:]).cells


def test_shares_of_the_advantage_by_hand(cells):
    def regret(name):
        return predictors.choose(cells, predictors.held_out(cells, name)).groupby("dataset").regret.sum()

    share = predictors.advantage(cells, "R_ce itself", ["no drop"])
    saved = regret("no drop") - regret("R_ce itself")
    assert share.sum() == pytest.approx(1) and share["pascal"] == pytest.approx(saved["pascal"] / saved.sum())


def test_rounding_spread_brackets_the_line_and_is_small(cells):
    spread = fits.rounding_spread(cells, draws=60)
    fit = fits.stated(cells)
    assert spread.slope.min() < fit.slope < spread.slope.max()
    assert np.ptp(spread.slope) < 2 * 0.003 and np.ptp(spread.intercept) < 2 * 0.0003
