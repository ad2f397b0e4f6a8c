"""Scale as dose on made-up numbers: what is foretold and by whom, paired pictures, the gate, the verdicts."""

from types import SimpleNamespace

import numpy as np
import pytest

from specseg.evidence.claims import load_claims
from specseg.evidence.verdicts import AGREES, DIFFERS, MIXED, Observation, judge
from specseg.figures import third_party as draw
from specseg.study import scale as study

NAMES = [f"p{k}" for k in range(12)]


def view(drops, rates=None, miou=0.5, names=NAMES, spread=0.0):
    """Two classes of equal IoU `miou`; cuts lose `drops` of it; R_ce is `rates`. Pictures differ by `spread`."""
    rng = np.random.default_rng(1)
    per = {n: 1 + spread * rng.uniform(-1, 1) for n in NAMES}
    ious = [miou, *(miou * (1 - d) for d in drops)]
    counts = np.array([[[[1e6 * i * per[n] if k else 1e6 * i, 1e6, 1e6 * i * per[n] if k else 1e6 * i]] * 2
                        for n in names] for k, i in enumerate(ious)])  # fmt: skip
    if rates is None:
        return study.View(list(names), counts)
    tail = np.tile(np.array(rates), (2, len(names), 1))
    return study.View(list(names), counts, np.ones((2, len(names))), tail)


def made(power=1.0, labels=1.0, drop=1.0, domain="objects", ratio=5.0, spread=0.0005, miou=(0.5, 0.5, 0.5)):
    """Drops go as 2^(-drop) with each doubling of the scale, R_ce as 2^(-power), the labels' as 2^(-labels)."""
    base = np.array([0.01, 0.02, 0.04])
    parts = {s: (base * s**-drop, base * 3 * s**-power) for s in study.SCALES}
    views = {s: view(*p, m, NAMES[:: 2 if s == 2 else 1], spread)
             for (s, p), m in zip(parts.items(), miou, strict=True)}  # fmt: skip
    alone = {s: view(base * s**-labels, miou=1.0) for s in study.SCALES}
    record = SimpleNamespace(meta={"settings": {"frame": 513}})
    return study.Scaled("n", "A network", domain, ratio, str, views, alone, 2.5, record)


def test_each_rule_foretells_what_it_says():
    net = made(power=1.5, labels=0.5, drop=1.5, spread=0.0)
    wanted = {s: np.array([0.01, 0.02, 0.04]) * s**-1.5 for s in (0.5, 2.0)}
    now = np.array([0.01, 0.02, 0.04])
    for rule, ratio in (("R_ce", 1.5), ("contour per cell", 1.0), ("what the labels lose", 0.5), ("no change", 0.0)):
        error = np.mean([np.abs(now * s**-ratio - wanted[s]).mean() for s in (0.5, 2.0)])
        assert net.errors[rule][0] == pytest.approx(error, abs=1e-6)
    assert net.leads["contour per cell"][0] > 0 and net.errors["mIoU"][0] == net.errors["no change"][0]
    assert made(miou=(0.3, 0.5, 0.6)).errors["mIoU"][0] != made().errors["no change"][0]


def test_two_scales_are_compared_on_the_pictures_that_both_have():
    net = made(spread=0.3)
    even = net.views[1.0].of(NAMES[::2])
    whole, drops = even.scores(np.ones((1, 6)))
    assert net.pairs[2.0].miou[0][0] == pytest.approx(whole[0]) and net.pairs[2.0].drop[0][0] == pytest.approx(drops[0])
    assert net.pairs[0.5].miou[0][0] == pytest.approx(net.views[1.0].scores(np.ones((1, 12)))[0][0])
    assert net.steps[0].shape == (1001,)


def judged(claim, nets):
    seen = study.observations(nets)[claim]
    return judge(load_claims().by_id[claim], [Observation(claim, record_profile="standard", **o) for o in seen]).verdict


def test_the_verdicts_follow_the_protocol():
    good, flat = made(power=1.5, drop=1.5), made(power=0.0, drop=1.5, domain="streets")
    assert judged(study.FORETELLS, [good, made(power=2.0, drop=2.0, domain="streets")]) == AGREES
    assert judged(study.FORETELLS, [good, flat]) == MIXED and judged(study.FORETELLS, [flat]) == DIFFERS
    assert judged(study.DOSE, [good, flat]) == AGREES
    assert judged(study.DOSE, [made(drop=-1.0)]) == DIFFERS


def test_a_network_that_is_too_weak_at_one_scale_sets_no_verdict():
    weak = made(ratio=2.5, miou=(0.3, 0.5, 0.5))
    assert weak.left_out.endswith("1.5 times the mIoU of colour alone") and not made(ratio=2.5).left_out
    assert all(o["left_out"] for part in study.observations([weak]).values() for o in part)


def test_points_share_the_pictures_and_the_dose_is_contour_per_cell():
    points = study.points([made(spread=0.0)])
    assert len(points) == 9
    half = points.set_index(["scale", "share"])["dose"]
    assert half[1.0, "a half"] == pytest.approx(2.5 / 64) and half[0.5, "a half"] == half[1.0, "a quarter"]
    fig = draw.dose(points)
    assert len(fig.axes[0].lines) == 4 and half[0.5, "a half"] > half[2.0, "a half"]
    assert study.table([made()])["no change"].tolist() == [made().errors["no change"][0]]


def test_every_network_of_the_protocol_has_its_records():
    found = study.read()
    assert len(found) == 16 and {n.domain for n in found} == set(study.others.TITLES.values())
    assert all(v.counts.shape[:2] == (4, len(v.names)) for n in found for v in n.views.values())
