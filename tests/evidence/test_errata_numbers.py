"""Numbers typed into corrections of paper/claims.toml: each is recomputed here, and must stand there as computed."""

from __future__ import annotations

import re

import pytest

from specseg.evidence import ledger, paper
from specseg.nets import flops
from specseg.nets.flops import table2
from specseg.study import printed as audit
from specseg.study.printed import costs, curves, drops, fits, predictors

TABLES = audit.Tables.read()
CELLS = TABLES.cells


def loss_rates() -> list[str]:
    table = curves.rce_table(TABLES)
    fall = table[8] / table[32]
    return [f"factor of {fall.min():.0f} to {fall.max():.0f}"]


def shares() -> list[str]:
    ratio = costs.parts(TABLES.constants, "FLOPs").ratio
    return [f"{ratio['deeplabv3plus']:.2f} of the encoder's in DeepLab v3+, {ratio['dan']:.2f} in DAN"]


def excess() -> list[str]:
    found = costs.excess(TABLES.gflops, 129).excess
    return [f"{found[0.2]:.0%}", f"{found[0.6]:.0%}", f"{found[0.0]:.0%}"]


def seventy() -> list[str]:
    saved, best = CELLS, costs.least(CELLS, "fpi")
    setup = ["model", "dataset", "prune_rate", "lrg_size"]
    near = costs.optima(TABLES)[setup].merge(saved, on=setup).query("0.65 <= saving <= 0.70")
    assert set(zip(near.model, near.prune_rate, near.lrg_size, strict=True)) == {("deeplabv3plus", 0.4, 33)}
    assert len(near) == 2 and f"{near.saving.min():.0%}" == f"{near.saving.max():.0%}"
    return [
        f"largest saving is {saved.saving.max():.0%}",
        f"{100 * best.saving.min():.0f} to {best.saving.max():.0%}",
        f"{100 * best.loss.min():.0f} to {best.loss.max():.0%}",
        f"save {near.saving.max():.0%}, at {100 * near.loss.min():.0f} and {near.loss.max():.0%} of mIoU",
    ]


def small_loss() -> list[str]:
    both = CELLS.query("prune_rate > 0 and lrg_size < 129")
    half = both[both.saving >= 0.5].groupby(["model", "dataset"]).loss.min()
    return [f"half costs up to {half.max():.1%}"]


def baselines() -> list[str]:
    gap = drops.baselines(TABLES).set_index(["model", "dataset"]).loc["deeplabv3plus", "deepglobe"]
    return [
        f"{gap.miou_table3:.1%} in Table 3",
        f"{gap.miou_table4:.1%} in Table 4",
        f"{100 * gap.difference:.1f} points",
    ]


def small_rates() -> list[str]:
    few = CELLS[(CELLS.lrg_size != 129) & (CELLS.rce <= 0.05)]
    return [f"the largest is {few.miou_drop.max():.1%}"]


def models() -> list[str]:
    pairs = drops.agreement(TABLES)["models"]
    told = pairs[pairs.rce_sign != 0]
    right = (told.rce_sign == told.drop_sign).sum()
    return [f"ties in {len(pairs) - len(told)} of {len(pairs)} pairs", f"other {len(told)} it is right in {right}"]


def line() -> list[str]:
    fit, found = fits.stated(CELLS), fits.fit(fits.unstated(CELLS))
    unpruned = fits.select(CELLS).query("prune_rate == 0")
    bare = fits.fit(unpruned)
    low, high = fits.clustered(CELLS).set_index("method").loc["cluster-robust, 6 curves", ["low", "high"]]
    moved = (fits.rounding_spread(CELLS).slope - fit.slope).abs().max()
    tried = fits.every_selection(CELLS)
    whole = tried[(tried.model.map(len) == 2) & (tried.dataset.map(len) == 3)]
    assert set(whole[whole.reproduces].n) == {found.n} and whole.reproduces.sum() == 2
    return [
        f"{found.slope:.4f}\\,R_{{ce}} + {found.intercept:.4f}", f"over {found.n} points",
        f"{fit.slope:.3f}\\,R_{{ce}} - {-fit.intercept:.4f}", f"over {fit.n} points", f"by {moved:.3f} only",
        f"{bare.slope:.3f}\\,R_{{ce}} - {-bare.intercept:.4f}", f"the {bare.n} unpruned", f"{low:.2f} to {high:.2f}",
        f"Of the {len(whole)} selections",
    ]  # fmt: skip


def intercept() -> list[str]:
    fit, found = fits.stated(CELLS), fits.fit(fits.unstated(CELLS))
    return [f"$+{found.intercept:.4f}$", f"$-{-fit.intercept:.4f}$"]


def r2() -> list[str]:
    fit, found = fits.stated(CELLS), fits.fit(fits.unstated(CELLS))
    return [f"{found.r2:.2f} over the {found.n} points", f"gives {fit.r2:.2f}"]


def own_slopes() -> list[str]:
    own = fits.per_curve(CELLS).slope
    return [f"{own.min():.2f} to {own.max():.2f}"]


def streets() -> list[str]:
    return [f"$R^2 = {dict(predictors._streets(TABLES))['printed'].value:.2f}$"]


def strides() -> list[str]:
    at = {s: table2.compare(table2.cells(output_stride=s), paper.table("2")) for s in (32, 16)}
    saved = {m: {s: f"{table2.truncation_saving(at[s], m):.0%}".replace("%", " %") for s in at} for m in table2.MODELS}
    encoder = {s: f"{flops.count('deeplabv3plus', output_stride=s).encoder / 1e9:.1f}" for s in at}
    deep, dan = saved["deeplabv3plus"], saved["dan"]
    return [
        f"{encoder[32]} GFLOPs", f"it costs {encoder[16]}", f"from {deep[32]} to {deep[16]} for DeepLab v3+",
        f"from {dan[32]} to {dan[16]} for DAN",
    ]  # fmt: skip


RECOMPUTED = {
    "sec31-factor-of-ten": loss_rates, "a1-decoder-cost-comparable": shares, "sec32-29-to-60": excess,
    "sec1-seventy-percent": seventy, "con-saving-small-loss": small_loss, "tab34-baselines": baselines,
    "sec32-small-rce-small-drop": small_rates, "con-results-agree": models, "fig5b-slope": line,
    "fig5b-intercept": intercept, "fig5b-r2": r2, "fig5b-general": own_slopes, "sec32-cityscapes-explained": streets,
    "tab2-deeplab": strides,
}  # fmt: skip


@pytest.mark.parametrize("claim", RECOMPUTED)
def test_the_numbers_of_a_correction_are_the_computed_ones(claim):
    correction = ledger.load_claims().by_id[claim].correction
    said = re.sub(r"(?<=\d) %", "%", " ".join(correction.values()))
    for part in RECOMPUTED[claim]():
        assert re.sub(r"(?<=\d) %", "%", part) in said, f"{claim}: computed {part!r}, the correction has: {said}"
