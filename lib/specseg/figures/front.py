"""The front page's picture as HTML that works offline: a photograph, a network's answer over it, a slider, a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from PIL import Image

from specseg.figures import uri

FILL, EDGE = (0, 114, 178, 120), (255, 255, 255, 255)
SCRIPT = """
document.querySelectorAll('.front-demo').forEach(demo => {
  const slider = demo.querySelector('input');
  const show = () => demo.querySelectorAll('[data-k]').forEach(n => {
    n.classList.toggle('front-on', n.dataset.k === slider.value); });
  slider.addEventListener('input', show);
  show();
});"""


def mask_image(mask: np.ndarray) -> np.ndarray:
    """Return a mask as a see-through picture with a bright edge, (H, W, 4) uint8."""
    padded = np.pad(mask, 2, mode="edge")
    height, width = mask.shape
    near = [padded[y : y + height, x : x + width] for y in range(5) for x in range(5)]
    picture = np.zeros((height, width, 4), np.uint8)
    picture[mask] = FILL
    picture[mask & ~np.logical_and.reduce(near)] = EDGE
    return picture


def html(photo: np.ndarray, masks: np.ndarray, rows: pd.DataFrame, pictures: int) -> str:
    """Return the figure; `rows` has lrg_size, flops, value, low, high, changed, the whole grid first."""
    whole = int(rows["lrg_size"].iloc[0])
    side, jpeg = photo.shape[0] - 1, uri(Image.fromarray(photo), format="jpeg", quality=80, optimize=False)
    layers, lines = [], []
    for k, r in enumerate(rows.itertuples()):
        step, size = side / (r.lrg_size - 1), f"{r.lrg_size} × {r.lrg_size}"
        mesh = "".join(f"M{i * step:g} 0V{side}M0 {i * step:g}H{side}" for i in range(r.lrg_size))
        on = ' class="front-on"' if k == 0 else ""
        seen = uri(Image.fromarray(mask_image(masks[k])).quantize(8))
        layers.append(
            f'<g data-k="{k}"{on}><image href="{seen}" width="{side}" height="{side}"/>'
            f'<path d="{mesh}" stroke="#fff" stroke-opacity=".4" stroke-width=".35" fill="none"/></g>'
        )
        lost = f"{100 * r.value:.1f} % [{100 * r.low:.1f}, {100 * r.high:.1f}]" if k else "0"
        cells = (size, f"{r.flops:.0%}", lost, f"{r.changed:.0%}")
        lines.append(f'<tr data-k="{k}"{on}>' + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    head = "".join(f"<th>{h}</th>" for h in (
        "Points of the grid", "Operations of the decoder", f"Share of the mIoU lost, {pictures} pictures [95 %]",
        "Pixels of this picture that change"))  # fmt: skip
    return (
        '<figure class="specseg-figure front-demo"><div class="front-pair">'
        f'<img src="{jpeg}" alt="Portrait of a woman in a naval officer\'s uniform before a flag.">'
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="The same portrait under the network\'s answer: the '
        'outline of the person, which loses detail as the grid gets smaller, until it is a rounded blot.">'
        f'<image href="{jpeg}" width="{side}" height="{side}"/>{"".join(layers)}</svg></div>'
        '<label class="front-slider"><span>fine grid</span><input type="range" min="0" '
        f'max="{len(rows) - 1}" value="0" aria-label="Points of the decoder\'s grid, from {whole} to '
        f'{rows["lrg_size"].iloc[-1]} a side"><span>coarse grid</span></label>'
        f'<table class="front-table"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        "<figcaption>Move the slider. A network that was trained on animals and people marks the person in blue; its "
        "decoder, the last part of it, works on ever fewer points. <i>mIoU</i> is how far prediction and labels "
        "overlap, averaged over classes; a bracket is the range that the data allow. Even on the whole grid the blue "
        "takes in a piece of the flag. Photograph: Grace Hopper, US Navy, public domain. Costs: "
        '<a href="chapters/70_truncation_and_pruning.html">trained networks of this book</a>.</figcaption></figure>'
        f"<script>{SCRIPT}</script>"
    )
