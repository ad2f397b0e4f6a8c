"""Claims and inventory: the schema, and that nothing that can be tested is left without a claim."""

from __future__ import annotations

import re
import tomllib
from collections import Counter

import pytest

from specseg.evidence import claims as schema
from specseg.evidence import config, ledger, paper

ID = re.compile(
    r"eq:\d+|theorem:\d|lemma:\d|observation:\d|table:\w+|figure:\w+|footnote:\d|caption:(table|figure)-\w+(/\d)?"
    r"|sentence:(Abstract|\d(\.\d)?|A\.\d+)/\d\d"
)
WHY = ("definition", "citation", "organisation", "motivation", "related work", "caption without a claim", "future work")
KINDS = ("equation", "theorem", "lemma", "observation", "table", "figure", "footnote", "caption", "sentence")


@pytest.fixture(scope="module")
def items():
    return paper.inventory()


@pytest.fixture(scope="module")
def claims():
    return ledger.load_claims()


def test_the_claims_file_loads_and_ids_are_unique(claims):
    raw = tomllib.loads((config.root() / "paper" / "claims.toml").read_text(encoding="utf-8"))["claim"]
    assert len(claims) == len(raw) == len({c["id"] for c in raw}) > 100


def test_inventory_ids_are_unique_and_well_formed(items):
    ids = [i["id"] for i in items]
    assert [i for i in ids if not ID.fullmatch(i)] == []
    assert [i for i, n in Counter(ids).items() if n > 1] == []
    assert {i["kind"] for i in items} == set(KINDS)


def test_the_inventory_holds_every_numbered_item(items):
    ids = {i["id"] for i in items}
    wanted = {f"eq:{n}" for n in range(1, 55)} | {"theorem:1", "theorem:2"} | {f"lemma:{n}" for n in range(3, 7)}
    wanted |= {f"observation:{n}" for n in range(1, 5)} | {f"footnote:{n}" for n in range(1, 5)}
    wanted |= {f"table:{t}" for t in ("1", "2", "3a", "3b", "4a", "4b")}
    wanted |= {f"figure:{f}" for f in ("1", "2a", "2b", "3", "4", "5a", "5b", "6", "7", "8a", "8b")}
    assert wanted <= ids


def test_sentences_are_numbered_without_a_gap(items):
    places: dict[str, list[int]] = {}
    for i in items:
        if i["kind"] == "sentence":
            section, number = i["id"].removeprefix("sentence:").split("/")
            places.setdefault(section, []).append(int(number))
    assert all(n == list(range(1, len(n) + 1)) for n in places.values())
    assert set(places) == set(schema.SECTIONS) - {"Beyond the paper"}


def test_locators_agree_with_ids(items):
    for i in items:
        kind, _, rest = i["id"].partition(":")
        if kind == "sentence":
            section, number = rest.split("/")
            place = section if section == "Abstract" else f"section {section}"
            assert i["locator"] == f"{place}, sentence {int(number)}"
        elif kind != "caption":
            name = {"eq": "Eq.", "figure": "Fig.", "observation": "Key observation"}.get(kind, kind.capitalize())
            assert i["locator"].startswith(f"{name} {rest},"), i["id"]


def test_what_is_not_testable_says_why(items):
    ids = {i["id"] for i in items}
    for i in items:
        why = i.get("why_not", "")
        if i["testable"]:
            assert not why, i["id"]
        elif why.startswith("duplicate of "):
            twin = why.removeprefix("duplicate of ")
            assert twin in ids and twin != i["id"], i["id"]
            assert next(j["testable"] for j in items if j["id"] == twin), f"{i['id']}: {twin} is not testable itself"
        else:
            assert why in WHY, i["id"]


def test_every_testable_item_is_covered(items, claims):
    covered = {k for c in claims for k in c.covers}
    missing = [i["id"] for i in items if i["testable"] and i["id"] not in covered]
    assert missing == [], f"{len(missing)} item(s) of paper/inventory.toml without a claim: {', '.join(missing)}"


def test_covers_refer_to_items(items, claims):
    testable = {i["id"]: i["testable"] for i in items}
    for c in claims:
        assert c.covers or c.section == "Beyond the paper", c.id
        for k in c.covers:
            assert k in testable, f"{c.id}: {k} is not in paper/inventory.toml"
            assert testable[k], f"{c.id}: {k} is marked as not testable"


def test_hints_lead_to_claims(items, claims):
    covers = {c.id: set(c.covers) for c in claims}
    for i in items:
        for hint in i.get("claims_hint", ()):
            if hint.endswith("-"):
                assert any(i["id"] in v for k, v in covers.items() if k.startswith(hint)), f"{i['id']}: {hint}"
            else:
                assert i["id"] in covers.get(hint, ()), f"{i['id']}: {hint}"


def test_locators_of_claims_name_what_they_cover(claims):
    for c in claims:
        for k in c.covers:
            kind, _, rest = k.partition(":")
            if kind == "sentence":
                place = rest.split("/")[0]
                assert place in c.locator or place == c.section, f"{c.id}: locator does not name section {place}"


def test_every_chapter_is_planned_or_there(claims):
    there = {p.stem for p in (config.root() / "chapters").glob("*.py")}
    assert {c.chapter for c in claims} <= there | set(claims.planned)


def test_quotes_are_short(claims):
    assert [c.id for c in claims if len(c.quote.split()) > 25] == []


def test_tables_exist(claims):
    for c in claims:
        for name in c.tables:
            assert len(paper.table(name)), c.id


def test_blocked_and_tiers(claims):
    for c in claims:
        if c.tier == "R4":
            assert c.blocked, f"{c.id}: no data of the paper's setting are here; say why it is blocked"
        if c.tier == "R0":
            assert c.chapter == "15_paper_against_itself" or c.tables, c.id
        assert not c.blocked or c.tier in ("R3", "R4"), c.id


def test_a_correction_is_stated_where_a_corrected_check_is(claims):
    for c in claims:
        if "corrected" in c.checks:
            assert c.correction, f"{c.id}: a corrected check needs [claim.correction] for the errata page"


def test_formulas_of_corrections_stand_in_dollars(claims):
    for c in claims:
        for field, text in (c.correction or {}).items():
            bare = re.sub(r"\$[^$]*\$", "", text)
            assert not re.search(r"\\|_\{|\^|\$", bare), f"{c.id}: correction.{field} shows raw LaTeX: {bare}"
