"""Each sentence's test must judge: tables that break or mend the sentence must change its verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from specseg.evidence import ledger
from specseg.study import printed as audit
from specseg.study.printed import costs, curves, drops, predictors

CHAPTER = "15_paper_against_itself"
SENTENCES = [s for module in (curves, costs, drops, predictors) for s in module.SENTENCES]
BY_ID = {s.claim: s for s in SENTENCES}


def proportional(t, slope: float, intercept: float = 0.0, full: bool = False):
    """Make every drop follow one line in R_ce (at most 0.99; none at the full grid unless `full`)."""
    lookup = t.cells.set_index(["model", "dataset", "lrg_size"]).rce.groupby(level=[0, 1, 2]).first()

    def rewrite(frame, size):
        frame = frame.copy()
        rce = lookup.reindex(pd.MultiIndex.from_arrays([frame.model, frame.dataset, size])).to_numpy()
        rows = (frame.metric == "miou_drop").to_numpy() & (full | (size != 129).to_numpy())
        frame.loc[rows, "value"] = np.minimum(intercept + slope * rce[rows], 0.99)
        return frame

    block_size = t.block.nu_max.map(lambda nu: 129 if nu == 256 else 2 * nu + 1).astype(int)
    return replace(t, block=rewrite(t.block, block_size), truncation=rewrite(t.truncation, t.truncation.lrg_size))


def consistent(t):
    """Make the mIoUs follow the printed line as well, so that R_ce + FLOPs must find every optimum."""
    out = proportional(t, 0.5)
    c, keys = out.cells, ["model", "dataset", "prune_rate", "lrg_size"]
    miou = c.base * (1 - np.minimum(0.5 * c.rce * (c.lrg_size != 129), 0.99))
    frame, miou = out.truncation.copy(), c.assign(value=miou).set_index(keys).value
    rows = (frame.metric == "miou").to_numpy()
    frame.loc[rows, "value"] = miou.reindex(pd.MultiIndex.from_frame(frame.loc[rows, keys])).to_numpy()
    return replace(out, truncation=frame)


def ordered(t):
    """Make R_ce and drop rise together, data set by data set and model by model."""
    for i, dataset in enumerate(("deepglobe", "pascal", "cityscapes")):
        for j, model in enumerate(("deeplabv3plus", "dan")):
            value, where = 0.01 * (1 + 2 * i + j), {"dataset": dataset, "model": model}
            t = t.changed("rce", value, **where).changed("truncation", value, metric="miou_drop", **where)
    return t


def monotone(t):
    low = t.changed("truncation", 0.2, metric="miou", lrg_size=17)
    return low.changed("truncation", 0.51, metric="miou", dataset="cityscapes", model="deeplabv3plus", lrg_size=33)


EXCEPTIONS = (("deeplabv3plus", "deepglobe", (17, 33)), ("dan", "deepglobe", (17, 33, 49)),
              ("dan", "cityscapes", (65, 81, 97)))  # fmt: skip
EXAMPLE = (("pascal", 0.005), ("deepglobe", 0.005), ("cityscapes", 0.074))
SWAPPED = (
    ("deeplabv3plus", "deepglobe", 17, 0.053),
    ("dan", "cityscapes", 81, 0.075),
    ("dan", "cityscapes", 97, 0.040),
)
REPAIRED = {  # claim -> tables on which the sentence holds as printed, where it does not on the paper's
    "sec31-factor-of-ten":
        lambda t: t.changed("rce", 0.178, model="deeplabv3plus", dataset="cityscapes", nu_max=32),
    "sec31-band-16-to-32": lambda t: t.changed("rce", 0.1, dataset="cityscapes"),
    "fig23-frequencies": lambda t: t.changed("text", captions=(t.text.shown, t.text.shown)),
    "fn4-values": lambda t: t.changed("text", footnote4=SWAPPED),
    "sec32-rce-in-table-4": lambda t: replace(t, truncation=pd.concat([t.truncation, t.rce])),
    "a1-decoder-cost-comparable": lambda t: t.changed("constants", 60.0, part="decoder", quantity="FLOPs"),
    "sec32-more-parameters":
        lambda t: t.changed("constants", 30.0, model="Dan", part="encoder", quantity="parameters"),
    "sec32-29-to-60": lambda t: t.changed("text", excess=(0.282, 0.595)),
    "sec1-seventy-percent": lambda t: t.changed("gflops", 42, prune_rate=0.6),
    "con-saving-small-loss": lambda t: t.changed("truncation", 0.8, metric="miou", prune_rate=0.4),
    "sec32-exceptions": lambda t: t.changed("text", exceptions=EXCEPTIONS),
    "sec32-fpi-both-at-once": lambda t: t.changed("gflops", 50, prune_rate=(0, 0.2, 0.4, 0.6)),
    "a10-monotone": monotone,
    "a10-example-at-65": lambda t: t.changed("text", example=EXAMPLE),
    "tab34-baselines":
        lambda t: t.changed("block", 0.543, metric="miou", model="deeplabv3plus", dataset="deepglobe", nu_max=256),
    "sec32-no-degradation": lambda t: t.changed("truncation", 0.9, metric="miou"),
    "sec32-pruning-leaves-drop": lambda t: t.changed("truncation", 0.5, metric="miou"),
    "sec32-small-rce-small-drop":
        lambda t: t.changed("truncation", 0.05, metric="miou_drop", dataset="pascal", model="dan", lrg_size=33),
    "con-block-close": lambda t: t.changed("block", 0.03, metric="miou_drop"),
    "con-results-agree": ordered,
    "fig5b-slope": lambda t: proportional(t, 0.6725, 0.0022, full=True),
    "fig5b-intercept": lambda t: proportional(t, 0.6725, 0.0022, full=True),
    "sec33-rce-estimates": lambda t: proportional(t, 0.45),
    "fig5b-general": lambda t: proportional(t, 0.6725),
    "sec32-cityscapes-explained": lambda t: proportional(t, 0.45),
    "sec32-choose-lrg": consistent,
}  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return audit.Tables.read()


@pytest.fixture(scope="module")
def claims():
    return ledger.load_claims().by_id


def verdict(claims, claim: str, facts: dict) -> str:
    made = [ledger.Observation(claim, f.value, f.n, f.low, f.high, form, over=f.over) for form, f in facts.items()]
    return ledger.judge(claims[claim], made).verdict


def test_every_claim_of_the_chapter_has_a_sentence_and_back(claims):
    assert sorted(BY_ID) == sorted(c.id for c in claims.values() if c.chapter == CHAPTER)
    assert len(BY_ID) == len(SENTENCES) and set(REPAIRED) <= set(BY_ID)


def test_every_claim_of_the_chapter_is_tier_r0(claims):
    assert {claims[i].tier for i in BY_ID} == {"R0"}


@pytest.mark.parametrize("claim", sorted(BY_ID))
def test_each_form_has_a_stated_check_and_a_note(claim, tables, claims):
    facts = BY_ID[claim].measure(tables)
    assert set(facts) == set(claims[claim].checks)
    assert all(len(f.note) > 15 and f.note.rstrip().endswith(".") for f in facts.values())


@pytest.mark.parametrize("claim", sorted(BY_ID))
def test_a_changed_table_changes_the_verdict(claim, tables, claims):
    sentence, repaired = BY_ID[claim], REPAIRED.get(claim)
    now = verdict(claims, claim, sentence.measure(tables))
    assert sentence.broken or repaired
    if sentence.broken:
        worst = verdict(claims, claim, sentence.measure(sentence.broken(tables)))
        assert worst == claims[claim].if_fails
        if now == worst:
            assert repaired, "a sentence that fails needs tables on which it would hold"
    if repaired:
        assert now != "confirmed"
        assert verdict(claims, claim, sentence.measure(repaired(tables))) == "confirmed"
    elif now == "confirmed with a correction":
        assert sentence.broken


def test_observations_carry_their_mutants_and_pass_the_ledger(tables):
    findings = ledger.open(CHAPTER, profile="smoke")
    for entry in audit.observations(tables, SENTENCES):
        findings.observe(**entry)
    judged = {j.claim.id: j.verdict for j in findings.judgements()}
    assert len(judged) == len(BY_ID) and "not run" not in judged.values()
    assert judged["tab4-drops"] == "confirmed" and judged["fn4-values"] == "confirmed with a correction"
    assert judged["tab34-baselines"] == judged["a10-example-at-65"] == "paper inconsistent"
    assert {judged[f"fig5b-{k}"] for k in ("slope", "intercept", "r2")} == {"confirmed with a correction"}
    assert judged["sec32-fpi-both-at-once"] == "confirmed with a correction"
