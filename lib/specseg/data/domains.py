"""The domains of the experiments: what is trained on, what it is scored on, what its intervals resample.

Objects (the animal-centred part of PASCAL VOC), streets (CamVid, three folds that leave one drive out), land cover
(Dubai, four folds that leave two tiles out), the paper's own three, and synthetic scenes. One policy of training per
domain, the same for every condition that is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from specseg.data import camvid, datasets, dubai
from specseg.data.datasets import DataSet
from specseg.evidence.schema import one_of

SYNTHETIC = ("objects", "landcover", "streets")


@dataclass(frozen=True)
class Domain:
    """One domain: `train` and `test` are data set and split, `folds` the options of each fold.

    `title` is its name for people; a `native` domain is seen in windows of the stored pixels, where the others scale
    whole pictures; `scored` are the classes of its mIoU (none: all of them), `steps`
    the length of a training at the standard profile.
    `partial` domains use the pictures that are present and say how many. `cluster` gives the unit that intervals
    resample: the drive and the ten seconds of a street frame, the tile of a land-cover part, else the picture.
    """

    name: str
    kind: str
    train: tuple[str, str]
    test: tuple[str, str]
    folds: tuple[dict, ...] = ({},)
    scored: tuple[str, ...] = ()
    steps: int = 400
    partial: bool = False
    cluster: Callable[[str], str] = field(default=str)
    title: str = ""
    native: bool = False

    def open(self, part: str, fold: int = 0, **options) -> DataSet:
        """Return "train" or "test" of a fold. Raises ValueError for another part or fold, and as `datasets.open`."""
        one_of(f"{self.name}: fold", fold, range(len(self.folds)))
        dataset, split = getattr(self, one_of("part", part, ("train", "test")))
        usual = {"count": 200 if part == "train" else 60} if dataset == "synthetic" else {"partial": self.partial}
        return datasets.open(dataset, split, **{**usual, **self.folds[fold], **options})

    def scored_indices(self, classes: tuple[str, ...]) -> list[int]:
        """Return the indices of the scored classes among a data set's."""
        return [classes.index(name) for name in self.scored or classes]


def _second(name: str) -> str:
    """The drive and the 300-frame stretch (ten seconds at 30 frames a second) of a CamVid frame.

    >>> _second("0016E5_07959")
    '0016E5_26'
    """
    digits = "".join(c for c in name.split("_")[1] if c.isdigit())
    return f"{camvid.drive(name)}_{int(digits) // 300}"


ANIMALS = ("background", "cat", "cow", "dog", "horse", "person", "sheep")
DOMAINS = {
    d.name: d
    for d in (
        Domain("voc", "objects", ("voc2012", "animals_train"), ("voc2012", "animals_val"), scored=ANIMALS, steps=500,
               title="PASCAL VOC, animals"),
        Domain("camvid", "streets", ("camvid", "train"), ("camvid", "val"), tuple({"fold": f} for f in camvid.FOLDS),
               steps=400, partial=True, cluster=_second, title="CamVid"),
        Domain("dubai", "land cover", ("dubai", "train"), ("dubai", "val"), tuple({"fold": f} for f in range(4)),
               steps=300, cluster=lambda name: f"t{dubai.tile(name)}", title="Dubai"),
        Domain("dubai_native", "land cover", ("dubai", "train"), ("dubai", "val"), tuple({"fold": f} for f in range(4)),
               steps=900, cluster=lambda name: f"t{dubai.tile(name.split()[0])}", title="Dubai, native windows",
               native=True),
        Domain("pascal", "objects", ("sbd", "trainaug"), ("voc2012", "val"), title="PASCAL"),
        Domain("deepglobe", "land cover", ("deepglobe", "train"), ("deepglobe", "val"), title="DeepGlobe"),
        Domain("cityscapes", "streets", ("cityscapes", "train"), ("cityscapes", "val"), title="Cityscapes"),
        *(Domain(r, k, ("synthetic", "train"), ("synthetic", "val"), ({"regime": r},), steps=300,
                 title=f"synthetic {k}")
          for r, k in zip(SYNTHETIC, ("objects", "land cover", "streets"), strict=True)),
    )
}  # fmt: skip


def domain(name: str) -> Domain:
    """Return a domain by name. Raises ValueError that lists the known ones.

    >>> domain("dubai").kind, len(domain("dubai").folds)
    ('land cover', 4)
    """
    return DOMAINS[one_of("unknown domain", name, DOMAINS)]
