"""Synthetic regime "objects": a few large things with limbs before a cluttered background, 21 classes."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from specseg.data._canvas import Canvas, Stream, value_noise
from specseg.data._texture import Things

OBJECT_CLASSES = ("background", *(f"thing {k:02d}" for k in range(1, 21)))
COUNT = 3.0  # things in a frame at dose 1
RADIUS = 0.18  # half-axis of a body in frame sides at dose 1


def objects(stream: Stream, things: Things, size: int, dose: float) -> tuple[Canvas, np.ndarray]:
    """Draw background, clutter (seen in the image only) and things from far to near; void is a band on the contours."""
    canvas = Canvas(size, 0, things.add(0, 0.25))
    horizon = stream.uniform(0.2, 0.7)
    canvas.box(0.0, horizon, 1.0, 1.0, -1, things.add(0, 0.3))
    warp = value_noise(stream, 9.0 * dose, size)
    for _ in range(stream.integer(4, 9)):
        box = stream.uniform(), stream.uniform(), stream.uniform(0.03, 0.25), stream.uniform(0.03, 0.2)
        canvas.ellipse(*box, -1, things.add(0, 0.3), axis=stream.direction(), warp=warp, amount=0.6)
    count = max(1, stream.rounded(COUNT * dose * dose))
    classes = [stream.integer(1, 21) for _ in range(2 if stream.chance(0.45) else 1)]
    low, high = (0.3, 0.7) if count == 1 else (0.0, 1.0)
    for base in np.sort(stream.array(count)).tolist():
        y = low + (high - low) * base
        radius = RADIUS * COUNT * dose / count * (0.7 + 0.6 * y) * stream.uniform(0.6, 1.4)
        x = stream.uniform(low, high)
        _thing(stream, canvas, things, classes[stream.integer(0, len(classes))], x, y, radius, warp)
    for _ in range(stream.integer(0, 3)):  # something thin in front that is not annotated as a thing
        x, lean = stream.uniform(), stream.uniform(-0.1, 0.1)
        canvas.bar(x, 0.0, x + lean, 1.0, stream.uniform(0.003, 0.008), -1, things.add(0, 0.3))
    return canvas, contour_band(canvas.label, max(1, round(0.006 * size)))


def _thing(stream: Stream, canvas: Canvas, things: Things, cls: int, x, y, radius, warp) -> None:
    """Body, head, limbs and tail; how many and how long is the class's own, the pose is the thing's."""
    thing = things.add(cls)
    legs, aspect = cls % 5, 0.45 + 0.13 * (cls % 4)
    leg = radius * (0.6 + 0.15 * (cls % 3))
    if stream.chance(0.12):  # seen from near: the frame cuts it
        radius *= 1.5
    facing = 1.0 if stream.chance(0.5) else -1.0
    if cls % 7 == 0:
        aspect = 1.0 / aspect
    for k in range(legs):
        foot = x + facing * radius * (0.8 * (k + 0.5) / legs * 2 - 0.8)
        end = foot + stream.uniform(-0.15, 0.15) * radius, y + aspect * radius * 0.6 + leg
        canvas.bar(foot, y, *end, radius * (0.07 + 0.05 * (cls % 3)), cls, thing)
    canvas.ellipse(x, y, radius, aspect * radius, cls, thing, warp=warp, amount=0.12 + 0.08 * (cls % 3))
    if cls % 3:
        canvas.ellipse(x + facing * radius, y - 0.5 * aspect * radius, 0.36 * radius, 0.33 * radius, cls, thing)
    if cls % 2:
        tip = x - facing * 1.6 * radius, y - stream.uniform(-0.2, 0.7) * radius
        canvas.bar(x - facing * 0.9 * radius, y, *tip, 0.06 * radius, cls, thing)


def contour_band(label: np.ndarray, reach: int) -> np.ndarray:
    """Return the mask of pixels within `reach` steps (left, right, up, down, both) of a change of class.

    >>> contour_band(np.array([[0, 0, 0, 1, 1, 1]]), 1).astype(int).tolist()
    [[0, 0, 1, 1, 0, 0]]
    """
    cross = ndimage.generate_binary_structure(2, 1)
    beside = ndimage.maximum_filter(label, footprint=cross) != ndimage.minimum_filter(label, footprint=cross)
    return ndimage.maximum_filter(beside, size=2 * reach - 1, mode="constant")
