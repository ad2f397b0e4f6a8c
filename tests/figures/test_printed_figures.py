"""The audit's and the guide's pictures draw the numbers that they are given."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from specseg.evidence.fits import Line
from specseg.figures import audit as draw
from specseg.figures import cross_entropy, guide
from specseg.study import printed as audit
from specseg.study.printed import costs, curves, drops, fits, predictors


@pytest.fixture(scope="module")
def cells():
    return audit.Tables.read().cells


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_fig_5b_shows_every_network_and_both_lines(cells):
    line = Line(0.7, 0.0, 0.9, 148)
    left, right = draw.line_5b(cells, line, (0.5, 0.9), fits.PRINTED).axes
    assert sum(len(x.get_xdata()) for x in left.lines if x.get_linestyle() == "None") == 168
    printed = next(x for x in right.lines if x.get_label() == "printed line")
    x, y = printed.get_data()
    assert np.polyfit(x, y, 1) == pytest.approx([0.6725, 0.0022])


def test_fig_4_fills_the_optimum(cells):
    optima = costs.optima(audit.Tables.read())
    fig = draw.fpi_4(cells, optima)
    filled = [x.get_xdata()[0] for ax in fig.axes for x in ax.lines if x.get_marker() == "o" and x.get_mfc() != "white"]
    assert sorted(filled) == sorted(optima.lrg_size)


def test_fig_8_and_5a_have_seven_points_a_line(cells):
    assert {len(x.get_xdata()) for ax in draw.iou_flops_8(cells).axes for x in ax.lines} == {7}
    fig = draw.lines_5a(cells)
    assert [len(ax.lines) for ax in fig.axes] == [8, 8, 8]
    assert {len(x.get_xdata()) for ax in fig.axes for x in ax.lines} == {7}


def test_regret_writes_the_hits(cells):
    rows = predictors.regrets(cells)
    words = [t.get_text() for t in draw.regret(rows[rows.mean_regret < 0.2]).axes[0].get_yticklabels()]
    assert f"({rows.hits.max()}/24)" in words[0]


def test_the_other_pictures_draw(cells):
    tables = audit.Tables.read()
    blocks = tables.blocks
    line = fits.stated(cells)
    made = [
        draw.products(curves.times_nu(tables)), draw.frontier(cells),
        draw.pruning(drops.pruning_effect(tables), 0.01),
        draw.blocks_7(blocks, line, 0.2), draw.by_threshold(fits.thresholds(cells, (0.1, 0.2, 0.4)), fits.PRINTED),
        draw.slopes(fits.clustered(cells), fits.per_curve(cells), fits.selections(cells), 0.6725),
        draw.errors(predictors.mean_errors(cells, 0.2), predictors.mean_errors(cells)),
    ]  # fmt: skip
    assert all(fig.axes[-1].get_xlabel() for fig in made), "panels that stand below one another share the lowest axis"


def test_both_applications_are_drawn_at_their_two_drops():
    pairs = drops.applications(audit.Tables.read())
    (ax,) = draw.applications(pairs).axes
    drawn = sorted(point for x in ax.lines if x.get_linestyle() == "None" for point in zip(*x.get_data(), strict=True))
    assert drawn == sorted(zip(pairs.truncated, pairs.blocks, strict=True))


def test_the_stack_of_the_zero_frequency_ends_at_its_sum():
    rows = pd.DataFrame({"step": [0, 10, 20], "entropy": [1.0, 1.0, 1.0], "mismatch": [0.9, 0.5, 0.6],
                         "spread": [0.0, 0.1, 1.5], "loss": [1.9, 1.5, 0.8]})  # fmt: skip
    (ax,) = cross_entropy.zero_frequency(rows).axes
    lines = {x.get_label(): x.get_ydata() for x in ax.lines}
    assert lines["their sum, $L_{ce}(0)$"] == pytest.approx([1.9, 1.6, 3.1])
    assert lines["whole loss, $L_{CE}$"] == pytest.approx(rows["loss"])
    tops = [c.get_paths()[0].vertices[:, 1].max() for c in ax.collections]
    assert tops == pytest.approx([1.0, 1.9, 3.1])


def test_guide_marks_the_band_and_paints_unknown_labels_white():
    label = np.full((33, 33), 255)
    label[8:20, 8:20] = 1
    colors = np.array([[0, 0, 0], [200, 0, 0]], dtype=np.uint8)
    fig = guide.overview(label, colors, np.ones((33, 33)), label, label[::4, ::4], 2)
    first, spectrum = fig.axes[0].images[0].get_array(), fig.axes[1]
    assert first[0, 0].tolist() == [255, 255, 255] and first[10, 10].tolist() == [200, 0, 0]
    box = spectrum.patches[0]
    assert (box.get_x(), box.get_width()) == (-2.5, 5)
