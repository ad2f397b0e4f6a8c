"""Cells that fail, die or fill the disk; files that are damaged; code that has changed."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from toysweep import Toy


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path / "a root", [{"seed": s, "steps": 3, "pause": 0.02} for s in range(4)])


@pytest.mark.parametrize("launcher", ["in-process", "local"])
def test_a_failed_cell_is_reported_and_stops_no_other(toy, launcher):
    quick = {"steps": 3, "pause": 0.02}
    toy.cells([{"seed": 0, "kind": "fails", **quick}, {"seed": 1, **quick}, {"seed": 2, "kind": "empty", **quick}])
    run = toy.run("--launcher", launcher)
    assert run.returncode == 1 and "done seed1" in run.stdout
    log = str(toy.folder(0) / "log.txt")
    assert f"ValueError: seed 0: the toy breaks here; log: {log}" in run.stdout
    assert "expected a pandas.DataFrame with some" in run.stdout
    assert "Traceback" in (toy.folder(0) / "error.txt").read_text() and "Traceback" in Path(log).read_text()
    again = toy.run("--launcher", launcher)
    assert (
        again.returncode == 1 and "0 to do" in again.stdout and "--retry-failed" in again.stdout and log in again.stdout
    )
    (toy.root / "mended").touch()
    mended = toy.run("--launcher", launcher, "--retry-failed", "--only", "seed0")
    assert mended.returncode == 0 and not (toy.folder(0) / "error.txt").exists(), mended.stdout + mended.stderr
    assert toy.lines("begun.txt").count("") == 0 and len([x for x in toy.lines("ended.txt") if x == "1"]) == 1


def test_a_cell_that_is_killed_alone_is_told_and_goes_on_next_time(toy):
    toy.cells([{"seed": 0, "kind": "dies", "steps": 3, "pause": 0.02}, {"seed": 1, "steps": 3, "pause": 0.02}])
    run = toy.run("--launcher", "local")
    assert run.returncode == 1 and "killed by SIGKILL; run again to go on" in run.stdout and "done seed1" in run.stdout
    toy.run("--launcher", "local")
    toy.run("--launcher", "local")
    assert toy.run("--launcher", "local").returncode == 0
    assert [line.split(" by")[0] for line in toy.lines("begun.txt") if line[0] == "0"] == [
        f"0 from {k}" for k in range(4)
    ]


@pytest.mark.parametrize("launcher", ["in-process", "local"])
def test_uncommitted_code_is_refused_before_the_work_unless_asked(toy, launcher):
    """The check stands before the first cell; a job that starts later, from other files, checks again."""
    toy.cells([{"seed": 5, "steps": 2, "pause": 0.01}])
    (toy.root / "recording").touch()
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "all")):
        subprocess.run(["git", *name, *words], cwd=toy.root, check=True, capture_output=True)
    with toy.file.open("a") as out:
        out.write("# more\n")
    refused = toy.run("--launcher", launcher)
    assert refused.returncode == 2 and "uncommitted: experiments/toy_cells.py" in refused.stderr, refused.stderr
    assert not toy.lines("begun.txt"), "nothing was computed"
    assert toy.run("--dry-run").returncode == 0
    allowed = toy.run("--launcher", launcher, "--allow-dirty")
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    metas = [json.loads(p.read_text()) for p in (toy.root / "results").glob("*/*/record.json")]
    assert [m["dirty"] for m in metas] == [True] and "--allow-dirty" not in metas[0]["command"]


def test_a_job_of_uncommitted_code_fails_before_its_work(toy):
    toy.cells([{"seed": 5, "steps": 2, "pause": 0.01}])
    subprocess.run(["git", "init", "-q"], cwd=toy.root, check=True)
    key = toy.run("list").stdout.split("seed5-")[1].split()[0]
    job = toy.run("worker", "--cell", f"seed5-{key}")
    assert job.returncode == 1 and not toy.lines("begun.txt")
    assert "Uncommitted: uncommitted: experiments/toy_cells.py" in toy.log(5)


def test_a_record_is_written_once_even_when_killed_right_after(toy):
    (toy.root / "recording").touch()
    toy.cells([{"seed": 5, "kind": "dies after its record", "steps": 2, "pause": 0.01}])
    assert toy.run().returncode == -signal.SIGKILL
    first = list((toy.root / "results").glob("*/*/record.json"))
    assert len(first) == 1 and not (toy.folder(5) / "done.json").exists()
    assert toy.run().returncode == 0
    assert list((toy.root / "results").glob("*/*/record.json")) == first
    done = json.loads((toy.folder(5) / "done.json").read_text())
    assert toy.root / done["record"] == first[0].parent


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_limit_of_file_size_fails_the_cell_with_a_clear_message(toy):
    toy.cells([{"seed": 1, "kind": "fills", "steps": 2, "pause": 0.01}, {"seed": 2, "steps": 2, "pause": 0.01}])
    run = toy.run(preexec_fn=limit_files)
    assert run.returncode == 1 and "a limit of file size is reached" in run.stdout and "done seed2" in run.stdout
    assert not (toy.folder(1) / "done.json").exists() and not (toy.folder(1) / "rows.csv").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 400 kB, where this process may mount one."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk; the limit of file size is tested instead")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("launcher", ["in-process", "local"])
def test_a_full_disk_fails_the_cell_and_nothing_half_written_counts(toy, small_disk, launcher):
    toy.cells([{"seed": 1, "kind": "fills", "steps": 2, "pause": 0.01}])
    words = ["--launcher", launcher, "--folder", str(small_disk)]
    run = toy.run(*words)
    assert run.returncode == 1 and re.search(r"the disk is full .*\d+ bytes left", run.stdout), run.stdout
    (folder,) = (small_disk / "toy_cells" / "smoke").iterdir()
    assert not (folder / "done.json").exists() and not (folder / "rows.csv").exists()
    assert "the disk is full" in (folder / "error.txt").read_text(), "kept room tells of it"
    assert shutil.disk_usage(small_disk).free < 20_000
    assert "the disk is full" in toy.run("status", "--folder", str(small_disk)).stdout
    (folder / "big.bin").unlink()
    toy.file.write_text(toy.file.read_text().replace('"fills"', '"filled"'))
    assert toy.run(*words, "--retry-failed").returncode == 0, "with room again it goes on"
    assert toy.lines("begun.txt")[1].startswith("1 from 1 ")


def test_a_disk_that_is_full_before_the_start(toy, small_disk):
    with pytest.raises(OSError), open(small_disk / "ballast", "wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    run = toy.run("--folder", str(small_disk), "--limit", "1")
    assert run.returncode == 1 and "the disk is full" in run.stdout and "Traceback" not in run.stderr, run.stderr


def test_damaged_files_are_put_aside_and_made_again(toy):
    (toy.root / "recording").touch()
    assert toy.run().returncode == 0
    rows = toy.rows()
    (toy.folder(0) / "done.json").write_text("{")
    with (toy.folder(1) / "rows.csv").open("a") as file:
        file.write("9,chain,0.5\n")
    table = toy.run("status").stdout
    assert len(re.findall(r" damaged ", table)) == 2 and not list(toy.home.glob("*/aside"))
    run = toy.run()
    assert run.returncode == 0 and "done.json: not JSON" in run.stdout and "rows.csv: its sha256 is not" in run.stdout
    assert [p.name for p in (toy.folder(0) / "aside" / "1").iterdir()] in (
        ["done.json", "rows.csv"],
        ["rows.csv", "done.json"],
    )
    assert "0.5" in (toy.folder(1) / "aside" / "1" / "rows.csv").read_text()
    assert all(frame.equals(rows[key]) for key, frame in toy.rows().items()) and len(toy.rows()) == 4
    assert Counter(toy.lines("ended.txt")) == {"0": 2, "1": 2, "2": 1, "3": 1}
    assert len(list((toy.root / "results").glob("*/*/record.json"))) == 4, "the same rows are recorded once"


def test_changed_code_is_told_and_done_again_only_when_asked(toy):
    (toy.root / "recording").touch()
    engine = toy.root / "lib" / "specseg" / "config.py"
    engine.parent.mkdir(parents=True)
    engine.with_name("engine.py").write_text("SCALE = 1\n")
    toy.file.write_text(
        toy.file.read_text().replace("import hashlib", "def never():\n    import specseg.engine\n\n\nimport hashlib", 1)
    )
    assert toy.run("--limit", "1").returncode == 0
    engine.with_name("engine.py").write_text("# a remark\nSCALE = 1\n")
    assert "code changed" not in toy.run("status").stdout
    engine.with_name("engine.py").write_text("SCALE = 2\n")
    assert "code changed since: specseg.engine" in toy.run("status").stdout
    run = toy.run("--only", "seed0")
    assert run.returncode == 0 and "--redo-stale does them again" in run.stdout and len(toy.lines("ended.txt")) == 1
    assert toy.run("--only", "seed0", "--redo-stale").returncode == 0
    assert len(toy.lines("ended.txt")) == 2 and toy.lines("begun.txt")[1].startswith("0 from 0 "), "from the beginning"
    assert (toy.folder(0) / "aside" / "1" / "state.json").exists() and "code changed" not in toy.run("status").stdout
    assert len(list((toy.root / "results").glob("*/*/record.json"))) == 2, "records are only ever added"
    shutil.move(toy.root / "results", toy.root / "lost")
    assert "record.json: missing" in toy.run("status").stdout


def test_a_cell_begun_by_other_code_is_marked(toy):
    toy.cells([{"seed": 0, "kind": "fails", "steps": 4, "pause": 0.01}])
    assert toy.run().returncode == 1
    toy.file.write_text(toy.file.read_text().replace("seed {cell.seed}: the toy", "the toy") + "\nLATER = 1\n")
    (toy.root / "mended").touch()
    assert toy.run("--retry-failed").returncode == 0
    assert json.loads((toy.folder(0) / "done.json").read_text())["modules"] == {"script": "changed during the run"}
    assert "code changed since: script" in toy.run("status").stdout
