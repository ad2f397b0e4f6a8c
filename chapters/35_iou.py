# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
# %% [markdown]
# # IoU in frequency
# You will know which part of the paper's way from cross-entropy to IoU holds, the exact law between lost overlap and
# lost IoU, and why no slope of drop against $R_{ce}$ follows from it.
#
# :::{admonition} What is claimed
# :class: claim
# Eqs 3 and 23 to 32 and the second key observation for IoU: "minimal $L_{CE}$ maximizes [the overlap] as well as IoU
# score" (A.4), and a drop with "a positive slope" in $R_{ce}$ (A.5) {cite}`chen2020spectral`. A universal statement
# falls by one counterexample; an equation by random tensors on which its sides differ.
# :::
# %% tags=["parameters"]
profile = "smoke"
# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from IPython.display import Math
from myst_nb import glue

from specseg import config, figures, identities, identities_iou, iou_laws, ledger, metrics, rce_laws, symbolic, toy
from specseg import cross_entropy as ce
from specseg.figures import iou as draw

sizes = config.profile(profile)
findings = ledger.open("35_iou", profile=profile)
findings.banner()
# %%
net = toy.load("landcover", steps=200)
logits, labels = net.logits[-1], net.labels
drops = iou_laws.drop_rows(logits, labels, [2, 3, 4, 6, 8, 12, 16])
figures.show(
    draw.drop_law(drops),
    caption="Above: the true law between the share r of the overlap that a band limit removes and the relative "
            "IoU-drop. Below: drops of a tiny trained network beside what Eq. 32 and R_ce predict.",
    alt="Above, concave curves from (0,0) to (1,1), steeper for larger IoU. Below, log-log curves: Eq. 32 as printed "
        "and R_ce lie far above the measured drops, the mended Eq. 29 close to them.",
    source="this chapter", label="fig-drop-law",
)
# %% [markdown]
# ## IoU from spectra
# For one class, with $S$ the softmax and $B$ the labels, the paper extends IoU to soft maps:
#
# (eq-23)=
# $$ IoU(S, B) = \frac{\int B S \, dt}{\int B + S \, dt - \int B S \, dt}
#    = \frac{1}{\frac{\int B + S \, dt}{\int B S \, dt} - 1} \tag{23} $$
#
# (eq-24)=
# $$ \int B S \, dt = \int s(\nu) b(-\nu) \, d\nu, \qquad \int B + S \, dt = b(0) + s(0) \tag{24} $$
# %% [markdown]
# (eq-25)=
# $$ IoU(s, b) = \frac{1}{\frac{s(0) + b(0)}{\int s(\nu) b(-\nu) d\nu} - 1} \tag{25} $$
#
# Section 2.1 shows it with the integral in the wrong place:
#
# (eq-3)=
# $$ IoU(s, b) = \frac{1}{\int \frac{s(0) + b(0)}{s(\nu) b(-\nu)} d\nu - 1} \tag{3} $$
# %% [markdown]
# ## From IoU to its drop
# Section A.5 truncates the overlap, with $c = s(0) + b(0)$, $p_1$ the overlap and $p_2$ the truncated one:
#
# (eq-27)=
# $$ \widehat{IoU}(\nu_{max}) = \frac{1}{\frac{s(0) + b(0)}{\int_0^{\nu_{max}} s(\nu) b(-\nu) d\nu} - 1} \tag{27} $$
#
# (eq-28)=
# $$ \Delta IoU = IoU - \widehat{IoU}(\nu_{max}) = \frac{1}{\frac{c}{p_1} - 1} - \frac{1}{\frac{c}{p_2} - 1} \tag{28} $$
#
# (eq-29)=
# $$ \frac{\Delta IoU}{IoU} = \frac{c}{c - p_2} \, \frac{p_1 - p_2}{p_1} \tag{29} $$
# %% [markdown]
# and then puts the loss of one class in place of the overlaps, "without loss of generality" with $b(0) = 0$:
#
# (eq-30)=
# $$ L_{CE} = \int B \log S \, dt = p_1 - b(0), \qquad p_1 = L_{CE} + b(0) \tag{30} $$
#
# (eq-31)=
# $$ \hat{L}_{ce}(\nu_{max}) = \int_0^{\nu_{max}} s(\nu) b(-\nu) d\nu - b(0) = p_2 - b(0) \tag{31} $$
#
# (eq-32)=
# $$ \frac{\Delta IoU}{IoU} = \left| \frac{1}{1 - \hat{L}_{ce}(\nu_{max}) / s(0)} \right| R_{ce}(\nu_{max}) \tag{32} $$
# %% [markdown]
# Each is tried on random tensors as in the last chapter, with and without void (pixels that carry no label). The column
# `corrected` holds the mended form; its mutant, the form broken on purpose, must fail. `eq30-no-area` is the drop with
# and without $b(0)$.
# %%
results = identities.run_all(identities_iou.IOU, draws=sizes.draws)
shown = ["printed", "corrected", "mutant"]
identities.frame(results).style.format("{:.1e}", na_rep="", subset=shown).hide(axis="index")
# %% tags=["hide-input"]
at = drops[drops["nu_max"] == 4].iloc[0]
notes = {
    "eq32-drop-from-loss-rate": f"At nu_max = 4 the drop is {at['hard']:.2f}; Eq. 32 gives {at['printed']:.2f}, "
                                f"R_ce is {at['rce']:.2f}, (1 + q) r/(1 + q r) gives {at['overlap']:.2f}.",
    "eq27-truncated-iou": "The symmetric box reaches IoU; the printed limits give a complex number.",
    "eq30-one-class-loss": "The minus sign of Eq. 1 is lost.",
    "eq30-no-area": "b(0) is the class's area: without it the drop is another number.",
}
for r in results:
    for form, value in r.forms.items():
        mutant = r.mutant if form == r.judged else None
        findings.observe(r.check, value=value, form=form, mutant=mutant, note=notes.get(r.check, ""))
# %% [markdown]
# ## No sum over frequencies
# The loss is a sum of one term per frequency; IoU is not. Split the overlap into two bands, $p = p_a + p_b$: a sum of
# separate terms has no mixed derivative, IoU has
# %%
parts = symbolic.iou_expansion()
assert not symbolic.left_over(parts)
mixed = parts["mixed"]
Math(symbolic.aligned({r"\frac{\partial^2 IoU}{\partial p_a \, \partial p_b}": mixed}))
# %% tags=["hide-input"]
smallest = float(mixed.subs({x: {"c": 2}.get(x.name, 0) for x in mixed.free_symbols}))
_ = findings.observe("eq25-not-additive", value=smallest, mutant=0.0, note=(
    f"d2 IoU/dp_a dp_b = 2c/(c - p)^3, at least {smallest} since c <= 2; that of a sum of terms is 0."))
# %% [markdown]
# ## The expansion
# (eq-26)=
# $$ \int B \log S \, dt = \int B (S - 1) \, dt = \int s(\nu) b(-\nu) d\nu - b(0) \tag{26} $$
#
# The second equality is exact. The first is the tangent of the logarithm at $S = 1$: the logarithm lies below it, by
# $(1 - S)^2/2$ at least and $(1 - S)^2/(2 S^2)$ at most. The loss is carried by the pixels where $S$ is small, and
# there the tangent misses most of it: {glue:text}`iou_missed` of the trained network's loss.
# %%
assert not symbolic.left_over(symbolic.log_expansion())
at_label = logits.softmax(1).gather(1, labels[:, None])[:, 0]
typical = float((at_label * -at_label.log()).sum() / -at_label.log().sum())
missed = float(1 - (1 - at_label).mean() / -at_label.log().mean())
glue("iou_missed", f"{missed:.0%}", display=False)
figures.show(
    draw.expansion(iou_laws.expansion(np.linspace(0.02, 1 - 1e-6, 99)), typical),
    caption="Eq. 26 at one pixel: log S and its tangent, and the share of the loss that the tangent misses.",
    alt="Above, the logarithm falls away below the line S - 1. Below, the missed share falls from near one to zero as "
        f"S goes to one; a dotted line marks the S at which a trained network has its loss, {typical:.2f}.",
    source="this chapter", label="fig-expansion",
)
# %% tags=["hide-input"]
cases = [c for c in (identities.draw(k, seed=7) for k in range(sizes.draws)) if not (c.labels == 255).any()]
orders = pd.DataFrame([iou_laws.orders(c.onehot, c.logits.softmax(0), 2) for c in cases])
p1 = [iou_laws.class_bounds(y, labels)[["share", "class_loss", "overlap"]].values.T for y in net.logits]
gap = np.array([-loss - (overlap - share) for share, loss, overlap in p1])
spread = float((np.ptp(gap, axis=0) / p1[0][0]).max())
power = {"value": orders["eq26"].median(), "low": orders["eq26"].min(), "high": orders["eq26"].max()}
findings.observe("eq26-first-order", value=missed, note=f"The tangent misses {missed:.0%} of a trained network's loss.")
findings.observe("eq26-first-order", form="approximation", mutant=orders["eq26_mutant"].median(), **power,
                 note=f"Error of order {power['value']:.2f} in 1 - S.")
findings.observe("eq26-constant-gap", value=spread, note=(
    f"Over training the gap moves by up to {spread:.1f} times the class's own b(0)."))
_ = findings.observe("eq26-constant-gap", form="approximation", mutant=orders["eq26_mutant"].median(), **power)
# %% [markdown]
# {ref}`Eq. 31 <eq-31>` fails for another reason. Band-limited labels are not zero OFF the class's pixels, where $S$ is
# near 0 and $\log S$ far below $S - 1$. So the truncated loss and the truncated overlap part company even as
# $S \to B$: the error grows like $\log(1/\varepsilon)$ at a distance $\varepsilon$ from the labels (fitted power
# {glue:text}`iou_order31`; 2 would be a first-order formula). No sign or band mends it.
# %% tags=["hide-input"]
fit = orders["eq31"]
glue("iou_order31", f"{fit.median():.2f}", display=False)
note = f"Sign and band mended, the error still grows as S nears B (power {fit.median():.2f}): ringing meets log S."
_ = findings.observe("eq31-truncated-loss", value=fit.median(), low=fit.min(), high=fit.max(), form="approximation",
                     note=note)
# %% [markdown]
# ## Does the least loss give the largest IoU?
# Two predictions for two pixels of one class: the even one has the smaller loss, the uneven one the larger overlap.
# %%
iou_laws.two_pixels().round(3).style.hide(axis="index").format(precision=3)
# %% tags=["hide-input"]
random = iou_laws.ordering(20 * sizes.draws)
other = random["draws"] - random["agree"]
findings.observe("eq26-rank", value=random["spearman"], low=random["low"], high=random["high"], mutant=random["mutant"],
                 note=f"Rank correlation {random['spearman']:.2f}; {other} of {random['draws']} pairs go otherwise.")
glue("iou_agree", f"{random['agree']} of {random['draws']}", display=False)
# %% [markdown]
# Over random predictions of one map the loss and IoU agree in {glue:text}`iou_agree` pairs: a correlation, no law.
#
# Now a family that matters here: predictions that are constant on blocks, as on a low-resolution grid. If a share $f$
# of a block is the class, the loss wants $S = f$ there. IoU has a derivative with the sign of $f c - p$: it wants
# $S = 1$ wherever $f > p/c = q/(1+q)$ and $S = 0$ elsewhere, $q$ being the IoU reached. That threshold is below 1/2, so
# even the argmax of the loss's minimiser loses IoU.
# %%
assert not symbolic.left_over(symbolic.iou_threshold())
blocks = pd.DataFrame([
    {"fraction": f, **iou_laws.block_optimum([0.1, 0.5, 0.4], [1.0, f, 0.0])} for f in np.linspace(0, 1, 101)
])
worst = blocks.loc[(blocks["best_iou"] - blocks["argmax_iou"]).idxmax()]
figures.show(
    draw.block(blocks),
    caption="Three blocks: one all of the class (a tenth of the frame), one mixed (half of it), one without. IoU of "
            "the loss's minimiser and the largest IoU, against the mixed block's share.",
    alt="The largest IoU lies above both curves of the loss's minimiser; the argmax curve is furthest below it at a "
        f"share of {worst['fraction']:.2f}, with {worst['argmax_iou']:.2f} against {worst['best_iou']:.2f}.",
    source="this chapter", label="fig-block",
)
# %% tags=["hide-input"]
lost = float((blocks["best_iou"] - blocks["loss_iou"]).max())
findings.observe("eq26-minimum", value=lost, note=(
    f"Blocks, mixed share {worst['fraction']:.2f}: the loss's minimiser has hard IoU {worst['argmax_iou']:.2f} where "
    f"{worst['best_iou']:.2f} can be had."))
held = pd.DataFrame([iou_laws.bounds_held(y, labels) for y in net.logits]
                    + [iou_laws.bounds_held(c.logits[None], c.labels[None]) for c in cases]).sum()
_ = findings.observe("eq26-minimum", value=held["held"], n=held["n"], form="corrected", mutant=held["mutant"])
# %% [markdown]
# ## What is true: a small loss forces a high IoU
# With $\pi_c$ the class's share and $L_c$ its part of the loss, three lower bounds hold for every network:
#
# $$ \frac{\pi_c - L_c}{\pi_c + L - L_c} \le
#    \frac{\pi_c e^{-L_c/\pi_c}}{\pi_c + \sum_{k \ne c} \pi_k (1 - e^{-L_k/\pi_k})} \le IoU_c^{soft}, \qquad
#    \frac{\pi_c - L_c/\log 2}{\pi_c + (L - L_c)/\log 2} \le IoU_c^{hard} $$
#
# First: $S \ge 1 + \log S$ on the class, $1 - S \le -\log S$ off it. Second: Jensen, and no bound from the class losses
# can be better, since a softmax that is constant on each class reaches it. Third: a wrong argmax costs $\log 2$.
# %%
rows = pd.concat([iou_laws.class_bounds(y, labels) for y in net.logits])
figures.show(
    draw.bounds(rows),
    caption="Every class at every probed training step: IoU against its lower bounds from the losses (all points lie "
            "above the line).",
    alt="Two scatter plots with all points above the diagonal; the best bound is clearly tighter than the first.",
    source="this chapter", label="fig-bounds",
)
# %% [markdown]
# ## The law of the drop
# {ref}`Eq. 29 <eq-29>` is right. With $q$ the IoU before, $c = p_1 (1 + q)/q$; with $r = (p_1 - p_2)/p_1$,
#
# $$ \frac{\Delta IoU}{IoU} = \frac{(1 + q) \, r}{1 + q \, r} $$
#
# increasing and concave in $r$, with slope $1 + q$ at zero. {ref}`Eq. 32 <eq-32>` replaces $r$ by $R_{ce}$. Even if
# {ref}`Eq. 31 <eq-31>` held, $p_1 = b(0) - L$ would give $r = R \, L/(b(0) - L)$: a small part of $R_{ce}$ for a small
# loss. It is "$b(0) = 0$" that turns this into $R_{ce}$, and $b(0)$ is the class's area.
# %%
law = symbolic.relative_drop()
assert not symbolic.left_over(law) and not symbolic.left_over(symbolic.drop_from_losses())
Math(symbolic.aligned({
    r"\Delta IoU / IoU": law["drop"], r"\tfrac{d}{dr} \, \Delta IoU / IoU": law["slope"],
    r"\tfrac{d^2}{dr^2} \, \Delta IoU / IoU": law["curvature"],
    r"r \text{ from } R \; (A = b(0))": symbolic.drop_from_losses()["in_rate"],
}))
# %% [markdown]
# The paper adds: a positive slope "if the approximation in Eq. 26 holds". Two families of networks with the same
# segmentation are tried: the trained network's logits scaled, and scaled logits that are right at every pixel, so large
# that the tangent of {ref}`Eq. 26 <eq-26>` misses {glue:text}`iou_missed_right` of the loss at most. In both $R_{ce}$
# moves and the drop stands still.
# %% tags=["hide-input"]
truth = torch.nn.functional.one_hot(labels, logits.shape[1]).movedim(-1, 1).double()
sweep = rce_laws.temperature_sweep(logits, labels, np.geomspace(0.1, 10, 13), nu_max=4)
right = rce_laws.temperature_sweep(truth, labels, np.geomspace(7, 14, 7), nu_max=4)
pairs = [(a, b) for rows in (sweep, right) for _, a in rows.iterrows() for _, b in rows.iterrows()
         if b["rce"] >= 1.1 * a["rce"]]
least = (7 * truth).softmax(1).amax(1)
missed_right = float(1 - (1 - least).mean() / -least.log().mean())
glue("iou_missed_right", f"{missed_right:.1%}", display=False)
rising = sum(b["drop"] > a["drop"] for a, b in pairs)
q, r = np.meshgrid(np.linspace(0.05, 1, 20), np.linspace(0, 1, 21))
values, broken = metrics.drop_from_overlap_loss(q, r), metrics.drop_from_overlap_loss(-0.9 * q, r)
good, bad = [int(((np.diff(v, axis=0)[1:] > 0) & (np.diff(v, 2, axis=0) < 0)).sum()) for v in (values, broken)]
findings.observe("eq32-positive-slope", value=rising, n=len(pairs), note=(
    f"Scaled logits: R_ce(4) from {sweep['rce'].min():.3f} to {sweep['rce'].max():.2f}, the drop stays at "
    f"{sweep['drop'].iloc[0]:.1%}; so too for logits that are right everywhere, where the tangent misses "
    f"{missed_right:.1%} of the loss: no slope."))
_ = findings.observe("eq32-positive-slope", value=good, n=19 * 20, form="corrected", mutant=bad)
# %% [markdown]
# ## As predictors of a drop
# The logits are truncated and the drop of mIoU measured. Beside it: $R_{ce}$ itself, {ref}`Eq. 32 <eq-32>` as printed,
# the same with the signs of Eqs 30 and 31 mended (where $L > b(0)$ its $p_1$ is negative), and {ref}`Eq. 29 <eq-29>`
# with the symmetric band, which bands the overlap instead of the network: a model of the drop, not the drop.
# %%
columns = ["nu_max", "hard", "soft", "rce", "printed", "sign_mended", "overlap"]
off = {k: float((drops[k] - drops["hard"]).abs().mean()) for k in columns[2:]}
glue("iou_off_printed", f"{off['printed']:.2f}", display=False)
glue("iou_off_rce", f"{off['rce']:.2f}", display=False)
glue("iou_off_overlap", f"{off['overlap']:.3f}", display=False)
drops[columns].style.format(precision=3).hide(axis="index")
# %% [markdown]
# Mean distance from the measured drop: {glue:text}`iou_off_printed` for Eq. 32 as printed, {glue:text}`iou_off_rce` for
# $R_{ce}$, {glue:text}`iou_off_overlap` for the mended chain.
#
# ## Soft and hard IoU
# The paper derives with soft maps and measures with hard ones. Scaling the logits moves the first and not the second:
# %%
scale = [{"tau": t, "soft": float(metrics.soft_iou((t * logits).softmax(1), labels).nanmean()),
          "hard": metrics.mean_iou(metrics.confusion_matrix((t * logits).argmax(1), labels, logits.shape[1])),
          "loss": float(ce.cross_entropy(t * logits, labels).mean())} for t in np.geomspace(0.1, 30, 13)]
scale = pd.DataFrame(scale)
findings.observe("beyond-iou-scale", value=float(np.ptp(scale["hard"])), mutant=float(np.ptp(scale["soft"])), note=(
    f"Hard mIoU {scale['hard'].iloc[0]:.3f} throughout; soft mIoU from {scale['soft'].min():.2f} to "
    f"{scale['soft'].max():.2f}, loss from {scale['loss'].min():.2f} to {scale['loss'].max():.2f}."))
figures.show(
    draw.soft_and_hard(scale),
    caption="Soft IoU, hard IoU and loss of one segmentation under scaled logits.",
    alt="The hard IoU is a flat line; the soft IoU rises towards it; the loss has a minimum in between.",
    source="this chapter", label="fig-soft-hard",
)
# %% [markdown]
# ## Where the overlap lives
# For a perfect map every term $|b(\nu)|^2$ of the overlap is positive: here nothing cancels, and a share is a share.
# The term at $\nu = 0$ is the class's area; a small or thin class needs high frequencies. Three kinds of synthetic
# scenes (regimes) are tried: a few objects, land cover that fills the frame, and streets with thin parts.
# %%
shares = pd.concat([
    iou_laws.overlap_share(toy.scenes(regime, sizes.images, sizes.size, split="val")[1], 16).assign(regime=regime)
    for regime in ("objects", "landcover", "streets")
])
pooled = shares.assign(part=shares["box"] * shares["share"]).groupby("regime")[["part", "share"]].sum()
pooled = pooled["part"] / pooled["share"]
most, least = int((shares["box"] > 0.5).sum()), shares.sort_values("box").iloc[0]
findings.observe("obs2-iou-low-frequency", value=most, n=len(shares), note=(
    f"Pooled share of |nu| <= 16: {pooled.min():.0%} or more; {len(shares) - most} of {len(shares)} classes have half "
    f"or less (least {least['box']:.0%})."))
_ = findings.observe("obs2-iou-low-frequency", value=pooled.min(), form="approximation")
# %%
figures.show(
    draw.shares(shares, 16),
    caption="Share of each class's overlap within 16 cycles per frame, for perfect predictions of three synthetic "
            "regimes.",
    alt=f"{most} of {len(shares)} classes lie above one half, {int((shares['box'] > 0.8).sum())} above 0.8; classes of "
        "small area tend lower. The shares of the zero frequency alone are small.",
    source="this chapter", label="fig-shares",
)
# %% [markdown]
# ## What we found
# %% tags=["hide-input"]
findings.close()
# %% [markdown]
# ## Check yourself
# - In the block model, find shares and fractions for which the argmax of the loss's minimiser has IoU zero.
# - Which $\tau$ makes soft and hard IoU agree best? Is it the one that minimises the loss?
# - Take $q = 1$ and $r = 1/2$: how much IoU is lost when half of a perfect overlap goes?
