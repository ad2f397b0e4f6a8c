# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Feature truncation and pruning
# You will know what a smaller grid in the decoder costs a trained network in each kind of scene, whether pruning
# changes that cost, and which grid size pays best under four ideas of cost.
#
# :::{admonition} The answer
# :class: tip
# Half of the decoder's grid costs a trained network on objects {glue:text}`cut_small` of its mIoU, less than two
# trainings of it differ by, and on streets {glue:text}`cut_more` points more. The smallest cost per mIoU lies between a
# quarter and a half of the grid, as printed. What half of the grid costs on land cover we cannot say: our networks
# there are barely better than colour. Whether pruning changes it is open, since no network pruned by the present
# protocol has been measured.
# :::
#
# :::{admonition} What is claimed
# :class: claim
# Table 4, Figs 4 and 8: it is possible "to keep the performance of SSNNs while reducing the feature size" (1); the
# drop is "significantly larger" on streets (A.10) and "is not affected by network pruning"; "most of the optimal LRGs
# lie in the range between 33 and 65" (3.2) {cite}`chen2020spectral`. What would refute it: drops above the margins
# stated in the ledger, another order of the scenes, or optima elsewhere.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import HTML, display
from myst_nb import glue

from specseg import figures
from specseg.evidence import ledger, records
from specseg.figures import loss as names
from specseg.figures import truncation as draw
from specseg.nets import protocol
from specseg.study import cost, fpi, gate, spot, trained
from specseg.study import loss as loss_tables
from specseg.study import truncation as tables

findings = ledger.open("70_truncation_and_pruning", profile=profile)
findings.banner()
# %% tags=["hide-input"]
every = trained.read("truncation")
found, scored = trained.real(every), trained.read("networks")
rated = trained.real(trained.plain(trained.read("loss_in_frequency")))
source = f"{len(found)} records of truncation, profile standard"
if not found:
    made = spot.measure(protocol.networks("smoke")[0])
    found, scored, rated = [made["truncation"]], [made["networks"]], [made["loss_in_frequency"]]
    source = "pipeline check: one tiny committed network measured on this page"
pools, base = trained.pools(found), trained.pools(trained.plain(found))
witness, ratios = trained.witness(found), gate.quality(scored)
drops = gate.marked(trained.drops(found), pools, ratios)
bilinear = drops[drops["method"].isin(["full", "bilinear"])]
plain = bilinear[(bilinear[["prune_encoder", "prune_decoder", "trained_lrg"]] == 0).all(axis=1)]
# %% tags=["hide-input"]
printed = tables.printed()
figures.show(
    draw.drops_beside(plain, printed[printed["prune_rate"] == 0]),
    caption="Relative mIoU-drop of unpruned networks whose decoder works on a smaller grid. Above: Table 4 of the "
            "paper. Below: ours, truncated after training, with 95 % intervals over pictures, tiles or stretches of a "
            "drive (and three seeds of DeepLab v3+ on PASCAL VOC). "
            "Grey: networks barely better than colour, which set no verdict.",
    alt="Two panels, drop over grid size, a line a domain and model; in the paper's, streets rise first and highest.",
    source=source, label="fig-drops",
)
# %% [markdown]
# ## What is measured
# Every network of the committed protocol that this page can use, measured or not. Objects are the animal part of
# PASCAL VOC (three seeds), land cover is Dubai (four folds), streets are CamVid (three folds that leave a drive out).
# Folds' pictures are pooled before the IoU is taken, as a data set's IoU is; intervals resample clusters of pictures
# and seeds.
# %% tags=["hide-input"]
cells = trained.cells_table("truncation", found=every)
state = cells.groupby("group", sort=False)["measured"].agg(["sum", "size"])
state.columns = ["networks with a record", "networks in the protocol"]
left = (state.iloc[:, 1] - state.iloc[:, 0])[lambda n: n > 0]
left = ", ".join(f"{group} ({n} of {state.loc[group].iloc[1]})" for group, n in left.items())
glue("cut_missing", left or "none", display=False)
listed = cells.assign(record=cells["run_id"].where(cells["measured"], "none yet"))
listed = listed[["group", "name", "trained in", "record"]]
glue("cut_source", source, display=False)
display(state)
HTML(f"<details><summary>All {len(listed)} networks and their records</summary>{listed.to_html(index=False)}</details>")
# %% [markdown]
# Shown on this page: {glue:text}`cut_source`. Without a record so far: {glue:text}`cut_missing`.
#
# ## Are the networks worth truncating?
# A drop says little of a network that has learnt nothing. The rival sees each pixel's colour alone
# ({doc}`55_networks_and_cost` has every class). Boundary mIoU counts pixels within 2 % of the frame's diagonal of a
# contour.
# %% tags=["hide-input"]
quality = tables.quality(trained.plain(found), scored)
quality.index = [names.who(*i) for i in quality[["domain", "model"]].to_numpy()]
quality["95 %"] = [f"{r.low:.3f} to {r.high:.3f}" for r in quality.itertuples()]
twice = {word: ", ".join(quality.index[at]) for word, at in (
    ("at least", quality["ratio"] >= 2), ("less than", quality["ratio"] < 2)) if at.any()}
glue("cut_twice", " ".join(f"{word.capitalize()} twice the histogram: {v}." for word, v in twice.items())
     or "No record has the histogram's score yet.", display=False)
shown = quality[["value", "95 %", "colour", "ratio", "boundary", "n", "clusters", "folds", "seeds"]]
shown.columns = ["mIoU", "95 %", "colour histogram", "ratio", "boundary mIoU", "pictures", "clusters", "folds", "seeds"]
numbers = ["mIoU", "colour histogram", "ratio", "boundary mIoU"]
shown.style.format("{:.3f}", subset=numbers, na_rep="").format("{:.1f}", subset=["ratio"], na_rep="")
# %% [markdown]
# {glue:text}`cut_twice` The ratio is that of the means over folds and seeds, since the histogram's counts are not kept;
# the mIoU beside it is pooled over folds. Intervals rest on as many clusters as the table says.
#
# ## Table 4 beside ours
# Absolute mIoUs of other networks on other data say nothing here; drops can be compared. The columns are shares of the
# prediction grid: 129 in the paper, 65 here, so that 0.5 is the paper's 65 and our 33.
# %% tags=["hide-input"]
table = tables.side_by_side(drops).rename(columns="{:g}".format)
table.rename(index=names.DOMAIN_NAMES, level="domain").style.format("{:.1%}", na_rep="")
# %% [markdown]
# Half of the grid costs: {glue:text}`cut_drop_small`
#
# {glue:text}`cut_monotone`
#
# Streets against the others, at the share where the difference is smallest: {glue:text}`cut_streets_larger` The labels
# of land cover lose more in whole pictures shrunk to 257 pixels than in native windows, so Dubai's drop is one of scale
# before it is one of scenes; and its networks do not pass the gate.
#
# Folds differ as much as setups. {doc}`80_predictors` has every network by itself, DAN beside DeepLab v3+ on its fold.
#
# ## Pruning
# Soft filter pruning at 60 % in the encoder and 20 % in the decoder, as the paper combines them: at a rate that rises
# from nothing to these, after every epoch and after the last step, so that the filters are zero when the network is
# measured ({doc}`../../method`). In Table 4 the decoder is pruned in every row but the first, so the first step of the
# rate changes two things at once; networks whose decoder alone is pruned take them apart. Each pruned network is
# compared with its unpruned parent on the same pictures. {glue:text}`cut_rates`
# %% tags=["hide-input"]
effects = tables.pruning_effects(pools)
columns = {"prune_encoder": "encoder", "prune_decoder": "decoder", "cost": "mIoU lost by pruning",
           "parent": "drop at half, unpruned", "own": "drop at half, pruned", "value": "difference", "low": "low",
           "high": "high"}  # fmt: skip
if len(effects):
    shown = effects[["domain", "model", *columns]].rename(columns=columns)
    shown = shown.replace({"domain": names.DOMAIN_NAMES, "model": names.MODEL_NAMES})
    display(shown.style.format("{:.1%}", subset=list(columns.values())).hide(axis="index"))
# %% tags=["hide-input"]
rates = [r for r in (0.2, 0.4, 0.6) if r in set(drops["prune_encoder"])]
if rates:
    pruned = {f"{rate:.0%}": tables.side_by_side(drops, rate) for rate in rates}
    table = pd.concat(pruned, names=["encoder pruned"]).rename(index=names.DOMAIN_NAMES, level="domain")
    display(table.rename(columns="{:g}".format).style.format("{:.1%}", na_rep=""))
make = "specseg sweep run truncation --profile standard --only voc-prune_encoder0.6-prune_decoder0.2"
none = f"No network whose encoder is pruned by this protocol has been measured yet; `{make}` makes one."
glue("cut_rates", f"Rates in the encoder with a record: {', '.join(f'{r:.0%}' for r in rates)}." if rates else
     f"{none} Records of an earlier protocol are withdrawn; the page of runs says why.", display=False)
# %% [markdown]
# ## Fig. 8 redrawn: score and cost
# Cost is that of Table 2, for the paper's networks and for ours at the same share of the grid, relative to the
# unpruned full network; so is the mIoU.
# %% tags=["hide-input"]
clock = [r for r in records.find("latency") if r.profile == "standard"]
costs = pd.concat([fpi.costs(findings.use(clock[-1]).rows if clock else None), fpi.own_costs(pools)])
ours, theirs = fpi.values(pools, costs), fpi.printed_values(costs)
both = [fpi.relative_scores(rows, costs) for rows in (ours, theirs)]
figures.show(
    draw.cost_and_score(gate.marked(both[0], pools, ratios), both[1]),
    caption="mIoU over cost as parts of the unpruned full network's, a line a pruning rate (number at its "
            "dearest end). Dashed black: the paper's Table 4; coloured, or grey where untrained: ours.",
    alt="Panels by kind of scene and model. Lines bend down at their left end, where the grid is smallest.",
    source=source, label="fig-cost-score",
)
# %% [markdown]
# ## Fig. 4 redrawn: which grid pays
# FPI is cost over mIoU; the LRG of least FPI is the paper's choice. What is *cost*? Table 2 counts an encoder of output
# stride 32, which makes the decoder dear ({doc}`55_networks_and_cost`); at the stride 16 that the paper describes the
# encoder weighs more; our own networks have a small encoder; and a clock counts what FLOPs do not.
# %% tags=["hide-input"]
known = [c for c in (fpi.PRINTED, fpi.STRIDE16, fpi.OWN, fpi.SECONDS) if c in set(costs["cost"])]
unpruned = {who: rows[rows["prune_rate"] == 0] for who, rows in (("paper", theirs), ("ours", ours))}
panels = [("the paper's mIoU, printed FLOPs", unpruned["paper"][unpruned["paper"]["cost"] == fpi.PRINTED])]
panels += [(f"our mIoU, {c}", unpruned["ours"][unpruned["ours"]["cost"] == c]) for c in known]
figures.show(
    draw.fpi(pd.concat(unpruned.values()), [(n, gate.marked(rows, pools, ratios)) for n, rows in panels]),
    caption="FPI over the LRG size, relative to the full grid's, cut at 1.15; stars: the least. Yellow: a quarter to a "
            "half, the paper's 33 to 65. Seconds: paired time ratios of the latency record (ResNet-101, 513 pixels).",
    alt="Panels one above the other, the first from the paper's numbers, the others from ours under different costs; "
        "each curve has a star at its minimum.",
    source=source, label="fig-fpi",
)
# %% tags=["hide-input"]
keys = ["cost", *tables.KEYS, "prune_rate"]
best = pd.concat([cost.optima(rows, keys).assign(who=who) for who, rows in (("paper", theirs), ("ours", ours))])
best = best[best["sizes"] == len(draw.SHARES)]  # pruned networks were timed at three sizes only
inside = best.assign(inside=best["share"].between(0.25, 0.5), near=best["margin"] < 0.01)
own_for_paper = (inside["who"] == "paper") & (inside["cost"] == fpi.OWN)  # the paper's scores are other networks'
summary = inside[~own_for_paper].groupby(["who", "cost"], sort=False).agg(
    setups=("inside", "size"), inside=("inside", "sum"), flat=("near", "sum"))
summary.columns = ["setups", "optimum between a quarter and a half", "runner-up within 1 %"]
mine = inside[(inside["who"] == "ours") & (inside["cost"] == fpi.PRINTED)]
told = tables.observations(pools, ratios, mine)
summary
# %% tags=["hide-input"]
moved = best[best["who"] == "ours"].pivot_table("share", [*tables.KEYS, "prune_rate"], "cost")
chosen = moved[known].reset_index().replace({"domain": names.DOMAIN_NAMES, "model": names.MODEL_NAMES})
chosen = chosen.drop(columns="kind").rename(columns={"prune_rate": "pruned"})
for key, claim in (("drop_small", "tab4-drop-small-r3"), ("monotone", "tab4-monotone-r3"),
                   ("streets_larger", "tab4-streets-larger-r3"), ("optima", "fig4-optima-r3"),
                   ("gaps", "tab4-fourier-like-bilinear"), ("encoder", "sec32-arbitrary-features")):  # fmt: skip
    words = "; ".join(gate.told(t) for t in told[claim])
    glue(f"cut_{key}", f"{words}." if words else "No setup with a record yet.", display=False)
for key, claim in (("small", "tab4-drop-small-r3"), ("more", "tab4-streets-larger-r3")):
    glue(f"cut_{key}", gate.span(told[claim], "{:.1%}"), display=False)
chosen.style.format("{:g}", subset=known, na_rep="").format("{:.0%}", subset=["pruned"]).hide(axis="index")
# %% [markdown]
# The best share of the grid in each setup, by cost. With the printed costs {glue:text}`cut_optima`
#
# ## Is it the high frequencies that are removed?
# Bilinear down-sampling leaves out grid points and folds high frequencies back; an ideal low pass to the same grid
# removes them. If truncation is what the paper says it is, both cost the same. Two other conventions of bilinear
# resizing stand beside, and one feature of the encoder (the last at stride 8) taken to half of its grid and back.
# %% tags=["hide-input"]
half = plain[["domain", "model", "grid"]].drop_duplicates()
others = drops.merge(half.assign(lrg_size=(half["grid"] + 1) // 2)[["domain", "model", "lrg_size"]])
encoder = drops[drops["method"] == "encoder"]
ways = pd.concat([others[others["method"] != "encoder"], encoder])
ways = ways[(ways[["prune_encoder", "prune_decoder", "trained_lrg"]] == 0).all(axis=1)]
figures.show(
    draw.methods(ways),
    caption="Relative mIoU-drop at half of the prediction grid by each way of resizing, and of one encoder feature at "
            "half of its own grid; 95 % intervals.",
    alt="Five rows of marks with intervals, one row a way of truncating, one mark a domain and model.",
    source=source, label="fig-methods",
)
# %% tags=["hide-input"]
ways.pivot_table("value", ["domain", "model"], "method").rename(index=names.DOMAIN_NAMES).style.format("{:.2%}")
# %% [markdown]
# Bilinear minus ideal low pass, at half of the grid: {glue:text}`cut_gaps` The encoder's feature:
# {glue:text}`cut_encoder`
#
# ## Where the drop is
# Theory puts it at contours ({doc}`40_boundary_iou`). The relative drop of the boundary mIoU beside that of the mIoU:
# %% tags=["hide-input"]
edges = gate.marked(tables.boundary_drops(base), base, ratios)
figures.show(
    draw.boundaries(edges),
    caption="Relative drop of mIoU and of boundary mIoU (dotted) over the LRG size.",
    alt="A panel a domain with rising curves as the grid shrinks; dotted curves are those of boundaries.",
    source=source, label="fig-boundaries",
)
# %% tags=["hide-input"]
at = edges[edges["share"] == 0.25].pivot_table("value", ["domain", "model"], "metric")
at["ratio"] = at["boundary mIoU"] / at["mIoU"]
listed = ", ".join(f"{r.ratio:.1f} ({names.who(*r.Index)})" for r in at.itertuples() if np.isfinite(r.ratio))
glue("cut_edges", listed or "not measured", display=False)
again = tables.retrained(pools)
glue("cut_again", "No network trained at the smaller grid has a record yet, so all drops here are of truncation after "
     "training." if again.empty else "Trained at the smaller grid the drop is the following.", display=False)
columns = ["domain", "model", "lrg_size", "truncated", "trained", "low", "high"]
pd.DataFrame(again, columns=columns).style.format("{:.1%}", subset=columns[3:]).hide(axis="index")
# %% [markdown]
# At a quarter of the grid the boundary's drop is so many times the mIoU's: {glue:text}`cut_edges`.
#
# The paper does not say whether its networks were trained at the smaller grid. {glue:text}`cut_again`
#
# ## Fig. 5's axes
# Drop against $R_{ce}$ at the LRG's band limit, the paper's six curves and ours. Whether one predicts the other, and
# better than what needs no network, is the question of chapter 80; no line is fitted here.
# %% tags=["hide-input"]
rates = trained.rates(rated)
ours_rce, mirrored = (
    gate.marked(tables.against_rates(plain, loss_tables.main_reading(rates, v)), base, ratios)
    for v in ("periodic", "mirrored")
)
theirs_rce = tables.against_rates(printed[printed["prune_rate"] == 0], loss_tables.printed())
figures.show(
    draw.rate_and_drop({"ours": ours_rce, "ours, frame mirrored": mirrored}, theirs_rce),
    caption="Relative mIoU-drop against R_ce. Above: Tables 1 and 4 of the paper, unpruned. Below: ours in the main "
            "reading, and with the frame mirrored.",
    alt="Three panels with rising curves, one a domain and model.",
    source=source, label="fig-drop-rate",
)
# %% [markdown]
# ## What we found
# Networks that fail the gate stand in the tables and set no verdict. Retrained grids, more seeds
# and more pruned networks would narrow the intervals; the paper's own networks would decide its own numbers.
# %% tags=["hide-input"]
why = {"fig4-optima-insensitive-r3": none, "sec32-pruning-leaves-drop-r3": none,
       "tab4-streets-larger-r3": "no model has streets and another kind yet"}  # fmt: skip
findings.not_run("tab4-values-r4", "the paper's data sets and its trainings of ResNet-101 are not at hand; the setting "
                                   "is complete: specseg sweep run truncation --profile paper")
for claim, observations in told.items():
    for observation in observations if witness else ():
        findings.observe(claim, record=witness, **observation)
    if not (observations and witness):
        findings.not_run(claim, why.get(claim, "no baseline has a record of profile standard yet"))
findings.close()
# %% [markdown]
# ## Check yourself
# 1. Multiply every FPI of one network by a constant. Why does the best LRG stay, and what if the mIoU moves instead?
# 2. The drop of a class of thin things starts at a larger grid than that of large things. Which of your classes is it?
# 3. Why may an ideal low pass cost *more* than bilinear resizing, though it keeps exactly the band?
