"""The ledger's generated pages: every claim with its verdict, the errata, and the front page's answers and counts."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from specseg.evidence.claims import CHECKED_BY, SECTIONS
from specseg.evidence.findings import LOOKS, aside, badge, folded, sign
from specseg.evidence.verdicts import (
    CONFIRMED,
    CORRECTED,
    INCONSISTENT,
    NOT_RUN,
    REFUTED,
    VERDICTS,
    Judgement,
    Observation,
)
from steps.answers import answers_html
from steps.rows import group, line, listing, numbers, raw


def tally(judged: Sequence[Judgement]) -> dict[str, int]:
    """Return verdict -> number of claims, in the fixed order of verdicts."""
    found = Counter(j.verdict for j in judged)
    return {v: found[v] for v in VERDICTS if found[v]}


def _by_section(judged: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Return the paper's sections that have claims, in its order, with them."""
    return {s: own for s in SECTIONS if (own := [j for j in judged if j.claim.section == s])}


def _by_verdict(judged: Sequence[Judgement]) -> list[Judgement]:
    return sorted(judged, key=lambda j: VERDICTS.index(j.verdict))


def counts_html(judged: Sequence[Judgement], ledger: str = "ledger.html") -> str:
    """Return the verdict counts as a row of linked badges with their meaning."""
    cells = "".join(
        f'<a class="count count-{look.css}" href="{ledger}#verdict-{slug(v)}" title="{look.meaning}"><b>{n}</b> '
        f'<i class="{_block(v)}" aria-hidden="true"></i> {v}<small>{look.meaning}</small></a>'
        for v, n in tally(judged).items()
        for look in [LOOKS[v]]
    )
    return f'<div class="specseg-counts">{cells}</div>'


def _block(verdict: str) -> str:
    return f"block block-{LOOKS[verdict].css} block-{slug(verdict)}"


def slug(text: str) -> str:
    """Return text as an anchor.

    >>> slug("Beyond the paper")
    'beyond-the-paper'
    """
    return "".join(c if c.isalnum() else "-" for c in text.lower()).strip("-")


def bars_html(judged: Sequence[Judgement]) -> str:
    """Return the front page's picture: one bar per section of the paper, one block per claim, coloured by verdict."""
    rows = []
    for section, own in _by_section(judged).items():
        blocks = "".join(
            f'<a class="{_block(j.verdict)}" href="ledger.html#claim-{j.claim.id}" '
            f'title="{html.escape(j.claim.id)}: {j.verdict}" aria-label="{html.escape(j.claim.id)}: {j.verdict}"></a>'
            for j in _by_verdict(own)
        )
        rows.append(f'<div class="bar"><span>{_title(section)}</span><div>{blocks}</div></div>')
    return f'<div class="specseg-bars" role="img" aria-label="{alt_text(judged)}">{"".join(rows)}</div>'


def bars_svg(judged: Sequence[Judgement]) -> str:
    """Return the same picture as a drawing of its own, for places without the book's style (the README)."""
    ink = {"good": "#00694c", "mended": "#004f7c", "bad": "#a33c00", "open": "#b08500", "none": "#ffffff"}
    ink = {v: ink[look.css] for v, look in LOOKS.items()} | {
        "paper inconsistent": "#7b2d8b",
        "differs in kind": "#9c1f5c",
    }
    round_ = {v: 5.5 if "agrees" in v or "differs" in v else 2 for v in ink}  # discs, as in the book: measured
    size, step, left, per_row = 11, 13, 130, 44
    width = left + per_row * step + 10
    parts, x, y = [], 6, 6
    for verdict, n in tally(judged).items():
        if x + 30 + 7 * len(f"{n} {verdict}") > width:  # the legend goes on in a second line
            x, y = 6, y + 18
        look = f'width="{size}" height="{size}" rx="{round_[verdict]}" fill="{ink[verdict]}" stroke="#555"'
        parts.append(f'<rect x="{x}" y="{y}" {look}/>')
        label = f"{n} {verdict}"
        parts.append(f'<text x="{x + 16}" y="{y + 10}">{label}</text>')
        x += 30 + 7 * len(label)
    y += 18
    for section, own in _by_section(judged).items():
        y += 8
        parts.append(f'<text x="6" y="{y + 10}">{_title(section)}</text>')
        for k, j in enumerate(_by_verdict(own)):
            at_x, at_y = left + (k % per_row) * step, y + (k // per_row) * step
            parts.append(
                f'<rect x="{at_x}" y="{at_y}" width="{size}" height="{size}" rx="{round_[j.verdict]}" '
                f'fill="{ink[j.verdict]}" stroke="#555" stroke-width=".6">'
                f"<title>{html.escape(j.claim.id)}: {j.verdict}</title></rect>"
            )
        y += step * ((len(own) - 1) // per_row + 1)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 10}" width="{width}" height="{y + 10}" '
        f'role="img" aria-label="{alt_text(judged)}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def alt_text(judged: Sequence[Judgement]) -> str:
    """Return the verdict counts in words, for readers who do not see the picture."""
    counts = ", ".join(f"{n} {v}" for v, n in tally(judged).items())
    return f"{len(judged)} claims of the paper by section, one block each: {counts}"


def verdicts_md(judged: Sequence[Judgement]) -> str:
    """Return the front page's verdicts: how many of each, and a block for each claim."""
    return f"{raw(counts_html(judged))}\n\n{raw(bars_html(judged))}\n"


def front_md(judged: Sequence[Judgement], picture: str = "") -> str:
    """Return the generated top of the front page: the picture (HTML), then the answers."""
    parts = [raw(picture)] if picture else []
    if cards := answers_html(judged):
        parts += ["## Six answers", raw(cards)]
    return "\n\n".join(parts) + "\n"


def ledger_md(judged: Sequence[Judgement], chapters: Sequence[str]) -> str:
    """Return the ledger page: counts on top, then by section one line a claim, which opens."""
    first: dict[str, str] = {}
    for j in sorted(judged, key=lambda j: SECTIONS.index(j.claim.section)):
        first.setdefault(j.verdict, j.claim.id)
    groups = []
    for section, own in _by_section(judged).items():
        lines = (_row(j, chapters, slug(j.verdict) if first[j.verdict] == j.claim.id else "") for j in own)
        groups.append(group(_title(section), _signs(own), lines))
    return (
        "# The ledger\n\nEvery claim of the paper that can be judged, with the check that was stated beforehand, "
        "what we found, and the verdict that follows. Verdicts are computed. The same for programs: "
        '<a href="ledger.json">ledger.json</a>.\n\n'
        f"{raw(counts_html(judged, ledger=''))}\n\n{raw(listing(groups, 'verdict', 'tier', 'section', 'chapter'))}\n"
    )


def _signs(judged: Sequence[Judgement]) -> str:
    """Return how many claims, and how many of each verdict, by sign."""
    told = " ".join(sign(v, f"&nbsp;{n}") for v, n in tally(judged).items())
    return f"{len(judged)} claim{'s' * (len(judged) > 1)} {told}"


def _head(j: Judgement) -> str:
    """Return what the line of a claim shows before it is opened: verdict, place, statement."""
    where, what = html.escape(j.claim.locator), html.escape(j.claim.statement)
    return f'{badge(j.verdict)} <span class="where">{where}</span> <span class="what">{what}</span>'


def _row(j: Judgement, chapters: Sequence[str], anchor: str) -> str:
    c = j.claim
    checks = "; ".join(f"{form}: {check.describe()} ({html.escape(check.basis)})" for form, check in c.checks.items())
    quote = f"<q>{html.escape(c.quote)}</q>" if c.quote else "<small>not a sentence of the paper</small>"
    amended = "".join(f"<p><small>Amended {a.date}: {html.escape(a.reason)}</small></p>" for a in c.amended)
    found = (folded(j.found) if j.verdict != NOT_RUN else "") + aside(j)
    why = "" if j.verdict in (CONFIRMED, CORRECTED) and found else f"<p>Why this verdict: {html.escape(j.reason)}.</p>"
    links = [
        f'<a href="chapters/{c.chapter}.html#claim-{c.id}">{c.chapter}</a>' if c.chapter in chapters else c.chapter
    ]
    if errata([j]):
        links.append(f'<a href="errata.html#erratum-{c.id}">erratum</a>')
    for run_id, freshness in sorted({(o.record, o.record_freshness) for o in j.used if o.record}):
        stale = "" if freshness == "fresh" else ' <span class="verdict verdict-open">stale</span>'
        links.append(f'record <a href="runs.html#run-{run_id}">{run_id}</a>{stale}')
    body = (
        f'<div class="pair"><div><b>The paper</b>, {html.escape(c.locator)}<br>{quote}</div>'
        f"<div><b>As we test it</b><br>{html.escape(c.statement)}</div></div>"
        f"<p><b>What we found</b>{f' ({j.grade})' if j.grade else ''}<br>{found or 'nothing yet'}</p>{numbers(j)}{why}"
        f"<p><b>Check</b> stated beforehand: {checks or 'none'}</p>{amended}"
        f"<p><code>{c.id}</code>, tier {c.tier}: {', '.join(links)}</p>"
    )
    mark = f'<span id="verdict-{anchor}"></span>' if anchor else ""
    return line(f"claim-{c.id}", mark + _head(j), body, verdict=j.verdict, tier=c.tier, section=_title(c.section),
                chapter=c.chapter)  # fmt: skip


def errata(judged: Sequence[Judgement]) -> list[Judgement]:
    """Return the claims that need an erratum: every one that is wrong as printed, with or without a mended form.

    That is each that is refuted, inconsistent or corrected, and each with a mended form that was judged and not
    confirmed as printed.
    """
    wrong = (CORRECTED, REFUTED, INCONSISTENT)
    return [j for j in judged if j.verdict in wrong or (j.claim.correction and j.verdict not in (CONFIRMED, NOT_RUN))]


def errata_md(judged: Sequence[Judgement]) -> str:
    """Return the errata page, a line an item: printed and corrected form, why, how checked, what depends on it."""
    own, by_id = errata(judged), {j.claim.id: j for j in judged}
    parts = [
        "# Errata\n\nWhat is printed wrongly, imprecisely or without a needed condition, and the form that holds where "
        "there is one. Each line opens to how it was checked, and where."
    ]
    if not own:
        parts.append("No corrected form has been recorded yet.")
    for k, (section, here) in enumerate(_by_section(own).items()):
        # What opens holds formulas, which MyST reads; so the tags around it stand alone.
        listed = '<div class="specseg-list" data-filters="verdict section chapter">' if k == 0 else "</details>"
        head = f"<summary><b>{_title(section)}</b> <small>{_signs(here)}</small></summary>"
        parts.append(raw(f'{listed}<details class="specseg-group" open>{head}'))
        parts += (_erratum(j, by_id) for j in here)
    return "\n\n".join(parts + [raw("</details></div>")] * bool(own)) + "\n"


def _erratum(j: Judgement, by_id: dict[str, Judgement]) -> str:
    """Return one entry: with the printed and the mended form where the claim states them, else as tested and found."""
    c, e = j.claim, j.claim.correction
    opening = line(f"erratum-{c.id}", _head(j), verdict=j.verdict, section=_title(c.section), chapter=c.chapter)
    where = f"in [{c.chapter}](chapters/{c.chapter}). Verdict: {j.verdict}."
    how = _how(e and [o for o in j.used if o.form != "printed"] or j.used, j)
    if e is not None and CHECKED_BY in e:
        other = by_id.get(e[CHECKED_BY])
        told = _how(other.used, other) if other else "not judged here"
        link = f'<a href="ledger.html#claim-{e[CHECKED_BY]}">{e[CHECKED_BY]}</a>'
        how = f"the form that holds by {link}, {told}; the printed form: {how}"
    if e is None:
        quote = f" (\u201c{_plain(c.quote)}\u201d)" if c.quote else ""
        told = {"Claimed": f"{_plain(c.statement)}{quote}", "Found": _plain(j.found), "How checked": f"{how}, {where}"}
    else:
        told = {"Printed": e["printed"], "Holds": e["corrected"], "Why": e["why"], "How checked": f"{how}, {where}",
                "Does a conclusion depend on it?": e["conclusion"]}  # fmt: skip
    items = "\n\n".join(f"{term}\n: {words}" for term, words in told.items())
    return f"{raw(opening.removesuffix('</details>'))}\n\n{items}\n\n{raw('</details>')}"


def _how(observed: Sequence[Observation], j: Judgement) -> str:
    """Return each check with what it compares and what it gave, in words; the verdict's reason where there is none."""
    checks = ((o, j.claim.checks[o.form]) for o in observed)
    told = (f"{o.form} form {c.describe()} ({_plain(c.basis)}): {o.text()}" for o, c in checks)
    return "; ".join(told) or _plain(j.reason)


def changed_md(judged: Sequence[Judgement]) -> str:
    """Return the page of verdicts that changed: the claim, its verdict before and now, when and why."""
    rows = []
    for j in judged:
        for a in (a for a in j.claim.amended if a.was and a.was != j.verdict):
            link = f'<a href="ledger.html#claim-{j.claim.id}">{html.escape(j.claim.locator)}</a>'
            cells = (f"{link}<br><small>{html.escape(j.claim.statement)}</small>", badge(a.was), badge(j.verdict),
                     f"{html.escape(a.reason)}<br><small>{a.date}</small>")  # fmt: skip
            rows.append(f'<tr id="changed-{j.claim.id}">{"".join(f"<td>{c}</td>" for c in cells)}</tr>')
    head = "<th>Claim</th><th>Verdict before</th><th>Now</th><th>Why</th>"
    table = f'<table class="specseg-ledger"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return (
        "# What we changed our mind about\n\nVerdicts are computed; so they change when evidence or the rules of "
        "judgement do. Here is each verdict of an earlier state of this book that stands no longer, with the "
        f"reason. The rules are on the page [Method](method); {len(rows)} verdicts changed.\n\n{raw(table)}\n"
    )


def _plain(text: str) -> str:
    """Return plain text so that Markdown leaves it as it is.

    >>> _plain("|u| <= nu_max, 2 * b")
    '\\\\|u\\\\| \\\\<= nu\\\\_max, 2 \\\\* b'
    """
    return re.sub(r"([\\`*_{}\[\]<>$|~])", r"\\\1", text)


def _title(section: str) -> str:
    return section if len(section) > 4 else f"Section {section}"


def as_json(judged: Sequence[Judgement], profile: str, found: dict[str, Any]) -> str:
    """Return the machine-readable ledger."""
    rows = [
        {
            "id": j.claim.id, "locator": j.claim.locator, "section": j.claim.section, "kind": j.claim.kind,
            "tier": j.claim.tier, "chapter": j.claim.chapter, "statement": j.claim.statement,
            "covers": list(j.claim.covers),
            "verdict": j.verdict, "grade": j.grade, "reason": j.reason, "found": j.found if j.used else "",
            "observations": [o.as_dict() for o in j.used],
        }
        for j in judged
    ]  # fmt: skip
    chapters = {s: {"device": f["device"], "versions": f["versions"]} for s, f in found.items()}
    doc = {"profile": profile, "counts": tally(judged), "claims": rows, "chapters": chapters}
    return json.dumps(doc, indent=1, sort_keys=True) + "\n"
