"""The published numbers: read whole, looked up by what they are of."""

from __future__ import annotations

import csv

import pytest

from lnlbench.errors import UnknownName
from lnlbench.report.reference import FILE, Cell, cells, lookup, stats_of, table_names


def test_every_line_of_the_file_is_found_under_its_own_name():
    with FILE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert sum(len(cells(table)) for table in table_names()) == len(lines)
    for line in lines:
        rate = float(line["rate"]) if line["rate"] else None
        where = (line[n] for n in ("table", "method", "variant", "dataset", "noise"))
        found = lookup(Cell(*where, rate, line["stat"]))
        assert found is not None
        assert found.text.startswith(line["mean"])
        assert (found.mean is None) == (line["mean"] == "")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell("sanm-table1", "dividemix", "", "cifar10", "symmetric", 0.9, "best"), "76.0"),
        (Cell("sanm-table5", "sanm(dividemix)", "amg", "cifar10", "symmetric", 0.9, "last"), None),
        (Cell("sanm-table2", "forward", "", "cifar10", "asymmetric", 0.4, "final"), None),
    ],
)
def test_a_number_is_kept_as_printed(cell, text):
    found = lookup(cell)
    assert found is not None
    if text:
        assert found.text == text


def test_a_printed_std_is_part_of_the_text():
    found = lookup(Cell("sanm-supp-table5", "sanm(dividemix)", "", "cifar10", "symmetric", 0.2, "best"))
    assert (found.text, found.std) == ("94.41 ± 0.11", 0.11)


def test_a_cell_that_the_paper_leaves_empty_keeps_the_printed_token():
    empty = [lookup(cell) for cell in cells("sanm-table2") if lookup(cell).mean is None]
    assert len(empty) == 5
    assert {found.text for found in empty} <= {"-", "—", "fail"}


def test_what_a_paper_does_not_have_is_none():
    assert lookup(Cell("sanm-table1", "ce", "", "digits", "symmetric", 0.2, "best")) is None


def test_the_statistics_of_a_table():
    assert stats_of("sanm-table5") == {"best", "last"}
    assert stats_of("sanm-table2") == {"final"}


def test_an_unknown_table_gets_the_nearest_name():
    with pytest.raises(UnknownName, match="sanm-table1"):
        stats_of("sanm-tabel1")
