"""What does not fit a form is told in one line: where, which field, what was expected, what was found."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from specseg.evidence import schema
from specseg.evidence.schema import FieldError, Model, Must

KINDS = ("a", "b")
Positive = Annotated[int, Must("a number above 0", lambda n: n > 0)]


@dataclass(frozen=True)
class Part(Model):
    count: Positive
    words: str = ""
    limit: Positive | None = None

    def __post_init__(self) -> None:
        if self.count == 7:
            raise FieldError("words", "expected some beside a count of 7")
        if self.count == 8:
            raise ValueError("eight parts are too many")


@dataclass(frozen=True)
class Whole(Model):
    name: str
    kind: Literal[*KINDS]
    parts: tuple[Part, ...]
    shares: dict[Literal[*KINDS], float] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    flag: bool = False
    rest: dict[str, Any] = field(default_factory=dict)


GOOD = {"name": "n", "kind": "a", "parts": [{"count": 1}]}


class Broken(ValueError):
    pass


def test_data_become_frozen_dataclasses():
    given = {**GOOD, "shares": {"b": 1}, "size": [2, 3], "rest": {"x": [1]}}
    whole = schema.read(Whole, given, "f.toml")
    assert whole == Whole("n", "a", (Part(1),), {"b": 1.0}, (2, 3), False, {"x": [1]})
    assert given["parts"] == [{"count": 1}], "what is read stays as it was"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": 3}, "field 'name': expected text; found 3"),
        ({"name": ...}, "field 'name': missing; expected text"),
        ({"kind": "c"}, "field 'kind': expected one of a, b; found 'c'"),
        ({"kind": ...}, "field 'kind': missing; expected one of a, b"),
        ({"parts": 3}, "field 'parts': expected a list; found 3"),
        ({"parts": ...}, "field 'parts': missing; expected a list"),
        ({"parts": [3]}, "field 'parts[0]': expected a table; found 3"),
        ({"parts": [{"count": 1}, {}]}, "field 'parts[1].count': missing; expected a number above 0"),
        ({"parts": [{"count": 0}]}, "field 'parts[0].count': expected a number above 0; found 0"),
        ({"parts": [{"count": "1"}]}, "field 'parts[0].count': expected a number above 0; found '1'"),
        ({"parts": [{"count": True}]}, "field 'parts[0].count': expected a number above 0; found True"),
        ({"parts": [{"count": 1, "limit": "x"}]}, "field 'parts[0].limit': expected a number above 0; found 'x'"),
        ({"parts": [{"count": 1, "colour": 2}]}, "field 'parts[0].colour': unknown field"),
        ({"parts": [{"count": 7}]}, "field 'parts[0].words': expected some beside a count of 7"),
        ({"parts": [{"count": 8}]}, "field 'parts[0]': eight parts are too many"),
        ({"shares": {"c": 1}}, "field 'shares.c': expected one of a, b; found 'c'"),
        ({"shares": {"a": "1"}}, "field 'shares.a': expected a number; found '1'"),
        ({"shares": 1}, "field 'shares': expected a table; found 1"),
        ({"size": [1]}, "field 'size[1]': expected an entry; found [1]"),
        ({"size": [1, 2, 3]}, "field 'size': expected fewer entries; found [1, 2, 3]"),
        ({"size": [1, 1.5]}, "field 'size[1]': expected a whole number; found 1.5"),
        ({"flag": "yes"}, "field 'flag': expected true or false; found 'yes'"),
        ({"nam": "n", "name": ...},
         "field 'nam': unknown field; expected one of name, kind, parts, shares, size, flag, rest"),
        ({"name": 3, "kind": 4}, "field 'name': expected text; found 3"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(change, line):
    given = {k: v for k, v in {**GOOD, **change}.items() if v is not ...}
    with pytest.raises(Broken, match=f"^{re.escape(f'f.toml: entry 2: {line}')}$"):
        schema.read(Whole, given, "f.toml: entry 2", Broken)


def test_what_is_no_table_and_what_is_long():
    with pytest.raises(ValueError, match="^f.toml: expected a table; found 3$"):
        schema.read(Whole, 3, "f.toml")
    with pytest.raises(ValueError, match="^f.toml: field 'parts': expected a list; found 'x{12}[.]{3}x{13}'$"):
        schema.read(Whole, {**GOOD, "parts": "x" * 1000}, "f.toml")


def test_files_that_are_not_what_their_name_says(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"x = \xff")
    with pytest.raises(Broken, match=r"a\.toml: not TOML"):
        schema.toml(tmp_path / "a.toml", Broken)
    with pytest.raises(Broken, match=r"^a\.json: not JSON \(line 2: .*\); write it anew$"):
        schema.parse_json('{"a":\n', "a.json", advice="; write it anew", error=Broken)
    for text, missing in (("[]", "a, b"), ("3", "a, b"), ('{"a": 1, "c": 2}', "b")):
        with pytest.raises(Broken, match=rf"^a\.json: field\(s\) {missing} missing; expected an object with a, b$"):
            schema.parse_json(text, "a.json", ("a", "b"), error=Broken)


def test_pydantic_is_loaded_with_the_first_form_that_is_read():
    """A command answers a mistyped path without it, and a sweep's workers never need it."""
    names = "specseg.evidence.ledger, specseg.evidence.records, specseg.data.manifests, specseg.advise.labels"
    code = f"import sys, {names}\nassert 'pydantic' not in sys.modules\nspecseg.evidence.ledger.load_claims()\n"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}assert 'pydantic' in sys.modules"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
