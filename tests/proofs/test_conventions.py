"""Every cell of the conventions table, by numbers; and no cell is there by mistake."""

import pytest
import sympy as sp

from specseg.proofs import conventions


@pytest.fixture(scope="module")
def cells():
    return {n: conventions.checks(n=n, seed=n) for n in (24, 25)}


@pytest.mark.parametrize("n", [24, 25])
def test_every_factor_is_right(cells, n):
    assert len(cells[n]) == len(conventions.CELLS) * len(conventions.NAMES)
    assert (cells[n]["residual"] < 1e-9).all(), cells[n].nlargest(3, "residual")


@pytest.mark.parametrize("n", [24, 25])
def test_leaving_a_factor_out_is_seen(cells, n):
    needed = cells[n][cells[n]["factor"] != "1"]
    assert (needed["without"] > 1e-2).all()
    assert len(needed) > 30


def test_table_covers_the_equations_and_has_one_home_convention():
    table = conventions.table()
    assert set(table["equation"]) >= {"2", "11", "16", "20", "21", "22", "24", "25", "36", "46", "47", "48", "52", "53"}
    ours = table[~table["equation"].isin(["36", "43"]) & (table["part"] != "kernel k(nu_j)")]
    ours = ours[ours["part"] != "constant: 2 pi log 2 at 0"]
    assert (ours["forward"] == "1").all()  # with the kernel's own transform unnormalised, and Eqs 36 and 46 apart
    rows = table[table["equation"] == "46"][list(conventions.NAMES)]
    assert not (rows == "1").all(axis=0).any()
    assert all(sp.sympify(f).is_positive for factors, _ in conventions.CELLS.values() for f in factors)
