"""A real network on real pictures: EfficientNet-Lite0 DeepLab v3+ from ImageNet, against colour alone.

Command   python experiments/finetune.py --profile standard
Minutes   about 45 on one core (3 s a step), 25 on two, 3 on a GPU; --profile smoke: under 1. Interrupted, it goes on.
Expect    PASCAL animals (background and six classes): mIoU above 0.4 after 250 steps, more than twice the colour
          histogram's; Dubai land cover: about 0.4 to 0.6, with large differences between held-out tiles.

Sets      VOC 2012: trained on the animal-centred part of the official train list, tested on that of val; pixels of the
          other 14 classes count as void. Dubai: four folds, each tested on two whole tiles. Synthetic (smoke):
          landcover.
Rival     every pixel gets the class that its colour (16 x 16 x 16 bins) had most often in training, either as counted
or
          with equal class priors; both are shown.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from specseg import config, datasets, metrics, records, train
from specseg.datasets import VOID, loading, transforms
from specseg.models import build

ANIMALS = ("background", "cat", "cow", "dog", "horse", "person", "sheep")
BINS = 16


@dataclass(frozen=True)
class Cell:
    """One training: a data set's training and test splits (with their options) and the classes that count."""

    dataset: str
    fold: int
    train_split: str
    test_split: str
    steps: int
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Sizes of a profile's run."""

    backbone: str
    input_size: int
    width: int
    batch: int
    precision: str
    cells: tuple[Cell, ...]


DUBAI = tuple(Cell("dubai", fold, "train", "val", 150) for fold in range(4))
PLANS = {
    "smoke": Plan("tiny", 65, 16, 4, "32-true", (Cell("synthetic", 0, "train", "val", 20),)),
    "standard": Plan(
        "efficientnet_lite0",
        257,
        128,
        8,
        "bf16-mixed",
        (Cell("voc2012", 0, "animals_train", "animals_val", 250, ANIMALS), *DUBAI),
    ),
}
PLANS["paper"] = PLANS["standard"]


class Chosen(torch.utils.data.Dataset):
    """A split with the labels renumbered to the classes that count; the others become void."""

    def __init__(self, cell: Cell, split: str):
        options = {"synthetic": {"regime": "landcover", "size": 129}, "dubai": {"fold": cell.fold}}
        self.data = datasets.open(cell.dataset, split, **options.get(cell.dataset, {}))
        self.classes = cell.classes or self.data.classes
        self.table = torch.full((256,), VOID)
        for number, name in enumerate(self.classes):
            self.table[self.data.classes.index(name)] = number

    def draws(self, plan: Plan, seed: int) -> train.Draw:
        """Return the training batches by step."""
        inner = loading.draws(self.data, transforms.training(plan.input_size), plan.batch, seed=seed)

        def draw(step: int) -> tuple[Tensor, Tensor]:
            images, labels = inner(step)
            return images, self.table[labels]

        return draw

    def batches(self, plan: Plan):
        """Yield the split once, in the evaluation's frame."""
        for images, labels, names in loading.evaluation_loader(self.data, transforms.evaluation(plan.input_size), 4):
            yield images, self.table[labels], names


class ColourHistogram:
    """Class counts per colour bin; as a predictor of each pixel by its own colour."""

    def __init__(self, num_classes: int):
        self.counts = torch.zeros(num_classes, BINS**3, dtype=torch.int64)

    @staticmethod
    def bins(images: Tensor) -> Tensor:
        """Return the colour bin of each pixel of uint8 images (B, 3, h, w)."""
        r, g, b = (images.long() * BINS // 256).unbind(1)
        return (r * BINS + g) * BINS + b

    def add(self, images: Tensor, labels: Tensor) -> None:
        """Count a batch; void is left out."""
        seen = labels != VOID
        flat = labels[seen] * BINS**3 + self.bins(images)[seen]
        self.counts += torch.bincount(flat, minlength=self.counts.numel()).view_as(self.counts)

    def predictions(self, images: Tensor) -> dict[str, Tensor]:
        """Return each pixel's most frequent class by counts, and with equal class priors.

        A colour that was never seen gets the class that is most frequent over all colours.
        """
        totals = self.counts.sum(1, keepdim=True)
        unseen = 1e-6 * totals / totals.sum().clamp(min=1)
        at = self.bins(images)
        return {
            "colour, as counted": (self.counts + unseen).argmax(0)[at],
            "colour, equal priors": (self.counts / totals.clamp(min=1) + 1e-6 * unseen).argmax(0)[at],
        }


def colour_rival(cell: Cell, plan: Plan) -> dict[str, Tensor]:
    """Return the confusion matrices of the colour histogram, trained and tested on the cell's frames."""
    learn, test = Chosen(cell, cell.train_split), Chosen(cell, cell.test_split)
    model = ColourHistogram(len(learn.classes))
    for images, labels, _ in learn.batches(plan):
        model.add(images, labels)
    total: dict[str, Tensor] = {}
    for images, labels, _ in test.batches(plan):
        for name, prediction in model.predictions(images).items():
            part = metrics.confusion_matrix(prediction, labels, len(learn.classes))
            total[name] = total.get(name, 0) + part
    return total


def run(cell: Cell, plan: Plan, seed: int, folder: Path, device: torch.device) -> list[dict]:
    """Train one cell (or go on with it) and return its tidy rows."""
    learn, test = Chosen(cell, cell.train_split), Chosen(cell, cell.test_split)
    torch.manual_seed(seed)
    net = build(
        "deeplabv3plus",
        backbone=plan.backbone,
        num_classes=len(learn.classes),
        input_size=plan.input_size,
        width=plan.width,
        pretrained=plan.backbone != "tiny",
    )
    settings = train.Settings(
        steps=cell.steps, warmup=min(50, cell.steps // 4), precision=plan.precision, seed=seed, checkpoint_steps=25
    )
    fabric = Fabric(accelerator=device.type, devices=1, precision=plan.precision)
    name = f"{cell.dataset}-{cell.fold}-{seed}"

    clock = [time.perf_counter()]

    def tell(step: int, loss: float) -> None:
        clock.append(time.perf_counter())
        if (step + 1) % 10 == 0:
            print(f"{name} {step + 1}/{cell.steps} loss {loss:.3f} {clock[-1] - clock[-2]:.1f} s a step", flush=True)

    history = train.fit(
        net, learn.draws(plan, seed), settings, fabric=fabric, checkpoint=folder / f"{name}.ckpt", on_step=tell
    )
    pace = float(pd.Series(clock).diff().median()) if len(clock) > 1 else float("nan")
    matrices = {"network": train.evaluate(net, test.batches(plan), len(learn.classes), device=device)}
    matrices |= colour_rival(cell, plan)
    shared = {"dataset": cell.dataset, "fold": cell.fold, "seed": seed}
    rows = []
    for predictor, confusion in matrices.items():
        scores = train.iou_rows(confusion, learn.classes).assign(
            **shared, predictor=predictor, unit="1", n=len(test.data)
        )
        rows += scores.to_dict("records")
    shared["predictor"] = "network"
    rows += [
        {**shared, "metric": "loss", "class": f"step {r.step}", "value": r.loss, "unit": "nat", "n": plan.batch}
        for r in history.itertuples()
        if r.step % 10 == 9
    ]
    rows.append(
        {**shared, "metric": "seconds_per_step", "class": "training", "value": pace, "unit": "s", "n": len(clock) - 1}
    )
    return rows


def main(arguments: list[str] | None = None) -> list[Path]:
    """Train what is left; write one record a data set, as soon as its cells are done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="smoke", choices=sorted(PLANS))
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    plan, device = PLANS[args.profile], config.device(args.device)
    folder = config.root() / "_build" / "finetune" / args.profile
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset in dict.fromkeys(cell.dataset for cell in plan.cells):
        cells = [cell for cell in plan.cells if cell.dataset == dataset]
        rows = []
        for cell in cells:
            done = folder / f"{dataset}-{cell.fold}-{args.seed}.json"
            if not done.is_file():
                done.write_text(json.dumps(run(cell, plan, args.seed, folder, device)))
            rows += json.loads(done.read_text())
        written = folder / f"{dataset}-{args.seed}.written"
        if not written.is_file():
            written.write_text(str(record(pd.DataFrame(rows), plan, cells, args, device)))
        paths.append(Path(written.read_text()))
        print(paths[-1], flush=True)
    for file in folder.iterdir():
        file.unlink()
    return paths


def record(rows: pd.DataFrame, plan: Plan, cells: list[Cell], args: argparse.Namespace, device: torch.device) -> Path:
    """Write the record of one data set and show its mIoU."""
    print(rows[rows["metric"] == "miou"].pivot(index=["dataset", "fold"], columns="predictor", values="value"))
    return records.write(
        "finetune",
        rows,
        command=f"python experiments/finetune.py --profile {args.profile}",
        profile=args.profile,
        seed=args.seed,
        data=[cells[0].dataset],
        device=config.device_name(device),
        script=Path(__file__),
        wall_s=float((rows.loc[rows["metric"] == "seconds_per_step", "value"] * cells[0].steps).sum()),
        settings={
            **{k: v for k, v in asdict(plan).items() if k != "cells"},
            "dataset": cells[0].dataset,
            "steps": cells[0].steps,
            "folds": [c.fold for c in cells],
        },
    )


if __name__ == "__main__":
    main()
