"""Tables as CSV for other programs: one line a cell and statistic, full precision, nothing rounded."""

from __future__ import annotations

import csv
from io import StringIO

from lnlbench.report.table import Table

FIELDS = (
    *("suite", "scale", "label", "method", "needs", "dataset", "noise", "rate", "stat", "mean", "std", "ddof", "n"),
    *("planned", "diverged", "values", "seeds", "data", "published", "published_std", "difference"),
)


def render(table: Table) -> str:
    """A header, then every cell. values and seeds: of the runs in the mean, joined by ';'; what is missing is empty."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in table.rows:
        for line in row.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                values = cell.values or {}
                writer.writerow(
                    [
                        table.name,
                        table.scale,
                        row.label,
                        row.method,
                        ";".join(row.needs),
                        column.dataset,
                        column.noise,
                        column.rate,
                        line.stat,
                        cell.mean,
                        cell.std,
                        table.ddof,
                        cell.n,
                        len(cell.seeds),
                        len(cell.diverged),
                        ";".join(map(repr, values.values())),
                        ";".join(map(str, values)),
                        "".join(cell.marks),
                        cell.published.mean if cell.published else None,
                        cell.published.std if cell.published else None,
                        cell.difference,
                    ]
                )
    return out.getvalue()
