"""What a band limit on the logits really costs, against R_ce times L_CE (Eqs 9, 10): exact, first order, and bounds.

Beyond the paper. D = Y_high is what the projection P on |u|, |v| <= nu_max takes away, S = softmax(Y), m the mask of
labelled pixels, <.> the mean over all pixels. Then, with Var_S the variance over classes,

    CE(Y - D) - CE(Y) = <(B - m S) . D> + remainder,    0 <= remainder <= <m (max_c D - min_c D)^2>/8,

because -log softmax is convex in Y and its second derivative along D is Var_S(D) <= range^2/4 (Popoviciu). To second
order the remainder is <m Var_S(D)>/2. R_ce L_CE = |<B . (log S)_high>| has the labels' part of the first term alone,
with y_p cut off too, which no network does.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from specseg import spectrum as sp
from specseg.spectral_gradient import one_hot


class Cost(NamedTuple):
    """Parts of the cost of one band limit, per pixel of the frame, in nats.

    loss: CE(Y). cost: CE(PY) - CE(Y). first: <(B - m S) . D>, a lower bound. second: first + <m Var_S(D)>/2.
    upper: first + <m range(D)^2>/8. counted: R_ce L_CE, the modulus of the tail that Eq. 9 cuts off.
    """

    loss: float
    cost: float
    first: float
    second: float
    upper: float
    counted: float


def truncation_cost(
    logits: Tensor, labels: Tensor, nu_max: int, *, boundary: str = "periodic", ignore_index: int = 255
) -> Cost:
    """Return what band-limiting the logits of one image costs, with its bounds and the paper's count.

    `logits` (C, H, W), `labels` (H, W) with void. Means are over all pixels of the frame, in float64.
    Raises ValueError for logits that are not finite, wrong shapes, labels out of range, nu_max beyond Nyquist.

    >>> y, b = torch.tensor([[[4.0, -4.0, 4.0]], [[0.0, 0.0, 0.0]]]), torch.tensor([[0, 1, 0]])
    >>> c = truncation_cost(y, b, 0)                                  # only the mean 4/3 is left
    >>> c.first <= c.cost <= c.upper, round(c.cost, 3)
    (True, 0.66)
    """
    if logits.ndim != 3 or tuple(logits.shape[1:]) != tuple(labels.shape):
        raise ValueError(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected (C, H, W) and (H, W)")
    if not torch.isfinite(logits).all():
        raise ValueError("logits: expected finite values")
    y = logits.double()
    b = one_hot(labels, y.shape[0], ignore_index=ignore_index).double()
    mask = b.sum(0)
    low = sp.band_limit(y, nu_max, boundary=boundary)
    high = y - low
    logp, s = torch.log_softmax(y, 0), torch.softmax(y, 0)
    loss = -float((b * logp).sum(0).mean())
    cost = -float((b * torch.log_softmax(low, 0)).sum(0).mean()) - loss
    first = float(((b - mask * s) * high).sum(0).mean())
    variance = (s * high**2).sum(0) - (s * high).sum(0) ** 2
    span = high.amax(0) - high.amin(0)
    tail = -float((b * (logp - sp.band_limit(logp, nu_max, boundary=boundary))).sum(0).mean())
    return Cost(loss, cost, first, first + float((mask * variance).mean()) / 2,
                first + float((mask * span**2).mean()) / 8, abs(tail))  # fmt: skip
