"""Accepted facts: what the book found last time, per profile; a drift from them is an alarm, not a finding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specseg import config
from specseg.ledger.verdicts import Judgement


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
    new = facts(judged)
    lines = [f"{i}: accepted {old[i]['verdict']!r}, the claim is gone" for i in old if i not in new]
    by_id = {j.claim.id: j.claim for j in judged}
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
                if not _same(a[key], b[key], by_id[i].drift):
                    lines.append(f"{i}: {a['form']} {key} {a[key]} -> {b[key]}")
    return lines


def _same(a: Any, b: Any, drift: float) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        return abs(a - b) <= drift * max(abs(a), abs(b), 1e-12) + 1e-15
    return a == b


def read(profile: str) -> dict[str, Any] | None:
    """Return the accepted facts of a profile, or None when there are none yet. Raises ValueError for a broken file."""
    path = accepted_file(profile)
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as err:
        what = f"not JSON (line {err.lineno}: {err.msg})"
        raise ValueError(f"{path}: {what}; 'make accept' writes it anew") from None


def accept(profile: str, judged: Sequence[Judgement]) -> Path:
    """Write what was found now as the accepted facts of a profile and return the file."""
    path = accepted_file(profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts(judged), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path
