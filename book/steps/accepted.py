"""Accepted facts: what the book found last time, per profile; a drift from them is an alarm, not a finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specseg.evidence import config, provenance, schema
from specseg.evidence.verdicts import Judgement


def accepted_file(profile: str) -> Path:
    """Return results/accepted/<profile>.json."""
    return config.root() / "results" / "accepted" / f"{profile}.json"


def facts(judged: Sequence[Judgement]) -> dict[str, Any]:
    """Return claim id -> verdict and the observed numbers (residuals left out: they are rounding noise)."""
    out = {}
    for j in judged:
        rows = []
        for o in j.used:
            if j.claim.checks[o.form].kind != "residual":
                numbers = {key: _short(getattr(o, key)) for key in ("value", "low", "high")}
                rows.append({"form": o.form, "n": o.n, **numbers})
        out[j.claim.id] = {"verdict": j.verdict, "observations": rows}
    return out


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.9g}")


def compare(old: dict[str, Any], judged: Sequence[Judgement]) -> list[str]:
    """Return every difference between accepted facts and what was found now, one line each; empty means no drift.

    Numbers may differ by the claim's `drift` (relative; default 1e-6), since other processors round otherwise.
    """
    return differences(old, facts(judged), {j.claim.id: j.claim.drift for j in judged})


def differences(old: dict[str, Any], new: dict[str, Any], drift: dict[str, float]) -> list[str]:
    """Return every difference between two sets of facts, one line each, beyond each claim's `drift`; a number's line
    says how large the relative difference is and what is allowed."""
    lines = [f"{i}: accepted {old[i]['verdict']!r}, the claim is gone" for i in old if i not in new]
    for i, fact in new.items():
        if i not in old:
            lines.append(f"{i}: new, {fact['verdict']!r}")
            continue
        if old[i]["verdict"] != fact["verdict"]:
            lines.append(f"{i}: verdict {old[i]['verdict']!r} -> {fact['verdict']!r}")
        before, now = old[i]["observations"], fact["observations"]
        if len(before) != len(now):
            lines.append(f"{i}: {len(before)} observation(s) -> {len(now)}")
            continue
        for a, b in zip(before, now, strict=True):
            for key in ("form", "n", "value", "low", "high"):
                if isinstance(a[key], int | float) and isinstance(b[key], int | float):
                    if (far := relative(a[key], b[key])) > drift[i]:
                        allowed = f"relative difference {far:.1e}, allowed {drift[i]:g}"
                        lines.append(f"{i}: {a['form']} {key} {a[key]} -> {b[key]} ({allowed})")
                elif a[key] != b[key]:
                    lines.append(f"{i}: {a['form']} {key} {a[key]} -> {b[key]}")
    return lines


def relative(a: float, b: float) -> float:
    """Return how far two numbers are apart, relative to the larger; 0 within 1e-15, for numbers that should be zero.

    >>> relative(2.0, 2.5), relative(0.0, 1e-16)
    (0.2, 0.0)
    """
    far = abs(a - b)
    return 0.0 if far <= 1e-15 else far / max(abs(a), abs(b), 1e-12)


def largest(old: dict[str, Any], new: dict[str, Any]) -> dict[str, float]:
    """Return, for each claim of `new` that `old` has with as many observations, the largest relative difference."""
    found = {}
    for i, fact in new.items():
        before = old.get(i, {}).get("observations", [])
        both = zip(before, fact["observations"], strict=False)
        pairs = [(a[k], b[k]) for a, b in both for k in ("value", "low", "high")
                 if isinstance(a[k], int | float) and isinstance(b[k], int | float)]  # fmt: skip
        if len(before) == len(fact["observations"]):
            found[i] = max((relative(a, b) for a, b in pairs), default=0.0)
    return found


def read(profile: str) -> dict[str, Any] | None:
    """Return the accepted facts of a profile, or None when there are none yet. Raises ValueError for a broken file."""
    told = _read(profile)
    return None if told is None else told["facts"]


def made_on(profile: str) -> str:
    """Return on what the accepted facts of a profile were made, in words."""
    machine = (_read(profile) or {}).get("machine") or {}
    return f"{machine.get('processor', 'an unknown processor')} ({', '.join(machine.get('instructions', [])) or '-'})"


def _read(profile: str) -> dict[str, Any] | None:
    path = accepted_file(profile)
    if not path.is_file():
        return None
    advice = "; 'make accept' writes it anew"
    told = schema.parse_json(path.read_text(encoding="utf-8"), str(path), ("facts", "machine"), advice=advice)
    if not isinstance(told["facts"], dict):
        raise ValueError(f"{path}: field 'facts': expected an object of claims{advice}")
    return told


def accept(profile: str, judged: Sequence[Judgement]) -> Path:
    """Write what was found now as the accepted facts of a profile, with the processor's name, and return the file.

    Raises ValueError for a verdict that changed in silence: its claim has no amendment with `was`, the one before.
    """
    path, old = accepted_file(profile), read(profile) or {}
    before = {i: fact["verdict"] for i, fact in old.items()}
    known = {j.claim.id: (j.verdict, *(a.was for a in j.claim.amended)) for j in judged}
    silent = [f"{i} ({before[i]!r} -> {v[0]!r})" for i, v in known.items() if i in before and before[i] not in v]
    if silent:
        told = "; ".join(silent)
        raise ValueError(f"paper/claims.toml: field 'amended': a changed verdict needs its reason, and `was`: {told}")
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": provenance.processor(), "instructions": list(provenance.instructions())}
    told = {"facts": facts(judged), "machine": machine}
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path
