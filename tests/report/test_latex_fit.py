"""How a LaTeX table is fitted on pages: upright while it can be read so, turned or parted where not."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from made_up import result

from lnlbench.report import build_table, latex
from lnlbench.report.latex_fit import SMALLEST, Size, fit
from lnlbench.suite import load_suite


def size(columns, width=10, lines=10, groups=None, notes=()):
    names = groups or ["g"] * columns
    return Size(names, 20, [width] * columns, lines, 300, notes)


def test_a_small_table_stays_upright_in_one_part_at_its_own_size():
    way = fit(size(3))
    assert (way.sideways, way.parts, way.scale) == (False, ((0, 3),), 1.0)


def test_a_wide_and_low_table_is_turned():
    way = fit(size(12))
    assert (way.sideways, way.parts) == (True, ((0, 12),))
    assert way.scale >= SMALLEST


def test_a_wide_and_high_table_is_parted_between_groups():
    groups = [name for name in "abcd" for _ in range(3)]
    way = fit(size(12, width=20, lines=45, groups=groups))
    assert len(way.parts) > 1
    assert {start for start, _ in way.parts} <= {0, 3, 6, 9}
    assert way.scale >= SMALLEST


def test_a_group_too_wide_for_a_page_is_parted_too():
    way = fit(size(60, lines=40))
    assert len(way.parts) > 2
    assert way.scale >= SMALLEST


def test_notes_take_room_from_the_last_part_only():
    groups = [name for name in "abcd" for _ in range(3)]
    way = fit(size(12, width=20, lines=45, groups=groups, notes=[200] * 6))
    assert len(set(way.shares[:-1])) == 1
    assert way.shares[-1] < way.shares[0]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 200)), min_size=1, max_size=40),
    st.integers(1, 300),
    st.integers(0, 4000),
    st.lists(st.integers(0, 3000), max_size=12),
)
def test_whatever_the_size_every_column_is_in_one_part_and_the_page_has_room(columns, lines, caption, notes):
    groups, widths = zip(*columns, strict=True)
    way = fit(Size(groups, 15, widths, lines, caption, notes))
    assert [j for start, stop in way.parts for j in range(start, stop)] == list(range(len(columns)))
    assert all(start < stop for start, stop in way.parts)
    assert len(way.shares) == len(way.parts)
    assert all(0 < share < 1 for share in way.shares)
    assert 0 < way.scale <= 1


def test_parts_have_one_number_one_label_and_the_notes_at_the_end():
    plan = load_suite("rmw-table1").plan("paper")
    table = build_table(plan, [result(job, 50.0 + job.seed) for job in plan.jobs], compare=True, ranked=True)
    text = latex.render(table)
    parts = text.split(r"\end{table}")[:-1]
    assert len(parts) > 1
    assert text.count(r"\label{") == 1
    assert text.count(r"\addtocounter{table}{-1}") == len(parts) - 1
    assert [r"\footnotesize" in part for part in parts] == [False] * (len(parts) - 1) + [True]
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", text)]
    assert sum(spans) == len(table.columns)
    assert all(part.count("RMNW-Net") >= 1 for part in parts)
    assert r"rotating" not in text.splitlines()[0]
