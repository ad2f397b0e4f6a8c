"""Feature truncation (section 3.2): decoder inputs brought to the low-resolution grid (LRG) by interpolation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import nn

from specseg.evidence.schema import one_of

METHODS = ("bilinear", "bilinear_half_pixel", "bilinear_antialias", "fourier")


def resize(x: torch.Tensor, size: int | Sequence[int]) -> torch.Tensor:
    """Return (B, C, h, w) features on another grid, bilinear, corners on corners; `x` itself when it is there.

    `size` is a square grid's side, or (height, width).

    >>> resize(torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]]), 3)[0, 0, 1].tolist()
    [1.0, 1.5, 2.0]
    """
    size = (size, size) if isinstance(size, int) else tuple(size)
    return x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=True)


@lru_cache(maxsize=64)
def fourier_matrix(grid: int, size: int) -> torch.Tensor:
    r"""Return the (size, grid) matrix of the ideal low pass :math:`|\nu| \le (size-1)/2`, read at the LRG's points.

    Row i evaluates the band-limited periodic signal of `grid` samples at t_i = i (grid - 1) / (size - 1), the place
    of LRG point i when corners lie on corners: sum over signed frequencies of exp(2 pi j nu (t_i - n) / grid) / grid,
    the Dirichlet kernel. `grid` and `size` are odd (LRG size = 2 nu_max + 1). Equal sizes give the identity.

    >>> torch.allclose(fourier_matrix(9, 9), torch.eye(9), atol=1e-6)
    True
    >>> bool((fourier_matrix(9, 3).sum(1) - 1).abs().max() < 1e-6)     # a constant stays
    True
    """
    t = torch.arange(size, dtype=torch.float64) * (grid - 1) / max(size - 1, 1)
    n = torch.arange(grid, dtype=torch.float64)
    nu = torch.arange(1, (size - 1) // 2 + 1, dtype=torch.float64)
    phase = 2 * torch.pi * (t[:, None] - n[None, :]) / grid
    return ((1 + 2 * torch.cos(phase[..., None] * nu).sum(-1)) / grid).float()


def truncate(x: torch.Tensor, size: int, *, grid: int, method: str = "bilinear") -> torch.Tensor:
    """Return the decoder input `x` (B, C, h, w) on the LRG of `size` points a side (section 3.2).

    The features are first thought on the prediction grid of `grid` points, then brought to the LRG. With `bilinear`
    (corners on corners, the main reading) the first step needs no work: the bilinear interpolant's knots are points
    of the prediction grid, so both steps together equal one. `bilinear_half_pixel` uses pixel centres,
    `bilinear_antialias` filters before sampling, `fourier` is the ideal low pass of nu_max = (size - 1) / 2 read at
    the same points. With size == grid every method returns the features on the prediction grid, bit for bit.

    Raises ValueError for an unknown method or a size that is even or not between 3 and `grid`.

    >>> ramp = torch.arange(9.0).expand(1, 1, 9, 9)
    >>> truncate(ramp, 3, grid=9)[0, 0, 0]                             # corners on corners
    tensor([0., 4., 8.])
    """
    check_size(size, grid)
    one_of("truncation", method, METHODS)
    if size == grid or method == "bilinear":
        return resize(x, size)
    x = resize(x, grid)
    if method == "fourier":
        m = fourier_matrix(grid, size).to(x)
        return m @ x @ m.T
    antialias = method == "bilinear_antialias"
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False, antialias=antialias)


def check_size(size: int, grid: int) -> int:
    """Return the LRG size if it is odd and from 3 to the prediction grid's size; raise ValueError otherwise."""
    if not isinstance(size, int) or size % 2 == 0 or not 3 <= size <= grid:
        raise ValueError(f"lrg_size {size!r}: expected an odd number (2 nu_max + 1) from 3 to the grid's {grid}")
    return size


class Truncatable(nn.Module):
    """A network whose decoder works on a low-resolution grid: its size and how features get there, to be changed.

    It gives `encode` and `decode`. `truncation` is how features get there: one of METHODS.
    """

    _lrg_size: int | None = None
    truncation = "bilinear"

    @property
    def lrg_size(self) -> int | None:
        """Side of the low-resolution grid on which the decoder works; None is its own grid."""
        return self._lrg_size

    @lrg_size.setter
    def lrg_size(self, size: int | None) -> None:
        self._lrg_size = None if size is None else check_size(size, getattr(self, "prediction_grid", size))

    def grid_logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits on the grid where they are predicted, before the final up-sampling."""
        return self.decode(self.encode(images))

    @contextmanager
    def truncated(self, lrg_size: int | None, truncation: str | None = None) -> Iterator[Truncatable]:
        """Use another LRG size, and another method, within a `with` block; then set back what was there."""
        before = self.lrg_size, self.truncation
        try:
            self.lrg_size, self.truncation = lrg_size, one_of("truncation", truncation or self.truncation, METHODS)
            yield self
        finally:
            self.lrg_size, self.truncation = before
