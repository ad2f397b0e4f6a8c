"""Sentences on Table 1, the relative loss rate R_ce (section 3.1, footnote 4, captions of Figs 2, 3, 5a)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from specseg.study.printed.drops import rises, streets_exceed
from specseg.study.printed.sentences import Fact, Forms, Sentences, share
from specseg.study.printed.tables import CURVE, HALF_RCE, Tables

SENTENCES = Sentences()
sentence = SENTENCES.test


def rce_table(tables: Tables) -> pd.DataFrame:
    """Return Table 1 with one row per model and data set and one column per band limit."""
    return tables.curves.pivot(index=CURVE, columns="nu_max", values="rce")


def times_nu(tables: Tables) -> pd.DataFrame:
    """Return R_ce x nu_max: constant along a row where R_ce falls like 1/nu, as a jump across the frame makes it."""
    table = rce_table(tables).drop(columns=256)
    return table.mul(table.columns.to_numpy(), axis=1)


def same_in_both_models(tables: Tables) -> pd.DataFrame:
    """Return per data set at how many (`same` of `n`) band limits below 256 both models print the same R_ce."""
    table = rce_table(tables).drop(columns=256)
    same = (table.loc["dan"] - table.loc["deeplabv3plus"]).abs() < 1e-9
    return pd.DataFrame({"same": same.sum(axis=1), "n": same.shape[1]})


@sentence("sec31-full-band-exact", "rce", 0.01, model="dan", nu_max=256)
def _full_band(t: Tables) -> Fact:
    worst = float(rce_table(t)[256].abs().max())
    return Fact(worst, f"Table 1 prints {worst:g} at nu_max = 256 in all six rows.")


@sentence("sec31-half-of-lrg", "text", band_limits=((513, 256), (65, 31)))
def _half(t: Tables) -> Forms:
    half = max(abs(nu - size / 2) for size, nu in t.text.band_limits)
    less = max(abs(nu - (size - 1) // 2) for size, nu in t.text.band_limits)
    yield "printed", Fact(half, f"Half of the size misses the printed band limits by {half:g}.")
    yield "convention", Fact(less, f"nu_max = (size - 1)/2 meets every printed pair (largest error {less:g}).")


@sentence("sec31-feature-grid", "text", grids=(513, 129, 17))
def _grids(t: Tables) -> Fact:
    image, grid, feature = t.text.grids
    worst = max(abs((image - 1) / 4 + 1 - grid), abs((image - 1) / 16 + 1 - feature))
    return Fact(worst, f"A {image} px image gives {grid} at stride 4 and {feature} at stride 16.")


@sentence("sec31-factor-of-ten", "rce", 0.001, nu_max=32)
def _ten(t: Tables) -> Forms:
    ratio = rce_table(t)[8] / rce_table(t)[32]
    mean = float(np.exp(np.log(ratio).mean()))
    yield "printed", share(ratio.between(5, 20), f"R_ce(8)/R_ce(32) is {ratio.min():.1f} to {ratio.max():.1f}; {{k}} "
                           "of {n} lie within a factor of two of 10.")  # fmt: skip
    yield "approximation", Fact(mean, f"Their geometric mean is {mean:.1f}.")


@sentence("sec31-changes-after-8", "rce", 0.184, model="deeplabv3plus", dataset="pascal", nu_max=16)
def _after_8(t: Tables) -> Fact:
    table = rce_table(t)
    change = -table.diff(axis=1).iloc[:, 1:] / np.diff(table.columns.to_numpy(float))
    first, later = change[16], change.drop(columns=16).max(axis=1)
    return share(first > later, "In {k} of {n} curves the step from 8 to 16 is the largest, per "
                 f"cycle {(first / later).min():.1f} times the next.")  # fmt: skip


@sentence("sec31-band-16-to-32", "rce", 0.2, dataset="pascal", nu_max=24)
def _band(t: Tables) -> Forms:
    part = t.curves.query("16 <= nu_max <= 32")
    two, rest = (part[(part.dataset == "cityscapes") == streets].rce for streets in (False, True))
    yield "printed", share(part.rce <= 0.1, "{k} of {n} values of R_ce for 16 <= nu_max <= 32 are at most 0.1; on "
                           f"Cityscapes they are {rest.min():.3f} to {rest.max():.3f}.")  # fmt: skip
    yield "corrected", share(two <= 0.1, f"On PASCAL and DeepGlobe {{k}} of {{n}} are (at most {two.max():.3f}).")


@sentence("sec31-cityscapes-rce-larger", "rce", 0.008, dataset="cityscapes", nu_max=64)
def _streets(t: Tables) -> Fact:
    pairs = streets_exceed(t.curves.query("nu_max < 256"), "rce", ["model", "nu_max"])
    return share(pairs.difference > 2 * HALF_RCE, "{k} of {n} comparisons at the same band limit, rounding included; "
                 f"the smallest ratio is {(pairs.larger / pairs.smaller).min():.2f}.")  # fmt: skip


@sentence("fig5a-larger-is-lower", "rce", 0.02, dataset="deepglobe", nu_max=48)
def _falls(t: Tables) -> Fact:
    return share(rises(t.curves, "nu_max", CURVE, value="rce") < 0, "{k} of {n} steps to a larger grid lower R_ce.")


@sentence("fig23-frequencies", "text", shown=("0", "M/4", "M"))
def _captions(t: Tables) -> Fact:
    return share([c == t.text.shown for c in t.text.captions], "{k} of {n} captions (Figs 2, 3) name the text's "
                 f"{', '.join(t.text.shown)}; they say {', '.join(t.text.captions[0])}.")  # fmt: skip


@sentence("fn4-values", "rce", 0.06, dataset="deepglobe", nu_max=8)
def _footnote(t: Tables) -> Forms:
    table = t.curves.set_index([*CURVE, "lrg_size"])["rce"]
    one, (m, d, a, ra), (_, _, b, rb) = t.text.footnote4
    swapped = [one, (m, d, a, rb), (m, d, b, ra)]
    near, fixed = ([abs(table[m, d, s] - r) <= HALF_RCE for m, d, s, r in said] for said in (t.text.footnote4, swapped))
    yield "printed", share(near, f"{{k}} of {{n}} values agree: Table 1 gives {table[m, d, a]:.3f} at LRG {a} and "
                           f"{table[m, d, b]:.3f} at LRG {b}, the footnote has them the other way round.")  # fmt: skip
    yield "corrected", share(fixed, "With the two swapped {k} of {n} agree.")


@sentence("sec32-exceptions-small-rce", "text", footnote4=(("dan", "cityscapes", 97, 0.75),))
def _small(t: Tables) -> Fact:
    worst = max(r for *_, r in t.text.footnote4)
    return Fact(worst, f"The largest of the three is {worst:.3f}.")


@sentence("sec32-rce-in-table-4", None)
def _located(t: Tables) -> Fact:
    metrics = sorted(t.truncation.metric.unique())
    return share(["rce" in metrics], f"Table 4 holds {' and '.join(metrics)}, no R_ce; Table 1 does.")
