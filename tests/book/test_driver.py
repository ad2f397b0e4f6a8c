"""What the driver must make impossible, each shown on a toy book that the real driver builds."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest
import toybook
from conftest import ROOT, loaded

from specseg.evidence import config, records
from specseg.evidence.ledger import load_claims
from steps import check, execute, html, pages, sources
from steps.sources import BookError

pytestmark = pytest.mark.book


def driver():
    return loaded(ROOT / "book" / "build.py")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path.name} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def state(folder: Path) -> str:
    """Return one hash of all files below a folder: names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def notebooks(folder: Path) -> dict[str, nbformat.NotebookNode]:
    return {p.stem: nbformat.read(p, 4) for p in sorted((folder / "book" / "chapters" / "smoke").glob("*.ipynb"))}


def stale(folder: Path) -> list[str]:
    """Return the chapters that the driver would run now."""
    out = []
    for chapter in sources.discover(folder):
        key = execute.fingerprint(chapter, sources.settle(chapter, {"profile": "smoke"}))
        if not execute.reusable(folder / "book" / "chapters" / "smoke" / f"{chapter.slug}.ipynb", key):
            out.append(chapter.slug)
    return out


def told(folder: Path, *arguments: str) -> str:
    """Run the driver, which must refuse, and return its complaint: no traceback, and the last good book untouched."""
    before = state(folder / "_build" / "html")
    run = toybook.build(folder, *arguments)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "book: " in run.stderr and "Traceback (most recent call last)" not in run.stderr, run.stderr
    assert state(folder / "_build" / "html") == before
    return run.stderr


# --- a chapter that dies -------------------------------------------------------------------------------------------


def test_a_chapter_that_dies_half_way_is_not_published(toy):
    first = toy / "chapters" / "10_first.py"
    edit(first, "total = 1 + scale", "print('half of it')\nraise RuntimeError('the toy died here')\ntotal = 1 + scale")
    before = state(toy / "book" / "chapters")
    said = told(toy)
    assert "chapters/10_first.py: cell" in said and "RuntimeError: the toy died here" in said
    assert state(toy / "book" / "chapters") == before, "a half-finished notebook took the place of a complete one"
    half = (toy / "_build" / "failed" / "10_first.ipynb").read_text(encoding="utf-8")
    assert "half of it" in half, "what the chapter got to is kept for the reader of the error"


def cells_of(toy: Path) -> nbformat.NotebookNode:
    return notebooks(toy)["10_first"]


def test_complete_notebooks_have_no_problem(toy):
    assert {slug: check.problems(nb) for slug, nb in notebooks(toy).items()} == {"10_first": [], "20_second": []}


def test_an_unexecuted_cell_is_refused(toy):
    notebook = cells_of(toy)
    next(c for c in notebook.cells if c.cell_type == "code").execution_count = None
    assert any("was not executed" in p for p in check.problems(notebook))


def test_an_error_cell_is_refused(toy):
    notebook = cells_of(toy)
    last = [c for c in notebook.cells if c.cell_type == "code"][-1]
    last.outputs.append(nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="by zero", traceback=[]))
    assert any("ZeroDivisionError: by zero" in p for p in check.problems(notebook))


def test_stderr_on_a_page_is_refused(toy):
    notebook = cells_of(toy)
    last = [c for c in notebook.cells if c.cell_type == "code"][-1]
    last.outputs.append(nbformat.v4.new_output("stream", name="stderr", text="UserWarning: look here"))
    assert any("stderr" in p and "look here" in p for p in check.problems(notebook))


def test_a_chapter_that_hides_its_error_or_warns_fails_its_run(toy, tmp_path):
    """nbclient goes on after a cell tagged raises-exception, and a warning is no error to it: both must stop here."""
    first, second = (toy / "chapters" / f"{s}.py" for s in ("10_first", "20_second"))
    edit(second, '# %%\nprint("the second', '# %% tags=["raises-exception"]\n1 / 0\n# %%\nprint("the second')
    edit(first, "total = 1 + scale", "import warnings\nwarnings.warn('a toy warning')\ntotal = 1 + scale")
    chapters = sources.discover(toy)
    runs = execute.run_all(chapters, {"profile": "smoke"}, tmp_path / "out", tmp_path / "failed")
    assert [r.what for r in runs] == ["FAILED", "FAILED"]
    assert "stderr" in runs[0].error and "a toy warning" in runs[0].error
    assert "ZeroDivisionError" in runs[1].error
    assert not list((tmp_path / "out").rglob("*")), "nothing of a failed run lies where the book looks"


# --- parameters and profiles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("-p", "scael=2"), "unknown parameter 'scael'; it has profile, scale"),
        (("-p", "scale=two"), "parameter 'scale' is 'two', expected int like 1"),
        (("-p", "scale=1.5"), "parameter 'scale' is 1.5, expected int like 1"),
        (("-p", "scale=true"), "parameter 'scale' is True, expected int like 1"),
        (("-p", "profile=3"), "parameter 'profile' is 3, expected str like 'smoke'"),
        (("--profile", "smokey"), "unknown profile 'smokey': expected one of smoke, standard, paper"),
        (("-p", "profile=smokey"), "unknown profile 'smokey'"),
    ],
)
def test_wrong_parameters_and_profiles_are_refused(toy, capsys, arguments, complaint):
    before = state(toy / "book" / "chapters")
    assert driver().main(["chapter", "10", *arguments]) == 1
    assert complaint in capsys.readouterr().err
    assert state(toy / "book" / "chapters") == before


def test_a_flag_takes_no_number_and_a_fraction_takes_a_whole_number(toy):
    chapter = sources.discover(toy)[0]
    for default, value in ((True, 1), (0.5, "0.5"), (0.5, True), ("a", 1), ([1], 1)):
        asked = sources.Chapter(chapter.slug, chapter.path, chapter.notebook, {"profile": "smoke", "x": default})
        with pytest.raises(BookError, match="'x'"):
            sources.settle(asked, {"x": value})
    half = sources.Chapter(chapter.slug, chapter.path, chapter.notebook, {"profile": "smoke", "x": 0.5})
    assert sources.settle(half, {"x": 1})["x"] == 1


def test_the_whole_book_takes_no_parameter(toy, capsys):
    assert driver().main(["book", "-p", "scale=2"]) == 1
    told = "book: -p goes with one chapter; the whole book takes its sizes from --profile\n"
    assert capsys.readouterr().err == told


def test_an_unknown_chapter_is_refused(toy, capsys):
    assert driver().main(["chapter", "99"]) == 1
    assert "no chapter '99'; there are 10_first, 20_second" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("scale = 1 +", "cannot be read"),
        ("scale = len('a')", "not a literal"),
        ("scale: int = 1", "'name = literal' lines only"),
        ("a = b = 1", "'name = literal' lines only"),
        ("import os", "'name = literal' lines only"),
    ],
)
def test_a_parameters_cell_holds_literals_only(toy, cell, complaint):
    edit(toy / "chapters" / "10_first.py", "scale = 1\n", cell + "\n")
    with pytest.raises(BookError, match=complaint):
        sources.discover(toy)


# --- the table of contents and the pages ---------------------------------------------------------------------------


def test_a_chapter_missing_from_the_table_of_contents_is_refused(toy):
    edit(toy / "book" / "_toc.yml", "  - file: chapters/20_second\n", "")
    assert "missing from the table of contents: chapters/20_second" in told(toy)


def test_a_table_of_contents_without_any_chapter_is_refused(toy):
    (toy / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    assert "missing from the table of contents: chapters/10_first, chapters/20_second" in told(toy)


def test_an_entry_without_a_chapter_is_refused(toy):
    edit(toy / "book" / "_toc.yml", "  - file: ledger\n", "  - file: chapters/30_later\n  - file: ledger\n")
    assert "names chapter(s) that do not exist: chapters/30_later" in told(toy)


def test_an_entry_twice_and_a_broken_file_are_refused(toy):
    toc = toy / "book" / "_toc.yml"
    edit(toc, "  - file: ledger\n", "  - file: chapters/10_first\n  - file: ledger\n")
    with pytest.raises(BookError, match="twice"):
        sources.check_toc(toc, sources.discover(toy))
    toc.write_text("root: [index\n")
    with pytest.raises(BookError, match="cannot be read"):
        sources.check_toc(toc, sources.discover(toy))


def published(toy: Path, tmp_path: Path) -> Path:
    """Return a copy of the toy's pages, to be broken."""
    return Path(shutil.copytree(toy / "_build" / "html", tmp_path / "pages"))


SLUGS = ["10_first", "20_second"]


def test_the_pages_of_the_toy_are_fit_to_publish(toy, tmp_path):
    assert html.verify(published(toy, tmp_path), SLUGS, 2) >= 6


def broken_pages() -> dict[str, tuple]:
    """Return name -> (page, what to do with its text, complaint)."""
    first = "chapters/10_first.html"
    article = "</article>"
    return {
        "chapter missing": (first, None, "chapter 10_first has no page"),
        "chapter without output": (first, lambda t: t.replace("cell_output", "x"), "no output of any cell"),
        "empty page": ("errata.html", lambda t: "<html><article>x</article></html>", "errata.html: the page is empty"),
        "traceback": (first, lambda t: t.replace(
            article, '<div class="cell_output"><div class="traceback">x</div></div>' + article), "shows a traceback"),
        "script from outside": (first, lambda t: t.replace(
            article, '<script src="https://cdn.example/x.js"></script>' + article), "asks https://cdn.example/x.js"),
        "style from outside": (first, lambda t: t.replace(
            article, '<link rel="stylesheet" href="//cdn.example/x.css">' + article), "//cdn.example/x.css"),
        "picture from outside": (first, lambda t: t.replace(
            article, '<img src="//cdn.example/x.png">' + article), "//cdn.example/x.png"),
        "broken link": (first, lambda t: t.replace(article, '<a href="../nowhere.html">x</a>' + article),
                        "'../nowhere.html': no such file"),
        "broken anchor": (first, lambda t: t.replace(article, '<a href="../ledger.html#nowhere">x</a>' + article),
                          "'../ledger.html#nowhere': no such anchor"),
        "claim lost": ("ledger.html", lambda t: t.replace('id="claim-toy-later"', ""), "shows 1 claims of 2"),
    }  # fmt: skip


@pytest.mark.parametrize("name", broken_pages())
def test_pages_that_are_not_fit_to_publish(toy, tmp_path, name):
    folder = published(toy, tmp_path)
    page, change, complaint = broken_pages()[name]
    path = folder / page
    if change is None:
        path.unlink()
    else:
        text = path.read_text(encoding="utf-8")
        path.write_text(change(text), encoding="utf-8")
        assert change(text) != text
    with pytest.raises(BookError) as caught:
        html.verify(folder, SLUGS, 2)
    assert complaint in str(caught.value)


def test_a_warning_of_sphinx_stops_the_book(toy):
    edit(toy / "chapters" / "20_second.py", "because a page must never be empty.", "see {ref}`nowhere-at-all`.")
    assert "nowhere-at-all" in told(toy)


# --- glue, observations, claims ------------------------------------------------------------------------------------


def test_a_missing_glue_key_is_refused(toy):
    made = notebooks(toy)
    check.check_glue(made, {"index.md": "{glue:text}`chapters/10_first.ipynb::toy_sum:s`"})
    for text in ("{glue:text}`chapters/10_first.ipynb::toy_sun`", "{glue}`toy_sum`",
                 "{glue:text}`chapters/20_second.ipynb::toy_sum`"):  # fmt: skip
        with pytest.raises(BookError, match="index.md: glue key"):
            check.check_glue(made, {"index.md": text})
    for cell in made["10_first"].cells:
        cell["source"] = cell.source.replace("`toy_sum`", "`toy_sun`")
    with pytest.raises(BookError, match="10_first: glue key.*toy_sun"):
        check.check_glue(made, {})


def test_a_missing_glue_key_stops_the_driver(toy):
    edit(toy / "book" / "index.md", "::toy_sum:s", "::toy_sun:s")
    assert "index.md: glue key(s) that no chapter makes there" in told(toy)


def observed(notebook: nbformat.NotebookNode) -> dict:
    return check.findings(notebook)


def test_an_orphan_observation_is_refused(toy):
    for claim_id in ("toy-nothing", "toy-later"):
        made = notebooks(toy)
        observed(made["10_first"])["observations"][0]["claim_id"] = claim_id
        with pytest.raises(BookError, match=f"10_first: orphan observation of '{claim_id}'"):
            check.collect(load_claims(), made)


def test_a_claim_of_another_chapter_cannot_be_declared_not_run(toy):
    made = notebooks(toy)
    observed(made["20_second"])["skipped"]["toy-sum"] = "no time"
    with pytest.raises(BookError, match="20_second: declares 'toy-sum' not run"):
        check.collect(load_claims(), made)


def test_a_claim_neither_observed_nor_declared_is_refused(toy):
    made = notebooks(toy)
    observed(made["10_first"])["observations"].clear()
    with pytest.raises(BookError, match="'toy-sum' was neither observed nor declared not run"):
        check.collect(load_claims(), made)
    observed(made["10_first"])["skipped"]["toy-sum"] = "no time"
    judged, _ = check.collect(load_claims(), made)
    assert [(j.verdict, j.reason) for j in judged][0] == ("not run", "no time")


def test_a_claim_without_a_chapter_is_refused(toy):
    edit(toy / "paper" / "claims.toml", 'planned_chapters = ["30_later"]', "planned_chapters = []")
    assert "claim toy-later: chapter '30_later' neither exists nor is in planned_chapters" in told(toy)


def test_a_planned_chapter_that_exists_is_refused(toy):
    edit(toy / "paper" / "claims.toml", '["30_later"]', '["30_later", "20_second"]')
    with pytest.raises(BookError, match="planned_chapters still names 20_second"):
        check.check_claims(load_claims(), sources.discover(toy))


def test_a_chapter_without_findings_is_refused(toy):
    with pytest.raises(BookError, match="does not end with findings.close"):
        check.findings(nbformat.v4.new_notebook())
    notebook = cells_of(toy)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    assert "expected one findings.close() output, found 0" in check.problems(notebook)


# --- green and empty -----------------------------------------------------------------------------------------------


def test_a_book_without_chapters_is_refused(toy, capsys):
    for path in (toy / "chapters").glob("*.py"):
        path.unlink()
    assert driver().main(["book"]) == 1
    assert "no chapters (*.py)" in capsys.readouterr().err


def test_a_book_without_claims_is_refused(toy):
    (toy / "paper" / "claims.toml").write_text('planned_chapters = ["30_later"]\n')
    assert "no [[claim]] in it" in told(toy)
    (toy / "paper" / "claims.toml").unlink()
    assert "claims.toml: missing" in told(toy)


def test_broken_sources_are_named_without_a_traceback(toy):
    (toy / "lib" / "specseg" / "advise" / "recommend.py").write_text("def f(:\n", encoding="utf-8")
    said = told(toy)
    assert "recommend.py:1: " in said


def test_badly_placed_and_badly_named_chapters_are_refused(toy):
    (toy / "chapters" / "more").mkdir()
    (toy / "chapters" / "more" / "30_lost.py").write_text("# %%\n")
    with pytest.raises(BookError, match="30_lost.py: chapters lie side by side"):
        sources.discover(toy)
    shutil.rmtree(toy / "chapters" / "more")
    (toy / "chapters" / "Third.py").write_text("# %%\n")
    with pytest.raises(BookError, match="Third.py: a chapter is named NN_slug.py"):
        sources.discover(toy)


def test_a_notebook_among_the_sources_is_refused(toy):
    (toy / "chapters" / "10_first.ipynb").write_text("{}")
    with pytest.raises(BookError, match="only the .py form belongs there"):
        sources.discover(toy)


def test_no_notebook_is_in_git():
    run = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        pytest.skip("not a git checkout")
    listed = run.stdout.splitlines()
    assert "book/build.py" in listed
    assert [f for f in listed if f.endswith(".ipynb")] == []


# --- what runs again -----------------------------------------------------------------------------------------------


def test_nothing_changed_nothing_runs(toy):
    """A whole build that finds nothing to run is the second of `test_two_builds_at_once_both_end_well`."""
    assert stale(toy) == []


def test_comments_and_docstrings_run_nothing(toy):
    for name in ("advise/recommend.py", "evidence/verdicts.py", "evidence/config.py"):
        path = toy / "lib" / "specseg" / name
        text = path.read_text(encoding="utf-8")
        assert text.startswith('"""')
        path.write_text('"""Other words. ' + text[3:] + "\n\n# a remark at the end\n", encoding="utf-8")
    edit(toy / "lib" / "specseg" / "evidence" / "verdicts.py", "    if not used:\n", "    # why\n    if not used:\n")
    assert stale(toy) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("lib/specseg/advise/recommend.py", "def choose(", "def other(): ...\n\n\ndef choose(", ["10_first"]),
        ("lib/specseg/evidence/claims.py", "def load_claims(", "X = 1\n\n\ndef load_claims(", SLUGS),  # transitively
        ("lib/specseg/spectral/gradient.py", "from __future__", "X = 1\nfrom __future__", []),  # imported by no chapter
        ("paper/extra.csv", "1", "2", ["10_first"]),  # a note_input file
        ("paper/claims.toml", "tolerance = 0,", "tolerance = 0.5,", ["10_first"]),
        ("paper/claims.toml", "min = 1,", "min = 2,", []),  # the check of a chapter that is not written
        ("chapters/10_first.py", "scale = 1\n", "scale = 2\n", ["10_first"]),
        ("chapters/20_second.py", "nothing is claimed here", "nothing at all is claimed here", ["20_second"]),
        ("profiles.toml", "size = 129", "size = 65", SLUGS),
        ("profiles.toml", "draws = 1000", "draws = 2000", []),  # of the profile 'paper'
        ("profiles.toml", "# Sizes of a run.", "# The sizes of a run.", []),
    ],
)
def test_a_change_runs_just_what_rests_on_it(toy, file, old, new, expected):
    edit(toy / file, old, new)
    assert stale(toy) == expected


def test_a_parameter_and_a_profile_make_another_run(toy):
    chapter = sources.discover(toy)[0]
    keys = {
        execute.fingerprint(chapter, sources.settle(chapter, given))
        for given in ({"profile": "smoke"}, {"profile": "smoke", "scale": 3}, {"profile": "standard"})
    }
    assert len(keys) == 3


def test_versions_make_another_run(toy, monkeypatch):
    monkeypatch.setattr(execute.provenance, "versions", lambda: {"torch": "0.0"})
    assert stale(toy) == SLUGS


def test_a_module_imported_by_a_name_that_no_source_shows_counts(toy, tmp_path):
    """A plug-in, loaded by a computed name: what the kernel has loaded travels in the notebook and is compared."""
    plugin = toy / "lib" / "specseg" / "toy_plugin.py"
    plugin.write_text("VALUE = 1\n")
    edit(toy / "chapters" / "20_second.py", 'print("the second chapter ran")',
         'import importlib\nprint(importlib.import_module("specseg." + "toy_plugin").VALUE)')  # fmt: skip
    run = toybook.build(toy, "chapter", "20")
    assert run.returncode == 0, run.stdout + run.stderr
    assert stale(toy) == []
    plugin.write_text("VALUE = 1  # remark\n")
    assert stale(toy) == []
    plugin.write_text("VALUE = 2\n")
    assert stale(toy) == ["20_second"]


def test_incomplete_or_unreadable_notebooks_are_not_reused(toy):
    path = toy / "book" / "chapters" / "smoke" / "10_first.ipynb"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    assert stale(toy) == ["10_first"]
    notebook = nbformat.reads(whole, 4)
    notebook.cells[-1].execution_count = None
    nbformat.write(notebook, path)
    assert stale(toy) == ["10_first"]
    path.unlink()
    assert stale(toy) == ["10_first"]


def test_a_second_run_gives_the_same_notebook(toy, tmp_path):
    chapter = sources.discover(toy)[1]
    made = []
    for name in ("a", "b"):
        run = execute.run_one(chapter, {"profile": "smoke"}, tmp_path / name, True, tmp_path / "failed")
        notebook = nbformat.read(run.path, 4)
        notebook.metadata["specseg"].pop("seconds")
        made.append(nbformat.writes(notebook))
    assert made[0] == made[1]


# --- records -------------------------------------------------------------------------------------------------------


def with_record(toy: Path) -> str:
    """Let the first toy chapter show a record whose code it does not import, build, and return the run's id."""
    (toy / "lib" / "specseg" / "toy_engine.py").write_text("def measure():\n    return 2\n")
    (toy / "experiments").mkdir()
    script = toy / "experiments" / "toy_run.py"
    script.write_text("from specseg import toy_engine\n\nprint(toy_engine.measure())\n")
    path = records.write("toy_run", pd.DataFrame({"value": [2.0]}), command="python experiments/toy_run.py",
                         profile="smoke", script=script)  # fmt: skip
    first = toy / "chapters" / "10_first.py"
    edit(first, "from specseg.evidence import config, ledger", "from specseg.evidence import config, ledger, records")
    edit(first, "total = 1 + scale", 'total = int(records.load("toy_run").rows["value"][0])')
    edit(first, "value=total, mutant", 'record=records.load("toy_run"), value=total, mutant')
    run = toybook.build(toy)
    assert run.returncode == 0, run.stdout + run.stderr
    return path.name


def test_a_withdrawn_record_is_named_with_its_reason_and_lies_there_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "home", lambda: tmp_path)
    assert pages.withdrawn() == []
    file = tmp_path / "withdrawn.toml"
    file.write_text('[[withdrawn]]\nrecords = ["toy_run/20260101-0a"]\ndate = 2026-01-02\nreason = "It was cold."\n')
    assert pages.withdrawn()[-1] == "- `toy_run/20260101-0a`, withdrawn on 2026-01-02: It was cold."
    (tmp_path / "toy_run" / "20260101-0a").mkdir(parents=True)
    with pytest.raises(BookError, match="toy_run/20260101-0a is withdrawn, but lies"):
        pages.withdrawn()
    file.write_text('[[withdrawn]]\nrecords = ["toy_run/20260101-0a"]\ndate = 2026-01-02\n')
    with pytest.raises(BookError, match="reason"):
        pages.withdrawn()


def test_a_stale_record_is_marked_wherever_it_shows(toy):
    run_id = with_record(toy)
    folder = toy / "_build" / "html"
    names = ("runs.html", "ledger.html", "chapters/10_first.html")
    for name in names:
        text = (folder / name).read_text(encoding="utf-8")
        assert run_id in text and "verdict-open" not in text.split("<article", 1)[1], f"{name} marks a fresh record"
    assert stale(toy) == []
    again = records.write("toy_run", pd.DataFrame({"value": [2.0]}), command="again", profile="smoke",
                          script=toy / "experiments" / "toy_run.py")  # fmt: skip
    assert stale(toy) == ["10_first"], "a new record must be seen by the chapter that asks for the newest"
    shutil.rmtree(again)
    edit(toy / "lib" / "specseg" / "toy_engine.py", "return 2", "return 2 + 0")
    assert stale(toy) == ["10_first"], "the chapter must show the mark though it never imports toy_engine"
    run = toybook.build(toy)
    assert run.returncode == 0, run.stdout + run.stderr
    from bs4 import BeautifulSoup

    soups = {n: BeautifulSoup((folder / n).read_text(encoding="utf-8"), "html.parser") for n in names}
    places = {
        "runs.html": f"#run-{run_id}",
        "ledger.html": "#claim-toy-sum",
        "chapters/10_first.html": ".specseg-made",
    }
    for name, place in places.items():
        node = soups[name].select_one(place)
        assert run_id in str(node) and "stale" in node.select_one(".verdict-open").get_text(), f"no mark in {name}"
    assert "stale: specseg.toy_engine changed since" in soups["chapters/10_first.html"].select_one(".specseg-made").text
    facts = json.loads((folder / "ledger.json").read_text())["claims"][0]["observations"][0]
    assert facts["record_freshness"].startswith("stale")


# --- several builds, interrupted builds ----------------------------------------------------------------------------


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    line, env = toybook.command(folder, *arguments)
    return subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what the test waits for did not happen"
        time.sleep(0.02)


def whole(folder: Path) -> None:
    """Hold the published toy book to what a reader may expect."""
    assert html.verify(folder / "_build" / "html", SLUGS, 2) >= 6
    left = [p.name for p in (folder / "_build").iterdir() if p.name not in (".lock", "html", "failed")]
    assert left == [], "a build leaves nothing behind"
    assert sorted(p.name for p in (folder / "book" / "chapters" / "smoke").iterdir()) == [f"{s}.ipynb" for s in SLUGS]


def test_two_builds_at_once_both_end_well(toy):
    edit(toy / "chapters" / "10_first.py", "will know that one", "will know now that one")
    both = [start(toy, "book"), start(toy, "book")]
    said = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert sum("another build is running" in out for out, _ in said) == 1
    assert sum(out.count("reused") == 2 for out, _ in said) == 1, "the second found all done"
    whole(toy)


def sleeping(toy: Path) -> Path:
    """Make the first chapter sleep after it has left a sign, and return the sign's path."""
    sign = toy / "sleeping"
    edit(toy / "chapters" / "10_first.py", "total = 1 + scale",
         "import time\n(config.root() / 'sleeping').touch()\ntime.sleep(120)\ntotal = 1 + scale")  # fmt: skip
    return sign


def awake(toy: Path) -> None:
    edit(toy / "chapters" / "10_first.py",
         "import time\n(config.root() / 'sleeping').touch()\ntime.sleep(120)\n", "")  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_chapter_leaves_the_last_book_and_the_next_build_works(toy, number):
    before, sign = state(toy / "_build" / "html"), sleeping(toy)
    process = start(toy, "book", "--jobs", "1")
    wait_for(sign.exists)
    kernels = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)  # an interrupt waits for no chapter: this one would sleep for 120 s
    if number == signal.SIGINT:
        assert process.returncode == 130 and "the last good book is untouched" in said
        assert "Traceback" not in said
    assert state(toy / "_build" / "html") == before
    _, alive = psutil.wait_procs(kernels, timeout=15)
    assert alive == [], "a kernel lives on after its driver"
    awake(toy)
    run = toybook.build(toy, "chapter", "10")
    assert run.returncode == 0 and "reused in" in run.stdout, "the last complete run is still there"
    whole(toy)


def test_killed_while_the_pages_are_made(toy):
    before = state(toy / "_build" / "html")
    process = start(toy, "book")
    wait_for(lambda: list((toy / "_build").glob("work-*/out/*")))
    process.kill()
    process.communicate(timeout=60)
    assert state(toy / "_build" / "html") == before
    wait_for(lambda: not [p for p in psutil.process_iter(["cmdline"]) if str(toy) in " ".join(p.info["cmdline"] or ())])
    run = toybook.build(toy)
    assert run.returncode == 0, run.stdout + run.stderr
    whole(toy)


def test_killed_between_the_two_renames_of_publish(toy, tmp_path, monkeypatch, capsys):
    """The last good book is put back by the next command of the driver, even by one that fails."""
    target, new = toy / "_build" / "html", tmp_path / "new"
    before = state(target)
    shutil.copytree(target, new)
    (new / "index.html").write_text("the new book")
    real, calls = html.os.replace, []

    def dies_second(a, b):
        calls.append((a, b))
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(a, b)

    monkeypatch.setattr(html.os, "replace", dies_second)
    with pytest.raises(KeyboardInterrupt):
        html.publish(new, target)
    monkeypatch.setattr(html.os, "replace", real)
    assert not target.exists(), "this is the moment between the renames"
    assert driver().main(["chapter", "99"]) == 1
    assert state(target) == before
    html.publish(new, target)
    assert (target / "index.html").read_text() == "the new book"
    assert not target.with_name("html.old").exists()


def test_an_interrupted_first_rename_leaves_the_book(toy, tmp_path, monkeypatch):
    target, new = toy / "_build" / "html", tmp_path / "new"
    new.mkdir()
    before = state(target)

    def dies(a, b):
        raise KeyboardInterrupt

    monkeypatch.setattr(html.os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        html.publish(new, target)
    assert state(target) == before


# --- drift, and plain papermill ------------------------------------------------------------------------------------


def test_drift_from_accepted_facts_fails_where_asked_and_accept_takes_it(toy):
    run = toybook.build(toy, "accept")
    assert run.returncode == 0 and "accepted facts written to results/accepted/smoke.json" in run.stdout
    edit(toy / "results" / "accepted" / "smoke.json", '"value": 2.0', '"value": 3.0')
    run = toybook.build(toy, "book", "--drift", "fail")
    assert run.returncode == 1 and "toy-sum: printed value 3.0 -> 2.0" in run.stdout


def test_drift_is_shown_and_fails_only_where_asked(toy, capsys):
    judged, _ = check.collect(load_claims(), notebooks(toy))
    drift = driver()._drift
    assert [drift("smoke", judged, mode) for mode in ("show", "fail")] == [0, 1], "no accepted facts yet"
    assert "make accept" in capsys.readouterr().out
    drift("smoke", judged, "accept")
    assert drift("smoke", judged, "fail") == 0
    edit(toy / "results" / "accepted" / "smoke.json", '"value": 2.0', '"value": 3.0')
    assert [drift("smoke", judged, mode) for mode in ("show", "fail")] == [0, 1]
    assert "printed value 3.0 -> 2.0" in capsys.readouterr().out


def papermill(folder: Path, chapter: Path, tmp_path: Path, env: dict[str, str]) -> nbformat.NotebookNode:
    raw, done = tmp_path / "raw.ipynb", tmp_path / "done.ipynb"
    for line in (
        ["jupytext", "--to", "ipynb", str(chapter.relative_to(folder)), "-o", str(raw)],
        ["papermill", str(raw), str(done), "-p", "profile", "smoke", "--no-progress-bar"],
    ):
        program = Path(sys.executable).parent / line[0]
        run = subprocess.run(
            [str(program), *line[1:]], cwd=folder, env=env, capture_output=True, text=True, timeout=120
        )
        assert run.returncode == 0, run.stdout + run.stderr
    return nbformat.read(done, 4)


def test_plain_papermill_runs_the_toy(toy, tmp_path):
    _, env = toybook.command(toy)
    notebook = papermill(toy, toy / "chapters" / "10_first.py", tmp_path, env)
    assert check.problems(notebook) == []
    assert check.findings(notebook)["observations"][0]["value"] == 2.0


def test_plain_papermill_runs_a_real_chapter(tmp_path):
    chapters = sources.discover(ROOT)
    _, env = toybook.command(ROOT)
    notebook = papermill(ROOT, chapters[0].path, tmp_path, env)
    assert check.problems(notebook) == []
    assert check.findings(notebook)["chapter"] == chapters[0].slug


def test_the_pages_offer_source_and_notebook_for_download(toy):
    page = (toy / "_build" / "html" / "chapters" / "10_first.html").read_text(encoding="utf-8")
    for suffix in ("py", "ipynb"):
        assert list((toy / "_build" / "html" / "_downloads").rglob(f"10_first.{suffix}"))
        assert f"10_first.{suffix}" in page
    assert config.root() == toy
    assert pages.built_line("smoke", []).startswith("This copy was built at profile **smoke**")
