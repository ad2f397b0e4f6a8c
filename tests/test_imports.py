"""Heavy packages are loaded where they are used: a chapter or command that needs none does not wait for them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

# Each takes a second or more; what loads them: training, fitting with robust errors, a backbone, a transform.
NEVER_AT_IMPORT = {"lightning_fabric", "torchmetrics", "statsmodels", "timm", "torchvision", "fvcore"}
CHAPTERS = sorted((ROOT / "chapters").glob("*.py"))
WITHOUT_TORCH = ["15_paper_against_itself"]


def import_lines(path: Path) -> str:
    """Return the import statements of a chapter, those of later cells too."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return "\n".join(ast.unparse(node) for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def loaded_by(code: str) -> set[str]:
    """Return the top-level packages that a fresh Python holds after some code, under their import names."""
    ask = "\nimport json, sys\nprint(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + ask], capture_output=True, text=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_the_measure_sees_a_package_that_is_loaded():
    assert {"json", "sympy"} <= loaded_by("import sympy") and "sympy" not in loaded_by("import math")


def test_no_chapter_loads_what_only_training_fitting_or_a_backbone_needs():
    """All chapters' import lines in one process: whatever one of them loads is seen."""
    loaded = loaded_by("\n".join(map(import_lines, CHAPTERS)))
    assert {"specseg", "torch"} <= loaded and loaded & NEVER_AT_IMPORT == set()


@pytest.mark.parametrize("slug", WITHOUT_TORCH)
def test_chapters_without_tensors_load_no_torch(slug):
    """Neither do beginning, figure and end, through which every chapter goes."""
    shown = (
        f"findings = ledger.open({slug!r}, profile='smoke')\n"
        "fig, axes = figures.subplots(size=(3, 2))\nfigures.show(fig, caption='c', alt='a')\n"
        "for claim in findings.claims: findings.not_run(claim, 'only a look')\nfindings.close()"
    )
    loaded = loaded_by(import_lines(ROOT / "chapters" / f"{slug}.py") + "\n" + shown)
    assert "matplotlib" in loaded and loaded & {"torch", *NEVER_AT_IMPORT} == set()


def test_what_judges_and_what_computes_intervals_loads_no_torch():
    loaded = loaded_by("from specseg.evidence import findings, fits, ledger, records, renewal, statistics, verdicts")
    assert "numpy" in loaded and loaded & {"torch", *NEVER_AT_IMPORT} == set()


COMMANDS = """
import contextlib, io, json, sys
from specseg import cli
def said(*words):
    sys.argv, out, err = ["specseg", *words], io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        cli.main()
    return out.getvalue() + err.getvalue()
"""


@pytest.mark.parametrize(
    ("words", "answer", "light"),
    [
        (("--help",), "advise", {"numpy"}),
        (("data", "--help"), "verify", {"numpy"}),
        (("sweep", "--help"), "status", {"numpy"}),
        (("ledger", "--help"), "touched", {"numpy"}),
        (("advise", "nowhere"), "nowhere: no such folder; expected a folder of label maps", set()),
        (("advise", "tests", "--pattern", "*.none"), "no file matches '*.none'", set()),
        (("advise", "tests", "--pattern", "*.py", "--logits", "no"), "no: no such folder; expected one file", set()),
        (("advise", "tests", "--map", "no.toml"), "no.toml: no such map file", set()),
        (("advise", "tests", "--list", "no.txt"), "no.txt: no such file", set()),
        (("advise", "tests", "--manifest", "nothing"), "no manifest for data set 'nothing'", set()),
    ],
)
def test_help_and_mistyped_paths_are_answered_before_anything_heavy_is_loaded(words, answer, light):
    loaded = loaded_by(f"{COMMANDS}\nassert {answer!r} in said(*{words!r}), said(*{words!r})")
    assert loaded & ({"torch", "pandas", "scipy", "matplotlib", "sympy"} | light | NEVER_AT_IMPORT) == set()
