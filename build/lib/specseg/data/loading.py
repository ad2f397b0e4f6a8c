"""Data sets as torch sees them: batches that are the same for the same step, whatever the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from specseg.data.samples import DataSet
from specseg.data.transforms import Transform, to_pair

Item = tuple[Tensor, Tensor, str]


class TorchDataset(Dataset):
    """A data set under a transform: item `i` or `(i, seed)` -> image uint8 (3, s, s), label uint8 (s, s), name.

    Labels are bytes here: a worker hands over an eighth of what int64 would need (`Batches` makes them int64).
    Random transforms draw from torch's generator, seeded by `seed` for the item alone: neither the order of the items
    nor the number of workers changes what an item looks like.
    """

    def __init__(self, data: DataSet, transform: Transform | None = None) -> None:
        self.data, self.transform = data, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        index, seed = key if isinstance(key, tuple) else (key, None)
        if hasattr(self.data, "classes_map"):
            image, label = self.data.image(index), self.data.classes_map(index)
            if image.shape[:2] != label.shape:
                name = self.data.ids[index]
                raise ValueError(f"{name}: image is {image.shape[:2]} but label is {label.shape}; they must be equal")
        else:
            sample = self.data[index]
            image, label = sample.image, sample.label
        pair = to_pair(image, label)
        if self.transform is not None:
            if seed is None:
                pair = self.transform(pair)
            else:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed)
                    pair = self.transform(pair)
        return pair[0].as_subclass(Tensor), pair[1].as_subclass(Tensor)[0], self.data.ids[index]


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation of 0 .. count - 1 that depends on seed and epoch alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


def item_seed(seed: int, epoch: int, index: int) -> int:
    """Return the seed of one item's random transform, below 2^63."""
    return int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Steps(Sampler):
    """Batches of (index, seed), endless, from a step on; the last names of an epoch that fill no batch are left out."""

    def __init__(self, count: int, batch: int, seed: int, start: int = 0) -> None:
        if not 0 < batch <= count:
            raise ValueError(f"batch {batch}: expected 1 .. {count}, the number of samples")
        self.count, self.batch, self.seed, self.start = count, batch, seed, start

    def step(self, number: int) -> list[tuple[int, int]]:
        """The batch of one step."""
        per_epoch = self.count // self.batch
        epoch, place = divmod(number, per_epoch)
        chosen = order(self.count, self.seed, epoch)[place * self.batch : (place + 1) * self.batch]
        return [(int(i), item_seed(self.seed, epoch, int(i))) for i in chosen]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        number = self.start
        while True:
            yield self.step(number)
            number += 1


class Batches:
    """Batches of a DataLoader: images uint8 (B, 3, s, s), labels int64 (B, s, s), names."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, tuple[str, ...]]]:
        return ((images, labels.long(), names) for images, labels, names in self.loader)

    def __len__(self) -> int:
        return len(self.loader)


def training_loader(
    data: DataSet,
    transform: Transform,
    batch: int,
    *,
    seed: int = 0,
    start: int = 0,
    workers: int = 0,
) -> Batches:
    """Return an endless loader of training batches from step `start` on."""
    steps = Steps(len(data), batch, seed, start)
    return Batches(DataLoader(TorchDataset(data, transform), batch_sampler=steps, **_workers(workers, seed)))


def evaluation_loader(data: DataSet, transform: Transform, batch: int = 1, *, workers: int = 0) -> Batches:
    """Return a loader over the whole split once, in its order."""
    items = TorchDataset(data, transform)
    return Batches(DataLoader(items, batch_size=batch, shuffle=False, **_workers(workers, 0)))


def draws(
    data: DataSet,
    transform: Transform,
    batch: int,
    *,
    seed: int = 0,
    workers: int = 0,
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Return step -> (images float (B, 3, s, s) in [0, 1], labels int64 (B, s, s)): equal for equal steps.

    Steps asked for in a row come from one loader that works ahead; any other step starts it anew there.
    """
    state: dict = {"next": None, "batches": None}

    def draw(step: int) -> tuple[Tensor, Tensor]:
        if state["next"] != step:
            loader = training_loader(data, transform, batch, seed=seed, start=step, workers=workers)
            state["batches"] = iter(loader)
        images, labels, _ = next(state["batches"])
        state["next"] = step + 1
        return images.float() / 255.0, labels

    return draw


def _workers(count: int, seed: int) -> dict:
    settings = {"num_workers": count, "generator": torch.Generator().manual_seed(seed)}
    if count:
        settings |= {"worker_init_fn": _start_worker, "prefetch_factor": 4}
    return settings


def _start_worker(number: int) -> None:
    """One thread per worker: the workers are the parallelism."""
    torch.set_num_threads(1)
