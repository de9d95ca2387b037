"""A suite is one table or figure of a paper: its rows, columns and statistics, and the jobs behind them.

`load_suite(name).plan(scale)` gives the jobs; `lnlbench.report` prints the table. No torch, no numpy.
"""

from lnlbench.suite.layout import Figure, Layout, Stat
from lnlbench.suite.plan import Plan, PlannedCell, PlannedColumn, PlannedRow
from lnlbench.suite.suite import Suite, adhoc_plan, every_suite, load_recipe, load_suite, recipe_names, suite_names

__all__ = [
    "Figure",
    "Layout",
    "Plan",
    "PlannedCell",
    "PlannedColumn",
    "PlannedRow",
    "Stat",
    "Suite",
    "adhoc_plan",
    "every_suite",
    "load_recipe",
    "load_suite",
    "recipe_names",
    "suite_names",
]
