"""The experiment on networks that others trained, on synthetic streets with a network whose weights are random."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import loaded, project

from specseg import sweep
from specseg.data.domains import domain
from specseg.evidence import records
from specseg.measure import loss, truncation
from specseg.nets import third_party, weights
from specseg.nets.third_party import manifests, protocol
from specseg.nets.third_party.protocol import Unit
from specseg.spectral.spectrum import band_limit

PICTURES, SIZE = 5, 129
STREETS = replace(domain("streets"), folds=({"regime": "streets", "count": PICTURES, "size": 160},))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = project(tmp_path_factory.mktemp("a project"), patch, "third_party")
        patch.setitem(protocol.HOMES, "cityscapes", STREETS)
        patch.setitem(protocol.NATIVE, "cityscapes", SIZE)
        patch.setattr(protocol, "PAPER", SIZE)
        yield root


@pytest.fixture(scope="module")
def module(root):
    return loaded(root / "experiments" / "third_party.py")


def untrained(name, sources=()):
    torch.manual_seed(3)
    return third_party.build(name)


@pytest.fixture(scope="module")
def made(module, root):
    """The record of one network on the paper's frame, and what it was made with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "load", untrained)
        unit, folder = Unit("dabnet-cityscapes"), root / "work"
        folder.mkdir()
        rows = module.run(unit, folder, lambda _: None)
        context = sweep.Context("smoke", "a test", "cpu", 1.0, None)
        record = records.read(module.record(unit, folder, rows, context))
        checks = list(module.recompute(record))
    return unit, record, checks


def test_the_record_is_whole_and_small_and_comes_again(made):
    unit, record, checks = made
    assert record.freshness() == "fresh" and np.isfinite(record.rows["value"].dropna()).all()
    assert set(record.rows["unit"]) <= {"1", "nat", "bins"}
    assert len(checks) == 2 and all(check.agrees for check in checks)
    assert sum(f.stat().st_size for f in record.path.iterdir()) < 300_000
    told = record.meta["settings"]
    assert told["name"] == unit.name and told["sha256"] == manifests.load(unit.name).sha256 and not told["seen"]
    assert "WenmuZhou/DABNet_Paddle" in record.meta["notes"]


def test_counts_alone_are_kept_and_no_picture(made):
    _, record, _ = made
    probe = record.probe()
    assert {v.dtype.kind for k, v in probe.items() if v.size > 3 * SIZE} <= {"i", "f", "U"}
    assert max(v.size for v in probe.values()) < SIZE * SIZE
    assert probe["counts"].shape == (27, PICTURES, len(STREETS.open("test").classes), 3)


def test_every_reading_and_every_condition_has_its_rows(made):
    unit, record, _ = made
    rates = record.rows.query("metric == 'r_ce'")
    assert set(rates["variant"]) == set(loss.VARIANTS) and rates["average"].nunique() == 2
    assert (rates["low"] <= rates["high"]).all() and set(rates["nu_max"]) == set(unit.limits(untrained(unit.name)))
    drops = record.rows.query("metric == 'relative_drop'").set_index(["method", "lrg_size"])["value"]
    assert drops["full", 17] == 0.0 and len(drops) == 27
    assert {m for m, _ in drops.index} == {"full", "bilinear", "fourier", truncation.LOGITS, truncation.LOW_PASS}
    scored = record.rows.query("metric == 'miou'")
    assert set(scored["predictor"].dropna()) == {"as counted", "equal priors"}
    assert (record.rows.query("metric == 'row_energy'")["value"] <= 1).all()
    rims = record.rows.query("metric == 'loss_rim' and variant == 'periodic'")["value"].sum()
    assert np.isclose(rims, record.probe()["total"][0].mean(), rtol=1e-5)


def test_halves_are_measured_with_the_other_halfs_temperature(module, monkeypatch):
    seen = []

    def names(batches):
        return [n for batch in batches for n in batch[2]]

    def parts(net, batches, limits, temperature, padded, tell):
        seen.append((names(batches), temperature))
        return "parts"

    monkeypatch.setattr(loss, "calibrated_temperature", lambda net, batches: 1.0 + len(names(batches)))
    monkeypatch.setattr(loss, "loss_parts", parts)
    monkeypatch.setattr(loss, "joined", list)
    unit = Unit("dabnet-cityscapes", "native")
    items = unit.items(unit.data())
    found, temperatures = module.loss_of(unit, untrained(unit.name), items, "cpu", print)
    assert found == ["parts", "parts"] and temperatures == [1.0 + PICTURES // 2, 1.0 + (PICTURES + 1) // 2]
    assert [len(who) for who, _ in seen] == [3, 2] and [t for _, t in seen] == temperatures
    assert sorted(n for who, _ in seen for n in who) == sorted(one[2] for one in items)


def test_parts_of_two_halves_are_those_of_the_whole():
    unit = Unit("dabnet-cityscapes", "native", 3)
    net, items = untrained(unit.name), unit.items(domain("streets").open("test", size=SIZE, count=3))
    whole = loss.loss_parts(net, loss.batched(items), [8, 4])
    two = loss.joined([loss.loss_parts(net, loss.batched(part), [8, 4]) for part in (items[:1], items[1:])])
    assert two.names == whole.names and np.allclose(two.total, whole.total, equal_nan=True)
    assert np.allclose(two.class_rims, whole.class_rims) and np.allclose(two.power["logits"], whole.power["logits"])
    assert np.array_equal(two.soft, whole.soft) and np.allclose(two.tail, whole.tail, equal_nan=True)


def test_logits_are_cut_as_said():
    net = untrained("dabnet-cityscapes")
    images, labels = torch.rand(1, 3, SIZE, SIZE), torch.randint(0, 11, (1, SIZE, SIZE))
    chosen = [truncation.Condition("full", 17), truncation.Condition(truncation.LOW_PASS, 9),
              truncation.Condition(truncation.LOGITS, SIZE), truncation.Condition(truncation.LOGITS, 9)]  # fmt: skip
    got = truncation.truncation_counts(net, [(images, labels, ["a"])], chosen).counts[:, 0]
    with torch.no_grad():
        full = net(images)
        low = torch.bincount(band_limit(full, 4).argmax(1).flatten(), minlength=19)
    assert np.array_equal(got[1, :, 2], low.numpy()) and np.array_equal(got[0], got[2])
    assert not np.array_equal(got[0], got[3])


def test_the_units_are_those_of_the_protocol(module):
    assert [u.name for u in protocol.units("standard")] == manifests.names() * 2
    assert protocol.units("paper") == protocol.units("standard")
    for profile in ("smoke", "standard", "paper"):
        cells = module.EXPERIMENT.by_id(profile)
        assert cells and all(module.minutes(unit, profile) > 0 for unit in cells.values())
    with pytest.raises(ValueError, match="frame 'whole': expected one of paper, native"):
        Unit("dabnet-cityscapes", "whole")
    assert set(protocol.SEEN) <= set(manifests.names())


@pytest.mark.parametrize("name", manifests.names())
def test_every_frame_gives_every_network_whole_grids(name, monkeypatch):
    monkeypatch.setattr(protocol, "PAPER", 513)
    monkeypatch.setitem(protocol.NATIVE, "cityscapes", 385)
    net = third_party.build(name)
    for frame in protocol.FRAMES:
        unit = Unit(name, frame)
        sizes = unit.own_sizes(net)
        assert len(sizes) == 7 and all(s % 2 for s in sizes) and sizes[0] <= net.grid(unit.size)
        assert unit.limits(net)[-1] <= 8 and max(unit.limits(net)) < unit.size // 2
    assert Unit(name).shared_sizes() == (129, 97, 81, 65, 49, 33, 17)


def test_ten_seconds_of_a_drive_are_one_cluster():
    cluster = protocol._ten_seconds
    assert cluster("frankfurt_000001_000169") != cluster("frankfurt_000001_000170")
    assert cluster("frankfurt_000001_000170") == cluster("frankfurt_000001_000339")
