"""From stored label values to classes 0 .. C-1 and 255: one table lookup per pixel; an unknown value is an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from specseg.data.manifests.schema import Labels

VOID = 255
UNKNOWN = 254


def codes(labels: Labels) -> dict[int, int]:
    """Return stored number, or colour as a number of 24 bits -> class; what is ignored is 255."""
    base = 16 if labels.encoding == "color" else 10
    known = {int(key, base): cls for key, cls in labels.map.items()} or {k: k for k in range(len(labels.names))}
    return known | {int(str(key), base): VOID for key in labels.ignore}


def table(labels: Labels) -> np.ndarray:
    """Return the lookup table, uint8: 256 entries for stored numbers, 2^24 for colours; 254 marks an unknown value."""
    lut, known = np.full(1 << 24 if labels.encoding == "color" else 256, UNKNOWN, np.uint8), codes(labels)
    lut[list(known)] = list(known.values())
    return lut


def decode(stored: np.ndarray, labels: Labels, lut: np.ndarray, where: str) -> np.ndarray:
    """Return classes, uint8 (H, W), of stored values: uint8 (H, W) numbers or (H, W, 3) colours.

    Raises ValueError that names the file (`where`), the commonest unknown value and how many pixels have it.
    """
    found = pack(stored, labels.threshold) if labels.encoding == "color" else stored
    classes = lut[found]
    if classes.max(initial=0) >= UNKNOWN and (unknown := classes == UNKNOWN).any():
        values, counts = np.unique(found[unknown], return_counts=True)
        top = int(values[counts.argmax()])
        shown = f"colour {top:06X}" if labels.encoding == "color" else f"value {top}"
        raise ValueError(
            f"{where}: {shown} is no class ({int(counts.max())} pixels; {len(values)} unknown in all); "
            f"expected {told(codes(labels), labels.encoding == 'color')}"
        )
    return classes


def pack(rgb: np.ndarray, threshold: int = 0) -> np.ndarray:
    """Return 24-bit colour numbers, int32 (H, W), of uint8 (H, W, 3); `threshold` > 0 first cuts channels to 0 or 255.

    >>> pack(np.array([[[1, 2, 255]]], np.uint8)).item() == 0x0102FF
    True
    """
    if threshold:
        rgb = np.where(rgb >= threshold, np.uint8(255), np.uint8(0))
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def told(known: Mapping[int, int], color: bool) -> str:
    """Return the known codes in words.

    >>> told({0: 0, 1: 1, 255: 255}, False), told({255: 0}, True)
    ('0 .. 1 or 255', '0000FF')
    """
    if color:
        return ", ".join(f"{code:06X}" for code in known)
    keys = sorted(code for code, cls in known.items() if cls != VOID)
    void = [str(code) for code, cls in known.items() if cls == VOID]
    return f"{keys[0]} .. {keys[-1]}" + (f" or {', '.join(void)}" if void else "")
