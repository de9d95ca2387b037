"""lnlbench: the benchmark suite for learning with noisy labels.

`lnlbench.results(...)` gives a notebook what a database holds. Importing lnlbench imports nothing else.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lnlbench.notebook import results

__all__ = ["__version__", "results"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`results` is imported when it is first asked for, so that commands start without it."""
    if name == "results":
        from lnlbench.notebook import results

        return results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
