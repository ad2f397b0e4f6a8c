"""The experiments on trained networks, end to end at the smallest size: records, probes, what they hold together."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import loaded, project

from specseg import sweep
from specseg.evidence import records
from specseg.evidence import statistics as scores
from specseg.nets import networks, protocol, weights
from specseg.nets.networks import Network

pytestmark = pytest.mark.usefixtures("scenes_once")
NAMES = ("networks", "truncation", "loss_in_frequency", "block_annotation", "labels", "band_limit_cost")
TINY = Network("landcover", backbone="tiny", width=8, size=65, batch=4, steps=4, precision="32-true")
WEAK = replace(TINY, annotation="block", nu_max=4)


def load(name, root):
    return loaded(root / "experiments" / f"{name}.py")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield project(tmp_path_factory.mktemp("a project"), patch, *NAMES)


@pytest.fixture(scope="module")
def made(root):
    """Name -> record of one cell of each experiment."""
    context = sweep.Context("smoke", "a test", "cpu", 1.0, None)
    out = {}
    for name in NAMES:
        module = load(name, root)
        cell = {
            "networks": lambda m: TINY,
            "truncation": lambda m: m.Truncation(TINY),
            "loss_in_frequency": lambda m: m.Loss(TINY),
            "block_annotation": lambda m: m.Weak(WEAK),
            "labels": lambda m: m.Labels("landcover", size=65),
            "band_limit_cost": lambda m: m.BandLimit(TINY),
        }[name](module)
        folder = root / "work" / name
        folder.mkdir(parents=True)
        rows = module.run(cell, folder, lambda _: None)
        out[name] = records.read(module.record(cell, folder, rows, context))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_records_are_whole_and_small(name, made):
    record = made[name]
    assert record.freshness() == "fresh" and np.isfinite(record.rows["value"].dropna()).all()
    assert sum(f.stat().st_size for f in record.path.iterdir()) < 300_000
    assert set(map(str, record.rows["unit"])) <= {"1", "nat", "s"}


def test_the_training_record_names_its_code_and_a_probe_that_comes_again(made, root):
    record = made["networks"]
    assert record.meta["settings"]["trained_by"]["specseg.nets.train"]
    assert record.meta["settings"]["training"]["steps"] == 4
    probe = record.probe()
    assert np.allclose(weights.probe_logits(weights.load(TINY)).numpy(), probe["probe_scene"], atol=1e-4)
    image = next(iter(networks.test_batches(TINY, batch=1)))[0][0]
    assert np.allclose(weights.probe_logits(weights.load(TINY), image).numpy(), probe["probe_picture"], atol=1e-4)
    row = record.rows.query("predictor == 'network' and metric == 'miou'").iloc[0]
    assert np.isclose(row["value"], scores.miou(probe["counts"].sum(0), probe["scored"]), atol=1e-9)
    assert row["low"] <= row["value"] <= row["high"]
    assert set(record.rows["predictor"]) == {"network", "as counted", "equal priors"}


def test_the_full_grid_is_the_same_in_both_experiments(made):
    full = made["truncation"].probe()
    assert str(full["methods"][0]) == "full" and np.array_equal(full["counts"][0], made["networks"].probe()["counts"])
    drops = made["truncation"].rows.query("metric == 'relative_drop'")
    assert len(drops) == len(full["methods"]) and drops.iloc[0]["value"] == 0


def test_the_loss_record_holds_every_reading_and_the_snapshots(made):
    rows = made["loss_in_frequency"].rows
    rates = rows[rows["metric"] == "r_ce"]
    assert rates["variant"].nunique() == 6 and rates["average"].nunique() == 2
    assert (rates["value"] >= 0).all() and (rates["low"] <= rates["high"]).all()
    steps = rows.dropna(subset=["step"])
    assert sorted(steps["step"].unique()) == list(TINY.settings(200).snapshots)
    total = made["loss_in_frequency"].probe()["total"][0].mean()
    rims = rows[(rows["metric"] == "loss_rim") & (rows["variant"] == "periodic")]["value"].sum()
    assert np.isclose(total, rims, rtol=1e-5)


def test_weak_labels_agree_less_than_full_ones(made):
    rows = made["block_annotation"].rows.set_index(["metric", "class"])["value"]
    assert 0.3 < rows["label_miou", "scored"] < 0.999


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("profile", ["smoke", "standard", "paper"])
def test_every_profile_has_cells_with_an_estimate(name, profile, root):
    module = load(name, root)
    cells = module.EXPERIMENT.by_id(profile)
    assert cells and all(module.minutes(c, profile) > 0 for c in cells.values())
    if name == "networks":
        assert list(cells.values()) == [n for n in protocol.networks(profile) if n.start != "frozen"]
