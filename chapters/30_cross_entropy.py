# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Cross-entropy in frequency
# You will know what a frequency component of the cross-entropy is, that Theorem 1 is exact, what its zero frequency is
# made of, and why neither it nor the loss rate $R_{ce}$ is a share of the loss.
#
# :::{admonition} The answer
# :class: tip
# Theorem 1 is exact: the cross-entropy is the sum of its parts over all frequencies, positive and negative. But a part
# is no share. In a small trained network the zero frequency alone is {glue:text}`ce_times` times the loss, and all
# others together are negative. The loss rate $R_{ce}$, the part beyond a band limit over the loss, is exactly how much
# the loss changes when the labels are cut there. Cut the prediction instead, and the loss of our three networks changes
# by only {glue:text}`ce_true_share` of what $R_{ce}$ says. The equations hold for every network; the sizes are those of
# small ones.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import numpy as np
import pandas as pd
import torch
from IPython.display import Math
from myst_nb import glue

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import config, ledger
from specseg.figures import cross_entropy as draw
from specseg.figures import labels as slider
from specseg.nets import tiny
from specseg.proofs import conventions, identities, rce_laws, symbolic
from specseg.spectral import cross_entropy as ce
from specseg.spectral import spectrum as sp

sizes = config.profile(profile)
findings = ledger.open("30_cross_entropy", profile=profile)
# %% tags=["remove-cell"]
nets = [tiny.probed("landcover", steps=300, seed=s) for s in range(sizes.seeds)]
net = nets[0]
course = pd.DataFrame(
    [{"step": s, **rce_laws.cancellation(y, net.labels, nu_max=8)} for s, y in zip(net.steps, net.logits, strict=True)]
)
times = f"{course['zero'].iloc[-1] / course['loss'].iloc[-1]:.1f} times"
glue("ce_times", times.removesuffix(" times"), display=False)
# %% tags=["remove-input"]
figures.show(
    draw.course(course),
    caption="A tiny network learns synthetic land-cover scenes (held-out scenes shown). The whole loss falls; its zero "
            "frequency first falls, then <b>rises</b> above its start, and all others together become negative.",
    alt=f"Line plot over training steps: the loss falls towards the bottom, the zero-frequency component dips and then "
        f"rises to {times} the loss, the sum of all other components falls far below zero.",
    source="this chapter", label="fig-course",
)
# %% [markdown]
# ## By hand
# One held-out scene and the network's *logits* $Y$ (what it gives before it decides). With the labels as planes $B$ of
# zeros and ones and $Y_p = \log \sum_c e^{Y}$, the loss of a pixel is $Y_p - Y$ of its class. Transform both, multiply,
# add over classes: that is every part of the loss. Numpy alone does it.
# %%
Y, label = net.logits[-1][0].numpy(), net.labels[0].numpy()
B = np.stack([label == c for c in range(len(Y))]).astype(float)
minus_log = np.log(np.exp(Y).sum(0)) - Y  # minus the log-probabilities, in nats
b, y = (np.fft.fft2(x) / label.size for x in (B, minus_log))
parts = (b.conj() * y).sum(0).real  # b(-nu) is the conjugate of b(nu)
wave = np.abs(np.fft.fftfreq(len(label), 1 / len(label)))
beyond = parts[np.maximum(wave[:, None], wave[None]) > 8].sum()
hand = [parts.sum(), parts[0, 0], abs(beyond) / parts.sum()]
one = net.logits[-1][:1], net.labels[:1]
book = [ce.cross_entropy(*one)[0], ce.frequency_components(*one)[0, 0, 0].real,
        ce.relative_loss_rate(*one, 8)[0]]
what = ["whole loss [nats]", "zero frequency [nats]", "R_ce(8), a share"]
table = pd.DataFrame({"by hand": hand, "by the library": book}, index=what)
table.astype(float).style.format("{:.4f}")
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# Eqs 1, 2 and 9 to 22, Theorem 1, Lemmas 3 and 4, and the first key observation, "CE is mainly contributed by the
# low-frequency component of segmentation maps" (section 2.1) {cite}`chen2020spectral`. They would be refuted by random
# tensors on which the two sides differ, or by a network whose low-frequency "contributions" exceed the whole.
# :::
# %% [markdown]
# ## One convention
# The paper uses ordinary frequency in section A.2, angular frequency in Eqs 36 and 46, and a discrete one in Eqs 2,
# 43 and 47. This book uses one: the forward transform carries $1/N$, frequencies are signed, an integral over $t$ is a
# mean over pixels and an integral over $\nu$ a plain sum. Then nearly every formula stands without a factor:
# %% tags=["remove-input"]
conventions.table().rename(columns={"forward": "forward 1/N (here)"}).style.hide(axis="index")
# %% [markdown]
# Each cell is the factor that the printed right-hand side needs. This project's tests check each on numbers: Gaussians
# for the continuous conventions, random signals for the discrete ones. Eq. 46 fits no convention: its constant needs
# angular frequency, its convolution does not allow it. The two lemmas below, in numbers, are tried here.
# %% tags=["remove-cell"]
t, dt = np.linspace(-8, 8, 321, retstep=True)
rng, off = np.random.default_rng(7), {}
y, b = (sum(rng.normal() * np.exp(-rng.uniform(1.5, 3) * (t - rng.uniform(-2, 2)) ** 2) for _ in range(3))
        for _ in "yb")
for name, wave in (("ordinary", 2 * np.pi), ("angular", 1.0)):  # frequencies from -8 pi/wave to 8 pi/wave
    nu, dnu = np.linspace(-8 * np.pi / wave, 8 * np.pi / wave, 401, retstep=True)
    waves = dt * np.exp(-1j * wave * np.outer(nu, t))
    overlap = dnu * ((waves @ y) * (waves @ b)[::-1]).sum()
    off[name] = abs(1 - overlap / (dt * (y * b).sum()))
    off[f"{name}, at 0"] = abs(1 - (waves @ y)[200] / (dt * y.sum()))
z = rng.standard_normal(24)
findings.observe("lem3-overlap", value=off["ordinary"], mutant=off["angular"],
                 note="Exact in ordinary frequency; angular frequency needs 1/(2 pi).")
_ = findings.observe("lem4-mean", value=off["ordinary, at 0"], mutant=abs(1 - np.fft.fft(z, norm="ortho")[0] / z.sum()),
                     note="Exact in every convention but the orthonormal DFT, which needs sqrt(N).")
# %% [markdown]
# ## Lemmas 3 and 4
# The overlap of two functions is the overlap of their spectra, one of them reversed:
#
# (eq-11)=
# $$ \int Y(t) B(t) \, dt = \int y(z) b(-z) \, dz \tag{11} $$
#
# The proof goes through the convolution theorem and the delta:
#
# (eq-12)=
# $$ \int Y B \, dt = \int \mathcal{F}^{-1}(y \otimes b) \, dt \tag{12} $$
#
# (eq-13)=
# $$ = \iiint e^{2 j \pi \nu t} y(z) b(\nu - z) \, dt \, d\nu \, dz \tag{13} $$
# %% [markdown]
# (eq-14)=
# $$ \int e^{2 j \pi \nu t} dt = D_0(\nu) = \infty \text{ if } \nu = 0, \; 0 \text{ otherwise} \tag{14} $$
#
# (eq-15)=
# $$ \int Y B \, dt = \iint y(z) b(\nu - z) D_0(\nu) \, d\nu \, dz = \int y(z) b(-z) \, dz \tag{15} $$
#
# Lemma 4 is the same with a constant in place of $B$:
#
# (eq-16)=
# $$ \int Y(t) \, dt = y(0) \tag{16} $$
#
# (eq-17)=
# $$ \int Y dt = \iint y(\nu) e^{2 j \pi \nu t} d\nu dt = \int y(\nu) D_0(\nu) d\nu = y(0) \tag{17} $$
# %% [markdown]
# Symbols first. For two Gaussians of any widths and places, and for four free symbols under the discrete transform,
# sympy brings the two sides of {ref}`Eq. 11 <eq-11>` and {ref}`Eq. 16 <eq-16>` together; with $b(+z)$ something is
# left. For {ref}`Eq. 14 <eq-14>` it shows a limit that does not exist: over $-T \ldots T$ the integral is
# $\sin(2\pi\nu T)/(\pi\nu)$, whose area is 1 for every $T$, but which at a fixed $\nu \ne 0$ only oscillates.
# %%
gaussians, discrete, delta = symbolic.gaussians(), symbolic.lemmas_discrete(4), symbolic.dirac()
assert not any(symbolic.left_over(found) for found in (gaussians, discrete, delta))
Math(symbolic.aligned({
    r"\int Y B \, dt \text{ (Gaussians)}": gaussians["overlap"],
    r"\overline{Y B} - \textstyle\sum_z y(z) b(+z) \; (N = 4)": discrete["mutant"],
    r"\textstyle\int_{-T}^{T} e^{2 j \pi \nu t} dt": delta["kernel"],
}))
# %% [markdown]
# ## Theorem 1
# With $Y$ the logits, $B$ the one-hot labels and $Y_p = \log \sum_c e^{Y}$,
#
# (eq-1)=
# $$ L_{CE} = -\sum_c \int B \log \frac{e^{Y}}{\sum_c e^{Y}} dt = -\sum_c \int B \, (Y - Y_p) \, dt \tag{1} $$
#
# (eq-2)=
# $$ L_{CE} = \sum_\nu L_{ce}(\nu), \quad L_{ce}(\nu) = \sum_c b(-\nu, c) \, (y_p(\nu) - y(\nu, c)) \tag{2} $$
#
# The appendix repeats the first as Eq. 18, and proves the second through
# %% [markdown]
# (eq-18)=
# $$ L_{CE} = -\sum_c \int B \log \frac{e^{Y}}{\sum_c e^{Y}} dt = -\sum_c \int B (Y - Y_p) dt \tag{18} $$
#
# (eq-19)=
# $$ \int Y B \, dt = \int y(z) b(-z) \, dz \tag{19} $$
#
# (eq-20)=
# $$ L_{CE} = \sum_c \int b(-\nu, c) (y_p(\nu) - y(\nu, c)) \, d\nu \tag{20} $$
# %% [markdown]
# (eq-21)=
# $$ L_{CE} = \sum_\nu \sum_c b(-\nu, c) (y_p(\nu) - y(\nu, c)) = \sum_\nu L_{ce}(\nu) \tag{21} $$
#
# (eq-22)=
# $$ L_{ce}(\nu) = \sum_c b(-\nu, c) (y_p(\nu) - y(\nu, c)) \tag{22} $$
#
# The code that every later chapter calls:
# %% [markdown]
# ```{literalinclude} /lib/specseg/spectral/cross_entropy.py
# :pyobject: frequency_components
# ```
#
# where the sum over the classes of one image is
#
# ```{literalinclude} /lib/specseg/spectral/cross_entropy.py
# :pyobject: _half_components
# ```
# %% [markdown]
# Every equation is now tried on random tensors: one and two dimensions, odd and even sizes, two to five classes, with
# and without void (pixels that carry no label and count in no class). Beside each residual stands that of a rival,
# another reading or a version broken on purpose: it must be large, or the check could not have failed.
# %%
results = identities.run(identities.CROSS_ENTROPY, draws=sizes.draws)
residuals = [r for r in results if r.check != "eq02-small-factor"]  # a ratio of two sides, not their difference
table = identities.frame(residuals).rename(columns={"mutant": "rival"})
table.style.format(precision=1, na_rep="").format("{:.1e}", na_rep="", subset=[
    "printed", "convention", "rival"]).hide(axis="index")
# %% tags=["remove-cell"]
ratio = next(r for r in results if r.check == "eq02-small-factor")
glue("ce_ratio", f"{ratio.forms['printed']:.6f}", display=False)
notes = {
    "eq02-small-factor": f"Largest |L_ce|/(|b| |y-hat|) of all bins: {ratio.forms['printed']:.6f}, never above 1.",
    "eq09-truncated-loss": "The box |u|, |v| <= nu_max gives L_CE; a sum from zero up is complex and misses it.",
    "bey-zero-frequency": "L_ce(0) is the three parts on all random tensors, void or not, up to rounding; "
                          "with the other divergence, KL(S_t || p), it is not.",
    "eq10-labels-limited": "On all random tensors R_ce is the relative change of the loss under band-limited "
                           "labels, up to rounding; under band-limited logits it is not.",
    "eq14-delta": "Kronecker's delta on a finite frame; at fixed nu the infinite integral oscillates and has no limit.",
}
for r in results:
    for form, value in r.forms.items():
        mutant = r.mutant if form == r.judged else None
        findings.observe(r.check, value=value, form=form, mutant=mutant, note=notes.get(r.check, ""))
# %% [markdown]
# ## What a component is
# - $L_{ce}(\nu)$ is complex, and $L_{ce}(-\nu)$ is its conjugate. Only pairs, or real parts, add up.
# - Labels sum to one at every pixel, so $\sum_c b(-\nu, c) = 0$ for $\nu \ne 0$: there $y_p$ drops out of the sum over
#   classes, and $L_{ce}(\nu) = -\sum_c b(-\nu, c) \, y(\nu, c)$ is linear in the logits.
# - It drops out of that sum alone. One class's part, $b(-\nu, c) (y_p(\nu) - y(\nu, c))$, needs $y_p$, and so does a
#   class's own $R_{ce}$: without it {ref}`Eq. 20 <eq-20>` fails, as its rival above shows.
# - With void pixels $\sum_c B$ is a mask, and $y_p$ stays. The library carries it exactly.
# - A component is small where its label spectrum or its logit spectrum is small, as section 2.1 says: Cauchy-Schwarz
#   keeps $|L_{ce}(\nu)|$ at most the product of their norms over the classes. The largest ratio of the two in all draws
#   is {glue:text}`ce_ratio`.
# %% [markdown]
# ## The truncated loss and $R_{ce}$
# (eq-9)=
# $$ \hat{L}_{ce}(\nu_{max}) = \sum_{\nu}^{\nu_{max}} L_{ce}(\nu) \tag{9} $$
#
# (eq-10)=
# $$ R_{ce}(\nu_{max}) = \left| 1 - \hat{L}_{ce}(\nu_{max}) / L_{CE} \right| \tag{10} $$
#
# {ref}`Eq. 9 <eq-9>` does not say over which frequencies it sums. A sum from zero up is complex and misses the loss at
# the Nyquist limit. The box $|u|, |v| \le \nu_{max}$ reaches it, and it is what a grid of $2\nu_{max} + 1$ carries.
# %% [markdown]
# The paper calls $R_{ce}$ the loss rate "due to the band limit $\nu_{max}$ of segmentation maps", and means the labels
# or the prediction. For the labels it is exact: with $P$ the projection on the band, Lemma 3 gives
#
# $$ \hat{L}_{ce}(\nu_{max}) = -\sum_c \int P B \, \log S \, dt $$
#
# the loss of the untouched prediction against band-limited labels, and $R_{ce}$ is its relative change (the check
# `eq10-labels-limited` above; its rival is the other reading). Band-limited logits cost something else, measured below
# under "What truncation really costs".
# %% tags=["hide-input"]
steps = [k for k, s in enumerate(net.steps) if s in (0, 40, net.steps[-1])]
limits = list(range(33))
built = pd.concat([
    pd.DataFrame({"step": net.steps[k], "nu_max": limits, "kept": parts.kept.mean(0), "loss": parts[0].mean().item()})
    for k in steps for parts in [ce.truncated_cross_entropy(net.logits[k], net.labels, limits)]
])
figures.show(
    draw.built_up(built),
    caption="The truncated loss of Eq. 9. Before training all of the loss stands at frequency zero; afterwards the sum "
            "starts above the loss and comes down to it.",
    alt="Three curves of truncated loss against band limit; the untrained one is flat, the trained ones start high at "
        "zero and fall to their dotted whole loss.",
    source="this chapter", label="fig-built-up",
)
# %% [markdown]
# ## What the zero frequency is made of
# At frequency zero {ref}`Eq. 2 <eq-2>` multiplies means over the whole frame. Let $\pi_c$ be the share of the frame
# that class $c$ covers, $m = \sum_c \pi_c$ the labelled share, $p = \mathrm{softmax}(\overline{Y})$ the softmax of the
# mean logits and $S_t$ the prediction at pixel $t$. Then for every network, with or without void,
#
# $$ L_{ce}(0) = m \left[ H(\pi/m) + \mathrm{KL}(\pi/m \,\|\, p) + \overline{\mathrm{KL}(p \,\|\, S_t)} \, \right] $$
#
# It is the entropy of the histogram, plus what the network's mean is off it, plus how far its predictions differ from
# place to place.
# %% [markdown]
# Proof. $\log p_c = \overline{Y_c} - \log \sum_k e^{\overline{Y_k}}$ and $\log S_{t,c} = Y_c(t) - Y_p(t)$. In
# $\sum_c p_c (\log p_c - \overline{\log S_{t,c}})$ the $\overline{Y_c}$ cancel and $\sum_c p_c = 1$, hence
#
# $$ \overline{\mathrm{KL}(p \,\|\, S_t)} = \overline{Y_p} - \log \textstyle\sum_k e^{\overline{Y_k}} $$
# $$ L_{ce}(0) = \textstyle\sum_c \pi_c (\overline{Y_p} - \overline{Y_c})
#    = m \, \overline{\mathrm{KL}(p \,\|\, S_t)} - \sum_c \pi_c \log p_c $$
#
# and the last sum is $m$ times the cross-entropy of $\pi/m$ with $p$, which is $H + \mathrm{KL}$.
# %% [markdown]
# Void enters the labels alone: both means, of the logits in $p$ and of KL, run over **all** pixels of the frame. So a
# prediction under void, which the loss does not see, moves $L_{ce}(0)$, and the other frequencies take it back.
# %% tags=["hide-input"]
parts = pd.DataFrame([
    {"step": s, **{part: x.mean().item() for part, x in rce_laws.zero_frequency(y, net.labels)._asdict().items()}}
    for s, y in zip(net.steps, net.logits, strict=True)
])
figures.show(
    draw.zero_frequency(parts.assign(loss=course["loss"])),
    caption="The zero frequency of the network above in its three parts. First the mean prediction learns the "
            "histogram and the sum falls; then predictions come apart and it rises. Dashed: the whole loss.",
    alt="Stacked areas over training steps: a constant entropy, a mismatch that shrinks at first, and a spread of "
        "predictions that is nil at the start and the largest part at the end; the loss falls far below the stack.",
    source="this chapter", label="fig-zero-frequency",
)
# %% tags=["remove-cell"]
low = parts[["entropy", "mismatch", "spread"]].sum(axis=1)
dip = int(low.argmin())
glue("ce_dip", f"{low[dip]:.2f}", display=False)
glue("ce_dip_step", f"{parts['step'][dip]}", display=False)
for name, k in (("mismatch_start", 0), ("mismatch_dip", dip), ("spread_end", -1)):
    glue(f"ce_{name}", f"{parts[name.split('_')[0]].iloc[k]:.2f}", display=False)
# %% [markdown]
# Here the mismatch falls from {glue:text}`ce_mismatch_start` to {glue:text}`ce_mismatch_dip` nats. At step
# {glue:text}`ce_dip_step` $L_{ce}(0)$ is lowest, {glue:text}`ce_dip` nats. From there the spread grows to
# {glue:text}`ce_spread_end`: to segment is to predict differently at different places. No part is negative, so for
# every network $L_{ce}(0) \ge m H(\pi/m)$; that it ends above its start is this network's, no law.
# %% [markdown]
# ## A cancellation, not a share
# As soon as a network beats the histogram, all other frequencies together are therefore negative. At the end of
# training {glue:text}`ce_zero` stands at zero and {glue:text}`ce_rest` everywhere else. The loss is
# {glue:text}`ce_loss` nats. The paper sees low frequencies decrease in training. The lowest went from
# {glue:text}`ce_zero_start` down to {glue:text}`ce_dip`, and up again.
# %% tags=["remove-cell"]
last, first = course.iloc[-1], course.iloc[0]
for name in ("zero", "rest", "loss"):
    glue(f"ce_{name}", f"{last[name]:.2f}", display=False)
glue("ce_zero_start", f"{first['zero']:.2f}", display=False)
note = (f"L_ce(0) fell from {first['zero']:.2f} to {low[dip]:.2f} nats in the first {parts['step'][dip]} steps, then "
        f"rose to {last['zero']:.2f}, while L_CE fell from {first['loss']:.2f} to {last['loss']:.2f}; "
        f"L_ce(0) >= H(histogram) in {course['held'].sum()} of {course['images'].sum()} cases.")
findings.observe("obs1-cancellation", value=last["within"], n=last["images"], note=note)
_ = findings.observe("obs1-cancellation", value=course["held"].sum(), n=course["images"].sum(), form="corrected",
                     mutant=course["mutant_held"].sum())
# %% [markdown]
# That the components beyond a band limit add up to little is another statement. The paper measures it at 32 cycles per
# frame, an eighth of the frame's Nyquist limit and half of the prediction grid's. Our frames of 65 pixels with a
# prediction grid of 17 have both at 4 cycles per frame. That is the harder case: tails of the same scenes shrink as the
# limit grows. So three kinds of scenes:
# %%
others = [tiny.probed(kind, steps=300) for kind in ("objects", "streets")]
kinds = dict(zip(("landcover", "objects", "streets"), (net, *others), strict=True))
tails = pd.DataFrame([
    {"scenes": kind, **rce_laws.cancellation(n.logits[-1], n.labels, nu_max=4)} for kind, n in kinds.items()
])
tails["beyond 0"], tails["beyond 4"] = (tails["rest"] / tails["loss"]).abs(), (tails["tail"] / tails["loss"]).abs()
tails[["scenes", "loss", "zero", "beyond 0", "beyond 4"]].replace("landcover", "land cover").rename(columns={
    "loss": "loss [nats]", "zero": "at zero [nats]", "beyond 0": "share beyond 0", "beyond 4": "share beyond 4",
}).style.format(precision=3).hide(axis="index")
# %% tags=["remove-cell"]
parts = tails["beyond 4"]
few = ", ".join(f"{kind} {part:.3f}" for kind, part in zip(tails["scenes"], parts, strict=True))
_ = findings.observe("obs1-low-band", cases=dict(zip(tails["scenes"], parts, strict=True)),
                     mutant=tails["beyond 0"].min(), note=(
    f"|tail beyond nu_max = 4|/L_CE: {few}; small in {int((parts <= 0.1).sum())} of {len(parts)} kinds of scenes."))
# %% [markdown]
# ## The frame's edge
# The DFT glues left to right and top to bottom. Labels and logits jump there by $J_B$ and $J_Y$, and a jump has the
# coefficients $J/(2\pi j\nu)$. Their product puts $-\frac{1}{2\pi^2 \nu_{max}} \sum_c J_B J_Y$ into the tail of each
# axis, which no network can remove. Mirroring the frame (half-sample symmetry, the DCT-II) removes the jump. On
# pixels a ramp $t/N$ has $x(\nu) (1 - e^{-2 j \pi\nu/N}) = -1/N$, so that $|x(\nu)|^2 = 1/(4 N^2 \sin^2(\pi\nu/N))$.
# %% tags=["hide-input"]
rates = rce_laws.boundary_and_average(net.logits[-1], net.labels, [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28])
at = rates[rates["average"] == "ratio_of_means"].set_index(["boundary", "nu_max"])["rce"]
figures.show(
    draw.frame(rates, grid_nyquist=8),
    caption="R_ce of the trained network with periodic and mirrored spectra (faint: mean of the images' ratios). "
            "Beyond the prediction grid's limit the periodic rate is the frame's jump and almost nothing else.",
    alt="Log-log plot: the periodic rate falls slowly like one over the band limit and meets a dashed closed form; the "
        f"mirrored rate drops from {at['mirrored', 6]:.1g} to {at['mirrored', 12]:.1g} across the grid's limit.",
    source="this chapter", label="fig-frame",
)
# %% tags=["remove-cell"]
beyond, one_axis = [], []
for trained in kinds.values():
    y, x = trained.logits[-1], trained.labels
    measured = rce_laws.boundary_and_average(y, x, [12]).query("average == 'ratio_of_means'").set_index("boundary")
    jumps = np.array(rce_laws.wrap_tail(y, x, 12)) / float(ce.cross_entropy(y, x).mean())
    gap = measured["tail"]["periodic"] - measured["tail"]["mirrored"]
    beyond, one_axis = [*beyond, jumps.sum() / gap], [*one_axis, (jumps / gap).max()]
at = rates[rates["nu_max"] == 12].set_index(["boundary", "average"])["rce"]
periodic, mirrored = at["periodic", "ratio_of_means"], at["mirrored", "ratio_of_means"]
glue("ce_wrap_periodic", f"{periodic:.1%}", display=False)
glue("ce_wrap_mirrored", f"{mirrored:.2%}", display=False)
glue("ce_averages", f"{at['periodic', 'mean_of_ratios'] / periodic:.2f}", display=False)
note = (f"R_ce(12) of the land-cover network is {periodic:.3f} periodic, {mirrored:.4f} mirrored; the closed form is "
        f"{min(beyond):.2f} to {max(beyond):.2f} of their difference for three kinds of scenes; the stronger axis "
        f"alone {min(one_axis):.2f} to {max(one_axis):.2f}.")
_ = findings.observe("beyond-frame-jump", cases=dict(zip(kinds, beyond, strict=True)),
                     mutant=float(np.median(one_axis)), note=note)
# %% [markdown]
# At $\nu_{max} = 12$, above what the prediction grid can carry, $R_{ce}$ is {glue:text}`ce_wrap_periodic` periodic and
# {glue:text}`ce_wrap_mirrored` mirrored. The average matters too: the mean of the images' ratios is
# {glue:text}`ce_averages` times the ratio of their means, because images with a small loss have a large $R_{ce}$. The
# paper says neither which boundary nor which average Table 1 has. The ratio of means is additive over images; the book
# states it first and the other beside it.
# %% [markdown]
# ## Confidence
# Multiply the classifier's weights and bias by $\tau$. No argmax changes, at no band limit, because truncation is
# linear; so mIoU and its drop stay. Without void the tail is exactly $\tau$ times as large, since it is linear in the
# logits for $\nu \ne 0$. The loss is not: $R_{ce} = \tau \, |\text{tail}| / L_{CE}(\tau)$ goes to 0 with $\tau$. For
# large $\tau$ it tends to a constant where some pixels are wrong, and to infinity where all are right.
# %% tags=["hide-input"]
sweep = rce_laws.temperature_sweep(net.logits[-1], net.labels, np.geomspace(0.1, 10, 13), nu_max=4)
calibrated = rce_laws.calibrated_temperature(net.logits[-1], net.labels)
figures.show(
    draw.temperature(sweep, calibrated),
    caption="The same segmentations with scaled logits. Above: R_ce moves, the mIoU-drop of the truncated logits does "
            "not. Below: the loss and the tail. Dotted: the scale that minimises the loss.",
    alt="Two log plots against the scale of the logits; the relative drop is a flat line while R_ce moves between "
        f"{sweep['rce'].min():.1g} and {sweep['rce'].max():.1g}; the tail is a straight line, the loss has a minimum.",
    source="this chapter", label="fig-confidence",
)
# %% tags=["remove-cell"]
ratios = []
for trained in kinds.values():
    two = rce_laws.temperature_sweep(trained.logits[-1], trained.labels, [0.25, 4.0], nu_max=4)
    assert (two["drop"] == two["drop_at_one"]).all(), "scaling must leave every drop"
    ratios.append(two["rce"].iloc[1] / two["rce"].iloc[0])
late = [rce_laws.temperature_sweep(y, net.labels, [1.0], nu_max=4)["rce"].iloc[0] for y in net.logits[-3:]]
trained_on = max(late) / min(late)
at_best = rce_laws.temperature_sweep(net.logits[-1], net.labels, [1.0, calibrated], nu_max=4)["rce"]
glue("ce_tau", f"{calibrated:.2f}", display=False)
glue("ce_rce_raw", f"{at_best.iloc[0]:.2f}", display=False)
glue("ce_rce_calibrated", f"{at_best.iloc[1]:.2f}", display=False)
note = (f"Same argmax at every band limit, same drop: R_ce(4) of 4 Y is {min(ratios):.1f} to {max(ratios):.1f} times "
        f"that of Y/4 for three kinds of scenes; training from step {net.steps[-3]} to {net.steps[-1]}, which changes "
        f"the segmentation, moves it {trained_on:.1f}-fold.")
_ = findings.observe("bey-rce-scale", cases=dict(zip(kinds, ratios, strict=True)), mutant=trained_on, note=note)
# %% [markdown]
# A fair comparison of two networks therefore needs their calibrated temperature. Here the loss is least at
# $\tau$ = {glue:text}`ce_tau`. There $R_{ce}(4)$ is {glue:text}`ce_rce_calibrated` instead of {glue:text}`ce_rce_raw`.
# %% [markdown]
# ## What truncation really costs
# Truncate the logits, $Y \to P Y = Y - D$, and the loss changes by
#
# $$ L(PY) - L(Y) = \langle B - S, D \rangle + \tfrac12 \overline{\mathrm{Var}_S(D)} + \ldots $$
#
# (log-sum-exp has gradient $S$ and Hessian $\mathrm{diag}(S) - S S^T$). $R_{ce}$, exact for the labels, keeps only
# $\langle B, D \rangle$: it cuts the sum of {ref}`Eq. 2 <eq-2>` but leaves $Y_p$ as it was. Log-sum-exp is convex and
# a variance is at most a quarter of the squared range, so for $\Delta L = L(PY) - L(Y)$
#
# $$ \langle B - S, D \rangle \le \Delta L \le \langle B - S, D \rangle + \tfrac18 \overline{(\max D - \min D)^2} $$
# %% tags=["hide-input"]
cost = rce_laws.truncation_cost(net.logits[-1], net.labels, [2, 3, 4, 6, 8, 12, 16, 24])
figures.show(
    draw.cost(cost),
    caption="R_ce beside the true relative change of the loss when the logits are truncated, its second-order form, "
            "and the two bounds.",
    alt="Against the band limit, R_ce lies above the true change of the loss; the second-order curve follows it; "
        "lower and upper bounds enclose it.",
    source="this chapter", label="fig-cost",
)
# %% tags=["remove-cell"]
held = n = wrong = 0
shares = []
for trained in nets:
    for y in trained.logits:
        rows = rce_laws.truncation_cost(y, trained.labels, [2, 4, 8, 16])
        held += int(((rows["first"] <= rows["true"] + 1e-9) & (rows["true"] <= rows["bound"] + 1e-9)).sum())
        wrong, n = wrong + int((rows["rce"] <= rows["true"] + 1e-9).sum()), n + len(rows)
for trained in kinds.values():
    rows = rce_laws.truncation_cost(trained.logits[-1], trained.labels, [4])
    shares.append(float((rows["true"] / rows["rce"]).iloc[0]))
glue("ce_true_share", f"{min(shares):.0%} to {max(shares):.0%}", display=False)
findings.observe("eq10-measures-loss", cases=dict(zip(kinds, shares, strict=True)), note=(
    f"At nu_max = 4, half the prediction grid's limit, truncating the logits changes the loss by {min(shares):.2f} to "
    f"{max(shares):.2f} times R_ce for three kinds of scenes."))
_ = findings.observe("eq10-measures-loss", value=held, n=n, form="corrected", mutant=wrong)
# %% [markdown]
# ### Is the count at least never too small?
# In the figure $R_{ce} L_{CE}$ is more than the true cost. That is no law for the box: where a whole frame
# has one class, $b(\nu) = 0$ for $\nu \ne 0$ and $R_{ce} = 0$ at every limit, while one high peak in the logits leaves
# negative lobes beside it, at any cost. It is a law for weights whose kernel $K$ is nowhere negative, such as Fejér's
# $w(\nu) = (1 - |u|/(\nu_{max} + 1))(1 - |v|/(\nu_{max} + 1))$: $K$ then averages, $-\log$ softmax is convex, and
# Jensen's inequality at every pixel gives, void or not,
#
# $$ L_{CE}(K Y) \le -\textstyle\sum_c \int B \, K \log S \, dt = \sum_\nu w(\nu) \, L_{ce}(\nu) $$
# %% tags=["remove-cell"]
cases = [(identities.draw(k), nu) for k in range(10 * sizes.draws) for nu in (1, 2, 3)]
bound = {w: [rce_laws.filtered_loss(c.logits[None] ** 3, c.labels[None], nu, window=w) for c, nu in cases]
         for w in rce_laws.WINDOWS}
holds = {w: sum(bool(x.filtered <= x.truncated * (1 + 1e-12)) for x in found) for w, found in bound.items()}
real = [rce_laws.filtered_loss(y, trained.labels, nu, window="box")
        for trained in kinds.values() for y in trained.logits for nu in (2, 4, 8)]
short = {name: torch.cat([x.filtered - x.loss > (x.truncated - x.loss).abs() for x in found])
         for name, found in (("box", bound["box"]), ("real", real))}
# %% tags=["remove-cell"]
for name, few in short.items():
    glue(f"ce_short_{name}", f"{int(few.sum())} of {len(few)}", display=False)
glue("ce_bound_box", f"{len(cases) - holds['box']}", display=False)
_ = findings.observe("bey-fejer-bound", value=holds["fejer"], n=len(cases), mutant=holds["box"], note=(
    f"With Fejer's weights the truncated loss bounds the loss of filtered logits in {holds['fejer']} of {len(cases)} "
    f"random cases; with the box, as Eq. 9 has it, in {holds['box']}."))
# %% [markdown]
# On random predictions with a few high peaks (cubes of the random logits above) the box's $R_{ce} L_{CE}$ is less than
# the true cost in {glue:text}`ce_short_box` cases, on held-out scenes of the networks here in
# {glue:text}`ce_short_real`. The bound asks more, for its right side keeps the sign that $R_{ce}$ drops. With the box
# it fails in {glue:text}`ce_bound_box` of the random cases.
# %% [markdown]
# ## Look at it
# %% tags=["hide-input"]
image = 1
y, label = net.logits[-1][image : image + 1], net.labels[image : image + 1]
shown = [1, 2, 3, 4, 6, 8, 16, 32]
low = {k: sp.band_limit(y, k) for k in shown}
start, whole = ce.relative_loss_rate(y, label, shown), ce.cross_entropy(y, label)
times = {k: float(ce.cross_entropy(low[k], label) / whole) for k in shown}
notes = [f"R_ce {r:.2f}, loss x {t:.2f}" for r, t in zip(start, times.values(), strict=True)]
maps = {"annotation": [label[0]] * len(shown), "truncated logits": [low[k].argmax(1)[0] for k in shown]}
palette = synthetic.palette("landcover")
figures.show_plotly(
    slider.band_slider(maps, dict.fromkeys(maps, palette), shown, {"annotation": [""] * len(shown),
                       "truncated logits": notes}, first=len(shown) - 1),
    caption="Move the band limit: the segmentation of one held-out scene from truncated logits.", label="fig-slider",
    alt="Interactive picture: annotation on the left, truncated prediction on the right, a slider for the band limit; "
        "the lower the limit, the rounder the prediction's corners.", source="this chapter",
)
# %% tags=["remove-input"]
figures.show(
    figures.sheet({"annotation": figures.painted(label[0], palette)} | {
        rf"$\nu_{{max}}$ = {k}": figures.painted(low[k].argmax(1)[0], palette) for k in (32, 8, 4, 2)}, 3),
    caption="The same without the slider.",
    alt="Five small class maps: the annotation, and predictions truncated at 32, 8, 4 and 2 cycles per frame, ever "
        "smoother.",
    source="this chapter", label="fig-truncations",
)
# %% tags=["remove-cell"]
thing = rce_laws.zero_frequency(kinds["objects"].logits[-1], kinds["objects"].labels)._asdict()
glue("ce_objects_floor", f"{thing['entropy'].mean().item():.2f}", display=False)
glue("ce_objects_end", f"{sum(x.mean().item() for x in thing.values()):.2f}", display=False)
for nu in (3, 4):
    swept = rce_laws.temperature_sweep(net.logits[-1], net.labels, np.geomspace(0.1, 1, 40), nu_max=nu)
    above = swept[swept["rce"] >= swept["drop"]]
    glue(f"ce_tau_{nu}", f"{above['tau'].min():.2f}", display=False)
# %% [markdown]
# ## What we found
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# - A tiny network learns objects instead of land cover. How far above its floor does its zero frequency end?
# - Give every pixel of one image the same label. What is the floor of $L_{ce}(0)$ then, and what is left elsewhere?
# - Find the $\tau$ at which $R_{ce}(4)$ equals the relative mIoU-drop. Is it the same for another band limit?
#
# :::{admonition} Answers
# :class: dropdown
# - At {glue:text}`ce_objects_end` nats, above an entropy of {glue:text}`ce_objects_floor`.
# - The histogram has one class, so its entropy and the floor are 0. The planes of the labels have no wave but the mean:
#   all other parts are 0, and $L_{ce}(0)$ is the whole loss.
# - At a band limit of 4 it is {glue:text}`ce_tau_4`, at 3 it is {glue:text}`ce_tau_3`: not the same.
# :::
