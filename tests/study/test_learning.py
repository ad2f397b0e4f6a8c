"""What training does to bands, R_ce beside Table 1, and a network measured on the spot."""

from __future__ import annotations

import numpy as np
import pytest
import trainedrecords as invented
from scipy import stats

from specseg.evidence import ledger, statistics
from specseg.nets import protocol
from specseg.nets.networks import Network
from specseg.study import gate, learning, trained
from specseg.study import loss as loss_tables

VOC = Network("voc")
THREE = (VOC, *(Network("dubai", fold=f) for f in range(2)), Network("camvid"))


@pytest.fixture
def found(tmp_path, monkeypatch):
    root = invented.project(tmp_path / "project", monkeypatch)
    for network in THREE:
        invented.loss(root, network)
        invented.networks(root, network)
    return trained.read("loss_in_frequency")


def test_snapshots_become_a_course_of_bands(found):
    one = learning.course(found[0])
    assert one["step"].tolist() == list(invented.STEPS) and one["share"].tolist() == [0, 0.25, 0.5, 1]
    nu = np.arange(129)
    by_hand = (1.0 / (1.0 + nu) ** 2)[:9].sum()  # before training, up to 8
    assert one["0 to 8"].iloc[0] == pytest.approx(by_hand) and one["zero"].iloc[0] == 1
    between = one[[*learning.BANDS]].sum(axis=1)
    assert (between < one["loss"]).all(), "the bands end at 64; the loss has all"
    assert one["miou"].tolist() == pytest.approx([0.1, 0.225, 0.35, 0.6])


def test_what_is_learnt_late_has_a_later_half_time(found):
    """The invented bands above 16 move as the square of the training: half of that is at 2/3 between 1/2 and 1."""
    table = learning.learnt(found)
    assert table["half 0 to 8"].tolist() == pytest.approx([0.5] * 4)
    at_half = 0.25  # progress of the late bands at half of the training; linear to 1 at its end
    late = 0.5 + 0.5 * (0.5 - at_half) / (1 - at_half)
    assert table["half 33 to 64"].tolist() == pytest.approx([late] * 4)
    assert table["low is first"].tolist() == pytest.approx([late - 0.5] * 4)
    assert (table["low falls most"] > 0).all() and (table["correlation"] == -1).all()
    assert table["told apart"].all() and (table["first loss"] > 0).all()


def test_a_network_that_colour_alone_nearly_equals_sets_no_verdict(found):
    scored = trained.read("networks")
    ratios = gate.quality(scored)
    assert [*ratios.values()] == pytest.approx([3.0] * 4) and gate.able(found, scored) == found
    rows = scored[0].rows
    weak = rows["value"].where(~((rows["metric"] == "miou") & (rows["predictor"] == "network")), 0.39)
    scored[0] = scored[0]._replace(rows=rows.assign(value=weak))
    assert [m.network.name for m in gate.able(found, scored)] == [m.network.name for m in found if m.network != VOC]
    (pool, *_) = trained.pools(found)
    assert pool.observed(gate.quality(scored)) == {
        "domain": "objects (PASCAL VOC, animals)",
        "left_out": "too weak to judge: 1.9 times the mIoU of colour alone, 2 wanted",
    }
    assert pool.observed({})["left_out"] == "no score on record"
    assert gate.able([found[0]._replace(record=None)], []) != [], "made on the spot: no verdict takes it"


def test_the_course_of_a_training_is_told_with_its_rivals(found):
    told = learning.observations(found, trained.read("networks"))
    most = told["fig1-low-band-learnt-most"]
    assert [f["domain"] for f in most] == ["objects (PASCAL VOC, animals)", "land cover (Dubai)", "streets (CamVid)"]
    assert all("training" in f["left_out"] for f in most), "fewer than three trainings each"
    assert all(0 < f["null"] < 1 for f in most) and told["sec21-ce-falls-iou-rises"][0]["null"] == -1
    ends = learning.course(found[0]).iloc[[0, -1]]
    assert not learning.bands_learnt(ends)["told apart"], "all of it happened before the first snapshot"


def test_up_sampled_noise_keeps_most_of_its_power_within_its_grid():
    inside = learning.noise_within(17, 65, 8)
    assert 0.8 < inside < 1 and learning.noise_within(17, 65, 4) < inside and learning.noise_within(17, 65, 32) == 1


def test_half_time_of_a_course_that_overshoots_is_its_first_crossing():
    assert learning.half_time([0, 0.2, 0.6, 1], [0, 4, -1, 2]) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="no change"):
        learning.half_time([0, 1], [2, 2])


def test_a_record_without_snapshots_says_so(found):
    bare = found[0]._replace(rows=found[0].rows.drop(columns="step"))
    with pytest.raises(ValueError, match="voc-deeplabv3plus-f0-s0.*only baselines"):
        learning.course(bare)
    with pytest.raises(ValueError, match="no rows other_rim, periodic"):
        learning.rims(found[0], "other_rim")


def test_pictures_join_loss_and_score_by_name(found):
    table = learning.pictures(found, trained.read("networks"))
    assert len(table) == 4 * invented.PICTURES and table["iou"].between(0, 1).all()
    counts = invented.counts(VOC, 1.0)[3][[0, 1, 3]]
    by_hand = np.mean([h / (a + b - h) for h, a, b in counts])
    assert table["iou"].iloc[3] == pytest.approx(by_hand)
    other = trained.read("networks")[0]
    other.arrays["names"][0] = "another"
    with pytest.raises(ValueError, match="hold different pictures"):
        learning.pictures(found[:1], [other])


def test_profiles_are_fig_1s_rows(found):
    pools = trained.pools(found)
    table = loss_tables.profiles(pools).set_index(["domain", "row", "nu"])["value"]
    assert set(table.index.get_level_values("row")) == {"labels", "logits", "loss", "initial", "final"}
    assert table["voc", "labels", 2] == pytest.approx(1 / 27 / 16)  # rim 2 has 16 bins
    assert table["dubai", "loss", 0] == 1 and table["dubai", "initial", 0] == 1
    assert table["voc", "final", 0] == pytest.approx(0.4)
    assert loss_tables.grid_limit(pools[0]) == 32
    profile = learning.pooled_rims(pools[0], "logits_rim")
    assert 1 - learning.share_within(profile, 32) == pytest.approx(96e-8 / profile[1:].sum())


def test_table_1_stands_above_ours(found):
    table = loss_tables.side_by_side(trained.rates(found))
    assert list(table.columns) == list(protocol.LIMITS)
    order = [i for i in table.index if i[1] == "deeplabv3plus"]
    assert [i[2] for i in order] == ["pascal", "voc", "deepglobe", "dubai", "cityscapes", "camvid"]
    assert table.loc["streets", "deeplabv3plus", "cityscapes"][8] == 1.782
    assert len(table) == 6 + 3, "DAN has no record here, so the paper's DAN stands alone"


def test_claims_about_rates_follow_the_invented_law(found):
    """R_ce = c / nu^1.5 with c six times as large on streets and 1.5 times on land cover."""
    pools = trained.pools(found)
    assert [loss_tables.falling_steps(p) for p in pools] == [[True] * 6] * 3, "the step from 0 cannot fail"
    for pool in pools:
        factor = trained.estimate(loss_tables.factor(pool))
        assert factor["value"] == pytest.approx(8, rel=1e-3) and factor["low"] <= factor["value"] <= factor["high"]
    told = loss_tables.observations(pools, gate.quality(trained.read("networks")))
    assert {c: len(f) for c, f in told.items()} == {**dict.fromkeys(told, 3), "tab1-streets-larger-r3": 2} and len(
        told
    ) == 7
    objects, land = told["tab1-streets-larger-r3"]
    assert objects["domain"] == "streets (CamVid) against objects (PASCAL VOC, animals)"
    assert objects["value"] == pytest.approx(6, rel=0.2) and land["value"] == pytest.approx(4, rel=0.2)
    findings = ledger.open("60_loss_in_frequency", profile="smoke")
    for claim, facts in (told | learning.observations(found, trained.read("networks"))).items():
        for fact in facts:
            findings.observe(claim, **fact)
    broken = [m._replace(arrays={**m.arrays, "tail": m.arrays["tail"][:, :, ::-1]}) for m in found[:1]]
    assert loss_tables.falling_steps(trained.pools(broken)[0]) == [False] * 6, "a rate that grows with the limit"


def test_the_witness_is_one_of_the_records(found):
    assert trained.witness(found) in [m.record for m in found]


def test_the_interval_over_trainings_is_students():
    x = [0.1, 0.4, 0.3]
    low, high = stats.t.interval(0.95, 2, np.mean(x), stats.sem(x))
    told = statistics.mean_of_runs(x)
    assert (told["low"], told["high"]) == (pytest.approx(low), pytest.approx(high))
