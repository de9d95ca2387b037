"""A check as plain data: everything there is, unrounded."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lnlbench.regression.findings import Check
from lnlbench.regression.words import headline


def plain(check: Check) -> dict[str, Any]:
    """For `json.dumps`; every cell with its moves, their samples and verdicts."""
    cells = [{**asdict(cell), "regressed": cell.regressed, "moves": []} for cell in check.cells]
    for cell, entry in zip(check.cells, cells, strict=True):
        entry["moves"] = [{**asdict(move), "was": move.was._asdict(), "now": move.now._asdict()} for move in cell.moves]
    named = {name: value for name, value in asdict(check).items() if name != "cells"}
    return {**named, "exit_code": check.exit_code, "headline": headline(check), "cells": cells}
