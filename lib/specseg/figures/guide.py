"""The reading guide's pictures: from a label map to its spectrum, band limit and low-resolution grid."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from pandas.io.formats.style import Styler

from specseg import figures
from specseg.figures import COLORS, painted, picture

HOUSE = [(238, 232, 205), (213, 94, 0), (127, 127, 127)]


def overview(label, colors, waves, limited, grid, nu_max: int, letters: str = ""):
    """Draw label (H, W), its centred spectrum with the box of `nu_max`, the band-limited label and its LRG form.

    `waves` is how strong they are, powers or decibels, shown up to 4 nu_max. `colors` is a (C, 3) uint8 palette; labels
    outside it are drawn white. `limited` and `grid` are label maps too. `letters`, one a class, are written into them.
    """
    fig, ((first, spectrum), (third, fourth)) = figures.subplots(2, 2, size=(4.7, 5.0))
    maps = ("1  label map", label), (f"3  waves up to {nu_max}", limited), ("4  in blocks", grid)
    for ax, (title, shown) in zip((first, third, fourth), maps, strict=True):
        picture(ax, painted(shown, colors), title)
        for (row, column), value in np.ndenumerate(np.asarray(shown)) if letters else ():
            ax.text(column, row, letters[value], ha="center", va="center", fontsize=9.8)
    middle = len(waves) // 2
    reach = min(4 * nu_max, middle) + 0.5
    picture(spectrum, waves, "2  its waves", cmap="Greys", extent=(-middle - 0.5, middle + 0.5) * 2)
    box = Rectangle((-nu_max - 0.5,) * 2, 2 * nu_max + 1, 2 * nu_max + 1, fill=False, ec=COLORS["red"], lw=1.8)
    spectrum.add_patch(box)
    spectrum.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=(-nu_max, 0, nu_max), yticks=(-nu_max, 0, nu_max))
    return fig


def compared(both: Mapping[str, tuple[float, float]]) -> Styler:
    """Return a table of what a calculator and the library give for each step. Raises ValueError where they differ.

    >>> compared({"a half": (1 / 2, 0.5)}).data["by calculator"].tolist()
    [0.5]
    """
    rows = {step: [float(x) for x in pair] for step, pair in both.items()}
    if apart := [step for step, (one, two) in rows.items() if abs(one - two) > 1e-9]:
        raise ValueError(f"calculator and library differ at {', '.join(apart)}")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["by calculator", "by library"])
    return table.style.format(precision=4)
