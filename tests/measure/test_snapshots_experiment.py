"""Trainings that are watched, on synthetic scenes at the smallest size: the training, its steps, early stop, record."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import loaded, project

from specseg import sweep
from specseg.evidence import records
from specseg.nets import course, networks
from specseg.nets.networks import Network
from specseg.nets.train import load_weights

pytestmark = pytest.mark.usefixtures("scenes_once")
TINY = Network("landcover", backbone="tiny", width=8, size=65, batch=4, steps=6, precision="32-true")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield project(tmp_path_factory.mktemp("a project"), patch, "snapshots")


@pytest.fixture(scope="module")
def module(root):
    return loaded(root / "experiments" / "snapshots.py")


def weights_of(file):
    return {k: v for k, v in load_weights(TINY.build(), file).state_dict().items() if v.is_floating_point()}


def test_it_is_the_training_of_the_network_and_stops_where_it_is_told(root, tmp_path):
    files = course.snapshots(TINY, tmp_path, [0, 2, 4])
    assert sorted(files) == [0, 2, 4] and not (tmp_path / "run.ckpt").exists()
    whole = course.snapshots(TINY, tmp_path / "whole", [4, 6])
    end = networks.ensure(TINY, root=root / "runs") / "weights.safetensors"
    for a, b in ((files[4], whole[4]), (whole[6], end)):
        one, two = weights_of(a), weights_of(b)
        assert all(np.allclose(one[k], two[k]) for k in one)
    start, end = weights_of(files[0]), weights_of(files[4])
    assert any(not np.allclose(start[k], end[k]) for k in start)
    with pytest.raises(ValueError, match="step 7: expected at most 6"):
        course.snapshots(TINY, tmp_path / "more", [7])


def test_an_interrupted_training_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Network, "settings", _often(Network.settings))
    wanted = weights_of(course.snapshots(TINY, tmp_path / "whole", [1, 6])[6])

    def killed(text):
        if "step 3 " in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        course.snapshots(TINY, tmp_path / "part", [1, 3, 6], tell=killed)
    assert (tmp_path / "part" / "run.ckpt").is_file()
    (tmp_path / "part" / "step000001.safetensors").write_bytes(b"kept as it is")
    found = course.snapshots(TINY, tmp_path / "part", [1, 3, 6])
    assert found[1].read_bytes() == b"kept as it is"
    got = weights_of(found[6])
    assert all(np.array_equal(got[k], wanted[k]) for k in got)


def _often(settings):
    return lambda self, images: replace(settings(self, images), checkpoint_steps=1)


def test_the_last_stretch_of_every_drive_is_held_out():
    data = TINY.data("train")
    drives = {name: f"drive {k % 3}" for k, name in enumerate(data.ids)}
    kept, held = course.held_out(data, drives.get, 0.2)
    assert not set(kept.ids) & set(held.ids) and {*kept.ids, *held.ids} == set(data.ids)
    for drive in set(drives.values()):
        own = sorted(n for n in data.ids if drives[n] == drive)
        assert own[-round(0.2 * len(own)) :] == sorted(n for n in held.ids if drives[n] == drive)
    assert np.array_equal(held.label(0), data.label(data.ids.index(held.ids[0])))
    with pytest.raises(ValueError, match="has one picture"):
        course.held_out(data, str)


@pytest.mark.parametrize("early", [False, True])
def test_a_record_holds_every_step_and_comes_again(module, root, early, monkeypatch):
    monkeypatch.setattr(module, "PROBES", 5)
    monkeypatch.setattr(module, "LOOKS", 2)
    cell, folder = module.Snapshots(TINY, 0, early), root / f"work {early}"
    folder.mkdir()
    rows = module.run(cell, folder, lambda _: None)
    record = records.read(module.record(cell, folder, rows, sweep.Context("smoke", "a test", "cpu", 1.0, None)))
    assert record.freshness() == "fresh" and all(check.agrees for check in module.recompute(record))
    kept, rows = record.probe(), record.rows
    held = rows.query("metric == 'held_loss'").set_index("step")["value"]
    if early:
        assert sorted(held.index) == [0, 2, 4, 6]
        assert kept["steps"].tolist() == sorted({int(held.idxmin()), 6})
    else:
        assert held.empty and kept["steps"].tolist() == [0, 1, 2, 4, 6]
    assert kept["counts"].shape[:3] == (len(kept["steps"]), 4, 5)
    for step, total in zip(kept["steps"].tolist(), kept["total"], strict=True):
        rims = rows[(rows["metric"] == "loss_rim") & (rows["step"] == step)]["value"].sum()
        assert rims == pytest.approx(total[0].mean(), rel=1e-4)


def test_the_cells_are_those_of_the_protocol(module):
    cells = module.cells("standard")
    first = [c for c in cells if c.stop == 64]
    assert len(first) == 14 and len(set(cells)) == len(cells) and cells[:14] == first
    assert {c.network.domain for c in first[:3]} == {"voc", "camvid"}
    assert [c.network.name for c in cells if c.early] == ["camvid-deeplabv3plus-f0-s0"]
    assert {c.network.domain for c in cells if c.network.steps == 1500} == {"voc", "camvid", "dubai_native"}
    for profile in ("smoke", "standard"):
        assert all(module.minutes(c, profile) > 0 for c in module.EXPERIMENT.by_id(profile).values())
