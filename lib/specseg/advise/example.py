"""A folder of label maps to try the adviser on: synthetic scenes, written as anyone's labels would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from specseg.advise import maps
from specseg.data import synthetic
from specseg.data.datasets import VOID


def write(folder: Path | str, regime: str = "streets", count: int = 12, size: int = 129) -> Path:
    """Write the labels of `count` val scenes of a regime as PNGs of class numbers, and map.toml with the class names.

    Returns the folder. Raises ValueError for an unknown regime.
    """
    if regime not in synthetic.REGIMES:
        raise ValueError(f"regime {regime!r}: expected one of {', '.join(synthetic.REGIMES)}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    first = synthetic.SPLIT_SEEDS["val"]
    for seed in range(first, first + count):
        label = synthetic.scene(regime, seed, size).label
        Image.fromarray(label.astype(np.uint8)).save(folder / f"{regime}_{seed}.png")
    text = maps.draft(dict(enumerate(synthetic.CLASSES[regime])), [VOID], False, 0)
    (folder / "map.toml").write_text(text + "\n", encoding="utf-8")
    return folder
