"""A toy book for the driver's tests: the real driver, kernels, Sphinx build and library on two tiny chapters."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from conftest import loaded

ROOT = Path(__file__).resolve().parents[1]

HEADER = """\
# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
"""

# Its part of the library loads no torch: seconds that each of the many runs would wait for.
FIRST = (
    HEADER
    + """
# %% [markdown]
# # A first toy chapter
# You will know that one and one make two. {glue:text}`toy_sum` is the number that the cell below computes for you here.
# %% tags=["parameters"]
profile = "smoke"
scale = 1
# %%
from specseg.evidence import config, ledger
from specseg.advise import recommend
findings = ledger.open("10_first", profile=profile)
# %%
from myst_nb import glue
total = 1 + scale
config.note_input(config.root() / "paper" / "extra.csv")
print("rule", recommend.RULE[:20])
glue("toy_sum", f"{total}", display=False)
# %%
findings.observe("toy-sum", value=total, mutant=total + 1, note=f"The sum is {total}.")
findings.close()
"""
)

SECOND = (
    HEADER
    + """
# %% [markdown]
# # A second toy chapter
# You will know that nothing is claimed here, and still something is shown, because a page must never be empty.
# %% tags=["parameters"]
profile = "smoke"
# %%
from specseg.evidence import ledger
findings = ledger.open("20_second", profile=profile)
# %%
print("the second chapter ran")
# %%
findings.close()
"""
)

CLAIMS = """
planned_chapters = ["30_later"]

[[claim]]
id = "toy-sum"
locator = "Eq. 1"
section = "1"
kind = "number"
statement = "One and one make two."
tier = "R1"
chapter = "10_first"
[claim.checks]
printed = {kind = "equals", expected = 2, tolerance = 0, basis = "exact"}

[[claim]]
id = "toy-later"
locator = "Eq. 2"
section = "1"
kind = "number"
statement = "To be judged later."
tier = "R1"
chapter = "30_later"
[claim.checks]
printed = {kind = "at_least", min = 1, basis = "exact"}
"""

TOC = """\
format: jb-book
root: index
chapters:
  - file: chapters/10_first
  - file: chapters/20_second
  - file: ledger
  - file: errata
  - file: runs
"""

INDEX = """\
# A toy book

This front page has enough words on it to count as a page that is not empty.
It shows the sum {glue:text}`chapters/10_first.ipynb::toy_sum:s`.

```{include} _generated/verdicts.md
:start-after: "---\\n\\n"
```

```{include} _generated/front.md
```
"""


def make(folder: Path) -> Path:
    """Write the toy book's sources into a new folder and return it."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for part in ("_config.yml", "profiles.toml"):
        shutil.copy(ROOT / part, folder / part)
    shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext")
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    (folder / "book" / "references.bib").write_text("@misc{a, title={A}, author={B}, year={2020}}\n")
    for name, text in {
        "book/_toc.yml": TOC, "book/index.md": INDEX, "paper/claims.toml": CLAIMS, "paper/extra.csv": "a\n1\n",
        "chapters/10_first.py": FIRST, "chapters/20_second.py": SECOND,
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the driver's command line and environment for a toy book."""
    env = {k: v for k, v in os.environ.items() if k not in ("SPECSEG_DATA", "CI")}
    env |= {"SPECSEG_ROOT": str(folder), "PYTHONPATH": str(folder / "lib"), "PYTHONDONTWRITEBYTECODE": "1"}
    return [sys.executable, str(ROOT / "book" / "build.py"), *arguments], env


def build(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the driver on a toy book, in this process, which has its imports, and return what it said."""
    env, out, err = command(folder)[1], io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in {*os.environ, *env}:
            patch.setenv(name, env[name]) if name in env else patch.delenv(name)
        status = loaded(ROOT / "book" / "build.py").main(list(arguments))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
