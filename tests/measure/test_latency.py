"""The experiments of networks and cost: what they time, count and compare with, at the smallest size."""

import importlib.util
import os
import shutil
import sys

import pytest
import torch

from specseg.evidence import config, records
from specseg.nets.flops import views


def experiment(name):
    """An experiment as a module; it is a program, not a part of the library."""
    if name not in sys.modules:
        path = config.root() / "experiments" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def test_peak_memory_sees_a_large_array():
    module = experiment("latency")
    if not os.path.exists("/proc/self/clear_refs"):
        pytest.skip("this system does not tell a process's peak memory")
    used = module.peak_mib(lambda: torch.ones(2**25).sum(), torch.device("cpu"))
    assert 120 <= used < 400
    assert module.peak_mib(lambda: None, torch.device("cpu")) < 20


def test_cells_of_a_gpu_add_precision_and_batch():
    module = experiment("latency")
    plan = module.PLANS["standard"]
    on_cpu, on_gpu = (module.cells(plan, torch.device(name)) for name in ("cpu", "cuda"))
    assert len(on_cpu) == 2 * (7 + 3 + 9) and len(on_gpu) == 4 * len(on_cpu)
    assert {(c.precision, c.batch) for c in on_gpu} == {("fp32", 1), ("fp32", 8), ("bf16", 1), ("bf16", 8)}


def test_latency_goes_on_where_it_was_and_writes_a_readable_record(tmp_path, monkeypatch):
    module = experiment("latency")
    for name in ("profiles.toml", "lib"):
        (tmp_path / name).symlink_to(config.root() / name)
    (tmp_path / "experiments").mkdir()
    script = shutil.copy(config.root() / "experiments" / "latency.py", tmp_path / "experiments")
    monkeypatch.setattr(module, "__file__", str(script))
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
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
