"""Rules that predict the drop of mIoU, with and without a network, for printed and for measured cells alike.

A cell is one network at one band limit. Values are columns of cells: setup, domain, model, share of the grid, full (the
whole grid: nothing is truncated), drop, and what a rule reads; (cells,) or (draws, cells).
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 3.2, Fig. 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from specseg.evidence.fits import line

MODELS = {"deeplabv3plus": "DeepLab v3+", "dan": "DAN"}
PRINTED = {"slope": 0.6725, "intercept": 0.0022, "r2": 0.91, "threshold": 0.2}  # the line of Fig. 5b
Values = Mapping[str, np.ndarray]
NAMES = {
    "rce": "R_ce", "rce_images": "R_ce, mean over pictures", "rce_mirrored": "R_ce, mirrored",
    "rce_mirrored_images": "R_ce, mirrored, mean over pictures", "rce_calibrated": "R_ce, calibrated",
    "rce_mirrored_calibrated": "R_ce, mirrored, calibrated", "rce_filled": "R_ce, void filled",
    "rce_padded": "R_ce, padded frame",
    "lrg": "LRG size alone",
    "block_majority": "block ceiling, majority", "block_nearest": "block ceiling, nearest",
    "band_periodic": "band ceiling, periodic", "band_mirrored": "band ceiling, mirrored",
    "advice": "band ceiling over that of the whole grid", "perimeter": "perimeter law", "energy": "label energy beyond",
    "overlap": "overlap cut to the box (Eqs 27, 29 mended)", "eq32": "Eq. 32 as printed",
    "eq29_sign": "Eqs 29 to 31, sign mended",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """A way to predict the drop from a column of the cells. `needs`: "R_ce", "labels", "LRG", "network" or "nothing".

    Forms: "itself"; "printed", the line of Fig. 5b; "line" and "power", fitted to the training cells by least squares
    (in logarithms for power; a line in R_ce to R_ce < 0.2, the paper's rule); "same" and "same model", the training
    cells' mean drop at the same share of the grid (and of the same model); "mean", that of all training cells; "zero".
    """

    name: str
    column: str
    form: str
    needs: str

    def predict(self, train: Values, test: Values) -> np.ndarray:
        """Return the predicted drop of the test cells; NaN where the training cells do not fix the rule.

        Columns are (cells,) or (draws, cells); a rule is fitted in each draw.
        """
        y = np.asarray(train["drop"], float)
        if self.form == "zero":
            return np.zeros(np.shape(test["drop"]))
        if self.form in ("same", "same model", "mean"):
            at = np.ones((np.shape(test["drop"])[-1], y.shape[-1]), bool)
            if self.form != "mean":
                at = np.abs(np.subtract.outer(test["share"].astype(float), train["share"].astype(float))) < 1e-9
            if self.form == "same model":
                at &= np.equal.outer(test["model"], train["model"])
            hits = at.sum(1)
            return np.where(hits > 0, y @ at.T / np.maximum(hits, 1), np.nan)
        x = np.asarray(test[self.column], float)
        if self.form == "itself":
            return np.broadcast_to(x, np.shape(test["drop"]))
        if self.form == "printed":
            return PRINTED["intercept"] + PRINTED["slope"] * x
        known, y = np.broadcast_arrays(np.asarray(train[self.column], float), y)
        if self.form == "line":
            below = known < PRINTED["threshold"] if self.needs == "R_ce" else True
            return line(known, y, np.isfinite(known) & below).at(x)
        keep = (known > 0) & (y > 0)
        power = line(np.log(np.where(keep, known, 1.0)), np.log(np.where(keep, y, 1.0)), keep)
        return np.where(x > 0, np.exp(power.at(np.log(np.where(x > 0, x, 1.0)))), 0.0)


OWN = Rule("R_ce, line fitted elsewhere", "rce", "line", "R_ce")
CEILINGS = ("block_majority", "block_nearest", "band_periodic", "band_mirrored")
RULES = (
    OWN,
    Rule("R_ce, the printed line", "rce", "printed", "R_ce"),
    Rule("R_ce itself", "rce", "itself", "R_ce"),
    Rule("R_ce, power law", "rce", "power", "R_ce"),
    *(Rule(f"{NAMES[c]}, line", c, "line", "R_ce") for c in NAMES if c.startswith("rce_")),
    Rule("overlap cut to the box", "overlap", "itself", "network"),
    Rule("overlap cut to the box, line", "overlap", "line", "network"),
    Rule("Eq. 32 as printed", "eq32", "itself", "network"),
    Rule("Eqs 29 to 31, sign mended", "eq29_sign", "itself", "network"),
    Rule("LRG size, power law", "share", "power", "LRG"),
    Rule("LRG size, mean elsewhere", "share", "same", "LRG"),
    *(Rule(NAMES[c], c, "itself", "labels") for c in (*CEILINGS, "advice")),
    *(Rule(f"{NAMES[c]}, line", c, "line", "labels") for c in (*CEILINGS, "advice", "perimeter", "energy")),
    Rule("no drop", "share", "zero", "nothing"),
)
RIVALS = tuple(r for r in RULES if r.needs in ("LRG", "labels"))


def rule(name: str) -> Rule:
    """Return a rule by name. Raises ValueError that lists the known ones."""
    known = {r.name: r for r in RULES}
    if name not in known:
        raise ValueError(f"rule {name!r}: expected one of {', '.join(known)}")
    return known[name]


def held_out(values: Values, one: Rule, *, whole: bool = False) -> np.ndarray:
    """Return each cell's drop predicted by a rule that never saw its domain; 0 on the whole grid, by definition.

    With `whole` the rule predicts the whole grid too, as a reader of the printed tables would have it.

    Cells with a missing column train nothing; a rule that has no other domain to learn from gives NaN.
    """
    out = np.full(np.shape(values["drop"]), np.nan)
    cut = ~values["full"].astype(bool)
    used = {c: values[c] for c in {one.column, "drop", "share", *(["model"] if one.form == "same model" else [])}}
    for name in dict.fromkeys(values["domain"]):
        own = values["domain"] == name
        train, test = ({c: v[..., part] for c, v in used.items()} for part in (~own & cut, own))
        out[..., own] = one.predict(train, test)
    return out if whole else np.where(cut, out, 0.0)


def missed(values: Values, one: Rule) -> np.ndarray:
    """Return by how much a rule misses each cell's drop, its domain held out."""
    return np.abs(held_out(values, one) - np.asarray(values["drop"], float))
