"""Networks that others trained: five architectures built here from their papers, and what their files are.

Weights are data: `manifests` says of each file where it comes from, its licence and its hash, which `load` checks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file

from specseg.nets.third_party import cgnet, dabnet, deeplab, espnet, espnetv2, manifests
from specseg.nets.third_party.base import ThirdPartyNet
from specseg.nets.train import fitted

MAKERS: dict[str, Callable[[str, int], ThirdPartyNet]] = {
    "espnetv2": lambda name, outputs: espnetv2.ESPNetv2(outputs, float(name.split("-")[1].removeprefix("s"))),
    "cgnet": lambda name, outputs: cgnet.CGNet(outputs, mean=cgnet.MEANS[name]),
    "dabnet": lambda name, outputs: dabnet.DABNet(outputs),
    "espnet": lambda name, outputs: espnet.ESPNet(outputs),
    "deeplabv3": lambda name, outputs: deeplab.DeepLabV3(outputs),
}
"""Architecture, the first word of a network's name -> what makes it from that name and the number of its outputs."""


def build(name: str) -> ThirdPartyNet:
    """Return an untrained network of a manifest's architecture, for its data set's classes, in evaluation mode.

    Raises ValueError for an unknown name.
    """
    manifest = manifests.load(name)
    net = MAKERS[name.split("-")[0]](name, manifest.outputs)
    net.num_classes = manifest.classes
    return net.eval()


def load(file: Path) -> ThirdPartyNet:
    """Return the network whose weights a file NAME.safetensors holds.

    Raises as `manifests.check` (no file, another hash), and ValueError that names a tensor that does not fit.
    """
    manifest = manifests.load(file.stem)
    published, net = load_file(manifests.check(manifest, file)), build(file.stem)
    state = net.state(published)
    counters = {k: v for k, v in net.state_dict().items() if "num_batches_tracked" in k}
    return fitted(net, {**counters, **state}, file)
