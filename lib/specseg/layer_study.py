"""Single operations, stacks and losses whose spectral gradients are studied: Fig. 3 for any operation (Eqs 5, 7, 8).

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

from specseg import spectral_gradient as sg
from specseg.spectrum import band_limit, box_mask, signed_frequencies, spectrum

OPERATIONS = (
    "convolution, circular", "convolution, zero padding", "softplus", "ReLU", "up-sampling x4, half-pixel",
    "up-sampling x4, align corners", "convolution, stride 2", "atrous 6", "atrous 12", "atrous 18",
)  # fmt: skip
WITHIN = (0, 1, 2)


def feature_field(size: int, *, decay: float = 1.0, rms: float = 1.0, seed: int = 0) -> Tensor:
    """Return a Gaussian field (1, 1, size, size), float64, mean 0, of given rms, amplitudes falling as |nu|^-decay.

    decay 0 is white noise, 1 looks like natural images, 2 like smooth features.

    >>> x = feature_field(9, decay=2.0, rms=3.0)
    >>> tuple(x.shape), round(float(x.pow(2).mean().sqrt()), 6)
    ((1, 1, 9, 9), 3.0)
    """
    if size < 2:
        raise ValueError(f"size {size}: expected at least 2")
    white = torch.from_numpy(np.random.default_rng(seed).standard_normal((size, size)))
    nu = signed_frequencies(size).double()
    radius = torch.sqrt(nu[:, None] ** 2 + nu[None, :] ** 2).clamp(min=1.0)
    field = torch.fft.ifft2(torch.fft.fft2(white) * radius**-decay).real
    field = field - field.mean()
    return (rms * field / field.pow(2).mean().sqrt())[None, None]


def operation(name: str, size: int, *, seed: int = 0) -> sg.Map:
    """Return one operation of `OPERATIONS` for (1, 1, size, size); kernels are 3 x 3 normal numbers drawn by `seed`.

    The two up-samplings give 4 size and 4 (size - 1) + 1 pixels. Raises ValueError that lists the names.

    >>> operation("ReLU", 9)(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    kernel = torch.from_numpy(np.random.default_rng(1000 + seed).standard_normal((1, 1, 3, 3))) / 3
    large = 4 * (size - 1) + 1
    table: dict[str, sg.Map] = {
        "convolution, circular": lambda x: F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel),
        "convolution, zero padding": lambda x: F.conv2d(x, kernel, padding=1),
        "softplus": F.softplus,
        "ReLU": torch.relu,
        "up-sampling x4, half-pixel": lambda x: F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False),
        "up-sampling x4, align corners": lambda x: F.interpolate(
            x, (large, large), mode="bilinear", align_corners=True
        ),
        "convolution, stride 2": lambda x: F.conv2d(x, kernel, padding=1, stride=2),
        **{f"atrous {r}": lambda x, r=r: F.conv2d(x, kernel, padding=r, dilation=r) for r in (6, 12, 18)},
    }
    if name not in table:
        raise ValueError(f"operation {name!r}: expected one of {'; '.join(table)}")
    return table[name]


def stack(
    depth: int, *, activation: sg.Map = torch.relu, padding: str = "circular", width: int = 1, seed: int = 0
) -> sg.Map:
    """Return `depth` layers of a 3 x 3 convolution, a normalisation to rms 1 over the frame, and an activation.

    1 channel in and out, `width` between. The normalisation's scale is held constant (as BatchNorm's is at test time).
    Raises ValueError for a depth below 1 or an unknown padding ("circular" or "zeros").

    >>> tuple(stack(2, width=3)(torch.ones(1, 1, 5, 5, dtype=torch.float64)).shape)
    (1, 1, 5, 5)
    """
    if depth < 1 or padding not in ("circular", "zeros"):
        raise ValueError(f"depth {depth}, padding {padding!r}: expected at least 1, and circular or zeros")
    rng = np.random.default_rng(2000 + seed)
    widths = [1, *[width] * (depth - 1), 1]
    kernels = [torch.from_numpy(rng.standard_normal((b, a, 3, 3))) for a, b in zip(widths, widths[1:], strict=False)]

    def fn(x: Tensor) -> Tensor:
        for kernel in kernels:
            x = F.pad(x, (1, 1, 1, 1), mode="circular") if padding == "circular" else F.pad(x, (1, 1, 1, 1))
            x = F.conv2d(x, kernel)
            x = activation((x - x.detach().mean()) / x.detach().std().clamp(min=1e-12))
        return x

    return fn


def fig3_rows(
    size: int, operations: Sequence[str] = OPERATIONS, *, decay: float = 1.0, seed: int = 0
) -> dict[tuple[str, int], Tensor]:
    """Return the rows |dy(nu_i)/dx(nu_j)| of Fig. 3: (operation, nu) -> complex (size, size), nu_i = (nu, nu).

    nu = 0, M/4, M/2 rounded down; where the output is smaller (stride 2) its own Nyquist limit bounds nu.
    """
    x = feature_field(size, decay=decay, seed=seed)
    rows = {}
    for name in operations:
        fn = operation(name, size, seed=seed)
        limit = fn(x).shape[-1] // 2
        for nu in (0, size // 4, size // 2):
            rows[name, nu] = sg.layer_row(fn, x, (min(nu, limit), min(nu, limit)))[0]
    return rows


def fig3_table(
    size: int, operations: Sequence[str] = OPERATIONS, *, decay: float = 1.0, seeds: int = 4
) -> pd.DataFrame:
    """Return the row energies of Fig. 3: operation, nu_i, within, seed, value, and whether the diagonal is the largest.

    `value` is the share of the row's energy with nu_j at most `within` bins from nu_i on each axis.
    """
    lines = []
    for seed in range(seeds):
        for (name, nu), row in fig3_rows(size, operations, decay=decay, seed=seed).items():
            nu_i = (min(nu, size // 4), min(nu, size // 4)) if "stride" in name else (nu, nu)
            largest = int(row.abs().argmax()) == (nu_i[0] % size) * size + nu_i[1] % size
            lines += [(name, nu, w, seed, sg.row_energy(row, nu_i, w), largest) for w in WITHIN]
    return pd.DataFrame(lines, columns=["operation", "nu_i", "within", "seed", "value", "diagonal_largest"])


def activation_table(rms: Sequence[float], size: int, *, decay: float = 1.0, seeds: int = 4) -> pd.DataFrame:
    """Return what Eq. 5 costs for activations of Gaussian pre-activations: rms, activation, seed, error, off_diagonal.

    error: relative Frobenius error of the diagonal with slope 1/2, 2 rms(sigma' - 1/2); off_diagonal: share of energy
    off the diagonal, var(sigma')/<sigma'^2>, of each column and so of the whole matrix (see `column_shares`);
    second: the same error with the term Z/4 of Eq. 47 kept (softplus alone).
    """
    lines = []
    for seed in range(seeds):
        for value in rms:
            z = feature_field(size, decay=decay, rms=value, seed=seed)[0, 0]
            for name, fn in (("softplus", F.softplus), ("ReLU", torch.relu)):
                slope = sg.slope(fn, z)
                off = float(slope.var(unbiased=False) / slope.pow(2).mean())
                second = 2 * float((slope - 0.5 - z / 4).pow(2).mean().sqrt()) if name == "softplus" else float("nan")
                lines.append((value, name, seed, sg.diagonal_error(z, fn), off, second))
    return pd.DataFrame(lines, columns=["rms", "activation", "seed", "error", "off_diagonal", "second"])


def depth_table(
    depths: Sequence[int], size: int, *, decay: float = 1.0, seeds: int = 4, width: int = 1
) -> pd.DataFrame:
    """Return the row energies of stacks: activation, depth, within, seed, value, at nu_i = (M/4, M/4)."""
    lines = []
    nu = (size // 4, size // 4)
    for seed in range(seeds):
        x = feature_field(size, decay=decay, seed=seed)
        for name, fn in (("softplus", F.softplus), ("ReLU", torch.relu)):
            for depth in depths:
                row = sg.layer_row(stack(depth, activation=fn, width=width, seed=seed), x, nu)
                lines += [(name, depth, w, seed, sg.row_energy(row, nu, w)) for w in WITHIN]
    return pd.DataFrame(lines, columns=["activation", "depth", "within", "seed", "value"])


def upsampling_amplitude(frequency: float, factor: int, *, align_corners: bool) -> float:
    """Return bilinear up-sampling's gain at a frequency in cycles per input pixel, along one axis, frame edges aside.

    A triangle sampled on the fine grid: [sin(pi f)/(r sin(pi f/r))]^2 where samples meet the coarse ones
    (align_corners=True), times cos(pi f/r) for half-pixel centres and an even factor r. Its images, at f + q, follow
    from the same formula: it is no delta function in the columns.

    >>> [round(upsampling_amplitude(f, 4, align_corners=True), 2) for f in (0.25, 0.5, 0.75)]
    [0.82, 0.43, 0.1]
    """
    if factor < 2 or factor % 2:
        raise ValueError(f"factor {factor}: expected an even number from 2")
    if frequency == 0:
        return 1.0
    gain = (np.sin(np.pi * frequency) / (factor * np.sin(np.pi * frequency / factor))) ** 2
    return float(gain if align_corners else gain * np.cos(np.pi * frequency / factor))


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


def lrg_prediction(labels: Tensor, num_classes: int, size: int, *, confidence: float = 4.0) -> tuple[Tensor, sg.Map]:
    """Return (logits on a low-resolution grid, tail): a prediction "upon the LRG" that knows the labels' averages.

    The logits are `confidence` (2 p - 1), p the class shares around each LRG pixel; the tail up-samples them bilinearly
    to the labels' grid, as decoders do. Void pixels count for no class. Logits: float64 (1, C, size, size).
    """
    planes = sg.one_hot(labels, num_classes).double()[None]
    shape = (labels.shape[0], labels.shape[1])
    logits = confidence * (2 * F.interpolate(planes, (size, size), mode="bilinear", antialias=True) - 1)
    return logits, lambda x: F.interpolate(x, shape, mode="bilinear", align_corners=True)


def observation4_table(labels: Tensor, num_classes: int, size: int, *, confidence: float = 4.0) -> pd.DataFrame:
    """Return how features at nu_j = (0, nu) move L_ce(0), L_ce(nu_j) and L_CE: nu_j, part, value (Eqs 7 and 8).

    `value` is the norm over channels of the spectral gradient for a prediction on an LRG of `size`. The parts are
    "L_ce(0)" (Eq. 8: "much smaller than 1" for large nu_j), "L_ce(nu_j)" (Eq. 7) and "L_CE", the sum over all nu_i.
    """
    features, tail = lrg_prediction(labels, num_classes, size, confidence=confidence)
    zero = sg.loss_row(tail, features, labels, (0, 0))
    x = features.clone().requires_grad_()
    logp = torch.log_softmax(tail(x)[0], dim=0)
    planes = sg.one_hot(labels, num_classes).to(logp.dtype)
    whole = torch.autograd.grad(-(planes * logp).sum(0).mean(), x)[0][0]
    total = torch.fft.ifft2(whole, norm="forward")
    lines = []
    for nu in range(1, size // 2 + 1):
        own = sg.loss_row(tail, features, labels, (0, nu))[:, 0, nu]
        parts = {"L_ce(0)": zero[:, 0, nu], "L_ce(nu_j)": own, "L_CE": total[:, 0, nu]}
        lines += [(nu, part, float(v.abs().pow(2).sum().sqrt())) for part, v in parts.items()]
    return pd.DataFrame(lines, columns=["nu_j", "part", "value"])


def relu_spread_table(decays: Sequence[float], size: int, *, seeds: int = 8, reach: int = 8) -> pd.DataFrame:
    """Return how far a ReLU spreads a row: decay, within, kind ("measured", "law"), value (share within that distance).

    The law is `arcsine_spectrum` of the features' expected power |nu|^-2 decay; the row is F(relu'(Z)) round nu_i.
    """
    nu = signed_frequencies(size).double()
    radius = torch.sqrt(nu[:, None] ** 2 + nu[None, :] ** 2).clamp(min=1.0)
    lines = []
    for decay in decays:
        power = radius ** (-2 * decay)
        power[0, 0] = 0
        law = arcsine_spectrum(power).clamp(min=0).sqrt()
        rows = []
        for seed in range(seeds):
            z = feature_field(size, decay=decay, seed=seed)[0, 0]
            rows.append(torch.fft.fft2(sg.slope(torch.relu, z), norm="forward"))
        for w in range(reach + 1):
            measured = np.mean([row_share(row, w) for row in rows])
            lines += [(decay, w, "measured", measured), (decay, w, "law", row_share(law, w))]
    return pd.DataFrame(lines, columns=["decay", "within", "kind", "value"])


def column_shares(matrix: Tensor) -> Tensor:
    """Return the share of each column's energy that a spectral gradient (n, n) has on its diagonal, (n,).

    For a layer g(nu_i - nu_j) k(nu_j) it is |g(0)|^2/sum |g|^2 = <sigma'>^2/<sigma'^2> in every column (Parseval), as
    |k(nu_j)|^2 is common to a column; a ReLU's is its active fraction. A row mixes the k of all columns: no such law.
    Raises ValueError for a matrix that is not square or has an empty column.

    >>> column_shares(torch.tensor([[3.0, 0.0], [4.0, 2.0]])).tolist()
    [0.36, 1.0]
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix: expected (n, n), got {tuple(matrix.shape)}")
    energy = matrix.abs().double().pow(2)
    if bool((energy.sum(0) == 0).any()):
        raise ValueError("matrix: a column is zero, so its energy has no shares")
    return energy.diagonal() / energy.sum(0)


def row_share(row: Tensor, within: int) -> float:
    """Return `spectral_gradient.row_energy` round nu_i = (0, 0).

    >>> row_share(torch.tensor([[3.0, 4.0, 0.0]]), 0)
    0.36
    """
    return round(sg.row_energy(row, (0, 0), within), 12)


def softplus_rows(
    rms: Sequence[float], size: int, *, decay: float = 1.0, seed: int = 0
) -> tuple[dict[float, np.ndarray], dict[float, float], tuple[int, int]]:
    """Return a softplus layer's row at nu_i = (M/4, M/4) for several rms of Z: magnitudes, diagonal shares, nu_i.

    Magnitudes are centred (zero frequency in the middle) and relative to the largest; the kernel is the identity.
    """
    nu = (size // 4, size // 4)
    images, shares = {}, {}
    for value in rms:
        row = sg.layer_row(F.softplus, feature_field(size, decay=decay, rms=value, seed=seed), nu)[0]
        image = np.fft.fftshift(row.abs().numpy())
        images[value], shares[value] = image / image.max(), sg.row_energy(row, nu)
    return images, shares, nu


def small_kernel(channels: int, *, size: int = 16, seed: int = 0) -> tuple[float, float]:
    """Return (largest |K|, rms Z) of a 3 x 3 layer at He's initialisation with |X| < 1, X uniform: footnote 2's case.

    var Z = 9 C var K <X^2> = 2/3 whatever the number C of channels, while the entries of K shrink as 1/sqrt C.

    >>> small_kernel(64)[0] < 0.3 < small_kernel(64)[1]
    True
    """
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.uniform(-1, 1, (1, channels, size, size)))
    kernel = torch.from_numpy(rng.standard_normal((8, channels, 3, 3)) * np.sqrt(2 / (9 * channels)))
    z = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="circular"), kernel)
    return float(kernel.abs().max()), float(z.pow(2).mean().sqrt())


def removal_table(labels: Tensor, num_classes: int, size: int, nu_max: int, *, confidence: float = 4.0) -> pd.DataFrame:
    """Return what removing the features above nu_max does: part, before, after, moved (observation 4).

    Parts: "L_ce(0)"; "low", all L_ce(nu) with 0 < |nu| <= nu_max/2; "low with 0"; and "L_CE", all of them. before and
    after are sums over a part; moved = sum |L_after(nu) - L_before(nu)| / sum |L_before(nu)| weighs a part against
    itself, free of the cancellation in its sum. For a prediction on an LRG of `size` (`lrg_prediction`).
    Raises ValueError for a nu_max beyond the Nyquist limit of `size`.
    """
    features, tail = lrg_prediction(labels, num_classes, size, confidence=confidence)
    b = spectrum(sg.one_hot(labels, num_classes).double())
    shape = (labels.shape[0], labels.shape[1])
    before, after = (
        -(b.conj() * spectrum(torch.log_softmax(tail(x)[0], dim=0))).sum(0).real
        for x in (features, band_limit(features, nu_max))
    )
    zero, near = box_mask(shape, 0), box_mask(shape, nu_max // 2)
    masks = {"L_ce(0)": zero, "low": near & ~zero, "low with 0": near, "L_CE": torch.ones_like(zero)}
    lines = []
    for part, mask in masks.items():
        old, new = before[mask], after[mask]
        moved = float((new - old).abs().sum() / old.abs().sum())
        lines.append((part, float(old.sum()), float(new.sum()), moved))
    return pd.DataFrame(lines, columns=["part", "before", "after", "moved"])
