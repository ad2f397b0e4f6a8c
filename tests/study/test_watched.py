"""Trainings that were watched: first steps before later snapshots, R_ce against drops within one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import trainedrecords as invented

from specseg.evidence import records
from specseg.evidence.claims import load_claims
from specseg.evidence.verdicts import AGREES, NOT_RUN, Observation, judge
from specseg.nets.networks import Network
from specseg.study import learning, trained

STEPS = (0, 1, 2, 4, 8, 16, 32, 64)
SEEDS = tuple(Network("voc", seed=s) for s in range(3))


def snapshots(root, network, steps=STEPS, stop=64, early=False, rates=None, miou=None):
    """Write a record: the low band at half of its change after 8 steps, the others after 32; drops as `rates`."""
    n, nu = len(steps), np.arange(129)
    rows = []
    for step in steps:
        low, high = min(step / 16, 1), min(step / 64, 1)
        loss = np.where(nu <= 8, 1 - 0.6 * low, 0.2 - 0.1 * high) / (1.0 + nu) ** 2
        rows += [{"metric": "loss_rim", "step": step, "nu": k, "value": v} for k, v in enumerate(loss)]
        rows += [{"metric": "miou", "step": step, "value": 0.1 + step / 1000, "method": m} for m in (None, "full")]
    rates, miou = (np.linspace(1, 2, n) if x is None else np.array(x) for x in (rates, miou))
    ious = miou[:, None] * (1 - np.stack([np.zeros(n), *(rates * k / 20 for k in (1, 2, 4))], -1)) / 2
    one = np.stack([1e6 * ious, np.full(ious.shape, 1e6), 1e6 * ious], -1)
    # fmt: off
    probe = {"counts": np.tile(one[:, :, None, None], (1, 1, 3, 2, 1)), "steps": np.array(steps),
             "total": np.ones((n, 2, 3)), "tail": np.tile(rates[:, None, None, None] / 10, (1, 2, 3, 3)),
             "names": np.array(["a", "b", "c"]), "clusters": np.array(["a", "b", "c"]),
             "scored": np.array([0, 1])}
    records.write("snapshots", pd.DataFrame(rows), command="invented", profile="standard", probe=probe,
                  script=root / "experiments" / "run.py",
                  settings={**network.describe(), "name": network.name, "stop": stop, "early": early})
    # fmt: on


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = invented.project(tmp_path / "project", monkeypatch)
    for network in SEEDS:
        invented.loss(root, network)
        invented.networks(root, network)
    return root


def judged(claim, observations):
    seen = [Observation(claim, record_profile="standard", **o) for o in observations]
    return judge(load_claims().by_id[claim], seen).verdict


def test_first_steps_stand_before_the_later_snapshots_of_the_record(root):
    claim, scored = "fig1-low-band-learnt-first", trained.read("networks")
    found = trained.read("loss_in_frequency")
    assert learning.first_steps(found) == []
    before = learning.observations(found, scored)
    for network in SEEDS[:2]:
        snapshots(root, network)
    assert "2 trainings" in learning.observations(found, scored)[claim][0]["left_out"]
    snapshots(root, SEEDS[2])
    new = learning.first_steps(found)
    course = learning.course(new[0])
    assert course["step"].tolist() == [*STEPS, 100, 200, 400] and course["miou"].iloc[3] == pytest.approx(0.104)
    further = replace(SEEDS[0], seed=3)
    for network in (further, SEEDS[0], Network("camvid")):  # watched to the end; the last is of no setup on record
        snapshots(root, network, steps=(*STEPS, 400), stop=0)
    assert [m.network for m in learning.first_steps(found)] == [*SEEDS, further]
    assert learning.course(learning.first_steps(found)[-1])["step"].tolist() == [*STEPS, 400]
    told = learning.observations(found, scored)
    assert "(trainings: 4)" in told[claim][0]["note"]
    assert told[claim][0]["value"] != before[claim][0]["value"] and judged(claim, told[claim]) == AGREES
    assert {k: v for k, v in told.items() if k != claim} == {k: v for k, v in before.items() if k != claim}


def test_within_one_training_a_rival_that_follows_time_as_well_leaves_no_lead(root):
    better = np.linspace(0.2, 0.6, 8)
    for network in SEEDS:
        snapshots(root, network, stop=0, miou=better)
    (one, *_) = trained.read("snapshots", stop=0)
    assert learning.within(one)["steps"] == (better >= 0.3).sum()
    assert learning.within(one) | {"steps": 0} == pytest.approx(
        {"correlation": 1.0, "rival": -1.0, "lead": 0.0, "value": 0.0, "steps": 0})  # fmt: skip
    for network in SEEDS:  # the mIoU goes up and down, R_ce and the drops rise
        snapshots(root, network, stop=0, miou=[0.5, 0.6, 0.5, 0.6, 0.5, 0.6, 0.5, 0.6 + network.seed / 99])
    told = learning.observations_within(learning.whole())[learning.WITHIN]
    assert 0.3 < told[0]["value"] < 1 and judged(learning.WITHIN, told) == AGREES
    assert judged(learning.WITHIN, [o | {"left_out": "weak"} for o in told]) == NOT_RUN


def test_a_training_with_an_early_stop_is_none_that_was_watched_to_its_end(root):
    snapshots(root, replace(SEEDS[0], seed=7), steps=(32, 64), stop=0, early=True)
    assert not learning.observations_within(learning.whole())
