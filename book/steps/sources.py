"""Find the chapters, read their parameters, and hold the table of contents to them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml


class BookError(Exception):
    """A book that must not be published; the message names the file and what was expected."""


@dataclass(frozen=True)
class Chapter:
    """One chapter's source: its slug, its file, its notebook form and its parameters' defaults."""

    slug: str
    path: Path
    notebook: nbformat.NotebookNode = field(repr=False)
    parameters: dict[str, Any] = field(default_factory=dict)


def discover(root: Path) -> list[Chapter]:
    """Return all chapters in order. Raises BookError for none, a bad name, or a chapter without a parameters cell."""
    files = sorted((root / "chapters").glob("*.py"))
    if not files:
        raise BookError(f"{root / 'chapters'}: no chapters (*.py); a book without chapters is not built")
    if strays := sorted((root / "chapters").rglob("*.ipynb")):
        raise BookError(f"{strays[0]}: a notebook among the sources; only the .py form belongs there")
    if strays := sorted((root / "chapters").glob("*/**/*.py")):
        raise BookError(f"{strays[0]}: chapters lie side by side in chapters/, not in folders below it")
    return [read(path) for path in files]


def read(path: Path) -> Chapter:
    """Return one chapter. Raises BookError that names the file."""
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem):
        raise BookError(f"{path}: a chapter is named NN_slug.py, two digits and lower case")
    notebook = jupytext.read(path, fmt="py:percent")
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        raise BookError(f"{path}: expected exactly one cell tagged 'parameters', found {len(tagged)}")
    parameters: dict[str, Any] = {}
    try:
        lines = ast.parse(tagged[0].source).body
    except SyntaxError as err:
        raise BookError(f"{path}: the parameters cell cannot be read: {err.msg}: {err.text}".strip()) from None
    for node in lines:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise BookError(f"{path}: the parameters cell holds 'name = literal' lines only")
        try:
            parameters[node.targets[0].id] = ast.literal_eval(node.value)
        except ValueError:
            raise BookError(f"{path}: parameter {node.targets[0].id!r} is not a literal") from None
    if "profile" not in parameters:
        raise BookError(f"{path}: the parameters cell must set 'profile'")
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.lstrip().startswith("# "):
        raise BookError(f"{path}: the first cell must be markdown that starts with a '# ' title")
    return Chapter(path.stem, path, notebook, parameters)


def settle(chapter: Chapter, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run. Raises BookError for one that the chapter does not have, or of another type."""
    for name, value in given.items():
        if name not in chapter.parameters:
            known = ", ".join(sorted(chapter.parameters))
            raise BookError(f"{chapter.path.name}: unknown parameter {name!r}; it has {known}")
        default = chapter.parameters[name]
        widened = type(default) is float and type(value) is int  # 1 is a fine value where 0.5 is the default
        if default is not None and not widened and type(value) is not type(default):
            wanted = f"{type(default).__name__} like {default!r}"
            raise BookError(f"{chapter.path.name}: parameter {name!r} is {value!r}, expected {wanted}")
    return {**chapter.parameters, **given}


def toc_entries(toc: Path) -> list[str]:
    """Return every file that the table of contents names, in order. Raises BookError when it cannot be read."""
    try:
        tree = yaml.safe_load(toc.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as err:
        raise BookError(f"{toc}: cannot be read: {err}") from None
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("root", "file"):
                    found.append(str(value))
                else:
                    walk(value)
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(tree)
    return found


def check_toc(toc: Path, chapters: list[Chapter]) -> None:
    """Hold the table of contents to the chapters: each once, none missing, none that does not exist."""
    listed = [e for e in toc_entries(toc) if e.startswith("chapters/")]
    wanted = [f"chapters/{c.slug}" for c in chapters]
    if missing := [w for w in wanted if w not in listed]:
        raise BookError(f"{toc}: chapter(s) missing from the table of contents: {', '.join(missing)}")
    if extra := [e for e in listed if e not in wanted]:
        raise BookError(f"{toc}: names chapter(s) that do not exist: {', '.join(extra)}")
    if len(set(listed)) != len(listed):
        raise BookError(f"{toc}: names a chapter twice")
