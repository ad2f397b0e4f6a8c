"""A sweep of half-second cells that is killed at twenty random moments ends with the rows of one that was not."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from toysweep import Toy

CELLS = [{"seed": s, "pause": 0.05} for s in range(4)]  # ten steps of a twentieth of a second each
KILLS = {"in-process": 10, "local": 10}
SEED = 20201214


def killed(root: Path, launcher: str, kills: int) -> list[Toy]:
    """Kill a sweep with everything it started at random moments, then let it end; a new one when it was faster."""
    toys, draw = [], random.Random(f"{SEED} {launcher}")
    while kills:
        if not toys or len(toys[-1].rows()) == len(CELLS):
            toys.append(Toy(root / str(len(toys)), CELLS))
            (toys[-1].root / "recording").touch()
        before = len(toys[-1].lines("begun.txt"))
        child = toys[-1].start("--launcher", launcher, start_new_session=True)
        if kills % 5:  # every fifth is killed while it starts, the others from the first cell to the third
            while len(toys[-1].lines("begun.txt")) == before and child.poll() is None:
                time.sleep(0.02)
        time.sleep(draw.uniform(0.0, 1.2 if kills % 5 else 0.3))
        kills -= child.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    end = toys[-1].run("--launcher", launcher)
    assert end.returncode == 0, end.stdout + end.stderr
    return toys


def test_killed_at_twenty_random_moments_the_rows_are_the_same(tmp_path):
    whole = Toy(tmp_path / "whole", CELLS)
    with ThreadPoolExecutor() as pool:  # the cells sleep: the sweeps do not disturb one another
        plain = pool.submit(whole.run, "--launcher", "local", "--jobs", "4")
        some = [pool.submit(killed, tmp_path / name, name, n) for name, n in KILLS.items()]
        assert plain.result().returncode == 0
        toys = sum((future.result() for future in some), [])
    expected = whole.rows()
    assert len(expected) == len(CELLS) and sum(KILLS.values()) == 20
    for toy in toys:
        rows = toy.rows()
        assert rows.keys() == expected.keys()
        assert all(frame.equals(expected[key]) for key, frame in rows.items())
        assert len(list((toy.root / "results").glob("*/*/record.json"))) == len(CELLS), "one record a cell"
    begun = [line.split(" by ")[0].split(" from ") for toy in toys for line in toy.lines("begun.txt")]
    assert any(0 < int(step) < 10 for _, step in begun), "a cell went on from its middle"
    killed_in = [toy.log(seed) for toy in toys for seed in range(len(CELLS)) if "attempt 2" in toy.log(seed)]
    assert killed_in and not any("interrupted" in text for text in killed_in), "killed, not asked to end"
