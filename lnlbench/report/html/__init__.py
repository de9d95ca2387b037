"""One self-contained HTML page of tables, figures, curves and provenance: `render_report`; `render` for a table alone.

Nothing on the page comes from a network: style, script, data and figures are inside, and its own content security
policy forbids the rest.
"""

from lnlbench.report.html.build import render_report
from lnlbench.report.html.page import render

__all__ = ["render", "render_report"]
