"""Kernels forked from a warm parent: the same notebooks as ordinary kernels give, and no process left behind."""

from __future__ import annotations

import os
import signal

import nbformat
import psutil
import pytest

from specseg.evidence import provenance
from steps import execute, sources, warm

pytestmark = [pytest.mark.book, pytest.mark.skipif(not warm.available(), reason="kernels are forked on Linux alone")]


@pytest.fixture(scope="module")
def parent():
    with warm.Parent(("json",)) as started:
        yield started


def bad(parent: warm.Parent, folder) -> warm.Kernel:
    """A kernel whose working folder is not there: it ends by itself."""
    return parent.start(
        ["-f", str(folder / "k.json")], dict(os.environ), str(folder / "absent"), folder / "kernels.log"
    )


def idle(parent: warm.Parent, folder) -> warm.Kernel:
    """A kernel that waits for a client."""
    return parent.start(
        ["-f", str(folder / "k.json"), "--log-level=CRITICAL"], dict(os.environ), str(folder), folder / "kernels.log"
    )


def test_a_forked_kernel_gives_the_notebook_of_an_ordinary_one(toy, tmp_path, monkeypatch):
    chapters, given = sources.discover(toy), {"profile": "smoke"}
    before = set(psutil.Process().children(recursive=True))
    cold = execute.run_all(chapters, given, tmp_path / "cold", tmp_path / "failed", jobs=1, force=True)
    started = []
    monkeypatch.setattr(warm, "WORTH", 1)
    begin = warm.Parent.start
    monkeypatch.setattr(warm.Parent, "start", lambda self, *a: started.append(a) or begin(self, *a))
    loads = [m for m in warm.MODULES if m.split(".")[0] in ("ipykernel", "myst_nb", "pandas", "matplotlib", "specseg")]
    with warm.Parent([m for m in loads if "torch" not in m]) as parent:  # as the toy's chapters load none
        forked = execute.run_all(chapters, given, tmp_path / "warm", tmp_path / "failed", force=True, parent=parent)
    assert [r.what for r in (*cold, *forked)] == ["ran"] * 4, [r.error for r in (*cold, *forked)]
    assert len(started) == 2
    for a, b in zip(cold, forked, strict=True):
        first, second = (nbformat.read(r.path, 4) for r in (a, b))
        mine, theirs = (execute.check.findings(nb) for nb in (first, second))
        assert set(mine["modules"]) <= set(theirs["modules"]) and mine["observations"] == theirs["observations"]
        extra = {"specseg.data", "specseg.figures"}  # what the parent loads of the library beside
        assert set(theirs["modules"]) - set(mine["modules"]) <= extra
        assert [c.source for c in first.cells] == [c.source for c in second.cells]
    assert set(psutil.Process().children(recursive=True)) <= before, "a kernel or its parent was left behind"


def test_a_kernel_that_ends_tells_its_status(parent, tmp_path):
    kernel = bad(parent, tmp_path)
    assert kernel.wait(60) != 0 and kernel.poll() == kernel.wait(1)
    kernel.kill()  # nothing to end: no error
    assert "FileNotFoundError" in (tmp_path / "kernels.log").read_text(encoding="utf-8"), "what it said last is kept"


def test_a_kernel_leads_its_own_session_and_can_be_ended(parent, tmp_path):
    kernel = idle(parent, tmp_path)
    assert kernel.poll() is None
    with pytest.raises(TimeoutError, match="still runs after"):
        kernel.wait(0.05)
    kernel.terminate()
    assert kernel.wait(60) in (-signal.SIGTERM, 1, 0)


def test_the_parents_end_takes_its_kernels_along(tmp_path):
    with warm.Parent(("json",)) as parent:
        assert not parent.started
        kernel = idle(parent, tmp_path)
        assert parent.started
        assert psutil.pid_exists(kernel.pid)
    assert not psutil.pid_exists(kernel.pid) or psutil.Process(kernel.pid).status() == psutil.STATUS_ZOMBIE


def test_a_parent_that_died_is_told_and_starts_nothing(tmp_path):
    with warm.Parent(("json",)) as parent:
        kernel = idle(parent, tmp_path)
        parent._process.kill()
        assert kernel.wait(60) == 1
        with pytest.raises(ChildProcessError, match="parent of kernels"):
            bad(parent, tmp_path)
    psutil.Process(kernel.pid).kill()


def test_a_program_runs_in_a_fork_and_tells_its_status(parent, tmp_path):
    log = tmp_path / "log" / "said.log"
    code = "import json, sys; print(json.dumps(sys.argv[1:])); print('oh', file=sys.stderr); sys.exit(int(sys.argv[2]))"
    for status in (0, 3):
        log.unlink(missing_ok=True)
        assert parent.start(["a", str(status)], dict(os.environ), str(tmp_path), log, code).wait(60) == status
        assert log.read_text(encoding="utf-8") == f'["a", "{status}"]\noh\n'


def test_what_the_parent_loads_of_the_library_is_what_chapters_load():
    named = [m for m in warm.MODULES if m.startswith(provenance.PACKAGE)]
    expected = ("data._torchvision", "evidence.ledger", "evidence.records", "figures")
    assert named == [f"specseg.{name}" for name in expected]
