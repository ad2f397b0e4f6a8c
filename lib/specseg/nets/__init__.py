"""Settings in, networks out: made, trained, truncated, pruned, counted, kept as weights and loaded again.

Knows no experiment and no page.
"""
