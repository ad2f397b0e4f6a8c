"""An executable replication of "Spectral Analysis for Semantic Segmentation" (arXiv 2012.14123), and its small library.

The names of `FACE` are the library's face; each is loaded from its room when it is first asked for.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

FACE = {
    "spectrum": "spectral.spectrum",
    "band_limit": "spectral.spectrum",
    "cross_entropy": "spectral.cross_entropy",
    "frequency_components": "spectral.cross_entropy",
    "truncated_cross_entropy": "spectral.cross_entropy",
    "relative_loss_rate": "spectral.cross_entropy",
    "truncation_cost": "spectral.cost",
    "annotation_floor": "spectral.floor",
    "confusion_matrix": "spectral.iou",
    "mean_iou": "spectral.iou",
    "spectral_iou": "spectral.iou",
    "boundary_iou": "spectral.iou",
    "relative_drop": "spectral.iou",
    "spectral_gradient": "spectral.gradient:layer",
    "block_labels": "spectral.labels",
    "band_limited_labels": "spectral.labels",
    "ceiling": "spectral.laws",
    "build": "nets.models",
    "wrap": "nets.models",
    "feature_truncation": "nets.models.truncation:truncate",
    "count": "nets.flops",
    "SoftFilterPruning": "nets.pruning",
    "advice": "advise.report:advise",
}
"""Public name -> the module of the library that holds it, and its name there where that is another."""

__all__ = ["FACE", "__version__", *FACE]


def __getattr__(name: str) -> Any:
    if name in FACE:
        module, _, own = FACE[name].partition(":")
        return getattr(import_module(f"{__name__}.{module}"), own or name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
