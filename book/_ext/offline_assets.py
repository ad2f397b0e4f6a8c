"""Serve MathJax and plotly.js from the built book: no page asks the network for anything."""

from __future__ import annotations

import shutil
from importlib import metadata
from pathlib import Path

MATHJAX = "tex-svg-full.js"  # one file: every TeX extension, fonts inside as SVG paths
PLOTLY = "plotly.min.js"


def _find(dist: str, name: str) -> Path:
    for file in metadata.files(dist) or ():
        if file.name == name:
            return Path(file.locate())
    raise FileNotFoundError(f"{name} in the package {dist}; install the project's extra 'book'")


def _config(app, config):
    config.mathjax_path = f"vendor/{MATHJAX}"
    # Two say nothing of it: they number pages when all are read, or make LaTeX.
    for extension in app.extensions.values():
        for safe in ("parallel_read_safe", "parallel_write_safe"):
            if getattr(extension, safe, None) is None:
                setattr(extension, safe, True)


def _page(app, pagename, templatename, context, doctree):
    if "plotly-graph-div" in (context.get("body") or ""):
        app.add_js_file(f"vendor/{PLOTLY}", priority=200)
    # jupyter-book always loads sphinx-thebe, which names a CDN and declares its constants twice.
    context["script_files"] = [
        js
        for js in context.get("script_files", [])
        if not (
            "sphinx-thebe.js" in str(getattr(js, "filename", js))
            or "THEBE_JS_URL" in str(getattr(js, "attributes", {}).get("body", ""))
        )
    ]


def _copy(app, exc):
    if exc is None and app.builder.format == "html":
        dest = Path(app.outdir) / "_static" / "vendor"
        dest.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_find("sphinx-mathjax-offline", MATHJAX), dest / MATHJAX)
        shutil.copyfile(_find("plotly", PLOTLY), dest / PLOTLY)


def setup(app):
    app.connect("config-inited", _config)
    app.connect("html-page-context", _page)
    app.connect("build-finished", _copy)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
