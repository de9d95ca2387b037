"""One table, six formats: the door to the renderers."""

from __future__ import annotations

from typing import Literal

from lnlbench.errors import unknown_name
from lnlbench.report.cells import Table

Format = Literal["table", "latex", "markdown", "csv", "json", "html"]
FORMATS: tuple[Format, ...] = ("table", "latex", "markdown", "csv", "json", "html")


def render(table: Table, format: str = "table", *, width: int = 120) -> str:
    """A table as text that ends in a newline.

    width: columns of the terminal, for 'table' only. Raises UnknownName for a format there is not.
    """
    if format == "table":
        from lnlbench.report import terminal

        return terminal.render_text(table, width)
    if format == "latex":
        from lnlbench.report import latex

        return latex.render(table)
    if format == "markdown":
        from lnlbench.report import markdown

        return markdown.render(table)
    if format == "csv":
        from lnlbench.report import csv_

        return csv_.render(table)
    if format == "json":
        from lnlbench.report import json_

        return json_.render(table)
    if format == "html":
        from lnlbench.report import html

        return html.render(table)
    raise unknown_name("format", format, FORMATS)
