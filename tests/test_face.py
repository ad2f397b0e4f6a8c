"""The face of the library: some twenty names, loaded when they are asked for, each with a docstring and an example."""

from __future__ import annotations

import doctest
import inspect
import json
import subprocess
import sys

import pytest
from conftest import ROOT

import specseg

CLASSES = {name for name in specseg.FACE if inspect.isclass(getattr(specseg, name))}


def fresh(code: str) -> str:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_nothing_is_loaded_before_it_is_asked_for():
    ask = "import json, sys\nimport specseg\nprint(json.dumps([m for m in sys.modules if m.split('.')[0] in {}]))"
    heavy = {"torch", "numpy", "pandas", "scipy", "sympy", "matplotlib", "typer", "rich"}
    assert json.loads(fresh(ask.format(heavy))) == []
    assert fresh("import specseg\nprint(specseg.spectrum.__module__)").strip() == "specseg.spectral.spectrum"


def test_names_are_listed_and_others_refused():
    assert {*specseg.FACE, "__version__"} <= set(dir(specseg)) and len(specseg.FACE) < 26
    with pytest.raises(AttributeError, match="no attribute 'spectra'"):
        specseg.spectra  # noqa: B018


@pytest.mark.parametrize("name", sorted(specseg.FACE))
def test_every_name_says_what_it_takes_gives_and_refuses(name):
    thing = getattr(specseg, name)
    text = inspect.getdoc(thing)
    assert text and text.splitlines()[0].endswith((".", ":")), "the first line is a sentence"
    assert doctest.DocTestParser().get_examples(text), "no runnable example"
    if name not in CLASSES:
        assert "Raises" in text or "rror" in text, "which errors?"
    page = (ROOT / "book" / "library.md").read_text(encoding="utf-8")
    directive = "autoclass" if name in CLASSES else "autofunction"
    assert page.count(f".. {directive}:: specseg.{name}\n") == 1, "the page Library shows it once"


def test_the_first_example_of_the_page_runs():
    page = (ROOT / "book" / "library.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    assert "miou" in fresh(code)
