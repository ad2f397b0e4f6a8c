"""An executable replication of "Spectral Analysis for Semantic Segmentation" (arXiv 2012.14123)."""

__version__ = "0.1.0"
