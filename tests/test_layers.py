"""Who may import whom: the order of the rooms; and the habits of the library, of chapters and of experiments."""

from __future__ import annotations

import ast
import json
import re
from functools import cache
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import ROOT

from specseg.evidence import provenance, rooms

LIB = ROOT / "lib" / "specseg"
NOTEBOOKS = {"IPython", "papermill", "jupytext", "myst_nb", "ipykernel", "nbformat", "nbclient", "jupyter_book"}
CHAPTERS = sorted((ROOT / "chapters").glob("*.py"))
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))


def test_a_room_uses_only_rooms_above_it():
    order = list(rooms.ROOMS)
    uses = rooms.graph()
    assert list(uses) == order and sum(map(len, uses.values())) > len(order)
    for room, below in uses.items():
        above = set(order[: order.index(room)])
        assert below <= above, f"{room} uses {sorted(below - above)}"


def test_all_modules_stand_in_a_room_that_says_what_it_is():
    assert {p.name for p in LIB.iterdir() if p.suffix == ".py"} == {"__init__.py"}
    assert {p.name for p in LIB.iterdir() if p.is_dir() and any(p.rglob("*.py"))} == set(rooms.ROOMS)
    for room in rooms.ROOMS:
        head = ast.get_docstring(tree(LIB / room / "__init__.py"))
        assert head and len(head) > 60, f"{room}: what enters, what leaves, what it must not know"
    assert {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and any(p.glob("test_*.py"))} <= {
        *rooms.ROOMS, "book",
    }  # fmt: skip


def test_the_picture_of_the_rooms_is_that_of_the_code():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{rooms.picture()}\n```" in text, "print it again with `specseg rooms`"
    listed = re.findall(r"^\| `(\w+)/` \| ([^|]+) \|", text, re.MULTILINE)
    assert dict(listed) == rooms.ROOMS


def room(path: Path) -> str:
    return path.relative_to(LIB).parts[0]


def files(folder: Path = LIB) -> list[Path]:
    return [p for p in sorted(folder.rglob("*.py")) if "__pycache__" not in p.parts]


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax, read once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


@cache
def imports(path: Path) -> list[str]:
    """Return every module that a file imports, absolute, lazily too; `from a import b` gives both a and a.b."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: relative import; the project writes absolute ones"
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(LIB).as_posix())
def test_modules_know_nothing_of_notebooks_chapters_and_the_driver(path):
    tops = {name.split(".")[0] for name in imports(path)}
    assert tops & (NOTEBOOKS | {"chapters", "experiments", "book", "steps"}) == set()


def uses(path: Path) -> set[str]:
    """Return the modules that a file runs with; `from package import module` takes nothing of the package."""
    typing = [n for n in nodes(path) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    unused = {inner for node in typing for inner in ast.walk(node)}
    found = set()
    for node in (n for n in nodes(path) if n not in unused):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if provenance.module_file(name) else node.module for name in whole}
    return {name for name in found if name.startswith("specseg.")}


def test_modules_use_each_other_in_no_circle():
    left = {provenance.module_name(path): uses(path) for path in files()}
    while left:
        free = [name for name, used in left.items() if not used & (set(left) - {name})]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def calls(path: Path, name: str) -> list[int]:
    return [n.lineno for n in nodes(path) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == name]


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(LIB).as_posix())
def test_the_library_prints_nothing_and_reads_the_environment_in_one_place(path):
    text = path.read_text(encoding="utf-8")
    if room(path) != "cli":
        assert calls(path, "print") == [] and calls(path, "input") == []
    if path.stem != "config":
        assert not re.search(r"\bos\.(environ|getenv)\b", text), "config is the one reader of the environment"
    lines = len(text.splitlines())
    assert lines <= 350, f"{lines} lines: small modules are read more often"
    assert ast.get_docstring(ast.parse(text)) or not text.strip(), "a module says in its first line what it holds"


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(LIB).as_posix())
def test_torchvision_comes_through_its_one_door(path):
    """The wheel of the index does not load beside a CPU torch without what `data._torchvision` declares first."""
    if path.stem == "_torchvision" or not any(n.split(".")[0] == "torchvision" for n in imports(path)):
        return
    source = path.read_text(encoding="utf-8")
    door = source.find("specseg.data._torchvision")
    first = re.search(r"^\s*(from|import) torchvision", source, re.MULTILINE)
    assert 0 <= door < first.start(), f"{path.name}: import specseg.data._torchvision before torchvision's parts"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_experiments(path):
    judging = {"specseg.figures", "specseg.evidence.findings", "specseg.evidence.ledger", "specseg.evidence.verdicts"}
    assert not any(name.startswith(tuple(judging)) for name in uses(path)), "an experiment neither draws nor judges"
    assert {n.split(".")[0] for n in imports(path)} & NOTEBOOKS == set()
    head = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert f"experiments/{path.name}" in head, "the header gives the command"
    assert re.search(r"\b(minutes?|seconds?|hours?|min|s|h)\b", head, re.IGNORECASE), (
        "the header says how long it takes"
    )


# --- chapters ------------------------------------------------------------------------------------------------------


def test_there_are_chapters():
    assert len(CHAPTERS) >= 5


@cache
def notebook(path: Path) -> nbformat.NotebookNode:
    """Return a chapter as it is read once for all tests, which leave it as it is."""
    return jupytext.read(path, fmt="py:percent")


def cells(path: Path, kind: str) -> list[str]:
    return [c.source for c in notebook(path).cells if c.cell_type == kind]


def statements(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_keep_their_form(path):
    text = path.read_text(encoding="utf-8")
    first, last = notebook(path).cells[0], [c for c in notebook(path).cells if c.cell_type == "code"][-1]
    assert first.cell_type == "markdown" and re.match(r"(\(.*\)=\n)?# \S", first.source), "the first cell is the title"
    assert "findings.close()" in last.source and text.count("findings.close()") == 1, "the last code cell closes"
    assert f'ledger.open("{path.stem}", profile=profile)' in text
    assert "Check yourself" in text.split("findings.close()")[1], "the chapter ends with things to try"
    names = {n.split(".")[0] for n in imports(path)}
    assert names & {"papermill", "jupytext", "nbformat", "requests", "urllib", "socket", "subprocess"} == set()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapters_hold_no_code_that_belongs_in_the_library(path):
    for node in nodes(path):
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef), f"{where}: def or class"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not re.match(r"(/(home|root|Users|work|tmp|mnt)/|[A-Z]:\\|https?://)", node.value), f"{where}: path"
        if isinstance(node, ast.Call):
            assert not ast.unparse(node.func).endswith((".backward", "urlopen")), f"{where}: a training loop or network"
    for source in cells(path, "code"):
        assert not re.search(r"^\s*[%!]", source, re.MULTILINE), f"{path.name}: a magic"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_cells_are_small(path):
    """Prose is counted in lines as written, at most 120 characters; a table or a formula may make a cell longer."""
    for source in cells(path, "markdown"):
        prose = [x for x in re.sub(r"(?s)```.*?```|:::.*?:::|\$\$.*?\$\$", "", source).splitlines() if x.strip()]
        prose = [x for x in prose if not x.lstrip().startswith(("|", "#", "(", "- ", "* "))]
        assert len(prose) <= 12, f"{path.name}: {len(prose)} lines of prose in the cell that begins {source[:50]!r}"
    for source in cells(path, "code"):
        code = [x for x in source.splitlines() if x.strip()]
        imports_only = all(isinstance(s, ast.Import | ast.ImportFrom) for s in statements(source)[:-3])
        assert len(code) <= 20 or imports_only, f"{path.name}: {len(code)} lines in the cell {source[:50]!r}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_figures_have_captions_and_alternative_texts(path):
    for node in nodes(path):
        if isinstance(node, ast.Call) and re.fullmatch(r"(figures\.)?show(_plotly)?", ast.unparse(node.func)):
            given = {k.arg for k in node.keywords}
            assert {"caption", "alt"} <= given, f"{path.name}:{node.lineno}: a figure without caption or alt"


def test_the_parameters_are_literals_and_profile_is_smoke():
    from steps import sources

    for chapter in sources.discover(ROOT):  # raises for a cell that is no list of literals
        assert chapter.parameters["profile"] == "smoke", f"{chapter.slug}: a first look must be quick"
    numbers = [int(p.stem[:2]) for p in CHAPTERS]
    assert len(set(numbers)) == len(numbers)


def test_answer_boxes_rest_on_the_verdicts_that_they_were_written_for():
    facts = json.loads((ROOT / "results/accepted/smoke.json").read_text(encoding="utf-8"))["facts"]
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("### What each answer box says")[2]
    rows = re.findall(r"^\| (\d\d) \| (.+) \| (.+) \|$", table.partition("\n## ")[0], re.M)
    assert [chapter for chapter, _, _ in rows] == [p.stem[:2] for p in CHAPTERS], "a row for each chapter"
    for chapter, answer, rests in rows:
        told = dict(re.findall(r"`([a-z0-9-]+)`: ([a-z ]+)", rests))
        assert told and told == {c: facts[c]["verdict"] for c in told}, f"{chapter}: is '{answer}' still borne?"
        assert ":::{admonition} The answer" in next(p for p in CHAPTERS if p.stem[:2] == chapter).read_text("utf-8")


def test_nothing_that_a_command_makes_is_in_git():
    """A wheel leaves build/ behind: once it was committed whole, a second library beside the first."""
    made = ("/build/", "/_build/", "/.venv/", "/book/chapters/", "/book/_generated/", "*.egg-info/", "runs/")
    assert set(made) <= set((ROOT / ".gitignore").read_text(encoding="utf-8").split())
