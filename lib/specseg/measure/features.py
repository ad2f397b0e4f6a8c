"""Features of trained networks, layer by layer: how large they are (footnote 2), how smooth (section 1).

A decoder layer is a convolution, the normalisation behind it and a ReLU (the last one is a convolution alone): X its
input, K its kernel, Z its pre-activation, after the normalisation. Features are what a layer hands on, Y.
Tables are tidy: one measurement a line, in the columns `COLUMNS`.
Source: Chen, Chiu and Wu, arXiv 2012.14123, section 1 and footnote 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from specseg.nets.models import SegmentationNet
from specseg.spectral.spectrum import rim_products

COLUMNS = ("part", "layer", "image", "nu_i_u", "nu_i_v", "nu_j_u", "nu_j_v", "within", "nu_max", "quantile", "metric",
           "value", "unit", "n", "spread")  # fmt: skip
QUANTILES = (0.5, 0.9, 0.99, 1.0)
DIGITS = 5


def rounded(lines: Iterable[dict]) -> pd.DataFrame:
    """Return lines as rows of `COLUMNS` with five digits; lines that differ in their value alone become their mean.

    `n` counts them, where a line does not say how many it stands for, and `spread` is their standard deviation.

    >>> rows = rounded([{"metric": "x", "value": 1 / 3}, {"metric": "x", "value": 1.0}])
    >>> rows[["value", "n", "spread"]].values.tolist()
    [[0.66667, 2, 0.4714]]
    """
    rows = pd.DataFrame(list(lines)).reindex(columns=list(COLUMNS)).fillna({"unit": "1"})
    keys = [name for name in COLUMNS if name not in ("value", "n", "spread")]
    alike = rows.groupby(keys, dropna=False, sort=False)
    rows = alike.agg(value=("value", "mean"), size=("value", "size"), spread=("value", "std"), n=("n", "first"))
    rows = rows.reset_index().assign(n=lambda r: r["n"].fillna(r["size"]))[list(COLUMNS)]
    for name in ("value", "spread"):
        rows[name] = [float(f"{x:.{DIGITS}g}") for x in rows[name].astype(float)]
    for name in ("nu_i_u", "nu_i_v", "nu_j_u", "nu_j_v", "within", "nu_max", "n"):
        rows[name] = rows[name].astype("Int64")
    return rows


@dataclass(frozen=True)
class Layer:
    """A decoder's operation as it ran: kind, module (none for an up-sampling), the sides of its input and output grid.

    `features` is its input for a ReLU (Z), (C, M, M), else none.
    """

    name: str
    kind: str
    module: nn.Module | None
    grid: int
    output_grid: int
    features: Tensor | None = None


@contextmanager
def watched(modules: dict[str, nn.Module], see: Callable[[str, Tensor, Tensor], None], *, before: bool = False
            ) -> Iterator[None]:  # fmt: skip
    """Call see(name, input, output) whenever one of these modules runs; `before` it runs: see(name, input, input).

    What is seen must be used at once or copied: a ReLU may overwrite its input.
    """
    with ExitStack() as hooks:
        for name, module in modules.items():
            if before:
                hook = module.register_forward_pre_hook(lambda m, x, name=name: see(name, x[0], x[0]))
            else:
                hook = module.register_forward_hook(lambda m, x, y, name=name: see(name, x[0], y))
            hooks.enter_context(hook)
        yield


@torch.no_grad()
def decoder_layers(net: SegmentationNet, image: Tensor) -> list[Layer]:
    """Return the decoder's convolutions and ReLUs for one image (1, 3, s, s), in the order in which they run, and the
    bilinear up-samplings of the ASPP features and of the logits."""
    found: list[Layer] = []
    named = {k: m for k, m in net.decoder.named_modules() if isinstance(m, nn.Conv2d | nn.ReLU)}

    def see(name: str, x: Tensor, _: Tensor) -> None:
        relu = isinstance(named[name], nn.ReLU)
        z = x[0].clone() if relu else None
        found.append(Layer(name, "ReLU" if relu else "convolution", named[name], x.shape[-1], x.shape[-1], z))

    features = net.encode(image)
    with watched(named, see, before=True):
        net.decode(features)
    middle, size = net.lrg_size or net.prediction_grid, net.input_size
    for name, small, large in (("features up", net.feature_grid, middle), ("logits up", middle, size)):
        if large > small:
            found.append(Layer(name, "up-sampling", None, small, large))
    return found


def blocks(net: SegmentationNet) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None, nn.Module]]:
    """Return the decoder's layers: name, convolution, its normalisation and the module that gives the layer's output.

    Every convolution of the decoder is in one: within a sequence with its normalisation, or alone (the classifier).
    """
    found = []
    for name, module in net.decoder.named_children():
        parts = list(module.modules())
        conv = [m for m in parts if isinstance(m, nn.Conv2d)]
        norm = [m for m in parts if isinstance(m, nn.BatchNorm2d)]
        if len(conv) != 1 or len(norm) > 1:
            raise ValueError(f"decoder.{name}: expected one convolution and at most one normalisation, got {module}")
        found.append((name, conv[0], norm[0] if norm else None, module))
    return found


def _quantiles(x: Tensor) -> list[tuple[float, float]]:
    return list(zip(QUANTILES, np.quantile(np.abs(x.detach().numpy()), QUANTILES).tolist(), strict=True))


@torch.no_grad()
def magnitude_rows(net: SegmentationNet, images: Sequence[tuple[str, Tensor]]) -> pd.DataFrame:
    """Return how large |X|, |K| and |Z| are in each decoder layer (footnote 2), averages over images with their spread.

    Metrics: `X`, `K`, `Z` (quantiles of magnitudes), `X_below_1` (share of |X| < 1), `rms_Z`, and `meets`:
    1 where both bounds of the claim hold on the average, |X| < 1 for 99 % and rms Z <= 0.3.
    """
    layers = blocks(net)
    modules = {f"{name} X": conv for name, conv, _, _ in layers}
    modules |= {f"{name} Z": norm or conv for name, conv, norm, _ in layers}
    lines = [
        {"part": "decoder", "layer": name, "metric": "K", "n": conv.weight.numel(), "quantile": q, "value": v}
        for name, conv, _, _ in layers
        for q, v in _quantiles(conv.weight)
    ]

    def see(key: str, x: Tensor, y: Tensor) -> None:
        name, what = key.split()
        where = {"part": "decoder", "layer": name}
        found = _quantiles(x if what == "X" else y)
        lines.extend({**where, "metric": what, "quantile": q, "value": v} for q, v in found)
        if what == "X":
            lines.append({**where, "metric": "X_below_1", "value": float((x.abs() < 1).double().mean())})
        else:
            lines.append({**where, "metric": "rms_Z", "value": float(y.double().pow(2).mean().sqrt())})

    for _, image in images:
        features = net.encode(image)
        with watched(modules, see):
            net.decode(features)
    rows = rounded(lines)
    means = rows[rows["quantile"].isna()].pivot(index="layer", columns="metric", values="value")
    meets = [{"part": "decoder", "layer": layer, "metric": "meets", "value": small(share, rms), "n": len(images)}
             for layer, share, rms in means[["X_below_1", "rms_Z"]].itertuples()]  # fmt: skip
    return pd.concat([rows, rounded(meets)], ignore_index=True)


def small(share: float, rms: float) -> float:
    """Return 1 where |X| < 1 for 99 % of the features and rms Z <= 0.3 (claim fn2-small-features), else 0.

    >>> small(0.99, 0.3), small(0.98, 0.1)
    (1.0, 0.0)
    """
    return float(share >= 0.99 and rms <= 0.3)


def high_share(x: Tensor, nu_max: int) -> float:
    """Return the share of the power of features (1, C, M, M) above nu_max, means left out, channels together.

    Raises ValueError for features that are constant in every channel.

    >>> wave = torch.cos(2 * torch.pi * torch.arange(9) * 3 / 9).expand(1, 1, 9, 9)
    >>> round(high_share(wave, 2), 4), round(high_share(wave, 3), 4)
    (1.0, 0.0)
    """
    x = x.detach().double()[0]
    if bool((x == x[..., :1, :1]).all()):
        raise ValueError("features: constant in every channel, so no power has a share")
    rims = rim_products(x, x).sum(0)
    return float(rims[nu_max + 1 :].sum() / rims[1:].sum())


@torch.no_grad()
def smoothness_rows(net: SegmentationNet, images: Sequence[tuple[str, Tensor]]) -> pd.DataFrame:
    """Return how much power lies high in the features of each layer, part = encoder or decoder (section 1).

    Metrics: `high_share`, the share above half of the own grid's band limit, by image (`nu_max` holds that limit);
    over images `share_above`, the share above half of the coarsest grid's limit, one frequency in cycles per frame for
    all layers. Encoder: each stage's output and the ASPP. Decoder: each layer's output, the last one's the logits.
    """
    modules = {f"encoder/{k}": m for k, m in {**net.backbone.stages(), "aspp": net.aspp}.items()}
    modules |= {f"decoder/{name}": module for name, _, _, module in blocks(net)}
    common = net.feature_grid // 4
    lines: list[dict] = []
    for name, image in images:

        def see(key: str, _: Tensor, y: Tensor, name: str = name) -> None:
            part, layer = key.split("/")
            where, half = {"part": part, "layer": layer}, y.shape[-1] // 4
            own = {"image": name, "nu_max": half, "metric": "high_share", "value": high_share(y, half)}
            at_one = {"nu_max": common, "metric": "share_above", "value": high_share(y, common)}
            lines.extend([{**where, **own}, {**where, **at_one}])

        with watched(modules, see):
            net.decode(net.encode(image))
    return rounded(lines)
