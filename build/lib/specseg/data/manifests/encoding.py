"""From stored label values to classes 0 .. C-1 and 255: one table lookup per pixel; an unknown value is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from specseg.data.manifests.schema import Labels

VOID = 255
UNKNOWN = 254


def table(labels: Labels) -> np.ndarray:
    """Return the lookup table, uint8: 256 entries for stored numbers, 2^24 for colours; 254 marks an unknown value."""
    if labels.encoding == "color":
        lut = np.full(1 << 24, UNKNOWN, np.uint8)
        lut[[int(str(code), 16) for code in labels.ignore]] = VOID
        lut[[int(code, 16) for code in labels.map]] = list(labels.map.values())
        return lut
    lut = np.full(256, UNKNOWN, np.uint8)
    lut[list(labels.ignore)] = VOID
    pairs = {int(k): v for k, v in labels.map.items()} or {k: k for k in range(len(labels.names))}
    lut[list(pairs)] = list(pairs.values())
    return lut


def decode(stored: np.ndarray, labels: Labels, lut: np.ndarray, where: str) -> np.ndarray:
    """Return classes, uint8 (H, W), of stored values: uint8 (H, W) numbers or (H, W, 3) colours.

    Raises ValueError that names the file (`where`), the commonest unknown value and how many pixels have it.
    """
    if labels.encoding == "color":
        codes = pack(stored, labels.threshold)
        classes = lut[codes]
    elif not labels.map and labels.ignore == (VOID,):  # stored as they are meant: only look for unknown numbers
        if not ((stored >= len(labels.names)) & (stored != VOID)).any():
            return stored
        codes, classes = stored, lut[stored]
    else:  # bytes.translate is the fastest lookup of 256 entries
        codes = stored
        classes = np.frombuffer(bytearray(stored.tobytes().translate(lut.tobytes())), np.uint8).reshape(stored.shape)
    if classes.max(initial=0) >= UNKNOWN and (unknown := classes == UNKNOWN).any():
        values, counts = np.unique(codes[unknown], return_counts=True)
        top = int(values[counts.argmax()])
        shown = f"colour {top:06X}" if labels.encoding == "color" else f"value {top}"
        raise ValueError(
            f"{where}: {shown} is no class ({int(counts.max())} pixels; {len(values)} unknown in all); "
            f"expected {_known(labels)}"
        )
    return classes


def pack(rgb: np.ndarray, threshold: int = 0) -> np.ndarray:
    """Return 24-bit colour numbers, int32 (H, W), of uint8 (H, W, 3); `threshold` > 0 first cuts channels to 0 or 255.

    >>> pack(np.array([[[1, 2, 255]]], np.uint8)).item() == 0x0102FF
    True
    """
    if threshold:
        rgb = np.where(rgb >= threshold, np.uint8(255), np.uint8(0))
    codes = rgb[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= rgb[..., channel]
    return codes


def encode(classes: np.ndarray, labels: Labels) -> np.ndarray:
    """Return stored values of a class map (0 .. C-1, 255): uint8 (H, W) numbers or (H, W, 3) colours.

    Void becomes the first ignored value. Raises ValueError when void is in the map and the set has no ignored value.
    """
    if (classes == VOID).any() and not labels.ignore:
        raise ValueError("this data set stores no void: the class map must hold classes only")
    color = labels.encoding == "color"
    pairs = [(v, int(k, 16) if color else int(k)) for k, v in labels.map.items() if v != VOID]
    lut = np.zeros(256, np.int32)
    for cls, value in pairs or [(k, k) for k in range(len(labels.names))]:
        lut[cls] = value
    if labels.ignore:
        first = labels.ignore[0]
        lut[VOID] = int(str(first), 16) if color else int(first)
    codes = lut[classes]
    if not color:
        return codes.astype(np.uint8)
    return np.stack([codes >> 16, (codes >> 8) & 255, codes & 255], axis=-1).astype(np.uint8)


def _known(labels: Labels) -> str:
    if labels.encoding == "color":
        return ", ".join([*labels.map, *map(str, labels.ignore)])
    keys = sorted(map(int, labels.map)) or [*range(len(labels.names))]
    return f"{keys[0]} .. {keys[-1]}" + (f" or {', '.join(map(str, labels.ignore))}" if labels.ignore else "")
