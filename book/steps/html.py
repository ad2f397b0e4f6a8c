"""Build the HTML from an empty folder and hold the result to what a reader may expect of it."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

from bs4 import BeautifulSoup, Tag

from steps import warm
from steps.sources import BookError

LOADS = {
    "script": ("src",), "img": ("src",), "iframe": ("src",), "source": ("src",), "audio": ("src",), "link": ("href",),
}  # fmt: skip
LOADING = {"stylesheet", "preload", "icon", "prefetch", "modulepreload"}  # what a <link> may be that loads a file
CODE = re.compile(r"<pre>.*?</pre>", re.DOTALL)
COLOURED = re.compile(r'<span class="\w{1,3}">([^<]*)</span>')  # a word of code: most of the tags


def stage(root: Path, folder: Path, notebooks: dict[str, Path], pages: dict[str, str]) -> None:
    """Lay out the book's source: the hand-written pages, the generated ones, the executed chapters, the library."""
    shutil.copytree(
        root / "book", folder, ignore=shutil.ignore_patterns("chapters", "steps", "*.py", "_ext", "__pycache__")
    )
    if (root / "lib").is_dir():
        shutil.copytree(root / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (folder / "chapters" / "source").mkdir(parents=True)
    for slug, path in notebooks.items():
        shutil.copyfile(path, folder / "chapters" / f"{slug}.ipynb")
        shutil.copyfile(root / "chapters" / f"{slug}.py", folder / "chapters" / "source" / f"{slug}.py")
        shutil.copyfile(path, folder / "chapters" / "source" / f"{slug}.ipynb")
    for name, text in pages.items():
        target = folder / name
        if target.exists():
            raise BookError(f"book/{name}: written by hand and generated; one of the two must go")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


SPHINX = """
import functools, warnings
from jupyter_book import sphinx
from jupyter_book.cli.main import main
from sphinx.search import en
en.SearchEnglish.stem = functools.cache(en.SearchEnglish.stem)  # of each word of all pages: they are few
warnings.simplefilter("ignore")
sphinx.build_sphinx = functools.partial(sphinx.build_sphinx, jobs=2)  # processes that read and write; no option says it
main()
"""


def sphinx(root: Path, source: Path, out: Path, parent: warm.Parent | None = None) -> Path:
    """Run jupyter-book with warnings as errors and return the HTML folder. Raises BookError with its complaints.

    With a warm parent that runs already it is forked from that, which has its imports.
    """
    arguments = [
        "build", str(source), "--config", str(root / "_config.yml"), "--toc",
        str(source / "_toc.yml"), "--path-output", str(out), "-n", "-W", "--keep-going", "-q",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONWARNINGS": "ignore", "NO_COLOR": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    status, said = (parent or warm.Parent()).run(SPHINX, arguments, env, str(root), source.with_name("sphinx.log"))
    html = out / "_build" / "html"
    if status or not (html / "index.html").is_file():
        lines = [x for x in said.splitlines() if re.search(r"WARNING|ERROR|rror:", x)]
        tail = lines or said.splitlines()[-30:]
        told = "\n".join(dict.fromkeys(x.replace(str(source), "book") for x in tail))
        raise BookError(f"jupyter-book failed (exit {status}):\n{told}")
    return html


def single(html: Path, slugs: list[str]) -> Path:
    """Write print.html, the front page and the chapters as one page for paper or a PDF, and return its path.

    Each page's anchors bear its name there, and links between these pages stay within the one.
    """
    names = {"index.html": "index"} | {f"chapters/{slug}.html": slug for slug in slugs}
    code: list[str] = []  # a third of the tags, which the parser need not see

    def aside(found: re.Match) -> str:
        code.append(found[0])
        return f"<pre>{len(code) - 1}</pre>"

    texts = {name: CODE.sub(aside, (html / name).read_text(encoding="utf-8")) for name in names}
    soups = {name: BeautifulSoup(text, "html.parser") for name, text in texts.items()}
    whole = soups["index.html"]
    known = {_key(node, "index.html") for node in whole.select("script, link[rel=stylesheet]")}
    parts = []
    for name, soup in soups.items():
        article = soup.select_one("article").extract()
        for node in article.select("a.headerlink, .prev-next-area"):
            node.decompose()
        for node in article.find_all(id=True):
            if not node.find_parent(["svg"]) and "plotly-graph-div" not in node.get("class", ()):
                node["id"] = f"{names[name]}--{node['id']}"
        for attribute in ("href", "src"):
            for node in article.find_all(attrs={attribute: True}):
                node[attribute] = _moved(node[attribute], name, names)
        article.name, article["id"] = "section", names[name]
        parts.append(article)
        for node in soup.select("script, link[rel=stylesheet]"):
            if (key := _key(node, name)) not in known:  # what draws formulas and moving figures
                known.add(key)
                if node.get("src"):
                    node["src"] = key
                whole.head.append(node.extract())
    around = ".bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .prev-next-footer, #jb-print-docs-body"
    for node in whole.select(around):
        node.decompose()
    shell = whole.new_tag("article", attrs={"class": "bd-article"})
    shell.extend(parts)
    (whole.select_one(".bd-article-container") or whole.body).append(shell)
    whole.title.string = "The whole book on one page"
    target = html / "print.html"
    target.write_text(re.sub(r"<pre>(\d+)</pre>", lambda found: code[int(found[1])], str(whole)), encoding="utf-8")
    return target


def _key(node: Tag, page: str) -> str:
    """Return what tells a script or a style from others: its file as seen from the front page, else its text."""
    named = node.get("src") or node.get("href")
    return _moved(named, page, {}) if named else node.get_text()


def _moved(link: str, page: str, names: dict[str, str]) -> str:
    """Return a page's link as the front page writes it; to one of these pages, as an anchor."""
    path, fragment = urldefrag(link)
    url = urlparse(path)
    if url.scheme or url.netloc:
        return link
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), url.path)) if url.path else page
    if target in names:
        return f"#{names[target]}--{fragment}" if fragment and fragment != "#" else f"#{names[target]}"
    return target + (f"?{url.query}" if url.query else "") + (f"#{fragment}" if fragment else "")


class Seen(HTMLParser):
    """What a page holds, as far as it is checked: anchors, links, what it loads, the letters of its article.

    A parser alone: trees of all pages took four times as long.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.problems: list[str] = []
        self.letters = self._inside = 0
        self.shows = False
        self.feed(COLOURED.sub(r"\1", path.read_text(encoding="utf-8")))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        classes = own.get("class", "").split()
        self._inside += tag == "article"
        self.shows = self.shows or tag == "figure" or (tag == "div" and "cell_output" in classes)
        if {"traceback", "highlight-ipythontb"} & set(classes):
            self.problems.append("shows a traceback")
        if "id" in own:
            self.anchors.add(own["id"])
        if tag == "a":
            self.anchors.add(own.get("name", ""))
            self.links += [own["href"]] if "href" in own else []
        passive = tag == "link" and not LOADING & set(own.get("rel", "").split())
        for attribute in LOADS.get(tag, ()):
            if urlparse(own.get(attribute, "")).netloc and not passive:  # "//host/file" too has no scheme but a host
                self.problems.append(f"<{tag}> asks {own[attribute]} for something; the book must be whole offline")

    def handle_endtag(self, tag: str) -> None:
        self._inside -= tag == "article"

    def handle_data(self, data: str) -> None:
        self.letters += len(data.strip()) * (self._inside > 0)


def verify(html: Path, slugs: list[str], claims: int) -> int:
    """Check the built pages and return how many there are.

    Raises BookError for a chapter without a page, an empty page, a page that asks the network for anything, a broken
    internal link or anchor, a traceback, a ledger with fewer claims than there are.
    """
    files = [p for p in sorted(html.rglob("*.html")) if "_static" not in p.relative_to(html).parts]
    pages = {p: Seen(p) for p in files}
    problems: list[str] = []
    for slug in slugs:
        page = pages.get(html / "chapters" / f"{slug}.html")
        if page is None:
            problems.append(f"chapter {slug} has no page")
        elif not page.shows:
            problems.append(f"chapters/{slug}.html: no output of any cell on the page")
    for path, page in pages.items():
        name = path.relative_to(html).as_posix()
        if name not in ("genindex.html", "search.html") and page.letters < 80:
            problems.append(f"{name}: the page is empty")
        problems += [f"{name}: {p}" for p in (*page.problems, *_links(path, pages))]
    ledger = pages.get(html / "ledger.html")
    shown = sum(anchor.startswith("claim-") for anchor in ledger.anchors) if ledger else 0
    if shown != claims or not claims:
        problems.append(f"ledger.html shows {shown} claims of {claims}")
    if problems:
        raise BookError("the built pages are not fit to publish:\n" + "\n".join(problems[:40]))
    return len(pages)


def _links(path: Path, pages: dict[Path, Seen]) -> list[str]:
    found = []
    for link in dict.fromkeys(pages[path].links):
        href, fragment = urldefrag(link)
        url = urlparse(href)
        if url.scheme or url.netloc:
            continue
        target = path if not href else (path.parent / unquote(url.path)).resolve()
        if not target.exists():
            found.append(f"link to {link!r}: no such file")
        elif fragment and target in pages and unquote(fragment) not in pages[target].anchors:
            found.append(f"link to {link!r}: no such anchor")
    return found


def publish(new: Path, target: Path) -> None:
    """Put a verified book in the place of the last one; an interruption leaves one of the two whole."""
    old = target.with_name(target.name + ".old")
    recover(target)
    shutil.rmtree(old, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def recover(target: Path) -> None:
    """Put the last good book back when a publication was interrupted between its two steps."""
    old = target.with_name(target.name + ".old")
    if old.exists() and not target.exists():
        os.replace(old, target)
