"""A made-up label map, for the tests of what is measured of one."""

import numpy as np
import torch

VOID = 255


def labels(shape, seed=0, classes=3, void=0.1):
    """A blocky random map: contours and some void."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes, ((shape[0] + 2) // 3, (shape[1] + 2) // 3))
    label = np.kron(coarse, np.ones((3, 3), int))[: shape[0], : shape[1]]
    label[rng.random(shape) < void] = VOID
    return torch.from_numpy(label)
