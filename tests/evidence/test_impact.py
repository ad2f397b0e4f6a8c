"""What a change touches: modules, chapters, experiments, records, claims, through imports of any depth."""

from __future__ import annotations

import subprocess
from pathlib import Path

import ledgers
import pandas as pd
import pytest

from specseg.evidence import impact, records

CHAPTER = "# %% [markdown]\n# # T\n# %%\nfrom specseg import {}\n"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    files = {
        "profiles.toml": "[smoke]\n",
        "lib/specseg/__init__.py": "",
        "lib/specseg/evidence/config.py": "",
        "lib/specseg/base.py": "x = 1\n",
        "lib/specseg/user.py": "from specseg import base\n",
        "lib/specseg/lonely.py": "",
        "chapters/10_first.py": CHAPTER.format("user"),
        "chapters/20_second.py": CHAPTER.format("config"),
        "experiments/run.py": "from specseg import base\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "paper").mkdir()
    ledgers.write(tmp_path / "paper" / "claims.toml", [ledgers.MINIMAL, {**ledgers.MINIMAL, "id": "eq02-other",
                                                                         "chapter": "20_second"}])  # fmt: skip
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    return tmp_path


def test_a_module_touches_all_that_rests_on_it(project):
    run = records.write("run", pd.DataFrame({"value": [1]}), command="x", profile="smoke",
                        script=project / "experiments" / "run.py")  # fmt: skip
    touched = impact.touched([project / "lib" / "specseg" / "base.py"])
    assert touched == {
        "changed modules": ["specseg.base"],
        "chapters": ["chapters/10_first.py"],
        "experiments": ["experiments/run.py"],
        "records": [f"run/{run.name}: fresh"],
        "claims": ["eq01-sum (10_first)"],
    }
    (project / "lib" / "specseg" / "base.py").write_text("x = 2\n")
    assert impact.touched([project / "lib" / "specseg" / "base.py"])["records"] == [
        f"run/{run.name}: stale: specseg.base changed since"
    ]


@pytest.mark.parametrize(
    ("file", "chapters"),
    [
        ("lib/specseg/user.py", ["chapters/10_first.py"]),
        ("lib/specseg/lonely.py", []),
        ("lib/specseg/__init__.py", ["chapters/10_first.py", "chapters/20_second.py"]),
        ("chapters/20_second.py", ["chapters/20_second.py"]),
        ("README.md", []),
    ],
)
def test_chapters(project, file, chapters):
    assert impact.touched([project / file])["chapters"] == chapters


def test_an_experiment_touches_its_records(project):
    run = records.write("run", pd.DataFrame({"value": [1]}), command="x", profile="smoke",
                        script=project / "experiments" / "run.py")  # fmt: skip
    touched = impact.touched([project / "experiments" / "run.py"])
    assert touched["experiments"] == ["experiments/run.py"] and touched["records"] == [f"run/{run.name}: fresh"]


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_git_says_what_has_changed(project):
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "all")
    assert impact.changed() == []
    (project / "lib" / "specseg" / "base.py").write_text("x = 2\n")
    (project / "lib" / "specseg" / "lonely.py").unlink()
    (project / "new.py").write_text("")
    assert sorted(p.relative_to(project).as_posix() for p in impact.changed()) == [
        "lib/specseg/base.py", "lib/specseg/lonely.py", "new.py"]  # fmt: skip
    assert impact.touched(impact.changed())["changed modules"] == ["specseg.base", "specseg.lonely"]
    with pytest.raises(ValueError, match="git cannot compare with 'nowhere'"):
        impact.changed("nowhere")


def test_outside_of_a_checkout_it_is_said(project):
    with pytest.raises(ValueError, match="git cannot compare with 'HEAD'"):
        impact.changed()
