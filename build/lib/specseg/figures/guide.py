"""The reading guide's one picture: from a label map to its spectrum, band limit, low-resolution grid and decoder."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle

from specseg.figures import COLORS, painted, subplots


def overview(label, colors, power, limited, grid, nu_max: int):
    """Draw label (H, W), its centred power spectrum with the box of `nu_max`, the band-limited label and its LRG form.

    The spectrum is shown up to 4 nu_max. `colors` is a (C, 3) uint8 palette; labels outside it are drawn white.
    `limited` and `grid` are label maps too.
    """
    fig, axes = subplots(1, 5, size=(10.2, 2.5), gridspec_kw={"width_ratios": [1, 1, 1, 1, 1]})
    titles = (
        "1  label map",
        "2  its spectrum",
        f"3  kept: $|u|,|v| \\leq {nu_max}$",
        f"4  on a {grid.shape[0]} x {grid.shape[1]} grid",
        "5  what shrinks",
    )
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize=9.5)
        ax.set(xticks=[], yticks=[])
        ax.grid(visible=False)
        for side in ax.spines.values():
            side.set_visible(False)
    axes[0].imshow(painted(label, colors), interpolation="nearest")
    middle, half, reach = power.shape[0] // 2, nu_max + 0.5, 4 * nu_max
    axes[1].imshow(np.log10(np.maximum(power, power.max() * 1e-9)), cmap="cividis")
    axes[1].set(xlim=(middle - reach, middle + reach), ylim=(middle + reach, middle - reach))
    corner = (middle - half, middle - half)
    axes[1].add_patch(Rectangle(corner, 2 * half, 2 * half, fill=False, ec=COLORS["red"], lw=1.8))
    axes[2].imshow(painted(limited, colors), interpolation="nearest")
    axes[3].imshow(painted(grid, colors), interpolation="nearest")
    _decoder(axes[4])
    return fig


def _decoder(ax) -> None:
    ax.set(xlim=(0, 10), ylim=(0, 10), aspect="equal")
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
        ax.text(x + w / 2, height, name, ha="center", va="center", fontsize=7, color=inside)
    ax.text(8.65, 5.0, "logits,\nup-\nsampled", ha="center", va="center", fontsize=7)
    for start, stop in (((2.7, 5), (3.7, 5)), ((6.5, 5), (7.4, 5))):
        ax.add_patch(FancyArrowPatch(start, stop, arrowstyle="-|>", mutation_scale=9, color="black"))
    ax.text(5, 1.0, "truncation: same weights, fewer points", ha="center", fontsize=7)
