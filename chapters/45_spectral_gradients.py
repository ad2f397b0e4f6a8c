# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Spectral gradients of layers
# You will know the exact spectral gradient of a layer, what the paper's half-slope form costs, and how far one
# frequency of a feature reaches through convolution, activation, up-sampling and depth.
#
# :::{admonition} What is claimed
# :class: claim
# Eqs 4 to 8 and 41 to 54, Theorem 2, Lemmas 5 and 6, the third and fourth key observations, Fig. 3: "$y(\nu_i)$ is
# affected only by $x(\nu_i)$ with the same frequency" (2.2) {cite}`chen2020spectral`. A layer of ordinary size whose
# rows hold much of their energy elsewhere refutes it; so do low frequencies of the loss that change, measured against
# themselves, when high-frequency features are removed. (A **row** of a spectral gradient is one output frequency
# $\nu_i$ with all input frequencies $\nu_j$; a column is one $\nu_j$ with all $\nu_i$.)
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import sympy as sp
import torch
from myst_nb import glue

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import config, ledger
from specseg.figures import gradients as draw
from specseg.proofs import identities_gradient as ig
from specseg.proofs import layer_study as study
from specseg.proofs import loss_response as response
from specseg.proofs import symbolic_gradient as sym
from specseg.proofs import symbolic_layers as sl
from specseg.spectral import gradient as sg
from specseg.spectral import spectrum

sizes = config.profile(profile)
seeds = 8 if profile == "smoke" else 32
findings = ledger.open("45_spectral_gradients", profile=profile)
findings.banner()
# %%
size = 33
shown = ("convolution, zero padding", "ReLU", "up-sampling x4, align corners", "atrous 12")
rows = study.fig3_rows(size, shown)
figures.show(
    draw.fig3(rows, shown),
    caption="Fig. 3 for single operations, M = 33: one row of the spectral gradient over all "
            "input frequencies, in "
            "decibels. A delta would be one bright point at the row's frequency and nothing "
            "else.",
    alt="Twelve square maps. Each has its brightest point at the output's frequency; ReLU has "
        "a broad floor around it, "
        "padding and up-sampling have a cross through it, atrous convolution a grid of "
        "points.",
    source="this chapter", label="fig-3",
)
# %% [markdown]
# ## The layer and the theorem
# (eq-4)=
# $$ Z(t) = K(t) \otimes X(t), \qquad Y(t) = \sigma(Z(t)), \qquad \sigma(Z) = \log(1 + e^Z) \tag{4} $$
#
# (eq-5)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq \frac12 k(\nu_j) \delta_{\nu_j}(\nu_i) \tag{5} $$
#
# (eq-6)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) [D_0(\nu_i) s(-\nu_j, c)
#    - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)] \tag{6} $$
# %% [markdown]
# From it the paper reads, for $\nu_i, \nu_j \ne 0$ and for $\nu_i = 0$:
#
# (eq-7)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq -\sum_c \frac12 k(\nu_j, c) \delta_{\nu_j}(\nu_i)
#    b(-\nu_i, c) \tag{7} $$
#
# (eq-8)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \ll 1, \quad \text{if } \nu_j \text{ is large and }
#    \nu_i = 0 \tag{8} $$
# %% [markdown]
# ## The proof, step by step
# (eq-41)=
# $$ Z(t) = K(t) \otimes X(t), \qquad Y(t) = \sigma(Z(t)) \tag{41} $$
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
# $$ y(\nu) \simeq 2\pi \log 2 \, \delta_0(\nu) + \frac12 z(\nu) + \frac18 z(\nu) \otimes z(\nu) \tag{46} $$
#
# (eq-47)=
# $$ \frac{\partial y(\nu_i)}{\partial z(\nu_j)} \simeq \frac12 \delta_{\nu_j}(\nu_i)
#    + \frac14 z(\nu_i - \nu_j) \tag{47} $$
# %% [markdown]
# (eq-48)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq k(\nu_j) \left[\frac12 \delta_{\nu_j}(\nu_i)
#    + \frac14 z(\nu_i - \nu_j)\right] \tag{48} $$
#
# (eq-49)=
# $$ \frac{\partial y(\nu_i)}{\partial x(\nu_j)} \simeq \frac12 k(\nu_j) \delta_{\nu_j}(\nu_i) \tag{49} $$
#
# (eq-50)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) [D_0(\nu_i) s(-\nu_j, c)
#    - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)] \tag{50} $$
# %% [markdown]
# (eq-51)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} = \sum_c \sum_q
#    \frac{\partial L_{ce}(\nu_i)}{\partial y(\nu_q, c)} \frac{\partial y(\nu_q, c)}{\partial x(\nu_j)} \tag{51} $$
#
# (eq-52)=
# $$ \frac{\partial y_p(\nu_i)}{\partial y(\nu_j, c)} = s(\nu_i - \nu_j, c) \tag{52} $$
#
# (eq-53)=
# $$ \sum_{\tilde c} b(-\nu_i, \tilde c) = D_0(\nu_i) \tag{53} $$
#
# (eq-54)=
# $$ \frac{\partial L_{ce}(\nu_i)}{\partial x(\nu_j)} \simeq \sum_c \frac12 k(\nu_j, c) [D_0(\nu_i) s(-\nu_j, c)
#    - \delta_{\nu_j}(\nu_i) b(-\nu_i, c)] \tag{54} $$
# %% [markdown]
# ## Softplus
# Sympy continues {ref}`Eq. 45 <eq-45>`. There is no odd term beyond $Z/2$, since $\log(1 + e^Z) - Z/2 =
# \log(2\cosh(Z/2))$ is even; the series converges for $|Z| < \pi$ alone; and after $Z^2/8$ the remainder never exceeds
# {glue:text}`grad_remainder` (Lagrange: the largest fourth derivative stands at 0).
# %%
z = np.linspace(-8, 8, 1601)
z = z[np.abs(z) > 0.05]
bound, power = sym.softplus_remainder(2)
glue("grad_remainder", f"Z^{power}/{1 / bound}", display=False)
rest = np.abs(np.logaddexp(0, z) - np.log(2) - z / 2 - z**2 / 8) / (float(bound) * z**power)
broken = np.abs(np.logaddexp(0, z) - np.log(2) - z / 2 - z**2 / 6) / (float(bound) * z**power)
findings.observe("eq45-taylor", value=rest.max(), mutant=broken.max(),
                 note=f"No cubic term; next is -Z^4/192, then Z^6/2880; the remainder after "
                      f"order 6 is at most "
                      f"{sym.softplus_remainder(6)[0]} Z^8.")
sp.Eq(sp.Function("sigma")(sym.Z), sym.softplus_series(6) + sp.Order(sym.Z**8))
# %% [markdown]
# ## The identities
# For symbols, sympy differentiates the quadratic layer ({ref}`Eq. 48 <eq-48>`), $y_p$ ({ref}`Eq. 52 <eq-52>`) and the
# label sum ({ref}`Eq. 53 <eq-53>`) at $N = 3$: all differences are zero. For {ref}`Eq. 54 <eq-54>` see "From features
# to the loss".
# %%
left, right = sym.layer_gradient(3)
assert sp.simplify(left - right) == sp.zeros(3)
assert sym.log_sum_gradient(3) == sp.zeros(3)
assert sym.one_hot_spectrum(3) == [1, 0, 0]
right
# %% [markdown]
# For numbers, random tensors of one and two dimensions, odd and even sizes, with and without void. Each residual stands
# beside that of a version broken on purpose (its "mutant").
# %%
checks = {
    "eq04-layer": ig.eq04, "eq41-layer-in-frequency": ig.eq41, "eq44-kronecker": ig.eq44,
    "eq47-activation-gradient": ig.eq47, "eq48-layer-gradient": ig.eq48, "eq51-chain": ig.eq51,
    "eq52-partition": ig.eq52, "bey-exact-layer": ig.exact_layer,
    "bey-half-slope-error": ig.eq49,
}  # fmt: skip
results = {claim: ig.worst(check, draws=sizes.draws) for claim, check in checks.items()}
relu = ig.worst(lambda rng, shape: ig.exact_layer(rng, shape, torch.relu), draws=sizes.draws,
                shapes=((5, 5), (4, 6)))  # fmt: skip
pd.DataFrame(results, index=["residual", "broken version"]).T.style.format("{:.1e}")
# %% tags=["hide-input"]
for claim, checked in results.items():
    note = (f"Residual of {sizes.draws} draws {checked.value:.0e}, "
            f"if broken {checked.mutant:.0e}.")
    findings.observe(claim, value=checked.value, mutant=checked.mutant, note=note)
findings.observe("bey-exact-layer", value=relu.value, mutant=relu.mutant, note="So also for "
                                                                               "ReLU.")
# %% [markdown]
# Two lines need a word on their convention. {ref}`Eq. 43 <eq-43>` is the convolution theorem $z = kx$, true of the
# unnormalised transform. In any other, $z = kx/a$; the derivative does not know $a$, so that $k$ must stay unnormalised
# (and is the conjugate for the correlation that networks call convolution).
#
# In {ref}`Eq. 46 <eq-46>` a transform with $\mathcal F(1) = C\,\delta_0$ has $\mathcal F(Z^2) = \frac1C z \otimes z$.
# Hence the line, in each convention with its $C$: $\mathcal F(\log 2 + \frac Z2 + \frac{Z^2}8) = C \log 2\,\delta_0 +
# \frac z2 + \frac1{8C} z \otimes z$. Printed is $C = 2\pi$ in the first term and $C = 1$ in the last.
# %%
one = ig.eq43_conventions(np.random.default_rng(1), (6, 6))
fits = ig.eq46_conventions()
names = ["C", "Eq. 46 as printed", "Eq. 46 with C"]
table = pd.DataFrame(fits, index=names).T
table["Eq. 43, one transform for k, x, z"] = pd.Series(one)
table.rename_axis("residual by convention").style.format("{:.2g}", na_rep="")
# %% tags=["hide-input"]
labelled = ig.worst(ig.eq53, draws=sizes.draws)
checked, best = ig.worst(ig.eq46, draws=sizes.draws), min(v[1] for v in fits.values())
mended = max(v[2] for v in fits.values())
note = (f"As printed the best of four conventions leaves {best:.2f}; C log 2 and 1/(8 C) fit "
        "each with its own C.")
findings.observe("eq46-transform", value=best, note=note)
findings.observe("eq46-transform", value=max(mended, checked.value), mutant=checked.mutant,
                 form="corrected", note=note)  # fmt: skip
note = ("Exact with the unnormalised transform, whose convolution theorem it is; off by "
        f"{one['1/N forward']:.0%} with 1/N for all three, exact again with k alone unnormalised.")
findings.observe("eq43-convolution-gradient", value=one["unnormalised"],
                 mutant=one["1/N forward"], note=note)  # fmt: skip
checked = ig.worst(ig.eq43, draws=sizes.draws)
findings.observe("eq43-convolution-gradient", value=checked.value, mutant=checked.mutant,
                 form="convention", note=note)  # fmt: skip
# %% tags=["hide-input"]
note = (f"A Kronecker delta where every pixel has a label (residual {labelled.value:.0e}); with "
        "void the spectrum of the mask.")
findings.observe("eq53-labels-sum-to-one", value=labelled.mutant, note=note)
findings.observe("eq53-labels-sum-to-one", value=labelled.value, mutant=labelled.mutant,
                 form="convention", note=note)  # fmt: skip
x = study.feature_field(size, rms=0.3)[0, 0]
z, wrong = (float(v.abs().pow(2).sum() / x.pow(2).mean())
            for v in (spectrum.spectrum(x), torch.fft.fft2(x)))  # fmt: skip
findings.observe("eq48-small-spectrum", value=abs(z - 1), mutant=abs(wrong - 1),
                 note="Sum of |z|^2 = mean of Z^2 (1/N forward).")  # fmt: skip
# %% [markdown]
# ## The exact form
# With $g = \mathcal F(\sigma'(Z))$ no series is needed, and no smallness:
# $\dfrac{\partial y(\nu_i)}{\partial x(\nu_j)} = g(\nu_i - \nu_j) \, k(\nu_j)$, one FFT and a gather.
#
# ```{literalinclude} /lib/specseg/spectral/gradient.py
# :pyobject: conv_layer
# ```
# %% [markdown]
# By Parseval the half-slope form of {ref}`Eq. 5 <eq-5>` errs by exactly $2 \operatorname{rms}(\sigma'(Z) - \frac12)$,
# whatever the kernel. Normalisation layers put $\operatorname{rms} Z$ near 1.
# %%
rms = [0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
table = study.activation_table(rms, size, seeds=seeds)
soft = table[table["activation"] == "softplus"].groupby("rms").mean(numeric_only=True)
figures.show(
    draw.cost_of_half(table, pd.DataFrame({"rms": rms, "first": np.array(rms) / 2})),
    caption="Relative Frobenius error of the spectral gradient with slope 1/2 (Eq. 5) and "
            "with the next term (Eq. 47).",
    alt=f"Log-log curves: softplus error rises as half of rms Z to {soft['error'][2.0]:.0%} "
        "at 2; with the next term it starts far lower but grows faster; ReLU is flat at the "
        "top, its error as large as the gradient itself.",
    source="this chapter", label="fig-half-slope",
)
# %%
soft[["error", "second", "off_diagonal"]].style.format("{:.1%}")
# %% tags=["hide-input"]
one, two = soft.loc[1.0], soft.loc[2.0]
at = [f"{soft['error'][r]:.0%} at rms Z = {r:g}" for r in (0.1, 0.3, 1.0, 2.0)]
note = "Error of Eq. 5: " + ", ".join(at) + "."
findings.observe("eq05-rms-one", value=one["error"], note=note)
findings.observe("eq05-rms-one", value=soft["error"][0.1], mutant=two["error"],
                 form="approximation", note=note)  # fmt: skip
findings.observe("eq45-negligible", value=one["second"], note=note)
findings.observe("eq45-negligible", value=soft["second"][0.3], mutant=two["second"],
                 form="approximation", note=note)  # fmt: skip
# %% [markdown]
# Does "$K$ small and $|X| < 1$" (Lemma 5, footnote 2) make $Z$ small? No: at He's initialisation the entries of $K$
# shrink with the number of channels, rms $Z$ does not. It stays at $\sqrt{2/3}$ for uniform $|X| < 1$. So the term that
# {ref}`Eq. 49 <eq-49>` drops stays too: the last column weighs the two matrices, $\|k(\nu_j) z(\nu_i-\nu_j)/4\|$
# against $\|k(\nu_j)\delta_{ij}/2\|$.
# %%
small = {c: study.small_kernel(c) for c in (16, 64, 256)}
layers = {c: study.he_layer(c) for c in small}
dropped = pd.DataFrame({c: [study.dropped_over_kept(k[0], z) for k, z in zip(*layer, strict=True)]
                        for c, layer in layers.items()})  # fmt: skip
table = pd.DataFrame(small, index=["largest |K|", "rms Z"]).T.rename_axis("channels")
table.assign(**{"dropped over kept": dropped.mean()}).style.format("{:.2f}")
# %% tags=["hide-input"]
kernel = ig.normal(np.random.default_rng(1), 3, 3)
tiny = study.dropped_over_kept(kernel, study.feature_field(size, rms=0.1)[0, 0])
note = (f"In layers of 16 to 256 channels the dropped term is {dropped.stack().min():.0%} to "
        f"{dropped.stack().max():.0%} of the kept one, {tiny:.0%} at rms Z = 0.1.")
findings.observe("eq49-dropped-term", cases={f"{c} channels": v.min() for c, v in dropped.items()}, note=note)
findings.observe("eq49-dropped-term", value=tiny, mutant=dropped.stack().min(),
                 form="approximation", note=note)  # fmt: skip
# %% tags=["hide-input"]
entry, z_rms = small[256]
error = study.activation_table([z_rms], size, seeds=seeds)
error = error.query("activation == 'softplus'")["error"].mean()
note = (f"256 channels: entries of K up to {entry:.2f}, rms Z {z_rms:.2f}, error of Eq. 5 "
        f"{error:.0%}.")
findings.observe("fn2-small-implies-small", value=z_rms, note=note)
findings.observe("eq42-lemma5", value=error, note=note)
findings.observe("eq42-lemma5", value=soft["error"][0.1], mutant=error, form="approximation",
                 note=note)  # fmt: skip
# %% [markdown]
# Move the slider: the row at $\nu_i = (M/4, M/4)$ of one softplus layer, as its pre-activation grows.
# %%
figures.show_plotly(
    draw.layer_slider(*study.softplus_rows([0.1, 0.3, 1.0, 2.0, 4.0, 8.0], size)),
    caption="One row of a softplus layer's spectral gradient, relative to its maximum, in "
            "decibels.",
    alt="Heat map with one bright point on a floor that rises as the slider grows.",
    source="this chapter", label="fig-layer-slider",
)
# %% [markdown]
# ## ReLU
# The paper's networks use ReLU, whose slope is 0 or 1. So its spectral gradient is $P k$ with $P = F
# \operatorname{diag}(1[Z > 0]) F^{-1}$, and $P$ is an **orthogonal projection**: $P^2 = P$ because $0^2 = 0$ and $1^2 =
# 1$, $P^* = P$ because $F$ is unitary up to a factor that cancels. That alone fixes its spread. Every entry of the
# diagonal is $g(0) = a$, the active fraction; a row's energy is $\sum_j |P_{ij}|^2 = (PP^*)_{ii} = P_{ii} = a$; so the
# diagonal has $a^2/a = a$ of it, about one half, for every size of $Z$. Sympy, for any mask of three pixels:
# %%
projection, square, adjoint, energy = sl.relu_projection(3)
assert square == sp.zeros(3) == adjoint and energy == 0
projection
# %% [markdown]
# A kernel weighs the columns by $|k(\nu_j)|^2$: the share $a$ stays that of every column, and of the whole matrix, but
# no longer of a row. *Where* the other half goes is the features' own spectrum. For a stationary Gaussian field $Z$
# (the assumption) with correlation $\rho(\tau)$, two pixels are active together with the probability below
# {cite}`sheppard1899application,vanvleck1966spectrum`. For the normal density $\partial\phi/\partial\rho =
# \partial^2\phi/\partial x\,\partial y$; over the quadrant this integrates to the corner's value $\phi(0, 0) =
# 1/(2\pi\sqrt{1 - \rho^2})$, and that from $\frac14$ at $\rho = 0$ to the arcsine. Its transform is
# $\langle|g(\nu)|^2\rangle$: smooth features spread the half over near frequencies, white ones over all. That is what
# is true of "near frequency".
# %%
plackett, together = sl.arcsine_law()
assert plackett == 0
sp.Eq(sp.Symbol("P(Z(t) > 0, Z(t + tau) > 0)"), together)
# %%
spread = study.relu_spread_table([0, 1, 2], size, seeds=3 * seeds)
wide = spread.pivot_table("value", ["decay", "within"], "kind")
figures.show(
    draw.relu_spread(spread),
    caption="How far a ReLU spreads a row: white features (decay 0), natural ones (1), smooth "
            "ones (2).",
    alt="Three rising curves from one half; those of smooth features reach "
        f"{wide['measured'][2, 1]:.0%} within a bin, those of white ones stay low.",
    source="this chapter", label="fig-relu-spread",
)
# %%
columns, rows_off, active, largest = [], [], [], 0
for seed in range(seeds):
    kernel = ig.normal(np.random.default_rng(seed), 3, 3)
    z = ig.circular_conv(study.feature_field(size, seed=seed), kernel)[0, 0]
    full = sg.conv_layer(kernel, z, torch.relu)
    active.append(float((z > 0).double().mean()))
    columns.append(float((study.column_shares(full) - active[-1]).abs().max()))
    rows_off.append(float((study.column_shares(full.T) - active[-1]).abs().max()))
    largest += int((full.abs().argmax(1) == torch.arange(len(full))).sum())
count = seeds * size**2
seen = {"columns": max(columns), "rows": min(rows_off)}
name = "largest distance of a share from the active fraction"
pd.Series(seen, name=name).to_frame().style.format("{:.1e}")
# %% tags=["hide-input"]
gap = (wide["law"] - wide["measured"]).abs().max()
findings.observe(
    "bey-arcsine-law", value=gap,
    mutant=(wide["law"].loc[0] - wide["measured"].loc[2]).abs().max(),
    note=f"Shares within 0 to 8 bins, law against measurement: at most {gap:.3f} apart.",
)
findings.observe(
    "bey-relu-active-fraction", value=max(columns), mutant=min(rows_off),
    note=f"Every column keeps the active fraction, {np.mean(active):.0%} here; with a 3 x 3 "
         f"kernel some rows are {min(rows_off):.0%} or more away from it.",
)
findings.observe(
    "obs3-relu-layer", value=largest, n=count,
    note=f"x(nu_i) has the largest effect in {largest} of {count} rows, though it holds only "
         f"{np.mean(active):.0%} of the energy.",
)
# %% [markdown]
# ## Fig. 3 as energies
# A picture scaled to its maximum cannot show a floor of many small entries. The bars count energy: on the diagonal,
# within one bin, within two.
# %%
energies = study.fig3_table(size, seeds=seeds)
figures.show(
    draw.row_energies(energies),
    caption="Row energies of single operations, M = 33, mean over draws of features and "
            "kernels. Dotted: nine tenths.",
    alt="Bars per operation. Circular convolution and half-pixel up-sampling fill the "
        "diagonal; zero padding loses some, ReLU much, stride and atrous convolution more.",
    source="this chapter", label="fig-row-energies",
)
# %%
f = [size // 4 / size, size // 2 / size, 1 - size // 4 / size, 1 - size // 2 / size]
gain = {
    k: [study.upsampling_amplitude(v, 4, align_corners=k == "align corners") for v in f]
    for k in ("align corners", "half-pixel")
}
at = ["M/4", "M/2", "image of M/4", "image of M/2"]
pd.DataFrame(gain, index=at).style.format("{:.2f}")
# %% tags=["hide-input"]
low = energies.groupby(["operation", "within", "nu_i"])["value"].mean()
low = low.groupby(level=[0, 1]).min()
padded, up = "convolution, zero padding", "up-sampling x4, align corners"
circular, half = "convolution, circular", "up-sampling x4, half-pixel"
note = (f"Diagonal, worst nu_i: {low[padded, 0]:.0%} with zero padding; circular padding is "
        f"exact.")
findings.observe("fig3-convolution", value=low[padded, 0], note=note)
findings.observe("fig3-convolution", value=1 - low[circular, 0], mutant=1 - low[padded, 0],
                 form="convention", note=note)  # fmt: skip
note = (f"Half of the energy lies off the diagonal: {low['ReLU', 0]:.0%} on it, "
        f"{low['ReLU', 1]:.0%} within one bin.")
findings.observe("fig3-relu", value=low["ReLU", 0], note=note)
findings.observe("fig3-relu", value=low["ReLU", 1], form="approximation", note=note)
# %% tags=["hide-input"]
note = (f"Worst nu_i: {low[up, 0]:.0%} on the diagonal, {low[up, 1]:.0%} within 1; "
        f"half-pixel {low[half, 0]:.0%}.")
findings.observe("fig3-upsampling", value=low[up, 0], note=note)
findings.observe("fig3-upsampling", value=low[up, 1], form="approximation", note=note)
findings.observe("fig3-upsampling", value=low[half, 0], mutant=low[up, 0], form="convention",
                 note=note)  # fmt: skip
shown = energies["operation"].isin([padded, "ReLU", up, half])
three = energies[shown & (energies["within"] == 0)]
hits = three["diagonal_largest"].sum()
findings.observe(
    "fig3-largest-entry", value=hits, n=len(three),
    note=f"The largest entry lies at nu_i in {hits} of {len(three)} rows, also where half of "
         "the energy does not.",
)
# %% [markdown]
# Up-sampling is no delta in its columns either: the table gives its gain at $M/4$ and $M/2$ and at their images $\nu +
# qM$, which it does not remove. With `align_corners=True` coarse points stand $(L-1)/(M-1)$ fine pixels apart, so a
# wave of $\nu$ cycles per frame of $M$ has $\nu\,\frac{L(M-1)}{M(L-1)}$ per frame of $L$: from 33 to 129 a factor of
# 129/132, and bin 16 falls at {glue:text}`grad_lands`. (Fitted with it, the up-sampled wave leaves
# nothing; with $(M-1)/M$, {glue:text}`grad_misfit`.) So its rows are no delta at any bin but 0. Zero
# padding adds a cross, stride folds, and an atrous convolution on a grid of 33 mostly sees its own padding.
# %% tags=["hide-input"]
stretch = study.upsampled_frequency(1, size, 4 * size - 3)
glue("grad_lands", f"{16 * stretch:.3f}", display=False)
assert study.upsampling_fit(16, size, 4, stretch) < 1e-9
glue("grad_misfit", f"{study.upsampling_fit(16, size, 4, (size - 1) / size):.0%}", display=False)
# %% [markdown]
# Features are real, so $x(-\nu) = \overline{x(\nu)}$, and $dy(\nu_i) = J_{ij}\,dx(\nu_j) + J_{i,-j}\,
# \overline{dx(\nu_j)}$: two real numbers answer to two. The printed rows have no $J_{i,-i}$. It lets the effect of a
# real wave depend on its phase, between $|J_{ii}| - |J_{i,-i}|$ and $|J_{ii}| + |J_{i,-i}|$. The table holds
# $|J_{i,-i}|$ over $|J_{ii}|$; near Nyquist $-\nu_i$ is a neighbour of $\nu_i$. In $L_{ce}(0)$, which is real, the two
# halves are conjugate: the printed entry is half of the effect.
# %%
mirrored = study.mirror_table(size, (padded, "ReLU", half, up, "atrous 12"), seeds=seeds)
mirrored.groupby(["operation", "nu_i"])["value"].mean().unstack().style.format("{:.1%}")
# %%
depth = study.depth_table([1, 2, 3, 5, 8], size, seeds=2 * seeds)
on_diagonal = depth[depth["within"] == 0].set_index(["activation", "depth", "seed"])["value"]
on_diagonal = on_diagonal.unstack("seed")
means = on_diagonal.mean(axis=1)
figures.show(
    draw.depth(depth),
    caption="Row energies of stacks of 3 x 3 convolution, normalisation and activation, "
            "random kernels.",
    alt=f"Falling curves: with ReLU the diagonal holds {means['ReLU', 1]:.0%} after one layer "
        f"and {means['ReLU', 3]:.0%} after three; with softplus it falls more slowly.",
    source="this chapter", label="fig-depth",
)
# %%
means.unstack("depth").style.format("{:.0%}")
# %% tags=["hide-input"]
errors = on_diagonal.std(axis=1) / np.sqrt(on_diagonal.shape[1])
three_layers, spread3 = means["ReLU", 3], 2 * errors["ReLU", 3]
findings.observe(
    "obs3-three-layers", value=three_layers, low=three_layers - spread3,
    high=three_layers + spread3, over="draws",
    note=f"After three ReLU layers the diagonal holds {three_layers:.0%} of a row's energy.",
)
kept = 1 - soft["off_diagonal"][1.0]
note = (f"One softplus layer: the diagonal holds {kept:.0%} at rms Z = 1; eight layers: "
        f"{means['softplus', 8]:.0%}.")
findings.observe("obs3-softplus-layer", value=kept, note=note)
findings.observe("obs3-softplus-layer", value=kept, mutant=means["softplus", 8],
                 form="approximation", note=note)  # fmt: skip
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
# %%
assert sym.loss_gradient(2) == sp.zeros(2)  # B are free symbols: void and soft labels included
rng = np.random.default_rng(0)
errors = {}
for s in (0.1, 1.0):
    errors[s] = np.mean([ig.softplus_tail(rng, (6, 7), scale=s) for _ in range(seeds)])
offs = [ig.eq07_softplus(rng, (6, 7), scale=1.0) for _ in range(4 * seeds)]
off, margin = np.mean(offs), 2 * np.std(offs) / np.sqrt(len(offs))
checked = ig.worst(ig.eq07, draws=sizes.draws)
tail, algebra = (ig.worst(f, draws=sizes.draws) for f in (ig.linear_tail, ig.eq54))
names = {
    "printed, softplus, rms Z = 0.1": errors[0.1], "printed, softplus, rms Z = 1": errors[1.0],
    "printed, linear": tail.mutant, "mended, linear, void": tail.value,
    "Eqs 51 to 53 with Eq. 5 put in": algebra.value,
}  # fmt: skip
pd.Series(names, name="error of Eqs 6, 50, 54").to_frame().style.format("{:.1g}")
# %% tags=["hide-input"]
note = (f"One formula in three places. Softplus: {errors[0.1]:.0%} off at rms Z = 0.1, "
        f"{errors[1.0]:.0%} at 1; the algebra from Eqs 51 to 53 is exact; a linear classifier "
        "has no 1/2.")
for claim in ("eq06-softplus-tail", "eq50-lemma6", "eq54-substitution"):
    findings.observe(claim, value=errors[1.0], note=note)
    findings.observe(claim, value=errors[0.1], mutant=errors[1.0], form="approximation",
                     note=note)  # fmt: skip
    findings.observe(claim, value=tail.value, mutant=tail.mutant, form="corrected", note=note)
note = (f"Softplus last layer: {off:.0%} of the energy off the diagonal; linear and without "
        "void: none; void mixes.")
findings.observe("eq07-same-frequency", value=off, low=off - margin, high=off + margin, over="draws",
                 note=note)  # fmt: skip
findings.observe("eq07-same-frequency", value=checked.value, mutant=checked.mutant,
                 form="corrected", note=note)  # fmt: skip
# %% [markdown]
# How much does void mix? In the rows $\nu_i \ne 0$ it puts $|m(\nu_i)|^2 \sum_{q \ne 0} |s(q)|^2$ off the diagonal. The
# table holds that share of their energy for synthetic scenes with their void ribbons and edges, for a prediction of
# confidence 4 (explained below), beside the share of pixels that are void.
# %%
labels = {r: torch.from_numpy(synthetic.scene(r, 0, 129).label) for r in synthetic.REGIMES}
classes = {r: len(c) for r, c in synthetic.CLASSES.items()}
share = {}
for kind in labels:
    for k in range(4):
        one = torch.from_numpy(synthetic.scene(kind, k, 129).label)
        features, up33 = response.lrg_prediction(one, classes[kind], size, confidence=4.0)
        share[kind, k] = {"void pixels": float((one == 255).double().mean()),
                          "off the diagonal": response.void_share(one, up33(features)[0].softmax(0))}  # fmt: skip
share = pd.DataFrame(share).T.rename_axis(["scene", "number"])
share.groupby("scene").mean().style.format("{:.1%}")
# %% [markdown]
# ## The zero frequency of the loss
# For {ref}`Eq. 8 <eq-8>` the paper argues that $s(\nu_j)$ is small for large $\nu_j$, so that $L_{ce}(0)$ hardly
# answers there. It does get small: {glue:text}`grad_fall` of its value at $\nu_j = 1$ or less in the upper quarter. But
# $L_{ce}(\nu_j)$ gets small in the same way: every $\nu_j$ of the features lies inside the prediction's band, where a
# prediction that is sure has $s \approx b$. The two answer with opposite signs; which is the larger depends on the
# scene and on how sure the prediction is. Their sum is the gradient of the whole loss: with $m$ the mask of labelled
# pixels (1 without void),
# $\sum_{\nu_i} \partial L_{ce}(\nu_i)/\partial x(\nu_j) = \sum_c k(\nu_j, c) [\mathcal F(mS) - b](-\nu_j, c)$.
# %%
answers = {r: response.observation4_table(labels[r], classes[r], size, confidence=4.0)
           for r in labels}  # fmt: skip
figures.show(
    draw.cancellation(answers),
    caption="How a feature at frequency (0, nu_j) moves the zero frequency of the loss, its "
            "own, and the whole loss; a prediction on a grid of 33 that knows the labels' "
            "averages p, logits 4 (2 p - 1). Three kinds of synthetic scenes.",
    alt="In three panels the red and the blue curve fall together over all frequencies; the "
        "black curve lies below them.",
    source="this chapter", label="fig-cancellation",
)
# %% [markdown]
# The prediction is made up, its logits are $\kappa\,(2p - 1)$ with $p$ the labels' averages on the grid, and the
# **confidence** $\kappa$ is ours: softmax is flat at 1 and hard at 8. So everything below is judged over that range.
# Where the scene's loss is least stands for a trained network, which chooses its own $\kappa$.
# %%
zeros = response.zero_table(labels, classes, size)
mixed = {r: x.flatten()[torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))]
         .reshape(x.shape) for r, x in labels.items()}  # fmt: skip
rough = response.zero_table(mixed, classes, size)
columns = {"fall": "upper quarter over nu_j = 1", "own": "over own"}
columns |= {"whole": "whole loss over own"}
table = zeros.rename(columns=columns).pivot(index="confidence", columns="regime")
table[list(columns.values())].style.format("{:.2f}").format_index("{:g}", axis=0)
# %% tags=["hide-input"]
glue("grad_fall", f"{zeros['fall'].max():.0%}", display=False)
by = zeros.groupby("regime")
listed = ", ".join(f"{v:.0%} ({k})" for k, v in by["fall"].max().items())
findings.observe("eq08-zero-frequency", cases=by["fall"].max().to_dict(), mutant=rough["fall"].median(),
                 note=f"Upper quarter against nu_j = 1, largest over confidence: {listed}; with "
                      f"the same pixels shuffled {rough['fall'].median():.0%}.")  # fmt: skip
listed = ", ".join(f"{a:.2f} to {b:.2f} ({k})" for k, a, b in
                   zip(by.groups, by["own"].min(), by["own"].max(), strict=True))  # fmt: skip
findings.observe(
    "bey-zero-as-own", cases={f"{r.regime} at confidence {r.confidence:g}": r.own for r in zeros.itertuples()},
    mutant=zeros["whole"].median(),
    note=f"|dL_ce(0)| over |dL_ce(nu_j)|, median from M/4 on, confidence 1 to 8: {listed}.",
)
# %% tags=["hide-input"]
for void in (False, True):
    planes = ig.random_tail(rng, (5, 6), void=void)
    hot = sg.one_hot(planes.labels, 3).double()
    masked = hot.sum(0) * planes.probabilities - hot
    at_minus = spectrum.spectrum(masked).conj()  # of real maps: the value at -nu
    total = (planes.kernels * at_minus).sum(0)
    rows_sum = ig.all_rows(planes)[0].sum(0)
    findings.observe(
        "bey-row-sum", value=ig.relative(rows_sum, total),
        mutant=ig.relative(rows_sum, -total),
        note="The gradients add up to that of the whole loss, with void too.",
    )
# %% [markdown]
# ## Removing the features
# The fourth observation itself: on 513 pixels a prediction on a grid of 129 loses its features above $\nu_{max} = 16$.
# Each low part is weighed against itself, by the change of each $L_{ce}(\nu_i)$; then the change of $L_{ce}(0)$ against
# the whole loss. Filled dots: the confidence of least loss among those tried.
#
# Without void $L_{ce}(\nu_i) = -\sum_c b(-\nu_i, c)\, y(\nu_i, c)$ for $\nu_i \ne 0$ is linear in the logits, so its
# relative change cannot depend on the confidence: for such scenes the range over confidence says nothing there.
# %%
large = {kind: [torch.from_numpy(synthetic.scene(kind, k, 513).label)
                for k in range(sizes.seeds)] for kind in synthetic.REGIMES}  # fmt: skip
removed = response.confidence_table(large, classes, 129, 16)
figures.show(
    draw.by_confidence(removed),
    caption="What removing the features above 16 changes, against the confidence of the "
            "made-up prediction. Dotted: one twentieth, and the whole loss.",
    alt="Three panels over confidence 1 to 8. Against themselves the zero frequency and the low "
        "ones change more with confidence, up to some per cent and to half of one; over the "
        "whole loss the change of the zero frequency rises from a hundredth to ten and more.",
    source="this chapter", label="fig-confidence",
)
# %% [markdown]
# That the low terms stay is no matter of course: with the features above 4 removed, the same terms up to 8 change at
# least {glue:text}`grad_deeper` of their size.
# %% tags=["hide-input"]
deeper = pd.concat([response.removal_table(maps[0], classes[kind], 129, 4, confidences=[4.0], low=8)
                    for kind, maps in large.items()]).query("part == 'low'")["moved"]  # fmt: skip
glue("grad_deeper", f"{deeper.min():.0%}", display=False)
# %% tags=["hide-input"]
best = removed[removed["best"]]
ends = removed.groupby("regime")[["zero", "low", "unit"]].agg(["min", "max"])
listed = {c: ", ".join(f"{v['min']:.3g} to {v['max']:.3g} ({k})" for k, v in ends[c].iterrows())
          for c in ("zero", "low", "unit")}  # fmt: skip
for claim, column in (("obs4-zero-frequency", "zero"), ("obs4-low-frequencies", "low"),
                      ("bey-removal-cancels", "unit")):  # fmt: skip
    findings.observe(
        claim, cases={f"{r.regime} at confidence {r.confidence:g}": getattr(r, column) for r in removed.itertuples()},
        mutant=deeper.min() if column == "low" else None,
        note=f"Over confidence 1 to 8: {listed[column]}; where the loss is least "
             f"{best[column].min():.3g} to {best[column].max():.3g}.",
    )
for key, column in (("zero", "zero"), ("low", "low"), ("rise", "rise")):
    glue(f"grad_{key}", f"{best[column].min():.1%} to {best[column].max():.1%}", display=False)
glue("grad_unit", f"{best['unit'].min():.1f} to {best['unit'].max():.1f}", display=False)
glue("grad_range", f"{removed['unit'].min():.2f} to {removed['unit'].max():.1f}", display=False)
glue("grad_best", " and ".join(f"{c:g}" for c in sorted(set(best["confidence"]))),
     display=False)  # fmt: skip
# %% [markdown]
# Where the loss is least (confidence {glue:text}`grad_best`), the low frequencies other than zero change by
# {glue:text}`grad_low` of themselves, $L_{ce}(0)$ by {glue:text}`grad_zero`. But the loss is what is left when
# $L_{ce}(0)$ and the negative rest cancel: that small change is {glue:text}`grad_unit` times the whole loss, which
# rises by {glue:text}`grad_rise`. At other confidences it is {glue:text}`grad_range` times: the surer the prediction,
# the smaller the loss that all is weighed against. None of these is a property of the labels or of the band limit
# alone.
#
# ## What we found
# %% tags=["hide-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Why does a bias in $Z$ lower the share of energy off a softplus layer's diagonal, whichever its sign?
# 2. The diagonal of a stack falls roughly as a product of its layers' shares. When would it fall more slowly?
# 3. At which stage of training is {ref}`Eq. 8 <eq-8>` true? (What is $s$ before the first step?)
