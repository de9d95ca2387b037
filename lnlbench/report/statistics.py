"""Mean and standard deviation over seeds, exact to the last bit of a float. Pure Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple


class Summary(NamedTuple):
    """Mean, standard deviation and number of some values; what is not defined is None."""

    mean: float | None
    std: float | None
    n: int


def summarise(values: Sequence[float], ddof: int = 1) -> Summary:
    """Summary of finite numbers.

    ddof: the std is sqrt(sum (v - mean)^2 / (n - ddof)): 1 for the sample's, 0 for the population's. It is None
    where n <= ddof. Raises ValueError for a number that is not finite or a negative ddof.
    """
    if ddof < 0:
        raise ValueError(f"ddof is {ddof}, allowed: >= 0")
    if not all(map(math.isfinite, values)):
        raise ValueError(f"not finite: {list(values)}")
    n = len(values)
    if n == 0:
        return Summary(None, None, 0)
    exact = [Fraction(value) for value in values]
    mean = sum(exact, Fraction()) / n
    if n <= ddof:
        return Summary(float(mean), None, n)
    variance = sum(((value - mean) ** 2 for value in exact), Fraction()) / (n - ddof)
    return Summary(float(mean), math.sqrt(variance), n)
