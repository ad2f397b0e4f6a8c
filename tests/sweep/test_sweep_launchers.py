"""Launchers with real processes: the same rows, two at once, one that takes over, interrupts."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from toysweep import Toy


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path / "a root", [{"seed": s, "steps": 3, "pause": 0.02} for s in range(4)])


def wait_for(condition, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def test_every_launcher_ends_with_the_same_rows(toy, tmp_path):
    other = Toy(tmp_path / "another root", json.loads((toy.root / "cells.json").read_text()))
    one, two = toy.run("--profile", "smoke"), other.run("run", "--launcher", "local", "--jobs", "2")
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stdout + two.stderr
    assert "4 cells, 0 done, 4 to do; estimated" in one.stdout and "4/4 done seed3" in one.stdout
    rows = toy.rows()
    assert len(rows) == 4 and rows.keys() == other.rows().keys()
    assert all(frame.equals(other.rows()[key]) for key, frame in rows.items())
    assert toy.lines("contexts.txt")[0].split("|")[:2] == [
        "smoke", f"python experiments/toy_cells.py run --profile smoke --only {toy.folder(0).name}"
    ]  # fmt: skip
    again = toy.run()
    assert again.returncode == 0 and "4 done, 0 to do" in again.stdout
    assert Counter(toy.lines("ended.txt")) == dict.fromkeys("0123", 1), "done cells are never run again"


def test_a_done_cell_says_what_made_it(toy):
    (toy.root / "recording").touch()
    assert toy.run("--only", "seed2").returncode == 0
    done = json.loads((toy.folder(2) / "done.json").read_text())
    assert done["n_rows"] == 10 and done["attempts"] == 1 and done["host"]
    assert re.match(r"cpu \(\d+ cores\)", done["device"]) and 0.05 < done["wall_s"] < 30
    assert set(done["modules"]) == {"script"} and (toy.root / done["record"] / "record.json").is_file()
    record = json.loads((toy.root / done["record"] / "record.json").read_text())
    assert record["command"] == done["command"] and record["wall_s"] == pytest.approx(done["wall_s"], abs=0.01)
    left = {p.name for p in toy.folder(2).iterdir()}
    assert left == {
        "cell.json",
        "clock.json",
        "done.json",
        "lock",
        "log.txt",
        "rows.csv",
        "state.json",
    }
    assert [p.name for p in toy.home.iterdir()] == [toy.folder(2).name], "--only chose one"


@pytest.mark.parametrize(("launcher", "at_once"), [("in-process", 2), ("local", 4)])
def test_two_launchers_never_do_a_cell_twice(toy, launcher, at_once):
    toy.cells([{"seed": s, "kind": "waits", "steps": 4, "pause": 0.05} for s in range(6)])
    both = [toy.start("--launcher", launcher, "--jobs", "2") for _ in range(2)]
    wait_for(lambda: len(toy.lines("begun.txt")) == at_once)  # each holds its cells: both take part
    (toy.root / "go").touch()
    said = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [0, 0], said
    assert Counter(toy.lines("ended.txt")) == dict.fromkeys("012345", 1)
    assert len(toy.rows()) == len(toy.lines("begun.txt")) == 6


def test_a_second_launcher_takes_over_what_a_dead_one_leaves(toy):
    toy.cells([{"seed": 1, "kind": "holds"}])
    first = toy.start()
    wait_for(lambda: "held at step 5" in toy.log(1))
    said = toy.root / "second.txt"
    with said.open("w") as file:
        second = toy.start(stdout=file, stderr=file)
    wait_for(lambda: "held by others: seed1" in said.read_text())
    assert second.poll() is None and f"process {first.pid} on" in said.read_text(), "it waits, and says for whom"

    def clock() -> dict:
        return json.loads((toy.folder(1) / "clock.json").read_text())

    wait_for(lambda: clock()["wall_s"] > 2)
    first.kill()
    first.communicate()
    spent = clock()["wall_s"]
    wait_for(lambda: len(toy.lines("begun.txt")) == 2)
    assert clock()["attempts"] == 2 and clock()["wall_s"] >= spent, "it counts on from where the first was"
    assert "running" in toy.run("status").stdout
    (toy.root / "go").touch()
    assert second.wait(60) == 0 and "1/1 done" in said.read_text()
    assert not toy.lines("begun.txt")[1].startswith("1 from 0 "), "it went on"
    assert json.loads((toy.folder(1) / "done.json").read_text())["wall_s"] > spent, "seconds of both"


def test_children_end_with_their_launcher(toy):
    toy.cells([{"seed": s, "steps": 600, "pause": 0.1} for s in (1, 2)])
    launcher = toy.start("--launcher", "local")
    wait_for(lambda: len(toy.lines("begun.txt")) == 2)
    pids = [int(line.split(" by ")[1]) for line in toy.lines("begun.txt")]
    launcher.kill()
    launcher.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 20)
    assert "interrupted" in toy.run("status").stdout


@pytest.mark.parametrize(("launcher", "number"), [("in-process", signal.SIGINT), ("local", signal.SIGTERM)])
def test_an_interrupt_ends_at_once_and_loses_nothing(toy, launcher, number):
    toy.cells([{"seed": 1, "kind": "holds"}])
    child = toy.start("--launcher", launcher)
    wait_for(lambda: "held at step 5" in toy.log(1))
    child.send_signal(number)
    child.communicate(timeout=20)
    assert child.returncode == (130 if number == signal.SIGINT else 143)
    assert "interrupted" in toy.log(1) and not (toy.folder(1) / "error.txt").exists()
    assert "interrupted" in toy.run("status").stdout
    (toy.root / "go").touch()
    assert toy.run().returncode == 0 and not toy.lines("begun.txt")[1].startswith("1 from 0 ")
