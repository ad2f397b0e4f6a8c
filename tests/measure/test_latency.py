"""The experiments of networks and cost: what they time, count and compare with, at the smallest size."""

import os

import pytest
import torch
from conftest import loaded, project

from specseg.evidence import config, records
from specseg.nets.flops import views


@pytest.fixture(scope="module")
def module():
    return loaded(config.root() / "experiments" / "latency.py")


def test_peak_memory_sees_a_large_array(module):
    if not os.path.exists("/proc/self/clear_refs"):
        pytest.skip("this system does not tell a process's peak memory")
    used = module.peak_mib(lambda: torch.ones(2**25).sum(), torch.device("cpu"))
    assert 120 <= used < 400
    assert module.peak_mib(lambda: None, torch.device("cpu")) < 20


def test_cells_of_a_gpu_add_precision_and_batch(module):
    plan = module.PLANS["standard"]
    on_cpu, on_gpu = (module.cells(plan, torch.device(name)) for name in ("cpu", "cuda"))
    assert len(on_cpu) == 2 * (7 + 3 + 9) and len(on_gpu) == 4 * len(on_cpu)
    assert {(c.precision, c.batch) for c in on_gpu} == {("fp32", 1), ("fp32", 8), ("bf16", 1), ("bf16", 8)}


def test_latency_goes_on_where_it_was_and_writes_a_readable_record(module, tmp_path, monkeypatch):
    script = project(tmp_path, monkeypatch, "latency") / "experiments" / "latency.py"
    monkeypatch.setattr(module, "__file__", str(script))
    measured, real = [], module.measure

    def once(plan, cell, device):
        if len(measured) == 2:
            measured.append(None)
            raise KeyboardInterrupt
        measured.append(cell)
        return real(plan, cell, device)

    monkeypatch.setattr(module, "measure", once)
    with pytest.raises(KeyboardInterrupt):
        module.main(["--profile", "smoke", "--device", "cpu"])
    path = module.main(["--profile", "smoke", "--device", "cpu"])
    done = [c for c in measured if c is not None]
    assert len(done) == len(set(done)) == len(module.cells(module.PLANS["smoke"], torch.device("cpu")))
    record = records.read(path)
    clock = views.arrived(record.rows)
    assert set(clock["form"]) == {"full", "masked", "removed"} and (clock["time_ratio"] > 0).all()
    truncated = clock[(clock["form"] == "full") & (clock["model"] == "deeplabv3plus")].sort_values("lrg_size")
    assert truncated["flops_ratio"].is_monotonic_increasing
