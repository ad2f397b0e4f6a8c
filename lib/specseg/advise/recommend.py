"""The rule by which sizes are recommended, stated before any network's drop was known, and what it cannot know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

FEW_MAPS, FEW_GROUPS, RARE = 30, 10, 5
THIN_EVIDENCE = 0.2  # R_ce beyond which the paper's own relation is no line
CONFIDENT = 1.25  # a calibrated temperature this far from 1, as a factor, changes R_ce about as much
RULE = (
    "LRG: the smallest grid at which, and at every larger one, labels cut to its band lose at most the tolerated share "
    "of mIoU against labels cut to the whole prediction grid's band, at the unfavourable end of the 95 % interval. "
    "Blocks: the same against the true labels, each block taking its commonest class. Scored as evaluations are, "
    "without void. The unfavourable end, because a tolerance is a promise."
)
REASON = (
    "A network whose last features live on a grid cannot draw finer than its band, and labels have at least as fine "
    "contours as a network's own maps. So what the labels lose is taken as what a truncated network may lose."
)
IGNORES = (
    "How good the network is: an error that is there anyway is not lost twice, so a weak network loses less.",
    "What training gives back: a truncated network is trained or tuned with its grid, a label map is not.",
    "That features, not logits, are truncated, and nonlinear layers after them make new high frequencies.",
    "That other planes of the same band can place a contour better than a label's own: no strict bound.",
    "Learning from block labels: a network may smooth their steps, or learn them.",
)


def choose(ceilings: pd.DataFrame, kind: str, max_drop: float, metric: str = "drop") -> dict | None:
    """Return the recommended grid of a kind of weak label by RULE: nu_max, lrg_size, block_px, drop, next_smaller.

    None where not even the largest grid of the table holds the tolerance. `next_smaller` is what fails.

    >>> rows = pd.DataFrame({"kind": "band", "metric": "drop", "nu_max": [8, 16, 32], "lrg_size": [17, 33, 65],
    ...                      "se": 0.0, "block_px": 1.0, "low": 0.0, "value": [0.2, 0.02, 0.0],
    ...                      "high": [0.3, 0.03, 0.0]})
    >>> choose(rows, "band", 0.05)["lrg_size"], choose(rows, "band", 0.02)["lrg_size"]
    (33, 65)
    """
    rows = _from_the_largest(ceilings, kind, metric)
    held = int((rows["high"] <= max_drop).cumprod().sum())
    grids = [_grid(row) for row in rows.iloc[max(held - 1, 0) : held + 1].itertuples()]
    return {**grids[0], "next_smaller": grids[1] if len(grids) > 1 else None} if held else None


def finest(ceilings: pd.DataFrame, kind: str) -> dict:
    """Return the largest grid of a kind with its drop: what remains to be said where none holds the tolerance."""
    return _grid(next(_from_the_largest(ceilings, kind, "drop").itertuples()))


def _from_the_largest(ceilings: pd.DataFrame, kind: str, metric: str) -> pd.DataFrame:
    part = ceilings[(ceilings["kind"] == kind) & (ceilings["metric"] == metric)]
    return part.sort_values("nu_max", ascending=False)


def _grid(row) -> dict:
    drop = {"value": row.value, "low": row.low, "high": row.high, "se": row.se}
    return {"nu_max": int(row.nu_max), "lrg_size": int(row.lrg_size), "block_px": float(row.block_px), "drop": drop}


def cautions(data: Mapping) -> list[str]:
    """Return what makes an advice (as in advice.json) weak, in sentences, gravest first."""
    found, frame, tiny = data["data"], data["frame"], data["frame"]["tiny"]
    maps, groups = found["measured"], found["groups"]
    rare = [c["name"] for c in data["classes"] if 0 < c["maps"] < RARE]
    absent = [c["name"] for c in data["classes"] if c["maps"] == 0]
    said = {
        f"Few maps: {maps}. With fewer than {FEW_MAPS} the intervals are too narrow themselves.": maps < FEW_MAPS,
        f"Few groups: {groups}. With fewer than {FEW_GROUPS} the intervals are too narrow themselves.":
            maps >= FEW_MAPS and groups < FEW_GROUPS,
        f"{len(found['bad'])} bad file(s) left out; they are listed below.": found["bad"],
        f"A sample: {found['chosen']} of {found['found']} maps; its standard error is stated.": found["sampled"],
        f"In fewer than {RARE} maps: {_listed(rare)}. Their rows rest on little.": rare,
        f"In no map: {_listed(absent)}. The means leave them out.": absent,
        f"{found['void']:.0%} of all pixels are void and took their nearest label: contours there are invented.":
            found["void"] > 0.2,
        f"{len(found['only_void'])} map(s) without any label were left out.": found["only_void"],
        **(_about_logits(data["logits"], data["recommendation"]["lrg"]) if data["logits"] else {}),
        f"{frame['seen']:.0%} of the maps' pixels are seen; what stands at the sides may be missing (--frame tiles "
        "sees all).": frame["seen"] < 0.7,
        f"{frame['enlarged']} map(s) are smaller than the frame and were enlarged.":
            frame["enlarged"] and frame["scale"]["low"] < frame["scale"]["high"],
        f"{len(tiny)} map(s) of a few pixels ({tiny[0] if tiny else ''}) weigh as much as whole ones; take them out of "
        "the folder.": tiny,
    }  # fmt: skip
    return [sentence for sentence, so in said.items() if so]


def _about_logits(logits: Mapping, grid: Mapping) -> dict[str, bool]:
    t = logits["temperature"]
    high = max(r["value"] for r in logits["r_ce"] if r["nu_max"] == grid["nu_max"] and r["scale"] == "raw")
    return {
        f"R_ce is up to {high:.2f} at the recommended grid. Beyond {THIN_EVIDENCE} the paper's relation to the drop is "
        "no line, and none is known.": high > THIN_EVIDENCE,
        f"The network is {'over' if t > 1 else 'under'}-confident: its calibrated temperature is {t:.2f}. R_ce moves "
        "with the logits' scale, so trust the calibrated variant, or neither.": not 1 / CONFIDENT <= t <= CONFIDENT,
        f"The calibrated temperature is at the end of the range tried ({t:g}).": logits["temperature_at_end"],
    }


def _listed(names: Sequence[str], most: int = 8) -> str:
    """Return names in a row, cut after `most`.

    >>> _listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
