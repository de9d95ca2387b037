"""What a check could have seen: the smallest drop of a cell that it would have found four times in five.

For the same test at the level that a single drop has to pass among all tests of the suite.
"""

from __future__ import annotations

from lnlbench.regression.moderated import Judged

POWER = 0.8


def detectable(judged: Judged, level: float, min_drop: float = 0.0, power: float = POWER) -> float:
    """The true drop that is found with probability `power` at a one-sided `level`, in the unit of the values.

    min_drop: drops below it are never called, so that the true one must be as far above it as chance may reach.
    Takes the moderated standard deviation for the true one.
    """
    from scipy.special import nctdtrinc, ndtri, stdtrit

    critical = float(stdtrit(judged.df, 1 - level))
    # The noncentral t distribution: P(T <= critical) = 1 - power.
    needed = float(nctdtrinc(judged.df, 1 - power, critical))
    return max(needed * judged.error, min_drop + float(ndtri(power)) * judged.error)
