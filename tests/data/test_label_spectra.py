"""Label maps in frequency: against the general transform, slow sums and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from label_maps import labels

from specseg.data import label_spectra as ls
from specseg.spectral import spectrum as sp

SHAPES = st.tuples(st.integers(3, 14), st.integers(3, 14))


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.integers(0, 9), st.sampled_from(sp.BOUNDARIES))
def test_rims_are_the_profile_of_the_full_spectrum(shape, seed, boundary):
    planes = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    full = sp.spectrum(planes, boundary=boundary).abs().square()
    assert torch.allclose(ls.rim_power(planes, boundary=boundary), sp.box_profile(full, boundary=boundary).sum(0))


@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
@pytest.mark.parametrize("shape", [(9, 9), (8, 12), (7, 10)])
def test_band_limited_is_the_projection_of_the_library(shape, boundary):
    planes = torch.randn(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    limits = list(range(min(shape) // 2 + 1))
    for nu, low in zip(limits, ls.band_limited(planes, limits, boundary=boundary), strict=True):
        if boundary == "periodic" and 2 * nu in shape:  # an even side's Nyquist bin is whole in the box
            continue
        assert torch.allclose(low, sp.band_limit(planes, nu, boundary=boundary), atol=1e-12)


def test_a_step_rings_as_the_closed_form_says():
    # Two steps of a glued frame, half a frame apart: beyond nu the energy is near (1/pi^2)/nu, and a share 1/pi^2 of it
    # lies more than one cell from a step, since the rest rings as cos(k x)/(pi k x).
    n, nu = 2049, 32
    label = torch.zeros(1, n, dtype=torch.int64)
    label[:, : n // 2] = 1
    plane = label.double()[None]
    rest = plane - next(iter(ls.band_limited(plane, [nu])))
    energy = rest.square()[0]
    # each plane: |b(u)|^2 = 1/(pi u)^2 for odd u; sum over |u| > nu, both signs, tends to 1/(pi^2 nu)
    assert float(energy.mean()) == pytest.approx(1 / (np.pi**2 * nu), rel=0.02)
    far = ls.contour_distance(label) > n / (2 * nu + 1)
    assert float(energy[far].sum() / energy.sum()) == pytest.approx(1 / np.pi**2, abs=0.02)


def test_a_disc_falls_as_nu_to_minus_three_and_a_frame_jump_wraps():
    size = 513
    t = torch.arange(size, dtype=torch.float64) - size / 2
    disc = ((t[:, None] ** 2 + t[None, :] ** 2) < 120.3**2).double()[None]
    for boundary in sp.BOUNDARIES:
        rims = ls.rim_power(disc, boundary=boundary)
        assert ls.decay_exponent(rims, size, boundary=boundary) == pytest.approx(3, abs=0.1)
    half = (t[:, None] < 0).double().expand(size, size)[None].contiguous()  # a sky: it jumps at the frame too
    wrap, mirror = (float(ls.rim_power(half, boundary=b)[33:].sum()) for b in sp.BOUNDARIES)
    assert wrap / mirror == pytest.approx(2, rel=0.05)  # two steps against one


def test_contour_distance_is_the_nearest_jump():
    label = labels((17, 13), seed=2)
    for boundary in sp.BOUNDARIES:
        wide = np.pad(label, 17, mode="wrap") if boundary == "periodic" else label.numpy()
        jumps = []
        for (i, j), value in np.ndenumerate(wide):
            near = [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)]
            inside = [(a, b) for a, b in near if 0 <= a < wide.shape[0] and 0 <= b < wide.shape[1]]
            if any(wide[p] != value for p in inside):
                jumps.append((i, j))
        off = 17 if boundary == "periodic" else 0
        slow = [[min(np.hypot(i + off - a, j + off - b) for a, b in jumps) + 0.5 for j in range(13)] for i in range(17)]
        assert np.allclose(ls.contour_distance(label, boundary=boundary, reach=17), slow)
    assert bool(torch.isinf(ls.contour_distance(torch.zeros(4, 4))).all())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: next(ls.band_limited(np.zeros((1, 33, 33)), (64,))), "nu_max 64: expected 0 .. 16"),
        (lambda: ls.basis(9, 2, boundary="open"), "expected one of periodic, mirrored"),
        (lambda: ls.decay_exponent(torch.zeros(65), 129), "expected power > 0"),
    ],
)
def test_errors_name_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()
