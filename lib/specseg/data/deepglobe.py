"""DeepGlobe land cover: colour masks cut at 128; the paper's 701 and 102 by a stated rule (its list is unpublished)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from specseg.data import folders
from specseg.data.manifests import Manifest
from specseg.data.manifests.verify import listed_ids

FULL, VAL = 803, 102


def val_ids(ids: Sequence[str]) -> list[str]:
    """Return the names held out: the share 102/803 (rounded) of smallest sha256 of "deepglobe:<id>", sorted.

    >>> val_ids(["1", "2", "3", "4", "5", "6", "7", "8"])
    ['6']
    """
    ranked = sorted(ids, key=lambda i: hashlib.sha256(f"deepglobe:{i}".encode()).hexdigest())
    return sorted(ranked[: round(len(ids) * VAL / FULL)])


def open_split(manifest: Manifest, split: str, root: Path, partial: bool = False, **how) -> folders.FolderDataSet:
    """Return split all, train (701) or val (102).

    Raises FileNotFoundError unless all 803 images are there or `partial` is true: the rule ranks all names.
    """
    part = manifest.split(split)
    every = listed_ids(manifest, root, part)
    if every and len(every) != FULL and not partial:
        raise FileNotFoundError(
            f"deepglobe: {len(every)} of {FULL} masks are present below {root}, and the split "
            f"ranks all {FULL} names; partial=True splits those that are present"
        )
    held_out = set(val_ids(every))
    chosen = [i for i in every if split == "all" or (i in held_out) == (split == "val")]
    data = folders.joined(manifest, split, root, [(manifest, part, chosen)], partial=partial, **how)
    data.listed = part.count
    return data
