# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Reading guide
# You will know in one page what the paper says, where each part is judged, and how to read a verdict.
#
# :::{admonition} The answer
# :class: tip
# The paper {cite}`chen2020spectral` says three things. Segmentation networks are trained on, and scored by, the low
# frequencies (the coarse outlines) of their labels. So a network's last part may work on a coarse grid, and labels may
# be coarse too. And one number, the loss rate $R_{ce}$ (the share of the loss in fine waves), says how coarse. What
# became of them stands as six answers on the {doc}`front page <../index>`; the way there is below.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import pandas as pd
import torch
from myst_nb import glue

from specseg import figures
from specseg.data import synthetic
from specseg.evidence import ledger
from specseg.figures import guide as draw
from specseg.spectral import spectrum

findings = ledger.open("10_reading_guide", profile=profile)
# %% tags=["remove-cell"]
size, nu_max = 513, 16
label = torch.as_tensor(synthetic.scene("objects", 3, size, void=False).label)
planes = torch.nn.functional.one_hot(label).permute(2, 0, 1).double()
power = spectrum.spectrum(planes).abs().square().sum(0)
kept = spectrum.band_limit(planes, nu_max, boundary="mirrored").argmax(0)
side = spectrum.lrg_size(nu_max)
grid = torch.nn.functional.interpolate(planes[None], size=(side, side), mode="area")[0].argmax(0)
# %% tags=["remove-input"]
figures.show(
    draw.overview(
        label.numpy(),
        synthetic.palette("objects"),
        figures.decibels(torch.fft.fftshift(power).numpy(), -60),
        kept.numpy(),
        grid.numpy(),
        nu_max,
    ),
    caption="The paper's idea. A label map (1) has a spectrum (2) that is dark, strong, "
    "at low frequencies. What lies inside a box around zero is kept (3); as many "
    "samples fit on a low-resolution grid, the LRG (4). So the decoder, with the same "
    "weights, may work on that grid of fewer points, and labels may be drawn in its blocks.",
    alt="Four panels: a synthetic label map with a few objects; its power spectrum with a "
    "red box around the dark centre; the band-limited label with rounder outlines; the "
    "same on a coarse grid of blocks.",
    source="this chapter, a synthetic scene",
    label="fig-overview",
)
# %% [markdown]
# ## By hand
# The picture in a few lines: a label map, cut at 16 waves a frame, and how much of it is left on the grid of 33 points
# that these waves need. {doc}`05_worked_example` goes through every step on a map of 9 by 9 pixels.
# %%
import specseg
from specseg.data import synthetic

scene = synthetic.scene("objects", 3, 513, void=False)
label = torch.as_tensor(scene.label)
rows = {}
for nu_max in (64, 32, 16, 8):
    cut = specseg.band_limited_labels(label, nu_max)
    counted = specseg.confusion_matrix(cut, label, int(label.max()) + 1)
    miou = specseg.mean_iou(counted)
    rows[nu_max] = {"grid": str(2 * nu_max + 1), "mIoU left": miou}
table = pd.DataFrame(rows).T.rename_axis("waves up to")
table.style.format({"mIoU left": "{:.3f}"})
# %% [markdown]
# ## The paper in one page
# **Cross-entropy in frequency.** The loss is an overlap of labels and *logits* (what the network gives before it
# decides), and an overlap can be summed over frequencies: Theorem 1. Call the part from frequency $\nu$ (waves a frame)
# $\mathcal{L}_{ce}(\nu)$. The paper argues that labels are smooth and logits are made on a coarse grid, so that low
# frequencies make up the loss: key observation 1.
#
# **IoU and boundary IoU.** *IoU* is the overlap of prediction and labels over what either covers, *mIoU* its mean over
# classes. Written with spectra, it contains the same overlap. So it should follow the loss, and be made of low
# frequencies too. The same is said of boundary IoU, which looks at contours only: key observation 2.
# %% [markdown]
# **Gradients in frequency.** For a small kernel and a smooth activation the derivative of an output frequency by an
# input frequency is nearly diagonal: each frequency acts on itself (key observation 3). So high-frequency features
# should not touch the loss at low frequencies (key observation 4).
#
# **The loss rate.** $R_{ce}(\nu_{max})$ is the part of the loss beyond a *band limit* $\nu_{max}$, over the loss. Where
# it is small a grid is efficient. The paper reads off 16 to 32 waves a frame. These need a *low-resolution grid* (LRG)
# of 33 to 65 points a side, for pictures of 513 pixels.
# %% [markdown]
# **Feature truncation.** In a trained network, the decoder's inputs are down-sampled to such a grid, alone or with soft
# filter pruning {cite}`he2019asfp`. Measured are the mIoU and its relative drop, the operations (*FLOPs*), and their
# ratio: FLOPs per IoU, *FPI*. There are three data sets and two networks, DeepLab v3+ {cite}`chen2018encoder` and DAN
# {cite}`kuo2018dan`. The paper finds that the drop grows with $R_{ce}$: along a straight line, as long as $R_{ce}$ is
# below 0.2.
#
# **Block-wise annotation.** Training labels are made coarse in blocks of the same grids; again the drop grows with
# $R_{ce}$. The paper closes with a question: how to choose $\nu_{max}$ from the labels alone?
# %% [markdown]
# ## Where each part is judged
# | Part of the paper | Chapter |
# |---|---|
# | Tables and text against each other | {doc}`15_paper_against_itself` |
# | Smooth labels (2.1) | {doc}`20_labels_in_frequency` |
# | The data sets (A.9) | {doc}`25_data_sets` |
# | Theorem 1, key observation 1, by mathematics | {doc}`30_cross_entropy` |
# | The loss of trained networks (Fig. 1, Table 1) | {doc}`60_loss_in_frequency` |
# | IoU, key observation 2 | {doc}`35_iou`, {doc}`40_boundary_iou` |
# | Gradients, key observations 3 and 4, of layers | {doc}`45_spectral_gradients` |
# | Gradients of trained networks (Figs 2 and 3) | {doc}`65_network_gradients` |
# | Costs in FLOPs (Table 2) | {doc}`55_networks_and_cost` |
# | Feature truncation and pruning (Table 4, Figs 4 and 8) | {doc}`70_truncation_and_pruning` |
# | Block-wise annotation (Table 3, Fig. 6) | {doc}`75_block_annotation` |
# | Does $R_{ce}$ predict the drop? (Figs 5 and 7) | {doc}`80_predictors` |
# | The band limit from labels: theory | {doc}`50_beyond_the_paper` |
# | The band limit from labels: tried | {doc}`85_advice_validated`, {doc}`90_your_own_data` |
# %% [markdown]
# ## How to read a verdict
# A *claim* is one statement of the paper with a check that was written down before the result. A chapter computes the
# numbers; the verdict follows from both by a rule and is never typed.
#
# | Verdict | Meaning |
# |---|---|
# | confirmed | the check holds as printed |
# | confirmed with a correction | it holds once a convention, a condition or a printed value is mended; see the errata |
# | refuted | it fails, or a counterexample exists |
# | paper inconsistent | the paper's own numbers or sentences contradict it |
# | agrees, or agrees in a weaker form | our smaller experiments point the same way, or nearly |
# | differs in kind | they point the other way in every kind of scene |
# | mixed | they clearly fail in one kind of scene and not in another |
# | not resolved | our interval holds both answers, or a kind of scene has no number |
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
# A number in brackets, as in 1.5 % [1.2 %, 1.9 %], is the range that the data allow (95 %). A claim of *equality* has a
# margin, stated with its reason.
# %% [markdown]
# ## Words and symbols
# The symbols of this page are explained where they first stand. The paper's notation, each symbol with its name in the
# code, has a {doc}`page of its own <../notation>`.
#
# | Word | Meaning here |
# |---|---|
# | void | pixels without a label, value 255; no loss and no score counts them |
# | regime | a kind of synthetic scene: objects, streets, land cover |
# | cluster | pictures or results that hang together and count as one when an interval is made |
# | record | a measurement that was made once, elsewhere, and is kept with its settings |
# | mutant | a version broken on purpose that the check must reject |
# | row of a spectral gradient | all derivatives of one output frequency |
# | half-width | how far an interval's ends lie from its centre |
# %% tags=["remove-cell"]
glue("guide_first", f"{max(nu for nu, row in rows.items() if row['mIoU left'] < 0.99)}", display=False)
for regime in ("objects", "streets", "landcover"):
    map_ = torch.as_tensor(synthetic.scene(regime, 3, 513, void=False).label)
    cut = specseg.band_limited_labels(map_, 16)
    counted = specseg.confusion_matrix(cut, map_, int(map_.max()) + 1)
    glue(f"guide_{regime}", f"{specseg.mean_iou(counted):.2f}", display=False)
# %% [markdown]
# ## What we found
# This page judges nothing. The {doc}`ledger <../ledger>` has every claim with its verdict, the
# {doc}`errata <../errata>` what is printed wrongly.
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# - In the cell "By hand": which band limit is the first that costs the labels more than a hundredth of their mIoU?
# - Take `"streets"` or `"landcover"` for `"objects"`: which of the three would you shrink further?
# - The paper says "the drop grows with $R_{ce}$". Find its claim in the ledger. Why is it "mixed"?
#
# :::{admonition} Answers
# :class: dropdown
# - {glue:text}`guide_first`, the largest below 0.99.
# - Objects. At 16 waves they keep a mIoU of {glue:text}`guide_objects`, streets with their poles and signs
#   {glue:text}`guide_streets`. Land cover keeps {glue:text}`guide_landcover`: the mean over classes counts a thin river
#   as much as a wide field.
# - The check fails on streets. And since the drop also grows as the grid shrinks, the size of the grid alone passes it
#   where $R_{ce}$ does ({doc}`80_predictors`).
# :::
