"""What the measured networks say to `specseg advise`: a line of the drop over R_ce, drops by size, the rule's worth.

Command   python experiments/relation.py [--profile standard]
Seconds   60; reads the records of truncation, loss_in_frequency, labels and third_party, trains nothing
Expect    a slope of the paper's order, and a residual (each domain held out) that is as large as the drops themselves

Points    every baseline on photographs that passes the gate, folds pooled and seeds averaged, bilinear truncation at
          every LRG size below the full grid, with R_ce at the same band limit below the 0.2 up to which the paper fits.
Held out  the networks that others trained, in the paper's frame: how often the predicted interval holds their drop.
Ranges    least and largest drop at half and a quarter of a grid of stride 4, by kind of scene, of both.
Rule      the loss of the rule from labels minus that of always half of the grid, by data set (chapter 85).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from specseg.advise import relation
from specseg.evidence import config, records, renewal
from specseg.study import advice, gate, third_party, trained
from specseg.study import predictor_cells as cells
from specseg.study.third_party import PAPER_GRID, Outside

BELOW = 0.2
SOURCES = ("networks", "truncation", "loss_in_frequency", "labels", "third_party")
KINDS = {"voc2012": "objects", "cityscapes": "streets", "camvid": "streets"}
READINGS = {
    "periodic": ("periodic", "raw"), "mirrored": ("mirrored", "raw"),
    "periodic, calibrated": ("periodic", "calibrated"), "mirrored, calibrated": ("mirrored", "calibrated"),
}  # fmt: skip


def points(profile: str) -> pd.DataFrame:
    """Return one row per domain, model, LRG size and reading: x (R_ce) and drop, of networks that pass the gate."""
    scored = trained.read("networks", profile)
    drops, rates = (
        of(trained.plain(gate.able(trained.read(name, profile), scored)))
        for name, of in (("truncation", trained.drops), ("loss_in_frequency", trained.rates))
    )
    drops = drops[(drops["method"] == "bilinear") & (drops["lrg_size"] < drops["grid"])]
    drops = drops.assign(nu_max=(drops["lrg_size"] - 1) // 2)[["domain", "model", "nu_max", "value"]]
    return rates.merge(drops, on=["domain", "model", "nu_max"], suffixes=("", "_drop"))


def cuts(nets: Sequence[Outside]) -> list[tuple[Outside, int, float]]:
    """Return every network of others with every size that its last features were cut to, on a grid of stride 4 at most,
    and its drop."""
    return [(net, int(size), float(drop)) for net in nets for size, drop in zip(*net.cuts(), strict=True)
            if size < min(net.grid, PAPER_GRID)]  # fmt: skip


def held_out(nets: Sequence[Outside], variant: str, average: str, fit: Mapping[str, float]) -> dict[str, float]:
    """Return `covered` of `cases`: drops of networks of others inside the predicted interval, where x is in range."""
    inside = []
    for net, size, drop in cuts(nets):
        x = net.rate((size - 1) // 2, variant, average)[0]
        if fit["x_low"] <= x <= fit["x_high"]:
            off = abs(drop - fit["intercept"] - fit["slope"] * x)
            inside.append(off <= 2 * fit["residual_sd"])
    return {"covered": float(sum(inside)), "cases": float(len(inside))}


def ranges(profile: str, nets: Sequence[Outside]) -> list[dict]:
    """Return rows kind, share, low, high, n: the drops of trained networks at half and a quarter of the grid."""
    own = cells.truncation(cells.read(profile), each=True).table
    found = [(r.kind, r.share, r.drop) for r in own.itertuples()]
    found += [(net.dataset, (size - 1) / (PAPER_GRID - 1), drop) for net, size, drop in cuts(nets)]
    table = pd.DataFrame(found, columns=["kind", "share", "drop"]).replace({"kind": KINDS})
    rows = []
    for (kind, share), part in table[table["share"].isin((0.5, 0.25))].groupby(["kind", "share"]):
        rows.append({"predictor": "drop", "kind": kind, "share": share, "value": part["drop"].median(),
                     "low": part["drop"].min(), "high": part["drop"].max(), "n": len(part)})  # fmt: skip
    return rows


def worth(profile: str) -> list[dict]:
    """Return rows kind, value, low, high: the rule's loss minus that of always half of the grid, by data set."""
    return [
        {"predictor": "rule", "kind": f["domain"], **{k: f[k] for k in ("value", "low", "high")}, "n": f["units"]}
        for f in advice.open_question(cells.truncation(cells.read(profile)))]  # fmt: skip


def table(profile: str) -> pd.DataFrame:
    """Return all rows of the record."""
    nets = third_party.able(third_party.read(profile=profile))
    return pd.DataFrame([*fits(points(profile), nets), *ranges(profile, nets), *worth(profile)])


def main(arguments: list[str] | None = None) -> Path:
    """Fit every reading and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(arguments)
    records.require_committed(args.allow_dirty)
    start, found = time.perf_counter(), points(args.profile)
    if found.empty:
        raise SystemExit("no networks with both records; run experiments/truncation.py and loss_in_frequency.py first")
    rows = table(args.profile)
    lines = rows[rows["predictor"] == "r_ce"]
    print(lines.pivot(index=["boundary", "average", "temperature"], columns="parameter", values="value").round(4))
    print(rows[rows["predictor"] != "r_ce"].dropna(axis=1).round(4).to_string(index=False))
    path = records.write(
        relation.EXPERIMENT, rows, command=f"python experiments/relation.py --profile {args.profile}",
        profile=args.profile, data=[], script=Path(__file__), wall_s=time.perf_counter() - start,
        allow_dirty=args.allow_dirty,
        settings={"domains": sorted(found["domain"].unique()), "models": sorted(found["model"].unique()),
                  "below": BELOW},
    )  # fmt: skip
    print(path)
    return path


def fits(found: pd.DataFrame, nets: Sequence[Outside]) -> list[dict]:
    """Return the rows of every reading's line through `points`, and how it does on the networks of others."""
    rows = []
    for (variant, average), part in found.groupby(["variant", "average"]):
        if variant not in READINGS or (part := part[part["value"] < BELOW]).empty:
            continue
        boundary, temperature = READINGS[variant]
        values = fit(*(part[c].to_numpy() for c in ("value", "value_drop", "domain")))
        values |= held_out(nets, variant, average, values)
        rows += [{"predictor": "r_ce", "boundary": boundary, "average": average, "temperature": temperature,
                  "parameter": name, "value": value, "n": len(part)} for name, value in values.items()]  # fmt: skip
    return rows


def fit(x: np.ndarray, drop: np.ndarray, domain: np.ndarray) -> dict[str, float]:
    """Return the least-squares line of drop over x as parameters of a `Relation`; every domain weighs the same.

    `residual_sd` is the root mean square of what lines fitted without a domain miss on it: the spread that a new domain
    must expect, not that of the points at hand. Raises ValueError with fewer than two domains.

    >>> got = fit(np.array([0.0, 0.1, 0.0, 0.1]), np.array([0.0, 0.1, 0.0, 0.1]), np.array(["a", "a", "b", "b"]))
    >>> round(got["slope"], 6), round(got["residual_sd"], 6), got["n"]
    (1.0, 0.0, 4.0)
    """
    names = np.unique(domain)
    if len(names) < 2:
        raise ValueError(f"domain: {len(names)} of them; expected at least two, since one is held out in turn")

    def line(keep: np.ndarray) -> np.ndarray:
        weights = np.array([1 / np.sqrt((domain[keep] == d).sum()) for d in domain[keep]])
        return np.polyfit(x[keep], drop[keep], 1, w=weights)

    missed = [np.mean((drop[domain == d] - np.polyval(line(domain != d), x[domain == d])) ** 2) for d in names]
    slope, intercept = line(np.ones(len(x), bool))
    return {"slope": float(slope), "intercept": float(intercept), "residual_sd": float(np.sqrt(np.mean(missed))),
            "x_low": float(x.min()), "x_high": float(x.max()), "n": float(len(x))}  # fmt: skip


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows, made again of the records on which it rests; Unable when there are newer ones."""
    kept = [r for name in SOURCES for r in records.find(name, profile=record.profile)]
    if newer := [r.run_id for r in kept if r.meta["created"] > record.meta["created"]]:
        raise renewal.Unable(f"{len(newer)} records on which it would rest today are newer than it")
    yield renewal.rows_again("all rows made again", table(record.profile), record.rows)


if __name__ == "__main__":
    main()
