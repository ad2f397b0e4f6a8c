"""Sentences on R_ce as a predictor of the drop: Figs 5 and 7, the line, and the choice of the LRG size (3.2, 3.3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from specseg.evidence.fits import Line, spearman
from specseg.study.printed import fits, predictors
from specseg.study.printed.about_drops import truncated
from specseg.study.printed.drops import applications, order
from specseg.study.printed.sentences import Fact, Measure, Sentences, share
from specseg.study.printed.tables import CURVE, FULL_GRID, SETUP, Tables, blocks, cells, curves
from specseg.study.rules import PRINTED

FITTED = "R_ce, line fitted elsewhere"
RIVALS = [n for n, rule in predictors.PREDICTORS.items() if rule.needs in ("LRG", "nothing")]
BELOW = PRINTED["threshold"]
LIMITS = (0.05, 0.1, BELOW)  # thresholds on R_ce up to the paper's
SENTENCES = Sentences()


def _reversed(t: Tables) -> Tables:
    """Turn each row of Table 1 round below 256: the largest R_ce on the largest grid."""
    inner = t.rce[t.rce.nu_max < 256].sort_values([*CURVE, "nu_max"])
    turned = inner.assign(value=inner.groupby(CURVE)["value"].transform(lambda v: v.to_numpy()[::-1]))
    return replace(t, rce=pd.concat([t.rce[t.rce.nu_max == 256], turned]))


def _mirrored(t: Tables) -> Tables:
    """Replace each R_ce by the largest one minus itself: every correlation changes its sign."""
    return replace(t, rce=t.rce.assign(value=t.rce["value"].max() - t.rce["value"]))


def _on_a_line(t: Tables) -> Tables:
    """Make every drop follow the printed line in R_ce, the full grid's too."""
    rce = curves(t).set_index([*CURVE, "nu_max"]).rce

    def rewrite(frame: pd.DataFrame, nu_max: pd.Series) -> pd.DataFrame:
        at = rce.reindex(pd.MultiIndex.from_arrays([frame.model, frame.dataset, nu_max])).to_numpy()
        drop = np.minimum(PRINTED["intercept"] + PRINTED["slope"] * at, 0.99)
        return frame.assign(value=frame["value"].where(frame.metric != "miou_drop", drop))

    return replace(t, block=rewrite(t.block, t.block.nu_max),
                   truncation=rewrite(t.truncation, (t.truncation.lrg_size - 1) // 2))  # fmt: skip


def block_cells(tables: Tables) -> pd.DataFrame:
    """Return Table 3 with the columns that the predictors ask for (LRG 129 stands for nu_max = 256: no drop)."""
    b = blocks(tables)
    return b.assign(lrg_size=np.where(b.nu_max == 256, FULL_GRID, 2 * b.nu_max + 1), prune_rate=0.0)


def _spearman(frame: pd.DataFrame) -> float:
    return float(spearman(frame.rce, frame.miou_drop))


def _pooled(frame: pd.DataFrame, what: str) -> Fact:
    value = _spearman(frame)
    less = [_spearman(frame.drop(own.index)) for _, own in frame.groupby(CURVE)]
    return Fact(
        value,
        f"Spearman {value:.3f} over {what} ({min(less):.3f} to {max(less):.3f} with one curve left out).",
        low=min(*less, value),
        high=max(*less, value),
        over="setups",
    )


@SENTENCES.test("fig5a-positive", _mirrored)
def _each_curve(t: Tables) -> Fact:
    found = [_spearman(g) > 0 for _, g in cells(t).groupby(SETUP)]
    return share(found, "{k} of {n} lines rise; within a line any falling function of the LRG size ranks the same.")


@SENTENCES.test("fig5b-positive", _mirrored)
def _joint(t: Tables) -> Fact:
    return _pooled(truncated(t), "144 truncated networks")


@SENTENCES.test("fig7-strong", _mirrored)
@SENTENCES.test("fig7-positive", _mirrored)
def _blocks(t: Tables) -> Fact:
    coarse = blocks(t).query("nu_max < 256")
    alone = _spearman(coarse.assign(rce=-coarse.nu_max))
    found = _pooled(coarse, "18 networks trained on blocks")
    return replace(found, note=f"{found.note} The band limit alone has {alone:.2f}.")


@SENTENCES.test("fig5b-linear", lambda t: t.with_value("rce", 0.004, nu_max=16))
def _linear(t: Tables) -> Fact:
    points = fits.select(cells(t))
    x, y = points.rce.to_numpy(), points.miou_drop.to_numpy()
    square = np.polyval(np.polyfit(x, y, 2), x)
    gain = 1 - ((y - square) ** 2).sum() / ((y - y.mean()) ** 2).sum() - fits.fit(points).r2
    own = fits.per_curve(cells(t)).slope
    by_limit = ", ".join(f"{fits.stated(cells(t), limit).slope:.2f} below {limit:g}" for limit in LIMITS)
    return Fact(
        gain,
        f"A square term adds {gain:.4f} to R^2; the six curves' own slopes run from "
        f"{own.min():.2f} to {own.max():.2f}, and the common slope depends on the threshold: {by_limit}.",
    )


@SENTENCES.test("fig5b-slope", _reversed)
def _slope(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    fit, found = _two_lines(c)
    low, high = fits.robust_intervals(c)["slope"]
    moved = (fits.rounding_spread(c).slope - fit.slope).abs().max()
    return {
        "printed": Fact(
            fit.slope,
            f"The stated rule gives {fit.slope:.3f} over {fit.n} points, which rounding explains by {moved:.3f} only; "
            f"with six curves as clusters the interval is {low:.2f} to {high:.2f}.",
        ),
        "corrected": Fact(
            found.slope,
            f"{found.n} points give {found.slope:.4f}: the unpruned networks, R_ce = 0 at LRG 129, drops of the "
            "printed mIoUs, DAN on PASCAL at LRG 17 left out.",
        ),
    }


def _two_lines(c: pd.DataFrame) -> tuple[Line, Line]:
    """Return the line of the stated rule and that of the points which the paper does not name."""
    return fits.stated(c), fits.fit(fits.unstated(c))


def _of_the_line(name: str, form: str) -> Measure:
    def measure(t: Tables) -> dict[str, Fact]:
        fit, found = _two_lines(cells(t))
        given, again = getattr(fit, name), getattr(found, name)
        return {
            "printed": Fact(given, f"The stated rule gives {given:{form}}."),
            "corrected": Fact(again, f"The {found.n} points of the slope's correction give {again:{form}}."),
        }

    return measure


SENTENCES.test("fig5b-intercept", _reversed)(_of_the_line("intercept", ".4f"))
SENTENCES.test("fig5b-r2", _reversed)(_of_the_line("r2", ".3f"))


@SENTENCES.test("bey-two-applications", _on_a_line)
def _two_applications(t: Tables) -> Fact:
    """Table 3 against Table 4 where R_ce is one and the same printed number."""
    pairs = applications(cells(t), blocks(t))
    small = pairs[pairs.rce < BELOW]
    widest = small.loc[small.factor.idxmax()]
    return share(
        pairs.apart,
        f"At one R_ce the two drops differ by more than the rounding in {{k}} of {{n}} cells; where R_ce < 0.2 by "
        f"a factor of up to {small.factor.max():.1f} ({widest.model} on {widest.dataset}, R_ce = {widest.rce:.3f}: "
        f"{widest.truncated:.1%} truncated, {widest.blocks:.1%} with blocks).",
    )


def _ratio(frame: pd.DataFrame, threshold: float | None) -> tuple[float, str]:
    mae = predictors.mean_errors(frame, threshold, [FITTED, *RIVALS])
    own, rivals = mae[FITTED], mae[RIVALS]
    return own / rivals.min(), (
        f"the fitted line misses by {own:.3f}, the best rival without R_ce ({rivals.idxmin()}) by {rivals.min():.3f}"
    )


@SENTENCES.test("fig5b-estimates", _reversed)
def _estimates(t: Tables) -> Fact:
    (value, said), (every, said_every) = (_ratio(cells(t), threshold) for threshold in (BELOW, None))
    return Fact(
        value,
        f"Data set held out, R_ce < 0.2: {said}. Without the threshold it {'wins' if every < 1 else 'loses'}: "
        f"{said_every}.",
    )


@SENTENCES.test("sec33-rce-estimates", _reversed)
def _block_estimates(t: Tables) -> dict[str, Fact]:
    (every, said), (value, said_small) = (_ratio(block_cells(t), threshold) for threshold in (None, BELOW))
    return {
        "printed": Fact(every, f"Data set held out, all 18 networks: {said}."),
        "corrected": Fact(value, f"Where R_ce < 0.2: {said_small}."),
    }


@SENTENCES.test("fig5b-general", _reversed)
def _general(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    own = fits.per_curve(c).slope
    off = own / fits.stated(c).slope - 1
    factor = np.exp(np.abs(np.log(own.clip(lower=1e-9) / PRINTED["slope"])))
    return {
        "printed": share(
            off.abs() <= 0.20,
            f"{{k}} of {{n}} curves have a slope within 20 % of the common one ({off.min():+.0%} to {off.max():+.0%}).",
        ),
        "approximation": share(factor <= 1.5, "{k} of {n} lie within a factor of 1.5 of the printed slope."),
    }


@SENTENCES.test("sec32-cityscapes-explained", lambda t: t.with_value("rce", 0.001, dataset="cityscapes"))
def _streets(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    c = c.assign(guess=predictors.held_out(c, FITTED))
    own = c.query(f"dataset == 'cityscapes' and lrg_size != {FULL_GRID}")

    def explained(rows: pd.DataFrame) -> float:
        y = rows.miou_drop
        return float(1 - ((rows.guess - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    every, small = explained(own), explained(own[own.rce < BELOW])
    signs = pd.concat([order(c, "dataset", "cityscapes", d) for d in ("pascal", "deepglobe")])
    return {
        "printed": Fact(
            every,
            f"On Cityscapes the line of PASCAL and DeepGlobe has R2 = {every:.2f}"
            f"{', worse than the mean' if every < 0 else ''} ({small:.2f} where R_ce < 0.2).",
        ),
        "corrected": share(
            (signs == 1).all(axis=1), "R_ce and drop are both larger on Cityscapes in {k} of {n} comparisons."
        ),
    }


@SENTENCES.test("sec32-choose-lrg", _reversed)
def _choice(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    r = predictors.regrets(c).set_index("predictor")
    own, printed = r.loc[FITTED], r.loc["R_ce, the printed line"]
    rival = r.loc[[*RIVALS, *(i for i in r.index if i.startswith("always"))]].mean_regret
    share_of = predictors.advantage(c, FITTED, RIVALS)
    return {
        "printed": Fact(
            own.hits,
            f"With the target data set held out {own.hits:.0f} of {own.n:.0f} optima are found "
            f"({printed.hits:.0f} with the printed line). This rests on three data sets: Cityscapes makes "
            f"{share_of['cityscapes']:.0%} of the advantage over the best rule without R_ce.",
            n=int(own.n),
        ),
        "approximation": Fact(
            own.mean_regret,
            f"The mean regret in FPI is {own.mean_regret:.2%} (printed line "
            f"{printed.mean_regret:.2%}; best rule without R_ce, {rival.idxmin()}: {rival.min():.2%}).",
        ),
    }
