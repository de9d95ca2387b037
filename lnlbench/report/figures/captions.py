"""The caption that stands in a file beside a figure: the words of the table's caption and notes, and how to read it."""

from __future__ import annotations

from dataclasses import replace

from lnlbench.report import Table, notes
from lnlbench.report.figures.material import Material
from lnlbench.suite import Stat

AXES: dict[Stat, str] = {
    "best": "Best test accuracy (%)",
    "last": "Last test accuracy (%)",
    "last10": "Test accuracy, last 10 (%)",
    "valid": "Test accuracy, valid (%)",
    "auc": "Best detection AUC",
    "last_auc": "Last detection AUC",
}
"""What an axis of a statistic is called; the caption says what it means."""


def of_table(table: Table, title: str, reading: str) -> str:
    """Caption of a figure of a table's numbers. title: '' for the suite's own. reading: sentences, how to read it."""
    first = [f"{_sentence(title)}"] if title and title != table.title else []
    # A figure has no bold numbers.
    notes_of_it = [note for note in table.notes if not note.startswith("Bold")]
    return "\n".join([*first, _seeds(table), reading, *notes_of_it]) + "\n"


def _seeds(table: Table) -> str:
    """The table's caption; where cells have different numbers of seeds, a figure cannot say each."""
    numbers = [cell.n for cell in table.cells if cell.mean is not None]
    if not table.show_n or not numbers:
        return table.caption
    return table.caption.replace(
        "; the number of seeds n in brackets", f" over n = {min(numbers)} to {max(numbers)} seeds"
    )


def of_runs(material: Material, title: str, reading: str, stats: tuple[Stat, ...] = ()) -> str:
    """Caption of a figure of what the runs left. stats: those that it shows beside."""
    table = material.table(*(stats or material.plan.stats[:1]))
    caption = table.caption
    for stat in () if stats else table.stats:
        caption = caption.replace(f" {notes.STATS[stat]}", "")
    return of_table(replace(table, caption=caption), title, reading)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
