"""The worked example: every number of its tables by plain arithmetic, written down again here."""

from __future__ import annotations

import ast
from math import cos, isclose, log, radians

import jupytext
import pytest
from conftest import ROOT

from specseg.figures import guide

CHAPTER = ROOT / "chapters" / "05_worked_example.py"


@pytest.fixture(scope="module")
def tables() -> dict[str, tuple[float, float]]:
    """Run the chapter's visible cells and return every step's pair of numbers."""
    space: dict = {"glue": lambda *a, **k: None, "draw": guide}
    for cell in jupytext.read(CHAPTER).cells:
        if cell.cell_type == "code" and "findings" not in cell.source and "figures.show" not in cell.source:
            exec(compile(cell.source, str(CHAPTER), "exec"), space)
    return {
        step: tuple(float(x) for x in pair)
        for name in ("shares", "strengths", "kept", "rates", "operations", "costs", "weak")
        for step, pair in space[name].items()
    }


def by_pixels() -> dict[str, float]:
    """The same numbers from sums over the 81 pixels, without the chapter's short cuts and without the library."""
    rows = ["GGGGGGGGG"] * 3 + ["GGGHHHGGG"] * 3 + ["RRRRRRRRR"] * 3
    rounded = [*rows[:3], "GGGGHGGGG", "GGGHHHGGG", "GGRHHHRGG", *rows[6:]]  # picture 3
    blocks = [*rows[:3], *["GGGHHHHGG"] * 4, *rows[7:]]  # picture 4

    def wave(name: str, u: int, v: int) -> complex:
        at = [(t, s) for t in range(9) for s in range(9) if rows[t][s] == name]
        turn = [radians(360 * (u * s + v * t) / 9) for t, s in at]
        return complex(sum(map(cos, turn)) / 81, -sum(cos(x - radians(90)) for x in turn) / 81)

    def energy(limit: int) -> float:
        few = range(-limit, limit + 1)
        return sum(abs(wave(name, u, v)) ** 2 for name in "GHR" for u in few for v in few)

    def miou(drawn: list[str]) -> float:
        pairs = [(a, b) for one, two in zip(rows, drawn, strict=True) for a, b in zip(one, two, strict=True)]
        both = [sum(a == b == name for a, b in pairs) for name in "GHR"]
        either = [sum(name in pair for pair in pairs) for name in "GHR"]
        return sum(x / y for x, y in zip(both, either, strict=True)) / 3

    def corner(name: str) -> float:  # the plane at row 3, column 3 of its waves up to 1
        return sum((wave(name, u, v) * complex(cos(radians(120 * (u + v))), cos(radians(120 * (u + v) - 90)))).real
                   for u in (-1, 0, 1) for v in (-1, 0, 1))  # fmt: skip

    loss = log(10) - log(8)
    return {
        **{f"share of {word}": "".join(rows).count(word[0].upper()) / 81 for word in ("ground", "house", "road")},
        "house, no wave (its mean)": abs(wave("H", 0, 0)), "house, 1 across": abs(wave("H", 1, 0)),
        "house, 1 across and 2 down": abs(wave("H", 1, 2)), "house, 3 across": abs(wave("H", 3, 0)),
        "road, 1 down": abs(wave("R", 0, 1)),
        **{f"energy kept at band limit {k}": energy(k) for k in (1, 2, 3, 4)},
        "loss": loss, **{f"loss rate at band limit {k}": log(8) * (1 - energy(k)) / loss for k in (1, 2)},
        "operations of the decoder, share": 1 / 9,
        "house at its upper corner": corner("H"), "ground there": corner("G"), "mIoU, waves up to 1": miou(rounded),
        "pixels with another class": sum(a != b for a, b in zip("".join(rows), "".join(blocks), strict=True)),
        "mIoU, blocks": miou(blocks),
    }  # fmt: skip


def test_calculator_and_library_give_what_sums_over_pixels_give(tables):
    counted = by_pixels()
    assert set(tables) == set(counted)
    for step, pair in tables.items():
        for number in pair:
            assert isclose(number, counted[step], abs_tol=1e-9), step


def test_steps_that_differ_stop_the_page():
    with pytest.raises(ValueError, match="differ at a step"):
        guide.compared({"a step": (1.0, 1.1)})


def test_cells_are_short_enough_to_follow():
    for cell in jupytext.read(CHAPTER).cells:
        if cell.cell_type == "code" and "remove" not in str(cell.metadata.get("tags", "")):
            assert len(cell.source.splitlines()) <= 15 and ast.parse(cell.source)
