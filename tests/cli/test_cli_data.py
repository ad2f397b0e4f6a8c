"""The commands of `specseg data`, on tiny copies."""

import dataset_layouts as layouts
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from specseg.cli.data import app, spread
from specseg.data import manifests


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("SPECSEG_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")

    def call(*args):
        result = CliRunner().invoke(app, list(args))
        return result.exit_code, f"{result.output}{result.exception or ''}"

    return call


def test_list_names_every_set_with_state_and_licence(run, tmp_path):
    layouts.camvid(tmp_path / "CamVid")
    code, text = run("list")
    assert code == 0
    for name in manifests.names():
        row = next(line for line in text.splitlines() if f" {name} " in line)
        state = {"synthetic": "complete", "camvid": "bad"}.get(name, "missing")  # tiny files have other sizes
        assert state in row and manifests.load(name).access in row


def test_verify_names_the_bad_files_and_fails(run, tmp_path):
    layouts.camvid(tmp_path / "CamVid")
    code, text = run("verify", "camvid")
    assert code == 1 and "CamVid, SegNet's 11 classes: bad" in text
    assert "BAD CamVid/train/0001TP_006690.png: " in text and "train: 4 of 367 pairs" in text


def test_verify_of_a_missing_set_says_how_to_get_it(run):
    code, text = run("verify", "cityscapes", "--fast")
    assert code == 0 and "missing (0 of 6950 files" in text and "Register at the homepage" in text
    assert "none is public" in text


def test_verify_of_the_generator(run):
    code, text = run("verify", "synthetic")
    assert code == 0 and "complete (6 of 6 files" in text


def test_fetch_of_a_registration_set_prints_what_to_do(run, tmp_path):
    code, text = run("fetch", "deepglobe")
    assert code == 1 and "land-train.zip" in text and str(tmp_path) in text.replace("\n", "")


def test_fetch_of_the_generated_set_says_so(run):
    code, text = run("fetch", "synthetic")
    assert code == 0 and "Nothing to download" in text


def test_show_has_shares_and_a_contact_sheet(run, tmp_path):
    truth = layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    sheet = tmp_path / "out/sheet.png"
    code, text = run("show", "voc2012", "--split", "train", "--sheet", str(sheet))
    assert code == 0 and "3 of 3 labels of this split are present" in text
    pixels = np.concatenate([truth[n].ravel() for n in layouts.VOC_TRAIN])
    shares = {
        cells[1]: float(cells[-1])
        for line in text.splitlines()
        if "│" in line and (cells := line.replace("│", " ").split()) and cells[0].isdigit()
    }
    assert shares["void"] == pytest.approx(np.mean(pixels == 255), abs=1e-4)
    assert shares["aeroplane"] == pytest.approx(np.mean(pixels == 1), abs=1e-4)
    with Image.open(sheet) as image:
        assert image.size == (3 * 257, 2 * 257)


def test_show_without_data_fails_in_words(run):
    code, text = run("show", "dubai")
    assert code == 1 and "dubai" in text and "Traceback" not in text


def test_show_of_labels_without_images_makes_no_sheet(run, tmp_path):
    home = tmp_path / "VOCdevkit/VOC2012"
    layouts.voc(home)
    for path in (home / "JPEGImages").iterdir():
        path.unlink()
    code, text = run("show", "voc2012", "--split", "val")
    assert code == 0 and "2 of 2 labels" in text and "no contact sheet" in text


def test_an_unknown_name_is_refused_with_the_known(run):
    code, text = run("verify", "imagenet")
    assert code == 1 and "camvid" in text


def test_hash_prints_a_file_list_that_a_manifest_reads(run, tmp_path):
    layouts.camvid(tmp_path / "CamVid")
    code, text = run("hash", str(tmp_path / "CamVid"))
    rows = [line.split("\t") for line in text.strip().splitlines()]
    assert code == 0 and rows[0] == ["path", "bytes", "sha256"]
    made = {f.path: (f.bytes, f.sha256) for f in layouts.hashed("camvid", tmp_path / "CamVid").files}
    assert {path: (int(size), digest) for path, size, digest in rows[1:]} == made
    assert run("hash", str(tmp_path / "none"))[0] == 1


def test_nothing_live_is_drawn_in_ci(run, monkeypatch):
    monkeypatch.setenv("CI", "1")
    code, text = run("verify", "synthetic")
    assert code == 0 and "\x1b" not in text


def test_small_helpers():
    assert spread(3, 0) == [0, 1, 2] and spread(3, 9) == [0, 1, 2]
