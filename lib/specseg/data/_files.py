"""Read one image or one stored label map from disk; whatever is wrong with the file is said with its name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


def read_image(path: Path) -> np.ndarray:
    """Return an image as uint8 (H, W, 3), upright.

    Grey and palette images become RGB; an EXIF rotation is applied; an alpha channel must be opaque.
    Raises ValueError that names the file for a damaged or foreign file, more than 8 bits, or real transparency.
    """
    return np.asarray(_rgb(_load(path), path))


def read_label(path: Path, *, colors: bool = False) -> np.ndarray:
    """Return a stored label map: class numbers, uint8 (H, W), of an 8-bit grey or palette image (never the palette's
    colours) or of SBD's .mat file; or with `colors` uint8 (H, W, 3) of an RGB, palette or opaque RGBA image.

    Raises ValueError that names the file and the mode found.
    """
    if path.suffix == ".mat":
        return _mat(path)
    image = _load(path)
    if colors and image.mode in ("L", "LA", "1"):
        raise ValueError(f"{path}: label of mode {image.mode}; expected colours")
    if not colors and image.mode not in ("L", "P"):
        raise ValueError(f"{path}: label of mode {image.mode}; expected 8-bit class numbers (grey or palette)")
    return np.asarray(_rgb(image, path) if colors else image)


def _mat(path: Path) -> np.ndarray:
    """Return SBD's class map of a .mat file (GTcls.Segmentation), uint8 (H, W). Raises ValueError naming the file."""
    import zlib

    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not path.is_file():
        raise _absent(path)
    try:
        stored = loadmat(path)["GTcls"]["Segmentation"][0, 0]
    except (LookupError, ValueError, TypeError, NotImplementedError, OSError, MatReadError, zlib.error) as err:
        raise ValueError(f"{path}: no GTcls.Segmentation in it, or damaged ({str(err)[:80]})") from None
    if stored.dtype != np.uint8 or stored.ndim != 2:
        raise ValueError(f"{path}: GTcls.Segmentation is {stored.dtype} {stored.shape}; expected uint8 (H, W)")
    return stored


def _load(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            if "exif" in image.info:
                image = ImageOps.exif_transpose(image)
            return image
    except FileNotFoundError:
        raise _absent(path) from None
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not an image") from None
    except (OSError, SyntaxError, ValueError, EOFError) as err:
        raise ValueError(f"{path}: damaged or cut image ({str(err)[:80]})") from None


def _absent(path: Path) -> FileNotFoundError:
    return FileNotFoundError(f"{path}: no such file; run `specseg data verify` to see what is missing")


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"{path}: image of mode {image.mode} (more than 8 bits a channel); expected 8 bits")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        low = image.convert("RGBA").getchannel("A").getextrema()[0]
        if low < 255:
            raise ValueError(f"{path}: image with transparency (alpha down to {low}); expected opaque RGB")
    return image.convert("RGB")
