"""What a network costs: floating-point operations and parameters per part, at any LRG size, stride and pruning rate.

The rules differ between public counters, so a count names its rule. `PAPER` is the one that gives Table 2.
"""

# ruff: noqa: F401 (names that others take from here)

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from specseg.nets.flops.layers import Layer, conv_flops, trace
from specseg.nets.models import build
from specseg.nets.models.links import Link
from specseg.nets.pruning import removed

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Rule:
    """How operations are counted and which channels pruning takes.

    A multiply-accumulate counts 2; an element-wise operation counts `norm`, `act` or `pool` times 2 in the encoder,
    and in the decoder too with `decoder_elementwise`. Pruning takes `rounding`(filters x rate) output channels of every
    convolution not excluded by `last_conv`, `shortcuts`, `stem`, `aspp`, `projection`; a reader's input channels go
    with them where one pruned convolution alone feeds it (`inputs="chain"`), always ("all") or never ("none").
    `low_level_full` leaves the decoder's 1x1 on the low-level features on the prediction grid under truncation.
    """

    norm: int = 2
    act: int = 1
    pool: int = 1
    decoder_elementwise: bool = False
    rounding: str = "floor"
    last_conv: bool = True
    shortcuts: bool = False
    stem: bool = False
    aspp: bool = True
    projection: bool = True
    inputs: str = "chain"
    low_level_full: bool = False
    imagenet_classifier: bool = True

    def __post_init__(self) -> None:
        for name, known in (("rounding", ("floor", "round", "ceil")), ("inputs", ("chain", "all", "none"))):
            if getattr(self, name) not in known:
                raise ValueError(f"Rule.{name} {getattr(self, name)!r}: expected one of {', '.join(known)}")


PAPER = Rule()
"""Gives Table 2 with the stride-32 encoder: 2 x (MAC + 2 per normalised + 1 per rectified and pooled element)."""
CONV = Rule(norm=0, act=0, pool=0, imagenet_classifier=False, inputs="all")
"""Convolutions alone, 2 per multiply-accumulate; pruned inputs gone wherever they can be: what removal really
leaves."""


@dataclass(frozen=True)
class FlopCount:
    """Floating-point operations and parameters of encoder and decoder."""

    encoder: int
    decoder: int
    encoder_parameters: int
    decoder_parameters: int

    @property
    def total(self) -> int:
        """Operations of both parts."""
        return self.encoder + self.decoder

    @property
    def parameters(self) -> int:
        """Parameters of both parts."""
        return self.encoder_parameters + self.decoder_parameters


def count(
    model: str,
    *,
    lrg_size: int | None = None,
    encoder_prune_rate: float = 0.0,
    decoder_prune_rate: float | None = None,
    rule: Rule = PAPER,
    **settings: Any,
) -> FlopCount:
    """Return the cost of a network for one image (Table 2, section A.1), from its real layers on the meta device.

    `lrg_size` None is the prediction grid (129 at 513). `decoder_prune_rate` None means 0.2 where the encoder is
    pruned and 0 where it is not, as in Table 2. `settings` are those of `models.build`, if not said the paper's: its
    backbone "resnet101" and 21 `num_classes`. Nothing is allocated or run.
    Raises ValueError for settings that `models.build` or `removed` refuse.

    >>> c = count("deeplabv3plus", output_stride=32)
    >>> round(c.encoder / 1e9, 2), round(c.decoder / 1e9, 2), round(c.encoder_parameters / 1e6, 1)
    (95.56, 43.53, 60.1)
    """
    if decoder_prune_rate is None:
        decoder_prune_rate = 0.2 if encoder_prune_rate > 0 else 0.0
    network, rates = network_of(model, **settings), (encoder_prune_rate, decoder_prune_rate)
    (encoder, read), (decoder, written) = (part_cost(p, network, lrg_size, rates, rule) for p in ("encoder", "decoder"))
    if rule.imagenet_classifier:
        read += network_layers(network, None)[3]
    return FlopCount(encoder, decoder, read, written)


def part_cost(
    part: str, network: Settings, lrg_size: int | None, rates: tuple[float, float], rule: Rule
) -> tuple[int, int]:
    """Return operations and parameters of one part of what `network_of` names; `rates` are encoder's and decoder's."""
    which = replace(rule, norm=1, act=1, pool=1, decoder_elementwise=True, imagenet_classifier=False)
    if part == "encoder":
        lrg_size, which = None, replace(which, low_level_full=False)
    sums, parameters = _sums(part, network, lrg_size, rates, which)
    return weighted(sums, part, rule), parameters


@lru_cache(maxsize=8192)
def _sums(
    part: str, network: Settings, lrg_size: int | None, rates: tuple[float, float], rule: Rule
) -> tuple[dict[str, int], int]:
    """Return `measure` of a network: what depends on which channels a rule takes, not on how it weighs the rest."""
    layers, links, exempt, _ = network_layers(network, lrg_size)
    if rule.low_level_full and lrg_size is not None:
        full = network_layers(network, None)[0]
        layers = tuple(
            f if "decoder.reduce" in c.name or "decoder.from_" in c.name else c
            for c, f in zip(layers, full, strict=True)
        )
    return measure(part, layers, links, exempt, dict(zip(("encoder", "decoder"), rates, strict=True)), rule)


def weighted(sums: dict[str, int], part: str, rule: Rule) -> int:
    """Return the operations of a part that a rule makes of `measure`'s sums."""
    weights = {"conv": 1, "norm": rule.norm, "act": rule.act, "pool": rule.pool}
    counted = weights if part == "encoder" or rule.decoder_elementwise else ("conv",)
    return sum(2 * weights[kind] * sums.get(kind, 0) for kind in counted)


def measure(
    part: str, layers: tuple[Layer, ...], links: tuple[Link, ...], exempt: frozenset[str], rates: dict[str, float],
    rule: Rule,
) -> tuple[dict[str, int], int]:  # fmt: skip
    """Return of a part's traced layers with a rule's pruned channels left out: multiply-accumulates of convolutions and
    elements of the other layers by kind, and parameters. `layers` are those of all parts, which prune one another."""
    convs = {c.name: c for c in layers if c.kind == "conv"}
    gone = {
        name: removed(c.outputs, rates[c.part], rule.rounding) if _prunable(c, exempt, rule) else 0
        for name, c in convs.items()
    }
    lost = _lost_inputs(convs, links, gone, rule)
    follows = {link.conv: link.post for link in links}
    sums: dict[str, int] = {}
    parameters: dict[str, int] = {}
    for layer in (x for x in layers if x.part == part):
        if layer.kind == "conv":
            inputs, outputs = layer.inputs - lost.get(layer.name, 0), layer.outputs - gone[layer.name]
            done = layer.macs(inputs, outputs)
            read = inputs if layer.groups == 1 else layer.inputs // layer.groups
            size = layer.taps * read * outputs + outputs * layer.bias
        else:
            kept = layer.outputs - (gone[layer.after] if layer.name in follows.get(layer.after, ()) else 0)
            done = kept * layer.points
            size = 2 * kept if layer.kind == "norm" else 0
        sums[layer.kind] = sums.get(layer.kind, 0) + done
        parameters[layer.name] = size  # a layer that runs twice has them once
    return sums, sum(parameters.values())


def _prunable(conv: Layer, exempt: frozenset[str], rule: Rule) -> bool:
    name = conv.name
    if ".downsample." in name:
        return rule.shortcuts
    if ".stem." in name:
        return rule.stem
    if name in exempt:
        return False
    if name.startswith("aspp."):
        return rule.projection if "project" in name else rule.aspp
    return rule.last_conv or not (name.startswith("backbone.layer") and name.endswith("conv3"))


def _lost_inputs(convs: dict[str, Layer], links: tuple[Link, ...], gone: dict[str, int], rule: Rule) -> dict[str, int]:
    lost: dict[str, int] = {}
    for link in links:
        for follower in link.followers:
            sole = convs[follower.name].inputs == convs[link.conv].outputs
            if rule.inputs == "all" or (rule.inputs == "chain" and sole):
                lost[follower.name] = lost.get(follower.name, 0) + gone[link.conv]
    return lost


def network_of(model: str, **settings: Any) -> Settings:
    """Return a network's settings in full, as one key: with the paper's backbone and classes where none are said."""
    return tuple(sorted({"model": model, "backbone": "resnet101", "num_classes": 21, **settings}.items()))


@lru_cache(maxsize=256)
def network_layers(
    network: Settings, lrg_size: int | None
) -> tuple[tuple[Layer, ...], tuple[Link, ...], frozenset[str], int]:
    """Return a network's layers (traced on the meta device), links, exempt convolutions and its ImageNet classifier's
    size."""
    net, features, encoder = _encoded(network)
    with net.truncated(lrg_size):
        _, decoder = trace(net, lambda: net.decode(features), part_of=net.part_of)
    classifier = getattr(net.backbone, "classifier_parameters", 0)
    return encoder + decoder, tuple(net.links()), frozenset(net.exempt()), classifier


@lru_cache(maxsize=16)
def _encoded(network: Settings) -> tuple[nn.Module, dict[str, torch.Tensor], tuple[Layer, ...]]:
    with torch.device("meta"):
        net = build(**dict(network)).eval()
        images = torch.empty(1, 3, net.input_size, net.input_size)
    features, layers = trace(net, lambda: net.encode(images), part_of=net.part_of)
    return net, features, layers
