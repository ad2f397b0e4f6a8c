"""From the planes of a synthetic scene to a picture: colour and texture by thing, light, shadow, blur, sensor noise."""

from __future__ import annotations

import numpy as np

from specseg.data._canvas import Canvas, Stream, value_noise

CELLS = (5.0, 23.0, 91.0)  # lattice cells per frame of the three textures


class Things:
    """The look of every thing of a scene: a base colour and the weights of its textures; index 0 is the background."""

    def __init__(self, stream: Stream, colors: np.ndarray, weights: np.ndarray) -> None:
        self._stream, self._colors, self._weights = stream, colors, weights
        self._rows: list[list[float]] = []

    def add(self, cls: int, spread: float = 0.10) -> int:
        """Return the number of a new thing of that class: the class's look, moved at random by up to `spread`."""
        s = self._stream
        gain = 1.0 + s.uniform(-spread, spread) * 1.5
        color = [min(0.95, max(0.05, float(c) * gain + s.uniform(-spread, spread))) for c in self._colors[cls]]
        self._rows.append(color + [float(w) * s.uniform(0.7, 1.3) for w in self._weights[cls]])
        return len(self._rows) - 1

    def table(self) -> np.ndarray:
        """Array (things, 7): red, green, blue, three noise weights, stripe weight."""
        return np.asarray(self._rows, np.float32)


def class_looks(key: int, classes: int, colors=None) -> tuple[np.ndarray, np.ndarray]:
    """Return fixed colours (classes, 3) and texture weights (classes, 4), spread out by best-candidate draws.

    `colors` (classes, 3), 0 .. 255, replaces the drawn colours.
    """
    stream = Stream(71, key)
    looks = [stream.array(7)]
    for _ in range(classes - 1):
        trial = stream.array(40, 7)
        gap = np.stack([((trial - other) ** 2) for other in looks])
        nearest = (gap[..., 0] + gap[..., 1] + gap[..., 2] + 0.5 * (gap[..., 3] + gap[..., 4] + gap[..., 6])).min(0)
        looks.append(trial[int(nearest.argmax())])
    table = np.stack(looks)
    weights = np.concatenate([0.02 + 0.16 * table[:, 3:6], 0.15 * np.maximum(table[:, 6:] - 0.5, 0)], axis=1)
    drawn = 0.15 + 0.65 * table[:, :3] if colors is None else np.asarray(colors) / 255.0
    return drawn, weights


def paint(canvas: Canvas, things: Things, stream: Stream) -> np.ndarray:
    """Return the picture, uint8 (size, size, 3), of the planes."""
    layers = [value_noise(stream, cells, canvas.size) for cells in CELLS]
    layers.append(_stripes(stream, canvas, layers[0]))
    look = np.take(things.table(), canvas.thing, axis=0)
    shade = sum(layer * look[..., k] for k, layer in enumerate(layers, 3)) + 1.0
    picture = look[..., :3] * (shade * canvas.relief * _light(stream, canvas))[..., None]
    tint = np.asarray([stream.uniform(0.92, 1.08) for _ in range(3)], np.float32)
    return _sensor(stream, np.clip(picture * (255.0 * tint), 0.0, 255.0).astype(np.uint16))


def _stripes(stream: Stream, canvas: Canvas, bend: np.ndarray) -> np.ndarray:
    """Triangle wave in [-1, 1] along a random direction, bent by a smooth noise (furrows, tiles, windows)."""
    dx, dy = stream.direction()
    cells = stream.uniform(30.0, 60.0)
    phase = (canvas.axis * (cells * dx))[None, :] + (canvas.axis * (cells * dy))[:, None]
    phase = phase.astype(np.float32) + bend
    return np.abs((phase - np.floor(phase)) * 4.0 - 2.0) - 1.0


def _light(stream: Stream, canvas: Canvas) -> np.ndarray:
    """Illumination: a slope over the frame, and soft cast shadows."""
    dx, dy = stream.direction()
    gain, slope = stream.uniform(0.75, 1.1), stream.uniform(0.0, 0.3)
    x, y = (canvas.axis - 0.5) * (slope * dx), (canvas.axis - 0.5) * (slope * dy)
    light = (gain + x[None, :] + y[:, None]).astype(np.float32)
    shadow = (value_noise(stream, 3.0, canvas.size) + np.float32(stream.uniform(0.1, 0.6))) * 6.0
    return light + np.clip(shadow, -0.35 * stream.uniform(), 0.0)


def _sensor(stream: Stream, picture: np.ndarray) -> np.ndarray:
    """Blur by (1 2 1)/4 both ways, as a lens and a demosaicing would, then add noise of some grey levels."""
    for axis in (0, 1):
        moved = np.moveaxis(picture, axis, 0)
        inner = 2 * moved[1:-1] + moved[:-2] + moved[2:] + 2
        moved[1:-1] = inner >> 2
    level = stream.integer(2, 7)
    noise = stream.bytes(picture.size).reshape(picture.shape).astype(np.int16)
    noise = ((noise - 128) * level) >> 7
    return np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
