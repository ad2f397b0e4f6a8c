"""Networks of others: the test of order against a slow reference, its verdict on made-up numbers, losses by name."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from specseg.evidence.claims import load_claims
from specseg.evidence.verdicts import AGREES, DIFFERS, MIXED, UNRESOLVED, Observation, judge
from specseg.measure.loss import VARIANTS
from specseg.study import scale
from specseg.study import third_party as tp

SETS = ("voc2012",) * 4 + ("cityscapes",) * 5


class Made(SimpleNamespace):
    """A network with given R_ce and drops by size, and no spread."""

    left_out = ""

    def miou(self):
        return np.full(4, self.score)

    def drop(self, method, size):
        return np.full(4, self.drops[size])

    def rate(self, nu_max, variant):
        return np.full(4, self.rates[2 * nu_max + 1])


def made(drop_of):
    """Nine networks; `drop_of(rate, rng)` gives the drop."""
    rng = np.random.default_rng(3)
    out = []
    for k, dataset in enumerate(SETS):
        rates = {s: rng.uniform() for s in tp.SIZES}
        drops = {s: drop_of(rates[s], rng) for s in tp.SIZES}
        out.append(Made(dataset=dataset, rates=rates, drops=drops, grid=65 + 64 * (k % 3), score=rng.uniform()))
    return out


def test_the_order_and_its_probability_are_those_of_all_permutations_one_by_one():
    nets = made(lambda r, rng: r + rng.normal(0, 0.4))
    found = tp.order(nets)
    per = {d: [n for n in nets if n.dataset == d] for d in ("voc2012", "cityscapes")}

    def mean(order):
        return np.mean([
            np.mean([stats.spearmanr([n.rates[s] for n in (own[i] for i in order[d])],
                                     [n.drops[s] for n in own]).statistic for s in tp.SIZES])
            for d, own in per.items()
        ])  # fmt: skip

    same = {d: range(len(own)) for d, own in per.items()}
    assert (found.value == found.value[0]).all() and found.value[0] == pytest.approx(mean(same))
    pairs = itertools.product(*(itertools.permutations(r) for r in same.values()))
    every = np.array([mean(dict(zip(same, one, strict=True))) for one in itertools.islice(pairs, 0, None, 7)])
    assert found.probable == pytest.approx((every >= found.value[0] - 1e-9).mean(), abs=0.03)  # every seventh of 2,880
    assert (every >= found.critical - 1e-9).mean() == pytest.approx(tp.RISK, abs=0.02)
    assert found.networks == 9 and set(found.rivals) == {"side of the network's grid", "mIoU", "labels alone"}


def test_other_numbers_in_the_place_of_the_loss_are_ordered_as_it_is():
    nets = made(lambda r, rng: r + rng.normal(0, 0.4))
    for k, net in enumerate(nets):
        net.name = f"n{k}"
    sizes = {d: tp.SIZES for d in set(SETS)}
    costs = {(n.name, s): np.exp(n.rates[s]) for n in nets for s in tp.SIZES}
    found, by = tp.order(nets), tp.order(nets, sizes=sizes, costs=costs)
    assert (by.value[0], by.probable, by.own) == (found.value[0], found.probable, found.own)
    with pytest.raises(KeyError):
        tp.order(nets, costs={})


def judged(by):
    claim = load_claims().by_id["fig5b-order-others"]
    return judge(claim, [Observation(claim.id, record_profile="standard", **o) for o in tp.ordered(by)]).verdict


def order(value, own=(0.1, 0.1), rival=0.0, spread=0.0):
    drawn = value + np.concatenate([[0.0], np.linspace(-spread, spread, 101)])
    names = ("voc2012", "cityscapes")
    rivals = {"mIoU": np.full(102, rival), "labels alone": np.zeros(2)}
    return tp.Order(drawn, 10, dict(zip(names, own, strict=True)), 0.5, 0.6, rivals)


def test_the_verdict_follows_the_protocol():
    assert judged(order(0.8)) == AGREES
    assert judged(order(0.8, rival=-0.9)) == MIXED  # a rival orders the drops better, the other way round
    assert judged(order(0.8, rival=0.7, spread=0.2)) == MIXED  # a lead that its interval does not bear
    assert judged(order(0.3)) == UNRESOLVED and judged(order(0.3, rival=0.9)) == UNRESOLVED
    assert judged(order(-0.8)) == DIFFERS
    assert judged(order(0.0, own=(0.7, -0.7))) == MIXED


def test_no_data_set_with_enough_networks_is_refused():
    with pytest.raises(ValueError, match="no data set has 4 networks"):
        tp.order(made(lambda r, rng: r)[:3])


def test_losses_are_matched_to_pictures_by_name():
    """The halves of the pictures were measured one after the other: losses stand in another order than counts."""
    names, shuffled = ["c_0_0", "a_0_0", "b_0_0"], [2, 0, 1]
    total, tail = np.ones((len(VARIANTS), 3)), np.tile(np.array([0.1, 0.2, 0.6])[:, None], (len(VARIANTS), 1, 1))
    arrays = {
        "names": np.array(names), "loss_names": np.array([names[i] for i in shuffled]), "limits": np.array([8]),
        "total": total[:, shuffled], "tail": tail[:, shuffled],
    }  # fmt: skip
    settings = {"name": "n", "dataset": "cityscapes", "frame": "paper"}
    net = tp.Outside(SimpleNamespace(meta={"settings": settings}, rows=None, probe=lambda: arrays))
    vars(net)["draws"] = np.array([[1.0, 1, 1], [1, 0, 0], [0, 0, 1]])
    assert net.rate(8) == pytest.approx([0.3, 0.1, 0.6])


def test_every_network_has_a_record_in_both_frames_and_the_one_that_saw_its_test_judges_nothing():
    for frame in ("paper", "native"):
        found = tp.read(frame)
        assert len(found) == 14 and {n.name for n in found if n.left_out} == set(tp.protocol.SEEN)
    told = tp.observations(tp.read())
    of_chapter = {c.id for c in load_claims().of_chapter("62_networks_of_others")}
    assert set(told) == of_chapter - set(scale.CLAIMS) and all(told.values())
    assert len(tp.pairs(tp.read())) == 4
