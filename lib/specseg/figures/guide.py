"""The reading guide's pictures: from a label map to its spectrum, band limit, low-resolution grid and decoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.patches import FancyArrowPatch, Rectangle
from pandas.io.formats.style import Styler

from specseg import figures
from specseg.figures import COLORS, painted, picture


def overview(label, colors, power, limited, grid, nu_max: int):
    """Draw label (H, W), its centred power spectrum with the box of `nu_max`, the band-limited label and its LRG form.

    The spectrum is shown up to 4 nu_max. `colors` is a (C, 3) uint8 palette; labels outside it are drawn white.
    `limited` and `grid` are label maps too.
    """
    fig, every = figures.subplots(2, 3, size=(4.9, 3.9))
    decoder = fig.add_subplot(every[1, 1].get_gridspec()[1, 1:])
    every[1, 1].remove(), every[1, 2].remove()
    first, spectrum, third, fourth = *every[0], every[1, 0]
    for ax, shown, title in ((first, label, "1  label map"), (third, limited, f"3  waves up to {nu_max}"),
                             (fourth, grid, f"4  on {grid.shape[0]} x {grid.shape[1]}")):  # fmt: skip
        picture(ax, painted(shown, colors), title)
    picture(spectrum, figures.decibels(power, -90), "2  its spectrum", cmap="cividis")
    middle, reach = power.shape[0] // 2, 4 * nu_max
    spectrum.set(xlim=(middle - reach, middle + reach), ylim=(middle + reach, middle - reach))
    _box(spectrum, middle, nu_max)
    for ax in (first, spectrum, third, fourth, decoder):
        ax.spines[:].set_visible(False)
    _decoder(decoder)
    return fig


def _box(ax, middle: int, nu_max: int) -> None:
    """Draw the box of a band limit around the middle of a spectrum."""
    corner, side = middle - nu_max - 0.5, 2 * nu_max + 1
    ax.add_patch(Rectangle((corner, corner), side, side, fill=False, ec=COLORS["red"], lw=1.8))


def _decoder(ax) -> None:
    ax.set(xlim=(0, 10), ylim=(0, 8.6), xticks=[], yticks=[], title="5  what shrinks")
    boxes = [
        (0.0, 3.6, 2.7, 2.8, "encoder", COLORS["grey"]),
        (3.7, 2.2, 2.8, 5.6, "decoder", COLORS["sky"]),
        (3.7, 3.9, 2.8, 2.2, "decoder\non LRG", COLORS["blue"]),
        (7.4, 2.2, 2.5, 5.6, "", COLORS["yellow"]),
    ]
    for x, y, w, h, name, color in boxes:
        ax.add_patch(Rectangle((x, y), w, h, fc=color, ec="black", lw=0.8, alpha=0.45 if name == "decoder" else 0.9))
        inside = "white" if color in (COLORS["blue"], COLORS["grey"]) else "black"
        height = y + h - 0.7 if name == "decoder" else y + h / 2
        ax.text(x + w / 2, height, name, ha="center", va="center", fontsize=10, color=inside)
    ax.text(8.65, 5.0, "logits,\nup-\nsampled", ha="center", va="center", fontsize=10)
    for start, stop in (((2.7, 5), (3.7, 5)), ((6.5, 5), (7.4, 5))):
        ax.add_patch(FancyArrowPatch(start, stop, arrowstyle="-|>", mutation_scale=9, color="black"))
    ax.text(5, 0.7, "truncation: same weights, fewer points", ha="center", fontsize=10)


def worked(label, power, limited, blocks):
    """Draw the worked example: a small label map, its house's spectrum, the band-limited map, the map in blocks.

    Maps are (H, W) of class numbers, `power` the centred strengths of one plane. A letter stands for each class.
    """
    fig, ((first, waves), (third, fourth)) = figures.subplots(2, 2, size=(4.6, 4.9))
    colors = [(238, 232, 205), (213, 94, 0), (127, 127, 127)]
    for ax, shown, title in ((first, label, "1  label map"), (third, limited, "3  waves up to 1"),
                             (fourth, blocks, "4  in blocks")):  # fmt: skip
        picture(ax, painted(shown, colors), title)
        for (row, column), value in np.ndenumerate(np.asarray(shown)):
            ax.text(column, row, "GHR"[value], ha="center", va="center", fontsize=9.8)
    reach = len(power) // 2
    picture(waves, power, "2  the house's waves", cmap="Greys", extent=(-reach - 0.5, reach + 0.5) * 2)
    _box(waves, 0, 1)
    waves.set(xticks=[-reach, 0, reach], yticks=[-reach, 0, reach])
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
