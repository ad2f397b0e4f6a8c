"""Drops beside Table 4, differences on the same pictures, FPI under several costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import trainedrecords as invented

from specseg.evidence import ledger, paper
from specseg.evidence import statistics as scores
from specseg.nets import flops
from specseg.nets.networks import Network
from specseg.study import cost, gate, trained
from specseg.study import truncation as tables

KEYS = ["cost", *tables.KEYS, "prune_rate"]
VOC = Network("voc")
PRUNED = replace(VOC, prune_encoder=0.6, prune_decoder=0.2)
CONTROL = replace(VOC, prune_decoder=0.2)
NETWORKS = (VOC, replace(VOC, seed=1), *(Network("dubai", fold=f) for f in range(2)), Network("camvid"), PRUNED,
            CONTROL)  # fmt: skip


@pytest.fixture
def root(tmp_path, monkeypatch):
    return invented.project(tmp_path / "project", monkeypatch)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Records of all networks, which the tests only read; a test that writes some of its own asks for `root`."""
    with pytest.MonkeyPatch.context() as patch:
        root = invented.project(tmp_path_factory.mktemp("a project") / "project", patch)
        for network in NETWORKS:
            invented.truncation(root, network)
            invented.networks(root, network)
            invented.loss(root, network)
        yield trained.read("truncation")


def iou_of(error: float) -> float:
    return (1 - error) / (1 + error)  # labelled and predicted are as many, (1 - error) of them hit


def test_shares_of_a_grid_are_its_lrg_sizes(found):
    pool = trained.pools(found)[0]
    assert pool.grid == 65 and pool.sizes == [49, 41, 33, 25, 17, 9]
    assert [pool.at_share(s) for s in (1, 0.5, 0.125)] == [65, 33, 9]
    with pytest.raises(ValueError, match="no LRG size at 0.3 of its grid of 65"):
        pool.at_share(0.3)


def test_table_4_stands_above_ours(found):
    table = tables.side_by_side(trained.drops(found))
    assert list(table.columns) == [1, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    deeplab = [i for i in table.index if i[1] == "deeplabv3plus"]
    assert [i[2] for i in deeplab] == ["pascal", "voc", "deepglobe", "dubai", "cityscapes", "camvid"]
    assert table.loc["streets", "dan", "cityscapes"][0.125] == 0.554
    law = 1 - iou_of(invented.error(VOC, 0.5)) / iou_of(invented.error(VOC, 1.0))
    assert table.loc["objects", "deeplabv3plus", "voc"][0.5] == pytest.approx(law, rel=0.05)


def test_printed_drops_are_those_of_the_paper():
    rows = tables.printed()
    assert len(rows) == 2 * 3 * 4 * 7 and rows["share"].max() == 1
    off = rows.query("domain == 'pascal' and model == 'dan' and prune_rate == 0.4").set_index("lrg_size")
    assert off["value"][17] == 0.169 and off["miou"][129] == 0.746


def test_steps_that_do_not_rise_are_counted_over_sizes_and_rates(found):
    base = [p for p in trained.pools(found) if p.setup.is_baseline]
    assert [tables.falls(p) for p in base] == [[True] * 6] * len(base)
    everything = trained.pools(found)
    (line,) = tables.rate_lines(everything)
    assert [p.setup.prune_encoder for p in line] == [0.0, 0.6], "a pruned decoder alone is no rate of the paper"
    assert tables.falls_by_rate(line) == [True] * 7
    rising = found[0]._replace(arrays={**found[0].arrays, "counts": found[0].arrays["counts"].copy()})
    k = rising.condition("bilinear", 33)
    rising.arrays["counts"][k] = rising.arrays["counts"][0] * 1.0
    rising.arrays["counts"][k, ..., 0] = rising.arrays["counts"][k, ..., 1]  # everything right at 33
    assert sum(tables.falls(trained.pools([rising])[0])) == 5


def test_a_difference_of_conditions_uses_the_same_draws(found):
    """Bilinear and ideal low pass have equal counts here: each drop has an interval, their difference has none."""
    pool = trained.pools(found)[0]
    half, fourier, quarter = (pool.drop(*c) for c in (("bilinear", 33), ("fourier", 33), ("bilinear", 17)))
    same = trained.estimate(half - fourier)
    assert (same["value"], same["low"], same["high"]) == (0, 0, 0)
    assert half.std() > 0
    other = trained.estimate(half - quarter)
    assert other["value"] == pytest.approx(half[0] - quarter[0])
    assert other["high"] - other["low"] < sum(np.ptp(scores.interval(drawn[1:])) for drawn in (half, quarter))


def test_streets_against_each_other_kind(found):
    base = trained.pools(trained.plain(found))
    at = {p.setup.domain: p.drop("bilinear", 33)[0] for p in base}
    pairs = trained.streets_against(base)
    assert [b.setup.domain for _, b in pairs] == ["voc", "dubai"]
    for streets, other in pairs:
        gap = tables.streets_difference(streets, other)
        assert gap["share"] == 0.5 and gap["value"] == pytest.approx(at["camvid"] - at[other.setup.domain])
        assert 0 < gap["low"] <= gap["value"] <= gap["high"]


def test_every_observation_fits_its_claim(found):
    base, ratios = trained.pools(found), {m.network.name: 3.0 for m in found}
    costs = cost.costs()
    best = cost.optima(cost.values(base, costs).query("cost == @cost.PRINTED"), [*tables.KEYS, "prune_rate"])
    best = gate.marked(best.assign(inside=best["share"].between(0.25, 0.5)), base, ratios)
    told, findings = tables.observations(base, ratios, best), ledger.open("70_truncation_and_pruning", profile="smoke")
    assert set(told) == set(findings.claims) - {"tab4-values-r4", tables.GIVES_BACK}
    for claim, facts in told.items():
        for fact in facts:
            findings.observe(claim, **fact)
    assert [f["domain"] for f in told["tab4-monotone-r3"]][-1] == "pruned objects (PASCAL VOC, animals)"
    weak = tables.observations(base, dict.fromkeys(ratios, 1.5), best)
    assert all("too weak to judge" in f["left_out"] for facts in weak.values() for f in facts)


def test_pruning_is_compared_with_what_went_on_as_long_without(found):
    ratios = {m.network.name: 3.0 for m in found}
    (row,) = tables.pruning_effects(trained.pools(found), ratios).to_dict("records")
    wanted = {k: 1 - iou_of(invented.error(n, 0.5)) / iou_of(invented.error(n, 1))
              for k, n in (("start", VOC), ("control", CONTROL), ("own", PRUNED))}  # fmt: skip
    assert {k: row[k] for k in wanted} == pytest.approx(wanted, rel=0.1) and row["prune_encoder"] == 0.6
    assert row["value"] == pytest.approx(row["own"] - row["control"])
    assert row["ratio"] == 3.0
    assert tables.pruning_effects(trained.pools([m for m in found if m.network != CONTROL]), ratios).empty
    best = pd.DataFrame(columns=["domain", "model", "prune_rate", "inside", "untrained", "step"])
    for weak in (PRUNED, CONTROL):
        told = tables.observations(trained.pools(found), {**ratios, weak.name: 1.5}, best)
        (fact,) = told["sec32-pruning-leaves-drop-r3"]
        assert fact["units"] == 1 and "1.5 times" in fact["left_out"]


def test_a_pruned_setup_that_is_too_weak_marks_no_other(found):
    ratios = {m.network.name: 1.5 if m.network == PRUNED else 3.0 for m in found}
    pools = trained.pools(found)
    drops = gate.marked(trained.drops(found), pools, ratios)
    assert (
        set(drops[drops["untrained"]]["prune_encoder"]) == {0.6}
        and not drops[drops["domain"] != "voc"]["untrained"].any()
    )
    best = drops.groupby(["domain", "model", "prune_encoder"], as_index=False)["untrained"].first()
    best = best.rename(columns={"prune_encoder": "prune_rate"}).assign(inside=True, step=range(len(best)))
    told = tables.observations(pools, ratios, best)
    assert [f["n"] for f in told["fig4-optima-r3"]] == [1, 1, 1] and not told["fig4-optima-insensitive-r3"]


def test_boundary_drops_stand_beside_those_of_miou(found):
    table = tables.boundary_drops(
        trained.drops(found).query("domain == 'voc' and prune_decoder == 0 and method in ('full', 'bilinear')")
    )
    wide = table.pivot(index="share", columns="metric", values="value")
    assert (wide.loc[1] == 0).all() and wide["boundary mIoU"][0.125] > wide["boundary mIoU"][0.5] > 0
    by_hand = [iou_of(invented.error(VOC, s)) for s in (1, 0.25)]
    assert wide["mIoU"][0.25] == pytest.approx(1 - by_hand[1] / by_hand[0], rel=0.05)


def test_quality_names_the_best_histogram(found):
    table = tables.quality(trained.plain(found), trained.read("networks")).set_index("domain")
    assert table["colour"].tolist() == [0.2] * 3 and table["boundary"].tolist() == [0.4] * 3
    assert table["ratio"].tolist() == pytest.approx([3] * 3)


def test_networks_trained_at_the_grid_stand_beside_truncated_ones(root):
    whole = replace(Network("dubai"), start="frozen", steps=200)
    small = replace(whole, lrg_size=17)
    for network in (Network("dubai"), Network("dubai", fold=1), whole, small):
        invented.truncation(root, network)
    assert {m.network.start for m in trained.read("truncation")} == {""}
    (row,) = tables.retrained(trained.read("truncation", start="frozen")).to_dict("records")
    assert (row["lrg_size"], row["share"]) == (17, 0.25) and row["low"] <= row["value"] <= row["high"]
    one, two = invented.counts(whole, 1.0), invented.counts(small, 0.25)
    ious = [scores.miou(x.sum(0), [0, 1, 3]) for x in (one, two)]
    assert row["trained"] == pytest.approx(1 - ious[1] / ious[0])


# --- FPI --------------------------------------------------------------------------------


def test_costs_are_relative_to_the_full_network():
    latency = pd.DataFrame([
        {"metric": "time_ratio", "precision": "fp32", "batch": 1, "model": "dan", "form": form, "prune_rate": rate,
         "lrg_size": size, "value": value}
        for form, rate, size, value in (("full", 0.0, 129, 1.0), ("full", 0.0, 65, 0.9), ("masked", 0.4, 129, 1.1),
                                        ("removed", 0.4, 65, 0.5))
    ])  # fmt: skip
    table = cost.costs(latency)
    keyed = table.set_index(["cost", "model", "prune_rate", "share"])["value"]
    assert (table[(table["share"] == 1) & (table["prune_rate"] == 0)]["value"] == 1).all()
    assert keyed[cost.PRINTED, "deeplabv3plus", 0.6, 0.125] == pytest.approx(28 / 139)
    assert keyed[cost.SECONDS, "dan", 0.4, 0.5] == 0.5 and keyed[cost.SECONDS, "dan", 0.0, 0.5] == 0.9
    assert len(keyed[cost.SECONDS]) == 3, "networks with filters set to zero are no cheaper network"
    assert cost.SECONDS not in set(cost.costs()["cost"])


def test_the_papers_optima_are_found_again():
    """The same as by loops over the printed tables."""
    ours = cost.optima(cost.printed_values(cost.costs()), KEYS)
    ours = ours[ours["cost"] == cost.PRINTED].set_index(["model", "domain", "prune_rate"])["lrg_size"]
    flop = {(r.model, float(r.prune_rate), int(r.lrg_size)): r.value for r in paper.table("2").itertuples()}
    miou: dict[tuple, dict[int, float]] = {}
    for r in pd.concat([paper.table("4a"), paper.table("4b")]).query("metric == 'miou'").itertuples():
        miou.setdefault((r.model, r.dataset, float(r.prune_rate)), {})[int(r.lrg_size)] = r.value
    assert len(miou) == len(ours) == 24
    for (model, dataset, rate), own in miou.items():
        assert ours[model, dataset, rate] == min(own, key=lambda s: flop[model, rate, s] / own[s])


def test_fpi_of_a_network_is_cost_over_miou(found):
    costs = cost.costs()
    table = cost.values(trained.pools(found), costs)
    assert set(table["prune_rate"]) == {0.0, 0.6}, "a pruned decoder alone has no printed cost"
    row = table.query("cost == @cost.PRINTED and domain == 'camvid' and share == 0.5").iloc[0]
    miou = trained.pools(trained.plain(found))[2].miou("bilinear", 33)[0]
    assert row["fpi"] == pytest.approx(107 / 139 / miou)
    best = cost.optima(table, KEYS)
    one = best.query("cost == @cost.PRINTED and domain == 'voc' and prune_rate == 0").iloc[0]
    part = table.query("cost == @cost.PRINTED and domain == 'voc' and prune_rate == 0").set_index("share")["fpi"]
    assert one["share"] == part.idxmin() and one["sizes"] == 7
    assert one["margin"] == pytest.approx(part.sort_values().iloc[1] / part.min() - 1)


def test_own_costs_count_our_networks():
    pools = trained.pools([trained.Measured(n, pd.DataFrame(), {}) for n in (VOC, PRUNED)])
    table = cost.own_costs(pools).set_index(["prune_rate", "share"])["value"]
    full, half = (flops.count("deeplabv3plus", backbone="efficientnet_lite0", width=128, input_size=257, lrg_size=s,
                              rule=flops.CONV).total for s in (65, 33))  # fmt: skip
    assert table[0.0, 1.0] == 1 and table[0.0, 0.5] == pytest.approx(half / full) and table[0.6, 1.0] < 1


def test_scores_and_costs_as_parts_of_the_full_network(found):
    costs = cost.costs()
    table = cost.relative_scores(cost.values(trained.pools(found), costs), costs)
    whole = table[(table["share"] == 1) & (table["prune_rate"] == 0)]
    assert (whole[["cost", "miou"]] == 1).all(axis=None) and (table["miou"] <= 1).all()
    theirs = cost.relative_scores(cost.printed_values(costs), costs)
    assert len(theirs) == 168 and theirs["miou"].min() == pytest.approx(0.267 / 0.664, rel=1e-6)


def test_what_training_on_gives_back_is_told_with_pictures_alone_and_its_trainings_counted(root):
    whole = replace(Network("dubai"), start="frozen", steps=200)
    for network in (whole, *(replace(whole, lrg_size=s) for s in (17, 9))):
        invented.truncation(root, network)
    found, ratios = trained.read("truncation", start="frozen"), {"dubai-deeplabv3plus-f0-s0": 3.0}
    row = tables.retrained(found).set_index("lrg_size").loc[9]
    (fact,) = tables.given_back(found, ratios)[tables.GIVES_BACK]
    assert fact["value"] == pytest.approx(row["value"] / row["truncated"]) and fact["null"] == 0
    assert fact["low"] <= fact["value"] <= fact["high"] and (fact["over"], fact["units"]) == ("trainings", 1)
    assert "left_out" not in fact and "left_out" in tables.given_back(found, {})[tables.GIVES_BACK][0]
    assert not tables.given_back([], ratios)
