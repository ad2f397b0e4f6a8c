"""Run-length masks of COCO files, against those that pycocotools encoded; the pictures of the whole ADE20K."""

import json

import numpy as np
import pytest
from PIL import Image

from specseg.advise import folder, maps, polygons, report
from specseg.advise.files import BadFile
from specseg.advise.settings import Settings

# What pycocotools 2 made of these masks (encode of the Fortran-ordered array, counts as text).
DISC = (
    "^[3i0^8:G8I6J6J6K4L4L4L4L4L4M2M4M2N2M4M2N2N2M4M2N2N2N2N2O0O2N2N2N2O0O2N2N2O0O2N2O0O2O0O2O0O2O0O2O0O2O0O2O000O2O000O2O"
    "000O2O00000O2O0000000O2O000000000000000000000000000000000000000000000001N100000001N1000001N10001N10001N10001N101N101"
    "N101N101N101N101N2N101N2N2N101N2N2N2N101N2N2N2N2N3L3N2N2N3L3N2N3L3N3L4L4L4L4L4L5J6J6J7H9FSe8"
)


def ring() -> np.ndarray:
    mask = np.zeros((7, 5), bool)
    mask[1:5, 1:4], mask[2, 2], mask[6, 4] = True, False, True
    return mask


def disc() -> np.ndarray:
    y, x = np.mgrid[:300, :200]
    return (y - 150) ** 2 + (x - 90) ** 2 < 80**2


@pytest.mark.parametrize(("mask", "text"), [(ring(), "843MN1225M"), (disc(), DISC)], ids=("ring", "disc"))
def test_the_text_of_pycocotools_is_read(mask, text):
    assert (polygons.run_lengths({"size": list(mask.shape), "counts": text}) == mask).all()


@pytest.mark.parametrize("seed", range(5))
def test_runs_down_columns_give_the_mask_back(seed):
    mask = np.random.default_rng(seed).random((9, 13)) < 0.4
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    counts = np.diff([0, *edges, flat.size]).tolist()
    assert (polygons.run_lengths({"size": [9, 13], "counts": counts}) == mask).all()


def coco(tmp_path, segmentation) -> folder.Item:
    notes = [{"id": 3, "image_id": 0, "category_id": 1, "area": 5, "segmentation": segmentation}]
    found = {"images": [{"id": 0, "file_name": "p.jpg", "height": 7, "width": 5}], "annotations": notes,
             "categories": [{"id": 1, "name": "crowd"}]}  # fmt: skip
    (tmp_path / "all.json").write_text(json.dumps(found))
    return polygons.expanded(folder.find(tmp_path)[0])[0]


def test_a_crowd_is_drawn_like_a_polygon(tmp_path):
    item = coco(tmp_path, {"size": [7, 5], "counts": "843MN1225M"})
    reader = maps.Reader(("background", "crowd"), (("background", 0), ("crowd", 1)))
    assert (reader.classes(item) == ring()).all()


def test_a_mask_of_another_size_names_file_and_annotation(tmp_path):
    item = coco(tmp_path, {"size": [7, 6], "counts": "843MN1225M"})
    with pytest.raises(
        BadFile, match=r"all.json: annotation 3 of p.jpg: a run-length mask of 35 pixels; expected 7 x 6"
    ):
        polygons.read(item.path, item.part)


def test_the_pictures_of_the_whole_ade20k_are_class_numbers(tmp_path):
    """Red and green are a class, blue is which object of it: two objects of one class are no two classes."""
    home, classes = tmp_path / "ade", np.array([0, 976, 2978])
    home.mkdir()
    for k in range(3):
        label = classes[np.indices((96, 96)).sum(0) // (20 + k) % 3]
        objects = np.indices((96, 96))[0] % 200
        rgb = np.stack([label // 256 * 10, label % 256, objects], -1).astype(np.uint8)
        Image.fromarray(rgb).save(home / f"ADE_val_0000000{k}_seg.png")
        Image.fromarray(rgb).save(home / f"ADE_val_0000000{k}.jpg")
    data = report.advise(home, Settings(size=65, draws=5, ignore=(0,)), out=tmp_path / "out").data
    assert [c["name"] for c in data["classes"]] == ["class 976", "class 2978"] and data["data"]["measured"] == 3
