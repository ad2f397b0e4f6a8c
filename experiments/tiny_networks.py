"""Train the tiny networks whose weights are committed, and measure how far another processor's training lands.

Command   python experiments/tiny_networks.py                  (what results/tiny/ lacks; --again NAME: anew)
          python experiments/tiny_networks.py --spread         (writes results/tiny/spread.json)
Minutes   about 3 on one core; --spread 15
Expect    a loss of about 0.75 nat and 75 % of the pixels right on land cover after 300 steps; between instruction sets
          and thread counts the losses of one seed differ by 0.001 to 0.014, those of the smoke protocol's networks,
          which have 60 steps, by 0.02 to 0.2

The facts of the chapters come from these weights, evaluated in float64, so no processor moves them. Training again
does: it amplifies the rounding of the kernels. `--again` is therefore a decision, followed by new accepted facts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from specseg.data import synthetic
from specseg.evidence import config, provenance
from specseg.nets import networks, protocol, tiny, weights
from specseg.nets.train import save_weights

COURSE = (0, 10, 20, 40, 80, 140, 200)
TOYS = (
    *({"steps": 300, "seed": s, "probe_steps": COURSE} for s in range(3)),
    *({"regime": regime, "steps": 300, "probe_steps": ()} for regime in ("objects", "streets")),
    {"steps": 200, "probe_steps": COURSE},
    {"steps": 200, "probe_steps": (), "probes": 24, "void": True},
)
DEFAULTS = {"regime": "landcover", "size": 65, "scenes_seen": 64, "probes": 12, "batch": 8, "rate": 3e-3, "seed": 0,
            "void": False}  # fmt: skip
CHOSEN = ("objects", "landcover", "dan")  # groups of the smoke protocol that pages show
COURSES = ("objects",)  # of these, the snapshots are kept too
SETTINGS = {
    "native": {}, "native, 2 threads": {"OMP_NUM_THREADS": "2"}, "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "no vectors": {"ATEN_CPU_CAPABILITY": "default"},
    "no vectors, SSE4.1": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
}  # fmt: skip
MEASURED = ("toy-landcover-300-s0", "toy-landcover-300-s1", "toy-landcover-300-s2", "toy-landcover-200-s0",
            "objects")  # fmt: skip


def trainings() -> dict[str, dict | networks.Network]:
    """Return name -> settings of a toy training, or a network of the smoke protocol."""
    toys = [DEFAULTS | t for t in TOYS]
    smoke = [n for group in CHOSEN for n in protocol.networks("smoke", group=group)]
    return {tiny.name(t["regime"], t["steps"], t["seed"], t["void"]): t for t in toys} | {n.name: n for n in smoke}


def train(name: str, *, again: bool = False, root: Path | None = None) -> Path:
    """Train one of them, write its weights and return the file."""
    chosen, made = trainings()[name], {"commit": provenance.commit()[0], "versions": provenance.versions()}
    if isinstance(chosen, dict):
        states, about = toy(**{k: v for k, v in chosen.items() if k != "probes"}), chosen
    else:
        states, about = _network(chosen)
    return write(name, states, {**about, **made}, again=again, root=root)


def toy(
    regime: str, *, size: int, steps: int, scenes_seen: int, probe_steps: tuple[int, ...], batch: int, rate: float,
    seed: int, void: bool,
) -> dict[int, tiny.State]:  # fmt: skip
    """Train a `TinyNet` on scenes of one regime; return its states at `probe_steps` and at the last one.

    `void` marks void pixels. Nobody else's random numbers are moved. Raises ValueError for a size that is not 4 k + 1.
    """
    if size % 4 != 1:
        raise ValueError(f"size {size}: expected 4 k + 1, so that the quarter grid meets the corners")
    images, labels = tiny.scenes(regime, scenes_seen, size, void=void)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = tiny.TinyNet(len(synthetic.CLASSES[regime]))
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: (1 - k / (steps + 1)) ** 0.9)
    order, states = torch.Generator().manual_seed(seed), {}
    for step in range(steps + 1):
        if step in (*probe_steps, steps):
            states[step] = {k: v.clone() for k, v in net.state_dict().items()}
        if step == steps:
            break
        pick = torch.randint(0, len(images), (batch,), generator=order)
        loss = F.cross_entropy(net(images[pick]), labels[pick], ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return states


def write(name: str, states: dict[int, tiny.State], about: dict, *, again: bool = False, root: Path | None = None
          ) -> Path:  # fmt: skip
    """Write step -> state of a training and how it was made, whole or not at all, and return the file.

    Raises FileExistsError for a file that is there, unless `again`.
    """
    target = tiny.path(name, root)
    if target.exists() and not again:
        raise FileExistsError(f"{target}: is there; facts rest on it, --again trains it again")
    tensors = {f"{step}/{key}": value for step, state in states.items() for key, value in state.items()}
    return save_weights(tensors, target, about={"about": json.dumps(about, sort_keys=True)})


def _network(network: networks.Network) -> tuple[dict[int, tiny.State], dict]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = networks.ensure(network, root=Path(scratch))
        states = {int(p.stem.removeprefix("step")): load_file(p) for p in sorted(folder.glob("step*.safetensors"))}
    last = max(states)
    kept = network in [n for group in COURSES for n in protocol.networks("smoke", group=group)]
    return states if kept else {last: states[last]}, network.describe()


@torch.no_grad()
def score(name: str, root: Path | None = None) -> dict[str, float]:
    """Return loss in nat and share of right pixels of committed weights on their probes or first test pictures."""
    chosen = trainings()[name]
    if isinstance(chosen, dict):
        found = tiny.probed(**{k: chosen[k] for k in ("regime", "steps", "seed", "void")}, root=root)
        return _score(found.logits[-1], found.labels)
    net = weights.load(chosen, sources=("committed",), root=root)
    batch = next(networks.test_batches(chosen, dtype=torch.float64))
    return _score(net(batch[0]), batch[1])


def _score(logits: Tensor, labels: Tensor) -> dict[str, float]:
    right = (logits.argmax(1) == labels)[labels != 255].double().mean()
    return {"loss": float(F.cross_entropy(logits, labels, ignore_index=255)), "accuracy": float(right)}


def trained_again(name: str) -> dict[str, float]:
    """Return the score of a training that is made anew and thrown away."""
    with tempfile.TemporaryDirectory() as scratch:
        train(name, root=Path(scratch))
        return score(name, Path(scratch))


def spread() -> dict:
    """Return every setting's score of each network in MEASURED, in a process of its own, and each training's range."""
    rows: list[dict] = []
    plain = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")}
    names = [n for n in trainings() if n.startswith(MEASURED)]
    for setting, environment in SETTINGS.items():
        for name in names:
            run = subprocess.run(
                [sys.executable, __file__, "--score", name], capture_output=True, text=True, check=True,
                env={**plain, "OMP_NUM_THREADS": "1", **environment},
            )  # fmt: skip
            scored = {k: round(v, 6) for k, v in json.loads(run.stdout.splitlines()[-1]).items()}
            rows.append({"network": name, "setting": setting, **scored})
            print(f"{setting:32}{name:64} loss {rows[-1]['loss']:.6f} accuracy {rows[-1]['accuracy']:.6f}", flush=True)
    return {"rows": rows, "range": ranges(rows)}


def ranges(rows: list[dict]) -> dict[str, dict[str, float]]:
    """Return training -> largest less smallest loss and accuracy over the settings.

    >>> ranges([{"network": "a", "loss": 1.0, "accuracy": 0.5}, {"network": "a", "loss": 1.25, "accuracy": 0.5}])
    {'a': {'loss': 0.25, 'accuracy': 0.0}}
    """
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(r["network"] for r in rows):
        values = {k: [r[k] for r in rows if r["network"] == name] for k in ("loss", "accuracy")}
        found[name] = {k: round(max(v) - min(v), 6) for k, v in values.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", metavar="NAME", help="train this one anew, over what is committed")
    parser.add_argument("--spread", action="store_true", help="measure settings against each other")
    parser.add_argument("--score", metavar="NAME", help="train, print the score, keep nothing")
    asked = parser.parse_args()
    known = trainings()
    for name in (asked.again, asked.score):
        if name and name not in known:
            parser.error(f"{name!r}: expected one of {', '.join(known)}")
    if asked.score:
        print(json.dumps(trained_again(asked.score)))
    elif asked.spread:
        commit, dirty = provenance.commit()
        found = {"command": "python experiments/tiny_networks.py --spread", "commit": commit + "-dirty" * dirty,
                 "versions": provenance.versions(), "settings": SETTINGS, **spread()}  # fmt: skip
        file = tiny.path("spread").with_suffix(".json")
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(*(f"{name:100} {found['range'][name]}" for name in found["range"]), sep="\n")
    else:
        for name in [asked.again] if asked.again else [n for n in known if not tiny.path(n).is_file()]:
            start = time.perf_counter()
            path = train(name, again=bool(asked.again))
            scored = {k: round(v, 4) for k, v in score(name).items()}
            print(f"{path.relative_to(config.root())}: {path.stat().st_size / 1000:.0f} kB, {scored}, "
                  f"{time.perf_counter() - start:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
