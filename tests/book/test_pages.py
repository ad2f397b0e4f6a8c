"""The built book in a real browser: whole offline, readable everywhere, nothing broken. Run `make book` first."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlparse

import pytest
from conftest import skip_or_fail
from visits import CONTRAST, DESK, HTML, PHONE, Visit, chapters, pages, served

pytestmark = pytest.mark.browser

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


def test_the_front_page_shows_counts_and_links_that_lead_somewhere(site, browser):
    ledger = json.loads((HTML / "ledger.json").read_text()) if (HTML / "ledger.json").is_file() else {}
    with Visit(browser, f"{site}/index.html") as visit:
        counts = visit.ask("() => [...document.querySelectorAll('.specseg-counts .count b')].map(b => +b.innerText)")
        assert sum(counts) == len(ledger["claims"]) and len(counts) == len(ledger["counts"])
        blocks = visit.ask("() => document.querySelectorAll('.specseg-bars .block').length")
        assert blocks == len(ledger["claims"]), "the picture has one block per claim"
        links = visit.ask("() => [...document.querySelectorAll('.specseg-answer a')].map(a => a.href)")
        assert len(links) == 12, "six answers, each with its chapter and its row"
        for link in sorted(links):  # a page's anchors one after another
            visit.page.goto(link, wait_until="load")
            anchor = urlparse(link).fragment
            seen = visit.ask(
                "(id) => { const n = id ? document.getElementById(id) : document.querySelector('article'); "
                "return !!n && n.innerText.length > 10; }",
                anchor,
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
        tops = visit.ask("""() => ['article p', 'article img'].map(
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
