# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # The loss of trained networks in frequency
# You will know how much of a trained network's cross-entropy lies beyond a band limit, how far that number depends on
# choices which the paper leaves open, and whether training takes low frequencies first.
#
# :::{admonition} The answer
# :class: tip
# Beyond the band limit of its own prediction grid a trained network has little of its loss: {glue:text}`loss_beyond`.
# Most of even that is the edge where the transform glues the frame's sides together: with the frame mirrored
# {glue:text}`loss_mirrored` of it is left. Whether training takes low frequencies *first* our snapshots cannot tell,
# and that it lowers them *most* is as true of a network that learns nothing but how common each class is. Snapshots
# within the first twentieth of a training would decide it.
# :::
#
# :::{admonition} What is claimed
# :class: claim
# Fig. 1 and Table 1: labels and logits "consist of more low-frequency power"; $L_{ce}(\nu)$ is small above the
# prediction grid; its low frequencies decrease "more aggressively in training"; $R_{ce}$ decreases "by about a factor
# of 10" to $\nu_{max} = 32$ and is much larger on streets (section 3.1) {cite}`chen2020spectral`. What would refute
# it: a domain where the order is another, or bands that are learnt together.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML, display
from myst_nb import glue
from scipy import stats

from specseg import figures
from specseg.evidence import ledger
from specseg.figures import loss as draw
from specseg.nets import protocol
from specseg.study import gate, learning, spot, trained
from specseg.study import loss as loss_tables

findings = ledger.open("60_loss_in_frequency", profile=profile)
findings.banner()
# %% tags=["hide-input"]
every = trained.read("loss_in_frequency")
found, scored = trained.real(trained.plain(every)), trained.read("networks")
source, recorded = f"{len(found)} records of loss_in_frequency, profile standard", bool(found)
if not recorded:
    made = spot.measure(protocol.networks("smoke")[0])
    found, scored = [made["loss_in_frequency"]], [made["networks"]]
    source = "pipeline check: one tiny committed network measured on this page"
pools = trained.pools(found)
ratios, spectra = gate.quality(scored), ("labels", "logits")
rates = gate.marked(trained.rates(found), pools, ratios)
main, mirrored = (loss_tables.main_reading(rates, v) for v in ("periodic", "mirrored"))
limit = loss_tables.grid_limit(pools[0])
# %% tags=["hide-input"]
figures.show(
    draw.rate_curves(*(r[r["nu_max"].isin(protocol.LIMITS)] for r in (main, mirrored)), loss_tables.printed(), limit),
    caption="R_ce against the band limit. Above: Table 1 of the paper, 513 pixels. Below: ours, "
            f"{pools[0].setup.size} pixels, 95 % intervals over pictures, tiles or stretches of a drive (and three "
            "seeds of DeepLab v3+ on PASCAL VOC). Thin dots: the frame mirrored. Vertical: our grid's band limit. "
            "Grey: networks barely better than colour, which set no verdict.",
    alt="Two log-log panels of falling curves, one a domain and model; in the paper's, streets lie far above the rest.",
    source=source, label="fig-rce",
)
# %% [markdown]
# ## What is measured
# Every network of the committed protocol has its place in the table below, measured or not; the page shows what has a
# record and picks up the rest when it comes. Objects are the animal part of PASCAL VOC, land cover is Dubai, streets
# are CamVid. Frames: short side scaled, centre crop, void masked exactly. Baselines of these three are compared here;
# pruned networks and those trained on blocks serve the next chapters.
# %% tags=["hide-input"]
cells = trained.cells_table("loss_in_frequency", found=every)
state = cells.groupby("group", sort=False)["measured"].agg(["sum", "size"])
state.columns = ["networks with a record", "networks in the protocol"]
left = (state.iloc[:, 1] - state.iloc[:, 0])[lambda n: n > 0]
left = ", ".join(f"{group} ({n} of {state.loc[group].iloc[1]})" for group, n in left.items())
glue("loss_missing", left or "none", display=False)
listed = cells.assign(record=cells["run_id"].where(cells["measured"], "none yet"))
listed = listed[["group", "name", "trained in", "record"]]
glue("loss_source", source, display=False)
glue("loss_limit", f"{limit}", display=False)
display(state)
HTML(f"<details><summary>All {len(listed)} networks and their records</summary>{listed.to_html(index=False)}</details>")
# %% [markdown]
# Shown on this page: {glue:text}`loss_source`. Without a record so far: {glue:text}`loss_missing`.
#
# ## Fig. 1, row by row
# The frequencies of one **rim**, $\max(|u|, |v|) = \nu$, stand together. Powers are means over a rim's bins, divided by
# the largest as in footnote 3; $L_{ce}$ is the sum of its real parts over a rim, since the imaginary parts cancel and
# only the sum adds up to the loss. The paper plots magnitudes and so hides the sign, which matters most:
# the zero frequency is positive and nearly all others are negative ({doc}`30_cross_entropy`).
# %% tags=["hide-input"]
figures.show(
    draw.five_rows(gate.marked(loss_tables.profiles(pools), pools, ratios), main, limit),
    caption="The five rows of Fig. 1 for our networks. Dotted vertical: the prediction grid's band limit "
            f"({limit}). Rows 3 and 4 have a signed logarithmic scale.",
    alt="Five panels below one another, a line a domain and model: two falling power spectra, two signed profiles of "
        "the loss around a line at zero, and falling R_ce.",
    source=source, label="fig-five-rows",
)
# %% tags=["hide-input"]
half = limit // 2
ends = pd.DataFrame([{
    "who": draw.who(p.setup.domain, p.setup.model),
    **{f"{q} within {half}": learning.share_within(learning.pooled_rims(p, f"{q}_rim"), half) for q in spectra},
    "logits beyond grid": 1 - learning.share_within(learning.pooled_rims(p, "logits_rim"), limit),
    "trained": "no" if "left_out" in p.observed(ratios) else "yes",
} for p in pools]).set_index("who")  # fmt: skip
ends.style.format("{:.3f}", subset=[c for c in ends if c != "trained"])
# %% [markdown]
# | row of Fig. 1 | the paper's words | what the table and the figure above test |
# |---|---|---|
# | 1, 2 | "consist of more low-frequency power" | share of the power, zero left out, within half of the grid's limit |
# | 2 | "very small in the high-frequency region" | share of the logits' power beyond the grid's limit |
# | 3 | "leads to small $L_{ce}(\nu)$" | $R_{ce}$ at the grid's limit |
# | 4 | "decreases more aggressively" | fall of each band, below |
# | 5 | "changes rapidly when $\nu > 8$" | Table 1, below |
#
# Up-sampled logits are images of a small grid. What they keep beyond its limit are the corners of the bilinear
# interpolation and the jump where the DFT glues the frame's edges.
# %% [markdown]
# ## Table 1 beside ours
# The networks differ (ResNet-101 at 513 pixels there, EfficientNet-Lite0 here), so equal numbers are not expected.
# What can agree is the shape: falling, by how much, and the order of the domains. Ours in the main reading: periodic
# frame, ratio of the means over the test set.
# %% tags=["hide-input"]
table = loss_tables.side_by_side(rates)
table.rename(index=draw.DOMAIN_NAMES, level="domain").style.format("{:.3f}", na_rep="")
# %% tags=["hide-input"]
told = loss_tables.observations(pools, rates, ratios) | learning.observations(found, scored)
for claim in ("tab1-decreasing-r3", "tab1-factor-of-ten-r3", "tab1-streets-larger-r3"):
    words = "; ".join(gate.told(o) for o in told[claim])
    glue(claim.replace("-", "_"), words or "no model has streets and another kind yet", display=False)
glue("loss_beyond", gate.span(told["fig1-loss-beyond-grid-small"], "{:.1%}"), display=False)
factors = [loss_tables.factor(p, variant="mirrored")["value"] for p in pools]
glue("loss_factor_mirrored", f"{min(factors):.0f} to {max(factors):.0f}", display=False)
# %% [markdown]
# $R_{ce}$ rises in these steps to a lower limit: {glue:text}`tab1_decreasing_r3`.
#
# From 8 to 32 it falls by these factors: {glue:text}`tab1_factor_of_ten_r3`. A glued edge alone would give 4. With the
# frame mirrored the factors are {glue:text}`loss_factor_mirrored`.
#
# Streets beside the other kinds, at the limit where the ratio is smallest: {glue:text}`tab1_streets_larger_r3`.
#
# ## Every reading
# Eq. 10 leaves five things open: how the frame is continued, what is averaged, how confident the network is, what void
# means, and how a picture meets the frame. The same networks, the same pictures:
# %% tags=["hide-input"]
show_at = [n for n in (8, 32) if n in set(rates["nu_max"])]
figures.show(
    draw.readings(rates[rates["model"] == pools[0].setup.model], show_at),
    caption=f"R_ce of {draw.MODEL_NAMES[pools[0].setup.model]} in every reading. Full: ratio of means; "
            "hollow: mean of the pictures' ratios. Calibrated: logits divided by the temperature of least loss in "
            "training.",
    alt="Two panels with one row of marks a reading: R_ce on a logarithmic axis, a full and a hollow mark a domain.",
    source=source, label="fig-readings",
)
# %% tags=["hide-input"]
spread = rates.groupby(["domain", "model", "nu_max"])["value"].agg(lambda v: v.max() / v[v > 0].min()).unstack("nu_max")
at32 = rates[rates["nu_max"] == 32].pivot_table("value", ["domain", "model"], ["average", "variant"])["ratio_of_means"]
glue("loss_spread", f"{spread[32].min():.1f} to {spread[32].max():.1f}", display=False)
left = at32["mirrored"] / at32["periodic"]
glue("loss_mirrored", f"{left.min():.1%} to {left.max():.1%}", display=False)
heat = [float(m.arrays["temperature"]) for m in found]
glue("loss_temperature", f"{min(heat):.2f} to {max(heat):.2f}", display=False)
relative = at32.div(at32["periodic"], axis=0).drop(columns="periodic")
relative.index = [draw.who(*i) for i in relative.index]
relative.rename_axis(columns="R_ce(32) over the main reading's").style.format("{:.3f}", na_rep="")
# %% [markdown]
# At $\nu_{max} = 32$ the largest reading is {glue:text}`loss_spread` times the smallest. Mirroring the frame, which
# removes the glued edge, leaves {glue:text}`loss_mirrored` of the periodic value: the numbers of this page in the main
# reading are mostly that edge, which no network can do anything about. The calibrated temperatures are
# {glue:text}`loss_temperature`. A number such as those of Table 1 cannot be compared with another before all five
# choices are stated; verdicts here use the main reading alone, which was fixed before the first network was trained.
# %% [markdown]
# ## Does each band learn at its own speed?
# At seven snapshots of every baseline's training the loss was taken apart on the same test pictures. Left: nats in each
# band, with the whole loss dashed. Right: the part of its final change that each band has made.
# %% tags=["hide-input"]
courses = gate.marked(learning.courses(found), pools, ratios)
figures.show(
    draw.learning(courses[courses["model"] == pools[0].setup.model], tuple(learning.BANDS)),
    caption="The loss of each band of frequencies during training; thin lines are single folds or seeds.",
    alt="Two panels a domain. Left: the loss of four bands and of all in nats. Right: four curves from zero to one; "
        "where one first crosses the dotted half is its band's half-time.",
    source=source, label="fig-learning",
)
# %% tags=["hide-input"]
learnt = learning.learnt(found)
means = learnt.groupby(["domain", "model"], sort=False).mean(numeric_only=True)
means.index = [draw.who(*i) for i in means.index]
falls = means[[f"fall {b}" for b in learning.BANDS]].rename(columns=lambda c: c.replace("fall", "fall,"))
halves = means[[f"half {b}" for b in learning.BANDS]].rename(columns=lambda c: c.replace("half", "half-time,"))
display(falls.style.format("{:+.2f}"))
display(halves.style.format("{:.1%}"))
# %% [markdown]
# *fall*: loss of the band before training minus after, in units of the first cross-entropy; negative: it rose.
# *half-time*: part of the training after which a band has first made half of its change.
#
# Theorem: $L_{ce}(0)$ is at least the entropy of the picture's class histogram, whatever the network
# ({doc}`30_cross_entropy`). So training can lower the loss beyond that entropy only by making the other frequencies
# negative. Here $L_{ce}(0)$ goes from {glue:text}`loss_zero_first` to {glue:text}`loss_zero_last` nats on average.
# {glue:text}`loss_order`
# %% tags=["hide-input"]
glue("loss_zero_first", f"{learnt['zero at first'].mean():.2f}", display=False)
glue("loss_zero_last", f"{learnt['zero at last'].mean():.2f}", display=False)
first = learnt[[f"half {b}" for b in learning.BANDS]].idxmin(axis=1).str.removeprefix("half ")
most = learnt[[f"fall {b}" for b in learning.BANDS]].idxmax(axis=1).str.removeprefix("fall ")
counts = {"comes first to its half": first.value_counts(), "falls most": most.value_counts()}
listed = [f"The band that {what}: " + ", ".join(f"{b} ({n} of {len(learnt)} trainings)" for b, n in c.items()) + "."
          for what, c in counts.items()]
glue("loss_order", " ".join(listed), display=False)
# %% [markdown]
# ## Loss and IoU
# The paper's argument needs that a lower cross-entropy means a higher IoU (2.1, A.4). Over the snapshots of one
# training both follow the same progress, so a strong correlation is a weak test. Over the test pictures of one trained
# network it is a harder one: a picture's loss depends on its contours and on how sure the network is where it errs.
# %% tags=["hide-input"]
pictures = gate.marked(learning.pictures([m for m in found if m.network.seed == 0], scored), pools, ratios)
figures.show(
    draw.loss_and_iou(courses, pictures),
    caption="mIoU against cross-entropy: over the snapshots of each training, and IoU against cross-entropy of single "
            "test pictures.",
    alt="Above: a line a training from its start (a cross) to its end. Below: one mark a test picture.",
    source=source, label="fig-loss-iou",
)
# %% tags=["hide-input"]
lines = []
for (name, model), part in pictures.groupby(["domain", "model"], sort=False) if len(pictures) else []:
    rank = stats.spearmanr(part["loss"], part["iou"]).statistic
    over = learnt[(learnt["domain"] == name) & (learnt["model"] == model)]["correlation"].mean()
    lines.append({"who": draw.who(name, model), "over snapshots": over, "over test pictures": rank,
                  "pictures": len(part)})  # fmt: skip
correlations = pd.DataFrame(lines, columns=["who", "over snapshots", "over test pictures", "pictures"])
correlations.set_index("who").style.format("{:+.2f}", subset=["over snapshots", "over test pictures"])
# %% [markdown]
# Rank correlations of cross-entropy with IoU. A picture's IoU is the mean over the scored classes that it or its
# prediction shows.
#
# ## What we found
# A claim about every domain is judged once a baseline of each kind of scene has a record, in the main reading. More
# seeds, another backbone or the paper's own data may change a verdict that says "in kind"; other readings of
# $R_{ce}$ can move every value of Table 1, as shown above.
# %% tags=["hide-input"]
for claim, observations in told.items():
    for observation in observations if recorded else ():
        findings.observe(claim, record=trained.witness(found), **observation)
    if not (observations and recorded):
        findings.not_run(claim, "no record of the setups that it speaks of (experiments/loss_in_frequency.py)")
findings.not_run("tab1-values-r4", "the paper's data sets and its trainings of ResNet-101 are not at hand; the setting "
                                   "is complete: specseg sweep run loss_in_frequency --profile paper")
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Divide all logits of a network by 3. Which of the five rows change, and does one prediction?
# 2. The wrap of the frame alone gives a tail like $1/\nu_{max}$. Which of the paper's curves fall like that above 24?
# 3. When does a band above zero *rise* in training? (Think of a network that is sure and wrong at a contour.)
