# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Spectral gradients of networks
# You will know how far one frequency of a trained network's loss reaches into its features, through which layers, and
# what happens to the low frequencies of the loss when high-frequency features are removed.
#
# :::{admonition} The answer
# :class: tip
# No: the strongest entry of a row often lies where the paper says, but most rows spread. Within one bin of it there are
# {glue:text}`net_share` of the energy, where nine tenths were expected, and a ReLU spreads most. Removing
# high-frequency features moves the low frequencies of the loss by {glue:text}`net_moved` of the loss, by model and
# data. Networks without normalisation could differ: these keep their features large on purpose.
# :::
#
# :::{admonition} What is claimed
# :class: claim
# Figs 2 and 3: the spectral gradients of DeepLab v3+ and DAN by their ASPP features "can also be well approximated by
# the delta function" (3.1) {cite}`chen2020spectral`; features and kernels are small (footnote 2); decoder features are
# "generally smoother than these in the encoder" (1); removing high-frequency features "does not effect" the loss at low
# frequencies (2.2). Rows with much of their energy elsewhere, large features, rough decoders or low frequencies of the
# loss that move refute them.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from specseg import figures
from specseg.evidence import config, ledger, records
from specseg.figures import network_gradients as draw
from specseg.measure import gradients as ng
from specseg.study import gate, spot, trained
from specseg.study import gradients as nt

sizes = config.profile(profile)
findings = ledger.open("65_network_gradients", profile=profile)
findings.banner()
# %%
tiny = nt.together([spot.gradients(n, 4) for n in ng.wanted("smoke") if n.domain == "objects"])
found = nt.newest(records.find("network_gradients"), "standard")
measured = nt.together([findings.use(r).rows for r in found.values()])
both = nt.together([tiny, measured]) if found else tiny
shown = measured if found else tiny
source = f"{len(found)} records of network_gradients" if found else "this chapter"
# %% tags=["hide-input"]
figures.show(
    draw.fig2(nt.row_images(both)),
    caption="Fig. 2: one row of the spectral gradient of the loss by the ASPP features, all "
            "channels together, average over test pictures, in decibels. Top: what is "
            "claimed. The tiny networks are committed and measured on this page, the others have records.",
    alt="The claimed rows are one bright point each. The measured ones are brightest at or near "
        "that point and fall off slowly around it, over a wide floor.",
    source=source + " and this chapter" * bool(found), label="fig-2",
)
# %% [markdown]
# ## Which networks
# {glue:text}`net_have` The tiny ones (60 steps, 129 pixels, synthetic scenes) show that the page runs; they set no
# verdict.
# %% tags=["hide-input"]
missing = [n.name for n in ng.wanted("standard") if n not in found]
pictures = measured.loc[measured["metric"] == "loss", "image"].nunique()
said = (f"Records of {len(found)} of {len(found) + len(missing)} trained networks are here, with "
        f"{pictures} test pictures in all." if found else
        "No record of a trained network is here; `experiments/network_gradients.py` makes them.")
if found and missing:
    said += " Still without one: " + ", ".join(missing) + "."
glue("net_have", said, display=False)
if not found:
    for claim in findings.claims:
        findings.not_run(claim, "no record of network_gradients at profile standard is present")
names = [{"network": n.name, "pictures": r.rows.query("metric == 'loss'")["image"].nunique(),
          "record": r.run_id} for n, r in found.items()]  # fmt: skip
pd.DataFrame(names, columns=["network", "pictures", "record"]).style.hide(axis="index")
# %% [markdown]
# ## One row of the whole network
# $L_{ce}(\nu_i)$ is one frequency of the loss of the full picture ({ref}`Eq. 2 <eq-2>`), $x$ the ASPP features on a
# grid of $M = (s - 1)/16 + 1$ points (17 for pictures of 257). All derivatives by all $x(\nu_j)$ cost two backward
# passes, one for the real part and one for the imaginary part. $M/4$ and $M/2$ are rounded down and taken on both axes,
# $\nu_i = (\nu, \nu)$; the table has the reading on one axis, $(0, \nu)$, beside it.
#
# ```{literalinclude} /lib/specseg/spectral/gradient.py
# :pyobject: loss_row
# ```
# %%
energies = nt.row_energies(both)
figures.show(
    draw.row_energies(nt.both_axes(energies)),
    caption="Energy of the rows of Fig. 2: at nu_i, within one bin, within two; mean over "
            "pictures, orange: 95 % interval of the share within one bin. Dotted: nine tenths.",
    alt="Bars for each network and frequency; within one bin they end before the dotted line, "
        "furthest at nu_i = M/2.",
    source=source, label="fig-2-energies",
)
# %%
one = energies[energies["within"] == 1]
one = one.assign(nu_i=[f"({u}, {v})" for u, v in zip(one["nu_i_u"], one["nu_i_v"], strict=True)])
table = one.pivot_table("value", ["model", "domain"], "nu_i", sort=False)
table.style.format("{:.0%}", na_rep="")
# %% [markdown]
# How much can a delta hold here at all? The two grids share their corners, so at $M = 17$ a wave of 8 cycles of the
# loss has 8.5 of the features', halfway between the bins 8 and -8. Bilinear up-sampling from the features to the
# picture, with nothing between, keeps {glue:text}`net_ceiling` within one bin; a row without any structure would keep
# {glue:text}`net_flat`.
# %% tags=["hide-input"]
grid, side = (17, 257)
ceiling = [ng.shares(ng.upsampling_power(grid, side, nu), nu, (1,))[0]
           for nu in ng.frequencies(grid)[:3]]  # fmt: skip
glue("net_ceiling", ", ".join(f"{v:.0%}" for v in ceiling) + " (0, M/4, M/2)", display=False)
glue("net_flat", f"{9 / grid**2:.0%}", display=False)
# %% tags=["hide-input"]
told = nt.observations(found, gate.quality(trained.read("networks")))
for fact in told:
    findings.observe(**fact)
for key, claim in (("share", "fig2-delta"), ("moved", "sec22-removal-leaves-low")):
    mine = [f for f in told if f["claim_id"] == claim and f.get("form", "printed") == "printed"]
    glue(f"net_{key}", gate.span(mine), display=False)
said = {j.claim.id: j.found or j.reason for j in findings.judgements()}
for key, claim in (("fig2", "fig2-delta"), ("fig3", "fig3-delta-r3"), ("fn2", "fn2-small-features"),
                   ("smooth", "sec1-decoder-smoother"), ("removal", "sec22-removal-leaves-low")):  # fmt: skip
    glue(f"net_{key}", said[claim], display=False)
# %% [markdown]
# {glue:text}`net_fig2` The brightest point of a picture says little of the rest: a floor 20 decibels below it, on a few
# hundred bins, holds more energy than the point.
#
# ## Fig. 3: layer by layer
# The same for each operation of the trained decoder. A convolution's rows do not depend on the picture (eight of its
# filters, with their zero padding); a ReLU's row is the spectrum of its on-off pattern, at every $\nu_i$ the same,
# all channels together; up-sampling depends on the two grids alone. $M$ is the grid of the layer's input.
# %%
layers = {k: nt.row_images(shown, k) for k in draw.KINDS}
figures.show(
    draw.fig3(layers),
    caption="Fig. 3 on a trained decoder: nu_j near nu_i = (M/4, M/4) for one convolution, the "
            "ReLU behind it and the up-sampling of the ASPP features.",
    alt="A bright point with a faint cross (convolution), with a broad halo (ReLU), with "
        "neighbours on the cross (up-sampling).",
    source=source, label="fig-3-trained",
)
# %%
figures.show(
    draw.layer_energies(nt.layer_energies(shown)),
    caption="Row energies of every layer of the decoder, mean over networks, at the worst of "
            "nu_i = 0, M/4, M/2. Dotted: nine tenths.",
    alt="Convolutions fill the bar; ReLUs and up-samplings end before the dotted line.",
    source=source, label="fig-3-energies",
)
# %% [markdown]
# {glue:text}`net_fig3` A convolution loses only what its zero padding scatters. A ReLU is no delta by its nature: what
# leaves the diagonal is the variance of the on-off pattern, and how far it goes is how fast the pattern changes (the
# arcsine law of the chapter on layers).
#
# ## Footnote 2: how large are features?
# {ref}`Eq. 5 <eq-5>` wants $|X| < 1$ and small $K$, so that $Z$ is small. Below, by decoder layer: its inputs, its
# kernels, and its pre-activations behind the normalisation (of the last layer: the logits).
# %%
figures.show(
    draw.magnitudes(nt.magnitudes(shown)),
    caption="Magnitudes by decoder layer: dot the median, thick to 90 %, thin to 99 %. Dotted: "
            "1 for |X|, 0.3 for rms Z, where Eq. 5 errs by 15 %.",
    alt="Kernels lie far below 1; inputs reach beyond 1; pre-activations lie around 1.",
    source=source, label="fig-magnitudes",
)
# %%
small = nt.small_layers(shown)
by = small.groupby(["model", "domain", "layer"], sort=False)[["X_below_1", "rms_Z"]].mean()
by.style.format({"X_below_1": "{:.0%}", "rms_Z": "{:.2f}"})
# %% [markdown]
# {glue:text}`net_fn2` Normalisation layers keep $Z$ near 1 on purpose, so that training is stable: the stability that
# the footnote appeals to is what makes $Z$ not small. And for a ReLU no size of $Z$ makes {ref}`Eq. 5 <eq-5>` exact.
#
# ## Are decoder features smoother?
# For each layer's output: the share of its power (means left out, channels together) above half of the band limit of
# its own grid. In brackets the grid.
# %%
smooth = nt.smoothness(shown)
figures.show(
    draw.smoothness(smooth),
    caption="Share of power above half of the own grid's band limit, by layer, mean over "
            "pictures and networks.",
    alt="High in the first stages of the encoder and in the decoder's first layer, low in the "
        "last stages, the ASPP and the last decoder layers.",
    source=source, label="fig-smoothness",
)
# %%
parts = {
    "all layers": nt.smoother(shown), "without the logits": nt.smoother(shown, without=["classifier"]),
    "on the prediction grid alone": nt.smoother(shown, same_grid=True),
}  # fmt: skip
common = nt.smoothness(shown, "share_above")
common = common.groupby(["model", "domain", "part"], sort=False)["value"].mean().unstack("part")
parts = {k: v.set_index(["model", "domain"])["value"] for k, v in parts.items()}
parts["above half of the ASPP's limit"] = common["encoder"] - common["decoder"]
pd.DataFrame(parts).style.format("{:+.2f}")
# %% [markdown]
# {glue:text}`net_smooth` The table is the share of the encoder minus that of the decoder, averages over layers:
# positive where the decoder is smoother. Its own grid flatters a decoder that works on up-sampled features; the last
# column takes one frequency, in cycles per frame, for all layers.
#
# ## Removing features
# The fourth observation on trained networks: an ideal low pass takes the features above $\nu_{max}$ away, of all
# decoder inputs or of the ASPP alone. How much do the components $L_{ce}(\nu)$ with $|\nu| \le \nu_{max}/2$ change,
# together, in units of the whole loss?
# %%
low, whole = nt.removals(shown), nt.removals(shown, "loss_change", signed=True)
figures.show(
    draw.removal(low, whole),
    caption="Features above nu_max removed. Dots with 95 % intervals: change of the sum over "
            "|nu| <= nu_max/2, mean size over pictures; crosses: change of the whole loss. "
            "Dotted: one in twenty.",
    alt="Small changes when the ASPP features alone are low-passed, larger ones for all inputs.",
    source=source, label="fig-removal",
)
# %%
table = nt.bands(shown)
table["band"] = table.groupby(["model", "domain", "layer", "nu_max"]).cumcount()
table["band"] = table["band"].map(dict(enumerate(["0", "to nu_max/2", "to nu_max", "to 2 nu_max", "beyond"])))
table = table.pivot_table("value", ["model", "layer", "nu_max"], "band", sort=False)
table.style.format("{:+.3f}", na_rep="")
# %% [markdown]
# {glue:text}`net_removal` The table has every band, averages over pictures and domains. Where its first two columns
# have opposite signs, $L_{ce}(0)$ and the band above it move against each other: a small sum hides larger changes.
#
# ## What we found
# %% tags=["hide-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Why is a ReLU's row the same at every $\nu_i$, and a convolution's not?
# 2. Take `ng.tail(net, features, "low")` for the low-level features' row. Would you expect a narrower one?
# 3. Which of the claims here would a network with softplus and without normalisation meet?
