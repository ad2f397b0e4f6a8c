"""What an engineer does next: the printed lines run, and --try measures the drop of a network on pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import specseg
from PIL import Image

from specseg.advise import page, report, trial
from specseg.advise.settings import Settings
from specseg.data import synthetic
from specseg.data._torchvision import torchvision
from specseg.evidence import config

COUNT = 4
SMALL = Settings(size=65, draws=5)
MODEL = """
import torch
from torch import nn
class Net(nn.Module):  # sees the class in the first channel's brightness, at a quarter of the pixels
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.AvgPool2d(4, 4, ceil_mode=True), nn.Conv2d(3, 4, 1)
        with torch.no_grad():
            k = torch.arange(4.0)
            self.head.weight.zero_()
            self.head.weight[:, 0, 0, 0], self.head.bias[:] = 2 * k / 4, -(k / 4) ** 2
    def forward(self, x):
        return {"out": self.head(self.encoder(x))}
def build():
    return Net()
def wrong():
    return 3
"""


@pytest.fixture
def home(tmp_path):
    for name in ("labels", "pictures"):
        (tmp_path / name).mkdir()
    for k in range(4):
        label = synthetic.scene("landcover", 1_000_000 + k, 65).label % COUNT
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / f"labels/m{k}_mask.png")
        picture = np.repeat((label * 64).astype(np.uint8)[..., None], 3, -1)
        Image.fromarray(picture).save(tmp_path / f"pictures/m{k}.png")
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def test_a_network_is_tried_on_pictures(home):
    model = trial.loaded(f"{home / 'model.py'}:build")
    data = report.advise(home / "labels", SMALL, classes=COUNT, out=home / "out", network=model,
                         picture_folder=home / "pictures").data  # fmt: skip
    told = data["trial"]
    assert told["layer"] == "head" and told["grid"] == 17 and told["frames"] == 4 and told["miou"] > 0.5
    drops = {r["lrg_size"]: r for r in told["drops"]}
    assert drops[17]["changed"] is False and drops[17]["value"] == 0
    assert drops[5]["value"] > drops[9]["value"] > 0 and drops[5]["low"] <= drops[5]["value"] <= drops[5]["high"]
    assert any("its layer head" in step for step in page.steps(data))


def test_what_is_wrong_with_a_trial_is_said(home):
    for name, words in (("none.py:build", "expected FILE.py:build"), ("model.py:none", "no attribute"),
                        ("model.py:wrong", "returns int; expected an nn.Module")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            trial.loaded(str(home / name))
    model = trial.loaded(f"{home / 'model.py'}:build")
    with pytest.raises(ValueError, match="--layer neck: no such module in Net; it has encoder, head"):
        trial.layer_of(model, "neck")
    (home / "pictures/m1.png").rename(home / "pictures/m1.TIF")  # an ending in capitals is one too
    (home / "pictures/m3.png").unlink()
    with pytest.raises(FileNotFoundError, match="no picture for m3_mask"):
        report.advise(home / "labels", SMALL, classes=COUNT, out=home / "o", network=model,
                      picture_folder=home / "pictures")  # fmt: skip


def test_the_printed_lines_run(home):
    code = report.advise(home / "labels", SMALL, classes=COUNT, out=home / "out").data["code"]
    model = torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None, num_classes=COUNT).eval()
    names = {"model": model, "pictures": torch.rand(1, 3, 65, 65)}
    with torch.no_grad():
        exec(code, names)
        assert names["net"].lrg_size >= 3 and names["layer"] == "classifier"
        assert names["logits"]["out"].shape == (1, COUNT, 65, 65) == names["net"](names["pictures"]).shape


def test_the_command_tries_a_network(home):
    words = [home / "labels", "--classes", COUNT, "--size", 65, "--out", home / "out",
             "--try", f"{home / 'model.py'}:build", "--pictures", home / "pictures"]  # fmt: skip
    env = {"SPECSEG_ROOT": str(config.root()), "COLUMNS": "120"}
    done = specseg("advise", *words, **env)
    assert done.returncode == 0, done.stderr
    assert "its layer head" in " ".join(done.stdout.split())
    done = specseg("advise", *words[:-3], f"{home / 'model.py'}:wrong", *words[-2:], **env)
    assert done.returncode != 0 and "Traceback" not in done.stderr and "model.py" in done.stderr
