"""What labels alone say about truncation and blocks: ceilings, contour density, energy beyond the band, per picture.

No network is needed for any of these: they are the rivals of R_ce (section 3.2). All act on the test's own frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from specseg.data.label_spectra import rim_power
from specseg.evidence.statistics import class_counts
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

KINDS = ("block_majority", "block_nearest", "band_periodic", "band_mirrored")


class LabelCounts(NamedTuple):
    """Per picture: `counts` (kinds, sizes, pictures, C, 3) of weak labels against true ones; `density` (pictures,) in
    contour length per area times the frame's side; `beyond` (sizes, pictures) share of label energy (nu != 0) above
    the band, periodic; `names` of the pictures.
    """

    lrg_sizes: tuple[int, ...]
    names: list[str]
    counts: np.ndarray
    density: np.ndarray
    beyond: np.ndarray


def label_counts(
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]], num_classes: int, lrg_sizes: Sequence[int]
) -> LabelCounts:
    """Return the counts of block-wise and band-limited labels at each LRG size, and what contours and spectra say.

    `batches` yield images (not read), labels (B, s, s), names. Weak labels keep void. Raises ValueError without one.

    >>> labels = torch.zeros(1, 9, 9, dtype=torch.long); labels[:, :, 4:] = 1
    >>> got = label_counts([(None, labels, ["a"])], 2, [9, 3]); got.counts.shape, got.counts[0, 0, 0].tolist()
    ((4, 2, 1, 2, 3), [[36, 36, 36], [45, 45, 45]])
    """
    names, counts, density, beyond = [], [], [], []
    for _, labels, who in batches:
        for label, name in zip(labels, who, strict=True):
            made = [[_weak(kind, label, size) for size in lrg_sizes] for kind in KINDS]
            part = [[_counted(weak, label, num_classes) for weak in row] for row in made]
            rims = rim_power((label[None] == torch.arange(num_classes)[:, None, None]).double())[1:]
            tail = [float(rims[sp.nu_max(size) :].sum() / rims.sum().clamp(min=1e-300)) for size in lrg_sizes]
            names.append(name)
            counts.append(part)
            beyond.append(tail)
            density.append(_density(label, num_classes))
    if not names:
        raise ValueError("batches: expected at least one picture")
    return LabelCounts(tuple(lrg_sizes), names, np.moveaxis(np.array(counts), 0, 2), np.array(density),
                       np.array(beyond).T)  # fmt: skip


def _density(label: Tensor, num_classes: int) -> float:
    """Contour length per area, times the frame's side: void is filled first, each contour counts once."""
    if not bool((label != 255).any()):
        return 0.0
    length = annotation.perimeter(annotation.fill_void(label), num_classes).sum() / 2
    return float(length) / label.numel() * label.shape[-1]


def _weak(kind: str, label: Tensor, size: int) -> Tensor:
    if kind.startswith("block"):
        return annotation.block_labels(label, mode=kind.removeprefix("block_"), lrg_size=size)
    return annotation.band_limited_labels(label, sp.nu_max(size), kind.removeprefix("band_"))


def _counted(weak: Tensor, label: Tensor, num_classes: int) -> np.ndarray:
    seen = torch.where(weak == 255, 255, label)
    return class_counts(torch.where(weak == 255, 0, weak)[None], seen[None], num_classes)[0]
