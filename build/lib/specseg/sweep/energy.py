"""What a cell costs: seconds and, where the GPU tells its power, energy; counted on over interruptions."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from specseg.sweep.folder import CellFolder

TICK_S = 1.0
POWER_S = 5.0  # between two samples of the power; each starts a program


def gpu_names() -> list[str]:
    """Return the GPUs that this process sees, by names that hold in every process."""
    import torch

    uuids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
    return [name if name.startswith(("GPU-", "MIG-")) else f"GPU-{name}" for name in uuids]


def parse_watts(text: str) -> float | None:
    """Return the summed power of `nvidia-smi --query-gpu=power.draw --format=csv,noheader,nounits`, in watts.

    None when a line is no number: the device does not tell.

    >>> parse_watts("310.5\\n289.5\\n"), parse_watts("[N/A]\\n")
    (600.0, None)
    """
    try:
        return sum(map(float, text.split())) if text.strip() else None
    except ValueError:
        return None


def watts() -> float | None:
    """Return the present power of the GPUs that this process uses, in watts; None without one that tells it."""
    torch: Any = sys.modules.get("torch")  # a cell that never imported torch uses no GPU
    if torch is None or not torch.cuda.is_initialized():
        return None
    query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-i", ",".join(gpu_names())]
    try:
        return parse_watts(subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout)
    except (OSError, subprocess.SubprocessError):
        return None


class Clock:
    """Seconds and joules of a cell over all attempts, kept in clock.json by a thread, so that a killed one counts too.

    `wall_s` is right to about a second an attempt; `joules` comes from samples, None where the device does not tell.
    """

    def __init__(self, folder: CellFolder) -> None:
        self.folder, before = folder, folder.read("clock.json")
        self.attempts = int(before.get("attempts", 0)) + 1
        self.joules: float | None = before.get("joules")
        self._start = time.monotonic() - float(before.get("wall_s", 0.0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Clock:
        self._keep()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._keep()

    @property
    def wall_s(self) -> float:
        return time.monotonic() - self._start

    def _beat(self) -> None:
        sampled = time.monotonic()
        while not self._stop.wait(TICK_S):
            if (since := time.monotonic() - sampled) >= POWER_S:
                sampled += since
                if (power := watts()) is not None:
                    self.joules = (self.joules or 0.0) + power * since
            self._keep()

    def _keep(self) -> None:
        entry = {"attempts": self.attempts, "wall_s": round(self.wall_s, 3), "joules": self.joules}
        with suppress(OSError):  # a full disk fails the cell where its work is written, not here
            self.folder.write("clock.json", entry)
