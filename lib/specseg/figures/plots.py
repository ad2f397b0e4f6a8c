"""Plots of tidy rows: lines or marks with intervals, in panels below one another, over numbers or beside names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from specseg.figures import COLORS, CYCLE, legend_below, subplots

GUIDE = {"color": COLORS["grey"], "lw": 0.8, "ls": ":"}


class Series(NamedTuple):
    """One line or set of marks: y over x, what matplotlib is told of it (its `fmt` too), and y's interval."""

    x: Any
    y: Any
    look: dict[str, Any]
    low: Any = None
    high: Any = None


def groups(rows: pd.DataFrame, by: str | Sequence[str], x: str, y: str = "value",
           look: str | Callable[..., dict] = "{}", *, interval: bool = True, **shared) -> list[Series]:  # fmt: skip
    """Return a series for each group of rows, in their order, with its interval where the rows have low and high.

    `look` says what matplotlib is told of a group, from its key; a text is the form of its label, and colours differ.
    """
    found = []
    for k, (key, part) in enumerate(rows.groupby([by] if isinstance(by, str) else [*by], sort=False)):
        own = {"label": look.format(*key), "color": CYCLE[k % len(CYCLE)]} if isinstance(look, str) else look(*key)
        ends = (part["low"], part["high"]) if interval and {"low", "high"} <= set(part) else ()
        found.append(Series(part[x], part[y], {**own, **shared}, *ends))
    return found


def curves(rows: pd.DataFrame, x, looks: Mapping[str, tuple[str, str, str]], **shared) -> list[Series]:
    """Return columns of a table over x (a column or numbers); `looks` are column -> (label, colour's name, fmt)."""
    x = rows[x] if isinstance(x, str) else x
    return [Series(x, rows[column], {"label": label, "color": COLORS[color], "fmt": fmt, **shared})
            for column, (label, color, fmt) in looks.items()]  # fmt: skip


def line(x, y, color: str = "black", fmt: str = "-", label: str = "", **look) -> Series:
    """Return one series, without a place in the legend unless it has a label."""
    return Series(x, y, {"color": COLORS[color], "fmt": fmt, "label": label or "_", **look})


def draw(ax, series: Iterable[Series]) -> None:
    """Draw series: the interval of a line is shaded, that of marks are bars."""
    for s in series:
        look = {"ms": 4, **s.look}
        form = [look.pop("fmt")] if "fmt" in look else []
        (drawn,) = ax.plot(s.x, s.y, *form, **look)
        if s.low is None:
            continue
        if drawn.get_linestyle() == "None":
            ax.vlines(s.x, s.low, s.high, color=drawn.get_color(), lw=1)
        else:
            x, low, high = (np.asarray(v, float) for v in (s.x, s.low, s.high))
            ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.15, lw=0)


def panels(titles: Iterable[str], heights: float | Sequence[float], columns: int = 1, share: str = "x"):
    """Return a figure of panels of a height (or one a row) in rows of so many, each under its title, and the panels.

    `share` names the axes that they have in common; a shared x axis is labelled at the lowest alone.
    """
    titles = list(titles)
    count = -(-len(titles) // columns)
    ratios = [heights] * count if isinstance(heights, float | int) else heights
    fig, axes = subplots(count, columns, size=(4.9, sum(ratios) + 0.4), squeeze=False, height_ratios=ratios,
                         sharex="x" in share, sharey="y" in share)  # fmt: skip
    for ax, title in zip(axes.flat, titles, strict=True):
        ax.set_title(title)
    return fig, list(axes.flat)


def dress(fig: Figure, axes: Sequence, *, xlabel="", ylabel="", log: str = "", percent: str = "", ticks=(), at_x=(),
          at_y=(), legend: int = 2, **limits) -> Figure:  # fmt: skip
    """Give panels their words, scales and one legend below of so many columns (0: none); return the figure.

    Labels are for all panels or one each. `log` and `percent` name axes, `ticks` are the numbers of a logarithmic x
    axis, `at_x` and `at_y` dotted lines; matplotlib is told `limits`.
    """
    shared = len(axes) > 1 and axes[0].get_shared_x_axes().joined(axes[0], axes[-1])
    for k, ax in enumerate(axes):
        x, y = (label if isinstance(label, str) else label[k] for label in (xlabel, ylabel))
        place = ax.get_subplotspec()
        ax.set(**{f"{axis}scale": "log" for axis in log}, **limits)
        ax.set(xlabel="" if shared and not place.is_last_row() else x, ylabel=y if place.is_first_col() else "")
        for values, guide in ((at_x, ax.axvline), (at_y, ax.axhline)):
            for value in values:
                guide(value, **GUIDE)
        if len(ticks):
            plain_ticks(ax, ticks)
        for axis in percent:
            (ax.xaxis if axis == "x" else ax.yaxis).set_major_formatter(PercentFormatter(1))
    if legend:
        legend_below(fig, axes, legend)
    return fig


def plot(shown: Mapping[str, list[Series]] | list[Series], *, height: float = 2.6, columns: int = 1, share: str = "x",
         **words) -> Figure:  # fmt: skip
    """Draw a panel for each title, of its series, or one alone; `words` as `dress` takes them."""
    shown = shown if isinstance(shown, Mapping) else {"": shown}
    fig, axes = panels(shown, height if len(shown) > 1 else height + 1, columns, share)
    for ax, series in zip(axes, shown.values(), strict=True):
        draw(ax, series)
    return dress(fig, axes, **words)


def forest(shown: Mapping[str, list[Series]] | list[Series], *, order: Sequence = (), height: float = 0.34,
           dodge: float = 0.6, **words) -> Figure:  # fmt: skip
    """Draw marks in a row for each name, those of `order` on top: x are numbers and their intervals, y names of rows.

    The series of a row lie over `dodge` of it, those without a marker in its middle. A look's `bar` is the width of its
    intervals. Panels and `words` are as for `plot`.
    """
    shown = shown if isinstance(shown, Mapping) else {"": shown}
    names = []
    for series in shown.values():
        found = dict.fromkeys(name for s in series for name in s.y)
        names.append([name for name in dict.fromkeys([*order, *found]) if name in found])
    fig, axes = panels(shown, [height * len(own) + 0.4 for own in names])
    for ax, series, own in zip(axes, shown.values(), names, strict=True):
        shift = iter(np.linspace(-dodge, dodge, 2 * sum(s.look.get("marker") != "" for s in series) + 1)[1::2] / 2)
        for s in series:
            look = {"ms": 5, "marker": "o", "bar": 1.4, **s.look, "ls": ""}
            y = np.array([own.index(name) for name in s.y]) + (next(shift) if look["marker"] else 0)
            if s.low is not None:
                ax.hlines(y, s.low, s.high, color=look["color"], lw=look["bar"], zorder=1)
            del look["bar"]
            ax.plot(s.x, y, **look)
        ax.set_yticks(range(len(own)), [fill(str(name), 24) for name in own])
        ax.set_ylim(len(own) - 0.4, -0.6)
    return dress(fig, axes, **words)


def cells(ax, values: pd.DataFrame, words: pd.DataFrame, **look) -> None:
    """Draw a table: its values as pale colours, words in its cells, index and columns beside it."""
    ax.imshow(values.to_numpy(float), aspect="auto", alpha=0.5, vmin=0, vmax=1, **look)
    for (y, x), text in np.ndenumerate(words.to_numpy()):
        ax.text(x, y, text, ha="center", va="center", fontsize=9)
    ax.set_yticks(range(len(values)), values.index, fontsize=9)
    ax.set_xticks(range(len(values.columns)), values.columns)
    ax.grid(False)


def plain_ticks(ax, values: Iterable[float]) -> None:
    """Make the x axis logarithmic, with those of the values that it reaches as plain numbers and no other ticks."""
    ax.set_xscale("log")
    low, high = sorted(ax.get_xlim())
    shown = [v for v in values if low <= v <= high]
    ax.set_xticks(shown, [f"{v:g}" for v in shown])
    ax.xaxis.set_minor_locator(NullLocator())


def signed(ax, linthresh: float, ticks: Sequence[float], form: str = "{:g}", axis: str = "y") -> None:
    """Make an axis logarithmic on both sides of zero, with ticks in a form and none between."""
    getattr(ax, f"set_{axis}scale")("symlog", linthresh=linthresh)
    one = getattr(ax, f"{axis}axis")
    one.set_ticks(list(ticks), [form.format(t) for t in ticks])
    one.set_minor_locator(NullLocator())
