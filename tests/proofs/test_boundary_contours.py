"""Boundary regions on the pixel grid: against the metric itself, slow references, and the referee's numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.data import datasets, manifests, synthetic
from specseg.evidence import config, ledger
from specseg.proofs import boundary_contours as bc
from specseg.spectral import boundary as bb
from specseg.spectral import iou as metrics

LIMITS = np.arange(8, 65)


@pytest.fixture(scope="module")
def found():
    return bc.contours({"streets": synthetic.scene("streets", 0, bc.FRAME, void=False).label})


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4))
def test_inner_region_is_every_pixel_near_one_outside(seed, width):
    mask = np.pad(np.random.default_rng(seed).random((9, 8)) < 0.9, 1)  # the frame of False is "beyond the frame"
    y, x = np.nonzero(~mask)
    rows, cols = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = np.hypot(rows[..., None] - y, cols[..., None] - x).min(-1)
    assert (bc.inner_region(mask[1:-1, 1:-1], width) == (mask & (near <= width))[1:-1, 1:-1]).all()
    y, x = np.nonzero(mask)
    near = np.hypot(rows[..., None] - y, cols[..., None] - x).min(-1)
    assert (bc.moved_out(mask, width) == (near <= width)).all()


def test_along_an_axis_the_region_is_the_metric_s():
    mask = np.zeros((40, 40), bool)
    mask[5:30, 8:33] = True
    assert (bc.inner_region(mask, 5) == metrics.inner_boundary(torch.from_numpy(mask), 5).numpy()).all()


def test_share_below_is_the_full_transform_s():
    rng = np.random.default_rng(0)
    for shape in ((9, 9), (8, 12), (7, 10)):
        planes = [rng.normal(size=shape) for _ in range(3)]
        energy = sum(np.abs(np.fft.fft2(p)) ** 2 for p in planes)
        reach = np.maximum(*np.meshgrid(*(np.abs(np.fft.fftfreq(n, 1 / n)) for n in shape), indexing="ij"))
        expected = [energy[reach <= k].sum() / energy.sum() for k in range(max(shape) // 2 + 1)]
        assert np.allclose(bc.share_below(planes), expected)


def test_the_answer_is_the_numerator_of_one_minus_boundary_iou(found):
    mask = found["disc, radius 40"].masks[0]
    moved = bc.moved_out(mask, 3)
    s, b = (bc.inner_region(m, 5).astype(float) for m in (moved, mask))
    spectra = [np.fft.fft2(p, norm="forward") for p in (s, b)]
    energy = (np.abs(spectra[0] - spectra[1]) ** 2).sum()
    both = (spectra[0][0, 0] + spectra[1][0, 0] - (spectra[0] * spectra[1].conj()).sum()).real
    score = np.logical_and(s, b).sum() / np.logical_or(s, b).sum()
    assert energy / both == pytest.approx(1 - score, rel=1e-12)


def test_one_band_is_off_by_the_referee_s_numbers(found):
    """A square on its corner 0.096, a disc of radius 20 0.129, poles of 12 and 6 px 0.20 and 0.49 (d up to 15 px).

    They hang on the frame and the limits that are tried: the poles' are 0.18 and 0.43 at 513 px, nu_max 8 to 64.
    """
    some = {
        k: found[k]
        for k in ("disc, radius 154", "square on its corner", "disc, radius 20", "pole, 12 px", "pole, 6 px")
    }
    table = bc.one_dimension_table(some, [3, 5, 15], LIMITS)
    worst = table.assign(size=table["difference"].abs()).groupby(["unit", "reading"])["size"].max().unstack()
    one, own, both = (worst[r] for r in bc.READINGS)
    assert one["disc, radius 154"] < 0.03
    expected = {"square on its corner": 0.098, "disc, radius 20": 0.121, "pole, 12 px": 0.184, "pole, 6 px": 0.431}
    assert {k: one[k] for k in expected} == pytest.approx(expected, abs=2e-3)
    # straight sides: directions and thickness mend it; a small disc is not mended
    assert both["square on its corner"] < 0.04 and both["pole, 6 px"] < 0.01 and both["pole, 12 px"] < 0.02
    assert own["pole, 6 px"] > 0.3 and both["disc, radius 20"] > 0.1


def test_the_law_is_above_every_unit_of_known_thickness(found):
    """|difference| <= d/(pi (L - d)) + what the pixel grid does to a thin band (0.04 for d = 3 px, 0.025 above)."""
    known = {k: c for k, c in found.items() if c.thickness is not None}
    table = bc.one_dimension_table(known, [3, 5, 15], LIMITS)
    worst = (
        table[table["reading"] == bc.READINGS[1]].groupby(["unit", "width"])["difference"].agg(lambda v: v.abs().max())
    )
    for (unit, d), value in worst.items():
        thickness = known[unit].thickness
        if thickness > 2 * d:
            assert value <= d / (np.pi * (thickness - d)) + (0.04 if d == 3 else 0.025), (unit, d)


def test_answers_to_a_moved_edge(found):
    """At nu sigma = 1 (nu_max = 10 for d = 15 px): 2 % at the weakest for one pixel, by FFT; the model says 43 %."""
    sigma, _ = bb.fitted_sigma()
    assert round(bc.FRAME / (2 * np.pi * sigma * 15) - 0.5) == 10
    table = bc.answer_table(found, 15, [0, 1, 5], [10, 32])
    at = table[table["nu_max"] == 10].pivot(index="unit", columns="shift", values="below")
    law = table[table["nu_max"] == 10].pivot(index="unit", columns="shift", values="law")
    assert at[1.0].min() == pytest.approx(0.0202, abs=3e-4)
    assert at[1.0].idxmin() == "disc, radius 20"
    assert law.loc["square", 1.0] == pytest.approx(0.0211, abs=3e-4)
    assert at[5.0].max() < 0.36  # a third of the width: still less than half
    thick = ["disc, radius 154", "disc, radius 77", "square", "square on its corner", "hexagon turned by 15°"]
    assert (at.loc[thick, 0.0] > 0.54).all()  # the overlap itself is low-frequency
    assert (at - law).loc[thick, 1.0].abs().max() < 0.02
    with_metric = []
    for unit in thick:
        mask = found[unit].masks[0]
        moved = bc.moved_out(mask, 1)
        s, b = (metrics.inner_boundary(torch.from_numpy(m), 15).numpy().astype(float) for m in (moved, mask))
        with_metric.append(bc.share_below([s - b])[10])
    assert 0.015 < min(with_metric) and max(with_metric) < 0.06  # 3 x 3 erosions tell the same


@pytest.mark.parametrize("radius, width", [(154, 15), (77, 15), (40, 15), (20, 15), (154, 5)])
def test_a_curved_band_is_a_straight_one_up_to_the_law(radius, width):
    """The annulus differs by at most d/(pi (2R - d)), and by its sides' interference to leading order."""
    v = 2 * np.pi * np.linspace(8, 64, 57) / bc.FRAME
    exact = 1 - bc.annulus_share_below(radius, width, v)
    straight = 1 - bb.steps_share_below([0, width], [1, -1], v)
    law = width / (np.pi * (2 * radius - width))
    assert law / 4 < np.abs(exact - straight).max() < law
    # (2/pi d) int_V^infinity (1 - cos kd)/k^2 sin(k (2R - d)) dk, by quadrature
    for k in (0, 20, 56):
        tail = np.linspace(v[k], v[k] + 300, 3_000_001)
        wave = (1 - np.cos(tail * width)) / tail**2 * np.sin(tail * (2 * radius - width))
        first = 2 / (np.pi * width) * np.trapezoid(wave, tail)
        assert straight[k] + first == pytest.approx(exact[k], abs=law / 8)


def test_the_annulus_is_the_disc_on_a_fine_grid(found):
    limits = np.arange(8, 65)
    table = bc.one_dimension_table({"disc": found["disc, radius 77"]}, [15], limits)
    above = table[table["reading"] == bc.READINGS[0]]["above"].to_numpy()
    theta = (np.arange(64) + 0.5) / 64 * np.pi / 4
    v = 2 * np.pi * (limits[:, None] + 0.5) / bc.FRAME / np.cos(theta)
    exact = 1 - bc.annulus_share_below(77, 15, v).mean(-1)
    assert np.abs(above - exact).max() < 0.012


def test_numbers_of_the_corrections():
    said = {i: " ".join(c.correction.values()) for i, c in ledger.load_claims().by_id.items() if c.correction}
    assert f"{1 + 1 / (np.pi * 0.05):.1f}\\,d" in said["eq34-one-dimension"]
    sigma, _ = bb.fitted_sigma()
    at = 1 / (2 * np.pi * sigma * 14.5)
    small = float(bb.answer_share_below(14.5, 1, at, normals=[0]))
    assert f"{small:.1%}".replace("%", " %") in said["obs2-boundary-iou-answer"]
    assert f"({bb.shift_sensitivity(1.0):.0%})".replace("%", " %") in said["obs2-boundary-iou-answer"]
    assert float(bb.answer_share_below(14.5, 14.5 / 4, at)) == pytest.approx(0.1, abs=0.015)  # a tenth from d/4 on


@pytest.mark.data
@pytest.mark.parametrize("name", ["voc2012", "camvid"])
def test_real_contours_answer_like_the_synthetic_ones(name):
    if manifests.verify(manifests.load(name), fast=True).state == "missing":
        pytest.skip(f"NOT TESTED on real data: {name} is not below {config.data_root()} (set SPECSEG_DATA)")
    data = datasets.open(name, "val", partial=True, need="label")
    shares = []
    for index in range(0, len(data), max(1, len(data) // 6)):
        label = torch.from_numpy(np.asarray(data.label(index)))[None, None].float()
        frame = torch.nn.functional.interpolate(label, (bc.FRAME, bc.FRAME), mode="nearest")[0, 0].numpy()
        table = bc.answer_table({"real": bc.contours({"real": frame})["real"]}, 15, [1], [10])
        shares.append(float(table["below"].iloc[0]))
    assert 0.02 < min(shares) and max(shares) < (0.12 if name == "voc2012" else 0.4)
