# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Boundary IoU in frequency
# You will know for which width of the boundary region boundary IoU is a low-frequency measure, and which of A.6's steps
# survive.
#
# :::{admonition} What is claimed
# :class: claim
# Eqs 33 to 40 and the second key observation for boundary IoU: it "is also mainly contributed by the low-frequency
# components of the segmentation map" (2.1, A.6) {cite}`chen2020spectral`. One usual width $d$ whose band has most of
# its energy above the paper's efficient band limits refutes the general statement; an equation falls by its residual.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import math

import numpy as np
import pandas as pd
from myst_nb import glue

from specseg import boundary_band as bb
from specseg import config, figures, ledger
from specseg import identities_boundary as ib
from specseg import identities_gradient as ig
from specseg import symbolic_gradient as sym
from specseg.figures import boundary as draw

sizes = config.profile(profile)
findings = ledger.open("40_boundary_iou", profile=profile)
findings.banner()
# %%
widths = [1, 3, 5, 14.5]
rows = bb.width_table(widths, np.unique(np.geomspace(4, 256, 33).astype(int)), 513)
above = {d: bb.straight_band_energy_above(d / 513, 32) for d in (1, 3, 5, 14.5, 15)}
figures.show(
    draw.energy_above(rows),
    caption="How much of the energy of a boundary region of width d lies above a band limit, "
            "at 513 pixels. 14.5 px is the width that boundary IoU was proposed with, 2 % of "
            "the diagonal.",
    alt=f"Four falling curves. At nu_max 32 the curve of 14.5 pixels has fallen to "
        f"{above[14.5]:.0%}, that of 1 pixel is still at {above[1]:.0%}; dots of the "
        "transform lie on the closed form.",
    source="this chapter", label="fig-band-energy",
)
# %% [markdown]
# ## The measure and its model
# $B_d$ and $S_d$ are the pixels within $d$ of the contours, so that only the inner bands count
# {cite}`cheng2021boundary`:
#
# (eq-33)=
# $$ \text{boundary IoU} = \frac{|(B \cap B_d) \cap (S \cap S_d)|}{|(B \cap B_d) \cup (S \cap S_d)|} \tag{33} $$
#
# The paper goes on in one dimension, with intervals and the Heaviside function $H$:
#
# (eq-34)=
# $$ S = H(t - t_{s0}) - H(t - t_{s1}), \qquad B = H(t - t_{b0}) - H(t - t_{b1}) \tag{34} $$
# %% [markdown]
# and puts a Gaussian on each edge for the band:
#
# (eq-35)=
# $$ S_{\partial\Omega} = S_d \cap S = e^{-(t - t_{s0})^2/2\sigma^2} + e^{-(t - t_{s1})^2/2\sigma^2}, \qquad
#    B_{\partial\Omega} = \dots \tag{35} $$
#
# (eq-36)=
# $$ s_{\partial\Omega} = (e^{-j t_{s0} \nu} + e^{-j t_{s1} \nu}) \, e^{-\nu^2 \sigma^2 / 2} \tag{36} $$
# %% [markdown]
# (eq-37)=
# $$ \text{boundary IoU}(s, b) = \frac{1}{\frac{s_{\partial\Omega}(0) + b_{\partial\Omega}(0)}
#    {\int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu} - 1} \tag{37} $$
#
# (eq-38)=
# $$ \int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu = \frac{\sqrt\pi}{2\sigma} \sum_{4\ \text{pairs}}
#    e^{-C^2} \operatorname{erf}(\nu\sigma - jC), \qquad C = \frac{t_b - t_s}{2\sigma} \tag{38} $$
# %% [markdown]
# From here erf is expanded, and its imaginary argument dropped:
#
# (eq-39)=
# $$ \int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu = \frac{\sqrt\pi}{2\sigma} \operatorname{erf}(\nu\sigma)
#    \sum_{4\ \text{pairs}} e^{-C^2} \tag{39} $$
#
# (eq-40)=
# $$ \operatorname{erf}(\nu\sigma - jC) \simeq \operatorname{erf}(\nu\sigma) + \frac{e^{-\nu^2\sigma^2}}{2\pi\nu\sigma}
#    (1 - \cos 2\nu\sigma C + j \sin 2\nu\sigma C) \simeq \operatorname{erf}(\nu\sigma) \tag{40} $$
# %% [markdown]
# ## The equations, derived again
# Sympy transforms one Gaussian. The factor $\sigma\sqrt{2\pi}$ is what {ref}`Eq. 36 <eq-36>` lacks:
# %%
left, right = sym.gaussian_transform()
assert (left - right).simplify() == 0
right
# %% [markdown]
# With it, and $\frac{1}{2\pi}$ for an angular frequency, one pair adds over $[-\nu, \nu]$ the overlap
# $\frac{\sigma\sqrt\pi}{2} e^{-C^2} [\operatorname{erf}(\nu\sigma - jC) + \operatorname{erf}(\nu\sigma + jC)]$: it is
# zero at $\nu = 0$ and has the integrand as its derivative. {ref}`Eq. 38 <eq-38>` is an antiderivative at its upper
# limit alone; at $\nu = 0$ it leaves $-e^{-C^2}\operatorname{erf}(jC)$.
# %%
assert sym.overlap_derivative() == 0
sym.printed_overlap_at_zero()
# %% [markdown]
# Random intervals, widths and band limits then judge each form. `residual` is the largest over the draws of the form
# that is right; `as printed or broken` the smallest of the printed form where that is wrong, else of a form broken on
# purpose (a "mutant": a check that lets it pass would test nothing).
# %%
checks = {
    "eq33-bands-in-frequency": ib.eq33, "eq34-interval-spectrum": ib.eq34,
    "eq36-gaussian-transform": ib.eq36, "eq37-score": ib.eq37,
    "eq38-overlap": ib.eq38, "eq40-erf-expansion": ib.eq40,
}  # fmt: skip
results = {claim: ig.worst(check, draws=sizes.draws) for claim, check in checks.items()}
pd.DataFrame(results, index=["residual", "as printed or broken"]).T.style.format("{:.1e}")
# %% tags=["hide-input"]
for claim in ("eq33-bands-in-frequency", "eq34-interval-spectrum"):
    seen = results[claim]
    findings.observe(claim, value=seen.value, mutant=seen.mutant, note="Holds to rounding.")
notes = {
    "eq36-gaussian-transform": "The factor sigma sqrt(2 pi) is missing.",
    "eq37-score": "Exact once Eq. 36 has its factor and the overlap its 1/(2 pi).",
    "eq38-overlap": "The lower limit of the integral and the prefactors are missing; as "
                    "printed it is complex.",
}
for claim, note in notes.items():
    seen = results[claim]
    findings.observe(claim, value=seen.mutant, form="printed", note=note)
    findings.observe(claim, value=seen.value, mutant=seen.mutant, form="corrected", note=note)
# %% [markdown]
# ## A perfect prediction does not score 1
# With all factors right, two equal Gaussian bands overlap by $\sigma\sqrt\pi$ an edge out of $\sigma\sqrt{2\pi}$: a
# Gaussian times itself is not itself. The modelled score of a perfect prediction is
# $1/(2\sqrt2 - 1)$ = {glue:text}`bou_perfect`, for every $\sigma$. With the printed factors it even depends on the unit
# of length: {glue:text}`bou_units` for $\sigma$ = 1, 2, 4 pixels.
# %%
perfect = bb.score((0, 80), (0, 80), 2.0).real
printed = [bb.score((0, 160), (0, 160), s, form="printed").real for s in (1.0, 2.0, 4.0)]
sigma, error = bb.fitted_sigma()
t = np.linspace(-2, 3, 501)
band, gaussian = ((t >= 0) & (t <= 1)).astype(float), np.exp(-(t**2) / (2 * sigma**2))
figures.show(
    draw.bands(t, band, gaussian, sigma),
    caption="The band that boundary IoU counts, and the Gaussian nearest to it in the mean "
            "square.",
    alt="A box from 0 to 1 inside the object, and a Gaussian centred on the contour: half of "
        "it lies outside.",
    source="this chapter", label="fig-band-model",
)
# %% tags=["hide-input"]
glue("bou_perfect", f"{perfect:.3f}", display=False)
glue("bou_units", ", ".join(f"{v:.2f}" for v in printed), display=False)
glue("bou_fit", f"{error:.0%}", display=False)
findings.observe(
    "bey-perfect-boundary-score", value=perfect, mutant=printed[1],
    note=f"The model gives {perfect:.3f} to a perfect prediction; true bands give 1.",
)
# %% [markdown]
# The nearest Gaussian misses the band by {glue:text}`bou_fit` of its norm. The band itself needs no model: across it,
# it is a box, whose energy above a band limit is known in closed form.
#
# ```{literalinclude} /lib/specseg/boundary_band.py
# :pyobject: straight_band_energy_above
# ```
# %%
part = rows[rows["nu_max"].between(8, 64)]
both = part.pivot_table("value", ["width", "nu_max"], "kind").dropna()
difference = (both["law"] - both["measured"]).abs().max()
law = both.unstack("width")["law"]
law.rename(columns=lambda d: f"{d:g} px").style.format("{:.2f}")
# %% tags=["hide-input"]
note = (f"No: the nearest Gaussian is {error:.0%} of the band's norm away. The band itself "
        f"needs no model: its energy above a limit has a closed form, within "
        f"{difference:.3f}.")
findings.observe("eq35-gaussian-band", value=error, note=note)
findings.observe("eq35-gaussian-band", value=difference, form="corrected", note=note)
findings.observe(
    "eq34-one-dimension", value=difference,
    mutant=float((1 - both["law"] - both["measured"]).abs().max()),
    note="Straight bands, averaged over directions, stand for the disc's: shares of energy "
         f"differ by {difference:.3f} at most.",
)
# %% [markdown]
# ## The expansion and what it hides
# The first derivative in $C$ decides the sign in {ref}`Eq. 40 <eq-40>`. True: {glue:text}`bou_true_slope`, printed:
# {glue:text}`bou_printed_slope` (at $\nu\sigma = 1$). Abramowitz and Stegun 7.1.29 {cite}`abramowitz1964handbook` has
# a minus there, and a series with $\cosh nC$ that is the larger part: without it the slope is
# {glue:text}`bou_head_slope`.
# %%
slopes = {"true": sym.erf_in_c(1).coeff(sym.C, 1), "printed": sym.expansion_in_c(sign=1),
          "head": sym.expansion_in_c(sign=-1)}  # fmt: skip
exact = complex(bb.expansion(1.0, 0.5))
off = abs(complex(bb.expansion(1.0, 0.5, form="printed")) - exact) / abs(exact)
slopes["true"]
# %% tags=["hide-input"]
for name, slope in slopes.items():
    value = complex(slope.subs(sym.X, 1)).imag
    glue(f"bou_{name}_slope", f"{value:+.3f}j", display=False)
note = f"Wrong sign and a dropped series: {off:.0%} off at nu sigma = 1, C = 0.5."
seen = results["eq40-erf-expansion"]
findings.observe("eq40-erf-expansion", value=off, note=note)
findings.observe("eq40-erf-expansion", value=seen.value, mutant=seen.mutant,
                 form="corrected", note=note)  # fmt: skip
# %% [markdown]
# What remains is $\operatorname{erf}(\nu\sigma)$ for $\operatorname{Re}\operatorname{erf}(\nu\sigma - jC)$. The map
# shows its relative error: point at it. Below the white line it is under 10 %.
# %%
x, c = np.linspace(0.05, 3, 60), np.linspace(0, 4, 81)
errors = bb.approximation_error(*np.meshgrid(x, c))
figures.show_plotly(
    draw.error_map(x, c, errors),
    caption="Relative error of the step from Eq. 38 to Eq. 39 for one pair of edges.",
    alt="Heat map: small errors near C = 0, errors as large as the term itself elsewhere.",
    source="this chapter", label="fig-error-map",
)
# %%
listed = {f"{v:g}": float(bb.approximation_error(1.0, v)) for v in (0.1, 0.5, 1, 2, 3)}
table = pd.Series(listed, name="error at nu sigma = 1").rename_axis("C").to_frame()
table.style.format("{:.1%}")
# %% tags=["hide-input"]
at_one, small = listed["1"], float(errors[c < 0.31].max())
note = f"{at_one:.0%} at C = 1, nu sigma = 1; below {small:.0%} for C <= 0.3."
findings.observe("eq39-approximation", value=at_one, note=note)
findings.observe("eq39-approximation", value=small, mutant=at_one, form="approximation",
                 note=note)  # fmt: skip
# %% [markdown]
# ## Low-frequency energy is not low-frequency information
# Near $\nu = 0$ *every* pair of edges, matched or far apart, adds $2\nu\sigma/\sqrt\pi$. The frequencies above take it
# away again from the pairs that do not match (left, where the dashes of {ref}`Eq. 39 <eq-39>` miss just this). So the
# low band holds the overlap but says little of a good boundary against a bad one: what answers to a moved edge grows
# with $\nu^2$. The band $\nu\sigma \le 1$ holds {glue:text}`bou_overlap` of the overlap and {glue:text}`bou_answer` of
# that answer: "also sensitive" to low frequencies, as the paper says, but less than the overlap suggests.
# %%
answer = float(bb.shift_sensitivity(1.0))
figures.show(
    draw.built_up(bb.built_up_table([0, 1, 2], np.linspace(0, 3, 121))),
    caption="Left: the overlap of one pair of edges as the band grows. Right: shares of a "
            "matched pair's overlap and of its answer to a shift that lie below a band limit.",
    alt="Left: curves for C = 0, 1, 2 start together; those of C = 1 and 2 turn down again. "
        "Right: the answer to a shift rises later than the overlap.",
    source="this chapter", label="fig-built-up",
)
# %% tags=["hide-input"]
glue("bou_answer", f"{answer:.0%}", display=False)
glue("bou_overlap", f"{math.erf(1):.0%}", display=False)
note = f"The band nu sigma <= 1 gives {answer:.0%} of the answer to a moved edge"
findings.observe("obs2-boundary-iou-answer", value=answer, note=note + ": also sensitive.",
                 mutant=float(bb.shift_sensitivity(0.5)))  # fmt: skip
findings.observe("bey-boundary-iou-answer", value=answer, mutant=math.erf(1),
                 note=note + f", against {math.erf(1):.0%} of the overlap.")  # fmt: skip
# %% [markdown]
# ## What "mainly low frequency" means
# For a band of width $d$ it means $\nu_{max} d / N$ above about a quarter. The paper's efficient limits end at 32.
# %%
kept = {d: math.erf(2 * math.pi * 32 / 513 * sigma * d) for d in above}
low = [d for d in (1, 3, 5, 15) if above[d] <= 0.5]
shares = pd.DataFrame({"band, above 32": above, "model, below 32": kept}).rename_axis("d [px]")
shares.rename(index=lambda d: f"{d:g}").style.format("{:.0%}")
# %% tags=["hide-input"]
note = "Share above nu_max = 32 at 513 px: " + ", ".join(
    f"{above[d]:.0%} for d = {d} px" for d in (1, 3, 5, 15)
) + "."
findings.observe("obs2-boundary-iou", value=len(low), n=4, note=note)
findings.observe("obs2-boundary-iou", value=above[14.5], mutant=above[1], form="convention",
                 note=note)  # fmt: skip
note = (f"The model keeps {kept[1]:.0%} of the overlap below nu_max = 32 for d = 1 px, "
        f"{kept[14.5]:.0%} for d = 14.5 px.")
findings.observe("eq39-low-frequency", value=min(kept.values()), note=note)
findings.observe("eq39-low-frequency", value=kept[14.5], mutant=kept[1], form="convention",
                 note=note)  # fmt: skip
# %% [markdown]
# ## What we found
# %% tags=["hide-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. For a 1024 x 2048 frame of Cityscapes, which $d$ (2 % of the diagonal) follows, and what share lies above 32?
# 2. Set $C = 0$ in {ref}`Eq. 40 <eq-40>`. Which terms vanish? Why does the error then start with $C^2$ in the real
#    part?
# 3. Two thin poles side by side: which pairs of edges have $C$ of about 1, and does {ref}`Eq. 39 <eq-39>` hold for
#    them?
