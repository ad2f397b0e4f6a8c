"""The one walk over label maps: chunks of them, workers, scratch that a stopped run goes on from, sums that add up.

Nothing here grows with the number of maps but the list of their names: a chunk's numbers lie on disk, and sums over
maps, the bootstrap's resamples among them, are added chunk by chunk.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np

from specseg.evidence import provenance

CHUNK = 16


class BadFile(ValueError):
    """A file that cannot be used; the message names it and says what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message.encode("utf-8", "backslashreplace").decode())  # a name may be in another encoding


Work = Callable[[Any, Any], dict[str, np.ndarray] | None]


def run(items: Sequence[Any], folder: Path, work: Work, context: Any, *, workers: int = 1, keep_going: bool = False,
        advance: Callable[[int], object] = lambda n: None,
        ) -> Iterator[tuple[dict[str, np.ndarray], list[str], list[dict[str, str]]]]:  # fmt: skip
    """Yield (numbers stacked over maps, their names, bad files) of each chunk, in order.

    An item is one map: its `name`, and its `key`, plain values that differ once its numbers would.
    `work(context, item)` gives one map's numbers, None for a map that says nothing; a BadFile it raises ends the run,
    or with `keep_going` is listed as {"file", "reason"}. `folder` keeps one file a chunk, which is used again when it
    holds the same files in the same state. `workers` > 1 starts that many processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(folder / f"{k // CHUNK:05d}.npz", list(items[k : k + CHUNK])) for k in range(0, len(items), CHUNK)]
    for file, part in _ready(jobs, work, context, workers):
        found = _read(file, part)
        if found is None:
            raise RuntimeError(f"{file}: another program changed this file while it was in use")
        numbers, names, bad = found
        if bad and not keep_going:
            raise BadFile(bad[0]["reason"])
        advance(len(part))
        yield numbers, names, bad


def _ready(jobs: list, work: Work, context: Any, workers: int) -> Iterator[tuple[Path, list]]:
    """Yield the jobs in order, each once its file is on disk."""
    todo = {file for file, part in jobs if _read(file, part, only_state=True) is None}
    if workers <= 1 or len(todo) <= 1:
        _one_thread()
        for file, part in jobs:
            if file in todo:
                chunk(file, part, work, context)
            yield file, part
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(todo)), mp_context=spawn, initializer=_start_worker) as pool:
        running = {job[0]: pool.submit(chunk, *job, work, context) for job in jobs if job[0] in todo}
        try:
            for file, part in jobs:
                if file in todo:
                    running.pop(file).result()
                yield file, part
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    import torch  # seconds to load, and a mistyped path is answered before

    torch.set_num_threads(1)


def _start_worker() -> None:
    """One thread a worker, and an end with its parent: a killed run leaves no process behind."""
    _one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    parent = multiprocessing.parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def chunk(file: Path, items: Sequence[Any], work: Work, context: Any) -> None:
    """Measure some maps and write their numbers, and which files are bad, to `file`, whole or not at all."""
    found, names, bad = [], [], []
    for item in items:
        try:
            one = work(context, item)
        except BadFile as err:
            bad.append({"file": item.name, "reason": str(err)})
            continue
        if one is not None:
            found.append(one)
            names.append(item.name)
    arrays = {key: np.stack([f[key] for f in found]) for key in found[0]} if found else {}
    told = json.dumps({"state": _state(items), "names": names, "bad": bad})
    partial = file.with_name(f"{file.stem}.{os.getpid()}.tmp.npz")
    np.savez_compressed(partial, told=np.frombuffer(told.encode(), np.uint8), **arrays)
    os.replace(partial, file)


def _state(items: Sequence[Any]) -> list:
    return [[item.name, *item.key] for item in items]


def _read(file: Path, items: Sequence[Any], only_state: bool = False):
    """Return what a chunk's file holds, None where it is missing, damaged, or of other files."""
    if not file.is_file():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            told = json.loads(bytes(kept["told"]).decode())
            if told["state"] != _state(items):
                return None
            arrays = {} if only_state else {key: kept[key] for key in kept.files if key != "told"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return arrays, told["names"], told["bad"]


def scratch_key(parts: dict, code: Sequence[Path]) -> str:
    """Return a short hash of what decides the numbers of a stage: its settings and the code that measures.

    Scratch is kept below this key, so a run with other settings or other code never takes it for its own.
    """
    text = json.dumps([parts, provenance.module_hashes(list(code)), [provenance.code_hash(p) for p in code]],
                      sort_keys=True, default=str)  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def weights(group: str, draws: int, seed: int) -> np.ndarray:
    """Return how often a group of maps occurs in each bootstrap sample, float64 (draws + 1,): 1 in the data itself.

    Poisson(1) counts, drawn from the group's name and the seed: the bootstrap of a stream (Hanley and MacGibbon 2006;
    Chamandy et al. 2012). Unlike drawing n of n, it needs neither n nor all maps at once.

    >>> weights("a", 3, 0)[0], bool((weights("a", 3, 0) == weights("a", 3, 0)).all())
    (np.float64(1.0), True)
    """
    digest = hashlib.sha256(group.encode()).digest()
    rng = np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])
    return np.concatenate([[1.0], rng.poisson(1.0, draws)])


class Sums:
    """Sums over maps: `plain` of each key, `drawn` of some keys in every bootstrap sample (draws + 1, ...)."""

    def __init__(self, draws: int, seed: int, keys: Sequence[str]) -> None:
        self.draws, self.seed, self.keys = draws, seed, tuple(keys)
        self.plain: dict[str, np.ndarray] = {}
        self.drawn: dict[str, np.ndarray] = {}
        self.count = 0
        self.groups: set[bytes] = set()
        self.maps = np.zeros(draws + 1)  # how many are in each bootstrap sample, the data itself first

    def add(self, numbers: dict[str, np.ndarray], groups: Sequence[str]) -> None:
        """Add the numbers of some maps, stacked over maps, and the bootstrap group of each."""
        if not groups:
            return
        times = np.stack([weights(g, self.draws, self.seed) for g in groups], axis=1)
        for key, values in numbers.items():
            self.plain[key] = self.plain.get(key, 0.0) + values.sum(0, dtype=np.float64)
            if key in self.keys:
                flat = times @ values.reshape(len(values), -1).astype(np.float64)
                self.drawn[key] = self.drawn.get(key, 0.0) + flat.reshape(self.draws + 1, *values.shape[1:])
        self.maps += times.sum(1)
        self.count += len(groups)
        self.groups |= {hashlib.sha256(g.encode()).digest()[:8] for g in groups}
