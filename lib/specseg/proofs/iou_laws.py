"""How IoU follows from cross-entropy, and how it does not (A.4); the relative drop against R_ce (A.5, Eqs 27 to 32).

For class c: pi = b = b(0) the share of the frame, s = s(0), p = p1 = sum_nu s(nu) b(-nu) the soft overlap, p2 the same
inside the symmetric box, c = b + s, L_c = L the class's part of L_CE (mean over the frame of -B log S >= 0; in Eqs 30
and 31 it is negative), K the same inside the box, P the projection on the box. All in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.stats import spearmanr
from torch import Tensor

from specseg.proofs import rce_laws
from specseg.spectral import cross_entropy as ce
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp
from specseg.spectral.labels import one_hot


def orders(onehot: Tensor, other: Tensor, nu_max: int) -> dict[str, float]:
    """Return how fast the errors of Eqs 26, 30 and 31 vanish as S = (1 - e) B + e U comes near B: fitted powers of e.

    `onehot` and `other` (C, H, W), U a positive probability map. `eq26`: error of L = b(0) - p1, L = -<B, log S>, which
    is Eqs 26 and 30 with their sign kept; 2 means exact to first order. `eq31`: the same inside the box, truncated
    L = b(0) - p2. There the band-limited labels are not zero OFF the class's pixels, where log S has no expansion
    around S = 1: the error grows like log(1/e), so its power is negative. `lost_sign`: the error of L = p1 - b(0), as
    Eq. 30 reads for the L of Eq. 1: of first order.
    """
    low, steps = sp.band_limit(onehot, nu_max), (1e-2, 1e-3, 1e-4)
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
    pi, loss, overlap = ((onehot * x).mean((0, 2, 3)) for x in (onehot, -logits.log_softmax(1), logits.softmax(1)))
    total, log2 = loss.sum(), float(np.log(2))
    wrong = torch.where(pi > 0, pi * (1 - (-loss / pi.clamp(min=1e-300)).exp()), 0.0)
    rows = pd.DataFrame({
        "class": range(classes), "share": pi, "class_loss": loss, "overlap": overlap, "soft_iou": soft,
        "hard_iou": hard, "first": (pi - loss) / (pi + total - loss),
        "best": (pi - wrong) / (pi + wrong.sum() - wrong), "hard": (pi - loss / log2) / (pi + (total - loss) / log2),
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


def ordering(draws: int, seed: int = 0) -> dict[str, float]:
    """Return how often loss and soft IoU order two random predictions of one random two-class map alike.

    `agree` of `draws` pairs; `spearman`, the rank correlation of -loss and IoU over all predictions, with its bootstrap
    interval `low` to `high` (95 %); `shuffled`, the lower end of the same range when the losses are dealt anew.
    """
    rng = np.random.default_rng(seed)
    truth, scored = rng.random(64) < 0.4, []
    for _ in range(2 * draws):
        scale, shift = rng.uniform(0.2, 4), rng.uniform(0, 1.5)
        s = 1 / (1 + np.exp(-scale * rng.standard_normal(64) - shift * np.where(truth, 1, -1)))
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
    `argmax_iou` thresholds the loss's minimiser at 1/2. Raises ValueError unless shares sum to 1 and 0 <= f <= 1.

    >>> found = block_optimum([0.1, 0.5, 0.4], [1.0, 0.4, 0.0])
    >>> [round(found[k], 3) for k in ("loss_iou", "argmax_iou", "best_iou", "threshold")]
    [0.429, 0.333, 0.5, 0.333]
    """
    w, f = np.asarray(shares, float), np.asarray(fractions, float)
    if w.shape != f.shape or abs(w.sum() - 1) > 1e-9 or (w < 0).any() or (f < 0).any() or (f > 1).any():
        raise ValueError("block_optimum: expected equal lengths, shares that sum to 1 and fractions in 0 .. 1")

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


def class_drops(logits: Tensor, labels: Tensor, nu_max: int) -> pd.DataFrame:
    """Return Eqs 29 and 32 class by class over a batch, for the classes that occur.

    area, loss, kept (L and K), rce = |1 - K/L| of the class, overlap (p1), iou (soft). drop: Eq. 29 with p2 from the
    symmetric box. printed: Eq. 32, |1/(1 - L^/s(0))| R_ce with L^ = -K as Eqs 30 and 31 define it. sign_mended: Eq. 29
    with p1 = b - L and p2 = b - K. Raises ValueError as `cross_entropy.check_inputs`, or for nu_max beyond Nyquist.
    """
    logits, labels = ce.check_inputs(logits, labels)
    onehot = one_hot(labels, logits.shape[1]).double()
    there = onehot.sum((0, 2, 3)) > 0
    soft, logp = logits.softmax(1) * (labels != 255)[:, None], logits.log_softmax(1)
    low = sp.band_limit(onehot, nu_max)
    b, s, p1, p2 = (x.mean((0, 2, 3))[there] for x in (onehot, soft, onehot * soft, low * soft))
    loss, kept = (-(x * logp).mean((0, 2, 3))[there] for x in (onehot, low))
    rate, c = (1 - kept / loss).abs(), b + s
    return pd.DataFrame({
        "class": torch.nonzero(there).flatten(), "area": b, "loss": loss, "kept": kept, "rce": rate, "overlap": p1,
        "iou": p1 / (c - p1), "drop": c / (c - p2) * (p1 - p2) / p1, "printed": (1 / (1 + kept / s)).abs() * rate,
        "sign_mended": c / (s + kept) * (kept - loss) / (b - loss),
    })  # fmt: skip


def drop_rows(logits: Tensor, labels: Tensor, nu_max: Sequence[int]) -> pd.DataFrame:
    """Return measured IoU drops of truncated logits beside what Eqs 29 to 32 predict, means over the classes present.

    hard, soft: relative drop of mIoU and of the mean soft IoU when the logits are band-limited. rce: Eq. 10.
    eq29, printed, sign_mended: class means of `class_drops`.
    """
    logits, labels = ce.check_inputs(logits, labels)
    there = one_hot(labels, logits.shape[1]).sum((0, 2, 3)) > 0

    def scores(y: Tensor) -> tuple[float, float]:
        return rce_laws.hard_miou(y, labels), float(metrics.soft_iou(y.softmax(1), labels)[there].mean())

    (hard, soft), rates, rows = scores(logits), ce.relative_loss_rate(logits, labels, list(nu_max)), []
    for nu, rate in zip(nu_max, rates.tolist(), strict=True):
        hard_low, soft_low = scores(sp.band_limit(logits, nu))
        by_class = class_drops(logits, labels, nu)
        rows.append({
            "nu_max": nu, "rce": rate, "hard": metrics.relative_drop(hard, hard_low),
            "soft": metrics.relative_drop(soft, soft_low), "eq29": by_class["drop"].mean(),
            "printed": by_class["printed"].mean(), "sign_mended": by_class["sign_mended"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def drop_limit(labels: Tensor, nu_max: int, classes: int) -> pd.DataFrame:
    """Return what the drop of Eq. 29 tends to as S tends to B: 2 r/(1 + r) of each class that occurs in `labels`.

    area b; beyond: r, the share of sum |b(nu)|^2 outside the box; limit; ringing: M, the largest modulus of P B.

    >>> drop_limit(torch.tensor([[[0, 0, 1]]]), 0, 2).round(3).values.tolist()    # areas 2/3, 1/3 = shares of nu = 0
    [[0.0, 0.667, 0.333, 0.5, 0.667], [1.0, 0.333, 0.667, 0.8, 0.333]]
    """
    onehot = one_hot(labels, classes).double()
    low = sp.band_limit(onehot, nu_max)
    area, kept = onehot.mean((0, 2, 3)), (onehot * low).mean((0, 2, 3))
    there = area > 0
    beyond = (1 - kept / area)[there]
    return pd.DataFrame({
        "class": torch.nonzero(there).flatten(), "area": area[there], "beyond": beyond,
        "limit": 2 * beyond / (1 + beyond), "ringing": low.abs().amax((0, 2, 3))[there],
    })  # fmt: skip


def limit_bound(distance: np.ndarray | float, ringing: np.ndarray | float) -> np.ndarray:
    """Return how far the drop of Eq. 29 can be from `drop_limit`: [(2M + 1) d/(1 - (1 + M) d) + d]/(1 - d).

    d = int |S - B|/b is the `distance` of one class from its labels, or any larger number: L_CE/b is one, for a class
    is left or wrongly entered with 1 - S of the true class, and 1 - S <= -log S. M is the `ringing`. With h = p/(c - p)
    the banded IoU: |p2 - p2*| = |<S - B, P B>| <= M d b and c - p2 >= b (1 - (1 + M) d) give
    |h - h*| <= (2M + 1) d/(1 - (1 + M) d), and IoU >= 1 - d. Infinite where (1 + M) d >= 1; slope 2M + 2 at 0.

    >>> limit_bound(1e-6, 1.0).round(9), limit_bound(0.6, 1.0)
    (np.float64(4e-06), np.float64(inf))
    """
    d, m = np.asarray(distance, float), np.asarray(ringing, float)
    room = 1 - (1 + m) * d
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = ((2 * m + 1) * d / room + d) / (1 - d)
    return np.where(room > 0, bound, np.inf)[()]


def with_rate(labels: Tensor, nu_max: int, classes: int, *, scale: float, rce: float) -> Tensor:
    """Return logits (B, C, H, W), right everywhere, as near to `labels` as scale * B or nearer, whose R_ce is `rce`.

    U = max(0, -P B) off each class is the undershoot of the band-limited labels. The logits are scale * B - h U: wrong
    classes are lowered, so every loss only falls. Without void the tail of Eq. 9 is -scale * E + h <U, U>, with E the
    labels' energy beyond the box: h moves it through 0 to any size, while L_CE stays between two bounds.
    Raises ValueError for void labels, scale <= 0, rce < 0, or P B >= 0 everywhere (then R_ce grows without bound as
    S tends to B, for every network).
    """
    if (labels == 255).any() or not (scale > 0 and rce >= 0):
        raise ValueError(f"with_rate: expected labels without void, scale > 0, rce >= 0; got {scale:g}, {rce:g}")
    onehot = one_hot(labels, classes).double()
    low = sp.band_limit(onehot, nu_max)
    under = (-low).clamp(min=0) * (1 - onehot)
    gain = float((under**2).sum(1).mean())
    if gain < 1e-24:
        raise ValueError(f"the labels inside nu_max = {nu_max} undershoot nowhere; expected P B < 0 somewhere")
    start = scale * float((onehot * (onehot - low)).sum(1).mean())

    def off(h: float) -> float:
        return h * gain - start - rce * float(ce.cross_entropy(scale * onehot - h * under, labels).mean())

    top = (start + rce * float(ce.cross_entropy(scale * onehot, labels).mean())) / gain
    return scale * onehot - brentq(off, 0.0, top * (1 + 1e-9), xtol=1e-300, rtol=1e-14) * under


def scaled_rows(logits: Tensor, labels: Tensor, scales: Sequence[float], nu_max: int) -> pd.DataFrame:
    """Return one row for each scale tau of the logits tau Y: what R_ce and the soft and hard drops do at one limit.

    rce: Eq. 10. hard: drop of mIoU when the logits are truncated (no argmax depends on tau). soft: class mean of
    Eq. 29. missed: the share of L_CE that the tangent of Eq. 26 leaves out.
    """
    logits, labels = ce.check_inputs(logits, labels)
    rows = rce_laws.temperature_sweep(logits, labels, scales, nu_max=nu_max)
    rows = rows.rename(columns={"tau": "scale", "drop": "hard"})[["scale", "rce", "hard"]]
    by_class = [class_drops(tau * logits, labels, nu_max) for tau in scales]
    return rows.assign(soft=[x["drop"].mean() for x in by_class], missed=[missed(x) for x in by_class])


def missed(by_class: pd.DataFrame) -> float:
    """Return the share of L_CE that b(0) - p1 leaves out (Eq. 26), from `class_drops`."""
    return float(1 - (by_class["area"] - by_class["overlap"]).sum() / by_class["loss"].sum())


def near_rows(
    labels: Tensor, nu_max: int, classes: int, scales: Sequence[float], rates: Sequence[float]
) -> pd.DataFrame:
    """Return one row for each network of `with_rate`: how near the labels it is, and its drop by Eq. 29.

    scale, wanted (the R_ce asked for), rce (as measured), loss, missed (as `scaled_rows`), soft (class mean of Eq. 29),
    off: the largest distance of a class from `drop_limit`, bound: the largest
    `limit_bound` for d = L_CE/b. held: in each class the distance is within its bound; straight_held: the same for the
    limit 2 r, which a drop proportional to the lost overlap would have.
    """
    limit, rows = drop_limit(labels, nu_max, classes), []
    for scale in scales:
        for rate in rates:
            y = with_rate(labels, nu_max, classes, scale=scale, rce=rate)
            by_class = class_drops(y, labels, nu_max)
            loss = float(by_class["loss"].sum())
            bound = limit_bound(loss / limit["area"], limit["ringing"])
            off = (by_class["drop"] - limit["limit"]).abs()
            straight = (by_class["drop"] - 2 * limit["beyond"]).abs()
            rows.append({
                "scale": scale, "wanted": rate, "rce": abs(1 - by_class["kept"].sum() / loss),
                "loss": loss, "missed": missed(by_class), "soft": by_class["drop"].mean(), "off": off.max(),
                "bound": bound.max(), "held": bool((off <= bound).all()),
                "straight_held": bool((straight <= bound).all()),
            })  # fmt: skip
    return pd.DataFrame(rows)


def rising_pairs(rows: pd.DataFrame, column: str) -> tuple[int, int]:
    """Return in how many pairs of rows `column` is larger where `rce` is larger by a tenth or more, and all pairs.

    >>> rising_pairs(pd.DataFrame({"rce": [1.0, 2.0, 2.1], "drop": [0.1, 0.2, 0.1]}), "drop")
    (1, 2)
    """
    rce, value = rows["rce"].to_numpy(), rows[column].to_numpy()
    pairs = rce[None, :] >= 1.1 * rce[:, None]
    return int((pairs & (value[None, :] > value[:, None])).sum()), int(pairs.sum())
