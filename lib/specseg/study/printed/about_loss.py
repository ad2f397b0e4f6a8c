"""Sentences on Table 1, the relative loss rate R_ce (section 3.1, footnote 4, captions of Figs 2, 3, 5a)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from specseg.study.printed.drops import exceeds, rises
from specseg.study.printed.sentences import Fact, Sentences, share
from specseg.study.printed.tables import CURVE, HALF_RCE, Tables, curves, lrg_to_nu

SENTENCES = Sentences()


def rce_table(tables: Tables) -> pd.DataFrame:
    """Return Table 1 with one row per model and data set and one column per band limit."""
    return curves(tables).pivot(index=CURVE, columns="nu_max", values="rce")


def times_nu(tables: Tables) -> pd.DataFrame:
    """Return R_ce x nu_max: constant along a row where R_ce falls like 1/nu, as a jump across the frame makes it."""
    table = rce_table(tables)[[8, 16, 24, 32, 40, 48, 64]]
    return table.mul(table.columns.to_numpy(), axis=1)


def constancy(tables: Tables, low: int = 24, high: int = 64) -> pd.Series:
    """Return the largest over the smallest R_ce x nu_max between two band limits, per model and data set."""
    part = times_nu(tables)
    part = part[[c for c in part.columns if low <= c <= high]]
    return part.max(axis=1) / part.min(axis=1)


def same_in_both_models(tables: Tables) -> pd.DataFrame:
    """Return per data set at how many band limits below 256 both models print the same R_ce."""
    table = rce_table(tables).drop(columns=256)
    same = (table.loc["dan"] - table.loc["deeplabv3plus"]).abs() < 1e-9
    return pd.DataFrame({"same": same.sum(axis=1), "n": same.shape[1]}).reset_index()


def fall(tables: Tables, start: int = 8, stop: int = 32) -> pd.Series:
    """Return R_ce(start) / R_ce(stop) per model and data set."""
    table = rce_table(tables)
    return table[start] / table[stop]


def steepest(tables: Tables) -> pd.DataFrame:
    """Return per curve the first step after nu_max = 8 and the largest later step, both as change of R_ce per cycle."""
    table = rce_table(tables)
    nu = table.columns.to_numpy(float)
    change = -(table.diff(axis=1).iloc[:, 1:] / np.diff(nu))
    return pd.DataFrame({"first": change[16], "later": change.drop(columns=16).max(axis=1)})


@SENTENCES.test("sec31-full-band-exact", lambda t: t.with_value("rce", 0.01, model="dan", nu_max=256))
def _full_band(t: Tables) -> Fact:
    worst = float(rce_table(t)[256].abs().max())
    return Fact(worst, f"Table 1 prints {worst:g} at nu_max = 256 in all six rows.")


@SENTENCES.test("sec31-half-of-lrg", lambda t: t.with_text(band_limits=((513, 256), (65, 31))))
def _half(t: Tables) -> dict[str, Fact]:
    pairs = t.text.band_limits
    half = max(abs(nu - size / 2) for size, nu in pairs)
    less = max(abs(nu - lrg_to_nu(size)) for size, nu in pairs)
    return {
        "printed": Fact(half, f"Half of the size misses the printed band limits by {half:g}."),
        "convention": Fact(less, f"nu_max = (size - 1)/2 meets every printed pair (largest error {less:g})."),
    }


@SENTENCES.test("sec31-feature-grid", lambda t: t.with_text(grids=(513, 129, 17)))
def _grids(t: Tables) -> Fact:
    image, grid, feature = t.text.grids
    worst = max(abs((image - 1) / 4 + 1 - grid), abs((image - 1) / 16 + 1 - feature))
    return Fact(worst, f"A {image} px image gives {grid} at stride 4 and {feature} at stride 16.")


@SENTENCES.test(
    "sec31-factor-of-ten",
    lambda t: t.with_value("rce", 0.001, nu_max=32),
    lambda t: t.with_value("rce", 0.178, model="deeplabv3plus", dataset="cityscapes", nu_max=32),
)
def _ten(t: Tables) -> dict[str, Fact]:
    ratio = fall(t)
    near = share(
        ratio.between(5, 20),
        f"R_ce(8)/R_ce(32) is {ratio.min():.1f} to {ratio.max():.1f}; {{k}} of {{n}} lie within a factor of two of 10.",
    )
    mean = float(np.exp(np.log(ratio).mean()))
    return {"printed": near, "approximation": Fact(mean, f"Their geometric mean is {mean:.1f}.")}


@SENTENCES.test(
    "sec31-changes-after-8", lambda t: t.with_value("rce", 0.184, model="deeplabv3plus", dataset="pascal", nu_max=16)
)
def _after_8(t: Tables) -> Fact:
    s = steepest(t)
    return share(
        s["first"] > s["later"],
        "In {k} of {n} curves the step from 8 to 16 is the largest, per "
        f"cycle {(s['first'] / s['later']).min():.1f} times the next.",
    )


@SENTENCES.test(
    "sec31-band-16-to-32",
    lambda t: t.with_value("rce", 0.2, dataset="pascal", nu_max=24),
    lambda t: t.with_value("rce", 0.1, dataset="cityscapes"),
)
def _band(t: Tables) -> dict[str, Fact]:
    part = rce_table(t)[[16, 24, 32]].stack().rename("rce").reset_index()
    two = part[part.dataset != "cityscapes"]
    rest = part[part.dataset == "cityscapes"]
    return {
        "printed": share(
            part.rce <= 0.1,
            "{k} of {n} values of R_ce for 16 <= nu_max <= 32 are at most 0.1; on Cityscapes "
            f"they are {rest.rce.min():.3f} to {rest.rce.max():.3f}.",
        ),
        "corrected": share(
            two.rce <= 0.1, f"On PASCAL and DeepGlobe {{k}} of {{n}} are (at most {two.rce.max():.3f})."
        ),
    }


@SENTENCES.test("sec31-cityscapes-rce-larger", lambda t: t.with_value("rce", 0.008, dataset="cityscapes", nu_max=64))
def _streets(t: Tables) -> Fact:
    c = curves(t).query("nu_max < 256")
    pairs = exceeds(c, "rce", "cityscapes", ["pascal", "deepglobe"], ["model", "nu_max"])
    ratio = (pairs.larger / pairs.smaller).min()
    return share(
        pairs.difference > 2 * HALF_RCE,
        f"{{k}} of {{n}} comparisons at the same band limit, rounding included; the smallest ratio is {ratio:.2f}.",
    )


@SENTENCES.test("fig5a-larger-is-lower", lambda t: t.with_value("rce", 0.02, dataset="deepglobe", nu_max=48))
def _falls(t: Tables) -> Fact:
    steps = rises(curves(t), "nu_max", CURVE, value="rce")
    return share(steps.step < 0, "{k} of {n} steps to a larger grid lower R_ce.")


@SENTENCES.test(
    "fig23-frequencies",
    lambda t: t.with_text(shown=("0", "M/4", "M")),
    lambda t: t.with_text(captions=(t.text.shown, t.text.shown)),
)
def _captions(t: Tables) -> Fact:
    said = ", ".join(t.text.captions[0])
    return share(
        [c == t.text.shown for c in t.text.captions],
        f"{{k}} of {{n}} captions (Figs 2, 3) name the text's {', '.join(t.text.shown)}; they say {said}.",
    )


@SENTENCES.test(
    "fn4-values",
    lambda t: t.with_value("rce", 0.06, dataset="deepglobe", nu_max=8),
    lambda t: t.with_text(
        footnote4=(t.text.footnote4[0], ("dan", "cityscapes", 81, 0.075), ("dan", "cityscapes", 97, 0.040))
    ),
)
def _footnote(t: Tables) -> dict[str, Fact]:
    table = curves(t).set_index([*CURVE, "lrg_size"])["rce"]
    stated = t.text.footnote4
    near = [abs(table[m, d, s] - r) <= HALF_RCE for m, d, s, r in stated]
    (m, d, a, ra), (_, _, b, rb) = stated[1:]
    swapped = [stated[0], (m, d, a, rb), (m, d, b, ra)]
    fixed = [abs(table[m, d, s] - r) <= HALF_RCE for m, d, s, r in swapped]
    return {
        "printed": share(
            near,
            f"{{k}} of {{n}} values agree: Table 1 gives {table[m, d, a]:.3f} at LRG {a} and "
            f"{table[m, d, b]:.3f} at LRG {b}, the footnote has them the other way round.",
        ),
        "corrected": share(fixed, "With the two swapped {k} of {n} agree."),
    }


@SENTENCES.test(
    "sec32-exceptions-small-rce",
    lambda t: t.with_text(footnote4=(*t.text.footnote4[:2], ("dan", "cityscapes", 97, 0.75))),
)
def _small(t: Tables) -> Fact:
    worst = max(r for *_, r in t.text.footnote4)
    return Fact(worst, f"The largest of the three is {worst:.3f}.")


@SENTENCES.test("sec32-rce-in-table-4", None, lambda t: replace(t, truncation=pd.concat([t.truncation, t.rce])))
def _located(t: Tables) -> Fact:
    metrics = sorted(t.truncation.metric.unique())
    return share(["rce" in metrics], f"Table 4 holds {' and '.join(metrics)}, no R_ce; Table 1 does.")
