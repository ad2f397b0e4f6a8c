"""The paper against its own numbers: pure functions from the printed tables to what they say about each sentence."""

from specseg.study.printed.sentences import observations
from specseg.study.printed.tables import Tables

__all__ = ["Tables", "observations"]
