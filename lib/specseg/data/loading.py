"""Data sets as torch sees them: batches that are the same for the same step, whatever the number of workers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

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


def step_items(step: int, *, count: int, batch: int, seed: int) -> list[tuple[int, int]]:
    """Return the batch of one step, (index, seed) each; the last names of an epoch that fill no batch are left out.

    An item's seed depends on seed, epoch and item alone, and is below 2^63. Raises ValueError for a batch that is not
    1 .. `count`, the number of samples.
    """
    if not 0 < batch <= count:
        raise ValueError(f"batch {batch}: expected 1 .. {count}, the number of samples")
    epoch, place = divmod(step, count // batch)
    chosen = order(count, seed, epoch)[place * batch : (place + 1) * batch].tolist()
    states = [np.random.SeedSequence([seed, epoch, i]).generate_state(1, np.uint64)[0] for i in chosen]
    return [(i, int(state >> np.uint64(1))) for i, state in zip(chosen, states, strict=True)]


def evaluation_batches(data: DataSet, transform: Transform, batch: int) -> Iterator[tuple[Tensor, Tensor, tuple]]:
    """Yield the whole split once, in its order: images uint8 (B, 3, s, s), labels int64 (B, s, s) and names."""
    items = TorchDataset(data, transform)
    for start in range(0, len(data), batch):
        images, labels, names = default_collate([items[i] for i in range(start, min(start + batch, len(data)))])
        yield images, labels.long(), names


def draws(
    data: DataSet, transform: Transform, batch: int, *, seed: int = 0, workers: int = 0
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Return step -> (images float (B, 3, s, s) in [0, 1], labels int64 (B, s, s)): equal for equal steps.

    Steps asked for in a row come from one loader that works ahead; any other step starts it anew there.
    """
    items, following, batches = TorchDataset(data, transform), None, iter(())
    at = partial(step_items, count=len(data), batch=batch, seed=seed)
    options = {"worker_init_fn": _start_worker, "prefetch_factor": 4} if workers else {}

    def draw(step: int) -> tuple[Tensor, Tensor]:
        nonlocal following, batches
        if following != step:
            sampler, own = map(at, itertools.count(step)), torch.Generator().manual_seed(seed)
            batches = iter(DataLoader(items, batch_sampler=sampler, num_workers=workers, generator=own, **options))
        images, labels, _ = next(batches)
        following = step + 1
        return images.float() / 255.0, labels.long()

    return draw


def _start_worker(number: int) -> None:
    """One thread per worker: the workers are the parallelism."""
    torch.set_num_threads(1)
