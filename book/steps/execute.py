"""Run the chapters that need it, and keep only complete runs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from specseg.evidence import config, provenance, records
from specseg.evidence.ledger import load_claims
from steps import check, warm
from steps.sources import BookError, Chapter, settle


@dataclass(frozen=True)
class Run:
    """One chapter's result: where the executed notebook lies, what happened, and how long it took when it ran."""

    chapter: Chapter
    path: Path
    what: str  # "ran", "reused" or "FAILED"
    seconds: float
    error: str = ""
    parts: dict[str, float] = field(default_factory=dict)  # seconds of its kernel, its imports and its other cells


def fingerprint(chapter: Chapter, parameters: dict[str, Any]) -> str:
    """Return the hash of all that decides a chapter's output and is known before it runs."""
    profile = config.profile(parameters["profile"])
    claims = [c for c in load_claims() if c.chapter == chapter.slug]
    modules = {provenance.module_name(f): provenance.code_hash(f) for f in provenance.closure([chapter.path])}
    parts = {
        "source": chapter.path.read_text(encoding="utf-8"),
        "modules": modules,
        "parameters": parameters,
        "profile": profile.values,
        "versions": provenance.versions(),
        "claims": [repr(c) for c in claims],
        "data": config.data_root().is_dir() if set(profile.values.get("data", [])) - {"synthetic"} else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def reusable(path: Path, key: str, known: dict[str, str] | None = None) -> bool:
    """Say whether an executed notebook is complete, made from this fingerprint, and all it rests on is as it was.

    That is: the files that it read, the library modules that it loaded (those too that no import statement names), and
    the freshness of the records that it shows, which changes with code that the chapter itself never imports; `known`
    keeps it by record, since chapters share records.
    """
    if not path.is_file():
        return False
    try:
        notebook = nbformat.read(path, 4)
        if notebook.metadata.get("specseg", {}).get("fingerprint") != key or check.problems(notebook):
            return False
        data, known = check.findings(notebook), {} if known is None else known
        if not all(config.unchanged(key, old) for key, old in data["inputs"].items()):
            return False
        if provenance.current(data["modules"]) != data["modules"]:
            return False
        for run_id, r in data["records"].items():
            if run_id not in known:
                known[run_id] = records.load(r["experiment"], run_id).freshness()
        return all(known[run_id] == r["freshness"] for run_id, r in data["records"].items())
    except Exception:  # a notebook that cannot be read, or lacks what is asked here, is run again
        return False


def run_one(
    chapter: Chapter, given: dict[str, Any], out: Path, force: bool, failed: Path, kernels: type | None = None,
    known: dict[str, str] | None = None,
) -> Run:  # fmt: skip
    """Run one chapter, or reuse its last complete run. Never leaves a half-finished notebook where the book looks.

    `kernels` is the class of kernel managers, None for jupyter_client's own; `known` as in `reusable`.
    """
    started = time.perf_counter()
    target = out / f"{chapter.slug}.ipynb"
    parameters = settle(chapter, given)
    key = fingerprint(chapter, parameters)
    if not force and reusable(target, key, known):
        seconds = nbformat.read(target, 4).metadata["specseg"]["seconds"]
        return Run(chapter, target, "reused", seconds)
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{chapter.slug}-", dir=out))
    socket = tempfile.mkdtemp(prefix="nbk-")  # a short path of its own: unix sockets have a length limit
    raw, done = scratch / "in.ipynb", scratch / "out.ipynb"
    try:
        nbformat.write(chapter.notebook, raw)
        papermill.execute_notebook(
            raw, done, parameters=given, cwd=config.root(), kernel_name="python3", progress_bar=False,
            request_save_on_cell_execute=False, config=_kernel_config(socket), log_output=False,
            **({"kernel_manager_class": kernels} if kernels else {}),
        )  # fmt: skip
        executed = nbformat.read(done, 4)
        parts = _parts(executed, time.perf_counter() - started)
        notebook = _normalised(executed)
        if found := check.problems(notebook):
            raise BookError(f"{chapter.path.name}: " + "; ".join(found))
        seconds = time.perf_counter() - started
        notebook.metadata["specseg"] = {
            "fingerprint": key, "seconds": round(seconds, 2), "parameters": parameters, "chapter": chapter.slug,
        }  # fmt: skip
        nbformat.write(notebook, done)
        os.replace(done, target)
        return Run(chapter, target, "ran", seconds, parts=parts)
    except (PapermillExecutionError, BookError, Exception) as err:
        failed.mkdir(parents=True, exist_ok=True)
        if done.is_file():
            shutil.copyfile(done, failed / f"{chapter.slug}.ipynb")
        return Run(chapter, target, "FAILED", time.perf_counter() - started, _explain(err))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(socket, ignore_errors=True)


def run_all(
    chapters: list[Chapter],
    given: dict[str, Any],
    out: Path,
    failed: Path,
    *,
    jobs: int = 2,
    force: bool = False,
    threads: int = 1,
    tell: Callable[[Run], None] = lambda run: None,
    parent: warm.Parent | None = None,
) -> list[Run]:
    """Run chapters `jobs` at a time, `threads` each, and return the runs in the chapters' order.

    `parent` is the parent of their kernels where many run; None gives them one that ends with them.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)  # two notebooks at once with two threads each lose 45 %
    os.environ["SPECSEG_ROOT"] = str(config.root())
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    for chapter in chapters:
        settle(chapter, given)  # refuse unknown parameters before anything runs
    runs: dict[str, Run] = {}
    known: dict[str, str] = {}
    with ExitStack() as stack:
        forks = warm.available() and len(chapters) >= warm.WORTH
        parent = (parent or stack.enter_context(warm.Parent())) if forks else None
        if parent and not all((out / f"{c.slug}.ipynb").is_file() for c in chapters):
            parent.begin()  # at least one will run
        log = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nbl-"))) / "kernels.log"
        kernels = warm.manager(parent, log)
        pool = stack.enter_context(ThreadPoolExecutor(max(1, jobs)))
        longest = sorted(chapters, key=lambda c: -_length(c, out))  # first, so that none runs alone at the end
        waiting = [pool.submit(run_one, c, given, out, force, failed, kernels, known) for c in longest]
        try:
            for future in as_completed(waiting):
                run = future.result()
                runs[run.chapter.slug] = run
                if run.error and log.is_file() and log.stat().st_size:
                    shutil.copyfile(log, failed / log.name)  # a kernel that died says why there alone
                tell(run)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _end_children()  # else the pool would wait until the running chapters come to their end
            raise
    return [runs[c.slug] for c in chapters]


def _end_children() -> None:
    """End the kernels that this process has started; their chapters then fail instead of running on."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()


def _kernel_config(socket: str) -> Config:
    # The kernel logs the interrupt that ends it as an error; nobody needs to read that.
    client = {"extra_arguments": ["--log-level=CRITICAL"]}
    if os.name != "posix":
        return Config({"NotebookClient": client})
    return Config({"NotebookClient": client, "KernelManager": {"transport": "ipc", "ip": os.path.join(socket, "k")}})


def _length(chapter: Chapter, out: Path) -> float:
    """Return a chapter's seconds of the last time; where it never ran, a guess from the length of its source."""
    try:
        text = (out / f"{chapter.slug}.ipynb").read_text(encoding="utf-8")
        return json.loads(text)["metadata"]["specseg"]["seconds"]
    except (OSError, ValueError, KeyError):
        return chapter.path.stat().st_size / 2000


def _parts(notebook: nbformat.NotebookNode, seconds: float) -> dict[str, float]:
    """Return the seconds of a run's kernel (start, end, transport), of the cell of its imports, of the other cells."""
    own = {"imports": 0.0, "cells": 0.0}
    for cell in notebook.cells:
        first = not own["imports"] and "specseg import" in cell.source
        own["imports" if first else "cells"] += cell.metadata.get("papermill", {}).get("duration") or 0.0
    return {"kernel": seconds - sum(own.values()), **own}


def _normalised(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without what changes at every run: times, random cell ids."""
    notebook.metadata.pop("papermill", None)
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i:03d}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"].append("remove-cell")
    return notebook


def _explain(err: BaseException) -> str:
    if isinstance(err, PapermillExecutionError):
        source = "\n".join(f"    {line}" for line in err.source.splitlines()[:15])
        return f"cell {err.exec_count}: {err.ename}: {err.evalue}\n{source}"
    if isinstance(err, BookError):
        return str(err)
    return "".join(traceback.format_exception_only(err)).strip()
