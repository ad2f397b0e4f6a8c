"""Residuals of the paper's equations on random float64 tensors: cross-entropy (Eqs 1, 2, 9-22).

Every check takes one random `Case` (one or two dimensions, odd and even sizes, several classes, with and without void)
and returns for each form of its equation (`printed`, `convention`, `corrected`) the relative residual, and under
`mutant` that of a deliberately broken version. `run` takes the worst residual over many cases and the best mutant: a
check is worth something only if every mutant fails it. Convention: `spectral.spectrum`; an integral over t is the mean.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from specseg.proofs import rce_laws
from specseg.spectral import cross_entropy as ce
from specseg.spectral import spectrum as sp

Forms = dict[str, float]


@dataclass(frozen=True)
class Case:
    """One random test case: logits (C, H, W), labels (H, W) with 255 for void, one-hot B and softmax S (void zero)."""

    logits: Tensor
    labels: Tensor
    onehot: Tensor
    soft: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        return tuple(self.labels.shape)


@dataclass(frozen=True)
class Result:
    """Worst residual of each form over all cases, the best residual of the mutant, and the number of cases.

    `judged` is the form that the mutant was made from: the mended one where there is one.
    """

    check: str
    forms: Forms
    mutant: float
    draws: int

    @property
    def judged(self) -> str:
        return next(f for f in ("corrected", "convention", "printed") if f in self.forms)


def draw(index: int, seed: int = 0) -> Case:
    """Return random case number `index`: every fourth is one-dimensional, every other pair has void, no class is empty.

    >>> draw(0).shape[0], draw(1).shape[0] > 1, bool((draw(2).labels == 255).any())
    (1, True, True)
    """
    g = torch.Generator().manual_seed(seed * 100_003 + index)

    def whole(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=g))

    h, w = (1, whole(40, 63)) if index % 4 == 0 else (whole(7, 12), whole(7, 12))
    classes = whole(2, 5)
    logits = (0.5 + 3 * torch.rand(1, generator=g)) * torch.randn(classes, h, w, dtype=torch.float64, generator=g)
    labels = torch.randint(0, classes, (h, w), generator=g)
    if index // 2 % 2:
        labels = labels.masked_fill(torch.rand(h, w, generator=g) < 0.25, 255)
    for c in set(range(classes)) - set(labels.unique().tolist()):  # once in thirty thousand
        labels[0, c] = c
    onehot = torch.stack([labels == c for c in range(classes)]).double()
    return Case(logits, labels, onehot, logits.softmax(0) * (labels != 255))


def residual(left, right) -> float:
    """Return max |left - right| relative to max |left| (the size of what an equation states)."""
    left, right = torch.as_tensor(left), torch.as_tensor(right)
    return float((left - right).abs().max() / left.abs().max())


def reverse(spec: Tensor) -> Tensor:
    """Return b(-nu) for b(nu) in the order of `fft2`.

    >>> reverse(torch.tensor([[0, 1, 2]]))
    tensor([[0, 2, 1]])
    """
    return spec.flip(-2, -1).roll((1, 1), (-2, -1))


def convolve(a: Tensor, b: Tensor) -> Tensor:
    """Return (a * b)(nu) = sum_z a(z) b(nu - z), circular in both axes, by the plain double sum."""
    out = torch.zeros_like(a)
    for u in range(a.shape[-2]):
        for v in range(a.shape[-1]):
            out = out + a[u, v] * b.roll((u, v), (-2, -1))
    return out


def _waves(shape: tuple[int, int]) -> Tensor:
    """exp(2 pi j nu t) as (t, nu), both raveled."""
    h, w = shape
    phase = [torch.outer(torch.arange(n), torch.arange(n)).double() / n for n in (h, w)]
    e = [torch.exp(2j * torch.pi * p) for p in phase]
    return torch.einsum("ac,bd->abcd", *e).reshape(h * w, h * w)


def _mean(x: Tensor) -> Tensor:
    return x.mean((-2, -1))


def _pair(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two real frames and their spectra."""
    x, y = case.logits[:2]
    return x, y, sp.spectrum(x), sp.spectrum(y)


# Section A.2: lemmas 3 and 4 -----------------------------------------------------------------------------------------


def overlap(case: Case) -> Forms:
    """Eq. 11, Lemma 3: integral of Y B = sum_z y(z) b(-z). Mutant: b(+z)."""
    x, y, a, b = _pair(case)
    return {"printed": residual(_mean(x * y), (a * reverse(b)).sum()), "mutant": residual(_mean(x * y), (a * b).sum())}


def convolution(case: Case) -> Forms:
    """Eq. 12: Y B = F^-1(y * b). Mutant: the convolution divided by N, as an unnormalised transform would need."""
    x, y, a, b = _pair(case)
    both = sp.inverse(convolve(a, b))
    return {"printed": residual(x * y, both), "mutant": residual(x * y, both / x.numel())}


def triple(case: Case) -> Forms:
    """Eq. 13: integral of Y B = the triple sum of exp(2 pi j nu t) y(z) b(nu - z). Mutant: b(nu + z)."""
    x, y, a, b = _pair(case)
    total, broken = ((_waves(case.shape) @ convolve(z, b).flatten()).mean() for z in (a, reverse(a)))
    return {"printed": residual(_mean(x * y), total), "mutant": residual(_mean(x * y), broken)}


def delta(case: Case) -> Forms:
    """Eq. 14: integral of exp(2 pi j nu t) dt = D_0(nu). Mutant: the wave with half the frequency.

    Printed (values infinity at 0 and 0 elsewhere): the integral over -T .. T is sin(2 pi nu T)/(pi nu), which keeps its
    size at nu = 1/3 however long T is; it vanishes only under an integral. Convention: Kronecker delta, finite frame.
    """
    n = case.labels.numel()
    kronecker = torch.zeros(n, dtype=torch.complex128)
    kronecker[0] = 1
    t, nu = torch.arange(1, 200, dtype=torch.float64), 1 / 3
    return {
        "printed": float((torch.sin(2 * torch.pi * nu * t) / (torch.pi * nu)).abs().max()),
        "convention": residual(kronecker, _waves(case.shape).mean(0)),
        "mutant": residual(kronecker, _waves(case.shape).pow(0.5).mean(0)),
    }


def sifting(case: Case) -> Forms:
    """Eq. 15: sum over nu and z of y(z) b(nu - z) delta(nu) = sum_z y(z) b(-z). Mutant: the delta one bin off."""
    x, y, a, b = _pair(case)
    c, left = convolve(a, b), (a * reverse(b)).sum()
    return {"printed": max(residual(left, c[0, 0]), residual(_mean(x * y), c[0, 0])), "mutant": residual(left, c[0, 1])}


def zero_frequency(case: Case) -> Forms:
    """Eq. 16, Lemma 4: integral of Y = y(0). Mutant: y(0) of the unnormalised transform."""
    x = case.logits[0] + 0.1
    return {"printed": residual(_mean(x), sp.spectrum(x)[0, 0]), "mutant": residual(_mean(x), torch.fft.fft2(x)[0, 0])}


def zero_frequency_proof(case: Case) -> Forms:
    """Eq. 17, each line: the mean of F^-1(y), of the sum of waves, sum_nu y delta, y(0). Mutant: no mean over t."""
    x = case.logits[0] + 0.1
    spec = sp.spectrum(x)
    waves = _waves(case.shape)
    flat = spec.flatten()
    lines = [_mean(sp.inverse(spec)), (waves @ flat).mean(), (flat * waves.mean(0)).sum(), spec[0, 0]]
    printed = max(residual(_mean(x), v) for v in lines)
    return {"printed": printed, "mutant": residual(_mean(x), (waves @ flat)[1])}


# Sections 2.1, 3.1 and A.3: cross-entropy ----------------------------------------------------------------------------


def _loss(case: Case) -> Tensor:
    return ce.cross_entropy(case.logits[None], case.labels[None])[0]


def _gap(case: Case) -> Tensor:
    """Y_p - Y, the y-hat of section 2.1 in space."""
    return case.logits.exp().sum(0).log() - case.logits


def loss(case: Case) -> Forms:
    """Eqs 1 and 18: both lines of L_CE agree (void: B = 0). Mutant: max_c Y in place of Y_p."""
    b, y = case.onehot, case.logits
    first = -(b * (y.exp() / y.exp().sum(0)).log()).sum(0).mean()
    hard = -(b * (y - y.max(0).values)).sum(0).mean()
    second = (b * _gap(case)).sum(0).mean()
    return {"printed": max(residual(first, second), residual(_loss(case), first)), "mutant": residual(first, hard)}


def logits_and_labels(case: Case) -> Forms:
    """Eq. 19: Lemma 3 for every class's logits and labels. Mutant: the next class's labels."""
    y, b = sp.spectrum(case.logits), reverse(sp.spectrum(case.onehot))
    left = _mean(case.logits * case.onehot)
    return {"printed": residual(left, (y * b).sum((1, 2))), "mutant": residual(left, (y * b.roll(1, 0)).sum((1, 2)))}


def by_class(case: Case) -> Forms:
    """Eq. 20, class by class: -integral of B (Y - Y_p) = sum_nu b(-nu) (y_p - y). Mutant: y_p left out."""
    y, b = sp.spectrum(case.logits), reverse(sp.spectrum(case.onehot))
    y_p = sp.spectrum(case.logits.logsumexp(0))
    left = _mean(case.onehot * _gap(case))
    return {"printed": residual(left, (b * (y_p - y)).sum((1, 2))), "mutant": residual(left, (b * -y).sum((1, 2)))}


def decomposition(case: Case) -> Forms:
    """Theorem 1, Eqs 2 and 21: the sum of L_ce(nu) over all signed frequencies is L_CE. Mutant: u >= 0 only."""
    parts = ce.frequency_components(case.logits[None], case.labels[None])[0]
    side = sp.signed_frequencies(case.shape[1]) >= 0
    return {"printed": residual(_loss(case), parts.sum()), "mutant": residual(_loss(case), parts[:, side].sum())}


def component(case: Case) -> Forms:
    """Eqs 2 and 22: L_ce(nu) is the transform of the correlation C(r) = integral of B(t) (Y_p - Y)(t + r) dt.

    The correlation is summed in space, shift by shift. Mutant: b(+nu).
    """
    gap, b = _gap(case), case.onehot
    shifts = [(r, q) for r in range(case.shape[0]) for q in range(case.shape[1])]
    correlation = torch.stack([(b * gap.roll((-r, -q), (1, 2))).sum(0).mean() for r, q in shifts])
    left = sp.spectrum(correlation.reshape(case.shape))
    ours = ce.frequency_components(case.logits[None], case.labels[None])[0]
    broken = (sp.spectrum(b) * sp.spectrum(gap)).sum(0)
    return {"printed": residual(left, ours), "mutant": residual(left, broken)}


def small_factor(case: Case) -> Forms:
    """Section 2.1: L_ce(nu) is small where b or y-hat is, |L_ce| <= |b| |y-hat| as vectors over c.

    Value: the largest |L_ce|/(|b| |y-hat|); at most 1. Mutant: the bound with the mean over c in place of the norm.
    """
    parts = ce.frequency_components(case.logits[None], case.labels[None])[0].abs()
    b, y = sp.spectrum(case.onehot).abs(), sp.spectrum(_gap(case)).abs()
    bound = b.square().sum(0).sqrt() * y.square().sum(0).sqrt()
    ratios = {"printed": parts / bound, "mutant": parts / (b.mean(0) * y.mean(0))}  # 0/0: nothing under no bound
    return {form: float(ratio.nan_to_num(nan=0.0, posinf=torch.inf).max()) for form, ratio in ratios.items()}


def truncation(case: Case) -> Forms:
    """Eq. 9 at an inner limit and at Nyquist: printed sum from nu = 0 up; convention: the box |u|, |v| <= nu_max.

    The box must give -sum_c <P B, log S> (P the projection on the band) and L_CE at Nyquist. Mutant: half-open box.
    """
    nyquist = max(case.shape) // 2
    parts = ce.frequency_components(case.logits[None], case.labels[None])[0]
    _, kept, _ = ce.truncated_cross_entropy(case.logits[None], case.labels[None], [2, nyquist])
    u, v = (sp.signed_frequencies(n) for n in case.shape)
    one_sided = parts[u >= 0][:, v >= 0].sum()
    projected = -(sp.band_limit(case.onehot, 2) * case.logits.log_softmax(0)).sum(0).mean()
    half_open = parts[(u >= -2) & (u < 2)][:, (v >= -2) & (v < 2)].sum()
    return {
        "printed": residual(_loss(case), one_sided),
        "convention": max(residual(projected, kept[0, 0]), residual(_loss(case), kept[0, 1])),
        "mutant": residual(projected, half_open),
    }


def loss_rate(case: Case) -> Forms:
    """Eq. 10: R = |1 - truncated/L_CE| = |<B_high, log S>|/L_CE. Mutant: the kept share without 1 -."""
    rate = ce.relative_loss_rate(case.logits[None], case.labels[None], [2])[0]
    _, kept, _ = ce.truncated_cross_entropy(case.logits[None], case.labels[None], [2])
    high = case.onehot - sp.band_limit(case.onehot, 2)
    tail = (high * case.logits.log_softmax(0)).sum(0).mean()
    share = kept[0, 0] / _loss(case)
    printed = max(residual(rate, (1 - share).abs()), residual(rate, tail.abs() / _loss(case)))
    return {"printed": printed, "mutant": residual(rate, share)}


def band_limited_labels(case: Case) -> Forms:
    """Eq. 10 as a change of the loss: R = |CE of the band-limited labels / CE - 1|. Mutant: of band-limited logits."""
    rate = ce.relative_loss_rate(case.logits[None], case.labels[None], [2])[0]

    def change(labels: Tensor, logits: Tensor) -> Tensor:
        return (-(labels * logits.log_softmax(0)).sum(0).mean() / _loss(case) - 1).abs()

    labels, logits = (sp.band_limit(x, 2) for x in (case.onehot, case.logits))
    return {"printed": residual(rate, change(labels, case.logits)),
            "mutant": residual(rate, change(case.onehot, logits))}  # fmt: skip


def zero_component(case: Case) -> Forms:
    """L_ce(0) = m [H(pi/m) + KL(pi/m || p) + mean KL(p || S_t)]. Mutant: KL(S_t || p), the other way round."""
    parts = rce_laws.zero_frequency(case.logits[None], case.labels[None])
    left = ce.frequency_components(case.logits[None], case.labels[None])[0, 0, 0].real
    s, log_p = case.logits.softmax(0), _mean(case.logits).log_softmax(0)
    other = (s * (s.log() - log_p[:, None, None])).sum(0).mean() * (case.labels != 255).double().mean()
    return {"printed": residual(left, sum(parts)), "mutant": residual(left, parts.entropy + parts.mismatch + other)}


Checks = dict[str, Callable[[Case], Forms]]
CROSS_ENTROPY: Checks = {
    "eq01-two-lines": loss, "th1-decomposition": decomposition, "eq02-component": component,
    "eq02-small-factor": small_factor, "eq09-truncated-loss": truncation, "eq10-loss-rate": loss_rate,
    "eq10-labels-limited": band_limited_labels, "bey-zero-frequency": zero_component,
    "eq11-overlap": overlap, "eq12-convolution": convolution, "eq13-triple-integral": triple, "eq14-delta": delta,
    "eq15-sifting": sifting, "eq16-mean": zero_frequency, "eq17-proof": zero_frequency_proof,
    "eq18-two-lines": loss, "eq19-logits-and-labels": logits_and_labels, "eq20-by-class": by_class,
    "eq21-sum": decomposition, "eq22-component": component,
}  # fmt: skip


def run(checks: Checks, *, draws: int = 20) -> list[Result]:
    """Return the worst residuals of each check over `draws` random cases, and the least residual of its mutant.

    The cases depend on the check's name too, so that two checks of equations printed twice do not share them.

    >>> run({"eq11-overlap": overlap}, draws=4)[0].forms["printed"] < 1e-10
    True
    """
    out = []
    for name, check in checks.items():
        found = [check(draw(i, zlib.crc32(name.encode()) % 9973)) for i in range(draws)]
        forms = {form: max(f[form] for f in found) for form in found[0] if form != "mutant"}
        out.append(Result(name, forms, min(f["mutant"] for f in found), draws))
    return out


def frame(results: list[Result]) -> pd.DataFrame:
    """Return results as rows: check, one column per form, mutant, draws (what a chapter shows).

    >>> frame([Result("a", {"printed": 1.0, "corrected": 0.0}, 2.0, 3)]).iloc[0].to_dict()
    {'check': 'a', 'draws': 3, 'printed': 1.0, 'corrected': 0.0, 'mutant': 2.0}
    """
    return pd.DataFrame([{"check": r.check, "draws": r.draws, **r.forms, "mutant": r.mutant} for r in results])
