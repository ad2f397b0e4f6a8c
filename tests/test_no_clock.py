"""No test asserts wall-clock or processor time: a loaded machine is slow, not wrong. Speed stands in bench/, as ratios.

Waiting for another process until a deadline is no such assertion: `while not done: assert monotonic() < end`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT

CLOCKS = {"time", "perf_counter", "monotonic", "process_time", "thread_time", "now", "utcnow", "timeit", "repeat"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS}
MODULES = {"time", "timeit", "datetime", "dt"}


class Clocks:
    """What of a file's source holds a time: clock calls, names that were given one, functions that return one."""

    def __init__(self, tree: ast.Module) -> None:
        self.bare = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in MODULES
            for alias in node.names
            if alias.name in CLOCKS
        }
        self.times: set[str] = set()  # names and functions
        before = None
        while before != self.times:
            before = set(self.times)
            for node in ast.walk(tree):
                self._note(node)

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value is not None:
            if self.holds(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.times |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = (n.value for n in ast.walk(node) if isinstance(n, ast.Return | ast.Yield) and n.value is not None)
            if any(map(self.holds, given)):
                self.times.add(node.name)

    def is_clock(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Name):
            return node.func.id in self.bare
        base = ast.unparse(node.func).split(".")
        return len(base) > 1 and base[-1] in CLOCKS and bool(set(base[:-1]) & (MODULES | {"datetime"}))

    def holds(self, node: ast.AST) -> bool:
        return any(self.is_clock(n) or (isinstance(n, ast.Name) and n.id in self.times) for n in ast.walk(node))


def timed_assertions(source: str) -> list[int]:
    """Return the lines of assertions that compare a time, deadlines of waiting loops left out."""
    tree = ast.parse(source)
    clocks = Clocks(tree)
    waiting = {id(n) for loop in ast.walk(tree) if isinstance(loop, ast.While) for n in ast.walk(loop)}

    def deadline(compare: ast.Compare) -> bool:
        """Say whether it is `clock() < end`, which grows late with the wait, not with how fast the code is."""
        sides = [compare.left, *compare.comparators]
        return len(sides) == 2 and any(map(clocks.is_clock, sides)) and any(isinstance(s, ast.Name) for s in sides)

    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            compared = [n for n in ast.walk(node.test) if isinstance(n, ast.Compare) and clocks.holds(n)]
            if any(not (id(node) in waiting and deadline(n)) for n in compared):
                found.append(node.lineno)
    return found


REFUSED = {
    "elapsed": "import time\nt = time.perf_counter()\nf()\nassert time.perf_counter() - t < 2",
    "name": "import time\nt = time.time()\nf()\ntook = time.time() - t\nassert g and took < 2",
    "processor time": "from time import process_time as cpu\nt = cpu()\nf()\nassert 2 > cpu() - t",
    "nanoseconds": "import time\nt = time.monotonic_ns()\nassert time.monotonic_ns() - t < 1e9",
    "function": "import time\ndef took():\n    t = time.time()\n    f()\n    return time.time() - t\nassert took() < 1",
    "least of several": "import time\ndef took(): return time.time()\nassert min(took() for _ in range(5)) < 0.1",
    "timeit": "import timeit\nassert timeit.timeit(f, number=3) < 1",
    "dates": "import datetime\nt = datetime.datetime.now()\nassert datetime.datetime.now() - t < limit",
    "ratio": "import time\na = time.time()\nb = time.time()\nc = time.time()\nassert (b - a) / (c - b) < 3",
    "in a loop": "import time\nt = time.time()\nwhile f():\n    assert time.time() - t < 2",
    "a deadline outside of a loop": "import time\nend = time.time() + 3\nf()\nassert time.time() < end",
}
ALLOWED = {
    "wait": "import time\nend = time.monotonic() + 60\nwhile not f():\n    assert time.monotonic() < end, 'in vain'",
    "timeout": "import subprocess\nassert subprocess.run(x, timeout=60).returncode == 0",
    "told": "import time\nt = time.time()\nassert f() == 3\nprint(time.time() - t)",
    "another word": "assert rows['value'].is_monotonic_increasing and clock.time < 3",
    "a file's age": "assert path.stat().st_mtime_ns == stamp",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_comparison_of_times_is_found(name):
    assert timed_assertions(REFUSED[name]) == [REFUSED[name].count("\n") + 1]


@pytest.mark.parametrize("name", ALLOWED)
def test_waiting_and_telling_are_no_comparison_of_times(name):
    assert timed_assertions(ALLOWED[name]) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").glob("*.py")), ids=lambda p: p.stem)
def test_no_test_asserts_a_time(path: Path):
    lines = timed_assertions(path.read_text(encoding="utf-8"))
    assert lines == [], f"{path.name}: lines {lines} compare a time; put the speed into bench/, as a ratio to a peer"
