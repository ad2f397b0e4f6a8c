"""Is the adviser's advice good? Its rule, and rivals, against the measured drops of setups whose domain no rule saw.

For each setup and tolerance a rule names the smallest LRG size at which, and at every larger one, its predicted drop
is tolerable. The adviser's rule (`advise.recommend.RULE`) has no parameter that a measured drop could have set, so each
domain is unseen by it; rules with a fitted line or mean have the domain held out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from specseg.advise import recommend
from specseg.data import label_numbers
from specseg.data.label_numbers import Plan
from specseg.evidence import statistics as scores
from specseg.evidence.records import Record
from specseg.spectral import spectrum as sp
from specseg.study import rules
from specseg.study.predictor_cells import Cells
from specseg.study.predictor_findings import over_pictures, unit
from specseg.study.third_party import Outside
from specseg.study.trained import estimate

TOLERANCES = (0.01, 0.02, 0.05)
ADVISER, ORACLE = "adviser", "measured drop"
WHOLE, HALF, SMALLEST = "whole grid always", "half the grid always", "smallest grid always"
RIVALS = (
    "R_ce, line fitted elsewhere", "R_ce, the printed line", "LRG size, mean elsewhere", "LRG size, power law",
    "block ceiling, majority", "perimeter law, line",
)  # fmt: skip


def ceilings(cells: Cells, setup: str) -> pd.DataFrame:
    """Return what the adviser's `choose` reads, for one setup's test labels: rows of kind "band", metric "drop".

    Drops of mirrored band-limited labels against those of the whole grid, with 95 % intervals over clusters.
    """
    table, drawn = cells.where(cells.table["setup"] == setup)
    frame = 4 * (table["lrg_size"].max() - 1)  # its side less one: the grid has every fourth pixel
    return table[["nu_max", "lrg_size"]].assign(
        kind="band", metric="drop", block_px=frame / (2 * table["nu_max"]), se=drawn["advice"][1:].std(0),
        **pd.DataFrame([estimate(x) for x in drawn["advice"].T]),
    )  # fmt: skip


def smallest(sizes: np.ndarray, drops: np.ndarray, tolerance: float) -> int:
    """Return the smallest size at which, and at every larger one, the drop is at most the tolerance; else the largest.

    >>> smallest(np.array([65, 49, 33, 17]), np.array([0.0, 0.01, 0.03, 0.02]), 0.02)
    49
    """
    order = np.argsort(-sizes)
    good = np.cumprod(drops[order] <= tolerance).astype(bool)
    return int(sizes[order][good].min()) if good.any() else int(sizes.max())


def advice(cells: Cells) -> pd.DataFrame:
    """Return one row per setup, tolerance and rule: the size named and what it costs.

    Columns setup, domain, kind, model, whole (the whole grid's size), tolerance, rule, lrg_size, best (smallest
    tolerable by the measured drop), drop (measured at lrg_size), kept (drop within the tolerance), extra_flops (share
    of the best size's FLOPs paid too much, 0 where the size is not above the best), extra_drop (drop above the
    tolerance), loss (their sum: a per cent of FLOPs for a per cent of mIoU, the exchange that FPI makes), drawn (the
    last three with their draws). Rules that cannot be formed are left out.
    """
    values, rows = cells.values(), []
    predicted = {name: rules.held_out(values, rules.rule(name)) for name in RIVALS}
    predicted = {name: v for name, v in predicted.items() if not np.isnan(v).any()}
    for setup, part in cells.table.groupby("setup", sort=False):
        sizes, table = part["lrg_size"].to_numpy(int), ceilings(cells, setup)
        whole = sizes.max()
        about = {**part.iloc[0][["setup", "domain", "kind", "model"]], "whole": whole}
        for tolerance in TOLERANCES:
            named = {name: smallest(sizes, v[part.index], tolerance) for name, v in predicted.items()}
            found = recommend.choose(table, "band", tolerance)
            named |= {ADVISER: found["lrg_size"] if found else whole, WHOLE: whole, HALF: whole // 2 + 1,
                      SMALLEST: sizes.min()}  # fmt: skip
            for name, size in named.items():
                drawn = _costs(cells, setup, size, tolerance)
                rows.append({**about, "tolerance": tolerance, "rule": name, "lrg_size": int(size), "drawn": drawn,
                             **{k: v[0] for k, v in drawn.items()}})  # fmt: skip
    return pd.DataFrame(rows)


def _costs(cells: Cells, setup: str, size: int, tolerance: float) -> dict[str, np.ndarray]:
    """Return best, drop, kept and what a named size costs, drawn."""
    own = cells.table[cells.table["setup"] == setup].sort_values("lrg_size", ascending=False)
    sizes, flops = own["lrg_size"].to_numpy(int), own["gflops"].to_numpy(float)
    drops = cells.drawn["drop"][:, own.index]
    at = int(np.flatnonzero(sizes == size)[0])
    good = np.cumprod(drops <= tolerance, axis=1).astype(bool)
    best = np.where(good.any(1), good.sum(1) - 1, 0)
    flops_lost = np.where(at < best, flops[at] / flops[best] - 1, 0.0)
    drop_lost = np.maximum(drops[:, at] - tolerance, 0.0)
    return {"best": sizes[best], "drop": drops[:, at], "kept": drops[:, at] <= tolerance,
            "extra_flops": flops_lost, "extra_drop": drop_lost, "loss": flops_lost + drop_lost}  # fmt: skip


def regrets(table: pd.DataFrame) -> pd.DataFrame:
    """Return rule, tolerance, metric (extra_flops, extra_drop), value (mean over setups), low, high of `advice`.

    The interval resamples setups, and in each the pictures on which the drop was measured; what a rule named stays.
    """
    rows = []
    for (rule, tolerance), part in table.groupby(["rule", "tolerance"], sort=False):
        for metric in ("extra_flops", "extra_drop"):
            lost = np.stack([drawn[metric] for drawn in part["drawn"]])
            found = scores.estimate(lost[:, 0].mean(), scores.mean_anew(lost[:, 1:]))
            rows.append({"rule": rule, "tolerance": tolerance, "metric": metric, **found})
    return pd.DataFrame(rows)


def whole_sets(found: Sequence[Record], table: pd.DataFrame, others: Sequence[Outside] = ()) -> pd.DataFrame:
    """Return what records of advise_labels name for whole label sets, as shares of the grid, beside the measured best.

    Columns set, tolerance, named, every pixel (void scored too), measured: the share of the grid of the smallest
    tolerable size of that set's setups, the largest of them (`table` as `advice` gives it; NaN: none); others: the
    least and the largest such share of networks that others trained, in the paper's frame ("": none).
    """
    rows = []
    for record in found:
        name = record.meta["settings"]["dataset"].split("_")[0]  # cityscapes_512x256: Cityscapes, shrunk
        own = record.rows[(record.rows["table"] == "recommendation") & (record.rows["kind"] == "band")]
        steps = record.rows.query("table == 'ceilings' and kind == 'band'")["lrg_size"].max() - 1
        here = table[table["domain"] == name.removesuffix("2012")]
        for tolerance, part in own.groupby("max_drop"):
            value = (part.set_index("metric")["value"] - 1) / steps
            best = here[here["tolerance"] == tolerance]
            ends = [(smallest(*net.cuts(), tolerance) - 1) / steps for net in others if net.dataset == name]
            rows.append({"set": name, "tolerance": tolerance, "named": value["recommended"],
                         "every pixel": value["recommended_everywhere"],
                         "measured": (best["best"].max() - 1) / (best["whole"].max() - 1),
                         "others": f"{min(ends):.2f} to {max(ends):.2f}" if ends else ""})  # fmt: skip
    return pd.DataFrame(rows, columns=["set", "tolerance", "named", "every pixel", "measured", "others"])


def open_question(cells: Cells) -> list[dict]:
    """Return the observations of con-open-question-spectrum (without its id).

    By domain, over its setups and TOLERANCES: the adviser's mean loss minus that of always taking half of the
    grid, which knows nothing. The loss has two sides, so a rule that always names the whole grid can fail too. The
    mutant always names the smallest grid.
    """
    table, domains, facts = advice(cells), cells.parts(), []
    for name, part in table.groupby("domain", sort=False):
        each = {rule: np.mean([drawn["loss"] for drawn in own["drawn"]], 0)
                for rule, own in part.groupby("rule", sort=False)}  # fmt: skip
        told = ", ".join(f"{rule} {v[0]:.3f}" for rule, v in sorted(each.items(), key=lambda kv: kv[1][0]))
        own, worst = part[part["rule"] == ADVISER], float(each[SMALLEST][0] - each[HALF][0])
        facts.append({
            **over_pictures(domains[name], each[ADVISER] - each[HALF]),
            "mutant": worst if worst > 0 else None,
            "note": f"{unit(name)}, {own['setup'].nunique()} setups at 1, 2 and 5 %: loss {told}; "
                    f"{own['kept'].sum()} of {len(own)} recommendations within the tolerance.",
        })  # fmt: skip
    return facts


def own_numbers(
    labels: torch.Tensor, num_classes: int, lrg_sizes: Sequence[int], scored: Sequence[int]
) -> pd.DataFrame:
    """Return lrg_size, adviser, records: the drop of band-limited labels, by both ways of leaving void out.

    `labels` (B, s, s). The adviser fills void before it makes labels weak, the records of label rules mask it; both
    score without void. Without void they are equal.
    """
    out = {"lrg_size": list(lrg_sizes)}
    for who, void in (("adviser", "filled"), ("records", "masked")):
        plan = Plan(int(labels.shape[-1]), tuple(map(sp.nu_max, lrg_sizes)), void=void)
        stack = label_numbers.stacked([label_numbers.measure(x.numpy(), num_classes, plan) for x in labels])
        score = scores.miou(label_numbers.class_scores(stack).sum(0), scored)
        out[who] = 1 - score / score[out["lrg_size"].index(max(lrg_sizes))]
    return pd.DataFrame(out)
