"""Tables from results: `build_table` lays one out, `render` prints it in a format.

Draws no figure and reads no database: results come in as rows.
"""

from lnlbench.report.cells import Cell, Column, Group, Line, Row, Table
from lnlbench.report.render import FORMATS, render
from lnlbench.report.table import build_table

__all__ = ["FORMATS", "Cell", "Column", "Group", "Line", "Row", "Table", "build_table", "render"]
