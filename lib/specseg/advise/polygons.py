"""Polygons and run-length masks drawn as label maps: one Labelme file a picture, or one COCO file for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from specseg.advise.files import BadFile
from specseg.advise.folder import Item
from specseg.evidence import schema

Shape = tuple[str, list[list[float]] | np.ndarray]  # a class's name; points x, y, x, y ... of its outlines, or a mask


def expanded(items: Sequence[Item]) -> list[Item]:
    """Return one item a picture: a COCO file holds several."""
    out = []
    for item in items:
        names = [Path(image["file_name"]).with_suffix("").as_posix() for image in _loaded(item.path).get("images", ())]
        out += [replace(item, name=name, part=k) for k, name in enumerate(names)] or [item]
    return out


@lru_cache(maxsize=4)
def _loaded(path: Path) -> dict:
    found = schema.parse_json(path.read_text(encoding="utf-8-sig", errors="replace"), str(path), error=BadFile)
    if not isinstance(found, dict) or not ({"shapes", "images"} & set(found)):
        raise BadFile(f"{path}: expected polygons, Labelme's `shapes` or COCO's `images`, `annotations`, `categories`")
    return found


def read(path: Path, part: int) -> tuple[tuple[int, int], list[str], list[Shape]]:
    """Return (height, width), the names of all classes and the shapes of a picture, those drawn last on top.

    Raises BadFile where something is neither a polygon, a rectangle nor a whole run-length mask.
    """
    found = _loaded(path)
    try:
        if part < 0:
            shapes = [(shape["label"], [_outline(path, shape)]) for shape in found["shapes"]]
            return (found["imageHeight"], found["imageWidth"]), sorted({name for name, _ in shapes}), shapes
        image, names, shapes = found["images"][part], {c["id"]: c["name"] for c in found["categories"]}, []
        own = [a for a in found["annotations"] if a["image_id"] == image["id"]]
        for a in sorted(own, key=lambda a: -a.get("area", 0)):  # small ones on top
            where, drawn = f"{path}: annotation {a['id']} of {image['file_name']}: ", a["segmentation"]
            shapes.append((names[a["category_id"]], drawn if isinstance(drawn, list) else run_lengths(drawn, where)))
        return (image["height"], image["width"]), sorted(names.values()), shapes
    except (KeyError, TypeError, IndexError) as err:
        raise BadFile(f"{path}: no {err} where a Labelme or COCO file has it") from None


def _outline(path: Path, shape: Mapping) -> list[float]:
    points, kind = [[float(v) for v in point] for point in shape["points"]], shape.get("shape_type") or "polygon"
    if kind not in ("polygon", "rectangle"):
        raise BadFile(f"{path}: a shape of type {kind}; expected polygons or rectangles")
    if kind == "rectangle":
        (x, y), (right, low) = points[0], points[-1]
        return [x, y, right, y, right, low, x, low]
    return sum(points, [])


def run_lengths(found: Mapping, where: str = "") -> np.ndarray:
    """Return the mask of COCO's `{"size": [H, W], "counts": ...}`, bool (H, W): runs of 0 and 1 in turn, down columns.

    Counts are numbers, or the text of pycocotools: five bits a character from "0" on, a sixth where more follow,
    signed; from the fourth on the difference to the count before the last. Raises BadFile where runs do not fill
    the size.

    >>> run_lengths({"size": [2, 3], "counts": [1, 3, 2]}).astype(int).tolist()
    [[0, 1, 0], [1, 1, 0]]
    """
    (height, width), counts = found["size"], found["counts"]
    if isinstance(counts, str):
        bits, counts = np.frombuffer(counts.encode(), np.uint8).astype(int) - 48, []
        for part in np.split(bits, np.flatnonzero(bits & 32 == 0) + 1)[:-1]:
            value = int(((part & 31) << 5 * np.arange(len(part))).sum()) - (int(part[-1] & 16) << 5 * len(part) - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise BadFile(f"{where}a run-length mask of {sum(counts)} pixels; expected {height} x {width}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T


def drawn(path: Path, part: int, classes: Mapping[str, int]) -> np.ndarray:
    """Return the label map, uint8 (H, W): the class background, then each shape in the class of its name."""
    (height, width), _, shapes = read(path, part)
    if missing := {"background", *(name for name, _ in shapes)} - set(classes):
        raise BadFile(f"{path}: polygons of {min(missing)}; expected one of {', '.join(map(str, classes))}")
    image = Image.new("L", (width, height), classes["background"])
    for name, shape in shapes:
        if isinstance(shape, np.ndarray):
            image.paste(classes[name], mask=Image.fromarray(shape))
        else:
            for outline in shape:
                ImageDraw.Draw(image).polygon(outline, fill=classes[name])
    return np.asarray(image)
