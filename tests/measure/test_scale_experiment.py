"""Scale as dose, on synthetic streets with a network whose weights are random."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import loaded, project

from specseg import sweep
from specseg.data.domains import domain
from specseg.evidence import records
from specseg.measure import loss, scale, truncation
from specseg.nets import third_party, weights
from specseg.nets.models import build
from specseg.nets.third_party import protocol

PICTURES, SIZE = 7, 129
STREETS = replace(domain("streets"), folds=({"regime": "streets", "count": PICTURES, "size": 160},))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = project(tmp_path_factory.mktemp("a project"), patch, "scale")
        patch.setitem(protocol.HOMES, "cityscapes", STREETS)
        patch.setattr(protocol, "PAPER", SIZE)
        yield root


@pytest.fixture(scope="module")
def module(root):
    return loaded(root / "experiments" / "scale.py")


def untrained(name, sources=()):
    torch.manual_seed(3)
    return third_party.build(name)


@pytest.mark.parametrize(("name", "wide", "pictures"), [("dabnet-cityscapes", 2.0, 3), ("labels", 0.5, PICTURES)])
def test_a_record_holds_its_rows_and_comes_again(module, root, monkeypatch, name, wide, pictures):
    monkeypatch.setattr(weights, "load", untrained)
    cell, folder = module.Scale(name, "cityscapes", wide, SIZE), root / name
    folder.mkdir()
    rows = module.run(cell, folder, lambda _: None)
    record = records.read(module.record(cell, folder, rows, sweep.Context("smoke", "a test", "cpu", 1.0, None)))
    assert record.freshness() == "fresh" and all(check.agrees for check in module.recompute(record))
    kept = record.probe()
    assert kept["counts"].shape == (4, pictures, 19, 3) and kept["lrg_sizes"].tolist() == cell.sizes
    drops = record.rows.query("metric == 'relative_drop'").set_index("lrg_size")["value"]
    assert drops[0] == 0.0 and len(drops) == 4
    if name == "labels":
        assert 0 < drops[cell.sizes[0]] < drops[cell.sizes[1]] < drops[cell.sizes[2]]
    else:
        assert set(record.rows["variant"].dropna()) == {"periodic", "mirrored"}


def test_the_frame_scales_with_the_picture_and_so_does_the_grid(module):
    sizes = {s: module.Scale("labels", "voc2012", s, 513) for s in module.SCALES}
    assert [sizes[s].size for s in module.SCALES] == [257, 513, 1025]
    assert [sizes[s].sizes for s in module.SCALES] == [[33, 17, 9], [65, 33, 17], [129, 65, 33]]
    assert [sizes[s].every for s in module.SCALES] == [1, 1, 6]


def test_the_loss_and_the_cut_are_those_of_the_experiments_on_one_scale():
    net = untrained("dabnet-cityscapes")
    data = [(torch.rand(1, 3, SIZE, SIZE), torch.randint(0, 19, (1, SIZE, SIZE)), ["a"])]
    got, parts = scale.network_parts(net, data, [17, 9])
    other = loss.loss_parts(net, data, [8, 4])
    assert np.allclose(parts.total, other.total[:2], rtol=1e-5) and np.allclose(parts.tail, other.tail[:2], atol=1e-5)
    chosen = [truncation.Condition(truncation.FULL, 0), *(truncation.Condition(truncation.LOGITS, s) for s in (17, 9))]
    assert np.array_equal(got.counts, truncation.truncation_counts(net, data, chosen).counts)


def test_a_network_of_ours_reads_another_size_with_the_dilations_of_its_training():
    net = build("deeplabv3plus", backbone="tiny", num_classes=3, input_size=257, width=8).eval()
    rates = [m.dilation for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    scale.at_size(net, 129)
    assert [m.dilation for m in net.modules() if isinstance(m, torch.nn.Conv2d)] == rates
    _, parts = scale.network_parts(net, [(torch.rand(1, 3, 129, 129), torch.zeros(1, 129, 129).long(), ["a"])], [17])
    assert parts.total.shape == (2, 1) and (parts.total > 0).all()
    with pytest.raises(ValueError, match="at least one picture"):
        scale.network_parts(net, [], [17])


def test_every_network_that_may_be_judged_is_at_every_scale_once(module):
    cells = module.cells("standard")
    ours = {c.name for c in cells if c.frame == module.OWN} - {"labels"}
    others = {c.name for c in cells if c.frame == SIZE} - {"labels"}
    assert len(set(cells)) == len(cells) and ours == set(module.NETWORKS) and len(others) == 12
    assert not others & set(protocol.SEEN)
    assert sum(c.name in others for c in cells) == 24 and sum(c.name in ours for c in cells) == 12
    assert len(module.EXPERIMENT.by_id("smoke")) == 2
