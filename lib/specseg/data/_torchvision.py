"""Import torchvision even where its compiled operators do not load (a CPU torch beside the index's wheel)."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType


def import_torchvision() -> ModuleType:
    """Return torchvision; where its import fails on two missing operator schemas, declare them and try again."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as err:
        if "torchvision::" not in str(err):
            raise
    import torch

    for op in ("nms", "qnms"):
        with contextlib.suppress(RuntimeError):  # declared already by the half-finished import
            torch.library.define(f"torchvision::{op}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for name in [m for m in sys.modules if m == "torchvision" or m.startswith("torchvision.")]:
        del sys.modules[name]
    return importlib.import_module("torchvision")


torchvision = import_torchvision()
