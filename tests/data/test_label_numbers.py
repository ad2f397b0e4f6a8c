"""The numbers of a label map and the tables of a label set: slow sums, the plain functions, the committed records."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import loaded
from hypothesis import given, settings
from hypothesis import strategies as st
from label_maps import labels

from specseg.data import label_spectra as ls
from specseg.data import label_tables as lt
from specseg.data import polygons, synthetic
from specseg.data.label_numbers import VOID, VOIDS, Plan, class_scores, measure, stacked
from specseg.evidence import config, records, renewal
from specseg.evidence import statistics as scores
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

REAL = ("voc2012", "camvid", "dubai")
ALL = (*REAL, "objects", "landcover", "streets")


def both(size, limits, **options):
    """A plan under both boundaries."""
    return Plan(size, limits, boundaries=sp.BOUNDARIES, **options)


@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
@pytest.mark.parametrize("void", VOIDS)
def test_spectra_and_band_limited_labels_against_slow_sums(boundary, void):
    label, limits, b = labels((21, 21), seed=4), (6, 3, 1), sp.BOUNDARIES.index(boundary)
    plan = both(21, limits, void=void, whole=True)
    found, short = (measure(label.numpy(), 4, p) for p in (plan, both(21, limits, void=void)))
    counts = class_scores(found)[b * 3 : b * 3 + 3]
    assert np.allclose(found["rims"].sum(1), found["power"][:, :7]) and not {"power", "near"} & set(short)
    assert all(np.allclose(short[key], found[key]) for key in short)
    seen = annotation.fill_void(label) if void == "filled" else label
    planes = torch.stack([seen == c for c in range(4)]).double()
    present = planes.flatten(1).any(1)
    assert found["power"][b].sum() == pytest.approx(float((seen != VOID).double().mean()))  # Parseval
    distance = ls.contour_distance(seen, boundary=boundary)
    for k, nu in enumerate(limits):
        low = sp.band_limit(planes, nu, boundary=boundary)
        rest = (planes - low).square().sum(0)
        assert found["power"][b, nu + 1 :].sum() == pytest.approx(float(rest.mean()))
        close = distance <= 21 / (2 * nu + 1)
        assert found["near"][b, k] == pytest.approx(float((rest * close).mean()), rel=1e-5)
        pred = torch.where(present[:, None, None], low, -torch.inf).argmax(0)
        wrong = float(((pred != label) & (label != VOID)).sum() / (label != VOID).sum())
        assert float(lt.pixel_error(counts[k])) == pytest.approx(wrong)
        same = annotation.band_limited_labels(seen, nu, boundary)  # the one-limit function of the library
        assert torch.equal(torch.where(seen == VOID, VOID, pred), same)
        if void == "filled":
            everywhere = float((pred != seen).double().mean())
            row = found["counts"][b * 3 + k]
            assert 1 - row[3].sum() / found["truths"][1].sum() == pytest.approx(everywhere)
            assert row[2].tolist() == [int((pred == c).sum()) for c in range(4)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_the_whole_band_gives_the_labels_back_and_energy_only_grows(seed):
    label = labels((15, 15), seed=seed)
    plan = both(15, (7, 4, 1), void="masked", whole=True)
    found = measure(label.numpy(), 3, plan)
    beyond = np.stack([found["power"][:, nu + 1 :].sum(1) for nu in plan.band], 1)
    assert (lt.pixel_error(class_scores(found)[[0, 3]]) == 0).all() and beyond[:, 0].max() < 1e-20
    assert (np.diff(beyond, axis=1) > -1e-12).all() and (found["near"] <= beyond + 1e-6).all()


def test_summary_adds_before_it_divides():
    maps = [labels((33, 33), seed=k, void=0.02 * k) for k in range(5)]
    plan = both(33, (8, 4), void="masked", whole=True)
    stack = stacked([measure(m.numpy(), 3, plan) for m in maps])
    rows = lt.spectra(stack, list("aabbc"), plan, draws=50)

    def value(metric, **where):
        pick = rows[(rows[list(where)] == pd.Series(where)).all(axis=1) & (rows.metric == metric)]
        assert len(pick) == 1
        return pick.iloc[0]

    row = value("energy_share", boundary="periodic", nu_max=4)
    assert row.value == pytest.approx(stack["power"][:, 0, :5].sum() / stack["power"][:, 0].sum())
    assert row.low <= row.value <= row.high and row.n == 5
    power = rows[(rows.metric == "power") & (rows.boundary == "mirrored")].set_index("nu").value
    energy = power.to_numpy() * ls.rim_bins(33, boundary="mirrored").numpy() * 3 * 5  # classes and images
    assert np.allclose(energy, stack["power"][:, 1].sum(0))
    wrap = value("wrap_ratio", nu_max=8).value
    assert wrap == pytest.approx(stack["power"][:, 0, 9:].sum() / stack["power"][:, 1, 9:].sum())
    error = value("pixel_error", boundary="mirrored", nu_max=8).value
    counts = class_scores(stack)[:, 2].sum(0)
    assert error == pytest.approx(1 - counts[:, 0].sum() / counts[:, 1].sum())
    short = both(33, (8, 4), void="masked")
    again = lt.spectra(stacked([measure(m.numpy(), 3, short) for m in maps]), list("aabbc"), short, draws=50)
    for metric in ("energy_share", "energy_share_ac", "wrap_ratio", "miou"):  # without the whole spectrum the same
        assert again[again.metric == metric].value.to_numpy() == pytest.approx(rows[rows.metric == metric].value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: stacked([measure(np.full((9, 9), VOID), 2, Plan(9, (2,)))]), "no label map has a pixel"),
        (lambda: measure(np.full((9, 9), 4), 4, Plan(9, (2,))), "classes up to 4, expected 0 .. 3 or 255"),
        (lambda: measure(np.full((9, 9), 300), 4, Plan(9, (2,))), "classes up to 300, expected 0 .. 3"),
        (lambda: Plan(9, (2,), void="kept"), "void 'kept': expected one of filled, masked"),
        (lambda: Plan(9, (2,), boundaries=("open",)), "expected one of periodic, mirrored"),
        (lambda: Plan(33, (64,)), "nu_max 64: expected 0 .. 16"),
    ],
)
def test_errors_name_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- label rules of a test set -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes():
    return torch.stack([torch.from_numpy(synthetic.scene("landcover", 40 + i, 65).label) for i in range(3)])


@pytest.fixture(scope="module")
def got(scenes):
    plan = lt.rules_plan(65, (33, 17, 9))
    return lt.rules(stacked([measure(label.numpy(), 7, plan) for label in scenes]), plan)


@pytest.mark.parametrize("kind", lt.RULES)
def test_ceilings_equal_weak_labels_scored_by_hand(kind, scenes, got):
    k = got["kinds"].tolist().index(kind)
    for j, size in enumerate(got["lrg_sizes"].tolist()):
        for i, label in enumerate(scenes):
            if kind.startswith("block"):
                weak = annotation.block_labels(label, mode=kind.removeprefix("block_"), lrg_size=size)
            else:
                weak = annotation.band_limited_labels(label, (size - 1) // 2, kind.removeprefix("band_"))
            known = (label != VOID) & (weak != VOID)
            by_hand = [[int((known & (weak == c) & (label == c)).sum()), int((known & (label == c)).sum()),
                        int((known & (weak == c)).sum())] for c in range(7)]  # fmt: skip
            assert got["counts"][k, j, i].tolist() == by_hand
    pooled = got["counts"][k].sum(1)
    assert (np.diff(scores.miou(pooled)) < 0).all(), "coarser labels agree less"


def test_contours_and_energies(scenes, got):
    for i, label in enumerate(scenes):
        length = float(annotation.perimeter(annotation.fill_void(label), 7).sum() / 2)
        assert np.isclose(got["density"][i], length / 65**2 * 65)
        assert np.isclose(annotation.contour_length(label, 7), got["density"][i])
        rims = ls.rim_power((label[None] == torch.arange(7)[:, None, None]).double())
        for j, size in enumerate(got["lrg_sizes"].tolist()):
            nu_max = (size - 1) // 2
            assert np.isclose(got["beyond"][j, i], float(rims[nu_max + 1 :].sum() / rims[1:].sum()))
    assert (np.diff(got["beyond"], axis=0) > 0).all()


def test_void_counts_nowhere_and_a_map_of_void_alone_counts_nothing():
    label = np.zeros((9, 9), np.int64)
    label[3:] = VOID
    plan = lt.rules_plan(9, (9, 3))
    found = lt.rules(stacked([measure(x, 2, plan) for x in (label, np.full((9, 9), VOID))]), plan)
    assert found["counts"][:, :, 0, 0, 1].tolist() == [[27, 27]] * 4 and found["counts"][..., 1, :].sum() == 0
    assert found["counts"][:, :, 1].sum() == 0 and found["density"][1] == 0


def test_a_map_of_one_class_has_no_energy_beyond_any_band():
    plan = lt.rules_plan(33, (17, 9))
    maps = [measure(np.full((33, 33), c), 3, plan) for c in (0, 2)]
    assert (lt.rules(stacked(maps), plan)["beyond"] == 0).all()


# --- polygons beside blocks ----------------------------------------------------------------------------------------


def test_the_numbers_of_blocks_and_polygons_equal_slow_ones():
    label = synthetic.scene("streets", 3, 129).label.astype(np.int64)
    classes, plan = len(synthetic.CLASSES["streets"]), Plan(129, (8,), blocks=(8,), coarse=(8,))
    got = measure(label, classes, plan)
    filled = annotation.fill_void(torch.from_numpy(label)).numpy()
    blocks = annotation.block_labels(torch.from_numpy(filled), 8).numpy()
    drawn, known = polygons.polygon_labels(filled, 8), label != VOID
    for weak, counts, truth in ((blocks, class_scores(got)[1], label), (drawn, got["drawn_8"][0], label),
                                (drawn, got["drawn_8"][1], blocks)):  # fmt: skip
        for c in range(classes):
            hit = (known & (weak == c) & (truth == c)).sum()
            assert counts[c].tolist() == [hit, (known & (truth == c)).sum(), (known & (weak == c)).sum()]
    nu = np.fft.fftfreq(129, 1 / 129)
    outside = np.maximum(np.abs(nu[:, None]), np.abs(nu[None])) > 8.5
    power = [np.abs(np.fft.fft2((blocks == c) * 1.0 - (filled == c)) / 129**2) ** 2 for c in range(classes)]
    assert got["error_8"] == pytest.approx([sum(p.sum() for p in power), sum(p[outside].sum() for p in power)])
    assert got["error_8"][0] == pytest.approx(2 * (blocks != filled).mean())  # Parseval: two planes differ by one each
    assert got["truth_8"][0] == pytest.approx(1.0)  # without void one plane is one everywhere


def test_blocks_of_one_pixel_are_the_labels():
    y, x = np.mgrid[:33, :33] - 16
    plan = Plan(33, (4,), blocks=(16,), coarse=(16,))
    got = measure((y**2 + x**2 < 81).astype(np.int64), 2, plan)
    counts = class_scores(got)[1]
    assert got["error_16"].tolist() == [0.0, 0.0] and (counts[:, 0] == counts[:, 1]).all()


# --- the experiment and its records --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ALL)
def record(request):
    found = records.find("labels", dataset=request.param)
    assert found, f"no committed record of {request.param}; run its command"
    return found[-1]


def test_records_are_whole_and_small(record):
    rows = record.rows[record.rows.table == "spectra"]
    assert record.profile == "standard" and record.meta["settings"]["size"] == 513
    assert sum(f.stat().st_size for f in record.path.iterdir()) < 500_000
    share = rows[(rows.metric == "energy_share") & (rows.frame == "crop")]
    assert len(share) == 2 * 2 * len(ls.LIMITS)
    assert share.value.between(0, 1).all() and (share.low <= share.value).all() and (share.value <= share.high).all()
    for _, part in share.groupby(["void", "boundary"]):
        assert part.sort_values("nu_max").value.is_monotonic_increasing
    power = rows[rows.metric == "power"]
    for boundary, part in power.groupby("boundary"):  # the spectrum and the shares tell the same story
        energy = (part.set_index("nu").value * ls.rim_bins(513, boundary=boundary).numpy()).sort_index()
        told = share[(share.void == "masked") & (share.boundary == boundary) & (share.nu_max == 32)].value.item()
        assert energy[:33].sum() / energy.sum() == pytest.approx(told, rel=1e-6)


def test_the_number_of_images_is_the_data_set():
    count = {name: int(records.load("labels", dataset=name).rows.n.max()) for name in REAL}
    assert count["voc2012"] == 1449 and count["camvid"] == 316 and 70 <= count["dubai"] <= 72


@pytest.mark.data
@pytest.mark.parametrize("name", ALL)
def test_records_come_again(name, experiment):
    """The record's own checks: single maps, shown frames, one dose; all maps of the smallest set."""
    if name in REAL and not config.data_root().is_dir():
        pytest.skip("SPECSEG_DATA names no folder")
    if name == "dubai":
        pytest.skip("all its maps: `specseg records renew`")
    try:
        checks = list(experiment.recompute(records.load("labels", dataset=name)))
    except (FileNotFoundError, renewal.Unable) as err:
        pytest.skip(f"{name} is not in the data folder: {err}")
    assert checks and all(check.worst <= check.tolerance for check in checks), checks


def test_the_shown_frames_have_the_contours_of_the_record(experiment):
    kept = records.load("labels", dataset="dubai").probe()
    assert experiment.shown_contours(kept["labels"]) == pytest.approx(kept["contours"].tolist(), rel=1e-9)


@pytest.fixture(scope="module")
def experiment():
    return loaded(config.root() / "experiments" / "labels.py")


@pytest.mark.parametrize("name", REAL)
def test_the_experiment_says_how_to_get_missing_data(experiment, monkeypatch, tmp_path, name):
    monkeypatch.setenv("SPECSEG_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"specseg data fetch {name}"):
        experiment.run(experiment.Maps(name, 65, 2), tmp_path, lambda _: None)


def test_the_experiment_goes_on_where_it_stopped(experiment, tmp_path, monkeypatch):
    cell, told = experiment.Maps("objects", 129, 17), []
    first, names, _ = experiment.walked(cell, tmp_path, told.append)
    assert len(names) == 17 and told == ["16 of 17 label maps", "17 of 17 label maps"]
    monkeypatch.setattr(experiment, "numbers", lambda *_: pytest.fail("measured again"))
    again, _, _ = experiment.walked(cell, tmp_path)
    for key, stack in first.items():
        assert all(np.array_equal(stack[k], again[key][k]) for k in stack)


def test_a_set_has_its_three_tables(experiment, tmp_path):
    rows = experiment.run(experiment.Maps("streets", 129, 3), tmp_path, lambda _: None)
    assert set(rows["table"]) == {"spectra", "profile", "coarse"} and (rows["dataset"] == "streets").all()
    doses = rows[rows["metric"] == "dose_contour"]["dose"]
    assert sorted(doses) == sorted(synthetic.DOSES)


def test_clusters_of_the_bootstrap(experiment):
    of = {name: experiment.Maps(name).cluster for name in REAL}
    assert [of["dubai"](n) for n in ("image_part_001t1", "image_part_002t1", "image_part_001t2")] == ["t1", "t1", "t2"]
    assert of["camvid"]("0016E5_07959") == "0016E5_26" and of["voc2012"]("2007_000033") == "2007_000033"
