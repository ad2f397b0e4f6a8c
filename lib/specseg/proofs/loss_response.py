"""How frequencies of the loss answer to features: observation 4, its dependence on confidence, void (Eqs 6 to 8).

The prediction is made up: on a low-resolution grid it knows the labels' averages, and its logits are `confidence`
(2 p - 1). Confidence is not the paper's, and what follows depends on it: every table takes it or runs over it.
Conventions as in `specseg.spectral.gradient`; void pixels are in no class, m is the mask of labelled pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from specseg.spectral import gradient as sg
from specseg.spectral.labels import one_hot
from specseg.spectral.spectrum import band_limit

CONFIDENCES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)


def lrg_prediction(labels: Tensor, num_classes: int, size: int, *, confidence: float) -> tuple[Tensor, sg.Map]:
    """Return (logits on a low-resolution grid, tail): a prediction "upon the LRG" that knows the labels' averages.

    The logits are `confidence` (2 p - 1), p the class shares around each LRG pixel; the tail up-samples them bilinearly
    to the labels' grid, as decoders do. Logits: float64 (1, C, size, size).
    """
    planes = one_hot(labels, num_classes).double()[None]
    logits = confidence * (2 * F.interpolate(planes, (size, size), mode="bilinear", antialias=True) - 1)
    return logits, lambda x: F.interpolate(x, labels.shape, mode="bilinear", align_corners=True)


def observation4_table(labels: Tensor, num_classes: int, size: int, *, confidence: float) -> pd.DataFrame:
    """Return how features at nu_j = (0, nu) move L_ce(0), L_ce(nu_j) and L_CE: nu_j, part, value (Eqs 7 and 8).

    `value` is the norm over channels of the spectral gradient for a prediction on an LRG of `size`. The parts are
    "L_ce(0)" (Eq. 8: "much smaller than 1" for large nu_j), "L_ce(nu_j)" (Eq. 7) and "L_CE", the sum over all nu_i.
    The wave (0, nu) is the same in every row, so that means over rows of S, B and m S are all that enters.
    """
    features, tail = lrg_prediction(labels, num_classes, size, confidence=confidence)
    planes = one_hot(labels, num_classes).double()
    mask, soft, width = planes.sum(0), torch.softmax(tail(features)[0], 0), labels.shape[1]
    s, b, known, masked = soft.mean(1), planes.mean(1), mask.mean(0), (mask * soft).mean(1)
    t, lines = torch.arange(width).double(), []
    for nu in range(1, size // 2 + 1):
        coarse = 2 * torch.pi * nu * torch.arange(size).double() / size
        parts = torch.stack([coarse.cos(), coarse.sin()])[None]
        up = torch.complex(*F.interpolate(parts, width, mode="linear", align_corners=True)[0])  # dY/dx(nu_j)
        wave = torch.exp(-2j * torch.pi * nu * t / width)
        m_minus, b_minus = (known * wave.conj()).mean(), (b * wave.conj()).mean(-1)
        whole = ((masked - b) * up).mean(-1)
        zero = known.mean() * (s * up).mean(-1) - b.mean(-1) * up.mean()
        own = m_minus * (s * wave * up).mean(-1) - b_minus * (wave * up).mean()
        values = {"L_ce(0)": zero, "L_ce(nu_j)": own, "L_CE": whole}
        lines += [(nu, part, float(v.abs().pow(2).sum().sqrt())) for part, v in values.items()]
    return pd.DataFrame(lines, columns=["nu_j", "part", "value"])


def _low(planes: Tensor, nu_max: int) -> Tensor:
    """Return the spectrum (..., 2 nu_max + 1, 2 nu_max + 1) for |u|, |v| <= nu_max, zero in the middle.

    Of real planes; two products are a tenth of the work of an FFT of 513 x 513, which gives all other bins too.
    """
    u = torch.arange(-nu_max, nu_max + 1).double()
    rows, columns = (2 * torch.pi / n * u[:, None] * torch.arange(n) for n in planes.shape[-2:])
    across = planes @ torch.cat([columns.cos(), -columns.sin()]).T / planes.shape[-1]
    return torch.polar(torch.ones_like(rows) / planes.shape[-2], -rows) @ torch.complex(*across.chunk(2, -1))


def removal_table(
    labels: Tensor, num_classes: int, size: int, nu_max: int, *, confidences: Sequence[float], low: int | None = None
) -> pd.DataFrame:
    """Return what removing the features above nu_max does: confidence, part, before, after, moved (observation 4).

    Parts: "L_ce(0)"; "low", all L_ce(nu) with 0 < |nu| <= `low` (default nu_max/2); "low with 0"; and "L_CE", all of
    them. before and after are sums over a part; moved = sum |L_after(nu) - L_before(nu)| / sum |L_before(nu)| weighs a
    part against itself, free of the cancellation in its sum (L_CE: of the sum alone). For a prediction on an LRG of
    `size`.
    Raises ValueError for a nu_max beyond the Nyquist limit of `size`.
    """
    features, tail = lrg_prediction(labels, num_classes, size, confidence=1.0)
    planes, low = one_hot(labels, num_classes).double(), nu_max // 2 if low is None else low
    mask, b, lines = planes.sum(0), _low(planes, low).conj(), []
    zero = torch.zeros(2 * low + 1, 2 * low + 1, dtype=torch.bool)
    zero[low, low] = True
    logits = [tail(x)[0] for x in (features, band_limit(features, nu_max))]
    # the logits are confidence times these: of L_ce = sum_c b(-nu) (y_p - y) the y_p alone is made anew
    own = [((b * _low(y, low)).sum(0), (planes * y).sum(0).mean()) for y in logits]
    tops = [y.amax(0) for y in logits]
    below = [y - top for y, top in zip(logits, tops, strict=True)]
    for confidence in confidences:
        parts, loss = [], []
        for rest, top, (spectra, labelled) in zip(below, tops, own, strict=True):
            lse = (confidence * rest).exp_().sum(0).log_() + confidence * top
            parts.append((b.sum(0) * _low(lse, low) - confidence * spectra).real)
            loss.append(((mask * lse).mean() - confidence * labelled)[None])
        old, new = parts
        pairs = {"L_ce(0)": (old[zero], new[zero]), "low": (old[~zero], new[~zero]), "low with 0": parts, "L_CE": loss}
        lines += [
            (confidence, part, float(x.sum()), float(z.sum()), float((z - x).abs().sum() / x.abs().sum()))
            for part, (x, z) in pairs.items()
        ]
    return pd.DataFrame(lines, columns=["confidence", "part", "before", "after", "moved"])


def confidence_table(
    maps: Mapping[str, Sequence[Tensor]], classes: Mapping[str, int], size: int, nu_max: int,
    confidences: Sequence[float] = CONFIDENCES,
) -> pd.DataFrame:  # fmt: skip
    """Return one row per scene and confidence: regime, map, confidence, loss, best, zero, low, unit, rise.

    zero, low: `moved` of L_ce(0) and of the low part in `removal_table`; unit = |change of L_ce(0)| over L_CE; rise of
    L_CE over itself; best: whether this confidence has the least loss of those given, as a trained network's has.
    """
    parts = []
    for regime, labels in maps.items():
        for k, one in enumerate(labels):
            table = removal_table(one, classes[regime], size, nu_max, confidences=confidences)
            before, after, moved = (table.pivot(index="confidence", columns="part", values=v)
                                    for v in ("before", "after", "moved"))  # fmt: skip
            loss, unit = before["L_CE"], (after["L_ce(0)"] - before["L_ce(0)"]).abs() / before["L_CE"]
            parts.append(pd.DataFrame({
                "regime": regime, "map": k, "confidence": loss.index, "loss": loss, "zero": moved["L_ce(0)"],
                "low": moved["low"], "unit": unit, "rise": after["L_CE"] / loss - 1, "best": loss == loss.min(),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def zero_table(
    labels: Mapping[str, Tensor], classes: Mapping[str, int], size: int, confidences: Sequence[float] = CONFIDENCES
) -> pd.DataFrame:
    """Return for each kind of labels and confidence: regime, confidence, fall, own, whole.

    Medians of |dL_ce(0)/dx(nu_j)|: fall, over the upper quarter of nu_j against nu_j = 1; own, from M/4 on over
    |dL_ce(nu_j)/dx(nu_j)|; whole, |dL_CE| over the latter.
    """
    lines = []
    for regime, one in labels.items():
        for confidence in confidences:
            by = observation4_table(one, classes[regime], size, confidence=confidence)
            by = by.pivot(index="nu_j", columns="part", values="value")
            zero, upper = by["L_ce(0)"] / by["L_ce(0)"][1], by.loc[size // 4 :]
            lines.append((
                regime, confidence, zero.loc[3 * (size // 8) :].median(),
                (upper["L_ce(0)"] / upper["L_ce(nu_j)"]).median(), (upper["L_CE"] / upper["L_ce(nu_j)"]).median(),
            ))  # fmt: skip
    return pd.DataFrame(lines, columns=["regime", "confidence", "fall", "own", "whole"])
