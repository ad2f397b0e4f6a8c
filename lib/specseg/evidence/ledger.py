"""The ledger: what the paper claims, what was observed, and the verdict that follows, computed and never typed."""

# ruff: noqa: F401 (names that others take from here)

from specseg.evidence.claims import Check, Claim, ClaimError, Claims, load_claims
from specseg.evidence.findings import MIME, Findings, open
from specseg.evidence.verdicts import VERDICTS, Judgement, Observation, judge
