# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Boundary IoU in frequency
# You will know for which width of the strip along a contour boundary IoU is made of low frequencies, and which
# frequencies answer when a contour moves.
#
# :::{admonition} The answer
# :class: tip
# It depends on the width $d$ of the strip: of a strip of 15 pixels in a frame of 513, the usual width, at most
# {glue:text}`bou_wide` of the energy lies above 32 cycles per frame; of one of 1 pixel it is {glue:text}`bou_thin` or
# more. What the score answers to an edge that is off by a pixel is not made of low frequencies: below the limit where
# the paper's model puts {glue:text}`bou_model` of the answer, {glue:text}`bou_range` lies there. The model fails
# since it puts a bell on the contour, where the strip is a box on one side of it. These are laws of shapes with their
# limits, so that another resolution changes the widths and not the laws; thin objects, thinner than two strips,
# follow others.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import math

import numpy as np
import pandas as pd
import sympy as sp
from IPython.display import HTML
from myst_nb import glue
from scipy import special

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import config, ledger
from specseg.figures import boundary as draw
from specseg.proofs import boundary_contours as bc
from specseg.proofs import identities_gradient as ig
from specseg.spectral import boundary as bb

sizes = config.profile(profile)
findings = ledger.open("40_boundary_iou", profile=profile)
# %% tags=["remove-cell"]
units = bc.contours({kind: synthetic.scene(kind, 0, bc.FRAME, void=False).label for kind in synthetic.REGIMES})
widths, disc = [1, 3, 5, 15], {"disc": units["disc, radius 154"]}
limits = np.unique([*np.geomspace(4, 256, 33).astype(int), 32])
rows = bc.one_dimension_table(disc, widths, limits)
rows = rows[rows["reading"] == bc.READINGS[0]]
law32 = {d: float(bb.straight_band_energy_above(d / bc.FRAME, 32)) for d in widths}
page = rows[rows["nu_max"] == 32].set_index("width")["above"]
# %% tags=["remove-input"]
figures.show(draw.energy_above(rows), label="fig-band-energy",
    caption="How much of the energy of a strip of width d along a disc's contour lies above a band limit, at 513 "
            "pixels. 15 px is the width that boundary IoU was proposed with: 2 % of the diagonal, 14.5 px, rounded.",
    alt=f"Falling curves. At 32 that of 15 pixels has fallen to {law32[15]:.0%}, that of 1 pixel to {law32[1]:.0%}.")
# %% [markdown]
# ## By hand
# A disc, the strips of several widths inside its contour, and the share of each strip's energy above 32 cycles per
# frame. Then the score of a prediction that is one pixel too large.
# %%
import torch

import specseg
from specseg.spectral.iou import inner_boundary

t = torch.arange(513) - 256
disc_map, larger = (t[:, None] ** 2 + t[None, :] ** 2 < r**2 for r in (154, 155))
for d in widths:
    strip = inner_boundary(disc_map, d).double()
    kept = specseg.band_limit(strip, 32).square().sum()
    above = 1 - kept / strip.square().sum()
    print(f"d = {d:2} px: by hand {above:.0%} above 32, this page {page[d]:.0%}")
score = specseg.boundary_iou(larger, disc_map, 15)
print(f"one pixel too large: boundary IoU {score:.3f}")
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# Eqs 33 to 40 and the second key observation for boundary IoU: it "is also mainly contributed by the low-frequency
# components of the segmentation map" (2.1, A.6) {cite}`chen2020spectral`. One usual width $d$ whose strip has most of
# its energy above the paper's efficient band limits refutes the general statement; an equation falls by its residual.
# :::
#
# | symbol | meaning |
# |---|---|
# | $B$, $S$ | the true and the predicted object; $B_d$, $S_d$ the pixels within $d$ of their contours |
# | $b_{\partial\Omega}$, $s_{\partial\Omega}$ | spectra of the strips $B \cap B_d$ and $S \cap S_d$ |
# | $t_b$, $t_s$ | places of a true and a predicted edge |
# | $\sigma$, $C$ | width of the Gaussian that models a strip; $C = (t_b - t_s)/2\sigma$, the distance of two edges |
# | $\nu$, $\nu_{max}$ | frequency and band limit, in cycles per frame, or radians a pixel where an equation says so |
# %% [markdown]
# ## The measure and its model
# Of the pixels within $d$ of the contours only those inside the objects count {cite}`cheng2021boundary`:
#
# (eq-33)=
# $$ \text{boundary IoU} = \frac{|(B \cap B_d) \cap (S \cap S_d)|}{|(B \cap B_d) \cup (S \cap S_d)|} \tag{33} $$
#
# The paper goes on in one dimension, with intervals and the Heaviside function $H$:
#
# (eq-34)=
# $$ \begin{gathered}
#   S = H(t - t_{s0}) - H(t - t_{s1}) \cr
#   B = H(t - t_{b0}) - H(t - t_{b1})
# \end{gathered} \tag{34} $$
# %% [markdown]
# and puts a Gaussian on each edge for the band:
#
# (eq-35)=
# $$ \begin{gathered}
#   S_{\partial\Omega} = S_d \cap S = e^{-(t - t_{s0})^2/2\sigma^2} + e^{-(t - t_{s1})^2/2\sigma^2} \cr
#   B_{\partial\Omega} = \dots
# \end{gathered} \tag{35} $$
#
# (eq-36)=
# $$ s_{\partial\Omega} = (e^{-j t_{s0} \nu} + e^{-j t_{s1} \nu}) \, e^{-\nu^2 \sigma^2 / 2} \tag{36} $$
# %% [markdown]
# (eq-37)=
# $$ \text{boundary IoU}(s, b) = \frac{1}{\frac{s_{\partial\Omega}(0) + b_{\partial\Omega}(0)}
#    {\int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu} - 1} \tag{37} $$
#
# (eq-38)=
# $$ \begin{gathered}
#   \int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu = \frac{\sqrt\pi}{2\sigma} \cr
#   \sum_{4\ \text{pairs}} e^{-C^2} \operatorname{erf}(\nu\sigma - jC) \cr
#   C = \frac{t_b - t_s}{2\sigma}
# \end{gathered} \tag{38} $$
# %% [markdown]
# From here erf is expanded, and its imaginary argument dropped:
#
# (eq-39)=
# $$ \begin{gathered}
#   \int s_{\partial\Omega}(\nu) b_{\partial\Omega}(-\nu) d\nu \cr
#   = \frac{\sqrt\pi}{2\sigma} \operatorname{erf}(\nu\sigma) \sum_{4\ \text{pairs}} e^{-C^2}
# \end{gathered} \tag{39} $$
#
# (eq-40)=
# $$ \begin{gathered}
#   \operatorname{erf}(\nu\sigma - jC) \cr
#   \simeq \operatorname{erf}(\nu\sigma) + \frac{e^{-\nu^2\sigma^2}}{2\pi\nu\sigma} \cr
#   (1 - \cos 2\nu\sigma C + j \sin 2\nu\sigma C) \cr
#   \simeq \operatorname{erf}(\nu\sigma)
# \end{gathered} \tag{40} $$
# %% [markdown]
# ## Eq. 36, derived
# **Statement.** One Gaussian on an edge at $t_0$ has the transform
# $\sigma\sqrt{2\pi}\, e^{-jt_0\nu} e^{-\nu^2\sigma^2/2}$; {ref}`Eq. 36 <eq-36>` lacks $\sigma\sqrt{2\pi}$.
# **Derivation.** Sympy (which writes $i$ for $j$) integrates a Gaussian at 0; moving it to $t_0$ multiplies by
# $e^{-jt_0\nu}$.
# %% tags=["remove-input"]
t, nu, t0, D = sp.symbols("t nu t_0 D", real=True)
sigma, V = sp.symbols("sigma V", positive=True)
centred = sp.integrate(sp.exp(-t**2 / (2 * sigma**2)) * sp.exp(-sp.I * nu * t), (t, -sp.oo, sp.oo))
eq36 = sp.exp(-sp.I * nu * t0) * sp.simplify(centred)
eq36
# %% [markdown]
# ## Eq. 38, derived
# **Statement.** Over $[-V, V]$ a pair of edges at the distance $D = t_b - t_s$, $C = D/2\sigma$, overlaps by
# $\sigma\sqrt\pi\, e^{-C^2} \operatorname{Re} \operatorname{erf}(V\sigma - jC)$.
# **Derivation.** With an angular frequency the overlap is $\frac{1}{2\pi}\int s(\nu) b(-\nu) d\nu$. The product of
# the two transforms is $2\pi\sigma^2 e^{-\nu^2\sigma^2 + j\nu D}$, and its antiderivative is
# %% tags=["remove-input"]
product = eq36.subs(t0, 0) * eq36.subs({t0: D, nu: -nu}, simultaneous=True) / (2 * sp.pi)
integrand = sigma**2 * sp.exp(-(nu**2) * sigma**2 + sp.I * nu * D)
assert sp.simplify(product - integrand) == 0
antiderivative = sp.integrate(integrand, nu)
antiderivative
# %% [markdown]
# As erf is odd, this is $\frac{\sigma\sqrt\pi}{2} e^{-C^2}\operatorname{erf}(\nu\sigma - jC)$: {ref}`Eq. 38 <eq-38>`
# is the antiderivative at the upper limit. (Its prefactor is that of {ref}`Eq. 36 <eq-36>` without
# $\sigma\sqrt{2\pi}$, and of an integral without $\frac{1}{2\pi}$.) The lower limit is missing: at $\nu = 0$, where
# no frequency is kept, it leaves
# %% tags=["remove-input"]
sp.simplify(antiderivative.subs(nu, 0))
# %% [markdown]
# which is imaginary, and zero for $D = 0$ alone. Subtracting the value at $-V$ makes the overlap real:
# %% tags=["hide-input"]
half = D / (2 * sigma)
two = sp.erf(V * sigma - sp.I * half) + sp.erf(V * sigma + sp.I * half)  # conjugates: 2 Re erf
eq38 = sigma * sp.sqrt(sp.pi) / 2 * sp.exp(-(half**2)) * two
assert sp.simplify(antiderivative.subs(nu, V) - antiderivative.subs(nu, -V) - eq38) == 0
eq38
# %% [markdown]
# **Numbers.** Random intervals, widths and band limits judge each equation against sums over pixels or quadrature.
# *Right form*: the largest difference of both sides over the draws, as a share of the larger; below $10^{-6}$, what
# the quadrature leaves, they are equal. *Printed or rival*: the smallest difference of the printed form where that is
# wrong. Elsewhere it is a formula that a reader could mistake for it: Dice's score for {ref}`Eq. 33 <eq-33>`, the
# interval centred as in the continuum for {ref}`Eq. 34 <eq-34>`.
# %% tags=["remove-input"]
checks = {
    "eq33-bands-in-frequency": bc.eq33, "eq34-interval-spectrum": bc.eq34, "eq36-gaussian-transform": bc.eq36,
    "eq37-score": bc.eq37, "eq38-overlap": bc.eq38, "eq40-erf-expansion": bc.eq40}
results = {claim: ig.worst(check, draws=sizes.draws) for claim, check in checks.items()}
pd.DataFrame({findings.claims[k].locator: {"right form": "equal" if r.value < 1e-6 else f"off by {r.value:.0%}",
                                           "printed or rival": f"off by {r.mutant:.0%}"} for k, r in results.items()}).T
# %% tags=["remove-cell"]
for claim in ("eq33-bands-in-frequency", "eq34-interval-spectrum"):
    findings.observe(claim, value=results[claim].value, mutant=results[claim].mutant, note="Holds to rounding.")
notes = {
    "eq36-gaussian-transform": "The factor sigma sqrt(2 pi) is missing.",
    "eq37-score": "Exact once Eq. 36 has its factor and the overlap its 1/(2 pi).",
    "eq38-overlap": "The lower limit of the integral and the prefactors are missing; as printed it is complex."}
for claim, note in notes.items():
    seen = results[claim]
    findings.observe(claim, value=seen.mutant, form="printed", note=note)
    findings.observe(claim, value=seen.value, mutant=seen.mutant, form="corrected", note=note)
# %% [markdown]
# ## A perfect prediction does not score 1
# With all factors right, two equal Gaussian bands overlap by $\sigma\sqrt\pi$ an edge out of $\sigma\sqrt{2\pi}$: a
# Gaussian times itself is not itself. The modelled score of a perfect prediction is
# $1/(2\sqrt2 - 1)$ = {glue:text}`bou_perfect`, for every $\sigma$ small beside the object. With the printed factors it
# even depends on the unit of length: {glue:text}`bou_units`.
# %% tags=["remove-input"]
perfect = bb.score((0, 80), (0, 80), 2.0).real
true = float(specseg.boundary_iou(disc_map, disc_map, 4))
printed = [bb.score((0, 160), (0, 160), s, printed=True).real for s in (1.0, 2.0, 4.0)]
glue("bou_perfect", f"{perfect:.3f}", display=False)
glue("bou_units", f"{printed[0]:.2f} for σ = 1 pixel and {printed[2]:.2f} for 4", display=False)
findings.observe("bey-perfect-boundary-score", value=perfect, mutant=true, note=(
    f"The model gives {perfect:.3f} to a perfect prediction; true bands give {true:.0f}."))
pd.Series({"model": perfect, "as printed, sigma = 2 px": printed[1], "true strips": true}, name="score").to_frame()
# %% [markdown]
# ## Eq. 40, derived
# **Statement.** With $x = \nu\sigma$, $\operatorname{erf}(x - jC) = \operatorname{erf}(x) + \frac{e^{-x^2}}{2\pi x}
# (1 - \cos 2xC - j \sin 2xC)$ plus a series that may not be dropped (Abramowitz and Stegun 7.1.29
# {cite}`abramowitz1964handbook`). {ref}`Eq. 40 <eq-40>` has $+j\sin$ and no series.
# **Derivation.** Going from $x$ down to $x - jC$, $\frac{d}{d\tau}\operatorname{erf}(x - j\tau) =
# -\frac{2j}{\sqrt\pi} e^{-x^2} e^{\tau^2} e^{2jx\tau}$. In $e^{\tau^2}$ is the difficulty; Poisson's sum takes it
# away: $\sum_n e^{-(\tau - n/2)^2} = 2\sqrt\pi$ up to $4\sqrt\pi\, e^{-4\pi^2}$, so that
# $e^{\tau^2} = \frac{1}{2\sqrt\pi} [1 + 2\sum_{n \ge 1} e^{-n^2/4} \cosh n\tau]$:
# %% tags=["remove-cell"]
x, C, n, tau = sp.symbols("x C n tau", positive=True)
slope = sp.diff(sp.erf(x - sp.I * tau), tau)
assert sp.simplify(slope + 2 * sp.I / sp.sqrt(sp.pi) * sp.exp(-(x**2) + tau**2 + 2 * sp.I * x * tau)) == 0
poisson = (1 + 2 * sum(sp.exp(-sp.Rational(k**2, 4)) * sp.cosh(k * tau) for k in range(1, 25))) / (2 * sp.sqrt(sp.pi))
assert all(abs(sp.N((poisson / sp.exp(tau**2) - 1).subs(tau, v), 30)) < 1e-15 for v in (0, 1, 3))
# %% [markdown]
# For $\tau$ up to 3 the sum is right to 15 digits with 24 terms. Now every term can be integrated.
# The 1 gives the head, and its sign:
# %% tags=["remove-input"]
factor = -2 * sp.I / sp.sqrt(sp.pi) * sp.exp(-(x**2)) / (2 * sp.sqrt(sp.pi))
head = factor * sp.integrate(sp.exp(2 * sp.I * x * tau), (tau, 0, C))
mended = sp.exp(-(x**2)) / (2 * sp.pi * x) * (1 - sp.cos(2 * x * C) - sp.I * sp.sin(2 * x * C))
assert sp.simplify((head - mended).rewrite(sp.exp)) == 0
sp.simplify(head)
# %% [markdown]
# that is $1 - e^{2jxC} = 1 - \cos 2xC - j\sin 2xC$. Each $\cosh n\tau$ gives the $n$-th term of the series, in the
# handbook's letters $\frac{2}{\pi} \frac{e^{-x^2 - n^2/4}}{n^2 + 4x^2} (f_n - j g_n)$. Sympy finds the same, with
#
# $$ f_n = 2x - 2x \cosh nC \cos 2xC + n \sinh nC \sin 2xC $$
#
# $$ g_n = 2x \cosh nC \sin 2xC + n \sinh nC \cos 2xC $$
# %% tags=["remove-cell"]
term = 2 * factor * sp.exp(-(n**2) / 4) * sp.integrate(sp.cosh(n * tau) * sp.exp(2 * sp.I * x * tau), (tau, 0, C))
cos, sin, cosh, sinh = sp.cos(2 * x * C), sp.sin(2 * x * C), sp.cosh(n * C), sp.sinh(n * C)
f = 2 * x - 2 * x * cosh * cos + n * sinh * sin
g = 2 * x * cosh * sin + n * sinh * cos
handbook = 2 / sp.pi * sp.exp(-(x**2)) * sp.exp(-(n**2) / 4) / (n**2 + 4 * x**2) * (f - sp.I * g)
assert sp.simplify((term - handbook).rewrite(sp.exp)) == 0
# %% [markdown]
# How much is dropped with the series? Already at $C \to 0$ the head holds only this share of the change, for every $x$
# ({glue:text}`bou_head_share`):
# %% tags=["remove-input"]
head_share = sp.simplify((sp.diff(head, C) / sp.diff(sp.erf(x - sp.I * C), C)).subs(C, 0))
head_share
# %% [markdown]
# and the terms grow with $\cosh nC$: the largest is near $n = 2C$. **Picture**: the true term (broad), the printed one,
# the head with its sign mended, and the series cut after four terms. Four terms are good to $C = 1$.
# %% tags=["remove-input"]
nus, cs = (v.ravel() for v in np.meshgrid([0.5, 1, 2], np.linspace(0, 3, 121), indexing="ij"))
forms = {"true": special.erf(nus - 1j * cs), "printed": bb.expansion(nus, cs, printed=True),
         "sign mended": bb.expansion(nus, cs, terms=0), "mended, 4 terms": bb.expansion(nus, cs, terms=4)}
found = pd.concat([pd.DataFrame({"x": nus, "c": cs, "form": f, "value": v}) for f, v in forms.items()])
figures.show(draw.expansion(found), label="fig-expansion",
    caption="One pair's term of Eq. 38, exp(-C²) erf(νσ - jC): true, as Eq. 40 prints it, mended, as Eq. 39 has it.",
    alt="Real part: the printed form and Eq. 39 fall off early. Imaginary part: the printed form has the wrong sign.")
# %% tags=["remove-cell"]
glue("bou_head_share", f"{float(head_share):.0%}", display=False)
exact = complex(bb.expansion(1.0, 0.5))
off, seen = abs(complex(bb.expansion(1.0, 0.5, printed=True)) - exact) / abs(exact), results["eq40-erf-expansion"]
note = f"Wrong sign and a dropped series: {off:.0%} off at nu sigma = 1, C = 0.5."
findings.observe("eq40-erf-expansion", value=off, note=note)
findings.observe("eq40-erf-expansion", value=seen.value, mutant=seen.mutant, form="corrected", note=note)
# %% [markdown]
# ## Eq. 39: what is dropped, and where it may be
# {ref}`Eq. 39 <eq-39>` puts $\operatorname{erf}(\nu\sigma)$ for $\operatorname{Re}\operatorname{erf}(\nu\sigma - jC)$.
# **Derivation.** The Taylor series in $C$ says what that costs:
# %% tags=["remove-input"]
sp.series(sp.erf(x - sp.I * C), C, 0, 4)
# %% [markdown]
# The term in $C$ is imaginary and drops out of the overlap; the relative error begins with
# $C^2 \cdot 2x e^{-x^2}/(\sqrt\pi \operatorname{erf} x)$. The factor is 1 at $x \to 0$ and falls: the error is at most
# about $C^2$, under a tenth up to $C = \sqrt{0.1} = 0.32$, for edges 0.63 $\sigma$ apart.
# %% tags=["remove-cell"]
relative = 2 * x * sp.exp(-(x**2)) / (sp.sqrt(sp.pi) * sp.erf(x))
assert sp.limit(relative, x, 0) == 1
# %% [markdown]
# **Picture.** The map shows the relative error: point at it. Below the white line it is under 10 %; the dashed line is
# where the first term says so.
# %% tags=["remove-input"]
xs, cs = np.linspace(0.05, 3, 60), np.linspace(0, 4, 81)
errors = bb.approximation_error(*np.meshgrid(xs, cs))
region = np.sqrt(0.1 * math.sqrt(math.pi) * special.erf(xs) * np.exp(xs**2) / (2 * xs))
figures.show_plotly(draw.error_map(xs, cs, errors, region), label="fig-error-map",
    caption="Relative error of the step from Eq. 38 to Eq. 39 for one pair of edges.",
    alt="Heat map: small errors near C = 0, errors as large as the term itself elsewhere. The line of 10 % rises from "
        "C = 0.3 at small nu sigma to beyond 1 at nu sigma = 2.")
# %% tags=["remove-cell"]
at_one = float(bb.approximation_error(1.0, 1))
small, next_step = float(errors[cs < 0.31].max()), float(errors[np.isclose(cs, 0.5)].max())
note = f"{at_one:.0%} at C = 1, nu sigma = 1; at most {small:.0%} for C <= 0.3, but {next_step:.0%} at C = 0.5."
findings.observe("eq39-approximation", value=at_one, note=note)
findings.observe("eq39-approximation", value=small, mutant=next_step, form="approximation", note=note)
# %% [markdown]
# ## What the model says of a moved edge
# Near $\nu = 0$ *every* pair of edges, matched or far apart, adds $2\nu\sigma/\sqrt\pi$. The frequencies above take
# it away again from the pairs that do not match (above, where the dashes of {ref}`Eq. 39 <eq-39>` miss just this).
# What answers to a moved edge grows with $\nu^2$: in the model the band $\nu\sigma \le 1$ holds 84 %
# ($\operatorname{erf} 1$) of the overlap and {glue:text}`bou_model` of that answer. But the model is a Gaussian, and
# the region is not.
# %% tags=["remove-input"]
model = float(bb.shift_sensitivity(1.0))
nus = np.linspace(0, 3, 121)
built = pd.concat([
    pd.DataFrame({"c": c, "x": nus, "exact": bb.pair_term(nus, c).real, "matched": special.erf(nus),
                  "approximate": np.exp(-(c**2)) * special.erf(nus), "sensitivity": bb.shift_sensitivity(nus)})
    for c in (0, 1, 2)])
figures.show(draw.built_up(built), label="fig-built-up",
    caption="The Gaussian model. Above: the overlap of one pair of edges as the band grows. Below: shares of a matched "
            "pair's overlap and of its answer to a small shift that lie below a band limit.",
    alt="Curves for C = 0, 1, 2 start together; those of C = 1 and 2 turn down. The answer rises after the overlap.")
# %% [markdown]
# ## The region itself: a box, one-sided
# The nearest Gaussian misses the region by {glue:text}`bou_fit` of its norm. The region needs no model.
# %% tags=["remove-input"]
sigma_d, error = bb.fitted_sigma()
across = np.linspace(-2, 3, 501)
box, gaussian = ((across >= 0) & (across <= 1)).astype(float), np.exp(-(across**2) / (2 * sigma_d**2))
figures.show(draw.bands(across, box, gaussian, sigma_d), label="fig-band-model",
    caption="The region that boundary IoU counts, and the Gaussian nearest to it in the mean square.",
    alt="A box from 0 to 1 inside the object, and a Gaussian centred on the contour: half of it lies outside.")
# %% [markdown]
# **Statement.** A step function with jumps $c_i$ at $t_i$, $\sum c_i = 0$, has below $V$ the energy
# $-\frac{2}{\pi}\sum_{i<k} c_i c_k\, G(|t_i - t_k|)$.
# **Derivation.** Its spectrum is $\frac{1}{j\nu}\sum c_i e^{-j\nu t_i}$. The square of that has $\sum_{i,k} c_i c_k
# \cos\nu(t_i - t_k)$ in it; as the $c_i$ add to zero, $1$ may be taken off each cosine. What is left to integrate is
# $G$, with $\operatorname{Si}$ the sine integral:
# %% tags=["remove-input"]
a, d, delta = sp.symbols("a d delta", positive=True)
G = sp.integrate((1 - sp.cos(a * nu)) / nu**2, (nu, 0, V))
assert sp.limit(G, V, sp.oo) == sp.pi * a / 2  # all frequencies: the energy is -sum c_i c_k |t_i - t_k|
G
# %% [markdown]
# A straight band has two edges, $0$ and $d$: below $V$ lies $\frac{2}{\pi d} G(d)$. In two dimensions the box
# $|u|, |v| \le \nu_{max}$ cuts a contour at $V = 2\pi\nu_{max}/N$ along an axis and at up to $\sqrt2$ of that
# between.
#
# :::{admonition} Its code
# :class: dropdown
# ```{literalinclude} /lib/specseg/spectral/boundary.py
# :pyobject: steps_share_below
# ```
# :::
# %% [markdown]
# ## Is one dimension enough?
# "Without loss of generality" (A.6) is tried on these contours: discs, a square, a square on its corner, a hexagon, a
# triangle, poles, and the classes of three synthetic scenes. For each: the largest difference of a share of energy,
# $\nu_{max}$ 8 to 64, between the FFT and one straight band averaged over directions; at $d$ = 15 px also with the
# contour's own directions, and with both of its sides, the interval of {ref}`Eq. 34 <eq-34>`.
# %% tags=["remove-input"]
table = bc.one_dimension_table(units, widths, range(8, 65))
worst = table.assign(size=table["difference"].abs()).groupby(["unit", "reading", "width"], sort=False)["size"].max()
one, own, sides = (worst.xs(reading, level="reading").unstack() for reading in bc.READINGS)
shown = one.rename(columns="{:g} px".format)
shown["15 px, own directions"], shown["15 px, both sides"] = own[15], sides[15]
bold = shown.rename_axis(None).rename_axis(None, axis=1).style.format("{:.2f}", na_rep="–").highlight_between(
    left=0.05, right=1, props="font-weight: bold")
HTML(f"<details><summary>All {len(shown)} contours; bold: off by 0.05 or more</summary>{bold.to_html()}</details>")
# %% [markdown]
# One band is off for poles, whose sides are nearer than two widths, for the square on its corner, for the small disc.
# Straight sides are mended by their own directions and thickness. The small disc is not: a curved contour has no
# interval that stands for it.
#
# **A law.** Two parallel bands, their middles $L - d$ apart ($L$ the object's thickness), differ from one by
# $\frac{2}{\pi d}\int_0^V \frac{1 - \cos\nu d}{\nu^2} \cos\nu(L - d)\, d\nu$, the interference of the two sides:
# %% tags=["hide-input"]
L = sp.Symbol("L", positive=True)
edges, jumps = [0, d, L - d, L], [1, -1, 1, -1]
pairs = [(jumps[i] * jumps[k], sp.expand(edges[k] - edges[i])) for i in range(4) for k in range(i + 1, 4)]
both = sum(-2 / sp.pi * c * G.subs(a, width) for c, width in pairs) / (2 * d)
interference = sp.diff(both - 2 / (sp.pi * d) * G.subs(a, d), V)
closed = 2 / (sp.pi * d) * (1 - sp.cos(V * d)) / V**2 * sp.cos(V * (L - d))
assert sp.simplify(interference - closed) == 0
closed
# %% [markdown]
# The first fraction falls from $d^2/2$ as long as $V \le 2\pi/d$, so the second mean value theorem bounds the integral
# by $d/\pi(L - d)$. Beyond, for $L \ge 2d$, the integral to $\infty$ is 0, so take it from $V$ on, by parts: there the
# fraction is at most $d^2/2\pi^2$ and varies by at most $d^2/6$, together less than $d^2/2$.
# A disc's region is an annulus, with the spectrum
# $\frac{2\pi}{k}[R J_1(kR) - (R - d) J_1(k(R - d))]$. For $kR \gg 1$ the Bessel functions are cosines, out of phase by
# $3\pi/4$, and the same integral comes out with a sine for the cosine, from $V$ to $\infty$, and $L = 2R$: the same
# size. The rest is not derived here but measured. Without a pixel grid, $d$ = 15 px, largest differences:
# %% tags=["remove-input"]
nus, rows = 2 * np.pi * np.linspace(8, 64, 225) / bc.FRAME, {}
for radius in (154, 77, 40, 20):
    exact = bb.steps_share_below([0, 15], [1, -1], nus) - bc.annulus_share_below(radius, 15, nus)
    b = np.array([[2 * radius - 15], [2 * radius], [2 * radius - 30]])
    tails = np.sin(b * nus) / nus - b * special.sici(b * nus)[1]  # integral of sin(bk)/k^2 from nu on
    sine = np.array([2, -1, -1]) @ tails / (np.pi * 15)
    rows[f"R = {radius} px"] = [abs(exact).max(), abs(sine).max(), 15 / (np.pi * (2 * radius - 15))]
names = ["exact, Bessel functions", "the sine's integral", "d/π(2R - d)"]
pd.DataFrame(rows, index=names).T.style.format("{:.3f}")
# %% [markdown]
# So one dimension is good to a share $\epsilon$ where $L \ge d + d/\pi\epsilon$: for 0.05, where objects are
# {glue:text}`bou_thick` times as thick as the region is wide ({glue:text}`bou_thick_px` px for 15 px).
# %% tags=["remove-input"]
thickness = {name: c.thickness for name, c in units.items() if c.thickness}
points = own.rename_axis("unit").reset_index().melt("unit", var_name="width", value_name="difference")
points = points.astype({"width": float}).assign(thickness=points["unit"].map(thickness))
points = points.query("width >= 3 and thickness > 2 * width")
points = points.assign(law=points["width"] / (np.pi * (points["thickness"] - points["width"])),
                       kind=points["unit"].str.extract("^(disc|pole)", expand=False).fillna("polygon"))
figures.show(draw.reduction(points), label="fig-reduction",
    caption="How far a straight strip of the right direction is from an object's. Dots: FFT, 513 px, widths 3, 5, 15, "
            "objects thicker than two widths. Line: the law.",
    alt="Poles lie just below the line over a decade, discs farther below; thick objects, at the left, stay above it.")
# %% tags=["remove-cell"]
needed = 1 + 1 / (math.pi * 0.05)
straight = [u for u, c in units.items() if c.normals and c.thickness]
curved = points[(points["kind"] == "disc") & (points["law"] <= 0.05)]
mended = max(sides.loc[straight, [3, 5, 15]].max().max(), curved["difference"].max())
rival = float(one.loc[straight, [3, 5, 15]].max().max())
off_by = one.max(axis=1)
note = (f"No: off by {off_by['pole, 6 px']:.2f} for a pole of 6 px, {off_by['pole, 12 px']:.2f} for one of 12 px, "
        f"{off_by['disc, radius 20']:.2f} for a disc of radius 20, {off_by['square on its corner']:.2f} for a square "
        f"on its corner. Straight sides with their own directions and thickness, and discs {needed:.1f} times as thick "
        f"as the region is wide: {mended:.2f} at most.")
findings.observe("eq34-one-dimension", value=off_by.max(), note=note)
findings.observe("eq34-one-dimension", value=mended, mutant=rival, form="corrected", note=note)
# %% tags=["remove-cell"]
poles = ["pole, 96 px", "pole, 48 px", "pole, 24 px"]
of_poles = table[table["unit"].isin(poles) & (table["reading"] == bc.READINGS[2])]
gauss = special.erfc(2 * np.pi * (of_poles["nu_max"] + 0.5) / bc.FRAME * sigma_d * of_poles["width"])
difference, missed = of_poles["difference"].abs().max(), (gauss - of_poles["above"]).abs().max()
note = (f"No: the nearest Gaussian is {error:.0%} of the region's norm away. The region is a box: its energy above a "
        f"limit has a closed form, within {difference:.3f} for straight sides (the Gaussian's: {missed:.2f}).")
findings.observe("eq35-gaussian-band", value=error, note=note)
findings.observe("eq35-gaussian-band", value=difference, mutant=missed, form="corrected", note=note)
glue("bou_fit", f"{error:.0%}", display=False)
glue("bou_thick", f"{needed:.1f}", display=False)
glue("bou_thick_px", f"{15 * needed:.0f}", display=False)
# %% [markdown]
# ## What boundary IoU answers to a moved edge
# **Statement.** When the edge of a band moves by a small $\delta$, the share of the answer below $V$ (radians a pixel)
# is $\frac{\delta}{\pi}\left(V - \frac{\sin Vd}{d}\right)$: it vanishes with $\delta$.
# **Derivation.** $1 - \text{boundary IoU} = \sum_\nu |s - b|^2/(s(0) + b(0) - \sum_\nu s \bar b)$: what the score
# answers is the energy of the difference $s - b$. That is $+1$ on $[0, \delta)$, $-1$ on $[d, d + \delta)$: a step
# function with four edges and the energy $2\delta$.
# %% tags=["remove-input"]
edges, jumps = [0, delta, d, d + delta], [1, -1, -1, 1]
pairs = [(jumps[i] * jumps[k], sp.expand(edges[k] - edges[i])) for i in range(4) for k in range(i + 1, 4)]
share = sum(-2 / sp.pi * c * G.subs(a, width) for c, width in pairs) / (2 * delta)
law = delta * sp.limit(share / delta, delta, 0)
assert sp.simplify(law - delta / sp.pi * (V - sp.sin(V * d) / d)) == 0
sp.simplify(law)
# %% [markdown]
# On the grid, for $\delta$ of one pixel, the difference is two pixels, $+1$ and $-1$, and $V = (2\nu_{max} + 1)\pi/N$
# makes this law exact as $d/N \to 0$. The reason for it: moving an edge by one pixel changes lines one pixel wide,
# whose spectrum is flat across them. A Gaussian, being smooth, has no such lines: its answer starts with
# $\delta^2$, and its share does not depend on $\delta$.
#
# **Numbers**, at $\nu\sigma = 1$ with the $\sigma$ nearest to $d$ (at 15 px $\nu_{max}$ = {glue:text}`bou_nu`).
# %% tags=["remove-input"]
nu_one = round(bc.FRAME / (2 * np.pi * sigma_d * 15) - 0.5)
answers = bc.answer_table(units, 15, [0, 1, 5, 15], [nu_one, 32])
at_one = answers[answers["nu_max"] == nu_one]
shown = at_one.pivot_table("below", "unit", "shift", sort=False).rename(columns={0: "overlap itself"})
shown["1 px, law"] = at_one[at_one["shift"] == 1].set_index("unit")["law"]
shown["1 px, below 32"] = answers[(answers["nu_max"] == 32) & (answers["shift"] == 1)].set_index("unit")["below"]
listing = shown.rename(columns=lambda c: f"{c:g} px" if isinstance(c, float) else c).rename_axis(None).rename_axis(
    None, axis=1).style.format("{:.1%}").to_html()
HTML(f"<details><summary>All {len(shown)} contours: share below, by how far they moved</summary>{listing}</details>")
# %% tags=["remove-input"]
shifts, at = np.linspace(0.05, 15, 200), 1 / (2 * np.pi * sigma_d * 15)  # nu sigma = 1 in cycles per pixel
c = shifts / (2 * sigma_d * 15)
laws = pd.DataFrame({"shift": shifts, "true": [float(bb.answer_share_below(15, s, at)) for s in shifts],
                     "model": (math.erf(1) - bb.pair_term(1.0, c).real) / -np.expm1(-(c**2))})
grown = bc.answer_table(disc, 15, [1, 5, 15], np.unique(np.geomspace(4, 256, 33).astype(int)))
figures.show(draw.answer(grown, at_one[at_one["shift"] > 0], laws), label="fig-answer",
    caption="What boundary IoU with a strip of 15 px answers to a contour that moves out. Above: share of the answer "
            "below a band limit, disc of radius 154. Below: the share below νσ = 1 against the shift, all contours.",
    alt="For one pixel the curve stays low. The true strip's share rises from zero with the shift, the model's hardly.")
# %% [markdown]
# The model's share was {glue:text}`bou_model`. The region's, for one pixel, is {glue:text}`bou_answer` by the law
# along an axis ($d$ = 14.5 px), and {glue:text}`bou_range` by FFT. It is largest where objects are thinner than two
# widths (poles, streets): there the region is the whole object, and boundary IoU is IoU. A tenth is reached when the
# edge is off by {glue:text}`bou_tenth` of the width (all directions). How low is low matters too: below
# $\nu_{max} = 32$ lies {glue:text}`bou_below32` for one pixel, where a spectrum flat across the edge has
# 65/513 = 13 %.
# %% tags=["remove-cell"]
one_px, five = (at_one[at_one["shift"] == s].set_index("unit") for s in (1, 5))
exact = float(bb.answer_share_below(14.5, 1.0, 1 / (2 * np.pi * sigma_d * 14.5), normals=[0]))
tenth = float(np.interp(0.1, laws["true"], laws["shift"])) / 15
thick = [u for u, c in units.items() if c.thickness and c.thickness >= needed * 15]
off = (one_px["below"] - one_px["law"]).loc[thick].abs().max()
below32 = shown["1 px, below 32"]
note = (f"For one pixel {one_px['below'].min():.1%} at the weakest of {len(one_px)} contours, "
        f"{one_px['below'].max():.0%} at the strongest (streets, whose thin objects the region fills); the model of "
        f"Eq. 35 says {model:.0%}. A tenth is reached from a shift of {tenth:.2f} d on.")
findings.observe("obs2-boundary-iou-answer", value=one_px["below"].min(), note=note)
findings.observe("obs2-boundary-iou-answer", value=off, mutant=abs(model - one_px["law"].loc[thick].max()),
                 form="corrected", note=note)
glue("bou_answer", f"{exact:.1%}", display=False)
glue("bou_range", f"{one_px['below'].min():.1%} to {one_px['below'].max():.0%}", display=False)
glue("bou_tenth", f"{tenth:.2f}", display=False)
# %% tags=["remove-cell"]
overlap = at_one[at_one["shift"] == 0].set_index("unit")["below"].loc[thick].min()
most = pd.concat([one_px["below"], five["below"]]).max()
findings.observe("bey-boundary-iou-answer", value=most, mutant=overlap, note=(
    f"At most {most:.0%} of the answer to a shift of 1 or 5 px, on any contour, against {overlap:.0%} or more of the "
    "overlap where objects are thick."))
glue("bou_model", f"{model:.0%}", display=False)
glue("bou_nu", f"{nu_one}", display=False)
glue("bou_below32", f"{below32.min():.0%} to {below32.max():.0%}", display=False)
# %% [markdown]
# ## What "mainly low frequency" means
# Half of the region's energy lies below $\nu_{max} d/N$ = {glue:text}`bou_half` (all directions). The paper's efficient
# limits end at 32. For each width, over all contours, by FFT:
# %% tags=["remove-input"]
at32 = table[(table["nu_max"] == 32) & (table["reading"] == bc.READINGS[0])].groupby("width")["above"]
kept = {d: math.erf(2 * math.pi * 32 / bc.FRAME * sigma_d * d) for d in widths}
pd.DataFrame({"above 32, least": at32.min(), "above 32, most": at32.max(), "straight strip": law32,
              "model, above 32": {d: 1 - v for d, v in kept.items()}}).rename("d = {:g} px".format).rename_axis(
    None).style.format("{:.0%}")
# %% tags=["remove-cell"]
halves = np.linspace(0.05, 1, 2000)
half_at = float(np.interp(-0.5, -bb.straight_band_energy_above(1.0, halves), halves))
glue("bou_half", f"{half_at:.2f}", display=False)
glue("bou_wide", f"{at32.max()[15]:.0%}", display=False)
glue("bou_thin", f"{at32.min()[1]:.0%}", display=False)
low = [d for d in widths if at32.max()[d] <= 0.5]
listed = ", ".join(f"{at32.min()[d]:.0%} to {at32.max()[d]:.0%} for d = {d} px" for d in widths)
note = f"Share above nu_max = 32 at 513 px: {listed}."
findings.observe("obs2-boundary-iou", value=len(low), n=len(widths), note=note)
findings.observe("obs2-boundary-iou", value=at32.max()[15], mutant=at32.min()[1], form="convention", note=note)
note = f"The model keeps {kept[1]:.0%} of the overlap below nu_max = 32 for d = 1 px, {kept[15]:.0%} for d = 15 px."
findings.observe("eq39-low-frequency", value=min(kept.values()), note=note)
findings.observe("eq39-low-frequency", value=kept[15], mutant=kept[1], form="convention", note=note)
# %% tags=["remove-cell"]
glue("bou_plain", f"{float(bb.steps_share_below([0, 1], [1, -1], 1 / (sigma_d * 15))):.1%}", display=False)
glue("bou_pair", f"{2 * sigma_d * 15:.0f}", display=False)
# %% [markdown]
# ## What we found
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. For a 1024 x 2048 frame of Cityscapes, which $d$ (2 % of the diagonal) follows, and what share lies above 32?
# 2. Set $C = 0$ in {ref}`Eq. 40 <eq-40>`. Which terms vanish? Why does the error then start with $C^2$ in the real
#    part?
# 3. Two thin poles side by side: which pairs of edges have $C$ of about 1, and does {ref}`Eq. 39 <eq-39>` hold for
#    them?
# 4. Plain IoU counts the object, not its strip: its answer to a moved edge is $+1$ on $[0, \delta)$ alone. Use
#    `steps_share_below` to compare the two. Which of them looks at lower frequencies?
#
# :::{admonition} Answers
# :class: dropdown
# 1. The diagonal has 2290 pixels, so $d = 46$. Along the short side that is 46/1024 of the frame, wider than 15/513:
#    less lies above 32 than of the 15 pixels in the table above.
# 2. $1 - \cos 0$ and $\sin 0$ vanish, so the correction does. The cosine is even in $C$: the real part begins with
#    $C^2$.
# 3. Those $2\sigma$ apart, for $d = 15$ px about {glue:text}`bou_pair` px: edges of neighbouring poles. There
#    {ref}`Eq. 39 <eq-39>` is off by a third.
# 4. Plain IoU. Below $\nu\sigma = 1$ lies {glue:text}`bou_plain` of its answer to one pixel, more
#    than of boundary IoU's (the law in the picture above).
# :::
