"""What an executed chapter must be before it may be published, and what it carries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

from specseg.evidence.ledger import MIME, Claims, Judgement, Observation, judge
from steps.sources import BookError, Chapter


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what is wrong with an executed notebook: error outputs, cells that never ran, warnings, no findings."""
    found = []
    bundles = 0
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if cell.source.strip() and cell.execution_count is None:
            found.append(f"cell {i} was not executed")
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {i} ends in {output.ename}: {output.evalue}")
            elif output.output_type == "stream" and output.name == "stderr":
                found.append(f"cell {i} writes to stderr: {output.text.strip()[:200]!r}")
            bundles += MIME in output.get("data", {})
    if bundles != 1:
        found.append(f"expected one findings.close() output, found {bundles}")
    return found


def findings(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """Return what findings.close() left in the notebook. Raises BookError when it is not there."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}):
                return output["data"][MIME]
    raise BookError("no findings in the notebook: the chapter does not end with findings.close()")


def glue_keys(notebook: nbformat.NotebookNode) -> set[str]:
    """Return the keys that a notebook glues."""
    return {
        output["metadata"]["scrapbook"]["name"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }


def glue_used(text: str) -> set[str]:
    """Return the glue keys that MyST text asks for.

    >>> sorted(glue_used("drops {glue:text}`n_drops` of {glue:text}`n_cells`"))
    ['n_cells', 'n_drops']
    """
    return {m.group(1) for m in re.finditer(r"\{glue:?[a-z]*\}`([^`]+)`", text)}


def check_glue(notebooks: dict[str, nbformat.NotebookNode], pages: dict[str, str]) -> None:
    """Raise BookError when a page asks for a glue key that is not made where it looks.

    A chapter finds its own keys by name; every other page says which chapter made it, `chapters/NN_slug.ipynb::key`.
    """
    made = {slug: glue_keys(notebook) for slug, notebook in notebooks.items()}
    texts = dict(pages)
    for slug, notebook in notebooks.items():
        texts[slug] = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    for name, text in texts.items():
        missing = []
        for asked in sorted(glue_used(text)):
            place, _, key = asked.rpartition("::")
            slug = Path(place).stem if place else name
            if key.split(":")[0] not in made.get(slug, ()):
                missing.append(asked)
        if missing:
            raise BookError(f"{name}: glue key(s) that no chapter makes there: {', '.join(missing)}")


def collect(claims: Claims, notebooks: dict[str, nbformat.NotebookNode]) -> tuple[list[Judgement], dict[str, dict]]:
    """Return every claim's verdict and each chapter's findings.

    Raises BookError for an observation of an unknown claim or of another chapter's, and for a claim of an existing
    chapter that the chapter neither observed nor declared not run.
    """
    found = {slug: findings(nb) for slug, nb in notebooks.items()}
    observations: dict[str, list[Observation]] = {}
    skipped: dict[str, str] = {}
    for slug, data in found.items():
        for claim_id, reason in data["skipped"].items():
            if claim_id not in claims.by_id or claims.by_id[claim_id].chapter != slug:
                raise BookError(f"{slug}: declares {claim_id!r} not run: no such claim of this chapter")
            skipped[claim_id] = reason
        for raw in data["observations"]:
            claim = claims.by_id.get(raw["claim_id"])
            if claim is None or claim.chapter != slug:
                raise BookError(f"{slug}: orphan observation of {raw['claim_id']!r}: no such claim of this chapter")
            observations.setdefault(claim.id, []).append(Observation(**raw))
    judged = []
    for claim in claims:
        reason = skipped.get(claim.id, "")
        if claim.chapter not in found:
            reason = reason or f"its chapter ({claim.chapter}) is not written yet"
        elif claim.id not in observations and claim.id not in skipped and not claim.blocked:
            raise BookError(f"{claim.chapter}: claim {claim.id!r} was neither observed nor declared not run")
        try:
            judged.append(judge(claim, observations.get(claim.id, []), reason))
        except ValueError as err:
            raise BookError(f"{claim.chapter}: {err}") from None
    return judged, found


def judge_one(claims: Claims, slug: str, notebook: nbformat.NotebookNode) -> list[Judgement]:
    """Return the verdicts of one chapter's claims from its executed notebook."""
    data = findings(notebook)
    observations = [Observation(**raw) for raw in data["observations"]]
    return [
        judge(c, [o for o in observations if o.claim_id == c.id], data["skipped"].get(c.id, ""))
        for c in claims.of_chapter(slug)
    ]


def check_claims(claims: Claims, chapters: list[Chapter]) -> None:
    """Raise BookError for a claim whose chapter neither exists nor is planned, or a plan that is done."""
    slugs = {c.slug for c in chapters}
    for claim in claims:
        if claim.chapter not in slugs and claim.chapter not in claims.planned:
            raise BookError(f"claim {claim.id}: chapter {claim.chapter!r} neither exists nor is in planned_chapters")
    if done := sorted(slugs & set(claims.planned)):
        raise BookError(f"claims.toml: planned_chapters still names {', '.join(done)}, which exist(s)")
