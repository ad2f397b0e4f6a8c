"""Manifests: schema errors name file and field; verify finds every bad file; fetch resumes and tries mirrors."""

import hashlib
import http.server
import tarfile
import threading
import zipfile
from dataclasses import replace

import dataset_layouts as layouts
import numpy as np
import pytest

from specseg.data import manifests, synthetic
from specseg.data.manifests import Check, FetchError, File, ManifestError, RegistrationNeeded, fetch, schema, verify
from specseg.data.manifests.fetch import unpack
from specseg.data.manifests.verify import read_ids
from specseg.evidence import config

NAMES = ["camvid", "cityscapes", "cityscapes_512x256", "deepglobe", "dubai", "sbd", "synthetic", "voc2012"]
GOOD = """
name = "tiny"
title = "Tiny"
licence = "CC0"
licence_url = "u"
access = "open"
redistributable = true
homepage = "h"
citation = "c"
hashes = "publisher"
how = "how"
preprocessing = "none"
prefixes = ["tiny"]
[labels]
names = ["a", "b"]
encoding = "color"
ignore = ["000000"]
palette = [[0, 0, 1], [0, 0, 2]]
[labels.map]
000001 = 0
000002 = 1
[[files]]
path = "a.png"
bytes = 3
sha256 = "%s"
urls = ["http://localhost/a.png"]
[[splits]]
name = "all"
count = 1
rule = "every file"
image = "{id}.png"
label = "{id}.png"
""" % ("0" * 64)


def read(tmp_path, text):
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return manifests.read(path)


# ---------------------------------------------------------------- the form


def test_the_committed_manifests_are_read_and_named_as_the_data_sets():
    assert manifests.names() == NAMES
    for name in NAMES:
        manifest = manifests.load(name)
        assert manifest.title and manifest.licence_url and manifest.citation and manifest.how and manifest.preprocessing
        files = (*manifest.archives, *manifest.files)
        hidden = [f for f in files if f.sha256 == "unverified"]
        assert not hidden or manifest.access == "registration"
        assert (manifest.hashes == "unverified") == bool(hidden)


def test_the_papers_counts_stand_beside_ours():
    counts = {
        (m.name, s.name): (s.count, s.paper_count)
        for m in map(manifests.load, NAMES)
        for s in m.splits
        if s.paper_count
    }
    assert counts == {
        ("voc2012", "train"): (1464, 1464),
        ("voc2012", "val"): (1449, 1449),
        ("deepglobe", "all"): (803, 803),
        ("deepglobe", "train"): (701, 701),
        ("deepglobe", "val"): (102, 102),
        ("cityscapes", "train"): (2975, 2975),
        ("cityscapes", "val"): (500, 500),
    }
    classes = {
        m.name: (len(m.labels.names), m.labels.paper_classes)
        for m in map(manifests.load, NAMES)
        if m.labels.paper_classes
    }
    assert classes == {"voc2012": (21, 21), "sbd": (21, 21), "deepglobe": (7, 7), "cityscapes": (19, 19)}


def test_the_synthetic_manifest_is_the_generators():
    manifest = manifests.load("synthetic")
    assert manifest.labels.names == synthetic.OBJECT_CLASSES and manifest.generator["version"] == synthetic.VERSION
    assert np.array_equal(manifest.labels.palette, synthetic.palette("objects"))
    for name, regime in (("voc2012", "objects"), ("deepglobe", "landcover"), ("cityscapes", "streets")):
        assert np.array_equal(manifests.load(name).labels.palette, synthetic.palette(regime))
    assert synthetic.LANDCOVER_CLASSES == manifests.load("deepglobe").labels.names
    assert synthetic.STREET_CLASSES == manifests.load("cityscapes").labels.names


def test_camvids_file_list_has_every_published_pair():
    manifest = manifests.load("camvid")
    paths = {f.path for f in manifest.files}
    assert len(paths) == 1405 and all(f.urls[0].endswith(f"CamVid/{f.path}") for f in manifest.files)
    for split, count in (("train", 367), ("val", 101), ("test", 233)):
        images = {p.split("/")[1] for p in paths if p.startswith(f"{split}/")}
        labels = {p.split("/")[1] for p in paths if p.startswith(f"{split}annot/")}
        assert len(images) == count and images == labels


def test_the_animals_lists_are_as_their_hash_says():
    manifest = manifests.load("voc2012")
    for split, count in (("animals_train", 437), ("animals_val", 297)):
        row = manifest.split(split)
        ids = read_ids(manifests.folder() / row.list.removeprefix("manifest:"))
        assert len(ids) == len(set(ids)) == count == row.count and manifests.list_hash(ids) == row.list_sha256


def test_a_good_manifest_is_read(tmp_path):
    manifest = read(tmp_path, GOOD)
    assert manifest.labels.map == {"000001": 0, "000002": 1} and manifest.files[0].urls == ("http://localhost/a.png",)
    assert manifest.source == str(tmp_path / "tiny.toml") and manifest.split("all").count == 1


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('name = "tiny"', 'name = "other"', "field 'name': expected 'tiny'; found 'other'"),
        ('licence = "CC0"\n', "", "field 'licence': missing; expected text"),
        ('access = "open"', 'access = "free"', "field 'access': expected one of open, registration, generated; found"),
        (
            "redistributable = true",
            'redistributable = "yes"',
            "field 'redistributable': expected true or false; found 'yes'",
        ),
        ('hashes = "publisher"', 'hashes = "unverified"', "field 'hashes': 'unverified' does not go with access"),
        ("bytes = 3", "bytes = 0", r"field 'files\[0\].bytes': expected a number above 0; found 0"),
        ("bytes = 3", "bytes = true", r"field 'files\[0\].bytes': expected a whole number; found True"),
        ('sha256 = "%s"' % ("0" * 64), 'sha256 = "unverified"', r"field 'files\[0\].sha256': expected 64 hex digits"),
        ('sha256 = "0', 'sha256 = "Z', r"field 'files\[0\].sha256': expected 64 hex digits"),
        ('path = "a.png"', 'path = "../a.png"', r"field 'files\[0\].path': expected a relative path"),
        ('path = "a.png"', 'path = "a.png"\ncolour = 1', r"field 'files\[0\].colour': unknown field"),
        ('rule = "every file"\n', "", r"field 'splits\[0\].list': expected a list file, or a rule"),
        ("count = 1", "count = -1", r"field 'splits\[0\].count': expected a number above 0"),
        ("000002 = 1", "000002 = 2", r"field 'labels.map.000002': expected a class 0 .. 1 or 255; found 2"),
        ("000002 = 1", "00000G = 1", "field 'labels.map.00000G': expected a colour as six"),
        ("000002 = 1\n", "", "field 'labels.map': expected an entry for every class 0 .. 1"),
        ("[0, 0, 2]]", "[0, 0, 256]]", r"field 'labels.palette\[1\]\[2\]': expected a number 0 .. 255; found 256"),
        (", [0, 0, 2]]", "]", "field 'labels.palette': expected 2 triples of 0 .. 255"),
        ('prefixes = ["tiny"]', "prefixes = [1]", r"field 'prefixes\[0\]': expected text; found 1"),
        ('how = "how"', "how = how", "not TOML"),
        ('how = "how"', 'how = "how"\nfile_list = "files/none.tsv"', "field 'file_list': no such file files/none.tsv"),
        ("[[splits]]", "[[parts]]", "field 'parts': unknown field; expected one of name, title, licence"),
        ('urls = ["http://localhost/a.png"]', "", r"field 'files\[0\].urls': missing; expected a list of one address"),
        ("bytes = 3", 'bytes = 3\nunpack = "7z"', r"field 'files\[0\].unpack': expected one of .*tar, zip; found '7z'"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, old, new, words):
    assert old in GOOD
    with pytest.raises(ManifestError, match=f"tiny.toml: {words}"):
        read(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    "line, words",
    [
        ("path\tsize\tsha256", "line 1: expected the columns"),
        ("path\tbytes\tsha256\na.png\t3", "line 2: expected path, bytes and 64 hex"),
        ("path\tbytes\tsha256\na.png\tthree\t" + "0" * 64, "line 2"),
        ("path\tbytes\tsha256\n/a.png\t3\t" + "0" * 64, "line 2"),
    ],
)
def test_a_wrong_line_of_a_file_list_is_named(tmp_path, line, words):
    (tmp_path / "list.tsv").write_text(line + "\n")
    with pytest.raises(ManifestError, match=f"list.tsv: {words}"):
        read(tmp_path, GOOD.replace('how = "how"', 'how = "how"\nfile_list = "list.tsv"'))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="no manifest for data set 'imagenet': expected one of camvid"):
        manifests.load("imagenet")


def test_reading_a_manifest_notes_it_as_an_input():
    manifests.load("camvid")
    assert {"data_manifests/camvid.toml", "data_manifests/files/camvid.tsv"} <= set(config.inputs())


# ---------------------------------------------------------------- verify

HOMES = {"camvid": "CamVid", "dubai": "Semantic segmentation dataset", "voc2012": "VOCdevkit/VOC2012"}


@pytest.fixture(params=sorted(HOMES))
def copy(request, tmp_path):
    """A tiny complete copy of a set with hashes: (manifest, data root, home)."""
    name = request.param
    home = tmp_path / HOMES[name]
    {"camvid": layouts.camvid, "dubai": layouts.dubai, "voc2012": layouts.voc}[name](home)
    return layouts.hashed(name, home), tmp_path, home


def label_files(manifest):
    return [f.path for f in manifest.files if "annot/" in f.path or "mask/" in f.path or "SegmentationClass" in f.path]


def test_a_complete_copy_is_complete(copy):
    manifest, root, _ = copy
    for fast in (True, False):
        report = verify(manifest, root, fast=fast)
        assert report.state == "complete" and not report.problems and report.present == len(manifest.files)
        assert report.bytes == sum(f.bytes for f in manifest.files)
        assert all(have.pairs == have.listed for have in report.splits.values())


def test_no_copy_is_missing_and_half_a_copy_is_partial(copy, tmp_path):
    manifest, root, home = copy
    assert verify(manifest, tmp_path / "elsewhere").state == "missing"
    (home / label_files(manifest)[0]).unlink()
    report = verify(manifest, root)
    assert report.state == "partial" and not report.problems and report.present == report.expected - 1


def test_a_flipped_byte_is_found_unless_fast(copy):
    manifest, root, home = copy
    path = home / label_files(manifest)[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    report = verify(manifest, root)
    assert report.state == "bad" and [p.path for p in report.problems] == [path.relative_to(root).as_posix()]
    what = report.problems[0].what
    assert "sha256" in what and ("mirror" in what) == (manifest.hashes == "mirrors")
    assert verify(manifest, root, fast=True).state == "complete"


def test_a_cut_file_is_found_even_when_fast(copy):
    manifest, root, home = copy
    path = home / label_files(manifest)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    for fast in (True, False):
        report = verify(manifest, root, fast=fast)
        assert [str(p) for p in report.problems] == [
            f"{path.relative_to(root).as_posix()}: {len(whole) - 7} bytes; expected {len(whole)}"
        ]


def test_two_swapped_labels_are_both_named(copy):
    manifest, root, home = copy
    a, b = (home / p for p in label_files(manifest)[:2])
    one, two = a.read_bytes(), b.read_bytes()
    a.write_bytes(two)
    b.write_bytes(one)
    report = verify(manifest, root)
    assert {p.path for p in report.problems} == {p.relative_to(root).as_posix() for p in (a, b)}


def test_progress_is_told_every_file_once(copy):
    manifest, root, _ = copy
    seen = []
    verify(manifest, root, progress=lambda path, size: seen.append((path, size)))
    assert sorted(seen) == sorted((f.path, f.bytes) for f in manifest.files)


def test_the_other_published_layout_is_recognised(tmp_path):
    layouts.dubai(tmp_path / "flat")
    manifest = layouts.hashed("dubai", tmp_path / "flat")
    home = tmp_path / "archive/Semantic segmentation dataset"
    layouts.dubai(home, per_tile=True)
    assert verify(manifest, tmp_path).state == "complete"
    (home / "Tile 3/masks/image_part_004.png").write_bytes(b"x")
    assert [p.path for p in verify(manifest, tmp_path).problems] == [
        "archive/Semantic segmentation dataset/Tile 3/masks/image_part_004.png"
    ]


def test_files_that_have_no_hash_are_expected_too(tmp_path):
    home = tmp_path / "VOCdevkit/VOC2012"
    layouts.voc(home)
    full = layouts.hashed("voc2012", home)
    (home / "JPEGImages/2007_000042.jpg").unlink()
    known = tuple(f for f in full.files if "2007_000042.jpg" not in f.path and "2007_000032.jpg" not in f.path)
    report = verify(replace(full, files=known), tmp_path)
    assert report.state == "partial" and not report.problems
    assert (report.present, report.expected) == (len(full.files) - 1, len(full.files))
    (home / "JPEGImages/2007_000032.jpg").write_bytes(b"cut")
    problems = verify(replace(full, files=known), tmp_path).problems
    assert len(problems) == 1 and "JPEGImages/2007_000032.jpg: not an image" in str(problems[0])


def test_a_changed_official_list_is_found(tmp_path):
    layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    report = verify(replace(manifests.load("voc2012"), files=()), tmp_path)
    lists = [p for p in report.problems if p.path.endswith(".txt")]
    assert len(lists) == 3 and "a list of 3 names with another hash; expected the 1464 published" in str(lists[0])


def few(name, **counts):
    """The real manifest of a set without hashes, with the counts and sizes of a tiny copy."""
    manifest = manifests.load(name)
    checks = tuple(
        Check(
            c.pattern,
            counts[c.pattern.split("/")[-2] if "/" in c.pattern else "all"],
            c.kind,
            (layouts.W, layouts.H) if c.size else None,
        )
        for c in manifest.checks
    )
    return replace(manifest, checks=checks)


def city(tmp_path):
    layouts.cityscapes(tmp_path / "cityscapes")
    manifest = manifests.load("cityscapes")
    checks = tuple(
        Check(c.pattern, 2 if "/train/" in c.pattern else 1, c.kind, (layouts.W, layouts.H)) for c in manifest.checks
    )
    splits = tuple(replace(s, count=2 if s.name == "train" else 1) for s in manifest.splits)
    return replace(manifest, checks=checks, splits=splits), tmp_path / "cityscapes"


def test_a_set_behind_a_registration_is_checked_by_count_size_and_values(tmp_path):
    manifest, home = city(tmp_path)
    assert verify(manifest, tmp_path).state == "complete"
    label = home / "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png"
    layouts.save(np.full((layouts.H, layouts.W), 77, np.uint8), label)
    assert "value 77 is no class" in str(verify(manifest, tmp_path).problems[0])
    assert verify(manifest, tmp_path, fast=True).state == "complete"
    layouts.save(np.full((layouts.H, 20), 7, np.uint8), label)
    assert "20 x 24 pixels; expected 36 x 24" in str(verify(manifest, tmp_path).problems[0])
    label.write_bytes(label.read_bytes()[:40])
    assert "not an image" in str(verify(manifest, tmp_path).problems[0])
    layouts.save(layouts.picture(0), label)
    assert "mode RGB; expected 8-bit class numbers" in str(verify(manifest, tmp_path).problems[0])
    label.write_bytes(b"")
    assert "empty file" in str(verify(manifest, tmp_path, fast=True).problems[0])


def test_too_many_files_are_a_problem(tmp_path):
    manifest, home = city(tmp_path)
    layouts.save(layouts.picture(0), home / "leftImg8bit/val/lindau/lindau_000000_000020_leftImg8bit.png")
    problems = verify(manifest, tmp_path).problems
    assert [str(p) for p in problems] == ["leftImg8bit/val/*/*_leftImg8bit.png: 2 files; expected 1"]


def test_deepglobes_colours_are_checked_after_the_cut(tmp_path):
    layouts.deepglobe(tmp_path / "land-train", 4)
    manifest = few("deepglobe", all=4)
    manifest = replace(manifest, splits=tuple(replace(s, count=4) for s in manifest.splits if s.name == "all"))
    assert verify(manifest, tmp_path).state == "complete"
    rgb = np.zeros((layouts.H, layouts.W, 3), np.uint8)
    rgb[..., 0] = 200  # pure red is none of the seven colours
    layouts.save(rgb, tmp_path / "land-train/119_mask.png")
    assert "colour FF0000 is no class" in str(verify(manifest, tmp_path).problems[0])


def test_sbds_files_are_counted(tmp_path):
    layouts.sbd(tmp_path / "benchmark_RELEASE/dataset")
    report = verify(manifests.load("sbd"), tmp_path)
    assert report.state == "partial" and (report.present, report.expected) == (10, 22710) and not report.problems


def test_the_generator_still_makes_the_manifests_arrays():
    manifest = manifests.load("synthetic")
    assert verify(manifest).state == "complete"
    rows = [dict(row) for row in manifest.generator["arrays"]]
    rows[2]["label_sha256"] = "0" * 64
    wrong = replace(manifest, generator=manifest.generator | {"arrays": rows, "version": 0})
    report = verify(wrong)
    assert report.state == "bad" and len(report.problems) == 2 and "label differs" in str(report.problems[1])


# ---------------------------------------------------------------- fetch


class Server(http.server.ThreadingHTTPServer):
    """A web server of one folder that understands ranges, can break off, and keeps the requests."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.asked, self.break_after, self.ranges = folder, [], {}, True
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, name = self.server, self.path.lstrip("/")
        server.asked.append((name, self.headers.get("Range", "")))
        path = server.folder / name
        if not path.is_file():
            self.send_error(404)
            return
        data, start = path.read_bytes(), 0
        if server.ranges and self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start : server.break_after.pop(name, None)])


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    folder.mkdir()
    server = Server(folder)
    yield server
    server.shutdown()
    server.server_close()


def one_file(web, data=b"x" * 600_000, urls=None):
    """A manifest of one file that the server has."""
    (web.folder / "a.bin").write_bytes(data)
    file = File("sub/a.bin", len(data), hashlib.sha256(data).hexdigest(), tuple(urls or [web.url("a.bin")]))
    return replace(manifests.load("dubai"), files=(file,), aliases=(), prefixes=("set",))


def test_fetch_downloads_once_and_keeps_what_is_right(web, tmp_path):
    manifest, seen = one_file(web), []
    got = fetch(manifest, tmp_path / "data", progress=lambda path, n: seen.append(n))
    target = tmp_path / "data/set/sub/a.bin"
    assert (got.new, got.kept) == (1, 0) and target.read_bytes() == b"x" * 600_000 and sum(seen) == 600_000
    assert fetch(manifest, tmp_path / "data").kept == 1 and len(web.asked) == 1
    target.write_bytes(b"y" * 600_000)  # a wrong file is replaced
    assert fetch(manifest, tmp_path / "data").new == 1 and target.read_bytes() == b"x" * 600_000
    assert [p.name for p in target.parent.iterdir()] == ["a.bin"]


def test_fetch_resumes_where_it_was_cut(web, tmp_path):
    data = np.random.default_rng(0).bytes(700_000)
    manifest = one_file(web, data)
    web.break_after["a.bin"] = 400_000
    with pytest.raises(FetchError, match="sub/a.bin: no address gave it"):
        fetch(manifest, tmp_path)
    assert not (tmp_path / "set/sub/a.bin").exists()  # atomic: nothing half-finished under the real name
    kept = list((tmp_path / "set/sub").iterdir())
    assert len(kept) == 1 and 0 < kept[0].stat().st_size <= 400_000
    size = kept[0].stat().st_size
    fetch(manifest, tmp_path)
    assert (tmp_path / "set/sub/a.bin").read_bytes() == data and web.asked[-1] == ("a.bin", f"bytes={size}-")


def test_a_server_without_ranges_starts_again(web, tmp_path):
    data = np.random.default_rng(1).bytes(500_000)
    manifest = one_file(web, data)
    web.break_after["a.bin"], web.ranges = 300_000, False
    with pytest.raises(FetchError):
        fetch(manifest, tmp_path)
    fetch(manifest, tmp_path)
    assert (tmp_path / "set/sub/a.bin").read_bytes() == data


def test_mirrors_are_tried_in_order_and_a_wrong_file_is_no_answer(web, tmp_path):
    (web.folder / "wrong.bin").write_bytes(b"z" * 600_000)
    manifest = one_file(web, urls=[web.url("absent.bin"), web.url("wrong.bin"), web.url("a.bin")])
    fetch(manifest, tmp_path)
    assert [name for name, _ in web.asked] == ["absent.bin", "wrong.bin", "a.bin"]
    assert (tmp_path / "set/sub/a.bin").read_bytes() == b"x" * 600_000
    only_wrong = one_file(web, urls=[web.url("wrong.bin")])
    (tmp_path / "set/sub/a.bin").unlink()
    with pytest.raises(FetchError, match="wrong.bin.*hash"):
        fetch(only_wrong, tmp_path)
    assert not (tmp_path / "set/sub/a.bin").exists()


def test_fetch_unpacks_an_archive_and_verify_is_content(web, tmp_path):
    made = tmp_path / "made"
    layouts.voc(made / "VOCdevkit/VOC2012")
    with tarfile.open(web.folder / "voc.tar", "w") as stream:
        stream.add(made / "VOCdevkit", "VOCdevkit")
    data = (web.folder / "voc.tar").read_bytes()
    archive = File("voc.tar", len(data), hashlib.sha256(data).hexdigest(), (web.url("voc.tar"),), "tar")
    manifest = layouts.hashed("voc2012", made / "VOCdevkit/VOC2012", archives=(archive,))
    root = tmp_path / "data"
    assert fetch(manifest, root).new == 1
    assert verify(manifest, root).state == "complete" and not list(root.glob(".unpack*"))
    asked = len(web.asked)
    assert fetch(manifest, root).kept == 1 and len(web.asked) == asked


@pytest.fixture(params=["as it is", "3.11.0"])
def python(request, monkeypatch):
    """This Python, and one that has no filters of tar members yet."""
    if request.param == "3.11.0":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "link"])
def test_archives_that_lead_outside_are_refused_before_anything_is_unpacked(tmp_path, python, kind, name):
    archive, inside = tmp_path / f"evil.{kind}", tmp_path / "home" / "in"
    link = name == "link"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as stream:
            stream.writestr("good.txt", "x")
            own = zipfile.ZipInfo(name)
            own.external_attr = (0o120777 if link else 0o100644) << 16
            stream.writestr(own, "good.txt")
    else:
        with tarfile.open(archive, "w") as stream:
            stream.addfile(tarfile.TarInfo("good.txt"))
            own = tarfile.TarInfo(name)
            own.type, own.linkname = (tarfile.SYMTYPE, "good.txt") if link else (tarfile.REGTYPE, "")
            stream.addfile(own)
    words = "is neither a file nor a folder" if link else "leads outside the folder"
    with pytest.raises(FetchError, match=f"evil.{kind}: member '{name}' {words}"):
        unpack(archive, inside, kind)
    assert not list(tmp_path.rglob("*.txt"))


def test_archives_are_unpacked_and_damaged_ones_refused(tmp_path, python):
    (tmp_path / "bad.tar").write_bytes(b"no archive")
    with pytest.raises(FetchError, match="bad.tar: cannot be unpacked"):
        unpack(tmp_path / "bad.tar", tmp_path / "in", "tar")
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as stream:
        stream.writestr("a/b.txt", "x")
        stream.writestr("a/b..c.txt", "y")
    unpack(tmp_path / "good.zip", tmp_path / "in", "zip")
    assert (tmp_path / "in/a/b.txt").read_text() + (tmp_path / "in/a/b..c.txt").read_text() == "xy"
    with tarfile.open(tmp_path / "good.tar", "w") as stream:
        stream.add(tmp_path / "in/a", "c")
    unpack(tmp_path / "good.tar", tmp_path / "in", "tar")
    assert (tmp_path / "in/c/b.txt").read_text() == "x"


@pytest.mark.parametrize("name", ["cityscapes", "deepglobe"])
def test_fetch_says_what_to_do_behind_a_registration(tmp_path, name):
    with pytest.raises(RegistrationNeeded, match="(?s)Register.*Put the files below.*specseg data verify " + name):
        fetch(manifests.load(name), tmp_path)


def test_there_is_nothing_to_fetch_of_a_generated_set(tmp_path):
    with pytest.raises(ValueError, match="generated on the spot"):
        fetch(manifests.load("synthetic"), tmp_path)


def test_list_hash_depends_on_order_and_names():
    assert len({manifests.list_hash(x) for x in (["a", "b"], ["b", "a"], ["ab"], ["a"])}) == 4
    assert schema.UNVERIFIED == "unverified"
