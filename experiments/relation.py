"""The line of the drop over R_ce that the measured networks give, for `specseg advise --logits` to predict with.

Command   python experiments/relation.py [--profile standard]
Seconds   20; reads the records of experiments/truncation.py and experiments/loss_in_frequency.py, trains nothing
Expect    a slope of the paper's order, and a residual (each domain held out) that is as large as the drops themselves

Points    every baseline on photographs, folds pooled and seeds averaged, bilinear truncation at every LRG size below
          the full grid, with R_ce at the same band limit below the 0.2 up to which the paper fits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from specseg.advise import relation
from specseg.evidence import config, records, renewal
from specseg.study import trained

BELOW = 0.2
READINGS = {
    "periodic": ("periodic", "raw"), "mirrored": ("mirrored", "raw"),
    "periodic, calibrated": ("periodic", "calibrated"), "mirrored, calibrated": ("mirrored", "calibrated"),
}  # fmt: skip


def points(profile: str) -> pd.DataFrame:
    """Return one row per domain, model, LRG size and reading: x (R_ce) and drop."""
    drops = trained.drops(trained.real(trained.plain(trained.read("truncation", profile))), profile)
    rates = trained.rates(trained.real(trained.plain(trained.read("loss_in_frequency", profile))), profile)
    drops = drops[(drops["method"] == "bilinear") & (drops["lrg_size"] < drops["grid"])]
    drops = drops.assign(nu_max=(drops["lrg_size"] - 1) // 2)[["domain", "model", "nu_max", "value"]]
    return rates.merge(drops, on=["domain", "model", "nu_max"], suffixes=("", "_drop"))


def main(arguments: list[str] | None = None) -> Path:
    """Fit every reading and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="standard", choices=config.profiles())
    parser.add_argument("--allow-dirty", action="store_true", help=records.ALLOW_DIRTY)
    args = parser.parse_args(arguments)
    records.require_committed(args.allow_dirty)
    start, found = time.perf_counter(), points(args.profile)
    table = fits(found)
    if table.empty:
        raise SystemExit("no networks with both records; run experiments/truncation.py and loss_in_frequency.py first")
    print(table.pivot(index=["boundary", "average", "temperature"], columns="parameter", values="value").round(4))
    path = records.write(
        relation.EXPERIMENT, table, command=f"python experiments/relation.py --profile {args.profile}",
        profile=args.profile, data=[], script=Path(__file__), wall_s=time.perf_counter() - start,
        allow_dirty=args.allow_dirty,
        settings={"domains": sorted(found["domain"].unique()), "models": sorted(found["model"].unique()),
                  "below": BELOW},
    )  # fmt: skip
    print(path)
    return path


def fits(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of every reading's line through `points`."""
    rows = []
    for (variant, average), part in found.groupby(["variant", "average"]):
        if variant not in READINGS or (part := part[part["value"] < BELOW]).empty:
            continue
        boundary, temperature = READINGS[variant]
        values = relation.fit(*(part[c].to_numpy() for c in ("value", "value_drop", "domain")))
        rows += [{"predictor": "r_ce", "boundary": boundary, "average": average, "temperature": temperature,
                  "parameter": name, "value": value, "n": len(part)} for name, value in values.items()]  # fmt: skip
    return pd.DataFrame(rows)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: all rows, fitted again to the records on which it rests; Unable when there are newer ones."""
    kept = [r for name in ("truncation", "loss_in_frequency") for r in records.find(name, profile=record.profile)]
    if newer := [r.run_id for r in kept if r.meta["created"] > record.meta["created"]]:
        raise renewal.Unable(f"{len(newer)} records on which it would rest today are newer than it")
    yield renewal.rows_again("all fits made again", fits(points(record.profile)), record.rows)


if __name__ == "__main__":
    main()
