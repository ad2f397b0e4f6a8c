# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Reading guide
# You will know in one page what the paper says, what its symbols are called here, and how to read a verdict.
#
# :::{admonition} What is claimed
# :class: claim
# Nothing is judged on this page. The paper {cite}`chen2020spectral` says that segmentation networks are trained on,
# and scored by, the low frequencies of their labels; that decoder features and labels may therefore be coarse; and
# that one number, $R_{ce}$, says how coarse. Each statement is judged in a chapter of its own.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import torch

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import ledger
from specseg.figures import guide as draw
from specseg.spectral import spectrum
from specseg.study import notation

findings = ledger.open("10_reading_guide", profile=profile)
findings.banner()
# %% tags=["hide-input"]
size, nu_max = 513, 16
label = torch.as_tensor(synthetic.scene("objects", 3, size, void=False).label)
planes = torch.nn.functional.one_hot(label).permute(2, 0, 1).double()
power = spectrum.spectrum(planes).abs().square().sum(0)
kept = spectrum.band_limit(planes, nu_max, boundary="mirrored").argmax(0)
side = spectrum.lrg_size(nu_max)
grid = torch.nn.functional.interpolate(planes[None], size=(side, side), mode="area")[0].argmax(0)
# %% tags=["hide-input"]
figures.show(
    draw.overview(
        label.numpy(),
        synthetic.palette("objects"),
        torch.fft.fftshift(power).numpy(),
        kept.numpy(),
        grid.numpy(),
        nu_max,
    ),
    caption="The paper's idea in one row. A label map (1) has a spectrum (2) that is bright "
    "at low frequencies. What lies inside a box around zero is kept (3); as many "
    "samples fit on a low-resolution grid, the LRG (4). So the decoder may work on "
    "that grid (5), and labels may be drawn in its blocks.",
    alt="Five panels: a synthetic label map with a few objects; its power spectrum with a "
    "red box around the bright centre; the band-limited label with rounder outlines; the "
    "same on a coarse grid of blocks; a scheme of encoder, decoder and a smaller decoder "
    "on the low-resolution grid.",
    source="this chapter, a synthetic scene",
    label="fig-overview",
)
# %% [markdown]
# ## The paper in one page
# **Cross-entropy in frequency.** The loss is an overlap of labels and logits, and an overlap can be summed over
# frequencies (Theorem 1). Call the part from frequency $\nu$ $\mathcal{L}_{ce}(\nu)$. The paper argues that labels
# are smooth and logits are made on a coarse grid, so that low frequencies make up the loss (key observation 1).
#
# **IoU and boundary IoU.** Written with spectra, IoU contains the same overlap. So it should follow the loss, and
# be made of low frequencies too; the same is said of boundary IoU (key observation 2).
# %% [markdown]
# **Gradients in frequency.** For a small kernel and a smooth activation the derivative of an output frequency by an
# input frequency is nearly diagonal: each frequency acts on itself (key observation 3). So high-frequency features
# should not touch the loss at low frequencies (key observation 4).
#
# **The loss rate.** $R_{ce}(\nu_{max})$ is the part of the loss beyond a band limit, over the loss. A grid is
# efficient where it is small. The paper reads off 16 to 32 cycles per frame: grids of 33 to 65 points a side for
# 513 pixels.
# %% [markdown]
# **Feature truncation.** The decoder's inputs are down-sampled to such a grid in a trained network, alone or with
# soft filter pruning {cite}`he2019asfp`. Measured: mIoU, its relative drop, FLOPs, and their ratio FPI, on three
# data sets and two networks, DeepLab v3+ {cite}`chen2018encoder` and DAN {cite}`kuo2018dan`. The drop is found to
# follow $R_{ce}$, below 0.2 on a line.
#
# **Block-wise annotation.** Training labels are made coarse in blocks of the same grids; again the drop follows
# $R_{ce}$. The paper closes with a question: how to choose $\nu_{max}$ from the labels alone?
# %% [markdown]
# ## Where each part is judged
# | Part of the paper | Chapter |
# |---|---|
# | Tables and text against each other | {doc}`15_paper_against_itself` |
# | Smooth labels, section 2.1 | {doc}`20_labels_in_frequency` |
# | The data sets, A.1 | {doc}`25_data_sets` |
# | Cross-entropy and key observation 1 | {doc}`30_cross_entropy` |
# | IoU, key observation 2 | {doc}`35_iou`, {doc}`40_boundary_iou` |
# | Gradients, key observations 3 and 4 | {doc}`45_spectral_gradients` |
# | Open question: the band limit from the labels | {doc}`50_beyond_the_paper` |
# | Costs, Table 2 | {doc}`55_networks_and_cost` |
#
# ## Notation
# Upper case is a quantity in pixels, lower case its spectrum. The same table has a {doc}`page of its own
# <../notation>`.
# %% tags=["hide-input"]
from IPython.display import Markdown

Markdown(notation.table())
# %% [markdown]
# ## How to read a verdict
# A *claim* is one statement with a check that was written down before the result. A chapter makes *observations*;
# the verdict follows from both by a rule and is never typed.
#
# | Verdict | Meaning |
# |---|---|
# | confirmed | the check holds as printed |
# | confirmed with a correction | it holds once a convention, a condition or a printed value is mended; see the errata |
# | refuted | it fails, or a counterexample exists |
# | paper inconsistent | the paper's own numbers or sentences contradict it |
# | agrees or differs in kind | our smaller experiments point the same way, or not |
# | not resolved | our interval holds both answers |
# | not run | nobody has looked yet; the reason is given |
# %% [markdown]
# The *tier* says how far a verdict reaches:
#
# | Tier | Tests | Can it refute? |
# |---|---|---|
# | R0 | the paper against its own printed numbers | yes |
# | R1 | its mathematics, by symbols and by numbers | yes |
# | R2 | the structure of its networks: parameters, FLOPs | yes |
# | R3 | its effects on other data and smaller networks | no: agrees or differs in kind |
# | R4 | its own data, networks and schedule | yes |
#
# Two habits to know. A claim of *equality* has a margin, stated with its reason. And a number on these pages has
# one home, a record or the chapter cell that computes it; a smoke run is a check of the machinery and settles no
# measured claim.
# %% [markdown]
# ## Words
# | Word | Meaning here |
# |---|---|
# | void | pixels without a label, value 255; no loss and no score counts them |
# | mutant | a version broken on purpose that the check must reject |
# | regime | a kind of synthetic scene: objects, streets, landcover |
# | row of a spectral gradient | all derivatives of one output frequency |
# | cluster | results that hang together and count as one when an interval is made: networks that share one curve |
# | half-width | half of an interval: how far its ends lie from its centre |
# %% [markdown]
# ## What we found
# %%
findings.close()
# %% [markdown]
# ## Check yourself
# - Set `nu_max` to 8 or 32 in the picture's cell: which parts of the objects go first?
# - Take `"streets"` or `"landcover"` for `"objects"`: which of the three would you shrink further?
# - Pick a sentence of the paper and find its claim in the ledger.
