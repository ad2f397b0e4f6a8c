"""Drawing for the synthetic scenes: only operations whose result is the same on every platform.

Random numbers come from PCG64's raw stream (numpy keeps it for ever); all arithmetic is + - * / and square roots, which
IEEE 754 rounds the same way everywhere (no sine, exponential, matrix product or pairwise sum).
"""

from __future__ import annotations

import math

import numpy as np


class Stream:
    """Uniform random numbers from the raw bits of PCG64.

    >>> Stream(1, 2).uniform() == Stream(1, 2).uniform()
    True
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([int(k) for k in key]))

    def array(self, *shape: int) -> np.ndarray:
        """Uniform float64 in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=np.int64)))
        return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def bytes(self, count: int) -> np.ndarray:
        """`count` uniform bytes."""
        return self._bits.random_raw(-(-count // 8)).astype("<u8").view(np.uint8)[:count]

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        return low + (high - low) * ((int(self._bits.random_raw()) >> 11) * 2.0**-53)

    def integer(self, low: int, high: int) -> int:
        """One integer in low .. high - 1."""
        return low + int(self.uniform() * (high - low))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.uniform() < probability

    def rounded(self, mean: float) -> int:
        """`mean` rounded up or down at random, so that its expectation is `mean`."""
        return int(mean + self.uniform())

    def direction(self) -> tuple[float, float]:
        """A unit vector, uniform over the circle (by rejection: no sine)."""
        while True:
            x, y = self.uniform(-1, 1), self.uniform(-1, 1)
            r2 = x * x + y * y
            if 0.01 < r2 <= 1.0:
                r = math.sqrt(r2)
                return x / r, y / r


def value_noise(stream: Stream, cells: float, size: int) -> np.ndarray:
    """Smooth noise in [-1, 1), (size, size): uniform values on a lattice, `cells` per frame, interpolated smoothly."""
    knots = int(cells) + 2
    lattice = (2.0 * stream.array(knots, knots) - 1.0).astype(np.float32)
    dx, dy = stream.uniform(), stream.uniform()
    rows, wy = _taps(size, cells, dy, knots)
    cols, wx = _taps(size, cells, dx, knots)
    wide = lattice[:, cols] + (lattice[:, np.minimum(cols + 1, knots - 1)] - lattice[:, cols]) * wx[None, :]
    low = wide[rows]
    return low + (wide[np.minimum(rows + 1, knots - 1)] - low) * wy[:, None]


def _taps(size: int, cells: float, shift: float, knots: int) -> tuple[np.ndarray, np.ndarray]:
    room = knots - 1 - cells  # how far the frame can slide on the lattice
    x = (np.arange(size) + 0.5) / size * cells + shift * room
    left = np.minimum(x.astype(np.int64), knots - 2)
    w = x - left
    return left, (w * w * (3.0 - 2.0 * w)).astype(np.float32)


class Canvas:
    """Planes of one scene: class of each pixel, number of the thing it belongs to, and its relief (1 = lit flat).

    Coordinates are in frame sides, x to the right and y down; a shape is never thinner than one pixel.
    """

    def __init__(self, size: int, cls: int, thing: int = 0) -> None:
        self.size = size
        self.label = np.full((size, size), cls, np.uint8)
        self.thing = np.full((size, size), thing, np.uint16)
        self.relief = np.ones((size, size), np.float32)
        self.axis = (np.arange(size) + 0.5) / size

    def window(self, x0: float, y0: float, x1: float, y1: float):
        """Row and column slices of the box, with the pixel centres in it as (y column, x row); empty when outside."""
        starts = [max(0, int(v * self.size)) for v in (y0, x0)]
        stops = [min(self.size, int(v * self.size) + 1) for v in (y1, x1)]
        rows, cols = (slice(a, max(a, b)) for a, b in zip(starts, stops, strict=True))
        return (rows, cols), self.axis[rows, None], self.axis[None, cols]

    def put(self, where, mask, cls: int, thing: int, relief=None) -> None:
        """Write class, thing and relief where `mask` holds in the window; class -1 keeps the label (image only)."""
        if cls >= 0:
            self.label[where][mask] = cls
        self.thing[where][mask] = thing
        if relief is not None:
            self.relief[where][mask] = relief[mask] if np.ndim(relief) else relief

    def ellipse(self, x, y, rx, ry, cls, thing, *, axis=(1.0, 0.0), warp=None, amount=0.0) -> None:
        """Ellipse about (x, y) with half-axes rx, ry along `axis`; `warp` * `amount` moves its edge in and out."""
        rx, ry = max(rx, 0.5 / self.size), max(ry, 0.5 / self.size)
        a, b = abs(axis[0]), abs(axis[1])
        grow = math.sqrt(1.0 + amount) if warp is not None else 1.0
        ex, ey = (rx * a + ry * b) * grow, (rx * b + ry * a) * grow
        where, yy, xx = self.window(x - ex, y - ey, x + ex, y + ey)
        dy, dx = yy - y, xx - x
        u = (dx * axis[0] + dy * axis[1]) / rx
        v = (dy * axis[0] - dx * axis[1]) / ry
        r2 = u * u + v * v
        edge = 1.0 + amount * warp[where] if warp is not None else 1.0
        self.put(where, r2 < edge, cls, thing, (1.08 - 0.22 * r2 - 0.15 * v).astype(np.float32))

    def box(self, x0, y0, x1, y1, cls, thing, relief: float = 1.0) -> None:
        """Upright rectangle."""
        x1, y1 = max(x1, x0 + 1.0 / self.size), max(y1, y0 + 1.0 / self.size)
        n = self.size
        c0, c1 = max(0, int(x0 * n + 0.5)), min(n, int(x1 * n + 0.5))
        r0, r1 = max(0, int(y0 * n + 0.5)), min(n, int(y1 * n + 0.5))
        if c0 < c1 and r0 < r1:
            self.put((slice(r0, r1), slice(c0, c1)), ..., cls, thing, relief)

    def bar(self, x0, y0, x1, y1, width, cls, thing) -> None:
        """Straight bar of that width (at least one pixel) with round ends, lit from the left."""
        half = max(width, 1.0 / self.size) / 2
        near = min(x0, x1) - half, min(y0, y1) - half
        where, yy, xx = self.window(*near, max(x0, x1) + half, max(y0, y1) + half)
        dx, dy = x1 - x0, y1 - y0
        length2 = max(dx * dx + dy * dy, 1e-12)
        along = np.clip(((xx - x0) * dx + (yy - y0) * dy) / length2, 0.0, 1.0)
        ox, oy = xx - x0 - along * dx, yy - y0 - along * dy
        self.put(where, ox * ox + oy * oy <= half * half, cls, thing, (1.0 - 0.25 * ox / half).astype(np.float32))

    def convex(self, points, cls, thing, relief: float = 1.0) -> None:
        """Convex polygon given by its corners in clockwise order on the screen (y down)."""
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        where, yy, xx = self.window(min(xs), min(ys), max(xs), max(ys))
        mask = np.ones((yy.shape[0], xx.shape[1]), bool)
        for (ax, ay), (bx, by) in zip(points, points[1:] + points[:1], strict=True):
            mask &= (bx - ax) * (yy - ay) - (by - ay) * (xx - ax) >= 0
        self.put(where, mask, cls, thing, np.float32(relief))
