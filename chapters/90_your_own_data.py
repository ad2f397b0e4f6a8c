# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Your own data set
# You will know which grid and which block size your own label maps allow, what that saves, and what it is worth.
#
# :::{admonition} The answer
# :class: tip
# One command reads a folder of label maps and names the smallest low-resolution grid (LRG) for a network's decoder, and
# the largest blocks for annotation, that lose no more mIoU than you tolerate. If that is 2 %, it names
# {glue:text}`advise_voc2012` points a side for PASCAL VOC and {glue:text}`advise_camvid` for CamVid. Call *waste* the
# FLOPs too many plus the mIoU too few: against always taking half of the grid the advice changes it by
# {glue:text}`advise_gap_objects` on objects and by {glue:text}`advise_gap_streets` on streets, where it names larger
# grids than are needed.
# Measure your own network before you believe it.
# :::
# %% tags=["parameters"]
profile = "smoke"
folder = ""  # a folder of label maps; empty: synthetic streets
classes = 0  # how many classes; 0: as many as are found
ignore = ""  # stored values that count nowhere, "0,255" or "none"; empty: 255, unless it must be a class
sample = 0  # how many maps; 0: all up to 1000, else 500
size = 0  # side of the frame in pixels, 64k + 1; 0: 513, the profile's for the streets
frame = "auto"  # shrink, crop, tiles, native: how maps are brought to the frame
# %% tags=["remove-cell"]
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Markdown, display
from myst_nb import glue
from PIL import Image

import specseg
from specseg import figures
from specseg.advise import example, labels, page, recommend, report
from specseg.advise.settings import Settings
from specseg.evidence import config, ledger, records
from specseg.figures import advise as draw
from specseg.nets import tiny
from specseg.study import advice as validation
from specseg.study import predictor_cells as cells
from specseg.study import trained

# %% tags=["remove-cell"]
torch.set_num_threads(1)
sizes = config.profile(profile)
findings = ledger.open("90_your_own_data", profile=profile)
real = ("voc2012", "dubai", "camvid")
kept = {name: findings.use(records.load("advise_labels", dataset=name)) for name in real}
rows = pd.concat([kept[name].rows for name in real], ignore_index=True)
best = rows[rows["table"] == "recommendation"]
for name in real:
    own = best[(best["dataset"] == name) & (best["kind"] == "band") & (best["max_drop"] == 0.02)]
    glue(f"advise_{name}", f"{own.set_index('metric')['value']['recommended']:.0f} of 129", display=False)
# %% tags=["remove-input"]
figures.show(
    draw.compare(rows),
    caption="What three real label sets lose when they are cut to the waves that a grid can carry (above) or drawn in"
    " blocks (below), with 95 % intervals. Dotted: tolerated losses. The adviser names the smallest grid below.",
    alt="Two panels on logarithmic axes, one line a data set, all falling with the grid's size. PASCAL VOC loses least"
    " by far, CamVid and Dubai lie close together; blocks lose more than the band at the same grid.",
    source="committed records of advise_labels", label="fig-advise-real")
# %% [markdown]
# ## By hand
# Twelve label maps of drawn objects and of drawn streets are written as files, as yours would be. What is named for
# real objects and streets stands beside. Sizes compare as shares of the grid: 33 points here, 129 in the records.
# %%
scratch, told = Path(tempfile.mkdtemp()), {}
for scenes, name in (("objects", "voc2012"), ("streets", "camvid")):
    maps = example.write(scratch / scenes, scenes)  # or your own folder
    asked = Settings(size=129, max_drop=0.02)
    told[scenes] = specseg.advice(maps, asked, out=scratch / f"to-{scenes}").data
    grid = told[scenes]["recommendation"]["lrg"]
    book = best.query("dataset == @name and kind == 'band' and max_drop == 0.02")
    book = book.set_index("metric")["value"]["recommended"]
    print(f"{scenes}: {grid['lrg_size']} of 33 points, {grid['drop']['value']:.1%} lost;",
          f"{name}: {book:.0f} of 129")
# %% [markdown]
# :::{admonition} What is claimed
# :class: claim
# The paper {cite}`chen2020spectral` ends with a question (section 4): how can the efficient band limit be determined
# from the annotation? The answer tried here is a rule on label maps alone. Against it would speak: on a domain that the
# rule has not seen, it loses more, by too large a drop or too many FLOPs, than always taking half of the grid.
# :::
#
# ## The rule
# It was written down before any network's drop was measured in this project, so that it could not be fitted to one.
# %% tags=["remove-input"]
display(HTML(f"<blockquote>{recommend.RULE}</blockquote><p>The reason: {recommend.REASON}</p>"))
# %% [markdown]
# Labels are cut plane by plane: each class is a map of zeros and ones, loses its frequencies beyond $\nu_{max}$, and
# each pixel takes the class whose plane is largest. A grid of $2\nu_{max} + 1$ points carries that band. The choice:
#
# ```{literalinclude} /lib/specseg/advise/recommend.py
# :pyobject: choose
# ```
# %% [markdown]
# ## A folder of label maps
# Any folder will do: PNG of any depth, TIFF or `.npy` with class numbers; colours and other numbers through a small
# map file (`map.toml`, CVAT's `labelmap.txt`, Roboflow's `_classes.csv`), which is found in the folder itself. The
# streets from above serve again; set `folder` to use your own, with the same answer as the command's. Maps up to twice
# the frame's size are shrunk to it, larger ones cut into tiles at their own scale; the advice says which.
# %%
out = Path(tempfile.mkdtemp())
home = Path(folder) if folder else example.write(out / "streets", "streets", sizes.images or 64, sizes.size)
nowhere = labels.parse_ignore([str(ignore)] if str(ignore) else [])
settings = Settings(size or (513 if folder else sizes.size), ignore=nowhere, sample=sample or None, frame=frame)
found = report.advise(home, settings, classes=classes or None, out=out)
print(page.scope(found.data))
# %% tags=["remove-input"]
said = [*page.sentences(found.data), *(f"Take care: {warning}" for warning in found.data["warnings"])]
Markdown("\n".join(f"- {sentence}" for sentence in said))
# %% [markdown]
# The same from a shell, with a table in the terminal, `advice.json` (its schema is
# {download}`here </_static/advice.schema.json>`) and a page that holds its pictures itself:
#
# ```
# specseg advise LABELS_DIR --max-drop 0.02 --workers 2
# specseg advise LABELS_DIR --map colours.toml --logits LOGITS_DIR --keep-going
# specseg advise LABELS_DIR --ignore 0 --ignore 255 --frame tiles
# specseg advise LABELS_DIR --try model.py:build --pictures PICTURES_DIR --layer decoder
# ```
#
# The last one measures what truncating *your* network costs on your pictures: `build()` returns it, and the maps that
# enter the named module are made coarser. A bad file stops the command by name, or is left out and listed with
# `--keep-going`. Stopped, it goes on where it was. Of more than a thousand maps it takes five hundred by seed.
# %% tags=["remove-input"]
figures.show(
    draw.drops(found.data),
    caption="This folder: what is lost at each grid, and the tolerated loss. Pale bar: the recommended grid.",
    alt="Falling curves of the share of mIoU lost, for labels cut to a band and for two kinds of blocks.",
    source="this page", label="fig-advise-drops")
# %% [markdown]
# ## Which classes pay
#
# A class is lost once it is thinner than a cell of the grid. Its mean width is known from its area and its contour,
# $2A/P$; the table has the IoU that each class keeps with itself, the worst on top.
# %% tags=["remove-input"]
figures.show(
    draw.classes(found.data),
    caption="IoU of each class's labels, cut to each grid's band, with the true ones.",
    alt="A table of classes by grid, dark where little is kept: thin classes such as poles are dark almost throughout.",
    source="this page", label="fig-advise-classes")
# %% tags=["remove-input"]
page.class_table(found.data).head(6).drop(columns=["share", "contour, sides"]).style.hide(axis="index")
# %% [markdown]
# ## What it would save, and law beside truth
#
# FLOPs are counted from the layers of ResNet-101 networks. The saving is small: truncation touches the decoder alone.
# Labelling effort is a model: if only blocks with a contour in them cost a decision, blocks are cheaper than tracing
# where a tracing hand sets points more often than the break-even spacing says. A star marks what is recommended.
# %% tags=["remove-input"]
left_out = {"grids": r"nu_max|time", "blocks": "boundary", "law and bounds": "never"}
for (title, without), make in zip(left_out.items(), (page.grid_table, page.block_table, page.tail_table), strict=True):
    table = make(found.data)
    shown = table.loc[:, ~table.columns.str.contains(without)]
    display(HTML(f"<p><b>{title}</b></p>"), shown.style.hide(axis="index").format(precision=4))
# %% [markdown]
# The bounds are rigorous and far from what happens: they count every transition of the labels as if it hurt. The
# perimeter law needs no transform and no training, and comes near where cells are small against what is mapped.
# %% [markdown]
# ## Three real label sets
# Measured on real data: all label maps of PASCAL VOC 2012 val, the CamVid pairs that were present, 72 maps of Dubai.
# Intervals keep together what is not independent: Dubai's eight tiles, stretches of a CamVid drive. "None": not even
# the finest blocks tried hold the tolerance.
# %% tags=["remove-input"]
best = best.assign(grid=best["value"].map("{:.0f}".format).replace("nan", "none"))
words = {"band": "LRG", "majority": "blocks"}
table = {}
for (dataset, kind, metric), part in best.groupby(["dataset", "kind", "metric"], sort=False):
    scored = "every pixel, void filled" if metric.endswith("everywhere") else "void not scored"
    table[draw.SET_NAMES[dataset], words[kind], scored] = dict(zip(part["max_drop"], part["grid"], strict=True))
table = pd.DataFrame(table).T.rename(columns="tolerated {:.0%}".format)
table = table.rename_axis(["data set", "what", "scored"])
table.style.set_properties(**{"font-weight": "bold"}, subset=["tolerated 2%"])
# %% tags=["remove-cell"]
first, law = [], []
for name in real:
    own = rows[(rows["dataset"] == name) & (rows["table"] == "classes") & (rows["metric"] == "class_iou")]
    own = own[(own["kind"] == "band") & (own["lrg_size"] == 33)].nsmallest(3, "value")
    worst = [f"{who} {iou:.2f}" for who, iou in own[["name", "value"]].to_numpy()]
    first.append({"data set": draw.SET_NAMES[name], **dict(zip(("first", "second", "third"), worst, strict=True))})
    error = rows[(rows["dataset"] == name) & (rows["table"] == "blocks") & (rows["lrg_size"] == 129)]
    error = error.set_index("metric")["value"]
    law.append({"wrong pixels, blocks of 4": f"{error['error']:.1%}", "by the law": f"{error['error_law']:.1%}"})
# %% [markdown]
# A grid has 129 points at most here, blocks 257. PASCAL's void border lies on its contours: whether it is scored
# decides much of PASCAL's advice and little of the others'. Which classes are lost first at 33 points, with the IoU
# that they keep, and how many pixels blocks of four pixels get wrong:
# %% tags=["remove-input"]
pd.concat([pd.DataFrame(first), pd.DataFrame(law)], axis=1).style.hide(axis="index")
# %% [markdown]
# ## With logits
# Logits say more: $R_{ce}$, the share of the cross-entropy beyond the grid's band ({doc}`60_loss_in_frequency`), and
# what the network's own maps lose when their logits are cut. A small network with committed weights serves for that.
# $R_{ce}$ moves with the scale of the logits, so it is given raw and at the temperature that calibrates them.
# %%
net = tiny.probed("landcover", steps=200, void=True)
small = out / "landcover"
for kind in ("labels", "logits"):
    (small / kind).mkdir(parents=True)
for k, (label, logits) in enumerate(zip(net.labels, net.logits[-1], strict=True)):
    Image.fromarray(label.numpy().astype(np.uint8)).save(small / f"labels/{k:02d}.png")
    np.save(small / f"logits/{k:02d}.npy", logits.float().numpy())
both = report.advise(small / "labels", Settings(65), classes=7, logit_folder=small / "logits", out=small)
# %% tags=["remove-input"]
figures.show(
    draw.loss_rates(both.data),
    caption="R_ce of the small network's logits in every variant; dotted: 0.2, beyond which the paper's relation to the"
    " drop is no line.",
    alt="Falling curves of R_ce against the grid: periodic and mirrored, two averages, raw and calibrated.",
    source="this page", label="fig-advise-rce")
# %% tags=["remove-input"]
page.logit_table(both.data).iloc[:, [0, 1, 2, -3, -2]].style.hide(axis="index")
# %% [markdown]
# ## What the advice ignores
# %% tags=["remove-input"]
Markdown("\n".join(f"- {sentence}" for sentence in recommend.IGNORES))
# %% tags=["remove-cell"]
measured = cells.read()
truncated = cells.truncation(measured)
for fact in validation.open_question(truncated):
    findings.observe("con-open-question-spectrum", record=trained.witness(measured.truncation), **fact)
    change = f"{fact['value']:+.1%} [{fact['low']:+.1%}, {fact['high']:+.1%}]"
    glue(f"advise_gap_{fact['domain'].split(' ')[0]}", change, display=False)
loose = specseg.advice(home, Settings(settings.size, max_drop=0.1), out=out / "loose").data
grid = loose["recommendation"]["lrg"]["lrg_size"]
saved = [f"{c['flops_saved']:.0%} of {figures.MODEL_NAMES[c['model']]}'s FLOPs"
         for c in loose["costs"] if c["lrg_size"] == grid]  # fmt: skip
glue("advise_loose", f"{grid} points, which saves {' and '.join(saved)}", display=False)
glue("advise_objects", f"{told['objects']['recommendation']['lrg']['lrg_size']} of 33 points", display=False)
# %% [markdown]
# ## How good is it?
# The rule stood in the library before the first drop of a truncated network was measured. *Waste* is the FLOPs above
# the smallest tolerable grid's, as a share, plus the loss of mIoU above the tolerance. Against always taking half of
# the grid, the rule changes the waste by {glue:text}`advise_gap_objects` on objects and by
# {glue:text}`advise_gap_streets` on streets. {doc}`85_advice_validated` sets it beside rules that use a network.
#
# ## What we found
# %% tags=["remove-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# 1. How do you point this page at your own labels?
#
# :::{admonition} Answer
# :class: dropdown
# `specseg chapter 90 -p folder=LABELS_DIR -p classes=19`, or `specseg advise LABELS_DIR` for the advice alone.
# :::
#
# 2. Objects get a smaller grid than streets in the cell by hand ({glue:text}`advise_objects`). Why?
#
# :::{admonition} Answer
# :class: dropdown
# They are large, few and thick. What is lost at a band is thinner than a cell of its grid, and the length of contours
# says how much of that there is: the perimeter law.
# :::
#
# 3. Tolerate 10 % on the streets. Which grid is named, and what does it save?
#
# :::{admonition} Answer
# :class: dropdown
# {glue:text}`advise_loose`.
# :::
