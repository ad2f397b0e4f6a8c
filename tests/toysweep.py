"""A toy experiment for the sweep's tests: real processes, cells of about one second, a checkpoint at every step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

PROFILES = """
[smoke]
size = 129
[paper]
size = 513
"""

# Its rows depend on every step before: a cell that goes on from a wrong checkpoint ends with other rows.
EXPERIMENT = '''\
"""Chained hashes, a second each: `python experiments/toy_cells.py`."""
import hashlib
import json
import os
import time
from dataclasses import dataclass

from specseg.evidence import config, records; from specseg import sweep


@dataclass(frozen=True)
class Cell:
    seed: int
    kind: str = "plain"
    steps: int = 10
    pause: float = 0.1


def cells(profile):
    return [Cell(**entry) for entry in json.loads((config.root() / "cells.json").read_text())]


def journal(name, text):
    with open(config.root() / name, "a") as file:
        file.write(text + "\\n")


def run(cell, folder, tell):
    state = {"step": 0, "value": str(cell.seed)}
    if (folder / "state.json").exists():
        state = json.loads((folder / "state.json").read_text())
    journal("begun.txt", f"{cell.seed} from {state['step']} by {os.getpid()}")
    while cell.kind == "waits" and not (config.root() / "go").exists():
        time.sleep(0.02)
    while state["step"] < cell.steps:
        time.sleep(cell.pause)
        if cell.kind == "holds" and state["step"] == 5 and not (config.root() / "go").exists():
            tell("held at step 5")
            continue
        state = {"step": state["step"] + 1, "value": hashlib.sha256(state["value"].encode()).hexdigest()}
        (folder / "state.part").write_text(json.dumps(state))
        os.replace(folder / "state.part", folder / "state.json")
        tell(f"step {state['step']}/{cell.steps} value {state['value'][:6]}")
        if cell.kind == "fails" and state["step"] == 2 and not (config.root() / "mended").exists():
            raise ValueError(f"seed {cell.seed}: the toy breaks here")
        if cell.kind == "fills":
            with open(folder / "big.bin", "ab") as file:
                file.write(bytes(4_000_000))
        if cell.kind == "dies":
            os.kill(os.getpid(), 9)
    journal("ended.txt", str(cell.seed))
    import pandas as pd  # here: most processes of the tests end before, and it is half of what one costs

    if cell.kind == "empty":
        return pd.DataFrame()
    values = [int(state["value"][k : k + 6], 16) / 16**6 for k in range(0, 60, 6)]
    return pd.DataFrame({"seed": cell.seed, "metric": "chain", "value": values})


def record(cell, folder, rows, context):
    journal("contexts.txt", f"{context.profile}|{context.command}|{context.device}")
    if not (config.root() / "recording").exists():
        return None
    path = records.write("toy_cells", rows, **context.told(), seed=cell.seed)
    if cell.kind == "dies after its record" and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), 9)
    return path


def minutes(cell, profile):
    return cell.steps * (90 if profile == "paper" else cell.pause / 60)


EXPERIMENT = sweep.Experiment(name="toy_cells", cells=cells, run=run, record=record, minutes=minutes)
if __name__ == "__main__":
    sweep.main(EXPERIMENT)
'''


class Toy:
    """A project's root with the toy experiment and its cells, run by real child processes."""

    def __init__(self, root: Path, cells: list[dict]) -> None:
        self.root = root
        self.file = root / "experiments" / "toy_cells.py"
        self.file.parent.mkdir(parents=True)
        self.file.write_text(EXPERIMENT)
        (root / "profiles.toml").write_text(PROFILES)
        self.cells(cells)
        self.env = {k: v for k, v in os.environ.items() if k not in ("SPECSEG_DATA", "CI")}
        self.env |= {"SPECSEG_ROOT": str(root), "OMP_NUM_THREADS": "1"}

    def cells(self, cells: list[dict]) -> None:
        (self.root / "cells.json").write_text(json.dumps(cells))

    @property
    def home(self) -> Path:
        return self.root / "runs" / "toy_cells" / "smoke"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(self.file), *words]

    def start(self, *words: str, **options) -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
        return subprocess.Popen(self.command(*words), cwd=self.root, env=self.env, **pipes)

    def run(self, *words: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*words), cwd=self.root, env=self.env, capture_output=True, text=True, timeout=180, **options
        )

    def folder(self, seed: int) -> Path:
        """The folder of the cell with a seed."""
        found = [p for p in self.home.iterdir() if p.name.split("-")[0] == f"seed{seed}"]
        assert len(found) == 1, found
        return found[0]

    def log(self, seed: int) -> str:
        """The text of a cell's log; empty when there is none yet."""
        found = list(self.home.glob(f"seed{seed}-*/log.txt"))
        return found[0].read_text() if found else ""

    def rows(self) -> dict[str, pd.DataFrame]:
        """Cell's id -> its rows, of the cells that are done."""
        return {p.parent.name: pd.read_csv(p.parent / "rows.csv") for p in sorted(self.home.glob("*/done.json"))}

    def lines(self, name: str) -> list[str]:
        file = self.root / name
        return file.read_text().splitlines() if file.exists() else []
