"""Tiny copies of every official layout, made on the spot: the real loaders read them as they read the real sets."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from specseg.data import manifests
from specseg.data.manifests import encoding

H, W = 24, 36


def picture(seed: int, height: int = H, width: int = W) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(classes: np.ndarray, labels: manifests.Labels) -> np.ndarray:
    """Return stored values of a class map (0 .. C-1, 255): uint8 (H, W) numbers or (H, W, 3) colours.

    Void becomes the first ignored value. Raises ValueError when void is in the map and the set has no ignored value.
    """
    if (classes == encoding.VOID).any() and not labels.ignore:
        raise ValueError("this data set stores no void: the class map must hold classes only")
    color = labels.encoding == "color"
    pairs = [(v, int(k, 16) if color else int(k)) for k, v in labels.map.items() if v != encoding.VOID]
    lut = np.zeros(256, np.int32)
    for cls, value in pairs or [(k, k) for k in range(len(labels.names))]:
        lut[cls] = value
    if labels.ignore:
        first = labels.ignore[0]
        lut[encoding.VOID] = int(str(first), 16) if color else int(first)
    codes = lut[classes]
    if not color:
        return codes.astype(np.uint8)
    return np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1).astype(np.uint8)


def classes(seed: int, count: int, void: bool = True, height: int = H, width: int = W) -> np.ndarray:
    """A class map of blocks, with some void when asked for."""
    rng = np.random.default_rng([seed, 1])
    blocks = rng.integers(0, count, (height // 4, width // 4), dtype=np.uint8)
    label = blocks.repeat(4, 0).repeat(4, 1)
    if void:
        label[0, : width // 2] = 255
    return label


def save(array: np.ndarray, path: Path, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if mode == "P":
        image = Image.fromarray(array).convert("P") if array.ndim == 3 else Image.fromarray(array, mode=None)
        image.putpalette([v for i in range(256) for v in (i, 255 - i, (7 * i) % 256)])
    image.save(path, **({"quality": 95} if path.suffix == ".jpg" else {}))


def write_list(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


VOC_TRAIN, VOC_VAL = ["2007_000032", "2007_000039", "2007_000063"], ["2007_000033", "2007_000042"]


def voc(home: Path) -> dict[str, np.ndarray]:
    """VOCdevkit/VOC2012 with lists, JPEG images and palette labels; returns the class maps."""
    truth = {}
    for k, name in enumerate(VOC_TRAIN + VOC_VAL):
        truth[name] = classes(k, 21)
        save(picture(k), home / f"JPEGImages/{name}.jpg")
        save(truth[name], home / f"SegmentationClass/{name}.png", "P")
    lists = home / "ImageSets/Segmentation"
    for split, names in (("train", VOC_TRAIN), ("val", VOC_VAL), ("trainval", sorted(VOC_TRAIN + VOC_VAL))):
        write_list(lists / f"{split}.txt", names)
    return truth


SBD_TRAIN, SBD_VAL = ["2007_000039", "2008_000001", "2007_000033"], ["2008_000002", "2007_000042"]


def sbd(home: Path) -> dict[str, np.ndarray]:
    """benchmark_RELEASE/dataset with .mat class maps; some of its names are VOC's train and val names."""
    truth = {}
    for k, name in enumerate(SBD_TRAIN + SBD_VAL):
        truth[name] = classes(40 + k, 21, void=False)
        save(picture(40 + k), home / f"img/{name}.jpg")
        (home / "cls").mkdir(parents=True, exist_ok=True)
        inside = {"Boundaries": np.zeros((20, 1), object), "Segmentation": truth[name], "CategoriesPresent": [1]}
        savemat(home / f"cls/{name}.mat", {"GTcls": inside}, do_compression=True)
    write_list(home / "train.txt", SBD_TRAIN)
    write_list(home / "val.txt", SBD_VAL)
    return truth


def cityscapes(home: Path, images: str = "", labels: str = "") -> dict[str, np.ndarray]:
    """leftImg8bit and gtFine by city, each perhaps below a folder named after its archive; returns 19-class maps."""
    manifest, truth = manifests.load("cityscapes"), {}
    names = {
        "train": ["aachen/aachen_000000_000019", "bochum/bochum_000000_000313"],
        "val": ["lindau/lindau_000000_000019"],
    }
    for split, chosen in names.items():
        for k, name in enumerate(chosen):
            label = classes(k, 19)
            save(picture(k), home / images / f"leftImg8bit/{split}/{name}_leftImg8bit.png")
            stored = encode(label, manifest.labels)
            save(stored, home / labels / f"gtFine/{split}/{name}_gtFine_labelIds.png")
            truth[name] = label
    return truth


def deepglobe(home: Path, count: int = 16) -> dict[str, np.ndarray]:
    """land-train with <id>_sat.jpg and <id>_mask.png whose channels are not pure, as the real ones."""
    manifest, truth = manifests.load("deepglobe"), {}
    for k in range(count):
        name, label = str(119 + 736 * k), classes(k, 7, void=False)
        pure = encode(label, manifest.labels).astype(np.int64)
        noise = np.random.default_rng(k).integers(0, 100, pure.shape)
        save(picture(k), home / f"{name}_sat.jpg")
        save(np.where(pure > 0, 255 - noise, noise).astype(np.uint8), home / f"{name}_mask.png")
        truth[name] = label
    return truth


CAMVID = {
    "train": ["0001TP_006690", "0001TP_006720", "0006R0_f00930", "0016E5_00390"],
    "val": ["0016E5_07959", "0016E5_07961"],
    "test": ["Seq05VD_f00000", "0001TP_008550"],
}


def camvid(home: Path) -> dict[str, np.ndarray]:
    """CamVid with SegNet's folders and lists of path pairs."""
    manifest, truth = manifests.load("camvid"), {}
    for split, names in CAMVID.items():
        for k, name in enumerate(names):
            truth[name] = classes(k, 11)
            save(picture(k), home / f"{split}/{name}.png")
            save(encode(truth[name], manifest.labels), home / f"{split}annot/{name}.png")
        pairs = [f"/SegNet/CamVid/{split}/{n}.png /SegNet/CamVid/{split}annot/{n}.png" for n in names]
        write_list(home / f"{split}.txt", pairs)
    return truth


def dubai(home: Path, per_tile: bool = False) -> dict[str, np.ndarray]:
    """All 72 pairs in the repository's flat layout, or in the publisher's with one folder per tile."""
    manifest, truth = manifests.load("dubai"), {}
    for tile in range(1, 9):
        for part in range(1, 10):
            name, seed = f"image_part_{part:03d}t{tile}", 10 * tile + part
            truth[name] = classes(seed, 5)
            flat = (f"image/{name}.jpg", f"mask/{name}.png")
            image, mask = [manifest.alias(p) for p in flat] if per_tile else flat
            save(picture(seed), home / image)
            save(encode(truth[name], manifest.labels), home / mask)
    return truth


def hashed(name: str, home: Path, **changes) -> manifests.Manifest:
    """The real manifest of a set with the files of a tiny copy: their bytes and hashes, the splits' own counts."""
    manifest = manifests.load(name)
    files = []
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        data = path.read_bytes()
        inside = path.relative_to(home).as_posix()
        files.append(manifests.File(inside, len(data), hashlib.sha256(data).hexdigest(), ()))
    splits = []
    for split in manifest.splits:
        listing = home / split.list
        if split.list and listing.is_file():
            count = len(listing.read_text().splitlines())
            splits.append(replace(split, count=count, list_sha256=""))
        else:
            splits.append(split)
    return replace(manifest, files=tuple(files), splits=tuple(splits), **changes)
