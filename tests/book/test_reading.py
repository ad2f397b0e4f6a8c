"""Whether the built pages can be read: widths, words in pictures, fold bars, the order of a chapter, long pages.

Run `make book` first.
"""

from __future__ import annotations

import json

import pytest
from conftest import skip_or_fail
from visits import CONTRAST, DESK, HTML, PHONE, TABLET, Visit, chapters, pages, served

pytestmark = pytest.mark.browser

REFERENCE = ("ledger.html", "runs.html", "errata.html", "coverage.html")
LONGEST = 8_000  # pixels of a reference page when it is opened
# What is wider than the article and lies in no frame that scrolls or cuts.
WIDER = """
() => {
  const column = document.querySelector('article') || document.body, right = column.getBoundingClientRect().right + 2;
  const framed = (node) => {
    for (let f = node.parentElement; f && f !== column; f = f.parentElement)
      if (getComputedStyle(f).overflowX !== 'visible' && f.getBoundingClientRect().right <= right) return true;
    return false;
  };
  return [...column.querySelectorAll('*:not(mjx-container *, svg *)')].filter(n => {
    const box = n.getBoundingClientRect();
    return box.width && box.height && box.right > right && !framed(n);
  }).slice(0, 5).map(n => `${n.tagName}.${n.getAttribute('class')} ends ${Math.round(n.getBoundingClientRect().right -
    right)} px beyond: ${n.textContent.trim().slice(0, 40)}`);
}
"""

# The least height of words in each picture, in pixels of the screen: of drawn pictures as they say, of SVG as it is.
WORDS = """
() => {
  const small = [];
  for (const img of document.querySelectorAll('article img[data-text]')) {
    const size = +img.dataset.text * img.getBoundingClientRect().width / img.naturalWidth;
    if (size < 9) small.push(`${size.toFixed(1)}: ${img.alt.slice(0, 60)}`);
  }
  for (const text of document.querySelectorAll('article svg text')) {
    if (!text.textContent.trim() || !text.getBoundingClientRect().width || text.closest('mjx-container')) continue;
    const matrix = text.getScreenCTM();
    const size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(matrix.a, matrix.b);
    if (size < 8.95) small.push(`${size.toFixed(1)}: ${text.textContent.slice(0, 40)}`);
  }
  return [...new Set(small)].slice(0, 8);
}
"""

# Fold bars that follow another one with nothing to see between them, or that stand over nothing at a section's end.
FOLDS = """
() => {
  const events = [];
  const walk = (node) => {
    for (const child of node.children) {
      if (child.matches('section')) { walk(child); continue; }
      if (!child.matches('.cell')) { if (child.innerText && child.innerText.trim()) events.push(''); continue; }
      const bar = child.querySelector('details.above-input, details.below-input, details.hide');
      if (bar) events.push(bar.innerText.trim().slice(0, 20) + ': ' +
        (bar.querySelector('pre') || bar).textContent.trim().slice(0, 60));
      const seen = child.querySelector('.cell_output') || (!bar && child.querySelector('.cell_input'));
      if (seen) events.push('');
    }
  };
  walk(document.querySelector('article'));
  return events.filter((event, k) => event && events[k + 1]);
}
"""

# Where the answer, the first picture and the heading "By hand" stand, from the top; null for what is not there.
ORDER = """
() => {
  const top = (node) => node ? node.getBoundingClientRect().top + scrollY : null;
  const box = [...document.querySelectorAll('article .admonition.tip')].find(n =>
    n.querySelector('.admonition-title').textContent.trim() === 'The answer');
  const hand = [...document.querySelectorAll('article h2')].find(n => n.textContent.startsWith('By hand'));
  return [top(box), top(document.querySelector('article figure, article .plotly-graph-div')), top(hand)];
}
"""


def built(name: str) -> str:
    if not (HTML / name).is_file():
        skip_or_fail(f"no built book with {name}: run 'make book' first")
    return name


@pytest.mark.parametrize("name", pages())
def test_nothing_is_wider_than_its_column_unless_it_scrolls(opened, name):
    for size in (PHONE, TABLET, DESK):
        wide = opened(built(name), size=size).ask(WIDER)
        assert wide == [], f"{name} at {size['width']} px: {wide}"
    opened(name, scheme="light")


@pytest.mark.parametrize("name", ["index.html", *chapters()])
def test_words_in_pictures_can_be_read_on_a_phone(opened, name):
    assert opened(built(name), size=PHONE).ask(WORDS) == []


@pytest.mark.parametrize("name", chapters())
def test_no_two_fold_bars_stand_in_a_row(opened, name):
    assert opened(built(name)).ask(FOLDS) == []


@pytest.mark.parametrize("name", chapters())
def test_a_chapter_has_its_answer_then_a_picture_then_what_is_done_by_hand(opened, name):
    answer, picture, hand = places = opened(built(name), size=DESK).ask(ORDER)
    missing = [what for what, top in zip(("answer", "picture", "By hand"), places, strict=True) if top is None]
    wrong = missing or (not answer < picture < hand and f"order {places}")
    assert not wrong, f"{name}: {wrong}"
    assert picture <= DESK["height"], f"{name}: the picture begins at {picture:.0f} px"


def test_each_answer_of_the_front_page_is_one_short_sentence(opened):
    sentences = (
        "() => [...document.querySelectorAll('.specseg-answer')].map(n => (n.querySelector('p') || n).innerText)"
    )
    words = [len(sentence.split()) for sentence in opened(built("index.html")).ask(sentences)]
    assert len(words) == 6 and max(words) <= 30, words


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("name", REFERENCE)
def test_a_reference_page_opens_short_and_its_filters_work(opened, name, size):
    visit = opened(built(name), size=size)
    high = visit.ask("() => document.querySelector('article').scrollHeight")
    assert high < LONGEST, f"{name} is {high} px high at {size['width']} px"
    shown = "() => document.querySelectorAll('.specseg-line:not([hidden])').length"
    every = visit.ask(shown)
    select = visit.page.locator(".specseg-filters select").first
    value = visit.ask("(s) => s.options[1].value", select.element_handle())
    key = select.get_attribute("name")
    select.select_option(value)
    own = visit.ask("([key, value]) => [...document.querySelectorAll('.specseg-line:not([hidden])')].every(n => "
                    "n.dataset[key].split('|').includes(value) && n.closest('details.specseg-group').open && "
                    "n.getBoundingClientRect().height > 10)", [key, value])  # fmt: skip
    assert own and 0 < visit.ask(shown) <= every
    search = visit.page.locator(".specseg-filters input")
    search.fill("no row has these words")
    assert visit.ask(shown) == 0 and "0 of" in visit.page.locator(".specseg-filters output").inner_text()
    visit.page.get_by_role("button", name="clear").click()
    assert visit.ask(shown) == every
    for box in visit.ask("() => [...document.querySelectorAll('.specseg-filters *')].map(n => "
                         "n.getBoundingClientRect().right)"):  # fmt: skip
        assert box <= size["width"] + 1
    for scheme in ("light", "dark"):
        visit.ask("() => document.querySelectorAll('.specseg-line')[0].closest('.specseg-group').open = true")
        bad = visit.coloured(scheme).ask(CONTRAST, ".specseg-list *")
        assert bad == [], f"{name} in {scheme}: {bad[:5]}"
    visit.ask("() => document.querySelectorAll('.specseg-group')[0].open = false")
    assert visit.complaints == [] and visit.outside == []


def test_links_open_the_rows_that_they_lead_to(site, browser):
    built("ledger.html")
    claims = json.loads((HTML / "ledger.json").read_text(encoding="utf-8"))["claims"]
    with Visit(browser, f"{site}/ledger.html#claim-{claims[-1]['id']}", size=PHONE) as visit:
        row = f"#claim-{claims[-1]['id']}"
        seen = "(s) => { const n = document.querySelector(s), b = n.getBoundingClientRect(); " \
               "return n.open && b.height > 50 && b.top < innerHeight && b.bottom > 0; }"  # fmt: skip
        assert visit.ask(seen, row), "a link from elsewhere opens the row and shows it"
        verdict = claims[0]["verdict"]
        visit.page.locator(f".count[href='#verdict-{verdict.replace(' ', '-')}']").click()
        own = visit.ask("() => [...document.querySelectorAll('.specseg-line:not([hidden])')].map(n => n.id)")
        assert own == [f"claim-{c['id']}" for c in sorted_like(own, claims) if c["verdict"] == verdict]
        other = next(c["id"] for c in claims if c["verdict"] != verdict)
        visit.page.evaluate("(id) => { location.hash = 'claim-' + id; }", other)
        visit.page.wait_for_function("(id) => document.getElementById('claim-' + id).open", arg=other)
        assert visit.ask(seen, f"#claim-{other}"), "a link to a row that the filter hides shows it"


def sorted_like(ids: list[str], claims: list[dict]) -> list[dict]:
    """Return claims in the order of the page, which goes by section."""
    by_id = {f"claim-{c['id']}": c for c in claims}
    return [by_id[i] for i in ids] + [c for i, c in by_id.items() if i not in ids]


def test_rows_can_be_opened_and_read_without_scripts(site, browser):
    built("ledger.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in REFERENCE:
        page.goto(f"{site}/{name}")
        if not page.locator(".specseg-group").first.get_attribute("open") == "":
            page.locator(".specseg-group > summary").first.click()
        line = page.locator(".specseg-line").first
        line.locator("summary").first.click()
        assert line.bounding_box()["height"] > 50, f"{name}: a row that does not open"
    context.close()


@pytest.mark.parametrize("name", pages())
def test_long_tables_fold_and_open(opened, name):
    rows = opened(built(name)).ask("""
        () => [...document.querySelectorAll('article table > tbody')]
          .filter(body => !body.closest('details, .indextable, .highlighttable'))
          .map(body => [...body.rows].filter(row => row.offsetHeight).length)""")
    assert max(rows, default=0) <= 15, f"{name}: tables of {rows} rows in sight"


def test_a_folded_table_opens_is_searched_and_sorted(opened):
    visit = opened(built("runs.html"))
    count = """() => [...document.querySelector('table.specseg-table').tBodies[0].rows]
        .filter(row => row.offsetHeight).map(row => row.cells[0].innerText)"""
    folded = visit.ask(count)
    fold, search = visit.page.locator(".specseg-tablebar button"), visit.page.locator(".specseg-tablebar input")
    fold.first.click()
    every = visit.ask(count)
    assert len(folded) < len(every) == len(chapters())
    search.first.fill("iou")
    assert 0 < len(visit.ask(count)) < len(every)
    search.first.fill("")
    visit.page.locator("table.specseg-table button.sorts").first.click()
    visit.page.locator("table.specseg-table button.sorts").first.click()
    assert visit.ask(count) == sorted(every, reverse=True)


def test_a_page_prints_open_light_and_without_navigation(opened):
    visit = opened(built("ledger.html"), scheme="dark")
    visit.page.emulate_media(media="print", color_scheme="dark")
    visit.ask("() => dispatchEvent(new Event('beforeprint'))")
    seen = "(s) => [...document.querySelectorAll(s)].filter(n => n.getBoundingClientRect().height).length"
    try:
        assert visit.ask(seen, ".bd-sidebar-primary, .bd-header-article, .specseg-filters") == 0
        assert visit.ask("() => document.querySelectorAll('article details:not([open])').length") == 0
        assert visit.ask("() => document.documentElement.dataset.theme") == "light"
        assert visit.ask(WIDER) == []
    finally:
        visit.ask("() => dispatchEvent(new Event('afterprint'))")
        visit.page.emulate_media(media="screen", color_scheme="light")
    assert visit.ask("() => document.querySelectorAll('article details[open]').length") < 5


def test_numbers_in_sentences_are_plain_words(opened):
    name = next(c for c in chapters() if "pasted-text" in (HTML / built(c)).read_text(encoding="utf-8"))
    weights = opened(name).ask("() => [...document.querySelectorAll('p > span.pasted-text')].map(n => "
                               "getComputedStyle(n).fontWeight)")  # fmt: skip
    assert weights and set(weights) == {"400"}


def test_the_page_for_paper_holds_every_chapter_whole(site, browser):
    built("print.html")
    with Visit(browser, f"{site}/print.html") as visit:
        parts = visit.ask(
            "() => [...document.querySelectorAll('article > section')].map(n => [n.id, n.innerText.length])"
        )
        assert [name for name, _ in parts] == ["index", *(c.removeprefix("chapters/")[:-5] for c in chapters())]
        assert min(length for _, length in parts) > 500
        undrawn = "() => [...document.querySelectorAll('.math')].filter(n => !n.querySelector('mjx-container')).length"
        assert visit.ask(undrawn) == 0 and visit.complaints == [] and visit.outside == []


def test_the_measures_see_a_page_that_cannot_be_read(browser, tmp_path):
    bar = (
        '<div class="cell"><details class="hide above-input"><summary>Show</summary><pre>a = 1</pre></details>%s</div>'
    )
    empty, full = bar % "", bar % '<div class="cell_output">4</div>'
    drawn = "data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 width=%22100%22 height=%229%22/%3E"
    (tmp_path / "bad.html").write_text(f"""
        <article style="width:300px"><h2>By hand</h2><div style="width:400px;height:9px">wide</div>
        <div style="overflow:auto"><p style="width:400px">framed</p></div>{empty}{empty}<p>seen</p>{empty}{full}
        <figure class="specseg-figure"><img alt="a" data-text="12" width="50" src="{drawn}"></figure>
        <svg viewBox="0 0 200 20" width="100"><text y="15" font-size="16">small</text></svg></article>""")
    with served(tmp_path) as address, Visit(browser, f"{address}/bad.html") as visit:
        assert [w.split(" ends")[0] for w in visit.ask(WIDER)] == ["DIV.null"]
        assert [words.split(":")[0] for words in visit.ask(WORDS)] == ["6.0", "8.0"]
        assert len(visit.ask(FOLDS)) == 2
        answer, picture, hand = visit.ask(ORDER)
        assert answer is None and hand < picture
