"""The ledger: what the paper claims, what was observed, and the verdict that follows, computed and never typed."""

from specseg.evidence.claims import Check, Claim, ClaimError, Claims, load_claims
from specseg.evidence.findings import MIME, Findings, open_chapter
from specseg.evidence.verdicts import VERDICTS, Judgement, Observation, judge

open = open_chapter  # read as ledger.open("30_cross_entropy")

__all__ = [
    "MIME", "VERDICTS", "Check", "Claim", "ClaimError", "Claims", "Findings", "Judgement", "Observation",
    "judge", "load_claims", "open", "open_chapter",
]  # fmt: skip
