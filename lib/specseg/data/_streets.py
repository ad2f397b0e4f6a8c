"""Synthetic regime "streets": a street in perspective with thin poles and many classes (Cityscapes' 19, same order)."""

from __future__ import annotations

import numpy as np

from specseg.data._canvas import Canvas, Stream, value_noise
from specseg.data._texture import Things

STREET_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, GREEN, TERRAIN, SKY, PERSON, RIDER, CAR, TRUCK, BUS,
    TRAIN, MOTORCYCLE, BICYCLE,
) = range(19)  # fmt: skip
SEEN = (  # each class's colour from a car
    (98, 96, 98), (132, 120, 116), (134, 114, 98), (112, 102, 96), (120, 108, 100), (92, 88, 82), (48, 52, 40),
    (188, 150, 72), (66, 94, 52), (112, 132, 70), (176, 200, 224), (104, 68, 70), (76, 74, 112), (58, 64, 90),
    (110, 120, 140), (156, 84, 52), (92, 112, 92), (56, 46, 50), (84, 58, 48),
)  # fmt: skip
# what stands in the street: class -> how many in a frame at dose 1
MIX = {
    POLE: 10.0, SIGN: 5.0, LIGHT: 2.5, PERSON: 7.0, CAR: 5.0, BICYCLE: 1.5, MOTORCYCLE: 0.7, RIDER: 1.0, TRUCK: 0.3,
    BUS: 0.25, TRAIN: 0.1,
}  # fmt: skip


def streets(stream: Stream, things: Things, size: int, dose: float) -> tuple[Canvas, np.ndarray]:
    """Draw sky, houses, green, ground, then what stands in the street from far to near; void is rim and bonnet."""
    canvas = Canvas(size, SKY, things.add(SKY, 0.06))
    horizon, vanish = stream.uniform(0.38, 0.5), stream.uniform(0.35, 0.65)
    warp = value_noise(stream, 14.0 * dose, size)
    _houses(stream, canvas, things, horizon, vanish)
    for _ in range(stream.rounded(3.0)):
        x = stream.uniform()
        r = 0.05 + 0.16 * abs(x - vanish) * stream.uniform(0.6, 1.4)
        canvas.bar(x, horizon - r, x, horizon + 0.06, 0.08 * r, GREEN, things.add(BUILDING, 0.2))
        canvas.ellipse(x, horizon - 1.1 * r, r, 0.9 * r, GREEN, things.add(GREEN), warp=warp, amount=0.55)
    _ground(stream, canvas, things, horizon, vanish)
    standing = [(cls, stream.uniform()) for cls, mean in MIX.items() for _ in range(stream.rounded(mean * dose * dose))]
    for cls, depth in sorted(standing, key=lambda item: item[1]):
        _stand(stream, canvas, things, cls, depth * depth * depth, horizon, vanish, dose, warp)
    hidden, rim = np.ones((size, size), bool), max(1, round(0.005 * size))
    hidden[rim:-rim, rim:-rim] = False
    bonnet = Canvas(size, 0)
    bonnet.ellipse(0.5, 1.05, 0.6, stream.uniform(0.08, 0.15), 1, 0)
    hidden |= bonnet.label == 1
    canvas.thing[bonnet.label == 1] = things.add(CAR, 0.15)
    return canvas, hidden


def _houses(stream: Stream, canvas: Canvas, things: Things, horizon: float, vanish: float) -> None:
    """Facades of unequal height along both sides; higher near the frame's edge; windows are texture, not labels."""
    x = -stream.uniform(0.0, 0.1)
    while x < 1.0:
        width = stream.uniform(0.05, 0.05 + 0.25 * (0.2 + abs(x - vanish)))
        near = min(1.0, 2.2 * abs(x + width / 2 - vanish))
        top = horizon - (0.04 + 0.5 * near * stream.uniform(0.5, 1.2))
        if not stream.chance(0.12):
            thing, pane = things.add(BUILDING, 0.14), things.add(BUILDING, 0.25)
            canvas.box(x, top, x + width, horizon + 0.1, BUILDING, thing, 0.85 + 0.3 * stream.uniform())
            step = 0.02 + 0.04 * near
            floors, columns = min(8, int((horizon - top) / step)), min(8, int(width / step))
            for row in range(floors):
                for col in range(columns):
                    left, high = x + (col + 0.25) * width / columns, top + (row + 0.3) * step
                    canvas.box(left, high, left + 0.5 * width / columns, high + 0.5 * step, -1, pane)
        x += width
    if stream.chance(0.5):
        left = stream.uniform()
        cls = WALL if stream.chance(0.4) else FENCE
        canvas.box(left, horizon - 0.02, left + stream.uniform(0.1, 0.4), horizon + 0.08, cls, things.add(cls))


def _ground(stream: Stream, canvas: Canvas, things: Things, horizon: float, vanish: float) -> None:
    """Sidewalk, terrain at one side, road with lane marks (texture)."""
    canvas.box(0.0, horizon + 0.03, 1.0, 1.0, SIDEWALK, things.add(SIDEWALK, 0.08))
    if stream.chance(0.6):
        side = -0.6 if stream.chance(0.5) else 1.1
        corners = [(vanish, horizon + 0.03), (side + 0.5, horizon + 0.03), (side + 0.5, 1.0), (side, 1.0)]
        canvas.convex(corners, TERRAIN, things.add(TERRAIN))
    left, right = vanish - stream.uniform(0.5, 0.9), vanish + stream.uniform(0.5, 0.9)
    road = things.add(ROAD, 0.06)
    canvas.convex([(vanish - 0.03, horizon), (vanish + 0.03, horizon), (right, 1.0), (left, 1.0)], ROAD, road)
    mark = things.add(SKY, 0.05)
    for k in range(5):
        near, far = 0.16 * (k + 1) ** 2 / 10 + 0.03, 0.16 * (k + 0.6) ** 2 / 10 + 0.03
        lane = stream.uniform(0.45, 0.55)
        xn, xf = vanish + (lane - 0.5) * near, vanish + (lane - 0.5) * far
        canvas.bar(xf, horizon + far, xn, horizon + near, 0.02 * near, -1, mark)


def _stand(stream: Stream, canvas: Canvas, things: Things, cls, near, horizon, vanish, dose, warp) -> None:
    """One thing on the ground: `near` 0 far .. 1 close sets its size and where its foot is."""
    foot = horizon + 0.04 + 0.4 * near
    h = (0.05 + 0.42 * near) / dose  # height of a person there
    in_road = cls in (CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, RIDER)
    spread = (0.08 + 0.7 * near) if in_road else 1.0
    x = vanish + stream.uniform(-spread, spread) if in_road else stream.uniform()
    thing = things.add(cls)
    if cls in (POLE, SIGN, LIGHT):
        _pole(stream, canvas, things, cls, x, foot, 1.7 * h * stream.uniform(0.8, 1.5), h)
    elif cls in (CAR, TRUCK, BUS, TRAIN):
        _vehicle(stream, canvas, things, cls, x, foot, h, thing)
    elif cls == PERSON:
        _person(stream, canvas, cls, x, foot, h, thing, warp)
    else:
        _cycle(canvas, BICYCLE if cls == RIDER else cls, x, foot, 0.55 * h, things.add(BICYCLE))
        if cls == RIDER:
            _person(stream, canvas, RIDER, x, foot - 0.25 * h, 0.85 * h, thing, warp)


def _pole(stream: Stream, canvas: Canvas, things: Things, cls, x, foot, length, h) -> None:
    canvas.bar(x, foot, x, foot - length, 0.04 * h, POLE, things.add(POLE))
    top = foot - length
    if cls == SIGN and stream.chance(0.5):
        canvas.ellipse(x, top, 0.13 * h, 0.13 * h, SIGN, things.add(SIGN))
    elif cls == SIGN:
        canvas.box(x - 0.15 * h, top, x + 0.15 * h, top + 0.2 * h, SIGN, things.add(SIGN))
    elif cls == LIGHT:
        canvas.box(x - 0.07 * h, top, x + 0.07 * h, top + 0.35 * h, LIGHT, things.add(LIGHT))
    elif stream.chance(0.4):
        canvas.bar(x, top, x + stream.uniform(-0.6, 0.6) * h, top - 0.1 * h, 0.03 * h, POLE, things.add(POLE))


def _vehicle(stream: Stream, canvas: Canvas, things: Things, cls, x, foot, h, thing) -> None:
    tall = {CAR: 0.85, TRUCK: 1.7, BUS: 1.8, TRAIN: 1.9}[cls]
    wide = {CAR: 0.95, TRUCK: 1.1, BUS: 1.2, TRAIN: 2.2}[cls] * stream.uniform(0.8, 1.6)
    glass, tyre = things.add(SKY, 0.2), things.add(ROAD, 0.1)
    top, left, right = foot - tall * h, x - wide * h / 2 * 1.2, x + wide * h / 2 * 1.2
    for wheel in (left + 0.2 * h, right - 0.2 * h):
        canvas.ellipse(wheel, foot - 0.1 * h, 0.13 * h, 0.16 * h, cls, tyre)
    if cls == CAR:
        waist, inset = foot - 0.5 * h, 0.2 * (right - left)
        canvas.box(left, waist, right, foot - 0.1 * h, cls, thing)
        canvas.convex([(left + inset, top), (right - inset, top), (right, waist), (left, waist)], cls, thing, 1.1)
        high, slope = top + 0.05 * h, 0.5 * inset
        pane = [(left + inset, high), (right - inset, high), (right - slope, waist), (left + slope, waist)]
        canvas.convex(pane, -1, glass)
    else:
        canvas.box(left, top, right, foot - 0.1 * h, cls, thing, 1.05)
        canvas.box(left + 0.1 * h, top + 0.25 * h, right - 0.1 * h, top + 0.7 * h, -1, glass)


def _person(stream: Stream, canvas: Canvas, cls, x, foot, h, thing, warp) -> None:
    step = stream.uniform(0.03, 0.18) * h
    canvas.bar(x - 0.04 * h, foot - 0.5 * h, x - step, foot, 0.11 * h, cls, thing)
    canvas.bar(x + 0.04 * h, foot - 0.5 * h, x + step, foot, 0.11 * h, cls, thing)
    canvas.ellipse(x, foot - 0.65 * h, 0.15 * h, 0.24 * h, cls, thing, warp=warp, amount=0.2)
    canvas.bar(x, foot - 0.8 * h, x + stream.uniform(-0.3, 0.3) * h, foot - 0.45 * h, 0.07 * h, cls, thing)
    canvas.ellipse(x, foot - 0.93 * h, 0.08 * h, 0.1 * h, cls, thing)


def _cycle(canvas: Canvas, cls, x, foot, h, thing) -> None:
    """Two wheels and a frame; a wheel's inside belongs to the class, as in Cityscapes' annotation."""
    r = (0.42 if cls == BICYCLE else 0.34) * h
    canvas.ellipse(x - 1.1 * r, foot - r, r, r, cls, thing)
    canvas.ellipse(x + 1.1 * r, foot - r, r, r, cls, thing)
    width = (0.12 if cls == BICYCLE else 0.45) * h
    canvas.bar(x - 1.1 * r, foot - r, x + 0.9 * r, foot - 2.2 * r, width, cls, thing)
    canvas.bar(x + 1.1 * r, foot - r, x + 0.8 * r, foot - 2.6 * r, width / 2, cls, thing)
