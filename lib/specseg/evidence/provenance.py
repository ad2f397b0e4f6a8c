"""Which code a number came from: the modules that a file imports, their hashes, the versions that decide numbers."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from specseg.evidence import config

PACKAGE = "specseg"
# Packages whose version can change a printed number or a drawn picture.
DECIDING = ("torch", "torchvision", "numpy", "scipy", "pandas", "sympy", "statsmodels", "matplotlib", "timm", "pillow")

# What decides a measured number beside the data: the code, and the files that say what is read and at which size.
DECIDING_PATHS = ("lib", "experiments", "data_manifests", "paper/tables", "profiles.toml")
# Instruction sets on which speed and the rounding of kernels depend, as torch names them.
INSTRUCTIONS = (
    "avx2", "fma3", "avx512_f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "neon", "sve", "sve2", "bf16",
)  # fmt: skip

_PARSER = threading.Lock()  # Python 3.11's ast keeps one recursion counter for all threads and fails when they mix

# Strings and comments as every supported Python reads them: Python's own tokenizer takes all the rest apart too, which
# made hashing twice as slow. (Python 3.12 alone would take an f-string's own quotes inside it; 3.11 has none.)
_STRINGS_AND_COMMENTS = re.compile(
    r"""(\"{3}|'{3})(?:\\.|(?!\1)[^\\])*\1 | (["'])(?:\\.|(?!\2)[^\\])*\2 | \#[^\n]*""", re.DOTALL | re.VERBOSE
)

# Modules that carry numbers and cannot change one; nor can any part of specseg.sweep, which starts work and keeps it.
PLUMBING = (
    "specseg", "specseg.evidence", "specseg.evidence.config", "specseg.evidence.records", "specseg.evidence.renewal",
    "specseg.evidence.provenance", "specseg.evidence.schema", "specseg.data", "specseg.data._torchvision",
    "specseg.data.manifests.fetch",
    "specseg.spectral", "specseg.nets", "specseg.measure", "specseg.proofs", "specseg.study", "specseg.nets.protocol",
)  # fmt: skip


def plumbing(name: str) -> bool:
    """Say whether a module only carries numbers: a record does not become stale when it alone has changed."""
    return name in PLUMBING or name.split(".")[:2] == [PACKAGE, "sweep"]


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that decide numbers; "absent" where one is not installed."""
    out = {}
    for name in DECIDING:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            out[name] = "absent"
    return out


def library() -> Path:
    """Return the folder of the library's source: in the project's root, outside a checkout the installed one."""
    return config.root() / "lib" / PACKAGE if config.in_checkout() else Path(__file__).resolve().parents[1]


def module_file(name: str, home: str = "") -> Path | None:
    """Return the source file of a module such as "specseg.spectral.spectrum", or None when there is none."""
    base = os.path.join(home or str(library().parent), *name.split("."))
    return next((Path(f) for f in (f"{base}.py", os.path.join(base, "__init__.py")) if os.path.isfile(f)), None)


def current(names: Iterable[str]) -> dict[str, str | None]:
    """Return module name -> its code hash now, None where there is no such module; asked for at every record."""
    home = str(library().parent)
    files = {name: module_file(name, home) for name in names}
    return {name: code_hash(file) if file else None for name, file in files.items()}


def module_name(path: Path) -> str:
    """Return the dotted name of a library file."""
    parts = path.resolve().relative_to(library().parent.resolve()).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _parse(source: str, name: str = "<unknown>") -> ast.Module:
    with _PARSER:
        return ast.parse(source, filename=name)


def imported(path: Path | str, home: str = "") -> set[str]:
    """Return the library modules that a file names in its import statements, those inside functions too.

    >>> "specseg.evidence.config" in imported(library() / "evidence" / "provenance.py")
    True
    """
    named, home = _named(str(path), _stamp(path)), home or str(library().parent)
    return {name for name in named if name.split(".")[0] == PACKAGE and module_file(name, home)}


@lru_cache(maxsize=1024)
def _named(path: str, stamp: tuple[int, int]) -> frozenset[str]:
    """Return the names in a file's import statements, with and without what is taken of a module; all are absolute."""
    found: set[str] = set()
    for node in ast.walk(_parse(Path(path).read_text(encoding="utf-8"), path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def closure(paths: list[Path]) -> list[Path]:
    """Return every library file that these files import, directly or not, sorted; packages' __init__ files included."""
    home, seen, names = str(library().parent), set(), set()
    todo = [name for path in paths for name in imported(path, home)]
    while todo:
        name = todo.pop()
        parents = {name.rsplit(".", i)[0] for i in range(name.count(".") + 1)}
        for module in parents - names:
            file = module_file(module, home)
            if file and file not in seen:
                seen.add(file)
                todo += imported(file, home)
        names |= parents
    return sorted(seen)


def code_text(source: str, *, imports: bool = False) -> str:
    """Return source without comments, docstrings, imports of the library and blank lines: what can change a number.

    Where a module of the library lies changes none; that another is used, its user's own list of modules tells.
    `imports` keeps them.

    >>> code_text('from specseg.a import b\\ndef f(x):\\n    "Doc."\\n    return x  # why\\n')
    'def f(x):\\n    return x'
    """
    lines, verbatim = source.split("\n"), set()  # rows that end inside a string: there a blank or a space is data
    row, at = 1, 0  # the row of the character `at`
    for found in _STRINGS_AND_COMMENTS.finditer(source):
        start = row + source.count("\n", at, found.start())
        at, row = found.end(), start + found[0].count("\n")
        if found[0][0] == "#":
            lines[start - 1] = lines[start - 1][: -len(found[0])]
        else:
            verbatim |= set(range(start, row))
    for node in ast.walk(_parse(source)):
        if not imports and _of_the_library(node):
            _cut(lines, node)
            continue
        body = getattr(node, "body", None)
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not body:
            continue
        first = body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            _cut(lines, first.value)
            verbatim -= set(range(first.lineno, first.end_lineno))
    kept = (line if row in verbatim else line.rstrip() for row, line in enumerate(lines, 1))
    return "\n".join(line for row, line in enumerate(kept, 1) if line.strip() or row in verbatim)


def _of_the_library(node: ast.AST) -> bool:
    """Say whether a statement imports nothing but modules of the library."""
    if isinstance(node, ast.ImportFrom):
        return node.level > 0 or (node.module or "").split(".")[0] == PACKAGE
    return isinstance(node, ast.Import) and all(a.name.split(".")[0] == PACKAGE for a in node.names)


def _cut(lines: list[str], node: ast.expr | ast.stmt) -> None:
    """Take an expression or statement out; what stands before or after it on its lines stays."""
    for row in range(node.lineno - 1, node.end_lineno):
        line = lines[row].encode()
        start = node.col_offset if row == node.lineno - 1 else 0
        stop = node.end_col_offset if row == node.end_lineno - 1 else len(line)
        lines[row] = (line[:start] + line[stop:]).decode()


@lru_cache(maxsize=1024)
def _file_hash(path: str, stamp: tuple[int, int]) -> str:
    return hashlib.sha256(code_text(Path(path).read_text(encoding="utf-8")).encode()).hexdigest()[:16]


def code_hash(path: Path | str) -> str:
    """Return a hash of a file's code without comments and docstrings (the same on every supported Python)."""
    return _file_hash(str(path), _stamp(path))


def _stamp(path: Path | str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


def hashes() -> frozenset[str]:
    """Return the code hashes of all files of the library as they are now; asked for at every record of older code."""
    return frozenset(map(code_hash, library().rglob("*.py")))


def module_hashes(paths: list[Path]) -> dict[str, str]:
    """Return module name -> code hash for every library module that these files import, directly or not.

    Modules that only carry numbers (paths, records, this one) are left out: they cannot change a measurement.
    """
    names = {module_name(file): file for file in closure(paths)}
    return {name: code_hash(file) for name, file in names.items() if not plumbing(name)}


def loaded() -> dict[str, str]:
    """Return module name -> code hash of every library module that this process has imported, however it was named."""
    names = sorted(n for n in list(sys.modules) if n == PACKAGE or n.startswith(f"{PACKAGE}."))
    return {name: code for name, code in current(names).items() if code}


def commit() -> tuple[str, bool]:
    """Return the checkout's commit and whether tracked files differ from it; ("unknown", False) outside a checkout."""
    head, changes = git("rev-parse", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return (head.strip(), bool(changes.strip())) if head is not None and changes is not None else ("unknown", False)


def uncommitted() -> list[str]:
    """Return the files that decide numbers and are not as the commit has them, paths relative to the root.

    Tracked files under `DECIDING_PATHS` that differ, and untracked .py files there: what is written under results/ or
    in the book decides no measured number. Empty outside a checkout, where no commit is named either.
    """
    told = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", *DECIDING_PATHS)
    entries = [(e[:2], e[3:]) for e in (told or "").split("\0") if e]
    return sorted(path for state, path in entries if state != "??" or path.endswith(".py"))


def git(*words: str) -> str | None:
    """Return what git says in the project's root; None where it fails."""
    try:
        run = dict(cwd=config.root(), capture_output=True, text=True, check=True, timeout=20)
        return subprocess.run(["git", *words], **run).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """Return on what this process computes: processor, instruction sets, cores, torch's kernels and threads, load.

    `kernels` is torch's choice (DEFAULT, AVX2, AVX512, ...); `load` is the mean number of running processes over the
    last minute, None where the system does not tell.

    >>> sorted(machine())
    ['cores', 'instructions', 'kernels', 'load', 'processor', 'threads']
    """
    import torch

    return {
        "processor": processor(), "instructions": list(instructions()), "cores": os.cpu_count(),
        "kernels": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }  # fmt: skip


def processor() -> str:
    """Return the processor's model as torch names it, else its architecture."""
    import torch

    return torch.cpu.get_capabilities().get("cpu_name") or platform.machine() or "unknown"


def instructions() -> tuple[str, ...]:
    """Return those of `INSTRUCTIONS` that torch finds the processor to have."""
    import torch

    have = torch.cpu.get_capabilities()
    return tuple(name for name in INSTRUCTIONS if have.get(name))
