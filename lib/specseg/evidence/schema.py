"""Typed data from TOML and JSON: dataclasses that pydantic checks, and one line of words for whatever does not fit.

A form is a frozen dataclass below `Model`; what its types cannot say stands in a `Must` beside them, and what concerns
several fields in its `__post_init__`. pydantic is imported at the first reading, not with the library: it costs a tenth
of a second that a command does not need to answer a mistyped path.
"""

from __future__ import annotations

import functools
import json
import operator
import re
import reprlib
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

WORDS = {
    "string_type": "text", "bool_type": "true or false", "float_type": "a number", "int_type": "a whole number",
    "int_from_float": "a whole number", "tuple_type": "a list", "dict_type": "a table", "dataclass_type": "a table",
    "too_long": "fewer entries", "missing": "an entry",
}  # fmt: skip
UNKNOWN = "unexpected_keyword_argument"
QUOTED = r"'([^']*)'"


def one_of(what: str, word: Any, known: Iterable[Any]) -> Any:
    """Return a word that is one of those known. Raises ValueError that says what it was to be, and lists them.

    >>> one_of("fruit", "pear", ("apple", "pear"))
    'pear'
    """
    if word not in known:
        raise ValueError(f"{what} {word!r}: expected one of {', '.join(map(str, known))}")
    return word


class Model:
    """The base of all forms: no unknown field, and no number made of text, of true or of a fraction."""

    __pydantic_config__: ClassVar = {"extra": "forbid", "strict": True}


class FieldError(ValueError):
    """What `__post_init__` raises where one field is wrong, given the others: its place below the form, and words."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


@dataclass(frozen=True)
class Must:
    """What a field must be, in words, and a condition beside its type: `Must("a number above 0", lambda n: n > 0)`.

    It stands in `Annotated[int, Must(...)]`. Its words are said where the type is another, too, and hide what is wrong
    inside: a list of tables takes none.
    """

    words: str
    holds: Callable[[Any], object] = lambda _: True

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        def check(value: Any) -> Any:
            if self.holds(value):
                return value
            raise ValueError

        checked = core_schema.no_info_after_validator_function(check, handler(source))
        return core_schema.custom_error_schema(checked, "must", custom_error_message=f"expected {self.words}")


def read(model: type[T], data: Any, where: str, error: type[ValueError] = ValueError) -> T:
    """Return data (of TOML or JSON) as a `model`.

    Raises `error` with one line: `where` (the file and, where it has several, the entry), the field, what was expected
    and what was found. An unknown field comes first: misspelt, it explains one that is missing.
    """
    from pydantic import ValidationError

    form, text = _form(model), json.dumps(data, default=str)
    try:
        return form.validate_json(text)
    except ValidationError as err:
        first = min(err.errors(), key=lambda e: e["type"] != UNKNOWN)
    if missing := first["type"] == "missing" and isinstance(first["loc"][-1], str):
        data = json.loads(text)  # pydantic does not say what it misses, but what it expects in the place of null
        *above, name = first["loc"]
        functools.reduce(operator.getitem, above, data)[name] = None
        try:
            form.validate_json(json.dumps(data))
        except ValidationError as err:
            first = next(e for e in err.errors() if e["loc"] == first["loc"])
    known = ", ".join(f.name for f in fields(model)) if first["type"] == UNKNOWN and len(first["loc"]) == 1 else ""
    raise error(f"{where}: {_line(first, missing)}{known and f'; expected one of {known}'}")


@functools.cache
def _form(model: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(model)


def _line(error: Any, missing: bool = False) -> str:
    """Return one of pydantic's errors as "field 'splits[0].count': expected a number above 0; found -1"."""
    kind, found = error["type"], error["input"]
    place = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in error["loc"] if k != "[key]")
    reason = f"expected {WORDS.get(kind, error['msg'])}"
    if kind in ("must", UNKNOWN):
        reason = error["msg"] if kind == "must" else "unknown field"
    elif kind == "literal_error":
        reason = f"expected one of {', '.join(re.findall(QUOTED, error['ctx']['expected']))}"
    elif kind == "value_error":
        reason = str(raised := error["ctx"]["error"])
        place += f".{raised.field}" if isinstance(raised, FieldError) else ""
    if missing:
        reason = f"missing; {reason}"
    elif not isinstance(found, dict) and kind != UNKNOWN:
        reason += f"; found {reprlib.repr(found)}"
    return f"field '{place.removeprefix('.')}': {reason}" if place else reason


def toml(path: Path, error: type[ValueError] = ValueError) -> dict[str, Any]:
    """Return a TOML file's table. Raises `error` that names the file when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise error(f"{path}: not TOML: {err}") from None


def parse_json(
    text: str, where: str, needs: Sequence[str] = (), *, advice: str = "", error: type[ValueError] = ValueError
) -> Any:
    """Return what a JSON text says: an object with the fields that it `needs`, whatever else it has.

    Raises `error` that names where it stands and what is missing, and ends in `advice`.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as err:
        line = f"line {err.lineno}: " if "\n" in text else ""
        raise error(f"{where}: not JSON ({line}{err.msg}){advice}") from None
    if missing := [key for key in needs if not isinstance(found, dict) or key not in found]:
        told = f"{', '.join(missing)} missing; expected an object with {', '.join(needs)}"
        raise error(f"{where}: field(s) {told}{advice}")
    return found
