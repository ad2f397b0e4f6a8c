"""Spectral gradients of trained networks: Figs 2 and 3, footnote 2, smoothness of features, removal of features.

Command   python experiments/network_gradients.py run --profile standard
Data      voc2012, dubai, camvid under SPECSEG_DATA (standard); synthetic scenes at smoke
Minutes   one core: about 2 a network at standard where it has been trained (runs/networks/), with its training about
          20 more; smoke: seconds; paper: about 20 a network beside its training
Expect    rows of Fig. 2 with well under nine tenths of their energy within one bin of nu_i

A cell is one baseline of the protocol on a fixed number of test pictures, drawn in one fixed order; all that is
measured on it is one record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from specseg import sweep
from specseg.evidence import records, renewal
from specseg.measure import gradients as network_gradients
from specseg.nets import networks, weights
from specseg.nets.networks import Network

IMAGES = {"smoke": 4, "standard": 16, "paper": 64}
MEASURING = {"smoke": 0.05, "standard": 2.0, "paper": 20.0}  # minutes of one core
TRAINING = {"smoke": 0.2, "standard": 20.0, "paper": 600.0}


@dataclass(frozen=True)
class Cell:
    """One trained network and the number of test pictures on which it is measured."""

    network: Network
    images: int


def cells(profile: str) -> list[Cell]:
    """Return the baselines of a profile, in the protocol's order."""
    return [Cell(network, IMAGES[profile]) for network in network_gradients.wanted(profile)]


def run(cell: Cell, folder: Path, tell) -> pd.DataFrame:
    """Train the network where it is not there, measure it on the CPU and return the rows."""
    networks.ensure(cell.network, device=sweep.device().type, precision=sweep.precision(), tell=tell)
    torch.set_num_threads(1)  # what is measured does not gain from more, and cells may run side by side
    tell(f"{cell.network.name}: measuring on {cell.images} pictures")
    return network_gradients.study(cell.network, cell.images)


def recompute(record: records.Record) -> Iterator[renewal.Check]:
    """Yield: the rows of the first picture (Fig. 2, removals) and of the layers that no picture enters, by the weights,
    or where these are not at hand by a published network's, against its own record.

    The record's rows have five digits. The loss's rows and their shares are ratios of small sums of float32 features.
    """
    count = record.meta["settings"]["test_images"]
    net, network = weights.at_hand(networks.of_settings(record.meta["settings"]))
    if network.name != record.meta["settings"]["name"]:
        record = records.load("network_gradients", name=network.name, test_images=count)
    torch.set_num_threads(1)
    first = network_gradients.cases(network, count)[:1]
    found = network_gradients.measure(net, first)
    old = record.rows.drop(columns=[*network_gradients.IDENTITY])
    for what, keep in (("rows of the first picture", lambda t: t["image"] == first[0].name),
                       ("rows of layers", lambda t: t["part"].isin(["convolution", "up-sampling"]))):  # fmt: skip
        new, kept = found[keep(found)], old[keep(old)]
        if not len(kept):
            raise renewal.Unable(f"its pictures are not those here (the first is {first[0].name})")
        yield renewal.rows_again(f"{what} by {network.name}", new, kept, renewal.FLOAT32)


def record(cell: Cell, folder: Path, rows: pd.DataFrame, context: sweep.Context) -> Path:
    """Write the record of one network; its settings are the network's fields, its name and `test_images`."""
    return records.write(
        "network_gradients", rows, **context.told(), seed=cell.network.seed,
        data=[cell.network.home.test[0]], script=Path(__file__),
        settings={**networks.recorded(cell.network), "test_images": cell.images},
        notes=f"Measured on the CPU. Trained on {networks.about(cell.network)['device']}.",
    )  # fmt: skip


def minutes(cell: Cell, profile: str) -> float:
    """Return the estimated minutes of a cell, with its training where the network is not there."""
    there = (networks.folder(cell.network) / "network.json").is_file()
    return MEASURING[profile] + (0.0 if there else TRAINING[profile])


EXPERIMENT = sweep.Experiment(name="network_gradients", cells=cells, run=run, record=record, minutes=minutes)

if __name__ == "__main__":
    sweep.main(EXPERIMENT)
