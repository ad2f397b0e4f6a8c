"""A floor of the relative loss rate that the annotation sets, whatever the network: Eq. 10 with Fejer's weights.

Beyond the paper. P_F multiplies b(u, v) by w(u) w(v), w(u) = max(0, 1 - |u|/(nu_max + 1)), in place of the box of
Eq. 9. Its kernel is nowhere negative and sums to one, so P_F B are probabilities again, and Gibbs' inequality gives
-<P_F B . log S> >= H(P_F B) for every S. Hence R_F >= H(P_F B)/L_CE - 1, which grows without end as L_CE falls.
With void P_F B sums to M = P_F m, m the mask, and H = -<sum_c P_F B_c log(P_F B_c / M)>.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from specseg.spectral.labels import one_hot
from specseg.spectral.spectrum import check_nu_max, signed_frequencies


class Floor(NamedTuple):
    """Per pixel of the frame, in nats: `loss` L_CE, `smoothed` -<P_F B . log S>, `entropy` H(P_F B) <= smoothed.

    gini: <M - sum_c (P_F B_c)^2/M> <= entropy, as -log x >= 1 - x: without void 1 - sum |w b|^2, the labels' energy
    alone.
    """

    loss: float
    smoothed: float
    entropy: float
    gini: float

    @property
    def rate(self) -> float:
        """R_F, the relative change of the loss when the labels are smoothed (signed)."""
        return self.smoothed / self.loss - 1 if self.loss else math.inf

    @property
    def floor(self) -> float:
        """What R_F cannot be below."""
        return self.entropy / self.loss - 1 if self.loss else math.inf


def fejer_weights(n: int, nu_max: int) -> Tensor:
    """Return max(0, 1 - |u|/(nu_max + 1)) in the order of `fft`, float64 (n,).

    >>> fejer_weights(5, 1).tolist()
    [1.0, 0.5, 0.0, 0.0, 0.5]
    """
    return (1 - signed_frequencies(n).abs().double() / (nu_max + 1)).clamp(min=0)


def fejer(x: Tensor, nu_max: int) -> Tensor:
    """Return the real frames (..., H, W) smoothed by Fejer's kernel, float64; values stay within their range.

    Raises ValueError for nu_max beyond Nyquist.

    >>> fejer(torch.tensor([[0.0, 3.0, 0.0]]), 0).tolist()
    [[1.0, 1.0, 1.0]]
    """
    h, w = x.shape[-2:]
    check_nu_max(nu_max, (h, w))
    weights = fejer_weights(h, nu_max)[:, None] * fejer_weights(w, nu_max)[None, : w // 2 + 1]
    return torch.fft.irfft2(torch.fft.rfft2(x.double()) * weights.to(x.device), s=(h, w))


def label_entropy(planes: Tensor) -> float:
    """Return H of smoothed planes (C, H, W) that sum to M: the mean over pixels of -sum_c q_c log(q_c / M), in nats."""
    q = planes.clamp(min=0)
    return float(-(torch.xlogy(q, q).sum(0) - torch.xlogy(q.sum(0), q.sum(0))).mean())


def annotation_floor(logits: Tensor, labels: Tensor, limits: Sequence[int], *, ignore_index: int = 255) -> list[Floor]:
    """Return for one image and each nu_max what smoothing its labels does to the loss, and the least it can do.

    `logits` (C, H, W), `labels` (H, W) with void. Only classes that occur are transformed.
    Raises ValueError for shapes that do not fit, labels out of range, nu_max beyond Nyquist.

    >>> y, b = torch.tensor([[[4.0, 0.0, 0.0]], [[0.0, 4.0, 4.0]]]), torch.tensor([[0, 1, 1]])
    >>> one = annotation_floor(y, b, [0])[0]             # P_F B = (1/3, 2/3): its entropy is 0.637
    >>> round(one.entropy, 3), one.smoothed >= one.entropy
    (0.637, True)
    """
    if logits.ndim != 3 or tuple(logits.shape[1:]) != tuple(labels.shape):
        raise ValueError(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected (C, H, W) and (H, W)")
    planes = one_hot(labels, logits.shape[0], ignore_index=ignore_index)
    there = planes.flatten(1).any(1)
    b, logp = planes[there].double(), torch.log_softmax(logits.double(), 0)[there]
    loss = -float((b * logp).sum(0).mean())
    out = []
    for nu_max in limits:
        q = fejer(b, nu_max)
        total = q.sum(0)
        gini = total - q.pow(2).sum(0) / total.clamp(min=1e-300)
        out.append(Floor(loss, -float((q * logp).sum(0).mean()), label_entropy(q), float(gini.mean())))
    return out
