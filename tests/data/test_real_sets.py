"""The real sets, where SPECSEG_DATA has them: verified, sampled, and as their manifests say."""

import numpy as np
import pytest

from specseg.data import datasets, manifests
from specseg.data._torchvision import torchvision
from specseg.data.datasets import VOID
from specseg.evidence import config

pytestmark = pytest.mark.data


def copy_of(name: str) -> manifests.Manifest:
    """The manifest of a set that is there at least in part; else a loud skip."""
    manifest = manifests.load(name)
    if manifests.verify(manifest, fast=True).state == "missing":
        pytest.skip(f"NOT TESTED on real data: {name} is not below {config.data_root()} (set SPECSEG_DATA)")
    return manifest


@pytest.mark.parametrize("name", [n for n in manifests.names() if n != "synthetic"])
def test_no_file_that_is_present_is_bad(name):
    report = manifests.verify(copy_of(name))
    assert report.state in ("complete", "partial") and not report.problems


@pytest.mark.parametrize(
    "name, split, options",
    [
        ("voc2012", "train", {}),
        ("voc2012", "val", {}),
        ("voc2012", "animals_val", {}),
        ("camvid", "train", {}),
        ("camvid", "val", {"fold": "0016E5"}),
        ("dubai", "all", {}),
        ("dubai", "val", {"fold": 2}),
        ("deepglobe", "val", {}),
        ("cityscapes", "val", {}),
        ("cityscapes_512x256", "val", {}),
        ("sbd", "trainaug", {}),
    ],
)
def test_samples_have_the_form(name, split, options):
    copy_of(name)
    data = datasets.open(name, split, partial=True, **options)
    for index in {0, len(data) // 2, len(data) - 1}:
        sample = data[index]
        values = set(np.unique(sample.label).tolist())
        assert values <= set(range(data.num_classes)) | {VOID} and len(values - {VOID}) >= 1
        assert sample.image.std() > 1


def test_voc_labels_are_all_there_and_torchvision_reads_the_same():
    copy_of("voc2012")
    data = datasets.open("voc2012", "val", need="label")
    assert len(data) == 1449
    from PIL import Image

    for index in range(0, 1449, 100):
        with Image.open(data.paths(index)[1]) as stored:
            assert np.array_equal(data.label(index), np.asarray(stored))
    home = config.data_root()
    if (home / "VOCdevkit/VOC2012/ImageSets/Segmentation/animals_val.txt").is_file():

        class Animals(torchvision.datasets.VOCSegmentation):
            """torchvision's reader refuses further lists; its own file logic is used with ours."""

        ours = datasets.open("voc2012", "animals_val")
        theirs = Animals.__new__(Animals)
        theirs.transforms, theirs.images, theirs.targets = None, *zip(*(ours.paths(i) for i in range(9)), strict=True)
        for index in range(9):
            image, mask = theirs[index]
            assert np.array_equal(ours.image(index), np.asarray(image))
            assert np.array_equal(ours.label(index), np.asarray(mask))


def test_folds_of_the_real_sets_do_not_share_a_drive_or_a_tile():
    copy_of("dubai")
    from specseg.data import dubai

    val = datasets.open("dubai", "val", fold=0)
    assert {dubai.tile(i) for i in val.ids} == {1, 8}
    copy_of("camvid")
    from specseg.data import camvid

    train = datasets.open("camvid", "train", fold="0001TP", partial=True)
    assert {camvid.drive(i) for i in train.ids} == {"0006R0", "0016E5"}
