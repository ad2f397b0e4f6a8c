"""The front page's picture: what a published network answers on a photograph when its decoder works on smaller grids.

The photograph is in the public domain and comes with matplotlib; what each grid costs is read from records.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image

from specseg.nets import protocol, weights
from specseg.nets.networks import Network
from specseg.study import cost, gate, trained

NETWORK, SIZES = "voc-deeplabv3plus-f0-s0", (65, 33, 17, 9)
PERSON = 15  # of PASCAL VOC's classes


class Demo(NamedTuple):
    """`photo` (S, S, 3) uint8, `masks` (K, S, S) bool, and one row per grid.

    Rows: lrg_size, flops (share of the whole grid's decoder), value, low, high (mIoU lost, relative), changed (share of
    this picture's pixels); `pictures` were scored in the records.
    """

    photo: np.ndarray
    masks: np.ndarray
    rows: pd.DataFrame
    pictures: int


def photograph(size: int) -> np.ndarray:
    """Return the portrait of Grace Hopper (US Navy, public domain), its upper square, (size, size, 3) uint8."""
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
        side = min(image.size)
        square = image.convert("RGB").crop((0, 0, side, side))
        return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


@torch.no_grad()
def answers(network: Network, photo: np.ndarray) -> np.ndarray:
    """Return where the network sees a person at each grid, (K, S, S) bool."""
    net = weights.load(network, sources=("published",))
    image = torch.tensor(photo).permute(2, 0, 1).float()[None] / 255
    masks = []
    for size in SIZES:
        with net.truncated(size):
            masks.append((net(image).argmax(1)[0] == PERSON).numpy())
    return np.stack(masks)


def demo() -> Demo:
    """Return the picture with its numbers.

    Raises ValueError where the network does not count as trained or a grid has no record: the page would show what no
    verdict may rest on.
    """
    network = protocol.named(NETWORK)
    if why := gate.untrained([network], gate.quality(trained.read("networks"))):
        raise ValueError(f"{NETWORK}: the front page shows a trained network; this one is {why}")
    (pool,) = trained.pools(trained.plain(trained.read("truncation")), domain=network.domain, model=network.model)
    lost = [{"value": 0.0, "low": 0.0, "high": 0.0}]
    lost += [trained.estimate(pool.drop("bilinear", size)) for size in SIZES[1:]]
    photo = photograph(network.size)
    masks = answers(network, photo)
    work = np.array([cost.count(network, s).decoder for s in SIZES])
    changed = (masks != masks[0]).mean((1, 2))
    rows = pd.DataFrame(lost).assign(lrg_size=SIZES, flops=work / work[0], changed=changed)
    return Demo(photo, masks, rows, len(pool.names))
