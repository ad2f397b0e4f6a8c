"""Coarse contours: labels drawn as polygons with as many values as block-wise labels have (sections 1 and 3.3).

Blocks have band limit nu_max (cycles per frame).
Sources: Chen, Chiu and Wu, arXiv 2012.14123; simplification: Douglas and Peucker 1973, to a number of vertices.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from contourpy import contour_generator

from specseg.spectral.labels import cells


def simplify(line: np.ndarray, vertices: int) -> np.ndarray:
    """Return at most `vertices` corners of a closed line (n, 2): those that Douglas and Peucker would take first.

    Starts from the first point and the one farthest from it, then always adds the point that lies farthest from the
    polygon so far. Raises ValueError for fewer than 3 vertices.

    >>> square = np.array([[0., 0.], [1, 0], [2, 0], [2, 2], [1, 2], [0, 2], [0, 1]])
    >>> sorted(map(tuple, simplify(square, 4).tolist()))
    [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 2.0)]
    """
    if vertices < 3:
        raise ValueError(f"vertices {vertices}: expected at least 3")
    if len(line) <= vertices:
        return line
    ring = np.concatenate([line, line[:1]])
    far = int(((line - line[0]) ** 2).sum(1).argmax())
    kept, heap = {0, far}, []

    def push(a: int, b: int) -> None:
        if b - a > 1:
            along, off = ring[b] - ring[a], ring[a + 1 : b] - ring[a]
            length = np.hypot(*along)
            cross = np.abs(off[:, 0] * along[1] - off[:, 1] * along[0])
            distance = cross / length if length > 0 else np.hypot(*off.T)
            k = int(distance.argmax())
            heapq.heappush(heap, (-float(distance[k]), a, a + 1 + k, b))

    push(0, far)
    push(far, len(line))
    while heap and len(kept) < vertices:
        _, a, k, b = heapq.heappop(heap)
        kept.add(k)
        push(a, k)
        push(k, b)
    return line[sorted(kept)]


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Return the closed contours of a 0/1 map (H, W), holes too, as points (n, 2) of (x, y) in pixels.

    Contours lie half-way between pixels inside and outside; outside the frame is outside.

    >>> [line.shape[1] for line in outlines(np.ones((3, 3)))]
    [2]
    """
    padded = np.pad(np.asarray(mask, float), 1)
    return [line[:-1] - 1 for line in contour_generator(z=padded).lines(0.5) if len(line) > 3]


def inside(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return where pixel centres lie inside an odd number of closed polygons of (x, y): bool (H, W).

    >>> inside([np.array([[0.5, -1], [2.5, -1], [2.5, 9], [0.5, 9]])], (2, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    height, width = shape
    flips = np.zeros((height, width + 1), np.int64)
    for corners in polygons:
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            low, high = sorted((y0, y1))
            rows = np.arange(max(0, int(np.ceil(low))), min(height, int(np.ceil(high))))
            if len(rows):
                at = np.ceil(x0 + (rows - y0) * (x1 - x0) / (y1 - y0)).astype(int)
                np.add.at(flips, (rows, at.clip(0, width)), 1)
    return flips.cumsum(1)[:, :width] % 2 == 1


def values_of(line: np.ndarray, size: int, nu_max: int) -> int:
    """Return how many blocks of nu_max a contour runs through: the values that block labels spend on it."""
    _, cell = (x.numpy() for x in cells(size, 2 * nu_max + 1))
    at = np.clip(np.round(line).astype(int), 0, size - 1)
    return len(np.unique(cell[at[:, 1]] * (2 * nu_max + 1) + cell[at[:, 0]]))


def polygon_labels(label: np.ndarray, nu_max: int, *, budget: int | None = None) -> np.ndarray:
    """Return a label map drawn as polygons with as many free values per contour as its blocks have: int64 (N, N).

    A contour that runs through k blocks becomes a polygon of k/2 vertices (two numbers each), 3 at least; `budget` sets
    the number of vertices instead. Holes are contours of their own. Classes are painted over each other from the
    largest to the smallest, the largest without a contour. `label` without void: fill it first.
    """
    classes, areas = np.unique(label, return_counts=True)
    order = classes[np.argsort(-areas, kind="stable")]
    out = np.full(label.shape, order[0], np.int64)
    for c in order[1:]:
        lines = outlines(label == c)
        corners = [simplify(x, budget or max(3, values_of(x, label.shape[0], nu_max) // 2)) for x in lines]
        out[inside(corners, label.shape)] = c
    return out
