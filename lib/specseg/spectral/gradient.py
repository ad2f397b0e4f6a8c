"""Spectral gradients: Jacobians of layers and of single frequencies of the loss, in frequency (Eqs 4-8, A.7, A.8).

Convention of the book (`spectral.spectrum`): forward transform 1/N, none inverse, frequencies in the order of `fft2`,
raveled. The derivative with respect to x(nu_j) treats x(nu_j) and x(-nu_j) as independent, as the paper does, so that
dX(t)/dx(nu_j) = exp(2 pi j nu_j t) and a Jacobian J becomes F J F^-1. A kernel alone keeps the unnormalised DFT.
One-dimensional maps are frames of shape (1, N).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.2, A.7, A.8.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from specseg.spectral.labels import check_labels
from specseg.spectral.spectrum import signed_frequencies

Map = Callable[[Tensor], Tensor]


def _feature(x: Tensor, name: str = "x") -> Tensor:
    x = torch.as_tensor(x)
    if x.ndim != 4 or x.shape[0] != 1 or not x.is_floating_point():
        raise ValueError(f"{name}: expected a real tensor of shape (1, C, H, W), got {x.dtype} {tuple(x.shape)}")
    if not _finite(x):
        raise ValueError(f"{name}: expected finite values")
    return x.detach()


def _finite(x: Tensor) -> bool:
    return x.numel() == 0 or all(math.isfinite(value) for value in torch.aminmax(x.detach()))  # isfinite() is slower


def layer(fn: Map, x: Tensor) -> Tensor:
    """Return dy(nu_i)/dx(nu_j) of Eq. 5 for any map, exactly: F J F^-1 with J from autograd.

    `fn` maps one image (1, 1, H, W) to (1, 1, M, L). Returns complex (M*L, H*W): rows nu_i, columns nu_j.
    Raises ValueError for another shape. Cost: one backward pass per output pixel; use `layer_row` for single rows.

    >>> layer(lambda x: 3 * x, torch.zeros(1, 1, 1, 2)).real          # a scaling is diagonal
    tensor([[3., 0.],
            [0., 3.]])
    """
    x = _feature(x)
    y = fn(x)
    if x.shape[1] != 1 or y.ndim != 4 or y.shape[:2] != (1, 1):
        got = f"{tuple(x.shape)} -> {tuple(y.shape)}"
        raise ValueError(f"layer: expected a map (1, 1, H, W) -> (1, 1, M, L), got {got}")
    jacobian = torch.autograd.functional.jacobian(fn, x, vectorize=True).reshape(*y.shape[2:], *x.shape[2:])
    spectral = torch.fft.ifft2(torch.fft.fft2(jacobian, dim=(0, 1), norm="forward"), dim=(2, 3), norm="forward")
    return spectral.reshape(y[0, 0].numel(), x[0, 0].numel())


def layer_row(fn: Map, x: Tensor, nu_i: tuple[int, int], *, channel: int = 0) -> Tensor:
    """Return one row of Eq. 5, dy(nu_i, channel)/dx(nu_j, c) for all nu_j and c, in two backward passes.

    `fn` maps (1, C, H, W) to (1, D, M, L); `nu_i` = signed (u, v) on the output grid. Returns complex (C, H, W).
    Raises ValueError for wrong shapes and a nu_i beyond Nyquist.

    >>> layer_row(lambda x: 3 * x, torch.zeros(1, 1, 1, 2), (0, 1)).real
    tensor([[[0., 3.]]])
    """
    x = _feature(x).requires_grad_()
    y = fn(x)
    if y.ndim != 4 or y.shape[0] != 1 or not 0 <= channel < y.shape[1]:
        raise ValueError(f"layer_row: expected an output (1, D, M, L) with channel {channel}, got {tuple(y.shape)}")
    wave = _wave(tuple(y.shape[2:]), nu_i, y) / y[0, 0].numel()
    return _spectral_row(y[0, channel], wave.real, wave.imag, x)


def _wave(shape: tuple[int, int], nu: tuple[int, int], like: Tensor) -> Tensor:
    """Return exp(-2 pi j nu t) on the grid: multiplied with Y and averaged it gives y(nu)."""
    for k, n, axis in zip(nu, shape, ("u", "v"), strict=True):
        if abs(k) > n // 2:
            raise ValueError(f"nu_i: |{axis}| = {abs(k)} is beyond the Nyquist limit {n // 2} of {n} pixels")
    angles = (-2 * torch.pi / n * (int(k) * torch.arange(n) % n).double() for k, n in zip(nu, shape, strict=True))
    dtype = torch.complex128 if like.dtype == torch.float64 else torch.complex64
    rows, cols = (torch.polar(torch.ones_like(a), a).to(like.device, dtype) for a in angles)
    return rows[:, None] * cols[None, :]


def _spectral_row(y: Tensor, real: Tensor, imag: Tensor, x: Tensor) -> Tensor:
    # y(nu_i) is complex; autograd takes the weights of its two real parts through one graph, a backward pass for each.
    first = torch.autograd.grad(y, x, real, retain_graph=True)[0]
    second = torch.autograd.grad(y, x, imag)[0]
    return torch.fft.ifft2(torch.complex(first[0], second[0]), norm="forward")


def kernel_spectrum(kernel: Tensor, shape: tuple[int, int], *, correlation: bool = True) -> Tensor:
    """Return k(nu), the unnormalised DFT of a centred kernel on a grid, so that z = k x (Eq. 43), complex (H, W).

    `kernel`: real (kh, kw). torch's convolutions are correlations, Z(t) = sum_a K(a) X(t + a): their k is the conjugate
    of the convolution's (`correlation=False`, the paper's Eq. 4). Taps beyond the grid wrap round.

    >>> kernel_spectrum(torch.tensor([[0., 1., 0.]]), (1, 3)).real        # the identity
    tensor([[1., 1., 1.]])
    """
    kernel = torch.as_tensor(kernel)
    if kernel.ndim != 2 or not kernel.is_floating_point():
        raise ValueError(f"kernel: expected a real (kh, kw) tensor, got {kernel.dtype} {tuple(kernel.shape)}")
    padded = kernel.new_zeros(shape)
    kh, kw = kernel.shape
    rows, cols = (torch.arange(kh) - kh // 2) % shape[0], (torch.arange(kw) - kw // 2) % shape[1]
    k = torch.fft.fft2(padded.index_put_((rows[:, None], cols[None, :]), kernel, accumulate=True))
    return k.conj().resolve_conj() if correlation else k


def slope(activation: Map, z: Tensor) -> Tensor:
    """Return sigma'(Z) pointwise by autograd.

    >>> slope(torch.relu, torch.tensor([-1., 2.]))
    tensor([0., 1.])
    """
    z = torch.as_tensor(z).detach().clone().requires_grad_()
    return torch.autograd.grad(activation(z).sum(), z)[0]


def gather_differences(g: Tensor) -> Tensor:
    """Return the matrix g(nu_i - nu_j) of a spectrum g (H, W), rows and columns in raveled `fft2` order.

    >>> gather_differences(torch.tensor([[1., 2., 3.]]))
    tensor([[1., 3., 2.],
            [2., 1., 3.],
            [3., 2., 1.]])
    """
    h, w = g.shape
    rows, cols = (torch.arange(n)[:, None] - torch.arange(n)[None, :] for n in (h, w))
    matrix = g[(rows % h)[:, None, :, None], (cols % w)[None, :, None, :]]
    return matrix.reshape(h * w, h * w)


def conv_layer(kernel: Tensor, z: Tensor, activation: Map) -> Tensor:
    """Return dy(nu_i)/dx(nu_j) = g(nu_i - nu_j) k(nu_j) in closed form, g = F(sigma'(Z)): the exact form of Eq. 48.

    One channel, circular padding, stride 1, Y = sigma(K * X + bias) with pre-activation `z` (H, W); `kernel` (kh, kw).
    One FFT and a gather instead of a backward pass per pixel. Returns complex (H*W, H*W).
    Raises ValueError for a `z` that is no real (H, W) tensor.

    >>> z = torch.tensor([[1., -1.]])                                 # ReLU lets the first pixel through
    >>> conv_layer(torch.ones(1, 1), z, torch.relu).real
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    z = torch.as_tensor(z)
    if z.ndim != 2 or not z.is_floating_point():
        raise ValueError(f"z: expected a real (H, W) tensor, got {z.dtype} {tuple(z.shape)}")
    g = torch.fft.fft2(slope(activation, z), norm="forward")
    return gather_differences(g) * kernel_spectrum(kernel, (z.shape[0], z.shape[1])).flatten()


def loss_row(
    network_tail: Map, features: Tensor, labels: Tensor, nu_i: tuple[int, int], *, ignore_index: int = 255
) -> Tensor:
    """Return dL_ce(nu_i)/dx(nu_j, c) of Eq. 6 for all nu_j and channels c, exactly, in two backward passes.

    `network_tail` maps `features` (1, C, H, W) to logits (1, K, M, L); `labels` (M, L) whole numbers, `ignore_index`
    for void; `nu_i` = signed (u, v) on the label grid. L_ce(nu) = sum_c b(-nu, c) (y_p(nu) - y(nu, c)) as a mean over
    all pixels, with the mask of labelled pixels in y_p's place of 1. Returns complex (C, H, W) in `fft2` order.
    Raises ValueError for wrong shapes, labels out of range, logits that are not finite and a nu_i beyond Nyquist.

    >>> labels = torch.tensor([[0, 1]])
    >>> row = loss_row(lambda x: x, torch.zeros(1, 2, 1, 2), labels, (0, 1))
    >>> row.real[:, 0]                                # -b(-1, c) at nu_j = 1: b(1) = (1/2)(1, -1); 0 elsewhere
    tensor([[ 0.0000, -0.5000],
            [ 0.0000,  0.5000]])
    """
    x = _feature(features, "features").requires_grad_()
    logits = network_tail(x)
    if logits.ndim != 4 or logits.shape[0] != 1 or tuple(logits.shape[2:]) != tuple(labels.shape):
        got = f"{tuple(logits.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"labels: expected logits (1, K, M, L) and labels (M, L), got {got}")
    if not _finite(logits):
        raise ValueError("network_tail: the logits are not finite")
    wave = _wave(tuple(labels.shape), nu_i, logits)
    b = _label_spectrum(labels, logits.shape[1], wave, ignore_index).conj() / labels.numel()
    # dL(nu)/dY(t, c) = exp(-2 pi j nu t)/N [m(-nu) S(t, c) - b(-nu, c)], m = sum_c b: the logits' own backward pass
    with torch.no_grad():
        soft, mask = logits.softmax(1), b.sum() * wave
        weights = []
        for turn, part in ((1, mask.real), (-1j, mask.imag)):  # Im z = Re(-j z)
            turned = turn * wave
            each = soft * part.contiguous()
            each.addcmul_(b.real[:, None, None], turned.real.contiguous(), value=-1)
            weights.append(each.addcmul_(b.imag[:, None, None], turned.imag.contiguous()))
    return _spectral_row(logits, *weights, x)


def _label_spectrum(labels: Tensor, num_classes: int, wave: Tensor, ignore_index: int) -> Tensor:
    """Return b(nu, c) for the frequency of one wave, complex (num_classes,): each pixel's wave goes to its class."""
    labels = check_labels(labels, num_classes, ignore_index=ignore_index)
    index = torch.where(labels != ignore_index, labels, num_classes).flatten()
    parts = [torch.bincount(index, part.flatten().double(), num_classes + 1) for part in (wave.real, wave.imag)]
    return torch.complex(*parts)[:num_classes].to(wave.dtype) / labels.numel()


def distance(shape: tuple[int, int], nu: tuple[int, int]) -> Tensor:
    """Return how many bins each nu_j lies from nu, the larger of both axes, the spectrum being periodic.

    >>> distance((1, 5), (0, 1)).tolist()
    [[1, 0, 1, 2, 2]]
    """
    away = [signed_frequencies(n)[(torch.arange(n) - v) % n].abs() for v, n in zip(nu, shape, strict=True)]
    return torch.maximum(away[0][:, None], away[1][None, :])


def row_energy(row: Tensor, nu_i: tuple[int, int], within: int = 0) -> float:
    """Return the share of a row's energy |dy(nu_i)/dx(nu_j)|^2 with nu_j at most `within` bins from nu_i on each axis.

    `row` complex (..., H, W) on the input grid; a nu_i beyond its Nyquist limit is folded onto it (its alias).
    0 means the diagonal alone: a delta function holds 1. Raises ValueError where the row is zero.

    >>> row_energy(torch.tensor([[3., 0., 4.]]), (0, 0)), row_energy(torch.tensor([[3., 0., 4.]]), (0, 0), within=1)
    (0.36, 1.0)
    """
    energy = row.abs().double().pow(2).reshape(-1, *row.shape[-2:]).sum(0)
    total = float(energy.sum())
    if total == 0:
        raise ValueError("row: all entries are zero, so its energy has no shares")
    return float(energy[distance(tuple(energy.shape), nu_i) <= within].sum()) / total


def diagonal_error(z: Tensor, activation: Map = torch.nn.functional.softplus) -> float:
    """Return the relative Frobenius error of Eq. 5 against the exact spectral gradient: rms(sigma'(Z) - 1/2) / (1/2).

    It does not depend on the kernel: column nu_j of the difference is k(nu_j) F(sigma'(Z) - 1/2), whose norm Parseval
    turns into the rms.

    >>> round(diagonal_error(torch.zeros(2, 2)), 6), round(diagonal_error(torch.full((2, 2), 50.)), 6)
    (0.0, 1.0)
    """
    return float((slope(activation, z) - 0.5).pow(2).mean().sqrt()) * 2
