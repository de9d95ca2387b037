"""Tables as CSV for other programs: one line a cell and statistic, full precision, nothing rounded."""

from __future__ import annotations

import csv
from io import StringIO

from lnlbench.report.cells import Against, Cell, Table

FIELDS = (
    *("suite", "scale", "label", "method", "needs", "dataset", "noise", "rate", "stat", "mean", "std", "ddof", "n"),
    *("planned", "diverged", "values", "seeds", "data", "published", "published_std", "difference"),
    *("group", "rank", "kendall_tau", "kendall_n"),
    *(
        "against",
        "test",
        "effect",
        "effect_low",
        "effect_high",
        "df",
        "p",
        "p_holm",
        "n_against",
        "verdict",
        "untested",
    ),
)


def render(table: Table) -> str:
    """A header, then every cell. values and seeds: of the runs in the mean, joined by ';'; what is missing is empty."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    agreement = {(found.stat, found.column): found for found in table.agreement}
    for row in table.rows:
        for line in row.lines:
            for column, cell in zip(table.columns, line.cells, strict=True):
                values = cell.values or {}
                tau = agreement.get((line.stat, column))
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
                        row.group,
                        line.rank,
                        *((tau.tau, tau.n) if tau else (None, None)),
                        *_tested(table.against, cell),
                    ]
                )
    return out.getvalue()


def _tested(against: Against | None, cell: Cell) -> list[object]:
    if against is None:
        return [None] * 11
    start, end = [against.label, against.test], cell.untested
    if (c := cell.compared) is None:
        return [*start, *[None] * 8, end]
    return [*start, c.difference, c.low, c.high, c.df, c.p, c.p_holm, c.n_other, c.verdict, end]
