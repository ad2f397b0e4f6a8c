"""Sentences on R_ce as a predictor of the drop: Figs 5 and 7, the line, and the choice of the LRG size (3.2, 3.3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from specseg.evidence.fits import Line, line, spearman
from specseg.study.printed import fits, predictors
from specseg.study.printed.drops import applications, dataset_order
from specseg.study.printed.sentences import Fact, Sentences, share
from specseg.study.printed.tables import CURVE, FULL_GRID, SETUP, Tables, blocks, cells

RIVALS = (
    "LRG size, power law",
    "LRG size, mean elsewhere",
    "same model and LRG elsewhere",
    "mean drop elsewhere",
    "no drop",
)

SENTENCES = Sentences()
FITTED = "R_ce, line fitted elsewhere"
LIMITS = (0.05, 0.1, 0.2)  # thresholds on R_ce up to the paper's


def _reversed(t: Tables) -> Tables:
    """Turn each row of Table 1 round below 256: the largest R_ce on the largest grid."""
    frame = t.rce.copy()
    inner = frame.nu_max < 256
    for _, rows in frame[inner].groupby(CURVE):
        order = rows.sort_values("nu_max")
        frame.loc[order.index, "value"] = order["value"].to_numpy()[::-1]
    return replace(t, rce=frame)


def _mirrored(t: Tables) -> Tables:
    """Replace each R_ce by the largest one minus itself: every correlation changes its sign."""
    frame = t.rce.copy()
    frame["value"] = frame["value"].max() - frame["value"]
    return replace(t, rce=frame)


def _proportional(t: Tables, slope: float, intercept: float = 0.0, full: bool = False) -> Tables:
    """Make every drop follow one line in R_ce (at most 0.99; none at the full grid unless `full`)."""
    lookup = cells(t).set_index(["model", "dataset", "lrg_size"]).rce.groupby(level=[0, 1, 2]).first()

    def rewrite(frame, size):
        frame = frame.copy()
        key = pd.MultiIndex.from_arrays([frame.model, frame.dataset, size])
        rce = lookup.reindex(key).to_numpy()
        rows = (frame.metric == "miou_drop").to_numpy() & (full | (size != FULL_GRID).to_numpy())
        frame.loc[rows, "value"] = np.minimum(intercept + slope * rce[rows], 0.99)
        return frame

    block_size = pd.Series(np.where(t.block.nu_max == 256, FULL_GRID, 2 * t.block.nu_max + 1), index=t.block.index)
    truncation = rewrite(t.truncation, t.truncation.lrg_size.astype(int))
    return replace(t, block=rewrite(t.block, block_size.astype(int)), truncation=truncation)


def _consistent(t: Tables) -> Tables:
    """Make the mIoUs follow the printed line as well, so that R_ce + FLOPs must find every optimum."""
    out = _proportional(t, 0.5)
    c = cells(out)
    frame = out.truncation.copy()
    miou = (
        c.assign(value=c.base * (1 - np.minimum(0.5 * c.rce * (c.lrg_size != FULL_GRID), 0.99)))
        .set_index(["model", "dataset", "prune_rate", "lrg_size"])
        .value
    )
    rows = (frame.metric == "miou").to_numpy()
    frame.loc[rows, "value"] = miou.reindex(
        pd.MultiIndex.from_frame(frame.loc[rows, ["model", "dataset", "prune_rate", "lrg_size"]])
    ).to_numpy()
    return replace(out, truncation=frame)


def block_cells(tables: Tables) -> pd.DataFrame:
    """Return Table 3 with the columns that the predictors ask for (LRG 129 stands for nu_max = 256: no drop)."""
    b = blocks(tables)
    return b.assign(lrg_size=np.where(b.nu_max == 256, FULL_GRID, 2 * b.nu_max + 1), prune_rate=0.0)


def _spearman(frame: pd.DataFrame) -> float:
    return float(spearman(frame.rce, frame.miou_drop))


def _leave_one_curve(frame: pd.DataFrame) -> tuple[float, float]:
    out = [_spearman(frame[~((frame[CURVE] == list(key)).all(axis=1))]) for key, _ in frame.groupby(CURVE)]
    return min(out), max(out)


def _pooled(frame: pd.DataFrame, what: str) -> Fact:
    value, (low, high) = _spearman(frame), _leave_one_curve(frame)
    return Fact(
        value,
        f"Spearman {value:.3f} over {what} ({low:.3f} to {high:.3f} with one curve left out).",
        low=min(low, value),
        high=max(high, value),
        over="setups",
    )


@SENTENCES.test("fig5a-positive", _mirrored)
def _each_curve(t: Tables) -> Fact:
    found = [_spearman(g) > 0 for _, g in cells(t).groupby(SETUP)]
    return share(found, "{k} of {n} lines rise; within a line any falling function of the LRG size ranks the same.")


@SENTENCES.test("fig5b-positive", _mirrored)
def _joint(t: Tables) -> Fact:
    c = cells(t)
    return _pooled(c[c.lrg_size != FULL_GRID], "144 truncated networks")


@SENTENCES.test("fig7-strong", _mirrored)
@SENTENCES.test("fig7-positive", _mirrored)
def _blocks(t: Tables) -> Fact:
    coarse = blocks(t).query("nu_max < 256")
    alone = _spearman(coarse.assign(rce=-coarse.nu_max))
    found = _pooled(coarse, "18 networks trained on blocks")
    return replace(found, note=f"{found.note} The band limit alone has {alone:.2f}.")


@SENTENCES.test("fig5b-linear", lambda t: t.with_value("rce", 0.004, nu_max=16))
def _linear(t: Tables) -> Fact:
    s = fits.select(cells(t))
    x, y = s.rce.to_numpy(), s.miou_drop.to_numpy()
    one = line(x, y).r2
    coefficients = np.polyfit(x, y, 2)
    residual = y - np.polyval(coefficients, x)
    gain = 1 - float(residual @ residual) / float(((y - y.mean()) ** 2).sum()) - one
    own = fits.per_curve(cells(t)).slope
    below = {limit: fits.stated(cells(t), limit) for limit in LIMITS}
    by_limit = ", ".join(f"{fit.slope:.2f} below {limit:g}" for limit, fit in below.items())
    return Fact(
        gain,
        f"A square term adds {gain:.4f} to R^2; the six curves' own slopes run from "
        f"{own.min():.2f} to {own.max():.2f}, and the common slope depends on the threshold: {by_limit}.",
    )


@SENTENCES.test("fig5b-slope", _reversed, lambda t: _proportional(t, 0.6725, 0.0022, full=True))
def _slope(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    fit, found = _two_lines(c)
    low, high = fits.robust_intervals(c)["slope"]
    moved = (fits.rounding_spread(c, draws=200).slope - fit.slope).abs().max()
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
    return tuple(line(s.rce, s.miou_drop) for s in (fits.select(c), fits.unstated(c)))


@SENTENCES.test("fig5b-intercept", _reversed, lambda t: _proportional(t, 0.6725, 0.0022, full=True))
def _intercept(t: Tables) -> dict[str, Fact]:
    fit, found = _two_lines(cells(t))
    return {
        "printed": Fact(fit.intercept, f"The stated rule gives {fit.intercept:.4f}."),
        "corrected": Fact(
            found.intercept, f"The {found.n} points of the slope's correction give {found.intercept:.4f}."
        ),
    }


@SENTENCES.test("fig5b-r2", _reversed)
def _r2(t: Tables) -> dict[str, Fact]:
    fit, found = _two_lines(cells(t))
    return {
        "printed": Fact(fit.r2, f"The stated rule gives {fit.r2:.3f}."),
        "corrected": Fact(found.r2, f"The {found.n} points of the slope's correction give {found.r2:.3f}."),
    }


@SENTENCES.test("bey-two-applications", lambda t: _proportional(t, 0.6725, 0.0022))
def _two_applications(t: Tables) -> Fact:
    """Table 3 against Table 4 where R_ce is one and the same printed number."""
    pairs = applications(cells(t), blocks(t))
    small = pairs[pairs.rce < t.text.line[3]]
    widest = small.loc[small.factor.idxmax()]
    return share(
        pairs.apart,
        f"At one R_ce the two drops differ by more than the rounding in {{k}} of {{n}} cells; where R_ce < 0.2 by "
        f"a factor of up to {small.factor.max():.1f} ({widest.model} on {widest.dataset}, R_ce = {widest.rce:.3f}: "
        f"{widest.truncated:.1%} truncated, {widest.blocks:.1%} with blocks).",
    )


def _ratio(frame: pd.DataFrame, threshold: float | None) -> tuple[float, str]:
    mae = predictors.mean_errors(frame, [FITTED, *RIVALS], threshold)
    own, rivals = mae[FITTED], mae[list(RIVALS)]
    return own / rivals.min(), (
        f"the fitted line misses by {own:.3f}, the best rival without R_ce ({rivals.idxmin()}) by {rivals.min():.3f}"
    )


@SENTENCES.test("fig5b-estimates", _reversed)
def _estimates(t: Tables) -> Fact:
    c = cells(t)
    value, said = _ratio(c, t.text.line[3])
    every, said_every = _ratio(c, None)
    return Fact(
        value,
        f"Data set held out, R_ce < 0.2: {said}. Without the threshold it {'wins' if every < 1 else 'loses'}: "
        f"{said_every}.",
    )


@SENTENCES.test("sec33-rce-estimates", _reversed, lambda t: _proportional(t, 0.45))
def _block_estimates(t: Tables) -> dict[str, Fact]:
    frame = block_cells(t)
    every, said = _ratio(frame, None)
    value, said_small = _ratio(frame, t.text.line[3])
    return {
        "printed": Fact(every, f"Data set held out, all 18 networks: {said}."),
        "corrected": Fact(value, f"Where R_ce < 0.2: {said_small}."),
    }


@SENTENCES.test("fig5b-general", _reversed, lambda t: _proportional(t, 0.6725))
def _general(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    own = fits.per_curve(c)
    pooled = fits.stated(c).slope
    off = own.slope / pooled - 1
    factor = np.exp(np.abs(np.log(own.slope.clip(lower=1e-9) / t.text.line[0])))
    return {
        "printed": share(
            off.abs() <= 0.20,
            f"{{k}} of {{n}} curves have a slope within 20 % of the common one ({off.min():+.0%} to {off.max():+.0%}).",
        ),
        "approximation": share(factor <= 1.5, "{k} of {n} lie within a factor of 1.5 of the printed slope."),
    }


@SENTENCES.test(
    "sec32-cityscapes-explained",
    lambda t: t.with_value("rce", 0.001, dataset="cityscapes"),
    lambda t: _proportional(t, 0.45),
)
def _streets(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    guess = predictors.held_out(c, FITTED)
    own = (c.dataset == "cityscapes") & (c.lrg_size != FULL_GRID)

    def explained(rows):
        y = c.miou_drop[rows]
        return float(1 - ((guess[rows] - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    small = own & (c.rce < t.text.line[3])
    signs = pd.concat([dataset_order(c, "cityscapes", d) for d in ("pascal", "deepglobe")])
    return {
        "printed": Fact(
            explained(own),
            f"On Cityscapes the line of PASCAL and DeepGlobe has R2 = {explained(own):.2f}"
            f"{', worse than the mean' if explained(own) < 0 else ''} ({explained(small):.2f} where R_ce < 0.2).",
        ),
        "corrected": share(
            (signs.rce_sign == 1) & (signs.drop_sign == 1),
            "R_ce and drop are both larger on Cityscapes in {k} of {n} comparisons.",
        ),
    }


@SENTENCES.test("sec32-choose-lrg", _reversed, _consistent)
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
