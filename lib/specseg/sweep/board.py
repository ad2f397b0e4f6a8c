"""What a person sees of a sweep: the cells at work with their last words, and the table of all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from specseg.evidence import config
from specseg.sweep.folder import CellFolder, State
from specseg.sweep.work import Sweep

COLOURS = {"done": "green", "failed": "red", "damaged": "red", "running": "cyan", "interrupted": "yellow"}
QUIET_S = 30.0  # without a terminal a cell's words are printed at most this often


class Board:
    """Live progress on a terminal, plain lines elsewhere (and in continuous integration)."""

    def __init__(self, console: Console, total: int) -> None:
        self.console, self.total, self.ended = console, total, 0
        self._running: dict[str, tuple[float, str]] = {}
        self._printed: dict[str, float] = {}
        self._note = ""
        self.live = console.is_terminal and not config.in_ci()
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4, transient=True)

    def __enter__(self) -> Board:
        if self.live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self._live.stop()

    def start(self, key: str, where: str = "") -> None:
        self._running[key] = (time.monotonic(), where or "started")
        if not self.live:
            self.console.print(f"{key}: {where or 'started'}", markup=False)

    def tell(self, key: str, text: str) -> None:
        """Show the last words of a cell at work."""
        began, old = self._running.get(key, (time.monotonic(), ""))
        self._running[key] = (began, text)
        here = time.monotonic()
        if not self.live and text != old and here - self._printed.get(key, began) >= QUIET_S:
            self._printed[key] = here
            self.console.print(f"{key}: {text}", markup=False)

    def end(self, key: str, state: State, folder: CellFolder) -> None:
        """Print how a cell ended; a failed one with its log."""
        self._running.pop(key, None)
        self.ended += 1
        words = Text(f"{self.ended}/{self.total} ").append(state.name, COLOURS.get(state.name, "")).append(f" {key}")
        if state.name == "done":
            words.append(f" in {duration(state.done['wall_s'])}")
        else:
            words.append(f": {state.why}; log: {folder.log}")
        self.console.print(words, soft_wrap=True)

    def drop(self, key: str) -> None:
        """Forget a cell that turned out to be somebody else's."""
        self._running.pop(key, None)

    def note(self, text: str) -> None:
        """Show what the sweep waits for; printed once without a terminal."""
        if text != self._note and not self.live and text:
            self.console.print(text, markup=False, soft_wrap=True)
        self._note = text

    def _table(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        for key, (began, text) in self._running.items():
            grid.add_row(Text(key, "cyan"), duration(time.monotonic() - began), Text(text, overflow="ellipsis"))
        left = f"{self.total - self.ended} of {self.total} cells to go"
        grid.add_row(Text(f"{left}; {self._note}" if self._note else left, "dim"))
        return grid


def status_table(sweep: Sweep, cells: Iterable[str]) -> Table:
    """Return the table of cells: state, last words, minutes so far, record."""
    table = Table(title=f"{sweep.experiment.name}, profile {sweep.profile}: {sweep.folder}")
    for name in ("cell", "state"):
        table.add_column(name, overflow="fold")
    table.add_column("last words", overflow="fold")
    table.add_column("minutes", justify="right")
    table.add_column("record", overflow="fold")
    for key in cells:
        state, folder = sweep.state(key), sweep.of(key)
        seconds: Any = state.done.get("wall_s", folder.read("clock.json").get("wall_s"))
        last = folder.last_told() if state.name in ("running", "interrupted") else state.why
        shown = "done, " + state.why if state.name == "done" and state.why else state.name
        table.add_row(
            Text(key),
            Text(shown, COLOURS.get(state.name, "")),
            Text("" if state.name == "done" else last),
            "" if seconds is None else f"{seconds / 60:.1f}",
            Text(state.done.get("record") or ""),
        )
    return table


def duration(seconds: float) -> str:
    """Return seconds in words.

    >>> duration(8.04), duration(75), duration(7200)
    ('8.0 s', '1 min 15 s', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"
