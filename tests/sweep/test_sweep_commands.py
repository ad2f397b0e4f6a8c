"""Mistakes on the command line are one line each; `specseg sweep` starts the experiments' files."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from toysweep import Toy


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path / "a root", [{"seed": s, "steps": 3, "pause": 0.02} for s in range(4)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--profile", "huge"], "unknown profile 'huge': expected one of smoke, paper"),
        (["--launcher", "pbs"], "invalid choice: 'pbs'"),
        (["--only", "seed77"], "no cell's id holds 'seed77'; one of the 4 is 'seed0-"),
        (["other_cells"], "unknown experiment 'other_cells': this file holds 'toy_cells'"),
        (["--gpus-per-cell", "1"], "--gpus-per-cell is for the launchers local and slurm"),
        (["worker", "--cell", "nowhere"], "no cell 'nowhere' at profile smoke"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_starts(toy, words, message):
    run = toy.run(*words)
    assert run.returncode == 2 and message in run.stderr and "Traceback" not in run.stderr
    assert not (toy.root / "runs").exists() and not toy.lines("begun.txt")


@pytest.mark.parametrize("words", [["--device", "cuda"], ["--launcher", "local", "--gpus-per-cell", "1"]])
def test_a_gpu_that_is_not_there_is_said_before_anything_starts(toy, words):
    toy.env["CUDA_VISIBLE_DEVICES"] = ""
    run = toy.run(*words)
    assert run.returncode == 2 and "torch sees no GPU" in run.stderr and not toy.lines("begun.txt")


def test_slurm_without_slurm(toy):
    toy.env["PATH"] = str(toy.root)
    run = toy.run("--launcher", "slurm")
    assert run.returncode == 2 and "no sbatch here" in run.stderr and not (toy.root / "runs").exists()
    run = toy.run("--launcher", "slurm", "--gpus-per-cell", "1", "--profile", "paper", "--dry-run")
    assert run.returncode == 0 and "estimated 18.00 GPU hours" in run.stdout and "but not here: " in run.stdout


def specseg(toy: Toy, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "specseg.cli", "sweep", *words]
    return subprocess.run(command, cwd=toy.root.parent, env=toy.env, capture_output=True, text=True, timeout=120)


def test_a_signal_to_specseg_sweep_ends_its_cells(toy):
    toy.cells([{"seed": 1, "kind": "waits"}])
    command = [sys.executable, "-m", "specseg.cli", "sweep", "run", "toy_cells"]
    with subprocess.Popen(command, cwd=toy.root.parent, env=toy.env, stdout=subprocess.DEVNULL) as child:
        until = time.monotonic() + 60
        while not toy.lines("begun.txt"):
            assert time.monotonic() < until, "waited in vain"
            time.sleep(0.02)
        child.terminate()
        assert child.wait(60) == 143 and "interrupted (SystemExit)" in toy.log(1)


def test_the_command_specseg_sweep(toy):
    (toy.root / "experiments" / "other.py").write_text('"""No sweep."""\n')
    run = specseg(toy, "list")
    assert "toy_cells" in run.stdout and "Chained hashes" in run.stdout and "other" not in run.stdout
    run = specseg(toy, "run", "--profile", "paper", "toy_cells", "--dry-run", "--launcher", "local")
    assert run.returncode == 0 and "estimated 18.00 CPU hours" in run.stdout and run.stdout.count("would do") == 4, run
    run = specseg(toy, "run", "toy_cells", "--limit", "1", "--folder", "elsewhere")
    assert run.returncode == 0 and list((toy.root.parent / "elsewhere" / "toy_cells" / "smoke").glob("*/done.json"))
    assert "seed3-" in specseg(toy, "list", "toy_cells").stdout
    assert "nothing was begun" in specseg(toy, "status").stdout
    assert "done" in specseg(toy, "status", "toy_cells", "--folder", "elsewhere").stdout
    for words, message in [
        (("run", "nothing"), "unknown experiment 'nothing': expected one of toy_cells"),
        (("run",), "which experiment? One of toy_cells"),
    ]:
        run = specseg(toy, *words)
        assert run.returncode == 1 and message in run.stderr and "Traceback" not in run.stderr
    assert specseg(toy, "run", "toy_cells", "--profile", "huge").returncode == 2
