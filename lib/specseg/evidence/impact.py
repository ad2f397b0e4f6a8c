"""What a change touches: from library files to the chapters, experiments, records and claims that rest on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from specseg.evidence import config, provenance, records
from specseg.evidence.ledger import load_claims


def changed(since: str = "HEAD") -> list[Path]:
    """Return the files that differ from a git revision, untracked too. Raises ValueError outside a checkout."""
    told = provenance.git("diff", "--name-only", since, "--"), provenance.git("ls-files", "-o", "--exclude-standard")
    if None in told:
        raise ValueError(f"git cannot compare with {since!r}: no such revision, or {config.root()} is no checkout")
    return [config.root() / file for file in "".join(told).splitlines()]


def touched(files: Iterable[Path]) -> dict[str, list[str]]:
    """Return what rests on these files: modules, chapters, experiments, records (by their own code), claims.

    A chapter is touched by its own file and by every library module that it imports, directly or not.
    """
    root = config.root()
    own = {Path(f).resolve() for f in files}
    chapters, scripts = (
        [p for p in sorted((root / folder).glob("*.py")) if own & {f.resolve() for f in (p, *provenance.closure([p]))}]
        for folder in ("chapters", "experiments")
    )
    names = {
        provenance.module_name(f) for f in own if f.suffix == ".py" and provenance.library().resolve() in f.parents
    }
    stems = {c.stem for c in chapters}
    rest = [
        f"{experiment}/{record.run_id}: {record.freshness()}"
        for experiment in records.experiments()
        for record in records.find(experiment)
        if names & set(record.meta["modules"]) or own & {(root / record.meta.get("script", ".")).resolve()}
    ]
    return {
        "changed modules": sorted(names),
        "chapters": [c.relative_to(root).as_posix() for c in chapters],
        "experiments": [e.relative_to(root).as_posix() for e in scripts],
        "records": rest,
        "claims": [f"{c.id} ({c.chapter})" for c in load_claims() if c.chapter in stems],
    }
