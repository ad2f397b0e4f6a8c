"""Tidy rows for the chapter beyond the paper: tails, argmax errors, block errors, ceilings and truncation's cost.

One measurement a line; every function takes label maps by name of their kind (a dict regime -> list of maps).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.proofs import loss_response
from specseg.proofs.boundary_contours import closed_shapes
from specseg.spectral import labels as an
from specseg.spectral import laws
from specseg.spectral.cost import band_cost, truncation_cost
from specseg.spectral.labels import one_hot
from specseg.spectral.spectrum import band_limit

Maps = Mapping[str, Sequence[Tensor]]
BAND_COSTS = ["regime", "nu_max", "cost", "bound", "again", "plain", "eighth"]


def _tidy(
    maps: Maps, nu_max: Sequence[int], kinds: Callable[[str, Sequence[Tensor]], Mapping[str, Iterable]]
) -> pd.DataFrame:
    """Return regime, nu_max, kind, value; `kinds` gives by kind a value for each limit, of one regime's maps."""
    lines = [(regime, n, kind, float(v)) for regime, labels in maps.items()
             for kind, own in kinds(regime, labels).items() for n, v in zip(nu_max, own, strict=True)]  # fmt: skip
    return pd.DataFrame(lines, columns=["regime", "nu_max", "kind", "value"])


def _mean(fn: Callable[..., Tensor], maps: Sequence[Tensor], nu_max: Sequence[int], classes: int) -> Tensor:
    return torch.stack([fn(m, nu_max, classes, boundary="mirrored").sum(0) for m in maps]).mean(0)


def tail_table(maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int]) -> pd.DataFrame:
    """Return sum_c E_c as a mean over maps, by FFT, by its law and its bound: regime, nu_max, kind, value."""
    ways = {"fft": laws.tail_energy, "law": laws.tail_law, "bound": laws.tail_bound}
    return _tidy(maps, nu_max, lambda r, labels: {k: _mean(f, labels, nu_max, classes[r]) for k, f in ways.items()})


def shapes_table(size: int, count: int, nu_max: Sequence[int]) -> pd.DataFrame:
    """Return the tails of closed shapes over two laws: shape, nu_max, crofton, diagonal (measured over law each).

    crofton: 0.90 P/(2 pi^2 nu_max), P in frame sides; diagonal: `tail_law` (diagonal neighbours, grid factor).
    """
    lines = []
    for k, labels in enumerate(closed_shapes(size, count)):
        measured = laws.tail_energy(labels, nu_max, 2, boundary="mirrored")[1]
        law = laws.tail_law(labels, nu_max, 2, boundary="mirrored")[1]
        length = float(an.perimeter(labels, 2)[1]) / size
        for n, a, b in zip(nu_max, measured.tolist(), law.tolist(), strict=True):
            lines.append((k, n, a / (laws.BOX_FACTOR * length / (2 * torch.pi**2 * n)), a / b))
    return pd.DataFrame(lines, columns=["shape", "nu_max", "crofton", "diagonal"])


def argmax_table(maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int]) -> pd.DataFrame:
    """Return the share of wrong pixels of band-limited labels and two bounds: regime, nu_max, kind, value."""

    def kinds(regime: str, labels: Sequence[Tensor]) -> dict[str, Iterable]:
        energy, count = (_mean(f, labels, nu_max, classes[regime]) for f in (laws.tail_energy, laws.tail_bound))
        wrong = [_changed(labels, lambda m, n=n: an.band_limited_labels(m, n, "mirrored")) for n in nu_max]
        return {"actual": wrong, "2E": 2 * energy, "count": 2 * count}

    return _tidy(maps, nu_max, kinds)


def _changed(maps: Sequence[Tensor], weak: Callable[[Tensor], Tensor]) -> float:
    """Return the share of pixels that differ in weak labels, a mean over maps."""
    return float(np.mean([float((weak(m) != m).double().mean()) for m in maps]))


def block_table(maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int]) -> pd.DataFrame:
    """Return what block labels change, void filled first: regime, block, density, sides, kind, value.

    density: contour length between classes per pixel; sides: the same counted along pixel sides, 4/pi too long for
    isotropic contours; block: (N - 1)/(2 nu_max) pixels. kind "spectral" is the mean
    over all phases of the grid (whole-number blocks alone).
    """
    lines = []
    for regime, labels in maps.items():
        filled = [an.fill_void(m) for m in labels]
        size, number = filled[0].shape[-1], classes[regime]
        counts = torch.stack([an.transitions(m, number) for m in filled]).mean(0)
        length, sides = (float(x.sum()) / 2 / size**2 for x in (an.crofton(counts), counts[:, :2]))
        for n in nu_max:
            block = (size - 1) / (2 * n)
            values = {kind: _changed(filled, lambda m, n=n, k=kind: an.block_labels(m, n, k)) for kind in an.MODES}
            if block == int(block):
                exact = [laws.block_error_spectral(m, int(block), number) for m in filled]
                values["spectral"] = sum(exact) / len(exact)
            lines += [(regime, block, length, sides, kind, value) for kind, value in values.items()]
    return pd.DataFrame(lines, columns=["regime", "block", "density", "sides", "kind", "value"])


def ceiling_table(maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int], *, fill: bool = True) -> pd.DataFrame:
    """Return the mIoU of weak labels and its prediction from areas and contours: regime, nu_max, kind, value.

    `fill` gives void pixels their nearest class first; without it a void ribbon hides the contours' errors. The kind
    "all classes alike" is the rival prediction from the changed share e of all pixels, (1 - e)/(1 + e).
    """

    def kinds(regime: str, labels: Sequence[Tensor]) -> dict[str, Iterable]:
        number, used = classes[regime], [an.fill_void(m) if fill else m for m in labels]
        stack = torch.stack(used)
        length = an.perimeter(an.fill_void(stack), number).sum() / 2
        blocks = [(stack.shape[-1] - 1) / (2 * n) for n in nu_max]
        changed = [float(laws.block_error_law(length, h, stack.numel())) * (h > 1) for h in blocks]
        weak = {kind: laws.ceiling(used, number, nu_max, kind=kind)["value"] for kind in (*an.MODES, "band")}
        return weak | {"predicted": [laws.predicted_ceiling(stack, number, n).nanmean() for n in nu_max],
                       "all classes alike": [(1 - e) / (1 + e) for e in changed]}  # fmt: skip

    return _tidy(maps, nu_max, kinds)


def narrowest(labels: Sequence[Tensor], classes: int) -> float:
    """Return the least mean width 2A/P of a class, in pixels, of maps together, void filled: what a block must fit.

    A strip of width w has A = wP/2. Classes without a contour are left out.
    """
    stack = an.fill_void(torch.stack(list(labels)))
    area, length = torch.bincount(stack.flatten(), minlength=classes).double(), an.perimeter(stack, classes)
    return float((2 * area / length)[length > 0].min())


def energy_growth(labels: Tensor, nu_max: int, classes: int) -> tuple[float, float, float]:
    """Return the energy beyond the box of nu_max of the labels, of their blocks, and of blocks read smoothly.

    Blocks ("nearest") add energy above the band. Smoothly: the shares of the classes in each block, up-sampled
    bilinearly as a decoder does, which is nearly band-limited. Void is in no plane.
    """
    blocks, hot = an.block_labels(labels, nu_max, "nearest"), one_hot(labels, classes).double()
    grid = F.interpolate(hot[None], (2 * nu_max + 1,) * 2, mode="bilinear", antialias=True, align_corners=True)
    smooth = F.interpolate(grid, hot.shape[-2:], mode="bilinear", align_corners=True)[0]
    planes = (hot, one_hot(blocks, classes).double(), smooth)
    first, second, third = (float((x - band_limit(x, nu_max)).pow(2).mean((1, 2)).sum()) for x in planes)
    return first, second, third


def band_cost_table(maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int]):
    """Return the cost of a band limit with free gains on made-up predictions: regime, nu_max, cost, bound, again, ...

    again: the cost of the logits times 3. plain, eighth: CE(PY) - CE(Y) and mean range(D)^2/8, without fitted gains.
    First map of each kind, every third pixel, logits as `truncation_table`.
    """
    rows = []
    for regime, labels in maps.items():
        logits, known = _noisy(labels[0], classes[regime], 0), labels[0][::3, ::3] != 255
        for n in nu_max:
            low = band_limit(logits, n)
            kept, lost = (x[:, ::3, ::3][:, known].T for x in (low, logits - low))
            rows.append([regime, n, *band_costs(kept, lost, labels[0][::3, ::3][known], 3)])
    return pd.DataFrame(rows, columns=BAND_COSTS)


def band_costs(low: Tensor, high: Tensor, target: Tensor, times: float) -> list[float]:
    """Return `BAND_COSTS` from cost on, of logits kept and cut, (n, C) each, and their classes; again: times that."""
    one, two = band_cost(low, high, target), band_cost(times * low, times * high, target)
    plain = float(F.cross_entropy(low, target) - F.cross_entropy(low + high, target))
    return [one.cost, one.bound, two.cost, plain, float((high.amax(1) - high.amin(1)).pow(2).mean()) / 8]


def _noisy(labels: Tensor, classes: int, seed: int, confidence: float = 4.0) -> Tensor:
    half = (labels.shape[-1] + 1) // 2
    features, tail = loss_response.lrg_prediction(labels, classes, half, confidence=confidence)
    logits = tail(features)[0]
    white = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed), dtype=logits.dtype)
    return logits + 0.5 * white


def truncation_table(
    maps: Maps, classes: Mapping[str, int], nu_max: Sequence[int], *, confidence: float = 4.0
) -> pd.DataFrame:
    """Return what band-limiting logits costs: regime, nu_max and the parts of `cost.Cost`, means over maps.

    Logits: `loss_response.lrg_prediction` on a grid of half the frame, up-sampled, with normal noise (white, seeded).
    """
    lines = [
        {"regime": regime, "nu_max": n, **truncation_cost(logits, m, n, boundary="mirrored")._asdict()}
        for regime, labels in maps.items()
        for k, m in enumerate(labels)
        for logits in [_noisy(m, classes[regime], k, confidence)]
        for n in nu_max
    ]
    return pd.DataFrame(lines).groupby(["regime", "nu_max"], sort=False).mean().reset_index()
