"""Visits to the built book in a real browser, for the tests of its pages; the fixtures stand in conftest.py."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TABLET = {"width": 768, "height": 1024}

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
  const backs = new Map([[null, [255, 255, 255, 1]]]);
  const behind = (node) => {
    if (!backs.has(node))
      backs.set(node, over(rgba(getComputedStyle(node).backgroundColor), behind(node.parentElement)));
    return backs.get(node);
  };
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


# Two frames on, and what moves is at its end. A frame may never come (a whole run hung, once): then what is asked next
# fails, where waiting for it would hang for ever.
SETTLED = """
async () => {
  for (let k = 0; k < 2; k++)
    await Promise.race([new Promise(done => requestAnimationFrame(done)), new Promise(done => setTimeout(done, 5000))]);
  document.getAnimations().filter(a => a instanceof CSSTransition).forEach(a => a.finish());
}
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


class Visit:
    """One page, with what it asked for and what it complained about, in a context of its own or in one that is given:
    pages of one context share what they load, a quarter of their work, and what they store."""

    def __init__(self, browser, address: str, *, size: dict = DESK, scheme: str = "light", within=None) -> None:
        self.context = within or browser.new_context()
        self.page = self.context.new_page()
        self.page.set_viewport_size(size)
        self.page.emulate_media(color_scheme=scheme)
        self.close = self.page.close if within else self.context.close
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
            self.page.evaluate(SETTLED)
        return self

    def coloured(self, scheme: str) -> Visit:
        """Let the system be light or dark, and see to it that the colours have changed."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.evaluate(SETTLED)
        return self

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *args) -> None:
        self.close()

    def ask(self, script: str, argument=None):
        return self.page.evaluate(script, argument)


def pages() -> list[str]:
    """Return every page of the built book but the one for paper; one that fails or skips when there is none."""
    found = [p.relative_to(HTML).as_posix() for p in sorted(HTML.rglob("*.html")) if "_static" not in p.parts]
    found = [name for name in found if name != "print.html"]
    return found or ["index.html"]


def chapters() -> list[str]:
    return [p for p in pages() if p.startswith("chapters/")] or ["chapters/none.html"]
