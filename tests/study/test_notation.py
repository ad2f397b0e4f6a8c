"""The notation table against the library's own signatures."""

from __future__ import annotations

import importlib
import inspect

import pytest

from specseg.evidence import paper
from specseg.study import notation

CODE = [s for s in notation.SYMBOLS if not s.code.startswith("column:")]
COLUMNS = [s for s in notation.SYMBOLS if s.code.startswith("column:")]


@pytest.mark.parametrize("symbol", CODE, ids=lambda s: s.code)
def test_the_code_name_exists_with_that_argument(symbol):
    path, _, argument = symbol.code.rstrip(")").partition("(")
    module, _, name = path.rpartition(".")
    thing = getattr(importlib.import_module(f"specseg.{module}"), name)
    assert callable(thing) and thing.__doc__
    assert not argument or argument in inspect.signature(thing).parameters


@pytest.mark.parametrize("symbol", COLUMNS, ids=lambda s: s.code)
def test_the_column_exists(symbol):
    rows = paper.table("4a")
    name = symbol.code.removeprefix("column:")
    assert name in rows.columns or name in set(rows.metric)


def test_the_page_holds_every_symbol_in_four_columns():
    page = notation.render()
    rows = [line for line in page.splitlines() if line.startswith("| $")]
    assert len(rows) == len(notation.SYMBOLS)
    assert all(line.replace(r"\|", "").count("|") == 5 for line in rows)
    assert len({s.symbol for s in notation.SYMBOLS}) == len(notation.SYMBOLS)
