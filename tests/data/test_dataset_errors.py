"""What is wrong with a file is said with its name: colours, ids, sizes, damage, depth, alpha, grey, rotation."""

import dataset_layouts as layouts
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from specseg.data import datasets, manifests
from specseg.data.datasets import Sample
from specseg.data.manifests import encoding

COLORED, NUMBERED = ("deepglobe", "dubai"), ("voc2012", "camvid", "cityscapes")


@pytest.fixture
def voc(tmp_path):
    home = tmp_path / "VOCdevkit/VOC2012"
    return home, layouts.voc(home)


def first(tmp_path, name="voc2012", split="train"):
    return datasets.open(name, split, root=tmp_path)[0]


@pytest.mark.parametrize("name", COLORED + NUMBERED)
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_decode_undoes_encode(name, data):
    manifest = manifests.load(name)
    values = list(range(len(manifest.labels.names))) + ([255] if manifest.labels.ignore else [])
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    label = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(values)))
    stored = layouts.encode(label, manifest.labels)
    assert stored.shape == (*shape, 3) if name in COLORED else stored.shape == shape
    assert np.array_equal(encoding.decode(stored, manifest.labels, manifest.table, "x"), label)


@given(hnp.arrays(np.uint8, (5, 7, 3)), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_wrong_colour_is_found_whatever_it_is(noise, seed):
    """Decoding random colours: an error exactly when a colour is unknown, and the slow reference agrees else."""
    manifest = manifests.load("dubai")
    known = {**manifest.labels.map, **dict.fromkeys(manifest.labels.ignore, 255)}
    rng = np.random.default_rng(seed)
    chosen = rng.choice(sorted(known), size=(5, 7))
    rgb = np.array([[[int(c[k : k + 2], 16) for k in (0, 2, 4)] for c in row] for row in chosen], np.uint8)
    expected = [[known[c] for c in row] for row in chosen]
    assert encoding.decode(rgb, manifest.labels, manifest.table, "x").tolist() == expected
    codes = {f"{r:02X}{g:02X}{b:02X}" for r, g, b in noise.reshape(-1, 3).tolist()}
    if codes - set(known):
        with pytest.raises(ValueError, match="is no class"):
            encoding.decode(noise, manifest.labels, manifest.table, "x")


def test_void_cannot_be_stored_where_a_set_has_none():
    with pytest.raises(ValueError, match="stores no void"):
        layouts.encode(np.full((2, 2), 255, np.uint8), manifests.load("deepglobe").labels)


def test_an_unknown_colour_names_file_colour_and_count(tmp_path):
    layouts.dubai(tmp_path / "dubai")
    path = tmp_path / "dubai/mask/image_part_001t1.png"
    rgb = np.asarray(Image.open(path)).copy()
    rgb[4:6, 10:13] = (27, 179, 245)  # the road colour of the repository's classes.json
    rgb[9, 9] = (1, 2, 3)
    layouts.save(rgb, path)
    with pytest.raises(ValueError, match=r"part_001t1.png: colour 1BB3F5 is no class \(6 pixels; 2 unknown in all"):
        first(tmp_path, "dubai", "all")


def test_an_id_outside_names_file_value_and_count(voc, tmp_path):
    label = voc[1]["2007_000032"].copy()
    label[8:10, 8] = 21
    layouts.save(label, voc[0] / "SegmentationClass/2007_000032.png", "P")
    with pytest.raises(ValueError, match=r"2007_000032.png: value 21 is no class \(2 pixels.*expected 0 .. 20 or 255"):
        first(tmp_path)


def test_sizes_that_differ_name_both(voc, tmp_path):
    layouts.save(layouts.picture(1, 20, 36), voc[0] / "JPEGImages/2007_000032.jpg")
    with pytest.raises(ValueError, match=r"2007_000032: image is \(20, 36\) but label is \(24, 36\)"):
        first(tmp_path)


@pytest.mark.parametrize("folder, ending", [("JPEGImages", "jpg"), ("SegmentationClass", "png")])
def test_a_cut_file_and_a_foreign_file_are_named(voc, tmp_path, folder, ending):
    path = voc[0] / f"{folder}/2007_000032.{ending}"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"2007_000032.{ending}: damaged or cut image"):
        first(tmp_path)
    path.write_text("not found")
    with pytest.raises(ValueError, match=f"2007_000032.{ending}: not an image"):
        first(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"2007_000032.{ending}: not an image"):
        first(tmp_path)


def test_a_file_that_vanishes_after_opening_is_named(voc, tmp_path):
    data = datasets.open("voc2012", "train", root=tmp_path)
    (voc[0] / "JPEGImages/2007_000032.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="2007_000032.jpg: no such file"):
        data[0]


def test_a_label_with_colours_or_more_bits_is_refused(voc, tmp_path):
    path = voc[0] / "SegmentationClass/2007_000032.png"
    layouts.save(layouts.picture(1), path)
    with pytest.raises(ValueError, match="2007_000032.png: label of mode RGB; expected 8-bit class numbers"):
        first(tmp_path)
    layouts.save(voc[1]["2007_000032"].astype(np.uint16), path)
    with pytest.raises(ValueError, match="2007_000032.png: label of mode I;16"):
        first(tmp_path)


def test_a_grey_label_where_colours_are_expected_is_refused(tmp_path):
    truth = layouts.dubai(tmp_path / "dubai")
    layouts.save(truth["image_part_001t1"], tmp_path / "dubai/mask/image_part_001t1.png")
    with pytest.raises(ValueError, match="image_part_001t1.png: label of mode L; expected colours"):
        first(tmp_path, "dubai", "all")


def test_a_palette_label_of_colours_is_decoded_by_colour(tmp_path):
    truth = layouts.dubai(tmp_path / "dubai")
    path = tmp_path / "dubai/mask/image_part_001t1.png"
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(path)
    assert Image.open(path).mode == "P"
    assert np.array_equal(first(tmp_path, "dubai", "all").label, truth["image_part_001t1"])


def test_a_four_bit_palette_label_is_read_as_numbers(voc, tmp_path):
    label = np.minimum(voc[1]["2007_000032"], 15)
    image = Image.fromarray(label)
    image.putpalette([v for i in range(16) for v in (i, i, i)])
    image.save(voc[0] / "SegmentationClass/2007_000032.png", bits=4)
    assert np.array_equal(first(tmp_path).label, label)


def test_images_grey_opaque_and_transparent(voc, tmp_path):
    path, rgb = voc[0] / "JPEGImages/2007_000032.jpg", layouts.picture(3)
    grey = rgb[..., 0]
    Image.fromarray(grey).save(path, format="PNG")
    assert np.array_equal(first(tmp_path).image, np.repeat(grey[..., None], 3, 2))
    Image.fromarray(np.dstack([rgb, np.full(grey.shape, 255, np.uint8)])).save(path, format="PNG")
    assert np.array_equal(first(tmp_path).image, rgb)
    Image.fromarray(np.dstack([rgb, np.full(grey.shape, 128, np.uint8)])).save(path, format="PNG")
    with pytest.raises(ValueError, match=r"2007_000032.jpg: image with transparency \(alpha down to 128\)"):
        first(tmp_path)
    Image.fromarray(grey.astype(np.uint16) * 256).save(path, format="PNG")
    with pytest.raises(ValueError, match="2007_000032.jpg: image of mode I;16 .*expected 8 bits"):
        first(tmp_path)


def test_an_exif_rotation_is_applied(voc, tmp_path):
    path, upright = voc[0] / "JPEGImages/2007_000032.jpg", layouts.picture(3)
    exif = Image.Exif()
    exif[274] = 6  # stored turned: show it turned by 90 degrees clockwise
    Image.fromarray(np.rot90(upright).copy()).save(path, format="PNG", exif=exif)
    assert np.array_equal(first(tmp_path).image, upright)


def test_a_damaged_mat_is_named(tmp_path):
    home = tmp_path / "benchmark_RELEASE/dataset"
    layouts.sbd(home)
    (home / "cls/2008_000002.mat").write_bytes(b"MATLAB 5.0 but cut")
    with pytest.raises(ValueError, match="2008_000002.mat: no GTcls.Segmentation in it, or damaged"):
        datasets.open("sbd", "val", root=tmp_path).label(0)


def test_an_empty_list_is_an_error(voc, tmp_path):
    (voc[0] / "ImageSets/Segmentation/train.txt").write_text("\n")
    with pytest.raises(FileNotFoundError, match="split 'train': nothing at ImageSets"):
        first(tmp_path)


def test_a_split_of_which_nothing_is_present_is_empty(voc, tmp_path):
    layouts.write_list(voc[0] / "ImageSets/Segmentation/train.txt", ["2011_003276"])
    with pytest.raises(ValueError, match="split 'train' is empty: none of its 1 listed names is present"):
        datasets.open("voc2012", "train", root=tmp_path, partial=True)


@pytest.mark.parametrize(
    "image, label, words",
    [
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.int64), r"image is uint8 \(2, 2\)"),
        (np.zeros((2, 2, 3), np.float32), np.zeros((2, 2), np.int64), "image is float32"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), "label is uint8"),
        (np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.int64), "they must be equal"),
    ],
)
def test_a_sample_of_wrong_shape_or_type_is_refused(image, label, words):
    with pytest.raises(ValueError, match=words):
        Sample(image, label, "x")
