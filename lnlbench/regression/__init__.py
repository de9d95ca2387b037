"""The regression check: newest runs of a suite against a committed baseline, cell by cell.

`baseline.py` is the file, `writing.py` makes one, `comparison.py` compares, `moderated.py` and `power.py` are the
statistics, `words.py`, `markdown.py`, `junit.py` and `json_.py` write a check down. Light to import: SciPy is imported
with the first test.
"""

from lnlbench.regression.baseline import Baseline, BaselineError, read_baseline
from lnlbench.regression.comparison import ALPHA, check
from lnlbench.regression.findings import CellCheck, Check, Move
from lnlbench.regression.writing import Incomplete, make_baseline, replaced, write_baseline

__all__ = [
    "ALPHA",
    "Baseline",
    "BaselineError",
    "CellCheck",
    "Check",
    "Incomplete",
    "Move",
    "check",
    "make_baseline",
    "read_baseline",
    "replaced",
    "write_baseline",
]
