"""The built book in a real browser: whole offline, readable everywhere, nothing broken. Run `make book` first."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import pytest
from conftest import ROOT, skip_or_fail

pytestmark = pytest.mark.browser

HTML = ROOT / "_build" / "html"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}

# The contrast of every visible text of the article, as WCAG 2 computes it: colours of the text over what lies behind.
CONTRAST = """
(selector) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.canvas.width = canvas.canvas.height = 1;
  const known = new Map();
  const rgba = (text) => {
    if (known.has(text)) return known.get(text);
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data, drawn = [d[0], d[1], d[2], d[3] / 255];
    known.set(text, drawn); return drawn;
  };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const lum = (c) => { const f = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const behind = (node) => { const stack = [];
    for (let n = node; n; n = n.parentElement) stack.push(rgba(getComputedStyle(n).backgroundColor));
    return stack.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]); };
  const bad = [];
  for (const node of document.querySelectorAll(selector)) {
    const own = [...node.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join(' ').trim();
    if (!own) continue;
    const box = node.getBoundingClientRect();
    if (!box.width || !box.height || node.closest('svg, mjx-container, .js-plotly-plot, [aria-hidden=true]'))
      continue;
    const style = getComputedStyle(node);
    if (style.visibility === 'hidden' || style.opacity === '0') continue;
    const back = behind(node), front = over(rgba(style.color), back);
    const [hi, lo] = [lum(front), lum(back)].sort((a, b) => b - a);
    const ratio = (hi + 0.05) / (lo + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className}: ${own.slice(0, 50)}`);
  }
  return [...new Set(bad)];
}
"""

# Markup that a reader must never see: formulas, roles and directives outside of code.
RAW = r"""
() => {
  const copy = (document.querySelector('article') || document.body).cloneNode(true);
  copy.querySelectorAll('pre, code, script, style, mjx-container').forEach(n => n.remove());
  return copy.textContent.match(/\$\$|\\\(|\\\[|\\begin\{|\{(?:glue|ref|cite|math|eq)[:}]/g) || [];
}
"""

WIDTH = "() => document.documentElement.scrollWidth"
WIDEST = """
() => [...document.querySelectorAll('article *')].filter(n => n.getBoundingClientRect().right > innerWidth + 1 &&
  !n.closest('.cell_output, pre, .specseg-scroll, .specseg-found, mjx-container'))
  .slice(0, 5).map(n => n.tagName + '.' + n.className)
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder from a thread on localhost and give its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built book."""
    if not (HTML / "index.html").is_file():
        skip_or_fail("no built book: run 'make book' first")
    with served(HTML) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright."""
    found = [p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))]
    if not found:
        skip_or_fail("no Chromium found: install your system's package 'chromium'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found[0], args=FLAGS)
        yield chromium
        chromium.close()


class Visit:
    """One page in a context of its own, with what it asked for and what it complained about."""

    def __init__(self, browser, address: str, *, size: dict = DESK, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.outside: list[str] = []
        own = urlparse(address).netloc
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda r: r.status >= 400 and self.complaints.append(f"{r.status}: {r.url}"))
        self.page.on("request", lambda r: urlparse(r.url).netloc not in ("", own) and self.outside.append(r.url))
        self.page.goto(address, wait_until="load")
        self.page.evaluate("async () => { if (window.MathJax && MathJax.startup) await MathJax.startup.promise; }")

    def _failed(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # of a page that was left before it was whole
            self.complaints.append(f"failed: {request.url}")

    def resized(self, size: dict) -> Visit:
        """Give the window another size, unless it has it."""
        if self.page.viewport_size != size:
            self.page.set_viewport_size(size)
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return self

    def coloured(self, scheme: str) -> Visit:
        """Let the system be light or dark, and wait until the colours have changed."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate("""async () => {
          for (let k = 0; k < 2; k++) await new Promise(done => requestAnimationFrame(done));
          const moving = document.getAnimations().filter(a => a instanceof CSSTransition);
          await Promise.allSettled(moving.map(a => a.finished)); }""")
        return self

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *args) -> None:
        self.context.close()

    def ask(self, script: str, argument=None):
        return self.page.evaluate(script, argument)


@pytest.fixture(scope="session")
def opened(site, browser) -> Iterator[Callable[..., Visit]]:
    """Visit a page that is only looked at: tests of the same page, one after another, share its load (seconds each)."""
    last: dict[tuple[str, str], Visit] = {}

    def look(name: str, *, size: dict = DESK, scheme: str = "light") -> Visit:
        key = (name, scheme if name == "index.html" else "")  # one page is opened in the dark; others become dark
        if key not in last:
            for visit in last.values():
                visit.context.close()
            last.clear()
            last[key] = Visit(browser, f"{site}/{name}", size=size, scheme=scheme)
        return last[key].resized(size).coloured(scheme)

    yield look
    for visit in last.values():
        visit.context.close()


def pages() -> list[str]:
    """Return every page of the built book; one that fails or skips when there is none."""
    found = [p.relative_to(HTML).as_posix() for p in sorted(HTML.rglob("*.html")) if "_static" not in p.parts]
    return found or ["index.html"]


def chapters() -> list[str]:
    return [p for p in pages() if p.startswith("chapters/")] or ["chapters/none.html"]


def test_a_visit_sees_what_is_wrong(browser, tmp_path):
    """The measures below are worth something only if a bad page does not pass them."""
    (tmp_path / "bad.html").write_text(
        '<article><div style="width:600px">wide</div>$$ raw {ref}`x` <img src="http://elsewhere.invalid/x.png">'
        '<img src="nowhere.png"><script>console.error("oops"); null.x;</script></article>'
    )
    with served(tmp_path) as address, Visit(browser, f"{address}/bad.html", size=PHONE) as visit:
        assert visit.outside == ["http://elsewhere.invalid/x.png"]
        said = "\n".join(visit.complaints)
        assert "oops" in said and "404" in said and "null" in said
        assert visit.ask(WIDTH) > PHONE["width"]
        assert visit.ask(RAW) == ["$$", "{ref}"]


@pytest.mark.parametrize("name", pages())
def test_every_page_is_whole_and_fits_a_phone(opened, name):
    """No request leaves, nothing fails, no complaint in the console, all maths drawn, no sideways scroll at 390 px."""
    visit = opened(name, size=PHONE)
    wide = visit.ask(WIDTH)
    assert wide <= PHONE["width"], f"{name} is {wide} px wide on a phone; see {visit.ask(WIDEST)}"
    broken = visit.ask("() => document.querySelectorAll('mjx-merror, [data-mml-node=merror], .MathJax_Error').length")
    assert broken == 0, f"{name}: {broken} formulas that MathJax cannot read"
    raw = visit.ask(RAW)
    assert raw == [], f"{name}: raw markup on the page: {raw}"
    undrawn = visit.ask(
        "() => [...document.querySelectorAll('.math')].filter(n => !n.querySelector('mjx-container')).length"
    )
    assert undrawn == 0, f"{name}: {undrawn} formulas were not drawn"
    pictures = visit.ask(
        "() => [...document.querySelectorAll('article img')].map(i => [i.alt, i.complete && i.naturalWidth > 0, "
        "i.src.slice(0, 60)])")  # fmt: skip
    for alt, drawn, source in pictures:
        assert alt.strip() and drawn, f"{name}: a picture without alternative text, or that does not load: {source}"
    assert visit.complaints == []
    assert visit.outside == [], f"{name} asks other hosts"


@pytest.mark.parametrize("name", chapters())
def test_chapters_show_pictures_maths_and_interactive_figures(opened, name):
    visit = opened(name)
    for marker in (".specseg-made", ".specseg-found", "article h1"):
        assert visit.ask("(s) => document.querySelectorAll(s).length", marker) >= 1, f"{name}: no {marker}"
    if int(Path(name).name[:2]) in range(30, 55):
        assert visit.ask("() => document.querySelectorAll('mjx-container').length") > 0, f"{name}: no formula"
    figures = "() => document.querySelectorAll('article figure.specseg-figure').length"
    assert visit.ask(figures) >= 1, f"{name}: no figure"
    captions = visit.ask(
        "() => [...document.querySelectorAll('figure.specseg-figure')].map(f => f.innerText.trim().length > 20 && "
        "!!f.querySelector('img[alt], [role=img][aria-label]'))")  # fmt: skip
    assert all(captions), f"{name}: a figure without caption or alternative text"
    plots = "() => [...document.querySelectorAll('.plotly-graph-div')].map(d => !!d.querySelector('svg.main-svg'))"
    visit.page.wait_for_function(plots.replace("map", "every"), timeout=15_000)
    assert all(visit.ask(plots)), f"{name}: an interactive figure was not drawn"
    downloads = visit.ask("() => [...document.querySelectorAll('a.download, a[download]')].map(a => a.href)")
    stem = Path(name).stem
    assert {f"{stem}.py", f"{stem}.ipynb"} <= {Path(urlparse(d).path).name for d in downloads}
    assert visit.complaints == [] and visit.outside == []


def test_some_chapter_has_an_interactive_figure():
    if not (HTML / "index.html").is_file():
        skip_or_fail("no built book: run 'make book' first")
    assert [c for c in chapters() if "plotly-graph-div" in (HTML / c).read_text(encoding="utf-8")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "ledger.html", "runs.html", "errata.html", *chapters()])
def test_text_and_verdicts_can_be_read_in_light_and_dark(opened, name, scheme):
    if not (HTML / name).is_file():
        skip_or_fail(f"no built book with {name}: run 'make book' first")
    visit = opened(name, scheme=scheme)
    assert visit.ask("() => document.documentElement.dataset.theme") == scheme, "the book follows the system"
    assert visit.ask("() => document.querySelectorAll('article .verdict, article .count').length") > 0 or (
        name in ("runs.html", "errata.html") or name.startswith("chapters/")
    )
    bad = visit.ask(CONTRAST, "article *")
    assert bad == [], f"{name} in {scheme}: contrast below 4.5:\n" + "\n".join(bad[:12])


def test_the_contrast_measure_sees_what_cannot_be_read(site, browser):
    with Visit(browser, f"{site}/index.html") as visit:
        visit.ask("""() => document.querySelector('article').insertAdjacentHTML('beforeend',
            '<p id="pale" style="color:#aaa;background:#fff">pale</p><p id="half" style="color:rgba(0,0,0,.3);' +
            'background:#fff">half</p><p id="dark" style="color:#333;background:#fff">dark</p>')""")
        assert len(visit.ask(CONTRAST, "#pale, #half")) == 2 and visit.ask(CONTRAST, "#dark") == []


def test_the_front_page_shows_counts_findings_and_links_that_lead_somewhere(site, browser):
    ledger = json.loads((HTML / "ledger.json").read_text()) if (HTML / "ledger.json").is_file() else {}
    with Visit(browser, f"{site}/index.html") as visit:
        counts = visit.ask("() => [...document.querySelectorAll('.specseg-counts .count b')].map(b => +b.innerText)")
        assert sum(counts) == len(ledger["claims"]) and len(counts) == len(ledger["counts"])
        blocks = visit.ask("() => document.querySelectorAll('.specseg-bars .block').length")
        assert blocks == len(ledger["claims"]), "the picture has one block per claim"
        items = visit.ask(
            "() => [...document.querySelectorAll('.specseg-headlines li')].map(li => [li.querySelector('.verdict') "
            "? 1 : 0, li.innerText.length, [...li.querySelectorAll('a')].map(a => a.href)])")  # fmt: skip
        assert len(items) == 5, "five findings"
        for verdicts, length, links in items:
            assert verdicts == 1 and length > 60
            assert any("/chapters/" in a for a in links) and any("/ledger.html#claim-" in a for a in links)
        for link in sorted({a for _, _, links in items for a in links}):  # a page's anchors one after another
            visit.page.goto(link, wait_until="load")
            anchor = urlparse(link).fragment
            seen = visit.ask(
                "(id) => { const n = document.getElementById(id); return !!n && n.innerText.length > 10; }", anchor
            )
            assert seen, f"{link} leads to nothing"
        assert visit.complaints == [] and visit.outside == []


def test_every_claim_that_is_wrong_as_printed_has_its_erratum():
    if not (HTML / "errata.html").is_file():
        skip_or_fail("no built book: run 'make book' first")
    claims = json.loads((HTML / "ledger.json").read_text(encoding="utf-8"))["claims"]
    page = (HTML / "errata.html").read_text(encoding="utf-8")
    wrong = ("refuted", "paper inconsistent", "confirmed with a correction")
    due = [c["id"] for c in claims if c["verdict"] in wrong]
    assert len(due) > 20 and [i for i in due if f'id="erratum-{i}"' not in page] == []


def test_the_first_screen_has_a_sentence_and_a_picture(site, browser):
    with Visit(browser, f"{site}/index.html") as visit:
        tops = visit.ask("""() => ['article p', '.specseg-counts, .specseg-bars'].map(
            s => document.querySelector(s).getBoundingClientRect().top)""")
        assert all(0 <= top < DESK["height"] for top in tops)


def test_a_block_leads_to_its_row(site, browser):
    with Visit(browser, f"{site}/index.html") as visit:
        visit.page.locator(".specseg-bars .block").first.click()
        visit.page.wait_for_load_state("load")
        assert "/ledger.html#claim-" in visit.page.url
        assert visit.page.locator(".specseg-line:target[open]").count() == 1


def test_search_finds_spectral_gradient(site, browser):
    with Visit(browser, f"{site}/search.html?q=spectral+gradient") as visit:
        visit.page.wait_for_selector("#search-results ul.search li a", timeout=20_000)
        visit.page.wait_for_function("() => !document.querySelector('#search-progress')?.innerText.includes('...')")
        links = visit.ask("() => [...document.querySelectorAll('#search-results ul.search li a')].map(a => a.href)")
        assert any("/chapters/45_" in link for link in links), links
        assert visit.outside == [] and visit.complaints == []


def test_pages_work_with_javascript_off(site, browser):
    """Text, verdicts and pictures are in the HTML itself; only formulas and moving figures need scripts."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/ledger.html")
    assert page.locator("[id^=claim-] .verdict").count() > 0
    context.close()


def test_wide_things_scroll_in_their_own_box(site, browser):
    with Visit(browser, f"{site}/ledger.html", size=PHONE) as visit:
        row = visit.ask("() => { const r = document.querySelector('.specseg-group').getBoundingClientRect(); "
                        "return [r.left, r.right, innerWidth]; }")  # fmt: skip
        assert row[0] >= 0 and row[1] <= row[2] + 1
