# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # One small map through the whole paper
# You will have done every step of the paper yourself, on a label map of 9 by 9 pixels, with a pocket calculator.
#
# :::{admonition} The answer
# :class: tip
# On a third of the points a side, the decoder has {glue:text}`worked_flops` of its operations left and this map keeps
# a mIoU (mean overlap with the labels) of {glue:text}`worked_miou`. The paper's loss rate is {glue:text}`worked_rate`
# there, where it should be far below 1: it warns. On so small a map nearly all is contour; real pictures have less.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import torch
from myst_nb import glue

import specseg
from specseg import figures
from specseg.evidence import ledger
from specseg.figures import guide as draw

findings = ledger.open("05_worked_example", profile=profile)
# %% tags=["remove-input"]
drawn = torch.tensor([[0] * 9] * 3 + [[0] * 3 + [1] * 3 + [0] * 3] * 3 + [[2] * 9] * 3)
waves = torch.fft.fftshift(specseg.spectrum((drawn == 1).double()).abs())
figures.show(
    draw.overview(drawn, draw.HOUSE, waves, specseg.band_limited_labels(drawn, 1), specseg.block_labels(drawn, 1), 1,
                  letters="GHR"),
    caption="(1) The map: a house (H) of 3 by 3 pixels on ground (G), above a road (R). (2) The strength of each wave "
    "of the house, across and down: dark is strong, the red box holds the waves up to 1. (3) The map when only these "
    "are kept. (4) The map in the blocks of a grid of 3 by 3 points.",
    alt="Four squares of 9 by 9: a label map with a house above a road; waves, strongest in the middle; the map with "
    "the upper corners of the house gone; the map in nine blocks, the middle one all house.",
    source="this chapter",
    label="fig-worked",
)
# %% [markdown]
# ## By hand: the map and its histogram
# A label map gives every pixel a class. A network is trained on one *plane* a class: one where the pixel has the class,
# zero elsewhere. The mean of a plane is the share of pixels that the class covers.
# %%
from math import cos, log, pi

import torch

import specseg

ground, house, road = 0, 1, 2
label = torch.tensor([[0] * 9] * 3 + [[0, 0, 0, 1, 1, 1, 0, 0, 0]] * 3 + [[2] * 9] * 3)
planes = torch.stack([label == c for c in (ground, house, road)]).double()
shares = {
    "share of ground": (45 / 81, planes[ground].mean()),
    "share of house": (9 / 81, planes[house].mean()),
    "share of road": (27 / 81, planes[road].mean()),
}
draw.compared(shares)
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# Nothing is judged here. The steps are those of the paper {cite}`chen2020spectral`, in its order, each once by plain
# arithmetic (left in every table) and once by this book's library (right). What would refute a step: two columns
# that differ.
# :::
# %% [markdown]
# ## The spectrum
# A plane is a sum of waves. The house is three pixels wide. Along one axis, its wave of $k$ periods a frame has the
# strength $d_k = (1 + 2 \cos(360° \cdot k / 9)) / 9$: the middle pixel gives the 1, its two neighbours the cosines. A
# wave of $u$ periods across and $v$ down has the strength $d_u d_v$. The road is as high, and as wide as the frame, so
# that only waves with $u = 0$ are left.
# %%
d = [(1 + 2 * cos(2 * pi * k / 9)) / 9 for k in range(5)]
b = specseg.spectrum(planes).abs()
strengths = {
    "house, no wave (its mean)": (d[0] * d[0], b[house, 0, 0]),
    "house, 1 across": (d[0] * d[1], b[house, 0, 1]),
    "house, 1 across and 2 down": (d[1] * d[2], b[house, 2, 1]),
    "house, 3 across": (d[0] * d[3], b[house, 0, 3]),
    "road, 1 down": (d[1], b[road, 1, 0]),
}
draw.compared(strengths)
# %% [markdown]
# ## The band limit
# The *band limit* $\nu_{max}$ keeps all waves of at most that many periods on both axes. The squared strengths of a
# plane, its *energy*, add up to its share of the pixels. How much of that is kept? With
# $e = d_0^2 + 2 d_1^2 + \ldots$ (each wave counts twice, for $+k$ and $-k$) the road keeps $e$ and the house $e^2$.
#
# The ground is what these two leave: its energy is theirs, beside a mean of its own. House and road lie three rows
# apart. There their waves meet at an angle of $k \cdot 120°$, which gives the last term.
# %%
inside, kept = {}, {}
for nu_max in (1, 2, 3, 4):
    few = range(1, nu_max + 1)
    e = d[0] ** 2 + 2 * sum(d[k] ** 2 for k in few)
    meet = 4 / 3 * sum(d[k] ** 2 * cos(2 * pi * k / 3) for k in few)
    rest = (45 / 81) ** 2 + e**2 - (9 / 81) ** 2 + e - (27 / 81) ** 2 + meet
    inside[nu_max] = e**2 + e + rest
    limited = specseg.band_limit(planes, nu_max).square().mean((1, 2)).sum()
    kept[f"energy kept at band limit {nu_max}"] = (inside[nu_max], limited)
draw.compared(kept)
# %% [markdown]
# From 2 to 3 nothing comes in, as $1 + 2 \cos 120° = 0$: a strip of three pixels holds no wave of three periods.
#
# ## The loss rate
# Now a network. At every pixel it gives the right class a probability of 0.8, and 0.1 to each other. Its *logits* are
# then $\log 8$ for the right class and 0 elsewhere. Its loss, the *cross-entropy*, is $-\log 0.8$ at each pixel. Summed
# over waves that is $\log 10$, which belongs to the mean, less $\log 8$ times the energy.
#
# The *loss rate* $R_{ce}(\nu_{max})$ is the part of the loss beyond the band limit, over the whole loss.
# %%
logits = log(8) * planes[None]
loss = log(10) - log(8)
rates = {"loss": (-log(0.8), specseg.cross_entropy(logits, label[None])[0])}
for nu_max in (1, 2):
    rate = log(8) * (1 - inside[nu_max]) / loss
    library = specseg.relative_loss_rate(logits, label[None], nu_max)[0]
    rates[f"loss rate at band limit {nu_max}"] = (rate, library)
draw.compared(rates)
# %% [markdown]
# A rate above 1 is no mistake. The parts of the loss are positive and negative; those beyond the limit can add up to
# more than the whole.
#
# ## The grid and its operations
# Waves of up to $\nu_{max}$ periods need $2\nu_{max} + 1$ points a side: the *low-resolution grid* (LRG). A decoder
# does the same at every point, so a third of the points a side is a ninth of its operations (*FLOPs*). The paper's
# decoder works on 129 points a side; a third is 43.
# %%
whole, third = specseg.count("deeplabv3plus"), specseg.count("deeplabv3plus", lrg_size=43)
operations = {"operations of the decoder, share": ((3 / 9) ** 2, third.decoder / whole.decoder)}
draw.compared(operations)
# %% [markdown]
# ## What the smaller grid costs
# Keep only the waves up to 1 of the logits, and let each pixel take its largest class. A strip of three pixels becomes
# $g(t) = d_0 + 2 d_1 \cos(40° \cdot t)$ at $t$ pixels from its middle. The house has $g(1)^2$ at its upper corner. The
# road, whose middle is four rows below, has $g(4)$, and the ground what is left of 1. That is more than the house has:
# the corner is lost (picture, 3).
#
# The *IoU* of a class is the number of pixels that labels and prediction share over those that either has. The *mIoU*
# is its mean over classes. Count them in picture 3.
# %%
g = [d[0] + 2 * d[1] * cos(2 * pi * t / 9) for t in range(5)]
limited = specseg.band_limit(planes, 1)
coarse = specseg.confusion_matrix(specseg.band_limited_labels(label, 1), label, 3)
costs = {
    "house at its upper corner": (g[1] ** 2, limited[house, 3, 3]),
    "ground there": (1 - g[1] ** 2 - g[4], limited[ground, 3, 3]),
    "mIoU, waves up to 1": ((43 / 47 + 7 / 9 + 27 / 29) / 3, specseg.mean_iou(coarse)),
}
draw.compared(costs)
# %% [markdown]
# ## Labels in blocks
# The paper also draws training labels on the grid. Three points that span nine pixels stand at pixels 0, 4 and 8, and
# each pixel belongs to its nearest point: blocks of 3, 4 and 2 pixels. A block takes the class that most of its pixels
# have. The middle block has 16 pixels, of which 9 are house, 4 road and 3 ground: it becomes house (picture, 4).
# %%
blocks = specseg.block_labels(label, 1)
counted = specseg.confusion_matrix(blocks, label, 3)
weak = {
    "pixels with another class": (4 + 3 + 5, (blocks != label).sum()),
    "mIoU, blocks": ((42 / 50 + 9 / 16 + 18 / 27) / 3, specseg.mean_iou(counted)),
}
draw.compared(weak)
# %% [markdown]
# Here the same grid costs more in blocks than in waves: a block puts the contour on its own edge, a wave rounds it off.
# {doc}`20_labels_in_frequency` does the same with real labels, {doc}`70_truncation_and_pruning` with trained networks.
# %% tags=["remove-cell"]
glue("worked_flops", f"{operations['operations of the decoder, share'][1]:.0%}", display=False)
glue("worked_miou", f"{costs['mIoU, waves up to 1'][1]:.2f}", display=False)
glue("worked_rate", f"{rates['loss rate at band limit 1'][1]:.1f}", display=False)
glue("worked_blocks", f"{weak['mIoU, blocks'][1]:.2f}", display=False)
# %% tags=["remove-cell"]
two = specseg.band_limited_labels(label, 2)
shifted = torch.roll(label, 1, 1)
moved = specseg.mean_iou(specseg.confusion_matrix(specseg.block_labels(shifted, 1), shifted, 3))
glue("worked_two", f"{specseg.mean_iou(specseg.confusion_matrix(two, label, 3)):.2f}", display=False)
glue("worked_moved", f"{moved:.2f}", display=False)
sure = torch.log(torch.tensor(98.0)) * planes[None]
glue("worked_sure", f"{float(specseg.relative_loss_rate(sure, label[None], 1)[0]):.0f}", display=False)
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# - Keep waves up to 2. Which mIoU is left?
# - Let the network be sure, with a probability of 0.98 for the right class and 0.01 for each other: $\log 98$ instead
#   of $\log 8$. Its picture stays the same. What is its loss rate at band limit 1?
# - Move the house one pixel to the right. What becomes of the mIoU of blocks?
#
# :::{admonition} Answers
# :class: dropdown
# - {glue:text}`worked_two`: all corners are back.
# - {glue:text}`worked_sure`, instead of {glue:text}`worked_rate`, though no pixel changes its class: the loss rate
#   speaks of confidence too ({doc}`30_cross_entropy`).
# - It becomes {glue:text}`worked_moved`, from {glue:text}`worked_blocks`: where the grid lies matters.
# :::
