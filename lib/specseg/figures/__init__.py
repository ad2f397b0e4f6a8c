"""Figures: one style, one way to show a figure with its caption, and one function per figure in the modules beside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

# Okabe and Ito's palette: told apart with every common colour vision, on white and when printed grey.
COLORS = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#7F7F7F",
}
CYCLE = [COLORS[c] for c in ("blue", "red", "green", "purple", "orange", "sky", "black")]
KIND_COLORS = {"objects": COLORS["blue"], "land cover": COLORS["green"], "streets": COLORS["red"]}
KIND_MARKERS = {"objects": "o", "land cover": "^", "streets": "s"}
MODEL_NAMES = {"deeplabv3plus": "DeepLab v3+", "dan": "DAN"}
REGIMES = {kind.replace(" ", ""): kind for kind in KIND_COLORS}  # of synthetic scenes
_SETS = {
    "pascal": ("PASCAL", "objects"),
    "voc2012": ("PASCAL VOC 2012", "objects"),
    "deepglobe": ("DeepGlobe", "land cover"),
    "dubai": ("Dubai land cover", "land cover"),
    "cityscapes": ("Cityscapes", "streets"),
    "cityscapes_512x256": ("Cityscapes, 512 × 256", "streets"),
    "camvid": ("CamVid", "streets"),
    **{regime: (f"{kind} (synthetic)", kind) for regime, kind in REGIMES.items()},
}
SET_NAMES = {"synthetic": "synthetic", **{key: name for key, (name, _) in _SETS.items()}}
SET_COLORS = {key: KIND_COLORS[kind] for key, (_, kind) in _SETS.items()}
PERCENT = {"tickvals": [1e-4, 1e-3, 0.01, 0.1, 1], "ticktext": ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]}
READABLE = 9.2  # pixels: the least height of letters on any screen, with a little for rounding
STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9.8,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@cache
def _share_formulas() -> None:
    """Let pictures share what was read of formulas, in which a logarithmic axis has its numbers; as matplotlib has it,
    each picture reads all of them anew, a sixth of its time."""
    from matplotlib.backends import backend_agg

    backend_agg.MathTextParser = cache(backend_agg.MathTextParser)


def subplots(rows: int = 1, cols: int = 1, *, size: tuple[float, float], **kwargs):
    """Return matplotlib's (figure, axes) in the book's style; `size` in inches (7 wide fits the page)."""
    import matplotlib

    matplotlib.use("Agg")
    _share_formulas()
    import matplotlib.pyplot as plt
    from cycler import cycler

    with plt.rc_context({**STYLE, "axes.prop_cycle": cycler(color=CYCLE)}):
        return plt.subplots(rows, cols, figsize=size, **kwargs)


def network_look(kind: str, model: str, label: str = "") -> dict[str, Any]:
    """Return what matplotlib is told of a network: kind of scene by colour and marker, model by line and filling."""
    color, dan = KIND_COLORS[kind], model == "dan"
    return {"color": color, "marker": KIND_MARKERS[kind], "ms": 4, "ls": (0, (4, 1.5)) if dan else "-",
            "mfc": "white" if dan else color, "label": label or f"{kind}, {MODEL_NAMES.get(model, model)}"}  # fmt: skip


def legend_below(fig, axes: Iterable, columns: int = 2) -> None:
    """Put one legend for all axes under the figure, every name once, and make room for it."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(name, handle)
    if max(map(len, found), default=0) > 27:  # two of them are wider than a phone
        columns = 1
    width, height = fig.get_size_inches()
    fig.set_size_inches(width, height + 0.21 * -(-len(found) // columns))
    fig.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns)


def painted(label, palette, void: Sequence[int] = (255, 255, 255)) -> np.ndarray:
    """Return a label map as a picture, uint8 (H, W, 3): the palette's colours, void and unknown classes in one.

    >>> painted(np.array([[0, 255]]), [[9, 8, 7]]).tolist()
    [[[9, 8, 7], [255, 255, 255]]]
    """
    table = np.tile(np.array(void, np.uint8), (256, 1))
    table[: len(palette)] = palette
    return table[np.asarray(label)]


def decibels(power: np.ndarray, floor: float = -80) -> np.ndarray:
    """Return powers in dB below the largest, cut at a floor."""
    return 10 * np.log10(np.maximum(power / power.max(), 10 ** (floor / 10)))


def picture(ax, image: np.ndarray, title: str = "", **look):
    """Draw a picture pixel by pixel, without ticks and grid, and return it."""
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)
    return ax.imshow(image, **{"interpolation": "nearest", **look})


def mosaic(rows: Mapping[str, Mapping[str, np.ndarray]]):
    """Draw pictures in rows, each row with its name at the left and the columns' names above."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    side = 4.7 / len(columns)
    fig, axes = subplots(len(rows), len(columns), size=(4.9, side * len(rows) + 0.3), squeeze=False)
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        for ax, column in zip(line, columns, strict=True):
            if column in row:
                picture(ax, row[column], column if name == next(iter(rows)) else "")
            else:
                ax.set_axis_off()
        line[0].set_ylabel(name)
    return fig


def sheet(pictures: Mapping[str, np.ndarray], columns: int):
    """Draw pictures in rows of so many columns, each below its title."""
    rows = -(-len(pictures) // columns)
    fig, axes = subplots(rows, columns, size=(4.9, (4.9 / columns + 0.3) * rows), squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, image) in zip(axes.flat, pictures.items(), strict=False):
        picture(ax, image, title)
    return fig


def uri(image, **saved) -> str:
    """Return a picture of PIL as a data address, a PNG unless `saved` says otherwise."""
    buffer, options = io.BytesIO(), {"format": "png", "optimize": True, **saved}
    image.save(buffer, **options)
    return f"data:image/{options['format']};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@dataclass(frozen=True)
class Shown:
    """A figure as HTML with its caption, alternative text and the source that made it; the last value of a cell."""

    body: str
    caption: str
    source: str
    label: str

    def _repr_html_(self) -> str:
        anchor = f' id="{html.escape(self.label)}"' if self.label else ""
        source = f' <span class="figure-source">Source: {self.source}.</span>' if self.source else ""
        caption = f"<figcaption>{self.caption}{source}</figcaption>"
        return f'<figure class="specseg-figure"{anchor}>{self.body}{caption}</figure>'

    def __repr__(self) -> str:
        return f"<figure: {self.caption}>"


def show(fig, *, caption: str, alt: str, source: str = "", label: str = "") -> Shown:
    """Close a matplotlib figure and return it as a displayable picture.

    `caption` and `source` are short HTML (a link to the record or the cell that made the numbers); `alt` says in plain
    words what the picture shows; `label` becomes the anchor.
    Raises ValueError when caption or alt is empty: a picture without them is not readable by everyone.
    """
    import matplotlib.pyplot as plt

    if not caption.strip() or not alt.strip():
        raise ValueError("figures.show: caption and alt must both say what the picture shows")
    buffer = io.BytesIO()
    if (layout := fig.get_layout_engine()) is not None:  # laid out here, matplotlib need not draw it once for that
        layout.execute(fig)
        fig.set_layout_engine(None)
    box = fig.get_tightbbox().padded(plt.rcParams["savefig.pad_inches"])
    compress = {"compress_level": 3}  # half the time of 6 for 7 % more bytes
    fig.savefig(buffer, format="png", bbox_inches=box, metadata={"Software": None}, pil_kwargs=compress)
    smallest, width = _smallest_text(fig) * fig.dpi / 72, box.width * fig.dpi  # pixels of the picture
    plt.close(fig)
    data = base64.b64encode(buffer.getvalue()).decode()
    # A narrow screen scrolls the picture rather than shrink its words below what can be read.
    least = f' data-text="{smallest:.1f}" style="min-width: {width * READABLE / smallest:.0f}px"' if smallest else ""
    body = f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}"{least}>'
    return Shown(f'<div class="picture">{body}</div>', caption, source, label)


def _smallest_text(fig) -> float:
    """Return the size in points of a figure's smallest words, 0 where it has none; axes that are off have no ticks."""
    from matplotlib.text import Text

    hidden = {t for ax in fig.axes if not ax.axison for axis in (ax.xaxis, ax.yaxis) for t in axis.findobj(Text)}
    drawn = (t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in hidden)
    return min((t.get_fontsize() for t in drawn), default=0.0)


def show_plotly(fig, *, caption: str, alt: str, source: str = "", label: str) -> Shown:
    """Return a plotly figure as a displayable that works offline: the book serves plotly.js itself.

    `label` must be unique on the page: it is the id of the drawing. Raises ValueError as `show` does.
    """
    if not caption.strip() or not alt.strip() or not label.strip():
        raise ValueError("figures.show_plotly: caption, alt and label must all be given")
    fig.update_layout(template="plotly_white", paper_bgcolor="white", plot_bgcolor="white", autosize=True)
    body = fig.to_html(
        full_html=False,
        include_plotlyjs=False,
        include_mathjax=False,
        div_id=f"{label}-plot",
        config={"responsive": True, "displayModeBar": False},
    )
    return Shown(f'<div role="img" aria-label="{html.escape(alt, quote=True)}">{body}</div>', caption, source, label)


def choices(marks: Mapping[str, Mapping[str, tuple]], looks: Mapping[str, dict], *, prefix: str = "", axes: dict):
    """Return a plotly figure of marks on logarithmic axes, with a choice of what stands on the x axis under it.

    `marks[choice][name]` is (x, y), the first choice shown; `looks[name]` what plotly's scatter is told of that name;
    `axes` has xaxis and yaxis. With a `prefix` the choices are numbers on a slider, else names in a menu.
    """
    import plotly.graph_objects as go

    first, own = next(iter(marks)), {"mode": "markers", "hoverlabel": {"namelength": -1}}
    fig = go.Figure([go.Scatter(x=list(x), y=list(y), name=n, **{**own, **looks[n]})
                     for n, (x, y) in marks[first].items()])  # fmt: skip
    chosen = [{"label": name, "method": "restyle", "args": [{"x": [list(x) for x, _ in part.values()],
                                                            "y": [list(y) for _, y in part.values()]}]}
              for name, part in marks.items()]  # fmt: skip
    below = {"x": 0.5, "xanchor": "center", "y": -0.12, "yanchor": "top", "direction": "up", "buttons": chosen}
    control = {"sliders": [{"steps": chosen, "currentvalue": {"prefix": prefix}, "pad": {"t": 45}}]} if prefix else {
        "updatemenus": [{**below, "pad": {"t": 5}, "bgcolor": "#f0f4f8", "showactive": True}]}  # fmt: skip
    fig.update_layout(**axes, **control, height=480, margin={"l": 60, "r": 10, "t": 10, "b": 10},
                      legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})  # fmt: skip
    for axis in (fig.layout.xaxis, fig.layout.yaxis):
        axis.type, axis.dtick = "log", 1
    return fig
