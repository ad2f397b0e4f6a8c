"""Predictors of the drop: cells against independent formulas, rules that never see the domain they predict, regret."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from specseg.data import label_tables
from specseg.data.label_numbers import measure, stacked
from specseg.evidence import ledger
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import networks, protocol
from specseg.nets.networks import Network
from specseg.proofs import iou_laws
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp
from specseg.spectral.cross_entropy import relative_loss_rate
from specseg.study import predictor_cells as pc
from specseg.study import predictor_findings as facts
from specseg.study import predictors as pr
from specseg.study import rules, trained
from specseg.study.predictor_cells import COLUMNS, Cells, Found

TINY = Network("landcover", backbone="tiny", width=8, size=129, precision="32-true")


def measured(net, batches) -> Found:
    """What the records of this network would hold: truncation, loss and labels of these pictures."""
    data, sizes = TINY.data("test"), protocol.lrg_sizes(net.prediction_grid)
    scored = TINY.home.scored_indices(data.classes)
    chosen = [study.Condition(study.FULL, net.prediction_grid), *(study.Condition("bilinear", s) for s in sizes[1:])]
    got = study.truncation_counts(net, batches, chosen, scored=scored, boundary=())
    shared = {"names": np.array(got.names), "clusters": np.array([TINY.home.cluster(n) for n in got.names]),
              "scored": np.array(scored)}  # fmt: skip
    cut = {"counts": got.counts, "methods": np.array([c.method for c in chosen]),
           "lrg_sizes": np.array([c.lrg_size for c in chosen]), **shared}  # fmt: skip
    parts = loss_study.loss_parts(net, batches, [sp.nu_max(s) for s in sizes])
    loss = {k: getattr(parts, k) for k in ("total", "tail", "soft", "class_rims")}
    loss |= {"variants": np.array(parts.variants), "limits": np.array(parts.limits), **shared}
    plan = label_tables.rules_plan(TINY.size, sizes)
    maps = [measure(label.numpy(), data.num_classes, plan) for _, truth, _ in batches for label in truth]
    labels = label_tables.rules(stacked(maps), plan) | shared
    rows = pd.DataFrame({"metric": "iou", "method": "full", "class": [data.classes[c] for c in scored]})
    parts = ((rows, cut), (pd.DataFrame(), loss), (pd.DataFrame(), labels))
    return Found(*([trained.Measured(TINY, *part)] for part in parts), [], [])


@pytest.fixture(scope="module")
def tiny():
    net = TINY.build().eval()
    with torch.no_grad():  # an untrained network predicts one class: give its logits some contrast
        for name, weight in net.named_parameters():
            if "classifier" in name:
                weight.mul_(30.0)
    batches = [next(iter(networks.test_batches(TINY, batch=3)))]
    return net, batches, measured(net, batches)


def made(domains=("voc", "dubai", "camvid"), draws=40, seed=0) -> Cells:
    """Cells of three domains x two models whose drop is 0.6 R_ce plus a little noise."""
    rng, parts = np.random.default_rng(seed), []
    kinds = {"voc": "objects", "dubai": "land cover", "camvid": "streets"}
    for d, domain in enumerate(domains):
        for model in ("deeplabv3plus", "dan"):
            sizes = np.array([65, 49, 33, 17])
            rce = 0.02 * (d + 1) * 64 / (sizes - 1) * rng.uniform(0.9, 1.1)
            drop = np.where(sizes == 65, 0.0, 0.6 * rce + 0.002 * rng.standard_normal(4))
            table = pd.DataFrame({
                "setup": f"{domain} {model}", "domain": domain, "kind": kinds[domain],
                "model": model, "lrg_size": sizes, "nu_max": (sizes - 1) // 2,
                "share": (sizes - 1) / 64, "lrg": (1 - sizes) / 64, "full": sizes == 65,
                "gflops": 1 + (sizes / 65.0) ** 2, "clusters": 5,
                **{c: rng.uniform(0.01, 0.3, 4) for c in COLUMNS}, "rce": rce, "drop": drop, "miou": 0.5 * (1 - drop),
            })  # fmt: skip
            parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    noise = 1 + 0.01 * np.vstack([np.zeros(len(table)), rng.standard_normal((draws, len(table)))])
    return Cells(table, {c: table[c].to_numpy() * noise for c in COLUMNS})


# --- cells


def test_cells_equal_the_formulas_on_whole_batches(tiny):
    net, [(images, labels, _)], found = tiny
    table = pc.truncation(found).table
    with torch.no_grad():
        logits = net(images).double()
    reference = iou_laws.drop_rows(logits, labels, table["nu_max"].tolist())
    there, soft = torch.stack([(labels == c).any() for c in range(logits.shape[1])]), logits.softmax(1)
    whole, *cut = (metrics.spectral_iou(soft, labels, nu_max=n)[there].mean() for n in (None, *table["nu_max"]))
    assert np.allclose(table["overlap"], [float(1 - c / whole) for c in cut], atol=1e-9)
    assert np.allclose(table["eq32"], reference["printed"], rtol=1e-6)
    assert np.allclose(table["eq29_sign"], reference["sign_mended"], rtol=1e-6)
    rates = relative_loss_rate(logits, labels, table["nu_max"].tolist())
    assert np.allclose(table["rce"], rates, rtol=1e-6)


def test_the_drop_is_that_of_the_truncated_network(tiny):
    net, [(images, labels, _)], found = tiny
    table = pc.truncation(found).table.set_index("lrg_size")
    iou = {}
    for size in (33, 9):
        net.lrg_size = None if size == 33 else size
        with torch.no_grad():
            pred = net(images).argmax(1)
        known = labels != 255
        each = [(((pred == c) & (labels == c)).sum(), (((pred == c) | (labels == c)) & known).sum()) for c in range(7)]
        iou[size] = float(np.mean([int(a) / int(b) for a, b in each if b]))
    net.lrg_size = None
    assert table["miou"][33] == pytest.approx(iou[33])
    assert table["drop"][9] == pytest.approx(1 - iou[9] / iou[33])
    assert table["drop"][33] == 0 and table["full"][33] and not table["full"][9]


def test_folds_are_pooled_seeds_averaged_and_draws_are_joint(tiny):
    _, _, found = tiny
    cut, loss, labels = (part[0] for part in found[:3])
    second = {"truncation": [cut, cut._replace(network=replace(cut.network, seed=1))],
              "loss": [loss, loss._replace(network=replace(loss.network, seed=1))]}  # fmt: skip
    once, twice = pc.truncation(found), pc.truncation(found._replace(**second))
    assert len(twice.table) == len(once.table)
    assert np.allclose(once.table["drop"], twice.table["drop"])
    pool = trained.Pool([labels])
    draws = pool.draws / pool.draws.sum(1, keepdims=True)
    density = labels.arrays["density"].astype(float)
    assert np.allclose(once.drawn["perimeter"][:, 0], draws @ density / (once.table["lrg_size"][0] - 1))


def test_a_setup_without_its_loss_or_labels_has_no_cells(tiny):
    _, _, found = tiny
    larger = found.truncation[0]._replace(network=replace(TINY, width=16))
    both = found._replace(truncation=[*found.truncation, larger])  # of the larger there is no loss
    assert len(pc.truncation(both).table) == len(pc.truncation(found).table)
    with pytest.raises(ValueError, match="No objects"):
        pc.truncation(found._replace(labels=[]))
    other = found.labels[0]._replace(arrays={**found.labels[0].arrays, "names": np.array(["x", "y", "z"])})
    with pytest.raises(ValueError, match="other pictures"):
        pc.truncation(found._replace(labels=[other]))


def test_block_cells_take_the_fully_labelled_networks_rce(tiny):
    _, _, found = tiny
    cut = found.truncation[0]
    weak = replace(TINY, annotation="block", nu_max=8)
    counts = cut.counts().copy()
    counts[..., 0] //= 2  # half of the hits are gone
    arrays = {**{k: cut.arrays[k] for k in ("names", "clusters", "scored")}, "counts": counts}
    blocks = [trained.Measured(weak, pd.DataFrame(), arrays)]
    cells = pc.blocks(found._replace(blocks=blocks))
    row, whole = cells.table.iloc[0], pc.truncation(found).table.set_index("nu_max").loc[8]
    assert len(cells.table) == 1 and row["lrg_size"] == 17 and not row["full"]
    assert row["rce"] == pytest.approx(whole["rce"])
    assert row["drop"] == pytest.approx(1 - row["miou"] / whole["miou"] * (1 - whole["drop"]))


# --- rules


@pytest.mark.parametrize("one", rules.RULES, ids=lambda r: r.name)
def test_no_rule_sees_the_domain_that_it_predicts(one):
    values = made().values()
    before = rules.held_out(values, one)
    own = values["domain"] == "dubai"
    after = rules.held_out({**values, "drop": np.where(own, 0.9, values["drop"])}, one)
    assert np.array_equal(before[own], after[own]) and np.isfinite(before).all()
    if one.form in ("line", "power", "same"):
        assert not np.allclose(before[~own], after[~own])


def test_errors_equal_a_slow_loop():
    cells = made()
    table, got = cells.table, pr.errors(cells)
    for domain in ("voc", "dubai", "camvid"):
        train = table[(table["domain"] != domain) & ~table["full"] & (table["rce"] < 0.2)]
        test = table[(table["domain"] == domain) & ~table["full"]]
        slope, intercept = np.polyfit(train["rce"], train["drop"], 1)
        error = (slope * test["rce"] + intercept - test["drop"]).abs().mean()
        assert got.table.loc[rules.OWN.name, domain] == pytest.approx(error)
    assert got.best(rules.RULES) == got.table.mean(axis=1).idxmin()
    with pytest.raises(ValueError, match="at least two"):
        pr.errors(cells.where(table["domain"] == "voc"))


def test_a_variant_that_was_not_measured_is_left_out():
    cells = made()
    cells.table["rce_padded"], cells.drawn["rce_padded"] = np.nan, np.nan * cells.drawn["rce_padded"]
    assert rules.NAMES["rce_padded"] + ", line" not in pr.errors(cells).table.index
    assert "R_ce, padded frame" not in set(pr.ranks(cells, ["rce", "rce_padded"])["predictor"])


def test_between_setups_leaves_out_what_the_size_alone_ranks():
    values = made().where(~made().table["full"]).values()
    assert pr.ranked({**values, "rce": -values["share"]}) > 0.4
    assert pr.between({**values, "rce": -values["share"]}) == 0
    assert pr.between(values) > 0.8


def test_resampling_setups_of_unequal_length_gives_the_same_as_of_equal_length():
    cells = made()
    short = cells.where(~((cells.table["setup"] == "voc dan") & (cells.table["lrg_size"] == 17)))
    one, two = (pr.resample(c, pr.ranked, ("rce", "drop")) for c in (cells, short))
    assert abs(one["value"] - two["value"]) < 0.1 and one["low"] <= one["value"] <= one["high"] and two["low"] < 1


def test_the_pooled_line_covers_the_true_slope_by_either_interval():
    found, few = pr.pooled_line(made()), made().cut(0.2)
    own = pr.resample(few, pr.slope, ("rce", "drop"))
    assert found["low"] <= own["low"] < 0.6 < own["high"] <= found["high"]
    slope, intercept = np.polyfit(few.table["rce"], few.table["drop"], 1)
    assert (found["value"], found["intercept"]) == pytest.approx((slope, intercept))


def test_regrets_are_means_over_setups():
    found = pr.regrets(made(), (rules.OWN, rules.rule("no drop")))
    assert (found["value"] >= 0).all() and (found["low"] <= found["value"]).all()
    with pytest.raises(ValueError, match="expected one of"):
        rules.rule("a guess")


def test_streets_are_compared_at_the_same_size_and_model():
    told = facts.truncation(made(), made())["sec32-streets-explained-r3"]
    assert [(f["value"], f["n"]) for f in told] == [(2 * 3, 2 * 3)] * 2  # models, truncated sizes; of two other domains


def test_class_ranks_need_four_classes():
    rows = pd.DataFrame({"setup": ["a"] * 4 + ["b"] * 2, "drop": [1, 2, 3, 4, 1, 2]})
    got = pr.class_ranks(rows.assign(**dict.fromkeys(("rce", *rules.CEILINGS, "area"), [1, 2, 3, 4, 2, 1])))
    assert set(got["setup"]) == {"a"} and (got["value"] == 1.0).all() and len(got) == 6


# --- what the ledger is told


@pytest.mark.parametrize("domains", [("voc", "camvid"), ("voc", "dubai", "camvid")])
def test_every_observation_fits_its_claim(domains):
    findings = ledger.open("80_predictors", profile="smoke")
    observed = facts.truncation(made(domains), made(domains))
    blocks = facts.blocks(made(domains).where(~made(domains).table["full"]))
    for claim, told in (*observed.items(), *blocks.items()):
        for fact in told:
            findings.observe(claim, **fact)
    findings.close()
    assert len(observed["fig5b-positive-r3"]) == len(observed["fig5b-estimates-r3"]) == len(domains)
    assert len(observed["fig5b-slope-r3"]) == 4, "every network by itself, where three of its cells have R_ce < 0.2"
    assert [f["null"] > 0.9 for f in observed["fig5b-positive-r3"]] == [True] * len(domains)


def test_one_domain_judges_no_other_and_too_few_cells_are_said():
    cells = made(("voc",))
    with pytest.raises(ValueError, match="at least two"):
        facts.truncation(cells, cells)
    far = made(("voc", "camvid"))
    far.table["rce"], far.drawn["rce"] = far.table["rce"] + 0.2, far.drawn["rce"] + 0.2
    assert "sec33-rce-estimates-r3" not in facts.blocks(far), "no line where all cells lie beyond the paper's threshold"


def test_networks_one_by_one_and_their_order_at_one_size():
    cells = made(("voc", "camvid"))
    three = pc._together([cells, *(pc.Cells(c.table.assign(setup=c.table["setup"] + f" {k}"), c.drawn)
                                   for k in range(2) for c in [made(("voc",), seed=k + 1)])])  # fmt: skip
    table = facts.by_network(three)
    assert len(table) == 8 and table["slope"].dropna().between(0.3, 0.9).all()
    orders = facts.orders(three)
    assert set(orders["domain"]) == {"voc"} and orders.iloc[:, 2:].abs().le(1).all(axis=None)
