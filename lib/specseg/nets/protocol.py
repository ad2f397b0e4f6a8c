"""The cells of the experiments, group by group in their order, fixed before the first of them was measured.

One frame (257 pixels on a CPU, 513 where a GPU or a cluster is at hand, 129 in a smoke run), one policy of training per
domain and one list for every profile. What a page shows are the cells of this list that have a record; the others it
names.
"""

from __future__ import annotations

from dataclasses import replace

from specseg.evidence import config, schema
from specseg.nets.networks import Network

LIMITS = (64, 48, 40, 32, 24, 16, 8)  # Table 1's, and with block annotation Table 3's, in cycles per frame
BLOCKS = (32, 16, 8)
GATE = 2.0  # a network counts as trained at so many times the mIoU of the best classifier by colour alone
TUNING = 200  # steps for which a trained network goes on with its decoder on an LRG


def lrg_sizes(prediction_grid: int) -> tuple[int, ...]:
    """Return the seven LRG sizes of Table 4 (129, 97, 81, 65, 49, 33, 17 on a grid of 129), scaled with the grid.

    >>> lrg_sizes(129), lrg_sizes(65), lrg_sizes(33)
    ((129, 97, 81, 65, 49, 33, 17), (65, 49, 41, 33, 25, 17, 9), (33, 25, 21, 17, 13, 9, 5))
    """
    steps = prediction_grid - 1
    return tuple(steps * k // 16 + 1 for k in (16, 12, 10, 8, 6, 4, 2))


def groups(profile: str = "standard") -> dict[str, tuple[Network, ...]]:
    """Return group -> its networks, in the order in which they are trained. Raises ValueError for another profile."""
    config.profile(profile)
    return {"smoke": _smoke, "standard": _standard, "paper": _paper}[profile]()


def networks(profile: str = "standard", *, group: str | None = None) -> list[Network]:
    """Return all networks of a profile, each once, in order; or those of one group.

    Raises ValueError for an unknown group (the known ones are listed).

    >>> [n.name for n in networks(group="voc")]
    ['voc-deeplabv3plus-f0-s0']
    """
    known = groups(profile)
    chosen = known.values() if group is None else [known[schema.one_of("unknown group", group, known)]]
    return list(dict.fromkeys(network for part in chosen for network in part))


def named(name: str) -> Network:
    """Return the network of any profile that has this name. Raises ValueError where none has.

    >>> named("camvid-dan-f2-s0").fold
    2
    """
    for network in (n for profile in (_smoke, _standard, _paper) for group in profile().values() for n in group):
        if network.name == name:
            return network
    raise ValueError(f"{name!r}: no network of the protocol has this name; give a Network instead")


def _standard() -> dict[str, tuple[Network, ...]]:
    voc, models = Network("voc"), ("deeplabv3plus", "dan")
    seeds = tuple(replace(voc, seed=s) for s in (1, 2))
    dubai = tuple(Network("dubai", fold=f) for f in range(4))
    more = tuple(replace(voc, seed=s) for s in (3, 4, 5))
    camvid = tuple(Network("camvid", fold=f) for f in range(3))
    native = tuple(Network("dubai_native", fold=f) for f in range(4))
    dan = tuple(replace(n, model="dan") for n in (voc, *dubai[:2], *camvid, *seeds))
    first = {"voc-dan-f0-s0", "dubai-dan-f0-s0", "dubai-dan-f1-s0", "camvid-dan-f0-s0"}

    def blocks(base: Network) -> tuple[Network, ...]:
        return tuple(replace(base, annotation="block", nu_max=n) for n in BLOCKS)

    def pruned(base: Network, rate: float) -> Network:
        return replace(base, prune_encoder=rate, prune_decoder=0.2, start="trained")

    def tuned(base: Network) -> tuple[Network, ...]:
        sizes = lrg_sizes((base.size - 1) // 4 + 1)
        whole = replace(base, start="frozen", steps=TUNING)
        return (whole, *(replace(whole, lrg_size=sizes[k]) for k in (3, 5, 6)))  # half, a quarter, an eighth

    return {
        "voc": (voc,),
        "dubai": dubai,
        "camvid": camvid,
        "voc seeds": seeds,
        "dan": tuple(n for n in dan if n.name in first),
        "blocks": tuple(n for m in models for n in blocks(replace(voc, model=m))),
        "pruning": (pruned(voc, 0.6), pruned(voc, 0.0)),
        "more dan": tuple(n for n in dan if n.name not in first),
        "native land cover": native,
        "native blocks": tuple(n for base in native[:2] for n in blocks(base)[1:]),
        "retrained": tuple(n for base in (voc, camvid[0], *native) for n in tuned(base)),
        "more blocks": tuple(n for base in (*camvid, *seeds) for n in blocks(base)),
        "more pruning": (*(pruned(voc, r) for r in (0.2, 0.4)), *(pruned(n, 0.6) for n in (camvid[0], *native))),
        "more seeds": (*more, *(replace(n, annotation="block", nu_max=32) for n in more), *blocks(more[0])[2:]),
        "fewer labels": (
            *(replace(voc, images=k) for k in (218, 109, 54)),
            *(replace(n, images=k) for k in (109, 54) for n in seeds),
        ),
        "nearest blocks": tuple(replace(n, annotation="block_nearest") for n in blocks(voc)),
        "light pruning": tuple(pruned(n, r) for n in (dan[0], camvid[0], dan[3], more[2]) for r in (0.2, 0.4)),
        "no pruning": tuple(pruned(n, 0.0) for n in (camvid[0], dan[3])),
        "six seeds": (
            *(blocks(n)[1] for n in more),
            *(blocks(n)[2] for n in more[1:]),
            *(replace(n, model="dan") for n in more),
            *(b for n in (*seeds, *more) for b in blocks(replace(n, model="dan"))),
        ),
    }


def _paper() -> dict[str, tuple[Network, ...]]:
    """The paper's own: ResNet-101, width 256, 513-pixel crops, A.9's epochs; three seeds where it had one."""
    setting = {"backbone": "resnet101", "width": 256, "size": 513, "policy": "paper"}
    every = [
        Network(d, model=m, **setting)
        for d in ("pascal", "deepglobe", "cityscapes")
        for m in ("deeplabv3plus", "dan")
    ]  # fmt: skip
    pruned = tuple(replace(n, prune_encoder=r, prune_decoder=0.2) for n in every for r in (0.2, 0.4, 0.6))
    blocks = tuple(replace(n, annotation="block", nu_max=k) for n in every for k in (64, *BLOCKS))
    seeds = tuple(replace(n, seed=s) for s in (1, 2) for n in every)
    return {"baselines": tuple(every), "pruning": pruned, "blocks": blocks, "seeds": seeds}


def _smoke() -> dict[str, tuple[Network, ...]]:
    """One tiny network of each kind on synthetic scenes: the same path, in seconds."""
    tiny = {"backbone": "tiny", "width": 16, "precision": "32-true", "size": 129, "batch": 4, "steps": 60}
    base = Network("objects", **tiny)
    return {
        "objects": (base,),
        "landcover": (Network("landcover", **tiny),),
        "streets": (Network("streets", **tiny),),
        "dan": (replace(base, model="dan"),),
        "blocks": (replace(base, annotation="block", nu_max=8),),
        "pruning": (replace(base, prune_encoder=0.4, prune_decoder=0.2),),
    }
