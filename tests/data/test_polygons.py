"""Polygons with as many values as blocks: closed forms, failures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import polygons as cl
from specseg.spectral import labels as annotation


def disc(size: int, radius: float, at=(0.0, 0.0)) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return ((x - at[0]) ** 2 + (y - at[1]) ** 2 <= radius**2).astype(np.int64)


@pytest.mark.parametrize("vertices", [3, 4, 8, 32])
def test_a_polygon_of_a_disc_has_the_area_of_an_inscribed_one(vertices):
    angle = 2 * np.pi * np.arange(960) / 960
    corners = cl.simplify(100 * np.stack([np.cos(angle), np.sin(angle)], 1), vertices)
    assert len(corners) == vertices
    x, y = corners.T
    area = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    regular = 100**2 * vertices / 2 * np.sin(2 * np.pi / vertices)  # the largest inscribed polygon
    assert 0.75 * regular <= area <= regular * 1.000001  # it starts from a diameter


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 12))
def test_more_vertices_never_lie_farther_off(seed, vertices):
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 40))
    line = rng.uniform(5, 10, 40)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    few, more = cl.simplify(line, vertices), cl.simplify(line, vertices + 3)
    assert len(few) == vertices and {tuple(p) for p in few} <= {tuple(p) for p in more}
    assert np.array_equal(cl.simplify(line, 40), line)
    with pytest.raises(ValueError, match="at least 3"):
        cl.simplify(line, 2)


def test_rectangles_holes_and_the_frames_edge_are_drawn_exactly():
    label = np.zeros((65, 65), np.int64)
    label[10:40, 5:50] = 1
    label[20:30, 20:30] = 0  # a hole
    label[50:, 40:] = 2  # at the frame's edge
    drawn = cl.polygon_labels(label, 16, budget=8)
    wrong = drawn != label
    assert wrong.mean() < 0.005 and not wrong[22:28, 22:28].any() and not wrong[52:, 43:].any()
    assert np.array_equal(cl.polygon_labels(np.full((9, 9), 3), 2), np.full((9, 9), 3))  # one class: no contour


def test_a_contour_has_as_many_values_as_it_meets_blocks():
    (line,) = cl.outlines(disc(65, 20.0))
    size, values = 65, cl.values_of(line, 65, 8)
    _, cell = annotation.cells(size, 17)
    met = {(int(cell[round(float(y))]), int(cell[round(float(x))])) for x, y in line}
    assert values == len(met) and 16 <= values <= 60
    assert cl.values_of(line, 65, 4) < values < cl.values_of(line, 65, 16)


def test_polygons_of_a_disc_come_nearer_with_the_band_limit():
    label = disc(129, 40.0, (3, -5))
    off = [float((cl.polygon_labels(label, nu) != label).mean()) for nu in (2, 4, 16)]
    assert off[0] > off[1] > off[2] and off[2] < 0.01
