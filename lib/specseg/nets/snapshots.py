"""Weights of one small training at several of its steps, in one file that is committed: what pages compute from.

`results/tiny/<name>.safetensors`: a tensor is called `<step>/<name in the network's state>`, kernels are float16,
vectors as they were; the file's metadata say how the network was trained. `experiments/tiny_networks.py` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from specseg.evidence import config

State = dict[str, Tensor]


def path(name: str, root: Path | None = None) -> Path:
    """Return the file of a training's snapshots, in `root` or the project's root.

    >>> path("a", Path("x")).as_posix()
    'x/results/tiny/a.safetensors'
    """
    return (root or config.root()) / "results" / "tiny" / f"{name}.safetensors"


def write(
    name: str, states: Mapping[int, State], about: Mapping[str, Any], *, again: bool = False, root: Path | None = None
) -> Path:
    """Write step -> state of a training and how it was made, whole or not at all, and return the file.

    Raises FileExistsError for a file that is there, unless `again`; ValueError without a state.
    """
    target = path(name, root)
    if target.exists() and not again:
        raise FileExistsError(f"{target}: is there; facts rest on it, --again trains it again")
    if not states:
        raise ValueError(f"{name}: no states, expected at least that of the last step")
    tensors = {f"{step}/{key}": _rounded(value) for step, state in states.items() for key, value in state.items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    save_file(tensors, part, metadata={"about": json.dumps(dict(about), sort_keys=True)})
    part.replace(target)
    return target


def _rounded(value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.half() if value.is_floating_point() and value.ndim > 1 else value


def read(name: str, root: Path | None = None) -> tuple[dict[int, State], dict[str, Any]]:
    """Return step -> state, in order, kernels as float16, and how they were trained.

    Raises FileNotFoundError that says how to make the file, ValueError for a file of another form.
    """
    file = path(name, root)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such weights; add them to experiments/tiny_networks.py and run it")
    states: dict[int, State] = {}
    with safe_open(config.note_input(file), "pt") as tensors:
        about = (tensors.metadata() or {}).get("about")
        for key in tensors.keys():
            step, sign, rest = key.partition("/")
            if about is None or not sign or not step.isdigit():
                raise ValueError(f"{file}: {key}: expected <step>/<tensor> and metadata named about")
            states.setdefault(int(step), {})[rest] = tensors.get_tensor(key)
    return dict(sorted(states.items())), json.loads(about)
