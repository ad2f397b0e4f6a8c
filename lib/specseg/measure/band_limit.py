"""What a band limit on a trained network's logits does: certificate, cost with free gains, R_ce, floor, score.

Picture by picture, all in float64, periodic frame, box |u|, |v| <= nu_max (Eq. 9). The cost needs gains that are
common to all pictures, so it is fitted on a grid of pixels that every picture keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from specseg.evidence import renewal
from specseg.evidence import statistics as scores
from specseg.evidence.records import Record
from specseg.nets.models import SegmentationNet
from specseg.spectral._low_band import waves
from specseg.spectral.cost import BandCost, band_cost, changed_share_bound, gain_losses
from specseg.spectral.cross_entropy import truncated_cross_entropy
from specseg.spectral.floor import annotation_floor
from specseg.spectral.iou import class_counts
from specseg.spectral.spectrum import nu_max

STRIDE = 8  # of the pixels on which gains are fitted: 33 x 33 of 257 x 257


class Parts(NamedTuple):
    """Of n pictures and L limits: `arrays` by name, and `cost`, the L fits with free gains.

    `counts` (L + 1, n, C, 3) of the scores, the whole grid first. `known` (n,) labelled pixels; `share`, `bound`
    (L, n): pixels whose argmax changes, and the certificate's share; `loose`: pixels with 2 max |D| >= margin, the
    certificate without the range. `loss` (n,) L_CE; `tail`, `smoothed`, `entropy`, `gini` (L, n): what Eq. 9 cuts off,
    and the parts of `floor.Floor`. `limited`, `free` (L, n): sums of the fitted losses over `sampled` (n,) pixels.
    """

    names: list[str]
    arrays: dict[str, np.ndarray]
    cost: Sequence[BandCost] = ()


def picture(logits: Tensor, labels: Tensor, limits: Sequence[int]) -> dict[str, np.ndarray | Tensor]:
    """Return one picture's arrays, named as in `Parts`, and `pixels`: (L + 1, n, C) sampled logits with `target` (n,).

    `logits` (C, H, W) float64, `labels` (H, W). Raises ValueError as `changed_share_bound` and `annotation_floor`.
    """
    known, grid = labels != 255, labels[::STRIDE, ::STRIDE]
    kept = low_passes(logits, limits)
    counts = [class_counts(y.max(0).indices[None], labels[None], len(logits))[0].numpy() for y in (logits, *kept)]
    margin = logits.topk(2, 0).values.diff(dim=0)[0].neg()
    loose = torch.stack([2 * (logits - y).abs_().amax(0) >= margin for y in kept])
    bound, share = changed_share_bound(logits[None], kept, known=known[None])
    cut = truncated_cross_entropy(logits[None], labels[None], list(limits))
    floors = annotation_floor(logits, labels, limits)
    pixels = torch.stack([y[:, ::STRIDE, ::STRIDE][:, grid != 255].T for y in (logits, *kept)])
    return {
        "counts": np.stack(counts), "known": np.array(int(known.sum())),
        "share": share.numpy(), "bound": bound.numpy(), "loose": loose[:, known].double().mean(1).numpy(),
        "loss": np.array(float(cut.total[0])), "tail": (cut.total[:, None] - cut.kept)[0].numpy(),
        "smoothed": np.array([f.smoothed for f in floors]), "entropy": np.array([f.entropy for f in floors]),
        "gini": np.array([f.gini for f in floors]),
        "pixels": pixels, "target": grid[grid != 255],
    }  # fmt: skip


def low_passes(planes: Tensor, limits: Sequence[int]) -> Tensor:
    """Return `spectrum.band_limit` of planes (C, H, W) at each limit, (L, C, H, W), by the waves of the largest box.

    >>> from specseg.spectral.spectrum import band_limit
    >>> y = torch.arange(9.0, dtype=torch.float64).view(1, 3, 3) ** 2
    >>> torch.allclose(low_passes(y, [1, 0])[1], band_limit(y, 0))
    True
    """
    of = [waves(n, max(limits), "periodic", planes.dtype, planes.device) for n in planes.shape[1:]]
    rows, cols = (w.sums.diff(dim=0) for w in of)
    inner, out = rows.T @ planes @ cols / planes[0].numel(), planes.new_empty(len(limits), *planes.shape)
    for one, n in zip(out, limits, strict=True):
        u, v = (w.rim <= n for w in of)
        torch.matmul(rows[:, u] @ inner[:, u][:, :, v], cols[:, v].T, out=one)
    return out


@torch.no_grad()
def band_limit_parts(
    net: SegmentationNet,
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    limits: Sequence[int],
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Parts:
    """Return the parts of all pictures, logits computed in float64.

    Raises ValueError without a picture, and as `picture` and `cost.best_gains`.
    """
    net = net.double().eval()
    names, parts = [], []
    for images, labels, who in batches:
        names += map(str, who)
        parts += [picture(y, t, limits) for y, t in zip(net(images.double()), labels, strict=True)]
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    cost, limited, free = _fits(parts, len(limits))
    arrays = {"limited": limited, "free": free, "sampled": np.array([len(p["target"]) for p in parts])}
    for key in parts[0].keys() - {"pixels", "target"}:
        stacked = np.stack([p[key] for p in parts])
        arrays[key] = np.moveaxis(stacked, 1, 0) if stacked.ndim > 1 else stacked
    return Parts(names, arrays, cost)


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


def rows(parts: Parts, sizes: Sequence[int], clusters: Sequence[str], scored: Sequence[int]) -> pd.DataFrame:
    """Return tidy rows, each with its interval over clusters of pictures."""
    w = np.concatenate([np.ones((1, len(clusters))), scores.weights(clusters)])
    p = parts.arrays
    known, loss, sampled = w @ p["known"], w @ p["loss"], w @ p["sampled"]
    miou = [scores.miou(scores.pooled(c, w), scored) for c in p["counts"]]
    out = []
    for k, size in enumerate(sizes):
        free = w @ p["free"][k] / sampled
        drawn = {
            "changed_share": w @ (p["share"][k] * p["known"]) / known,
            "certificate": w @ (p["bound"][k] * p["known"]) / known,
            "certificate_loose": w @ (p["loose"][k] * p["known"]) / known,
            "rce": np.abs(w @ p["tail"][k]) / loss,
            "rate_fejer": w @ p["smoothed"][k] / loss - 1,
            "floor_fejer": w @ p["entropy"][k] / loss - 1,
            "floor_gini": w @ p["gini"][k] / loss - 1,
            "band_cost": w @ p["limited"][k] / sampled - free,
            "logit_drop": (miou[0] - miou[k + 1]) / miou[0],
        }
        shared = {"lrg_size": size, "nu_max": nu_max(size), "n": len(clusters)}
        for metric, values in drawn.items():
            low, high = scores.interval(values[1:])
            unit = "nat" if metric == "band_cost" else "1"
            out.append({**shared, "metric": metric, "value": values[0], "low": low, "high": high, "unit": unit})
        if parts.cost:  # made again from a probe, which does not keep the fits, there are none
            out.append({**shared, "metric": "band_cost_bound", "value": parts.cost[k].bound, "unit": "nat"})
    whole = {"lrg_size": 0, "nu_max": 0, "n": len(clusters)}
    out.append({**whole, "metric": "loss", "value": loss[0] / len(clusters), "unit": "nat"})
    return pd.DataFrame([*out, {**whole, "metric": "miou", "value": miou[0][0], "unit": "1"}])


def save(path: Path, parts: Parts, **about: Sequence) -> None:
    """Write the arrays of every picture, all but the fits, and what else a record's rows are made of again from."""
    kept = {k: v.astype(np.int32) if v.dtype.kind == "i" else v for k, v in parts.arrays.items()}
    np.savez_compressed(path, **kept, names=np.array(parts.names), **{k: np.array(v) for k, v in about.items()})


def rows_again(record: Record) -> renewal.Check:
    """Return the check of a record's rows that need no fit against its parts of every picture."""
    kept = record.probe()
    new = rows(
        Parts(kept["names"].tolist(), kept),
        kept["lrg_sizes"].tolist(),
        kept["clusters"].tolist(),
        kept["scored"].tolist(),
    )
    old = record.rows[record.rows["metric"].isin(set(new["metric"]))].reset_index(drop=True)
    return renewal.rows_again("all rows without a fit from the parts of every picture", new, old)


def parts_again(got: Parts, kept: Mapping[str, np.ndarray]) -> renewal.Check:
    """Return the check of the first pictures' parts, computed again, against those that a record keeps."""
    renewal.same_pictures(got.names, kept["names"])
    few = slice(len(got.names))
    worst = max(renewal.deviation(v, kept[k][..., few] if v.ndim < 4 else kept[k][:, few])
                for k, v in got.arrays.items() if k not in ("limited", "free"))  # fmt: skip
    return renewal.Check(f"parts of the first {len(got.names)} pictures by the network", worst, renewal.FLOAT32)
