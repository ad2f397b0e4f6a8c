"""Paths, profiles, devices, seeds and what a run has read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from specseg.evidence import config

PROFILES = """
[smoke]
size = 129
data = ["synthetic"]
[paper]
size = 513
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "profiles.toml").write_text(PROFILES)
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    monkeypatch.delenv("SPECSEG_DATA", raising=False)
    monkeypatch.setattr(config, "_INPUTS", {})
    return tmp_path


def test_weights_of_others_lie_where_the_environment_says(project, monkeypatch, tmp_path):
    monkeypatch.delenv("SPECSEG_NETS", raising=False)
    assert config.nets_root() == config.root() / "runs" / "third_party"
    monkeypatch.setenv("SPECSEG_NETS", str(tmp_path / "weights"))
    assert config.nets_root() == tmp_path / "weights"


def test_the_root_is_named_by_the_environment_or_found_above(project, monkeypatch):
    assert config.root() == project
    monkeypatch.setenv("SPECSEG_ROOT", str(project / "nowhere"))
    with pytest.raises(FileNotFoundError, match="SPECSEG_ROOT=.*no profiles.toml there"):
        config.root()
    monkeypatch.delenv("SPECSEG_ROOT")
    assert (config.root() / "lib" / "specseg" / "evidence" / "config.py").is_file()


def test_the_root_is_found_from_the_working_folder_when_installed_elsewhere(project, monkeypatch, tmp_path):
    monkeypatch.delenv("SPECSEG_ROOT")
    monkeypatch.setattr(config, "__file__", "/nowhere/specseg/evidence/config.py")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert config.root() == project
    monkeypatch.chdir(project.parent)
    with pytest.raises(FileNotFoundError, match="run from a checkout or set SPECSEG_ROOT"):
        config.root()


def test_the_data_folder(project, monkeypatch):
    assert config.data_root() == project / "data"
    monkeypatch.setenv("SPECSEG_DATA", str(project))
    assert config.data_root() == project


def test_profiles(project):
    assert config.profiles() == ["smoke", "paper"]
    smoke = config.profile("smoke")
    assert (smoke.name, smoke.size, smoke.data) == ("smoke", 129, ["synthetic"])
    with pytest.raises(ValueError, match="unknown profile 'smokey': expected one of smoke, paper"):
        config.profile("smokey")
    with pytest.raises(AttributeError, match=r"profiles.toml \[paper\] has no 'data'; it has \['size'\]"):
        _ = config.profile("paper").data
    (project / "profiles.toml").write_text("[smoke\n")
    with pytest.raises(ValueError, match="profiles.toml: not TOML"):
        config.profile("smoke")


def test_the_project_profiles_have_the_same_keys(monkeypatch):
    monkeypatch.delenv("SPECSEG_ROOT", raising=False)
    assert config.profiles() == ["smoke", "standard", "paper"]
    keys = {name: set(config.profile(name).values) for name in config.profiles()}
    assert keys["smoke"] == keys["standard"] == keys["paper"]
    for name in config.profiles():
        assert (config.profile(name).size - 1) % 64 == 0, "frames are 64k+1 pixels"


def test_devices():
    assert config.device("cpu") == torch.device("cpu")
    assert config.device().type in ("cpu", "cuda")
    assert "cores" in config.device_name("cpu")
    with pytest.raises(ValueError, match="device 'gpu': expected one of auto, cpu, cuda"):
        config.device("gpu")


def test_the_processor_is_named_without_loading_torch():
    """Every chapter's banner asks for it; loading torch for that takes seconds."""
    code = "from specseg.evidence import config\nprint(config.device_name('cpu'))\n"
    code += "import sys\nassert 'torch' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and "cores" in run.stdout, run.stderr


def test_no_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert config.device().type == "cpu"
    with pytest.raises(RuntimeError, match="torch sees no GPU"):
        config.device("cuda")


def test_inputs_are_noted_and_compared(project):
    file, folder = project / "a.csv", project / "results"
    file.write_text("1\n")
    folder.mkdir()
    assert config.note_input(file) == file
    config.note_input(folder)
    config.note_input(project / "absent.csv")
    config.note_input(Path("/etc/hostname"))  # outside of the project: not noted
    config.profile("smoke")
    noted = config.inputs()
    assert list(noted) == ["a.csv", "absent.csv", "profiles.toml#smoke", "results"]
    assert all(config.unchanged(k, v) for k, v in noted.items())

    def changed() -> list[str]:
        return [k for k, v in noted.items() if not config.unchanged(k, v)]

    file.write_text("2\n")
    assert changed() == ["a.csv"]
    file.write_text("1\n")
    (folder / ".tmp-1").mkdir()
    assert changed() == [], "a hidden folder is work in progress"
    (folder / "run").mkdir()
    assert changed() == ["results"]
    (folder / "run").rmdir()
    (project / "absent.csv").write_text("")
    assert changed() == ["absent.csv"]
    (project / "absent.csv").unlink()
    file.unlink()
    assert changed() == ["a.csv"]


def test_only_the_profile_that_was_read_is_an_input(project):
    config.profile("smoke")
    noted = config.inputs()
    toml = project / "profiles.toml"
    toml.write_text(PROFILES.replace("513", "257") + "# remark\n")
    assert all(config.unchanged(k, v) for k, v in noted.items())
    toml.write_text(PROFILES.replace("129", "65"))
    assert not any(config.unchanged(k, v) for k, v in noted.items())
    toml.write_text(PROFILES.replace("[smoke]", "[other]"))
    assert not any(config.unchanged(k, v) for k, v in noted.items())


def test_continuous_integration_is_known_by_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert config.in_ci()
    monkeypatch.setenv("CI", "")
    assert not config.in_ci()
