"""The notation table against the library's own signatures."""

from __future__ import annotations

import pytest

from specseg.evidence import paper
from specseg.study import notation

CODE = [s for s in notation.SYMBOLS if not s.code.startswith("column:")]
COLUMNS = [s for s in notation.SYMBOLS if s.code.startswith("column:")]


@pytest.mark.parametrize("symbol", CODE, ids=lambda s: s.code)
def test_the_code_name_exists_with_that_argument(symbol):
    thing, _ = notation.resolve(symbol)
    assert callable(thing) and thing.__doc__


@pytest.mark.parametrize("symbol", COLUMNS, ids=lambda s: s.code)
def test_the_column_exists(symbol):
    rows = paper.table("4a")
    name = symbol.code.removeprefix("column:")
    assert name in rows.columns or name in set(rows.metric)


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="has no argument 'colour'; it has"):
        notation.resolve(notation.Symbol("Y", "spectral.iou.fpi(colour)", "none", "2"))
    with pytest.raises(AttributeError):
        notation.resolve(notation.Symbol("Y", "spectral.iou.not_there", "none", "2"))


def test_the_page_holds_every_symbol_in_four_columns():
    page = notation.render()
    rows = [line for line in page.splitlines() if line.startswith("| $")]
    assert len(rows) == len(notation.SYMBOLS)
    assert all(line.replace(r"\|", "").count("|") == 5 for line in rows)
    assert len({s.symbol for s in notation.SYMBOLS}) == len(notation.SYMBOLS)
