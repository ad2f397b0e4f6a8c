"""A trained network by its name, wherever its weights lie; and which weights travel with the project.

Looked for in this order: a run of this machine, `runs/networks/<name>/` (its snapshots too); published weights,
`results/weights/<name>.safetensors`, one baseline per model and domain, kernels in half precision; a committed tiny
network, `results/tiny/<name>.safetensors`, which is given in float64 so that a page shows the same on every processor;
a network that others trained and that has a manifest, in `config.nets_root`, never committed. Published
weights trained on CamVid or PASCAL VOC pictures are for research only, as these pictures are; README.md beside them
says which.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from specseg.data import synthetic
from specseg.data.domains import DOMAINS
from specseg.evidence import config
from specseg.nets import networks, protocol, third_party, tiny, train
from specseg.nets.models import SegmentationNet
from specseg.nets.networks import Network

LIMIT = 10_000_000  # bytes of one published file
SOURCES = ("run", "published", "committed", "third party")
TRAINED = SOURCES[:2]  # what experiments measure and records speak of


def home(root: Path | None = None) -> Path:
    """Return the folder of published weights."""
    return (root or config.root()) / "results" / "weights"


def published(root: Path | None = None) -> list[str]:
    """Return the names of the networks whose weights travel with the project."""
    return sorted(p.stem for p in home(root).glob("*.safetensors"))


def load(
    network: Network | str, *, step: int | None = None, sources: Sequence[str] = SOURCES, root: Path | None = None,
    runs: Path | None = None,
) -> nn.Module:  # fmt: skip
    """Return a trained network in evaluation mode from the first of `sources` that has it.

    `network` is one of the experiments' or a name: the protocol's, a committed tiny one's, a third-party file's.
    `step` asks for a snapshot of its training instead of its end. No data set is needed: classes are counted in the
    file. `root` is the project's root, `runs` the folder of runs, by default `root`/runs. Logits come from
    `net(images)` for images (B, 3, s, s) in [0, 1]; a `tiny.TinyNet` takes -1 .. 1.

    Raises FileNotFoundError that lists where it looked, KeyError where a committed network has not this step, and
    ValueError for an unknown source, a name that the protocol does not have and a file that does not fit.
    """
    if unknown := set(sources) - set(SOURCES):
        raise ValueError(f"sources {sorted(unknown)}: expected some of {', '.join(SOURCES)}")
    name = network if isinstance(network, str) else network.name
    places = _places(name, step, root, runs)
    looked = {source: places[source] for source in sources if source in places}
    for source, file in looked.items():
        if file.is_file():
            return _read(source, network, file, step, root).eval()
    if "third party" in looked and name in third_party.manifests.names():
        raise FileNotFoundError(f"{looked['third party']}: no such weights. {third_party.manifests.load(name).how()}")
    raise FileNotFoundError(
        f"{name}{'' if step is None else f' after step {step}'}: no such weights: not in "
        f"{', nor '.join(map(str, looked.values()))}; published are {', '.join(published(root)) or 'none'}; "
        "experiments/networks.py trains it, a tiny one experiments/tiny_networks.py"
    )


def at_hand(network: Network) -> tuple[nn.Module, Network]:
    """Return a trained network and itself, or where its weights are not here a published baseline to stand for it.

    That of its domain and model, else of another domain of the same kind of scene: what computes a record again where
    the record's own network cannot. Raises FileNotFoundError as `load` where there is none either.
    """
    kind = [d for d, one in DOMAINS.items() if one.kind == network.home.kind and d != network.domain]
    origin = replace(network.origin, fold=0, seed=0)
    for one in (network, origin, *(replace(origin, domain=d) for d in kind)):
        if file := networks.trained_file(one):
            return _read("run", one, file, None, None).eval(), one
    return load(network, sources=TRAINED), network


def _places(name: str, step: int | None, root: Path | None, runs: Path | None) -> dict[str, Path]:
    """Return where each source keeps a network; not those that keep no snapshots where one is asked for."""
    snapshot = f"step{step:06d}" if step is not None else "weights"
    others = config.nets_root() if runs is None and root is None else None
    runs = runs or (root or config.root()) / "runs"
    places = {"run": networks.folder(name, runs) / f"{snapshot}.safetensors", "committed": tiny.path(name, root)}
    if step is None:
        places["published"] = home(root) / f"{name}.safetensors"
        places["third party"] = (others or runs / "third_party") / f"{name}.safetensors"
    return places


def _read(source: str, network: Network | str, file: Path, step: int | None, root: Path | None) -> nn.Module:
    if source == "third party":
        return third_party.load(file)
    if source == "committed":
        states = tiny.read(file.stem, root)[0]
        step = max(states) if step is None else step
        if step not in states:
            raise KeyError(f"{file.stem}: step {step} is not kept, expected one of {', '.join(map(str, states))}")
        return train.fitted(_empty(network, states[step]), states[step], file).double()
    state = load_file(file)
    return train.fitted(_empty(network, state), state, file)


def _empty(network: Network | str, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the network that a state fits; nobody else's random numbers are moved."""
    with torch.random.fork_rng(devices=[]):
        if "classify.weight" in state:
            return tiny.TinyNet(len(state["classify.weight"]))
        network = protocol.named(network) if isinstance(network, str) else network
        return network.build(num_classes=len(state.get("decoder.classifier.weight", "no")))


def publish(network: Network) -> Path:
    """Copy a trained network's weights to the published folder and return the file; a published file stays as it is.

    Raises FileNotFoundError when the network is not trained, ValueError when the file is above 10 MB.
    """
    source, target = networks.folder(network) / "weights.safetensors", home() / f"{network.name}.safetensors"
    if not target.is_file():
        if not source.is_file():
            raise FileNotFoundError(f"{source}: no such weights; train {network.name} first")
        if source.stat().st_size > LIMIT:
            raise ValueError(f"{source}: {source.stat().st_size} bytes, expected at most {LIMIT}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part := target.with_suffix(".part"))
        part.replace(target)
    return target


@torch.no_grad()
def probe_logits(net: SegmentationNet, image: Tensor | None = None) -> Tensor:
    """Return every eighth grid logit of one picture, float32 (C, k, k): what a record keeps to be recomputed.

    `image` is (3, s, s) in [0, 1]; without one it is scene 7 of the synthetic streets.
    """
    if image is None:
        scene = synthetic.scene("streets", 7, net.input_size)
        image = torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255
    return net.eval().grid_logits(image[None])[0, :, ::8, ::8]
