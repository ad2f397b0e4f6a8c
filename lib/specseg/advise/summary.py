"""From sums over maps to rows: ceilings of weak labels, spectra and contours by class, laws and bounds beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from specseg.data import label_spectra
from specseg.data.label_numbers import COUNTS, TRUTHS, Plan
from specseg.data.survey import Sums
from specseg.evidence import statistics
from specseg.spectral import laws
from specseg.spectral import spectrum as sp
from specseg.spectral.labels import crofton

LOST = 0.5  # a class whose IoU with itself is below this is called lost
DRAWN = ("counts", "truths")


def interval(values) -> dict[str, float]:
    """Return `statistics.estimate` of a number and its bootstrap draws (the number first), and standard error `se`.

    Without a finite draw the interval is the number alone.

    >>> interval([0.5, 0.4, 0.6])["value"], interval([0.5])["low"]
    (0.5, 0.5)
    """
    values = np.asarray(values, float)
    drawn = values[1:][np.isfinite(values[1:])]
    se = float(drawn.std(ddof=1)) if drawn.size > 1 else float("nan")
    return {**statistics.estimate(values[0], drawn if drawn.size else values[:1]), "se": se}


def mean_iou(iou: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without the classes that are nowhere (NaN), as `iou.mean_iou`."""
    return ratio(np.nansum(iou, axis=-1), np.isfinite(iou).sum(-1))  # a resample may hold no map at all


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Return top / bottom, NaN where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def miou(hit: np.ndarray, *areas: np.ndarray) -> np.ndarray:
    """Return the mean IoU over the last axis, the classes; the areas together count the hits twice."""
    return mean_iou(ratio(hit, sum(areas) - hit))


def scores(counts: np.ndarray, truths: np.ndarray) -> dict[str, np.ndarray]:
    """Return IoU by class of every weak label, (..., V, C): labelled pixels, all pixels, boundary region; and the
    share of wrong pixels (..., V): error, error_everywhere.

    `counts` (..., V, 6, C) and `truths` (..., 3, C) as `label_numbers.measure` gives them, summed over maps.
    """
    pred, hit, pred_all, hit_all, edge, edge_hit = (counts[..., COUNTS.index(k), :] for k in COUNTS)
    truth, truth_all, edge_truth = (truths[..., None, TRUTHS.index(k), :] for k in TRUTHS)
    return {
        "iou": ratio(hit, pred + truth - hit),
        "iou_everywhere": ratio(hit_all, pred_all + truth_all - hit_all),
        "boundary_iou": ratio(edge_hit, edge + edge_truth - edge_hit),
        "error": 1 - ratio(hit.sum(-1), truth.sum(-1)),
        "error_everywhere": 1 - ratio(hit_all.sum(-1), truth_all.sum(-1)),
    }


def ceilings(sums: Sums, grid: Plan) -> pd.DataFrame:
    """Return the scores of weak labels: kind, nu_max, lrg_size, block_px, metric, value, low, high, se, n.

    Metrics: miou, miou_everywhere, boundary_iou (means over classes), pixel_error, pixel_error_everywhere, and
    drop, drop_everywhere: the relative loss of mIoU, of band-limited labels against those of the whole prediction grid
    (the network that is not truncated has that grid), of block labels against the true labels.
    """
    found = scores(sums.drawn["counts"], sums.drawn["truths"])
    names = {"iou": "miou", "iou_everywhere": "miou_everywhere", "boundary_iou": "boundary_iou"}
    table = {new: mean_iou(found[old]) for old, new in names.items()}
    table |= {"pixel_error": found["error"], "pixel_error_everywhere": found["error_everywhere"]}
    full = grid.variants.index(("band", max(grid.band)))
    band = np.array([kind == "band" for kind, _ in grid.variants])
    for end in ("", "_everywhere"):
        value = table[f"miou{end}"]
        table[f"drop{end}"] = 1 - value / np.where(band, value[:, full : full + 1], 1.0)
    lines = []
    for v, (kind, nu) in enumerate(grid.variants):
        at = {"kind": kind, "nu_max": nu, "lrg_size": sp.lrg_size(nu), "block_px": block_px(grid.size, nu)}
        lines += [{**at, "metric": m, **interval(values[:, v]), "n": sums.count} for m, values in table.items()]
    return pd.DataFrame(lines)


def block_px(size: int, nu_max: int) -> float:
    """Return the distance of the points of a grid of 2 nu_max + 1 that spans `size` pixels.

    >>> block_px(513, 32)
    8.0
    """
    return (size - 1) / (2 * nu_max)


def classes(sums: Sums, grid: Plan, names: tuple[str, ...]) -> pd.DataFrame:
    """Return one line a class: index, name, maps, share (of labelled pixels), contour (frame sides a map), width_px
    (mean width 2A/P), energy_beyond (share of its varying energy above the largest band limit), lost_at (the largest
    grid at which its IoU ceiling is below LOST, 0: at none), and iou, its IoU by kind and grid."""
    total, kinds = sums.plain, ("band", "majority", "nearest")
    labelled, area = total["truths"][:2]
    length, share, rims = crofton(total["crossings"]), area / grid.size**2, total["rims"][0]
    found = scores(total["counts"], total["truths"])["iou"].T
    iou = [{kind: {sp.lrg_size(nu): float(v) for (own, nu), v in sorted(zip(grid.variants, one, strict=True))
                   if own == kind} for kind in kinds} for one in found]  # fmt: skip
    return pd.DataFrame({
        "index": range(len(names)), "name": names, "maps": total["regions"].astype(int),
        "share": labelled / max(labelled.sum(), 1), "contour": length / grid.size / sums.count,
        "width_px": ratio(2 * area, length),
        "energy_beyond": ratio(share - rims.sum(1), (share - rims[:, 0]).clip(min=0)),
        "lost_at": [max((size for size, v in one["band"].items() if v < LOST), default=0) for one in iou],
        "iou": iou})  # fmt: skip


def spectra(sums: Sums, grid: Plan, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the power of the class planes: nu, name ("" for the mean over classes), power (per bin and map)."""
    rims = sums.plain["rims"][0]
    power = rims / label_spectra.rim_bins(grid.size, boundary="mirrored").numpy()[: rims.shape[1]] / sums.count
    here = {name: own for name, own, maps in zip(names, power, sums.plain["regions"], strict=True) if maps}
    table = pd.DataFrame({"": power.mean(0), **here}).rename_axis("nu")
    return table.melt(var_name="name", value_name="power", ignore_index=False).reset_index()


def tails(sums: Sums, grid: Plan) -> pd.DataFrame:
    """Return energies beyond each band limit and the bounds: nu_max, lrg_size, measured, law, bound (energies a map),
    error (share of pixels that band-limited labels change), error_bound and error_bound_counts (2 sum_c E_c,
    `laws.argmax_bound`, with the measured energy, and with the bound that counts label transitions alone).
    """
    total, nu = sums.plain, np.array(grid.band)
    inside, share = total["rims"][0].cumsum(1)[:, nu], total["truths"][1] / grid.size**2
    measured = (share[:, None] - inside).clip(min=0).sum(0) / sums.count
    diagonal = total["crossings"][:, 2:].sum() / 2 / grid.size
    law = diagonal / np.tan(np.pi / grid.size * (nu + 0.25)) / (2 * np.pi * grid.size)  # mirrored: a quarter bin on
    bound = total["bound"].sum(0) / sums.count
    wrong = scores(total["counts"], total["truths"])["error_everywhere"]
    return pd.DataFrame({
        "nu_max": nu, "lrg_size": 2 * nu + 1, "measured": measured, "law": law.clip(min=0) / sums.count, "bound": bound,
        "error": wrong[[grid.variants.index(("band", n)) for n in grid.band]],
        "error_bound": (2 * measured).clip(max=1), "error_bound_counts": (2 * bound).clip(max=1)})  # fmt: skip


def blocks(sums: Sums, grid: Plan) -> pd.DataFrame:
    """Return block labels beside the perimeter law and the labelling they need, a map: nu_max, lrg_size, block_px,
    error (of "nearest", every pixel), error_law, miou (the same), miou_law, blocks, mixed (blocks that hold more than
    one class), contour_px, break_even_px (contour_px / mixed).

    break_even_px: drawing contours takes more points than blocks take labels where a point is set more often than
    this many pixels, if blocks of one class cost nothing. A model of effort, not a measurement.
    """
    total, nu, n = sums.plain, np.array(grid.blocks), sums.count
    found, at = scores(total["counts"], total["truths"]), [grid.variants.index(("nearest", v)) for v in grid.blocks]
    area, contour = (torch.from_numpy(x / n) for x in (total["truths"][1] / grid.size**2, crofton(total["crossings"])))
    block = block_px(grid.size, nu)
    errors = laws.block_error_law(contour, torch.from_numpy(block)[:, None], grid.size**2)
    length, mixed = float(contour.sum()) / 2, total["mixed"] / n
    return pd.DataFrame({
        "nu_max": nu, "lrg_size": 2 * nu + 1, "block_px": block,
        "error": found["error_everywhere"][at], "error_law": errors.sum(1) / 2,
        "miou": mean_iou(found["iou_everywhere"][at]),
        "miou_law": laws.iou_law(area, errors).nanmean(1),
        "blocks": (2 * nu + 1) ** 2, "mixed": mixed, "contour_px": length, "break_even_px": ratio(length, mixed),
    })  # fmt: skip


def tables(sums: Sums, grid: Plan, names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Return all tables by the names of their functions."""
    found = {make.__name__: make(sums, grid) for make in (ceilings, tails, blocks)}
    return found | {make.__name__: make(sums, grid, names) for make in (classes, spectra)}
