"""Single operations and stacks whose spectral gradients are studied: Fig. 3 for any operation (Eqs 5, 7).

Everything here is deterministic in `seed`. Tables are tidy: one measurement a line.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.1 and Fig. 3 (M = 33).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.spectral import gradient as sg
from specseg.spectral.spectrum import signed_frequencies

WITHIN = (0, 1, 2)


def _radius(size: int) -> Tensor:
    """Return |nu| of every bin, 1 at least."""
    nu = signed_frequencies(size).double()
    return torch.sqrt(nu[:, None] ** 2 + nu[None, :] ** 2).clamp(min=1.0)


def feature_field(size: int, *, decay: float = 1.0, rms: float = 1.0, seed: int = 0) -> Tensor:
    """Return a Gaussian field (1, 1, size, size), float64, mean 0, of given rms, amplitudes falling as |nu|^-decay.

    decay 0 is white noise, 1 looks like natural images, 2 like smooth features.

    >>> x = feature_field(9, decay=2.0, rms=3.0)
    >>> tuple(x.shape), round(float(x.pow(2).mean().sqrt()), 6)
    ((1, 1, 9, 9), 3.0)
    """
    white = torch.from_numpy(np.random.default_rng(seed).standard_normal((size, size)))
    field = torch.fft.ifft2(torch.fft.fft2(white) * _radius(size) ** -decay).real
    field = field - field.mean()
    return (rms * field / field.pow(2).mean().sqrt())[None, None]


def _circular(x: Tensor, kernel: Tensor) -> Tensor:
    """Return a 3 x 3 convolution layer (B, A, 3, 3) with circular padding."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel)


def operations(size: int, *, seed: int = 0) -> dict[str, sg.Map]:
    """Return the operations studied, for (1, 1, size, size), by name; kernels are 3 x 3 normal numbers drawn by `seed`.

    The two up-samplings give 4 size and 4 (size - 1) + 1 pixels.

    >>> operations(9)["ReLU"](torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    kernel = torch.from_numpy(np.random.default_rng(1000 + seed).standard_normal((1, 1, 3, 3))) / 3
    large = (4 * (size - 1) + 1,) * 2
    return {
        "convolution, circular": lambda x: _circular(x, kernel),
        "convolution, zero padding": lambda x: F.conv2d(x, kernel, padding=1),
        "softplus": F.softplus,
        "ReLU": torch.relu,
        "up-sampling x4, half-pixel": lambda x: F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False),
        "up-sampling x4, align corners": lambda x: F.interpolate(x, large, mode="bilinear", align_corners=True),
        "convolution, stride 2": lambda x: F.conv2d(x, kernel, padding=1, stride=2),
        **{f"atrous {r}": lambda x, r=r: F.conv2d(x, kernel, padding=r, dilation=r) for r in (6, 12, 18)},
    }


def stack(depth: int, *, activation: sg.Map = torch.relu, seed: int = 0) -> sg.Map:
    """Return `depth` layers of a 3 x 3 convolution, a normalisation to rms 1 over the frame, and an activation.

    One channel. The normalisation's scale is held constant (as BatchNorm's is at test time).
    """
    rng = np.random.default_rng(2000 + seed)
    kernels = [torch.from_numpy(rng.standard_normal((1, 1, 3, 3))) for _ in range(depth)]

    def fn(x: Tensor) -> Tensor:
        for kernel in kernels:
            x = _circular(x, kernel)
            x = activation((x - x.detach().mean()) / x.detach().std().clamp(min=1e-12))
        return x

    return fn


def fig3_rows(size: int, names: Sequence[str] = (), *, seed: int = 0) -> dict[tuple[str, int], Tensor]:
    """Return the rows |dy(nu_i)/dx(nu_j)| of Fig. 3: (operation, nu) -> complex (size, size), nu_i = (nu, nu).

    nu = 0, M/4, M/2 rounded down; where the output is smaller (stride 2) its own Nyquist limit bounds nu. `names` of
    the operations, by default all.
    """
    x, known, rows = feature_field(size, seed=seed), operations(size, seed=seed), {}
    for name in names or known:
        limit = known[name](x).shape[-1] // 2
        for nu in (0, size // 4, size // 2):
            rows[name, nu] = sg.layer_row(known[name], x, (min(nu, limit), min(nu, limit)))[0]
    return rows


def fig3_table(size: int, *, seeds: int = 4) -> pd.DataFrame:
    """Return the row energies of Fig. 3: operation, nu_i, within, seed, value, and whether the diagonal is the largest.

    `value` is the share of the row's energy with nu_j at most `within` bins from nu_i on each axis.
    """
    lines = []
    for seed in range(seeds):
        for (name, nu), row in fig3_rows(size, seed=seed).items():
            nu_i = (min(nu, size // 4) if "stride" in name else nu,) * 2
            largest = int(row.abs().argmax()) == (nu_i[0] % size) * size + nu_i[1] % size
            lines += [(name, nu, w, seed, sg.row_energy(row, nu_i, w), largest) for w in WITHIN]
    return pd.DataFrame(lines, columns=["operation", "nu_i", "within", "seed", "value", "diagonal_largest"])


def activation_table(rms: Sequence[float], size: int, *, seeds: int = 4) -> pd.DataFrame:
    """Return what Eq. 5 costs for activations of Gaussian pre-activations: rms, activation, seed, error, off_diagonal.

    error: relative Frobenius error of the diagonal with slope 1/2, 2 rms(sigma' - 1/2); off_diagonal: share of energy
    off the diagonal, var(sigma')/<sigma'^2>, of each column and so of the whole matrix (see `relu_layers`);
    second: the same error with the term Z/4 of Eq. 47 kept (softplus alone).
    """
    lines = []
    for seed in range(seeds):
        for value in rms:
            z = feature_field(size, rms=value, seed=seed)[0, 0]
            for name, fn in (("softplus", F.softplus), ("ReLU", torch.relu)):
                slope = sg.slope(fn, z)
                off = float(slope.var(unbiased=False) / slope.pow(2).mean())
                second = 2 * float((slope - 0.5 - z / 4).pow(2).mean().sqrt()) if name == "softplus" else float("nan")
                lines.append((value, name, seed, sg.diagonal_error(z, fn), off, second))
    return pd.DataFrame(lines, columns=["rms", "activation", "seed", "error", "off_diagonal", "second"])


def depth_table(depths: Sequence[int], size: int, *, seeds: int = 4) -> pd.DataFrame:
    """Return the row energies of stacks: activation, depth, within, seed, value, at nu_i = (M/4, M/4)."""
    lines = []
    nu = (size // 4, size // 4)
    for seed in range(seeds):
        x = feature_field(size, seed=seed)
        for name, fn in (("softplus", F.softplus), ("ReLU", torch.relu)):
            for depth in depths:
                row = sg.layer_row(stack(depth, activation=fn, seed=seed), x, nu)
                lines += [(name, depth, w, seed, sg.row_energy(row, nu, w)) for w in WITHIN]
    return pd.DataFrame(lines, columns=["activation", "depth", "within", "seed", "value"])


def arcsine_spectrum(power: Tensor) -> Tensor:
    """Return the expected |g(nu)|^2, g = F(relu'(Z)), of a Gaussian field Z with power spectrum `power`, (H, W).

    relu' = (1 + sgn Z)/2, and <sgn Z(t) sgn Z(t + tau)> = (2/pi) arcsin rho(tau) (Van Vleck and Middleton, Proc. IEEE
    54, 1966): a ReLU spreads a row as far as its features' own correlations reach, no nearer and no farther.

    >>> flat = arcsine_spectrum(torch.ones(4, 4))                      # white: rho = 0 but at 0, so 1/4 N everywhere
    >>> round(float(flat[1, 1]) * 16, 6), round(float(flat.sum()), 6)
    (0.25, 0.5)
    """
    covariance = torch.fft.ifft2(power.double()).real
    rho = (covariance / covariance[0, 0]).clamp(-1, 1)
    expected = torch.fft.fft2(torch.arcsin(rho) * 2 / torch.pi, norm="forward").real / 4
    expected[0, 0] += 0.25
    return expected


def relu_spread_table(decays: Sequence[float], size: int, *, seeds: int = 8, reach: int = 8) -> pd.DataFrame:
    """Return how far a ReLU spreads a row: decay, within, kind ("measured", "law"), value (share within that distance).

    The law is `arcsine_spectrum` of the features' expected power |nu|^-2 decay; the row is F(relu'(Z)) round nu_i.
    """
    lines = []
    for decay in decays:
        power = _radius(size) ** (-2 * decay)
        power[0, 0] = 0
        law = arcsine_spectrum(power).clamp(min=0).sqrt()
        fields = [feature_field(size, decay=decay, seed=seed)[0, 0] for seed in range(seeds)]
        rows = [torch.fft.fft2(sg.slope(torch.relu, z), norm="forward") for z in fields]
        for w in range(reach + 1):
            measured = np.mean([sg.row_energy(row, (0, 0), w) for row in rows])
            lines += [(decay, w, "measured", measured), (decay, w, "law", sg.row_energy(law, (0, 0), w))]
    return pd.DataFrame(lines, columns=["decay", "within", "kind", "value"])


def relu_layers(size: int, *, seeds: int = 4) -> pd.DataFrame:
    """Return, for a 3 x 3 kernel and a ReLU, one line a draw: active, columns, rows, largest.

    active: share of positive pre-activations; columns, rows: the largest distance of a column's or a row's share on the
    diagonal from it; largest: rows whose largest entry lies on the diagonal. A layer g(nu_i - nu_j) k(nu_j) has
    |g(0)|^2/sum |g|^2 = <sigma'>^2/<sigma'^2> there in every column (Parseval), as |k(nu_j)|^2 is common to a column;
    a row mixes the k of all columns: no such law.
    """
    lines = []
    for seed in range(seeds):
        kernel = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 3)))
        z = _circular(feature_field(size, seed=seed), kernel[None, None])[0, 0]
        energy, active = sg.conv_layer(kernel, z, torch.relu).abs().pow(2), float((z > 0).double().mean())
        off = [float((energy.diagonal() / energy.sum(axis) - active).abs().max()) for axis in (0, 1)]
        lines.append((active, *off, int((energy.argmax(1) == torch.arange(len(energy))).sum())))
    return pd.DataFrame(lines, columns=["active", "columns", "rows", "largest"])


def dropped_over_kept(kernel: Tensor, z: Tensor) -> float:
    """Return the size of what Eq. 49 drops over what it keeps: ||k(j) z(i - j)/4|| / ||k(j) delta_ij/2||, Frobenius.

    Made from the two matrices; `kernel` (kh, kw), `z` (H, W). By Parseval it is rms Z / 2 whatever the kernel.

    >>> round(dropped_over_kept(torch.ones(1, 1), torch.tensor([[1.0, -1.0]])), 6)
    0.5
    """
    k = sg.kernel_spectrum(kernel, (z.shape[0], z.shape[1])).flatten()
    dropped = sg.gather_differences(torch.fft.fft2(z, norm="forward")) * k[None, :] / 4
    return float(dropped.norm() / (k / 2).norm())


def mirror_table(size: int, operations: Sequence[str], *, seeds: int = 4) -> pd.DataFrame:
    """Return |dy(nu_i)/dx(-nu_i)| over |dy(nu_i)/dx(nu_i)|: operation, nu_i, seed, value, for nu_i = M/4 and M/2.

    A real feature has x(-nu) = conj x(nu), so dy(nu_i) = J_ii dx + J_i,-i conj dx: the phase of a real wave changes its
    effect between |J_ii| - |J_i,-i| and their sum. Printed rows (Eqs 5, 7) have no J_i,-i.
    """
    lines = [(name, nu, seed, float(row[-nu, -nu].abs() / row[nu, nu].abs())) for seed in range(seeds)
             for (name, nu), row in fig3_rows(size, operations, seed=seed).items() if nu]  # fmt: skip
    return pd.DataFrame(lines, columns=["operation", "nu_i", "seed", "value"])


def he_layer(channels: int) -> tuple[Tensor, Tensor]:
    """Return (kernels (8, C, 3, 3), pre-activations (8, 16, 16)) at He's initialisation, X uniform, |X| < 1.

    var Z = 9 C var K <X^2> = 2/3 whatever the number C of channels, while the entries of K shrink as 1/sqrt C.
    """
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(-1, 1, (1, channels, 16, 16)))
    kernel = torch.from_numpy(rng.standard_normal((8, channels, 3, 3)) * np.sqrt(2 / (9 * channels)))
    return kernel, _circular(x, kernel)[0]
