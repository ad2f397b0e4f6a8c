"""Soft filter pruning (He et al. 2019): zero the weakest filters after every epoch, let them recover, remove them at
the end.

Layers that share channels lose the same ones: a depth-wise convolution and the convolution that feeds it are zeroed
channel by channel, those of smallest joint L2 norm (the group's importance in Fang et al. 2023, DepGraph, over the
filters that are zeroed). Where a shortcut is added no layer needs another's channels: each skips its own and their
constants are filled in, as He et al.'s code does.

`remove` takes zero filters really out of a network and keeps its outputs: a filter that is gone leaves a constant
behind (its normalisation's shift), which the readers of its channel get as a bias, as one constant input, or as a
filled channel.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SCHEDULES = ("asymptotic", "constant")


def prunable(model: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the convolutions that pruning may touch, by name: all but those of the model's own `exempt()`.

    Normalisation layers are never pruned.
    """
    exempt = set(model.exempt()) if hasattr(model, "exempt") else set()
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and n not in exempt}


def removed(filters: int, rate: float, rounding: str = "floor") -> int:
    """Return how many of a layer's filters a pruning rate takes: int(filters x rate), as in He et al.'s code.

    A product that is whole but for rounding counts as whole. Raises ValueError for a rate outside [0, 1).

    >>> removed(48, 0.2), removed(256, 0.6), removed(10, 0.3)
    (9, 153, 3)
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"prune_rate {rate!r}: expected a fraction from 0 to below 1")
    exact = filters * rate
    if rounding == "round":
        return round(exact)
    return int(-(-(exact - 1e-9) // 1)) if rounding == "ceil" else int(exact + 1e-9)


def keep_mask(weight: Tensor, rate: float) -> Tensor:
    """Return a bool mask over a layer's filters: False for the int(filters x rate) of smallest L2 norm.

    `weight` is (filters, ...). Among equal norms the first go. Raises ValueError for a rate outside [0, 1).

    >>> keep_mask(torch.tensor([[3.0], [-1.0], [2.0], [0.5]]), 0.5).tolist()
    [True, False, True, False]
    """
    mask = torch.ones(len(weight), dtype=torch.bool, device=weight.device)
    weakest = torch.argsort(weight.detach().flatten(1).norm(dim=1), stable=True)
    mask[weakest[: removed(len(weight), rate)]] = False
    return mask


def groups(model: nn.Module) -> list[list[str]]:
    """Return the names of the prunable convolutions in groups that share channels (`Link.feeder`); most stand alone."""
    leads = {link.feeder[0]: link.conv for link in (model.links() if hasattr(model, "links") else ()) if link.feeder}
    found: dict[str, list[str]] = {}
    for name in prunable(model):
        found.setdefault(leads.get(name, name), []).append(name)
    return list(found.values())


def keep_masks(model: nn.Module, rates: Mapping[str, float]) -> dict[str, Tensor]:
    """Return a mask per prunable convolution at the rates of "encoder" and "decoder" (the paper: 0.2 to 0.6, and 0.2).

    One mask a group, by `keep_mask` of its joint norms. A channel that a member has already lost, in the half precision
    in which weights are saved, goes first: else that member would keep a zero filter more than its rate removes.
    Raises ValueError when a part has no rate.
    """
    masks, convs = {}, prunable(model)
    for group in groups(model):
        weights = [convs[name].weight.detach().flatten(1) for name in group]
        lost = torch.stack([(w.half() == 0).all(1) for w in weights]).any(0)
        mask = keep_mask(torch.cat(weights, 1).masked_fill(lost[:, None], 0), _rate(model, group[0], rates))
        masks.update(dict.fromkeys(group, mask))
    return masks


def _rate(model: nn.Module, name: str, rates: Mapping[str, float]) -> float:
    if not hasattr(model, "part_of"):
        raise ValueError(f"{type(model).__name__} has no part_of(): which of its layers are encoder, which decoder?")
    part = model.part_of(name)
    if part not in rates:
        raise ValueError(f"rates {dict(rates)}: no rate for part {part!r} (layer {name})")
    return rates[part]


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the masked-out filters (and their biases) to zero in place; gradients stay whole, so that filters recover."""
    for name, mask in masks.items():
        conv = model.get_submodule(name)
        conv.weight[~mask] = 0
        if conv.bias is not None:
            conv.bias[~mask] = 0


def asymptotic_rate(epoch: float, epochs: float, goal: float) -> float:
    r"""Return the asymptotic schedule's rate :math:`a e^{-k\,epoch} + b`, 0 at epoch 0 and `goal` at epoch `epochs`.

    Three quarters of the goal are reached after an eighth of the epochs (He et al. 2019, "Asymptotic soft filter
    pruning"). Raises ValueError for an epoch outside 0..epochs.

    >>> [round(asymptotic_rate(e, 8, 0.4), 3) for e in (0, 1, 8)]
    [0.0, 0.3, 0.4]
    """
    if not 0 <= epoch <= epochs or epochs <= 0:
        raise ValueError(f"epoch {epoch!r}: expected 0 to {epochs}")
    from scipy.optimize import brentq  # a second for a formula that few ask for

    x = brentq(lambda v: (1 - v) - 0.75 * (1 - v**8), 1e-12, 1 - 1e-9)  # e^(-k epochs / 8)
    return goal * (1 - x ** (8 * epoch / epochs)) / (1 - x**8)


@dataclass(frozen=True)
class SoftFilterPruning:
    """Soft filter pruning as a training hook: `step(model, done)` before it, after every epoch and after its last step.

    Rates are fractions of each layer's filters, from 0 to below 1: the goal, which the schedule (one of SCHEDULES)
    reaches when all of the training is done. Raises ValueError for others.

    >>> from specseg.nets.models import build
    >>> net = build("deeplabv3plus", backbone="tiny", num_classes=3, input_size=65, width=16)
    >>> masks = SoftFilterPruning(0.4, decoder_rate=0.2).step(net)
    >>> int(masks["aspp.project.0"].sum()), int(masks["decoder.fuse1.0"].sum())   # of 16 filters each
    (10, 13)
    """

    encoder_rate: float
    decoder_rate: float = 0.2
    schedule: str = "asymptotic"

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule {self.schedule!r}: expected one of {', '.join(SCHEDULES)}")
        for name in ("encoder_rate", "decoder_rate"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected a fraction from 0 to below 1")

    def rates(self, done: float = 1.0) -> dict[str, float]:
        """Return the rates of encoder and decoder when so much of the training is done, from 0 to 1."""
        goal = {"encoder": self.encoder_rate, "decoder": self.decoder_rate}
        if self.schedule == "constant":
            return goal
        return {part: asymptotic_rate(done, 1.0, rate) for part, rate in goal.items()}

    def step(self, model: nn.Module, done: float = 1.0) -> dict[str, Tensor]:
        """Zero the weakest filters of `model` in place and return the masks."""
        masks = keep_masks(model, self.rates(done))
        apply_masks(model, masks)
        return masks

    def check(self, model: nn.Module) -> None:
        """Raise ValueError, naming the layer, unless each that is pruned has the zero filters that its cost assumes: as
        many as the goal removes, and the same ones where channels are shared.

        A layer of which the goal removes none may have lost some of its own; they count as there.
        """
        convs = prunable(model)
        for first, *rest in groups(model):
            due = removed(convs[first].out_channels, _rate(model, first, self.rates()))
            zero = (convs[first].weight == 0).flatten(1).all(1)
            if due and int(zero.sum()) != due:
                raise ValueError(f"{first}: {int(zero.sum())} of {len(zero)} filters are zero, expected {due}")
            for name in rest if due else ():
                if not torch.equal((convs[name].weight == 0).flatten(1).all(1), zero):
                    raise ValueError(f"{name}: its zero filters are not those of {first}, which shares its channels")


class Scatter(nn.Module):
    """Puts computed channels back to their places among `channels`; the others hold their constants."""

    def __init__(self, keep: Tensor, constants: Tensor):
        super().__init__()
        self.register_buffer("index", keep.nonzero().flatten())
        self.register_buffer("fill", torch.where(keep, torch.zeros_like(constants), constants).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.fill.to(x.dtype).expand(x.shape[0], -1, *x.shape[2:]).contiguous()
        return out.index_copy_(1, self.index, x)


class ConstantInput(nn.Module):
    """A padded convolution of which some input channels were constant: their sum is one constant channel's
    convolution."""

    def __init__(self, conv: nn.Conv2d, kernel: Tensor):
        super().__init__()
        self.conv = conv
        self.register_buffer("kernel", kernel)

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(1, 1, *x.shape[2:])
        conv = self.conv
        return conv(x) + F.conv2d(ones, self.kernel.to(x.dtype), None, conv.stride, conv.padding, conv.dilation)


@torch.no_grad()
def remove(model: nn.Module) -> nn.Module:
    """Return a smaller copy, in evaluation mode, without the filters that are zero; its outputs are the model's.

    The model says by `links()` which layer reads which channels. Where a shortcut is added the convolution becomes
    smaller and its channels are filled back in; everywhere else the channels are gone. A layer keeps at least one
    filter. Equal outputs hold up to rounding of sums taken in another order. The copy is for inference: normalisation
    statistics of removed channels are constants in it.

    Raises ValueError when the model has no `links()`.
    """
    if not hasattr(model, "links"):
        raise ValueError(f"{type(model).__name__} has no links(): expected a network built by specseg.build")
    small = copy.deepcopy(model).eval()
    plans = [
        (link, keep, constants)
        for link in small.links()
        if not (keep := _kept(small, link)).all() and (constants := _constants(small, link)) is not None
    ]
    inputs: dict[str, Tensor] = {}
    kernels: dict[str, Tensor] = {}
    for link, keep, constants in plans:
        for follower in link.followers:
            weight = small.get_submodule(follower.name).weight
            mask = inputs.setdefault(follower.name, torch.ones(weight.shape[1], dtype=torch.bool, device=weight.device))
            here = slice(follower.offset, follower.offset + len(keep))
            mask[here] = keep
            gone = weight[:, here][:, ~keep]
            kernel = (gone * constants[~keep].view(1, -1, 1, 1)).sum(1, keepdim=True)
            kernels[follower.name] = kernels.get(follower.name, 0) + kernel
    outputs = {name: keep for link, keep, _ in plans for name in (link.conv, *link.feeder[:1])}
    for name in {*inputs, *outputs}:
        _narrow_conv(small.get_submodule(name), inputs.get(name), outputs.get(name))
    for link, keep, constants in plans:
        for name in (*link.post, *link.feeder[1:]):
            _narrow_norm(small.get_submodule(name), keep)
        if not link.followers:
            last = link.post[-1]
            _replace(small, last, nn.Sequential(small.get_submodule(last), Scatter(keep, constants)))
    for name, kernel in kernels.items():
        _add_constant(small, name, kernel if name not in outputs else kernel[outputs[name]])
    return small


def _kept(model: nn.Module, link) -> Tensor:
    keep = model.get_submodule(link.conv).weight.flatten(1).abs().amax(1) > 0
    if not keep.any():
        keep[0] = True
    return keep


def _constants(model: nn.Module, link) -> Tensor:
    """Return what each channel of a link holds when its filter is zero: the bias through normalisation and
    activation."""
    conv = model.get_submodule(link.conv)
    x = conv.weight.new_zeros(1, conv.out_channels, 1, 1)
    if conv.bias is not None:
        x = x + conv.bias.view(1, -1, 1, 1)
    for name in link.post:
        x = model.get_submodule(name)(x)
    return x.flatten()


def _narrow_conv(conv: nn.Conv2d, inputs: Tensor | None, outputs: Tensor | None) -> None:
    weight = conv.weight
    if outputs is not None:
        weight = weight[outputs]
        if conv.bias is not None:
            conv.bias = nn.Parameter(conv.bias[outputs])
    if inputs is not None:
        weight = weight[:, inputs]
    conv.weight = nn.Parameter(weight.clone())
    depthwise = conv.groups > 1
    conv.out_channels = len(weight)
    conv.in_channels = len(weight) if depthwise else weight.shape[1]
    conv.groups = len(weight) if depthwise else 1


def _narrow_norm(norm: nn.Module, keep: Tensor) -> None:
    if not isinstance(norm, nn.modules.batchnorm._BatchNorm):
        return
    norm.weight, norm.bias = nn.Parameter(norm.weight[keep]), nn.Parameter(norm.bias[keep])
    norm.running_mean, norm.running_var = norm.running_mean[keep], norm.running_var[keep]
    norm.num_features = int(keep.sum())


def _add_constant(model: nn.Module, name: str, kernel: Tensor) -> None:
    conv = model.get_submodule(name)
    if not kernel.any():
        return
    if conv.kernel_size == (1, 1) and conv.padding in (0, (0, 0)):
        shift = kernel.flatten()
        conv.bias = nn.Parameter(shift if conv.bias is None else conv.bias + shift)
    else:
        _replace(model, name, ConstantInput(conv, kernel))


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)
