"""`specseg advise` as a reader runs it: some in processes of their own, one of them killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from conftest import ROOT, specseg
from PIL import Image

from specseg.advise import report
from specseg.advise.settings import Settings
from specseg.data import synthetic
from specseg.evidence import config

COUNT = len(synthetic.CLASSES["landcover"])


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "labels"
    home.mkdir()
    for k in range(6):
        label = synthetic.scene("landcover", 1_000_000 + k, 65).label
        Image.fromarray(label.astype(np.uint8)).save(home / f"m{k}.png")
    return home


def start(*arguments: object) -> subprocess.Popen:
    code = "from specseg.cli import main; main()"  # as the console script does, where none is installed too
    environment = {**os.environ, "COLUMNS": "100", "OMP_NUM_THREADS": "1", "SPECSEG_ROOT": str(config.root())}
    return subprocess.Popen([sys.executable, "-c", code, "advise", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=environment)  # fmt: skip


def test_a_folder_with_a_bad_file_in_it(folder, tmp_path):
    (folder / "m9.png").write_bytes((folder / "m0.png").read_bytes()[:200])
    run = start(folder, "--classes", COUNT, "--size", 65, "--keep-going", "--out", tmp_path / "out")
    output, errors = run.communicate(timeout=600)
    assert run.returncode == 0, errors
    assert errors == ""
    assert "6 of 7 maps measured" in output and "Take care" in output and "Few maps: 6" in output
    assert "BAD" in output and "m9.png: damaged or cut" in output.replace("\n", "")
    data = json.loads((tmp_path / "out/advice.json").read_text(encoding="utf-8"))
    schema = json.loads((config.root() / "book/_static/advice.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    assert [b["file"] for b in data["data"]["bad"]] == ["m9"] and data["title"] == "labels"
    html = (tmp_path / "out/advice.html").read_text(encoding="utf-8")
    assert "m9.png: damaged or cut" in html and html.count("<figure") == 6


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(what, seconds: float = 600):  # a loaded machine is slow, not wrong
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc to find the workers")
def test_a_killed_run_leaves_no_process_and_the_next_goes_on(tmp_path):
    home, out = tmp_path / "labels", tmp_path / "out"
    home.mkdir()
    for k in range(96):  # six chunks of sixteen
        scene = synthetic.scene("landcover", 1_000_000 + k % 8, 129).label
        Image.fromarray(np.roll(scene, k, axis=0).astype(np.uint8)).save(home / f"m{k:03d}.png")
    run = start(home, "--classes", COUNT, "--size", 129, "--out", out, "--workers", 2)
    try:
        wait_for(lambda: list(out.glob("work/labels-*/0*.npz")) or run.poll() is not None)
        workers = children(run.pid)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert run.returncode == -signal.SIGKILL and workers
    wait_for(lambda: not any(map(alive, workers)), 60)
    kept = {f.name: f.stat().st_mtime_ns for f in out.glob("work/labels-*/[0-9][0-9][0-9][0-9][0-9].npz")}
    assert 0 < len(kept) < 6 and not (out / "advice.json").exists()
    again = report.advise(home, Settings(size=129), classes=COUNT, out=out).data
    now = {f.name: f.stat().st_mtime_ns for f in out.glob("work/labels-*/[0-9][0-9][0-9][0-9][0-9].npz")}
    assert len(now) == 6 and all(now[name] == stamp for name, stamp in kept.items())  # finished chunks were not redone
    alone = report.advise(home, Settings(size=129), classes=COUNT, out=tmp_path / "alone").data
    assert again == alone  # what two workers measured before the kill is what one measures


def test_a_stopped_run_says_how_to_go_on(tmp_path):
    home, out = tmp_path / "labels", tmp_path / "out"
    home.mkdir()
    for k in range(64):
        scene = synthetic.scene("landcover", 1_000_000 + k % 4, 129).label
        Image.fromarray(np.roll(scene, k, axis=0).astype(np.uint8)).save(home / f"m{k:03d}.png")
    run = start(home, "--classes", COUNT, "--size", 129, "--out", out, "--workers", 1)
    wait_for(lambda: list(out.glob("work/labels-*/0*.npz")) or run.poll() is not None)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=600)
    assert run.returncode == 130 and "the same command goes on from there" in errors and "Traceback" not in errors


def test_softmax_outputs_are_read_when_asked_and_named_when_not(folder, tmp_path):
    home = tmp_path / "logits"
    home.mkdir()
    for file in folder.glob("*.png"):
        known = np.asarray(Image.open(file)) == np.arange(COUNT)[:, None, None]
        shares = np.where(known, 0.7, 0.3 / (COUNT - 1))
        np.save(home / f"{file.stem}.npy", shares)
    common = (folder, "--classes", COUNT, "--size", 65, "--logits", home, "--out", tmp_path / "out")
    plain = specseg("advise", *common)
    assert plain.returncode != 0 and "--probabilities" in plain.stderr and "Traceback" not in plain.stderr
    asked = specseg("advise", *common, "--probabilities", "--out", tmp_path / "asked", COLUMNS="100")
    assert asked.returncode == 0 and "mIoU of the logits 1.000" in asked.stdout, asked.stderr


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ((), r"m9\.png: damaged or cut image"),
        (("--map", "none.toml"), r"none\.toml: no such map file"),
        (("--list", "none.txt"), r"none\.txt: no such file; expected names"),
        (("--logits", "none"), r"none: no such folder; expected one file of logits a label"),
        (("--size", "500"), "size 500: expected 64k"),
        (("--max-drop", "2"), "max_drop 2.0: expected a fraction"),
        (("--sample", "few"), "sample 'few': expected a number of maps above 0, or all"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(folder, tmp_path, extra, words):
    (folder / "m9.png").write_bytes((folder / "m0.png").read_bytes()[:200])
    size = () if "--size" in extra else ("--size", "65")
    run = specseg("advise", folder, *size, "--out", "out", *extra, cwd=tmp_path)
    assert run.returncode == 1 and len(run.stderr.strip().splitlines()) == 1
    assert re.match(rf"specseg: .*{words}", run.stderr), run.stderr


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (("--classes", "3", "--manifest", "dubai"), "give one of them"),
        (("--workers", "0"), "greater than or equal to 1"),
    ],
)
def test_options_that_do_not_go_together(folder, extra, words):
    run = specseg("advise", folder, *extra)
    assert run.returncode == 2 and words in " ".join(run.stderr.replace("│", " ").split())


def test_a_list_of_names(folder, tmp_path):
    (tmp_path / "names.txt").write_text("m1\n\nm3\n")
    arguments = ["--classes", COUNT, "--size", "65", "--list", tmp_path / "names.txt", "--out", tmp_path / "out"]
    run = specseg("advise", folder, *arguments)
    assert run.returncode == 0 and "2 of 2 maps measured" in run.stdout


def test_the_chapter_gives_for_a_folder_what_the_command_gives(folder, tmp_path, monkeypatch):
    """The chapter's own cells, from its parameters to the advice, with a relative folder."""
    import jupytext

    cells = jupytext.read(ROOT / "chapters/90_your_own_data.py").cells
    code = [c.source for c in cells if c.cell_type == "code"]
    asked = next(c for c in code if "report.advise(home" in c)
    imports = next(c for c in code if "from specseg.advise import" in c)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(f"{code[0]}\nfolder, size = 'labels', 65\n{imports}\nsizes = config.profile(profile)\n{asked}", names)
    assert specseg("advise", folder, "--size", 65, "--out", tmp_path / "out").returncode == 0
    assert json.loads((tmp_path / "out/advice.json").read_text(encoding="utf-8")) == names["found"].data
