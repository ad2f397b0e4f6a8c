"""The adviser on real folders: how files become classes, bad files, samples, runs that were stopped."""

from __future__ import annotations

import json
from html import unescape

import dataset_layouts as layouts
import numpy as np
import pytest
from PIL import Image

from specseg.advise import folder as listing
from specseg.advise import labels, maps, page, report
from specseg.advise.labels import BadFile
from specseg.advise.settings import Settings
from specseg.data import synthetic
from specseg.evidence import config
from specseg.figures import advise as draw

SMALL = Settings(size=65, draws=50)
COUNT = len(synthetic.CLASSES["landcover"])


def save(path, label, palette=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(label, np.uint8))
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def scene(seed: int, size: int = 65) -> np.ndarray:
    return synthetic.scene("landcover", 1_000_000 + seed, size).label


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "labels"
    for k in range(5):
        save(home / f"m{k}.png", scene(k))
    return home


def schema() -> dict:
    return json.loads((config.root() / "book/_static/advice.schema.json").read_text(encoding="utf-8"))


def test_a_folder_of_class_numbers(folder, tmp_path):
    import jsonschema

    found = report.advise(folder, SMALL, out=tmp_path / "out")
    assert found.data["data"] | {"measured": 5, "bad": [], "found": 5} == found.data["data"]
    seen = max(int(m[m != 255].max()) for m in map(scene, range(5))) + 1
    assert len(found.data["classes"]) == seen <= COUNT
    jsonschema.Draft202012Validator(schema()).validate(found.data)
    told = report.advise(folder, SMALL, classes=COUNT, out=tmp_path / "out")
    assert len(told.data["classes"]) == COUNT
    assert json.loads(json.dumps(found.data, allow_nan=False)) == found.data


def test_the_page_holds_everything_itself(folder, tmp_path):
    data = report.advise(folder, SMALL, out=tmp_path / "out", title="a <b> & c").data
    html = page.render(data, [shown._repr_html_() for shown in draw.pictures(data)])
    assert "a &lt;b&gt; &amp; c" in html and "<b>" not in html
    for outside in ("http:", "https:", 'src="/', "@import", "url(", "<script", "<link"):
        assert outside not in html, outside
    assert html.count("<img") == html.count('src="data:image/png;base64,') == html.count("<figure") == 6
    assert html.count('alt="') == 6 and 'alt=""' not in html
    assert "color-scheme: light dark" in html and 'name="viewport"' in html
    for words in page.sentences(data):
        assert words in unescape(html)


def test_palette_subfolders_mixed_sizes_and_shapes(tmp_path):
    home = tmp_path / "labels"
    palette = [v for row in synthetic.palette("objects").tolist() for v in row]
    wide = np.zeros((80, 130), np.uint8)
    wide[:, 60:] = 1
    save(home / "a/x.png", wide, palette)
    save(home / "b/x.png", np.kron(wide, np.ones((2, 2), np.uint8)), palette)
    save(home / "c/deep/y.png", wide[:60, :60])
    data = report.advise(home, SMALL, out=tmp_path / "out").data
    assert data["data"]["measured"] == 3 and [c["maps"] for c in data["classes"]] == [3, 2]
    one = data["classes"][1]["contour"]
    assert one == pytest.approx(0.948 * 2 / 3, rel=0.02)  # an upright line through two of three frames


def test_another_ignored_value_keeps_the_classes_apart(tmp_path):
    label = np.zeros((65, 65), np.uint8)
    label[:20], label[40:] = 1, 2  # 1 counts nowhere
    save(tmp_path / "labels/a.png", label)
    data = report.advise(tmp_path / "labels", Settings(size=65, draws=5, ignore=1), out=tmp_path / "out").data
    assert [c["name"] for c in data["classes"]] == ["class 0", "class 2"]
    assert data["data"]["void"] == pytest.approx(20 / 65)


MAP = """
ignore = ["9b9b9b", [0, 0, 0]]
[[classes]]
name = "water"
color = "#E2A929"
[[classes]]
name = "built"
colors = [[60, 16, 152], "6EC1E4"]
"""


def test_colours_through_a_map_file(tmp_path):
    colours = {0: (226, 169, 41), 1: (60, 16, 152), 2: (110, 193, 228), 3: (155, 155, 155)}
    index = np.arange(65)[:, None] // 17 + np.zeros((1, 65), int)
    image = np.array([colours[k] for k in range(4)], np.uint8)[index]
    (tmp_path / "labels").mkdir()
    Image.fromarray(image).save(tmp_path / "labels/a.png")
    (tmp_path / "map.toml").write_text(MAP)
    data = report.advise(tmp_path / "labels", SMALL, reading=maps.from_map(tmp_path / "map.toml"),
                         out=tmp_path / "out").data  # fmt: skip
    assert [c["name"] for c in data["classes"]] == ["water", "built"]
    assert data["classes"][1]["share"] == pytest.approx(34 / 51) and data["data"]["void"] == pytest.approx(14 / 65)
    image[3, 3] = (1, 2, 3)
    Image.fromarray(image).save(tmp_path / "labels/b.png")
    with pytest.raises(BadFile, match=r"b\.png: colour 010203 is no class"):
        report.advise(tmp_path / "labels", SMALL, reading=maps.from_map(tmp_path / "map.toml"), out=tmp_path / "o")
    with pytest.raises(ValueError, match="labels are colours.*told by --map") as err:
        report.advise(tmp_path / "labels", SMALL, classes=3, out=tmp_path / "o")
    draft = maps.from_map(tmp_path / "o/draft_map.toml")  # the suggestion works when it is followed
    assert str(tmp_path / "o/draft_map.toml") in str(err.value)
    data = report.advise(tmp_path / "labels", SMALL, reading=draft, out=tmp_path / "o").data
    assert len(data["classes"]) == 5 and "colour 010203" in [c["name"] for c in data["classes"]]


def test_numbers_through_a_map_file(tmp_path):
    label = np.full((65, 65), 7, np.uint8)
    label[30:], label[60:] = 33, 9
    save(tmp_path / "labels/a.png", label)
    (tmp_path / "map.toml").write_text(
        'ignore = [9]\n[[classes]]\nname = "road"\nid = 7\n[[classes]]\nname = "car"\nids = [33, 34]\n'
    )
    reading = maps.from_map(tmp_path / "map.toml")
    data = report.advise(tmp_path / "labels", SMALL, reading=reading, out=tmp_path / "out").data
    assert [c["share"] for c in data["classes"]] == pytest.approx([0.5, 0.5])


A, B = (f'\n[[classes]]\nname = "{name}"\n' for name in "ab")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("classes = 3", "field 'classes': expected a list; found 3"),
        ("classes = []", "field 'classes': expected 1 .. 254 classes; found 0"),
        ("ignore = [1]", "field 'classes': missing; expected a list"),
        ("[[class]]", "field 'class': unknown field; expected one of classes, ignore"),
        ("a = ", "not TOML"),
        (A, r"field 'classes\[0\]': a has no stored value; expected color, colors, id or ids"),
        ("[[classes]]\nid = 1", r"field 'classes\[0\].name': missing; expected words"),
        (f"{A}id = 30000000", r"field 'classes\[0\].id': expected a whole number; found 30000000"),
        (f"{A}id = true", r"field 'classes\[0\].id': expected a whole number; found True"),
        (f'{A}color = "red"', r"field 'classes\[0\].color': expected .RRGGBB. or \[r, g, b\]; found 'red'"),
        (f"{A}colors = [[1, 2]]", r"field 'classes\[0\].colors\[0\]': expected .RRGGBB. or \[r, g, b\]; found"),
        (f"{A}id = 1{B}id = 1", r"field 'classes\[1\]': 1 already belongs to a"),
        (f"{A}id = 1{A}id = 2", r"field 'classes\[1\].name': expected words of its own; found 'a'"),
        (f'{A}id = 1{B}color = "000000"', "one of the two for all"),
        (f'ignore = ["000000"]{A}id = 1', "one of the two for all"),
        (f"ignore = [1]{A}id = 1", r"field 'ignore': 1 is also a class \(a\)"),
        (f"ignore = [30000000]{A}id = 1", r"field 'ignore\[0\]': expected a number or a colour; found 30000000"),
    ],
)  # fmt: skip
def test_a_map_file_that_is_wrong_is_told_where(tmp_path, text, words):
    (tmp_path / "map.toml").write_text(text)
    with pytest.raises(ValueError, match=words) as err:
        maps.from_map(tmp_path / "map.toml")
    assert "map.toml" in str(err.value)


def test_a_known_data_set_by_its_manifest(tmp_path):
    layouts.dubai(tmp_path / "dubai")
    masks = tmp_path / "dubai/mask"
    reading, pattern = labels.from_manifest("dubai")
    assert pattern == "**/*.png"
    data = report.advise(masks, Settings(size=65, draws=20, group=r"t(\d)$"), reading=reading, out=tmp_path / "o").data
    assert {c["name"] for c in data["classes"]} == set(reading.names)
    assert data["data"]["measured"] == len(list(masks.glob("*.png")))
    with pytest.raises(ValueError, match="camvid"):
        labels.from_manifest("imagenet")


# --- bad files -----------------------------------------------------------------------------------------------------


def spoil(folder) -> dict[str, str]:
    """Put five bad files among the good; return name -> words that must be said of it."""
    whole = (folder / "m0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    Image.fromarray(np.tile(np.uint8([1, 2, 3]), (65, 65, 1))).save(folder / "rgb.png")
    Image.fromarray(np.full((65, 65), 40000, np.uint16)).save(folder / "deep.png")
    high = scene(9)
    high[0, 0] = 77
    save(folder / "high.png", high)
    return {"cut": "damaged or cut", "text": "not an image", "rgb": "holds colours (mode RGB); expected numbers",
            "deep": "value 40000 is no class", "high": "value 77 is no class"}  # fmt: skip


def test_a_bad_file_is_named_and_left_out_only_when_asked(folder, tmp_path):
    said = spoil(folder)
    shared = {"classes": COUNT, "out": tmp_path / "out"}
    with pytest.raises(BadFile, match=r"cut\.png: damaged"):
        report.advise(folder, SMALL, **shared)
    going = Settings(size=65, draws=50, keep_going=True)
    data = report.advise(folder, going, **shared).data
    assert data["data"]["measured"] == 5 and data["data"]["found"] == 10
    reasons = {bad["file"]: bad["reason"] for bad in data["data"]["bad"]}
    assert set(reasons) == set(said)
    for name, words in said.items():
        assert words in reasons[name] and f"{name}.png" in reasons[name], reasons[name]
    html = page.render(data, [])
    assert all(f"{name}.png" in html for name in said) and "5 bad file(s) left out" in html
    with pytest.raises(BadFile, match=r"cut\.png"):  # the scratch of a lenient run does not hide them from a strict one
        report.advise(folder, SMALL, **shared)
    for name in said:
        (folder / f"{name}.png").unlink()
    clean = report.advise(folder, SMALL, **shared).data
    for key in ("ceilings", "classes", "tails"):
        assert clean[key] == data[key]


def test_bad_files_without_a_class_count(folder, tmp_path):
    said = spoil(folder)
    (folder / "high.png").unlink()
    with pytest.raises(BadFile, match=r"cut\.png"):
        report.advise(folder, SMALL, out=tmp_path / "out")
    with pytest.raises(ValueError, match="and 40000 far from them in 1 of 6 maps. If it counts nowhere, give --ignore"):
        report.advise(folder, Settings(size=65, draws=5, keep_going=True), out=tmp_path / "out")
    (folder / "deep.png").unlink()
    data = report.advise(folder, Settings(size=65, draws=5, keep_going=True), out=tmp_path / "out").data
    assert {b["file"] for b in data["data"]["bad"]} == set(said) - {"high", "deep"} and data["data"]["measured"] == 5


def test_pictures_are_no_labels(tmp_path):
    save(tmp_path / "labels/a.png", np.arange(65 * 65).reshape(65, 65) % 250)
    with pytest.raises(ValueError, match="values up to 249 are stored.* If they are class numbers, give --classes 250"):
        report.advise(tmp_path / "labels", SMALL, out=tmp_path / "out")
    assert len(report.advise(tmp_path / "labels", SMALL, classes=250, out=tmp_path / "out").data["classes"]) == 250


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda home: None, FileNotFoundError, "no such folder; expected a folder of label maps"),
        (lambda home: home.mkdir(), FileNotFoundError, "no label maps .*the folder is empty"),
        (lambda home: save(home / "a.png", np.full((65, 65), 255)), ValueError, "has the ignored value 255"),
    ],
)  # fmt: skip
def test_nothing_to_measure_is_said(tmp_path, make, error, words):
    make(tmp_path / "labels")
    with pytest.raises(error, match=words):
        report.advise(tmp_path / "labels", SMALL, out=tmp_path / "out")


def test_maps_that_are_all_void_are_listed(folder, tmp_path):
    save(folder / "empty.png", np.full((65, 65), 255))
    data = report.advise(folder, SMALL, out=tmp_path / "out").data
    assert data["data"]["only_void"] == ["empty"] and data["data"]["measured"] == 5
    assert any("1 map(s) without any label" in w for w in data["warnings"])
    assert page.background(data)[-1][1] == ["empty"] and ["empty"] not in [lines for _, lines, _ in page.sections(data)]


def test_classes_are_told_apart_by_the_ends_of_their_names(folder, tmp_path):
    names = tuple(f"construction--barrier--{k}" for k in range(COUNT))
    reader = maps.Reader(names, tuple((k, k) for k in range(COUNT)) + ((255, 255),))
    data = report.advise(folder, SMALL, reading=reader, out=tmp_path / "out").data
    shown = page.class_table(data)["class"]
    assert len(set(shown)) == len(shown) > 1 and set(shown) <= set(names)


def test_a_list_of_names_chooses_and_a_missing_name_is_told(folder):
    save(folder / "deep/x.png", np.zeros((65, 65)))
    assert [i.name for i in listing.find(folder, only=["m3", "x", "m1"])[0]] == ["deep/x", "m1", "m3"]
    with pytest.raises(FileNotFoundError, match="2 of 3 listed names are missing, the first 'm7'"):
        listing.find(folder, only=["m1", "m7", "m8"])
    with pytest.raises(FileNotFoundError, match="no name"):
        listing.find(folder, only=[])


def test_class_counts_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="classes 0: expected 1 .. 254"):
        labels.numbered(0)
    assert labels.numbered(5, ignore=(3,)).names == ("class 0", "class 1", "class 2", "class 4")


# --- samples, groups, stopped runs ---------------------------------------------------------------------------------


def test_a_big_folder_is_sampled_and_the_error_stated(folder, tmp_path, monkeypatch):
    for k in range(5, 30):
        save(folder / f"m{k}.png", scene(k))
    monkeypatch.setattr(listing, "BIG", 20)
    monkeypatch.setattr(listing, "SAMPLE", 12)
    drawn = report.advise(folder, SMALL, out=tmp_path / "out").data
    assert drawn["data"]["chosen"] == 12 and drawn["data"]["found"] == 30 and drawn["data"]["sampled"]
    assert any("12 of 30 maps" in w for w in drawn["warnings"]) and "standard error of the sample" in page.scope(drawn)
    row = next(r for r in drawn["ceilings"] if r["kind"] == "band")
    stated = drawn["data"]["sample_error"][str(row["lrg_size"])]
    assert stated == pytest.approx(row["miou"]["se"] * np.sqrt(1 - 12 / 30), rel=1e-6)
    every = report.advise(folder, Settings(size=65, draws=50, sample="all"), out=tmp_path / "out").data
    assert every["data"]["chosen"] == 30 and every["data"]["sample_error"][str(row["lrg_size"])] == 0
    others = [report.advise(folder, Settings(size=65, draws=50, sample=12, seed=s), out=tmp_path / "out").data
              for s in range(4)]  # fmt: skip
    values = [next(r for r in o["ceilings"] if r["kind"] == "band")["miou"]["value"] for o in others]
    truth = next(r for r in every["ceilings"] if r["kind"] == "band")["miou"]["value"]
    assert len(set(values)) > 1 and max(abs(v - truth) for v in values) < 4 * stated


def test_groups_widen_the_interval(tmp_path):
    for k in range(4):
        for copy in range(4):  # four copies of each map are four maps, not sixteen
            save(tmp_path / f"labels/s{k}_{copy}.png", scene(k))
    alone = report.advise(tmp_path / "labels", Settings(size=65), out=tmp_path / "out").data
    together = report.advise(tmp_path / "labels", Settings(size=65, group="^s(.)"), out=tmp_path / "out").data
    assert together["data"]["groups"] == 4 and alone["data"]["groups"] == 16
    rows = [next(r for r in d["ceilings"] if r["kind"] == "band")["miou"] for d in (alone, together)]
    assert rows[0]["value"] == rows[1]["value"] and rows[1]["se"] > 1.5 * rows[0]["se"]


def test_other_settings_are_kept_apart(folder, tmp_path):
    for settings in (SMALL, Settings(size=129, draws=50), Settings(size=65, draws=50, ignore=254, keep_going=True)):
        report.advise(folder, settings, classes=COUNT, out=tmp_path / "out")
    assert len(list((tmp_path / "out/work").glob("labels-*"))) == 3
    report.advise(folder, Settings(size=65, draws=60, max_drop=0.05), classes=COUNT, out=tmp_path / "out")
    assert len(list((tmp_path / "out/work").glob("labels-*"))) == 3  # the same measurements serve another question
