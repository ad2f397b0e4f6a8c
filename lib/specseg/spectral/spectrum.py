"""The DFT convention of the book, band limits, periodic and mirrored spectra, box and radial profiles (Eqs 9, 11, 16).

One convention everywhere: the forward transform carries 1/N and the inverse nothing (`norm="forward"`), frequencies are
signed and in cycles per frame, N is the number of pixels. An integral over t is then the mean over pixels, an integral
over nu the plain sum over bins, and Lemmas 3 and 4 hold without an extra factor.

Two boundaries:

- `periodic`: the frame is glued left to right and top to bottom, as the paper's DFT does.
- `mirrored`: the frame is extended to (2H, 2W) by half-sample symmetry (each edge pixel is repeated), so that nothing
  jumps at the frame; bin u of the extension is u/2 cycles per frame. This is the DCT-II
  (scipy.fft.dctn; Rao and Yip, Discrete Cosine Transform, 1990).

One-dimensional signals are frames of shape (1, N).
"""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

BOUNDARIES = ("periodic", "mirrored")


def check_boundary(boundary: str) -> str:
    """Return `boundary`, or raise ValueError that lists the known ones."""
    if boundary not in BOUNDARIES:
        raise ValueError(f"boundary {boundary!r}: expected one of {', '.join(BOUNDARIES)}")
    return boundary


def check_nu_max(nu_max: int, shape: tuple[int, int]) -> int:
    """Return `nu_max` as int, or raise ValueError where it is no whole number in 0 .. Nyquist of the (H, W) frame.

    >>> check_nu_max(256, (513, 513))
    256
    """
    if isinstance(nu_max, bool) or not isinstance(nu_max, Integral):
        raise ValueError(f"nu_max {nu_max!r}: expected a whole number of cycles per frame")
    nyquist = max(shape) // 2
    if not 0 <= nu_max <= nyquist:
        size = f"{shape[0]} x {shape[1]}"
        raise ValueError(f"nu_max {nu_max}: expected 0 .. {nyquist}, the Nyquist limit of a {size} frame")
    return int(nu_max)


def _frame(x) -> Tensor:
    x = torch.as_tensor(x)
    if x.ndim < 2 or x.shape[-1] == 0 or x.shape[-2] == 0:
        raise ValueError(f"a frame of shape (..., H, W) is needed, got {tuple(x.shape)}; give 1-D signals as (1, N)")
    if not (x.is_floating_point() or x.is_complex()):
        x = x.double()
    return x


def mirror(x) -> Tensor:
    """Extend (..., H, W) to (..., 2H, 2W) by half-sample symmetry.

    >>> mirror(torch.tensor([[1., 2., 3.]]))[0]
    tensor([1., 2., 3., 3., 2., 1.])
    """
    x = _frame(x)
    x = torch.cat([x, x.flip(-1)], dim=-1)
    return torch.cat([x, x.flip(-2)], dim=-2)


def spectrum(x, *, boundary: str = "periodic") -> Tensor:
    """Return x(nu) = (1/N) sum_t X(t) exp(-2 pi j nu t) over the last two axes: the transform F of section 2.

    `x`: (..., H, W), real or complex. Returns complex (..., H, W) in the order of `fft2` (`periodic`), or (..., 2H, 2W)
    of the mirrored extension, whose mean over its 4N pixels replaces the mean over N.
    Raises ValueError for an unknown boundary or fewer than two axes.

    >>> spectrum(torch.tensor([[1., 3.]]))           # mean 2, difference (1 - 3)/2
    tensor([[ 2.+0.j, -1.+0.j]])
    """
    check_boundary(boundary)
    x = _frame(x)
    return torch.fft.fft2(mirror(x) if boundary == "mirrored" else x, norm="forward")


def inverse(spec) -> Tensor:
    """Return the frame of a periodic spectrum: X(t) = sum_nu x(nu) exp(2 pi j nu t), complex (..., H, W).

    >>> inverse(spectrum(torch.tensor([[1., 3.]]))).real
    tensor([[1., 3.]])
    """
    return torch.fft.ifft2(_frame(spec), norm="forward")


def signed_frequencies(n: int) -> Tensor:
    """Return the signed integer frequencies of `n` samples in the order of `fft`.

    For even n the Nyquist bin stands at -n/2, as numpy has it: it is its own conjugate.

    >>> signed_frequencies(5).tolist(), signed_frequencies(4).tolist()
    ([0, 1, 2, -2, -1], [0, 1, -2, -1])
    """
    k = torch.arange(n)
    return torch.where(k < (n + 1) // 2, k, k - n)


def box_index(shape: tuple[int, int], *, boundary: str = "periodic", half: bool = False) -> Tensor:
    """Return for every bin the smallest nu_max whose box holds it: max(|u|, |v|), mirrored ceil(max(|u|, |v|)/2).

    `shape` is the frame's (H, W); the result has the spectrum's shape. `half` keeps only the bins of `rfft2`.
    Both boundaries measure in cycles per frame. The mirrored bins |u| = H and |v| = W are zero for every frame
    (half-sample symmetry); they are counted at the Nyquist limit, so that the largest box is the whole spectrum.

    >>> box_index((3, 3))
    tensor([[0, 1, 1],
            [1, 1, 1],
            [1, 1, 1]])
    """
    check_boundary(boundary)
    scale = 2 if boundary == "mirrored" else 1
    u, v = (signed_frequencies(scale * n).abs() for n in shape)
    if half:
        v = v[: scale * shape[1] // 2 + 1]
    index = torch.maximum(u[:, None], v[None, :])
    if scale == 2:
        index = (index + 1) // 2
    return index.clamp(max=max(shape) // 2)


def box_mask(shape: tuple[int, int], nu_max: int, *, boundary: str = "periodic") -> Tensor:
    """Return the symmetric box |u|, |v| <= nu_max of Eq. 9 as bool, in the spectrum's shape and order.

    `shape` is the frame's (H, W). Mirrored, the same physical band is |u|, |v| <= 2 nu_max on the (2H, 2W) grid.
    Raises ValueError where nu_max is beyond Nyquist.

    >>> int(box_mask((9, 9), 1).sum())               # LRG size 3: a 3 x 3 box
    9
    """
    nu_max = check_nu_max(nu_max, shape)
    return box_index(shape, boundary=boundary) <= nu_max


def band_limit(x, nu_max: int, *, boundary: str = "periodic") -> Tensor:
    """Return the real frame (..., H, W) without the frequencies outside the box of Eq. 9 (a projection).

    Raises ValueError for complex x, an unknown boundary or nu_max beyond Nyquist.

    >>> band_limit(torch.tensor([[1., 2., 6.]]), 0)
    tensor([[3., 3., 3.]])
    """
    x = _frame(x)
    if x.is_complex():
        raise ValueError("band_limit: expected a real frame, got a complex one")
    h, w = x.shape[-2:]
    nu_max = check_nu_max(nu_max, (h, w))
    keep = (box_index((h, w), boundary=boundary, half=True) <= nu_max).to(x.device)
    if boundary == "periodic":
        return torch.fft.irfft2(torch.fft.rfft2(x) * keep, s=(h, w))
    return torch.fft.irfft2(torch.fft.rfft2(mirror(x)) * keep, s=(2 * h, 2 * w))[..., :h, :w]


def cosine_spectrum(x) -> Tensor:
    """Return the mirrored spectrum without its phases: (1/N) sum_t X(t) cos(pi k (t + 1/2)/N) along both axes.

    `x` real (..., H, W); returns real (..., H, W), k = 0 .. H-1 in half cycles per frame. Bin (k, l) of
    `spectrum(x, boundary="mirrored")` has this modulus; it occurs 2^[k > 0] 2^[l > 0] times (see `multiplicity`).

    >>> cosine_spectrum(torch.tensor([[1., 3.]], dtype=torch.float64)).round(decimals=4)     # -cos(pi/4) for k = 1
    tensor([[ 2.0000, -0.7071]], dtype=torch.float64)
    """
    x = _frame(x)
    for dim in (-1, -2):
        x = _cosine(x.transpose(dim, -1)).transpose(dim, -1)
    return x


def _cosine(x: Tensor) -> Tensor:
    # Makhoul's reordering (IEEE Trans. ASSP 28, 1980): one real FFT of length n instead of one of length 2n.
    n = x.shape[-1]
    half = torch.fft.rfft(torch.cat([x[..., ::2], x[..., 1::2].flip(-1)], dim=-1), norm="forward")
    k = torch.arange(n, device=x.device)
    full = torch.cat([half, half[..., 1 : (n + 1) // 2].conj().flip(-1)], dim=-1)
    angle = torch.pi * k.to(x.dtype) / (2 * n)
    return (full * torch.polar(torch.ones_like(angle), -angle)).real


def multiplicity(shape: tuple[int, int], *, boundary: str = "periodic") -> Tensor:
    """Return how many bins of the full spectrum each kept bin stands for: of `rfft2` (`periodic`) or `cosine_spectrum`.

    >>> multiplicity((2, 4)), multiplicity((2, 2), boundary="mirrored")
    (tensor([[1., 2., 1.],
            [1., 2., 1.]], dtype=torch.float64), tensor([[1., 2.],
            [2., 4.]], dtype=torch.float64))
    """
    check_boundary(boundary)
    h, w = shape
    if boundary == "mirrored":
        u, v = (torch.full((n,), 2.0, dtype=torch.float64) for n in (h, w))
        u[0] = v[0] = 1.0
        return u[:, None] * v[None, :]
    v = torch.full((w // 2 + 1,), 2.0, dtype=torch.float64)
    v[0] = 1.0
    if w % 2 == 0:
        v[-1] = 1.0
    return v[None, :].expand(h, -1).clone()


def half_spectrum(x, *, boundary: str = "periodic") -> Tensor:
    """Return the bins of a real frame's spectrum that tell the rest: of `rfft2`, or `cosine_spectrum` (real)."""
    return torch.fft.rfft2(_frame(x), norm="forward") if check_boundary(boundary) == "periodic" else cosine_spectrum(x)


def rim_sums(values: Tensor, shape: tuple[int, int], *, boundary: str = "periodic") -> Tensor:
    """Return `box_profile` of a full spectrum from real values on the bins of `half_spectrum`: (..., nyquist + 1).

    `shape` is the frame's (H, W), which the bins alone do not tell.

    >>> rim_sums(torch.ones(3, 2), (3, 3))
    tensor([1., 8.])
    """
    index = box_index(shape, boundary=boundary, half=boundary == "periodic")[: shape[0], : shape[1]]
    values = values * multiplicity(shape, boundary=boundary).to(values)
    return _bin_sums(values, index, max(shape) // 2 + 1)


def rim_products(a: Tensor, b: Tensor, *, boundary: str = "periodic") -> Tensor:
    """Return Re sum over each rim of the boxes of conj(F a) F b, for real frames (..., H, W): (..., nyquist + 1).

    Over all rims it is the mean over pixels of a b (Lemma 3); with a = b the power of each rim.

    >>> x = torch.tensor([[1., 1., 0.]])
    >>> rim_products(x, x).round(decimals=4)                      # the mean 2/3 and twice |x(1)|^2 = 1/9
    tensor([0.4444, 0.2222])
    """
    one = half_spectrum(a, boundary=boundary)
    two = one if b is a else half_spectrum(b, boundary=boundary)
    return rim_sums((one.conj() * two).real, tuple(a.shape[-2:]), boundary=boundary)


def beyond(rims: Tensor) -> Tensor:
    """Return the sums of rims (..., nyquist + 1) beyond each band limit, without differences of large numbers.

    >>> beyond(torch.tensor([5.0, 3.0, 1.0]))
    tensor([4., 1., 0.])
    """
    return torch.cat([rims[..., 1:].flip(-1).cumsum(-1).flip(-1), torch.zeros_like(rims[..., :1])], -1)


def box_profile(values, *, boundary: str = "periodic") -> Tensor:
    """Return the sums of a full-spectrum array over the rims of the growing boxes: (..., nyquist + 1).

    `values`: real or complex (..., H, W), mirrored (..., 2H, 2W), in the order of `fft2`. The cumulated sum at nu_max
    is the sum over the box of Eq. 9.

    >>> box_profile(torch.ones(3, 3))
    tensor([1., 8.])
    """
    check_boundary(boundary)
    values = _frame(values)
    shape = tuple(values.shape[-2:])
    if boundary == "mirrored":
        shape = _halved(shape)
    return _bin_sums(values, box_index(shape, boundary=boundary), max(shape) // 2 + 1)


def _halved(shape: tuple[int, ...]) -> tuple[int, int]:
    if shape[0] % 2 or shape[1] % 2:
        raise ValueError(f"a mirrored spectrum has even sizes (2H, 2W), got {shape}")
    return shape[0] // 2, shape[1] // 2


def _bin_sums(values: Tensor, index: Tensor, length: int) -> Tensor:
    flat = values.reshape(*values.shape[:-2], -1)
    out = flat.new_zeros(*flat.shape[:-1], length)
    return out.index_add_(-1, index.flatten().to(values.device), flat)


def lrg_size(nu_max: int) -> int:
    """Return the size of the low-resolution grid that carries the box |u|, |v| <= nu_max: 2 nu_max + 1 (section 3.1).

    >>> [lrg_size(n) for n in (256, 64, 8)]
    [513, 129, 17]
    """
    if isinstance(nu_max, bool) or not isinstance(nu_max, Integral) or nu_max < 0:
        raise ValueError(f"nu_max {nu_max!r}: expected a whole number >= 0")
    return 2 * int(nu_max) + 1


def nu_max(lrg_size: int) -> int:
    """Return the band limit of a low-resolution grid of odd size: (size - 1)/2 (section 3.1: "half of the LRG size").

    Raises ValueError for an even size: its Nyquist bin has no partner, so the box would not be symmetric.

    >>> [nu_max(s) for s in (513, 65, 17)]
    [256, 32, 8]
    """
    if isinstance(lrg_size, bool) or not isinstance(lrg_size, Integral) or lrg_size < 1 or lrg_size % 2 == 0:
        raise ValueError(f"lrg_size {lrg_size!r}: expected an odd whole number >= 1")
    return (int(lrg_size) - 1) // 2
