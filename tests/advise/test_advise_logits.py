"""The adviser with logits: read, framed, calibrated, and their numbers against the plain forms of the library."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from specseg.advise import folder, frames, labels, logits, page, relation, report
from specseg.advise.frames import Context
from specseg.advise.labels import BadFile
from specseg.advise.settings import LIMITS_513, Settings, grid, scaled
from specseg.data import synthetic, transforms
from specseg.data.datasets import VOID
from specseg.evidence import config, records
from specseg.spectral import cross_entropy
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp

COUNT = len(synthetic.CLASSES["landcover"])
LIMITS = scaled(65, LIMITS_513)
SMALL = Settings(size=65, draws=50)


def scores(label: np.ndarray, seed: int, size: int = 17, strength: float = 3.0) -> torch.Tensor:
    """Noisy logits (C, size, size) that know the label."""
    rng = np.random.default_rng(seed)
    points = np.linspace(0, len(label) - 1, size).round().astype(int)
    known = label[points[:, None], points[None, :]].astype(int)
    out = rng.normal(size=(COUNT, size, size))
    out += strength * (known[None] == np.arange(COUNT)[:, None, None])
    return torch.from_numpy(out).float()


@pytest.fixture
def pairs(tmp_path):
    """Six labels with logits in the three formats, half on a smaller grid; returns [(label, logits at label size)]."""
    (tmp_path / "labels/sub").mkdir(parents=True)
    (tmp_path / "logits/sub").mkdir(parents=True)
    out = []
    for k in range(6):
        label = synthetic.scene("landcover", 1_000_000 + k, 65).label
        name = f"sub/m{k}" if k == 5 else f"m{k}"
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / f"labels/{name}.png")
        small = scores(label, k)
        full = F.interpolate(small[None], (65, 65), mode="bilinear", align_corners=True)[0]
        file, kept = tmp_path / f"logits/{name}", small if k % 2 else full
        if k % 3 == 0:
            np.save(file.with_suffix(".npy"), kept.numpy())
        elif k % 3 == 1:
            np.savez(file.with_suffix(".npz"), logits=kept.numpy()[None])
        else:
            torch.save({"logits": kept}, file.with_suffix(".pt"))
        out.append((torch.from_numpy(label), full))
    return out


def advise(tmp_path, settings: Settings = SMALL, **options) -> dict:
    return report.advise(tmp_path / "labels", settings, classes=COUNT, logit_folder=tmp_path / "logits",
                         out=tmp_path / "out", **options).data  # fmt: skip


def test_every_variant_of_r_ce_and_the_truncated_iou(pairs, tmp_path):
    import jsonschema

    data = advise(tmp_path)
    schema = json.loads((config.root() / "book/_static/advice.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    told = data["logits"]
    label, full = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
    for scale, t in (("raw", 1.0), ("calibrated", told["temperature"])):
        for boundary in sp.BOUNDARIES:
            at = {"scale": scale, "boundary": boundary}
            for average in cross_entropy.AVERAGES:
                slow = cross_entropy.relative_loss_rate(full / t, label, list(LIMITS), boundary=boundary,
                                                        average=average)  # fmt: skip
                own = [
                    r["value"] for r in told["r_ce"] if at | {"average": average} == {k: r[k] for k in (*at, "average")}
                ]
                assert np.allclose(own, slow.numpy(), rtol=2e-4), (scale, boundary, average)
            soft = torch.softmax(full / t, 1)
            for r in told["spectral_iou"]:
                if at == {k: r[k] for k in at}:
                    slow = metrics.spectral_iou(soft, label, nu_max=r["nu_max"], boundary=boundary).nanmean()
                    assert r["value"] == pytest.approx(float(slow), rel=1e-4)
    assert bool(told["predicted"]) == bool(len(relation.fitted()))  # what the project's own records hold
    assert told["predicted"] or "No fitted relation on record" in told["relation"]


def test_scores_of_the_logits_and_of_cut_logits(pairs, tmp_path):
    told = advise(tmp_path)["logits"]
    label, full = torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs])
    whole = metrics.mean_iou(metrics.confusion_matrix(full.argmax(1), label, COUNT))
    assert told["miou"]["value"] == pytest.approx(whole, rel=1e-6) and told["maps"] == 6
    hit = (full.argmax(1) == label) & (label != VOID)
    assert told["accuracy"] == pytest.approx(float(hit.sum() / (label != VOID).sum()), rel=1e-6)
    for row in told["cut"]:
        low = sp.band_limit(full, row["nu_max"], boundary="mirrored").argmax(1)
        slow = metrics.mean_iou(metrics.confusion_matrix(low, label, COUNT))
        assert row["miou"]["value"] == pytest.approx(slow, abs=2e-3)
        assert row["drop"]["value"] == pytest.approx(1 - row["miou"]["value"] / told["miou"]["value"], abs=1e-6)


def test_the_temperature_of_known_logits_is_found(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "logits").mkdir()
    rng = np.random.default_rng(0)
    for k in range(3):  # labels drawn from softmax(y): the right temperature of 2 y is 2
        y = rng.normal(size=(COUNT, 65, 65)) * 2
        p = np.exp(y) / np.exp(y).sum(0)
        label = (rng.random((65, 65))[None] > p.cumsum(0)).sum(0).clip(max=COUNT - 1)
        Image.fromarray(label.astype(np.uint8)).save(tmp_path / f"labels/{k}.png")
        np.save(tmp_path / f"logits/{k}.npy", (2 * y).astype(np.float32))
    told = advise(tmp_path)
    assert told["logits"]["temperature"] == pytest.approx(2, rel=0.15)
    assert any("over-confident" in w for w in told["warnings"])
    assert told["logits"]["confidence"][0] > told["logits"]["accuracy"] + 0.05
    assert told["logits"]["confidence"][1] == pytest.approx(told["logits"]["accuracy"], abs=0.03)


def test_a_temperature_at_the_end_of_the_range_is_the_end():
    assert logits.best_temperature(np.arange(21.0)) == logits.TEMPERATURES[0]
    assert logits.best_temperature(-np.arange(21.0)) == logits.TEMPERATURES[-1]


@pytest.mark.parametrize("shape", [(100, 130), (65, 200), (65, 65), (257, 190)])
def test_logits_are_framed_as_their_labels(shape, tmp_path):
    """A logit plane that is one on a class and zero elsewhere must stay with the label, whatever the size."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    label = (x > shape[1] / 2).astype(np.uint8) + 2 * (y > 0.4 * shape[0]).astype(np.uint8)
    planes = torch.stack([torch.from_numpy(label == c).float() for c in range(4)])
    window = frames.windows(shape, 65, "shrink")[0]
    out = frames.framed(planes, window, 65, align_corners=False)
    framed = transforms.frame_label(label, 65)
    assert out.shape == (4, 65, 65) and float((out.argmax(0).numpy() == framed).mean()) > 0.97
    grid = [(n - 1) // 4 + 1 for n in shape]
    small = F.interpolate(planes[None], grid, mode="bilinear", align_corners=True)[0]
    wide = frames.framed(logits.whole(small, shape, tmp_path), window, 65, align_corners=False)
    assert float((wide.argmax(0).numpy() == framed).mean()) > 0.9


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.unlink(), r"m0\.png: no logits; expected .*m0\{\.npy,\.npz,\.pt\}"),
        (lambda f: f.write_bytes(b"no numbers"), r"m0\.npy: no logits can be read"),
        (lambda f: np.save(f, np.zeros((3, 17, 17), np.float32)), rf"m0\.npy: 3 classes .*; expected {COUNT}"),
        (lambda f: np.save(f, np.zeros((COUNT, 17), np.float32)), r"expected floating numbers \(C, h, w\)"),
        (lambda f: np.save(f, np.zeros((COUNT, 17, 17), np.int64)), r"int64 .*; expected floating"),
        (lambda f: np.save(f, np.full((COUNT, 17, 17), np.nan, np.float32)), "values are not finite"),
        (lambda f: np.save(f, np.zeros((COUNT, 17, 33), np.float32)), "17 x 33; expected the label's 65 x 65"),
        (lambda f: np.save(f, np.zeros((COUNT, 129, 129), np.float32)), "logits of 129 x 129; expected the label's"),
    ],
)  # fmt: skip
def test_bad_logits_are_named(pairs, tmp_path, spoil, words):
    spoil(tmp_path / "logits/m0.npy")
    context = Context(labels.numbered(COUNT), grid(65), tmp_path / "logits")
    with pytest.raises(BadFile, match=words):
        logits.pair(context, replace(folder.find(tmp_path / "labels")[0][0], window=(65, 65, 0, 0)))


def test_bad_logits_are_left_out_when_asked_and_their_labels_stay(pairs, tmp_path):
    (tmp_path / "logits/m0.npy").unlink()
    with pytest.raises(BadFile, match=r"m0\.png: no logits"):
        advise(tmp_path)
    data = advise(tmp_path, Settings(size=65, draws=50, keep_going=True))
    assert [b["file"] for b in data["data"]["bad"]] == ["m0"]
    assert data["data"]["measured"] == 6 and data["logits"]["maps"] == 5


def test_changed_logits_are_measured_again(pairs, tmp_path):
    first = advise(tmp_path)["logits"]["miou"]["value"]
    np.save(tmp_path / "logits/m0.npy", np.zeros((COUNT, 17, 17), np.float32))
    assert advise(tmp_path)["logits"]["miou"]["value"] < first


def test_what_else_lies_beside_logits_changes_nothing(pairs, tmp_path):
    told = advise(tmp_path)["logits"]
    (tmp_path / "logits/notes.npz").touch()
    (tmp_path / "logits/gone.npy").symlink_to(tmp_path / "nowhere")
    assert advise(tmp_path)["logits"] == told
    assert len(list((tmp_path / "out/work").glob("logits-*"))) == 1, "nothing is measured again"


def test_logits_that_want_a_gradient_and_those_of_torchvision_are_read(pairs, tmp_path):
    known = advise(tmp_path)["logits"]
    for k, wrap in ((0, lambda v: v.requires_grad_()), (2, lambda v: {"out": v[None]})):
        for old in (tmp_path / "logits").glob(f"m{k}.*"):
            old.unlink()
        torch.save(wrap(pairs[k][1].clone()), tmp_path / f"logits/m{k}.pt")
    assert advise(tmp_path)["logits"]["miou"] == known["miou"]


def test_no_folder_of_logits(pairs, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder; expected one file of logits a label"):
        report.advise(tmp_path / "labels", SMALL, logit_folder=tmp_path / "none", out=tmp_path / "out")


def test_numpy_objects_are_never_unpickled(tmp_path):
    np.save(tmp_path / "m.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BadFile, match="no logits can be read"):
        logits.read(tmp_path / "m.npy", 3)


def test_the_same_name_at_the_top_will_do(pairs, tmp_path):
    (tmp_path / "logits/sub/m5.pt").rename(tmp_path / "logits/m5.pt")
    item = next(i for i in folder.find(tmp_path / "labels")[0] if i.name == "sub/m5")
    assert logits.locate(tmp_path / "logits", item).name == "m5.pt"


def test_a_fitted_relation_predicts_with_its_interval(pairs, tmp_path, monkeypatch):
    from test_advise import write_relation

    real = records.home
    write_relation(tmp_path)
    monkeypatch.setattr(records, "home", lambda root=None: (root or tmp_path) / "results")
    data = advise(tmp_path)
    monkeypatch.setattr(records, "home", real)
    told = data["logits"]
    rate = {r["nu_max"]: r["value"] for r in told["r_ce"]
            if (r["scale"], r["boundary"], r["average"]) == ("raw", "periodic", "ratio_of_means")}  # fmt: skip
    assert len(told["predicted"]) == len(LIMITS)
    for p in told["predicted"]:
        assert p["value"] == pytest.approx(0.6 * rate[p["nu_max"]] + 0.01) and p["low"] < p["value"] < p["high"]
        assert p["inside"] == (rate[p["nu_max"]] <= 0.2)
    assert "Predicted drops: a line fitted to trained networks, two deviations either side." in page.render(data, [])
