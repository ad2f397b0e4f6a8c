"""The convention, the band limits and the profiles, against numpy, scipy, slow sums and closed forms."""

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.spectral import spectrum as sp

SIZES = st.integers(1, 12)


def frame(h, w, seed=0):
    return torch.randn(h, w, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.integers(0, 9))
def test_spectrum_is_the_slow_sum(h, w, seed):
    x = frame(h, w, seed)
    fu = torch.exp(-2j * torch.pi * torch.outer(sp.signed_frequencies(h), torch.arange(h)).double() / h)
    fv = torch.exp(-2j * torch.pi * torch.outer(sp.signed_frequencies(w), torch.arange(w)).double() / w)
    assert torch.allclose(sp.spectrum(x), fu @ x.to(fu.dtype) @ fv.T / (h * w), atol=1e-12)
    assert torch.allclose(sp.inverse(sp.spectrum(x)).real, x, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.integers(0, 9))
def test_parseval_in_both_boundaries(h, w, seed):
    x = frame(h, w, seed)
    for boundary in sp.BOUNDARIES:
        assert sp.spectrum(x, boundary=boundary).abs().square().sum() == pytest.approx(float((x**2).mean()))


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.integers(0, 9))
def test_cosine_spectrum_is_scipys_dct(h, w, seed):
    x = frame(h, w, seed)
    ours = sp.cosine_spectrum(x)
    assert np.allclose(ours, scipy.fft.dctn(x.numpy(), type=2) / (4 * h * w), atol=1e-12)
    mirrored = sp.spectrum(x, boundary="mirrored")
    assert torch.allclose(mirrored[:h, :w].abs(), ours.abs(), atol=1e-12)
    weights = sp.multiplicity((h, w), boundary="mirrored")
    assert float((weights * ours**2).sum()) == pytest.approx(float((x**2).mean()))


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.integers(0, 9))
def test_multiplicity_of_the_half_spectrum(h, w, seed):
    x = frame(h, w, seed)
    half = torch.fft.rfft2(x, norm="forward").abs() ** 2
    index = sp.box_index((h, w), half=True)
    ours = torch.zeros(max(h, w) // 2 + 1, dtype=torch.float64)
    ours.index_add_(0, index.flatten(), (half * sp.multiplicity((h, w))).flatten())
    assert torch.allclose(ours, sp.box_profile(sp.spectrum(x).abs() ** 2), atol=1e-12)


@pytest.mark.parametrize("boundary", sp.BOUNDARIES)
@pytest.mark.parametrize("shape", [(9, 9), (8, 8), (1, 13), (7, 10)])
def test_band_limit_is_an_orthogonal_projection(shape, boundary):
    x, y = frame(*shape, seed=1), frame(*shape, seed=2)
    for nu in range(max(shape) // 2 + 1):
        px = sp.band_limit(x, nu, boundary=boundary)
        assert torch.allclose(sp.band_limit(px, nu, boundary=boundary), px, atol=1e-12)
        assert torch.allclose((px * y).sum(), (x * sp.band_limit(y, nu, boundary=boundary)).sum(), atol=1e-12)
        mask = sp.box_mask(shape, nu, boundary=boundary)
        assert torch.allclose(sp.spectrum(px, boundary=boundary), sp.spectrum(x, boundary=boundary) * mask, atol=1e-12)
    assert torch.allclose(px, x, atol=1e-12)  # the largest box is the whole spectrum


@pytest.mark.parametrize("shape", [(9, 9), (8, 8), (6, 11)])
def test_box_mask_is_symmetric_and_counts(shape):
    for nu in range((min(shape) - 1) // 2 + 1):
        mask = sp.box_mask(shape, nu)
        assert int(mask.sum()) == sp.lrg_size(nu) ** 2
        assert torch.equal(mask, mask.flip(0, 1).roll((1, 1), (0, 1)))
        brute = [
            [abs(int(u)) <= nu and abs(int(v)) <= nu for v in sp.signed_frequencies(shape[1])]
            for u in sp.signed_frequencies(shape[0])
        ]
        assert mask.tolist() == brute


def test_mirrored_box_is_the_same_physical_band():
    """A cosine of 3.5 cycles per frame survives nu_max 4 and dies at 3; its last mirrored bin is always zero."""
    t = (torch.arange(33, dtype=torch.float64) + 0.5) / 33
    x = torch.cos(2 * torch.pi * 3.5 * t)[None]
    assert torch.allclose(sp.band_limit(x, 4, boundary="mirrored"), x, atol=1e-12)
    assert sp.band_limit(x, 3, boundary="mirrored").abs().max() < 1e-12
    assert sp.spectrum(frame(5, 7), boundary="mirrored")[5].abs().max() < 1e-15


def test_wrap_jump_is_periodic_only():
    """A ramp jumps at the frame: periodic tail energy falls as 1/nu, mirrored as 1/nu^3."""
    x = (torch.arange(513, dtype=torch.float64) / 513)[None]
    tail = {b: [float(((x - sp.band_limit(x, n, boundary=b)) ** 2).mean()) for n in (16, 32)] for b in sp.BOUNDARIES}
    assert tail["periodic"][0] / tail["periodic"][1] == pytest.approx(2, rel=0.15)
    assert tail["mirrored"][0] / tail["mirrored"][1] == pytest.approx(8, rel=0.15)


def test_every_lrg_size_of_the_paper():
    for nu, size in {256: 513, 64: 129, 48: 97, 40: 81, 32: 65, 24: 49, 16: 33, 8: 17}.items():
        assert sp.lrg_size(nu) == size and sp.nu_max(size) == nu


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sp.spectrum(torch.ones(3, 3), boundary="zero"), "boundary 'zero'"),
        (lambda: sp.spectrum(torch.ones(3)), "shape"),
        (lambda: sp.band_limit(torch.ones(9, 9), 5), "Nyquist limit of a 9 x 9"),
        (lambda: sp.band_limit(torch.ones(9, 9), 2.5), "whole number"),
        (lambda: sp.box_mask((9, 9), -1), "nu_max -1"),
        (lambda: sp.band_limit(torch.ones(3, 3, dtype=torch.complex128), 1), "complex"),
        (lambda: sp.nu_max(64), "odd"),
        (lambda: sp.lrg_size(-1), "whole number"),
        (lambda: sp.box_profile(torch.ones(3, 3), boundary="mirrored"), "even sizes"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
