"""What the records of `network_gradients` say together: averages over folds and seeds, with intervals over pictures.

A cell is a model on a domain; its pictures are those of all its folds and seeds. Intervals (95 %) resample whole
clusters of pictures (the domain's: pictures, tiles, ten seconds of a drive), a picture with all networks that saw it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence import statistics
from specseg.evidence.records import Record
from specseg.measure import gradients as ng
from specseg.measure.features import COLUMNS
from specseg.nets.networks import Network, of_settings
from specseg.study import gate, learning

CELL = ["model", "domain"]
WHOLE = ("nu_i_u", "nu_i_v", "nu_j_u", "nu_j_v", "within", "nu_max", "n")  # a file's empty fields make them fractions


def network_of(record: Record) -> Network:
    """Return the network that a record measured, from its settings."""
    return of_settings(record.meta["settings"])


def newest(found: Iterable[Record]) -> dict[Network, Record]:
    """Return the newest record of each network; `found` is oldest first, as `records.find` gives it."""
    return {network_of(r): r for r in found}


def together(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several measurements in one table, or an empty one with the columns that the tables read."""
    parts = list(parts)
    if not parts:
        return pd.DataFrame(columns=[*CELL, "fold", "seed", *COLUMNS])
    rows = pd.concat(parts, ignore_index=True)
    return rows.astype({name: "Int64" for name in WHOLE if name in rows})


def _pooled(rows: pd.DataFrame, by: Sequence[str], weight: str | None = None) -> pd.DataFrame:
    lines = []
    for key, part in rows.groupby([*CELL, *by], sort=False):
        clusters = [domain(key[1]).cluster(name) for name in part["image"]]
        found = statistics.mean_of_clusters(part["value"], clusters, None if weight is None else part[weight])
        lines.append({**dict(zip([*CELL, *by], key, strict=True)), **found})
    names = [*CELL, *by, "value", "low", "high", "n", "clusters"]
    return pd.DataFrame(lines, columns=names)


def _means(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Return the mean value of each cell's rows that agree in these columns."""
    return rows.groupby([*CELL, *by], sort=False)["value"].mean().reset_index()


def row_energies(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Fig. 2's energies: model, domain, nu_i_u, nu_i_v, within, value, low, high, n, clusters."""
    chosen = rows[(rows["part"] == "loss") & (rows["metric"] == "row_energy")]
    return _pooled(chosen, ["nu_i_u", "nu_i_v", "within"])


def largest(rows: pd.DataFrame, within: int = 0) -> pd.DataFrame:
    """Return how many rows of Fig. 2 have their largest entry at most `within` bins from nu_i: value of n, by nu_i.

    Columns model, domain, nu_i_u, nu_i_v, value (a count), n.
    """
    chosen = rows[rows["metric"] == "largest_distance"]
    near = (chosen["value"] <= within).groupby([chosen[c] for c in [*CELL, "nu_i_u", "nu_i_v"]], sort=False)
    return near.agg(value="sum", n="count").reset_index()


def both_axes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lines with nu_i = (nu, nu), the main reading of M/4 and M/2."""
    return table[table["nu_i_u"] == table["nu_i_v"]]


def row_images(rows: pd.DataFrame, part: str = "loss") -> dict[tuple, np.ndarray]:
    """Return the powers |row|^2 over nu_j: (model, domain, layer, nu) -> (M, M), zero frequency in the middle.

    The average over folds and seeds; a crop around nu_i where the record holds one. Squares of equal size only.
    """
    chosen = rows[(rows["part"] == part) & (rows["metric"] == "row_power")]
    images = {}
    for key, one in chosen.groupby([*CELL, "layer", "nu_i_u"], sort=False):
        image = one.pivot_table("value", "nu_j_u", "nu_j_v", aggfunc="mean")
        images[(*key[:3], int(key[3]))] = image.sort_index().sort_index(axis=1).to_numpy(float)
    return images


def layer_energies(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Fig. 3's energies: model, domain, part (kind), layer, nu_i_u, within, value (mean over networks)."""
    chosen = rows[rows["part"].isin(["convolution", "ReLU", "up-sampling"]) & (rows["metric"] == "row_energy")]
    return _means(chosen, "part", "layer", "nu_i_u", "within")


def layer_largest(rows: pd.DataFrame) -> tuple[int, int]:
    """Return in how many of all rows of Fig. 3 the largest entry lies at nu_i: (count, of)."""
    chosen = rows[rows["metric"] == "largest_at_nu_i"]
    return round(float((chosen["value"] * chosen["n"]).sum())), int(chosen["n"].sum())


def magnitudes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return quantiles of |X|, |Z|, |K| by decoder layer: model, domain, layer, metric, quantile, value."""
    chosen = rows[rows["metric"].isin(["X", "Z", "K"]) & rows["quantile"].notna()]
    return _means(chosen, "layer", "metric", "quantile")


def small_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return footnote 2's bounds, one line a layer of each network: X_below_1, rms_Z, meets."""
    chosen = rows[rows["metric"].isin(["X_below_1", "rms_Z", "meets"])]
    return chosen.pivot_table("value", [*CELL, "fold", "seed", "layer"], "metric", sort=False).reset_index()


def smoothness(rows: pd.DataFrame, metric: str = "high_share") -> pd.DataFrame:
    """Return the shares of power high in a layer's features: model, domain, part, layer, grid, value; means.

    `grid` is the layer's own where the metric goes by half of its limit, else empty.
    """
    table = _means(rows[rows["metric"] == metric], "part", "layer", "nu_max")
    return table.assign(grid=4 * table["nu_max"] + 1 if metric != "share_above" else None)


def smoother(rows: pd.DataFrame, *, without: Sequence[str] = (), same_grid: bool = False) -> pd.DataFrame:
    """Return high share of the encoder minus that of the decoder, averages over layers, with interval over pictures.

    Columns model, domain, value, low, high, n, clusters. `without` leaves layers out by name; `same_grid` keeps the
    encoder's and the decoder's layers on the prediction grid (the finest of the decoder's).
    """
    chosen = rows[(rows["metric"] == "high_share") & ~rows["layer"].isin(list(without))]
    if same_grid and len(chosen):
        grids = chosen["nu_max"].where(chosen["part"] == "decoder").groupby([chosen[c] for c in CELL])
        chosen = chosen[chosen["nu_max"] == grids.transform("max")]
    by = [*CELL, "fold", "seed", "image", "part"]
    shares = chosen.groupby(by, sort=False)["value"].mean().unstack("part").reindex(columns=["encoder", "decoder"])
    return _pooled((shares["encoder"] - shares["decoder"]).rename("value").reset_index(), [])


def removals(rows: pd.DataFrame, metric: str = "low_change", *, signed: bool = False) -> pd.DataFrame:
    """Return what removing features does, in units of L_CE: model, domain, layer (which inputs), nu_max, value, low...

    metric `low_change`: the sum of L_ce(nu) over |nu| <= nu_max/2, or `loss_change`. The mean over pictures of its size
    (or of the change itself where `signed`, in which pictures may cancel) over the mean L_CE.
    """
    by = [*CELL, "fold", "seed", "image"]
    loss = rows[rows["metric"] == "loss"][[*by, "value"]].rename(columns={"value": "loss"})
    chosen = rows[rows["metric"] == metric].merge(loss, on=by)
    if not signed:
        chosen = chosen.assign(value=chosen["value"].abs())
    return _pooled(chosen, ["layer", "nu_max"], weight="loss")


def bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the change of each band by removal in units of L_CE: model, domain, layer, nu_max, within, value."""
    change = _means(rows[rows["metric"] == "band_change"], "layer", "nu_max", "within")
    loss = _means(rows[rows["metric"] == "loss"]).rename(columns={"value": "loss"})
    both = change.merge(loss, on=CELL)
    return both.assign(value=both["value"] / both["loss"]).drop(columns="loss")


def moved(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how far low frequencies of the loss move against themselves: model, domain, layer, nu_max, value.

    sum |after - before| / sum |before| over |nu| <= nu_max/2, the mean over pictures and networks.
    """
    return _means(rows[rows["metric"] == "low_moved"], "layer", "nu_max")


def observations(found: dict[Network, Record], ratios: dict[str, float]) -> list[dict]:
    """Return what records of network_gradients say of Figs 2 and 3, footnote 2 and the removal of features.

    One observation a model and domain, as keyword arguments of `Findings.observe`; `ratios` as `gate.quality`.
    """
    told: list[dict] = []
    for model, name in dict.fromkeys((n.model, n.domain) for n in found):
        own = {n: r for n, r in found.items() if (n.model, n.domain) == (model, name)}
        first, rows, out = next(iter(own)), together(r.rows for r in own.values()), gate.untrained([*own], ratios)
        about = {"domain": gate.unit(first), "record": max(own.values(), key=lambda r: r.meta["created"])}
        facts = [*_delta(rows), *_layers(rows), *_small(rows), _smoother(rows), _removal(rows)]
        told += [{**f, **about, "left_out": out or f.get("left_out", ""),
                  "note": f"{gate.named(first)}: {f['note']}"} for f in facts]  # fmt: skip
    return told


def _over_pictures(row: pd.Series) -> dict:
    """Return value, low, high, over, units of one line of a table of this module."""
    return {**{k: float(row[k]) for k in ("value", "low", "high")}, "over": "clusters", "units": int(row["clusters"])}


def _delta(rows: pd.DataFrame) -> list[dict]:
    """Fig. 2: what nothing but up-sampling would fail is shown and sets no verdict."""
    grid, side = 17, 257
    energies, hits = both_axes(row_energies(rows)).query("within == 1"), both_axes(largest(rows))
    facts = []
    for row in energies.to_dict("records"):
        nu = int(row["nu_i_u"])
        ceiling = float(ng.shares(ng.upsampling_power(grid, side, (nu, nu)), (nu, nu), (1,))[0])
        out = f"cannot pass: up-sampling alone keeps {ceiling:.0%}, 90 % wanted" if ceiling < 0.9 else ""
        facts.append({"claim_id": "fig2-delta", **_over_pictures(row), "null": 9 / grid**2, "left_out": out,
                      "mutant": 9 / grid**2, "note": f"{row['value']:.0%} within one bin at {nu}."})  # fmt: skip
    k, n = int(hits["value"].sum()), int(hits["n"].sum())
    return [*facts, {"claim_id": "fig2-delta", "value": k, "n": n, "form": "approximation", "null": n,
                     "note": f"largest entry at nu_i in {k} of {n} rows."}]  # fmt: skip


def _layers(rows: pd.DataFrame) -> list[dict]:
    """Fig. 3: the smallest of the layers; the largest entry lies at nu_i for any ReLU and any up-sampling."""
    least = layer_energies(rows).query("within == 1").groupby("part", sort=False)["value"].min()
    listed = ", ".join(f"{k} {v:.0%}" for k, v in least.items())
    k, n = layer_largest(rows)
    return [
        {"claim_id": "fig3-delta-r3", "value": least.min(), "null": 9 / 65**2,
         "note": f"least share within one bin: {listed}."},
        {"claim_id": "fig3-delta-r3", "value": k, "n": n, "form": "approximation", "null": n,
         "note": f"largest entry at nu_i in {k} of {n} rows."},
    ]  # fmt: skip


def _small(rows: pd.DataFrame) -> list[dict]:
    small = small_layers(rows)
    note = (
        f"|X| < 1 for {small['X_below_1'].min():.0%} to {small['X_below_1'].max():.0%} of a layer's features; rms "
        f"Z from {small['rms_Z'].min():.2f} to {small['rms_Z'].max():.1f}."
    )
    return [{"claim_id": "fn2-small-features", "value": int(small["meets"].sum()), "n": len(small), "note": note}]


def _smoother(rows: pd.DataFrame) -> dict:
    """Section 1: on the layers' own grids, beside what up-sampled noise would give."""
    (row,) = smoother(rows).to_dict("records")
    encoder = smoothness(rows).query("part == 'encoder'")["value"].mean()
    null = float(encoder - (1 - learning.noise_within(17, 65, 16)))
    common = smoothness(rows, "share_above").groupby("part")["value"].mean()
    return {"claim_id": "sec1-decoder-smoother", **_over_pictures(row), "null": null, "mutant": -abs(row["value"]),
            "note": f"encoder minus decoder {row['value']:+.2f} on the layers' own grids, "
                    f"{common['encoder'] - common['decoder']:+.2f} at one frequency for all."}  # fmt: skip


def _removal(rows: pd.DataFrame) -> dict:
    """Section 2.2: the largest change of the ASPP's removals and of the two finest of all inputs."""
    table, moves = removals(rows), moved(rows)
    finest = table[table["layer"] == "all"]["nu_max"].nlargest(2)
    table, moves = (t[(t["layer"] == "aspp") | t["nu_max"].isin(finest)] for t in (table, moves))
    worst = table.loc[table["value"].idxmax()]
    return {"claim_id": "sec22-removal-leaves-low", **_over_pictures(worst), "note": (
        f"the low frequencies change by up to {worst['value']:.1%} of the loss ({worst['layer']} above "
        f"{worst['nu_max']}), each against itself by up to {moves['value'].max():.1%}.")}  # fmt: skip
