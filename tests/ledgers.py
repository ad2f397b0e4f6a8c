"""Claims for tests of the ledger: a minimal valid one, and files of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from specseg.evidence.ledger import Claims, load_claims

MINIMAL: dict[str, Any] = {
    "id": "eq01-sum", "locator": "Eq. 1", "section": "1", "kind": "identity", "statement": "One and one make two.",
    "tier": "R1", "chapter": "10_first",
    "checks": {"printed": {"kind": "residual", "max": 0.1, "basis": "by hand"}},
}  # fmt: skip


def toml(value: Any) -> str:
    """Return a value as TOML: text, numbers, lists and inline tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write(path: Path, claims: list[dict[str, Any]], head: str = "") -> Path:
    """Write a claims file; None as a value leaves a field out."""
    parts = [head]
    for claim in claims:
        parts += ["[[claim]]", *(f"{k} = {toml(v)}" for k, v in claim.items() if v is not None)]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path


def load(folder: Path, *changes: dict[str, Any], head: str = "") -> Claims:
    """Return the claims that the minimal one becomes with each of these changes."""
    return load_claims(write(folder / "claims.toml", [{**MINIMAL, **c} for c in changes], head))
