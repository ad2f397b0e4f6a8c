"""The advice in words, tables and one self-contained page that asks no network for anything; light, dark, any width."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

Table = tuple[list[str], list[list[str]], int]  # heads, lines, place of the recommended line
MODEL_NAMES = {"deeplabv3plus": "DeepLab v3+", "dan": "DAN"}
STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --line: #c9c9c9; --mark: #fff3c4; --soft: #595959; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #16181c; --line: #454a52; --mark: #4a3f12; --soft: #b0b0b0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.lead { font-size: 1.1rem; border-left: .3rem solid #0072b2; padding-left: .8rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.chosen td { background: var(--mark); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; height: auto; background: #fff; border-radius: .3rem; }
figcaption, .soft { color: var(--soft); font-size: .9rem; }
pre { overflow-x: auto; font-size: .85rem; }
.warnings li { margin: .3rem 0; }
"""


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as per cent, a dash where there is none.

    >>> percent(0.0214), percent(None)
    ('2.1 %', '-')
    """
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def between(score: Mapping) -> str:
    """Return a score with its interval.

    >>> between({"value": 0.5, "low": 0.4, "high": 0.6})
    '0.500 [0.400, 0.600]'
    """
    if score["value"] is None:
        return "-"
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def worth(data: Mapping) -> list[str]:
    """Return what the rule is worth on trained networks, and what they lost at half of the grid; [] without a record.

    The first thing to know: where labels alone do no better than half of the grid, the advice says so.
    """
    rule, out = data["evidence"]["rule"], []
    better = [r["kind"] for r in rule if r["high"] < 0]
    if rule and len(better) < len(rule):
        others = [r["kind"] for r in rule if r["kind"] not in better]
        out.append("On trained networks, advice from labels alone was no better than always half of the grid on "
                   f"{' and '.join(others)}" + (f", and better on {' and '.join(better)}" if better else "")
                   + ": take what follows as a place to start, and measure.")  # fmt: skip
    for share, word in ((0.5, "half"), (0.25, "a quarter")):
        drops = [f"{r['kind']} {percent(r['low'])} to {percent(r['high'])} ({r['networks']} networks)"
                 for r in data["evidence"]["drops"] if r["share"] == share]  # fmt: skip
        if drops:
            out.append(f"Lost of the mIoU at {word} of the grid, truncated without training again: {', '.join(drops)}.")
    return out


def sentences(data: Mapping) -> list[str]:
    """Return the recommendation in plain sentences: the grid, the blocks, what is lost first, what every pixel says."""
    advice, tolerated = data["recommendation"], percent(data["settings"]["max_drop"])
    lrg, block, out = advice["lrg"], advice["blocks"], []
    side = lrg["lrg_size"]
    if whole(data):
        out.append(
            f"Do not truncate below {side} x {side}: {tolerated} of mIoU are tolerated, and labels cut to the next "
            f"smaller grid's band ({lrg['next_smaller']['lrg_size']}) lose {lost(lrg['next_smaller']['drop'])}."
        )
    else:
        saved = [f"{percent(r['flops_saved'], 0)} of the FLOPs" + (
                 f" and {percent(r['time_saved'], 0)} of the measured time" if r["time_saved"] is not None else "")
                 + f" of {MODEL_NAMES[r['model']]}" for r in data["costs"] if r["lrg_size"] == side]  # fmt: skip
        out.append(f"LRG of {side} x {side} (nu_max {lrg['nu_max']}): labels cut to its band lose {lost(lrg['drop'])} "
                   f"of mIoU; tolerated {tolerated}. It saves {' and '.join(saved)}.")  # fmt: skip
    if block:
        row = next(r for r in data["blocks"] if r["lrg_size"] == block["lrg_size"])
        out.append(f"Blocks of {block['block_px']:.3g} pixels ({block['lrg_size']} x {block['lrg_size']}) lose "
                   f"{lost(block['drop'])}. {_effort(row)}")  # fmt: skip
    else:
        best = advice["finest_blocks"]
        out.append(f"No block size holds {tolerated}: blocks of {best['block_px']:.3g} pixels, the finest tried, lose "
                   f"{lost(best['drop'])}.")  # fmt: skip
    out.append(f"Lost first: {', '.join(advice['lost_first'])}.")
    strict = advice["every_pixel"]["lrg"]
    if data["data"]["void"] > 0 and strict["lrg_size"] != lrg["lrg_size"]:
        out.append(f"With void filled and every pixel scored, the grid would be {strict['lrg_size']}.")
    return out


def _effort(row: Mapping) -> str:
    if not row["break_even_px"]:
        return ""
    return (
        f"{row['mixed']:.0f} of {row['blocks']} blocks a map hold a contour; if only these cost a decision each, "
        f"tracing contours takes more points where one is set more often than every {row['break_even_px']:.1f} pixels "
        "(a model of effort, not a measurement)."
    )


def scope(data: Mapping) -> str:
    """Return what was measured in one sentence, the sample's standard error with it."""
    d = data["data"]
    frame = data["frame"]
    of = f"{d['measured']} of {d['found']} maps" if frame["frame"] != "tiles" else (
        f"{d['measured']} tiles of {frame['maps']} of {d['found']} maps")  # fmt: skip
    text = f"{of} measured in a frame of {data['settings']['size']} pixels"
    if d["sampled"] and data["recommendation"]["lrg"]:
        error = d["sample_error"][str(data["recommendation"]["lrg"]["lrg_size"])]
        text += f"; standard error of the sample: {error:.4f} of mIoU" if error is not None else ""
    return (
        f"{text}; {d['classes']} classes, contours of {d['contour']:.1f} frame sides a map, void {percent(d['void'])}."
    )


def seen(data: Mapping) -> list[str]:
    """Return how the stored values were read, at which scale the maps were seen and how much of them, in sentences."""
    frame, out = data["frame"], list(data["read"])
    scale = frame["scale"]
    apart = scale["high"] / scale["low"] > 1.01
    size = f"{scale['value']:.3g}" + (f" ({scale['low']:.3g} .. {scale['high']:.3g})" if apart else "")
    how = {"shrink": "short side to the frame, centre", "crop": "own scale, centre", "native": "own scale, centre",
           "tiles": "own scale, tiles"}[frame["frame"]]  # fmt: skip
    out.append(f"Seen: {how} (--frame {frame['frame']}); scale {size} frame pixels a map pixel; "
               f"{percent(frame['seen'], 0)} of the maps' pixels. {frame['why']}".strip())  # fmt: skip
    for other in data["scales"]:
        word = "shrunk to the frame" if other["frame"] == "shrink" else "at their own scale"
        best = f"LRG of {other['lrg_size']}" if other["lrg_size"] else "no grid holds the tolerance"
        out.append(f"The advice goes with the scale: {word} ({other['scale']:.3g}; {other['frames']} frames) it would "
                   f"be: {best}; the grid advised here loses {percent(other['drop_here'])} there.")  # fmt: skip
    return out


def whole(data: Mapping) -> bool:
    """Say whether the advice is not to truncate."""
    return data["recommendation"]["lrg"]["lrg_size"] == max(r["lrg_size"] for r in data["costs"])


def steps(data: Mapping) -> list[str]:
    """Return what to do next, in sentences: the annotation tool's block, what the lines of code do, the trial."""
    out, block, told = [], data["recommendation"]["blocks"], data["trial"]
    scale = data["frame"]["scale"]["value"]
    if block:
        out.append(f"Annotation tool: blocks of {block['block_px'] / scale:.3g} pixels of the stored maps.")
    if data["recommendation"]["lrg"]["next_smaller"] and whole(data):
        out.append("The lines of code below try the next smaller grid; the advice is not to truncate.")
    else:
        out.append("The lines of code below truncate a network to the advised grid.")
    if told is None:
        out.append(
            "Your own network's drop is measured by: specseg advise LABELS --try MODEL.py:build --pictures FOLDER"
        )
        return out
    kept = " and brought back to its grid, which the layer needs: nothing is saved" if told["keep_grid"] else ""
    out.append(f"Tried: {told['network']}, input of its layer {told['layer']} (maps of {told['grid']} points; --layer "
               f"takes another) made coarser{kept}; {told['frames']} frames, mIoU {told['miou']:.3f}.")  # fmt: skip
    out += [f"At {r['lrg_size']} points it loses {lost(r)} of mIoU." if r["changed"] else
            f"At {r['lrg_size']} points nothing changes: its maps are no finer." for r in told["drops"]]  # fmt: skip
    if told["miou"] < 0.2:
        out.append("Its mIoU is so low that something may be wrong: pictures come as RGB in 0 .. 1, which the network "
                   "of build() must normalise itself, and its classes must have the labels' order.")  # fmt: skip
    return out


def lost(score: Mapping) -> str:
    """Return a relative loss with its interval in per cent.

    >>> lost({"value": 0.021, "low": 0.015, "high": 0.03})
    '2.1 [1.5, 3.0] %'
    """
    return f"{_lost(score)} %"


def _lost(score: Mapping) -> str:
    if score["value"] is None:
        return "-"
    value, low, high = (f"{100 * score[k]:.1f}" for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def grid_table(data: Mapping, *, short: bool = False) -> Table:
    """Return (heads, lines, place of the recommended line) of the LRG sizes; `short` fits a terminal."""
    heads = ["LRG", "nu_max", "mIoU lost, %", "mIoU kept", "boundary IoU"]
    heads += [f"{name} {what}" for name in MODEL_NAMES.values() for what in ("FLOPs saved", "time saved")]
    if short:
        heads = ["LRG", "nu", "lost, %", "mIoU", "bIoU", "v3+\nFLOPs", "v3+\ntime", "DAN\nFLOPs", "DAN\ntime"]
    rows, show = [r for r in data["ceilings"] if r["kind"] == "band"], _bare if short else between
    lines = []
    for r in rows:
        cost = {c["model"]: c for c in data["costs"] if c["lrg_size"] == r["lrg_size"]}
        saved = [percent(cost[m][k], 0 if short else 1) for m in MODEL_NAMES for k in ("flops_saved", "time_saved")]
        lines.append([str(r["lrg_size"]), str(r["nu_max"]), _lost(r["drop"]), show(r["miou"]),
                      show(r["boundary_iou"]), *saved])  # fmt: skip
    return heads, lines, _place(rows, data["recommendation"]["lrg"])


def block_table(data: Mapping, *, short: bool = False) -> Table:
    """Return (heads, lines, place of the recommended line) of the block sizes; `short` fits a terminal."""
    heads = ["block, px", "grid", "mIoU lost, %", "boundary IoU", "wrong, middle point", "wrong, by the law",
             "mixed blocks", "break-even, px"]  # fmt: skip
    if short:
        heads = ["px", "grid", "lost, %", "bIoU", "wrong", "by law", "mixed", "break-even px"]
    rows, show = [r for r in data["ceilings"] if r["kind"] == "majority"], _bare if short else between
    law = {r["lrg_size"]: r for r in data["blocks"]}
    lines = []
    for r in rows:
        own = law[r["lrg_size"]]
        even = "-" if own["break_even_px"] is None else f"{own['break_even_px']:.1f}"
        mixed = f"{own['mixed']:.0f}" + ("" if short else f" of {own['blocks']}")
        lines.append([f"{r['block_px']:.3g}", str(r["lrg_size"]), _lost(r["drop"]), show(r["boundary_iou"]),
                      percent(own["error"]), percent(own["error_law"]), mixed, even])  # fmt: skip
    return heads, lines, _place(rows, data["recommendation"]["blocks"])


def _bare(score: Mapping) -> str:
    return "-" if score["value"] is None else f"{score['value']:.3f}"


def class_table(data: Mapping, *, short: bool = False) -> Table:
    """Return (heads, lines, -1) of the classes, those that lose most first, with their IoU at some grids."""
    here = [c for c in data["classes"] if c["maps"]]
    sizes = list(here[0]["iou"]["band"])
    shown = [sizes[k] for k in sorted({0, len(sizes) // 3, 2 * len(sizes) // 3, len(sizes) - 1})]
    here.sort(key=lambda c: sum(v or 0 for v in c["iou"]["band"].values()))
    heads = ["class", "maps", "share", "contour, sides", "width, px", *(f"IoU at {s}" for s in shown)]
    if short:
        heads = ["class", "maps", "share", "contour", "px wide", *(f"at {s}" for s in shown)]
    lines = [[c["name"][: 18 if short else None], str(c["maps"]), percent(c["share"], 2), f"{c['contour']:.2f}",
              "-" if c["width_px"] is None else f"{c['width_px']:.1f}",
              *("-" if c["iou"]["band"][s] is None else f"{c['iou']['band'][s]:.3f}" for s in shown)]
             for c in here]  # fmt: skip
    return heads, lines, -1


def tail_table(data: Mapping) -> Table:
    """Return (heads, lines, -1): energies beyond each limit, and wrong pixels against the rigorous bounds."""
    heads = {"measured": "energy beyond", "law": "perimeter law", "bound": "bound", "error": "wrong pixels",
             "error_bound": "at most (energy)", "error_bound_counts": "at most (counts)"}  # fmt: skip
    return ["nu_max", *heads.values()], [[str(r["nu_max"]), *(f"{r[k]:.4f}" for k in heads)] for r in data["tails"]], -1


def logit_table(data: Mapping, *, short: bool = False) -> Table:
    """Return (heads, lines, place of the recommended line) of what the logits say at each LRG.

    `short` fits a terminal: ratios of means alone, without intervals.
    """
    told = data["logits"]
    averages = ("ratio_of_means",) if short else ("ratio_of_means", "mean_of_ratios")
    variants = [(s, b, a) for s in ("raw", "calibrated") for b in ("periodic", "mirrored") for a in averages]
    show = _bare if short else between
    heads = ["LRG", *(f"R_ce {s}, {b}, {a.replace('_', ' ')}" for s, b, a in variants), "truncated IoU",
             "lost by cut logits, %", "predicted drop"]  # fmt: skip
    if short:
        heads = ["LRG", "R per", "R mir", "R/T per", "R/T mir", "tIoU", "cut, %", "predicted"]
    lines = []
    for cut in told["cut"]:
        at = cut["lrg_size"]
        rates = {(r["scale"], r["boundary"], r["average"]): r for r in told["r_ce"] if r["lrg_size"] == at}
        soft = next(r for r in told["spectral_iou"]
                    if (r["lrg_size"], r["scale"], r["boundary"]) == (at, "raw", "periodic"))  # fmt: skip
        predicted = [between(p) + ("" if p["inside"] else " (outside the fit)")
                     for p in told["predicted"] if p["lrg_size"] == at]  # fmt: skip
        lines.append([str(at), *(show(rates[v]) for v in variants), show(soft), _lost(cut["drop"]),
                      "; ".join(predicted) or "-"])  # fmt: skip
    return heads, lines, _place(told["cut"], data["recommendation"]["lrg"])


def _place(rows: Sequence[Mapping], chosen: Mapping | None) -> int:
    places = [k for k, r in enumerate(rows) if chosen and r["lrg_size"] == chosen["lrg_size"]]
    return places[0] if places else -1


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], place: int) -> str:
    head = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in heads)
    body = []
    for k, line in enumerate(lines):
        mark = ' class="chosen"' if k == place else ""
        body.append(f"<tr{mark}>{''.join(f'<td>{html.escape(v)}</td>' for v in line)}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def listing(items: Iterable[str], kind: str = "") -> str:
    """Return sentences as an HTML list, escaped.

    >>> listing(["a < b"])
    '<ul><li>a &lt; b</li></ul>'
    """
    mark = f' class="{kind}"' if kind else ""
    return f"<ul{mark}>{''.join(f'<li>{html.escape(i)}</li>' for i in items)}</ul>"


def render(data: Mapping, figures: Iterable[str]) -> str:
    """Return the page as HTML text; `figures` are HTML pieces that hold their pictures themselves."""
    title, advice = html.escape(data["title"]), data["recommendation"]
    parts = [f"<h1>Band limit and block size for {title}</h1>"]
    parts += [f'<p class="lead">{html.escape(s)}</p>' for s in worth(data) + sentences(data)]
    parts += [f'<p class="soft">{html.escape(s)}</p>' for s in (scope(data), *seen(data))]
    parts += ["<h2>What to do next</h2>", listing(steps(data)), f"<pre>{html.escape(data['code'])}</pre>"]
    if data["warnings"]:
        parts += ["<h2>Take care</h2>", listing(data["warnings"], "warnings")]
    parts.append(f'<h2>Pictures</h2><div class="figures">{"".join(figures)}</div>')
    tables = {"Grids": grid_table, "Blocks": block_table, "Classes": class_table, "Law and bounds": tail_table}
    for name, make in tables.items():
        parts += [f"<h2>{name}</h2>", _table(*make(data))]
    if data["logits"]:
        told = data["logits"]
        parts += [
            "<h2>Logits</h2>",
            f"<p>{told['maps']} maps; mIoU {between(told['miou'])}; calibrated temperature "
            f"{told['temperature']:.2f}. {html.escape(told['relation'])}</p>",
            _table(*logit_table(data)),
        ]
    parts += ["<h2>The rule</h2>", f"<p>{html.escape(advice['rule'])}</p><p>{html.escape(advice['reason'])}</p>",
              "<p>It knows nothing of:</p>", listing(advice["ignores"])]  # fmt: skip
    if data["data"]["bad"]:
        parts += ["<h2>Bad files, left out</h2>", listing(b["reason"] for b in data["data"]["bad"])]
    if data["data"]["only_void"]:
        parts += ["<h2>Maps without a label, left out</h2>", listing(data["data"]["only_void"])]
    head = (f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>Advice for {title}</title><style>{STYLE}</style>")  # fmt: skip
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body><main>{"".join(parts)}</main></body></html>\n'
