"""How the adviser reads what people have: storages, layouts, exports, lists; and each hint of a message, followed."""

from __future__ import annotations

import json
import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from specseg.advise import files, folder, frames, labels, maps, report
from specseg.advise.labels import BadFile
from specseg.advise.settings import Settings
from specseg.data import synthetic

SMALL = Settings(size=65, draws=5)
VOID_COLOR = (224, 224, 192)


def scene(seed: int, height: int = 65, width: int = 65) -> np.ndarray:
    """Land cover in four classes and void, uint8."""
    label = synthetic.scene("landcover", 1_000_000 + seed, max(height, width, 65)).label[:height, :width]
    label = np.where(label == 255, 255, label % 4).astype(np.uint8)
    label[:4] = 255
    return label


def write(home, encode, ending: str = ".png", count: int = 3) -> None:
    home.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        made = encode(scene(k))
        if ending == ".npy":
            np.save(home / f"m{k}.npy", made)
        else:
            (made if isinstance(made, Image.Image) else Image.fromarray(made)).save(home / f"m{k}{ending}")


def advise(home, out, settings: Settings = SMALL, **options) -> dict:
    return report.advise(home, settings, out=out, **options).data


def losses(data: dict) -> list:
    """The losses alone: intervals go with the files' names."""
    return [pytest.approx(r["drop"]["value"], abs=1e-6) for r in data["ceilings"]]


def same(a: dict, b: dict) -> bool:
    return losses(a) == [r["drop"]["value"] for r in b["ceilings"]]


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> dict:
    home = tmp_path_factory.mktemp("right")
    write(home / "labels", lambda x: x)
    return advise(home / "labels", home / "out")


def grey_alpha(x: np.ndarray) -> Image.Image:
    return Image.merge("LA", (Image.fromarray(x), Image.new("L", x.shape[::-1], 255)))


@pytest.mark.parametrize(
    ("encode", "ending"),
    [
        (lambda x: x, ".PNG"),
        (lambda x: x, ".tif"),
        (lambda x: x, ".bmp"),
        (lambda x: x.astype(np.uint16), ".png"),
        (lambda x: x.astype(np.uint16), ".tif"),
        (lambda x: x.astype(np.int32), ".tif"),
        (lambda x: x.astype(np.float32), ".tif"),
        (lambda x: np.stack([x] * 3, -1), ".png"),
        (grey_alpha, ".png"),
        (lambda x: x.astype(np.int64), ".npy"),
        (lambda x: x.astype(np.float64)[None], ".npy"),
    ],
)
def test_whole_numbers_are_read_whatever_their_storage(tmp_path, right, encode, ending):
    write(tmp_path / "labels", encode, ending)
    data = advise(tmp_path / "labels", tmp_path / "out")
    assert same(data, right) and data["data"] == right["data"]
    assert "class numbers 0 .. 3" in data["read"][-1]


def test_few_bits_a_pixel(tmp_path):
    """Pillow shows the levels of 1, 2 and 4 bits stretched; the stored numbers are meant."""
    import struct
    import zlib

    def png(values: np.ndarray, bits: int) -> bytes:
        rows = [bytes([0]) + bytes(np.packbits(
            ((row[:, None] >> np.arange(bits)[::-1]) & 1).astype(np.uint8).ravel())) for row in values]  # fmt: skip

        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + body

    for bits in (1, 2, 4):
        values = np.random.default_rng(0).integers(0, 2**bits, (9, 13)).astype(np.uint8)
        (tmp_path / "a.png").write_bytes(png(values, bits))
        assert (files.read(tmp_path / "a.png").values == values).all()


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("a.jpg", lambda p: Image.fromarray(scene(0)).save(p), "JPEG is a lossy picture.*as PNG"),
        ("a.tif", lambda p: Image.fromarray(scene(0)).save(p, compression="jpeg"), "TIFF is a lossy picture"),
        ("a.tif", lambda p: Image.fromarray(scene(0)).save(p, save_all=True, append_images=[Image.new("L", (9, 9))]),
         "holds 2 pages"),
        ("a.npy", lambda p: np.save(p, np.zeros((3, 9, 9))), r"shape \(3, 9, 9\).*planes.argmax\(0\)"),
        ("a.npy", lambda p: np.save(p, np.full((9, 9), 0.5)), "fractions"),
        ("a.npy", lambda p: p.write_bytes(b"no"), "no array can be read"),
        ("a.png", lambda p: Image.new("RGBA", (9, 9)).save(p), "transparency"),
    ],
)  # fmt: skip
def test_what_cannot_hold_labels_is_refused_with_the_reason(tmp_path, name, make, words):
    make(tmp_path / name)
    with pytest.raises(BadFile, match=words) as err:
        files.read(tmp_path / name)
    assert str(tmp_path / name) in str(err.value)


def test_a_decompression_bomb_is_named_and_left_out(tmp_path, monkeypatch):
    write(tmp_path / "labels", lambda x: x)
    Image.new("L", (300, 300)).save(tmp_path / "labels/ortho.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.raises(BadFile, match=r"ortho\.png: 90,000 pixels; more than 80,000 .*--keep-going"):
        advise(tmp_path / "labels", tmp_path / "out")
    data = advise(tmp_path / "labels", tmp_path / "out", Settings(size=65, draws=5, keep_going=True))
    assert [b["file"] for b in data["data"]["bad"]] == ["ortho"] and data["data"]["measured"] == 3


# --- which class a stored value is ---------------------------------------------------------------------------------


def objects(low: int, high: int):
    return lambda x: np.where((x % 255) > 1, high, low).astype(np.uint8)


def test_an_object_stored_as_255_is_a_class(tmp_path):
    write(tmp_path / "a", objects(0, 1))
    write(tmp_path / "b", objects(0, 255))
    a, b = (advise(tmp_path / k, tmp_path / "out") for k in "ab")
    assert same(a, b) and "two classes, background and object" in b["read"][0]
    with pytest.raises(ValueError, match="one class alone, stored as 0; .* If 255 is a class too, give --ignore none"):
        advise(tmp_path / "b", tmp_path / "out", Settings(size=65, draws=5, ignore=255))
    assert same(advise(tmp_path / "b", tmp_path / "out", Settings(size=65, draws=5, ignore=())), a)


def followed(message: str, out) -> list[tuple[Settings, dict]]:
    """What the options that a message names are, as arguments of `report.advise`."""
    found = []
    for words in re.findall(r"((?:--(?:ignore|classes) [\w-]+\s?)+)", message):
        ignore = labels.parse_ignore(re.findall(r"--ignore (none|-?\d+)", words))
        classes = re.findall(r"--classes (\d+)", words)
        found.append((Settings(size=65, draws=5, ignore=ignore), {"classes": int(classes[0])} if classes else {}))
    if "--keep-going" in message:
        found.append((Settings(size=65, draws=5, keep_going=True), {}))
    if drafts := re.findall(r"--map (\S+draft_map\.toml)", message):
        found.append((SMALL, {"reading": maps.from_map(out.parent / drafts[0])}))
    return found


STRAY = np.zeros((65, 65), np.uint8)
STRAY[:5, :5] = 77


@pytest.mark.parametrize(
    ("encode", "words", "ways"),
    [
        (lambda x: np.uint8([0, 128, 255])[x % 3], "0, 128, 255: 255 may be a class or count nowhere", 2),
        (lambda x: np.where(x == 255, 255, x * 17).astype(np.uint8), r"0, 17, 34, 51, 255: 255 may be a class", 2),
        (lambda x: np.where(x == 255, 65535, x.astype(int)).astype(np.uint16), "0 .. 3, and 65535 far from", 2),
        (lambda x: np.where(x == 255, -1, x.astype(int)).astype(np.int16), "0 .. 3, and -1 far from", 2),
        (lambda x: np.where(x == 255, 0, x + 1).astype(np.uint8), "", 0),
        (lambda x: np.asarray(Image.fromarray(objects(0, 255)(x)).resize((70, 70), Image.Resampling.BICUBIC)),
         "greys between them .*as smoothed edges have", 1),
        (lambda x: np.uint8([*synthetic.palette("objects"), (9, 9, 9)])[np.minimum(x, 21)],
         "labels are colours, .*told by --map", 1),
        (lambda x: np.random.default_rng(0).integers(0, 90, x.shape).astype(np.uint8), "give --classes 90", 1),
        (lambda x: np.zeros_like(x), "one class alone, stored as 0; mIoU compares classes", 0),
        (lambda x: np.full_like(x, 255), "ignored value 255; nothing is labelled", 0),
    ],
)  # fmt: skip
def test_values_that_can_be_read_in_two_ways_stop_and_every_hint_works(tmp_path, encode, words, ways):
    ending = ".tif" if encode(scene(0)).dtype == np.int16 else ".png"
    home, out = tmp_path / "labels", tmp_path / "out"
    write(home, (lambda x: encode(x).astype(np.int32)) if ending == ".tif" else encode, ending)
    if not words:
        advise(home, out)
        return
    with pytest.raises(ValueError, match=words) as err:
        advise(home, out)
    hints = followed(str(err.value), out)
    assert len(hints) == ways, str(err.value)
    for settings, options in hints:
        assert advise(home, out, settings, **options)["data"]["measured"] == 3


def test_hints_about_a_stray_value_work(tmp_path):
    write(tmp_path / "labels", lambda x: x)
    Image.fromarray(STRAY).save(tmp_path / "labels/stray.png")
    for classes, words in (
        (4, r"stray\.png: value 77 is no class .*--ignore 77"),
        (None, "77 far from them in 1 of 4"),
    ):
        with pytest.raises(ValueError, match=words) as err:
            advise(tmp_path / "labels", tmp_path / "out", classes=classes)
        for settings, options in followed(str(err.value), tmp_path / "out"):
            given = options or ({"classes": classes} if classes else {})
            advise(tmp_path / "labels", tmp_path / "out", settings, **given)


def test_an_ignored_value_among_the_classes_and_several_of_them(tmp_path):
    write(tmp_path / "labels", lambda x: np.where(x == 255, 255, np.where(x == 3, 0, x + 1)).astype(np.uint8))
    settings = Settings(size=65, draws=5, ignore=(0, 255))
    data = advise(tmp_path / "labels", tmp_path / "out", settings)
    assert [c["name"] for c in data["classes"]] == ["class 1", "class 2", "class 3"]
    assert same(advise(tmp_path / "labels", tmp_path / "out", settings, classes=4), data)


def test_palettes_that_differ_stop_and_the_draft_reads_the_colours(tmp_path, right):
    colors = [tuple(map(int, c)) for c in synthetic.palette("objects")[:4]] + [VOID_COLOR]

    def shuffled(x: np.ndarray) -> Image.Image:
        order = np.random.default_rng(int(x.sum())).permutation(5)  # another order in every file
        image = Image.fromarray(order[np.where(x == 255, 4, x)].astype(np.uint8), "P")
        image.putpalette(sum((list(colors[k]) for k in np.argsort(order)), []))
        return image

    home, out = tmp_path / "labels", tmp_path / "out"
    write(home, shuffled)
    with pytest.raises(ValueError, match="palettes differ between the files") as err:
        advise(home, out)
    ((settings, options),) = followed(str(err.value), out)
    assert advise(home, out, settings, **options)["data"]["void"] == right["data"]["void"]
    drops = [[r["drop"]["value"] for r in d["ceilings"]] for d in (advise(home, out, **options), right)]
    assert drops[0] == pytest.approx(drops[1], abs=1e-4)  # ties go to another class's side
    numbers = maps.Reader(tuple("abcde"), tuple((k, k) for k in range(5)))
    assert any("Palettes differ" in told for told in advise(home, out, reading=numbers)["read"])


def test_colours_near_those_of_a_map_file(tmp_path):
    noise = np.random.default_rng(0)
    palette = np.uint8([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]])

    def blurred(x: np.ndarray) -> np.ndarray:
        return np.clip(palette[x % 4].astype(int) + noise.integers(-9, 10, (*x.shape, 3)), 0, 255).astype(np.uint8)

    write(tmp_path / "labels", blurred)
    text = "".join(f'[[classes]]\nname = "c{k}"\ncolor = "{bytes(c).hex()}"\n' for k, c in enumerate(palette))
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(BadFile, match="is no class .*`near = 16` in the map file takes the nearest"):
        advise(tmp_path / "labels", tmp_path / "out", reading=maps.from_map(tmp_path / "own.toml"))
    (tmp_path / "own.toml").write_text("near = 16\n" + text)
    reading = maps.from_map(tmp_path / "own.toml")
    item = folder.find(tmp_path / "labels")[0][0]
    assert (reading.classes(item) == scene(0) % 4).all()
    with pytest.raises(ValueError, match="one class alone|holds numbers"):
        write(tmp_path / "grey", lambda x: x)
        advise(tmp_path / "grey", tmp_path / "out", reading=reading)


# --- which files are labels ----------------------------------------------------------------------------------------


def test_pictures_beside_masks(tmp_path, right):
    write(tmp_path / "in/masks", lambda x: x)
    write(tmp_path / "in/images", lambda x: synthetic.scene("landcover", int(x.sum()), 65).image[..., 0])
    data = advise(tmp_path / "in", tmp_path / "out")
    assert same(data, right) and "3 files in folders of pictures" in data["read"][0]
    for k in range(3):
        os.replace(tmp_path / f"in/images/m{k}.png", tmp_path / f"in/masks/photo{k}.png")
    with pytest.raises(BadFile, match=r"photo0\.png: \d+ values, unlike their neighbours: a picture, .*--keep-going"):
        advise(tmp_path / "in", tmp_path / "out")
    data = advise(tmp_path / "in", tmp_path / "out", Settings(size=65, draws=5, keep_going=True))
    assert len(data["data"]["bad"]) == 3 and same(data, right)


def test_labels_that_names_single_out(tmp_path):
    for k in range(2):
        for end in ("_mask", "_sat"):
            (tmp_path / "in").mkdir(exist_ok=True)
            Image.fromarray(scene(k)).save(tmp_path / f"in/{k}{end}.png")
    items, told = folder.find(tmp_path / "in")
    assert [i.name for i in items] == ["0_mask", "1_mask"] and "2 of 4 files are taken, *_mask.png" in told[0]
    assert len(folder.find(tmp_path / "in", "**/*.png")[0]) == 4


def test_linked_folders_patterns_and_what_is_there_instead(tmp_path):
    write(tmp_path / "far/deep", lambda x: x, count=1)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path / "far", target_is_directory=True)
    (tmp_path / "far/circle").symlink_to(tmp_path / "in", target_is_directory=True)
    assert [i.name for i in folder.find(tmp_path / "in")[0]] == ["link/deep/m0"]
    for pattern in ("/anywhere/*.png", "../*.png"):
        with pytest.raises(ValueError, match="expected a pattern inside the folder"):
            folder.find(tmp_path / "in", pattern)
    (tmp_path / "zip").mkdir()
    (tmp_path / "zip/a.zip").write_bytes(b"")
    for where in (tmp_path / "zip", tmp_path / "zip/a.zip"):
        with pytest.raises(FileNotFoundError, match="unpack the archive first"):
            folder.find(where)
    with pytest.raises(FileNotFoundError, match=r"no file matches '\*.tif'; there is: 1 .zip"):
        folder.find(tmp_path / "zip", "*.tif")


def test_lists_as_people_write_them(tmp_path):
    write(tmp_path / "in/a", lambda x: x)
    write(tmp_path / "in/b", lambda x: x)
    for text, wanted in (("\ufeffa/m0\r\nb/m1.png\r\n", ["a/m0", "b/m1"]), ("a/m0  1\na/m1 -1\n", ["a/m0"]),
                         ("a/m0\na/m0\n", ["a/m0"])):  # fmt: skip
        (tmp_path / "list.txt").write_text(text, encoding="utf-8")
        names = folder.read_list(tmp_path / "list.txt")
        assert [i.name for i in folder.find(tmp_path / "in", only=names)[0]] == wanted
    with pytest.raises(ValueError, match="'m0' stands for a/m0 and b/m0; list them with their folders"):
        folder.find(tmp_path / "in", only=["m0"])


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_a_file_name_in_another_encoding(tmp_path, right):
    write(tmp_path / "in", lambda x: x)
    os.replace(tmp_path / "in/m0.png", os.fsencode(tmp_path / "in") + b"/gr\xfcn.png")
    data = advise(tmp_path / "in", tmp_path / "out")
    assert data["data"]["measured"] == 3 and json.dumps(data).encode()
    with open(os.fsencode(tmp_path / "in") + b"/gr\xfcn.png", "wb") as file:
        file.write(b"no picture")
    with pytest.raises(BadFile, match=r"gr\\udcfcn\.png: not an image"):
        advise(tmp_path / "in", tmp_path / "out")


# --- exports -------------------------------------------------------------------------------------------------------


def test_cvat_and_roboflow_by_their_own_files(tmp_path, right):
    colors = np.uint8([[9, 9, 9], [250, 50, 83], [51, 221, 255], [131, 224, 112]])
    write(tmp_path / "cvat/SegmentationClass", lambda x: colors[x % 4])
    write(
        tmp_path / "cvat/SegmentationObject", lambda x: np.uint8(np.random.default_rng(1).integers(0, 9, (65, 65, 3)))
    )
    lines = [f"n{k}:{','.join(map(str, c))}::" for k, c in enumerate(colors.tolist())]
    (tmp_path / "cvat/labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))
    write(tmp_path / "plain", lambda x: x % 4)
    wanted = advise(tmp_path / "plain", tmp_path / "out")
    for where in ("cvat", "cvat/SegmentationClass"):
        data = advise(tmp_path / where, tmp_path / "out")
        assert same(data, wanted) and [c["name"] for c in data["classes"]] == [
            "n0",
            "n1",
            "n2",
            "n3",
        ]
    write(tmp_path / "robo/train", lambda x: x % 4)
    (tmp_path / "robo/train/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, a\n2, b\n3, c\n")
    data = advise(tmp_path / "robo", tmp_path / "out")
    assert same(data, wanted) and data["classes"][0]["name"] == "background"
    left = advise(tmp_path / "robo", tmp_path / "out", Settings(size=65, draws=5, ignore=("background",)))
    assert [c["name"] for c in left["classes"]] == ["a", "b", "c"] and left["data"]["void"] > 0.05
    with pytest.raises(ValueError, match="--ignore nothing: expected stored values, or names"):
        advise(tmp_path / "robo", tmp_path / "out", Settings(size=65, draws=5, ignore=("nothing",)))


def test_polygons_of_labelme_and_coco(tmp_path):
    (tmp_path / "me").mkdir()
    boxes = {"road": [[0, 40], [70, 40], [70, 70], [0, 70]], "car": [[10, 20], [40, 20], [40, 50], [10, 50]]}
    wanted = np.zeros((70, 70), np.uint8)
    wanted[40:, :], wanted[20:51, 10:41] = 2, 1
    for k in range(2):
        shapes = [{"label": name, "points": points, "shape_type": "polygon"} for name, points in boxes.items()]
        me = {"shapes": shapes, "imageHeight": 70, "imageWidth": 70}
        (tmp_path / f"me/p{k}.json").write_text(json.dumps(me))
    data = advise(tmp_path / "me", tmp_path / "out")
    assert [c["name"] for c in data["classes"]] == ["background", "car", "road"] and data["data"]["measured"] == 2
    (tmp_path / "coco").mkdir()
    notes = [{"id": n, "image_id": k, "category_id": 7 + c, "area": 10 - c, "segmentation": [sum(points, [])]}
             for k in range(2) for n, c, points in ((k, 0, boxes["road"]), (9 + k, 1, boxes["car"]))]  # fmt: skip
    coco = {"images": [{"id": k, "file_name": f"p{k}.jpg", "height": 70, "width": 70} for k in range(2)],
            "annotations": notes, "categories": [{"id": 7, "name": "road"}, {"id": 8, "name": "car"}]}  # fmt: skip
    (tmp_path / "coco/all.json").write_text(json.dumps(coco))
    drawn = advise(tmp_path / "coco", tmp_path / "out")
    assert same(drawn, data)
    left = advise(tmp_path / "coco", tmp_path / "out", Settings(size=65, draws=5, ignore=("background",)))
    assert [c["name"] for c in left["classes"]] == ["car", "road"]
    item = folder.find(tmp_path / "me")[0][0]
    every = ("background", "car", "road")
    drawn = maps.Reader(every, tuple((name, k) for k, name in enumerate(every))).classes(item)
    assert (drawn == wanted).mean() > 0.99


# --- scale and frame -----------------------------------------------------------------------------------------------


def test_a_big_map_is_cut_and_a_shrunk_one_says_so(tmp_path):
    fine = np.indices((400, 400)).sum(0) // 2 % 2  # stripes that shrinking removes
    fine[:200] = 2
    (tmp_path / "in").mkdir()
    for k in range(2):
        Image.fromarray(np.roll(fine, k, 1).astype(np.uint8)).save(tmp_path / f"in/m{k}.png")
    own = advise(tmp_path / "in", tmp_path / "out")
    assert own["frame"]["frame"] == "tiles" and own["data"]["measured"] == 2 * 49 and own["data"]["groups"] == 2
    assert own["frame"]["seen"] == 1 and own["frame"]["scale"]["value"] == 1 and "6.15 times" in own["frame"]["why"]
    assert own["scales"][0]["frame"] == "shrink" and own["scales"][0]["scale"] == pytest.approx(65 / 400)
    small = advise(tmp_path / "in", tmp_path / "out", Settings(size=65, draws=5, frame="shrink"))
    assert small["data"]["measured"] == 2 and small["scales"][0]["frame"] == "tiles"
    crop = advise(tmp_path / "in", tmp_path / "out", Settings(size=65, draws=5, frame="crop"))
    assert crop["frame"]["seen"] == pytest.approx((65 / 400) ** 2) and any("3%" in w for w in crop["warnings"])
    native = advise(tmp_path / "in", tmp_path / "out", Settings(size=65, draws=5, frame="native"))
    assert native["settings"]["size"] == 385 and native["data"]["measured"] == 2


def test_the_shrunk_frame_is_the_evaluations(tmp_path):
    from specseg.data import transforms

    for shape in ((65, 65), (70, 200), (300, 123), (40, 90)):
        label = scene(3, *shape)
        window = frames.windows(shape, 65, "shrink")[0]
        own = frames.framed(torch.from_numpy(label)[None], window, 65, "nearest-exact")[0]
        assert (own.numpy() == transforms.frame_label(label, 65)).all()


def test_tiny_maps_and_wide_ones_are_told(tmp_path):
    write(tmp_path / "in", lambda x: x)
    Image.fromarray(np.uint8([[1]])).save(tmp_path / "in/one.png")
    data = advise(tmp_path / "in", tmp_path / "out")
    assert data["frame"]["tiny"] == ["one"] and any("1 map(s) of a few pixels (one)" in w for w in data["warnings"])


# --- before the long pass ------------------------------------------------------------------------------------------


def test_mistakes_are_said_before_the_long_pass(tmp_path):
    write(tmp_path / "labels", lambda x: x)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file: nothing can be written there; --out names another"):
        advise(tmp_path / "labels", tmp_path / "file")
    with pytest.raises(ValueError, match=r"group '\(': no regular expression"):
        Settings(group="(")
    with pytest.raises(ValueError, match="frame 'tile': expected one of auto, shrink, crop, tiles, native"):
        Settings(frame="tile")
    (tmp_path / "logits").mkdir()
    with pytest.raises(BadFile, match=r"m0\.png: no logits"):
        advise(tmp_path / "labels", tmp_path / "out", logit_folder=tmp_path / "logits")
    assert not list((tmp_path / "out/work").glob("*/*.npz"))
