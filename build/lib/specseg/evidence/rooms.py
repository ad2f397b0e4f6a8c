"""The rooms of the library: who uses whom, and how many lines of code each has."""

from __future__ import annotations

from pathlib import Path

from specseg.evidence import provenance

ROOMS = {
    "spectral": "tensors in, tensors out: spectra, losses, IoU, labels, laws",
    "evidence": "what the paper says, what was found, what follows; records, code hashes, intervals",
    "data": "manifests in, samples out; synthetic scenes; surveys of label maps",
    "nets": "networks: made, trained, truncated, pruned, counted, loaded",
    "sweep": "the cells of an experiment, and who does them",
    "measure": "a network and pictures in, counts per picture out",
    "proofs": "derivations and residuals of the equations",
    "advise": "a folder of labels in, advice out",
    "study": "records or printed tables in, tidy tables and findings out",
    "figures": "tidy rows in, a figure out",
    "cli": "the command `specseg`",
}
"""Room -> what enters and leaves. A room uses only rooms above it."""


def room_of(module: str) -> str:
    """Return the room of a module of the library, "" for the package itself.

    >>> room_of("specseg.data.manifests.schema")
    'data'
    """
    return module.partition(".")[2].partition(".")[0]


def graph() -> dict[str, set[str]]:
    """Return for each room the rooms that its modules import."""
    uses: dict[str, set[str]] = {room: set() for room in ROOMS}
    for file in provenance.library().rglob("*.py"):
        if own := room_of(provenance.module_name(file)):
            uses[own] |= {room_of(name) for name in provenance.imported(file)} - {own, ""}
    return uses


def code_lines(path: Path) -> int:
    """Return a file's lines without blank ones, comments and docstrings."""
    return len(provenance.code_text(path.read_text(encoding="utf-8"), imports=True).splitlines())


def sizes() -> dict[str, tuple[int, int]]:
    """Return for each room its modules and their lines of code."""
    files = {room: sorted((provenance.library() / room).rglob("*.py")) for room in ROOMS}
    return {room: (len(found), sum(map(code_lines, found))) for room, found in files.items()}


def picture() -> str:
    """Return the rooms as a Mermaid graph: an arrow from a room to one that it uses, but none where others lead there.

    >>> picture().splitlines()[0]
    'graph TD'
    """
    uses = graph()

    def reached(room: str) -> set[str]:
        return uses[room].union(*map(reached, uses[room])) if uses[room] else set()

    lines = ["graph TD"]
    for room, below in reversed(uses.items()):
        direct = below - set().union(*map(reached, below))
        lines += [f"    {room} --> {other}" for other in ROOMS if other in direct]
    return "\n".join(lines)
