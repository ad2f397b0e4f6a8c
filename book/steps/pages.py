"""The generated pages and the parts that every chapter gets: where it comes from, how to run it again."""

from __future__ import annotations

import html
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from specseg.evidence import config, paper, provenance, records, schema
from specseg.evidence.ledger import Judgement
from specseg.evidence.records import Record
from steps import coverage, ledger, warm
from steps.execute import Run
from steps.rows import group, line, listing, raw, table
from steps.sources import BookError


@dataclass(frozen=True)
class Withdrawal(schema.Model):
    """Records (experiment/run_id) that stand no longer, since when and why; the history of the project keeps them."""

    records: tuple[str, ...]
    date: str
    reason: str


@dataclass(frozen=True)
class Withdrawals(schema.Model):
    """results/withdrawn.toml."""

    withdrawn: tuple[Withdrawal, ...]


@dataclass(frozen=True)
class Beforehand:
    """What the pages show that no chapter makes: the front page's picture, the records and the list of them, pages."""

    front: str
    every: dict[str, list[Record]]
    listed: str
    pages: dict[str, str]


def beforehand(parent: warm.Parent) -> Beforehand:
    """Make what waits for no chapter: seconds, of which the list of records fills those in which the parent starts."""
    every = {name: records.find(name) for name in records.experiments()}
    listed = records_md(every)
    return Beforehand(picture(parent), every, listed, _unjudged())


def generate(
    profile: str, runs: list[Run], judged: list[Judgement], found: dict[str, Any], before: Beforehand
) -> dict[str, str]:
    """Return page name -> MyST text of every generated page."""
    slugs = [r.chapter.slug for r in runs]
    made = {
        "ledger.md": ledger.ledger_md(judged, slugs),
        "errata.md": ledger.errata_md(judged),
        "runs.md": runs_md(profile, runs, found, before.listed),
        "_generated/front.md": _orphan(ledger.front_md(judged, before.front)),
        "_generated/verdicts.md": _orphan(ledger.verdicts_md(judged)),
        "_generated/built.md": _orphan(built_line(profile, runs)),
        "_generated/cost.md": _orphan(cost_md(profile, runs, before.every)),
    }
    if (config.root() / "paper" / "inventory.toml").is_file():
        made["changed_minds.md"] = ledger.changed_md(judged)
        made["coverage.md"] = coverage.page(judged, paper.inventory())
    return made | before.pages


def _unjudged() -> dict[str, str]:
    """Return the pages without a verdict that this checkout's library and sources provide (a toy book has none)."""
    made = {}
    if (config.root() / "data_manifests").is_dir():
        from steps import data_sets

        made["data.md"] = data_sets.render()
    if (config.root() / "paper" / "inventory.toml").is_file():
        from specseg.proofs import conventions
        from specseg.study import notation

        made["conventions.md"], made["notation.md"] = conventions.render(), notation.render()
    return made


PICTURE = """
import sys
from specseg.figures import front as drawn
from specseg.study import front
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write(drawn.html(*front.demo()))
"""


def picture(parent: warm.Parent) -> str:
    """Return the front page's picture; nothing where no weights travel with the checkout (a toy book).

    A child of the kernels' parent draws it, which has torch already, or a process of its own where there is none.
    Raises BookError with what it complained of.
    """
    if not (config.root() / "results" / "weights").is_dir():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        target, log = Path(folder) / "front.html", Path(folder) / "front.log"
        status, said = parent.run(PICTURE, [str(target)], dict(os.environ), str(config.root()), log)
        if status:
            raise BookError(f"the front page's picture: {(said.strip().splitlines() or [status])[-1]}")
        return target.read_text(encoding="utf-8")


def _orphan(text: str) -> str:
    return f"---\norphan: true\n---\n\n{text}"


def built_line(profile: str, runs: list[Run]) -> str:
    """Return one sentence that says from what this book was built."""
    head, dirty = provenance.commit()
    versions = provenance.versions()
    at = f"commit `{head[:10]}`{' with local changes' if dirty else ''}"
    return (
        f"This copy was built at profile **{profile}** from {at} with torch {versions['torch']} and numpy "
        f"{versions['numpy']}; its {len(runs)} chapters took {sum(r.seconds for r in runs):.0f} seconds to run."
    )


def cost_md(profile: str, runs: list[Run], every: dict[str, list[Record]]) -> str:
    """Return what it cost: seconds of the chapters of this copy, hours of the committed records by device."""
    lines = [f"- chapters at profile {profile}: {sum(r.seconds for r in runs):.0f} s on two cores, one thread each"]
    for experiment, own in every.items():
        seconds = sum(r.meta.get("wall_s") or 0 for r in own)
        devices = ", ".join(sorted({str(r.meta["device"]) for r in own}))
        lines.append(f"- {experiment}: {len(own)} record(s), {seconds / 3600:.2f} h on {devices}")
    return "\n".join(lines) + "\n"


def runs_md(profile: str, runs: list[Run], found: dict[str, Any], listed: str) -> str:
    """Return the page of runs: every chapter's last execution, and the list of records."""
    rows = (
        (f'<a href="chapters/{r.chapter.slug}.html">{r.chapter.slug}</a>', f"{r.seconds:.1f}",
         html.escape(found[r.chapter.slug]["device"]), str(len(found[r.chapter.slug]["observations"])))
        for r in runs
    )  # fmt: skip
    parts = [
        "# Runs and records\n\nWhat was executed to make this copy, and every measured result that it shows. A record "
        "whose code has changed since is marked stale until its numbers have been computed again by the later code, as "
        "far as that can be done without measuring anew, or until it is measured again.",
        f"## Chapters, at profile {profile}",
        raw(table(("Chapter", "Seconds", "Device", "Observations"), rows)),
        f"## Records\n\n{listed}",
    ]
    return "\n\n".join([*parts, *withdrawn()]) + "\n"


def records_md(every: dict[str, list[Record]]) -> str:
    """Return the list of all committed records by experiment, each with its freshness."""
    groups = []
    for experiment, own in every.items():
        usual = Counter(filter(None, map(_precision, own))).most_common(1)
        lines = [_record(r, usual[0][0] if usual else "") for r in own]
        days = " to ".join(dict.fromkeys((own[0].meta["created"][:10], own[-1].meta["created"][:10])))
        stale = sum('data-state="stale"' in made for made in lines)
        groups.append(group(experiment, f"{len(own)} record{'s' * (len(own) > 1)}, {days}, {stale} stale", lines))
    return raw(listing(groups, "experiment", "device", "state")) if every else "No record has been committed yet."


def withdrawn() -> list[str]:
    """Return the paragraphs on the records that were withdrawn; none where there are none.

    Raises BookError where the file is not as it must be and where a withdrawn record still lies under results/.
    """
    file = records.home() / "withdrawn.toml"
    if not file.is_file():
        return []
    lines = ["## Withdrawn records", "Measured once, shown and used no more; `git log -- results/<record>` finds them."]
    for entry in schema.read(Withdrawals, schema.toml(file, BookError), str(file), BookError).withdrawn:
        if left := [r for r in entry.records if (records.home() / r).exists()]:
            raise BookError(f"{file}: {left[0]} is withdrawn, but lies under results/ still")
        lines.append(f"- {', '.join(f'`{r}`' for r in entry.records)}, withdrawn on {entry.date}: {entry.reason}")
    return lines


def _precision(record: Record) -> str:
    """Return in which precision a record's network was trained, where its name leaves that open; else nothing."""
    settings = record.meta["settings"]
    named = "-precision_" in settings.get("name", "")
    return "" if named else settings.get("trained_precision") or settings.get("precision", "")


def _machine(meta: dict[str, Any]) -> str:
    """Return on what a record was measured: older ones name no processor."""
    machine = meta.get("machine")
    if not machine:
        return f"{meta['device']}; the processor was not noted"
    kernels = f", kernels for {machine['kernels']}" if machine["kernels"] else ""
    threads = f", {machine['threads']} threads" if machine["threads"] else ""
    load = "" if machine["load"] is None else f", load {machine['load']:g} (running processes, its own included)"
    has = ", ".join(machine["instructions"]) or "no instruction sets told"
    return f"{meta['device']}: {machine['processor']} ({has}){kernels}{threads}{load}"


def _commit(meta: dict[str, Any]) -> str:
    """Return a record's commit, and in plain words what it means that the code was not committed."""
    if not meta["dirty"]:
        return f"<code>{meta['commit'][:10]}</code>"
    if "machine" in meta:  # since records name their machine, only files that decide numbers count
        said = "made from code that was not committed: this commit alone does not make it again"
    else:
        said = "made while the checkout had uncommitted changes, of code or of other files; its code's hashes are kept"
    return f'<code>{meta["commit"][:10]}</code> <span class="verdict verdict-open">{said}</span>'


def _state(record: Record, fresh: str) -> str:
    if fresh != "fresh":
        return f'<span class="verdict verdict-open">{html.escape(fresh)}</span>'
    if not record.changed(record.meta["modules"]):
        return "fresh"
    last = record.renewals[-1]
    how = f"computed again by commit <code>{last['commit'][:10]}</code> on {last['date'][:10]}"
    return f"fresh; {how}: {html.escape(last['how'])}; largest deviation {last['worst']:.1g}"


def _record(record: Record, usual: str) -> str:
    """Return a record as HTML; `usual` is the precision in which most networks of its experiment were trained."""
    meta, precision, fresh = record.meta, _precision(record), record.freshness()
    wall = f"{meta['wall_s']:.0f} s" if meta.get("wall_s") else "not noted"
    rows = (
        ("command", f"<code>{html.escape(meta['command'])}</code>"),
        ("made", f"{meta['created']} in {wall} on {html.escape(_machine(meta))}"),
        ("commit", _commit(meta)),
        ("profile, seed", f"{meta['profile']}, {meta['seed']}"),
        ("data", html.escape(", ".join(meta["data"])) or "none"),
        ("settings", f"<code>{html.escape(str(meta['settings']))}</code>"),
        ("rows", f"{meta['n_rows']} in <code>results/{meta['experiment']}/{record.run_id}/rows.csv</code>"),
        ("notes", html.escape(meta["notes"]) or "none"),
        ("state", _state(record, fresh)),
        *((("precision", f"trained in {precision}; most networks here were in {usual}"),) * (precision != usual)),
    )
    cells = "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in rows)
    settings, stale = meta["settings"], fresh != "fresh"
    subject = " ".join(str(settings[k]) for k in ("name", "dataset", "domain", "backbone", "size") if settings.get(k))
    mark = '<span class="verdict verdict-open">stale</span> ' * stale
    head = f'<span class="where">{record.run_id}</span> <span class="what">{html.escape(subject)}</span> {mark}'
    return line(f"run-{record.run_id}", head, f"<dl>{cells}</dl>", experiment=meta["experiment"],
                device=str(meta["device"]), state="stale" if stale else "fresh")  # fmt: skip


def dressed(notebook: nbformat.NotebookNode, slug: str) -> nbformat.NotebookNode:
    """Return a chapter with what every chapter has: its first screen folded, links to its source and notebook."""
    notebook = nbformat.from_dict(notebook)
    _fold(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_state(output)]
    text = (
        "---\n\n**Run this chapter yourself**\n\n"
        f"{{download}}`{slug}.py <source/{slug}.py>` (source), "
        f"{{download}}`{slug}.ipynb <source/{slug}.ipynb>` (executed); "
        f"`make chapter CH={slug[:2]}` runs it again, and [every claim](../ledger) and [every run](../runs) are listed."
        ' For paper there is <a href="../print.html">the whole book on one page</a>.'
    )
    cell = nbformat.v4.new_markdown_cell(text)
    cell["id"] = "cell-run-yourself"
    notebook.cells.append(cell)
    return notebook


def _is_state(output: nbformat.NotebookNode) -> bool:
    """Say whether an output is only what observe() returned; its verdict stands at the chapter's end."""
    return output.get("data", {}).get("text/plain") in ("'holds'", "'fails'", "'unresolved'")


def _fold(notebook: nbformat.NotebookNode) -> None:
    """Let a page show what there is to see: its first picture before any code, and no fold bar over nothing.

    The parameters' cell and cells of folded code that show nothing leave the page; they stay in the notebook.
    """
    pictured = False
    for cell in notebook.cells:
        tags = cell.metadata.setdefault("tags", [])
        if cell.cell_type != "code":
            continue
        seen = [out for out in cell.outputs if _is_seen(out)]
        if not pictured and "remove-input" not in tags:
            tags.append("hide-input")
        if "parameters" in tags or ("hide-input" in tags and not seen):
            tags.append("remove-cell")
        pictured = pictured or any("<figure" in out.get("data", {}).get("text/html", "") for out in seen)


def _is_seen(output: nbformat.NotebookNode) -> bool:
    """Say whether a reader sees an output: neither a glued value nor the state that observe() returned."""
    return "scrapbook" not in output.get("metadata", {}) and not _is_state(output)
