"""Seconds of `make book` and `make test` in this checkout against those of an earlier commit, on the same machine.

Command   python bench/bench_build.py [--peer e57c325] [--rounds 3] [--only peer|here] [--folder DIR] [--json FILE]
Minutes   about 20 a round and side on two free cores; what was measured is kept, so an interrupted bench goes on
Expect    the smoke book in at most 0.4, the whole of `make test` in at most 0.6 of the peer's seconds

Each side is a fresh clone with an environment of its own, set up before (not timed). A round is the smoke book, after
everything built was removed, and `make test`: of the peer its parts one after another, whatever their exit status,
since it fails on some machines and must still be timed; here the command itself, with its comparison under other
kernels. Medians over the rounds; each is kept with the load before it. Exit code 1 when an expectation fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = {
    "peer": {  # one by one: on some machines its `make test` stops after the book
        "lint": (".venv/bin/ruff check .", ".venv/bin/ruff format --check -q ."),
        "book": (".venv/bin/specseg book --profile smoke --jobs 2 --drift show",),
        "pytest": (".venv/bin/python -m pytest -n 2",),
    },
    "here": {"book": (".venv/bin/specseg book --profile smoke --jobs 2 --drift show",), "test": ("make test",)},
}
WHOLE = {"peer": ("lint", "book", "pytest"), "here": ("test",)}  # what `make test` does
GOALS = {"book": 0.4, "test": 0.6}


def clone(commit: str, folder: Path) -> Path:
    """Return a checkout of a commit with its environment set up."""
    if not (folder / ".git").is_dir():
        subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
        subprocess.run(["git", "-C", folder, "checkout", "-q", commit], check=True)
    subprocess.run(["make", "setup", "browser", "slurm"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def timed(folder: Path, side: str, part: str) -> dict:
    """Run one part in a clean checkout; return its seconds, exit status and the load before it."""
    if part in ("book", "test"):
        for built in ("_build", "book/chapters", "book/_generated"):
            shutil.rmtree(folder / built, ignore_errors=True)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # as on most machines
    load, status, start = os.getloadavg()[0], 0, time.perf_counter()
    for command in PARTS[side][part]:
        status |= subprocess.run(shlex.split(command), cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT).returncode  # fmt: skip
    return {"seconds": round(time.perf_counter() - start, 1), "status": status, "load": round(load, 2)}


def median(rows: list[dict], side: str, what: str) -> float:
    """Median seconds of a part, or of the whole of `make test`, over the rounds of a side."""
    own = [r for r in rows if r["side"] == side]
    parts = WHOLE[side] if what == "test" else (what,)
    return sum(statistics.median(r["seconds"] for r in own if r["part"] == p) for p in parts)


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing and print one line a goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", default="e57c325")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("peer", "here"))
    parser.add_argument(
        "--parts", nargs="+", choices=sorted({*PARTS["peer"], *PARTS["here"]}), default=[*PARTS["peer"], "test"]
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / "bench_build", help="holds both clones")
    parser.add_argument("--json", type=Path, help="what was measured; read first (default: rows.json in the folder)")
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    kept = args.json or args.folder / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() else []
    here = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    commits = {"peer": args.peer, "here": here.stdout.strip()}
    for side, commit in commits.items():
        if args.only not in (None, side):
            continue
        folder = clone(commit, args.folder / f"{side}-{commit}")
        for turn in range(args.rounds):
            for part in (p for p in args.parts if p in PARTS[side]):
                key = {"side": side, "commit": commit, "part": part, "round": turn}
                if not any(key.items() <= row.items() for row in rows):
                    rows.append({**key, **timed(folder, side, part)})
                    kept.write_text(json.dumps(rows, indent=1))
                    print(rows[-1], flush=True)
    rows = [r for r in rows if r["commit"] == commits[r["side"]]]
    late = 0
    for what, goal in GOALS.items():
        needed = {s: WHOLE[s] if what == "test" else (what,) for s in commits}
        if all(any(r["side"] == s and r["part"] == p for r in rows) for s in commits for p in needed[s]):
            peer, own = median(rows, "peer", what), median(rows, "here", what)
            late += own > goal * peer
            print(f"{what}: {own:.0f} s against {peer:.0f} s, {own / peer:.2f} of the peer's (goal {goal})")
    return int(late > 0)


if __name__ == "__main__":
    sys.exit(main())
