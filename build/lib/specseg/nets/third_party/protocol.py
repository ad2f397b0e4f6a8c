"""Which networks that others trained are measured on what: units, frames, sizes, fixed before the first was scored.

The words are in the book's page on method. A unit is a network in a frame, on the test pictures of its own data set.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from specseg.data import loading, transforms
from specseg.data.datasets import DataSet
from specseg.data.domains import Domain, domain
from specseg.nets import protocol
from specseg.nets.third_party import manifests
from specseg.nets.third_party.base import ThirdPartyNet
from specseg.nets.third_party.manifests import NetManifest
from specseg.spectral import spectrum

FRAMES = ("paper", "native")
PAPER = 513
NATIVE = {"voc2012": 257, "camvid": 257, "cityscapes": 385}  # pixels at the scale of the networks' training
ENLARGED = {"cityscapes": 2}  # stored at half that scale
SEEN = ("deeplabv3-mnv2-513-voc", "deeplabv3-mnv2-voc")  # one network in two files: the test was in its training


def _ten_seconds(name: str) -> str:
    """Return the sequence and the stretch of ten seconds (170 frames at 17 a second) of a Cityscapes frame.

    >>> _ten_seconds("frankfurt_000000_001236")
    'frankfurt_000000_7'
    """
    city, sequence, frame = name.split("_")
    return f"{city}_{sequence}_{int(frame) // 170}"


HOMES: dict[str, Domain] = {
    "voc2012": domain("voc"),
    "camvid": replace(domain("camvid"), test=("camvid", "test"), folds=({},)),
    "cityscapes": replace(domain("cityscapes"), test=("cityscapes_512x256", "val"), cluster=_ten_seconds),
}
"""The data set of a manifest -> the pictures that its networks are judged on."""


@dataclass(frozen=True)
class Unit:
    """A network in a frame; `pictures` is how many it is measured on, evenly spread, 0 for all."""

    name: str
    frame: str = "paper"
    pictures: int = 0

    def __post_init__(self) -> None:
        if self.frame not in FRAMES:
            raise ValueError(f"frame {self.frame!r}: expected one of {', '.join(FRAMES)}")

    @cached_property
    def manifest(self) -> NetManifest:
        """What is known of the network."""
        return manifests.load(self.name)

    @property
    def home(self) -> Domain:
        """The domain whose test pictures it is judged on."""
        return HOMES[self.manifest.dataset]

    @property
    def size(self) -> int:
        """Side of the frame in pixels."""
        return PAPER if self.frame == "paper" else NATIVE[self.manifest.dataset]

    def data(self) -> DataSet:
        """Return its test pictures. Raises as the data set does."""
        return self.home.open("test")

    def rows(self, data: DataSet) -> list[int]:
        """Return the indices of the pictures that it is measured on."""
        count = min(self.pictures or len(data), len(data))
        return [k * len(data) // count for k in range(count)]

    def items(self, data: DataSet) -> list[loading.Item]:
        """Return these pictures in the frame: image uint8 (3, s, s), label uint8 (s, s), name."""
        if self.frame == "paper":
            transform = transforms.evaluation(self.size)
        else:
            native = transforms.evaluation(self.size, "padded")
            transform = transforms.enlarged(ENLARGED.get(self.manifest.dataset, 1), native)
        framed = loading.TorchDataset(data, transform)
        return [framed[i] for i in self.rows(data)]

    def shared_sizes(self) -> tuple[int, ...]:
        """Return Table 4's seven LRG sizes, scaled to the frame: the same for all networks."""
        return protocol.lrg_sizes((self.size - 1) // 4 + 1)

    def own_sizes(self, net: ThirdPartyNet) -> tuple[int, ...]:
        """Return the LRG sizes at Table 4's seven shares of the network's own grid."""
        return protocol.lrg_sizes((self.size - 1) // net.feature_stride + 1)

    def limits(self, net: ThirdPartyNet) -> list[int]:
        """Return the band limits of R_ce in cycles per frame, largest first: Table 1's, and half of all LRG sizes."""
        sizes = {*self.shared_sizes(), *self.own_sizes(net)}
        return sorted({n for n in (*protocol.LIMITS, *map(spectrum.nu_max, sizes)) if n < self.size // 2}, reverse=True)


def units(profile: str) -> list[Unit]:
    """Return the units of a profile in order; at smoke one network of each data set, native, on four pictures.

    >>> len(units("standard")), [u.name for u in units("smoke")]
    (28, ['cgnet-camvid', 'cgnet-cityscapes', 'deeplabv3-mnv2-voc'])
    """
    if profile == "smoke":
        return [Unit(name, "native", 4) for name in ("cgnet-camvid", "cgnet-cityscapes", "deeplabv3-mnv2-voc")]
    return [Unit(name, frame) for frame in FRAMES for name in manifests.names()]
