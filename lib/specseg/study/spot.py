"""Spectral gradient rows of a tiny network, measured on the spot, in seconds."""

from __future__ import annotations

import pandas as pd

from specseg.measure import gradients as ng
from specseg.nets import weights
from specseg.nets.networks import Network


def gradients(network: Network, count: int) -> pd.DataFrame:
    """Return `measure.gradients.study` of a committed network on `count` test pictures: in float32, as records are."""
    rows = ng.measure(weights.load(network, sources=("committed",)).float(), ng.cases(network, count))
    return rows.assign(**{name: getattr(network, name) for name in ng.IDENTITY})
