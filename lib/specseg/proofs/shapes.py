"""Closed shapes as binary label maps, for laws that speak of a contour's length and direction."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def disc(n: int, radius: float) -> Tensor:
    """Return a disc of class 1 in the middle of an (n, n) frame, int64.

    >>> int(disc(5, 1.0).sum())
    5
    """
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    return torch.from_numpy((y**2 + x**2 <= radius**2).astype(np.int64))


def polygon(n: int, corners: int, radius: float, *, angle: float = 0.0) -> Tensor:
    """Return a regular polygon of class 1 in the middle of an (n, n) frame, int64; `angle` turns it, in radians.

    `radius` reaches to the corners; at angle 0 a side's normal points along an axis.

    >>> int(polygon(9, 4, 2 * 2**0.5).sum())                            # a square of 5 x 5 pixels
    25
    """
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    inside = np.ones((n, n), dtype=bool)
    for k in range(corners):
        turn = angle + 2 * math.pi * k / corners
        inside &= x * math.cos(turn) + y * math.sin(turn) <= radius * math.cos(math.pi / corners) + 1e-9
    return torch.from_numpy(inside.astype(np.int64))


def closed_shapes(n: int, count: int, *, seed: int = 0) -> list[Tensor]:
    """Return `count` shapes: a disc, a square, the square on its corner, then discs and polygons drawn by `seed`.

    The drawn ones have 3 to 8 corners, any angle, and radii of 0.15 to 0.45 frames.

    >>> len(closed_shapes(33, 4))
    4
    """
    fixed = [disc(n, 0.3 * n), polygon(n, 4, 0.35 * n), polygon(n, 4, 0.35 * n, angle=math.pi / 4)]
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        radius, corners, angle = rng.uniform(0.15, 0.45) * n, int(rng.integers(3, 9)), rng.uniform(0, 2 * math.pi)
        out.append(disc(n, radius) if k % 4 == 0 else polygon(n, corners, radius, angle=angle))
    return [*fixed, *out][:count]
