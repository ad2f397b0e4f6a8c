"""Data sets by name."""

from __future__ import annotations

from pathlib import Path

from specseg.data.samples import VOID, DataSet, Sample  # noqa: F401  (others take them from here)
from specseg.evidence import config


def open(name: str, split: str = "train", *, root: Path | str | None = None, **options) -> DataSet:
    """Return the split of a data set by its name; `root` is the data folder (default: SPECSEG_DATA).

    Options that every set on disk takes: `partial=True` uses the listed names that are present (else a missing file is
    an error), `need="label"` asks for labels only. Further options are the loader's own (`fold`, `regime`, `size` ...).
    Raises ValueError for an unknown name or split (the known ones are listed) and FileNotFoundError for missing data.

    >>> open("synthetic", "val", regime="streets", size=65)[0].label.shape
    (65, 65)
    """
    from specseg.data import camvid, deepglobe, dubai, folders, manifests, synthetic, voc

    if name == "synthetic":
        return synthetic.Synthetic(split, **options)
    own = {"voc2012": voc, "sbd": voc, "deepglobe": deepglobe, "camvid": camvid, "dubai": dubai}
    opened = own[name].open_split if name in own else folders.listed
    return opened(manifests.load(name), split, config.data_root() if root is None else Path(root), **options)
