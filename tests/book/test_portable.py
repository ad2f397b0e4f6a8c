"""The comparison under other kernels finds a fact that follows them, and passes one that does not."""

from __future__ import annotations

import pytest
import toybook

from steps import portable
from steps.sources import BookError

pytestmark = pytest.mark.book
DEFAULT = "default kernels"


def compared(toy, setting: str):
    return toybook.build(toy, "portable", "--only", "10", "--setting", setting)


def test_a_fact_that_follows_the_kernels_is_found_with_its_size(toy):
    assert toybook.build(toy, "accept").returncode == 0
    run = compared(toy, DEFAULT)
    assert run.returncode == 0 and f"{DEFAULT}: 1 claims, 0 differ" in run.stdout, run.stdout + run.stderr
    first = toy / "chapters" / "10_first.py"
    text = first.read_text(encoding="utf-8")
    moved = "import os\ntotal = 1 + scale + (os.environ.get('ATEN_CPU_CAPABILITY') == 'default') / 500"
    first.write_text(text.replace("total = 1 + scale", moved), encoding="utf-8")
    assert compared(toy, "native").returncode == 0
    run = compared(toy, DEFAULT)
    assert run.returncode == 1
    assert f"{DEFAULT}: toy-sum: verdict 'confirmed' -> 'refuted'" in run.stdout
    assert "toy-sum: printed value 2.0 -> 2.002 (relative difference 1.0e-03, allowed 1e-06)" in run.stdout


def test_a_chapter_that_fails_under_a_setting_is_told(toy):
    assert toybook.build(toy, "accept").returncode == 0
    first = toy / "chapters" / "10_first.py"
    failing = "import os\nassert 'ATEN_CPU_CAPABILITY' not in os.environ\ntotal = 1 + scale"
    first.write_text(first.read_text(encoding="utf-8").replace("total = 1 + scale", failing), encoding="utf-8")
    run = compared(toy, DEFAULT)
    assert run.returncode == 1 and f"book: setting {DEFAULT!r}" in run.stderr and "AssertionError" in run.stderr


def test_unknown_names_are_refused(toy):
    with pytest.raises(BookError, match="unknown setting 'avx9': expected one of native, two threads, default kernels"):
        portable.chosen(["avx9"])
    assert toybook.build(toy, "accept").returncode == 0
    run = toybook.build(toy, "portable", "--only", "99", "--setting", "native")
    assert run.returncode == 1 and "no chapter '99'; there are 10, 20" in run.stderr


def test_two_threads_are_two_threads(toy, tmp_path):
    first = toy / "chapters" / "10_first.py"
    asks = "import os\nassert os.environ['OMP_NUM_THREADS'] == '2'\ntotal = 1 + scale"
    first.write_text(first.read_text(encoding="utf-8").replace("total = 1 + scale", asks), encoding="utf-8")
    two = next(s for s in portable.settings() if s.threads == 2)
    assert set(portable.facts(two, ["10"], 1, tmp_path)) == {"toy-sum"}
