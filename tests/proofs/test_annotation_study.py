"""Shapes, tidy tables and figures of the chapters on boundaries, gradients and weak labels."""

import base64
import io
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from specseg.figures import annotation as draw_annotation
from specseg.figures import boundary as draw_boundary
from specseg.figures import gradients as draw_gradients
from specseg.proofs import annotation_study as study
from specseg.proofs import boundary_contours as bc
from specseg.proofs import layer_study, loss_response
from specseg.spectral import boundary as bb
from specseg.spectral import labels as an
from specseg.spectral import laws

CLASSES = {"a": 3, "b": 2}


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    return {
        "a": [torch.from_numpy(np.kron(rng.integers(0, 3, (5, 5)), np.ones((7, 7), int))[:33, :33]) for _ in range(2)],
        "b": [torch.from_numpy(x.astype(int)) for x in (bc.disc(33, 10.0), bc.polygon(33, 5, 12.0, angle=0.3))],
    }


def test_shapes_have_their_areas():
    assert int(bc.disc(257, 100).sum()) == pytest.approx(math.pi * 100**2, rel=2e-3)
    for corners in (3, 4, 7):
        area = corners / 2 * 100**2 * math.sin(2 * math.pi / corners)
        assert int(bc.polygon(257, corners, 100, angle=0.7).sum()) == pytest.approx(area, rel=5e-3)
    drawn = bc.closed_shapes(65, 6, seed=3)
    assert all((a == b).all() for a, b in zip(drawn, bc.closed_shapes(65, 6, seed=3), strict=True))
    assert all(not m[0].any() and not m[:, 0].any() for m in drawn)


def test_tables_are_tidy_and_ordered(maps):
    limits = [2, 4, 8]
    tail = study.tail_table(maps, CLASSES, limits)
    wide = tail.pivot_table("value", ["regime", "nu_max"], "kind")
    assert len(tail) == 2 * 3 * 3 and (wide["bound"] >= wide["fft"]).all()
    for _, part in wide.groupby("regime"):
        assert part["fft"].is_monotonic_decreasing and part["law"].is_monotonic_decreasing
    wrong = study.argmax_table(maps, CLASSES, limits).pivot_table("value", ["regime", "nu_max"], "kind")
    assert (wrong["actual"] <= wrong["2E"]).all() and (wrong["2E"] <= wrong["count"]).all()
    blocks = study.block_table(maps, CLASSES, limits)
    assert set(blocks["kind"]) == {"majority", "nearest", "spectral"} and blocks["value"].between(0, 1).all()
    ceilings = study.ceiling_table(maps, CLASSES, limits).pivot_table("value", ["regime", "nu_max"], "kind")
    assert (ceilings["band"] >= ceilings["nearest"] - 0.05).all()
    cost = study.truncation_table(maps, CLASSES, limits)
    assert (cost["first"] <= cost["cost"] + 1e-12).all() and (cost["cost"] <= cost["upper"] + 1e-12).all()
    before, after, read = study.energy_growth(maps["b"][0], 4, 2)
    assert before > 0 and after > 0.2 * before > read
    labels = maps["b"][0]
    assert before == pytest.approx(float(laws.tail_energy(labels, [4], 2).sum()), rel=1e-9)
    assert after == pytest.approx(
        float(laws.tail_energy(an.block_labels(labels, 4, "nearest"), [4], 2).sum()), rel=1e-9
    )
    assert (blocks["sides"] >= blocks["density"] * 0.9).all()
    made_up = study.band_cost_table(maps, CLASSES, limits)
    assert (made_up["cost"] <= made_up["bound"]).all() and (made_up["cost"] >= -1e-12).all()
    assert np.allclose(made_up["cost"], made_up["again"], atol=1e-8)


def test_shapes_follow_the_law():
    table = study.shapes_table(129, 4, [8, 16])
    assert table["diagonal"].between(0.85, 1.15).all() and table["crofton"].between(0.8, 1.2).all()


def test_every_figure_draws_its_rows(maps):
    limits = [2, 4, 8]
    rows = layer_study.fig3_rows(9, ("ReLU", "convolution, zero padding"))
    table = layer_study.fig3_table(9, seeds=1)
    law = layer_study.activation_table([0.1, 1.0], 9, seeds=1)
    spread = layer_study.relu_spread_table([0, 1], 9, seeds=2, reach=2)
    answers = {"b": loss_response.observation4_table(maps["b"][0], 2, 9, confidence=4.0)}
    pole = {"pole": bc.contours()["pole, 24 px"]}
    bands = bc.one_dimension_table(pole, [3], [4, 8, 16, 32, 64]).query("reading == @bc.READINGS[0]")
    reduced = bands.assign(law=0.1, kind="pole", difference=bands["difference"].abs())
    moved = bc.answer_table(pole, 3, [1], [4, 8, 16, 32])
    built = pd.DataFrame({"c": [0, 0, 1, 1], "x": [0, 1, 0, 1], **dict.fromkeys(
        ("exact", "approximate", "matched", "sensitivity"), [0.1, 0.2, 0.3, 0.4])})  # fmt: skip
    terms = pd.DataFrame([(x, c, form, x - 1j * c) for x in (0.5, 1.0) for form in ("true", "printed", "sign mended")
                          for c in (0.1, 1.0, 2.0)], columns=["x", "c", "form", "value"])  # fmt: skip
    lines = pd.DataFrame({"shift": [1, 2], "true": [0.1, 0.2], "model": [0.4, 0.4]})
    drawn = {
        "reduction": (draw_boundary.reduction(reduced), 1),
        "answer": (draw_boundary.answer(moved, moved, lines), 2),
        "fig3": (draw_gradients.fig3(rows, ("ReLU", "convolution, zero padding")), 7),
        "energies": (draw_gradients.row_energies(table), 3),
        "half": (draw_gradients.cost_of_half(law, law.assign(first=law["rms"] / 2)), 1),
        "depth": (draw_gradients.depth(layer_study.depth_table([1, 2], 9, seeds=1)), 2),
        "spread": (draw_gradients.relu_spread(spread), 1),
        "confidence": (draw_gradients.by_confidence(
            loss_response.confidence_table({"b": maps["b"]}, CLASSES, 17, 4, (1.0, 2.0))), 3),
        "cancellation": (draw_gradients.cancellation(answers), 1),
        "bands": (draw_boundary.energy_above(bands), 1),
        "built up": (draw_boundary.built_up(built), 2),
        "expansion": (draw_boundary.expansion(terms), 4),
        "model": (draw_boundary.bands(np.linspace(-1, 2, 9), np.zeros(9), np.zeros(9), 0.5), 1),
        "argmax": (draw_annotation.argmax_error(study.argmax_table({"b": maps["b"]}, CLASSES, limits)
                                                .assign(regime="objects")), 1),
        "blocks": (draw_annotation.block_error(study.block_table({"b": maps["b"]}, CLASSES, limits)
                                               .assign(regime="objects")), 1),
        "ceilings": (draw_annotation.ceilings(study.ceiling_table(maps, CLASSES, limits)), 2),
        "truncation": (draw_annotation.truncation(study.truncation_table(maps, CLASSES, limits)), 2),
        "tail": (draw_annotation.tail(study.tail_table({"b": maps["b"]}, CLASSES, limits).assign(regime="streets")), 1),
    }  # fmt: skip
    for name, (fig, axes) in drawn.items():
        assert len(fig.axes) == axes, name
        assert all(ax.lines or ax.patches or ax.images or ax.collections for ax in fig.axes), name
        plt.close(fig)


def test_interactive_figures_hold_their_numbers():
    images = {0.1: np.eye(9) / 2 + 0.5, 4.0: np.ones((9, 9))}
    fig = draw_gradients.layer_slider(images, {0.1: 0.9, 4.0: 0.5}, (2, 2))
    faint, bright = (step.args[0] for step in fig.layout.sliders[0].steps)
    assert fig.layout.annotations[0].text == "gradient of ν_i = 2, 2; 60 dB deep<br>90% of the energy on the diagonal"
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(step["images"][0]["source"].split(",")[1]))))
             for step in (faint, bright)]  # fmt: skip
    assert shown[0].shape == (54, 54) and len(np.unique(shown[0])) == 2 and len(np.unique(shown[1])) == 1
    x, c = np.linspace(0.1, 2, 5), np.linspace(0, 2, 7)
    error = bb.approximation_error(*np.meshgrid(x, c))
    heat = draw_boundary.error_map(x, c, error, 0.3 + x).data[0]
    assert np.asarray(heat.z).shape == (7, 5) and float(np.asarray(heat.customdata).max()) == round(
        100 * error.max(), 2
    )


def test_the_narrowest_class_is_a_strip_of_its_width():
    labels = torch.zeros(200, 200, dtype=torch.long)
    labels[:, 60:72] = 1
    assert study.narrowest([labels], 3) == pytest.approx(12, rel=0.1)  # Crofton is 5 % short along the axes


def test_the_rival_ceiling_knows_no_class():
    stripes = torch.zeros(1, 65, 65, dtype=torch.long)
    stripes[:, :, 20:40] = 1
    table = study.ceiling_table({"a": list(stripes)}, {"a": 2}, [4, 32]).set_index(["kind", "nu_max"])["value"]
    e = float(laws.block_error_law(an.perimeter(stripes, 2)[1], 8, 65 * 65))
    assert table["all classes alike", 4] == pytest.approx((1 - e) / (1 + e)) and table["all classes alike", 32] == 1


def test_a_fixed_period_is_a_bound_too_but_a_worse_one():
    for n, nu in ((513, 8), (129, 16)):
        best, fixed = laws.bound_constant(n, nu), laws.bound_constant(n, nu, period=0.5)
        assert best < fixed
        stripes = (2 * (nu + 1) * torch.arange(n) // n % 2).expand(n, n)
        reached = float(laws.tail_energy(stripes, [nu], 2)[1])
        assert reached <= best * 2 * (nu + 1) / n
