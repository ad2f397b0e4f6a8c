"""What a run of the adviser is asked for, the grids that it looks at, and the key that keeps other settings apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from specseg.advise import files, frames
from specseg.data import transforms
from specseg.data.label_numbers import Plan

LIMITS_513 = (64, 48, 40, 32, 24, 16, 8)  # Table 1's, for a prediction grid of 129 points
BLOCKS_513 = (128, *LIMITS_513)


@dataclass(frozen=True)
class Settings:
    """All that decides the numbers of a run.

    `size`: side of the square frame, 64k + 1. `ignore`: stored values (or names of classes) that count nowhere; None:
    255, unless it must be a class. `max_drop`: tolerated relative drop of mIoU. `sample`: None (all up to
    `folder.BIG` maps, else SAMPLE of them), "all" or a number. `group`: a regular expression; maps whose names match it
    with the same text stay together in the bootstrap. `frame`: one of `frames.FRAMES`.
    """

    size: int = 513
    max_drop: float = 0.02
    ignore: int | tuple[int | str, ...] | None = None
    sample: int | str | None = None
    seed: int = 0
    draws: int = 500  # of the bootstrap: its quantiles move the third digit of an interval by less than one
    group: str = ""
    keep_going: bool = False
    frame: str = "auto"

    def __post_init__(self) -> None:
        transforms.check_size(self.size)
        if not 0 < self.max_drop < 1:
            raise ValueError(f"max_drop {self.max_drop}: expected a fraction between 0 and 1, for example 0.02 for 2 %")
        if isinstance(self.ignore, int):
            object.__setattr__(self, "ignore", (self.ignore,))
        if far := [v for v in self.ignore or () if isinstance(v, int) and abs(v) >= files.MOST]:
            raise ValueError(f"ignore {far[0]}: expected a stored value, for example 255")
        if self.frame not in frames.FRAMES:
            raise ValueError(f"frame {self.frame!r}: expected one of {', '.join(frames.FRAMES)}")
        try:
            re.compile(self.group)
        except re.error as err:
            raise ValueError(f"group {self.group!r}: no regular expression ({err}); for example '^(.*)_'") from None
        if not (self.sample in (None, "all") or isinstance(self.sample, int) and self.sample > 0):
            raise ValueError(f"sample {self.sample!r}: expected a number of maps above 0, or all")


def prediction_grid(size: int) -> int:
    """Return the side of the networks' prediction grid for a frame of `size` pixels, the largest LRG: (size - 1)/4 + 1.

    >>> prediction_grid(513), prediction_grid(257)
    (129, 65)
    """
    transforms.check_size(size)
    return (size - 1) // 4 + 1


def scaled(size: int, limits: Sequence[int]) -> tuple[int, ...]:
    """Return band limits of a 513 frame for another frame, in the same share of its prediction grid, each once.

    >>> scaled(513, LIMITS_513) == LIMITS_513, scaled(129, LIMITS_513)
    (True, (16, 12, 10, 8, 6, 4, 2))
    """
    return tuple(dict.fromkeys(max(1, nu * (size - 1) // 512) for nu in limits))


def grid(size: int) -> Plan:
    """Return what is measured in a frame of `size` pixels; a boundary is 2 % of its diagonal wide (Cheng et al. 2021).

    >>> grid(513).width, grid(129).band
    (15, (16, 12, 10, 8, 6, 4, 2))
    """
    width = max(1, round(0.02 * size * 2**0.5))
    return Plan(size, scaled(size, LIMITS_513), scaled(size, BLOCKS_513), width=width)
