"""What one framed label map says: areas, contours, spectra, and how weak labels of every size score against it.

All numbers add up over maps. Void takes its nearest label before anything is made weak, for a contour under a void
border is still a contour; scores then leave void pixels out, as evaluations do ("labelled"), or not ("everywhere").
Frames are mirrored at their edges. The modules of `specseg.spectral` hold the same quantities in
their plain form; here they share their work, so that a thousand maps take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from specseg.advise import frames
from specseg.advise import settings as st
from specseg.advise.folder import Item
from specseg.advise.maps import Reader
from specseg.data import label_spectra
from specseg.data.datasets import VOID
from specseg.spectral import iou
from specseg.spectral import labels as annotation
from specseg.spectral import laws as annotation_laws
from specseg.spectral import spectrum as sp

COUNTS = ("pred", "hit", "pred_all", "hit_all", "edge", "edge_hit")
TRUTHS = ("truth", "truth_all", "edge_truth")


@dataclass(frozen=True)
class Grid:
    """The sizes of a run: frame, band limits of the band-limited and of the block-wise labels, width of a boundary.

    `width`: of the boundary region in pixels, 2 % of the frame's diagonal as in Cheng et al. 2021.
    """

    size: int
    band: tuple[int, ...]
    blocks: tuple[int, ...]
    width: int

    @staticmethod
    def of(size: int) -> Grid:
        """Return the grid of a frame's size.

        >>> Grid.of(513).width, Grid.of(129).band
        (15, (16, 12, 10, 8, 6, 4, 2))
        """
        width = max(1, round(0.02 * size * 2**0.5))
        return Grid(size, st.scaled(size, st.LIMITS_513), st.scaled(size, st.BLOCKS_513), width)

    @property
    def variants(self) -> list[tuple[str, int]]:
        """Every weak label that is scored: (kind, nu_max)."""
        blocks = [(kind, nu) for kind in st.KINDS[1:] for nu in self.blocks]
        return [("band", nu) for nu in self.band] + blocks


@dataclass(frozen=True)
class Context:
    """What a worker needs: the folder's reader, the class count, the grids, and for logits their folder and T."""

    reader: Reader
    num_classes: int
    grid: Grid
    logits: Path | None = None
    temperature: float = 1.0
    probabilities: bool = False


def label_numbers(context: Context, item: Item) -> dict[str, np.ndarray] | None:
    """Return `measure` of one file's map in the frame: the work of a chunk."""
    framed = frames.label(context.reader.classes(item), item.window, context.grid.size)
    return measure(framed, context.num_classes, context.grid)


def measure(label: np.ndarray, num_classes: int, grid: Grid) -> dict[str, np.ndarray] | None:
    """Return the numbers of one framed label map (size, size), 255 = void; None where every pixel is void.

    `counts` (V, 6, C): pixels of each of `Grid.variants`, in the order of COUNTS: predicted and hit, over labelled and
    over all pixels, then in the boundary region. `truths` (3, C): TRUTHS. `crossings` (C, 4): as
    `labels.transitions` of the filled map. `rims` (C, top + 1): energy of each class plane on the rims up to the
    largest band limit, as `label_spectra.rim_power`, mirrored. `bound` (C, L): `laws.tail_bound`. `mixed`
    (L,): blocks with more than one class. `void`: share of void. `regions` (C,): whether a class is in the map.
    """
    void = label == VOID
    if void.all():
        return None
    filled = label
    if void.any():
        filled = annotation.fill_void(torch.from_numpy(label.astype(np.int64))).numpy()
    filled = np.ascontiguousarray(filled, dtype=np.uint8)
    crossings = annotation.transitions(torch.from_numpy(filled), num_classes).numpy()
    classes = np.flatnonzero(np.bincount(filled.ravel(), minlength=num_classes)).astype(np.uint8)
    planes = np.stack([filled == c for c in classes])
    coefficients = _coefficients(planes, grid)
    rims = np.zeros((num_classes, max(grid.band) + 1))
    rims[classes] = _rims(coefficients, planes, grid)
    scorer = _Scorer(filled, void, num_classes, grid.width)
    counts = [scorer.score(classes[winner]) for winner in _band_maps(coefficients, grid)]
    majority, nearest, mixed = [], [], []
    sums = [plane.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32) for plane in planes]
    for nu in grid.blocks:
        (points, cell), (starts, ends) = _cells(grid.size, sp.lrg_size(nu))
        votes = np.stack([_block_sums(total, starts, ends) for total in sums])
        mixed.append(int(((votes > 0).sum(0) > 1).sum()))
        majority.append(scorer.score(classes[votes.argmax(0)][cell][:, cell]))
        nearest.append(scorer.score(filled[points[cell]][:, points[cell]]))
    present = np.zeros(num_classes)
    present[classes] = 1
    return {
        "counts": np.stack([*counts, *majority, *nearest]).astype(np.int32),
        "truths": scorer.truths().astype(np.int32),
        "crossings": crossings.astype(np.int32),
        "rims": rims.astype(np.float32),
        "bound": _bound(crossings, rims.shape[0], scorer.truths()[1], grid).astype(np.float32),
        "mixed": np.array(mixed, np.int32),
        "void": np.array(void.mean()),
        "regions": present.astype(np.int32),
    }


class _Scorer:
    """Counts of weak labels against one map: one pass over the pixels a weak label."""

    def __init__(self, filled: np.ndarray, void: np.ndarray, num_classes: int, width: int) -> None:
        self.filled, self.num_classes, self.width = filled, num_classes, width
        self.void = void if void.any() else None
        self.edge = self._edge(filled)
        self.flags = (self.edge.astype(np.uint16) << 3) | (void.astype(np.uint16) << 1)

    def _edge(self, classes: np.ndarray) -> np.ndarray:
        shown = classes if self.void is None else np.where(self.void, np.uint8(VOID), classes)
        near = iou.near_contour(torch.from_numpy(shown), self.width, VOID).numpy()
        return near if self.void is None else near & ~self.void  # void is taken out of both maps first (iou)

    def truths(self) -> np.ndarray:
        n = self.num_classes
        labelled = self.filled if self.void is None else self.filled[~self.void]
        return np.stack([np.bincount(x.ravel(), minlength=n) for x in (labelled, self.filled, self.filled[self.edge])])

    def score(self, weak: np.ndarray) -> np.ndarray:
        """Return COUNTS of one weak label map, (6, C)."""
        weak = np.ascontiguousarray(weak, dtype=np.uint8)
        code = weak.astype(np.uint16) << 4
        code |= self.flags
        code |= (weak == self.filled).astype(np.uint16)
        code |= self._edge(weak).astype(np.uint16) << 2
        found = np.bincount(code.ravel(), minlength=16 * self.num_classes).reshape(self.num_classes, 2, 2, 2, 2)
        # axes: class, in the truth's boundary, in its own boundary, void, hit
        labelled = found[:, :, :, 0]
        edge_hit = labelled[:, 1, 1, 1]
        return np.stack([labelled.sum((1, 2, 3)), labelled[..., 1].sum((1, 2)), found.sum((1, 2, 3, 4)),
                         found[..., 1].sum((1, 2, 3)), labelled[:, :, 1].sum((1, 2)), edge_hit])  # fmt: skip


@lru_cache(maxsize=8)
def _basis(size: int, top: int) -> torch.Tensor:
    return label_spectra.basis(size, top, boundary="mirrored").float()


def _coefficients(planes: np.ndarray, grid: Grid) -> torch.Tensor:
    """Orthonormal cosine coefficients of the class planes up to the largest band limit, float32 (classes, K, K)."""
    basis = _basis(grid.size, max(grid.band))
    return basis.T @ torch.from_numpy(planes).float() @ basis


def _rims(coefficients: torch.Tensor, planes: np.ndarray, grid: Grid) -> np.ndarray:
    energy = coefficients.double().square().numpy() / grid.size**2
    share = planes.mean((1, 2))
    energy[:, 0, 0] = share**2  # exact: the mean outweighs the tail a thousand times
    k = np.arange(energy.shape[-1])
    index = ((np.maximum(k[:, None], k[None, :]) + 1) // 2).ravel()
    length = max(grid.band) + 1
    return np.stack([np.bincount(index, weights=e.ravel(), minlength=length) for e in energy])


def _band_maps(coefficients: torch.Tensor, grid: Grid) -> Iterator[np.ndarray]:
    """Yield for each band limit the place (among the classes present) of the largest band-limited plane, (size, size).

    The planes of a filled map add up to one, so the last band-limited plane is one minus the others.
    """
    basis, count = _basis(grid.size, max(grid.band)), coefficients.shape[0]
    low, best, rest = (torch.empty(grid.size, grid.size) for _ in range(3))
    better, winner = torch.empty(low.shape, dtype=torch.bool), torch.empty(low.shape, dtype=torch.uint8)
    for nu in grid.band:
        k = 2 * nu + 1
        best.fill_(-torch.inf)
        rest.fill_(1.0)
        for c in range(count):
            if c < count - 1:
                torch.mm(basis[:, :k] @ coefficients[c, :k, :k], basis[:, :k].T, out=low)
                rest.sub_(low)
            else:
                low.copy_(rest)
            winner.masked_fill_(torch.gt(low, best, out=better), c)
            torch.maximum(low, best, out=best)
        yield winner.numpy()


@lru_cache(maxsize=32)
def _cells(size: int, lrg_size: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (points, point of each pixel) of `labels.cells`, and the first pixel and the end of each block."""
    points, cell = (x.numpy() for x in annotation.cells(size, lrg_size))
    starts = np.searchsorted(cell, np.arange(lrg_size))
    return (points, cell), (starts, np.append(starts[1:], size))


def _block_sums(total: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the sums over blocks from the sums over all pixels above and to the left."""
    padded = np.pad(total, ((1, 0), (1, 0)))
    rows = padded[ends] - padded[starts]
    return rows[:, ends] - rows[:, starts]


def _bound(crossings: np.ndarray, num_classes: int, area: np.ndarray, grid: Grid) -> np.ndarray:
    """`laws.tail_bound` of the filled, mirrored frame, (C, limits), from the counts at hand."""
    share = (area / area.sum())[:, None]
    factor = np.array([_constant(2 * grid.size, 2 * nu) for nu in grid.band])
    per_pixel = (crossings[:, 0] + crossings[:, 1])[:, None] / grid.size**2
    return np.minimum(per_pixel * factor[None, :], share * (1 - share)).reshape(num_classes, -1)


@lru_cache(maxsize=64)
def _constant(n: int, nu_max: int) -> float:
    return annotation_laws.bound_constant(n, nu_max)
