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


def parse_watts(text: str) -> float | None:
    """Return the summed power of `nvidia-smi --query-gpu=power.draw --format=csv,noheader,nounits`, in watts.

    None when a line is no number: the device does not tell.

    >>> parse_watts("310.5\\n289.5\\n"), parse_watts("[N/A]\\n")
    (600.0, None)
    """
    try:
        return sum(float(line) for line in text.split("\n") if line.strip()) if text.strip() else None
    except ValueError:
        return None


def watts() -> float | None:
    """Return the present power of the GPUs that this process uses, in watts; None without one that tells it."""
    torch: Any = sys.modules.get("torch")  # a cell that never imported torch uses no GPU
    if torch is None or not torch.cuda.is_initialized():
        return None
    uuids = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
    query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits", "-i"]
    query.append(",".join(u if u.startswith(("GPU-", "MIG-")) else f"GPU-{u}" for u in uuids))
    try:
        return parse_watts(subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout)
    except (OSError, subprocess.SubprocessError):
        return None


class Clock:
    """Seconds and joules of a cell, kept in clock.json by a thread, so that a killed attempt counts too."""

    def __init__(self, folder: CellFolder) -> None:
        self.folder = folder
        before = folder.read("clock.json")
        self.attempts = int(before.get("attempts", 0)) + 1
        self._wall_before = float(before.get("wall_s", 0.0))
        self._joules: float | None = before.get("joules")
        self._start = self._last = time.monotonic()
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
        """Seconds of all attempts so far, to about a second each."""
        return self._wall_before + time.monotonic() - self._start

    @property
    def energy_kwh(self) -> float | None:
        """Energy of all attempts so far in kWh, from samples of the power; None where the device does not tell."""
        return None if self._joules is None else self._joules / 3.6e6

    def _beat(self) -> None:
        while not self._stop.wait(TICK_S):
            if (since := time.monotonic() - self._last) >= POWER_S:
                self._last += since
                if (power := watts()) is not None:
                    self._joules = (self._joules or 0.0) + power * since
            self._keep()

    def _keep(self) -> None:
        with suppress(OSError):  # a full disk fails the cell where its work is written, not here
            entry = {"attempts": self.attempts, "wall_s": round(self.wall_s, 3), "joules": self._joules}
            self.folder.write("clock.json", entry)
