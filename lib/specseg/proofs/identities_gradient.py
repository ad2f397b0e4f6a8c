"""Numerical checks of Eqs 4-7 and 41-54 on random tensors, each with a mutant that must not pass.

A check takes a generator and a frame (H, W) and returns `Checked(value, mutant)`: the relative residual of the
identity, and that of a version broken on purpose (a sign, a factor, a dropped term). `worst` repeats it over odd and
even frames of one and two dimensions. All in float64. Source of the equations: Chen, Chiu and Wu, arXiv 2012.14123.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.spectral import gradient as sg
from specseg.spectral.labels import one_hot
from specseg.spectral.spectrum import signed_frequencies, spectrum

SHAPES = ((1, 7), (1, 8), (5, 5), (4, 6), (3, 4), (6, 1))


class Checked(NamedTuple):
    """Residual of an identity and of its mutant, both relative to the size of the right-hand side."""

    value: float
    mutant: float


Check = Callable[[np.random.Generator, tuple[int, int]], Checked]


def worst(check: Check, *, draws: int = 20, seed: int = 0, shapes: Sequence[tuple[int, int]] = SHAPES) -> Checked:
    """Return the largest residual and the smallest mutant over `draws` random tensors, shapes in turn."""
    rng = np.random.default_rng(seed)
    seen = [check(rng, shapes[i % len(shapes)]) for i in range(draws)]
    return Checked(max(c.value for c in seen), min(c.mutant for c in seen))


def relative(left: Tensor, right: Tensor) -> float:
    """Return max |left - right| / max |right| (or the plain difference where `right` is zero)."""
    scale = float(right.abs().max())
    return float((left - right).abs().max()) / (scale if scale > 0 else 1.0)


def normal(rng: np.random.Generator, *shape: int) -> Tensor:
    """Return standard normal numbers as a float64 tensor."""
    return torch.from_numpy(rng.standard_normal(shape))


def random_labels(rng: np.random.Generator, shape: tuple[int, int], classes: int, *, void: bool) -> Tensor:
    """Return random labels; with `void`, the first pixel and about a fifth of the others are 255, the last is not."""
    labels = rng.integers(0, classes, shape)
    if void:
        labels[rng.random(shape) < 0.2] = 255
        labels.flat[0], labels.flat[-1] = 255, 0
    return torch.from_numpy(labels)


def kernel_for(rng: np.random.Generator, shape: tuple[int, int]) -> Tensor:
    """Return a random 3 x 3 kernel, 1 x 3 or 3 x 1 for one-dimensional frames."""
    return normal(rng, 1 if shape[0] == 1 else 3, 1 if shape[1] == 1 else 3)


def circular_conv(x: Tensor, kernel: Tensor) -> Tensor:
    """Return torch's convolution layer (a correlation) of (1, 1, H, W) with a centred kernel and circular padding.

    Frames narrower than the padding are wrapped by hand, which torch's own circular padding refuses.

    >>> circular_conv(torch.tensor([[[[1., 2., 3.]]]]), torch.tensor([[0., 0., 1.]]))     # X(t + 1)
    tensor([[[[2., 3., 1.]]]])
    """
    middle = [n // 2 for n in kernel.shape]
    taps = np.ndindex(tuple(kernel.shape))
    return sum(kernel[a, b] * torch.roll(x, (middle[0] - a, middle[1] - b), dims=(-2, -1)) for a, b in taps)


def eq04(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 4: Z(t) = sum_a K(a) X(t - a), log(1 + e^Z); torch's layer is it with the kernel turned by 180 degrees."""
    x, kernel = normal(rng, 1, 1, *shape), kernel_for(rng, shape)
    slow = torch.zeros(shape, dtype=torch.float64)
    for t in np.ndindex(shape):
        for a in np.ndindex(tuple(kernel.shape)):
            source = [(t[i] - (a[i] - kernel.shape[i] // 2)) % shape[i] for i in (0, 1)]
            slow[t] += kernel[a] * x[0, 0, source[0], source[1]]
    slow = torch.log(1 + torch.exp(slow))
    layers = [F.softplus(circular_conv(x, k))[0, 0] for k in (kernel.flip(0, 1), kernel)]
    return Checked(relative(layers[0], slow), relative(layers[1], slow))


def eq41(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 41 in frequency: y = F(sigma(F^-1(k x))) with the unnormalised k; the mutant gives the kernel 1/N too."""
    x, kernel = normal(rng, 1, 1, *shape), kernel_for(rng, shape)
    right = spectrum(F.softplus(circular_conv(x, kernel)))[0, 0]
    k = sg.kernel_spectrum(kernel, shape)
    left = [spectrum(F.softplus(torch.fft.ifft2(factor * k * spectrum(x), norm="forward").real))[0, 0]
            for factor in (1.0, 1.0 / x.numel())]  # fmt: skip
    return Checked(relative(left[0], right), relative(left[1], right))


def eq43(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 43: dz(i)/dx(j) = k(i) delta_ij, from autograd; the mutant forgets that torch correlates (k, not conj k)."""
    kernel = kernel_for(rng, shape)
    left = sg.layer(lambda x: circular_conv(x, kernel), normal(rng, 1, 1, *shape))
    right = [torch.diag(sg.kernel_spectrum(kernel, shape, correlation=c).flatten()) for c in (True, False)]
    return Checked(relative(left, right[0]), relative(left, right[1]))


def eq43_conventions(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, float]:
    """Return the residual of Eq. 43 with one transform for K, X and Z, for the paper's convolution Z = K * X (Eq. 41).

    A scale a of all three gives z = k x/a: the convolution theorem z = k x is the unnormalised transform's (a = 1).
    """
    kernel = kernel_for(rng, shape)
    left = sg.layer(lambda x: circular_conv(x, kernel.flip(0, 1)), normal(rng, 1, 1, *shape))
    k = sg.kernel_spectrum(kernel, shape, correlation=False).flatten()
    count = math.prod(shape)
    scales = {"unnormalised": 1.0, "orthonormal": count**-0.5, "1/N forward": 1 / count}
    found = {name: relative(torch.diag(a * k), left) for name, a in scales.items()}
    return found | {"unnormalised, a network's correlation": relative(torch.diag(k.conj()), left)}


def eq44(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 44: the identity map's spectral gradient is the Kronecker delta; the mutant shifts the map by one pixel."""
    x = normal(rng, 1, 1, *shape)
    right = torch.eye(x.numel(), dtype=torch.complex128)
    shifted = sg.layer(lambda v: torch.roll(v, (1, 1), dims=(-2, -1)), x)
    return Checked(relative(sg.layer(lambda v: 1 * v, x), right), relative(shifted, right))


def quadratic(z: Tensor) -> Tensor:
    """Return Eq. 45 without its remainder: log 2 + Z/2 + Z^2/8."""
    return math.log(2) + z / 2 + z**2 / 8


def eq46_conventions(n: int = 16, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Return for each convention (C, residual of Eq. 46 as printed, residual with its own constant C), relative.

    A transform with F(1) = C delta_0 has F(Z^2) = (1/C) z * z, so that the line reads C log 2 delta_0 + z/2 +
    (1/(8 C)) z * z. The DFT is scaled by 1/N forward (C = 1), not at all (N), by 1/sqrt N (sqrt N), or by 2 pi/N (the
    angular frequency's 2 pi). Printed is 2 pi for C in the first term and 1 in the last: no single convention.
    """
    spatial, found = normal(np.random.default_rng(seed), 1, n), {}
    scales = {"1/N forward": 1 / n, "unnormalised": 1.0, "orthonormal": n**-0.5, "angular": 2 * math.pi / n}
    for name, scale in scales.items():
        z, y = (scale * torch.fft.fft2(v) for v in (spatial, quadratic(spatial)))
        constant = scale * n
        forms = (_eq46(z, 2 * math.pi * math.log(2)), _eq46(z, constant * math.log(2), 1 / constant))
        found[name] = (constant, *(relative(form, y) for form in forms))
    return found


def _eq46(z: Tensor, constant: float, of_products: float = 1.0) -> Tensor:
    """Return constant delta_0 + z/2 + (of_products/8) sum_r z(i - r) z(r)."""
    right = z / 2 + of_products * (sg.gather_differences(z) @ z.flatten()).reshape(z.shape) / 8
    right[0, 0] += constant
    return right


def eq46(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 46 mended: F(log 2 + Z/2 + Z^2/8) = log 2 delta_0 + z/2 + (1/8) z * z; the mutant has the printed 2 pi."""
    spatial = normal(rng, *shape)
    z, y = spectrum(spatial), spectrum(quadratic(spatial))
    return Checked(relative(_eq46(z, math.log(2)), y), relative(_eq46(z, 2 * math.pi * math.log(2)), y))


def eq47(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 47: the quadratic activation has dy(i)/dz(j) = delta_ij/2 + z(i - j)/4; the mutant has 1/8 z(i - j)."""
    z = normal(rng, 1, 1, *shape)
    left = sg.layer(quadratic, z)
    eye = torch.eye(z.numel(), dtype=torch.complex128) / 2
    terms = sg.gather_differences(spectrum(z)[0, 0])
    return Checked(relative(eye + terms / 4, left), relative(eye + terms / 8, left))


def eq48(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 48: with the convolution, k(j) [delta_ij/2 + z(i - j)/4]; the mutant has k(i), not k(j)."""
    x, kernel = normal(rng, 1, 1, *shape), kernel_for(rng, shape)
    left = sg.layer(lambda v: quadratic(circular_conv(v, kernel)), x)
    z = spectrum(circular_conv(x, kernel))[0, 0]
    inner = torch.eye(x.numel(), dtype=torch.complex128) / 2 + sg.gather_differences(z) / 4
    k = sg.kernel_spectrum(kernel, shape).flatten()
    return Checked(relative(inner * k[None, :], left), relative(inner * k[:, None], left))


def exact_layer(rng: np.random.Generator, shape: tuple[int, int], activation: sg.Map = F.softplus) -> Checked:
    """The exact form of Eq. 48: g(i - j) k(j), g = F(sigma'(Z)), for any activation; the mutant has the slope 1/2."""
    x, kernel = normal(rng, 1, 1, *shape), kernel_for(rng, shape)
    left = sg.layer(lambda v: activation(circular_conv(v, kernel)), x)
    z = circular_conv(x, kernel)[0, 0]
    mutant = torch.diag(sg.kernel_spectrum(kernel, shape).flatten()) / 2
    return Checked(relative(sg.conv_layer(kernel, z, activation), left), relative(mutant, left))


def eq49(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eqs 5, 42, 49: the error of k(j) delta_ij/2 is 2 rms(sigma'(Z) - 1/2); the mutant keeps the term z(i - j)/4."""
    kernel, z = kernel_for(rng, shape), 1.5 * normal(rng, *shape)
    exact = sg.conv_layer(kernel, z, F.softplus)
    k = sg.kernel_spectrum(kernel, shape).flatten()
    eye = torch.eye(z.numel(), dtype=torch.complex128) / 2
    forms = [eye * k[None, :], (eye + sg.gather_differences(spectrum(z)) / 4) * k[None, :]]
    errors = [float((exact - f).norm() / forms[0].norm()) for f in forms]
    law = sg.diagonal_error(z)
    return Checked(abs(errors[0] - law) / law, abs(errors[1] - law) / law)


class Tail(NamedTuple):
    """A random last layer: logits y(c) = activation(K_c * X), its pre-activations, labels and spectra."""

    fn: sg.Map
    x: Tensor
    kernels: Tensor
    labels: Tensor
    probabilities: Tensor


def random_tail(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    void: bool,
    activation: sg.Map | None = None,
    scale: float = 1.0,
) -> Tail:
    """Return a random last layer, three classes, pre-activations of rms `scale`; no activation: a linear classifier."""
    x = normal(rng, 1, 1, *shape)
    kernels = [kernel_for(rng, shape) for _ in range(3)]
    kernels = [scale * k / circular_conv(x, k).pow(2).mean().sqrt() for k in kernels]

    def fn(v: Tensor) -> Tensor:
        z = torch.cat([circular_conv(v, k) for k in kernels], dim=1)
        return z if activation is None else activation(z)

    spectra = torch.stack([sg.kernel_spectrum(k, shape) for k in kernels])
    return Tail(fn, x, spectra, random_labels(rng, shape, 3, void=void), torch.softmax(fn(x)[0], dim=0))


def all_frequencies(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return all signed (u, v) in raveled `fft2` order."""
    return [(int(u), int(v)) for u in signed_frequencies(shape[0]) for v in signed_frequencies(shape[1])]


def eq51(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 51, first line: dL(i)/dx(j) = sum_c sum_q dL(i)/dy(q, c) dy(q, c)/dx(j), exact, softplus and void included.

    The mutant is the second line with the Jacobian of Eq. 5 in the chain, for pre-activations of rms 1.
    """
    tail = random_tail(rng, shape, void=True, activation=F.softplus)
    nu = all_frequencies(shape)[int(rng.integers(math.prod(shape)))]
    direct = sg.loss_row(tail.fn, tail.x, tail.labels, nu)[0].flatten()
    by_logit = sg.loss_row(lambda y: y, tail.fn(tail.x), tail.labels, nu)
    jacobians = [sg.layer(lambda v, c=c: tail.fn(v)[:, c : c + 1], tail.x) for c in range(len(tail.kernels))]
    chain = sum(by_logit[c].flatten() @ jacobians[c] for c in range(len(jacobians)))
    short = (by_logit * tail.kernels).sum(0).flatten() / 2
    return Checked(relative(chain, direct), relative(short, direct))


def eq52(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 52: dy_p(i)/dy(j, c) = s(i - j, c), from autograd; the mutant has s(j - i, c)."""
    logits, c = 2 * normal(rng, 1, 3, *shape), int(rng.integers(3))

    def partition(plane: Tensor) -> Tensor:
        planes = [plane if i == c else logits[:, i : i + 1] for i in range(3)]
        return torch.logsumexp(torch.cat(planes, dim=1), dim=1, keepdim=True)

    left = sg.layer(partition, logits[:, c : c + 1])
    right = sg.gather_differences(spectrum(torch.softmax(logits[0], dim=0)[c]))
    return Checked(relative(left, right), relative(left, right.T))


def eq53(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 53: sum_c b(-nu, c) is the Kronecker delta where every pixel has a label; the mutant has void pixels."""
    delta = torch.zeros(shape, dtype=torch.complex128)
    delta[0, 0] = 1
    sums = [spectrum(one_hot(random_labels(rng, shape, 3, void=v), 3).double()).sum(0) for v in (False, True)]
    return Checked(relative(sums[0], delta), relative(sums[1], delta))


def all_rows(tail: Tail) -> tuple[Tensor, Tensor, Tensor]:
    """Return (exact rows dL(i)/dx(j), rows of the mended Eq. 54, rows of dL(i)/dy(j, c) k(j, c)) for every nu_i.

    Each is complex (H*W, H, W), rows in the order of `fft2`. The exact ones are autograd's, of all L_ce(nu) of Eq. 2.
    Eq. 54, mended: sum_c k(nu_j, c) [m(-nu_i) s(nu_i - nu_j, c) - delta_ij b(-nu_i, c)], no factor 1/2, the mask's
    spectrum m for D_0, a Kronecker delta only without void.
    """
    planes = one_hot(tail.labels, len(tail.kernels)).double()
    b, logits = spectrum(planes).conj(), tail.fn(tail.x)

    def components(y: Tensor) -> Tensor:
        return torch.view_as_real(-(b * spectrum(torch.log_softmax(y[0], 0))).sum(0).flatten())

    def rows(fn: sg.Map, x: Tensor) -> Tensor:
        jacobian = torch.autograd.functional.jacobian(fn, x, vectorize=True)[:, :, 0]
        return torch.fft.ifft2(torch.complex(jacobian[:, 0], jacobian[:, 1]), norm="forward")

    s = spectrum(tail.probabilities)
    inner = b.sum(0).flatten()[:, None] * sum(
        sg.gather_differences(one) * k.flatten() for one, k in zip(s, tail.kernels, strict=True)
    )
    mended = (inner - torch.diag((tail.kernels * b).sum(0).flatten())).reshape(-1, *planes.shape[1:])
    by_logit = (rows(components, logits) * tail.kernels).sum(1)
    return rows(lambda x: components(tail.fn(x)), tail.x)[:, 0], mended, by_logit


def eq54(rng: np.random.Generator, shape: tuple[int, int], *, void: bool = False) -> Checked:
    """Eq. 54 as algebra: sum_c dL(i)/dy(j, c) k(j, c)/2 = sum_c k(j, c)/2 [delta_i0 s(-j, c) - delta_ij b(-i, c)].

    So Eq. 54 follows from Eqs 51 to 53 with Eq. 5 in the chain; with void the mask's spectrum stands for delta_i0.
    The mutant has +b.
    """
    tail = random_tail(rng, shape, void=void, activation=F.softplus)
    _, right, left = all_rows(tail)
    minus = spectrum(one_hot(tail.labels, 3).double()).conj()  # b(-nu, c)
    mutant = right + 2 * torch.diag((tail.kernels * minus).sum(0).flatten()).reshape(right.shape)
    return Checked(relative(left / 2, right / 2), relative(left / 2, mutant / 2))


def linear_tail(rng: np.random.Generator, shape: tuple[int, int], *, void: bool = True) -> Checked:
    """Eqs 6, 50, 54 mended: exact for a linear last layer without the 1/2; the mutant is the printed half."""
    left, right, _ = all_rows(random_tail(rng, shape, void=void))
    return Checked(relative(left, right), relative(left, right / 2))


def eq07(rng: np.random.Generator, shape: tuple[int, int]) -> Checked:
    """Eq. 7, mended: for a linear last layer without void all of row nu_i != 0 stands at nu_j = nu_i.

    Value: the largest entry off the diagonal (nu_j = 0 included) of these rows over the largest of all rows, since
    labels of one class alone leave these rows empty. The mutant has void pixels.
    """
    ratios = []
    for void in (False, True):
        rows = all_rows(random_tail(rng, shape, void=void))[0].flatten(1)
        off = rows - torch.diag(rows.diagonal())
        ratios.append(float(off[1:].abs().max() / rows.abs().max()))
    return Checked(*ratios)


def softplus_tail(rng: np.random.Generator, shape: tuple[int, int], *, scale: float) -> tuple[float, float]:
    """Return what Eqs 6 and 7 as printed err by for a softplus last layer, rms Z = `scale`, without void.

    The relative L2 error over all rows, and the share of energy off the diagonal of the rows nu_i != 0, nu_j != 0.
    """
    exact, linear, _ = all_rows(random_tail(rng, shape, void=False, activation=F.softplus, scale=scale))
    energy = exact.flatten(1)[1:, 1:].abs().pow(2)
    return float((linear / 2 - exact).norm() / exact.norm()), 1 - float(energy.diagonal().sum() / energy.sum())
