"""What several test files share: the driver's steps on the path, a built toy book, a browser, loud skips."""

from __future__ import annotations

import fcntl
import gc
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

# Workers share the cores, and threads that wait for a core spin: the work of one test took twice to thrice as long.
# Before numpy and torch are loaded, which read it once; a test of more threads starts processes that have them.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

import pytest
from hypothesis import settings
from visits import DESK, FLAGS, HTML, Visit, served

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))
# A loaded machine is slow, not wrong; and a change must not fail in continuous integration by the draw of another seed.
settings.register_profile("specseg", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("specseg")


# A job in the background (`make test &`) has Ctrl-C switched off, and so had every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def loaded(path: Path) -> ModuleType:
    """Return a program, which is no part of the library, as a module; its dataclasses look themselves up there."""
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def specseg(*words: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess:
    """Run the command `specseg` in this process, which has its imports: what a process of its own would say.

    A warning, which a process would print on stderr, is an error here.
    """
    from specseg import cli

    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        patch.setattr(sys, "argv", ["specseg", *map(str, words)])
        for name, value in env.items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as end:
                status = end.code or 0
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def project(folder: Path, patch: pytest.MonkeyPatch, *experiments: str) -> Path:
    """Make a project of these experiments with the library of this one, and let the library take it for its root."""
    for name in ("profiles.toml", "lib", "data_manifests"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "experiments").mkdir()
    for name in experiments:
        shutil.copy(ROOT / "experiments" / f"{name}.py", folder / "experiments")
    patch.setenv("SPECSEG_ROOT", str(folder))
    return folder


SCENES: dict[tuple, Any] = {}


@pytest.fixture(scope="module")
def scenes_once() -> Iterator[None]:
    """Draw each synthetic scene once: small trainings draw the same ones, and that is half of what they take."""
    from specseg.data import synthetic

    draw = synthetic.scene

    def drawn(regime: str, seed: int, size: int = 513, **options: Any):
        key = (regime, seed, size, *sorted(options.items()))
        if size > 129:
            return draw(regime, seed, size, **options)
        if key not in SCENES:
            SCENES[key] = draw(regime, seed, size, **options)
        found = SCENES[key]
        return replace(found, image=found.image.copy(), label=found.label.copy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic, "scene", drawn)
        yield


def skip_or_fail(why: str) -> None:
    """Skip where a reader's machine lacks something; in continuous integration fail instead."""
    if os.environ.get("CI"):
        pytest.fail(f"{why} (never skipped where CI is set)")
    pytest.skip(why)


LONG = ("slurm", "sweep", "book", "browser")  # marks, and the room whose processes mostly wait


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first, so that they run beside the others and not after them; Slurm's mostly wait.

    Tests of one page of the book stand side by side: they share its visit (`opened`).
    """

    def rank(item: pytest.Item) -> tuple[int, str, str]:
        names = {mark.name for mark in item.iter_markers()} | {item.path.parent.name} & {"sweep"}
        kind = next((k for k, name in enumerate(LONG) if name in names), len(LONG))
        of = item.callspec.params if kind == LONG.index("browser") and hasattr(item, "callspec") else {}
        return kind, str(of.get("name", "")), {"light": "", "dark": "dark"}[of.get("scheme", "light")]

    items.sort(key=rank)  # stable: within a kind, and of a page, the order of the files


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays: modules and tests are most of what it would search, again and
    again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter) -> None:
    """Print every skipped test with its reason at the end of the run: a skip is never silent."""
    for report in terminalreporter.stats.get("skipped", []):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {why}", yellow=True)


@pytest.fixture(scope="session")
def built_toy(tmp_path_factory, request) -> Path:
    """A toy book that the real driver has built; one for all workers. Copy it (fixture `toy`) before changing it."""
    import toybook

    base = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        base = base.parent
    folder = base / "a built toy"
    with open(base / "toy.lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "toy.done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            toybook.make(folder)
            run = toybook.build(folder)
            assert run.returncode == 0, run.stdout + run.stderr
            (base / "toy.done").touch()
    return folder


@pytest.fixture
def toy(built_toy, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of the built toy book; the library of this process takes it for the project's root."""
    folder = tmp_path / "a toy book"
    shutil.copytree(built_toy, folder, symlinks=True)
    monkeypatch.setenv("SPECSEG_ROOT", str(folder))
    monkeypatch.delenv("SPECSEG_DATA", raising=False)
    monkeypatch.delenv("CI", raising=False)
    yield folder


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built book."""
    if not (HTML / "index.html").is_file():
        skip_or_fail("no built book: run 'make book' first")
    with served(HTML) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    found = [p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))]
    if not found:
        skip_or_fail("no Chromium found: install your system's package 'chromium'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found[0], args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def opened(site, browser) -> Iterator[Callable[..., Visit]]:
    """Visit a page that is only looked at: tests of the same page, one after another, share its load (seconds each)."""
    last: dict[tuple[str, str], Visit] = {}
    shared = browser.new_context()

    def look(name: str, *, size: dict = DESK, scheme: str = "light") -> Visit:
        first = name == "index.html"  # is opened in the dark, by a reader who was never here; others become dark
        key = (name, scheme if first else "")
        if key not in last:
            for visit in last.values():
                visit.close()
            last.clear()
            within = None if first else shared
            last[key] = Visit(browser, f"{site}/{name}", size=size, scheme=scheme, within=within)
        return last[key].resized(size).coloured(scheme)

    yield look
    for visit in last.values():
        visit.close()
    shared.close()
