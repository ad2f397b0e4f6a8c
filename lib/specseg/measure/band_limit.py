"""What a band limit on a trained network's logits does: certificate, cost with free gains, R_ce, floor, score.

Picture by picture, all in float64, periodic frame, box |u|, |v| <= nu_max (Eq. 9). The cost needs gains that are
common to all pictures, so it is fitted on a grid of pixels that every picture keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from specseg.evidence.statistics import class_counts
from specseg.nets.models import SegmentationNet
from specseg.spectral.cost import BandCost, band_cost, changed_share_bound, gain_losses
from specseg.spectral.cross_entropy import truncated_cross_entropy
from specseg.spectral.floor import annotation_floor
from specseg.spectral.spectrum import band_limit

STRIDE = 8  # of the pixels on which gains are fitted: 33 x 33 of 257 x 257


class Parts(NamedTuple):
    """Arrays of a test set, L limits, n pictures: `counts` (L + 1, n, C, 3) of the scores, the whole grid first.

    `known` (n,) labelled pixels; `share`, `bound` (L, n): pixels whose argmax changes, and the certificate's share;
    `loose`: pixels with 2 max |D| >= margin, the certificate without the range. `loss` (n,) L_CE; `tail`, `smoothed`,
    `entropy`, `gini` (L, n): what Eq. 9 cuts off, and the parts of `floor.Floor`.
    `cost` (L,) fits with free gains; `limited`, `free` (L, n): sums of the fitted losses over `sampled` (n,) pixels.
    """

    names: list[str]
    counts: np.ndarray
    known: np.ndarray
    share: np.ndarray
    bound: np.ndarray
    loose: np.ndarray
    loss: np.ndarray
    tail: np.ndarray
    smoothed: np.ndarray
    entropy: np.ndarray
    gini: np.ndarray
    cost: list[BandCost]
    limited: np.ndarray
    free: np.ndarray
    sampled: np.ndarray


def picture(logits: Tensor, labels: Tensor, limits: Sequence[int]) -> dict[str, np.ndarray | Tensor]:
    """Return one picture's parts, the names of `Parts`, and `pixels`: (L + 1, n, C) sampled logits with `target` (n,).

    `logits` (C, H, W) float64, `labels` (H, W). Raises ValueError as `changed_share_bound` and `annotation_floor`.
    """
    known, grid = labels != 255, labels[::STRIDE, ::STRIDE]
    kept = [band_limit(logits, n) for n in limits]
    counts = [class_counts(y.argmax(0)[None], labels[None], len(logits))[0] for y in (logits, *kept)]
    two = logits.topk(2, 0).values
    loose = [2 * (logits - y).abs().amax(0) >= two[0] - two[1] for y in kept]
    sure = [changed_share_bound(logits[None], y[None], known=known[None]) for y in kept]
    cut = truncated_cross_entropy(logits[None], labels[None], list(limits))
    floors = annotation_floor(logits, labels, limits)
    pixels = torch.stack([y[:, ::STRIDE, ::STRIDE][:, grid != 255].T for y in (logits, *kept)])
    return {
        "counts": np.stack(counts), "known": np.array(int(known.sum())),
        "share": np.array([float(s[1]) for s in sure]), "bound": np.array([float(s[0]) for s in sure]),
        "loose": np.array([float(x[known].double().mean()) for x in loose]),
        "loss": np.array(float(cut.total[0])), "tail": (cut.total[:, None] - cut.kept)[0].numpy(),
        "smoothed": np.array([f.smoothed for f in floors]), "entropy": np.array([f.entropy for f in floors]),
        "gini": np.array([f.gini for f in floors]),
        "pixels": pixels, "target": grid[grid != 255],
    }  # fmt: skip


@torch.no_grad()
def band_limit_parts(
    net: SegmentationNet,
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    limits: Sequence[int],
    *,
    keep: Callable[[str], bool] = lambda name: True,
    tell: Callable[[str], None] = lambda _: None,
) -> Parts:
    """Return the parts of all pictures that `keep` takes, logits computed in float64.

    Raises ValueError without a picture, and as `picture` and `cost.best_gains`.
    """
    net = net.double().eval()
    names, parts = [], []
    for images, labels, who in batches:
        chosen = [i for i, name in enumerate(who) if keep(str(name))]
        if not chosen:
            continue
        full = net(images[chosen].double())
        for y, i in zip(full, chosen, strict=True):
            names.append(str(who[i]))
            parts.append(picture(y, labels[i], limits))
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    cost, limited, free = _fits(parts, len(limits))
    sampled = np.array([len(p["target"]) for p in parts])
    arrays = {k: np.stack([p[k] for p in parts]) for k in Parts._fields if k in parts[0]}
    turned = {k: np.moveaxis(v, 1, 0) if v.ndim > 1 else v for k, v in arrays.items()}
    return Parts(names, **turned, cost=cost, limited=limited, free=free, sampled=sampled)


def _fits(parts: list[dict], count: int) -> tuple[list[BandCost], np.ndarray, np.ndarray]:
    """Return the fit of each limit over all pictures' pixels, and each picture's summed losses without and with D."""
    target = torch.cat([p["target"] for p in parts])
    where = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor([len(p["target"]) for p in parts]))
    full = torch.cat([p["pixels"][0] for p in parts])
    fits, sums = [], []
    for k in range(count):
        low = torch.cat([p["pixels"][k + 1] for p in parts])
        fits.append(band_cost(low, full - low, target))
        losses = (gain_losses(low, full - low, target, g) for g in (fits[-1].limited, fits[-1].free))
        sums.append([torch.zeros(len(parts), dtype=torch.float64).index_add_(0, where, x) for x in losses])
    limited, free = (np.stack([np.asarray(s[j]) for s in sums]) for j in (0, 1))
    return fits, limited, free
