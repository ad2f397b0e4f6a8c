"""The book's one driver: chapters -> executed notebooks -> checks -> generated pages -> HTML -> checks -> published.

Run it through `specseg book` or `make book`; `specseg book --help` lists its options.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from specseg.evidence import config, provenance
from specseg.evidence.ledger import load_claims
from steps import accepted, check, execute, html, ledger, pages, portable, sources, warm
from steps.sources import BookError

console = Console(stderr=False, highlight=False, soft_wrap=True)


COMMANDS = {
    "book": "Execute the chapters that changed, build the HTML, verify it, publish it to _build/html.",
    "chapter": "Run one chapter and print the verdicts on its claims.",
    "accept": "Run the chapters, show the difference to the accepted facts, and accept what was found.",
    "portable": "Run chapters under other kernels, threads and instruction sets: are facts and verdicts the same?",
    "facts": "Run chapters and write what they found (`portable` starts this).",
}


def build_folder() -> Path:
    """Return the folder of everything that is built: _build/ in the project's root."""
    return config.root() / "_build"


@contextmanager
def alone():
    """Let one build work at a time: a second one waits until the first has published or failed."""
    folder = build_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("another build is running in this checkout; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        html.recover(folder / "html")
        chapters = config.root() / "book" / "chapters"
        for left in (*folder.glob("work-*"), *chapters.glob("*/.??_*-*")):  # of a build that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield


def run_chapters(
    profile: str, chapters: list[sources.Chapter] | None = None, *, only: str = "", given: dict | None = None,
    jobs: int = 1, force: bool = False, parent: warm.Parent | None = None,
) -> list[execute.Run]:  # fmt: skip
    """Execute the chapters of a profile (or one), with progress; raise BookError when one fails."""
    config.profile(profile)  # an unknown profile stops here
    root = config.root()
    chapters = chapters or sources.discover(root)
    if only:
        chosen = [
            c for c in chapters if c.slug == only or c.slug.split("_")[0] == only or c.path.name == Path(only).name
        ]
        if not chosen:
            raise BookError(f"no chapter {only!r}; there are {', '.join(c.slug for c in chapters)}")
        chapters = chosen
    given = {"profile": profile, **(given or {})}
    out, failed = root / "book" / "chapters" / profile, build_folder() / "failed"
    shutil.rmtree(failed, ignore_errors=True)
    quiet = config.in_ci() or not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet, transient=True) as bar:
        task = bar.add_task(f"chapters at {profile}", total=len(chapters))

        def tell(run: execute.Run) -> None:
            bar.advance(task)
            if run.error or not quiet or run.what == "ran":
                bar.console.print(f"{run.what:7} {run.seconds:6.1f} s  {run.chapter.slug}")

        runs = execute.run_all(chapters, given, out, failed, jobs=jobs, force=force, tell=tell, parent=parent)
    if bad := [r for r in runs if r.error]:
        words = "\n".join(f"{r.chapter.path.relative_to(root)}: {r.error}" for r in bad)
        raise BookError(f"{len(bad)} chapter(s) failed; what they got to is in {failed}:\n{words}")
    return runs


def judge_all(runs: list[execute.Run]):
    """Return notebooks, verdicts and findings of a complete run."""
    notebooks = {r.chapter.slug: nbformat.read(r.path, 4) for r in runs}
    claims = load_claims()
    check.check_claims(claims, [r.chapter for r in runs])
    judged, found = check.collect(claims, notebooks)
    return notebooks, judged, found


class Clock:
    """Seconds of a build by stage: `stage(name)` begins one and ends the one before."""

    def __init__(self) -> None:
        self.started = self._last = time.perf_counter()
        self.seconds: dict[str, float] = {}
        self._name = ""

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = now - self._last
        self._name, self._last = name, now


def build(profile: str, *, jobs: int, force: bool, drift: str, timings: bool) -> int:
    """Build, verify and publish the whole book; return the exit status."""
    clock = Clock()
    clock.stage("chapters")
    root = config.root()
    target = build_folder() / "html"
    chapters = sources.discover(root)
    sources.check_toc(root / "book" / "_toc.yml", chapters)
    with warm.Parent() as parent, ThreadPoolExecutor(1) as beside:
        before = beside.submit(pages.beforehand, parent)
        runs = run_chapters(profile, chapters, jobs=jobs, force=force, parent=parent)
        clock.stage("verdicts and generated pages")
        notebooks, judged, found = judge_all(runs)
        generated = pages.generate(profile, runs, judged, found, before.result())
        written = {p.name: p.read_text(encoding="utf-8") for p in sorted((root / "book").glob("*.md"))}
        check.check_glue(notebooks, {**written, **generated})
        work = Path(tempfile.mkdtemp(prefix="work-", dir=build_folder()))
        try:
            staged = {r.chapter.slug: work / f"{r.chapter.slug}.ipynb" for r in runs}
            for slug, path in staged.items():
                nbformat.write(pages.dressed(notebooks[slug], slug), path)
            html.stage(root, work / "source", staged, generated)
            with console.status("building the HTML") if console.is_terminal and not config.in_ci() else _nothing():
                clock.stage("Sphinx")
                built = html.sphinx(root, work / "source", work / "out", parent)
                clock.stage("checks of the built pages")
                (built / "ledger.json").write_text(ledger.as_json(judged, profile, found), encoding="utf-8")
                html.single(built, list(staged))
                count = html.verify(built, list(staged), len(judged))
            html.publish(built, target)
            clock.stage("")
        finally:
            shutil.rmtree(work, ignore_errors=True)
    _summary(runs, judged, count, profile, target, time.perf_counter() - clock.started)
    if timings:
        _timings(runs, clock.seconds)
    return _drift(profile, judged, drift)


@contextmanager
def _nothing():
    yield


def _summary(runs, judged, count, profile, target, seconds) -> None:
    table = Table(title=f"The book at profile {profile}")
    for name, justify in (("chapter", "left"), ("seconds", "right"), ("", "left"), ("claims by verdict", "left")):
        table.add_column(name, justify=justify)
    for run in runs:
        own = [j for j in judged if j.claim.chapter == run.chapter.slug]
        words = ", ".join(f"{n} {v}" for v, n in ledger.tally(own).items()) or "-"
        table.add_row(run.chapter.slug, f"{run.seconds:.1f}", run.what, words)
    console.print(table)
    counts = ", ".join(f"{n} {v}" for v, n in ledger.tally(judged).items())
    console.print(f"{count} pages, {len(judged)} claims: {counts}")
    console.print(f"built in {seconds:.0f} s; front page: {target / 'index.html'}; to print it or save it as PDF, open "
                  f"{target / 'print.html'}, the whole book on one page")  # fmt: skip


def _timings(runs: list[execute.Run], stages: dict[str, float]) -> None:
    """Say where the time went: each chapter's kernel, imports and other cells, then the stages of the build."""
    table = Table(title="Seconds by chapter (chapters run side by side, the stages below one after another)")
    for name in ("chapter", "kernel", "imports", "cells"):
        table.add_column(name, justify="left" if name == "chapter" else "right")
    ran = [r for r in runs if r.parts]
    for run in ran:
        table.add_row(run.chapter.slug, *(f"{run.parts[k]:.1f}" for k in ("kernel", "imports", "cells")))
    sums = (f"{sum(r.parts[k] for r in ran):.1f}" for k in ("kernel", "imports", "cells"))
    table.add_row(f"{len(ran)} chapters that ran", *sums, style="bold")
    console.print(table)
    for name, seconds in stages.items():
        console.print(f"{seconds:7.1f} s  {name}")


def _drift(profile: str, judged, mode: str) -> int:
    if mode == "accept":
        console.print(f"accepted facts written to {accepted.accept(profile, judged).relative_to(config.root())}")
        return 0
    old = accepted.read(profile)
    if old is None:
        console.print(f"no accepted facts for profile {profile} yet: 'make accept PROFILE={profile}' writes them")
        return 1 if mode == "fail" else 0
    lines = accepted.compare(old, judged)
    if lines:
        console.print(f"drift from the accepted facts of profile {profile} ('make accept' takes the new ones); they "
                      f"were made on {accepted.made_on(profile)}, this is {provenance.processor()}:")  # fmt: skip
        console.print("\n".join(f"  {line}" for line in lines))
    return 1 if lines and mode == "fail" else 0


def accept(profile: str, *, jobs: int) -> int:
    """Run the chapters, show the difference to the accepted facts, and accept what was found."""
    sources.check_toc(config.root() / "book" / "_toc.yml", sources.discover(config.root()))
    runs = run_chapters(profile, jobs=jobs)
    _, judged, _ = judge_all(runs)
    _drift(profile, judged, "show")
    if profile == "smoke":  # the README's picture: the verdicts that every reader's first build gives
        picture = config.root() / "book" / "_static" / "front.svg"
        picture.write_text(ledger.bars_svg(judged), encoding="utf-8")
    return _drift(profile, judged, "accept")


def facts(chapters: list[str], target: Path, *, jobs: int, threads: int) -> int:
    """Run some chapters at smoke, apart from the book's, and write what they found of their claims (see `portable`)."""
    root = config.root()
    every = {c.slug.split("_")[0]: c for c in sources.discover(root)}
    if unknown := [n for n in chapters if n not in every]:
        raise BookError(f"no chapter {unknown[0]!r}; there are {', '.join(every)}")
    given = {"profile": "smoke"}
    runs = execute.run_all([every[n] for n in chapters], given, target.parent / "run", target.parent / "failed",
                           jobs=jobs, force=True, threads=threads)  # fmt: skip
    if bad := [f"{r.chapter.slug}: {r.error}" for r in runs if r.error]:
        raise BookError("\n".join(bad))
    claims = load_claims()
    judged = [j for r in runs for j in check.judge_one(claims, r.chapter.slug, nbformat.read(r.path, 4))]
    target.write_text(json.dumps(accepted.facts(judged)), encoding="utf-8")
    return 0


def _pair(text: str) -> tuple[str, object]:
    """Return a parameter's name and its value, JSON or a word."""
    name, sign, value = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    with suppress(json.JSONDecodeError):
        return name, json.loads(value)
    return name, value


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands."""
    out = argparse.ArgumentParser(prog="specseg", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = out.add_subparsers(dest="what", required=True)
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=words)
        add = command.add_argument
        if name == "chapter":
            add("name", help="number, slug or file of the chapter")
            add("-p", "--parameter", type=_pair, action="append", default=[], metavar="NAME=VALUE",
                help="a papermill parameter of the chapter, VALUE as JSON or a word; repeatable")  # fmt: skip
        else:
            add("-j", "--jobs", type=int, default=2, help="chapters at a time")
        if name in ("facts", "portable"):
            add("--only", nargs="+", action="extend", metavar="NN", help="chapters, repeatable; default: all it is for")
        else:
            add("--profile", default="smoke", help="smoke, standard or paper (profiles.toml)")
        if name in ("book", "chapter"):
            add("--force", action="store_true", help="run chapters even when nothing changed")
        if name == "book":
            add("-p", "--parameter", action="append", help=argparse.SUPPRESS)  # main says where it belongs
            add("--drift", choices=("show", "fail"), default="fail" if config.in_ci() else "show",
                help="what a drift from the accepted facts does")  # fmt: skip
            add("--timings", action="store_true", help="say where the build's time goes")
        elif name == "facts":
            add("--out", type=Path, required=True, help="file that is written")
            add("--threads", type=int, default=1, help="threads of each chapter")
        elif name == "portable":
            add("--setting", action="append", default=[], help="repeatable; default: all that this processor has")
    return out


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run; complaints go to stderr, without a Python traceback, with exit status 1."""
    args = parser().parse_args((sys.argv[1:] if argv is None else argv) or ["book"])
    os.environ["PYTHONUNBUFFERED"] = "1"
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        if args.what == "facts":
            return facts(args.only or list(portable.SUBJECT), args.out, jobs=args.jobs, threads=args.threads)
        if args.what == "portable":
            return portable.compare(args.setting, args.only or list(portable.SUBJECT), args.jobs, console)
        if args.what == "book" and args.parameter:
            raise BookError("-p goes with one chapter; the whole book takes its sizes from --profile")
        with alone():
            if args.what == "accept":
                return accept(args.profile, jobs=args.jobs)
            if args.what == "chapter":
                return _one(args)
            return build(args.profile, jobs=args.jobs, force=args.force, drift=args.drift, timings=args.timings)
    except (BookError, ValueError, FileNotFoundError) as err:
        print(f"book: {err}", file=sys.stderr)
        return 1
    except SyntaxError as err:
        print(f"book: {err.filename}:{err.lineno}: {err.msg}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("book: interrupted; the last good book is untouched", file=sys.stderr)
        return 130


def _one(args) -> int:
    runs = run_chapters(args.profile, only=args.name, given=dict(args.parameter), jobs=1, force=args.force)
    for run in runs:
        for judged in check.judge_one(load_claims(), run.chapter.slug, nbformat.read(run.path, 4)):
            console.print(f"  {judged.verdict:27} {judged.claim.id}")
        console.print(f"{run.what} in {run.seconds:.1f} s: {run.path.relative_to(config.root())}")
    return 0


if __name__ == "__main__":
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # trees of pages are many objects and few circles
    raise SystemExit(main())
