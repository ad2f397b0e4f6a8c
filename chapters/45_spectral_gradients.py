# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Spectral gradients of layers
# You will know how far one frequency of a feature reaches through convolution, activation, up-sampling and depth, and
# what the loss answers when high frequencies are removed.
#
# :::{admonition} The answer
# :class: tip
# The gradient of an output frequency by all input frequencies is exact with one FFT. The paper's form, in which each
# frequency acts on itself alone, is its limit for small pre-activations: at their usual size it errs by
# {glue:text}`grad_error` for softplus. A ReLU keeps about half of the energy at the frequency itself, three layers
# keep {glue:text}`grad_three`. When features above 16 cycles are removed, the low-frequency terms of the loss other
# than zero hardly change against themselves; the zero frequency can change by more than the whole loss, which depends
# on how sure the prediction is. Kernels and features here are random or made up: for trained networks see
# {doc}`65_network_gradients`.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import numpy as np
import pandas as pd
import sympy as sp
from myst_nb import glue

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import config, ledger
from specseg.figures import gradients as draw
from specseg.proofs import identities_gradient as ig
from specseg.proofs import layer_study as study
from specseg.proofs import loss_response as response
from specseg.proofs import symbolic as sym
from specseg.spectral import gradient as sg
from specseg.spectral import spectrum
from specseg.spectral.labels import one_hot

sizes, size, seeds = config.profile(profile), 33, 8 if profile == "smoke" else 32
findings = ledger.open("45_spectral_gradients", profile=profile)
# %% tags=["remove-cell"]
rms = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
table = study.activation_table(rms, size, seeds=seeds)
by = table.groupby(["activation", "rms"]).mean(numeric_only=True)
soft = by.loc["softplus"]
shown = ("convolution, zero padding", "ReLU", "up-sampling x4, align corners", "atrous 12")
depth = study.depth_table([1, 2, 3, 5, 8], size, seeds=2 * seeds)
on_diagonal = depth[depth["within"] == 0].set_index(["activation", "depth", "seed"])["value"].unstack("seed")
means = on_diagonal.mean(axis=1)
glue("grad_error", f"{soft['error'][1.0]:.0%}", display=False)
glue("grad_one", f"{means['ReLU', 1]:.0%}", display=False)
glue("grad_three", f"{means['ReLU', 3]:.0%}", display=False)
# %% tags=["remove-input"]
figures.show(draw.fig3(study.fig3_rows(size, shown), shown), label="fig-3",
    caption="Which input frequencies an output frequency (column) depends on, for four operations (row), in decibels. "
            "If each frequency acted on itself alone, each map would be one bright point.",
    alt="Twelve maps, brightest at the output's frequency. ReLU has a floor, padding a cross, atrous a grid of points.")
# %% [markdown]
# ## By hand
# One activation on random features of a given size: all gradients of output frequencies by input frequencies, and the
# share of their energy on the diagonal, where a frequency acts on itself. The size is the root mean square (rms);
# layers that normalise their input bring it near 1.
# %%
import torch

import specseg

seed = torch.Generator().manual_seed(0)
x = torch.randn(1, 1, 16, 16, generator=seed).double()
x = x / x.square().mean().sqrt()
for name, fn in (("softplus", torch.nn.functional.softplus), ("ReLU", torch.relu)):
    for scale in (0.1, 1.0):
        energy = specseg.spectral_gradient(fn, scale * x).abs() ** 2
        share = energy.diagonal().sum() / energy.sum()
        print(f"{name:8} rms {scale}: by hand {share:.1%}, this page",
              f"{1 - by['off_diagonal'][name, scale]:.1%} on the diagonal")
# %% [markdown]
# Your features are white noise and this page's look like natural images, so that the numbers are near, not equal.
#
# :::{admonition} What is claimed
# :class: claim
# Eqs 4 to 8 and 41 to 54, Theorem 2, Lemmas 5 and 6, the third and fourth key observations, Fig. 3: "$y(\nu_i)$ is
# affected only by $x(\nu_i)$ with the same frequency" (2.2) {cite}`chen2020spectral`. A layer of ordinary size whose
# rows hold much of their energy elsewhere refutes it; so do low frequencies of the loss that change, measured against
# themselves, when high-frequency features are removed.
# :::
#
# | symbol | meaning |
# |---|---|
# | $X$, $K$, $Z$ | features, kernel, $Z = K \otimes X$ ($\otimes$: convolution); $x$, $k$, $z$ their spectra |
# | $\sigma$, $Y$, $y$ | activation, its output $Y = \sigma(Z)$, the output's spectrum |
# | $\nu_i$, $\nu_j$ | an output and an input frequency; a **row** of the gradient is one $\nu_i$ with all $\nu_j$ |
# | $\delta_{\nu_j}(\nu_i)$, $D_0(\nu_i)$ | 1 where $\nu_i = \nu_j$, or where $\nu_i = 0$; else 0 |
# | $B$, $S$, $b$, $s$ | labels and probabilities of a class $c$, and their spectra |
# | $L_{ce}(\nu_i)$, $L_{CE}$ | the loss at one frequency, the whole loss |
# %% [markdown]
# ## The layer and the theorem
# (eq-4)=
# $$ \begin{gathered}
#   Z(t) = K(t) \otimes X(t), \qquad Y(t) = \sigma(Z(t)) \cr
#   \sigma(Z) = \log(1 + e^Z)
# \end{gathered} \tag{4} $$
#
# (eq-5)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq \frac12 k(\nu_j) \delta_{\nu_j}(\nu_i) \tag{5} $$
#
# (eq-6)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) \cr
#   [D_0(\nu_i) s(-\nu_j, c) - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)]
# \end{gathered} \tag{6} $$
# %% [markdown]
# From it the paper reads, for $\nu_i, \nu_j \ne 0$ and for $\nu_i = 0$:
#
# (eq-7)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \cr
#   \simeq -\sum_c \frac12 k(\nu_j, c) \delta_{\nu_j}(\nu_i) b(-\nu_i, c)
# \end{gathered} \tag{7} $$
#
# (eq-8)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \ll 1 \cr
#   \text{if } \nu_j \text{ is large and } \nu_i = 0
# \end{gathered} \tag{8} $$
# %% [markdown]
# ## The proof, step by step
# (eq-41)=
# $$ \begin{gathered}
#   Z(t) = K(t) \otimes X(t) \cr
#   Y(t) = \sigma(Z(t))
# \end{gathered} \tag{41} $$
#
# (eq-42)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq \frac12 k(\nu_j) \delta_{\nu_j}(\nu_i) \tag{42} $$
#
# (eq-43)=
# $$ \frac{\partial z(\nu_i)}{\partial x(\nu_j)} = k(\nu_i) \delta_{\nu_j}(\nu_i) \tag{43} $$
#
# (eq-44)=
# $$ \delta_{\nu_j}(\nu_i) = 1 \text{ if } \nu_i = \nu_j, \text{ else } 0 \tag{44} $$
# %% [markdown]
# (eq-45)=
# $$ \sigma(Z) = \log 2 + \frac12 Z + \frac18 Z^2 + O(Z^4) \tag{45} $$
#
# (eq-46)=
# $$ \begin{gathered}
#   y(\nu) \cr
#   \simeq 2\pi \log 2 \, \delta_0(\nu) + \frac12 z(\nu) + \frac18 z(\nu) \otimes z(\nu)
# \end{gathered} \tag{46} $$
#
# (eq-47)=
# $$ \begin{gathered}
#   \frac{\partial y(\nu_i)}{\partial z(\nu_j)} \cr
#   \simeq \frac12 \delta_{\nu_j}(\nu_i) + \frac14 z(\nu_i - \nu_j)
# \end{gathered} \tag{47} $$
# %% [markdown]
# (eq-48)=
# $$ \begin{gathered}
#   \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \cr
#   \simeq k(\nu_j) \left[\frac12 \delta_{\nu_j}(\nu_i) + \frac14 z(\nu_i - \nu_j)\right]
# \end{gathered} \tag{48} $$
#
# (eq-49)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq \frac12 k(\nu_j) \delta_{\nu_j}(\nu_i) \tag{49} $$
#
# (eq-50)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) \cr
#   [D_0(\nu_i) s(-\nu_j, c) - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)]
# \end{gathered} \tag{50} $$
# %% [markdown]
# (eq-51)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \cr
#   = \sum_c \sum_q \frac{\partial L_{ce}(\nu_i)}{\partial y(\nu_q, c)} \frac{\partial y(\nu_q, c)}{\partial x(\nu_j)}
# \end{gathered} \tag{51} $$
#
# (eq-52)=
# $$ \frac{\partial y_p(\nu_i)}{\partial y(\nu_j, c)} = s(\nu_i - \nu_j, c) \tag{52} $$
#
# (eq-53)=
# $$ \sum_{\tilde c} b(-\nu_i, \tilde c) = D_0(\nu_i) \tag{53} $$
#
# (eq-54)=
# $$ \begin{gathered}
#   \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) \cr
#   [D_0(\nu_i) s(-\nu_j, c) - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)]
# \end{gathered} \tag{54} $$
# %% [markdown]
# ## Softplus
# Sympy continues {ref}`Eq. 45 <eq-45>`. There is no odd term beyond $Z/2$, since $\log(1 + e^Z) - Z/2 =
# \log(2\cosh(Z/2))$ is even; the series converges for $|Z| < \pi$ alone; and after $Z^2/8$ the remainder never exceeds
# {glue:text}`grad_remainder` (Lagrange: the derivatives are polynomials in $p = 1/(1 + e^{-Z})$, and of all extrema of
# the fourth, which sympy solves for, the one at $Z = 0$ is the largest; so also of the eighth).
# %% tags=["remove-input"]
z = np.linspace(-8, 8, 1601)
z = z[np.abs(z) > 0.05]
Z, p = sp.symbols("Z p", real=True)
series = sp.series(sp.log(1 + sp.exp(Z)), Z, 0, 9).removeO()
for n in (4, 8):  # the largest derivative, over all roots of its slope in p, is n! times the coefficient
    rate = sp.cancel(sp.diff(sp.log(1 + sp.exp(Z)), Z, n).subs(sp.exp(Z), p / (1 - p)))
    assert max(abs(rate.subs(p, x)) for x in sp.real_roots(rate.diff(p))) == abs(series.coeff(Z, n)) * sp.factorial(n)
bound = abs(series.coeff(Z, 4))
glue("grad_remainder", f"Z^4/{1 / bound}", display=False)
rest, broken = (np.abs(np.logaddexp(0, z) - np.log(2) - z / 2 - z**2 / n) / (float(bound) * z**4) for n in (8, 6))
findings.observe("eq45-taylor", value=rest.max(), mutant=broken.max(), note=(
    "No cubic term; next is -Z^4/192, then Z^6/2880; the remainder after order 6 is at most "
    f"{abs(series.coeff(Z, 8))} Z^8."))
sp.Eq(sp.Function("sigma")(Z), series + sp.Order(Z**8))
# %% [markdown]
# ## The identities
# For symbols, sympy differentiates the quadratic layer ({ref}`Eq. 48 <eq-48>`) and $y_p$ ({ref}`Eq. 52 <eq-52>`) at
# $N = 3$: all differences are zero. For {ref}`Eq. 54 <eq-54>` see "From features
# to the loss".
# %% tags=["remove-cell"]
left, right = sym.layer_gradient(3)
assert sp.simplify(left - right) == sp.zeros(3) == sym.log_sum_gradient(3)
assert sym.loss_gradient(2) == sp.zeros(2)  # B are free symbols: void and soft labels included
# %% [markdown]
# For numbers, random tensors of one and two dimensions, odd and even sizes, with and without void (pixels that carry no
# label). The table gives the largest difference of both sides as a share of the larger one, beside that of a version
# broken on purpose. Below $10^{-9}$, which is rounding, the two sides are equal.
# %% tags=["remove-input"]
checks = {
    "eq04-layer": ig.eq04, "eq41-layer-in-frequency": ig.eq41, "eq44-kronecker": ig.eq44,
    "eq47-activation-gradient": ig.eq47, "eq48-layer-gradient": ig.eq48, "eq51-chain": ig.eq51,
    "eq52-partition": ig.eq52, "bey-exact-layer": ig.exact_layer, "bey-half-slope-error": ig.eq49}
results = {claim: ig.worst(check, draws=sizes.draws) for claim, check in checks.items()}
names = {claim: findings.claims[claim].locator.removeprefix("Not in the paper: ") for claim in checks}
pd.DataFrame({names[k]: {"both sides": "equal" if r.value < 1e-9 else f"off by {r.value:.0%}",
                         "broken": f"off by {r.mutant:.0%}"} for k, r in results.items()}).T
# %% tags=["remove-cell"]
for claim, checked in results.items():
    findings.observe(claim, value=checked.value, mutant=checked.mutant, note=(
        f"Residual of {sizes.draws} draws {checked.value:.0e}, if broken {checked.mutant:.0e}."))
relu = ig.worst(lambda rng, shape: ig.exact_layer(rng, shape, torch.relu), draws=sizes.draws, shapes=((5, 5), (4, 6)))
findings.observe("bey-exact-layer", value=relu.value, mutant=relu.mutant, note="So also for ReLU.")
# %% [markdown]
# Two lines need a word on their convention. {ref}`Eq. 43 <eq-43>` is the convolution theorem $z = kx$, true of the
# transform without a factor. With a factor, $z = kx/a$; the derivative does not know $a$, so that $k$ must stay without
# one (and is the conjugate for the correlation that networks call convolution).
#
# In {ref}`Eq. 46 <eq-46>` a transform with $\mathcal F(1) = C\,\delta_0$ has $\mathcal F(Z^2) = \frac1C z \otimes z$.
# Hence the line, in each convention with its $C$: $\mathcal F(\log 2 + \frac Z2 + \frac{Z^2}8) = C \log 2\,\delta_0 +
# \frac z2 + \frac1{8C} z \otimes z$. Printed is $C = 2\pi$ in the first term and $C = 1$ in the last. No convention
# has both.
# %% tags=["remove-cell"]
one, fits = ig.eq43_conventions(np.random.default_rng(1), (6, 6)), ig.eq46_conventions()
labelled, checked = (ig.worst(f, draws=sizes.draws) for f in (ig.eq53, ig.eq46))
best, mended = min(v[1] for v in fits.values()), max(v[2] for v in fits.values())
note = f"As printed the best of four conventions leaves {best:.2f}; C log 2 and 1/(8 C) fit each with its own C."
findings.observe("eq46-transform", value=best, note=note)
findings.observe("eq46-transform", value=max(mended, checked.value), mutant=checked.mutant, form="corrected", note=note)
note = ("Exact with the unnormalised transform, whose convolution theorem it is; off by "
        f"{one['1/N forward']:.0%} with 1/N for all three, exact again with k alone unnormalised.")
findings.observe("eq43-convolution-gradient", value=one["unnormalised"], mutant=one["1/N forward"], note=note)
checked = ig.worst(ig.eq43, draws=sizes.draws)
findings.observe("eq43-convolution-gradient", value=checked.value, mutant=checked.mutant, form="convention", note=note)
# %% tags=["remove-cell"]
note = (f"A Kronecker delta where every pixel has a label (residual {labelled.value:.0e}); "
        "with void the spectrum of the mask.")
findings.observe("eq53-labels-sum-to-one", value=labelled.mutant, note=note)
findings.observe("eq53-labels-sum-to-one", value=labelled.value, mutant=labelled.mutant, form="convention", note=note)
field = study.feature_field(size, rms=0.3)[0, 0]
z, wrong = (float(f(field).abs().square().sum() / field.square().mean()) for f in (spectrum.spectrum, torch.fft.fft2))
findings.observe("eq48-small-spectrum", value=abs(z - 1), mutant=abs(wrong - 1),
                 note="Sum of |z|^2 = mean of Z^2 (1/N forward).")
# %% [markdown]
# ## The exact form
# With $g = \mathcal F(\sigma'(Z))$ no series is needed, and no smallness:
# $\dfrac{\partial y(\nu_i)}{\partial x(\nu_j)} = g(\nu_i - \nu_j) \, k(\nu_j)$, one FFT and a gather.
#
# :::{admonition} Its code
# :class: dropdown
# ```{literalinclude} /lib/specseg/spectral/gradient.py
# :pyobject: conv_layer
# ```
# :::
# %% [markdown]
# By Parseval the half-slope form of {ref}`Eq. 5 <eq-5>` errs by exactly $2 \operatorname{rms}(\sigma'(Z) - \frac12)$,
# whatever the kernel. Normalisation layers put $\operatorname{rms} Z$ near 1.
# %% tags=["remove-input"]
figures.show(draw.cost_of_half(table, pd.DataFrame({"rms": rms, "first": np.array(rms) / 2})), label="fig-half-slope",
    caption="Relative error of the spectral gradient with slope 1/2 (Eq. 5) and with the next term (Eq. 47).",
    alt="Softplus' error rises as half of rms Z; with the next term it starts lower and grows faster; ReLU's is flat.")
# %% tags=["remove-input"]
soft[["error", "second", "off_diagonal"]].rename(
    columns={"error": "error of Eq. 5", "second": "with the next term", "off_diagonal": "energy off the diagonal"}
).rename("rms Z = {:g}".format).rename_axis(None).style.format("{:.1%}")
# %% tags=["remove-cell"]
one, two = soft.loc[1.0], soft.loc[2.0]
note = "Error of Eq. 5: " + ", ".join(f"{soft['error'][r]:.0%} at rms Z = {r:g}" for r in (0.1, 0.3, 1.0, 2.0)) + "."
findings.observe("eq05-rms-one", value=one["error"], note=note)
findings.observe("eq05-rms-one", value=soft["error"][0.1], mutant=two["error"], form="approximation", note=note)
findings.observe("eq45-negligible", value=one["second"], note=note)
findings.observe("eq45-negligible", value=soft["second"][0.3], mutant=two["second"], form="approximation", note=note)
# %% [markdown]
# Does "$K$ small and $|X| < 1$" (Lemma 5, footnote 2) make $Z$ small? No: at He's initialisation the entries of $K$
# shrink with the number of channels, rms $Z$ does not. It stays at $\sqrt{2/3}$ for uniform $|X| < 1$. So the term that
# {ref}`Eq. 49 <eq-49>` drops stays too: the last column weighs the two matrices, $\|k(\nu_j) z(\nu_i-\nu_j)/4\|$
# against $\|k(\nu_j)\delta_{ij}/2\|$.
# %% tags=["remove-input"]
layers = {c: study.he_layer(c) for c in (16, 64, 256)}  # kernels and pre-activations
small = {c: [float(k.abs().max()), float(z.square().mean().sqrt())] for c, (k, z) in layers.items()}
dropped = pd.DataFrame({c: [study.dropped_over_kept(k[0], z) for k, z in zip(*layer, strict=True)]
                        for c, layer in layers.items()})
kernels = pd.DataFrame(small, index=["largest |K|", "rms Z"]).T.assign(**{"dropped over kept": dropped.mean()})
kernels.rename("{} channels".format).style.format("{:.2f}")
# %% tags=["remove-cell"]
tiny = study.dropped_over_kept(ig.normal(np.random.default_rng(1), 3, 3), study.feature_field(size, rms=0.1)[0, 0])
note = (f"In layers of 16 to 256 channels the dropped term is {dropped.stack().min():.0%} to "
        f"{dropped.stack().max():.0%} of the kept one, {tiny:.0%} at rms Z = 0.1.")
findings.observe("eq49-dropped-term", cases={f"{c} channels": v.min() for c, v in dropped.items()}, note=note)
findings.observe("eq49-dropped-term", value=tiny, mutant=dropped.stack().min(), form="approximation", note=note)
entry, z_rms = small[256]
error = study.activation_table([z_rms], size, seeds=seeds).query("activation == 'softplus'")["error"].mean()
note = f"256 channels: entries of K up to {entry:.2f}, rms Z {z_rms:.2f}, error of Eq. 5 {error:.0%}."
findings.observe("fn2-small-implies-small", value=z_rms, note=note)
findings.observe("eq42-lemma5", value=error, note=note)
findings.observe("eq42-lemma5", value=soft["error"][0.1], mutant=error, form="approximation", note=note)
# %% [markdown]
# Move the slider: the row at $\nu_i = (M/4, M/4)$ of one softplus layer, as its pre-activation grows.
# %% tags=["remove-input"]
at = (size // 4, size // 4)
rows = {r: sg.layer_row(torch.nn.functional.softplus, study.feature_field(size, rms=r), at)[0]
        for r in (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)}
images = {r: np.fft.fftshift(row.abs().numpy()) / float(row.abs().max()) for r, row in rows.items()}
figures.show_plotly(
    draw.layer_slider(images, {r: sg.row_energy(row, at) for r, row in rows.items()}, at), label="fig-layer-slider",
    caption="One row of a softplus layer's spectral gradient, in decibels: darkest 60 below its maximum or more.",
    alt="Heat map with one bright point on a floor that rises as the slider grows.")
# %% [markdown]
# ## ReLU
# The paper's networks use ReLU, whose slope is 0 or 1. So its spectral gradient is $P k$ with $P = F
# \operatorname{diag}(1[Z > 0]) F^{-1}$, and $P$ is an **orthogonal projection**: $P^2 = P$ because $0^2 = 0$ and $1^2 =
# 1$, $P^* = P$ because $F$ is unitary up to a factor that cancels. That alone fixes its spread. Every entry of the
# diagonal is $g(0) = a$, the active fraction; a row's energy is $\sum_j |P_{ij}|^2 = (PP^*)_{ii} = P_{ii} = a$; so the
# diagonal has $a^2/a = a$ of it, about one half, for every size of $Z$. Sympy agrees for any mask of three pixels.
# %% tags=["remove-cell"]
mask = sp.symbols("a:3", real=True)  # 0 or 1 at each pixel, so that its square is itself
waves = sp.Matrix(3, 3, lambda i, t: sp.expand(sp.exp(-2 * sp.pi * sp.I * sp.Rational(i * t, 3)), complex=True))
P = waves * sp.diag(*mask) * waves.H / 3
assert sp.simplify((P * P).expand().subs({a**2: a for a in mask}) - P) == sp.zeros(3) == sp.simplify(P - P.H)
energy = sp.expand(sum(v * sp.conjugate(v) for v in P[0, :]))  # of a row: its diagonal entry, the active fraction
assert sp.simplify(energy.subs({a**2: a for a in mask}) - P[0, 0]) == 0 == sp.simplify(P[0, 0] - sum(mask) / 3)
# %% [markdown]
# A kernel weighs the columns by $|k(\nu_j)|^2$: the share $a$ stays that of every column, and of the whole matrix, but
# no longer of a row. *Where* the other half goes is the features' own spectrum. For a stationary Gaussian field $Z$
# (the assumption) with correlation $\rho(\tau)$, two pixels are active together with the probability below
# {cite}`sheppard1899application,vanvleck1966spectrum`. For the normal density $\partial\phi/\partial\rho =
# \partial^2\phi/\partial x\,\partial y$; over the quadrant this integrates to the corner's value $\phi(0, 0) =
# 1/(2\pi\sqrt{1 - \rho^2})$, and that from $\frac14$ at $\rho = 0$ to the arcsine. Its transform is
# $\langle|g(\nu)|^2\rangle$: smooth features spread the half over near frequencies, white ones over all. That is what
# is true of "near frequency".
# %% tags=["remove-input"]
x, y, r, rho = sp.symbols("x y r rho", real=True)
exponent = -(x**2 - 2 * rho * x * y + y**2) / (2 * (1 - rho**2))
phi = sp.exp(exponent) / (2 * sp.pi * sp.sqrt(1 - rho**2))
assert sp.simplify((sp.diff(phi, rho) - sp.diff(phi, x, y)) / phi) == 0
together = sp.Rational(1, 4) + sp.integrate(phi.subs({x: 0, y: 0, rho: r}), (r, 0, rho))
sp.Eq(sp.Symbol("P(Z(t) > 0, Z(t + tau) > 0)"), together)
# %% tags=["remove-input"]
spread = study.relu_spread_table([0, 1, 2], size, seeds=3 * seeds)
wide = spread.pivot_table("value", ["decay", "within"], "kind")
figures.show(draw.relu_spread(spread), label="fig-relu-spread",
    caption="How far a ReLU spreads a row: white features (decay 0), natural ones (1), smooth ones (2).",
    alt="Three rising curves from one half; those of smooth features rise at once, those of white ones stay low.")
# %% tags=["remove-cell"]
relus = study.relu_layers(size, seeds=seeds)
active, rows_off, largest = relus["active"].mean(), relus["rows"].min(), relus["largest"].sum()
gap, count = (wide["law"] - wide["measured"]).abs().max(), seeds * size**2
findings.observe("bey-arcsine-law", value=gap, mutant=(wide["law"].loc[0] - wide["measured"].loc[2]).abs().max(),
                 note=f"Shares within 0 to 8 bins, law against measurement: at most {gap:.3f} apart.")
findings.observe("bey-relu-active-fraction", value=relus["columns"].max(), mutant=rows_off, note=(
    f"Every column keeps the active fraction, {active:.0%} here; with a 3 x 3 kernel some rows are "
    f"{rows_off:.0%} or more away from it."))
findings.observe("obs3-relu-layer", value=largest, n=count, note=(
    f"x(nu_i) has the largest effect in {largest} of {count} rows, though it holds only {active:.0%} of the energy."))
glue("grad_active", f"{active:.0%}", display=False)
glue("grad_rows_off", f"{rows_off:.0%}", display=False)
# %% [markdown]
# With a kernel of 3 x 3 every column keeps the active fraction to rounding, {glue:text}`grad_active` here; single rows
# are off by {glue:text}`grad_rows_off` or more. All the same $x(\nu_i)$ has the largest effect of all in nearly every
# row: the rest of the energy is spread over many small entries.
# %% [markdown]
# ## Fig. 3 as energies
# A picture scaled to its maximum cannot show a floor of many small entries. The bars count energy: on the diagonal,
# within one bin, within two.
# %% tags=["remove-input"]
energies = study.fig3_table(size, seeds=seeds)
figures.show(draw.row_energies(energies), label="fig-row-energies",
    caption="Row energies of single operations, M = 33, mean over draws of features and kernels. Dotted: nine tenths.",
    alt="Rows of dots. Circular convolution and half-pixel up-sampling keep the diagonal; ReLU and stride lose much.")
# %% tags=["remove-cell"]
low = energies.groupby(["operation", "within", "nu_i"])["value"].mean().groupby(level=[0, 1]).min()
padded, up = "convolution, zero padding", "up-sampling x4, align corners"
circular, half = "convolution, circular", "up-sampling x4, half-pixel"
note = f"Diagonal, worst nu_i: {low[padded, 0]:.0%} with zero padding; circular padding is exact."
findings.observe("fig3-convolution", value=low[padded, 0], note=note)
findings.observe("fig3-convolution", value=1 - low[circular, 0], mutant=1 - low[padded, 0], form="convention",
                 note=note)
note = f"Half of the energy lies off the diagonal: {low['ReLU', 0]:.0%} on it, {low['ReLU', 1]:.0%} within one bin."
findings.observe("fig3-relu", value=low["ReLU", 0], note=note)
findings.observe("fig3-relu", value=low["ReLU", 1], form="approximation", note=note)
# %% tags=["remove-cell"]
note = (f"Worst nu_i: {low[up, 0]:.0%} on the diagonal, {low[up, 1]:.0%} within 1; half-pixel {low[half, 0]:.0%}.")
findings.observe("fig3-upsampling", value=low[up, 0], note=note)
findings.observe("fig3-upsampling", value=low[up, 1], form="approximation", note=note)
findings.observe("fig3-upsampling", value=low[half, 0], mutant=low[up, 0], form="convention", note=note)
three = energies[energies["operation"].isin([padded, "ReLU", up, half]) & (energies["within"] == 0)]
hits = three["diagonal_largest"].sum()
findings.observe("fig3-largest-entry", value=hits, n=len(three), note=(
    f"The largest entry lies at nu_i in {hits} of {len(three)} rows, also where half of the energy does not."))
# %% [markdown]
# Up-sampling is no delta in its columns either: it keeps images of a wave at $\nu + qM$, $q$ a whole number. With
# `align_corners=True` coarse points stand $(L-1)/(M-1)$ fine pixels apart, so a wave of $\nu$ cycles per frame of $M$
# has $\nu\,\frac{L(M-1)}{M(L-1)}$ per frame of $L$: from 33 to 129 a factor of 129/132, and bin 16 falls at
# {glue:text}`grad_lands`. So its rows are no delta at any bin but 0. Zero padding adds a cross, stride folds, and
# an atrous convolution on a grid of 33 mostly sees its own padding.
# %% tags=["remove-cell"]
stretch = (4 * size - 3) * (size - 1) / (size * (4 * size - 4))  # L (M - 1)/(M (L - 1))
glue("grad_lands", f"{16 * stretch:.3f}", display=False)
# %% [markdown]
# Features are real, so $x(-\nu) = \overline{x(\nu)}$, and $dy(\nu_i) = J_{ij}\,dx(\nu_j) + J_{i,-j}\,
# \overline{dx(\nu_j)}$: two real numbers answer to two. The printed rows have no $J_{i,-i}$. It lets the effect of a
# real wave depend on its phase, between $|J_{ii}| - |J_{i,-i}|$ and $|J_{ii}| + |J_{i,-i}|$. The table holds
# $|J_{i,-i}|$ over $|J_{ii}|$; near Nyquist $-\nu_i$ is a neighbour of $\nu_i$. In $L_{ce}(0)$, which is real, the two
# halves are conjugate: the printed entry is half of the effect.
# %% tags=["remove-input"]
mirrored = study.mirror_table(size, (padded, "ReLU", half, up, "atrous 12"), seeds=seeds)
mirrored.groupby(["operation", "nu_i"])["value"].mean().unstack().style.format("{:.1%}")
# %% tags=["remove-input"]
figures.show(draw.depth(depth), label="fig-depth",
    caption="Row energies of stacks of 3 x 3 convolution, normalisation and activation, random kernels.",
    alt="Falling curves: the diagonal's share falls fast with ReLU, more slowly with softplus.")
# %% tags=["remove-cell"]
three, spread3 = means["ReLU", 3], 2 * on_diagonal.loc["ReLU", 3].std() / np.sqrt(on_diagonal.shape[1])
findings.observe("obs3-three-layers", value=three, low=three - spread3, high=three + spread3, over="draws",
                 note=f"After three ReLU layers the diagonal holds {three:.0%} of a row's energy.")
kept = 1 - soft["off_diagonal"][1.0]
note = f"One softplus layer: the diagonal holds {kept:.0%} at rms Z = 1; eight layers: {means['softplus', 8]:.0%}."
findings.observe("obs3-softplus-layer", value=kept, note=note)
findings.observe("obs3-softplus-layer", value=kept, mutant=means["softplus", 8], form="approximation", note=note)
# %% [markdown]
# ## From features to the loss
# {ref}`Eqs 6 <eq-6>`, {ref}`50 <eq-50>` and {ref}`54 <eq-54>` are one formula. What holds, for any network:
# $L_{ce}(\nu_i) = \sum_c b(-\nu_i, c)\,[y_p(\nu_i) - y(\nu_i, c)]$ is linear in the labels, their sum is $m(-\nu_i)$,
# the mask's spectrum, and {ref}`Eq. 52 <eq-52>` differentiates $y_p$. So
#
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial y(\nu_j, c)} = m(-\nu_i)\, s(\nu_i - \nu_j, c)
#    - \delta_{ij}\, b(-\nu_i, c), $$
#
# and a linear last layer multiplies it by $k(\nu_j, c)$. Without void $m(-\nu_i) = \delta_{i0}$: the printed bracket.
# The printed ½ is softplus' slope at 0, right where the last layer is a softplus and $Z$ small; a classifier has none.
# %% tags=["remove-input"]
rng = np.random.default_rng(0)
errors = {s: np.mean([ig.softplus_tail(rng, (6, 7), scale=s)[0] for _ in range(seeds)]) for s in (0.1, 1.0)}
offs = [ig.softplus_tail(rng, (6, 7), scale=1.0)[1] for _ in range(4 * seeds)]
off, margin = np.mean(offs), 2 * np.std(offs) / np.sqrt(len(offs))
checked, tail, algebra = (ig.worst(f, draws=sizes.draws) for f in (ig.eq07, ig.linear_tail, ig.eq54))
pd.Series({
    "printed, softplus, rms Z = 0.1": errors[0.1], "printed, softplus, rms Z = 1": errors[1.0],
    "printed, linear": tail.mutant, "mended, linear, void": tail.value,
    "Eqs 51 to 53 with Eq. 5 put in": algebra.value}, name="error of Eqs 6, 50, 54").map(
    lambda v: "none" if v < 1e-9 else f"{v:.0%}").to_frame()
# %% tags=["remove-cell"]
note = (f"One formula in three places. Softplus: {errors[0.1]:.0%} off at rms Z = 0.1, {errors[1.0]:.0%} at 1; the "
        "algebra from Eqs 51 to 53 is exact; a linear classifier has no 1/2.")
for claim in ("eq06-softplus-tail", "eq50-lemma6", "eq54-substitution"):
    findings.observe(claim, value=errors[1.0], note=note)
    findings.observe(claim, value=errors[0.1], mutant=errors[1.0], form="approximation", note=note)
    findings.observe(claim, value=tail.value, mutant=tail.mutant, form="corrected", note=note)
note = f"Softplus last layer: {off:.0%} of the energy off the diagonal; linear and without void: none; void mixes."
findings.observe("eq07-same-frequency", value=off, low=off - margin, high=off + margin, over="draws", note=note)
findings.observe("eq07-same-frequency", value=checked.value, mutant=checked.mutant, form="corrected", note=note)
# %% [markdown]
# Void mixes frequencies: in the rows $\nu_i \ne 0$ it puts $|m(\nu_i)|^2 \sum_{q \ne 0} |s(q)|^2$ off the diagonal.
# %% [markdown]
# ## The zero frequency of the loss
# For {ref}`Eq. 8 <eq-8>` the paper argues that $s(\nu_j)$ is small for large $\nu_j$, so that $L_{ce}(0)$ hardly
# answers there. It does get small: {glue:text}`grad_fall` of its value at $\nu_j = 1$ or less in the upper quarter. But
# $L_{ce}(\nu_j)$ gets small in the same way: every $\nu_j$ of the features lies inside the prediction's band, where a
# prediction that is sure has $s \approx b$. The two answer with opposite signs; which is the larger depends on the
# scene and on how sure the prediction is. Their sum is the gradient of the whole loss: with $m$ the mask of labelled
# pixels (1 without void),
# $\sum_{\nu_i} \partial L_{ce}(\nu_i)/\partial x(\nu_j) = \sum_c k(\nu_j, c) [\mathcal F(mS) - b](-\nu_j, c)$.
# %% tags=["remove-input"]
labels = {r: torch.from_numpy(synthetic.scene(r, 0, 129).label) for r in synthetic.REGIMES}
classes = {r: len(c) for r, c in synthetic.CLASSES.items()}
answers = {r: response.observation4_table(labels[r], classes[r], size, confidence=4.0) for r in labels}
figures.show(draw.cancellation(answers), label="fig-cancellation",
    caption="How a feature at frequency (0, nu_j) moves the zero frequency of the loss, its own, and the whole loss, "
            "for a made-up prediction on a grid of 33 of three synthetic scenes.",
    alt="The red and the blue curve fall together over all frequencies; the black one lies below them.")
# %% [markdown]
# The prediction is made up: on the grid of 33 its logits are $\kappa\,(2p - 1)$ with $p$ the labels' averages on the
# grid, and the **confidence** $\kappa$ is ours: softmax is flat at 1 and hard at 8. So everything below is judged
# over that range. Where the scene's loss is least stands for a trained network, which chooses its own $\kappa$.
# %% tags=["remove-input"]
zeros = response.zero_table(labels, classes, size)
mixed = {r: x.flatten()[torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))].reshape(x.shape)
         for r, x in labels.items()}
rough, by = response.zero_table(mixed, classes, size), zeros.groupby("regime")
columns = {"fall": "upper quarter over nu_j = 1", "own": "over its own", "whole": "whole loss over its own"}
pd.DataFrame({name: by[c].agg(lambda v: f"{v.min():.2f} to {v.max():.2f}") for c, name in columns.items()})
# %% tags=["remove-cell"]
glue("grad_fall", f"{zeros['fall'].max():.0%}", display=False)
listed = ", ".join(f"{v:.0%} ({k})" for k, v in by["fall"].max().items())
findings.observe("eq08-zero-frequency", cases=by["fall"].max().to_dict(), mutant=rough["fall"].median(), note=(
    f"Upper quarter against nu_j = 1, largest over confidence: {listed}; with the same pixels shuffled "
    f"{rough['fall'].median():.0%}."))
listed = ", ".join(f"{v.min():.2f} to {v.max():.2f} ({k})" for k, v in by["own"])
findings.observe(
    "bey-zero-as-own", cases={f"{r.regime} at confidence {r.confidence:g}": r.own for r in zeros.itertuples()},
    mutant=zeros["whole"].median(),
    note=f"|dL_ce(0)| over |dL_ce(nu_j)|, median from M/4 on, confidence 1 to 8: {listed}.")
# %% tags=["remove-cell"]
for void in (False, True):
    planes = ig.random_tail(rng, (5, 6), void=void)
    hot = one_hot(planes.labels, 3).double()
    at_minus = spectrum.spectrum(hot.sum(0) * planes.probabilities - hot).conj()  # of real maps: the value at -nu
    total, rows = (planes.kernels * at_minus).sum(0), ig.all_rows(planes)[0].sum(0)
    findings.observe("bey-row-sum", value=ig.relative(rows, total), mutant=ig.relative(rows, -total),
                     note="The gradients add up to that of the whole loss, with void too.")
# %% [markdown]
# ## Removing the features
# The fourth observation itself: on 513 pixels a prediction on a grid of 129 loses its features above $\nu_{max} = 16$.
# Each low part is weighed against itself, by the change of each $L_{ce}(\nu_i)$; then the change of $L_{ce}(0)$ against
# the whole loss. Filled dots: the confidence of least loss among those tried.
#
# Without void $L_{ce}(\nu_i) = -\sum_c b(-\nu_i, c)\, y(\nu_i, c)$ for $\nu_i \ne 0$ is linear in the logits, so its
# relative change cannot depend on the confidence: for such scenes the range over confidence says nothing there.
# %% tags=["remove-input"]
large = {kind: [torch.from_numpy(synthetic.scene(kind, k, 513).label) for k in range(sizes.seeds)]
         for kind in synthetic.REGIMES}
removed = response.confidence_table(large, classes, 129, 16)
figures.show(draw.by_confidence(removed), label="fig-confidence",
    caption="What removing the features above 16 changes, against confidence. Dotted: a twentieth; the whole loss.",
    alt="Against themselves the terms change by some per cent; over the whole loss from a hundredth to ten and more.")
# %% [markdown]
# That the low terms stay is no matter of course: with the features above 4 removed, the same terms up to 8 change at
# least {glue:text}`grad_deeper` of their size.
# %% tags=["remove-cell"]
deeper = pd.concat([response.removal_table(maps[0], classes[kind], 129, 4, confidences=[4.0], low=8)
                    for kind, maps in large.items()]).query("part == 'low'")["moved"]
parts = ["zero", "low", "unit"]
best, ends = removed[removed["best"]], removed.groupby("regime")[parts].agg(["min", "max"])
for column, claim in zip(parts, ("obs4-zero-frequency", "obs4-low-frequencies", "bey-removal-cancels"), strict=True):
    listed = ", ".join(f"{v['min']:.3g} to {v['max']:.3g} ({k})" for k, v in ends[column].iterrows())
    findings.observe(
        claim, cases={f"{r.regime} at confidence {r.confidence:g}": getattr(r, column) for r in removed.itertuples()},
        mutant=deeper.min() if column == "low" else None,
        note=f"Over confidence 1 to 8: {listed}; where the loss is least "
             f"{best[column].min():.3g} to {best[column].max():.3g}.")
for column, form in (("zero", ".1%"), ("low", ".1%"), ("rise", ".0%"), ("unit", ".0f")):
    glue(f"grad_{column}", f"{best[column].min():{form}} to {best[column].max():{form}}", display=False)
glue("grad_deeper", f"{deeper.min():.0%}", display=False)
glue("grad_range", f"{removed['unit'].min():.2g} to {removed['unit'].max():.0f}", display=False)
glue("grad_best", f"{best['confidence'].min():g} to {best['confidence'].max():g}", display=False)
# %% [markdown]
# Where the loss is least (confidence {glue:text}`grad_best`), the low frequencies other than zero change by
# {glue:text}`grad_low` of themselves. $L_{ce}(0)$ changes by {glue:text}`grad_zero`. But the loss is what is left when
# $L_{ce}(0)$ and the negative rest cancel: that small change is {glue:text}`grad_unit` times the whole loss. The loss
# itself rises by {glue:text}`grad_rise`. Over all confidences it is {glue:text}`grad_range` times: the surer the
# prediction, the smaller the loss that all is weighed against. None of these is a property of the labels or of the band
# limit alone.
#
# ## What we found
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Why does a bias in $Z$ lower the share of energy off a softplus layer's diagonal, whichever its sign?
# 2. The diagonal of a stack falls roughly as a product of its layers' shares. How does the product compare?
# 3. At which stage of training is {ref}`Eq. 8 <eq-8>` true? (What is $s$ before the first step?)
#
# :::{admonition} Answers
# :class: dropdown
# 1. Far from 0 softplus is a line: its slope is near 1 on one side and near 0 on the other, and hardly varies. Off the
#    diagonal stands the slope's variation alone.
# 2. With ReLU one layer keeps {glue:text}`grad_one`, so three should keep the third power of that. They keep
#    {glue:text}`grad_three`. Where what a layer scatters is scattered back, it falls more slowly.
# 3. Before the first step the prediction is nearly the same everywhere, so that $s(\nu_j)$ is near 0 for $\nu_j \ne 0$
#    and $L_{ce}(0)$ does not answer. Training makes $s$ like $b$, at the low frequencies first or not.
# :::
