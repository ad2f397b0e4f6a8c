"""Settings in, networks out: made, trained, truncated, pruned, counted, kept as weights and loaded again.

Knows no experiment and no page. `nets.load(name)` is `weights.load`.
"""

from importlib import import_module


def __getattr__(name: str):
    if name == "load":  # loaded when asked for: who uses another module of this room does not depend on this one
        return import_module(f"{__name__}.weights").load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
