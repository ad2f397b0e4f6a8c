"""Which code a number came from: imports followed however they are written, code told from remarks."""

from __future__ import annotations

import gc
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specseg.evidence import provenance
from specseg.evidence.provenance import code_text


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A project root with a small library; returns lib/specseg."""
    files = {
        "__init__.py": "",
        "base.py": "def f():\n    return 1\n",
        "middle.py": "from specseg.base import f\n",
        "lazy.py": "def g():\n    from specseg import middle\n    return middle.f()\n",
        "alone.py": "import numpy\n",
        "pack/__init__.py": "from specseg.pack.inner import x\n",
        "pack/inner.py": "from specseg.pack import other\nfrom specseg.pack.deep import z\nx = 1\n",
        "pack/other.py": "from specseg.base import f\ny = 2\n",
        "pack/deep/__init__.py": "from specseg.alone import numpy\nz = 3\n",
    }
    folder = tmp_path / "lib" / "specseg"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "profiles.toml").write_text("[smoke]\nsize = 1\n")
    monkeypatch.setenv("SPECSEG_ROOT", str(tmp_path))
    return folder


def names(package: Path, source: str) -> list[str]:
    script = package.parents[1] / "script.py"
    script.write_text(source)
    return [provenance.module_name(p).removeprefix("specseg") for p in provenance.closure([script])]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy\n", []),
        ("from specseg import base\n", ["", ".base"]),
        ("import specseg.base as b\n", ["", ".base"]),
        ("from specseg.base import f\n", ["", ".base"]),
        ("from specseg import middle\n", ["", ".base", ".middle"]),
        ("def h():\n    import specseg.lazy\n", ["", ".base", ".lazy", ".middle"]),
        ("from specseg import pack\n", ["", ".alone", ".base", ".pack", ".pack.deep", ".pack.inner", ".pack.other"]),
        ("from specseg.pack import other\n",
         ["", ".alone", ".base", ".pack", ".pack.deep", ".pack.inner", ".pack.other"]),
        ("from specseg import nothing_of_the_kind\n", [""]),
    ],
)  # fmt: skip
def test_imports_are_followed(package, source, expected):
    assert names(package, source) == expected


def test_hashes_follow_the_code_of_every_module_reached(package):
    script = package.parents[1] / "script.py"
    script.write_text("import specseg.lazy\n")
    before = provenance.module_hashes([script])
    assert set(before) == {"specseg.lazy", "specseg.middle", "specseg.base"}, "specseg/__init__ only carries numbers"
    (package / "base.py").write_text('"""Words."""\n\n\ndef f():  # remark\n    return 1\n')
    assert provenance.module_hashes([script]) == before
    (package / "base.py").write_text("def f():\n    return 2\n")
    after = provenance.module_hashes([script])
    assert {name for name in after if after[name] != before[name]} == {"specseg.base"}


def test_module_names_and_files(package):
    assert provenance.module_file("specseg.pack") == package / "pack" / "__init__.py"
    assert provenance.module_file("specseg.none") is None
    assert provenance.module_name(package / "pack" / "deep" / "__init__.py") == "specseg.pack.deep"


def test_loaded_modules_are_those_of_this_process(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "specseg.base", sys)
    monkeypatch.delitem(sys.modules, "specseg.alone", raising=False)
    found = provenance.loaded()
    assert found["specseg.base"] == provenance.code_hash(package / "base.py")
    assert "specseg.alone" not in found and "numpy" not in found


def test_versions_name_what_decides_numbers():
    import numpy

    assert provenance.versions()["numpy"] == numpy.__version__
    assert set(provenance.versions()) == set(provenance.DECIDING)


def test_commit_outside_a_checkout_is_unknown(package):
    assert provenance.commit() == ("unknown", False)


# --- code and remarks ----------------------------------------------------------------------------------------------

SAME = [
    ("x = 1\n", "# why\nx = 1  # because\n\n\n"),
    ("def f():\n    return 1\n", 'def f():\n    "Doc."\n    return 1\n'),
    ("def f():\n    return 1\n", 'def f():\n    """Doc\n\n    of more lines with a # sign.\n    """\n    return 1\n'),
    ("class A:\n    x = 1\n", 'class A:\n    """Doc."""\n\n    x = 1\n'),
    ("import os\n", '"""Module."""\n\nimport os\n'),
    ("def f(): return 1\n", "def f(): return 1  # é\n"),
    (
        "import os\nx = b.f()\n",
        "import os\nfrom specseg.a import (\n    b,\n    c,\n)\nimport specseg.d\n\nx = b.f()\n",
    ),
    ("def f():\n    return b\n", "def f():\n    from specseg.room import other as b  # late\n\n    return b\n"),
]
DIFFERENT = [
    ("x = 1\n", "x = 2\n"),
    ('x = "a # b"\n', 'x = "a # c"\n'),
    ('x = f"{1} # {2}"\n', 'x = f"{1} # {3}"\n'),
    ('x = """a\n\nb"""\n', 'x = """a\nb"""\n'),
    ('x = """a \nb"""\n', 'x = """a\nb"""\n'),
    ('x = f"""a\n\n{1}"""\n', 'x = f"""a\n{1}"""\n'),
    ('def f(): "Doc."; return 1\n', 'def f(): "Doc."; return 2\n'),
    ('"""Doc."""; x = 1\n', '"""Doc."""; x = 2\n'),
    ('def f(a=1): "é"\n', 'def f(a=2): "é"\n'),
    ("x = ('a'\n     'b')\n", "x = ('a'\n     'c')\n"),
    ('x = "a\u2028# b"\ny = 1\n', 'x = "a\u2028# b"\ny = 2\n'),
    ("def f():\n    x = 'not a docstring'\n", "def f():\n    x = 'no docstring'\n"),
    ("if a:\n    b\n", "if a:\n    pass\nb\n"),
    ("from os import a\n", "from os import b\n"),
    ("x = 1\n", "import os, specseg\nx = 1\n"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_remarks_do_not_count(a, b):
    assert code_text(a) == code_text(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_code_counts(a, b):
    assert code_text(a) != code_text(b)


def test_docstring_on_the_line_of_its_def():
    assert code_text('def f(): "Doc."; return 1\n') == code_text('def f(): "Longer words."; return 1\n')


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\\", exclude_categories=("Cs",)), max_size=30)


@given(comment=words.map(lambda t: t.replace("\n", " ").replace("\f", " ")), doc=words, value=words)
def test_any_comment_and_docstring_is_left_out_and_any_string_is_kept(comment, doc, value):
    """The constant travels as repr, so that every character of it is on one line of the source."""
    plain = f"def f():\n    x = {value!r}\n    return x\n"
    quoted = doc.replace('"', "'")
    full = textwrap.dedent(
        """\
        # {comment}
        def f():
            '''{doc} '''
            x = {value!r}  # {comment}

            return x
        """
    ).format(comment=comment, doc=quoted.replace("'", "`"), value=value)
    assert code_text(full) == code_text(plain)
    assert code_text(plain.replace(repr(value), repr(value + "!"))) != code_text(plain)


@given(st.lists(words.filter(lambda t: '"""' not in t and not t.endswith('"')), min_size=1, max_size=5))
def test_what_stands_in_a_long_string_is_kept_to_the_letter(lines):
    source = 'x = """' + "\n".join(lines) + '"""\ny = 1\n'
    assert code_text(source) == source.rstrip("\n")


def test_many_threads_read_code_at_once(tmp_path):
    """The driver hashes two chapters at a time; Python 3.11's parser fails when threads mix inside it.

    They mix where a collection of garbage runs Python code while a tree is made: here at every tenth object.
    """
    lines = (f"def f{i}(x, y=({'(' * 20}1{')' * 20})):\n    return [x, y, {i}]" for i in range(60))
    source = "\n".join(["from specseg.evidence import config", *lines])
    files = [tmp_path / f"{i}.py" for i in range(8)]
    for file in files:
        file.write_text(source)
    threshold = gc.get_threshold()
    gc.callbacks.append(give_way := lambda *_: time.sleep(0))
    gc.set_threshold(10)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(provenance.imported, files * 4))
    finally:
        gc.callbacks.remove(give_way)
        gc.set_threshold(*threshold)
    assert found == [provenance.imported(files[0])] * 32 and "specseg.evidence.config" in found[0]
