"""Figures of the trained networks: what stands in them is what the rows say, and each can be read without colour."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import trainedrecords as invented

from specseg import learning, loss_tables, trained
from specseg.figures import loss
from specseg.networks import Network

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
    seen = {(s["marker"], str(s["ls"])) for k in loss.KIND_COLORS for m in loss.MODEL_LINES for s in [loss.style(k, m)]}
    assert len(seen) == 6
    assert loss.who("dubai", "dan") == "Dubai, DAN"


def test_rate_curves_show_the_paper_above_ours(root):
    found = trained.read("loss_in_frequency")
    main = loss_tables.main_reading(trained.rates(found))
    above, below = loss.rate_curves(main, loss_tables.printed(), 32).axes[:2]
    paper, ours = lines(above), lines(below)
    assert len(paper) == 6 and paper["Cityscapes, DAN"].max() == 2.004
    assert set(ours) == {f"{d}, DeepLab v3+" for d in ("PASCAL VOC, animals", "Dubai", "CamVid")} | {
        "PASCAL VOC, animals, DAN"}  # fmt: skip
    assert (np.diff(ours["CamVid, DeepLab v3+"]) < 0).all() and len(below.collections) == 4, "an interval a line"


def test_five_rows_keep_the_sign_of_the_loss(root):
    pools = trained.pools(trained.read("loss_in_frequency"))
    main = loss_tables.main_reading(trained.rates())
    axes = loss.five_rows(loss_tables.profiles(pools), main, 32).axes
    assert len(axes) == 5 and [ax.get_xscale() for ax in axes] == ["log", "log", "symlog", "symlog", "log"]
    signed = lines(axes[2])["Dubai, DeepLab v3+"]
    assert signed[0] > 0 > signed[1] and max(lines(axes[0])["Dubai, DeepLab v3+"]) == 1


def test_readings_have_a_row_each(root):
    rates = trained.rates()
    ax = loss.readings(rates[rates["model"] == "deeplabv3plus"], (8, 32)).axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list(rates["variant"].unique())
    full, hollow = ax.collections[:2]
    assert len(full.get_facecolors()) and not len(hollow.get_facecolors())


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
