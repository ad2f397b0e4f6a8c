# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # Your own data set
#
# **At the end you know which low-resolution grid and which block size your own label maps allow, what that would save,
# and what such advice cannot know.**
#
# ```{admonition} Claims of this chapter
# :class: note
# The paper {cite}`chen2020spectral` ends with a question (section 4): how can the efficient band limit be determined
# from the annotation? The answer tried here is a rule on label maps alone. Against it would speak: on a domain that the
# rule has not seen, more than a fifth of its grids cost a trained network more than was tolerated, by more than one
# step of the grid. Id: `con-open-question-spectrum`.
# ```
# %% tags=["parameters"]
profile = "smoke"
folder = ""  # a folder of label maps; empty: synthetic streets
classes = 0  # how many classes; 0: as many as are found
ignore = ""  # stored values that count nowhere, "0,255" or "none"; empty: 255, unless it must be a class
sample = 0  # how many maps; 0: all up to 1000, else 500
size = 0  # side of the frame in pixels, 64k + 1; 0: 513, the profile's for the streets
frame = "auto"  # shrink, crop, tiles, native: how maps are brought to the frame
# %% tags=["hide-input"]
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, display
from myst_nb import glue
from PIL import Image

from specseg import figures
from specseg.advise import example, labels, page, recommend, relation, report
from specseg.advise.settings import Settings
from specseg.evidence import config, ledger, records
from specseg.figures import advise as draw
from specseg.nets import tiny
from specseg.study import advice as validation
from specseg.study import predictor_cells as cells
from specseg.study import trained

# %% tags=["hide-input"]
torch.set_num_threads(1)
sizes = config.profile(profile)
findings = ledger.open("90_your_own_data", profile=profile)
real = ("voc2012", "dubai", "camvid")
kept = {name: findings.use(records.load("advise_labels", dataset=name)) for name in real}
rows = pd.concat([kept[name].rows for name in real], ignore_index=True)
findings.banner()
# %% tags=["hide-input"]
figures.show(
    draw.compare(rows),
    caption="What three real label sets lose when they are cut to a grid's band (against the whole prediction grid's"
    " band) or drawn in blocks (against the true labels), with 95 % intervals. Dotted: tolerated losses.",
    alt="Two panels on logarithmic axes, one line a data set, all falling with the grid's size. PASCAL VOC loses least"
    " by far, CamVid and Dubai lie close together; blocks lose more than the band at the same grid.",
    source="committed records of advise_labels", label="fig-advise-real")
# %% [markdown]
# ## The rule
#
# It was written down before any network's drop was measured in this project, so that it could not be fitted to one.
# %% tags=["hide-input"]
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
#
# Any folder will do: PNG of any depth, TIFF or `.npy` with class numbers; colours and other numbers through a small
# map file (`map.toml`, CVAT's `labelmap.txt`, Roboflow's `_classes.csv`), which is found in the folder itself. The
# synthetic streets below are written as files first; set `folder` to use your own, with the same answer as the
# command's. Maps up to twice the frame's size are shrunk to it, larger ones cut into tiles at their own scale; the
# advice says which.
# %%
scratch = Path(tempfile.mkdtemp())
home = Path(folder) if folder else example.write(scratch / "streets", "streets", sizes.images or 64, sizes.size)
nowhere = labels.parse_ignore([str(ignore)] if str(ignore) else [])
settings = Settings(size or (513 if folder else sizes.size), ignore=nowhere, sample=sample or None, frame=frame)
found = report.advise(home, settings, classes=classes or None, out=scratch)
print(page.scope(found.data), *page.seen(found.data), sep="\n")
# %% tags=["hide-input"]
told = [*page.sentences(found.data), *(f"Take care: {warning}" for warning in found.data["warnings"])]
display(HTML(page.listing(told)))
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
# %% tags=["hide-input"]
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
# %% tags=["hide-input"]
figures.show(
    draw.classes(found.data),
    caption="IoU of each class's labels, cut to each grid's band, with the true ones.",
    alt="A table of classes by grid, dark where little is kept: thin classes such as poles are dark almost throughout.",
    source="this page", label="fig-advise-classes")
# %% tags=["hide-input"]
heads, lines, _ = page.class_table(found.data)
HTML(pd.DataFrame(lines, columns=heads).head(6).to_html(index=False))
# %% [markdown]
# ## What it would save, and law beside truth
#
# FLOPs are counted from the layers of ResNet-101 networks; time is read from the committed record of paired runs where
# the frame is the record's. The saving is small: truncation touches the decoder alone. Labelling effort is a model: if
# only blocks with a contour in them cost a decision, blocks are cheaper than tracing where a tracing hand sets points
# more often than the break-even spacing says.
# %% tags=["hide-input"]
for title, make in (("grids", page.grid_table), ("blocks", page.block_table), ("law and bounds", page.tail_table)):
    heads, lines, _ = make(found.data)
    display(HTML(f"<p><b>{title}</b></p>" + pd.DataFrame(lines, columns=heads).to_html(index=False)))
# %% [markdown]
# The bounds are rigorous and far from what happens: they count every transition of the labels as if it hurt. The
# perimeter law needs no transform and no training, and comes near where cells are small against what is mapped.
# %% [markdown]
# ## Three real label sets
#
# Measured on real data and committed as records: all 1,449 label maps of PASCAL VOC 2012 val, the CamVid pairs that
# were present, 72 maps of Dubai. Intervals keep together what is not independent: Dubai's eight tiles, stretches of a
# CamVid drive. "None": not even the finest blocks tried hold the tolerance.
# %% tags=["hide-input"]
best = rows[rows["table"] == "recommendation"]
best = best.assign(grid=best["value"].map("{:.0f}".format).replace("nan", "none"))
words = {"band": "LRG", "majority": "blocks"}
table = {}
for (dataset, kind, metric), part in best.groupby(["dataset", "kind", "metric"], sort=False):
    scored = "every pixel, void filled" if metric.endswith("everywhere") else "void not scored"
    table[draw.DATASET_NAMES[dataset], words[kind], scored] = dict(zip(part["max_drop"], part["grid"], strict=True))
HTML(pd.DataFrame(table).T.rename(columns="tolerated {:.0%}".format).to_html())
# %% tags=["hide-input"]
for name in real:
    own = rows[(rows["dataset"] == name) & (rows["table"] == "classes") & (rows["metric"] == "class_iou")]
    own = own[(own["kind"] == "band") & (own["lrg_size"] == 33)].sort_values("value")
    glue(f"advise_{name}_worst", ", ".join(f"{r.name_} {r.value:.2f}" for r in
         own.rename(columns={"name": "name_"}).head(3).itertuples()), display=False)  # fmt: skip
    blocks = rows[(rows["dataset"] == name) & (rows["table"] == "blocks") & (rows["lrg_size"] == 129)]
    error = blocks.set_index("metric")["value"]
    glue(f"advise_{name}_law", f"{error['error']:.3f} and {error['error_law']:.3f}", display=False)
# %% [markdown]
# Lost first at an LRG of 33 (with the IoU kept): PASCAL VOC {glue:text}`advise_voc2012_worst`; Dubai
# {glue:text}`advise_dubai_worst`; CamVid {glue:text}`advise_camvid_worst`. Wrong pixels of blocks of four pixels,
# measured and by the perimeter law: PASCAL VOC {glue:text}`advise_voc2012_law`, Dubai {glue:text}`advise_dubai_law`,
# CamVid {glue:text}`advise_camvid_law`. PASCAL's void border lies on its contours: whether it is scored decides much
# of PASCAL's advice and little of the others'.
# %% [markdown]
# ## With logits
#
# Logits say more: the relative loss rate $R_{ce}$ of {doc}`30_cross_entropy` in its variants, the truncated IoU, and
# what the network's own maps lose when their logits are cut. A small network with committed weights serves for that.
# $R_{ce}$ moves with the scale of the logits, so it is given raw and at the temperature that calibrates them.
# %%
net = tiny.probed("landcover", steps=200, void=True)
small = scratch / "landcover"
for kind in ("labels", "logits"):
    (small / kind).mkdir(parents=True)
for k, (label, logits) in enumerate(zip(net.labels, net.logits[-1], strict=True)):
    Image.fromarray(label.numpy().astype(np.uint8)).save(small / f"labels/{k:02d}.png")
    np.save(small / f"logits/{k:02d}.npy", logits.float().numpy())
both = report.advise(small / "labels", Settings(65), classes=7, logit_folder=small / "logits", out=small)
# %% tags=["hide-input"]
figures.show(
    draw.loss_rates(both.data),
    caption="R_ce of the small network's logits in every variant; dotted: 0.2, beyond which the paper's relation to the"
    " drop is no line.",
    alt="Falling curves of R_ce against the grid: periodic and mirrored, two averages, raw and calibrated.",
    source="this page", label="fig-advise-rce")
# %% tags=["hide-input"]
heads, lines, _ = page.logit_table(both.data)
display(HTML(pd.DataFrame(lines, columns=heads)[["LRG", *heads[1:3], *heads[-3:]]].to_html(index=False)))
display(HTML(page.listing(both.data["warnings"])))
fits = relation.fitted()
print(f"{len(fits)} fitted relations on record." if fits else relation.NONE)
# %% [markdown]
# ## What the advice ignores
# %% tags=["hide-input"]
display(HTML(page.listing(recommend.IGNORES)))
# %% tags=["hide-input"]
found = cells.read()
answer = validation.open_question(cells.truncation(found))
if isinstance(answer, str):
    findings.not_run("con-open-question-spectrum", answer)
else:
    for fact in answer:
        findings.observe("con-open-question-spectrum", record=trained.witness(found.truncation), **fact)
told = answer if isinstance(answer, str) else " ".join(fact["note"] for fact in answer)
glue("open_question", told[0].upper() + told[1:], display=False)
# %% [markdown]
# ## How good is it?
# The rule stood in the library before the first drop of a truncated network was measured. The loss of a recommendation
# is the FLOPs above the smallest tolerable grid's, as a share, plus the drop above the tolerance.
# {glue:text}`open_question`
# {doc}`85_advice_validated` sets it beside rules that use a network.
# %% [markdown]
# ## What we found
# %%
findings.close()
# %% [markdown]
# ## Check yourself
#
# - Point `folder` at your own labels: `specseg chapter 90 -p folder=LABELS_DIR -p classes=19`.
# - Take `example.write(..., "objects")` for the streets: which grid is recommended, and why is it smaller?
# - Set `Settings(max_drop=0.05)`. How many of the FLOPs does the next smaller grid save?
