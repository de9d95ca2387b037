"""The page around the tables: its head with the security policy, where the numbers are from, navigation, notes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import lnlbench
from lnlbench.report.cells import Table
from lnlbench.report.html.data import PageData, Runs, counted, page_data, script_json
from lnlbench.report.html.svg import inline
from lnlbench.report.html.tables import escape, render_table
from lnlbench.store.rows import RunView

_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("data.js", "sort.js", "tip.js", "chart.js", "panel.js", "runs.js", "main.js")

_PROVENANCE = {
    "host": "Host",
    "device_name": "Device",
    "precision": "Precision",
    "lnlbench_version": "lnlbench",
    "git_commit": "Commit",
    "data_fingerprint": "Data",
    "status": "Status",
}


class Origin(NamedTuple):
    """Where a page's numbers are from. database: its name as a person knows it; made: when the page was."""

    database: str
    made: datetime


class Section(NamedTuple):
    """A table under the id that the navigation leads to."""

    id: str
    table: Table
    start: int


class Figure(NamedTuple):
    """A figure: what it shows in a few words, its whole caption, and an SVG document."""

    title: str
    caption: str
    svg: str


def render(table: Table) -> str:
    """A page of one table, without runs."""
    return render_page([table])


def render_page(
    tables: Sequence[Table],
    origin: Origin | None = None,
    runs: Runs | None = None,
    figures: Mapping[int, Sequence[Figure]] | None = None,
) -> str:
    """The whole page.

    runs: what is known of the jobs behind the numbers, for curves and provenance. figures: by the index of their table.
    """
    runs = runs or Runs()
    data = page_data(tables, runs)
    sections = list(_sections(tables))
    style, script = _style(), _script()
    title = tables[0].title if len(tables) == 1 else f"{len(tables)} tables"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(title)} – lnlbench report</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            '<a class="skip" href="#main">Skip to the tables</a>',
            *_header(tables, origin, runs),
            '<div class="columns">',
            *_navigation(sections, bool(runs.views)),
            '<main id="main">',
            *(part for i, section in enumerate(sections) for part in _section(section, (figures or {}).get(i, ()))),
            *_provenance(runs),
            "</main>",
            "</div>",
            *_data(data),
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


@cache
def _style() -> str:
    return (_STATIC / "page.css").read_text(encoding="utf-8")


@cache
def _script() -> str:
    parts = [(_STATIC / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded, and only the style and the script of this page, by their hashes, may act."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _sections(tables: Sequence[Table]) -> Iterator[Section]:
    start = 0
    for i, table in enumerate(tables):
        name = re.sub(r"[^a-z0-9]+", "-", f"{table.name}-{table.scale}".lower()).strip("-")
        yield Section(f"t{i}-{name}", table, start)
        start += len(table.rows) * len(table.columns)


def _header(tables: Sequence[Table], origin: Origin | None, runs: Runs) -> Iterator[str]:
    keys = {key for table in tables for cell in table.cells for key in cell.keys}
    facts = {"Jobs": f"{len(keys):,} planned"}
    if runs.views:
        facts = {"Runs": f"{runs.finished:,} finished of {len(keys):,} planned"}
    if origin:
        facts = {
            "Database": origin.database,
            **facts,
            "Made": origin.made.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        }
    facts["lnlbench"] = lnlbench.__version__
    yield "<header>"
    yield "<h1>Label-noise benchmark report</h1>"
    yield "<dl>"
    yield from (f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    yield "</dl>"
    yield "</header>"


def _navigation(sections: Sequence[Section], with_runs: bool) -> Iterator[str]:
    """All tables, with their scales where there are several."""
    scales = {section.table.scale for section in sections}
    yield '<nav aria-label="Tables">'
    yield '<div id="tools"></div>'
    yield "<ul>"
    for section in sections:
        scale = f" <small>{escape(section.table.scale)}</small>" if len(scales) > 1 else ""
        yield f'<li><a href="#{section.id}"><span>{escape(section.table.name)}</span>{scale}</a></li>'
    if with_runs:
        yield '<li class="apart"><a href="#runs"><span>Runs</span></a></li>'
        yield '<li><a href="#provenance"><span>Provenance</span></a></li>'
    yield "</ul>"
    yield "</nav>"


def _section(section: Section, figures: Sequence[Figure]) -> Iterator[str]:
    table, heading = section.table, f"{section.id}-title"
    yield f'<section class="suite" id="{section.id}" aria-labelledby="{heading}">'
    yield f'<p class="over">{escape(table.name)} <span class="scale">{escape(table.scale)} scale</span></p>'
    yield f'<h2 id="{heading}">{escape(table.title)}</h2>'
    yield f'<p class="caption">{escape(table.caption.removeprefix(table.title).lstrip(". "))}</p>'
    yield f'<div class="scroll" role="region" aria-labelledby="{heading}" tabindex="0">'
    yield render_table(table, heading, section.start)
    yield "</div>"
    if table.notes:
        yield '<ul class="notes">'
        yield from (f"<li>{escape(note)}</li>" for note in table.notes)
        yield "</ul>"
    if figures:
        yield '<div class="figures">'
        for i, (title, caption, svg) in enumerate(figures):
            picture = inline(svg, f"{section.id.partition('-')[0]}f{i}-", title)
            about = f"<details><summary>{escape(title)}</summary>{escape(caption)}</details>"
            yield f"<figure>{picture}<figcaption>{about}</figcaption></figure>"
        yield "</div>"
    yield "</section>"


def _provenance(runs: Runs) -> Iterator[str]:
    """What all runs together were made with; the script adds the list of runs above it."""
    if not runs.views:
        return
    yield '<section id="runs" aria-labelledby="runs-title" hidden><h2 id="runs-title">Runs</h2></section>'
    yield '<section id="provenance" aria-labelledby="provenance-title">'
    yield '<h2 id="provenance-title">Provenance</h2>'
    yield '<div class="scroll" role="region" aria-labelledby="provenance-title" tabindex="0">'
    yield '<table class="facts"><thead><tr><th scope="col">What</th><th scope="col">Value</th>'
    yield '<th scope="col" class="number">Runs</th></tr></thead>'
    for name, title in _PROVENANCE.items():
        values = counted(_told(view, name) for view in runs.views.values())
        yield "<tbody>"
        for i, (value, number) in enumerate(values):
            head = f'<th scope="row" rowspan="{len(values)}">{title}</th>' if i == 0 else ""
            yield f'<tr>{head}<td>{escape(value)}</td><td class="number">{number:,}</td></tr>'
        yield "</tbody>"
    yield "</table></div></section>"


def _told(view: RunView, name: str) -> str:
    value = getattr(view, name)
    if value is None:
        return "not recorded"
    return f"{value}, with changes not committed" if name == "git_commit" and view.git_dirty else str(value)


def _data(data: PageData) -> Iterator[str]:
    yield f'<script type="application/json" id="data">{script_json(data.main)}</script>'
    for i, block in enumerate(data.curves):
        yield f'<script type="application/json" id="curves-{i}">{script_json(block)}</script>'
