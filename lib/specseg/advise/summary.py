"""From sums over maps to rows: ceilings of weak labels, spectra and contours by class, laws and bounds beside them."""

from __future__ import annotations

import warnings

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a resample may hold no map at all
        return np.nanmean(iou, axis=-1)


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
    for end in ("", "_everywhere"):
        value = table[f"miou{end}"]
        band = np.array([kind == "band" for kind, _ in grid.variants])
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
    total = sums.plain
    pixels, labelled = grid.size**2, total["truths"][0]
    area, length = total["truths"][1], crofton(total["crossings"])
    iou = scores(total["counts"], total["truths"])["iou"]
    kept = total["rims"][0].sum(1)
    share = area / pixels
    lines = []
    for c, name in enumerate(names):
        at: dict[str, dict[int, float]] = {kind: {} for kind in ("band", "majority", "nearest")}
        for (kind, nu), value in sorted(zip(grid.variants, iou[:, c], strict=True)):
            at[kind][sp.lrg_size(nu)] = float(value)
        here = [size for size, value in at["band"].items() if value < LOST]
        varying = share[c] - total["rims"][0][c, 0]
        lines.append({
            "index": c, "name": name, "maps": int(total["regions"][c]),
            "share": float(labelled[c] / max(labelled.sum(), 1)),
            "contour": float(length[c] / grid.size / sums.count),
            "width_px": float(2 * area[c] / length[c]) if length[c] else float("nan"),
            "energy_beyond": float((share[c] - kept[c]) / varying) if varying > 0 else float("nan"),
            "lost_at": max(here, default=0), "iou": at})  # fmt: skip
    return pd.DataFrame(lines)


def spectra(sums: Sums, grid: Plan, names: tuple[str, ...]) -> pd.DataFrame:
    """Return the power of the class planes: nu, name ("" for the mean over classes), power (per bin and map)."""
    rims = sums.plain["rims"][0]
    bins = label_spectra.rim_bins(grid.size, boundary="mirrored").numpy()[: rims.shape[1]]
    power = rims / bins / sums.count
    lines = [{"nu": nu, "name": "", "power": float(power[:, nu].mean())} for nu in range(rims.shape[1])]
    for c, name in enumerate(names):
        if sums.plain["regions"][c]:
            lines += [{"nu": nu, "name": name, "power": float(power[c, nu])} for nu in range(rims.shape[1])]
    return pd.DataFrame(lines)


def tails(sums: Sums, grid: Plan) -> pd.DataFrame:
    """Return energies beyond each band limit and the bounds: nu_max, lrg_size, measured, law, bound (energies a map),
    error (share of pixels that band-limited labels change), error_bound and error_bound_counts (2 sum_c E_c,
    `laws.argmax_bound`, with the measured energy, and with the bound that counts label transitions alone).
    """
    total, n = sums.plain, sums.count
    inside = total["rims"][0].cumsum(1)
    share = total["truths"][1] / grid.size**2
    diagonal = (total["crossings"][:, 2] + total["crossings"][:, 3]).sum() / 2 / grid.size
    wrong = scores(total["counts"], total["truths"])["error_everywhere"]
    lines = []
    for k, nu in enumerate(grid.band):
        measured = float((share - inside[:, nu]).clip(min=0).sum() / n)
        x = np.pi / grid.size * (nu + 0.25)  # annotation_laws.tail_law, mirrored: the sum starts a quarter bin on
        law = float(diagonal / np.tan(x) / (2 * np.pi * grid.size) / n)
        bound = float(total["bound"][:, k].sum() / n)
        lines.append({"nu_max": nu, "lrg_size": sp.lrg_size(nu), "measured": measured, "law": max(law, 0.0),
                      "bound": bound, "error": float(wrong[grid.variants.index(("band", nu))]),
                      "error_bound": min(2 * measured, 1.0), "error_bound_counts": min(2 * bound, 1.0)})  # fmt: skip
    return pd.DataFrame(lines)


def blocks(sums: Sums, grid: Plan) -> pd.DataFrame:
    """Return block labels beside the perimeter law and the labelling they need, a map: nu_max, lrg_size, block_px,
    error (of "nearest", every pixel), error_law, miou (the same), miou_law, blocks, mixed (blocks that hold more than
    one class), contour_px, break_even_px (contour_px / mixed).

    break_even_px: drawing contours takes more points than blocks take labels where a point is set more often than
    this many pixels, if blocks of one class cost nothing. A model of effort, not a measurement.
    """
    total = sums.plain
    found = scores(total["counts"], total["truths"])
    area = torch.from_numpy(total["truths"][1] / grid.size**2 / sums.count)
    contour = torch.from_numpy(crofton(total["crossings"]) / sums.count)
    length = float(contour.sum()) / 2
    lines = []
    for k, nu in enumerate(grid.blocks):
        v, h = grid.variants.index(("nearest", nu)), block_px(grid.size, nu)
        error = laws.block_error_law(contour, h, grid.size**2)
        mixed = float(total["mixed"][k]) / sums.count
        lines.append({
            "nu_max": nu, "lrg_size": sp.lrg_size(nu), "block_px": h,
            "error": float(found["error_everywhere"][v]), "error_law": float(error.sum()) / 2,
            "miou": float(mean_iou(found["iou_everywhere"][v])),
            "miou_law": float(laws.iou_law(area, error).nanmean()), "blocks": sp.lrg_size(nu) ** 2, "mixed": mixed,
            "contour_px": length, "break_even_px": length / mixed if mixed else float("nan")})  # fmt: skip
    return pd.DataFrame(lines)
