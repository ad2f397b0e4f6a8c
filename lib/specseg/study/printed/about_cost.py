"""Sentences on Table 2, A.1 and FLOPs per IoU (sections 1, 3.2, 4, A.1, Fig. 4)."""

from __future__ import annotations

import pandas as pd

from specseg.study.printed import costs
from specseg.study.printed.drops import rises
from specseg.study.printed.sentences import Fact, Sentences, share
from specseg.study.printed.tables import FULL_GRID, SETUP, Tables, cells

SENTENCES = Sentences()

SIZES = [129, 97, 81, 65, 49, 33, 17]


@SENTENCES.test("a1-constants-add-up", lambda t: t.with_value("gflops", 141, model="deeplabv3plus", lrg_size=129))
def _constants(t: Tables) -> Fact:
    law = costs.area_law(t.constants, t.gflops)
    return share(law.agrees, "{k} of {n} unpruned cells of Table 2 are encoder + decoder x (LRG/129)^2.")


@SENTENCES.test(
    "a1-decoder-cost-comparable",
    lambda t: t.with_value("constants", 2.0, part="decoder", quantity="FLOPs"),
    lambda t: t.with_value("constants", 60.0, part="decoder", quantity="FLOPs"),
)
def _comparable(t: Tables) -> dict[str, Fact]:
    models, const = ("deeplabv3plus", "dan"), costs.constant
    ratio = {m: const(t.constants, m, "decoder", "FLOPs") / const(t.constants, m, "encoder", "FLOPs") for m in models}
    said = f"decoder/encoder FLOPs: {ratio['deeplabv3plus']:.2f} (DeepLab v3+), {ratio['dan']:.2f} (DAN)."
    return {
        "printed": share([r >= 0.5 for r in ratio.values()], f"{{k}} of {{n}} decoders take half or more; {said}"),
        "approximation": share([r >= 0.1 for r in ratio.values()], "{k} of {n} take a tenth or more."),
    }


@SENTENCES.test(
    "sec32-encoder-holds-parameters",
    lambda t: t.with_value("constants", 13.0, model="DeepLab v3+", part="decoder", quantity="parameters"),
)
def _parameters(t: Tables) -> Fact:
    ratio = {
        m: costs.constant(t.constants, m, "decoder", "parameters")
        / costs.constant(t.constants, m, "encoder", "parameters")
        for m in ("deeplabv3plus", "dan")
    }
    worst = max(ratio.values())
    return Fact(worst, f"The decoder has at most {worst:.1%} of the encoder's parameters.")


@SENTENCES.test(
    "sec32-more-parameters",
    lambda t: t.with_value("constants", 1.3, part="decoder", quantity="parameters"),
    lambda t: t.with_value("constants", 30.0, model="Dan", part="encoder", quantity="parameters"),
)
def _more(t: Tables) -> dict[str, Fact]:
    part = {
        p: [costs.constant(t.constants, m, p, "parameters") for m in ("deeplabv3plus", "dan")]
        for p in ("encoder", "decoder")
    }
    total = (part["encoder"][0] + part["decoder"][0]) / (part["encoder"][1] + part["decoder"][1])
    decoder = part["decoder"][0] / part["decoder"][1]
    return {
        "printed": Fact(total, f"The networks differ by {total - 1:.1%} in all."),
        "corrected": Fact(decoder, f"The decoders differ by a factor of {decoder:.2f}."),
    }


@SENTENCES.test(
    "sec32-one-decoder-cost", lambda t: t.with_value("gflops", 82, model="deeplabv3plus", prune_rate=0.4, lrg_size=129)
)
def _one_decoder(t: Tables) -> Fact:
    share_of = costs.decoder_share(t.gflops)
    pruned = share_of[share_of.prune_rate > 0].groupby("model")["removed"]
    spread = float((pruned.max() - pruned.min()).max())
    return Fact(
        spread,
        f"F(129) - F(17) over the pruned rows differs by {spread:g} GFLOP: one decoder cost at every encoder rate.",
    )


@SENTENCES.test("sec32-flops-fall", lambda t: t.with_value("gflops", 97, model="dan", prune_rate=0, lrg_size=17))
def _fall(t: Tables) -> Fact:
    steps = pd.concat(
        [
            rises(t.gflops, "lrg_size", ["model", "prune_rate"], "value", up=False),
            rises(t.gflops, "prune_rate", ["model", "lrg_size"], "value"),
        ]
    )
    return share(
        steps.step <= 0,
        f"{{k}} of {{n}} steps do not rise; {int((steps.step == 0).sum())} are equal at the printed integer.",
    )


@SENTENCES.test("fig8-flops-order", lambda t: t.with_value("gflops", 97, model="dan", prune_rate=0, lrg_size=17))
def _figure8(t: Tables) -> Fact:
    steps = rises(t.gflops, "lrg_size", ["model", "prune_rate"], "value")
    return share(steps.step >= 0, "{k} of {n} steps to a larger grid do not lower the printed FLOPs.")


@SENTENCES.test(
    "sec32-29-to-60",
    lambda t: t.with_value("gflops", 90, model="dan", lrg_size=129),
    lambda t: t.with_text(excess=(0.282, 0.595)),
)
def _excess(t: Tables) -> dict[str, Fact]:
    e = costs.excess(t.gflops, FULL_GRID)
    low, high = t.text.excess
    error = max(abs(e.excess.min() - low), abs(e.excess.max() - high))
    ends = [e.loc[e.excess.idxmin()], e.loc[e.excess.idxmax()]]
    outside = max(max(r.low - s, s - r.high, 0.0) for r, s in zip(ends, (low, high), strict=True))
    rows = ", ".join(f"{x:.1%}" for x in e.excess)
    return {
        "printed": Fact(error, f"Rows 0, 20, 40, 60 % give {rows}: the smallest is not the baseline's."),
        "approximation": Fact(outside, "Rounding of Table 2 allows both printed ends."),
    }


@SENTENCES.test("sec32-same-at-33", lambda t: t.with_value("gflops", 105, model="deeplabv3plus", lrg_size=33))
def _at_33(t: Tables) -> Fact:
    worst = float(costs.excess(t.gflops, 33).excess.max())
    return Fact(worst, f"At LRG 33 DeepLab v3+ takes at most {worst:.1%} more.")


@SENTENCES.test(
    "sec32-both-parts-cheaper", lambda t: t.with_value("gflops", 55, model="dan", prune_rate=0.4, lrg_size=97)
)
def _both(t: Tables) -> Fact:
    g = t.gflops.pivot_table(index=["model", "lrg_size"], columns="prune_rate", values="value")
    found = []
    for model in ("deeplabv3plus", "dan"):
        for rate in (0.2, 0.4, 0.6):
            for size in SIZES[1:]:
                both = g.loc[(model, size), rate]
                found += [both < g.loc[(model, size), 0], both < g.loc[(model, FULL_GRID), rate]]
    s = costs.savings(cells(t))
    cut = s[s.prune_rate == 0].groupby("model").saving.max()
    rate = s[s.lrg_size == FULL_GRID].groupby("model").saving.max()
    return share(
        found,
        "{k} of {n} comparisons: both cost less than either alone. Truncation alone saves at "
        f"most {cut['deeplabv3plus']:.1%} (DeepLab v3+) and {cut['dan']:.1%} (DAN), pruning "
        f"alone {rate['deeplabv3plus']:.1%} and {rate['dan']:.1%}.",
    )


@SENTENCES.test(
    "sec1-seventy-percent",
    lambda t: t.with_value("gflops", 60, model="dan", prune_rate=0.6),
    lambda t: t.with_value("gflops", 42, prune_rate=0.6),
)
def _seventy(t: Tables) -> dict[str, Fact]:
    s = costs.savings(cells(t))
    best = float(s.saving.max())
    top = s[s.saving == best]
    least = costs.best_over_pruning(cells(t))
    setup = [*SETUP, "lrg_size"]
    near = costs.optima(cells(t))[setup].merge(s, on=setup).query("0.65 <= saving <= 0.70")
    said = (
        f"{len(near)} of Fig. 4's 24 optima save 65 to 70 %, at {near.loss.min():.1%} to {near.loss.max():.1%} "
        "less mIoU."
        if len(near)
        else "None of Fig. 4's 24 optima saves 65 to 70 %."
    )
    return {
        "printed": Fact(
            best, f"Table 2's largest saving is {best:.1%}, at {top.loss.min():.1%} to {top.loss.max():.1%} less mIoU."
        ),
        "corrected": Fact(
            float(least.saving.min()),
            f"The settings of smallest FPI save {least.saving.min():.1%} to {least.saving.max():.1%}, at "
            f"{least.loss.min():.1%} to {least.loss.max():.1%} less mIoU. {said}",
        ),
    }


@SENTENCES.test(
    "con-saving-small-loss",
    lambda t: t.with_value("truncation", 0.3, metric="miou", dataset="pascal", prune_rate=(0.2, 0.4, 0.6)),
    lambda t: t.with_value("truncation", 0.8, metric="miou", prune_rate=0.4),
)
def _small_loss(t: Tables) -> dict[str, Fact]:
    both = costs.savings(cells(t)).query("prune_rate > 0 and lrg_size < 129")

    def least(saving):
        return both[both.saving >= saving].groupby(["model", "dataset"]).loss.min()

    half, quarter = least(0.5), least(0.25)
    return {
        "printed": share(
            half <= 0.05,
            f"Half of the FLOPs cost {half.min():.1%} to {half.max():.1%} of mIoU; {{k}} of "
            "{n} pairs stay within 5 %.",
        ),
        "approximation": share(quarter <= 0.05, f"A quarter costs at most {quarter.max():.1%}: {{k}} of {{n}}."),
    }


@SENTENCES.test("sec32-optima-33-to-65", lambda t: t.with_text(common=(66, 97)))
def _optima(t: Tables) -> Fact:
    o = costs.optima(cells(t))
    low, high = t.text.common
    many = int((o.possible.map(len) > 1).sum())
    sure = sum(low <= min(p) and max(p) <= high for p in o.possible)
    near = int((o.margin < 0.01).sum())
    return share(
        o.lrg_size.between(low, high),
        f"{{k}} of {{n}} optima lie there, {sure} whatever the rounding, which leaves {many} open; the runner-up "
        f"is within 1 % in {near}.",
    )


@SENTENCES.test(
    "sec32-exceptions",
    lambda t: t.with_text(exceptions=(("dan", "pascal", (17,)),)),
    lambda t: t.with_text(
        exceptions=(
            ("deeplabv3plus", "deepglobe", (17, 33)),
            ("dan", "deepglobe", (17, 33, 49)),
            ("dan", "cityscapes", (65, 81, 97)),
        )
    ),
)
def _exceptions(t: Tables) -> Fact:
    o = costs.open_optima(cells(t), t.constants)
    named = {(m, d): sizes for m, d, sizes in t.text.exceptions}
    low, high = t.text.common

    def fits(row, found) -> bool:
        sizes = named.get((row.model, row.dataset))
        return any(low <= s <= high if sizes is None else s in sizes for s in found)

    ok = o.apply(lambda r: fits(r, r.possible), axis=1)
    bare = sum(fits(r, (r.lrg_size,)) for r in o.itertuples())
    against = "; ".join(
        f"{r.model} on {r.dataset}, {r.prune_rate:.0%} pruned: {r.lrg_size}" for r in o[~ok].itertuples()
    )
    return share(
        ok,
        f"{{k}} of {{n}} setups can be as described within the rounding, {bare} are so by the printed digits"
        + (f"; no rounding helps {against}." if against else "."),
    )


@SENTENCES.test(
    "sec32-optima-insensitive", lambda t: t.with_value("gflops", 10, model="dan", prune_rate=0.6, lrg_size=129)
)
def _insensitive(t: Tables) -> Fact:
    steps = costs.moves(costs.open_optima(cells(t), t.constants), SIZES)
    most = steps.max()
    return Fact(
        most.printed,
        f"By the printed digits the optimum moves by up to {most.printed} LRG steps over the pruning rates, one at "
        f"most in {(steps.printed <= 1).sum()} of {len(steps)} pairs; rounding allows {most.least} to {most.most}.",
        low=most.least,
        high=most.most,
        over="rounding",
    )


@SENTENCES.test("sec32-truncation-lowers-fpi", lambda t: t.with_value("gflops", 50, model="dan", prune_rate=0.4))
def _lower_fpi(t: Tables) -> Fact:
    c = cells(t)
    o = costs.optima(c)
    rate = costs.best_over_pruning(c)
    return share(
        o.lrg_size != FULL_GRID,
        "{k} of {n} optima are truncated networks. Over all pruning rates FPI "
        f"picks {rate.prune_rate.min():.0%} each time, at {rate.loss.min():.1%} to "
        f"{rate.loss.max():.1%} less mIoU.",
    )


@SENTENCES.test(
    "sec32-fpi-both-at-once",
    lambda t: t.with_value("truncation", 0.1, metric="miou", lrg_size=(33, 49, 65)),
    lambda t: t.with_value("gflops", 50, prune_rate=(0, 0.2, 0.4, 0.6)),
)
def _trade(t: Tables) -> dict[str, Fact]:
    c = cells(t)
    o = costs.optima(c)
    g = c.merge(
        o[[*SETUP, "lrg_size"]].rename(columns={"lrg_size": "best"}),
        on=SETUP,
    )
    chosen = g[g.lrg_size == g.best].set_index(SETUP)
    setups = g.groupby(SETUP)
    both = (chosen.miou == setups.miou.max()) & (chosen.gflops == setups.gflops.min())
    every = costs.on_front(c, c)
    return {
        "printed": share(
            both,
            "{k} of {n} optima have both the least drop and the least cost.",
        ),
        "corrected": share(
            every,
            "FPI trades 1 % of FLOPs for 1 % of mIoU: {k} of {n} networks are undominated in their setup.",
        ),
    }
