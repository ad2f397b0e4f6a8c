"""The paper's printed tables and the inventory of its items, as typed data: what it says, never edited to fit."""

from __future__ import annotations

from typing import Any

import pandas as pd

from specseg.evidence import config, schema

TABLES = ("1", "2", "3a", "3b", "4a", "4b", "a1")


def table(name: str) -> pd.DataFrame:
    """Return one printed table as tidy rows: one printed cell a line, fractions rather than percent.

    `name` is "1", "2", "3a", "3b", "4a", "4b" or "a1" (the constants of section A.1). Columns of the tables: table,
    model, dataset, prune_rate, lrg_size, nu_max, metric, value, decimals (of the printed value), unit.

    Raises ValueError for another name.

    >>> t = table("1")
    >>> float(t.query("model == 'dan' and dataset == 'cityscapes' and nu_max == 8")["value"].iloc[0])
    2.004
    """
    file = "a1_constants" if schema.one_of("table", name, TABLES) == "a1" else f"table{name[0]}"
    path = config.note_input(config.root() / "paper" / "tables" / f"{file}.csv")
    rows = pd.read_csv(path)
    return rows if name == "a1" else rows[rows["table"].astype(str) == name].reset_index(drop=True)


def inventory() -> list[dict[str, Any]]:
    """Return the paper's items that need a claim, each with `id` and `locator` (paper/inventory.toml)."""
    path = config.note_input(config.root() / "paper" / "inventory.toml")
    return schema.toml(path)["item"]
