"""What the records of `network_gradients` say together: averages over folds and seeds, with intervals over pictures.

A cell is a model on a domain; its pictures are those of all its folds and seeds. Intervals (95 %) resample whole
clusters of pictures (the domain's: pictures, tiles, ten seconds of a drive), a picture with all networks that saw it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from specseg.data.domains import domain
from specseg.evidence import statistics
from specseg.evidence.records import Record
from specseg.measure import gradients as ng
from specseg.nets import weights
from specseg.nets.networks import Network, of_settings
from specseg.study import gate, learning
from specseg.study.gate import Told

CELL = ["model", "domain"]
ONE = [*CELL, "fold", "seed"]
WHOLE = ("nu_i_u", "nu_i_v", "nu_j_u", "nu_j_v", "within", "nu_max", "n")  # a file's empty fields make them fractions
LAYERS = ["convolution", "ReLU", "up-sampling"]
Seen = tuple[str, str, dict]  # claim, note, fact


def newest(found: Iterable[Record]) -> dict[Network, Record]:
    """Return the newest record of each network; `found` is oldest first, as `records.find` gives it."""
    return {of_settings(r.meta["settings"]): r for r in found}


def together(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several measurements in one table."""
    rows = pd.concat(parts, ignore_index=True)
    return rows.astype({name: "Int64" for name in WHOLE if name in rows})


def on_the_spot(network: Network, count: int) -> pd.DataFrame:
    """Return `measure.gradients.study` of a committed network on `count` test pictures: in float32, as records are."""
    rows = ng.measure(weights.load(network, sources=("committed",)).float(), ng.cases(network, count))
    return rows.assign(**{name: getattr(network, name) for name in ng.IDENTITY})


def _only(rows: pd.DataFrame, **where) -> pd.DataFrame:
    """Return the rows whose columns have a value, or one of several."""
    return rows[np.all([rows[c].isin(np.atleast_1d(wanted)) for c, wanted in where.items()], axis=0)]


def _pooled(rows: pd.DataFrame, by: Sequence[str], weight: str | None = None) -> pd.DataFrame:
    """Return the mean of each cell's rows that agree in these columns: value, low, high, n, clusters."""
    lines = []
    for key, part in rows.groupby([*CELL, *by], sort=False):
        clusters = [domain(key[1]).cluster(name) for name in part["image"]]
        found = statistics.mean_of_clusters(part["value"], clusters, None if weight is None else part[weight])
        lines.append({**dict(zip([*CELL, *by], key, strict=True)), **found})
    return pd.DataFrame(lines, columns=[*CELL, *by, "value", "low", "high", "n", "clusters"])


def _means(rows: pd.DataFrame, *by: str, **where) -> pd.DataFrame:
    """Return the mean value of each cell's rows (of `where`) that agree in these columns."""
    return _only(rows, **where).groupby([*CELL, *by], sort=False)["value"].mean().reset_index()


def row_energies(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Fig. 2's energies: model, domain, nu_i_u, nu_i_v, within, value, low, high, n, clusters."""
    return _pooled(_only(rows, part="loss", metric="row_energy"), ["nu_i_u", "nu_i_v", "within"])


def largest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how many rows of Fig. 2 have their largest entry at nu_i: model, domain, nu_i_u, nu_i_v, value of n."""
    chosen = _only(rows, metric="largest_distance")
    near = (chosen["value"] <= 0).groupby([chosen[c] for c in [*CELL, "nu_i_u", "nu_i_v"]], sort=False)
    return near.agg(value="sum", n="count").reset_index()


def both_axes(table: pd.DataFrame) -> pd.DataFrame:
    """Return the lines with nu_i = (nu, nu), the main reading of M/4 and M/2."""
    return table[table["nu_i_u"] == table["nu_i_v"]]


def row_images(rows: pd.DataFrame, part: str = "loss") -> dict[tuple, np.ndarray]:
    """Return the powers |row|^2 over nu_j: (model, domain, layer, nu) -> (M, M), zero frequency in the middle.

    The average over folds and seeds; a crop around nu_i where the record holds one. Squares of equal size only.
    """
    images = {}
    for key, one in _only(rows, part=part, metric="row_power").groupby([*CELL, "layer", "nu_i_u"], sort=False):
        image = one.pivot_table("value", "nu_j_u", "nu_j_v", aggfunc="mean")
        images[(*key[:3], int(key[3]))] = image.sort_index().sort_index(axis=1).to_numpy(float)
    return images


def layer_energies(rows: pd.DataFrame) -> pd.DataFrame:
    """Return Fig. 3's energies: model, domain, part (kind), layer, nu_i_u, within, value (mean over networks)."""
    return _means(rows, "part", "layer", "nu_i_u", "within", part=LAYERS, metric="row_energy")


def layer_largest(rows: pd.DataFrame) -> tuple[int, int]:
    """Return in how many of all rows of Fig. 3 the largest entry lies at nu_i: (count, of)."""
    chosen = _only(rows, metric="largest_at_nu_i")
    return round(float((chosen["value"] * chosen["n"]).sum())), int(chosen["n"].sum())


def magnitudes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return quantiles of |X|, |Z|, |K| by decoder layer: model, domain, layer, metric, quantile, value."""
    return _means(rows, "layer", "metric", "quantile", metric=["X", "Z", "K"])


def small_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return footnote 2's bounds, one line a layer of each network: X_below_1, rms_Z, meets."""
    chosen = _only(rows, metric=["X_below_1", "rms_Z", "meets"])
    return chosen.pivot_table("value", [*ONE, "layer"], "metric", sort=False).reset_index()


def smoothness(rows: pd.DataFrame, metric: str = "high_share") -> pd.DataFrame:
    """Return the shares of power high in a layer's features: model, domain, part, layer, grid, value; means.

    `grid` is the layer's own where the metric goes by half of its limit, else empty.
    """
    table = _means(rows, "part", "layer", "nu_max", metric=metric)
    return table.assign(grid=4 * table["nu_max"] + 1 if metric != "share_above" else None)


def smoother(rows: pd.DataFrame, *, without: Sequence[str] = (), same_grid: bool = False) -> pd.DataFrame:
    """Return high share of the encoder minus that of the decoder, averages over layers, with interval over pictures.

    Columns model, domain, value, low, high, n, clusters. `without` leaves layers out by name; `same_grid` keeps the
    encoder's and the decoder's layers on the prediction grid (the finest of the decoder's).
    """
    chosen = _only(rows, metric="high_share")
    chosen = chosen[~chosen["layer"].isin(list(without))]
    if same_grid:
        grids = chosen["nu_max"].where(chosen["part"] == "decoder").groupby([chosen[c] for c in CELL])
        chosen = chosen[chosen["nu_max"] == grids.transform("max")]
    shares = chosen.groupby([*ONE, "image", "part"], sort=False)["value"].mean().unstack("part")
    return _pooled((shares["encoder"] - shares["decoder"]).rename("value").reset_index(), [])


def removals(rows: pd.DataFrame, metric: str = "low_change", *, signed: bool = False) -> pd.DataFrame:
    """Return what removing features does, in units of L_CE: model, domain, layer (which inputs), nu_max, value, low...

    metric `low_change`: the sum of L_ce(nu) over |nu| <= nu_max/2, or `loss_change`. The mean over pictures of its size
    (or of the change itself where `signed`, in which pictures may cancel) over the mean L_CE.
    """
    by = [*ONE, "image"]
    loss = _only(rows, metric="loss")[[*by, "value"]].rename(columns={"value": "loss"})
    chosen = _only(rows, metric=metric).merge(loss, on=by)
    return _pooled(chosen if signed else chosen.assign(value=chosen["value"].abs()), ["layer", "nu_max"], "loss")


def bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the change of each band by removal in units of L_CE: model, domain, layer, nu_max, within, value."""
    both = _means(rows, "layer", "nu_max", "within", metric="band_change")
    both = both.merge(_means(rows, metric="loss").rename(columns={"value": "loss"}), on=CELL)
    return both.assign(value=both["value"] / both.pop("loss"))


def moved(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how far low frequencies of the loss move against themselves: model, domain, layer, nu_max, value.

    sum |after - before| / sum |before| over |nu| <= nu_max/2, the mean over pictures and networks.
    """
    return _means(rows, "layer", "nu_max", metric="low_moved")


def observations(found: dict[Network, Record], ratios: dict[str, float]) -> Told:
    """Return claim -> what records of network_gradients say of Figs 2 and 3, footnote 2 and the removal of features.

    One observation a model and domain; `ratios` as `gate.quality`.
    """
    told = Told()
    for cell in dict.fromkeys((n.model, n.domain) for n in found):
        own = {n: r for n, r in found.items() if (n.model, n.domain) == cell}
        first, rows = next(iter(own)), together(r.rows for r in own.values())
        about = gate.about(gate.unit(first), gate.untrained([*own], ratios))
        about |= {"record": max(own.values(), key=lambda r: r.meta["created"])}
        for part in (_delta, _layers, _small, _smoother, _removal):
            for claim, note, fact in part(rows):
                told.tell(claim, f"{gate.named(first)}: {note}.", fact, about)
    return told


def _over_pictures(row: dict) -> dict:
    """Return value, low, high, over, units of one line of a table of this module."""
    return {**{k: float(row[k]) for k in ("value", "low", "high")}, "over": "clusters", "units": int(row["clusters"])}


def _at_nu_i(k: int, n: int) -> tuple[str, dict]:
    return f"largest entry at nu_i in {k} of {n} rows", {"value": k, "n": n, "form": "approximation", "null": n}


def _delta(rows: pd.DataFrame) -> Iterator[Seen]:
    """Fig. 2: what nothing but up-sampling would fail is shown and sets no verdict."""
    grid, side = 17, 257
    for row in both_axes(row_energies(rows)).query("within == 1").to_dict("records"):
        nu, flat = int(row["nu_i_u"]), 9 / grid**2
        ceiling = float(ng.shares(ng.upsampling_power(grid, side, (nu, nu)), (nu, nu), (1,))[0])
        out = f"cannot pass: up-sampling alone keeps {ceiling:.0%}, 90 % wanted" if ceiling < 0.9 else ""
        yield "fig2-delta", f"{row['value']:.0%} within one bin at {nu}", {
            **_over_pictures(row), "null": flat, "left_out": out, "mutant": flat}  # fmt: skip
    hits = both_axes(largest(rows))
    yield "fig2-delta", *_at_nu_i(int(hits["value"].sum()), int(hits["n"].sum()))


def _layers(rows: pd.DataFrame) -> Iterator[Seen]:
    """Fig. 3: the smallest of the layers; the largest entry lies at nu_i for any ReLU and any up-sampling."""
    least = layer_energies(rows).query("within == 1").groupby("part", sort=False)["value"].min()
    listed = ", ".join(f"{k} {v:.0%}" for k, v in least.items())
    yield "fig3-delta-r3", f"least share within one bin: {listed}", {"value": least.min(), "null": 9 / 65**2}
    yield "fig3-delta-r3", *_at_nu_i(*layer_largest(rows))


def _small(rows: pd.DataFrame) -> Iterator[Seen]:
    small = small_layers(rows)
    below, rms = small["X_below_1"], small["rms_Z"]
    note = (f"|X| < 1 for {below.min():.0%} to {below.max():.0%} of a layer's features; rms Z from {rms.min():.2f} to "
            f"{rms.max():.1f}")  # fmt: skip
    yield "fn2-small-features", note, {"value": int(small["meets"].sum()), "n": len(small)}


def _smoother(rows: pd.DataFrame) -> Iterator[Seen]:
    """Section 1: on the layers' own grids, beside what up-sampled noise would give."""
    (row,) = smoother(rows).to_dict("records")
    encoder = smoothness(rows).query("part == 'encoder'")["value"].mean()
    null = float(encoder - (1 - learning.noise_within(17, 65, 16)))
    common = smoothness(rows, "share_above").groupby("part")["value"].mean()
    note = (f"encoder minus decoder {row['value']:+.2f} on the layers' own grids, "
            f"{common['encoder'] - common['decoder']:+.2f} at one frequency for all")  # fmt: skip
    yield "sec1-decoder-smoother", note, {**_over_pictures(row), "null": null, "mutant": -abs(row["value"])}


def _removal(rows: pd.DataFrame) -> Iterator[Seen]:
    """Section 2.2: the largest change of the ASPP's removals and of the two finest of all inputs."""
    table, moves = removals(rows), moved(rows)
    finest = table[table["layer"] == "all"]["nu_max"].nlargest(2)
    table, moves = (t[(t["layer"] == "aspp") | t["nu_max"].isin(finest)] for t in (table, moves))
    worst = table.loc[table["value"].idxmax()]
    note = (f"the low frequencies change by up to {worst['value']:.1%} of the loss ({worst['layer']} above "
            f"{worst['nu_max']}), each against itself by up to {moves['value'].max():.1%}")  # fmt: skip
    yield "sec22-removal-leaves-low", note, _over_pictures(worst)
