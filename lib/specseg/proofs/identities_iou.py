"""Residuals of the paper's IoU equations on random float64 tensors (Eqs 3, 23-25, 27-32), as `proofs.identities`.

c = s(0) + b(0), p1 = sum_nu s(nu) b(-nu), p2 the same over a band, q = IoU. Convention: `specseg.spectral.spectrum`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from specseg.proofs.identities import Case, Checks, Forms, residual, reverse
from specseg.spectral import iou as metrics
from specseg.spectral import spectrum as sp

BAND = 2  # an inner band limit that every case has


def _overlap_terms(case: Case) -> Tensor:
    """s(nu) b(-nu) for each class, complex (C, H, W)."""
    return sp.spectrum(case.soft) * reverse(sp.spectrum(case.onehot))


def _box(terms: Tensor, shape: tuple[int, int], nu_max: int) -> Tensor:
    return (terms * sp.box_mask(shape, nu_max)).sum((1, 2)).real


def _one_sided(terms: Tensor, shape: tuple[int, int], nu_max: int) -> Tensor:
    u, v = (sp.signed_frequencies(n) for n in shape)
    return terms[:, (u >= 0) & (u <= nu_max)][:, :, (v >= 0) & (v <= nu_max)].sum((1, 2))


def _area(case: Case) -> Tensor:
    """c of each class."""
    return (case.soft + case.onehot).mean((1, 2))


def _parts(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """(c, p1, p2) of each class with the symmetric band."""
    terms = _overlap_terms(case)
    return _area(case), terms.sum((1, 2)).real, _box(terms, case.shape, BAND)


def _iou(case: Case) -> Tensor:
    return metrics.soft_iou(case.soft[None], case.labels[None])


def _losses(case: Case) -> tuple[Tensor, Tensor]:
    """Each class's loss, and the same inside the symmetric band."""
    logp = case.logits.log_softmax(0)
    return tuple(-(b * logp).mean((1, 2)) for b in (case.onehot, sp.band_limit(case.onehot, BAND)))


def printed_3(case: Case) -> Forms:
    """Eq. 3 as typeset, with s(0) + b(0) inside the integral; corrected: Eq. 25. Mutant: Eq. 25 without the - 1."""
    (c, p1, _), iou = _parts(case), _iou(case)
    typeset = 1 / ((c[:, None, None] / _overlap_terms(case)).sum((1, 2)) - 1)
    return {"printed": residual(iou, typeset), "corrected": residual(iou, 1 / (c / p1 - 1)),
            "mutant": residual(iou, p1 / c)}  # fmt: skip


def soft_iou(case: Case) -> Forms:
    """Eq. 23: both lines. Mutant: the overlap counted twice in the union."""
    both, area = (case.soft * case.onehot).mean((1, 2)), _area(case)
    first, second = both / (area - both), 1 / (area / both - 1)
    return {
        "printed": max(residual(first, second), residual(_iou(case), first)),
        "mutant": residual(first, both / area),
    }


def hard_iou(case: Case) -> Forms:
    """Section A.4: for binary maps Eq. 23 is |B and S| / |B or S|, counted in sets of pixels. Mutant: the soft map."""
    pred, truth = case.logits.argmax(0).where(case.labels != 255, 255), case.onehot.bool()
    hard = torch.stack([pred == c for c in range(len(truth))])
    counted = (hard & truth).sum((1, 2)).double() / (hard | truth).sum((1, 2))
    ours = metrics.soft_iou(hard[None].double(), case.labels[None])
    return {"printed": residual(counted, ours), "mutant": residual(counted, _iou(case))}


def components(case: Case) -> Forms:
    """Eq. 24, both lines: overlap by Lemma 3, areas by Lemma 4. Mutant: b(+nu)."""
    s, b = sp.spectrum(case.soft), sp.spectrum(case.onehot)
    both = (case.soft * case.onehot).mean((1, 2))
    printed = max(residual(both, (s * reverse(b)).sum((1, 2))), residual(_area(case), b[:, 0, 0] + s[:, 0, 0]))
    return {"printed": printed, "mutant": residual(both, (s * b).sum((1, 2)))}


def spectral_iou(case: Case) -> Forms:
    """Eq. 25 = Eq. 23. Mutant: the overlap without its zero frequency."""
    c, p, _ = _parts(case)
    without = p - _overlap_terms(case)[:, 0, 0].real
    ours = metrics.spectral_iou(case.soft[None], case.labels[None])
    printed = max(residual(x, 1 / (c / p - 1)) for x in (_iou(case), ours))
    return {"printed": printed, "mutant": residual(ours, 1 / (c / without - 1))}


def second_line(case: Case) -> Forms:
    """Eq. 26, second equality: integral of B (S - 1) = sum_nu s b(-nu) - b(0). Mutant: b(0) added."""
    left = (case.onehot * (case.soft - 1)).mean((1, 2))
    overlap, b0 = _overlap_terms(case).sum((1, 2)), sp.spectrum(case.onehot)[:, 0, 0]
    return {"printed": residual(left, overlap - b0), "mutant": residual(left, overlap + b0)}


def truncated_iou(case: Case) -> Forms:
    """Eq. 27 at Nyquist must be IoU: printed integral from 0; corrected: the symmetric box, also against a projection.

    Mutant: the box |u|, |v| < nu_max.
    """
    terms, area, nyquist, iou = _overlap_terms(case), _area(case), max(case.shape) // 2, _iou(case)
    one = _one_sided(terms, case.shape, nyquist)
    both = (sp.band_limit(case.soft, BAND) * case.onehot).mean((1, 2))
    inner, full = (metrics.spectral_iou(case.soft[None], case.labels[None], nu_max=n) for n in (BAND, nyquist))
    smaller = _box(terms, case.shape, BAND - 1)
    return {
        "printed": residual(iou, one / (area - one)),
        "corrected": max(residual(iou, full), residual(inner, both / (area - both))),
        "mutant": residual(inner, smaller / (area - smaller)),
    }


def iou_loss(case: Case) -> Forms:
    """Eq. 28: IoU minus Eq. 27, which must be real and vanish at Nyquist: printed limits against the symmetric box.

    Values are absolute (IoU is of size 1). Mutant: the symmetric box one step below Nyquist.
    """
    terms, c, nyquist = _overlap_terms(case), _area(case), max(case.shape) // 2
    p1, sums = terms.sum((1, 2)).real, {
        "printed": _one_sided(terms, case.shape, nyquist), "corrected": _box(terms, case.shape, nyquist),
        "mutant": _box(terms, case.shape, nyquist - 1),
    }  # fmt: skip
    return {form: float((1 / (c / p1 - 1) - 1 / (c / p2 - 1)).abs().max()) for form, p2 in sums.items()}


def relative_drop(case: Case) -> Forms:
    """Eq. 29, all lines of the chain for symmetric p2. Mutant: c/(c - p1) in the last line."""
    c, p1, p2 = _parts(case)
    iou = p1 / (c - p1)
    lines = [1 / (c / p1 - 1) - 1 / (c / p2 - 1), p1 / (c - p1) - p2 / (c - p2), c / ((c - p1) * (c - p2)) * (p1 - p2),
             1 / (c / p1 - 1) * c / (c - p2) * (p1 - p2) / p1, iou * c / (c - p2) * (p1 - p2) / p1]  # fmt: skip
    printed = max(*(residual(lines[0], x) for x in lines), residual(lines[0] / iou, c / (c - p2) * (p1 - p2) / p1))
    return {"printed": printed, "mutant": residual(lines[0] / iou, c / (c - p1) * (p1 - p2) / p1)}


def one_class_loss(case: Case) -> Forms:
    """Eq. 30: p1 = L_CE + b(0), where L_CE is the integral of B log S. Mutant: with the positive L_CE of Eq. 1."""
    overlap, b0, (loss, _) = (case.onehot * case.soft).mean((1, 2)), case.onehot.mean((1, 2)), _losses(case)
    return {"printed": residual(overlap, b0 - loss), "mutant": residual(overlap, b0 + loss)}


def truncated_class_loss(case: Case) -> Forms:
    """Eq. 31 as printed: one class's truncated loss is its one-sided overlap minus b(0). Mutant: without b(0)."""
    one, b0, (_, kept) = _one_sided(_overlap_terms(case), case.shape, BAND), case.onehot.mean((1, 2)), _losses(case)
    return {"printed": residual(kept, one - b0), "mutant": residual(kept, one)}


def no_area(case: Case) -> Forms:
    """Section A.5, "let us assume b(0) = 0": the drop of Eq. 29 with the class's area left out of p1, p2 and c.

    Printed: p - b(0) for p and c - b(0) for c; corrected: b(0) kept, (1+q)r/(1+qr). Mutant: the drop taken as r.
    """
    (c, p1, p2), b0 = _parts(case), case.onehot.mean((1, 2))
    return _drop_forms(case, (c - b0) / (c - p2) * (p1 - p2) / (p1 - b0))


def drop_from_loss_rate(case: Case) -> Forms:
    """Eq. 32: |1/(1 - truncated L/s(0))| R of each class (printed) against Eq. 29; corrected: (1 + q) r/(1 + q r).

    The truncated L is negative, as Eqs 30 and 31 define it (sum over the box). r = (p1 - p2)/p1, q = IoU. Mutant: the
    factor 1 + q gone, which is the drop of the Dice score.
    """
    loss, kept = _losses(case)
    return _drop_forms(case, (1 / (1 + kept / case.soft.mean((1, 2)))).abs() * (1 - kept / loss).abs(), modulus=True)


def _drop_forms(case: Case, printed: Tensor, *, modulus: bool = False) -> Forms:
    """Eq. 29 against a printed drop (its modulus), its closed form, and r."""
    c, p1, p2 = _parts(case)
    drop, q, r = c / (c - p2) * (p1 - p2) / p1, p1 / (c - p1), (p1 - p2) / p1
    return {"printed": residual(drop.abs() if modulus else drop, printed),
            "corrected": residual(drop, metrics.drop_from_overlap_loss(q, r)), "mutant": residual(drop, r)}  # fmt: skip


def mixed_difference(case: Case) -> tuple[float, float]:
    """Return how much two frequencies act on each other in IoU and in the Dice score 2p/c, least over the classes.

    a and b are the two largest terms of the overlap but nu = 0, each with its mirror image: f(p) - f(p - a) - f(p - b)
    + f(p - a - b), over a b, is the mean of the mixed derivative d2 f/da db. A sum of separate terms has 0.
    """
    terms, c = _overlap_terms(case).real, _area(case)
    p, half = terms.sum((1, 2)), terms.flatten(1)[:, 1 : case.labels.numel() // 2 + 1]
    a, b = 2 * half.gather(1, half.abs().topk(2, 1).indices).T
    iou, dice = (f(p) - f(p - a) - f(p - b) + f(p - a - b) for f in (lambda x: x / (c - x), lambda x: 2 * x / c))
    return float((iou / (a * b)).min()), float((dice / (a * b)).abs().min())


IOU: Checks = {
    "eq03-iou": printed_3, "eq23-soft-iou": soft_iou, "eq23-binary": hard_iou, "eq24-components": components,
    "eq25-spectral-iou": spectral_iou, "eq26-second-line": second_line, "eq27-truncated-iou": truncated_iou,
    "eq28-iou-loss": iou_loss, "eq29-relative-drop": relative_drop, "eq30-one-class-loss": one_class_loss,
    "eq30-no-area": no_area, "eq31-truncated-loss": truncated_class_loss,
    "eq32-drop-from-loss-rate": drop_from_loss_rate,
}  # fmt: skip
