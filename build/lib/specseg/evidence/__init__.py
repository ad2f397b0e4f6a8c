"""What the paper says and what was found: tables and claims in, observations and records in, verdicts out.

Knows no data set and no network; beside it stand where things lie (config) and which code made them (provenance).
"""
