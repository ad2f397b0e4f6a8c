"""The advice as sections of sentences and tables: one list for the terminal and for a page that asks no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from jinja2 import Environment, PackageLoader

Section = tuple[str, Sequence[str], pd.DataFrame | None]  # title, sentences, table
MODEL_NAMES = {"deeplabv3plus": "DeepLab v3+", "dan": "DAN"}
EFFORT = (
    "Break-even: if only mixed blocks, those with a contour, cost a decision each, tracing contours takes more points "
    "where one is set more often than every so many pixels (a model of effort, not a measurement)."
)


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction as per cent, a dash where there is none.

    >>> percent(0.0214), percent(None)
    ('2.1 %', '-')
    """
    return "-" if pd.isna(value) else f"{100 * value:.{digits}f} %"


def lost(score: Mapping) -> str:
    """Return a relative loss with its interval in per cent.

    >>> lost({"value": 0.021, "low": 0.015, "high": 0.03})
    '2.1 [1.5, 3.0] %'
    """
    if score["value"] is None:
        return "-"
    value, low, high = (f"{100 * score[k]:.1f}" for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}] %"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


def _score(score: Mapping) -> str:
    return _number(score["value"])


def worth(data: Mapping) -> list[str]:
    """Return what the rule is worth on trained networks, and what they lost at half of the grid; [] without a record.

    The first thing to know: where labels alone do no better than half of the grid, the advice says so.
    """
    rule, out = data["evidence"]["rule"], []
    better, others = (" and ".join(r["kind"] for r in rule if (r["high"] < 0) is so) for so in (True, False))
    if others:
        also = f", and better on {better}" if better else ""
        out.append(f"On trained networks, advice from labels alone was no better than always half of the grid on "
                   f"{others}{also}: take what follows as a place to start, and measure.")  # fmt: skip
    for share, word in ((0.5, "half"), (0.25, "a quarter")):
        drops = [f"{r['kind']} {percent(r['low'])} to {percent(r['high'])} ({r['networks']} networks)"
                 for r in data["evidence"]["drops"] if r["share"] == share]  # fmt: skip
        if drops:
            out.append(f"Lost of the mIoU at {word} of the grid, truncated without training again: {', '.join(drops)}.")
    return out


def sentences(data: Mapping) -> list[str]:
    """Return the recommendation in plain sentences: the grid, the blocks, what is lost first, what every pixel says."""
    advice, tolerated = data["recommendation"], percent(data["settings"]["max_drop"])
    lrg, block = advice["lrg"], advice["blocks"]
    side, smaller = lrg["lrg_size"], lrg["next_smaller"]
    if whole(data):
        out = [f"Do not truncate below {side} x {side}: {tolerated} of mIoU are tolerated, and labels cut to the next "
               f"smaller grid's band ({smaller['lrg_size']}) lose {lost(smaller['drop'])}."]  # fmt: skip
    else:
        saved = [f"{percent(r['flops_saved'], 0)} of {MODEL_NAMES[r['model']]}'s FLOPs"
                 for r in data["costs"] if r["lrg_size"] == side]  # fmt: skip
        out = [f"LRG of {side} x {side} (nu_max {lrg['nu_max']}): labels cut to its band lose {lost(lrg['drop'])} "
               f"of mIoU; tolerated {tolerated}. It saves {' and '.join(saved)}."]  # fmt: skip
    if block:
        side = block["lrg_size"]
        out.append(f"Blocks of {block['block_px']:.3g} pixels ({side} x {side}) lose {lost(block['drop'])}.")
    else:
        best = advice["finest_blocks"]
        out.append(f"No block size holds {tolerated}: blocks of {best['block_px']:.3g} pixels, the finest tried, lose "
                   f"{lost(best['drop'])}.")  # fmt: skip
    out.append(f"Lost first: {', '.join(advice['lost_first'])}.")
    strict = advice["every_pixel"]["lrg"]
    if data["data"]["void"] > 0 and strict["lrg_size"] != lrg["lrg_size"]:
        out.append(f"With void filled and every pixel scored, the grid would be {strict['lrg_size']}.")
    return out


def scope(data: Mapping) -> str:
    """Return what was measured in one sentence, the sample's standard error with it."""
    d, frame = data["data"], data["frame"]
    tiles = f"tiles of {frame['maps']} " if frame["frame"] == "tiles" else ""
    text = f"{d['measured']} {tiles}of {d['found']} maps measured in a frame of {data['settings']['size']} pixels"
    error = d["sample_error"][str(data["recommendation"]["lrg"]["lrg_size"])]
    if d["sampled"] and error is not None:
        text += f"; standard error of the sample: {error:.4f} of mIoU"
    text += f"; {d['classes']} classes, contours of {d['contour']:.1f} frame sides a map"
    return f"{text}, void {percent(d['void'])}."


def seen(data: Mapping) -> list[str]:
    """Return how the stored values were read, at which scale the maps were seen and how much of them, in sentences."""
    frame, scale = data["frame"], data["frame"]["scale"]
    apart = f" ({scale['low']:.3g} .. {scale['high']:.3g})" if scale["high"] / scale["low"] > 1.01 else ""
    how = {"shrink": "short side to the frame, centre", "tiles": "own scale, tiles"}
    told = (f"Seen: {how.get(frame['frame'], 'own scale, centre')} (--frame {frame['frame']}); scale "
            f"{scale['value']:.3g}{apart} frame pixels a map pixel; {percent(frame['seen'], 0)} of the maps' pixels. "
            f"{frame['why']}")  # fmt: skip
    out = [*data["read"], told.strip()]
    for other in data["scales"]:
        word = "shrunk to the frame" if other["frame"] == "shrink" else "at their own scale"
        out.append(f"The advice goes with the scale: {word} ({other['scale']:.3g}; {other['frames']} frames) it would "
                   f"be: LRG of {other['lrg_size']}; the grid advised here loses {percent(other['drop_here'])} "
                   "there.")  # fmt: skip
    return out


def whole(data: Mapping) -> bool:
    """Say whether the advice is not to truncate."""
    return data["recommendation"]["lrg"]["lrg_size"] == max(r["lrg_size"] for r in data["costs"])


def steps(data: Mapping) -> list[str]:
    """Return what to do next, in sentences: the annotation tool's block, what the lines of code do, the trial."""
    out, block, told = [], data["recommendation"]["blocks"], data["trial"]
    if block:
        stored = block["block_px"] / data["frame"]["scale"]["value"]
        out.append(f"Annotation tool: blocks of {stored:.3g} pixels of the stored maps.")
    out.append("The lines of code below try the next smaller grid; the advice is not to truncate." if whole(data) else
               "The lines of code below truncate a network to the advised grid.")  # fmt: skip
    if told is None:
        try_it = "specseg advise LABELS --try MODEL.py:build --pictures FOLDER"
        return [*out, f"Your own network's drop is measured by: {try_it}"]
    kept = " and brought back to its grid, which the layer needs: nothing is saved" if told["keep_grid"] else ""
    out.append(f"Tried: {told['network']}, input of its layer {told['layer']} (maps of {told['grid']} points; --layer "
               f"takes another) made coarser{kept}; {told['frames']} frames, mIoU {told['miou']:.3f}.")  # fmt: skip
    out += [f"At {r['lrg_size']} points it loses {lost(r)} of mIoU." if r["changed"] else
            f"At {r['lrg_size']} points nothing changes: its maps are no finer." for r in told["drops"]]  # fmt: skip
    if told["miou"] < 0.2:
        out.append("Its mIoU is so low that something may be wrong: pictures come as RGB in 0 .. 1, which the network "
                   "of build() must normalise itself, and its classes must have the labels' order.")  # fmt: skip
    return out


def grid_table(data: Mapping) -> pd.DataFrame:
    """Return the LRG sizes in words: what is lost, what is kept, and what each saves of two networks."""
    rows, costs = _of(data, "band"), pd.DataFrame(data["costs"]).set_index("lrg_size")
    out = {"LRG": _marked(rows["lrg_size"], data, "lrg"), "nu_max": rows["nu_max"], "mIoU lost": rows["drop"].map(lost),
           "mIoU": rows["miou"].map(_score), "boundary IoU": rows["boundary_iou"].map(_score)}  # fmt: skip
    for model, name in MODEL_NAMES.items():
        own = costs[costs["model"] == model].loc[rows["lrg_size"]].reset_index()
        out |= {f"{name} {key}": own[f"{key.lower()}_saved"].map(percent) for key in ("FLOPs", "time")}
    return pd.DataFrame(out)


def block_table(data: Mapping) -> pd.DataFrame:
    """Return the block sizes in words: what is lost, law beside truth, and the spacing at which effort breaks even."""
    rows = _of(data, "majority").merge(pd.DataFrame(data["blocks"]), on=["lrg_size", "block_px"])
    return pd.DataFrame({
        "block, px": rows["block_px"].map("{:.3g}".format), "grid": _marked(rows["lrg_size"], data, "blocks"),
        "mIoU lost": rows["drop"].map(lost), "boundary IoU": rows["boundary_iou"].map(_score),
        "wrong": rows["error"].map(percent), "by the law": rows["error_law"].map(percent),
        "mixed": rows["mixed"].map("{:.0f}".format),
        "break-even, px": [_number(v, 1) for v in rows["break_even_px"]]})  # fmt: skip


def class_table(data: Mapping) -> pd.DataFrame:
    """Return the classes in words, those that lose most first, with their IoU at some grids."""
    here = pd.DataFrame(c for c in data["classes"] if c["maps"])
    iou = pd.DataFrame([one["band"] for one in here["iou"]], dtype=float)
    last = iou.shape[1] - 1
    shown = iou.iloc[:, sorted({0, last // 3, 2 * last // 3, last})].map(_number).add_prefix("at ")
    out = pd.DataFrame({
        "class": here["name"], "maps": here["maps"],
        "share": [percent(v, 2) for v in here["share"]], "contour, sides": here["contour"].map("{:.2f}".format),
        "width, px": [_number(v, 1) for v in here["width_px"]]})  # fmt: skip
    return out.join(shown).loc[iou.sum(axis=1).sort_values(kind="stable").index].reset_index(drop=True)


def tail_table(data: Mapping) -> pd.DataFrame:
    """Return energies beyond each limit, and wrong pixels against the rigorous bounds."""
    heads = {"nu_max": "nu_max", "measured": "energy beyond", "law": "perimeter law", "bound": "bound",
             "error": "wrong pixels", "error_bound": "at most (energy)",
             "error_bound_counts": "at most (counts)"}  # fmt: skip
    return pd.DataFrame(data["tails"])[list(heads)].rename(columns=heads).round(4)


def logit_table(data: Mapping) -> pd.DataFrame:
    """Return what the logits say at each LRG: ratios of means of R_ce, truncated IoU, cut logits, predicted drops."""
    told, cut = data["logits"], pd.DataFrame(data["logits"]["cut"])
    rates = pd.DataFrame(told["r_ce"]).query("average == 'ratio_of_means'").set_index("lrg_size")
    soft = pd.DataFrame(told["spectral_iou"]).query("scale == 'raw' and boundary == 'periodic'").set_index("lrg_size")
    drops = [[lost(p) + " (outside the fit)" * (not p["inside"]) for p in told["predicted"] if p["lrg_size"] == size]
             for size in cut["lrg_size"]]  # fmt: skip
    out = {"LRG": _marked(cut["lrg_size"], data, "lrg")}
    for (boundary, scale), own in rates.groupby(["boundary", "scale"], sort=False):
        out[f"R_ce {boundary}, {scale}"] = own["value"].loc[cut["lrg_size"]].map(_number).to_list()
    return pd.DataFrame({
        **out, "truncated IoU": soft["value"].loc[cut["lrg_size"]].map(_number).to_list(),
        "lost by cut logits": cut["drop"].map(lost),
        "predicted drop": ["; ".join(words) or "-" for words in drops]})  # fmt: skip


def _of(data: Mapping, kind: str) -> pd.DataFrame:
    return pd.DataFrame(r for r in data["ceilings"] if r["kind"] == kind)


def _marked(sizes: pd.Series, data: Mapping, key: str) -> list[str]:
    best = data["recommendation"][key]
    return [f"{size} *" if best and size == best["lrg_size"] else str(size) for size in sizes]


def sections(data: Mapping) -> list[Section]:
    """Return what a run says, in the order of the terminal and the page; the lines of code follow the last one."""
    found, told = data["data"], data["logits"]
    out: list[Section] = [
        ("Advice", worth(data) + sentences(data), None),
        ("What was measured", [scope(data), *seen(data)], None),
        ("Grids: labels cut to the grid's band, against the whole prediction grid; *: advised", (), grid_table(data)),
        ("Blocks: each takes its commonest class, against the true labels; *: advised", [EFFORT], block_table(data)),
        ("Classes: IoU when cut to the grid of so many points", (), class_table(data)),
    ]
    if told:
        miou = "{value:.3f} [{low:.3f}, {high:.3f}]".format_map(told["miou"])
        words = f"{told['maps']} maps; mIoU of the logits {miou}, calibrated temperature {told['temperature']:.2f}."
        out.append(("Logits", [f"{words} {told['relation']}"], logit_table(data)))
    out += [
        ("Take care", data["warnings"], None),
        ("Bad files, left out", [f"BAD {bad['reason']}" for bad in found["bad"]], None),
        ("What to do next", steps(data), None),
    ]
    return [section for section in out if section[1] or section[2] is not None]


def background(data: Mapping) -> list[Section]:
    """Return what the page says beyond `sections`: law and bounds, and the rule with what it ignores."""
    advice = data["recommendation"]
    rule = ("The rule", [advice["rule"], advice["reason"]], None)
    out = [("Law and bounds", (), tail_table(data)), rule, ("It knows nothing of", advice["ignores"], None)]
    void = data["data"]["only_void"]  # a line each: a terminal has their number among the cautions
    return out + [("Maps without a label, left out", void, None)] * bool(void)


def render(data: Mapping, figures: Iterable[str]) -> str:
    """Return the page as HTML text; `figures` are HTML pieces that hold their pictures themselves."""
    home = Environment(loader=PackageLoader("specseg.advise", ""), autoescape=True, keep_trailing_newline=True)
    told = {"sections": sections(data), "background": background(data), "figures": list(figures)}
    return home.get_template("page.html").render(title=data["title"], code=data["code"], **told)
