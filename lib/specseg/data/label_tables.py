"""From the numbers of every map (`label_numbers`) to tidy rows of a label set, with 95 % bootstrap intervals.

`stack` holds the numbers of n maps, stacked on a first axis; `groups` says which maps belong together (a drive, a
tile), one entry a map. Sums over maps first, ratios after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from specseg.data import label_spectra, manifests, synthetic
from specseg.data.label_numbers import Plan, class_scores, measure, stacked
from specseg.evidence import statistics
from specseg.spectral import labels as annotation
from specseg.spectral import spectrum as sp

Stack = Mapping[str, np.ndarray]
LEVELS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
TAILS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)
RULES = {"block_majority": "majority", "block_nearest": "nearest", "band_periodic": "periodic", "band_mirrored": "band"}
"""The label rules of chapter 80 and the kinds of weak labels that they score."""


def _rims(stack: Stack, plan: Plan) -> np.ndarray:
    """Return the energy of all planes on each rim, (n, B, R); without `whole` the last entry is all the rest."""
    if plan.whole:
        return stack["power"]
    inside = stack["rims"].sum(2)
    share = stack["truths"][:, 0 if plan.void == "masked" else 1].sum(-1) / plan.size**2
    return np.concatenate([inside, share[:, None, None] - inside.sum(-1, keepdims=True)], -1)


def contours(stack: Stack, plan: Plan) -> np.ndarray:
    """Return the length of all contours of each map in frame sides, (n,): void filled, each contour once."""
    return annotation.crofton(stack["crossings"]).sum(-1) / 2 / plan.size


def pixel_error(counts: np.ndarray) -> np.ndarray:
    """Return the share of labelled pixels missed, of counts (..., C, 3): hit, labelled, predicted.

    >>> float(pixel_error(np.array([[3, 4, 3], [4, 4, 5]])))
    0.125
    """
    return 1 - counts[..., 0].sum(-1) / counts[..., 1].sum(-1)


def spectra(stack: Stack, groups: Sequence, plan: Plan, *, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Return what maps are in frequency, under each boundary.

    Metrics: `power` (per bin, class and image, against nu), `decay_exponent` (and over 4 .. 128), `energy_share` and
    `energy_share_ac` (inside the box, with and without the mean), `near_share`, `pixel_error`, `miou` (`_everywhere`
    after filling), `wrap_ratio` (energy beyond the box, periodic to mirrored). A plan that is not `whole` has no power,
    no exponents and no near_share.
    """
    times, size, n = statistics.resampled(groups, draws, seed), plan.size, len(groups)
    each_rim = _rims(stack, plan)
    all_rims = np.tensordot(times, each_rim, 1)
    scored = {"": class_scores(stack)}
    if plan.void == "filled":
        scored["_everywhere"] = class_scores(stack, where="_all")
    pooled = {end: np.tensordot(times, counts.astype(float), 1) for end, counts in scored.items()}
    near = np.tensordot(times, stack["near"], 1) if plan.whole else None
    classes, rows = stack["truths"].shape[-1], []

    def add(metric, values, each=None, **where):
        values = np.asarray(values, float)
        spread = np.nanstd(each) if each is not None else np.nan
        rows.append({"metric": metric, **statistics.estimate(values[0], values[1:]), "spread": spread, "n": n, **where})

    for b, boundary in enumerate(plan.boundaries):
        rims, own = all_rims[:, b], each_rim[:, b].cumsum(1)
        inside, bins = rims.cumsum(1), np.asarray(label_spectra.rim_bins(size, boundary=boundary))
        for name, fit in (("decay_exponent", label_spectra.FIT), ("decay_exponent_4_128", (4, 128))):
            if plan.whole:
                exponents = [label_spectra.decay_exponent(r, size, boundary=boundary, fit=fit) for r in rims]
                add(name, exponents, boundary=boundary)
        for nu in range(rims.shape[1]) if plan.whole else ():
            add("power", rims[:, nu] / (bins[nu] * classes * times.sum(1)), boundary=boundary, nu=nu)
        mean, varies = own[:, 0], own[:, -1] - own[:, 0] > 1e-12  # one-class maps have nothing but their mean
        for k, nu in enumerate(plan.band):
            at = {"boundary": boundary, "nu_max": nu, "lrg_size": sp.lrg_size(nu)}
            add("energy_share", inside[:, nu] / inside[:, -1], own[:, nu] / own[:, -1], **at)
            each = (own[varies, nu] - mean[varies]) / (own[varies, -1] - mean[varies])
            add("energy_share_ac", (inside[:, nu] - rims[:, 0]) / (inside[:, -1] - rims[:, 0]), each, **at)
            if near is not None and nu < size // 2:  # nothing is beyond the Nyquist limit
                add("near_share", near[:, b, k] / rims[:, nu + 1 :].sum(1), **at)
            for end, counts in pooled.items():
                v = b * len(plan.band) + k
                add(f"miou{end}", statistics.miou(counts[:, v]), **at)
                add(f"pixel_error{end}", pixel_error(counts[:, v]), pixel_error(scored[end][:, v]), **at)
    for nu in (nu for nu in plan.band if nu < size // 2 and len(plan.boundaries) == 2):
        beyond = all_rims[:, :, nu + 1 :].sum(-1)
        add("wrap_ratio", beyond[:, 0] / beyond[:, 1], nu_max=nu, lrg_size=sp.lrg_size(nu))
    whole_numbers = [c for c in ("nu", "nu_max", "lrg_size") if any(c in row for row in rows)]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole_numbers, "Int64"))


def _limits(plan: Plan) -> Iterator[tuple[int, int, dict[str, object]]]:
    """Yield of each band-limited label its place in `counts`, its boundary's, and its columns in a table."""
    for v, (_, nu) in enumerate(plan.variants[: len(plan.boundaries) * len(plan.band)]):
        b = v // len(plan.band)
        yield v, b, {"boundary": plan.boundaries[b], "nu_max": nu, "lrg_size": sp.lrg_size(nu)}


def single(stack: Stack, names: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Return the rows of three single maps (first, middle, last), by which a reader with the data checks a record."""
    rows, rims, counts = [], _rims(stack, plan), class_scores(stack)
    for k in sorted({0, len(names) // 2, len(names) - 1}):
        for v, b, limit in _limits(plan):
            at = {"name": names[k], **limit, "n": 1}
            share = rims[k, b, : limit["nu_max"] + 1].sum() / rims[k, b].sum()
            rows += [{**at, "metric": "image_energy_share", "value": share},
                     {**at, "metric": "image_pixel_error", "value": float(pixel_error(counts[k, v]))}]  # fmt: skip
    return pd.DataFrame(rows)


def class_iou(stack: Stack, classes: Sequence[str], plan: Plan) -> pd.DataFrame:
    """Return the IoU of each class's band-limited labels with the true ones: which classes a band limit costs."""
    rows, iou = [], statistics.iou(class_scores(stack).sum(0))
    for v, _, at in _limits(plan):
        rows += [{**at, "metric": "class_iou", "name": c, "value": float(x), "n": len(stack["void"])}
                 for c, x in zip(classes, iou[v], strict=True) if x == x]  # fmt: skip
    return pd.DataFrame(rows)


def profile(stack: Stack, groups: Sequence, classes: Sequence[str], plan: Plan, *, draws: int = 1000,
            seed: int = 0) -> pd.DataFrame:  # fmt: skip
    """Return what maps are like: means of contour, classes, void, shares and tails, and quantiles of the contour.

    `plan` is `whole`, fills void and has the mirrored boundary last. `contour`: length of all contours in frame sides
    (Crofton, each contour once); `tail`: share of the planes' energy above each nu_max of TAILS that the frame holds.
    """
    weights, table, n, contour = statistics.resampled(groups, draws, seed), [], len(groups), contours(stack, plan)

    def add(metric: str, values: np.ndarray, **where) -> None:
        found = statistics.estimate(values.mean(), weights @ values / weights.sum(1))
        table.append({"metric": metric, **where, **found, "n": n})

    add("contour", contour)
    add("classes", stack["regions"].sum(1).astype(float))
    add("void", stack["void"])
    table += [{"metric": "contour_quantile", "level": level, "value": np.quantile(contour, level), "n": n}
              for level in LEVELS]  # fmt: skip
    for k, name in enumerate(classes):
        add("share", stack["truths"][:, 0, k] / plan.size**2, name=name)
    power = stack["power"][:, -1]
    for nu in (nu for nu in TAILS if nu <= plan.size // 2):
        inside = power[:, : nu + 1].sum(1)
        add("tail", np.maximum(power.sum(1) - inside, 0.0) / power.sum(1), nu_max=nu)
    return pd.DataFrame(table, columns=["metric", "name", "nu_max", "level", "value", "low", "high", "n"])


def coarse(stack: Stack, groups: Sequence, plan: Plan) -> pd.DataFrame:
    """Return mIoU of blocks and polygons and the error's share above nu_max, with intervals over groups.

    Kinds: block_majority, block_nearest, polygon_true against the true labels; polygon_block, polygons against blocks
    by majority; "no contour", a map of the commonest class alone.
    """
    draws, out, counts = statistics.weights(groups), [], class_scores(stack)
    for nu in plan.coarse:
        shared = {"nu_max": nu, "n": len(groups)}
        own = {f"block_{k}": counts[:, plan.variants.index((k, nu))] for k in ("majority", "nearest")}
        own |= {f"polygon_{k}": stack[f"drawn_{nu}"][:, i] for i, k in enumerate(("true", "block"))}
        for kind, values in own.items():
            drawn = statistics.miou(statistics.pooled(values, draws))
            found = statistics.estimate(float(statistics.miou(statistics.pooled(values))), drawn)
            out.append({**shared, "metric": "miou", "kind": kind, **found})
        labelled = stack["truths"][:, 0].sum(0)
        none = float(labelled.max() / labelled.sum() / (labelled > 0).sum())
        out.append({**shared, "metric": "miou", "kind": "no contour", "value": none})
        for kind in ("error", "truth"):
            total, beyond = stack[f"{kind}_{nu}"].T
            found = statistics.estimate(beyond.sum() / total.sum(), (draws @ beyond) / (draws @ total))
            out.append({**shared, "metric": "power_beyond", "kind": kind, **found})
    return pd.DataFrame(out)


def rules_plan(size: int, lrg_sizes: Sequence[int]) -> Plan:
    """Return the plan that `rules` reads, at some sizes of the low-resolution grid."""
    limits = tuple(map(sp.nu_max, lrg_sizes))
    return Plan(size, limits, limits, boundaries=sp.BOUNDARIES, void="masked")


def rules(stack: Stack, plan: Plan) -> dict[str, np.ndarray]:
    """Return what labels alone say of every map: the rivals of R_ce (section 3.2), from a plan that masks void.

    `counts` (rules, sizes, n, C, 3) of RULES' weak labels; `density` (n,): contour length in frame sides; `beyond`
    (sizes, n): share of label energy (nu != 0) above each band, periodic; `kinds` and `lrg_sizes` name the axes.
    """
    counts, places = class_scores(stack), plan.variants
    found = [np.stack([counts[:, places.index((kind, nu))] for nu in plan.band]) for kind in RULES.values()]
    rims = _rims(stack, plan)[:, plan.boundaries.index("periodic"), 1:]
    varying = rims.sum(1)
    varies = varying > 1e-12  # a map of one class has nothing but its mean, and rounding
    beyond = [np.where(varies, rims[:, nu:].sum(1), 0.0) / np.where(varies, varying, 1.0) for nu in plan.band]
    return {"counts": np.stack(found).astype(np.int32), "kinds": np.array(list(RULES)), "beyond": np.stack(beyond),
            "lrg_sizes": np.array([sp.lrg_size(nu) for nu in plan.band]),
            "density": contours(stack, plan)}  # fmt: skip


def ceilings(found: Stack, clusters: Sequence[str], scored: Sequence[int]) -> pd.DataFrame:
    """Return the rows of `rules`: ceiling mIoU per kind and size with intervals, contour density, energy tails."""
    draws, rows, shared = statistics.weights(clusters), [], {"n": len(clusters), "unit": "1"}
    for k, kind in enumerate(found["kinds"].tolist()):
        for j, size in enumerate(found["lrg_sizes"].tolist()):
            counts = found["counts"][k, j]
            low, high = statistics.interval(statistics.miou(statistics.pooled(counts, draws), scored))
            value = float(statistics.miou(statistics.pooled(counts), scored))
            rows.append({**shared, "metric": "ceiling_miou", "kind": kind, "lrg_size": size, "value": value,
                         "low": low, "high": high})  # fmt: skip
    rows += [{**shared, "metric": "energy_beyond", "lrg_size": s, "value": float(v.mean())}
             for s, v in zip(found["lrg_sizes"].tolist(), found["beyond"], strict=True)]  # fmt: skip
    rows.append({**shared, "metric": "contour_density", "value": float(found["density"].mean())})
    return pd.DataFrame(rows)


def profile_plan(size: int) -> Plan:
    """Return the least plan that `profile` reads."""
    return Plan(size, (1,), whole=True)


def scenes(regime: str, seeds: Sequence[int], size: int, dose: float = 1.0, **options) -> pd.DataFrame:
    """Return the `profile` of synthetic scenes. Raises ValueError where none has a pixel that is not void."""
    classes, plan = synthetic.CLASSES[regime], profile_plan(size)
    every = {k: measure(synthetic.scene(regime, k, size, dose=dose).label, len(classes), plan) for k in seeds}
    found = {k: one for k, one in every.items() if one is not None}
    table = profile(stacked([*found.values()]), [*found], classes, plan, **options)
    return table.assign(dataset=regime, split="val")


def dosed(regime: str, count: int, size: int, doses: Sequence[float] = synthetic.DOSES) -> pd.DataFrame:
    """Return mean contour and tails of a regime's scenes at each dose: the same seeds at every dose."""
    parts = []
    for dose in doses:
        table = scenes(regime, range(count), size, dose)
        parts.append(table[table["metric"].isin(["contour", "tail"])].assign(dose=dose))
    out = pd.concat(parts, ignore_index=True).assign(split="dosed")
    return out.replace({"metric": {"contour": "dose_contour", "tail": "dose_tail"}})


def counts() -> pd.DataFrame:
    """Return A.9's counts beside ours, one a row: dataset, what, paper, here (from the manifests alone).

    >>> counts().query("dataset == 'deepglobe'")["here"].tolist()
    [7, 803, 701, 102]
    """
    table = []
    for manifest in map(manifests.load, manifests.names()):
        numbered = [s for s in manifest.splits if s.paper_count]
        if numbered:
            table.append((manifest.name, "categories", manifest.labels.paper_classes, len(manifest.labels.names)))
        table += [(manifest.name, f"{s.name} images", s.paper_count, s.count) for s in numbered]
    return pd.DataFrame(table, columns=["dataset", "what", "paper", "here"])


def bracket(table: pd.DataFrame, real: Sequence[str] = ("voc2012", "camvid", "dubai"),
            limits: tuple[int, int] = (8, 64)) -> pd.DataFrame:  # fmt: skip
    """Return for each real set and band limit its tail and the smallest and largest tail of the dosed scenes.

    `table` is what `profile` and `dosed` give. Columns: dataset, nu_max, value, smallest, largest, inside.
    """
    dose = table[table["metric"] == "dose_tail"].groupby("nu_max")["value"].agg(["min", "max"])
    own = table[(table["metric"] == "tail") & table["dataset"].isin(real) & table["nu_max"].between(*limits)]
    out = own[["dataset", "nu_max", "value"]].merge(dose, left_on="nu_max", right_index=True)
    out = out.rename(columns={"min": "smallest", "max": "largest"})
    return out.assign(inside=out["value"].between(out["smallest"], out["largest"]))
