"""Figures of the trained networks: what stands in them is what the rows say, and each can be read without colour."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import trainedrecords as invented

from specseg.figures import COLORS, KIND_COLORS, loss, network_look, predictors, truncation
from specseg.nets.networks import Network
from specseg.study import cost, gate, learning, trained
from specseg.study import loss as loss_tables
from specseg.study import truncation as tables

NETWORKS = (Network("voc"), Network("voc", seed=1), Network("dubai"), Network("camvid"), Network("voc", model="dan"))


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = invented.project(tmp_path / "project", monkeypatch)
    for network in NETWORKS:
        invented.loss(root, network)
        invented.networks(root, network)
        invented.truncation(root, network)
    yield root
    plt.close("all")


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")}


def test_every_line_is_told_apart_without_colour():
    looks = [network_look(kind, model) for kind in KIND_COLORS for model in ("deeplabv3plus", "dan")]
    assert len({(s["marker"], str(s["ls"])) for s in looks}) == 6
    assert loss.who("dubai", "dan") == "Dubai, DAN"


def test_rate_curves_show_the_paper_above_ours(root):
    found = trained.read("loss_in_frequency")
    main = loss_tables.main_reading(trained.rates(found))
    above, below = loss.rate_curves(main, main, loss_tables.printed(), 32).axes[:2]
    paper, ours = lines(above), lines(below)
    assert len(paper) == 6 and paper["streets, DAN"].max() == 2.004
    assert set(ours) == {f"{k}, DeepLab v3+" for k in ("objects", "land cover", "streets")} | {"objects, DAN"}
    assert (np.diff(ours["streets, DeepLab v3+"]) < 0).all() and len(below.collections) == 4, "an interval a line"


def test_lines_of_untrained_networks_are_grey_and_say_so(root):
    found = trained.read("truncation")
    pools = trained.pools(found)
    ratios = {n.name: 1.2 if n.domain == "dubai" else 5.0 for n in NETWORKS}
    rows = gate.marked(trained.drops(found), pools, ratios)
    assert set(rows[rows["untrained"]]["domain"]) == {"dubai"}
    bilinear = rows[rows["method"].isin(["full", "bilinear"])]
    below = truncation.drops_beside(bilinear, tables.printed()).axes[1]
    seen = {line.get_label(): line.get_color() for line in below.lines if not line.get_label().startswith("_")}
    assert (
        seen.pop("land cover, DeepLab v3+ (too weak to judge)") == COLORS["grey"]
        and COLORS["grey"] not in seen.values()
    )


def test_five_rows_keep_the_sign_of_the_loss(root):
    pools = trained.pools(trained.read("loss_in_frequency"))
    main = loss_tables.main_reading(trained.rates(trained.read("loss_in_frequency")))
    axes = loss.five_rows(loss_tables.profiles(pools), main, 32).axes
    assert len(axes) == 5 and [ax.get_xscale() for ax in axes] == ["log", "log", "symlog", "symlog", "log"]
    signed = lines(axes[2])["Dubai, DeepLab v3+"]
    assert signed[0] > 0 > signed[1] and max(lines(axes[0])["Dubai, DeepLab v3+"]) == 1


def test_readings_have_a_row_each(root):
    rates = trained.rates(trained.read("loss_in_frequency"))
    ax = loss.readings(rates[rates["model"] == "deeplabv3plus"], (8, 32)).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list(rates["variant"].unique())
    full, hollow = ax.lines[0], ax.lines[-1]
    assert full.get_label() != "_" and full.get_mfc() != "none" and hollow.get_mfc() == "none"


def test_learning_shows_each_band_from_zero_to_one(root):
    courses = learning.courses(trained.read("loss_in_frequency"))
    fig = loss.learning(courses[courses["model"] == "deeplabv3plus"], tuple(learning.BANDS))
    left, right = fig.axes[:2]
    assert all(line.get_ydata()[0] == 0 and line.get_ydata()[-1] == pytest.approx(1) for line in right.lines[:-1])
    assert len(right.lines) == 4 * (2 + 1) + 1, "two seeds and their mean a band, and the half"
    assert {t.get_text() for t in fig.legends[0].get_texts()} >= {r"$\nu$ 0 to 8", r"$L_{CE}$"}


def test_loss_and_iou_with_and_without_pictures(root):
    found = trained.read("loss_in_frequency")
    courses, pictures = learning.courses(found), learning.pictures(found, trained.read("networks"))
    assert len(loss.loss_and_iou(courses, pictures).axes) == 2
    (only,) = loss.loss_and_iou(courses, pictures[:0]).axes
    assert only.get_xscale() == "log" and only.get_ylabel() == "mIoU"


# --- chapter 70 --------------------------------------------------------------------------------


def test_drops_stand_below_the_papers_on_one_scale(root):
    drops = trained.drops(method_rows := trained.read("truncation"))
    ours = drops[drops["method"].isin(["full", "bilinear"])]
    fig = truncation.drops_beside(ours, tables.printed().query("prune_rate == 0"))
    above, below = fig.axes[:2]
    assert above.get_ylim() == below.get_ylim() and above.get_xlim()[0] > above.get_xlim()[1], (
        "small grids at the right"
    )
    assert set(lines(below)) == {f"{k}, DeepLab v3+" for k in ("objects", "land cover", "streets")} | {"objects, DAN"}
    assert lines(above)["streets, DAN"][0] == 0.554 and len(method_rows) == len(NETWORKS)
    assert "PASCAL VOC, animals; Dubai; CamVid" in below.get_title()


def test_fpi_marks_the_least(root):
    costs = cost.costs()
    found = cost.values(trained.pools(trained.read("truncation")), costs)
    rows = found[found["cost"] == cost.PRINTED]
    (ax,) = truncation.fpi(found, [("printed", rows)]).axes
    stars = [line for line in ax.lines if line.get_marker() == "*"]
    best = cost.optima(rows, ["model", "kind", "prune_rate"]).set_index(["model", "kind"])["share"]
    assert len(stars) == len(best) == 4
    assert {float(s.get_xdata()[0]) for s in stars} == set(best)


def test_score_and_cost_show_paper_and_ours(root):
    costs = cost.costs()
    ours = cost.relative_scores(cost.values(trained.pools(trained.read("truncation")), costs), costs)
    fig = truncation.cost_and_score(ours, cost.relative_scores(cost.printed_values(costs), costs))
    assert len(fig.axes) == 6 and fig.axes[0].get_title() == "objects, DeepLab v3+"
    assert len(fig.axes[0].lines) == 4 + 1 and len(fig.axes[3].lines) == 4, "no record of DAN on land cover"


def test_methods_and_boundaries(root):
    found = trained.read("truncation")
    drops = trained.drops(found)
    half = drops[(drops["lrg_size"] == 33) | (drops["method"] == "encoder")]
    ax = truncation.methods(half).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list(truncation.METHODS.values())
    assert len(truncation.boundaries(tables.boundary_drops(drops)).axes) == 3


def test_a_choice_under_a_figure_changes_the_marks_of_every_network():
    part = pd.DataFrame({"rce": [0.1, 0.0], "loss": [1.0, 2.0], "picture": ["a", "b"]})
    fig = loss.frame_by_frame({"8": {"objects": part}, "16": {"objects": part.assign(rce=0.01)}})
    (slider,) = fig.layout.sliders
    assert [s.label for s in slider.steps] == ["8", "16"] and list(fig.data[0].x) == [0.1, 2e-5], "a log axis has no 0"
    assert slider.steps[1].args[0] == {"x": [[0.01, 0.01]], "y": [[1.0, 2.0]]}
    cell = {"setup": "voc dan", "kind": "objects", "model": "dan", "share": 0.5, "lrg_size": 33}
    cells = pd.DataFrame([{**cell, **dict.fromkeys(predictors.CHOICES, 0.2), "drop": 0.1, "full": f} for f in (0, 1)])
    fig = predictors.foreseen(cells)
    assert [t.name for t in fig.data] == ["PASCAL VOC, animals, DAN", "as much as the number says"]
    (menu,) = fig.layout.updatemenus
    for button in menu.buttons:
        value = 0.5 if button.label == predictors.CHOICES["coarser"] else 0.2
        assert button.args[0]["x"][0] == [value] and button.args[0]["y"][0] == [0.1], "without the whole grid"
