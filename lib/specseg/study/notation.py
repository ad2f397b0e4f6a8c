"""The paper's symbols, the names that stand for them in the code, and what they mean; the code side is tested."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """One row of the table: the paper's symbol (LaTeX), the code's name, what it means, where it is introduced.

    `code` is `module.function`, `module.function(argument)` or `column:name` for a column of our tables; `module` is
    below `specseg`.
    """

    symbol: str
    code: str
    meaning: str
    where: str


SYMBOLS: tuple[Symbol, ...] = (
    Symbol("Y(t, c)", "spectral.cross_entropy.frequency_components(logits)", "logits of class c at pixel t", "2.1"),
    Symbol("B(t, c)", "spectral.cross_entropy.frequency_components(labels)",
           "labels; one-hot over classes, kept as integers, 255 = void", "2.1"),
    Symbol("y, b, s, x, z, k", "spectral.spectrum.spectrum", "spectra of Y, B, S, X, Z, K: forward DFT with 1/N", "2"),
    Symbol(r"\nu", "spectral.spectrum.signed_frequencies", "frequency in cycles per frame, signed", "2"),
    Symbol(r"Y_p(t)", "spectral.cross_entropy.frequency_components",
           "log sum exp of the logits; drops out for nu != 0 where no pixel is void", "Eq. 1"),
    Symbol(r"\mathcal{L}_{CE}", "spectral.cross_entropy.cross_entropy", "cross-entropy, mean over pixels", "Eq. 1"),
    Symbol(r"\mathcal{L}_{ce}(\nu)", "spectral.cross_entropy.frequency_components",
           "its frequency components", "Eq. 2"),
    Symbol(r"\hat{y}(\nu, c)", "spectral.cross_entropy.frequency_components", "spectrum of Y_p - Y", "2.1"),
    Symbol(r"\nu_{max}", "spectral.cross_entropy.relative_loss_rate(nu_max)",
           r"band limit: the box \|u\|, \|v\| <= nu_max", "Eq. 9"),
    Symbol(r"\hat{\mathcal{L}}_{ce}(\nu_{max})", "spectral.cross_entropy.truncated_cross_entropy", "loss in the band",
           "Eq. 9"),
    Symbol(r"R_{ce}(\nu_{max})", "spectral.cross_entropy.relative_loss_rate", "relative loss rate: modulus of the loss "
           "beyond the band over the loss", "Eq. 10"),
    Symbol(r"\text{LRG size}", "spectral.spectrum.lrg_size", "side of the low-resolution grid, 2 nu_max + 1", "3.1"),
    Symbol(r"IoU(s, b)", "spectral.iou.spectral_iou", "soft IoU from spectra", "Eq. 25"),
    Symbol(r"\widehat{IoU}(\nu_{max})", "spectral.iou.spectral_iou(nu_max)", "IoU within the band limit", "Eq. 27"),
    Symbol(r"\Delta IoU / IoU", "spectral.iou.relative_drop", "relative mIoU-drop", "A.10"),
    Symbol(r"B_d, S_d", "spectral.iou.boundary_iou(width)", "pixels within d of a boundary", "Eq. 33"),
    Symbol(r"\text{FPI}", "spectral.iou.fpi", "FLOPs per IoU score", "3.2"),
    Symbol(r"\partial y(\nu_i) / \partial x(\nu_j)", "spectral.gradient.layer",
           "spectral gradient of a layer", "Eq. 5"),
    Symbol(r"\partial \mathcal{L}_{ce}(\nu_i) / \partial x(\nu_j)", "spectral.gradient.loss_row",
           "spectral gradient of a frequency component of the loss", "Eq. 6"),
    Symbol(r"\nu_i", "spectral.gradient.loss_row(nu_i)", "frequency of the output or the loss", "2.2"),
    Symbol(r"\sigma", "spectral.gradient.conv_layer(activation)", "activation; soft-plus in the paper", "Eq. 4"),
    Symbol("K(t)", "spectral.gradient.conv_layer(kernel)", "convolution kernel", "Eq. 4"),
    Symbol("Z(t)", "spectral.gradient.conv_layer(z)", "pre-activation K * X", "Eq. 4"),
    Symbol(r"\text{PR}", "column:prune_rate", "pruning rate of the encoder (the decoder's is 0.2)", "3.2"),
    Symbol(r"\text{mIoU-drop}", "column:miou_drop", "relative mIoU-drop as a column, a fraction", "3.3"),
)  # fmt: skip


def render() -> str:
    """Return the notation page of the book, a MyST table: paper symbol, code name, meaning, place."""
    rows = ["| Paper | Code | Meaning | Where |", "|---|---|---|---|"]
    rows += [f"| ${s.symbol}$ | `{s.code.removeprefix('column:')}` | {s.meaning} | {s.where} |" for s in SYMBOLS]
    table = "\n".join(rows)
    return (
        "# Notation\n\n"
        "Upper case is a quantity in pixels, lower case its spectrum. Code names are those of the library; in the form "
        "`function(argument)` the symbol is that argument. Names without a dot are columns of our tables.\n\n"
        f"{table}\n"
    )
