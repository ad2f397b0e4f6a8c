"""A tiny network measured on the spot, in seconds: spectral gradient rows, and the classifier's scale, which no drop
sees."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from specseg.evidence import statistics as scores
from specseg.measure import gradients as ng
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import protocol, weights
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network
from specseg.spectral import spectrum as sp

Batches = Sequence[tuple[Tensor, Tensor, Sequence[str]]]


def gradients(network: Network, count: int) -> pd.DataFrame:
    """Return `measure.gradients.study` of a committed network on `count` test pictures: in float32, as records are."""
    rows = ng.measure(weights.load(network, sources=("committed",)).float(), ng.cases(network, count))
    return rows.assign(**{name: getattr(network, name) for name in ng.IDENTITY})


@torch.no_grad()
def scale_classifier(net: SegmentationNet, tau: float) -> None:
    """Multiply weights and bias of the network's last convolutions by tau, in place: logits tau Y at every LRG size.

    Raises ValueError for a network without a layer named classifier.
    """
    layers = [m for name, m in net.named_modules() if name.split(".")[-1] == "classifier" and isinstance(m, nn.Conv2d)]
    if len(layers) != 1:
        raise ValueError(f"{type(net).__name__}: {len(layers)} convolutions named classifier, expected one")
    for p in layers[0].parameters():
        p.mul_(tau)


def scaled(net: SegmentationNet, batches: Batches, scored: Sequence[int], *, taus: Sequence[float]) -> pd.DataFrame:
    """Return tau, lrg_size, drop, rce, miou of a network whose classifier's weights are scaled by tau.

    Every argmax, so every mIoU and drop, stays; R_ce = |tail| / loss does not: the tail is proportional to tau, the
    loss is not. The network is left as it was.
    """
    sizes, rows, before = protocol.lrg_sizes(net.prediction_grid), [], 1.0
    chosen = [study.Condition(study.FULL, sizes[0]), *(study.Condition("bilinear", s) for s in sizes[1:])]
    try:
        for tau in taus:
            scale_classifier(net, tau / before)
            before = tau
            counts = study.truncation_counts(net, batches, chosen, scored=scored, boundary=()).counts
            miou = [float(scores.miou(scores.pooled(c), scored)) for c in counts]
            rates = loss_study.rates(loss_study.loss_parts(net, batches, [sp.nu_max(s) for s in sizes]), "periodic")
            rows += [{"tau": tau, "lrg_size": s, "drop": 1 - m / miou[0], "rce": float(r), "miou": m}
                     for s, m, r in zip(sizes, miou, rates, strict=True)]  # fmt: skip
    finally:
        scale_classifier(net, 1 / before)
    return pd.DataFrame(rows)
