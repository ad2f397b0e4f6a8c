"""The command `specseg`: its commands, and mistakes that end in one line and a status that is not 0."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toybook


@pytest.fixture
def project(tmp_path) -> Path:
    folder = toybook.make(tmp_path / "a toy")
    shutil.copy(toybook.ROOT / "book" / "build.py", folder / "book")
    shutil.copytree(toybook.ROOT / "book" / "steps", folder / "book" / "steps")
    return folder


def specseg(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    _, env = toybook.command(folder)
    line = [sys.executable, "-m", "specseg.cli", *arguments]
    env |= {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=120)


def test_help_lists_every_command(project):
    said = specseg(project, "--help")
    assert said.returncode == 0
    for word in ("book", "chapter", "data", "ledger"):
        assert f" {word} " in said.stdout, f"{word} is missing:\n{said.stdout}"
    for group, words in {"ledger": ("accept", "show", "touched"), "data": ("list", "verify")}.items():
        text = specseg(project, group, "--help").stdout
        assert all(f" {w} " in text for w in words), text


def test_the_version_is_the_one_of_the_project(project):
    import specseg as library

    assert specseg(project, "--version").stdout.strip() == f"specseg {library.__version__}"


def one_line(said: subprocess.CompletedProcess, *words: str) -> None:
    text = said.stdout + said.stderr
    assert said.returncode not in (0, None), text
    assert len(text.strip().splitlines()) == 1, f"more than one line:\n{text}"
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ledger", "show"), ("no book has been built yet", "specseg book")),
        (("ledger", "touched", "nowhere.py"), ("specseg: no such file: nowhere.py",)),
        (("ledger", "touched", "--since", "nowhere"), ("specseg: git cannot compare with 'nowhere'",)),
        (("book", "--profile", "smokey"), ("unknown profile 'smokey'", "smoke, standard, paper")),
        (("chapter", "99"), ("no chapter '99'",)),
        (("data", "verify", "nothing"), ("specseg: no manifest for data set 'nothing'",)),
        (("chapter", "10", "-p", "scael=2"), ("unknown parameter 'scael'",)),
    ],
)
def test_mistakes_are_one_line(project, arguments, words):
    one_line(specseg(project, *arguments), *words)


def test_mistakes_outside_of_a_project_are_one_line(project):
    (project / "book").rename(project / "boek")
    (project / "profiles.toml").rename(project / "profielen.toml")
    one_line(specseg(project, "book"), "SPECSEG_ROOT", "profiles.toml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chapter", "10", "-p", "scale"), "expected NAME=VALUE"),
        (("boek",), "No such command 'boek'"),
    ],
)
def test_wrong_words_on_the_command_line_show_the_usage(project, arguments, words):
    said = specseg(project, *arguments)
    assert said.returncode == 2 and words in said.stderr and "usage:" in said.stderr.lower()
    assert "Traceback" not in said.stderr


def ledger(project: Path) -> None:
    keys = ("id", "locator", "verdict", "chapter", "found", "reason")
    rows = [
        dict(zip(keys, values, strict=True))
        for values in (
            ("toy-sum", "Eq. 1", "confirmed", "10_first", "2", ""),
            ("toy-later", "Eq. 2", "not run", "30_later", "", "why"),
        )
    ]
    path = project / "_build" / "html" / "ledger.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"claims": rows}))


def test_the_ledger_is_shown_and_filtered(project):
    ledger(project)
    both = specseg(project, "ledger", "show").stdout
    assert "toy-sum" in both and "toy-later" in both and "why" in both
    some = specseg(project, "ledger", "show", "--verdict", "confirmed").stdout
    assert "toy-sum" in some and "toy-later" not in some
    some = specseg(project, "ledger", "show", "--chapter", "30").stdout
    assert "toy-later" in some and "toy-sum" not in some
    one_line(specseg(project, "ledger", "show", "--verdict", "confirmd"), "verdicts in this book: confirmed, not run")


def test_what_a_file_touches(project):
    text = specseg(project, "ledger", "touched", "lib/specseg/advise/recommend.py").stdout
    assert "chapters/10_first.py" in text and "toy-sum (10_first)" in text and "20_second" not in text


@pytest.mark.book
def test_a_chapter_runs_and_the_status_of_the_driver_comes_back(project):
    said = specseg(project, "chapter", "10", "-p", "scale=1")
    assert said.returncode == 0 and "confirmed" in said.stdout, said.stdout + said.stderr
    assert (project / "book" / "chapters" / "smoke" / "10_first.ipynb").is_file()
    said = specseg(project, "chapter", "10", "-p", "scale=0")
    assert said.returncode == 1 and "the mutant (2) passes" in said.stderr


@pytest.mark.parametrize("option", ["", "-p", "-p=", "--parameter=", "--param="])
def test_a_folder_is_named_from_where_the_reader_stands(tmp_path, monkeypatch, option):
    from specseg.cli import _whole

    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps").mkdir()
    assert _whole(f"{option}folder=maps") == f"{option}folder={tmp_path / 'maps'}"
    assert _whole(f"{option}folder=none") == f"{option}folder=none" and _whole(f"{option}scale=1") == f"{option}scale=1"


@pytest.mark.book
def test_ctrl_c_lets_the_driver_tidy_up(project):
    """A terminal sends Ctrl-C to both processes; the command must wait for the driver, not kill it."""
    first = project / "chapters" / "10_first.py"
    sleep = "import time\n(config.root() / 'sign').touch()\ntime.sleep(100)\n"
    first.write_text(first.read_text().replace("total = 1 + scale", sleep + "total = 1 + scale"))
    _, env = toybook.command(project)
    line = [sys.executable, "-m", "specseg.cli", "chapter", "10"]
    process = subprocess.Popen(line, cwd=project, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    end = time.monotonic() + 60
    while not (project / "sign").exists():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "the last good book is untouched" in said, said
    assert list((project / "book" / "chapters" / "smoke").iterdir()) == [], "a half-finished run was left"
