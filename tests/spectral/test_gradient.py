"""Spectral gradients against brute-force Jacobians built column by column from finite sums, with no FFT of J."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from specseg.proofs import layer_study as study
from specseg.proofs.identities_gradient import circular_conv
from specseg.spectral import cross_entropy as ce
from specseg.spectral import gradient as sg
from specseg.spectral.labels import one_hot
from specseg.spectral.spectrum import signed_frequencies

FRAMES = st.sampled_from([(1, 5), (1, 6), (3, 3), (4, 3), (2, 4), (5, 1)])
SEEDS = st.integers(0, 2**31)
ACTIVATIONS = {"softplus": F.softplus, "relu": torch.relu, "tanh": torch.tanh}


def normal(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def waves(shape):
    """exp(2 pi j nu t) as (frequencies, pixels), written out."""
    u, v = (signed_frequencies(n).double() for n in shape)
    rows, cols = (torch.arange(n).double() / n for n in shape)
    phase = u[:, None, None, None] * rows[None, None, :, None] + v[None, :, None, None] * cols[None, None, None, :]
    n = shape[0] * shape[1]
    return torch.exp(2j * torch.pi * phase).reshape(n, n)


def brute_force(fn, x):
    """dy(i)/dx(j) as the limit of complex perturbations: J applied to each wave, then projected on each wave."""
    shape_in, shape_out = tuple(x.shape[2:]), tuple(fn(x).shape[2:])
    columns = []
    for wave in waves(shape_in):
        parts = [torch.func.jvp(fn, (x,), (part.reshape(x.shape).contiguous(),))[1] for part in (wave.real, wave.imag)]
        columns.append(torch.complex(parts[0], parts[1]).flatten())
    back = waves(shape_out).conj() / (shape_out[0] * shape_out[1])
    return back @ torch.stack(columns, dim=1)


@settings(max_examples=25, deadline=None)
@given(FRAMES, SEEDS, st.sampled_from(sorted(ACTIVATIONS)))
def test_layer_and_closed_form_equal_brute_force(shape, seed, name):
    x, kernel = normal(seed, 1, 1, *shape), normal(seed + 1, 3 if shape[0] > 1 else 1, 3 if shape[1] > 1 else 1)
    activation = ACTIVATIONS[name]
    expected = brute_force(lambda v: activation(circular_conv(v, kernel)), x)
    torch.testing.assert_close(sg.layer(lambda v: activation(circular_conv(v, kernel)), x), expected)
    z = circular_conv(x, kernel)[0, 0]
    torch.testing.assert_close(sg.conv_layer(kernel, z, activation), expected)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 3), st.integers(0, 5))
def test_layer_row_is_a_row_of_layer_also_where_sizes_change(seed, a, b):
    x = normal(seed, 1, 1, 4, 6)
    for fn in (
        lambda v: F.interpolate(v, scale_factor=2, mode="bilinear"),
        lambda v: F.softplus(F.avg_pool2d(v, 2)),
        lambda v: F.conv2d(v, torch.ones(1, 1, 3, 3, dtype=v.dtype), padding=2, dilation=2),
    ):
        full, out = sg.layer(fn, x), fn(x).shape[2:]
        torch.testing.assert_close(full, brute_force(fn, x))
        i = (a % out[0]) * out[1] + b % out[1]
        nu = int(signed_frequencies(out[0])[a % out[0]]), int(signed_frequencies(out[1])[b % out[1]])
        torch.testing.assert_close(sg.layer_row(fn, x, nu)[0].flatten(), full[i])


def test_circular_conv_is_torch_with_circular_padding():
    x, kernel = normal(0, 1, 1, 5, 6), normal(1, 3, 3)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel[None, None])
    torch.testing.assert_close(circular_conv(x, kernel), expected)


def test_kernel_spectrum_with_wrap_matches_a_sum():
    kernel = normal(3, 3, 5)
    k = sg.kernel_spectrum(kernel, (4, 3), correlation=False)
    for u in range(4):
        for v in range(3):
            phases = [kernel[a, b] * np.exp(-2j * np.pi * (u * (a - 1) / 4 + v * (b - 2) / 3))
                      for a in range(3) for b in range(5)]  # fmt: skip
            assert abs(complex(k[u, v]) - complex(sum(phases))) < 1e-12


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.booleans(), st.sampled_from([(4, 5), (1, 7), (3, 4)]))
def test_loss_row_against_the_jacobian_of_all_frequency_components(seed, void, shape):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, shape)
    if void:
        labels[rng.random(shape) < 0.3] = 255
    labels = torch.from_numpy(labels)
    weights = normal(seed + 1, 3, 2, 1, 1)
    x = normal(seed + 2, 1, 2, *shape)

    def components(v):
        parts = ce.frequency_components(F.softplus(F.conv2d(v, weights)), labels[None])[0]
        return torch.view_as_real(parts)

    jacobian = torch.view_as_complex(torch.autograd.functional.jacobian(components, x)
                                     .movedim(2, -1).contiguous())[:, :, 0]  # fmt: skip
    expected = (jacobian.reshape(*shape, 2, -1) @ waves(shape).T).reshape(*shape, 2, *shape)
    u, v = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
    nu = int(signed_frequencies(shape[0])[u]), int(signed_frequencies(shape[1])[v])
    row = sg.loss_row(lambda f: F.softplus(F.conv2d(f, weights)), x, labels, nu)
    torch.testing.assert_close(row, expected[u, v])


def test_loss_row_needs_two_backward_passes(monkeypatch):
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: calls.append(1) or grad(*a, **k))
    sg.loss_row(lambda x: x, normal(0, 1, 3, 4, 4), torch.zeros(4, 4, dtype=torch.long), (1, 1))
    assert len(calls) == 2


@pytest.mark.parametrize("nu", [(0, 0), (3, -2), (-8, 8)])
def test_loss_row_is_the_backward_pass_of_the_printed_sum_also_in_float32(nu):
    """The straightforward way: one-hot planes, their spectrum, log-softmax and its spectrum, all by autograd."""
    x, weights = normal(0, 1, 4, 9, 9), normal(1, 21, 4, 1, 1)
    labels = torch.from_numpy(np.random.default_rng(2).integers(0, 21, (17, 17)))
    labels[:2] = 255

    def tail(v):
        return 3 * F.interpolate(F.conv2d(v, weights.to(v)), size=(17, 17), mode="bilinear", align_corners=True)

    v = x.clone().requires_grad_()
    b = torch.fft.fft2(one_hot(labels, 21).double(), norm="forward")
    logp = torch.fft.fft2(tail(v)[0].log_softmax(0), norm="forward")
    component = -(b[:, -nu[0], -nu[1]] * logp[:, nu[0], nu[1]]).sum()
    parts = [torch.autograd.grad(part, v, retain_graph=True)[0][0] for part in (component.real, component.imag)]
    expected = torch.fft.ifft2(torch.complex(*parts), norm="forward")
    torch.testing.assert_close(sg.loss_row(tail, x, labels, nu), expected, atol=1e-14, rtol=1e-10)
    single = sg.loss_row(tail, x.float(), labels, nu)
    assert single.dtype == torch.complex64
    assert float((single - expected).norm() / expected.norm()) < 1e-5


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.floats(0.05, 4.0), st.sampled_from(["softplus", "relu"]))
def test_diagonal_error_is_the_frobenius_error(seed, scale, name):
    z, kernel = scale * normal(seed, 4, 5), normal(seed + 1, 3, 3)
    exact = sg.conv_layer(kernel, z, ACTIVATIONS[name])
    printed = torch.diag(sg.kernel_spectrum(kernel, (4, 5)).flatten()) / 2
    assert float((exact - printed).norm() / printed.norm()) == pytest.approx(sg.diagonal_error(z, ACTIVATIONS[name]))


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from(sorted(ACTIVATIONS)))
def test_every_column_keeps_the_slopes_share_on_the_diagonal(seed, name):
    kernel, x = normal(seed + 1, 3, 3), normal(seed, 1, 1, 5, 7)
    kernel[1, 1] = 12.0  # dominates the other taps, so that no k(nu_j) vanishes
    z = circular_conv(x, kernel)[0, 0]
    z[0, 0] = 1.0
    slope = sg.slope(ACTIVATIONS[name], z)
    share = float(slope.mean() ** 2 / slope.pow(2).mean())
    energy = sg.conv_layer(kernel, z, ACTIVATIONS[name]).abs().pow(2)
    assert (energy.diagonal() / energy.sum(0)).numpy() == pytest.approx(share)
    assert float(energy.diagonal().sum() / energy.sum()) == pytest.approx(share)
    if name == "relu":
        assert share == pytest.approx(float((z > 0).double().mean()))


def test_a_rows_share_is_the_slopes_only_without_a_kernel():
    z, kernel = normal(0, 5, 7), normal(1, 3, 3)
    active = float((z > 0).double().mean())
    energies = [sg.conv_layer(k, z, torch.relu).abs().pow(2) for k in (torch.ones(1, 1, dtype=z.dtype), kernel)]
    rows = [(energy.diagonal() / energy.sum(1)).tolist() for energy in energies]
    assert rows[0] == pytest.approx([active] * 35)
    assert max(abs(share - active) for share in rows[1]) > 0.05


def test_row_energy_wraps_and_folds():
    row = torch.zeros(5, 5, dtype=torch.complex128)
    row[4, 0], row[0, 0], row[2, 2] = 1j, 1.0, 2.0
    assert sg.row_energy(row, (0, 0)) == pytest.approx(1 / 6)
    assert sg.row_energy(row, (0, 0), within=1) == pytest.approx(2 / 6)
    assert sg.row_energy(row, (7, 7)) == pytest.approx(4 / 6)  # 7 = 2 + 5: its alias


def test_relu_row_follows_the_arcsine_law():
    size, total = 17, torch.zeros(17, 17, dtype=torch.float64)
    nu = signed_frequencies(size).double()
    power = (nu[:, None] ** 2 + nu[None, :] ** 2).clamp(min=1.0) ** -1.5
    power[0, 0] = 0
    draws = 400
    for seed in range(draws):
        white = torch.fft.fft2(normal(seed, size, size))
        z = torch.fft.ifft2(white * power.sqrt()).real
        total += torch.fft.fft2((z > 0).double(), norm="forward").abs() ** 2 / draws
    law = study.arcsine_spectrum(power)
    assert float(law.sum()) == pytest.approx(0.5)
    near = [(0, 1), (1, 1), (2, 0), (3, 3), (0, 5)]
    for i in near:  # each is a mean of squares over 400 draws and symmetric bins: about 5 % of standard error
        assert float(total[i]) == pytest.approx(float(law[i]), rel=0.25)


def test_every_column_of_a_relu_layer_keeps_the_active_fraction():
    table = study.relu_layers(9, seeds=2)
    assert table["columns"].max() < 1e-12 < 0.1 < table["rows"].min() and (table["largest"] <= 81).all()


@pytest.mark.parametrize("call, words", [
    (lambda: sg.layer(lambda x: x, torch.zeros(1, 2, 3, 3)), "1, 1, H, W"),
    (lambda: sg.layer(lambda x: x, torch.full((1, 1, 2, 2), float("nan"))), "finite"),
    (lambda: sg.layer_row(lambda x: x, torch.zeros(1, 1, 3, 3), (2, 0)), "Nyquist"),
    (lambda: sg.layer_row(lambda x: x, torch.zeros(1, 1, 3, 3), (0, 0), channel=1), "channel 1"),
    (lambda: sg.conv_layer(torch.ones(3), torch.ones(2, 2), torch.relu), "kernel"),
    (lambda: sg.conv_layer(torch.ones(1, 1), torch.ones(2), torch.relu), "z:"),
    (lambda: sg.loss_row(lambda x: x, torch.zeros(1, 2, 2, 2), torch.full((2, 2), 2), (0, 0)), "0 .. 1"),
    (lambda: sg.loss_row(lambda x: x, torch.zeros(1, 2, 2, 2), torch.zeros(2, 3, dtype=torch.long), (0, 0)), "labels"),
    (lambda: sg.loss_row(lambda x: x / 0, torch.ones(1, 2, 2, 2), torch.zeros(2, 2).long(), (0, 0)), "not finite"),
    (lambda: sg.loss_row(lambda x: x, torch.zeros(1, 2, 2, 2), torch.zeros(2, 2), (0, 0)), "whole-number class"),
    (lambda: sg.row_energy(torch.zeros(2, 2), (0, 0)), "zero"),
])  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_study_tables_are_tidy_and_bounded():
    table = study.fig3_table(9, seeds=2)
    assert len(table) == len(study.operations(9)) * 3 * 3 * 2
    assert table["value"].between(0, 1 + 1e-12).all()
    assert table[table["operation"] == "convolution, circular"]["value"].min() == pytest.approx(1.0)
    grown = table.pivot_table(index=["operation", "nu_i", "seed"], columns="within", values="value")
    assert (grown[1] >= grown[0] - 1e-12).all() and (grown[2] >= grown[1] - 1e-12).all()


def stretched(coarse, fine):
    """Coarse points stand (fine - 1)/(coarse - 1) fine pixels apart: a wave's cycles per frame, for one before."""
    return fine * (coarse - 1) / (coarse * (fine - 1))


def test_corners_on_corners_stretch_by_129_over_132():
    assert stretched(33, 129) == pytest.approx(129 / 132, abs=1e-15)


def test_an_up_sampled_wave_peaks_there():
    """Independently of the formula: the largest value of the up-sampled wave's transform, finely sampled."""
    nu, coarse, fine = 16, 33, 129
    wave = torch.exp(2j * torch.pi * nu * torch.arange(coarse).double() / coarse)
    up = torch.complex(*(F.interpolate(p[None, None], fine, mode="linear", align_corners=True)[0, 0]
                         for p in (wave.real, wave.imag)))  # fmt: skip
    spectrum = torch.fft.fft(up, n=fine * 200).abs()
    assert float(spectrum.argmax()) / 200 == pytest.approx(nu * stretched(coarse, fine), abs=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_the_dropped_term_is_half_of_rms_z(seed):
    z, kernel = normal(seed, 7, 6), normal(seed + 9, 3, 3)
    assert study.dropped_over_kept(kernel, z) == pytest.approx(float(z.pow(2).mean().sqrt()) / 2, rel=1e-9)


def test_a_real_wave_feels_the_mirrored_entry():
    """The effect of cos(nu_j t + phase) on y(nu_i) runs between |J_ii| - |J_i,-i| and their sum."""
    size, nu = 9, 2
    fn, x = study.operations(size)["ReLU"], study.feature_field(size)
    row = sg.layer_row(fn, x, (nu, nu))[0]
    t = torch.arange(size).double()
    jacobian = torch.autograd.functional.jacobian(fn, x).reshape(size * size, size * size)
    sizes = []
    for phase in np.linspace(0, 2 * np.pi, 721):
        wave = torch.cos(2 * torch.pi * nu * (t[:, None] + t[None, :]) / size + phase)
        y = torch.fft.fft2((jacobian @ wave.flatten()).reshape(size, size), norm="forward")
        sizes.append(2 * float(y[nu, nu].abs()))
    here, there = float(row[nu, nu].abs()), float(row[-nu, -nu].abs())
    assert max(sizes) == pytest.approx(here + there, rel=1e-4) and min(sizes) == pytest.approx(here - there, rel=1e-4)
    table = study.mirror_table(size, ("ReLU", "convolution, circular"), seeds=1)
    assert table.query("operation == 'ReLU' and nu_i == 2")["value"].item() == pytest.approx(there / here)
    assert table.query("operation == 'convolution, circular'")["value"].max() < 1e-9
