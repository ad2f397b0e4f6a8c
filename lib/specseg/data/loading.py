"""Data sets as torch sees them: batches that are the same for the same step, whatever the number of workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from specseg.data.samples import DataSet
from specseg.data.transforms import Transform, to_pair

Item = tuple[Tensor, Tensor, str]


class TorchDataset(Dataset):
    """A data set under a transform: item `i` or `(i, seed)` -> image uint8 (3, s, s), label uint8 (s, s), name.

    Labels are bytes here: a worker hands over an eighth of what int64 would need.
    Random transforms draw from torch's generator, seeded by `seed` for the item alone: neither the order of the items
    nor the number of workers changes what an item looks like.
    """

    def __init__(self, data: DataSet, transform: Transform | None = None) -> None:
        self.data, self.transform = data, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        index, seed = key if isinstance(key, tuple) else (key, None)
        sample = self.data[index]
        pair = to_pair(sample.image, sample.label)
        if self.transform is not None:
            with torch.random.fork_rng(devices=[], enabled=seed is not None):
                if seed is not None:
                    torch.manual_seed(seed)
                pair = self.transform(pair)
        return pair[0].as_subclass(Tensor), pair[1].as_subclass(Tensor)[0], sample.name


def order(count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation of 0 .. count - 1 that depends on seed and epoch alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(count)


class Steps(Sampler):
    """Batches of (index, seed), endless, from a step on; the last names of an epoch that fill no batch are left out."""

    def __init__(self, count: int, batch: int, seed: int, start: int = 0) -> None:
        if not 0 < batch <= count:
            raise ValueError(f"batch {batch}: expected 1 .. {count}, the number of samples")
        self.count, self.batch, self.seed, self.start = count, batch, seed, start

    def step(self, number: int) -> list[tuple[int, int]]:
        """The batch of one step; an item's seed depends on seed, epoch and item alone, and is below 2^63."""
        epoch, place = divmod(number, self.count // self.batch)
        chosen = order(self.count, self.seed, epoch)[place * self.batch : (place + 1) * self.batch].tolist()
        states = [np.random.SeedSequence([self.seed, epoch, i]).generate_state(1, np.uint64)[0] for i in chosen]
        return [(i, int(state >> np.uint64(1))) for i, state in zip(chosen, states, strict=True)]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return map(self.step, itertools.count(self.start))


def evaluation_loader(data: DataSet, transform: Transform, batch: int = 1) -> DataLoader:
    """Return a loader over the whole split once, in its order.

    Its batches are images uint8 (B, 3, s, s), labels int64 (B, s, s) and names.
    """

    def together(items: list[Item]) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        images, labels, names = default_collate(items)
        return images, labels.long(), names

    own = torch.Generator().manual_seed(0)  # else the loader draws from torch's
    return DataLoader(TorchDataset(data, transform), batch, collate_fn=together, generator=own)


def draws(
    data: DataSet, transform: Transform, batch: int, *, seed: int = 0, workers: int = 0
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Return step -> (images float (B, 3, s, s) in [0, 1], labels int64 (B, s, s)): equal for equal steps.

    Steps asked for in a row come from one loader that works ahead; any other step starts it anew there.
    """
    items, following, batches = TorchDataset(data, transform), None, iter(())
    options = {"worker_init_fn": _start_worker, "prefetch_factor": 4} if workers else {}

    def draw(step: int) -> tuple[Tensor, Tensor]:
        nonlocal following, batches
        if following != step:
            sampler, own = Steps(len(data), batch, seed, step), torch.Generator().manual_seed(seed)
            batches = iter(DataLoader(items, batch_sampler=sampler, num_workers=workers, generator=own, **options))
        images, labels, _ = next(batches)
        following = step + 1
        return images.float() / 255.0, labels.long()

    return draw


def _start_worker(number: int) -> None:
    """One thread per worker: the workers are the parallelism."""
    torch.set_num_threads(1)
