"""The book's page about the data sets, made from the manifests alone: the same words on every machine."""

from __future__ import annotations

from rich.filesize import decimal

from specseg.data import manifests
from specseg.data.manifests import File, Manifest, Split

ORDER = ("voc2012", "sbd", "deepglobe", "cityscapes", "cityscapes_512x256", "camvid", "dubai", "synthetic")
PAPERS = ("voc2012", "sbd", "deepglobe", "cityscapes")
ACCESS = {"open": "open, no registration", "registration": "after a registration", "generated": "made on the spot"}
HASHES = {
    "publisher": "Every file has a sha256, computed from the published bytes.",
    "reported": "The archive's sha256 is the one that public loaders pin. The files inside have none: they are counted "
                "and read.",
    "mirrors": "The sha256 of the files were computed from mirrors and never compared with the official archive.",
    "unverified": "**No hash is public** (unverified): the files are counted, and every image's size and every label's "
                  "values are checked.",
    "generated": "The sha256 of the first arrays stand in the manifest and are computed again by `verify`.",
}  # fmt: skip
LEFT_OPEN = (
    "The counts are those of the published lists, not of a copy on this machine. What they leave open: SBD's part of "
    "the training images is named and not counted; the 701 and 102 names are not published; the seventh DeepGlobe "
    "class is `unknown`, which the challenge does not score; Cityscapes' 19 are its scored classes."
)


def render() -> str:
    """Return the page in MyST markdown.

    >>> render().splitlines()[0]
    '# Data sets'
    """
    sets = [manifests.load(name) for name in ORDER if name in manifests.names()]
    sets += [manifests.load(name) for name in manifests.names() if name not in ORDER]
    parts = [_head(), _overview(sets), _counts(sets)]
    parts += ["## The paper's sets", *(_section(m) for m in sets if m.name in PAPERS)]
    parts += ["## Open stand-ins and synthetic scenes", *(_section(m) for m in sets if m.name not in PAPERS)]
    return "\n\n".join(parts) + "\n"


def _head() -> str:
    return """# Data sets

This page is made from `data_manifests/*.toml`: one file per data set with its licence, its files and their hashes, its
splits and labels, and the paper's counts beside ours. [The chapter on the data](chapters/25_data_sets) shows what the
sets are like.

`specseg data list` says what is on your disk, `specseg data verify NAME` whether it is the right copy (each bad file is
named), `specseg data fetch NAME` gets an open set or says how to get another, `specseg data show NAME` draws it. The
folder is `data/`, or the one that `SPECSEG_DATA` names. A part of a set is enough for many chapters: they say how many
of how many they used."""


def _overview(sets: list[Manifest]) -> str:
    rows = ["| Set | Name here | Access | Licence | May be passed on | Files with a hash | Bytes |", "|---" * 7 + "|"]
    for m in sets:
        files = [f for f in (*m.archives, *m.files) if f.bytes]
        hashed = sum(f.sha256 != manifests.schema.UNVERIFIED for f in (*m.archives, *m.files))
        size = sum(f.bytes for f in (m.archives if m.archives and m.archives[0].bytes else files))
        rows.append(
            f"| {{ref}}`{m.title} <{_target(m)}>` | `{m.name}` | {ACCESS[m.access]} | [{m.licence}]({m.licence_url}) | "
            f"{'yes' if m.redistributable else 'no'} | {hashed:,} | {decimal(size) if size else '-'} |"
        )
    return "\n".join(rows)


def _counts(sets: list[Manifest]) -> str:
    rows = ["## The paper's counts beside ours", "", "| Set | What | The paper (A.9) | Here | |", "|---" * 5 + "|"]
    for m in sets:
        if m.name in PAPERS and m.labels.paper_classes and m.name != "sbd":
            rows.append(_count(m, "classes", m.labels.paper_classes, len(m.labels.names)))
        rows += [_count(m, s.name, s.paper_count, s.count) for s in m.splits if s.paper_count]
    rows += ["", LEFT_OPEN]
    return "\n".join(rows)


def _count(m: Manifest, what: str, paper: int, ours: int) -> str:
    return f"| {m.title} | {what} | {paper:,} | {ours:,} | {'equal' if paper == ours else '**differs**'} |"


def _section(m: Manifest) -> str:
    home = f" [Homepage]({m.homepage})." if m.homepage else ""
    facts = [
        f"({_target(m)})=", f"### {m.title}", "", f"{m.citation}.{home}", "",
        f"- Licence: [{m.licence}]({m.licence_url}); {'may' if m.redistributable else 'may not'} be passed on.",
        f"- How to get it: {m.how}", f"- Files: {HASHES[m.hashes]}",
        *(f"- {_archive(f)}" for f in m.archives), f"- Preprocessing: {m.preprocessing}",
        *(f"- {note}" for note in m.notes),
    ]  # fmt: skip
    return "\n".join([*facts, "", _splits(m), "", _classes(m)])


def _target(m: Manifest) -> str:
    return f"data-{m.name}"


def _archive(f: File) -> str:
    check = "sha256 unverified" if f.sha256 == manifests.schema.UNVERIFIED else f"sha256 `{f.sha256[:16]}...`"
    mirrors = len(f.urls) - 1
    size = f", {decimal(f.bytes)}" if f.bytes else ""
    others = f", {mirrors} mirror{'s' * (mirrors > 1)}" if mirrors > 0 else ""
    return f"Archive `{f.path}`{size}, {check}{others}."


def _splits(m: Manifest) -> str:
    rows = ["| Split | Names | The paper's count | List |", "|---|---|---|---|"]
    for s in m.splits:
        paper = f"{s.paper_count:,}" if s.paper_count else ""
        rows.append(f"| {s.name} | {s.count:,} | {paper} | {_list(s)} |")
    return "\n".join(rows)


def _list(s: Split) -> str:
    if not s.list:
        return s.rule
    if s.list.startswith("manifest:"):
        return f"`data_manifests/{s.list.removeprefix('manifest:')}`, sha256 `{s.list_sha256[:12]}...`"
    return f"`{s.list}`, " + (f"sha256 `{s.list_sha256[:12]}...`" if s.list_sha256 else "no hash known")


def _classes(m: Manifest) -> str:
    labels = m.labels
    stored = {"index": "stored as class numbers", "id": "stored as ids", "color": "stored as colours"}[labels.encoding]
    back: dict[int, list[str]] = {}
    for key, cls in labels.map.items():
        back.setdefault(cls, []).append(key)
    stored_as = {k: f" ({', '.join(v)})" for k, v in back.items()}
    names = [f"{k} {name}{stored_as.get(k, '')}" for k, name in enumerate(labels.names)]
    ignored = ", ".join(map(str, labels.ignore)) or "nothing"
    return f"Classes, {stored}: {', '.join(names)}. Void (255 here): {ignored}."
