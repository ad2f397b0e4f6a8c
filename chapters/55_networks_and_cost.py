# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Networks and what they cost
#
# At the end of this page you will know which networks the paper counted, to the printed digit, and how much of the
# FLOPs that truncation and pruning save is saved on a clock.
#
# :::{admonition} What is claimed
# Table 2 prints 56 costs, and A.1 the constants behind them: the encoder "has 95.6 billion FLOPs (floating-point
# operations) and 60.1 million parameters", the decoder "43.4 billion FLOPs". Section 3.2 concludes that truncation
# and pruning together reduce "the cost of both the encoder and the decoder". Claims: `tab2-*`, `a1-*`, `sec32-*`.
#
# What would refute it: a cell that the described layers do not give, or seconds that do not follow.
# :::

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
from copy import deepcopy

import pandas as pd
import torch
from IPython.display import display
from myst_nb import glue

from specseg.data import loading, transforms
from specseg.data.datasets import open as open_data
from specseg.evidence import ledger, paper, records
from specseg.figures import DATASET_NAMES, MODEL_NAMES, show
from specseg.figures import networks as draw
from specseg.nets import flops, pruning, train
from specseg.nets.flops import table2, views
from specseg.nets.models import build
from specseg.study import cost, trained

findings = ledger.open("55_networks_and_cost", profile=profile)
findings.banner()

# %% tags=["hide-input"]
stages = views.stages("deeplabv3plus", lrg_size=33)
show(
    draw.pipeline(stages),
    caption="DeepLab v3+ at 513 pixels and output stride 16, traced from its layers. Height: "
    "side of the grid (number above); white: channels. Dashed: the same layers when "
    "decoder features are truncated to LRG 33.",
    alt="Bars along the network: 513, 257, 129, 65, 33 in the encoder; the decoder at 129, "
    "or 33 when truncated.",
    label="fig-networks",
)

# %% [markdown]
# ## The networks in one picture
#
# The encoder makes the grid smaller and the channels more: from 513 x 513 x 3 to 33 x 33 x 2048, and ASPP gathers it
# into 256 channels. The decoder works on the *prediction grid*, 129 x 129, with few channels: it holds few parameters
# but runs each of them on 16,641 points. That is why its cost is large and why a smaller grid, the low-resolution
# grid (LRG), helps.
#
# Every side is 64k + 1, so that all grids share their corners. Truncation brings *both* inputs of the decoder to the
# LRG before its first convolution; the logits are up-sampled from there.

# %% [markdown]
# ```{literalinclude} /lib/specseg/nets/models/truncation.py
# :pyobject: truncate
# ```
#
# The second network, DAN, aggregates several encoder layers {cite}`kuo2018dan`. Its source is not public and neither
# the paper nor its abstract lists its layers. **Known**: an aggregation decoder of 11.1 GFLOPs and 0.4 M parameters.
# **Assumed** here: layer 1, layer 2 and ASPP, each through a 1x1 to 96 channels, concatenated, 3x3 to 96, 1x1 to 96,
# classes. It is a stand-in that has the right cost, no more.

# %% tags=["hide-input"]
size = views.sizes(("deeplabv3plus", "dan"), ("resnet101", "efficientnet_lite0"))
share = size["decoder's share of parameters"]
size.style.format("{:.2f}")

# %% [markdown]
# Convolutions alone, at output stride 16. The decoder's share of the parameters is {glue:text}`cost_share_resnet` at
# most with the paper's ResNet-101, negligible as A.1 says. It is a property of the large backbone, not of
# segmentation networks: with EfficientNet-Lite0 it is up to {glue:text}`cost_share_lite0`.

# %% tags=["hide-input"]
by_backbone = share.groupby("backbone").max()
note = (
    f"Up to {by_backbone['resnet101']:.1%} with ResNet-101, "
    f"{by_backbone['efficientnet_lite0']:.1%} with Lite0."
)
findings.observe(
    "a1-decoder-parameters-negligible", value=share.max(), unit="fraction", note=note
)
findings.observe(
    "a1-decoder-parameters-negligible",
    value=by_backbone["resnet101"],
    form="approximation",
    unit="fraction",
    note=note,
    mutant=1 - by_backbone["resnet101"],
)
glue("cost_share_resnet", f"{by_backbone['resnet101']:.1%}", display=False)
glue("cost_share_lite0", f"{by_backbone['efficientnet_lite0']:.0%}", display=False)

# %% [markdown]
# ## Table 2, cell by cell
#
# A count needs a rule. The one that gives Table 2 is: 2 operations per multiply-accumulate, and in the encoder 2 x (2
# for every normalised, 1 for every rectified and 1 for every pooled element); int(n r) of n filters pruned at rate r,
# in each bottleneck, ASPP branch and decoder layer, not in shortcuts and the first convolution; a layer's input
# shrinks where one pruned layer alone feeds it (the cost of He et al.'s small network {cite}`he2019asfp`).

# %%
printed = paper.table("2")
at32 = table2.compare(table2.cells(output_stride=32), printed)
at16 = table2.compare(table2.cells(output_stride=16), printed)
print(
    f"stride 32: {at32['agrees'].sum()} of {len(at32)} cells, stride 16: "
    f"{at16['agrees'].sum()} of {len(at16)}"
)

# %% tags=["hide-input"]
show(
    draw.table2(at32, at16),
    caption="Each cell: our count above, the paper's number below, in GFLOP. Green where "
    "ours rounds to it. Left the encoder without dilation (17 x 17 features), right "
    "with the 33 x 33 features that the paper describes.",
    alt="Four tables of 28 cells: all green at output stride 32, none green at output stride "
    "16.",
    label="fig-table2",
)

# %% [markdown]
# All 56 cells are met, and only with an encoder of **output stride 32**: features of 17 x 17. But the paper's
# features are 33 x 33 ($M = 33$ in section 3.1), which needs output stride 16 and an encoder of
# {glue:text}`cost_encoder16` instead of {glue:text}`cost_encoder32` GFLOP. Both cannot hold. Truncation alone can
# then save {glue:text}`cost_save16` of DeepLab v3+'s FLOPs, not {glue:text}`cost_save32`.
#
# DAN's column follows from A.1's 11.1 GFLOP and *one* fitted number, {glue:text}`cost_dan_pruned` GFLOP for its
# pruned decoder; any number from {glue:text}`cost_dan_low` to {glue:text}`cost_dan_high` does. Our stand-in's own
# layers, with nothing fitted, meet {glue:text}`cost_structure` cells and miss the others by one unit of the last
# digit.

# %% tags=["hide-input"]
structure = table2.compare(table2.cells(dan="structure"), printed)["agrees"].sum()
low, high = (x / 1e9 for x in table2.dan_pruned_interval(printed))
saved = {s: table2.truncation_saving(t, "deeplabv3plus") for s, t in ((32, at32), (16, at16))}
plain = {s: flops.count("deeplabv3plus", output_stride=s) for s in (32, 16)}
for stride in (32, 16):
    glue(f"cost_encoder{stride}", f"{plain[stride].encoder / 1e9:.1f}", display=False)
    glue(f"cost_save{stride}", f"{saved[stride]:.0%}", display=False)
glue("cost_dan_pruned", f"{table2.DAN_DECODER[0.2] / 1e9:.1f}", display=False)
glue("cost_dan_low", f"{low:.2f}", display=False)
glue("cost_dan_high", f"{high:.2f}", display=False)
glue("cost_structure", f"{structure} of 56", display=False)

# %% tags=["hide-input"]
conv_only = table2.compare(table2.cells(rule=flops.Rule(norm=0, act=0, pool=0)), printed)
conv_only = conv_only.groupby("model")["agrees"].sum()
for claim, model in (("tab2-deeplab", "deeplabv3plus"), ("tab2-dan", "dan")):
    met = {
        s: int(t.loc[t["model"] == model, "agrees"].sum()) for s, t in ((32, at32), (16, at16))
    }
    note = (
        f"{met[32]} of 28 cells at output stride 32, "
        f"{met[16]} at the stride 16 that M = 33 implies."
    )
    findings.observe(claim, value=met[16], n=28, note=note)
    findings.observe(
        claim, value=met[32], n=28, form="convention", note=note, mutant=int(conv_only[model])
    )

# %% [markdown]
# ### How special is the rule?
#
# It was chosen *after* seeing the table, so agreement alone proves little. The picture changes one choice at a time.
# Of all {glue:text}`cost_variants` combinations of these choices, {glue:text}`cost_perfect` meet DeepLab v3+'s 28
# cells. With {glue:text}`cost_both` of them DAN's pruned cells allow a decoder too; these differ in the number of
# classes and in whether the decoder's element-wise operations count, which hardly matters. All have stride 32.

# %% tags=["hide-input"]
weights, every = table2.sensitivity(printed), table2.variants(printed)
best = every[every["cells"] == every["cells"].max()]
ends = {
    k: table2.dan_pruned_interval(printed, rule=flops.Rule(projection=k == "pruned"))
    for k in ("pruned", "kept")
}
possible = [ends[k][0] <= ends[k][1] for k in best["ASPP's projection"]]
together = sorted(set(best["classes"][possible]))
glue("cost_classes", " or ".join(together), display=False)
glue("cost_both", f"{sum(possible)}", display=False)
glue("cost_variants", f"{len(every):,}", display=False)
glue("cost_perfect", f"{(every['cells'] == 28).sum()}", display=False)

# %% tags=["hide-input"]
show(
    draw.sensitivity(weights),
    caption="Cells of Table 2 that remain when one choice of the rule is changed. Green "
    "line: all 56.",
    alt="Bars from 0 cells (output stride 16) to 56 (details of the decoder that cost almost "
    "nothing).",
    label="fig-rule",
)

# %%
fixed = {choice: best[choice].unique().tolist() for choice in table2.CHOICES}
pd.DataFrame(
    [
        {"choice": k, "options among the combinations that meet all 28": "; ".join(v)}
        for k, v in fixed.items()
    ]
)

# %% [markdown]
# ## A.1's constants
#
# Three of the six numbers need a reading. The encoder's FLOPs are those of stride 32. Its parameters fit if ResNet's
# ImageNet classifier is counted, a layer that never runs. The decoder's 43.4 fits 7 classes (DeepGlobe) and not the
# 21 of PASCAL, while all 56 cells of Table 2 together need {glue:text}`cost_classes` classes. And DAN's numbers are
# met by a stand-in fitted to them.

# %% tags=["hide-input"]
a1 = views.a1_constants(paper.table("a1"))
numbers = ["printed", "described", "read"]
a1.style.format("{:.2f}", subset=numbers, na_rep="").hide(axis="index")

# %% tags=["hide-input"]
names = ("a1-encoder-flops", "a1-encoder-parameters", "a1-decoder-flops")
for claim, row in zip(names, a1.to_dict("records")[:3], strict=True):
    unit = "GFLOP" if claim.endswith("flops") else "million"
    note = f"{row['described']:.2f} {unit} as described, {row['read']:.2f} {row['reading']}."
    findings.observe(claim, value=row["described"], unit=unit, note=note)
    findings.observe(
        claim,
        value=row["read"],
        form="convention",
        unit=unit,
        note=note,
        mutant=row["described"],
    )

# %% tags=["hide-input"]
size, one_layer_less = a1["described"][3], a1["described"][3] - 9 * 256 * 256 / 1e6
findings.observe(
    "a1-decoder-parameters",
    value=size,
    unit="million",
    note=f"{size:.3f} million.",
    mutant=one_layer_less,
)
met = (a1["described"].round(1) == a1["printed"])[4:]
note = (
    f"Our stand-in: {a1['described'][4]:.2f} GFLOP and {a1['described'][5]:.2f} million; "
    "the layers are not public."
)
findings.observe("a1-dan", value=int(met.sum()), n=2, note=note, mutant=0)

# %% tags=["hide-input"]
dan_total = {s: plain[s].encoder + table2.DAN_DECODER[0.0] for s in (32, 16)}
excess = {s: plain[s].total / dan_total[s] - 1 for s in (32, 16)}
note = (
    f"DeepLab v3+ needs {excess[32]:.1%} more than DAN at stride 32 "
    f"and {excess[16]:.1%} at stride 16."
)
for form, stride, mutant in (("printed", 16, None), ("convention", 32, excess[16])):
    findings.observe(
        "sec32-excess-by-layers",
        value=excess[stride],
        form=form,
        unit="fraction",
        note=note,
        mutant=mutant,
    )

# %% [markdown]
# ## Does the stride change which LRG is best?
#
# The paper takes the LRG of least FPI = FLOPs/mIoU. With its own mIoU and the FLOPs of stride 16 the encoder weighs
# more, so truncation pays less: {glue:text}`cost_moved` of 24 optima differ from those by the printed numbers, and
# {glue:text}`cost_inside` lie between 33 and 65. The minima are flat: the runner-up is within 1 % in
# {glue:text}`cost_flat` cases, and rounding in Table 2 alone moves {glue:text}`cost_rounding` of them.

# %% tags=["hide-input"]
miou = pd.concat([paper.table("4a"), paper.table("4b")]).query("metric == 'miou'")
miou = miou.rename(columns={"value": "miou"}).astype({"prune_rate": float, "lrg_size": int})
flop = {"printed": printed.astype({"prune_rate": float}), "stride32": at32, "stride16": at16}
setup = ["model", "prune_rate", "lrg_size"]
found = {k: cost.fpi(miou, t[[*setup, "value"]], setup) for k, t in flop.items()}
found = {k: cost.optima(t, ["model", "dataset", "prune_rate"]) for k, t in found.items()}
best = found["printed"].assign(**{k: t["lrg_size"] for k, t in found.items()})
inside = int(best["stride16"].between(33, 65).sum())
note = f"{inside} of {len(best)} optima lie between 33 and 65 with the FLOPs of stride 16."
findings.observe(
    "sec32-optima-by-layers", value=inside, n=len(best), mutant=len(best) - inside, note=note
)

# %% tags=["hide-input"]
glue("cost_moved", f"{(best['stride16'] != best['printed']).sum()}", display=False)
glue("cost_rounding", f"{(best['stride32'] != best['printed']).sum()}", display=False)
glue("cost_inside", f"{inside}", display=False)
glue("cost_flat", f"{(best['margin'] < 0.01).sum()}", display=False)

# %% tags=["hide-input"]
show(
    draw.optima(best),
    caption="LRG of least FPI per data set and pruning rate, by printed FLOPs, ours at "
    "stride 32 and at stride 16. Grey: the range 33 to 65.",
    alt="Three marks per line; most within the grey band, stride 16 at the same or a larger "
    "LRG.",
    label="fig-fpi-strides",
)

# %% [markdown]
# ## Soft filter pruning on one layer
#
# After every epoch, and after the last step, int(n r) of a layer's n filters, those of smallest L2 norm, are set to
# zero; a depth-wise layer and the one that feeds it share channels and lose the same, by their joint norm. Gradients
# stay whole, so a filter may grow again and another one take its place. The asymptotic schedule, which the protocol
# takes, starts gently and reaches three quarters of the goal after an eighth of the epochs.

# %%
torch.manual_seed(0)
net = build(
    "deeplabv3plus",
    backbone="efficientnet_lite0",
    num_classes=7,
    input_size=65,
    width=32,
    pretrained=True,
)
name = "backbone.net.blocks.4.0.conv_pw"
norms = pruning.prunable(net)[name].weight.detach().flatten(1).norm(dim=1)
schedules = pd.DataFrame(
    {
        "epoch": range(33),
        "constant": 0.4,
        "asymptotic": [pruning.asymptotic_rate(e, 32, 0.4) for e in range(33)],
    }
)

# %% tags=["hide-input"]
show(
    draw.filter_norms(norms.tolist(), (0.2, 0.4, 0.6), schedules),
    caption="Left: one layer of EfficientNet-Lite0 with ImageNet weights; left of a line: "
    "zeroed at that rate. Right: the two schedules for a goal of 40 %.",
    alt="Sorted filter norms rising slowly, with lines at 20, 40 and 60 percent; two curves "
    "of the rate over epochs.",
    label="fig-filters",
)

# %% [markdown]
# ```{literalinclude} /lib/specseg/nets/pruning.py
# :pyobject: keep_mask
# ```
#
# What happens to zero filters in training? A normalisation layer turns the zero into its shift, and ReLU passes it
# only when it is positive. So a filter whose shift is negative gets no gradient and **cannot recover** until its
# shift does.

# %%
masks = pruning.SoftFilterPruning(0.4, 0.2).step(net)
pruned = deepcopy(net).double()
images = open_data("synthetic", "train", regime="landcover", size=80)
train.fit(
    net,
    loading.draws(images, transforms.training(65), 4),
    train.Settings(steps=3, warmup=1, lr=0.001),
)
zeroed = {k: ~m for k, m in masks.items()}
moved = {
    k: pruning.prunable(net)[k].weight.detach().flatten(1).norm(dim=1)[z] > 0
    for k, z in zeroed.items()
}
recovered, total = (
    sum(int(m.sum()) for m in moved.values()),
    sum(len(m) for m in moved.values()),
)
print(f"{recovered / total:.0%} of {total} zeroed filters have weights again after three steps")

# %% [markdown]
# A zero filter still costs its multiplications. To save them it must be *removed*, and removal is exact only if the
# constant that it leaves behind (the shift) is kept: as a bias of the next layer, as one constant input where that
# layer pads, or filled in where a shortcut is added. Without the constants the outputs change by
# {glue:text}`cost_without` of their size; with them by {glue:text}`cost_with`. {glue:text}`cost_parameters` of the
# parameters remain.

# %%
small, forgetful = pruning.remove(pruned), pruning.remove(pruned)
pictures = torch.rand(2, 3, 65, 65, generator=torch.Generator().manual_seed(0)).double()
for key, constant in forgetful.named_buffers():
    if key.endswith(("kernel", "fill")):
        constant.zero_()
with torch.inference_mode():
    full, gone, without = (n.eval()(pictures) for n in (pruned, small, forgetful))
left = sum(p.numel() for p in small.parameters()) / sum(p.numel() for p in pruned.parameters())
off = [float((x - full).abs().max() / full.abs().max()) for x in (gone, without)]
for key, value in {
    "with": f"{off[0]:.0e}",
    "without": f"{off[1]:.0%}",
    "parameters": f"{left:.0%}",
}.items():
    glue(f"cost_{key}", value, display=False)

# %% [markdown]
# ## What FLOPs promise and what the clock says
#
# Each variant is timed in turns with the full network; the ratio of a pair is hardly touched by other programs' load.
# Three things are compared: decoder features truncated to the LRG, filters set to zero, and filters removed.

# %% tags=["hide-input"]
newest = {
    r.meta["device"]: findings.use(r)
    for r in records.find("latency")
    if r.profile == "standard"
}
clocks = {device: views.arrived(record.rows) for device, record in newest.items()}
for number, (device, clock) in enumerate(clocks.items()):
    picture = show(
        draw.promised_and_measured(clock),
        caption=f"{device}: time against FLOPs, both as a part of the full network's; bars: "
        f"quartiles of paired "
        "ratios. On the dashed line all that FLOPs promise arrives.",
        alt="Time ratio against FLOPs ratio: zero filters lie at one, the others between "
        "there and the diagonal.",
        source=f"latency/{newest[device].run_id}",
        label=f"fig-clock-{number}",
    )
    display(picture)

# %% tags=["hide-input"]
told = []
for device, clock in clocks.items():
    at33, record = clock[clock["lrg_size"] == 33], newest[device]
    parts = [at33[at33["form"] == form] for form in ("full", "removed")]
    for claim, part in zip(("sec32-truncation-seconds", "sec32-removal-seconds"), parts, strict=True):
        for model, own in part.groupby("model", sort=False):
            worst = own.loc[own["arrived"].idxmin()]
            findings.observe(
                claim, value=worst["arrived"], low=worst["arrived_low"], high=worst["arrived_high"], over="draws",
                units=5, null=0, unit="fraction", record=record, domain=MODEL_NAMES[model],
                note=f"{MODEL_NAMES[model]}: {worst['arrived']:.0%} or more of the promised saving arrives ({device}).",
            )
        told.append(
            f"With {'truncation to LRG 33' if part is parts[0] else 'removal at that LRG'}, "
            f"{part['arrived'].min():.0%} to {part['arrived'].max():.0%} of the promised saving arrives ({device})."
        )

# %% tags=["hide-input"]
for device, clock in clocks.items():
    zero = clock[clock["form"] == "masked"]["time_ratio"]
    note = (
        f"Networks with zero filters take {zero.min():.2f} to {zero.max():.2f} "
        f"of the full network's time ({device})."
    )
    masked = clock[clock["form"] == "masked"]
    for model, own in masked.groupby("model", sort=False)["time_ratio"]:
        furthest = own[(own - 1).abs().idxmax()]
        findings.observe(
            "ours-zero-filters-cost-time", value=furthest, record=newest[device], domain=MODEL_NAMES[model], note=note
        )
    told.append(note)

# %% tags=["hide-input"]
if not clocks:
    for claim in (
        "sec32-truncation-seconds",
        "sec32-removal-seconds",
        "ours-zero-filters-cost-time",
    ):
        findings.not_run(claim, "no latency record of profile standard is present")
glue(
    "cost_clock",
    " ".join(told) or "No latency record is present; `experiments/latency.py` makes one.",
    display=False,
)

# %% [markdown]
# {glue:text}`cost_clock` Timings of a record made beside other programs say so in its notes.
#
# ## Do the networks learn from real pictures?
#
# The encoder here is EfficientNet-Lite0 with ImageNet weights that a package ships. Fine-tuned for a few hundred steps
# at 257 pixels, it is set against the simplest rival: each pixel gets the class that its colour had most often in
# training.

# %% tags=["hide-input"]
learnt = trained.read("networks", model="deeplabv3plus", seed=0, size=257)
learnt = trained.real(trained.plain(learnt))
homes = [m.network.home for m in learnt]
shown, tuned = None, views.class_table(
    [(h.test[0], h.scored, m.rows) for h, m in zip(homes, learnt, strict=True)]
)
if learnt:
    for m in learnt:
        findings.use(m.record)
    shown = show(
        draw.class_scores(tuned),
        caption="IoU per class on held-out pictures; where a set has several folds their "
        "mean, bars from the lowest to the highest.",
        alt="Bars per class and mean for the network and for two colour histograms.",
        source=", ".join(f"networks/{m.record.run_id}" for m in learnt),
        label="fig-finetune",
    )
shown

# %% tags=["hide-input"]
voc = [m for m in learnt if m.network.domain == "voc"]
if voc:
    last = tuned[tuned["class"] == "mean"]
    mean = last.pivot(index="dataset", columns="predictor", values="value")
    ratio = mean["network"] / mean.drop(columns="network").max(axis=1)
    scores = [
        f"{DATASET_NAMES[d]} {mean['network'][d]:.2f}, {ratio[d]:.1f} times colour's"
        for d in mean.index
    ]
    said = "; ".join(scores)
    findings.observe(
        "ours-network-beats-colour",
        value=ratio["voc2012"],
        null=1,
        domain="objects (PASCAL VOC, animals)",
        record=voc[0].record,
        note=f"mIoU {said}.",
    )
    glue("cost_tuned", f"mIoU {said}.", display=False)

# %% tags=["hide-input"]
if not voc:
    findings.not_run(
        "ours-network-beats-colour",
        "no record of a network trained on PASCAL at profile standard is present",
    )
    glue(
        "cost_tuned",
        "No record of a trained network is present; `experiments/networks.py` makes them.",
        display=False,
    )

# %% [markdown]
# {glue:text}`cost_tuned`
#
# ## What we found

# %% tags=["hide-input"]
findings.close()

# %% [markdown]
# ## Check yourself
#
# 1. Count a network of your own: `flops.count("deeplabv3plus", backbone="efficientnet_lite0", lrg_size=33)`. Which
#    part dominates, and how much can truncation save at best?
# 2. Change one field of `flops.Rule` and compare with Table 2. Which cells break first, and why those?
# 3. Why does removing filters of a bottleneck's last convolution save multiplications but no memory?
