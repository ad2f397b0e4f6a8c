"""A network and pictures in, counts per picture out: loss in frequency, truncation, gradients, features.

Knows no record, interval or claim.
"""
