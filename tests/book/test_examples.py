"""The examples in the docstrings of the driver's steps give what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest
from conftest import ROOT

STEPS = [p.stem for p in sorted((ROOT / "book" / "steps").glob("*.py")) if ">>>" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", STEPS)
def test_the_examples_of_a_step(name):
    found = doctest.testmod(importlib.import_module(f"steps.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
