"""What one framed label map says: areas, contours, spectra, and how weak labels of every kind and size score.

All numbers add up over maps. By default void takes its nearest label before anything is made weak, for a contour under
a void border is still a contour; scores then leave void pixels out, as evaluations do ("labelled"), or not
("everywhere"). "masked" leaves void out of the planes and the blocks instead. The modules of `specseg.spectral` hold
the same quantities in their plain form; here they share their work, so that a thousand maps take minutes.
FFT convention: `spectral.spectrum` (forward 1/N, nu in cycles per frame, box |u|, |v| <= nu_max).
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1, 3.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from specseg.data import label_spectra, polygons
from specseg.spectral import iou, laws
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

VOID = 255
VOIDS = ("filled", "masked")
BANDS = {"periodic": "periodic", "mirrored": "band"}  # the kind of weak label that a boundary's band limit makes
COUNTS = ("pred", "hit", "pred_all", "hit_all", "edge", "edge_hit")
TRUTHS = ("truth", "truth_all", "edge_truth")


@dataclass(frozen=True)
class Plan:
    """What is measured of a map of `size` pixels a side.

    `band`: limits of the band-limited labels, under each of `boundaries`. `blocks`: of block-wise labels. `coarse`:
    limits at which polygons with as many values stand beside blocks. `width`: of the boundary region in pixels, 0 for
    none. `void`: one of VOIDS. `whole`: spectra up to Nyquist, and energies near contours.
    Raises ValueError for an unknown word.
    """

    size: int
    band: tuple[int, ...]
    blocks: tuple[int, ...] = ()
    coarse: tuple[int, ...] = ()
    boundaries: tuple[str, ...] = ("mirrored",)
    width: int = 0
    void: str = "filled"
    whole: bool = False

    def __post_init__(self) -> None:
        if self.void not in VOIDS:
            raise ValueError(f"void {self.void!r}: expected one of {', '.join(VOIDS)}")
        for nu in self.band:
            sp.check_nu_max(nu, (self.size, self.size))
        for boundary in self.boundaries:
            sp.check_boundary(boundary)

    @property
    def variants(self) -> list[tuple[str, int]]:
        """Every weak label that is scored: (kind, nu_max)."""
        bands = [(BANDS[boundary], nu) for boundary in self.boundaries for nu in self.band]
        return bands + [(kind, nu) for kind in ("majority", "nearest") for nu in self.blocks]


def measure(label: np.ndarray, num_classes: int, plan: Plan) -> dict[str, np.ndarray] | None:
    """Return the numbers of one framed label map (size, size), 255 = void; None where every pixel is void.

    `counts` (V, 6, C): pixels of each of `Plan.variants`, in the order of COUNTS: predicted and hit, over labelled and
    over all pixels, then in the boundary region. `known` (V, C): labelled pixels where the weak label says something
    (a block of masked void does not). `truths` (3, C): TRUTHS. `crossings` (C, 4): `labels.transitions` of the filled
    map. `rims` (B, C, top + 1): energy of each class plane on the rims up to the largest band limit, as
    `label_spectra.rim_power`, for each boundary. `bound` (C, L): `laws.tail_bound`, mirrored. `mixed` (blocks,): blocks
    with more than one class. `void`: share of void. `regions` (C,): whether a class is in the map. `whole` adds `power`
    (B, Nyquist + 1): `rim_power` of all planes together, and `near` (B, L): the energy beyond each limit that lies
    within one LRG cell, size/(2 nu_max + 1), of a contour. `coarse` adds what `_coarse` gives.
    Raises ValueError for a class outside 0 .. C-1.
    """
    label = np.asarray(label)
    void = label == VOID
    if void.all():
        return None
    found = np.bincount(label.ravel(), minlength=256)
    if len(found) > 256 or found[num_classes:VOID].any():
        top = int(label[~void].max())
        raise ValueError(f"label: classes up to {top}, expected 0 .. {num_classes - 1} or {VOID}")
    filled = label
    if void.any():
        filled = annotation.fill_void(torch.from_numpy(label.astype(np.int64))).numpy()
    filled = np.ascontiguousarray(filled, dtype=np.uint8)
    crossings = annotation.transitions(torch.from_numpy(filled), num_classes).numpy()
    seen = filled if plan.void == "filled" else np.ascontiguousarray(label, dtype=np.uint8)
    present = np.bincount(seen.ravel(), minlength=256)[:num_classes] > 0
    classes = np.flatnonzero(present).astype(np.uint8)
    planes = np.stack([seen == c for c in classes])
    scorer = _Scorer(seen, void, num_classes, plan)
    out = {"truths": scorer.truths.astype(np.int32), "crossings": crossings.astype(np.int32),
           "void": np.array(void.mean()), "regions": present.astype(np.int32)}  # fmt: skip
    bands = [_bands(planes, classes, num_classes, seen, boundary, scorer, plan) for boundary in plan.boundaries]
    rows = [row for band in bands for row in band.pop("counts")]
    out |= {key: np.stack([band[key] for band in bands]) for key in bands[0]}
    rows += _blocks(classes, seen, scorer, plan, out)
    scored = np.stack(rows).astype(np.int32)
    out |= {"counts": scored[:, : len(COUNTS)], "known": scored[:, len(COUNTS)]}
    if plan.void == "filled":
        out["bound"] = _bound(crossings, scorer.truths[1], plan).astype(np.float32)
    for nu in plan.coarse:
        out |= {f"{key}_{nu}": value for key, value in _coarse(filled, void, num_classes, nu).items()}
    return out


def class_scores(numbers: Mapping[str, np.ndarray], *, where: str = "") -> np.ndarray:
    """Return pixels hit, labelled and predicted of every variant, void left out or ("_all") not, (..., V, C, 3)."""
    pred, hit = (numbers["counts"][..., COUNTS.index(k + where), :] for k in ("pred", "hit"))
    truth = np.broadcast_to(numbers["truths"][..., None, 1, :], hit.shape) if where else numbers["known"]
    return np.stack([hit, truth, pred], -1)


class _Scorer:
    """Counts of weak labels against one map: one pass over the pixels a weak label."""

    def __init__(self, seen: np.ndarray, void: np.ndarray, num_classes: int, plan: Plan) -> None:
        self.seen, self.num_classes, self.plan = seen, num_classes, plan
        self.void = void if void.any() else None
        self.edge = self._edge(seen)
        self.flags = (self.edge.astype(np.uint16) << 3) | (void.astype(np.uint16) << 1)
        sets = (seen[~void], seen, seen[self.edge])
        self.truths = np.stack([self._count(x) for x in sets])

    def _count(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes.ravel(), minlength=256)[: self.num_classes]

    def _edge(self, classes: np.ndarray) -> np.ndarray:
        if not self.plan.width:
            return np.zeros(classes.shape, bool)
        shown = classes if self.void is None else np.where(self.void, np.uint8(VOID), classes)
        near = iou.near_contour(torch.from_numpy(shown), self.plan.width, VOID).numpy()
        return near if self.void is None else near & ~self.void  # void is taken out of both maps first (iou)

    def score(self, weak: np.ndarray) -> np.ndarray:
        """Return COUNTS of one weak label map, and the true labels where it has one too, (7, C)."""
        weak = np.ascontiguousarray(weak, dtype=np.uint8)
        code = weak.astype(np.uint16) << 4
        code |= self.flags
        code |= (weak == self.seen).astype(np.uint16)
        code |= self._edge(weak).astype(np.uint16) << 2
        found = np.bincount(code.ravel(), minlength=4096).reshape(256, 2, 2, 2, 2)[: self.num_classes]
        # axes: class, in the truth's boundary, in its own boundary, void, hit
        labelled, known, silent = found[:, :, :, 0], self.truths[0], weak == VOID
        if silent.any():
            known = self._count(self.seen[~(silent | (self.flags & 2 > 0))])
        return np.stack([labelled.sum((1, 2, 3)), labelled[..., 1].sum((1, 2)), found.sum((1, 2, 3, 4)),
                         found[..., 1].sum((1, 2, 3)), labelled[:, :, 1].sum((1, 2)), labelled[:, 1, 1, 1],
                         known])  # fmt: skip


def _bands(planes, classes, num_classes: int, seen, boundary: str, scorer: _Scorer, plan: Plan) -> dict:
    """Return rims, and the counts of band-limited labels, under one boundary; with `whole` power and near."""
    columns = label_spectra.basis(plan.size, max(plan.band), boundary=boundary)
    exact = torch.from_numpy(planes).double()
    coefficients = columns.T @ exact @ columns
    rims = np.zeros((num_classes, max(plan.band) + 1))
    rims[classes] = _rims(coefficients, plan.size)
    out: dict = {"rims": rims, "counts": []}
    distance = None
    if plan.whole:
        reach = int(plan.size / min(2 * nu + 1 for nu in plan.band)) + 2
        distance = label_spectra.contour_distance(seen, boundary=boundary, reach=reach)
        out |= {"power": label_spectra.rim_power(exact, boundary=boundary).numpy(), "near": []}
    for nu, (winner, rest) in zip(plan.band, _contests(exact, coefficients, columns, plan), strict=True):
        out["counts"].append(scorer.score(classes[winner]))
        if distance is not None:
            near = rest * (distance <= plan.size / sp.lrg_size(nu))
            out["near"].append(float(near.mean(dtype=torch.float64)))
    return out


def _rims(coefficients: Tensor, size: int) -> np.ndarray:
    energy = coefficients.square().numpy() / size**2
    k = np.arange(energy.shape[-1])
    index = ((np.maximum(k[:, None], k[None, :]) + 1) // 2).ravel()
    return np.stack([np.bincount(index, weights=e.ravel()) for e in energy])


def _contests(planes: Tensor, coefficients: Tensor, columns: Tensor, plan: Plan) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Yield for each limit the place of the class whose band-limited plane is largest, and sum_c (B - low B)^2, (H, W).

    Single precision decides the contest (its 1e-7 moves no contour by a pixel); buffers are used again, since on whole
    frames fresh memory costs more than the sums. The second is computed for a `whole` plan only.
    """
    columns, coefficients = columns.float(), coefficients.float()
    planes = planes.float() if plan.whole else planes
    low, best, rest = (torch.empty(plan.size, plan.size) for _ in range(3))
    better, winner = torch.empty(low.shape, dtype=torch.bool), torch.empty(low.shape, dtype=torch.uint8)
    for nu in plan.band:
        k = 2 * nu + 1
        best.fill_(-torch.inf)
        rest.zero_()
        for c, (plane, weights) in enumerate(zip(planes, coefficients, strict=True)):
            torch.mm(columns[:, :k] @ weights[:k, :k], columns[:, :k].T, out=low)
            winner.masked_fill_(torch.gt(low, best, out=better), c)
            torch.maximum(low, best, out=best)
            if plan.whole:
                rest.add_(torch.sub(plane, low, out=low).square_())
        yield winner.numpy(), rest


def _blocks(classes, seen, scorer: _Scorer, plan: Plan, out: dict) -> list[np.ndarray]:
    """Return the counts of block-wise labels, majority then nearest; `out` gets `mixed`. A block without a label, which
    only masked void leaves, is void."""
    majority, nearest, mixed = [], [], []
    place = np.full(256, len(classes))  # that of void too, where it is masked
    place[classes] = np.arange(len(classes))
    for nu in plan.blocks:
        n = sp.lrg_size(nu)
        points, cell = (x.numpy() for x in annotation.cells(plan.size, n))
        block = (place[seen] * n + cell[:, None]) * n + cell
        votes = np.bincount(block.ravel(), minlength=(len(classes) + 1) * n * n).reshape(-1, n, n)[: len(classes)]
        mixed.append(int(((votes > 0).sum(0) > 1).sum()))
        winner = np.where(votes.any(0), classes[votes.argmax(0)], np.uint8(VOID))
        majority.append(scorer.score(winner[cell][:, cell]))
        nearest.append(scorer.score(seen[points[cell]][:, points[cell]]))
    out["mixed"] = np.array(mixed, np.int32)
    return majority + nearest


def _bound(crossings: np.ndarray, area: np.ndarray, plan: Plan) -> np.ndarray:
    """`laws.tail_bound` of the filled, mirrored frame, (C, limits), from the counts at hand."""
    share = (area / area.sum())[:, None]
    factor = np.array([_constant(2 * plan.size, 2 * nu) for nu in plan.band])
    per_pixel = (crossings[:, 0] + crossings[:, 1])[:, None] / plan.size**2
    return np.minimum(per_pixel * factor[None, :], share * (1 - share))


_constant = lru_cache(maxsize=64)(laws.bound_constant)


def _coarse(filled: np.ndarray, void: np.ndarray, num_classes: int, nu_max: int) -> dict[str, np.ndarray]:
    """Return what polygons and blocks of a band limit share (sections 1 and 3.3).

    `drawn` (2, C, 3): pixels hit, labelled, predicted of polygons (`polygons.polygon_labels`), against the true labels
    and against the blocks by majority. `error`, `truth` (2,): power of blocks minus true labels, and of the true
    labels, in all and above nu_max, periodic.
    """
    true = torch.from_numpy(filled.astype(np.int64))
    blocks = annotation.block_labels(true, nu_max)
    drawn = torch.from_numpy(polygons.polygon_labels(true.numpy(), nu_max))
    unknown = torch.from_numpy(void)
    known = torch.stack([true, blocks]).masked_fill(unknown, VOID)
    classes = torch.unique(true)[:, None, None]  # a block takes one of its own pixels' classes
    planes = (true[None] == classes).double()
    powers = [label_spectra.rim_power(p) for p in ((blocks[None] == classes).double() - planes, planes)]
    error, truth = (np.array([float(p.sum()), float(p[nu_max + 1 :].sum())]) for p in powers)
    counts = iou.class_counts(drawn.expand_as(known), known, num_classes)
    return {"drawn": counts.numpy(), "error": error, "truth": truth}


def stacked(found: Sequence[dict[str, np.ndarray] | None]) -> dict[str, np.ndarray]:
    """Return the numbers of several maps with a new first axis; a map of void alone (None) counts nothing.

    Raises ValueError where no map has a label.
    """
    first = next((one for one in found if one is not None), None)
    if first is None:
        raise ValueError("no label map has a pixel that is not void")
    none = {key: np.zeros_like(value) for key, value in first.items()}
    return {key: np.stack([(one or none)[key] for one in found]) for key in first}
