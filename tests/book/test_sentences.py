"""Whether the prose of the book is made of short sentences; measured on its sources, without building it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST, NUMBERS = 25, 2  # words of a page's mean sentence; computed numbers of one sentence
PAGES = sorted([*(ROOT / "chapters").glob("*.py"), *(ROOT / "book").glob("*.md")])
# What is no sentence: raw HTML, tables, directives and their options, anchors, headings.
NO_PROSE = re.compile(r"<[^>]+>|^\|.*?$|^[:(#%].*?$", re.MULTILINE)


def prose(path: Path) -> str:
    """Return a page's markdown: all of it, or a chapter's text cells without their comment signs."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = re.findall(r"^# %% \[markdown\]\n(.*?)(?=^# %%|\Z)", text, re.DOTALL | re.MULTILINE)
    return "\n\n".join(re.sub(r"^# ?", "", cell, flags=re.MULTILINE) for cell in cells)


def sentences(text: str) -> list[str]:
    """Return the sentences of markdown; formulas, roles and links count as one word each, list items as sentences.

    >>> sentences("Here $a = b$ holds. See {doc}`x`!")
    ['Here NAME holds.', 'See NAME!']
    """
    text = re.sub(r"```.*?```|\$\$.*?\$\$", "\n\n", text, flags=re.DOTALL)
    text = re.sub(r"\{glue:text\}`[^`]*`", "NUMBER", text)
    text = NO_PROSE.sub("\n\n", re.sub(r"\$[^$]+\$", "NAME", text))
    text = re.sub(r"\{[\w:]+\}`[^`]*`|`[^`]*`", "NAME", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"\n\s*\n|\n(?=\s*(?:- |\d+\. ))", text)
    found = [s for part in parts for s in re.split(r"(?<=[.!?])[\"')*]*\s+(?=[A-Z\"'(*])", " ".join(part.split()))]
    return [s for s in found if re.search(r"[.!?:]", s) and len(s.split()) > 1]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_sentences_are_short_on_average(path):
    words = [len(s.split()) for s in sentences(prose(path))]
    assert words and sum(words) / len(words) <= LONGEST, f"{path.name}: {sum(words) / len(words):.1f} words a sentence"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_a_sentence_has_at_most_two_computed_numbers(path):
    crowded = [s for s in sentences(prose(path)) if s.count("NUMBER") > NUMBERS]
    assert crowded == []
