"""Spectra of labels, losses and scores: the small library. Tensors in, tensors and numbers out.

Knows no file, data set, network or claim.
"""
