"""The equations of the paper: symbolic derivations, residuals on random tensors, counterexamples, closed forms.

Knows no trained network and no data set but the synthetic scenes.
"""
