"""A trained network's cross-entropy in frequency on a test set: rims of L_ce, spectra, R_ce in every reading (Fig. 1).

`class_rims` splits Re L_ce(nu) by the class of the label and by the rim of the growing boxes; their cumulated sums are
the truncated CE of Eq. 9 at every band limit at once. Forward 1/N, nu in cycles per frame, means over all pixels.
Source: Chen, Chiu and Wu, arXiv 2012.14123, sections 2.1 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import fft
from torch import Tensor

from specseg.data.label_spectra import rim_power
from specseg.nets.models import SegmentationNet
from specseg.spectral import spectrum as sp
from specseg.spectral.labels import fill_void

VARIANTS = (
    "periodic", "mirrored", "periodic, calibrated", "mirrored, calibrated", "periodic, void filled",
    "periodic, padded frame",
)  # fmt: skip


class LossParts(NamedTuple):
    """Per-picture parts of R_ce: `total` (variants, pictures) L_CE, `tail` (variants, pictures, K) beyond each limit.

    `class_rims` (2, C, nyquist + 1): Re L_ce(nu) by class and rim, mean over pictures, periodic and mirrored.
    `power`: quantity -> (nyquist + 1,), mean over pictures, of "labels", "logits". `soft` (pictures, C, K + 2): overlap
    p(nu_max) of softmax and labels at each limit, at all frequencies, and s(0) + b(0), periodic (Eqs 25, 27).
    """

    variants: tuple[str, ...]
    limits: tuple[int, ...]
    names: list[str]
    total: np.ndarray
    tail: np.ndarray
    class_rims: np.ndarray
    power: dict[str, np.ndarray]
    soft: np.ndarray


def class_rims(logits: Tensor, labels: Tensor, *, boundary: str = "periodic", ignore_index: int = 255) -> Tensor:
    """Return -sum over a rim of Re b(-nu, c) F(log softmax Y)(nu, c), float64 (C, nyquist + 1), for one picture.

    `logits` (C, H, W), `labels` (H, W). Summed over classes it is Re L_ce of Eq. 2 by rim, over everything L_CE.
    Raises ValueError for an unknown boundary or shapes that do not fit.

    >>> rims = class_rims(torch.zeros(2, 1, 3), torch.tensor([[0, 1, 1]]))
    >>> rims.sum(1).mul(3).round(decimals=3)                   # log 2 at one pixel of class 0 and two of class 1
    tensor([0.6930, 1.3860], dtype=torch.float64)
    """
    if logits.ndim != 3 or logits.shape[1:] != labels.shape:
        raise ValueError(f"logits {tuple(logits.shape)}, labels {tuple(labels.shape)}: expected (C, H, W) and (H, W)")
    shape = tuple(labels.shape)
    classes = torch.unique(labels[labels != ignore_index])
    logp = torch.log_softmax(logits.double(), 0)[classes]
    planes = (labels[None] == classes[:, None, None]).double()
    out = torch.zeros(len(logits), max(shape) // 2 + 1, dtype=torch.float64)
    if len(classes):
        out[classes] = -_rims(planes, logp, boundary)
    return out


def _rims(a: Tensor, b: Tensor, boundary: str) -> Tensor:
    """Return Re sum over rims of conj(F a) F b for stacks of planes (n, H, W): (n, nyquist + 1)."""
    shape = tuple(a.shape[-2:])
    weights = sp.multiplicity(shape, boundary=boundary)
    if boundary == "mirrored":
        norm = 4 * shape[0] * shape[1]
        one, two = (torch.from_numpy(fft.dctn(x.numpy(), type=2, axes=(-2, -1)) / norm) for x in (a, b))
        product, index = one * two, sp.box_index(shape, boundary=boundary)[: shape[0], : shape[1]]
    else:
        one, two = torch.fft.rfft2(a, norm="forward"), torch.fft.rfft2(b, norm="forward")
        product, index = one.real * two.real + one.imag * two.imag, sp.box_index(shape, half=True)
    out = torch.zeros(len(a), max(shape) // 2 + 1, dtype=torch.float64)
    return out.index_add_(1, index.flatten(), (product * weights).flatten(1))


def tails(rims: Tensor, limits: Sequence[int]) -> Tensor:
    """Return the sums beyond each limit of rims (..., nyquist + 1): (..., K), without differences of large numbers.

    >>> tails(torch.tensor([5.0, 3.0, 1.0]), [0, 1, 2])
    tensor([4., 1., 0.])
    """
    beyond = torch.cat([rims[..., 1:].flip(-1).cumsum(-1).flip(-1), torch.zeros_like(rims[..., :1])], -1)
    return beyond[..., [min(n, rims.shape[-1] - 1) for n in limits]]


@torch.no_grad()
def calibrated_temperature(net: SegmentationNet, batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]]) -> float:
    """Return the T that minimises the mean cross-entropy of logits / T over labelled pixels (temperature scaling).

    Take batches of the training split: a temperature fitted to the test would be a look at it. T is sought in
    0.2 .. 5 (bounded Brent); every 7th pixel is used.
    """
    from scipy import optimize

    logits, labels = [], []
    for images, target, _ in batches:
        known = target != 255
        logits.append(net(images).permute(0, 2, 3, 1)[known][::7])
        labels.append(target[known][::7])
    y, t = torch.cat(logits), torch.cat(labels)
    found = optimize.minimize_scalar(
        lambda log_t: float(F.cross_entropy(y / np.exp(log_t), t)), bounds=(np.log(0.2), np.log(5.0)), method="bounded"
    )
    return float(np.exp(found.x))


def letterbox(images: Tensor, labels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return a picture whose long side is `size`, padded at its end with mean colour and void: a frame with padding.

    `images` (3, H, W) in [0, 1] and `labels` (H, W) of any shape. The paper's padded frame in kind: what it does with
    pictures smaller than its 513 pixels is not said.
    """
    height, width = labels.shape
    scale = size / max(height, width)
    rows, cols = (min(size, max(1, round(n * scale))) for n in (height, width))
    image = F.interpolate(images[None], size=(rows, cols), mode="bilinear", align_corners=False, antialias=True)[0]
    target = F.interpolate(labels[None, None].float(), size=(rows, cols), mode="nearest-exact")[0, 0].long()
    frame = torch.tensor([124.0, 116.0, 104.0]).div(255)[:, None, None].expand(3, size, size).clone()
    void = torch.full((size, size), 255)
    frame[:, :rows, :cols], void[:rows, :cols] = image, target
    return frame, void


@torch.no_grad()
def loss_parts(
    net: SegmentationNet,
    batches: Iterable[tuple[Tensor, Tensor, Sequence[str]]],
    limits: Sequence[int],
    *,
    temperature: float = 1.0,
    padded: Iterable[tuple[Tensor, Tensor, Sequence[str]]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> LossParts:
    """Return a network's loss in frequency over a test set, picture by picture, in every variant of `VARIANTS`.

    `temperature` divides the logits of the calibrated variants. `padded` yields the same pictures in padded frames;
    without it that variant is NaN. Raises ValueError without a batch.
    """
    net.eval()
    names, totals, tail, soft = [], [], [], []
    by_class, power = 0.0, {"labels": 0.0, "logits": 0.0}
    others = iter(padded) if padded is not None else None
    for images, labels, who in batches:
        full = net(images).double()
        frames = next(others) if others is not None else None
        framed = net(frames[0]).double() if frames is not None else None
        for i, name in enumerate(who):
            y, t = full[i], labels[i]
            rims = [class_rims(y, t), class_rims(y, t, boundary="mirrored")]
            rims += [class_rims(y / temperature, t, boundary=b) for b in ("periodic", "mirrored")]
            rims.append(class_rims(y, fill_void(t)) if bool((t != 255).any()) else rims[0])
            rims.append(class_rims(framed[i], frames[1][i]) if frames is not None else rims[0] * float("nan"))
            by_class = by_class + torch.stack(rims[:2])
            whole = torch.stack([r.sum(0) for r in rims])
            names.append(name)
            totals.append(whole.sum(-1))
            tail.append(tails(whole, limits))
            soft.append(_soft_parts(y, t, limits))
            power["labels"] = power["labels"] + rim_power(_planes(t, len(y)))
            power["logits"] = power["logits"] + rim_power(y)
        tell(f"{len(names)} pictures")
    if not names:
        raise ValueError("batches: expected at least one picture")
    n = len(names)
    return LossParts(
        VARIANTS, tuple(limits), names, torch.stack(totals, 1).numpy(), torch.stack(tail, 1).numpy(),
        (by_class / n).numpy(), {k: (v / n).numpy() for k, v in power.items()}, np.stack(soft),
    )  # fmt: skip


def _planes(labels: Tensor, classes: int) -> Tensor:
    return (labels[None] == torch.arange(classes)[:, None, None]).double()


def _soft_parts(logits: Tensor, labels: Tensor, limits: Sequence[int]) -> np.ndarray:
    known = labels != 255
    s, b = torch.softmax(logits, 0) * known, _planes(labels, len(logits))
    present = b.flatten(1).any(1)
    overlap = torch.zeros(len(logits), labels.shape[-1] // 2 + 1, dtype=torch.float64)
    if bool(present.any()):
        overlap[present] = _rims(b[present], s[present], "periodic")
    whole = overlap.sum(1, keepdim=True)
    area = (s.mean((1, 2)) + b.mean((1, 2)))[:, None]
    return torch.cat([whole - tails(overlap, limits), whole, area], 1).numpy()


def rates(parts: LossParts, variant: str, *, average: str = "ratio_of_means", weights: np.ndarray | None = None):
    """Return R_ce at each limit, (K,), or (draws, K) for bootstrap `weights` (draws, pictures) (Eq. 10).

    Raises ValueError for an unknown variant or average.
    """
    if variant not in parts.variants:
        raise ValueError(f"variant {variant!r}: expected one of {', '.join(parts.variants)}")
    k = parts.variants.index(variant)
    return rates_of(parts.total[k], parts.tail[k], average=average, weights=weights)


def rates_of(total: np.ndarray, tail: np.ndarray, *, average: str = "ratio_of_means", weights=None) -> np.ndarray:
    """Return R_ce from per-picture `total` (n,) and `tail` (n, K): see `rates`.

    >>> rates_of(np.array([1.0, 3.0]), np.array([[-0.5], [0.0]])).tolist()
    [0.125]
    >>> rates_of(np.array([1.0, 3.0]), np.array([[-0.5], [0.0]]), average="mean_of_ratios").tolist()
    [0.25]
    """
    if average not in ("ratio_of_means", "mean_of_ratios"):
        raise ValueError(f"average {average!r}: expected ratio_of_means or mean_of_ratios")
    w = np.ones((1, len(total))) if weights is None else weights
    w = w * (total > 0)
    if average == "ratio_of_means":
        out = np.abs(w @ tail) / (w @ total)[:, None]
    else:
        ratios = np.abs(tail) / np.where(total > 0, total, 1.0)[:, None]
        out = (w @ ratios) / w.sum(1, keepdims=True)
    return out[0] if weights is None else out
