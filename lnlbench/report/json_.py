"""Tables as JSON: everything there is, values, job keys and seeds included, nothing rounded."""

from __future__ import annotations

import json
from typing import Any

from lnlbench.report.cells import Cell, Column, Table


def render(table: Table) -> str:
    """One object; what is missing is null."""
    return json.dumps(as_dict(table), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(table: Table) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "suite": table.name,
        "title": table.title,
        "caption": table.caption,
        "notes": list(table.notes),
        "scale": table.scale,
        "seeds": list(table.seeds),
        "ddof": table.ddof,
        "stats": list(table.stats),
        "against": table.against._asdict() if table.against else None,
        "kendall_tau": [
            {**_where(found.column), "stat": found.stat, "tau": found.tau, "n": found.n} for found in table.agreement
        ],
        "groups": [{"label": group.label, "span": group.span} for group in table.groups],
        "rows": [
            {
                "label": row.label,
                "method": row.method,
                "implemented": row.implemented,
                "needs": list(row.needs),
                "dagger": row.dagger,
                "group": row.group,
                "ranks": {line.stat: line.rank for line in row.lines},
                "cells": [
                    _cell(column, cell)
                    for line in row.lines
                    for column, cell in zip(table.columns, line.cells, strict=True)
                ],
            }
            for row in table.rows
        ],
    }


def _cell(column: Column, cell: Cell) -> dict[str, Any]:
    values = cell.values or {}
    published = cell.published
    return {
        **_where(column),
        "stat": cell.stat,
        "mean": cell.mean,
        "std": cell.std,
        "n": cell.n,
        "best": cell.best,
        "marks": list(cell.marks),
        "runs": [
            {"seed": seed, "key": key, "value": values.get(seed), "diverged": seed in cell.diverged}
            for seed, key in zip(cell.seeds, cell.keys, strict=True)
        ],
        "published": published._asdict() if published else None,
        "difference": cell.difference,
        "compared": cell.compared._asdict() if cell.compared else None,
        "untested": cell.untested or None,
    }


def _where(column: Column) -> dict[str, Any]:
    return {"dataset": column.dataset, "noise": column.noise, "rate": column.rate}
