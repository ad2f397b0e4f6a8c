"""The paper against its own numbers: pure functions from the printed tables to what they say about each sentence."""

from specseg.study.printed.sentences import Fact, Sentence
from specseg.study.printed.suite import SENTENCES, by_claim, observations
from specseg.study.printed.tables import Tables, Text, blocks, cells, curves

__all__ = ["SENTENCES", "Fact", "Sentence", "Tables", "Text", "blocks", "by_claim", "cells", "curves", "observations"]
