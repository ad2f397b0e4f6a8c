"""Synthetic scenes, the same on every platform: three regimes whose label maps bracket those of the real sets.

"objects": few large things with thin limbs before a cluttered background, void along the contours (as PASCAL VOC).
"landcover": large smooth regions, a river, fields (as DeepGlobe). "streets": a perspective street with poles, signs,
people and cars, 19 classes, void rim and bonnet (as Cityscapes). `dose` multiplies the density of contours.
"""

from __future__ import annotations

import numpy as np

from specseg.data import manifests
from specseg.data._canvas import Canvas, Stream, value_noise
from specseg.data._objects import OBJECT_CLASSES, objects
from specseg.data._streets import SEEN, STREET_CLASSES, streets
from specseg.data._texture import Things, class_looks, paint
from specseg.data.samples import VOID, DataSet, Sample
from specseg.evidence.schema import one_of

VERSION = 1
LANDCOVER_CLASSES = ("urban", "agriculture", "rangeland", "forest", "water", "barren", "unknown")
CLASSES = {"objects": OBJECT_CLASSES, "landcover": LANDCOVER_CLASSES, "streets": STREET_CLASSES}
REGIMES = tuple(CLASSES)
# Twelve doses of contour density in equal ratios from half to four times the regime's own.
DOSES = (0.5, 0.604, 0.73, 0.882, 1.065, 1.287, 1.555, 1.879, 2.27, 2.742, 3.313, 4.0)
SPLIT_SEEDS = {"train": 0, "val": 1_000_000, "test": 2_000_000}
# Colours that the classes have from above and from a car; the classes of "objects" have drawn ones.
_ABOVE = ((150, 140, 138), (166, 168, 88), (128, 138, 76), (44, 78, 44), (48, 74, 104), (176, 152, 118), (96, 96, 96))
_SEEN = {"objects": None, "landcover": _ABOVE, "streets": SEEN}
_LOOKS = {name: class_looks(k, len(classes), _SEEN[name]) for k, (name, classes) in enumerate(CLASSES.items())}
_SHOWN = {"objects": "voc2012", "landcover": "deepglobe", "streets": "cityscapes"}  # the sets that they stand for


def scene(regime: str, seed: int, size: int = 513, *, dose: float = 1.0, void: bool = True) -> Sample:
    """Return scene number `seed` of a regime: image uint8 (size, size, 3), label int64 (size, size).

    Geometry is in frame sides, so one seed shows the same scene at every size. `dose` multiplies the density of
    contours, nearly (things become `dose` times smaller and dose^2 times as many, and hide each other and are cut by
    the frame a little differently); in "streets" the street itself stays as it is.
    `void=False` gives the class under each void pixel instead.
    Raises ValueError for an unknown regime, size < 17, or dose outside 0.1 .. 10.

    >>> a, b = scene("objects", 3, 65), scene("objects", 3, 65)
    >>> bool((a.image == b.image).all()), a.name
    (True, 'objects-0000003')
    """
    one_of("unknown regime", regime, REGIMES)
    if size < 17:
        raise ValueError(f"size {size}: a scene needs at least 17 pixels a side")
    if not 0.1 <= dose <= 10.0:
        raise ValueError(f"dose {dose}: expected a number from 0.1 to 10")
    key = REGIMES.index(regime)
    geometry, look = Stream(key, int(seed), 1), Stream(key, int(seed), 2)
    things = Things(Stream(key, int(seed), 3), *_LOOKS[regime])
    draw = {"objects": objects, "landcover": _landcover, "streets": streets}[regime]
    canvas, hidden = draw(geometry, things, size, dose)
    label = canvas.label.astype(np.int64)
    if void:
        label[hidden] = VOID
    return Sample(paint(canvas, things, look), label, f"{regime}-{int(seed):07d}")


def _landcover(stream: Stream, things: Things, size: int, dose: float) -> tuple[Canvas, np.ndarray]:
    """Regions where one of several smooth fields is largest, a river along a field's zero line, void below clouds."""
    canvas = Canvas(size, 0, things.add(0))
    cells = 1.9 * dose
    best = np.full((size, size), -9.0, np.float32)
    for cls in range(6):
        bias = stream.uniform(-0.45, 0.45) - (0.5 if cls in (4, 5) else 0.0)
        field = value_noise(stream, cells, size)
        field += 0.12 * value_noise(stream, 4.0 * cells, size)
        field += np.float32(bias)
        win = field > best
        np.copyto(best, field, where=win)
        canvas.label[win] = cls
        canvas.thing[win] = things.add(cls, 0.06)
    if stream.chance(0.6):
        course = value_noise(stream, cells, size)
        np.abs(course, out=course)
        canvas.put((slice(None), slice(None)), course < 0.012 * stream.uniform(0.6, 2.0), 4, things.add(4, 0.06))
    cloud = value_noise(stream, 2.0, size)
    hidden = cloud > (0.75 if stream.chance(0.3) else 2.0)
    if stream.chance(0.15):
        canvas.put((slice(None), slice(None)), value_noise(stream, cells, size) > 0.72, 6, things.add(6))
    return canvas, hidden


class Synthetic(DataSet):
    """`count` scenes of one regime: split "train" starts at seed 0, "val" at 1,000,000, "test" at 2,000,000.

    `partial` and `need` have no meaning here: all scenes are there, and a label is drawn with its picture.
    """

    def __init__(
        self, split: str, *, regime: str = "objects", size: int = 513, count: int = 100, dose: float = 1.0,
        void: bool = True, partial: bool = False, need: str = "both",
    ) -> None:  # fmt: skip
        one_of("synthetic: unknown split", split, SPLIT_SEEDS)
        one_of("synthetic: unknown regime", regime, CLASSES)
        if not 0 < count <= 1_000_000:
            raise ValueError(f"synthetic: count {count}: expected 1 .. 1000000")
        self.seeds = [SPLIT_SEEDS[split] + k for k in range(count)]
        ids = [f"{regime}-{seed:07d}" for seed in self.seeds]
        super().__init__("synthetic", split, ids, count, CLASSES[regime], palette(regime))
        self._make = {"regime": regime, "size": size, "dose": dose, "void": void}

    def _sample(self, index: int) -> Sample:  # picture and label map are drawn together
        return scene(seed=self.seeds[index], **self._make)

    def _read(self, what: str, index: int) -> np.ndarray:
        return getattr(self[index], what)


def palette(regime: str) -> np.ndarray:
    """Return the colours in which a regime's label maps are shown, uint8 (C, 3): those of the set it stands for."""
    return np.array(manifests.load(_SHOWN[regime]).labels.palette, np.uint8)
