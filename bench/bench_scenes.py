"""A synthetic scene and Table 2, both made again at every use, against reading and counting, as ratios of paired runs.

Command   python bench/bench_scenes.py [--rounds 15]
Data      made here: scenes of 513 x 513, and the networks of Table 2 on torch's meta device
Minutes   about 1
Expect    a scene in at most 8 times the reading of the same scene from PNG files in memory; all 56 cells of Table 2 in
          at most 10 times torch's count of the operations of one of their networks

Ratios, intervals and the words of a missed goal are those of bench_kernels.py; so is the exit code.
"""

from __future__ import annotations

import argparse
import io
import sys

import numpy as np
import torch
from bench_kernels import CLASSES, SIZE, Pair, line, measure
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from specseg.data import datasets, synthetic
from specseg.nets import flops, models
from specseg.nets.flops import table2


def stored(sample: datasets.Sample) -> tuple[bytes, bytes]:
    """A scene as a data set keeps it: picture and label as PNG."""
    out = []
    for array in (sample.image, sample.label.astype(np.uint8)):
        Image.fromarray(array).save(kept := io.BytesIO(), "png")
        out.append(kept.getvalue())
    return out[0], out[1]


def scene_pairs() -> list[Pair]:
    """A synthetic scene made again at every use, against reading the same scene from PNG files in memory."""
    rows = []
    for regime in synthetic.REGIMES:
        files = stored(synthetic.scene(regime, 0))

        def read(files=files) -> list[np.ndarray]:
            return [np.asarray(Image.open(io.BytesIO(f))) for f in files]

        assert np.array_equal(read()[0], synthetic.scene(regime, 0).image)
        rows.append(Pair(f"scene of {regime}, {SIZE} x {SIZE}: made / read from PNG",
                         lambda regime=regime: synthetic.scene(regime, 0), read, 8, False))  # fmt: skip
    return rows


def table_pair() -> Pair:
    """All 56 cells of Table 2 against torch's counter on one network of them, which has no weights either."""
    with torch.device("meta"):
        net = models.build("deeplabv3plus", backbone="resnet101", num_classes=CLASSES).eval()
        image = torch.empty(1, 3, SIZE, SIZE)

    def ours() -> None:
        for cached in (flops.network_layers, flops._encoded):
            cached.cache_clear()
        table2.cells()

    def theirs() -> None:
        with FlopCounterMode(display=False):
            net(image)

    return Pair("56 cells of Table 2: ours / torch's counter on one network", ours, theirs, 10, False)


def main(argv: list[str] | None = None) -> int:
    """Run all comparisons and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    for pair in [*scene_pairs(), table_pair()]:
        print(line(measure(pair, args.rounds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
