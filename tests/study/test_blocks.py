"""Networks trained on blocks against fully labelled ones: drops, budgets, what the ledger is told."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from specseg.evidence import ledger
from specseg.evidence.records import Record
from specseg.nets.networks import Network
from specseg.study import blocks as bt
from specseg.study import gate, trained
from specseg.study.predictor_cells import Found
from specseg.study.trained import Measured


def measured(network: Network, share: float, *, total: int = 437, seed: int = 0) -> Measured:
    """Eight pictures of two classes, of which a share is right, with labels that lose 0.05 of their own mIoU."""
    rng = np.random.default_rng(seed)
    labelled = rng.integers(400, 600, (8, 2))
    hit = (labelled * share).astype(int)
    counts = np.stack([hit, labelled, hit + (labelled - hit)[:, ::-1]], -1)
    rows = [{"predictor": p, "metric": "miou", "value": v, "n": 8} for p, v in (("network", 0.6), ("as counted", 0.2))]
    rows += [{"predictor": "network", "metric": "label_miou", "value": 0.95, "n": total}]
    names = np.array([f"p{k}" for k in range(8)])
    arrays = {"counts": counts, "names": names, "clusters": names, "scored": np.array([0, 1])}
    return Measured(network, pd.DataFrame(rows), arrays)


def found(domains=("voc", "camvid"), models=("deeplabv3plus", "dan"), few=True, trainings=1) -> Found:
    shares = {"voc": {0: 0.9, 32: 0.89, 16: 0.86, 8: 0.8}, "camvid": {0: 0.9, 32: 0.8, 16: 0.7, 8: 0.6}}
    base = {(d, m, s): Network(d, model=m, seed=s) for d in domains for m in models for s in range(trainings)}
    whole = [measured(n, shares[d][0]) for (d, *_), n in base.items()]
    blocks = [measured(replace(n, annotation="block", nu_max=nu), shares[d][nu])
              for (d, *_), n in base.items() for nu in (8, 32, 16)]  # fmt: skip
    if few:
        blocks += [measured(Network("voc", images=k, seed=s), 0.85) for k in (218, 109, 54) for s in range(trainings)]
    seeds = [measured(replace(next(iter(base.values())), seed=k), 0.9 + 0.002 * k) for k in range(3)]
    return Found(seeds, [], [], blocks, whole)


def test_drops_are_from_the_fully_labelled_network():
    table = bt.table(bt.pairs(found()))
    assert table.groupby(["domain", "model"])["nu_max"].apply(list).tolist() == [[0, 32, 16, 8]] * 4
    data = found()
    miou = {n.network.name: float(trained.scores.miou(n.arrays["counts"].sum(0))) for n in data.networks + data.blocks}
    one = table.query("domain == 'camvid' and model == 'dan' and nu_max == 8").iloc[0]
    full, weak = miou["camvid-dan-f0-s0"], miou["camvid-dan-f0-s0-annotation_block-nu_max_8"]
    assert one["drop"] == pytest.approx(1 - weak / full) and one["miou"] == pytest.approx(weak)
    assert one["low"] <= one["drop"] <= one["high"] and one["label_drop"] == pytest.approx(0.05)


def test_budgets_pair_blocks_with_as_much_labour():
    rows = bt.equal_budget(found())
    assert rows[["nu_max", "images"]].values.tolist() == [[32, 109], [16, 54]]  # blocks of 4 and 8 pixels of 257
    assert (rows["domain"] == "voc").all() and (rows["model"] == "deeplabv3plus").all()
    assert rows["value"].tolist() == pytest.approx((rows["miou"] - rows["miou_few"]).tolist())
    assert bt.equal_budget(found(few=False)).empty


def test_the_printed_table_has_its_own_drops():
    table = bt.printed().set_index(["dataset", "model", "nu_max"])
    assert len(table) == 24 and (table.xs(0, level="nu_max")["drop"] == 0).all()
    assert table.loc[("cityscapes", "deeplabv3plus", 32), "drop"] == 0.131
    assert table.loc[("cityscapes", "dan", 8), "kind"] == "streets"


@pytest.mark.parametrize(("domains", "models"), [(("voc", "camvid"), ("deeplabv3plus", "dan")), (("voc",), ("dan",))])
def test_every_observation_fits_its_claim(domains, models):
    findings = ledger.open("75_block_annotation", profile="smoke")
    told = bt.observations(found(domains, models, trainings=3))
    states = {claim: {findings.observe(claim, **f) for f in facts} for claim, facts in told.items()}
    assert states["tab3-monotone-r3"] <= {"holds", "unresolved"} and "holds" in states["tab3-objects-close-r3"]
    assert ("tab3-streets-larger-r3" not in told) == ("camvid" not in domains)
    if "camvid" in domains:
        assert states["tab3-streets-larger-r3"] == {"holds"}
        assert states["sec21-weak-labels-cost-effective"] <= {"holds", "unresolved"}
    assert len(told["tab3-monotone-r3"]) == 3 * len(domains) * len(models)
    (coarse,) = told["tab3-coarse-blocks-r3"]
    assert coarse["domain"] == "objects (PASCAL VOC, animals)" and coarse["value"] > 0.1


def test_one_training_an_arm_decides_nothing():
    findings = ledger.open("75_block_annotation", profile="smoke")
    facts = [(c, f) for c, own in bt.observations(found()).items() if c != "tab3-coarse-blocks-r3" for f in own]
    assert {f["units"] for _, f in facts} == {1} and {findings.observe(c, **f) for c, f in facts} == {"unresolved"}


def test_a_mean_of_several_trainings_bears_less_of_their_spread():
    data = found(("voc",), ("deeplabv3plus",), few=False)
    more = [measured(replace(m.network, seed=k), 0.89 if m.network.nu_max else 0.9)
            for m in (*data.blocks[1:2], *data.networks) for k in (1, 2, 3)]  # fmt: skip
    widths = []
    for have in (data, data._replace(blocks=data.blocks + more[:3], networks=data.networks + more[3:])):
        facts = [f for own in bt.observations(have).values() for f in own if "nu_max = 32" in f["note"]]
        spread = bt.noise([*have.networks, *have.truncation])
        widths.append((facts[0]["high"] - facts[0]["value"]) / spread.widen(np.zeros(9), [0.0])["high"])
    assert widths[0] == pytest.approx(1, abs=0.05) and widths[1] == pytest.approx(0.5, abs=0.05)


def test_networks_without_a_classifier_by_colour_take_that_of_their_pictures():
    data = found(("voc",), ("dan",))
    ratios = gate.quality(data.networks, data.blocks)
    assert ratios["voc-dan-f0-s0"] == pytest.approx(3) and len(ratios) == 1 + len(data.blocks)
    assert gate.quality(data.networks) == {"voc-dan-f0-s0": pytest.approx(3)}
    assert not gate.quality([], data.blocks)


def test_a_difference_of_two_trainings_bears_their_spread():
    noise = bt.Noise(0.02, 3)
    alone = noise.widen(np.zeros(11), [0.0])
    assert alone["high"] == pytest.approx(4.302653 * 0.02 * 2**0.5) and alone["low"] == -alone["high"]
    assert noise.widen(np.zeros(11), [0.0] * 4)["high"] == pytest.approx(alone["high"] / 2)
    assert (alone["units"], noise.widen(np.zeros(11), [0.0] * 9, pairs=4)["units"]) == (1, 9)
    own = noise.widen(np.zeros(11), [-0.1, 0.0, 0.1])  # pairs that scatter more than the borrowed spread says
    assert own["high"] == pytest.approx(4.302653 * 0.1 / 3**0.5)
    pictures = noise.widen(np.concatenate([[0.1], np.linspace(0, 0.2, 1001)]), [0.1])
    assert pictures["high"] - 0.1 == pytest.approx(np.hypot(0.095, alone["high"]), rel=1e-3)
    mious = [float(trained.scores.miou(m.arrays["counts"].sum(0))) for m in found().truncation]
    assert bt.noise(found().truncation) == (pytest.approx(np.std(mious, ddof=1) / np.mean(mious)), 3)


def test_without_its_fully_labelled_network_there_is_no_pair():
    orphan = found(("voc",), ("dan",))._replace(networks=[], truncation=[])
    assert bt.pairs(orphan) == []


def test_coarse_labels_are_told_set_by_set():
    values = {("miou", "block_majority"): 0.9, ("miou", "polygon_block"): 0.85, ("miou", "no contour"): 0.1,
              ("power_beyond", "error"): 0.7, ("power_beyond", "truth"): 0.05}  # fmt: skip
    shared = {"table": "coarse", "nu_max": 32, "n": 9}
    rows = pd.DataFrame([{**shared, "metric": m, "kind": k, "value": v, "low": v - 0.01, "high": v + 0.01}
                         for (m, k), v in values.items()])  # fmt: skip
    record = Record(Path("nowhere"), {}, rows)
    facts = [(c, f) for c, own in bt.coarse({"dubai": record, "camvid": record}).items() for f in own]
    findings = ledger.open("75_block_annotation", profile="smoke")
    states = [findings.observe(c, **{k: v for k, v in f.items() if k != "record"}) for c, f in facts]
    assert states == ["holds"] * 6
    assert facts[0][1]["note"].startswith("dubai: blocks agree")
