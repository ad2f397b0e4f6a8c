"""One network measured on the spot as its records would hold it, and the classifier's scale, which no drop sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from specseg.data import label_tables
from specseg.data.label_numbers import measure, stacked
from specseg.evidence import statistics as scores
from specseg.measure import loss as loss_study
from specseg.measure import truncation as study
from specseg.nets import protocol
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network
from specseg.spectral import spectrum as sp
from specseg.study import spot
from specseg.study.predictor_cells import Found
from specseg.study.spot import Batches
from specseg.study.trained import Measured


def measured(network: Network, net: SegmentationNet, batches: Batches) -> Found:
    """Return truncation, loss and labels of one network on some test pictures, without writing a record.

    R_ce variants that need more than these pictures (padded frame, calibration on training pictures) are NaN or as
    uncalibrated.
    """
    data, sizes = network.data("test"), protocol.lrg_sizes(net.prediction_grid)
    chosen = [study.Condition(study.FULL, net.prediction_grid), *(study.Condition("bilinear", s) for s in sizes[1:])]
    scored = network.home.scored_indices(data.classes)
    cut = spot.truncation(network, net, batches, chosen, scored=scored, boundary=())
    loss = spot.loss_in_frequency(network, net, batches, [sp.nu_max(s) for s in sizes])
    plan = label_tables.rules_plan(network.size, sizes)
    maps = [measure(label.numpy(), data.num_classes, plan) for _, truth, _ in batches for label in truth]
    labels = label_tables.rules(stacked(maps), plan)
    labels |= {k: cut.arrays[k] for k in ("names", "clusters", "scored")}
    test = Network(network.domain, fold=network.fold, dose=network.dose, size=network.size)
    return Found([cut], [loss], [Measured(test, pd.DataFrame(), labels)], [], [])


def pipeline(doses: Sequence[float] = (0.5, 1.0, 2.27), batches: int = 1) -> tuple[SegmentationNet, Found]:
    """Measure the smoke profile's committed land-cover network, in float64, on scenes of other contour densities.

    Each dose counts as a domain: all statistics of the chapter run, and say nothing about networks or domains.
    """
    (base,) = protocol.networks("smoke", group="landcover")
    net = spot.committed(base)
    tested = [replace(base, dose=dose) for dose in doses]
    parts = [measured(n, net, spot.test_batches(n, batches)) for n in tested]
    return net, together(parts)


def pictures(found: Found) -> tuple[list, list[int]]:
    """Return one batch of test pictures of the first measurement, and its scored classes."""
    first = found.truncation[0]
    return spot.test_batches(first.network, 1), [int(c) for c in first.arrays["scored"]]


def together(parts: Sequence[Found]) -> Found:
    """Return several networks' measurements as one."""
    return Found(*([m for p in parts for m in getattr(p, name)] for name in Found._fields))


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
