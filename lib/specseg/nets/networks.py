"""Networks of the experiments: what defines one, how it is trained once, where its weights lie.

A network's folder, `runs/networks/<name>/`, holds the checkpoint while it trains, then weights.safetensors (kernels in
half precision: every later measurement uses these rounded weights), history.csv and network.json. Baselines keep
snapshots of their training beside.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from specseg.data import loading, transforms
from specseg.data.datasets import DataSet
from specseg.data.domains import SYNTHETIC, Domain, domain
from specseg.data.samples import Decoded, Subset, Windows
from specseg.evidence import config, provenance
from specseg.nets import train
from specseg.nets.models import SegmentationNet, build
from specseg.nets.pruning import SoftFilterPruning
from specseg.spectral import labels as annotation

SNAPSHOTS = (0.0, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0)  # shares of the training
WORDS = {"annotation": ("full", "block", "block_nearest"), "start": ("", "trained", "frozen"),
         "policy": ("standard", "paper")}  # fmt: skip
KEPT = 1000  # training pictures up to which a training keeps them decoded: a gigabyte at most
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Network:
    """A network to be trained. Whatever differs from the defaults is in its `name`, so a name stands for one training.

    `steps` 0 takes the domain's own, `images` 0 all. `annotation` is what it is trained on: "full" labels, or blocks of
    band limit `nu_max` by majority ("block") or at the grid points ("block_nearest"). `prune_encoder` and
    `prune_decoder` are rates of soft filter pruning, `lrg_size` the grid of a decoder trained with truncation.
    `start` is "" for ImageNet's weights; "trained" goes on from those of its `origin`, "frozen" from there with the
    backbone as it is: its weights, and the statistics of its normalisation.
    `policy` is "standard" (SGD 0.005, new layers 0.05) or "paper" (A.9).
    `precision` "auto" leaves open in which one it is trained: what the machine does fast, or what `ensure` is told. It
    is no part of its name, and stands in network.json and the records as what it was; another word is part of it.
    """

    domain: str
    model: str = "deeplabv3plus"
    fold: int = 0
    seed: int = 0
    annotation: str = "full"
    nu_max: int = 0
    prune_encoder: float = 0.0
    prune_decoder: float = 0.0
    lrg_size: int = 0
    images: int = 0
    backbone: str = "efficientnet_lite0"
    width: int = 128
    size: int = 257
    batch: int = 8
    steps: int = 0
    policy: str = "standard"
    precision: str = "auto"
    start: str = ""

    def __post_init__(self) -> None:
        domain(self.domain)
        for name, known in WORDS.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(map(repr, known))}")
        if (self.annotation == "full") != (self.nu_max == 0):
            raise ValueError(f"nu_max {self.nu_max}: block annotation needs a band limit, full annotation has none")

    @property
    def name(self) -> str:
        """A readable name: domain, model, fold, seed, and every field that is not at its default."""
        head = f"{self.domain}-{self.model}-f{self.fold}-s{self.seed}"
        rest = [(f.name, getattr(self, f.name)) for f in fields(self)[4:] if getattr(self, f.name) != f.default]
        return "-".join([head, *(f"{k}_{v}" for k, v in rest)])

    @property
    def home(self) -> Domain:
        """The domain."""
        return domain(self.domain)

    @property
    def is_baseline(self) -> bool:
        """Whether it is trained on all images with full labels, unpruned and untruncated, from ImageNet's weights."""
        pruned = self.prune_encoder or self.prune_decoder
        return not (self.nu_max or pruned or self.lrg_size or self.images or self.start)

    @property
    def origin(self) -> Network:
        """The baseline of the same domain, model, fold and seed: where a training that goes on from one begins."""
        steps = 0 if self.start == "frozen" else self.steps
        return replace(self, annotation="full", nu_max=0, prune_encoder=0.0, prune_decoder=0.0, lrg_size=0, images=0,
                       steps=steps, start="")  # fmt: skip

    @property
    def pruning(self) -> SoftFilterPruning | None:
        """How its filters are pruned while it trains; None where they are not."""
        rates = self.prune_encoder, self.prune_decoder
        return SoftFilterPruning(*rates) if any(rates) else None

    def data(self, part: str, *, framed: bool = True) -> DataSet:
        """Return the split "train" or "test" of its fold; of a native domain its windows, or whole pictures (`framed`
        false: a training cuts windows of its own)."""
        data = self.home.open(part, self.fold, **({"size": self.size} if self.domain in SYNTHETIC else {}))
        return Windows(data, self.size) if framed and self.home.native else data

    def settings(self, images: int) -> train.Settings:
        """Return its training's settings: the same policy for all networks of a domain."""
        if self.policy == "paper":
            base = train.paper_settings(self.home.train[0].replace("sbd", "voc2012"), images, batch=self.batch)
        else:
            base = train.Settings(steps=self.home.steps, warmup=0, epoch_steps=max(1, images // self.batch))
        steps = self.steps or base.steps
        return replace(
            base, steps=steps, warmup=min(50, steps // 4), seed=self.seed, frozen=self.start == "frozen",
            precision=fast_precision() if self.precision == "auto" else self.precision,
            snapshots=tuple(sorted({round(share * steps) for share in SNAPSHOTS})) if self.is_baseline else (),
        )  # fmt: skip

    def build(self, *, pretrained: bool = False, num_classes: int | None = None) -> SegmentationNet:
        """Return the untrained network, initialised by its seed; `num_classes` None asks its test set."""
        torch.manual_seed(self.seed)
        return build(
            self.model, backbone=self.backbone, num_classes=num_classes or self.data("test").num_classes,
            input_size=self.size, width=self.width, lrg_size=self.lrg_size or None,
            pretrained=pretrained and self.backbone != "tiny",
        )  # fmt: skip

    def describe(self) -> dict:
        """Return its fields, for records."""
        return asdict(self)


def of_settings(settings: Mapping[str, Any]) -> Network:
    """Return the network that a record's settings describe; fields that they lack keep their defaults.

    Records up to 2026-11-23 hold under `precision` the one of the training, which their names leave open.
    """
    known = {f.name: settings[f.name] for f in fields(Network) if f.name in settings}
    if known.get("precision") == "bf16-mixed" and "-precision_bf16-mixed" not in settings.get("name", ""):
        del known["precision"]
    return Network(**known)


def fast_precision(device: str = "cpu") -> str:
    """Return in what to train on this machine: "bf16-mixed" where the hardware multiplies bf16, else "32-true".

    A CPU does with AMX or avx512_bf16 (a step then takes two thirds of the time, see bench/bench_train.py); without
    them bf16 is emulated and takes several times as long.
    """
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if {"amx_bf16", "avx512_bf16"} & set(provenance.instructions()) else "32-true"


def precision_of(network: Network, device: str, precision: str) -> str:
    """Return in what a network is trained: its own word, else `precision`, else what the device does fast."""
    return next((p for p in (network.precision, precision) if p != "auto"), None) or fast_precision(device)


def prepared(network: Network, data: DataSet, device: str, precision: str) -> tuple[train.Settings, train.Draw]:
    """Return the settings of a network's training on this data, and its batches by step."""
    data = Decoded(data) if len(data) <= KEPT else data
    cut = transforms.training(network.size, base="native" if network.home.native else "frame")
    workers = 0 if device == "cpu" else 3  # a GPU waits for pictures; the batches are the same
    draw = loading.draws(data, cut, network.batch, seed=network.seed, workers=workers)
    return replace(network.settings(len(data)), precision=precision), draw


class Annotated(Subset):
    """A training split as its annotator would have labelled it: the first `images` of a fixed draw, blocks if asked."""

    def __init__(self, data: DataSet, network: Network) -> None:
        super().__init__(data, loading.order(len(data), 0, 0)[: network.images] if network.images else range(len(data)))
        self.network = network

    def label(self, index: int):
        label = super().label(index)
        if self.network.annotation == "full":
            return label
        mode = "nearest" if self.network.annotation == "block_nearest" else "majority"
        return annotation.block_annotation(label, self.network.nu_max, mode).numpy()


def folder(network: Network | str, root: Path | None = None) -> Path:
    """Return where a network's files lie: runs/networks/<name> in the project's root."""
    return (root or config.root() / "runs") / "networks" / (network if isinstance(network, str) else network.name)


def ensure(
    network: Network, *, device: str = "cpu", precision: str = "auto", root: Path | None = None,
    tell: Tell = lambda _: None,
) -> Path:  # fmt: skip
    """Train a network unless it is there, and return its folder. Interrupted trainings go on from their checkpoint.

    `precision` is for networks that leave it open and a training that begins now: it goes on in the one it began with.
    One process trains, others that want the same network wait. Raises what the data set and the training raise, and
    ValueError where a network lies that was pruned by another protocol.
    """
    place = folder(network, root)
    if _trained(network, place):
        return place
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the kernel lets it go when the process dies
        if not _trained(network, place):
            _train(network, place, device, precision, tell)
    return place


def _trained(network: Network, place: Path) -> bool:
    if not (place / "network.json").is_file():
        return False
    found, wanted = json.loads((place / "network.json").read_text()).get("pruning"), _pruning(network)
    if found != wanted:
        raise ValueError(f"{place}: pruned by another protocol ({found}, expected {wanted}); remove it to train anew")
    return True


def _pruning(network: Network) -> dict | None:
    return network.pruning and asdict(network.pruning)


def _train(network: Network, place: Path, device: str, precision: str, tell: Tell) -> None:
    data = Annotated(network.data("train", framed=False), network)
    file = place / "begun.json"
    if not file.is_file():
        now = {"precision": precision_of(network, device, precision), "modules": _now(), "seconds": []}
        file.write_text(json.dumps(now))
    begun = json.loads(file.read_text())  # what stood when this training began, in this process or one before it
    chosen, seconds = begun["precision"], begun["seconds"]
    (settings, draw), net = prepared(network, data, device, chosen), network.build(pretrained=not network.start)
    if network.start:
        origin, runs = network.origin, place.parents[1]
        if trained_file(origin, runs) is None:
            ensure(origin, device=device, precision=precision, root=runs, tell=tell)
        train.load_weights(net, trained_file(origin, runs))
    start = time.perf_counter() - sum(seconds)

    def on_step(step: int, loss: float) -> None:
        seconds.append(round(time.perf_counter() - start - sum(seconds), 3))
        if (step + 1) % settings.checkpoint_steps == 0:
            file.write_text(json.dumps(begun))
        if (step + 1) % 10 == 0:
            pace = sorted(seconds[-10:])[len(seconds[-10:]) // 2]
            tell(f"{network.name} step {step + 1}/{settings.steps} loss {loss:.3f} {pace:.2f} s a step")

    def on_snapshot(step: int, model: torch.nn.Module) -> None:
        train.save_weights(model.state_dict(), place / f"step{step:06d}.safetensors")

    history = train.fit(
        net, draw, settings, fabric=train.runner(device, precision=chosen), prune=network.pruning, on_step=on_step,
        checkpoint=place / "run.ckpt", on_snapshot=on_snapshot,
    )  # fmt: skip
    history.to_csv(place / "history.csv", index=False)
    saved = train.save_weights(net.state_dict(), place / "weights.safetensors")
    if network.pruning:
        network.pruning.check(train.load_weights(net, saved))
    about = {
        "network": network.describe(), "settings": asdict(settings), "pruning": _pruning(network),
        "images": len(data), "coverage": data.coverage,
        "device": config.device_name(device), "threads": torch.get_num_threads(), "seconds": round(sum(seconds), 1),
        "seconds_per_step": sorted(seconds)[len(seconds) // 2] if seconds else None,
        "commit": provenance.commit()[0], "versions": provenance.versions(),
        "modules": {k: v if begun["modules"].get(k) == v else "changed during the run" for k, v in _now().items()},
    }  # fmt: skip
    part = place / "network.json.part"
    part.write_text(json.dumps(about, indent=1))
    part.replace(place / "network.json")
    for left in (place / "run.ckpt", file):
        left.unlink(missing_ok=True)


def trained_file(network: Network, runs: Path | None = None) -> Path | None:
    """Return the file of weights that experiments measure: of a run, else the published one; None without either."""
    published = config.root() / "results" / "weights" / f"{network.name}.safetensors"
    return next((f for f in (folder(network, runs) / "weights.safetensors", published) if f.is_file()), None)


def _now() -> dict[str, str]:
    return provenance.module_hashes([Path(__file__)])


def about(network: Network, root: Path | None = None) -> dict:
    """Return what network.json says of a trained network: settings, images, device, seconds."""
    return json.loads((folder(network, root) / "network.json").read_text())


def recorded(network: Network, root: Path | None = None) -> dict:
    """Return what records say of a trained network: fields, name, the precision of its training, how it was pruned."""
    precision = about(network, root)["settings"]["precision"]
    pruning = {"pruning": _pruning(network)} if network.pruning else {}
    return {**network.describe(), "name": network.name, "trained_precision": precision, **pruning}


def history(network: Network, root: Path | None = None) -> pd.DataFrame:
    """Return the rows step, loss, lr of its training."""
    return pd.read_csv(folder(network, root) / "history.csv")


def test_batches(
    network: Network, *, batch: int = 4, count: int | None = None, dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Iterator[tuple[Tensor, Tensor, tuple]]:  # fmt: skip
    """Yield the first `count` batches of its test split (None: all) in the evaluation's frame.

    Images (batch, 3, s, s) in [0, 1] of `dtype`, labels (batch, s, s), names; on `device`.
    """
    items = loading.evaluation_batches(network.data("test"), transforms.evaluation(network.size), batch)
    return (
        ((images.float() / 255.0).to(device, dtype), labels.to(device), names)
        for images, labels, names in islice(items, count)
    )
