"""Polygons drawn as label maps: one Labelme file a picture, or one COCO file for all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from specseg.advise.files import BadFile
from specseg.advise.folder import Item

Shape = tuple[str, list[list[float]]]  # a class's name and points x, y, x, y ... of its outlines


def expanded(items: Sequence[Item]) -> list[Item]:
    """Return one item a picture: a COCO file holds several."""
    out = []
    for item in items:
        names = [Path(image["file_name"]).with_suffix("").as_posix() for image in _loaded(item.path).get("images", ())]
        out += [replace(item, name=name, part=k) for k, name in enumerate(names)] or [item]
    return out


@lru_cache(maxsize=4)
def _loaded(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as err:
        raise BadFile(f"{path}: no JSON ({str(err)[:60]})") from None
    if not isinstance(found, dict) or not ({"shapes", "images"} & set(found)):
        raise BadFile(f"{path}: expected polygons, Labelme's `shapes` or COCO's `images`, `annotations`, `categories`")
    return found


def read(path: Path, part: int) -> tuple[tuple[int, int], list[str], list[Shape]]:
    """Return (height, width), the names of all classes and the outlines of a picture, those drawn last on top.

    Raises BadFile where something is neither a polygon nor a rectangle.
    """
    found, shapes = _loaded(path), []
    try:
        if part < 0:
            for shape in found["shapes"]:
                points = [[float(v) for v in point] for point in shape["points"]]
                if (kind := shape.get("shape_type") or "polygon") not in ("polygon", "rectangle"):
                    raise BadFile(f"{path}: a shape of type {kind}; expected polygons or rectangles")
                if kind == "rectangle":
                    (x, y), (right, low) = points[0], points[-1]
                    points = [[x, y], [right, y], [right, low], [x, low]]
                shapes.append((shape["label"], [sum(points, [])]))
            return (found["imageHeight"], found["imageWidth"]), sorted({name for name, _ in shapes}), shapes
        image, names = found["images"][part], {c["id"]: c["name"] for c in found["categories"]}
        own = [a for a in found["annotations"] if a["image_id"] == image["id"]]
        for a in sorted(own, key=lambda a: -a.get("area", 0)):  # small ones on top
            if not isinstance(a["segmentation"], list):
                raise BadFile(f"{path}: annotation {a['id']} of {image['file_name']} is a run-length mask; expected "
                              "polygons (pycocotools' annToMask makes maps of both)")  # fmt: skip
            shapes.append((names[a["category_id"]], a["segmentation"]))
        return (image["height"], image["width"]), sorted(names.values()), shapes
    except (KeyError, TypeError, IndexError) as err:
        raise BadFile(f"{path}: no {err} where a Labelme or COCO file has it") from None


def drawn(path: Path, part: int, classes: Mapping[str, int]) -> np.ndarray:
    """Return the label map, uint8 (H, W): the class background, then each outline in the class of its name."""
    (height, width), _, shapes = read(path, part)
    image = Image.new("L", (width, height), classes["background"])
    draw = ImageDraw.Draw(image)
    for name, outlines in shapes:
        for outline in outlines:
            draw.polygon(outline, fill=classes[name])
    return np.asarray(image)
