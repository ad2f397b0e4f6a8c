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

from specseg.spectral import spectrum as sp
from specseg.spectral.labels import one_hot


class Cost(NamedTuple):
    """Parts of the cost of one band limit, per pixel of the frame, in nats.

    loss: CE(Y). cost: CE(PY) - CE(Y). first: <(B - m S) . D>, a lower bound. second: first + <m Var_S(D)>/2.
    upper: first + <m range(D)^2>/8. counted: R_ce L_CE, the modulus of the `tail` that Eq. 9 cuts off.
    """

    loss: float
    cost: float
    first: float
    second: float
    upper: float
    counted: float
    tail: float


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
    lse = torch.logsumexp(y, 0)  # log S = Y - lse: of its band limit only that of lse is new
    s, own, own_low = (y - lse).exp(), (b * y).sum(0), (b * low).sum(0)
    loss = float((mask * lse - own).mean())
    cost = float((mask * torch.logsumexp(low, 0) - own_low).mean()) - loss
    mean = (s * high).sum(0)
    first = float((own - own_low - mask * mean).mean())
    variance = (s * high**2).sum(0) - mean**2
    span = high.amax(0) - high.amin(0)
    tail = float((own_low - mask * sp.band_limit(lse, nu_max, boundary=boundary)).mean()) + loss
    return Cost(loss, cost, first, first + float((mask * variance).mean()) / 2,
                first + float((mask * span**2).mean()) / 8, abs(tail), tail)  # fmt: skip


def changed_share_bound(logits: Tensor, low: Tensor, *, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return (bound, share) of each image: the share of pixels whose argmax may differ in `low`, and that which does.

    `logits` and `low` (B, C, H, W), C >= 2, `low` the logits after a band limit or any other change; `known` (B, H, W)
    marks the pixels that count (default all). One image of `logits`, with its `known`, serves any number of `low`.
    With D = logits - low, the argmax can change only where the range max_c D - min_c D is at least the margin between
    the two largest logits: if class k overtakes class a, then D_a - D_k >= Y_a - Y_k. So share <= bound, and both are
    the same for tau * logits and tau * low. Differences within rounding count into the bound. float64 (B,); NaN for an
    image without a known pixel.
    Raises ValueError for shapes that do not fit, fewer than two classes, or values that are not finite.

    >>> y = torch.tensor([[[[3.0, 1.0, 0.0]], [[0.0, 0.0, 0.5]]]])    # margins 3, 1, 1/2
    >>> d = torch.tensor([[[[1.0, 0.6, 0.3]], [[-1.0, -0.7, -0.3]]]])  # ranges 2, 1.3, 0.6: the last two may change
    >>> [round(float(x), 3) for x in changed_share_bound(y, y - d)]   # the middle one does; the last grows clearer
    [0.667, 0.333]
    """
    logits, low = torch.as_tensor(logits).double(), torch.as_tensor(low).double()
    fit = logits.shape[1:] == low.shape[1:] and len(logits) in (1, len(low))
    if logits.ndim != 4 or not fit or logits.shape[1] < 2:
        shapes = f"{tuple(logits.shape)} and {tuple(low.shape)}"
        raise ValueError(f"logits and low: expected the same (B, C, H, W) with C >= 2, got {shapes}")
    pixels = (len(logits), *logits.shape[2:])
    known = torch.ones(pixels, dtype=torch.bool, device=logits.device) if known is None else torch.as_tensor(known)
    if tuple(known.shape) != pixels:
        raise ValueError(f"known: expected one value a pixel, {pixels}, got {tuple(known.shape)}")
    (high, best), size = logits.max(1), [torch.maximum(x.amax(1).abs(), x.amin(1).abs()) for x in (logits, low)]
    if not all(torch.isfinite(x).all() for x in size):
        raise ValueError("logits and low: expected finite values")
    margin, rounding = high - logits.topk(2, 1).values[:, 1], 8 * torch.finfo(torch.float64).eps * (size[0] + size[1])
    lost = (y - x for y, x in zip(logits.expand_as(low), low, strict=True))
    may = torch.stack([x.amax(0) - x.amin(0) for x in lost]) + rounding >= margin
    known, does = known.bool(), low.max(1).indices != best
    count = known.sum((1, 2)).double()
    return (may & known).sum((1, 2)) / count, (does & known).sum((1, 2)) / count


class Gains(NamedTuple):
    """The best a P Y + b D: gains `low` and `high`, the loss there, and the steepest slope that is left in them."""

    low: float
    high: float
    loss: float
    slope: float


def best_gains(low: Tensor, high: Tensor, target: Tensor, *, both: bool = True, steps: int = 40) -> Gains:
    """Return the gains a, b that minimise the mean CE(a low + b high), convex in (a, b); b = 0 unless `both`.

    `low` = P Y and `high` = Y - P Y are (n, C) at n labelled pixels, `target` (n,) their classes. Newton's method with
    halved steps, from a = b = 1. Raises ValueError for shapes that do not fit, and where no minimum is reached: all
    pixels right, so that the loss falls for ever as the gains grow.

    >>> y, t = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 0, 1])
    >>> round(best_gains(y, 0 * y, t, both=False).low, 6)                 # softmax 2/3, so e^a = 2
    0.693147
    """
    if low.ndim != 2 or low.shape != high.shape or tuple(target.shape) != (len(low),) or not len(low):
        shapes = f"{tuple(low.shape)}, {tuple(high.shape)}, {tuple(target.shape)}"
        raise ValueError(f"low, high, target: expected (n, C), (n, C), (n,) with n >= 1, got {shapes}")
    parts = [low, high] if both else [low]
    x, free = torch.stack([p.double() for p in parts]), 1e-13
    own = x.gather(2, target.expand(len(x), -1)[..., None])[..., 0].mean(1)

    def value(gains: Tensor) -> float:
        return float(torch.logsumexp((gains[:, None, None] * x).sum(0), 1).mean() - gains @ own)

    gains, slope = torch.ones(len(x), dtype=torch.float64), torch.zeros(len(x), dtype=torch.float64)
    loss = value(gains)
    for _ in range(steps):
        soft = torch.softmax((gains[:, None, None] * x).sum(0), 1)
        mean = (soft * x).sum(2)
        slope = mean.mean(1) - own
        bend = torch.einsum("nc,anc,bnc->ab", soft, x, x) / x.shape[1] - mean @ mean.T / x.shape[1]
        step = torch.linalg.lstsq(bend, slope, driver="gelsd").solution  # a direction without effect keeps its gain
        if float(slope @ step) <= free * max(1.0, loss):
            return Gains(float(gains[0]), float(gains[1]) if both else 0.0, loss, float(slope.abs().max()))
        size, new = 1.0, value(gains - step)
        while new > loss and size > 1e-6:
            size /= 2
            new = value(gains - size * step)
        gains, loss = gains - size * step, min(new, loss)
    raise ValueError(f"best_gains: no minimum after {steps} steps (gains {gains.tolist()}): are all pixels right?")


class BandCost(NamedTuple):
    """What a band limit costs when gains are free: `cost` of it in nats per labelled pixel, `bound`, and both fits.

    cost: min_a CE(a PY) - min_ab CE(a PY + b D) >= 0. bound: mean of range(b D)^2/8 at the best b; cost <= bound.
    """

    cost: float
    bound: float
    free: Gains
    limited: Gains


def band_cost(low: Tensor, high: Tensor, target: Tensor) -> BandCost:
    """Return the cost of a band limit with free gains: 0 <= cost <= mean range(b D)^2/8, the same for Y and tau Y.

    Proof of the bound: at the best (a, b) the slope in b is 0. Along a PY + (1 - t) b D the loss therefore starts
    level, and its second derivative is the mean variance of b D over classes, at most a quarter of its squared range:
    CE(a PY) exceeds the minimum by at most an eighth. A new a can only lower it. Arguments as `best_gains`.
    """
    free, limited = best_gains(low, high, target), best_gains(low, high, target, both=False)
    span = free.high * (high.double().amax(1) - high.double().amin(1))
    return BandCost(limited.loss - free.loss, float(span.pow(2).mean()) / 8, free, limited)


def gain_losses(low: Tensor, high: Tensor, target: Tensor, gains: Gains) -> Tensor:
    """Return CE(a low + b high) pixel by pixel, float64 (n,)."""
    mixed = gains.low * low.double() + gains.high * high.double()
    return torch.nn.functional.cross_entropy(mixed, target, reduction="none")
