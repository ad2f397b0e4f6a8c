"""The label folders that people report trouble with, each through the command: message, exit status, values.

They lie in the folder SPECSEG_CASES, or `shared/cases` beside the checkout; `test_advise_reading.py` makes the like of
them itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, specseg
from PIL import Image

HOME = Path(os.environ.get("SPECSEG_CASES") or ROOT.parent / "shared" / "cases")
pytestmark = pytest.mark.skipif(
    not (HOME / "00_reference").is_dir(), reason=f"no cases in {HOME}: set SPECSEG_CASES to the folder that holds them"
)
SIX = {"classes": 6, "void": 0.0258, "lrg": 33, "blocks": None, "drop": {25: 0.0427}}  # the twelve scenes of 00
TWO = {"classes": 2, "void": 0.0, "lrg": 25, "blocks": None, "drop": {25: 0.0078}}  # one object class of them
SEVEN = {"classes": 7, "lrg": 33, "drop": {25: 0.0298}}  # the void of 00 as one more class


def advise(out: Path, *words: object) -> subprocess.CompletedProcess:
    return specseg("advise", *words, "--out", out, cwd=out.parent, COLUMNS="200", SPECSEG_ROOT=str(ROOT))


def check(out: Path, wanted: dict) -> dict:
    """Compare advice.json with what is right, computed without this library."""
    data = json.loads((out / "advice.json").read_text(encoding="utf-8"))
    lrg, blocks = data["recommendation"]["lrg"], data["recommendation"]["blocks"]
    found = {"classes": data["data"]["classes"], "lrg": lrg["lrg_size"], "blocks": blocks and blocks["lrg_size"],
             "void": pytest.approx(data["data"]["void"], abs=2e-4), "frame": data["frame"]["frame"],
             "seen": pytest.approx(data["frame"]["seen"], abs=0.01), "maps": data["frame"]["maps"]}  # fmt: skip
    assert {k: v for k, v in wanted.items() if k != "drop"} == {k: found[k] for k in wanted if k != "drop"}
    drops = {r["lrg_size"]: r["drop"]["value"] for r in data["ceilings"] if r["kind"] == "band"}
    for size, drop in wanted.get("drop", {}).items():
        assert drops[size] == pytest.approx(drop, abs=2e-4)
    return data


@pytest.mark.parametrize(
    ("folder", "options", "said", "wanted"),
    [
        ("00_reference", "", "255 (2.3%) counts nowhere", SIX),
        ("02_binary_0_255", "", "0 and 255 are two classes, background and object", TWO),
        ("02_binary_0_255", "--classes 2", "0 and 255 are two classes", TWO),
        ("02_binary_0_255", "--ignore none", "0 and 255 are two classes", TWO),
        ("02_binary_0_255", "--map binary255.toml", "Lost first: object, background", TWO),
        ("03_binary_0_1", "", "class numbers 0, 1; no pixel is void (255)", TWO),
        ("04_one_bit", "", "class numbers 0, 1", TWO),
        ("11_16bit_small_ids", "", "class numbers 0 .. 5", SIX),
        ("20_ade150", "--ignore 0", "class numbers 3, 7, 18, 70, 120, 150; 0 (2.3%) counts nowhere", SIX),
        ("20_ade150", "--classes 151 --ignore 0", "class numbers 0 .. 150", SIX),
        ("82_zero_and_255_void", "--ignore 0 --ignore 255", "0 (2.3%) counts nowhere, 255 (3.1%)", {"classes": 6}),
        ("82_zero_and_255_void", "--map zero_void.toml --ignore 255", "", {"classes": 6}),
        ("22_cityscapes", "--manifest cityscapes", "Lost first: pole, sidewalk", SIX | {"maps": 12}),
        ("22_cityscapes", "", "12 of 36 files are taken, *_labelIds.png", {"maps": 12}),
        ("29_cvat", "", "labelmap.txt says, classes background, c0, c1", SEVEN | {"maps": 12}),
        ("29_cvat", "--ignore background", "Lost first: c5, c1", SIX),
        ("29_cvat", "--map cvat.toml", "SegmentationObject", SIX),
        ("29_cvat", "--map 29_cvat/labelmap.txt", "Lost first: background", SEVEN),
        ("70_palette_per_file", "--map voc_colors.toml", "Lost first: c5", SIX),
        ("00_reference", "--map 66_dollar.toml", "Lost first: cost $ 5 _^{ $", SIX),
        ("00_reference", "--list list_ext.txt", "5 of 5 maps", {"maps": 5}),
        ("00_reference", "--list list_bom_crlf.txt", "5 of 5 maps", {"maps": 5}),
        ("00_reference", "--list list_voc.txt", "5 of 5 maps", {"maps": 5}),
        ("83_wide_structure_at_sides", "", "A centre would show 25% of the maps", {"classes": 3, "frame": "tiles"}),
        ("83_wide_structure_at_sides", "--list list_dup.txt", "12 tiles of 3 of 3 maps", {"maps": 3}),
        ("40b_tiles", "--size 513", "scale 1 frame pixels", {"lrg": 129, "frame": "shrink", "drop": {97: 0.162}}),
        ("40_huge_8000", "--size 513 --frame shrink", "scale 0.0641 frame pixels a map pixel", {"frame": "shrink"}),
    ],
)  # fmt: skip
def test_a_folder_is_read_right(tmp_path, folder, options, said, wanted):
    words = [HOME / w if (HOME / w).exists() else w for w in options.split()]
    size = () if "--size" in words else ("--size", 129)
    run = advise(tmp_path / "out", HOME / folder, *words, *size)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert said in " ".join(run.stdout.split())
    data = check(tmp_path / "out", wanted)
    if folder == "40_huge_8000" and "shrink" in options:
        assert "The advice goes with the scale: at their own scale" in " ".join(run.stdout.split())
        assert data["scales"][0]["lrg_size"] == 129 and data["recommendation"]["lrg"]["lrg_size"] < 129


def test_a_huge_map_is_cut_into_tiles_of_its_own_scale(tmp_path):
    """A corner of the map of 8,000 pixels, with all its classes: the whole is read above, and 256 tiles take long."""
    home = tmp_path / "maps"
    home.mkdir()
    with Image.open(HOME / "40_huge_8000" / "ortho.png") as image:
        image.crop((5000, 5000, 8000, 8000)).save(home / "ortho.png")
    run = advise(tmp_path / "out", home, "--size", 513)
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert "The maps are 5.85 times the frame" in " ".join(run.stdout.split())
    data = check(tmp_path / "out", {"classes": 3, "lrg": 129, "frame": "tiles", "seen": 1.0, "maps": 1})
    assert data["frame"]["frames"] == 36


@pytest.mark.parametrize(
    ("folder", "options", "said"),
    [
        ("17_jpeg_binary", "", r"no label maps .*12 \.jpg. JPEG is lossy and cannot hold labels: export them as PNG"),
        ("17_jpeg_binary", "--pattern *.jpg", r"m00\.jpg: JPEG is a lossy picture.*point\(lambda v: 255"),
        (
            "02_binary_0_255",
            "--ignore 255",
            r"one class alone, stored as 0; .*If 255 is a class too, give --ignore none",
        ),
        ("28_deepglobe", "--map deepglobe_own.toml", r"colour 0003FF is no class .*`near = 16` in the map file"),
        ("28_deepglobe", "", r"labels are colours, 00FFFF .*told by --map.*--map .*draft_map\.toml reads them"),
        ("70_palette_per_file", "", r"palettes differ between the files: .*--map .*draft_map\.toml reads them"),
        ("82_zero_and_255_void", "--map zero_void.toml", r"value 255 is no class .*--ignore 255"),
        ("82_zero_and_255_void", "--ignore 0", r"1 \.\. 6, and 255 far from them .*give --ignore 0 --ignore 255;"),
        ("41_bomb_error_14000", "", r"ortho\.png: 196,000,000 pixels; more than .*--keep-going leaves it out"),
        ("42_png_bomb", "", r"bomb\.png: 3,600,000,000 pixels"),
        ("42_png_bomb", "--keep-going", r"no map can be read \(1 bad\)"),
        (
            "00_reference",
            "--list list_dup.txt",
            r"3 of 3 listed names are missing, the first 'm0'; the folder has 'm00'",
        ),
    ],
)
def test_a_folder_is_refused_in_one_line(tmp_path, folder, options, said):
    words = [HOME / w if (HOME / w).exists() else w for w in options.split()]
    run = advise(tmp_path / "out", HOME / folder, *words, "--size", 129)
    assert run.returncode == 1 and len(run.stderr.strip().splitlines()) == 1, run.stderr
    assert re.search(said, run.stderr), run.stderr


def test_a_bomb_among_maps_is_left_out_when_asked(tmp_path):
    home = tmp_path / "maps"
    home.mkdir()
    (home / "bomb.png").symlink_to(HOME / "42_png_bomb" / "bomb.png")
    for k in range(2):
        (home / f"m{k}.png").symlink_to(HOME / "00_reference" / f"m0{k}.png")
    with Image.open(home / "m0.png") as image:
        assert image.size == (161, 129)
    run = advise(tmp_path / "out", home, "--size", 129, "--keep-going")
    assert run.returncode == 0 and "BAD" in run.stdout and "3,600,000,000 pixels" in run.stdout, run.stderr


def test_the_drafts_that_messages_name_read_the_maps(tmp_path):
    for folder, wanted in (("70_palette_per_file", SIX), ("28_deepglobe", {})):
        run = advise(tmp_path / folder, HOME / folder, "--size", 129)
        draft = re.search(r"--map (\S+draft_map\.toml)", run.stderr)[1]
        again = advise(tmp_path / folder, HOME / folder, "--size", 129, "--map", draft)
        assert again.returncode == 0, again.stderr
        check(tmp_path / folder, wanted)


def test_the_distance_that_a_message_names_reads_the_maps(tmp_path):
    own = tmp_path / "near.toml"
    text = (HOME / "deepglobe_own.toml").read_text(encoding="utf-8")
    run = advise(tmp_path / "out", HOME / "28_deepglobe", "--size", 129, "--map", HOME / "deepglobe_own.toml")
    own.write_text(re.search(r"`(near = \d+)`", run.stderr)[1] + "\n" + text, encoding="utf-8")
    again = advise(tmp_path / "out", HOME / "28_deepglobe", "--size", 129, "--map", own)
    assert again.returncode == 0, again.stderr
    check(tmp_path / "out", {"classes": 7})
