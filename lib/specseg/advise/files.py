"""Read one stored label map, whatever its storage: whole numbers or colours come out, or one line that says why not."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from specseg.data.survey import BadFile

LOSSLESS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
ADE20K = re.compile(r"ADE_(train|val|frame)_\w+_seg")  # of the whole ADE20K: red and green are a class, blue an object
MOST = 1 << 23  # stored numbers beyond this are no class numbers
LOSSY = (
    "a lossy picture: its values are no longer those that were stored. Export the labels as PNG; if this is all there "
    "is, convert it, with a threshold where it has two values: "
    'Image.open("a.jpg").convert("L").point(lambda v: 255 * (v > 127)).save("a.png")'
)


@dataclass(frozen=True)
class Stored:
    """What a file holds: whole numbers (H, W) or colours (H, W, 3), and a palette (256, 3) whose places they are."""

    values: np.ndarray
    palette: np.ndarray | None = None
    what: str = ""

    @property
    def color(self) -> bool:
        return self.values.ndim == 3


def read(path: Path) -> Stored:
    """Return what a file of labels holds: PNG of every depth, TIFF, BMP, GIF, PGM or .npy.

    Numbers come as uint8 where they fit, else as int32; grey pictures of three equal channels are numbers, and so are
    the whole ADE20K's `*_seg.png`, whose class is red // 10 * 256 + green. Raises BadFile for lossy, damaged and
    oversized files, and for values that are no whole numbers.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Image.fromarray(np.array([[0, 300]], np.uint16)).save(f"{folder}/a.png")
    ...     read(Path(folder, "a.png")).values.tolist()
    [[0, 300]]
    """
    if path.suffix.lower() == ".npy":
        return _numbers(_array(path), path, "array")
    image, form = _image(path)
    mode, values = image.mode, np.asarray(image)
    if mode in ("LA", "RGBA", "PA"):
        if (low := int(values[..., -1].min())) < 255:
            raise BadFile(f"{path}: mode {mode} with transparency (alpha down to {low}); expected opaque labels")
        values = np.asarray(image.convert("RGB"))
    if mode == "P":
        table = np.array(image.getpalette("RGB") or [], np.uint8)
        return Stored(values, np.pad(table, (0, 768 - len(table))).reshape(256, 3), "palette")
    if values.ndim == 3 and values.shape[2] == 3:
        if (values != values[..., :1]).any():
            if ADE20K.fullmatch(path.stem):
                return _numbers(values[..., 0].astype(np.int32) // 10 * 256 + values[..., 1], path, "ADE20K's colours")
            return Stored(values, None, f"mode {mode}")
        values = values[..., 0]
    if form in ("L;2", "L;4"):  # shown grey levels of a file that stores two or four bits
        values = values // (255 // (2 ** int(form[2:]) - 1))
    return _numbers(values, path, f"mode {mode}")


def _image(path: Path) -> tuple[Image.Image, str]:
    """Return a picture and how its file stores it, in Pillow's words: "L;4" for grey levels of four bits."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            if image.format not in LOSSLESS or image.info.get("compression") in ("jpeg", "webp"):
                raise BadFile(f"{path}: {image.format} is {LOSSY}")
            if getattr(image, "n_frames", 1) > 1:
                raise BadFile(f"{path}: holds {image.n_frames} pages; expected one label map a file")
            form = str(image.tile[0][3])
            if form.endswith(";16B") and not image.mode.startswith("I"):
                raise BadFile(f"{path}: colours of 16 bits ({form}); expected 8 bits a channel")
            image.load()
            return (ImageOps.exif_transpose(image) if "exif" in image.info else image), form
    except BadFile:
        raise
    except Image.DecompressionBombError as err:
        pixels = int(re.search(r"\d+", str(err))[0])
        raise BadFile(
            f"{path}: {pixels:,} pixels; more than {2 * Image.MAX_IMAGE_PIXELS:,} are not read, since a damaged "
            "file can promise any size. Cut the map into tiles of, say, 4096 pixels; --keep-going leaves it out"
        ) from None
    except UnidentifiedImageError:
        raise BadFile(f"{path}: not an image") from None
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError) as err:
        raise BadFile(f"{path}: damaged or cut image ({str(err)[:80]})") from None


def _array(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
    except Exception as err:  # numpy raises many kinds for a damaged file
        raise BadFile(f"{path}: no array can be read ({str(err)[:80]})") from None
    found = np.squeeze(found)
    if found.ndim != 2:
        more = "; of one plane a class take the largest: planes.argmax(0)" if found.ndim == 3 else ""
        raise BadFile(f"{path}: array of shape {found.shape}; expected class numbers (H, W){more}")
    return found


def _numbers(values: np.ndarray, path: Path, what: str) -> Stored:
    if values.ndim != 2:
        raise BadFile(f"{path}: {values.shape[-1]} channels ({what}); expected class numbers or RGB colours")
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            raise BadFile(f"{path}: numbers with fractions or NaN ({values.dtype}); expected whole class numbers")
    elif values.dtype.kind not in "iub":
        raise BadFile(f"{path}: values of type {values.dtype}; expected whole class numbers")
    low, high = (int(v) for v in (values.min(initial=0), values.max(initial=0)))
    if not -MOST < low <= high < MOST:
        raise BadFile(f"{path}: stored values {low} .. {high}; expected class numbers")
    return Stored(values.astype(np.uint8 if low >= 0 and high <= 255 else np.int32, copy=False), None, what)
