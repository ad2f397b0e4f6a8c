"""The coverage page: every item of the paper's inventory with its claims, their verdicts and residuals."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from specseg.evidence.findings import badge
from specseg.evidence.verdicts import NOT_RUN, Judgement

NAMES = {
    "equation": "Equations", "theorem": "Theorems", "lemma": "Lemmas", "observation": "Key observations",
    "table": "Tables", "figure": "Figures", "footnote": "Footnotes", "caption": "Captions", "sentence": "Sentences",
}  # fmt: skip


def covering(judged: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Return item id -> the judged claims that cover it."""
    out: dict[str, list[Judgement]] = {}
    for j in judged:
        for item in j.claim.covers:
            out.setdefault(item, []).append(j)
    return out


def counts(judged: Sequence[Judgement], inventory: Sequence[dict[str, Any]]) -> list[tuple[str, int, int, int]]:
    """Return (kind, testable items, items with a claim, items with a verdict) for every kind, in a fixed order."""
    cover = covering(judged)
    rows = []
    for kind in NAMES:
        own = [i for i in inventory if i["kind"] == kind and i["testable"]]
        claimed = [i for i in own if cover.get(i["id"])]
        settled = [i for i in claimed if any(j.verdict != NOT_RUN for j in cover[i["id"]])]
        rows.append((kind, len(own), len(claimed), len(settled)))
    return rows


def page(judged: Sequence[Judgement], inventory: Sequence[dict[str, Any]]) -> str:
    """Return the MyST text of the coverage page."""
    cover = covering(judged)
    head = "<tr><th>Item</th><th>Testable</th><th>With a claim</th><th>With a verdict</th></tr>"
    body = "".join(
        f"<tr><td>{NAMES[kind]}</td><td>{n}</td><td>{claimed}</td><td>{settled}</td></tr>"
        for kind, n, claimed, settled in counts(judged, inventory)
    )
    parts = [
        "# Coverage\n\nThe inventory of the paper: every numbered item and every sentence from the abstract to A.10, "
        "whether it can be tested, the claims that cover it, and what was found.",
        _raw(f'<table class="specseg-table"><thead>{head}</thead><tbody>{body}</tbody></table>'),
    ]
    for kind, name in NAMES.items():
        own = [i for i in inventory if i["kind"] == kind]
        if own:
            rows = "".join(_row(i, cover.get(i["id"], [])) for i in own)
            table = f'<div class="specseg-scroll"><table class="specseg-table"><tbody>{rows}</tbody></table></div>'
            parts.append(f"## {name}\n\n{_raw(table)}")
    return "\n\n".join(parts) + "\n"


def _row(item: dict[str, Any], judged: Sequence[Judgement]) -> str:
    words = f"<br><q>{html.escape(item['words'])} …</q>" if item.get("words") else ""
    where = f'<td id="{item["id"].replace(":", "-").replace("/", "-")}">{html.escape(item["locator"])}{words}</td>'
    if not item["testable"]:
        return f"<tr>{where}<td><small>not testable: {html.escape(item['why_not'])}</small></td></tr>"
    cells = "<br>".join(
        f'<a href="ledger.html#claim-{j.claim.id}">{j.claim.id}</a> {badge(j.verdict)} '
        f"<small>{j.grade} {_numbers(j)}</small>"
        for j in judged
    )
    return f"<tr>{where}<td>{cells or 'no claim yet'}</td></tr>"


def _numbers(j: Judgement) -> str:
    return html.escape("; ".join(o.text() for o in j.used[:3]))


def _raw(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```"
