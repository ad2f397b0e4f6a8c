"""The coverage page: every item of the paper's inventory with its claims, their verdicts and residuals."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from specseg.evidence.findings import badge, sign
from specseg.evidence.verdicts import NOT_RUN, Judgement
from steps.rows import group, line, listing, raw, table

NAMES = {
    "equation": "Equations", "theorem": "Theorems", "lemma": "Lemmas", "observation": "Key observations",
    "table": "Tables", "figure": "Figures", "footnote": "Footnotes", "caption": "Captions", "sentence": "Sentences",
}  # fmt: skip
TEX = {"nu": "ν", "delta": "δ", "Delta": "Δ", "sigma": "σ", "neq": "≠ ", "geq": "≥ ", "in": "∈ ", "int": "∫",
       "partial": "∂", "log": "log ", "frac": ""}  # fmt: skip


def plain(words: str) -> str:
    """Return the first words of a sentence without TeX; they may end within a formula.

    >>> plain(r"Hence, $\\mathcal{L}_{ce}(\\nu_i)$ and $\\frac{\\partial")
    'Hence, L_ce(ν_i) and ∂'
    """
    words = re.sub(r"\\mathcal\{(.)\}", r"\1", words.replace("}{", "}/{"))
    words = re.sub(r"\\hat\{(.)\}", "\\1\u0302", words)
    words = re.sub(r"\\([A-Za-z]+) ?", lambda m: TEX.get(m[1], m[1]), words)
    return re.sub(r"[${}]", "", words)


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
    """Return the MyST text of the coverage page: a count, then by kind one line an item, which opens."""
    cover, groups = covering(judged), {}
    for item in inventory:
        title = NAMES[item["kind"]]
        if item["kind"] == "sentence":
            title += f": {item['id'].partition(':')[2].partition('/')[0]}"
        groups.setdefault((list(NAMES).index(item["kind"]), title), []).append(item)
    made = (
        group(title, f"{len(own)} of the paper, {sum(i['testable'] for i in own)} that can be tested",
              (_line(i, cover.get(i["id"], [])) for i in own))
        for (_, title), own in sorted(groups.items(), key=lambda g: g[0][0])
    )  # fmt: skip
    rows = (
        (NAMES[kind], str(n), str(claimed), str(settled)) for kind, n, claimed, settled in counts(judged, inventory)
    )
    return (
        "# Coverage\n\nThe inventory of the paper: every numbered item and every sentence from the abstract to A.10, "
        "whether it can be tested, the claims that cover it, and what was found.\n\n"
        f"{raw(table(('Item', 'Testable', 'With a claim', 'With a verdict'), rows))}\n\n"
        f"{raw(listing(made, 'state', 'verdict', 'chapter'))}\n"
    )


def _line(item: dict[str, Any], judged: Sequence[Judgement]) -> str:
    if item.get("words"):
        words = f"<q>{html.escape(plain(item['words']))} \u2026</q>"
    else:  # of an equation: what it is taken to say
        words = html.escape(judged[0].claim.statement) if judged else ""
    if not item["testable"]:
        state, told, body = "not testable", "not testable", f"<p>Not testable: {html.escape(item['why_not'])}.</p>"
    else:
        state, body = (
            "with a claim" if judged else "no claim yet",
            "".join(map(_claim, judged)) or "<p>No claim yet.</p>",
        )
        told = " ".join(sign(j.verdict) for j in judged) or state
    where = f'<span class="where">{html.escape(item["locator"])}</span>'
    found = {
        "verdict": "|".join({j.verdict: 0 for j in judged}),
        "chapter": "|".join({j.claim.chapter: 0 for j in judged}),
    }
    head = f'{where} <span class="what">{words}</span> <small>{told}</small>'
    return line(item["id"].replace(":", "-").replace("/", "-"), head, body, state=state, **found)


def _claim(j: Judgement) -> str:
    told = html.escape("; ".join(o.text() for o in j.used[:3]))
    return (
        f'<p>{badge(j.verdict)} <a href="ledger.html#claim-{j.claim.id}">{html.escape(j.claim.statement)}</a> '
        f"<small>{j.grade} {told}</small></p>"
    )
