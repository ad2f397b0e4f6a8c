# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Spectral gradients of networks
# You will know how far one frequency of a trained network's loss reaches into its features, and through which layers.
#
# :::{admonition} The answer
# :class: tip
# The paper says that one frequency of the loss depends almost only on the same frequency of the features. In trained
# networks it does not: within one bin of that frequency there are {glue:text}`net_share` of the dependence, where nine
# tenths were expected. The strongest entry often lies where the paper says, but a ReLU scatters the rest. Take the
# high-frequency features away and the low frequencies of the loss move by {glue:text}`net_moved` of the whole loss, by
# model and data. Networks without normalisation could differ: these keep their features large on purpose.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import pandas as pd
import torch
from IPython.display import display
from myst_nb import glue

import specseg
from specseg import figures
from specseg.evidence import ledger, records
from specseg.figures import loss as names
from specseg.figures import network_gradients as draw
from specseg.measure import gradients as ng
from specseg.study import gate, trained
from specseg.study import gradients as nt

findings = ledger.open("65_network_gradients", profile=profile)
tiny = nt.together([nt.on_the_spot(n, 4) for n in ng.wanted("smoke") if n.domain == "objects"])
found = nt.newest(records.find("network_gradients", profile="standard"))
shown = nt.together([findings.use(r).rows for r in found.values()])
both, energies = nt.together([tiny, shown]), nt.row_energies(shown)
ratios, source = gate.quality(trained.read("networks")), f"{len(found)} records of network_gradients"
# %% tags=["remove-input"]
figures.show(
    draw.fig2(nt.row_images(both)),
    caption="Fig. 2: how strongly one frequency of the loss depends on each frequency of the features (one row of the "
            "spectral gradient), all channels together, average over test pictures, in decibels. Left: the claim. The "
            "tiny networks are measured on this page and set no verdict.",
    alt="The claimed rows are one bright point each. The measured ones are brightest at or near that point and fall "
        "off slowly around it, over a wide floor.",
    source=source + " and this page", label="fig-2",
)
# %% [markdown]
# ## By hand
# A *row* of the spectral gradient holds the derivatives of one output frequency by all input frequencies. First a ReLU
# on a random map of 17 × 17 points: how much of a row's energy lies within one bin of its own frequency? Then a row of
# DeepLab v3+ on PASCAL VOC, from its record: the loss at frequency $(\nu, \nu)$ by the features of its last stage.
# %%
noise = torch.randn(1, 1, 17, 17, generator=torch.Generator().manual_seed(0))
relu = specseg.spectral_gradient(torch.relu, noise)
row = relu[4 * 17 + 4].abs().square().reshape(17, 17)
print(f"ReLU: {row[3:6, 3:6].sum() / row.sum():.0%} of row (4, 4) within one bin")

name = "voc-deeplabv3plus-f0-s0"
rows = records.load("network_gradients", name=name).rows
rows = rows[(rows["part"] == "loss") & (rows["metric"] == "row_power")]
for nu in (0, 4, 8):
    own = rows[rows["nu_i_u"] == nu]
    u, v = ((own[f"nu_j_{x}"] - nu + 8) % 17 - 8 for x in "uv")  # round the edge
    near = own["value"][(abs(u) <= 1) & (abs(v) <= 1)].sum() / own["value"].sum()
    book = energies.query("model == 'deeplabv3plus' and domain == 'voc' and "
                          "within == 1 and nu_i_u == nu_i_v == @nu")["value"]
    print(f"row ({nu}, {nu}): {near:.0%} within one bin; the book: {book.item():.0%}")
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# Figs 2 and 3: the spectral gradients of DeepLab v3+ and DAN by their ASPP features "can also be well approximated by
# the delta function" (3.1) {cite}`chen2020spectral`; features and kernels are small (footnote 2); decoder features are
# "generally smoother than these in the encoder" (1); removing high-frequency features "does not effect" the loss at low
# frequencies (2.2). Rows with much of their energy elsewhere, large features, rough decoders or low frequencies of the
# loss that move refute them.
# :::
#
# ASPP is the module whose features the decoder starts from, on the coarsest grid. Sixteen test pictures of each network
# are measured. Networks on Dubai are barely better than colour and set no verdict. Of DAN not every seed and fold is
# measured; `specseg sweep run network_gradients --profile standard` does it.
#
# ## One row of the whole network
# $L_{ce}(\nu_i)$ is one frequency of the loss of the full picture ({ref}`Eq. 2 <eq-2>`), $x$ the ASPP features on a
# grid of $M = (s - 1)/16 + 1$ points (17 for pictures of $s = 257$ pixels). All derivatives by all $x(\nu_j)$ cost two
# backward passes, one for the real part and one for the imaginary part. $M/4$ and $M/2$ are rounded down and taken on
# both axes, $\nu_i = (\nu, \nu)$; the table has the reading on one axis, $(0, \nu)$, beside it.
#
# ```{literalinclude} /lib/specseg/spectral/gradient.py
# :pyobject: loss_row
# ```
# %% tags=["remove-input"]
figures.show(
    draw.row_energies(nt.both_axes(energies)),
    caption="Energy of the rows of Fig. 2: at ν_i, within one bin, within two; mean over pictures. Line: 95 % "
            "interval of the share within one bin. Dotted: nine tenths.",
    alt="Three dots for each network and frequency; that within one bin stands before the dotted line, "
        "furthest at nu_i = M/2.",
    source=source, label="fig-2-energies",
)
# %% tags=["remove-input"]
one = energies[energies["within"] == 1]
one = one.assign(nu_i=[f"({u}, {v})" for u, v in zip(one["nu_i_u"], one["nu_i_v"], strict=True)],
                 network=[names.who(d, m) for d, m in one[["domain", "model"]].to_numpy()])  # fmt: skip
one.pivot_table("value", "network", "nu_i", sort=False).rename_axis(columns="within one bin of").style.format("{:.0%}")
# %% [markdown]
# How much can a delta hold here at all? The two grids share their corners, so at $M = 17$ a wave of 8 cycles of the
# loss has 8.5 of the features', halfway between the bins 8 and -8. Bilinear up-sampling from the features to the
# picture, with nothing between, keeps {glue:text}`net_ceiling` within one bin; a row without any structure would keep
# {glue:text}`net_flat`.
# %% tags=["remove-cell"]
grid, side = (17, 257)
ceiling = [ng.shares(ng.upsampling_power(grid, side, nu), nu, (1,))[0] for nu in ng.frequencies(grid)[:3]]
glue("net_ceiling", ", ".join(f"{v:.0%}" for v in ceiling) + " (0, M/4, M/2)", display=False)
glue("net_flat", f"{9 / grid**2:.0%}", display=False)
told = nt.observations(found, ratios)
for claim, facts in told.items():
    for fact in facts:
        findings.observe(claim, **fact)
able = {claim: [f for f in facts if not f.get("left_out")] for claim, facts in told.items()}
for key, claim in (("share", "fig2-delta"), ("moved", "sec22-removal-leaves-low")):
    mine = [f for f in able[claim] if f.get("form", "printed") == "printed"]
    glue(f"net_{key}", gate.span(mine), display=False)
largest = [f for f in able["fig2-delta"] if f.get("form") == "approximation"]
glue("net_largest", f"{sum(f['value'] for f in largest)} of {sum(f['n'] for f in largest)}", display=False)
# %% [markdown]
# The largest entry lies at $\nu_i$ in {glue:text}`net_largest` rows of the networks that set a verdict. But the
# brightest point of a picture says little of the rest: a floor 20 decibels below it, on a few hundred bins, holds more
# energy than the point.
#
# ## Fig. 3: layer by layer
# The same for each operation of a trained decoder. A convolution's rows do not depend on the picture (eight of its
# filters, with their zero padding); a ReLU's row is the spectrum of its on-off pattern, at every $\nu_i$ the same,
# all channels together; up-sampling depends on the two grids alone. $M$ is the grid of the layer's input.
# %% tags=["remove-input"]
layers = {k: nt.row_images(shown, k) for k in draw.KINDS}
figures.show(
    draw.fig3(layers),
    caption="Fig. 3 on a trained decoder: ν_j near ν_i = (M/4, M/4) for one convolution, the ReLU behind it and the "
            "up-sampling of the ASPP features.",
    alt="A bright point with a faint cross (convolution), with a broad halo (ReLU), with "
        "neighbours on the cross (up-sampling).",
    source=source, label="fig-3-trained",
)
# %% tags=["remove-input"]
by_layer = nt.layer_energies(shown)
least = by_layer[by_layer["within"] == 1].groupby(["model", "domain", "part", "layer", "nu_i_u"])["value"].mean()
for part, worst in least.groupby(["part", "model", "domain"]).min().groupby("part"):
    glue(f"net_{part}", f"{worst.min():.0%}", display=False)
figures.show(
    draw.layer_energies(by_layer),
    caption="Row energies of every layer of the decoder, mean over networks, at the worst of "
            "ν_i = 0, M/4, M/2. Dotted: nine tenths.",
    alt="Rows of dots: convolutions keep all; ReLUs and up-samplings stay before the dotted line.",
    source=source, label="fig-3-energies",
)
# %% [markdown]
# In its worst row a convolution keeps {glue:text}`net_convolution` within one bin, and an up-sampling
# {glue:text}`net_up-sampling`. A ReLU keeps {glue:text}`net_ReLU`. A convolution loses only what its zero padding
# scatters. A ReLU is no delta by its nature: what leaves the diagonal is the variance of the on-off pattern, and how
# far it goes is how fast the pattern changes ({doc}`45_spectral_gradients`).
#
# ## Footnote 2: how large are features?
# {ref}`Eq. 5 <eq-5>` wants a layer's inputs $|X| < 1$ and a small kernel $K$, so that the values $Z$ before the ReLU
# are small. Below, by decoder layer: all three, $Z$ behind the normalisation (of the last layer: the logits). Layers
# are named as in the code: *reduce* and *from* shrink the encoder's features, *fuse* mixes them.
# %% tags=["remove-input"]
figures.show(
    draw.magnitudes(nt.magnitudes(shown)),
    caption="Magnitudes by decoder layer: dot the median, line to 99 %. Dotted: "
            "1 for |X|, 0.3 for rms Z, where Eq. 5 errs by 15 %.",
    alt="Kernels lie far below 1; inputs reach beyond 1; pre-activations lie around 1.",
    source=source, label="fig-magnitudes",
)
# %% tags=["remove-cell"]
small = nt.small_layers(shown)
small = small[small["domain"] != "dubai"].groupby(["model", "domain", "layer"])[["X_below_1", "rms_Z"]].mean()
glue("net_inputs", f"{small['X_below_1'].min():.0%} to {small['X_below_1'].max():.0%}", display=False)
glue("net_rms", f"{small['rms_Z'].min():.1f} to {small['rms_Z'].max():.1f}", display=False)
# %% [markdown]
# By layer {glue:text}`net_inputs` of the inputs lie below 1, and the root mean square of $Z$ is
# {glue:text}`net_rms`. Normalisation layers keep $Z$ near 1 on purpose, so that training is stable: the stability that
# the footnote appeals to is what makes $Z$ not small. And for a ReLU no size of $Z$ makes {ref}`Eq. 5 <eq-5>` exact.
#
# ## Are decoder features smoother?
# For each layer's output: the share of its power (means left out, channels together) above half of the band limit of
# its own grid. In brackets the grid.
# %% tags=["remove-input"]
smooth = nt.smoothness(shown)
figures.show(
    draw.smoothness(smooth),
    caption="Share of power above half of the own grid's band limit, by layer, mean over "
            "pictures and networks.",
    alt="High in the first stages of the encoder and in the decoder's first layer, low in the "
        "last stages, the ASPP and the last decoder layers.",
    source=source, label="fig-smoothness",
)
# %% tags=["remove-input"]
parts = {
    "all layers": nt.smoother(shown), "without the logits": nt.smoother(shown, without=["classifier"]),
    "on the prediction grid alone": nt.smoother(shown, same_grid=True),
}  # fmt: skip
common = nt.smoothness(shown, "share_above")
common = common.groupby(["model", "domain", "part"], sort=False)["value"].mean().unstack("part")
parts = {k: v.set_index(["model", "domain"])["value"] for k, v in parts.items()}
parts["above half of the ASPP's limit"] = common["encoder"] - common["decoder"]
smoother = pd.DataFrame(parts)
smoother.index = [names.who(d, m) + " (too weak to judge)" * (d == "dubai") for m, d in smoother.index]
smoother.style.format("{:+.2f}")
# %% [markdown]
# The share of the encoder minus that of the decoder, averages over layers: positive where the decoder is smoother. The
# layer's own grid flatters a decoder that works on up-sampled features; the last column takes one frequency, in cycles
# per frame, for all layers.
#
# ## Removing features
# An ideal low pass takes the features above $\nu_{max}$ away, of all decoder inputs or of the ASPP alone. How much do
# the components $L_{ce}(\nu)$ with $|\nu| \le \nu_{max}/2$ change, together, in units of the whole loss?
# %% tags=["remove-input"]
low, whole = nt.removals(shown), nt.removals(shown, "loss_change", signed=True)
figures.show(
    draw.removal(low, whole),
    caption="Features above ν_max removed. Dots with 95 % intervals: change of the loss up to ν_max/2, mean size over "
            "pictures; crosses: change of the whole loss. Dotted: one in twenty.",
    alt="Small changes when the ASPP features alone are low-passed, larger ones for all inputs.",
    source=source, label="fig-removal",
)
# %% tags=["remove-input"]
bands = nt.bands(shown)
bands["band"] = bands.groupby(["model", "domain", "layer", "nu_max"]).cumcount()
bands["band"] = bands["band"].map(dict(enumerate(["0", "to ν_max/2", "to ν_max", "to 2 ν_max", "beyond"])))
bands["removed"] = [f"{figures.MODEL_NAMES[r.model]}, {'all inputs' if r.layer == 'all' else 'ASPP'} above {r.nu_max}"
                    for r in bands.itertuples()]  # fmt: skip
display(bands.pivot_table("value", "removed", "band", sort=False).rename_axis(columns="band").style.format("{:+.3f}"))
# %% [markdown]
# Change of each band of the loss, in units of the whole; averages over pictures and data sets. Where the first two
# columns have opposite signs, $L_{ce}(0)$ and the band above it move against each other: a small sum hides larger
# changes.
#
# ## What we found
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Why is a ReLU's row the same at every $\nu_i$, and a convolution's not?
#
# :::{admonition} Answer
# :class: dropdown
# A ReLU multiplies by an on-off pattern, point by point. In frequency that is a shift by each frequency of the pattern,
# whatever $\nu_i$. A convolution multiplies each frequency by its own factor $k(\nu_i)$.
# :::
#
# 2. Take the row by the low-level features instead of the ASPP's. Would you expect a narrower one?
#
# :::{admonition} Answer
# :class: dropdown
# Relative to its grid, yes for up-sampling: the low-level features already have the grid on which the decoder works, so
# none lies between. The ReLUs behind them are the same and scatter as much.
# :::
#
# 3. Which of the claims here would a network with softplus and without normalisation meet?
#
# :::{admonition} Answer
# :class: dropdown
# With small weights it could meet footnote 2, and then {ref}`Eq. 5 <eq-5>` nearly holds: softplus is smooth at zero, so
# that small $Z$ means a nearly constant slope and rows near a delta. Smoother decoders and low frequencies that stay
# are no matter of the activation; they would have to be measured.
# :::
