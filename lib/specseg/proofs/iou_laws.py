"""How IoU follows from cross-entropy, and how it does not (A.4): expansion, bounds, counterexamples.

For class c: pi = b(0) the share of the frame, p = sum_nu s(nu) b(-nu) the soft overlap, L_c the class's part of L_CE
(mean over the frame of -B log S), L their sum. All in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from specseg.spectral import cross_entropy as ce
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp
from specseg.spectral.labels import one_hot


def orders(onehot: Tensor, other: Tensor, nu_max: int, steps: Sequence[float] = (1e-2, 1e-3, 1e-4)) -> dict[str, float]:
    """Return how fast the errors of Eqs 26, 30 and 31 vanish as S = (1 - e) B + e U comes near B: fitted powers of e.

    `onehot` and `other` (C, H, W), U a positive probability map. `eq26`: error of L = b(0) - p1, L = -<B, log S>, which
    is Eqs 26 and 30 with their sign kept; 2 means exact to first order. `eq31`: the same inside the box, truncated
    L = b(0) - p2. There the band-limited labels are not zero OFF the class's pixels, where log S has no expansion
    around S = 1: the error grows like log(1/e), so its power is negative. `lost_sign`: the error of L = p1 - b(0), as
    Eq. 30 reads for the L of Eq. 1: of first order.
    """
    low = sp.band_limit(onehot, nu_max)
    errors: dict[str, list[float]] = {"eq26": [], "eq31": [], "lost_sign": []}
    for e in steps:
        s = (1 - e) * onehot + e * other
        for name, b, line in (("eq26", onehot, s - 1), ("eq31", low, s - 1), ("lost_sign", onehot, 1 - s)):
            errors[name].append(float((b * (s.log() - line)).mean((1, 2)).abs().sum()))
    return {k: float(np.polyfit(np.log(steps), np.log(v), 1)[0]) for k, v in errors.items()}


def class_bounds(logits: Tensor, labels: Tensor) -> pd.DataFrame:
    """Return soft and hard IoU of each class over a batch, with three lower bounds that hold for every network.

    first: (pi - L_c)/(pi + L - L_c), from S >= 1 + log S on the class and 1 - S <= -log S off it.
    best: pi e^(-L_c/pi) / (pi + sum_(k != c) pi_k (1 - e^(-L_k/pi_k))), by Jensen; reached when S is constant on each
    class and all error goes to c, so no bound from class losses is better.
    hard: (pi - L_c/log 2)/(pi + (L - L_c)/log 2): a wrong argmax means S <= 1/2, that is a loss of log 2 at least.
    Classes without a pixel are left out.
    """
    logits, labels = ce.check_inputs(logits, labels)
    classes = logits.shape[1]
    soft = metrics.soft_iou(logits.softmax(1), labels)
    hard = metrics.class_iou(metrics.confusion_matrix(logits.argmax(1), labels, classes))
    onehot = one_hot(labels, classes).double()
    pi, log_overlap, overlap = (
        (onehot * x).mean((0, 2, 3)) for x in (onehot, logits.log_softmax(1), logits.softmax(1))
    )
    loss = -log_overlap
    total, log2 = loss.sum(), float(np.log(2))
    wrong = torch.where(pi > 0, pi * (1 - (-loss / pi.clamp(min=1e-300)).exp()), 0.0)
    rows = pd.DataFrame({
        "class": range(classes), "share": pi, "class_loss": loss, "overlap": overlap, "soft_iou": soft,
        "hard_iou": hard,
        "first": (pi - loss) / (pi + total - loss), "best": (pi - wrong) / (pi + wrong.sum() - wrong),
        "hard": (pi - loss / log2) / (pi + (total - loss) / log2),
    })  # fmt: skip
    return rows[rows["share"] > 0].reset_index(drop=True)


def bounds_held(logits: Tensor, labels: Tensor) -> dict[str, int]:
    """Return in how many of `n` classes the three bounds of `class_bounds` hold, and a broken one (`mutant`).

    The broken bound leaves the false positives out of the best bound's union.
    """
    rows, slack = class_bounds(logits, labels), 1e-9
    held = (
        (rows["soft_iou"] >= rows["first"] - slack) & (rows["soft_iou"] >= rows["best"] - slack)
        & (rows["hard_iou"] >= rows["hard"] - slack) & (rows["best"] >= rows["first"] - slack)
    )  # fmt: skip
    broken = rows["soft_iou"] >= np.exp(-rows["class_loss"] / rows["share"]) - slack
    return {"held": int(held.sum()), "n": len(rows), "mutant": int(broken.sum())}


def ordering(draws: int, seed: int = 0, pixels: int = 64) -> dict[str, float]:
    """Return how often loss and soft IoU order two random predictions of one random two-class map alike.

    `agree` of `draws` pairs; `spearman`, the rank correlation of -loss and IoU over all predictions, with its bootstrap
    interval `low` to `high` (95 %); `shuffled`, the lower end of the same range when the losses are dealt anew.
    """
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    truth, scored = rng.random(pixels) < 0.4, []
    for _ in range(2 * draws):
        scale, shift = rng.uniform(0.2, 4), rng.uniform(0, 1.5)
        s = 1 / (1 + np.exp(-scale * rng.standard_normal(pixels) - shift * np.where(truth, 1, -1)))
        p = (truth * s).mean()
        scored.append((np.where(truth, np.log(s), np.log1p(-s)).mean(), p / (truth.mean() + s.mean() - p)))
    x, y = np.array(scored).T  # minus the losses, and the scores
    agree = ((x[::2] > x[1::2]) == (y[::2] > y[1::2])).sum()
    again = [spearmanr(x[k], y[k])[0] for k in rng.integers(0, len(x), (200, len(x)))]
    low, high = np.quantile(again, [0.025, 0.975])
    dealt = [spearmanr(rng.permutation(x), y)[0] for _ in range(200)]
    return {
        "agree": int(agree), "draws": draws, "spearman": float(spearmanr(x, y)[0]), "low": float(low),
        "high": float(high), "shuffled": float(np.quantile(dealt, 0.025)),
    }  # fmt: skip


def block_optimum(shares: Sequence[float], fractions: Sequence[float]) -> dict[str, float]:
    """Return what a model that is constant on blocks reaches: by minimal cross-entropy, and by maximal IoU.

    Block i covers `shares[i]` of the frame, `fractions[i]` of it is the class: a low-resolution grid with nearest
    up-sampling is such a model. The loss is least at S = f. IoU is largest at S in {0, 1}: with p the overlap and
    c the area, d IoU/d S_i has the sign of f_i c - p: block i is taken where f_i > p/c = q/(1 + q), q the IoU reached.
    `argmax_iou` thresholds the loss's minimiser at 1/2.

    >>> found = block_optimum([0.1, 0.5, 0.4], [1.0, 0.4, 0.0])
    >>> [round(found[k], 3) for k in ("loss_iou", "argmax_iou", "best_iou", "threshold")]
    [0.429, 0.333, 0.5, 0.333]
    """
    w, f = np.asarray(shares, float), np.asarray(fractions, float)

    def iou(s: np.ndarray) -> float:
        p = (w * f * s).sum()
        return float(p / ((w * (f + s)).sum() - p))

    taken = np.argsort(-f)
    best = max(iou(np.isin(np.arange(len(f)), taken[: k + 1]).astype(float)) for k in range(len(f)))
    return {"loss_iou": iou(f), "argmax_iou": iou((f > 0.5).astype(float)), "best_iou": best,
            "threshold": best / (1 + best)}  # fmt: skip


def overlap_share(labels: Tensor, nu_max: int) -> pd.DataFrame:
    """Return for each class how much of the overlap sum_nu s b(-nu) of a PERFECT map (S = B) lies in the box, pooled.

    Every term is |b(nu)|^2 >= 0: no cancellation here, unlike in Eq. 2. `zero` is the share of nu = 0 alone.

    >>> overlap_share(torch.tensor([[[0, 0, 1]]]), 0)["zero"].round(3).tolist()
    [0.667, 0.333]
    """
    rows = []
    for c in torch.unique(labels[labels != 255]).tolist():
        b = (labels == c).double()  # a few images at once: half a spectrum of 64 large frames would not fit a laptop
        rims = sum(sp.rim_products(part, part).sum(0) for part in b.split(8))
        rows.append({"class": c, "share": float(b.mean()), "zero": float(rims[0] / rims.sum()),
                     "box": float(rims[: nu_max + 1].sum() / rims.sum())})  # fmt: skip
    return pd.DataFrame(rows)
