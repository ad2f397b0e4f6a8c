"""Spectral gradients of trained networks: Figs 2 and 3, and what removing features does to each band of the loss.

The features x are the ASPP's (section 3.1), on a grid of M = (s - 1)/16 + 1; a frequency nu_i of the loss of the full
frame and a frequency nu_j of the features both count cycles per frame. The grids share their corners, so a frame of
the feature grid is M/(M - 1) (s - 1)/s times as wide as the picture's: at M = 17 a wave of 8 cycles of the loss has 8.5
of the features', halfway between their bins 8 and -8. This is why a row is judged within one bin. M/4 and M/2 are
rounded down and taken on both axes, nu_i = (nu, nu), as in the images of Fig. 2; beside it on one axis, (0, nu).
Tables are tidy. Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.2 and 3.1, Figs 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specseg.data import loading, transforms
from specseg.data.datasets import VOID
from specseg.measure import features as network_features
from specseg.measure.features import COLUMNS, rounded
from specseg.measure.loss import batched
from specseg.nets import protocol, weights
from specseg.nets.models import SegmentationNet
from specseg.nets.models.truncation import resize
from specseg.nets.networks import Network
from specseg.spectral import gradient as sg
from specseg.spectral.cross_entropy import frequency_components
from specseg.spectral.spectrum import band_limit, box_index, box_profile, signed_frequencies

IDENTITY = ("model", "domain", "fold", "seed")
WITHIN = (0, 1, 2)
REACH = (0, 1, 2, 4, 8, 16, 32)
CHANNELS = 8
CROP = 4
Features = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A test picture in the evaluation's frame: image (1, 3, s, s) in [0, 1], label (s, s) with 255 = void, name."""

    image: Tensor
    label: Tensor
    name: str


def wanted(profile: str) -> list[Network]:
    """Return the networks that are measured, in the protocol's order: its baselines on pictures of its own kind.

    At `smoke` the tiny networks, else those with a pretrained backbone.
    """
    tiny = profile == "smoke"
    found = [n for n in protocol.networks(profile) if n.is_baseline]
    return [n for n in found if (n.backbone == "tiny") == tiny]


def labelled(items: Iterable[loading.Item], device: torch.device | str = "cpu") -> Iterator[Case]:
    """Yield those of the pictures that have a label."""
    for images, labels, names in batched(items, 1, device):
        if bool((labels != VOID).any()):
            yield Case(images, labels[0], names[0])


def cases(network: Network, count: int) -> list[Case]:
    """Return the first `count` pictures with a label, in one fixed drawn order of the network's test split.

    The draw depends on the split's length alone, so all networks of a fold see the same pictures. Fewer where the split
    is smaller. Raises as the data set does.
    """
    items = loading.TorchDataset(network.data("test"), transforms.evaluation(network.size))
    return list(islice(labelled(items[int(i)] for i in loading.order(len(items), 0, 0)), count))


def tail(net: SegmentationNet, features: Features, name: str = "aspp", shape: Sequence[int] = ()) -> sg.Map:
    """Return the map from one decoder input to the logits of the full frame, the other inputs held fixed."""
    return lambda x: net.read(net.decode({**features, name: x}), shape or (net.input_size, net.input_size))


def frequencies(grid: int) -> tuple[tuple[int, int], ...]:
    """Return nu_i = 0, M/4, M/2 on both axes, then M/4, M/2 on one.

    >>> frequencies(17)
    ((0, 0), (4, 4), (8, 8), (0, 4), (0, 8))
    """
    both = [(nu, nu) for nu in (0, grid // 4, grid // 2)]
    return (*both, *((0, nu) for _, nu in both[1:]))


def shares(power: Tensor, nu: tuple[int, int], within: Sequence[int]) -> list[float]:
    """Return the share of a row's power (..., H, W) with nu_j at most w bins from nu, for each w: `sg.row_energy`.

    >>> shares(torch.tensor([[9.0, 0.0, 16.0]]), (0, 0), (0, 1))
    [0.36, 1.0]
    """
    power = power.double().reshape(-1, *power.shape[-2:]).sum(0)
    away = sg.distance(tuple(power.shape), nu)
    return [float(power[away <= w].sum() / power.sum()) for w in within]


def _images(power: Tensor, nu: tuple[int, int], where: dict, crop: int | None = None) -> list[dict]:
    """Return a row's power over signed nu_j as lines: all of a small grid, else the square of +-crop bins around nu."""
    crop = max(power.shape) if crop is None or max(power.shape) <= 2 * CROP + 1 else crop
    u, v = (signed_frequencies(n).tolist() for n in power.shape)
    return [
        {**where, "metric": "row_power", "nu_j_u": a, "nu_j_v": b, "value": float(power[i, j])}
        for i, a in enumerate(u)
        for j, b in enumerate(v)
        if max(abs(a - nu[0]), abs(b - nu[1])) <= crop
    ]


def loss_rows(net: SegmentationNet, pictures: Sequence[Case], name: str = "aspp", crop: int | None = None):
    """Return Fig. 2: rows dL_ce(nu_i)/dx(nu_j) at one decoder input, all channels of it together.

    Metrics, by picture: `row_energy` (share with nu_j at most `within` bins from nu_i), `largest_distance` (bins from
    nu_i to the largest entry; 0: it lies at nu_i). Over the pictures: `row_power`, each picture's |row|^2 as a share of
    its sum, averaged, for nu_i on both axes. Two backward passes a row and picture.
    """
    lines: list[dict] = []
    total: dict[tuple[int, int], Tensor] = {}
    for case in pictures:
        with torch.no_grad():
            features = net.encode(case.image)
        nus = frequencies(features[name].shape[-1])
        for nu in nus:
            row = sg.loss_row(tail(net, features, name, case.label.shape), features[name], case.label, nu)
            power = row.abs().double().pow(2).sum(0).cpu()
            where = {"part": "loss", "layer": name, "image": case.name, "nu_i_u": nu[0], "nu_i_v": nu[1]}
            lines += [
                {**where, "metric": "row_energy", "within": w, "value": value}
                for w, value in zip(WITHIN, shares(power, nu, WITHIN), strict=True)
            ]
            away = int(sg.distance(tuple(power.shape), nu).flatten()[power.argmax()])
            lines.append({**where, "metric": "largest_distance", "value": away, "unit": "bins"})
            total[nu] = total.get(nu, 0) + power / power.sum()
    for nu in nus[:3]:
        where = {"part": "loss", "layer": name, "nu_i_u": nu[0], "nu_i_v": nu[1], "n": len(pictures)}
        lines += _images(total[nu] / len(pictures), nu, where, crop)
    return rounded(lines)


def relu_power(z: Tensor) -> Tensor:
    """Return the power |dy(nu_i)/dz(nu_i - nu)|^2 of a ReLU's row over nu, summed over channels (C, H, W) -> (H, W).

    dy(nu_i)/dz(nu_j) = g(nu_i - nu_j), g the spectrum of the slope 1[Z > 0], in each channel: one FFT gives every row.

    >>> relu_power(torch.tensor([[[1.0, -1.0]]]))
    tensor([[0.2500, 0.2500]])
    """
    return torch.fft.fft2((z > 0).to(z.dtype), norm="forward").abs().pow(2).sum(0)


def convolution_power(conv: nn.Conv2d, grid: int, nu: tuple[int, int], channels: int = CHANNELS) -> Tensor:
    """Return |dz(nu_i, d)/dx(nu_j, c)|^2 summed over inputs c, for some outputs d evenly spread: (channels, M, M).

    A convolution is linear, so its rows do not depend on the picture; its zero padding counts as it is.
    """
    chosen = torch.linspace(0, conv.out_channels - 1, min(channels, conv.out_channels)).round().long()
    x = torch.zeros(1, conv.in_channels, grid, grid)
    rows = [
        sg.layer_row(
            lambda v, d=d: F.conv2d(v, conv.weight[d : d + 1], None, conv.stride, conv.padding, conv.dilation), x, nu
        )
        for d in chosen.tolist()
    ]
    return torch.stack([row.abs().pow(2).sum(0) for row in rows])


def upsampling_power(small: int, large: int, nu: tuple[int, int]) -> Tensor:
    """Return |dy(nu_i)/dx(nu_j)|^2 of bilinear up-sampling, corners on corners: (1, small, small)."""
    return sg.layer_row(lambda x: resize(x, large), torch.zeros(1, 1, small, small), nu).abs().pow(2)


def layer_rows(net: SegmentationNet, pictures: Sequence[Case]) -> pd.DataFrame:
    """Return Fig. 3 on the trained decoder's own layers: convolutions, ReLUs, bilinear up-samplings.

    Metrics: `row_energy` (share within `within` bins of nu_i; the mean over output channels of a convolution, over
    pictures of a ReLU with its channels together; n says how many, spread their standard deviation), `largest_at_nu_i`
    (share of these rows whose largest entry lies there), `active` (share of Z > 0). nu_i = 0, M/4, M/2 on both axes, M
    the grid of the layer's input; a ReLU's row has the same shape at every nu_i and stands at M/4.
    `row_power` near nu_i = (M/4, M/4) for one layer of each kind: the picture of Fig. 3.
    """
    seen = [network_features.decoder_layers(net, case.image) for case in pictures]
    lines: list[dict] = []
    drawn: set[str] = set()
    for layer in seen[0]:
        nus = frequencies(layer.grid)[:3]
        for nu in nus[1:2] if layer.kind == "ReLU" else nus:
            if layer.kind == "convolution":
                powers = convolution_power(layer.module, layer.grid, nu)
            elif layer.kind == "up-sampling":
                powers = upsampling_power(layer.grid, layer.output_grid, nu)
            else:
                every = [next(one for one in found if one.name == layer.name) for found in seen]
                powers = torch.stack([torch.roll(relu_power(x.features), nu, dims=(0, 1)) for x in every])
                where = {"part": layer.kind, "layer": layer.name, "metric": "active"}
                lines += [{**where, "value": float((x.features > 0).double().mean())} for x in every]
            lines += _layer_lines(layer, powers, nu)
            if nu == nus[1] and _is_drawn(layer, drawn):
                drawn.add(layer.kind)
                mean = (powers / powers.sum(dim=(-2, -1), keepdim=True)).mean(0)
                where = {"part": layer.kind, "layer": layer.name, "nu_i_u": nu[0], "nu_i_v": nu[1], "n": len(powers)}
                lines += _images(mean, nu, where, crop=CROP)
    return rounded(lines)


def _is_drawn(layer: network_features.Layer, drawn: set[str]) -> bool:
    """Say whether a layer is the one of its kind to be drawn: the first wide kernel, the ReLU behind it."""
    if layer.kind == "convolution" and layer.module.kernel_size[0] == 1:
        return False
    return layer.kind not in drawn and (layer.kind != "ReLU" or "convolution" in drawn)


def _layer_lines(layer: network_features.Layer, powers: Tensor, nu: tuple[int, int]) -> list[dict]:
    where = {"part": layer.kind, "layer": layer.name, "nu_i_u": nu[0], "nu_i_v": nu[1]}
    reach, lines = [w for w in REACH if w <= layer.grid // 2], []
    at = nu[0] * powers.shape[-1] + nu[1]
    for power in powers[powers.sum(dim=(-2, -1)) > 0]:  # a filter that is zero has no row
        found = zip(reach, shares(power, nu, reach), strict=True)
        lines += [{**where, "metric": "row_energy", "within": w, "value": v} for w, v in found]
        lines.append({**where, "metric": "largest_at_nu_i", "value": float(int(power.argmax()) == at)})
    return lines


def removals(net: SegmentationNet) -> tuple[tuple[str, int], ...]:
    """Return (which decoder inputs, nu_max): all of them at half and a quarter of the prediction grid's limit, the
    ASPP's alone, and all again, at half and a quarter of the ASPP grid's limit.

    At 257 pixels: 16 and 8 of 32 cycles per frame; 4 and 2 of 8.
    """
    fine, coarse = net.prediction_grid // 2, net.feature_grid // 2
    return (
        *(("all", nu) for nu in (fine // 2, fine // 4)),
        *(("aspp", nu) for nu in (coarse // 2, coarse // 4)),
        *(("all", nu) for nu in (coarse // 2, coarse // 4)),
    )


def low_passed(features: Features, which: str, nu_max: int) -> Features:
    """Return the decoder inputs without their frequencies above nu_max: "all" of them, or the "aspp"'s alone."""
    wanted = {k for k, x in features.items() if which in ("all", k) and x.shape[-1] // 2 > nu_max}
    return {k: band_limit(x, nu_max) if k in wanted else x for k, x in features.items()}


@torch.no_grad()
def removal_rows(net: SegmentationNet, pictures: Sequence[Case]) -> pd.DataFrame:
    """Return what removing features above nu_max does to the loss (observation 4), part = which inputs lose them.

    Metrics in nats per pixel of the frame: `loss` (L_CE before; nu_max empty), and by picture, after minus before,
    `loss_change`, `low_change` (the sum of L_ce(nu) over |u|, |v| <= nu_max / 2). Over pictures: `band_change`, the
    same in the rims 0, to nu_max / 2, to nu_max, to 2 nu_max, beyond (`within` holds the outer limit), and `low_moved`:
    sum |after - before| / sum |before| over |nu| <= nu_max / 2, which weighs each frequency against itself.
    """
    lines: list[dict] = []
    limit = net.input_size // 2
    for case in pictures:
        features = net.encode(case.image)
        before = _components(net, features, case)
        whole = {"part": "removal", "image": case.name, "metric": "loss", "unit": "nat"}
        lines.append({**whole, "value": float(box_profile(before.real).sum())})
        for which, nu_max in removals(net):
            after = _components(net, low_passed(features, which, nu_max), case)
            change = box_profile((after - before).real).cumsum(0)
            where = {"part": "removal", "layer": which, "nu_max": nu_max, "unit": "nat"}
            own = {**where, "image": case.name}
            lines.append({**own, "metric": "loss_change", "value": float(change[-1])})
            lines.append({**own, "metric": "low_change", "value": float(change[nu_max // 2])})
            outer = band_limits(nu_max, limit)
            parts = zip(outer, np.diff(change[outer].numpy(), prepend=0.0), strict=True)
            lines += [{**where, "metric": "band_change", "within": w, "value": v} for w, v in parts]
            low = box_index(tuple(before.shape)) <= nu_max // 2
            moved = float((after - before)[low].abs().sum() / before[low].abs().sum())
            lines.append({**where, "metric": "low_moved", "value": moved, "unit": "1"})
    return rounded(lines)


def band_limits(nu_max: int, limit: int) -> list[int]:
    """Return the outer limits of the bands whose change is told, each once.

    >>> band_limits(16, 128), band_limits(1, 64)
    ([0, 8, 16, 32, 128], [0, 1, 2, 64])
    """
    return sorted({0, nu_max // 2, nu_max, min(2 * nu_max, limit), limit})


def _components(net: SegmentationNet, features: Features, case: Case) -> Tensor:
    return frequency_components(tail(net, features)(features["aspp"]), case.label[None])[0]


def measure(net: SegmentationNet, pictures: Sequence[Case]) -> pd.DataFrame:
    """Return everything that is measured on a network in evaluation mode, as tidy rows with the columns `COLUMNS`.

    Raises ValueError without pictures, and for a network in training mode.
    """
    if not pictures:
        raise ValueError("pictures: at least one test picture with a label is needed")
    if net.training:
        raise ValueError("net: expected evaluation mode; in training a picture's features depend on its batch")
    images = [(case.name, case.image) for case in pictures]
    parts = [
        loss_rows(net, pictures), layer_rows(net, pictures), network_features.magnitude_rows(net, images),
        network_features.smoothness_rows(net, images), removal_rows(net, pictures),
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def study(network: Network, count: int, root: Path | None = None) -> pd.DataFrame:
    """Return `measure` of a trained network on `count` test pictures, with columns model, domain, fold, seed in front.

    Raises FileNotFoundError when it has not been trained (`networks.ensure`).
    """
    rows = measure(weights.load(network, sources=("run",), runs=root), cases(network, count))
    for k, name in enumerate(IDENTITY):
        rows.insert(k, name, getattr(network, name))
    return rows
