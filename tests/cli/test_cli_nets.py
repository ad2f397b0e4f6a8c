"""The commands of `specseg nets`, on a folder of files that are not the published ones."""

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from specseg.cli.nets import app
from specseg.evidence import config
from specseg.nets.third_party import manifests

NAME = "cgnet-camvid"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSEG_NETS", str(tmp_path / "nets"))

    def call(*args):
        result = CliRunner().invoke(app, list(args))
        return result.exit_code, f"{result.output}{result.exception or ''}"

    return call


def test_list_prints_origin_and_licence_of_all(run):
    code, text = run("list")
    flat = "".join(text.split())
    assert code == 0
    for name in manifests.names():
        one = manifests.load(name)
        assert name in text and one.commit in flat
    assert "MIT" in text and "nolicencefile" in "".join(c for c in flat if c.isalpha())


def test_verify_names_what_is_missing_and_where_it_comes_from(run):
    code, text = run("verify", NAME)
    assert code == 1 and "no such weights" in text and f"specseg nets fetch {NAME}" in text
    assert manifests.load(NAME).origin in text
    code, text = run("verify", "nobody")
    assert code == 1 and "no manifest for network 'nobody'" in text


def test_fetch_says_how_and_keeps_only_the_right_file(run, tmp_path, monkeypatch):
    code, text = run("fetch", NAME)
    assert code == 2 and "wutianyiRosun/CGNet at 13f3a41f" in text
    source = tmp_path / f"{NAME}.safetensors"
    save_file({"x": torch.zeros(1)}, source)
    code, text = run("fetch", NAME, "--from", str(source))
    assert code == 1 and config.sha256(source) in text and manifests.load(NAME).sha256 in text
    assert not list((tmp_path / "nets").iterdir())
    code, text = run("fetch", NAME, "--from", str(tmp_path / "none.pth"))
    assert code == 1 and "none.pth: no such file" in text
    (tmp_path / "x.txt").touch()
    assert "expected a .safetensors or a .pth file" in run("fetch", NAME, "--from", str(tmp_path / "x.txt"))[1]


def test_a_published_checkpoint_is_converted_without_running_it(run, tmp_path, monkeypatch):
    state = {"module.a.weight": torch.ones(2), "module.a.num_batches_tracked": torch.zeros(1)}
    torch.save(state, tmp_path / "published.pth")
    save_file({"a.weight": torch.ones(2)}, tmp_path / "wanted.safetensors")
    wanted = manifests.load(NAME).sha256
    monkeypatch.setattr(manifests.config, "sha256", lambda path: wanted)
    code, text = run("fetch", NAME, "--from", str(tmp_path / "published.pth"))
    assert code == 0 and "right; MIT" in text
    assert (tmp_path / "nets" / f"{NAME}.safetensors").read_bytes() == (tmp_path / "wanted.safetensors").read_bytes()
    code, text = run("verify", NAME)
    assert code == 0 and "val was in its training" in text
