"""The paper against its own numbers: pure functions from the printed tables to what they say about each sentence."""

from specseg.audit.sentences import Fact, Sentence
from specseg.audit.suite import SENTENCES, by_claim, observations
from specseg.audit.tables import Tables, Text, blocks, cells, curves

__all__ = ["SENTENCES", "Fact", "Sentence", "Tables", "Text", "blocks", "by_claim", "cells", "curves", "observations"]
