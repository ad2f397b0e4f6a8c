"""The same facts under other kernels, threads and instruction sets: chapters run again, compared number by number."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from specseg.evidence.ledger import load_claims
from steps import accepted
from steps.sources import BookError

SUBJECT = ("20", "25", "30", "35", "40", "45", "50", "55", "75", "90")
"""Chapters whose facts involve networks or long sums; the others judge printed numbers and records."""


CHOSEN = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")


@dataclass(frozen=True)
class Setting:
    """One way to compute: environment variables of torch and oneDNN, and threads."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    threads: int = 1


def settings() -> list[Setting]:
    """Return the settings that this processor can compare, its own first."""
    found = [Setting("native"), Setting("two threads", threads=2),
             Setting("default kernels", {"ATEN_CPU_CAPABILITY": "default"})]  # fmt: skip
    if platform.machine().lower() in ("x86_64", "amd64"):
        found.append(Setting("AVX2 kernels", {"ATEN_CPU_CAPABILITY": "avx2"}))
        oldest = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
        found.append(Setting("default kernels, SSE4.1 in oneDNN", oldest))
    return found


def chosen(names: list[str]) -> list[Setting]:
    """Return the settings of these names, all without any. Raises BookError that lists them for an unknown name."""
    every = {s.name: s for s in settings()}
    if unknown := [n for n in names if n not in every]:
        raise BookError(f"unknown setting {unknown[0]!r}: expected one of {', '.join(every)}")
    return [every[n] for n in names] if names else list(every.values())


def facts(setting: Setting, chapters: list[str], jobs: int, folder: Path) -> dict:
    """Run chapters at smoke under a setting, in a process of its own, and return what they found of their claims."""
    target = folder / "facts.json"
    command = [sys.executable, str(Path(__file__).parents[1] / "build.py"), "facts", "--out", str(target)]
    command += ["--jobs", str(jobs), "--threads", str(setting.threads), "--only", *chapters]
    kept = {k: v for k, v in os.environ.items() if k not in CHOSEN}  # native is native, whatever this process was given
    run = subprocess.run(command, env=kept | setting.env, capture_output=True, text=True)
    if run.returncode:
        raise BookError(f"setting {setting.name!r}:\n{(run.stdout + run.stderr)[-3000:]}")
    return json.loads(target.read_text(encoding="utf-8"))


def compare(names: list[str], chapters: list[str], jobs: int, console) -> int:
    """Print claims by setting, the largest relative difference from the accepted facts each; return the exit status.

    1 when a verdict differs or a number by more than its claim's drift.
    """
    known, claims = accepted.read("smoke"), {c.id: c for c in load_claims()}
    if known is None:
        raise BookError("no accepted facts for profile smoke: 'make accept' writes them")
    wrong, far = [], {}
    for setting in chosen(names):
        with tempfile.TemporaryDirectory() as folder:
            found = facts(setting, chapters, jobs, Path(folder))
        far[setting.name] = accepted.largest(known, found)
        own = {i: fact for i, fact in known.items() if i in found}
        lines = accepted.differences(own, found, {i: claims[i].drift for i in found})
        wrong += [f"{setting.name}: {line}" for line in lines]
        console.print(f"{setting.name}: {len(found)} claims, {len(lines)} differ")
    console.print(_table(far))
    for line in wrong:
        console.print(f"  {line}")
    return int(bool(wrong))


def _table(far: dict[str, dict[str, float]]) -> Table:
    """Return claims by setting; those that no setting moves by more than 1e-12 are counted in one line."""
    rows = sorted({i for own in far.values() for i in own})
    moved = [i for i in rows if max(own.get(i, 0.0) for own in far.values()) > 1e-12]
    table = Table(title=f"Largest relative difference from the facts accepted on {accepted.made_on('smoke')}")
    table.add_column("claim")
    for name in far:
        table.add_column(name, justify="right")
    for i in moved:
        table.add_row(i, *(f"{own[i]:.1e}" if i in own else "-" for own in far.values()))
    table.add_row(f"{len(rows) - len(moved)} others", *("below 1e-12" for _ in far))
    return table
