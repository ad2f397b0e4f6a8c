# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # How good is the advice?
# You will know how good a grid is that is read off label maps alone, beside rules that know more or nothing.
#
# :::{admonition} The answer
# :class: tip
# The adviser reads off labels how small the decoder's grid may be for a tolerated loss of mIoU. It kept the tolerance
# in {glue:text}`av_kept_streets` cases on streets and in {glue:text}`av_kept_objects` on objects. Call *waste* the
# FLOPs too many plus the mIoU too few. Against always taking half of the grid the adviser changes the waste by
# {glue:text}`av_gap_objects` on objects and by {glue:text}`av_gap_streets` on streets. So it wastes less on objects
# and more on streets, and no rule from labels that beats half of the grid everywhere has been found here.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["remove-cell"]
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown
from myst_nb import glue

from specseg import figures
from specseg.advise import recommend
from specseg.evidence import ledger, records
from specseg.figures import loss as names
from specseg.figures import predictors as draw
from specseg.nets import networks, protocol
from specseg.study import advice as av
from specseg.study import predictor_cells as cells
from specseg.study import third_party

findings = ledger.open("85_advice_validated", profile=profile)
truncated = cells.truncation(cells.read())
advice = av.advice(truncated)
# %% tags=["remove-input"]
figures.show(
    draw.advice(advice),
    caption="The size of the grid that each rule names for a tolerated loss of 1, 2 and 5 % of the mIoU. Grey: sizes "
            "at which, and above which, the measured loss is within the tolerance.",
    alt="Three panels, one row per network: markers of four rules on an axis of grid sizes, and a grey bar from the "
        "smallest tolerable size to the whole grid.",
    source="records of truncation, loss_in_frequency and labels", label="fig-advice",
)
# %% [markdown]
# ## By hand
# The adviser's premise is that a network loses what its labels lose when they are cut to the waves that a smaller grid
# can carry. Both losses follow from counts of pixels hit, labelled and predicted: of labels against labels, and of a
# network against labels. The adviser names the smallest grid where the labels' loss is tolerable.
# %%
for name in ("voc", "camvid"):
    which = {"domain": name, "fold": 0, "size": 257}
    maps = records.load("labels", **which).probe()
    net = records.load("truncation", name=f"{name}-deeplabv3plus-f0-s0").probe()
    band = list(maps["kinds"]).index("band_mirrored")
    plain = np.isin(net["methods"], ["full", "bilinear"])
    parts = {"labels ": (maps["scored"], maps["counts"][band], maps["lrg_sizes"]),
             "network": (net["scored"], net["counts"][plain], net["lrg_sizes"][plain])}
    for who, (scored, counts, sizes) in parts.items():
        hit, labelled, predicted = counts[:, :, scored].sum(axis=1).transpose(2, 0, 1)
        miou = pd.Series((hit / (labelled + predicted - hit)).mean(axis=1), sizes)
        lost = 1 - miou / miou[65]
        print(name, who, *(f"{s} points: {lost[s]:.1%} lost " for s in (49, 33, 25, 17)))
    book = advice.query("domain == @name and model == 'deeplabv3plus' and "
                        "rule == 'adviser' and tolerance == 0.02").iloc[0]
    print(f"{name}: for 2 % the adviser names {book.lrg_size}, losing {book['drop']:.1%}")
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# The paper leaves open "how to determine the efficient band limit" and wishes to "estimate $\nu_{max}$ from the
# spectrum of groundtruth annotation" (section 4) {cite}`chen2020spectral`. {doc}`90_your_own_data` answers with a rule
# that was fixed before the first measured drop, and judges the claim there. Here is the evidence. It speaks against
# the rule if recommendations break their tolerance by more than a step, or if a rule that ignores the labels does as
# well.
# :::
#
# ## The rule, and what it rests on
# In the adviser's own words:
# %% tags=["remove-input"]
Markdown(f"> {recommend.RULE}\n>\n> {recommend.REASON}")
# %% [markdown]
# LRG is the low-resolution grid, *band* the waves that it can carry. No number in the rule was fitted to a drop, so
# every data set is unseen by it. Here it reads the labels of the test pictures, in the frame of the networks (257
# pixels, 65 points). Its rivals, each data set held out: lines in $R_{ce}$, the share of the network's loss beyond the
# band, and other rules of {doc}`80_predictors`. Three know nothing: always the whole grid, half of it, the smallest.
#
# ```{literalinclude} /lib/specseg/study/advice.py
# :pyobject: smallest
# ```
# %% tags=["remove-cell"]
(network,) = protocol.networks("smoke", group="landcover")
classes, sizes = network.data("test").classes, protocol.lrg_sizes((network.size - 1) // 4 + 1)
label_maps = torch.cat([labels for _, labels, _ in networks.test_batches(network, count=1)])
both = av.own_numbers(label_maps, len(classes), sizes, network.home.scored_indices(classes))
same = (both["adviser"] - both["records"]).abs().max()
glue("av_same", f"{same:.2%}", display=False)
# %% [markdown]
# The records count band-limited labels with void left out, the adviser fills void first. On scenes with void, measured
# here by both ways, their losses differ by at most {glue:text}`av_same` of the mIoU.
#
# ## Do networks lose what their labels lose?
# Each mark is a network at one size of the grid. Marks below the diagonal lose less than the labels: advice there is
# careful. Above it the advice is bold. The menu under the figure puts other numbers in the labels' place.
# %% tags=["remove-input"]
cut = truncated.table[~truncated.table["full"].astype(bool)]
factor = (cut["drop"] / cut["advice"]).where(cut["advice"] > 0.001).groupby(cut["kind"]).median()
for kind, times in factor.items():
    glue(f"av_factor_{kind}", f"{times:.1f}", display=False)
figures.show_plotly(
    draw.foreseen(truncated.table), label="fig-foreseen",
    caption="Measured loss of mIoU against what may foretell it, every network on every smaller grid.",
    alt="Marks of four networks on logarithmic axes, a dashed diagonal. With the labels' loss objects lie above it, "
        "streets a little below; with R_ce the networks of one data set lie apart; a menu changes the number.",
    source="records of truncation, loss_in_frequency and labels",
)
# %% [markdown]
# In the median a network on objects loses {glue:text}`av_factor_objects` times what its labels lose, and one on streets
# {glue:text}`av_factor_streets` times.
#
# ## Too careful and too bold
# A rule that names too large a grid wastes FLOPs, one that names too small a grid loses mIoU beyond the tolerance. The
# *waste* adds both: the share of FLOPs above the smallest tolerable grid's, and the loss of mIoU above the tolerance. A
# per cent of FLOPs then weighs as a per cent of mIoU, as in the paper's cost per mIoU. *Always the whole grid* never
# breaks a tolerance and pays for it here.
# %% tags=["remove-input"]
figures.show(
    draw.advice_costs(av.regrets(advice)),
    caption="Above: share of FLOPs beyond the smallest tolerable grid's. Below: loss of mIoU beyond the tolerance. "
            "Means over networks, with 95 % intervals; the best rule is at the left of both.",
    alt="Two panels with a row per rule and an interval per tolerance; the whole grid lies at the right above and at "
        "zero below, the smallest the other way round.",
    source="records of truncation, loss_in_frequency and labels", label="fig-costs",
)
# %% tags=["remove-input"]
mean = advice.assign(kept=advice["kept"].astype(float)).pivot_table(["loss", "kept"], "rule", "kind", sort=False)
table = pd.DataFrame({f"{word}, {kind}": mean[column, kind] for column, word in (("loss", "waste"), ("kept", "kept"))
                      for kind in ("objects", "streets")})  # fmt: skip
table = table.sort_values("waste, streets").rename_axis(None)
table.style.format("{:.1%}").format("{:.0%}", subset=["kept, objects", "kept, streets"]).set_properties(
    **{"font-weight": "bold"}, subset=([av.ADVISER, av.HALF], slice(None)))  # fmt: skip
# %% [markdown]
# Means over two networks and the tolerances of 1, 2 and 5 %; *kept*: cases within the tolerance. Bold: the two rules
# that the verdict compares. And the adviser's cases, one by one:
# %% tags=["remove-input"]
own = advice[advice["rule"] == av.ADVISER]
cases = own.assign(network=[names.who(r.domain, r.model) for r in own.itertuples()],
                   told=[f"{r.lrg_size} ({r.best}): {r.drop:.1%}" for r in own.itertuples()],
                   within=[f"{t:.0%} tolerated" for t in own["tolerance"]])  # fmt: skip
broken = cases.pivot(index="network", columns="within", values="kept").astype(bool)
cases.pivot(index="network", columns="within", values="told").style.apply(
    lambda _: np.where(broken, "", "font-weight: bold"), axis=None)
# %% [markdown]
# The size named, in brackets the smallest that the network allows, and the share of the mIoU lost. Bold: more than
# tolerated.
#
# ## The advice for whole label sets
# On record before any drop: what the adviser names from all maps of each set, in its own frame of 513 pixels. Its grid
# has 129 points there, the networks' 65, so sizes compare as shares of the grid. *Every pixel* scores void pixels too,
# with their nearest label: where a ribbon of void runs along each contour, as in PASCAL VOC, scores without void do not
# see what happens at contours, and the advice becomes bold.
# %% tags=["remove-input"]
others = third_party.able(third_party.read())
sets = av.whole_sets(records.find("advise_labels", profile="standard"), advice, others)
sets["set"], sets["tolerance"] = sets["set"].map(figures.SET_NAMES), sets["tolerance"].map("{:.0%}".format)
sets.columns = ["data set", "tolerated loss", "named", "named, every pixel", "our networks allow",
                "networks of others allow"]  # fmt: skip
sets.style.format("{:g}", subset=list(sets.columns[2:5]), na_rep="not measured").hide(axis="index")
# %% [markdown]
# The last column is the range over networks that others trained ({doc}`62_networks_of_others`), whose last features
# were cut to sizes that a grid of 129 points has. Some of them have 65 points at most: 0.5 is their own grid then.
# Labels ask for the same size whichever network comes, while the networks of one data set differ widely.
# %% [markdown]
# ## What is not resolved
# Intervals resample what was measured. They cannot say what other label sets, other networks or longer trainings would
# do: two data sets are no sample. A network trained with its smaller grid, as the paper may have done, may lose less.
# Land cover has no network yet that is much better than colour.
# %% tags=["remove-cell"]
for fact in av.open_question(truncated):
    kind = fact["domain"].split(" ")[0]
    glue(f"av_gap_{kind}", f"{fact['value']:+.1%} [{fact['low']:+.1%}, {fact['high']:+.1%}]", display=False)
    mine = own[own["kind"] == kind]["kept"].astype(bool)
    glue(f"av_kept_{kind}", f"{mine.sum()} of {len(mine)}", display=False)
moved = 0
for r in own.itertuples():
    at = truncated.table[truncated.table["setup"] == r.setup]
    moved += av.smallest(at["lrg_size"].to_numpy(int), at["advice"].to_numpy(float), r.tolerance) != r.lrg_size
glue("av_middle", f"{moved} of {len(own)}", display=False)
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Let the adviser take the middle of the interval in place of its unfavourable end. How many sizes change?
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`av_middle`: with so many label maps the interval is narrow against the steps of the grid.
# :::
#
# 2. Run `specseg advise` on your own labels with `--size 257` and with 513. Is the recommended *share* of the grid the
#    same?
#
# :::{admonition} Answer
# :class: dropdown
# Only if nothing in your maps is thinner than a pixel of the smaller frame. Shrinking removes thin things before the
# adviser looks, so that it becomes bolder. Give it the frame that your network sees.
# :::
