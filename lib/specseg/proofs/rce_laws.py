"""What the relative loss rate R_ce (Eq. 10) depends on: cancellation, the frame, confidence, averaging, truncation.

All functions take logits (B, C, H, W) and labels (B, H, W) with 255 for void, and return tidy rows. P is the projection
on the band (`specseg.band_limit`), D = Y - P Y what a truncation of the logits removes, S = softmax(Y).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy import optimize
from torch import Tensor

from specseg.spectral import cost
from specseg.spectral import cross_entropy as ce
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp
from specseg.spectral.floor import fejer, label_entropy
from specseg.spectral.labels import one_hot

WINDOWS = {"fejer": fejer, "box": sp.band_limit}


class ZeroFrequency(NamedTuple):
    """The three parts of L_ce(0) of each image, (B,) in nats per pixel of the frame; none is negative.

    entropy: m H(pi/m), a constant of the labels. mismatch: m KL(pi/m || p). spread: m times the mean of KL(p || S_t).
    """

    entropy: Tensor
    mismatch: Tensor
    spread: Tensor


def zero_frequency(logits: Tensor, labels: Tensor) -> ZeroFrequency:
    """Return the parts of L_ce(0) = m [H(pi/m) + KL(pi/m || p) + mean_t KL(p || S_t)], exact for all logits and labels.

    pi_c is the share of the frame that class c covers, m their sum (the labelled share), S_t = softmax(Y_t) and p the
    softmax of the mean logits. Both means, of the logits in p and of KL, run over ALL pixels of the frame, void ones
    too: Eq. 2 at nu = 0 multiplies means of the whole frame, and void enters the labels alone. Beyond the paper.
    Raises ValueError as `cross_entropy.check_inputs`.

    >>> y = torch.tensor([[[[1.0, 3.0]], [[0.0, 0.0]]]])
    >>> parts = zero_frequency(y, torch.tensor([[[0, 255]]]))                  # one pixel of two has a label
    >>> bool(torch.isclose(sum(parts), ce.frequency_components(y, torch.tensor([[[0, 255]]]))[0, 0, 0].real))
    True
    """
    logits, labels = ce.check_inputs(logits, labels)
    pi = _shares(labels, logits.shape[1])
    log_p, log_s = logits.mean((2, 3)).log_softmax(1), logits.log_softmax(1).mean((2, 3))
    entropy = _entropy(pi)
    return ZeroFrequency(entropy, -(pi * log_p).sum(1) - entropy, pi.sum(1) * (log_p.exp() * (log_p - log_s)).sum(1))


def _shares(labels: Tensor, classes: int) -> Tensor:
    """Return pi: the share of the frame that each class covers, (B, C)."""
    return one_hot(labels, classes).double().mean((2, 3))


def _entropy(pi: Tensor) -> Tensor:
    """Return m H(pi/m) of each image, (B,): the Jensen floor of L_ce(0)."""
    return torch.tensor([label_entropy(one[:, None, None]) for one in pi], dtype=torch.float64, device=pi.device)


def cancellation(logits: Tensor, labels: Tensor, *, nu_max: int) -> dict[str, float]:
    """Return means over images of L_CE, L_ce(0), the rest, the rest beyond nu_max, and the floor of L_ce(0).

    L_ce(0) >= floor for EVERY network (`zero_frequency`: two divergences stand above it): so the other frequencies must
    add up to a negative number as soon as L_CE is below the floor. Counts of images: `held` for the bound,
    `mutant_held` for the bound with log C (C classes) in place of the histogram's entropy, `within` where
    L_ce(0) <= L_CE.
    """
    total, kept, _ = ce.truncated_cross_entropy(logits, labels, [0, nu_max])
    zero, floor = kept[:, 0], _entropy(_shares(labels, logits.shape[1]))
    return {
        "loss": float(total.mean()), "zero": float(zero.mean()), "rest": float((total - zero).mean()),
        "tail": float((total - kept[:, 1]).mean()), "floor": float(floor.mean()),
        "held": int((zero >= floor - 1e-12).sum()), "mutant_held": int((zero >= np.log(logits.shape[1])).sum()),
        "within": int((zero <= total).sum()), "images": len(total),
    }  # fmt: skip


def hard_miou(logits: Tensor, labels: Tensor) -> float:
    """Return the mIoU of the argmax."""
    return _miou(logits.argmax(1), labels, logits.shape[1])


def _miou(answer: Tensor, labels: Tensor, num_classes: int) -> float:
    return metrics.mean_iou(metrics.confusion_matrix(answer, labels, num_classes))


def temperature_sweep(logits: Tensor, labels: Tensor, taus: Sequence[float], *, nu_max: int) -> pd.DataFrame:
    """Return one row for each tau of the logits tau Y: loss, R_ce, mIoU, mIoU after truncation, relative drop.

    Scaling the classifier's weights and bias by tau does this. No argmax changes, nor does that of P(tau Y) = tau P Y:
    mIoU and drop stay. Without void the tail is exactly tau times that of Y, since Y_p drops out for nu != 0.
    """
    low, rows = sp.band_limit(logits, nu_max), []
    answers = [y.argmax(1) for y in (logits, low)]
    scores = [_miou(answer, labels, logits.shape[1]) for answer in answers]
    for tau in taus:
        parts = ce.truncated_cross_entropy(tau * logits, labels, nu_max)
        scaled = [(tau * y).argmax(1) for y in (logits, low)]
        same = [score if torch.equal(x, answer) else _miou(x, labels, logits.shape[1])
                for x, answer, score in zip(scaled, answers, scores, strict=True)]  # fmt: skip
        rows.append({
            "tau": tau, "nu_max": nu_max, "loss": float(parts.total.mean()),
            "tail": float((parts.total - parts.kept[:, 0]).mean()), "rce": float(ce.loss_rate(parts)[0]),
            "miou": same[0], "miou_truncated": same[1], "drop": metrics.relative_drop(*same),
            "drop_at_one": metrics.relative_drop(*scores),
        })  # fmt: skip
    return pd.DataFrame(rows)


def calibrated_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the tau that minimises L_CE of tau Y (convex in tau), sought in log tau between 0.05 and 20.

    Raises ValueError where the minimum lies at an end: the argmax is always right, or carries nothing.
    """
    ends = np.log([0.05, 20.0])
    best = optimize.minimize_scalar(
        lambda x: float(ce.cross_entropy(np.exp(x) * logits, labels).mean()), bounds=ends, method="bounded",
        options={"xatol": 1e-7}).x  # fmt: skip
    if np.abs(best - ends).min() < 1e-3:
        raise ValueError("logits: no minimum of L_CE for tau in 0.05 .. 20")
    return float(np.exp(best))


def truncation_cost(
    logits: Tensor, labels: Tensor, nu_max: Sequence[int], *, boundary: str = "periodic"
) -> pd.DataFrame:
    """Return for each limit what truncating the LOGITS does to the loss, against what Eq. 10 says.

    Columns, all relative to L_CE: `rce` (Eq. 10); `signed_tail` = tail/L_CE; `true` = [CE(P Y) - CE(Y)]/L_CE;
    `first` = <B - S, D>; `second` = first + mean Var_S(D)/2; `bound` = first + mean range(D)^2/8. For all logits
    first <= true <= bound (log-sum-exp is convex and its Hessian is a variance). Void pixels are left out of the means.
    """
    logits, labels = ce.check_inputs(logits, labels)
    rows = []
    for nu in nu_max:
        parts = [cost.truncation_cost(y, x, nu, boundary=boundary) for y, x in zip(logits, labels, strict=True)]
        mean = cost.Cost(*np.mean(parts, axis=0))
        names = {"signed_tail": mean.tail, "true": mean.cost, "first": mean.first, "second": mean.second,
                 "bound": mean.upper, "rce": abs(mean.tail)}  # fmt: skip
        rows.append({"nu_max": nu, **{name: value / mean.loss for name, value in names.items()}})
    return pd.DataFrame(rows)


class Filtered(NamedTuple):
    """Three losses of each image, (B,): of the logits, of the filtered logits, and the truncated loss of Eq. 9."""

    loss: Tensor
    filtered: Tensor
    truncated: Tensor


def filtered_loss(logits: Tensor, labels: Tensor, nu_max: int, *, window: str = "fejer") -> Filtered:
    """Return CE(Y), CE(KY) and -<B, K log S>, K the filter with the weights of `window` up to nu_max (periodic).

    `window`: "box" keeps |u|, |v| <= nu_max, as Eq. 9 does; "fejer" weights them (1 - |u|/(nu_max + 1)) and likewise v.
    Fejer's kernel is nowhere negative and has the mean 1, so K averages; -log softmax is convex, hence (Jensen, pixel
    by pixel) CE(KY) <= -<B, K log S> for ALL logits and labels, void or not. The box's kernel has negative lobes, and
    the truncated loss is no bound. Beyond the paper.

    >>> y = torch.tensor([[[[9.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]])
    >>> now = filtered_loss(y, torch.zeros(1, 1, 3, dtype=torch.long), 0)
    >>> bool(now.filtered < now.truncated), bool(torch.isclose(now.truncated, now.loss))   # one class: no tail at all
    (True, True)
    """
    logits, labels = ce.check_inputs(logits, labels)
    low, logp = (WINDOWS[window](x, nu_max) for x in (logits, logits.log_softmax(1)))
    truncated = -(one_hot(labels, logits.shape[1]) * logp).sum(1).mean((1, 2))
    return Filtered(ce.cross_entropy(logits, labels), ce.cross_entropy(low, labels), truncated)


def wrap_tail(logits: Tensor, labels: Tensor, nu_max: int) -> tuple[float, float]:
    """Return the tail that the jumps across the frame alone put beyond nu_max, left to right and top to bottom.

    A jump J = X(first) - X(last) across the glued frame has the coefficients of a ramp of height -J, about
    J/(2 pi j nu); two of them multiply and sum to J_B J_Y `ramp_tail`, about J_B J_Y/(2 pi^2 nu_max). For both axes,
    meaned along the frame's edge and over images, with the sign of Eq. 2:
    -sum_c mean_rows J_B J_Y ramp_tail(W, nu_max) and -sum_c mean_columns J_B J_Y ramp_tail(H, nu_max).
    Void counts as no class; corners of the box, kinks and the scene's own contours are left out.
    """
    logits, labels = ce.check_inputs(logits, labels)
    both = [one_hot(labels, logits.shape[1]).double(), logits.log_softmax(1)]
    out = []
    for axis in (-1, -2):
        b, y = (x.select(axis, 0) - x.select(axis, -1) for x in both)
        out.append(float(-(b * y).sum(1).mean() * ramp_tail(labels.shape[axis], nu_max)))
    return tuple(out)


def ramp_tail(n: int, nu_max: int) -> float:
    """Return the energy of the ramp X(t) = t/n (t = 0 .. n-1) beyond nu_max: the frame's jump in closed form.

    x(nu) = -1/(n (1 - exp(-2 pi j nu/n))), so |x(nu)|^2 = 1/(4 n^2 sin^2(pi nu/n)), about 1/(4 pi^2 nu^2).

    >>> round(ramp_tail(513, 16) * 2 * 3.14159**2 * 16.5, 2)      # about 1/(2 pi^2 (nu_max + 1/2))
    1.0
    """
    nu = np.arange(nu_max + 1, (n - 1) // 2 + 1)  # the positive frequencies below n/2
    total = float((1 / (4 * n**2 * np.sin(np.pi * nu / n) ** 2)).sum()) * 2
    return total + (1 / (4 * n**2) if n % 2 == 0 and nu_max < n // 2 else 0.0)


def boundary_and_average(logits: Tensor, labels: Tensor, nu_max: Sequence[int]) -> pd.DataFrame:
    """Return R_ce for both boundaries and both averages, and the leading-order wrap tail over L_CE, as rows."""
    rows = []
    for boundary in sp.BOUNDARIES:
        parts = ce.truncated_cross_entropy(logits, labels, list(nu_max), boundary=boundary)
        tails = (parts.total[:, None] - parts.kept).mean(0) / parts.total.mean()
        rows += [pd.DataFrame({"boundary": boundary, "average": average, "nu_max": nu_max, "tail": tails,
                               "rce": ce.loss_rate(parts, average=average)}) for average in ce.AVERAGES]  # fmt: skip
    wrap = np.array([sum(wrap_tail(logits, labels, nu)) for nu in nu_max]) / float(parts.total.mean())
    rows.append(pd.DataFrame({"boundary": "frame alone", "average": "ratio_of_means", "nu_max": nu_max,
                              "tail": wrap, "rce": abs(wrap)}))  # fmt: skip
    return pd.concat(rows, ignore_index=True)
