"""Which convolution's filters feed which other layers: what a network must say so that its filters can be taken out."""

from __future__ import annotations

from typing import NamedTuple


class Follower(NamedTuple):
    """A convolution that reads a layer's channels, from input channel `offset` on (its place in a concatenation)."""

    name: str
    offset: int = 0


class Link(NamedTuple):
    """One convolution whose filters may be removed.

    `conv` is the module's name, `post` the names of the modules applied to its output one after another (normalisation,
    activation), `followers` those who read the result. Without followers the result is put back to full width after
    the last of them (where a shortcut is added, channels may be skipped but not dropped). A depth-wise `conv` names in
    `feeder` the convolution and the normalisation that make its input, which go with it. Names are those in the whole
    network.
    """

    conv: str
    post: tuple[str, ...]
    followers: tuple[Follower, ...] = ()
    feeder: tuple[str, ...] = ()


def after(name: str, *readers: Follower, first: int = 0) -> Link:
    """Return the link of a sequence's convolution, the `first` of its parts, with the normalisation and ReLU behind."""
    conv, *post = (f"{name}.{first + k}" for k in range(3))
    return Link(conv, tuple(post), readers)
