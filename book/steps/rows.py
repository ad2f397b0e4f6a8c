"""Rows that open: one line for each item of a long page, in groups, and the small table that says what decides.

They are `details`, so that they open without a script; `book/_static/specseg.js` adds filters from the data attributes.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import replace

from specseg.evidence.verdicts import FEWEST, HOLDS, OPEN, Judgement, Observation, state


def raw(text: str) -> str:
    """Return HTML as a block of MyST."""
    return f"```{{raw}} html\n{text}\n```"


def line(ident: str, head: str, body: str = "", **told: str) -> str:
    """Return one item: `head` is what is seen, `body` what opens; `told` is what the filters ask for.

    >>> line("a", "A", "<p>b</p>", tier="R1")
    '<details class="specseg-line" id="a" data-tier="R1"><summary>A</summary><p>b</p></details>'
    """
    data = "".join(f' data-{k}="{html.escape(v)}"' for k, v in told.items())
    return f'<details class="specseg-line" id="{ident}"{data}><summary>{head}</summary>{body}</details>'


def group(title: str, told: str, lines: Iterable[str], opened: bool = False) -> str:
    """Return a group of lines that opens, with a word on what is in it."""
    head = f"<summary><b>{title}</b> <small>{told}</small></summary>"
    return f'<details class="specseg-group"{" open" * opened}>{head}{"".join(lines)}</details>'


def listing(groups: Iterable[str], *filters: str) -> str:
    """Return groups as one list, with the names of the data attributes that its filters ask for."""
    return f'<div class="specseg-list" data-filters="{" ".join(filters)}">{"".join(groups)}</div>'


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in a frame of its own that scrolls where it is too wide."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    cells = "".join(f"<th>{h}</th>" for h in head)
    head_body = f"<thead><tr>{cells}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="specseg-scroll"><table class="specseg-table">{head_body}</table></div>'


def numbers(judged: Judgement) -> str:
    """Return what decides: for each unit its number, interval and threshold, what knows nothing, and what follows."""
    if not judged.used:
        return ""
    settled = {state(judged.claim, o) for o in judged.used} == {HOLDS}
    rows = []
    for o in judged.used:
        check = judged.claim.checks[o.form]
        where = html.escape(o.domain or "the whole statement") + f", {o.form} form" * (o.form != "printed")
        if o.note and sum(o.domain == other.domain for other in judged.used) > 1:
            where += f"<br><small>{html.escape(o.note)}</small>"  # which of several of one unit
        interval = f"{o.low:.3g} to {o.high:.3g}" if o.low is not None else ""
        interval += f"<br><small>{o.units:,} {o.over}</small>" if o.units is not None else ""
        ignorant = f"{o.null:.3g}" if o.null is not None else ""
        said = html.escape(why(judged, o))
        said = said if settled or state(judged.claim, o) == HOLDS else f"<b>{said}</b>"
        number = replace(o, low=None, high=None).text()
        rows.append((where, number, interval, html.escape(check.describe()), said, ignorant))
    head = ("Where", "Number", "95 % interval", "Threshold", "So it", "What knows nothing")
    keep = [k for k in range(len(head)) if any(row[k] for row in rows)]
    return table([head[k] for k in keep], ([row[k] for k in keep] for row in rows))


def why(judged: Judgement, seen: Observation) -> str:
    """Return what one number says of its claim, and where it decides nothing, for which reason."""
    found = state(judged.claim, seen)
    if found != OPEN:
        return found
    if seen.units is not None and seen.units < FEWEST:
        return f"decides nothing: {seen.units} {seen.over}, {FEWEST} are the fewest"
    if state(judged.claim, replace(seen, null=None)) == HOLDS:
        return "decides nothing: what knows nothing passes as well"
    return "decides nothing: the interval lies on both sides of the threshold"
