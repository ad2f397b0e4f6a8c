"""The page on the data sets: everything that the manifests say, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from specseg.data import manifests
from steps import data_sets


def test_the_page_has_every_set_with_licence_access_and_how_to_get_it():
    page = data_sets.render()
    for name in manifests.names():
        manifest = manifests.load(name)
        section = page.split(f"(data-{name})=")[1].split("(data-")[0]
        assert manifest.title in section and manifest.licence in section and manifest.how in section
        assert manifest.homepage in section and data_sets.HASHES[manifest.hashes] in section
        assert all(note in section for note in manifest.notes)
        assert all(f"| {s.name} | {s.count:,} |" in section for s in manifest.splits)
        assert all(c in section for c in manifest.labels.names)


def test_unverified_hashes_are_said_on_the_page():
    page = data_sets.render()
    for name in ("cityscapes", "deepglobe"):
        section = page.split(f"(data-{name})=")[1].split("(data-")[0]
        assert "No hash is public** (unverified)" in section and "sha256 unverified" in section
    assert "never compared with the official archive" in page.split("(data-voc2012)=")[1].split("(data-")[0]


def test_the_papers_counts_are_on_the_page_and_a_difference_would_show(monkeypatch):
    page = data_sets.render()
    assert page.count("| equal |") == 10 and "differs" not in page
    real = manifests.load

    def changed(name):
        manifest = real(name)
        if name != "cityscapes":
            return manifest
        return replace(manifest, splits=(replace(manifest.splits[0], count=2974), *manifest.splits[1:]))

    monkeypatch.setattr(manifests, "load", changed)
    assert "| 2,975 | 2,974 | **differs** |" in data_sets.render()


def test_the_page_holds_no_raw_html():
    text = data_sets.render()
    for target in manifests.names():
        text = text.replace(f"<data-{target}>", "")
    assert "<" not in text
