"""The docstrings of the page *Library* as plain text: bars, stars and backticks mean nothing special in them."""

from __future__ import annotations

import re


def _plain(app, what, name, obj, options, lines):
    example = False
    for k, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and line.strip() != "")
        if not example:
            parts = re.split(r"(`[^`]+`)", line)  # at odd places what stood in backticks
            parts[1::2] = [f"`{code}`" for code in parts[1::2]]
            parts[::2] = [re.sub(r"([|*\\]|_(?!\w))", r"\\\1", words) for words in parts[::2]]
            lines[k] = "".join(parts)


def setup(app):
    app.connect("autodoc-process-docstring", _plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
