"""What label maps are like, and the figures: closed forms, slow references, words on the page."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import loaded
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import datasets, label_tables, loading, synthetic
from specseg.data.datasets import VOID, Sample
from specseg.data.label_numbers import measure, stacked
from specseg.evidence import config
from specseg.figures import data as draw


def disc(size: int, radius: float) -> np.ndarray:
    y, x = (np.arange(size) + 0.5 - size / 2)[:, None], (np.arange(size) + 0.5 - size / 2)[None, :]
    return (x * x + y * y < radius * radius).astype(np.int64)


def told(label: np.ndarray, classes: int) -> pd.Series:
    """The profile of one map: metric -> value; a tail by its limit, a share by its class."""
    plan = label_tables.profile_plan(len(label))
    names = [f"class {k}" for k in range(classes)]
    rows = label_tables.profile(stacked([measure(label, classes, plan)]), ["a"], names, plan, draws=2)
    rows = rows[rows["metric"] != "contour_quantile"]
    return rows.set_index(rows["nu_max"].fillna(rows["name"]).fillna(rows["metric"]))["value"]


def test_the_contour_of_a_disc_is_its_circumference():
    found = told(disc(257, 80), 2)
    assert found["contour"] == pytest.approx(2 * np.pi * 80 / 257, rel=0.03) and found["classes"] == 2


def test_void_along_the_contour_does_not_hide_it():
    label = disc(257, 80)
    band = label.copy()
    band[disc(257, 84) - disc(257, 76) == 1] = VOID
    bare, hidden = told(label, 2), told(band, 2)
    assert hidden["contour"] == pytest.approx(bare["contour"], rel=0.02)
    assert hidden["void"] == pytest.approx(np.mean(band == VOID)) and bare["void"] == 0
    assert hidden["class 0"] + hidden["class 1"] == pytest.approx(1 - hidden["void"])


@given(st.integers(0, 10**6), st.sampled_from(synthetic.REGIMES))
@settings(max_examples=10, deadline=None)
def test_tails_fall_from_below_one_and_the_largest_is_none(seed, regime):
    label = synthetic.scene(regime, seed, 65).label
    found = told(label, 21)
    tail = found[[nu for nu in label_tables.TAILS if nu <= 32]].to_numpy()
    assert (np.diff(tail) <= 1e-12).all() and tail[0] < 1 and tail[-1] == pytest.approx(0, abs=1e-12)


def test_the_tail_against_a_plain_sum_over_a_mirrored_transform():
    label = synthetic.scene("objects", 5, 33, void=False).label
    mirrored = np.block([[label, label[:, ::-1]], [label[::-1], label[::-1, ::-1]]])
    power = sum(np.abs(np.fft.fft2(mirrored == c, norm="forward")) ** 2 for c in np.unique(label))
    u = np.abs(np.fft.fftfreq(66, 1 / 66))
    beyond = power[np.maximum(u[:, None], u[None, :]) > 2 * 8].sum() / power.sum()
    found = told(label, 21)
    assert found[8] == pytest.approx(beyond, rel=1e-9)


def test_rows_are_means_with_intervals_around_them():
    labels = [disc(65, r) for r in (5, 10, 20)]
    plan = label_tables.profile_plan(65)
    stack = stacked([measure(label, 2, plan) for label in labels])
    table = label_tables.profile(stack, list("abc"), ["ground", "disc"], plan, draws=200)
    mean = table[table["metric"] == "contour"].iloc[0]
    assert mean["value"] == pytest.approx(2 * np.pi * 35 / 3 / 65, rel=0.1) and mean["n"] == 3
    assert mean["low"] <= mean["value"] <= mean["high"] and mean["low"] < mean["high"]
    share = table[table["name"] == "disc"]["value"].iloc[0]
    assert share == pytest.approx(np.mean([label.mean() for label in labels]))
    levels = table[table["metric"] == "contour_quantile"].set_index("level")["value"]
    assert levels[0.0] < levels[0.5] < levels[1.0]


def test_doses_raise_contour_and_tail():
    table = label_tables.dosed("streets", 4, 65, doses=(0.5, 4.0))
    contour = table[table["metric"] == "dose_contour"].set_index("dose")["value"]
    tail = table[(table["metric"] == "dose_tail") & (table["nu_max"] == 16)].set_index("dose")["value"]
    assert contour[4.0] > contour[0.5] and tail[4.0] > tail[0.5]


def test_counts_are_the_papers_and_the_manifests():
    counts = label_tables.counts()
    assert set(counts["dataset"]) == {"voc2012", "deepglobe", "cityscapes"} and len(counts) == 10
    assert (counts["paper"] == counts["here"]).all()


def test_bracket_tells_inside_from_outside():
    rows = [("objects", "dose_tail", 0.1), ("objects", "dose_tail", 0.3), ("voc2012", "tail", 0.2)]
    rows.append(("dubai", "tail", 0.4))
    table = pd.DataFrame(rows, columns=["dataset", "metric", "value"]).assign(nu_max=8)
    found = label_tables.bracket(table).set_index("dataset")["inside"]
    assert found["voc2012"] and not found["dubai"]


def test_the_bench_runs_and_compares_equal_pictures(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SPECSEG_DATA", str(tmp_path / "none"))
    bench = loaded(config.root() / "bench" / "bench_data.py")
    bench.generate(tmp_path / "made", 3)
    data = datasets.open("voc2012", "train", root=tmp_path / "made")
    ours, theirs = loading.TorchDataset(data), bench.Theirs(data, bench.their_transform(None))
    for k in range(3):
        assert np.array_equal(ours[k][0], theirs[k][0]) and np.array_equal(ours[k][1], theirs[k][1][0])
    bench.main(["--images", "3", "--rounds", "1", "--json", str(tmp_path / "out.json")])
    assert len(json.loads((tmp_path / "out.json").read_text())["rows"]) == 6 and "ratio" in capsys.readouterr().out
    assert bench.interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]) == (2.0, 8.0)  # 9 rounds: second and eighth


# ---------------------------------------------------------------- figures


@pytest.fixture(scope="module")
def table():
    parts = [label_tables.scenes(r, range(3), 65, draws=50) for r in synthetic.REGIMES]
    return pd.concat([*parts, *(label_tables.dosed(r, 2, 65, doses=(0.5, 2.0)) for r in synthetic.REGIMES)])


def test_contours_draw_the_means(table):
    axis = draw.contours(table).axes[0]
    (dots,) = [line.get_xdata() for line in axis.lines if line.get_marker() == "o"]
    assert sorted(dots) == pytest.approx(sorted(table[table["metric"] == "contour"]["value"]))


def test_tails_draw_every_set(table):
    axis = draw.tails(table).axes[0]
    own = [line for line in axis.lines if not line.get_label().startswith("_")]
    assert len(own) == 3 + 1, "and what a sharp contour gives"
    first = table[(table["dataset"] == "objects") & (table["metric"] == "tail")].sort_values("nu_max")
    assert own[0].get_ydata() == pytest.approx(first["value"].to_numpy())


def test_doses_draw_contour_and_energy(table):
    left, right = draw.doses(table, nu_max=16).axes
    assert len(left.lines) == len(right.lines) == 3 and len(left.lines[0].get_xdata()) == 2


def test_the_sheet_shows_the_samples_and_void_is_white():
    label = np.array([[0, 1], [VOID, 1]])
    sample = Sample(np.full((2, 2, 3), 7, np.uint8), label.astype(np.int64), "x")
    fig = draw.sheet(
        {"dubai": [sample], "objects": [sample, sample]},
        {"dubai": [[1, 2, 3], [4, 5, 6]], "objects": synthetic.palette("objects")},
    )
    shown = [axis for axis in fig.axes if axis.images]
    assert len(shown) == 6
    picture = shown[1].images[0].get_array()
    assert picture.tolist() == [[[1, 2, 3], [4, 5, 6]], [[255, 255, 255], [4, 5, 6]]]
